"""Camera poses and sparse points from verified matches: incremental structure from motion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pycolmap

from tondo.sfm.motion.matching import verified_pairs


def mapping_options(seed: int, max_error: float = 4.0) -> pycolmap.IncrementalPipelineOptions:
    """Options of the mapper: pycolmap's, with fewer rounds of bundle adjustment over everything.

    `max_error`: how far a point may lie from its feature, pixels of the photo.
    """
    options = pycolmap.IncrementalPipelineOptions()
    options.random_seed = seed
    options.mapper.random_seed = seed
    options.triangulation.random_seed = seed
    options.mapper.init_max_error = options.mapper.filter_max_reproj_error = max_error
    options.mapper.abs_pose_max_error = 3 * max_error
    options.triangulation.merge_max_reproj_error = max_error
    options.triangulation.complete_max_reproj_error = max_error
    options.num_threads = 1  # with more, sums come in any order, and no two models are the same
    options.ba_use_gpu = False
    options.min_model_size = 3
    options.max_num_models = 10
    options.extract_colors = True
    options.ba_global_frames_ratio = 1.3
    options.ba_global_points_ratio = 1.3
    options.ba_global_max_num_iterations = 30
    options.ba_global_max_refinements = 3
    options.ba_global_function_tolerance = 1e-5
    options.ba_local_max_num_iterations = 15
    return options


def relaxed_options(seed: int, max_error: float = 4.0) -> pycolmap.IncrementalPipelineOptions:
    """The same for photos that fit badly: fewer matches are enough, and points that only two photos
    see count."""
    options = mapping_options(seed, max_error)
    options.mapper.init_min_num_inliers = 50
    options.mapper.init_min_tri_angle = 8.0
    options.mapper.abs_pose_min_num_inliers = 15
    options.mapper.abs_pose_min_inlier_ratio = 0.15
    options.triangulation.ignore_two_view_tracks = False
    return options


def map_incrementally(
    database_path: Path,
    image_folder: Path,
    work_folder: Path,
    *,
    options: pycolmap.IncrementalPipelineOptions,
    on_registered: Callable[[int], None] = lambda placed: None,
) -> list[pycolmap.Reconstruction]:
    """Run incremental mapping and return all models, the one with most photos first.

    Args:
        database_path: features and verified matches.
        image_folder: the photos, for the colours of the points.
        work_folder: a folder for pycolmap's own files, made here.
        options: see `mapping_options`.
        on_registered: called with the number of photos placed so far in the present model.
    """
    work_folder.mkdir(exist_ok=True)
    pycolmap.set_random_seed(options.random_seed)
    placed = 0

    def tell(now: int) -> None:
        nonlocal placed
        placed = now
        on_registered(placed)

    models = pycolmap.incremental_mapping(
        database_path,
        image_folder,
        work_folder,
        options=options,
        initial_image_pair_callback=lambda: tell(2),
        next_image_callback=lambda: tell(placed + 1),
    )
    return sorted(
        models.values(), key=lambda m: (m.num_reg_images(), m.num_points3D()), reverse=True
    )


def other_start(
    database_path: Path,
    image_folder: Path,
    work_folder: Path,
    *,
    options: pycolmap.IncrementalPipelineOptions,
) -> list[pycolmap.Reconstruction]:
    """`map_incrementally` from a pair of photos other than the one that the mapper would choose.

    Begins with a pair of the middle rank by matches: the mapper itself takes the strongest that is
    good enough. Where such a pair will not do, the next is tried.

    Returns:
        As `map_incrementally`; nothing where three pairs would not do.
    """
    enough = options.mapper.init_min_num_inliers
    with pycolmap.Database.open(database_path) as database:
        pairs = verified_pairs(database)
        ranked = sorted((-number, *pair) for pair, number in pairs if number >= enough)
        # The relative pose of planes and of turns on the spot says nothing about depth.
        kinds = pycolmap.TwoViewGeometryConfiguration
        told = (kinds.CALIBRATED, kinds.UNCALIBRATED)
        solid = [
            (first, second)
            for _, first, second in ranked
            if database.read_two_view_geometry(first, second).config in told
        ]
    options.multiple_models = False
    options.init_num_trials = 1
    for number, at in enumerate((len(solid) // 2, 2 * len(solid) // 3, len(solid) // 3)):
        if at >= len(solid) or len(solid) < 3:
            break
        options.init_image_id1, options.init_image_id2 = solid[at]
        found = map_incrementally(
            database_path,
            image_folder,
            work_folder.with_name(f"{work_folder.name}_{number}"),
            options=options,
        )
        if found:
            return found
    return []
