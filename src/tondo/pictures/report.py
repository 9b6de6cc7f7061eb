"""The diversity report: one HTML page that needs nothing else, its pictures, and JSON."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from tondo.io.atomic import write_json
from tondo.pictures.diversity import Account, Diversity, describe, give_advice
from tondo.pictures.figures import draw_figures
from tondo.reports.page import write_page

_MAX_LISTED = 300  # names of pictures left out; chosen


def write_report(folder: Path, account: Account) -> Diversity:
    """Write `folder`/report.html, report.json and the pictures in `folder`/report/*.png.

    Raises:
        OutputError: a file cannot be written.
    """
    found = describe(account)
    advice = give_advice(account, found)
    facts = asdict(found)
    for name in ("azimuths", "elevations"):
        values = facts[name]
        facts[name] = None if values is None else [round(float(value), 2) for value in values]
    write_json(
        folder / "report.json",
        {
            "source": account.title,
            "recognised": account.kind,
            "note": account.note,
            "missing": advice,
            **facts,
            "near_duplicates": [[account.names[a], account.names[b]] for a, b in account.pairs],
            "blurred": [account.names[row] for row in account.blurred],
        },
    )
    shown = {
        "title": account.title,
        "recognised": account.kind,
        "note": account.note,
        "counts": _counts(account, found),
        "advice": advice,
        "pairs": f"{len(account.pairs):,}",
        "blurred": f"{len(account.blurred):,}",
        "classes": [(name, f"{count:,}") for name, count in (found.classes or {}).items()],
        "reasons": "; ".join(f"{count:,} {reason}" for reason, count in found.reasons.items()),
        "left_out": [(one.name, one.reason) for one in account.left_out[:_MAX_LISTED]],
        "more": len(account.left_out) - _MAX_LISTED,
    }
    write_page(folder, "pictures/report.html", draw_figures(account, found), shown)
    return found


def _counts(account: Account, found: Diversity) -> list[tuple[str, str]]:
    """The numbers at the head of the page, and what each is."""
    classes = [] if found.classes is None else [(f"{len(found.classes):,}", "classes")]
    return [
        (f"{found.pictures:,}", f"pictures of {found.size}×{found.size}"),
        (f"{found.looks:,}", "look clearly different"),
        (f"{len(account.left_out):,}", "left out"),
        *classes,
        ("known" if found.sectors is not None else "unknown", "cameras"),
    ]
