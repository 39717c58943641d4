"""Leave-one-out penalties: held-out pairs without refits equal refitting, other splits are refitted."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import RidgeCV as SklearnRidgeCV
from sklearn.model_selection import KFold, LeavePOut

from neuroling.encoding import LeaveOneOutRidgeCV

pytestmark = pytest.mark.usefixtures("product_library")

RNG = np.random.default_rng
ALPHAS = (0.1, 1.0, 10.0, 100.0)
TOLERANCE = {np.float32: 1e-4, np.float64: 1e-9}


def _data(n=9, p=4, q=6, dtype=np.float64):
    rng = RNG(0)
    X = rng.standard_normal((n, p))
    return X, (X @ rng.standard_normal((p, q)) + rng.standard_normal((n, q)) + 2).astype(dtype)


def test_penalties_are_those_of_scikit_learns_leave_one_out():
    X, Y = _data(30)
    theirs = SklearnRidgeCV(ALPHAS, alpha_per_target=True).fit(X, Y)
    np.testing.assert_array_equal(LeaveOneOutRidgeCV(ALPHAS).fit(X, Y).alpha_, theirs.alpha_)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [3, 20])
@pytest.mark.parametrize("splitter", [LeavePOut(2), KFold(4)], ids=["pairs", "folds"])
def test_held_out_equals_refitting(splitter, p, dtype):
    X, Y = _data(p=p, dtype=dtype)
    model, splits = LeaveOneOutRidgeCV(ALPHAS), list(splitter.split(X))
    for (train, test), predicted in zip(splits, model.held_out(X, Y, splits), strict=True):
        slow = clone(model).fit(X[train], Y[train].astype(np.float64)).predict(X[test])
        np.testing.assert_allclose(predicted, slow, atol=TOLERANCE[dtype])
        assert predicted.dtype == dtype


def test_a_penalty_too_small_for_the_closed_form_is_refitted():
    X, Y = _data(p=12)
    model, splits = LeaveOneOutRidgeCV((1e-12, 1.0)), list(LeavePOut(2).split(X))[:3]
    for (train, test), predicted in zip(splits, model.held_out(X, Y, splits), strict=True):
        np.testing.assert_allclose(predicted, clone(model).fit(X[train], Y[train]).predict(X[test]), atol=1e-9)


def test_one_target_has_one_axis():
    X, Y = _data()
    predicted = next(LeaveOneOutRidgeCV(ALPHAS).held_out(X, Y[:, 0], list(LeavePOut(2).split(X))))
    assert predicted.shape == (2,)


def test_missing_values_are_refused():
    X, Y = _data()
    Y[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        next(LeaveOneOutRidgeCV(ALPHAS).held_out(X, Y, list(LeavePOut(2).split(X))))
