"""Photographs of an object made by code in the Blender (NeRF-synthetic) layout, and its truth."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skimage.measure import marching_cubes
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.mesh import Mesh
from tondo.demo.grid import DistanceGrid, build_grid
from tondo.demo.solid import RADIUS, Solid
from tondo.demo.surface import LANTERN
from tondo.demo.tracer import Shot, shoot
from tondo.errors import OptionError
from tondo.geometry.look_at import look_at
from tondo.io.atomic import write_json
from tondo.io.images import write_png
from tondo.io.models.mesh_files import write_mesh
from tondo.io.threads import in_threads
from tondo.kernels.threads import torch_threads

FIELD_OF_VIEW = 0.62  # radians, across; chosen
DISTANCE = 3.6  # of cameras from the origin, world units; chosen, not measured
UP = (0.0, 0.0, 1.0)  # z, the object's frame
# Radians: successive azimuths lie evenly (Vogel 1979).
GOLDEN_ANGLE = math.pi * (3.0 - math.sqrt(5.0))

Progress = Callable[[int, int], None]


def photograph_object(
    out: Path,
    *,
    solid: Solid = LANTERN,
    count: int = 40,
    test_count: int = 8,
    size: int = 320,
    samples: int = 2,
    grid_resolution: int = 320,
    progress: Progress | None = None,
) -> None:
    """Photograph an object from all around and write what a scan would know.

    Writes `out`/train/*.png and `out`/test/*.png (RGBA, straight alpha),
    `out`/transforms_train.json and `out`/transforms_test.json, and `out`/truth.ply: the mesh of
    the surface that at least one photograph shows, in the photographs' world.

    Args:
        solid: what is photographed: the demonstration object, or another.
        count, test_count: photographs to train on and to hold out.
        size: width of a photograph in pixels; the height is the same.
        samples: rays along each side of a pixel.
        grid_resolution: corners along each side of the grid of distances.
        progress: called with (photographs done, photographs in all).

    Raises:
        OptionError: a count or size below 1.
        OutputError: `out` cannot be written.
    """
    if min(count, test_count, size, samples) < 1 or grid_resolution < 32:
        raise OptionError("counts, size and samples must be at least 1, the grid at least 32")
    cameras = [(f"train/r_{i:03d}", c) for i, c in enumerate(hemisphere(count, size))]
    cameras += [(f"test/r_{i:03d}", c) for i, c in enumerate(hemisphere(test_count, size, 0.37))]
    # Whole pictures are shared out among threads: sharing out each small step costs more.
    with torch_threads(1):
        grid = build_grid(grid_resolution, solid=solid)

        def shot(camera: Camera) -> Shot:
            return shoot(camera, grid, samples, solid)

        depths = _take(out, cameras, shot, progress)
        seen_by = [camera for _, camera in cameras[:count]]
        truth = truth_mesh(grid, seen_by, depths[:count])
    for split in ("train", "test"):
        chosen = [(name, camera) for name, camera in cameras if name.startswith(split)]
        write_json(out / f"transforms_{split}.json", blender_transforms(chosen))
    write_mesh(out / "truth.ply", truth, torch.tensor(UP), frame="world")


def _take(
    out: Path,
    cameras: list[tuple[str, Camera]],
    shot_by: Callable[[Camera], Shot],
    progress: Progress | None,
) -> list[Tensor]:
    """Write the photographs, several at a time; returns their depths [H, W]."""

    def take(named: tuple[str, Camera]) -> Tensor:
        shot = shot_by(named[1])
        write_png(out / f"{named[0]}.png", torch.cat((shot.color, shot.alpha[..., None]), -1))
        return shot.depth

    depths = []
    for depth in in_threads(take, cameras):
        depths.append(depth)
        if progress is not None:
            progress(len(depths), len(cameras))
    return depths


def hemisphere(count: int, size: int, phase: float = 0.0) -> list[Camera]:
    """Cameras spread evenly over a hemisphere by the golden angle, all looking at the middle.

    They stand between 1 and 72 degrees above the horizon; `phase` (0..1) gives another set.
    """
    low, high = math.sin(math.radians(1.0)), math.sin(math.radians(72.0))
    cameras = []
    for i in range(count):
        elevation = math.asin(low + (high - low) * ((i + 0.5) / count))
        around = (i + phase) * GOLDEN_ANGLE + 2.0 * math.pi * phase
        away = DISTANCE * (1.0 + 0.06 * math.sin(5.0 * around))
        flat = math.cos(elevation)
        toward = (flat * math.cos(around), flat * math.sin(around), math.sin(elevation))
        position = torch.tensor(toward, dtype=torch.float64) * away
        cameras.append(_looking_at_middle(position, size))
    return cameras


def _looking_at_middle(position: Tensor, size: int) -> Camera:
    focal = 0.5 * size / math.tan(0.5 * FIELD_OF_VIEW)
    K = torch.tensor([[focal, 0.0, size / 2], [0.0, focal, size / 2], [0.0, 0.0, 1.0]])
    return Camera(look_at(position, torch.zeros(3), torch.tensor(UP)), K, size, size)


def blender_transforms(cameras: list[tuple[str, Camera]]) -> dict[str, Any]:
    """The contents of a transforms.json: camera-to-world with OpenGL axes (y up, z backward)."""
    frames = []
    for name, camera in cameras:
        world_from_camera = torch.linalg.inv(camera.viewmat.double())
        world_from_camera[:, 1:3] *= -1.0
        frames.append({"file_path": f"./{name}", "transform_matrix": world_from_camera.tolist()})
    return {"camera_angle_x": FIELD_OF_VIEW, "frames": frames}


def truth_mesh(grid: DistanceGrid, cameras: list[Camera], depths: list[Tensor]) -> Mesh:
    """The surface as triangles, those that at least one of the cameras sees.

    Args:
        depths: [H, W] each, what the cameras measured; infinite where nothing is.
    """
    mesh = whole_mesh(grid)
    seen = torch.zeros(len(mesh.vertices), dtype=torch.bool)
    for camera, depth in zip(cameras, depths, strict=True):
        seen |= _visible(mesh.vertices, camera, depth)
    kept = mesh.faces[seen[mesh.faces].all(1)]
    used, renumbered = torch.unique(kept, return_inverse=True)
    return Mesh(mesh.vertices[used], renumbered.view(-1, 3))


def whole_mesh(grid: DistanceGrid) -> Mesh:
    """All of the surface as triangles, closed."""
    values = grid.values.numpy()
    close = np.abs(values) < 4.0 * grid.cell
    corners, faces, _, _ = marching_cubes(values, 0.0, spacing=(grid.cell,) * 3, mask=close)
    vertices = torch.from_numpy(corners.astype(np.float32) - RADIUS)
    return Mesh(vertices, torch.from_numpy(faces.astype(np.int64)))


def _visible(vertices: Tensor, camera: Camera, depth: Tensor) -> Tensor:
    """[V] bool, within the picture and not behind what the camera measured there."""
    local = vertices @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    pixel = (local @ camera.K.T)[:, :2] / local[:, 2:]
    u, v = pixel.floor().long().unbind(-1)
    inside = (u >= 0) & (v >= 0) & (u < camera.width) & (v < camera.height)
    flat = (v * camera.width + u).clamp(0, depth.numel() - 1)
    # A pixel covers a patch of the surface: allow for its slope within the patch.
    slack = 2.0 * DISTANCE / float(camera.K[0, 0])
    return inside & (local[:, 2] > 0) & (local[:, 2] < depth.view(-1)[flat] + slack)
