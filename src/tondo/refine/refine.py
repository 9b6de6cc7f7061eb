"""A mesh moved to where the photographs' own patches agree, as multi-view stereo does.

Each vertex tries places along its normal (`kernels.mesh.patch_scores`); from what photographs are
sure of, a smooth field of displacements is made. What was tried and measured is in
docs/notes/surface.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from tondo.data.mesh import Mesh
from tondo.geometry.fair import fair_field, neighbour_mean
from tondo.geometry.mesh import vertex_normals
from tondo.kernels.mesh.patch_scores import patch_scores
from tondo.kernels.mesh.patch_scores_torch import PatchPhotos, PatchPoints, PatchRule
from tondo.refine.views import Shown, halved, packed, shown
from tondo.runs.watch import SILENT, Watch
from tondo.texture.bake import Picture

FEWEST = 3  # photographs, of all and of a vertex; of two, a highlight is half of it; chosen
# How often photographs are halved, hypotheses, and the step between them in pixels: coarse to fine.
ROUNDS = ((1, 9, 1.0), (0, 9, 0.7), (0, 9, 0.5))
# Measured on the demo object: all pairs beat the better half (correlation with the true distance
# 0.57 against 0.48), and patches of 7 samples round off more than they know better.
RULE = PatchRule(side=5, noise=3.0, keep=1.0)
SPREAD = 2  # times that scores are averaged over neighbours; 6 were no better
# Per squared pixel: how much a place loses by its distance from the smooth field, more each time.
COUPLING = (0.03, 0.045, 0.067, 0.1)
LEAST_AGREEMENT = 0.3  # correlation; of chance patches of 25 samples few reach it; chosen
STIFF, STAY = 10.0, 0.01  # of `fair_field`; 1 and 100 are worse
SHARP = 0.1  # pixels; what bends more is an edge, and is not evened out; 0.3 is no better


def refined(mesh: Mesh, pictures: Sequence[Picture], watch: Watch = SILENT) -> Mesh:
    """The mesh with its vertices moved along their normals to where the pictures agree best.

    It stays where it is if the pictures agree no better afterwards, or are fewer than 3.

    Args:
        mesh: in the frame of the pictures' cameras.

    Returns:
        A mesh with the normals of its faces' mean at its vertices, if anything changed.
    """
    if len(pictures) < FEWEST or not len(mesh.faces):
        return mesh
    seen = shown(mesh, vertex_normals(mesh.vertices, mesh.faces), pictures)
    moved = _moved(mesh, pictures, seen, watch)
    before, after = (agreement(one, pictures, seen) for one in (mesh, moved))
    if after > before:
        return replace(moved, normals=vertex_normals(moved.vertices, moved.faces))
    watch.note("the mesh is not moved by the photographs: their patches agree no better then")
    return mesh


def agreement(mesh: Mesh, pictures: Sequence[Picture], seen: Shown) -> float:
    """The mean correlation, -1..1, of pictures around the vertices that at least 3 show; 0 if there
    are none."""
    known = (seen.views >= 0).sum(dim=1) >= FEWEST
    scores = _scores(mesh, packed(pictures), seen, seen.footprint, 1, 0.0)
    return float(scores[known, 0].double().mean()) if bool(known.any()) else 0.0


def _moved(mesh: Mesh, pictures: Sequence[Picture], seen: Shown, watch: Watch) -> Mesh:
    mean = neighbour_mean(mesh.faces, len(mesh.vertices))
    for halvings, hypotheses, step in watch.over(ROUNDS, "refining by the photographs"):
        photos = list(pictures)
        for _ in range(halvings):
            photos = [halved(one) for one in photos]
        pixel = seen.footprint * 2**halvings
        scores = _scores(mesh, packed(photos), seen, pixel, hypotheses, step)
        normals = vertex_normals(mesh.vertices, mesh.faces)
        around = torch.from_numpy(mean @ mesh.vertices.numpy())
        bend = ((around - mesh.vertices) * normals).sum(dim=1) / pixel
        field = displacements(mean, scores, bend / (1 + (bend / SHARP).square()), step)
        limit = 0.5 * step * hypotheses
        far = (field.clamp(-limit, limit) * pixel)[:, None] * normals
        mesh = replace(mesh, vertices=mesh.vertices + far)
    return mesh


def _scores(
    mesh: Mesh, photos: PatchPhotos, seen: Shown, pixel: Tensor, hypotheses: int, step: float
) -> Tensor:
    normals = vertex_normals(mesh.vertices, mesh.faces)
    at = PatchPoints(mesh.vertices, normals, pixel, pixel * step, seen.views)
    scores = patch_scores(at, photos, RULE, hypotheses)
    return scores * ((seen.views >= 0).sum(dim=1, keepdim=True) >= FEWEST)


def displacements(mean: csr_matrix, scores: Tensor, bend: Tensor, step: float) -> Tensor:
    """[V] float32, pixels: a smooth field near the peaks of the scores.

    Peaks are chosen with a price on their distance from the field, and the field is made from the
    peaks, in turns while the price rises (Steinbrücker et al. 2009).

    Args:
        scores: [V, H] of hypotheses `step` pixels apart, at least 3.
        bend: [V] pixels, as in `fair_field`.
    """
    known = scores.numpy()
    for _ in range(SPREAD):
        known = mean @ known
    scores = torch.from_numpy(known)
    count = scores.shape[1]
    places = (torch.arange(count) - 0.5 * (count - 1)) * step
    field = torch.zeros(len(scores))
    for price in COUPLING:
        near = scores - price * (places - field[:, None]).square()
        top = near.argmax(dim=1)
        middle = top.clamp(1, count - 2)
        a, b, c = (scores.gather(1, middle[:, None] + k)[:, 0] for k in (-1, 0, 1))
        curve = 2 * b - a - c
        sure = (top == middle) & (curve > 1e-6)  # of a peak, not a side of one or a plain
        shift = (0.5 * (c - a) / curve.clamp_min(1e-6)).clamp(-0.5, 0.5)
        trust = sure * (curve / step**2) * (b - LEAST_AGREEMENT).clamp_min(0)
        wanted = torch.where(sure, places[middle] + step * shift, 0.0)
        field = fair_field(mean, bend, wanted, trust, stiff=STIFF, stay=STAY)
    return field
