"""Rebuilding photographs: what codes cost, and objects that come to look like photographs."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence

from tiny_generators import SHAPE
from tiny_trainings import Watched, pretrained, squares, train_inputs, tuned
from tondo.gan.networks import latent_mixture
from tondo.gan.objects.render import make_objects, render
from tondo.gan.training import state_tensors
from tondo.gan.training.autoencoder import (
    FIRST_LOG_STD,
    MOST_LOG_STD,
    PhotoCode,
    PhotoEncoder,
    multiscale_l1,
    silhouette_shading_l1,
)
from tondo.gan.training.divergence import BrokenTraining
from tondo.gan.training.reconstruction import (
    CANDIDATES,
    FRONT,
    Photos,
    best_candidate,
    camera_candidates,
    encode_photos,
    reconstruction_loss,
    render_photos,
    reweighted_priors,
)
from tondo.gan.training.state import (
    CameraEstimates,
    TrainInputs,
    TrainState,
    real_images,
    with_coverage,
)
from tondo.gan.training.step import begin, one_step
from tondo.geometry.pose_prior import BELL, NAMED, PosePrior, cameras_by, parse_poses
from tondo.runs.watch import Watch


def test_codes_are_drawn_and_cost_what_they_say() -> None:
    rng = torch.Generator().manual_seed(0)
    means, log_stds, noise = (torch.randn(5, 6, generator=rng) for _ in range(3))
    code = PhotoCode(means, log_stds, torch.zeros(5, 3), [])
    torch.testing.assert_close(code.sample(noise), means + log_stds.exp() * noise)
    theirs = Independent(Normal(means, log_stds.exp()), 1)
    random = Independent(Normal(torch.zeros(6), torch.ones(6)), 1)
    torch.testing.assert_close(code.kl(), kl_divergence(theirs, random))


def test_codes_come_from_photographs_and_angles() -> None:
    rng = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    codes = PhotoEncoder(Watched(), 32, 6)
    images, angles = (
        torch.rand(20, 4, 32, 32, generator=rng),
        torch.rand(20, 3, generator=rng),
    )
    codes.calibrate(images)
    code = codes(images, angles)
    assert code.angles is angles
    assert code.means.shape == code.log_stds.shape == (20, 6)
    for other in (codes(images, angles + 1), codes(images.flip(0), angles)):
        assert not torch.isclose(other.means, code.means, rtol=0, atol=1e-4).all(dim=1).any()


def test_no_photograph_has_a_code_that_is_drawn_from_nearly_anywhere() -> None:
    torch.manual_seed(1)
    codes = PhotoEncoder(Watched(), 32, 6)
    images, angles = torch.rand(7, 3, 32, 32), torch.rand(7, 3)
    codes.calibrate(images)
    with torch.no_grad():
        codes.to_z.weight.zero_()
        codes.to_z.bias[6:] = torch.tensor([-300.0, -5.0, -0.1, 0.0, 3.0, 1e4])
    code = codes(images, angles)
    found = code.log_stds[0]
    assert float(found.detach().max()) == MOST_LOG_STD
    assert float(found[3].detach()) == pytest.approx(FIRST_LOG_STD, abs=1e-6)
    assert bool((found.detach().diff() >= 0).all())
    assert float((found[2] - found[1]).detach()) == pytest.approx(4.9, rel=0.15)
    assert bool(code.kl().isfinite().all())


def test_cameras_are_drawn_from_priors_as_often_as_photographs_were_found_there() -> None:
    priors = parse_poses("turntable+tumble")
    inputs = replace(train_inputs(squares(), Watched()), priors=priors)
    t = begin(inputs, SHAPE, 0)
    priors_of = t.camera_estimates.priors
    assert bool((priors_of < 0).all())
    assert [prior.weight for prior in reweighted_priors(t, inputs)] == [0.5, 0.25, 0.25]
    priors_of[:3], priors_of[3:7] = 0, 2
    found = reweighted_priors(t, inputs)
    assert [prior.weight for prior in found] == pytest.approx([3.5 / 8, 0.25 / 8, 4.25 / 8])
    assert tuple(replace(one, weight=1.0) for one in found) == tuple(
        replace(one, weight=1.0) for one in priors
    )


def test_unlike_is_a_mean_over_sizes() -> None:
    first, second = torch.zeros(2, 3, 16, 16), torch.full((2, 3, 16, 16), 0.25)
    assert multiscale_l1(first, second).tolist() == [0.25, 0.25]
    chequers = (torch.arange(16)[:, None] + torch.arange(16)).remainder(2).float()
    # seen at full size alone: the three halved pictures are grey
    torch.testing.assert_close(
        multiscale_l1(chequers.expand(2, 3, 16, 16), first + 0.5), torch.full((2,), 0.125)
    )


def test_unlike_in_features_is_relative_to_each_channel_and_a_mean_over_levels() -> None:
    rng = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    extractor = Watched()
    codes = PhotoEncoder(extractor, 32, 6)
    photographs, pictures = (torch.rand(20, 4, 32, 32, generator=rng) for _ in range(2))
    codes.calibrate(photographs)
    wanted = codes(photographs, torch.zeros(20, 3)).features
    assert codes.feature_l1(photographs, wanted).tolist() == [0.0] * 20
    expected = torch.zeros(20)
    for x, y in zip(extractor.features(pictures[:, :3]), wanted, strict=True):
        spread = y.std(dim=(0, 2, 3), keepdim=True)
        expected += ((x - y) / (spread + 1e-3)).abs().mean(dim=(1, 2, 3)) / len(wanted)
    torch.testing.assert_close(codes.feature_l1(pictures, wanted), expected)


@pytest.mark.parametrize("with_alpha", [False, True])
def test_form_knows_outlines_and_shading_but_no_colour(with_alpha: bool) -> None:
    shade = torch.linspace(0.3, 0.7, 16).expand(2, 1, 16, 16).clone()
    inside = torch.zeros(2, 1, 16, 16)
    inside[:, :, 3:13, 5:12] = 1

    def picture(shade: Tensor, color: tuple[float, float, float]) -> Tensor:
        over_white = inside * shade * torch.tensor(color)[:, None, None] + 1 - inside
        return torch.cat([over_white, inside], dim=1) if with_alpha else over_white

    one = picture(shade, (0.9, 0.5, 0.4))
    torch.testing.assert_close(
        silhouette_shading_l1(one, picture(shade, (0.5, 0.8, 0.5))),
        torch.zeros(2),
        atol=0.01,
        rtol=0,
    )
    assert float(multiscale_l1(one, picture(shade, (0.5, 0.8, 0.5))).min()) > 0.02
    assert float(silhouette_shading_l1(one, picture(shade.flip(3), (0.9, 0.5, 0.4))).min()) > 0.03
    moved = one.roll(3, dims=2)
    assert float(silhouette_shading_l1(one, moved).min()) > 0.05


def test_the_first_look_makes_objects_like_the_photographs() -> None:
    inputs = train_inputs(squares(), Watched())
    state = begin(inputs, SHAPE, seed=0)
    before = far_off(state, inputs)
    told: list[tuple[int, int]] = []

    watch = Watch(stage=lambda _, done, of: told.append((done, of)))
    pretrained(state, inputs, 400, watch)
    assert told[-1] == (400, 400)
    assert far_off(state, inputs) < 0.6 * before
    for name, tensor in state.G.state_dict().items():
        assert torch.equal(tensor, state.G_ema.state_dict()[name]), name


def far_off(state: TrainState, inputs: TrainInputs) -> float:
    rows = torch.arange(12)
    with torch.no_grad():
        photographs = real_images(inputs, rows)
        noise = torch.zeros(12, SHAPE.z)
        styled = encode_photos(state, inputs, rows, photographs, noise)
        assert styled.cameras is not None
        rendered = render(
            make_objects(state.G, styled.w), *styled.cameras, torch.ones(12, 32, 32, 3)
        )
        return float(multiscale_l1(with_coverage(rendered, inputs), photographs).mean())


@pytest.mark.parametrize("bell", [True, False])
def test_unknown_cameras_are_looked_for_within_a_narrow_prior(bell: bool) -> None:
    known = train_inputs(squares(), Watched())
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(256, (50, 4, 32, 32), dtype=torch.uint8, generator=rng)
    pictures = replace(known.pictures, images=images, viewmats=None, Ks=None)
    priors = (replace(NAMED["frontal"][0], bell=bell),)
    inputs = replace(known, pictures=pictures, camera_angles=None, priors=priors)
    state = begin(inputs, SHAPE, seed=0)
    assert state.photo_encoder is not None
    photographs = real_images(inputs, torch.arange(50))
    for _ in range(100):  # until the running numbers know the features
        angles = state.photo_encoder(photographs, None).angles
        assert angles is not None
    low, high = angles.detach().amin(dim=0), angles.detach().amax(dim=0)
    reach = torch.deg2rad(torch.tensor([45.0, 15.0, 0.0]))
    assert bool((high <= reach).all())
    assert bool((low >= -reach).all())
    spread = (BELL if bell else 2 / 12**0.5) * float(reach[0])
    assert float(angles.detach().std(dim=0)[0]) == pytest.approx(spread, rel=0.2)
    # nearer to the middle, as pretraining begins
    nearer = state.photo_encoder(photographs, None, reach=0.25).angles
    assert nearer is not None
    inside = angles.abs() < 0.99 * reach  # the rest is cut off there
    torch.testing.assert_close(nearer[inside], 0.25 * angles[inside], rtol=0.1, atol=2e-3)
    one_step(state, inputs)
    grads = [p.grad for p in state.photo_encoder.to_angles.parameters()]  # type: ignore[union-attr]
    assert all(float(grad.abs().max()) > 0 for grad in grads if grad is not None)
    assert None not in grads


class Pooling:
    """Sees pictures half as large, so a mirrored one mirrored."""

    def features(self, images: Tensor) -> list[Tensor]:
        return [torch.nn.functional.avg_pool2d(images, 2)]


def test_a_mirrored_photograph_has_the_mirrored_camera_where_left_and_right_are_alike() -> None:
    rng = torch.Generator().manual_seed(0)
    images = torch.rand(16, 3, 32, 32, generator=rng)
    prior, found = NAMED["frontal"][0], {}
    for mirror in (True, False):
        torch.manual_seed(0)
        codes = PhotoEncoder(Pooling(), 32, 6, prior, with_cameras=False, side=2, mirror=mirror)
        codes.calibrate(images)
        codes.eval()
        with torch.no_grad():
            there, turned = (codes(x, None).angles for x in (images, images.flip(3)))
        assert there is not None
        assert turned is not None
        assert float(there[:, :2].std(dim=0).min()) > 0.01
        found[mirror] = turned - there * torch.tensor([-1.0, 1.0, -1.0])
    assert float(found[True].abs().max()) < 1e-5
    assert float(found[False][:, :2].abs().amax(dim=0).min()) > 0.01


def test_photographs_from_all_round_get_the_best_of_some_drawn_cameras() -> None:
    known = train_inputs(squares(), Watched())
    pictures = replace(known.pictures, viewmats=None, Ks=None)
    inputs = replace(known, pictures=pictures, camera_angles=None, priors=NAMED["turntable"])
    state = begin(inputs, SHAPE, seed=2)  # cameras are not equally good to a per cent
    assert state.photo_encoder is not None
    assert state.photo_encoder.to_angles is None
    rows = torch.arange(12)
    photographs = real_images(inputs, rows)
    background = torch.ones(12, 32, 32, 3)
    noise = torch.randn(12, SHAPE.z, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        candidates = camera_candidates(state, inputs, rows)
        assert candidates.angles.shape == (12, CANDIDATES, 3)
        styled = encode_photos(state, inputs, rows, photographs, noise)
        assert styled.cameras is None
        objects = make_objects(state.G, styled.w)
        pictures = [
            with_coverage(
                render(objects, candidates.viewmats[:, k], candidates.Ks[:, k], background), inputs
            )
            for k in range(CANDIDATES)
        ]
        best = torch.stack([silhouette_shading_l1(x, photographs) for x in pictures]).argmin(dim=0)
        assert torch.equal(
            best_candidate(inputs, objects, background, photographs, candidates), best
        )
        photos = Photos(rows, photographs, candidates)
        rendered = render_photos(state, inputs, styled, objects, background, photos)
        encoder = state.photo_encoder
        off = reconstruction_loss(encoder, inputs, styled.code, rendered, photographs)
        again = camera_candidates(state, inputs, rows)
    assert len(set(best.tolist())) > 1
    # the best is tried again, with one near it, and two others
    torch.testing.assert_close(again.viewmats[:, 0], candidates.viewmats[rows, best])
    torch.testing.assert_close(again.Ks[:, 0], candidates.Ks[rows, best])
    away = (again.angles[:, 1, 0] - again.angles[:, 0, 0]).abs()
    assert 0 < float(away.max()) < 0.8
    assert float((again.angles[:, 2:, 0] - again.angles[:, :1, 0]).abs().max()) > 0.8
    found = torch.stack([multiscale_l1(x, photographs) for x in pictures])[best, rows]
    with torch.no_grad():
        shown = torch.stack(pictures)[best, rows]
        features = state.photo_encoder.feature_l1(shown, styled.code.features)
    options = inputs.options.autoencoder
    wanted = (
        found + options.feature_weight * features + options.kl_weight * styled.code.kl()
    ).mean()
    torch.testing.assert_close(off, wanted, rtol=1e-4, atol=0)
    before_g = state.G.skin_network.conv1.weight.clone()
    one_step(state, inputs)
    assert not torch.equal(state.G.skin_network.conv1.weight, before_g)


def test_codes_are_part_of_a_checkpoint() -> None:
    inputs = train_inputs(squares(), Watched())
    state = begin(inputs, SHAPE, seed=0)
    one_step(state, inputs)
    again = state_tensors.from_tensors(state_tensors.to_tensors(state), inputs, SHAPE)
    assert one_step(again, inputs) == one_step(state, inputs)
    assert again.photo_encoder is not None
    assert state.photo_encoder is not None
    for name, tensor in state.photo_encoder.state_dict().items():
        assert torch.equal(again.photo_encoder.state_dict()[name], tensor), name


def test_what_is_plain_in_all_photographs_does_not_shout_when_it_is_not_in_one() -> None:
    inputs = train_inputs(squares(), Watched())
    state = begin(inputs, SHAPE, seed=0)
    codes = state.photo_encoder
    assert codes is not None
    images = 1 - 0.5 * torch.rand(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    images[:, :, :8] = 1.0  # a plain background
    codes.calibrate(images)
    usual = codes(images, torch.zeros(16, 3))
    images[0, :, :8] = 0.9
    found = codes(images, torch.zeros(16, 3))
    assert float((found.means - usual.means).detach().abs().max()) < 1.0
    assert float((found.log_stds - usual.log_stds).detach().abs().max()) < 1.0


def test_a_first_look_that_breaks_says_so() -> None:
    inputs = train_inputs(squares(), Watched())
    state = begin(inputs, SHAPE, seed=0)
    with torch.no_grad():
        state.G.skin_network.conv1.weight[0] = float("nan")
    with pytest.raises(BrokenTraining, match=r"NaN after 8 of 400 photographs.*What to try"):
        pretrained(state, inputs, 400)


def test_random_z_come_to_lie_as_the_codes_do(monkeypatch: pytest.MonkeyPatch) -> None:
    every = 128
    monkeypatch.setattr(latent_mixture, "EVERY", every)
    inputs = train_inputs(squares(), Watched())
    state = begin(inputs, replace(SHAPE, mixture_components=3), seed=0)
    pretrained(state, inputs, every + 64)
    centre, spread = state.G.mixture_means.clone(), state.G.mixture_roots.clone()
    assert torch.equal(state.G_ema.mixture_roots, spread)
    assert bool((state.G.mixture_weights > 0).all())
    assert float(centre.abs().max()) > 0
    own = inputs.options.schedule.batch // 2  # objects of photographs in a step
    for _ in range(every // own - state.latent_buffer.count % every // own):
        assert torch.equal(state.G.mixture_roots, spread)
        one_step(state, inputs)
    assert not torch.equal(state.G.mixture_roots, spread)
    assert torch.equal(state.G_ema.mixture_roots, state.G.mixture_roots)
    without = replace(inputs, options=tuned(inputs.options, reconstruction_weight=0.0))
    alone = begin(without, SHAPE, seed=0)
    one_step(alone, without)
    assert bool((alone.G.mixture_roots == torch.eye(SHAPE.z)).all())


@pytest.mark.parametrize("azimuth", [(-180.0, 180.0), (20.0, 60.0)])
def test_things_alike_all_round_are_seen_from_their_front_mostly(
    azimuth: tuple[float, float],
) -> None:
    known = train_inputs(squares(), Watched())
    many = known.pictures.images.repeat(200, 1, 1, 1)
    pictures = replace(known.pictures, images=many, viewmats=None, Ks=None)
    priors = (PosePrior(azimuth, (-90.0, 90.0), (90.0, 90.0)), PosePrior(azimuth, (-5.0, 15.0)))
    inputs = replace(known, pictures=pictures, camera_angles=None, priors=priors)
    state = begin(inputs, replace(SHAPE, axial=True), seed=0)
    rows = torch.arange(len(many))
    half_known = CameraEstimates(torch.tensor([1.0, 0.1, 0.0]), torch.tensor(1))  # from wherever
    state.camera_estimates.remember(rows[::2], half_known)
    candidates = camera_candidates(state, inputs, rows)
    middle, half = (math.radians(0.5 * (azimuth[1] + sign * azimuth[0])) for sign in (1, -1))
    away = (candidates.angles[..., 0] - middle).abs()
    assert float(away.max()) <= half + 1e-5
    assert float((away.amax(dim=1) - away.amin(dim=1)).max()) < 1e-5  # a photograph's are the same
    at_front = (away[:, 0] < 1e-5).float().mean()
    assert float(at_front) == pytest.approx(FRONT, abs=0.03)  # 3.4 standard deviations
    assert float(away[:, 0].mean()) == pytest.approx((1 - FRONT) * 0.5 * half, rel=0.1)
    # all else is tried as for any other thing: what is known first, and drawn elevations
    torch.testing.assert_close(candidates.angles[::2, 0, 1], torch.full((len(many) // 2,), 0.1))
    assert float(candidates.angles[:, 2:, 1].std()) > 0.2
    wanted, _ = cameras_by(priors[1], candidates.angles[0, :1], 32)
    torch.testing.assert_close(candidates.viewmats[0, 0], wanted[0])
