"""Option records as JSON and back, and what counts where a run goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from tondo.errors import InputError
from tondo.runs.run_directory import create_run
from tondo.runs.stored_options import config_of, ignored_options, restored, stored_options


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    coarse: tuple[tuple[float, int], ...] = ((0.15, 2),)


@dataclass(frozen=True)
class Options:
    size: int = 64
    minutes: float | None = None
    kind: Literal["plain", "projected"] = "plain"
    names: tuple[str, ...] = ()
    color: str | tuple[float, float, float] | None = None
    mirror: bool = False
    exposure: bool | None = None
    inner: Inner = field(default_factory=Inner)
    device: str = "auto"


NOW = ("device",)
BEGUN = Options(
    48, 2.0, "projected", ("a", "b"), (0.0, 0.5, 1.0), True, False, Inner(1.0, ((0.5, 4),))
)


def run_of(folder: Path, options: Options, **values: object) -> Any:
    config = config_of("count", folder / "photos", options, NOW)
    return create_run(folder / "run", json.loads(json.dumps(config | values)))


def test_what_was_stored_comes_back_by_its_types(tmp_path: Path) -> None:
    run = run_of(tmp_path, BEGUN)
    assert "device" not in json.loads(run.config_path.read_text())
    found, source = stored_options(run, "count", Options(device="cpu"), NOW)
    assert found == replace(BEGUN, device="cpu")
    assert source == tmp_path / "photos"
    longer, _ = stored_options(run, "count", Options(minutes=5.0, size=7), NOW)
    assert (longer.minutes, longer.size) == (5.0, 48)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"command": "train"}, r"is a run of `tondo train`, not of `tondo count`"),
        ({"size": "48"}, "not the config of a run of this version"),
        ({"mirror": 1}, "expected <class 'bool'>, got 1"),
        ({"kind": "odd"}, "not the config of a run of this version"),
        ({"color": [0, 1]}, "not the config of a run of this version"),
        ({"inner": {"rate": 1.0, "depth": 3}}, "no setting 'depth'"),
        ({"inner": 7}, "got 7"),
    ],
)
def test_what_does_not_fit_is_said(values: dict, words: str, tmp_path: Path) -> None:
    run = run_of(tmp_path, BEGUN, **values)
    with pytest.raises(InputError, match=words):
        stored_options(run, "count", Options(), NOW)


def test_numbers_are_what_their_fields_say() -> None:
    assert restored(float, 3) == 3.0
    assert isinstance(restored(float, 3), float)
    assert restored(tuple[float, ...], []) == ()
    assert restored(Path | None, "a/b") == Path("a/b")
    for kind, value in ((float, True), (int, 3.0), (int, True), (Path, 3)):
        with pytest.raises(TypeError):
            restored(kind, value)


def test_options_that_are_not_taken_are_named() -> None:
    asked = Options(minutes=9.0, device="cpu", size=32, mirror=False, inner=Inner(rate=2.0))
    sentences = ignored_options(asked, BEGUN, NOW)
    assert sentences == [
        "`size=32` is ignored: the run was started with 48",
        "`rate=2` is ignored: the run was started with 1",
    ]
    given = ("size", "mirror", "color", "inner.coarse", "exposure", "device", "minutes")
    sentences = ignored_options(replace(asked, size=48), BEGUN, NOW, given)
    assert sentences == [
        "`color=the default` is ignored: the run was started with 0,0.5,1",
        "`mirror=False` is ignored: the run was started with it",
        "`exposure=the default` is ignored: the run was started with off",
        "`coarse=0.15,2` is ignored: the run was started with 0.5,4",
    ]
