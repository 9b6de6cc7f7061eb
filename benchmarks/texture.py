"""How much of the photographs does a textured mesh keep, what do unwraps cost, and what does all of
it after the dense mesh?

`quality`: held-out photographs of two scenes through meshes of several numbers of faces, with
colours per vertex and with textures, beside the splats. `unwrap`: Tondo's unwrap beside those of
other libraries, each in a process of its own on one core; those that are not installed (xatlas,
geotex) are left out. `cost`: CPU-seconds and memory of each part, in a process of its own.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common import load, save, shared_data
from quality import SETS, reconstruct
from tondo import _native
from tondo.api.evaluate_surface import (
    mesh_json_rows,
    picture_of,
    seams_json,
    with_vertex_colors,
)
from tondo.data.mesh import Mesh
from tondo.data.textured import TexturedMesh
from tondo.evaluation.as_mesh import evaluate_mesh_pictures
from tondo.evaluation.seams import seam_steps
from tondo.evaluation.uv_quality import uv_quality
from tondo.io.models.textured_files import write_textured
from tondo.mesh.manifold import parted_corners
from tondo.mesh.render import render_mesh
from tondo.mesh.simplify import simplify
from tondo.runs.watch import Watch
from tondo.scenes.open import OpenedScene, held_out_cameras, open_scene, photo_cameras
from tondo.scenes.photographs import photos_of_run
from tondo.scenes.render import render
from tondo.scenes.texture import texture_of_scene
from tondo.scenes.to_mesh import to_mesh
from tondo.texture.options import TextureOptions
from tondo.texture.unwrap import padding_of, unwrap

NAMES = ("chair", "fox")
FACES, SIZES = (10_000, 3_000, 50_000), (1024, 2048)
PHOTOS = 9  # held-out ones of each set at most: every third of more
UNWRAPPED = (10_000, 50_000, 200_000)
LONGEST = 120  # CPU-seconds of an unwrap
COST_FACES, COST_SIZE = 50_000, 2048
TRAINING = 120  # seconds


def dense_mesh(run: Path, folder: Path) -> Mesh:
    """The surface of a run with all its faces, kept in `folder`."""
    path = folder / f"{run.name}.npz"
    opened = open_scene(run)
    if not path.is_file():
        began = time.process_time()
        mesh = to_mesh(opened.scene, photo_cameras(opened) or [], held_out=held_out_cameras(opened))
        print(f"{run.name}: dense mesh, {time.process_time() - began:.0f} CPU-s")
        np.savez(path, vertices=mesh.vertices.numpy(), faces=mesh.faces.numpy())
    with np.load(path) as found:
        parts = (torch.from_numpy(found[name]) for name in ("vertices", "faces"))
        return Mesh(*parts, world_from_scene=opened.scene.world_from_scene)


def quality(run: Path, folder: Path) -> dict[str, Any]:
    opened, dense = open_scene(run), dense_mesh(run, folder)
    assert opened.run is not None
    test = photos_of_run(opened, opened.run)[0].test
    photos = test[:: -(-len(test) // PHOTOS)]
    rows: list[dict[str, Any]] = []
    result = {"photos": len(photos), "dense_faces": len(dense.faces), "rows": rows}
    for faces in FACES:
        models = [textured(opened, simplify(dense, faces), size) for size in SIZES]
        mesh = models[0].mesh
        colored = with_vertex_colors(opened.scene, mesh, photo_cameras(opened) or [], Watch())
        renders = {
            f"texture {size}": picture_of(opened.scene, model)
            for size, model in zip(SIZES, models, strict=True)
        }
        renders["vertex colours"] = picture_of(opened.scene, colored)
        if faces == FACES[-1]:
            renders["splats"] = lambda camera: render(opened.scene, camera, exposed=True).color
        found = evaluate_mesh_pictures(
            renders,
            lambda camera, mesh=mesh: render_mesh(mesh, camera, opened.scene.background).alpha,
            opened.scene.background,
            photos,
            None,
        )
        steps = [seam_steps(model) for model in models]
        seams = {str(s): step and seams_json(step) for s, step in zip(SIZES, steps, strict=True)}
        rows.append(
            {
                "faces": len(mesh.faces),
                "silhouette_iou": found.silhouette,
                "seams": seams,
                **mesh_json_rows(found.mean),
            }
        )
        shown = {
            k: round(v["psnr"], 2)
            for k, v in rows[-1].items()
            if isinstance(v, dict) and "psnr" in v
        }
        print(f"{run.name} {faces:,} faces: {shown}", flush=True)
        keep({"quality": {run.name: result}})
    return result


def textured(
    opened: OpenedScene, mesh: Mesh, size: int, watch: Watch | None = None
) -> TexturedMesh:
    mesh = replace(mesh, world_from_scene=opened.scene.world_from_scene)
    return texture_of_scene(opened, mesh, TextureOptions(size=size), watch or Watch())[0]


def by_uvunwrap(mesh: Mesh) -> torch.Tensor:
    return unwrap(mesh, COST_SIZE).uvs


def by_xatlas(mesh: Mesh) -> torch.Tensor:
    import xatlas

    atlas = xatlas.Atlas()
    atlas.add_mesh(mesh.vertices.numpy(), mesh.faces.numpy().astype(np.uint32))
    pack = xatlas.PackOptions()
    pack.resolution, pack.padding = COST_SIZE, padding_of(COST_SIZE)
    atlas.generate(pack_options=pack)
    _, faces, uvs = atlas.get_mesh(0)
    if len(faces) != len(mesh.faces):
        raise ValueError(f"{len(faces)} of {len(mesh.faces)} faces")
    return upright(torch.from_numpy(uvs[faces.astype(np.int64)]))


def by_geotex(mesh: Mesh) -> torch.Tensor:
    import geotex

    corners = parted_corners(mesh.faces.numpy())
    points = np.empty((int(corners.max()) + 1, 3))
    points[corners.ravel()] = mesh.vertices.numpy()[mesh.faces.numpy().ravel()]
    uvs = geotex.make_atlas(points, corners.astype(np.uint32))
    return upright(torch.from_numpy(np.asarray(uvs, np.float32).reshape(-1, 3, 2)))


def upright(uvs: torch.Tensor) -> torch.Tensor:
    """With the direction of v, which libraries do not say, by which fewer faces are mirrored."""
    p, q = (uvs[:, k] - uvs[:, 0] for k in (1, 2))
    signed = p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]
    if int((signed > 0).sum()) > int((signed < 0).sum()):
        return torch.stack([uvs[..., 0], 1 - uvs[..., 1]], dim=-1)
    return uvs


UNWRAPS: dict[str, Callable[[Mesh], torch.Tensor]] = {
    "uvunwrap": by_uvunwrap,
    "xatlas": by_xatlas,
    "geotex": by_geotex,
}


def unwrap_here(name: str, path: Path) -> dict[str, Any]:
    """In this process, on one core, for at most `LONGEST` CPU-seconds."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with np.load(path) as found:
        mesh = Mesh(*(torch.from_numpy(found[part]) for part in ("vertices", "faces")))
    small = simplify_to_warm_up(mesh)
    UNWRAPS[name](small)
    before = cpu_seconds()
    uvs = UNWRAPS[name](mesh)
    seconds = cpu_seconds() - before
    return {"cpu_seconds": round(seconds, 2), **asdict(uv_quality(mesh, uvs))}


def simplify_to_warm_up(mesh: Mesh) -> Mesh:
    """A few faces, so that imports and first calls do not count."""
    faces = mesh.faces[:200]
    used, renumbered = torch.unique(faces, return_inverse=True)
    return Mesh(mesh.vertices[used], renumbered.view(-1, 3))


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def unwraps(run: Path, folder: Path) -> list[dict[str, Any]]:
    dense, rows = dense_mesh(run, folder), []
    for faces in UNWRAPPED:
        mesh = simplify(dense, faces)
        path = folder / f"unwrap-{faces}.npz"
        np.savez(path, vertices=mesh.vertices.numpy(), faces=mesh.faces.numpy())
        for name in UNWRAPS:
            try:
                version = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                print(f"{name} is not installed: left out")
                continue
            found = in_a_process("unwrap", name, str(path), longest=LONGEST + 60)
            rows.append({"by": f"{name} {version}", "faces": len(mesh.faces), **found})
            print(rows[-1], flush=True)
    return rows


def in_a_process(*words: str, longest: int) -> dict[str, Any]:
    """What this script prints as its last line, told to do one thing."""
    command = [sys.executable, __file__, "--child", *words]

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (longest, longest))

    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limited)
    if done.returncode < 0:
        return {"failed": f"not done after {longest - 60} CPU-seconds"}
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1][:100]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def cost_here(run: Path, folder: Path) -> dict[str, Any]:
    """CPU-seconds by what is done, and memory beyond that of the opened scene and dense mesh."""
    opened, dense = open_scene(run), dense_mesh(run, folder)
    before_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spent: dict[str, float] = {}
    last = {"what": "simplify", "at": cpu_seconds()}

    def switch(what: str) -> None:
        now = cpu_seconds()
        spent[last["what"]] = spent.get(last["what"], 0.0) + now - last["at"]
        last.update(what=what, at=now)

    def stage(what: str, done: int, total: int) -> None:
        switch(what.partition(":")[0] if done < total else "between")

    began = time.perf_counter()
    mesh = simplify(dense, COST_FACES)
    switch("between")
    model = textured(opened, mesh, COST_SIZE, Watch(stage=stage))
    switch("write")
    write_textured(folder / "model.glb", model, opened.scene.up)
    switch("")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "faces": len(mesh.faces),
        "size": COST_SIZE,
        "cpu_seconds": {k: round(v, 2) for k, v in spent.items() if v >= 0.05},
        "cpu_seconds_together": round(sum(spent.values()), 1),
        "wall_seconds": round(time.perf_counter() - began, 1),
        "peak_memory_mb": round(memory / 1024),
        "of_that_before_mb": round(before_peak / 1024),
        "file_mb": round((folder / "model.glb").stat().st_size / 1e6, 2),
    }


def cost(run: Path, folder: Path) -> dict[str, Any]:
    dense_mesh(run, folder)
    found = in_a_process("cost", str(run), str(folder), longest=1000)
    print(run.name, found, flush=True)
    return found


def found_run(name: str, runs: Path | None, folder: Path) -> Path:
    if runs is not None:
        return runs / name
    reconstruct(shared_data() / name, SETS[name], TRAINING, folder / name)
    return folder / name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", default=["quality", "unwrap", "cost"])
    parser.add_argument("--sets", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--runs", type=Path, help="folder with runs of the sets, by their names")
    parser.add_argument("--keep", type=Path, help="folder for dense meshes, to be used again")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        what, *rest = args.child
        one, two = rest
        found = unwrap_here(one, Path(two)) if what == "unwrap" else cost_here(Path(one), Path(two))
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as made:
        folder = args.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        runs = {name: found_run(name, args.runs, folder) for name in args.sets}
        for part in args.parts:
            if part == "unwrap":
                keep({"unwrap": unwraps(next(iter(runs.values())), folder)})
                continue
            make = quality if part == "quality" else cost
            for name, run in runs.items():
                keep({part: {name: make(run, folder)}})


def keep(found: dict[str, Any]) -> None:
    """Beside what other parts and sets were measured before."""
    results = load("texture") or {}
    results.pop("machine", None)
    for part, one in found.items():
        before = results.get(part)
        results[part] = {**before, **one} if isinstance(before, dict) else one
    save("texture", {**results, "threads": _native.num_threads()})


if __name__ == "__main__":
    main()
