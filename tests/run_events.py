"""What a run's `events.jsonl` says."""

from __future__ import annotations

import json
from pathlib import Path

from tondo.runs.events import NAMES, Event


def read_events(path: Path) -> list[Event]:
    """The events in order. Half-written lines and unknown events are passed over."""
    text = path.read_bytes().decode("utf-8", errors="replace")
    found = (_parse(line) for line in text.split("\n"))
    return [event for event in found if event is not None]


def _parse(line: str) -> Event | None:
    try:
        fields = json.loads(line)
        kinds = {name: kind for kind, name in NAMES.items()}
        return kinds[fields.pop("event")](**fields)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
