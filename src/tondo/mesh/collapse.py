"""Edges collapsed to one of their ends, many at a time, on surfaces that are cut into charts.

Vertices stay where they are, so that whatever belongs to them (places in a texture, colours) stays
true; borders and the seams between charts become shorter along themselves only. A surface that was
a manifold stays one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix
from torch import Tensor

from tondo.mesh.manifold import Edges, edges_of, fans_of

_TURN = 0.3  # cosine; no face may turn by more at once; chosen
_NEEDLE = 0.01  # twice a face's area by its longest side squared; chosen
_SHORT = 1e-3  # how much an edge's length counts beside the error, which is 0 on a plane; chosen
_PLANE_OF_SEAM = 1.0  # weight of the planes that keep borders and seams in place; chosen
_CHEAPEST = 0.5  # share of the vertices that may go in one round; chosen
_PASSES = 4  # over these, to find as many as do not touch each other; chosen


@dataclass(frozen=True)
class Charted:
    """A surface in charts. A wedge is a vertex in one of them: vertices on seams have several.

    Attributes:
        points: [V, 3] float64, the vertices.
        owner: [W] int64, the vertex of each wedge.
        places: [W, 2] float64, where wedges are in the texture; None: there is none, and each
            vertex has one wedge.
        faces: [F, 3] int64, wedges.
        slack: [F, 3] float64, how far in the texture the edge from each corner to the next may be
            from the seam that it stands for.
    """

    points: np.ndarray
    owner: np.ndarray
    places: np.ndarray | None
    faces: np.ndarray
    slack: np.ndarray


@dataclass(frozen=True)
class _Links:
    """What is where on a surface in charts.

    Attributes:
        faces: [F, 3] vertices.
        a, b: [E] ends of the edges, a < b.
        wedges: [E, 2, 2], of one and of the other face at an edge, the wedges at a and b; -1 where
            there is one face only.
        halves: [E, 2] half-edges of the edges; -1 where there is one face only.
        seam: [E] bool: edges between charts, and borders.
        seams: [V] how many of these meet at each vertex.
        fixed: [V] bool: vertices that must stay.
    """

    faces: np.ndarray
    a: np.ndarray
    b: np.ndarray
    wedges: np.ndarray
    halves: np.ndarray
    seam: np.ndarray
    seams: np.ndarray
    fixed: np.ndarray


@dataclass(frozen=True)
class _Moves:
    """Collapses: of `vertex` [M] into `to` [M], along `edge` [M], at a `cost` [M]; `slack` [M] is
    how far the edge that is left may be from the seam that it stands for, and `other` [M] that
    edge, -1 where it is none."""

    vertex: np.ndarray
    to: np.ndarray
    edge: np.ndarray
    cost: np.ndarray
    slack: np.ndarray
    other: np.ndarray

    def __getitem__(self, rows: np.ndarray | slice) -> _Moves:
        parts = (self.vertex, self.to, self.edge, self.cost, self.slack, self.other)
        return _Moves(*(one[rows] for one in parts))


def collapsed(
    surface: Charted, faces: int, *, tolerance: float = 0.0, borders_only: bool = False
) -> Charted:
    """The surface with at most `faces` faces, or as few as can be.

    In rounds the cheapest collapses that do not touch each other are made at once. The cost is the
    quadric error (Garland & Heckbert 1997) with planes that hold borders and seams in place.

    Args:
        tolerance: how far a seam may move in the texture.
        borders_only: only vertices on borders and seams may go.
    """
    links = _linked(surface)
    fans = fans_of(links.faces, edges_of(links.faces).pairs)
    vertices, count = np.unique(_owner_of(fans, links.faces), return_counts=True)
    torn = np.zeros(len(surface.points), bool)
    torn[vertices[count > 1]] = True
    quadrics = _quadrics(surface, links)
    while len(surface.faces) > faces:
        links = _linked(surface)
        links = replace(links, fixed=links.fixed | torn)
        made = _round(surface, links, quadrics, len(surface.faces) - faces, tolerance, borders_only)
        if not len(made.vertex):
            break
        surface = _after(surface, links, made)
        np.add.at(quadrics, made.to, quadrics[made.vertex])
    return surface


def one_chart(vertices: Tensor, faces: Tensor) -> Charted:
    """Of a mesh without a texture."""
    count = len(vertices)
    return Charted(
        vertices.double().numpy(), np.arange(count), None, faces.numpy(), np.zeros((len(faces), 3))
    )


def _owner_of(fans: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The vertex of each fan."""
    _, first = np.unique(fans.ravel(), return_index=True)
    return faces.ravel()[first]


def _linked(surface: Charted) -> _Links:
    wedge_start, wedge_end = surface.faces.ravel(), np.roll(surface.faces, -1, axis=1).ravel()
    faces = surface.owner[surface.faces]
    edges: Edges = edges_of(faces)
    count = len(edges.first)
    halves = np.full((count, 2), -1)
    halves[:, 0] = edges.order[edges.first]
    two = edges.sizes >= 2
    halves[two, 1] = edges.order[edges.first[two] + 1]
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    a = np.minimum(start, end)[halves[:, 0]]
    b = np.maximum(start, end)[halves[:, 0]]
    wedges = np.full((count, 2, 2), -1)
    for side in (0, 1):
        half = halves[:, side]
        turned = start[half] > end[half]
        pair = np.stack([wedge_start[half], wedge_end[half]], axis=1)
        pair[turned] = pair[turned, ::-1]
        wedges[:, side] = np.where(half[:, None] >= 0, pair, -1)
    seam = (wedges[:, 0] != wedges[:, 1]).any(axis=1)
    against = start[halves[:, 0]] == end[halves[:, 1]]
    crowded = (edges.sizes > 2) | ((edges.sizes == 2) & ~against)
    vertices = len(surface.points)
    seams = np.bincount(a[seam], minlength=vertices) + np.bincount(b[seam], minlength=vertices)
    fixed = np.zeros(vertices, bool)
    fixed[a[crowded]] = fixed[b[crowded]] = True
    return _Links(faces, a, b, wedges, halves, seam, seams, fixed)


def _quadrics(surface: Charted, links: _Links) -> np.ndarray:
    """[V, 10] float64: the upper triangles of the sums of squared distances, weighted by area, to
    the planes of the faces around a vertex, and to planes that stand upon them on seams."""
    corners = surface.points[links.faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    double = np.linalg.norm(normal, axis=1, keepdims=True)
    unit = normal / np.maximum(double, 1e-30)
    out = np.zeros((len(surface.points), 10))
    of_faces = _plane(unit, corners[:, 0]) * double / 6
    for corner in range(3):
        np.add.at(out, links.faces[:, corner], of_faces)
    for side in (0, 1):
        edge = links.seam & (links.halves[:, side] >= 0)
        a, b = surface.points[links.a[edge]], surface.points[links.b[edge]]
        along = b - a
        square = (along**2).sum(axis=1, keepdims=True)
        upright = np.cross(along, unit[links.halves[edge, side] // 3])
        upright /= np.maximum(np.linalg.norm(upright, axis=1, keepdims=True), 1e-30)
        of_edges = _plane(upright, a) * square * _PLANE_OF_SEAM / 2
        np.add.at(out, links.a[edge], of_edges)
        np.add.at(out, links.b[edge], of_edges)
    return out


# A quadric's 10 numbers are the upper triangle of a symmetric matrix of 4 x 4.
_ROWS, _COLUMNS = np.triu_indices(4)
# What is beside the diagonal stands in the matrix twice.
_TWICE = np.where(_ROWS == _COLUMNS, 1.0, 2.0)


def _plane(unit: np.ndarray, point: np.ndarray) -> np.ndarray:
    plane = np.concatenate([unit, -(unit * point).sum(axis=1, keepdims=True)], axis=1)
    return plane[:, _ROWS] * plane[:, _COLUMNS]


def _error(quadric: np.ndarray, point: np.ndarray) -> np.ndarray:
    at = np.concatenate([point, np.ones((len(point), 1))], axis=1)
    return (quadric * at[:, _ROWS] * at[:, _COLUMNS] * _TWICE).sum(axis=1)


def _round(
    surface: Charted,
    links: _Links,
    quadrics: np.ndarray,
    surplus: int,
    tolerance: float,
    borders_only: bool,
) -> _Moves:
    """Collapses that can be made at once, and take about `surplus` faces at most."""
    moves = _candidates(surface, links, quadrics, tolerance)
    if borders_only:
        moves = moves[links.seams[moves.vertex] > 0]
    least = np.full(len(surface.points), np.inf)
    np.minimum.at(least, moves.vertex, moves.cost)
    finite = least[np.isfinite(least)]
    for share in (_CHEAPEST, 1.0):
        if not len(finite):
            break
        near = moves[moves.cost <= np.quantile(finite, share)]
        near = near[_keeps_topology(links, near, len(surface.points))]
        near = near[_keeps_shape(surface, links, near)]
        found = _apart(links, _best(near), len(surface.points))
        if len(found.vertex):
            takes = (links.halves[found.edge] >= 0).sum(axis=1)
            return found[: max(1, int((np.cumsum(takes) <= surplus).sum()))]
    return moves[:0]


def _candidates(surface: Charted, links: _Links, quadrics: np.ndarray, tolerance: float) -> _Moves:
    """Collapses along edges, where seams allow them."""
    edge = np.tile(np.arange(len(links.a)), 2)
    vertex, to = np.concatenate([links.a, links.b]), np.concatenate([links.b, links.a])
    free = links.seams[vertex] == 0
    along = (links.seams[vertex] == 2) & links.seam[edge]
    rows = np.flatnonzero(~links.fixed[vertex] & (free | along))
    edge, vertex, to = edge[rows], vertex[rows], to[rows]
    start, end = surface.points[vertex], surface.points[to]
    quadric = quadrics[vertex] + quadrics[to]
    length = ((end - start) ** 2).sum(axis=1)
    cost = _error(quadric, end) + _SHORT * length * quadric[:, [0, 4, 7]].sum(axis=1)
    slack, other = np.zeros(len(rows)), np.full(len(rows), -1)
    on_seam = np.flatnonzero(links.seam[edge])
    if len(on_seam):
        slack[on_seam], other[on_seam] = _moved_seam(surface, links, vertex[on_seam], edge[on_seam])
    moves = _Moves(vertex, to, edge, cost, slack, other)
    return moves if surface.places is None else moves[slack <= tolerance]


def _moved_seam(
    surface: Charted, links: _Links, vertex: np.ndarray, edge: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How far in the texture a seam moves if `vertex` goes along `edge`, beside how far it has
    moved already, and the seam's other edge there."""
    seams = np.flatnonzero(links.seam)
    ends = np.concatenate([links.a[seams], links.b[seams]])
    order = np.argsort(ends, kind="stable")
    first = np.searchsorted(ends[order], vertex)
    both = np.concatenate([seams, seams])[order][np.stack([first, first + 1], axis=1)]
    other = np.where(both[:, 0] == edge, both[:, 1], both[:, 0])
    if surface.places is None:
        return np.zeros(len(edge)), other
    old = np.maximum(_slack_of(surface, links, edge), _slack_of(surface, links, other))
    worst = np.zeros(len(edge))
    own, goal = _ends_from(links, vertex, edge)
    other_own, before = _ends_from(links, vertex, other)
    for side in (0, 1):
        for other_side in (0, 1):
            same = (own[:, side] == other_own[:, other_side]) & (own[:, side] >= 0)
            p, q, r = (
                surface.places[one] for one in (own[:, side], goal[:, side], before[:, other_side])
            )
            worst = np.where(same, np.maximum(worst, _from_segment(p, q, r)), worst)
    return old + worst, other


def _ends_from(
    links: _Links, vertex: np.ndarray, edge: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """[M, 2] the wedges at `vertex` and at the other end of `edge`, for its two faces."""
    pair = links.wedges[edge]
    at_a = (links.a[edge] == vertex)[:, None]
    return np.where(at_a, pair[..., 0], pair[..., 1]), np.where(at_a, pair[..., 1], pair[..., 0])


def _slack_of(surface: Charted, links: _Links, edge: np.ndarray) -> np.ndarray:
    flat, halves = surface.slack.ravel(), links.halves[edge]
    return np.maximum(flat[halves[:, 0]], np.where(halves[:, 1] >= 0, flat[halves[:, 1]], 0.0))


def _from_segment(point: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distances of points from segments, all [M, 2]."""
    along, off = b - a, point - a
    share = (along * off).sum(axis=1) / np.maximum((along**2).sum(axis=1), 1e-30)
    return np.asarray(np.linalg.norm(off - np.clip(share, 0, 1)[:, None] * along, axis=1))


def _keeps_topology(links: _Links, moves: _Moves, vertices: int) -> np.ndarray:
    """[M] bool: the two ends have no more neighbours in common than the edge has faces (link
    condition; Dey et al. 1999), and they are not all of a tetrahedron or a single triangle."""
    ones = np.ones(2 * len(links.a), np.int32)
    ends = (np.concatenate([links.a, links.b]), np.concatenate([links.b, links.a]))
    linked = csr_matrix((ones, ends), shape=(vertices, vertices))
    rows, row = np.unique(moves.vertex, return_inverse=True)
    if not len(rows):
        return np.zeros(0, bool)
    common = np.asarray((linked[rows] @ linked)[row.ravel(), moves.to]).ravel()
    sides = (links.halves[moves.edge] >= 0).sum(axis=1)
    degree = np.bincount(ends[0], minlength=vertices)
    last = (degree[moves.vertex] == sides + 1) & (degree[moves.to] == sides + 1)
    return np.asarray((common == sides) & ~last)


def _keeps_shape(surface: Charted, links: _Links, moves: _Moves) -> np.ndarray:
    """[M] bool: no face that is left turns over or becomes a needle, in space or in the texture."""
    corner_order = np.argsort(links.faces.ravel(), kind="stable")
    ends = np.searchsorted(links.faces.ravel()[corner_order], np.arange(len(surface.points) + 1))
    sizes = ends[moves.vertex + 1] - ends[moves.vertex]
    row = np.repeat(np.arange(len(sizes)), sizes)
    offset = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    half = corner_order[ends[moves.vertex][row] + offset]
    face = half // 3
    left = ~(links.faces[face] == moves.to[row][:, None]).any(axis=1)
    row, half, face = row[left], half[left], face[left]
    own, goal = _ends_from(links, moves.vertex, moves.edge)
    wedge = surface.faces.ravel()[half]
    target = np.where(wedge == own[row, 0], goal[row, 0], goal[row, 1])
    fits = (wedge == own[row, 0]) | (wedge == own[row, 1])
    after = surface.faces[face]
    after[np.arange(len(half)), half % 3] = target
    good = fits & _faces_keep(surface, surface.faces[face], after)
    if surface.places is not None:
        before_area = _signed_area(surface.places[surface.faces[face]])
        after_area = _signed_area(surface.places[after])
        good &= (before_area * after_area > 0) | (before_area == 0)
    bad = np.zeros(len(moves.vertex), bool)
    bad[row[~good]] = True
    return ~bad


def _faces_keep(surface: Charted, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """[M] bool: faces of wedges do not turn over nor become needles."""
    points, owner = surface.points, surface.owner
    a, b, c = points[owner[after]].transpose(1, 0, 2)
    new = np.cross(b - a, c - a)
    longest = np.max([((p - q) ** 2).sum(axis=1) for p, q in ((a, b), (b, c), (c, a))], axis=0)
    a, b, c = points[owner[before]].transpose(1, 0, 2)
    old = np.cross(b - a, c - a)
    new_area, old_area = np.linalg.norm(new, axis=1), np.linalg.norm(old, axis=1)
    turned = (new * old).sum(axis=1) < _TURN * new_area * old_area
    return np.asarray(~turned & (new_area > _NEEDLE * longest))


def _signed_area(corners: np.ndarray) -> np.ndarray:
    p, q = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return np.asarray(p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0])


def _best(moves: _Moves) -> _Moves:
    """The cheapest of each vertex, the cheapest of all first."""
    ordered = moves[np.lexsort((moves.to, moves.vertex, moves.cost))]
    _, first = np.unique(ordered.vertex, return_index=True)
    return ordered[np.sort(first)]


def _apart(links: _Links, moves: _Moves, vertices: int) -> _Moves:
    """Moves, the cheapest first, that are not in each other's way: no vertex that goes is a
    neighbour of one that goes or that another goes to."""
    a, b = np.concatenate([links.a, links.b]), np.concatenate([links.b, links.a])
    nobody = len(moves.vertex)
    rows, chosen = np.arange(nobody), np.zeros(nobody, bool)
    gone, reached = np.zeros(vertices, bool), np.zeros(vertices, bool)
    for _ in range(_PASSES):
        going, coming = np.full(vertices, nobody), np.full(vertices, nobody)
        going[moves.vertex[rows]] = rows
        np.minimum.at(coming, moves.to[rows], rows)
        around_going, around_coming = going.copy(), coming.copy()
        np.minimum.at(around_going, a, going[b])
        np.minimum.at(around_coming, a, coming[b])
        vertex, to = moves.vertex[rows], moves.to[rows]
        first = np.minimum(around_going[vertex], around_going[to])
        won = rows[np.minimum(first, around_coming[vertex]) >= rows]
        chosen[won] = gone[moves.vertex[won]] = reached[moves.to[won]] = True
        near_gone, near_reached = gone.copy(), reached.copy()
        near_gone[a[gone[b]]] = near_reached[a[reached[b]]] = True
        rows = rows[~(near_gone[vertex] | near_gone[to] | near_reached[vertex])]
        if not len(rows):
            break
    return moves[chosen]


def _after(surface: Charted, links: _Links, moves: _Moves) -> Charted:
    """The surface when the moves are made."""
    wedge = np.arange(len(surface.owner))
    own, goal = _ends_from(links, moves.vertex, moves.edge)
    for side in (1, 0):
        known = own[:, side] >= 0
        wedge[own[known, side]] = goal[known, side]
    slack = surface.slack.copy().ravel()
    on_seam = moves.other >= 0
    for side in (0, 1):
        half = links.halves[moves.other[on_seam], side]
        slack[half[half >= 0]] = moves.slack[on_seam][half >= 0]
    faces = wedge[surface.faces]
    of = surface.owner[faces]
    kept = (of[:, 0] != of[:, 1]) & (of[:, 1] != of[:, 2]) & (of[:, 2] != of[:, 0])
    return replace(surface, faces=faces[kept], slack=slack.reshape(-1, 3)[kept])
