"""What moving a textured mesh's vertices would change of a picture, in plain PyTorch: the
definition."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class TexturedSurface(NamedTuple):
    """A textured mesh whose vertices may move.

    Attributes:
        vertices: [V, 3] float32. directions: [V, 3] float32, in which each moves.
        faces: [F, 3] int64. uvs: [F, 3, 2] float32, as `TexturedMesh.uvs`.
        image: [S, S', 3] float32 sRGB 0..1.
    """

    vertices: Tensor
    directions: Tensor
    faces: Tensor
    uvs: Tensor
    image: Tensor


class SeenSurface(NamedTuple):
    """Where a camera sees it, at N x N places in each of its H x W pixels.

    Attributes:
        viewmat: [4, 4] float32, world-to-camera, OpenCV axes. K: [3, 3] float32, of the pixels.
        face: [N H, N W] int64, -1 where nothing is. depth: [N H, N W] float32, 0 there.
    """

    viewmat: Tensor
    K: Tensor
    face: Tensor
    depth: Tensor


class Target(NamedTuple):
    """What the picture should be.

    Attributes:
        colors: [H, W, 4] float32: sRGB by coverage, coverage, 0..1.
        weights: [H, W] float32, at least 0.
    """

    colors: Tensor
    weights: Tensor


class ResidualRule(NamedTuple):
    """What counts.

    Attributes:
        tolerance: residuals beyond this count less and less.
        edge: share of the depth by which neighbouring places are apart at an edge.
        flat: cosine between ray and face below which its colours say nothing of where it is.
    """

    tolerance: float
    edge: float
    flat: float


class _Places(NamedTuple):
    """Of M places: which of all; corners [M, 3]; their coordinates and directions in the
    camera [M, 3, 3]; weights of the corners [M, 3]; colours [M, 3] and how they change as corners
    move [M, 3 corners, 3 colours]."""

    at: Tensor
    corners: Tensor
    local: Tensor
    moves: Tensor
    weights: Tensor
    colors: Tensor
    slopes: Tensor


class _Changes(NamedTuple):
    """[E] pixel, [E] vertex, [E, 4] by how much the pixel changes as the vertex moves."""

    pixel: Tensor
    vertex: Tensor
    change: Tensor


def surface_residuals_torch(
    on: TexturedSurface,
    seen: SeenSurface,
    target: Target,
    rule: ResidualRule,
    up: Tensor,
    down: Tensor,
) -> float:
    """`surface_residuals`."""
    height, width = target.weights.shape
    samples = seen.face.shape[0] // height
    places = _places(on, seen, samples, rule.flat)
    picture = torch.zeros(seen.face.numel(), 4, dtype=torch.float64, device=up.device)
    picture[places.at, :3] = places.colors
    picture[places.at, 3] = 1
    mean = picture.view(height, samples, width, samples, 4).mean(dim=(1, 3))
    off = target.colors - mean
    square = off.square().sum(dim=-1)
    slack = rule.tolerance**2
    loss = target.weights * slack * torch.log1p(square / slack) / 2
    trust = (target.weights / (1 + square / slack)).view(-1)
    every = [_inside(places, width, samples)]
    every += [_edges(places, picture, seen, samples, rule.edge, axis) for axis in (0, 1)]
    pixel, vertex, change = (torch.cat(parts) for parts in zip(*every, strict=True))
    change = change / samples**2
    size = change.norm(dim=-1)
    total = torch.zeros_like(trust).index_add_(0, pixel, size)
    along = (change * off.view(-1, 4)[pixel]).sum(dim=-1)
    up.index_add_(0, vertex, (trust[pixel] * along).to(up))
    down.index_add_(0, vertex, (trust[pixel] * size * total[pixel]).to(down))
    return float(loss.sum())


def _places(on: TexturedSurface, seen: SeenSurface, samples: int, flat: float) -> _Places:
    """By the volumes that the ray r spans with two corners each, x = M^-1 r with the corners in the
    columns of M, the corners' weights are b = x / sum x. As corner k moves by n, they change by
    b_k (b sum y - y), where y = M^-1 n."""
    index = (seen.face.reshape(-1) >= 0).nonzero()[:, 0]
    face = seen.face.reshape(-1)[index]
    turn, K = seen.viewmat[:3, :3].double(), seen.K.double()
    corners = on.faces[face]
    local = on.vertices[corners].double() @ turn.T + seen.viewmat[:3, 3].double()
    moves = on.directions[corners].double() @ turn.T
    wide = seen.face.shape[1]
    u = (index % wide + 0.5) / samples
    v = (torch.div(index, wide, rounding_mode="floor") + 0.5) / samples
    y = (v.double() - K[1, 2]) / K[1, 1]
    rays = torch.stack([(u - K[0, 2] - K[0, 1] * y) / K[0, 0], y, torch.ones_like(y)], dim=1)
    a, b, c = local.unbind(1)
    across = torch.stack([torch.linalg.cross(p, q) for p, q in ((b, c), (c, a), (a, b))], dim=1)
    det = (a * across[:, 0]).sum(dim=1)
    volumes = (across @ rays[..., None])[..., 0]
    whole = volumes.sum(dim=1)
    weights = volumes / torch.where(whole == 0, 1.0, whole)[:, None]
    normal = across.sum(dim=1)
    cosine = whole.abs() / (normal.norm(dim=1) * rays.norm(dim=1)).clamp_min(1e-30)
    known = (cosine > flat) & (det != 0) & (whole != 0)
    y_of = (across[:, None] @ moves[..., None])[..., 0] / torch.where(known, det, 1.0)[
        :, None, None
    ]
    corner_uvs = on.uvs[face].double()
    uvs = (corner_uvs * weights[..., None]).sum(dim=1)
    shift = y_of.sum(dim=2, keepdim=True) * uvs[:, None] - y_of @ corner_uvs
    shift = torch.where(known[:, None, None], weights[..., None] * shift, 0.0)
    colors, by_u, by_v = _looked_up(on.image.double(), uvs)
    slopes = shift[..., :1] * by_u[:, None] + shift[..., 1:] * by_v[:, None]
    return _Places(index, corners, local, moves, weights, colors, slopes)


def _looked_up(image: Tensor, uvs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Colours [M, 3], bilinear, and how they change with u and v."""
    height, width = image.shape[:2]
    size = torch.tensor([width, height], device=uvs.device, dtype=uvs.dtype)
    place = torch.minimum((uvs * size - 0.5).clamp_min(0), size - 1)
    low = torch.minimum(place.floor(), (size - 2).clamp_min(0))
    x, y = (place - low)[:, None].unbind(-1)
    column, row = low.long().unbind(-1)
    right, below = (column + 1).clamp_max(width - 1), (row + 1).clamp_max(height - 1)
    a, b = image[row, column], image[row, right]
    c, d = image[below, column], image[below, right]
    colors = (1 - y) * ((1 - x) * a + x * b) + y * ((1 - x) * c + x * d)
    by_u = ((1 - y) * (b - a) + y * (d - c)) * width
    by_v = ((1 - x) * (c - a) + x * (d - b)) * height
    return colors, by_u, by_v


def _inside(places: _Places, width: int, samples: int) -> _Changes:
    """The texture slides over the places."""
    pixel = _pixel(places.at, width * samples, samples)
    none = torch.zeros_like(places.slopes[..., :1])
    change = torch.cat([places.slopes, none], dim=-1).reshape(-1, 4)
    return _Changes(pixel.repeat_interleave(3), places.corners.reshape(-1), change)


def _edges(
    places: _Places, picture: Tensor, seen: SeenSurface, samples: int, edge: float, axis: int
) -> _Changes:
    """What is in front covers more or less of what is behind it, in the next place down (axis 0) or
    right (axis 1). The change is half in either place's pixel."""
    tall, wide = seen.face.shape
    depth = torch.where(seen.face >= 0, seen.depth, torch.inf).reshape(-1)
    at = torch.arange(tall * wide).view(tall, wide)
    first = at.narrow(axis, 0, at.shape[axis] - 1).reshape(-1)
    second = at.narrow(axis, 1, at.shape[axis] - 1).reshape(-1)
    row_of = torch.full((tall * wide,), -1)
    row_of[places.at] = torch.arange(len(places.at))
    found = []
    for front, behind, sign in ((first, second, 1.0), (second, first, -1.0)):
        is_edge = depth[behind] - depth[front] > edge * depth[front]
        front, behind = front[is_edge], behind[is_edge]
        row = row_of[front]
        weights, moves = places.weights[row], places.moves[row]
        point = (places.local[row] * weights[..., None]).sum(dim=1)
        image_axis = 1 - axis
        focal = seen.K[image_axis].to(moves)
        z = point[:, None, 2]
        flat = moves[..., :2] - point[:, None, :2] / z[..., None] * moves[..., 2:]
        speed = sign * samples * (flat @ focal[:2]) / z
        step = (weights * speed)[..., None] * (picture[front] - picture[behind])[:, None] / 2
        for place in (front, behind):
            pixel = _pixel(place, wide, samples).repeat_interleave(3)
            found.append(_Changes(pixel, places.corners[row].reshape(-1), step.reshape(-1, 4)))
    return _Changes(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def _pixel(index: Tensor, wide: int, samples: int) -> Tensor:
    row, column = torch.div(index, wide, rounding_mode="floor"), index % wide
    return torch.div(row, samples, rounding_mode="floor") * (wide // samples) + torch.div(
        column, samples, rounding_mode="floor"
    )
