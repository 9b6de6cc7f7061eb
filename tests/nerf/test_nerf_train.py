"""A field learns photographs, the same way every time, and its state is whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
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
from tondo.nerf.config import NerfConfig, config_for, suited
from tondo.nerf.ray_batches import pixels_of, rays_at
from tondo.nerf.train import TrainInputs, TrainState, psnr_of
from tondo.runs.horizon import Horizon
from tondo.runs.method import Background, Report
from tondo.scenes.render import render_view

CONFIG = NerfConfig(
    levels=4,
    features=4,
    log2_entries=12,
    coarsest=8,
    finest=64,
    hidden=16,
    cells=16,
    steps_across=192,
    batch=8_000,
    occupancy_every=3,
    frequencies=12,
    plane_features=8,
    plane_cells=24,
    first_band=2.0,
    place_octaves=5,
    direction_octaves=2,
    width=32,
    depth=4,
    coarse_samples=16,
    fine_samples=24,
    lr_networks=4e-3,
)


def cut_out(photo: Photo) -> Photo:
    """The photo with what is behind the known scene left out."""
    scene = known_scene()
    view = render_view(scene, photo.camera)
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
    config: NerfConfig = CONFIG,
    bounded: bool = True,
    unit: float = 1.0,
    exposure: bool = False,
) -> TrainInputs:
    shots = photos(8)
    if bounded:
        shots = [cut_out(photo) for photo in shots]
    shots = [with_unit(photo, unit) for photo in shots]
    space = space_of([photo.camera for photo in shots], bounded, config.cells)
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
    by_error = 0.5 if bounded else 0.0
    config = replace(CONFIG, encoding=encoding, distortion=1e-3, by_error=by_error)
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


FOGGY = replace(CONFIG, distortion=0.05)  # without bounds: long strides, fog condenses


@pytest.mark.parametrize(("config", "bounded"), [(CONFIG, True), (FOGGY, False)])
def test_the_same_seed_gives_the_same_bits_for_any_number_of_threads(
    config: NerfConfig, bounded: bool
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
    wanted = setting(30, replace(FOGGY, encoding=encoding, by_error=0.5), bounded)
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
    with pytest.raises(ValueError, match="expected"):
        train.from_tensors(tensors, setting(1, replace(CONFIG, log2_entries=11)))
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
    black = replace(black, config=replace(CONFIG, occupancy_every=1_000_000))
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
    without, within = (suited(NerfConfig(), bounded=one, photos=50) for one in (False, True))
    assert (without.cells, without.distortion) == (192, 0.05)
    assert (within.cells, within.distortion) == (96, 0.0)
    few = suited(NerfConfig(), bounded=False, photos=9)
    assert (few.cells, few.distortion) == (192, 0.0)
    assert suited(NerfConfig("frequency"), bounded=False, photos=50).distortion == 0.0
    chosen = NerfConfig(cells=16, distortion=0.0)
    assert suited(chosen, bounded=False, photos=50) == chosen
    assert config_for("dct").batch > config_for("hash").batch == NerfConfig().batch
    first = config_for("frequency")  # the first paper's rates fall from 5e-4 to 5e-5, exponentially
    assert (first.lr_networks, first.lr_end, first.decay, first.beta2) == (5e-4, 0.1, 1.0, 0.999)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"encoding": "hsah"}, "--encoding hsah: choose one of hash, dct, frequency"),
        ({"levels": 0}, "levels of a field"),
        ({"occupancy_every": 0}, "occupancy_every of a field"),
        ({"by_error": 1.0}, "by_error must be"),
    ],
)
def test_settings_that_cannot_be(change: dict, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        NerfConfig(**change)


def test_the_distortion_condenses_fog() -> None:
    def spread(distortion: float) -> float:
        config = replace(CONFIG, distortion=distortion, distortion_steps=20, steps_across=64)
        wanted = setting(150, config, bounded=False)
        training, _ = trained(wanted)
        rays = rays_at(wanted.pixels, torch.arange(0, len(wanted.pixels.colors), 7))
        ends = ends_of(training.field.space, rays.origins, rays.directions, 0.1, 30.0)
        found = render_rays(training.field, rays.origins, rays.directions, ends, wanted.marching)
        return float(found.distortions.mean())

    assert spread(0.05) < 0.7 * spread(0.0)


def test_frequencies_come_in_one_after_another() -> None:
    config = NerfConfig(frequencies=32, first_band=4.0, band_until=0.5)
    assert config.band_at(0.0) == 4.0
    assert config.band_at(0.25) == pytest.approx((4 * 32 * 2**0.5) ** 0.5)
    assert config.band_at(0.5) == math.inf
