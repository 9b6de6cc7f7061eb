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


# Of a training's config: where its options stand now
_TRAIN = {
    "batch": "schedule.batch",
    "accumulate": "schedule.accumulate",
    "fall": "schedule.decay",
    "ema_kpictures": "schedule.ema_kimg",
    "features": "adversarial.features",
    "loss": "adversarial.loss",
    "discriminator": "adversarial.discriminator",
    "r1_gamma": "adversarial.r1_gamma",
    "lazy": "adversarial.r1_every",
    "lr_g": "adversarial.lr_g",
    "lr_d": "adversarial.lr_d",
    "beta1": "adversarial.beta1",
    "beta2": "adversarial.beta2",
    "diversity_floor": "adversarial.min_diversity",
    "lr_codes": "autoencoder.lr_encoder",
    "rebuild": "autoencoder.reconstruction_weight",
    "rebuild_features": "autoencoder.feature_weight",
    "nat": "autoencoder.kl_weight",
    "first_kpictures": "autoencoder.pretrain_kimg",
    "smooth": "geometry.laplacian",
    "folds": "geometry.normal_orientation",
    "rings": "geometry.radial_slope",
    "wells": "geometry.overhang",
    "opaque": "geometry.haze",
    "centre": "geometry.centring",
    "relief": "geometry.depth_prior",
    "augment": "augmentation.augment",
    "augment_p": "augmentation.strength",
    "augment_target": "augmentation.target",
    "blur": "augmentation.blur",
    "blur_kpictures": "augmentation.blur_kimg",
}


def migrated(
    kind: Kind, about: dict[str, Any], tensors: dict[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A file's description and tensors as a file of today has them; those of today stay as they
    are. Nothing is checked here: what has no meaning is left for those who read it."""
    if kind == "config":
        return _config(about), tensors
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
    return about, tensors


def _today(name: str, names: dict[str, str]) -> str:
    """A tensor's dotted name with its first part renamed."""
    first, dot, rest = name.partition(".")
    return names.get(first, first) + dot + rest


def _renamed(entries: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in entries.items()}


def _config(config: dict[str, Any]) -> dict[str, Any]:
    """Of a run: a training's options were flat, and 168e698 knew no masks."""
    if isinstance(train := config.get("config"), dict):
        rest = {name: value for name, value in config.items() if name != "config"}
        config = _nested(rest | train, _TRAIN)
    if config.get("command") == "reconstruct" and "method" in config:
        config = {"masks": "auto", **config}
        for method in ("splats", "nerf"):
            if isinstance(config.get(method), dict):  # the run's own `exposure` is what counts
                config[method] = {k: v for k, v in config[method].items() if k != "exposure"}
    return config


def _nested(flat: dict[str, Any], places: dict[str, str]) -> dict[str, Any]:
    """`flat` with each value at its dotted place, those at "" left out."""
    found: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = places.get(name, name).split(".")
        inner = found
        for part in path:
            inner = inner.setdefault(part, {})
        if last:
            inner[last] = value
    return found
