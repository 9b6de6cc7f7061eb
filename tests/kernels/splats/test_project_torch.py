from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from tondo.geometry.rotations import rotation_from_quat, rotation_from_vector
from tondo.kernels.splats.gaussians import Cameras, Gaussians
from tondo.kernels.splats.project_torch import Projection, ProjectionOptions, project_torch

OPTIONS = ProjectionOptions()
SIZE = (24, 17)
K = torch.tensor([[[30.0, 0, 11], [0, 28, 9], [0, 0, 1]]], dtype=torch.float64)
EYE = torch.eye(4, dtype=torch.float64)[None]
FIELDS = ("means2d", "depths", "conics", "compensations")


def one(mean: list[float], scale: float = 0.1, opacity: float = 1.0) -> tuple[Tensor, ...]:
    """A round splat."""
    return (
        torch.tensor([mean], dtype=torch.float64),
        torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64),
        torch.full((1, 3), scale, dtype=torch.float64),
        torch.tensor([opacity], dtype=torch.float64),
    )


def project(
    splats: Sequence[Tensor],
    viewmats: Tensor,
    Ks: Tensor,
    options: ProjectionOptions,
    size: tuple[int, int] = SIZE,
) -> Projection:
    return project_torch(Gaussians(*splats), Cameras(viewmats, Ks, *size), options)


def project_scene(scene: dict[str, Any], options: ProjectionOptions) -> Projection:
    """From the arguments of `rasterize`."""
    splats = [scene[name] for name in Gaussians._fields]
    return project(
        splats, scene["viewmats"], scene["Ks"], options, (scene["width"], scene["height"])
    )


def is_culled(projection: Projection) -> bool:
    values = [getattr(projection, name) for name in FIELDS] + [projection.radii]
    assert all(v.isfinite().all() for v in values)
    if (projection.radii == 0).all():
        assert all((v == 0).all() for v in values)
        return True
    return False


def test_round_splat_on_the_axis() -> None:
    # on the optical axis the projection is a circle of f s / z pixels, plus the low-pass term
    found = project(one([0.0, 0, 2.0], scale=0.1), EYE, K, OPTIONS)
    torch.testing.assert_close(found.means2d[0, 0].tolist(), [11.0, 9.0])
    xx, yy = (30 * 0.1 / 2) ** 2 + 0.3, (28 * 0.1 / 2) ** 2 + 0.3
    torch.testing.assert_close(found.conics[0, 0].tolist(), [1 / xx, 0.0, 1 / yy])
    extent = 3.329137  # sqrt(2 ln 255)
    expected = [-(-extent * xx**0.5 // 1), -(-extent * yy**0.5 // 1)]
    assert found.radii[0, 0].tolist() == expected
    assert found.depths[0, 0] == 2.0


def test_values_of_gsplat() -> None:
    # gsplat 1.5.3's torch reference of the projection, with compensation. Its extent does not
    # look at opacities, which is the same as opacity 1. The third splat is off screen.
    means = [[0.3, -0.2, 2], [-0.4, 0.1, 3], [5, 0.3, 2.5], [0.1, 0.2, 1.5], [-0.1, -0.3, 4]]
    quats = [
        [1, 0.2, -0.3, 0.5],
        [0.3, 1, 0.4, -0.2],
        [0.7, -0.1, 0.9, 0.2],
        [1, 0, 0, 0],
        [0.2, 0.2, -0.8, 0.6],
    ]
    scales = [[0.2, 0.1, 0.05], [0.3, 0.02, 0.15], [1, 0.8, 1.2], [0.01] * 3, [0.4, 0.4, 0.1]]
    viewmats = EYE.clone()
    viewmats[0, :3, :3] = rotation_from_vector(torch.tensor([0, 0.3, 0], dtype=torch.float64))
    viewmats[0, :3, 3] = torch.tensor([0.1, -0.05, 0.4])
    splats = [torch.tensor(x, dtype=torch.float64) for x in (means, quats, scales, [1.0] * 5)]
    found = project(splats, viewmats, K, OPTIONS._replace(antialiased=True))
    assert found.radii[0].tolist() == [[7, 7], [6, 6], [0, 0], [2, 2], [10, 4]]
    seen = [0, 1, 3, 4]
    expected = {
        "means2d": [
            [24.1993778208, 5.8497089519],
            [16.3580422836, 9.4136849890],
            [21.6265158098, 11.3288661630],
            [19.3738578350, 6.6946047511],
        ],
        "depths": [2.2220169163, 3.3842175500, 1.8034527130, 4.2508979772],
        "conics": [
            [3.3162408800e-01, -1.1519338431e-01, 2.9443696390e-01],
            [1.0572585504, -0.99390097516, 1.3184814340],
            [3.0198554888, -7.0860300072e-03, 3.0838501253],
            [1.2067006099e-01, 8.8629854683e-02, 1.0466346062],
        ],
        "compensations": [0.9054144041, 0.5690608936, 0.0838698526, 0.8126920689],
    }
    for name, values in expected.items():
        torch.testing.assert_close(
            getattr(found, name)[0, seen],
            torch.tensor(values, dtype=torch.float64),
            rtol=1e-8,
            atol=1e-9,
        )


def test_covariance_is_that_of_the_linearised_camera() -> None:
    # J by autograd of the pinhole map itself, against the closed form
    mean = torch.tensor([[0.25, -0.3, 1.7]], dtype=torch.float64)
    quat = torch.tensor([[0.4, -0.9, 0.2, 0.6]], dtype=torch.float64)
    scale = torch.tensor([[0.3, 0.05, 0.12]], dtype=torch.float64)

    def pinhole(point: Tensor) -> Tensor:
        image = K[0] @ point
        return image[:2] / image[2]

    jacobian = torch.autograd.functional.jacobian(pinhole, mean[0])
    factor = rotation_from_quat(quat[0]) * scale[0]
    expected = jacobian @ factor @ factor.T @ jacobian.T + 0.3 * torch.eye(2)
    found = project((mean, quat, scale, torch.ones(1).double()), EYE, K, OPTIONS)
    a, b, c = found.conics[0, 0]
    torch.testing.assert_close(torch.linalg.inv(expected), torch.stack([a, b, b, c]).view(2, 2))


@pytest.mark.parametrize(
    ("axis", "limit"),
    [
        (0, (24 - 11) / 30 + 0.15 * 24 / 30),
        (0, -11 / 30 - 0.15 * 24 / 30),
        (1, (17 - 9) / 28 + 0.15 * 17 / 28),
        (1, -9 / 28 - 0.15 * 17 / 28),
    ],
)
def test_jacobian_is_clamped_outside_the_picture_but_not_the_position(
    axis: int, limit: float
) -> None:
    def at(slope: float) -> tuple[float, Tensor]:
        mean = [0.0, 0.0, 2.0]
        mean[axis] = 2 * slope
        found = project(one(mean, scale=2.0), EYE, K, OPTIONS)
        assert not is_culled(found)
        return found.means2d[0, 0, axis].item(), found.conics[0, 0]

    step = 0.2 if limit > 0 else -0.2
    at_limit, further, inside = at(limit), at(limit + step), at(limit - step)
    torch.testing.assert_close(at_limit[1], further[1])
    assert (inside[1] - at_limit[1]).abs().max() > 1e-5
    center, focal = ((11, 30), (9, 28))[axis]
    assert further[0] == pytest.approx(center + focal * (limit + step))


@pytest.mark.parametrize(
    ("mean", "options"),
    [
        ([0.0, 0, -2.0], OPTIONS),  # behind
        ([0.0, 0, 0.0], OPTIONS),  # in the camera's plane
        ([0.0, 0, 0.5], OPTIONS._replace(near_plane=0.6)),
        ([0.0, 0, 5.0], OPTIONS._replace(far_plane=4.9)),
        ([-3.0, 0, 2.0], OPTIONS),  # left
        ([3.0, 0, 2.0], OPTIONS),  # right
        ([0.0, -3.0, 2.0], OPTIONS),  # above
        ([0.0, 3.0, 2.0], OPTIONS),  # below
        ([0.0, 0, 2.0], OPTIONS._replace(radius_clip=6.0)),
        ([float("nan"), 0, 2.0], OPTIONS),
        ([float("inf"), 0, 2.0], OPTIONS),
    ],
)
def test_culled(mean: list[float], options: ProjectionOptions) -> None:
    splat = [t.requires_grad_() for t in one(mean)]
    found = project(splat, EYE, K, options)
    assert is_culled(found)
    # and nothing of it reaches the gradient, not even as NaN
    grads = torch.autograd.grad(sum(getattr(found, f).sum() for f in FIELDS), splat[:3])
    assert all((g == 0).all() for g in grads)


def test_not_culled_at_the_limits() -> None:
    at_near = OPTIONS._replace(near_plane=2.0, far_plane=2.0)
    assert not is_culled(project(one([0.0, 0, 2.0]), EYE, K, at_near))
    # 6 px: culled at radius_clip 6 (above), kept just below
    below = OPTIONS._replace(radius_clip=5.9)
    assert not is_culled(project(one([0.0, 0, 2.0]), EYE, K, below))
    # centre outside, rim inside
    assert not is_culled(project(one([-0.95, 0, 2.0]), EYE, K, OPTIONS))


def test_transparent_splats_are_culled_and_compensation_counts() -> None:
    assert is_culled(project(one([0.0, 0, 2.0], opacity=0.0039), EYE, K, OPTIONS))
    assert not is_culled(project(one([0.0, 0, 2.0], opacity=0.0045), EYE, K, OPTIONS))
    tiny = one([0.0, 0, 2.0], scale=0.002, opacity=0.5)
    assert not is_culled(project(tiny, EYE, K, OPTIONS))
    assert is_culled(project(tiny, EYE, K, OPTIONS._replace(antialiased=True)))


def test_box_is_tight_around_visible_alpha(make_scene: Callable) -> None:
    s = make_scene(n=40, dtype=torch.float64, opacity=(0.01, 1.0))
    found = project_scene(s, OPTIONS)
    seen = (found.radii[0] > 0).all(-1)
    assert seen.sum() > 20
    covariance = torch.linalg.inv(found.conics[0, seen][:, [0, 1, 1, 2]].view(-1, 2, 2))
    # the furthest point along an axis with opacity exp(-sigma) = 1/255 is sqrt(2 ln(255 o) cov)
    reach = (2 * (255 * s["opacities"][seen, None]).log() * covariance.diagonal(0, 1, 2)).sqrt()
    radii = found.radii[0, seen]
    assert (radii >= reach).all()
    assert (radii < reach + 1).all()


def test_moving_world_and_camera_together_changes_nothing(make_scene: Callable) -> None:
    s = make_scene(n=11, cameras=2, dtype=torch.float64)
    options = ProjectionOptions(antialiased=True)
    turn = torch.tensor([0.8, -0.4, 0.3, 0.2], dtype=torch.float64)
    moved_from_world = torch.eye(4, dtype=torch.float64)
    moved_from_world[:3, :3] = rotation_from_quat(turn)
    moved_from_world[:3, 3] = torch.tensor([3.0, -1, 2])
    w, xyz = turn[0] / turn.norm(), turn[1:] / turn.norm()
    quats = torch.cat(
        [
            w * s["quats"][:, :1] - (s["quats"][:, 1:] * xyz).sum(-1, keepdim=True),
            w * s["quats"][:, 1:]
            + s["quats"][:, :1] * xyz
            + torch.linalg.cross(xyz.expand(11, 3), s["quats"][:, 1:]),
        ],
        dim=1,
    )
    means = s["means"] @ moved_from_world[:3, :3].T + moved_from_world[:3, 3]
    viewmats = s["viewmats"] @ torch.linalg.inv(moved_from_world)
    here = project_scene(s, options)
    there = project_scene({**s, "means": means, "quats": quats, "viewmats": viewmats}, options)
    assert (here.radii > 0).any()
    for name in (*FIELDS, "radii"):
        torch.testing.assert_close(getattr(here, name), getattr(there, name))


def test_two_cameras_are_two_single_cameras_and_none_is_none(make_scene: Callable) -> None:
    s = make_scene(n=5, cameras=2)
    both = project_scene(s, OPTIONS)
    assert both.radii.dtype == torch.int32
    assert both.radii.shape == (2, 5, 2)
    for c in range(2):
        one_camera = {name: s[name][c : c + 1] for name in ("viewmats", "Ks")}
        alone = project_scene({**s, **one_camera}, OPTIONS)
        for name in (*FIELDS, "radii"):
            assert torch.equal(getattr(both, name)[c], getattr(alone, name)[0])
    none = project_scene({**s, **{name: s[name][:0] for name in Gaussians._fields}}, OPTIONS)
    assert none.conics.shape == (2, 0, 3)


@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize("wide", [False, True])
def test_slopes(
    make_scene: Callable, assert_slopes: Callable, antialiased: bool, wide: bool
) -> None:
    s = make_scene(n=5, cameras=2, dtype=torch.float64, scale=(0.2, 0.8))
    if wide:  # clamped Jacobians: far to the side, big enough to reach the picture
        s["means"][:, 0] += torch.tensor([3.0, -3, 3, -2.5, 2.8])
        s["scales"] += 1.0
    options = ProjectionOptions(antialiased=antialiased)
    generator = torch.Generator().manual_seed(1)
    weights = {
        name: torch.randn(2, 5, *shape, dtype=torch.float64, generator=generator)
        for name, shape in {"means2d": (2,), "depths": (), "conics": (3,)}.items()
    }
    if antialiased:
        weights["compensations"] = torch.randn(2, 5, dtype=torch.float64, generator=generator)

    def loss(**splats: Tensor) -> Tensor:
        found = project_scene({**s, **splats}, options)
        assert (found.radii > 0).all(-1).sum() >= 7
        return sum((getattr(found, name) * w).sum() for name, w in weights.items())

    names = ("means", "quats", "scales", "viewmats", "Ks")
    assert_slopes(loss, {name: s[name] for name in names})
