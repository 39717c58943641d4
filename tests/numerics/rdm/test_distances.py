"""Distances against hand-worked numbers, scipy, and slow loops over folds and pairs."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from neuroling.numerics.rdm import distances as distance

PLAIN = {
    "euclidean": distance.euclidean,
    "sqeuclidean": distance.squared_euclidean,
    "correlation": distance.correlation,
    "cosine": distance.cosine,
}


def slow_crossnobis(folds, precision):
    n_folds, n_items, n_channels = folds.shape
    return np.array(
        [
            np.mean(
                [
                    (folds[f, i] - folds[f, j]) @ precision @ (folds[g, i] - folds[g, j])
                    for f, g in permutations(range(n_folds), 2)
                ]
            )
            / n_channels
            for i, j in combinations(range(n_items), 2)
        ]
    )


@pytest.mark.parametrize("name", PLAIN)
def test_plain_distances_equal_scipy(name):
    x = np.random.default_rng(0).standard_normal((3, 12, 9))
    expected = np.stack([pdist(patterns, name) for patterns in x])
    np.testing.assert_allclose(PLAIN[name](x), expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 700, 70), (5,), (2, 1)], ids=str)
def test_times_come_first_and_nothing_else_changes(shape):
    x = np.random.default_rng(12).standard_normal((*shape, 7))[..., 1:]
    got = distance.times_first(x)
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(got, np.moveaxis(x, -1, 0))


def test_crossnobis_by_hand():
    # differences (-3, -4) and (-1, 0): inner product 3, over two channels
    folds = np.array([[[0.0, 0.0], [3.0, 4.0]], [[0.0, 0.0], [1.0, 0.0]]])
    assert distance.crossnobis(folds).tolist() == [1.5]


@pytest.mark.parametrize("n_folds", [2, 3, 6])
def test_crossnobis_equals_a_loop_over_pairs_of_folds(n_folds):
    rng = np.random.default_rng(1)
    folds = rng.standard_normal((n_folds, 7, 5))
    root = rng.standard_normal((5, 5))
    np.testing.assert_allclose(distance.crossnobis(folds, root @ root.T), slow_crossnobis(folds, root @ root.T))


def test_one_precision_for_each_fold_equals_one_for_all_when_they_agree():
    rng = np.random.default_rng(2)
    folds, root = rng.standard_normal((4, 6, 5)), rng.standard_normal((5, 5))
    precision = root @ root.T
    np.testing.assert_allclose(
        distance.crossnobis(folds, np.stack([precision] * 4)), distance.crossnobis(folds, precision)
    )


def test_crossnobis_keeps_negative_values():
    folds = np.random.default_rng(3).standard_normal((2, 30, 8))
    assert (distance.crossnobis(folds) < 0).mean() > 0.3


def test_a_nan_makes_the_pairs_of_its_item_nan_and_changes_no_other():
    x = np.random.default_rng(4).standard_normal((2, 6, 5))
    broken = x.copy()
    broken[1, 3, 2] = np.nan
    first, second = distance.pairs_of(6)
    touched = (first == 3) | (second == 3)
    for measure in PLAIN.values():
        got = measure(broken)
        assert np.isnan(got[1, touched]).all()
        np.testing.assert_allclose(got[0], measure(x)[0])
        np.testing.assert_allclose(got[1, ~touched], measure(x)[1, ~touched])


def test_a_nan_in_a_fold_stays_with_its_item():
    x = np.random.default_rng(5).standard_normal((3, 6, 5))
    broken = x.copy()
    broken[0, 0, 0] = np.nan
    got = distance.crossnobis(broken)
    assert np.isnan(got[:5]).all()
    np.testing.assert_allclose(got[5:], distance.crossnobis(x)[5:])


def test_crossvalidated_correlation_finds_the_true_one():
    rng = np.random.default_rng(6)
    truth = rng.standard_normal((8, 400))
    folds = truth + rng.standard_normal((6, 8, 400))
    np.testing.assert_allclose(distance.crossvalidated_correlation(folds), pdist(truth, "correlation"), atol=0.12)
    assert np.mean(distance.correlation(folds.mean(0)) - pdist(truth, "correlation")) < 0.3


def test_crossvalidated_correlation_stays_finite_on_noise():
    folds = np.random.default_rng(7).standard_normal((4, 20, 10))
    assert np.isfinite(distance.crossvalidated_correlation(folds)).all()


@pytest.mark.parametrize("window", [1, 3, 11])
def test_sliding_correlation_equals_window_by_window(window):
    x = np.random.default_rng(8).standard_normal((10, 4, 80)) + 3
    expected = [pdist(x[:, :, t : t + window].reshape(10, -1), "correlation") for t in range(81 - window)]
    np.testing.assert_allclose(np.concatenate(list(distance.sliding_correlation(x, window, 7))), expected, atol=1e-10)


def test_panels_of_items_leave_no_seam(monkeypatch):
    x = np.random.default_rng(13).standard_normal((11, 4, 9))
    whole = np.concatenate(list(distance.sliding_correlation(x, 3)))
    monkeypatch.setattr(distance, "PANEL", 4)
    np.testing.assert_allclose(np.concatenate(list(distance.sliding_correlation(x, 3))), whole, atol=1e-12)


def test_float32_stays_float32():
    x = np.random.default_rng(9).standard_normal((3, 6, 5)).astype(np.float32)
    assert {measure(x).dtype for measure in (*PLAIN.values(), distance.crossnobis)} == {np.dtype(np.float32)}


def test_euclidean_survives_a_large_offset():
    x = np.random.default_rng(10).standard_normal((6, 5))
    np.testing.assert_allclose(distance.euclidean(x + 1e6), pdist(x), rtol=1e-8)


def test_square_and_condensed_are_inverse():
    x = np.random.default_rng(11).random((2, 15))
    square = distance.to_square(x)
    np.testing.assert_array_equal(square[0], squareform(x[0]))
    np.testing.assert_array_equal(distance.condense(square), x)


def test_a_wrong_number_of_pairs_is_named():
    with pytest.raises(ValueError, match="7 values are not the pairs"):
        distance.n_items_of(7)


def test_one_fold_cannot_be_crossed():
    with pytest.raises(ValueError, match="at least two"):
        distance.crossnobis(np.zeros((1, 3, 2)))
