"""A folder with one small thing of each kind, as the examples of the documents name them."""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

from ball_field import ball_scene
from sfm.conftest import camera_at, photograph
from small_photos import cameras, known_scene, write_photos
from small_pictures import ball, write_pictures
from tiny_generators import tiny_run
from tondo.gan.files.open_generator import open_generator
from tondo.gan.inversion.lift import encoder_of
from tondo.gan.networks.discriminator import PlainDiscriminator
from tondo.io.models.scene import save_scene
from tondo.io.posed.cameras_json import write_cameras
from tondo.runs.checkpoints import save_checkpoint
from tondo.runs.run_directory import RunDirectory, create_run


def make_place(folder: Path) -> Path:
    """photos, their scene as a run; field.safetensors; shelf: photos without poses; pictures; fish:
    a generator with an encoder; generator: the same with a discriminator; photo.png."""
    write_photos(folder / "photos")
    _run(folder / "run", folder / "photos")
    save_scene(folder / "field.safetensors", ball_scene())
    (folder / "shelf").mkdir()
    for k in range(6):
        shot, _ = photograph(camera_at((0.5 * k - 1.25, 0.2 * (k % 2), 0.0)))
        Image.fromarray(shot.numpy()).save(folder / "shelf" / f"{k}.jpg", quality=95)
    write_pictures(folder / "pictures", [ball(k) for k in range(20)])
    encoder_of(open_generator(tiny_run(folder / "fish")), samples=64)
    shutil.copytree(folder / "fish", folder / "generator")
    D = PlainDiscriminator(32, with_cameras=False, with_alpha=True, width=8)
    tensors = {f"D.{name}": tensor for name, tensor in D.state_dict().items()}
    save_checkpoint(RunDirectory(folder / "generator"), 1, tensors, {})
    ball(3, 96).save(folder / "photo.png")
    return folder


def _run(path: Path, photos: Path) -> None:
    """A finished run: the scene that the photos show."""
    source = {"source": str(photos), "max_size": None, "holdout": 8}
    run = create_run(path, {"tondo": "0.1.0", "command": "reconstruct", **source})
    save_scene(run.scene_path, known_scene())
    named = [(f"{k:03d}.png", camera) for k, camera in enumerate(cameras(10))]
    write_cameras(run.cameras_path, named, {"000.png", "008.png"})
