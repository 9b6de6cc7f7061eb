"""`tondo.rasterize`: one operation, three paths (native CPU, gsplat on CUDA, the torch twin)."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from tondo.errors import MissingPartError
from tondo.kernels.splats.gaussians import Cameras, Gaussians
from tondo.kernels.splats.rasterize_native import layers_native
from tondo.kernels.splats.rasterize_torch import (
    Layers,
    Request,
    assemble,
    layers_torch,
    request_of,
    splat_normals,
)


def rasterize(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    sh: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    packed: bool = False,
    tile_size: int = 16,
    backgrounds: Tensor | None = None,
    render_mode: str = "RGB",
    rasterize_mode: str = "classic",
    with_normals: bool = False,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Render N 3D Gaussians into C pinhole cameras; differentiable in all tensors (in `Ks` through
    the torch twin alone). The same as `gsplat.rasterization(..., packed=False)`.

    Kerbl et al. 2023, 3D Gaussian Splatting, equations 2 and 3; antialiasing by Yu et al. 2024,
    Mip-Splatting; docs/conventions.md has the formulas. float32 (the twin: float64 too).

    Args:
        means: [N, 3] world space, N may be 0. quats: [N, 4] (w, x, y, z), any length. scales:
            [N, 3] standard deviations, world units. opacities: [N] 0..1.
        viewmats: [C, 4, 4] world-to-camera, OpenCV axes. Ks: [C, 3, 3] pixels, pixel centres at
            +0.5. width, height: of the picture, pixels.
        sh: [N, K, 3] or [C, N, K, 3] harmonics if `sh_degree` (0..3) is given, K >= (sh_degree +
            1)^2; else colours [N, D] or [C, N, D].
        near_plane, far_plane: depths outside are culled. radius_clip: splats of no larger radius in
            pixels are culled. eps2d: pixels^2 added to the projected variances.
        packed: only False. tile_size: pixels, no influence on the picture.
        backgrounds: [C, D] colour behind everything, or None for 0. Depth has no background.
        render_mode: "RGB" | "D" | "ED" | "RGB+D" | "RGB+ED"; D is depth summed by weights, ED that
            divided by alpha: the last channel.
        rasterize_mode: "classic" | "antialiased" (opacity compensated for `eps2d`).
        with_normals: also give each splat's shortest axis, towards the camera, summed by weights.

    Returns:
        picture [C, H, W, D, 1 or D + 1], alphas [C, H, W, 1] 0..1, and a dict of the fields of
        `Projection` with opacities [C, N] (no meaning where culled), tile_width, tile_height,
        tile_size, width, height, n_cameras and, if asked for, normals [C, H, W, 3] in world space.

    Raises:
        TypeError, ValueError: a tensor of the wrong shape, dtype or device, an unknown mode.
        MissingPartError: gsplat is installed and cannot run.

    Example:
        >>> import tondo
        >>> splats, camera = tondo.load_scene("run").splats, tondo.load_cameras("photos")[0]
        >>> scales, opacities = splats.log_scales.exp(), splats.opacity_logits.sigmoid()
        >>> view = camera.viewmat[None], camera.K[None], camera.width, camera.height
        >>> picture, alphas, _ = tondo.rasterize(
        ...     splats.means, splats.quats, scales, opacities, splats.sh, *view, sh_degree=1
        ... )
        >>> picture.shape, alphas.shape
        (torch.Size([1, 56, 72, 3]), torch.Size([1, 56, 72, 1]))
    """
    request = request_of(**locals())
    path, _ = rasterize_path(means.device, means.dtype)
    layers_of = {"native": layers_native, "gsplat": _layers_gsplat, "torch": layers_torch}
    return assemble(request, layers_of[path](request))


def rasterize_path(
    device: torch.device | str, dtype: torch.dtype = torch.float32
) -> tuple[str, str]:
    """Which path `rasterize` takes for tensors on `device`, and why, in plain words.

    Returns:
        ("native" | "gsplat" | "torch", reason).
    """
    device = torch.device(device)
    if dtype != torch.float32:
        return "torch", f"{str(dtype).removeprefix('torch.')} has only the torch twin"
    if device.type == "cpu":
        return "native", "float32 on the CPU"
    if device.type == "cuda":
        if find_spec("gsplat") is not None:
            return "gsplat", "float32 on a CUDA device, gsplat is installed"
        return "torch", "gsplat is not installed: `pip install gsplat` makes CUDA faster"
    return "torch", f"{device.type} devices have only the torch twin"


def _layers_gsplat(request: Request) -> Layers:
    gaussians, cameras = request.gaussians, request.cameras
    if len(gaussians.means) == 0:  # nothing to launch a kernel on
        return layers_torch(request)
    rasterization = _gsplat_rasterization()
    drawn = _not_zero(gaussians)

    def run(colors: Tensor, sh_degree: int | None, mode: str) -> tuple[Tensor, Tensor, dict]:
        return rasterization(
            *drawn,
            colors,
            *cameras,
            near_plane=request.near_plane,
            far_plane=request.far_plane,
            radius_clip=request.radius_clip,
            eps2d=request.eps2d,
            sh_degree=sh_degree,
            packed=False,
            render_mode=mode,
            rasterize_mode=request.rasterize_mode,
        )

    mode = request.render_mode.replace("ED", "D")
    picture, alphas, meta = run(request.sh, request.sh_degree, mode)
    normals = None
    if request.with_normals:
        normals, _, _ = run(splat_normals(gaussians, cameras.viewmats), None, "RGB")
    return Layers(
        colors=picture[..., :-1] if mode == "RGB+D" else picture if mode == "RGB" else None,
        depths=None if mode == "RGB" else picture[..., -1:],
        normals=normals,
        alphas=alphas,
        meta={name: meta[name] for name in ("radii", "means2d", "depths", "conics", "opacities")},
    )


def scenes_gsplat(
    gaussians: Gaussians, colors: Tensor, cameras: Cameras, *, near_plane: float, eps2d: float
) -> tuple[Tensor, Tensor]:
    """B scenes by gsplat at once, scene b into camera b: [B, H, W, 4] colour and depth, summed by
    weight, and alphas [B, H, W, 1]. Inputs as of `rasterize_scenes`, at least one splat."""
    picture, alphas, _ = _gsplat_rasterization()(
        *_not_zero(gaussians),
        colors,
        cameras.viewmats[:, None],
        cameras.Ks[:, None],
        cameras.width,
        cameras.height,
        near_plane=near_plane,
        eps2d=eps2d,
        packed=False,
        render_mode="RGB+D",
    )
    return picture[:, 0], alphas[:, 0]


def _not_zero(gaussians: Gaussians) -> Gaussians:
    """With the identity for quaternions of zero: gsplat divides them by their length."""
    quats = gaussians.quats
    some = quats.any(dim=-1, keepdim=True)
    identity = quats.new_tensor([1.0, 0.0, 0.0, 0.0])
    return gaussians._replace(quats=torch.where(some, quats, identity))


def _gsplat_rasterization() -> Callable[..., tuple[Tensor, Tensor, dict[str, Any]]]:
    from gsplat import rasterization

    try:  # imports as well where it has found no compiler for its kernels
        from gsplat.cuda._backend import _C
    except ImportError:  # arranged in another way
        return rasterization
    if _C is None:
        raise MissingPartError(
            "gsplat is installed and cannot run: it compiles itself at its first use, which needs "
            "the CUDA toolkit (nvcc); install that, or `pip uninstall gsplat` for the slower path"
        )
    return rasterization
