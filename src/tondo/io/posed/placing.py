"""Frames of a file brought into the scene's own place and size, without cameras that are strays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from tondo.data.photos import PointCloud, Skipped
from tondo.data.similarity import Similarity
from tondo.geometry.placement import far_cameras, place, positions_and_axes
from tondo.io.posed.colmap import ColmapModel
from tondo.io.posed.frames import Frame
from tondo.io.posed.picture_fit import picture_fits
from tondo.io.posed.undistort import Lens, normalized_rays, pinhole_matrix

# Of a model that has tracks, a camera that so many of them fit is where they say; where half of the
# cameras have `_USUAL` of them and one has fewer than `_ENOUGH`, nothing says so.
_ENOUGH, _USUAL = 15, 30  # chosen
_FITS = 0.05  # of the picture's longest side: how far a sighting may be from its point; chosen

# Points beyond so many times the cameras' reach are no part of what the photos show.
_FARTHEST_POINT = 1000.0  # chosen


@dataclass(frozen=True)
class Placed:
    """Frames in the scene.

    Attributes:
        frames: without the strays, in their order.
        skipped: the strays.
        world_from_scene: where the scene is.
        notes: what the user should know of it, a sentence each.
    """

    frames: list[Frame]
    skipped: list[Skipped]
    world_from_scene: Similarity
    notes: tuple[str, ...]


def placed(
    frames: Sequence[Frame],
    world_from_scene: Similarity | None,
    fits: Callable[[str], bool | None] = lambda name: None,
) -> Placed:
    """Bring frames into the scene.

    Args:
        frames: their poses in the world, float64.
        world_from_scene: the scene's place, or None for the one that suits the cameras.
        fits: whether a photo's own sightings say that its camera is where the pose says; None where
            there are too few to tell, and its picture is looked at.
    """
    if not frames:
        return Placed([], [], world_from_scene or Similarity(), ())
    viewmats = torch.from_numpy(np.stack([frame.viewmat for frame in frames]))
    strays: dict[int, Skipped] = {}
    notes = []
    bounds = torch.tensor([_bounds(frame.lens) for frame in frames], dtype=torch.float64)
    far_away = far_cameras(viewmats, bounds)
    others = [i for i in range(len(frames)) if i not in {far.index for far in far_away}]
    for far in far_away:
        name = frames[far.index].name
        told = fits(name)
        if told is None:
            told = picture_fits(frames[far.index], [frames[i] for i in others])
        where = (
            f"its camera stands {far.distance:.4g} units from the middle of the cameras, "
            f"{far.times:.3g} times as far as the others"
        )
        if told is False or (told is None and not far.sees):
            about = (
                "what its picture shows does not fit that"
                if told is False
                else "it would not show what they show"
            )
            strays[far.index] = Skipped(name, f"{where}, and {about}: a stray pose")
            notes.append(f"left out {name}: {strays[far.index].reason}")
        elif told is None:
            notes.append(f"{name}: {where}; look whether its pose is right")
    if world_from_scene is None:
        world_from_scene = place(viewmats)
        notes += _about(world_from_scene)
    kept = [
        frame if world_from_scene.is_identity else replace(frame, viewmat=viewmat)
        for index, (frame, viewmat) in enumerate(
            zip(frames, world_from_scene.view_to_scene(viewmats).numpy(), strict=True)
        )
        if index not in strays
    ]
    return Placed(kept, list(strays.values()), world_from_scene, tuple(notes))


def model_in_scene(model: ColmapModel, world_from_scene: Similarity) -> ColmapModel:
    """The model with the poses and points of its photos brought into the scene."""
    if world_from_scene.is_identity:
        return model
    images = tuple(
        replace(
            image,
            viewmat=world_from_scene.view_to_scene(torch.from_numpy(image.viewmat)).numpy(),
        )
        for image in model.images
    )
    points = world_from_scene.to_scene(torch.from_numpy(model.tracks.points)).numpy()
    return replace(model, images=images, tracks=replace(model.tracks, points=points))


def sightings_fit(model: ColmapModel, image_id: int) -> bool | None:
    """Whether points that other photos see too are where a photo's pose says that it saw them; None
    where the model has too few such points to tell."""
    tracks = model.tracks
    counts = [int((tracks.image_id == image.image_id).sum()) for image in model.images]
    if sorted(counts)[len(counts) // 2] < _USUAL:
        return None
    image = next(image for image in model.images if image.image_id == image_id)
    mine = (tracks.image_id == image_id) & (tracks.observation_index < len(image.observations))
    seen = image.observations[tracks.observation_index[mine]]
    lens = model.lenses[image.camera_id]
    points = tracks.points[tracks.point_index[mine]]
    local = points @ image.viewmat[:3, :3].T + image.viewmat[:3, 3]
    K = pinhole_matrix(lens)
    rays = normalized_rays(lens, seen)  # where the lens bends it, the sighting is straightened
    with np.errstate(all="ignore"):
        off = (local[:, :2] / local[:, 2:] - rays[:, :2] / rays[:, 2:]) * K[[0, 1], [0, 1]]
    near = np.linalg.norm(off, axis=1) < _FITS * max(lens.width, lens.height)
    return int((near & (local[:, 2] > 0)).sum()) >= _ENOUGH


def near_points(
    cloud: PointCloud | None, frames: Sequence[Frame]
) -> tuple[PointCloud | None, tuple[str, ...]]:
    """The points without those far beyond what the cameras can show, and a note on these.

    Args:
        cloud: in the scene. frames: in the scene too.
    """
    if cloud is None or not frames:
        return cloud, ()
    positions, _ = positions_and_axes(
        torch.from_numpy(np.stack([frame.viewmat for frame in frames]))
    )
    middle = positions.median(dim=0).values
    reach = float((positions - middle).norm(dim=1).median())
    away = (cloud.points.double() - middle).norm(dim=1)
    # Of cameras all in one place, the points say how large the scene is.
    limit = _FARTHEST_POINT * max(reach, float(away.median()))
    near = away <= limit
    if bool(near.all()):
        return cloud, ()
    note = f"{int((~near).sum())} of {len(near)} points are too far away to be seen: left out"
    return PointCloud(cloud.points[near], cloud.colors[near]), (note,)


def _bounds(lens: Lens) -> tuple[float, float, float, float]:
    """The least and greatest x / z, and y / z, in the picture of a lens."""
    (fx, _, cx), (_, fy, cy), _ = pinhole_matrix(lens).tolist()
    return -cx / fx, (lens.width - cx) / fx, -cy / fy, (lens.height - cy) / fy


def _about(world_from_scene: Similarity) -> list[str]:
    """What was done to the scene, in words, if anything."""
    notes = []
    if world_from_scene.is_shifted:
        where = ", ".join(f"{v:.10g}" for v in world_from_scene.translation)
        notes.append(f"the scene is far from the origin: worked on around ({where})")
    if world_from_scene.scale != 1:
        notes.append(f"worked on in units of {world_from_scene.scale:g} of the world's")
    if notes:
        notes[-1] += ", and given back where it was in all that is written"
    return ["; ".join(notes)] if notes else []
