"""Meshes beside their photographs, to be looked at.

Usage: python benchmarks/surface_pictures.py chair=RUN ribbed=RUN fox=RUN ...

A sheet for each run. Above: a held-out photograph, the mesh from its camera in its colours and grey
in two lights, and the true mesh, where it is known, else the scene. In the middle: the grey mesh
from four sides. Below: the same in its colours. A mesh RUN.ply beside the run is taken if it is
there (`surface.py --keep` leaves them), else `tondo export` makes it.

Sheets of photographs that may be shown go to docs/notes, with a page of them. The photographs of
`fox` and `head`, and what is derived from them, may not: their sheets go to another folder, by
default runs/surfaces, which git passes over.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import tondo
from asset_pictures import GAP, SIZE, TITLE, as_image, row
from common import ROOT
from tondo.data.cameras import Camera
from tondo.data.mesh import Mesh
from tondo.data.photos import Photo
from tondo.evaluation.evaluate import composited
from tondo.geometry.cameras import camera_position
from tondo.io.atomic import write_text
from tondo.io.models.mesh_files import in_scene, read_world_mesh
from tondo.mesh.render import render_mesh
from tondo.runs.run_directory import open_run
from tondo.scenes.open import OpenedScene, open_scene
from tondo.scenes.photographs import photos_of_run

WHITE = torch.ones(3)
# Where lights are, in the camera's axes (right, down, away), and how strong; chosen by eye. The
# first stands low, so that relief throws shades.
LIGHTS = (((-0.80, -0.45, -0.40), 0.60), ((0.70, -0.10, -0.70), 0.28))
DARK = 0.22  # where no light is
SIDES = 4
MARGIN = 1.06  # of the picture around the mesh
OUTSIDE = 0.002  # share of vertices at each border that may lie outside
# What may be shown, and whom to thank.
SHOWN = {
    "chair": "NeRF-synthetic's `chair` (model CC0 by 1DInc, renders by the authors of NeRF)",
    "demo": "the object of `make demo`",
    "ribbed": "the object of `tondo.demo.ribbed`, whose ribs, flutes and bosses are 0.5 % of its "
    "size",
}
LARGEST = 250_000  # bytes of a sheet


def lit(mesh: Mesh, camera: Camera) -> Tensor:
    """[H, W, 3] the mesh in grey, in two lights beside the camera, by the normals of its faces."""
    view = render_mesh(mesh, camera, WHITE, samples=3, with_normals=True)
    assert view.normals is not None
    normals = view.normals @ camera.viewmat[:3, :3].T
    shade = torch.full_like(view.alpha, DARK)
    for place, strength in LIGHTS:
        light = F.normalize(torch.tensor(place), dim=0)
        shade += strength * (normals @ light).clamp_min(0)
    grey = shade.clamp_max(1) * view.alpha + 1 - view.alpha
    return grey[..., None].expand(-1, -1, 3)


def square(mesh: Mesh, camera: Camera) -> tuple[float, float, float]:
    """(left, top, side) in pixels of the square around what the camera's picture shows of the
    mesh."""
    local = mesh.vertices @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    local = local[local[:, 2] > 0]
    pixels = (local @ camera.K.T)[:, :2] / local[:, 2:]
    size = torch.tensor([camera.width, camera.height])
    order = pixels.sort(dim=0).values
    few = int(OUTSIDE * len(order))
    low, high = order[few].clamp_min(0), torch.minimum(order[-1 - few], size.float())
    middle, side = (low + high) / 2, MARGIN * float((high - low).max())
    return float(middle[0]) - side / 2, float(middle[1]) - side / 2, side


def cut(camera: Camera, box: tuple[float, float, float]) -> Camera:
    """The camera of that square, with `SIZE` pixels along each side."""
    left, top, side = box
    K = camera.K.clone()
    K[0, 2] -= left
    K[1, 2] -= top
    K[:2] *= SIZE / side
    return Camera(camera.viewmat, K, SIZE, SIZE)


def cut_photo(photo: Photo, box: tuple[float, float, float]) -> Image.Image:
    left, top, side = box
    image = as_image(composited(photo, WHITE))
    page = Image.new("RGB", (round(side), round(side)), "white")
    page.paste(image, (-round(left), -round(top)))
    return page.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def four_sides(first: Camera, cameras: Sequence[Camera], middle: Tensor) -> list[Camera]:
    """Those of the cameras that look from the most different sides, and from others than the
    first."""
    places = [F.normalize(camera_position(c) - middle, dim=0) for c in (first, *cameras)]
    directions = torch.stack(places)
    gaps = (directions - directions[0]).norm(dim=1)
    chosen = []
    for _ in range(min(SIDES, len(cameras))):
        best = int(gaps.argmax())
        chosen.append(cameras[best - 1])
        gaps = torch.minimum(gaps, (directions - directions[best]).norm(dim=1))
    return chosen


def mesh_of_run(run: Path, opened: OpenedScene) -> Mesh:
    """Its mesh, in the scene."""
    place = opened.scene.world_from_scene
    path = run.parent / f"{run.name}.ply"
    if path.is_file():
        return in_scene(read_world_mesh(path, None, opened.scene.up), place)
    with tempfile.TemporaryDirectory() as folder:
        done = tondo.export(run, Path(folder) / "mesh.ply", watch=tondo.Watch(note=print))
    assert isinstance(done.model, Mesh)
    return done.model


def sheet(run: Path) -> Image.Image:
    opened = open_scene(run)
    photos, source = photos_of_run(opened, open_run(run))
    mesh = mesh_of_run(run, opened)
    photo = photos.test[len(photos.test) // 3]
    box = square(mesh, photo.camera)
    camera = cut(photo.camera, box)
    first = {
        "a held-out photograph": cut_photo(photo, box),
        f"{len(mesh.faces):,} faces": as_image(render_mesh(mesh, camera, WHITE, samples=3).color),
        "in two lights": as_image(lit(mesh, camera)),
    }
    truth = source / "truth.ply"
    if truth.is_file():
        true_mesh = in_scene(
            read_world_mesh(truth, None, opened.scene.up), opened.scene.world_from_scene
        )
        first["the true surface"] = as_image(lit(true_mesh, camera))
    else:
        first["the scene"] = as_image(tondo.render(opened.scene, camera).color)
    cameras = [one.camera for one in photos.train]
    sides = four_sides(photo.camera, cameras, mesh.vertices.mean(dim=0))
    views = [cut(one, square(mesh, one)) for one in sides]
    names = ["from four sides", *(" " * k for k in range(1, SIDES))]
    grey = {n: as_image(lit(mesh, one)) for n, one in zip(names, views, strict=False)}
    colored = {
        name: as_image(render_mesh(mesh, one, WHITE, samples=3).color)
        for name, one in zip(["in its colours", *names[1:]], views, strict=False)
    }
    rows = [row(panels) for panels in (first, grey, colored)]
    page = Image.new("RGB", (rows[0].width, len(rows) * (SIZE + TITLE + GAP) - GAP), "white")
    for k, one in enumerate(rows):
        page.paste(one, (0, k * (SIZE + TITLE + GAP)))
    return page


def save_sheet(page: Image.Image, path: Path) -> None:
    """With as much of its quality as the bytes allow."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for quality in range(88, 30, -6):
        page.save(path, quality=quality, optimize=True)
        if path.stat().st_size < LARGEST:
            break
    print(path)


def page_of(notes: Path) -> str:
    """The page of the sheets that are there."""
    parts = [
        "# Notes: pictures of meshes\n\nWritten by `benchmarks/surface_pictures.py`. Above: a "
        "held-out photograph, the mesh from its camera in its colours and in two lights, and the "
        "true surface, where it is known, else the scene. In the middle and below: the mesh from "
        "four sides. The photographs of `fox` and `head`, and what is derived from them, may not "
        "be shown: the script writes their sheets to another folder (`--apart`, by default "
        "`runs/surfaces`).\n"
    ]
    for name, what in SHOWN.items():
        if (notes / f"surface_{name}.jpg").is_file():
            parts.append(f"## `{name}`\n\n{what[0].upper()}{what[1:]}.\n")
            parts.append(f"![The mesh of {name}](surface_{name}.jpg)\n")
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", help="NAME=RUN")
    parser.add_argument("--notes", type=Path, default=ROOT / "docs" / "notes")
    parser.add_argument("--apart", type=Path, default=ROOT / "runs" / "surfaces")
    args = parser.parse_args()
    for word in args.runs:
        name, _, run = word.partition("=")
        folder = args.notes if name in SHOWN else args.apart
        save_sheet(sheet(Path(run)), folder / f"surface_{name}.jpg")
    write_text(args.notes / "surface_pictures.md", page_of(args.notes))


if __name__ == "__main__":
    main()
