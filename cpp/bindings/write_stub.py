"""Writes the types of the native module, from what it says of itself: `make stub`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from types import ModuleType

HEAD = '''"""Types of the native code. Written by `make stub` from the module; not by hand."""

from typing import Annotated, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

# Arrays of a type: contiguous, on the CPU. Annotations give their shapes, * for any size.
'''
DTYPES = {"float32": "F32", "int32": "I32", "int64": "I64", "uint8": "U8"}
ARRAY = re.compile(r"(?:\w+\.)*ndarray\[dtype=(\w+), shape=\(([^)]*)\)[^\]]*\]")


def stub_of(module: ModuleType) -> str:
    """The text of a .pyi file."""
    lines = [HEAD.rstrip()]
    lines += [f"{short}: TypeAlias = Tensor | NDArray[np.{name}]" for name, short in DTYPES.items()]
    for name, value in sorted(vars(module).items()):
        if isinstance(value, type):
            lines += ["", f"class {name}:", *(f"    {line}" for line in members(value))]
        elif hasattr(value, "__nb_signature__"):
            lines += ["", signature(value, module.__name__)]
    return "\n".join(lines) + "\n"


def members(cls: type) -> Iterator[str]:
    """A class's way to make one, where there is one, and its properties."""
    found = False
    for name, value in sorted(vars(cls).items()):
        if isinstance(value, property):
            yield "@property"
            (said,) = value.fget.__nb_signature__
            yield f"def {name}(self){said[0].partition(')')[2]}: ..."
        elif hasattr(value, "__nb_signature__"):
            yield signature(value, cls.__module__)
        else:
            continue
        found = True
    if not found:
        yield "..."


def signature(function: object, module: str) -> str:
    """`def name(...) -> ...: ...` of a function that is not overloaded."""
    ((text, _, defaults),) = function.__nb_signature__  # type: ignore[attr-defined]
    for value in defaults or ():
        text = text.replace("\\0", repr(value), 1)
    text = ARRAY.sub(lambda m: f'Annotated[{DTYPES[m[1]]}, "{m[2]}"]', text)
    return f"{text.replace(f'{module}.', '')}: ..."


if __name__ == "__main__":
    from tondo import _native

    sys.stdout.write(stub_of(_native))
