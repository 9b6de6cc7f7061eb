"""`make demo`: photograph a procedural object, reconstruct it, measure it, export a textured mesh.

Usage: python examples/demo.py [FOLDER] [MINUTES]

Everything goes through the same commands that you would type; each is shown before it runs.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tondo.demo.photographs import photograph_object
from tondo.runs.run_directory import open_run, read_metrics

SHEET_ROWS, SHEET_WIDTH = 4, 1200  # of the contact sheet: photographs, pixels

console = Console(highlight=False)


def say(words: str) -> None:
    console.print(f"\n[bold]{words}[/bold]")


def command(*words: str | Path) -> None:
    """Show and run one `tondo` command; leaves with its status if it fails."""
    argv = [str(word) for word in words]
    console.print(f"[cyan]$ tondo {shlex.join(argv)}[/cyan]")
    status = subprocess.run([sys.executable, "-m", "tondo.cli.main", *argv], check=False).returncode
    if status:
        sys.exit(status)


def photograph(out: Path) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("photographs", total=None)
        photograph_object(
            out, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )


def results(folder: Path, stages: dict[str, float]) -> None:
    """Print the table of results."""
    metrics = read_metrics(open_run(folder / "run"))
    test, geometry = metrics["test"], metrics["geometry"]
    mesh = metrics["as_mesh"]["textured_mesh"]
    table = Table("result", "value", "what it is", title="Tondo demo")
    rows = [
        ("PSNR", f"{test['psnr']:.2f} dB", f"{test['images']} held-out photographs"),
        ("SSIM", f"{test['ssim']:.4f}", "1 is the same picture"),
        ("perceptual distance", f"{test['perceptual']:.4f}", "0 is the same picture"),
        ("chamfer distance", f"{geometry['chamfer']:.4f}", "the object is 2 units across"),
        ("F-score", f"{geometry['f_score']:.3f}", f"within {geometry['threshold']:.3f} units"),
        ("of what the photos show", f"{geometry['visible']['f_score']:.3f}", "F-score"),
        ("textured mesh", f"{mesh['psnr']:.2f} dB", "the same photographs"),
        ("splats", f"{metrics['splats']:,}", ""),
        ("steps", f"{metrics['steps']:,}", f"in {metrics['train_seconds']:.0f} s of training"),
        ("peak memory", f"{metrics['peak_memory_mb']:.0f} MB", ""),
        ("all of it", f"{sum(stages.values()):.0f} s", timings(stages)),
    ]
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for name in ("model.glb", "splats.ply", "turntable.mp4", "contact_sheet.png"):
        console.print(f"  {folder / name}  ({(folder / name).stat().st_size / 1e6:.1f} MB)")


def export(run: Path, folder: Path, *how: str) -> None:
    """The textured mesh, and pictures of it beside photographs that training did not see."""
    command("export", run, "-o", folder / "model.glb", *how)
    command("evaluate", run, "--as-mesh", "--ours", folder / "model.glb")
    contact_sheet(run / "renders/as_mesh", folder / "contact_sheet.png")


def contact_sheet(folder: Path, output: Path) -> None:
    """Some of the rows in `folder`: photograph, textured mesh, vertex colours, splats, error."""
    rows = sorted(path for path in folder.glob("*.png") if path.name != output.name)
    pictures = [Image.open(path) for path in rows[:: -(-len(rows) // SHEET_ROWS)]]
    width, height = max(one.width for one in pictures), sum(one.height for one in pictures)
    page, top = Image.new("RGB", (width, height), "white"), 0
    for one in pictures:
        page.paste(one, (0, top))
        top += one.height
    page.thumbnail((SHEET_WIDTH, page.height))
    page.save(output)


def timings(stages: dict[str, float]) -> str:
    return ", ".join(f"{name} {seconds:.0f}" for name, seconds in stages.items())


def main(folder: Path, minutes: str) -> None:
    photos, run = folder / "photos", folder / "run"
    stages: dict[str, float] = {}
    last = time.perf_counter()

    def done(stage: str) -> None:
        nonlocal last
        stages[stage] = time.perf_counter() - last
        last = time.perf_counter()

    say("1. Photograph a procedural object from all around")
    photograph(photos)
    done("photographs")
    say("2. Reconstruct it")
    command("reconstruct", photos, "-o", run, "--minutes", minutes, "--force")
    done("reconstruction")
    # Held-out photographs were measured at the end of that already; this is the surface.
    say("3. Measure it against the true surface")
    command("evaluate", run, "--mesh", photos / "truth.ply")
    done("measuring")
    say("4. Export it: a mesh with a texture, for any program; splats, for viewers of these")
    export(run, folder)
    command("export", run, "-o", folder / "splats.ply", "--as", "splats")
    command("render", run, "--video", folder / "turntable.mp4", "--path", "orbit")
    done("export")
    results(folder, stages)


if __name__ == "__main__":
    words = sys.argv[1:]
    main(Path(words[0] if words else "demo"), words[1] if len(words) > 1 else "1")
