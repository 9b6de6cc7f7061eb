"""Weights of well-known networks, from files that the user brings."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tondo.errors import InputError

# ResNet-50 has 98 MiB, the largest network that torchvision offers 1.2 GiB.
MAX_BYTES = 2 << 30
_DAMAGED = (OSError, RuntimeError, ValueError, EOFError, KeyError)
SUFFIXES = (".safetensors", ".pth", ".pt")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a weight file by name.

    Args:
        path: a .safetensors file, or a .pth or .pt file with a plain state dict, of which tensors
            and nothing else are unpickled.

    Raises:
        InputError: no such file, another ending, too large, damaged, or not a dict of tensors.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: weights can be read from {', '.join(SUFFIXES)} files.")
    if not path.is_file():
        raise InputError(f"there is no weight file {path}")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} has {path.stat().st_size >> 20} MiB: no such network is as large")
    try:
        if path.suffix.lower() == ".safetensors":
            return load_file(path, device="cpu")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (*_DAMAGED, SafetensorError, pickle.UnpicklingError) as error:
        lines = str(error).splitlines()
        reason = lines[0][:120] if lines else type(error).__name__
        raise InputError(f"{path} is damaged or not a file of weights alone: {reason}") from error
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise InputError(
            f"{path} is not a plain state dict (names and tensors): save "
            "network.state_dict() alone, best as .safetensors"
        )
    return dict(content)


def load_weights(
    network: nn.Module, weights: Mapping[str, Tensor], what: str, path: Path, unused: str
) -> None:
    """Put `weights` into `network`, which may be on the meta device, as float32.

    Args:
        what: the network's name, for messages.
        path: where the weights are from, for messages.
        unused: the beginning of names that may be there though the network has no such part (the
            classifier's).

    Raises:
        InputError: names are missing or unknown, or a tensor has another shape, is not
            floating point, or holds NaN or infinity.
    """
    expected = network.state_dict()
    given = {name: value for name, value in weights.items() if not name.startswith(unused)}
    # Counts of training batches: older files have none, and nothing here reads them.
    counts = {name for name in expected if name.endswith("num_batches_tracked")}
    given = {name: value for name, value in given.items() if name not in counts}
    missing = [name for name in expected if name not in given and name not in counts]
    unknown = [name for name in given if name not in expected]
    if missing or unknown:
        parts = [("lacks", missing), ("has the unknown", unknown)]
        said = " and ".join(f"{verb} {_named(names)}" for verb, names in parts if names)
        raise InputError(f"{path} is not a {what} in torchvision's naming: it {said}")
    for name, value in given.items():
        _check_tensor(name, value, list(expected[name].shape), what, path)
    ready = {name: value.float() for name, value in given.items()}
    ready |= {name: torch.zeros((), dtype=torch.int64) for name in counts}
    network.load_state_dict(ready, assign=True)


def _check_tensor(name: str, value: Tensor, shape: list[int], what: str, path: Path) -> None:
    if list(value.shape) != shape:
        raise InputError(f"{path} is not a {what}: {name} must be {shape}, got {list(value.shape)}")
    if not value.is_floating_point():
        raise InputError(f"{path}: {name} must be floating point, got {value.dtype}")
    if not bool(torch.isfinite(value).all()):
        raise InputError(f"{path}: {name} holds NaN or infinite values: the file is damaged")


def _named(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0][:80]}{more}"
