"""The photograph that a model was lifted from, as what the model's texture is taken from."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.mesh import Mesh
from tondo.gan.inversion.lift import Lifted
from tondo.gan.inversion.target import WORKED_SIDE, read_target
from tondo.geometry.cameras import camera_position, scaled
from tondo.io.images import image_size
from tondo.mesh.render import surface_samples
from tondo.texture.bake import OPAQUE, Picture

FACING = 0.35  # cosine; what the photograph shows flatter is streaks: renders are better; chosen


def pictures_of(lifted: Lifted, photo: Path) -> list[Picture]:
    """The photograph, sharper than it was compared, where it shows the model well; none of a
    generator that adds light to the colours of its models: the photograph has it, they have not.

    Raises:
        InputError: the photo cannot be read.
    """
    shape = lifted.generator.shape
    if shape.light != "none":
        return []
    side = max(lifted.target.image.shape[0], min(WORKED_SIDE, max(image_size(photo))))
    target = read_target(photo, side, scenery=shape.background == "scene")
    compared = lifted.target.image.shape[0]
    camera = scaled(Camera(lifted.viewmat, lifted.K, compared, compared), side, side)
    coverage = _facing(lifted.model.mesh, camera)
    if target.mask is not None:
        whole = -F.max_pool2d(-target.mask[None, None], 3, 1, 1)[0, 0] > OPAQUE
        coverage = coverage * whole
    return [Picture(camera, (target.image * 255).round().to(torch.uint8), coverage)]


def _facing(mesh: Mesh, camera: Camera) -> Tensor:
    """[H, W] 1 where the mesh faces the camera by `FACING` or more, else 0."""
    found = surface_samples(mesh, camera, 1)
    face, weights = found.face[..., 0].clamp_min(0), found.weights[..., 0, :]
    a, b, c = mesh.vertices[mesh.faces].unbind(1)
    normals = F.normalize(torch.linalg.cross(b - a, c - a), dim=1, eps=1e-30)[face]
    points = (mesh.vertices[mesh.faces[face]] * weights[..., None]).sum(dim=-2)
    towards = F.normalize(camera_position(camera) - points, dim=-1)
    return ((found.face[..., 0] >= 0) & ((normals * towards).sum(dim=-1) > FACING)).float()
