"""What a texture lacks of a photograph: native code against its definition, and that against finite
differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tondo.kernels.texture_residuals import texture_residuals
from tondo.kernels.texture_residuals_torch import texture_residuals_torch

HEIGHT, WIDTH, PIXELS, SAMPLES = 9, 13, 37, 4


def inputs(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """Places, some of them beyond the border, the photograph's colours, and an image."""
    generator = torch.Generator().manual_seed(1)
    at = torch.rand(PIXELS, SAMPLES, 2, generator=generator, dtype=dtype)
    at = at * torch.tensor([WIDTH + 1.0, HEIGHT + 1.0]) - 0.5
    colors = torch.rand(PIXELS, 3, generator=generator, dtype=dtype)
    return at, colors, torch.rand(HEIGHT, WIDTH, 3, generator=generator, dtype=dtype)


def test_native_is_the_twin() -> None:
    found = []
    for function in (texture_residuals, texture_residuals_torch):
        up, down = torch.ones(HEIGHT, WIDTH, 3), torch.full((HEIGHT, WIDTH), 2.0)
        error = function(*inputs(), up, down)
        found.append((up, down, torch.tensor(error)))
    for native, twin in zip(*found, strict=True):
        torch.testing.assert_close(native, twin, rtol=1e-5, atol=1e-5)


def test_up_is_the_gradient_of_the_error() -> None:
    at, colors, image = inputs(torch.float64)
    up = torch.zeros(HEIGHT, WIDTH, 3, dtype=torch.float64)
    down = torch.zeros(HEIGHT, WIDTH, dtype=torch.float64)
    texture_residuals_torch(at, colors, image, up, down)
    assert float(down.sum()) == pytest.approx(PIXELS)
    step, scrap = 1e-5, (torch.zeros_like(up), torch.zeros_like(down))
    for place in ((0, 0, 0), (4, 7, 1), (8, 12, 2), (3, 0, 0)):
        moved = []
        for sign in (1, -1):
            other = image.clone()
            other[place] += sign * step
            moved.append(texture_residuals_torch(at, colors, other, *scrap))
        numeric = -0.5 * (moved[0] - moved[1]) / (2 * step)
        assert float(up[place]) == pytest.approx(numeric, abs=1e-8)


def test_sizes_are_checked() -> None:
    at, colors, image = inputs()
    with pytest.raises(ValueError, match="sizes differ"):
        texture_residuals(at, colors[1:].contiguous(), image, image.clone(), image[..., 0].clone())
    with pytest.raises(ValueError, match="sizes differ"):
        texture_residuals(at, colors, image, image[1:].clone(), image[..., 0].clone())
