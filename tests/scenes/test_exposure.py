"""Exposure of new viewpoints from the training photos'."""

import math

import pytest
import torch
from torch import Tensor

from tondo.data.splats import Exposures
from tondo.scenes.exposure import predicted_exposure

NONE = torch.eye(3, 4)


def viewmat(angle: float, distance: float = 3.0) -> Tensor:
    """A camera on a circle about the origin, looking at it."""
    c, s = math.cos(angle), math.sin(angle)
    place = torch.tensor([distance * s, 0.0, -distance * c])
    R = torch.tensor([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
    out = torch.eye(4)
    out[:3, :3], out[:3, 3] = R, -R @ place
    return out


def brightness(angle: float) -> Tensor:
    """Exposure that turns with the angle: gain 1 to 1.2 and a shift in blue."""
    gain = 1.1 + 0.1 * math.sin(angle)
    out = gain * NONE.clone()
    out[2, 3] = 0.05 * math.cos(angle)
    return out


def ring(count: int, exposure: object = brightness) -> Exposures:
    angles = [2 * math.pi * k / count for k in range(count)]
    return Exposures(
        torch.stack([viewmat(a) for a in angles]),
        torch.stack([exposure(a) for a in angles]),  # type: ignore[operator]
    )


@pytest.mark.parametrize("angle", [0.31, 2.0, 5.9])
def test_follows_what_photos_from_nearby_had(angle: float) -> None:
    found = predicted_exposure(ring(40), viewmat(angle))
    assert (found - brightness(angle)).abs().max() < 0.01
    assert (found - NONE).abs().max() > 0.02  # which no correction would not reach


def test_the_scale_of_the_world_does_not_matter() -> None:
    exposures = ring(40)
    larger = exposures.viewmats.clone()
    larger[:, :3, 3] *= 100
    a = predicted_exposure(exposures, viewmat(1.0))
    b = predicted_exposure(Exposures(larger, exposures.matrices), viewmat(1.0, 300.0))
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_no_correction_where_neighbours_say_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    matrices = NONE + 0.05 * torch.randn(31, 3, 4, generator=generator)
    noise = Exposures(ring(31).viewmats, matrices)
    assert torch.equal(predicted_exposure(noise, viewmat(0.5)), NONE)


def test_few_photos_and_equal_cameras() -> None:
    assert torch.equal(predicted_exposure(ring(3), viewmat(0.1)), NONE)
    same = Exposures(viewmat(0.2).expand(5, 4, 4).clone(), (1.1 * NONE).expand(5, 3, 4).clone())
    torch.testing.assert_close(predicted_exposure(same, viewmat(0.2)), 1.1 * NONE)


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="matrices"):
        Exposures(torch.zeros(2, 4, 4), torch.zeros(3, 3, 4))
