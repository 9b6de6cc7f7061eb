"""Texels that no picture shows, and those between charts."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.texture.texels import Texels, barycentric, centres, interpolated

# Texels at the edge of a chart are blended with so many around them, most of all with as many as
# are next to a texel (`levelled`): what is measured of seams is in docs/notes/texture.md.
_EDGE, _AROUND, _ALIKE = 1.5, 24, 12
_BORDER = 3.0  # texels; so near to its border a chart is what lies across a seam; chosen


def filled_from_nearest(points: Tensor, colors: Tensor, known: Tensor) -> Tensor:
    """Colours [T, X] of points [T, 3], those that are not known [T] bool taken from the nearest
    point that is; as they are where none is known."""
    if bool(known.all()) or not bool(known.any()):
        return colors
    tree = cKDTree(points[known].numpy())
    _, nearest = tree.query(points[~known].numpy(), workers=-1)
    out = colors.clone()
    out[~known] = colors[known][torch.from_numpy(nearest)]
    return out


def levelled(texels: Texels, values: Tensor, mesh: Mesh) -> Tensor:
    """Values [T, X] of texels with those at the edges of charts blended with what lies around them
    on the surface, on either side of the seam: means by exp(-(distance / h)^2), h the distance to
    the `_ALIKE`th nearest texel."""
    within = _within(texels)
    edge = (within <= _EDGE).nonzero()[:, 0]
    border = (within <= _BORDER).nonzero()[:, 0]
    if not len(edge) or len(border) < _AROUND:
        return values
    points = texels.interpolated(mesh.vertices, mesh.faces)
    away, found = cKDTree(points[border].numpy()).query(points[edge].numpy(), _AROUND, workers=-1)
    distances, index = torch.from_numpy(away).float(), border[torch.from_numpy(found)]
    a, b, c = mesh.vertices[mesh.faces].unbind(1)
    normals = F.normalize(torch.linalg.cross(b - a, c - a), dim=1)[texels.face]
    same_side = (normals[index] * normals[edge][:, None]).sum(dim=2) > 0
    scale = distances[:, _ALIKE - 1 : _ALIKE].clamp_min(1e-20)
    weights = torch.exp(-((distances / scale) ** 2)) * same_side
    out = values.clone()
    total = weights.sum(dim=1, keepdim=True)
    blended = (values[index] * weights[..., None]).sum(dim=1) / total.clamp_min(1e-20)
    out[edge] = torch.where(total > 0, blended, values[edge])  # a face without area has no normal
    return out


def _within(texels: Texels) -> Tensor:
    """[T] how many texels each is from the nearest one outside of its chart."""
    inside = np.zeros(texels.size**2, bool)
    inside[texels.index.numpy()] = True
    square = np.pad(inside.reshape(texels.size, texels.size), 1)
    away = distance_transform_edt(square)[1:-1, 1:-1].reshape(-1)
    return torch.from_numpy(away)[texels.index]


def picture_of(texels: Texels, values: Tensor, mesh: Mesh, uvs: Tensor, padding: int) -> Tensor:
    """[S, S, X] float32: values [T, X] at their texels; within `padding` texels of a chart what
    lies on the surface across the seam; farther away what mipmaps need.

    A texel beside a chart is a place on the face next to it, prolonged; it takes the value of the
    texel that is nearest to that place on the surface, usually one of another chart.
    """
    size = texels.size
    flat = torch.zeros(size * size, values.shape[1])
    flat[texels.index] = values
    inside = torch.zeros(size * size, dtype=torch.bool)
    inside[texels.index] = True
    away, nearest = distance_transform_edt(~inside.view(size, size).numpy(), return_indices=True)
    away, nearest = torch.from_numpy(away).flatten(), torch.from_numpy(nearest).flatten(1)
    around = ((away > 0) & (away <= padding)).nonzero()[:, 0]
    if len(around):
        owner = (nearest[0, around] * size + nearest[1, around]).long()
        row_of = torch.zeros(size * size, dtype=torch.int64)
        row_of[texels.index] = torch.arange(len(texels.index))
        face = texels.face[row_of[owner]]
        weights = barycentric(uvs, face, centres(around, size))
        places = interpolated(mesh.vertices, mesh.faces[face], weights)
        border = (_within(texels) <= padding + _BORDER).nonzero()[:, 0]
        of_border = Texels(size, texels.index[border], texels.face[border], texels.weights[border])
        tree = cKDTree(of_border.interpolated(mesh.vertices, mesh.faces).numpy())
        _, found = tree.query(places.numpy(), workers=-1)
        flat[around] = values[border[torch.from_numpy(found)]]
        inside[around] = True
    return _pushed(flat.view(size, size, -1), inside.view(size, size))


def _pushed(image: Tensor, known: Tensor) -> Tensor:
    """The image [S, S, X], unknown texels filled from the means of ever larger squares around them
    (pull-push; Gortler et al. 1996), which is what mipmaps take."""
    value = (image * known[..., None]).permute(2, 0, 1)[None]
    weight = known.float()[None, None]
    if min(image.shape[:2]) == 1 or bool(known.all()):
        return image
    half_weight = F.avg_pool2d(weight, 2, ceil_mode=True)
    half = F.avg_pool2d(value, 2, ceil_mode=True) / half_weight.clamp_min(1e-12)
    coarse = _pushed(half[0].permute(1, 2, 0), half_weight[0, 0] > 0).permute(2, 0, 1)[None]
    up = F.interpolate(coarse, size=image.shape[:2], mode="bilinear", align_corners=False)
    return torch.where(known[..., None], image, up[0].permute(1, 2, 0))
