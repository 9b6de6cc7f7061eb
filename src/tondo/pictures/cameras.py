"""Known cameras of a picture collection, brought into the object's own space."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray

from tondo.errors import InputError
from tondo.geometry.up import settled_up
from tondo.io.collections.picture_files import PictureSource, copy_transforms
from tondo.io.models.mesh_files import format_from_world
from tondo.io.posed.frames import pinhole_camera
from tondo.io.posed.intrinsics import lens_of
from tondo.io.posed.transforms_json import ListedFrame, read_transforms
from tondo.io.posed.undistort import Lens, rescaled
from tondo.pictures.crop import Box, Square

# The unit sphere and a hair around it fill a picture, as with the cameras that priors draw.
ROOM = 1.005
# An object whose pictures show much beside it is enlarged to fill them.
_SMALL = 0.9  # chosen
_Z_UP = torch.tensor([0.0, 0.0, 1.0])  # up of transforms.json, as nerfstudio writes it
# Least eigenvalue of the mean of I - v v^T, about 0.6 degrees; chosen, not measured.
_PARALLEL = 1e-4


@dataclass(frozen=True)
class KnownCamera:
    """A picture's lens, and its pose in the file's world: world-to-camera [4, 4]."""

    lens: Lens
    viewmat: NDArray[np.float64]


@dataclass(frozen=True)
class ObjectSpace:
    """Where the object is in the file's world.

    Attributes:
        centre, radius: it is within `radius` of `centre` [3].
        turn: [3, 3] from the file's world to one with +y up.
        note: what is to be said of up, "" where it is +z, as a transforms.json should have it.
    """

    centre: NDArray[np.float64]
    radius: float
    turn: NDArray[np.float64]
    note: str = ""


def listed_cameras(source: PictureSource) -> dict[str, ListedFrame]:
    """The frames of the source's transforms.json, by the picture's name without its ending.

    Raises:
        InputError: the file cannot be used.
    """
    if source.transforms is None:
        return {}
    prefix = PurePosixPath(source.transforms).parent
    with tempfile.TemporaryDirectory() as temporary:
        found = read_transforms(copy_transforms(source, Path(temporary)))
    return {str((prefix / frame.name).with_suffix("")): frame for frame in found.frames} | {
        (prefix / frame.name).as_posix(): frame for frame in found.frames
    }


def camera_of(frame: ListedFrame, width: int, height: int) -> KnownCamera:
    """The camera of a picture of that size; the file may give that of the same picture, scaled.

    Raises:
        InputError: intrinsics are missing, cannot be, or belong to a picture of another shape.
    """
    lens = lens_of(frame.intrinsics, (width, height), frame.name)
    if (lens.width, lens.height) != (width, height):
        ratio = max(width, height) / max(lens.width, lens.height)
        if max(abs(lens.width * ratio - width), abs(lens.height * ratio - height)) > 1:
            raise InputError(
                f"its intrinsics are for {lens.width}x{lens.height}, it is {width}x{height}"
            )
        lens = rescaled(lens, width, height)
    return KnownCamera(lens, frame.viewmat)


def find_object_space(
    cameras: Sequence[KnownCamera], boxes: Sequence[Box | None] | None
) -> ObjectSpace:
    """The sphere that the cameras look at.

    Its centre is the point nearest to all lines of sight (least squares); its radius that of the
    sphere which just fills the median picture or, where `boxes` say that the object is smaller, of
    the object.

    Raises:
        InputError: the lines of sight are parallel, so that they meet nowhere.
    """
    viewmats = np.stack([camera.viewmat for camera in cameras])
    places = -np.einsum("nji,nj->ni", viewmats[:, :3, :3], viewmats[:, :3, 3])
    views = viewmats[:, 2, :3]
    across = np.eye(3) - views[:, :, None] * views[:, None, :]
    normal = across.mean(axis=0)
    if np.linalg.eigvalsh(normal)[0] < _PARALLEL:
        raise InputError(
            "the cameras of transforms.json all look the same way, so that nobody can tell where "
            "the object is: move transforms.json away and choose a prior with `poses`"
        )
    centre = np.linalg.solve(normal, np.einsum("nij,nj->i", across, places) / len(places))
    reach, found = [], []
    for index, camera in enumerate(cameras):
        x, y, depth, focal = _seen(camera, centre)
        if depth <= 0:
            continue
        distance = float(np.linalg.norm(camera.viewmat[:3, :3] @ centre + camera.viewmat[:3, 3]))
        width, height = camera.lens.width, camera.lens.height
        border = min(x, y, width - x, height - y)
        if border > 0:
            reach.append(distance * math.sin(math.atan(border / focal)) / ROOM)
        box = None if boxes is None else boxes[index]
        if box is not None:
            extent = max(abs(box[0] - x), abs(box[2] - x), abs(box[1] - y), abs(box[3] - y))
            found.append(distance * math.sin(math.atan(extent / focal)))
    if not reach:
        raise InputError(
            "the cameras of transforms.json do not look at one thing: no picture shows the place "
            "where their lines of sight meet"
        )
    radius = float(np.median(reach))
    if found and (largest := float(np.percentile(found, 99)) * 1.02) < _SMALL * radius:
        radius = largest
    up, note = settled_up(torch.from_numpy(viewmats), _Z_UP)
    turn = format_from_world(up, "y")
    if abs(radius - 1) < 0.01 and np.linalg.norm(centre) < 0.01:  # made for a generator: keep them
        centre, radius = np.zeros(3), 1.0
    return ObjectSpace(centre, radius, turn, note or "")


def square_of(camera: KnownCamera, space: ObjectSpace) -> Square | None:
    """The square around the sphere in the picture, or None where the camera does not look at it."""
    x, y, depth, focal = _seen(camera, space.centre)
    width, height = camera.lens.width, camera.lens.height
    local = camera.viewmat[:3, :3] @ space.centre + camera.viewmat[:3, 3]
    share = ROOM * space.radius / float(np.linalg.norm(local))
    if depth <= 0 or share >= 0.95 or not (0 < x < width and 0 < y < height):
        return None
    side = 2 * focal * math.tan(math.asin(share))
    square = Square(x - side / 2, y - side / 2, side)
    off = max(abs(square.x), abs(square.y), abs(side - width))
    return Square(0.0, 0.0, float(width)) if width == height and off < 0.03 * width else square


def in_object_space(
    camera: KnownCamera, space: ObjectSpace, square: Square, size: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(viewmat [4, 4], K [3, 3]) of the square at `size` pixels: +y up, the object in the unit
    sphere about the origin."""
    pinhole = pinhole_camera(camera.lens, camera.viewmat)
    rotation = camera.viewmat[:3, :3] @ space.turn.T
    moved = camera.viewmat[:3, :3] @ space.centre + camera.viewmat[:3, 3]
    viewmat = np.eye(4, dtype=np.float32)
    viewmat[:3, :3], viewmat[:3, 3] = rotation, moved / space.radius
    K = pinhole.K.numpy().astype(np.float64)
    K[0, 2] -= square.x
    K[1, 2] -= square.y
    K[:2] *= size / square.side
    return viewmat, K.astype(np.float32)


def _seen(camera: KnownCamera, point: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Where the pinhole camera shows a point (x, y in pixels), its depth, the focal length."""
    K = pinhole_camera(camera.lens, camera.viewmat).K.numpy().astype(np.float64)
    local = camera.viewmat[:3, :3] @ point + camera.viewmat[:3, 3]
    focal = float(K[0, 0])
    if local[2] <= 0:
        return 0.0, 0.0, 0.0, focal
    x, y, _ = K @ local / local[2]
    return float(x), float(y), float(local[2]), focal
