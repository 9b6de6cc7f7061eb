"""Photographs with poses: `transforms.json` of three kinds and COLMAP models become a PhotoSet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.photos import Photo, PhotoSet, PointCloud, Skipped
from tondo.errors import InputError, OptionError
from tondo.io.colmap import ColmapModel, ModelImage, count_images, is_model, read_model
from tondo.io.colmap_points import initial_points
from tondo.io.frames import Frame, is_file, load_frames, pinhole_camera, safe_path
from tondo.io.images import PHOTO_KINDS, PHOTO_SUFFIXES, image_size, list_photos
from tondo.io.mask_files import AUTO, Masks, find_masks
from tondo.io.masks import check_not_masked, without_masked
from tondo.io.ply import read_points
from tondo.io.transforms_json import ListedFrame, TransformsFile, lens_of, read_transforms
from tondo.io.undistort import Lens, rescaled

_MODEL_PLACES = ("sparse", "colmap/sparse", ".")
_Z_UP = torch.tensor([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class NamedCamera:
    """A camera out of a file.

    Attributes:
        name: the photo's path below its folder with "/", without ending.
        camera: the pinhole camera with the photo's K and size (its distortion left out).
        held_out: the file says that training does not see its photo.
    """

    name: str
    camera: Camera
    held_out: bool = False


def has_poses(source: Path) -> bool:
    """Whether `load_posed` can read `source`: a transforms.json or COLMAP model, or its folder.

    Raises:
        InputError: nothing is there.
    """
    source = Path(source)
    if not source.exists():
        raise InputError(f"there is no file or folder {source}")
    return bool(_transforms_files(source)) or _model_folder(source) is not None


def load_posed(
    source: Path,
    *,
    max_size: int | None,
    holdout: int = 8,
    load_points: bool = True,
    min_photos: int = 2,
    masks: str = AUTO,
) -> PhotoSet:
    """Read photos with poses, undistorted.

    Args:
        source: a `transforms.json`, a COLMAP model, or a folder with one of them. Where a folder
            has several, transforms_train.json (with its test split beside it) goes before
            transforms.json, and that before COLMAP. The file transforms_train.json stands for its
            folder, unless `holdout` is 0.
        max_size: longest side in pixels; larger photos are scaled down.
        holdout: every `holdout`-th photo by sorted name is kept for testing, 0 for none; counted
            over the photos whose file is there. A split that the data names itself goes before.
        load_points: also make the initial points.
        min_photos: least number of photos that must be readable, and, if more than 1, stay for
            training.
        masks: which pixels count: "auto" takes the masks that are named in the file or lie beside
            the photos (`find_masks`), "none" none, anything else is the folder that they are in.

    Returns:
        The photos. Points come from a COLMAP model's tracks, training photos only; and from the
        PLY of a nerfstudio file, but only if no photo is held out, since all photos made it.

    Raises:
        InputError: there are no poses, or too few photos, or something in the files is wrong. A
            photo that is missing, cannot be decoded or is wholly masked only lands in `skipped`.
        OptionError: `holdout`, `max_size` or `masks` cannot be used.
    """
    source = Path(source)
    if holdout < 0 or holdout == 1:
        raise OptionError(f"--holdout must be 0 (none) or at least 2, got {holdout}")
    if max_size is not None and max_size < 1:
        raise OptionError(f"--max-size must be at least 1 pixel, got {max_size}")
    files = _transforms_files(source) if has_poses(source) else []
    if source.is_file() and holdout == 0:
        files = files[:1]
    if files:
        result = _load_transforms(files, max_size, holdout, load_points, masks)
    elif (folder := _model_folder(source)) is not None:
        result = _load_model(source, folder, max_size, holdout, load_points, masks)
    else:
        raise _no_poses(source)
    check_not_masked(result.train, result.skipped, source)
    readable = len(result.train) + len(result.test)
    if readable < min_photos:
        why = f"; {result.skipped[0].name}: {result.skipped[0].reason}" if result.skipped else ""
        raise InputError(
            f"{source} has {readable} photo{'' if readable == 1 else 's'} that can be used, "
            f"{len(result.skipped)} skipped: at least {min_photos} are needed{why}"
        )
    if len(result.train) < min_photos and min_photos > 1:
        raise InputError(
            f"{source} leaves {len(result.train)} photo{'' if len(result.train) == 1 else 's'} for "
            f"training and {len(result.test)} for testing: take more photos, or --holdout 0"
        )
    return result


def load_cameras(path: Path, *, default_size: tuple[int, int] | None = None) -> list[NamedCamera]:
    """The cameras of a transforms.json or COLMAP model, in the file's order; photos need not exist.

    Args:
        path: the file, or a folder as for `load_posed` (of a Blender folder, the test cameras).
        default_size: (width, height) where a file says no size and no picture of it is there.

    Raises:
        InputError: as `load_posed`, or the size of a camera is not known.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no file or folder {path}")
    files = [path] if path.is_file() else _transforms_files(path)
    if files and not (path.is_file() and path.suffix in (".bin", ".txt")):
        return _json_cameras(files[-1], default_size)
    folder = _model_folder(path)
    if folder is None:
        raise InputError(f"{path} holds no cameras: expected a transforms.json or a COLMAP model")
    model = read_model(folder)
    return [
        NamedCamera(
            _without_ending(image.name),
            pinhole_camera(model.lenses[image.camera_id], image.viewmat),
        )
        for image in model.images
    ]


def _json_cameras(path: Path, default_size: tuple[int, int] | None) -> list[NamedCamera]:
    found = read_transforms(path)
    # Blender's files say no size: a frame without its picture has that of another one.
    fallback = next((size for frame in found.frames if (size := _size(frame))), default_size)
    cameras = []
    for frame in found.frames:
        size = None if frame.intrinsics.width else _size(frame) or fallback
        lens = lens_of(frame.intrinsics, size, f"frame {frame.name} of {path}")
        name = _without_ending(frame.name)
        held_out = _named(frame.name, found.test_names)
        cameras.append(NamedCamera(name, pinhole_camera(lens, frame.viewmat), held_out))
    return cameras


def _load_transforms(
    files: list[Path], max_size: int | None, holdout: int, load_points: bool, choice: str
) -> PhotoSet:
    train_file = read_transforms(files[0])
    test_file = read_transforms(files[1]) if len(files) > 1 else None
    listed = (*train_file.frames, *(test_file.frames if test_file is not None else ()))
    frames, skipped = _frames(train_file, files[0])
    names = sorted({frame.name for frame in train_file.frames if frame.path is not None})
    test = {name for name in names if _named(name, train_file.test_names)}
    if test_file is not None:
        more, more_skipped = _frames(test_file, files[1])
        own = {frame.name for frame in more}
        # A photo in both splits is a test photo.
        frames = [frame for frame in frames if frame.name not in own] + more
        skipped, test = skipped + more_skipped, own
    elif train_file.test_names is None:
        test = set(names[::holdout]) if holdout else set()
    if train_file.train_names is not None:
        wanted = {name for name in names if _named(name, train_file.train_names)} | test
        skipped += [Skipped(n, "in no split of the file") for n in names if n not in wanted]
        frames = [frame for frame in frames if frame.name in wanted]
    frames.sort(key=lambda frame: frame.name)
    masks = find_masks(
        [frame.path for frame in frames],
        files[0].parent,
        choice,
        {one.path: one.mask for one in listed if one.path is not None and one.mask is not None},
    )
    photos, unreadable = _loaded(frames, masks, max_size, test)
    kind = f"{train_file.kind} {files[0].name}"
    points, note = _ply_points(train_file, bool(test)) if load_points else (None, "")
    return PhotoSet(
        train=tuple(photo for photo in photos if photo.name not in test),
        test=tuple(photo for photo in photos if photo.name in test),
        points=points,
        up=_Z_UP.clone(),
        is_render=train_file.is_render,
        skipped=tuple(sorted(skipped + unreadable, key=lambda one: one.name)),
        source=kind + note,
        masks=masks.note,
    )


def _frames(found: TransformsFile, path: Path) -> tuple[list[Frame], list[Skipped]]:
    frames: dict[str, Frame] = {}
    skipped = []
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
            lens = lens_of(listed.intrinsics, size, f"frame {listed.name} of {path}")
            frames[listed.name] = Frame(listed.name, listed.path, lens, listed.viewmat)
    return list(frames.values()), skipped


def _loaded(
    frames: Sequence[Frame], masks: Masks, max_size: int | None, held_out: set[str]
) -> tuple[list[Photo], list[Skipped]]:
    """The photos with their masks, and those that cannot be read or are masked wholly."""
    masked = [replace(frame, mask=masks.of.get(frame.path)) for frame in frames]
    photos, unreadable = load_frames(masked, max_size)
    photos, empty = without_masked(photos, held_out)
    return photos, unreadable + empty


def _above(root: Path, source: Path) -> Path:
    """The folder around which the masks of photos in `root` are looked for."""
    base = source if source.is_dir() else source.parent
    return base if root.is_relative_to(base) else root


def _ply_points(found: TransformsFile, has_test: bool) -> tuple[PointCloud | None, str]:
    """nerfstudio's points, which are in the world of its poses already (`applied_transform`)."""
    if found.points_path is None:
        return None, ""
    if has_test:
        return None, f" ({found.points_path.name} not used: held-out photos had a part in it)"
    return read_points(found.points_path), f" with {found.points_path.name}"


def _load_model(
    source: Path, folder: Path, max_size: int | None, holdout: int, load_points: bool, choice: str
) -> PhotoSet:
    model = read_model(folder)
    root = _photo_folder(source, folder, model)
    frames, ids, skipped, scaled = _model_frames(model, root, source)
    masks = find_masks([frame.path for frame in frames], _above(root, source), choice)
    known = {mask.path.name for mask in masks.of.values()}
    skipped = [one for one in skipped if Path(one.name).name not in known]
    frames.sort(key=lambda frame: frame.name)
    test = {frame.name for frame in frames[::holdout]} if holdout else set()
    photos, unreadable = _loaded(frames, masks, max_size, test)
    train = tuple(photo for photo in photos if photo.name not in test)
    points = initial_points(model, {ids[p.name]: p for p in train}) if load_points else None
    note = f", intrinsics scaled to the size of {scaled} photos" if scaled else ""
    return PhotoSet(
        train=train,
        test=tuple(photo for photo in photos if photo.name in test),
        points=points,
        up=_mean_up(model.images),
        is_render=False,
        skipped=tuple(sorted(skipped + unreadable, key=lambda one: one.name)),
        source=f"COLMAP model {_below(folder, source)}{note}",
        masks=masks.note,
    )


def _model_frames(
    model: ColmapModel, root: Path, source: Path
) -> tuple[list[Frame], dict[str, int], list[Skipped], int]:
    """Frames of a model's photos, image ids by name, what is left out, how many lenses scaled."""
    prefix = _below(root, source)
    prefix = "" if prefix == "." else f"{prefix}/"
    frames, ids, skipped, scaled = [], {}, [], 0
    for image in model.images:
        relative, path = safe_path(root, image.name, "the name of a photo in the COLMAP model")
        name = prefix + relative
        if not is_file(path):
            skipped.append(Skipped(name, f"in the COLMAP model, but there is no file {path}"))
        elif name in ids:
            skipped.append(Skipped(name, "in the COLMAP model a second time"))
        else:
            lens = model.lenses[image.camera_id]
            fitting = _fitting(lens, path)
            scaled += fitting is not lens
            frames.append(Frame(name, path, fitting, image.viewmat))
            ids[name] = image.image_id
    known = {frame.path for frame in frames}
    for path in list_photos(root):
        if path not in known:
            skipped.append(Skipped(prefix + path.name, "not registered in the COLMAP model"))
    return frames, ids, skipped, scaled


def _fitting(lens: Lens, path: Path) -> Lens:
    """`lens` scaled to a photo that is the same picture at another size (say, images of a half).

    A model's intrinsics always name the size that they are for, so this is safe; a photo of
    another shape is left to `load_frames` to refuse.
    """
    try:
        width, height = image_size(path, upright=False)
    except InputError:
        return lens
    ratio = max(width, height) / max(lens.width, lens.height)
    is_same = (width, height) == (lens.width, lens.height)
    off = max(abs(lens.width * ratio - width), abs(lens.height * ratio - height))
    return lens if is_same or off > 1 else rescaled(lens, width, height)


def _transforms_files(source: Path) -> list[Path]:
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


def _model_folder(source: Path) -> Path | None:
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


def _photo_folder(source: Path, folder: Path, model: ColmapModel) -> Path:
    """Where the model's photos are: `images` beside the model or above it, or right there."""
    base = source if source.is_dir() else source.parent
    nearest = [base, folder, *folder.absolute().parents[:3]]
    candidates = [place / "images" for place in nearest] + [base, folder]
    names = [image.name for image in model.images]
    for candidate in candidates:
        if any(
            is_file(safe_path(candidate, name, "the name of a photo in the COLMAP model")[1])
            for name in names[:100]
        ):
            return candidate
    raise InputError(
        f"none of the {len(names)} photos of the COLMAP model {folder} was found (the first is "
        f"{names[0]!r}): put them into a folder `images` in {base}"
    )


def _mean_up(images: tuple[ModelImage, ...]) -> Tensor:
    """Against the mean of the cameras' y axes (people hold cameras upright), [3] float32."""
    down = torch.stack([torch.from_numpy(image.viewmat[1, :3]) for image in images]).mean(dim=0)
    if down.norm() < 1e-3:  # they look every way: any choice is as good
        down = torch.from_numpy(images[0].viewmat[1, :3])
    return (-down / down.norm()).float()


def _no_poses(source: Path) -> InputError:
    if source.is_file():
        return InputError(
            f"{source} has no poses: expected a transforms.json or a COLMAP model; for a video or "
            "photos run `tondo prepare` first"
        )
    if not any(list_photos(at) for at in (source, source / "images") if at.is_dir()):
        return InputError(
            f"{source} holds no photos ({PHOTO_KINDS}), no transforms.json and no COLMAP model"
        )
    return InputError(
        f"{source} has photos without poses: no transforms.json and no COLMAP model; run "
        "`tondo prepare` on it first"
    )


def _named(name: str, names: frozenset[str] | None) -> bool:
    return names is not None and (name in names or _without_ending(name) in names)


def _size(frame: ListedFrame) -> tuple[int, int] | None:
    if frame.path is None:
        return None
    try:
        return image_size(frame.path, upright=False)
    except InputError:
        return None


def _without_ending(name: str) -> str:
    path = Path(name)
    return path.with_suffix("").as_posix() if path.suffix.lower() in PHOTO_SUFFIXES else name


def _below(path: Path, source: Path) -> str:
    """`path` as seen from `source`, "." for itself, or its own name if it is elsewhere."""
    base = source if source.is_dir() else source.parent
    try:
        return path.relative_to(base).as_posix()
    except ValueError:
        return path.name
