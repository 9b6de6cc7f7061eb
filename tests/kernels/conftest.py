"""Small random scenes for the kernels' tests."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

Scene = dict[str, Any]


def camera_ring(count: int, dtype: torch.dtype) -> Tensor:
    """[count, 4, 4] cameras 4 units from the origin that look roughly at it, each tilted."""
    viewmats = []
    for k in range(count):
        a, b = 0.7 * k + 0.2, 0.15 * k - 0.1
        turn = torch.tensor(
            [[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]]
        )
        tilt = torch.tensor(
            [[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]]
        )
        viewmat = torch.eye(4)
        viewmat[:3, :3] = tilt @ turn
        viewmat[:3, 3] = torch.tensor([0.1 * k, -0.05, 4.0])
        viewmats.append(viewmat)
    return torch.stack(viewmats).to(dtype)


def build_scene(
    n: int = 7,
    size: tuple[int, int] = (13, 9),
    cameras: int = 1,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    scale: tuple[float, float] = (0.05, 0.5),
    opacity: tuple[float, float] = (0.1, 0.9),
) -> Scene:
    """Arguments of `rasterize`: n splats around the origin, an off-centre principal point.

    Scales are log-uniform in `scale`; one unit is about half the picture.
    """
    generator = torch.Generator().manual_seed(seed)
    width, height = size

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)

    K = torch.tensor([[1.9 * width, 0, 0.56 * width], [0, 1.8 * width, 0.43 * height], [0, 0, 1]])
    scene: Scene = {
        "means": 0.6 * normal(n, 3),
        "quats": normal(n, 4),
        "scales": uniform(math.log(scale[0]), math.log(scale[1]), n, 3).exp(),
        "opacities": uniform(*opacity, n),
        "sh": 0.3 * normal(n, 16, 3),
        "viewmats": camera_ring(cameras, torch.float64),
        "Ks": K.expand(cameras, 3, 3),
        "backgrounds": uniform(0, 1, cameras, 3),
    }
    scene = {name: tensor.to(dtype).contiguous() for name, tensor in scene.items()}
    return {**scene, "width": width, "height": height, "sh_degree": 3}


@pytest.fixture
def make_scene() -> Callable[..., Scene]:
    return build_scene


def check_slopes(
    function: Callable[..., Tensor], inputs: dict[str, Tensor], step: float = 1e-6
) -> None:
    """Holds autograd's gradient of a float64 scalar function against central differences.

    Every entry of every input, 1e-5 relative to the largest slope of that input.
    """
    inputs = {name: t.clone().requires_grad_() for name, t in inputs.items()}
    slopes = torch.autograd.grad(function(**inputs), list(inputs.values()))
    with torch.no_grad():
        for (name, tensor), slope in zip(inputs.items(), slopes, strict=True):
            flat, numeric = tensor.view(-1), torch.empty_like(tensor).view(-1)
            for i in range(flat.numel()):
                value = flat[i].item()
                flat[i] = value + step
                above = function(**inputs)
                flat[i] = value - step
                numeric[i] = (above - function(**inputs)) / (2 * step)
                flat[i] = value
            largest = numeric.abs().max()
            assert largest > 0, f"no slope in {name}: the test is empty"
            error = (slope.reshape(-1) - numeric).abs().max() / largest
            assert error < 1e-5, f"slope in {name} is off by {error:.2g} of the largest"


@pytest.fixture
def assert_slopes() -> Callable[..., None]:
    return check_slopes
