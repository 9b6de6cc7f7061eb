"""What a training is given, what it changes, and pictures as both networks see them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from tondo.data.pictures import PictureSet
from tondo.features.extractor import Extractor
from tondo.gan.networks.discriminator import Discriminator
from tondo.gan.networks.generator import Generator
from tondo.gan.networks.latent_mixture import LatentBuffer
from tondo.gan.objects.render import Rendered
from tondo.gan.options import TrainOptions
from tondo.gan.training.autoencoder import PhotoEncoder
from tondo.geometry.pose_prior import Cameras, PosePrior
from tondo.runs.device import CPU
from tondo.runs.horizon import Clock

MOST_TURN = 120.0  # degrees of azimuth within which unknown cameras are looked for; chosen


@dataclass(frozen=True)
class TrainInputs:
    """What a training is given and does not change.

    Attributes:
        pictures: the photographs. With cameras, `camera_angles` [N, 3] are theirs.
        priors: where the cameras stand if the photographs do not say.
        extractor: the frozen CNN of a projected discriminator.
        base: the generator to start from, or None for a new one.
        device: where the networks are trained; photographs, cameras and random numbers stay on
            the CPU until a step takes them.
    """

    pictures: PictureSet
    priors: tuple[PosePrior, ...]
    extractor: Extractor
    options: TrainOptions
    camera_angles: Tensor | None = None
    base: Generator | None = None
    device: torch.device = CPU

    @property
    def one_side(self) -> Tensor | None:
        """[3] the direction from the origin to the middle of unknown cameras that all stand on one
        side, or None."""
        prior = self.priors[0]
        same_directions = all(
            (one.azimuth, one.elevation) == (prior.azimuth, prior.elevation) for one in self.priors
        )
        narrow = same_directions and prior.azimuth[1] - prior.azimuth[0] <= MOST_TURN
        if self.camera_angles is not None or not narrow:
            return None
        azimuth, elevation = (
            math.radians(0.5 * sum(ends)) for ends in (prior.azimuth, prior.elevation)
        )
        flat = math.cos(elevation)
        x, z = math.sin(azimuth) * flat, math.cos(azimuth) * flat
        return torch.tensor([x, math.sin(elevation), z])


class CameraEstimates(NamedTuple):
    """Of the cameras of N photographs, on the CPU.

    Attributes:
        angles: [N, 3] radians (`geometry.pose_prior`).
        priors: [N] int64, the number of the prior that each is of; -1 where nothing is known yet.
    """

    angles: Tensor
    priors: Tensor

    @classmethod
    def none(cls, count: int) -> CameraEstimates:
        """Of photographs of which nothing is known."""
        return cls(torch.zeros(count, 3), torch.full((count,), -1))

    def remember(self, rows: Tensor, found: CameraEstimates) -> None:
        """Take what was found of the photographs `rows` [B]."""
        self.angles[rows], self.priors[rows] = found.angles.cpu(), found.priors.cpu()


@dataclass
class TrainState:
    """Everything that a training changes.

    Attributes:
        rng: the only source of random numbers.
        queue: photographs still to come in this round, last first.
        pictures: photographs shown so far.
        augment_p: strength of the augmentation. clock: training time.
        photo_encoder: None where no photographs are reconstructed.
        camera_estimates: of every photograph's camera.
        latent_buffer: photographs' codes, on the CPU.
    """

    G: Generator
    D: Discriminator
    G_ema: Generator
    opt_g: torch.optim.Adam
    opt_d: torch.optim.Adam
    rng: torch.Generator
    camera_estimates: CameraEstimates
    latent_buffer: LatentBuffer
    queue: list[int] = field(default_factory=list)
    pictures: int = 0
    step: int = 0
    augment_p: float = 0.0
    signs: list[float] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)
    photo_encoder: PhotoEncoder | None = None


def real_images(inputs: TrainInputs, rows: Tensor) -> Tensor:
    """Photographs [B, 3, S, S] float 0..1 on the training's device; transparent ones over white,
    and with their coverage as a fourth channel."""
    images = inputs.pictures.images[rows].to(inputs.device).float() / 255
    if images.shape[1] == 4:
        alphas = images[:, 3:]
        images = torch.cat([images[:, :3] * alphas + (1 - alphas), alphas], dim=1)
    return images


def known_cameras(inputs: TrainInputs, rows: Tensor) -> Cameras | None:
    """The cameras of photographs, if they are known, on the training's device."""
    angles, known = inputs.camera_angles, inputs.pictures
    if angles is None or known.viewmats is None or known.Ks is None:
        return None
    found = (x[rows].to(inputs.device) for x in (angles, known.viewmats, known.Ks))
    return Cameras(*found)


def with_coverage(rendered: Rendered, inputs: TrainInputs) -> Tensor:
    """Generated pictures [B, 3, S, S] with the channels that photographs have."""
    images = rendered.images.permute(0, 3, 1, 2)
    if inputs.pictures.with_alpha:
        images = torch.cat([images, rendered.alphas[:, None]], dim=1)
    return images
