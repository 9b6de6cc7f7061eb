"""Lenses, and photographs undistorted to the pinhole camera with the same K and the same size.

A lens is any camera model of COLMAP (pycolmap has the formulas): a pixel of the undistorted picture
looks along K^-1 (u, v, 1), and takes the colour where the lens shows that ray.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import pycolmap
import torch
from numpy.typing import NDArray

from tondo.errors import InputError
from tondo.io.images import PIXEL_LIMIT, ImageData

# cv2.remap addresses its source with 16 bits.
_MAX_SIDE = 32_000
_ROWS_PER_BAND = 128  # bounds memory; chosen, not measured
# A map that moves no ray by more than this (pixels) is left out.
_NEGLIGIBLE = 0.01  # chosen
_MIN_VALID = 0.1  # of the picture; less is a wrong lens; chosen, not measured


@dataclass(frozen=True)
class Lens:
    """How one photo was imaged.

    Attributes:
        model: the name of a camera model of COLMAP, e.g. "OPENCV".
        width, height: of the photo, in pixels.
        params: the model's parameters in COLMAP's order, e.g. (fx, fy, cx, cy, k1, k2, p1, p2), in
            pixels; the centre of the top left pixel is (0.5, 0.5).

    Raises:
        InputError: no such model, another number of parameters, or values that no lens has.
    """

    model: str
    width: int
    height: int
    params: tuple[float, ...]

    def __post_init__(self) -> None:
        _check_lens(self)


@dataclass(frozen=True)
class UndistortionMap:
    """Where each pixel [H, W] of the undistorted picture looks in the photo.

    Attributes:
        x, y: [H, W] float32, as cv2.remap wants them (pixel centres at whole numbers).
        valid: [H, W] bool, False where that is outside the photo or beyond where the lens model
            folds over.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    valid: NDArray[np.bool_]


def pinhole_matrix(lens: Lens) -> NDArray[np.float64]:
    """[3, 3] K of the pinhole camera that photos are undistorted to: the lens' own fx fy cx cy."""
    return np.asarray(_camera(lens).calibration_matrix())


def rescaled(lens: Lens, width: int, height: int) -> Lens:
    """The same lens for a photo scaled to another size."""
    camera = _camera(lens)
    camera.rescale(width, height)
    return Lens(lens.model, width, height, tuple(float(p) for p in camera.params))


def normalized_rays(lens: Lens, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rays (x, y, 1) [n, 3] in camera space through `pixels` [n, 2] of the photo; NaN for none."""
    with np.errstate(all="ignore"):
        found = np.asarray(_camera(lens).cam_from_img(np.ascontiguousarray(pixels, np.float64)))
    return np.concatenate([found.reshape(-1, 2), np.ones((len(pixels), 1))], axis=1)


def undistortion_map(lens: Lens) -> UndistortionMap | None:
    """The map for `lens`, or None where it is a pinhole already.

    Raises:
        InputError: less than a tenth of the picture would be seen through this lens.
    """
    if not _is_distorted(lens):
        return None
    shape = (lens.height, lens.width)
    x, y = np.empty(shape, np.float32), np.empty(shape, np.float32)
    valid = np.empty(shape, np.bool_)
    columns, rows = _rays(lens, np.arange(lens.width), np.arange(lens.height))
    fold = math.inf
    for start in range(0, lens.height, _ROWS_PER_BAND):
        stop = min(start + _ROWS_PER_BAND, lens.height)
        first = max(start - 1, 0)  # one row of overlap, for the differences between rows
        u, v = _project(lens, columns, rows[first:stop])
        fold = min(fold, _fold_radius(u, v, columns, rows[first:stop]))
        u, v = u[start - first :] - 0.5, v[start - first :] - 0.5
        with np.errstate(invalid="ignore"):
            inside = (u >= -0.5) & (u <= lens.width - 0.5) & (v >= -0.5) & (v <= lens.height - 0.5)
        valid[start:stop] = inside
        # Outside, the nearest pixel of the border: SSIM's windows reach a little beyond `valid`.
        x[start:stop] = np.nan_to_num(u, nan=-1).clip(-1, lens.width)
        y[start:stop] = np.nan_to_num(v, nan=-1).clip(-1, lens.height)
    if math.isfinite(fold):
        valid &= np.hypot(columns[None, :], rows[:, None]) < fold
    if valid.mean() < _MIN_VALID:
        raise InputError(
            f"the lens ({lens.model}, parameters {_text(lens.params)}) leaves "
            f"{100 * valid.mean():.1f} % of the picture after undistortion: its distortion "
            "coefficients cannot be right"
        )
    return UndistortionMap(x, y, valid)


def undistort(
    image: ImageData, lens_map: UndistortionMap | None, width: int, height: int
) -> tuple[ImageData, torch.Tensor | None]:
    """Undistort at full resolution, then scale down to `width` x `height` with an area filter.

    Colours are weighted by their alpha, so that what lies under transparent pixels does not bleed.

    Returns:
        The picture, and [height, width] bool, False where any part of a pixel looked outside the
        photo, or None where all is valid.
    """
    rgb = image.rgb.numpy()
    size = (width, height)
    if image.alpha is None:
        if lens_map is not None:
            rgb = cv2.remap(
                rgb, lens_map.x, lens_map.y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
            )
        result = ImageData(torch.from_numpy(_smaller(rgb, size)), None)
    elif lens_map is None and size == rgb.shape[1::-1]:
        result = image
    else:
        result = _undistort_rgba(rgb, image.alpha.numpy(), lens_map, size)
    if lens_map is None or bool(lens_map.valid.all()):
        return result, None
    covered = _smaller(lens_map.valid.astype(np.uint8) * 255, size)
    return result, torch.from_numpy(covered == 255)


def _undistort_rgba(
    rgb: NDArray[np.uint8],
    alpha: NDArray[np.uint8],
    lens_map: UndistortionMap | None,
    size: tuple[int, int],
) -> ImageData:
    weight = alpha.astype(np.float32)[..., None]
    premultiplied = np.concatenate([rgb * (weight / 255), weight], axis=2)
    if lens_map is not None:
        premultiplied = cv2.remap(
            premultiplied, lens_map.x, lens_map.y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    premultiplied = _smaller(premultiplied, size)
    weight = premultiplied[..., 3:]
    # Under half a step of alpha there is no colour to speak of.
    color = np.where(weight < 0.5, 0, premultiplied[..., :3] * 255 / np.maximum(weight, 0.5))
    return ImageData(
        torch.from_numpy(np.rint(color.clip(0, 255)).astype(np.uint8)),
        torch.from_numpy(np.rint(weight[..., 0].clip(0, 255)).astype(np.uint8)),
    )


def _smaller(array: NDArray, size: tuple[int, int]) -> NDArray:
    is_same = size == array.shape[1::-1]
    return array if is_same else cv2.resize(array, size, interpolation=cv2.INTER_AREA)


def _camera(lens: Lens) -> pycolmap.Camera:
    camera = pycolmap.Camera.create_from_model_name(0, lens.model, 1.0, lens.width, lens.height)
    camera.params = list(lens.params)
    return camera


def _rays(
    lens: Lens, columns: NDArray, rows: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x/z of the pinhole rays through pixel columns, and y/z of those through pixel rows."""
    K = pinhole_matrix(lens)
    return (columns + 0.5 - K[0, 2]) / K[0, 0], (rows + 0.5 - K[1, 2]) / K[1, 1]


def _project(lens: Lens, columns: NDArray, rows: NDArray) -> tuple[NDArray, NDArray]:
    """Where the lens shows the rays (columns x rows), each [rows, columns], pixels."""
    x, y = np.meshgrid(columns, rows)
    rays = np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3)
    with np.errstate(all="ignore"):
        pixels = np.asarray(_camera(lens).img_from_cam(rays))
    return pixels[:, 0].reshape(x.shape), pixels[:, 1].reshape(x.shape)


def _is_distorted(lens: Lens) -> bool:
    steps = np.linspace(0, 1, 33)
    at_x, at_y = steps * (lens.width - 1), steps * (lens.height - 1)
    u, v = _project(lens, *_rays(lens, at_x, at_y))
    with np.errstate(all="ignore"):
        moved = np.maximum(np.abs(u - at_x[None, :] - 0.5), np.abs(v - at_y[:, None] - 0.5))
    return not bool(np.all(moved <= _NEGLIGIBLE))


def _fold_radius(u: NDArray, v: NDArray, columns: NDArray, rows: NDArray) -> float:
    """The least distance from the optical axis where the map turns over, inf where nowhere.

    Beyond it a polynomial lens model shows the picture a second time, mirrored.
    """
    if len(rows) < 2 or len(columns) < 2:
        return math.inf
    with np.errstate(all="ignore"):
        du, dv = np.diff(u[:-1], axis=1), np.diff(v[:, :-1], axis=0)
        turned = du * dv - np.diff(u[:, :-1], axis=0) * np.diff(v[:-1], axis=1) <= 0
    if not turned.any():
        return math.inf
    at_row, at_column = np.nonzero(turned)
    return float(np.hypot(columns[at_column], rows[at_row]).min())


def _check_lens(lens: Lens) -> None:
    sides = (lens.width, lens.height)
    if min(sides) < 1 or max(sides) > _MAX_SIDE or lens.width * lens.height > PIXEL_LIMIT:
        raise InputError(
            f"a photo cannot be {lens.width}x{lens.height} pixels: expected 1 to {_MAX_SIDE} "
            f"a side, {PIXEL_LIMIT // 10**6} million in all"
        )
    count = _parameter_counts().get(lens.model)
    if count is None and lens.model.startswith("EQUIRECTANGULAR"):
        raise InputError(
            "unknown camera model 'EQUIRECTANGULAR': panoramas do not fit into one flat picture; "
            "cut them into perspective views first"
        )
    if count is None:
        raise InputError(
            f"unknown camera model {lens.model[:40]!r}: expected one of "
            f"{', '.join(_parameter_counts())}"
        )
    if len(lens.params) != count:
        raise InputError(
            f"the camera model {lens.model} has {count} parameters, got {len(lens.params)}"
        )
    if not all(math.isfinite(p) for p in lens.params):
        raise InputError(f"camera parameters must be finite, got {_text(lens.params)}")
    K = pinhole_matrix(lens)
    for axis, side in enumerate(sides):
        focal, center = K[axis, axis], K[axis, 2]
        if not 0.01 * max(sides) <= focal <= 1000 * max(sides):
            raise InputError(
                f"a focal length of {focal:g} pixels cannot be right for a photo of "
                f"{lens.width}x{lens.height}"
            )
        if not -side <= center <= 2 * side:
            raise InputError(
                f"a principal point at {center:g} pixels cannot be right for a photo of "
                f"{lens.width}x{lens.height}"
            )


def _parameter_counts() -> dict[str, int]:
    """The perspective camera models of COLMAP and how many parameters each has."""
    models = [
        m for m in pycolmap.CameraModelId.__members__ if m not in ("INVALID", "EQUIRECTANGULAR")
    ]
    create = pycolmap.Camera.create_from_model_name
    return {model: len(create(0, model, 1.0, 1, 1).params) for model in sorted(models)}


def _text(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.6g}" for value in values)
