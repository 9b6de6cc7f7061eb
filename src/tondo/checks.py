"""Shape and value checks with named dimensions, for public boundaries."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def check_shape(
    name: str, tensor: Tensor, dims: str, sizes: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Hold `tensor`'s shape against named dimensions and return the sizes found.

    `dims` is a space-separated list such as ``"N 3"`` or ``"C H W 3"``: a number must match
    exactly; a name is bound on first sight and must agree with `sizes` afterwards.

    Raises:
        TypeError: `tensor` is not a tensor.
        ValueError: the shape differs; the message gives name, expected and found shape.
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor [{dims}], got {type(tensor).__name__}")
    found = dict(sizes or {})
    wanted = dims.split()
    fits = tensor.dim() == len(wanted)
    if fits:
        for word, size in zip(wanted, tensor.shape, strict=True):
            expected = int(word) if word.isdigit() else found.setdefault(word, size)
            fits = fits and expected == size
    if not fits:
        known = "".join(f", {k}={v}" for k, v in (sizes or {}).items())
        raise ValueError(f"{name} must be [{', '.join(wanted)}]{known}, got {list(tensor.shape)}")
    return found


def check_dtype(name: str, tensor: Tensor, *dtypes: torch.dtype) -> None:
    """Raises TypeError unless `tensor` has one of `dtypes`."""
    if tensor.dtype not in dtypes:
        wanted = " or ".join(str(d).removeprefix("torch.") for d in dtypes)
        raise TypeError(f"{name} must be {wanted}, got {str(tensor.dtype).removeprefix('torch.')}")


def check_tensors(
    record: object,
    *dtypes: torch.dtype,
    sizes: Mapping[str, int] | None = None,
    of: str = "",
    **dims: str,
) -> dict[str, int]:
    """`check_shape` and `check_dtype` of a record's tensors, as many as it has: each by the name of
    its field, to which `of` is added in messages, in the order given. Returns the sizes found."""
    found = dict(sizes or {})
    for name, words in dims.items():
        tensor = getattr(record, name)
        if tensor is not None:
            found = check_shape(name + of, tensor, words, found)
            check_dtype(name + of, tensor, *dtypes)
    return found


def check_one_device(**tensors: Tensor) -> None:
    """Raises ValueError unless all tensors, given by their names, are on one device."""
    first, *others = tensors
    for name in others:
        if tensors[name].device != tensors[first].device:
            raise ValueError(
                f"{name} is on {tensors[name].device}, {first} on {tensors[first].device}: "
                "all must be on one device"
            )


def check_finite(name: str, tensor: Tensor) -> None:
    """Raises ValueError if any value is NaN or infinite, with how many and the first place."""
    bad = ~torch.isfinite(tensor)
    if bool(bad.any()):
        first = [int(i) for i in bad.nonzero()[0]]
        raise ValueError(
            f"{name} has {int(bad.sum())} values that are NaN or infinite, the first at {first}"
        )


def check_size(width: int, height: int) -> None:
    """Raises ValueError unless a picture of this size has a pixel."""
    if width < 1 or height < 1:
        raise ValueError(f"the picture must be at least 1x1, got {width}x{height}")
