"""What every method of reconstruction is asked for, and what it gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.photos import PhotoSet
from tondo.errors import OptionError
from tondo.io.mask_files import AUTO
from tondo.runs.horizon import Clock, Horizon


@dataclass(frozen=True)
class Request:
    """A scene that is wanted.

    Attributes:
        photos: what it is made from.
        posed: where these photos are.
        max_size: longest side in training, pixels. seed: of every random choice.
        horizon: how long to train.
        background: as in `tondo.scenes.reconstruct.ReconstructOptions`.
        exposure: fit a colour correction per photo.
        masks: how their masks were chosen, as in `load_posed`.
    """

    photos: PhotoSet
    posed: Path
    max_size: int
    seed: int
    horizon: Horizon
    background: str | tuple[float, float, float] | None
    exposure: bool
    masks: str = AUTO

    @property
    def has_alpha(self) -> bool:
        return any(photo.alpha is not None for photo in self.photos.train)

    @property
    def random_background(self) -> bool:
        """Whether transparent photos are shown on a new colour at every step: on one colour, what
        has that colour around the object would go unseen."""
        return self.background in (None, "random") and self.has_alpha

    def first_background(self) -> Tensor:
        """[3] float32: the colour behind everything, with "learned" the one that it begins with.

        Raises:
            OptionError: "learned" with transparent photos.
        """
        if self.has_alpha and self.background == "learned":
            raise OptionError(
                f"the photos of {self.photos.source} are transparent where the background is, so "
                "that it cannot be learned: give --background white, black, random or r,g,b"
            )
        if isinstance(self.background, tuple):
            return torch.tensor(self.background)
        if self.background == "black":
            return torch.zeros(3)
        if self.background in ("white", "random") or self.has_alpha:
            return torch.ones(3)
        some = [photo.image[::4, ::4].double().mean(dim=(0, 1)) for photo in self.photos.train]
        return (torch.stack(some).mean(dim=0) / 255).float()


@dataclass(frozen=True)
class Report:
    """One step.

    Attributes:
        step: steps done, this one included.
        loss: what training makes small.
        psnr: dB on this step's pixels, or None where it was not measured.
        splats: number of splats; None of a field.
        seconds, fraction: training time, and what share of the training is over.
        note: what happened in this step that whoever trains should know.
    """

    step: int
    loss: float
    psnr: float | None
    splats: int | None
    seconds: float
    fraction: float
    note: str | None = None


class OtherPhotos(ValueError):
    """A checkpoint is of another number of photos than there are now."""

    def __init__(self, found: int, wanted: int) -> None:
        super().__init__(
            f"the run was started with {found} training photos, now there are {wanted}"
        )


S = TypeVar("S")


class Progress(Protocol):
    """What every method's training counts: steps done, and training time."""

    step: int
    clock: Clock


class Fitting(ABC, Generic[S]):
    """A method at work on photos; S is its kind of scene."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    @property
    def clock(self) -> Clock:
        """Training time so far."""
        return self._progress.clock

    @property
    def step(self) -> int:
        """Steps done so far."""
        return self._progress.step

    @abstractmethod
    def reports(self) -> Iterator[Report]:
        """Train until the horizon, with a report after every step."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """All of its state, for a checkpoint."""

    @abstractmethod
    def scene(self) -> S:
        """The scene as it stands."""

    @abstractmethod
    def cameras(self) -> Sequence[Camera]:
        """Those of the training photos, as refined so far."""

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """How large the scene has become, for `metrics.json`."""
