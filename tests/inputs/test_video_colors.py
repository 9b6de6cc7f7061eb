"""Videos of phones and cameras: high dynamic range, no tags, pixels that are not square."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tondo.io.video import read_frames

PATCHES = np.array(
    [[200, 40, 40], [40, 200, 40], [40, 40, 200], [200, 200, 40], [40, 200, 200], [128] * 3,
     [230] * 3, [20] * 3], np.uint8,
)  # fmt: skip
# BT.2087: linear light of BT.709 to that of BT.2020.
BT2020_FROM_709 = np.array(
    [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
)


def patches(width: int, height: int) -> NDArray[np.uint8]:
    """Eight patches side by side, as wide as high where the picture is 8:1."""
    return np.repeat(np.repeat(PATCHES[None], height, 0), width // 8, 1)


def linear(values: NDArray[np.uint8]) -> NDArray[np.float64]:
    x = values / 255
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4) @ BT2020_FROM_709.T


def hlg(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """BT.2100 with white at a signal of 75 %."""
    e = light * 0.26496
    log = 0.17883277 * np.log(np.maximum(12 * e - 0.28466892, 1e-9)) + 0.55991073
    return np.where(e <= 1 / 12, np.sqrt(3 * e), log)


def pq(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """ST 2084 with white at 203 candela per square metre."""
    y = (light * 203 / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


def encode(
    path: Path,
    pixels: NDArray,
    matrix: int,
    tags: tuple[int, int, int] | None = None,
    aspect: tuple[int, int] | None = None,
) -> Path:
    """One picture, uint8 or uint16 R'G'B', as FFV1, which loses nothing but what the matrix does.

    Args:
        tags: matrix, transfer function and primaries that the file says, or None: nothing.
    """
    deep = pixels.dtype == np.uint16
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width = pixels.shape[:2]
        stream.pix_fmt = "yuv444p10le" if deep else "yuv444p"
        context = stream.codec_context
        context.color_range = 1
        if tags is not None:
            context.colorspace, context.color_trc, context.color_primaries = tags
        if aspect is not None:
            context.sample_aspect_ratio = Fraction(*aspect)
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb48le" if deep else "rgb24")
        frame = frame.reformat(format=stream.pix_fmt, dst_colorspace=matrix, dst_color_range="MPEG")
        frame.colorspace = 2 if tags is None else tags[0]
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def middles(path: Path) -> NDArray[np.int64]:
    """[8, 3] the colours in the middles of the patches."""
    ((_, data),) = read_frames(path, 1)
    height, width = data.rgb.shape[:2]
    columns = ((np.arange(8) + 0.5) * width / 8).astype(int)
    return data.rgb.numpy()[height // 2, columns].astype(int)


@pytest.mark.parametrize(
    ("curve", "transfer"), [(hlg, 18), (pq, 16)], ids=["HLG of phones", "PQ of HDR10"]
)
@pytest.mark.parametrize("tagged", [True, False], ids=["all tags", "transfer function alone"])
def test_high_dynamic_range_becomes_srgb(
    tmp_path: Path, curve, transfer: int, tagged: bool
) -> None:
    signal = np.rint(curve(linear(patches(160, 32))).clip(0, 1) * 65535).astype(np.uint16)
    tags = (9, transfer, 9) if tagged else (2, transfer, 2)
    found = middles(encode(tmp_path / "phone.mkv", signal, 9, tags))
    assert np.abs(found - PATCHES.astype(int)).max() <= 4


def test_highlights_are_rolled_off_and_stay_apart(tmp_path: Path) -> None:
    lights = np.array([0.5, 0.9, 1, 1.5, 2, 3, 3.5, 3.77])
    signal = np.rint(hlg(np.repeat(lights, 20)[None, :, None]).clip(0, 1) * 65535)
    pixels = np.broadcast_to(signal, (32, 160, 3)).astype(np.uint16)
    grey = middles(encode(tmp_path / "sun.mkv", pixels, 9, (9, 18, 9)))[:, 0]
    assert abs(int(grey[0]) - 188) <= 2
    assert abs(int(grey[2]) - 255) <= 7  # white of graphics stays nearly white
    assert (np.diff(grey) >= 0).all()
    assert len(set(grey[2:].tolist())) > 3


def test_wide_primaries_of_standard_range_become_srgb(tmp_path: Path) -> None:
    light = linear(patches(160, 32))
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    signal = np.rint(curve.clip(0, 1) * 65535).astype(np.uint16)
    found = middles(encode(tmp_path / "wide.mkv", signal, 9, (9, 14, 9)))
    assert np.abs(found - PATCHES.astype(int)).max() <= 4


@pytest.mark.parametrize(
    ("size", "matrix"), [((1280, 16), 1), ((640, 720), 1), ((640, 480), 5), ((720, 576), 5)]
)
def test_without_tags_the_size_tells_the_matrix(
    tmp_path: Path, size: tuple[int, int], matrix: int
) -> None:
    pixels = patches(*size)
    found = middles(encode(tmp_path / "untagged.mkv", pixels, matrix))
    assert np.abs(found - PATCHES.astype(int)).max() <= 3
    tagged = middles(encode(tmp_path / "tagged.mkv", pixels, matrix, (matrix, 1, 1)))
    assert np.abs(tagged - PATCHES.astype(int)).max() <= 3


@pytest.mark.parametrize(
    ("aspect", "shape"),
    [((4, 3), (48, 64)), ((3, 4), (64, 48)), ((1, 1), (48, 48)), (None, (48, 48))],
)
def test_pixels_that_are_not_square_are_stretched(
    tmp_path: Path, aspect: tuple[int, int] | None, shape: tuple[int, int]
) -> None:
    path = encode(tmp_path / "wide.mp4", patches(48, 48), 5, (5, 1, 1), aspect)
    ((_, data),) = read_frames(path, 1)
    assert tuple(data.rgb.shape[:2]) == shape


def test_the_picture_of_a_cover_is_not_the_film(tmp_path: Path) -> None:
    path = tmp_path / "covered.mkv"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 40, 40, "yuvj420p"
        film = container.add_stream("ffv1", rate=10)
        film.width, film.height, film.pix_fmt = 160, 32, "yuv444p"
        first = av.VideoFrame.from_ndarray(np.zeros((40, 40, 3), np.uint8), format="rgb24")
        container.mux(cover.encode(first))
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(patches(160, 32), format="rgb24")
            container.mux(film.encode(frame))
        for stream in (cover, film):
            container.mux(stream.encode(None))
    found = list(read_frames(path, 5))
    assert len(found) == 3
    assert {tuple(data.rgb.shape) for _, data in found} == {(32, 160, 3)}
