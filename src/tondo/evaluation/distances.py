"""How far two sets of pictures are apart, and how varied one is, over a pretrained network.

The measures work on pooled features [N, F]: one row for each picture. Their values depend on the
network, on the size at which it saw the pictures and on how many there were: name all three
beside a number, and compare it only with numbers made the same way (never with published ones,
which are over Inception).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tondo.checks import check_dtype, check_finite, check_shape
from tondo.evaluation.perceptual import perceptual_distances
from tondo.features.extractor import Extractor

# Networks trained on photographs of 224 pixels see little in one of 64: it is enlarged to this.
MEASURED_SIDE = 128
ROWS = 1024  # of a matrix of pairs in memory at a time: bounds memory


@dataclass(frozen=True)
class Statistics:
    """What the Fréchet distance needs to know of a set, so that it can be kept and used again.

    Attributes:
        mean: [F] float64.
        covariance: [F, F] float64, with N - 1 in the denominator.
        count: how many pictures.
    """

    mean: Tensor
    covariance: Tensor
    count: int


@dataclass(frozen=True)
class PrecisionRecall:
    """Shares of two sets inside each other, both 0..1.

    Attributes:
        precision: the share of generated pictures that look like real ones.
        recall: the share of real pictures that the generator can come close to.
    """

    precision: float
    recall: float


def pooled_features(
    images: Tensor, extractor: Extractor, batch: int = 64, side: int = MEASURED_SIDE
) -> Tensor:
    """One row of features for each picture: the coarsest map, averaged over its places.

    Only the last of the extractor's maps is used: for EfficientNet-Lite0 the 320 channels after
    block 15, which have no activation behind them and so are closer to a Gaussian than later ones.
    Pictures are first scaled (bilinear, antialiased) so that their shorter side is `side`.

    Args:
        images: [N, 3, H, W] uint8 sRGB, or float sRGB 0..1; may be memory-mapped, only `batch` of
            them are converted at a time. Alpha is the caller's to put on a background.
        extractor: the network.
        batch: pictures at a time.

    Returns:
        [N, F] float32.

    Raises:
        ValueError: another shape, no pictures, or `batch` or `side` below 1.
        TypeError: another dtype.
    """
    sizes = check_shape("images", images, "N 3 H W")
    check_dtype("images", images, torch.uint8, torch.float32, torch.float64)
    if min(sizes.values()) < 1 or batch < 1 or side < 1:
        raise ValueError(
            f"no pictures to measure: {list(images.shape)}, batch {batch}, side {side}"
        )
    rows = []
    with torch.no_grad():
        for part in images.split(batch):
            maps = extractor.features(_scaled(_unit(part), side))
            rows.append(maps[-1].float().mean(dim=(2, 3)))
    return torch.cat(rows)


def feature_statistics(features: Tensor) -> Statistics:
    """Mean and covariance of pooled features [N, F], N at least 2.

    Raises:
        ValueError: another shape, fewer than 2 rows, or values that are NaN or infinite.
    """
    values = _checked("features", features, least=2)
    mean = values.mean(dim=0)
    centred = values - mean
    return Statistics(mean, centred.T @ centred / (len(values) - 1), len(values))


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Fréchet distance between two sets of pooled features; 0 if mean and covariance agree.

    Heusel et al. 2017 (GANs Trained by a Two Time-Scale Update Rule, eq. 6), the Gaussians' closed
    form by Dowson and Landau 1982:

        |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)).

    It is biased upwards by small sets: about 2,000 pictures or more, and the same number each time.

    Args:
        a, b: [N, F] and [M, F], at least 2 rows each; computed in float64.

    Raises:
        ValueError: shapes, too few rows, NaN or infinite values.
    """
    return frechet_between(feature_statistics(a), feature_statistics(b))


def frechet_between(a: Statistics, b: Statistics) -> float:
    """`frechet_distance` where mean and covariance are known.

    The trace of the root of a product of two covariances is taken from symmetric matrices alone,
    tr((C_a C_b)^(1/2)) = tr((S C_b S)^(1/2)) with S = C_a^(1/2), so that the eigenvalues stay real.

    Raises:
        ValueError: another number of features.
    """
    check_shape("the second mean", b.mean, "F", {"F": len(a.mean)})
    values, vectors = torch.linalg.eigh(a.covariance)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    inner = root @ b.covariance @ root
    shared = torch.linalg.eigvalsh((inner + inner.T) / 2).clamp(min=0).sqrt().sum()
    spread = a.covariance.trace() + b.covariance.trace() - 2 * shared
    return max(0.0, float((a.mean - b.mean).square().sum() + spread))


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """Kernel distance: the unbiased squared maximum mean discrepancy of two sets of features.

    Bińkowski et al. 2018 (Demystifying MMD GANs, eq. 4 and section 4): with the kernel
    k(x, y) = (x.y / F + 1)^3,

        mean of k(a_i, a_j), i != j, + mean of k(b_i, b_j), i != j, - 2 mean of k(a_i, b_j).

    All pairs are used, not the means over subsets of the published code, which it equals in
    expectation. 0 on average for two samples of one distribution, so single values may be slightly
    negative. It is fair to small sets.

    Args:
        a, b: [N, F] and [M, F], at least 2 rows each; computed in float64.

    Raises:
        ValueError: shapes, too few rows, NaN or infinite values.
    """
    x = _checked("a", a, least=2)
    y = _checked("b", b, least=2)
    check_shape("b", y, "M F", {"F": x.shape[1]})
    within = sum(
        (_kernel_sum(z, z) - float(_kernel(z.square().sum(1), z.shape[1]).sum()))
        / (len(z) * (len(z) - 1))
        for z in (x, y)
    )
    return within - 2 * _kernel_sum(x, y) / (len(x) * len(y))


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> PrecisionRecall:
    """How much of each set lies within the other, by nearest neighbours.

    Kynkäänniemi et al. 2019 (Improved Precision and Recall, eqs. 1 and 2): a set covers the union
    of balls around its points, each as wide as the distance to its k-th nearest neighbour in the
    set; precision is the share of `fake` that `real` covers, recall the other way round.

    Args:
        real, fake: [N, F] and [M, F], more than `k` rows each; computed in float64.
        k: which neighbour, at least 1.

    Raises:
        ValueError: shapes, too few rows, `k` below 1, NaN or infinite values.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    x = _checked("real", real, least=k + 1)
    y = _checked("fake", fake, least=k + 1)
    check_shape("fake", y, "M F", {"F": x.shape[1]})
    middle = x.mean(dim=0)  # distances lose fewer digits around the middle
    x, y = x - middle, y - middle
    return PrecisionRecall(precision=_covered(y, x, k), recall=_covered(x, y, k))


def mean_pairwise_distance(
    images: Tensor,
    pairs: int,
    seed: int,
    extractor: Extractor | None = None,
    batch: int = 32,
) -> float:
    """Diversity: the mean perceptual distance of random pairs of different pictures; 0 if all are
    the same picture, and near 0 for a generator that has collapsed.

    Args:
        images: [N, 3, H, W] uint8 sRGB or float 0..1, N at least 2.
        pairs: how many pairs, drawn without repetition; all of them where there are fewer.
        seed: of the draw.
        extractor: a network, or None for EfficientNet-Lite0.
        batch: pairs at a time.

    Raises:
        ValueError: another shape, fewer than 2 pictures or 1 pair.
        TypeError: another dtype.
    """
    sizes = check_shape("images", images, "N 3 H W")
    check_dtype("images", images, torch.uint8, torch.float32, torch.float64)
    if sizes["N"] < 2 or pairs < 1 or batch < 1:
        raise ValueError(f"needs 2 pictures and 1 pair, got {sizes['N']} and {pairs}")
    first, second = _draw_pairs(sizes["N"], pairs, seed)
    total = 0.0
    for i, j in zip(first.split(batch), second.split(batch), strict=True):
        found = perceptual_distances(_unit(images[i]), _unit(images[j]), extractor)
        total += float(found.double().sum())
    return total / len(first)


def _draw_pairs(count: int, pairs: int, seed: int) -> tuple[Tensor, Tensor]:
    """Two index vectors, first < second, no pair twice."""
    generator = torch.Generator().manual_seed(seed)
    possible = count * (count - 1) // 2
    if pairs >= possible:
        first, second = torch.triu_indices(count, count, offset=1)
        return first, second
    found: set[tuple[int, int]] = set()
    while len(found) < pairs:
        for i, j in torch.randint(count, (pairs, 2), generator=generator).tolist():
            if i != j and len(found) < pairs:
                found.add((min(i, j), max(i, j)))
    first, second = torch.tensor(sorted(found)).unbind(1)
    return first, second


def _checked(name: str, features: Tensor, least: int) -> Tensor:
    """`features` as float64, shape [N, F] with at least `least` rows, all finite."""
    sizes = check_shape(name, features, "N F")
    if sizes["N"] < least or sizes["F"] < 1:
        raise ValueError(f"{name} must have at least {least} rows, got {list(features.shape)}")
    values = features.detach().double()
    check_finite(name, values)
    return values


def _kernel(products: Tensor, features: int) -> Tensor:
    return (products / features + 1) ** 3


def _kernel_sum(a: Tensor, b: Tensor) -> float:
    return sum(float(_kernel(part @ b.T, a.shape[1]).sum()) for part in a.split(ROWS))


def _covered(points: Tensor, by: Tensor, k: int) -> float:
    """The share of `points` within the balls around `by`."""
    # A point's own row has distance 0 up to rounding, so its k-th neighbour is the k+1-th smallest.
    squares = [
        _squared_distances(part, by).kthvalue(k + 1, dim=1).values for part in by.split(ROWS)
    ]
    # Equal points must count as covered though the two sums are rounded differently.
    slack = 1e-12 * float(torch.cat([points, by]).square().sum(1).max())
    radii = torch.cat(squares) + slack
    inside = [(_squared_distances(part, by) <= radii).any(1) for part in points.split(ROWS)]
    return float(torch.cat(inside).double().mean())


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    products = a @ b.T
    return (a.square().sum(1)[:, None] + b.square().sum(1) - 2 * products).clamp(min=0)


def _unit(images: Tensor) -> Tensor:
    return images.float() / 255.0 if images.dtype == torch.uint8 else images.float()


def _scaled(images: Tensor, side: int) -> Tensor:
    """[B, 3, H, W] with its shorter side of `side` pixels, clamped to 0..1."""
    height, width = images.shape[2:]
    ratio = side / min(height, width)
    size = [max(side, round(s * ratio)) for s in (height, width)]
    if size == [height, width]:
        return images
    return F.interpolate(images, size=size, mode="bilinear", antialias=True).clamp(0, 1)
