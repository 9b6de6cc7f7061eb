"""Two steps of a tiny training, as one process or as one of those that torchrun starts."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor

from tiny_generators import SHAPE
from tiny_trainings import tuned
from tondo.data.pictures import PictureSet
from tondo.gan.training import state_tensors
from tondo.gan.training.state import TrainInputs
from tondo.gan.training.step import begin, one_step
from tondo.geometry.look_at import cameras_at
from tondo.geometry.pose_prior import NAMED
from tondo.runs import distributed

BATCH = 16  # of all processes together
CONFIG = tuned(batch=BATCH, strength=0.5, r1_every=1, loss="relativistic")


class Pooled:
    """Features of two scales without a network."""

    def features(self, images: Tensor) -> list[Tensor]:
        return [F.avg_pool2d(images, 2), F.avg_pool2d(images, 4)]


CAMERAS = ("known", "drawn", "frontal")


def two_steps(folder: Path, cameras: str) -> None:
    """Leaves reports.json and state.safetensors in `folder`. cameras: known, or drawn from all
    round, or looked for on one side, then of pictures with scenery."""
    rng = torch.Generator().manual_seed(3)
    scene, known = cameras == "frontal", cameras == "known"
    channels = 3 if scene else 4
    images = torch.randint(0, 256, (40, channels, 32, 32), dtype=torch.uint8, generator=rng)
    angles = torch.rand(40, 3, generator=rng) - 0.5
    pictures = PictureSet(images, *(cameras_at(angles, 20.0, 5.8, 32) if known else ()))
    priors = NAMED["frontal" if scene else "turntable"]
    inputs = TrainInputs(pictures, priors, Pooled(), CONFIG, angles if known else None)
    shape = dataclasses.replace(SHAPE, background="scene") if scene else SHAPE
    state = begin(inputs, shape, seed=1)
    assert state.photo_encoder is not None
    assert (state.photo_encoder.to_angles is not None) == scene
    reports = [dataclasses.asdict(one_step(state, inputs)) for _ in range(2)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reports.json").write_text(json.dumps(reports))
    safetensors.torch.save_file(state_tensors.to_tensors(state), folder / "state.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    distributed.start()
    for name in CAMERAS:
        two_steps(Path(sys.argv[1]) / name / str(distributed.rank()), name)
    rank = distributed.rank()
    # No time between its last word to the others and its end.
    sys.setswitchinterval(10)  # whoever waits for the interpreter waits until the end
    for _ in range(300):
        distributed.broadcast_float(1.0)
    distributed.stop()
    left = [file.read_text() for file in Path("/proc/self/task").glob("*/comm")]  # Linux tells
    (Path(sys.argv[1]) / f"threads-{rank}.json").write_text(json.dumps(left))
