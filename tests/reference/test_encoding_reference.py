"""Kernel and banded ridge against himalaya, an implementation with other arithmetic."""

import numpy as np
import pytest
from himalaya.backend import set_backend
from himalaya.kernel_ridge import KernelRidgeCV as HimalayaKernelRidgeCV
from himalaya.kernel_ridge import solve_multiple_kernel_ridge_random_search
from sklearn.model_selection import KFold

from neuroling.encoding import BandedRidgeCV, DirichletSearch, KernelRidgeCV

pytestmark = pytest.mark.usefixtures("product_library")

RNG = np.random.default_rng
ALPHAS = np.logspace(-2, 3, 6)
FOLDS = KFold(5)


@pytest.fixture(autouse=True)
def _numpy():
    set_backend("numpy")


def _data(n=50, p=12, q=30):
    rng = RNG(0)
    X = rng.standard_normal((n, p))
    X -= X.mean(0)
    Y = X[:, :4] @ rng.standard_normal((4, q)) + rng.standard_normal((n, q))
    return X, Y - Y.mean(0)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"kernel": "rbf", "gamma": 0.1}, {"kernel": "rbf", "kernel_params": {"gamma": 0.1}}),
        (
            {"kernel": "polynomial", "gamma": 0.1, "degree": 2, "constant": 1.0},
            {"kernel": "poly", "kernel_params": {"gamma": 0.1, "degree": 2, "coef0": 1.0}},
        ),
    ],
    ids=["rbf", "polynomial"],
)
def test_kernels_choose_and_predict_as_himalaya_does(ours, theirs):
    X, Y = _data()
    model = KernelRidgeCV(ALPHAS, folds=FOLDS, **ours).fit(X, Y)
    peer = HimalayaKernelRidgeCV(ALPHAS, cv=FOLDS, fit_intercept=True, warn=False, **theirs).fit(X, Y)
    np.testing.assert_allclose(model.alpha_, peer.best_alphas_, rtol=1e-9)  # the peer's went through a logarithm
    np.testing.assert_allclose(model.predict(X), peer.predict(X), atol=1e-8)


def test_weightings_score_as_in_himalayas_random_search():
    X, Y = _data()
    search = DirichletSearch(6)
    bands = {"a": slice(0, 4), "b": slice(4, 12)}
    model = BandedRidgeCV(bands, ALPHAS, search=search, folds=FOLDS).fit(X, Y)
    grams = np.array([X[:, part] @ X[:, part].T for part in bands.values()])
    _, _, scores, _ = solve_multiple_kernel_ridge_random_search(
        grams,
        Y,
        n_iter=search.weightings(2),
        alphas=ALPHAS,
        cv=FOLDS,
        fit_intercept=True,
        return_weights="dual",
        progress_bar=False,
    )
    baseline = np.mean([((Y[test] - Y[train].mean(0)) ** 2).mean(0) for train, test in FOLDS.split(X)], axis=0)
    np.testing.assert_allclose((model.cv_scores_ - 1) * baseline, scores, rtol=1e-6)
