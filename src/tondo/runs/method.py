"""What trains: a method behind one interface, which the run loop (`tondo.runs.loop`) drives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.photos import PhotoSet
from tondo.errors import InputError, OptionError
from tondo.io.mask_files import AUTO, UNKNOWN, Outside
from tondo.runs.checkpoints import Checkpoint
from tondo.runs.events import Evaluation, GanStep, Step
from tondo.runs.horizon import Clock, Horizon
from tondo.runs.memory import peak_memory_mb
from tondo.runs.run_directory import RunDirectory


@dataclass(frozen=True)
class Report:
    """One training step.

    Attributes:
        event: its figures, without the memory (`Method.event`); None of a stage that has none.
        fraction: share of the training that is over after it, 0..1.
        note: what happened in this step that whoever trains should know.
        rate: photographs a second, where training is counted in them.
    """

    event: Step | GanStep | None
    fraction: float
    note: str | None = None
    rate: float | None = None


class Counted(Protocol):
    """What the state of every training counts."""

    step: int
    clock: Clock


class Method(ABC):
    """A method at work.

    Attributes:
        counted: steps and training time so far, in the state of the training.
        horizon: how long to train.
        torch_threads: how many torch takes while it trains.
        picture_seconds: training time between pictures of how far it has come.
    """

    torch_threads: int = 1
    picture_seconds: float = 30.0

    def __init__(self, state: Counted, horizon: Horizon) -> None:
        self.counted, self.horizon = state, horizon

    @property
    def clock(self) -> Clock:
        """Training time so far."""
        return self.counted.clock

    @property
    def step(self) -> int:
        """Steps done so far."""
        return self.counted.step

    @property
    def done(self) -> str:
        """How far it has come, in words."""
        return f"step {self.step}"

    def fraction(self) -> float:
        """How much of the training is over, 0..1."""
        return self.horizon.fraction(self.step, self.clock.seconds())

    @abstractmethod
    def advance(self, fraction: float) -> Report:
        """Train one step, `fraction` of the training being over."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """All of its state, for a checkpoint."""

    def facts(self) -> dict[str, Any]:
        """What a checkpoint has beside the tensors, JSON values."""
        return {}

    def progress(self) -> dict[str, Any]:
        """How far it has come, for `config.json`."""
        return {"steps_done": self.step, "seconds_done": round(self.clock.seconds(), 3)}

    def event(self, event: Step | GanStep) -> Step | GanStep:
        """A report's event as it is written."""
        return replace(event, memory=peak_memory_mb())

    def pictures(self, run: RunDirectory) -> Mapping[str, Tensor]:
        """Pictures for TensorBoard, [H, W, 3] float sRGB 0..1 or uint8, by their tags; some may be
        written into the run, too."""
        return {}

    def measure(self) -> Evaluation | None:
        """How good it is by now, where that can be measured."""
        return None

    def check(self, *, thorough: bool) -> str | None:
        """What is wrong with it, in a few words, or None. `thorough` before each checkpoint."""
        return None

    def go_back(self, run: RunDirectory, checkpoint: Checkpoint, reason: str) -> str:
        """Take the state of a checkpoint again, since `check` found something wrong. Returns a
        sentence about it. Raises TondoError where it is of no use. A method whose `check` never
        finds anything has none."""
        raise NotImplementedError

    def summary(self) -> dict[str, Any]:
        """Its figures for `metrics.json`."""
        return {}

    def write(self, run: RunDirectory) -> None:  # noqa: B027 (scenes are written at their end)
        """Write what a run shows beside its checkpoints. Raises OutputError."""


@dataclass(frozen=True)
class Background:
    """What is behind a scene.

    Attributes:
        color: [3] float32 sRGB 0..1; where it is learned, the one that it begins with.
        is_random: transparent photos are shown on a new colour at every step: on one colour, what
            has that colour around the object would go unseen.
        is_learned: the colour is fitted together with the scene.
    """

    color: Tensor
    is_random: bool = False
    is_learned: bool = False


def background_for(photos: PhotoSet, wanted: str | tuple[float, float, float] | None) -> Background:
    """The background that `wanted` (`tondo.scenes.options.ReconstructOptions`) means for photos.

    Raises:
        OptionError: "learned" with transparent photos.
    """
    if wanted == "learned" and photos.has_alpha:
        raise OptionError(
            f"the photos of {photos.source} are transparent where the background is, so "
            "that it cannot be learned: give another `background`: white, black, random or r,g,b"
        )
    is_random = wanted in (None, "random") and photos.has_alpha
    if isinstance(wanted, tuple):
        color = torch.tensor(wanted)
    elif wanted == "black":
        color = torch.zeros(3)
    elif wanted in ("white", "random") or photos.has_alpha:
        color = torch.ones(3)
    else:
        some = [photo.image[::4, ::4].double().mean(dim=(0, 1)) for photo in photos.train]
        color = (torch.stack(some).mean(dim=0) / 255).float()
    return Background(color, is_random, wanted == "learned")


@dataclass(frozen=True)
class Request:
    """A scene that is wanted.

    Attributes:
        photos: what it is made from.
        posed: where these photos are.
        max_size: longest side in training, pixels. seed: random seed.
        horizon: how long to train.
        background: what is behind the scene.
        exposure: fit a colour correction per photo.
        masks, outside_masks: how their masks were chosen, as in `load_photos`.
    """

    photos: PhotoSet
    posed: Path
    max_size: int
    seed: int
    horizon: Horizon
    background: Background
    exposure: bool
    masks: str = AUTO
    outside_masks: Outside = UNKNOWN


def check_photo_count(begun_with: int, now: int) -> None:
    """Raises InputError where a checkpoint is of another number of photos than there are."""
    if begun_with != now:
        raise InputError(
            f"the run was started with {begun_with} training photos, now there are {now}: restore "
            "them, or start again with `force`"
        )


S = TypeVar("S")


class Fitting(ABC, Generic[S]):
    """A scene of kind S being fitted to photos; `tondo.scenes.fitting` makes a `Method` of it."""

    def __init__(self, state: Counted, horizon: Horizon) -> None:
        self.counted = state
        self.horizon = horizon

    @abstractmethod
    def advance(self, fraction: float) -> Report:
        """Train one step, `fraction` of the training being over."""

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
