"""Coverage of viewing directions, advice, and the report that shows them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tondo.data.photos import Skipped
from tondo.sfm.capture.coverage import give_advice, measure_coverage
from tondo.sfm.capture.facts import Capture, PhotoOutcome
from tondo.sfm.capture.report import write_report


def outcome(index: int, *, registered: bool = True, faults: tuple[str, ...] = ()) -> PhotoOutcome:
    return PhotoOutcome(
        name=f"{index:03d}.jpg",
        source=f"{index:03d}.jpg",
        registered=registered,
        reason="" if registered else "; ".join(faults) or "too few matches",
        faults=faults,
        sharpness=1.0,
        brightness=0.5,
        features=900,
        matches=400 if registered else 5,
        partner="000.jpg",
        points=300 if registered else 0,
        error=0.6,
    )


def ring(azimuths: np.ndarray, *, outward: bool = False, elevation: float = 10.0) -> Capture:
    """Cameras on a ring of radius 3 around (1, 2, 0); up is z; heights differ by 30 degrees."""
    angles = np.radians(azimuths)
    heights = np.radians(elevation + np.where(np.arange(len(angles)) % 2, 30.0, 0.0))
    rays = np.stack(
        [np.cos(heights) * np.sin(angles), -np.cos(heights) * np.cos(angles), np.sin(heights)], 1
    )
    center = np.array([1.0, 2.0, 0.0])
    points = center + np.random.default_rng(0).normal(0, 0.3 if not outward else 9.0, (401, 3))
    return Capture(
        photos=tuple(outcome(i) for i in range(len(angles))),
        skipped=(),
        registered=tuple(f"{i:03d}.jpg" for i in range(len(angles))),
        positions=center + 3.0 * rays * (0.05 if outward else 1.0),
        directions=rays if outward else -rays,
        up=np.array([0.0, 0.0, 1.0]),
        points=points,
        colors=np.full((401, 3), 120, np.uint8),
        error=0.6,
        inliers=np.full((len(angles), len(angles)), 200),
        other_models=(),
    )


@pytest.mark.parametrize("outward", [False, True])
def test_a_full_ring_is_covered_and_praised(outward: bool) -> None:
    capture = ring(np.arange(0, 360, 12.0), outward=outward)
    coverage = measure_coverage(capture)
    assert coverage.inward is not outward
    assert coverage.covered == pytest.approx(360.0)
    assert coverage.gap is None
    assert len(give_advice(capture, coverage)) == 1
    assert give_advice(capture, coverage)[0].startswith("Nothing needs")


def test_half_a_ring_leaves_a_gap_between_its_ends() -> None:
    capture = ring(np.arange(0, 181, 10.0)[::-1])
    coverage = measure_coverage(capture)
    assert coverage.gap is not None
    assert coverage.gap[1] - coverage.gap[0] == pytest.approx(180.0, abs=3.0)
    assert coverage.covered == pytest.approx(210.0, abs=3.0)
    assert set(coverage.gap_between or ()) == {"000.jpg", "018.jpg"}
    assert np.ptp(coverage.elevations) == pytest.approx(30.0, abs=4.0)
    advice = " ".join(give_advice(capture, coverage))
    assert f"{coverage.covered:.0f} of the 360" in advice
    assert "12 photos" in advice


def test_azimuth_0_is_behind_the_mean_camera_and_grows_to_the_right() -> None:
    # Seen from the cameras, which look along +y, larger x is to the right.
    coverage = measure_coverage(ring(np.array([-40.0, -10.0, 10.0, 40.0]), elevation=-15.0))
    assert coverage.azimuths == pytest.approx([320, 350, 10, 40], abs=2.5)
    assert coverage.elevations == pytest.approx([-15, 15, -15, 15], abs=2.5)


def test_level_rings_ask_for_other_heights() -> None:
    capture = ring(np.arange(0, 360, 24.0))
    level = replace(capture, positions=capture.positions * [1, 1, 0], up=np.array([0.0, 0, 1]))
    assert any("same height" in line for line in give_advice(level, measure_coverage(level)))


def test_advice_names_the_photos_and_what_to_do() -> None:
    capture = ring(np.arange(0, 360, 12.0))
    photos = list(capture.photos)
    photos[3] = outcome(3, registered=False, faults=("blurred (sharpness 9% of the usual)",))
    photos[4] = outcome(4, registered=False)
    photos[5] = outcome(5, registered=False, faults=("too dark (70% of it black)",))
    photos[7] = outcome(7, faults=("blurred (sharpness 20% of the usual)",))
    photos[8] = outcome(8, registered=False)
    capture = replace(
        capture, photos=tuple(photos), other_models=(("008.jpg", "009.jpg"),), error=2.5
    )
    advice = give_advice(capture, measure_coverage(capture))
    found = {
        "003.jpg again: blurred",
        "004.jpg could not be connected",
        "005.jpg again with other exposure",
        "007.jpg was placed but less sharp",
        "Group 2 (008.jpg and 009.jpg)",
        "2.5 pixels",
    }
    assert {text for text in found if any(text in line for line in advice)} == found
    assert len(advice) == len(found)


def test_without_a_model_there_is_advice_too() -> None:
    lost = tuple(outcome(i, registered=False) for i in range(8))
    empty = np.zeros((0, 3))
    capture = replace(
        ring(np.array([0.0])), photos=lost, registered=(), positions=empty, directions=empty
    )
    advice = give_advice(capture, None)
    assert "More than half" in advice[0]
    assert "000.jpg, 001.jpg, 002.jpg, 003.jpg, 004.jpg and 3 more" in advice[1]


def test_the_report_is_one_page_that_needs_nothing_else(tmp_path: Path) -> None:
    capture = ring(np.arange(0, 200, 20.0))
    odd = replace(outcome(2, registered=False), source="<b>&.heic")
    capture = replace(
        capture,
        photos=(*capture.photos[:2], odd, *capture.photos[3:]),
        skipped=(Skipped("cut.jpg", "the file is cut off"),),
    )
    (tmp_path / "images").mkdir()
    for photo in capture.photos:
        Image.new("RGB", (40, 30), (90, 120, 60)).save(tmp_path / "images" / photo.name)
    coverage = write_report(tmp_path, capture, title="a <scene>")
    assert coverage is not None
    page = (tmp_path / "report.html").read_text()
    assert "<b>&.heic" not in page
    assert "&lt;b&gt;&amp;.heic" in page
    assert "a &lt;scene&gt;" in page
    assert "the file is cut off" in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == len(capture.photos) + 4
    assert all(source.startswith("data:image/") for source in sources)
    names = sorted(path.name for path in (tmp_path / "report").iterdir())
    assert names == ["above.png", "directions.png", "matches.png", "side.png"]
    for name in names:
        with Image.open(tmp_path / "report" / name) as picture:
            colors = picture.convert("RGB").getcolors(1 << 20)
        assert colors is not None
        assert len(colors) > 20, f"{name} is empty"
