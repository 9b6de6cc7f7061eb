"""Generated models as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

from tondo.data.textured import TexturedMesh
from tondo.gan.networks.shape import GeneratorShape
from tondo.gan.objects.export import UP
from tondo.gan.objects.textured import textured
from tondo.gan.sampling.generate import Model
from tondo.io.models.mesh_files import write_mesh
from tondo.io.models.textured_files import TEXTURED, write_textured
from tondo.runs.watch import SILENT, Watch
from tondo.texture.bake import Picture
from tondo.texture.options import TextureOptions


def write_model(
    paths: Sequence[Path],
    model: Model,
    shape: GeneratorShape,
    texture: int | Literal["auto", "none"],
    watch: Watch = SILENT,
    *,
    photographs: Sequence[Picture] = (),
) -> None:
    """Write a generated model's mesh to all `paths`, .glb and .obj with one and the same texture.

    Args:
        shape: of the generator that made it.
        texture: texels along each side; auto: by the renders; none: colours per vertex.
        photographs: of the model, which its texture is taken from before renders are.

    Raises:
        OptionError: an ending that is none of a mesh.
        OutputError: the file cannot be written.
    """
    made: TexturedMesh | None = None
    for path in paths:
        if texture == "none" or path.suffix.lower() not in TEXTURED:
            write_mesh(path, model.mesh, torch.tensor(UP))
            continue
        if made is None:
            options = TextureOptions(size=texture)
            scene, mesh = model.splats, model.mesh
            made, _ = textured(scene, mesh, shape, options, watch, photographs=photographs)
        write_textured(path, made, torch.tensor(UP))
