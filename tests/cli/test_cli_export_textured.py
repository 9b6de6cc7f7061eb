"""`tondo export` of a texture, on the run's mesh or on the user's own, and what can be wrong with
the input."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import trimesh
from small_scene import write_transforms
from test_cli_export import CENTER, ball_scene, export

import tondo.scenes.texture
from khronos import khronos_report
from tondo.data.mesh import Mesh
from tondo.io.models.glb import read_glb
from tondo.io.models.glb_mesh import glb_parts
from tondo.io.models.mesh_files import format_from_world, write_mesh
from tondo.io.models.mesh_frames import read_up
from tondo.io.models.scene import save_scene
from tondo.io.models.textured_files import read_textured
from tondo.mesh.render import sampled
from tondo.runs.run_directory import create_run
from tondo.scenes.to_mesh import cameras_around

UP = torch.tensor([0.0, -1.0, 0.0])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the ball whose up is -y, whose photographs are gone."""
    folder = tmp_path_factory.mktemp("run")
    made = create_run(
        folder / "run", {"tondo": "0.1.0", "command": "reconstruct", "source": str(folder / "gone")}
    )
    save_scene(made.scene_path, ball_scene())
    write_transforms(made.cameras_path, cameras_around(CENTER, 1.5, 6, 60), list("abcdef"))
    return made.path


@pytest.fixture(autouse=True)
def few_renders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what no photograph shows: these tests are about files."""
    monkeypatch.setattr(tondo.scenes.texture, "AROUND", 12)
    monkeypatch.setattr(tondo.scenes.texture, "AROUND_SIZE", 80)


def ball(path: Path, *, move: float = 0.0, frame: str = "format") -> Mesh:
    """Write a ball of few faces where the run's is, as a program does that says no axes."""
    model = trimesh.creation.icosphere(2, 1.0)
    vertices = torch.tensor(model.vertices).float() + CENTER + torch.tensor([0.0, move, 0.0])
    mesh = Mesh(vertices, torch.tensor(model.faces))
    write_mesh(path, mesh, UP, frame)  # type: ignore[arg-type]
    if path.suffix == ".obj":
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not line.startswith("#")))
    return mesh


def check_colors(path: Path) -> None:
    """Dark above and red below, as the ball is, whichever axes the file has."""
    mesh, uvs, texture = read_textured(path)
    assert uvs is not None
    assert texture is not None
    colors = sampled(texture.color, uvs.mean(dim=1)) * 255
    height = mesh.vertices[mesh.faces].mean(dim=1)[:, 1]
    for part, expected in ((height > 0.3, [25, 25, 25]), (height < -0.3, [230, 51, 25])):
        assert colors[part].mean(dim=0).tolist() == pytest.approx(expected, abs=8)


def test_an_obj_that_says_no_axes_is_put_where_it_fits(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ball(tmp_path / "mine.obj")
    before = (tmp_path / "mine.obj").read_text()
    argv = [run, "-o", tmp_path / "new.obj", "--mesh", tmp_path / "mine.obj", "--texture", "64"]
    assert export(*argv) == 0
    check_colors(tmp_path / "new.obj")
    assert read_up(tmp_path / "new.obj") == (0, -1, 0)
    text = (tmp_path / "new.obj").read_text()
    for head in ("v ", "vn "):
        places = [line for line in before.split("\n") if line.startswith(head)]
        assert [line for line in text.split("\n") if line.startswith(head)] == places
    printed = capsys.readouterr()
    assert "gone" in printed.out + printed.err  # the photographs are, which is said
    assert "mine.obj does not say its axes: its format's fit" in printed.out + printed.err
    assert "320 faces" in printed.out
    # a second time, with the UVs that it has now, as GLB with all maps
    argv = [run, "-o", tmp_path / "new.glb", "--mesh", tmp_path / "new.obj", "--texture", "64"]
    assert export(*argv, "--normal-map", "--ao", "--resolution", "24") == 0
    check_colors(tmp_path / "new.glb")
    assert khronos_report(tmp_path / "new.glb")["issues"]["messages"] == []
    _, uvs, texture = read_textured(tmp_path / "new.glb")
    before_uvs = read_textured(tmp_path / "new.obj")[1]
    assert uvs is not None
    assert before_uvs is not None
    assert torch.allclose(uvs, before_uvs, atol=1e-6)
    assert texture is not None
    assert texture.normals is not None
    assert texture.occlusion is not None


def test_a_glb_keeps_the_bytes_of_its_positions(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ball(tmp_path / "mine.glb", frame="world")
    argv = [run, "-o", tmp_path / "new.glb", "--mesh", tmp_path / "mine.glb", "--texture", "64"]
    assert export(*argv, "--lod", "2", "--faces", "9") == 0
    assert "mine.glb stays as it is: --faces and --lod" in capsys.readouterr().out
    (before,) = glb_parts(read_glb(tmp_path / "mine.glb"))
    (after,) = glb_parts(read_glb(tmp_path / "new.glb"))
    assert after.positions[: len(before.positions)].tobytes() == before.positions.tobytes()
    assert read_up(tmp_path / "new.glb") is None  # the world's axes


def refused(run: Path, output: Path, *words: object) -> None:
    """An export that cannot be: status 2, and nothing is written."""
    before = sorted(output.parent.iterdir())
    assert export(run, "-o", output, *words) == 2
    assert sorted(output.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\n", "no faces"),
        ("v 0 0 0\nv 1 0 nan\nv 0 1 0\nf 1 2 3\n", "NaN"),
        ("v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", "no area"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 2 0\nvt 0 1\nf 1/1 2/2 3/3\n", "reach from 0 to 2"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nf 1/1 2/2 3/2\n", "UVs have no area"),
        (
            "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 1 1 0\nvt 0 0\nvt 1 0\nvt 0 1\n"
            "f 1/1 2/2 3/3\nf 4/1 2/2 3/3\n",
            "100% of its UVs overlap",
        ),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n", "names a vertex that is not there"),
        ("", "no faces"),
    ],
)
def test_a_mesh_that_cannot_have_a_texture_is_one_sentence(
    run: Path, tmp_path: Path, text: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.obj").write_text(text)
    refused(run, tmp_path / "new.glb", "--mesh", tmp_path / "mine.obj", "--texture", "64")
    (message,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert expected in message
    assert "mine.obj" in message


def test_a_mesh_elsewhere_is_one_sentence(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ball(tmp_path / "mine.obj", move=0.5)
    refused(run, tmp_path / "new.obj", "--mesh", tmp_path / "mine.obj", "--texture", "64")
    message = capsys.readouterr().err
    assert "lies away from what the run shows" in message
    assert "--mesh-frame" in message
    # the right mesh, in the axes that it does not have
    words = ["--mesh", tmp_path / "mine.obj", "--texture", "64", "--mesh-frame", "world"]
    (tmp_path / "mine.obj").unlink()
    turn = torch.tensor(format_from_world(UP, "y")).float()
    model = trimesh.creation.box((2, 1, 1))
    box = torch.tensor(model.vertices).float() + torch.tensor([0.0, 2.0, 0.0])
    write_mesh(tmp_path / "mine.obj", Mesh(box @ turn.T, torch.tensor(model.faces)), UP, "world")
    refused(run, tmp_path / "new.obj", *words)
    assert "lies away" in capsys.readouterr().err


def test_a_texture_that_does_not_fit_into_memory_is_one_sentence(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = {"SC_PHYS_PAGES": 4 * 2**18, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", pages.get)
    refused(run, tmp_path / "new.glb", "--texture", "8192")
    assert "--texture 8192 needs 9.4 GiB here, and this machine has 4.0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "words", "expected"),
    [
        ("new.glb", ["--texture", "100000"], "--texture must be from 16 to 16384, got 100000"),
        ("new.glb", ["--texture", "3"], "--texture must be from 16"),
        ("new.glb", ["--texture", "big"], "expected a number of texels, auto or none"),
        ("new.glb", ["--faces", "3"], "at least 4"),
        ("new.glb", ["--faces", "5000000"], "--faces 5000000 is more than the 2,000,000"),
        ("new.glb", ["--texture", "none", "--mesh", "mine.glb"], "--texture none"),
        ("new.ply", ["--mesh", "mine.glb"], ".glb, .obj"),
        ("new.glb", ["--mesh", "new.glb"], "choose another name"),
        ("new.glb", ["--mesh", "none.glb"], "none.glb cannot be read"),
        ("new.glb", ["--mesh", "mine.stl"], "mine.stl"),
        ("chair.obj", [], "chair.png"),
    ],
)
def test_wrong_options_are_one_sentence_and_write_nothing(
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    words: list[str],
    expected: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("chair.png").write_bytes(b"a photograph of a chair")
    refused(run, Path(name).absolute(), *words)
    message = capsys.readouterr().err
    assert expected in message
    assert "Traceback" not in message


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After all the work, when the picture of an OBJ no longer fits."""
    ball(tmp_path / "mine.obj")
    whole = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if self.suffix == ".png":
            whole(self, data[:100])
            raise OSError(28, "No space left on device")
        return whole(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    words = ["--mesh", tmp_path / "mine.obj", "--texture", "16"]
    refused(run, tmp_path / "new.obj", *words)
    assert "No space left on device" in capsys.readouterr().err


def test_a_mesh_with_edges_of_three_faces_and_faces_without_area_gets_its_texture(
    run: Path, tmp_path: Path
) -> None:
    mesh = ball(tmp_path / "mine.obj")
    lines = [
        line
        for line in (tmp_path / "mine.obj").read_text().splitlines()
        if line and line[:2] != "vn"
    ]
    count = len(mesh.vertices)
    faces = [" ".join(w.split("/")[0] for w in line.split()) for line in lines if line[0] == "f"]
    a, b, _ = faces[0].split()[1:]
    # a fin on an edge, a face that is a line, and a face twice
    extra = ["v 0.5 0 1.2", f"f {a} {b} {count + 1}", f"f {a} {b} {b}", faces[5]]
    kept = [line for line in lines if line[0] != "f"]
    (tmp_path / "mine.obj").write_text("\n".join([*kept, *extra[:1], *faces, *extra[1:]]) + "\n")
    argv = [run, "-o", tmp_path / "new.obj", "--mesh", tmp_path / "mine.obj", "--texture", "64"]
    assert export(*argv) == 0
    check_colors(tmp_path / "new.obj")
    found, _, _ = read_textured(tmp_path / "new.obj")
    assert len(found.faces) == len(mesh.faces) + 3
