"""Whether masks of photographs are the silhouettes of one object."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# Share of the pictures' outermost pixels that masks of one object leave out; masks of what walked
# through a scene keep most of them. Chosen.
EMPTY_BORDER = 0.75


def are_silhouettes(covers: Sequence[Tensor]) -> bool:
    """Whether masks show one object: each shows some of it, all of them hardly any of the border,
    and they are not all the same, as those of a lens are that draws a circle.

    Args:
        covers: [H, W] bool each, True where the mask keeps.

    Example:
        >>> import torch
        >>> left, right = torch.zeros(2, 6, 8, dtype=torch.bool)
        >>> left[2:4, 2:4] = right[2:4, 3:6] = True
        >>> are_silhouettes([left, right]), are_silhouettes([left, left]), are_silhouettes([~left])
        (True, False, False)
    """
    if not covers or not all(bool(one.any()) for one in covers):
        return False
    if len(covers) > 1 and all(torch.equal(one, covers[0]) for one in covers[1:]):
        return False
    rims = torch.cat([torch.cat([one[0], one[-1], one[:, 0], one[:, -1]]) for one in covers])
    return float((~rims).float().mean()) > EMPTY_BORDER
