"""Pictures of a scene, from which a scene of another kind can be made without the photographs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from tondo.data.cameras import Camera
from tondo.data.views import View
from tondo.geometry.cameras import fitted
from tondo.io.images import write_png
from tondo.io.output_folder import result_folder
from tondo.io.posed.cameras_json import write_cameras
from tondo.scenes.open import OpenedScene, photo_cameras
from tondo.scenes.render import render
from tondo.scenes.to_mesh import cameras_around, empty_border

CAMERAS = "transforms.json"
TRANSPARENT = 0.75  # of the pictures' borders empty: an object, of which coverage is kept; chosen
AROUND = 64  # cameras where a scene came without any; chosen
SCOUTS = 8  # cameras that tell whether a scene is an object; chosen, not measured


def photograph_scene(
    opened: OpenedScene,
    out: Path,
    max_size: int,
    watch: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> None:
    """Make a folder of posed pictures of a scene, as `tondo.io.posed.photos.load_photos` reads it.

    They are taken by the cameras of the scene's photographs, or from all around where these are not
    known, with the photographs' mean exposure. Those of an object before nothing keep their
    coverage.

    Args:
        out: the folder, not half-written if this is interrupted.
        max_size: longest side, pixels.

    Raises:
        OutputError: the folder cannot be written. InputError: the run's cameras are damaged.
    """
    scene = opened.scene
    cameras = photo_cameras(opened) or cameras_around(scene.center, scene.radius, AROUND)
    cameras = [fitted(camera, max_size) for camera in cameras]
    transparent = _is_object(opened, cameras)
    with result_folder(out, mark=CAMERAS, maker="tondo convert", force=True) as folder:
        named: list[tuple[str, Camera]] = []
        for index, camera in enumerate(cameras):
            watch("photographing the scene", index, len(cameras))
            view = render(scene, camera)
            name = f"{index:04d}.png"
            picture = straight(view, scene.background) if transparent else view.color
            write_png(folder / name, picture)
            named.append((name, camera))
        watch("photographing the scene", len(cameras), len(cameras))
        place = scene.world_from_scene
        write_cameras(folder / CAMERAS, named, up=scene.up, world_from_scene=place)


def _is_object(opened: OpenedScene, cameras: Sequence[Camera]) -> bool:
    step = max(1, len(cameras) // SCOUTS)
    views = [render(opened.scene, fitted(camera, 100)) for camera in cameras[::step]]
    return empty_border(views) > TRANSPARENT


def straight(view: View, background: torch.Tensor) -> torch.Tensor:
    """[H, W, 4] colours without the background behind them, and coverage, 0..1."""
    alpha = view.alpha[..., None].clamp(0, 1)
    own = (view.color - (1 - alpha) * background) / alpha.clamp_min(1e-3)
    return torch.cat([torch.where(alpha > 0, own, 0.0).clamp(0, 1), alpha], dim=2)
