"""How files of older versions become today's: entries and tensors under the names they have now.

Values stay as they are, bit for bit. Files of commits 168e698 and 1478497 ("format 1" of all kinds)
are those of `tests/formats`.
"""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

Kind = Literal["generator", "adapter", "checkpoint", "config"]

# Of a generator: entries of its shape, and first parts of its tensors' names
_SHAPE = {"traits": "basis_maps", "lined": "has_inner_layer"}
_GENERATOR = {
    "traits": "basis_maps",
    "mixtures": "basis_weights",
    "loudness": "noise_strength",
}
# Of a checkpoint: first parts of its tensors' names, and entries of its state
_TENSORS = {
    "chance": "rng",
    "stood": "camera_estimates",
    "lately": "latent_buffer",
    "codes": "photo_encoder",
    "first_look": "pretraining",
}
_STATE = {"setbacks": "rollbacks", "first_look": "pretraining"}


def migrated(
    kind: Kind, about: dict[str, Any], tensors: dict[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A file's description and tensors as a file of today has them; those of today stay as they
    are. Nothing is checked here: what has no meaning is left for those who read it."""
    if kind == "checkpoint":
        tensors = {_today(name, _TENSORS): x for name, x in tensors.items()}
        networks = {"G", "G_ema"}
        tensors = {
            f"{first}.{_today(rest, _GENERATOR)}" if first in networks else name: x
            for name, x in tensors.items()
            for first, _, rest in (name.partition("."),)
        }
        return _renamed(about, _STATE), tensors
    if kind in ("generator", "adapter"):
        tensors = {_today(name, _GENERATOR): x for name, x in tensors.items()}
        if isinstance(about.get("shape"), dict):
            about = {**about, "shape": _renamed(about["shape"], _SHAPE)}
    if kind == "config" and about.get("command") == "reconstruct":
        about = {"masks": "auto", **about}  # 168e698 knew no masks
        for method in ("splats", "nerf"):
            if isinstance(about.get(method), dict):  # the run's own `exposure` is what counts
                about[method] = {k: v for k, v in about[method].items() if k != "exposure"}
    return about, tensors


def _today(name: str, names: dict[str, str]) -> str:
    """A tensor's dotted name with its first part renamed."""
    first, dot, rest = name.partition(".")
    return names.get(first, first) + dot + rest


def _renamed(entries: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in entries.items()}
