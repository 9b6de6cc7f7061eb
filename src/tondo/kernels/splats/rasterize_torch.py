"""Rasterisation of splats in plain PyTorch: the readable definition of `tondo.rasterize`.

Kerbl et al. 2023, 3D Gaussian Splatting for Real-Time Radiance Field Rendering, equations 2 and 3,
with the details (thresholds, extents, order) of docs/conventions.md. Works on any device, in
float32 and float64, and is differentiable by autograd in every float input, `Ks` included.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from tondo.checks import check_shape
from tondo.geometry.rotations import rotation_from_quat
from tondo.geometry.spherical_harmonics import MAX_DEGREE, coefficient_count, harmonics_color
from tondo.kernels.splats.gaussians import Cameras, Gaussians, check_alike, check_gaussians
from tondo.kernels.splats.project_torch import (
    ALPHA_THRESHOLD,
    Projection,
    ProjectionOptions,
    project_torch,
)

RENDER_MODES = ("RGB", "D", "ED", "RGB+D", "RGB+ED")
RASTERIZE_MODES = ("classic", "antialiased")
MAX_ALPHA = 0.999  # that gradients stay finite; as gsplat
MIN_TRANSMITTANCE = 1e-4  # a pixel ends below it (Kerbl et al. 2023, 3DGS, appendix C)
_MIN_ALPHA_SUM = 1e-10  # expected depth divides by at least this


@dataclass(frozen=True)
class Request:
    """The arguments of `tondo.rasterize`, checked. See there for their meaning.

    Raises:
        TypeError, ValueError: a tensor of the wrong shape, dtype or device, an unknown mode.
    """

    gaussians: Gaussians
    cameras: Cameras
    sh: Tensor
    near_plane: float = 0.01
    far_plane: float = 1e10
    radius_clip: float = 0.0
    eps2d: float = 0.3
    sh_degree: int | None = None
    packed: bool = False
    tile_size: int = 16
    backgrounds: Tensor | None = None
    render_mode: str = "RGB"
    rasterize_mode: str = "classic"
    with_normals: bool = False

    def __post_init__(self) -> None:
        _check_options(self)
        sizes = check_gaussians(self.gaussians, self.cameras)
        channels = _check_sh(self, sizes)
        tensors = {"means": self.gaussians.means, "sh": self.sh}
        if self.backgrounds is not None:
            check_shape("backgrounds", self.backgrounds, "C D", {**sizes, "D": channels})
            tensors["backgrounds"] = self.backgrounds
        check_alike(tensors)

    @property
    def wants_color(self) -> bool:
        return self.render_mode.startswith("RGB")

    @property
    def wants_depth(self) -> bool:
        return self.render_mode != "RGB"

    @property
    def projection(self) -> ProjectionOptions:
        antialiased = self.rasterize_mode == "antialiased"
        return ProjectionOptions(
            self.near_plane, self.far_plane, self.radius_clip, self.eps2d, antialiased
        )


def request_of(*args: Any, **options: Any) -> Request:
    """The arguments of `tondo.rasterize`, as they are given there."""
    names = [*Gaussians._fields, "sh", *Cameras._fields, *(f.name for f in fields(Request)[3:])]
    given = {**dict(zip(names, args, strict=False)), **options}
    gaussians = Gaussians(*(given.pop(name) for name in Gaussians._fields))
    return Request(gaussians, Cameras(*(given.pop(name) for name in Cameras._fields)), **given)


def _check_options(request: Request) -> None:
    if request.tile_size < 1:
        raise ValueError(f"tile_size must be at least 1, got {request.tile_size}")
    if request.render_mode not in RENDER_MODES:
        raise ValueError(f"render_mode must be one of {RENDER_MODES}, got {request.render_mode!r}")
    if request.rasterize_mode not in RASTERIZE_MODES:
        raise ValueError(
            f"rasterize_mode must be one of {RASTERIZE_MODES}, got {request.rasterize_mode!r}"
        )
    if request.packed:
        raise ValueError("packed=True is not supported: use packed=False, the picture is the same")


def _check_sh(request: Request, sizes: dict[str, int]) -> int:
    """Checks the shape of `sh`; returns the number of colour channels."""
    sh, degree = request.sh, request.sh_degree
    if degree is None:
        per_camera = isinstance(sh, Tensor) and sh.dim() == 3
        return check_shape(
            "sh (colors, as sh_degree is None)", sh, "C N D" if per_camera else "N D", sizes
        )["D"]
    if not 0 <= degree <= MAX_DEGREE:
        raise ValueError(f"sh_degree must be None or 0..{MAX_DEGREE}, got {degree}")
    per_camera = isinstance(sh, Tensor) and sh.dim() == 4
    found = check_shape("sh", sh, "C N K 3" if per_camera else "N K 3", sizes)
    if found["K"] < coefficient_count(degree):
        raise ValueError(
            f"sh_degree {degree} needs {coefficient_count(degree)} coefficients, "
            f"sh has {found['K']}"
        )
    return 3


@dataclass(frozen=True)
class Layers:
    """What the splats alone give in each pixel: what every path (torch, native, CUDA) computes.

    Attributes:
        alphas: [C, H, W, 1] sum of w_i.
        meta: radii [C, N, 2] int32, means2d [C, N, 2], depths [C, N], conics [C, N, 3], opacities
            [C, N] after compensation: the splats in each camera, as `tondo.rasterize` gives them.
        colors: [C, H, W, D] sum of w_i c_i, or None if not asked for.
        depths: [C, H, W, 1] sum of w_i t_z,i, or None if not asked for.
        normals: [C, H, W, 3] sum of w_i n_i, or None if not asked for.
    """

    alphas: Tensor
    meta: dict[str, Tensor]
    colors: Tensor | None = None
    depths: Tensor | None = None
    normals: Tensor | None = None


def rasterize_torch(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """`tondo.rasterize` by this twin, whatever else is installed: same arguments, same result."""
    request = request_of(*args, **kwargs)
    return assemble(request, layers_torch(request))


def layers_torch(request: Request) -> Layers:
    """Project, colour and blend, camera by camera."""
    projection = project_torch(request.gaussians, request.cameras, request.projection)
    opacities = request.gaussians.opacities * projection.compensations
    colors = splat_colors(request) if request.wants_color else None
    parts = parts_of(request, projection, colors)
    parts["alphas"] = torch.ones_like(opacities)[..., None]
    channels = join_parts(parts)
    pictures = torch.stack(
        [
            _blend_camera(request, projection, opacities[c], channels[c], camera=c)
            for c in range(len(opacities))
        ]
    )
    return Layers(**split_parts(parts, pictures), meta=screen_meta(projection, opacities))


def parts_of(request: Request, projection: Projection, colors: Tensor | None) -> dict[str, Tensor]:
    """What is asked for of the splats in each camera: `colors` [C, N, D], depths [C, N, 1], normals
    [C, N, 3]."""
    parts = {} if colors is None else {"colors": colors}
    if request.wants_depth:
        parts["depths"] = projection.depths[..., None]
    if request.with_normals:
        parts["normals"] = splat_normals(request.gaussians, request.cameras.viewmats)
    return parts


def join_parts(parts: dict[str, Tensor]) -> Tensor:
    """[C, N, X], the channels of all parts [C, N, x] side by side."""
    return torch.cat(list(parts.values()), dim=-1)


def split_parts(parts: dict[str, Tensor], pictures: Tensor) -> dict[str, Tensor]:
    """The pictures [C, H, W, x] of each part from [C, H, W, X]."""
    sizes = [part.shape[-1] for part in parts.values()]
    return dict(zip(parts, pictures.split(sizes, dim=-1), strict=True))


def screen_meta(projection: Projection, opacities: Tensor) -> dict[str, Tensor]:
    """The part of meta that the splats decide; `opacities` [C, N] after compensation."""
    return {
        "radii": projection.radii,
        "means2d": projection.means2d,
        "depths": projection.depths,
        "conics": projection.conics,
        "opacities": opacities,
    }


def assemble(request: Request, layers: Layers) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Backgrounds, depth modes and meta: what comes after blending, the same for every path."""
    outputs = []
    if layers.colors is not None:
        colors = layers.colors
        if request.backgrounds is not None:
            colors = colors + (1 - layers.alphas) * request.backgrounds[:, None, None, :]
        outputs.append(colors)
    if layers.depths is not None:
        expected = request.render_mode.endswith("ED")
        divisor = layers.alphas.clamp_min(_MIN_ALPHA_SUM) if expected else 1
        outputs.append(layers.depths / divisor)
    picture = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
    viewmats, _, width, height = request.cameras
    meta: dict[str, Any] = {
        **layers.meta,
        "tile_width": -(-width // request.tile_size),
        "tile_height": -(-height // request.tile_size),
        "tile_size": request.tile_size,
        "width": width,
        "height": height,
        "n_cameras": len(viewmats),
    }
    if layers.normals is not None:
        meta["normals"] = layers.normals
    return picture, layers.alphas, meta


def camera_positions(viewmats: Tensor) -> Tensor:
    """[C, 3] centres in world space of [C, 4, 4] world-to-camera matrices.

    By the inverse rather than -R^T t: equal for rotations, but the gradient in `viewmats` is
    defined off them too, and this is the one that `gsplat` has.
    """
    return torch.linalg.inv(viewmats)[:, :3, 3]


def splat_colors(request: Request) -> Tensor:
    """[C, N, D] colours as each camera sees them."""
    if request.sh_degree is None:
        return plain_colors(request)
    positions = camera_positions(request.cameras.viewmats)
    dirs = request.gaussians.means - positions[:, None, :]  # [C, N, 3]
    return harmonics_color(request.sh_degree, dirs, request.sh)


def plain_colors(request: Request) -> Tensor:
    """[C, N, D] colours that are no harmonics."""
    colors = request.sh
    return colors if colors.dim() == 3 else colors.expand(len(request.cameras.Ks), *colors.shape)


def splat_normals(gaussians: Gaussians, viewmats: Tensor) -> Tensor:
    """[C, N, 3] unit normals of splats in world space: the shortest axis (the first of equally
    short ones), turned towards the camera."""
    means, quats, scales, _ = gaussians
    positions = camera_positions(viewmats)
    shortest = scales.argmin(dim=-1) if len(scales) else scales.new_zeros(0, dtype=torch.int64)
    axes = rotation_from_quat(quats).transpose(-1, -2)  # rows are the splat's axes
    normals = axes.gather(-2, shortest[:, None, None].expand(-1, 1, 3)).squeeze(-2)
    away = ((means - positions[:, None, :]) * normals).sum(dim=-1, keepdim=True) > 0
    return torch.where(away, -normals, normals)


def _blend_camera(
    request: Request, projection: Projection, opacities: Tensor, channels: Tensor, camera: int
) -> Tensor:
    """[H, W, X] weighted sums of `channels` [N, X], tile by tile."""
    radii, depths = projection.radii[camera], projection.depths[camera].detach()
    visible = (radii > 0).all(dim=1).nonzero().squeeze(1)
    order = visible[depths[visible].argsort(stable=True)]
    means2d, conics = projection.means2d[camera][order], projection.conics[camera][order]
    opacities, channels = opacities[order], channels[order]
    low = (means2d - radii[order]).detach()
    high = (means2d + radii[order]).detach()
    size = request.tile_size
    _, _, width, height = request.cameras
    rows = []
    for y in range(0, height, size):
        bottom = min(y + size, height)
        in_row = (low[:, 1] < bottom) & (high[:, 1] > y)
        row = []
        for x in range(0, width, size):
            right = min(x + size, width)
            near = (in_row & (low[:, 0] < right) & (high[:, 0] > x)).nonzero().squeeze(1)
            pixels = torch.cartesian_prod(
                torch.arange(y, bottom, dtype=means2d.dtype, device=means2d.device),
                torch.arange(x, right, dtype=means2d.dtype, device=means2d.device),
            ).flip(-1)
            # Recomputed in the backward pass: memory for one tile instead of all of them.
            tile = checkpoint(
                blend,
                pixels + 0.5,
                means2d[near],
                conics[near],
                opacities[near],
                channels[near],
                use_reentrant=False,
                preserve_rng_state=False,
            )
            row.append(tile.unflatten(0, (bottom - y, right - x)))
        rows.append(torch.cat(row, dim=1))
    return torch.cat(rows, dim=0)


def blend(
    pixels: Tensor, means2d: Tensor, conics: Tensor, opacities: Tensor, channels: Tensor
) -> Tensor:
    """Sums of w_i channels_i over M splats from front to back, at P pixel centres.

    Args:
        pixels: [..., P, 2]. means2d: [..., M, 2]. conics: [..., M, 3]. opacities: [..., M].
        channels: [..., M, X].

    Returns:
        [..., P, X].
    """
    dx, dy = (means2d[..., None, :, :] - pixels[..., :, None, :]).unbind(-1)  # [..., P, M]
    xx, xy, yy = conics[..., None, :, :].unbind(-1)
    sigma = 0.5 * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
    alpha = (opacities[..., None, :] * (-sigma).exp()).clamp_max(MAX_ALPHA)
    with torch.no_grad():
        used = (sigma >= 0) & (alpha >= ALPHA_THRESHOLD)
        # Transmittance only falls, so "stop at the first that would bring it to the limit" is
        # "use those that leave it above".
        used &= torch.cumprod(1 - alpha * used, dim=-1) > MIN_TRANSMITTANCE
    alpha = alpha * used
    after = torch.cumprod(1 - alpha, dim=-1)
    before = torch.cat([torch.ones_like(after[..., :1]), after[..., :-1]], dim=-1)
    return (alpha * before) @ channels
