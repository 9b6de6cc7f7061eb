"""A texture and its mesh fitted to photographs."""

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
        found.append(Picture(camera, (view.color * 255).round().byte(), view.alpha, alone=True))
    return found


def patterned() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 24, 24, generator=generator)
    sharp = torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear")
    return sharp[0].permute(1, 2, 0).contiguous()


def blurred(image: torch.Tensor) -> torch.Tensor:
    planes = image.permute(2, 0, 1)[None]
    soft = torch.nn.functional.avg_pool2d(planes, 9, 1, 4, count_include_pad=False)
    return soft[0].permute(1, 2, 0).contiguous()


def test_a_blurred_texture_becomes_sharper() -> None:
    mesh, uvs = ball()
    truth = patterned()
    begun = blurred(truth)
    found = fitted(begun, mesh, uvs, pictures_of(mesh, uvs, truth))
    assert found.after < found.before
    assert found.mesh is mesh
    seen = (found.image != begun).any(dim=-1)
    before, after = ((one - truth)[seen].square().mean() for one in (begun, found.image))
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
    for found in (
        fitted(grey, mesh, uvs, noisy, moving=True),
        fitted(grey, mesh, uvs, pictures[:1], moving=True),  # too few to check
    ):
        assert found.image is grey
        assert found.mesh is mesh
        assert found.before == found.after


def off_the_ball(mesh: Mesh) -> float:
    """Mean distance of the vertices from the true surface."""
    return float((mesh.vertices.norm(dim=1) - 1).abs().mean())


def test_vertices_move_to_where_outline_and_pattern_are() -> None:
    mesh, uvs = ball()
    truth = patterned()
    pictures = pictures_of(mesh, uvs, truth)
    dented = replace(mesh, vertices=mesh.vertices * (0.97 + 0.02 * mesh.vertices[:, :1]))
    found = fitted(truth, dented, uvs, pictures, moving=True)
    assert found.after < 0.7 * found.before
    assert off_the_ball(found.mesh) < 0.6 * off_the_ball(dented)
    assert torch.equal(found.mesh.faces, mesh.faces)
    assert found.mesh.normals is not None


def test_photographs_of_a_place_move_vertices_by_their_pattern_alone() -> None:
    """Opaque photographs: what stands around the mesh is no outline of it."""
    mesh, uvs = ball()
    truth = patterned()
    pictures = [
        replace(one, coverage=torch.ones_like(one.coverage), alone=False)
        for one in pictures_of(mesh, uvs, truth)
    ]
    smaller = replace(mesh, vertices=0.97 * mesh.vertices)
    found = fitted(truth, smaller, uvs, pictures, moving=True)
    assert found.after < found.before
    assert off_the_ball(found.mesh) < off_the_ball(smaller)
