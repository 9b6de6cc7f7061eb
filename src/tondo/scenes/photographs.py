"""The photographs that a run was made from, once more."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from tondo.data.photos import PhotoSet
from tondo.errors import InputError
from tondo.io.mask_files import AUTO, UNKNOWN, Outside, choice_after
from tondo.io.posed.photos import load_photos
from tondo.runs.run_directory import RunDirectory, read_config
from tondo.scenes.open import OpenedScene

HOLDOUT = 8  # of runs whose config does not say; every 8th, as Kerbl et al. 2023


def photos_of_run(
    opened: OpenedScene,
    run: RunDirectory,
    *,
    source: str | Path | None = None,
    masks: str | None = None,
    max_size: int | None = None,
) -> tuple[PhotoSet, Path]:
    """The photographs of a run in its scene, split as they were, and where they are.

    Args:
        opened: the scene of `run`.
        source: where they are now, if they moved.
        masks: as in `load_photos`; None: as trained.
        max_size: longest side in pixels; None: as trained.

    Raises:
        InputError: they are gone or cannot be read, or the run's config is damaged.
    """
    config = read_config(run)
    size, holdout = (whole_number(config, key) for key in ("max_size", "holdout"))
    place = Path(source) if source is not None else _source(run.path, config)
    if not place.exists():
        raise InputError(
            f"the photos of this run were at {place}, where nothing is now: "
            "give their place as `source`, or a transforms.json as `cameras`"
        )
    found = load_photos(
        place,
        max_size=max_size or size,
        holdout=HOLDOUT if holdout is None else holdout,
        load_points=False,
        masks=masks or choice_after(masks_of(config), prepared="posed" in config),
        outside_masks=outside_masks_of(config),
        world_from_scene=opened.scene.world_from_scene,
    )
    return found, place


def masks_of(config: dict[str, Any]) -> str:
    """How a run's masks were chosen."""
    return str(config.get("masks", AUTO))


def outside_masks_of(config: dict[str, Any]) -> Outside:
    """What was where a run's masks left out; runs of before there was a choice knew nothing of it.

    Raises:
        InputError: the config says something else.
    """
    value = config.get("outside_masks", UNKNOWN)
    if value not in get_args(Outside):
        raise InputError(
            f"config.json of the run: outside_masks must be auto, empty or unknown, got {value!r}"
        )
    return value


def whole_number(config: dict[str, Any], key: str) -> int | None:
    """Of a run's config. Raises InputError where it is something else."""
    value = config.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise InputError(f"config.json of the run: {key} must be a whole number, got {value!r}")
    return value


def _source(run: Path, config: dict[str, Any]) -> Path:
    """The posed photos of a run: what `prepare` made of them, or where they came from."""
    text = config.get("posed") or config.get("source")
    if not isinstance(text, str):
        raise InputError(f'{run}/config.json does not say where the photos are ("source")')
    path = Path(text)
    inside = run / path
    return inside if not path.is_absolute() and inside.exists() else path
