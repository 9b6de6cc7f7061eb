"""A second device on a machine that has none.

Tensors on it keep their values in memory and say that they lie on `meta`; an operation on some of
them and some of the CPU's is refused, as a GPU would refuse it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

PRETENDED = torch.device("meta")
COPIES = ("copy_", "_to_copy")
BY_INDEX = ("index", "index_put_", "_index_put_impl_")
NUMBERS = ("_local_scalar_dense", "equal")


class Away(Tensor):
    """A tensor on the pretended device; `values` are its values on the CPU."""

    values: Tensor

    @staticmethod
    def __new__(cls, values: Tensor) -> Away:
        made = Tensor._make_subclass(
            cls,
            values,
            values.requires_grad,
            dispatch_device=True,
            device_for_backend_keys=PRETENDED,
        )
        made.values = values
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return PRETENDED

    def tolist(self) -> Any:
        return self.values.tolist()

    def new_tensor(self, *args: Any, **kwargs: Any) -> Tensor:
        return Away(self.values.new_tensor(*args, **kwargs))

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _done(func, args, kwargs or {})


class _Everywhere(TorchDispatchMode):
    """Sees what makes tensors of nothing, too."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _done(func, args, kwargs or {})


def _done(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name = func.overloadpacket.__name__
    if func is torch.ops.prim.device.default:
        return PRETENDED
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    away = [x for x in tensors if isinstance(x, Away)]
    here = [x for x in tensors if not isinstance(x, Away) and x.dim() > 0]
    if any(x.is_meta for x in tensors if not isinstance(x, Away)):
        raise RuntimeError(f"{name}: a tensor without values, made where this does not look")
    indexed = name in BY_INDEX and isinstance(args[0], Away)  # by rows on the CPU: allowed
    if away and here and name not in COPIES and not indexed:
        raise RuntimeError(f"{name}: tensors on two devices")
    wanted = kwargs.get("device")
    out = func(*tree_map(_plain, args), **tree_map(_plain, kwargs))
    if name in NUMBERS:
        return out
    if name.endswith("_") and away:  # in place
        return None if out is None else args[0]
    there = bool(away) if wanted is None else torch.device(wanted) == PRETENDED
    return tree_map(lambda x: Away(x) if isinstance(x, Tensor) else x, out) if there else out


def _plain(x: Any) -> Any:
    if isinstance(x, Away):
        return x.values
    return torch.device("cpu") if isinstance(x, torch.device) and x == PRETENDED else x


@contextmanager
def pretended(patch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """The device, for as long as the block lasts."""
    tensor, adam = torch.tensor, torch.optim.Adam

    def made(*args: Any, device: Any = None, **kwargs: Any) -> Tensor:
        found: Tensor = tensor(*args, **kwargs)
        there = device is not None and torch.device(device) == PRETENDED
        return Away(found) if there else found

    def unfused(*args: Any, **kwargs: Any) -> torch.optim.Adam:
        return adam(*args, **{**kwargs, "fused": False, "foreach": False})

    patch.setattr(torch, "tensor", made)
    patch.setattr(torch.optim, "Adam", unfused)
    with _Everywhere():
        yield PRETENDED
