"""What `--dry-run` prints."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tondo.cli.arguments import Typed, shown_value

if TYPE_CHECKING:
    from tondo.api.plan import Plan


_ONE_OF = ("splats", "nerf", "hash", "dct", "frequency")


def plan_of(command: Any, typed: Typed) -> dict[str, Any]:
    """How a plan is asked for, by the record of a command that trains."""
    return {"force": command.force, "resume": command.resume, "given": typed.options}


def print_plan(plan: Plan[Any], typed: Typed) -> None:
    """What was found, and every option with its value; of those that the input decides, which."""
    for sentence in plan.found:
        print(typed.respelled(sentence))
    chosen = plan.chosen
    for name, value in _flat(plan.options):
        if name not in chosen and value not in (None, ()):
            print(f"  {name} = {shown_value(value)}")
    for name, text in chosen.items():
        print(f"  {name} = {text} (not given: chosen)")
    print("nothing was done (--dry-run)")


def _flat(options: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Options by their dotted names; of methods and field encodings those of the chosen alone."""
    used = {getattr(options, "method", ""), getattr(options, "encoding", "")}
    for name, value in vars(options).items():
        if dataclasses.is_dataclass(value):
            yield from _flat(value, f"{path}{name}.") if name in used or name not in _ONE_OF else ()
        else:
            yield path + name, value
