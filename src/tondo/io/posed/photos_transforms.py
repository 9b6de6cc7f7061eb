"""Photographs that a `transforms.json` of any kind lists, as a PhotoSet or as cameras alone."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tondo.data.photos import PhotoSet, PointCloud, Skipped
from tondo.data.similarity import Similarity
from tondo.errors import InputError
from tondo.geometry.up import settled_up
from tondo.io.images import image_size
from tondo.io.mask_files import find_masks, with_outside
from tondo.io.models.ply import read_points
from tondo.io.named_files import is_file
from tondo.io.posed.camera_path import camera_path, is_camera_path
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
from tondo.io.posed.intrinsics import lens_of
from tondo.io.posed.placing import near_points, placed
from tondo.io.posed.transforms_json import (
    ListedFrame,
    TransformsFile,
    checked_transforms,
    read_cameras_json,
    read_transforms,
)

_Z_UP = torch.tensor([0.0, 0.0, 1.0])  # up of transforms.json, as nerfstudio writes it


def transforms_files(source: Path) -> list[Path]:
    """The file, or the files [train, test], to read for `source`; empty if it has none."""
    if source.is_file():
        if source.suffix.lower() != ".json":
            return []
        if source.name != "transforms_train.json":
            return [source]
        source = source.parent
    train = source / "transforms_train.json"
    if is_file(train):
        tests = (source / f"transforms_{split}.json" for split in ("test", "val"))
        return [train, *[test for test in tests if is_file(test)][:1]]
    return [file for file in [source / "transforms.json"] if is_file(file)]


def load_transforms(files: list[Path], how: Reading) -> PhotoSet:
    """The photos of a file, or of [train, test] files; as `tondo.io.posed.photos.load_photos`."""
    train_file = read_transforms(files[0])
    test_file = read_transforms(files[1]) if len(files) > 1 else None
    frames, skipped, scaled = _frames(train_file, files[0])
    there = {frame.name: frame for frame in train_file.frames if frame.path is not None}
    names = sorted(there)
    test = {name for name in names if _named(there[name], train_file.test_names)}
    if test_file is not None:
        more, more_skipped, more_scaled = _frames(test_file, files[1])
        scaled += more_scaled
        own = {frame.name for frame in more}
        # A photo in both splits is a test photo.
        frames = [frame for frame in frames if frame.name not in own] + more
        skipped, test = skipped + more_skipped, own
    elif train_file.test_names is None:
        test = set(names[:: how.holdout]) if how.holdout else set()
    if train_file.train_names is not None:
        wanted = {name for name in names if _named(there[name], train_file.train_names)} | test
        skipped += [Skipped(n, "in no split of the file") for n in names if n not in wanted]
        frames = [frame for frame in frames if frame.name in wanted]
    frames.sort(key=lambda frame: frame.name)
    found = [train_file, *([] if test_file is None else [test_file])]
    masks = find_masks(
        [frame.path for frame in frames], files[0].parent, how.masks, _named_masks(found)
    )
    masks = with_outside(masks, len(frames), how.outside_masks)
    there_now = placed(frames, how.world_from_scene)
    photos, unreadable = load_masked(there_now.frames, masks.of, how.max_size, test)
    kind = f"{train_file.kind} {files[0].name}"
    points, note = None, ""
    if how.load_points:
        points, note = _ply_points(train_file, bool(test), there_now.world_from_scene)
    points, dropped = near_points(points, there_now.frames)
    if scaled:
        note += f", intrinsics scaled to the size of {scaled} photos"
    up, up_note = _up(found)
    return PhotoSet(
        train=tuple(photo for photo in photos if photo.name not in test),
        test=tuple(photo for photo in photos if photo.name in test),
        points=points,
        up=up,
        is_render=train_file.is_render,
        skipped=tuple(sorted(skipped + there_now.skipped + unreadable, key=lambda one: one.name)),
        source=kind + note,
        masks=masks.note,
        notes=(*there_now.notes, *up_note, *_rounding_note(found), *dropped),
        world_from_scene=there_now.world_from_scene,
        full_size=full_size(there_now.frames, photos),
    )


def _named_masks(files: list[TransformsFile]) -> dict[Path, Path]:
    """Where the files say that the masks of pictures are, by the pictures' places."""
    listed = [frame for file in files for frame in file.frames]
    return {one.path: one.mask for one in listed if one.path is not None and one.mask is not None}


def _up(files: list[TransformsFile]) -> tuple[Tensor, list[str]]:
    """Up [3], and what is to be said of it: as the file says, else as its cameras settle it."""
    if files[0].up is not None:
        return torch.from_numpy(files[0].up).float(), []
    viewmats = [frame.viewmat for file in files for frame in file.frames]
    up, note = settled_up(torch.from_numpy(np.array(viewmats)), _Z_UP)
    return up, [] if note is None else [note]


def _rounding_note(files: list[TransformsFile]) -> list[str]:
    off = [value for file in files for value in file.rounding if value > 0]
    if not off:
        return []
    return [
        f"the matrices of {len(off)} frames are rounded: the nearest rotations are taken, which "
        f"may be off by up to {math.degrees(max(off) / 2):.2g} degrees (`refine_poses` fits them)"
    ]


def _frames(found: TransformsFile, path: Path) -> tuple[list[Frame], list[Skipped], int]:
    """The frames whose picture is there, what is left out, and how many lenses were scaled."""
    frames: dict[str, Frame] = {}
    skipped, scaled = [], 0
    for listed in found.frames:
        if listed.path is None:
            skipped.append(
                Skipped(listed.name, f"listed in {path.name}, but there is no such file")
            )
        elif listed.name in frames:
            skipped.append(Skipped(listed.name, f"listed in {path.name} a second time"))
        else:
            try:
                size = None if listed.intrinsics.width else image_size(listed.path, upright=False)
            except InputError as error:
                skipped.append(Skipped(listed.name, str(error)))
                continue
            given = lens_of(listed.intrinsics, size, f"frame {listed.name} of {path}")
            lens = lens_for(given, listed.path)
            scaled += lens is not given
            frames[listed.name] = Frame(listed.name, listed.path, lens, listed.viewmat)
    return list(frames.values()), skipped, scaled


def _ply_points(
    found: TransformsFile, has_test: bool, world_from_scene: Similarity
) -> tuple[PointCloud | None, str]:
    """nerfstudio's points, which are in the world of its poses already (`applied_transform`)."""
    if found.points_path is None:
        return None, ""
    if has_test:
        return None, f" ({found.points_path.name} not used: held-out photos had a part in it)"
    return read_points(found.points_path, world_from_scene), f" with {found.points_path.name}"


def transforms_cameras(
    path: Path, default_size: tuple[int, int] | None, world_from_scene: Similarity
) -> list[NamedCamera]:
    """The cameras of a file; as `tondo.io.posed.photos.load_cameras`."""
    content = read_cameras_json(path)
    if is_camera_path(content):
        return list(camera_path(content, path, default_size, world_from_scene).cameras)
    found = checked_transforms(content, path)
    # Blender's files say no size: a frame without its picture has that of another one.
    fallback = next((size for frame in found.frames if (size := _size(frame))), default_size)
    cameras = []
    for frame in found.frames:
        size = None if frame.intrinsics.width else _size(frame) or fallback
        lens = lens_of(frame.intrinsics, size, f"frame {frame.name} of {path}")
        name = name_without_ending(frame.name)
        held_out = _named(frame, found.test_names)
        viewmat = world_from_scene.view_to_scene(torch.from_numpy(frame.viewmat)).numpy()
        cameras.append(NamedCamera(name, pinhole_camera(lens, viewmat), held_out))
    return cameras


def _named(frame: ListedFrame, names: frozenset[str] | None) -> bool:
    own = {frame.name, frame.listed}
    return names is not None and not names.isdisjoint(own | {name_without_ending(n) for n in own})


def _size(frame: ListedFrame) -> tuple[int, int] | None:
    if frame.path is None:
        return None
    try:
        return image_size(frame.path, upright=False)
    except InputError:
        return None
