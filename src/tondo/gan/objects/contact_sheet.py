"""Pictures that show a generator: grids of seeds, each from several sides."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tondo.gan.networks.generator import Generator
from tondo.gan.objects.render import (
    Rendered,
    enlargement,
    make_objects,
    render,
    render_styles,
    repeat,
)
from tondo.geometry.pose_prior import PosePrior, cameras_by

SIDES = 8  # views round the object in a row: every 45 degrees; chosen, not measured


def latents(seeds: list[int], z: int) -> Tensor:
    """[len(seeds), z] latent codes; a seed always gives the same one."""
    rows = [torch.randn(z, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(rows)


def turning_angles(priors: tuple[PosePrior, ...], count: int) -> Tensor:
    """[count, 3] radians: a way round the object within what the cameras of training saw."""
    prior = priors[0]
    low, high = (math.radians(value) for value in prior.azimuth)
    elevation = math.radians(min(25.0, max(-10.0, 0.5 * sum(prior.elevation) + 5.0)))
    angles = torch.zeros(count, 3)
    if high - low >= 2 * math.pi - 1e-3:
        angles[:, 0] = torch.arange(count) * (2 * math.pi / count)
    else:
        angles[:, 0] = torch.linspace(low, high, count)
    angles[:, 1] = elevation
    return angles


@torch.no_grad()
def views(
    generator: Generator, w: Tensor, priors: tuple[PosePrior, ...], size: int, count: int = SIDES
) -> Rendered:
    """One style w [1, W] from `count` sides: images [count, size, size, 3]."""
    angles = turning_angles(priors, count).to(w.device)
    viewmats, Ks = cameras_by(priors[0], angles, size)
    objects = repeat(make_objects(generator, w), count)
    background = generator.render_background(w, size).expand(count, -1, -1, -1)
    return render(objects, viewmats, Ks, background, enlargement(generator, size))


@torch.no_grad()
def view_from(
    generator: Generator, w: Tensor, priors: tuple[PosePrior, ...], angle: Tensor, size: int
) -> Tensor:
    """[B, size, size, 3] 0..1: styles w [B, W] all seen from one direction, angle [3] radians."""
    angles = angle.to(w.device).expand(len(w), 3)
    viewmats, Ks = cameras_by(priors[0], angles, size)
    return render_styles(generator, w, viewmats, Ks, size)[0].images.clamp(0, 1)


@torch.no_grad()
def grid(
    generator: Generator,
    w: Tensor,
    priors: tuple[PosePrior, ...],
    size: int,
    *,
    with_depth: bool = False,
) -> Tensor:
    """[rows * size, SIDES * size, 3] 0..1 on the CPU: each style a row, each side a column; with
    depth, a row of depths (near is bright) under each."""
    rows = []
    for style in w:
        rendered = views(generator, style[None], priors, size)
        rows.append(torch.cat(list(rendered.images), dim=1))
        if with_depth:
            reach = priors[0].distance
            near = ((reach + 1 - rendered.depths) / 2).clamp(0, 1) * (rendered.alphas > 0.5)
            rows.append(torch.cat(list(near[..., None].expand(*near.shape, 3)), dim=1))
    return torch.cat(rows, dim=0).clamp(0, 1).cpu()
