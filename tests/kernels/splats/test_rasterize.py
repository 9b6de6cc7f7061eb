"""The choice of the path, and the path through gsplat held against a stand-in for it."""

import sys
import types
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from typing import Any

import pytest
import torch
from torch import Tensor

from tondo.errors import MissingPartError
from tondo.kernels.splats import rasterize as room
from tondo.kernels.splats.rasterize import rasterize, rasterize_path
from tondo.kernels.splats.rasterize_torch import rasterize_torch


def gsplat_stand_in(calls: list[dict[str, Any]]) -> types.ModuleType:
    """A module with gsplat 1.5's signature (its fifth argument is `colors`), run by the twin."""

    def rasterization(
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        colors: Tensor,
        viewmats: Tensor,
        Ks: Tensor,
        width: int,
        height: int,
        near_plane: float = 0.01,
        far_plane: float = 1e10,
        radius_clip: float = 0.0,
        eps2d: float = 0.3,
        sh_degree: int | None = None,
        packed: bool = True,
        tile_size: int = 16,
        backgrounds: Tensor | None = None,
        render_mode: str = "RGB",
        sparse_grad: bool = False,
        absgrad: bool = False,
        rasterize_mode: str = "classic",
    ) -> tuple[Tensor, Tensor, dict[str, Any]]:
        calls.append({"packed": packed, "tile_size": tile_size, "quats": quats})
        return rasterize_torch(
            means,
            quats,
            scales,
            opacities,
            colors,
            viewmats,
            Ks,
            width,
            height,
            near_plane,
            far_plane,
            radius_clip,
            eps2d,
            sh_degree,
            packed,
            tile_size,
            backgrounds,
            render_mode,
            rasterize_mode,
        )

    module = types.ModuleType("gsplat")
    module.__spec__ = ModuleSpec("gsplat", None)
    module.rasterization = rasterization
    return module


@pytest.mark.parametrize("mode", ["RGB", "D", "ED", "RGB+D", "RGB+ED"])
@pytest.mark.parametrize("with_normals", [False, True])
def test_gsplat_path_gives_what_the_twin_gives(
    make_scene: Callable, monkeypatch: pytest.MonkeyPatch, mode: str, with_normals: bool
) -> None:
    calls: list[dict[str, Any]] = []
    monkeypatch.setitem(sys.modules, "gsplat", gsplat_stand_in(calls))
    monkeypatch.setattr(room, "rasterize_path", lambda device, dtype: ("gsplat", "pretended"))
    arguments = {
        **make_scene(n=9, cameras=2),
        "render_mode": mode,
        "with_normals": with_normals,
        "rasterize_mode": "antialiased",
        "near_plane": 0.5,
        "eps2d": 0.4,
        "radius_clip": 1.0,
    }
    found, expected = rasterize(**arguments), rasterize_torch(**arguments)
    assert len(calls) == 1 + with_normals
    assert all(call["packed"] is False for call in calls)
    torch.testing.assert_close(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[1])
    assert found[2].keys() == expected[2].keys()
    for name, value in expected[2].items():
        torch.testing.assert_close(found[2][name], value)


def test_gsplat_gets_what_it_can_take(
    make_scene: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No tiles of more than 1024 pixels, no quaternions of length zero."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setitem(sys.modules, "gsplat", gsplat_stand_in(calls))
    monkeypatch.setattr(room, "rasterize_path", lambda device, dtype: ("gsplat", "pretended"))
    scene = make_scene(n=3)
    scene["quats"][1] = 0
    _, _, meta = rasterize(**scene, tile_size=40)
    assert meta["tile_size"] == 40
    (call,) = calls
    assert call["tile_size"] == 16
    assert call["quats"][1].tolist() == [1, 0, 0, 0]
    assert torch.equal(call["quats"][::2], scene["quats"][::2])


def test_gsplat_without_its_kernels_is_one_sentence(
    make_scene: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "rasterize_path", lambda device, dtype: ("gsplat", "pretended"))
    monkeypatch.setitem(sys.modules, "gsplat", gsplat_stand_in([]))
    for name in ("gsplat.cuda", "gsplat.cuda._backend"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["gsplat.cuda._backend"]._C = None  # type: ignore[attr-defined]
    with pytest.raises(MissingPartError, match="CUDA toolkit"):
        rasterize(**make_scene())


def test_gsplat_path_without_splats(make_scene: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "rasterize_path", lambda device, dtype: ("gsplat", "pretended"))
    s = make_scene(n=0)
    picture, alphas, _ = rasterize(**s)
    assert (alphas == 0).all()
    assert torch.equal(picture, s["backgrounds"][:, None, None, :].expand_as(picture))


def test_path_on_cuda_says_what_it_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "find_spec", lambda name: None)
    path, why = rasterize_path("cuda:0")
    assert path == "torch"
    assert "pip install gsplat" in why
    monkeypatch.setattr(room, "find_spec", lambda name: ModuleSpec(name, None))
    assert rasterize_path("cuda")[0] == "gsplat"


def test_path_of_other_devices_and_types() -> None:
    path, why = rasterize_path("cpu", torch.float64)
    assert path == "torch"
    assert "float64" in why
    path, why = rasterize_path("mps")
    assert path == "torch"
    assert "mps" in why


def test_float64_goes_through_the_twin(make_scene: Callable) -> None:
    s = make_scene(dtype=torch.float64)
    picture, _, _ = rasterize(**s)
    assert picture.dtype == torch.float64
    assert torch.equal(picture, rasterize_torch(**s)[0])
