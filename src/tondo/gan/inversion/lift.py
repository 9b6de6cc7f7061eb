"""One photograph in, one model out, through a trained generator."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tondo.data.records import shown, summary
from tondo.errors import OutputError
from tondo.evaluation.distances import mean_pairwise_distance
from tondo.features.efficientnet_lite import load_efficientnet_lite0
from tondo.gan.files.open_generator import Opened
from tondo.gan.inversion.encoder import (
    SAMPLES,
    Encoder,
    EncoderReport,
    OtherGeneratorError,
    load_encoder,
    save_encoder,
    train_encoder,
)
from tondo.gan.inversion.fit_latent import Fitted, Judge, first_poses, fit_latent, tune
from tondo.gan.inversion.target import Target, read_target
from tondo.gan.networks.generator import Generator
from tondo.gan.networks.layers import unit_rms
from tondo.gan.objects.render import render_styles
from tondo.gan.sampling.generate import Model, model_of
from tondo.geometry.pose_prior import draw_cameras
from tondo.kernels.threads import torch_threads
from tondo.runs.watch import SILENT, Progress

SIZE = 64  # pixels at which the photo is compared: the smallest G renders so at least; chosen
COMPARED = 24  # samples that say how much the models of a generator differ; chosen
CLOSE, ROUGH = 0.5, 0.85  # shares of that distance; chosen


@dataclass(frozen=True)
class Stage:
    """How far one stage came.

    Attributes:
        image: [S, S, 3] the model as the photo's camera sees it.
        pixels: mean absolute difference of colour, 0..1.
        perceptual: distance over the network's features.
        overlap: of the two outlines, intersection over union, or None where scenery is kept.
    """

    name: str
    image: Tensor
    pixels: float
    perceptual: float
    overlap: float | None

    __repr__ = shown


@dataclass(frozen=True)
class Lifted:
    """A photograph's model.

    Attributes:
        model: splats and mesh. generator: tuned to the photo. w: [1, W].
        viewmat, K: the camera of the photo. target: the photo as it was compared.
        stages: encoder, style and camera, tuned.
        typical: mean perceptual distance between two of the generator's own models.
        verdict: in words. encoder: how good the first guess is on samples.
    """

    model: Model
    generator: Generator
    w: Tensor
    viewmat: Tensor
    K: Tensor
    target: Target
    stages: tuple[Stage, ...]
    typical: float
    verdict: str
    encoder: EncoderReport
    seconds: float

    def __repr__(self) -> str:
        return summary(self, repr(self.model), self.verdict)


def lift_photo(
    opened: Opened, photo: Path, steps: tuple[int, int], watch: Progress = SILENT.stage
) -> Lifted:
    """The model of a photo, with the encoder beside the generator (`encoder_of`).

    Args:
        steps: of the fit of style and camera, and of tuning the generator.
        watch: told (what is done, how far, of how much).

    Raises:
        InputError: the photo or the encoder cannot be read.
    """
    scenery = opened.trained.generator.shape.background == "scene"
    size = max(SIZE, opened.trained.generator.shape.size)
    target = read_target(photo, size, scenery=scenery)
    encoder, report = encoder_of(opened, watch)
    return lift_target(opened, target, encoder, report, steps, watch)


def encoder_of(
    opened: Opened, watch: Progress = SILENT.stage, *, samples: int = SAMPLES
) -> tuple[Encoder, EncoderReport]:
    """The encoder beside a generator; where there is none that fits, a new one, kept if it can be.

    Raises:
        InputError: there is one, but it is damaged.
    """
    path = opened.companion("encoder")
    if path.is_file():
        try:
            return load_encoder(path, opened.trained)
        except OtherGeneratorError:
            pass  # a run that was trained on has an encoder of the older generator beside it
    encoder, report = train_encoder(opened.trained, samples=samples, watch=watch)
    try:
        save_encoder(path, encoder, opened.trained, report)
    except OutputError:  # an installed generator's folder may be read-only
        return encoder, report
    return load_encoder(path, opened.trained)  # the same as every later time


@torch_threads(1)  # its many operations are small: sharing them out costs more than it saves
def lift_target(
    opened: Opened,
    target: Target,
    encoder: Encoder,
    report: EncoderReport,
    steps: tuple[int, int],
    watch: Progress = SILENT.stage,
) -> Lifted:
    """`lift_photo` of a photo that has been read, with a given encoder."""
    started = time.perf_counter()
    generator, priors = opened.trained.generator, opened.trained.priors
    judge = Judge(target, load_efficientnet_lite0())
    with torch.no_grad():
        guess = encoder(target.image.permute(2, 0, 1)[None])
        starts = first_poses(guess, priors, judge.size)
        guessed = Fitted(unit_rms(guess.w), starts.rows(torch.tensor([0])), 0.0)
    stages = [_stage("encoder", generator, guessed, judge)]
    fitted = fit_latent(generator, judge, guess.w, starts, steps[0], watch)
    stages.append(_stage("style and camera", generator, fitted, judge))
    tuned = tune(generator, judge, fitted, priors, steps[1], watch)
    stages.append(_stage("tuned", tuned, fitted, judge))
    typical = _typical_distance(opened, judge.size)
    return Lifted(
        model_of(tuned, fitted.w[0], file=opened.path),
        tuned,
        fitted.w,
        fitted.pose.viewmats()[0],
        fitted.pose.K,
        target,
        tuple(stages),
        typical,
        _verdict(stages[1].perceptual, typical),
        report,
        time.perf_counter() - started,
    )


def report_json(lifted: Lifted, photo: Path, generator: str) -> dict[str, Any]:
    """What there is to say about a lifted photo, for a JSON file."""
    measured = ("pixels", "perceptual", "overlap")
    stages = {one.name: {name: getattr(one, name) for name in measured} for one in lifted.stages}
    return {
        "photo": str(photo),
        "generator": generator,
        "assumed": lifted.target.assumed,
        "verdict": lifted.verdict,
        "stages": stages,
        "typical_perceptual_between_models": lifted.typical,
        "compared_at_pixels": lifted.target.image.shape[0],
        "extractor": "efficientnet-lite0",
        "camera": {"viewmat": lifted.viewmat.tolist(), "K": lifted.K.tolist()},
        "encoder": asdict(lifted.encoder),
        "seconds": round(lifted.seconds, 2),
    }


@torch.no_grad()
def _stage(name: str, generator: Generator, fitted: Fitted, judge: Judge) -> Stage:
    rendered, _ = render_styles(
        generator, fitted.w, fitted.pose.viewmats(), fitted.pose.K[None], judge.size
    )
    pixels = float((rendered.images[0] - judge.target.image).abs().mean())
    overlap = None
    if judge.target.mask is not None:
        ours, theirs = rendered.alphas[0] > 0.5, judge.target.mask > 0.5
        overlap = float((ours & theirs).sum() / (ours | theirs).sum().clamp_min(1))
    image = rendered.images[0].clamp(0, 1)
    return Stage(name, image, pixels, float(judge.perceptual(rendered.images)[0]), overlap)


@torch.no_grad()
def _typical_distance(opened: Opened, size: int) -> float:
    generator = opened.trained.generator
    rng = torch.Generator().manual_seed(0)
    cameras = draw_cameras(opened.trained.priors, COMPARED, size, rng)
    w = generator.styles(torch.randn(COMPARED, generator.shape.z, generator=rng))
    images = render_styles(generator, w, cameras.viewmats, cameras.Ks, size)[0].images
    return mean_pairwise_distance(images.clamp(0, 1).permute(0, 3, 1, 2).contiguous(), 100, 0)


def _verdict(perceptual: float, typical: float) -> str:
    """In words, by how near the untuned generator came: tuning paints over what it cannot do."""
    share = perceptual / max(typical, 1e-9)
    ends = f"{perceptual:.3f}, where two of its own models are {typical:.3f} apart on average"
    if share < CLOSE:
        return f"close: the generator makes things like this one ({ends})"
    if share < ROUGH:
        return f"rough: the generator makes things somewhat like this one ({ends})"
    return (
        f"far off: this looks like something that the generator does not make ({ends}); expect the "
        "photo's colours on the generator's kind of shape"
    )
