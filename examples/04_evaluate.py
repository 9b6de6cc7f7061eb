"""How good a scene is: on photos that it has not seen, and as a surface.

    python examples/04_evaluate.py RUN [TRUTH.ply]

TRUTH: a mesh or a point cloud of the true surface, in the world's axes.
"""

from __future__ import annotations

import sys

import tondo


def main(run: str, truth: str | None = None, resolution: int = 256) -> None:
    found = tondo.evaluate(run)
    for name, one in found.photos.per_image.items():
        print(f"{name}: {one.psnr:.2f} dB, SSIM {one.ssim:.4f}, perceptual {one.perceptual:.4f}")
    print(f"mean: {found.photos.mean}")
    print(f"photos and renders side by side: {found.pictures}")

    if truth is not None:
        surface = tondo.SurfaceOptions(mesh=truth, resolution=resolution)
        found = tondo.evaluate(run, tondo.EvaluateOptions(surface=surface))
        whole = found.surface.whole
        print(f"chamfer distance {whole.chamfer:.4f}, F-score {whole.f_score:.3f}")
        if found.surface.visible is not None:
            print(f"of what the photos show: F-score {found.surface.visible.f_score:.3f}")
    print(f"all numbers: {found.metrics_path}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
