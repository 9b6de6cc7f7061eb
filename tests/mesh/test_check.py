"""Whether a mesh can be printed."""

from __future__ import annotations

import pytest
import torch
import trimesh

from tondo.data.mesh import Mesh
from tondo.mesh.check import print_check, thinnest_wall


def mesh_of(model: trimesh.Trimesh) -> Mesh:
    return Mesh(torch.tensor(model.vertices).float(), torch.tensor(model.faces).long())


def hollow_box(wall: float, side: float = 2.0) -> Mesh:
    inner = trimesh.creation.box([side - 2 * wall] * 3).subdivide()
    inner.invert()
    return mesh_of(trimesh.creation.box([side] * 3).subdivide() + inner)


@pytest.mark.parametrize("wall", [0.3, 0.05])
def test_the_wall_of_a_hollow_box(wall: float) -> None:
    found = print_check(hollow_box(wall))
    assert found.defects.is_closed_manifold
    assert (found.parts, found.inside_out, found.longest) == (2, False, 2.0)
    assert found.wall == pytest.approx(wall, rel=0.01)


def test_curved_walls() -> None:
    assert thinnest_wall(mesh_of(trimesh.creation.cylinder(0.1, 3))) == pytest.approx(0.2, rel=0.02)
    torus = trimesh.creation.torus(0.7, 0.25)
    assert thinnest_wall(mesh_of(torus)) == pytest.approx(0.5, rel=0.03)


def test_a_small_thin_part_counts_and_a_speck_does_not() -> None:
    cube = trimesh.creation.box([2.0] * 3)
    slab = trimesh.creation.box([1, 0.5, 0.06]).apply_translation([3, 0, 0])
    assert thinnest_wall(mesh_of(cube + slab)) == pytest.approx(0.06, rel=0.02)
    speck = trimesh.creation.box([0.2, 0.2, 0.02]).apply_translation([3, 0, 0])
    assert thinnest_wall(mesh_of(cube + speck)) is None


def test_what_cannot_be_printed() -> None:
    cube = mesh_of(trimesh.creation.box())
    found = print_check(Mesh(cube.vertices, cube.faces[1:]))
    assert (found.defects.open_edges, found.wall) == (3, None)
    turned = print_check(Mesh(cube.vertices, cube.faces.flip(1)))
    assert (turned.inside_out, turned.wall) == (True, None)


def test_an_edge_is_no_wall() -> None:
    wedge = trimesh.Trimesh(
        [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]
    )
    assert thinnest_wall(mesh_of(wedge)) is None
