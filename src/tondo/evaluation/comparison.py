"""Pictures that show a photo, a render and their difference side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import colormaps
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from tondo.io.images import eight_bits

ERROR_RANGE = 0.25  # of 0..1, white in pictures of errors; chosen, not measured
SHEET_PANEL = 200  # pixels of a picture in the sheet; chosen
SHEET_ROWS = 24  # photos in the sheet; chosen
_TEXT = 14  # pixels; chosen by eye
_MARGIN = 6  # pixels; chosen by eye
_LEAST_PANEL = 180  # pixels: narrower ones are enlarged; chosen by eye
_INK, _PAPER = (25, 25, 25), (255, 255, 255)  # sRGB; chosen by eye


def error_map(truth: Tensor, render: Tensor, mask: Tensor | None = None) -> Tensor:
    """[H, W, 3] uint8: the mean absolute difference of the channels, from black (0) to
    light yellow (0.25 and above) in matplotlib's "inferno"; grey where `mask` is False.

    Args:
        truth, render: [H, W, 3] float sRGB 0..1.
        mask: [H, W] bool or None.
    """
    error = (truth - render).abs().mean(dim=-1).clamp(0, ERROR_RANGE) / ERROR_RANGE
    colors = torch.from_numpy(colormaps["inferno"](error.numpy(), bytes=True)[..., :3].copy())
    if mask is not None:
        colors[~mask] = 128
    return colors


def side_by_side(truth: Tensor, render: Tensor, mask: Tensor | None, title: str) -> Tensor:
    """[H', W', 3] uint8: photo | render | error map with its scale, under a line of text.

    Args:
        truth, render: [H, W, 3] float sRGB 0..1; small ones are enlarged by a whole number.
        mask: [H, W] bool, where a comparison makes sense, or None.
        title: one line, cut off where it does not fit.
    """
    pictures = (("photo", truth), ("render", render))
    return in_a_row(pictures, error_map(truth, render, mask), title)


def in_a_row(pictures: Sequence[tuple[str, Tensor]], errors: Tensor, title: str) -> Tensor:
    """[H', W', 3] uint8: pictures with their names and an error map with its scale, below a line of
    text.

    Args:
        pictures: names and [H, W, 3] float sRGB 0..1, at least one; small ones are enlarged by a
            whole number.
        errors: [H, W, 3], from `error_map`.
        title: one line, cut off where it does not fit.
    """
    names = [*(name for name, _ in pictures), "error"]
    times = max(1, math.ceil(_LEAST_PANEL / errors.shape[1]))
    panels = [
        Image.fromarray(panel.numpy()).resize(
            (panel.shape[1] * times, panel.shape[0] * times), Image.Resampling.NEAREST
        )
        for panel in (*(eight_bits(picture) for _, picture in pictures), errors)
    ]
    width, height = panels[0].size
    top = 2 * (_TEXT + _MARGIN) + _MARGIN
    right = len(panels) * (width + _MARGIN)
    scale_width = 3 * _TEXT + 2 * _MARGIN
    page = Image.new("RGB", (right + scale_width, top + height + _MARGIN), _PAPER)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(_TEXT)
    draw.text((_MARGIN, _MARGIN // 2), _cut(title, font, page.width - _MARGIN), _INK, font)
    for i, (panel, name) in enumerate(zip(panels, names, strict=True)):
        left = _MARGIN + i * (width + _MARGIN)
        draw.text((left, _TEXT + _MARGIN), name, _INK, font)
        page.paste(panel, (left, top))
    _draw_scale(page, draw, font, right + _MARGIN, top, height)
    return torch.from_numpy(np.array(page))


def thumbnail(picture: Tensor) -> Tensor:
    """[H', W', 3] float: the [H, W, 3] float picture, at most 200 pixels wide."""
    height, width = picture.shape[:2]
    if width <= SHEET_PANEL:
        return picture
    size = (max(1, round(height * SHEET_PANEL / width)), SHEET_PANEL)
    chw = picture.permute(2, 0, 1)[None]
    return F.interpolate(chw, size, mode="bilinear", antialias=True)[0].permute(1, 2, 0)


def contact_sheet(pairs: Sequence[tuple[Tensor, Tensor]], titles: Sequence[str]) -> Tensor:
    """[H, W, 3] uint8: `side_by_side` of up to 24 evenly chosen (truth, render).

    The pictures should be small: see `thumbnail`.
    """
    chosen = _evenly(len(pairs), SHEET_ROWS)
    rows = [side_by_side(*pairs[i], None, titles[i]) for i in chosen]
    columns = max(1, math.ceil(math.sqrt(len(rows) / 3)))
    cell_height, cell_width = (max(row.shape[side] for row in rows) for side in (0, 1))
    lines = math.ceil(len(rows) / columns)
    sheet = torch.full((lines * cell_height, columns * cell_width, 3), 255, dtype=torch.uint8)
    for i, row in enumerate(rows):
        y, x = i // columns * cell_height, i % columns * cell_width
        sheet[y : y + row.shape[0], x : x + row.shape[1]] = row
    return sheet


def _draw_scale(
    page: Image.Image,
    draw: ImageDraw.ImageDraw,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    left: int,
    top: int,
    height: int,
) -> None:
    """A bar from 0 at the bottom to the end of the range at the top."""
    ramp = np.linspace(1, 0, height)[:, None].repeat(_TEXT, axis=1)
    page.paste(Image.fromarray(colormaps["inferno"](ramp, bytes=True)[..., :3]), (left, top))
    draw.text((left, top - _TEXT - 4), f"{ERROR_RANGE:g}", _INK, font)
    draw.text((left + _TEXT + 3, top + height - _TEXT - 4), "0", _INK, font)


def _cut(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def _evenly(count: int, at_most: int) -> list[int]:
    if count <= at_most:
        return list(range(count))
    return [round(i * (count - 1) / (at_most - 1)) for i in range(at_most)]
