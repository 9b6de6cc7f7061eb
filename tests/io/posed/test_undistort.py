from __future__ import annotations

import cv2
import numpy as np
import pycolmap
import pytest
import torch

from tondo.errors import InputError
from tondo.io.images import ImageData
from tondo.io.posed.undistort import (
    Lens,
    normalized_rays,
    pinhole_matrix,
    rescaled,
    undistort,
    undistortion_map,
)

W, H = 90, 64
PINHOLE = (80.0, 76.0, 41.0, 35.0)
MODELS = {
    "SIMPLE_RADIAL": (80, 41, 35, 0.05),
    "RADIAL": (80, 41, 35, 0.05, -0.02),
    "OPENCV": (*PINHOLE, 0.06, -0.08, -0.004, 0.003),
    "FULL_OPENCV": (*PINHOLE, 0.06, -0.03, -0.004, 0.003, 0.01, 0.02, 0.01, 0.005),
    "OPENCV_FISHEYE": (*PINHOLE, 0.03, 0.01, -0.004, 0.003),
    "SIMPLE_RADIAL_FISHEYE": (80, 41, 35, 0.05),
    "RADIAL_FISHEYE": (80, 41, 35, 0.05, 0.01),
    "SIMPLE_FISHEYE": (80, 41, 35),
    "FISHEYE": PINHOLE,
    "FOV": (*PINHOLE, 0.7),
    "THIN_PRISM_FISHEYE": (*PINHOLE, 0.03, 0.01, 0.001, 0.002, 0.001, 0.001, 0.002, 0.001),
    "RAD_TAN_THIN_PRISM_FISHEYE": (*PINHOLE, 0.03, 0.01, *[0.001] * 10),
    "SIMPLE_DIVISION": (80, 41, 35, -0.1),
    "DIVISION": (*PINHOLE, -0.1),
    "EUCM": (*PINHOLE, 0.6, 1.1),
}


def pattern(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A smooth picture as a function of the pinhole's pixel coordinates."""
    return 128 + 60 * np.sin(x / 6) + 50 * np.cos(y / 7)


def photo_through(lens: Lens) -> ImageData:
    """What `lens` shows of `pattern`, by COLMAP's inverse formula."""
    v, u = np.mgrid[0:H, 0:W] + 0.5
    rays = normalized_rays(lens, np.stack([u, v], -1).reshape(-1, 2))
    K = pinhole_matrix(lens)
    seen = pattern(*(rays @ K.T)[:, :2].T).reshape(H, W)
    grey = np.rint(np.nan_to_num(seen, nan=0)).astype(np.uint8)
    return ImageData(torch.from_numpy(np.repeat(grey[..., None], 3, axis=2)), None)


def test_every_perspective_model_of_colmap_is_tried() -> None:
    known = set(pycolmap.CameraModelId.__members__) - {"INVALID", "EQUIRECTANGULAR"}
    assert set(MODELS) == known - {"PINHOLE", "SIMPLE_PINHOLE"}


@pytest.mark.parametrize("model", MODELS)
def test_undistorts_every_model_to_the_same_matrix_and_size(model: str) -> None:
    lens = Lens(model, W, H, tuple(map(float, MODELS[model])))
    lens_map = undistortion_map(lens)
    assert lens_map is not None
    result, valid = undistort(photo_through(lens), lens_map, W, H)
    kept = np.ones((H, W), bool) if valid is None else valid.numpy()
    assert kept[H // 2, W // 2]
    assert kept.mean() > 0.6
    v, u = np.mgrid[0:H, 0:W] + 0.5
    error = np.abs(result.rgb[..., 0].numpy() - pattern(u, v))[kept]
    # Half a step of rounding twice, and the interpolation of a smooth pattern.
    assert np.quantile(error, 0.99) < 2.5
    assert error.mean() < 0.7


@pytest.mark.parametrize(
    ("model", "params"),
    [
        ("PINHOLE", PINHOLE),
        ("SIMPLE_PINHOLE", (80.0, 41.0, 35.0)),
        ("OPENCV", (*PINHOLE, 0.0, 0.0, 0.0, 0.0)),
        ("OPENCV", (*PINHOLE, 1e-7, 0.0, 0.0, 0.0)),
    ],
)
def test_a_pinhole_needs_no_map(model: str, params: tuple[float, ...]) -> None:
    assert undistortion_map(Lens(model, W, H, params)) is None


def test_agrees_with_opencv() -> None:
    lens = Lens("OPENCV", W, H, tuple(map(float, MODELS["OPENCV"])))
    lens_map = undistortion_map(lens)
    K = pinhole_matrix(lens)
    K[:2, 2] -= 0.5  # OpenCV's pixel centres are at whole numbers
    x, y = cv2.initUndistortRectifyMap(K, np.array(lens.params[4:]), None, K, (W, H), cv2.CV_32FC1)
    assert lens_map is not None
    inside = lens_map.valid
    assert np.abs(lens_map.x - x)[inside].max() < 1e-3
    assert np.abs(lens_map.y - y)[inside].max() < 1e-3
    assert np.array_equal(inside, (x >= -0.5) & (x <= W - 0.5) & (y >= -0.5) & (y <= H - 0.5))


def test_pixels_outside_the_photo_are_not_valid() -> None:
    # Pincushion distortion: the corners of the pinhole picture look beyond the photo.
    lens = Lens("SIMPLE_RADIAL", W, H, (80.0, 45.0, 32.0, 0.2))
    lens_map = undistortion_map(lens)
    white = ImageData(torch.full((H, W, 3), 255, dtype=torch.uint8), None)
    result, valid = undistort(white, lens_map, W, H)
    assert valid is not None
    assert not valid[0, 0]
    assert not valid[-1, -1]
    assert valid[H // 2, W // 2]
    assert bool((result.rgb == 255).all())  # filled from the border, no black


def test_where_the_model_folds_over_nothing_is_valid() -> None:
    # r (1 - 2 r^2) turns over at r = 0.41 and shows the middle again, mirrored, beyond.
    lens = Lens("SIMPLE_RADIAL", W, H, (80.0, 45.0, 32.0, -2.0))
    lens_map = undistortion_map(lens)
    assert lens_map is not None
    v, u = np.mgrid[0:H, 0:W] + 0.5
    radius = np.hypot(u - 45, v - 32) / 80
    assert not lens_map.valid[radius > 0.42].any()
    assert lens_map.valid[radius < 0.39].all()


def test_area_filter_and_validity_when_scaled_down() -> None:
    rgb = torch.arange(H * W * 3).reshape(H, W, 3).to(torch.uint8)
    result, valid = undistort(ImageData(rgb, None), None, W // 2, H // 2)
    mean = rgb.double().reshape(H // 2, 2, W // 2, 2, 3).mean(dim=(1, 3))
    assert valid is None
    assert result.rgb.shape == (H // 2, W // 2, 3)
    assert (result.rgb.double() - mean).abs().max() <= 0.5


def test_transparent_colours_do_not_bleed() -> None:
    rgb = torch.zeros(4, 6, 3, dtype=torch.uint8)
    rgb[..., 1] = 255  # green where nothing is
    alpha = torch.zeros(4, 6, dtype=torch.uint8)
    rgb[:, 3:] = torch.tensor([250, 10, 20], dtype=torch.uint8)
    alpha[:, 3:] = 255
    result, _ = undistort(ImageData(rgb, alpha), None, 3, 2)
    assert result.alpha is not None
    assert result.alpha.tolist() == [[0, 128, 255]] * 2
    assert result.rgb[:, 1:].reshape(-1, 3).tolist() == [[250, 10, 20]] * 4


def test_alpha_goes_through_the_lens_too() -> None:
    lens = Lens("SIMPLE_RADIAL", W, H, (80.0, 45.0, 32.0, -0.2))
    alpha = torch.zeros(H, W, dtype=torch.uint8)
    alpha[:, : W // 2] = 255
    rgb = torch.full((H, W, 3), 200, dtype=torch.uint8)
    result, _ = undistort(ImageData(rgb, alpha), undistortion_map(lens), W // 2, H // 2)
    assert result.alpha is not None
    assert result.rgb.shape == (H // 2, W // 2, 3)
    assert int(result.alpha[16, 4]) == 255
    assert int(result.alpha[16, -4]) == 0
    assert bool((result.rgb[result.alpha > 0] == 200).all())


def test_rescaled_scales_each_axis() -> None:
    lens = rescaled(Lens("OPENCV", W, H, (*PINHOLE, 0.06, -0.08, 0.0, 0.0)), 45, 16)
    assert (lens.width, lens.height) == (45, 16)
    assert lens.params == pytest.approx((40, 19, 20.5, 8.75, 0.06, -0.08, 0, 0))


@pytest.mark.parametrize(
    ("lens", "message"),
    [
        (("MAGIC", W, H, PINHOLE), "unknown camera model 'MAGIC'"),
        (("EQUIRECTANGULAR", W, H, (90.0, 64.0)), "unknown camera model 'EQUIRECTANGULAR'"),
        (("PINHOLE", W, H, PINHOLE[:3]), "the camera model PINHOLE has 4 parameters, got 3"),
        (("PINHOLE", W, H, (float("nan"), *PINHOLE[1:])), "camera parameters must be finite"),
        (("PINHOLE", 0, H, PINHOLE), "a photo cannot be 0x64 pixels"),
        (("PINHOLE", 31_000, 31_000, PINHOLE), "a photo cannot be 31000x31000 pixels"),
        (("PINHOLE", W, H, (-80.0, *PINHOLE[1:])), "a focal length of -80 pixels cannot be right"),
        (("PINHOLE", W, H, (80.0, 76.0, 1e9, 35.0)), "a principal point at 1e\\+09 pixels"),
    ],
)
def test_impossible_lenses(lens: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Lens(*lens)


def test_a_distortion_that_leaves_nothing() -> None:
    lens = Lens("OPENCV", W, H, (*PINHOLE, -900.0, 0.0, 0.0, 0.0))
    with pytest.raises(InputError, match="its distortion coefficients cannot be right"):
        undistortion_map(lens)
    huge = Lens("OPENCV", W, H, (*PINHOLE, 1e300, -1e300, 1.0, 1.0))
    with pytest.raises(InputError, match="its distortion coefficients cannot be right"):
        undistortion_map(huge)
