"""Photos of an object or a room in, a textured mesh out.

    python examples/01_photos_to_mesh.py PHOTOS OUT

PHOTOS: a folder of photos with or without poses, or a video. Photos without poses go through
structure from motion first.
"""

from __future__ import annotations

import sys
from pathlib import Path

import tondo

TRAINING = tondo.ReconstructOptions(minutes=3)
EXPORT = tondo.ExportOptions(
    mesh=tondo.MeshOptions(resolution=256, faces=50_000),
    texture=tondo.TextureOptions(size="auto"),  # or a number of texels, or "none"
)


def main(
    photos: str,
    out: str,
    training: tondo.ReconstructOptions = TRAINING,
    options: tondo.ExportOptions = EXPORT,
) -> None:
    run = Path(out) / "run"
    watch = tondo.Watch(note=print)  # sentences about what is found and done
    result = tondo.reconstruct(photos, run, training, watch=watch)
    print(result.model)
    if result.metrics is not None:  # every 8th photo was held out to measure on
        print(f"{result.metrics.mean.psnr:.2f} dB on photos that training did not see")

    # As a file: the ending chooses the format, whose up axis the mesh gets. GLB and OBJ have a
    # texture from the photos; what none of them shows is filled from renders of the splats.
    done = tondo.export(run, Path(out) / "model.glb", options, watch=watch)
    print(done.path, done.model)
    if done.texture is not None:
        seen, filled = done.texture.photographed, done.texture.rendered
        print(f"texture: {seen:.0%} from photos, {filled:.0%} from renders")

    # The mesh in memory, with colours per vertex, through cameras of your choice.
    cameras = tondo.load_cameras(run / "cameras.json", result.model)
    again = tondo.to_mesh(result.model, cameras, options.mesh)
    print(again.vertices.mean(dim=0), again.world_from_scene)


if __name__ == "__main__":
    main(*sys.argv[1:3])
