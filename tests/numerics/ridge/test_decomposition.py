"""Ridge: known weights come back, folds equal refits, no digit or dtype is lost on the way."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroling.numerics.ridge import decomposition as ridge

pytestmark = pytest.mark.usefixtures("product_library")

RNG = np.random.default_rng


def _data(n, p, q=3, seed=0):
    rng = RNG(seed)
    return rng.standard_normal((n, p)), rng.standard_normal((n, q))


def _normal_equations(X, Y, alpha):
    """Ridge as the textbook writes it, in float64."""
    centred = X - X.mean(0)
    coef = np.linalg.solve(centred.T @ centred + alpha * np.eye(X.shape[1]), centred.T @ (Y - Y.mean(0)))
    return coef, Y.mean(0) - X.mean(0) @ coef


# --- truth ------------------------------------------------------------------------------------------------------------


def test_weights_and_intercept_of_a_noiseless_line_come_back():
    X, _ = _data(20, 4)
    weights, offset = RNG(1).standard_normal((4, 3)), np.array([1.0, -2.0, 1e4])
    coef, intercept = ridge.fit_ridge(X, X @ weights + offset, 0.0)
    np.testing.assert_allclose(coef, weights, atol=1e-9)
    np.testing.assert_allclose(intercept, offset, rtol=1e-12)


def test_a_huge_penalty_leaves_the_mean():
    X, Y = _data(12, 4)
    coef, intercept = ridge.fit_ridge(X, Y, 1e15)
    np.testing.assert_allclose(coef, 0, atol=1e-13)
    np.testing.assert_allclose(intercept, Y.mean(0), atol=1e-12)


def test_without_penalty_more_features_than_samples_interpolate_with_least_norm():
    X, Y = _data(6, 10)
    coef, intercept = ridge.fit_ridge(X, Y, 0.0)
    np.testing.assert_allclose(X @ coef + intercept, Y, atol=1e-12)
    np.testing.assert_allclose(coef, np.linalg.pinv(X - X.mean(0)) @ (Y - Y.mean(0)), atol=1e-12)


def test_a_feature_given_twice_shares_its_weight_without_penalty():
    X, Y = _data(20, 1)
    once, _ = ridge.fit_ridge(X, Y, 0.0)
    twice, _ = ridge.fit_ridge(np.hstack([X, X]), Y, 0.0)
    np.testing.assert_allclose(twice, np.vstack([once, once]) / 2, atol=1e-12)


# --- identities -------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(n=st.integers(2, 12), p=st.integers(1, 15), log_alpha=st.floats(-3, 5), seed=st.integers(0, 99))
def test_fit_equals_the_normal_equations_primal_or_dual(n, p, log_alpha, seed):
    X, Y = _data(n, p, seed=seed)
    coef, intercept = ridge.fit_ridge(X, Y, 10**log_alpha)
    expected_coef, expected_intercept = _normal_equations(X, Y, 10**log_alpha)
    np.testing.assert_allclose(coef, expected_coef, atol=1e-9)
    np.testing.assert_allclose(intercept, expected_intercept, atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 12), p=st.integers(1, 15), log_alpha=st.floats(-12, 5), seed=st.integers(0, 99))
def test_residual_maker_gives_what_the_fit_leaves_over(n, p, log_alpha, seed):
    X, Y = _data(n, p, seed=seed)
    coef, intercept = ridge.fit_ridge(X, Y, 10**log_alpha)
    np.testing.assert_allclose(ridge.residual_maker(X, 10**log_alpha) @ Y, Y - (X @ coef + intercept), atol=1e-9)


@pytest.mark.parametrize("p", [3, 11, 30])
@pytest.mark.parametrize("alpha", [0.0, 1e-14, 1e-6, 1.0, 1e9])
def test_rows_of_the_residual_maker_sum_to_zero(p, alpha):
    np.testing.assert_allclose(ridge.residual_maker(_data(12, p)[0], alpha).sum(1), 0, atol=1e-12)


@pytest.mark.parametrize("p", [3, 30])
def test_residual_maker_without_penalty_is_a_projection(p):
    maker = ridge.residual_maker(_data(12, p)[0], 0.0)
    np.testing.assert_allclose(maker @ maker, maker, atol=1e-12)
    assert np.trace(maker) == pytest.approx(12 - min(p + 1, 12))


def test_residual_maker_of_nearly_collinear_features_is_a_projection_too():
    X = _data(12, 3)[0]
    X = np.hstack([X, X[:, :1] + 1e-6 * _data(12, 1, seed=5)[0]])  # the Gram matrix squares 1e-6 into rounding
    assert np.trace(ridge.residual_maker(X, 0.0)) == pytest.approx(7, abs=1e-9)


@pytest.mark.parametrize("alpha", [1e-20, 1e-9])
def test_residuals_far_smaller_than_the_recording_keep_their_digits(alpha):
    """Beside alpha, all eigenvalues are large: the residuals are alpha times those of the pseudo-inverse."""
    X, Y = _data(12, 400)
    X = X - X.mean(0)
    truth = np.linalg.pinv(X @ X.T, hermitian=True, rcond=1e-10) @ Y
    np.testing.assert_allclose(ridge.residual_maker(X, alpha) @ Y / alpha, truth, rtol=1e-10)


def test_doubling_the_features_halves_the_weights_at_four_times_the_penalty():
    X, Y = _data(10, 4)
    np.testing.assert_allclose(ridge.fit_ridge(2 * X, Y, 4.0)[0], ridge.fit_ridge(X, Y, 1.0)[0] / 2, atol=1e-12)


def test_permuting_targets_permutes_weights():
    X, Y = _data(10, 4)
    np.testing.assert_allclose(ridge.fit_ridge(X, Y[:, ::-1], 1.0)[0], ridge.fit_ridge(X, Y, 1.0)[0][:, ::-1])


@pytest.mark.parametrize("p", [4, 20])
def test_a_penalty_per_target_equals_one_fit_per_target(p):
    X, Y = _data(10, p)
    alphas = np.array([0.1, 10.0, 1e3])
    coef, intercept = ridge.fit_ridge(X, Y, alphas)
    for target, alpha in enumerate(alphas):
        alone_coef, alone_intercept = ridge.fit_ridge(X, Y[:, [target]], float(alpha))
        np.testing.assert_allclose(coef[:, [target]], alone_coef, atol=1e-12)
        np.testing.assert_allclose(intercept[[target]], alone_intercept, atol=1e-12)


def test_batches_change_nothing():
    X, Y = _data(10, 4, q=7)
    for one, other in zip(ridge.fit_ridge(X, Y, 1.0, batch=2), ridge.fit_ridge(X, Y, 1.0), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-14)


# --- operators --------------------------------------------------------------------------------------------------------


def test_a_prediction_operator_predicts_as_the_fit_does():
    X, Y = _data(10, 4)
    train, test = np.array([0, 3, 4, 8, 9]), np.array([1, 2])
    coef, intercept = ridge.fit_ridge(X[train], Y[train], 2.0)
    operator = ridge.prediction_operator(X, 2.0, train, test)
    np.testing.assert_allclose(operator @ Y, X[test] @ coef + intercept, atol=1e-12)
    assert (operator[:, [1, 2, 5, 6, 7]] == 0).all()


def test_applying_operators_in_batches_equals_applying_them_one_by_one(monkeypatch):
    X, Y = _data(10, 4)
    operators = [ridge.prediction_operator(X, 1.0, np.arange(5), np.arange(5, 5 + k)) for k in (1, 3, 2, 5)]
    monkeypatch.setattr(ridge, "BATCH_ELEMENTS", 9)
    for operator, predicted in zip(operators, ridge.apply_operators(operators, Y), strict=True):
        np.testing.assert_allclose(predicted, operator @ Y, atol=1e-13)


# --- dtype and offset -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_have_the_dtype_of_the_targets(dtype):
    X, Y = _data(10, 4)
    coef, intercept = ridge.fit_ridge(X, Y.astype(dtype), np.ones(3))
    assert coef.dtype == intercept.dtype == ridge.predict_ridge(X, coef, intercept).dtype == dtype


def test_float32_images_at_a_bold_offset_keep_their_digits():
    X, Y = _data(60, 5, q=20)
    Y += X @ RNG(4).standard_normal((5, 20))
    exact, _ = ridge.fit_ridge(X + 1e3, Y, 1.0)
    coef, _ = ridge.fit_ridge((X + 1e3).astype(np.float32), (Y + 1e4).astype(np.float32), 1.0)
    np.testing.assert_allclose(coef, exact, atol=1e-3)  # float32 at 1e4 holds values to 5e-4


def test_arguments_are_not_changed():
    X, Y = _data(10, 4)
    before = X.copy(), Y.copy()
    ridge.fit_ridge(X, Y, 1.0)
    np.testing.assert_array_equal((X, Y)[0], before[0])
    np.testing.assert_array_equal(Y, before[1])


@pytest.mark.gpu
@pytest.mark.parametrize("p", [20, 200])
def test_a_gpu_fits_as_the_cpu_does(p):
    X, Y = _data(100, p, q=30)
    on_gpu = ridge.fit_ridge(X, Y, 1.0, device=torch.device("cuda"))
    for one, other in zip(on_gpu, ridge.fit_ridge(X, Y, 1.0), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)
