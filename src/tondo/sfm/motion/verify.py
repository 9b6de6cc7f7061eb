"""Checks of a model that do not come from the optimiser that made it.

The optimiser is content with what it kept: points that fit. Here the model is held against all
verified matches, those that it left out included, and against a second model that began elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pycolmap
from numpy.typing import NDArray

from tondo.sfm.motion.matching import verified_pairs

# Pixels of the photo with the longer side of 1000 pixels: how far a match may lie from the epipolar
# line that the poses give it.
MAX_EPIPOLAR_ERROR = 4.0  # docs/notes/inputs.md
# Pairs with fewer verified matches say too little.
MIN_MATCHES = 15  # chosen
# A pair agrees with a model if this share of its matches does; a photo, if so large a share of the
# matches with its strongest partners do. Weaker pairs do not count: things that look alike match
# from the wrong side too, but less than the same thing does.
MIN_AGREEMENT = 0.5  # docs/notes/inputs.md
STRONGEST = 4  # partners: right models agree on 0.94 of their matches (docs/notes/inputs.md)
STRONG_SHARE = 0.2  # of the matches with the strongest partner; chosen
# Of the matches between two groups of photos, what must agree to take them for one.
JOINING_AGREEMENT = 0.7  # chosen
# Points farther from their features than this, pixels, are no points.
IMPOSSIBLE_ERROR = 100.0  # chosen
# Two models agree on a photo within these.
MAX_ANGLE_DEGREES = 3.0  # chosen
MAX_OFFSET = 0.05  # of the mean distance of the cameras from their middle; chosen


@dataclass(frozen=True)
class PairAgreement:
    """How far the verified matches of two placed photos agree with their poses.

    Attributes:
        first, second: names. matches: how many. share: of them, 0..1, which agree.
    """

    first: str
    second: str
    matches: int
    share: float


def drop_impossible(model: pycolmap.Reconstruction) -> int:
    """Delete points that are not finite or lie 100 pixels and more from their features, in place.

    Returns how many they were.
    """
    model.update_point_3d_errors()
    impossible = [
        point_id
        for point_id, point in model.points3D.items()
        if not np.isfinite(point.xyz).all() or not 0 <= point.error < IMPOSSIBLE_ERROR
    ]
    for point_id in impossible:
        model.delete_point3D(point_id)
    return len(impossible)


def possible_images(model: pycolmap.Reconstruction) -> set[int]:
    """Ids of the registered images whose pose and lens are finite numbers."""
    possible = set()
    for image_id in model.reg_image_ids():
        image = model.images[image_id]
        camera = model.cameras[image.camera_id]
        numbers = [*image.cam_from_world().matrix().ravel(), *camera.params]
        if np.isfinite(numbers).all() and camera.mean_focal_length() > 0:
            possible.add(image_id)
    return possible


def matches_agree(model: pycolmap.Reconstruction, database_path: Path) -> list[PairAgreement]:
    """Hold a model's poses against the verified matches of its photos.

    A match agrees where it lies within 4 pixels (of a photo 1000 pixels wide) of its epipolar line
    (Sampson distance, Hartley and Zisserman 2003, eq. 11.9) and its two rays meet in front of both
    cameras.
    """
    images = {i: model.images[i] for i in possible_images(model)}
    rays: dict[int, NDArray[np.float64]] = {}
    found = []
    with pycolmap.Database.open(database_path) as database:
        for pair, number in verified_pairs(database):
            if number < MIN_MATCHES or not all(one in images for one in pair):
                continue
            for one in pair:
                if one not in rays:
                    keypoints = np.asarray(database.read_keypoints(one))[:, :2]
                    camera = model.cameras[images[one].camera_id]
                    rays[one] = _rays(camera, keypoints)
            first, second = pair
            cameras = (model.cameras[images[one].camera_id] for one in pair)
            limit = sum(map(_limit, cameras)) / 2
            matches = np.asarray(database.read_two_view_geometry(*pair).inlier_matches, np.int64)
            agree = _agreeing(
                images[first],
                images[second],
                rays[first][matches[:, 0]],
                rays[second][matches[:, 1]],
                limit,
            )
            names = images[first].name, images[second].name
            found.append(PairAgreement(*names, len(matches), agree / len(matches)))
    return found


def sound_photos(pairs: Sequence[PairAgreement]) -> set[str]:
    """Names of the photos whose poses hold together: the largest group of photos joined by strong
    pairs that agree, without those whose strong pairs mostly disagree; and other groups, if most
    matches between them and that one agree (two rounds at two heights, say).

    A strong pair is one of the four with most matches of one of its photos, and has at least a
    fifth of the matches of the strongest.
    """
    by_name: dict[str, list[PairAgreement]] = {}
    for pair in pairs:
        for name in (pair.first, pair.second):
            by_name.setdefault(name, []).append(pair)
    strong = {}
    for name, own in by_name.items():
        ranked = sorted(own, key=lambda p: (-p.matches, p.first, p.second))[:STRONGEST]
        strong[name] = [p for p in ranked if p.matches >= STRONG_SHARE * ranked[0].matches]
    kept = set(strong)
    while True:
        groups = _groups(kept, strong)
        kept = _joined(groups, pairs)
        doubtful = {name for name in kept if _share(strong[name], kept) < MIN_AGREEMENT}
        if not doubtful:
            return kept
        kept -= doubtful


def _joined(groups: list[set[str]], pairs: Sequence[PairAgreement]) -> set[str]:
    """The largest group, with those between which and it most matches agree."""
    if not groups:
        return set()
    joined, left = groups[0], groups[1:]
    while left:
        for group in left:
            across = [
                p
                for p in pairs
                if (p.first in joined and p.second in group)
                or (p.first in group and p.second in joined)
            ]
            total = sum(pair.matches for pair in across)
            if total and sum(p.matches * p.share for p in across) > JOINING_AGREEMENT * total:
                joined = joined | group
                left = [other for other in left if other is not group]
                break
        else:
            break
    return joined


def _share(pairs: Sequence[PairAgreement], kept: set[str]) -> float:
    """Of the matches with photos that are kept, the share that agrees."""
    own = [pair for pair in pairs if pair.first in kept and pair.second in kept]
    total = sum(pair.matches for pair in own)
    return sum(pair.matches * pair.share for pair in own) / total if total else 0.0


def _groups(kept: set[str], strong: Mapping[str, Sequence[PairAgreement]]) -> list[set[str]]:
    """Photos joined by strong pairs that agree, the largest group first."""
    neighbours: dict[str, set[str]] = {name: set() for name in kept}
    for pair in (pair for name in kept for pair in strong[name]):
        if pair.share >= MIN_AGREEMENT and {pair.first, pair.second} <= kept:
            neighbours[pair.first].add(pair.second)
            neighbours[pair.second].add(pair.first)
    groups = []
    left = set(kept)
    while left:
        group, front = set(), {min(left)}
        while front:
            group |= front
            front = {other for name in front for other in neighbours[name]} - group
        left -= group
        groups.append(group)
    return sorted(groups, key=lambda group: (-len(group), min(group)))


def weak_pairs(database_path: Path, share: float = 0.35) -> list[tuple[int, int]]:
    """Pairs (image ids) with fewer verified matches than `share` of what either photo has with its
    second-best partner: where things look alike from several sides, most wrong pairs are such."""
    with pycolmap.Database.open(database_path) as database:
        pairs = [each for each in verified_pairs(database) if each[1] >= MIN_MATCHES]
    counts: dict[int, list[int]] = {}
    for pair, number in pairs:
        for one in pair:
            counts.setdefault(one, []).append(number)
    usual = {one: sorted(own, reverse=True)[min(1, len(own) - 1)] for one, own in counts.items()}
    return [pair for pair, number in pairs if number < share * max(usual[one] for one in pair)]


def _rays(camera: pycolmap.Camera, keypoints: NDArray[np.floating]) -> NDArray[np.float64]:
    """[F, 2] x and y at z = 1; NaN where a lens shows no such pixel."""
    found = camera.cam_from_img(keypoints.astype(np.float64))
    return np.asarray(found, np.float64).reshape(-1, 2)


def _agreeing(
    first: pycolmap.Image,
    second: pycolmap.Image,
    rays1: NDArray[np.float64],
    rays2: NDArray[np.float64],
    limit: float,
) -> int:
    """How many of the matched rays [M, 2] (x, y at z = 1) meet within `limit`, in front of both."""
    relative = second.cam_from_world() * first.cam_from_world().inverse()
    R, t = relative.rotation.matrix(), relative.translation
    x1 = np.column_stack([rays1, np.ones(len(rays1))])
    x2 = np.column_stack([rays2, np.ones(len(rays2))])
    cross = np.array([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0]])
    line2, line1 = x1 @ (cross @ R).T, x2 @ (cross @ R)
    slope = line2[:, 0] ** 2 + line2[:, 1] ** 2 + line1[:, 0] ** 2 + line1[:, 1] ** 2
    error = np.abs((x2 * line2).sum(axis=1)) / np.sqrt(np.maximum(slope, 1e-30))
    # z1 and z2 of the points where the rays come closest: z2 x2 = z1 R x1 + t.
    turned = x1 @ R.T
    aa, bb, ab = (turned**2).sum(1), (x2**2).sum(1), (turned * x2).sum(1)
    at, bt = turned @ t, x2 @ t
    scale = np.maximum(aa * bb - ab**2, 1e-30)
    z1, z2 = (ab * bt - bb * at) / scale, (aa * bt - ab * at) / scale
    # Rays that are nearly parallel meet far away, in front or behind by chance.
    parallel = aa * bb - ab**2 < 1e-6 * aa * bb
    with np.errstate(invalid="ignore"):
        return int(((error < limit) & (parallel | ((z1 > 0) & (z2 > 0)))).sum())


def _limit(camera: pycolmap.Camera) -> float:
    """The epipolar error allowed, at z = 1."""
    longest = max(camera.width, camera.height)
    return MAX_EPIPOLAR_ERROR * longest / 1000 / camera.mean_focal_length()


def disagreeing(first: pycolmap.Reconstruction, second: pycolmap.Reconstruction) -> set[str] | None:
    """Names of photos that two models of the same photos place differently.

    The models are laid over each other by the similarity on which most photos agree, within 3
    degrees and 5 % of the mean distance from the middle.

    Returns:
        None if they have fewer than 3 photos in common.
    """
    mine, others = _poses(first), _poses(second)
    names = sorted(mine.keys() & others.keys())
    if len(names) < 3:
        return None
    R1, C1 = (np.array([mine[n][k] for n in names]) for k in (0, 1))
    R2, C2 = (np.array([others[n][k] for n in names]) for k in (0, 1))
    reach = float(np.median(np.linalg.norm(C1 - np.median(C1, axis=0), axis=1)))
    best = np.zeros(len(names), bool)
    # Any two photos give a similarity: the turn of one, scale and place by the two centres.
    order = np.random.default_rng(0).permutation(len(names))[:24]
    for i in order:
        # R maps a direction of the second world into the first: R1^T R2 of the same photo.
        R = R1[i].T @ R2[i]
        angles = _angles(R1 @ R, R2)
        for j in order:
            base = np.linalg.norm(C2[j] - C2[i])
            if i == j or base < 1e-9:
                continue
            scale = np.linalg.norm(C1[j] - C1[i]) / base
            off = np.linalg.norm(scale * (C2 - C2[i]) @ R.T + C1[i] - C1, axis=1)
            good = (angles < MAX_ANGLE_DEGREES) & (off < MAX_OFFSET * reach)
            if good.sum() > best.sum():
                best = good
    return {name for name, good in zip(names, best, strict=True) if not good}


def _poses(model: pycolmap.Reconstruction) -> dict[str, tuple[NDArray, NDArray]]:
    images = (model.images[i] for i in model.reg_image_ids())
    return {
        image.name: (image.cam_from_world().rotation.matrix(), image.projection_center())
        for image in images
    }


def _angles(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N] degrees between rotations [N, 3, 3]."""
    cosine = (np.einsum("nij,nij->n", first, second) - 1) / 2
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))
