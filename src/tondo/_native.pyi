"""Types of the native code. Written by `make stub` from the module; not by hand."""

from typing import Annotated, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

# Arrays of a type: contiguous, on the CPU. Annotations give their shapes, * for any size.
F32: TypeAlias = Tensor | NDArray[np.float32]
I32: TypeAlias = Tensor | NDArray[np.int32]
I64: TypeAlias = Tensor | NDArray[np.int64]
U8: TypeAlias = Tensor | NDArray[np.uint8]

class Bins:
    def __init__(self) -> None: ...
    @property
    def evaluations(self) -> int: ...
    @property
    def instances(self) -> int: ...
    @property
    def visible(self) -> int: ...

class FieldArrays: ...

class FieldRays:
    def __init__(self) -> None: ...
    @property
    def samples(self) -> int: ...

class LossScratch:
    def __init__(self) -> None: ...

class PlaneScratch:
    def __init__(self) -> None: ...

class Remembering:
    def __init__(
        self,
        densities: Annotated[F32, "*, *, *"],
        space: tuple[Annotated[U8, "*, *, *"], tuple[float, float, float], float, bool],
        marching: tuple[float, float, int, float],
        rule: tuple[float, float, float, int],
    ) -> None: ...

class SceneBatch:
    def __init__(self) -> None: ...

def adam_visible(
    params: Annotated[F32, "*, *"],
    grads: Annotated[F32, "*, *"],
    exp_avg: Annotated[F32, "*, *"],
    exp_avg_sq: Annotated[F32, "*, *"],
    rates: tuple[Annotated[F32, "*"], float, float, float, int],
    radii: Annotated[I32, "*, 2"] | None,
    touched: bool = False,
) -> None: ...
def bin_splats(
    bins: Bins,
    splats: tuple[
        Annotated[F32, "*, 2"],
        Annotated[F32, "*, 3"],
        Annotated[F32, "*"],
        Annotated[I32, "*, 2"],
        Annotated[F32, "*"],
        Annotated[F32, "*, *"],
    ],
    width: int,
    height: int,
) -> None: ...
def depth_normal_loss(
    scratch: PlaneScratch,
    K: Annotated[F32, "3, 3"],
    planes: Annotated[F32, "*, *, *"],
    alphas: Annotated[F32, "*, *"],
    v_planes: Annotated[F32, "*, *, *"],
) -> float: ...
def field_backward(
    kept: FieldRays,
    field: FieldArrays,
    rays: tuple[
        Annotated[F32, "*, 3"], Annotated[F32, "*, 3"], Annotated[F32, "*, 2"], Annotated[F32, "*"]
    ],
    grads: tuple[
        Annotated[F32, "*, 3"], Annotated[F32, "*"], Annotated[F32, "*"], Annotated[F32, "*"]
    ],
    v_first: Annotated[F32, "*"],
    v_second: Annotated[F32, "*"] | None,
    v_heads: Annotated[F32, "*"],
) -> None: ...
def field_density(
    field: FieldArrays, points: Annotated[F32, "*, 3"], log_sigmas: Annotated[F32, "*"]
) -> None: ...
def field_forward(
    keep: FieldRays | None,
    field: FieldArrays,
    rays: tuple[
        Annotated[F32, "*, 3"], Annotated[F32, "*, 3"], Annotated[F32, "*, 2"], Annotated[F32, "*"]
    ],
    out: tuple[
        Annotated[F32, "*, 3"],
        Annotated[F32, "*"],
        Annotated[F32, "*"],
        Annotated[F32, "*"],
        Annotated[I32, "*"],
    ],
) -> None: ...
def fma_peak(threads: int) -> float: ...
def gather_peak(threads: int, bytes: int) -> float: ...
def gather_view(
    surface: tuple[
        Annotated[F32, "*, 3"], Annotated[F32, "*, 3"], Annotated[I64, "*"], Annotated[U8, "*"]
    ],
    view: tuple[
        Annotated[F32, "4, 4"],
        Annotated[F32, "3, 3"],
        Annotated[F32, "*, *"],
        Annotated[U8, "*, *"],
        Annotated[U8, "*, *, 3"],
        Annotated[F32, "3, 4"],
    ],
    rule: tuple[float, float, float, float, float, float],
    mean: Annotated[F32, "*, 3"] | None,
    total: Annotated[F32, "*, 3"],
    weights: Annotated[F32, "*"],
) -> None: ...
def hash_field(
    tables: Annotated[F32, "*, *, *"],
    resolutions: Annotated[I32, "*"],
    heads: Annotated[F32, "*"],
    hidden: int,
    space: tuple[Annotated[U8, "*, *, *"], tuple[float, float, float], float, bool],
    marching: tuple[float, float, int, float],
) -> FieldArrays: ...
def matcap_backward(
    quats: Annotated[F32, "*, *, 4"],
    turns: Annotated[F32, "*, 2, 3"],
    light: Annotated[F32, "*, 2, *, *"],
    colors: Annotated[F32, "*, *, 3"],
    v_out: Annotated[F32, "*, *, 3"],
    v_light: Annotated[F32, "*, 2, *, *"],
    v_colors: Annotated[F32, "*, *, 3"],
) -> None: ...
def matcap_forward(
    quats: Annotated[F32, "*, *, 4"],
    turns: Annotated[F32, "*, 2, 3"],
    light: Annotated[F32, "*, 2, *, *"],
    colors: Annotated[F32, "*, *, 3"],
    out: Annotated[F32, "*, *, 3"],
) -> None: ...
def median_depth(
    bins: Bins,
    splats: tuple[
        Annotated[F32, "*, 2"],
        Annotated[F32, "*, 3"],
        Annotated[F32, "*"],
        Annotated[I32, "*, 2"],
        Annotated[F32, "*"],
        Annotated[F32, "*, *"],
    ],
    level: float,
    depth: Annotated[F32, "*, *"],
) -> None: ...
def mesh_depth(
    vertices: Annotated[F32, "*, 3"],
    faces: Annotated[I64, "*, 3"],
    near: float,
    depth: Annotated[F32, "*, *"],
    face: Annotated[I64, "*, *"],
) -> None: ...
def num_threads() -> int: ...
def patch_scores(
    points: tuple[
        Annotated[F32, "*, 3"],
        Annotated[F32, "*, 3"],
        Annotated[F32, "*"],
        Annotated[F32, "*"],
        Annotated[I32, "*, *"],
    ],
    photos: tuple[
        Annotated[U8, "*, 3"],
        Annotated[I64, "*"],
        Annotated[I64, "*, 2"],
        Annotated[F32, "*, 3, 4"],
    ],
    rule: tuple[int, float, float],
    scores: Annotated[F32, "*, *"],
) -> None: ...
def plane_field(
    planes: Annotated[F32, "3, *, *, *"],
    lines: Annotated[F32, "3, *, *"],
    heads: Annotated[F32, "*"],
    hidden: int,
    space: tuple[Annotated[U8, "*, *, *"], tuple[float, float, float], float, bool],
    marching: tuple[float, float, int, float],
) -> FieldArrays: ...
def project_backward(
    gaussians: tuple[
        Annotated[F32, "*, 3"], Annotated[F32, "*, 4"], Annotated[F32, "*, 3"], Annotated[F32, "*"]
    ],
    camera: tuple[Annotated[F32, "4, 4"], Annotated[F32, "3, 3"], int, int],
    eps2d: float,
    radii: Annotated[I32, "*, 2"],
    grads: tuple[
        Annotated[F32, "*, 2"],
        Annotated[F32, "*"] | None,
        Annotated[F32, "*, 3"],
        Annotated[F32, "*"] | None,
    ],
    out: tuple[Annotated[F32, "*, 3"], Annotated[F32, "*, 4"], Annotated[F32, "*, 3"]],
    v_viewmat: Annotated[F32, "*, *"] | None,
) -> None: ...
def project_forward(
    gaussians: tuple[
        Annotated[F32, "*, 3"], Annotated[F32, "*, 4"], Annotated[F32, "*, 3"], Annotated[F32, "*"]
    ],
    camera: tuple[Annotated[F32, "4, 4"], Annotated[F32, "3, 3"], int, int],
    culling: tuple[float, float, float, float],
    out: tuple[
        Annotated[F32, "*, 2"],
        Annotated[F32, "*"],
        Annotated[F32, "*, 3"],
        Annotated[I32, "*, 2"],
        Annotated[F32, "*"] | None,
    ],
) -> None: ...
def rasterize_backward(
    bins: Bins,
    splats: tuple[
        Annotated[F32, "*, 2"],
        Annotated[F32, "*, 3"],
        Annotated[F32, "*"],
        Annotated[I32, "*, 2"],
        Annotated[F32, "*"],
        Annotated[F32, "*, *"],
    ],
    image: Annotated[F32, "*, *, *"],
    v_image: Annotated[F32, "*, *, *"],
    v_alphas: Annotated[F32, "*, *"] | None,
    out: tuple[
        Annotated[F32, "*, 2"], Annotated[F32, "*, 3"], Annotated[F32, "*"], Annotated[F32, "*, *"]
    ],
    v_background: Annotated[F32, "*"] | None,
) -> None: ...
def rasterize_forward(
    bins: Bins,
    splats: tuple[
        Annotated[F32, "*, 2"],
        Annotated[F32, "*, 3"],
        Annotated[F32, "*"],
        Annotated[I32, "*, 2"],
        Annotated[F32, "*"],
        Annotated[F32, "*, *"],
    ],
    background: Annotated[F32, "*"] | None,
    image: Annotated[F32, "*, *, *"],
    alphas: Annotated[F32, "*, *"],
) -> None: ...
def remember(
    how: Remembering,
    x: Annotated[F32, "*"],
    y: Annotated[F32, "*"],
    z: Annotated[F32, "*"],
    sigmas: Annotated[F32, "*"],
) -> None: ...
def remember_rays(how: Remembering, kept: FieldRays) -> None: ...
def scenes_backward(
    batch: SceneBatch,
    scenes: tuple[
        Annotated[F32, "*, *, *"],
        Annotated[F32, "*, *, *"],
        Annotated[F32, "*, *, *"],
        Annotated[F32, "*, *"],
        Annotated[F32, "*, *, *"],
    ],
    images: Annotated[F32, "*, *, *, 4"],
    v_images: Annotated[F32, "*, *, *, 4"],
    v_alphas: Annotated[F32, "*, *, *"],
    out: tuple[
        Annotated[F32, "*, *, *"],
        Annotated[F32, "*, *, *"],
        Annotated[F32, "*, *, *"],
        Annotated[F32, "*, *"],
        Annotated[F32, "*, *, *"],
    ],
    v_viewmats: Annotated[F32, "*, *, *"] | None,
) -> None: ...
def scenes_forward(
    batch: SceneBatch,
    scenes: tuple[
        Annotated[F32, "*, *, *"],
        Annotated[F32, "*, *, *"],
        Annotated[F32, "*, *, *"],
        Annotated[F32, "*, *"],
        Annotated[F32, "*, *, *"],
    ],
    viewmats: Annotated[F32, "*, *, *"],
    Ks: Annotated[F32, "*, *, *"],
    near_plane: float,
    eps2d: float,
    images: Annotated[F32, "*, *, *, 4"],
    alphas: Annotated[F32, "*, *, *"],
) -> None: ...
def set_num_threads(n: int) -> None: ...
def sh_backward(
    degree: int,
    means: Annotated[F32, "*, 3"],
    position: Annotated[F32, "3"],
    sh: Annotated[F32, "*, *, 3"],
    radii: Annotated[I32, "*, 2"],
    colors: Annotated[F32, "*, 3"],
    v_colors: Annotated[F32, "*, 3"],
    out: tuple[Annotated[F32, "*, 3"], Annotated[F32, "*, *, 3"], Annotated[F32, "3"] | None],
) -> None: ...
def sh_forward(
    degree: int,
    means: Annotated[F32, "*, 3"],
    position: Annotated[F32, "3"],
    sh: Annotated[F32, "*, *, 3"],
    radii: Annotated[I32, "*, 2"],
    colors: Annotated[F32, "*, 3"],
) -> None: ...
def simd() -> str: ...
def sphere_doubled(x: Annotated[F32, "*, *, *, *"], out: Annotated[F32, "*, *, *, *"]) -> None: ...
def sphere_doubled_backward(
    v_out: Annotated[F32, "*, *, *, *"], v_x: Annotated[F32, "*, *, *, *"]
) -> None: ...
def sphere_finer(
    given: tuple[Annotated[F32, "*, *, *, *"], Annotated[F32, "*, *"], Annotated[F32, "*"]],
    leak: float,
    out: Annotated[F32, "*, *, *, *"],
) -> None: ...
def sphere_finer_backward(
    given: tuple[Annotated[F32, "*, *, *, *"], Annotated[F32, "*, *"], Annotated[F32, "*"]],
    leak: float,
    out: Annotated[F32, "*, *, *, *"],
    v_out: Annotated[F32, "*, *, *, *"],
    grads: tuple[Annotated[F32, "*, *, *, *"], Annotated[F32, "*, *"], Annotated[F32, "*, *"]],
) -> None: ...
def sphere_frames(
    grid: Annotated[F32, "*, *, *, *"],
    thin: float,
    quats: Annotated[F32, "*, *, 4"],
    reach: Annotated[F32, "*, *, *, *"],
) -> None: ...
def sphere_padded(
    x: Annotated[F32, "*, *, *, *"],
    style: Annotated[F32, "*, *"] | None,
    out: Annotated[F32, "*, *, *, *"],
) -> None: ...
def sphere_padded_backward(
    x: Annotated[F32, "*, *, *, *"],
    style: Annotated[F32, "*, *"] | None,
    v_out: Annotated[F32, "*, *, *, *"],
    v_x: Annotated[F32, "*, *, *, *"],
    v_style: Annotated[F32, "*, *"] | None,
) -> None: ...
def splat_planes_backward(
    gaussians: tuple[
        Annotated[F32, "*, 3"], Annotated[F32, "*, 4"], Annotated[F32, "*, 3"], Annotated[F32, "*"]
    ],
    camera: tuple[Annotated[F32, "4, 4"], Annotated[F32, "3, 3"], int, int],
    radii: Annotated[I32, "*, 2"],
    v_planes: Annotated[F32, "*, 4"],
    out: tuple[Annotated[F32, "*, 3"], Annotated[F32, "*, 4"]],
) -> None: ...
def splat_planes_forward(
    gaussians: tuple[
        Annotated[F32, "*, 3"], Annotated[F32, "*, 4"], Annotated[F32, "*, 3"], Annotated[F32, "*"]
    ],
    camera: tuple[Annotated[F32, "4, 4"], Annotated[F32, "3, 3"], int, int],
    radii: Annotated[I32, "*, 2"],
    planes: Annotated[F32, "*, 4"],
) -> None: ...
def ssim_l1(
    scratch: LossScratch,
    image: Annotated[F32, "*, *, *"],
    target: Annotated[U8, "*, *, 3"] | Annotated[F32, "*, *, *"],
    valid: Annotated[U8, "*, *"] | None,
    exposure: Annotated[F32, "*, *"] | None,
    ssim_weight: float,
    v_image: Annotated[F32, "*, *, *"] | None,
    v_exposure: Annotated[F32, "*, *"] | None,
) -> float: ...
def surface_residuals(
    surface: tuple[
        Annotated[F32, "*, 3"],
        Annotated[F32, "*, 3"],
        Annotated[I64, "*, 3"],
        Annotated[F32, "*, 3, 2"],
        Annotated[F32, "*, *, 3"],
    ],
    seen: tuple[
        Annotated[F32, "4, 4"],
        Annotated[F32, "3, 3"],
        Annotated[I64, "*, *"],
        Annotated[F32, "*, *"],
    ],
    target: tuple[Annotated[F32, "*, *, 4"], Annotated[F32, "*, *"]],
    rule: tuple[float, float, float],
    up: Annotated[F32, "*"],
    down: Annotated[F32, "*"],
) -> float: ...
def texture_residuals(
    at: Annotated[F32, "*, *, 2"],
    colors: Annotated[F32, "*, 3"],
    image: Annotated[F32, "*, *, 3"],
    up: Annotated[F32, "*, *, 3"],
    down: Annotated[F32, "*, *"],
) -> float: ...
def tri_planes_backward(
    planes: tuple[
        Annotated[F32, "*, 3, *, *, 8"],
        Annotated[F32, "*, 8"],
        Annotated[F32, "*"],
        Annotated[F32, "4, *"],
        Annotated[F32, "*"],
    ],
    rays: tuple[Annotated[F32, "*, 3"], Annotated[F32, "*, *, 3"], Annotated[F32, "*"]],
    quadrature: tuple[int, float, float, float],
    v_images: Annotated[F32, "*, *, 4"],
    v_alphas: Annotated[F32, "*, *"],
    out: tuple[
        Annotated[F32, "*, 3, *, *, 8"],
        Annotated[F32, "*, 8"],
        Annotated[F32, "*"],
        Annotated[F32, "4, *"],
        Annotated[F32, "*"],
    ],
) -> None: ...
def tri_planes_forward(
    planes: tuple[
        Annotated[F32, "*, 3, *, *, 8"],
        Annotated[F32, "*, 8"],
        Annotated[F32, "*"],
        Annotated[F32, "4, *"],
        Annotated[F32, "*"],
    ],
    rays: tuple[Annotated[F32, "*, 3"], Annotated[F32, "*, *, 3"], Annotated[F32, "*"]],
    quadrature: tuple[int, float, float, float],
    images: Annotated[F32, "*, *, 4"],
    alphas: Annotated[F32, "*, *"],
) -> None: ...
def tsdf_integrate(
    planes: Annotated[F32, "6, *, *, *"],
    grid: Annotated[F32, "4"],
    viewmat: Annotated[F32, "4, 4"],
    K: Annotated[F32, "3, 3"],
    pixels: Annotated[F32, "*, *, 6"],
    truncation: float,
) -> None: ...
