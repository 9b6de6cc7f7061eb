"""How a mesh gets its texture. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tondo.errors import OptionError, check_choices, check_number

LARGEST = 16_384  # texels along a side, which is what graphics cards take at most


@dataclass(frozen=True)
class TextureOptions:
    """How a mesh gets its texture.

    Attributes:
        size: texels along each side of the texture; auto: about as many as the photographs show, a
            power of two up to 4096; none: colours per vertex
        photo_size: longest side in pixels of the photographs that it is taken from; None: as
            trained
        fit: what is fitted to the photographs once the colours are there, by rendering, comparing
            and updating; surface: the texture, and the vertices along their normals; texture: the
            texture alone. Vertices of a mesh of one's own stay
        normal_map: also bake a normal map of what the mesh lost when its faces became fewer
        ao: also bake ambient occlusion
        lod: number of coarser meshes beside the first, which share its texture; each has a quarter
            of the faces of the one before
    """

    size: int | Literal["auto", "none"] = "auto"
    photo_size: int | None = None
    fit: Literal["surface", "texture"] = "surface"
    normal_map: bool = False
    ao: bool = False
    lod: int = 0

    def __post_init__(self) -> None:
        check_choices(self)
        check_texture_size("size", self.size)
        check_number("photo_size", self.photo_size, 1)
        check_number("lod", self.lod, 0, 5)


def check_texture_size(name: str, size: int | str) -> None:
    """Of an option of that name. Raises OptionError."""
    if not isinstance(size, str):
        check_number(name, size, 16, LARGEST)
    elif size not in ("auto", "none"):
        raise OptionError(f"`{name}` must be a number of texels, auto or none, got {size!r}")
