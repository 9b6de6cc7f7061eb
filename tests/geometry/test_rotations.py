import math

import pytest
import torch
from torch.autograd import gradcheck

from tondo.geometry.rotations import quat_from_rotation, rotation_from_quat, rotation_from_vector


def random_quats(n: int) -> torch.Tensor:
    return torch.randn(n, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def product(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """Hamilton's product of quaternions, written from i^2 = j^2 = k^2 = ijk = -1."""
    (a, b), (c, d) = (p[:, 0], p[:, 1:]), (q[:, 0], q[:, 1:])
    real = a * c - (b * d).sum(-1)
    return torch.cat(
        [real[:, None], a[:, None] * d + c[:, None] * b + torch.linalg.cross(b, d)], dim=1
    )


def test_quarter_turn_about_z_takes_x_to_y() -> None:
    half = math.pi / 4
    rotation = rotation_from_quat(torch.tensor([math.cos(half), 0, 0, math.sin(half)]))
    torch.testing.assert_close(rotation @ torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0]))
    torch.testing.assert_close(
        rotation_from_vector(torch.tensor([0, 0, math.pi / 2])), rotation, atol=1e-6, rtol=0
    )


def test_matrices_are_rotations_at_any_length_of_quaternion() -> None:
    quats = random_quats(50)
    rotations = rotation_from_quat(quats)
    eye = torch.eye(3, dtype=torch.float64).expand(50, 3, 3)
    torch.testing.assert_close(rotations @ rotations.mT, eye)
    torch.testing.assert_close(torch.linalg.det(rotations), torch.ones(50, dtype=torch.float64))
    torch.testing.assert_close(rotation_from_quat(quats * 37.0), rotations)
    torch.testing.assert_close(rotation_from_quat(-quats), rotations)


def test_group_axioms() -> None:
    p, q, r = random_quats(60).split(20)
    P, Q = rotation_from_quat(p), rotation_from_quat(q)
    torch.testing.assert_close(rotation_from_quat(product(p, q)), P @ Q)
    torch.testing.assert_close(
        rotation_from_quat(product(product(p, q), r)), rotation_from_quat(product(p, product(q, r)))
    )
    inverse = p * torch.tensor([1, -1, -1, -1], dtype=torch.float64)
    torch.testing.assert_close(rotation_from_quat(inverse), P.mT)
    identity = torch.tensor([1.0, 0, 0, 0], dtype=torch.float64)
    torch.testing.assert_close(rotation_from_quat(identity), torch.eye(3, dtype=torch.float64))


def test_zero_quaternion_is_the_identity() -> None:
    torch.testing.assert_close(rotation_from_quat(torch.zeros(4)), torch.eye(3))


def test_quaternion_and_back() -> None:
    quats = torch.nn.functional.normalize(random_quats(200), dim=-1)
    # half turns and near half turns are where dividing by w would fail
    half_turns = torch.tensor(
        [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1e-9, 0.6, 0.8, 0]], dtype=torch.float64
    )
    quats = torch.cat([quats, half_turns])
    back = quat_from_rotation(rotation_from_quat(quats))
    same = (back * quats).sum(-1).abs()
    torch.testing.assert_close(same, torch.ones_like(same))
    assert (back[:, 0] >= 0).all()
    assert quat_from_rotation(torch.eye(3).expand(0, 3, 3)).shape == (0, 4)


def test_rotation_vector_undone_by_its_negative_and_turns_about_its_axis() -> None:
    vectors = random_quats(20)[:, :3]
    rotations = rotation_from_vector(vectors)
    eye = torch.eye(3, dtype=torch.float64).expand(20, 3, 3)
    torch.testing.assert_close(rotations @ rotation_from_vector(-vectors), eye)
    torch.testing.assert_close((rotations @ vectors[..., None]).squeeze(-1), vectors)
    angle = vectors.norm(dim=-1)
    trace = rotations.diagonal(dim1=-2, dim2=-1).sum(-1)
    torch.testing.assert_close(trace, 1 + 2 * angle.cos())


@pytest.mark.parametrize("function", [rotation_from_quat, rotation_from_vector])
def test_gradients(function: object) -> None:
    inputs = random_quats(3)[:, : 4 if function is rotation_from_quat else 3].contiguous()
    inputs.requires_grad_()
    assert gradcheck(function, (inputs,))
    if function is rotation_from_vector:
        assert gradcheck(function, (torch.zeros(1, 3, dtype=torch.float64, requires_grad=True),))


def test_gradient_of_quaternion_from_rotation() -> None:
    vectors = random_quats(5)[:, :3].clone().requires_grad_()
    assert gradcheck(lambda v: quat_from_rotation(rotation_from_vector(v)), (vectors,))
