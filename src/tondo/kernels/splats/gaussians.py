"""What the kernels of splats are given: Gaussians, and the cameras that see them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tondo.checks import check_dtype, check_one_device, check_shape, check_size


class Gaussians(NamedTuple):
    """N 3D Gaussians in world space; each of B scenes has its own, [B, N, ...].

    Attributes:
        means: [N, 3].
        quats: [N, 4] rotations (w, x, y, z), any length; zero is the identity.
        scales: [N, 3] standard deviations along the rotated axes, world units.
        opacities: [N] 0..1.
    """

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor


class Cameras(NamedTuple):
    """C pinhole cameras, OpenCV axes, with pictures of one size.

    Attributes:
        viewmats: [C, 4, 4] world-to-camera.
        Ks: [C, 3, 3] pixels, pixel centres at +0.5.
        width, height: pixels.
    """

    viewmats: Tensor
    Ks: Tensor
    width: int
    height: int


class ScreenGaussians(NamedTuple):
    """Gaussians as one camera sees them, with what they add to its picture.

    Attributes:
        means2d: [N, 2] pixels. conics: [N, 3] upper triangle (xx, xy, yy) of the inverse 2D
            covariance, 1/pixels^2. depths: [N] distance along the camera's z axis. radii: [N, 2]
            int32 pixels, 0 where culled. opacities: [N].
        channels: [N, X], 1 to 8 of them.
    """

    means2d: Tensor
    conics: Tensor
    depths: Tensor
    radii: Tensor
    opacities: Tensor
    channels: Tensor


class ScreenGrads(NamedTuple):
    """Gradients of the `ScreenGaussians` that a picture is made from; see there."""

    means2d: Tensor
    conics: Tensor
    opacities: Tensor
    channels: Tensor


def check_gaussians(gaussians: Gaussians, cameras: Cameras, scenes: bool = False) -> dict[str, int]:
    """Hold the records against each other; returns the sizes of N and C (B of `scenes`, which have
    a camera each).

    Raises:
        TypeError, ValueError: a tensor of the wrong shape, dtype or device, a picture without size.
    """
    lead, many = ("B N", "B") if scenes else ("N", "C")
    sizes = check_shape("means", gaussians.means, f"{lead} 3")
    for name, columns in (("quats", " 4"), ("scales", " 3"), ("opacities", "")):
        check_shape(name, getattr(gaussians, name), lead + columns, sizes)
    sizes = check_shape("viewmats", cameras.viewmats, f"{many} 4 4", sizes)
    check_shape("Ks", cameras.Ks, f"{many} 3 3", sizes)
    check_dtype("means", gaussians.means, torch.float32, torch.float64)
    tensors = {**gaussians._asdict(), "viewmats": cameras.viewmats, "Ks": cameras.Ks}
    check_alike(tensors)
    check_size(cameras.width, cameras.height)
    return sizes


def check_alike(tensors: dict[str, Tensor]) -> None:
    """Raises TypeError or ValueError unless all have the dtype and device of the first."""
    dtype = next(iter(tensors.values())).dtype
    for name, tensor in tensors.items():
        check_dtype(name, tensor, dtype)
    check_one_device(**tensors)
