"""What a set is said to lack."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from drawn import blob

from tondo.data.photos import Skipped
from tondo.geometry.pose_prior import PosePrior, draw_cameras
from tondo.pictures.diversity import Account, describe, give_advice, hue_name
from tondo.pictures.measure import measure_picture


def account(count: int = 12) -> Account:
    images = np.stack([np.asarray(blob(seed, (24, 24))) for seed in range(count)])
    return Account(
        title="things",
        kind="white",
        note="",
        images=images,
        names=tuple(f"{n}.png" for n in range(count)),
        classes=(None,) * count,
        rows=tuple(range(count)),
        measured=tuple(measure_picture(image, True) for image in images),
        pairs=(),
        blurred=(),
        enlarged=0,
        is_plain=True,
        viewmats=None,
        left_out=(Skipped("x", "too small: 3x3"), Skipped("y", "too small: 2x2")),
    )


def said(one: Account) -> str:
    return "\n".join(give_advice(one, describe(one)))


def test_few_pictures_and_no_cameras() -> None:
    text = said(account())
    assert "12 pictures are few" in text
    assert "`poses`" in text
    assert describe(account()).reasons == {"too small": 2}


def test_frames_of_one_thing() -> None:
    one = account()
    same = dataclasses.replace(one, measured=(one.measured[0],) * 12)
    assert describe(same).looks == 1
    assert "only 1 of 12 differ clearly" in said(same)


def test_uneven_classes_and_enlarged_pictures() -> None:
    one = dataclasses.replace(account(), classes=("cat",) * 11 + ("dog",), enlarged=6)
    text = said(one)
    assert "'cat' has 11 pictures, 'dog' 1" in text
    assert "50% of the pictures had to be enlarged to 24 pixels" in text


def test_directions_without_cameras() -> None:
    prior = (PosePrior((-60.0, 60.0), (0.0, 30.0)),)
    cameras = draw_cameras(prior, 200, 24, torch.Generator().manual_seed(0))
    one = account()
    many = dataclasses.replace(
        one, viewmats=cameras.viewmats.numpy(), measured=one.measured, rows=one.rows
    )
    text = said(many)
    assert "azimuth -180° to -60° or 60° to 180°" in text
    assert "from below (0° is the lowest)" in text
    assert "from above (30° is the highest)" in text
    found = describe(many)
    assert found.sectors is not None
    assert sum(found.sectors) == pytest.approx(1)


@pytest.mark.parametrize(
    ("color", "name"),
    [
        ((0.9, 0.1, 0.1), "red"),
        ((0.9, 0.1, 0.2), "red"),
        ((0.9, 0.5, 0.1), "orange"),
        ((0.8, 0.8, 0.1), "yellow"),
        ((0.2, 0.8, 0.2), "green"),
        ((0.1, 0.8, 0.8), "turquoise"),
        ((0.1, 0.2, 0.9), "blue"),
        ((0.5, 0.1, 0.9), "violet"),
        ((0.9, 0.1, 0.7), "pink"),
        ((0.5, 0.5, 0.45), "grey"),
    ],
)
def test_hues_have_their_names(color: tuple[float, float, float], name: str) -> None:
    assert hue_name(color) == name
