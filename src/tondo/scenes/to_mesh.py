"""A mesh out of a scene: render depth, fuse it, extract, clean and colour the surface.

A closed surface of a radiance field is that of one density instead. What was tried and measured is
in docs/notes/mesh.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.field import FieldScene
from tondo.data.mesh import Mesh
from tondo.data.splats import Scene
from tondo.data.views import View
from tondo.geometry.cameras import fitted
from tondo.geometry.look_at import look_at
from tondo.mesh import fuse
from tondo.mesh.clean import drop_small_parts, drop_unseen_parts, fill_holes
from tondo.mesh.extract import extract_mesh, surface
from tondo.mesh.iso import OFF, best_level, density_grid, unlike_views
from tondo.mesh.simplify import simplify
from tondo.mesh.visible import color_from_views
from tondo.scenes.render import render_view
from tondo.splats.render import surface_depth

# More views than this add time but no detail. Of an object that is a field fewer are enough: each
# takes far longer, and all are kept.
_MOST_VIEWS, _MOST_OF_A_FIELD, _FIELD_SIZE = 150, 32, 640
# Views that are looked at first, to find out what there is.
_SCOUTS = 24
# Of a field, the density of the surface is chosen by so many pictures, smaller ones as those of a
# first look, and fewer voxels.
_LEVEL_VIEWS, _LEVEL_SIZE, _LEVEL_RESOLUTION = 8, 200, 128

# Passes cameras on while showing how far it is; gets them and what is being done.
Watch = Callable[[Sequence[Camera], str], Iterable[Camera]]


@dataclass(frozen=True)
class MeshOptions:
    """How to make the mesh.

    Attributes:
        resolution: voxels along the longest side of the box around what is seen.
        surface: "closed" for an object before an empty background (watertight), "open" for rooms
            and streets (only what was seen), "auto" decides by the pictures' borders.
        reach: half of the side of the cube around the scene's center in which to look, in units
            of the scene's radius.
        smoothing: of the distance field, in voxels; see `mesh.extract.extract_mesh`.
        min_part: parts with less area than this share of the largest part are dropped.
        fill_holes: close small holes of an open surface.
        faces: simplify to this many faces, None to leave them.
    """

    resolution: int = 256
    surface: Literal["auto", "closed", "open"] = "auto"
    reach: float = 1.0
    smoothing: float = 1.0
    min_part: float = 0.02
    fill_holes: bool = False
    faces: int | None = None


@dataclass(frozen=True)
class MeshPlan:
    """What was found by a first look: where the surface is, and whether it is closed."""

    box: fuse.Box
    closed: bool


def plan_mesh(
    scene: Scene | FieldScene, cameras: Sequence[Camera], options: MeshOptions
) -> MeshPlan:
    """Look through a few of the cameras: where is the surface, is it one object?

    Raises:
        ValueError: no cameras.
    """
    if not cameras:
        raise ValueError("a mesh needs at least one camera to look through")
    limit = fuse.cube(scene.center, options.reach * scene.radius)
    scouts = _spread(cameras, _SCOUTS)
    if isinstance(scene, FieldScene):
        scouts = [fitted(camera, _LEVEL_SIZE) for camera in scouts]
    views = [render_view(scene, camera, quick=True) for camera in scouts]
    closed = options.surface == "closed" or (
        options.surface == "auto" and empty_border(views) > 0.75
    )
    return MeshPlan(fuse.visible_box(views, limit), closed)


def scene_mesh(
    scene: Scene | FieldScene,
    cameras: Sequence[Camera],
    options: MeshOptions,
    plan: MeshPlan | None = None,
    watch: Watch = lambda cameras, _: cameras,
    held_out: Sequence[Camera] = (),
) -> Mesh:
    """The surface of a scene, with colours and normals, in the scene's frame and with its place.

    Args:
        cameras: viewpoints that saw the scene, best those of the photos.
        plan: from `plan_mesh`; made here if None.
        watch: shows progress.
        held_out: cameras that training did not see, by which the density of a field's surface is
            chosen; if there are none, some of `cameras`.

    Returns:
        The mesh; without any vertex where the cameras see no surface.
    """
    plan = plan or plan_mesh(scene, cameras, options)
    if isinstance(scene, FieldScene) and plan.closed:
        smaller = [fitted(camera, _FIELD_SIZE) for camera in _spread(cameras, _MOST_OF_A_FIELD)]
        kept = [
            render_view(scene, camera, quick=True)
            for camera in watch(smaller, "looking at the field")
        ]
        mesh = fused(scene, map(solid, kept), options, plan)
        mesh = likest(scene, mesh, held_out or smaller, options, plan.box)
        pictures: Iterable[View] = kept
    else:
        chosen = _spread(cameras, _MOST_VIEWS)
        views = (surface_view(scene, camera) for camera in watch(chosen, "fusing depth"))
        mesh = fused(scene, views, options, plan)
        pictures = (render_view(scene, camera, quick=True) for camera in watch(chosen, "colouring"))
    mesh = drop_small_parts(mesh, options.min_part)
    if options.fill_holes:
        mesh = fill_holes(mesh, max_edges=max(100, options.resolution))
    if options.faces is not None:
        mesh = simplify(mesh, options.faces)
    if not len(mesh.faces):
        return mesh
    mesh, seen = color_from_views(mesh, pictures)
    return replace(drop_unseen_parts(mesh, seen), world_from_scene=scene.world_from_scene)


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


def likest(
    scene: FieldScene, other: Mesh, cameras: Sequence[Camera], options: MeshOptions, box: fuse.Box
) -> Mesh:
    """Of `other` and the surfaces of single densities of a field that which looks most like the
    field through some of the cameras, by silhouettes and depths (`mesh.iso`); without colours."""
    looks = [fitted(camera, _LEVEL_SIZE) for camera in _spread(cameras, _LEVEL_VIEWS)]
    views = [render_view(scene, camera, quick=True) for camera in looks]
    coarse = density_grid(scene.field, box, min(options.resolution, _LEVEL_RESOLUTION))
    volume = density_grid(scene.field, box, options.resolution, best_level(coarse, views).density)
    of_density = surface(volume, closed=True, smoothing=options.smoothing)
    limit = OFF * float(volume.grid[3])
    return min((other, of_density), key=lambda mesh: unlike_views(mesh, views, limit))


def solid(view: View) -> View:
    """The view with depth only where it is covered."""
    return replace(view, depth=torch.where(view.alpha >= fuse.MIN_ALPHA, view.depth, 0.0))


def surface_view(scene: Scene | FieldScene, camera: Camera) -> View:
    """As `render_view`, but the depth is that of the surface. Of splats: where most of the light is
    still left, not the mean over all splats behind a pixel (`splats.render.surface_depth`)."""
    view = render_view(scene, camera, quick=True)
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


def _spread(cameras: Sequence[Camera], most: int) -> list[Camera]:
    """At most `most` of the cameras, evenly chosen, the first always among them."""
    count = min(most, len(cameras))
    return [cameras[i * len(cameras) // count] for i in range(count)]


def empty_border(views: Sequence[View]) -> float:
    """Share of the pictures' outermost pixels that show nothing."""
    rims = [
        torch.cat([view.alpha[0], view.alpha[-1], view.alpha[:, 0], view.alpha[:, -1]])
        for view in views
    ]
    return float((torch.cat(rims) < fuse.MIN_ALPHA).float().mean())
