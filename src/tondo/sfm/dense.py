"""Dense initial points: depth maps by plane sweeping, kept where neighbouring photos agree."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from tondo.data.photos import Photo, PointCloud
from tondo.geometry.cameras import fitted

# Relative difference of depth at which two photos still agree.
MAX_DISAGREEMENT = 0.01  # chosen
MIN_SCORE = 0.6  # correlation of windows, -1..1, that is believed; chosen, not measured
MAX_PIXELS = 3_000_000  # of all depth maps: bounds time; chosen, not measured
# Side of the windows that are compared, and the least variance (grey 0..1) that is texture.
WINDOW = (7, 7)  # chosen
MIN_VARIANCE = 1e-4  # chosen


@dataclass(frozen=True)
class SweepView:
    """One photo, reduced, as the plane sweep wants it.

    Attributes:
        color: [H, W, 3] uint8. grey: [H, W] float32, 0..1. solid: [H, W] bool.
        K: [3, 3] float64 with pixel centres at whole numbers, as OpenCV counts.
        R, t: [3, 3], [3] float64, world to camera.
    """

    color: np.ndarray
    grey: np.ndarray
    solid: np.ndarray
    K: np.ndarray
    R: np.ndarray
    t: np.ndarray


def densify(
    photos: tuple[Photo, ...],
    sparse: PointCloud,
    *,
    max_size: int = 320,
    planes: int = 64,
    neighbours: int = 4,
    max_points: int = 50_000,
    seed: int = 0,
) -> PointCloud:
    """Add points from depth maps to `sparse`.

    Every photo is compared with its best neighbours on planes parallel to it (Collins 1996) by
    normalised cross-correlation in 7x7 windows; a depth counts where at least two neighbours'
    own depth maps have it within 1 %.

    Args:
        photos: undistorted, with poses.
        sparse: points of the same world: they give the range of depths and the neighbours.
        max_size: longest side, in pixels, of the depth maps; less for many photos, so that all
            depth maps together have at most 3 million pixels.
        planes: how many depths are tried, evenly spaced in inverse depth.
        neighbours: how many photos each photo is compared with.
        max_points: at most so many points are added, drawn evenly over space.
        seed: of the drawing.
    """
    pixels = sum(c.width * c.height for c in (fitted(p.camera, max_size) for p in photos))
    share = min(1.0, (MAX_PIXELS / pixels) ** 0.5)
    views = [_reduced(photo, max(1, round(share * max_size))) for photo in photos]
    # A few thousand points tell ranges and neighbours as well as all.
    step = 1 + len(sparse.points) // 4000
    ranges, chosen = _plan(views, sparse.points[::step].double().numpy(), neighbours)
    depths = [
        depth_map(view, [views[j] for j in near], depth_range, planes)
        if depth_range is not None and len(near) >= 2
        else np.zeros_like(view.grey)
        for view, near, depth_range in zip(views, chosen, ranges, strict=True)
    ]
    points, colors = [], []
    for i, view in enumerate(views):
        agreed = _agreement(view, depths[i], [(views[j], depths[j]) for j in chosen[i]]) >= 2
        points.append(_unproject(view, depths[i])[agreed])
        colors.append(view.color[agreed])
    kept = _thin(np.concatenate(points), max_points, seed)
    dense = np.concatenate(points)[kept].astype(np.float32)
    return PointCloud(
        torch.cat([sparse.points, torch.from_numpy(dense)]),
        torch.cat([sparse.colors, torch.from_numpy(np.concatenate(colors)[kept])]),
    )


def _reduced(photo: Photo, max_size: int) -> SweepView:
    """The photo at the size of its depth map."""
    camera = fitted(photo.camera, max_size)
    size = (camera.width, camera.height)
    color = cv2.resize(photo.image.numpy(), size, interpolation=cv2.INTER_AREA)
    solid = np.ones((camera.height, camera.width), bool)
    for mask in (photo.alpha, None if photo.valid is None else photo.valid.to(torch.uint8) * 255):
        if mask is not None:
            solid &= cv2.resize(mask.numpy(), size, interpolation=cv2.INTER_AREA) > 250
    K = camera.K.double().numpy().copy()
    K[:2, 2] -= 0.5
    viewmat = camera.viewmat.double().numpy()
    grey = cv2.cvtColor(color, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0
    return SweepView(color, grey, solid, K, viewmat[:3, :3], viewmat[:3, 3])


def _plan(
    views: list[SweepView], points: np.ndarray, neighbours: int
) -> tuple[list[tuple[float, float] | None], list[list[int]]]:
    """For each view the range of depths (None without points) and its best neighbours.

    A neighbour is good where both see many points under an angle of about 10 degrees (Yao et al.
    2018, MVSNet, section 4.1: less gives no depth, more changes the look too much).
    """
    seen, rays = [], []
    ranges: list[tuple[float, float] | None] = []
    for view in views:
        local = points @ view.R.T + view.t
        z = local[:, 2]
        pixels = local @ view.K.T
        with np.errstate(divide="ignore", invalid="ignore"):
            x, y = pixels[:, 0] / z, pixels[:, 1] / z
        height, width = view.grey.shape
        inside = (z > 0) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
        seen.append(inside)
        if inside.sum() >= 20:
            near, far = np.percentile(z[inside], (1, 99))
            ranges.append((0.8 * float(near), 1.3 * float(far)))
        else:
            ranges.append(None)
        ray = points + view.R.T @ view.t
        rays.append(ray / np.linalg.norm(ray, axis=1, keepdims=True))
    chosen = []
    for i in range(len(views)):
        scores = np.zeros(len(views))
        for j in range(len(views)):
            both = seen[i] & seen[j]
            if i == j or ranges[j] is None or not both.any():
                continue
            cosine = np.clip((rays[i][both] * rays[j][both]).sum(axis=1), -1, 1)
            angle = np.degrees(np.arccos(cosine))
            spread = np.where(angle < 8.0, 3.0, 8.0)
            scores[j] = np.exp(-((angle - 8.0) ** 2) / (2 * spread**2)).sum()
        best = np.argsort(-scores, kind="stable")[:neighbours]
        chosen.append([int(j) for j in best if scores[j] > 10])
    return ranges, chosen


def depth_map(
    view: SweepView, others: list[SweepView], depth_range: tuple[float, float], planes: int
) -> np.ndarray:
    """[H, W] float32 depth along the view's z axis, 0 where nothing is sure.

    The score of a depth is the mean of the two best neighbours' correlations, so that a neighbour
    whose sight is blocked does no harm.
    """
    inverse = np.linspace(1 / depth_range[1], 1 / depth_range[0], planes)
    mean = cv2.blur(view.grey, WINDOW)
    variance = cv2.sqrBoxFilter(view.grey, cv2.CV_32F, WINDOW) - mean * mean
    volume = np.empty((planes, *view.grey.shape), np.float32)
    K_inverse = np.linalg.inv(view.K)
    motions = []
    for other in others:
        R = other.R @ view.R.T
        motions.append((R, other.t - R @ view.t))
    for plane, inv in enumerate(inverse):
        best = np.full(view.grey.shape, -1.0, np.float32)
        second = best.copy()
        for other, (R, t) in zip(others, motions, strict=True):
            # Points at depth 1/inv of `view` go to `other` by this homography (plane normal z).
            H = other.K @ (R + np.outer(t, [0.0, 0.0, inv])) @ K_inverse
            score = _correlation(view.grey, mean, variance, other.grey, H)
            np.maximum(second, np.minimum(best, score), out=second)
            np.maximum(best, score, out=best)
        volume[plane] = 0.5 * (best + second)
    return _best_depth(volume, inverse, (variance > MIN_VARIANCE) & view.solid)


def _correlation(
    grey: np.ndarray, mean: np.ndarray, variance: np.ndarray, other: np.ndarray, H: np.ndarray
) -> np.ndarray:
    """[H, W] normalised cross-correlation of windows of `grey` with `other` seen through H."""
    size = (grey.shape[1], grey.shape[0])
    warped = cv2.warpPerspective(other, H, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    warped_mean = np.asarray(cv2.blur(warped, WINDOW))
    # In place: the arrays are large, and this runs thousands of times.
    spread = np.asarray(cv2.sqrBoxFilter(warped, cv2.CV_32F, WINDOW))
    np.subtract(spread, warped_mean * warped_mean, out=spread)
    np.multiply(spread, variance, out=spread)
    np.maximum(spread, 1e-9, out=spread)
    np.sqrt(spread, out=spread)
    score = np.asarray(cv2.blur(grey * warped, WINDOW))
    np.subtract(score, mean * warped_mean, out=score)
    return np.divide(score, spread, out=score)


def _best_depth(volume: np.ndarray, inverse: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Depth of the best plane, refined by a parabola through it and its two neighbours."""
    index = volume.argmax(axis=0)
    inner = np.clip(index, 1, len(inverse) - 2)
    before, at, after = (
        np.take_along_axis(volume, inner[None] + step, axis=0)[0] for step in (-1, 0, 1)
    )
    bend = before - 2 * at + after
    shift = np.where(bend < -1e-6, 0.5 * (before - after) / np.minimum(bend, -1e-6), 0.0)
    inv = inverse[inner] + np.clip(shift, -0.5, 0.5) * (inverse[1] - inverse[0])
    sure = usable & (at > MIN_SCORE) & (index == inner)
    return np.where(sure, 1.0 / inv, 0.0).astype(np.float32)


def _unproject(view: SweepView, depth: np.ndarray) -> np.ndarray:
    """[H, W, 3] float64 world positions of a depth map's pixels."""
    height, width = depth.shape
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ np.linalg.inv(view.K).T
    return (rays * depth[..., None] - view.t) @ view.R


def _agreement(
    view: SweepView, depth: np.ndarray, others: list[tuple[SweepView, np.ndarray]]
) -> np.ndarray:
    """[H, W] int64, how many other depth maps have the same surface within 1 %."""
    points = _unproject(view, depth)
    agreeing = np.zeros(depth.shape, np.int64)
    for other, other_depth in others:
        local = points @ other.R.T + other.t
        z = local[..., 2]
        pixels = local @ other.K.T
        z_safe = np.maximum(z, 1e-9)
        x = np.rint(pixels[..., 0] / z_safe)
        y = np.rint(pixels[..., 1] / z_safe)
        height, width = other_depth.shape
        inside = (z > 0) & (x >= 0) & (x < width) & (y >= 0) & (y < height) & (depth > 0)
        found = np.zeros(depth.shape)
        found[inside] = other_depth[y[inside].astype(int), x[inside].astype(int)]
        agreeing += inside & (np.abs(found - z) < MAX_DISAGREEMENT * z)
    return agreeing


def _thin(points: np.ndarray, max_points: int, seed: int) -> np.ndarray:
    """Indices of at most `max_points` points: one per cell of a grid as fine as that allows."""
    order = np.random.default_rng(seed).permutation(len(points))[: 8 * max_points]
    if len(order) <= max_points:
        return np.sort(order)
    some = points[order]
    low, high = np.percentile(some, (2, 98), axis=0)
    some = np.clip(some - low, low - high, 2 * (high - low)) + (high - low)
    fine, coarse = 0.0, float(np.max(high - low)) + 1e-9
    kept = order[:max_points]
    for _ in range(12):
        cell = (fine + coarse) / 2
        x, y, z = np.floor(some / cell).astype(np.int64).T
        side = np.int64(3 * np.max(high - low) / cell) + 2
        _, first = np.unique((x * side + y) * side + z, return_index=True)
        if len(first) > max_points:
            fine = cell
        else:
            coarse, kept = cell, order[first]
    return np.sort(kept)
