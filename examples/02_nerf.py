"""Photos in, a radiance field out; colours along rays of your own.

python examples/02_nerf.py PHOTOS OUT
"""

from __future__ import annotations

import sys

import torch

import tondo

TRAINING = tondo.ReconstructOptions(method="nerf", minutes=5)


def main(photos: str, out: str, training: tondo.ReconstructOptions = TRAINING) -> None:
    result = tondo.reconstruct(photos, out, training, watch=tondo.Watch(note=print))
    scene = result.model
    print(scene)

    # One ray, from outside the scene through its middle.
    direction = torch.tensor([[0.0, 0.6, -0.8]])
    origin = scene.center - 3 * scene.radius * direction
    found = tondo.render_rays(scene, origin, direction)
    color = found.colors + (1 - found.opacities[:, None]) * scene.background
    print(f"colour {color[0].tolist()}, opacity {float(found.opacities[0]):.3f}")

    # Where along the ray its light is lost.
    distances = torch.linspace(0, 6 * scene.radius, 7)
    print(tondo.opacity_along(scene, origin, direction, distances))

    # A whole picture, with depth and normals.
    photo = tondo.load_photos(photos, max_size=training.max_size).train[0]
    view = tondo.render(scene, photo.camera, with_normals=True)
    print(view, f"median depth {float(view.depth.median()):.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
