"""A mixture of Gaussians fitted to the latents of photographs, from which random z are sampled.

Ghosh et al. 2020 (From Variational to Deterministic Autoencoders, section 4) fit such a mixture
once, at the end; here it follows training. The KL divergence alone leaves the latents in clusters:
red apples here, yellow ones there. Samples of one Gaussian mostly lie between, and such objects are
dull mixtures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

KEPT = 4096  # newest codes of which a mixture is fitted; chosen: some minutes of a training
EVERY = 512  # codes from one fit to the next; chosen
ROUNDS = 10  # of k-means; chosen: it starts from the last means
# Codes' worth of the common covariance in that of each component: few codes do not make one;
# chosen, as many as z has numbers.
COMMON = 64
LEAST_SHARE = 1e-3  # of a component's weight, from its ends: 3.1 standard deviations


class LatentMixture(NamedTuple):
    """K normal distributions of codes z [Z].

    Attributes:
        weights: [K] how many of all codes are of each; their sum is 1.
        means: [K, Z] means.
        roots: [K, Z, Z] lower triangular roots of the covariances.
    """

    weights: Tensor
    means: Tensor
    roots: Tensor


@dataclass
class LatentBuffer:
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


def standard_mixture(count: int, z: int) -> LatentMixture:
    """One standard normal distribution, and `count` - 1 that nothing is of."""
    weights, roots = torch.zeros(count), torch.zeros(count, z, z)
    weights[0] = 1.0
    roots.diagonal(dim1=1, dim2=2).fill_(1.0)
    return LatentMixture(weights, torch.zeros(count, z), roots)


def fit_mixture(codes: Tensor, before: LatentMixture) -> LatentMixture:
    """A mixture of as many components as `before`, of codes [N, Z], by k-means in whitened space.

    Components stay where they were as far as the codes do, so that one z keeps its meaning.
    The order of the codes does not count. `before` again where codes are not finite, or all alike.
    """
    codes = codes.double()
    centre = codes.mean(dim=0)
    root, failed = torch.linalg.cholesky_ex(torch.cov(codes.T, correction=0))
    if int(failed) or not bool(root.isfinite().all()):
        return before
    even, start = (
        torch.linalg.solve_triangular(root, (x.double() - centre).T, upper=False).T
        for x in (codes, before.means)
    )
    if int((before.weights > 0).sum()) == 1:
        start = _along(even, codes - centre, len(start))
    of_component = _nearest(even, start)
    sizes = of_component.sum(dim=0)
    means = of_component.T @ codes / sizes.clamp_min(1)[:, None]
    means = torch.where(sizes[:, None] > 0, means, before.means.double())
    away = codes - of_component @ means
    common = away.T @ away / len(codes)
    own = torch.einsum("nk,ni,nj->kij", of_component, away, away)
    covariances = (own + COMMON * common) / (sizes + COMMON)[:, None, None]
    roots, failed = torch.linalg.cholesky_ex(covariances)
    if bool(failed.any()):
        return before
    return LatentMixture((sizes / len(codes)).float(), means.float(), roots.float())


def sample_latents(z: Tensor, mixture: LatentMixture) -> Tensor:
    """Normally distributed z [B, Z] to codes [B, Z] of the mixture.

    Inverse transform sampling (Devroye 1986, Non-Uniform Random Variate Generation, II.2) of the
    component by z's first number: its quantile u = Phi(z_0) falls into a component's interval of
    the cumulative weights, and where in it, again through the inverse of Phi, is the first number
    within the component. So a code is a function of z alone, of the same dimension, but one with
    jumps along z_0: what is between two z may be of a third component.
    """
    ends = mixture.weights.cumsum(0)
    place = torch.special.ndtr(z[:, 0]) * ends[-1]
    chosen = torch.searchsorted(ends, place).clamp_max(len(ends) - 1)
    share = mixture.weights[chosen].clamp_min(1e-12)
    within = ((place - (ends[chosen] - share)) / share).clamp(LEAST_SHARE, 1 - LEAST_SHARE)
    first = torch.special.ndtri(within)[:, None]
    inside = torch.cat([first, z[:, 1:]], dim=1)
    return mixture.means[chosen] + torch.einsum("bij,bj->bi", mixture.roots[chosen], inside)


def _along(even: Tensor, away: Tensor, count: int) -> Tensor:
    """[count, Z] means of as many equal slices of `even` [N, Z], across the direction in which
    `away` [N, Z] reaches farthest."""
    longest = torch.linalg.eigh(away.T @ away).eigenvectors[:, -1]
    slices = (away @ longest).argsort().tensor_split(count)
    return torch.stack([even[rows].mean(dim=0) for rows in slices])


def _nearest(even: Tensor, means: Tensor) -> Tensor:
    """[N, K] 1 where a row of `even` [N, Z] is of a kind, by k-means from `means` [K, Z]."""
    for _ in range(ROUNDS):
        component = torch.cdist(even, means).argmin(dim=1)
        of_component = F.one_hot(component, len(means)).to(even.dtype)
        sizes = of_component.sum(dim=0)[:, None]
        means = torch.where(sizes > 0, of_component.T @ even / sizes.clamp_min(1), means)
    return of_component
