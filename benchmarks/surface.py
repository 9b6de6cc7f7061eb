"""How true is the surface of a scene after so many minutes of training?

Each row is one way to make a surface from the photographs of one scene: a run of that length, then
the mesh that `tondo export` makes of it, each in a process of its own. Measured are the held-out
photographs, the normals of the scene and of its mesh from the same cameras against the true ones,
and, where the true surface is known, both surfaces as far as photographs show them. `chair` has
pictures of its true normals; `demo` and `ribbed` are made by code (`tondo.demo`), with everything
known.

The normals of `chair` are sRGB values of max(0, normal): read as they are, where all components are
positive, they have a length of 1.17 in the median, and decoded, one of 0.99. Figures of earlier
versions took them as they are; both are given. Components below 0 are cut off in them, and pixels
where one was count only beside the main figure.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import tondo
from common import load, save, shared_data
from tondo.data.cameras import Camera
from tondo.data.mesh import Mesh
from tondo.data.photos import Photo
from tondo.data.similarity import IDENTITY
from tondo.demo.grid import build_grid
from tondo.demo.photographs import UP, photograph_object
from tondo.demo.ribbed import RIBBED
from tondo.demo.solid import Solid
from tondo.demo.surface import LANTERN
from tondo.demo.tracer import seen_normals
from tondo.evaluation.metrics import chamfer, f_score
from tondo.evaluation.normals import moved, normal_angles, pictured_normals, uncut
from tondo.io.images import read_image
from tondo.io.models.mesh_files import in_scene, read_world_mesh
from tondo.kernels.threads import num_threads, set_num_threads, torch_threads
from tondo.mesh.render import render_mesh
from tondo.mesh.sample import sample_surface
from tondo.mesh.visible import visible_points
from tondo.scenes.open import OpenedScene, open_scene, photo_cameras
from tondo.scenes.render import render
from tondo.splats.options import SplatLoss

MINUTES = (1.0, 2.0, 5.0)
SHARES = (0.01, 0.005, 0.0025)  # of the true diagonal, within which points count as found
POINTS = 100_000  # of each surface, as `tondo evaluate`


@dataclass(frozen=True)
class Way:
    """One way to make a surface.

    Attributes:
        method: of `tondo.ReconstructOptions`.
        loss, mesh: fields of `SplatLoss` and `tondo.MeshOptions` that are not as by default. Those
            that a version does not have are passed over, so that older ones can be measured too.
    """

    method: str = "splats"
    loss: dict[str, Any] = field(default_factory=dict)
    mesh: dict[str, Any] = field(default_factory=dict)


# Whatever makes surfaces better by default is turned off in `before`.
WAYS = {
    "before": Way(loss={"normals": 0.0}, mesh={"refine": "off", "smoothing": 1.0}),
    "now": Way(),
    "field": Way("nerf"),
}


@dataclass(frozen=True)
class Subject:
    """What was photographed.

    Attributes:
        size: of its photographs, pixels; they are square.
        solid: what it is, if it is made by code. train, test: how many photographs of that.
        corners: of the grid of distances along each side.
    """

    size: int
    solid: Solid | None = None
    train: int = 0
    test: int = 0
    corners: int = 320


SUBJECTS = {
    "chair": Subject(400),
    "demo": Subject(320, LANTERN, 40, 8),
    "ribbed": Subject(480, RIBBED, 60, 10, 512),
}
# With --steps: a trial that is over in seconds.
SMALL = {
    "chair": SUBJECTS["chair"],
    "demo": Subject(128, LANTERN, 16, 3, 128),
    "ribbed": Subject(128, RIBBED, 16, 3, 160),
}


@dataclass(frozen=True)
class TrueView:
    """What a held-out camera would see: normals [H, W, 3], world axes, and where [H, W] they are
    known, by how they were read."""

    photo: Photo
    normals: dict[str, tuple[Tensor, Tensor]]


def photographs(name: str, subject: Subject, folder: Path) -> Path:
    """The folder of the photographs, taken now where there are none."""
    if subject.solid is None:
        return shared_data() / name
    out = folder / f"{name}-photos-{subject.size}"
    if not (out / "truth.ply").is_file():  # written last
        photograph_object(
            out,
            solid=subject.solid,
            count=subject.train,
            test_count=subject.test,
            size=subject.size,
            grid_resolution=subject.corners,
        )
    return out


def true_views(subject: Subject, data: Path) -> list[TrueView]:
    photos = tondo.load_photos(data, load_points=False).test
    if subject.solid is None:
        return [TrueView(photo, pictured(data, photo)) for photo in photos]
    found = []
    with torch_threads(1):
        grid = build_grid(subject.corners, solid=subject.solid)
        for photo in photos:
            normals = seen_normals(photo.camera, grid, subject.solid)
            known = opaque(photo) & (normals.norm(dim=-1) > 0.5)
            found.append(TrueView(photo, {"true": (normals, known)}))
    return found


def pictured(data: Path, photo: Photo) -> dict[str, tuple[Tensor, Tensor]]:
    """By three readings of the picture of normals that belongs to a photo."""
    picture = read_image(data / "normals" / f"{Path(photo.name).stem}_normal.png").rgb
    found = {}
    for reading, srgb in (("decoded", True), ("as stored", False)):
        normals, known = pictured_normals(picture, srgb=srgb)
        found[reading] = (normals, known & opaque(photo))
    decoded, known = found["decoded"]
    return {"true": (decoded, known & uncut(picture)), **found}


def opaque(photo: Photo) -> Tensor:
    assert photo.alpha is not None
    return photo.alpha == 255


def angles(views: Sequence[TrueView], ours: Sequence[Tensor]) -> dict[str, Any]:
    """Of our normals [H, W, 3], one for each view, by how the true ones were read."""
    found = {}
    for reading in views[0].normals:
        truth, known = zip(*(view.normals[reading] for view in views), strict=True)
        found[reading] = rounded(asdict(normal_angles(list(ours), list(truth), list(known))))
    return found


def floor(views: Sequence[TrueView]) -> dict[str, Any]:
    """The true normals against themselves, moved by one pixel."""
    truth, known = zip(*(view.normals["true"] for view in views), strict=True)
    both = [moved(*pair) for pair in zip(truth, known, strict=True)]
    masks = [mask & there for mask, (_, there) in zip(known, both, strict=True)]
    return rounded(asdict(normal_angles([one for one, _ in both], list(truth), masks)))


def against_truth(
    mesh: Mesh, truth_path: Path, cameras: Sequence[Camera], up: Tensor
) -> dict[str, Any]:
    """Of what the photographs show of both surfaces. Lengths are shares of the true diagonal."""
    truth = read_world_mesh(truth_path, None, up)
    diagonal = float((truth.vertices.amax(0) - truth.vertices.amin(0)).norm())
    shown = []
    for one in (mesh, truth):
        points = sample_surface(one, POINTS)
        shown.append(points[visible_points(points, one, cameras)])
    found: dict[str, Any] = {"diagonal": diagonal}
    for share in SHARES:
        found[f"{share:.2%}"] = rounded(asdict(f_score(*shown, share * diagonal)))
    lengths = asdict(chamfer(*shown))
    return rounded({**found, **{name: length / diagonal for name, length in lengths.items()}})


def rounded(found: dict[str, Any]) -> dict[str, Any]:
    return {k: round(v, 5) if isinstance(v, float) else v for k, v in found.items()}


def measured(*words: str) -> dict[str, Any]:
    """Runs this script as a child that does one thing; what that took."""
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, __file__, "--child", *words])
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(words)}: exit status {child.returncode}")
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_memory_mb": round(used.ru_maxrss / 1024),
    }


def train_here(way: Way, data: Path, out: Path, length: dict[str, Any]) -> None:
    loss = known_fields(SplatLoss, way.loss)
    options = tondo.ReconstructOptions(
        way.method, splats=tondo.SplatOptions(loss=SplatLoss(**loss)), **length
    )
    tondo.reconstruct(data, out, options, force=True, watch=tondo.Watch(note=print))


def export_here(way: Way, run: Path, out: Path) -> None:
    options = tondo.ExportOptions(
        mesh=tondo.MeshOptions(**known_fields(tondo.MeshOptions, way.mesh))
    )
    tondo.export(run, out, options, watch=tondo.Watch(note=print))


def known_fields(record: type, values: dict[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(record)}  # type: ignore[arg-type]
    return {name: value for name, value in values.items() if name in names}


def row_of(
    way: str,
    length: dict[str, Any],
    run: Path,
    data: Path,
    views: Sequence[TrueView],
    threads: int,
) -> dict[str, Any]:
    """Train, export and measure."""
    path = run.parent / f"{run.name}.ply"
    told = (way, str(threads), json.dumps(length))
    training = measured("train", str(data), str(run), *told)
    export = measured("export", str(run), str(path), *told)
    opened = open_scene(run)
    mesh = exported_mesh(path, opened)
    scene = opened.scene
    metrics = json.loads((run / "metrics.json").read_text())
    row: dict[str, Any] = {
        "way": way,
        **length,
        "steps": metrics["steps"],
        "splats": metrics.get("splats"),
        "faces": len(mesh.faces),
        "psnr": round(metrics["test"]["psnr"], 3),
        "train_seconds": metrics["train_seconds"],
        "training": training,
        "export": export,
        "scene": angles(views, normals_of_scene(opened, views)),
        "mesh": angles(views, normals_of_mesh(mesh, views)),
    }
    if (data / "truth.ply").is_file():
        cameras = photo_cameras(opened) or []
        row["surface"] = against_truth(mesh, data / "truth.ply", cameras, scene.up)
    return row


def exported_mesh(path: Path, opened: OpenedScene) -> Mesh:
    """In the scene, which is the world for all that is measured here."""
    assert opened.scene.world_from_scene == IDENTITY
    return in_scene(read_world_mesh(path, None, opened.scene.up), opened.scene.world_from_scene)


def normals_of_scene(opened: OpenedScene, views: Sequence[TrueView]) -> list[Tensor]:
    seen = [render(opened.scene, view.photo.camera, with_normals=True).normals for view in views]
    return [normals for normals in seen if normals is not None]


def normals_of_mesh(mesh: Mesh, views: Sequence[TrueView]) -> list[Tensor]:
    black = torch.zeros(3)
    seen = [
        render_mesh(mesh, view.photo.camera, black, with_normals=True).normals for view in views
    ]
    return [normals for normals in seen if normals is not None]


def keep(name: str, found: dict[str, Any], way: str, minutes: float) -> None:
    """Beside the other rows that were measured before."""
    results = load("surface") or {}
    subjects = results.get("subjects", {})
    rows = subjects.get(name, {}).get("rows", [])
    others = [row for row in rows if (row["way"], row["minutes"]) != (way, minutes)]
    order = list(WAYS)
    rows = sorted(
        [*others, found["row"]], key=lambda row: (row["minutes"], order.index(row["way"]))
    )
    subjects[name] = {**found["about"], "rows": rows}
    save("surface", {"threads": num_threads(), "subjects": subjects})


def shown(row: dict[str, Any]) -> str:
    words = [f"{row['psnr']:.2f} dB"]
    for part in ("scene", "mesh"):
        words += [f"{part}'s normals ({k}) {v['mean']:.2f}°" for k, v in row[part].items()]
    if "surface" in row:
        words += [f"F {s:.2%}: {row['surface'][f'{s:.2%}']['f_score']:.3f}" for s in SHARES]
    costs = (f"{part} {row[part]['cpu_seconds']:.0f} CPU-s" for part in ("training", "export"))
    return ", ".join((*words, *costs))


def benchmark(args: argparse.Namespace, folder: Path) -> None:
    is_trial = args.steps is not None
    lengths: list[dict[str, Any]] = [{"minutes": minutes} for minutes in args.minutes]
    if is_trial:
        lengths = [{"steps": args.steps}]
    for name in args.subjects:
        subject = (SMALL if is_trial else SUBJECTS)[name]
        data = photographs(name, subject, folder)
        views = true_views(subject, data)
        below = floor(views)
        about = {"photos": len(views), "size": subject.size, "floor": below}
        if subject.solid is not None:
            true_mesh = read_world_mesh(data / "truth.ply", None, torch.tensor(UP))
            about["true_mesh"] = angles(views, normals_of_mesh(true_mesh, views))["true"]
        print(f"{name}: moved by one pixel, {below['mean']:.2f}°", flush=True)
        for length in lengths:
            for way in args.ways:
                run = folder / f"{name}-{way}-{next(iter(length.values())):g}"
                row = row_of(way, length, run, data, views, args.threads)
                print(f"{name}, {way}, {length}: {shown(row)}", flush=True)
                if not is_trial:
                    keep(name, {"row": row, "about": about}, way, length["minutes"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--minutes", nargs="+", type=float, default=MINUTES)
    parser.add_argument("--steps", type=int, help="a trial that saves nothing")
    parser.add_argument("--threads", type=int, default=num_threads())
    parser.add_argument("--keep", type=Path, help="folder for photographs, runs and meshes")
    parser.add_argument("--child", nargs=6, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        what, source, out, way, threads, length = args.child
        set_num_threads(int(threads))
        if what == "train":
            train_here(WAYS[way], Path(source), Path(out), json.loads(length))
        else:
            export_here(WAYS[way], Path(source), Path(out))
        return
    set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as made:
        folder = args.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        benchmark(args, folder)


if __name__ == "__main__":
    main()
