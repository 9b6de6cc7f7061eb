"""How varied a training set is, in numbers and in plain words."""

from __future__ import annotations

import colorsys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tondo.data.photos import Skipped
from tondo.pictures.measure import Measured, find_similar

FEW = 500  # pictures that a generator learns by heart; chosen, not measured
SECTOR = 30  # degrees of azimuth and elevation counted together; chosen
_COLORFUL = 0.2  # saturation, 0..1, from which a colour has a hue; chosen, not measured
_HUES = ("red", "orange", "yellow", "green", "turquoise", "blue", "violet", "pink")
_HUE_STARTS = (-15, 15, 45, 65, 150, 195, 255, 300, 345)  # degrees of HSV's circle; chosen by eye
# Farther apart than that two pictures look like two things, or one from another side.
_LOOKS_APART = 0.2  # chosen


@dataclass(frozen=True)
class Account:
    """All that a report needs.

    Attributes:
        title: the collection's name. kind: what was recognised. note: how it was read, or "".
        images: [N, S, S, C] uint8, all finished pictures, those that were left out included.
        names, classes: of all N.
        rows: those that make the set. measured: of `rows`.
        pairs: (left out as a near-duplicate, the one that it resembles). blurred: left out for it.
        enlarged: how many of the set were smaller than S.
        is_plain: as in `PictureSet`.
        viewmats: [rows, 4, 4] world-to-camera, +y up, or None.
        left_out: every picture that is not in the set, with the reason.
    """

    title: str
    kind: str
    note: str
    images: NDArray[np.uint8]
    names: tuple[str, ...]
    classes: tuple[str | None, ...]
    rows: tuple[int, ...]
    measured: tuple[Measured, ...]
    pairs: tuple[tuple[int, int], ...]
    blurred: tuple[int, ...]
    enlarged: int
    is_plain: bool
    viewmats: NDArray[np.float32] | None
    left_out: tuple[Skipped, ...]


@dataclass(frozen=True)
class Spread:
    """The 5th, 50th and 95th percentile of a set's values."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class Diversity:
    """What `report.json` says.

    Attributes:
        pictures: in the set. size: pixels a side.
        looks: how many pictures stay if those that look roughly alike count once.
        classes: pictures by class, or None.
        brightness, contrast, sharpness: sharpness is 1 - blur, 0..1.
        hues: share of pictures by the object's hue; "grey" where it has hardly any.
        azimuths, elevations: degrees of each picture's camera, or None without poses.
        sectors: share of pictures by azimuth, every 30 degrees from -180, or None.
        reasons: how many were left out, by reason.
    """

    pictures: int
    size: int
    looks: int
    classes: dict[str, int] | None
    brightness: Spread
    contrast: Spread
    sharpness: Spread
    hues: dict[str, float]
    azimuths: NDArray[np.float64] | None
    elevations: NDArray[np.float64] | None
    sectors: tuple[float, ...] | None
    reasons: dict[str, int]


def describe(account: Account) -> Diversity:
    """Measure the set as a whole."""
    measured = account.measured
    vectors = np.array([one.vector for one in measured])
    alike = find_similar(vectors, account.is_plain, _LOOKS_APART)
    known = [name for row in account.rows if (name := account.classes[row]) is not None]
    azimuths = elevations = None
    sectors = None
    if account.viewmats is not None:
        azimuths, elevations = angles_of(account.viewmats)
        counts = np.histogram(azimuths, np.arange(-180, 181, SECTOR))[0]
        sectors = tuple(float(share) for share in counts / len(azimuths))
    hues = Counter(hue_name(one.color) for one in measured)
    return Diversity(
        pictures=len(measured),
        size=int(account.images.shape[1]),
        looks=len(measured) - len(alike),
        classes=dict(Counter(known).most_common()) if known else None,
        brightness=_spread([one.brightness for one in measured]),
        contrast=_spread([one.contrast for one in measured]),
        sharpness=_spread([1 - one.blur for one in measured]),
        hues={name: hues[name] / len(measured) for name in (*_HUES, "grey")},
        azimuths=azimuths,
        elevations=elevations,
        sectors=sectors,
        reasons=dict(Counter(_short(one.reason) for one in account.left_out).most_common()),
    )


def angles_of(viewmats: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Azimuth -180..180 (0 looks along -z from +z) and elevation -90..90 in degrees of cameras."""
    places = -np.einsum("nji,nj->ni", viewmats[:, :3, :3], viewmats[:, :3, 3]).astype(np.float64)
    away = np.linalg.norm(places, axis=1)
    azimuths = np.degrees(np.arctan2(places[:, 0], places[:, 2]))
    return azimuths, np.degrees(np.arcsin((places[:, 1] / np.maximum(away, 1e-9)).clip(-1, 1)))


def hue_name(color: tuple[float, float, float]) -> str:
    """The name of a colour's hue; "grey" where it has hardly any."""
    hue, saturation, _ = colorsys.rgb_to_hsv(*color)
    if saturation < _COLORFUL:
        return "grey"
    degrees = (hue * 360 + 15) % 360 - 15
    return _HUES[int(np.searchsorted(_HUE_STARTS, degrees, side="right")) - 1]


def give_advice(account: Account, found: Diversity) -> list[str]:
    """What is missing or should be known, in plain words, the weightiest first."""
    lines = []
    if found.pictures < FEW:
        lines.append(
            f"{found.pictures} pictures are few: some hundreds to thousands are usual. With 20 to "
            "200 adapt a trained generator (`tondo train PICTURES --from NAME --lora 8`)."
        )
    if found.looks < 0.25 * found.pictures:
        lines.append(
            f"Many pictures look alike: only {found.looks:,} of {found.pictures:,} differ clearly, "
            "as frames of a few turning things do. More different things help more than more "
            "pictures of the same ones."
        )
    lines += _class_advice(found)
    lines += _look_advice(account, found)
    lines += _pose_advice(found)
    return lines


def _class_advice(found: Diversity) -> list[str]:
    if found.classes is None or len(found.classes) < 2:
        return []
    counts = sorted(found.classes.items(), key=lambda item: -item[1])
    (most, n), (least, m) = counts[0], counts[-1]
    if n < 5 * m:
        return []
    return [
        f"The classes are uneven: {most!r} has {n:,} pictures, {least!r} {m:,}. "
        "What is rare in the set will be rare in what the generator makes."
    ]


def _look_advice(account: Account, found: Diversity) -> list[str]:
    lines = []
    if account.enlarged > 0.2 * found.pictures:
        lines.append(
            f"{account.enlarged / found.pictures:.0%} of the pictures had to be enlarged to "
            f"{found.size} pixels: find larger ones or train at a smaller `size`."
        )
    if account.blurred:
        lines.append(
            f"{len(account.blurred):,} pictures are blurred and left out; look at them in the "
            "report (`keep_blurred` takes them nevertheless)."
        )
    if found.brightness.middle < 0.2:
        lines.append("Most of the things are dark: details will be hard to learn.")
    if found.brightness.high - found.brightness.low < 0.1:
        lines.append("All are about equally bright.")
    missing = [name for name in _HUES if found.hues[name] < 0.005]
    if account.is_plain and 0 < len(missing) < len(_HUES) and found.hues["grey"] < 0.95:
        lines.append(f"Hardly any of the things are {_listed(missing)}: nor will new ones be.")
    return lines


def _pose_advice(found: Diversity) -> list[str]:
    if found.sectors is None or found.elevations is None:
        return [
            "No cameras are known: tell the training where they stood with `poses` (frontal, "
            "turntable, tumble, upper-hemisphere, sphere, or ranges)."
        ]
    lines = []
    empty = [share < 0.1 / len(found.sectors) for share in found.sectors]
    if any(empty):
        gaps = [f"{low}° to {high}°" for low, high in _stretches(empty)]
        lines.append(f"Hardly any camera stands at azimuth {_listed(gaps)}: guessed there.")
    low, high = np.percentile(found.elevations, (1, 99))
    if low > -10:
        lines.append(f"No camera looks from below ({low:.0f}° is the lowest): guessed there.")
    if high < 45:
        lines.append(f"No camera looks from above ({high:.0f}° is the highest): guessed there.")
    return lines


def _stretches(empty: Sequence[bool]) -> list[tuple[int, int]]:
    """Neighbouring sectors joined: degrees from and to."""
    found: list[tuple[int, int]] = []
    for start, is_empty in zip(range(-180, 180, SECTOR), empty, strict=True):
        if is_empty and found and found[-1][1] == start:
            found[-1] = (found[-1][0], start + SECTOR)
        elif is_empty:
            found.append((start, start + SECTOR))
    return found


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _short(reason: str) -> str:
    return reason.split(":")[0].split(" (")[0]


def _spread(values: Sequence[float]) -> Spread:
    low, middle, high = np.percentile(np.array(values), (5, 50, 95))
    return Spread(float(low), float(middle), float(high))
