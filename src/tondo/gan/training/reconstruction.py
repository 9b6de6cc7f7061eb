"""Photographs reconstructed: objects of their codes, rendered by their cameras, and compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.gan.networks.skin import Skins
from tondo.gan.objects.inner_layer import downsampled
from tondo.gan.objects.render import Rendered, render, repeat
from tondo.gan.training.autoencoder import (
    PhotoCode,
    PhotoEncoder,
    multiscale_l1,
    silhouette_shading_l1,
)
from tondo.gan.training.state import (
    CameraEstimates,
    TrainInputs,
    TrainState,
    known_cameras,
    with_coverage,
)
from tondo.geometry.pose_prior import (
    PosePrior,
    cameras_by,
    cameras_of,
    draw_angles,
    reweighted,
    within,
)
from tondo.kernels.fields.tri_planes_torch import Planes
from tondo.runs import distributed

CANDIDATES = 4  # cameras tried for each photograph whose own is not known (docs/notes/gan.md)
# Of a round thing it is anyone's choice from which side it was photographed. If always from the
# front, its code can say where its colours are; but then nobody says what is behind.
FRONT = 0.75  # of photographs of such things (docs/notes/gan.md)
NEAR = 0.15  # radians from a photograph's remembered camera to one tried beside it; chosen


class CameraCandidates(NamedTuple):
    """Cameras that may have taken B photographs, T of each.

    Attributes:
        angles: [B, T, 3] radians. viewmats: [B, T, 4, 4]. Ks: [B, T, 3, 3].
        priors: [B, T] the numbers of the priors that they are of.
    """

    angles: Tensor
    viewmats: Tensor
    Ks: Tensor
    priors: Tensor

    def map(self, change: Callable[[Tensor], Tensor]) -> CameraCandidates:
        """All of it changed."""
        return CameraCandidates(*map(change, self))


class Photos(NamedTuple):
    """Photographs `rows` [B] of a training set: images as `real_images` gives them, and cameras
    that may have taken them."""

    rows: Tensor
    images: Tensor
    candidates: CameraCandidates


class EncodedPhotos(NamedTuple):
    """Styles [B, W] of photographs, viewmats and Ks of their cameras or None where these are drawn,
    the codes that they come from, and the z [B, Z] that were drawn of these."""

    w: Tensor
    cameras: tuple[Tensor, Tensor] | None
    code: PhotoCode
    z: Tensor


def encode_photos(
    state: TrainState,
    inputs: TrainInputs,
    rows: Tensor,
    photographs: Tensor,
    noise: Tensor,
    *,
    reach: float = 1.0,
    alone: bool = False,
) -> EncodedPhotos:
    """Codes and styles of the photographs `rows` [B] (as `real_images` gives them), for normally
    distributed noise [B, Z]. Their cameras are known, predicted, or None. `reach`, `alone`: as of
    `PhotoEncoder`."""
    assert state.photo_encoder is not None
    known, cameras = known_cameras(inputs, rows), None
    angles = None if known is None else known.angles
    code = state.photo_encoder(photographs, angles, reach=reach, alone=alone)
    if known is not None:
        cameras = (known.viewmats, known.Ks)
    elif code.angles is not None:
        cameras = cameras_by(inputs.priors[0], code.angles, state.G.shape.size)
    z = code.sample(noise)
    return EncodedPhotos(state.G.mapping(z), cameras, code, z.detach())


def reconstruction_loss(
    encoder: PhotoEncoder,
    inputs: TrainInputs,
    code: PhotoCode,
    rendered: Rendered,
    photographs: Tensor,
) -> Tensor:
    """The autoencoder's loss, a mean: how pictures `rendered` of the codes' objects differ from the
    photographs (as `real_images` gives them), and the codes' weighted KL divergences."""
    options, pictures = inputs.options.autoencoder, with_coverage(rendered, inputs)
    off = multiscale_l1(pictures, photographs)
    if options.feature_weight > 0:
        off = off + options.feature_weight * encoder.feature_l1(pictures, code.features)
    return (off + options.kl_weight * code.kl()).mean()


def render_photos(
    state: TrainState,
    inputs: TrainInputs,
    encoded: EncodedPhotos,
    objects: Skins | Planes,
    background: Tensor,
    photos: Photos,
    *,
    alone: bool = False,
) -> Rendered:
    """Objects [B] as the cameras of their photographs see them. Of unknown cameras the best
    candidate is taken, and remembered in the state's `camera_estimates`."""
    cameras = encoded.cameras
    if cameras is None:
        candidates = photos.candidates
        best = best_candidate(inputs, objects, background, photos.images, candidates)
        each = torch.arange(len(best), device=best.device)
        cameras = (candidates.viewmats[each, best], candidates.Ks[each, best])
        found = CameraEstimates(candidates.angles[each, best], candidates.priors[each, best])
        rows = photos.rows
        if not alone:
            rows = distributed.all_gather(rows)
            found = CameraEstimates(*map(distributed.all_gather, found))
        state.camera_estimates.remember(rows, found)
    return render(objects, *cameras, background)


def camera_candidates(state: TrainState, inputs: TrainInputs, rows: Tensor) -> CameraCandidates:
    """`CANDIDATES` cameras of the photographs `rows` [B]: the one that was the best before, one
    near it, and others drawn; on the CPU. None if cameras are known or predicted."""
    count, size = len(rows), state.G.shape.size
    encoder = state.photo_encoder
    if inputs.camera_angles is not None or encoder is None or encoder.to_angles is not None:
        shapes = ((3,), (4, 4), (3, 3), ())
        return CameraCandidates(*(torch.zeros(count, 0, *rest) for rest in shapes))
    angles, priors = draw_angles(inputs.priors, count * CANDIDATES, state.rng)
    angles, priors = angles.view(count, CANDIDATES, 3), priors.view(count, CANDIDATES)
    beside = NEAR * torch.randn(count, 3, generator=state.rng)
    estimated, prior = (of_all[rows] for of_all in state.camera_estimates)
    known, prior = prior >= 0, prior.clamp_min(0)
    near = within(inputs.priors, estimated + beside, prior)
    for place, now in enumerate((estimated, near)):
        angles[:, place] = torch.where(known[:, None], now, angles[:, place])
        priors[:, place] = torch.where(known, prior, priors[:, place])
    if state.G.shape.axial:
        angles[..., 0] = _mostly_front(inputs.priors, priors, state.rng)
    flat = cameras_of(inputs.priors, angles.flatten(0, 1), priors.flatten(), size)
    _, viewmats, Ks = (x.unflatten(0, (count, CANDIDATES)) for x in flat)
    return CameraCandidates(angles, viewmats, Ks, priors)


def _mostly_front(priors: tuple[PosePrior, ...], chosen: Tensor, rng: torch.Generator) -> Tensor:
    """[B, T] azimuths of the tries [B, T] of these priors: the middle of their ranges for `FRONT`
    of the photographs, for the others anywhere, the same for all tries of a photograph."""
    even = torch.rand(2, len(chosen), 1, generator=rng)
    away = torch.where(even[0] < FRONT, 0.0, 2 * even[1] - 1)
    low, high = torch.tensor([prior.azimuth for prior in priors]).deg2rad().T[:, chosen]
    return 0.5 * (low + high + away * (high - low))


def reweighted_priors(state: TrainState, inputs: TrainInputs) -> tuple[PosePrior, ...]:
    """The setting's priors, as often as the photographs' cameras are found to be of each. A user
    says from where pictures were taken, and hardly how many from each."""
    chosen = state.camera_estimates.priors
    return reweighted(inputs.priors, chosen[chosen >= 0])


@torch.no_grad()
def best_candidate(
    inputs: TrainInputs,
    objects: Skins | Planes,
    background: Tensor,
    photographs: Tensor,
    candidates: CameraCandidates,
) -> Tensor:
    """[B] which of the `candidates` shows the objects [B] most like the photographs [B, C, S, S],
    whatever their colours. A quarter of the splats, and of the pixels, is enough to tell."""
    count = candidates.angles.shape[1]
    small = F.avg_pool2d(background.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    many = [x.repeat_interleave(count, dim=0) for x in (small, F.avg_pool2d(photographs, 2))]
    Ks = candidates.Ks.flatten(0, 1) * candidates.Ks.new_tensor([0.5, 0.5, 1.0])[:, None]
    viewmats = candidates.viewmats.flatten(0, 1)
    rendered = render(repeat(downsampled(objects), count), viewmats, Ks, many[0], 0.5)
    off = silhouette_shading_l1(with_coverage(rendered, inputs), many[1]).view(-1, count)
    return off.argmin(dim=1)
