"""Which lens model the motion can tell, and how surely.

Focal length, principal point and distortion trade against each other and against the poses: one
ring of a turntable, say, leaves the vertical principal point nearly free. How far each is told
follows from the covariance of the last bundle adjustment (Hartley and Zisserman 2003, 5.2.4), which
a small reprojection error says nothing about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pycolmap

AUTO = "auto"
# What the user may ask for; all but `AUTO` are names of COLMAP's models.
# A camera with fewer photos keeps the simplest lens.
MIN_PHOTOS = 10  # chosen
# A standard deviation above this is "not told by the motion": of the focal length as a share of it,
# of the principal point as a share of the picture's longer side.
MAX_FOCAL_DEVIATION = 0.005  # docs/notes/inputs.md
MAX_CENTRE_DEVIATION = 0.004  # docs/notes/inputs.md
# A richer lens must explain at least this share of the squared residuals that are left.
MIN_GAIN = 0.005  # docs/notes/inputs.md
# Farther off the middle, as a share of the picture, no principal point is believed.
MAX_CENTRE_OFFSET = 0.1  # chosen
# The residuals are not independent: deviations are larger than the covariance says.
_CAUTION = 3.0  # docs/notes/inputs.md
# From these deviations on (with caution) the focal length is said to be in doubt, or not told.
_DOUBTFUL_FOCAL, _UNTOLD_FOCAL = 0.03, 0.3  # chosen
# A focal length this far from that of EXIF is worth a sentence.
_EXIF_TOLERANCE = 0.15  # chosen


@dataclass(frozen=True)
class Adjusted:
    """A model after bundle adjustment.

    Attributes:
        variance: of the residuals, pixels^2.
        focal: camera id: standard deviation of the focal length, as a share of it.
        centre: the same of the principal point, as a share of the longer side; 0 if it was fixed.
    """

    variance: float
    focal: dict[int, float]
    centre: dict[int, float]


@dataclass(frozen=True)
class LensChoice:
    """What was chosen.

    Attributes:
        text: the lens and why, one sentence.
        doubts: what the motion leaves open, sentences.
        distrust: why the poses cannot be believed at all; empty if they can.
    """

    text: str
    doubts: tuple[str, ...] = ()
    distrust: str = ""


def choose_lens(
    model: pycolmap.Reconstruction,
    wanted: str = AUTO,
    exif: Mapping[int, float] = MappingProxyType({}),
) -> LensChoice:
    """Adjust everything once more with the richest lens that the photos can tell, in place.

    From the simplest: one focal length (square pixels) with one coefficient of radial distortion;
    with two; with the principal point too. A richer one is taken if all of its numbers are
    well-determined and it explains the photos better.

    Args:
        model: mapped with `SIMPLE_RADIAL` if `wanted` is `AUTO`, with that lens otherwise.
        wanted: as `lens` of `PrepareOptions`.
        exif: camera ids and focal lengths in pixels, where EXIF gives one: taken where the photos
            leave it open, compared where they tell the focal length.
    """
    if wanted != AUTO:
        text = f"lens model {wanted.upper()}, as asked for"
        return _judged(model, _adjust(model, centre=False), text, exif)
    base = pycolmap.Reconstruction(model)
    chosen, found = base, _adjust(base, centre=False)
    simple = found
    many = {cid for cid, count in _photos_of(model).items() if count >= MIN_PHOTOS}
    reason = f"fewer than {MIN_PHOTOS} photos of a camera tell no more"
    text = "one focal length, one coefficient of radial distortion"
    if many:
        reason = "more would not explain the photos better, or the motion cannot tell it"
        for centre in (False, True):
            trial = pycolmap.Reconstruction(chosen)
            for camera_id in many:
                _enrich(trial.cameras[camera_id])
            others = set(trial.cameras) - many
            adjusted = _adjust(trial, centre=centre, constant=others)
            if not _is_told(trial, adjusted, many):
                break
            if adjusted.variance > (1 - MIN_GAIN) * found.variance:
                continue
            chosen, found = trial, adjusted
            text = "one focal length, two coefficients of radial distortion"
            text += ", the principal point" if centre else ", the principal point in the middle"
            left = found.variance / simple.variance
            reason = f"the motion tells them, and {1 - left:.0%} of the squared error goes"
    _take(model, chosen)
    return _judged(model, found, f"{text} ({reason})", exif)


def _judged(
    model: pycolmap.Reconstruction, found: Adjusted, text: str, exif: Mapping[int, float]
) -> LensChoice:
    """What the motion leaves open; a focal length that it does not tell becomes that of EXIF."""
    doubts, distrust, held = [], "", set()
    for cid, share in found.focal.items():
        camera, within = model.cameras[cid], _CAUTION * share
        off = abs(camera.mean_focal_length() / exif[cid] - 1) if cid in exif else np.inf
        # EXIF helps where the photos leave its value open, not where they contradict it.
        if within > _DOUBTFUL_FOCAL and cid in exif and off <= within:
            params = list(camera.params)
            for index in camera.focal_length_idxs():
                params[index] = exif[cid]
            camera.params = params
            held.add(cid)
        elif within > _UNTOLD_FOCAL:
            distrust = (
                f"the focal length of {_size(camera)} photos could not be told"
                f"{f' but within {within:.0%}' if within < 10 else ''}, and EXIF gives none that "
                "fits"
            )
        elif within > _DOUBTFUL_FOCAL:
            doubts.append(
                f"the focal length of {_size(camera)} photos could only be told within "
                f"{within:.0%}: depth along the viewing direction may be stretched by as much; "
                "photos from other heights and distances would tell it"
            )
        elif cid in exif and off > _EXIF_TOLERANCE:
            doubts.append(
                f"EXIF of {_size(camera)} photos gives a focal length of {exif[cid]:.0f} pixels, "
                f"they fit best at {camera.mean_focal_length():.0f}: were they cropped, scaled or "
                "stabilised afterwards?"
            )
    if held:
        _adjust(model, centre=False, constant=held)
        text += "; the focal length from EXIF, since the photos do not tell it"
    return LensChoice(text, tuple(doubts), distrust)


def _size(camera: pycolmap.Camera) -> str:
    return f"{camera.width}x{camera.height}"


def _photos_of(model: pycolmap.Reconstruction) -> dict[int, int]:
    """How many registered photos each camera took."""
    counts = dict.fromkeys(model.cameras, 0)
    for image in model.images.values():
        if image.has_pose:
            counts[image.camera_id] += 1
    return counts


def _is_told(model: pycolmap.Reconstruction, found: Adjusted, cameras: set[int]) -> bool:
    for cid in cameras:
        camera = model.cameras[cid]
        off = (
            abs(camera.principal_point_x / camera.width - 0.5),
            abs(camera.principal_point_y / camera.height - 0.5),
        )
        if (
            max(off) > MAX_CENTRE_OFFSET
            or _CAUTION * found.focal.get(cid, np.inf) > MAX_FOCAL_DEVIATION
            or _CAUTION * found.centre.get(cid, np.inf) > MAX_CENTRE_DEVIATION
        ):
            return False
    return True


def _enrich(camera: pycolmap.Camera) -> None:
    """SIMPLE_RADIAL becomes RADIAL, the same lens at first."""
    if camera.model.name == "SIMPLE_RADIAL":
        params = [*camera.params, 0.0]
        camera.model = pycolmap.CameraModelId.RADIAL
        camera.params = params


def _adjust(
    model: pycolmap.Reconstruction,
    *,
    centre: bool,
    constant: set[int] = frozenset(),  # type: ignore[assignment]
) -> Adjusted:
    """Bundle adjustment of everything but the lenses in `constant`, in place."""
    options = pycolmap.BundleAdjustmentOptions()
    options.refine_principal_point = centre
    options.print_summary = False
    options.ceres.use_gpu = False
    options.ceres.solver_options.max_num_iterations = 30
    options.ceres.solver_options.num_threads = 1  # as in `mapping.mapping_options`
    config = pycolmap.BundleAdjustmentConfig()
    for image_id in model.reg_image_ids():
        config.add_image(image_id)
    for camera_id in constant:
        config.set_constant_cam_intrinsics(camera_id)
    config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    # Not pycolmap.bundle_adjustment, which writes to stderr whatever the log level is.
    adjuster = pycolmap.create_default_ceres_bundle_adjuster(options, config, model)
    adjuster.solve()
    model.update_point_3d_errors()
    wanted = pycolmap.BACovarianceOptions()
    wanted.params = pycolmap.BACovarianceOptionsParams.ALL
    covariance = pycolmap.estimate_ba_covariance(wanted, model, adjuster)
    variance = _variance(model)
    focal, middle = {}, {}
    for cid in sorted(set(model.cameras) - constant):
        camera = model.cameras[cid]
        own = None if covariance is None else covariance.get_other_params_cov(camera.params)
        if own is None:  # some direction is entirely free
            focal[cid] = middle[cid] = np.inf
            continue
        deviations = np.sqrt(np.maximum(np.diag(own), 0) * variance)
        focals = len(camera.focal_length_idxs())
        focal[cid] = float(deviations[:focals].max()) / camera.mean_focal_length()
        longest = max(camera.width, camera.height)
        middle[cid] = float(deviations[focals : focals + 2].max()) / longest if centre else 0.0
    return Adjusted(variance, focal, middle)


def _variance(model: pycolmap.Reconstruction) -> float:
    """Of the residuals, for each degree of freedom."""
    squares = sum(p.error**2 * p.track.length() for p in model.points3D.values())
    unknowns = 3 * model.num_points3D() + 6 * model.num_reg_images()
    return float(squares / max(1, 2 * model.compute_num_observations() - unknowns))


def _take(model: pycolmap.Reconstruction, other: pycolmap.Reconstruction) -> None:
    """Lenses, poses and points of `other`, which was copied from `model`."""
    for camera_id, camera in other.cameras.items():
        model.cameras[camera_id].model = camera.model
        model.cameras[camera_id].params = camera.params
    for frame_id, frame in other.frames.items():
        if frame.has_pose:
            model.frames[frame_id].rig_from_world = frame.rig_from_world
    for point_id, point in other.points3D.items():
        model.points3D[point_id].xyz = point.xyz
    model.update_point_3d_errors()
