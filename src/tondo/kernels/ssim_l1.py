"""The photometric loss, by native code where float32 is on the CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tondo import _native
from tondo.kernels.native import plain
from tondo.kernels.ssim_l1_torch import check_pictures, ssim_l1_torch


def ssim_l1(
    image: Tensor, target: Tensor, mask: Tensor | None = None, ssim_weight: float = 0.2
) -> Tensor:
    """(1 - ssim_weight) mean|image - target| + ssim_weight (1 - mean SSIM).

    SSIM per channel under an 11x11 Gaussian window, sigma 1.5, with zeros outside the picture
    (as 3DGS and fused-ssim have it; `tondo.evaluation.metrics.ssim` is another definition).

    Args:
        image, target: [H, W, 3] or [C, H, W, 3] float32 (float64 on the torch path), 0..1.
        mask: [H, W] or [C, H, W] weights of the pixels (or bool), or None for all 1. Both means are
            weighted by it; the windows of neighbouring pixels still look at masked pixels. If
            it is 0 everywhere, the loss is 0. Weights go through `ssim_l1_torch`; without a
            mask or with a bool one, float32 on the CPU runs native code.
        ssim_weight: 0..1.

    Returns:
        [] the loss, over all C pictures; differentiable in `image` (not in `target`).

    Raises:
        TypeError, ValueError: shapes, dtypes or devices that do not fit each other.
    """
    image, target, mask = check_pictures(image, target, mask)
    on_cpu = image.device.type == "cpu" and image.dtype == torch.float32
    if on_cpu and (mask is None or mask.dtype == torch.bool):
        return _NativeSsimL1.apply(image, target, mask, ssim_weight)
    return ssim_l1_torch(image, target, mask, ssim_weight)


class _NativeSsimL1(torch.autograd.Function):
    """Value and gradient in one native call for each picture."""

    @staticmethod
    def forward(
        ctx: Any, image: Tensor, target: Tensor, mask: Tensor | None, ssim_weight: float
    ) -> Tensor:
        image, target = plain(image, target)
        valid = None if mask is None else mask.to(torch.uint8).contiguous()
        slopes = torch.zeros_like(image) if ctx.needs_input_grad[0] else None
        pixels = torch.ones(len(image)) if mask is None else mask.sum((1, 2))
        shares = (pixels / pixels.sum().clamp_min(1)).tolist()
        scratch = _native.LossScratch()
        total = 0.0
        for c, share in enumerate(shares):
            if share == 0:
                continue
            some = None if valid is None else valid[c]
            slope = None if slopes is None else slopes[c]
            total += share * _native.ssim_l1(
                scratch, image[c], target[c], some, None, ssim_weight, slope, None
            )
            if slopes is not None:
                slopes[c] *= share
        ctx.save_for_backward(slopes)
        return image.new_tensor(total)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_loss: Tensor) -> tuple[Tensor | None, ...]:
        (slopes,) = ctx.saved_tensors
        return (None if slopes is None else v_loss * slopes), None, None, None
