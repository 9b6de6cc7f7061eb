"""`tondo prepare --for gan`: a collection of pictures becomes a training set, once."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tondo.data.photos import Skipped
from tondo.errors import InputError
from tondo.io.collections.picture_files import PictureSource, list_pictures, opened
from tondo.io.collections.picture_shards import (
    MANIFEST,
    SHARD_BYTES,
    Manifest,
    write_manifest,
    write_shard,
)
from tondo.io.output_folder import check_free, result_folder
from tondo.io.threads import in_threads
from tondo.pictures.cameras import in_object_space
from tondo.pictures.diversity import Account, describe, give_advice
from tondo.pictures.framing import Framed, choose_squares, finish
from tondo.pictures.measure import (
    SIMILAR_PLAIN,
    SIMILAR_SCENERY,
    Measured,
    find_blurred,
    find_similar,
    measure_picture,
)
from tondo.pictures.options import LEAST, PictureOptions
from tondo.pictures.report import write_report
from tondo.pictures.scan import Read, reason_of, scan_pictures

DEFAULTS = PictureOptions()
Progress = Callable[[str, int, int], None]
STAGES = ("looking", "cropping", "comparing", "writing")
MAKER = "tondo prepare --for gan"
FEW = 8  # adapt a generator; chosen


@dataclass(frozen=True)
class PreparedPictures:
    """What `prepare_pictures` made.

    Attributes:
        folder: the prepared set, for `tondo.io.collections.picture_shards.load_pictures`.
        count: pictures in it. size: pixels a side. class_names: or None.
        kind: what was recognised, in plain words. has_cameras: whether poses are known.
        left_out: pictures that are not in it, and why.
        advice: what is missing, in plain words.
    """

    folder: Path
    count: int
    size: int
    class_names: tuple[str, ...] | None
    kind: str
    has_cameras: bool
    left_out: tuple[Skipped, ...]
    advice: tuple[str, ...]


@dataclass(frozen=True)
class _Finished:
    """The finished pictures [N, S, S, C] in a file, and what was measured of each; None where the
    second reading failed, which `lost` names."""

    images: NDArray[np.uint8]
    measured: list[Measured | None]
    lost: list[Skipped]


@dataclass(frozen=True)
class _Chosen:
    """Rows that make the training set; pairs (row left out, row that it resembles); blurred."""

    rows: list[int]
    pairs: list[tuple[int, int]]
    blurred: list[int]


def prepare_pictures(
    source: str | Path,
    out: str | Path,
    options: PictureOptions = DEFAULTS,
    *,
    force: bool = False,
    on_progress: Progress | None = None,
) -> PreparedPictures:
    """Make a training set out of a folder, a zip file or CelebA, with a report on its diversity.

    Writes `out`/pictures.json, `out`/shards, `out`/report.html, `out`/report.json and the report's
    pictures in `out`/report; all is made beside `out` and renamed at the end. Every picture becomes
    a square of one size; on a plain background, which then becomes white, and where there is
    alpha, it is cut around the object. Pictures are left out that cannot be read, are too small
    (under half the size), blurred or near-duplicates, or unlike the rest in their background.

    Args:
        options: how.
        force: replace `out` if an earlier `prepare_pictures` made it.
        on_progress: called with (one of `STAGES`, done, total).

    Raises:
        InputError: no pictures, too few that can be used, or all the same.
        OptionError: an unknown class.
        OutputError: `out` holds something already, or cannot be written.

    Example:
        >>> import tondo
        >>> options = tondo.PictureOptions(size=32, similar=0)
        >>> found = tondo.prepare_pictures("pictures", "pictures_prepared", options)
        >>> found.count, found.size, found.has_cameras
        (20, 32, False)
    """
    check_free(Path(out), mark=MANIFEST, maker=MAKER, force=force)
    found = list_pictures(Path(source), options.classes)
    _check_count(found, len(found.files), options, found.skipped)
    say = on_progress or (lambda stage, done, total: None)
    with result_folder(Path(out), mark=MANIFEST, maker=MAKER, force=force) as folder:
        return _made_of(found, folder, Path(out), options, say)


def _made_of(
    found: PictureSource, folder: Path, out: Path, options: PictureOptions, say: Progress
) -> PreparedPictures:
    """Makes it in `folder`, which becomes `out`."""
    started, left_out = time.perf_counter(), list(found.skipped)
    with opened(found, upright=found.transforms is None) as read:
        scans, unread = scan_pictures(found, read, lambda d, t: say(STAGES[0], d, t))
        left_out += unread
        _check_count(found, len(scans), options, left_out)
        with_cameras = found.transforms is not None
        framed, unfit = choose_squares(scans, options.crop, options.size, with_cameras)
        left_out += unfit
        _check_count(found, len(framed.scans), options, left_out)
        finished = _finish_all(found, framed, read, folder.parent, options.size, say)
    left_out += finished.lost
    say(STAGES[2], 0, 1)
    chosen = _choose(finished, framed, options)
    left_out += _named(chosen, framed)
    _check_different(found, chosen, finished.images)
    _check_count(found, len(chosen.rows), options, left_out)
    say(STAGES[2], 1, 1)
    cameras = _cameras(framed, chosen.rows, options.size)
    counts = _write_shards(folder, finished, framed, chosen.rows, found, cameras, say)
    account = _account(found, framed, finished, chosen, cameras, left_out)
    seconds = round(time.perf_counter() - started, 1)
    write_report(folder, account)
    manifest = Manifest(
        source=found.title,
        size=options.size,
        channels=framed.channels,
        is_plain=framed.is_plain,
        counts=counts,
        class_names=found.class_names,
        has_cameras=cameras is not None,
        names=tuple(framed.scans[row].file.name for row in chosen.rows),
        left_out=tuple(left_out),
        options={**asdict(options), "kind": framed.kind, "seconds": seconds},
    )
    write_manifest(folder, manifest)
    return PreparedPictures(
        folder=out,
        count=len(chosen.rows),
        size=options.size,
        class_names=found.class_names,
        kind=framed.kind,
        has_cameras=cameras is not None,
        left_out=tuple(left_out),
        advice=tuple(give_advice(account, describe(account))),
    )


def _check_count(
    source: PictureSource, count: int, options: PictureOptions, left_out: Sequence[Skipped]
) -> None:
    if count >= max(1, options.least):
        return
    why = ""
    if left_out:
        reasons = Counter(one.reason.split(":")[0].split(" (")[0] for one in left_out)
        most = "; ".join(f"{n} {reason}" for reason, n in reasons.most_common(3))
        why = f"; {len(left_out)} were left out ({most}; e.g. {left_out[0].name})"
    pictures = "1 picture" if count == 1 else f"{count or 'no'} pictures"
    advice = (
        f"training needs at least {options.least}, and some hundreds are usual. To adapt a trained "
        f"generator {FEW} are enough (`tondo train PICTURES --from NAME --lora 8`)"
    )
    if options.least < LEAST:
        advice = f"to adapt a generator takes at least {options.least}, and 20 to 200 are usual"
    raise InputError(f"{source.title} has {pictures} that can be used{why}: {advice}")


def _check_different(source: PictureSource, chosen: _Chosen, images: np.ndarray) -> None:
    """Where near-duplicates are kept, too, pictures must not be all one."""
    first, *others = chosen.rows or [0]
    copies = all(np.array_equal(images[row], images[first]) for row in others)
    if copies and (others or chosen.pairs):
        raise InputError(
            f"all {len(others) + len(chosen.pairs) + 1} pictures of {source.title} show the same: "
            "a generator "
            "learns from pictures of different things of one kind"
        )


def _finish_all(
    source: PictureSource, framed: Framed, read: Read, work: Path, size: int, say: Progress
) -> _Finished:
    count = len(framed.scans)
    shape = (count, size, size, framed.channels)
    with (work / "pictures.raw").open("wb") as file:
        # A full disk must say so now: later, in mapped memory, it would end the process.
        os.posix_fallocate(file.fileno(), 0, math.prod(shape))
    images = np.memmap(work / "pictures.raw", np.uint8, "r+", shape=shape)

    def one(row: int) -> Measured | Skipped:
        scan = framed.scans[row]
        try:
            picture = finish(read(scan.file), scan, framed.squares[row], framed, size)
        except InputError as error:
            return Skipped(scan.file.name, reason_of(error, source, scan.file))
        images[row] = picture
        return measure_picture(picture, framed.is_plain)

    measured: list[Measured | None] = []
    lost = []
    for done, result in enumerate(in_threads(one, range(count)), start=1):
        measured.append(result if isinstance(result, Measured) else None)
        if isinstance(result, Skipped):
            lost.append(result)
        say(STAGES[1], done, count)
    return _Finished(images, measured, lost)


def _choose(finished: _Finished, framed: Framed, options: PictureOptions) -> _Chosen:
    known = [(row, one) for row, one in enumerate(finished.measured) if one is not None]
    soft = find_blurred([one.blur for _, one in known]) if known else []
    blurred = [
        row for (row, _), is_soft in zip(known, soft, strict=True)
        if is_soft and not options.keep_blurred
    ]  # fmt: skip
    gone = set(blurred)
    known = [(row, one) for row, one in known if row not in gone]
    threshold = options.similar
    if threshold is None:
        threshold = SIMILAR_PLAIN if framed.is_plain else SIMILAR_SCENERY
    vectors = np.array([one.vector for _, one in known])
    like = find_similar(vectors, framed.is_plain, threshold) if known else {}
    rows = [row for place, (row, _) in enumerate(known) if place not in like]
    pairs = [(known[a][0], known[b][0]) for a, b in like.items()]
    return _Chosen(rows, pairs, blurred)


def _named(chosen: _Chosen, framed: Framed) -> list[Skipped]:
    scans = framed.scans
    blurred = [Skipped(scans[row].file.name, "blurred") for row in chosen.blurred]
    return blurred + [
        Skipped(scans[row].file.name, f"nearly the same as: {scans[like].file.name}")
        for row, like in chosen.pairs
    ]


def _cameras(framed: Framed, rows: Sequence[int], size: int) -> tuple[Tensor, Tensor] | None:
    """viewmats [n, 4, 4] and Ks [n, 3, 3] of the chosen pictures, or None."""
    if framed.space is None:
        return None
    found = []
    for row in rows:
        camera = framed.scans[row].camera
        assert camera is not None
        found.append(in_object_space(camera, framed.space, framed.squares[row], size))
    viewmats, Ks = (torch.from_numpy(np.stack(part)) for part in zip(*found, strict=True))
    return viewmats, Ks


def _write_shards(
    folder: Path,
    finished: _Finished,
    framed: Framed,
    rows: Sequence[int],
    source: PictureSource,
    cameras: tuple[Tensor, Tensor] | None,
    say: Progress,
) -> tuple[int, ...]:
    """Write the chosen pictures; returns how many each shard has."""
    step = max(1, SHARD_BYTES // int(finished.images[0].nbytes))
    names = source.class_names
    labels = None
    if names is not None:
        index = {name: number for number, name in enumerate(names)}
        classes = [framed.scans[row].file.class_name for row in rows]
        labels = torch.tensor([index[name] for name in classes if name is not None])
    counts = []
    for number, start in enumerate(range(0, len(rows), step)):
        part = slice(start, start + step)
        pictures = np.ascontiguousarray(finished.images[rows[part]].transpose(0, 3, 1, 2))
        write_shard(
            folder,
            number,
            torch.from_numpy(pictures),
            None if cameras is None else (cameras[0][part], cameras[1][part]),
            None if labels is None else labels[part],
        )
        counts.append(len(pictures))
        say(STAGES[3], start + len(pictures), len(rows))
    return tuple(counts)


def _account(
    source: PictureSource,
    framed: Framed,
    finished: _Finished,
    chosen: _Chosen,
    cameras: tuple[Tensor, Tensor] | None,
    left_out: Sequence[Skipped],
) -> Account:
    measured = [one for row in chosen.rows if (one := finished.measured[row]) is not None]
    size = finished.images.shape[1]
    return Account(
        title=source.title,
        kind=framed.kind,
        note=source.note,
        images=finished.images,
        names=tuple(scan.file.name for scan in framed.scans),
        classes=tuple(scan.file.class_name for scan in framed.scans),
        rows=tuple(chosen.rows),
        measured=tuple(measured),
        pairs=tuple(chosen.pairs),
        blurred=tuple(chosen.blurred),
        enlarged=sum(framed.squares[row].side < size for row in chosen.rows),
        is_plain=framed.is_plain,
        viewmats=None if cameras is None else cameras[0].numpy(),
        left_out=tuple(left_out),
    )
