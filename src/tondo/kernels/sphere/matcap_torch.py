"""Matcap shading of splats in plain PyTorch: the definition."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from tondo.geometry.rotations import third_axis


def matcap_torch(quats: Tensor, viewmats: Tensor, light: Tensor, colors: Tensor) -> Tensor:
    """`matcap`, differentiable in all of its inputs."""
    across = (third_axis(quats) @ viewmats[:, :2, :3].mT)[:, None]  # [B, 1, N, 2]: right and down
    across = across.nan_to_num()  # at a place that is no number torch reads, and writes, anywhere
    found = F.grid_sample(light, across, "bilinear", "border", align_corners=False)
    gain, shine = found[:, :, 0].unsqueeze(-1).unbind(1)
    return colors * gain.exp() + shine
