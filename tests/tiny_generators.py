"""Small generators with random weights, and files and runs of them."""

from __future__ import annotations

from pathlib import Path

import torch

from tondo.gan.files.generator_file import Card, Trained, save_generator
from tondo.gan.networks.generator import Generator
from tondo.gan.networks.shape import GeneratorShape
from tondo.geometry.pose_prior import NAMED
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
