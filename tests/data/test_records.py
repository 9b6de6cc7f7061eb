"""Records say what they hold in a few words, never in pages of numbers."""

from __future__ import annotations

import pytest
import torch

from ball_field import ball_scene
from small_photos import cameras, known_scene, photos, points
from tondo.data.mesh import Mesh
from tondo.data.photos import PhotoSet
from tondo.data.pictures import PictureSet
from tondo.data.splats import Exposures
from tondo.data.views import View

SET = PhotoSet(tuple(photos(3)), (), points(80), torch.zeros(3), False, (), "transforms.json")
CORNERS = Mesh(torch.eye(3), torch.tensor([[0, 1, 2]]), torch.zeros(3, 3, dtype=torch.uint8))
ZEROS = torch.zeros(56, 72)


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (cameras(1)[0], "Camera(72x56, focal length 70)"),
        (known_scene().splats, "Splats(60, colours of degree 1)"),
        (known_scene(), "Scene(60 splats, radius 1)"),
        (ball_scene().field, "Field(HashEncoding, 66,043 parameters)"),
        (ball_scene(), "FieldScene(Field(HashEncoding, 66,043 parameters), radius 1)"),
        (SET.train[2], "Photo('002.png', 72x56)"),
        (SET, "PhotoSet(transforms.json, 3 to train on, 0 held out, 80 points)"),
        (CORNERS, "Mesh(3 vertices, 1 faces, colors)"),
        (View(cameras(1)[0], torch.zeros(56, 72, 3), ZEROS, ZEROS), "View(72x56)"),
        (
            PictureSet(torch.zeros(7, 4, 8, 8, dtype=torch.uint8)),
            "PictureSet(7 of 8x8, alpha)",
        ),
        (
            Exposures(torch.eye(4)[None], torch.zeros(1, 3, 4)),
            "Exposures(viewmats=float32[1, 4, 4], matrices=float32[1, 3, 4])",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_in_a_few_words(record: object, text: str) -> None:
    assert repr(record) == text
    assert len(repr([record])) < 200
