from collections.abc import Callable

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from tondo.kernels.ssim_l1 import ssim_l1
from tondo.kernels.ssim_l1_torch import ssim_l1_torch, ssim_map

HEIGHT, WIDTH = 19, 26


def pictures(
    *lead: int, dtype: torch.dtype = torch.float64, size: tuple[int, int] = (HEIGHT, WIDTH)
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    shape = (*lead, *size, 3)
    image = torch.rand(shape, generator=generator, dtype=torch.float64)
    target = (image + 0.3 * torch.rand(shape, generator=generator, dtype=torch.float64)) / 1.3
    return image.to(dtype), target.to(dtype)


def test_ssim_map_is_that_of_scikit_image_away_from_the_border() -> None:
    image, target = pictures()
    _, expected = structural_similarity(
        image.numpy(),
        target.numpy(),
        channel_axis=-1,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    found = ssim_map(image[None], target[None])[0].numpy()
    inside = (slice(5, -5), slice(5, -5))
    np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-8)


def test_zeros_outside_the_picture() -> None:
    image, target = pictures()
    framed = [torch.nn.functional.pad(p, (0, 0, 5, 5, 5, 5))[None] for p in (image, target)]
    expected = ssim_map(*framed)[0, 5:-5, 5:-5]
    torch.testing.assert_close(ssim_map(image[None], target[None])[0], expected)


@pytest.mark.parametrize("weight", [0.0, 0.2, 1.0])
def test_mixture(weight: float) -> None:
    image, target = pictures()
    l1 = (image - target).abs().mean()
    ssim = ssim_map(image[None], target[None]).mean()
    expected = (1 - weight) * l1 + weight * (1 - ssim)
    torch.testing.assert_close(ssim_l1(image, target, ssim_weight=weight), expected)


def test_same_pictures_lose_nothing() -> None:
    image, _ = pictures(dtype=torch.float32)
    assert ssim_l1(image, image.clone()).item() == pytest.approx(0, abs=1e-6)


def test_mask_weighs_both_means() -> None:
    image, target = pictures()
    mask = torch.zeros(HEIGHT, WIDTH, dtype=torch.float64)
    mask[4:11, 3:20] = 1.0
    mask[6, 5] = 0.25
    value = 0.8 * (image - target).abs() + 0.2 * (1 - ssim_map(image[None], target[None])[0])
    expected = (value * mask[..., None]).sum() / (3 * mask.sum())
    torch.testing.assert_close(ssim_l1(image, target, mask), expected)
    ones = torch.ones_like(mask)
    torch.testing.assert_close(ssim_l1(image, target, ones), ssim_l1(image, target))
    # as booleans
    torch.testing.assert_close(
        ssim_l1(image, target, mask == 1), ssim_l1(image, target, (mask == 1).double())
    )


def test_masked_out_everywhere_is_zero_with_zero_gradient() -> None:
    image, target = pictures(dtype=torch.float32)
    image.requires_grad_()
    loss = ssim_l1(image, target, torch.zeros(HEIGHT, WIDTH))
    loss.backward()
    assert loss.item() == 0
    assert (image.grad == 0).all()


def test_batch_is_the_mean_of_its_pictures() -> None:
    image, target = pictures(2)
    alone = torch.stack([ssim_l1(image[c], target[c]) for c in range(2)])
    torch.testing.assert_close(ssim_l1(image, target), alone.mean())
    masks = torch.rand(2, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1)).double()
    alone = torch.stack([ssim_l1(image[c], target[c], masks[c]) for c in range(2)])
    weights = masks.sum((1, 2)) / masks.sum()
    torch.testing.assert_close(ssim_l1(image, target, masks), (alone * weights).sum())
    shared = ssim_l1(image, target, masks[0].expand(2, HEIGHT, WIDTH))
    torch.testing.assert_close(ssim_l1(image, target, masks[0]), shared)


@pytest.mark.parametrize("masked", [False, True])
def test_slopes(assert_slopes: Callable, masked: bool) -> None:
    image, target = pictures(2, size=(7, 9))
    mask = torch.rand(2, 7, 9, dtype=torch.float64) if masked else None
    if mask is not None:
        mask[:, 2:4] = 0
    assert_slopes(lambda image: ssim_l1_torch(image, target, mask), {"image": image})


def test_picture_smaller_than_the_window() -> None:
    image, target = pictures(size=(2, 3))
    assert ssim_l1(image, target).isfinite()


@pytest.mark.parametrize(
    ("image", "target", "mask", "error"),
    [
        (torch.zeros(5, 6, 4), torch.zeros(5, 6, 4), None, ValueError),
        (torch.zeros(5, 6, 3), torch.zeros(6, 5, 3), None, ValueError),
        (torch.zeros(5, 6, 3), torch.zeros(5, 6, 3), torch.zeros(6, 5), ValueError),
        (torch.zeros(5, 6, 3), torch.zeros(5, 6, 3).double(), None, TypeError),
        (torch.zeros(5, 6, 3).byte(), torch.zeros(5, 6, 3).byte(), None, TypeError),
    ],
)
def test_wrong_arguments(
    image: Tensor, target: Tensor, mask: Tensor | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        ssim_l1(image, target, mask)
