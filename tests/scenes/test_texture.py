"""Pictures to take a texture from."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from small_photos import cameras, known_scene
from tondo.scenes.render import render
from tondo.scenes.texture import SHARPNESS_RANGE, by_sharpness
from tondo.texture.bake import Picture


def test_blurred_photographs_count_less() -> None:
    scene = known_scene()
    pictures = []
    for index, camera in enumerate(cameras(5)):
        color = render(scene, camera).color.permute(2, 0, 1)[None]
        if index == 2:
            color = F.avg_pool2d(color, 15, 1, 7, count_include_pad=False)
        image = (color[0].permute(1, 2, 0) * 255).round().byte()
        pictures.append(Picture(camera, image, torch.ones(image.shape[:2])))
    weights = [one.weight for one in by_sharpness(pictures)]
    assert SHARPNESS_RANGE[0] <= weights[2] < 0.5 * min(weights[:2] + weights[3:])
    assert max(weights) <= SHARPNESS_RANGE[1]
    assert by_sharpness([]) == []
    black = [Picture(one.camera, 0 * one.image, one.coverage) for one in pictures]
    assert [one.weight for one in by_sharpness(black)] == [1.0] * 5
