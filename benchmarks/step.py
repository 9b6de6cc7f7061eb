"""Where does a training step spend its time, and what does a step cost in CPU-seconds?

Three questions on the photos of `fox` (longest side 480), from the points that training starts
with:
- the whole schedule of `tondo reconstruct --minutes 1`: the share of each native function, of
  densification and of the rest;
- one step at a fixed number of splats and full size, in CPU-seconds;
- the CPU-seconds of the shortest of some trainings that reaches a given PSNR on held-out photos.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from common import TimedNative, all_threads, save, shared_data, timed_steps
from tondo import _native
from tondo.data.photos import PhotoSet, PointCloud
from tondo.geometry.focus import camera_reach
from tondo.io.posed.photos import load_photos
from tondo.runs.horizon import Horizon
from tondo.runs.method import Background
from tondo.scenes.evaluate import evaluate_scene
from tondo.splats import densify, from_points, train
from tondo.splats.initial_points import starting_points
from tondo.splats.method import scene_of
from tondo.splats.options import SplatDensity, SplatOptions, SplatSchedule, suited
from tondo.splats.step import Workspace

MAX_SIZE = 480
WANTED_PSNR = 23.4  # dB
LENGTHS = (2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0)  # seconds of training
FIXED_SPLATS = 9_939  # as many as the figures of OpenSplat in the docs started with


@contextmanager
def timed_densification(timed: TimedNative) -> Iterator[None]:
    """The functions that change the set of splats are timed under the name "densify"."""
    names = ("relocate", "grow", "add_noise")
    before = {name: getattr(densify, name) for name in names}

    def wrap(function: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = function(*args, **kwargs)
            timed.calls.setdefault("densify", []).append(time.perf_counter() - start)
            return result

        return run

    for name, function in before.items():
        setattr(densify, name, wrap(function))
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(densify, name, function)


def inputs_of(photos: PhotoSet, config: SplatOptions, horizon: Horizon) -> train.TrainInputs:
    reach = camera_reach([photo.camera for photo in photos.train])
    return train.TrainInputs(photos.train, config, horizon, Background(torch.zeros(3)), reach)


def run(state: train.TrainState, inputs: train.TrainInputs, work: Workspace) -> None:
    """Train until the horizon."""
    state.clock.run()
    while (fraction := inputs.horizon.fraction(state.step, state.clock.seconds())) < 1:
        train.advance(state, inputs, work, fraction)


def whole_schedule(photos: PhotoSet, cloud: PointCloud, seconds: float) -> dict[str, Any]:
    config = suited(SplatOptions(), photos.pixels)
    splats = from_points.splats_from_points(cloud, sh_degree=config.sh_degree)
    inputs = inputs_of(photos, config, Horizon(None, seconds))
    state = train.begin(splats, photos.train, 0)
    with timed_steps() as timed, timed_densification(timed):
        cpu, wall = time.process_time(), time.perf_counter()
        run(state, inputs, Workspace())
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    spent = {name: sum(calls) for name, calls in timed.calls.items()}
    spent["everything else"] = wall - sum(spent.values())
    return {
        "seconds": round(wall, 2),
        "cpu_seconds": round(cpu, 2),
        "steps": state.step,
        "steps_a_second": round(state.step / wall, 2),
        "first_splats": len(cloud.points),
        "last_splats": len(state.parameters),
        "shares": {name: round(value / wall, 4) for name, value in spent.items()},
    }


def fixed_cost(photos: PhotoSet, cloud: PointCloud, steps: int) -> dict[str, Any]:
    """A step at full size, `FIXED_SPLATS` splats and all harmonics."""
    rows = torch.randperm(len(cloud.points), generator=torch.Generator().manual_seed(0))
    rows = rows[: min(FIXED_SPLATS, len(rows))]
    config = SplatOptions(
        max_splats=len(rows),
        density=SplatDensity(until=0.0),
        schedule=SplatSchedule(coarse=(), degree_every=1e-9),
    )
    chosen = PointCloud(cloud.points[rows], cloud.colors[rows])
    splats = from_points.splats_from_points(chosen, sh_degree=config.sh_degree)
    inputs = inputs_of(photos, config, Horizon(steps, None))
    state = train.begin(splats, photos.train, 0)
    work = Workspace()
    train.advance(state, inputs, work, 0.0)  # makes the buffers
    cpu, wall = time.process_time(), time.perf_counter()
    run(state, inputs, work)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    size = photos.train[0].camera
    return {
        "width": size.width,
        "height": size.height,
        "splats": len(rows),
        "steps": steps - 1,
        "cpu_seconds_a_step": round(cpu / (steps - 1), 5),
        "seconds_a_step": round(wall / (steps - 1), 5),
    }


def cost_to_reach(photos: PhotoSet, cloud: PointCloud) -> list[dict[str, float]]:
    """Trainings of growing length, until one reaches `WANTED_PSNR`."""
    found = []
    for seconds in LENGTHS:
        config = suited(SplatOptions(), photos.pixels)
        inputs = inputs_of(photos, config, Horizon(None, seconds))
        splats = from_points.splats_from_points(cloud, sh_degree=config.sh_degree)
        state = train.begin(splats, photos.train, 0)
        cpu, wall = time.process_time(), time.perf_counter()
        run(state, inputs, Workspace())
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        measured = evaluate_scene(scene_of(state, inputs, photos), photos.test, None).mean
        found.append({"seconds": round(wall, 2), "cpu_seconds": round(cpu, 2)})
        found[-1] |= {"steps": state.step, "psnr": round(measured.psnr, 3)}
        if measured.psnr >= WANTED_PSNR:
            break
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of training (%(default)s)")
    parser.add_argument("--threads", type=int, default=_native.num_threads())
    args = parser.parse_args()
    source = shared_data() / "fox"
    photos = load_photos(source, max_size=MAX_SIZE)
    with all_threads(args.threads):
        torch.set_num_threads(1)  # as `tondo reconstruct` does
        start = starting_points(source, photos, MAX_SIZE, 0)
        results = {
            "data": "fox",
            "threads": args.threads,
            "points_from": start.origin,
            "whole": whole_schedule(photos, start.cloud, args.seconds),
            "fixed": fixed_cost(photos, start.cloud, 200),
            "wanted_psnr": WANTED_PSNR,
            "to_reach": cost_to_reach(photos, start.cloud),
        }
    print(results)
    save("step", results)


if __name__ == "__main__":
    main()
