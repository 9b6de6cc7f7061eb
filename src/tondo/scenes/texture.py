"""Pictures to take a mesh's texture from: the photographs of a run, and renders of its scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from statistics import median

import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.field import FieldScene
from tondo.data.mesh import Mesh
from tondo.data.photos import Photo
from tondo.data.splats import Exposures, Scene
from tondo.data.textured import TexturedMesh
from tondo.errors import InputError
from tondo.io.posed.photos import load_cameras
from tondo.kernels.mesh_depth import mesh_depth
from tondo.mesh.options import MeshOptions
from tondo.runs.run_directory import RunDirectory
from tondo.runs.watch import SILENT, Watch
from tondo.scenes.distil import straight
from tondo.scenes.open import OpenedScene
from tondo.scenes.photographs import photos_of_run
from tondo.scenes.to_mesh import cameras_around, surface_view
from tondo.sfm.photos.quality import measure_quality
from tondo.texture.bake import Picture
from tondo.texture.make import TextureFacts, with_texture
from tondo.texture.options import TextureOptions

# Renders from all around, and their size in pixels; fewer and smaller of a field, each of which
# takes far longer. Chosen.
AROUND, AROUND_SIZE = 48, 400
AROUND_FIELD, FIELD_SIZE = 24, 256
# A photograph counts by its sharpness (variance of the Laplacian) over the usual one, within this
# range: measured on hand-held photographs (docs/notes/texture.md).
SHARPNESS_RANGE = (0.1, 3.0)
IN_FRONT = (
    0.03  # share of the distance by which a render may show something before the mesh; chosen
)


def photographs(
    opened: OpenedScene,
    run: RunDirectory,
    *,
    source: str | Path | None = None,
    max_size: int | None = None,
) -> list[Picture]:
    """The photographs that a run was trained on, with its refined cameras and exposures.

    Raises:
        InputError: they are gone or cannot be read.
    """
    photos, _ = photos_of_run(opened, run, source=source, max_size=max_size)
    place = opened.scene.world_from_scene
    refined = {}
    if run.cameras_path.is_file():
        known = load_cameras(run.cameras_path, world_from_scene=place)
        refined = {one.name: one.camera.viewmat for one in known}
    found = []
    for index, photo in enumerate(photos.train):
        viewmat = refined.get(str(PurePosixPath(photo.name).with_suffix("")))
        unexposed = _unexposed(opened.scene.exposures, index, len(photos.train))
        found.append(_picture(photo, viewmat, unexposed))
    return by_sharpness(found)


def pictures_to_refine_by(
    opened: OpenedScene,
    how: MeshOptions,
    watch: Watch = SILENT,
    *,
    source: str | Path | None = None,
) -> list[Picture]:
    """The photographs of a scene's run, where its mesh is to be refined by them and they are found.

    Args:
        source: where they are now, if they moved.

    Raises:
        InputError: `source` has no such photographs.
    """
    if how.refine == "off" or opened.run is None:
        return []
    try:
        return photographs(opened, opened.run, source=source)
    except InputError as error:
        if source is not None:
            raise
        moved = how.refine == "photographs"
        left_out = "moved to where photographs agree" if moved else "cut by the photographs' masks"
        watch.note(f"the mesh is not {left_out}: {error}")
        return []


def by_sharpness(pictures: Sequence[Picture]) -> list[Picture]:
    """The pictures with weights by how sharp they are beside the others. What they show counts,
    too; but those that show one place all show it."""
    found = []
    for one in pictures:
        grey, mask = one.image.float().mean(dim=-1), 255 * one.coverage
        found.append(measure_quality(grey.byte().numpy(), mask.byte().numpy()).sharpness)
    usual = median(found) if found else 0.0
    if usual <= 0:
        return list(pictures)
    low, high = SHARPNESS_RANGE
    weights = [min(high, max(low, sharpness / usual)) for sharpness in found]
    return [replace(one, weight=weight) for one, weight in zip(pictures, weights, strict=True)]


def _picture(photo: Photo, viewmat: Tensor | None, unexposed: Tensor | None) -> Picture:
    camera = photo.camera
    if viewmat is not None:
        camera = Camera(viewmat, camera.K, camera.width, camera.height)
    coverage = torch.ones(camera.height, camera.width)
    if photo.alpha is not None:
        coverage = photo.alpha.float() / 255
    if photo.valid is not None:
        coverage = coverage * photo.valid
    alone = photo.alpha is not None and photo.valid is None
    return Picture(camera, photo.image, coverage, unexposed, alone=alone)


def _unexposed(exposures: Exposures | None, index: int, count: int) -> Tensor | None:
    """[3, 4] the inverse of a training photo's exposure, where it is known and has one."""
    if exposures is None or len(exposures.matrices) != count:
        return None
    whole = torch.cat([exposures.matrices[index].double(), torch.tensor([[0.0, 0.0, 0.0, 1.0]])])
    if float(torch.linalg.cond(whole)) > 1e3:
        return None
    return torch.linalg.inv(whole)[:3].float()


def texture_of_scene(
    opened: OpenedScene,
    mesh: Mesh,
    options: TextureOptions,
    watch: Watch = SILENT,
    *,
    source: str | Path | None = None,
    uvs: Tensor | None = None,
    dense: Mesh | None = None,
) -> tuple[TexturedMesh, TextureFacts]:
    """The mesh, in the frame of a scene, with a texture from the photographs of its run; where
    there are none, from renders of the scene.

    Args:
        source: where the photographs are now, if they moved.
        uvs: [F, 3, 2] of the mesh's own; None: it is unwrapped.
        dense: what a normal map and ambient occlusion are baked from; None: the mesh.

    Raises:
        OptionError: the mesh cannot be unwrapped. InputError: `source` has no such photographs.
    """
    taken: list[Picture] = []
    if opened.run is not None:
        try:
            taken = photographs(opened, opened.run, source=source, max_size=options.photo_size)
        except InputError as error:
            if source is not None:
                raise
            watch.note(f"the texture is taken from renders of the scene: {error}")
    made: list[Picture] = []

    def rendered() -> list[Picture]:
        if not made:
            made.extend(renders(opened.scene, mesh, watch))
        return made

    return with_texture(mesh, taken, rendered, options, watch, uvs=uvs, dense=dense)


def renders(scene: Scene | FieldScene, mesh: Mesh, watch: Watch = SILENT) -> list[Picture]:
    """Renders of a scene from all around, where they show the mesh and nothing before it."""
    is_field = isinstance(scene, FieldScene)
    how = (AROUND_FIELD, FIELD_SIZE) if is_field else (AROUND, AROUND_SIZE)
    cameras = cameras_around(scene.center, scene.radius, *how)
    found = []
    for camera in watch.over(cameras, "rendering what no photo shows"):
        view = surface_view(scene, camera)
        depth, _ = mesh_depth(
            mesh.vertices, mesh.faces, camera.viewmat, camera.K, camera.width, camera.height
        )
        shown = (view.depth - depth).abs() < IN_FRONT * depth
        own = straight(view, scene.background)
        coverage = view.alpha * shown
        found.append(Picture(camera, (own[..., :3] * 255).round().byte(), coverage))
    return found
