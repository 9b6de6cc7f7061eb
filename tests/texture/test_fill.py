"""Texels that no picture shows, and those between charts."""

from __future__ import annotations

import torch
import trimesh
from scipy.ndimage import label

from tondo.data.mesh import Mesh
from tondo.data.textured import Texture, TexturedMesh
from tondo.evaluation.seams import seam_steps
from tondo.texture.fill import filled_from_nearest, levelled, picture_of
from tondo.texture.texels import texels_of
from tondo.texture.unwrap import padding_of, unwrap


def test_the_nearest_known_point_lends_its_colour() -> None:
    points = torch.tensor([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [2.4, 0, 0]])
    colors = torch.tensor([[0.1, 0, 0], [0, 0, 0], [0, 0, 0.3], [0, 0, 0]])
    known = torch.tensor([True, False, True, False])
    found = filled_from_nearest(points, colors, known)
    assert found[3].tolist() == colors[2].tolist()
    assert found[1].tolist() in (colors[0].tolist(), colors[2].tolist())
    assert filled_from_nearest(points, colors, torch.zeros(4) > 0).equal(colors)


def test_seams_are_levelled_and_the_rest_stays() -> None:
    """Each chart of a ball is a little brighter than the one before."""
    model = trimesh.creation.icosphere(3)
    mesh = Mesh(torch.tensor(model.vertices).float(), torch.tensor(model.faces).long())
    size = 128
    uvs = unwrap(mesh, size).uvs
    texels = texels_of(uvs, size)
    inside = torch.zeros(size * size)
    inside[texels.index] = 1.0
    charts, count = label(inside.view(size, size).numpy())
    assert count > 2
    of_chart = torch.from_numpy(charts).flatten()[texels.index]
    bright = 0.3 + 0.05 * of_chart[:, None].float().expand(-1, 3)
    found = levelled(texels, bright, mesh)
    steps = []
    for values in (bright, found):
        image = picture_of(texels, values, mesh, uvs, padding_of(size))
        measured = seam_steps(TexturedMesh(mesh, uvs, Texture((image * 255).round().byte())))
        assert measured is not None
        steps.append(measured.across)
    assert steps[1] < 0.6 * steps[0]
    assert float((found == bright).all(dim=1).float().mean()) > 0.8
    even = torch.full_like(bright, 0.4)
    torch.testing.assert_close(levelled(texels, even, mesh), even)


def test_levelling_a_face_without_area_gives_colours_still() -> None:
    corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 1]])
    mesh = Mesh(corners, torch.tensor([[0, 1, 2], [3, 3, 3]]))
    uvs = torch.tensor([[[0.1, 0.1], [0.4, 0.1], [0.1, 0.4]], [[0.6, 0.6], [0.9, 0.6], [0.6, 0.9]]])
    texels = texels_of(uvs, 64)
    values = torch.full((len(texels.index), 3), 0.25)
    torch.testing.assert_close(levelled(texels, values, mesh), values)


def test_beside_a_chart_is_what_lies_across_its_seam() -> None:
    """Colours that are the places on a ball: bilinear samples at seams and mipmaps stay near it."""
    model = trimesh.creation.icosphere(3)
    mesh = Mesh(torch.tensor(model.vertices).float(), torch.tensor(model.faces).long())
    size = 256
    uvs = unwrap(mesh, size).uvs
    texels = texels_of(uvs, size)
    values = texels.interpolated(mesh.vertices, mesh.faces)
    image = picture_of(texels, values, mesh, uvs, padding_of(size))
    assert image.shape == (size, size, 3)
    assert torch.equal(image.view(-1, 3)[texels.index], values)
    # texels beside a chart are on the ball, neither zero nor means of far ones
    inside = torch.zeros(size * size, dtype=torch.bool)
    inside[texels.index] = True
    near = torch.nn.functional.max_pool2d(inside.float().view(1, 1, size, size), 3, 1, 1)[0, 0] > 0
    off = (image[near].norm(dim=1) - 1).abs()
    assert float(off.max()) < 0.02
    # corners sampled in the picture are the vertices
    at = (uvs * size - 0.5).clamp(0, size - 1.001)
    low = at.floor().long()
    x, y = (at - low)[..., :1], (at - low)[..., 1:]
    c, r = low.unbind(-1)
    top = image[r, c] * (1 - x) + image[r, c + 1] * x
    bottom = image[r + 1, c] * (1 - x) + image[r + 1, c + 1] * x
    found = top * (1 - y) + bottom * y
    assert float((found - mesh.vertices[mesh.faces]).norm(dim=-1).max()) < 0.06
    # and so do the means that mipmaps take, nowhere dark
    mip = torch.nn.functional.avg_pool2d(image.permute(2, 0, 1)[None], 8)[0]
    assert float(mip.norm(dim=0).min()) > 0.2
