"""Maps of the sphere: what they are, kernels beside twins, twins beside finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tondo.gan.networks.skin import sphere_map
from tondo.geometry.rotations import rotation_from_quat
from tondo.kernels.sphere.sphere_maps import doubled, finer, frames, padded
from tondo.kernels.sphere.sphere_maps_torch import (
    doubled_torch,
    finer_torch,
    frames_torch,
    padded_torch,
    softened_torch,
    wrap,
)
from tondo.kernels.threads import num_threads, set_num_threads

LEAK = 0.2


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def maps(dtype: torch.dtype = torch.float32, *, rows: int = 5, columns: int = 14) -> list[Tensor]:
    """A map [3, 8, rows, columns], a style or scale [3, 8] and a bias [8]."""
    shapes = ((3, 8, rows, columns), (3, 8), (8,))
    generator = rng()
    return [torch.randn(*shape, generator=generator, dtype=dtype) for shape in shapes]


OPERATIONS: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor], int]] = {
    "padded": (lambda x, s: padded(x, s), padded_torch, 2),
    "padded without a style": (lambda x: padded(x), lambda x: padded_torch(x, None), 1),
    "doubled": (doubled, doubled_torch, 1),
    "finer": (lambda *x: finer(*x, LEAK), lambda *x: finer_torch(*x, LEAK), 3),
}
every = pytest.mark.parametrize("name", OPERATIONS)


def with_gradients(operation: Callable[..., Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """What it gives, and the gradients of the inputs for weights that are no symmetric ones."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    found = operation(*leaves)
    weights = torch.randn(found.shape, generator=rng(), dtype=torch.float64).to(found.dtype)
    return [found.detach(), *torch.autograd.grad((weights * found).sum(), leaves)]


@every
@pytest.mark.parametrize("size", [(5, 14), (1, 2), (2, 34), (9, 6)])
def test_kernels_do_what_the_twins_do(name: str, size: tuple[int, int]) -> None:
    native, twin, count = OPERATIONS[name]
    inputs = maps(rows=size[0], columns=size[1])[:count]
    for found, wanted in zip(
        with_gradients(native, inputs), with_gradients(twin, inputs), strict=True
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@every
def test_gradients_of_the_twins_are_those_of_finite_differences(name: str) -> None:
    native, _, count = OPERATIONS[name]  # float64 takes the twin
    inputs = [x.requires_grad_() for x in maps(torch.float64, rows=3, columns=4)[:count]]
    assert torch.autograd.gradcheck(native, inputs)


@every
def test_the_same_bits_for_any_number_of_threads(name: str) -> None:
    native, _, count = OPERATIONS[name]
    before = num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            found.append(with_gradients(native, maps()[:count]))
    finally:
        set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@every
def test_layouts_that_are_not_contiguous(name: str) -> None:
    native, twin, count = OPERATIONS[name]
    x, *rest = maps()[:count]
    turned = x.permute(0, 1, 3, 2).contiguous().permute(0, 1, 3, 2)
    assert not turned.is_contiguous()
    torch.testing.assert_close(native(turned, *rest), twin(x, *rest), rtol=1e-5, atol=1e-5)


@every
def test_nan_stays_visible(name: str) -> None:
    native, twin, count = OPERATIONS[name]
    x, *rest = maps()[:count]
    x[1, 2, 3, 4] = math.nan
    torch.testing.assert_close(
        native(x, *rest).isnan().float(), twin(x, *rest).isnan().float(), rtol=0, atol=0
    )


def bumpy(rows: int, columns: int) -> Tensor:
    """[2, 3, rows, columns]: two skins, the second one far from round."""
    sphere = sphere_map(rows, columns)
    bumps = torch.randn(2, 3, rows, columns, generator=rng())
    return sphere + torch.tensor([0.02, 0.5])[:, None, None, None] * bumps


def test_frames_are_those_of_the_twin() -> None:
    grid = bumpy(10, 14)
    for found, wanted in zip(frames(grid, 0.3), frames_torch(grid, 0.3), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_frames_stand_on_the_skin_and_their_sizes_are_those_of_its_cells() -> None:
    rows, columns = 40, 70
    grid = sphere_map(rows, columns)[None]
    quats, reach = frames(grid, 0.25)
    axes = rotation_from_quat(quats)[0]
    outward = grid[0].flatten(1).T
    assert float((axes[:, :, 2] * outward).sum(dim=1).min()) > 0.99
    south = axes[:, 1, 0].view(rows, columns)[1:-1]
    assert float(south.max()) < 0
    near_equator = reach[0, :, rows // 2]
    torch.testing.assert_close(
        near_equator[0], torch.full((columns,), math.pi / rows), rtol=0.015, atol=0
    )
    torch.testing.assert_close(
        near_equator[1], torch.full((columns,), 2 * math.pi / columns), rtol=0.015, atol=0
    )
    torch.testing.assert_close(reach[:, 2], 0.25 * reach[:, :2].amin(dim=1))


def test_frames_of_a_skin_without_extent_are_finite() -> None:
    quats, reach = frames(torch.zeros(1, 3, 4, 6), 0.3)
    assert bool(quats.isfinite().all())
    assert float(reach.min()) > 0


def test_neighbours_stay_neighbours_across_the_seam_and_the_poles() -> None:
    rows, columns = 16, 32
    around = wrap(sphere_map(rows, columns)[None], 1)
    down = (around[:, :, 1:] - around[:, :, :-1]).norm(dim=1)
    across = (around[..., 1:] - around[..., :-1]).norm(dim=1)
    assert float(down.max()) < 1.01 * math.pi / rows
    assert float(across.max()) < 1.01 * 2 * math.pi / columns


@pytest.mark.parametrize("reach", [1, 3])
def test_the_gradient_of_wrap_comes_home_from_all_borders(reach: int) -> None:
    x = torch.randn(2, 3, 4, 6, generator=rng(), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda at: wrap(at, reach), x)


def test_a_sphere_doubled_is_a_finer_sphere() -> None:
    fine = doubled(sphere_map(16, 32)[None])[0]
    # linear interpolation lies below the arc by at most about step^2 / 8, twice
    assert float((fine - sphere_map(32, 64)).norm(dim=0).max()) < (2 * math.pi / 32) ** 2 / 3


def test_softened_takes_chequers_away_and_leaves_what_is_smooth() -> None:
    index = torch.arange(16)[:, None] + torch.arange(32)
    chequers = (1.0 - 2.0 * (index % 2)).expand(1, 3, 16, 32)
    assert float(softened_torch(chequers)[:, :, 1:-1].abs().max()) < 1e-6
    sphere = sphere_map(32, 64)[None]
    assert float((softened_torch(sphere) - sphere).norm(dim=1).max()) < 0.02


def test_softened_is_a_sum_of_neighbours_and_so_is_its_gradient() -> None:
    x = torch.randn(2, 3, 4, 6, generator=rng(), dtype=torch.float64, requires_grad=True)
    wide = wrap(x, 1)
    rows = wide[:, :, :-2] + 2 * wide[:, :, 1:-1] + wide[:, :, 2:]
    wanted = (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) / 16
    torch.testing.assert_close(softened_torch(x), wanted)
    assert torch.autograd.gradcheck(softened_torch, x)


def test_wrong_shapes_are_refused() -> None:
    x, scale, bias = maps()
    with pytest.raises(ValueError, match=r"style must be \[B, C\]"):
        padded(x, scale[:, :5])
    with pytest.raises(ValueError, match="four channels for each finer one, got 6"):
        finer(x[:, :6], scale[:, :6], bias[:6], LEAK)
    with pytest.raises(ValueError, match=r"bias must be \[D\]"):
        finer(x, scale, bias[:3], LEAK)
    with pytest.raises(ValueError, match=r"grid must be \[B, 3, H, W\]"):
        frames(x, 0.3)
