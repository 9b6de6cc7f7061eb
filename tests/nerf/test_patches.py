"""Patches of pixels, and bends of surfaces seen through them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from small_photos import photos
from tondo.data.photos import Photo
from tondo.kernels.fields.rays import RayPictures
from tondo.nerf.patches import OPAQUE, SIDE, Patches, bend_loss, bends_of, draw_patches
from tondo.nerf.ray_batches import Pixels, Rays, pixels_of, rays_at


def masked(photo: Photo) -> Photo:
    """The photo with about a third of its pixels left out."""
    rng = torch.Generator().manual_seed(5)
    valid = torch.rand(photo.image.shape[:2], generator=rng) < 0.7
    return Photo(photo.name, photo.camera, photo.image, valid=valid)


def place_of(pixels: Pixels, row: int) -> tuple[int, int, int]:
    """Photo, row and column of a pixel."""
    photo = int(torch.searchsorted(pixels.firsts, row, right=True)) - 1
    place = row - int(pixels.firsts[photo])
    if pixels.places is not None:
        place = int(pixels.places[row])
    width = int(pixels.widths[photo])
    return photo, place // width, place % width


@pytest.mark.parametrize("partial", [False, True])
def test_a_patch_is_a_square_of_one_photos_pixels(partial: bool) -> None:
    shots = [masked(photo) if partial and k == 1 else photo for k, photo in enumerate(photos(3))]
    pixels = pixels_of(shots)
    last = len(pixels.colors) - 1  # in the lower right corner, or near to it
    drawn = torch.tensor([0, 1234, 5000, 6543, last])
    patches = draw_patches(pixels, drawn, 3, torch.Generator().manual_seed(2))
    seen = set()
    for m, row in enumerate(drawn.tolist()):
        photo, y0, x0 = place_of(pixels, row)
        valid, width, height = (
            shots[photo].valid,
            shots[photo].camera.width,
            shots[photo].camera.height,
        )
        places = [place_of(pixels, int(k)) for k in patches.rows[m].flatten()]
        known = patches.known[m].flatten().tolist()
        fits = []
        for apart in (1, 2, 3):
            reach = (SIDE - 1) * apart
            y1, x1 = min(y0, height - 1 - reach), min(x0, width - 1 - reach)
            wanted = [(y1 + i * apart, x1 + j * apart) for i in range(SIDE) for j in range(SIDE)]
            is_there = [valid is None or bool(valid[at]) for at in wanted]
            both = zip(wanted, is_there, strict=True)
            instead = [(photo, *at) if k else (photo, y0, x0) for at, k in both]
            fits += [apart] if known == is_there and places == instead else []
        assert len(fits) == 1
        seen.add(fits[0])
    assert len(seen) > 1
    assert bool(patches.known.all()) != partial


def test_of_a_photo_smaller_than_a_patch_only_its_own_pixels_are_known() -> None:
    photo = photos(1)[0]
    camera = replace(photo.camera, width=3, height=2)
    small = Photo(photo.name, camera, photo.image[:2, :3].contiguous())
    pixels = pixels_of([small, photo])
    patches = draw_patches(pixels, torch.tensor([4]), 1, torch.Generator())
    assert patches.known[0].nonzero().tolist() == [[y, x] for y in (0, 1) for x in (0, 1, 2)]
    assert patches.rows[0][:2, :3].flatten().tolist() == list(range(6))
    assert bool((patches.rows[0][~patches.known[0]] == 4).all())


def seen_plane(unit: float = 1.0) -> tuple[Patches, Rays, RayPictures]:
    """Patches of photos that show a tilted plane behind a glass of opacity 0.8, after five rays
    that belong to none."""
    pixels = pixels_of(photos(4))
    drawn = torch.arange(40) * 311
    patches = draw_patches(pixels, drawn, 3, torch.Generator().manual_seed(1))
    rays = rays_at(pixels, torch.cat([torch.arange(5), patches.rows.flatten()]))
    normal = torch.nn.functional.normalize(torch.tensor([0.2, -0.5, 1.0]), dim=0)
    distances = (2.0 - rays.origins @ normal) / (rays.directions @ normal)
    rays = rays._replace(origins=unit * rays.origins)
    opacities = torch.where(distances > 0, 0.8, 0.0)  # above the horizon there is none
    found = RayPictures(
        torch.zeros(len(drawn), 3),
        opacities,
        unit * opacities * distances,
        opacities,
        opacities.int(),
    )
    return patches, rays, found


@pytest.mark.parametrize("unit", [1.0, 1024.0, 2.0**-20])
def test_a_plane_has_no_bend_whatever_the_camera(unit: float) -> None:
    patches, rays, found = seen_plane(unit)
    shown = found.opacities[5:].view(patches.known.shape) > OPAQUE
    assert 0.1 < float(shown.float().mean()) < 1
    plane = bends_of(patches, rays, found, unit)
    rough = found.depths * (1 + 0.01 * torch.sin(37.0 * torch.arange(len(found.depths))))
    assert float(plane) < 0.02 * float(bends_of(patches, rays, found._replace(depths=rough), unit))


def ridge(angle: float) -> Tensor:
    """[1, 4, 4, 3] points of a roof whose ridge is its second row."""
    i, j = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="ij")
    beyond = (i - 1).clamp_min(0)
    flat = torch.minimum(i, torch.ones_like(i))
    x, z = flat + beyond * math.cos(angle), beyond * math.sin(angle)
    return torch.stack([x, 0.7 * j, z], dim=2)[None]


def test_a_ridge_bends_by_the_sine_of_its_angle() -> None:
    known = torch.ones(1, 4, 4, dtype=torch.bool)
    # Of two bends in each of four columns one; of those in rows none; the mean of both.
    assert float(bend_loss(ridge(0.5), known)) == pytest.approx(math.sin(0.5) / 4, rel=1e-3)
    known[0, :, 2] = False
    assert float(bend_loss(ridge(0.5), known)) == pytest.approx(math.sin(0.5) / 4 * 3 / 4, rel=1e-3)
    assert float(bend_loss(ridge(0.0), known)) < 1e-9
    known[0, 1:3] = False
    assert float(bend_loss(ridge(0.5), known)) == 0


def test_gradients_are_those_of_finite_differences_and_none_where_nothing_is_known() -> None:
    rng = torch.Generator().manual_seed(4)
    points = torch.rand(3, 4, 4, 3, generator=rng, dtype=torch.float64)
    known = torch.rand(3, 4, 4, generator=rng) < 0.8
    points[~known] = 0.0  # all in one place: without a direction
    points.requires_grad_(True)
    assert torch.autograd.gradcheck(
        lambda x: bend_loss(torch.where(known[..., None], x, 0.0), known), points, rtol=1e-5
    )
    (found,) = torch.autograd.grad(bend_loss(points, known), points)
    assert bool((found[~known] == 0).all())
    assert bool(found.isfinite().all())
