"""How fast are a field's rays, and how good is a field after so many seconds?

Speed: samples a second of `render_rays`, forwards and both ways, for the network of the instant-ngp
paper (16 levels of 2 features, tables of 2^19) and for the default, beside the machine's rates of
multiply-adds and of random 8-byte reads, and beside the same network in eager PyTorch on the same
threads. Quality: one run of `tondo reconstruct` for each method, measured on the way.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from common import all_threads, best_seconds, ceilings, load, save, shared_data
from quality import SETS, reconstruct
from tondo import _native
from tondo.data.field import Field, Space
from tondo.kernels.fields.rays import Tape, ends_of, render_rays
from tondo.kernels.fields.rays_torch import colors, densities, encode_hash
from tondo.nerf.bounds import first_field, marching_of
from tondo.nerf.options import HashGrid, NerfOptions

THREADS = (1, 2)
SECONDS = (30, 60, 120, 300)
METHODS = ("nerf", "splats")
RAYS, EAGER = 8192, 65_536
CELLS = 96
NETWORKS = {
    "paper": NerfOptions(hash=HashGrid(levels=16, features=2, log2_entries=19, finest=2048)),
    "default": NerfOptions(),
}


def field_of(config: NerfOptions) -> Field:
    """A field of which one cell in ten is occupied, as after training, with tables not at zero."""
    rng = Generator().manual_seed(0)
    occupied = torch.rand(CELLS, CELLS, CELLS, generator=rng) < 0.1
    field = first_field(Space((0.0, 0.0, 0.0), 1.0, False, occupied), config, rng)
    tables = 0.1 * torch.randn(field.encoding.tables.shape, generator=rng)
    return replace(field, encoding=replace(field.encoding, tables=tables))


def rays() -> tuple[Tensor, Tensor]:
    """Rays from around through the space."""
    rng = Generator().manual_seed(1)
    rays_o = 3 * torch.nn.functional.normalize(torch.randn(RAYS, 3, generator=rng), dim=1)
    aim = 0.5 * torch.randn(RAYS, 3, generator=rng)
    return rays_o, torch.nn.functional.normalize(aim - rays_o, dim=1)


def multiply_adds(config: NerfOptions) -> int:
    """Of the two networks for one sample, forwards; the direction's part is one a ray."""
    inputs, hidden = config.hash.levels * config.hash.features, config.hash.hidden
    return inputs * hidden + hidden * 16 + 16 * hidden + 3 * hidden


def native(config: NerfOptions) -> dict[str, float]:
    """Samples a second, thousands."""
    field, (rays_o, rays_d) = field_of(config), rays()
    tables = field.encoding.tables.requires_grad_(True)
    weights = field.heads.weights.requires_grad_(True)
    ends = ends_of(field.space, rays_o, rays_d, 0.01, 10.0)
    marching, tape = marching_of(field.space, config), Tape()

    def forward() -> None:
        with torch.no_grad():
            render_rays(field, rays_o, rays_d, ends, marching)

    def both() -> None:
        found = render_rays(field, rays_o, rays_d, ends, marching, tape=tape)
        # as training does: `backward` would copy what lies in the tape
        torch.autograd.grad(found.colors.square().sum(), [tables, weights])

    both()
    samples = tape.native.samples
    return {
        "forward": round(samples / best_seconds(forward, 2.0) / 1e3),
        "both": round(samples / best_seconds(both, 3.0) / 1e3),
    }


def eager(config: NerfOptions) -> dict[str, float]:
    """The same network in plain PyTorch, thousands of samples a second."""
    field = field_of(config)
    tables = field.encoding.tables.requires_grad_(True)
    weights = field.heads.weights.requires_grad_(True)
    rng = Generator().manual_seed(2)
    u = torch.rand(EAGER, 3, generator=rng)
    directions = torch.nn.functional.normalize(torch.randn(EAGER, 3, generator=rng), dim=1)

    def evaluate() -> Tensor:
        geometry = densities(field.heads, encode_hash(field.encoding, u))
        return colors(field.heads, geometry, directions).sum() + geometry[:, 0].exp().sum()

    def forward() -> None:
        with torch.no_grad():
            evaluate()

    def both() -> None:
        tables.grad = weights.grad = None
        evaluate().backward()

    return {
        "forward": round(EAGER / best_seconds(forward, 2.0, 2) / 1e3, 1),
        "both": round(EAGER / best_seconds(both, 4.0, 2) / 1e3, 1),
    }


def gather_floor(config: NerfOptions, threads: int) -> float:
    """Thousand samples a second, forwards, if they did nothing but read their rows: eight a level,
    at random places of the level's table."""
    level = 4 * config.hash.features << config.hash.log2_entries
    return _native.gather_peak(threads, level) / (8 * config.hash.levels) / 1e3


def speed() -> list[dict[str, Any]]:
    found = []
    for threads in THREADS:
        with all_threads(threads):
            top = ceilings(threads)
            for name, config in NETWORKS.items():
                row: dict[str, Any] = {"network": name, "threads": threads}
                row |= {"native": native(config), "eager": eager(config)}
                floor = top.multiply_add_g_s * 1e9 / (3 * multiply_adds(config)) / 1e3
                row |= {
                    "multiply_add_floor": round(floor),
                    "ceilings": asdict(top),
                    "gather_floor": round(gather_floor(config, threads)),
                }
                row["times_eager"] = round(row["native"]["both"] / row["eager"]["both"], 1)
                found.append(row)
                print(name, threads, row["native"], row["eager"], row["times_eager"])
    return found


def quality(name: str, methods: Sequence[str], runs: Path | None) -> dict[str, Any]:
    """One run of each method, measured on the way with the clock stopped; `runs`: kept here."""
    found = {}
    for method in methods:
        with tempfile.TemporaryDirectory() as folder:
            run, data = (runs or Path(folder)) / f"{name}_{method}", shared_data() / name
            *at, seconds = SECONDS
            found[method] = reconstruct(data, SETS[name], seconds, run, method, at)
        way = ", ".join(f"{x['psnr']:.2f}" for x in found[method]["on_the_way"])
        print(f"{name} {method}: {way}, {found[method]['test']['psnr']:.2f} dB", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--runs", type=Path, help="keep the runs here, for fields.py")
    parser.add_argument("--no-speed", action="store_true", help="keep the figures of before")
    args = parser.parse_args()
    found = load("nerf") or {"speed": [], "quality": {}}
    found.pop("machine", None)
    found.pop("note", None)
    started = time.perf_counter()
    if not args.no_speed:
        found["speed"] = speed()
        save("nerf", {**found, "seconds": round(time.perf_counter() - started)})
    for name in args.sets:
        rows = found["quality"].get(name, {}) | quality(name, args.methods, args.runs)
        found["quality"][name] = {method: rows[method] for method in METHODS if method in rows}
        save("nerf", {**found, "seconds": round(time.perf_counter() - started)})


if __name__ == "__main__":
    main()
