"""`tondo evaluate` of a run of `tondo train`: its generator against its pictures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tondo.errors import InputError, OptionError

if TYPE_CHECKING:
    from torch import Tensor

    from tondo.data.pictures import PictureSet
    from tondo.gan.evaluation.evaluate import GeneratorMetrics
    from tondo.gan.files.open_generator import Opened

SAMPLES = 2000
ROWS, COLUMNS = 6, 8  # of the sheet of pictures and samples
LEAST = 5


def is_generator(path: Path) -> bool:
    """Whether `path` is a run of `tondo train`, the file of a generator or adapter, or an installed
    generator, also beside a folder of that name that is no run. What is nowhere counts as one, too:
    `open_generator` says which there are."""
    from tondo.gan.files.open_generator import shipped_names
    from tondo.runs.run_directory import is_run, open_run, read_config

    if path.is_dir():
        if is_run(path):
            return read_config(open_run(path)).get("command") == "train"
        return str(path) in shipped_names()
    return not path.is_file() or _says_generator(path)


def _says_generator(path: Path) -> bool:
    import safetensors

    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            return not {"tondo_generator", "tondo_adapter"}.isdisjoint(file.metadata() or {})
    except Exception:  # whatever is wrong with it, the scene's reader says it
        return False


def evaluate_run(args: argparse.Namespace) -> None:
    """Measure, print, write metrics.json and pictures. Raises TondoError."""
    from rich.progress import Progress

    from tondo.cli.terminal import progress_console
    from tondo.features.choose import DEFAULT, load_extractor
    from tondo.gan.evaluation.evaluate import evaluate_generator
    from tondo.gan.files.open_generator import open_generator
    from tondo.runs.run_directory import read_metrics

    opened = open_generator(args.run)
    _refuse_others(args)
    if opened.run is None and args.output is None:
        raise OptionError(f"{args.run} is not a run's folder: say with -o DIR where to write")
    if opened.run is not None:
        read_metrics(opened.run)  # a damaged one is told before the work, not after it
    pictures = _pictures(opened, args.source)
    count = args.samples or SAMPLES
    if min(count, len(pictures.images)) < LEAST:
        raise OptionError(
            f"at least {LEAST} pictures and samples are needed to measure anything, got "
            f"{len(pictures.images)} and --samples {count}"
        )
    name = args.features or DEFAULT
    extractor = load_extractor(name)
    with Progress(console=progress_console()) as bar:
        task = bar.add_task("samples", total=count)
        metrics = evaluate_generator(
            opened.trained,
            pictures,
            extractor,
            name=name.partition(":")[0],
            count=count,
            watch=lambda done, of: bar.update(task, completed=done),
        )
    _print(metrics)
    _write(args, opened, pictures, metrics)


def _refuse_others(args: argparse.Namespace) -> None:
    for option, value in (
        ("--mesh", args.mesh),
        ("--cameras", args.cameras),
        ("--background", args.background),
        ("--max-size", args.max_size),
    ):
        if value is not None:
            raise OptionError(f"{option} is for scenes: {args.run} is a generator")


def _pictures(opened: Opened, source: Path | None) -> PictureSet:
    """The training set of a run, or of `source` what is of the run's classes; with its cameras only
    if these were used."""
    import dataclasses

    from tondo.data.pictures import of_classes
    from tondo.io.collections.picture_shards import is_prepared, load_pictures
    from tondo.runs.run_directory import read_config

    places = [source] if source is not None else []
    if source is None and opened.run is not None:
        named = read_config(opened.run).get("source")
        places = [opened.run.path / "pictures"]
        places += [Path(named)] if isinstance(named, str) else []
    found = next((place for place in places if is_prepared(place)), None)
    if found is None:
        where = ", ".join(str(place) for place in places) or "no place known"
        raise InputError(
            f"the training set of {opened.name} was not found ({where}): give --source with a "
            "folder that `tondo prepare --for gan` made"
        )
    pictures = load_pictures(found)
    if opened.run is not None and found.resolve() != (opened.run.path / "pictures").resolve():
        classes = read_config(opened.run).get("classes") or []
        if classes:  # only these were trained on
            pictures = of_classes(pictures, tuple(map(str, classes)))
    size = opened.trained.generator.shape.size
    if pictures.size != size:
        raise InputError(
            f"{found} holds pictures of {pictures.size} pixels a side, the generator makes {size}: "
            f"prepare them with --size {size}"
        )
    if opened.trained.card.poses != "known":
        return dataclasses.replace(pictures, viewmats=None, Ks=None)
    return pictures


def _print(metrics: GeneratorMetrics) -> None:
    from rich.table import Table

    from tondo.cli.terminal import result_console

    table = Table(box=None, header_style="bold")
    table.add_column("measure")
    table.add_column("value", justify="right")
    table.add_column("what it says")
    for row in _rows(metrics):
        table.add_row(*row)
    result_console().print(table)
    print(
        f"over {metrics.extractor}, {metrics.pictures} pictures and {metrics.samples} samples: "
        "compare with numbers made the same way only"
    )


def _rows(m: GeneratorMetrics) -> list[tuple[str, str, str]]:
    g = m.geometry
    return [
        ("Fréchet distance", f"{m.frechet:.2f}", "0: the same mean and spread of features"),
        ("kernel distance", f"{m.kernel:.4f}", "0 on average for the same distribution"),
        ("precision", f"{m.precision:.3f}", "share of samples that look like a picture"),
        ("recall", f"{m.recall:.3f}", "share of pictures that samples come close to"),
        ("diversity", f"{m.diversity:.3f}", f"the pictures': {m.diversity_of_pictures:.3f}"),
        ("views agree to", f"{g.warp_error:.4f}", f"where {100 * g.warp_covered:.0f} % are seen"),
        ("thickness", f"{g.thickness:.3f}", "smallest over largest extent; 0 is a flat card"),
        ("side silhouette", f"{g.side_ratio:.3f}", "its area over that from the front"),
        ("floaters", f"{100 * g.floaters:.2f} %", "of the silhouettes' area hangs apart"),
        ("hidden", f"{100 * g.hidden:.1f} %", "of the splats lie inside: pockets, folds"),
        ("haze", f"{100 * g.haze:.1f} %", "of the area is neither solid nor empty"),
    ]


def _write(
    args: argparse.Namespace, opened: Opened, pictures: PictureSet, metrics: GeneratorMetrics
) -> None:
    import torch

    from tondo.gan.evaluation.evaluate import metrics_json
    from tondo.gan.objects.contact_sheet import grid
    from tondo.gan.sampling.generate import styles_of
    from tondo.io.atomic import write_json
    from tondo.io.images import write_png
    from tondo.runs.run_directory import read_metrics

    folder = args.output or _renders(opened)
    trained = opened.trained
    w = styles_of(opened, range(ROWS), 1.0)
    size = trained.generator.shape.size
    write_png(
        folder / "grid.png", grid(trained.generator, w, trained.priors, size, with_depth=True)
    )
    gap = torch.ones(ROWS * size, 8, 3)
    write_png(folder / "pictures_and_samples.png", torch.cat(_sheets(opened, pictures, gap), 1))
    results: dict[str, Any] = {"generator": metrics_json(metrics)}
    if opened.run is not None and args.output is None:
        write_json(opened.run.metrics_path, {**read_metrics(opened.run), **results})
        print(f"metrics: {opened.run.metrics_path}")
    else:
        write_json(folder / "metrics.json", results)
        print(f"metrics: {folder / 'metrics.json'}")
    print(f"pictures: {folder}")


def _renders(opened: Opened) -> Path:
    assert opened.run is not None  # refused above
    return opened.run.renders_dir / "evaluate"


def _sheets(opened: Opened, pictures: PictureSet, gap: Tensor) -> list[Tensor]:
    """Training pictures, a gap, samples: each a sheet of ROWS x COLUMNS."""
    import torch

    from tondo.gan.evaluation.evaluate import over_white, sample_pictures

    count = ROWS * COLUMNS
    chance = torch.Generator().manual_seed(1)
    rows = torch.randint(len(pictures.images), (count,), generator=chance)
    sheets = []
    for images in (
        over_white(pictures.images[rows]),
        sample_pictures(opened.trained, count, chance),
    ):
        tiles = images.view(ROWS, COLUMNS, *images.shape[1:]).permute(0, 3, 1, 4, 2)
        sheets.append(tiles.reshape(ROWS * images.shape[2], -1, 3).float() / 255)
    return [sheets[0], gap, sheets[1]]
