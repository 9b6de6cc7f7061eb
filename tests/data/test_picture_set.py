"""The record of a picture set refuses what cannot be one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tondo.data.pictures import PictureSet, of_classes
from tondo.errors import OptionError

N, S = 3, 8


def images(channels: int = 3) -> torch.Tensor:
    return torch.zeros(N, channels, S, S, dtype=torch.uint8)


def viewmats() -> torch.Tensor:
    return torch.eye(4).repeat(N, 1, 1)


def Ks() -> torch.Tensor:
    return torch.tensor([[9.0, 0, 4], [0, 9, 3], [0, 0, 1]]).repeat(N, 1, 1)


def test_a_whole_set() -> None:
    labels = torch.tensor([0, 1, 1])
    found = PictureSet(images(4), viewmats(), Ks(), labels, ("a", "b"), "here", True)
    assert (found.size, found.with_alpha) == (S, True)
    assert not PictureSet(images()).with_alpha


def mirrored() -> torch.Tensor:
    return viewmats() * torch.tensor([-1.0, 1, 1, 1])


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"images": torch.zeros(N, 3, S, S)}, "must be uint8"),
        ({"images": images(2)}, "3 channels, or 4"),
        ({"images": torch.zeros(N, 3, S, S + 1, dtype=torch.uint8)}, "N, C, S, S"),
        ({"images": images()[:0]}, "at least one picture"),
        ({"viewmats": viewmats()}, "together"),
        ({"viewmats": viewmats()[:2], "Ks": Ks()}, "N=3"),
        ({"viewmats": viewmats() * 1.1, "Ks": Ks()}, "must be a rotation"),
        ({"viewmats": mirrored(), "Ks": Ks()}, "mirrors"),
        ({"viewmats": viewmats().double(), "Ks": Ks()}, "must be float32"),
        ({"viewmats": viewmats() * torch.nan, "Ks": Ks()}, "NaN"),
        ({"viewmats": viewmats(), "Ks": -Ks()}, "focal"),
        ({"labels": torch.zeros(N, dtype=torch.int64)}, "together"),
        ({"labels": torch.tensor([0, 1, 2]), "class_names": ("a", "b")}, r"0\.\.1, got 0\.\.2"),
        ({"labels": torch.zeros(N), "class_names": ("a",)}, "must be int64"),
    ],
)
def test_what_cannot_be(parts: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        PictureSet(**{"images": images(), **parts})


def test_pictures_of_some_classes() -> None:
    images = torch.arange(5, dtype=torch.uint8)[:, None, None, None].expand(5, 3, 2, 2)
    labels = torch.tensor([0, 2, 1, 0, 2])
    pictures = PictureSet(images, labels=labels, class_names=("a", "b", "c", "d"), source="x.zip")
    found = of_classes(pictures, ("c", "a"))
    assert found.images[:, 0, 0, 0].tolist() == [0, 1, 3, 4]
    assert found.labels is not None
    assert found.labels.tolist() == [0, 2, 0, 2]
    for wrong, words in (("e", "there are a, b, c, d"), ("d", "no picture of x.zip")):
        with pytest.raises(OptionError, match=words):
            of_classes(pictures, (wrong,))
    with pytest.raises(OptionError, match="no classes are known"):
        of_classes(PictureSet(images), ("a",))
