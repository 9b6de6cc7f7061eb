"""The loss, Adam, depth pictures and fusion on a GPU."""

from __future__ import annotations

import pytest
import torch

import kernels.test_adam as adams
import kernels.test_mesh_depth as meshes
import kernels.test_ssim_l1 as losses
import kernels.test_tsdf as volumes
from kernels.conftest import build_scene
from kernels.splats.test_median_depth import arguments
from tondo.kernels.adam import adam_visible_
from tondo.kernels.adam_torch import AdamStep
from tondo.kernels.mesh_depth import mesh_depth
from tondo.kernels.splats.gaussians import Gaussians
from tondo.kernels.splats.median_depth import median_depth
from tondo.kernels.ssim_l1 import ssim_l1
from tondo.kernels.tsdf import Volume, empty_volume, integrate


@pytest.mark.parametrize("mask", [None, "bool", "weights"])
def test_the_loss_and_its_gradient(cuda: torch.device, mask: str | None) -> None:
    image, target = losses.pictures(2)
    weights = torch.rand(image.shape[:3], generator=torch.Generator().manual_seed(1)).double()
    masks = {None: None, "bool": weights > 0.3, "weights": weights}[mask]
    image.requires_grad_()
    there = image.detach().float().to(cuda).requires_grad_()
    given = None if masks is None else masks.to(cuda)
    given = given if mask != "weights" else given.float()  # type: ignore[union-attr]
    found = ssim_l1(there, target.float().to(cuda), given)
    wanted = ssim_l1(image, target, masks)
    (found * 3).backward()
    (wanted * 3).backward()
    assert found.device == cuda
    torch.testing.assert_close(found.cpu().double(), wanted, rtol=1e-5, atol=0)
    assert there.grad is not None
    assert image.grad is not None
    error = (there.grad.cpu() - image.grad).abs().max() / image.grad.abs().max()
    assert error < 1e-4


def test_steps_of_adam(cuda: torch.device) -> None:
    here = [adams.random_rows(k, torch.float32).abs() for k in range(4)]
    there = [rows.to(cuda) for rows in here]
    visible = torch.rand(adams.N, generator=torch.Generator().manual_seed(1)) > 0.3
    rates = torch.rand(adams.D, generator=torch.Generator().manual_seed(2))
    for step in range(1, 5):
        adam_visible_(*here, visible, AdamStep(rates, *adams.BETAS, adams.EPS, step))
        away = AdamStep(rates.to(cuda), *adams.BETAS, adams.EPS, step)
        adam_visible_(*there, visible.to(cuda), away)
    for one, other in zip(there, here, strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("level", [0.5, 0.75])
def test_median_depth(cuda: torch.device, level: float) -> None:
    scene = build_scene(n=300, size=(37, 22), scale=(0.05, 0.6), opacity=(0.3, 0.99))
    given = arguments(scene)
    gaussians, cameras = given
    away = cameras._replace(viewmats=cameras.viewmats.to(cuda), Ks=cameras.Ks.to(cuda))
    there = (Gaussians(*(x.to(cuda) for x in gaussians)), away)
    found, wanted = median_depth(*there, level=level), median_depth(*given, level=level)
    assert found.device == cuda
    assert not found.requires_grad
    found = found.cpu()
    assert ((found > 0) == (wanted > 0)).float().mean() > 0.995  # light right at the level
    both = (found > 0) & (wanted > 0)
    assert both.float().mean() > 0.2
    error = (found - wanted)[both].abs()
    assert error.quantile(0.995) < 1e-5 * wanted.max()
    assert error.max() < 1e-3 * wanted.max()


def test_mesh_depth(cuda: torch.device) -> None:
    given = [*meshes.ball(), meshes.VIEWMAT, meshes.K]
    found, face = mesh_depth(*(x.to(cuda) for x in given), *meshes.SIZE)
    wanted, wanted_face = mesh_depth(*given, *meshes.SIZE)
    assert found.device == face.device == cuda
    assert (face.cpu() == wanted_face).float().mean() > 0.995  # a centre on an edge
    same = (face.cpu() >= 0) & (wanted_face >= 0)
    assert same.sum() > 700
    assert (found.cpu() - wanted)[same].abs().max() < 1e-4


def test_fusion(cuda: torch.device) -> None:
    def fused(device: torch.device) -> Volume:
        low = torch.tensor([-1.1, -1.0, -0.9], device=device)
        volume = empty_volume(low, 0.06, (29, 33, 31))
        for seed in range(3):
            view = (*volumes.camera(seed), volumes.pixels(seed))
            integrate(volume, *(x.to(device) for x in view), volumes.TRUNCATION)
        return volume

    found, wanted = fused(cuda).planes, fused(torch.device("cpu")).planes
    assert found.device == cuda
    # a voxel on the border of two pixels may be rounded to either of them
    differs = ((found.cpu() - wanted).abs() > 1e-4).any(dim=0)
    assert differs.float().mean() < 1e-3
    assert (wanted[0].abs() < 0.99).sum() > 3000
