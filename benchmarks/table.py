"""Writes docs/benchmarks.md and the numbers in README.md, README.zh-CN.md, docs/gan.md and
docs/nerf.md from results/*.json."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from common import ROOT, load
from detail_table import detail_page, run_cells
from surface_table import surface_page
from texture_table import texture_page
from tondo.io.atomic import write_text

BEGIN = "<!-- benchmarks: begin (written by benchmarks/table.py) -->"
END = "<!-- benchmarks: end -->"
SETS = {
    "fox": "`fox` (instant-ngp; photos, longest side 480)",
    "chair": "`chair` (NeRF-synthetic; renders, 400×400)",
    "sceaux": "`sceaux` (openMVG; 11 photos, longest side 480, cameras by structure from motion)",
}
# Measured with OpenSplat, commit 15b7e80, its depth sorting mended, on a machine of the same kind:
# CPU-seconds a step at 270 x 480 with 9,939 splats to start from.
OPENSPLAT_CPU_SECONDS = 0.87
OPENSPLAT_TO_WANTED = 210  # CPU-seconds to 23.4 dB on the held-out photos


# Words of the README's table and of the line below it, for the README in Chinese.
CHINESE = {
    "| photos | training | PSNR dB | SSIM | perceptual | steps | splats | memory MB |":
    "| 照片 | 训练时间 | PSNR (dB) | SSIM | 感知距离 | 步数 | 高斯数 | 内存 (MB) |",
    " (instant-ngp; photos, longest side 480)": "（instant-ngp；照片，长边 480 像素）",
    " (NeRF-synthetic; renders, 400×400)": "（NeRF-synthetic；渲染图，400×400）",
    " cores, ": " 核, ",
    " lanes; ": " 通道; ",
    "; commit ": "；提交 ",
    "; load when measured ": "；测量时的负载 ",
}  # fmt: skip


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" + "--:|" * (len(head) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def where(results: dict[str, Any]) -> str:
    m = results["machine"]
    return f"{hardware(m)}; commit `{m['commit']}`; load when measured {m['load']}."


def hardware(m: dict[str, Any]) -> str:
    return (
        f"{m['processor']}, {m['cores']} cores, {m['memory_gib']} GiB, {m['system']}, "
        f"{m['simd']}; Python {m['python']}, torch {m['torch']}"
    )


def quality_table(results: dict[str, Any]) -> str:
    rows = [
        (
            SETS.get(name, name),
            *run_cells(run),
        )
        for name, data in results["sets"].items()
        for run in data["runs"]
    ]
    head = ("photos", "training", "PSNR dB", "SSIM", "perceptual", "steps", "splats", "memory MB")
    return table(head, rows)


def quality_page(results: dict[str, Any]) -> str:
    origins = ", ".join(
        f"`{name}` {data['runs'][0]['points']:,} points, {data['runs'][0]['points_from']}"
        for name, data in results["sets"].items()
    )
    return (
        "## Quality over time\n\n"
        f"Held-out photos; {results['threads']} threads; one run for each length, because training "
        f"anneals to its horizon. Initial points: {origins}. Memory is the peak of the process.\n\n"
        f"{quality_table(results)}\n\n{where(results)}\n"
    )


def kernels_page(results: dict[str, Any]) -> str:
    tops = "; ".join(
        f"{c['threads']} thread{'s' * (c['threads'] > 1)}: copy {c['copy_gb_s']:.1f} GB/s, "
        f"{c['multiply_add_g_s']:.1f} G multiply-adds/s (by {c['multiply_add_by']})"
        for c in results["ceilings"]
    )
    rows = []
    for case in results["cases"]:
        ahead, back = (case["stages"][f"rasterize_{way}"] for way in ("forward", "backward"))
        rows.append(
            (
                f"{case['width']}×{case['height']}",
                f"{case['splats'] // 1000}k",
                str(case["threads"]),
                f"{case['evaluations_a_pixel']:.0f}",
                f"{case['forward_ms']:.1f}",
                f"{case['backward_ms']:.1f}",
                f"{case['step_ms']['min']:.1f}",
                f"{ahead['evaluations_g_s'] * 1e3:.0f}",
                f"{back['evaluations_g_s'] * 1e3:.0f}",
                f"{ahead['share_of_multiply_adds']:.0%}",
                f"{back['share_of_multiply_adds']:.0%}",
            )
        )
    head = (
        "size", "splats", "threads", "splats a pixel", "forward ms", "backward ms", "step ms",
        "M eval/s forward", "M eval/s backward", "of peak forward", "of peak backward",
    )  # fmt: skip
    return (
        "## Kernels\n\n"
        "The splats are random, in a ball; more splats have smaller areas. Forward: projection, "
        "harmonics of degree 3, binning, rasterisation. Backward: the same without binning. Step: "
        "both, the loss and Adam. An evaluation is one splat at one pixel (in whole blocks of "
        "4×2 pixels), counted as 20 multiply-adds forward and 36 backward; the peak is measured "
        f"in the same run. Ceilings: {tops}.\n\n{table(head, rows)}\n\n"
        f"{stage_table(results)}\n\n{twin_table(results)}\n\n{where(results)}\n"
    )


def stage_table(results: dict[str, Any]) -> str:
    """Milliseconds of each native function, with what part of the copy rate it moves."""
    chosen = [
        c for c in results["cases"] if c["threads"] == max(x["threads"] for x in results["cases"])
    ]
    names = list(chosen[0]["stages"])
    head = ["native function, ms (share of the copy rate)"]
    head += [f"{c['width']}×{c['height']}, {c['splats'] // 1000}k" for c in chosen]
    rows = []
    for name in names:
        cells = [f"`{name}`"]
        for case in chosen:
            stage = case["stages"][name]
            share = f" ({stage['share_of_copy']:.0%})" if "share_of_copy" in stage else ""
            cells.append(f"{stage['ms']['min']:.2f}{share}")
        rows.append(cells)
    return f"With {chosen[0]['threads']} threads:\n\n{table(head, rows)}"


def twin_table(results: dict[str, Any]) -> str:
    rows = []
    for case in results["twin"]:
        native, twin = case["native"], case["torch"]
        ways = [f"{x[f'{way}_ms']:.2f}" for way in ("forward", "backward") for x in (native, twin)]
        times = sum(twin.values()) / sum(native.values())
        rows.append((str(case["threads"]), *ways, f"{times:.0f}×"))
    head = (
        "threads", "native forward ms", "torch twin forward ms", "native backward ms",
        "torch twin backward ms", "twin / native",
    )  # fmt: skip
    case = results["twin"][0]
    return (
        f"`tondo.rasterize` beside its torch twin, both at {case['width']}×{case['height']} with "
        f"{case['splats']:,} splats:\n\n{table(head, rows)}"
    )


def step_page(results: dict[str, Any]) -> str:
    whole, fixed = results["whole"], results["fixed"]
    shares = sorted(whole["shares"].items(), key=lambda item: -item[1])
    rows = [(f"`{n}`" if "_" in n else n, f"{share:.1%}") for n, share in shares]
    short = results["to_reach"][-1]
    times = OPENSPLAT_CPU_SECONDS / fixed["cpu_seconds_a_step"]
    return (
        "## A training step\n\n"
        f"{whole['seconds']:.0f} s of training on `{results['data']}` with {results['threads']} "
        f"threads: {whole['steps']:,} steps, {whole['steps_a_second']:.1f} a second, from "
        f"{whole['first_splats']:,} to {whole['last_splats']:,} splats.\n\n"
        f"{table(('part', 'share of the time'), rows)}\n\n"
        f"At {fixed['width']}×{fixed['height']} with {fixed['splats']:,} splats and all harmonics, "
        f"a step costs {fixed['cpu_seconds_a_step'] * 1e3:.1f} ms of CPU time "
        f"({fixed['seconds_a_step'] * 1e3:.1f} ms by the clock). OpenSplat (commit 15b7e80, the "
        "only other tool found that trains on a CPU) took 870 ms of CPU time at this size, "
        f"from 9,939 points: {times:.0f} times as much. It was not run side by side.\n\n"
        f"{results['wanted_psnr']} dB on the held-out photos: {short['psnr']:.1f} dB after "
        f"{short['cpu_seconds']:.1f} CPU-seconds ({short['steps']} steps, "
        f"{short['seconds']:.1f} s by the clock); OpenSplat, about {OPENSPLAT_TO_WANTED} "
        "CPU-seconds.\n\n"
        f"{where(results)}\n"
    )


CREDITS = {
    "apples": "*Apples: trained on Fruits-360, © Mihai Oltean, CC BY-SA 4.0; this picture is "
    "shared alike.*",
    "faces": "*Faces: trained on portraits of members of the US Congress (voteview.com's pictures, "
    "from the Biographical Directory and Wikimedia: works of the US Government, or out of "
    "copyright, by far the most of them, but not cleared one by one). For evaluation; the "
    "generator is not shipped, and no sample is anybody.*",
    "fish": "*Fish: trained on renders of meshes by Quaternius, CC0 1.0.*",
}
GAN_HEAD = (
    "training", "minutes", "thousand pictures", "a second", "Fréchet", "kernel", "precision",
    "recall", "diversity (pictures')", "multi-view warp error", "thickness", "side / front",
    "floaters", "hidden", "memory MB",
)  # fmt: skip


def gan_row(name: str, training: dict[str, Any]) -> tuple[str, ...]:
    found = training["figures"]
    measured, geometry = found["generator"], found["generator"]["geometry"]
    return (
        name,
        f"{found['train_seconds'] / 60:.0f}",
        f"{found['kimg']:.0f}",
        f"{1000 * found['kimg'] / found['train_seconds']:.0f}",
        f"{measured['frechet']:.0f}",
        f"{measured['kernel']:.3g}",
        f"{measured['precision']:.3f}",
        f"{measured['recall']:.3f}",
        f"{measured['diversity']:.2f} ({measured['diversity_of_pictures']:.2f})",
        f"{geometry['warp_error']:.3f}",
        f"{geometry['thickness']:.2f}",
        f"{geometry['side_ratio']:.2f}",
        f"{geometry['floaters']:.2%}",
        f"{geometry['hidden']:.1%}",
        f"{found['peak_memory_mb']:.0f}",
    )


def noted(results: dict[str, Any]) -> str:
    """What was written by hand into the results beside the figures."""
    return f" Note: {results['note']}." if "note" in results else ""


def gan_tables(results: dict[str, Any]) -> str:
    """What `gan.py` found: the long trainings, then the choices on one set."""
    trainings = results["trainings"]
    parts = []
    titles = (
        ("From scratch", True),
        ("Choices, on apples, on one core each", False),
    )
    for title, shown in titles:
        chosen = {name: one for name, one in trainings.items() if one["shown"] == shown}
        if not chosen:
            continue
        commands = "".join(
            f"- {name}: `tondo train {one['data']} --minutes {one['minutes']:g} {one['words']}`; "
            f"{where(one)}{noted(one)}\n"
            for name, one in chosen.items()
        )
        made = next(iter(chosen.values()))["figures"]["generator"]
        grids = "".join(
            f"![{name}: seeds from eight sides, and depth](images/gan_{name}.png)\n\n"
            f"{CREDITS[one['data']]}\n\n"
            for name, one in (chosen.items() if shown else ())
        )
        parts.append(
            f"### {title}\n\n{grids}"
            f"{table(GAN_HEAD, [gan_row(name, one) for name, one in chosen.items()])}\n\n"
            f"Over {made['extractor']}, {made['pictures']:,} pictures and {made['samples']:,} "
            f"samples.\n\n{commands}"
        )
    return "\n".join(parts)


def gan_step_table(results: dict[str, Any]) -> str:
    """What `gan_step.py` found: how fast a step is, and where its time goes."""
    runs = results["runs"]
    head = ("threads", "pictures a second (slowest, fastest round)", "CPU ms a picture")
    head += ("floor, ms a picture", *runs[0]["shares"])
    rows = [
        (
            str(one["threads"]),
            f"{one['pictures_a_second']:.1f} ({one['slowest']:.1f}, {one['fastest']:.1f})",
            f"{one['cpu_ms_a_picture']:.1f}",
            f"{one['floor_ms_a_picture']:.1f}",
            *(f"{one['shares'].get(part, 0):.0%}" for part in runs[0]["shares"]),
        )
        for one in runs
    ]
    return (
        "### A step\n\n"
        f"`python benchmarks/gan_step.py`, on `{runs[0]['data']}` at 64x64, {runs[0]['batch']} "
        f"pictures a step: medians of {runs[0]['rounds']} rounds of {runs[0]['steps']} steps. The "
        f"floor is the {runs[0]['million_multiply_adds_a_picture']:.0f} million multiply-adds of "
        "all convolutions and products, at the machine's measured rate. Shares are of the time of "
        f"torch's operations.\n\n{table(head, rows)}\n\n{where(results)}{noted(results)}\n"
    )


def gan_use_table(results: dict[str, Any]) -> str:
    """What `gan_use.py` found: how long a model and a lifted photograph take."""
    models = [
        (name, f"{one['first']:.2f} s", f"{one['median']:.2f} s", f"{one['slowest']:.2f} s")
        for name, one in results["models"].items()
    ]
    lifts = [
        (
            name,
            f"{one['seconds']:.0f} s",
            f"{one['encoder_seconds']:.0f} s" if "encoder_seconds" in one else "was there",
            " → ".join(f"{value:.3f}" for value in one["pixels"]),
            " → ".join(f"{value:.2f}" for value in one["perceptual"]),
        )
        for name, one in results["lifts"].items()
    ]
    steps = "encoder → style and camera → tuned"
    lift_head = (
        "photograph of",
        "lift",
        "the encoder, once",
        f"pixel error: {steps}",
        "perceptual",
    )
    return (
        "### Waiting times\n\n"
        "`python benchmarks/gan_use.py NAME=RUN ...`: the time to open a generator and make one "
        f"model with its mesh, once and {results['times']} times more; and to lift a photograph of "
        f"the set.\n\n{table(('generator', 'first', 'median', 'slowest'), models)}\n\n"
        f"{table(lift_head, lifts)}\n\n{results['threads']} threads; {where(results)}"
        f"{noted(results)}\n"
    )


def nerf_tables(results: dict[str, Any]) -> str:
    """What `nerf.py` found: speed beside the machine's ceilings, quality beside splats."""
    head = (
        "network", "threads", "forward", "both ways", "eager PyTorch, forward", "eager, both",
        "times eager", "floor by multiply-adds, both", "by reads, forward",
    )  # fmt: skip
    rows = [
        (
            row["network"],
            str(row["threads"]),
            f"{row['native']['forward']:,} k/s",
            f"{row['native']['both']:,} k/s",
            f"{row['eager']['forward']:,} k/s",
            f"{row['eager']['both']:,} k/s",
            f"{row['times_eager']:.0f}×",
            f"{row['multiply_add_floor']:,} k/s",
            f"{row['gather_floor']:,} k/s",
        )
        for row in results["speed"]
    ]
    return (
        "### Samples a second\n\n"
        "`paper`: 16 levels of 2 features, tables of 2^19, finest 2,048 cells, 64 wide; `default`: "
        "8 levels of 4, tables of 2^17. The floor is the multiply-adds of the networks alone, "
        "three times for both ways, at the machine's measured rate. By reads: the rate at which "
        "the machine can read the samples' rows of a level's table at random.\n\n"
        f"{table(head, rows)}\n\n{nerf_quality(results['quality'])}\n\n"
        f"{where(results)}{noted(results)}"
    )


def nerf_quality(quality: dict[str, Any]) -> str:
    rows = [
        (
            SETS[name],
            method,
            *(f"{x['psnr']:.2f}" for x in run["on_the_way"]),
            f"{run['test']['psnr']:.2f}",
            f"{run['test']['ssim']:.4f}",
            f"{run['test']['perceptual']:.4f}",
            f"{run['steps']:,}",
            f"{run['peak_memory_mb']:.0f}",
        )
        for name, methods in quality.items()
        for method, run in methods.items()
    ]
    first = next(iter(next(iter(quality.values())).values()))
    lengths = [f"{x['seconds']:.0f} s" for x in first["on_the_way"]]
    lengths.append(f"{first['train_seconds']:.0f} s")
    head = ("photos", "method", *lengths, "SSIM", "perceptual", "steps", "memory MB")
    return (
        "### Quality over time\n\n"
        "PSNR in dB on held-out photos: one run, measured on the way with the clock stopped. "
        "Training anneals to its end, so that a run of 30 s is better after 30 s than this one.\n\n"
        f"{table(head, rows)}"
    )


def fields_tables(results: dict[str, Any]) -> str:
    """What `fields.py` found: encodings side by side, and what conversions lose."""
    head = (
        "run", "of", "how", "minutes", "threads", "PSNR", "SSIM", "perceptual", "steps", "file KiB",
        "memory MB", "commit", "load",
    )  # fmt: skip
    rows = [
        (
            f"`{name}`",
            f"`{run['source']}`",
            f"`{run['words']}`",
            f"{run['train_seconds'] / 60:.0f}",
            f"{run['threads']}",
            f"{run['test']['psnr']:.2f}",
            f"{run['test']['ssim']:.4f}",
            f"{run['test']['perceptual']:.4f}",
            f"{run['steps']:,}",
            f"{run['kilobytes']:,}",
            f"{run['peak_memory_mb']:.0f}",
            f"`{run['machine']['commit']}`",
            f"{run['machine']['load']}",
        )
        for name, run in results["runs"].items()
    ]
    last = list(results["runs"].values())[-1]["machine"]
    return (
        "\n\n### Encodings, and conversions\n\n"
        "`python benchmarks/fields.py`. Runs of photos are measured on held-out photos. "
        "Conversions (runs of another run) are measured on held-out renders of that run: this "
        "is the loss of the conversion.\n\n"
        f"{table(head, rows)}\n\n{hardware(last)}.{noted(results)}"
    )


def poses_page(results: dict[str, Any]) -> str:
    """What `poses.py` found: photos placed, beside plain pycolmap."""
    rows = []
    for name, found in results["sets"].items():
        cells = []
        for tool in ("tondo", "pycolmap"):
            one = found[tool]
            off = "" if one["median"] is None else f"{one['median']:.2%} / {one['worst']:.1%}"
            cells += [f"{one['placed']}", off, f"{one['seconds']:.0f}"]
        rows.append((f"`{name}`", str(found["photos"]), *cells))
    head = ("photos of", "number")
    for tool in ("tondo prepare", "plain pycolmap"):
        head += (f"{tool}: placed", "error, median / worst", "seconds")
    return (
        "## Poses\n\nPhotos placed by Tondo and by pycolmap with its defaults (all pairs, one "
        "camera), one after the other. Error: distance of a camera from its position in the data "
        "set, after the best similarity, as a share of the cameras' mean distance from their "
        "centre. The positions of the data sets mostly come from structure from motion too.\n\n"
        f"{table(head, rows)}\n\n{where(results)}\n"
    )


def page() -> str:
    parts = ["# Benchmarks\n", "Written by `benchmarks/table.py`; see benchmarks/README.md.\n"]
    for name, make in (
        ("quality", quality_page),
        ("kernels", kernels_page),
        ("step", step_page),
        ("poses", poses_page),
    ):
        results = load(name)
        parts.append(make(results) if results else f"## {name}\n\nNot measured yet.\n")
    detail = load("detail")
    if detail is not None:
        parts.insert(3, detail_page(detail, table, where(detail)))  # below quality
    for name, write in (("surface", surface_page), ("texture", texture_page)):
        results = load(name)
        if results is not None:
            parts.append(write(results, table, where(results)))
    return "\n".join(parts)


def into_page(page: Path, text: str) -> None:
    """Writes `text` between the two markers of `page`."""
    old = page.read_text(encoding="utf-8")
    begin, end = old.index(BEGIN) + len(BEGIN), old.index(END)
    write_text(page, f"{old[:begin]}\n{text}\n{old[end:]}")


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    write_text(ROOT / "docs" / "benchmarks.md", page())
    quality = load("quality")
    if quality is not None:
        text = f"{quality_table(quality)}\n\n{where(quality)}"
        into_page(ROOT / "README.md", text)
        for word, chinese in CHINESE.items():
            text = text.replace(word, chinese)
        into_page(ROOT / "README.zh-CN.md", text)
    found = load("gan")
    if found is not None:
        step = load("gan_step")
        use = load("gan_use")
        text = gan_tables(found) + ("" if step is None else f"\n{gan_step_table(step)}")
        text += "" if use is None else f"\n{gan_use_table(use)}"
        into_page(ROOT / "docs" / "gan.md", text)
    found = load("nerf")
    if found is not None:
        text, fields = nerf_tables(found), load("fields")
        text += "" if fields is None else fields_tables(fields)
        into_page(ROOT / "docs" / "nerf.md", text)


if __name__ == "__main__":
    main()
