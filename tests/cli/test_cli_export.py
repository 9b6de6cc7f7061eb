"""`tondo export` as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import trimesh
from small_scene import ring, small_scene, write_transforms

from tondo.api.options import ExportOptions, for_purpose
from tondo.cli.main import main
from tondo.data.splats import Scene, Splats
from tondo.errors import OptionError
from tondo.geometry.cameras import camera_position
from tondo.io.models.mesh_files import read_mesh
from tondo.io.models.ply import read_header, read_splat_file, write_splats
from tondo.io.models.scene import save_scene
from tondo.mesh.clean import boundary_loops
from tondo.runs.run_directory import create_run
from tondo.runs.watch import Watch
from tondo.scenes.to_mesh import cameras_around

CENTER = torch.tensor([0.5, 0.0, 0.0])


def ball_scene(up: tuple[float, float, float] = (0.0, -1.0, 0.0)) -> Scene:
    """A ball of radius 1 around (0.5, 0, 0), dark above its middle (along `up`) and red below."""
    generator = torch.Generator().manual_seed(0)
    normals = F.normalize(torch.randn(12000, 3, generator=generator), dim=1)
    upward = torch.tensor(up)
    z = torch.tensor([0.0, 0.0, 1.0]).expand_as(normals)
    quats = torch.cat([1 + normals[:, 2:], torch.linalg.cross(z, normals)], dim=1)
    above = (normals @ upward > 0)[:, None]
    color = torch.where(above, torch.tensor([0.1, 0.1, 0.1]), torch.tensor([0.9, 0.2, 0.1]))
    splats = Splats(
        CENTER + normals,
        quats,
        torch.log(torch.tensor([0.03, 0.03, 0.002])).expand(12000, 3).contiguous(),
        torch.full((12000,), 4.0),
        ((color - 0.5) / 0.28209479177387814)[:, None],
    )
    return Scene(splats, torch.ones(3), upward, 1.5, CENTER)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run of the ball whose up is -y, with its cameras."""
    made = create_run(tmp_path / "run", {"tondo": "0.1.0", "command": "reconstruct"})
    save_scene(made.scene_path, ball_scene())
    cameras = cameras_around(CENTER, 1.5, 20, 80)
    write_transforms(made.cameras_path, cameras, [f"images/{i}.png" for i in range(20)])
    return made.path


def export(*words: object) -> int:
    return main(["export", *(str(word) for word in words)])


def test_a_run_becomes_a_watertight_mesh(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "new" / "ball.ply"
    assert export(run, "-o", target, "--resolution", 40) == 0
    out = capsys.readouterr().out
    assert "watertight" in out
    mesh = read_mesh(target)
    assert f"{len(mesh.faces):,} faces" in out
    model = trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), process=False)
    assert model.is_watertight
    assert model.volume == pytest.approx(4 / 3 * torch.pi, rel=0.12)
    # -y is up: in the file +z is, and dark is above
    turned = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]) @ CENTER
    assert torch.allclose(mesh.vertices.mean(dim=0), turned, atol=0.1)
    assert mesh.colors is not None
    above, below = mesh.vertices[:, 2] > 0.3, mesh.vertices[:, 2] < -0.3
    assert mesh.colors[above].float().mean(dim=0).tolist() == pytest.approx([25, 25, 25], abs=6)
    assert mesh.colors[below].float().mean(dim=0).tolist() == pytest.approx([230, 51, 25], abs=8)


@pytest.mark.parametrize(
    ("name", "words", "center"),
    [
        ("a.glb", ["--texture", "none"], (0.5, 0.0, 0.0)),
        ("a.OBJ", ["--up", "1,0,0", "--texture", "none"], (0.0, 0.5, 0.0)),
        ("a.stl", ["--up", "1,0,0"], (0.0, 0.0, 0.5)),
        ("a.stl", ["--frame", "world"], (0.5, 0.0, 0.0)),
    ],
)
def test_formats_frames_and_up(
    run: Path, tmp_path: Path, name: str, words: list[str], center: tuple[float, ...]
) -> None:
    assert export(run, "-o", tmp_path / name, "--resolution", 32, *words) == 0
    vertices = read_mesh(tmp_path / name).vertices
    middle = (vertices.amin(dim=0) + vertices.amax(dim=0)) / 2
    assert torch.allclose(middle, torch.tensor(center), atol=0.1)


def test_faces_are_kept_to_their_budget(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [run, "-o", tmp_path / "a.glb", "--resolution", 40, "--texture", "none"]
    assert export(*words, "--faces", 500) == 0
    assert len(read_mesh(tmp_path / "a.glb").faces) in (498, 499, 500)
    assert "all there are" not in capsys.readouterr().out
    assert export(*words, "--faces", 100_000) == 0
    assert "faces, which is all there are: 100,000 were allowed" in capsys.readouterr().out


def test_a_purpose_and_its_levels(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--resolution", 32, "--faces", 1000, "--texture", 128, "--for", "vr", "--lod", 1]
    assert export(run, "-o", tmp_path / "ball.glb", *words) == 0
    first, second, third = capsys.readouterr().out.splitlines()[-3:]
    assert "vertices, 1,000 faces, watertight; texture 128x128, " in first
    assert " charts, 100% from renders; 0.0 MB, " in first
    assert second == "coarser meshes with the same texture: ball_LOD1 250 faces"
    assert third == "vr: 1,000 triangles of at most 100,000; 0.0 MB of at most 30 MB"
    scene = trimesh.load_scene(tmp_path / "ball.glb")
    assert {name: len(mesh.faces) for name, mesh in scene.geometry.items()} == {
        "ball_LOD0": 1000,
        "ball_LOD1": 250,
    }
    assert scene.bounds.mean(axis=0) == pytest.approx([0.5, 0, 0], abs=0.1)


def test_what_is_typed_goes_before_a_purpose(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[ExportOptions] = []

    def stopped(
        run: Path, output: Path, options: ExportOptions, *, watch: Watch, typed: frozenset[str]
    ) -> None:
        found.append(for_purpose(options, typed))
        raise OptionError("enough")

    monkeypatch.setattr("tondo.api.export.export", stopped)
    target = tmp_path / "a.glb"
    assert export(run, "-o", target, "--for", "game", "--lod", 0, "--texture", "auto") == 2
    assert export(run, "-o", target, "--for", "game", "--faces", 500) == 2
    sizes = [(one.mesh.faces, one.texture.size, one.texture.lod) for one in found]
    assert sizes == [(10_000, "auto", 0), (500, 2048, 2)]
    assert all(one.texture.normal_map for one in found)


def test_a_print_is_checked(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--resolution", 24, "--for", "print"]
    assert export(run, "-o", tmp_path / "ball.stl", *words) == 0
    out = capsys.readouterr().out
    assert "print: watertight, manifold, 1 part, no thin walls; " in out
    assert "the scene has no unit: its longest side is 2." in out
    assert "texture" not in out


def test_an_open_surface_and_its_holes(run: Path, tmp_path: Path) -> None:
    """Cameras from above leave the lowest part unseen."""
    cameras = [c for c in cameras_around(CENTER, 1.5, 30, 80) if camera_position(c)[2] > -2.0]
    write_transforms(tmp_path / "c.json", cameras, [f"{i}.png" for i in range(len(cameras))])
    words = ["--resolution", 40, "--surface", "open", "--cameras", tmp_path / "c.json"]
    assert export(run, "-o", tmp_path / "a.ply", *words) == 0
    assert export(run, "-o", tmp_path / "b.ply", *words, "--fill-holes") == 0
    bare, filled = (read_mesh(tmp_path / name) for name in ("a.ply", "b.ply"))
    loops = [max((len(loop) for loop in boundary_loops(m)), default=0) for m in (bare, filled)]
    assert loops[0] > 10
    assert loops[1] == 0


def test_splats_go_out_and_come_back(run: Path, tmp_path: Path) -> None:
    assert export(run, "-o", tmp_path / "a.ply", "--as", "splats") == 0
    assert torch.equal(read_splat_file(tmp_path / "a.ply").splats.means, ball_scene().splats.means)
    # a splat file is a scene of its own: cameras are placed around it
    assert export(tmp_path / "a.ply", "-o", tmp_path / "b.ply", "--resolution", 40) == 0
    assert any(e.name == "face" and e.count for e in read_header(tmp_path / "b.ply").elements)
    points = read_mesh(tmp_path / "b.ply").vertices  # +z is up in both
    assert ((points - CENTER).norm(dim=1) - 1).abs().mean() < 0.05


def test_other_cameras_can_be_given(run: Path, tmp_path: Path) -> None:
    write_transforms(tmp_path / "c.json", ring(8, 60, 80), [f"{i}.png" for i in range(8)])
    words = ["--resolution", 32, "--cameras", tmp_path / "c.json"]
    assert export(run, "-o", tmp_path / "a.stl", *words) == 0
    assert len(read_mesh(tmp_path / "a.stl").faces) > 500


@pytest.mark.parametrize(
    ("name", "words", "expected"),
    [
        ("a.gbl", [], "did you mean .glb"),
        ("a", [], "no ending"),
        ("a.spz", [], ".ply with --as splats"),
        ("a.glb", ["--as", "splats"], "splats can be written as .ply"),
        ("a.glb", ["--resolution", "3"], "16 to 2048"),
        ("a.glb", ["--resolution", "-1"], "--resolution must be from 16 to 2048, got -1"),
        ("a.glb", ["--faces", "3"], "--faces must be at least 4, got 3"),
        ("a.stl", ["--lod", "2"], "--lod needs a texture: write .glb or .obj"),
        ("a.glb", ["--texture", "none", "--ao"], "and not --texture none"),
        ("a.ply", ["--as", "splats", "--for", "vr"], "--for vr is of a mesh"),
        ("a.glb", ["--for", "cinema"], "invalid choice: 'cinema'"),
        ("a.glb", ["--smoothing", "nan"], "0 to 10"),
        ("a.glb", ["--up", "0,0,0"], "direction"),
        ("a.glb", ["--up", "nan,0,1"], "direction"),
        ("a.glb", ["--reach", "0"], "above 0"),
        ("a.glb", ["--reach", "1e-4", "--resolution", "32"], "no surface"),
        ("a.glb", ["--cameras", "none.json"], "none.json"),
        ("a.glb", ["--resolutoin", "3"], "--resolution"),
    ],
)
def test_wrong_options_are_one_message(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    words: list[str],
    expected: str,
) -> None:
    assert export(run, "-o", tmp_path / name, *words) == 2
    message = capsys.readouterr().err
    assert expected in message
    assert "Traceback" not in message
    assert not (tmp_path / name).exists()


def test_wrong_places_are_refused_before_the_work(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.glb").mkdir()
    (tmp_path / "file").touch()
    write_splats(tmp_path / "own.ply", small_scene().splats)
    before = (tmp_path / "own.ply").read_bytes()
    for source, target, expected in (
        (run, tmp_path / "folder.glb", "folder of that name"),
        (run, tmp_path / "file" / "a.glb", "not a folder"),
        (tmp_path / "own.ply", tmp_path / "own.ply", "the scene itself"),
        (tmp_path / "none", tmp_path / "a.glb", "none"),
        (tmp_path / "file", tmp_path / "a.glb", "not a scene"),
    ):
        assert export(source, "-o", target) == 2
        assert expected in capsys.readouterr().err
    assert (tmp_path / "own.ply").read_bytes() == before
    assert not (tmp_path / "a.glb").exists()
