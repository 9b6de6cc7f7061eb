"""A texture fitted to photographs."""

from __future__ import annotations

from dataclasses import replace

import torch
import trimesh
from test_bake import cameras

from tondo.data.mesh import Mesh
from tondo.data.textured import Texture, TexturedMesh
from tondo.mesh.render import render_mesh
from tondo.texture.bake import Picture
from tondo.texture.fit import fitted
from tondo.texture.unwrap import unwrap

SIZE = 128


def ball() -> tuple[Mesh, torch.Tensor]:
    model = trimesh.creation.icosphere(3)
    mesh = Mesh(torch.tensor(model.vertices).float(), torch.tensor(model.faces).long())
    return mesh, unwrap(mesh, SIZE).uvs


def pictures_of(mesh: Mesh, uvs: torch.Tensor, image: torch.Tensor) -> list[Picture]:
    model = TexturedMesh(mesh, uvs, Texture((image * 255).round().byte()))
    found = []
    for camera in cameras(17):
        view = render_mesh(model, camera, torch.ones(3))
        found.append(Picture(camera, (view.color * 255).round().byte(), view.alpha))
    return found


def test_a_blurred_texture_becomes_sharper() -> None:
    mesh, uvs = ball()
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 24, 24, generator=generator)
    sharp = torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear")
    blurred = torch.nn.functional.avg_pool2d(sharp, 9, 1, 4, count_include_pad=False)
    truth, begun = (one[0].permute(1, 2, 0).contiguous() for one in (sharp, blurred))
    pictures = pictures_of(mesh, uvs, truth)
    found = fitted(begun, mesh, uvs, pictures)
    assert found is not begun
    seen = (found != begun).any(dim=-1)
    before, after = ((one - truth)[seen].square().mean() for one in (begun, found))
    assert float(after) < 0.75 * float(before)


def test_what_makes_other_pictures_worse_is_not_taken() -> None:
    """Photographs that contradict each other: fitting some of them is no gain for the others."""
    mesh, uvs = ball()
    grey = torch.full((SIZE, SIZE, 3), 0.5)
    pictures = pictures_of(mesh, uvs, grey)
    generator = torch.Generator().manual_seed(0)
    noisy = [
        replace(one, image=torch.randint(256, one.image.shape, generator=generator).byte())
        for one in pictures
    ]
    assert fitted(grey, mesh, uvs, noisy) is grey
    assert fitted(grey, mesh, uvs, pictures[:1]) is grey  # too few to check
