"""Measuring pictures against photos, and points against a scan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.photos import Photo
from tondo.data.records import summary
from tondo.evaluation.comparison import contact_sheet, side_by_side, thumbnail
from tondo.evaluation.metrics import chamfer, f_score, psnr, ssim
from tondo.evaluation.perceptual import perceptual_distance
from tondo.io.file_names import unique_names
from tondo.io.images import write_png


@dataclass(frozen=True)
class ImageMetrics:
    """How close a picture is: PSNR in dB, SSIM (at most 1), perceptual distance (0 is equal)."""

    psnr: float
    ssim: float
    perceptual: float


@dataclass(frozen=True)
class ReconstructionMetrics:
    """The mean over pictures, and each of them by the photo's name."""

    mean: ImageMetrics
    per_image: Mapping[str, ImageMetrics]

    def __repr__(self) -> str:
        return summary(self, f"{len(self.per_image)} pictures", f"mean {self.mean}")


@dataclass(frozen=True)
class GeometryMetrics:
    """How close a surface is; see `tondo.evaluation.metrics.Chamfer` and `FScore`. World units and
    shares."""

    chamfer: float
    accuracy: float
    completeness: float
    threshold: float
    precision: float
    recall: float
    f_score: float


def composited(photo: Photo, background: Tensor) -> Tensor:
    """[H, W, 3] float32 sRGB 0..1: the photo, on `background` [3] where it is transparent."""
    image = photo.image.float() / 255
    if photo.alpha is None:
        return image
    alpha = photo.alpha.float()[..., None] / 255
    return image * alpha + background * (1 - alpha)


def compare(
    photo: Photo, background: Tensor, render: Tensor, within: Tensor | None = None
) -> ImageMetrics:
    """Measure a render [H, W, 3] float against `photo` on `background` [3], where valid and, if it
    is given, `within` [H, W] bool.

    Raises:
        ValueError: there is nothing to compare.
    """
    truth = composited(photo, background)
    mask = photo.valid
    if within is not None:
        mask = within if mask is None else within & mask
    return ImageMetrics(
        psnr=psnr(truth, render, mask),
        ssim=ssim(truth, render, mask),
        perceptual=perceptual_distance(truth, render, mask),
    )


def evaluate_pictures(
    render: Callable[[Camera], Tensor],
    background: Tensor,
    photos: Sequence[Photo],
    out_dir: Path | None,
    progress: Callable[[int], None] = lambda done: None,
) -> ReconstructionMetrics:
    """Render what the cameras of `photos` see and measure each picture.

    Photos with transparency are compared on `background` [3]. With `out_dir`, writes `NAME.png`
    (photo | render | error map) for each and `contact_sheet.png` there.

    Args:
        render: gives the picture [H, W, 3] float sRGB 0..1 of a camera.
        photos: at least one, held out from training.
        progress: called with the number of photos done.

    Raises:
        ValueError: no photos.
        OutputError: `out_dir` cannot be written.
    """
    if not photos:
        raise ValueError("there are no photos to evaluate")
    stems = [str(PurePosixPath(photo.name).with_suffix("")) for photo in photos]
    found: dict[str, ImageMetrics] = {}
    pairs, titles = [], []
    for done, (photo, name) in enumerate(zip(photos, unique_names(stems), strict=True), start=1):
        picture = render(photo.camera)
        metrics = compare(photo, background, picture)
        found[photo.name] = metrics
        if out_dir is not None:
            truth = composited(photo, background)
            title = (
                f"{photo.name}   PSNR {metrics.psnr:.2f} dB   SSIM {metrics.ssim:.3f}   "
                f"perceptual {metrics.perceptual:.3f}"
            )
            write_png(out_dir / f"{name}.png", side_by_side(truth, picture, photo.valid, title))
            pairs.append((thumbnail(truth), thumbnail(picture)))
            titles.append(f"{photo.name}   {metrics.psnr:.2f} dB")
        progress(done)
    if out_dir is not None:
        write_png(out_dir / "contact_sheet.png", contact_sheet(pairs, titles))
    return ReconstructionMetrics(mean_of(list(found.values())), found)


def evaluate_points(ours: Tensor, truth: Tensor, threshold: float) -> GeometryMetrics:
    """Chamfer distance and F-score of points on our surface [P, 3] against true ones [Q, 3].

    Raises:
        ValueError: a set is empty or not finite, or the threshold is not positive.
    """
    distances, shares = chamfer(ours, truth), f_score(ours, truth, threshold)
    return GeometryMetrics(
        distances.distance, distances.accuracy, distances.completeness, **vars(shares)
    )


def in_units(metrics: GeometryMetrics, scale: float) -> GeometryMetrics:
    """The same in units of which one was `scale` before."""
    lengths = ("chamfer", "accuracy", "completeness", "threshold")
    return replace(metrics, **{name: scale * getattr(metrics, name) for name in lengths})


def metrics_json(metrics: ReconstructionMetrics) -> dict[str, Any]:
    """The entries "test" and "per_image" of `metrics.json`."""
    return {
        "test": {**asdict(metrics.mean), "images": len(metrics.per_image)},
        "per_image": {name: asdict(one) for name, one in metrics.per_image.items()},
    }


def mean_of(found: Sequence[ImageMetrics]) -> ImageMetrics:
    """The mean of at least one."""
    rows = torch.tensor([[m.psnr, m.ssim, m.perceptual] for m in found], dtype=torch.float64)
    return ImageMetrics(*rows.mean(dim=0).tolist())
