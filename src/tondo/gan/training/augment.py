"""Differentiable augmentation of what D sees, photographs and generated pictures alike.

Zhao et al. 2020 (Differentiable Augmentation), its changes of colour and its translation; mirror
images, and the strength p that follows D's overfitting, as in Karras et al. 2020 (Training GANs
with Limited Data, section 3, appendix B). Pixels stay as they are: where four of five pictures that
D sees are interpolated, it has no say in the finest details, and G makes any there.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.gan.networks.discriminator import GROUP
from tondo.runs import distributed

STEP_KPICTURES = 25.0  # thousands of pictures in which p can go from 0 to 1; 500 in ADA; chosen
MOST = 0.8  # strength p: below it nothing leaks (Karras et al. 2020, ADA, section 2.2)
MOST_SHIFT = 0.125  # of a picture's side; Karras et al. 2020 (ADA), appendix B


def augmented(images: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """Each picture changed with probability p for each of five changes: brightness, saturation,
    contrast, a shift by whole pixels, and half of the time a mirror image.

    Args:
        images: [B, 3, H, W] 0..1, or with coverage as a fourth channel, which keeps its values;
            gradients pass through.
        p: 0..1.

    Returns:
        The same shape; colours may lie outside 0..1.
    """
    if p <= 0:
        return images
    batch = len(images)
    images, cover = images[:, :3], images[:, 3:]

    def draw(*shape: int) -> Tensor:
        drawn = torch.rand(batch * distributed.processes(), *shape, generator=generator)
        return distributed.shard(drawn, GROUP).to(images.device)

    def chosen() -> Tensor:
        return (draw(1, 1, 1) < p).float()

    images = images + chosen() * (draw(1, 1, 1) - 0.5) * 0.6  # brightness
    mean = images.mean(dim=1, keepdim=True)
    images = mean + (images - mean) * (1 + chosen() * (draw(1, 1, 1) * 2 - 1))  # saturation
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = mean + (images - mean) * (1 + chosen() * (draw(1, 1, 1) - 0.5))  # contrast
    size = torch.tensor([images.shape[3], images.shape[2]], device=images.device)
    shift = chosen().view(batch, 1) * (draw(2) * 2 - 1) * MOST_SHIFT
    theta = torch.eye(2, 3, device=images.device).expand(batch, 2, 3).clone()
    theta[:, :, 2] = (shift * size).round() / (0.5 * size)
    theta[:, 0, 0] = torch.where(chosen().flatten() * draw(1).flatten() > 0.5, -1.0, 1.0)
    images = torch.cat([images, cover], dim=1)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, "nearest", "border", align_corners=False)


def blurred(images: Tensor, sigma: float) -> Tensor:
    """Images [B, C, H, W] through a Gaussian of `sigma` pixels, 0 for none.

    While D is young it sees all pictures so (Karras et al. 2021, Alias-Free GANs, appendix F): it
    would know generated ones by their finest details long before G has learned the large ones.
    """
    reach = math.ceil(3 * sigma)
    if reach == 0:
        return images
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma).square())
    taps = (taps / taps.sum()).to(images).expand(images.shape[1], 1, 1, -1)
    x = F.pad(images, [reach] * 4, mode="replicate")
    x = F.conv2d(x, taps, groups=images.shape[1])
    return F.conv2d(x, taps.mT, groups=images.shape[1])


def next_strength(p: float, sign: float, target: float, pictures: int) -> float:
    """p after `pictures` more, given the mean sign of D's logits on photographs (r_t)."""
    step = pictures / (1000 * STEP_KPICTURES)
    return min(MOST, max(0.0, p + (step if sign > target else -step)))
