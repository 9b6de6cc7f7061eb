"""What an installed generator says of itself: in its file, and on the page beside it."""

from __future__ import annotations

import re

import pytest

from tondo.gan.files.generator_file import Card
from tondo.gan.files.open_generator import open_generator, shipped_folder, shipped_names

MOST_BYTES = 8_000_000
MEASURES = ("frechet", "kernel", "precision", "recall", "diversity")
NAMES = shipped_names()


def card_of(name: str) -> Card:
    return open_generator(name).trained.card


def page_of(name: str) -> str:
    return (shipped_folder() / f"{name}.md").read_text(encoding="utf-8")


def line_of(page: str, begin: str) -> str:
    """What the page says after `begin` on the line of it."""
    (found,) = re.findall(rf"^- {begin}[^:]*: (.+)$", page, re.M)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_small_and_says_where_it_comes_from(name: str) -> None:
    """Trained for some time, on pictures with a source and a licence, and measured."""
    card = card_of(name)
    assert card.kimg > 0
    assert card.hours > 0
    assert card.pictures >= 16
    assert all((card.name, card.licence, card.source, card.limits, card.poses))
    assert card.metrics.keys() >= set(MEASURES)
    files = [f for f in shipped_folder().glob(f"{name}.*safetensors") if f.is_file()]
    assert shipped_folder() / f"{name}.safetensors" in files
    assert sum(file.stat().st_size for file in files) < MOST_BYTES, "with what lies beside it"


@pytest.mark.parametrize("name", NAMES)
def test_the_model_card_names_data_licence_training_and_limits(name: str) -> None:
    """Each in a line of its own, the same as in the file."""
    card, page = card_of(name), page_of(name)
    data = line_of(page, "Trained on")
    assert card.source in data
    assert f"{card.pictures:,} pictures" in data
    assert card.poses in data
    assert card.licence in line_of(page, "Licence")
    state = line_of(page, "Training")
    kimg, hours = (float(word) for word in re.findall(r"[\d.]*\d", state))
    assert "thousand pictures" in state
    assert kimg == pytest.approx(card.kimg, abs=0.5)
    assert "hours" in state
    assert hours == pytest.approx(card.hours, abs=0.005)
    assert re.search(r"`tondo train .+`, commit `[0-9a-f]{7}`", line_of(page, "Made by"))
    assert line_of(page, "Limits") == card.limits


@pytest.mark.parametrize("name", NAMES)
def test_the_model_card_has_the_measures_and_how_they_were_taken(name: str) -> None:
    """A Fréchet distance means nothing without the network, the resolution and the numbers."""
    card, page = card_of(name), page_of(name)
    rows = dict(re.findall(r"^\| (\w+) \| ([-\d.]+) \|$", page, re.M))
    for measure in MEASURES:
        assert float(rows[measure]) == pytest.approx(card.metrics[measure], rel=1e-3), measure
    (head,) = re.findall(r"^\| measure, (.+?) \|", page, re.M)
    assert re.fullmatch(r"over \S+ at \d+ px, \d+ pictures, \d+ samples", head)


def test_every_page_is_of_a_generator_and_every_generator_has_one() -> None:
    assert "fish" in NAMES
    pages = {path.stem for path in shipped_folder().glob("*.md")}
    assert pages == set(NAMES)
