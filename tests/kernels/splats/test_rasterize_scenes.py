"""Many scenes at once give what `rasterize` gives for each of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tondo import _native
from tondo.kernels.splats import rasterize_scenes_torch
from tondo.kernels.splats.gaussians import Cameras, Gaussians
from tondo.kernels.splats.rasterize import rasterize
from tondo.kernels.splats.rasterize_scenes import ScenePictures, rasterize_scenes

B, N, H, W = 3, 41, 37, 53


def scenes(seed: int = 0) -> list[Tensor]:
    g = torch.Generator().manual_seed(seed)
    means = torch.randn(B, N, 3, generator=g) * 0.6
    quats = torch.randn(B, N, 4, generator=g)
    scales = torch.rand(B, N, 3, generator=g) * 0.2 + 0.05
    opacities = torch.rand(B, N, generator=g) * 0.9 + 0.05
    colors = torch.rand(B, N, 3, generator=g)
    viewmats = torch.eye(4).repeat(B, 1, 1)
    viewmats[:, 2, 3] = torch.tensor([3.0, 3.5, 4.0])
    viewmats[1, 0, 3] = 0.2
    Ks = torch.tensor([[60.0, 0, 21.0], [0, 55.0, 20.0], [0, 0, 1]]).repeat(B, 1, 1)
    Ks[2, 0, 0] = 70.0
    return [means, quats, scales, opacities, colors, viewmats, Ks]


def arguments(tensors: list[Tensor]) -> tuple[Gaussians, Tensor, Cameras]:
    """Of `rasterize_scenes`."""
    *splats, colors, viewmats, Ks = tensors
    return Gaussians(*splats), colors, Cameras(viewmats, Ks, W, H)


def at_once(tensors: list[Tensor]) -> ScenePictures:
    return rasterize_scenes(*arguments(tensors))


def one_by_one(tensors: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    *splats, viewmats, Ks = tensors
    each = [
        rasterize(
            *(tensor[b] for tensor in splats),
            viewmats[b : b + 1],
            Ks[b : b + 1],
            W,
            H,
            render_mode="RGB+D",
        )
        for b in range(B)
    ]
    pictures = torch.cat([picture for picture, _, _ in each])
    return pictures[..., :3], pictures[..., 3:], torch.cat([alpha for _, alpha, _ in each])


def weights() -> Tensor:
    return torch.rand(B, H, W, 5, generator=torch.Generator().manual_seed(9)) - 0.3


def total(parts: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    return (torch.cat(parts, dim=-1) * weights()).sum()


def test_the_pictures_are_those_of_rasterize() -> None:
    tensors = scenes()
    for found, wanted in zip(at_once(tensors), one_by_one(tensors), strict=True):
        assert found.shape == wanted.shape
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    assert float(at_once(tensors).alphas.max()) > 0.5


def test_the_gradients_are_those_of_rasterize() -> None:
    ours = [tensor.requires_grad_() for tensor in scenes()[:6]]
    theirs = [tensor.requires_grad_() for tensor in scenes()[:6]]
    Ks = scenes()[6]
    total(tuple(at_once([*ours, Ks]))).backward()
    total(one_by_one([*theirs, Ks])).backward()
    for a, b in zip(ours, theirs, strict=True):
        assert a.grad is not None
        assert b.grad is not None
        assert float(b.grad.abs().max()) > 0
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-4)


def test_the_plain_path_gives_the_same() -> None:
    tensors = scenes()
    doubles = [tensor.double() for tensor in tensors]
    for a, b in zip(at_once(tensors), at_once(doubles), strict=True):
        torch.testing.assert_close(a, b.float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("most", [2**25, 20_000])
def test_the_twin_and_its_gradients_in_one_go_and_in_parts(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(rasterize_scenes_torch, "MOST", most)
    ours = [tensor.requires_grad_() for tensor in scenes()[:6]]
    theirs = [tensor.double().requires_grad_() for tensor in scenes()[:6]]
    Ks = scenes()[6]
    found = at_once([*ours, Ks])
    images, alphas = rasterize_scenes_torch.rasterize_scenes_torch(
        *arguments([*theirs, Ks.double()]), near_plane=0.01, eps2d=0.3
    )
    wanted = (images[..., :3], images[..., 3:], alphas)
    for part, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(part, other.float(), rtol=1e-5, atol=1e-5)
    total(tuple(found)).backward()
    total(tuple(x.float() for x in wanted)).backward()  # type: ignore[arg-type]
    for one, other in zip(ours, theirs, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(one.grad, other.grad.float(), rtol=1e-4, atol=1e-4)


def test_any_number_of_threads_gives_the_same_bits() -> None:
    before = _native.num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            _native.set_num_threads(threads)
            tensors = [tensor.requires_grad_() for tensor in scenes()[:5]]
            total(tuple(at_once([*tensors, *scenes()[5:]]))).backward()
            found.append([tensor.grad for tensor in tensors])
    finally:
        _native.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            assert a is not None
            assert torch.equal(a, b)


@pytest.mark.parametrize("count", [0, 1])
def test_few_scenes_or_no_splats(count: int) -> None:
    tensors = [tensor[:count] for tensor in scenes()]
    assert at_once(tensors).colors.shape == (count, H, W, 3)
    empty = [tensor[:, :0] for tensor in scenes()[:5]]
    seen = at_once([*empty, *scenes()[5:]])
    assert float(seen.alphas.abs().max()) == 0


def test_shapes_that_do_not_fit_are_named() -> None:
    tensors = scenes()
    tensors[3] = tensors[3][:, :-1]
    with pytest.raises(ValueError, match="opacities"):
        at_once(tensors)


def test_the_twins_gradients_are_those_of_finite_differences(assert_slopes: Callable) -> None:
    tensors = [x[:2, :5] if x.shape[1] == N else x[:2] for x in scenes()]
    names = ("means", "quats", "scales", "opacities", "colors", "viewmats", "Ks")
    inputs = dict(zip(names, (x.double() for x in tensors), strict=True))
    inputs["Ks"][:, :2] /= 3.0  # the same view on fewer pixels
    height, width = 13, 18  # two tiles
    channels = torch.randn(2, height, width, 5, generator=torch.Generator().manual_seed(9)).double()

    def loss(**given: Tensor) -> Tensor:
        *splats, colors, viewmats, Ks = given.values()
        parts = rasterize_scenes_torch.rasterize_scenes_torch(
            Gaussians(*splats),
            colors,
            Cameras(viewmats, Ks, width, height),
            near_plane=0.01,
            eps2d=0.3,
        )
        return (torch.cat(parts, dim=-1) * channels).sum()

    assert_slopes(loss, inputs)
