"""Projection of 3D Gaussians into cameras in plain PyTorch: the definition.

Zwicker et al. 2002, EWA Splatting (the local affine approximation); Kerbl et al. 2023, 3D Gaussian
Splatting, section 4; Radl et al. 2024, StopThePop, B.2 (the opacity-aware extent); Yu et al. 2024,
Mip-Splatting (the antialiasing compensation).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from tondo.geometry.rotations import rotation_from_quat
from tondo.kernels.splats.gaussians import Cameras, Gaussians

ALPHA_THRESHOLD = 1 / 255  # fainter splats are skipped (Kerbl et al. 2023, 3DGS, appendix C)
_LARGEST_EXTENT = 3.33  # standard deviations; sqrt(2 ln 255) = 3.329 is where alpha 1 has faded
_LARGEST_RADIUS = 2**30  # keeps radii within int32


class ProjectionOptions(NamedTuple):
    """What a projection needs to know beside splats and cameras; see docs/conventions.md.

    Attributes:
        near_plane, far_plane: splats with a depth outside are culled, world units.
        radius_clip: splats whose radii are both at or below this many pixels are culled.
        eps2d: variance added to the projected Gaussian, pixels^2.
        antialiased: compute the compensation for eps2d; it counts in the extent.
    """

    near_plane: float = 0.01
    far_plane: float = 1e10
    radius_clip: float = 0.0
    eps2d: float = 0.3
    antialiased: bool = False


class Projection(NamedTuple):
    """Splats as 2D Gaussians in the pixels of each camera. Culled ones are 0 in every field.

    Attributes:
        radii: [C, N, 2] int32, half the size in pixels of the box outside which alpha < 1/255.
        means2d: [C, N, 2] pixels.
        depths: [C, N] distance along the camera's z axis, world units.
        conics: [C, N, 3] upper triangle (xx, xy, yy) of the inverse 2D covariance, 1/pixels^2.
        compensations: [C, N] factor on the opacity, 1 unless antialiased.
    """

    radii: Tensor
    means2d: Tensor
    depths: Tensor
    conics: Tensor
    compensations: Tensor


@dataclass(frozen=True)
class _Footprints:
    means2d: Tensor  # [M, 2]
    depths: Tensor  # [M]
    cov2d: Tensor  # [M, 3] (xx, xy, yy), eps2d added
    determinants: Tensor  # [M] of cov2d
    compensations: Tensor  # [M]


def project_torch(gaussians: Gaussians, cameras: Cameras, options: ProjectionOptions) -> Projection:
    """Project N splats into C pinhole cameras; opacities decide only the extent.

    Returns:
        A `Projection`; everything but `radii` is differentiable in everything but `opacities`.
    """
    viewmats, Ks, *size = cameras
    each = [
        _project_one(gaussians, Cameras(viewmat, K, *size), options)
        for viewmat, K in zip(viewmats, Ks, strict=True)
    ]
    return Projection(*(torch.stack(tensors) for tensors in zip(*each, strict=True)))


def project_scenes_torch(
    gaussians: Gaussians, cameras: Cameras, options: ProjectionOptions
) -> Projection:
    """Project B scenes of N splats [B, N, ...], scene b into camera b: `project_torch` of each, in
    one go.

    Returns:
        A `Projection` with B in the place of C.
    """
    shape = gaussians.means.shape[:2]
    viewmats, Ks, *size = cameras
    viewmats, Ks = (x.repeat_interleave(shape[1], dim=0) for x in (viewmats, Ks))
    found = _project_one(
        Gaussians(*(x.flatten(0, 1) for x in gaussians)),
        Cameras(viewmats, Ks, *size),
        options,
    )
    return Projection(*(x.unflatten(0, shape) for x in found))


def _project_one(gaussians: Gaussians, cameras: Cameras, options: ProjectionOptions) -> Projection:
    """[N, ...], by one camera (viewmats [4, 4], Ks [3, 3]) or by one of each splat, [N, ...]."""
    means, viewmat = gaussians.means, cameras.viewmats
    # The culled splats must not reach autograd: their infinities would come back as NaN.
    with torch.no_grad():
        z = (means * viewmat[..., 2, :3]).sum(dim=-1) + viewmat[..., 2, 3]
        ahead = ((z >= options.near_plane) & (z <= options.far_plane)).nonzero().squeeze(1)
        tried = _footprints(*_of(gaussians, cameras, ahead), options)
        box = _radii(tried, gaussians.opacities[ahead], cameras, options)
        visible = ahead[(box > 0).all(dim=1)]
        radii = torch.zeros(len(means), 2, dtype=torch.int32, device=means.device)
        radii[ahead] = box
    seen = _footprints(*_of(gaussians, cameras, visible), options)
    xx, xy, yy = seen.cov2d.unbind(-1)
    conics = torch.stack([yy, -xy, xx], dim=-1) / seen.determinants[:, None]

    def spread(values: Tensor) -> Tensor:
        full = values.new_zeros(len(means), *values.shape[1:])
        return full.index_copy(0, visible, values)

    return Projection(
        radii,
        spread(seen.means2d),
        spread(seen.depths),
        spread(conics),
        spread(seen.compensations),
    )


def _of(gaussians: Gaussians, cameras: Cameras, rows: Tensor) -> tuple[Gaussians, Cameras]:
    """Some splats, with the only camera or with each splat's own."""
    if cameras.viewmats.dim() > 2:
        cameras = cameras._replace(viewmats=cameras.viewmats[rows], Ks=cameras.Ks[rows])
    return Gaussians(*(x[rows] for x in gaussians)), cameras


def _footprints(gaussians: Gaussians, cameras: Cameras, options: ProjectionOptions) -> _Footprints:
    means, quats, scales, _ = gaussians
    viewmat, K, width, height = cameras
    rotation, translation = viewmat[..., :3, :3], viewmat[..., :3, 3]
    x, y, z = ((rotation @ means[..., None])[..., 0] + translation).unbind(-1)
    fx, fy, cx, cy = K[..., 0, 0], K[..., 1, 1], K[..., 0, 2], K[..., 1, 2]

    # Far outside the picture the affine approximation explodes: there the Jacobian (not the
    # position) is taken at the nearest point within 15 % of the picture's size around it.
    margin_x, margin_y = 0.15 * width / fx, 0.15 * height / fy
    slope_x = (x / z).clamp(-cx / fx - margin_x, (width - cx) / fx + margin_x)
    slope_y = (y / z).clamp(-cy / fy - margin_y, (height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    jacobian = torch.stack(
        [fx / z, zero, -fx * slope_x / z, zero, fy / z, -fy * slope_y / z], dim=-1
    ).unflatten(-1, (2, 3))

    # cov2d = half half^T. Its determinant by the cross product of the two rows (Lagrange's
    # identity) does not lose its digits for long thin splats as xx yy - xy^2 would.
    half = jacobian @ rotation @ (rotation_from_quat(quats) * scales[:, None, :])  # [M, 2, 3]
    row_x, row_y = half.unbind(-2)
    xx, xy, yy = (row_x * row_x).sum(-1), (row_x * row_y).sum(-1), (row_y * row_y).sum(-1)
    sharp = torch.linalg.cross(row_x, row_y).square().sum(-1)
    determinants = sharp + options.eps2d * (xx + yy) + options.eps2d**2
    kept = sharp / determinants if options.antialiased else torch.ones_like(z)
    return _Footprints(
        means2d=torch.stack([fx * x / z + cx, fy * y / z + cy], dim=-1),
        depths=z,
        cov2d=torch.stack([xx + options.eps2d, xy, yy + options.eps2d], dim=-1),
        determinants=determinants,
        compensations=kept.sqrt(),
    )


def _radii(
    seen: _Footprints, opacities: Tensor, cameras: Cameras, options: ProjectionOptions
) -> Tensor:
    """[M, 2] int32 half sizes of the boxes, (0, 0) where the splat cannot be seen."""
    opacities = opacities * seen.compensations
    extent = (2 * (opacities / ALPHA_THRESHOLD).log()).sqrt().clamp(max=_LARGEST_EXTENT)
    radii = (extent[:, None] * seen.cov2d[:, ::2].sqrt()).ceil()
    size = seen.means2d.new_tensor([cameras.width, cameras.height])
    touches = (seen.means2d + radii > 0) & (seen.means2d - radii < size)
    visible = (
        (opacities >= ALPHA_THRESHOLD)
        & (seen.determinants > 0)
        & seen.determinants.isfinite()
        & (radii > options.radius_clip).any(dim=1)
        & (radii > 0).all(dim=1)
        & touches.all(dim=1)
    )
    return torch.where(visible[:, None], radii.clamp(max=_LARGEST_RADIUS), 0).int()
