"""What models for different uses need. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from tondo.api.options import ExportOptions


@dataclass(frozen=True)
class Preset:
    """What a use asks of a model. Numbers and their sources are in docs/assets.md.

    Attributes:
        faces: triangles of the finest mesh, at most; None: as many as there are.
        size: texels along each side of the texture, or none.
        resolution: voxels along the longest side of what the mesh is made of.
        surface: as `MeshOptions.surface`.
        normal_map: whether there is one.
        lod: number of coarser meshes.
        most_faces: triangles that may be on the screen; None: any number.
        most_bytes: size of the file; None: any.
        printable: it must be a closed manifold, and its thinnest wall is measured.
        note: what else is to be known.
    """

    faces: int | None
    size: int | Literal["none"]
    resolution: int = 256
    surface: Literal["auto", "closed"] = "auto"
    normal_map: bool = False
    lod: int = 0
    most_faces: int | None = None
    most_bytes: int | None = None
    printable: bool = False
    note: str | None = None


PRESETS: Mapping[str, Preset] = {
    # Apple's limits for AR Quick Look: 100,000 triangles, one set of textures of 2048 x 2048
    "quick-look": Preset(
        faces=100_000,
        size=2048,
        most_faces=100_000,
        note="Quick Look itself opens .usdz: convert the .glb with Blender or Reality Converter",
    ),
    # one object among many on the screen; detail is in the normal map; chosen
    "game": Preset(faces=10_000, size=2048, normal_map=True, lod=2),
    # scenes of stand-alone headsets: less than 100,000 triangles and 30 MB in all (ArborXR)
    "vr": Preset(faces=50_000, size=2048, most_faces=100_000, most_bytes=30_000_000),
    # seen from near; 8192 is what graphics cards of today take safely; chosen
    "film": Preset(faces=500_000, size=8192, resolution=512),
    # slicers take millions of triangles, and no colours
    "print": Preset(faces=None, size="none", surface="closed", printable=True),
}


def for_purpose(options: ExportOptions, typed: frozenset[str] = frozenset()) -> ExportOptions:
    """The options with what the preset of `options.purpose` says, wherever they have their
    defaults.

    Args:
        typed: dotted names of fields that stay as they are though they have their default, such as
            "texture.lod".
    """
    if options.purpose is None:
        return options
    preset, plain = PRESETS[options.purpose], ExportOptions()
    mesh = {name: getattr(preset, name) for name in ("faces", "resolution", "surface")}
    texture = {name: getattr(preset, name) for name in ("size", "normal_map", "lod")}
    if options.onto is not None:  # that mesh stays as it is, and is there for its texture
        texture = {"normal_map": preset.normal_map}
        if preset.size != "none":
            texture["size"] = preset.size
    return replace(
        options,
        mesh=_filled(options.mesh, plain.mesh, mesh, "mesh.", typed),
        texture=_filled(options.texture, plain.texture, texture, "texture.", typed),
    )


def _filled(
    own: Any, plain: Any, wanted: Mapping[str, Any], path: str, typed: frozenset[str]
) -> Any:
    """The record `own` with the values wanted where it has those of `plain`."""
    free = {
        name: value
        for name, value in wanted.items()
        if path + name not in typed and getattr(own, name) == getattr(plain, name)
    }
    return replace(own, **free)
