"""A texture fitted to photographs: render, compare, update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.kernels.texture_residuals import texture_residuals
from tondo.mesh.render import surface_samples
from tondo.runs.watch import SILENT, Watch
from tondo.texture.bake import OPAQUE, Picture

SWEEPS = 2  # more overfit (docs/notes/texture.md)
DAMPING = 0.3  # of a step (docs/notes/texture.md)
CHECKED_EVERY = 8  # photographs; these do not take part and tell whether it helps; chosen
KEPT = 64_000_000  # samples whose places are kept from sweep to sweep, 8 bytes each; chosen
_SAMPLES = 2  # along each side of a pixel


@dataclass(frozen=True)
class _Pixels:
    """P pixels of a photograph that show the mesh and nothing else: where their N samples lie in
    the texture, [P, N, 2] texels, and the photograph's colours [P, 3]."""

    at: Tensor
    colors: Tensor


class _Photographs:
    """The pixels of photographs, made once where there are not too many."""

    def __init__(self, size: int, mesh: Mesh, uvs: Tensor, pictures: Sequence[Picture]) -> None:
        self._of = (size, mesh, uvs)
        self._pictures = pictures
        count = sum(one.coverage.numel() for one in pictures) * _SAMPLES**2
        self._kept: list[_Pixels | None] | None = [None] * len(pictures) if count < KEPT else None

    def __len__(self) -> int:
        return len(self._pictures)

    def pixels(self, index: int) -> _Pixels:
        if self._kept is None:
            return _pixels(*self._of, self._pictures[index])
        found = self._kept[index]
        if found is None:
            found = self._kept[index] = _pixels(*self._of, self._pictures[index])
        return found


def fitted(
    image: Tensor,
    mesh: Mesh,
    uvs: Tensor,
    pictures: Sequence[Picture],
    watch: Watch = SILENT,
    *,
    sweeps: int = SWEEPS,
) -> Tensor:
    """The image [S, S, 3] float32 after some sweeps of fitting it to the pictures, where that
    brings pictures closer that did not take part; otherwise as it was.

    A sweep is a step of gradient descent on the squared differences of all pixels, scaled for each
    texel by the inverse of how much the pixels see of it (Landweber iteration with a diagonal
    scale, as of SIRT), and damped.
    """
    photographs = _Photographs(image.shape[0], mesh, uvs, pictures)
    checked = range(CHECKED_EVERY // 2, len(pictures), CHECKED_EVERY)
    used = [index for index in range(len(pictures)) if index not in checked]
    if not checked or not used:
        return image
    error, after = _error(image, photographs, checked), image
    for sweep in range(sweeps):
        after = _swept(after, photographs, used, watch, f"fitting the texture, sweep {sweep + 1}")
        now = _error(after, photographs, checked)
        if now >= error:
            return image
        error = now
    return after


def _swept(
    image: Tensor, photographs: _Photographs, used: Sequence[int], watch: Watch, what: str
) -> Tensor:
    up, down = torch.zeros_like(image), torch.zeros(image.shape[:2])
    for index in watch.over(used, what):
        pixels = photographs.pixels(index)
        texture_residuals(pixels.at, pixels.colors, image, up, down)
    return (image + DAMPING * up / down.clamp_min(1e-6)[..., None]).clamp(0, 1)


def _error(image: Tensor, photographs: _Photographs, checked: Sequence[int]) -> float:
    up, down = torch.zeros_like(image), torch.zeros(image.shape[:2])
    total = 0.0
    for index in checked:
        pixels = photographs.pixels(index)
        total += texture_residuals(pixels.at, pixels.colors, image, up, down)
    return total


def _pixels(size: int, mesh: Mesh, uvs: Tensor, picture: Picture) -> _Pixels:
    samples = surface_samples(mesh, picture.camera, _SAMPLES)
    whole = (samples.face >= 0).all(dim=-1)
    covered = -F.max_pool2d(-picture.coverage[None, None], 3, 1, 1)[0, 0] > OPAQUE
    chosen = whole & covered
    corners = uvs[samples.face[chosen]]
    at = (corners * samples.weights[chosen][..., None]).sum(dim=-2) * size
    return _Pixels(at, picture.colors(picture.image[chosen].float()))
