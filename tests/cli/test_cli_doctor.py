"""The doctor finds what is there, and names the command for what is not."""

from __future__ import annotations

import json

import pytest

from tondo.cli.main import main
from tondo.cli.verbs import doctor


def test_the_report_as_json_and_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report["versions"]) == {"tondo", "python", *doctor.NEEDED}
    assert report["native"]["loaded"]
    assert report["native"]["threads"] >= 1
    assert report["path"].startswith("native")
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for wanted in ("SIMD", "threads", "GPU", "renders with", "torch", "gsplat"):
        assert wanted in out, wanted


def test_a_missing_optional_part_gives_its_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = doctor._version
    monkeypatch.setattr(
        doctor, "_version", lambda name: None if name in ("gsplat", "pytest") else found(name)
    )
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "pip install gsplat" in out
    assert "pip install '.[test]'" in out, "brackets are text, not markup"


def test_a_missing_needed_package_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "av" else found(name))
    assert main(["doctor"]) == 2
    assert capsys.readouterr().err == "tondo: error: packages are missing: pip install av\n"


def test_a_native_module_that_does_not_load_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = doctor.Native(False, "this processor lacks AVX2", "none", 0)
    monkeypatch.setattr(doctor, "_native", lambda: broken)
    assert main(["doctor"]) == 2
    assert "NOT LOADED: this processor lacks AVX2" in capsys.readouterr().out
