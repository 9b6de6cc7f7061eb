"""A step that compares the depth's normals with the splats': its gradients and what it does."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from small_photos import cameras, photos, points
from tondo.data.cameras import Camera
from tondo.data.photos import Photo, PointCloud
from tondo.data.splats import Scene, Splats
from tondo.kernels.splats.gaussians import Gaussians
from tondo.kernels.splats.planes_torch import depth_normal_loss_torch, splat_planes_torch
from tondo.kernels.splats.rasterize import rasterize
from tondo.runs.horizon import Horizon
from tondo.runs.method import Background
from tondo.scenes.render import render
from tondo.splats import from_points, parameters, train
from tondo.splats import step as step_
from tondo.splats.options import SplatDensity, SplatLoss, SplatOptions
from tondo.splats.parameters import Parameters

WEIGHT = 3.0


def thin_splats() -> Parameters:
    splats = from_points.splats_from_points(points(), sh_degree=1, opacity=0.9, size=1.2)
    generator = torch.Generator().manual_seed(3)
    quats = torch.randn(splats.quats.shape, generator=generator)
    thin = torch.tensor([0.0, -1.5, 0.3])
    return parameters.start(
        dataclasses.replace(splats, quats=quats, log_scales=splats.log_scales + thin)
    )


def expected_gradients(start: Parameters, camera: Camera) -> tuple[float, dict[str, Tensor]]:
    """By the twins and autograd, in float64."""
    values = {name: start.values[name].double() for name in ("means", "quats", "log_scales")}
    opacities = start.values["opacity_logits"].double().sigmoid()
    given = {
        "means": values["means"].requires_grad_(),
        "quats": values["quats"].requires_grad_(),
        "scales": values["log_scales"].exp().requires_grad_(),
        "opacities": opacities.requires_grad_(),
    }
    gaussians, viewmat = Gaussians(**given), camera.viewmat.double()
    K, size = camera.K.double(), (camera.width, camera.height)
    planes = splat_planes_torch(gaussians, viewmat)
    sums, alphas, _ = rasterize(*gaussians, planes, viewmat[None], K[None], *size)
    loss = WEIGHT * depth_normal_loss_torch(sums[0], alphas[0, ..., 0].detach(), K)
    grads = torch.autograd.grad(loss, list(given.values()))
    return float(loss.detach()), dict(zip(given, grads, strict=True))


def test_gradients_are_those_of_the_twins() -> None:
    start, camera = thin_splats(), photos(1)[0].camera
    work = step_.Workspace()
    step_.render(work, start, camera, 1, torch.zeros(3), with_planes=True)
    loss = step_.compare_normals(work, camera, WEIGHT)
    work.v_picture.zero_()
    step_.backward(work, start, camera, 1, None)
    expected, grads = expected_gradients(start, camera)
    assert expected > 0.1
    assert loss == pytest.approx(expected, rel=1e-3)
    found = {**work.v_splats._asdict(), "opacities": work.v_screen.opacities}
    for name, grad in grads.items():
        off = (found[name] - grad.float()).norm() / grad.float().norm()
        assert off < 2e-3, name


def test_the_picture_and_its_gradients_stay_the_same_beside_planes() -> None:
    """Planes without weight change no gradient, whatever size the picture before had."""
    start = thin_splats()
    shots = photos(2)
    target = step_.Target(shots[1].camera, shots[1].image, None)
    plain, beside = step_.Workspace(), step_.Workspace()
    wide = dataclasses.replace(shots[0].camera, width=shots[0].camera.width + 5)
    step_.render(beside, start, wide, 1, torch.zeros(3), with_planes=True)
    for work, with_planes in ((plain, False), (beside, True)):
        step_.render(work, start, target.camera, 1, torch.zeros(3), with_planes=with_planes)
        step_.compare(work, target, 0.2, None)
        if with_planes:
            step_.compare_normals(work, target.camera, 0.0)
        step_.backward(work, start, target.camera, 1, None)
    assert torch.equal(plain.picture, beside.picture)
    for a, b in zip(plain.v_splats, beside.v_splats, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-7)


def test_a_picture_without_planes_has_no_normals_to_compare() -> None:
    work = step_.Workspace()
    camera = photos(1)[0].camera
    step_.render(work, thin_splats(), camera, 1, torch.zeros(3))
    with pytest.raises(ValueError, match="without planes"):
        step_.compare_normals(work, camera, 1.0)


def disagreement(state: train.TrainState, shots: list[Photo]) -> float:
    """Mean depth-normal loss over the photographs."""
    work = step_.Workspace()

    def each() -> Iterator[float]:
        for photo in shots:
            step_.render(work, state.parameters, photo.camera, 1, torch.zeros(3), with_planes=True)
            yield step_.compare_normals(work, photo.camera, 1.0)

    return sum(each()) / len(shots)


def ball() -> tuple[list[Photo], PointCloud]:
    """Photographs of a ball in patches of colours, and points that lie around its surface."""
    g = torch.Generator().manual_seed(5)
    where = torch.nn.functional.normalize(torch.randn(700, 3, generator=g), dim=1)
    sh = torch.randn(700, 1, 3, generator=g)
    sizes, solid = torch.full((700, 3), -2.3), torch.full((700,), 5.0)
    splats = Splats(0.9 * where, torch.randn(700, 4, generator=g), sizes, solid, sh)
    up = torch.tensor([0.0, 0.0, 1.0])
    scene = Scene(splats, torch.full((3,), 0.5), up, 1.0, torch.zeros(3))
    shots = [
        Photo(f"{i:03d}.png", camera, (render(scene, camera).color * 255).round().byte())
        for i, camera in enumerate(cameras(8))
    ]
    around = where[::2] * (0.9 + 0.1 * torch.randn(350, 1, generator=g))
    return shots, PointCloud(around, torch.full((350, 3), 128, dtype=torch.uint8))


def trained(normals: float) -> tuple[train.TrainState, list[Photo]]:
    loss = SplatLoss(normals=normals)
    config = SplatOptions(max_splats=500, sh_degree=1, density=SplatDensity(every=20), loss=loss)
    shots, cloud = ball()
    grey = Background(torch.full((3,), 0.5))
    inputs = train.TrainInputs(shots, config, Horizon(300, None), grey, 1.0, exposure=False)
    first = from_points.splats_from_points(cloud, sh_degree=1)
    state, work, fraction = train.begin(first, shots, 0), step_.Workspace(), 0.0
    while fraction < 1:
        fraction = train.advance(state, inputs, work, fraction).fraction
    return state, shots


def test_training_brings_depth_and_splats_together() -> None:
    without, with_term = (disagreement(*trained(weight)) for weight in (0.0, 0.3))
    assert with_term < 0.8 * without
