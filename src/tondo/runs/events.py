"""What happens in a run, one JSON object per line of `events.jsonl`."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from dataclasses import dataclass
from typing import Any

from tondo.errors import OutputError
from tondo.runs.run_directory import RunDirectory


@dataclass(frozen=True)
class Step:
    """Progress of training.

    Attributes:
        step: steps done so far.
        loss: training loss, mean since the last such event.
        psnr: dB on the training photos of these steps, or None if not measured.
        splats: number of splats; None of a field.
        seconds: training time so far, resumed parts included.
        memory: peak resident memory, MB.
    """

    step: int
    loss: float
    psnr: float | None
    splats: int | None
    seconds: float
    memory: float = 0.0


@dataclass(frozen=True)
class Evaluation:
    """Means over the held-out photos: PSNR in dB, SSIM, perceptual distance (None: not taken)."""

    step: int
    psnr: float
    ssim: float | None
    perceptual: float | None
    images: int
    seconds: float


@dataclass(frozen=True)
class Saved:
    """A file was written: its path below the run's folder."""

    step: int
    path: str
    seconds: float


@dataclass(frozen=True)
class Note:
    """Something worth telling, in plain words: started, resumed, stopped, a photo left out."""

    step: int
    message: str
    seconds: float


@dataclass(frozen=True)
class GanStep:
    """Progress of a generator's training: the last step's figures.

    Attributes:
        step, pictures: steps done and photographs shown so far.
        loss_d, loss_g: of the discriminator and the generator.
        real, fake: D's mean logits on photographs and on generated pictures.
        grad_d, grad_g: norms of the gradients.
        augment_p: strength of the augmentation, 0..1.
        seconds: training time so far. memory: peak resident memory, MB.
    """

    step: int
    pictures: int
    loss_d: float
    loss_g: float
    real: float
    fake: float
    grad_d: float
    grad_g: float
    augment_p: float
    seconds: float
    memory: float = 0.0


Event = Step | GanStep | Evaluation | Saved | Note
NAMES: dict[type[Event], str] = {
    Step: "step",
    GanStep: "gan_step",
    Evaluation: "evaluation",
    Saved: "saved",
    Note: "note",
}


def append_event(run: RunDirectory, event: Event) -> None:
    """Add one line to `events.jsonl`; NaN and infinity become null.

    A line that a killed process left half-written is ended first, so it harms no other.

    Raises:
        OutputError: the file cannot be written.
    """
    fields = {key: _number(value) for key, value in dataclasses.asdict(event).items()}
    line = json.dumps({"event": NAMES[type(event)], **fields}, allow_nan=False, ensure_ascii=False)
    try:
        with open(run.events_path, "ab+") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else "\n" + line
            file.write(line.encode("utf-8") + b"\n")
    except OSError as error:
        raise OutputError(f"cannot write {run.events_path}: {error.strerror}") from error


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
