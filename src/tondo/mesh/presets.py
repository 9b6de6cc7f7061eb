"""What models for different uses need. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


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
