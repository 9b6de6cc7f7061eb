"""Photos without poses become posed images: `tondo prepare`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pycolmap

from tondo.data.photos import Skipped
from tondo.errors import InputError
from tondo.io.atomic import make_folder, write_json
from tondo.io.child import in_child
from tondo.io.output_folder import result_folder
from tondo.sfm.capture.coverage import Coverage, give_advice
from tondo.sfm.capture.facts import Capture, describe_capture
from tondo.sfm.capture.report import write_report
from tondo.sfm.motion.place import LOOKING, MATCHING, PLACING, Placement, place_photos
from tondo.sfm.motion.quiet import quiet_colmap
from tondo.sfm.motion.still import static_background
from tondo.sfm.options import PrepareOptions
from tondo.sfm.photos.gather import Gathered, GatheredPhoto, gather_photos, is_video

DEFAULTS = PrepareOptions()
Progress = Callable[[str, int, int], None]
STAGES = ("reading photos", MATCHING, PLACING, LOOKING, "writing the report")
FORMAT = 1  # version of prepare.json


@dataclass(frozen=True)
class Prepared:
    """What `prepare` made.

    Attributes:
        folder: with images/, sparse/0/, prepare.json and report.html.
        photos: how many could be read. registered: how many of them have a pose.
        skipped: files that could not be read.
        points: how many 3D points. error: mean reprojection error in pixels.
        advice: what to photograph next, in plain words.
        notes: how the folder was understood: masks, sub-folders, other files.
        lens: the lens model that was chosen, and why. doubts: what is not certain, sentences.
        left_out: photos that were read but not placed, or not believed, and why.
    """

    folder: Path
    photos: int
    registered: int
    skipped: tuple[Skipped, ...]
    points: int
    error: float
    advice: tuple[str, ...]
    notes: tuple[str, ...]
    lens: str
    doubts: tuple[str, ...]
    left_out: tuple[Skipped, ...]


def prepare(
    source: str | Path,
    out: str | Path,
    options: PrepareOptions = DEFAULTS,
    *,
    force: bool = False,
    on_progress: Progress | None = None,
) -> Prepared:
    """Find the cameras of photos by incremental structure from motion (Schoenberger and Frahm
    2016), and report on the capture.

    Writes `out`/images, `out`/sparse/0 (a COLMAP model in binary), prepare.json, report.html with
    its pictures in report/; made beside `out` and renamed at the end, so never half-written.

    Args:
        source: a folder of photos (`find_photos`), or a video.
        out: a folder that does not exist or is empty.
        options: how.
        force: replace `out` if an earlier `prepare` made it.
        on_progress: called with (one of `STAGES`, done, total).

    Raises:
        InputError: no photos, or fewer than two readable ones; or fewer than half of them could be
            placed, or their places cannot be believed, in which cases `out` is written
            nevertheless.
        OptionError: `options.masks` cannot be used.
        OutputError: `out` is there already or cannot be written.

    Example:
        >>> import tondo
        >>> found = tondo.prepare("shelf", "shelf_posed", tondo.PrepareOptions(feature_size=400))
        >>> found.registered, found.photos
        (6, 6)
        >>> len(tondo.load_photos("shelf_posed").train)
        5
    """
    source, out = Path(source), Path(out)
    say = on_progress or (lambda stage, done, total: None)
    started = time.perf_counter()
    made = result_folder(out, mark="prepare.json", maker="tondo prepare", force=force)
    with quiet_colmap(), made as result:
        make_folder(result / "images")
        gathered = _gather(source, result / "images", options, say)
        placement = _place(source, gathered.photos, result, options, say)
        models = _kept_models(placement, result)
        notes = (*gathered.notes, *filter(None, [placement.note]))
        say(STAGES[4], 0, 1)
        capture = _describe(gathered, placement, models)
        coverage = write_report(result, capture, title=_title(source), notes=notes)
        seconds = time.perf_counter() - started
        facts = _facts(capture, coverage, models, source, options.seed, seconds)
        write_json(result / "prepare.json", {**facts, "notes": list(notes)})
        say(STAGES[4], 1, 1)
    _check_placed(capture, out)
    return _prepared(out, capture, tuple(give_advice(capture, coverage)), notes)


def _gather(source: Path, folder: Path, options: PrepareOptions, say: Progress) -> Gathered:
    """At least two photos, in `folder`."""
    gathered = gather_photos(
        source,
        folder,
        frames=options.frames,
        max_size=options.feature_size,
        max_features=options.max_features,
        masks=options.masks,
        on_progress=lambda done, total: say(STAGES[0], done, total),
    )
    photos, skipped = gathered.photos, gathered.skipped
    if len(photos) >= 2:
        return gathered
    unread = ""
    if skipped:
        unread = f" ({len(skipped)} left out, e.g. {skipped[0].name}: {skipped[0].reason})"
    count = "only one photo that can be used" if len(photos) == 1 else "no photo that can be used"
    raise InputError(
        f"{source} has {count}{unread}; poses need at least 2 photos of the same thing from "
        "different places, and 30 to 100 are usual"
    )


def _place(
    source: Path,
    photos: Sequence[GatheredPhoto],
    result: Path,
    options: PrepareOptions,
    say: Progress,
) -> Placement:
    """Structure from motion, with its files beside `result`."""
    return in_child(
        place_photos,
        photos,
        result.parent,
        result / "images",
        is_video(source),
        options.seed,
        options.lens,
        what=f"find the poses of {source}",
        folder=result.parent,
        on_progress=say,
    )


def _kept_models(placement: Placement, result: Path) -> list[pycolmap.Reconstruction]:
    """The models, and the largest moved into `result`: one that is not to be believed to where
    nobody takes it for one."""
    models = [pycolmap.Reconstruction(folder) for folder in placement.folders]
    if models:
        place = result / ("doubtful" if placement.distrust else "sparse")
        make_folder(place)
        placement.folders[0].rename(place / "0")
    return models


def _describe(
    gathered: Gathered, placement: Placement, models: Sequence[pycolmap.Reconstruction]
) -> Capture:
    """The facts, and a doubt where the background stays where it is while the object turns."""
    photos = gathered.photos
    capture = describe_capture(photos, gathered.skipped, placement, models)
    placed = {}
    if models:
        placed = {image.name: image for image in models[0].images.values() if image.has_pose}
    found = static_background(
        [photo.features.keypoints[:, :2] for photo in photos],
        [(photo.width, photo.height) for photo in photos],
        placement.matches,
        [
            placed[photo.name].cam_from_world().rotation.matrix() if photo.name in placed else None
            for photo in photos
        ],
    )
    if found is None:
        return capture
    sentence = found.sentence([photo.source for photo in photos])
    return replace(capture, doubts=(sentence, *capture.doubts))


def _prepared(
    out: Path, capture: Capture, advice: tuple[str, ...], notes: tuple[str, ...]
) -> Prepared:
    return Prepared(
        folder=out,
        photos=len(capture.photos),
        registered=len(capture.registered),
        skipped=capture.skipped,
        points=len(capture.points),
        error=capture.error,
        advice=advice,
        notes=notes,
        lens=capture.lens,
        doubts=capture.doubts,
        left_out=tuple(Skipped(p.source, p.reason) for p in capture.photos if not p.registered),
    )


def _title(source: Path) -> str:
    """What was photographed: the name of the folder above one that is only called images."""
    whole = source.resolve()
    return whole.parent.name if whole.name.lower() in ("images", "photos") else whole.name


def _check_placed(capture: Capture, out: Path) -> None:
    if capture.distrust:
        raise InputError(
            f"the places of the photos cannot be trusted: {capture.distrust}. What was found is "
            f"kept in {out}/doubtful; photos between the doubtful ones, or of more of what "
            "surrounds the object, would tell"
        )
    placed, total = len(capture.registered), len(capture.photos)
    why = " ".join(f"{doubt.rstrip('.')}." for doubt in capture.doubts)
    if placed == 0:
        why = f". {why}" if why else ": they have no points in common."
        raise InputError(
            f"none of the {total} photos could be placed{why} {out}/report.html says what was "
            "wrong with each"
        )
    if placed * 2 < total:
        found = f"only {placed} of the {total} photos could be placed, fewer than half."
        raise InputError(
            f"{' '.join(filter(None, [found, why]))} What was found is kept in {out}, and "
            f"{out}/report.html says what to photograph again"
        )


def _facts(
    capture: Capture,
    coverage: Coverage | None,
    models: Sequence[pycolmap.Reconstruction],
    source: Path,
    seed: int,
    seconds: float,
) -> dict[str, object]:
    """The contents of prepare.json."""
    cameras = [] if not models else list(models[0].cameras.values())
    return {
        "format": FORMAT,
        "source": source.name,
        "seed": seed,
        "seconds": round(seconds, 1),
        "pycolmap": pycolmap.__version__,
        "photos": len(capture.photos),
        "registered": len(capture.registered),
        "points": len(capture.points),
        "reprojection_error": round(capture.error, 4),
        "lens": capture.lens,
        "doubts": list(capture.doubts),
        "distrust": capture.distrust,
        "up": [float(value) for value in capture.up],
        "coverage": None
        if coverage is None
        else {
            "inward": coverage.inward,
            "degrees_covered": round(coverage.covered, 1),
            "widest_gap": coverage.gap,
            "elevation": [float(coverage.elevations.min()), float(coverage.elevations.max())],
        },
        "cameras": [
            {
                "model": camera.model.name,
                "width": camera.width,
                "height": camera.height,
                "params": [float(value) for value in camera.params],
            }
            for camera in cameras
        ],
        "other_models": [list(names) for names in capture.other_models],
        "skipped": [asdict(skipped) for skipped in capture.skipped],
        "advice": give_advice(capture, coverage),
        "images": [asdict(photo) for photo in capture.photos],
    }
