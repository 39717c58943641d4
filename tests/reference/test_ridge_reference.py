"""Ridge against scikit-learn and himalaya."""

import numpy as np
import pytest
from himalaya.backend import set_backend
from himalaya.kernel_ridge import KernelRidgeCV as HimalayaKernelRidgeCV
from himalaya.ridge import Ridge as HimalayaRidge
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.linear_model import RidgeCV as SklearnRidgeCV
from sklearn.model_selection import KFold, LeaveOneOut, LeavePOut

from neuroling.encoding import Ridge, RidgeCV

pytestmark = pytest.mark.usefixtures("product_library")

WORDS = 20


@pytest.fixture(params=[5, 60], ids=["fewer features than samples", "more features than samples"])
def data(request):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((WORDS, request.param)) + 3.0
    return X, rng.standard_normal((WORDS, 30)) + 100.0


def _relative(ours, theirs):
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


@pytest.mark.parametrize("alpha", [0.1, 1.0, 1e4])
def test_one_fit_equals_scikit_learn(data, alpha):
    X, Y = data
    ours, theirs = Ridge(alpha).fit(X, Y), SklearnRidge(alpha).fit(X, Y)
    assert _relative(ours.coef_, theirs.coef_) < 1e-10
    assert _relative(ours.intercept_, theirs.intercept_) < 1e-10


@pytest.mark.parametrize("alpha", [0.1, 1.0, 1e4])
def test_leave_two_out_equals_refitting_scikit_learn_with_its_intercept(data, alpha):
    X, Y = data
    splits = list(LeavePOut(2).split(X))
    for ours, (train, test) in zip(Ridge(alpha).held_out(X, Y, splits), splits, strict=True):
        theirs = SklearnRidge(alpha).fit(X[train], Y[train]).predict(X[test])
        assert _relative(ours, theirs) < 1e-10


def test_one_fit_equals_himalaya(data):
    set_backend("numpy")
    X, Y = data
    theirs = HimalayaRidge(alpha=2.0, fit_intercept=True, solver_params={"warn": False}).fit(X, Y)
    assert _relative(Ridge(2.0).fit(X, Y).predict(X), theirs.predict(X)) < 1e-10


def test_the_penalty_of_each_target_is_that_of_scikit_learn_by_leave_one_out():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((WORDS, 5))
    Y = X @ rng.standard_normal((5, 30)) * np.linspace(0, 2, 30) + rng.standard_normal((WORDS, 30))
    alphas = np.logspace(-2, 4, 13)
    ours = RidgeCV(alphas, folds=LeaveOneOut()).fit(X, Y)
    theirs = SklearnRidgeCV(alphas, alpha_per_target=True).fit(X, Y)
    np.testing.assert_allclose(ours.alpha_, theirs.alpha_)
    assert _relative(ours.coef_, theirs.coef_) < 1e-10


def test_the_penalty_of_each_target_is_that_of_himalaya_by_five_folds():
    set_backend("numpy")
    rng = np.random.default_rng(1)
    X = rng.standard_normal((40, 60))
    Y = X @ rng.standard_normal((60, 30)) * np.linspace(0, 0.3, 30) + rng.standard_normal((40, 30))
    alphas = np.logspace(-1, 5, 7)
    ours = RidgeCV(alphas, folds=KFold(5)).fit(X, Y)
    theirs = HimalayaKernelRidgeCV(alphas, kernel="linear", cv=KFold(5), fit_intercept=True).fit(X, Y)
    np.testing.assert_allclose(ours.alpha_, theirs.best_alphas_)
    assert _relative(ours.predict(X), theirs.predict(X)) < 1e-10
