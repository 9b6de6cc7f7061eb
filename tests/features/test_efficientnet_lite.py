"""The extractor: shapes, weights, determinism, safety."""

from __future__ import annotations

import pytest
import skimage.data
import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.features.efficientnet_lite import TAPS, load_efficientnet_lite0


def test_taps_have_the_stated_channels_and_strides() -> None:
    images = torch.rand(2, 3, 96, 160, generator=torch.Generator().manual_seed(1))
    found = load_efficientnet_lite0().features(images)
    assert [tuple(f.shape) for f in found] == [
        (2, channels, 96 // stride, 160 // stride)
        for channels, stride in ((24, 4), (40, 8), (112, 16), (320, 32))
    ]


def test_a_cat_is_recognised_so_weights_and_input_range_are_right() -> None:
    network = load_efficientnet_lite0()._network
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())
    cat = torch.from_numpy(skimage.data.chelsea().copy()).permute(2, 0, 1)[None].float()
    small = F.interpolate(cat, (224, 224), mode="bilinear", antialias=True)
    # ImageNet's classes 281 to 285 are kinds of cats.
    share = network((small - 127) / 128)[0].softmax(dim=0)[281:286].sum()
    assert float(share) > 0.9


def test_pictures_of_a_batch_do_not_touch_each_other() -> None:
    images = torch.rand(3, 3, 64, 96, generator=torch.Generator().manual_seed(2))
    network = load_efficientnet_lite0()
    for one, all_ in zip(network.features(images[1:2]), network.features(images), strict=True):
        torch.testing.assert_close(all_[1:2], one, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(64, 96), (33, 47), (50, 63)])
def test_features_and_gradients_are_those_of_the_package_s_own_layers(
    size: tuple[int, int],
) -> None:
    ours = load_efficientnet_lite0()
    network = ours._network

    def plain(images: Tensor) -> list[Tensor]:
        x = network._swish(network._conv_stem((images * 255.0 - 127.0) / 128.0))
        every = []
        for block in network._blocks:
            x = block(x)
            every.append(x)
        return [every[index] for index in TAPS]

    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(4))
    results = []
    for features in (ours.features, plain):
        leaf = images.clone().requires_grad_()
        found = features(leaf)
        total = torch.stack([(0.1 * x).sin().mean() for x in found]).sum()
        results.append([*(x.detach() for x in found), *torch.autograd.grad(total, leaf)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


def test_gradients_reach_the_picture() -> None:
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3)).requires_grad_()
    load_efficientnet_lite0().features(images)[-1].square().mean().backward()
    assert images.grad is not None
    assert float(images.grad.abs().max()) > 0


def test_loading_does_not_move_the_random_numbers() -> None:
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    load_efficientnet_lite0.__wrapped__()
    assert torch.equal(torch.rand(4), expected)


def test_small_and_wrong_pictures_are_refused() -> None:
    network = load_efficientnet_lite0()
    with pytest.raises(ValueError, match="at least 32x32, got 40x31"):
        network.features(torch.zeros(1, 3, 31, 40))
    with pytest.raises(ValueError, match=r"images must be \[B, 3, H, W\]"):
        network.features(torch.zeros(3, 64, 64))
