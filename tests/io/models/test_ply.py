from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tondo.data.photos import PointCloud
from tondo.data.splats import Splats
from tondo.errors import InputError
from tondo.io.models.ply import read_header, read_points, read_splat_file, write_splats

FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def random_splats(n: int, k: int, seed: int = 0) -> Splats:
    g = torch.Generator().manual_seed(seed)
    return Splats(
        torch.randn(n, 3, generator=g),
        torch.randn(n, 4, generator=g),
        torch.randn(n, 3, generator=g) - 3,
        torch.randn(n, generator=g),
        torch.randn(n, k, 3, generator=g),
    )


def assert_same(a: Splats, b: Splats) -> None:
    for name in ("means", "quats", "log_scales", "opacity_logits", "sh"):
        assert torch.equal(getattr(a, name), getattr(b, name)), name


@pytest.mark.parametrize(("n", "k"), [(0, 1), (1, 1), (7, 4), (5, 9), (11, 16)])
def test_splats_survive_the_round_trip_bit_for_bit(tmp_path: Path, n: int, k: int) -> None:
    splats = random_splats(n, k)
    write_splats(tmp_path / "a.ply", splats)
    assert_same(read_splat_file(tmp_path / "a.ply").splats, splats)


def test_layout_is_the_one_that_viewers_expect(tmp_path: Path) -> None:
    splats = random_splats(3, 16)
    write_splats(tmp_path / "a.ply", splats)
    data = (tmp_path / "a.ply").read_bytes()
    header, body = data.split(b"end_header\n", 1)
    fields = [line.split()[2].decode() for line in header.splitlines() if b"property" in line]
    assert header.startswith(b"ply\nformat binary_little_endian 1.0\nelement vertex 3\n")
    assert fields[:9] == ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
    assert fields[9:54] == [f"f_rest_{i}" for i in range(45)]
    assert fields[54:] == [
        "opacity",
        "scale_0",
        "scale_1",
        "scale_2",
        "rot_0",
        "rot_1",
        "rot_2",
        "rot_3",
    ]
    second = struct.unpack("<62f", body[62 * 4 : 2 * 62 * 4])
    assert second[3:6] == (0, 0, 0)
    # f_rest is channel-major: the first 15 are red's higher coefficients
    assert second[9:24] == tuple(splats.sh[1, 1:, 0].tolist())
    assert second[24:39] == tuple(splats.sh[1, 1:, 1].tolist())
    assert len(body) == 3 * 62 * 4


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_reads_every_format_any_order_and_other_types(tmp_path: Path, form: str) -> None:
    splats = random_splats(4, 4)
    write_splats(tmp_path / "a.ply", splats)
    names, table = raw_table(tmp_path / "a.ply")
    order = np.random.default_rng(0).permutation(len(names))
    head = ["ply", f"format {form} 1.0", "comment made by hand", "element thing 2"]
    head += ["property uchar a", "property int b", "element vertex 4"]
    head += [f"property double {names[i]}" for i in order] + ["element face 0"]
    head += ["property list uchar int vertex_indices", "end_header", ""]
    values = table[:, order].astype(np.float64)
    if form == "ascii":
        rows = ["1 2", "3 4"] + [" ".join(repr(float(v)) for v in row) for row in values]
        body = "\n".join(rows).encode()
    else:
        end = "<" if "little" in form else ">"
        body = struct.pack(end + "BiBi", 1, 2, 3, 4) + values.astype(end + "f8").tobytes()
    (tmp_path / "b.ply").write_bytes("\n".join(head).encode() + body)
    assert_same(read_splat_file(tmp_path / "b.ply").splats, splats)


def raw_table(path: Path) -> tuple[list[str], np.ndarray]:
    header, body = path.read_bytes().split(b"end_header\n", 1)
    names = [line.split()[2].decode() for line in header.splitlines() if b"property" in line]
    return names, np.frombuffer(body, "<f4").reshape(-1, len(names))


def edit(path: Path, old: bytes, new: bytes) -> Path:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))
    return path


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"vertex 5", b"vertex 6", "promises 6 vertex"),
        (b"vertex 5", b"vertex 999999999999", "promises"),
        (b"vertex 5", b"vertex -5", "element vertex -5"),
        (b"vertex 5", b"vertex " + b"9" * 6000, "makes no sense"),
        (b"vertex 5", b"vertex 5.0", "makes no sense"),
        (b"vertex 5", b"face 5", "no element 'vertex'"),
        (b"float opacity", b"float opaqueness", "no field opacity"),
        (b"float rot_3", b"float rot_2", "double"),
        (b"float f_rest_8", b"float g_rest_8", "8 f_rest"),
        (b"float scale_1", b"quux scale_1", "makes no sense"),
        (b"float scale_1", b"list uchar float scale_1", "list"),
        (b"ply", b"plx", "not a PLY"),
        (b"end_header", b"and_header", "and_header"),
        (b"format", b"comment", "no format line"),
    ],
)
def test_hostile_headers_are_one_sentence(
    tmp_path: Path, old: bytes, new: bytes, words: str
) -> None:
    write_splats(tmp_path / "a.ply", random_splats(5, 4))
    with pytest.raises(InputError, match=words) as caught:
        read_splat_file(edit(tmp_path / "a.ply", old, new))
    assert "a.ply" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "words"), [(math.inf, "infinite"), (math.nan, "NaN"), (90, "log")]
)
def test_values_that_no_splat_has(tmp_path: Path, value: float, words: str) -> None:
    splats = random_splats(5, 4)
    splats.log_scales[:, 1] = value
    write_splats(tmp_path / "a.ply", splats)
    with pytest.raises(InputError, match=words):
        read_splat_file(tmp_path / "a.ply")


def test_missing_and_cut_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.ply"):
        read_splat_file(tmp_path / "no.ply")
    with pytest.raises(InputError):
        read_points(tmp_path)
    write_splats(tmp_path / "a.ply", random_splats(5, 1))
    data = (tmp_path / "a.ply").read_bytes()
    for size in (0, 2, 4, 50, len(data) // 2, len(data) - 1):
        (tmp_path / "b.ply").write_bytes(data[:size])
        with pytest.raises(InputError):
            read_splat_file(tmp_path / "b.ply")


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("uchar", "255 7 0", [255, 7, 0]),
        ("float", "1 .5 -3", [255, 128, 0]),
        ("ushort", "65535 257 0", [255, 1, 0]),
    ],
)
def test_points_with_colours(tmp_path: Path, kind: str, values: str, expected: list[int]) -> None:
    lines = ["ply", "format ascii 1.0", "element vertex 1", "property float x"]
    lines += ["property float y", "property double z"]
    lines += [f"property {kind} {c}" for c in ("red", "green", "blue")]
    (tmp_path / "p.ply").write_text("\n".join([*lines, "end_header", f"1 2 3e0 {values}", ""]))
    cloud = read_points(tmp_path / "p.ply")
    assert isinstance(cloud, PointCloud)
    assert cloud.points.tolist() == [[1, 2, 3]]
    assert cloud.colors.tolist() == [expected]


@pytest.mark.parametrize(
    "body", ["1 2\n", "1 2 x\n", "1 2 3 4\n", "1 2 nan\n", "1 2 1e99\n", "\n" * 9, "1 2 3\xff\n"]
)
def test_bad_ascii_bodies(tmp_path: Path, body: str) -> None:
    lines = ["ply", "format ascii 1.0", "element vertex 1"]
    lines += [f"property float {c}" for c in "xyz"]
    (tmp_path / "p.ply").write_bytes("\n".join([*lines, "end_header", body]).encode("latin-1"))
    with pytest.raises(InputError):
        read_points(tmp_path / "p.ply")


HEADER_LINES = st.one_of(
    st.sampled_from(
        ["format ascii 1.0", "format binary_little_endian 1.0", "format binary_big_endian 1.0"]
        + ["end_header", "comment x", "property list uchar int i", "element face 3"]
        + [f"property float {c}" for c in ("x", "y", "z", "red", "green", "blue", "opacity")]
    ),
    st.integers(-3, 10**18).map(lambda n: f"element vertex {n}"),
    st.integers(0, 40).map(lambda n: f"element vertex {n}"),
    st.text(max_size=20),
)


@FUZZ
@given(lines=st.lists(HEADER_LINES, max_size=14), body=st.binary(max_size=300))
def test_any_header_gives_points_or_an_input_error(
    tmp_path: Path, lines: list[str], body: bytes
) -> None:
    path = tmp_path / "f.ply"
    path.write_bytes("\n".join(["ply", *lines, "end_header", ""]).encode("utf-8", "replace") + body)
    for read in (read_points, read_splat_file, read_header):
        try:
            result = read(path)
        except InputError:
            continue
        if isinstance(result, PointCloud):
            assert bool(torch.isfinite(result.points).all())


@FUZZ
@given(edits=st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), max_size=6))
def test_any_damaged_byte_gives_splats_or_an_input_error(
    tmp_path: Path, edits: list[tuple[int, int]]
) -> None:
    path = tmp_path / "f.ply"
    write_splats(path, random_splats(5, 4))
    data = bytearray(path.read_bytes())
    for place, value in edits:
        data[place % len(data)] = value
    path.write_bytes(data)
    try:
        splats = read_splat_file(path).splats
    except InputError:
        return
    assert bool(torch.isfinite(splats.means).all())
    assert bool(torch.isfinite(splats.log_scales.exp()).all())
