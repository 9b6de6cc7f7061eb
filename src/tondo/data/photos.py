"""Photographs with poses: what every method of reconstruction starts from."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median_low

import torch
from torch import Tensor

from tondo.checks import check_tensors
from tondo.data.cameras import Camera
from tondo.data.records import summary
from tondo.data.similarity import IDENTITY, Similarity


@dataclass(frozen=True)
class Photo:
    """One undistorted photograph and its pinhole camera.

    Attributes:
        name: unique within a set, path below the set's folder with `/`, e.g. "images/0001.jpg".
        camera: its size is the image's size.
        image: [H, W, 3] uint8, sRGB, straight (not premultiplied) colour.
        alpha: [H, W] uint8 coverage (0 = nothing there, show the background), or None if opaque.
        valid: [H, W] bool, False where undistortion looked outside the photo, or None if all is.
    """

    name: str
    camera: Camera
    image: Tensor
    alpha: Tensor | None = None
    valid: Tensor | None = None

    def __post_init__(self) -> None:
        sizes = {"H": self.camera.height, "W": self.camera.width}
        of = f" of {self.name}"
        check_tensors(self, torch.uint8, sizes=sizes, of=of, image="H W 3", alpha="H W")
        check_tensors(self, torch.bool, sizes=sizes, of=of, valid="H W")

    def __repr__(self) -> str:
        size = f"{self.camera.width}x{self.camera.height}"
        return summary(self, repr(self.name), size, "" if self.alpha is None else "alpha")


@dataclass(frozen=True)
class Skipped:
    """A photo that was listed or found but not used, and why, in plain words."""

    name: str
    reason: str


@dataclass(frozen=True)
class PointCloud:
    """Points with colours.

    Attributes:
        points: [P, 3] float32, in the frame of the cameras that they go with.
        colors: [P, 3] uint8, sRGB.
    """

    points: Tensor
    colors: Tensor

    def __post_init__(self) -> None:
        sizes = check_tensors(self, torch.float32, points="P 3")
        check_tensors(self, torch.uint8, sizes=sizes, colors="P 3")

    def __repr__(self) -> str:
        return summary(self, f"{len(self.points):,} points")


@dataclass(frozen=True)
class PhotoSet:
    """Posed photographs of one scene, split into training and held-out ones.

    Attributes:
        train, test: sorted by name. `test` never reaches training, nor the initial points (points
            that came without tracks are said in `notes`).
        points: initial points that held-out photos had no part in as far as the data can tell, or
            None where there are none yet.
        up: [3] float32 unit vector, the world's up direction.
        is_render: the pictures are synthetic (exposure compensation defaults to off).
        skipped: photos that were left out, with the reason.
        source: where it came from, for reports, e.g. "nerfstudio transforms.json".
        notes: what else was found or assumed while reading, one sentence each, to be said.
        masks: which masks were found and what they do, one sentence for the user, or "".
        world_from_scene: cameras and points are in the scene; this brings them into the files'
            world. The identity, unless the world's numbers would suffer in 32 bits.
        full_size: width and height of the photos before they were scaled down, of the middle one if
            they differ; None where none was.
    """

    train: tuple[Photo, ...]
    test: tuple[Photo, ...]
    points: PointCloud | None
    up: Tensor
    is_render: bool
    skipped: tuple[Skipped, ...]
    source: str
    notes: tuple[str, ...] = ()
    masks: str = ""
    world_from_scene: Similarity = IDENTITY
    full_size: tuple[int, int] | None = None

    def __repr__(self) -> str:
        counts = f"{len(self.train)} to train on", f"{len(self.test)} held out"
        points = "" if self.points is None else f"{len(self.points.points):,} points"
        return summary(self, self.source, *counts, points)

    @property
    def pixels(self) -> int:
        """Of a training photo: of the middle one, where their sizes differ."""
        return median_low(photo.camera.width * photo.camera.height for photo in self.train)

    @property
    def has_alpha(self) -> bool:
        """Whether any training photo is transparent somewhere."""
        return any(photo.alpha is not None for photo in self.train)
