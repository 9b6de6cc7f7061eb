"""Which file is the mask of which photo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
import torch
from PIL import Image

from tondo.errors import InputError, OptionError
from tondo.geometry.silhouettes import are_silhouettes
from tondo.io.images import PHOTO_SUFFIXES, opened_picture
from tondo.io.masks import MaskFile, mask_shape
from tondo.io.named_files import common_form, is_file

AUTO, NONE = "auto", "none"
# What is where masks leave out: nothing, or something that is not known
EMPTY: Final = "empty"
UNKNOWN: Final = "unknown"
Outside = Literal["auto", "empty", "unknown"]
_LOOKED_AT = 32  # masks of a set, evenly spaced; chosen
MASK_FOLDERS = ("masks", "mask")
_PHOTO_FOLDERS = ("images", "image", "photos", "pictures", "rgb", "imgs", "img", "input", "frames")
_DROPS = "dynamic_mask_"
# Files, pixels, colours: docs/notes/inputs.md, Masks.
_SAMPLES, _SAMPLE_SIDE, _FEW_VALUES = 8, 128, 8


@dataclass(frozen=True)
class Masks:
    """Masks of photos.

    Attributes:
        of: by the photo's path.
        note: what was found and is done, one sentence for the user, or "".
    """

    of: Mapping[Path, MaskFile]
    note: str


def is_mask_folder(name: str) -> bool:
    """Whether a folder is called as those of masks are."""
    plain = name.lower()
    return plain in MASK_FOLDERS or plain.endswith(("_masks", "_mask")) or plain[:6] == "masks_"


def check_choice(choice: str) -> None:
    """Raise OptionError if `choice` is neither AUTO nor NONE nor a folder."""
    if choice not in (AUTO, NONE) and not (choice and Path(choice).is_dir()):
        raise OptionError(
            f"`masks` must be auto, none or a folder of masks, got {choice!r}, and there is no "
            "such folder"
        )


def stored_choice(choice: str) -> str:
    """`choice` as it means the same from everywhere."""
    return choice if choice in (AUTO, NONE) else str(Path(choice).absolute())


def choice_after(choice: str, *, prepared: bool) -> str:
    """The choice for photos as they are read: what `prepare` made has its masks beside it."""
    return AUTO if prepared and choice != NONE else choice


def find_masks(
    photos: Sequence[Path],
    top: Path,
    choice: str = AUTO,
    named: Mapping[Path, Path] = MappingProxyType({}),
) -> Masks:
    """The masks of `photos`, by their names.

    Beside a photo NAME.jpg: NAME_mask, NAME-mask, NAME.mask, mask_NAME, NAME.jpg.mask,
    NAME.jpg_mask and NAME.jpg, each with the ending of a picture; and instant-ngp's
    dynamic_mask_NAME. In a folder masks/ (also mask/, images_masks/) in the photos' folder, beside
    or above it: these, or NAME itself, in the same sub-folders. Upper and lower case are the same,
    and so are Unicode's two forms of a letter with an accent.

    Args:
        photos: files of pictures; masks may be among them.
        top: the folder given by the user: it and what is below, and beside it if it is called
            `images` or alike, is where masks are looked for.
        choice: AUTO; NONE: no masks; or a folder, whose masks then go before all others.
        named: masks that a file of poses names, by photo; they go before those found by AUTO.

    Raises:
        InputError: masks are named, but none of them is there.
        OptionError: `choice` is no folder, or holds no mask of any of the photos.
    """
    check_choice(choice)
    if choice == NONE:
        return Masks({}, "")
    disk = _Disk()
    if choice != AUTO:
        return _from_folder(photos, top, Path(choice), disk)
    named = {photo: named[photo] for photo in photos if photo in named}
    found = {photo: MaskFile(mask) for photo, mask in named.items() if is_file(mask)}
    found |= _beside([photo for photo in photos if photo not in found], disk)
    in_folders, unused = _in_folders([photo for photo in photos if photo not in found], top, disk)
    found |= in_folders
    masks = {mask.path for mask in found.values()}
    found = {photo: mask for photo, mask in found.items() if photo not in masks}
    note = _note(found, sum(photo not in masks for photo in photos), top)
    if not found and unused:
        note = f"no picture in {unused}/ is named after a photo: no masks are used"
    return Masks(found, note + _missing(named, found, top))


def with_outside(masks: Masks, photos: int, outside: Outside) -> Masks:
    """The masks of so many photos, with what is where they leave out decided (`load_photos`).

    Raises:
        InputError: a mask cannot be read.
    """
    if not masks.of or outside == UNKNOWN:
        return masks
    shown = "what they leave out counts as empty (`outside_masks=unknown` if it is not)"
    if outside == AUTO:
        files = list(masks.of.values())
        some = files[:: -(-len(files) // _LOOKED_AT)]
        covers = [torch.from_numpy(mask_shape(one)) for one in some]
        if len(files) < photos or not are_silhouettes(covers):
            return masks
        shown = f"they show one object, and {shown}"
    found = {photo: replace(mask, is_alpha=True) for photo, mask in masks.of.items()}
    return Masks(found, f"{masks.note}; {shown}")


def _missing(named: Mapping[Path, Path], found: Mapping[Path, MaskFile], top: Path) -> str:
    """A sentence on masks that a file names but that are not there."""
    gone = [mask for photo, mask in named.items() if photo not in found]
    if gone and len(gone) == len(named):
        raise InputError(
            f"none of the {len(gone)} masks (mask_path) that are named in {top} is there; the "
            f"first is {gone[0]}: put them there, or leave masks out with `masks=none`"
        )
    if not gone:
        return ""
    return (
        f"; {len(gone)} more are named but not there (the first: {gone[0]}): their photos count "
        "wholly"
    )


def _beside(photos: Sequence[Path], disk: _Disk) -> dict[Path, MaskFile]:
    """Masks in the same folder as their photo, unless they look like photographs."""
    named = {photo: _with_name(disk.pictures(photo.parent), photo) for photo in photos}
    found = {photo: mask for photo, mask in named.items() if mask is not None}
    return found if _are_masks([mask.path for mask in found.values()]) else {}


def _in_folders(photos: Sequence[Path], top: Path, disk: _Disk) -> tuple[dict[Path, MaskFile], str]:
    """Masks in folders of masks, and the name of such a folder where no name fits."""
    found, looked_in = {}, {}
    for photo in photos:
        for folder, rest in _places(photo, top, disk):
            mask = _with_name(disk.pictures(folder / rest), photo, alone=True)
            if mask is not None and mask.path != photo:
                found[photo] = mask
                break
            looked_in[folder] = folder.name
    unused = "" if found else next((n for f, n in looked_in.items() if _holds_pictures(f)), "")
    return found, unused


def _from_folder(photos: Sequence[Path], top: Path, folder: Path, disk: _Disk) -> Masks:
    found = {}
    for photo in photos:
        dirs = _dirs(photo, top)
        for first in range(len(dirs) + 1):
            mask = _with_name(disk.pictures(folder.joinpath(*dirs[first:])), photo, alone=True)
            if mask is not None and mask.path != photo:
                found[photo] = mask
                break
    if not found:
        name = photos[0].name if photos else "0001.jpg"
        raise OptionError(
            f"`masks={folder}`: none of its pictures is named after a photo; expected e.g. "
            f"{Path(name).stem}.png or {name}.png for {name}"
        )
    masks = {mask.path for mask in found.values()}
    return Masks(found, _note(found, sum(photo not in masks for photo in photos), top))


def _note(found: Mapping[Path, MaskFile], photos: int, top: Path) -> str:
    if not found:
        return ""
    mask = found[min(found)]
    shown = _below(mask.path, top)
    counts = "what is black in a mask does not count"
    if all(one.drops for one in found.values()):
        counts = "what is not black in them does not count"
    elif any(one.drops for one in found.values()):
        counts += f", and what is not black in {_DROPS}*"
    return (
        f"masks found for {len(found)} of {photos} photos ({shown}"
        f"{' and so on' if len(found) > 1 else ''}): {counts}; `masks=none` turns them off"
    )


def _below(path: Path, top: Path) -> str:
    for folder in (top, top.parent):
        if path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return str(path)


def _with_name(files: Mapping[str, Path], photo: Path, *, alone: bool = False) -> MaskFile | None:
    """The mask of `photo` among a folder's files; with `alone` it may have the very same name."""
    stem, name = common_form(photo.stem), common_form(photo.name)
    names = [f"{stem}_mask", f"{stem}-mask", f"{stem}.mask", f"mask_{stem}", f"mask-{stem}"]
    names += [f"{name}.mask", f"{name}_mask", name]
    for one in (*names, stem) if alone else names:
        if one in files:
            return MaskFile(files[one])
    dropping = files.get(_DROPS + stem) or files.get(_DROPS + name)
    return None if dropping is None else MaskFile(dropping, drops=True)


def _places(photo: Path, top: Path, disk: _Disk) -> list[tuple[Path, Path]]:
    """Folders of masks for `photo`, the nearest first, and the sub-folder there."""
    dirs = _dirs(photo, top)
    base = top
    if top.name.lower() in _PHOTO_FOLDERS or top.name.lower().startswith("images_"):
        base, dirs = top.parent, (top.name, *dirs)
    found = []
    for depth in range(len(dirs), -1, -1):
        place = base.joinpath(*dirs[:depth])
        following = dirs[depth].lower() if depth < len(dirs) else ""
        names = [*MASK_FOLDERS]
        if following:
            names += [f"{following}_masks", f"{following}_mask"]
            names += [following.replace("images", "masks"), following.replace("image", "mask")]
        for folder in disk.folders(place, names):
            if folder == place.joinpath(*dirs[depth : depth + 1]):
                continue
            found += [(folder, Path(*dirs[depth + 1 :])), (folder, Path(*dirs[depth:]))]
    return found


def _dirs(photo: Path, top: Path) -> tuple[str, ...]:
    """The folders between `top` and a photo."""
    return photo.parent.relative_to(top).parts if photo.is_relative_to(top) else ()


class _Disk:
    """What lies in folders, each listed once."""

    def __init__(self) -> None:
        self._pictures: dict[Path, dict[str, Path]] = {}
        self._folders: dict[Path, list[Path]] = {}

    def pictures(self, folder: Path) -> Mapping[str, Path]:
        """The pictures of a folder by the common form of their names without ending, PNG first."""
        if folder not in self._pictures:
            files = sorted(_inside(folder), key=lambda one: (one.suffix.lower() != ".png", one))
            found: dict[str, Path] = {}
            for one in files:
                if one.suffix.lower() in PHOTO_SUFFIXES and not one.name.startswith("."):
                    found.setdefault(common_form(one.stem), one)
            self._pictures[folder] = found
        return self._pictures[folder]

    def folders(self, place: Path, names: Sequence[str]) -> list[Path]:
        """The folders in `place` with one of `names`, in lower case."""
        if place not in self._folders:
            self._folders[place] = sorted(one for one in _inside(place) if one.is_dir())
        return [one for one in self._folders[place] if one.name.lower() in names]


def _holds_pictures(folder: Path) -> bool:
    """Whether a picture lies in `folder` or in one below it."""
    return any(
        one.suffix.lower() in PHOTO_SUFFIXES or (one.is_dir() and _holds_pictures(one))
        for one in _inside(folder)
        if not (one.name.startswith(".") or one.is_symlink())
    )


def _inside(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _are_masks(paths: Sequence[Path]) -> bool:
    """Whether pictures whose names say that they are masks look so: flat, with a few values.

    Otherwise they are photographs that happen to be called so.
    """
    step = max(1, len(paths) // _SAMPLES)
    return all(_is_flat(path) for path in paths[::step][:_SAMPLES])


def _is_flat(path: Path) -> bool:
    try:
        with opened_picture(path) as picture:
            if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
                return True
            picture.thumbnail((_SAMPLE_SIDE, _SAMPLE_SIDE), Image.Resampling.NEAREST)
            pixels = np.asarray(picture.convert("RGBA")).reshape(-1, 4)
    except InputError:
        return True  # it will be said where it is read
    counts = np.sort(np.unique(pixels, axis=0, return_counts=True)[1])
    return bool(counts[-_FEW_VALUES:].sum() * 2 >= len(pixels))
