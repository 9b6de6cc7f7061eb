"""What moving a textured mesh's vertices would change of a picture, by native code on the CPU: the
backward pass of a mesh rasteriser."""

from __future__ import annotations

from torch import Tensor

from tondo import _native
from tondo.kernels.mesh.surface_residuals_torch import (
    ResidualRule,
    SeenSurface,
    Target,
    TexturedSurface,
    surface_residuals_torch,
)


def surface_residuals(
    on: TexturedSurface,
    seen: SeenSurface,
    target: Target,
    rule: ResidualRule,
    up: Tensor,
    down: Tensor,
) -> float:
    """Add to each vertex in which way it has to move for a picture to come closer to its target.

    A pixel is the mean of its places' colours (the texture, bilinear, and 1 for coverage; 0 where
    nothing is). It changes with the vertices for two reasons: the texture slides over the places,
    as rays meet the moved planes elsewhere; and where a place is in front of its neighbour by more
    than `rule.edge`, what is in front covers more or less of what is behind, by the speed of its
    point in the picture. That is the derivative of the area that it covers (Li et al. 2018, edge
    sampling; Laine et al. 2020, antialiasing). J are all changes of a pixel per unit that a vertex
    moves, r what the target is more than the pixel, and the loss is Cauchy's,

        sum w t^2 / 2 log(1 + |r|^2 / t^2).

    Args:
        on: the mesh and its texture. seen: where the camera sees it (`mesh_depth`).
        target: what the picture should be. rule: t, edges and flat faces.
        up: [V] float32 += sum w' J r, the loss's gradient with its sign turned, with
            w' = w / (1 + |r|^2 / t^2). Changes in place.
        down: [V] float32 += sum w' |J| sum over the pixel's J of |J|: up / down is a step by which
            the quadratic with weights w' does not grow (as of SIRT). Changes in place.

    Returns:
        The loss.

    Raises:
        ValueError: sizes differ, or a face or vertex is named that is not there.
    """
    if on.vertices.device.type != "cpu":
        return surface_residuals_torch(on, seen, target, rule, up, down)
    surface = TexturedSurface(*(x.contiguous() for x in on))
    view = SeenSurface(*(x.contiguous() for x in seen))
    wanted = Target(*(x.contiguous() for x in target))
    return _native.surface_residuals(surface, view, wanted, rule, up, down)
