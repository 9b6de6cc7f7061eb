"""A texture and its mesh fitted to photographs: render, compare, update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from scipy.sparse import csr_matrix
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.geometry.cameras import scaled
from tondo.geometry.fair import fair_field, neighbour_mean
from tondo.geometry.mesh import vertex_normals
from tondo.kernels.mesh.surface_residuals import surface_residuals
from tondo.kernels.mesh.surface_residuals_torch import (
    ResidualRule,
    SeenSurface,
    Target,
    TexturedSurface,
)
from tondo.kernels.mesh_depth import mesh_depth
from tondo.kernels.texture_residuals import texture_residuals
from tondo.mesh.render import surface_samples
from tondo.runs.watch import SILENT, Watch
from tondo.texture.bake import OPAQUE, Picture, show_one_object

SWEEPS = 3  # over all photographs (docs/notes/texture.md)
AT_ONCE = 12  # photographs from one step of the texture to the next (docs/notes/texture.md)
DAMPING = 0.2  # of these steps
SHARES = (1.0, 0.3)  # of a sweep over the texture that are tried; chosen
OVER = 2.0  # of the steps of the vertices, which are cautious; beyond 3 they overshoot
STIFF, STAY = 10.0, 1e-3  # of `fair_field`, beside the median vertex (docs/notes/texture.md)
RULE = ResidualRule(tolerance=0.2, edge=0.03, flat=0.2)  # docs/notes/texture.md
CHECKED_EVERY = 8  # photographs; these do not take part and tell whether it helps; chosen
CHECKED_MOST = 16  # of them, evenly spread; bounds time; chosen
PIXELS = 128_000_000  # of photographs in a sweep, others in the next; bounds time; chosen
_SAMPLES = 2  # along each side of a pixel
_SOME = 0.5  # of a pixel that shows the object, and of its samples; chosen


@dataclass(frozen=True)
class Fitted:
    """What came of fitting.

    Attributes:
        image: [S, S, 3] float32. mesh: its vertices may have moved, in the same order.
        before, after: loss on the photographs that did not take part; the same if nothing changed.
    """

    image: Tensor
    mesh: Mesh
    before: float
    after: float


@dataclass(frozen=True)
class _Problem:
    """What stays: the uvs, in which direction vertices move (a pixel of the photographs is 1), the
    photographs, and whether they show the object alone, so that its outline counts."""

    uvs: Tensor
    directions: Tensor
    pictures: Sequence[Picture]
    outlined: bool


def fitted(
    image: Tensor,
    mesh: Mesh,
    uvs: Tensor,
    pictures: Sequence[Picture],
    watch: Watch = SILENT,
    *,
    moving: bool = False,
) -> Fitted:
    """A texture [S, S, 3] float32 and, with `moving`, the vertices along their normals, after some
    sweeps of fitting them to the pictures, where that brings pictures closer that did not take
    part; otherwise as they were.

    The vertices take a step of gradient descent on the differences of all pixels, as a smooth field
    of displacements (`surface_residuals`); the texture takes one after some photographs each, on
    squared differences, scaled for each texel by the inverse of how much the pixels see of it
    (ordered subsets of SIRT), and damped. Either is kept by itself. Where photographs show the
    object alone, its outline counts, too.
    """
    apart = range(CHECKED_EVERY // 2, len(pictures), CHECKED_EVERY)
    used = [index for index in range(len(pictures)) if index not in apart]
    checked = apart[:: -(-len(apart) // CHECKED_MOST) or 1]
    if not checked or not used:
        return Fitted(image, mesh, 0.0, 0.0)
    directions = vertex_normals(mesh.vertices, mesh.faces) * _pixel(mesh, pictures)
    problem = _Problem(uvs, directions, pictures, show_one_object(pictures))
    before = _loss(problem, image, mesh, checked)
    best = Fitted(image, mesh, before, before)
    field = torch.zeros(len(mesh.vertices))
    mean = neighbour_mean(mesh.faces, len(field))
    for sweep in range(SWEEPS):
        so_far, what = best.after, f"fitting to the photographs, sweep {sweep + 1}"
        some = _some(used, pictures, sweep)
        if moving:
            further = _moved(problem, best, mean, field, some, watch, what)
            now = replace(mesh, vertices=mesh.vertices + further[:, None] * directions)
            loss = _loss(problem, best.image, now, checked)
            if loss < best.after:
                best, field = replace(best, mesh=now, after=loss), further
        painted = _painted(problem, best, some, watch, what)
        for share in SHARES:
            image = torch.lerp(best.image, painted, share)
            loss = _loss(problem, image, best.mesh, checked)
            if loss < best.after:
                best = replace(best, image=image, after=loss)
                break
        if not best.after < so_far:
            break
    if best.mesh is not mesh:
        normals = vertex_normals(best.mesh.vertices, mesh.faces)
        best = replace(best, mesh=replace(best.mesh, normals=normals))
    return best


def _some(used: Sequence[int], pictures: Sequence[Picture], sweep: int) -> list[int]:
    """Those that take part in a sweep, evenly spread: all, where they have few enough pixels."""
    pixels = sum(pictures[index].coverage.numel() for index in used)
    step = max(1, -(-pixels // PIXELS))
    return list(used[sweep % step :: step])


def _loss(problem: _Problem, image: Tensor, mesh: Mesh, checked: Sequence[int]) -> float:
    return sum(_residuals(problem, image, mesh, index)[0] for index in checked)


def _pixel(mesh: Mesh, pictures: Sequence[Picture]) -> float:
    """World units that a pixel covers at the mesh's middle, of the middle picture."""
    middle = mesh.vertices.mean(dim=0)
    sizes = [
        float((one.camera.viewmat[2, :3] @ middle + one.camera.viewmat[2, 3]).clamp_min(1e-6))
        / float(one.camera.K[0, 0])
        for one in pictures
    ]
    return sorted(sizes)[len(sizes) // 2]


def _moved(
    problem: _Problem,
    now: Fitted,
    mean: csr_matrix,
    field: Tensor,
    used: Sequence[int],
    watch: Watch,
    what: str,
) -> Tensor:
    """[V] the displacements `field` after a step."""
    pull, hold = torch.zeros(2, len(field))
    for index in watch.over(used, f"{what}: the surface"):
        _, up, down = _residuals(problem, now.image, now.mesh, index)
        pull += up
        hold += down
    known = hold > 0
    usual = float(hold[known].median()) if bool(known.any()) else 1.0
    bend = torch.from_numpy(mean @ field.numpy()) - field
    step, trust = pull / hold.clamp_min(1e-9 * usual), hold / usual
    return field + OVER * fair_field(mean, bend, step, trust, stiff=STIFF, stay=STAY)


def _painted(
    problem: _Problem, now: Fitted, used: Sequence[int], watch: Watch, what: str
) -> Tensor:
    """The image after a sweep."""
    image = now.image.clone()
    up, down = torch.zeros_like(image), torch.zeros(image.shape[:2])
    for done, index in enumerate(watch.over(_spread(used), f"{what}: the texture"), start=1):
        at, colors = _pixels(problem, image.shape[0], now.mesh, index)
        texture_residuals(at, colors, image, up, down)
        if done % AT_ONCE == 0 or done == len(used):
            image.add_(up.div_(down.clamp_min_(1e-6)[..., None]), alpha=DAMPING).clamp_(0, 1)
            up.zero_()
            down.zero_()
    return image


def _spread(used: Sequence[int]) -> list[int]:
    """All of them, so that neighbours, which are alike, are not taken one after the other."""
    generator = torch.Generator().manual_seed(0)
    return [used[index] for index in torch.randperm(len(used), generator=generator).tolist()]


def _residuals(
    problem: _Problem, image: Tensor, mesh: Mesh, index: int
) -> tuple[float, Tensor, Tensor]:
    """Loss, and `up` and `down` of `surface_residuals`, of one photograph."""
    picture = problem.pictures[index]
    camera = picture.camera
    width, height = _SAMPLES * camera.width, _SAMPLES * camera.height
    large = scaled(camera, width, height)
    depth, face = mesh_depth(mesh.vertices, mesh.faces, large.viewmat, large.K, width, height)
    colors = picture.colors(picture.image.reshape(-1, 3).float()).view(*picture.image.shape)
    cover = picture.coverage
    if problem.outlined:
        weights = torch.ones_like(cover)
    else:
        covered = (face >= 0).view(camera.height, _SAMPLES, camera.width, _SAMPLES)
        shown = covered.all(dim=3).all(dim=1) & (cover > OPAQUE)
        weights = -F.max_pool2d(-shown.float()[None, None], 3, 1, 1)[0, 0]
        cover = torch.ones_like(cover)
    target = Target(torch.cat([colors * cover[..., None], cover[..., None]], dim=-1), weights)
    up, down = torch.zeros(2, len(mesh.vertices))
    on = TexturedSurface(mesh.vertices, problem.directions, mesh.faces, problem.uvs, image)
    seen = SeenSurface(camera.viewmat, camera.K, face, depth)
    return surface_residuals(on, seen, target, RULE, up, down), up, down


def _pixels(problem: _Problem, size: int, mesh: Mesh, index: int) -> tuple[Tensor, Tensor]:
    """Pixels of a photograph that show the mesh: where their N samples lie in the texture,
    [P, N, 2] texels, and the photograph's colours [P, 3].

    Where photographs show the object alone, its border counts, too: samples beside it are taken for
    one that is on it.
    """
    picture = problem.pictures[index]
    samples = surface_samples(mesh, picture.camera, _SAMPLES)
    hit = samples.face >= 0
    if problem.outlined:
        chosen = (hit.float().mean(dim=-1) >= _SOME) & (picture.coverage > _SOME)
    else:
        covered = -F.max_pool2d(-picture.coverage[None, None], 3, 1, 1)[0, 0] > OPAQUE
        chosen = hit.all(dim=-1) & covered
    first = hit[chosen].float().argmax(dim=-1, keepdim=True)
    taken = torch.where(hit[chosen], torch.arange(hit.shape[-1]), first)
    face = samples.face[chosen].gather(1, taken)
    weights = samples.weights[chosen].gather(1, taken[..., None].expand(-1, -1, 3))
    at = (problem.uvs[face] * weights[..., None]).sum(dim=-2) * size
    return at, picture.colors(picture.image[chosen].float())
