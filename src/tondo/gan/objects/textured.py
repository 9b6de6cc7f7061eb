"""Generated objects with a texture, which is taken from renders of their own splats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.mesh import Mesh
from tondo.data.splats import Scene
from tondo.data.textured import TexturedMesh
from tondo.gan.networks.shape import GeneratorShape
from tondo.gan.objects.render import LOW_PASS
from tondo.geometry.look_at import cameras_at
from tondo.geometry.mesh import closed_faces, closed_uvs
from tondo.geometry.pose_prior import NAMED
from tondo.geometry.spherical_harmonics import SH_C0
from tondo.kernels.splats.rasterize import rasterize
from tondo.runs.watch import SILENT, Watch
from tondo.texture.bake import Picture
from tondo.texture.make import TextureFacts, texture_size, with_texture
from tondo.texture.options import TextureOptions
from tondo.texture.unwrap import padding_of

VIEWS = 24  # from all around; 48 are 0.06 dB closer to the splats (docs/notes/texture.md)
LEAST_PIXELS = 128  # a side of each view; of 256 the texture is not better (docs/notes/texture.md)


def textured(
    scene: Scene,
    mesh: Mesh,
    shape: GeneratorShape,
    options: TextureOptions,
    watch: Watch = SILENT,
    *,
    photographs: Sequence[Picture] = (),
) -> tuple[TexturedMesh, TextureFacts]:
    """The mesh of a generated object with a texture. Its UVs are the longitude and latitude of the
    sphere that the skin was: one chart, alike for all objects of a generator.

    Args:
        scene: the object's splats, and `mesh` its mesh (`gan.objects.export`).
        shape: the generator's.
        options: `size` is not "none".
        photographs: of the object, in its own frame; what they show is taken from them.
    """
    pixels = max(LEAST_PIXELS, shape.size)
    pictures = views_around(scene, pixels, shape.size)
    size = options.size
    assert size != "none"
    if size == "auto":
        size = texture_size(mesh, photographs or pictures)
    return with_texture(
        mesh,
        photographs,
        lambda: pictures,
        replace(options, size=size),
        watch,
        uvs=_uvs(mesh, shape, padding_of(size) / size),
    )


def _uvs(mesh: Mesh, shape: GeneratorShape, margin: float) -> Tensor:
    """[F, 3, 2] of a mesh of `mesh_of`."""
    finer = math.isqrt((len(mesh.vertices) - 2) // (shape.rows * shape.columns))
    uvs = closed_uvs(finer * shape.rows, finer * shape.columns, margin)
    if torch.equal(mesh.faces[0], closed_faces(2, shape.columns * finer)[0]):
        return uvs
    uvs = uvs.flip(1)  # the skin was inside out
    return torch.stack([1 - uvs[..., 0], uvs[..., 1]], dim=-1)


@torch.no_grad()
def views_around(scene: Scene, size: int, trained_on: int, count: int = VIEWS) -> list[Picture]:
    """Pictures of an object within about the unit sphere, [size, size], evenly from all around.

    Colours are the splats' own, without the light that some generators add: that moves with the
    camera.
    """
    sphere = NAMED["sphere"][0]
    viewmats, Ks = cameras_at(_directions(count), sphere.fov, sphere.distance, size)
    splats = scene.splats
    images, alphas, _ = rasterize(
        splats.means,
        splats.quats,
        splats.log_scales.exp(),
        splats.opacity_logits.sigmoid(),
        (splats.sh[:, 0] * SH_C0 + 0.5).clamp(0, 1),
        viewmats,
        Ks,
        size,
        size,
        eps2d=LOW_PASS * max(1.0, size / trained_on) ** 2,
    )
    # without what shines through at the outline and through fins
    images = images / alphas.clamp_min(1e-6)
    images = (images.clamp(0, 1) * 255).round().to(torch.uint8)
    return [
        Picture(Camera(viewmats[k], Ks[k], size, size), images[k], alphas[k, ..., 0])
        for k in range(count)
    ]


def _directions(count: int) -> Tensor:
    """[count, 3] azimuth, elevation, roll in radians: evenly over the sphere (a golden spiral)."""
    k = torch.arange(count)
    elevation = torch.asin(1 - (2 * k + 1) / count)
    azimuth = math.pi * (1 + math.sqrt(5)) * k
    return torch.stack([azimuth, elevation, torch.zeros(count)], dim=1)
