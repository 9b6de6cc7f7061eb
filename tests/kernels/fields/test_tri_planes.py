"""Fields on three planes: the native kernel beside its twin, and the twin beside differences."""

from __future__ import annotations

from itertools import chain

import pytest
import torch
from torch import Tensor

from tondo import _native
from tondo.kernels.fields import tri_planes
from tondo.kernels.fields.tri_planes import march_planes
from tondo.kernels.fields.tri_planes_torch import Planes, march_planes_torch

B, H, W, R, HIDDEN = 3, 11, 17, 13, 24


def fields(features: int = 8, seed: int = 0) -> Planes:
    """Fields that let some light through, so that all samples of a ray count."""
    g = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g)

    thin = torch.tensor([-2.5, 0.0, 0.3, -0.3])
    first = (0.5 * draw(HIDDEN, features), 0.3 * draw(HIDDEN))
    return Planes(draw(B, 3, features, R, R), first, (0.4 * draw(4, HIDDEN), thin))


def rays(seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Of pinholes with an off-centre principal point; some miss the unit sphere."""
    g = torch.Generator().manual_seed(seed)
    x = (torch.arange(W) + 0.5 - 7.3) / 40.0
    y = (torch.arange(H) + 0.5 - 6.1) / 25.0
    across, down = torch.meshgrid(x, y, indexing="xy")
    local = torch.stack([across, down, torch.ones_like(across)], dim=2).view(-1, 3)
    rotations, _ = torch.linalg.qr(torch.randn(B, 3, 3, generator=g))
    distances = torch.tensor([4.0, 5.0, 0.4])[:, None]  # the last camera is inside
    return -distances * rotations[:, 2], local @ rotations, torch.rand(H * W, generator=g)


def clear(rays_o: Tensor, rays_d: Tensor) -> Tensor:
    """[B, P] rays that do not graze the sphere: float32 cannot say how long they are there."""
    a = rays_d.square().sum(dim=2, keepdim=True)
    middle = (rays_d * rays_o[:, None]).sum(dim=2, keepdim=True) / a
    return (1.0 - (rays_o[:, None] - rays_d * middle).square().sum(dim=2)).abs() > 1e-3


def assert_alike(planes: Planes, sight: tuple[Tensor, Tensor, Tensor]) -> None:
    images, alphas = march_planes(planes, *sight)
    wanted, covered = march_planes_torch(planes, *sight)
    judged = clear(*sight[:2])
    assert float(judged.float().mean()) > 0.98
    torch.testing.assert_close(images[judged], wanted[judged], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(alphas[judged], covered[judged], rtol=1e-4, atol=2e-5)


def test_the_native_pictures_are_those_of_the_twin() -> None:
    planes, sight = fields(), rays()
    _, covered = march_planes_torch(planes, *sight)
    assert float(covered.min()) < 1e-5
    assert float(((covered > 0.02) & (covered < 0.9)).float().mean()) > 0.05
    assert_alike(planes, sight)


def test_opaque_fields_end_their_rays_early_and_look_the_same() -> None:
    planes, sight = fields(), rays()
    planes.second[1][0] = 2.0
    assert_alike(planes, sight)


def gradients(native: bool) -> list[Tensor]:
    planes, sight = fields(), rays()
    leaves = [x.requires_grad_() for x in (planes.maps, *planes.first, *planes.second)]
    images, alphas = (march_planes if native else march_planes_torch)(planes, *sight)
    weight = torch.randn(B, H * W, 5, generator=torch.Generator().manual_seed(5))
    (torch.cat([images, alphas[..., None]], dim=2) * weight).sum().backward()
    return [leaf.grad for leaf in leaves if leaf.grad is not None]


def test_the_native_gradients_are_those_of_the_twin() -> None:
    found, wanted = gradients(True), gradients(False)
    assert len(found) == len(wanted) == 5
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-3, atol=2e-4 * float(other.abs().max()))


def test_the_twins_gradients_are_those_of_finite_differences() -> None:
    planes = fields()
    small = planes._replace(maps=planes.maps[:1, :, :, :5, :5])
    doubled = [x.double().requires_grad_() for x in (small.maps, *small.first, *small.second)]
    rays_o, rays_d, shifts = (x.double() for x in rays())
    at = torch.tensor([40, 91, 117])
    sight = (rays_o[:1].requires_grad_(), rays_d[:1, at].requires_grad_(), shifts[at])

    def pictures(maps: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
        now = Planes(maps, (rest[0], rest[1]), (rest[2], rest[3]))
        return march_planes_torch(now, rest[4], rest[5], sight[2])

    inputs = (*doubled, *sight[:2])
    assert torch.autograd.gradcheck(pictures, inputs, atol=1e-5, rtol=1e-3, fast_mode=True)


def test_any_number_of_threads_gives_the_same_bits() -> None:
    before = _native.num_threads()
    try:
        found = []
        for threads in (1, 2):
            _native.set_num_threads(threads)
            found.append(gradients(True))
    finally:
        _native.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_rays_with_a_gradient_and_other_widths_take_the_twin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []

    def counted(planes: Planes, *sight: Tensor) -> tuple[Tensor, Tensor]:
        calls.append(planes.maps.shape[2])
        return march_planes_torch(planes, *sight)

    monkeypatch.setattr(tri_planes, "march_planes_torch", counted)
    rays_o, rays_d, shifts = rays()
    march_planes(fields(), rays_o, rays_d, shifts)
    march_planes(fields(features=5), rays_o, rays_d, shifts)
    images, _ = march_planes(fields(), rays_o.requires_grad_(), rays_d, shifts)
    images.sum().backward()
    assert calls == [5, 8]
    assert rays_o.grad is not None
    assert bool(torch.isfinite(rays_o.grad).all())  # some rays miss
    assert float(rays_o.grad.abs().sum()) > 0


@pytest.mark.parametrize("wrong", range(4))
def test_shapes_that_do_not_fit_are_named(wrong: int) -> None:
    planes, sight = fields(), list(rays())
    names = ("planes.maps", "rays_o", "rays_d", "shifts")
    if wrong == 0:
        planes = planes._replace(maps=planes.maps[..., :-1])
    else:
        sight[wrong - 1] = sight[wrong - 1][..., :-1]
    with pytest.raises(ValueError, match=names[wrong]):
        march_planes(planes, *sight)


def test_native_refuses_arrays_that_do_not_fit() -> None:
    planes, (rays_o, rays_d, shifts) = fields(), rays()
    maps = planes.maps.permute(0, 1, 3, 4, 2).contiguous()
    given = [maps, *chain(planes.first, planes.second), rays_o, rays_d, shifts]
    out = [torch.empty(B, H * W, 4), torch.empty(B, H * W)]
    for k in range(8):
        bad = list(given)
        bad[k] = bad[k][:-1].contiguous()
        with pytest.raises((ValueError, TypeError)):
            _native.tri_planes_forward(bad[:5], bad[5:], tri_planes.QUADRATURE, *out)
    with pytest.raises(ValueError, match="samples"):
        _native.tri_planes_forward(given[:5], given[5:], (12, *tri_planes.QUADRATURE[1:]), *out)
