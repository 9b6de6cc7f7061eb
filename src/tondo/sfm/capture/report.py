"""The capture report: one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

from PIL import Image

from tondo.io.atomic import write_bytes, write_text
from tondo.sfm.capture.coverage import Coverage, give_advice, measure_coverage
from tondo.sfm.capture.facts import Capture, PhotoOutcome
from tondo.sfm.capture.figures import draw_figures

_THUMBNAIL = 132
_MAX_THUMBNAILS = 400

_STYLE = """
:root{color-scheme:light dark;--page:#f4f5f7;--card:#fff;--ink:#22262d;--quiet:#68707c;
--line:#e2e5ea;--good:#2a7f62;--bad:#c23b4e;--warn:#a86a00;--bar:#5b8def}
@media(prefers-color-scheme:dark){:root{--page:#15181d;--card:#1e2229;--ink:#e7eaef;
--quiet:#9aa3b0;--line:#313741;--good:#5fc39d;--bad:#f0788a;--warn:#e3b04b;--bar:#6f9cf2}}
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1060px;margin:0 auto;padding:40px 20px 80px}
h1{font-size:30px;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em}
h2{font-size:19px;margin:44px 0 12px}p{margin:0 0 10px;max-width:46em}
.quiet{color:var(--quiet)}.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}
.numbers{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;
margin:26px 0 0}.numbers div,.card{background:var(--card);border:1px solid var(--line);
border-radius:12px;padding:14px 18px}.numbers b{display:block;font-size:27px;line-height:1.25;
font-weight:650}.numbers span{color:var(--quiet);font-size:14px}
ol{margin:0;padding-left:1.3em}li{margin:6px 0;max-width:54em}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(330px,1fr));gap:14px}
figure{margin:0}figure img{width:100%;display:block;border-radius:8px;background:#fff}
figcaption{color:var(--quiet);font-size:14px;margin-top:8px}
.strip{display:flex;flex-wrap:wrap;gap:8px}.strip figure{width:104px}
.strip img{height:92px;object-fit:cover;border-radius:6px;border:3px solid transparent}
.strip .no img{border-color:var(--bad)}.strip .soft img{border-color:var(--warn)}
.strip figcaption{font-size:11px;margin-top:2px;overflow-wrap:anywhere;line-height:1.3}
.scroll{overflow-x:auto;padding:0}table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;padding:7px 12px;border-top:1px solid var(--line);vertical-align:top}
th{border-top:0;color:var(--quiet);font-weight:500;white-space:nowrap}
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}th.n{text-align:right}
.bar{display:inline-block;height:8px;border-radius:4px;background:var(--bar);margin-left:8px;
vertical-align:baseline}.room{display:inline-block;width:70px;text-align:left}
"""


def write_report(
    folder: Path, capture: Capture, *, title: str, notes: Sequence[str] = ()
) -> Coverage | None:
    """Write `folder`/report.html and the pictures in it to `folder`/report/*.png.

    Args:
        folder: where `images` is.
        capture: what to report on.
        title: name of what was photographed.
        notes: how the given folder was understood, sentences.

    Returns:
        The coverage of viewing directions, None without a model.

    Raises:
        OutputError: a file cannot be written.
    """
    coverage = measure_coverage(capture) if len(capture.positions) else None
    figures = draw_figures(capture, coverage)
    for name, data in figures.items():
        write_bytes(folder / "report" / name, data)
    parts = [
        _head(capture, coverage, title, notes),
        _advice_section(capture, coverage),
        _doubt_section(capture),
        _lost_section(capture),
        _figure_sections(figures, coverage),
        _contact_sheet(folder, capture),
        _table(capture),
    ]
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Capture report: {escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )
    write_text(folder / "report.html", page)
    return coverage


def _head(capture: Capture, coverage: Coverage | None, title: str, notes: Sequence[str]) -> str:
    placed, total = len(capture.registered), len(capture.photos)
    if placed == 0:
        verdict = '<span class="bad">No photos could be placed.</span>'
    elif capture.distrust:
        verdict = '<span class="bad">The places of the photos cannot be trusted.</span>'
    elif placed * 2 < total:
        verdict = '<span class="bad">Fewer than half of the photos could be placed.</span>'
    elif placed < total:
        verdict = f'<span class="warn">All but {total - placed} of the photos are placed.</span>'
    else:
        verdict = '<span class="good">All photos are placed.</span>'
    numbers = [(f"{placed} / {total}", "photos placed")]
    if coverage is not None:
        numbers += [
            (f"{len(capture.points):,}", "points"),
            (f"{capture.error:.2f} px", "reprojection error"),
            (f"{coverage.covered:.0f}°", "of 360° around covered"),
        ]
    cells = "".join(f"<div><b>{value}</b><span>{label}</span></div>" for value, label in numbers)
    return (
        f'<p class="quiet">Capture report</p><h1>{escape(title)}</h1><p>{verdict}</p>'
        f'<div class="numbers">{cells}</div>'
        + "".join(f'<p class="quiet">{escape(note)}.</p>' for note in notes)
    )


def _advice_section(capture: Capture, coverage: Coverage | None) -> str:
    advice = "".join(f"<li>{escape(line)}</li>" for line in give_advice(capture, coverage))
    return f'<h2>What to photograph next</h2><div class="card"><ol>{advice}</ol></div>'


def _doubt_section(capture: Capture) -> str:
    lines = [*filter(None, [capture.distrust]), *capture.doubts]
    lens = f"<h2>Lens</h2><p>{escape(capture.lens)}.</p>" if capture.lens else ""
    if not lines:
        return lens
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'{lens}<h2>What is in doubt</h2><div class="card"><ol>{items}</ol></div>'


def _lost_section(capture: Capture) -> str:
    rows = [(p.source, p.reason) for p in capture.photos if not p.registered]
    rows += [(skipped.name, skipped.reason) for skipped in capture.skipped]
    if not rows:
        return ""
    body = "".join(f"<tr><td>{escape(n)}</td><td>{escape(r)}</td></tr>" for n, r in rows)
    return (
        '<h2>Photos that were left out, and why</h2><div class="card scroll"><table>'
        f"<tr><th>photo</th><th>reason</th></tr>{body}</table></div>"
    )


def _figure_sections(figures: dict[str, bytes], coverage: Coverage | None) -> str:
    def figure(name: str, caption: str) -> str:
        data = base64.b64encode(figures[name]).decode()
        return (
            f'<figure class="card"><img alt="{escape(caption)}" '
            f'src="data:image/png;base64,{data}"><figcaption>{escape(caption)}</figcaption></figure>'
        )

    sections = ""
    if coverage is not None:
        inward = (
            "Each dot is a photo, by the side and the height from which it looks at the middle of "
            "the scene (the cross). The yellow arc has no photos."
            if coverage.inward
            else "Each dot is a photo, by the direction in which it looks. The yellow arc has none."
        )
        sections += (
            '<h2>Where the photos were taken</h2><div class="pair">'
            + figure("above.png", "From above: points of the scene, and the cameras in red.")
            + figure("side.png", "From the side.")
            + "</div>"
        )
        sections += '<h2>Directions and connections</h2><div class="pair">'
        sections += figure("directions.png", inward)
    elif "matches.png" in figures:
        sections += '<h2>Connections</h2><div class="pair">'
    if "matches.png" in figures:
        sections += figure(
            "matches.png",
            "How many matches each two photos share (white: none, or not compared). A red dot "
            "marks a photo that was not placed.",
        )
    return sections + "</div>" if sections else ""


def _contact_sheet(folder: Path, capture: Capture) -> str:
    shown: Sequence[PhotoOutcome] = capture.photos[:_MAX_THUMBNAILS]
    cells = []
    for photo in shown:
        kind = "no" if not photo.registered else "soft" if photo.faults else ""
        note = photo.reason or "; ".join(photo.faults)
        data = _thumbnail(folder / "images" / photo.name)
        cells.append(
            f'<figure class="{kind}" title="{escape(note)}">'
            f'<img alt="" src="data:image/jpeg;base64,{data}">'
            f"<figcaption>{escape(photo.source)}</figcaption></figure>"
        )
    left = len(capture.photos) - len(shown)
    more = f'<p class="quiet">and {left} more</p>' if left else ""
    return (
        '<h2>Photos</h2><p class="quiet">A red frame: not placed. A yellow frame: placed, but with '
        f'a fault.</p><div class="strip">{"".join(cells)}</div>{more}'
    )


def _thumbnail(path: Path) -> str:
    with Image.open(path) as picture:
        picture.draft("RGB", (2 * _THUMBNAIL, 2 * _THUMBNAIL))
        small = picture.convert("RGBA") if "A" in picture.getbands() else picture.convert("RGB")
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    if small.mode == "RGBA":
        white = Image.new("RGBA", small.size, "white")
        small = Image.alpha_composite(white, small).convert("RGB")
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=70)
    return base64.b64encode(buffer.getvalue()).decode()


def _table(capture: Capture) -> str:
    most = max((photo.points for photo in capture.photos), default=1) or 1
    rows = []
    for photo in capture.photos:
        state = '<span class="good">placed</span>'
        if not photo.registered:
            state = f'<span class="bad">{escape(photo.reason)}</span>'
        elif photo.faults:
            state = f'<span class="warn">placed; {escape("; ".join(photo.faults))}</span>'
        bar = f'<span class="bar" style="width:{70 * photo.points / most:.0f}px"></span>'
        error = f"{photo.error:.2f}" if photo.registered else ""
        rows.append(
            f"<tr><td>{escape(photo.source)}</td><td>{state}</td>"
            f'<td class="n">{photo.points} <span class="room">{bar}</span></td>'
            f'<td class="n">{error}</td><td class="n">{photo.sharpness:.2f}</td>'
            f'<td class="n">{photo.brightness:.2f}</td><td class="n">{photo.features}</td>'
            f'<td class="n">{photo.matches}</td></tr>'
        )
    return (
        '<h2>Numbers</h2><div class="card scroll"><table><tr><th>photo</th><th>state</th>'
        '<th class="n">points seen</th><th class="n">error, px</th>'
        '<th class="n">sharpness</th><th class="n">brightness</th><th class="n">features</th>'
        f'<th class="n">best matches</th></tr>{"".join(rows)}</table></div><p class="quiet">'
        "Sharpness is relative to the median of the set, brightness runs from 0 to 1, best matches "
        "are those shared with the photo that fits best.</p>"
    )
