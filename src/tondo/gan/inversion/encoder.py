"""From a picture to a first guess of its style and camera: learned from a generator's own samples.

The truth of a sample is known, so no photograph is needed: the network of the perceptual distance,
frozen, looks at the picture, and a small head says w and how the camera is turned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tondo.errors import InputError
from tondo.features.efficientnet_lite import load_efficientnet_lite0
from tondo.gan.files.generator_file import (
    Trained,
    check_tensors,
    fingerprint,
    is_number,
    read_tensors,
    write_tensors,
)
from tondo.gan.objects.render import render_styles
from tondo.geometry.pose_prior import draw_cameras
from tondo.runs.watch import SILENT, Progress

FORMAT = "tondo encoder 1"
SIDE = 64  # pixels at which the encoder looks at a picture; chosen
SAMPLES = 4000  # pictures of G it learns from; chosen, not measured
ROUNDS = 20  # passes over them; chosen, not measured
BATCH = 64  # pictures a step; chosen, not measured
RENDERED = 16  # samples made at a time; bounds memory
WIDTH = 256  # of the hidden layers; chosen, not measured
COARSE = 16  # side of the small picture that is looked at directly, for its colours; chosen
CHANNELS = ((40, 16), (112, 48), (320, 96))  # used maps, how many stay; chosen
DROPPED = 0.2  # share of hidden units (Srivastava et al. 2014); chosen, not measured
ADVICE = "delete it: it is made again"


class OtherGeneratorError(InputError):
    """An encoder's file is of another generator, or of another version: no fault of the file's."""


class Guess(NamedTuple):
    """Attributes:
    w: [B, W] styles: what is to be expected, so nearer to the mean the less can be told.
    rotations: [B, 3, 3] world-to-camera, OpenCV axes.
    """

    w: Tensor
    rotations: Tensor


@dataclass(frozen=True)
class EncoderReport:
    """On samples that were not trained on: mean angle between true and guessed camera in degrees,
    and the share of w's variance that is explained."""

    degrees: float
    explained: float
    samples: int


class Encoder(nn.Module):
    """Pictures [B, 3, 64, 64] sRGB 0..1, objects on white where the generator has no scenery, to
    a `Guess`."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.squeeze = nn.ModuleList([nn.Conv2d(a, b, 1) for a, b in CHANNELS])
        sides = [SIDE // stride for stride in (8, 16, 32)]
        inputs = sum(b * s * s for (_, b), s in zip(CHANNELS, sides, strict=True))
        self.first = nn.Linear(inputs + 3 * COARSE**2, WIDTH)
        self.second = nn.Linear(WIDTH, WIDTH)
        self.style = nn.Linear(WIDTH, w)
        self.turn = nn.Linear(WIDTH, 6)
        self.register_buffer("mean", torch.zeros(w))

    mean: Tensor

    def forward(self, images: Tensor) -> Guess:
        return self.head(*look(images))

    def head(self, maps: list[Tensor], coarse: Tensor) -> Guess:
        parts = [conv(x).flatten(1) for conv, x in zip(self.squeeze, maps, strict=True)]
        x = torch.cat([F.silu(part) for part in parts] + [2 * coarse.flatten(1) - 1], dim=1)
        x = F.silu(self.first(F.dropout(x, DROPPED, self.training)))
        x = x + F.silu(self.second(F.dropout(x, DROPPED, self.training)))
        return Guess(self.mean + self.style(x), rotations_from_six(self.turn(x)))


@torch.no_grad()
def look(images: Tensor) -> tuple[list[Tensor], Tensor]:
    """What the head is given: three feature maps, and the picture at 16 pixels a side."""
    if images.shape[2] != SIDE:
        images = F.interpolate(images, size=(SIDE, SIDE), mode="bilinear", antialias=True)
    maps = load_efficientnet_lite0().features(images)[1:]
    return [x.contiguous() for x in maps], F.adaptive_avg_pool2d(images, COARSE)


def rotations_from_six(six: Tensor) -> Tensor:
    """[B, 3, 3] from [B, 6]: the first two rows, made orthonormal (Zhou et al. 2019, section 4)."""
    a = F.normalize(six[:, :3] + six.new_tensor([1e-4, 0, 0]), dim=1)
    b = six[:, 3:] + six.new_tensor([0, 1e-6, 0])
    for _ in range(2):  # what is left of nearly parallel rows is rounding: that is projected again
        b = F.normalize(b - (a * b).sum(dim=1, keepdim=True) * a, dim=1)
    return torch.stack([a, b, torch.linalg.cross(a, b)], dim=1)


def train_encoder(
    trained: Trained,
    *,
    samples: int = SAMPLES,
    rounds: int = ROUNDS,
    seed: int = 0,
    watch: Progress = SILENT.stage,
) -> tuple[Encoder, EncoderReport]:
    """An encoder for one generator; the same seed and numbers give the same one.

    Args:
        samples: pictures made, a tenth of them for the report; at least 20.
        watch: told (what is done, how far, of how much).
    """
    if samples < 20:
        raise ValueError(f"an encoder needs at least 20 samples, got {samples}")
    rng = torch.Generator().manual_seed(seed)
    maps, coarse, truth = _samples(trained, samples, rng, watch)
    kept = samples - max(2, samples // 10)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # of first weights and of what is dropped
        encoder = Encoder(trained.generator.shape.w)
        learned = Guess(truth.w[:kept], truth.rotations[:kept])
        looks = ([x[:kept] for x in maps], coarse[:kept])
        _learn(encoder, looks, learned, rounds, rng, watch)
    encoder.eval().requires_grad_(False)
    test = encoder.head([x[kept:].float() for x in maps], coarse[kept:].float())
    return encoder, _report(test, Guess(truth.w[kept:], truth.rotations[kept:]), truth.w)


def _learn(
    encoder: Encoder,
    looks: tuple[list[Tensor], Tensor],
    truth: Guess,
    rounds: int,
    rng: torch.Generator,
    watch: Progress,
) -> None:
    maps, coarse = looks
    kept = len(coarse)
    encoder.mean.copy_(truth.w.mean(dim=0))
    spread = (truth.w - encoder.mean).square().mean().clamp_min(1e-6)
    optimiser = torch.optim.AdamW(encoder.parameters(), 1e-3, weight_decay=1e-2)
    steps = rounds * max(1, kept // BATCH)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        rows = torch.randint(kept, (min(BATCH, kept),), generator=rng)
        guess = encoder.head([x[rows].float() for x in maps], coarse[rows].float())
        turn = (guess.rotations - truth.rotations[rows]).square().sum(dim=(1, 2)).mean()
        loss = (guess.w - truth.w[rows]).square().mean() / spread + turn
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        watch("encoder", step + 1, steps)


@torch.no_grad()
def _samples(
    trained: Trained,
    count: int,
    rng: torch.Generator,
    watch: Progress,
) -> tuple[list[Tensor], Tensor, Guess]:
    """Looks of `count` samples as float16, and their truth. Pictures are disturbed a little as
    photographs are: exposure, tint, place and size in the picture."""
    generator = trained.generator
    cameras = draw_cameras(trained.priors, count, SIDE, rng)
    viewmats = cameras.viewmats.clone()
    viewmats[:, :2, 3] += 0.08 * torch.randn(count, 2, generator=rng)
    viewmats[:, 2, 3] *= torch.exp(0.06 * torch.randn(count, generator=rng))
    found: list[list[Tensor]] = [[] for _ in range(len(CHANNELS) + 1)]
    styles = []
    for start in range(0, count, RENDERED):
        rows = slice(start, min(count, start + RENDERED))
        z = torch.randn(rows.stop - start, generator.shape.z, generator=rng)
        w = generator.styles(z)
        images = render_styles(generator, w, viewmats[rows], cameras.Ks[rows], SIDE)[0].images
        gain = torch.exp(0.1 * torch.randn(len(w), 1, 1, 3, generator=rng))
        power = torch.exp(0.2 * torch.randn(len(w), 1, 1, 1, generator=rng))
        images = (images.clamp(1e-3, 1) ** power * gain).clamp(0, 1).permute(0, 3, 1, 2)
        maps, coarse = look(images)
        for parts, x in zip(found, [*maps, coarse], strict=True):
            parts.append(x.half())
        styles.append(w)
        watch("samples", rows.stop, count)
    *maps, coarse = [torch.cat(parts) for parts in found]
    return maps, coarse, Guess(torch.cat(styles), viewmats[:, :3, :3].contiguous())


def _report(guess: Guess, truth: Guess, every_w: Tensor) -> EncoderReport:
    cosine = 0.5 * ((guess.rotations * truth.rotations).sum(dim=(1, 2)) - 1)
    degrees = torch.rad2deg(torch.acos(cosine.clamp(-1, 1))).mean()
    spread = (truth.w - every_w.mean(dim=0)).square().mean()
    explained = 1 - (guess.w - truth.w).square().mean() / spread.clamp_min(1e-12)
    return EncoderReport(float(degrees), float(explained), len(every_w))


def save_encoder(path: Path, encoder: Encoder, trained: Trained, report: EncoderReport) -> None:
    """Write the encoder's own weights as float16. Raises OutputError."""
    tensors = {name: t.half().contiguous() for name, t in encoder.state_dict().items()}
    about = {
        "format": FORMAT,
        "generator": fingerprint(trained.generator),
        "w": trained.generator.shape.w,
        "report": [report.degrees, report.explained, report.samples],
    }
    write_tensors(path, "tondo_encoder", about, tensors)


def load_encoder(path: Path, trained: Trained) -> tuple[Encoder, EncoderReport]:
    """What `save_encoder` wrote for this generator.

    Raises:
        OtherGeneratorError: made for another generator, or by another version.
        InputError: missing or damaged.
    """
    about, tensors = read_tensors(path, "tondo_encoder", "an encoder of Tondo", ADVICE)
    if about.get("format") != FORMAT or about.get("generator") != fingerprint(trained.generator):
        raise OtherGeneratorError(f"{path} is an encoder of another generator or version: {ADVICE}")
    with torch.random.fork_rng(devices=[]):
        encoder = Encoder(trained.generator.shape.w)
    check_tensors(path, tensors, encoder.state_dict(), ADVICE)
    encoder.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    try:
        degrees, explained, samples = about["report"]
        if not all(is_number(value) for value in (degrees, explained, samples)):
            raise ValueError("its report must be three numbers")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: the encoder's description is damaged ({error}): {ADVICE}"
        ) from None
    report = EncoderReport(float(degrees), float(explained), int(samples))
    return encoder.eval().requires_grad_(False), report
