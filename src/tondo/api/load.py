"""Scenes from what a person has: a run, or a file."""

from __future__ import annotations

from pathlib import Path

from tondo.data.field import FieldScene
from tondo.data.splats import Scene
from tondo.scenes.open import open_scene


def load_scene(path: str | Path) -> Scene | FieldScene:
    """The scene of a finished run, of a scene.safetensors, or of a .ply of splats.

    Returns:
        `Scene` of splats, `FieldScene` of a radiance field. Of a .ply up is what a comment in it
        says, else -y; its background is black.

    Raises:
        InputError: missing, unfinished, damaged or of another kind.

    Example:
        >>> import tondo
        >>> scene = tondo.load_scene("run")
        >>> scene.splats.means.shape[1], scene.background.shape
        (3, torch.Size([3]))
    """
    return open_scene(Path(path)).scene
