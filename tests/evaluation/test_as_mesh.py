"""Pictures of several things against photographs, whole and inside silhouettes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.photos import Photo
from tondo.evaluation.as_mesh import evaluate_mesh_pictures
from tondo.io.images import image_size

WIDTH, HEIGHT = 60, 44
GREY = torch.full((3,), 0.5)
CAMERA = Camera(torch.eye(4), torch.eye(3), WIDTH, HEIGHT)


def box(left: int, right: int) -> Tensor:
    """[H, W] bool, columns of the picture, but for its first and last rows."""
    inside = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    inside[5:-5, left:right] = True
    return inside


def photo(name: str, with_alpha: bool = True) -> Photo:
    generator = torch.Generator().manual_seed(len(name))
    image = torch.randint(80, 176, (HEIGHT, WIDTH, 3), generator=generator, dtype=torch.uint8)
    alpha = (box(10, 40) * 255).to(torch.uint8) if with_alpha else None
    return Photo(name, CAMERA, image, alpha)


def on_grey(one: Photo) -> Tensor:
    assert one.alpha is not None
    return torch.where(one.alpha[..., None] > 0, one.image / 255, GREY)


def test_inside_is_inside_of_both_silhouettes() -> None:
    one = photo("a.png")
    truth = on_grey(one)
    off = truth.clone()
    off[:, :20] += 0.1  # outside of the mesh, partly inside of the photo's silhouette
    off[:, 20:40] += 0.02
    found = evaluate_mesh_pictures(
        {"same": lambda camera: truth, "off": lambda camera: off},
        lambda camera: box(20, 50).float(),
        GREY,
        [one],
        None,
    )
    same, other = found.mean["same"], found.mean["off"]
    assert same.whole.psnr == 100
    assert same.inside is not None
    assert same.inside.psnr == 100
    assert other.inside is not None
    assert other.inside.psnr == pytest.approx(34, abs=0.1), "20 log10(1 / 0.02)"
    share = 20 / WIDTH
    error = share * 0.1**2 + share * 0.02**2
    assert other.whole.psnr == pytest.approx(-10 * torch.tensor(error).log10().item(), abs=0.1)
    assert found.silhouette == pytest.approx(20 / 40)


def test_photos_without_alpha_have_no_silhouette_and_some_nothing_inside(tmp_path: Path) -> None:
    photos = [photo("a/0.png", with_alpha=False), photo("b/0.png", with_alpha=False)]
    shown = iter([box(0, 30), box(0, 2)])  # too slender for a window of SSIM
    done: list[int] = []
    found = evaluate_mesh_pictures(
        {"grey": lambda camera: GREY.expand(HEIGHT, WIDTH, 3)},
        lambda camera: next(shown).float(),
        GREY,
        photos,
        tmp_path / "out",
        done.append,
    )
    assert found.silhouette is None
    assert found.per_image["a/0.png"]["grey"].inside is not None
    assert found.per_image["b/0.png"]["grey"].inside is None
    assert found.mean["grey"].inside == found.per_image["a/0.png"]["grey"].inside
    assert done == [1, 2]
    names = sorted(path.name for path in (tmp_path / "out").rglob("*.png"))
    assert len(names) == 3
    assert "contact_sheet.png" in names
    first = next(p for p in (tmp_path / "out").rglob("*.png") if p.name != "contact_sheet.png")
    assert image_size(first)[0] > 3 * 3 * WIDTH  # three panels, enlarged by 3


def test_no_photos() -> None:
    with pytest.raises(ValueError, match="no photos"):
        evaluate_mesh_pictures({}, lambda camera: torch.zeros(1, 1), GREY, [], None)
