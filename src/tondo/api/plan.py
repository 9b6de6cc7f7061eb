"""What a command would do: its options as they are resolved, and what was found. Nothing is
written, rendered or trained."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import Generic, TypeVar

from tondo.data.photos import PhotoSet
from tondo.data.pictures import of_classes
from tondo.gan.options import TrainOptions
from tondo.gan.training.options import OF_NOW as TRAIN_OF_NOW
from tondo.gan.training.options import check_options
from tondo.geometry.cameras import fitted_size
from tondo.io.collections.picture_files import list_pictures
from tondo.io.collections.picture_shards import MANIFEST, is_prepared, load_pictures
from tondo.io.images import image_size
from tondo.io.mask_files import check_choice
from tondo.io.output_folder import check_free
from tondo.nerf.options import suited
from tondo.pictures.options import PictureOptions
from tondo.pictures.prepare import MAKER
from tondo.runs.device import training_device
from tondo.runs.method import background_for
from tondo.runs.run_directory import check_run_target, open_run
from tondo.runs.stored_options import ignored_options, stored_options
from tondo.runs.watch import Watch
from tondo.scenes.options import OF_NOW, ReconstructOptions, settled
from tondo.scenes.posed import load_told, masks_of
from tondo.scenes.source import check_photos, source_of
from tondo.sfm.options import PrepareOptions
from tondo.sfm.photos.gather import is_video, photo_items

Options = TypeVar("Options")


@dataclass(frozen=True)
class Plan(Generic[Options]):
    """What would be done.

    Attributes:
        found: what it would be done with, in sentences.
        options: the options; of a run that goes on those that it was started with.
        chosen: what the input decides, by the option's name.
    """

    found: tuple[str, ...]
    options: Options
    chosen: Mapping[str, str]


def plan_reconstruct(
    photos: str | Path,
    output: str | Path,
    options: ReconstructOptions,
    *,
    force: bool = False,
    resume: bool = False,
    given: Collection[str] | None = None,
) -> Plan[ReconstructOptions]:
    """What `reconstruct` would do with the same arguments. Raises TondoError where it could not."""
    check_choice(options.masks)
    check_run_target(Path(output), force=force, resume=resume)
    source = source_of(photos)
    check_photos(source)
    ignored: list[str] = []
    if resume:
        asked = options
        options, _ = stored_options(open_run(Path(output)), "reconstruct", asked, OF_NOW)
        ignored = ignored_options(asked, options, OF_NOW, given)
    if source.kind == "posed photos":
        found = ignored
        masks = masks_of(source, options)
        loaded = load_told(source.path, masks, options, Watch(note=found.append))
        chosen = _length(options, loaded.pixels) | _chosen(loaded, options)
        return Plan(tuple(found), options, chosen)
    if source.kind == "scene":
        text = f"{photos} is a scene: pictures of it are rendered, in the place of photos"
        return Plan((*ignored, text), options, _length(options, None))
    sentences, size = _photos(source.path, options.masks)
    pixels = None if size is None else math.prod(fitted_size(*size, options.max_size))
    chosen = _length(options, pixels) | {"poses": "found by structure from motion"}
    if options.background is None:
        chosen["background"] = "random with transparency, the photos' mean colour without"
    if options.exposure == "auto":
        chosen["exposure"] = "on"
    return Plan((*ignored, *sentences), options, chosen)


def _length(options: ReconstructOptions, pixels: int | None) -> dict[str, str]:
    """Length and number of splats for pictures of so many pixels; None: not known before."""
    sizes = [1, options.max_size**2] if pixels is None else [pixels]
    found = [settled(options, size) for size in sizes]
    chosen = {}
    if options.steps is None and options.minutes is None:
        chosen["minutes"] = _range(f"{one.minutes:g}" for one in found)
    if options.method == "splats" and options.splats.max_splats is None:
        chosen["splats.max_splats"] = _range(str(one.splats.max_splats) for one in found)
    return chosen


def _range(texts: Iterable[str]) -> str:
    both = tuple(dict.fromkeys(texts))
    return both[0] if len(both) == 1 else f"{' to '.join(both)}, as the pictures are large"


def _chosen(photos: PhotoSet, options: ReconstructOptions) -> dict[str, str]:
    """What photos with poses decide."""
    behind = background_for(photos, options.background)
    color = ",".join(f"{value:.3g}" for value in behind.color.tolist())
    found = {"poses": "those of the photos"}
    if options.background is None:
        found["background"] = "random" if behind.is_random else color
    if options.exposure == "auto":
        found["exposure"] = "off" if photos.is_render else "on"
    if options.method == "nerf":
        nerf = suited(options.nerf, bounded=photos.has_alpha, photos=len(photos.train))
        found["nerf.sampling.cells"] = str(nerf.sampling.cells)
        found["nerf.distortion.weight"] = f"{nerf.distortion.weight:g}"
    return found


def _photos(source: Path, masks: str) -> tuple[tuple[str, ...], tuple[int, int] | None]:
    """Sentences on photos without poses; width and height of the middle one, if it is known."""
    if is_video(source):
        return (f"{source}: a video",), None
    items, left_out, notes = photo_items(source, masks)
    sizes = [image_size(item.path) for item in items]
    width, height = median_low(sizes)
    same = "" if len(set(sizes)) == 1 else ", the middle one of several sizes"
    masked = sum(item.mask is not None for item in items)
    text = f"{source}: {len(items)} photos without poses, {width}x{height}{same}"
    text += f"; {masked} with a mask" if masked else ""
    said = (text, *notes, *(f"left out: {one.name}: {one.reason}" for one in left_out))
    return said, (width, height)


def plan_train(
    pictures: str | Path,
    output: str | Path,
    options: TrainOptions,
    *,
    force: bool = False,
    resume: bool = False,
    given: Collection[str] | None = None,
) -> Plan[TrainOptions]:
    """What `train_generator` would do with the same arguments. Raises TondoError where it could
    not."""
    check_options(options)
    check_run_target(Path(output), force=force, resume=resume)
    ignored: list[str] = []
    if resume:
        asked = options
        options, _ = stored_options(open_run(Path(output)), "train", asked, TRAIN_OF_NOW)
        ignored = ignored_options(asked, options, TRAIN_OF_NOW, given)
    chosen = {} if options.minutes or options.kimg else {"minutes": "60"}
    device = training_device(options.device).type
    chosen |= {"device": device} if options.device == "auto" else {}
    found, is_plain, has_cameras = _pictures(Path(pictures), options)
    if options.base is None:
        kind = {True: "turntable", False: "frontal", None: "turntable or frontal"}[is_plain]
        behind = {True: "white", False: "scene", None: "white or scene"}[is_plain]
        has_cameras = has_cameras and options.poses is None
        painted = has_cameras or options.representation == "field"
        if options.poses is None:
            chosen["poses"] = "the pictures' own cameras" if has_cameras else kind
        if options.background is None:
            chosen["background"] = behind
        if options.light is None:
            chosen["light"] = "none" if painted else "camera"
    return Plan((*ignored, *found), options, chosen)


def _pictures(
    source: Path, options: TrainOptions | PictureOptions
) -> tuple[tuple[str, ...], bool | None, bool]:
    """Sentences on pictures; whether their background is plain (None: not known before they are
    prepared), and whether their cameras are known."""
    if is_prepared(source):
        loaded = load_pictures(source)
        if options.classes:
            loaded = of_classes(loaded, options.classes)
        count, names, is_plain = len(loaded.images), loaded.class_names, loaded.is_plain
        has_cameras = loaded.viewmats is not None
        text = f"{source}: a prepared set of {count:,} pictures, {loaded.size}x{loaded.size}"
    else:
        listed = list_pictures(source, options.classes)
        count, names, is_plain = len(listed.files), listed.class_names, None
        has_cameras = listed.transforms is not None
        text = f"{source}: {count:,} pictures, to be prepared at {options.size}x{options.size}"
        text += f"; {len(listed.skipped)} other files" if listed.skipped else ""
    text += "; with cameras" if has_cameras else "; no cameras known"
    classes = (f"{len(names)} classes: {', '.join(names[:10])}",) if names else ()
    return (text, *classes), is_plain, has_cameras


def plan_prepare(
    photos: str | Path,
    output: str | Path,
    options: PrepareOptions | PictureOptions,
    *,
    force: bool = False,
) -> Plan[PrepareOptions | PictureOptions]:
    """What `prepare` or `prepare_pictures` would do with the same arguments. Raises TondoError
    where it could not."""
    source, output = Path(photos), Path(output)
    if isinstance(options, PictureOptions):
        check_free(output, mark=MANIFEST, maker=MAKER, force=force)
        found, _, _ = _pictures(source, options)
        return Plan(found, options, {})
    check_choice(options.masks)
    check_free(output, mark="prepare.json", maker="tondo prepare", force=force)
    return Plan(_photos(source, options.masks)[0], options, {})
