"""Photos as training wants them: over the background, at several sizes."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from torch import Generator, Tensor

from tondo.data.photos import Photo
from tondo.geometry.cameras import scaled
from tondo.splats.step import Target

_WHOLE = 0.998  # of a coarse pixel is valid: all of it, but for rounding
SMALLEST = 24  # pixels; coarse pictures are never smaller than this


def make_target(photo: Photo, divisor: int, background: Tensor, *, keep_alpha: bool) -> Target:
    """`photo` over `background`, `divisor` times smaller (area filter).

    Args:
        background: [3] float32 0..1.
        keep_alpha: keep straight colours and alpha apart, for a background that changes.
    """
    camera = photo.camera
    divisor = max(1, min(divisor, min(camera.width, camera.height) // SMALLEST))
    size = (max(1, round(camera.width / divisor)), max(1, round(camera.height / divisor)))
    alpha = photo.alpha
    cover: Any = None
    rgb: Any = photo.image.numpy()
    valid: Any = None
    if photo.valid is not None:
        valid = photo.valid.numpy().astype(np.uint8)
    if alpha is not None:
        cover = alpha.numpy().astype(np.float32)[..., None] / 255
        behind = 0.0 if keep_alpha else background.numpy() * 255
        rgb = rgb.astype(np.float32) * cover + behind * (1 - cover)
    if divisor > 1:
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        if alpha is not None:
            cover = cv2.resize(cover, size, interpolation=cv2.INTER_AREA)[..., None]
        if valid is not None:
            covered = cv2.resize(valid.astype(np.float32), size, interpolation=cv2.INTER_AREA)
            # What a mask keeps may be finer than coarse pixels: then those with most of it.
            valid = (covered >= min(_WHOLE, covered.max())).astype(np.uint8)
    image = torch.from_numpy(np.clip(np.rint(rgb), 0, 255).astype(np.uint8)).contiguous()
    kept = torch.from_numpy(cover).contiguous() if keep_alpha and alpha is not None else None
    mask = None if valid is None or valid.all() else torch.from_numpy(valid).contiguous()
    return Target(scaled(camera, *size), image, mask, kept)


def over_random(target: Target, generator: Generator) -> tuple[Target, Tensor]:
    """`target` over a new random colour, and that colour [3]. Photos without alpha stay."""
    background = torch.rand(3, generator=generator)
    if target.alpha is None:
        return target, background
    shown = target.image.float() + (1 - target.alpha) * background * 255
    image = shown.round().clamp(0, 255).to(torch.uint8)
    return Target(target.camera, image, target.valid), background
