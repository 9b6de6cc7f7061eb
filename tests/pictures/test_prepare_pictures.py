"""Training sets from start to end: what is recognised, left out, written, refused."""

from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn import blob, scenery, write_all
from PIL import Image, ImageFilter

from tondo.errors import InputError, OptionError, OutputError, TondoError
from tondo.gan.training.inputs import FEW
from tondo.io.collections.picture_shards import load_pictures, read_manifest
from tondo.pictures import prepare as prepare_module
from tondo.pictures.options import PictureOptions
from tondo.pictures.prepare import prepare_pictures

SMALL = PictureOptions(size=24)


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than all else, and most tests do not look at it."""
    monkeypatch.setattr(prepare_module, "write_report", lambda folder, account: None)


def blobs(count: int = 20, **kwargs: object) -> list[Image.Image]:
    return [blob(seed, **kwargs) for seed in range(count)]  # type: ignore[arg-type]


def test_objects_on_white(tmp_path: Path) -> None:
    source = write_all(tmp_path / "in", blobs())
    stages = []
    found = prepare_pictures(
        source,
        tmp_path / "out",
        SMALL,
        on_progress=lambda stage, done, total: stages.append((stage, done)),
    )
    assert (found.count, found.size, found.has_cameras, found.left_out) == (20, 24, False, ())
    assert "plain background (white)" in found.kind
    assert [s for s, d in stages if d == 20] == ["looking", "cropping", "writing"]
    loaded = load_pictures(tmp_path / "out")
    assert (loaded.is_plain, loaded.with_alpha, loaded.size) == (True, False, 24)
    solid = (loaded.images.amin(dim=1) < 230).float()
    edges = torch.cat([loaded.images[:, :, 0], loaded.images[..., -1]])
    assert int(edges.min()) > 150  # a margin of 3 %, which is 0.7 of a pixel
    places = torch.arange(24) + 0.5
    for axis in (1, 2):
        centres = (solid.sum(dim=axis) * places).sum(dim=1) / solid.sum(dim=(1, 2))
        assert float((centres - 12).abs().max()) < 1.0
    assert 0.2 < float(solid.mean()) < 0.8
    assert any("few" in line for line in found.advice)
    assert any("`poses`" in line for line in found.advice)
    report = (tmp_path / "out" / "report.html").read_text()
    assert "What is missing" in report
    assert report.count("data:image/png") == 5
    facts = json.loads((tmp_path / "out" / "report.json").read_text())
    assert facts["pictures"] == 20
    assert facts["azimuths"] is None
    for name in ("contact", "extremes", "average", "colors", "spread"):
        with Image.open(tmp_path / "out" / "report" / f"{name}.png") as picture:
            assert picture.width > 100


@pytest.mark.usefixtures("no_report")
def test_another_plain_colour_becomes_white(tmp_path: Path) -> None:
    source = write_all(tmp_path / "in", [*blobs(background=(30, 60, 150)), scenery(1)])
    found = prepare_pictures(source, tmp_path / "out", SMALL)
    assert "30 60 150" in found.kind
    assert [(one.name, one.reason) for one in found.left_out] == [
        ("020.png", "another background than most of the set")
    ]
    images = load_pictures(tmp_path / "out").images
    assert int(images[:, :, 0].min()) > 250


@pytest.mark.usefixtures("no_report")
def test_alpha_is_kept(tmp_path: Path) -> None:
    source = write_all(tmp_path / "in", [*blobs(alpha=True), blob(40)])
    found = prepare_pictures(source, tmp_path / "out", SMALL)
    assert [one.reason for one in found.left_out] == ["no transparency, unlike most of the set"]
    loaded = load_pictures(tmp_path / "out")
    assert (loaded.with_alpha, loaded.is_plain) == (True, True)
    assert 0.2 < float((loaded.images[:, 3] > 127).float().mean()) < 0.8


@pytest.mark.usefixtures("no_report")
def test_scenery_is_cut_in_the_middle(tmp_path: Path) -> None:
    source = write_all(tmp_path / "in", [scenery(seed) for seed in range(20)])
    found = prepare_pictures(source, tmp_path / "out", SMALL)
    loaded = load_pictures(tmp_path / "out")
    assert (found.kind, loaded.is_plain) == ("scenery behind the object", False)
    with Image.open(source / "000.png") as picture:
        middle = picture.crop((4, 0, 44, 40)).resize((24, 24), Image.Resampling.LANCZOS)
    expected = torch.from_numpy(np.array(middle)).permute(2, 0, 1)
    difference = (loaded.images[0].int() - expected.int()).abs()
    assert int(difference[:, 2:-2, 2:-2].max()) <= 2
    with pytest.raises(OptionError, match="scenery"):
        prepare_pictures(source, tmp_path / "b", PictureOptions(size=24, crop="object"))


def test_what_is_left_out_is_named_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = blobs(18)
    pictures[3] = blob(3, (9, 8))
    pictures[5] = pictures[4]
    pictures[7] = pictures[7].filter(ImageFilter.GaussianBlur(3))
    pictures[9] = Image.new("RGB", (48, 40), "white")
    source = write_all(tmp_path / "in", pictures)
    data = (source / "011.png").read_bytes()
    (source / "011.png").write_bytes(data[: len(data) // 2])
    (source / "012.png").write_bytes(data[:50])
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    (source / "013.png").write_bytes(bomb.getvalue())
    options = PictureOptions(size=24, least=5)
    found = prepare_pictures(source, tmp_path / "out", options)
    reasons = {one.name: one.reason for one in found.left_out}
    assert reasons.keys() == {f"{n:03d}.png" for n in (3, 5, 7, 9, 11, 12, 13)}
    assert "too small: 9x8" in reasons["003.png"]
    assert reasons["005.png"] == "nearly the same as: 004.png"
    assert reasons["007.png"] == "blurred"
    assert reasons["009.png"] == "nothing on it"
    assert reasons["011.png"].startswith("the file is damaged or cut off")
    assert "the file" in reasons["012.png"]
    assert "decompression bomb" in reasons["013.png"]
    manifest = read_manifest(tmp_path / "out")
    assert {one.name for one in manifest.left_out} == reasons.keys()
    assert len(manifest.names) == 11
    assert (tmp_path / "out" / "report" / "duplicates.png").exists()
    assert (tmp_path / "out" / "report" / "blurred.png").exists()
    monkeypatch.setattr(prepare_module, "write_report", lambda folder, account: None)
    everything = PictureOptions(size=24, least=5, similar=0.0, keep_blurred=True)
    assert prepare_pictures(source, tmp_path / "all", everything).count == 13


@pytest.mark.usefixtures("no_report")
def test_sizes_of_all_kinds(tmp_path: Path) -> None:
    sizes = [8, 12, 20, 30, 64, 150, 300]
    pictures = [blob(seed, (sizes[seed % 7], sizes[(seed * 3) % 7])) for seed in range(42)]
    source = write_all(tmp_path / "in", pictures)
    found = prepare_pictures(source, tmp_path / "out", PictureOptions(size=16, least=5))
    assert found.count > 15
    assert load_pictures(tmp_path / "out").images.shape[2:] == (16, 16)
    assert all("too small" in one.reason or "the same" in one.reason or one.reason in
               ("blurred", "nothing on it") for one in found.left_out)  # fmt: skip


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ([], "no pictures in"),
        (blobs(1), "has 1 picture that can be used: training needs at least 16"),
        (blobs(10), rf"has 10 pictures that can be used.* {FEW} are enough .*--lora 8"),
        ([blob(1)] * 20, "all 20 pictures of in show the same"),
        ([blob(n % 3) for n in range(20)], "has 3 pictures .*17 nearly the same as"),
        ([Image.new("RGB", (30, 30), "white")] * 20, r"no pictures .*20 nothing on it"),
        ([blob(n, (8, 8)) for n in range(20)], r"no pictures .*20 too small"),
    ],
    ids=["none", "one", "ten", "all the same", "three", "blank", "tiny"],
)
def test_too_few(tmp_path: Path, pictures: list[Image.Image], message: str) -> None:
    source = write_all(tmp_path / "in", pictures)
    with pytest.raises(InputError, match=message):
        prepare_pictures(source, tmp_path / "out", SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.usefixtures("no_report")
def test_the_output_is_never_half_written_nor_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_all(tmp_path / "in", blobs())
    out = tmp_path / "out"
    prepare_pictures(source, out, SMALL)
    with pytest.raises(OutputError, match="made already: choose another folder, or `force`"):
        prepare_pictures(source, out, SMALL)
    before = (out / "pictures.json").read_bytes()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(prepare_module, "write_manifest", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare_pictures(source, out, PictureOptions(size=16), force=True)
    assert (out / "pictures.json").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]
    prepare_pictures(source, out, PictureOptions(size=16), force=True)
    assert load_pictures(out).size == 16
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="was not made by tondo prepare --for gan"):
        prepare_pictures(source, tmp_path / "mine", PictureOptions(size=24), force=True)
    with pytest.raises(OutputError, match="is a file"):
        prepare_pictures(source, source / "000.png", SMALL)
    with pytest.raises(OutputError, match="cannot write"):
        prepare_pictures(source, source / "000.png" / "out", SMALL)


@pytest.mark.usefixtures("no_report")
def test_classes_become_labels_and_large_sets_several_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare_module, "SHARD_BYTES", 7 * 24 * 24 * 3)
    write_all(tmp_path / "in" / "round", blobs())
    write_all(tmp_path / "in" / "rough", [blob(seed) for seed in range(50, 60)])
    found = prepare_pictures(tmp_path / "in", tmp_path / "out", SMALL)
    assert found.class_names == ("rough", "round")
    loaded = load_pictures(tmp_path / "out")
    assert loaded.labels is not None
    assert loaded.labels.tolist() == [0] * 10 + [1] * 20
    assert read_manifest(tmp_path / "out").counts == (7, 7, 7, 7, 2)
    only = PictureOptions(size=24, classes=("round",))
    found = prepare_pictures(tmp_path / "in", tmp_path / "b", only)
    assert (found.count, found.class_names) == (20, ("round",))


def transforms(count: int, width: int) -> str:
    """Cameras all round at a distance of 6, in a world with +z up."""
    frames = []
    for index in range(count):
        a = 2 * math.pi * index / count
        matrix = [
            [-math.sin(a), 0, math.cos(a), 6 * math.cos(a)],
            [math.cos(a), 0, math.sin(a), 6 * math.sin(a)],
            [0, 1, 0, 0],
            [0, 0, 0, 1],
        ]
        frames.append({"file_path": f"./images/{index:03d}", "transform_matrix": matrix})
    return json.dumps({"camera_angle_x": math.radians(20), "w": width, "frames": frames})


def test_known_cameras_come_along_from_folders_and_zips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [blob(seed, (60, 40), alpha=True) for seed in range(20)]
    write_all(tmp_path / "in" / "images", pictures)
    (tmp_path / "in" / "transforms.json").write_text(transforms(18, 60).replace('"w": 60, ', ""))
    found = prepare_pictures(tmp_path / "in", tmp_path / "out", SMALL)
    assert found.has_cameras
    assert [one.reason for one in found.left_out] == ["not listed in transforms.json"] * 2
    loaded = load_pictures(tmp_path / "out")
    assert loaded.viewmats is not None
    assert loaded.Ks is not None
    places = -(loaded.viewmats[:, :3, :3].mT @ loaded.viewmats[:, :3, 3:])[..., 0]
    assert float(places[:, 1].abs().max()) < 1e-4  # level, +y up
    distances = places.norm(dim=1)
    assert float(distances.std()) < 1e-4
    fov = 2 * torch.atan(12 / loaded.Ks[:, 0, 0])  # the unit sphere fills the picture
    torch.testing.assert_close(torch.sin(fov / 2) * distances, torch.ones(18), atol=0.02, rtol=0)
    assert (tmp_path / "out" / "report" / "poses.png").exists()
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for path in sorted((tmp_path / "in").rglob("*.*")):
            archive.write(path, path.relative_to(tmp_path))
    monkeypatch.setattr(prepare_module, "write_report", lambda folder, account: None)
    prepare_pictures(tmp_path / "in.zip", tmp_path / "b", SMALL)
    again = load_pictures(tmp_path / "b")
    assert torch.equal(again.images, loaded.images)
    assert again.viewmats is not None
    assert torch.equal(again.viewmats, loaded.viewmats)
    with pytest.raises(OptionError, match="`crop=whole`"):
        prepare_pictures(tmp_path / "in", tmp_path / "c", PictureOptions(size=24, crop="whole"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", 'no list "frames"'),
        ('{"frames": [', "not valid JSON"),
        ('{"frames": [], "camera_angle_x": 1}', "no picture of in can be used"),
        (transforms(18, 60).replace("images", "../images"), "leaves the folder"),
    ],
)
@pytest.mark.usefixtures("no_report")
def test_cameras_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    write_all(tmp_path / "in" / "images", blobs(18, alpha=True))
    (tmp_path / "in" / "transforms.json").write_text(text)
    with pytest.raises(TondoError, match=message):
        prepare_pictures(tmp_path / "in", tmp_path / "out", SMALL)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"size": 4}, "`size` must be from 8 to 1024, got 4"),
        ({"size": 5000}, "`size` must be from 8 to 1024, got 5000"),
        ({"crop": "round"}, "`crop` must be one of auto, object, centre, whole, got 'round'"),
        ({"similar": -1.0}, "`similar` must be from 0 to 1, got -1"),
        ({"similar": math.nan}, "`similar` must be from 0 to 1, got nan"),
    ],
)
def test_options_out_of_range(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        PictureOptions(**wrong)
