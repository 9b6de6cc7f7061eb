"""Meshes of scenes of both kinds."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from ball_field import CENTER, COLOR, RADIUS, ball_scene
from small_photos import cameras, known_scene
from tondo.data.splats import Splats
from tondo.geometry.cameras import scaled
from tondo.geometry.mesh import signed_volume
from tondo.mesh.clean import is_closed
from tondo.mesh.options import MeshOptions
from tondo.runs.watch import Watch
from tondo.scenes.render import render
from tondo.scenes.to_mesh import cameras_around, plan_mesh, to_mesh
from tondo.texture.bake import Picture

COARSE = MeshOptions(resolution=40)


def test_the_surface_of_a_field_is_the_ball_that_it_holds() -> None:
    scene = ball_scene()
    around = cameras_around(scene.center, scene.radius, count=12, size=60)
    plan = plan_mesh(scene, around, COARSE)
    assert plan.closed
    mesh = to_mesh(scene, around, COARSE, plan=plan)
    away = (mesh.vertices - torch.tensor(CENTER)).norm(dim=1)
    voxel = 2 * RADIUS / 40
    assert float((away - RADIUS).abs().max()) < 1.5 * voxel
    volume = 4 / 3 * torch.pi * RADIUS**3
    assert float(signed_volume(mesh.vertices, mesh.faces)) == pytest.approx(
        volume, rel=0.12
    )  # smoothed
    assert mesh.colors is not None
    wanted = 255 * torch.tensor(COLOR)
    assert float((mesh.colors.float() - wanted).abs().mean()) < 6


def test_the_number_of_faces_is_kept_and_the_place_is_the_scenes() -> None:
    scene = known_scene()
    few = replace(COARSE, faces=300, surface="closed")
    mesh = to_mesh(scene, cameras(12), few)
    assert 50 < len(mesh.faces) <= 300
    assert mesh.world_from_scene == scene.world_from_scene
    low, high = scene.splats.means.amin(dim=0) - 0.5, scene.splats.means.amax(dim=0) + 0.5
    assert bool(((mesh.vertices > low) & (mesh.vertices < high)).all())


def test_a_mesh_needs_a_camera() -> None:
    with pytest.raises(ValueError, match="at least one camera"):
        to_mesh(ball_scene(), [])


def test_what_masks_leave_out_goes_and_the_hole_is_closed() -> None:
    scene = ball_scene()
    around = cameras_around(scene.center, scene.radius, count=12, size=60)
    plan = plan_mesh(scene, around, COARSE)
    pictures = []
    for camera in around:
        covered = (camera.viewmat[:3, :3] @ torch.tensor(CENTER) + camera.viewmat[:3, 3])[2] > 0
        mask = torch.zeros(60, 60)
        mask[:34] = float(covered)
        pictures.append(
            Picture(camera, torch.zeros(60, 60, 3, dtype=torch.uint8), mask, alone=True)
        )
    whole = to_mesh(scene, around, replace(COARSE, refine="off"), plan=plan, pictures=pictures)
    said: list[str] = []
    cut = to_mesh(
        scene, around, COARSE, plan=plan, pictures=pictures, watch=Watch(note=said.append)
    )
    assert any("outside of the masks" in note for note in said)
    assert signed_volume(cut.vertices, cut.faces) < 0.98 * signed_volume(
        whole.vertices, whole.faces
    )
    assert is_closed(cut)


def test_fog_is_in_doubt_soft_blobs_are_less_sure_and_a_ball_is_neither() -> None:
    g, n, blobs = torch.Generator().manual_seed(1), 600, known_scene()
    around = torch.nn.functional.normalize(torch.randn(n, 3, generator=g), dim=1)
    where = around * torch.rand(n, 1, generator=g) ** (1 / 3)
    sizes, thin = torch.full((n, 3), 0.1).log(), torch.full((n,), -2.0)
    fog = Splats(where, torch.randn(n, 4, generator=g), sizes, thin, torch.zeros(n, 1, 3))
    skin = torch.nn.functional.normalize(torch.randn(20_000, 3, generator=g), dim=1)
    small, thick = torch.full((20_000, 3), 0.014).log(), torch.full((20_000,), 4.0)
    ball = Splats(skin, torch.ones(20_000, 4), small, thick, torch.zeros(20_000, 1, 3))
    shots = [scaled(camera, 216, 168) for camera in cameras(12)]
    found = []
    for splats in (fog, blobs.splats, ball):
        scene = replace(blobs, splats=splats)
        notes: list[str] = []
        mesh = to_mesh(scene, shots, replace(COARSE, resolution=110), watch=Watch(notes.append))
        assert len(mesh.faces)
        found.append(notes)
    assert [len(notes) for notes in found] == [1, 1, 0]
    assert "this mesh is in doubt" in found[0][0]
    assert "the views agree on the surface to" in found[1][0]


def test_silhouettes_carve_what_stands_beside_the_object() -> None:
    """A wall of splats around the scene, which masks do not show: it does not become surface, and
    the object is closed."""
    scene = known_scene()
    shots = cameras(12)
    pictures = [
        Picture(shot, torch.zeros(56, 72, 3, dtype=torch.uint8), mask.float(), alone=True)
        for shot, mask in ((shot, render(scene, shot).alpha > 0.95) for shot in shots)
    ]
    alone = to_mesh(scene, shots, replace(COARSE, surface="closed"), pictures=pictures)
    g = torch.Generator().manual_seed(4)
    away = torch.nn.functional.normalize(torch.randn(2000, 3, generator=g), dim=1)
    wall = Splats(
        4.5 * away,
        torch.randn(2000, 4, generator=g),
        torch.full((2000, 3), 0.25).log(),
        torch.full((2000,), 4.0),
        torch.zeros(2000, 4, 3),
    )
    both = Splats(
        *(
            torch.cat([getattr(scene.splats, one.name), getattr(wall, one.name)])
            for one in fields(Splats)
        )
    )
    within = replace(scene, splats=both, radius=6.0)
    plan = plan_mesh(within, shots, COARSE, pictures)
    assert plan.closed
    assert not plan_mesh(within, shots, COARSE).closed
    mesh = to_mesh(within, shots, COARSE, pictures=pictures)
    assert is_closed(mesh)
    assert float(mesh.vertices.norm(dim=1).max()) < 2.0
    ours, wanted = (float(signed_volume(m.vertices, m.faces)) for m in (mesh, alone))
    assert ours == pytest.approx(wanted, rel=0.1)
