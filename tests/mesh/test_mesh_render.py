"""Pictures of meshes against a plain definition in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import trimesh
from torch import Tensor

from tondo.data.cameras import Camera
from tondo.data.mesh import Mesh
from tondo.data.textured import Texture, TexturedMesh
from tondo.geometry.cameras import scaled
from tondo.geometry.look_at import look_at
from tondo.mesh import render
from tondo.mesh.render import render_mesh, surface_samples

BLACK, WHITE = torch.zeros(3), torch.ones(3)


def tilted_camera(width: int = 61, height: int = 43) -> Camera:
    """Off-centre, with f_x != f_y, looking at the origin from the side and above."""
    K = torch.tensor([[70.0, 0, 27.3], [0, 76.0, 24.8], [0, 0, 1]])
    eye = torch.tensor([0.9, -1.3, 0.8])
    return scaled(
        Camera(look_at(eye, torch.zeros(3), torch.tensor([0.2, 0.1, 1.0])), K, 61, 43),
        width,
        height,
    )


def quad(side: int = 16) -> TexturedMesh:
    """The square -0.5..0.5 in the plane z = 0 with a random texture, u along x, v along -y."""
    vertices = torch.tensor([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0.5, 0.5, 0], [-0.5, 0.5, 0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    at = torch.stack([vertices[:, 0] + 0.5, 0.5 - vertices[:, 1]], dim=1)
    generator = torch.Generator().manual_seed(3)
    color = torch.randint(0, 256, (side, side + 5, 3), generator=generator, dtype=torch.uint8)
    return TexturedMesh(Mesh(vertices, faces), at[faces], Texture(color))


def rays(camera: Camera, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """The eye [3] and the directions [H, W, N * N, 3] of all samples, with a step of 1 along the
    camera's z axis; float64."""
    viewmat, K = camera.viewmat.double().numpy(), camera.K.double().numpy()
    found = np.empty((camera.height, camera.width, samples * samples, 3))
    for i in range(camera.height):
        for j in range(camera.width):
            for k in range(samples * samples):
                x = j + (k % samples + 0.5) / samples
                y = i + (k // samples + 0.5) / samples
                found[i, j, k] = np.linalg.inv(K) @ [x, y, 1]
    return -viewmat[:3, :3].T @ viewmat[:3, 3], found @ viewmat[:3, :3]


def looked_up(image: Tensor, u: float, v: float) -> np.ndarray:
    """Bilinear, of a picture of bytes at (u, v) in 0..1."""
    height, width = image.shape[:2]
    x, y = min(max(u * width - 0.5, 0), width - 1), min(max(v * height - 0.5, 0), height - 1)
    j, i = min(int(x), width - 2), min(int(y), height - 2)
    four = image[i : i + 2, j : j + 2].double().numpy() / 255
    row = four[0] * (1 - (y - i)) + four[1] * (y - i)
    return np.asarray(row[0] * (1 - (x - j)) + row[1] * (x - j))


@pytest.mark.parametrize("samples", [1, 2])
def test_a_textured_quad_is_what_rays_see_of_its_plane(samples: int) -> None:
    model, camera = quad(), tilted_camera()
    view = render_mesh(model, camera, WHITE, samples=samples, with_normals=True)
    eye, directions = rays(camera, samples)
    t = -eye[2] / directions[..., 2]
    places = eye + t[..., None] * directions
    inside = (t > 0) & (np.abs(places[..., :2]) < 0.5).all(axis=-1)
    assert 0.1 < inside.mean() < 0.9
    expected = np.ones((*inside.shape, 3))
    for index in zip(*inside.nonzero(), strict=True):
        x, y, _ = places[index]
        expected[index] = looked_up(model.texture.color, x + 0.5, 0.5 - y)
    assert np.abs(view.alpha.numpy() - inside.mean(axis=-1)).max() < 1e-6
    off = np.abs(view.color.numpy() - expected.mean(axis=2))
    assert off.max() < 2e-4
    depth = (t * inside).sum(axis=-1) / inside.sum(axis=-1).clip(1)
    assert np.abs(view.depth.numpy() - depth).max() < 1e-5
    assert view.normals is not None
    up = view.normals[view.alpha > 0]
    assert torch.allclose(up, torch.tensor([0.0, 0.0, 1.0]).expand_as(up), atol=1e-6)
    assert not view.normals[view.alpha == 0].any()


def ball(center: Tensor, radius: float = 1.0) -> Mesh:
    shape = trimesh.creation.icosphere(3, radius)
    vertices = torch.from_numpy(np.array(shape.vertices, np.float32)) + center
    return Mesh(vertices, torch.from_numpy(np.array(shape.faces, np.int64)))


@pytest.mark.parametrize("distance", [2.5, 400.0])
def test_weights_sum_to_one_and_name_the_place_that_the_ray_meets(distance: float) -> None:
    center = torch.tensor([3.0, -2.0, 1.0])
    mesh = ball(center)
    eye = center + distance * torch.nn.functional.normalize(torch.tensor([1.0, 2.0, 0.5]), dim=0)
    focal = 24 * distance
    K = torch.tensor([[focal, 0, 41.0], [0, 1.1 * focal, 20.0], [0, 0, 1]])
    camera = Camera(look_at(eye, center, torch.tensor([0.0, 0.0, 1.0])), K, 71, 47)
    found = surface_samples(mesh, camera, 2)
    covered = found.face >= 0
    assert 0.2 < float(covered.float().mean()) < 1
    weights, face = found.weights[covered], found.face[covered]
    assert float(weights.min()) >= 0
    assert torch.allclose(weights.sum(dim=1), torch.ones(()), atol=1e-6)
    assert not found.weights[~covered].any()
    places = (mesh.vertices[mesh.faces[face]].double() * weights.double()[..., None]).sum(dim=1)
    viewmat, K64 = camera.viewmat.double(), camera.K.double()
    local = places @ viewmat[:3, :3].T + viewmat[:3, 3]
    pixels = (local @ K64.T)[:, :2] / local[:, 2:]
    i, j, k = covered.nonzero().unbind(1)
    expected = torch.stack([j + (k % 2 + 0.5) / 2, i + (k // 2 + 0.5) / 2], dim=1)
    # 32-bit vertices stand for a share of the distance, which counts for pixels where it is long
    assert float((pixels - expected).abs().max()) < (2e-4 if distance < 10 else 2e-2)
    assert torch.allclose(local[:, 2].float(), found.depth[covered], rtol=1e-4)


def test_pictures_in_bands_are_pictures_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model, camera = quad(), tilted_camera()
    whole = render_mesh(model, camera, BLACK, with_normals=True)
    monkeypatch.setattr(render, "_AT_ONCE", 4 * camera.width * 7)
    parts = render_mesh(model, camera, BLACK, with_normals=True)
    for name in ("color", "depth", "alpha", "normals"):
        a, b = getattr(whole, name), getattr(parts, name)
        assert a.shape == b.shape
        share = ((a - b).abs() > 1e-4).float().mean()
        assert float(share) < 1e-3, "but for samples on the very border"


def test_colors_at_vertices_and_none() -> None:
    mesh, camera = quad().mesh, tilted_camera()
    colors = ((mesh.vertices + 0.5) * 255).round().to(torch.uint8)
    colored = Mesh(mesh.vertices, mesh.faces, colors)
    view = render_mesh(colored, camera, BLACK)
    whole = view.alpha == 1
    eye, directions = rays(camera, 2)
    places = eye + (-eye[2] / directions[..., 2])[..., None] * directions
    expected = torch.from_numpy(places.mean(axis=2) + 0.5)
    assert float((view.color - expected)[whole][:, :2].abs().max()) < 3e-3
    grey = render_mesh(mesh, camera, BLACK)
    assert torch.allclose(grey.color[whole], torch.tensor(render.GREY))
    assert not grey.color[grey.alpha == 0].any()


def test_a_fine_texture_far_away_is_seen_as_its_mean() -> None:
    board = (torch.arange(512)[:, None] + torch.arange(512)) % 2 * 255
    model = quad()
    texture = Texture(board[..., None].expand(-1, -1, 3).to(torch.uint8).contiguous())
    far = TexturedMesh(model.mesh, model.uvs, texture)
    view = render_mesh(far, tilted_camera(), BLACK)
    inner = view.color[view.alpha == 1]
    assert len(inner) > 100
    assert float((inner - 0.5).abs().max()) < 0.02


def test_a_face_seen_from_the_edge_does_no_harm() -> None:
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0.0], [math.pi, 1, 0]])
    mesh = Mesh(vertices, torch.tensor([[0, 1, 2], [0, 2, 3], [2, 4, 3]]))
    for tilt in (0.0, 1e-7, 1e-4):
        eye = torch.tensor([0.5, -4.0, tilt])
        viewmat = look_at(eye, torch.tensor([0.5, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0]))
        K = torch.tensor([[90.0, 0, 31.5], [0, 90.0, 20.5], [0, 0, 1]])
        view = render_mesh(mesh, Camera(viewmat, K, 63, 41), BLACK, with_normals=True)
        assert bool(view.color.isfinite().all())
