"""A scene of any kind against photos that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tondo.data.field import FieldScene
from tondo.data.photos import Photo
from tondo.data.splats import Scene
from tondo.evaluation.evaluate import ReconstructionMetrics, evaluate_pictures
from tondo.scenes.render import render


def evaluate_scene(
    scene: Scene | FieldScene,
    photos: Sequence[Photo],
    out_dir: Path | None,
    progress: Callable[[int], None] = lambda done: None,
) -> ReconstructionMetrics:
    """Render `scene` from the cameras of `photos` and measure each picture, as
    `evaluation.evaluate.evaluate_pictures` says.

    Where exposures were fitted, a render has the one that training photos from nearby suggest; the
    held-out photo's own brightness is never looked at.
    """
    return evaluate_pictures(
        lambda camera: render(scene, camera, exposed=True).color,
        scene.background,
        photos,
        out_dir,
        progress,
    )
