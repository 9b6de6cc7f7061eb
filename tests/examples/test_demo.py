"""What `make demo` ends in."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import pytest
from PIL import Image

from khronos import khronos_report
from tondo.runs.run_directory import open_run, read_metrics

FILE = Path(__file__).resolve().parents[2] / "examples" / "demo.py"


@pytest.fixture(scope="module")
def exported(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, and what the demo exports of it."""
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(place / "run", folder / "run")
    how = ("--resolution", "48", "--faces", "2000", "--texture", "128")
    runpy.run_path(str(FILE))["export"](folder / "run", folder, *how)
    return folder


def test_the_validator_says_nothing_of_the_textured_mesh(exported: Path) -> None:
    report = khronos_report(exported / "model.glb")
    assert report["issues"]["messages"] == []
    assert report["info"]["materialCount"] == 1
    assert report["info"]["hasTextures"]


def test_the_contact_sheet_has_the_mesh_beside_photographs(exported: Path) -> None:
    with (
        Image.open(exported / "contact_sheet.png") as sheet,
        Image.open(exported / "run/renders/as_mesh/000.png") as row,
    ):
        assert sheet.width == row.width
        assert sheet.height == 2 * row.height
        assert sheet.getextrema() != ((255, 255),) * 3
    found = read_metrics(open_run(exported / "run"))["as_mesh"]
    assert found["textured_mesh"]["psnr"] > 12
