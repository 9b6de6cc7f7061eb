"""Whether a photo's picture fits the pose that a file gives it: what it has in common with other
photos must lie where the poses say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tondo.errors import InputError
from tondo.io.images import read_image
from tondo.io.posed.frames import Frame
from tondo.io.posed.undistort import normalized_rays, pinhole_matrix

_SIZE, _FEATURES = 800, 2000  # pixels of the longest side; of a picture
_ALIKE, _AROUND = 6, 6  # photos that look the same way, and others; chosen
_RATIO = 0.8  # of the best to the second best match (Lowe 2004)
_ENOUGH = 30  # matches of two pictures that are not by chance; chosen
_NEAR = 0.01  # of the longest side: how far a match may be from where the poses say; chosen
_SHARE = 0.5  # of the matches, which are near where two poses fit; chosen
# Of the pairs of pictures that fit. Where the true way from one to the other happens to lead where
# the wrong pose is, a wrong pose fits too, but not with most.
_RIGHT, _WRONG, _FEWEST = 0.75, 0.5, 2
_CONTROLS = 3  # photos whose poses are right, and must be found so; chosen


@dataclass(frozen=True)
class _Features:
    """Of one photo: pixels [M, 2] and rays [M, 3] (x, y, 1), descriptors [M, 128], pixels per unit
    of a ray, longest side."""

    pixels: NDArray[np.float64]
    rays: NDArray[np.float64]
    descriptors: NDArray[np.float32]
    focal: float
    side: int


def picture_fits(frame: Frame, others: Sequence[Frame]) -> bool | None:
    """Whether the picture of a frame fits its pose, by matches with the pictures of others whose
    poses are right; None where they have too little in common to tell, or where the others' own
    pictures do not fit their poses (a background that does not turn with the object, say).

    Of each two pictures, the matches that some pair of views can have are counted (RANSAC over
    fundamental matrices), and those of them that this pair of poses has (Sampson distance).
    """
    own = _features(frame)
    if own is None:
        return None
    chosen = _chosen(frame, others)
    known = [(one, found) for one in chosen if (found := _features(one)) is not None]
    sure = known[:_CONTROLS]
    if not sure or not all(
        _fitting(*one, [k for k in known if k is not one]) >= _RIGHT for one in sure
    ):
        return None
    share = _fitting(frame, own, known)
    return True if share >= _RIGHT else False if share <= _WRONG else None


def _fitting(frame: Frame, own: _Features, others: Sequence[tuple[Frame, _Features]]) -> float:
    """Share of the others whose pictures and poses fit those of a frame, of those that have enough
    in common with it; NaN where too few have."""
    fitting = []
    for other, theirs in others:
        pairs = _matches(own, theirs)
        if len(pairs) >= _ENOUGH:
            second_from_first = other.viewmat @ np.linalg.inv(frame.viewmat)
            off = _off(second_from_first, own.rays[pairs[:, 0]], theirs.rays[pairs[:, 1]])
            limit = _NEAR * min(own.side / own.focal, theirs.side / theirs.focal)
            fitting.append(float((off < limit).mean()) > _SHARE)
    return float(np.mean(fitting)) if len(fitting) >= _FEWEST else math.nan


def _chosen(frame: Frame, others: Sequence[Frame]) -> list[Frame]:
    """Some that look the way that the frame does, and some of all."""
    order = np.argsort([-float(frame.viewmat[2, :3] @ one.viewmat[2, :3]) for one in others])
    alike = order[:_ALIKE].tolist()
    around = np.linspace(0, len(others) - 1, min(_AROUND, len(others))).round().astype(int)
    return [others[index] for index in dict.fromkeys([*alike, *around.tolist()])]


def _features(frame: Frame) -> _Features | None:
    try:
        picture = read_image(frame.path, upright=False).rgb.numpy()
    except InputError:
        return None
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, _SIZE / max(grey.shape))
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    keypoints, descriptors = cv2.SIFT.create(_FEATURES).detectAndCompute(grey, None)
    if descriptors is None or len(keypoints) < _ENOUGH:
        return None
    # the lens is for a picture of its own size, which the file may be a smaller copy of
    ratio = np.array([frame.lens.width / grey.shape[1], frame.lens.height / grey.shape[0]])
    pixels = (np.array([point.pt for point in keypoints]) + 0.5) * ratio
    rays = normalized_rays(frame.lens, pixels)
    known = np.isfinite(rays).all(axis=1)
    focal = float(pinhole_matrix(frame.lens)[0, 0])
    side = max(frame.lens.width, frame.lens.height)
    return _Features(pixels[known], rays[known], descriptors[known].astype(np.float32), focal, side)


def _matches(first: _Features, second: _Features) -> NDArray[np.int64]:
    """[M, 2] rows of matches that a pair of views of one thing can have."""
    both = cv2.BFMatcher().knnMatch(first.descriptors, second.descriptors, k=2)
    good = [m for m, *rest in both if rest and m.distance < _RATIO * rest[0].distance]
    pairs = np.array([(m.queryIdx, m.trainIdx) for m in good], np.int64).reshape(-1, 2)
    _, unique = np.unique(pairs[:, 1], return_index=True)
    pairs = pairs[np.sort(unique)]
    if len(pairs) < _ENOUGH:
        return pairs[:0]
    limit = 0.004 * min(first.side, second.side)
    _, inliers = cv2.findFundamentalMat(
        first.pixels[pairs[:, 0]], second.pixels[pairs[:, 1]], cv2.FM_RANSAC, limit, 0.999
    )
    return pairs[:0] if inliers is None else pairs[inliers[:, 0] > 0]


def _off(
    second_from_first: NDArray[np.float64],
    first: NDArray[np.float64],
    second: NDArray[np.float64],
) -> NDArray[np.float64]:
    """[M] distance of rays (x, y, 1) from what the poses say, in units of a ray: Sampson's (Hartley
    and Zisserman 2003, eq. 11.9); infinite for what would be behind a camera."""
    R, t = second_from_first[:3, :3], second_from_first[:3, 3]
    t = t / max(float(np.linalg.norm(t)), 1e-12)
    E = np.array([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0]]) @ R
    line2, line1 = first @ E.T, second @ E
    slope = (line2[:, :2] ** 2).sum(axis=1) + (line1[:, :2] ** 2).sum(axis=1)
    across = np.abs((second * line2).sum(axis=1))
    # with depths a and b, b second = a R first + t: both must be positive
    turned = first @ R.T
    system = np.stack([turned, -second], axis=2)
    depths = -(np.linalg.pinv(system) @ t)
    return np.where((depths > 0).all(axis=1), across / np.sqrt(np.maximum(slope, 1e-30)), np.inf)
