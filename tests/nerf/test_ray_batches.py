"""Rays of photographs: through the right pixels, with the right colours."""

from __future__ import annotations

import pytest
import torch

from small_photos import photos
from tondo.data.photos import Photo
from tondo.nerf.ray_batches import (
    RUN,
    Drawn,
    camera_rays,
    draw_rows,
    even_rows,
    first_errors,
    learn_errors,
    pixels_of,
    rays_at,
)


def shots() -> list[Photo]:
    """Three photos, the second partly transparent, the third partly invalid."""
    rng = torch.Generator().manual_seed(0)
    first, second, third = photos(3)
    height, width = second.image.shape[:2]
    alpha = torch.randint(256, (height, width), dtype=torch.uint8, generator=rng)
    valid = torch.rand(height, width, generator=rng) < 0.5
    return [
        first,
        Photo(second.name, second.camera, second.image, alpha=alpha),
        Photo(third.name, third.camera, third.image, valid=valid),
    ]


def test_every_valid_pixel_has_its_ray_and_colour() -> None:
    some = shots()
    pixels = pixels_of(some)
    assert some[2].valid is not None
    count = some[0].image.shape[0] * some[0].image.shape[1]
    invalid = int((~some[2].valid).sum())
    assert len(pixels.colors) == 3 * count - invalid
    rays = rays_at(pixels, torch.arange(len(pixels.colors)))
    assert torch.equal(rays.photo.bincount(), torch.tensor([count, count, count - invalid]))
    for k, photo in enumerate(some):
        mine = rays.photo == k
        kept = slice(None) if photo.valid is None else photo.valid.flatten()
        rays_o, rays_d, _ = camera_rays(photo.camera)
        torch.testing.assert_close(rays.origins[mine], rays_o[kept])
        torch.testing.assert_close(rays.directions[mine], rays_d[kept])
        assert torch.equal(rays.colors[mine], photo.image.view(-1, 3)[kept] / 255)
        alpha = torch.ones(count) if photo.alpha is None else photo.alpha.flatten() / 255
        assert torch.equal(rays.alphas[mine], alpha[kept])


def test_a_ray_goes_through_its_pixels_middle() -> None:
    camera = photos(1)[0].camera
    rays_o, rays_d, forward = camera_rays(camera)
    row, column = 17, 5
    k = row * camera.width + column
    point = rays_o[k] + 2.5 * rays_d[k]
    local = camera.viewmat[:3, :3] @ point + camera.viewmat[:3, 3]
    torch.testing.assert_close(
        (camera.K @ local / local[2])[:2],
        torch.tensor([column + 0.5, row + 0.5]),
        atol=1e-3,
        rtol=0,
    )
    assert float(local[2]) == pytest.approx(2.5 * float(forward[k]), rel=1e-4)
    torch.testing.assert_close(rays_d.norm(dim=1), torch.ones(len(rays_d)))


def test_drawing_is_even_and_depends_on_its_place_alone() -> None:
    pixels = pixels_of(shots())
    errors = first_errors(pixels)

    def draw() -> Drawn:
        return draw_rows(pixels, 7, 20_000, torch.Generator().manual_seed(1), errors, 0.0)

    rows = draw().rows
    assert torch.equal(rows, draw().rows)
    shares = rays_at(pixels, rows).photo.bincount() / 20_000
    wanted = pixels.firsts.diff() / len(pixels.colors)
    torch.testing.assert_close(shares, wanted, atol=0.02, rtol=0)
    assert torch.equal(draw().counts, torch.ones(20_000))


@pytest.mark.parametrize("begin", [0, 12_345, 987_654_321])
@pytest.mark.parametrize("most", [97, 60_000])
def test_pixels_come_in_turn_and_evenly(most: int, begin: int) -> None:
    rows = even_rows(most, begin, most)
    times = rows.bincount(minlength=most)
    assert int(times.max()) <= 2
    assert float((times == 0).double().mean()) < 0.15  # drawn at random: 0.37
    assert torch.equal(even_rows(most, begin + 11, 30), rows[11:41])
    # a tenth of them: no gap is twice the mean one; drawn at random, four times is usual
    some = rows[: most // 10].sort().values
    gaps = torch.cat([some.diff(), some[:1] + most - some[-1:]])
    assert int(gaps.max()) <= 20


def test_there_may_be_one_pixel_alone() -> None:
    assert even_rows(1, 5, 3).tolist() == [0, 0, 0]


def test_half_are_drawn_where_the_error_is_and_means_stay_even() -> None:
    pixels = pixels_of(shots())
    errors = 0.01 * first_errors(pixels)
    errors[3], errors[20] = 4.0, 1.0
    drawn = draw_rows(pixels, 0, 50_000, torch.Generator().manual_seed(1), errors, 0.5)
    runs = (drawn.rows // RUN).bincount(minlength=len(errors)) / 50_000
    wanted = 0.5 * errors / errors.sum() + 0.5 / len(errors)
    torch.testing.assert_close(runs[[3, 20]], wanted[[3, 20]], atol=0.01, rtol=0)
    assert float(runs[3]) > 10 / len(errors)
    for value in (pixels.colors[:, 1] / 255, (torch.arange(len(pixels.colors)) // RUN == 3) / 1):
        mean = (drawn.counts * value[drawn.rows]).mean()
        torch.testing.assert_close(mean, value.mean(), atol=0.01, rtol=0)
    assert float(drawn.counts[drawn.rows // RUN == 3].max()) < 0.1


def test_errors_follow_what_was_found() -> None:
    errors = torch.full((4,), 0.5)
    rows = torch.tensor([0, 5, RUN + 1, 3 * RUN])
    learn_errors(errors, rows, torch.tensor([0.1, 0.3, 0.7, 0.0]))
    wanted = torch.tensor([0.5 - 0.3 * 0.3, 0.5 + 0.3 * 0.2, 0.5, 0.5 - 0.3 * 0.5])
    torch.testing.assert_close(errors, wanted)
