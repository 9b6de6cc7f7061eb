"""Checks at public boundaries: what passes, and what the refusal says."""

from __future__ import annotations

import pytest
import torch

from tondo.checks import check_dtype, check_finite, check_one_device, check_shape


def test_names_are_bound_and_numbers_must_match() -> None:
    sizes = check_shape("means", torch.zeros(7, 3), "N 3")
    assert sizes == {"N": 7}
    assert check_shape("colors", torch.zeros(2, 7, 5), "C N D", sizes) == {"N": 7, "C": 2, "D": 5}
    assert sizes == {"N": 7}  # what was given stays as it was
    assert check_shape("K", torch.zeros(4, 4), "M M") == {"M": 4}


@pytest.mark.parametrize(
    ("shape", "dims", "message"),
    [
        ((7, 4), "N 3", r"x must be \[N, 3\], N=7, got \[7, 4\]"),
        ((6, 3), "N 3", r"x must be \[N, 3\], N=7, got \[6, 3\]"),
        ((7,), "N 3", r"x must be \[N, 3\], N=7, got \[7\]"),
        ((4, 5), "M M", r"x must be \[M, M\], N=7, got \[4, 5\]"),
    ],
)
def test_another_shape_is_named(shape: tuple[int, ...], dims: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_shape("x", torch.zeros(shape), dims, {"N": 7})


def test_what_is_no_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match=r"x must be a torch\.Tensor \[N 3\], got list"):
        check_shape("x", [[0.0, 0.0, 0.0]], "N 3")  # type: ignore[arg-type]


def test_dtypes() -> None:
    check_dtype("x", torch.zeros(1), torch.float64, torch.float32)
    with pytest.raises(TypeError, match="x must be float32 or float64, got uint8"):
        check_dtype("x", torch.zeros(1, dtype=torch.uint8), torch.float32, torch.float64)


def test_devices() -> None:
    check_one_device(a=torch.zeros(1), b=torch.zeros(2))
    with pytest.raises(ValueError, match="b is on meta, a on cpu: all must be on one device"):
        check_one_device(a=torch.zeros(1), b=torch.zeros(1, device="meta"))


def test_numbers_that_are_not_finite_are_counted_and_placed() -> None:
    values = torch.zeros(3, 2)
    check_finite("x", values)
    values[1, 0], values[2, 1] = float("nan"), float("-inf")
    with pytest.raises(ValueError, match=r"x has 2 values .*, the first at \[1, 0\]"):
        check_finite("x", values)
