"""Scenes as files: safetensors with JSON metadata."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from tondo.checks import check_finite
from tondo.data.splats import Exposures, Scene, Splats
from tondo.errors import InputError
from tondo.io.atomic import write_bytes

FORMAT_VERSION = 1
_FIELDS = ("means", "quats", "log_scales", "opacity_logits", "sh")
_EXPOSURES = ("viewmats", "matrices")


def save_scene(path: Path, scene: Scene) -> None:
    """Write a scene: the tensors of the splats and of the photos' exposures, and as metadata the
    format version, background, up, radius and center. The same scene gives the same bytes.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors = {name: getattr(scene.splats, name) for name in _FIELDS}
    if scene.exposures is not None:
        tensors |= {f"exposures.{name}": getattr(scene.exposures, name) for name in _EXPOSURES}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    about = {
        "format": FORMAT_VERSION,
        "background": scene.background.tolist(),
        "up": scene.up.tolist(),
        "radius": scene.radius,
        "center": scene.center.tolist(),
    }
    data = safetensors.torch.save(tensors, metadata={"tondo_scene": json.dumps(about)})
    write_bytes(path, data)


def load_scene(path: Path) -> Scene:
    """Read a scene that `save_scene` wrote.

    Raises:
        InputError: missing, damaged, of another kind or version, or values that aren't finite.
    """
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            about = (file.metadata() or {}).get("tondo_scene")
            names = set(file.keys())
            if about is None or not names.issuperset(_FIELDS):
                raise InputError(f"{path} is a safetensors file, but not a scene of Tondo.")
            wanted = [*_FIELDS, *sorted(n for n in names if n.startswith("exposures."))]
            # clone: the tensors must not depend on the file once it is closed
            tensors = {name: file.get_tensor(name).clone() for name in wanted}
    except safetensors.SafetensorError as error:
        raise InputError(f"{path} is not a readable scene: {error}.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    try:
        for name in wanted:
            check_finite(name, tensors[name])
        splats = Splats(**{name: tensors[name] for name in _FIELDS})
        exposures = None
        if len(wanted) > len(_FIELDS):
            exposures = Exposures(**{name: tensors[f"exposures.{name}"] for name in _EXPOSURES})
        return dataclasses.replace(_scene(splats, json.loads(about)), exposures=exposures)
    except (TypeError, ValueError, KeyError, OverflowError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {error}.") from None


def _scene(splats: Splats, about: object) -> Scene:
    if not isinstance(about, dict):
        raise ValueError("its metadata is not a JSON object")
    if about.get("format") != FORMAT_VERSION:
        raise ValueError(
            f"format {about.get('format')!r}, expected {FORMAT_VERSION} (a newer Tondo wrote it?)"
        )
    radius = about["radius"]
    if isinstance(radius, bool) or not isinstance(radius, int | float):
        raise ValueError(f"radius must be a number, got {radius!r}")
    if not (math.isfinite(radius) and radius > 0):
        raise ValueError(f"radius must be positive, got {radius}")
    background, up, center = (_vector(name, about[name]) for name in ("background", "up", "center"))
    if not math.isclose(float(up.norm()), 1.0, abs_tol=1e-3):
        raise ValueError(f"up must be a unit vector, got {up.tolist()}")
    return Scene(splats, background=background, up=up, radius=float(radius), center=center)


def _vector(name: str, value: object) -> Tensor:
    """[3] float32 from a JSON list of three finite numbers."""
    if (
        not isinstance(value, list)
        or len(value) != 3
        or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
    ):
        raise ValueError(f"{name} must be three numbers, got {value!r}")
    tensor = torch.tensor([float(v) for v in value], dtype=torch.float32)
    check_finite(name, tensor)
    return tensor
