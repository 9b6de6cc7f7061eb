"""`tondo prepare`: the poses of photos of one scene, or a training set out of many pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from tondo.cli.arguments import Flag, Typed, Verb
from tondo.cli.plan import print_plan
from tondo.errors import OptionError
from tondo.pictures.options import PictureOptions
from tondo.sfm.options import PrepareOptions

P = TypeVar("P")
_SHOWN = 10  # names of classes; chosen


@dataclass(frozen=True)
class Command:
    """For a scene (the default): find where each photo was taken from (structure from motion) and
    write a report on the capture: OUT/images, OUT/sparse/0 (a COLMAP model), OUT/prepare.json and
    OUT/report.html. If fewer than half of the photos can be placed the exit status is 2, and OUT is
    written nevertheless. With --for gan: make a training set out of pictures of one kind of thing,
    with a report on its diversity: OUT/pictures.json, OUT/shards and OUT/report.html.

    Attributes:
        photos: a folder of photos (sub-folders included), or a video; with --for gan a folder
            (sub-folders may be classes), a zip file, or CelebA's folder.
        output: folder to make.
        purpose: what the photos are for: one scene to reconstruct, or a generator to train.
        force: replace what an earlier run made.
        dry_run: print the resolved options and what was found, and do nothing.
        scene: how poses are found.
        gan: how a training set is made.
    """

    photos: Path
    output: Path
    purpose: Literal["scene", "gan"] = "scene"
    force: bool = False
    dry_run: bool = False
    scene: PrepareOptions = field(default_factory=PrepareOptions)
    gan: PictureOptions = field(default_factory=PictureOptions)


def run(command: Command, typed: Typed) -> None:
    """Run the command. Raises TondoError children."""
    other = "gan" if command.purpose == "scene" else "scene"
    for name in sorted(typed.given):
        if name.startswith(f"{other}."):
            option = name.removeprefix(f"{other}.")
            raise OptionError(f"`{option}` belongs to tondo prepare --for {other}")
    if command.dry_run:
        from tondo.api.plan import plan_prepare

        options = command.gan if command.purpose == "gan" else command.scene
        plan = plan_prepare(command.photos, command.output, options, force=command.force)
        print_plan(plan, typed)
    elif command.purpose == "gan":
        _prepare_pictures(command, typed)
    else:
        _prepare_scene(command, typed)


def _prepare_scene(command: Command, typed: Typed) -> None:
    from tondo.cli.terminal import result_console
    from tondo.sfm.prepare import prepare

    prepared = _shown(prepare, command, command.scene, typed)
    console = result_console()
    console.print(
        f"{prepared.registered} of {prepared.photos} photos placed, {prepared.points} points, "
        f"reprojection error {prepared.error:.2f} pixels"
    )
    for note in (*prepared.notes, f"lens: {prepared.lens}"):
        console.print(typed.respelled(note))
    for doubt in prepared.doubts:
        console.print(f"in doubt: {doubt}")
    for skipped in (*prepared.skipped, *prepared.left_out):
        console.print(typed.respelled(f"left out: {skipped.name}: {skipped.reason}"))
    _print_advice([typed.respelled(line) for line in prepared.advice], prepared.folder)


def _prepare_pictures(command: Command, typed: Typed) -> None:
    from tondo.cli.terminal import result_console
    from tondo.pictures.prepare import prepare_pictures

    prepared = _shown(prepare_pictures, command, command.gan, typed)
    console = result_console()
    size = f"{prepared.size}x{prepared.size}"
    cameras = "with cameras" if prepared.has_cameras else "no cameras known"
    console.print(f"{prepared.count:,} pictures of {size}, {prepared.kind}, {cameras}")
    if prepared.class_names:
        names = prepared.class_names
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        console.print(f"{len(names)} classes: {', '.join(names[:_SHOWN])}{more}")
    reasons = Counter(one.reason.split(":")[0] for one in prepared.left_out)
    for reason, count in reasons.most_common():
        first = next(one for one in prepared.left_out if one.reason.split(":")[0] == reason)
        example = first.name if count == 1 else f"{count:,} pictures, e.g. {first.name}"
        console.print(typed.respelled(f"left out: {example}: {first.reason}"))
    _print_advice([typed.respelled(line) for line in prepared.advice], prepared.folder)


def _shown(make: Callable[..., P], command: Command, options: Any, typed: Typed) -> P:
    """What `make` makes of the photos, with its progress on the screen."""
    with typed.screen() as screen:
        return make(
            command.photos,
            command.output,
            options,
            force=command.force,
            on_progress=screen.count,
        )


def _print_advice(advice: Sequence[str], folder: Path) -> None:
    from tondo.cli.terminal import result_console

    console = result_console()
    for line in advice:
        console.print(f"- {line}")
    console.print(f"report: {folder / 'report.html'}")


VERB = Verb(
    Command,
    run,
    {
        "output": Flag(("-o", "--output"), "OUT"),
        "purpose": Flag(("--for",)),
        "classes": Flag(("--class",), "NAME"),
        "least": Flag(fixed=True),
    },
    {"scene": "for a scene", "gan": "for a generator (--for gan)"},
)
