"""Pictures of a field: two sets of places along each ray."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ball_field import CENTER, ball_scene
from tondo.data.cameras import Camera
from tondo.data.field import FieldScene
from tondo.kernels.field import ends_of, render_rays
from tondo.nerf.first import range_of
from tondo.nerf.pixels import camera_rays
from tondo.nerf.render import render_field


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
