"""A mesh and pictures of it in; the mesh with one texture out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.data.records import summary
from tondo.data.textured import Texture, TexturedMesh
from tondo.geometry.cameras import camera_position
from tondo.geometry.mesh import vertex_normals
from tondo.runs.watch import SILENT, Watch
from tondo.texture.bake import Baked, Picture, Surface, bake, well_seen
from tondo.texture.fill import filled_from_nearest, levelled, picture_of
from tondo.texture.fit import fitted
from tondo.texture.normal_map import normal_map
from tondo.texture.occlusion import ambient_occlusion
from tondo.texture.options import TextureOptions
from tondo.texture.texels import Texels, texels_of
from tondo.texture.unwrap import Unwrapped, padding_of, unwrap

LEAST_AUTO, MOST_AUTO = 256, 4096  # texels along a side; chosen
_USE = 0.6  # share of the square that charts fill, about
BETWEEN, PHOTOGRAPHED, RENDERED, NEAREST = 0, 1, 2, 3  # what texels are (`TextureFacts.origin`)
_SOUGHT = 1000  # faces that the texels' number is judged by; chosen


@dataclass(frozen=True)
class TextureFacts:
    """How a texture came to be.

    Attributes:
        size: texels along each side. charts: pieces that the mesh was cut into; 0 of its own uvs.
        use: share of the square that they fill.
        photographed: share of the texels on the mesh whose colour is of photographs.
        rendered: of renders of the scene. The rest has colours of vertices, or of the nearest
            point.
        fitted: by how much fitting it, and the mesh, to the photographs brought it closer to others
            that had no part in it: share of the loss; 0 where it did not, and nothing changed.
        origin: [S, S] uint8, which each texel is: `BETWEEN` charts, `PHOTOGRAPHED`, `RENDERED` or
            `NEAREST`.
    """

    size: int
    charts: int
    use: float
    photographed: float
    rendered: float
    fitted: float
    origin: Tensor

    def __repr__(self) -> str:
        shares = f"{self.photographed:.0%} photographed", f"{self.rendered:.0%} rendered"
        return summary(self, f"{self.size}x{self.size}", f"{self.charts} charts", *shares)


def with_texture(
    mesh: Mesh,
    photographs: Sequence[Picture],
    renders: Callable[[], Sequence[Picture]],
    options: TextureOptions,
    watch: Watch = SILENT,
    *,
    uvs: Tensor | None = None,
    dense: Mesh | None = None,
) -> tuple[TexturedMesh, TextureFacts]:
    """The mesh with a texture from photographs; what none of them shows from renders; what these do
    not show either has the colours of the mesh's vertices, or of the nearest point where it has
    none.

    Args:
        renders: makes the renders, where they are needed.
        options: `size` is not "none".
        uvs: [F, 3, 2] of the mesh's own; None: it is unwrapped.
        dense: what the normal map and ambient occlusion are baked from, in the mesh's frame; None:
            the mesh itself.

    Raises:
        ValueError: the mesh has no faces. OptionError: it cannot be unwrapped.
    """
    assert options.size != "none"
    size = options.size
    if size == "auto":
        size = texture_size(mesh, photographs or renders())
    found = Unwrapped(uvs, 0, 0.0) if uvs is not None else unwrap(mesh, size, watch)
    texels = texels_of(found.uvs, size)
    surface = surface_of(mesh, texels)
    colors, photographed, known = _colors(surface, texels, photographs, renders, watch)
    padding = padding_of(size)
    gain = 0.0
    if photographs:
        image = picture_of(texels, colors, mesh, found.uvs, padding)
        moving = uvs is None and options.fit == "surface"
        after = fitted(image, mesh, found.uvs, photographs, watch, moving=moving)
        gain = 1 - after.after / after.before if after.before > 0 else 0.0
        mesh, colors = after.mesh, after.image.view(-1, 3)[texels.index]
    image = picture_of(texels, levelled(texels, colors, mesh), mesh, found.uvs, padding)
    share = float(photographed.float().mean()) if photographs else 0.0
    facts = TextureFacts(
        size,
        found.charts,
        len(texels.index) / size**2,
        share,
        float(known.float().mean()) - share,
        gain,
        _origin(texels, photographed & bool(photographs), known),
    )
    color = (image * 255).round().clamp(0, 255).to(torch.uint8)
    mesh = replace(mesh, colors=None)
    normals, occlusion = _maps(mesh, found.uvs, texels, dense or mesh, options, watch)
    return TexturedMesh(mesh, found.uvs, Texture(color, normals, occlusion)), facts


def _origin(texels: Texels, photographed: Tensor, known: Tensor) -> Tensor:
    origin = torch.full((texels.size**2,), BETWEEN, dtype=torch.uint8)
    rest = torch.where(known, RENDERED, NEAREST)
    origin[texels.index] = torch.where(photographed, PHOTOGRAPHED, rest).to(torch.uint8)
    return origin.view(texels.size, texels.size)


def _maps(
    mesh: Mesh, uvs: Tensor, texels: Texels, dense: Mesh, options: TextureOptions, watch: Watch
) -> tuple[Tensor | None, Tensor | None]:
    """The normal map and the ambient occlusion that are asked for."""
    normals = occlusion = None
    if options.normal_map:
        watch.stage("baking the normal map", 0, 1)
        normals = normal_map(mesh, uvs, texels, dense, padding_of(texels.size))
    if options.ao:
        occlusion = ambient_occlusion(mesh, uvs, texels.size, dense, watch)
    return normals, occlusion


def _colors(
    surface: Surface,
    texels: Texels,
    photographs: Sequence[Picture],
    renders: Callable[[], Sequence[Picture]],
    watch: Watch,
) -> tuple[Tensor, Tensor, Tensor]:
    """[T, 3] colours of the texels; [T] bool: they are those of photographs, or of renders where
    there are none; [T] bool: of either."""
    if photographs:
        baked = bake(surface, photographs, watch)
    else:  # renders agree with each other: nothing is to be left out
        baked = bake(surface, renders(), watch, tolerance=None)
    shown, known = baked.weights > 0, baked.weights > 0
    colors, well = baked.colors, well_seen(baked.weights)
    if photographs and not bool(well.all()):
        rest = (~well).nonzero()[:, 0]
        more = _baked_rest(surface, rest, renders(), watch)
        better = well_seen(more.weights) | ((more.weights > 0) & ~known[rest])
        colors[rest[better]] = more.colors[better]
        known[rest[better]] = True
        shown[rest[better]] = False
    mesh = surface.mesh
    if mesh.colors is None:
        return filled_from_nearest(surface.points, colors, known), shown, known
    own = texels.interpolated(mesh.colors.float() / 255, mesh.faces)
    return torch.where(known[:, None], colors, own), shown, known


def surface_of(mesh: Mesh, texels: Texels) -> Surface:
    """Where texels are in space."""
    normals = vertex_normals(mesh.vertices, mesh.faces) if mesh.normals is None else mesh.normals
    points = texels.interpolated(mesh.vertices, mesh.faces)
    at = torch.nn.functional.normalize(texels.interpolated(normals, mesh.faces), dim=1)
    return Surface(mesh, texels.face, points, at)


def _baked_rest(surface: Surface, rest: Tensor, renders: Sequence[Picture], watch: Watch) -> Baked:
    part = Surface(surface.mesh, surface.face[rest], surface.points[rest], surface.normals[rest])
    return bake(part, renders, watch, tolerance=None)


def texture_size(mesh: Mesh, pictures: Sequence[Picture]) -> int:
    """The least power of two whose texels are no larger than the pixels of the pictures that see
    the surface best, in the middle of some of its faces."""
    a, b, c = mesh.vertices[mesh.faces].unbind(1)
    cross = torch.linalg.cross(b - a, c - a)
    area = 0.5 * cross.norm(dim=1)
    chosen = torch.linspace(0, len(area) - 1, min(len(area), _SOUGHT)).long()
    middle = ((a + b + c) / 3)[chosen]
    normal = torch.nn.functional.normalize(cross[chosen], dim=1)
    best = torch.zeros(len(middle))
    for picture in pictures:
        camera = picture.camera
        local = middle @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
        pixels = (local @ camera.K.T)[:, :2] / local[:, 2:]
        size = torch.tensor([camera.width, camera.height])
        inside = (local[:, 2] > 0) & (pixels >= 0).all(dim=1) & (pixels < size).all(dim=1)
        towards = torch.nn.functional.normalize(camera_position(camera) - middle, dim=1)
        facing = (towards * normal).sum(dim=1) > 0.5
        sharpness = camera.K[0, 0] / local[:, 2].clamp_min(1e-9)
        best = torch.maximum(best, torch.where(inside & facing, sharpness, 0.0))
    found = best[best > 0]
    if not len(found):
        return LEAST_AUTO
    side = math.sqrt(float(area.double().sum()) / _USE) * float(found.median())
    return int(min(MOST_AUTO, max(LEAST_AUTO, 2 ** math.ceil(math.log2(max(side, 1.0))))))
