"""One training step: render a photo's camera, compare, update the splats that it saw."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from tondo import _native
from tondo.data.cameras import Camera
from tondo.kernels.splats.gaussians import Gaussians, ScreenGaussians, ScreenGrads
from tondo.kernels.splats.project_torch import ProjectionOptions
from tondo.splats.parameters import NAMES, Parameters

PROJECTION = ProjectionOptions()
# Kingma and Ba 2015; eps of Kerbl et al. 2023 (3DGS), their code.
BETA1, BETA2, EPS = 0.9, 0.999, 1e-15
_EMPTY = torch.empty(0)


@dataclass(frozen=True)
class Target:
    """A photo as training sees it.

    Attributes:
        camera: of the picture's size.
        image: [H, W, 3] uint8 sRGB, over the background.
        valid: [H, W] uint8, 0 where there is no measurement, or None.
    """

    camera: Camera
    image: Tensor
    valid: Tensor | None


@dataclass(frozen=True)
class Rates:
    """Adam's learning rates of one step."""

    means: float
    quats: float
    log_scales: float
    opacity_logits: float
    sh0: float
    sh_rest: float

    def columns(self, name: str, count: int) -> Tensor:
        """[count], one for each number of a splat's tensor `name`."""
        if name == "sh":
            first = torch.full((3,), self.sh0)
            return torch.cat([first, torch.full((count - 3,), self.sh_rest)])
        return torch.full((count,), getattr(self, name))


class SplatGrads(NamedTuple):
    """Gradients of N splats: means [N, 3], quats [N, 4], scales [N, 3], sh [N, K, 3]."""

    means: Tensor
    quats: Tensor
    scales: Tensor
    sh: Tensor


@dataclass
class Workspace:
    """Buffers that live from step to step; sized on use.

    Attributes:
        scales: [N, 3] of the last step, world units.
        screen: the splats of the last step; radii are 0 where one was not seen.
        picture: [H, W, 3] of the last step, before exposure. alphas: [H, W].
        v_screen, v_splats, v_picture: the loss's gradients.
        planes: what `PlaneWork` says, in steps that compare normals; else None.
        kept_planes: that of the last such step.
    """

    bins: _native.Bins = field(default_factory=_native.Bins)
    loss: _native.LossScratch = field(default_factory=_native.LossScratch)
    scales: Tensor = _EMPTY
    screen: ScreenGaussians = field(default_factory=lambda: ScreenGaussians(*[_EMPTY] * 6))
    picture: Tensor = _EMPTY
    alphas: Tensor = _EMPTY
    v_screen: ScreenGrads = field(default_factory=lambda: ScreenGrads(*[_EMPTY] * 4))
    v_splats: SplatGrads = field(default_factory=lambda: SplatGrads(*[_EMPTY] * 4))
    v_picture: Tensor = _EMPTY
    planes: PlaneWork | None = None
    kept_planes: PlaneWork | None = None


@dataclass
class PlaneWork:
    """The same for a step that compares the normals of the depth with those of the splats: each
    splat's colour and plane (`kernels.splats.planes`) are seven channels of one picture.

    Attributes:
        screen: the splats with all channels; v_screen: gradients, in the memory of the workspace's
            but for the channels.
        sums, v_sums: [H, W, 7] of the picture and its gradient.
        planes, v_planes: [H, W, 4] the planes among them.
    """

    screen: ScreenGaussians
    v_screen: ScreenGrads
    sums: Tensor
    v_sums: Tensor
    planes: Tensor
    v_planes: Tensor
    scratch: _native.PlaneScratch


def _resize(work: Workspace, parameters: Parameters, camera: Camera) -> None:
    n = len(parameters)
    if work.scales.shape != (n, 3):
        scalars, pairs, triples = (n,), (n, 2), (n, 3)
        work.scales = torch.zeros(triples)
        radii = torch.zeros(pairs, dtype=torch.int32)
        shapes = (pairs, triples, scalars, scalars, triples)
        means2d, conics, depths, opacities, colors = map(torch.zeros, shapes)
        work.screen = ScreenGaussians(means2d, conics, depths, radii, opacities, colors)
        work.v_screen = ScreenGrads(*map(torch.zeros, (pairs, triples, scalars, triples)))
        values = parameters.values
        like = (values["means"], values["quats"], values["log_scales"], values["sh"])
        work.v_splats = SplatGrads(*map(torch.zeros_like, like))
    if tuple(work.picture.shape[:2]) != (camera.height, camera.width):
        work.picture = torch.zeros(camera.height, camera.width, 3)
        work.v_picture = torch.zeros_like(work.picture)
        work.alphas = torch.zeros(camera.height, camera.width)


def render(
    work: Workspace,
    parameters: Parameters,
    camera: Camera,
    degree: int,
    background: Tensor,
    *,
    with_planes: bool = False,
) -> None:
    """Fill `work` with the picture that `camera` sees (colour not clamped)."""
    _resize(work, parameters, camera)
    p, screen = parameters.values, work.screen
    torch.exp(p["log_scales"], out=work.scales)
    torch.sigmoid(p["opacity_logits"], out=screen.opacities)
    projected = (screen.means2d, screen.depths, screen.conics, screen.radii, None)
    gaussians = _gaussians(work, parameters)
    _native.project_forward(gaussians, _seen_by(camera), PROJECTION[:4], projected)
    _native.sh_forward(
        degree, p["means"], _position(camera), p["sh"], screen.radii, screen.channels
    )
    _native.bin_splats(work.bins, screen, camera.width, camera.height)
    if not with_planes:
        work.planes = None
        _native.rasterize_forward(work.bins, screen, background, work.picture, work.alphas)
        return
    planes = work.planes = _plane_work(work)
    of_splats = torch.empty(len(parameters), 4)
    _native.splat_planes_forward(gaussians, _seen_by(camera), screen.radii, of_splats)
    torch.cat([screen.channels, of_splats], dim=1, out=planes.screen.channels)
    behind = torch.cat([background, torch.zeros(4)])
    _native.rasterize_forward(work.bins, planes.screen, behind, planes.sums, work.alphas)
    work.picture.copy_(planes.sums[..., :3])


def compare(
    work: Workspace, target: Target, ssim_weight: float, exposure: Tensor | None
) -> tuple[float, Tensor | None]:
    """Fill `work.v_picture`; returns the loss and the exposure's gradient [3, 4]."""
    v_exposure = None if exposure is None else torch.zeros(3, 4)
    loss = _native.ssim_l1(
        work.loss,
        work.picture,
        target.image,
        target.valid,
        exposure,
        ssim_weight,
        work.v_picture,
        v_exposure,
    )
    return loss, v_exposure


def _plane_work(work: Workspace) -> PlaneWork:
    """Buffers for the last step's size; those of before where they fit: new ones cost as much as
    the comparison (measured at 1600x1600)."""
    (height, width, _), n, kept = work.picture.shape, len(work.scales), work.kept_planes
    if kept is None or kept.sums.shape != (height, width, 7):
        sums, v_sums = torch.empty(height, width, 7), torch.empty(height, width, 7)
        planes, v_planes = torch.empty(height, width, 4), torch.empty(height, width, 4)
    else:
        sums, v_sums, planes, v_planes = kept.sums, kept.v_sums, kept.planes, kept.v_planes
    screen = work.screen._replace(channels=torch.empty(n, 7))
    v_screen = work.v_screen._replace(channels=torch.empty(n, 7))
    scratch = _native.PlaneScratch() if kept is None else kept.scratch
    work.kept_planes = PlaneWork(screen, v_screen, sums, v_sums, planes, v_planes, scratch)
    return work.kept_planes


def compare_normals(work: Workspace, camera: Camera, weight: float) -> float:
    """The depth-normal loss of a picture that was rendered with planes (`depth_normal_loss`), times
    `weight`; its gradient is kept for `backward`."""
    planes = work.planes
    if planes is None:
        raise ValueError("the picture was rendered without planes")
    summed, v_summed = planes.planes, planes.v_planes
    summed.copy_(planes.sums[..., 3:])
    loss = _native.depth_normal_loss(planes.scratch, camera.K, summed, work.alphas, v_summed)
    torch.mul(v_summed, weight, out=planes.v_sums[..., 3:])
    return weight * loss


def _rasterize_backward(work: Workspace) -> None:
    """Gradients on the screen, of the colours and, where there are planes, of those."""
    planes = work.planes
    if planes is None:
        _native.rasterize_backward(
            work.bins, work.screen, work.picture, work.v_picture, None, work.v_screen, None
        )
        return
    planes.v_sums[..., :3] = work.v_picture
    _native.rasterize_backward(
        work.bins, planes.screen, planes.sums, planes.v_sums, None, planes.v_screen, None
    )
    work.v_screen.channels.copy_(planes.v_screen.channels[:, :3])


def backward(
    work: Workspace, parameters: Parameters, camera: Camera, degree: int, v_view: Tensor | None
) -> None:
    """Fill the gradients of `work` in what its picture was made from.

    v_view: [3, 4] filled with the gradient of the camera's world-to-camera matrix, or None.
    """
    p, screen, v_screen, v = parameters.values, work.screen, work.v_screen, work.v_splats
    _rasterize_backward(work)
    v_position = None if v_view is None else torch.zeros(3)
    _native.sh_backward(
        degree,
        p["means"],
        _position(camera),
        p["sh"],
        screen.radii,
        screen.channels,
        v_screen.channels,
        (v.means, v.sh, v_position),
    )
    _native.project_backward(
        _gaussians(work, parameters),
        _seen_by(camera),
        PROJECTION.eps2d,
        screen.radii,
        (v_screen.means2d, None, v_screen.conics, None),
        (v.means, v.quats, v.scales),
        v_view,
    )
    if work.planes is not None:  # turns with the camera: nothing for its pose
        _native.splat_planes_backward(
            _gaussians(work, parameters),
            _seen_by(camera),
            screen.radii,
            work.planes.v_screen.channels[:, 3:].contiguous(),
            (v.means, v.quats),
        )
    if v_view is not None and v_position is not None:
        # position = -R^T t
        R, t = camera.viewmat[:3, :3], camera.viewmat[:3, 3]
        v_view[:, :3] -= torch.outer(t, v_position)
        v_view[:, 3] -= R @ v_position


def background_gradient(work: Workspace) -> Tensor:
    """[3] gradient of the last picture's background: what is left of each pixel shows it."""
    left = 1 - work.alphas
    return (work.v_picture * left[..., None]).sum(dim=(0, 1))


def update(
    work: Workspace,
    parameters: Parameters,
    rates: Rates,
    step: int,
    *,
    opacity_reg: float,
    scale_reg: float,
) -> None:
    """Adam on the splats that the last picture saw. `scale_reg` is per world unit."""
    n, v, opacities = max(1, len(parameters)), work.v_splats, work.screen.opacities
    # chain rules of exp and sigmoid, with the regularisers' constant gradients added on the way
    v.scales.add_(scale_reg / (3 * n)).mul_(work.scales)
    v_opacities = work.v_screen.opacities
    v_opacities.add_(opacity_reg / n).mul_(opacities).mul_(1 - opacities)
    for name, grad in zip(NAMES, (v.means, v.quats, v.scales, v_opacities, v.sh), strict=True):
        columns = max(1, grad[0].numel()) if len(grad) else 1
        moments = (parameters.exp_avg[name], parameters.exp_avg_sq[name])
        rows = (parameters.values[name], grad, *moments)
        value, v_value, first, second = (x.view(-1, columns) for x in rows)
        adam = (rates.columns(name, columns), BETA1, BETA2, EPS, step)
        _native.adam_visible(value, v_value, first, second, adam, work.screen.radii)


def psnr(work: Workspace, target: Target, exposure: Tensor | None) -> float:
    """dB between the last picture and `target`, where that is valid."""
    picture = work.picture
    if exposure is not None:
        picture = picture @ exposure[:, :3].T + exposure[:, 3]
    squares = picture.clamp(0, 1).sub_(target.image / 255).square_()
    if target.valid is not None:
        squares = squares[target.valid > 0]
    return -10 * math.log10(max(float(squares.mean()), 1e-12))


def _position(camera: Camera) -> Tensor:
    return -(camera.viewmat[:3, 3] @ camera.viewmat[:3, :3])


def _gaussians(work: Workspace, parameters: Parameters) -> Gaussians:
    values = parameters.values
    return Gaussians(values["means"], values["quats"], work.scales, work.screen.opacities)


def _seen_by(camera: Camera) -> tuple[Tensor, Tensor, int, int]:
    return camera.viewmat, camera.K, camera.width, camera.height
