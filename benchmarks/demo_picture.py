"""Makes the README's picture out of a finished `make demo`: photographs, splats, mesh.

Usage: python benchmarks/demo_picture.py [DEMO_FOLDER] [OUTPUT.png]

Uses the Python API: the scene is loaded, rendered from a camera that took no training photograph,
made into a mesh, and the mesh is drawn by a z-buffer over points of its surface.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
import trimesh
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

import tondo
from tondo.data.cameras import Camera
from tondo.data.mesh import Mesh
from tondo.data.photos import Photo
from tondo.geometry.cameras import scaled
from tondo.scenes.to_mesh import MeshOptions

SIZE, GAP, TITLE = 416, 10, 30
POINTS = 6_000_000
LIGHT = torch.tensor([0.45, 0.30, 0.84])


def over_white(photo: Photo) -> Tensor:
    """[H, W, 3] float 0..1."""
    image = photo.image / 255
    if photo.alpha is None:
        return image
    alpha = photo.alpha[..., None] / 255
    return image * alpha + 1 - alpha


def draw_mesh(mesh: Mesh, camera: Camera, colored: bool) -> Tensor:
    """[H, W, 3] float: the nearest of many surface points in each quarter pixel, averaged."""
    fine = scaled(camera, 2 * camera.width, 2 * camera.height)
    model = trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), process=False)
    found, face = trimesh.sample.sample_surface(model, POINTS, seed=0)
    points, corners = torch.from_numpy(found).float(), mesh.faces[torch.from_numpy(face)]
    normals = torch.from_numpy(np.array(model.face_normals, dtype=np.float32))[face]
    if mesh.normals is not None:
        normals = torch.nn.functional.normalize(mesh.normals[corners].mean(1), dim=-1)
    local = points @ fine.viewmat[:3, :3].T + fine.viewmat[:3, 3]
    u, v = (local @ fine.K.T)[:, :2].div(local[:, 2:]).floor().long().unbind(-1)
    shown = (u >= 0) & (v >= 0) & (u < fine.width) & (v < fine.height)
    place = (v * fine.width + u)[shown]
    order = torch.argsort(local[shown, 2], descending=True, stable=True)
    nearest = torch.full((fine.width * fine.height,), -1)
    nearest[place[order]] = shown.nonzero()[:, 0][order]  # the last write, the nearest, stays
    some = nearest >= 0
    which = nearest[some]
    shade = 0.45 + 0.55 * (normals[which] @ LIGHT).clamp(min=0)
    base = torch.full((len(which), 3), 0.80)
    if colored and mesh.colors is not None:
        base, shade = mesh.colors[corners[which]].float().mean(1) / 255, torch.ones(())
    picture = torch.ones(fine.width * fine.height, 3)
    picture[some] = base * shade.view(-1, 1) if shade.dim() else base
    return picture.view(camera.height, 2, camera.width, 2, 3).mean((1, 3))


def thumbnails(photos: tuple[Photo, ...]) -> Tensor:
    """A square of 3 x 3 of the photographs."""
    chosen = [photos[round(i * (len(photos) - 1) / 8)] for i in range(9)]
    side = (SIZE - 2 * GAP) // 3
    page = torch.ones(SIZE, SIZE, 3)
    for i, photo in enumerate(chosen):
        small = as_image(over_white(photo)).resize((side, side), Image.Resampling.LANCZOS)
        y, x = i // 3 * (side + GAP), i % 3 * (side + GAP)
        page[y : y + side, x : x + side] = torch.from_numpy(np.array(small)) / 255
    return page


def as_image(picture: Tensor) -> Image.Image:
    return Image.fromarray((picture.clamp(0, 1) * 255).round().to(torch.uint8).numpy())


def main(folder: Path, out: Path) -> None:
    photos = tondo.load_photos(folder / "photos", max_size=None, load_points=False)
    scene = tondo.load_scene(folder / "run" / "scene.safetensors")
    camera = scaled(photos.test[len(photos.test) // 2].camera, SIZE, SIZE)
    mesh = tondo.to_mesh(scene, [photo.camera for photo in photos.train], MeshOptions())
    panels = {
        f"{len(photos.train)} photographs": thumbnails(photos.train),
        "splats, from a new side": tondo.render(scene, camera).color,
        "mesh": draw_mesh(mesh, camera, colored=True),
        "its surface": draw_mesh(mesh, camera, colored=False),
    }
    page = Image.new("RGB", (len(panels) * (SIZE + GAP) + GAP, SIZE + TITLE + GAP), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(18)
    for i, (title, panel) in enumerate(panels.items()):
        left = GAP + i * (SIZE + GAP)
        draw.text((left + SIZE // 2, TITLE // 2), title, "black", font, anchor="mm")
        page.paste(as_image(panel), (left, TITLE))
    out.parent.mkdir(parents=True, exist_ok=True)
    page.save(out, optimize=True)


if __name__ == "__main__":
    words = [Path(word) for word in sys.argv[1:]]
    main(*(words + [Path("demo"), Path("docs/images/demo.png")][len(words) :]))
