"""Photographs of a COLMAP model, as a PhotoSet or as cameras alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from tondo.data.photos import PhotoSet, PointCloud, Skipped
from tondo.data.similarity import Similarity
from tondo.errors import InputError
from tondo.geometry.up import cameras_up
from tondo.io.images import list_photos
from tondo.io.mask_files import find_masks, with_outside
from tondo.io.models.ply import read_points
from tondo.io.named_files import NamedFile, find_files, is_file, readable
from tondo.io.posed.colmap import ColmapModel, count_images, is_model, read_model
from tondo.io.posed.colmap_points import initial_points
from tondo.io.posed.frames import (
    Frame,
    NamedCamera,
    Reading,
    full_size,
    lens_for,
    load_masked,
    name_without_ending,
    pinhole_camera,
)
from tondo.io.posed.placing import model_in_scene, near_points, placed, sightings_fit

_MODEL_PLACES = ("sparse", "colmap/sparse", ".")
_POINTS_PLY = "points3D.ply"
_WHAT = ["the name of a photo in the COLMAP model"]


def model_folder(source: Path) -> Path | None:
    """The folder of the COLMAP model that `source` (a folder, or one of its files) means."""
    if source.is_file():
        source = source.parent if source.stem in ("cameras", "images", "points3D") else source
        return source if is_model(source) else None
    for place in _MODEL_PLACES:
        numbered = (source / place).glob("[0-9]*") if place != "." else ()
        found = [folder for folder in (*sorted(numbered), source / place) if is_model(folder)]
        if found:
            return max(found, key=count_images)
    return None


def load_model(source: Path, folder: Path, how: Reading) -> PhotoSet:
    """The photos of the model in `folder`; as `tondo.io.posed.photos.load_photos`."""
    model = read_model(folder)
    base = source if source.is_dir() else source.parent
    root = _photo_folder(base, folder, model)
    frames, ids, skipped, scaled = _model_frames(model, root, base)
    around = base if root.is_relative_to(base) else root
    masks = find_masks([frame.path for frame in frames], around, how.masks)
    masks = with_outside(masks, len(frames), how.outside_masks)
    known = {mask.path.name for mask in masks.of.values()}
    skipped = [one for one in skipped if Path(one.name).name not in known]
    frames.sort(key=lambda frame: frame.name)
    test = {frame.name for frame in frames[:: how.holdout]} if how.holdout else set()
    found = placed(frames, how.world_from_scene, lambda name: sightings_fit(model, ids[name]))
    photos, unreadable = load_masked(found.frames, masks.of, how.max_size, test)
    train = tuple(photo for photo in photos if photo.name not in test)
    viewmats = torch.from_numpy(np.stack([image.viewmat for image in model.images]))
    points: PointCloud | None = None
    notes: tuple[str, ...] = ()
    if how.load_points:
        moved = model_in_scene(model, found.world_from_scene)
        points, notes = initial_points(moved, {ids[photo.name]: photo for photo in train})
        if not len(model.tracks.points) and is_file(folder / _POINTS_PLY):
            points, notes = _ply_points(folder / _POINTS_PLY, found.world_from_scene)
    points, dropped = near_points(points, found.frames)
    note = f", intrinsics scaled to the size of {scaled} photos" if scaled else ""
    return PhotoSet(
        train=train,
        test=tuple(photo for photo in photos if photo.name in test),
        points=points,
        up=cameras_up(viewmats).direction.float(),
        is_render=False,
        skipped=tuple(sorted(skipped + found.skipped + unreadable, key=lambda one: one.name)),
        source=f"COLMAP model {_below(folder, base)}{note}",
        masks=masks.note,
        notes=(*found.notes, *notes, *dropped),
        world_from_scene=found.world_from_scene,
        full_size=full_size(found.frames, photos),
    )


def _ply_points(
    path: Path, world_from_scene: Similarity
) -> tuple[PointCloud | None, tuple[str, ...]]:
    """The points that stand beside a model which has none of its own: a scan, say."""
    cloud = read_points(path, world_from_scene)
    if not len(cloud.points):
        return None, ()
    return cloud, (
        f"the model has no points of its own: the {len(cloud.points)} of {path.name} are taken as "
        "they are; if photos found them, held-out ones had a part in it",
    )


def model_cameras(folder: Path, world_from_scene: Similarity) -> list[NamedCamera]:
    """The cameras of the model in `folder`, in its order; photos need not exist."""
    model = model_in_scene(read_model(folder), world_from_scene)
    return [
        NamedCamera(
            name_without_ending(readable(image.name).replace("\\", "/")),
            pinhole_camera(model.lenses[image.camera_id], image.viewmat),
        )
        for image in model.images
    ]


def _model_frames(
    model: ColmapModel, root: Path, base: Path
) -> tuple[list[Frame], dict[str, int], list[Skipped], int]:
    """Frames of a model's photos, image ids by name, what is left out, how many lenses scaled."""
    prefix = _below(root, base)
    prefix = "" if prefix == "." else f"{prefix}/"
    frames, ids, skipped, scaled = [], {}, [], 0
    for image, found in zip(
        model.images, _find(root, [image.name for image in model.images]), strict=True
    ):
        name = prefix + found.name
        if found.path is None:
            reason = f"in the COLMAP model, but there is no file {root / found.name}"
            skipped.append(Skipped(name, reason))
        elif name in ids:
            skipped.append(Skipped(name, "in the COLMAP model a second time"))
        else:
            lens = model.lenses[image.camera_id]
            fitting = lens_for(lens, found.path)
            scaled += fitting is not lens
            frames.append(Frame(name, found.path, fitting, image.viewmat))
            ids[name] = image.image_id
    known = {frame.path for frame in frames}
    for path in list_photos(root):
        if path not in known:
            skipped.append(
                Skipped(prefix + readable(path.name), "not registered in the COLMAP model")
            )
    return frames, ids, skipped, scaled


def _photo_folder(base: Path, folder: Path, model: ColmapModel) -> Path:
    """Where the model's photos are: `images` beside the model or above it, or right there."""
    nearest = [base, folder, *folder.absolute().parents[:3]]
    candidates = [below for place in nearest for below in _image_folders(place)] + [base, folder]
    names = [image.name for image in model.images]
    near = None
    for candidate in candidates:
        found = [one.path for one in _find(candidate, names[:100]) if one.path is not None]
        if not {candidate / name.replace("\\", "/") for name in names[:100]}.isdisjoint(found):
            return candidate
        near = near or (candidate if found else None)
    if near is not None:
        return near
    raise InputError(
        f"none of the {len(names)} photos of the COLMAP model {folder} was found (the first is "
        f"{find_files(folder, names[:1], _WHAT)[0].name!r}): put them into a folder `images` in "
        f"{base}"
    )


def _image_folders(place: Path) -> list[Path]:
    """`images` in `place`, and what is so called but for its case."""
    try:
        found = [path for path in place.iterdir() if path.name.casefold() == "images"]
    except OSError:
        return []
    return sorted((path for path in found if path.is_dir()), key=lambda path: path.name != "images")


def _find(root: Path, names: Sequence[str]) -> list[NamedFile]:
    return find_files(root, names, _WHAT * len(names))


def _below(path: Path, base: Path) -> str:
    """`path` as seen from `base`, "." for itself, or its own name if it is elsewhere."""
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name
