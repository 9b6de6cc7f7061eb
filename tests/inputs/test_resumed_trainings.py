"""A generator's training goes on with the pictures that it was started with."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from tondo.data.pictures import PictureSet
from tondo.errors import InputError
from tondo.gan.training.inputs import note_pictures
from tondo.runs.run_directory import create_run


def test_other_pictures_are_refused(tmp_path: Path) -> None:
    run = create_run(tmp_path / "run", {"tondo": "1"})
    images = torch.arange(5 * 3 * 8 * 8).reshape(5, 3, 8, 8).to(torch.uint8)
    labels = torch.tensor([0, 1, 0, 1, 1])
    begun = PictureSet(images, labels=labels, class_names=("a", "b"), source="apples.zip")
    note_pictures(run, begun, resume=True)  # of an older version, which noted nothing
    note_pictures(run, begun, resume=True)
    other = images.clone()
    other[3, 1, 2, 5] += 1
    with pytest.raises(InputError, match=r"apples\.zip are not those .*others of the same number"):
        note_pictures(run, dataclasses.replace(begun, images=other), resume=True)
    with pytest.raises(InputError, match="others of the same number"):
        note_pictures(run, dataclasses.replace(begun, labels=labels.flip(0)), resume=True)
    fewer = dataclasses.replace(begun, images=images[:4], labels=labels[:4])
    with pytest.raises(InputError, match=r"\(5 then, 4 now\): restore them"):
        note_pictures(run, fewer, resume=True)
    note_pictures(run, begun, resume=True)
