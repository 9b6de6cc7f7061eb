"""`tondo export` of a normal map and ambient occlusion: what a viewer makes of the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_scene import write_transforms
from test_cli_export import CENTER, ball_scene, export

import tondo.scenes.texture
import tondo.texture.occlusion
from khronos import khronos_report
from tondo.io.models.glb import numbers, read_glb
from tondo.io.models.glb_mesh import glb_parts, glb_texture
from tondo.io.models.scene import save_scene
from tondo.mesh.render import sampled
from tondo.runs.run_directory import create_run
from tondo.scenes.to_mesh import cameras_around


def angles_to_the_ball(path: Path) -> tuple[float, float]:
    """Degrees (median) between the normals of the ball and those that a viewer shades with, without
    the normal map and with it, over places all over the faces."""
    glb = read_glb(path)
    (part,) = glb_parts(glb)
    texture = glb_texture(path, glb, [part])
    assert texture is not None
    assert texture.normals is not None
    assert texture.occlusion is not None
    tangents = numbers(glb, part.primitive["attributes"]["TANGENT"], (4,))
    assert part.normals is not None
    assert part.uvs is not None
    weights = np.random.default_rng(1).dirichlet([1, 1, 1], (len(part.faces), 20))
    point, normal, tangent, uv = (
        torch.from_numpy(np.einsum("fpk,fkx->fpx", weights, one[part.faces])).float().flatten(0, 1)
        for one in (part.positions, part.normals, tangents, part.uvs)
    )
    bitangent = tangent[:, 3:].sign() * torch.linalg.cross(normal, tangent[:, :3])
    x, y, z = (2 * sampled(texture.normals, uv) - 1).T[..., None]
    shaded = F.normalize(x * tangent[:, :3] + y * bitangent + z * normal, dim=1)
    true = F.normalize(point - torch.tensor(glb_centre(part.positions)).float(), dim=1)
    plain = F.normalize(normal, dim=1)
    without, with_map = ((one * true).sum(dim=1).clamp(-1, 1).arccos() for one in (plain, shaded))
    assert float(sampled(texture.occlusion[..., None], uv).mean()) > 0.9  # nothing is before a ball
    return float(without.median().rad2deg()), float(with_map.median().rad2deg())


def glb_centre(positions: np.ndarray) -> np.ndarray:
    """Of the ball: the best one, for its faces' corners are all on it."""
    system = np.concatenate([2 * positions, np.ones((len(positions), 1))], axis=1)
    return np.linalg.lstsq(system, (positions**2).sum(axis=1), rcond=None)[0][:3]


def test_the_maps_of_an_export_and_of_a_mesh_of_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tondo.scenes.texture, "AROUND", 6)
    monkeypatch.setattr(tondo.scenes.texture, "AROUND_SIZE", 60)
    monkeypatch.setattr(tondo.texture.occlusion, "DIRECTIONS", 32)
    run = create_run(tmp_path / "run", {"tondo": "0.1.0", "command": "reconstruct"})
    save_scene(run.scene_path, ball_scene())
    names = [f"images/{k}.png" for k in range(20)]
    write_transforms(run.cameras_path, cameras_around(CENTER, 1.5, 20, 80), names)
    words = ("--texture", "128", "--normal-map", "--ao", "--resolution", "32", "--smoothing", "1")
    first, second = tmp_path / "first.glb", tmp_path / "second.glb"
    assert export(run.path, "-o", first, "--faces", "60", *words) == 0
    assert export(run.path, "-o", second, "--mesh", first, *words) == 0
    for path in (first, second):
        without, with_map = angles_to_the_ball(path)
        assert with_map < 0.5 * without, (without, with_map)
        assert khronos_report(path)["issues"]["messages"] == []
