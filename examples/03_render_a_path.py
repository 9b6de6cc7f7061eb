"""A turntable video of a run, its photos' views with depth, and one picture in memory.

    python examples/03_render_a_path.py RUN OUT

RUN is what `tondo reconstruct` or 01_photos_to_mesh.py made.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import tondo

TURNTABLE = tondo.RenderOptions(path="orbit", frames=120, fps=30.0)


def main(run: str, out: str, options: tondo.RenderOptions = TURNTABLE) -> None:
    film = tondo.render_files(run, options, video=Path(out) / "turntable.mp4").video
    print(f"{film.path}: {film.frames} frames")

    # One picture for each camera that a photo was taken by; any transforms.json will do.
    views = replace(options, path=None, depth=True, normals=True)
    cameras = Path(run) / "cameras.json"
    done = tondo.render_files(run, views, cameras=cameras, output=Path(out) / "views")
    print(f"{len(done.pictures)} pictures; depth in {done.depth}")

    # In memory: tensors, for work of your own.
    scene = tondo.load_scene(run)
    print(scene)
    side = 256
    known = tondo.load_cameras(cameras, scene)[0]
    K = known.K.new_tensor([[300.0, 0, side / 2], [0, 300.0, side / 2], [0, 0, 1]])
    view = tondo.render(scene, tondo.Camera(known.viewmat, K, side, side))
    print(view, f"{float(view.alpha.mean()):.1%} of the picture is covered")


if __name__ == "__main__":
    main(*sys.argv[1:3])
