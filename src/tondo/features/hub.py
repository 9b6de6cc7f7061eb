"""Published weights of well-known networks, fetched once from PyTorch's hub if it can be reached.

Nothing is fetched unless it is asked for by name.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch

from tondo.errors import MissingPartError

HUB = "https://download.pytorch.org/models"


class Published(NamedTuple):
    """A file of the hub, and how the SHA-256 of its content begins."""

    file: str
    digest: str


WEIGHTS = {
    "resnet50": Published("resnet50-0676ba61.pth", "0676ba61"),
    "densenet121": Published("densenet121-a639ec97.pth", "a639ec97"),
}


def published_weights(name: str) -> Path:
    """The weight file of the network `name` ("resnet50", "densenet121") in torch's own cache of the
    hub (`TORCH_HOME`), fetched and checked first if it is not there.

    Raises:
        MissingPartError: it cannot be fetched, or what came is something else.
    """
    wanted = WEIGHTS[name]
    path = Path(torch.hub.get_dir()) / "checkpoints" / wanted.file
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(f"{HUB}/{wanted.file}", str(path), wanted.digest)
    except (OSError, RuntimeError) as error:
        raise MissingPartError(
            f"the weights of {name} are not in {path.parent} and cannot be fetched ({error}): give "
            f"a local file, {name}:FILE"
        ) from error
    return path
