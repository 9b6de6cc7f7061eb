"""Whether two checkouts make the same things, bit for bit, on this machine.

    python benchmarks/same_bits.py REFERENCE NEW --data DIR --what fox chair

REFERENCE and NEW are checkouts with a `.venv` each; DIR holds fox/, chair/ and apples.zip. Of
safetensors the tensors' values count, whatever their names. Exit status 1 where something differs.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from safetensors import safe_open

SCENE = ["--max-size", "160", "--steps", "300", "--seed", "3"]
NERF = ["--method", "nerf", *SCENE]
GAN = ["--size", "32", "--seed", "5", "--batch", "8"]
WHAT = ("fox", "chair", "fish", "train", "axial", "field", "lift", "export")


def commands(what: str, data: Path, out: Path) -> list[list[str]]:
    """The commands that make it, in `out`."""
    train = ["train", str(data / "apples.zip"), *GAN, "-o", str(out / what)]
    made = {
        "fox": [["reconstruct", str(data / "fox"), *SCENE, "-o", str(out / "fox")]],
        "chair": [["reconstruct", str(data / "chair"), *NERF, "-o", str(out / "chair")]],
        "fish": [["generate", "fish", "--seeds", "0-7", "--format", "ply"]],
        "train": [[*train, "--kimg", "0.2"]],
        "axial": [[*train, "--kimg", "0.1", "--axial"]],
        "field": [[*train, "--kimg", "0.1", "--representation", "field"]],
        "lift": [["lift", str(out / "apple.jpg"), "--generator", "fish"]],
        "export": [
            ["export", str(out / scene), "-o", str(out / f"{scene}.ply")]
            for scene in ("fox", "chair")
        ],
    }[what]
    made[0] += {"fish": ["-o", str(out / "fish")], "lift": ["-o", str(out / "lift.ply")]}.get(
        what, []
    )
    return made


def sums(what: str, out: Path) -> list[str]:
    """Of the files that count."""
    files = {
        "fish": sorted(p for p in (out / "fish").rglob("*") if p.suffix in (".ply", ".obj")),
        "lift": [out / "lift.ply"],
        "export": [out / "fox.ply", out / "chair.ply"],
    }.get(what) or sorted((out / what).glob("*.safetensors"))
    return [_sum(path) for path in files]


def _sum(path: Path) -> str:
    if path.suffix != ".safetensors":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    with safe_open(path, "pt") as file:
        each = sorted(
            hashlib.sha256(file.get_tensor(name).contiguous().numpy().tobytes()).hexdigest()
            for name in file.keys()  # noqa: SIM118 (not a dictionary)
        )
    return hashlib.sha256("".join(each).encode()).hexdigest()


def made_by(checkout: Path, what: str, data: Path, out: Path) -> list[str]:
    """The sums of what a checkout makes."""
    for words in commands(what, data, out):
        subprocess.run(
            [checkout / ".venv/bin/tondo", *words], check=True, capture_output=True, cwd=out
        )
    return sums(what, out)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("reference", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--what", nargs="+", default=WHAT, choices=WHAT)
    args = parser.parse_args()
    same = True
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / name for name in ("reference", "new")]
        for place in places:
            place.mkdir()
            with zipfile.ZipFile(args.data / "apples.zip") as file:
                first = next(name for name in file.namelist() if name.endswith(".jpg"))
                (place / "apple.jpg").write_bytes(file.read(first))
        for what in args.what:
            before, now = (
                made_by(checkout.resolve(), what, args.data.resolve(), place)
                for checkout, place in zip((args.reference, args.new), places, strict=True)
            )
            same &= before == now
            print(f"{what:7} {'same' if before == now else 'DIFFERENT'}", flush=True)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
