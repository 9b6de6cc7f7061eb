"""Options of `prepare_pictures`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tondo.errors import check_choices, check_number

LEAST = 16  # pictures that a generator can be trained on; fewer adapt one; chosen


@dataclass(frozen=True)
class PictureOptions:
    """How a training set is made.

    Attributes:
        size: image size in pixels.
        classes: only pictures of this class (a sub-folder, or an attribute of CelebA); may be
            repeated.
        crop: object: its box, where the background is plain or transparent; centre: the largest
            square; whole: with bars beside it; auto: object where it can be found, otherwise
            centre. Pictures with cameras are cut around the place that all of these look at.
        similar: distance under which a picture is a near-duplicate, as a share of its contrast; 0
            keeps all; None: 0.012 on a plain background, 0.1 otherwise.
        keep_blurred: leave none out for being blurred.
        least: fewer pictures than that are refused.
    """

    size: int = 64
    classes: tuple[str, ...] = ()
    crop: Literal["auto", "object", "centre", "whole"] = "auto"
    similar: float | None = None
    keep_blurred: bool = False
    least: int = LEAST

    def __post_init__(self) -> None:
        check_choices(self)
        check_number("size", self.size, 8, 1024)
        check_number("similar", self.similar, 0, 1)
