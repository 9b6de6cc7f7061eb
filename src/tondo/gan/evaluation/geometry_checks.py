"""Whether a generated thing is really three-dimensional: checks on its pictures and depths alone.

They work on what the cameras see, so that they are the same for splats and fields.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from tondo.gan.networks.generator import Generator
from tondo.gan.objects.render import Rendered, render_styles
from tondo.geometry.look_at import cameras_at
from tondo.geometry.pose_prior import PosePrior

SOLID = 0.5  # coverage from which a pixel belongs to the object; chosen
DEPTH_SLACK = 0.05  # object radii by which a warped depth may differ on the same surface; chosen
BEHIND = 0.1  # object radii behind the visible surface from which a splat is hidden; chosen
APART = math.radians(15.0)  # between the two views that are warped into each other; chosen
ANGLES = 12  # views round the object; chosen


@dataclass(frozen=True)
class GeometryChecks:
    """Means over samples.

    Attributes:
        warp_error: mean absolute difference (0..1) of colours between a view and the view 15
            degrees beside it, warped by depth, where both see the same surface.
        warp_covered: share of the object's pixels for which the two depths agree to 0.05 radii.
        thickness: smallest over largest extent of the surface points that are seen from all sides:
            1 for a ball, 0 for a flat card.
        side_ratio: area of the silhouette from the side over that from the front.
        floaters: share of the silhouettes' area that hangs apart from their largest part.
        hidden: share of the splats that lie more than 0.1 radii behind what is seen from each of 14
            sides: pockets and skin within skin, which only show when the mesh is cut or printed.
        haze: share of the covered area that is neither solid nor empty (coverage 0.05..0.95),
            edges included.
        empty: share of the samples of which nothing can be seen.
    """

    warp_error: float
    warp_covered: float
    thickness: float
    side_ratio: float
    floaters: float
    hidden: float
    haze: float
    empty: float


@torch.no_grad()
def check_geometry(
    generator: Generator, w: Tensor, prior: PosePrior, size: int = 64
) -> GeometryChecks:
    """The checks on the objects of styles w [N, W], each seen from all round at `size` pixels.

    The cameras' field of view and distance are those of `prior`; their directions go round the
    object whatever the prior saw: that is the point.
    """
    rows = [_check_one(generator, style[None], prior, size) for style in w]
    table = torch.tensor(rows, dtype=torch.float64)
    empty = table[:, -1] > 0
    seen = table[~empty]
    means = seen.mean(dim=0) if len(seen) else torch.zeros(8)
    means[-1] = empty.double().mean()
    return GeometryChecks(*means.tolist())


def _check_one(
    generator: Generator, w: Tensor, prior: PosePrior, size: int
) -> tuple[float, float, float, float, float, float, float, float]:
    angles = torch.zeros(ANGLES + 6, 3)
    angles[:ANGLES, 0] = torch.arange(ANGLES) * (2 * math.pi / ANGLES)
    angles[:ANGLES, 1] = math.radians(10.0)
    middle = math.radians(0.5 * sum(prior.azimuth)) if prior.azimuth[1] < 180.0 else 0.0
    angles[-2:, 1] = 0.5 * math.pi * torch.tensor([1.0, -1.0])
    angles[ANGLES:-2, 0] = middle + torch.tensor([0.0, APART, 0.5 * math.pi, 0.5 * math.pi + APART])
    viewmats, Ks = cameras_at(angles, prior.fov, prior.distance, size)
    rendered, _ = render_styles(generator, w.expand(len(angles), -1), viewmats, Ks, size)
    solid = rendered.alphas >= SOLID
    if not bool(solid[ANGLES].any()):
        return (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    pairs = [_warp(rendered, viewmats, Ks, a, a + 1) for a in (ANGLES, ANGLES + 2)]
    error, covered = (sum(values) / len(pairs) for values in zip(*pairs, strict=True))
    points = torch.cat([_points(rendered, viewmats, Ks, k) for k in range(ANGLES)])
    sides = float(solid[ANGLES + 2].sum()) / float(solid[ANGLES].sum())
    round_it = [*range(ANGLES), ANGLES + 4, ANGLES + 5]
    hidden = _hidden(generator(w).means[0], rendered, viewmats, Ks, round_it)
    some = (rendered.alphas > 0.05).sum()
    haze = float(((rendered.alphas > 0.05) & (rendered.alphas < 0.95)).sum() / some.clamp_min(1))
    apart = _floaters(solid[:ANGLES])
    return (error, covered, _thickness(points), sides, apart, hidden, haze, 0.0)


def _points(rendered: Rendered, viewmats: Tensor, Ks: Tensor, index: int) -> Tensor:
    """[M, 3] surface points in the object's space that view `index` sees."""
    solid = rendered.alphas[index] >= SOLID
    places = solid.nonzero().flip(1) + 0.5
    rays = torch.cat([places, torch.ones(len(places), 1)], dim=1) @ torch.linalg.inv(Ks[index]).T
    local = rays * rendered.depths[index][solid][:, None]
    return (local - viewmats[index, :3, 3]) @ viewmats[index, :3, :3]


def _warp(rendered: Rendered, viewmats: Tensor, Ks: Tensor, a: int, b: int) -> tuple[float, float]:
    """Mean colour difference of view a and view b fetched through a's depth, and the share of a's
    object where both see the same surface."""
    points = _points(rendered, viewmats, Ks, a)
    if not len(points):
        return 0.0, 0.0
    local = points @ viewmats[b, :3, :3].T + viewmats[b, :3, 3]
    projected = local @ Ks[b].T
    size = rendered.alphas.shape[1]
    grid = (projected[:, :2] / projected[:, 2:].clamp_min(1e-6)) * (2 / size) - 1
    maps = torch.cat([rendered.images[b].permute(2, 0, 1), rendered.depths[b][None]])[None]
    fetched = F.grid_sample(maps, grid[None, None], "bilinear", "border", align_corners=False)
    fetched = fetched[0, :, 0].T
    same = (fetched[:, 3] - local[:, 2]).abs() < DEPTH_SLACK
    if not bool(same.any()):
        return 0.0, 0.0
    colors = rendered.images[a][rendered.alphas[a] >= SOLID]
    difference = (fetched[:, :3] - colors).abs().mean(dim=1)
    return float(difference[same].mean()), float(same.float().mean())


def _hidden(
    means: Tensor, rendered: Rendered, viewmats: Tensor, Ks: Tensor, views: list[int]
) -> float:
    """Share of the splats at means [N, 3] that none of the views sees."""
    size = rendered.alphas.shape[1]
    local = means @ viewmats[views, :3, :3].mT + viewmats[views, None, :3, 3]
    projected = local @ Ks[views].mT
    grid = (projected[..., :2] / projected[..., 2:].clamp_min(1e-6)) * (2 / size) - 1
    # Where nothing is solid nothing hides
    depths = torch.where(rendered.alphas >= SOLID, rendered.depths, torch.inf)[views, None]
    nearest = F.grid_sample(depths, grid[:, None], "nearest", "border", align_corners=False)
    return float((local[..., 2] > nearest[:, 0, 0] + BEHIND).all(dim=0).float().mean())


def _thickness(points: Tensor) -> float:
    """Smallest over largest extent along the points' own principal axes (5 % to 95 %)."""
    if len(points) < 8:
        return 0.0
    centred = (points - points.median(dim=0).values).double()
    _, axes = torch.linalg.eigh(centred.T @ centred)
    along = centred @ axes
    low, high = torch.quantile(along, torch.tensor([0.05, 0.95], dtype=torch.float64), dim=0)
    extents = high - low
    return float(extents.min() / extents.max().clamp_min(1e-9))


def _floaters(solid: Tensor) -> float:
    """Share of the area [K, S, S] bool that is not in the largest part of its own view."""
    apart, whole = 0, 0
    for view in solid.numpy():
        labels, count = ndimage.label(view)
        if count:
            sizes = ndimage.sum_labels(view, labels, range(1, count + 1))
            apart += int(sizes.sum() - sizes.max())
            whole += int(sizes.sum())
    return apart / max(1, whole)
