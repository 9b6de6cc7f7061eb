"""A scene's mesh against photographs, beside the scene itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.photos import Photo
from tondo.data.records import summary
from tondo.evaluation.comparison import contact_sheet, error_map, in_a_row, thumbnail
from tondo.evaluation.evaluate import ImageMetrics, compare, composited, mean_of
from tondo.io.file_names import unique_names
from tondo.io.images import write_png

# Inside a silhouette are pixels that it covers wholly: others show some of the background. The IoU
# takes those that are covered by more than half.
_WHOLLY, _COVERED = 0.99, 0.5  # chosen


@dataclass(frozen=True)
class Likeness:
    """How close pictures are to photographs, over whole pictures, and inside both silhouettes, that
    of the mesh and that of the photo's alpha, if it has one; None where nothing is inside."""

    whole: ImageMetrics
    inside: ImageMetrics | None


@dataclass(frozen=True)
class MeshPictures:
    """Pictures of a mesh and others against photographs.

    Attributes:
        mean: by what the pictures are of.
        per_image: the same for each photo, by its name.
        silhouette: share of the pixels inside either silhouette that are inside both, None where
            the photos have no alpha.
    """

    mean: Mapping[str, Likeness]
    per_image: Mapping[str, Mapping[str, Likeness]]
    silhouette: float | None

    def __repr__(self) -> str:
        return summary(self, f"{len(self.per_image)} pictures", f"mean {self.mean}")


def evaluate_mesh_pictures(
    renders: Mapping[str, Callable[[Camera], Tensor]],
    coverage: Callable[[Camera], Tensor],
    background: Tensor,
    photos: Sequence[Photo],
    out_dir: Path | None,
    progress: Callable[[int], None] = lambda done: None,
) -> MeshPictures:
    """Measure pictures of several things, all from the cameras of `photos`.

    With `out_dir`, writes `NAME.png` (photo | the renders | error map of the first) for each and
    `contact_sheet.png`, with the first, there.

    Args:
        renders: give the picture [H, W, 3] float sRGB 0..1 of a camera, by what it is of.
        coverage: the mesh's [H, W] float 0..1.
        photos: at least one, held out from training.
        progress: called with the number of photos done.

    Raises:
        ValueError: no photos.
        OutputError: `out_dir` cannot be written.
    """
    if not photos:
        raise ValueError("there are no photos to evaluate")
    found: dict[str, dict[str, Likeness]] = {}
    both = either = 0
    pairs, titles = [], []
    stems = unique_names([str(PurePosixPath(photo.name).with_suffix("")) for photo in photos])
    for done, (photo, stem) in enumerate(zip(photos, stems, strict=True), start=1):
        pictures = {name: render(photo.camera) for name, render in renders.items()}
        of_mesh = coverage(photo.camera)
        inside = of_mesh > _WHOLLY
        if photo.alpha is not None:
            of_photo = photo.alpha.float() / 255
            both += int(((of_mesh > _COVERED) & (of_photo > _COVERED)).sum())
            either += int(((of_mesh > _COVERED) | (of_photo > _COVERED)).sum())
            inside = inside & (of_photo > _WHOLLY)
        found[photo.name] = {
            name: Likeness(
                compare(photo, background, picture), _inside(photo, background, picture, inside)
            )
            for name, picture in pictures.items()
        }
        if out_dir is not None:
            truth = composited(photo, background)
            first = next(iter(pictures.values()))
            row = [("photo", truth), *pictures.items()]
            errors = error_map(truth, first, photo.valid)
            write_png(out_dir / f"{stem}.png", in_a_row(row, errors, _title(found, photo.name)))
            pairs.append((thumbnail(truth), thumbnail(first)))
            titles.append(_title(found, photo.name))
        progress(done)
    if out_dir is not None:
        write_png(out_dir / "contact_sheet.png", contact_sheet(pairs, titles))
    mean = {name: _mean([one[name] for one in found.values()]) for name in renders}
    return MeshPictures(mean, found, both / either if either else None)


def _inside(
    photo: Photo, background: Tensor, picture: Tensor, inside: Tensor
) -> ImageMetrics | None:
    try:
        return compare(photo, background, picture, inside)
    except ValueError:  # not even a window of SSIM lies inside
        return None


def _mean(found: Sequence[Likeness]) -> Likeness:
    inside = [one.inside for one in found if one.inside is not None]
    return Likeness(mean_of([one.whole for one in found]), mean_of(inside) if inside else None)


def _title(found: Mapping[str, Mapping[str, Likeness]], photo: str) -> str:
    parts = [f"{name} {one.whole.psnr:.2f} dB" for name, one in found[photo].items()]
    return "   ".join([photo, *parts])
