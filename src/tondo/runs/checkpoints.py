"""Checkpoints: enough to go on after a crash, found whole or not used at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tondo.errors import InputError
from tondo.io.atomic import TEMPORARY_PREFIX, atomic_path
from tondo.runs.migration import migrated
from tondo.runs.run_directory import RunDirectory

FORMAT = "tondo checkpoint 1"
KEPT = 2  # the newest, and one before in case it is damaged
_NAME = re.compile(r"step-(\d{1,15})\.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was found whole.

    Attributes:
        step: the training step after which it was taken.
        tensors: what `save_checkpoint` was given, on the CPU.
        state: what `save_checkpoint` was given, through JSON (tuples come back as lists).
        skipped: newer ones that could not be used, as "name: reason".
    """

    step: int
    tensors: dict[str, Tensor]
    state: dict[str, Any]
    skipped: tuple[str, ...]


def save_checkpoint(
    run: RunDirectory, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]
) -> Path:
    """Write `RUN/checkpoints/step-NNNNNNNN.safetensors`, then delete all but the newest two.

    One file holds everything: `state` as JSON and a SHA-256 over the names, types, shapes and
    bytes of all tensors, the state and the step are in its header.

    Args:
        tensors: any dtypes that safetensors has.
        state: JSON values only; NaN and infinity are refused.

    Raises:
        OutputError: the file cannot be written; the older checkpoints are still there.
        TypeError, ValueError: `state` cannot be written as JSON.
    """
    own = {name: _own(tensor) for name, tensor in tensors.items()}
    text = json.dumps(dict(state), allow_nan=False)
    header = {"format": FORMAT, "step": str(step), "state": text}
    header["sha256"] = _digest(step, text, own)
    path = run.checkpoints_dir / f"step-{step:08d}.safetensors"
    with atomic_path(path) as temporary:
        save_file(own, temporary, metadata=header)
    _delete_all_but_newest(run.checkpoints_dir)
    return path


def has_checkpoints(run: RunDirectory) -> bool:
    """Whether any checkpoint was written, whole or not."""
    return bool(_listed(run.checkpoints_dir))


def load_latest_checkpoint(run: RunDirectory) -> Checkpoint | None:
    """The newest checkpoint that is whole, or None where none was written.

    Raises:
        InputError: there are checkpoints, but every one is damaged; says why for each.
    """
    skipped: list[str] = []
    for step, path in reversed(_listed(run.checkpoints_dir)):
        try:
            tensors, state = _load(path, step)
        except InputError as error:
            skipped.append(f"{path.name}: {error}")
        else:
            return Checkpoint(step, tensors, state, tuple(skipped))
    if skipped:
        raise InputError(
            f"every checkpoint in {run.checkpoints_dir} is damaged ({'; '.join(skipped)}): "
            "start the run again with `force`"
        )
    return None


def _load(path: Path, step: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise InputError(f"is not a checkpoint of this version (expected {FORMAT!r})")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"cut short or damaged ({error})") from error
    text = header.get("state", "")
    if header.get("sha256") != _digest(step, text, tensors):
        raise InputError("damaged (its checksum does not fit its contents)")
    state, tensors = migrated("checkpoint", json.loads(text), tensors)
    return tensors, state


def _digest(step: int, state: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps([step, state]).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _own(tensor: Tensor) -> Tensor:
    """A contiguous tensor on the CPU with a storage of its own, as safetensors wants it."""
    tensor = tensor.detach().cpu().contiguous()
    whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if whole else tensor.clone()


def _listed(folder: Path) -> list[tuple[int, Path]]:
    """Checkpoints in `folder`, oldest first."""
    found = [(_NAME.fullmatch(path.name), path) for path in folder.glob("step-*.safetensors")]
    return sorted((int(match[1]), path) for match, path in found if match)


def _delete_all_but_newest(folder: Path) -> None:
    # Temporary files here are left-overs of a killed process: a run has one writer.
    stale = [*folder.glob(f"{TEMPORARY_PREFIX}*"), *(p for _, p in _listed(folder)[:-KEPT])]
    for path in stale:
        with contextlib.suppress(OSError):
            path.unlink()
