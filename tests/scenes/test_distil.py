"""Pictures of a scene, as photographs with poses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from small_photos import cameras, known_scene
from tondo.data.splats import Scene
from tondo.io.models.scene import save_scene
from tondo.io.posed.cameras_json import write_cameras
from tondo.io.posed.photos import load_photos
from tondo.runs.run_directory import create_run
from tondo.scenes.distil import AROUND, photograph_scene
from tondo.scenes.open import OpenedScene, open_scene
from tondo.scenes.render import render


def covering(scene: Scene) -> Scene:
    """The scene with splats so large that they fill every picture."""
    splats = replace(scene.splats, log_scales=scene.splats.log_scales + 2.5)
    return replace(scene, splats=splats)


def test_a_scene_is_photographed_by_the_cameras_of_its_photos(tmp_path: Path) -> None:
    run = create_run(tmp_path / "run", {"tondo": "1"})
    scene = covering(known_scene())
    save_scene(run.scene_path, scene)
    write_cameras(run.cameras_path, [(f"{k}.png", c) for k, c in enumerate(cameras(4))])
    told: list[tuple[str, int, int]] = []
    photograph_scene(open_scene(run.path), tmp_path / "out", 36, lambda *x: told.append(x))
    assert told[0] == ("photographing the scene", 0, 4)
    assert told[-1] == ("photographing the scene", 4, 4)
    found = load_photos(tmp_path / "out", max_size=None, holdout=0)
    assert [photo.name for photo in found.train] == ["0000.png", "0001.png", "0002.png", "0003.png"]
    assert (found.train[0].camera.width, found.train[0].camera.height) == (36, 28)
    assert not found.has_alpha
    torch.testing.assert_close(found.up, scene.up)
    for photo in found.train:
        view = render(scene, photo.camera).color
        assert float((photo.image / 255 - view).abs().max()) < 0.01


def test_an_object_before_nothing_keeps_its_coverage(tmp_path: Path) -> None:
    """From all around, where no cameras are known."""
    scene = replace(known_scene(), radius=2.0)  # seen from farther away
    photograph_scene(OpenedScene(scene, None), tmp_path / "out", 24)
    found = load_photos(tmp_path / "out", max_size=None, holdout=0)
    assert len(found.train) == AROUND
    assert found.has_alpha
    photo = found.train[5]
    view = render(scene, photo.camera)
    assert photo.alpha is not None
    alpha = photo.alpha[..., None] / 255
    over = photo.image / 255 * alpha + scene.background * (1 - alpha)
    assert float((over - view.color).abs().max()) < 0.03  # 8 bits of colour and of coverage
    assert float(alpha.min()) == 0.0
