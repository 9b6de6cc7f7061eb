"""Photographs with poses: `transforms.json` of three kinds and COLMAP models become a PhotoSet."""

from __future__ import annotations

from pathlib import Path

from tondo.data.photos import PhotoSet
from tondo.data.similarity import IDENTITY, Similarity
from tondo.errors import InputError, check_holdout, check_number
from tondo.io.images import PHOTO_KINDS, list_photos
from tondo.io.mask_files import AUTO, UNKNOWN, Outside
from tondo.io.masks import check_not_masked
from tondo.io.posed.frames import NamedCamera, Reading
from tondo.io.posed.photos_colmap import load_model, model_cameras, model_folder
from tondo.io.posed.photos_transforms import load_transforms, transforms_cameras, transforms_files


def has_poses(source: Path) -> bool:
    """Whether `load_photos` can read `source`: a transforms.json or COLMAP model, or its folder.

    Raises:
        InputError: nothing is there.
    """
    source = Path(source)
    if not source.exists():
        raise InputError(f"there is no file or folder {source}")
    return bool(transforms_files(source)) or model_folder(source) is not None


def load_photos(
    source: str | Path,
    *,
    max_size: int | None = None,
    holdout: int = 8,
    load_points: bool = True,
    min_photos: int = 2,
    masks: str = AUTO,
    outside_masks: Outside = UNKNOWN,
    world_from_scene: Similarity | None = None,
) -> PhotoSet:
    """Read photos with poses, undistorted.

    Args:
        source: a `transforms.json`, a COLMAP model, or a folder with one of them. Where a folder
            has several, transforms_train.json (with its test split beside it) goes before
            transforms.json, and that before COLMAP. The file transforms_train.json stands for its
            folder, unless `holdout` is 0.
        max_size: longest side in pixels; larger photos are scaled down. None: as they are.
        holdout: every `holdout`-th photo by sorted name is kept for testing, 0 for none; counted
            over the photos whose file is there. A split that the data names itself goes before.
        load_points: also make the initial points.
        min_photos: least number of photos that must be readable, and, if more than 1, stay for
            training.
        masks: which pixels count: "auto" takes the masks that are named in the file or lie beside
            the photos (`find_masks`), "none" none, anything else is the folder that they are in.
        outside_masks: what is where masks leave out: "unknown", such pixels are not `valid`;
            "empty", nothing, and the masks are the photos' `alpha`; "auto", that where every photo
            has one and they show one object (`are_silhouettes`), else unknown.
        world_from_scene: the place of a scene that is there already; None: what suits the cameras,
            the identity unless they are far away for their reach, or very close or far apart.

    Returns:
        The photos, in the scene. Points come from a COLMAP model's tracks, training photos only, or
        as they are where they have no tracks; and from the PLY of a nerfstudio file, but only if no
        photo is held out, since all photos made it.

    Raises:
        InputError: no poses, too few photos, or something in the files is wrong. A photo that is
            missing, cannot be decoded, is wholly masked or has a stray pose only is `skipped`.
        OptionError: `holdout`, `max_size` or `masks` cannot be used.

    Example:
        >>> import tondo
        >>> photos = tondo.load_photos("photos", max_size=32)
        >>> len(photos.train), len(photos.test), max(photos.train[0].image.shape)
        (8, 2, 32)
    """
    source = Path(source)
    check_holdout(holdout)
    check_number("max_size", max_size, 1)
    how = Reading(max_size, holdout, load_points, masks, outside_masks, world_from_scene)
    files = transforms_files(source) if has_poses(source) else []
    if source.is_file() and holdout == 0:
        files = files[:1]
    if files:
        result = load_transforms(files, how)
    elif (folder := model_folder(source)) is not None:
        result = load_model(source, folder, how)
    else:
        raise _no_poses(source)
    _check_enough(result, source, min_photos)
    return result


def load_cameras(
    path: Path,
    *,
    default_size: tuple[int, int] | None = None,
    world_from_scene: Similarity = IDENTITY,
) -> list[NamedCamera]:
    """The cameras of a transforms.json, nerfstudio camera_path.json or COLMAP model, in its order;
    photos need not exist.

    Args:
        path: the file, or a folder as for `load_photos` (of a Blender folder, the test cameras).
        default_size: (width, height) where a file says no size and no picture of it is there.
        world_from_scene: the place of the scene that they are to look at; they come out in it.

    Raises:
        InputError: as `load_photos`, or the size of a camera is not known.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no file or folder {path}")
    files = [path] if path.is_file() else transforms_files(path)
    if files and not (path.is_file() and path.suffix in (".bin", ".txt")):
        return transforms_cameras(files[-1], default_size, world_from_scene)
    folder = model_folder(path)
    if folder is None:
        raise InputError(f"{path} holds no cameras: expected a transforms.json or a COLMAP model")
    return model_cameras(folder, world_from_scene)


def _check_enough(photos: PhotoSet, source: Path, min_photos: int) -> None:
    check_not_masked(photos.train, photos.skipped, source)
    readable = len(photos.train) + len(photos.test)
    if readable < min_photos:
        why = f"; {photos.skipped[0].name}: {photos.skipped[0].reason}" if photos.skipped else ""
        raise InputError(
            f"{source} has {readable} photo{'' if readable == 1 else 's'} that can be used, "
            f"{len(photos.skipped)} skipped: at least {min_photos} are needed{why}"
        )
    if len(photos.train) < min_photos and min_photos > 1:
        raise InputError(
            f"{source} leaves {len(photos.train)} photo{'' if len(photos.train) == 1 else 's'} for "
            f"training and {len(photos.test)} for testing: take more photos, or `holdout=0`"
        )


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
