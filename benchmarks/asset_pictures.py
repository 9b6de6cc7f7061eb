"""Makes the pictures of docs/assets.md from a finished run.

Usage: python benchmarks/asset_pictures.py RUN [FOLDER]

Above: a held-out photograph, the splats, the textured mesh and its edges. Below: the texture with
the edges of the faces in it, the normal map, and the surface in a low light without and with it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

import tondo
from tondo.geometry.cameras import scaled
from tondo.geometry.mesh import vertex_normals
from tondo.mesh.render import render_mesh, sampled, surface_samples
from tondo.runs.run_directory import open_run
from tondo.scenes.open import open_scene
from tondo.scenes.photographs import photos_of_run
from tondo.texture.tangents import corner_tangents

FACES, TEXELS, DENSE = 5_000, 1024, 256
SIZE, GAP, TITLE = 400, 8, 26
LINE = 0.5  # pixels from the middle of an edge to its side
LIGHT = F.normalize(torch.tensor([0.75, -0.55, -0.45]), dim=0)  # where it is: right, down, away


def wireframe(mesh: tondo.Mesh, camera: tondo.Camera) -> Tensor:
    """[H, W, 3] the edges of the faces that are in front, over grey."""
    found = surface_samples(mesh, camera, 3)
    local = mesh.vertices @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    pixels = (local @ camera.K.T)[:, :2] / local[:, 2:]
    corners = pixels[mesh.faces]
    of_edge = corners.roll(-1, 1) - corners  # of corner k to the next
    cross = of_edge[:, 0, 0] * of_edge[:, 1, 1] - of_edge[:, 0, 1] * of_edge[:, 1, 0]
    # a weight times the height over the opposite edge is the distance from that edge
    heights = cross.abs()[:, None] / of_edge.norm(dim=2).roll(-1, 1).clamp_min(1e-6)
    face = found.face.clamp_min(0)
    near = (found.weights * heights[face]).amin(dim=-1) < LINE
    shade = torch.where(near, 0.15, 0.82)
    return torch.where(found.face >= 0, shade, 1.0).mean(-1)[..., None].expand(-1, -1, 3)


def with_edges(image: Tensor, uvs: Tensor) -> Image.Image:
    """The texture with the edges of the faces in it."""
    lines = Image.new("L", (image.shape[1], image.shape[0]))
    draw = ImageDraw.Draw(lines)
    for corners in (uvs * image.shape[0]).tolist():
        draw.polygon([tuple(corner) for corner in corners], outline=150, width=1)
    page = as_image(image / 255)
    page.paste((255, 255, 255), mask=lines)
    return page.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def shaded(model: tondo.TexturedMesh, camera: tondo.Camera, mapped: bool) -> Tensor:
    """[H, W, 3] grey in a low light, with the mesh's own normals or those of its map."""
    mesh, found = model.mesh, surface_samples(model.mesh, camera, 2)
    covered = found.face >= 0
    face, weights = found.face[covered], found.weights[covered][..., None]
    smooth = vertex_normals(mesh.vertices, mesh.faces) if mesh.normals is None else mesh.normals
    normals = (smooth[mesh.faces[face]] * weights).sum(dim=1)
    if mapped:
        assert model.texture.normals is not None
        corners = corner_tangents(mesh, model.uvs)[face]
        tangents = (corners[..., :3] * weights).sum(dim=1)
        across = corners[:, :1, 3] * torch.linalg.cross(normals, tangents)
        local = 2 * sampled(model.texture.normals, (model.uvs[face] * weights).sum(dim=1)) - 1
        normals = local[:, :1] * tangents + local[:, 1:2] * across + local[:, 2:] * normals
    light = camera.viewmat[:3, :3].T @ LIGHT
    shade = 0.2 + 0.8 * (F.normalize(normals, dim=1) @ light).clamp_min(0)
    picture = torch.ones(*covered.shape)
    picture[covered] = shade
    return picture.mean(dim=-1)[..., None].expand(-1, -1, 3)


def as_image(picture: Tensor) -> Image.Image:
    return Image.fromarray((picture.clamp(0, 1) * 255).round().to(torch.uint8).numpy())


def row(panels: dict[str, Image.Image]) -> Image.Image:
    """Panels side by side under their titles."""
    page = Image.new("RGB", (len(panels) * (SIZE + GAP) - GAP, SIZE + TITLE), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(17)
    for k, (title, panel) in enumerate(panels.items()):
        left = k * (SIZE + GAP)
        draw.text((left + SIZE // 2, TITLE // 2), title, "black", font, anchor="mm")
        page.paste(panel.resize((SIZE, SIZE), Image.Resampling.LANCZOS), (left, TITLE))
    return page


def main(run: Path, out: Path) -> None:
    opened = open_scene(run)
    photos, _ = photos_of_run(opened, open_run(run))
    photo = photos.test[len(photos.test) // 3]
    camera = scaled(photo.camera, SIZE, SIZE)
    options = tondo.ExportOptions(
        mesh=tondo.MeshOptions(resolution=DENSE, faces=FACES),
        texture=tondo.TextureOptions(size=TEXELS, normal_map=True),
    )
    done = tondo.export(run, out / "asset.glb", options, watch=tondo.Watch(note=print))
    model = done.model
    assert isinstance(model, tondo.TexturedMesh)
    assert model.texture.normals is not None
    image = photo.image / 255
    if photo.alpha is not None:
        share = photo.alpha[..., None] / 255
        image = image * share + 1 - share
    white = torch.ones(3)
    above = {
        "a held-out photograph": as_image(image),
        f"{len(opened.scene.splats.means):,} splats": as_image(
            tondo.render(opened.scene, camera).color
        ),
        f"{len(model.mesh.faces):,} faces, {TEXELS} texels": as_image(
            render_mesh(model, camera, white, samples=3).color
        ),
        "its edges": as_image(wireframe(model.mesh, camera)),
    }
    below = {
        "the texture and its UVs": with_edges(model.texture.color, model.uvs),
        "the normal map": Image.fromarray(model.texture.normals.numpy()),
        "in a low light": as_image(shaded(model, camera, mapped=False)),
        "with the normal map": as_image(shaded(model, camera, mapped=True)),
    }
    for name, panels in (("asset", above), ("asset_maps", below)):
        row(panels).save(out / f"{name}.jpg", quality=78, optimize=True)


if __name__ == "__main__":
    words = [Path(word) for word in sys.argv[1:]]
    main(words[0], words[1] if len(words) > 1 else Path("docs/images"))
