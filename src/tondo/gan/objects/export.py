"""Generated objects as what the rest of the program works with: splats, meshes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.data.splats import Scene, Splats
from tondo.gan.networks.skin import Skins
from tondo.gan.objects.inner_layer import with_inner_layer
from tondo.geometry.mesh import closed_faces, signed_volume, unfolded, vertex_normals
from tondo.geometry.spherical_harmonics import SH_C0
from tondo.kernels.sphere.sphere_maps_torch import softened_torch, wrap

UP = (0.0, 1.0, 0.0)  # of the object's own frame: y is up (docs/conventions.md)
ROWS = 64  # of a mesh at least, from pole to pole; chosen
LEAST_WEIGHT = 1e-3  # of a splat that lends its colour to the mesh; chosen
THINNEST_RING = 0.025  # object radii: as wide as a line of splats looks (docs/notes/gan.md)


def scene_of(skins: Skins, index: int) -> Scene:
    """Object `index` as a scene of splats, on white, with its inner layer where it has one."""
    skins = with_inner_layer(skins)
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
    if skins.axial:
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
