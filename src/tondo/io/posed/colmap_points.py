"""Initial points from the tracks of a COLMAP model; held-out photos have no part in them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from tondo.data.photos import Photo, PointCloud
from tondo.io.named_files import readable
from tondo.io.posed.colmap import ColmapModel, ModelImage, Tracks
from tondo.io.posed.undistort import Lens, normalized_rays, pinhole_matrix

# Points seen by three photos are far more often right than those seen by two: where there are
# enough of them, the others are left out.
_MANY = 10_000  # chosen
_MAX_ERROR_PIXELS = 4.0  # COLMAP's own filter_max_reproj_error
# 1 - cos(1 degree), about what the smallest eigenvalue of two crossing rays is.
_MIN_EIGENVALUE = 1.5e-4


def initial_points(
    model: ColmapModel, photos: Mapping[int, Photo]
) -> tuple[PointCloud | None, tuple[str, ...]]:
    """Points that at least two (where there are many: three) of `photos` see.

    A point that other photos of the model see as well is triangulated anew from `photos` alone, and
    dropped if that is not well-determined. Colours are means over the pixels of `photos`.

    What a track names that is not there is passed over: a photo that is not in the model was not
    held out either, and vouches for its point; observations that a photo does not have still say
    that it saw the point, which stays where it is if it cannot be triangulated without them. Points
    without tracks, from a scan say, are taken as they are, with the colours of the file.

    Args:
        model: the poses of all photos are taken as they are.
        photos: training photos by image id.

    Returns:
        The points, or None if there are none; and what was passed over or taken on trust, in
        sentences.
    """
    tracks, gone, notes = _present_tracks(model)
    count = len(tracks.points)
    own = np.isin(tracks.image_id, list(photos))
    sightings = np.unique(np.stack([tracks.point_index[own], tracks.image_id[own]], 1), axis=0)
    seen = np.bincount(sightings[:, 0], minlength=count)
    vouched = seen + gone
    kept = vouched >= (3 if (vouched >= 3).sum() >= _MANY else 2)
    foreign = np.zeros(count, bool)
    foreign[tracks.point_index[~own]] = True
    points = tracks.points.copy()
    again = kept & foreign
    if again.any():
        found, good = _triangulate(model, tracks, photos, again)
        points[np.flatnonzero(again)[good]] = found[good]
        kept[again] &= good
        trusted = again & ~kept & _is_incomplete(tracks)
        kept |= trusted
        notes += _trusted(model, tracks, photos, trusted)
    bare = (np.bincount(tracks.point_index, minlength=count) + gone) == 0
    if bare.any():
        kept |= bare
        notes.append(
            f"{bare.sum()} of the model's {count} points have no tracks: taken as they are, with "
            "the file's colours; if photos found them, held-out ones had a part in it"
        )
    kept &= np.abs(points).max(axis=1, initial=0) < 1e6
    colors, colored = _colors(points, sightings, photos)
    unseen = seen == 0
    colors[unseen] = tracks.colors[unseen]
    kept &= colored | unseen
    if not kept.any():
        return None, tuple(notes)
    cloud = PointCloud(
        torch.from_numpy(points[kept]).float(), torch.from_numpy(colors[kept]).contiguous()
    )
    return cloud, tuple(notes)


def _present_tracks(model: ColmapModel) -> tuple[Tracks, NDArray[np.int64], list[str]]:
    """The tracks without sightings by photos that are not in the model.

    Returns:
        Tracks, whose observation_index is -1 where a photo has no such observation; how many
        sightings each point [P] lost; and what was found, in sentences.
    """
    tracks = model.tracks
    counts = {image.image_id: len(image.observations) for image in model.images}
    ids, which = np.unique(tracks.image_id, return_inverse=True)
    known = np.array([int(image_id) in counts for image_id in ids], bool)
    lengths = np.array([counts.get(int(image_id), 0) for image_id in ids], np.int64)
    is_there, notes = known[which], []
    gone = np.bincount(tracks.point_index[~is_there], minlength=len(tracks.points))
    if not is_there.all():
        missing = [str(image_id) for image_id in ids[~known]]
        shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        notes.append(
            f"{(gone > 0).sum()} of the model's {len(gone)} points are seen by {len(missing)} "
            f"photos that are not in it (numbers {shown}): these sightings are left out"
        )
    has_observation = tracks.observation_index < lengths[which]
    lost = is_there & ~has_observation
    if lost.any():
        notes.append(
            f"{lost.sum()} sightings of the model's points name observations that their photos do "
            "not have: the points' positions are used, these observations are not"
        )
    present = Tracks(
        tracks.points,
        tracks.colors,
        tracks.point_index[is_there],
        tracks.image_id[is_there],
        np.where(has_observation, tracks.observation_index, -1)[is_there],
    )
    return present, gone, notes


def _is_incomplete(tracks: Tracks) -> NDArray[np.bool_]:
    """[P], whether an observation that a point's track names is not there."""
    found = np.zeros(len(tracks.points), bool)
    found[tracks.point_index[tracks.observation_index < 0]] = True
    return found


def _trusted(
    model: ColmapModel, tracks: Tracks, photos: Mapping[int, Photo], trusted: NDArray[np.bool_]
) -> list[str]:
    """A sentence on points that stay where photos beside `photos` had a part in finding them."""
    if not trusted.any():
        return []
    seen_by = set(tracks.image_id[trusted[tracks.point_index]].tolist()) - set(photos)
    names = [readable(image.name) for image in model.images if image.image_id in seen_by]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return [
        f"{trusted.sum()} of the model's {len(trusted)} points cannot be found from the training "
        f"photos alone without these observations, and stay where {shown} had a part in finding "
        "them (`holdout=0` holds no photos out)"
    ]


def _triangulate(
    model: ColmapModel, tracks: Tracks, photos: Mapping[int, Photo], chosen: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The points `chosen` [P], from the rays of `photos` alone: [n, 3], and which are good [n]."""
    number = np.cumsum(chosen) - 1
    count = int(chosen.sum())
    images = {image.image_id: image for image in model.images if image.image_id in photos}
    rays = [_rays(model, image, tracks, chosen) for image in images.values()]
    index = number[np.concatenate([ray[0] for ray in rays])]
    origins, directions, focals = (np.concatenate([r[i] for r in rays]) for i in (1, 2, 3))
    if not len(index):
        return np.zeros((count, 3)), np.zeros(count, bool)
    across = np.eye(3) - directions[:, :, None] * directions[:, None, :]
    weights = np.ones(len(index))
    points = np.zeros((count, 3))
    for _ in range(2):  # least distance to the rays, then (by 1 / distance) least angle
        A, b = np.zeros((count, 3, 3)), np.zeros((count, 3))
        np.add.at(A, index, across * weights[:, None, None])
        np.add.at(b, index, np.einsum("nij,nj->ni", across, origins) * weights[:, None])
        eigenvalues = np.linalg.eigvalsh(A)
        solvable = eigenvalues[:, 0] > _MIN_EIGENVALUE * eigenvalues[:, 2]
        points[solvable] = np.linalg.solve(A[solvable], b[solvable][..., None])[..., 0]
        offsets = points[index] - origins
        distances = np.linalg.norm(offsets, axis=1).clip(1e-9)
        weights = (distances.mean() / distances) ** 2
    along = np.einsum("ni,ni->n", offsets, directions)
    sines = np.linalg.norm(np.cross(offsets, directions), axis=1) / distances
    bad_ray = (along <= 0) | (sines * focals > _MAX_ERROR_PIXELS)
    return points, solvable & (np.bincount(index[bad_ray], minlength=count) == 0)


def _rays(
    model: ColmapModel, image: ModelImage, tracks: Tracks, chosen: NDArray[np.bool_]
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Of one photo: points seen [n], ray origins and unit directions [n, 3], focal lengths [n]."""
    mine = (tracks.image_id == image.image_id) & chosen[tracks.point_index]
    mine &= tracks.observation_index >= 0
    lens: Lens = model.lenses[image.camera_id]
    local = normalized_rays(lens, image.observations[tracks.observation_index[mine]])
    usable = np.isfinite(local).all(axis=1)
    local = local[usable]
    rotation, translation = image.viewmat[:3, :3], image.viewmat[:3, 3]
    directions = local @ rotation / np.linalg.norm(local, axis=1, keepdims=True)
    origins = np.broadcast_to(-rotation.T @ translation, directions.shape)
    focals = np.full(len(local), pinhole_matrix(lens)[0, 0])
    return tracks.point_index[mine][usable], origins, directions, focals


def _colors(
    points: NDArray[np.float64], sightings: NDArray[np.int64], photos: Mapping[int, Photo]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Mean colour [P, 3] over the photos that see each point, and whether any shows it [P]."""
    total = np.zeros((len(points), 3))
    count = np.zeros(len(points))
    for image_id, photo in photos.items():
        seen = sightings[sightings[:, 1] == image_id, 0]
        camera = photo.camera
        viewmat, K = camera.viewmat.double().numpy(), camera.K.double().numpy()
        local = points[seen] @ viewmat[:3, :3].T + viewmat[:3, 3]
        with np.errstate(all="ignore"):
            pixels = np.floor((local @ K.T)[:, :2] / local[:, 2:])
        inside = (local[:, 2] > 0) & (pixels >= 0).all(axis=1)
        inside &= (pixels < [camera.width, camera.height]).all(axis=1)
        columns, rows = pixels[inside].astype(np.int64).T
        if photo.valid is not None:
            shown = photo.valid.numpy()[rows, columns]
            columns, rows, inside = columns[shown], rows[shown], _narrowed(inside, shown)
        total[seen[inside]] += photo.image.numpy()[rows, columns]
        count[seen[inside]] += 1
    colors = np.rint(total / np.maximum(count, 1)[:, None]).astype(np.uint8)
    return colors, count > 0


def _narrowed(mask: NDArray[np.bool_], part: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`mask` where, of its True places, only those with `part` stay."""
    result = mask.copy()
    result[mask] = part
    return result
