"""Tondo: pictures in, 3D models out, on a plain CPU."""

from __future__ import annotations

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
    from tondo.gan.inversion.lift import lift as lift
    from tondo.gan.sampling.generate import generate as generate
    from tondo.io.models.mesh_files import write_mesh as write_mesh
    from tondo.io.models.scene import load_scene as load_scene
    from tondo.io.posed.photos import load_posed as load_photos  # noqa: F401
    from tondo.kernels.splats.rasterize import rasterize as rasterize
    from tondo.nerf.rays import opacity_along as opacity_along
    from tondo.nerf.rays import render_scene_rays as render_rays  # noqa: F401
    from tondo.scenes.reconstruct import reconstruct as reconstruct
    from tondo.scenes.render import render_view as render  # noqa: F401
    from tondo.scenes.to_mesh import to_mesh as to_mesh

# Imported on first use: `tondo --help` must not wait for torch.
_PLACES = {
    "generate": ("tondo.gan.sampling.generate", "generate"),
    "lift": ("tondo.gan.inversion.lift", "lift"),
    "load_photos": ("tondo.io.posed.photos", "load_posed"),
    "opacity_along": ("tondo.nerf.rays", "opacity_along"),
    "rasterize": ("tondo.kernels.splats.rasterize", "rasterize"),
    "reconstruct": ("tondo.scenes.reconstruct", "reconstruct"),
    "render": ("tondo.scenes.render", "render_view"),
    "render_rays": ("tondo.nerf.rays", "render_scene_rays"),
    "to_mesh": ("tondo.scenes.to_mesh", "to_mesh"),
    "load_scene": ("tondo.io.models.scene", "load_scene"),
    "write_mesh": ("tondo.io.models.mesh_files", "write_mesh"),
}
__all__ = [*_PLACES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'tondo' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _PLACES[name]
    return getattr(import_module(module), attribute)
