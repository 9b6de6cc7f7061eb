"""A mesh in its format's axes is the same surface as one in the world's: files say which they have,
and where they do not, measuring says that the axes differ."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from torch import Tensor

import small_photos
from tondo.cli.main import main
from tondo.data.mesh import Mesh
from tondo.evaluation.axes import better_turn, right_turns
from tondo.io.models.mesh_files import format_from_world, read_mesh, read_world_mesh, write_mesh
from tondo.io.models.mesh_frames import read_up
from tondo.io.models.scene import save_scene
from tondo.io.posed.cameras_json import write_cameras
from tondo.runs.run_directory import create_run

UPS = {"+z": (0.0, 0.0, 1.0), "-y": (0.0, -1.0, 0.0), "aslant": (0.6, -0.48, 0.64)}
every_up = pytest.mark.parametrize("up", UPS.values(), ids=UPS.keys())
every_format = pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply", ".stl"])


def thing() -> Mesh:
    """A cone with a box beside it: no turn makes it the same."""
    cone = trimesh.creation.cone(radius=0.5, height=2.0, sections=24)
    box = trimesh.creation.box((0.6, 0.3, 0.4)).apply_translation((1.2, 0.4, -0.3))
    whole = trimesh.util.concatenate([cone, box])
    return Mesh(torch.tensor(np.array(whole.vertices)).float(), torch.tensor(whole.faces))


def run_with(folder: Path, up: tuple[float, float, float]) -> Path:
    from dataclasses import replace

    made = create_run(folder, {"tondo": "0.1.0", "command": "reconstruct"})
    save_scene(made.scene_path, replace(small_photos.known_scene(), up=torch.tensor(up)))
    write_cameras(made.cameras_path, [("a.png", small_photos.cameras(1)[0])])
    return made.path


def geometry(run: Path) -> dict[str, object]:
    return json.loads((run / "metrics.json").read_text())["geometry"]


@every_up
@every_format
def test_our_files_say_which_axes_they_have(
    tmp_path: Path, up: tuple[float, float, float], suffix: str
) -> None:
    mesh, direction = thing(), torch.tensor(up)
    corners = mesh.vertices[mesh.faces]
    for frame in ("format", "world"):
        path = tmp_path / f"{frame}{suffix}"
        write_mesh(path, mesh, direction, frame)
        assert (read_up(path) is None) == (frame == "world")
        # whatever up is thought to be by whoever reads it
        back = read_world_mesh(path, None, torch.tensor([1.0, 0.0, 0.0]))
        assert torch.allclose(back.vertices[back.faces], corners, atol=1e-6)


@pytest.mark.parametrize("up", [UPS["aslant"]])
@every_format
def test_the_very_same_surface_has_an_f_score_of_one(
    tmp_path: Path,
    up: tuple[float, float, float],
    suffix: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = run_with(tmp_path / "run", up)
    truth, ours = tmp_path / "truth.ply", tmp_path / f"m{suffix}"
    write_mesh(truth, thing(), torch.tensor(up), "world")
    write_mesh(ours, thing(), torch.tensor(up))
    argv = ["evaluate", str(run), "--mesh", str(truth), "--ours", str(ours), "--points", "1500"]
    assert main([*argv, "--threshold", "0.1"]) == 0
    assert geometry(run)["f_score"] == pytest.approx(1, abs=0.005)
    assert "warning" not in capsys.readouterr().out


@pytest.mark.parametrize("up", [UPS["-y"], UPS["aslant"]])
def test_a_file_that_says_nothing_gets_a_hint(
    tmp_path: Path, up: tuple[float, float, float], capsys: pytest.CaptureFixture[str]
) -> None:
    """As other programs save it."""
    run = run_with(tmp_path / "run", up)
    truth, ours = tmp_path / "truth.ply", tmp_path / "m.obj"
    write_mesh(truth, thing(), torch.tensor(up), "world")
    write_mesh(ours, thing(), torch.tensor(up))
    lines = ours.read_text().splitlines(keepends=True)
    ours.write_text("".join(line for line in lines if not line.startswith("#")))
    assert read_up(ours) is None
    argv = ["evaluate", str(run), "--mesh", str(truth), "--ours", str(ours), "--points", "1500"]
    argv += ["--threshold", "0.1"]
    assert main(argv) == 0
    assert geometry(run)["f_score"] < 0.7
    said = capsys.readouterr().out
    assert "m.obj has other axes than" in said
    assert "--frame format measures it so" in said
    assert geometry(run)["hint"].split("`")[0] in said
    assert main([*argv, "--frame", "format"]) == 0
    assert geometry(run)["f_score"] == pytest.approx(1, abs=0.005)
    assert "hint" not in geometry(run)


def spread(rotation: Tensor | None = None) -> Tensor:
    points = torch.randn(900, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    points = points * torch.tensor([1.0, 2.0, 4.0]) + torch.tensor([5e6, 2.0, -9.0])
    points[:200] += torch.tensor([4.0, 6.0, 20.0])
    return points if rotation is None else points @ rotation.T


def test_each_of_24_turns_is_found_and_named() -> None:
    turns = right_turns()
    assert len({tuple(turn.flatten().tolist()) for turn in turns}) == 24
    for turn in turns[::3]:
        found = better_turn(spread(torch.from_numpy(turn).T), spread(), {})
        if np.array_equal(turn, np.eye(3)):
            assert found is None
        else:
            assert found is not None
            assert np.array_equal(found.rotation.numpy(), turn)
    found = better_turn(
        spread(torch.from_numpy(format_from_world(torch.eye(3)[2], "y"))), spread(), {}
    )
    assert found is not None
    assert found.about == "(x, y, z) -> (x, -z, y)"


def test_a_surface_that_fits_no_turn_gets_no_hint() -> None:
    other = torch.randn(900, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert better_turn(other, 3 * other.flip(0), {}) is None


def test_what_a_file_says_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "m.obj"
    write_mesh(path, thing(), torch.tensor([0.0, 0.0, 1.0]))
    text = path.read_text()
    for words in ("up=0,0,9", "up=nan,0,1", "up=1e999,0,0", "up=0,0"):
        path.write_text(text.replace("up=0,0,1", words))
        assert read_up(path) is None
        assert len(read_mesh(path).faces)
    damaged = tmp_path / "m.glb"
    damaged.write_bytes(b"glTF" + b"\xff" * 40)
    assert read_up(damaged) is None
