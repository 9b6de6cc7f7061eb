from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tondo.errors import InputError
from tondo.io.images import image_size, list_photos, read_image, write_depth, write_png

FUZZ = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
H, W = 24, 40
FUZZED = {
    ".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".tif": "TIFF", ".heic": "HEIF",
    ".avif": "AVIF", ".bmp": "BMP", ".gif": "GIF", ".ppm": "PPM",
}  # fmt: skip


def smooth(channels: int = 3) -> np.ndarray:
    """A picture that lossy codecs keep within a few steps."""
    v, u = np.mgrid[0:H, 0:W]
    planes = [40 + 4 * u, 30 + 6 * v, 200 - 2 * u - 2 * v, 255 - 5 * u]
    return np.stack(planes[:channels], axis=-1).astype(np.uint8)


def save(path: Path, array: np.ndarray, **options: object) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def png_16_bit(array: np.ndarray) -> bytes:
    """A PNG with 16 bits per channel, [H, W] grey or [H, W, 3], which Pillow does not write."""
    height, width = array.shape[:2]
    color = 0 if array.ndim == 2 else 2
    rows = array.astype(">u2").reshape(height, -1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    return png_of(width, height, 16, color, zlib.compress(raw))


def png_of(width: int, height: int, bits: int, color: int, data: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("ending", "options", "tolerance"),
    [
        (".png", {}, 0),
        (".tif", {"compression": "tiff_lzw"}, 0),
        (".webp", {"lossless": True}, 0),
        (".jpg", {"quality": 97, "subsampling": 0}, 4),
        (".heic", {"quality": 98}, 6),
    ],
)
def test_reads_every_format(
    tmp_path: Path, ending: str, options: dict[str, object], tolerance: int
) -> None:
    path = save(tmp_path / f"photo{ending}", smooth(), **options)
    data = read_image(path)
    assert data.rgb.shape == (H, W, 3)
    assert data.rgb.dtype == torch.uint8
    assert data.alpha is None
    assert np.abs(data.rgb.numpy().astype(int) - smooth()).max() <= tolerance
    assert image_size(path) == (W, H)


def test_the_ending_does_not_matter(tmp_path: Path) -> None:
    path = save(tmp_path / "photo.jpg", smooth(), format="PNG")
    assert torch.equal(read_image(path).rgb, torch.from_numpy(smooth()))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(tmp_path: Path, orientation: int) -> None:
    # The upright picture for each way that a camera may have stored `smooth`, after the EXIF
    # standard's words on where row 0 and column 0 are.
    upright = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, 1),
    }[orientation](smooth())
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "photo.png", smooth(), exif=exif)
    assert np.array_equal(read_image(path).rgb.numpy(), upright)
    assert image_size(path) == upright.shape[1::-1]
    assert np.array_equal(read_image(path, upright=False).rgb.numpy(), smooth())
    assert image_size(path, upright=False) == (W, H)


def test_heic_that_the_file_turns_is_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # becomes the file's own "turn by 90 degrees"
    path = save(tmp_path / "phone.heic", smooth(), quality=98, exif=exif.tobytes())
    expected = np.rot90(smooth(), -1)
    data = read_image(path)
    assert data.rgb.shape == expected.shape
    assert np.abs(data.rgb.numpy().astype(int) - expected).max() <= 6


def test_16_bits_become_8(tmp_path: Path) -> None:
    wide = smooth().astype(np.uint16) * 257
    colour, grey = tmp_path / "colour.png", tmp_path / "grey.png"
    colour.write_bytes(png_16_bit(wide))
    grey.write_bytes(png_16_bit(wide[..., 0]))
    assert np.array_equal(read_image(colour).rgb.numpy(), smooth())
    found = read_image(grey).rgb.numpy()
    assert np.array_equal(found, np.repeat(smooth()[..., :1], 3, axis=2))
    tiff = save(tmp_path / "grey.tif", wide[..., 1])
    assert np.array_equal(read_image(tiff).rgb.numpy(), np.repeat(smooth()[..., 1:2], 3, axis=2))


def test_grey_palette_and_bilevel_become_rgb(tmp_path: Path) -> None:
    grey = save(tmp_path / "grey.png", smooth()[..., 0])
    assert np.array_equal(read_image(grey).rgb[..., 2].numpy(), smooth()[..., 0])
    palette = tmp_path / "palette.png"
    Image.fromarray((smooth() // 64) * 64).convert("P", palette=Image.Palette.ADAPTIVE).save(
        palette
    )
    assert read_image(palette).rgb.shape == (H, W, 3)
    bilevel = tmp_path / "bilevel.png"
    Image.fromarray(smooth()[..., 0] > 90).save(bilevel)
    assert sorted(read_image(bilevel).rgb.unique().tolist()) == [0, 255]


def linear_profile() -> bytes:
    """An ICC profile: the primaries of sRGB, values in proportion to light."""

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    white = (0.9642, 1.0, 0.8249)
    red, green, blue = (0.436, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
    points = {b"wtpt": white, b"rXYZ": red, b"gXYZ": green, b"bXYZ": blue}
    tags = {name: b"XYZ \0\0\0\0" + fixed(*point) for name, point in points.items()}
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, 256) + b"\0\0"
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, body, place = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", place + len(body), len(data))
        body += data
    head = struct.pack(
        ">I4sI4s4s4s",
        132 + len(tags) * 12 + len(body),
        b"lcms",
        0x02400000,
        b"mntr",
        b"RGB ",
        b"XYZ ",
    )
    head += bytes(12) + b"acsp" + bytes(28) + fixed(*white)
    return head.ljust(128, b"\0") + table + body


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_of_an_embedded_profile_become_srgb(tmp_path: Path, mode: str) -> None:
    # a profile of linear light: half of the light is 188 of 255 in sRGB
    linear = linear_profile()
    picture = Image.new(mode, (6, 4), (128, 128, 128, 90)[: len(mode)])
    picture.save(tmp_path / "a.png", icc_profile=linear)
    read = read_image(tmp_path / "a.png")
    assert int((read.rgb.int() - 188).abs().max()) <= 2
    assert read.alpha is None if mode == "RGB" else bool((read.alpha == 90).all())
    picture.save(tmp_path / "b.png", icc_profile=linear[:150])
    assert bool((read_image(tmp_path / "b.png").rgb == 128).all()), "damaged: passed over"
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    picture.save(tmp_path / "c.png", icc_profile=srgb.tobytes())
    assert bool((read_image(tmp_path / "c.png").rgb == 128).all())


def test_alpha_is_kept_straight(tmp_path: Path) -> None:
    picture = smooth(4)
    data = read_image(save(tmp_path / "cut.png", picture))
    assert np.array_equal(data.rgb.numpy(), picture[..., :3])
    assert data.alpha is not None
    assert np.array_equal(data.alpha.numpy(), picture[..., 3])
    picture[..., 3] = 255
    assert read_image(save(tmp_path / "solid.png", picture)).alpha is None


def test_floating_point_values_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "hdr.tif", smooth()[..., 0].astype(np.float32))
    with pytest.raises(InputError, match=r"hdr\.tif holds 32-bit floating point values"):
        read_image(path)


@pytest.mark.parametrize(
    "ending", [".jpg", ".png", ".webp", ".tif", ".heic", ".avif", ".bmp", ".gif", ".ppm"]
)
def test_a_truncated_file_is_named(tmp_path: Path, ending: str) -> None:
    noise = np.random.default_rng(3).integers(0, 255, (120, 160, 3), np.uint8)
    path = save(tmp_path / f"cut{ending}", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(InputError, match=r"cut\."):
        read_image(path)


def test_fifty_bytes_called_png(tmp_path: Path) -> None:
    path = tmp_path / "tiny.png"
    path.write_bytes(bytes(range(50)))
    with pytest.raises(InputError) as caught:
        read_image(path)
    assert str(caught.value) == (
        f"{path} (50 bytes) is not a picture that can be read "
        "(JPEG, PNG, WebP, TIFF, HEIC, AVIF, BMP, GIF, PPM)"
    )


@pytest.mark.parametrize("side", [20_000, 2**31 - 1])
def test_a_decompression_bomb_is_refused_before_decoding(tmp_path: Path, side: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of(side, side, 8, 2, zlib.compress(bytes(3000))))
    for reader in (read_image, image_size):
        with pytest.raises(InputError) as caught:
            reader(path)
        assert str(caught.value) == (
            f"{path} claims more than 178 million pixels: a damaged file or a decompression bomb; "
            "scale it down if it is a real picture"
        )


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)  # would block for ever
    for path in (pipe, tmp_path, tmp_path / "none.png"):
        with pytest.raises(InputError, match="there is no picture file"):
            read_image(path)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of damaged EXIF
@FUZZ
@given(
    ending=st.sampled_from(list(FUZZED)),
    at=st.floats(0, 1),
    patch=st.binary(max_size=6),
    keep=st.floats(0, 1),
)
def test_damaged_files_raise_only_input_errors(
    tmp_path: Path, ending: str, at: float, patch: bytes, keep: float
) -> None:
    buffer = io.BytesIO()
    Image.fromarray(smooth()).save(buffer, FUZZED[ending])
    data = bytearray(buffer.getvalue())
    start = int(at * len(data))
    data[start : start + len(patch)] = patch
    path = tmp_path / f"fuzz{ending}"
    path.write_bytes(bytes(data[: int(keep * len(data))] if keep < 0.7 else data))
    try:
        found = read_image(path)
    except InputError:
        return
    assert found.rgb.dim() == 3
    assert found.rgb.shape[2] == 3


def test_list_photos_sorts_and_leaves_out(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.heic", "notes.txt", ".hidden.jpg", "c.tiff"):
        (tmp_path / name).touch()
    assert [path.name for path in list_photos(tmp_path)] == ["a.heic", "b.JPG", "c.tiff"]
    with pytest.raises(InputError, match="cannot list the folder"):
        list_photos(tmp_path / "none")


def test_write_png_round_trips(tmp_path: Path) -> None:
    picture = torch.from_numpy(smooth())
    write_png(tmp_path / "a.png", picture)
    assert torch.equal(read_image(tmp_path / "a.png").rgb, picture)
    write_png(tmp_path / "b.png", picture.float() / 255)
    assert torch.equal(read_image(tmp_path / "b.png").rgb, picture)
    write_png(tmp_path / "c.png", picture[..., 0])
    assert torch.equal(read_image(tmp_path / "c.png").rgb[..., 1], picture[..., 0])
    write_png(tmp_path / "d.png", torch.tensor([[[-1.0, 0.5, 7.0]]]))
    assert read_image(tmp_path / "d.png").rgb.tolist() == [[[0, 128, 255]]]
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("shape", [(3,), (4, 5, 2), (0, 5, 3)])
def test_write_png_refuses_other_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a picture must be"):
        write_png(tmp_path / "a.png", torch.zeros(shape))


def test_write_depth_writes_thousandths_and_floats(tmp_path: Path) -> None:
    depth = torch.tensor([[0.0, 1.2344, 65.5354], [70.0, 0.0006, float("nan")]])
    write_depth(tmp_path / "view.1", depth)
    stored = np.array(Image.open(tmp_path / "view.1.png"))
    assert stored.dtype == np.uint16
    assert stored.tolist() == [[0, 1234, 65535], [65535, 1, 0]]
    again = np.load(tmp_path / "view.1.npy", allow_pickle=False)
    assert again.dtype == np.float32
    assert np.array_equal(again, depth.numpy(), equal_nan=True)
    with pytest.raises(ValueError, match="depth must be"):
        write_depth(tmp_path / "x", torch.zeros(2, 3, 1))
