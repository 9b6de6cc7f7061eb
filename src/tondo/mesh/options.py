"""How a mesh is made of a scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tondo.errors import check_choices, check_number


@dataclass(frozen=True)
class MeshOptions:
    """How to make the mesh; numbers were chosen by measurement (docs/notes/mesh.md).

    Attributes:
        resolution: voxels along the longest side of the box around what is seen, 16 to 2048; memory
            grows with its cube
        surface: closed: an object before an empty background, made watertight; open: only what was
            seen, for rooms and streets; auto: decided by the pictures' borders
        reach: half of the side of the cube around the scene's centre in which to look, in the
            scene's radii
        smoothing: width of the filter over the distance field, in voxels, 0 to 10; it evens out the
            noise of the depth
        min_part: parts with less area than this share of the largest part are dropped
        refine: what the photographs of the scene do where they are found; masks: what is outside
            of their masks is left out; photographs: the surface also moves to where they agree,
            which is for many photographs and a coarse surface; off: nothing
        fill_holes: close small holes of an open surface
        faces: simplify to at most so many faces; None: as many as there are
    """

    resolution: int = 256
    surface: Literal["auto", "closed", "open"] = "auto"
    reach: float = 1.0
    smoothing: float = 0.5
    min_part: float = 0.02
    refine: Literal["masks", "photographs", "off"] = "masks"
    fill_holes: bool = False
    faces: int | None = None

    def __post_init__(self) -> None:
        check_choices(self)
        check_number("resolution", self.resolution, 16, 2048)
        check_number("reach", self.reach, 0, above=True)
        check_number("smoothing", self.smoothing, 0, 10)
        check_number("faces", self.faces, 4)
