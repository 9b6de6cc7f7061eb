"""The surface of a scene against a true one, and with a picture over it against photographs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tondo.api.export import FACES
from tondo.api.options import EvaluateOptions, SurfaceOptions
from tondo.data.cameras import Camera
from tondo.data.field import FieldScene
from tondo.data.mesh import Mesh
from tondo.data.photos import Photo
from tondo.data.splats import Scene
from tondo.data.textured import TexturedMesh
from tondo.errors import InputError
from tondo.evaluation.as_mesh import Likeness, MeshPictures, evaluate_mesh_pictures
from tondo.evaluation.axes import better_turn
from tondo.evaluation.evaluate import GeometryMetrics, evaluate_points, in_units
from tondo.evaluation.seams import SeamSteps, seam_steps
from tondo.evaluation.uv_quality import UvQuality, uv_quality
from tondo.geometry.mesh import vertex_normals
from tondo.io.models.mesh_files import (
    UP_AXES,
    Frame,
    format_from_world,
    in_scene,
    read_world_mesh,
)
from tondo.io.models.ply import holds_faces, read_points
from tondo.mesh.options import MeshOptions
from tondo.mesh.render import mipmaps, render_mesh
from tondo.mesh.sample import sample_surface
from tondo.mesh.simplify import simplify
from tondo.mesh.visible import color_from_views, visible_points
from tondo.runs.watch import Watch
from tondo.scenes.exposure import predicted_exposure
from tondo.scenes.open import (
    OpenedScene,
    held_out_cameras,
    mesh_of,
    photo_cameras,
    read_model,
)
from tondo.scenes.render import render
from tondo.scenes.texture import pictures_to_refine_by, texture_of_scene
from tondo.scenes.to_mesh import cameras_around, to_mesh
from tondo.texture.options import TextureOptions

THRESHOLD_SHARE = 0.01  # of the true bounding box' diagonal; chosen
MOST_POINTS = 2_000_000  # of a scan; bounds time and memory; chosen, not measured
TEXTURED, COLORED = "textured_mesh", "vertex_colors"
MOST_VIEWS = 150  # to colour vertices by, as `to_mesh`

Measure = Callable[[Tensor, Tensor], GeometryMetrics]
Picture = Callable[[Camera], Tensor]


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


@dataclass(frozen=True)
class MeshMetrics:
    """A scene's mesh on photographs.

    Attributes:
        faces: of the mesh. texture: (width, height), None where it has none.
        pictures: of "textured_mesh", "vertex_colors" (the same mesh), and "splats" or "field".
        seams: steps of colour across the texture's seams, None where it has none.
        uvs: how good the places of the faces in the texture are.
    """

    faces: int
    texture: tuple[int, int] | None
    pictures: MeshPictures
    seams: SeamSteps | None
    uvs: UvQuality | None


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


def measure_as_mesh(
    opened: OpenedScene,
    options: EvaluateOptions,
    photos: Sequence[Photo],
    out_dir: Path | None,
    watch: Watch,
) -> MeshMetrics:
    """Measure the mesh that `options` name or ask for. Raises InputError, OptionError."""
    scene = opened.scene
    cameras = photo_cameras(opened) or cameras_around(scene.center, scene.radius)
    model = _model(opened, options, cameras, watch)
    mesh = mesh_of(model)
    colored = with_vertex_colors(scene, mesh, cameras, watch)
    renders: dict[str, Picture] = {COLORED: picture_of(scene, colored)}
    seams = uvs = size = None
    if isinstance(model, TexturedMesh):
        renders = {TEXTURED: picture_of(scene, model), **renders}
        seams, uvs = seam_steps(model), uv_quality(mesh, model.uvs)
        height, width = model.texture.color.shape[:2]
        size = (width, height)
    kind = "field" if isinstance(scene, FieldScene) else "splats"
    pictures = evaluate_mesh_pictures(
        {**renders, kind: lambda camera: render(scene, camera, exposed=True).color},
        lambda camera: render_mesh(mesh, camera, scene.background).alpha,
        scene.background,
        photos,
        out_dir,
        lambda done: watch.stage("evaluating", done, len(photos)),
    )
    return MeshMetrics(len(mesh.faces), size, pictures, seams, uvs)


def mesh_json(found: MeshMetrics) -> dict[str, Any]:
    """`found` as it stands in metrics.json, under "as_mesh"."""
    pictures = found.pictures
    return {
        "faces": found.faces,
        "texture": found.texture,
        "images": len(pictures.per_image),
        **mesh_json_rows(pictures.mean),
        "silhouette_iou": pictures.silhouette,
        "seams": found.seams and seams_json(found.seams),
        "uvs": found.uvs and asdict(found.uvs),
        "per_image": {name: mesh_json_rows(one) for name, one in pictures.per_image.items()},
    }


def seams_json(found: SeamSteps) -> dict[str, Any]:
    """Steps across seams as they stand in metrics.json."""
    return {**asdict(found), "ratio": found.ratio, "ratio_alike": found.ratio_alike}


def mesh_json_rows(found: Mapping[str, Likeness]) -> dict[str, Any]:
    """Rows of `MeshPictures` as they stand in metrics.json."""
    return {
        name: {**asdict(one.whole), "inside": one.inside and asdict(one.inside)}
        for name, one in found.items()
    }


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
    is_cloud = path.suffix.lower() == ".ply" and not holds_faces(path)
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
    mesh = _mesh(opened, cameras, how, watch)
    return _points_on(mesh, options.points, run), mesh


def _mesh(
    opened: OpenedScene,
    cameras: Sequence[Camera],
    how: MeshOptions,
    watch: Watch,
    source: str | Path | None = None,
) -> Mesh:
    """The mesh that `export` makes."""
    pictures = pictures_to_refine_by(opened, how, watch, source=source)
    held_out = held_out_cameras(opened)
    return to_mesh(opened.scene, cameras, how, held_out=held_out, pictures=pictures, watch=watch)


def _points_on(mesh: Mesh, count: int, path: Path) -> Tensor:
    try:
        return sample_surface(mesh, count)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def _model(
    opened: OpenedScene, options: EvaluateOptions, cameras: Sequence[Camera], watch: Watch
) -> Mesh | TexturedMesh:
    """The mesh in the scene: that of a file, or the one that `export` makes."""
    scene, how = opened.scene, options.surface
    if how.ours is not None:
        found = read_model(Path(how.ours), how.frame, scene.up)
        placed = in_scene(mesh_of(found), scene.world_from_scene)
        return replace(found, mesh=placed) if isinstance(found, TexturedMesh) else placed
    shape = MeshOptions(resolution=how.resolution)
    mesh = _mesh(opened, cameras, shape, watch, options.source)
    if not len(mesh.faces):
        raise InputError("no surface was found: what the scene shows is too transparent")
    mesh = simplify(mesh, options.faces or FACES)
    mesh = replace(mesh, world_from_scene=scene.world_from_scene)
    texture = TextureOptions(size=options.texture or "auto")
    return texture_of_scene(opened, mesh, texture, watch, source=options.source)[0]


def with_vertex_colors(
    scene: Scene | FieldScene, mesh: Mesh, cameras: Sequence[Camera], watch: Watch
) -> Mesh:
    """The mesh with colours of its vertices from renders of the scene, as `to_mesh` makes them."""
    step = -(-len(cameras) // MOST_VIEWS)
    if mesh.normals is None:
        mesh = replace(mesh, normals=vertex_normals(mesh.vertices, mesh.faces))
    views = (
        render(scene, camera, quick=True) for camera in watch.over(cameras[::step], "colouring")
    )
    return color_from_views(mesh, views)[0]


def picture_of(scene: Scene | FieldScene, model: Mesh | TexturedMesh) -> Picture:
    """What renders a mesh as `render(..., exposed=True)` renders its scene: with the scene's
    background, as bright as a photo from there would be."""
    mips = mipmaps(model.texture.color) if isinstance(model, TexturedMesh) else ()

    def picture(camera: Camera) -> Tensor:
        color = render_mesh(model, camera, scene.background, mips=mips).color
        if scene.exposures is None:
            return color
        matrix = predicted_exposure(scene.exposures, camera.viewmat)
        return (color @ matrix[:, :3].T + matrix[:, 3]).clamp(0, 1)

    return picture
