"""Side-by-side pictures hold what they say, at any size."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tondo.evaluation.comparison import contact_sheet, error_map, side_by_side, thumbnail


def pair(height: int, width: int) -> tuple[Tensor, Tensor]:
    truth = torch.rand(height, width, 3, generator=torch.Generator().manual_seed(1))
    return truth, truth.flip(0)


def test_error_map_runs_from_black_to_the_end_of_the_range() -> None:
    truth = torch.full((4, 5, 3), 0.5)
    render = truth.clone()
    render[0] += 0.25
    render[1, :, 0] += 0.3
    render[2] -= 0.5
    mask = torch.ones(4, 5, dtype=torch.bool)
    mask[3, 4] = False
    found = error_map(truth, render, mask)
    assert found.dtype == torch.uint8
    assert found[3, 0].tolist() == [0, 0, 3], "inferno's first colour"
    assert found[0, 0].tolist() == [252, 254, 164], "inferno's last colour"
    assert torch.equal(found[2], found[0]), "errors beyond the range look like its end"
    assert 100 < int(found[1, 0].sum()) < 400, "a mean of 0.1 lies between"
    assert found[3, 4].tolist() == [128, 128, 128]


@pytest.mark.parametrize(("height", "width"), [(200, 190), (300, 720), (3, 2), (40, 97)])
def test_side_by_side_holds_the_three_panels(height: int, width: int) -> None:
    truth, render = pair(height, width)
    page = side_by_side(truth, render, None, "images/0001.jpg   PSNR 27.31 dB " + "x" * 500)
    times = max(1, -(-180 // width))
    assert page.shape[0] >= height * times + 40
    assert page.shape[1] >= 3 * width * times
    top, left = page.shape[0] - 6 - height * times, 6
    panel = page[top : top + height * times : times, left : left + width * times : times]
    assert torch.equal(panel, (truth * 255).round().to(torch.uint8))
    left += width * times + 6
    panel = page[top : top + height * times : times, left : left + width * times : times]
    assert torch.equal(panel, (render * 255).round().to(torch.uint8))
    assert int((page[:18] < 100).sum()) > 100, "the title is there"


@pytest.mark.parametrize("count", [1, 2, 7, 60])
def test_a_contact_sheet_of_any_length(count: int) -> None:
    truth, render = (thumbnail(t) for t in pair(150, 300))
    assert truth.shape == (100, 200, 3)
    sheet = contact_sheet([(truth, render)] * count, [f"photo {i}" for i in range(count)])
    shown = min(count, 24)
    rows = sheet.shape[0] // 150
    columns = round(sheet.shape[1] / side_by_side(truth, render, None, "").shape[1])
    assert shown <= rows * columns < shown + columns + rows
    assert sheet.shape[0] < 2500
