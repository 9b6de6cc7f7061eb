"""A mesh out of a scene: render depth, fuse it, extract, clean and colour the surface.

A closed surface of a radiance field is that of one density instead. What was tried and measured is
in docs/notes/mesh.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.field import FieldScene
from tondo.data.mesh import Mesh
from tondo.data.splats import Scene
from tondo.data.views import View
from tondo.geometry.cameras import camera_position, fitted
from tondo.geometry.look_at import look_at
from tondo.mesh import fuse
from tondo.mesh.clean import drop_small_parts, drop_unseen_parts, fill_holes
from tondo.mesh.extract import extract_mesh, surface
from tondo.mesh.iso import OFF, best_level, density_grid, mean_view_error
from tondo.mesh.options import MeshOptions
from tondo.mesh.simplify import simplify
from tondo.mesh.visible import agreement, color_from_views
from tondo.refine.outside import within_masks
from tondo.refine.refine import refined
from tondo.refine.silhouettes import cut
from tondo.runs.watch import SILENT, Watch
from tondo.scenes.render import render
from tondo.splats.render import surface_depth
from tondo.texture.bake import Picture, show_one_object

T = TypeVar("T")
DEFAULTS = MeshOptions()
# More views than this add time but no detail. Of an object that is a field fewer are enough: each
# takes far longer, and all are kept.
_MOST_VIEWS, _MOST_OF_A_FIELD, _FIELD_SIZE = 150, 32, 640
# Views that are looked at first, to find out what there is.
_SCOUTS = 24  # chosen
_OUTLINED_REACH = 2.0  # chosen; a head lost its top to 1
# Of a field, the density of the surface is chosen by so many pictures, smaller ones as those of a
# first look, and fewer voxels.
_LEVEL_VIEWS, _LEVEL_SIZE, _LEVEL_RESOLUTION = 8, 200, 128

# Doubt is said where less than this share of the pixels of a few views has its depth within this
# share of the box of the mesh, a voxel or two pixels' width. Measured: 0.96 and 0.98 of objects,
# 0.93 of one from six photographs, 0.75 of one with stray surface beside it, 0.50 of fog and noise.
_DOUBT_BELOW, _DOUBT_WITHIN, _DOUBT_VIEWS, _DOUBT_SIZE = 0.6, 0.01, 8, 400
# The same for what is less sure than usual, within a voxel or a pixel: balls of a mirror and
# of glass 0.80 to 0.85, six photographs 0.75, things 0.89 to 0.96.
_UNSURE_BELOW, _UNSURE_WITHIN = 0.87, 0.004


@dataclass(frozen=True)
class MeshPlan:
    """What was found by a first look: where the surface is, and whether it is closed."""

    box: fuse.Box
    closed: bool


def plan_mesh(
    scene: Scene | FieldScene,
    cameras: Sequence[Camera],
    options: MeshOptions,
    pictures: Sequence[Picture] = (),
) -> MeshPlan:
    """Look through a few of the cameras: where is the surface, is it one object?

    Args:
        pictures: as of `to_mesh`.

    Raises:
        ValueError: no cameras.
    """
    if not cameras:
        raise ValueError("a mesh needs at least one camera to look through")
    outlined = _outlined(scene, pictures, options)
    # A radius leaves out the tenth of the splats that are furthest away. Within silhouettes nothing
    # but the object is, and that may reach further.
    reach = options.reach * scene.radius * (_OUTLINED_REACH if outlined else 1.0)
    limit = fuse.cube(scene.center, reach)
    if outlined:
        chosen = _spread(outlined, _SCOUTS)
        views = [cut(render(scene, one.camera, quick=True), one.coverage) for one in chosen]
    else:
        scouts = _spread(cameras, _SCOUTS)
        if isinstance(scene, FieldScene):
            scouts = [fitted(camera, _LEVEL_SIZE) for camera in scouts]
        views = [render(scene, camera, quick=True) for camera in scouts]
    closed = options.surface == "closed" or (
        options.surface == "auto" and empty_border(views) > 0.75
    )
    return MeshPlan(fuse.visible_box(views, limit), closed)


def to_mesh(
    scene: Scene | FieldScene,
    cameras: Sequence[Camera],
    options: MeshOptions = DEFAULTS,
    *,
    plan: MeshPlan | None = None,
    held_out: Sequence[Camera] = (),
    pictures: Sequence[Picture] = (),
    watch: Watch = SILENT,
) -> Mesh:
    """The surface of a scene, with colours and normals, in the scene's frame and with its place.

    Args:
        cameras: viewpoints that saw the scene, best those of the photos.
        plan: from `plan_mesh`; made here if None.
        held_out: cameras that training did not see, by which the density of a field's surface is
            chosen; if there are none, some of `cameras`.
        pictures: photographs to refine the surface by (`scenes.texture.pictures_to_refine_by`), if
            `options.refine` does not say otherwise. Where their masks are the silhouettes of one
            object, splats are looked at within them alone.

    Returns:
        The mesh; without any vertex where the cameras see no surface.

    Raises:
        ValueError: no cameras.

    Example:
        >>> import tondo
        >>> scene = tondo.load_scene("run")
        >>> photos = tondo.load_photos("photos")
        >>> options = tondo.MeshOptions(resolution=32)
        >>> mesh = tondo.to_mesh(scene, [photo.camera for photo in photos.train], options)
        >>> mesh.vertices.shape[1], mesh.faces.shape[1], mesh.colors.dtype
        (3, 3, torch.uint8)
    """
    plan = plan or plan_mesh(scene, cameras, options, pictures)
    if isinstance(scene, FieldScene) and plan.closed:
        mesh, views = _closed_surface_of_field(scene, cameras, options, plan, held_out, watch)
    else:
        outlined = _outlined(scene, pictures, options)
        mesh, views = _surface_of_depth(scene, cameras, options, plan, outlined, watch)
    mesh = drop_small_parts(mesh, options.min_part)
    if pictures and options.refine != "off":
        mesh = _by_photographs(mesh, pictures, options, plan.closed, watch)
    if options.fill_holes:
        mesh = fill_holes(mesh, max_edges=max(100, options.resolution))
    if options.faces is not None:
        mesh = simplify(mesh, options.faces, watch.note)
    if not len(mesh.faces):
        return mesh
    if doubt := _doubt(scene, mesh, cameras, plan, options):
        watch.note(doubt)
    mesh, seen = color_from_views(mesh, views)
    return replace(drop_unseen_parts(mesh, seen), world_from_scene=scene.world_from_scene)


def _doubt(
    scene: Scene | FieldScene,
    mesh: Mesh,
    cameras: Sequence[Camera],
    plan: MeshPlan,
    options: MeshOptions,
) -> str:
    """A sentence where the views agree on no surface, or less than usual, else ""."""
    size = float((plan.box.high - plan.box.low).max())
    looks = [fitted(camera, _DOUBT_SIZE) for camera in _spread(cameras, _DOUBT_VIEWS)]
    middle = (plan.box.high + plan.box.low) / 2
    pixel = max(float((camera_position(one) - middle).norm() / one.K[0, 0]) for one in looks)
    views = [surface_view(scene, one) for one in looks]
    near = max(_UNSURE_WITHIN, 1 / options.resolution, pixel / size)
    close = agreement(mesh, views, near * size)
    if close >= _UNSURE_BELOW:
        return ""
    within = max(_DOUBT_WITHIN, 1 / options.resolution, 2 * pixel / size)
    share = agreement(mesh, views, within * size)
    if share >= _DOUBT_BELOW:
        return (
            f"the views agree on the surface to {near:.1%} of its size in {close:.0%} of what they "
            "show of it, and usually do in nine tenths: mirrors and glass have no shape that "
            "photographs show; elsewhere longer training or more photographs help"
        )
    return (
        f"this mesh is in doubt: in only {share:.0%} of what the views show of it their own depth "
        f"is within {within:.0%} of its size; photographs of mirrors, glass or fog, or some "
        "that contradict each other (things that moved, wrong cameras), have no one surface"
    )


def _outlined(
    scene: Scene | FieldScene, pictures: Sequence[Picture], options: MeshOptions
) -> Sequence[Picture]:
    """The pictures, where their masks are silhouettes of what splats show; else none."""
    wanted = options.refine != "off" and isinstance(scene, Scene) and show_one_object(pictures)
    return pictures if wanted else ()


def _by_photographs(
    mesh: Mesh, pictures: Sequence[Picture], options: MeshOptions, closed: bool, watch: Watch
) -> Mesh:
    """What masks cut off may hang on by other parts, and leaves holes."""
    left = within_masks(mesh, pictures, watch)
    if left is not mesh:
        left = drop_small_parts(left, options.min_part)
        left = fill_holes(left, max_edges=len(left.faces)) if closed else left
    return refined(left, pictures, watch) if options.refine == "photographs" else left


def _surface_of_depth(
    scene: Scene | FieldScene,
    cameras: Sequence[Camera],
    options: MeshOptions,
    plan: MeshPlan,
    outlined: Sequence[Picture],
    watch: Watch,
) -> tuple[Mesh, Iterable[View]]:
    """What the depths of many views agree on, and the views to colour it by, each rendered twice:
    too many to be kept."""
    chosen = _spread(cameras, _MOST_VIEWS)
    if outlined:
        within = watch.over(_spread(outlined, _MOST_VIEWS), "fusing depth")
        views = (cut(surface_view(scene, one.camera), one.coverage) for one in within)
    else:
        views = (surface_view(scene, camera) for camera in watch.over(chosen, "fusing depth"))
    mesh = fused(scene, views, options, plan)
    return mesh, (render(scene, camera, quick=True) for camera in watch.over(chosen, "colouring"))


def _closed_surface_of_field(
    scene: FieldScene,
    cameras: Sequence[Camera],
    options: MeshOptions,
    plan: MeshPlan,
    held_out: Sequence[Camera],
    watch: Watch,
) -> tuple[Mesh, Iterable[View]]:
    """The closest_mesh of depth and single densities, and the few views to colour it by."""
    smaller = [fitted(camera, _FIELD_SIZE) for camera in _spread(cameras, _MOST_OF_A_FIELD)]
    kept = [
        render(scene, camera, quick=True) for camera in watch.over(smaller, "looking at the field")
    ]
    mesh = fused(scene, map(solid, kept), options, plan)
    return closest_mesh(scene, mesh, held_out or smaller, options, plan.box), kept


def fused(
    scene: Scene | FieldScene, views: Iterable[View], options: MeshOptions, plan: MeshPlan
) -> Mesh:
    """The surface that the depths of `views` agree on, without colours."""
    return extract_mesh(
        views,
        center=scene.center,
        radius=options.reach * scene.radius,
        resolution=options.resolution,
        closed=plan.closed,
        smoothing=options.smoothing,
        box=plan.box,
    )


def closest_mesh(
    scene: FieldScene, other: Mesh, cameras: Sequence[Camera], options: MeshOptions, box: fuse.Box
) -> Mesh:
    """Of `other` and the surfaces of single densities of a field that which looks most like the
    field through some of the cameras, by silhouettes and depths (`mesh.iso`); without colours."""
    looks = [fitted(camera, _LEVEL_SIZE) for camera in _spread(cameras, _LEVEL_VIEWS)]
    views = [render(scene, camera, quick=True) for camera in looks]
    coarse = density_grid(scene.field, box, min(options.resolution, _LEVEL_RESOLUTION))
    volume = density_grid(scene.field, box, options.resolution, best_level(coarse, views).density)
    of_density = surface(volume, closed=True, smoothing=options.smoothing)
    limit = OFF * float(volume.grid[3])
    if mean_view_error(of_density, views, limit) < mean_view_error(other, views, limit):
        return of_density
    return other


def solid(view: View) -> View:
    """The view with depth only where it is covered."""
    return replace(view, depth=torch.where(view.alpha >= fuse.MIN_ALPHA, view.depth, 0.0))


def surface_view(scene: Scene | FieldScene, camera: Camera) -> View:
    """As `render`, but the depth is that of the surface. Of splats: where most of the light is
    still left, not the mean over all splats behind a pixel (`splats.render.surface_depth`)."""
    view = render(scene, camera, quick=True)
    if isinstance(scene, FieldScene):
        return solid(view)
    return solid(replace(view, depth=surface_depth(scene, camera)))


def cameras_around(center: Tensor, radius: float, count: int = 48, size: int = 400) -> list[Camera]:
    """Cameras spread evenly over a sphere, each seeing a ball of `radius` around `center` whole.

    For scenes that came without cameras.
    """
    distance = 2.5 * radius
    focal = 0.5 * size / math.tan(math.asin(radius / distance))
    K = torch.tensor([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    cameras = []
    for i in range(count):
        z = 1 - (2 * i + 1) / count
        turn = math.pi * (1 + math.sqrt(5)) * i
        flat = math.sqrt(1 - z * z)
        direction = torch.tensor([flat * math.cos(turn), flat * math.sin(turn), z])
        viewmat = look_at(center + distance * direction, center, torch.tensor([0.0, 0.0, 1.0]))
        cameras.append(Camera(viewmat, K, size, size))
    return cameras


def _spread(these: Sequence[T], most: int) -> list[T]:
    """At most `most` of them, evenly chosen, the first always among them."""
    count = min(most, len(these))
    return [these[i * len(these) // count] for i in range(count)]


def empty_border(views: Sequence[View]) -> float:
    """Share of the pictures' outermost pixels that show nothing."""
    rims = [
        torch.cat([view.alpha[0], view.alpha[-1], view.alpha[:, 0], view.alpha[:, -1]])
        for view in views
    ]
    return float((torch.cat(rims) < fuse.MIN_ALPHA).float().mean())
