"""A field learns photographs, the same way every time, and its state is whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch

from small_photos import known_scene, photos
from tondo import _native
from tondo.data.photos import Photo
from tondo.errors import OptionError
from tondo.kernels.fields.rays import Tape, ends_of, render_rays
from tondo.nerf import train
from tondo.nerf.bounds import marching_of, space_of
from tondo.nerf.options import (
    CosinePlanes,
    Distortion,
    FieldRates,
    Frequencies,
    HashGrid,
    NerfOptions,
    Sampling,
    Smoothness,
    suited,
)
from tondo.nerf.patches import bends_of, draw_patches
from tondo.nerf.ray_batches import pixels_of, rays_at
from tondo.nerf.train import TrainInputs, TrainState, psnr_of
from tondo.runs.horizon import Horizon
from tondo.runs.method import Background, Report
from tondo.scenes.render import render

RATES = FieldRates(batch=8_000, networks=4e-3)
CONFIG = NerfOptions(
    hash=HashGrid(4, 4, log2_entries=12, coarsest=8, finest=64, hidden=16, rates=RATES),
    dct=CosinePlanes(frequencies=12, features=8, cells=24, first_band=2.0, hidden=16, rates=RATES),
    frequency=Frequencies(5, 2, width=32, depth=4, coarse_samples=16, fine_samples=24, rates=RATES),
    sampling=Sampling(cells=16, steps_across=192, occupancy_every=3),
    smoothness=Smoothness(1e-3, start=0.1),
)


def cut_out(photo: Photo) -> Photo:
    """The photo with what is behind the known scene left out."""
    scene = known_scene()
    view = render(scene, photo.camera)
    alpha = view.alpha[..., None]
    color = (view.color - (1 - alpha) * scene.background) / alpha.clamp_min(1e-3)
    image, alpha = ((x.clamp(0, 1) * 255).round().to(torch.uint8) for x in (color, alpha))
    return Photo(photo.name, photo.camera, image, alpha[..., 0])


def with_unit(photo: Photo, unit: float) -> Photo:
    """The photo in a world whose unit is so many times smaller."""
    viewmat = photo.camera.viewmat.clone()
    viewmat[:3, 3] *= unit
    return replace(photo, camera=replace(photo.camera, viewmat=viewmat))


def setting(
    steps: int,
    config: NerfOptions = CONFIG,
    bounded: bool = True,
    unit: float = 1.0,
    exposure: bool = False,
) -> TrainInputs:
    shots = photos(8)
    if bounded:
        shots = [cut_out(photo) for photo in shots]
    shots = [with_unit(photo, unit) for photo in shots]
    space = space_of([photo.camera for photo in shots], bounded, config.sampling.cells)
    marching, horizon = marching_of(space, config), Horizon(steps, None)
    grey = torch.full((3,), 0.5)
    return TrainInputs(
        pixels_of(shots), config, horizon, space, marching, Background(grey, bounded), exposure
    )


def mean_square(reports: list[Report]) -> float:
    """The mean of the reports' squared errors."""
    return sum(10 ** (-report.event.psnr / 10) for report in reports) / len(reports)


def reports_of(training: TrainState, wanted: TrainInputs) -> Iterator[Report]:
    """Train until the horizon, with a report after every step."""
    tape, fraction = Tape(), wanted.horizon.fraction(training.step, 0.0)
    while fraction < 1:
        report = train.advance(training, wanted, tape, fraction)
        fraction = report.fraction
        yield report


def trained(wanted: TrainInputs, seed: int = 0) -> tuple[TrainState, list[Report]]:
    training = train.begin(wanted, 8, seed)
    return training, list(reports_of(training, wanted))


@pytest.mark.parametrize("bounded", [True, False])
@pytest.mark.parametrize("unit", [1024.0, 2.0**-20])
def test_the_worlds_unit_does_not_matter(unit: float, bounded: bool) -> None:
    """Millimetres or light years: the same course, up to rounding."""
    (_, plain), (_, other) = (trained(setting(40, bounded=bounded, unit=u)) for u in (1.0, unit))
    for one, two in zip(plain, other, strict=True):
        assert two.event.loss == pytest.approx(one.event.loss, rel=0.01), one.event.step
    assert plain[-1].event.loss < 0.8 * plain[0].event.loss


@pytest.mark.parametrize(
    ("encoding", "bounded"),
    [
        ("hash", True),
        ("hash", False),
        ("dct", True),
        ("frequency", True),
        ("frequency", False),
    ],
)
def test_photos_are_learned(encoding: str, bounded: bool) -> None:
    sampling = replace(CONFIG.sampling, by_error=0.5 if bounded else 0.0)
    config = replace(CONFIG, encoding=encoding, distortion=Distortion(1e-3), sampling=sampling)
    training, reports = trained(setting(120, config, bounded, exposure=not bounded))
    assert [report.event.step for report in reports] == list(range(1, 121))
    first, last = (mean_square(part) for part in (reports[:10], reports[-10:]))
    assert psnr_of(last) > 17
    assert psnr_of(last) > psnr_of(first) + 3
    if bounded and encoding != "frequency":
        assert float(training.field.space.occupied.float().mean()) < 0.8
    off = training.exposures - torch.eye(3, 4)
    assert (float(off.abs().max()) > 1e-4) == (not bounded)
    assert float(off.mean(dim=0).abs().max()) < 1e-3


FOGGY = replace(CONFIG, distortion=Distortion(0.05))  # without bounds: long strides, fog condenses


@pytest.mark.parametrize(("config", "bounded"), [(CONFIG, True), (FOGGY, False)])
def test_the_same_seed_gives_the_same_bits_for_any_number_of_threads(
    config: NerfOptions, bounded: bool
) -> None:
    before = _native.num_threads()
    found = []
    try:
        for threads, seed in ((1, 0), (3, 0), (1, 1)):
            _native.set_num_threads(threads)
            found.append(trained(setting(12, config, bounded), seed)[0].field)
    finally:
        _native.set_num_threads(before)
    first, same, other = (field.encoding.tables for field in found)
    assert torch.equal(first, same)
    assert torch.equal(found[0].heads.weights, found[1].heads.weights)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("encoding", "bounded"),
    [("hash", True), ("hash", False), ("dct", True), ("frequency", True)],
)
def test_going_on_from_its_tensors_is_like_never_stopping(encoding: str, bounded: bool) -> None:
    sampling = replace(FOGGY.sampling, by_error=0.5)
    wanted = setting(30, replace(FOGGY, encoding=encoding, sampling=sampling), bounded)
    whole, _ = trained(wanted)
    half = train.begin(wanted, 8, 0)
    for report in reports_of(half, wanted):
        if report.event.step == 13:
            break
    again = train.from_tensors(train.to_tensors(half), wanted)
    list(reports_of(again, wanted))
    for name, tensor in train.to_tensors(whole).items():
        if name != "seconds":
            assert torch.equal(train.to_tensors(again)[name], tensor), name


def test_a_state_of_another_shape_is_refused() -> None:
    tensors = train.to_tensors(train.begin(setting(1), 8, 0))
    other = replace(CONFIG, hash=replace(CONFIG.hash, log2_entries=11))
    with pytest.raises(ValueError, match="expected"):
        train.from_tensors(tensors, setting(1, other))
    del tensors["remembered"]
    with pytest.raises(KeyError, match="remembered"):
        train.from_tensors(tensors, setting(1))


def test_a_learned_background_finds_the_colour_behind_the_scene() -> None:
    """Grey photos of nothing: the background becomes grey, and is kept over a stop."""
    first = setting(160)
    colors = torch.full_like(first.pixels.colors, 128)
    pixels = replace(first.pixels, colors=colors, alphas=None)
    black = replace(
        first,
        pixels=pixels,
        background=Background(torch.full((3,), 0.3), is_learned=True),
        space=replace(first.space, occupied=torch.zeros_like(first.space.occupied)),
    )
    training = train.begin(black, 8, 0)
    training.field = replace(training.field, space=black.space)
    seldom = replace(CONFIG.sampling, occupancy_every=1_000_000)
    black = replace(black, config=replace(CONFIG, sampling=seldom))
    training.step = 1  # no look at the cells
    list(reports_of(training, black))
    torch.testing.assert_close(training.background, torch.full((3,), 128 / 255), atol=0.03, rtol=0)
    again = train.from_tensors(train.to_tensors(training), black)
    assert torch.equal(again.background, training.background)
    assert torch.equal(again.background_moments, training.background_moments)


def test_an_occupancy_grid_that_runs_empty_recovers() -> None:
    wanted = setting(9)
    training = train.begin(wanted, 8, 0)
    parts = [part.clone() for part in training.field.heads.parts()]
    parts[3][0] = -200.0  # nothing anywhere
    weights = torch.cat([part.flatten() for part in parts])
    training.field = replace(training.field, heads=replace(training.field.heads, weights=weights))
    told = [report.note for report in reports_of(training, wanted)]
    assert training.recovered == 3
    assert [k for k, note in enumerate(told) if note and "looking everywhere again" in note] == [
        0,
        3,
        6,
    ]
    assert bool(training.field.space.occupied.all())


def test_settings_suit_the_space_unless_they_were_chosen() -> None:
    without, within = (suited(NerfOptions(), bounded=one, photos=50) for one in (False, True))
    assert (without.sampling.cells, without.distortion.weight) == (192, 0.05)
    assert (within.sampling.cells, within.distortion.weight) == (96, 0.0)
    few = suited(NerfOptions(), bounded=False, photos=9)
    assert (few.sampling.cells, few.distortion.weight) == (192, 0.0)
    assert suited(NerfOptions("frequency"), bounded=False, photos=50).distortion.weight == 0.0
    assert suited(NerfOptions("frequency"), bounded=True, photos=50).smoothness.weight == 0.0
    assert (without.smoothness.weight, within.smoothness.weight) == (2e-3, 5e-3)
    chosen = NerfOptions(
        sampling=Sampling(cells=16), distortion=Distortion(0.0), smoothness=Smoothness(0.1)
    )
    assert suited(chosen, bounded=False, photos=50) == chosen
    assert NerfOptions("dct").rates.batch > NerfOptions("hash").rates.batch == FieldRates().batch
    first = NerfOptions(
        "frequency"
    ).rates  # the first paper's rates fall from 5e-4 to 5e-5, exponentially
    assert (first.networks, first.end, first.decay, first.beta2) == (5e-4, 0.1, 1.0, 0.999)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda: NerfOptions("hsah"), "`encoding` must be one of hash, dct, frequency, got 'hsah'"),
        (lambda: HashGrid(levels=0), "`levels` must be at least 1, got 0"),
        (lambda: Sampling(occupancy_every=0), "`occupancy_every` must be at least 1, got 0"),
        (lambda: Smoothness(-1.0), "`weight` must be at least 0, got -1"),
        (lambda: Smoothness(share=1.5), "`share` must be from 0 to 1, got 1.5"),
        (lambda: Smoothness(spacing=0), "`spacing` must be at least 1, got 0"),
        (lambda: Smoothness(start=2.0), "`start` must be from 0 to 1, got 2"),
        (lambda: Sampling(by_error=1.0), "`by_error` must be from 0 to 0.999, got 1"),
    ],
)
def test_settings_that_cannot_be(change: Callable[[], object], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        change()


def test_the_distortion_condenses_fog() -> None:
    def spread(distortion: float) -> float:
        sampling = replace(CONFIG.sampling, steps_across=64)
        config = replace(CONFIG, distortion=Distortion(distortion, steps=20), sampling=sampling)
        wanted = setting(150, config, bounded=False)
        training, _ = trained(wanted)
        rays = rays_at(wanted.pixels, torch.arange(0, len(wanted.pixels.colors), 7))
        ends = ends_of(training.field.space, rays.origins, rays.directions, 0.1, 30.0)
        found = render_rays(training.field, rays.origins, rays.directions, ends, wanted.marching)
        return float(found.distortions.mean())

    assert spread(0.05) < 0.7 * spread(0.0)


def test_smoothness_begins_late_and_rises() -> None:
    late = Smoothness(0.4, start=0.25)
    weights = [late.weight_at(fraction) for fraction in (0.0, 0.2, 0.25, 0.375, 0.5, 1.0)]
    assert weights == [0.0, 0.0, 0.0, 0.2, 0.4, 0.4]
    assert Smoothness(0.4, start=0.0).weight_at(0.0) == 0.4
    assert Smoothness(0.0).weight_at(1.0) == Smoothness().weight_at(1.0) == 0.0


def test_smoothness_takes_bumps_away() -> None:
    def bend(weight: float) -> float:
        config = replace(CONFIG, smoothness=Smoothness(weight, start=0.1))
        wanted = setting(150, config)
        training, _ = trained(wanted)
        rng, corners = torch.Generator().manual_seed(3), torch.arange(0, 30_000, 61)
        patches = draw_patches(wanted.pixels, corners, 1, rng)
        rays = rays_at(wanted.pixels, patches.rows.flatten())
        ends = ends_of(training.field.space, rays.origins, rays.directions, 0.1, 30.0)
        found = render_rays(training.field, rays.origins, rays.directions, ends, wanted.marching)
        return float(bends_of(patches, rays, found, training.field.space.radius))

    assert bend(0.05) < 0.7 * bend(0.0)


def test_frequencies_come_in_one_after_another() -> None:
    config = CosinePlanes(frequencies=32, first_band=4.0, band_until=0.5)
    assert config.band_at(0.0) == 4.0
    assert config.band_at(0.25) == pytest.approx((4 * 32 * 2**0.5) ** 0.5)
    assert config.band_at(0.5) == math.inf
