"""What a training is given: pictures, cameras, and the generator that it begins with."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from tondo.data.pictures import PictureSet, of_classes
from tondo.errors import InputError, OptionError
from tondo.features.choose import load_extractor
from tondo.gan.files.generator_file import Trained
from tondo.gan.files.open_generator import open_generator
from tondo.gan.networks.shape import BASIS_MAPS, COMPONENTS, ROWS, SMALL, SMALL_ROWS, GeneratorShape
from tondo.gan.options import TrainOptions
from tondo.gan.training.options import SIZES
from tondo.gan.training.state import TrainInputs
from tondo.geometry.look_at import angles_of
from tondo.geometry.pose_prior import NAMED, PosePrior, parse_poses, prior_around
from tondo.io.atomic import write_json
from tondo.io.collections.picture_shards import is_prepared, load_pictures
from tondo.kernels.splats.rasterize import rasterize_path
from tondo.pictures.options import LEAST, PictureOptions
from tondo.pictures.prepare import FEW, prepare_pictures
from tondo.runs.device import training_device
from tondo.runs.run_directory import RunDirectory, read_photos
from tondo.runs.watch import Watch


def open_base(options: TrainOptions) -> Trained | None:
    """The generator that training starts from, if any; looked at before pictures are prepared.

    Raises:
        InputError, OptionError: it cannot be opened, or makes pictures of another size.
    """
    if options.base is None:
        return None
    base = open_generator(options.base).trained
    size = base.generator.shape.size
    if size != options.size:
        raise OptionError(
            f"{options.base} makes pictures of {size} pixels a side, `size` is {options.size}: "
            f"give `size={size}`"
        )
    return base


def training_set(
    source: Path, run: RunDirectory, options: TrainOptions, watch: Watch
) -> PictureSet:
    """The training set; made inside the run where `source` is not a prepared one."""
    folder = source
    if not is_prepared(source):
        folder = run.path / "pictures"
        if not is_prepared(folder):
            made = prepare_pictures(
                source, folder, _picture_options(options), force=True, on_progress=watch.stage
            )
            watch.note(
                f"made a training set of {source}: {made.count} pictures, {made.kind}; "
                f"report: {folder / 'report.html'}"
            )
    pictures = load_pictures(folder)
    if options.classes and folder == source:
        pictures = of_classes(pictures, options.classes)
        _check_count(pictures, folder, options)
    if pictures.size != options.size:
        same = f"train with `size={pictures.size}`, or " if pictures.size in SIZES else ""
        raise OptionError(
            f"{folder} holds pictures of {pictures.size} pixels a side, `size` is {options.size}: "
            f"{same}prepare them again with `size={options.size}`"
        )
    return pictures


def note_pictures(run: RunDirectory, pictures: PictureSet, *, resume: bool) -> None:
    """Into RUN/photos.json: what the pictures are; of a run that goes on, whether they are the
    same.

    Raises:
        InputError: they are not. OutputError: the file cannot be written.
    """
    digest = hashlib.blake2b(digest_size=16)
    for tensor in (pictures.images, pictures.viewmats, pictures.Ks, pictures.labels):
        if tensor is not None:
            digest.update(repr(tuple(tensor.shape)).encode())
            digest.update(tensor.contiguous().numpy().data)
    count = len(pictures.images)
    now = {"count": count, "hash": digest.hexdigest()}
    stored = read_photos(run).get("pictures") if resume else None
    if isinstance(stored, dict) and stored != now:
        before = stored.get("count")
        differs = f"{before} then, {count} now" if before != count else "others of the same number"
        raise InputError(
            f"the pictures of {pictures.source} are not those that the run was started with "
            f"({differs}): restore them, or start again with `force`"
        )
    write_json(run.photos_path, {"pictures": now})


def _check_count(pictures: PictureSet, folder: Path, options: TrainOptions) -> None:
    count, least = len(pictures.images), LEAST if options.base is None else FEW
    if count < least:
        raise InputError(
            f"{folder} has {count} pictures of {', '.join(options.classes)}: training needs at "
            f"least {least}; name more classes"
        )


def _picture_options(options: TrainOptions) -> PictureOptions:
    """How raw pictures are prepared; of the few that adapt a generator none is left out."""
    new = PictureOptions(size=options.size, classes=options.classes)
    return new if options.base is None else replace(new, similar=0.0, keep_blurred=True, least=FEW)


def train_inputs(
    pictures: PictureSet, options: TrainOptions, watch: Watch, start: Trained | None = None
) -> tuple[TrainInputs, GeneratorShape]:
    """What a training of `pictures` is given, and the shape of its generator; `start`: the one that
    it begins with."""
    angles, priors = _cameras(pictures, options, watch, start)
    background = options.background or ("white" if pictures.is_plain else "scene")
    base, shape = None, _new_shape(options, background, with_cameras=angles is not None)
    if start is not None:
        base, shape = start.generator, start.generator.shape
        if shape.background != background:
            watch.note(f"{options.base} makes its background {shape.background!r}: kept")
    features = load_extractor(options.adversarial.features)
    device = training_device(options.device)
    if device.type == "cuda":
        path, why = rasterize_path(device)
        watch.note(f"training on {torch.cuda.get_device_name(device)}, splats by {path} ({why})")
    return TrainInputs(pictures, priors, features, options, angles, base, device), shape


def _cameras(
    pictures: PictureSet, options: TrainOptions, watch: Watch, start: Trained | None
) -> tuple[Tensor | None, tuple[PosePrior, ...]]:
    """Angles [N, 3] of the pictures' own cameras, if these are used, and the prior of all."""
    if options.poses is not None:
        return None, parse_poses(options.poses)
    if pictures.viewmats is not None and pictures.Ks is not None:
        watch.note("the pictures' own cameras are used")
        prior = prior_around(pictures.viewmats, pictures.Ks, pictures.size)
        return angles_of(pictures.viewmats), (prior,)
    if start is not None:
        watch.note(f"no cameras are known: assuming those of {options.base} (choose with `poses`)")
        return None, start.priors
    name = "turntable" if pictures.is_plain else "frontal"
    watch.note(f"no cameras are known: assuming {name} (choose with `poses`)")
    return None, NAMED[name]


def _new_shape(options: TrainOptions, background: str, *, with_cameras: bool) -> GeneratorShape:
    splats = options.representation == "splats"
    rows = SMALL_ROWS if splats and options.size <= SMALL else ROWS
    return GeneratorShape(
        rows=rows,
        columns=2 * rows,
        size=options.size,
        background=background,
        light=options.light or ("none" if with_cameras or not splats else "camera"),
        representation=options.representation,
        mirror=options.mirror,
        axial=options.axial,
        basis_maps=BASIS_MAPS if splats else 0,
        mixture_components=COMPONENTS,
        has_inner_layer=splats,
    )
