"""The report on a texture: where each of its colours is from."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.textured import Texture, TexturedMesh
from tondo.geometry.look_at import look_at
from tondo.mesh.render import render_mesh
from tondo.reports.page import write_page
from tondo.texture.make import NEAREST, PHOTOGRAPHED, RENDERED, TextureFacts

SIDES, SIDE_SIZE, SHOWN_SIZE = 4, 360, 900  # pictures of the mesh, and pixels; chosen
LIFT = 20.0  # degrees above the horizon; chosen
TINTS = {  # sRGB 0..1; chosen by eye
    PHOTOGRAPHED: (0.30, 0.72, 0.35),
    RENDERED: (0.25, 0.45, 0.95),
    NEAREST: (0.92, 0.25, 0.20),
}
TINT = 0.65  # of a tint over the colour of the texture; chosen by eye


def write_texture_report(
    folder: Path, name: str, model: TexturedMesh, facts: TextureFacts, up: Tensor
) -> None:
    """Write `folder`/report.html with the pictures in `folder`/report/*.png.

    Args:
        name: of the file that the texture is in.
        up: [3] unit vector, the mesh's up direction.

    Raises:
        OutputError: a file cannot be written.
    """
    marked = marked_texture(model.texture.color, facts.origin)
    shown = replace(model, texture=Texture(marked))
    cameras = _around(model, up)
    rows = [[_picture(one, camera) for camera in cameras] for one in (model, shown)]
    figures = {
        "mesh.png": _png(torch.cat([torch.cat(row, dim=1) for row in rows])),
        "texture.png": _png(_beside(model.texture.color, marked)),
    }
    maps = [
        _three(one) for one in (model.texture.normals, model.texture.occlusion) if one is not None
    ]
    if maps:
        figures["maps.png"] = _png(_beside(*maps))
    nearest = max(0.0, 1 - facts.photographed - facts.rendered)
    counts = [
        (f"{len(model.mesh.faces):,}", "faces"),
        (f"{facts.size:,}x{facts.size:,}", "texels"),
        (f"{facts.charts:,}" if facts.charts else "own", "charts"),
        (f"{facts.use:.0%}", "of the square used"),
        (f"{facts.photographed:.0%}", "from photographs"),
        (f"{facts.rendered:.0%}", "from renders"),
        (f"{nearest:.0%}", "from the nearest point"),
    ]
    write_page(folder, "texture/report.html", figures, {"title": name, "counts": counts})


def marked_texture(color: Tensor, origin: Tensor) -> Tensor:
    """[S, S, 3] uint8: the texture [S, S, 3] uint8 under the tints of where its colours are from
    (`TextureFacts.origin`); white between charts."""
    table = torch.ones(NEAREST + 1, 3)
    for which, tint in TINTS.items():
        table[which] = torch.tensor(tint)
    grey = color.float().mean(dim=-1, keepdim=True) / 255
    tinted = TINT * table[origin.long()] + (1 - TINT) * grey
    tinted[origin == 0] = 1.0
    return (tinted * 255).round().to(torch.uint8)


def _around(model: TexturedMesh, up: Tensor) -> list[Camera]:
    low, high = model.mesh.vertices.amin(dim=0), model.mesh.vertices.amax(dim=0)
    center, radius = (low + high) / 2, float((high - low).norm()) / 2
    side = torch.linalg.cross(up, torch.eye(3)[int(up.abs().argmin())])
    ahead = F.normalize(side, dim=0)
    right = torch.linalg.cross(ahead, up)
    focal = 1.6 * SIDE_SIZE
    K = torch.tensor([[focal, 0, SIDE_SIZE / 2], [0, focal, SIDE_SIZE / 2], [0, 0, 1]])
    found = []
    for index in range(SIDES):
        turn, lift = 2 * math.pi * index / SIDES, math.radians(LIFT)
        flat = math.cos(turn) * ahead + math.sin(turn) * right
        eye = center + 3.4 * radius * (math.cos(lift) * flat + math.sin(lift) * up)
        found.append(Camera(look_at(eye, center, up), K, SIDE_SIZE, SIDE_SIZE))
    return found


def _picture(model: TexturedMesh, camera: Camera) -> Tensor:
    return (render_mesh(model, camera, torch.ones(3)).color * 255).round().to(torch.uint8)


def _three(image: Tensor) -> Tensor:
    return image if image.dim() == 3 else image[..., None].expand(*image.shape, 3)


def _beside(*images: Tensor) -> Tensor:
    """Square pictures side by side, as large as a page shows them."""
    small = []
    for image in images:
        picture = Image.fromarray(image.numpy())
        if picture.width > SHOWN_SIZE:
            picture = picture.resize((SHOWN_SIZE, SHOWN_SIZE), Image.Resampling.BOX)
        small.append(torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8))
        small[-1] = small[-1].view(picture.height, picture.width, 3)
    return torch.cat(small, dim=1)


def _png(image: Tensor) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image.contiguous().numpy()).save(buffer, format="PNG")
    return buffer.getvalue()
