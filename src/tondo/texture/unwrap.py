"""Where in a square picture each face of a mesh has its place, by uvunwrap."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
import uvunwrap
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.errors import OptionError
from tondo.mesh.manifold import parted_corners
from tondo.runs.watch import SILENT, Watch

LONGEST = 300.0  # seconds; a million faces take some 20 (docs/notes/texture.md)
_POLL = 0.02  # seconds; chosen
# Empty texels around each chart, of a picture of so many: two charts stay apart in the mipmap that
# is 16 times smaller, and a small picture is not all gutter.
_PADDING_OF, _LEAST_PADDING = 256, 2
_FAST_ABOVE = 150_000  # faces; packing by shape takes longer than all the rest there
# Degrees by which the faces of a chart may look away from its middle. With the library's 70 `chair`
# has a quarter more charts, and with them seams, for a stretch of 1.001 instead of 1.003.
_CHART_ANGLE = 88.0


@dataclass(frozen=True)
class Unwrapped:
    """Where faces are in a square picture.

    Attributes:
        uvs: [F, 3, 2] float32, as `TexturedMesh.uvs`.
        charts: number of connected pieces.
        use: share of the square that they fill.
    """

    uvs: Tensor
    charts: int
    use: float


def padding_of(size: int) -> int:
    """Empty texels around each chart of a picture of `size` x `size` texels."""
    return max(_LEAST_PADDING, size // _PADDING_OF)


def unwrap(mesh: Mesh, size: int, watch: Watch = SILENT) -> Unwrapped:
    """Cut a mesh into charts and lay these out in a square of `size` x `size` texels.

    No two faces overlap and none is mirrored. Edges of more than two faces become seams.

    Raises:
        ValueError: the mesh has no faces.
        OptionError: it cannot be unwrapped, or not in five minutes.
    """
    if not len(mesh.faces):
        raise ValueError("a mesh without faces cannot be unwrapped")
    parts = parted_corners(mesh.faces.numpy())
    vertices = mesh.vertices.numpy()
    points = np.empty((int(parts.max()) + 1, 3), np.float32)
    points[parts.ravel()] = vertices[mesh.faces.numpy().ravel()]
    job = uvunwrap.start(
        [uvunwrap.Mesh(points, parts.astype(np.uint32))],
        page_size=size,
        padding=padding_of(size),
        max_chart_angle=_CHART_ANGLE,
        packing="shape" if len(mesh.faces) <= _FAST_ABOVE else "fast",
    )
    _wait(job, len(mesh.faces), watch)
    try:
        atlas = job.result()
    except uvunwrap.UnwrapError as error:
        raise OptionError(
            f"the mesh of {len(mesh.faces):,} faces cannot be unwrapped ({error}): "
            "choose other `faces`"
        ) from error
    uvs = np.array(atlas.meshes[0].corner_uvs, np.float32).reshape(-1, 3, 2)
    uvs[..., 1] = 1 - uvs[..., 1]  # its v runs upwards; as glTF's it would mirror the picture
    return Unwrapped(torch.from_numpy(uvs), atlas.chart_count, atlas.utilization)


def _wait(job: uvunwrap.Job, faces: int, watch: Watch) -> None:
    """Until it is done. Ctrl-C and too long a time end it."""
    began = time.monotonic()
    try:
        while not job.done:
            progress = job.progress
            if progress is not None and progress.total:
                watch.stage(f"unwrapping: {progress.stage}", progress.done, progress.total)
            if time.monotonic() - began > LONGEST:
                raise OptionError(
                    f"unwrapping {faces:,} faces takes longer than {LONGEST:.0f} s: choose fewer "
                    "`faces`"
                )
            time.sleep(_POLL)
    except BaseException:
        job.cancel()
        raise
