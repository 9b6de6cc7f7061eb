"""Fitting a generator to one picture: its latent code and camera first, then itself.

Karras et al. 2020 (StyleGAN2, section 5: projection) and Roich et al. 2021 (pivotal tuning), with a
camera that is fitted too.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.features.extractor import SMALLEST_SIDE, Extractor
from tondo.gan.inversion.encoder import Guess
from tondo.gan.inversion.target import Target
from tondo.gan.networks.generator import Generator
from tondo.gan.networks.layers import unit_rms
from tondo.gan.networks.skin import Skins
from tondo.gan.objects.contact_sheet import turning_angles
from tondo.gan.objects.geometry_loss import laplacian_loss
from tondo.gan.objects.render import (
    Rendered,
    enlargement,
    make_objects,
    render,
    render_styles,
    repeat,
)
from tondo.geometry.look_at import viewmats_facing
from tondo.geometry.pose_prior import PosePrior, cameras_by, draw_cameras
from tondo.geometry.rotations import rotation_from_vector
from tondo.runs.watch import Progress

PIXELS, LOOKS, OUTLINE = 2.0, 1.0, 2.0  # weights of the three losses; chosen
NEAR_MEAN = 0.02  # pull of w towards its mean; chosen
STAY = 4.0  # how firmly other views are held while the generator is tuned; chosen
SMOOTH = 0.5  # weight of the Laplacian loss while G is tuned; chosen, not measured
KEPT = 3  # starts that are followed; chosen
DRAWN = 96  # random styles that are tried besides the guessed one; chosen
AT_ONCE = 16  # styles rendered together: bounds memory
RATES = (0.05, 0.02, 0.01)  # of w, of turning, of shifting; chosen
AROUND = 7  # cameras that are tried besides the guessed one; chosen


class Pose(NamedTuple):
    """Cameras near first ones: turned by [B, 3] radians (axis times angle, in camera axes) and
    shifted by [B, 3]: right, down, and the logarithm of the distance.

    Attributes:
        first: [B, 4, 4] world-to-camera. K: [3, 3].
    """

    first: Tensor
    turn: Tensor
    shift: Tensor
    K: Tensor

    def viewmats(self) -> Tensor:
        """[B, 4, 4], differentiable in turn and shift."""
        rotation = rotation_from_vector(self.turn) @ self.first[:, :3, :3]
        place = self.first[:, :3, 3]
        depth = place[:, 2:] * torch.exp(self.shift[:, 2:])
        upper = torch.cat(
            [rotation, torch.cat([place[:, :2] + self.shift[:, :2], depth], 1)[..., None]], dim=2
        )
        return torch.cat([upper, self.first[:, 3:]], dim=1)

    def rows(self, index: Tensor) -> Pose:
        return Pose(self.first[index], self.turn[index], self.shift[index], self.K)


@dataclass(frozen=True)
class Fitted:
    """Attributes:
    w: [1, W]. pose: of one camera. loss: at the end.
    """

    w: Tensor
    pose: Pose
    loss: float


class Judge:
    """How far pictures are from a target: pixels, features of a network, outline."""

    def __init__(self, target: Target, extractor: Extractor) -> None:
        self.target = target
        self.size = target.image.shape[0]
        self._extractor = extractor
        with torch.no_grad():
            self._looks = self._features(target.image[None])

    def losses(self, rendered: Rendered) -> Tensor:
        """[B] weighted sums."""
        pixels = (rendered.images - self.target.image).abs().mean(dim=(1, 2, 3))
        total = PIXELS * pixels + LOOKS * self.perceptual(rendered.images)
        if self.target.mask is not None:
            outline = (rendered.alphas - self.target.mask).square().mean(dim=(1, 2))
            total = total + OUTLINE * outline
        return total

    def perceptual(self, images: Tensor) -> Tensor:
        """[B] the distance of `features.perceptual`, differentiable. images: [B, S, S, 3]."""
        found = self._features(images)
        layers = [
            (a - b).square().sum(dim=1).mean(dim=(1, 2))
            for a, b in zip(found, self._looks, strict=True)
        ]
        return torch.stack(layers).mean(dim=0)

    def _features(self, images: Tensor) -> list[Tensor]:
        x = images.permute(0, 3, 1, 2)
        if self.size < SMALLEST_SIDE:
            x = F.interpolate(x, size=(SMALLEST_SIDE, SMALLEST_SIDE), mode="bilinear")
        return [F.normalize(maps, dim=1, eps=1e-10) for maps in self._extractor.features(x)]


def first_poses(guess: Guess, priors: tuple[PosePrior, ...], size: int) -> Pose:
    """The guessed camera, and others round the object."""
    prior = priors[0]
    around, Ks = cameras_by(prior, turning_angles(priors, AROUND), size)
    first = torch.cat([viewmats_facing(guess.rotations, prior.distance, prior.pivot), around])
    return Pose(first, torch.zeros(len(first), 3), torch.zeros(len(first), 3), Ks[0])


@torch.no_grad()
def best_starts(generator: Generator, judge: Judge, w: Tensor, poses: Pose) -> tuple[Tensor, Pose]:
    """The KEPT best of many starts, the guess among them: the guessed style w [1, W] from all
    cameras, and random styles from the guessed camera, which is the first of `poses`."""
    rng = torch.Generator().manual_seed(0)
    drawn = generator.styles(torch.randn(DRAWN, generator.shape.z, generator=rng))
    styles = torch.cat([unit_rms(w).expand(len(poses.first), -1), drawn])
    rows = torch.cat([torch.arange(len(poses.first)), torch.zeros(DRAWN, dtype=torch.int64)])
    parts = zip(styles.split(AT_ONCE), rows.split(AT_ONCE), strict=True)
    losses = [_losses(generator, judge, part, poses.rows(index)) for part, index in parts]
    order = torch.cat(losses).argsort()[:KEPT]
    if not bool((order == 0).any()):
        order = torch.cat([order[: KEPT - 1], order.new_zeros(1)])
    return styles[order], poses.rows(rows[order])


def fit_latent(
    generator: Generator,
    judge: Judge,
    w: Tensor,
    starts: Pose,
    steps: int,
    watch: Progress,
) -> Fitted:
    """w and camera by gradient descent, from the best starts; the generator stays.

    Args:
        w: [1, W] the first guess. starts: cameras, the guessed one first.
    """
    styles, pose = best_starts(generator, judge, w, starts)
    exploring = steps // 3

    def told(offset: int) -> Callable[[int], None]:
        return lambda done: watch("style and camera", offset + done, steps)

    styles, pose = _descend(generator, judge, styles, pose, (exploring, 1.0, told(0)))
    best = _losses(generator, judge, styles, pose).argmin()[None]
    styles, pose = styles[best], pose.rows(best)
    rest = (steps - exploring, 0.7, told(exploring))
    styles, pose = _descend(generator, judge, styles, pose, rest)
    return Fitted(styles, pose, float(_losses(generator, judge, styles, pose)[0]))


def _descend(
    generator: Generator,
    judge: Judge,
    styles: Tensor,
    pose: Pose,
    plan: tuple[int, float, Callable[[int], None]],
) -> tuple[Tensor, Pose]:
    """`plan`: steps, first rate relative to `RATES`, and who is told about each step."""
    steps, first_rate, told = plan
    turn, shift = (x.detach().clone().requires_grad_() for x in (pose.turn, pose.shift))
    styles = styles.detach().clone().requires_grad_()
    optimiser = torch.optim.Adam(
        [{"params": [x]} for x in (styles, turn, shift)], lr=1.0, betas=(0.9, 0.99)
    )
    for step in range(steps):
        # slower and slower, so that the end is not where the last step happened to lead
        rate = first_rate * min(1.0, 2.0 * (1 - step / steps) + 0.05)
        for group, lr in zip(optimiser.param_groups, RATES, strict=True):
            group["lr"] = rate * lr
        w = unit_rms(styles)
        losses = judge.losses(_shots(generator, w, Pose(pose.first, turn, shift, pose.K)))
        pull = NEAR_MEAN * (w - generator.w_mean).square().mean()
        optimiser.zero_grad(set_to_none=True)
        (losses.sum() + pull).backward()
        optimiser.step()
        told(step + 1)
    return unit_rms(styles.detach()), Pose(pose.first, turn.detach(), shift.detach(), pose.K)


def tune(
    generator: Generator,
    judge: Judge,
    fitted: Fitted,
    priors: tuple[PosePrior, ...],
    steps: int,
    watch: Progress,
) -> Generator:
    """A copy of the generator that makes the target from `fitted.w`, and from other sides what it
    made before (the locality term of Roich et al. 2021, equation 4, over cameras)."""
    tuned = copy.deepcopy(generator).requires_grad_(True)
    tuned.mapping.requires_grad_(False)
    parameters = [p for p in tuned.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(parameters, 1e-3, betas=(0.9, 0.99))
    rng = torch.Generator().manual_seed(0)
    viewmat, size, w = fitted.pose.viewmats(), judge.size, fitted.w
    larger = enlargement(generator, size)
    with torch.no_grad():
        first, behind_first = make_objects(generator, w), generator.render_background(w, size)
        bends = _bends(first)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 1e-3 * min(1.0, 2.0 * (1 - step / steps) + 0.05)
        other = draw_cameras(priors, 1, size, rng)
        cameras = torch.cat([viewmat, other.viewmats]), torch.cat([fitted.pose.K[None], other.Ks])
        with torch.no_grad():
            before = render(first, other.viewmats, other.Ks, behind_first, larger)
        objects = make_objects(tuned, w)
        background = tuned.render_background(w, size).expand(2, -1, -1, -1)
        rendered = render(repeat(objects, 2), *cameras, background, larger)
        mine = Rendered(*(tensor[:1] for tensor in rendered))
        stay = (rendered.images[1] - before.images[0]).square().mean()
        stay = stay + (rendered.alphas[1] - before.alphas[0]).square().mean()
        bent = torch.relu(_bends(objects) - bends)
        optimiser.zero_grad(set_to_none=True)
        (judge.losses(mine)[0] + STAY * stay + SMOOTH * bent).backward()
        optimiser.step()
        watch("tuning", step + 1, steps)
    return tuned.eval().requires_grad_(False)


def _bends(skins: Skins | object) -> Tensor:
    return laplacian_loss(skins) if isinstance(skins, Skins) else torch.zeros(())


def _shots(generator: Generator, w: Tensor, pose: Pose) -> Rendered:
    size = round(2 * float(pose.K[0, 2]))
    Ks = pose.K.expand(len(w), 3, 3).contiguous()
    return render_styles(generator, w, pose.viewmats(), Ks, size)[0]


@torch.no_grad()
def _losses(generator: Generator, judge: Judge, styles: Tensor, pose: Pose) -> Tensor:
    return judge.losses(_shots(generator, styles, pose))
