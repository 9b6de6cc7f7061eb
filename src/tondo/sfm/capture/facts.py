"""What structure from motion made of a set of photos: the facts behind prepare.json and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pycolmap

from tondo.data.photos import Skipped
from tondo.sfm.motion.place import Placement
from tondo.sfm.photos.gather import GatheredPhoto
from tondo.sfm.photos.quality import find_faults

# A pair with fewer verified matches hardly holds two photos together.
WEAK_MATCHES = 60  # chosen


@dataclass(frozen=True)
class PhotoOutcome:
    """What became of one photo.

    Attributes:
        name, source: file name in the folder of pictures, and where it came from.
        registered: whether its pose was found.
        reason: why not, in plain words; empty if registered.
        faults: what its quality lacks, whether registered or not.
        sharpness: as share of the set's median. brightness: mean, 0..1.
        features: found on it. matches: verified, with its best partner. partner: that one's name.
        points: 3D points that it sees. error: its mean reprojection error, pixels.
    """

    name: str
    source: str
    registered: bool
    reason: str
    faults: tuple[str, ...]
    sharpness: float
    brightness: float
    features: int
    matches: int
    partner: str
    points: int
    error: float


@dataclass(frozen=True)
class Capture:
    """A set of photos after structure from motion.

    Attributes:
        photos: all that could be read, by name. skipped: those that could not.
        registered: names of the registered ones, in the order of `positions`.
        positions, directions: [R, 3] float64, camera centres and viewing directions.
        up: [3] float64 unit vector, minus the mean of the cameras' y axes.
        points: [P, 3] float64; colors: [P, 3] uint8.
        error: mean reprojection error, pixels of the photos; 0 without a model.
        inliers: [N, N] int64, verified matches of photos i and j.
        other_models: names of photos that further models place and the largest does not.
        lens: the lens model that was chosen, and why; empty without a model.
        doubts: what is not certain, sentences. distrust: why nothing is, empty if that is not so.
    """

    photos: tuple[PhotoOutcome, ...]
    skipped: tuple[Skipped, ...]
    registered: tuple[str, ...]
    positions: np.ndarray
    directions: np.ndarray
    up: np.ndarray
    points: np.ndarray
    colors: np.ndarray
    error: float
    inliers: np.ndarray
    other_models: tuple[tuple[str, ...], ...]
    lens: str = ""
    doubts: tuple[str, ...] = ()
    distrust: str = ""


def describe_capture(
    photos: Sequence[GatheredPhoto],
    skipped: Sequence[Skipped],
    placement: Placement,
    models: Sequence[pycolmap.Reconstruction],
) -> Capture:
    """Collect the facts; `models[0]`, if any, is the one that was taken."""
    images = {}
    positions, directions, downs = [], [], []
    if models:
        images = {im.name: im for im in models[0].images.values() if im.has_pose}
        images = dict(sorted(images.items()))
    for image in images.values():
        rotation = image.cam_from_world().rotation.matrix()
        positions.append(image.projection_center())
        directions.append(rotation[2])
        downs.append(rotation[1])
    points = [] if not models else list(models[0].points3D.values())
    others = _others(models, set(images))
    return Capture(
        photos=_outcomes(photos, placement, images, models[:1], others),
        skipped=tuple(skipped),
        registered=tuple(images),
        positions=np.array(positions, np.float64).reshape(-1, 3),
        directions=np.array(directions, np.float64).reshape(-1, 3),
        up=_up(np.array(downs, np.float64).reshape(-1, 3)),
        points=np.array([p.xyz for p in points], np.float64).reshape(-1, 3),
        colors=np.array([p.color for p in points], np.uint8).reshape(-1, 3),
        error=float(models[0].compute_mean_reprojection_error()) if points else 0.0,
        inliers=placement.inliers,
        other_models=others,
        lens=placement.lens,
        doubts=placement.doubts,
        distrust=placement.distrust,
    )


def _up(downs: np.ndarray) -> np.ndarray:
    """Minus the mean of the cameras' y axes; z if they cancel."""
    mean = -downs.sum(axis=0)
    length = float(np.linalg.norm(mean))
    return mean / length if length > 1e-6 else np.array([0.0, 0.0, 1.0])


def _others(
    models: Sequence[pycolmap.Reconstruction], placed: set[str]
) -> tuple[tuple[str, ...], ...]:
    """Names of the photos of each further model that no model before it has, of two and more."""
    groups = []
    known = set(placed)
    for model in models[1:]:
        own = {image.name for image in model.images.values() if image.has_pose} - known
        if len(own) >= 2:
            groups.append(tuple(sorted(own)))
            known |= own
    return tuple(groups)


def _outcomes(
    photos: Sequence[GatheredPhoto],
    placement: Placement,
    images: dict[str, pycolmap.Image],
    models: Sequence[pycolmap.Reconstruction],
    others: Sequence[Sequence[str]],
) -> tuple[PhotoOutcome, ...]:
    faults = find_faults([photo.quality for photo in photos])
    usual = float(np.median([photo.quality.sharpness for photo in photos])) or 1.0
    elsewhere = {name: number for number, own in enumerate(others, start=2) for name in own}
    outcomes = []
    for index, photo in enumerate(photos):
        image = images.get(photo.name)
        inliers = placement.inliers
        best = int(inliers[index].argmax()) if len(photos) > 1 else index
        matches = int(inliers[index, best])
        reason = ""
        if image is None:
            reason = placement.rejected.get(photo.name) or _why_not(
                photo, faults[index], matches, elsewhere.get(photo.name)
            )
        seen = [] if image is None else list(image.get_observation_points2D())
        outcomes.append(
            PhotoOutcome(
                name=photo.name,
                source=photo.source,
                registered=image is not None,
                reason=reason,
                faults=faults[index],
                sharpness=photo.quality.sharpness / usual,
                brightness=photo.quality.brightness,
                features=photo.features.count,
                matches=matches,
                partner=photos[best].name if matches else "",
                points=len(seen),
                error=_mean_error(models[0], seen) if seen else 0.0,
            )
        )
    return tuple(outcomes)


def _mean_error(model: pycolmap.Reconstruction, seen: Sequence[pycolmap.Point2D]) -> float:
    """Mean reprojection error of the points that one photo sees."""
    return float(np.mean([model.points3D[p.point3D_id].error for p in seen]))


def _why_not(
    photo: GatheredPhoto, faults: tuple[str, ...], matches: int, other_model: int | None
) -> str:
    """Why a photo was not registered, the likeliest cause first."""
    causes = list(faults)
    if other_model is not None:
        causes.append(f"fits only with the photos of group {other_model}")
    elif photo.features.count < 200:
        causes.append(f"hardly any texture ({photo.features.count} features)")
    elif matches == 0:
        causes.append("nothing in common with any other photo")
    elif matches < WEAK_MATCHES:
        causes.append(f"too few matches (at best {matches} with another photo)")
    else:
        causes.append("its matches do not agree with the positions of the other photos")
    return "; ".join(causes)
