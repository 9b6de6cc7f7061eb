"""New models from a trained generator, in memory and as files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, overload

import torch
from torch import Tensor

from tondo.api.options import GenerateOptions
from tondo.data.textured import TexturedMesh
from tondo.errors import OptionError
from tondo.gan.files.open_generator import Opened, open_generator
from tondo.gan.objects.contact_sheet import grid, turning_angles, views
from tondo.gan.objects.render import render_styles
from tondo.gan.objects.textured import textured
from tondo.gan.sampling.generate import Model, model_of, styles_of
from tondo.gan.sampling.write import write_model
from tondo.geometry.pose_prior import cameras_by
from tondo.io.images import write_png
from tondo.io.models.mesh_files import UP_AXES
from tondo.io.models.ply import write_splats
from tondo.io.video import write_video
from tondo.runs.watch import SILENT, Watch
from tondo.texture.options import TextureOptions

GRID_ROWS = 16  # seeds that are shown; chosen
FRAMES, FPS = 72, 24  # of a turn: 3 seconds; chosen
STEPS_BETWEEN = 36  # frames from seed to seed; 1.5 s; chosen
DEFAULTS = GenerateOptions()


class Models(Sequence[Model]):
    """Models of a generator, one for each seed; each is made when it is asked for.

    Attributes:
        seeds: what they are made from. styles: [N, W] of each.
        name: the generator's. licence: of the pictures that it was trained on, or "".
    """

    def __init__(self, opened: Opened, seeds: Sequence[int], styles: Tensor) -> None:
        self._opened = opened
        self.seeds, self.styles = tuple(seeds), styles
        self.name, self.licence = opened.name, opened.trained.card.licence

    def __len__(self) -> int:
        return len(self.seeds)

    @overload
    def __getitem__(self, index: int) -> Model: ...
    @overload
    def __getitem__(self, index: slice) -> Models: ...
    def __getitem__(self, index: int | slice) -> Model | Models:
        if isinstance(index, slice):
            return Models(self._opened, self.seeds[index], self.styles[index])
        generator, seed = self._opened.trained.generator, self.seeds[index]
        return model_of(generator, self.styles[index], seed, self._opened.path)

    def textured(self, index: int, size: int | Literal["auto"] = "auto") -> TexturedMesh:
        """Model `index` with a texture of `size` x `size` texels, as its .glb has it."""
        model, shape = self[index], self._opened.trained.generator.shape
        return textured(model.splats, model.mesh, shape, TextureOptions(size=size))[0]

    def __repr__(self) -> str:
        return f"Models({len(self)} of {self.name})"


def generate(
    generator: str | Path,
    seeds: Sequence[int] = range(8),
    options: GenerateOptions = DEFAULTS,
    *,
    output: str | Path | None = None,
    watch: Watch = SILENT,
) -> Models:
    """Models of a trained generator; the same seed always gives the same one.

    Args:
        generator: a run's folder, a generator's file, or the name of an installed generator.
        seeds: one model for each, at least 0.
        output: folder for the files that `options` asks for, seed0000.glb and so on, and grid.png
            with pictures of all models; .glb and .obj have a texture. None: no files.

    Returns:
        A sequence of `Model`: .splats, and .mesh, closed, with colours, +y up, within about the
        unit sphere.

    Raises:
        InputError: no such generator, or its file is damaged.
        OptionError: a seed, truncation, move, format or size that cannot be used.
        OutputError: a file cannot be written.

    Example:
        >>> import tondo
        >>> models = tondo.generate("fish", [0, 5], output="models")
        >>> models[1].seed, models[1].mesh.colors.shape == models[1].mesh.vertices.shape
        (5, True)
        >>> import os
        >>> sorted(os.listdir("models"))[:3]
        ['grid.png', 'seed0000.glb', 'seed0000.png']
    """
    if isinstance(seeds, str | int) or any(seed < 0 for seed in seeds):
        raise OptionError(f"`seeds` must be whole numbers of at least 0, as [0, 5], got {seeds!r}")
    if options.interpolate and len(seeds) < 2:
        raise OptionError("`interpolate` goes from seed to seed: give at least two, `seeds=0-3`")
    opened = open_generator(generator)
    w = styles_of(opened, seeds, options.truncation, options.move)
    models = Models(opened, seeds, w)
    if output is not None:
        size = options.size or max(128, opened.trained.generator.shape.size)
        _write_files(Path(output), models, opened, replace(options, size=size), watch)
    return models


def _write_files(
    folder: Path, models: Models, opened: Opened, options: GenerateOptions, watch: Watch
) -> None:
    assert options.size is not None
    w, size, trained = models.styles, options.size, opened.trained
    for model in watch.over(models, "models"):
        stem = folder / f"seed{model.seed:04d}"
        meshes = [stem.with_suffix(ending) for ending in UP_AXES if ending[1:] in options.format]
        write_model(meshes, model, trained.generator.shape, options.texture)
        for ending in options.format:
            _write(stem, ending, model, opened, size)
    path = folder / "grid.png"
    write_png(path, grid(trained.generator, w[:GRID_ROWS], trained.priors, min(size, 128)))
    if len(w) > GRID_ROWS:
        watch.note(f"the grid shows the first {GRID_ROWS} of {len(w)} seeds")
    if options.interpolate:
        film = folder / "interpolation.mp4"
        write_video(film, _interpolated(opened, w, size), FPS)
        watch.note(f"{film}: {STEPS_BETWEEN * len(w) / FPS:.0f} s from seed to seed")


def _write(stem: Path, ending: str, model: Model, opened: Opened, size: int) -> None:
    """What is no mesh."""
    generator, priors = opened.trained.generator, opened.trained.priors
    if ending == "png":
        images = views(generator, model.w[None], priors, size).images
        write_png(stem.with_suffix(".png"), torch.cat(list(images), dim=1))
    elif ending == "mp4":
        write_video(stem.with_suffix(".mp4"), _turntable(opened, model.w, size), FPS)
    elif ending == "splats":
        path = stem.with_name(f"{stem.name}_splats.ply")
        write_splats(path, model.splats.splats, up=model.splats.up)


def _turntable(opened: Opened, style: Tensor, size: int) -> list[Tensor]:
    """Once round, or there and back where the generator was trained on one side only."""
    generator, priors = opened.trained.generator, opened.trained.priors
    frames = list(views(generator, style[None], priors, size, FRAMES).images)
    return frames if _all_round(opened) else frames + frames[-2:0:-1]


def _interpolated(opened: Opened, w: Tensor, size: int) -> Iterator[Tensor]:
    """From each seed to the next and back to the first, turning once in all."""
    generator, priors = opened.trained.generator, opened.trained.priors
    count = STEPS_BETWEEN * len(w)
    angles = turning_angles(priors, count)
    if not _all_round(opened):  # there and back, so that the film closes
        angles = torch.cat([angles[::2], angles[::2].flip(0)])[:count]
    viewmats, Ks = cameras_by(priors[0], angles, size)
    for k in range(count):
        seed, step = divmod(k, STEPS_BETWEEN)
        share = 0.5 - 0.5 * float(torch.cos(torch.tensor(step / STEPS_BETWEEN * torch.pi)))
        style = w[seed].lerp(w[(seed + 1) % len(w)], share)[None]
        with torch.no_grad():
            rendered, _ = render_styles(generator, style, viewmats[k : k + 1], Ks[k : k + 1], size)
        yield rendered.images[0]


def _all_round(opened: Opened) -> bool:
    low, high = opened.trained.priors[0].azimuth
    return high - low >= 359.9
