"""Colours of a surface from pictures of it."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import trimesh
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.mesh import Mesh
from tondo.geometry.look_at import look_at
from tondo.mesh.render import render_mesh
from tondo.texture.bake import Picture, Surface, bake, well_seen

UP = torch.tensor([0.0, 0.0, 1.0])


def painted_ball() -> Mesh:
    """A ball whose colours are those of its places."""
    model = trimesh.creation.icosphere(4, radius=1.0)
    vertices = torch.tensor(model.vertices).float()
    colors = (127 + 100 * vertices).round().to(torch.uint8)
    return Mesh(vertices, torch.tensor(model.faces).long(), colors, vertices)


def cameras(count: int, width: int = 90, height: int = 70) -> list[Camera]:
    K = torch.tensor([[80.0, 0, width / 2 + 3], [0, 80.0, height / 2 - 2], [0, 0, 1]])
    found = []
    for i in range(count):
        turn, lift = 2.4 * i, 0.9 * math.sin(1.3 * i)
        flat = math.cos(lift)
        place = 3.5 * torch.tensor([math.cos(turn) * flat, math.sin(turn) * flat, math.sin(lift)])
        found.append(Camera(look_at(place, torch.zeros(3), UP), K, width, height))
    return found


def picture(mesh: Mesh, camera: Camera) -> Picture:
    view = render_mesh(mesh, camera, torch.ones(3), samples=3)
    return Picture(camera, (view.color * 255).round().byte(), view.alpha)


def surface(mesh: Mesh) -> Surface:
    """The middles of its faces."""
    points = mesh.vertices[mesh.faces].mean(dim=1)
    normals = torch.nn.functional.normalize(points, dim=1)
    return Surface(mesh, torch.arange(len(mesh.faces)), points, normals)


def truth(on: Surface) -> Tensor:
    return (127 + 100 * on.points) / 255


def test_colours_are_those_of_the_surface() -> None:
    mesh = painted_ball()
    on = surface(mesh)
    found = bake(on, [picture(mesh, camera) for camera in cameras(14)])
    seen = well_seen(found.weights)
    assert float(seen.float().mean()) > 0.95
    assert float((found.colors - truth(on))[seen].abs().max()) < 0.03
    few = bake(on, [picture(mesh, cameras(1)[0])])
    eye = -cameras(1)[0].viewmat[:3, :3].T @ cameras(1)[0].viewmat[:3, 3]
    assert bool((on.points[few.weights > 0] @ eye > 0).all())


def test_the_exposure_of_photographs_is_taken_back() -> None:
    mesh = painted_ball()
    on = surface(mesh)
    pictures = []
    for index, one in enumerate(picture(mesh, camera) for camera in cameras(14)):
        gain = 0.7 + 0.02 * index
        darker = (one.image.float() * gain).round().byte()
        pictures.append(replace(one, image=darker, unexposed=torch.eye(3, 4) / gain))
    found = bake(on, pictures)
    seen = well_seen(found.weights)
    assert float((found.colors - truth(on))[seen].abs().max()) < 0.03
    without = bake(on, [replace(one, unexposed=None) for one in pictures])
    assert float((without.colors - truth(on))[seen].abs().max()) > 0.05


def test_who_walked_through_one_picture_is_left_out() -> None:
    mesh = painted_ball()
    on = surface(mesh)
    pictures = [picture(mesh, camera) for camera in cameras(30)]
    spoilt = pictures[0].image.clone()
    spoilt[20:50, 25:65] = torch.tensor([255, 0, 255], dtype=torch.uint8)
    pictures[0] = replace(pictures[0], image=spoilt)
    off = [
        (bake(on, pictures, tolerance=tolerance).colors - truth(on)).abs().amax(dim=1)
        for tolerance in (0.1, None)
    ]
    seen_by_many = (
        torch.stack([bake(on, [one], tolerance=None).weights > 0 for one in pictures]).sum(dim=0)
        > 5
    )
    assert float(off[1][seen_by_many].max()) > 0.1
    assert float(off[0][seen_by_many].max()) < 0.5 * float(off[1][seen_by_many].max())


def test_what_stands_before_the_surface_does_not_colour_it() -> None:
    """A small red ball before the large one: its colour is nowhere on that."""
    mesh = painted_ball()
    small = trimesh.creation.icosphere(2, radius=0.3)
    place = torch.tensor([2.0, 0.0, 0.0])
    vertices = torch.cat([mesh.vertices, torch.tensor(small.vertices).float() + place])
    faces = torch.cat([mesh.faces, torch.tensor(small.faces).long() + len(mesh.vertices)])
    assert mesh.colors is not None
    red = torch.tensor([[255, 0, 0]], dtype=torch.uint8).expand(len(small.vertices), 3)
    both = Mesh(vertices, faces, torch.cat([mesh.colors, red]))
    on = surface(mesh)
    on = replace(on, mesh=both)
    found = bake(on, [picture(both, camera) for camera in cameras(14)])
    seen = well_seen(found.weights)
    assert float((found.colors - truth(on))[seen].abs().max()) < 0.06
