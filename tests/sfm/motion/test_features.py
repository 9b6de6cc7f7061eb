"""SIFT features and the choice of pairs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tondo.sfm.motion.features import Features, choose_pairs, count_similar, extract_features


def blobs(width: int = 210, height: int = 150) -> tuple[np.ndarray, np.ndarray]:
    """A grey picture with round dots, and their centres [D, 2] (pixel centres at +0.5)."""
    centers = np.array([[40, 30], [100, 55], [160, 40], [60, 110], [150, 105]]) + 0.5
    y, x = np.mgrid[:height, :width] + 0.5
    picture = np.full((height, width), 60.0)
    for cx, cy in centers:
        picture += 150 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 5.0**2))
    return np.clip(picture, 0, 255).astype(np.uint8), centers


@pytest.mark.parametrize("shrink", [1.0, 0.5])
def test_keypoints_lie_on_the_dots_in_pixels_of_the_full_photo(shrink: float) -> None:
    picture, centers = blobs()
    found = extract_features(picture, max_size=round(210 * shrink), max_features=50)
    for center in centers:
        distance = np.linalg.norm(found.keypoints[:, :2] - center, axis=1)
        assert distance.min() < 0.15, f"no feature at {center}"
    on_dots = found.keypoints[
        np.linalg.norm(found.keypoints[:, None, :2] - centers, axis=2).min(axis=1) < 0.15
    ]
    # A Gaussian dot of deviation s answers to scale s.
    assert on_dots[:, 2] == pytest.approx(5.0, rel=0.3)


def test_descriptors_are_roots_of_length_512() -> None:
    picture, _ = blobs()
    descriptors = extract_features(picture, max_size=210, max_features=50).descriptors
    assert descriptors.dtype == np.uint8
    lengths = np.linalg.norm(descriptors.astype(float), axis=1)
    assert lengths == pytest.approx(512, rel=0.05)


def test_masked_parts_and_flat_pictures_have_no_features() -> None:
    picture, _ = blobs()
    mask = np.zeros_like(picture)
    mask[:, :80] = 255
    found = extract_features(picture, max_size=210, max_features=50, mask=mask)
    assert found.count > 0
    assert (found.keypoints[:, 0] <= 81).all()
    flat = extract_features(np.full((40, 60), 90, np.uint8), max_size=60, max_features=50)
    assert flat.count == 0
    assert flat.keypoints.shape == (0, 4)
    assert flat.descriptors.shape == (0, 128)


def test_at_most_so_many_features_the_strongest_first() -> None:
    rng = np.random.default_rng(3)
    noise = cv2.GaussianBlur(rng.integers(0, 256, (120, 170), np.uint8), None, 1.2)
    everything = extract_features(noise, max_size=170, max_features=5000)
    some = extract_features(noise, max_size=170, max_features=40)
    assert everything.count > 100
    assert some.count == 40
    # One place may have two orientations of equal strength, in either order.
    assert some.keypoints[:, :2] == pytest.approx(everything.keypoints[:40, :2], abs=1e-3)


def made_up(descriptors: np.ndarray) -> Features:
    keypoints = np.zeros((len(descriptors), 4), np.float32)
    keypoints[:, 2] = np.arange(len(descriptors), 0, -1)
    return Features(keypoints, descriptors)


def random_descriptors(rng: np.random.Generator, count: int) -> np.ndarray:
    values = rng.random((count, 128)) ** 4
    return np.rint(512 * np.sqrt(values / values.sum(axis=1, keepdims=True))).astype(np.uint8)


def test_similarity_counts_what_two_photos_share() -> None:
    rng = np.random.default_rng(0)
    common, first, second = (random_descriptors(rng, n) for n in (37, 60, 45))
    photos = [made_up(np.concatenate([common, first])), made_up(np.concatenate([second, common]))]
    photos.append(made_up(np.zeros((0, 128), np.uint8)))
    counts = count_similar(photos)
    assert 35 <= counts[0, 1] <= 39
    assert np.array_equal(counts, counts.T)
    assert counts[2].sum() == 0


def test_few_photos_are_all_paired() -> None:
    photos = [made_up(random_descriptors(np.random.default_rng(i), 5)) for i in range(7)]
    assert len(choose_pairs(photos, in_order=False)) == 7 * 6 // 2


@pytest.mark.parametrize(("in_order", "reach"), [(True, 6), (False, 2)])
def test_many_photos_are_paired_with_the_next_and_the_similar(in_order: bool, reach: int) -> None:
    rng = np.random.default_rng(1)
    places = [random_descriptors(rng, 30) for _ in range(3)]
    # Place 0, 1, 2, 0, 1, 2, ...: those that look alike are far apart in order.
    photos = [made_up(places[i % 3]) for i in range(45)]
    pairs = choose_pairs(photos, in_order=in_order, neighbours=5)
    assert pairs == sorted(set(pairs))
    assert all(i < j for i, j in pairs)
    assert {(i, j) for i in range(45) for j in range(i + 1, min(45, i + reach + 1))} <= set(pairs)
    loops = [(i, j) for i, j in pairs if j - i > reach]
    assert len(loops) > 40
    assert all((j - i) % 3 == 0 for i, j in loops)
    assert len(pairs) < 45 * (reach + 5)
