"""Matcap shading: splats under light that stays with the camera."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tondo import _native
from tondo.checks import check_one_device, check_shape
from tondo.kernels.native import plain
from tondo.kernels.sphere.matcap_torch import matcap_torch


def matcap(quats: Tensor, viewmats: Tensor, light: Tensor, colors: Tensor) -> Tensor:
    """Colours of splats as cameras see them under the picture of a lit ball.

    Sloan et al. 2001, The Lit Sphere: a splat's colour c becomes c exp(g) + s, g and s read
    (bilinearly) where its normal points to on the picture of the ball.

    Args:
        quats: [B, N, 4] unit quaternions (w, x, y, z); the third axis is the normal.
        viewmats: [B, 4, 4] world-to-camera, OpenCV axes.
        light: [B, 2, S, S] g and s over the x and y (right and down, -1..1) of normals in camera
            space, S at least 2.
        colors: [B, N, 3] sRGB. Gradients reach light and colours; with those of quats or viewmats
            the twin in torch does the work.

    Returns:
        [B, N, 3].

    Raises:
        ValueError: shapes or devices that do not fit each other.
    """
    sizes = check_shape("quats", quats, "B N 4")
    check_shape("viewmats", viewmats, "B 4 4", sizes)
    check_shape("light", light, "B 2 S S", sizes)
    check_shape("colors", colors, "B N 3", sizes)
    check_one_device(quats=quats, viewmats=viewmats, light=light, colors=colors)
    every = (quats, viewmats, light, colors)
    native = all(x.device.type == "cpu" and x.dtype == torch.float32 for x in every)
    turned = torch.is_grad_enabled() and (quats.requires_grad or viewmats.requires_grad)
    if not native or turned or light.shape[2] < 2:
        return matcap_torch(quats, viewmats, light, colors)
    found: Tensor = _Matcap.apply(quats, viewmats[:, :2, :3], light, colors)
    return found


class _Matcap(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        quats, turns, light, colors = plain(*inputs)
        out = torch.empty_like(colors)
        _native.matcap_forward(quats, turns, light, colors, out)
        ctx.save_for_backward(quats, turns, light, colors)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_out: Tensor) -> tuple[Tensor | None, ...]:
        quats, turns, light, colors = ctx.saved_tensors
        v_light, v_colors = torch.empty_like(light), torch.empty_like(colors)
        _native.matcap_backward(quats, turns, light, colors, v_out.contiguous(), v_light, v_colors)
        return None, None, v_light, v_colors
