"""How fast is each kernel, and how close to what the machine can do?

For random splats whose size keeps the number of splats over each pixel about the same: milliseconds
of every native function of a training step, splat evaluations a second, and the share of the
machine's multiply-add rate (rasteriser) or copy rate (everything else) that this is.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict
from typing import Any

import torch
from torch import Generator

from common import (
    Ceilings,
    all_threads,
    best_seconds,
    ceilings,
    milliseconds,
    save,
    seconds_of,
    timed_steps,
)
from tondo.data.cameras import Camera
from tondo.data.splats import Splats
from tondo.kernels.splats.rasterize import rasterize
from tondo.kernels.splats.rasterize_torch import rasterize_torch
from tondo.splats import parameters
from tondo.splats import step as step_

SIZES = ((480, 270), (960, 540))
COUNTS = (30_000, 100_000, 300_000)
THREADS = (1, 2)
TWIN = (240, 136, 2_000)  # width, height, splats: what the twin can do in seconds

# Multiplications, additions and fused multiply-adds of one splat at one pixel with three colours,
# counted in cpp/src/rasterize.cpp and cpp/include/tondo/simd.h; comparisons, minima and moves are
# not counted, so a share of 100 % can't be reached.
MULTIPLY_ADDS = {"rasterize_forward": 20, "rasterize_backward": 36}
# Bytes that have to be read and written for each splat, by the sizes of the arrays (16 harmonics).
BYTES = {
    "project_forward": 4 * (11 + 8),
    "sh_forward": 4 * (3 + 48 + 2 + 3),
    "sh_backward": 4 * (3 + 48 + 2 + 3 + 3 + 48 + 3),
    "project_backward": 4 * (10 + 2 + 5 + 10),
    "adam_visible": 4 * 59 * 7,
}
CALLS = {"adam_visible": 5}
FORWARD = ("project_forward", "sh_forward", "bin_splats", "rasterize_forward")
BACKWARD = ("rasterize_backward", "sh_backward", "project_backward")


def random_splats(count: int, seed: int = 0) -> Splats:
    """Splats in a ball of radius 1, their area in proportion to 1 / count."""
    generator = Generator().manual_seed(seed)
    normal = torch.randn(count, 3, generator=generator)
    reach = torch.rand(count, 1, generator=generator) ** (1 / 3)
    means = torch.nn.functional.normalize(normal, dim=-1) * reach
    size = 0.035 * math.sqrt(30_000 / count)
    log_scales = math.log(size) + 0.5 * torch.randn(count, 3, generator=generator) - 0.6
    return Splats(
        means * torch.tensor([1.6, 0.9, 1.0]),
        torch.randn(count, 4, generator=generator),
        log_scales,
        torch.randn(count, generator=generator) * 1.5 - 1.5,
        0.3 * torch.randn(count, 16, 3, generator=generator),
    )


def front_camera(width: int, height: int) -> Camera:
    viewmat = torch.eye(4)
    viewmat[2, 3] = 3.0
    focal = 0.85 * width
    K = torch.tensor([[focal, 0, 0.5 * width], [0, focal, 0.5 * height], [0, 0, 1.0]])
    return Camera(viewmat, K, width, height)


def native_case(size: tuple[int, int], count: int, top: Ceilings, budget: float) -> dict[str, Any]:
    camera = front_camera(*size)
    params = parameters.start(random_splats(count))
    work = step_.Workspace()
    image = torch.randint(
        0, 256, (size[1], size[0], 3), dtype=torch.uint8, generator=Generator().manual_seed(1)
    )
    target = step_.Target(camera, image, None)
    rates = step_.Rates(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)  # the scene stays as it is

    def one_step() -> None:
        step_.render(work, params, camera, 3, torch.zeros(3))
        step_.compare(work, target, 0.2, None)
        step_.backward(work, params, camera, 3, None)
        step_.update(work, params, rates, 1, opacity_reg=0.0, scale_reg=0.0)

    with timed_steps() as timed:
        whole = seconds_of(one_step, budget)
    evaluations, visible = work.bins.evaluations, work.bins.visible
    stages: dict[str, Any] = {}
    for name in timed.calls:
        spent = timed.per_run(name, CALLS.get(name, 1))[1:]
        stages[name] = {
            "ms": milliseconds(spent),
            **_share(name, min(spent), evaluations, visible, top),
        }
    parts = {
        part: round(sum(stages[name]["ms"]["min"] for name in names), 3)
        for part, names in (("forward_ms", FORWARD), ("backward_ms", BACKWARD))
    }
    return {
        "width": size[0],
        "height": size[1],
        "splats": count,
        "threads": top.threads,
        "visible": visible,
        "evaluations": evaluations,
        "evaluations_a_pixel": round(evaluations / (size[0] * size[1]), 1),
        **parts,
        "step_ms": milliseconds(whole),
        "stages": stages,
    }


def _share(
    name: str, seconds: float, evaluations: int, visible: int, top: Ceilings
) -> dict[str, float]:
    if name in MULTIPLY_ADDS:
        rate = evaluations / seconds
        share = rate * MULTIPLY_ADDS[name] / 1e9 / top.multiply_add_g_s
        return {"evaluations_g_s": round(rate / 1e9, 4), "share_of_multiply_adds": round(share, 4)}
    if name in BYTES:
        rate = visible * BYTES[name] / seconds / 1e9
        return {"gb_s": round(rate, 2), "share_of_copy": round(rate / top.copy_gb_s, 4)}
    return {}


def twin_case(threads: int, budget: float) -> dict[str, Any]:
    """`tondo.rasterize` forward and backward, native and by the torch twin, at one small size."""
    width, height, count = TWIN
    splats, camera = random_splats(count), front_camera(width, height)
    inputs = [
        t.requires_grad_()
        for t in (
            splats.means,
            splats.quats,
            splats.log_scales.exp(),
            splats.opacity_logits.sigmoid(),
            splats.sh,
        )
    ]
    results: dict[str, Any] = {
        "width": width, "height": height, "splats": count, "threads": threads,
    }  # fmt: skip
    for name, function in (("native", rasterize), ("torch", rasterize_torch)):

        def forward(function: Any = function) -> torch.Tensor:
            return function(
                *inputs, camera.viewmat[None], camera.K[None], width, height, sh_degree=3
            )[0]

        def both(forward: Any = forward) -> None:
            torch.autograd.grad(forward().square().mean(), inputs)

        ahead, whole = best_seconds(forward, budget, 2), best_seconds(both, budget, 2)
        results[name] = {
            "forward_ms": round(ahead * 1e3, 3),
            "backward_ms": round(max(0.0, whole - ahead) * 1e3, 3),
        }
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each case (%(default)s)")
    parser.add_argument(
        "--quick", action="store_true", help="only the smallest case; saves nothing"
    )
    args = parser.parse_args()
    tops = [ceilings(threads) for threads in THREADS]
    cases, twins = [], []
    for top in tops:
        with all_threads(top.threads):
            for size in SIZES[:1] if args.quick else SIZES:
                for count in COUNTS[:1] if args.quick else COUNTS:
                    cases.append(native_case(size, count, top, args.seconds))
                    print(
                        f"{size[0]}x{size[1]} {count:7d} splats {top.threads} threads: forward "
                        f"{cases[-1]['forward_ms']:.1f} ms, backward {cases[-1]['backward_ms']:.1f}"
                    )
            twins.append(twin_case(top.threads, args.seconds / 2))
    results = {"ceilings": [asdict(top) for top in tops], "cases": cases, "twin": twins}
    if not args.quick:
        save("kernels", results)


if __name__ == "__main__":
    main()
