"""Pictures with cameras of coloured meshes, varied: a training set for a generator.

    python examples/photograph_meshes.py MESHES -o PICTURES --count 8000 --size 64

MESHES is a folder of .glb files that look along +z with +y up, as glTF says. The same arguments
give the same pictures, whatever machine makes them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.progress import Progress

from tondo.demo.mesh_pictures import photograph_meshes
from tondo.errors import TondoError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("meshes", metavar="MESHES", type=Path, help="a folder of .glb files")
    parser.add_argument("-o", "--output", metavar="PICTURES", type=Path, required=True)
    parser.add_argument("--count", type=int, default=8000, help="pictures (%(default)s)")
    parser.add_argument("--size", type=int, default=64, help="image size, pixels (%(default)s)")
    parser.add_argument("--views", type=int, default=1, help="of each variation (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    args = parser.parse_args()
    try:
        with Progress() as bars:
            bar = bars.add_task("pictures", total=args.count)
            photograph_meshes(
                sorted(args.meshes.glob("*.glb")),
                args.output,
                count=args.count,
                size=args.size,
                seed=args.seed,
                views=args.views,
                progress=lambda done, total: bars.update(bar, completed=done),
            )
    except TondoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
