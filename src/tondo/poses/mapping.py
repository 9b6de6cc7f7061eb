"""Camera poses and sparse points from verified matches: incremental structure from motion."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pycolmap


def mapping_options(seed: int) -> pycolmap.IncrementalPipelineOptions:
    """Options of the mapper: pycolmap's, with fewer rounds of bundle adjustment over everything."""
    options = pycolmap.IncrementalPipelineOptions()
    options.random_seed = seed
    options.mapper.random_seed = seed
    options.triangulation.random_seed = seed
    options.num_threads = os.cpu_count() or 1
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
