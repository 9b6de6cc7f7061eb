"""An extractor by its name."""

from __future__ import annotations

from pathlib import Path

from tondo.errors import OptionError
from tondo.features.densenet import load_densenet121
from tondo.features.efficientnet_lite import load_efficientnet_lite0
from tondo.features.extractor import Extractor
from tondo.features.hub import published_weights
from tondo.features.resnet import load_resnet50

DEFAULT = "efficientnet-lite0"
NAMES = f"{DEFAULT}, resnet50, densenet121, resnet50:FILE or densenet121:FILE"


def load_extractor(name: str = DEFAULT) -> Extractor:
    """The network that `name` asks for.

    Args:
        name: "efficientnet-lite0" (its weights are installed with the program), "resnet50:FILE" or
            "densenet121:FILE" with a local file of torchvision's weights (.safetensors, or .pth
            with a plain state dict), or "resnet50" or "densenet121" with those of the hub.

    Raises:
        OptionError: another name, or no file behind one that needs it.
        InputError: the file is missing, damaged or not of this network.
        MissingPartError: the default network's package is not installed, or the hub cannot be
            reached.
    """
    kind, colon, file = name.partition(":")
    if name == DEFAULT:
        return load_efficientnet_lite0()
    if kind not in ("resnet50", "densenet121"):
        raise OptionError(f"there is no feature network {name!r}: expected {NAMES}")
    if colon and not file:
        raise OptionError(f"the feature network {kind} needs a file of weights: {kind}:FILE")
    path = Path(file) if file else published_weights(kind)
    return (load_resnet50 if kind == "resnet50" else load_densenet121)(path)
