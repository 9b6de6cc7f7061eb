"""The surface of a scene against a true one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tondo.api.options import SurfaceOptions
from tondo.data.cameras import Camera
from tondo.data.field import FieldScene
from tondo.data.mesh import Mesh
from tondo.data.splats import Scene
from tondo.errors import InputError
from tondo.evaluation.axes import better_turn
from tondo.evaluation.evaluate import GeometryMetrics, evaluate_points, in_units
from tondo.io.models.mesh_files import (
    UP_AXES,
    Frame,
    format_from_world,
    in_scene,
    read_world_mesh,
)
from tondo.io.models.ply import read_header, read_points
from tondo.mesh.options import MeshOptions
from tondo.mesh.sample import sample_surface
from tondo.mesh.visible import visible_points
from tondo.runs.watch import Watch
from tondo.scenes.open import OpenedScene, held_out_cameras, photo_cameras
from tondo.scenes.to_mesh import cameras_around, to_mesh

THRESHOLD_SHARE = 0.01  # of the true bounding box' diagonal; chosen
MOST_POINTS = 2_000_000  # of a scan; bounds time and memory; chosen, not measured

Measure = Callable[[Tensor, Tensor], GeometryMetrics]


@dataclass(frozen=True)
class SurfaceMetrics:
    """A surface against the true one, in world units.

    Attributes:
        whole: all of both surfaces. visible: what the photos show of them, None where the cameras
            are not known or see nothing.
        points: how many were compared, of ours and the true one; points_visible: for `visible`.
        diagonal: of the true surface's bounding box.
        hint: that one of the two has other axes, where that is plain to see; else "".
    """

    whole: GeometryMetrics
    visible: GeometryMetrics | None
    points: tuple[int, int]
    points_visible: tuple[int, int]
    diagonal: float
    hint: str


def measure_surface(
    run: Path, options: SurfaceOptions, opened: OpenedScene, watch: Watch
) -> SurfaceMetrics:
    """Compare points on our mesh with points on the true surface. Raises InputError."""
    assert options.mesh is not None
    scene, truth_path = opened.scene, Path(options.mesh)
    truth, true_mesh = _surface(truth_path, options.points, scene)
    our_mesh: Mesh | None
    if options.ours is None:
        ours, our_mesh = _own_surface(run, options, opened, watch)
    else:
        ours, our_mesh = _surface(Path(options.ours), options.points, scene, options.frame)
    scale = scene.world_from_scene.scale
    diagonal = scale * float((truth.amax(dim=0) - truth.amin(dim=0)).norm())
    threshold = options.threshold or THRESHOLD_SHARE * diagonal
    if not threshold > 0:
        raise InputError(f"all points of {truth_path} are in one place: give `threshold`")

    def measure(ours: Tensor, truth: Tensor) -> GeometryMetrics:
        return in_units(evaluate_points(ours, truth, threshold / scale), scale)

    whole, visible = measure(ours, truth), None
    hint = _hint(run, options, scene, (ours, truth), whole.f_score, measure)
    counts = seen = (len(ours), len(truth))
    cameras = photo_cameras(opened)
    if cameras:
        ours, truth = _seen(ours, our_mesh, cameras), _seen(truth, true_mesh, cameras)
        seen = (len(ours), len(truth))
        if all(seen):
            visible = measure(ours, truth)
    return SurfaceMetrics(whole, visible, counts, seen, diagonal, hint)


def surface_json(found: SurfaceMetrics, truth: str | Path) -> dict[str, Any]:
    """`found` as it stands in metrics.json, under "geometry"."""
    entry = {**asdict(found.whole), "truth": str(truth), "points": list(found.points)}
    if found.visible is not None:
        entry["visible"] = {**asdict(found.visible), "points": list(found.points_visible)}
    if found.hint:
        entry["hint"] = found.hint
    return entry


def _hint(
    run: Path,
    options: SurfaceOptions,
    scene: Scene | FieldScene,
    points: tuple[Tensor, Tensor],
    f_score: float,
    measure: Measure,
) -> str:
    ours, truth = points
    place = scene.world_from_scene
    world = place.to_world(ours)
    formats = {f"+{up} up": format_from_world(scene.up, up).T for up in ("y", "z")}
    turn = better_turn(world, place.to_world(truth), formats)
    if turn is None:
        return ""
    fitting = measure(place.to_scene(world @ turn.rotation.T).float(), truth).f_score
    if fitting < 2 * f_score:
        return ""
    what = options.ours or f"the mesh of {run}"
    hint = (
        f"{what} has other axes than {options.mesh}, it seems: F-score {fitting:.4f} instead of "
        f"{f_score:.4f} if it is taken as {turn.about}"
    )
    up = None if options.ours is None else UP_AXES.get(Path(options.ours).suffix.lower())
    return f"{hint}; `frame=format` measures it so" if turn.about == f"+{up} up" else hint


def _seen(points: Tensor, mesh: Mesh | None, cameras: Sequence[Camera]) -> Tensor:
    """Those of the points on `mesh` that a photo shows; a point cloud (None) hides nothing."""
    return points if mesh is None else points[visible_points(points, mesh, cameras)]


def _surface(
    path: Path, count: int, scene: Scene | FieldScene, frame: Frame | None = None
) -> tuple[Tensor, Mesh | None]:
    """`count` points spread over a mesh, and the mesh, or the points of a point cloud (at most 2
    million of them), and None; in the scene."""
    is_cloud = path.suffix.lower() == ".ply" and not any(
        element.name == "face" and element.count for element in read_header(path).elements
    )
    if not is_cloud:
        mesh = in_scene(read_world_mesh(path, frame, scene.up), scene.world_from_scene)
        return _points_on(mesh, count, path), mesh
    points = read_points(path, scene.world_from_scene).points
    if len(points) == 0:
        raise InputError(f"{path} has no points")
    if len(points) > MOST_POINTS:
        order = torch.randperm(len(points), generator=torch.Generator().manual_seed(0))
        points = points[order[:MOST_POINTS]]
    return points, None


def _own_surface(
    run: Path, options: SurfaceOptions, opened: OpenedScene, watch: Watch
) -> tuple[Tensor, Mesh]:
    """Points on the mesh that `export` makes of the scene, in the scene, and it."""
    scene = opened.scene
    cameras = photo_cameras(opened) or cameras_around(scene.center, scene.radius)
    how = MeshOptions(resolution=options.resolution)
    mesh = to_mesh(scene, cameras, how, held_out=held_out_cameras(opened), watch=watch)
    return _points_on(mesh, options.points, run), mesh


def _points_on(mesh: Mesh, count: int, path: Path) -> Tensor:
    try:
        return sample_surface(mesh, count)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
