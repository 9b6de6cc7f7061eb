"""The diversity report: one HTML page that needs nothing else, its pictures, and JSON."""

from __future__ import annotations

import base64
from dataclasses import asdict
from html import escape
from pathlib import Path

from tondo.io.atomic import write_bytes, write_json, write_text
from tondo.pictures.diversity import Account, Diversity, describe, give_advice
from tondo.pictures.figures import draw_figures

_MAX_LISTED = 300

_STYLE = """
:root{color-scheme:light dark;--page:#f4f5f7;--card:#fff;--ink:#22262d;--quiet:#68707c;
--line:#e2e5ea}
@media(prefers-color-scheme:dark){:root{--page:#15181d;--card:#1e2229;--ink:#e7eaef;
--quiet:#9aa3b0;--line:#313741}}
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1100px;margin:0 auto;padding:40px 20px 80px}
h1{font-size:30px;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em}
h2{font-size:19px;margin:44px 0 12px}p{margin:0 0 10px;max-width:46em}.quiet{color:var(--quiet)}
.numbers{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;
margin:26px 0 0}.numbers div,.card{background:var(--card);border:1px solid var(--line);
border-radius:12px;padding:14px 18px}.numbers b{display:block;font-size:27px;line-height:1.25;
font-weight:650}.numbers span{color:var(--quiet);font-size:14px}
ol{margin:0;padding-left:1.3em}li{margin:6px 0;max-width:54em}
figure{margin:0 0 14px}figure img{max-width:100%;display:block;border-radius:8px}
figcaption{color:var(--quiet);font-size:14px;margin-top:8px;max-width:54em}
.scroll{overflow-x:auto;padding:0;max-height:460px;overflow-y:auto}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;padding:7px 12px;border-top:1px solid var(--line);vertical-align:top}
th{border-top:0;color:var(--quiet);font-weight:500;white-space:nowrap}
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
"""

_CAPTIONS = (
    ("contact.png", "Pictures", "{contact}"),
    (
        "extremes.png",
        "The edges of the set",
        "From above: the darkest, the brightest, the least and the most contrasted, the softest "
        "and the sharpest.",
    ),
    (
        "spread.png",
        "Brightness, contrast, sharpness",
        "How many pictures have each value, of the object alone where the background is plain. "
        "Sharpness is one minus the blur of Crete et al. 2007.",
    ),
    (
        "colors.png",
        "Colours",
        "The mean colour of the object in each picture, greys first, then by hue.",
    ),
    (
        "average.png",
        "The average",
        "Left the mean of all pictures, right how much each place varies. The sharper the mean, "
        "the better the pictures are aligned.",
    ),
    (
        "poses.png",
        "Where the cameras stood",
        "How many cameras there are in each direction. Grey: none.",
    ),
    (
        "duplicates.png",
        "Near-duplicates",
        "Above the pictures that stay, below those left out for resembling them ({pairs:,} in "
        "all, a selection).",
    ),
    ("blurred.png", "Blurred", "Left out for being blurred ({blurred:,} in all, a selection)."),
)


def write_report(folder: Path, account: Account) -> Diversity:
    """Write `folder`/report.html, report.json and the pictures in `folder`/report/*.png.

    Raises:
        OutputError: a file cannot be written.
    """
    found = describe(account)
    advice = give_advice(account, found)
    figures = draw_figures(account, found)
    for name, data in figures.items():
        write_bytes(folder / "report" / name, data)
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
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Diversity report: {escape(account.title)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{_head(account, found)}{_missing(advice)}{_figures(account, figures)}"
        f"{_classes(found)}{_left_out(account, found)}</main></body></html>\n"
    )
    write_text(folder / "report.html", page)
    return found


def _head(account: Account, found: Diversity) -> str:
    numbers = [
        (f"{found.pictures:,}", f"pictures of {found.size}×{found.size}"),
        (f"{found.looks:,}", "look clearly different"),
        (f"{len(account.left_out):,}", "left out"),
    ]
    if found.classes is not None:
        numbers.append((f"{len(found.classes):,}", "classes"))
    numbers.append(("known" if found.sectors is not None else "unknown", "cameras"))
    cells = "".join(f"<div><b>{value}</b><span>{label}</span></div>" for value, label in numbers)
    note = f" {escape(account.note)}." if account.note else ""
    return (
        f'<p class="quiet">Diversity report</p><h1>{escape(account.title)}</h1>'
        f"<p>Recognised: {escape(account.kind)}.{note}</p>"
        f'<div class="numbers">{cells}</div>'
    )


def _missing(advice: list[str]) -> str:
    lines = "".join(f"<li>{escape(line)}</li>" for line in advice) or "<li>Nothing.</li>"
    return f'<h2>What is missing</h2><div class="card"><ol>{lines}</ol></div>'


def _figures(account: Account, figures: dict[str, bytes]) -> str:
    with_classes = len({account.classes[row] for row in account.rows}) > 1
    contact = "Some of each class, the largest class first." if with_classes else "A selection."
    words = {"contact": contact, "pairs": len(account.pairs), "blurred": len(account.blurred)}
    parts = []
    for name, title, caption in _CAPTIONS:
        if name not in figures:
            continue
        text = escape(caption.format(**words))
        data = base64.b64encode(figures[name]).decode()
        parts.append(
            f'<h2>{escape(title)}</h2><figure class="card"><img alt="{text}" '
            f'src="data:image/png;base64,{data}"><figcaption>{text}</figcaption></figure>'
        )
    return "".join(parts)


def _classes(found: Diversity) -> str:
    if found.classes is None:
        return ""
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td class="n">{count:,}</td></tr>'
        for name, count in found.classes.items()
    )
    return (
        '<h2>Classes</h2><div class="card scroll"><table><tr><th>class</th><th>pictures</th></tr>'
        f"{rows}</table></div>"
    )


def _left_out(account: Account, found: Diversity) -> str:
    if not account.left_out:
        return ""
    counts = "; ".join(f"{n:,} {escape(reason)}" for reason, n in found.reasons.items())
    rows = "".join(
        f"<tr><td>{escape(one.name)}</td><td>{escape(one.reason)}</td></tr>"
        for one in account.left_out[:_MAX_LISTED]
    )
    more = len(account.left_out) - _MAX_LISTED
    rest = f'<p class="quiet">and {more:,} more, in pictures.json</p>' if more > 0 else ""
    return (
        f'<h2>Left out, and why</h2><p class="quiet">{counts}</p><div class="card scroll"><table>'
        f"<tr><th>picture</th><th>reason</th></tr>{rows}</table></div>{rest}"
    )
