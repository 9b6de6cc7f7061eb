"""Collections: folders and their classes, hostile zips, CelebA."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tondo.errors import InputError, OptionError, TondoError
from tondo.io.collections import picture_zip
from tondo.io.collections.celeba import read_attributes, read_training_split
from tondo.io.collections.picture_files import copy_transforms, list_pictures, opened


def png(value: int = 0, size: tuple[int, int] = (12, 10)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (value, 10, 20)).save(buffer, "PNG")
    return buffer.getvalue()


def put(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(number))
    return folder


def zipped(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(name, png(number))
    return path


def test_a_flat_folder_in_natural_order_without_hidden_files(tmp_path: Path) -> None:
    put(tmp_path, "10.png", "2.png", "1.jpg", ".hidden.png", "__MACOSX/._1.png")
    (tmp_path / "notes.txt").write_text("no picture")
    found = list_pictures(tmp_path)
    assert [file.name for file in found.files] == ["1.jpg", "2.png", "10.png"]
    assert (found.class_names, found.transforms) == (None, None)
    with opened(found) as read:
        assert read(found.files[1]).rgb[0, 0].tolist() == [1, 10, 20]


@pytest.mark.parametrize("as_zip", [False, True])
def test_sub_folders_are_classes_below_what_all_share(tmp_path: Path, as_zip: bool) -> None:
    names = ("all/red/1.png", "all/red/deep/2.png", "all/green/1.png", "all/green/2.png")
    source = zipped(tmp_path / "x.zip", *names) if as_zip else put(tmp_path / "x", *names)
    found = list_pictures(source)
    assert found.class_names == ("green", "red")
    classes = {file.name: file.class_name for file in found.files}
    assert classes["all/red/deep/2.png"] == "red"
    chosen = list_pictures(source, ["red"])
    assert [file.name for file in chosen.files] == ["all/red/1.png", "all/red/deep/2.png"]
    assert chosen.class_names == ("red",)
    with opened(found) as read:
        assert all(read(file).rgb.shape == (10, 12, 3) for file in found.files)


@pytest.mark.parametrize(
    "names",
    [
        ("1.png", "red/2.png", "green/3.png"),  # one is in none
        ("images/1.png", "images/2.png"),
        ("train/1.png", "train/3.png", "test/2.png"),
        ("a/1.png", "b/1.png", "c/1.png"),  # each in one of its own
    ],
)
def test_folders_that_are_no_classes(tmp_path: Path, names: tuple[str, ...]) -> None:
    found = list_pictures(put(tmp_path, *names))
    assert found.class_names is None
    assert len(found.files) == len(names)


def test_an_unknown_class_names_the_closest(tmp_path: Path) -> None:
    put(tmp_path, "red/1.png", "red/2.png", "green/1.png", "green/2.png")
    with pytest.raises(OptionError, match="did you mean 'green'"):
        list_pictures(tmp_path, ["gren"])
    with pytest.raises(OptionError, match="there are: green, red"):
        list_pictures(tmp_path, ["xyz"])
    with pytest.raises(OptionError, match="has no classes"):
        list_pictures(tmp_path / "red", ["red"])


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file or folder"):
        list_pictures(tmp_path / "nowhere")
    (tmp_path / "text.txt").write_text("x")
    with pytest.raises(InputError, match=r"no pictures in .*\(1 other files\)"):
        list_pictures(tmp_path)
    with pytest.raises(InputError, match="neither a folder of pictures nor a zip"):
        list_pictures(tmp_path / "text.txt")
    (tmp_path / "cut.zip").write_bytes(zipped(tmp_path / "x.zip", "1.png").read_bytes()[:-30])
    with pytest.raises(InputError, match="damaged or no zip"):
        list_pictures(tmp_path / "cut.zip")


def test_links_out_of_the_folder_are_named_and_not_followed(tmp_path: Path) -> None:
    put(tmp_path / "in", "1.png")
    put(tmp_path / "out", "secret.png")
    (tmp_path / "in" / "2.png").symlink_to(tmp_path / "out" / "secret.png")
    (tmp_path / "in" / "3.png").symlink_to(tmp_path / "in" / "1.png")
    (tmp_path / "in" / "more").symlink_to(tmp_path / "out")
    found = list_pictures(tmp_path / "in")
    assert [file.name for file in found.files] == ["1.png", "3.png"]
    assert [(one.name, one.reason) for one in found.skipped] == [
        ("2.png", "a link that leaves the folder")
    ]


def test_hostile_members_are_named_and_never_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_zip, "MEMBER_BYTES", 4_000_000)
    path = zipped(tmp_path / "x.zip", "1.png", "../2.png", "/etc/3.png", "C:\\4.png", "a\n5.png")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        link = zipfile.ZipInfo("6.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("7.png", bytes(3_000_000))  # deflate packs it a thousand times smaller
        archive.writestr("8.png", bytes(5_000_000))
        archive.writestr("9.png", png(), compress_type=zipfile.ZIP_BZIP2)
    data = path.read_bytes()
    found = list_pictures(path)
    assert [file.name for file in found.files] == ["1.png"]
    reasons = {one.name: one.reason for one in found.skipped}
    assert len(reasons) == 8
    assert all("leaves the folder" in reasons[n] for n in ("../2.png", "/etc/3.png", "C:/4.png"))
    assert "characters" in reasons["a\N{REPLACEMENT CHARACTER}5.png"]
    assert "link" in reasons["6.png"]
    assert "bomb" in reasons["7.png"]
    assert "larger than" in reasons["8.png"]
    assert "plain zip" in reasons["9.png"]
    assert path.read_bytes() == data
    assert [p.name for p in tmp_path.iterdir()] == ["x.zip"]


def test_a_member_without_a_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(zipped(tmp_path / "x.zip", "1.png", "2.png")) as archive:
        archive.infolist()[0].filename = ""
        found, skipped = picture_zip.list_members(archive)
    assert list(found) == ["2.png"]
    assert [one.reason for one in skipped] == ["its path leaves the folder"]


def test_members_on_top_of_each_other_are_a_bomb(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", "1.png", "2.png")
    with zipfile.ZipFile(path) as archive:
        second = archive.getinfo("2.png").header_offset
    data = path.read_bytes()
    # The second entry of the directory is made to point at the first file's place.
    entry = data.rindex(b"PK\x01\x02")
    assert struct.unpack("<I", data[entry + 42 : entry + 46])[0] == second
    path.write_bytes(data[: entry + 42] + struct.pack("<I", 0) + data[entry + 46 :])
    with pytest.raises(InputError, match="zip bomb or damaged"):
        list_pictures(path)


def test_a_member_that_is_damaged_or_lies_about_its_length(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", "1.png", "2.png")
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 8] ^= 0xFF  # of the first one
    path.write_bytes(data)
    found = list_pictures(path)
    with opened(found) as read:
        with pytest.raises(InputError, match=r"1\.png is damaged"):
            read(found.files[0])
        assert read(found.files[1]).rgb[0, 0, 0] == 1


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6))
def test_any_zip_is_read_or_refused(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    path = zipped(tmp_path / "x.zip", "a/1.png", "a/2.png", "b/3.png")
    data = bytearray(path.read_bytes())
    for place, byte in changes:
        data[place % len(data)] = byte
    path.write_bytes(data)
    try:
        found = list_pictures(path)
        with opened(found) as read:
            for file in found.files:
                try:
                    assert read(file).rgb.shape[2] == 3
                except InputError:
                    continue
    except TondoError:
        return


def test_the_transforms_nearest_to_the_top_count(tmp_path: Path) -> None:
    for place in ("deep/transforms.json", "transforms_train.json"):
        put(tmp_path / "x", "1.png", "deep/2.png")
        (tmp_path / "x" / place).write_text("{}")
    found = list_pictures(tmp_path / "x")
    assert found.transforms == "transforms_train.json"
    assert copy_transforms(found, tmp_path) == tmp_path / "x" / "transforms_train.json"
    with zipfile.ZipFile(tmp_path / "y.zip", "w") as archive:
        archive.writestr("set/1.png", png())
        archive.writestr("set/transforms.json", '{"frames": 1}')
    found = list_pictures(tmp_path / "y.zip")
    assert copy_transforms(found, tmp_path).read_text() == '{"frames": 1}'


ATTRIBUTES = """4
Smiling Young Male
000001.jpg -1  1 -1
000002.jpg  1  1 -1
000003.jpg  1 -1  1
000004.jpg -1 -1  1
"""
PARTITION = "000001.jpg 0\n000002.jpg 0\n000003.jpg 0\n000004.jpg 2\n"


@pytest.mark.parametrize("layout", ["published", "flat", "csv"])
def test_celeba_in_its_own_layouts(tmp_path: Path, layout: str) -> None:
    names = [f"img_align_celeba/{number:06d}.jpg" for number in range(1, 5)]
    if layout == "published":
        (tmp_path / "Img").mkdir()
        zipped(tmp_path / "Img" / "img_align_celeba.zip", *names)
        for folder, name, text in (
            ("Anno", "list_attr_celeba.txt", ATTRIBUTES),
            ("Eval", "list_eval_partition.txt", PARTITION),
        ):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / name).write_text(text)
    else:
        # The .csv edition has its pictures one folder deeper.
        put(tmp_path / ("img_align_celeba" if layout == "csv" else ""), *names)
        if layout == "csv":
            rows = [line.split() for line in ATTRIBUTES.splitlines()[1:]]
            rows[0].insert(0, "image_id")
            attributes = "\n".join(",".join(row) for row in rows)
            partition = "image_id,partition\n" + PARTITION.replace(" ", ",")
        else:
            attributes, partition = ATTRIBUTES, PARTITION
        ending = "csv" if layout == "csv" else "txt"
        (tmp_path / f"list_attr_celeba.{ending}").write_text(attributes)
        (tmp_path / f"list_eval_partition.{ending}").write_text(partition)
    found = list_pictures(tmp_path)
    assert [Path(file.name).stem for file in found.files] == ["000001", "000002", "000003"]
    assert found.class_names is None
    assert "training split" in found.note
    chosen = list_pictures(tmp_path, ["Smiling"])
    assert [Path(file.name).stem for file in chosen.files] == ["000002", "000003"]
    assert chosen.class_names == ("Smiling",)
    with opened(chosen) as read:
        assert read(chosen.files[0]).rgb.shape == (10, 12, 3)
    with pytest.raises(OptionError, match="did you mean 'Smiling'"):
        list_pictures(tmp_path, ["smiling"])


@pytest.mark.parametrize(
    "text", ["", "3\n", "2\nA B\nx.jpg 1\n", "1\nA\nx.jpg 7\n", "1\nA A\nx.jpg 1 1\n", "2\nA B\n"]
)
def test_celeba_lists_that_cannot_be_understood(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(InputError, match=r"list\.txt"):
        read_attributes(tmp_path / "list.txt")
    with pytest.raises(InputError, match=r"list\.txt"):
        read_training_split(tmp_path / "list.txt")
    (tmp_path / "list.txt").write_bytes(np.arange(256, dtype=np.uint8).tobytes())
    with pytest.raises(InputError, match="no text"):
        read_attributes(tmp_path / "list.txt")
