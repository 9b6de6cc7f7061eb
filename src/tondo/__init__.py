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
    from tondo.api.load import load_cameras as load_cameras
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

# Where names are found when they are first used: `import tondo` must not wait for torch.
_ROOMS = {
    "tondo.api.convert": "convert",
    "tondo.api.directions": "FoundDirections directions",
    "tondo.api.evaluate": "Evaluation evaluate",
    "tondo.api.evaluate_surface": "SurfaceMetrics",
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
    "tondo.data.views": "View",
    "tondo.errors": "InputError OptionError OutputError TondoError",
    "tondo.gan.inversion.lift": "Lifted",
    "tondo.gan.sampling.generate": "Model",
    "tondo.gan.training.options": "TrainOptions",
    "tondo.gan.training.session": "train_generator",
    "tondo.io.models.mesh_files": "write_mesh",
    "tondo.io.posed.photos": "load_photos=load_posed",
    "tondo.kernels.splats.rasterize": "rasterize",
    "tondo.mesh.options": "MeshOptions",
    "tondo.nerf.config": "NerfConfig",
    "tondo.nerf.rays": "opacity_along render_rays=render_scene_rays",
    "tondo.pictures.prepare": "PictureOptions PreparedPictures prepare_pictures",
    "tondo.runs.watch": "Watch",
    "tondo.scenes.options": "ReconstructOptions",
    "tondo.runs.loop": "Interrupted Result",
    "tondo.scenes.reconstruct": "reconstruct",
    "tondo.scenes.render": "render=render_view",
    "tondo.scenes.to_mesh": "to_mesh",
    "tondo.sfm.prepare": "Prepared PrepareOptions prepare",
    "tondo.splats.config": "SplatConfig",
}
_PLACES = {
    name.partition("=")[0]: (module, name.rpartition("=")[2])
    for module, names in _ROOMS.items()
    for name in names.split()
}
__all__ = [*_PLACES, "__version__"]


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'tondo' has no attribute {name!r}")
    module, found = _PLACES[name]
    return getattr(importlib.import_module(module), found)
