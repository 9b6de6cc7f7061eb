"""`tondo render` of a mesh file."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from small_scene import ring, write_transforms

from textured_cube import textured_cube
from tondo.cli.main import main
from tondo.data.mesh import Mesh
from tondo.data.textured import TexturedMesh
from tondo.io.models.mesh_files import write_mesh
from tondo.io.models.textured_files import write_textured
from tondo.mesh.render import render_mesh

UP = torch.tensor([0.0, 0.6, 0.8])


def moved_cube() -> TexturedMesh:
    """About where `ring` looks."""
    model = textured_cube(size=(0.8, 1.0, 1.2))
    vertices = model.mesh.vertices - torch.tensor([-0.1, 0.5, 0.6])
    return TexturedMesh(Mesh(vertices, model.mesh.faces), model.uvs, model.texture)


@pytest.fixture
def cameras(tmp_path: Path) -> Path:
    path = tmp_path / "views" / "transforms.json"
    write_transforms(path, ring(3), ["a.jpg", "b.jpg", "c.jpg"])
    return path


def picture(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.asarray(Image.open(path)).copy()).float() / 255


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
@pytest.mark.parametrize("frame", ["format", "world"])
def test_a_textured_mesh_is_where_it_was(
    tmp_path: Path, cameras: Path, suffix: str, frame: str
) -> None:
    model, path = moved_cube(), tmp_path / f"cube{suffix}"
    write_textured(path, model, UP, "world" if frame == "world" else "format")
    out = tmp_path / "out"
    argv = ["render", str(path), "--cameras", str(cameras), "-o", str(out), "--background", "1,1,1"]
    assert main([*argv, "--depth", "--normals"]) == 0
    for name, camera in zip("abc", ring(3), strict=True):
        expected = render_mesh(model, camera, torch.ones(3), with_normals=True)
        assert float(expected.alpha.mean()) > 0.05
        off = (picture(out / f"{name}.png") - expected.color).abs()
        assert float(off.mean()) < 0.01, "JPEG aside it is the same picture"
        depth = torch.from_numpy(np.load(out / "depth" / f"{name}.npy"))
        far = (depth - expected.depth).abs() > 1e-3
        assert float(far.float().mean()) < 5e-3, "but for pixels on the outline"
    normals = picture(out / "normals" / "a.png") * 2 - 1
    assert float(normals.norm(dim=-1).max()) < 1.02


@pytest.mark.parametrize("suffix", [".ply", ".stl", ".glb"])
def test_colors_of_vertices_or_grey_on_black(tmp_path: Path, cameras: Path, suffix: str) -> None:
    cube = moved_cube().mesh
    colors = (torch.arange(24).view(8, 3) * 10).to(torch.uint8)
    path = tmp_path / f"cube{suffix}"
    write_mesh(path, Mesh(cube.vertices, cube.faces, colors), UP)
    assert main(["render", str(path), "--cameras", str(cameras), "-o", str(tmp_path)]) == 0
    shown = Mesh(cube.vertices, cube.faces, None if suffix == ".stl" else colors)
    expected = render_mesh(shown, ring(3)[1], torch.zeros(3)).color
    assert float((picture(tmp_path / "b.png") - expected).abs().mean()) < 4e-3


def test_a_video_needs_no_cameras(tmp_path: Path) -> None:
    path = tmp_path / "cube.glb"
    write_textured(path, moved_cube(), UP)
    video = tmp_path / "turn.mp4"
    assert main(["render", str(path), "--video", str(video), "--frames", "3"]) == 0
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [frame.shape for frame in frames] == 3 * [(480, 640, 3)]
    for frame in frames:
        rows, columns = (frame.max(axis=-1) > 40).nonzero()
        assert 10 < rows.min() < rows.max() < 470, "all of it is in the picture"
        assert 0.04 < len(rows) / (480 * 640) < 0.5
        assert abs(columns.mean() - 320) < 60


def test_a_mesh_is_no_scene_and_a_broken_one_no_mesh(
    tmp_path: Path, cameras: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cube.glb"
    write_textured(path, moved_cube(), UP)
    assert main(["reconstruct", str(path), "-o", str(tmp_path / "run")]) == 2
    assert "cube.glb is a mesh: expected photos of one scene" in capsys.readouterr().err
    assert main(["render", str(path), "--video", str(tmp_path / "a.mp4"), "--path", "cameras"]) == 2
    assert "give a transforms.json as --cameras" in capsys.readouterr().err
    path.write_bytes(path.read_bytes()[:100])
    assert main(["render", str(path), "--cameras", str(cameras), "-o", str(tmp_path)]) == 2
    assert "cube.glb" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()
