"""Where does a step of `tondo train` spend its time, and how far is it from the cores' ceiling?

On `apples`, 64x64, as `tondo train apples --poses turntable+tumble` trains them:
- pictures a second by the clock;
- multiply-adds of all convolutions and matrix products of a step (without R1), counted, beside the
  machine's own rate: the floor;
- the CPU time of torch's operations in some groups, by its profiler.
"""

from __future__ import annotations

import argparse
import dataclasses
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
from tondo.gan.session import Watch, setting_of
from tondo.gan.train import begin, one_step
from tondo.io.picture_shards import load_pictures

GROUPS = {  # the first whose word is in an operation's name
    "convolutions, backward": ("convolution_backward",),
    "convolutions, forward": ("conv",),
    "splats, forward and backward": ("_Scenes",),
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


def measured(source: Path, threads: int, steps: int) -> dict[str, Any]:
    pictures = load_pictures(source)
    setting, shape = setting_of(pictures, TrainOptions(poses="turntable+tumble"), Watch())
    training = begin(setting, shape, 0)
    for _ in range(10):
        one_step(training, setting)
    before, cpu, wall = training.pictures, time.process_time(), time.perf_counter()
    for _ in range(steps):
        one_step(training, setting)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    count = training.pictures - before
    # the counter cannot follow gradients of gradients: without R1
    plain = dataclasses.replace(setting.config, r1_gamma=0.0)
    with FlopCounterMode(display=False) as counted:
        one_step(training, dataclasses.replace(setting, config=plain))
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        for _ in range(setting.config.lazy):  # regularised once
            one_step(training, setting)
    peak = ceilings(threads)
    multiply_adds = counted.get_total_flops() / 2 / setting.config.batch
    return {
        "data": source.name,
        "threads": threads,
        "steps": steps,
        "pictures_a_second": round(count / wall, 2),
        "cpu_ms_a_picture": round(1e3 * cpu / count, 3),
        "million_multiply_adds_a_picture": round(multiply_adds / 1e6, 2),
        "multiply_add_g_s": round(peak.multiply_add_g_s, 1),
        "floor_ms_a_picture": round(1e3 * multiply_adds / (peak.multiply_add_g_s * 1e9), 3),
        "shares": shares(profiled.key_averages()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    source = prepared("apples", args.runs)
    found = []
    for threads in dict.fromkeys((1, _native.num_threads())):
        with all_threads(threads):
            found.append(measured(source, threads, args.steps))
        print(found[-1])
    save("gan_step", {"runs": found})


if __name__ == "__main__":
    main()
