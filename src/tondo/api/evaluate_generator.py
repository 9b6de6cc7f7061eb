"""A generator against the pictures that it learned from."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from tondo.api.options import EvaluateOptions
from tondo.data.pictures import PictureSet, of_classes
from tondo.errors import InputError, OptionError
from tondo.features.choose import DEFAULT, load_extractor
from tondo.gan.evaluation.evaluate import (
    GeneratorMetrics,
    evaluate_generator,
    metrics_json,
    over_white,
    sample_pictures,
)
from tondo.gan.files.open_generator import Opened, open_generator
from tondo.gan.objects.contact_sheet import grid
from tondo.gan.sampling.generate import styles_of
from tondo.io.atomic import write_json
from tondo.io.collections.picture_shards import is_prepared, load_pictures
from tondo.io.images import write_png
from tondo.runs.run_directory import read_config, read_metrics
from tondo.runs.watch import Watch

SAMPLES = 2000  # of most rows of docs/notes/gan.md, that are compared
ROWS, COLUMNS = 6, 8  # of the sheet of pictures and samples; chosen
LEAST = 5  # precision and recall take 3 nearest neighbours; chosen


def measure_generator(
    path: Path, options: EvaluateOptions, output: Path | None, watch: Watch
) -> tuple[GeneratorMetrics, Path, Path]:
    """Measure; write metrics.json and pictures. Returns the numbers, the pictures' folder and the
    file of the metrics. Raises TondoError."""
    opened = open_generator(path)
    _refuse_others(options, path)
    if opened.run is not None:
        read_metrics(opened.run)  # a damaged one is told before the work, not after it
        folder = opened.run.renders_dir / "evaluate" if output is None else output
    elif output is not None:
        folder = output
    else:
        raise OptionError(f"{path} is not a run's folder: say with `output` where to write")
    pictures = _pictures(opened, None if options.source is None else Path(options.source))
    count = options.samples or SAMPLES
    if min(count, len(pictures.images)) < LEAST:
        raise OptionError(
            f"at least {LEAST} pictures and samples are needed to measure anything, got "
            f"{len(pictures.images)} and `samples={count}`"
        )
    name = options.features or DEFAULT
    metrics = evaluate_generator(
        opened.trained,
        pictures,
        load_extractor(name),
        name=name.partition(":")[0],
        count=count,
        watch=lambda done, of: watch.stage("samples", done, of),
    )
    _draw(folder, opened, pictures)
    results = {"generator": metrics_json(metrics)}
    place = folder / "metrics.json"
    if opened.run is not None and output is None:
        place, results = opened.run.metrics_path, {**read_metrics(opened.run), **results}
    write_json(place, results)
    return metrics, folder, place


def _refuse_others(options: EvaluateOptions, run: Path) -> None:
    given: dict[str, object] = {"mesh": options.surface.mesh, "cameras": options.cameras}
    given |= {"background": options.background, "max_size": options.max_size}
    for name, value in given.items():
        if value is not None:
            raise OptionError(f"`{name}` is for scenes: {run} is a generator")


def _pictures(opened: Opened, source: Path | None) -> PictureSet:
    """The training set of a run, or of `source` what is of the run's classes; with its cameras only
    if these were used."""
    config = {} if opened.run is None else read_config(opened.run)
    places = [source] if source is not None else []
    if source is None and opened.run is not None:
        named = config.get("source")
        places = [opened.run.path / "pictures"]
        places += [Path(named)] if isinstance(named, str) else []
    found = next((place for place in places if is_prepared(place)), None)
    if found is None:
        where = ", ".join(str(place) for place in places) or "no place known"
        raise InputError(
            f"the training set of {opened.name} was not found ({where}): give `source`, a "
            "folder that `tondo prepare --for gan` made"
        )
    pictures = load_pictures(found)
    if opened.run is not None and found.resolve() != (opened.run.path / "pictures").resolve():
        classes = config.get("classes") or []
        if classes:  # only these were trained on
            pictures = of_classes(pictures, tuple(map(str, classes)))
    size = opened.trained.generator.shape.size
    if pictures.size != size:
        raise InputError(
            f"{found} holds pictures of {pictures.size} pixels a side, the generator makes {size}: "
            f"prepare them with `size={size}`"
        )
    if opened.trained.card.poses != "known":
        return dataclasses.replace(pictures, viewmats=None, Ks=None)
    return pictures


def _draw(folder: Path, opened: Opened, pictures: PictureSet) -> None:
    """grid.png: samples from all sides; pictures_and_samples.png: training pictures, a gap, and
    samples, each a sheet of ROWS x COLUMNS."""
    trained = opened.trained
    size = trained.generator.shape.size
    w = styles_of(opened, range(ROWS), 1.0)
    picture = grid(trained.generator, w, trained.priors, size, with_depth=True)
    write_png(folder / "grid.png", picture)
    count = ROWS * COLUMNS
    rng = torch.Generator().manual_seed(1)
    rows = torch.randint(len(pictures.images), (count,), generator=rng)
    sheets = []
    for images in (over_white(pictures.images[rows]), sample_pictures(trained, count, rng)):
        tiles = images.view(ROWS, COLUMNS, *images.shape[1:]).permute(0, 3, 1, 4, 2)
        sheets.append(tiles.reshape(ROWS * images.shape[2], -1, 3).float() / 255)
    gap = torch.ones(ROWS * size, 8, 3)
    write_png(folder / "pictures_and_samples.png", torch.cat([sheets[0], gap, sheets[1]], dim=1))
