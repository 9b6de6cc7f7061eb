"""What is fitted beside the splats: exposure and pose of each photo, colour of the background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.photos import Photo
from tondo.geometry.rotations import rotation_from_vector

_BETA1, _BETA2 = 0.9, 0.99  # a photo comes round every few dozen steps only
_CENTER = 0.1  # share of the way that the mean correction is moved back to none at each step


@dataclass
class Corrections:
    """One row per training photo, and one background for all.

    Attributes:
        exposures: [P, 3, 4] colour in the photo = exposures @ (r, g, b, 1) of the rendered colour.
        viewmats: [P, 4, 4] the cameras, refined or as given.
        moments: Adam's first and second moments: [P, 2, 3, 4] of exposures, [P, 2, 6] of poses.
        visits: [P] int64, how often each photo was used, this time included.
        background_shift: [3] what was learned of the background, added to the colour it began with.
        background_moments: [2, 3] its Adam moments.
    """

    exposures: Tensor
    viewmats: Tensor
    exposure_moments: Tensor
    pose_moments: Tensor
    visits: Tensor
    background_shift: Tensor
    background_moments: Tensor


def start(photos: Sequence[Photo]) -> Corrections:
    """No correction yet."""
    n = len(photos)
    return Corrections(
        torch.eye(3, 4).expand(n, 3, 4).clone(),
        torch.stack([photo.camera.viewmat for photo in photos]),
        torch.zeros(n, 2, 3, 4),
        torch.zeros(n, 2, 6),
        torch.zeros(n, dtype=torch.int64),
        torch.zeros(3),
        torch.zeros(2, 3),
    )


def to_tensors(corrections: Corrections) -> dict[str, Tensor]:
    """Flat names to tensors, for a checkpoint."""
    return {f"corrections.{name}": tensor for name, tensor in vars(corrections).items()}


def from_tensors(tensors: dict[str, Tensor]) -> Corrections:
    """The inverse of `to_tensors`; KeyError names what a checkpoint lacks."""
    names = Corrections.__dataclass_fields__
    return Corrections(**{name: tensors[f"corrections.{name}"].clone() for name in names})


def _adam(moments: Tensor, grad: Tensor, visit: int) -> Tensor:
    moments[0].mul_(_BETA1).add_((1 - _BETA1) * grad)
    moments[1].mul_(_BETA2).add_((1 - _BETA2) * grad * grad)
    mean = moments[0] / (1 - _BETA1**visit)
    square = moments[1] / (1 - _BETA2**visit)
    return mean / (square.sqrt() + 1e-12)


def update_exposure(corrections: Corrections, photo: int, grad: Tensor, lr: float) -> None:
    """One step of Adam for one photo.

    The splats could trade brightness freely against all photos together; so the mean of all
    corrections is held at the identity.
    """
    visit = int(corrections.visits[photo])
    corrections.exposures[photo] -= lr * _adam(corrections.exposure_moments[photo], grad, visit)
    off = corrections.exposures.mean(dim=0) - torch.eye(3, 4)
    corrections.exposures -= _CENTER * off


def update_pose(
    corrections: Corrections, photo: int, v_view: Tensor, lr: float, reach: float
) -> None:
    """Move one camera by a small rotation and shift of its own frame.

    Args:
        v_view: [3, 4] gradient of the world-to-camera matrix.
        lr: radians per step; shifts are `lr * reach` world units.
    """
    view = corrections.viewmats[photo]
    M = v_view @ view[:3].T
    turn = torch.stack([M[2, 1] - M[1, 2], M[0, 2] - M[2, 0], M[1, 0] - M[0, 1]])
    grad = torch.cat([turn, v_view[:, 3] * reach])
    visit = int(corrections.visits[photo])
    delta = -lr * _adam(corrections.pose_moments[photo], grad, visit)
    new = view.double().clone()
    new[:3] = rotation_from_vector(delta[:3].double()) @ new[:3]
    new[:3, 3] += delta[3:].double() * reach
    U, _, Vt = torch.linalg.svd(new[:3, :3])  # stays a rotation
    new[:3, :3] = U @ Vt
    corrections.viewmats[photo] = new.float()


def update_background(
    corrections: Corrections, first: Tensor, grad: Tensor, lr: float, step: int
) -> None:
    """One step of Adam for the colour behind everything, which stays within 0..1.

    Args:
        first: [3] the colour that training began with.
        grad: [3] gradient of the colour: the picture's, weighted by what no splat covers.
        step: training steps done, this one included.
    """
    corrections.background_shift -= lr * _adam(corrections.background_moments, grad, step)
    corrections.background_shift.copy_(background(corrections, first) - first)


def background(corrections: Corrections, first: Tensor) -> Tensor:
    """[3] sRGB 0..1: the background as it stands; `first` [3] is what training began with."""
    return (first + corrections.background_shift).clamp(0, 1)


def corrected(camera: Camera, corrections: Corrections, photo: int) -> Camera:
    """`camera` at its refined pose."""
    return Camera(corrections.viewmats[photo], camera.K, camera.width, camera.height)
