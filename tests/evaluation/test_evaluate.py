"""Measuring a scene against photos and points."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.photos import Photo
from tondo.data.splats import Exposures, Scene, Splats
from tondo.evaluation.evaluate import composited, evaluate_points, metrics_json
from tondo.geometry.look_at import look_at
from tondo.scenes.evaluate import evaluate_scene
from tondo.scenes.render import render

WIDTH, HEIGHT = 61, 44


def scene(seed: int = 0) -> Scene:
    generator = torch.Generator().manual_seed(seed)
    splats = Splats(
        means=torch.rand(80, 3, generator=generator) - 0.5,
        quats=torch.randn(80, 4, generator=generator),
        log_scales=torch.full((80, 3), math.log(0.08)),
        opacity_logits=torch.full((80,), 3.0),
        sh=torch.randn(80, 1, 3, generator=generator),
    )
    up = torch.tensor([0.0, 0.0, 1.0])
    return Scene(splats, torch.tensor([0.2, 0.4, 0.9]), up, 1.0, torch.zeros(3))


def camera(angle: float) -> Camera:
    eye = torch.tensor([2 * math.cos(angle), 2 * math.sin(angle), 0.7])
    K = torch.tensor([[70.0, 0, 30], [0, 70.0, 23], [0, 0, 1]])
    return Camera(look_at(eye, torch.zeros(3), torch.tensor([0.0, 0, 1])), K, WIDTH, HEIGHT)


def photo(name: str, angle: float, of: Scene) -> Photo:
    color = render(of, camera(angle)).color
    return Photo(name, camera(angle), (color * 255).round().to(torch.uint8))


def test_photos_of_the_scene_itself_are_nearly_perfect(tmp_path: Path) -> None:
    done: list[int] = []
    photos = [photo("train/0.png", 0.0, scene()), photo("test/0.png", 1.0, scene())]
    found = evaluate_scene(scene(), photos, tmp_path / "out", done.append)
    assert done == [1, 2]
    for one in found.per_image.values():
        assert one.psnr > 55, "only the rounding to 8 bits is left"
        assert one.ssim > 0.999
        assert one.perceptual < 0.01
    written = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert written == ["contact_sheet.png", "test_0.png", "train_0.png"]


def test_the_mean_is_that_of_the_pictures(tmp_path: Path) -> None:
    photos = [photo("a.png", 0.0, scene()), photo("b.png", 2.0, scene(seed=1))]
    found = evaluate_scene(scene(), photos, None)
    one, other = found.per_image["a.png"], found.per_image["b.png"]
    assert other.psnr < 25 < one.psnr
    assert other.ssim < one.ssim
    assert other.perceptual > one.perceptual
    assert found.mean.psnr == pytest.approx((one.psnr + other.psnr) / 2)
    assert list(tmp_path.iterdir()) == []
    written = metrics_json(found)
    assert written["test"] == {
        "psnr": found.mean.psnr,
        "ssim": found.mean.ssim,
        "perceptual": found.mean.perceptual,
        "images": 2,
    }
    assert written["per_image"]["b.png"]["ssim"] == other.ssim


def test_transparent_photos_are_shown_on_the_scenes_background() -> None:
    view = render(scene(), camera(0.0))
    over_black = render(replace(scene(), background=torch.zeros(3)), camera(0.0)).color
    straight = over_black / view.alpha[..., None].clamp_min(1e-6)
    eight_bits = [(t.clamp(0, 1) * 255).round().to(torch.uint8) for t in (straight, view.alpha)]
    cut_out = Photo("a.png", camera(0.0), *eight_bits)
    truth = composited(cut_out, scene().background)
    assert float((truth - view.color).abs().max()) < 0.01
    assert evaluate_scene(scene(), [cut_out], None).mean.psnr > 50


def test_pixels_that_undistortion_left_empty_do_not_count() -> None:
    good = photo("a.png", 0.0, scene())
    image = good.image.clone()
    image[:, :9] = 0
    valid = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    valid[:, :9] = False
    broken = Photo("a.png", good.camera, image)
    assert evaluate_scene(scene(), [broken], None).mean.psnr < 30
    assert evaluate_scene(scene(), [replace(broken, valid=valid)], None).mean.psnr > 55


def test_renders_are_as_bright_as_photos_from_nearby() -> None:
    angles = [0.1 * k for k in range(20)]
    gains = [1.0 + 0.01 * (k - 9.5) for k in range(20)]
    matrices = torch.stack([gain * torch.eye(3, 4) for gain in gains])
    viewmats = torch.stack([camera(angle).viewmat for angle in angles])
    exposed = replace(scene(), exposures=Exposures(viewmats, matrices))
    taken = photo("a.png", 0.15, scene())
    darker = replace(taken, image=(taken.image.float() * 0.92).round().to(torch.uint8))
    assert evaluate_scene(exposed, [darker], None).mean.psnr > 45
    assert evaluate_scene(scene(), [darker], None).mean.psnr < 35
    plain = render(exposed, camera(0.15)).color
    assert torch.equal(plain, render(scene(), camera(0.15)).color), "only where asked for"


def test_no_photos_is_a_wrong_call() -> None:
    with pytest.raises(ValueError, match="no photos"):
        evaluate_scene(scene(), [], None)


def test_geometry_of_two_planes() -> None:
    def plane(height: float) -> Tensor:
        x, y = torch.meshgrid(torch.linspace(0, 1, 30), torch.linspace(0, 1, 20), indexing="ij")
        return torch.stack([x, y, torch.full_like(x, height)], dim=-1).reshape(-1, 3)

    found = evaluate_points(plane(0.0), plane(0.02), threshold=0.01)
    assert found.chamfer == pytest.approx(0.02, rel=1e-5)
    assert (found.precision, found.recall, found.f_score) == (0.0, 0.0, 0.0)
    found = evaluate_points(plane(0.0), plane(0.02), threshold=0.03)
    assert (found.precision, found.recall, found.f_score) == (1.0, 1.0, 1.0)
