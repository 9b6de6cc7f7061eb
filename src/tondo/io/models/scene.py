"""Scenes as files: safetensors with JSON metadata."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from tondo.checks import check_dtype, check_finite
from tondo.data.field import (
    AnyField,
    DctEncoding,
    Field,
    FieldScene,
    FrequencyField,
    FrequencyShape,
    HashEncoding,
    Heads,
    Marching,
    Space,
    arrays_of,
    in_band,
)
from tondo.data.similarity import IDENTITY, Similarity
from tondo.data.splats import Exposures, Scene, Splats
from tondo.errors import InputError
from tondo.io.atomic import write_bytes
from tondo.io.json_files import finite, typed, whole

FORMAT_VERSION = 1  # of scene.json
PLACED_VERSION = 2  # with a place in the world, which programs that know 1 alone would ignore
MOST_STEPS = 100_000  # along a ray; bounds time; chosen
_FIELDS = ("means", "quats", "log_scales", "opacity_logits", "sh")
_OF_FIELDS = (
    ("tables", "weights", "occupied"),
    ("planes", "lines", "weights", "occupied"),
    ("coarse", "fine", "occupied"),
)
_EXPOSURES = ("viewmats", "matrices")


def save_scene(path: Path, scene: Scene | FieldScene) -> None:
    """Write a scene: the tensors of its splats or of its field and of the photos' exposures, and as
    metadata the format version, background, up, radius, center, the scene's place if it is not the
    world's own, and what else the field needs. The same scene gives the same bytes.

    Raises:
        OutputError: the file cannot be written.
    """
    if isinstance(scene, FieldScene):
        tensors, about = _field_parts(scene)
    else:
        tensors, about = {name: getattr(scene.splats, name) for name in _FIELDS}, {}
    if scene.exposures is not None:
        tensors |= {f"exposures.{name}": getattr(scene.exposures, name) for name in _EXPOSURES}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    about = {
        "format": FORMAT_VERSION if scene.world_from_scene.is_identity else PLACED_VERSION,
        "background": scene.background.tolist(),
        "up": scene.up.tolist(),
        "radius": scene.radius,
        "center": scene.center.tolist(),
        **about,
    }
    if not scene.world_from_scene.is_identity:  # all were in the world's own place once
        about["world_from_scene"] = dataclasses.asdict(scene.world_from_scene)
    data = safetensors.torch.save(tensors, metadata={"tondo_scene": json.dumps(about)})
    write_bytes(path, data)


def _field_parts(scene: FieldScene) -> tuple[dict[str, Tensor], dict[str, Any]]:
    field = scene.field
    tensors = {**arrays_of(field), "occupied": field.space.occupied}
    about: dict[str, Any] = {
        "space": {
            "center": list(field.space.center),
            "radius": field.space.radius,
            "contracted": field.space.contracted,
        },
        "marching": dataclasses.asdict(scene.marching),
    }
    if isinstance(field, FrequencyField):
        about["frequency"] = dataclasses.asdict(field.shape)
        return tensors, {"field": about}
    about["hidden"] = field.heads.hidden
    about["density_per"] = "radius"
    if isinstance(field.encoding, HashEncoding):
        about["resolutions"] = list(field.encoding.resolutions)
    else:
        about["cells"] = field.encoding.cells
        tensors |= dict(zip(("planes", "lines"), in_band(field.encoding), strict=True))
    return tensors, {"field": about}


def load_scene(path: Path) -> Scene | FieldScene:
    """Read a scene that `save_scene` wrote.

    Raises:
        InputError: missing, damaged, of another kind or version, or values that aren't finite.
    """
    tensors, text = _stored(path)
    try:
        for name, tensor in tensors.items():
            if tensor.is_floating_point():
                check_dtype(name, tensor, torch.float32)
                check_finite(name, tensor)
        exposures = None
        if any(name.startswith("exposures.") for name in tensors):
            exposures = Exposures(**{name: tensors[f"exposures.{name}"] for name in _EXPOSURES})
        about = json.loads(text)
        frame = _frame(about)
        if "occupied" in tensors:
            field, marching = _field(tensors, about["field"])
            return FieldScene(field, marching, **frame, exposures=exposures)
        splats = Splats(**{name: tensors[name] for name in _FIELDS})
        return Scene(splats, **frame, exposures=exposures)
    except (TypeError, ValueError, KeyError, OverflowError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {error}.") from None


def _stored(path: Path) -> tuple[dict[str, Tensor], str]:
    """The tensors of a scene's file by name, those of a field or of splats, and its metadata."""
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            text = (file.metadata() or {}).get("tondo_scene")
            names = set(file.keys())
            kind = next((one for one in (*_OF_FIELDS, _FIELDS) if names.issuperset(one)), None)
            if text is None or kind is None:
                raise InputError(f"{path} is a safetensors file, but not a scene of Tondo.")
            wanted = [*kind, *sorted(name for name in names if name.startswith("exposures."))]
            # clone: the tensors must not depend on the file once it is closed
            return {name: file.get_tensor(name).clone() for name in wanted}, text
    except safetensors.SafetensorError as error:
        raise InputError(f"{path} is not a readable scene: {error}.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None


def _field(tensors: dict[str, Tensor], about: Any) -> tuple[AnyField, Marching]:
    space = about["space"]
    center = _vector("center of the space", space["center"]).tolist()
    where = Space(
        (center[0], center[1], center[2]),
        _positive("radius of the space", space["radius"]),
        typed("contracted", space["contracted"], bool),
        tensors["occupied"],
    )
    steps = about["marching"]
    marching = Marching(
        _positive("step", steps["step"]),
        _positive("1 + cone", 1 + steps["cone"]) - 1,
        whole("max_steps", steps["max_steps"], MOST_STEPS),
        _positive("stop", steps["stop"]),
    )
    return _field_in(where, tensors, about), marching


def _field_in(space: Space, tensors: dict[str, Tensor], about: Any) -> AnyField:
    if "coarse" in tensors:
        stored = about["frequency"]
        coarse, fine = (whole("samples", one, 4096) for one in stored["samples"])
        shape = FrequencyShape(
            whole("places", stored["places"], 24),
            whole("directions", stored["directions"], 24),
            whole("width", stored["width"], 4096),
            whole("depth", stored["depth"], 64),
            (coarse, fine),
        )
        return FrequencyField(tensors["coarse"], tensors["fine"], space, shape)
    encoding: HashEncoding | DctEncoding
    if "tables" in tensors:
        resolutions = tuple(whole("resolutions", one, 2**20) for one in about["resolutions"])
        encoding = HashEncoding(tensors["tables"], resolutions)
    else:
        cells = whole("cells", about["cells"], 2**14)
        encoding = DctEncoding(tensors["planes"], tensors["lines"], cells)
    heads = Heads(tensors["weights"], encoding.width, whole("hidden", about["hidden"], 256))
    if about.get("density_per") != "radius":
        heads = _per_radius(heads, space.radius)
    return Field(encoding, heads, space)


def _per_radius(heads: Heads, radius: float) -> Heads:
    """The same field from a file of before, whose densities were per world unit."""
    heads = dataclasses.replace(heads, weights=heads.weights.clone())
    _, _, _, b2, w3, b3, _, _ = heads.parts()
    b2[0] += math.log(radius)
    b3 -= w3[:, 0] * math.log(radius)  # the colours' network reads it too
    return heads


def _frame(about: Any) -> dict[str, Any]:
    """Background, up, radius, center and the place in the world."""
    if not isinstance(about, dict):
        raise ValueError("its metadata is not a JSON object")
    version = about.get("format")
    if version not in (FORMAT_VERSION, PLACED_VERSION):
        raise ValueError(f"format {version!r}, expected {FORMAT_VERSION} (a newer Tondo wrote it?)")
    radius = _positive("radius", about["radius"])
    background, up, center = (_vector(name, about[name]) for name in ("background", "up", "center"))
    if not math.isclose(float(up.norm()), 1.0, abs_tol=1e-3):
        raise ValueError(f"up must be a unit vector, got {up.tolist()}")
    place = IDENTITY
    if version == PLACED_VERSION:
        stored = about["world_from_scene"]
        x, y, z = (finite("translation", one) for one in stored["translation"])
        place = Similarity(_positive("scale", stored["scale"]), (x, y, z))
    frame = {"background": background, "up": up, "radius": radius, "center": center}
    return {**frame, "world_from_scene": place}


def _positive(name: str, value: object) -> float:
    number = finite(name, value)
    if not number > 0:
        raise ValueError(f"{name} must be positive, got {value}")
    return number


def _vector(name: str, value: object) -> Tensor:
    """[3] float32 from a JSON list of three finite numbers."""
    if not isinstance(value, list) or len(value) != 3:
        raise ValueError(f"{name} must be three numbers, got {value!r}")
    tensor = torch.tensor([finite(name, v) for v in value], dtype=torch.float32)
    check_finite(name, tensor)
    return tensor
