"""Counts are learned as densities and predicted as counts."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge

from neuroling.encoding.count_maps import EqualMass


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    return rng.standard_normal((40, 3)), rng.poisson(2.0, (40, 5)) + 1.0


def test_the_mean_prediction_is_the_mean_count(problem):
    X, y = problem
    predicted = EqualMass(LinearRegression()).fit(X, y).predict(X)
    np.testing.assert_allclose(predicted.mean(axis=0), y.mean(axis=0))


def test_scaling_a_row_changes_the_prediction_only_by_offset_and_scale(problem):
    X, y = problem
    heavy = y.copy()
    heavy[0] *= 1000
    one, other = (EqualMass(Ridge()).fit(X, counts) for counts in (y, heavy))
    np.testing.assert_allclose(one.model_.coef_, other.model_.coef_)


def test_equal_masses_change_nothing(problem):
    X, y = problem
    y = y / y.sum(axis=1, keepdims=True) * 7
    np.testing.assert_allclose(EqualMass(Ridge()).fit(X, y).predict(X), Ridge().fit(X, y / 7).predict(X) * 7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: y[:, 0], r"y: got shape \(40,\); expected \(sample, target\)"),
        (lambda y: -y, r"y: 200 counts are negative"),
        (lambda y: y * (np.arange(40) != 3)[:, None], r"y: 1 rows have no counts, first \[3\]"),
    ],
)
def test_what_is_not_a_map_of_counts_is_refused(problem, change, message):
    X, y = problem
    with pytest.raises(ValueError, match=message):
        EqualMass(Ridge()).fit(X, change(y))
