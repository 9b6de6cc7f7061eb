"""How many photos does `tondo prepare` place, how right, and in what time, beside plain pycolmap?

Plain pycolmap: its features, all pairs, one camera, its incremental mapper, all with their
defaults. Both in processes of their own, one after the other. Positions are compared with the given
ones where a set has them, after the best similarity, as shares of the cameras' mean distance from
their middle.

    ../.venv/bin/python poses.py                 # --sets banana
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from common import load, save, shared_data

SETS = {
    "fox": ("fox/images", "fox/transforms.json"),
    "banana": ("banana", None),
    "sceaux": ("sceaux", None),
    "walnuts": ("walnuts/images", "walnuts/transforms.json"),
    "kitchen": ("kitchen", "kitchen/transforms.json"),
}
_PHOTOS = (".jpg", ".png", ".jpeg")


def plain(photos: Path, out: Path) -> None:
    """Run pycolmap with its defaults; this is the child process."""
    import pycolmap

    pycolmap.logging.minloglevel = 3
    database = out / "database.db"
    names = sorted(p.name for p in photos.iterdir() if p.suffix.lower() in _PHOTOS and ok(p))
    pycolmap.set_random_seed(0)
    pycolmap.extract_features(
        database, photos, image_names=names, camera_mode=pycolmap.CameraMode.SINGLE
    )
    pycolmap.match_exhaustive(database)
    models = pycolmap.incremental_mapping(database, photos, out)
    if models:
        best = max(models.values(), key=lambda model: model.num_reg_images())
        (out / "best").mkdir()
        best.write_binary(out / "best")


def ok(path: Path) -> bool:
    """Not a depth picture of the kitchen."""
    return ".depth." not in path.name


def only_photos(folder: Path, out: Path) -> Path:
    """The photos alone, linked, since some folders hold other pictures too."""
    out.mkdir()
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in _PHOTOS and ok(path):
            (out / path.name).symlink_to(path.resolve())
    return out


def placed(model: Path, truth: Path | None) -> dict[str, float | int | None]:
    """How many photos a model has, and how far they lie from the given places."""
    import pycolmap

    if not model.is_dir():
        return {"placed": 0, "median": None, "worst": None}
    found = pycolmap.Reconstruction(model)
    centers = {
        Path(found.images[i].name).stem: found.images[i].projection_center()
        for i in found.reg_image_ids()
    }
    result: dict[str, float | int | None] = {"placed": len(centers), "median": None, "worst": None}
    if truth is None:
        return result
    frames = json.loads(truth.read_text())["frames"]
    given = {
        Path(f["file_path"]).stem: np.array(f["transform_matrix"])[:3, 3]
        for f in frames
        if Path(f["file_path"]).stem in centers
    }
    names = sorted(given)
    mine, true = (np.array([where[name] for name in names]) for where in (centers, given))
    off = apart(mine, true)
    return {
        **result,
        "median": round(float(np.median(off)), 4),
        "worst": round(float(off.max()), 4),
    }


def apart(mine: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Distances after the best similarity (Umeyama 1991), as shares of the mean reach."""
    a, b = mine - mine.mean(0), true - true.mean(0)
    u, s, vt = np.linalg.svd(b.T @ a)
    signs = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    scale = (s * signs).sum() / (a**2).sum()
    left = scale * a @ (u * signs @ vt).T - b
    return np.linalg.norm(left, axis=1) / np.linalg.norm(b, axis=1).mean()


def timed(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=False, capture_output=True)
    return round(time.perf_counter() - began, 1)


def measure(name: str) -> dict[str, object]:
    folder, given = SETS[name]
    data = shared_data()
    truth = None if given is None else data / given
    with tempfile.TemporaryDirectory() as work:
        photos = only_photos(data / folder, Path(work) / name)
        rows: dict[str, object] = {"photos": len(list(photos.iterdir()))}
        out = Path(work) / "prepared"
        prepare = [sys.executable, "-m", "tondo", "prepare", str(photos), "-o", str(out)]
        rows["tondo"] = {"seconds": timed(prepare), **placed(out / "sparse" / "0", truth)}
        other = Path(work) / "plain"
        other.mkdir()
        alone = [sys.executable, __file__, "--plain", str(photos), str(other)]
        rows["pycolmap"] = {"seconds": timed(alone), **placed(other / "best", truth)}
    print(name, rows, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--plain", nargs=2, type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.plain:
        plain(*args.plain)
        return
    before = (load("poses") or {}).get("sets", {})
    save("poses", {"sets": {**before, **{name: measure(name) for name in args.sets}}})


if __name__ == "__main__":
    main()
