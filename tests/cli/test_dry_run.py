"""`--dry-run` says what would be done, and does nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from small_photos import write_photos
from small_pictures import training_set_of_balls
from tondo.cli.main import main
from tondo.runs.run_directory import create_run
from tondo.runs.stored_options import config_of
from tondo.scenes.options import OF_NOW, ReconstructOptions

KINDS = [f"kinds/{kind}/{number}.png" for kind in ("round", "flat") for number in (1, 2)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos with poses, photos without, pictures of two classes and a prepared set of them."""
    place = tmp_path_factory.mktemp("dry")
    write_photos(place / "posed", 9)
    for name in ("shelf/a.png", "shelf/b.png", *KINDS):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), "blue").save(place / name)
    training_set_of_balls(place / "balls").rename(place / "set")
    return place


def said(words: str, place: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    before = sorted(place.rglob("*"))
    assert (
        main([word.format(place) for word in [*words.split(), "-o", "{0}/out", "--dry-run"]]) == 0
    )
    assert sorted(place.rglob("*")) == before
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "nothing was done (--dry-run)"
    return [line.strip() for line in lines]


def test_photos_with_poses(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said("reconstruct {0}/posed --max-size 32 --background black", place, capsys)
    assert "7 photos to train on, 2 held out, 32x25 (of 72x56)" in lines[0]
    assert {"max_size = 32", "background = black", "splats.sh_degree = 3"} < set(lines)
    assert "minutes = 3 (not given: chosen)" in lines
    assert "splats.max_splats = 60000 (not given: chosen)" in lines
    assert "poses = those of the photos (not given: chosen)" in lines
    assert any(line.startswith("exposure = o") for line in lines)
    assert not any(line.startswith("nerf.") for line in lines)


def test_a_field(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "reconstruct {0}/posed --method nerf --encoding dct --steps 9"
    lines = said(words, place, capsys)
    assert {"steps = 9", "nerf.encoding = dct", "nerf.dct.rates.batch = 65536"} < set(lines)
    assert "nerf.sampling.cells = 192 (not given: chosen)" in lines
    assert not any(line.startswith(("splats", "nerf.hash", "minutes")) for line in lines)


def test_photos_without_poses(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ("reconstruct {0}/shelf", "prepare {0}/shelf"):
        lines = said(words, place, capsys)
        assert lines[0] == f"{place}/shelf: 2 photos without poses, 40x30"
        assert "seed = 0" in lines
    assert "feature_size = 960" in lines


def test_length_and_splats_follow_the_pixels(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "large").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (1200, 900), "blue").save(tmp_path / "large" / name)

    def chosen(words: str) -> dict[str, str]:
        lines = said(f"reconstruct {tmp_path}/large {words}", place, capsys)
        pairs = (line.split(" = ") for line in lines if line.endswith("(not given: chosen)"))
        return {name: text.removesuffix(" (not given: chosen)") for name, text in pairs}

    found = chosen("")
    assert (found["minutes"], found["splats.max_splats"]) == ("3", "60000")
    found = chosen("--max-size 960")  # 960x720: three times 480x480
    assert (found["minutes"], found["splats.max_splats"]) == ("9", "180000")
    found = chosen("--max-size 960 --steps 9 --max-splats 500")
    assert not {"minutes", "splats.max_splats"} & set(found)
    found = chosen("--max-size 960 --method nerf")
    assert found["minutes"] == "3"
    assert "splats.max_splats" not in found


def test_pictures(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said("prepare {0}/kinds --for gan --size 32", place, capsys)
    assert lines[:2] == [
        f"{place}/kinds: 4 pictures, to be prepared at 32x32; no cameras known",
        "2 classes: flat, round",
    ]
    assert "crop = auto" in lines
    lines = said("train {0}/kinds --kimg 1 --device cpu", place, capsys)
    assert {"kimg = 1", "adversarial.loss = hinge", "schedule.batch = 24"} < set(lines)
    assert "poses = turntable or frontal (not given: chosen)" in lines
    assert "device = cpu (not given: chosen)" not in lines


def test_a_prepared_set(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said("train {0}/set --size 32", place, capsys)
    assert lines[0].startswith(f"{place}/set: a prepared set of ")
    assert "background = white (not given: chosen)" in lines
    assert "light = camera (not given: chosen)" in lines


def test_a_run_that_goes_on(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = config_of("reconstruct", place / "posed", ReconstructOptions(seed=3), {*OF_NOW, "nerf"})
    run = create_run(tmp_path / "run", {**begun, "masks": "auto"}).path
    words = ["reconstruct", str(place / "posed"), "-o", str(run), "--resume", "--dry-run"]
    assert main([*words, "--seed", "4", "--steps", "9"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "--seed 4 is ignored: the run was started with 3"
    assert {"seed = 3", "steps = 9"} < set(lines)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("reconstruct {0}/none -o {0}/out", "there is no file or folder"),
        ("reconstruct {0}/posed -o {0}/shelf", "a folder with other things in it"),
        ("reconstruct {0}/posed -o {0}/out --encoding dct", "--encoding goes with --method nerf"),
        ("reconstruct {0}/posed -o {0}/out --resume", "there is no run at"),
        ("train {0}/none -o {0}/out", "none"),
        ("train {0}/kinds -o {0}/out --lora 2", "say which with --from"),
        ("prepare {0}/kinds -o {0}/shelf --for gan", "choose another folder, or --force"),
    ],
)
def test_what_could_not_run_is_one_sentence(
    words: str, message: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word.format(place) for word in [*words.split(), "--dry-run"]]) == 2
    assert message in capsys.readouterr().err
    assert not (place / "out").exists()
