"""Small generators with random weights, and files and runs of them."""

from __future__ import annotations

from pathlib import Path

import torch

from tondo.gan.files.generator_file import Card, Trained, save_generator
from tondo.gan.networks.generator import Generator
from tondo.gan.networks.shape import GeneratorShape
from tondo.gan.objects.render import render_styles
from tondo.geometry.look_at import cameras_at
from tondo.geometry.pose_prior import NAMED
from tondo.io.images import write_png
from tondo.runs.run_directory import create_run

SHAPE = GeneratorShape(z=8, w=12, rows=32, columns=64, channels=(12, 10, 8), size=32)
CARD = Card(name="lumps", pictures=7, kimg=1.5, licence="CC0 1.0", metrics={"frechet": 3.5})


def tiny_generator(seed: int = 0, shape: GeneratorShape = SHAPE) -> Generator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = Generator(shape)
    return generator.eval().requires_grad_(False)


def tiny_trained(seed: int = 0, shape: GeneratorShape = SHAPE) -> Trained:
    return Trained(tiny_generator(seed, shape), NAMED["turntable"], CARD)


def tiny_run(path: Path, seed: int = 0, shape: GeneratorShape = SHAPE) -> Path:
    """A finished run of `tondo train`."""
    run = create_run(path, {"tondo": "0.1.0", "command": "train"})
    save_generator(run.path / "generator.safetensors", tiny_trained(seed, shape))
    return run.path


def photo_of_sample(path: Path) -> Path:
    """What a camera sees of a sample, as a photo on white."""
    generator = tiny_trained().generator
    viewmats, Ks = cameras_at(torch.tensor([[0.7, 0.1, 0.0]]), 20.0, 5.8, 96)
    z = torch.randn(1, 8, generator=torch.Generator().manual_seed(77))
    rendered, _ = render_styles(generator, generator.styles(z), viewmats, Ks, 96)
    write_png(path, rendered.images[0])
    return path
