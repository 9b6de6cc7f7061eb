"""Pictures of scenes of both kinds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ball_field import CENTER, COLOR, RADIUS, ball_scene
from small_photos import cameras, known_scene
from tondo.data.splats import Exposures
from tondo.scenes.render import render
from tondo.scenes.to_mesh import cameras_around


def test_a_picture_is_as_bright_as_photos_from_nearby_where_that_is_asked() -> None:
    seen = cameras(24)
    viewmats = torch.stack([camera.viewmat for camera in seen])
    gains = 0.7 + 0.3 * viewmats[:, 2, 0]  # by where a camera looks
    plain = known_scene()
    scene = replace(plain, exposures=Exposures(viewmats, gains[:, None, None] * torch.eye(3, 4)))
    for index in (int(gains.argmin()), int(gains.argmax())):
        bare = render(plain, seen[index]).color
        told = render(scene, seen[index], exposed=True).color
        assert float(told.mean() / bare.mean()) == pytest.approx(float(gains[index]), abs=0.08)
        torch.testing.assert_close(render(scene, seen[index]).color, bare)


def test_a_field_is_rendered_with_depth_and_normals() -> None:
    scene = ball_scene()
    camera = cameras_around(scene.center, scene.radius, count=5, size=61)[2]
    view = render(scene, camera, with_normals=True)
    eye = -camera.viewmat[:3, :3].T @ camera.viewmat[:3, 3]
    away = float((torch.tensor(CENTER) - eye).norm())
    assert abs(float(view.depth[30, 30]) - (away - RADIUS)) < 0.03
    torch.testing.assert_close(view.color[30, 30], torch.tensor(COLOR), atol=0.03, rtol=0)
    assert view.normals is not None
    towards = torch.nn.functional.normalize(eye - torch.tensor(CENTER), dim=0)
    assert float((view.normals[30, 30] * towards).sum()) > 0.99
