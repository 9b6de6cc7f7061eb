"""Pictures of one kind of thing, in no order: what a generator is trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tondo.checks import check_tensors
from tondo.data.cameras import check_pinholes
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
        sizes = check_tensors(self, torch.uint8, images="N C S S")
        if sizes["C"] not in (3, 4):
            raise ValueError(f"images must have 3 channels, or 4 with alpha, got {sizes['C']}")
        if sizes["N"] < 1 or sizes["S"] < 1:
            raise ValueError(
                f"a picture set needs at least one picture, got {list(self.images.shape)}"
            )
        if (self.viewmats is None) != (self.Ks is None):
            raise ValueError("viewmats and Ks must be given together or both be None")
        check_tensors(self, torch.float32, sizes=sizes, viewmats="N 4 4", Ks="N 3 3")
        if self.viewmats is not None and self.Ks is not None:
            check_pinholes(self.viewmats, self.Ks)
        if (self.labels is None) != (self.class_names is None):
            raise ValueError("labels and class_names must be given together or both be None")
        if self.labels is not None and self.class_names is not None:
            check_tensors(self, torch.int64, sizes=sizes, labels="N")
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
