"""FitOnce fits the first data once and everything else as usual."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold, KFold

from neuroling import RidgeCV
from neuroling.core.protocols import Split
from neuroling.evaluation.shared_fit import FitOnce


class Counting(LinearRegression):
    n_fits = 0

    def fit(self, X, y):
        Counting.n_fits += 1
        return super().fit(X, y)


@pytest.fixture
def problem():
    Counting.n_fits = 0
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 3)), rng.standard_normal((20, 2))
    return X, y, [Split(*pair) for pair in KFold(4).split(X)]


def test_the_same_data_are_fitted_once(problem):
    model = FitOnce(Counting())
    first, again = (list(model.held_out(*problem)) for _ in range(2))
    assert Counting.n_fits == 4
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_data_are_fitted_anew(problem):
    X, y, splits = problem
    model = FitOnce(Counting())
    list(model.held_out(X, y, splits))
    other = list(model.held_out(X, y[::-1], splits))
    expected = Counting().fit(X[splits[0].train], y[::-1][splits[0].train]).predict(X[splits[0].test])
    np.testing.assert_allclose(other[0], expected)


def test_predictions_equal_plain_refits(problem):
    X, y, splits = problem
    for split, found in zip(splits, FitOnce(LinearRegression()).held_out(X, y, splits), strict=True):
        np.testing.assert_allclose(found, LinearRegression().fit(X[split.train], y[split.train]).predict(X[split.test]))


def test_it_refuses_to_predict_new_rows(problem):
    with pytest.raises(TypeError, match=r"FitOnce keeps held-out predictions only"):
        FitOnce(LinearRegression()).predict(problem[0])


def test_groups_reach_the_fit(problem):
    X, y, splits = problem
    groups = np.repeat(np.arange(5), 4)
    model = RidgeCV((1.0, 100.0), folds=GroupKFold(2), device="cpu")
    found = list(FitOnce(model).held_out(X, y, splits, groups))
    train, test = splits[0]
    expected = clone(model).fit(X[train], y[train], groups=groups[train]).predict(X[test])
    np.testing.assert_allclose(found[0], expected)


def test_other_groups_are_fitted_anew(problem):
    model = FitOnce(Counting())
    for groups in (None, np.repeat([0, 1], 10), np.tile([0, 1], 10)):
        list(model.held_out(*problem, groups))
    assert Counting.n_fits == 12
