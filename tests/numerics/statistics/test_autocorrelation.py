"""Autocorrelation is that of its definition, and its reach that of the process."""

from __future__ import annotations

import numpy as np
import pytest

from neuroling.numerics.statistics.autocorrelation import autocorrelation, autocorrelation_reach


def by_definition(runs, lag):
    distance = [run - run.mean(axis=0) for run in runs]
    pairs = [(d[: len(d) - lag], d[lag:]) for d in distance if len(d) > lag]
    covariance = sum((a * b).sum(axis=0) for a, b in pairs) / sum(len(a) for a, _ in pairs)
    return covariance / (sum((d**2).sum(axis=0) for d in distance) / sum(map(len, distance)))


def test_every_lag_is_that_of_the_definition():
    rng = np.random.default_rng(0)
    runs = [rng.standard_normal((n, 4)).cumsum(axis=0) for n in (30, 17, 5)]
    found = autocorrelation(runs, 20)
    np.testing.assert_allclose(found, [by_definition(runs, lag) for lag in range(21)], atol=1e-12)


def test_means_of_runs_do_not_count():
    rng = np.random.default_rng(0)
    runs = [rng.standard_normal((50, 2)) for _ in range(2)]
    np.testing.assert_allclose(autocorrelation([runs[0], runs[1] + 1e3], 5), autocorrelation(runs, 5), atol=1e-9)


def test_a_constant_series_has_none():
    found = autocorrelation([np.column_stack([np.ones(9), np.arange(9.0)])], 2)
    assert np.isnan(found[:, 0]).all()
    assert np.isfinite(found[:, 1]).all()


@pytest.mark.parametrize(("coefficient", "low", "high"), [(0.0, 0, 0), (0.5, 3, 9), (0.8, 9, 22)])
def test_the_reach_grows_with_the_memory_of_the_process(make_ar, coefficient, low, high):
    series = make_ar(800, 40, coefficient, np.random.default_rng(0))
    assert low <= autocorrelation_reach([series[:400], series[400:]], 100) <= high


def test_a_few_series_among_many_do_not_decide(make_ar):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((400, 98))
    assert autocorrelation_reach([np.hstack([noise, make_ar(400, 2, 0.9, rng)])], 100) == 0
    assert autocorrelation_reach([np.hstack([noise, make_ar(400, 20, 0.9, rng)])], 100) > 10


def test_a_trend_reaches_as_far_as_is_looked():
    assert autocorrelation_reach([np.arange(100.0)[:, np.newaxis]], 25) == 25


@pytest.mark.parametrize(("runs", "n_lags"), [([np.ones((5, 2))], 2), ([np.arange(4.0)[:, np.newaxis]], 0)])
def test_nothing_reaches_nowhere(runs, n_lags):
    assert autocorrelation_reach(runs, n_lags) == 0
