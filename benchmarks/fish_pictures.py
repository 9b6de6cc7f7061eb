"""Pictures of varied fish with known cameras, for training a generator.

Not a measurement: it makes the data for one, out of the meshes in `fish` of the shared data.
`tondo prepare OUT --for gan` finds the cameras that it writes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from common import shared_data
from tondo.errors import TondoError
from tondo.gan.mesh_pictures import photograph_meshes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--meshes", type=Path, help="folder of .glb files (the shared fish)")
    parser.add_argument("--count", type=int, default=8000, help="pictures (%(default)s)")
    parser.add_argument("--size", type=int, default=64, help="pixels a side (%(default)s)")
    parser.add_argument("--views", type=int, default=1, help="of each fish (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    start = time.perf_counter()

    def show(done: int, total: int) -> None:
        if done % 500 == 0 or done == total:
            print(f"{done} of {total}, {done / (time.perf_counter() - start):.1f} a second")

    try:
        photograph_meshes(
            sorted((args.meshes or shared_data() / "fish").glob("*.glb")),
            args.output,
            count=args.count,
            size=args.size,
            seed=args.seed,
            views=args.views,
            progress=show,
        )
    except TondoError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
