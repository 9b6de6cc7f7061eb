"""Published weights of well-known networks, fetched once from PyTorch's hub if it can be reached.

Nothing is fetched unless it is asked for by name.
"""

from __future__ import annotations

from pathlib import Path

import torch

from tondo.errors import MissingPartError

HUB = "https://download.pytorch.org/models"
# Files of the hub, which end with how the SHA-256 of their content begins.
WEIGHTS = {"resnet50": "resnet50-0676ba61.pth", "densenet121": "densenet121-a639ec97.pth"}


def published_weights(name: str) -> Path:
    """The weight file of the network `name` ("resnet50", "densenet121") in torch's own cache of the
    hub (`TORCH_HOME`), fetched and checked first if it is not there.

    Raises:
        MissingPartError: it cannot be fetched, or what came is something else.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS[name]
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = path.stem.rpartition("-")[2]
        torch.hub.download_url_to_file(f"{HUB}/{path.name}", str(path), digest)
    except (OSError, RuntimeError) as error:
        raise MissingPartError(
            f"the weights of {name} are not in {path.parent} and cannot be fetched ({error}): give "
            f"a local file, {name}:FILE"
        ) from error
    return path
