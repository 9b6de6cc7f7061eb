"""Coarse skins: a lining hides the inside of small splats, thinned ones look nearly the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from tiny_generators import SHAPE, tiny_generator
from tondo.gan.networks.skin import Skins
from tondo.gan.objects.export import mesh_of, scene_of
from tondo.gan.objects.inner_layer import downsampled, with_inner_layer
from tondo.gan.objects.render import render, render_splats
from tondo.geometry.look_at import cameras_at

ROUND = torch.tensor([[0.4, 0.3, 0.0], [2.0, -0.5, 0.2], [-1.2, 1.1, 0.0]])
LINED = replace(SHAPE, has_inner_layer=True)


def smallest_splats(has_inner_layer: bool) -> Skins:
    """Three objects, red where z > 0 and blue behind, of splats that are as small as they can."""
    generator = tiny_generator(shape=LINED)
    with torch.no_grad():
        generator.skin_network.to_splats.bias[:3] = -50.0
    w = generator.styles(torch.randn(3, SHAPE.z, generator=torch.Generator().manual_seed(1)))
    skins = generator(w)
    red, blue = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0])
    colors = torch.where(skins.means[..., 2:] > 0, red, blue)
    return skins._replace(colors=colors, has_inner_layer=has_inner_layer)


def middle_from_the_front(skins: Skins) -> torch.Tensor:
    """[3, 20, 20, 3] of pictures in which a splat is several pixels large."""
    size = 200
    viewmats, Ks = cameras_at(torch.zeros(3, 3), 20.0, 5.8, size)
    shot = render_splats(skins, viewmats, Ks, size, torch.ones(3, size, size, 3))
    return shot.images[:, 90:110, 90:110]


def test_one_cannot_see_through_small_splats_with_a_lining() -> None:
    without = middle_from_the_front(smallest_splats(has_inner_layer=False))
    assert float(without[..., 2].max()) > 0.3  # the far side's blue
    within = middle_from_the_front(smallest_splats(has_inner_layer=True))
    assert float(within[..., 2].max()) < 0.03
    assert float(within[..., 0].min()) > 0.97


def test_viewers_get_the_lining_and_meshes_do_not() -> None:
    skins = smallest_splats(has_inner_layer=True)
    cells = SHAPE.rows * SHAPE.columns
    scene = scene_of(skins, 1)
    assert len(scene.splats.means) == cells + cells // 4
    assert torch.equal(scene.splats.means[:cells], skins.means[1])
    # inside, by about a cell of the fine skin
    there = scene.splats.means[cells:].norm(dim=1)
    above = F.avg_pool2d(skins.grid[1:2], 2).flatten(2)[0].norm(dim=0)
    assert float((above - there).mean()) > 0.02
    assert len(scene_of(skins._replace(has_inner_layer=False), 1).splats.means) == cells
    with_it, without = mesh_of(skins, 1), mesh_of(skins._replace(has_inner_layer=False), 1)
    assert torch.equal(with_it.vertices, without.vertices)
    assert torch.equal(with_it.colors, without.colors)


def test_gradients_reach_the_skin_through_the_lining() -> None:
    skins = smallest_splats(has_inner_layer=True)
    means, colors = (x.clone().requires_grad_(True) for x in (skins.means, skins.colors))
    has_inner_layer = with_inner_layer(skins._replace(means=means, colors=colors))
    own = skins.means.shape[1]
    assert not has_inner_layer.has_inner_layer
    has_inner_layer.means[:, own:].sum().backward()
    torch.testing.assert_close(means.grad, torch.full_like(means, 0.25))
    has_inner_layer.colors[:, own:].sum().backward()
    torch.testing.assert_close(colors.grad, torch.full_like(colors, 0.25))


@pytest.mark.parametrize("has_inner_layer", [False, True])
def test_the_skin_is_closed_even_with_the_smallest_splats(has_inner_layer: bool) -> None:
    generator = tiny_generator(shape=replace(SHAPE, has_inner_layer=has_inner_layer))
    with torch.no_grad():
        generator.skin_network.to_splats.weight.zero_()
        generator.skin_network.to_splats.bias[:3] = -50.0
    w = generator.styles(torch.randn(3, SHAPE.z, generator=torch.Generator().manual_seed(1)))
    size = 200  # several pixels a splat: the low pass of the picture closes nothing
    viewmats, Ks = cameras_at(ROUND, 20.0, 5.8, size)
    shot = render_splats(generator(w), viewmats, Ks, size, torch.ones(3, size, size, 3))
    middle = shot.alphas[:, size // 2 - 20 : size // 2 + 20, size // 2 - 20 : size // 2 + 20]
    assert float(middle.min()) > 0.98


@pytest.mark.parametrize("has_inner_layer", [False, True])
def test_a_quarter_of_the_splats_looks_nearly_the_same_at_half_the_size(
    has_inner_layer: bool,
) -> None:
    # of cells of about a pixel
    shape = replace(SHAPE, light="camera", rows=64, columns=128, has_inner_layer=has_inner_layer)
    generator = tiny_generator(shape=shape)
    w = generator.styles(torch.randn(3, SHAPE.z, generator=torch.Generator().manual_seed(1)))
    with torch.no_grad():
        generator.skin_network.to_splats.bias[
            :3
        ] = -50.0  # as small as they may be, as trained ones are
        generator.skin_network.axes.fill_(0.3)  # and bodies fill the picture
    whole = generator(w)
    few = downsampled(whole)
    assert few.means.shape[1] * 4 == whole.means.shape[1]
    viewmats, Ks = cameras_at(ROUND, 20.0, 5.8, 64)
    wanted = render(whole, viewmats, Ks, torch.ones(3, 64, 64, 3))
    half = Ks * Ks.new_tensor([0.5, 0.5, 1.0])[:, None]
    found = render(few, viewmats, half, torch.ones(3, 32, 32, 3), 0.5)
    images = F.avg_pool2d(wanted.images.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    alphas = F.avg_pool2d(wanted.alphas[:, None], 2)[:, 0]
    assert float((found.images - images).abs().mean()) < 0.012
    assert float((found.alphas - alphas).abs().mean()) < 0.02
    assert float((1 - images).mean()) > 0.1  # there is something to be unlike
