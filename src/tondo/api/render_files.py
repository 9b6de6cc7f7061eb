"""Pictures, depth, normals and videos of a scene or a mesh, as files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tondo.api.options import RenderOptions
from tondo.data.cameras import Camera
from tondo.errors import InputError, OptionError
from tondo.geometry.camera_paths import orbit, spiral
from tondo.geometry.cameras import fitted, scaled
from tondo.io.file_names import unique_names
from tondo.io.images import write_depth, write_png
from tondo.io.models.depth_scale import DepthScale, rescale_depths
from tondo.io.posed.camera_path import find_camera_path
from tondo.io.posed.photos import load_cameras
from tondo.io.video import write_video
from tondo.runs.watch import SILENT, Watch
from tondo.scenes.open import Shown, open_shown, read_cameras

MOST_PIXELS = 2**27  # of a picture: bounds memory; chosen, not measured
FPS = 30.0  # where neither options nor the path of cameras say; chosen
DEFAULTS = RenderOptions()


@dataclass(frozen=True)
class Video:
    """A video that was written: along which path, of how many frames, how many a second."""

    path: Path
    kind: str
    frames: int
    fps: float


@dataclass(frozen=True)
class RenderedFiles:
    """What was written; None where it was not asked for.

    Attributes:
        pictures: of the cameras, in their order. renamed: so many carry more than their frame's
            file name. seconds: that they took.
        depth: the folder of depths. depth_scale: of its 16-bit pictures.
        video: the video.
    """

    pictures: tuple[Path, ...] = ()
    renamed: int = 0
    seconds: float = 0.0
    depth: Path | None = None
    depth_scale: DepthScale | None = None
    video: Video | None = None


def render_files(
    run: str | Path,
    options: RenderOptions = DEFAULTS,
    *,
    cameras: str | Path | None = None,
    output: str | Path | None = None,
    video: str | Path | None = None,
    watch: Watch = SILENT,
) -> RenderedFiles:
    """Write a PNG of a scene or mesh for each camera of a file, or a video along a path, or both.

    Args:
        run: a run, a scene's .safetensors, a .ply of splats, or a mesh (.glb, .obj, .ply, .stl),
            which is in the world where its file says so, else in the file's axes.
        cameras: transforms.json with the cameras, or nerfstudio's camera_path.json.
        output: folder for the pictures of `cameras`, with depth/ and normals/ in it.
        video: an .mp4 file.

    Raises:
        InputError: the scene or the cameras cannot be read, or do not suit a path or video.
        OptionError: nothing to render, or options that do not fit each other.
        OutputError: a file cannot be written.

    Example:
        >>> import tondo
        >>> options = tondo.RenderOptions(depth=True)
        >>> done = tondo.render_files("run", options, cameras="photos", output="views")
        >>> done.pictures[0].as_posix(), done.depth.as_posix()
        ('views/000.png', 'views/depth')
        >>> options = tondo.RenderOptions(path="orbit", frames=8, max_size=32)
        >>> tondo.render_files("run", options, video="turntable.mp4").video.frames
        8
    """
    _check_asked(options, cameras, output, video)
    shown = open_shown(Path(run), options.background, options.up)
    given = None if cameras is None else Path(cameras)
    film = None if given is None else find_camera_path(given, _photo_size(shown))
    for note in (*shown.notes, *(() if film is None else film.notes)):
        watch.note(note)
    if film is not None and options.path is None:
        options = replace(options, path="cameras")
    done = RenderedFiles()
    if output is not None and given is not None:
        done = _render_pictures(shown, options, given, Path(output), watch)
    if video is not None:
        rate = options.fps or (None if film is None else film.fps) or FPS
        path = _path(Path(run), shown, options, given, watch)
        frames = (shown.view(camera).color for camera in watch.over(path, "video"))
        write_video(Path(video), frames, rate)
        done = replace(done, video=Video(Path(video), options.path or "orbit", len(path), rate))
    return done


def _check_asked(
    options: RenderOptions,
    cameras: str | Path | None,
    output: str | Path | None,
    video: str | Path | None,
) -> None:
    pictures = cameras is not None and output is not None
    if not pictures and video is None:
        raise OptionError(
            "nothing to render: give a transforms.json as `cameras` with a folder as `output`, "
            "or an .mp4 file as `video`"
        )
    if output is not None and cameras is None:
        raise OptionError("`output` needs `cameras`, a transforms.json, to render from")
    if (options.depth or options.normals) and not pictures:
        raise OptionError("`depth` and `normals` go with `cameras` and `output`")
    if video is not None and Path(video).suffix.lower() != ".mp4":
        raise OptionError(f"`video` writes .mp4 files, got {video}")


def _photo_size(shown: Shown) -> tuple[int, int] | None:
    """(width, height) of the run's photos, for files that say none, as Blender's."""
    known = shown.photo_cameras
    return (known[0].width, known[0].height) if known else None


def _render_pictures(
    shown: Shown, options: RenderOptions, given: Path, output: Path, watch: Watch
) -> RenderedFiles:
    place = shown.place
    named = load_cameras(given, default_size=_photo_size(shown), world_from_scene=place)
    if not named:
        raise InputError(f"{given} has no cameras")
    cameras = [fitted(one.camera, options.max_size) for one in named]
    _check_sizes(cameras)
    names = unique_names([one.name for one in named])
    stems = [one.name.split("/")[-1] for one in named]
    started = time.perf_counter()
    pairs = list(zip(names, cameras, strict=True))
    for name, camera in watch.over(pairs, "rendering"):
        exposed = options.exposure == "predicted"
        view = shown.view(camera, with_normals=options.normals, exposed=exposed)
        write_png(output / f"{name}.png", view.color)
        if options.depth:
            write_depth(output / "depth" / name, view.depth.double() * place.scale)
        if view.normals is not None:
            normals = view.normals * view.alpha[..., None]  # grey where nothing is
            write_png(output / "normals" / f"{name}.png", (normals + 1) / 2)
    seconds = time.perf_counter() - started
    depth = output / "depth" if options.depth else None
    return RenderedFiles(
        pictures=tuple(output / f"{name}.png" for name in names),
        renamed=sum(name != stem for name, stem in zip(names, stems, strict=True)),
        seconds=seconds,
        depth=depth,
        depth_scale=None if depth is None else rescale_depths(depth, names),
    )


def _path(
    run: Path, shown: Shown, options: RenderOptions, given: Path | None, watch: Watch
) -> Sequence[Camera]:
    """The video's cameras, all of one size."""
    cameras = [_even(camera, options.max_size) for camera in _known(run, shown, options, given)]
    _check_sizes(cameras)
    path = cameras
    if options.path != "cameras":
        up, note = shown.up(cameras)
        if note is not None:
            watch.note(note)
        make = spiral if options.path == "spiral" else orbit
        try:
            path = make(cameras, shown.center, up, options.frames)
        except ValueError as error:
            kind = options.path or "orbit"
            raise InputError(f"no {kind} can be made for {run}: {error}") from error
    if len({(camera.width, camera.height) for camera in path}) > 1:
        raise InputError(f"the cameras of {given} have several sizes: a video has one")
    return path


def _known(run: Path, shown: Shown, options: RenderOptions, given: Path | None) -> Sequence[Camera]:
    """The cameras that a path is derived from: those of the photos, or those given."""
    cameras = shown.photo_cameras
    if cameras is not None and not (options.path == "cameras" and given is not None):
        return cameras
    if given is None and shown.around is not None and options.path != "cameras":
        return shown.around
    if given is None:
        raise OptionError(
            f"a path around {run} needs to know where the photos were taken: "
            "give a transforms.json as `cameras`"
        )
    return read_cameras(given, shown.place)


def _even(camera: Camera, max_size: int | None) -> Camera:
    """No larger than asked for, and with even sides, as video wants them."""
    camera = fitted(camera, max_size)
    return scaled(camera, max(2, camera.width // 2 * 2), max(2, camera.height // 2 * 2))


def _check_sizes(cameras: Sequence[Camera]) -> None:
    largest = max(cameras, key=lambda camera: camera.width * camera.height)
    if largest.width * largest.height > MOST_PIXELS:
        raise OptionError(
            f"a picture of {largest.width}x{largest.height} is too large: give `max_size`"
        )
