"""`rasterize` through gsplat's own kernels, held against the twin."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from kernels.conftest import Scene, build_scene
from kernels.splats.test_rasterize_scenes import at_once, one_by_one, scenes, total
from kernels.test_native import SIZE, run
from tondo.kernels.splats.rasterize import rasterize, rasterize_path
from tondo.kernels.splats.rasterize_torch import rasterize_torch


@pytest.fixture(autouse=True)
def needs_gsplat(cuda: torch.device) -> None:
    pytest.importorskip("gsplat", reason="needs gsplat: pip install gsplat")
    from gsplat.cuda._backend import _C

    if _C is None:
        pytest.skip("needs the CUDA toolkit (nvcc), with which gsplat compiles itself")
    assert rasterize_path(cuda)[0] == "gsplat"


def moved(scene: Scene, device: torch.device) -> Scene:
    return {n: x.to(device) if isinstance(x, Tensor) else x for n, x in scene.items()}


def assert_alike(
    found: dict[str, Tensor],
    wanted: dict[str, Tensor],
    most: float = 1e-3,
    usual: float = 1e-5,
) -> None:
    """Nearly everywhere within `usual` of the largest value, and everywhere within `most`: gsplat's
    exponential is an approximation, so a splat at alpha 1/255 may be drawn here and not there."""
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        value = value.double()
        error = (found[name].cpu().double() - value).abs() / value.abs().max()
        assert error.flatten().quantile(0.99) < usual, name
        assert error.max() < most, name


def pictures_and_slopes(rasterizer: Any, scene: Scene, dtype: torch.dtype, **options: Any) -> Any:
    """Of `kernels.test_native.run`, with the culled splats' places left out: they mean nothing."""
    seen, slopes = run(rasterizer, scene, dtype, **options)
    shown = (seen["radii"] > 0).all(dim=-1).cpu()
    for name in ("means2d", "depths", "conics", "opacities"):
        seen[name] = seen[name].cpu()[shown]
    return seen, {name: slope for name, slope in slopes.items() if slope is not None}


@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "D", "ED", "RGB+D", "RGB+ED"])
def test_pictures_and_gradients_are_the_twins(
    cuda: torch.device, mode: str, antialiased: bool
) -> None:
    scene = build_scene(n=120, size=SIZE, cameras=2, scale=(0.05, 0.3))
    options: dict[str, Any] = {
        "render_mode": mode,
        "with_normals": True,
        "rasterize_mode": "antialiased" if antialiased else "classic",
        "near_plane": 3.5,
        "eps2d": 0.4,
        "radius_clip": 2.0,
    }
    found, slopes = pictures_and_slopes(rasterize, moved(scene, cuda), torch.float32, **options)
    wanted, wanted_slopes = pictures_and_slopes(rasterize_torch, scene, torch.float64, **options)
    assert found["picture"].device == cuda
    assert torch.equal(found.pop("radii").cpu(), wanted.pop("radii"))
    assert_alike(found, wanted)
    assert_alike(slopes, wanted_slopes, 3e-3, 1e-3)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_degrees_of_harmonics_and_colours_of_each_camera(cuda: torch.device, degree: int) -> None:
    scene = {**build_scene(n=90, size=SIZE, cameras=2), "sh_degree": degree}
    scene["sh"] = torch.stack([scene["sh"], scene["sh"].flip(0)])
    found, slopes = pictures_and_slopes(rasterize, moved(scene, cuda), torch.float32)
    wanted, wanted_slopes = pictures_and_slopes(rasterize_torch, scene, torch.float64)
    assert_alike({"picture": found["picture"]}, {"picture": wanted["picture"]})
    assert_alike({"sh": slopes["sh"]}, {"sh": wanted_slopes["sh"]}, 3e-3, 1e-3)


@pytest.mark.parametrize("channels", [1, 4, 7, 33])
def test_any_number_of_channels(cuda: torch.device, channels: int) -> None:
    scene = {**build_scene(n=60, size=SIZE, cameras=2), "sh_degree": None, "backgrounds": None}
    scene["sh"] = torch.rand(60, channels, generator=torch.Generator().manual_seed(3))
    picture, alphas, _ = rasterize(**moved(scene, cuda), render_mode="RGB+D")
    wanted, covered, _ = rasterize_torch(**scene, render_mode="RGB+D")
    assert picture.shape == (2, SIZE[1], SIZE[0], channels + 1)
    assert_alike({"p": picture, "a": alphas}, {"p": wanted, "a": covered})


@pytest.mark.parametrize("tile_size", [7, 40])
def test_the_tile_size_changes_nothing(cuda: torch.device, tile_size: int) -> None:
    """gsplat itself fails where a tile has more than 1024 pixels."""
    scene = build_scene(n=60, size=SIZE)
    picture, _, meta = rasterize(**moved(scene, cuda), tile_size=tile_size)
    assert_alike({"p": picture}, {"p": rasterize_torch(**scene)[0]})
    assert (meta["tile_size"], meta["tile_width"]) == (tile_size, -(-SIZE[0] // tile_size))


def test_a_quaternion_of_zero_is_the_identity(cuda: torch.device) -> None:
    scene = build_scene(n=5, size=SIZE, scale=(0.1, 0.4))
    scene["quats"][1:4] = 0
    found, slopes = pictures_and_slopes(rasterize, moved(scene, cuda), torch.float32)
    wanted, wanted_slopes = pictures_and_slopes(rasterize_torch, scene, torch.float64)
    assert_alike(found, wanted)
    assert_alike(slopes, wanted_slopes, 3e-3, 1e-3)


def test_splats_that_are_all_out_of_sight(cuda: torch.device) -> None:
    scene = moved(build_scene(n=7, size=SIZE), cuda)
    scene["means"] = scene["means"] + torch.tensor([0.0, 0.0, -50.0], device=cuda)
    scene["means"].requires_grad_()
    picture, alphas, _ = rasterize(**scene, render_mode="RGB+ED", with_normals=True)
    assert float(alphas.detach().abs().max()) == 0
    picture.sum().backward()
    assert float(scene["means"].grad.abs().max()) == 0


def test_many_scenes(cuda: torch.device) -> None:
    there = [tensor.to(cuda).requires_grad_() for tensor in scenes()[:6]]
    here = [tensor.requires_grad_() for tensor in scenes()[:6]]
    K = scenes()[6]
    found = at_once([*there, K.to(cuda)])
    wanted = one_by_one([*here, K])
    names = ("colors", "depths", "alphas")
    assert_alike(found._asdict(), dict(zip(names, wanted, strict=True)))
    total(tuple(x.cpu() for x in found)).backward()  # type: ignore[arg-type]
    total(wanted).backward()
    for one, other in zip(there, here, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert_alike({"slope": one.grad}, {"slope": other.grad}, 3e-3, 1e-3)
