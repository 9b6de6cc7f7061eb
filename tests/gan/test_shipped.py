"""The generators that are installed with the program."""

from __future__ import annotations

import pytest
import trimesh

import tondo
from tondo.gan.encoder import load_encoder
from tondo.gan.named import open_generator, shipped_folder, shipped_names

MOST_BYTES = 8_000_000


@pytest.mark.parametrize("name", shipped_names() or [None])
def test_it_works_right_after_installation(name: str | None) -> None:
    if name is None:
        pytest.skip("no generator is shipped with this version")
    opened = open_generator(name)
    assert opened.path.stat().st_size < MOST_BYTES
    assert opened.trained.card.licence, "whose pictures was it trained on?"
    card = (shipped_folder() / f"{name}.md").read_text(encoding="utf-8")
    assert all(word in card.lower() for word in ("licence", "trained on", "limits", "frechet"))
    mesh = tondo.generate(name, [0])[0].mesh
    assert trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), process=False).is_watertight
    encoder = opened.companion("encoder")
    if encoder.is_file():
        load_encoder(encoder, opened.trained)
        assert encoder.stat().st_size + opened.path.stat().st_size < MOST_BYTES
