"""`tondo evaluate`: a scene against photos it has not seen, or its mesh against a scan."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tondo.cli.options import MASKS_HELP, color, positive_float, positive_int
from tondo.errors import InputError, OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from tondo.data.cameras import Camera
    from tondo.data.field import FieldScene
    from tondo.data.mesh import Mesh
    from tondo.data.photos import Photo, PhotoSet, Skipped
    from tondo.data.splats import Scene
    from tondo.evaluation.evaluate import GeometryMetrics, ReconstructionMetrics
    from tondo.io.models.mesh_files import Frame
    from tondo.scenes.open import OpenedScene

ROWS = 30
LISTED = 10
THRESHOLD_SHARE = 0.01
MOST_POINTS = 2_000_000


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the options of `tondo evaluate`."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure a scene on held-out photos, its mesh against a scan, or a generator",
        description="PSNR, SSIM and perceptual distance on held-out photos with side-by-side "
        "pictures; with --mesh chamfer distance and F-score. A run of `tondo train`: Fréchet and "
        "kernel distance, precision, recall, diversity and 3D checks. Results go to metrics.json.",
    )
    parser.add_argument(
        "run", metavar="RUN|NAME", type=Path, help="a run, .safetensors, splat .ply or generator"
    )
    parser.add_argument(
        "--cameras",
        type=Path,
        metavar="FILE",
        help="measure on all photos of this transforms.json instead of the run's held-out ones",
    )
    parser.add_argument(
        "--source", type=Path, metavar="PHOTOS", help="where the run's photos are, if they moved"
    )
    parser.add_argument(
        "--masks", metavar="auto|none|DIR", help=f"{MASKS_HELP} (default: as trained)"
    )
    parser.add_argument(
        "--samples",
        type=positive_int,
        metavar="N",
        help="of a generator: how many pictures and samples are compared (2000)",
    )
    parser.add_argument(
        "--features",
        metavar="NET",
        help="of a generator: the network to measure over: efficientnet-lite0 (default), resnet50 "
        "or densenet121 (fetched from PyTorch's hub), resnet50:FILE or densenet121:FILE",
    )
    parser.add_argument(
        "--max-size", type=positive_int, metavar="N", help="longest side (default: as trained)"
    )
    parser.add_argument(
        "--background", type=color, metavar="COLOR", help="white, black or r,g,b (0..1 each)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="(default: RUN and RUN/renders/evaluate)"
    )
    _add_of_a_mesh(parser)


def _add_of_a_mesh(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mesh", type=Path, metavar="TRUTH", help="true mesh or point cloud, in the world's axes"
    )
    parser.add_argument(
        "--ours",
        type=Path,
        metavar="FILE",
        help="compare this mesh with TRUTH (default: the one of `tondo export --frame world`)",
    )
    parser.add_argument(
        "--frame",
        choices=("format", "world"),
        help="axes of FILE, as in `tondo export` (default: what the file says, otherwise world)",
    )
    parser.add_argument(
        "--threshold",
        type=positive_float,
        metavar="D",
        help="F-score's distance in world units (default: 1 %% of the true bounding box' diagonal)",
    )
    parser.add_argument(
        "--resolution",
        type=positive_int,
        default=256,
        metavar="N",
        help="voxels along the longest side of our mesh, as in `tondo export` (%(default)s)",
    )
    parser.add_argument(
        "--points",
        type=positive_int,
        default=100_000,
        metavar="N",
        help="points taken from each mesh (%(default)s)",
    )


def run(args: argparse.Namespace) -> None:
    """Measure what was asked for. Raises TondoError."""
    if args.mesh is None and (args.ours is not None or args.threshold is not None):
        raise OptionError("--ours and --threshold go with --mesh, the true surface")
    if args.frame is not None and args.ours is None:
        raise OptionError("--frame says which axes the file of --ours has, which is not given")

    from tondo.cli.verbs.evaluate_generator import evaluate_run, is_generator
    from tondo.runs.run_directory import read_metrics
    from tondo.scenes.open import open_scene

    if is_generator(args.run):
        evaluate_run(args)
        return
    if args.samples is not None or args.features is not None:
        raise OptionError("--samples and --features go with a run of `tondo train`")
    opened = open_scene(args.run, args.background)
    for note in opened.notes:
        print(note)
    if opened.run is None and args.output is None:
        raise OptionError(f"{args.run} is not a run's folder: say with -o DIR where to write")
    if opened.run is not None:
        read_metrics(opened.run)  # a damaged one is told before the work, not after it
    results: dict[str, Any] = {}
    if args.mesh is None or args.cameras is not None:
        results |= _on_photos(args, opened)
    if args.mesh is not None:
        results |= _on_geometry(args, opened)
    _write_metrics(args, opened, results)


def _on_photos(args: argparse.Namespace, opened: OpenedScene) -> dict[str, Any]:
    from rich.progress import Progress

    from tondo.cli.terminal import progress_console
    from tondo.evaluation.evaluate import metrics_json
    from tondo.scenes.evaluate import evaluate_scene

    photos, skipped, measured_on = _photos(args, opened)
    pictures = args.output
    if pictures is None and opened.run is not None:
        pictures = opened.run.renders_dir / "evaluate"
    with Progress(console=progress_console()) as bar:
        task = bar.add_task("evaluating", total=len(photos))
        metrics = evaluate_scene(
            opened.scene, photos, pictures, lambda done: bar.update(task, completed=done)
        )
    _print_photos(metrics)
    print(f"pictures: {pictures}")
    left_out = {"left_out": {one.name: one.reason for one in skipped}} if skipped else {}
    return {**metrics_json(metrics), **left_out, "measured_on": measured_on}


def _photos(
    args: argparse.Namespace, opened: OpenedScene
) -> tuple[list[Photo], Sequence[Skipped], str]:
    """The photos to measure on, those that are left out, and what they are in words."""
    from tondo.io.mask_files import AUTO, NONE, choice_after
    from tondo.io.masks import without_masked
    from tondo.io.posed.photos import load_posed
    from tondo.runs.run_directory import read_config
    from tondo.scenes.same_photos import check_held_out

    config = {} if opened.run is None else read_config(opened.run)
    max_size = args.max_size or _whole_number(config, "max_size")
    trained = str(config.get("masks", AUTO))
    if args.cameras is not None:
        found = load_posed(
            args.cameras,
            max_size=max_size,
            holdout=0,
            load_points=False,
            min_photos=1,
            masks=args.masks or (NONE if trained == NONE else AUTO),
            world_from_scene=opened.scene.world_from_scene,
        )
        everything = sorted(found.train + found.test, key=lambda photo: photo.name)
        photos, unfit = without_masked(everything, {photo.name for photo in everything})
        skipped = [*found.skipped, *unfit]
        _print_left_out(found, skipped)
        if not photos:
            raise InputError(f"the masks of {args.cameras} leave no photo to measure on")
        return photos, skipped, f"all photos of {args.cameras}"
    if opened.run is None:
        raise OptionError(f"{args.run} does not say where its photos are: give --cameras")
    source = args.source or _source(opened.run.path, config)
    if not source.exists():
        raise InputError(
            f"the photos of this run were at {source}, where nothing is now: "
            "give --source PHOTOS, or --cameras transforms.json"
        )
    holdout = _whole_number(config, "holdout")
    found = load_posed(
        source,
        max_size=max_size,
        holdout=8 if holdout is None else holdout,
        load_points=False,
        masks=args.masks or choice_after(trained, prepared="posed" in config),
        world_from_scene=opened.scene.world_from_scene,
    )
    _print_left_out(found, found.skipped)
    if not found.test:
        but = ", but for those that are left out" if found.skipped else ""
        raise InputError(
            f"no photo of {source} was held out from training (--holdout {holdout}){but}: "
            "give --cameras transforms.json with other photos"
        )
    check_held_out(opened.run, source, found.test)
    return list(found.test), found.skipped, f"held-out photos of {source}"


def _print_left_out(photos: PhotoSet, skipped: Sequence[Skipped]) -> None:
    for sentence in (*photos.notes, photos.masks):
        if sentence:
            print(sentence)
    unsaid = [one for one in skipped if not any(one.reason in note for note in photos.notes)]
    for one in unsaid[:LISTED]:
        print(f"left out: {one.name}: {one.reason}")
    if len(unsaid) > LISTED:
        print(f"left out: {len(unsaid) - LISTED} more")


def _source(run: Path, config: dict[str, Any]) -> Path:
    """The posed photos of a run: what `prepare` made of them, or where they came from."""
    text = config.get("posed") or config.get("source")
    if not isinstance(text, str):
        raise InputError(f'{run}/config.json does not say where the photos are ("source")')
    path = Path(text)
    inside = run / path
    return inside if not path.is_absolute() and inside.exists() else path


def _whole_number(config: dict[str, Any], key: str) -> int | None:
    value = config.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise InputError(f"config.json of the run: {key} must be a whole number, got {value!r}")
    return value


def _on_geometry(args: argparse.Namespace, opened: OpenedScene) -> dict[str, Any]:
    from dataclasses import asdict

    from tondo.evaluation.evaluate import evaluate_points, in_units
    from tondo.scenes.open import photo_cameras

    scene = opened.scene
    truth, true_mesh = _surface(args.mesh, args.points, scene)
    our_mesh: Mesh | None
    if args.ours is None:
        ours, our_mesh = _own_surface(args, opened)
    else:
        ours, our_mesh = _surface(args.ours, args.points, scene, args.frame)
    scale = scene.world_from_scene.scale
    diagonal = scale * float((truth.amax(dim=0) - truth.amin(dim=0)).norm())
    threshold = args.threshold or THRESHOLD_SHARE * diagonal
    if not threshold > 0:
        raise InputError(f"all points of {args.mesh} are in one place: give --threshold")

    def measured(ours: Tensor, truth: Tensor) -> GeometryMetrics:
        return in_units(evaluate_points(ours, truth, threshold / scale), scale)

    metrics = measured(ours, truth)
    hint = _hint(args, scene, ours, truth, metrics.f_score, measured)
    entry: dict[str, Any] = {
        **asdict(metrics),
        "truth": str(args.mesh),
        "points": [len(ours), len(truth)],
    }
    cameras = photo_cameras(opened)
    shown = None
    if cameras:
        ours, truth = _shown(ours, our_mesh, cameras), _shown(truth, true_mesh, cameras)
        if len(ours) and len(truth):
            shown = measured(ours, truth)
            entry["visible"] = {**asdict(shown), "points": [len(ours), len(truth)]}
    _print_geometry(metrics, shown, diagonal)
    if hint:
        print(f"warning: {hint}")
        entry["hint"] = hint
    return {"geometry": entry}


def _hint(
    args: argparse.Namespace,
    scene: Scene | FieldScene,
    ours: Tensor,
    truth: Tensor,
    f_score: float,
    measured: Callable[[Tensor, Tensor], GeometryMetrics],
) -> str:
    """That one of the two surfaces has other axes, where that is plain to see; otherwise ""."""
    from tondo.evaluation.axes import better_turn
    from tondo.io.models.mesh_files import UP_AXES, format_from_world

    place = scene.world_from_scene
    world = place.to_world(ours)
    formats = {f"+{up} up": format_from_world(scene.up, up).T for up in ("y", "z")}
    turn = better_turn(world, place.to_world(truth), formats)
    if turn is None:
        return ""
    fitting = measured(place.to_scene(world @ turn.rotation.T).float(), truth).f_score
    if fitting < 2 * f_score:
        return ""
    what = args.ours or f"the mesh of {args.run}"
    hint = (
        f"{what} has other axes than {args.mesh}, it seems: F-score {fitting:.4f} instead of "
        f"{f_score:.4f} if it is taken as {turn.about}"
    )
    if args.ours is not None and turn.about == f"+{UP_AXES.get(args.ours.suffix.lower())} up":
        hint += "; --frame format measures it so"
    return hint


def _shown(points: Tensor, mesh: Mesh | None, cameras: Sequence[Camera]) -> Tensor:
    """Those of the points on `mesh` that a photo shows; a point cloud (None) hides nothing."""
    from tondo.mesh.visible import visible_points

    return points if mesh is None else points[visible_points(points, mesh, cameras)]


def _surface(
    path: Path, count: int, scene: Scene | FieldScene, frame: Frame | None = None
) -> tuple[Tensor, Mesh | None]:
    """`count` points spread over a mesh, and the mesh, or the points of a point cloud (at most 2
    million of them), and None; in the scene."""
    import torch

    from tondo.io.models.mesh_files import in_scene, read_world_mesh
    from tondo.io.models.ply import read_header, read_points
    from tondo.mesh.sample import sample_surface

    is_cloud = path.suffix.lower() == ".ply" and not any(
        element.name == "face" and element.count for element in read_header(path).elements
    )
    if not is_cloud:
        mesh = in_scene(read_world_mesh(path, frame, scene.up), scene.world_from_scene)
        try:
            return sample_surface(mesh, count), mesh
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error
    points = read_points(path, scene.world_from_scene).points
    if len(points) == 0:
        raise InputError(f"{path} has no points")
    if len(points) > MOST_POINTS:
        order = torch.randperm(len(points), generator=torch.Generator().manual_seed(0))
        points = points[order[:MOST_POINTS]]
    return points, None


def _own_surface(args: argparse.Namespace, opened: OpenedScene) -> tuple[Tensor, Mesh]:
    """Points on the mesh that `tondo export` makes of the scene, in the scene, and it."""
    from rich.progress import track

    from tondo.cli.terminal import progress_console
    from tondo.mesh.sample import sample_surface
    from tondo.scenes.open import held_out_cameras, photo_cameras
    from tondo.scenes.to_mesh import MeshOptions, cameras_around, scene_mesh

    scene = opened.scene
    cameras = photo_cameras(opened) or cameras_around(scene.center, scene.radius)
    mesh = scene_mesh(
        scene,
        cameras,
        MeshOptions(resolution=args.resolution),
        watch=lambda cameras, what: track(cameras, what, console=progress_console()),
        held_out=held_out_cameras(opened),
    )
    try:
        return sample_surface(mesh, args.points), mesh
    except ValueError as error:
        raise InputError(f"{args.run}: {error}") from error


def _print_photos(metrics: ReconstructionMetrics) -> None:
    from rich.table import Table

    from tondo.cli.terminal import result_console

    table = Table()
    for name in ("photo", "PSNR dB", "SSIM", "perceptual"):
        table.add_column(name, justify="left" if name == "photo" else "right")
    rows = list(metrics.per_image.items())
    if len(rows) > ROWS:
        rows = sorted(rows, key=lambda row: row[1].psnr)[:5]
        table.caption = f"the 5 worst of {len(metrics.per_image)}; metrics.json has all"
    for name, one in rows:
        table.add_row(name, f"{one.psnr:.2f}", f"{one.ssim:.4f}", f"{one.perceptual:.4f}")
    table.add_section()
    mean = metrics.mean
    table.add_row(
        f"mean of {len(metrics.per_image)}",
        f"{mean.psnr:.2f}",
        f"{mean.ssim:.4f}",
        f"{mean.perceptual:.4f}",
        style="bold",
    )
    result_console().print(table)


def _print_geometry(
    metrics: GeometryMetrics, shown: GeometryMetrics | None, diagonal: float
) -> None:
    from rich.table import Table

    from tondo.cli.terminal import result_console

    columns = [metrics] if shown is None else [metrics, shown]
    table = Table("geometry", "whole surface", *(["what the photos show"] if shown else []))
    for name in ("chamfer", "accuracy", "completeness", "threshold"):
        values = [getattr(one, name) for one in columns]
        table.add_row(
            name, *(f"{v:.5g}" + (f" ({v / diagonal:.3%})" if diagonal else "") for v in values)
        )
    table.add_section()
    for name in ("precision", "recall", "f_score"):
        table.add_row(name, *(f"{getattr(one, name):.4f}" for one in columns))
    table.caption = "world units (share of the true diagonal)"
    result_console().print(table)


def _write_metrics(args: argparse.Namespace, opened: OpenedScene, results: dict[str, Any]) -> None:
    """Into the folder given with -o, or into the run's metrics.json, whose other entries stay."""
    from tondo.data.splats import Scene
    from tondo.io.atomic import write_json
    from tondo.runs.run_directory import read_metrics, write_metrics

    if args.output is not None or opened.run is None:
        path = args.output / "metrics.json"
        if isinstance(opened.scene, Scene):
            results = {**results, "splats": len(opened.scene.splats.means)}
        write_json(path, results)
    else:
        path = opened.run.metrics_path
        write_metrics(opened.run, {**read_metrics(opened.run), **results})
    print(f"metrics:  {path}")
