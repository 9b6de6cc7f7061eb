"""What is at a path: asked once, at the door."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tondo.errors import InputError
from tondo.gan.files.generator_file import holds
from tondo.gan.files.open_generator import shipped_names
from tondo.io.collections.picture_shards import is_prepared
from tondo.io.models.mesh_files import UP_AXES
from tondo.io.models.ply import holds_faces
from tondo.io.posed.photos import has_poses
from tondo.runs.run_directory import RunDirectory, is_run, read_config
from tondo.sfm.photos.gather import is_video

Kind = Literal[
    "posed photos",
    "photos",
    "video",
    "picture set",
    "scene",
    "mesh",
    "run",
    "generator",
    "nothing",
]


@dataclass(frozen=True)
class Source:
    """What is at a path.

    Attributes:
        path: where it is.
        kind: "posed photos": with a transforms.json or COLMAP model. "photos": any other file or
            folder, that photos or pictures may be in. "video". "picture set": what
            `tondo prepare --for gan` made. "scene": a finished reconstruction's run, or the file
            of a scene or of splats. "generator": a run of `tondo train`, the file of a generator
            or an adapter, or the name of an installed one. "mesh": a file of triangles. "run": any
            other run. "nothing".
    """

    path: Path
    kind: Kind


def source_of(path: str | Path) -> Source:
    """What is at `path`. Reads names and the first bytes of files only."""
    path = Path(path)
    if path.is_dir():
        return Source(path, _kind_of_folder(path))
    if path.exists():
        return Source(path, _kind_of_file(path))
    return Source(path, "generator" if str(path) in shipped_names() else "nothing")


def check_photos(source: Source) -> None:
    """Raise InputError where there is nothing, a mesh, or what `tondo train` reads or makes."""
    if source.kind in ("generator", "picture set"):
        made_by = "tondo train" if source.kind == "generator" else "tondo prepare --for gan"
        raise InputError(
            f"{source.path} is a {source.kind}, as `{made_by}` makes: expected photos of one scene"
        )
    if source.kind == "mesh":
        raise InputError(f"{source.path} is a mesh: expected photos of one scene")
    if not source.path.exists():
        raise InputError(f"there is no file or folder {source.path}")


def _kind_of_folder(path: Path) -> Kind:
    if (path / "scene.safetensors").is_file():
        return "scene"
    if is_run(path):
        return "generator" if read_config(RunDirectory(path)).get("command") == "train" else "run"
    if has_poses(path):
        return "posed photos"
    return "picture set" if is_prepared(path) else "photos"


def _kind_of_file(path: Path) -> Kind:
    suffix = path.suffix.lower()
    if suffix in UP_AXES and (suffix != ".ply" or holds_faces(path)):
        return "mesh"
    if suffix in (".safetensors", ".ply"):
        return "generator" if holds(path, "tondo_generator", "tondo_adapter") else "scene"
    if has_poses(path):
        return "posed photos"
    return "video" if is_video(path) else "photos"
