"""What the functions of this room can be told beside their inputs and outputs. No torch here: the
command line answers `--help` from these records."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tondo.errors import OptionError, check_choices, check_number
from tondo.mesh.options import MeshOptions
from tondo.mesh.presets import PRESETS
from tondo.texture.options import LARGEST, TextureOptions, check_texture_size

Triple = tuple[float, float, float]
FORMATS = ("glb", "ply", "obj", "stl", "splats", "png", "mp4")  # of generated models


@dataclass(frozen=True)
class RenderOptions:
    """How pictures and videos of a scene are made.

    Attributes:
        max_size: longest side of the pictures in pixels; None: as the cameras say
        depth: also write depth, as depth/NAME.npy and .png (16 bit, in thousandths of a world unit
            or as depth_scale.json there says)
        normals: also write normals in world space, as normals/NAME.png
        background: colour behind the scene, sRGB 0..1; None: the scene's own
        exposure: brightness of the pictures where it varied between the photos: predicted: as
            photos from nearby suggest; mean: their mean, as in videos
        path: path of the video's camera; cameras: through the given cameras, one a frame; None:
            orbit, or cameras with a camera_path.json
        up: the scene's up direction; None: as stored
        frames: number of frames of an orbit or spiral
        fps: frames per second of the video; None: 30, or that of a camera_path.json
    """

    max_size: int | None = None
    depth: bool = False
    normals: bool = False
    background: Triple | None = None
    exposure: Literal["predicted", "mean"] = "predicted"
    path: Literal["orbit", "spiral", "cameras"] | None = None
    up: Triple | None = None
    frames: int = 120
    fps: float | None = None

    def __post_init__(self) -> None:
        check_choices(self)
        check_number("max_size", self.max_size, 1)
        check_number("frames", self.frames, 1)
        check_number("fps", self.fps, 0, above=True)


@dataclass(frozen=True)
class SurfaceOptions:
    """How the surface of a scene is compared with a true one.

    Attributes:
        mesh: true mesh or point cloud, in the world's axes
        ours: measure this mesh; None: the mesh that `tondo export` makes
        frame: axes of the file of `ours`, as in `tondo export`; None: what the file says, else
            world
        threshold: distance of the F-score in world units; None: 1 % of the diagonal of the true
            surface's bounding box
        resolution: voxels along the longest side of our mesh
        points: number of points that are taken from each mesh
    """

    mesh: str | Path | None = None
    ours: str | Path | None = None
    frame: Literal["format", "world"] | None = None
    threshold: float | None = None
    resolution: int = 256
    points: int = 100_000

    def __post_init__(self) -> None:
        check_choices(self)
        check_number("threshold", self.threshold, 0, above=True)
        check_number("resolution", self.resolution, 16, 2048)
        check_number("points", self.points, 1)


@dataclass(frozen=True)
class EvaluateOptions:
    """What is measured, and on what.

    Attributes:
        cameras: measure on all photos of this transforms.json instead of the run's held-out ones
        source: where the photos or pictures of the run are, if they moved
        masks: which pixels of photos count: auto, the masks found beside them by name or named in
            transforms.json; none; or the folder that they are in; None: as trained
        max_size: longest side of the photos in pixels; None: as trained
        background: colour behind the scene, sRGB 0..1; None: the scene's own
        samples: of a generator: number of pictures and of samples that are compared; None: 2000
        features: of a generator: the network to measure over: efficientnet-lite0, resnet50 or
            densenet121 (fetched from PyTorch's hub), resnet50:FILE or densenet121:FILE; None:
            efficientnet-lite0
        as_mesh: measure the textured mesh that `tondo export` makes, or `ours`, on the photos,
            beside the same mesh with colours per vertex and the scene itself
        faces: of that mesh, at most; None: 50000
        texture: texels along each side of its texture; None: about as many as the photos show
        surface: a mesh against a true one
    """

    cameras: str | Path | None = None
    source: str | Path | None = None
    masks: str | None = None
    max_size: int | None = None
    background: Triple | None = None
    samples: int | None = None
    features: str | None = None
    as_mesh: bool = False
    faces: int | None = None
    texture: int | None = None
    surface: SurfaceOptions = field(default_factory=SurfaceOptions)

    def __post_init__(self) -> None:
        check_choices(self)
        check_number("max_size", self.max_size, 1)
        check_number("samples", self.samples, 1)
        check_number("faces", self.faces, 4)
        check_number("texture", self.texture, 16, LARGEST)


@dataclass(frozen=True)
class ExportOptions:
    """What is written.

    Attributes:
        kind: what a .ply holds; None: mesh
        purpose: what the model is for, which chooses faces, texture, maps and coarser meshes where
            they are not given, and what is checked (docs/assets.md); None: nothing in particular
        frame: axes of the mesh: the format's up axis, or the scene's own axes
        up: the scene's up direction; None: as stored
        cameras: transforms.json with the cameras to look through; None: the run's own
        source: where the photos of the run are, if they moved
        onto: mesh to put the texture on (.glb or .obj), such as an edited one, with its own UVs if
            it has some; None: the mesh that is made
        frame_of_onto: axes of that file, as `frame`; None: what the file says, else those with
            which it lies on the surface
        report: folder for a report that shows which colours of the texture are from photographs
        mesh: how the mesh is made
        texture: how it gets its texture, of .glb and .obj
    """

    kind: Literal["mesh", "splats"] | None = None
    purpose: Literal["quick-look", "game", "vr", "film", "print"] | None = None
    frame: Literal["format", "world"] = "format"
    up: Triple | None = None
    cameras: str | Path | None = None
    source: str | Path | None = None
    onto: str | Path | None = None
    frame_of_onto: Literal["format", "world"] | None = None
    report: str | Path | None = None
    mesh: MeshOptions = field(default_factory=MeshOptions)
    texture: TextureOptions = field(default_factory=TextureOptions)

    def __post_init__(self) -> None:
        check_choices(self)


def for_purpose(options: ExportOptions, typed: frozenset[str] = frozenset()) -> ExportOptions:
    """The options with what the preset of `options.purpose` says, wherever they have their
    defaults.

    Args:
        typed: dotted names of fields that stay as they are though they have their default, such as
            "texture.lod".
    """
    if options.purpose is None:
        return options
    preset, plain = PRESETS[options.purpose], ExportOptions()
    mesh = {name: getattr(preset, name) for name in ("faces", "resolution", "surface")}
    texture = {name: getattr(preset, name) for name in ("size", "normal_map", "lod")}
    if options.onto is not None:  # that mesh stays as it is, and is there for its texture
        texture = {"normal_map": preset.normal_map}
        if preset.size != "none":
            texture["size"] = preset.size
    return replace(
        options,
        mesh=_filled(options.mesh, plain.mesh, mesh, "mesh.", typed),
        texture=_filled(options.texture, plain.texture, texture, "texture.", typed),
    )


def _filled(
    own: Any, plain: Any, wanted: Mapping[str, Any], path: str, typed: frozenset[str]
) -> Any:
    """The record `own` with the values wanted where it has those of `plain`."""
    free = {
        name: value
        for name, value in wanted.items()
        if path + name not in typed and getattr(own, name) == getattr(plain, name)
    }
    return replace(own, **free)


@dataclass(frozen=True)
class GenerateOptions:
    """How models are made of seeds, and which files of them.

    Attributes:
        truncation: 0 to 1.5: less is more typical and less varied, 1 is as trained
        move: steps along directions of `tondo directions`: 3=+2.0, or p0=-1 for a principal one
        format: meshes (glb, ply, obj, stl), splats as .ply, png: a strip of eight views, mp4: a
            turntable
        interpolate: also write interpolation.mp4, from seed to seed
        size: image size in pixels; None: 128, or the generator's own if that is larger
        texture: texels along each side of the texture of .glb and .obj; auto: about as many as
            renders of the splats have pixels; none: colours per vertex
    """

    truncation: float = 0.8
    move: tuple[str, ...] = ()
    format: tuple[str, ...] = ("glb", "png")
    interpolate: bool = False
    size: int | None = None
    texture: int | Literal["auto", "none"] = "auto"

    def __post_init__(self) -> None:
        check_choices(self)
        check_number("truncation", self.truncation, 0, 1.5)
        check_number("size", self.size, 16, 2048)
        check_texture_size("texture", self.texture)
        for name in self.format:
            if name not in FORMATS:
                close = difflib.get_close_matches(name, FORMATS, n=1, cutoff=0.5)
                guess = f"; did you mean {close[0]}?" if close else ""
                raise OptionError(
                    f"`format`: expected some of {','.join(FORMATS)}, got {name!r}{guess}"
                )


@dataclass(frozen=True)
class LiftOptions:
    """How long a photo is fitted; numbers were chosen by measurement (docs/notes/gan.md).

    Attributes:
        latent_steps: optimisation steps of style and camera, 0 to 10000
        tuning_steps: optimisation steps of the generator after that, 0 to 10000; 0 for none
        texture: texels along each side of the texture of .glb and .obj; auto: about as many as
            renders of the splats have pixels; none: colours per vertex
    """

    latent_steps: int = 240
    tuning_steps: int = 120
    texture: int | Literal["auto", "none"] = "auto"

    def __post_init__(self) -> None:
        check_number("latent_steps", self.latent_steps, 0, 10_000)
        check_number("tuning_steps", self.tuning_steps, 0, 10_000)
        check_texture_size("texture", self.texture)


@dataclass(frozen=True)
class DirectionsOptions:
    """Which directions are found.

    Attributes:
        count: number of directions of each kind
        truncation: 0 to 1.5, of the models in the strips
    """

    count: int = 10
    truncation: float = 0.8

    def __post_init__(self) -> None:
        check_number("count", self.count, 1)
        check_number("truncation", self.truncation, 0, 1.5)


@dataclass(frozen=True)
class ExplainOptions:
    """Which sample is explained.

    Attributes:
        seed: random seed of the sample
        truncation: 0 to 1.5; 1 is as trained
    """

    seed: int = 0
    truncation: float = 1.0

    def __post_init__(self) -> None:
        check_number("seed", self.seed, 0, 2**31 - 1)
        check_number("truncation", self.truncation, 0, 1.5)
