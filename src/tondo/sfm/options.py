"""Options of `prepare`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tondo.errors import check_choices, check_number


@dataclass(frozen=True)
class PrepareOptions:
    """How the poses of photos are found.

    Attributes:
        frames: how many frames of a video are used.
        feature_size: longest side, in pixels, at which features are looked for at first; more is
            finer and slower.
        max_features: most features of a photo, at first.
        seed: random seed.
        masks: which pixels of photos count: auto, the masks found beside them by name or named in
            transforms.json; none; or the folder that they are in.
        lens: lens model of COLMAP; auto: square pixels, and as much distortion as the photos can
            tell; opencv: two focal lengths and decentring too.
    """

    # The first three were chosen, not measured.
    frames: int = 120
    feature_size: int = 960
    max_features: int = 3000
    seed: int = 0
    masks: str = "auto"
    lens: Literal["auto", "simple_radial", "radial", "opencv", "opencv_fisheye"] = "auto"

    def __post_init__(self) -> None:
        check_choices(self)
        for name in ("frames", "feature_size", "max_features"):
            check_number(name, getattr(self, name), 1)
