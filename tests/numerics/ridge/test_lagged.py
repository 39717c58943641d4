"""Moments of lagged rows: those of the matrix that is never built."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuroling.numerics.ridge.lagged import centred, held_out_correlation, lay_out, moments, penalised_weights

pytestmark = pytest.mark.usefixtures("product_library")

CPU = torch.device("cpu")


def plain(X, runs, first, last):
    """Lagged rows and marks written out, (sample, lag, feature + 1), the longest lag first."""
    lags = range(last, first - 1, -1)
    rows = np.zeros((len(X), len(lags), X.shape[1] + 1))
    for run in runs:
        for place, row in enumerate(run):
            for number, lag in enumerate(lags):
                if 0 <= place - lag < len(run):
                    rows[row, number] = [*X[run[place - lag]], 1.0]
    return rows


def made(seed, n=40, cut=17):
    rng = np.random.default_rng(seed)
    runs = [np.arange(cut), np.arange(cut, n)]
    return rng.standard_normal((n, 2)) + 1, rng.standard_normal((n, 3)), runs, rng


LAGS = st.tuples(st.integers(-4, 6), st.integers(0, 5)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(seed=st.integers(0, 1000), lags=LAGS)
def test_lagged_rows_are_those_written_out(seed, lags):
    X, _, runs, _ = made(seed)
    lagged, rows = lay_out(X, runs, lags, CPU), plain(X, runs, *lags)
    np.testing.assert_array_equal(lagged.rows(lagged.starts), rows.reshape(len(X), -1))
    np.testing.assert_array_equal(lagged.complete, rows[:, :, -1].all(axis=1))


@given(seed=st.integers(0, 1000), lags=LAGS, size=st.integers(1, 40))
def test_moments_of_any_rows_are_those_of_the_matrix(seed, lags, size):
    X, Y, runs, rng = made(seed)
    rows = np.sort(rng.permutation(len(X))[:size])
    found = moments(lay_out(X, runs, lags, CPU), torch.from_numpy(Y), rows)
    matrix = plain(X, runs, *lags).reshape(len(X), -1)[rows]
    np.testing.assert_allclose(found.gram, matrix.T @ matrix, atol=1e-11)
    np.testing.assert_allclose(found.cross, matrix.T @ Y[rows], atol=1e-11)
    np.testing.assert_allclose(found.x_sum, X[rows].sum(axis=0), atol=1e-12)


@given(seed=st.integers(0, 1000), lags=LAGS)
def test_counting_from_a_mean_equals_doing_so_before_lagging(seed, lags):
    X, Y, runs, rng = made(seed)
    x_mean, y_mean = rng.standard_normal(2), rng.standard_normal(3)
    every = np.arange(len(X))
    found = centred(
        moments(lay_out(X, runs, lags, CPU), torch.from_numpy(Y), every),
        torch.from_numpy(x_mean),
        torch.from_numpy(y_mean),
    )
    rows = plain(X - x_mean, runs, *lags)[:, :, :-1].reshape(len(X), -1)
    np.testing.assert_allclose(found.gram, rows.T @ rows, atol=1e-10)
    np.testing.assert_allclose(found.cross, rows.T @ (Y - y_mean), atol=1e-10)
    np.testing.assert_allclose(found.y_squares, ((Y - y_mean) ** 2).sum(axis=0))


def test_sets_of_rows_can_be_taken_from_one_another():
    X, Y, runs, _ = made(0)
    lagged, targets = lay_out(X, runs, (0, 3), CPU), torch.from_numpy(Y)
    whole, part, rest = (
        moments(lagged, targets, rows) for rows in (np.arange(40), np.arange(9, 25), np.r_[0:9, 25:40])
    )
    for ours, theirs in zip(whole.without(part), rest, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-11)


def test_chunks_do_not_change_the_sums(monkeypatch):
    X, Y, runs, _ = made(0)
    lagged, targets = lay_out(X, runs, (-1, 3), CPU), torch.from_numpy(Y)
    whole = moments(lagged, targets, np.arange(40))
    monkeypatch.setattr("neuroling.numerics.ridge.lagged.CHUNK_VALUES", 7 * lagged.width)
    np.testing.assert_allclose(moments(lagged, targets, np.arange(40)).gram, whole.gram, atol=1e-12)


def test_correlations_follow_from_moments():
    X, Y, runs, _ = made(0)
    lagged, targets = lay_out(X, runs, (0, 3), CPU), torch.from_numpy(Y)
    train, test = np.arange(17), np.arange(20, 40)
    training = moments(lagged, targets, train)
    means = training.x_sum / 17, training.y_sum / 17
    weights = penalised_weights(centred(training, *means), 2.0)
    found = held_out_correlation(weights, centred(moments(lagged, targets, test), *means))
    rows = plain(X - means[0].numpy(), runs, 0, 3)[:, :, :-1].reshape(40, -1)
    predicted = rows[test] @ weights.numpy()
    expected = [np.corrcoef(predicted[:, c], Y[test, c])[0, 1] for c in range(3)]
    np.testing.assert_allclose(found, expected)


def test_a_constant_prediction_has_no_correlation():
    X, Y, runs, _ = made(0)
    sums = moments(lay_out(X, runs, (0, 2), CPU), torch.from_numpy(Y), np.arange(40))
    side = centred(sums, torch.zeros(2, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
    assert torch.isnan(held_out_correlation(torch.zeros_like(side.cross), side)).all()


def test_singular_moments_are_told():
    X, Y, runs, _ = made(0)
    double = np.hstack([X, X]) * 1e6
    sums = moments(lay_out(double, runs, (0, 2), CPU), torch.from_numpy(Y), np.arange(40))
    side = centred(sums, torch.zeros(4, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
    assert penalised_weights(side, 1e-30) is None


@pytest.mark.parametrize("lags", [(0, 0), (5, 5), (-3, -1)], ids=str)
def test_single_and_far_lags_work(lags):
    X, Y, runs, _ = made(0)
    found = moments(lay_out(X, runs, lags, CPU), torch.from_numpy(Y), np.arange(40)).gram
    matrix = plain(X, runs, *lags).reshape(40, -1)
    np.testing.assert_allclose(found, matrix.T @ matrix, atol=1e-11)
