"""Textures of generated objects, from renders of their own splats."""

from __future__ import annotations

import math

import pytest
import torch

from small_skins import skins_on
from tondo.data.mesh import Mesh
from tondo.data.splats import Scene
from tondo.gan.networks.shape import GeneratorShape
from tondo.gan.networks.skin import sphere_map
from tondo.gan.objects.export import mesh_of, scene_of
from tondo.gan.objects.textured import textured, views_around
from tondo.geometry.cameras import camera_position
from tondo.mesh.render import render_mesh, sampled
from tondo.texture.bake import Picture
from tondo.texture.options import TextureOptions

SHAPE = GeneratorShape(rows=24, columns=48, size=48)


@pytest.fixture(scope="module")
def ball() -> tuple[Scene, Mesh]:
    """A ball of splats, red in the north and blue in the south, and its mesh."""
    skins = skins_on(0.7 * sphere_map(24, 48))
    skins = skins._replace(scales=torch.full_like(skins.scales, 0.04))
    return scene_of(skins, 0), mesh_of(skins, 0, 1)


def test_views_stand_all_around_and_show_the_whole_object(ball: tuple[Scene, Mesh]) -> None:
    views = views_around(ball[0], 48, 48, 12)
    places = torch.stack([camera_position(view.camera) for view in views])
    assert float(places.mean(dim=0).norm()) < 0.2 * float(places.norm(dim=1).min())
    closest = torch.cdist(places, places).fill_diagonal_(math.inf).amin(dim=1)
    assert float(closest.min()) > 0.5 * float(closest.max())
    for view in views:
        assert float(view.coverage[24, 24]) > 0.97
        border = torch.cat([view.coverage[0], view.coverage[-1], view.coverage[:, 0]])
        assert float(border.max()) < 0.01


def test_larger_views_are_as_soft_as_those_of_training(ball: tuple[Scene, Mesh]) -> None:
    (small,), (large,) = (views_around(ball[0], size, 48, 1) for size in (48, 192))
    shrunk = torch.nn.functional.avg_pool2d(large.coverage[None], 4)[0]
    assert float((shrunk - small.coverage).abs().max()) < 0.1


def test_a_texture_has_the_splats_colours(ball: tuple[Scene, Mesh]) -> None:
    scene, mesh = ball
    model, facts = textured(scene, mesh, SHAPE, TextureOptions(size=128))
    assert model.texture.color.shape == (128, 128, 3)
    assert model.mesh.colors is None
    assert torch.equal(model.mesh.faces, mesh.faces)
    assert facts.photographed == 0
    assert facts.rendered > 0.95
    middle = mesh.vertices[mesh.faces].mean(dim=1)
    colors = sampled(model.texture.color, model.uvs.mean(dim=1))
    for side, expected in ((middle[:, 1] > 0.25, [1.0, 0, 0]), (middle[:, 1] < -0.25, [0, 0, 1.0])):
        assert float((colors[side] - torch.tensor(expected)).abs().max()) < 0.05


def test_it_looks_like_the_splats(ball: tuple[Scene, Mesh]) -> None:
    scene, mesh = ball
    model, _ = textured(scene, mesh, SHAPE, TextureOptions(size="auto"))
    assert model.texture.color.shape == (256, 256, 3)
    for view in views_around(scene, 60, 48, 5):
        mine = render_mesh(model, view.camera, scene.background)
        both = (view.coverage > 0.99) & (mine.alpha > 0.99)
        assert float(both.float().mean()) > 0.1
        assert float((mine.color - view.image / 255)[both].abs().mean()) < 0.04


def test_a_photograph_goes_before_renders(ball: tuple[Scene, Mesh]) -> None:
    scene, mesh = ball
    (render,) = views_around(scene, 64, 48, 1)
    photo = Picture(render.camera, torch.full_like(render.image, 77), render.coverage)
    options = TextureOptions(size=128)
    model, facts = textured(scene, mesh, SHAPE, options, photographs=[photo])
    assert 0.15 < facts.photographed < 0.5
    assert facts.photographed + facts.rendered > 0.95
    mine = render_mesh(model, photo.camera, scene.background)
    center = mine.color[24:40, 24:40]
    assert torch.allclose(center, torch.tensor(77 / 255), atol=0.02)


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_uvs_are_one_chart_that_fills_the_square_and_none_is_mirrored(mirrored: bool) -> None:
    sphere = sphere_map(24, 48) * torch.tensor([-1.0 if mirrored else 1.0, 1, 1])[:, None, None]
    skins = skins_on(0.7 * sphere)
    options = TextureOptions(size=64)
    model, facts = textured(scene_of(skins, 0), mesh_of(skins, 0, 1), SHAPE, options)
    assert facts.use > 0.85
    a, b, c = model.uvs.unbind(1)
    area = 0.5 * (b - a)[:, 0] * (c - a)[:, 1] - 0.5 * (b - a)[:, 1] * (c - a)[:, 0]
    # v runs down, so that counter-clockwise faces have negative areas
    assert float(area.max()) < 0
    assert float(-area.sum()) == pytest.approx((1 - 2 * 2 / 64) ** 2, rel=0.05)
    # the triangle at a pole has one column of the square's border
    assert float(model.uvs.min()) == pytest.approx(2 / 64)
    assert float(model.uvs.max()) == pytest.approx(1 - 2 / 64)
