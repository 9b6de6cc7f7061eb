"""How records that hold tensors show themselves: by shapes, never pages of numbers."""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import Tensor


def shown(record: Any) -> str:
    """`Name(field=value, ...)` of a dataclass, of tensors dtype and shape: float32[60000, 3]."""
    fields = dataclasses.fields(record)
    told = [f"{field.name}={_value(getattr(record, field.name))}" for field in fields]
    return f"{type(record).__name__}({', '.join(told)})"


def summary(record: Any, *facts: str) -> str:
    """`Name(fact, fact)`, empty ones left out."""
    return f"{type(record).__name__}({', '.join(filter(None, facts))})"


def _value(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    return repr(value)
