"""Pictures of one kind of thing, in no order: what a generator is trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tondo.checks import check_dtype, check_finite, check_shape
from tondo.data.records import summary
from tondo.errors import OptionError


@dataclass(frozen=True)
class PictureSet:
    """Square pictures of one size, with their cameras and classes where those are known.

    The space of the cameras has +y up and the object within the unit sphere about the origin.

    Attributes:
        images: [N, C, S, S] uint8, sRGB, N >= 1. C = 3, or 4 with straight (not premultiplied)
            alpha: 0 where nothing of the object is. May be memory-mapped: never write to it.
        viewmats: [N, 4, 4] float32, world-to-camera, OpenCV axes, or None where no pose is known.
        Ks: [N, 3, 3] float32, pixels of the S x S pictures, centres at +0.5; None as `viewmats`.
        labels: [N] int64, indices into `class_names`, or None without classes.
        class_names: what the classes are called, or None as `labels`.
        source: where the pictures came from, for reports, e.g. "apples.zip".
        is_plain: behind the object is nothing in all pictures: transparency with C = 4, white with
            C = 3. False where the pictures have scenery, or nobody knows.

    Raises:
        TypeError, ValueError: a shape, dtype or value that does not fit the above.
    """

    images: Tensor
    viewmats: Tensor | None = None
    Ks: Tensor | None = None
    labels: Tensor | None = None
    class_names: tuple[str, ...] | None = None
    source: str = ""
    is_plain: bool = False

    def __post_init__(self) -> None:
        sizes = check_shape("images", self.images, "N C S S")
        check_dtype("images", self.images, torch.uint8)
        if sizes["C"] not in (3, 4):
            raise ValueError(f"images must have 3 channels, or 4 with alpha, got {sizes['C']}")
        if sizes["N"] < 1 or sizes["S"] < 1:
            raise ValueError(
                f"a picture set needs at least one picture, got {list(self.images.shape)}"
            )
        if (self.viewmats is None) != (self.Ks is None):
            raise ValueError("viewmats and Ks must be given together or both be None")
        if self.viewmats is not None and self.Ks is not None:
            _check_cameras(self.viewmats, self.Ks, sizes["N"])
        if (self.labels is None) != (self.class_names is None):
            raise ValueError("labels and class_names must be given together or both be None")
        if self.labels is not None and self.class_names is not None:
            check_shape("labels", self.labels, "N", {"N": sizes["N"]})
            check_dtype("labels", self.labels, torch.int64)
            if int(self.labels.min()) < 0 or int(self.labels.max()) >= len(self.class_names):
                raise ValueError(
                    f"labels must lie within 0..{len(self.class_names) - 1}, "
                    f"got {int(self.labels.min())}..{int(self.labels.max())}"
                )

    def __repr__(self) -> str:
        return summary(
            self,
            f"{len(self.images):,} of {self.size}x{self.size}",
            "alpha" if self.with_alpha else "",
            "" if self.viewmats is None else "cameras",
            "" if self.class_names is None else f"{len(self.class_names)} classes",
        )

    @property
    def size(self) -> int:
        """Pixels a side."""
        return int(self.images.shape[-1])

    @property
    def with_alpha(self) -> bool:
        return self.images.shape[1] == 4


def of_classes(pictures: PictureSet, names: tuple[str, ...]) -> PictureSet:
    """The pictures of some classes. Raises OptionError: unknown names, or none are known."""
    known = pictures.class_names
    if known is None or pictures.labels is None:
        raise OptionError(f"`classes={names[0]}`: no classes are known of {pictures.source}")
    for name in names:
        if name not in known:
            raise OptionError(f"`classes={name}`: unknown; there are {', '.join(known)}")
    wanted = torch.tensor([known.index(name) for name in names])
    rows = torch.isin(pictures.labels, wanted).nonzero()[:, 0]
    if len(rows) == 0:
        raise OptionError(f"`classes={', '.join(names)}`: no picture of {pictures.source} is of it")
    return replace(
        pictures,
        images=pictures.images[rows],
        viewmats=None if pictures.viewmats is None else pictures.viewmats[rows],
        Ks=None if pictures.Ks is None else pictures.Ks[rows],
        labels=pictures.labels[rows],
    )


def _check_cameras(viewmats: Tensor, Ks: Tensor, count: int) -> None:
    for name, tensor, dims in (("viewmats", viewmats, "N 4 4"), ("Ks", Ks, "N 3 3")):
        check_shape(name, tensor, dims, {"N": count})
        check_dtype(name, tensor, torch.float32)
        check_finite(name, tensor)
    rotations = viewmats[:, :3, :3].double()
    eye = torch.eye(3, dtype=torch.float64).expand(count, 3, 3)
    if not torch.allclose(rotations @ rotations.mT, eye, atol=1e-3):
        raise ValueError("the upper left 3x3 blocks of viewmats must be rotations")
    if bool((torch.det(rotations) < 0).any()):
        raise ValueError("a viewmat mirrors (determinant -1): the axes are not right-handed")
    if not bool((Ks[:, 0, 0] > 0).all() and (Ks[:, 1, 1] > 0).all()):
        raise ValueError("focal lengths must be positive")
