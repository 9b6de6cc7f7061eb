"""Adam over the visible splats only, by native code where float32 is on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor

from tondo import _native
from tondo.checks import check_dtype, check_one_device, check_shape
from tondo.kernels.adam_torch import AdamStep, adam_touched_torch_, adam_visible_torch_


@torch.no_grad()
def adam_visible_(
    params: Tensor,
    grads: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    visible: Tensor,
    adam: AdamStep,
) -> None:
    """One step of Adam, in place, on the rows of `params` where `visible`.

    Other rows keep parameters and moments untouched: their moments do not decay. The bias
    correction is by the global `step`, the same for all rows, so that the step equals
    `torch.optim.Adam`'s when all rows are visible.

    Args:
        params, grads, exp_avg, exp_avg_sq: [N, D] float32 (float64 through the twin); all but
            `grads` are updated and must be contiguous.
        visible: [N] bool.

    Raises:
        TypeError, ValueError: shapes, dtypes or devices that do not fit each other, step below 1.
    """
    _check(params, grads, exp_avg, exp_avg_sq, visible)
    if isinstance(adam.lr, Tensor):
        check_shape("lr", adam.lr, "D", {"D": params.shape[1]})
        check_one_device(params=params, lr=adam.lr)
    if adam.step < 1:
        raise ValueError(f"step counts from 1, got {adam.step}")
    if params.device.type != "cpu" or params.dtype != torch.float32:
        adam_visible_torch_(params, grads, exp_avg, exp_avg_sq, visible, adam)
        return
    now, grad = params.detach(), grads.detach().contiguous()
    lr = torch.as_tensor(adam.lr, dtype=torch.float32).expand(params.shape[1]).contiguous()
    radii = visible.to(torch.int32)[:, None].expand(-1, 2).contiguous()
    _native.adam_visible(now, grad, exp_avg, exp_avg_sq, (lr, *adam[1:]), radii)


@torch.no_grad()
def adam_touched_(
    params: Tensor,
    grads: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    adam: AdamStep,
) -> None:
    """One step of Adam, in place, on all but what has no gradient at all: of the entries of a hash
    grid a step touches some (Müller et al. 2022, section 4, leave out single numbers).

    Args:
        params, grads, exp_avg, exp_avg_sq: contiguous, of one shape, a multiple of 8 numbers,
            float32 (float64 through the twin); each 8 in a row are touched together or not at all.
        adam: with one learning rate for all.

    Raises:
        TypeError, ValueError: as `adam_visible_`.
    """
    tensors = (params, grads, exp_avg, exp_avg_sq)
    if params.numel() % 8 or not all(t.is_contiguous() for t in tensors):
        raise ValueError(f"tensors must be contiguous, of a multiple of 8, got {params.shape}")
    now, grad, first, second = (t.detach().view(-1, 8) for t in tensors)
    every = torch.ones(1, dtype=torch.bool, device=params.device).expand(len(now))
    _check(now, grad, first, second, every)
    if params.device.type != "cpu" or params.dtype != torch.float32:
        adam_touched_torch_(now, grad, first, second, adam)
        return
    rates = (torch.full((8,), float(adam.lr)), *adam[1:])
    _native.adam_visible(now, grad, first, second, rates, None, touched=True)


def _check(
    params: Tensor, grads: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, visible: Tensor
) -> None:
    sizes = check_shape("params", params, "N D")
    check_dtype("params", params, torch.float32, torch.float64)
    for name, tensor in (("grads", grads), ("exp_avg", exp_avg), ("exp_avg_sq", exp_avg_sq)):
        check_shape(name, tensor, "N D", sizes)
        check_dtype(name, tensor, params.dtype)
    for name, tensor in (("params", params), ("exp_avg", exp_avg), ("exp_avg_sq", exp_avg_sq)):
        if not tensor.is_contiguous():  # a contiguous copy would get the update instead
            raise ValueError(f"{name} must be contiguous")
    check_shape("visible", visible, "N", sizes)
    check_dtype("visible", visible, torch.bool)
    check_one_device(
        params=params, grads=grads, exp_avg=exp_avg, exp_avg_sq=exp_avg_sq, visible=visible
    )
