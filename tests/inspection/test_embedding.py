"""Projections of points with known answers, and their rotation onto each other."""

import numpy as np
import pytest

from lab.errors import InputError
from lab.inspection.embedding import align, project
from tests.snapshots import check, flat

RNG = np.random.default_rng(0)


def test_pca_finds_the_plane_the_points_lie_in() -> None:
    plane = RNG.normal(size=(50, 2)) * [3.0, 1.0]
    axes = np.linalg.qr(RNG.normal(size=(7, 2)))[0]
    points = project((plane @ axes.T + 5).astype(np.float32))
    original = plane - plane.mean(0)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    wanted = np.linalg.norm(original[:, None] - original[None], axis=2)
    assert distances / distances.max() == pytest.approx(wanted / wanted.max(), abs=1e-4)
    assert np.abs(points).max() == pytest.approx(1)


def test_one_dimension_is_padded_and_equal_points_stay_together() -> None:
    assert project(np.arange(5.0)[:, None])[:, 1].tolist() == [0] * 5
    assert project(np.ones((4, 3))).tolist() == [[0, 0]] * 4


def test_tsne_keeps_clusters_apart_and_is_deterministic() -> None:
    features = np.concatenate([RNG.normal(size=(20, 8)), RNG.normal(size=(20, 8)) + 30]).astype(np.float32)
    points = project(features, method="tsne")
    near = np.linalg.norm(points[:20] - points[:20].mean(0), axis=1).max()
    assert np.linalg.norm(points[:20].mean(0) - points[20:].mean(0)) > 2 * near
    assert np.array_equal(points, project(features, method="tsne"))


def test_a_rotated_and_mirrored_map_is_aligned_again() -> None:
    points = RNG.normal(size=(30, 2))
    points -= points.mean(0)
    turn = np.array([[np.cos(2), -np.sin(2)], [np.sin(2), np.cos(2)]]) @ np.diag([1, -1])
    assert align(points @ turn, points) == pytest.approx(points, abs=1e-9)


@pytest.mark.parametrize(
    ("features", "method", "message"),
    [
        (np.zeros((2, 3)), "pca", "There are 2 images"),
        (np.full((9, 3), np.nan), "pca", "not finite"),
        (np.zeros((9, 3)), "umap", "must be one of: pca, tsne"),
    ],
)
def test_features_that_cannot_be_projected_and_unknown_methods_are_refused(
    features: np.ndarray, method: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        project(features, method=method)


@pytest.mark.parametrize("images", [3, 4, 10, 30])
def test_tsne_accepts_as_few_images_as_a_map_can_have(images: int) -> None:
    """scikit-learn refuses a perplexity that is not below the number of images; 30 is our own."""
    points = project(np.random.default_rng(1).normal(size=(images, 6)).astype(np.float32), method="tsne")
    assert points.shape == (images, 2)
    assert np.isfinite(points).all()
    assert np.abs(points).max() == pytest.approx(1)


def test_a_map_is_centred_before_it_is_rotated() -> None:
    reference = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 1.0], [0.0, 3.0]])
    quarter = np.array([[0.0, 1.0], [-1.0, 0.0]])
    found = align(reference @ quarter + [30.0, -20.0], reference + 7.0)
    np.testing.assert_allclose(found, reference - reference.mean(axis=0), atol=1e-9)


def test_the_projection_of_six_points_is_as_recorded() -> None:
    features = np.array(
        [[0, 0, 0, 1], [4, 0, 0, 1], [0, 2, 0, 1], [4, 2, 1, 1], [8, 1, 0, 1], [8, 3, 0, 1]], np.float32
    )
    points = project(features)
    turned = align(points[:, ::-1] * [-1, 1] + 3, points)
    level = project(np.ones((4, 3), np.float32))
    assert np.allclose(turned, points - points.mean(axis=0))
    check("tiny/plane.txt", flat({"points": points.round(6).tolist(), "level": level.tolist()}))
