"""The photometric loss in plain PyTorch: the definition. Structural dissimilarity and absolute
difference in one.

Wang et al. 2004, Image Quality Assessment, equation 13 (SSIM); Kerbl et al. 2023, 3D Gaussian
Splatting, equation 7 (the mixture).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.checks import check_dtype, check_one_device, check_shape

WINDOW = 11  # pixels of the window; this, SIGMA, C1 and C2: Wang et al. 2004 (SSIM)
SIGMA = 1.5  # pixels, of the Gaussian window
C1, C2 = 0.01**2, 0.03**2  # for values in 0..1


def ssim_l1_torch(
    image: Tensor, target: Tensor, mask: Tensor | None = None, ssim_weight: float = 0.2
) -> Tensor:
    """`ssim_l1`."""
    image, target, mask = check_pictures(image, target, mask)
    difference = (image - target).abs()
    value = (1 - ssim_weight) * difference + ssim_weight * (1 - ssim_map(image, target))
    if mask is None:
        return value.mean()
    weights = mask[..., None].to(image.dtype)
    total = 3 * weights.sum()
    return (value * weights).sum() / torch.where(total > 0, total, 1)


def ssim_map(image: Tensor, target: Tensor) -> Tensor:
    """[C, H, W, 3] SSIM in each pixel and channel of [C, H, W, 3] pictures, zeros outside."""
    x, y = (picture.movedim(-1, 1) for picture in (image, target))
    mean_x, mean_y, xx, yy, xy = (_blur(p) for p in (x, y, x * x, y * y, x * y))
    variance_x, variance_y = xx - mean_x * mean_x, yy - mean_y * mean_y
    covariance = xy - mean_x * mean_y
    above = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    below = (mean_x * mean_x + mean_y * mean_y + C1) * (variance_x + variance_y + C2)
    return (above / below).movedim(1, -1)


def _blur(planes: Tensor) -> Tensor:
    """Gaussian blur of [C, 3, H, W], same size, zeros outside."""
    offsets = torch.arange(WINDOW, dtype=planes.dtype, device=planes.device) - WINDOW // 2
    kernel = (-offsets.square() / (2 * SIGMA**2)).exp()
    kernel = (kernel / kernel.sum()).expand(planes.shape[1], 1, 1, WINDOW)
    across = F.conv2d(planes, kernel, padding=(0, WINDOW // 2), groups=planes.shape[1])
    down = kernel.transpose(-1, -2)
    return F.conv2d(across, down, padding=(WINDOW // 2, 0), groups=planes.shape[1])


def check_pictures(
    image: Tensor, target: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Holds shapes, dtypes and devices and adds the camera dimension where it is left out."""
    one = isinstance(image, Tensor) and image.dim() == 3
    sizes = check_shape("image", image, "H W 3" if one else "C H W 3")
    check_dtype("image", image, torch.float32, torch.float64)
    check_shape("target", target, "H W 3" if one else "C H W 3", sizes)
    check_dtype("target", target, image.dtype)
    check_one_device(image=image, target=target)
    if mask is not None:
        shared = isinstance(mask, Tensor) and mask.dim() == 2
        check_shape("mask", mask, "H W" if shared else "C H W", sizes)
        check_dtype("mask", mask, torch.bool, image.dtype)
        check_one_device(image=image, mask=mask)
        mask = mask.expand(1 if one else sizes["C"], *mask.shape[-2:])
    if one:
        image, target = image[None], target[None]
    return image, target, mask
