"""Splats as other programs write them."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tondo.cli.arguments import direction
from tondo.cli.main import main
from tondo.data.splats import Splats
from tondo.errors import InputError
from tondo.io.models.ply import read_points, read_splat_file, write_splats
from tondo.scenes.open import open_scene

N = 40
INF, NAN = math.inf, math.nan


def columns() -> dict[str, np.ndarray]:
    """A ball of opaque splats around (0, 0, 0.3)."""
    random = np.random.default_rng(0)
    places = random.normal(size=(N, 3))
    places = 0.5 * places / np.linalg.norm(places, axis=1)[:, None] + [0, 0, 0.3]
    turns = random.normal(size=(N, 4))
    found = {name: places[:, i] for i, name in enumerate("xyz")}
    found |= {f"f_dc_{i}": random.normal(size=N) for i in range(3)}
    found |= {"opacity": np.full(N, 4.0)}
    found |= {f"scale_{i}": np.full(N, math.log(0.06) + 0.1 * i) for i in range(3)}
    return found | {f"rot_{i}": turns[:, i] for i in range(4)}


def write(path: Path, table: dict[str, np.ndarray], *comments: str) -> Path:
    count = len(next(iter(table.values())))
    head = ["ply", "format binary_little_endian 1.0", *(f"comment {c}" for c in comments)]
    head += [f"element vertex {count}", *(f"property float {name}" for name in table)]
    data = np.stack(list(table.values()), axis=1).astype("<f4").tobytes()
    path.write_bytes("\n".join([*head, "end_header", ""]).encode() + data)
    return path


def changed(name: str, rows: slice, value: float) -> dict[str, np.ndarray]:
    table = columns()
    table[name] = table[name].copy()
    table[name][rows] = value
    return table


def test_opacities_without_bounds(tmp_path: Path) -> None:
    whole = read_splat_file(write(tmp_path / "a.ply", columns())).splats
    found = read_splat_file(write(tmp_path / "b.ply", changed("opacity", slice(0, N, 2), INF)))
    assert found.notes == ("20 of 40 splats have an opacity of +inf: taken as opaque",)
    assert torch.equal(found.splats.means, whole.means)
    assert (torch.sigmoid(found.splats.opacity_logits[::2]) > 0.999999).all()
    assert (found.splats.opacity_logits[1::2] == 4).all()
    found = read_splat_file(write(tmp_path / "c.ply", changed("opacity", slice(0, N, 4), -INF)))
    assert found.notes == (
        "10 of 40 splats have an opacity or scales of -inf: invisible, left out",
    )
    seen = torch.arange(N) % 4 != 0
    assert torch.equal(found.splats.means, whole.means[seen])


def test_flat_splats_have_two_scales(tmp_path: Path) -> None:
    two = columns()
    del two["scale_2"]
    for table in (two, changed("scale_2", slice(None), -INF)):
        found = read_splat_file(write(tmp_path / "a.ply", table))
        assert found.notes == (
            "40 of 40 splats have no third scale, or a scale of -inf: taken as flat",
        )
        scales = found.splats.log_scales.exp()
        assert torch.allclose(scales[:, 0], torch.tensor(0.06))
        assert torch.allclose(scales[:, 2], 0.001 * scales[:, 1])


def test_rows_of_zeros_and_rotations_of_none(tmp_path: Path) -> None:
    padded = {name: np.concatenate([values, np.zeros(7)]) for name, values in columns().items()}
    found = read_splat_file(write(tmp_path / "a.ply", padded))
    assert found.notes == ("7 of 47 splats are rows of zeros: left out",)
    assert len(found.splats.means) == N
    unturned = columns() | {f"rot_{i}": np.zeros(N) for i in range(4)}
    found = read_splat_file(write(tmp_path / "b.ply", unturned))
    assert found.notes == ("40 of 40 splats have a rotation of length 0: taken as not turned",)
    assert found.splats.quats.tolist() == [[1, 0, 0, 0]] * N


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("scale_0", NAN), ("x", NAN), ("y", -INF), ("f_dc_1", INF), ("rot_3", NAN)),
        *(("opacity", NAN), ("scale_1", INF)),
    ],
)
def test_damaged_rows_are_left_out(tmp_path: Path, name: str, value: float) -> None:
    found = read_splat_file(write(tmp_path / "a.ply", changed(name, slice(5, 8), value)))
    assert found.notes == ("3 of 40 splats have numbers that are NaN or infinite: left out",)
    whole = read_splat_file(write(tmp_path / "b.ply", columns())).splats
    keep = [i for i in range(N) if not 5 <= i < 8]
    for field in vars(whole):
        assert torch.equal(getattr(found.splats, field), getattr(whole, field)[keep])


def test_a_file_without_a_splat_that_can_be_used(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ply", changed("x", slice(None), NAN))
    with pytest.raises(InputError, match="no splat that can be used: 40 of 40 splats have numbers"):
        read_splat_file(path)


def test_what_is_no_file_of_splats_is_still_refused(tmp_path: Path) -> None:
    packed = {f"packed_{name}": np.zeros(4) for name in ("position", "rotation", "scale", "color")}
    cloud = {name: np.zeros(4) for name in ("x", "y", "z", "red", "green", "blue")}
    for table in (packed, cloud):
        with pytest.raises(InputError, match="it is a PLY, but not one of Gaussian splats"):
            read_splat_file(write(tmp_path / "a.ply", table))
    with pytest.raises(InputError, match="infinite"):  # points keep their own rule
        read_points(write(tmp_path / "b.ply", changed("x", slice(0, 1), INF)))


@pytest.mark.parametrize(
    ("comment", "up"),
    [
        ("Vertical Axis: z", [0, 0, 1]),  # nerfstudio
        ("Vertical axis: y", [0, -1, 0]),  # Brush, whatever the world
        ("Generated by a tool", [0, -1, 0]),
        ("Vertical axis: 0 0.6 0.8", [0, 0.6, 0.8]),
        ("Vertical axis: -y", [0, -1, 0]),
        ("Vertical axis: 0 0 nan", [0, -1, 0]),
    ],
)
def test_which_way_is_up(tmp_path: Path, comment: str, up: list[float]) -> None:
    opened = open_scene(write(tmp_path / "a.ply", columns(), comment))
    assert torch.allclose(opened.scene.up, torch.tensor(up, dtype=torch.float32))
    asked = open_scene(tmp_path / "a.ply", up=(1.0, 0.0, 0.0))
    assert asked.scene.up.tolist() == [1, 0, 0]


def test_tondos_own_splats_say_which_way_is_up(tmp_path: Path) -> None:
    splats = read_splat_file(write(tmp_path / "a.ply", columns())).splats
    up = torch.nn.functional.normalize(torch.tensor([0.2, 0.9, -0.1]), dim=0)
    write_splats(tmp_path / "b.ply", splats, up=up)
    opened = open_scene(tmp_path / "b.ply")
    assert opened.up_is_known
    assert torch.allclose(opened.scene.up, up, atol=1e-6)
    assert isinstance(opened.scene.splats, Splats)  # type: ignore[union-attr]


def tall(path: Path, axis: str) -> Path:
    """A stick along an axis, at the end of which the splats are red, else blue."""
    table = columns()
    along = np.linspace(-1, 1, N)
    table |= {name: along if name == axis else 0.1 * table[name] for name in "xyz"}
    red = along > 0.5
    table |= {"f_dc_0": np.where(red, 1.7, -1.7), "f_dc_1": np.full(N, -1.7)}
    table |= {"f_dc_2": np.where(red, -1.7, 1.7)}
    return write(path, table)


def test_export_stands_foreign_splats_upright(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "m.ply"
    argv = ["export", str(tall(tmp_path / "a.ply", "y")), "-o", str(out), "--surface", "open"]
    assert main([*argv, "--resolution", "32"]) == 0
    assert "which way is up: -y is assumed, as in worlds of COLMAP" in capsys.readouterr().out
    cloud = read_points(out)
    reds = cloud.colors[:, 0] > 150
    assert cloud.points[reds, 2].mean() - cloud.points[~reds, 2].mean() < -0.5


@pytest.mark.parametrize(
    ("text", "up"),
    [
        *(("z", (0, 0, 1)), ("+x", (1, 0, 0)), ("-y", (0, -1, 0)), ("0,0,-2", (0, 0, -1))),
        ("-3,0,4", (-0.6, 0, 0.8)),
    ],
)
def test_directions_of_up(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    text: str,
    up: tuple[float, float, float],
) -> None:
    assert direction(text) == pytest.approx(up)
    out = tmp_path / "none" / "m.xyz"  # of no known format: refused after the options were read
    for words in (["--up", text], [f"--up={text}"]):
        assert main(["export", "a.ply", "-o", str(out), *words]) == 2
        assert "expected one of .glb" in capsys.readouterr().err
    with pytest.raises(argparse.ArgumentTypeError, match="a direction such as z, -y or 0,0,1"):
        direction("up")


def test_the_counts_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.ply", changed("opacity", slice(0, N, 2), INF))
    assert main(["export", str(path), "-o", str(tmp_path / "b.ply"), "--as", "splats"]) == 0
    printed = capsys.readouterr().out
    assert "20 of 40 splats have an opacity of +inf: taken as opaque" in printed
    assert "40 splats" in printed
