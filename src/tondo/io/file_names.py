"""Names for the pictures that are written for a list of photos or cameras."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def unique_names(names: Sequence[str]) -> list[str]:
    """A file name (without ending) for each of `names`, in order, no two the same.

    The last part of each name; where several share it, as many of the folders before it are put in
    front, joined by "_", as it takes; where even the whole names are the same, "-2", "-3" is added.

    Args:
        names: paths with "/" between parts, without file ending.
    """
    parts = [[_plain(part) for part in name.split("/") if part.strip(". ")] for name in names]
    parts = [words or ["picture"] for words in parts]
    depth = 1
    found = [words[-1] for words in parts]
    while depth < max(map(len, parts), default=0) and len(set(found)) < len(found):
        depth += 1
        shared = {name for name, count in Counter(found).items() if count > 1}
        found = [
            "_".join(words[-depth:]) if name in shared else name
            for name, words in zip(found, parts, strict=True)
        ]
    return _numbered(found)


def _plain(part: str) -> str:
    """`part` without characters that file systems or shells take for something else."""
    return "".join(c if c.isprintable() and c not in '\\:*?"<>|' else "_" for c in part)[:150]


def _numbered(names: list[str]) -> list[str]:
    taken: set[str] = set()
    found = []
    for name in names:
        candidate, number = name, 1
        while candidate in taken:
            number += 1
            candidate = f"{name}-{number}"
        taken.add(candidate)
        found.append(candidate)
    return found
