"""Splats on a GPU without gsplat: the twin, and all that comes to it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from kernels.conftest import Scene, build_scene
from kernels.splats.test_project_torch import project_scene
from kernels.splats.test_rasterize_scenes import H, W, at_once, scenes, total
from kernels.test_native import SCENES, SIZE, assert_near, run
from tondo.kernels.splats import rasterize as room
from tondo.kernels.splats.project_torch import ProjectionOptions
from tondo.kernels.splats.rasterize import rasterize, rasterize_path
from tondo.kernels.splats.rasterize_torch import rasterize_torch

BOTH = {"render_mode": "RGB+D", "with_normals": True}


@pytest.fixture
def without_gsplat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "find_spec", lambda name: None)


def moved(scene: Scene, device: torch.device) -> Scene:
    return {n: x.to(device) if isinstance(x, Tensor) else x for n, x in scene.items()}


def on_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.cpu() for name, tensor in tensors.items()}


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
@pytest.mark.parametrize("kind", SCENES)
def test_the_twin_on_the_gpu_is_the_twin(cuda: torch.device, kind: str, mode: str) -> None:
    scene = build_scene(size=SIZE, **SCENES[kind])
    options: dict[str, Any] = {**BOTH, "rasterize_mode": mode}
    seen, slopes = map(on_cpu, run(rasterize_torch, moved(scene, cuda), torch.float32, **options))
    wanted, wanted_slopes = run(rasterize_torch, scene, torch.float64, **options)
    assert torch.equal(seen.pop("radii"), wanted.pop("radii"))
    # 1 - alpha is a small difference of rounded numbers where little light is left
    behind, wanted_behind = (s.pop("backgrounds") for s in (slopes, wanted_slopes))
    assert (behind - wanted_behind).abs().max() < 1e-3 * wanted_behind.abs().max()
    assert_near(seen, wanted, 1e-5)
    assert_near(slopes, wanted_slopes, 1e-5)


@pytest.mark.usefixtures("without_gsplat")
def test_without_gsplat_the_gpu_takes_the_twin(cuda: torch.device) -> None:
    assert rasterize_path(cuda)[0] == "torch"
    scene = build_scene(n=40, size=SIZE, cameras=2)
    seen, slopes = map(on_cpu, run(rasterize, moved(scene, cuda), torch.float32, **BOTH))
    native, native_slopes = run(rasterize, scene, torch.float32, **BOTH)
    assert torch.equal(seen.pop("radii"), native.pop("radii"))
    assert_near(seen, native, 1e-4)
    assert_near(slopes, native_slopes, 2e-4)


def test_float64_takes_the_twin_on_the_gpu_too(cuda: torch.device) -> None:
    scene = build_scene(n=40, size=SIZE, dtype=torch.float64)
    picture, alphas, _ = rasterize(**moved(scene, cuda))
    wanted, covered, _ = rasterize(**scene)
    torch.testing.assert_close(picture.cpu(), wanted)
    torch.testing.assert_close(alphas.cpu(), covered)


def test_no_splats(cuda: torch.device) -> None:
    scene = moved(build_scene(n=0, cameras=2), cuda)
    picture, alphas, _ = rasterize(**scene)
    assert picture.device == alphas.device == cuda
    assert float(alphas.abs().max()) == 0
    assert torch.equal(picture, scene["backgrounds"][:, None, None, :].expand_as(picture))


@pytest.mark.parametrize("antialiased", [False, True])
def test_projection(cuda: torch.device, antialiased: bool) -> None:
    scene = build_scene(n=300, size=SIZE, cameras=2)
    options = ProjectionOptions(antialiased=antialiased)
    found, wanted = (project_scene(one, options) for one in (moved(scene, cuda), scene))
    assert torch.equal(found.radii.cpu(), wanted.radii)
    parts = ("means2d", "depths", "conics", "compensations")
    seen, shown = ({n: getattr(one, n).cpu() for n in parts} for one in (found, wanted))
    assert_near(seen, shown, 1e-5)


@pytest.mark.usefixtures("without_gsplat")
def test_many_scenes(cuda: torch.device) -> None:
    tensors = [tensor.requires_grad_() for tensor in scenes()[:6]]
    there = [x.detach().to(cuda).requires_grad_() for x in tensors]
    K = scenes()[6]
    found = at_once([*there, K.to(cuda)])
    wanted = at_once([*tensors, K])
    for part, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(part.cpu(), other, rtol=1e-5, atol=1e-5)
    total(tuple(x.cpu() for x in found)).backward()  # type: ignore[arg-type]
    total(wanted).backward()
    for one, other in zip(there, tensors, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(one.grad.cpu(), other.grad, rtol=1e-4, atol=1e-4)


def test_no_scenes(cuda: torch.device) -> None:
    seen = at_once([tensor[:0].to(cuda) for tensor in scenes()])
    assert seen.colors.shape == (0, H, W, 3)
    assert seen.alphas.shape == (0, H, W, 1)
    assert seen.depths.device == cuda
