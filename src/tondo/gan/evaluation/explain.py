"""Where in a picture a discriminator sees a photograph, and where a generated one."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.errors import InputError
from tondo.features.choose import DEFAULT, load_extractor
from tondo.gan.networks.discriminator import (
    GROUP,
    MIXED,
    Discriminator,
    PlainDiscriminator,
    ProjectedDiscriminator,
)
from tondo.runs.checkpoints import load_latest_checkpoint
from tondo.runs.run_directory import RunDirectory, read_config

PATCH, STRIDE = 0.2, 0.1  # of the picture's side: what is hidden at a time; chosen
BLUR = 0.06  # of the picture's side: radius of the blur that hides; chosen, not measured


def load_discriminator(run: RunDirectory, size: int) -> Discriminator:
    """D of the run's newest checkpoint, frozen.

    Args:
        size: pixels a side of the pictures that it was trained on.

    Raises:
        InputError: no checkpoint, a damaged one, or one without a discriminator.
    """
    checkpoint = load_latest_checkpoint(run)
    if checkpoint is None:
        raise InputError(
            f"the run {run.path} has no checkpoint: its discriminator is not there any more, and "
            "generator files do not hold one"
        )
    weights = {k[2:]: v for k, v in checkpoint.tensors.items() if k.startswith("D.")}
    plain = not any(name.startswith("heads.") for name in weights)
    known = {"with_cameras": "pose.weight" in weights}
    D: Discriminator
    try:
        with torch.random.fork_rng(devices=[]):
            if plain:
                width, channels = weights["first.weight"].shape[:2]
                D = PlainDiscriminator(size, **known, with_alpha=channels == 4, width=width)
            else:
                trained_with = read_config(run).get("adversarial", {})
                extractor = load_extractor(trained_with.get("features", DEFAULT))
                inputs = weights["heads.0.first.parametrizations.weight.original"].shape[1]
                D = ProjectedDiscriminator(extractor, size, **known, with_alpha=inputs > MIXED)
        D.load_state_dict(weights)
    except (KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"the checkpoint of {run.path} holds no discriminator that this version knows: {reason}"
        ) from None
    return D.eval().requires_grad_(False)


@torch.no_grad()
def heat_maps(D: Discriminator, images: Tensor, angles: Tensor | None) -> Tensor:
    """How real each place of each picture looks to D: logits, above 0 real, below 0 generated.

    A projected D judges places of several sizes by itself: its logits, enlarged to the picture and
    averaged over the scales. For a plain D, what a place adds to the one logit: the logit minus
    that of the picture with the place blurred (Zeiler and Fergus 2014, section 4.2), averaged over
    the patches that cover it.

    Args:
        images: [B, 3, S, S] 0..1, with coverage as a fourth channel if D was trained with it; B is
            a multiple of 4 (D compares the pictures of a group).
        angles: [B, 3] radians of the cameras, for a D that was trained with known ones.

    Returns:
        [B, S, S].
    """
    if len(images) % GROUP:
        raise ValueError(f"needs a multiple of {GROUP} pictures, got {len(images)}")
    if isinstance(D, PlainDiscriminator):
        return _by_hiding(D, images, angles)
    size = images.shape[2:]
    features = D.features(images)
    judged = D.logits(features, angles)
    maps, start = [], 0
    for count in _places(D, features):
        side = math.isqrt(count)
        logits = judged[:, start : start + count].view(len(images), 1, side, side)
        maps.append(F.interpolate(logits, size=size, mode="bilinear", align_corners=False))
        start += count
    return torch.stack(maps).mean(dim=0)[:, 0]


def _places(D: ProjectedDiscriminator, features: list[Tensor]) -> list[int]:
    """How many logits each scale gives: a square of them."""
    return [head(x[:GROUP], None).shape[1] for head, x in zip(D.heads, features, strict=True)]


def _by_hiding(D: PlainDiscriminator, images: Tensor, angles: Tensor | None) -> Tensor:
    size = images.shape[2]
    patch, stride = max(4, round(PATCH * size)), max(2, round(STRIDE * size))
    radius = max(1, round(BLUR * size))
    channels = images.shape[1]
    kernel = torch.ones(channels, 1, 2 * radius + 1, 2 * radius + 1) / (2 * radius + 1) ** 2
    blurred = F.conv2d(F.pad(images, (radius,) * 4, mode="replicate"), kernel, groups=channels)
    whole = D.logits(D.features(images), angles).mean(dim=1)
    total, covered = torch.zeros(len(images), size, size), torch.zeros(size, size)
    starts = sorted({*range(0, size - patch + 1, stride), size - patch})
    for y in starts:
        for x in starts:
            hidden = images.clone()
            area = (slice(y, y + patch), slice(x, x + patch))
            hidden[:, :, area[0], area[1]] = blurred[:, :, area[0], area[1]]
            change = whole - D.logits(D.features(hidden), angles).mean(dim=1)
            total[:, area[0], area[1]] += change[:, None, None]
            covered[area] += 1
    return total / covered


def colored(heat: Tensor, images: Tensor) -> Tensor:
    """[B, S, S, 3] pictures in grey with what looks real in blue and generated in red; the
    strongest value of all pictures has the full colour. heat: [B, S, S]; images: [B, S, S, 3]."""
    strength = (heat / heat.abs().max().clamp_min(1e-6)).clamp(-1, 1)[..., None]
    grey = (0.4 + 0.6 * images.mean(dim=3, keepdim=True)).expand_as(images)
    real, fake = images.new_tensor([0.1, 0.35, 1.0]), images.new_tensor([1.0, 0.15, 0.05])
    color = torch.where(strength > 0, real, fake)
    share = 0.75 * strength.abs()
    return grey * (1 - share) + color * grey * share
