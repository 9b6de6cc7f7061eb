"""Generated objects as what the rest of the program works with: splats, meshes."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csr_matrix, diags
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.data.splats import Scene, Splats
from tondo.gan.generator import Skins
from tondo.gan.lining import with_lining
from tondo.kernels.sphere_maps_torch import softened_torch, wrap

SH_C0 = 0.28209479177387814  # the constant harmonic
UP = (0.0, 1.0, 0.0)
ROWS = 64  # of a mesh at least, from pole to pole
LEAST_WEIGHT = 1e-3  # of a splat that lends its colour to the mesh
UNFOLDING_ROUNDS = 40
FOLD_COSINE = 0.0  # a face is part of a fold if it looks away from its vertices' mean normal
THINNEST_RING = 0.025  # object radii; a line of splats looks so wide in pictures of 64 pixels
LEAST_SHAPE = 1e-4  # twice a face's area by its longest side squared; below it is a needle


def scene_of(skins: Skins, index: int) -> Scene:
    """Object `index` as a scene of splats, on white, with its lining where it has one."""
    skins = with_lining(skins)
    opacities = skins.opacities[index].clamp(1e-6, 1 - 1e-6)
    splats = Splats(
        means=skins.means[index].contiguous(),
        quats=skins.quats[index].contiguous(),
        log_scales=skins.scales[index].clamp_min(1e-8).log(),
        opacity_logits=torch.logit(opacities),
        sh=((skins.colors[index] - 0.5) / SH_C0)[:, None].contiguous(),
    )
    return Scene(splats, torch.ones(3), torch.tensor(UP), 1.0, torch.zeros(3))


def mesh_of(skins: Skins, index: int, finer: int | None = None) -> Mesh:
    """Object `index` as a closed mesh: the skin's grid, with one vertex more at each pole.

    Ripples from one splat to the next are smoothed away, which pictures of this size do not show;
    the grid is interpolated (bicubic, across the seam and the poles), folds are pulled flat, and
    faces look outwards. Every edge belongs to two faces that run through it in opposite directions.

    Args:
        finer: vertices along each side of a splat's cell, at least 1; None for as many as make
            64 rows.

    Returns:
        Mesh with colours and unit normals, +y up, within about the unit sphere.
    """
    rows, columns = skins.grid.shape[2:]
    finer = max(1, ROWS // rows) if finer is None else finer
    grid = _without_ripples(skins.grid[index : index + 1].detach())
    if skins.radial:
        grid = _without_needles(grid)
    colors = _visible_colors(skins, index, rows, columns)
    if finer > 1:
        grid, colors = _finer(grid, finer), _finer(colors, finer)
    vertices, shades = _with_poles(grid), _with_poles(colors)
    faces = closed_faces(rows * finer, columns * finer)
    vertices = unfolded(vertices, faces)
    if signed_volume(vertices, faces) < 0:
        faces = faces.flip(1)
    return Mesh(
        vertices.contiguous(),
        faces,
        (shades * 255).round().clamp(0, 255).to(torch.uint8),
        vertex_normals(vertices, faces),
    )


def _visible_colors(skins: Skins, index: int, rows: int, columns: int) -> Tensor:
    """[1, 3, rows, columns]: each splat's colour mixed with its eight neighbours', by opacity: what
    nobody can see through to has a colour that means nothing."""
    colors = skins.colors[index].detach().T.view(1, 3, rows, columns)
    weights = skins.opacities[index].detach().view(1, 1, rows, columns).square() + LEAST_WEIGHT
    # a splat's standard deviation is about 0.6 cells: so much of it lies over its neighbours
    kernel = torch.tensor([[1.0, 4.0, 1.0], [4.0, 16.0, 4.0], [1.0, 4.0, 1.0]])
    summed = F.conv2d(
        wrap(torch.cat([colors * weights, weights], dim=1), 1),
        kernel.expand(4, 1, 3, 3),
        groups=4,
    )
    return summed[:, :3] / summed[:, 3:]


def _without_ripples(grid: Tensor) -> Tensor:
    """A map [1, 3, H, W] without its shortest waves: (2 S - S^2) grid with S the binomial filter,
    which takes the checkerboard to zero and leaves curvature (Taubin 1995, for a pass-band)."""
    return 2 * softened_torch(grid) - softened_torch(softened_torch(grid))


def _without_needles(grid: Tensor) -> Tensor:
    """A radial skin's map [1, 3, H, W] with its rings as wide as pictures show them: the renderer
    blurs by 0.3 pixels squared, so that a needle looks like a stem to the generator. Rings keep
    their order from narrow to wide; those of the body hardly change."""
    flat = grid[:, ::2]
    middle = flat.mean(dim=3, keepdim=True)
    squared = (flat - middle).square().sum(dim=1, keepdim=True).mean(dim=3, keepdim=True)
    wider = (1.0 + THINNEST_RING**2 / squared.clamp_min(1e-12)).sqrt()
    flat = middle + (flat - middle) * wider
    return torch.stack([flat[:, 0], grid[:, 1], flat[:, 1]], dim=1)


def _finer(maps: Tensor, times: int) -> Tensor:
    """A latitude-longitude map [1, C, H, W] at `times` its resolution, bicubic, without a seam."""
    reach = 3
    grown = F.interpolate(wrap(maps, reach), scale_factor=times, mode="bicubic")
    cut = reach * times
    return grown[:, :, cut:-cut, cut:-cut]


def _with_poles(maps: Tensor) -> Tensor:
    """[1, C, H, W] to [H * W + 2, C], the two poles last."""
    values = maps[0].permute(1, 2, 0)
    return torch.cat([values.flatten(0, 1), values[:1].mean(dim=1), values[-1:].mean(dim=1)])


def closed_faces(rows: int, columns: int) -> Tensor:
    """[F, 3] int64, counter-clockwise from outside: the cells of a latitude-longitude grid, and
    fans from its two poles, which are the last two vertices."""
    index = torch.arange(rows * columns).view(rows, columns)
    east = torch.roll(index, -1, dims=1)
    a, b, c, d = index[:-1], index[1:], east[1:], east[:-1]
    cells = torch.stack([torch.stack([a, b, c], -1), torch.stack([a, c, d], -1)]).view(-1, 3)
    north, south = torch.tensor(rows * columns), torch.tensor(rows * columns + 1)
    top = torch.stack([north.expand(columns), index[0], east[0]], dim=1)
    bottom = torch.stack([south.expand(columns), east[-1], index[-1]], dim=1)
    return torch.cat([cells, top, bottom])


def unfolded(vertices: Tensor, faces: Tensor, rounds: int = UNFOLDING_ROUNDS) -> Tensor:
    """Vertices [V, 3] with folds and needles pulled flat; where there are none, nothing moves.

    Again and again, the vertices of every face that looks against the surface around it, or that
    has nearly no area, move to the mean of their neighbours (Taubin 1995), until none is left or
    the rounds are over.
    """
    points, index = vertices.double().numpy(), faces.numpy()
    count = len(points)
    corners = index.T.ravel()
    incidence = csr_matrix((np.ones(len(corners)), (corners, np.tile(np.arange(len(index)), 3))))
    ahead = np.roll(index, -1, axis=1).T.ravel()
    neighbours = csr_matrix((np.ones(len(corners)), (corners, ahead)), shape=(count, count))
    neighbours = diags(1 / np.asarray(neighbours.sum(axis=1)).ravel()) @ neighbours
    for _ in range(rounds):
        bad = _folded(points, index, incidence)
        if not bad.any():
            break
        chosen = np.unique(index[bad])
        points = points.copy()
        points[chosen] = neighbours[chosen] @ points
    return torch.from_numpy(points).float()


def folded_faces(vertices: Tensor, faces: Tensor) -> Tensor:
    """[F] bool: faces that look against the mean normal of their three vertices, or are needles."""
    index = faces.numpy()
    corners = index.T.ravel()
    incidence = csr_matrix((np.ones(len(corners)), (corners, np.tile(np.arange(len(index)), 3))))
    return torch.from_numpy(_folded(vertices.double().numpy(), index, incidence))


def _folded(points: np.ndarray, index: np.ndarray, incidence: csr_matrix) -> np.ndarray:
    a, b, c = (points[index[:, k]] for k in range(3))
    sides = np.stack([b - a, c - b, a - c])
    normal = np.cross(sides[0], -sides[2])
    lengths = np.linalg.norm(normal, axis=1)
    needles = lengths <= LEAST_SHAPE * (sides**2).sum(axis=2).max(axis=0)
    at_vertices = incidence @ normal
    at_vertices /= np.maximum(np.linalg.norm(at_vertices, axis=1, keepdims=True), 1e-30)
    around = at_vertices[index].sum(axis=1)
    return needles | ((normal * around).sum(axis=1) < FOLD_COSINE * lengths)


def signed_volume(vertices: Tensor, faces: Tensor) -> float:
    """What a closed mesh encloses; negative if its faces look inwards."""
    a, b, c = vertices.double()[faces].unbind(1)
    return float((a * torch.linalg.cross(b, c)).sum() / 6)


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """[V, 3] unit normals, faces weighted by their areas."""
    a, b, c = vertices[faces].unbind(1)
    normal = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(vertices)
    for corner in range(3):
        total.index_add_(0, faces[:, corner], normal)
    return F.normalize(total, dim=1, eps=1e-20)
