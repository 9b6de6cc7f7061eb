"""Features of points that known cameras see: structure from motion with nothing to render."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pycolmap
from PIL import Image

from tondo.sfm.motion.features import Features
from tondo.sfm.motion.place import Placement, Unplaced, place_photos

WIDTH, HEIGHT = 480, 360


def look_at(
    eye: Sequence[float], target: Sequence[float] = (0, 0, 0), roll: float = 0
) -> np.ndarray:
    """[4, 4] world-to-camera, OpenCV axes, z of the world up, turned by `roll` radians."""
    forward = np.subtract(target, eye)
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, (0, 0, 1))
    right /= np.linalg.norm(right)
    turned = np.eye(4)
    turned[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    cos, sin = np.cos(roll), np.sin(roll)
    turned[:3, :3] = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ turned[:3, :3]
    turned[:3, 3] = -turned[:3, :3] @ eye
    return turned


def ring(count: int, elevation: float, distance: float) -> list[np.ndarray]:
    """Cameras of a turntable: one height, one distance, all the way round."""
    turns = 2 * np.pi * np.arange(count) / count
    flat, up = np.cos(np.radians(elevation)), np.sin(np.radians(elevation))
    return [
        look_at((distance * flat * np.cos(a), distance * flat * np.sin(a), distance * up))
        for a in turns
    ]


def cylinder(count: int, seed: int = 0) -> np.ndarray:
    """[count, 3] points on the side of a cylinder of diameter 1 and height 0.8."""
    rng = np.random.default_rng(seed)
    a = rng.uniform(0, 2 * np.pi, count)
    return np.stack([0.5 * np.cos(a), 0.5 * np.sin(a), rng.uniform(-0.4, 0.4, count)], 1)


def seen(
    camera: pycolmap.Camera, viewmat: np.ndarray, points: np.ndarray, noise: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Which points [P, 3] a camera sees from outside a convex thing, and where [M, 2]."""
    rng = np.random.default_rng(seed)
    local = points @ viewmat[:3, :3].T + viewmat[:3, 3]
    eye = -viewmat[:3, :3].T @ viewmat[:3, 3]
    outward = points * (1, 1, 0)
    facing = (outward * (eye - points)).sum(1) > 0.1 * np.linalg.norm(eye - points, axis=1) * 0.5
    index = np.flatnonzero(facing & (local[:, 2] > 0))
    where = np.asarray(camera.img_from_cam(local[index])).reshape(-1, 2)
    inside = ((where > 4) & (where < (camera.width - 4, camera.height - 4))).all(1)
    return index[inside], where[inside] + rng.normal(size=(int(inside.sum()), 2)) * noise


def photos_of(
    cameras: Sequence[pycolmap.Camera],
    viewmats: Sequence[np.ndarray],
    points: np.ndarray,
    focals: Sequence[float | None],
    keys: Sequence[tuple[str | int | float, ...]],
) -> list[Unplaced]:
    """Photos whose features carry a descriptor for each point."""
    histograms = np.random.default_rng(7).integers(0, 80, (len(points), 128))
    photos = []
    for number, (camera, viewmat, focal, key) in enumerate(
        zip(cameras, viewmats, focals, keys, strict=True)
    ):
        index, where = seen(camera, viewmat, points, 0.2, number)
        keypoints = np.column_stack([where, np.full(len(where), 2.0), np.zeros(len(where))])
        features = Features(keypoints.astype(np.float32), histograms[index].astype(np.uint8))
        name = f"{number:03d}.jpg"
        photos.append(Unplaced(name, camera.width, camera.height, focal, key, features))
    return photos


def place(photos: Sequence[Unplaced], folder: Path) -> tuple[Placement, pycolmap.Reconstruction]:
    """Structure from motion; the placement and its largest model."""
    (folder / "images").mkdir(parents=True)
    (folder / "work").mkdir()
    for photo in photos:
        Image.new("RGB", (photo.width, photo.height)).save(folder / "images" / photo.name)
    placement = place_photos(
        photos, folder / "work", folder / "images", False, 0, "auto", lambda *args: None
    )
    return placement, pycolmap.Reconstruction(placement.folders[0])


def model_of(
    camera: pycolmap.Camera, viewmats: Sequence[np.ndarray], points: np.ndarray, noise: float = 0.3
) -> pycolmap.Reconstruction:
    """A model with the true poses, points and tracks."""
    model = pycolmap.Reconstruction()
    camera.camera_id = 1
    model.add_camera_with_trivial_rig(camera)
    tracks: dict[int, list[tuple[int, int]]] = {}
    for number, viewmat in enumerate(viewmats, start=1):
        index, where = seen(camera, viewmat, points, noise, number)
        image = pycolmap.Image(
            name=f"{number - 1:03d}.jpg", keypoints=where, camera_id=1, image_id=number
        )
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(viewmat[:3]))
        for row, point in enumerate(index):
            tracks.setdefault(int(point), []).append((number, row))
    for point, elements in tracks.items():
        if len(elements) >= 3:
            track = pycolmap.Track()
            for image_id, row in elements:
                track.add_element(image_id, row)
            model.add_point3D(points[point], track)
    model.update_point_3d_errors()
    return model
