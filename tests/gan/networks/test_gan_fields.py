"""The tri-plane field: what its pictures show, its surface, its gradients."""

from __future__ import annotations

import math

import pytest
import torch

from tondo.gan.networks import tri_planes
from tondo.gan.networks.generator import Generator
from tondo.gan.networks.shape import GeneratorShape
from tondo.gan.networks.skin import sphere_map
from tondo.gan.networks.tri_planes import Planes, TriPlanes, field_terms, look_up, march, surface
from tondo.gan.objects.export import mesh_of, scene_of
from tondo.gan.objects.geometry_loss import geometry_loss
from tondo.gan.objects.render import render_styles
from tondo.gan.options import Geometry
from tondo.geometry.look_at import cameras_at
from tondo.mesh.clean import is_closed

TINY = GeneratorShape(
    z=8, w=12, rows=16, columns=32, channels=(8, 6, 4), size=32, representation="field"
)


def ball(batch: int = 2) -> Planes:
    """Fields that hold nothing but the first ball, its colours from the biases."""
    hidden, features = tri_planes.HIDDEN, tri_planes.FEATURES
    bias = torch.tensor([0.0, 1.0, 0.0, -1.0])
    return Planes(
        torch.zeros(batch, 3, features, 8, 8),
        (torch.zeros(hidden, features), torch.zeros(hidden)),
        (torch.zeros(4, hidden), bias),
    )


def test_a_ball_is_seen_where_it_is_and_as_large_as_it_is() -> None:
    viewmats, Ks = cameras_at(torch.tensor([[0.4, 0.3, 0.0], [2.0, -0.5, 0.2]]), 20.0, 6.0, 64)
    image, depth, alpha = march(ball(), viewmats, Ks, 64)
    covered = (alpha > 0.5).float().mean(dim=(1, 2))
    # its edge, where half of the light is lost, lies outside of FIRST_RADIUS
    share = math.pi / 4 / (math.sin(math.radians(10)) * 6.0) ** 2
    assert torch.all(covered > share * 0.65**2)
    assert torch.all(covered < share * 0.85**2)
    torch.testing.assert_close(covered[0], covered[1], atol=0.01, rtol=0)
    middle = depth[:, 31:33, 31:33].mean(dim=(1, 2)) / alpha[:, 31:33, 31:33].mean(dim=(1, 2))
    torch.testing.assert_close(middle, torch.full((2,), 6.0 - 0.72), atol=0.12, rtol=0)
    wanted = torch.sigmoid(2 * torch.tensor([1.0, 0.0, -1.0]))
    torch.testing.assert_close(image[0, 32, 32], wanted, atol=0.01, rtol=0)


def test_a_camera_off_the_middle_sees_the_ball_off_the_middle() -> None:
    viewmats, Ks = cameras_at(torch.zeros(1, 3), 20.0, 6.0, 64)
    Ks[:, 0, 2] += 8.0
    Ks[:, 1, 2] -= 5.0
    _, _, alpha = march(ball(1), viewmats, Ks, 64)
    pixel = torch.arange(64) + 0.5
    x = (alpha[0].sum(dim=0) * pixel).sum() / alpha.sum()
    y = (alpha[0].sum(dim=1) * pixel).sum() / alpha.sum()
    assert abs(float(x) - 40.0) < 0.5
    assert abs(float(y) - 27.0) < 0.5


def test_each_plane_reads_its_own_two_coordinates() -> None:
    points = torch.tensor([[[0.3, -0.2, 0.1]]])
    for plane, still in enumerate((2, 1, 0)):
        planes = ball(1)._replace(
            first=(
                torch.ones(tri_planes.HIDDEN, tri_planes.FEATURES),
                torch.zeros(tri_planes.HIDDEN),
            ),
            second=(torch.full((4, tri_planes.HIDDEN), 0.1), torch.zeros(4)),
        )
        planes.maps[:, plane] = torch.randn(tri_planes.FEATURES, 8, 8)
        shifted = points.clone()
        shifted[..., still] = 0.25
        _, color = look_up(planes, points)
        _, same = look_up(planes, shifted)
        torch.testing.assert_close(color, same)
        for moving in {0, 1, 2} - {still}:
            other = points.clone()
            other[..., moving] += 0.3
            assert not torch.allclose(color, look_up(planes, other)[1], atol=1e-5)


def test_the_gradient_is_that_of_finite_differences() -> None:
    torch.manual_seed(3)
    w = torch.randn(1, 12, dtype=torch.float64)
    net = TriPlanes(12, 16, (8, 6, 4)).double()
    planes = net(w)
    maps = planes.maps.detach().requires_grad_()
    parts = [tuple(t.detach() for t in pair) for pair in (planes.first, planes.second)]
    points = (torch.rand(1, 5, 3, dtype=torch.float64) - 0.5) * 1.2
    assert torch.autograd.gradcheck(
        lambda m: look_up(Planes(m, *parts), points), (maps,), atol=1e-6, rtol=1e-5
    )


def test_the_surface_of_the_ball_is_a_sphere_and_its_mesh_is_closed() -> None:
    points, colors = surface(ball(), sphere_map(16, 32))
    radii = points.norm(dim=1)
    assert float(radii.std()) < 1e-3
    assert 0.6 < float(radii.mean()) < 0.75
    torch.testing.assert_close(colors[0, 0].mean(), torch.sigmoid(torch.tensor(2.0)))
    generator = Generator(TINY)
    with torch.no_grad():
        skins = generator(torch.randn(2, TINY.w))
    mesh = mesh_of(skins, 1)
    assert is_closed(mesh)
    assert len(scene_of(skins, 0).splats.means) == 16 * 32


def test_nothing_there_is_no_error() -> None:
    empty = ball(1)._replace(
        second=(torch.zeros(4, tri_planes.HIDDEN), torch.tensor([-9.0, 0, 0, 0]))
    )
    points, _ = surface(empty, sphere_map(16, 32))
    assert float(points.norm(dim=1).max()) < 0.05
    viewmats, Ks = cameras_at(torch.zeros(1, 3), 20.0, 6.0, 32)
    _, depth, alpha = march(empty, viewmats, Ks, 32)
    assert float(alpha.max()) < 1e-6
    assert bool(torch.isfinite(depth).all())
    assert bool(torch.isfinite(torch.stack(list(field_terms(empty)))).all())


def test_pictures_and_regularisers_reach_every_weight() -> None:
    torch.manual_seed(0)
    generator = Generator(TINY)
    w = generator.styles(torch.randn(3, TINY.z))
    viewmats, Ks = cameras_at(torch.randn(3, 3) * 0.3, 20.0, 6.0, 32)
    rendered, objects = render_styles(generator, w, viewmats, Ks, 32)
    assert isinstance(objects, Planes)
    assert rendered.images.shape == (3, 32, 32, 3)
    assert float(rendered.alphas.detach().max()) <= 1.0 + 1e-5
    loss = rendered.images.square().mean() + geometry_loss(objects, Geometry())
    loss.backward()
    without = [name for name, p in generator.named_parameters() if p.grad is None]
    assert without == []


@pytest.mark.parametrize("term", ["rough", "haze", "centring_loss"])
def test_regularisers_see_what_they_are_for(term: str) -> None:
    good = ball(1)
    bad = ball(1)
    if term == "rough":
        bad.maps.copy_(torch.randn_like(bad.maps))
    elif term == "haze":
        bad.second[1][0] = -2.0  # the ball dissolves
    else:
        bad.maps[:, 0, 0] = torch.linspace(-3, 3, 8)  # denser towards +x
        weight = torch.zeros(tri_planes.HIDDEN, tri_planes.FEATURES)
        weight[0, 0] = 1.0
        second = torch.zeros(4, tri_planes.HIDDEN)
        second[0, 0] = 2.0
        bad = bad._replace(first=(weight, bad.first[1]), second=(second, bad.second[1]))
    assert getattr(field_terms(bad), term) > 1.3 * getattr(field_terms(good), term) + 1e-4
