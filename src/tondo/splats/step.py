"""One training step: render a photo's camera, compare, update the splats that it saw."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tondo import _native
from tondo.data.cameras import Camera
from tondo.splats.parameters import NAMES, Parameters

NEAR_PLANE, FAR_PLANE, RADIUS_CLIP, EPS2D = 0.01, 1e10, 0.0, 0.3
BETA1, BETA2, EPS = 0.9, 0.999, 1e-15


@dataclass(frozen=True)
class Target:
    """A photo as training sees it.

    Attributes:
        camera: of the picture's size.
        image: [H, W, 3] uint8 sRGB, over the background.
        valid: [H, W] uint8, 0 where there is no measurement, or None.
        alpha: [H, W, 1] float32 0..1 or None; only kept where the background changes every step.
    """

    camera: Camera
    image: Tensor
    valid: Tensor | None
    alpha: Tensor | None = None


@dataclass(frozen=True)
class Rates:
    """Adam's learning rates of one step."""

    means: float
    quats: float
    log_scales: float
    opacity_logits: float
    sh0: float
    sh_rest: float


@dataclass
class Workspace:
    """Buffers that live from step to step; sized on use.

    Attributes:
        radii: [N, 2] int32 of the last step, 0 where a splat was not seen.
        picture: [H, W, 3] of the last step, before exposure.
    """

    bins: _native.Bins
    loss: _native.LossScratch
    rows: dict[str, Tensor]
    radii: Tensor
    picture: Tensor
    alphas: Tensor
    v_picture: Tensor


def new_workspace() -> Workspace:
    empty = torch.empty(0)
    return Workspace(_native.Bins(), _native.LossScratch(), {}, empty, empty, empty, empty)


_ROW_SHAPES = {
    "scales": (3,),
    "opacities": (),
    "means2d": (2,),
    "depths": (),
    "conics": (3,),
    "colors": (3,),
    "v_means2d": (2,),
    "v_conics": (3,),
    "v_opacities": (),
    "v_colors": (3,),
    "v_means": (3,),
    "v_quats": (4,),
    "v_scales": (3,),
}


def _resize(work: Workspace, parameters: Parameters, camera: Camera) -> None:
    n = len(parameters)
    if len(work.radii) != n or not work.rows:
        work.rows = {name: torch.zeros(n, *shape) for name, shape in _ROW_SHAPES.items()}
        work.rows["v_sh"] = torch.zeros_like(parameters.values["sh"])
        work.radii = torch.zeros(n, 2, dtype=torch.int32)
    if tuple(work.picture.shape[:2]) != (camera.height, camera.width):
        work.picture = torch.zeros(camera.height, camera.width, 3)
        work.v_picture = torch.zeros_like(work.picture)
        work.alphas = torch.zeros(camera.height, camera.width)


def render(
    work: Workspace, parameters: Parameters, camera: Camera, degree: int, background: Tensor
) -> None:
    """Fill `work` with the picture that `camera` sees (colour not clamped)."""
    _resize(work, parameters, camera)
    p, r = parameters.values, work.rows
    torch.exp(p["log_scales"], out=r["scales"])
    torch.sigmoid(p["opacity_logits"], out=r["opacities"])
    _native.project_forward(
        p["means"],
        p["quats"],
        r["scales"],
        r["opacities"],
        camera.viewmat,
        camera.K,
        camera.width,
        camera.height,
        NEAR_PLANE,
        FAR_PLANE,
        RADIUS_CLIP,
        EPS2D,
        r["means2d"],
        r["depths"],
        r["conics"],
        work.radii,
        None,
    )
    _native.sh_forward(degree, p["means"], _position(camera), p["sh"], work.radii, r["colors"])
    splats = _on_screen(work)
    _native.bin_splats(work.bins, *splats, camera.width, camera.height)
    _native.rasterize_forward(work.bins, *splats, background, work.picture, work.alphas)


def compare(
    work: Workspace, target: Target, ssim_weight: float, exposure: Tensor | None
) -> tuple[float, Tensor | None]:
    """Fill `work.v_picture`; returns the loss and the exposure's gradient [3, 4]."""
    v_exposure = None if exposure is None else torch.zeros(3, 4)
    loss, _, _ = _native.ssim_l1(
        work.loss,
        work.picture,
        target.image,
        None,
        target.valid,
        exposure,
        ssim_weight,
        work.v_picture,
        v_exposure,
    )
    return loss, v_exposure


def backward(
    work: Workspace, parameters: Parameters, camera: Camera, degree: int, v_view: Tensor | None
) -> None:
    """Fill the gradient rows of `work` (v_means, v_quats, v_scales, v_opacities, v_sh).

    v_view: [3, 4] filled with the gradient of the camera's world-to-camera matrix, or None.
    """
    p, r = parameters.values, work.rows
    splats = _on_screen(work)
    _native.rasterize_backward(
        work.bins,
        *splats,
        work.picture,
        work.v_picture,
        None,
        r["v_means2d"],
        r["v_conics"],
        r["v_opacities"],
        r["v_colors"],
        None,
    )
    position = _position(camera)
    v_position = None if v_view is None else torch.zeros(3)
    _native.sh_backward(
        degree,
        p["means"],
        position,
        p["sh"],
        work.radii,
        r["colors"],
        r["v_colors"],
        r["v_means"],
        r["v_sh"],
        v_position,
    )
    _native.project_backward(
        p["means"],
        p["quats"],
        r["scales"],
        camera.viewmat,
        camera.K,
        camera.width,
        camera.height,
        EPS2D,
        work.radii,
        r["v_means2d"],
        None,
        r["v_conics"],
        None,
        r["v_means"],
        r["v_quats"],
        r["v_scales"],
        v_view,
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
    r = work.rows
    n = max(1, len(parameters))
    v_scales, v_opacities = r["v_scales"], r["v_opacities"]
    # chain rules of exp and sigmoid, with the regularisers' constant gradients added on the way
    v_scales.add_(scale_reg / (3 * n)).mul_(r["scales"])
    opacities = r["opacities"]
    v_opacities.add_(opacity_reg / n).mul_(opacities).mul_(1 - opacities)
    grads = {
        "means": r["v_means"],
        "quats": r["v_quats"],
        "log_scales": v_scales,
        "opacity_logits": v_opacities,
        "sh": r["v_sh"],
    }
    for name in NAMES:
        value = parameters.values[name]
        columns = max(1, value[0].numel()) if len(value) else 1
        lr = torch.full((columns,), rates.sh_rest if name == "sh" else getattr(rates, name))
        if name == "sh":
            lr[:3] = rates.sh0
        _native.adam_visible(
            value.view(-1, columns),
            grads[name].view(-1, columns),
            parameters.exp_avg[name].view(-1, columns),
            parameters.exp_avg_sq[name].view(-1, columns),
            work.radii,
            lr,
            BETA1,
            BETA2,
            EPS,
            step,
        )


def psnr(work: Workspace, target: Target, exposure: Tensor | None) -> float:
    """dB between the last picture and `target`, where that is valid."""
    picture = work.picture
    if exposure is not None:
        picture = picture @ exposure[:, :3].T + exposure[:, 3]
    square = (picture.clamp(0, 1) - target.image.float() / 255).square().mean(dim=2)
    if target.valid is not None:
        square = square[target.valid > 0]
    return -10 * math.log10(max(float(square.mean()), 1e-12))


def _position(camera: Camera) -> Tensor:
    return -(camera.viewmat[:3, 3] @ camera.viewmat[:3, :3])


def _on_screen(work: Workspace) -> tuple[Tensor, ...]:
    r = work.rows
    return r["means2d"], r["conics"], r["depths"], work.radii, r["opacities"], r["colors"]
