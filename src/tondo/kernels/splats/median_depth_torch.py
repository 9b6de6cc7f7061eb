"""The depth at which the light through the splats has fallen to a given level.

Expected depth (a mean over all splats that a ray meets) lies between surfaces at their edges and
behind a surface that some light passes. Here each splat takes its light away around the depth of
its own peak along the ray, as in Yu et al. 2024, Gaussian Opacity Fields, and Zhang et al. 2024,
RaDe-GS:

    T(t) = prod_i (1 - alpha_i logistic(1.702 (t - t_i) / s_i)),   T(depth) = level

with alpha_i as in `tondo.rasterize`, t_i the depth along the camera's z axis at which the 3D
Gaussian is densest on the ray and s_i its standard deviation along the ray. The logistic function
stands for the normal distribution's (within 0.01). T falls from 1, so there is one such depth.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tondo.geometry.rotations import rotation_from_quat
from tondo.kernels.splats.gaussians import Cameras, Gaussians
from tondo.kernels.splats.project_torch import (
    ALPHA_THRESHOLD,
    Projection,
    ProjectionOptions,
    project_torch,
)
from tondo.kernels.splats.rasterize_torch import MAX_ALPHA, MIN_TRANSMITTANCE

PROJECTION = ProjectionOptions()  # that of `tondo.rasterize`
_REACH = 3.0  # standard deviations along z that a peak can lie from the mean; chosen
_LEAST_SPREAD = 1e-5  # of the depth; chosen
_BISECTIONS = 50  # 2^-50 of the interval: below the rounding of float64


def median_depth_torch(gaussians: Gaussians, cameras: Cameras, *, level: float = 0.5) -> Tensor:
    """The same as `median_depth`, in torch."""
    screen = project_torch(gaussians, cameras, PROJECTION)
    each = [_depth(gaussians, cameras, screen, c, level) for c in range(len(cameras.Ks))]
    return torch.stack(each)


def _depth(
    gaussians: Gaussians, cameras: Cameras, screen: Projection, camera: int, level: float
) -> Tensor:
    """[H, W] of one camera."""
    visible = (screen.radii[camera] > 0).all(dim=1).nonzero()[:, 0]
    order = visible[screen.depths[camera, visible].argsort(stable=True)]
    centers, conics = screen.means2d[camera, order], screen.conics[camera, order]
    splats = Gaussians(*(t[order] for t in gaussians))
    rays = ray_depths(splats, cameras.viewmats[camera], cameras.Ks[camera]).to(centers.dtype)
    rows = []
    for y in range(cameras.height):
        x = torch.arange(cameras.width, dtype=centers.dtype, device=centers.device) + 0.5
        offsets = torch.stack([x, torch.full_like(x, y + 0.5)], dim=-1)[:, None] - centers
        alphas = _alphas(offsets, conics, splats.opacities)
        rows.append(_crossing(alphas, *_along_rays(offsets, rays), level))
    return torch.stack(rows)


def ray_depths(gaussians: Gaussians, viewmat: Tensor, K: Tensor) -> Tensor:
    """What each splat says about depth on the rays around its centre.

    In camera space let m = z r0 be the mean with r0 = (x/z, y/z, 1), and A the inverse covariance,
    the low-pass filter of the picture included. On the ray through the pixel d beside the mean's,
    r = r0 + (d_x / f_x, d_y / f_y, 0), the Gaussian is densest at the depth

        t = r.A m / r.A r = z (1 + b.d) / (1 + 2 b.d + d.C d)

    with spread 1 / sqrt(r.A r), where b.d = r0.A (r - r0) / r0.A r0, and d.C d likewise.

    Args:
        gaussians: in front of the camera. viewmat: [4, 4]. K: [3, 3].

    Returns:
        [N, 8] float64: b_x, b_y (1 / pixels), C_xx, 2 C_xy, C_yy (1 / pixels^2), z, the spread at
        d = 0, and how far from z a peak may lie (world units).
    """
    means, quats, scales, _ = gaussians
    viewmat, K = viewmat.double(), K.double()
    rotation, focal = viewmat[:3, :3], torch.stack([K[0, 0], K[1, 1]])
    x, y, z = (means.double() @ rotation.T + viewmat[:3, 3]).unbind(-1)
    half = rotation @ rotation_from_quat(quats.double()) * scales.double()[:, None, :]
    covariance = half @ half.transpose(-1, -2)
    filtered = torch.cat(
        [PROJECTION.eps2d * (z[:, None] / focal) ** 2, 1e-10 * z[:, None] ** 2], dim=1
    )
    covariance = covariance + torch.diag_embed(filtered)
    first, second, third = covariance.unbind(1)
    cofactors = torch.stack(
        [torch.linalg.cross(p, q) for p, q in ((second, third), (third, first), (first, second))],
        dim=1,
    )  # the inverse is this over the determinant
    determinant = (first * cofactors[:, 0]).sum(-1)
    r0 = torch.stack([x / z, y / z, torch.ones_like(z)], dim=-1)
    A_r0 = (cofactors @ r0[:, :, None])[:, :, 0]
    own = (A_r0 * r0).sum(-1, keepdim=True)
    b = A_r0[:, :2] / own / focal
    C = cofactors[:, :2, :2] / own[:, :, None] / focal / focal[:, None]
    squares = torch.stack([C[:, 0, 0], 2 * C[:, 0, 1], C[:, 1, 1]], dim=1)
    spread = (determinant / own[:, 0]).sqrt()
    reach = _REACH * covariance[:, 2, 2].sqrt()
    return torch.cat([b, squares, torch.stack([z, spread, reach], dim=1)], dim=1)


def _alphas(offsets: Tensor, conics: Tensor, opacities: Tensor) -> Tensor:
    """[P, M] alphas of M splats, front to back, at P pixels; 0 of those that are skipped."""
    dx, dy = offsets.unbind(-1)
    xx, xy, yy = conics.unbind(-1)
    sigma = 0.5 * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
    alpha = (opacities * (-sigma).exp()).clamp_max(MAX_ALPHA)
    alpha = alpha * ((sigma >= 0) & (alpha >= ALPHA_THRESHOLD))
    return alpha * (torch.cumprod(1 - alpha, dim=1) > MIN_TRANSMITTANCE)


def _along_rays(offsets: Tensor, rays: Tensor) -> tuple[Tensor, Tensor]:
    """[P, M] depths and spreads of M splats on the rays through P pixels."""
    dx, dy = offsets.unbind(-1)
    b_x, b_y, xx, xy, yy, z, spread, reach = rays.unbind(-1)
    linear, square = b_x * dx + b_y * dy, xx * dx * dx + xy * dx * dy + yy * dy * dy
    scale = (1 + 2 * linear + square).clamp_min(1e-6)
    off = (-z * (linear + square) / scale).clamp(-reach, reach)
    return z + off, torch.maximum(spread / scale.sqrt(), _LEAST_SPREAD * z)


def _crossing(alphas: Tensor, depths: Tensor, spreads: Tensor, level: float) -> Tensor:
    """[P] depth at which T is `level`, by bisection; 0 where it stays above."""
    if not alphas.shape[1]:
        return alphas.new_zeros(len(alphas))
    hit = alphas > 0
    low = torch.where(hit, depths - 6 * spreads, torch.inf).amin(dim=1)
    high = torch.where(hit, depths + 6 * spreads, -torch.inf).amax(dim=1)
    for _ in range(_BISECTIONS):
        t = (low + high) / 2
        taken = torch.sigmoid(1.702 * (t[:, None] - depths) / spreads)
        front = (1 - alphas * taken).prod(dim=1) > level
        low, high = torch.where(front, t, low), torch.where(front, high, t)
    solid = (1 - alphas).prod(dim=1) < level
    return torch.where(solid, (low + high) / 2, 0.0)
