"""How files of older versions become today's: entries and tensors under the names they have now.

Values stay as they are, bit for bit. Files of commits 168e698 and 1478497 ("format 1" of all kinds)
are those of `tests/formats`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor


Kind = Literal["generator", "adapter", "checkpoint", "config"]

# Of a generator: entries of its shape, and first parts of its tensors' names
_SHAPE = {"traits": "basis_maps", "lined": "has_inner_layer", "kinds": "mixture_components"}
_SKIN: tuple[str, ...] = ("start", "axes", "from_w", "conv1", "conv2", "conv3", "conv4", "conv5")
_SKIN += ("coarse", "middle", "fine")
_GENERATOR = {
    **{name: f"skin_network.{name}" for name in _SKIN},
    **{name: f"skin_network.maps.{name}" for name in ("noise0", "noise1", "noise2")},
    "skin": "skin_network.to_splats",
    "places": "skin_network.maps.constant",
    "traits": "skin_network.maps.basis",
    "mixtures": "skin_network.maps.basis_weights",
    "loudness": "skin_network.maps.noise_strength",
    "behind": "background",
    "light": "matcap",
    "shares": "mixture_weights",
    "centre": "mixture_means",
    "spread": "mixture_roots",
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


# Of a run's config: where the flat options of splats and fields stand now, "" for nowhere
_SPLATS = {
    "ssim_weight": "loss.ssim",
    "opacity_reg": "loss.opacity",
    "scale_reg": "loss.scale",
    "coarse": "schedule.coarse",
    "degree_every": "schedule.degree_every",
    "densify_every": "density.every",
    "densify_until": "density.until",
    "growth": "density.growth",
    "min_opacity": "density.min_opacity",
    "noise": "density.noise",
    "lr_means": "rates.means",
    "lr_means_end": "rates.means_end",
    "lr_quats": "rates.quats",
    "lr_scales": "rates.scales",
    "lr_opacities": "rates.opacities",
    "lr_sh0": "rates.sh0",
    "lr_sh_rest": "rates.sh_rest",
    "lr_end": "rates.end",
    "lr_exposure": "rates.exposure",
    "lr_background": "rates.background",
    "lr_poses": "rates.poses",
    "exposure": "",  # that of the reconstruction counts
}
_HASH = ("levels", "features", "log2_entries", "coarsest", "finest")
_FREQUENCY = (
    "place_octaves",
    "direction_octaves",
    "width",
    "depth",
    "coarse_samples",
    "fine_samples",
)
_NERF = {
    **{name: f"hash.{name}" for name in _HASH},
    **{name: f"frequency.{name}" for name in _FREQUENCY},
    "frequencies": "dct.frequencies",
    "plane_features": "dct.features",
    "plane_cells": "dct.cells",
    "first_band": "dct.first_band",
    "band_until": "dct.band_until",
    "cells": "sampling.cells",
    "occupancy_every": "sampling.occupancy_every",
    "steps_across": "sampling.steps_across",
    "by_error": "sampling.by_error",
    "distortion": "distortion.weight",
    "distortion_until": "distortion.until",
    "distortion_steps": "distortion.steps",
    "exposure": "",
}
_NERF_RATES = {
    "batch": "batch",
    "lr_tables": "tables",
    "lr_heads": "heads",
    "lr_networks": "networks",
    "lr_end": "end",
    "decay": "decay",
    "warm_up": "warm_up",
    "beta2": "beta2",
    "lr_exposure": "exposure",
    "lr_background": "background",
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
            about = {**about, "shape": _shape(about["shape"])}
    return about, tensors


def _today(name: str, names: dict[str, str]) -> str:
    """A tensor's dotted name with its first part renamed."""
    first, dot, rest = name.partition(".")
    return names.get(first, first) + dot + rest


def _shape(shape: dict[str, Any]) -> dict[str, Any]:
    """Of a generator. Axial ones are radial, and those of both commits were: others, which no
    release wrote, keep that entry and are refused."""
    shape = _renamed(shape, _SHAPE)
    if "rows" in shape and shape.get("axial", False) == shape.get("radial", False):
        return {name: value for name, value in shape.items() if name != "radial"}
    return shape


def _renamed(entries: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in entries.items()}


def _config(config: dict[str, Any]) -> dict[str, Any]:
    """Of a run: options were flat."""
    if isinstance(train := config.get("config"), dict):
        rest = {name: value for name, value in config.items() if name != "config"}
        config = _nested(rest | train, _TRAIN)
    return _reconstruct_config(config) if config.get("command") == "reconstruct" else config


def _reconstruct_config(config: dict[str, Any]) -> dict[str, Any]:
    """Options of splats and fields were flat; exposure was true, false or null; the length could
    be null to the end."""
    config = dict(config)
    if "holdout" in config:
        config.setdefault("masks", "auto")  # 168e698 knew no masks
        config.setdefault("outside_masks", "unknown")
    if isinstance(splats := config.get("splats"), dict) and "lr_means" in splats:
        config["splats"] = splats = _nested(splats, _SPLATS)
    if isinstance(splats, dict) and isinstance(loss := splats.get("loss", {}), dict):
        # Runs that began before normals were compared go on without.
        config["splats"] = {**splats, "loss": {"normals": 0.0, **loss}}
    if isinstance(nerf := config.get("nerf"), dict) and "lr_tables" in nerf:
        used = nerf.get("encoding")
        rates = {old: f"{used}.rates.{new}" for old, new in _NERF_RATES.items()}
        hidden = {"hidden": "dct.hidden" if used == "dct" else "hash.hidden"}
        config["nerf"] = nerf = _nested(nerf, _NERF | rates | hidden)
    if isinstance(nerf, dict):  # as they began: without a loss against bumps
        config["nerf"] = {"smoothness": {"weight": 0.0}, **nerf}
    told = (config.get("steps"), config.get("minutes"))
    if told == (None, None) and "steps_done" in config:
        config["minutes"] = 3.0  # what was not given was not stored
    exposure = config.get("exposure", "")
    if exposure is None or isinstance(exposure, bool):
        config["exposure"] = "auto" if exposure is None else "on" if exposure else "off"
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
