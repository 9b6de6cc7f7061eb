"""Where does a step of `tondo train` spend its time, and how far is it from the cores' ceiling?

On `apples`, 64x64, as `tondo train apples --poses turntable+tumble --axial` trains them:
- pictures a second by the clock: of some rounds, one thread and all threads in turn, the median,
  the slowest and the fastest (a shared machine's speed varies);
- multiply-adds of all convolutions and matrix products of a step (without R1), counted, beside the
  machine's own rate: the floor;
- the CPU time of torch's operations in some groups, by its profiler.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch.autograd.profiler_util import FunctionEventAvg
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from common import ROOT, all_threads, ceilings, save
from gan import prepared
from tondo import _native
from tondo.gan.options import TrainOptions
from tondo.gan.training.inputs import train_inputs
from tondo.gan.training.state import TrainInputs, TrainState
from tondo.gan.training.step import begin, one_step
from tondo.io.collections.picture_shards import load_pictures
from tondo.runs.watch import SILENT

GROUPS = {  # the first whose word is in an operation's name
    "convolutions, backward": ("convolution_backward",),
    "convolutions, forward": ("conv",),
    "splats, forward and backward": ("_Scenes",),
    "maps of the sphere, light": ("_Finer", "_Padded", "_Doubled", "_Lit"),
    "matrix products": ("mm", "linear", "matmul"),
    "resampling": ("upsample", "grid_sampler", "pixel_", "avg_pool"),
    "Adam": ("Adam", "lerp", "addcdiv", "addcmul"),
}


def group_of(name: str) -> str:
    return next((g for g, words in GROUPS.items() if any(w in name for w in words)), "the rest")


def shares(events: Iterable[FunctionEventAvg]) -> dict[str, float]:
    """Of the time in operations themselves, less what they call."""
    spent: dict[str, float] = {}
    for event in events:
        group = group_of(event.key)
        spent[group] = spent.get(group, 0.0) + event.self_cpu_time_total
    total = sum(spent.values())
    return {name: round(value / total, 4) for name, value in spent.items()}


def speeds(
    state: TrainState, inputs: TrainInputs, threads: list[int], rounds: int, steps: int
) -> dict[int, list[tuple[float, float]]]:
    """For each number of threads, of every round: pictures a second, and CPU-seconds a picture."""
    found: dict[int, list[tuple[float, float]]] = {count: [] for count in threads}
    for _ in range(rounds):
        for count, every in found.items():
            with all_threads(count):
                one_step(state, inputs)
                before, cpu, wall = state.pictures, time.process_time(), time.perf_counter()
                for _ in range(steps):
                    one_step(state, inputs)
                cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            pictures = state.pictures - before
            every.append((pictures / wall, cpu / pictures))
    return found


def explained(state: TrainState, inputs: TrainInputs, threads: int) -> dict[str, Any]:
    """The floor, and what the time of a step goes to."""
    # the counter cannot follow gradients of gradients: without R1
    plain = dataclasses.replace(
        inputs.options, adversarial=dataclasses.replace(inputs.options.adversarial, r1_gamma=0.0)
    )
    with all_threads(threads):
        with FlopCounterMode(display=False) as counted:
            one_step(state, dataclasses.replace(inputs, config=plain))
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            for _ in range(inputs.options.adversarial.r1_every):  # regularised once
                one_step(state, inputs)
    peak = ceilings(threads)
    multiply_adds = counted.get_total_flops() / 2 / inputs.options.schedule.batch
    return {
        "million_multiply_adds_a_picture": round(multiply_adds / 1e6, 2),
        "multiply_add_g_s": round(peak.multiply_add_g_s, 1),
        "floor_ms_a_picture": round(1e3 * multiply_adds / (peak.multiply_add_g_s * 1e9), 3),
        "shares": shares(profiled.key_averages()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=8, help="of a round")
    args = parser.parse_args()
    pictures = load_pictures(prepared("apples", args.runs))
    options = TrainOptions(poses="turntable+tumble", axial=True)
    inputs, shape = train_inputs(pictures, options, SILENT)
    state = begin(inputs, shape, 0)
    threads = list(dict.fromkeys((1, _native.num_threads())))
    rounds = speeds(state, inputs, threads, args.rounds, args.steps)
    found = []
    for count, every in rounds.items():
        fast = sorted(speed for speed, _ in every)
        about = {
            "data": "apples",
            "threads": count,
            "rounds": args.rounds,
            "steps": args.steps,
            "batch": inputs.options.schedule.batch,
            "pictures_a_second": round(statistics.median(fast), 1),
            "slowest": round(fast[0], 1),
            "fastest": round(fast[-1], 1),
            "cpu_ms_a_picture": round(1e3 * statistics.median(cpu for _, cpu in every), 2),
        }
        found.append(about | explained(state, inputs, count))
        print(found[-1])
    save("gan_step", {"runs": found})


if __name__ == "__main__":
    main()
