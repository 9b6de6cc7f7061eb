"""Generators and discriminators on a GPU, and the processes of torchrun, one for each GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import parallel_on_gpu
import pytest
import torch
from torch import Tensor

from gan.networks.test_discriminator import TinyExtractor
from tiny_generators import SHAPE, tiny_generator
from tondo.gan.networks.discriminator import PlainDiscriminator, ProjectedDiscriminator
from tondo.gan.networks.shape import GeneratorShape
from tondo.gan.objects.render import render_splats
from tondo.geometry.look_at import cameras_at

SHAPES = {
    "plain": SHAPE,
    "all there is": replace(
        SHAPE, light="camera", background="scene", basis_maps=5, axial=True, has_inner_layer=True
    ),
    "mirrored": replace(SHAPE, mirror=True),
}


@pytest.fixture(autouse=True)
def whole_floats(cuda: torch.device) -> Iterator[None]:
    """Convolutions on a GPU round to 10 bits (TF32) unless told otherwise."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def near(found: Tensor, wanted: Tensor, tolerance: float = 1e-4) -> None:
    error = (found.detach().cpu() - wanted.detach()).abs().max() / wanted.detach().abs().max()
    assert error < tolerance


def codes(shape: GeneratorShape) -> Tensor:
    return torch.randn(3, shape.z, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_splats_of_a_generator_and_their_gradients(
    cuda: torch.device, shape: GeneratorShape
) -> None:
    here, there = tiny_generator(shape=shape), tiny_generator(shape=shape).to(cuda)
    w = here.styles(codes(shape)).requires_grad_()
    w_there = w.detach().to(cuda).requires_grad_()
    near(there.styles(codes(shape).to(cuda)), w)
    found, wanted = there(w_there), here(w)
    for one, other in zip(found, wanted, strict=True):
        assert type(one) is type(other)
        if isinstance(one, Tensor):
            assert one.device == cuda
            near(one, other)
    (found.means.square().sum() + found.colors.sum()).backward()
    (wanted.means.square().sum() + wanted.colors.sum()).backward()
    assert w_there.grad is not None
    assert w.grad is not None
    near(w_there.grad, w.grad, 1e-3)


def test_pictures_of_a_generator(cuda: torch.device) -> None:
    shape = SHAPES["all there is"]
    here, there = tiny_generator(shape=shape), tiny_generator(shape=shape).to(cuda)
    w = here.styles(codes(shape))
    angles = torch.tensor([[0.4, 0.3, 0.0], [2.0, -0.5, 0.2], [-1.2, 1.1, 0.0]])
    cameras = cameras_at(angles, 30.0, 4.0, 40)
    wanted = render_splats(here(w), *cameras, 40, here.render_background(w, 40))
    w, cameras = w.to(cuda), tuple(x.to(cuda) for x in cameras)
    found = render_splats(there(w), *cameras, 40, there.render_background(w, 40))
    error = (found.images.cpu() - wanted.images).abs()
    assert found.images.device == cuda
    assert error.mean() < 1e-5
    assert error.max() < 1e-2  # a splat at alpha 1/255 may be drawn or not


def test_planes_of_a_generator(cuda: torch.device) -> None:
    shape = replace(SHAPE, representation="field")
    here, there = tiny_generator(shape=shape), tiny_generator(shape=shape).to(cuda)
    w = here.styles(codes(shape))
    assert here.planes is not None
    assert there.planes is not None
    near(there.planes(w.to(cuda)).maps, here.planes(w).maps)


@pytest.mark.parametrize("kind", ["projected", "plain"])
def test_discriminators(cuda: torch.device, kind: str) -> None:
    images = torch.rand(8, 4, 32, 32, generator=torch.Generator().manual_seed(2))
    angles = torch.rand(8, 3, generator=torch.Generator().manual_seed(3)) - 0.5
    judged, slopes = [], []
    for device in (torch.device("cpu"), cuda):
        torch.manual_seed(0)
        D: ProjectedDiscriminator | PlainDiscriminator
        if kind == "plain":
            D = PlainDiscriminator(32, with_cameras=True, with_alpha=True, width=4)
        else:
            extractor = TinyExtractor()
            D = ProjectedDiscriminator(extractor, 32, with_cameras=True, with_alpha=True)
            extractor.first.to(device)
            extractor.second.to(device)
        D = D.to(device).eval()
        given = images.clone().to(device).requires_grad_()
        judged.append(D.logits(D.features(given), angles.to(device)))
        judged[-1].sum().backward()
        assert given.grad is not None
        slopes.append(given.grad)
    near(judged[1], judged[0])
    near(slopes[1], slopes[0], 1e-3)


def test_torchruns_process_has_its_gpu() -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(torch.cuda.device_count()), parallel_on_gpu.__file__]
    found = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=250,
        cwd=Path(__file__).parent,
    )
    assert found.returncode == 0, found.stderr
