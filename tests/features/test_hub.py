"""Weights of the hub, here a folder: fetched once, checked, or one sentence."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
import torch

from tiny_weights import tiny_resnet
from tondo.errors import MissingPartError
from tondo.features import choose, hub
from tondo.features.choose import load_extractor
from tondo.features.resnet import ResNetShape, load_resnet50


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub with the weights of a tiny network, which nothing was fetched from yet."""
    content = io.BytesIO()
    torch.save(tiny_resnet(2, (1, 1, 1, 1)), content)
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    there = tmp_path / "hub" / f"tiny-{digest[:8]}.pth"
    there.parent.mkdir()
    there.write_bytes(content.getvalue())
    monkeypatch.setattr(hub, "HUB", there.parent.as_uri())
    monkeypatch.setitem(hub.WEIGHTS, "resnet50", there.name)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    small = ResNetShape(width=2, blocks=(1, 1, 1, 1))
    monkeypatch.setattr(choose, "load_resnet50", lambda path: load_resnet50(path, small))
    return there


def test_weights_are_fetched_once(served: Path) -> None:
    first = load_extractor("resnet50")
    served.unlink()
    again = load_extractor("resnet50")
    images = torch.rand(1, 3, 32, 64)
    for one, two in zip(first.features(images), again.features(images), strict=True):
        assert torch.equal(one, two)


def test_a_hub_out_of_reach_is_one_sentence(served: Path) -> None:
    served.unlink()
    with pytest.raises(
        MissingPartError, match=r"cannot be fetched .* give a local file, resnet50:FILE"
    ):
        load_extractor("resnet50")


def test_other_content_is_refused_and_not_kept(served: Path, tmp_path: Path) -> None:
    served.write_bytes(served.read_bytes() + b"x")
    with pytest.raises(MissingPartError, match="invalid hash value"):
        load_extractor("resnet50")
    assert list((tmp_path / "cache").rglob("*.pth*")) == []
