"""A generator against the pictures that it learned from, and against geometry."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tondo.data.pictures import PictureSet
from tondo.evaluation.distances import (
    MEASURED_SIDE,
    frechet_distance,
    kernel_distance,
    mean_pairwise_distance,
    pooled_features,
    precision_recall,
)
from tondo.features.choose import DEFAULT
from tondo.features.extractor import Extractor
from tondo.gan.evaluation.geometry_checks import GeometryChecks, check_geometry
from tondo.gan.files.generator_file import Trained
from tondo.gan.objects.contact_sheet import latents
from tondo.gan.objects.render import render_styles
from tondo.geometry.pose_prior import Cameras, draw_cameras

PAIRS = 500  # whose mean distance is the diversity; chosen, not measured
CHECKED = 32  # samples whose geometry is checked; chosen
BATCH = 32  # samples made at a time: bounds memory
FIRST_SEED = 1_000_000  # of the measured samples: not those that a person looks at


@dataclass(frozen=True)
class GeneratorMetrics:
    """Measurements of a generator; distances are over `extractor`, and compare only with numbers
    over the same one and the same numbers of pictures.

    Attributes:
        frechet: Fréchet distance. kernel: kernel distance (unbiased, may be slightly negative).
        precision, recall: shares 0..1, k = 3.
        diversity, diversity_of_pictures: mean pairwise perceptual distance, of samples and of the
            training pictures.
        extractor: the network, and the side in pixels at which it saw the pictures.
        pictures, samples: how many of each were compared.
        geometry: the 3D checks.
    """

    frechet: float
    kernel: float
    precision: float
    recall: float
    diversity: float
    diversity_of_pictures: float
    extractor: str
    pictures: int
    samples: int
    geometry: GeometryChecks


def evaluate_generator(
    trained: Trained,
    pictures: PictureSet,
    extractor: Extractor,
    *,
    name: str = DEFAULT,
    count: int = 2000,
    seed: int = 0,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> GeneratorMetrics:
    """Measure `count` samples (without truncation) against as many of the training pictures.

    Args:
        pictures: what it was trained on, of its own size; where cameras are known, samples are
            seen by them, else by cameras drawn from the generator's priors.
        extractor: the network, called `name` in the result.
        watch: told (samples made, all samples).

    Raises:
        ValueError: fewer than 5 pictures or samples: nothing can be said from so few.
    """
    rng = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(pictures.images), generator=rng)[:count]
    if len(rows) < 5 or count < 5:
        raise ValueError(f"needs at least 5 pictures and samples, got {len(rows)} and {count}")
    real_images = over_white(pictures.images[rows])
    fakes = sample_pictures(trained, count, rng, _known(pictures, count, rng), watch)
    real, fake = (pooled_features(images, extractor) for images in (real_images, fakes))
    inside = precision_recall(real, fake)
    styles = _styles(trained, CHECKED, FIRST_SEED)
    return GeneratorMetrics(
        frechet=frechet_distance(real, fake),
        kernel=kernel_distance(real, fake),
        precision=inside.precision,
        recall=inside.recall,
        diversity=mean_pairwise_distance(fakes, PAIRS, seed, extractor),
        diversity_of_pictures=mean_pairwise_distance(real_images, PAIRS, seed, extractor),
        extractor=f"{name} at {MEASURED_SIDE} px",
        pictures=len(real_images),
        samples=len(fakes),
        geometry=check_geometry(trained.generator, styles, trained.priors[0]),
    )


@torch.no_grad()
def sample_pictures(
    trained: Trained,
    count: int,
    rng: torch.Generator,
    cameras: Cameras | None = None,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> Tensor:
    """[count, 3, S, S] uint8: one picture of each of `count` samples, of the generator's size."""
    generator = trained.generator
    size = generator.shape.size
    if cameras is None:
        cameras = draw_cameras(trained.priors, count, size, rng)
    parts = []
    for start in range(0, count, BATCH):
        rows = slice(start, min(count, start + BATCH))
        w = _styles(trained, rows.stop - start, FIRST_SEED + start)
        rendered, _ = render_styles(generator, w, cameras.viewmats[rows], cameras.Ks[rows], size)
        images = (rendered.images.clamp(0, 1) * 255).round().to(torch.uint8)
        parts.append(images.permute(0, 3, 1, 2))
        watch(rows.stop, count)
    return torch.cat(parts)


def over_white(images: Tensor) -> Tensor:
    """[N, 3, S, S] uint8 of pictures with or without alpha."""
    if images.shape[1] == 3:
        return images
    alpha = images[:, 3:].float() / 255
    return (images[:, :3].float() * alpha + 255 * (1 - alpha)).round().to(torch.uint8)


def metrics_json(metrics: GeneratorMetrics) -> dict[str, Any]:
    """`metrics` as it stands in metrics.json."""
    return dataclasses.asdict(metrics)


def _styles(trained: Trained, count: int, first_seed: int) -> Tensor:
    seeds = list(range(first_seed, first_seed + count))
    generator = trained.generator
    with torch.no_grad():
        return generator.styles(latents(seeds, generator.shape.z))


def _known(pictures: PictureSet, count: int, rng: torch.Generator) -> Cameras | None:
    """The pictures' own cameras, `count` of them at random, or None."""
    if pictures.viewmats is None or pictures.Ks is None:
        return None
    rows = torch.randint(len(pictures.images), (count,), generator=rng)
    return Cameras(torch.zeros(count, 3), pictures.viewmats[rows], pictures.Ks[rows])
