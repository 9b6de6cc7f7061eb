"""Pictures of varied meshes with known cameras: a training set for a generator, made by code.

The light is fixed in the world and does not depend on the camera, as if it were painted on, so that
pictures of one thing from several sides agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tondo.demo.mesh_variation import (
    ColoredMesh,
    Variation,
    read_colored_mesh,
    vary,
)
from tondo.errors import InputError, OptionError, OutputError
from tondo.geometry.pose_prior import PosePrior, draw_cameras
from tondo.io.atomic import write_json
from tondo.io.images import write_png

# Degrees; chosen, not measured.
POSES = PosePrior(azimuth=(-180.0, 180.0), elevation=(-30.0, 60.0), fov=20.0)
VARIATION = Variation()
# The sun, above and a little in front, so that left and right are lit alike; and how much of the
# light comes from it, from the sky, and from everywhere.
SUN = np.array([0.0, 1.0, 0.3]) / np.linalg.norm([0.0, 1.0, 0.3])
SUNLIGHT, SKYLIGHT, AMBIENT = 0.30, 0.30, 0.60  # chosen by eye

Progress = Callable[[int, int], None]


def photograph_meshes(
    meshes: Sequence[Path],
    out: Path,
    *,
    count: int,
    size: int,
    seed: int = 0,
    views: int = 1,
    variation: Variation = VARIATION,
    progress: Progress | None = None,
) -> None:
    """Write `count` RGBA pictures `out`/images/*.png and their cameras `out`/transforms.json.

    The meshes are taken in turn, each time with other colours and proportions, drawn from `seed`
    and the thing's number: the same arguments give the same pictures. Cameras are drawn from
    `POSES`: all round, -30 to 60 degrees above the horizon, 20 degrees of view, the whole thing in
    the picture. The file is of Blender's layout: world with +z up (x, -z, y of the generator's
    space), so that a fish swims along -y.

    Args:
        meshes: GLB files.
        size: pixels a side, 8 to 2048.
        views: pictures of each varied thing; frames of one have the same "object" number.
        progress: called with (pictures done, pictures in all).

    Raises:
        InputError: no meshes, or one that cannot be read.
        OptionError: a number out of range.
        OutputError: `out` holds pictures with cameras already, or cannot be written.
    """
    if count < 1 or views < 1 or not 8 <= size <= 2048:
        raise OptionError(
            f"count and views must be at least 1 and the size within 8..2048, got {count}, "
            f"{views} and {size}"
        )
    if not meshes:
        raise InputError("there are no meshes to photograph: expected .glb files")
    if (out / "transforms.json").exists():
        raise OutputError(f"{out} holds pictures with cameras already: choose another folder")
    originals = [read_colored_mesh(path) for path in meshes]
    cameras = draw_cameras((POSES,), count, size, torch.Generator().manual_seed(seed))
    frames, digits = [], len(str(count - 1))
    for index in range(count):
        thing = index // views
        if index % views == 0:
            original = originals[thing % len(originals)]
            varied = vary(original, variation, np.random.default_rng([seed, thing]))
            colors = lit_colors(varied)
        name = f"images/{index:0{digits}d}.png"
        viewmat = cameras.viewmats[index]
        picture = draw(varied.vertices[varied.faces], colors, viewmat, cameras.Ks[index], size)
        write_png(out / name, torch.from_numpy(picture))
        frames.append(_frame(name, viewmat, thing))
        if progress is not None:
            progress(index + 1, count)
    angle = math.radians(POSES.fov)
    write_json(
        out / "transforms.json", {"camera_angle_x": angle, "w": size, "h": size, "frames": frames}
    )


def lit_colors(mesh: ColoredMesh) -> np.ndarray:
    """[F, 3, 3] sRGB 0..1 at each corner: the material's colour under sun, sky and ambient light.

    Plain products of sRGB values, soft rather than physical.
    """
    normals = mesh.normals
    light = AMBIENT + SKYLIGHT * (0.5 + 0.5 * normals[:, 1])
    light += SUNLIGHT * np.maximum(0.0, normals @ SUN)
    return (mesh.palette[mesh.materials][:, None] * light[mesh.faces][..., None]).clip(0, 1)


def draw(
    corners: np.ndarray,
    colors: np.ndarray,
    viewmat: Tensor,
    K: Tensor,
    size: int,
    samples: int = 4,
) -> np.ndarray:
    """A picture of triangles, both of their sides, through a depth buffer.

    Args:
        corners: [F, 3, 3] positions. colors: [F, 3, 3] sRGB 0..1 at the corners.
        viewmat: [4, 4] world-to-camera, OpenCV axes; every corner must lie before the camera.
        K: [3, 3] pixels. size: pixels a side.
        samples: along each side of a pixel; their mean is the pixel.

    Returns:
        [size, size, 4] uint8 sRGB with straight alpha (0 0 0 0 where nothing is).

    Raises:
        ValueError: a corner is level with the camera or behind it.
    """
    view = viewmat.double().numpy()
    local = corners @ view[:3, :3].T + view[:3, 3]
    if not local[..., 2].min() > 1e-6:
        raise ValueError("a triangle reaches behind the camera")
    scaled = (K.double().numpy() * [[samples], [samples], [1]])[:2]
    side = size * samples
    inverse = 1.0 / local[..., 2]
    screen = (local @ scaled.T) * inverse[..., None]
    planes = _planes(screen, inverse)
    face, pixel, weights = _nearest(screen, planes, side)
    shares = weights / weights.sum(1, keepdims=True)
    canvas = np.zeros((side * side, 4))
    canvas[pixel, :3] = np.einsum("pc,pcd->pd", shares, colors[face])
    canvas[pixel, 3] = 1.0
    blocks = canvas.reshape(size, samples, size, samples, 4).mean(axis=(1, 3))
    alpha = blocks[..., 3:]
    straight = blocks[..., :3] / np.maximum(alpha, 1e-9)
    return (np.concatenate([straight, alpha], axis=2) * 255).round().astype(np.uint8)


def _planes(screen: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """[F, 3, 3] (corner; x, y, 1): each corner's share of a place on the screen, times 1 / depth.

    A share is affine on the screen, and so is 1 / depth, the sum of the three. Triangles seen
    edge-on get planes that are nowhere positive.
    """
    following, last = np.roll(screen, -1, axis=1), np.roll(screen, -2, axis=1)
    a = following[..., 1] - last[..., 1]
    b = last[..., 0] - following[..., 0]
    c = following[..., 0] * last[..., 1] - last[..., 0] * following[..., 1]
    doubled = c.sum(axis=1)  # twice the area, with a sign
    flat = np.abs(doubled) < 1e-9
    planes = np.stack([a, b, c], axis=2) / np.where(flat, 1.0, doubled)[:, None, None]
    planes *= inverse[..., None]
    planes[flat] = [0.0, 0.0, -1.0]
    return planes


def _nearest(
    screen: np.ndarray, planes: np.ndarray, side: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each covered pixel once: its face [P], its index [P], and the corners' weights [P, 3]."""
    low = np.ceil(screen.min(axis=1) - 0.5).clip(0, side).astype(np.int64)
    high = np.floor(screen.max(axis=1) - 0.5).clip(-1, side - 1).astype(np.int64)
    extent = (high - low + 1).clip(0)
    counts = extent[:, 0] * extent[:, 1]
    face = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(face)) - np.repeat(np.cumsum(counts) - counts, counts)
    row, column = np.divmod(within, extent[face, 0])
    x, y = low[face, 0] + column, low[face, 1] + row
    plane = planes[face]
    weights = plane[..., 0] * (x + 0.5)[:, None] + plane[..., 1] * (y + 0.5)[:, None]
    weights += plane[..., 2]
    inside = weights.min(axis=1) >= 0
    face, pixel, weights = face[inside], (y * side + x)[inside], weights[inside]
    closeness = weights.sum(axis=1)  # 1 / depth
    order = np.lexsort((face, -closeness, pixel))
    first = order[np.diff(pixel[order], prepend=-1) != 0]
    return face[first], pixel[first], weights[first]


def _frame(name: str, viewmat: Tensor, thing: int) -> dict[str, Any]:
    """Camera-to-world with OpenGL axes, in a world with +z up."""
    world = torch.linalg.inv(viewmat.double())
    world[:, 1:3] *= -1.0
    z_up = torch.tensor([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]).double()
    return {"file_path": name, "transform_matrix": (z_up @ world).tolist(), "object": thing}
