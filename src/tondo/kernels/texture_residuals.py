"""What a texture lacks of a photograph, by native code on the CPU."""

from __future__ import annotations

from torch import Tensor

from tondo import _native
from tondo.kernels.texture_residuals_torch import texture_residuals_torch


def texture_residuals(at: Tensor, colors: Tensor, image: Tensor, up: Tensor, down: Tensor) -> float:
    """Add the residuals of a photograph's pixels to the texels that they show.

    A pixel's colour in the picture of the textured mesh is the mean of its samples, each bilinear
    in the image; its residual is the photograph's colour less that.

    Args:
        at: [P, N, 2] float32 texel coordinates (x, y; centres at +0.5) of N samples in each of P
            pixels.
        colors: [P, 3] float32, the photograph's. image: [H, W, 3] float32.
        up: [H, W, 3] float32 += residuals by the samples' bilinear weights. down: [H, W] float32 +=
            these weights. Both change in place.

    Returns:
        The sum of the squared residuals.

    Raises:
        ValueError: sizes differ.
    """
    if image.device.type != "cpu":
        return texture_residuals_torch(at, colors, image, up, down)
    return _native.texture_residuals(at, colors, image, up, down)
