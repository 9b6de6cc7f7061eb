"""The native projection beside its twin, by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tondo.kernels.splats.gaussians import Cameras, Gaussians
from tondo.kernels.splats.project import project
from tondo.kernels.splats.project_torch import Projection, ProjectionOptions, project_torch

N, CAMERAS, SIZE = 61, 2, (37, 22)
LEAVES = ("means", "quats", "scales", "viewmats")


def projected(
    operation: Callable[..., Projection], scene: dict[str, Any], options: ProjectionOptions
) -> tuple[Projection, list[Tensor]]:
    """What `operation` gives, and its gradients by `LEAVES` for uneven weights of all of that."""
    scene = scene | {name: scene[name].clone().requires_grad_() for name in LEAVES}
    gaussians = Gaussians(*(scene[name] for name in Gaussians._fields))
    found = operation(gaussians, Cameras(*(scene[name] for name in Cameras._fields)), options)
    rng = torch.Generator().manual_seed(3)
    names = ("means2d", "depths", "conics", *(["compensations"] if options.antialiased else []))
    parts = [getattr(found, name) for name in names]
    weights = [torch.randn(part.shape, generator=rng).to(part.dtype) for part in parts]
    loss = sum((part * weight).sum() for part, weight in zip(parts, weights, strict=True))
    return found, list(torch.autograd.grad(loss, [scene[name] for name in LEAVES]))


@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize("wide", [False, True])
def test_native_is_the_twin(make_scene: Callable, antialiased: bool, wide: bool) -> None:
    scene = make_scene(n=N, size=SIZE, cameras=CAMERAS, scale=(0.05, 0.6))
    if wide:  # clamped Jacobians: far to the side, big enough to reach the picture
        scene["means"][:, 0] *= 5.0
        scene["scales"] += 1.0
    exact = {k: v.double() if isinstance(v, Tensor) else v for k, v in scene.items()}
    options = ProjectionOptions(antialiased=antialiased)
    native, slopes = projected(project, scene, options)
    twin, expected = projected(project_torch, exact, options)
    assert native.radii.shape == (CAMERAS, N, 2)
    assert (native.radii > 0).all(dim=-1).float().mean() > 0.4
    assert (native.radii - twin.radii).abs().max() <= 1  # a radius right at a whole pixel
    assert ((native.radii > 0) == (twin.radii > 0)).all()
    for name in ("means2d", "depths", "conics", "compensations"):
        found, wanted = getattr(native, name), getattr(twin, name)
        error = (found - wanted).abs().max() / wanted.abs().max()
        assert error < 1e-5, f"{name} is off by {error:.2g} of the largest"
    for name, found, wanted in zip(LEAVES, slopes, expected, strict=True):
        error = (found - wanted).abs().max() / wanted.abs().max()
        assert error < 1e-4, f"slope in {name} is off by {error:.2g} of the largest"
