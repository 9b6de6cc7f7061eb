"""Photographs rebuilt: objects of their codes, seen by their cameras, beside the photographs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tondo.gan.codes import Code, unlike, unlike_in_form
from tondo.gan.field import Planes
from tondo.gan.generator import Skins
from tondo.gan.poses import Cameras, cameras_at, draw_cameras
from tondo.gan.render import repeated, seen
from tondo.gan.setting import Setting, Training, as_seen

TRIES = 4  # cameras for each photograph whose own is not known


class Styled(NamedTuple):
    """Styles [B, W] of photographs, viewmats and Ks of their cameras or None where these are drawn,
    and the codes that they come from."""

    w: Tensor
    cameras: tuple[Tensor, Tensor] | None
    code: Code


def styles_of_photographs(
    t: Training, setting: Setting, rows: Tensor, photographs: Tensor, noise: Tensor
) -> Styled:
    """Of the photographs `rows` [B] (as `reals` gives them), for normally distributed noise [B, Z].
    Their cameras are known, looked for, or None."""
    assert t.codes is not None
    known, angles = setting.pictures, setting.camera_angles
    cameras = None
    if angles is not None and known.viewmats is not None and known.Ks is not None:
        code = t.codes(photographs, angles[rows])
        cameras = (known.viewmats[rows], known.Ks[rows])
    else:
        code = t.codes(photographs, None)
    if code.angles is not None and angles is None:
        prior = setting.priors[0]
        cameras = cameras_at(code.angles, prior.fov, prior.distance, t.G.shape.size)
    return Styled(t.G.mapping(code.drawn(noise)), cameras, code)


def rebuilding(
    t: Training,
    setting: Setting,
    styled: Styled,
    made: Skins | Planes,
    behind: Tensor,
    photographs: Tensor,
    tries: Cameras,
) -> Tensor:
    """How unlike their photographs [B, C, S, S] the objects `made` [B] of their styles are, and
    what their codes cost; a mean. Cameras that are not known are the likeliest of `tries`."""
    cameras = styled.cameras
    if cameras is None:
        cameras = likeliest(setting, made, behind, photographs, tries)
    assert t.codes is not None
    pictures, config = as_seen(seen(made, *cameras, behind), setting), setting.config
    off = unlike(pictures, photographs)
    if config.rebuild_features > 0:
        features = t.codes.unlike_in_features(pictures, styled.code.features)
        off = off + config.rebuild_features * features
    return (off + config.nat * styled.code.nats()).mean()


def tries_of(t: Training, setting: Setting, count: int) -> Cameras:
    """Some drawn cameras [count, TRIES, ...] for each of `count` photographs from unknown places;
    none if they are known or looked for."""
    if setting.camera_angles is not None or t.codes is None or t.codes.finds_cameras:
        return Cameras(*(torch.zeros(count, 0, *rest) for rest in ((3,), (4, 4), (3, 3))))
    drawn = draw_cameras(setting.priors, count * TRIES, t.G.shape.size, t.chance)
    return Cameras(*(x.unflatten(0, (count, TRIES)) for x in drawn))


@torch.no_grad()
def likeliest(
    setting: Setting, made: Skins | Planes, behind: Tensor, photographs: Tensor, tries: Cameras
) -> tuple[Tensor, Tensor]:
    """Viewmats and Ks, of the `tries` [B, T, ...] those from which the objects [B] look most like
    the photographs [B, C, S, S], whatever their colours."""
    count = tries.angles.shape[1]
    flat = Cameras(*(x.flatten(0, 1) for x in tries))
    many = [x.repeat_interleave(count, dim=0) for x in (behind, photographs)]
    shots = seen(repeated(made, count), flat.viewmats, flat.Ks, many[0])
    off = unlike_in_form(as_seen(shots, setting), many[1]).view(-1, count)
    rows = torch.arange(len(photographs)) * count + off.argmin(dim=1)
    return flat.viewmats[rows], flat.Ks[rows]
