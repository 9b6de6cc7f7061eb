"""Light that stays with the camera: kernel beside twin, twin beside finite differences."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.geometry.rotations import quat_from_rotation, rotation_from_quat
from tondo.kernels.sphere.matcap import matcap
from tondo.kernels.sphere.matcap_torch import matcap_torch
from tondo.kernels.threads import num_threads, set_num_threads


def arguments(dtype: torch.dtype = torch.float32, splats: int = 37) -> list[Tensor]:
    """Of three objects: quats, viewmats, light, colors."""
    rng = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    viewmats = torch.eye(4, dtype=torch.float64).repeat(3, 1, 1)
    viewmats[:, :3, :3] = rotation_from_quat(normal(3, 4))
    quats, light = F.normalize(normal(3, splats, 4), dim=-1), 0.3 * normal(3, 2, 5, 5)
    return [x.to(dtype) for x in (quats, viewmats, light, normal(3, splats, 3).sigmoid())]


def gradients(function: object, inputs: list[Tensor]) -> list[Tensor]:
    quats, viewmats, light, colors = inputs
    leaves = [light.clone().requires_grad_(), colors.clone().requires_grad_()]
    found = function(quats, viewmats, *leaves)  # type: ignore[operator]
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    return [found.detach(), *torch.autograd.grad((weights * found).sum(), leaves)]


def test_the_kernel_does_what_the_twin_does() -> None:
    inputs = arguments()
    for found, wanted in zip(
        gradients(matcap, inputs), gradients(matcap_torch, inputs), strict=True
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_gradients_of_the_twin_are_those_of_finite_differences() -> None:
    inputs = [x.requires_grad_() for x in arguments(torch.float64, 7)]
    assert torch.autograd.gradcheck(matcap, inputs)


def test_cameras_get_gradients_when_they_ask() -> None:
    quats, viewmats, light, colors = arguments()
    viewmats.requires_grad_()
    matcap(quats, viewmats, light, colors).sum().backward()
    assert viewmats.grad is not None
    assert float(viewmats.grad.abs().max()) > 0


def test_the_same_bits_for_any_number_of_threads() -> None:
    before = num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            found.append(gradients(matcap, arguments()))
    finally:
        set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_light_from_the_right_lights_what_faces_right() -> None:
    right = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])  # z to +x
    quats = quat_from_rotation(torch.stack([right, right.mT]))[None]
    light = torch.zeros(1, 2, 4, 4)
    light[:, 0, :, 2:], light[:, 1, :, :2] = math.log(2), 0.25
    found = matcap(quats, torch.eye(4)[None], light, torch.full((1, 2, 3), 0.3))
    torch.testing.assert_close(found[0, 0], torch.full((3,), 0.6))
    torch.testing.assert_close(found[0, 1], torch.full((3,), 0.55))


def test_normals_that_are_no_numbers_read_the_middle() -> None:
    quats, viewmats, light, colors = arguments()
    quats[1, 4] = math.nan
    found, wanted = (
        matcap(quats, viewmats, light, colors),
        matcap_torch(quats, viewmats, light, colors),
    )
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    assert bool(found.isfinite().all())


def test_wrong_shapes_are_refused() -> None:
    quats, viewmats, light, colors = arguments()
    with pytest.raises(ValueError, match=r"viewmats must be \[B, 4, 4\]"):
        matcap(quats, viewmats[:2], light, colors)
    with pytest.raises(ValueError, match=r"light must be \[B, 2, S, S\]"):
        matcap(quats, viewmats, light[..., :3], colors)
