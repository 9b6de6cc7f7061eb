import pytest
import torch
from torch import Tensor

from tondo.kernels.adam import adam_touched_, adam_visible_
from tondo.kernels.adam_torch import AdamStep, adam_visible_torch_

BETAS, EPS = (0.9, 0.99), 1e-10
N, D = 23, 5


def random_rows(seed: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(N, D, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_same_as_torch_when_all_are_visible(dtype: torch.dtype) -> None:
    params = random_rows(0, dtype)
    reference = params.clone().requires_grad_()
    optimizer = torch.optim.Adam([reference], lr=0.05, betas=BETAS, eps=EPS)
    first, second = torch.zeros_like(params), torch.zeros_like(params)
    for step in range(1, 8):
        grads = random_rows(step, dtype)
        reference.grad = grads.clone()
        optimizer.step()
        adam_visible_(
            params, grads, first, second, torch.ones(N).bool(), AdamStep(0.05, *BETAS, EPS, step)
        )
    torch.testing.assert_close(params, reference.detach())


def test_rows_out_of_sight_stay_as_they_are() -> None:
    params, first, second = (random_rows(k, torch.float32) for k in range(3))
    second.abs_()
    before = [t.clone() for t in (params, first, second)]
    visible = torch.rand(N, generator=torch.Generator().manual_seed(1)) > 0.5
    assert 5 < visible.sum() < N - 5
    grads = random_rows(9, torch.float32)
    adam_visible_(params, grads, first, second, visible, AdamStep(0.1, *BETAS, EPS, 3))
    for now, then in zip((params, first, second), before, strict=True):
        assert torch.equal(now[~visible], then[~visible])
        assert (now[visible] != then[visible]).all()


def test_bias_correction_is_by_the_global_step() -> None:
    # a row that is seen for the first time at step 100 moves less than at step 1
    def first_move(step: int) -> float:
        rows = [torch.zeros(1, 1) for _ in range(3)]
        adam = AdamStep(0.1, *BETAS, EPS, step)
        adam_visible_(rows[0], torch.ones(1, 1), *rows[1:], torch.ones(1).bool(), adam)
        return -rows[0].item()

    corrected = (1 - 0.9) / (1 - 0.9**100) / ((1 - 0.99) / (1 - 0.99**100)) ** 0.5
    assert first_move(1) == pytest.approx(0.1, rel=1e-5)
    assert first_move(100) == pytest.approx(0.1 * corrected, rel=1e-5)


def test_learning_rate_per_column() -> None:
    rates = torch.tensor([0.1, 0.0, 0.02, 1.0, 0.5])
    grads = random_rows(2, torch.float32)
    params, first, second = (torch.zeros(N, D) for _ in range(3))
    adam_visible_(
        params, grads, first, second, torch.ones(N).bool(), AdamStep(rates, *BETAS, EPS, 1)
    )
    torch.testing.assert_close(params, -rates * grads.sign())


def test_what_has_no_gradient_stays_as_it_is() -> None:
    shape = (3, 64, 4)
    rng = torch.Generator().manual_seed(5)
    params, first, second, grads = (torch.randn(shape, generator=rng) for _ in range(4))
    second.abs_()
    grads.view(-1, 8)[torch.rand(96, generator=rng) < 0.6] = 0
    grads.view(-1, 8)[::5, 2:] = 0  # a part of eight is touched: all eight go on
    ours = [params, first, second]
    twin, before = [[t.double() for t in ours], [t.clone() for t in ours]]
    adam_touched_(params, grads, first, second, AdamStep(0.1, *BETAS, EPS, 4))
    adam_touched_(twin[0], grads.double(), *twin[1:], AdamStep(0.1, *BETAS, EPS, 4))
    touched = (grads.view(-1, 8) != 0).any(dim=1)
    assert 10 < int(touched.sum()) < 90
    for now, then, wide in zip(ours, before, twin, strict=True):
        rows, old = now.view(-1, 8), then.view(-1, 8)
        assert torch.equal(rows[~touched], old[~touched])
        assert bool((rows[touched] != old[touched]).all())
        torch.testing.assert_close(now, wide.float())
    every_other = [x[:, ::2] for x in (params, grads, first, second)]
    with pytest.raises(ValueError, match="contiguous"):
        adam_touched_(*every_other, AdamStep(0.1, *BETAS, EPS, 1))


def test_no_rows() -> None:
    rows = [torch.zeros(0, D) for _ in range(4)]
    adam_visible_(*rows, torch.zeros(0).bool(), AdamStep(0.1, *BETAS, EPS, 1))


def test_wrong_arguments() -> None:
    rows = [torch.zeros(N, D) for _ in range(4)]
    seen = torch.ones(N).bool()
    with pytest.raises(ValueError, match="exp_avg must be"):
        adam_visible_(rows[0], rows[1], rows[2][:3], rows[3], seen, AdamStep(0.1, *BETAS, EPS, 1))
    with pytest.raises(TypeError, match="visible must be bool"):
        adam_visible_(*rows, torch.ones(N), AdamStep(0.1, *BETAS, EPS, 1))
    with pytest.raises(ValueError, match="step counts from 1"):
        adam_visible_(*rows, seen, AdamStep(0.1, *BETAS, EPS, 0))
    with pytest.raises(ValueError, match="lr must be"):
        adam_visible_(*rows, seen, AdamStep(torch.ones(D + 1), *BETAS, EPS, 1))


def test_public_function_matches_the_twin() -> None:
    ours, twin = ([random_rows(k, torch.float32).abs() for k in range(4)] for _ in range(2))
    visible = torch.rand(N, generator=torch.Generator().manual_seed(1)) > 0.3
    rates = torch.rand(D, generator=torch.Generator().manual_seed(2))
    adam_visible_(*ours, visible, AdamStep(rates, *BETAS, EPS, 4))
    adam_visible_torch_(*twin, visible, AdamStep(rates, *BETAS, EPS, 4))
    for a, b in zip(ours, twin, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
