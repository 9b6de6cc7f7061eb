"""The section of docs/benchmarks.md on larger pictures, from results/detail.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

PHOTOS = {
    "480": "`fox`, 270×480",
    "960": "`fox`, 540×960",
    "1600": "object of `make demo`, 1600×1600",
}


def detail_page(results: dict[str, Any], table: Callable[..., str], measured: str) -> str:
    """The section; `measured` says where and on what."""
    rows = [
        (
            PHOTOS[size],
            "60,000" if run["fixed"] else "as the pixels",
            *run_cells(run),
        )
        for size, data in sorted(results["sizes"].items(), key=lambda item: int(item[0]))
        for run in data["runs"]
    ]
    head = (
        "photos", "most splats", "training", "PSNR dB", "SSIM", "perceptual", "steps", "splats",
        "memory MB",
    )  # fmt: skip
    return (
        "## Larger pictures\n\n"
        "`python benchmarks/detail.py`. Held-out photos at the size of training: rows of one size "
        f"compare. {results['threads']} threads; one run for each length. Without `--minutes` the "
        "lengths are 3, 6.8 and 30 minutes. Perceptual distances are of pictures reduced to 512 "
        f"pixels.\n\n{table(head, rows)}\n\n{measured}\n"
    )


def run_cells(run: dict[str, Any]) -> tuple[str, ...]:
    """Length, quality and cost of a training, as every table of trainings shows them."""
    return (
        f"{run['train_seconds']:.0f} s",
        f"{run['test']['psnr']:.2f}",
        f"{run['test']['ssim']:.4f}",
        f"{run['test']['perceptual']:.4f}",
        f"{run['steps']:,}",
        f"{run['splats']:,}",
        f"{run['peak_memory_mb']:.0f}",
    )
