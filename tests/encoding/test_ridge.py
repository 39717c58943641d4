"""Ridge estimators: scikit-learn's contract, held-out prediction equal to refitting, sentences for wrong input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold, LeavePOut
from sklearn.utils.estimator_checks import estimator_checks_generator

from neuroling.core.notices import CodedWarning
from neuroling.encoding import (
    BandedRidgeCV,
    DirichletSearch,
    KernelRidgeCV,
    LeaveOneOutRidgeCV,
    RandomFeatureRidgeCV,
    Ridge,
    RidgeCV,
)

RNG = np.random.default_rng
LINEAR = [Ridge(device="cpu"), RidgeCV(device="cpu"), RidgeCV(alpha_per_target=False, device="cpu")]
ESTIMATORS = [
    *LINEAR,
    KernelRidgeCV(device="cpu"),
    LeaveOneOutRidgeCV(device="cpu"),
    RandomFeatureRidgeCV(n_random=20, device="cpu"),
    BandedRidgeCV(search=DirichletSearch(3), device="cpu"),
]


def _data(n=20, p=4, q=3, seed=0):
    rng = RNG(seed)
    X = rng.standard_normal((n, p))
    return X, X @ rng.standard_normal((p, q)) + 0.5 * rng.standard_normal((n, q))


def _splits(splitter, X):
    return list(splitter.split(X))


def _refits(model, X, y, splits):
    return [clone(model).fit(X[train], y[train]).predict(X[test]) for train, test in splits]


# --- the contract -----------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:SCIPY_ARRAY_API is not set.*:sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(
    ("estimator", "check"), [pair for model in ESTIMATORS for pair in estimator_checks_generator(model)]
)
def test_scikit_learns_contract_is_kept(estimator, check):
    check(estimator)


@pytest.mark.parametrize("model", ESTIMATORS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_predictions_have_shape_and_dtype_of_the_targets(model, dtype):
    X, Y = _data()
    for y in (Y.astype(dtype), Y[:, 0].astype(dtype)):
        predicted = clone(model).fit(X, y).predict(X)
        assert (predicted.shape, predicted.dtype) == (y.shape, dtype)


@pytest.mark.parametrize(
    "model", [model for model in ESTIMATORS if not isinstance(model, (KernelRidgeCV, RandomFeatureRidgeCV))]
)
def test_weights_have_the_shapes_of_scikit_learns_ridge(model):
    X, Y = _data()
    fitted = clone(model).fit(X, Y)
    assert (fitted.coef_.shape, fitted.intercept_.shape, fitted.n_features_in_) == ((3, 4), (3,), 4)
    np.testing.assert_allclose(X @ fitted.coef_.T + fitted.intercept_, fitted.predict(X), atol=1e-12)
    assert clone(model).fit(X, Y[:, 0]).coef_.shape == (4,)


@pytest.mark.parametrize("model", [Ridge(device="cpu"), RidgeCV(device="cpu")])
def test_a_target_is_predicted_alike_whatever_stands_beside_it(model):
    X, Y = _data()
    assert model.independent_targets
    together, alone = model.fit(X, Y).predict(X)[:, 1], model.fit(X, Y[:, 1]).predict(X)
    np.testing.assert_allclose(together, alone, atol=1e-12)


def test_a_shared_penalty_makes_targets_dependent():
    assert not RidgeCV(alpha_per_target=False).independent_targets


# --- held out ---------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(
    n=st.integers(5, 10), p=st.integers(1, 14), log_alpha=st.floats(-3, 6), k=st.integers(1, 2), seed=st.integers(0, 99)
)
def test_held_out_equals_refitting(n, p, log_alpha, k, seed):
    X, Y = _data(n, p, seed=seed)
    model = Ridge(10**log_alpha, device="cpu")
    splits = _splits(LeavePOut(k), X)
    for fast, slow in zip(model.held_out(X, Y, splits), _refits(model, X, Y, splits), strict=True):
        np.testing.assert_allclose(fast, slow, atol=1e-9)


def test_held_out_equals_refitting_across_a_gap():
    X, Y = _data()
    splits = [(np.r_[0:5, 12:20], np.r_[6:10]), (np.r_[5:20], np.r_[0:5])]
    for fast, slow in zip(Ridge().held_out(X, Y, splits), _refits(Ridge(), X, Y, splits), strict=True):
        np.testing.assert_allclose(fast, slow, atol=1e-11)


@pytest.mark.parametrize("alpha", [0.0, 1e-13, 1e-9])
def test_held_out_equals_refitting_where_the_full_fit_interpolates(alpha):
    X, Y = _data(n=8, p=30)
    splits = _splits(LeavePOut(2), X)
    for fast, slow in zip(Ridge(alpha).held_out(X, Y, splits), _refits(Ridge(alpha), X, Y, splits), strict=True):
        np.testing.assert_allclose(fast, slow, atol=1e-9)


def test_held_out_of_one_target_has_one_axis():
    X, Y = _data()
    splits = _splits(KFold(4), X)
    predictions = list(Ridge().held_out(X, Y[:, 0], splits))
    assert [predicted.shape for predicted in predictions] == [(5,)] * 4
    np.testing.assert_allclose(np.concatenate(predictions), np.concatenate(_refits(Ridge(), X, Y[:, 0], splits)))


def test_held_out_keeps_float32_and_its_digits_at_a_bold_offset():
    X, Y = _data()
    splits = _splits(KFold(4), X)
    images = (Y + 1e4).astype(np.float32)
    for fast, slow in zip(Ridge().held_out(X, images, splits), _refits(Ridge(), X, Y + 1e4, splits), strict=True):
        assert fast.dtype == np.float32
        np.testing.assert_allclose(fast, slow, atol=2e-3)  # spacing of float32 at 1e4 is 1e-3


def test_operators_predict_any_recording():
    X, Y = _data(n=8)
    splits = _splits(LeavePOut(2), X)
    operators = Ridge().held_out_operators(X, splits)
    for operator, (train, test), slow in zip(operators, splits, _refits(Ridge(), X, Y, splits), strict=True):
        assert (operator[:, test] == 0).all()
        assert operator[:, train].sum(1) == pytest.approx(1)
        np.testing.assert_allclose(operator @ Y, slow, atol=1e-12)


def test_operators_of_a_split_with_a_gap_are_refused_at_once():
    X, _ = _data()
    splits = [(np.r_[0:10], np.r_[10:20]), (np.r_[0:9], np.r_[10:20])]
    with pytest.raises(ValueError, match="split 1 trains on 9 and tests on 10 of 20 samples; expected every training"):
        Ridge().held_out_operators(X, splits)


def test_a_training_row_given_twice_is_not_taken_for_a_partition():
    X, _ = _data(n=4)
    with pytest.raises(ValueError, match="split 0"):
        Ridge().held_out_operators(X, [(np.array([0, 0, 1]), np.array([3]))])


# --- choice of the penalty --------------------------------------------------------------------------------------------


def test_noise_gets_a_large_penalty_and_signal_a_small_one():
    X, _ = _data(n=60, p=20)
    Y = np.column_stack([X.sum(1), RNG(1).standard_normal(60)])
    model = RidgeCV(alphas=np.logspace(-2, 5, 8)).fit(X, Y)
    assert model.alpha_[0] <= 0.1
    assert model.alpha_[1] >= 100


def test_the_best_penalty_is_that_of_the_best_score():
    X, Y = _data(n=30, p=10)
    model = RidgeCV(alphas=(0.1, 1.0, 10.0, 100.0)).fit(X, Y)
    np.testing.assert_array_equal(model.alpha_, np.array(model.alphas)[model.cv_scores_.argmax(0)])


def test_a_shared_penalty_has_the_best_mean_score():
    X, Y = _data(n=30, p=10)
    model = RidgeCV(alphas=(0.1, 1.0, 10.0, 100.0), alpha_per_target=False).fit(X, Y)
    assert model.alpha_ == model.alphas[model.cv_scores_.mean(1).argmax()]


def test_the_chosen_penalty_is_fitted_to_all_rows():
    X, Y = _data(n=30, p=10)
    model = RidgeCV().fit(X, Y)
    for target, alpha in enumerate(model.alpha_):
        np.testing.assert_allclose(model.coef_[target], Ridge(alpha).fit(X, Y[:, target]).coef_, atol=1e-12)


def _wide(dtype=np.float64, seed=0):
    X, Y = _data(n=30, p=45, q=4, seed=seed)
    return X + 2, Y.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_of_many_features_made_when_read_predict_what_was_predicted_before(dtype):
    X, Y = _wide(dtype)
    model = RidgeCV((0.1, 10.0), device="cpu").fit(X, Y)
    new, before = RNG(1).standard_normal((7, 45)), model.intercept_
    predicted = model.predict(new)
    tolerance = 2e-4 if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(new @ model.coef_.T + before, predicted, atol=tolerance)
    np.testing.assert_allclose(model.predict(new), predicted, atol=tolerance)
    assert model.coef_.dtype == predicted.dtype == dtype


def test_weights_of_many_features_are_those_of_ridge_at_the_penalty_chosen():
    X, Y = _wide()
    model = RidgeCV((0.1, 10.0), alpha_per_target=False, device="cpu").fit(X, Y)
    plain = Ridge(model.alpha_, device="cpu").fit(X, Y)
    np.testing.assert_allclose(model.coef_, plain.coef_, atol=1e-10)
    np.testing.assert_allclose(model.intercept_, plain.intercept_, atol=1e-10)


@pytest.mark.parametrize("n_new", [1, 2000])
def test_few_and_many_rows_are_predicted_alike(n_new):
    X, Y = _wide()
    model, new = RidgeCV(device="cpu").fit(X, Y[:, :2]), RNG(1).standard_normal((n_new, 45))
    predicted = model.predict(new)
    np.testing.assert_allclose(predicted, new @ model.coef_.T + model.intercept_, atol=1e-10)


def test_weights_read_late_do_not_follow_features_changed_meanwhile():
    X, Y = _wide()
    model, early = RidgeCV(device="cpu").fit(X, Y), RidgeCV(device="cpu").fit(X, Y).coef_
    X[:] = 0
    np.testing.assert_array_equal(model.coef_, early)


def test_a_second_fit_forgets_the_weights_of_the_first():
    model = RidgeCV(device="cpu").fit(*_wide())
    first = model.coef_
    second = model.fit(*_wide(seed=1)).coef_
    assert not np.allclose(first, second)
    assert model.fit(*_data()).coef_.shape == (3, 4)


def test_weights_before_a_fit_are_an_error_that_says_so():
    assert not hasattr(RidgeCV(), "coef_")
    with pytest.raises(AttributeError, match="This RidgeCV is not fitted yet: it has no coef_"):
        RidgeCV().coef_  # noqa: B018


def test_one_target_of_many_features_has_one_axis():
    X, Y = _wide()
    model = RidgeCV(device="cpu").fit(X, Y[:, 0])
    assert model.predict(X).shape == (30,)
    assert model.coef_.shape == (45,)
    assert np.ndim(model.intercept_) == 0


def test_the_share_at_the_edge_counts_both_ends():
    X, _ = _data(n=60, p=5)
    Y = np.column_stack([X.sum(1), RNG(1).standard_normal(60), X.sum(1) + 2 * RNG(2).standard_normal(60)])
    model = RidgeCV(alphas=(1e-6, 5.0, 1e6)).fit(X, Y)
    assert model.alpha_[2] == 5.0
    assert model.share_at_edge_ == pytest.approx(2 / 3)


def test_a_constant_target_gets_the_largest_penalty_and_predicts_its_constant():
    X, Y = _data()
    Y[:, 1] = 0.1
    with pytest.warns(CodedWarning, match="constant-targets"):
        model = RidgeCV(alphas=(100.0, 1.0)).fit(X, Y)
    assert model.alpha_[1] == 100.0
    np.testing.assert_allclose(model.predict(X)[:, 1], 0.1, atol=1e-12)


def test_default_folds_are_contiguous():
    X, Y = _data(n=23)
    np.testing.assert_array_equal(RidgeCV().fit(X, Y).cv_scores_, RidgeCV(folds=KFold(5)).fit(X, Y).cv_scores_)


def test_groups_reach_the_inner_folds():
    X, Y = _data(n=24)
    groups = RNG(0).permutation(np.repeat(np.arange(4), 6))
    by_hand = list(GroupKFold(4).split(X, Y, groups))

    class Given:
        def split(self, X, y, groups):
            return by_hand

    scores = RidgeCV(folds=GroupKFold(4)).fit(X, Y, groups=groups).cv_scores_
    np.testing.assert_array_equal(scores, RidgeCV(folds=Given()).fit(X, Y).cv_scores_)


def test_batches_of_targets_change_nothing():
    X, Y = _data(q=7)
    np.testing.assert_allclose(RidgeCV(batch_targets=2).fit(X, Y).coef_, RidgeCV().fit(X, Y).coef_, atol=1e-13)


# --- wrong input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [-1.0, np.nan, np.inf, "1", None, [1.0, 2.0], True])
@pytest.mark.parametrize("use", [lambda m, X, Y: m.fit(X, Y), lambda m, X, Y: m.held_out_operators(X, [])])
def test_a_penalty_that_is_none_is_named(alpha, use):
    with pytest.raises(ValueError, match=r"alpha: got .*; expected a finite number of at least 0"):
        use(Ridge(alpha), *_data())


@pytest.mark.parametrize("alphas", [(), (0.0, 1.0), (-1.0,), (np.nan,), (np.inf,), 3.0, ("1",), None])
def test_a_grid_without_sense_is_named(alphas):
    with pytest.raises(ValueError, match=r"alphas: got .*; expected .* above 0"):
        RidgeCV(alphas=alphas).fit(*_data())


def test_folds_that_are_no_splitter_are_named():
    with pytest.raises(TypeError, match=r"folds: got 5; expected a splitter with .split"):
        RidgeCV(folds=5).fit(*_data())


def test_a_splitter_without_folds_is_named():
    class Empty:
        def split(self, X, y, groups):
            return []

    with pytest.raises(ValueError, match="gave no folds"):
        RidgeCV(folds=Empty()).fit(*_data())


def test_an_absent_device_is_named():
    with pytest.raises(ValueError, match=r"device: got 'cuda:99'; expected 'auto' or one that exists here"):
        Ridge(device="cuda:99").fit(*_data())


def test_a_batch_of_no_targets_is_named():
    with pytest.raises(ValueError, match="batch_targets: got 0; expected a whole number of at least 1, or None"):
        RidgeCV(batch_targets=0).fit(*_data())


@pytest.mark.parametrize("model", ESTIMATORS)
def test_missing_values_are_refused(model):
    X, Y = _data()
    Y[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        clone(model).fit(X, Y)
