"""The page that all reports share."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import numpy as np
import pytest
from PIL import Image

from tondo.io.images import picture_png
from tondo.reports.figures import figure_png, hide_spines, new_figure
from tondo.reports.page import write_page

FACTS = {
    "title": "<script>a & b",
    "recognised": "drawn",
    "note": "",
    "counts": [("<1", "pictures")],
    "advice": [],
    "pairs": "0",
    "blurred": "0",
    "classes": [],
    "reasons": "1 for being <b>",
    "left_out": [("</td>x.png", "<b>")],
    "more": 1234,
}


def test_texts_are_escaped_and_nothing_is_loaded(tmp_path: Path) -> None:
    picture = picture_png(np.zeros((4, 6, 3), np.uint8))
    write_page(tmp_path, "pictures/report.html", {"contact.png": picture}, FACTS)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "<script>" not in page
    assert "Diversity report: &lt;script&gt;a &amp; b</title>" in page
    assert "&lt;/td&gt;x.png" in page
    assert "<li>Nothing.</li>" in page
    assert "and 1,234 more" in page
    assert re.findall(r'(?:src|href)="(.{22})', page) == ["data:image/png;base64,"]
    assert (tmp_path / "report" / "contact.png").read_bytes() == picture


def test_a_template_that_misses_a_fact_fails(tmp_path: Path) -> None:
    facts = {name: value for name, value in FACTS.items() if name != "advice"}
    with pytest.raises(jinja2.UndefinedError, match="advice"):
        write_page(tmp_path, "pictures/report.html", {}, facts)


def test_the_same_drawing_gives_the_same_bytes(tmp_path: Path) -> None:
    drawn = []
    for _ in range(2):
        figure = new_figure(2, 1)
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1])
        hide_spines(axes, "top")
        assert [side for side, line in axes.spines.items() if not line.get_visible()] == ["top"]
        drawn.append(figure_png(figure))
    assert drawn[0] == drawn[1]
    (tmp_path / "drawn.png").write_bytes(drawn[0])
    with Image.open(tmp_path / "drawn.png") as picture:
        assert picture.size == (260, 130)
