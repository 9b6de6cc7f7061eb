"""Damaged and odd photos and videos, found by mutating files: a reason for each, no traceback."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tondo.cli.main import main
from tondo.errors import InputError
from tondo.io.video import read_frames
from tondo.sfm.photos.gather import gather_photos

CHANCE = np.random.default_rng(0)


def picture(width: int, height: int) -> Image.Image:
    return Image.fromarray(CHANCE.integers(0, 256, (height, width, 3), np.uint8))


def test_pictures_of_any_shape_are_examined(tmp_path: Path) -> None:
    """At 640 pixels on the longest side the other one may come to nothing."""
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    shapes = [(1, 1), (1, 2), (2, 2), (1, 3000), (3000, 1), (30_000, 2)]
    for width, height in shapes:
        picture(width, height).save(source / f"{width}x{height}.png")
    found = gather_photos(source, out, frames=1, max_size=960, max_features=100)
    assert sorted((photo.width, photo.height) for photo in found.photos) == sorted(shapes)
    assert not found.skipped


def test_a_video_that_no_decoder_knows(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.asarray(picture(64, 48)), format="rgb24")
        container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    at = data.index(b"avc1", data.index(b"stsd"))
    path.write_bytes(data[:at] + b"zzzz" + data[at + 4 :])
    with pytest.raises(InputError, match=r"video\.mp4 is a video of a kind that cannot be decoded"):
        list(read_frames(path, 3))


def test_damaged_exif_is_no_noise(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Pillow warns of it, on standard error, in the middle of progress bars."""
    source = tmp_path / "in"
    source.mkdir()
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "EOS 5D"
    exif.get_ifd(0x8769)[0x920A] = 50.0
    picture(60, 40).save(source / "a.jpg", exif=exif)
    data = (source / "a.jpg").read_bytes()
    at = data.index(b"Canon")  # its place lies in the tag, as big-endian or little-endian offset
    start = data.index(b"Exif\0\0") + 6
    for order in ("little", "big"):
        data = data.replace((at - start).to_bytes(4, order), b"\xff\xff\xff\x7f", 1)
    (source / "a.jpg").write_bytes(data)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with Image.open(source / "a.jpg") as damaged:
            dict(damaged.getexif())
        assert told
        told.clear()
        assert main(["prepare", str(source), "-o", str(tmp_path / "out")]) == 2
    assert not [one for one in told if "PIL" in one.filename]
    error = capfd.readouterr().err
    assert "only one photo" in error
    assert error.count("\n") == 1


def test_a_png_can_be_written_after_pycolmap() -> None:
    """pycolmap's own compression library must not come before Python's."""
    code = """
import tondo.sfm.motion.quiet
import io, os
import numpy as np
from PIL import Image
for i in range(20):
    noise = np.random.default_rng(i).integers(0, 255, (300, 400, 3), np.uint8)
    Image.fromarray(noise).save(io.BytesIO(), "PNG", compress_level=4)
print("written", flush=True)
os._exit(0)
"""
    args = [sys.executable, "-c", code]
    done = subprocess.run(args, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "written\n", done.stderr
