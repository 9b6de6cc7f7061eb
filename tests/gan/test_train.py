"""One step of the two networks: what each of them is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tests.tiny_generators import SHAPE
from torch import Tensor

from tondo.data.pictures import PictureSet
from tondo.gan.config import GanConfig
from tondo.gan.generator import FIRST_RADIUS
from tondo.gan.poses import NAMED, angles_of, cameras_at
from tondo.gan.train import Setting, begin, one_step, reals


class Watched:
    """Features of two scales without a network, and all pictures that were looked at."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def features(self, images: Tensor) -> list[Tensor]:
        self.seen.append(images.detach().clone())
        return [F.avg_pool2d(images, 2), F.avg_pool2d(images, 4)]


def squares() -> PictureSet:
    """Twelve opaque grey squares, 12 wide and 8 high, on nothing, from known cameras."""
    images = torch.zeros(12, 4, 32, 32, dtype=torch.uint8)
    images[:, :3, 12:20, 10:22], images[:, 3, 12:20, 10:22] = 128, 255
    turns = torch.linspace(-3, 3, 12)
    angles = torch.stack([turns, torch.zeros(12), torch.zeros(12)], dim=1)
    return PictureSet(images, *cameras_at(angles, 20.0, 5.8, 32), is_plain=True)


def setting_of(pictures: PictureSet, watched: Watched) -> Setting:
    assert pictures.viewmats is not None
    angles = angles_of(pictures.viewmats)
    return Setting(pictures, NAMED["turntable"], watched, GanConfig(batch=8), angles)


def test_both_kinds_of_pictures_stand_before_colours_of_their_own() -> None:
    watched = Watched()
    setting = setting_of(squares(), watched)
    training = begin(setting, SHAPE, seed=0)
    watched.seen.clear()
    one_step(training, setting)
    fakes, photographs = watched.seen[:2]
    assert bool((photographs[:, :, 15, 15] - 128 / 255).abs().max() < 1e-6)
    for images in (fakes, photographs):
        corners = images[:, :, 0, 0]
        assert float(corners.std(dim=0).min()) > 0.1
        torch.testing.assert_close(corners, images[:, :, 31, 0])
    assert not torch.allclose(fakes[:, :, 0, 0], photographs[:, :, 0, 0])


def test_transparent_photographs_are_blended() -> None:
    images = torch.tensor([200, 100, 0, 51], dtype=torch.uint8).view(1, 4, 1, 1)
    setting = setting_of(squares(), Watched())
    setting = Setting(PictureSet(images), setting.priors, setting.extractor, setting.config)
    rows, colour = torch.tensor([0]), torch.tensor([[0.5, 0.25, 1.0]])
    blended = (0.2 * torch.tensor([200, 100, 0]) / 255 + 0.8 * colour[0]).view(1, 3, 1, 1)
    torch.testing.assert_close(reals(setting, rows, colour), blended)
    white = (0.2 * torch.tensor([200, 100, 0]) / 255 + 0.8).view(1, 3, 1, 1)
    torch.testing.assert_close(reals(setting, rows), white)


def test_the_first_body_has_the_outlines_proportions() -> None:
    training = begin(setting_of(squares(), Watched()), SHAPE, seed=0)
    first = FIRST_RADIUS * training.G.axes.detach().exp()
    half = 5.8 / (16 / torch.tan(torch.deg2rad(torch.tensor(10.0))))  # of a pixel, at the origin
    # uniform second moments of a rectangle a x b are a^2 / 12 and b^2 / 12, of an ellipse r^2 / 4
    assert abs(float(first[1]) - 8 * float(half) / 3**0.5) < 0.01
    assert float(first[0]) > 1.2 * float(first[1])


def test_a_batch_in_parts_steps_like_the_whole() -> None:
    found = []
    for accumulate in (1, 2):
        watched = Watched()
        config = GanConfig(batch=16, accumulate=accumulate, augment="off", lazy=1)
        setting = replace(setting_of(squares(), watched), config=config)
        training = begin(setting, SHAPE, seed=0)
        watched.seen.clear()
        report = one_step(training, setting)
        found.append((report, training, [len(images) for images in watched.seen]))
    (whole, one, together), (parts, two, apart) = found
    assert together == [16] * 2
    assert apart == [8] * 8
    torch.testing.assert_close(two.G.w_mean, one.G.w_mean)
    # spectral norms are better known after every look, and the parts are looked at more often
    assert parts.loss_d == pytest.approx(whole.loss_d, rel=0.02)
    for first, second in ((one.opt_g, two.opt_g), (one.opt_d, two.opt_d)):
        a, b = gradients(first), gradients(second)
        assert float(a @ b / (a.norm() * b.norm())) > 0.98
        assert float(b.norm() / a.norm()) == pytest.approx(1.0, abs=0.1)


def gradients(optimiser: torch.optim.Adam) -> Tensor:
    """Those of the first step: with beta1 = 0 they are Adam's first moments."""
    return torch.cat([moments["exp_avg"].flatten() for moments in optimiser.state.values()])
