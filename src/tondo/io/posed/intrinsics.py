"""The intrinsics of a frame of a `transforms.json`, as the many programs that write one do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tondo.errors import InputError
from tondo.io.posed.undistort import Lens

_ANGLES = ("camera_angle_x", "x_fov")
# nerfstudio's order of `distortion_params`. Under other names there are other orders.
_PARAMS = ("k1", "k2", "k3", "k4", "p1", "p2")
_UNCLEAR = ("distortion", "distortion_coefficients", "dist_coeffs", "distortion_coeffs", "dist")
_DISTORTION = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
_PERSPECTIVE = ("", "PERSPECTIVE", "SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV")
# Beginnings of the names that programs give to pictures of all directions.
_PANORAMAS = ("EQUIRECT", "SPHERICAL", "PANORAMA", "LATLONG", "OMNIDIRECTIONAL", "VR180")
_PINHOLE = ("fl_x", "fl_y", "cx", "cy")
_MATRIX_KEYS = ("K", "intrinsics", "camera_intrinsics", "intrinsic_matrix", "intrinsic", "cam_K")


@dataclass(frozen=True)
class Intrinsics:
    """The intrinsics of one frame as the file gives them; None where it does not.

    Attributes:
        model: "OPENCV" (polynomial distortion, or none), "FULL_OPENCV" or "OPENCV_FISHEYE".
        width, height: pixels.
        fx, fy, cx, cy: pixels.
        angle_x, angle_y: fields of view in radians.
        distortion: (k1, k2, p1, p2, k3, k4, k5, k6).
    """

    model: str
    width: int | None
    height: int | None
    fx: float | None
    fy: float | None
    cx: float | None
    cy: float | None
    angle_x: float | None
    angle_y: float | None
    distortion: tuple[float, ...]


def lens_of(intrinsics: Intrinsics, size: tuple[int, int] | None, what: str) -> Lens:
    """The lens of a frame.

    Args:
        intrinsics: as the file gives them.
        size: (width, height) for a file that does not say; ignored where it does.
        what: the frame, for messages.

    Raises:
        InputError: values are missing or cannot be, or the size is not known.
    """
    width, height = intrinsics.width, intrinsics.height
    if width is None or height is None:
        if size is None:
            raise InputError(
                f"{what} gives no picture size and its picture is not there: add w and h"
            )
        width, height = size
        for key, value, side in (("cx", intrinsics.cx, width), ("cy", intrinsics.cy, height)):
            if value is not None and not 0 < value < side:
                raise InputError(
                    f"the intrinsics of {what} are of another size: {key} {value:g} is outside "
                    f"its picture of {width}x{height}; add the w and h that they are for"
                )
        _check_center(intrinsics, width, height, what)
    fx, fy = _focals(intrinsics, width, height, what)
    cx = width / 2 if intrinsics.cx is None else intrinsics.cx
    cy = height / 2 if intrinsics.cy is None else intrinsics.cy
    if 0 < cx <= 1 < width / 4 and 0 < cy <= 1 < height / 4:
        raise InputError(
            f"the intrinsics of {what} are shares of the picture (cx {cx:g}, cy {cy:g}): expected "
            "pixels; multiply them by its width and height"
        )
    pinhole = (fx, fy, cx, cy)
    k1, k2, p1, p2, k3, k4, *_ = intrinsics.distortion
    try:
        if intrinsics.model == "OPENCV_FISHEYE":
            return Lens("OPENCV_FISHEYE", width, height, (*pinhole, k1, k2, k3, k4))
        if intrinsics.model == "FULL_OPENCV" or k3:
            return Lens("FULL_OPENCV", width, height, pinhole + intrinsics.distortion)
        if any((k1, k2, p1, p2)):
            return Lens("OPENCV", width, height, (*pinhole, k1, k2, p1, p2))
        return Lens("PINHOLE", width, height, pinhole)
    except InputError as error:
        raise InputError(f"{what}: {error}") from error


def read_intrinsics(frame: dict[str, Any], content: dict[str, Any], what: str) -> Intrinsics:
    """The intrinsics of a frame: its own, else those that the file has for all.

    Focal lengths and principal point may stand in keys of their own (fl_x fl_y cx cy) or in a
    matrix (K, intrinsics, ...), which is not looked at where the keys are.

    Raises:
        InputError: a value that cannot be, or a lens that is not understood.
    """

    def get(*keys: str) -> float | None:
        for source in (frame, content):
            for key in keys:
                if source.get(key) is not None:
                    return number(source[key], f"{key} of {what}")
        return None

    distortion = _distortion(frame, content, what)
    pinhole = _pinhole(frame, what)
    # A frame's own field of view goes before a focal length that the file has for all.
    has_angle = "fl_x" not in pinhole and any(frame.get(key) is not None for key in _ANGLES)
    for key, value in _pinhole(content, what).items():
        if not (has_angle and key in ("fl_x", "fl_y")):
            pinhole.setdefault(key, value)
    x_fov, y_fov = get("x_fov"), get("y_fov")
    return Intrinsics(
        model=_model(frame, content, distortion, what),
        width=_whole(get("w", "width", "image_width"), f"w of {what}"),
        height=_whole(get("h", "height", "image_height"), f"h of {what}"),
        fx=pinhole.get("fl_x"),
        fy=pinhole.get("fl_y"),
        cx=pinhole.get("cx"),
        cy=pinhole.get("cy"),
        angle_x=get("camera_angle_x") if x_fov is None else math.radians(x_fov),
        angle_y=get("camera_angle_y") if y_fov is None else math.radians(y_fov),
        distortion=distortion,
    )


def _distortion(frame: dict[str, Any], content: dict[str, Any], what: str) -> tuple[float, ...]:
    """(k1, k2, p1, p2, k3, k4, k5, k6): what the frame has goes before what the file has."""
    found = _named_distortion(content, what) | _named_distortion(frame, what)
    return tuple(found.get(key, 0.0) for key in _DISTORTION)


def _named_distortion(source: dict[str, Any], what: str) -> dict[str, float]:
    """The coefficients that `source` has: in keys of their own, else in the object that holds its
    focal length, else in nerfstudio's list."""
    inside = (source[key] for key in _MATRIX_KEYS if isinstance(source.get(key), dict))
    for place in (source, *inside):
        if any(place.get(key) is not None for key in _DISTORTION):
            return {
                key: number(place[key], f"{key} of {what}")
                for key in _DISTORTION
                if place.get(key) is not None
            }
    for key in ("distortion_params", *_UNCLEAR):
        value = source.get(key)
        numbers = value if isinstance(value, list) else [value]
        if not any(numbers):
            continue
        if key in _UNCLEAR or len(numbers) != len(_PARAMS):
            raise InputError(
                f"{what} has the {key} {str(value)[:60]}, whose order is not known: give them as "
                "k1, k2, p1, p2 (k3, k4), a key for each"
            )
        return {
            name: number(one, f"{key} of {what}")
            for name, one in zip(_PARAMS, numbers, strict=True)
        }
    return {}


def _pinhole(source: dict[str, Any], what: str) -> dict[str, float]:
    """fl_x fl_y cx cy, as far as `source` (a frame, or the file) has them."""
    found: dict[str, float] = {}
    for key in _MATRIX_KEYS if source.get("fl_x") is None else ():
        if source.get(key) is not None:
            found = _from_matrix(source[key], f"{key} of {what}")
            break
    for key in _PINHOLE:
        if source.get(key) is not None:
            found[key] = number(source[key], f"{key} of {what}")
    return found


def _from_matrix(value: object, what: str) -> dict[str, float]:
    """From a matrix [3, 3], row by row or column by column, flat or not, maybe with a row and a
    column more; from fx fy cx cy; or from an object with these names."""
    if isinstance(value, dict):
        named = {"fx": "fl_x", "fy": "fl_y", **{key: key for key in _PINHOLE}}
        return {named[k]: number(x, f"{k} in {what}") for k, x in value.items() if k in named}
    flat = isinstance(value, list) and not any(isinstance(x, list) for x in value)
    if isinstance(value, list) and flat and len(value) == 4:
        return dict(zip(_PINHOLE, (number(x, what) for x in value), strict=True))
    K = _square(value, flat, what)
    if abs(K[2][0]) + abs(K[2][1]) > 0 and K[0][2] == K[1][2] == 0:  # column by column
        K = [list(row) for row in zip(*K, strict=True)]
    if [K[1][0], K[2][0], K[2][1], K[2][2]] != [0, 0, 0, 1] or abs(K[0][1]) > 1e-3 * abs(K[0][0]):
        raise InputError(
            f"{what} is no matrix of intrinsics: expected fx 0 cx, 0 fy cy, 0 0 1, got "
            + ", ".join(" ".join(f"{x:g}" for x in row) for row in K)
        )
    return {"fl_x": K[0][0], "fl_y": K[1][1], "cx": K[0][2], "cy": K[1][2]}


def _square(value: object, flat: bool, what: str) -> list[list[float]]:
    """[3, 3] of a matrix of 3 or 4 rows and columns, nested or flat."""
    rows = value if isinstance(value, list) else []
    if flat and len(rows) in (9, 12, 16):
        step = 3 if len(rows) == 9 else 4
        rows = [rows[i : i + step] for i in range(0, len(rows), step)]
    if len(rows) not in (3, 4) or not all(isinstance(r, list) and len(r) in (3, 4) for r in rows):
        raise InputError(
            f"{what} must be a 3x3 matrix, its 9 numbers, or fx fy cx cy, got {str(value)[:60]}"
        )
    return [[number(x, what) for x in row[:3]] for row in rows[:3]]


def _model(
    frame: dict[str, Any], content: dict[str, Any], distortion: tuple[float, ...], what: str
) -> str:
    def says(key: str) -> object:
        return frame.get(key, content.get(key))

    named = says("camera_model") or ""
    name = str(named).upper()
    kind = str(says("camera_type") or "").upper()
    marks = [key for key in ("latlong", "equirectangular") if says(key) is True]
    panorama = [word for word in (name, kind) if word.startswith(_PANORAMAS)] + marks
    if panorama:
        raise InputError(
            f"{what} has the camera_model {panorama[0]!r}, which cannot be undistorted: panoramas "
            "do not fit into one flat picture; cut them into perspective views first"
        )
    if says("ftheta_p0") is not None:
        raise InputError(
            f"{what} has an f-theta lens (ftheta_p0), which cannot be undistorted: expected "
            "PINHOLE, OPENCV, FULL_OPENCV or OPENCV_FISHEYE"
        )
    if name == "OPENCV_FISHEYE" or says("is_fisheye") is True or kind == "FISHEYE":
        return "OPENCV_FISHEYE"
    if name == "FULL_OPENCV":
        return "FULL_OPENCV"
    if name not in _PERSPECTIVE:
        raise InputError(
            f"{what} has the camera_model {str(named)[:40]!r}, which cannot be undistorted: "
            "expected PINHOLE, OPENCV, FULL_OPENCV or OPENCV_FISHEYE"
        )
    if any(distortion[5:]):
        # nerfstudio's own polynomial has k4 r^8, OpenCV divides by 1 + k4 r^2: the file is unclear.
        raise InputError(
            f"{what} has k4, k5 or k6, which the camera_model {name or 'OPENCV'} does not have: "
            "set them to 0, or camera_model to FULL_OPENCV or OPENCV_FISHEYE"
        )
    return "OPENCV"


def _check_center(intrinsics: Intrinsics, width: int, height: int, what: str) -> None:
    """A principal point off the middle by the same factor along both sides is that of the middle of
    a picture of another size."""
    if intrinsics.cx is None or intrinsics.cy is None:
        return
    x, y = intrinsics.cx / width, intrinsics.cy / height
    if abs(x - y) < 0.1 and abs(x + y - 1) > 0.2:
        raise InputError(
            f"the intrinsics of {what} are of another size: cx {intrinsics.cx:g} and cy "
            f"{intrinsics.cy:g} are not near the middle of its picture of {width}x{height}; add "
            "the w and h that they are for"
        )


def _focals(intrinsics: Intrinsics, width: int, height: int, what: str) -> tuple[float, float]:
    fx, fy = intrinsics.fx, intrinsics.fy
    if fx is None and intrinsics.angle_x is not None:
        fx = _focal(intrinsics.angle_x, width, f"camera_angle_x of {what}")
        if fy is None and intrinsics.angle_y is not None:
            fy = _focal(intrinsics.angle_y, height, f"camera_angle_y of {what}")
    if fx is None:
        raise InputError(f"{what} has no focal length: add fl_x or camera_angle_x")
    return fx, fx if fy is None else fy


def _focal(angle: float, side: int, what: str) -> float:
    if not 0 < angle < math.pi:
        raise InputError(f"{what} must be an angle between 0 and pi radians, got {angle:g}")
    return 0.5 * side / math.tan(0.5 * angle)


def number(value: object, what: str, *, allow_nan: bool = False) -> float:
    """A number out of JSON; `what` begins the message where it is none. Raises InputError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{what} must be a number, got {str(value)[:40]!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) and not allow_nan:
        raise InputError(f"{what} must be finite, got {number}")
    return number


def _whole(value: float | None, what: str) -> int | None:
    if value is not None and (value != int(value) or value < 1):
        raise InputError(f"{what} must be a whole number of pixels, got {value:g}")
    return None if value is None else int(value)
