"""Pictures of a field: two sets of places along each ray."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ball_field import CENTER, RADIUS, ball_scene
from tondo.data.cameras import Camera
from tondo.data.field import FieldScene
from tondo.kernels.fields.rays import ends_of, render_rays
from tondo.nerf.bounds import range_of
from tondo.nerf.ray_batches import camera_rays
from tondo.nerf.render import _normals, render_field


def camera() -> Camera:
    """4 units before the ball, 23 x 17 pixels, its axis off the picture's middle."""
    viewmat = torch.eye(4)
    viewmat[:3, 3] = torch.tensor([0.0, 0.0, 4.0]) - torch.tensor(CENTER)
    K = torch.tensor([[40.0, 0.0, 12.3], [0.0, 41.0, 7.9], [0.0, 0.0, 1.0]])
    return Camera(viewmat, K, 23, 17)


def seen(scene: FieldScene, at: float) -> Tensor:
    """[H, W, 3] by samples at one place of every step."""
    rays_o, rays_d, _ = camera_rays(camera())
    ends = ends_of(scene.field.space, rays_o, rays_d, *range_of(scene.field.space))
    offsets = torch.full_like(ends[:, 0], at)
    found = render_rays(scene.field, rays_o, rays_d, ends, scene.marching, offsets=offsets)
    color = found.colors + (1 - found.opacities)[:, None] * scene.background
    return color.view(17, 23, 3)


def test_a_picture_is_the_mean_of_two_and_nearer_to_the_truth_than_one() -> None:
    fine = ball_scene(slope=20.0, density=3.0)
    scene = replace(fine, marching=replace(fine.marching, step=0.2))
    picture = render_field(scene, camera()).color
    wanted = 0.5 * (seen(scene, 0.25) + seen(scene, 0.75))
    torch.testing.assert_close(picture, wanted.clamp(0, 1), rtol=0, atol=1e-6)
    truth = seen(fine, 0.5)
    assert float(truth.std()) > 0.1
    off, off_by_one = (float((x - truth).square().mean()) for x in (picture, seen(scene, 0.5)))
    assert off < 0.6 * off_by_one
    quick = render_field(scene, camera(), quick=True).color
    torch.testing.assert_close(quick, seen(scene, 0.5).clamp(0, 1), rtol=0, atol=1e-6)


def test_depth_is_along_the_cameras_axis_and_normals_face_outwards() -> None:
    """Of an opaque ball: where its surface is, and as a ball's normals are."""
    view = render_field(ball_scene(slope=60.0, density=10.0), camera(), with_normals=True)
    assert view.normals is not None
    cam = camera()
    v, u = (view.alpha > 0.99).nonzero(as_tuple=True)
    assert len(u) > 20
    pixels = torch.stack([u + 0.5, v + 0.5, torch.ones(len(u))], dim=1)
    lines = torch.nn.functional.normalize(pixels @ torch.linalg.inv(cam.K).T, dim=1)
    middle = torch.tensor([0.0, 0.0, 4.0])  # of the ball, as the camera sees it
    along = lines @ middle
    off = (middle - along[:, None] * lines).norm(dim=1)
    inner = off < 0.6 * RADIUS
    t = along - (RADIUS**2 - off.square()).clamp_min(0).sqrt()
    wanted = t * lines[:, 2]
    torch.testing.assert_close(view.depth[v, u][inner], wanted[inner], atol=0.04, rtol=0)
    normals = (t[:, None] * lines - middle) / RADIUS
    agree = (view.normals[v, u] * normals).sum(dim=1)
    assert float(agree[off < 0.5 * RADIUS].min()) > 0.95
    assert float(view.depth[0, 0]) == 0
    assert float(view.normals[0, 0].abs().max()) == 0


def test_a_picture_of_one_row_has_normals_too() -> None:
    strip = replace(camera(), height=1, K=camera().K.clone())
    strip.K[1, 2] = 0.5  # through the ball
    view = render_field(ball_scene(), strip, with_normals=True)
    assert view.normals is not None
    assert float(view.normals.norm(dim=2).max()) == pytest.approx(1.0, abs=1e-5)


def test_a_normal_does_not_look_over_an_edge() -> None:
    """Two planes, one behind the other, their normals known: beside the edge as elsewhere."""
    near, far = torch.tensor([0.0, 0.6, -0.8]), torch.tensor([-0.48, 0.36, -0.8])
    rays_d = camera_rays(camera())[1]
    is_far = (torch.arange(23) > 9).expand(17, 23)
    normals = torch.where(is_far[..., None], far, near)
    lines = rays_d.view(17, 23, 3)
    distances = torch.where(is_far, 9.0, 3.0) * far[2] / (lines * normals).sum(dim=2)
    found = _normals(lines * distances[..., None], rays_d)
    torch.testing.assert_close(found, normals, atol=1e-4, rtol=0)


def test_rays_of_a_contracted_space_begin_near_and_end_far_away() -> None:
    space = ball_scene().field.space
    assert range_of(replace(space, contracted=True, radius=3.0)) == pytest.approx((0.06, 300.0))
    near, far = range_of(replace(space, radius=3.0))
    assert (near, far) == (pytest.approx(0.003), float("inf"))
