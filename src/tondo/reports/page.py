"""HTML pages made from the templates beside the reports; all of them extend `page.html`."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tondo.io.atomic import write_bytes, write_text

_PACKAGE = Path(__file__).resolve().parent.parent


def write_page(
    folder: Path, template: str, figures: Mapping[str, bytes], facts: Mapping[str, object]
) -> None:
    """Write `folder`/report.html, with its figures inside and beside it in `folder`/report.

    Args:
        folder: where the report goes.
        template: path of the template within the package, as "pictures/report.html".
        figures: PNG files by name; the template sees them as `figures`.
        facts: what else the template sees, by name; texts are escaped.

    Raises:
        OutputError: a file cannot be written.
    """
    for name, data in figures.items():
        write_bytes(folder / "report" / name, data)
    environment = Environment(
        loader=FileSystemLoader(_PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    inside = {name: data_uri(data, "png") for name, data in figures.items()}
    page = environment.get_template(template).render(facts, figures=inside)
    write_text(folder / "report.html", f"{page}\n")


def data_uri(data: bytes, kind: str) -> str:
    """An image file ("png", "jpeg") as the address of itself."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
