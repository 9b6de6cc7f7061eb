from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tondo import _native
from tondo.kernels.splats.gaussians import Gaussians
from tondo.kernels.splats.planes import depth_normal_loss, splat_planes
from tondo.kernels.splats.planes_torch import (
    depth_normal_loss_torch,
    plane_depths,
    splat_planes_torch,
)
from tondo.kernels.splats.rasterize import rasterize

WIDTH, HEIGHT = 37, 22


def gaussians_of(scene: dict[str, Any]) -> Gaussians:
    return Gaussians(*(scene[name] for name in Gaussians._fields))


def summed(make_scene: Any, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """Planes summed over a picture of random flat splats, its alphas and K."""
    options = {"scale": (0.2, 0.9), "opacity": (0.7, 0.99), "dtype": dtype}
    scene = make_scene(n=150, size=(WIDTH, HEIGHT), **options)
    scene["scales"][:, 1] *= 0.05
    gaussians = gaussians_of(scene)
    viewmats, Ks = scene["viewmats"], scene["Ks"]
    planes = splat_planes(gaussians, viewmats[0])
    sums, alphas, _ = rasterize(*gaussians, planes, viewmats, Ks, WIDTH, HEIGHT)
    return sums[0], alphas[0, ..., 0], Ks[0]


@pytest.mark.parametrize("n", [1, 7, 8, 300])
def test_planes_of_native_are_the_twins(make_scene: Any, n: int) -> None:
    scene = make_scene(n=n, size=(WIDTH, HEIGHT), scale=(0.05, 0.6))
    viewmat = scene["viewmats"][0]
    weights = torch.randn(n, 4, generator=torch.Generator().manual_seed(1))
    found = []
    for planes_of, dtype in ((splat_planes, torch.float32), (splat_planes_torch, torch.float64)):
        given = Gaussians(*(t.to(dtype) for t in gaussians_of(scene)))
        means, quats = given.means.requires_grad_(), given.quats.requires_grad_()
        planes = planes_of(given._replace(means=means, quats=quats), viewmat.to(dtype))
        grads = torch.autograd.grad((planes * weights.to(dtype)).sum(), (means, quats))
        found.append((planes.detach(), *grads))
    for native, twin in zip(*found, strict=True):
        torch.testing.assert_close(native, twin.float(), rtol=1e-4, atol=1e-5 * float(twin.max()))
    planes = found[0][0]
    torch.testing.assert_close(planes[:, :3].norm(dim=1), torch.ones(n))
    assert (planes[:, 3] >= 0).all()


def test_gradients_of_the_planes_twin(make_scene: Any) -> None:
    scene = make_scene(n=5, size=(WIDTH, HEIGHT), scale=(0.05, 0.6), dtype=torch.float64)
    gaussians, viewmat = gaussians_of(scene), scene["viewmats"][0]

    def planes(means: Tensor, quats: Tensor) -> Tensor:
        return splat_planes_torch(gaussians._replace(means=means, quats=quats), viewmat)

    inputs = (gaussians.means.requires_grad_(), gaussians.quats.requires_grad_())
    assert torch.autograd.gradcheck(planes, inputs)


def test_culled_splats_have_no_plane_and_no_gradient(make_scene: Any) -> None:
    gaussians = gaussians_of(make_scene(n=9, size=(WIDTH, HEIGHT)))
    radii = torch.ones(9, 2, dtype=torch.int32)
    radii[4] = 0
    camera = torch.eye(4), torch.eye(3), 1, 1
    planes = torch.full((9, 4), 7.0)
    _native.splat_planes_forward(gaussians, camera, radii, planes)
    assert not planes[4].any()
    assert planes[[0, 8]].any(dim=1).all()
    v_means, v_quats = torch.zeros(9, 3), torch.zeros(9, 4)
    _native.splat_planes_backward(gaussians, camera, radii, torch.ones(9, 4), (v_means, v_quats))
    assert not v_means[4].any()
    assert not v_quats[4].any()
    assert v_means[[0, 8]].any(dim=1).all()


def test_loss_of_native_is_the_twins(make_scene: Any) -> None:
    planes, alphas, K = summed(make_scene)
    native_in, twin_in = planes.clone().requires_grad_(), planes.double().requires_grad_()
    native = depth_normal_loss(native_in, alphas, K)
    twin = depth_normal_loss_torch(twin_in, alphas.double(), K.double())
    assert float(twin.detach()) > 0.05
    torch.testing.assert_close(native, twin.float(), rtol=1e-4, atol=0)
    native.backward()
    twin.backward()
    assert native_in.grad is not None
    assert twin_in.grad is not None
    off = (native_in.grad - twin_in.grad.float()).abs()
    scale = twin_in.grad.abs().float()
    assert scale.gt(0).float().mean() > 0.2
    assert off.quantile(0.99) < 1e-3 * scale.quantile(0.5)
    assert off.max() < 1e-2 * scale.max()  # where two neighbours nearly meet, length is near 0


def test_gradients_of_the_loss_twin(make_scene: Any) -> None:
    planes, alphas, K = summed(make_scene, torch.float64)
    crop = planes[6:14, 10:19].clone().requires_grad_()
    K = K.clone()
    K[0, 2], K[1, 2] = K[0, 2] - 10, K[1, 2] - 6
    assert float(depth_normal_loss_torch(crop.detach(), alphas[6:14, 10:19], K)) > 0

    def loss(planes: Tensor) -> Tensor:
        return depth_normal_loss_torch(planes, alphas[6:14, 10:19], K)

    assert torch.autograd.gradcheck(loss, (crop,))


def test_one_plane_has_its_depth_and_no_loss() -> None:
    """A slanted plane that fills the picture: depth of every pixel as by hand, normals agree."""
    K = torch.tensor([[30.0, 0, 14.2], [0, 33.0, 12.1], [0, 0, 1]])
    normal = torch.nn.functional.normalize(torch.tensor([0.3, -0.2, -1.0]), dim=0)
    planes = torch.cat([normal, torch.tensor([4.0])]).expand(HEIGHT, WIDTH, 4).contiguous()
    alphas = torch.ones(HEIGHT, WIDTH)
    depth = plane_depths(planes, alphas, K)
    ray = torch.tensor([(3.5 - 14.2) / 30, (7.5 - 12.1) / 33, 1.0])
    torch.testing.assert_close(depth[7, 3], 4.0 / -(normal @ ray))
    assert abs(float(depth_normal_loss(planes, alphas, K))) < 1e-6
    turned = planes * torch.tensor([-1.0, 1.0, 1.0, 1.0])
    assert float(depth_normal_loss(0.5 * turned, alphas, K)) > 0.3


def test_pixels_without_a_surface_say_nothing() -> None:
    K = torch.eye(3) * 20
    planes = torch.tensor([0.0, 0.0, -1.0, 2.0]).repeat(HEIGHT, WIDTH, 1).requires_grad_()
    for alphas in (torch.full((HEIGHT, WIDTH), 0.5), torch.zeros(HEIGHT, WIDTH)):
        loss = depth_normal_loss(planes, alphas, K)
        loss.backward()
        assert float(loss.detach()) == 0
        assert planes.grad is not None
        assert not planes.grad.any()


def test_loss_is_the_same_on_any_number_of_threads(make_scene: Any) -> None:
    planes, alphas, K = summed(make_scene)
    before, found = _native.num_threads(), []
    try:
        for count in (1, 3):
            _native.set_num_threads(count)
            v_planes = torch.empty_like(planes)
            scratch = _native.PlaneScratch()
            loss = _native.depth_normal_loss(scratch, K, planes, alphas, v_planes)
            found.append((loss, v_planes))
    finally:
        _native.set_num_threads(before)
    assert found[0][0] == found[1][0]
    assert torch.equal(found[0][1], found[1][1])
