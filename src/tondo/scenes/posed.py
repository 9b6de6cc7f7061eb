"""Photos with poses of whatever a scene is to be made from."""

from __future__ import annotations

from pathlib import Path

from tondo.data.photos import PhotoSet
from tondo.io.mask_files import choice_after
from tondo.io.masks import BY_MASK
from tondo.io.posed.photos import has_poses, load_photos
from tondo.runs.run_directory import RunDirectory
from tondo.runs.watch import Watch
from tondo.scenes.distil import photograph_scene
from tondo.scenes.open import open_scene, settled_up
from tondo.scenes.options import ReconstructOptions
from tondo.scenes.source import Source
from tondo.sfm.prepare import PrepareOptions, prepare

NAMED = 10  # photos left out by their masks; chosen

PREPARED = "prepared"  # the folder of a run that has what `posed_folder` made


def posed_folder(
    source: Source, run: RunDirectory, options: ReconstructOptions, watch: Watch
) -> Path:
    """Where photos with poses are: `source`, or what `prepare` makes of it inside the run; of a
    scene, its pictures."""
    if source.kind == "posed photos":
        return source.path
    prepared = run.path / PREPARED
    if prepared.is_dir() and has_poses(prepared):
        return prepared
    if source.kind == "scene":
        opened = open_scene(source.path)
        for sentence in (*opened.notes, settled_up(opened, None)[1]):
            if sentence is not None:
                watch.note(sentence)
        photograph_scene(opened, prepared, options.max_size, watch.stage)
        return prepared
    watch.note("these photos have no poses: finding them first")
    how = PrepareOptions(seed=options.seed, masks=options.masks)
    found = prepare(source.path, prepared, how, force=True, on_progress=watch.stage)
    watch.note(f"{found.registered} of {found.photos} photos placed; lens: {found.lens}")
    for note in (*found.notes, *(f"in doubt: {doubt}" for doubt in found.doubts)):
        watch.note(note)
    watch.note(f"how it went, and what to photograph next: {prepared / 'report.html'}")
    return prepared


def masks_of(source: Source, options: ReconstructOptions) -> str:
    """How the masks of photos in `posed_folder` are chosen."""
    return choice_after(options.masks, prepared=source.kind != "posed photos")


def load_told(posed: Path, masks: str, options: ReconstructOptions, watch: Watch) -> PhotoSet:
    """The photos in `posed`, with what was found told."""
    photos = load_photos(
        posed,
        max_size=options.max_size,
        holdout=options.holdout,
        masks=masks,
        outside_masks=options.outside_masks,
    )
    for sentence in (_found(photos), *photos.notes, photos.masks):
        if sentence:
            watch.note(sentence)
    for one in [one for one in photos.skipped[1:] if one.reason in BY_MASK][:NAMED]:
        watch.note(f"left out: {one.name}: {one.reason}")
    return photos


def _found(photos: PhotoSet) -> str:
    size = photos.train[0].camera
    text = (
        f"{photos.source}: {len(photos.train)} photos to train on, {len(photos.test)} held out, "
        f"{size.width}x{size.height}"
    )
    if photos.full_size is not None:
        text += f" (of {photos.full_size[0]}x{photos.full_size[1]})"
    if photos.skipped:
        text += f"; {len(photos.skipped)} left out (the first: {photos.skipped[0].name}: "
        text += f"{photos.skipped[0].reason})"
    return text
