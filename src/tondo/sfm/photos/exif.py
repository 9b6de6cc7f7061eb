"""What EXIF says of a photo's camera, lens setting and focal length."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pycolmap
from PIL import Image

_EXIF_IFD = 0x8769  # tags of EXIF
_MAKE, _MODEL, _ORIENTATION = 0x010F, 0x0110, 0x0112  # tags of EXIF
_FOCAL_LENGTH, _FOCAL_LENGTH_35MM, _DIGITAL_ZOOM = 0x920A, 0xA405, 0xA404  # tags of EXIF
# A 35 mm film frame is 36 x 24 mm.
_FILM_DIAGONAL = 43.27
_MOST_ZOOM = 200.0  # no camera zooms farther digitally; chosen, not measured
# Of the focal length to the diagonal of the picture: no lens that a pinhole describes is outside.
_FOCAL_RATIOS = (0.15, 30.0)  # chosen


@dataclass(frozen=True)
class Exif:
    """What of EXIF matters for poses.

    Attributes:
        camera: make and model. length: focal length in mm, as it stands there.
        focal35: its equivalent on 35 mm film, in mm, or None.
        zoom: digital zoom, 1 for none.
        focal: focal length in pixels, or None where it is not known.
        upright: the stored pixels need no turning.
    """

    camera: str = ""
    length: str = ""
    focal35: float | None = None
    zoom: float = 1.0
    focal: float | None = None
    upright: bool = True

    @property
    def setting(self) -> tuple[str, str, float, float]:
        """Equal for photos of one camera at one focal length."""
        return self.camera, self.length, self.focal35 or 0.0, self.zoom


def read_exif(path: Path) -> Exif:
    """What EXIF says; nothing where it is missing or damaged."""
    found = Exif()
    try:
        with Image.open(path) as picture:
            exif = picture.getexif()
            details = exif.get_ifd(_EXIF_IFD)
            camera = " ".join(str(exif.get(tag, "")).strip("\0 ") for tag in (_MAKE, _MODEL))
            found = Exif(
                camera=camera.strip(),
                length=str(details.get(_FOCAL_LENGTH, "")),
                upright=exif.get(_ORIENTATION, 1) in (0, 1),
            )
            zoom = float(details.get(_DIGITAL_ZOOM, 1) or 1)
            if 1 < zoom < _MOST_ZOOM:
                found = replace(found, zoom=zoom)
            focal35 = float(details.get(_FOCAL_LENGTH_35MM, 0) or 0)
            ratio = focal35 / _FILM_DIAGONAL
            diagonal = math.hypot(*picture.size)
            if _is_possible(ratio):
                return replace(found, focal35=focal35, focal=ratio * diagonal)
            # The sensor knows nothing of digital zoom.
            of_sensor = _focal_from_sensor(path, picture.format)
            if of_sensor is not None and _is_possible(of_sensor / diagonal):
                return replace(found, focal=of_sensor * found.zoom)
    except Exception:  # damaged EXIF raises nearly anything, and the photo is fine without
        return found
    return found


def read_all_exif(paths: list[Path]) -> dict[Path, Exif]:
    """`read_exif` of several photos, by path, with digital zoom counted once.

    Most cameras write the 35 mm equivalent of what the picture shows, digital zoom included; some
    leave it as it is without zoom, which photos of the same lens without zoom tell.
    """
    found = {path: read_exif(path) for path in paths}
    return {path: _with_zoom(exif, found) for path, exif in found.items()}


def _with_zoom(exif: Exif, others: Mapping[Path, Exif]) -> Exif:
    if exif.zoom == 1 or exif.focal35 is None or exif.focal is None:
        return exif
    same = [
        other.focal35
        for other in others.values()
        if other.zoom == 1 and (other.camera, other.length) == (exif.camera, exif.length)
    ]
    unchanged = any(f is not None and abs(exif.focal35 / f - 1) < 0.02 for f in same)
    return replace(exif, focal=exif.focal * exif.zoom) if unchanged else exif


def _is_possible(ratio: float) -> bool:
    return _FOCAL_RATIOS[0] < ratio < _FOCAL_RATIOS[1]


def _focal_from_sensor(path: Path, kind: str | None) -> float | None:
    """pycolmap's guess from the focal length in mm and its table of sensor sizes."""
    if kind not in ("JPEG", "PNG", "TIFF"):
        return None
    camera = pycolmap.infer_camera_from_image(path)
    return float(camera.focal_length) if camera.has_prior_focal_length else None
