"""Camera poses and sparse points from verified matches: incremental structure from motion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pycolmap


def mapping_options(seed: int) -> pycolmap.IncrementalPipelineOptions:
    """Options of the mapper: pycolmap's, with fewer rounds of bundle adjustment over everything."""
    options = pycolmap.IncrementalPipelineOptions()
    options.random_seed = seed
    options.mapper.random_seed = seed
    options.triangulation.random_seed = seed
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


def map_incrementally(
    database_path: Path,
    image_folder: Path,
    work_folder: Path,
    *,
    seed: int,
    on_registered: Callable[[int], None] | None = None,
) -> list[pycolmap.Reconstruction]:
    """Run incremental mapping and return all models, the one with most photos first.

    Args:
        database_path: features and verified matches.
        image_folder: the photos, for the colours of the points.
        work_folder: an existing folder for pycolmap's own files.
        seed: of the mapper's random choices.
        on_registered: called with the number of photos placed so far in the present model.
    """
    pycolmap.set_random_seed(seed)
    placed = 0

    def initial() -> None:
        nonlocal placed
        placed = 2
        if on_registered is not None:
            on_registered(placed)

    def following() -> None:
        nonlocal placed
        placed += 1
        if on_registered is not None:
            on_registered(placed)

    models = pycolmap.incremental_mapping(
        database_path,
        image_folder,
        work_folder,
        options=mapping_options(seed),
        initial_image_pair_callback=initial,
        next_image_callback=following,
    )
    return sorted(
        models.values(), key=lambda m: (m.num_reg_images(), m.num_points3D()), reverse=True
    )


def refine_lens(model: pycolmap.Reconstruction, min_photos: int) -> None:
    """Adjust everything once more, the principal point included, in place.

    Only for cameras with the full lens model and at least `min_photos` photos: the mapper leaves
    the principal point in the middle, which turns every pose by as much as it is off; few photos
    cannot tell the two apart. If a principal point runs away by more than a tenth of the picture,
    nothing is changed.
    """
    if model.num_reg_images() < min_photos or any(
        camera.model.name != "OPENCV" for camera in model.cameras.values()
    ):
        return
    trial = pycolmap.Reconstruction(model)
    options = pycolmap.BundleAdjustmentOptions()
    options.refine_principal_point = True
    options.print_summary = False
    options.ceres.solver_options.max_num_iterations = 25
    options.ceres.solver_options.num_threads = 1  # as in `mapping_options`
    config = pycolmap.BundleAdjustmentConfig()
    for image_id in trial.reg_image_ids():
        config.add_image(image_id)
    config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    # Not pycolmap.bundle_adjustment, which writes to stderr whatever the log level is.
    pycolmap.create_default_bundle_adjuster(options, config, trial).solve()
    for camera in trial.cameras.values():
        off_x = abs(camera.principal_point_x - camera.width / 2) / camera.width
        off_y = abs(camera.principal_point_y - camera.height / 2) / camera.height
        if max(off_x, off_y) > 0.1:
            return
    for camera_id, camera in trial.cameras.items():
        model.cameras[camera_id].params = camera.params
    for frame_id, frame in trial.frames.items():
        if frame.has_pose:
            model.frames[frame_id].rig_from_world = frame.rig_from_world
    for point_id, point in trial.points3D.items():
        model.points3D[point_id].xyz = point.xyz
    model.update_point_3d_errors()
