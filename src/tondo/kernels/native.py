"""How the native code takes tensors."""

from __future__ import annotations

from torch import Tensor


def plain(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Contiguous, outside autograd."""
    return tuple(tensor.detach().contiguous() for tensor in tensors)
