"""Correlations: right at an offset, undefined where they are undefined, silent."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroling.numerics.statistics import correlation as correlate

RNG = np.random.default_rng


def _two(shape=(5, 40), seed=0):
    rng = RNG(seed)
    a = rng.standard_normal(shape)
    return a, a + rng.standard_normal(shape)


def test_pearson_of_hand_worked_numbers():
    assert correlate.pearson(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])) == pytest.approx(0.5)


def test_r2_of_hand_worked_numbers():
    assert correlate.r2(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 5.0])) == pytest.approx(-1.0)


def test_ranks_share_the_mean_at_ties():
    assert correlate.ranks(np.array([3.0, 1.0, 3.0, 0.0])).tolist() == [3.5, 2.0, 3.5, 1.0]


@settings(deadline=None, max_examples=30)
@given(n=st.integers(3, 30), shift=st.floats(-1e3, 1e3), scale=st.floats(0.1, 100), seed=st.integers(0, 99))
def test_pearson_ignores_shift_and_scale(n, shift, scale, seed):
    a, b = _two((2, n), seed)
    np.testing.assert_allclose(correlate.pearson(shift + scale * a, b), correlate.pearson(a, b), atol=1e-9)


def test_spearman_ignores_any_rising_function():
    a, b = _two()
    np.testing.assert_allclose(correlate.spearman(np.exp(a), b), correlate.spearman(a, b), atol=1e-12)


@pytest.mark.parametrize("score", [correlate.pearson, correlate.cosine, correlate.r2, correlate.spearman])
def test_the_axis_is_where_it_is_said_to_be(score):
    a, b = _two()
    np.testing.assert_allclose(score(a.T, b.T, axis=0), score(a, b), atol=1e-14)


@pytest.mark.parametrize("score", [correlate.pearson, correlate.cosine, correlate.r2, correlate.spearman])
def test_one_row_broadcasts_against_many(score):
    a, b = _two()
    np.testing.assert_allclose(score(a, b[0]), [score(row, b[0]) for row in a], atol=1e-12)
    np.testing.assert_allclose(score(a[0], b), [score(a[0], row) for row in b], atol=1e-12)


@pytest.mark.parametrize("score", [correlate.pearson, correlate.r2, correlate.spearman])
def test_float32_at_a_bold_offset_scores_as_float64_does(score):
    a, b = ((1e4 + values).astype(np.float32) for values in _two((4, 300)))
    np.testing.assert_allclose(score(a, b), score(a.astype(np.float64), b.astype(np.float64)), atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("score", [correlate.pearson, correlate.r2, correlate.spearman])
def test_a_constant_row_has_no_score_and_warns_nobody(score, dtype):
    a, b = (values.astype(dtype) for values in _two((3, 7)))
    a[1] = 0.1
    np.testing.assert_array_equal(np.isnan(score(a, b)), [False, True, False])


def test_only_a_constant_truth_leaves_r2_undefined():
    a, b = _two((1, 7))
    assert np.isfinite(correlate.r2(a, np.full_like(b, 0.1)))


def test_a_zero_row_has_no_cosine():
    a, b = _two((3, 7))
    a[1] = 0
    np.testing.assert_array_equal(np.isnan(correlate.cosine(a, b)), [False, True, False])


def test_scores_are_float64_whatever_goes_in():
    a, b = _two()
    for score in (correlate.pearson, correlate.cosine, correlate.r2, correlate.spearman):
        assert score(a.astype(np.float32), b.astype(np.float32)).dtype == np.float64


def test_orders_in_one_product_equal_orders_one_by_one():
    x, Y = RNG(0).standard_normal(9), RNG(1).standard_normal((9, 4))
    orders = np.array([RNG(k).permutation(9) for k in range(5)])
    expected = [correlate.pearson(x[order][:, None], Y, axis=0) for order in orders]
    np.testing.assert_allclose(correlate.pearson_of_orders(x, Y, orders), expected, atol=1e-14)


def test_a_constant_target_has_no_score_under_any_order():
    Y = RNG(1).standard_normal((9, 2))
    Y[:, 1] = 0.1
    scores = correlate.pearson_of_orders(RNG(0).standard_normal(9), Y, np.arange(9)[None])
    np.testing.assert_array_equal(np.isnan(scores), [[False, True]])
