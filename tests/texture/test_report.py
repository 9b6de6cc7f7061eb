"""The report on a texture."""

from __future__ import annotations

from pathlib import Path

import torch
import trimesh
from PIL import Image
from test_bake import cameras, painted_ball, picture

from tondo.data.mesh import Mesh
from tondo.texture.make import (
    BETWEEN,
    NEAREST,
    PHOTOGRAPHED,
    RENDERED,
    TextureFacts,
    with_texture,
)
from tondo.texture.options import TextureOptions
from tondo.texture.report import TINTS, marked_texture, write_texture_report

UP = torch.tensor([0.0, 0.0, 1.0])


def with_a_core() -> Mesh:
    """A painted ball with a small one inside, which nothing shows."""
    ball, core = painted_ball(), trimesh.creation.icosphere(2, radius=0.3)
    vertices = torch.cat([ball.vertices, torch.tensor(core.vertices).float()])
    faces = torch.cat([ball.faces, torch.tensor(core.faces).long() + len(ball.vertices)])
    return Mesh(vertices, faces)


def test_texels_are_counted_by_where_their_colours_are_from(tmp_path: Path) -> None:
    shots = [picture(painted_ball(), camera) for camera in cameras(14)]
    options = TextureOptions(size=256)
    model, facts = with_texture(with_a_core(), shots[:2], lambda: shots[2:], options)
    on = facts.origin[facts.origin != BETWEEN]
    counted = [float((on == which).float().mean()) for which in (PHOTOGRAPHED, RENDERED, NEAREST)]
    assert min(counted) > 0.02
    torch.testing.assert_close(
        torch.tensor(counted[:2]), torch.tensor([facts.photographed, facts.rendered])
    )
    assert float((facts.origin != BETWEEN).float().mean()) == facts.use

    marked = marked_texture(model.texture.color, facts.origin)
    for which, tint in TINTS.items():
        mean = marked[facts.origin == which].float().mean(dim=0) / 255
        assert int(mean.argmax()) == int(torch.tensor(tint).argmax())
    write_texture_report(tmp_path, "ball.glb", model, facts, UP)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "ball.glb" in page
    assert f"<b>{facts.rendered:.0%}</b>" in page
    with Image.open(tmp_path / "report" / "mesh.png") as sheet:
        assert sheet.width == 2 * sheet.height


def test_facts_are_short() -> None:
    facts = TextureFacts(64, 3, 0.5, 0.75, 0.2, True, torch.zeros(64, 64, dtype=torch.uint8))
    assert repr(facts) == "TextureFacts(64x64, 3 charts, 75% photographed, 20% rendered)"
