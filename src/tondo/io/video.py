"""Videos in (the sharpest frame of each stretch of time) and out (H.264 in MP4)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tondo.errors import InputError, OutputError
from tondo.io.atomic import atomic_path
from tondo.io.images import PIXEL_LIMIT, ImageData, eight_bits
from tondo.io.video_colors import UNSPECIFIED, likely_matrix, needs_conversion, to_srgb

VIDEO_SUFFIXES = frozenset(
    (
        *(".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".3gp", ".3g2", ".mts", ".m2ts"),
        *(".mpg", ".mpeg", ".wmv", ".flv", ".ogv"),
    )
)
_SHARPNESS_SIDE = 480  # pixels at which sharpness is compared; chosen, not measured
_MOST_STRETCHED = 8  # pixels 8 times as wide as high: a wrong header; chosen, not measured
_COVERS = ("mjpeg", "png", "bmp", "gif")


@dataclass(frozen=True)
class _Shot:
    """A decoded frame, its transfer function and primaries, and how wide its pixels are."""

    frame: av.VideoFrame
    transfer: int
    primaries: int
    aspect: float


def read_frames(path: Path, count: int) -> Iterator[tuple[str, ImageData]]:
    """The sharpest frame of each of `count` equally long stretches of a video.

    Sharpness is the variance of the Laplacian of the grey picture at 480 pixels. The video is
    decoded once, and two frames are held at a time.

    Args:
        path: a video that FFmpeg can decode; turned upright, with square pixels and in sRGB as its
            metadata says (see `tondo.io.video_colors`). Where it does not say its matrix, that of
            its size counts: BT.709 for HD, BT.601 for smaller ones.
        count: of stretches, at least 1. A video with fewer frames gives each frame once.

    Yields:
        (name, picture) in order of time; the name is "frame_" and the number of the frame in the
        video, from 0, e.g. "frame_000132".

    Raises:
        InputError: there is no such file, it is no video, or no frame of it can be decoded. A video
            that is cut off gives the frames up to there.
        ValueError: `count` < 1.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no video file {path}")
    total = max(1, _packet_count(path))
    count = min(count, total)
    best: tuple[float, int, _Shot] | None = None
    current = 0
    for index, shot in enumerate(_decoded(path)):
        window = min(index * count // total, count - 1)
        if best is not None and window != current:
            yield _named_frame(best[1], best[2])
            best = None
        current = window
        sharpness = _sharpness(shot.frame)
        if best is None or sharpness > best[0]:
            best = (sharpness, index, shot)
    if best is None:
        raise InputError(f"no frame of {path} can be decoded: is it a video?")
    yield _named_frame(best[1], best[2])


def write_video(path: Path, frames: Iterable[Tensor], fps: float) -> None:
    """Write an MP4 (H.264, yuv420p, BT.709), atomically, that browsers and players show.

    Args:
        path: the target, ending in .mp4 (or .mkv, .mov).
        frames: at least one, [H, W, 3] sRGB, uint8 or float 0..1, all of one size. An odd side
            loses its last row or column, since yuv420p has only even ones.
        fps: pictures per second, > 0.

    Raises:
        ValueError: no frames, a wrong shape, dtype or `fps`, or a side of less than 2 pixels.
        OutputError: the file cannot be written, or its ending names no video format.
    """
    path = Path(path)
    if path.suffix.lower() not in (".mp4", ".mkv", ".mov", ".m4v"):
        raise OutputError(f"cannot write a video to {path}: its ending must be .mp4, .mkv or .mov")
    if not 0 < fps <= 1000:
        raise ValueError(f"fps must be above 0 and at most 1000, got {fps}")
    rate = Fraction(fps).limit_denominator(1001)
    with atomic_path(path) as temporary:
        stream = None
        with av.open(str(temporary), "w") as container:
            for frame in frames:
                pixels = _even_pixels(frame)
                if stream is None:
                    stream = _h264(container, pixels, rate)
                if pixels.shape[:2] != (stream.height, stream.width):
                    raise ValueError(f"a frame of another size came: {list(frame.shape)}")
                container.mux(stream.encode(_yuv(pixels)))
            if stream is None:
                raise ValueError("a video needs at least one frame")
            container.mux(stream.encode(None))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """A video and its first stream of pictures, its header checked."""
    try:
        container = av.open(str(path))
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"{path} is not a video that can be decoded: {error}") from error
    with container:
        if not container.streams.video:
            raise InputError(f"{path} has no video stream")
        # A stream of an unknown codec cannot be decoded, and a cover's picture may come first.
        streams = [one for one in container.streams.video if one.codec_context is not None]
        if not streams:
            raise InputError(f"{path} is a video of a kind that cannot be decoded here")
        films = [one for one in streams if one.codec_context.name not in _COVERS]
        stream = (films or streams)[0]
        if stream.width * stream.height > PIXEL_LIMIT:
            raise InputError(f"{path} claims frames of {stream.width}x{stream.height} pixels")
        stream.thread_type = "AUTO"
        yield container, stream


def _packet_count(path: Path) -> int:
    """How many frames there should be, without decoding them."""
    count = 0
    with _opened(path) as (container, stream), contextlib.suppress(av.FFmpegError):
        for packet in container.demux(stream):
            count += packet.size > 0
    return count


def _decoded(path: Path) -> Iterator[_Shot]:
    """The frames, as far as they can be decoded: of a cut off video, what came before."""
    with _opened(path) as (container, stream), contextlib.suppress(av.FFmpegError):
        context = stream.codec_context
        for frame in container.decode(stream):
            aspect = float(stream.sample_aspect_ratio or 1)
            yield _Shot(frame, int(context.color_trc), int(context.color_primaries), aspect)


def _sharpness(frame: av.VideoFrame) -> float:
    ratio = min(1.0, _SHARPNESS_SIDE / max(frame.width, frame.height))
    width, height = (max(2, round(side * ratio)) for side in (frame.width, frame.height))
    grey = frame.to_ndarray(width=width, height=height, format="gray")
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


def _named_frame(index: int, shot: _Shot) -> tuple[str, ImageData]:
    frame = shot.frame
    if int(frame.colorspace) == UNSPECIFIED:
        frame.colorspace = likely_matrix(frame.width, frame.height, shot.transfer)
    if needs_conversion(shot.transfer, shot.primaries):
        wide = np.asarray(frame.to_ndarray(format="rgb48le"), np.uint16)
        pixels = to_srgb(wide, shot.transfer, shot.primaries)
    else:
        pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    pixels = _with_square_pixels(pixels, shot.aspect)
    quarter_turns = round(getattr(frame, "rotation", 0) / 90) % 4
    upright = np.ascontiguousarray(np.rot90(pixels, quarter_turns))
    return f"frame_{index:06d}", ImageData(torch.from_numpy(upright), None)


def _with_square_pixels(pixels: NDArray[np.uint8], aspect: float) -> NDArray[np.uint8]:
    """`pixels` stretched, where each is `aspect` times as wide as it is high."""
    height, width = pixels.shape[:2]
    if aspect > 1:
        width = round(width * aspect)
    else:
        height = round(height / aspect)
    is_odd = not 1 / _MOST_STRETCHED <= aspect <= _MOST_STRETCHED
    if is_odd or width * height > PIXEL_LIMIT or (height, width) == pixels.shape[:2]:
        return pixels
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _even_pixels(frame: Tensor) -> NDArray[np.uint8]:
    frame = eight_bits(frame)
    if frame.dtype != torch.uint8 or frame.dim() != 3 or frame.shape[2] != 3:
        raise ValueError(f"a frame must be uint8 [H, W, 3], got {frame.dtype} {list(frame.shape)}")
    height, width = frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2
    if min(height, width) < 2:
        raise ValueError(f"a frame must have at least 2x2 pixels, got {list(frame.shape)}")
    return np.ascontiguousarray(frame.cpu().numpy()[:height, :width])


def _h264(
    container: av.container.OutputContainer, pixels: NDArray[np.uint8], rate: Fraction
) -> av.VideoStream:
    stream = container.add_stream("libx264", rate=rate, options={"crf": "17", "preset": "medium"})
    stream.height, stream.width = pixels.shape[:2]
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.color_primaries = context.color_trc = context.colorspace = 1  # BT.709
    context.color_range = 1  # limited ("MPEG")
    return stream


def _yuv(pixels: NDArray[np.uint8]) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
