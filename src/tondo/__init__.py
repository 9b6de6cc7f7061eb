"""Tondo: pictures in, 3D models out, on a plain CPU."""
# ruff: noqa: F401, what is imported here is for others

from __future__ import annotations

import importlib

# Before pycolmap, wherever that is imported: 4.2 brings a compression library of its own, and where
# it comes first, writing a PNG corrupts memory.
import zlib
from typing import TYPE_CHECKING, Any

from tondo._version import __version__

if TYPE_CHECKING:
    from tondo.api.convert import convert
    from tondo.api.directions import FoundDirections, directions
    from tondo.api.evaluate import Evaluation, evaluate
    from tondo.api.evaluate_surface import MeshMetrics, SurfaceMetrics
    from tondo.api.explain import Explanation, explain
    from tondo.api.export import Exported, export
    from tondo.api.generate import Models, generate
    from tondo.api.lift import lift
    from tondo.api.load import load_cameras, load_scene
    from tondo.api.options import (
        DirectionsOptions,
        EvaluateOptions,
        ExplainOptions,
        ExportOptions,
        GenerateOptions,
        LiftOptions,
        RenderOptions,
        SurfaceOptions,
    )
    from tondo.api.render_files import RenderedFiles, render_files
    from tondo.data.cameras import Camera
    from tondo.data.field import Field, FieldScene, FrequencyField
    from tondo.data.mesh import Mesh
    from tondo.data.photos import Photo, PhotoSet, PointCloud
    from tondo.data.pictures import PictureSet
    from tondo.data.similarity import Similarity
    from tondo.data.splats import Scene, Splats
    from tondo.data.textured import Texture, TexturedMesh
    from tondo.data.views import View
    from tondo.errors import InputError, OptionError, OutputError, TondoError
    from tondo.gan.inversion.lift import Lifted
    from tondo.gan.options import TrainOptions
    from tondo.gan.sampling.generate import Model
    from tondo.gan.training.session import train_generator
    from tondo.io.models.mesh_files import write_mesh
    from tondo.io.models.textured_files import read_textured, write_textured
    from tondo.io.posed.photos import load_photos
    from tondo.kernels.splats.rasterize import rasterize
    from tondo.mesh.options import MeshOptions
    from tondo.nerf.options import NerfOptions
    from tondo.nerf.rays import opacity_along, render_rays
    from tondo.pictures.options import PictureOptions
    from tondo.pictures.prepare import PreparedPictures, prepare_pictures
    from tondo.runs.loop import Interrupted, Result
    from tondo.runs.watch import Watch
    from tondo.scenes.options import ReconstructOptions
    from tondo.scenes.reconstruct import reconstruct
    from tondo.scenes.render import render
    from tondo.scenes.to_mesh import to_mesh
    from tondo.sfm.options import PrepareOptions
    from tondo.sfm.prepare import Prepared, prepare
    from tondo.splats.options import SplatOptions
    from tondo.texture.make import TextureFacts
    from tondo.texture.options import TextureOptions

# Where names are found when they are first used: `import tondo` must not wait for torch.
_ROOMS = {
    "tondo.api.convert": "convert",
    "tondo.api.directions": "FoundDirections directions",
    "tondo.api.evaluate": "Evaluation evaluate",
    "tondo.api.evaluate_surface": "MeshMetrics SurfaceMetrics",
    "tondo.api.explain": "Explanation explain",
    "tondo.api.export": "Exported export",
    "tondo.api.generate": "Models generate",
    "tondo.api.lift": "lift",
    "tondo.api.load": "load_cameras load_scene",
    "tondo.api.options": "DirectionsOptions EvaluateOptions ExplainOptions ExportOptions "
    "GenerateOptions LiftOptions RenderOptions SurfaceOptions",
    "tondo.api.render_files": "RenderedFiles render_files",
    "tondo.data.cameras": "Camera",
    "tondo.data.field": "Field FieldScene FrequencyField",
    "tondo.data.mesh": "Mesh",
    "tondo.data.photos": "Photo PhotoSet PointCloud",
    "tondo.data.pictures": "PictureSet",
    "tondo.data.similarity": "Similarity",
    "tondo.data.splats": "Scene Splats",
    "tondo.data.textured": "Texture TexturedMesh",
    "tondo.data.views": "View",
    "tondo.errors": "InputError OptionError OutputError TondoError",
    "tondo.gan.inversion.lift": "Lifted",
    "tondo.gan.sampling.generate": "Model",
    "tondo.gan.options": "TrainOptions",
    "tondo.gan.training.session": "train_generator",
    "tondo.io.models.mesh_files": "write_mesh",
    "tondo.io.models.textured_files": "read_textured write_textured",
    "tondo.io.posed.photos": "load_photos",
    "tondo.kernels.splats.rasterize": "rasterize",
    "tondo.mesh.options": "MeshOptions",
    "tondo.nerf.options": "NerfOptions",
    "tondo.nerf.rays": "opacity_along render_rays",
    "tondo.pictures.options": "PictureOptions",
    "tondo.pictures.prepare": "PreparedPictures prepare_pictures",
    "tondo.runs.watch": "Watch",
    "tondo.scenes.options": "ReconstructOptions",
    "tondo.runs.loop": "Interrupted Result",
    "tondo.scenes.reconstruct": "reconstruct",
    "tondo.scenes.render": "render",
    "tondo.scenes.to_mesh": "to_mesh",
    "tondo.sfm.options": "PrepareOptions",
    "tondo.sfm.prepare": "Prepared prepare",
    "tondo.splats.options": "SplatOptions",
    "tondo.texture.make": "TextureFacts",
    "tondo.texture.options": "TextureOptions",
}
_PLACES = {name: module for module, names in _ROOMS.items() for name in names.split()}
__all__ = [*_PLACES, "__version__"]


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'tondo' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)
