from __future__ import annotations

import torch
import trimesh
from mesh_shapes import square_grid

from tondo.data.mesh import Mesh
from tondo.mesh.clean import (
    boundary_loops,
    drop_small_parts,
    drop_unseen_parts,
    fill_holes,
    is_closed,
    select_faces,
)


def ball(radius: float, x: float = 0.0, inverted: bool = False) -> Mesh:
    model = trimesh.creation.icosphere(subdivisions=2, radius=radius)
    vertices = torch.tensor(model.vertices, dtype=torch.float32) + torch.tensor([x, 0, 0])
    faces = torch.tensor(model.faces, dtype=torch.int64)
    colors = torch.full((len(vertices), 3), int(abs(x) * 10), dtype=torch.uint8)
    return Mesh(vertices, faces.flip(1) if inverted else faces, colors, None)


def together(*meshes: Mesh) -> Mesh:
    offsets, count = [], 0
    for mesh in meshes:
        offsets.append(count)
        count += len(mesh.vertices)
    return Mesh(
        torch.cat([m.vertices for m in meshes]),
        torch.cat([m.faces + o for m, o in zip(meshes, offsets, strict=True)]),
        torch.cat([m.colors for m in meshes if m.colors is not None]),
    )


def test_small_parts_go_and_large_ones_stay() -> None:
    large, small, tiny = ball(1.0), ball(0.5, 3.0), ball(0.1, -3.0)
    kept = drop_small_parts(together(tiny, large, small), min_share=0.02)
    assert len(kept.faces) == len(large.faces) + len(small.faces)
    assert kept.vertices[:, 0].min() >= -1.01
    assert kept.colors is not None
    assert set(kept.colors.flatten().tolist()) == {0, 30}
    kept = drop_small_parts(together(tiny, large, small), min_share=0.3)
    assert torch.equal(kept.faces, large.faces)
    assert torch.equal(kept.vertices, large.vertices)


def test_cavities_go() -> None:
    shell, cavity = ball(1.0), ball(0.6, inverted=True)
    assert torch.equal(drop_small_parts(together(shell, cavity)).faces, shell.faces)


def test_a_mesh_without_faces_stays_as_it_is() -> None:
    empty = Mesh(torch.empty(0, 3), torch.empty(0, 3, dtype=torch.int64))
    assert drop_small_parts(empty) is empty
    assert len(fill_holes(empty).faces) == 0


def test_rims_are_found_in_their_direction() -> None:
    grid = square_grid(6)
    assert not is_closed(grid)
    assert is_closed(ball(1.0))
    (outer,) = boundary_loops(grid)
    assert len(outer) == 24
    ring = grid.vertices[outer][:, :2]
    ahead = ring.roll(-1, 0)
    area = 0.5 * (ring[:, 0] * ahead[:, 1] - ring[:, 1] * ahead[:, 0]).sum()
    assert area == 36.0  # counter-clockwise, as the faces


def test_holes_are_closed_by_size_and_faces_keep_their_side() -> None:
    grid = square_grid(6)
    middle = grid.vertices[grid.faces].mean(dim=1)[:, :2]
    hole = (middle - 3.0).abs().amax(dim=1) < 1.0
    pierced = select_faces(grid, ~hole)
    assert len(boundary_loops(pierced)) == 2
    filled = fill_holes(pierced, max_edges=10)
    assert len(boundary_loops(filled)) == 1
    assert filled.colors is not None
    assert filled.normals is not None
    corners = filled.vertices[filled.faces]
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (normals[:, 2] > 0).all()
    assert normals[:, 2].sum() / 2 == 36.0
    assert filled.vertices[-1].tolist() == [3.0, 3.0, 0.0]
    assert filled.colors[-1].tolist() == [60, 60, 0]
    open_ball = ball(1.0)
    low = open_ball.vertices[open_ball.faces][:, :, 2].amax(dim=1) < 0.8
    assert not is_closed(select_faces(open_ball, low))
    assert is_closed(fill_holes(select_faces(open_ball, low)))


def test_a_missing_triangle_is_put_back() -> None:
    whole = ball(1.0)
    filled = fill_holes(select_faces(whole, torch.arange(len(whole.faces)) != 7))
    assert is_closed(filled)
    assert len(filled.faces) == len(whole.faces)
    assert len(filled.vertices) == len(whole.vertices)


def test_holes_that_touch_at_a_vertex_are_closed_one_by_one() -> None:
    grid = square_grid(6)
    middle = grid.vertices[grid.faces].mean(dim=1)[:, :2]
    touching = ((middle > 1) & (middle < 2)).all(dim=1) | ((middle > 2) & (middle < 3)).all(dim=1)
    pierced = select_faces(grid, ~touching)
    assert sorted(len(loop) for loop in boundary_loops(pierced)) == [4, 4, 24]
    filled = fill_holes(pierced, max_edges=10)
    assert len(boundary_loops(filled)) == 1
    assert len(filled.faces) == len(pierced.faces) + 8


def test_an_edge_of_three_faces_does_not_hang_the_walk() -> None:
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, -1, 0]])
    faces = torch.tensor([[0, 1, 2], [0, 1, 3], [0, 1, 4]])
    for loop in boundary_loops(Mesh(vertices, faces)):
        assert len(set(loop)) == len(loop)


def test_parts_that_no_camera_saw_go() -> None:
    shown, hidden = ball(1.0), ball(0.5, 3.0)
    both = together(shown, hidden)
    seen = torch.zeros(len(both.vertices), dtype=torch.bool)
    assert drop_unseen_parts(both, seen) is both  # nothing is known
    seen[5] = True
    assert torch.equal(drop_unseen_parts(both, seen).faces, shown.faces)
    seen[-1] = True
    assert drop_unseen_parts(both, seen) is both
