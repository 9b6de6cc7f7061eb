"""Tondo: pictures in, 3D models out, on a plain CPU."""

from __future__ import annotations

import importlib
import os

# Before pycolmap, wherever that is imported: 4.2 brings a compression library of its own, and where
# it comes first, writing a PNG corrupts memory.
import zlib  # noqa: F401
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# The OpenMP that torch brings reads this as torch is loaded. It waits for its threads by spinning
# unless told otherwise; where another program fills a core, the thread that is waited for gets its
# turn only when the waiting one's time is up, at every small operation (docs/notes/gan.md).
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

if TYPE_CHECKING:
    from tondo.api.convert import convert as convert
    from tondo.api.directions import FoundDirections as FoundDirections
    from tondo.api.directions import directions as directions
    from tondo.api.evaluate import Evaluation as Evaluation
    from tondo.api.evaluate import evaluate as evaluate
    from tondo.api.evaluate_surface import SurfaceMetrics as SurfaceMetrics
    from tondo.api.explain import Explanation as Explanation
    from tondo.api.explain import explain as explain
    from tondo.api.export import Exported as Exported
    from tondo.api.export import export as export
    from tondo.api.generate import Models as Models
    from tondo.api.generate import generate as generate
    from tondo.api.lift import lift as lift
    from tondo.api.load import load_scene as load_scene
    from tondo.api.options import DirectionsOptions as DirectionsOptions
    from tondo.api.options import EvaluateOptions as EvaluateOptions
    from tondo.api.options import ExplainOptions as ExplainOptions
    from tondo.api.options import ExportOptions as ExportOptions
    from tondo.api.options import GenerateOptions as GenerateOptions
    from tondo.api.options import LiftOptions as LiftOptions
    from tondo.api.options import RenderOptions as RenderOptions
    from tondo.api.options import SurfaceOptions as SurfaceOptions
    from tondo.api.render_files import RenderedFiles as RenderedFiles
    from tondo.api.render_files import render_files as render_files
    from tondo.data.cameras import Camera as Camera
    from tondo.data.field import Field as Field
    from tondo.data.field import FieldScene as FieldScene
    from tondo.data.field import FrequencyField as FrequencyField
    from tondo.data.mesh import Mesh as Mesh
    from tondo.data.photos import Photo as Photo
    from tondo.data.photos import PhotoSet as PhotoSet
    from tondo.data.photos import PointCloud as PointCloud
    from tondo.data.pictures import PictureSet as PictureSet
    from tondo.data.similarity import Similarity as Similarity
    from tondo.data.splats import Scene as Scene
    from tondo.data.splats import Splats as Splats
    from tondo.data.views import View as View
    from tondo.errors import InputError as InputError
    from tondo.errors import OptionError as OptionError
    from tondo.errors import OutputError as OutputError
    from tondo.errors import TondoError as TondoError
    from tondo.gan.inversion.lift import Lifted as Lifted
    from tondo.gan.sampling.generate import Model as Model
    from tondo.gan.training.options import TrainOptions as TrainOptions
    from tondo.gan.training.session import train_generator as train_generator
    from tondo.io.models.mesh_files import write_mesh as write_mesh
    from tondo.io.posed.photos import load_posed as load_photos  # noqa: F401
    from tondo.kernels.splats.rasterize import rasterize as rasterize
    from tondo.mesh.options import MeshOptions as MeshOptions
    from tondo.nerf.config import NerfConfig as NerfConfig
    from tondo.nerf.rays import opacity_along as opacity_along
    from tondo.nerf.rays import render_scene_rays as render_rays  # noqa: F401
    from tondo.pictures.prepare import PictureOptions as PictureOptions
    from tondo.pictures.prepare import PreparedPictures as PreparedPictures
    from tondo.pictures.prepare import prepare_pictures as prepare_pictures
    from tondo.runs.loop import Interrupted as Interrupted
    from tondo.runs.loop import Result as Result
    from tondo.runs.watch import Watch as Watch
    from tondo.scenes.options import ReconstructOptions as ReconstructOptions
    from tondo.scenes.reconstruct import reconstruct as reconstruct
    from tondo.scenes.render import render_view as render  # noqa: F401
    from tondo.scenes.to_mesh import to_mesh as to_mesh
    from tondo.sfm.prepare import Prepared as Prepared
    from tondo.sfm.prepare import PrepareOptions as PrepareOptions
    from tondo.sfm.prepare import prepare as prepare
    from tondo.splats.config import SplatConfig as SplatConfig

# Where each name is found when it is first used: `import tondo` must not wait for torch.
_PLACES = {
    "convert": "tondo.api.convert:convert",
    "FoundDirections": "tondo.api.directions:FoundDirections",
    "directions": "tondo.api.directions:directions",
    "Evaluation": "tondo.api.evaluate:Evaluation",
    "evaluate": "tondo.api.evaluate:evaluate",
    "SurfaceMetrics": "tondo.api.evaluate_surface:SurfaceMetrics",
    "Explanation": "tondo.api.explain:Explanation",
    "explain": "tondo.api.explain:explain",
    "Exported": "tondo.api.export:Exported",
    "export": "tondo.api.export:export",
    "Models": "tondo.api.generate:Models",
    "generate": "tondo.api.generate:generate",
    "lift": "tondo.api.lift:lift",
    "load_scene": "tondo.api.load:load_scene",
    "DirectionsOptions": "tondo.api.options:DirectionsOptions",
    "EvaluateOptions": "tondo.api.options:EvaluateOptions",
    "ExplainOptions": "tondo.api.options:ExplainOptions",
    "ExportOptions": "tondo.api.options:ExportOptions",
    "GenerateOptions": "tondo.api.options:GenerateOptions",
    "LiftOptions": "tondo.api.options:LiftOptions",
    "RenderOptions": "tondo.api.options:RenderOptions",
    "SurfaceOptions": "tondo.api.options:SurfaceOptions",
    "RenderedFiles": "tondo.api.render_files:RenderedFiles",
    "render_files": "tondo.api.render_files:render_files",
    "Camera": "tondo.data.cameras:Camera",
    "Field": "tondo.data.field:Field",
    "FieldScene": "tondo.data.field:FieldScene",
    "FrequencyField": "tondo.data.field:FrequencyField",
    "Mesh": "tondo.data.mesh:Mesh",
    "Photo": "tondo.data.photos:Photo",
    "PhotoSet": "tondo.data.photos:PhotoSet",
    "PointCloud": "tondo.data.photos:PointCloud",
    "PictureSet": "tondo.data.pictures:PictureSet",
    "Similarity": "tondo.data.similarity:Similarity",
    "Scene": "tondo.data.splats:Scene",
    "Splats": "tondo.data.splats:Splats",
    "View": "tondo.data.views:View",
    "InputError": "tondo.errors:InputError",
    "OptionError": "tondo.errors:OptionError",
    "OutputError": "tondo.errors:OutputError",
    "TondoError": "tondo.errors:TondoError",
    "Lifted": "tondo.gan.inversion.lift:Lifted",
    "Model": "tondo.gan.sampling.generate:Model",
    "TrainOptions": "tondo.gan.training.options:TrainOptions",
    "train_generator": "tondo.gan.training.session:train_generator",
    "write_mesh": "tondo.io.models.mesh_files:write_mesh",
    "load_photos": "tondo.io.posed.photos:load_posed",
    "rasterize": "tondo.kernels.splats.rasterize:rasterize",
    "MeshOptions": "tondo.mesh.options:MeshOptions",
    "NerfConfig": "tondo.nerf.config:NerfConfig",
    "opacity_along": "tondo.nerf.rays:opacity_along",
    "render_rays": "tondo.nerf.rays:render_scene_rays",
    "PictureOptions": "tondo.pictures.prepare:PictureOptions",
    "PreparedPictures": "tondo.pictures.prepare:PreparedPictures",
    "prepare_pictures": "tondo.pictures.prepare:prepare_pictures",
    "Watch": "tondo.runs.watch:Watch",
    "ReconstructOptions": "tondo.scenes.options:ReconstructOptions",
    "Interrupted": "tondo.runs.loop:Interrupted",
    "Result": "tondo.runs.loop:Result",
    "reconstruct": "tondo.scenes.reconstruct:reconstruct",
    "render": "tondo.scenes.render:render_view",
    "to_mesh": "tondo.scenes.to_mesh:to_mesh",
    "Prepared": "tondo.sfm.prepare:Prepared",
    "PrepareOptions": "tondo.sfm.prepare:PrepareOptions",
    "prepare": "tondo.sfm.prepare:prepare",
    "SplatConfig": "tondo.splats.config:SplatConfig",
}
__all__ = [*_PLACES, "__version__"]


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'tondo' has no attribute {name!r}")
    module, _, found = _PLACES[name].partition(":")
    return getattr(importlib.import_module(module), found)
