"""How the codes of photographs lie: in several kinds, each of them normally distributed.

Random z are drawn as these codes lie (Ghosh et al. 2020, From Variational to Deterministic
Autoencoders, section 4, fits a mixture of normal distributions once, at the end). What costs nats
alone leaves codes in clusters: red apples here, yellow ones there. Even z, or z of one normal
distribution about all of them, mostly lie between, and such objects are dull mixtures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

KEPT = 4096  # codes, the newest
EVERY = 512  # codes from one fit to the next
ROUNDS = 10  # of k-means
# Codes' worth of what all kinds have on average in the covariance of each: few do not make one.
COMMON = 64
LEAST_SHARE = 1e-3  # from the end of a kind's share of all z, in shares: 3.1 standard deviations


class Kinds(NamedTuple):
    """K normal distributions of codes z [Z].

    Attributes:
        shares: [K] how many of all codes are of each; their sum is 1.
        centres: [K, Z] means.
        spreads: [K, Z, Z] lower triangular roots of the covariances.
    """

    shares: Tensor
    centres: Tensor
    spreads: Tensor


@dataclass
class Lately:
    """The newest codes, in a ring.

    Attributes:
        codes: [KEPT, Z]. count: of all codes so far.
    """

    codes: Tensor
    count: int = 0

    def add(self, codes: Tensor) -> bool:
        """Whether it is time for a fit, after these codes [B, Z], in whatever order they come."""
        places = (self.count + torch.arange(len(codes))) % len(self.codes)
        self.codes[places] = codes[codes[:, 0].argsort()]
        before, self.count = self.count, self.count + len(codes)
        return self.count // EVERY > before // EVERY

    @property
    def all(self) -> Tensor:
        """[up to KEPT, Z]."""
        return self.codes[: self.count]


def first_kinds(count: int, z: int) -> Kinds:
    """One standard normal distribution, and `count` - 1 that nothing is of."""
    shares, spreads = torch.zeros(count), torch.zeros(count, z, z)
    shares[0] = 1.0
    spreads.diagonal(dim1=1, dim2=2).fill_(1.0)
    return Kinds(shares, torch.zeros(count, z), spreads)


def fit_kinds(codes: Tensor, before: Kinds) -> Kinds:
    """As many kinds as `before`, of codes [N, Z], by k-means over what is alike in all directions.

    Kinds stay where they were as far as the codes do, so that one z goes on to mean much the same.
    The order of the codes does not count. `before` again where codes are not finite, or all alike.
    """
    codes = codes.double()
    centre = codes.mean(dim=0)
    root, failed = torch.linalg.cholesky_ex(torch.cov(codes.T, correction=0))
    if int(failed) or not bool(root.isfinite().all()):
        return before
    even, start = (
        torch.linalg.solve_triangular(root, (x.double() - centre).T, upper=False).T
        for x in (codes, before.centres)
    )
    if int((before.shares > 0).sum()) == 1:
        start = _along(even, codes - centre, len(start))
    of_kind = _nearest(even, start)
    sizes = of_kind.sum(dim=0)
    centres = of_kind.T @ codes / sizes.clamp_min(1)[:, None]
    centres = torch.where(sizes[:, None] > 0, centres, before.centres.double())
    away = codes - of_kind @ centres
    common = away.T @ away / len(codes)
    own = torch.einsum("nk,ni,nj->kij", of_kind, away, away)
    weight = COMMON if len(sizes) > 1 else 0
    covariances = (own + weight * common) / (sizes + weight)[:, None, None]
    spreads, failed = torch.linalg.cholesky_ex(covariances)
    if bool(failed.any()):
        return before
    return Kinds((sizes / len(codes)).float(), centres.float(), spreads.float())


def codes_of(z: Tensor, kinds: Kinds) -> Tensor:
    """Normally distributed z [B, Z] to codes [B, Z] that lie as the kinds do.

    The first number of z says which kind, by its place among all normally distributed numbers, and,
    by its place in that kind's share of them, the first number within it.
    """
    if len(kinds.shares) == 1:
        return kinds.centres[0] + z @ kinds.spreads[0].T
    ends = kinds.shares.cumsum(0)
    place = torch.special.ndtr(z[:, 0]) * ends[-1]
    chosen = torch.searchsorted(ends, place).clamp_max(len(ends) - 1)
    share = kinds.shares[chosen].clamp_min(1e-12)
    within = ((place - (ends[chosen] - share)) / share).clamp(LEAST_SHARE, 1 - LEAST_SHARE)
    first = torch.special.ndtri(within)[:, None]
    inside = torch.cat([first, z[:, 1:]], dim=1)
    return kinds.centres[chosen] + torch.einsum("bij,bj->bi", kinds.spreads[chosen], inside)


def _along(even: Tensor, away: Tensor, count: int) -> Tensor:
    """[count, Z] means of as many equal slices of `even` [N, Z], across the direction in which
    `away` [N, Z] reaches farthest."""
    longest = torch.linalg.eigh(away.T @ away).eigenvectors[:, -1]
    slices = (away @ longest).argsort().tensor_split(count)
    return torch.stack([even[rows].mean(dim=0) for rows in slices])


def _nearest(even: Tensor, centres: Tensor) -> Tensor:
    """[N, K] 1 where a row of `even` [N, Z] is of a kind, by k-means from `centres` [K, Z]."""
    for _ in range(ROUNDS):
        kind = torch.cdist(even, centres).argmin(dim=1)
        of_kind = F.one_hot(kind, len(centres)).to(even.dtype)
        sizes = of_kind.sum(dim=0)[:, None]
        centres = torch.where(sizes > 0, of_kind.T @ even / sizes.clamp_min(1), centres)
    return of_kind
