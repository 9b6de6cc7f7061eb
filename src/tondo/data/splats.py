"""3D Gaussian splats."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tondo.checks import check_tensors
from tondo.data.records import shown, summary
from tondo.data.similarity import IDENTITY, Similarity


@dataclass(frozen=True)
class Splats:
    """A scene as N anisotropic 3D Gaussians (Kerbl et al. 2023, 3D Gaussian Splatting).

    Attributes, all float32 on one device:
        means: [N, 3] centres.
        quats: [N, 4] rotations (w, x, y, z), normalised on use.
        log_scales: [N, 3] natural logarithm of the standard deviations along the rotated axes.
        opacity_logits: [N] opacity = sigmoid(opacity_logits).
        sh: [N, K, 3] spherical harmonics coefficients of the colour, K = (degree + 1)^2, K in
            1, 4, 9, 16. colour = max(0, 0.5 + sum_k sh_k Y_k(dir)), sRGB, with dir from the
            camera to the splat.

    N may be 0.
    """

    means: Tensor
    quats: Tensor
    log_scales: Tensor
    opacity_logits: Tensor
    sh: Tensor

    def __post_init__(self) -> None:
        sizes = check_tensors(self, torch.float32, means="N 3", quats="N 4", log_scales="N 3")
        sizes = check_tensors(self, torch.float32, sizes=sizes, opacity_logits="N", sh="N K 3")
        if sizes["K"] not in (1, 4, 9, 16):
            raise ValueError(f"sh must have 1, 4, 9 or 16 coefficients, got {sizes['K']}")

    def __repr__(self) -> str:
        degree = math.isqrt(self.sh.shape[1]) - 1
        return summary(self, f"{len(self.means):,}", f"colours of degree {degree}")


def scaled(splats: Splats, scale: float) -> Splats:
    """The splats in units of which one was `scale` before: all sizes and places times that."""
    if scale == 1:
        return splats
    return replace(
        splats, means=splats.means * scale, log_scales=splats.log_scales + math.log(scale)
    )


@dataclass(frozen=True)
class Exposures:
    """How the photos of a scene were exposed: colours of photo p = matrices[p] @ (r, g, b, 1).

    Attributes, float32:
        viewmats: [P, 4, 4] the photos' cameras, world-to-camera, OpenCV axes.
        matrices: [P, 3, 4] from the scene's colours to the photo's, sRGB 0..1; their mean is none.
    """

    viewmats: Tensor
    matrices: Tensor

    __repr__ = shown

    def __post_init__(self) -> None:
        check_tensors(self, torch.float32, viewmats="P 4 4", matrices="P 3 4")


@dataclass(frozen=True)
class Scene:
    """Splats with what is needed to show them.

    Attributes:
        splats: the splats.
        background: [3] float32 sRGB 0..1, shown where nothing is.
        up: [3] float32 unit vector, the world's up direction.
        radius: the reach of the part that the cameras look at (> 0).
        center: [3] float32, the middle of that part.
        exposures: of the photos that it was made from, or None where none were fitted.
        world_from_scene: all of the above is in the scene; this brings it into the world.
    """

    splats: Splats
    background: Tensor
    up: Tensor
    radius: float
    center: Tensor
    exposures: Exposures | None = None
    world_from_scene: Similarity = IDENTITY

    def __repr__(self) -> str:
        return summary(self, f"{len(self.splats.means):,} splats", f"radius {self.radius:.3g}")
