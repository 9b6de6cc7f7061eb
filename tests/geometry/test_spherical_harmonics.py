import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from tondo.geometry.spherical_harmonics import coefficient_count, harmonics_basis, harmonics_color


def directions(n: int = 6) -> torch.Tensor:
    return torch.randn(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def test_orthonormal_on_the_sphere() -> None:
    # exact quadrature for polynomials of degree 6: Gauss-Legendre in z, equal steps in azimuth
    z, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(8))
    phi = torch.arange(16, dtype=torch.float64) * (2 * math.pi / 16)
    radius = (1 - z * z).sqrt()[:, None]
    dirs = torch.stack([radius * phi.cos(), radius * phi.sin(), z[:, None].expand(8, 16)], dim=-1)
    basis = harmonics_basis(3, dirs)
    gram = torch.einsum("ij,ija,ijb->ab", weights[:, None].expand(8, 16), basis, basis)
    torch.testing.assert_close(gram * 2 * math.pi / 16, torch.eye(16, dtype=torch.float64))


def test_order_and_sign_are_those_of_3d_gaussian_splatting() -> None:
    # the published constants, at direction (1, 2, 3) / sqrt(14), in the published order
    x, y, z = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64) / math.sqrt(14)
    expected = [
        0.28209479177387814,
        -0.4886025119029199 * y,
        0.4886025119029199 * z,
        -0.4886025119029199 * x,
        1.0925484305920792 * x * y,
        -1.0925484305920792 * y * z,
        0.31539156525252005 * (2 * z * z - x * x - y * y),
        -1.0925484305920792 * x * z,
        0.5462742152960396 * (x * x - y * y),
        -0.5900435899266435 * y * (3 * x * x - y * y),
        2.890611442640554 * x * y * z,
        -0.4570457994644658 * y * (4 * z * z - x * x - y * y),
        0.3731763325901154 * z * (2 * z * z - 3 * x * x - 3 * y * y),
        -0.4570457994644658 * x * (4 * z * z - x * x - y * y),
        1.445305721320277 * z * (x * x - y * y),
        -0.5900435899266435 * x * (x * x - 3 * y * y),
    ]
    found = harmonics_basis(3, torch.tensor([2.0, 4.0, 6.0], dtype=torch.float64))
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_values_of_gsplat() -> None:
    # gsplat 1.5.3's torch reference, degree 3, for these directions and coefficients
    dirs = torch.tensor([[0.5, -0.15, 2.3], [-1.0, 0.2, 0.7], [0.0, 2.0, 0.0]]).double()
    sh = (torch.arange(3 * 16 * 3, dtype=torch.float64).reshape(3, 16, 3) * 0.7).sin() * 0.4
    expected = torch.tensor(EXPECTED_OF_GSPLAT, dtype=torch.float64)
    torch.testing.assert_close(
        harmonics_color(3, dirs, sh), (expected + 0.5).clamp_min(0), atol=1e-9, rtol=0
    )


EXPECTED_OF_GSPLAT = [
    [-0.4373391315, 0.0233776164, 0.4730995061],
    [0.099523852, 0.2336647829, 0.2579095153],
    [-0.2762237583, -0.3645546437, -0.2814297839],
]


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_lower_degrees_are_the_first_functions(degree: int) -> None:
    basis = harmonics_basis(degree, directions())
    assert basis.shape == (6, coefficient_count(degree))
    torch.testing.assert_close(basis, harmonics_basis(3, directions())[:, : basis.shape[1]])


def test_color_ignores_unused_coefficients_and_is_never_negative() -> None:
    sh = torch.zeros(6, 9, 3, dtype=torch.float64)
    sh[:, 0, 0], sh[:, 0, 1] = 1.0, -10.0
    sh[:, 4:] = 7.0
    color = harmonics_color(1, directions(), sh)
    assert color.shape == (6, 3)
    torch.testing.assert_close(color[:, 0], torch.full_like(color[:, 0], 0.5 + 0.28209479177387814))
    assert (color[:, 1] == 0).all()
    assert (color[:, 2] == 0.5).all()


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_gradients(degree: int) -> None:
    generator = torch.Generator().manual_seed(degree)
    sh = 0.2 * torch.randn(2, 4, 16, 3, dtype=torch.float64, generator=generator)
    dirs = torch.randn(2, 4, 3, dtype=torch.float64, generator=generator)
    assert gradcheck(
        lambda d, s: harmonics_color(degree, d, s), (dirs.requires_grad_(), sh.requires_grad_())
    )


@pytest.mark.parametrize("degree", [-1, 4])
def test_unknown_degree(degree: int) -> None:
    with pytest.raises(ValueError, match=r"degree must be 0\.\.3"):
        harmonics_basis(degree, directions())
