"""Photographs rebuilt: objects of their codes, seen by their cameras, beside the photographs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.gan.networks.skin import Skins
from tondo.gan.objects.inner_layer import thinned
from tondo.gan.objects.render import repeated, seen
from tondo.gan.training.autoencoder import Code, unlike, unlike_in_form
from tondo.gan.training.state import Setting, Training, as_seen, known_cameras
from tondo.geometry.pose_prior import (
    PosePrior,
    cameras_by,
    cameras_of,
    draw_angles,
    found_oftener,
    within,
)
from tondo.kernels.fields.tri_planes_torch import Planes
from tondo.runs import distributed

TRIES = 4  # cameras tried for each photograph whose own is not known
# Of a round thing it is anyone's choice from which side it was photographed. If always from the
# front, its code can say where its colours are; but then nobody says what is behind.
FRONT = 0.75  # of photographs of such things
NEAR = 0.15  # radians from the remembered camera of a photograph to one that is tried beside it


class Tries(NamedTuple):
    """Cameras that may have taken B photographs, T of each.

    Attributes:
        angles: [B, T, 3] radians. viewmats: [B, T, 4, 4]. Ks: [B, T, 3, 3].
        priors: [B, T] the numbers of the priors that they are of.
    """

    angles: Tensor
    viewmats: Tensor
    Ks: Tensor
    priors: Tensor

    def map(self, change: Callable[[Tensor], Tensor]) -> Tries:
        """All of it changed."""
        return Tries(*map(change, self))


class Styled(NamedTuple):
    """Styles [B, W] of photographs, viewmats and Ks of their cameras or None where these are drawn,
    the codes that they come from, and the z [B, Z] that were drawn of these."""

    w: Tensor
    cameras: tuple[Tensor, Tensor] | None
    code: Code
    z: Tensor


def styles_of_photographs(
    t: Training, setting: Setting, rows: Tensor, photographs: Tensor, noise: Tensor
) -> Styled:
    """Of the photographs `rows` [B] (as `reals` gives them), for normally distributed noise [B, Z].
    Their cameras are known, looked for, or None."""
    assert t.codes is not None
    known, cameras = known_cameras(setting, rows), None
    if known is not None:
        code = t.codes(photographs, known.angles)
        cameras = (known.viewmats, known.Ks)
    else:
        code = t.codes(photographs, None)
    if code.angles is not None and known is None:
        cameras = cameras_by(setting.priors[0], code.angles, t.G.shape.size)
    z = code.drawn(noise)
    return Styled(t.G.mapping(z), cameras, code, z.detach())


def rebuilding(
    t: Training,
    setting: Setting,
    styled: Styled,
    made: Skins | Planes,
    behind: Tensor,
    rows: Tensor,
    photographs: Tensor,
    tries: Tries,
) -> Tensor:
    """How unlike the photographs `rows` [B] (as `reals` gives them) the objects `made` [B] of their
    styles are, and what their codes cost; a mean. Cameras that are not known are the likeliest of
    `tries`, and are remembered."""
    cameras = styled.cameras
    assert t.codes is not None
    if cameras is None:
        best = likeliest(setting, made, behind, photographs, tries)
        each = torch.arange(len(rows), device=best.device)
        cameras = (tries.viewmats[each, best], tries.Ks[each, best])
        found = torch.cat([tries.angles[each, best], tries.priors[each, best, None]], dim=1).cpu()
        if t.codes.shared:
            t.stood[distributed.all_of(rows)] = distributed.all_of(found)
        else:
            t.stood[rows] = found
    pictures, config = as_seen(seen(made, *cameras, behind), setting), setting.config
    off = unlike(pictures, photographs)
    if config.rebuild_features > 0:
        features = t.codes.unlike_in_features(pictures, styled.code.features)
        off = off + config.rebuild_features * features
    return (off + config.nat * styled.code.nats()).mean()


def tries_of(t: Training, setting: Setting, rows: Tensor) -> Tries:
    """`TRIES` cameras for the photographs `rows` [B] from unknown places: the one that was the best
    before, one near it, and others drawn; on the CPU. None if cameras are known or looked for."""
    count, size = len(rows), t.G.shape.size
    if setting.camera_angles is not None or t.codes is None or t.codes.finds_cameras:
        shapes = ((3,), (4, 4), (3, 3), ())
        return Tries(*(torch.zeros(count, 0, *rest) for rest in shapes))
    angles, priors = draw_angles(setting.priors, count * TRIES, t.chance)
    angles, priors = angles.view(count, TRIES, 3), priors.view(count, TRIES)
    beside = NEAR * torch.randn(count, 3, generator=t.chance)
    stood, prior = t.stood[rows, :3], t.stood[rows, 3].long()
    known, prior = prior >= 0, prior.clamp_min(0)
    for place, now in enumerate((stood, within(setting.priors, stood + beside, prior))):
        angles[:, place] = torch.where(known[:, None], now, angles[:, place])
        priors[:, place] = torch.where(known, prior, priors[:, place])
    if t.G.shape.axial:
        angles[..., 0] = _mostly_front(setting.priors, priors, t.chance)
    flat = cameras_of(setting.priors, angles.flatten(0, 1), priors.flatten(), size)
    _, viewmats, Ks = (x.unflatten(0, (count, TRIES)) for x in flat)
    return Tries(angles, viewmats, Ks, priors)


def _mostly_front(priors: tuple[PosePrior, ...], chosen: Tensor, chance: torch.Generator) -> Tensor:
    """[B, T] azimuths of the tries [B, T] of these priors: the middle of their ranges for `FRONT`
    of the photographs, for the others anywhere, the same for all tries of a photograph."""
    even = torch.rand(2, len(chosen), 1, generator=chance)
    away = torch.where(even[0] < FRONT, 0.0, 2 * even[1] - 1)
    low, high = torch.tensor([prior.azimuth for prior in priors]).deg2rad().T[:, chosen]
    return 0.5 * (low + high + away * (high - low))


def priors_found(t: Training, setting: Setting) -> tuple[PosePrior, ...]:
    """The setting's priors, as often as the photographs' cameras are found to be of each. A user
    says from where pictures were taken, and hardly how many from each."""
    chosen = t.stood[:, 3]
    return found_oftener(setting.priors, chosen[chosen >= 0])


@torch.no_grad()
def likeliest(
    setting: Setting, made: Skins | Planes, behind: Tensor, photographs: Tensor, tries: Tries
) -> Tensor:
    """[B] which of the `tries` shows the objects [B] most like the photographs [B, C, S, S],
    whatever their colours. A quarter of the splats, and of the pixels, is enough to tell."""
    count = tries.angles.shape[1]
    small = F.avg_pool2d(behind.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    many = [x.repeat_interleave(count, dim=0) for x in (small, F.avg_pool2d(photographs, 2))]
    Ks = tries.Ks.flatten(0, 1) * tries.Ks.new_tensor([0.5, 0.5, 1.0])[:, None]
    viewmats = tries.viewmats.flatten(0, 1)
    shots = seen(repeated(thinned(made), count), viewmats, Ks, many[0], 0.5)
    off = unlike_in_form(as_seen(shots, setting), many[1]).view(-1, count)
    return off.argmin(dim=1)
