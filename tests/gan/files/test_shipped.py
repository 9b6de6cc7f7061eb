"""The generators that are installed with the program."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import trimesh

import tondo
from tondo.cli.main import main
from tondo.gan.files.open_generator import open_generator, shipped_folder, shipped_names
from tondo.gan.inversion.encoder import load_encoder
from tondo.gan.sampling.directions import COUNT, load_directions

MOST_BYTES = 8_000_000


def test_fish_are_shipped_with_what_belongs_to_them() -> None:
    assert "fish" in shipped_names()
    opened = open_generator("fish")
    encoder, report = load_encoder(opened.companion("encoder"), opened.trained)
    assert encoder(torch.rand(2, 3, 64, 64)).w.shape == (2, opened.trained.generator.shape.w)
    assert report.samples > 0
    directions = load_directions(opened.companion("directions"), opened.trained.generator)
    assert len(directions.closed) == len(directions.principal) == COUNT


@pytest.mark.parametrize("name", shipped_names())
def test_it_works_right_after_installation(name: str) -> None:
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


def test_a_folder_of_its_models_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "fish"
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    assert open_generator(name).path.parent == shipped_folder()
    assert main(["generate", name, "--seeds", "0", "--format", "glb", "-o", name]) == 0
    assert main(["generate", name, "--seeds", "1", "--format", "glb", "-o", name]) == 0
    assert {p.name for p in (tmp_path / name).glob("*.glb")} == {"seed0000.glb", "seed0001.glb"}
