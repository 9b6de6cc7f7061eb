"""New models from a trained generator: one for each seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.data.records import shown
from tondo.data.splats import Scene
from tondo.errors import InputError
from tondo.gan.files.generator_file import AGAIN
from tondo.gan.files.open_generator import Opened
from tondo.gan.networks.generator import Generator
from tondo.gan.objects.contact_sheet import latents
from tondo.gan.objects.export import mesh_of, scene_of
from tondo.gan.sampling.directions import (
    Directions,
    find_directions,
    load_directions,
    moved,
    parse_move,
)


@dataclass(frozen=True)
class Model:
    """One generated object, +y up, within about the unit sphere.

    Attributes:
        seed: what it was made from.
        w: [W] its style.
        splats: as splats on white. mesh: as a closed mesh with colours and normals.
    """

    seed: int
    w: Tensor
    splats: Scene
    mesh: Mesh

    __repr__ = shown


@torch.no_grad()
def styles_of(
    opened: Opened, seeds: Sequence[int], truncation: float, moves: Sequence[str] = ()
) -> Tensor:
    """[len(seeds), W] the seeds' styles, truncated and moved.

    Raises:
        InputError: the generator's weights make styles that are not finite.
        OptionError: a move that cannot be used.
    """
    generator = opened.trained.generator
    # one by one: in a batch of another size the same seed would be rounded otherwise
    z = latents(list(seeds), generator.shape.z)
    w = torch.cat([generator.styles(each[None], truncation) for each in z])
    _check_numbers(opened.path, w)
    wanted = tuple(parse_move(text) for text in moves)
    return moved(w, wanted, directions_of(opened)) if wanted else w


def directions_of(opened: Opened) -> Directions:
    """Those beside the generator, made by `tondo directions`, or new ones, which are the same.

    Raises:
        InputError: the file beside the generator is damaged or of another generator.
    """
    path = opened.companion("directions")
    generator = opened.trained.generator
    return load_directions(path, generator) if path.is_file() else find_directions(generator)


@torch.no_grad()
def model_of(
    generator: Generator, w: Tensor, seed: int = 0, file: Path | str = "the generator"
) -> Model:
    """The object of one style w [W]; `file`: the generator's, for the error.

    Raises:
        InputError: the weights, each of which may be finite, make an object that is not.
    """
    skins = generator(w[None])
    scene = scene_of(skins, 0)
    _check_numbers(file, *vars(scene.splats).values())
    mesh = mesh_of(skins, 0)
    _check_numbers(file, mesh.vertices)
    return Model(seed, w, scene, mesh)


def _check_numbers(file: Path | str, *made: Tensor) -> None:
    if not all(bool(torch.isfinite(tensor).all()) for tensor in made):
        raise InputError(
            f"{file} is damaged, its weights make objects of numbers that are NaN or infinite: "
            f"{AGAIN}"
        )
