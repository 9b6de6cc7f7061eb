"""All pixels of the photographs, from which rays are drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from tondo.data.cameras import Camera
from tondo.data.photos import Photo

RUN = 64  # pixels, one after another, whose errors are remembered together (docs/notes/nerf.md)
FOLLOWED = 0.3  # of a run's error, each time that it is seen; chosen
LEAST_ERROR = 1e-6  # of a run, so that each may be drawn; chosen, not measured
GOLDEN = (math.sqrt(5) - 1) / 2  # the golden section: its multiples lie evenly (Weyl 1916)


@dataclass(frozen=True)
class Pixels:
    """Every usable pixel of some photos, one after another.

    Attributes:
        colors: [P, 3] uint8 sRGB, straight. alphas: [P] uint8, or None where all are opaque.
        firsts: [N + 1] int64, where each photo's pixels begin; the last is P.
        places: [P] int32 index within its photo, row by row, or None where all pixels are used.
        widths, heights: [N] int64. rotations: [N, 3, 3] world from camera. positions: [N, 3].
        Ks: [N, 3, 3].
    """

    colors: Tensor
    alphas: Tensor | None
    firsts: Tensor
    places: Tensor | None
    widths: Tensor
    heights: Tensor
    rotations: Tensor
    positions: Tensor
    Ks: Tensor


class Rays(NamedTuple):
    """Drawn rays: photo [R], origins and unit directions [R, 3], straight colours [R, 3] 0..1 and
    alphas [R] 0..1."""

    photo: Tensor
    origins: Tensor
    directions: Tensor
    colors: Tensor
    alphas: Tensor


def pixels_of(photos: Sequence[Photo]) -> Pixels:
    """The pixels of `photos` (at least one) where they are valid."""
    sizes = [photo.camera.width * photo.camera.height for photo in photos]
    counts = [
        size if photo.valid is None else int(photo.valid.sum())
        for photo, size in zip(photos, sizes, strict=True)
    ]
    firsts = torch.tensor([0, *counts]).cumsum(0)
    total = int(firsts[-1])
    # Filled in place: beside the photos there is one copy of their pixels.
    colors = torch.empty(total, 3, dtype=torch.uint8)
    alphas = places = None
    if any(photo.alpha is not None for photo in photos):
        alphas = torch.full((total,), 255, dtype=torch.uint8)
    if any(photo.valid is not None for photo in photos):
        places = torch.empty(total, dtype=torch.int32)
    for photo, size, first, count in zip(photos, sizes, firsts[:-1].tolist(), counts, strict=True):
        mine = slice(first, first + count)
        kept = slice(None) if photo.valid is None else photo.valid.flatten()
        colors[mine] = photo.image.view(size, 3)[kept]
        if alphas is not None and photo.alpha is not None:
            alphas[mine] = photo.alpha.flatten()[kept]
        if places is not None:
            places[mine] = torch.arange(size, dtype=torch.int32)[kept]
    viewmats = torch.stack([photo.camera.viewmat for photo in photos])
    rotations = viewmats[:, :3, :3].mT.contiguous()
    return Pixels(
        colors,
        alphas,
        firsts,
        places,
        torch.tensor([photo.camera.width for photo in photos]),
        torch.tensor([photo.camera.height for photo in photos]),
        rotations,
        -(rotations @ viewmats[:, :3, 3:]).squeeze(2),
        torch.stack([photo.camera.K for photo in photos]),
    )


def rays_at(pixels: Pixels, rows: Tensor) -> Rays:
    """The rays through the middles of pixels `rows` [R] of all."""
    photo = torch.searchsorted(pixels.firsts, rows, right=True) - 1
    place = rows - pixels.firsts[photo] if pixels.places is None else pixels.places[rows].long()
    width = pixels.widths[photo]
    K = pixels.Ks[photo]
    x = (place % width + 0.5 - K[:, 0, 2]) / K[:, 0, 0]
    y = (place // width + 0.5 - K[:, 1, 2]) / K[:, 1, 1]
    local = torch.stack([x, y, torch.ones_like(x)], dim=1)
    directions = (pixels.rotations[photo] @ local[:, :, None]).squeeze(2)
    alphas = torch.ones(len(rows))
    if pixels.alphas is not None:
        alphas = pixels.alphas[rows].float() / 255
    return Rays(
        photo,
        pixels.positions[photo],
        torch.nn.functional.normalize(directions, dim=1),
        pixels.colors[rows].float() / 255,
        alphas,
    )


class Drawn(NamedTuple):
    """Rows of pixels [R], and what each counts in a mean [R], so that the mean is over all pixels
    alike however they were drawn; and how many of them came in turn."""

    rows: Tensor
    counts: Tensor
    in_turn: int


def first_errors(pixels: Pixels) -> Tensor:
    """[B] of runs of `RUN` pixels: all alike as long as nothing is known."""
    return torch.ones(-(-len(pixels.colors) // RUN))


def even_rows(most: int, begin: int, count: int) -> Tensor:
    """Rows [count] of `most`, from place `begin` of an endless order in which all that follow each
    other lie evenly over all rows, and in which few come twice before most have come once: the
    fractions of multiples of the golden section (Weyl 1916)."""
    places = torch.arange(begin, begin + count, dtype=torch.float64)
    rows = (places * GOLDEN % 1 * most).long()
    return rows.clamp_max(most - 1)


def draw_rows(
    pixels: Pixels, begin: int, count: int, rng: Generator, errors: Tensor, share: float
) -> Drawn:
    """`count` rows of pixels, `share` of them where the error is (as Müller et al. 2022 do,
    appendix E.1), the rest in turn (`even_rows`).

    Args:
        begin: how many have come in turn before.
        errors: [B] mean squared errors of runs of `RUN` pixels, above 0.
        share: 0..1, less than 1: every pixel can be drawn.
    """
    most, chosen = len(pixels.colors), round(share * count)
    rows = even_rows(most, begin, count - chosen)
    if chosen == 0:
        return Drawn(rows, torch.ones(count), count)
    runs = torch.multinomial(errors, chosen, replacement=True, generator=rng)
    within = torch.randint(RUN, (chosen,), generator=rng)
    # the last run goes on with the first pixels
    rows = torch.cat([(runs * RUN + within) % most, rows])
    often = share * errors[rows // RUN] / errors.mean() + (1 - share)
    return Drawn(rows, 1 / often, count - chosen)


def learn_errors(errors: Tensor, rows: Tensor, found: Tensor) -> None:
    """Let `errors` follow the squared errors `found` [R] of pixels `rows`, in place."""
    runs = rows // RUN
    total, times = torch.zeros_like(errors), torch.zeros_like(errors)
    total.index_add_(0, runs, found)
    times.index_add_(0, runs, torch.ones_like(found))
    now = total / times.clamp_min(1)
    followed = torch.lerp(errors, now, FOLLOWED).clamp_min(LEAST_ERROR)
    torch.where(times > 0, followed, errors, out=errors)


def camera_rays(camera: Camera) -> tuple[Tensor, Tensor, Tensor]:
    """Origins [P, 3], unit directions [P, 3] of the rays through a camera's pixels, row by row, and
    the camera's z of one unit of distance along each [P]."""
    x = (torch.arange(camera.width) + 0.5 - camera.K[0, 2]) / camera.K[0, 0]
    y = (torch.arange(camera.height) + 0.5 - camera.K[1, 2]) / camera.K[1, 1]
    across, down = x.expand(len(y), -1), y[:, None].expand(-1, len(x))
    local = torch.stack([across, down, torch.ones_like(across)], dim=2).view(-1, 3)
    local = torch.nn.functional.normalize(local, dim=1)
    rotation = camera.viewmat[:3, :3].T
    position = -rotation @ camera.viewmat[:3, 3]
    return position.expand(len(local), 3).contiguous(), local @ rotation.T, local[:, 2]
