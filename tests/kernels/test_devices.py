"""Tensors on two devices are refused before native code sees one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kernels import test_mesh_depth, test_ssim_l1, test_tsdf
from kernels.conftest import build_scene
from kernels.fields import test_frequency, test_render_rays, test_tri_planes
from kernels.sphere import test_matcap, test_sphere_maps
from kernels.splats import test_median_depth, test_rasterize_scenes
from tondo.data.field import Marching
from tondo.kernels.adam import adam_touched_, adam_visible_
from tondo.kernels.adam_torch import AdamStep
from tondo.kernels.fields.rays import log_densities, render_rays
from tondo.kernels.fields.tri_planes import march_planes
from tondo.kernels.mesh_depth import mesh_depth
from tondo.kernels.sphere.matcap import matcap
from tondo.kernels.sphere.sphere_maps import finer, padded
from tondo.kernels.splats.median_depth import median_depth
from tondo.kernels.splats.rasterize import rasterize
from tondo.kernels.ssim_l1 import ssim_l1
from tondo.kernels.tsdf import empty_volume, integrate


def away(tensor: Tensor) -> Tensor:
    """On a device that is there on every machine, without values."""
    return tensor.to("meta")


def splats() -> None:
    scene = build_scene()
    rasterize(**{**scene, "viewmats": away(scene["viewmats"])})


def many_splats() -> None:
    *tensors, K = test_rasterize_scenes.scenes()
    test_rasterize_scenes.at_once([*tensors, away(K)])


def loss() -> None:
    image, target = test_ssim_l1.pictures(dtype=torch.float32)
    ssim_l1(image, away(target))


def loss_by_mask() -> None:
    image, target = test_ssim_l1.pictures(dtype=torch.float32)
    ssim_l1(image, target, away(torch.ones(image.shape[:2])))


def adam() -> None:
    rows = [torch.zeros(3, 2) for _ in range(4)]
    adam_visible_(*rows, away(torch.ones(3).bool()), AdamStep(0.1, 0.9, 0.99, 1e-8, 1))


def adam_of_columns() -> None:
    rows = [torch.zeros(3, 2) for _ in range(4)]
    step = AdamStep(away(torch.ones(2)), 0.9, 0.99, 1e-8, 1)
    adam_visible_(*rows, torch.ones(3).bool(), step)


def adam_of_what_is_touched() -> None:
    params, grads, first, second = (torch.zeros(2, 8) for _ in range(4))
    adam_touched_(params, away(grads), first, second, AdamStep(0.1, 0.9, 0.99, 1e-8, 1))


def rays() -> None:
    field = test_render_rays.field_of()
    rays_o, rays_d, ends, _ = test_render_rays.rays_of(field, 5)
    render_rays(field, rays_o, away(rays_d), ends, Marching(0.1))


def places() -> None:
    log_densities(test_render_rays.field_of(), away(torch.zeros(5, 3)))


def places_of_the_first_nerf() -> None:
    log_densities(test_frequency.small_field(), away(torch.zeros(5, 3)))


def planes() -> None:
    rays_o, rays_d, shifts = test_tri_planes.rays()
    march_planes(test_tri_planes.fields(), rays_o, rays_d, away(shifts))


def light() -> None:
    quats, viewmats, lights, colors = test_matcap.arguments()
    matcap(quats, viewmats, away(lights), colors)


def style_of_a_map() -> None:
    x, style, _ = test_sphere_maps.maps()
    padded(x, away(style))


def bias_of_a_map() -> None:
    x, scale, bias = test_sphere_maps.maps()
    finer(x, scale, away(bias), 0.2)


def depth() -> None:
    gaussians, cameras = test_median_depth.arguments(build_scene())
    median_depth(gaussians, cameras._replace(Ks=away(cameras.Ks)))


def depth_of_a_mesh() -> None:
    vertices, faces = test_mesh_depth.ball()
    mesh_depth(vertices, away(faces), test_mesh_depth.VIEWMAT, test_mesh_depth.K, 7, 5)


def fusion() -> None:
    volume = empty_volume(torch.zeros(3), 0.1, (2, 3, 4))
    integrate(volume, *test_tsdf.camera(0), away(test_tsdf.pixels(0)), 0.4)


CALLS = (
    splats,
    many_splats,
    loss,
    loss_by_mask,
    adam,
    adam_of_columns,
    adam_of_what_is_touched,
    rays,
    places,
    places_of_the_first_nerf,
    planes,
    light,
    style_of_a_map,
    bias_of_a_map,
    depth,
    depth_of_a_mesh,
    fusion,
)


@pytest.mark.parametrize("call", CALLS)
def test_two_devices_are_refused(call: Callable[[], None]) -> None:
    with pytest.raises(ValueError, match="all must be on one device"):
        call()
