"""Held-out operators equal refitting, and inner products score as the images themselves do."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from neuroling.numerics.ridge import leave_two_out as algebra
from neuroling.numerics.ridge.decomposition import fit_ridge, prediction_operator, residual_maker

pytestmark = pytest.mark.usefixtures("product_library")

RNG = np.random.default_rng


def _data(n=9, p=4, v=12, seed=0):
    rng = RNG(seed)
    X = rng.standard_normal((n, p))
    return X, X @ rng.standard_normal((p, v)) + rng.standard_normal((n, v))


def _operators(X, alpha=1.0):
    pairs = algebra.all_pairs(len(X))
    return algebra.pair_operators(residual_maker(X, alpha), pairs), pairs


def _refit_and_match(X, Y, pair, alpha, *, centred, targets=slice(None)):
    """The published procedure for one pair, with the images written out."""
    train = np.setdiff1d(np.arange(len(X)), pair)
    coef, intercept = fit_ridge(X[train], Y[train], alpha)
    mean = Y[train].mean(0) if centred else 0.0
    predicted, truth = (X[pair] @ coef + intercept - mean)[:, targets], (Y[pair] - mean)[:, targets]
    cosines = predicted @ truth.T / np.outer(np.linalg.norm(predicted, axis=1), np.linalg.norm(truth, axis=1))
    margin = np.trace(cosines) - cosines[0, 1] - cosines[1, 0]
    return (1 + np.sign(np.round(margin, 10))) / 2  # one feature alone often gives two predictions of one direction


# --- operators --------------------------------------------------------------------------------------------------------


def test_pairs_are_all_there_once_and_in_order():
    assert algebra.all_pairs(4).tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]


def test_sixty_words_make_1770_pairs():
    assert algebra.all_pairs(60).shape == (1770, 2)


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(4, 12),
    p=st.integers(1, 15),
    size=st.integers(1, 5),
    log_alpha=st.floats(-2, 6),
    seed=st.integers(0, 99),
)
def test_held_out_operators_equal_fitting_without_the_test_set(n, p, size, log_alpha, seed):
    assume(size < n - 1)
    X, _ = _data(n, p, seed=seed)
    tests = [RNG(seed + k).permutation(n)[:size] for k in range(3)]
    made = algebra.held_out_operators(residual_maker(X, 10**log_alpha), tests)
    for test, operator in zip(tests, made, strict=True):
        train = np.setdiff1d(np.arange(n), test)
        np.testing.assert_allclose(operator, prediction_operator(X, 10**log_alpha, train, test), atol=1e-9)


@pytest.mark.parametrize("alpha", [1e-15, 1e-9, 1e-6, 1e-3])
def test_a_fit_that_nearly_interpolates_is_held_out_with_all_its_digits(alpha):
    X, _ = _data(n=20, p=300)
    tests = [np.array([0, 1]), np.array([3, 19]), np.array([4, 5, 6])]
    made = algebra.held_out_operators(residual_maker(X, alpha), tests)
    for test, operator in zip(tests, made, strict=True):
        train = np.setdiff1d(np.arange(20), test)
        np.testing.assert_allclose(operator, prediction_operator(X, alpha, train, test), atol=1e-13)


def test_test_sets_of_different_sizes_come_out_in_their_order():
    X, _ = _data()
    tests = [np.array([0]), np.array([5]), np.array([1, 2, 3]), np.array([4])]
    made = list(algebra.held_out_operators(residual_maker(X, 1.0), tests))
    assert [operator.shape for operator in made] == [(1, 9), (1, 9), (3, 9), (1, 9)]
    for test, operator in zip(tests, made, strict=True):
        train = np.setdiff1d(np.arange(9), test)
        np.testing.assert_allclose(operator, prediction_operator(X, 1.0, train, test), atol=1e-12)


def test_many_folds_cross_the_batch_without_a_seam(monkeypatch):
    monkeypatch.setattr(algebra, "FOLDS_AT_ONCE", 4)
    X, _ = _data()
    operators, pairs = _operators(X)
    np.testing.assert_array_equal(list(algebra.held_out_operators(residual_maker(X, 1.0), list(pairs))), operators)


@pytest.mark.parametrize("alpha", [0.0, 1e-3, 1.0, 1e6])
def test_operators_never_see_their_test_set_and_keep_constants(alpha):
    operators, pairs = _operators(_data(n=9, p=4)[0], alpha)
    assert (np.take_along_axis(operators, pairs[:, None].repeat(2, 1), 2) == 0).all()
    np.testing.assert_allclose(operators.sum(2), 1, atol=1e-10)


def test_a_fit_that_interpolates_says_that_it_cannot_be_held_out():
    X, _ = _data(n=6, p=10)
    with pytest.raises(algebra.LeverageError, match=r"leaves no residual at samples \[0, 1\].*Raise alpha"):
        _operators(X, 0.0)


# --- scores -----------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=20)
@given(n=st.integers(4, 8), p=st.integers(1, 10), centred=st.booleans(), seed=st.integers(0, 99))
def test_scores_from_inner_products_equal_refitting_and_writing_images_out(n, p, centred, seed):
    X, Y = _data(n, p, seed=seed)
    operators, pairs = _operators(X)
    scores = algebra.two_vs_two_from_gram(operators, Y @ Y.T, pairs, centred=centred)
    expected = [_refit_and_match(X, Y, pair, 1.0, centred=centred) for pair in pairs]
    np.testing.assert_array_equal(scores, expected)


@pytest.mark.parametrize("centred", [True, False])
def test_each_fold_may_have_targets_of_its_own(centred):
    X, Y = _data()
    operators, pairs = _operators(X)
    kept = np.array([np.sort(RNG(k).permutation(12)[:5]) for k in range(len(pairs))])
    scores = algebra.two_vs_two_from_gram(operators, algebra.fold_grams(Y, kept), pairs, centred=centred)
    expected = [
        _refit_and_match(X, Y, pair, 1.0, centred=centred, targets=keep) for pair, keep in zip(pairs, kept, strict=True)
    ]
    np.testing.assert_array_equal(scores, expected)


def test_a_noiseless_recording_is_told_apart_always():
    X, _ = _data(n=10, p=3)
    Y = X @ RNG(1).standard_normal((3, 40))
    operators, pairs = _operators(X, 1e-6)
    assert (algebra.two_vs_two_from_gram(operators, Y @ Y.T, pairs, centred=True) == 1).all()


def test_samples_with_the_same_features_are_a_tie():
    X, Y = _data()
    X[1] = X[0]
    operators, pairs = _operators(X)
    for centred in (True, False):
        assert algebra.two_vs_two_from_gram(operators, Y @ Y.T, pairs, centred=centred)[0] == 0.5


def test_predicting_nothing_but_the_training_mean_is_a_tie():
    X, Y = _data()
    operators, pairs = _operators(X, 1e18)
    assert (algebra.two_vs_two_from_gram(operators, Y @ Y.T, pairs, centred=True) == 0.5).all()


def test_a_strong_penalty_scores_as_its_direction_does_not_as_rounding_does():
    X, Y = _data()
    strong, stronger = (_operators(X, alpha)[0] for alpha in (1e7, 1e10))
    pairs = algebra.all_pairs(9)
    one, other = (algebra.two_vs_two_from_gram(op, Y @ Y.T, pairs, centred=True) for op in (strong, stronger))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("centred", [True, False])
def test_permuting_and_scaling_targets_changes_nothing(centred):
    X, Y = _data()
    operators, pairs = _operators(X)
    other = 7 * Y[:, ::-1]
    np.testing.assert_array_equal(
        algebra.two_vs_two_from_gram(operators, Y @ Y.T, pairs, centred=centred),
        algebra.two_vs_two_from_gram(operators, other @ other.T, pairs, centred=centred),
    )


def test_centred_scores_do_not_see_an_image_added_to_all():
    X, Y = _data()
    operators, pairs = _operators(X)
    other = Y + 1e3 * RNG(5).standard_normal(12)
    np.testing.assert_array_equal(
        algebra.two_vs_two_from_gram(operators, Y @ Y.T, pairs, centred=True),
        algebra.two_vs_two_from_gram(operators, other @ other.T, pairs, centred=True),
    )


# --- null -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("p", [3, 20])
def test_the_null_equals_refitting_every_fold_to_the_reordered_recording(centred, p):
    X, Y = _data(n=7, p=p)
    operators, pairs = _operators(X)
    orders = np.array([RNG(k).permutation(7) for k in range(6)])
    null = algebra.two_vs_two_null_from_gram(operators, Y @ Y.T, pairs, orders, centred=centred)
    expected = [np.mean([_refit_and_match(X, Y[o], pair, 1.0, centred=centred) for pair in pairs]) for o in orders]
    np.testing.assert_allclose(null, expected, atol=1e-15)


@pytest.mark.parametrize("centred", [True, False])
def test_the_null_equals_choosing_targets_anew_in_every_fold_of_every_draw(centred):
    X, Y = _data(n=7)
    recording = Y + 0.5 * RNG(1).standard_normal((3, 7, 12))
    operators, pairs = _operators(X)
    grams = algebra.fold_grams(recording.mean(0), algebra.stable_targets(recording, pairs, 4))
    orders = np.array([RNG(k).permutation(7) for k in range(4)])
    null = algebra.two_vs_two_null_from_gram(operators, grams, pairs, orders, centred=centred)
    for draw, order in enumerate(orders):
        shuffled = recording[:, order]
        again = algebra.fold_grams(shuffled.mean(0), algebra.stable_targets(shuffled, pairs, 4))
        expected = algebra.two_vs_two_from_gram(operators, again, pairs, centred=centred).mean()
        assert null[draw] == pytest.approx(expected, abs=1e-15)


def test_the_recordings_own_order_gives_the_observed_accuracy():
    X, Y = _data()
    operators, pairs = _operators(X)
    observed = algebra.two_vs_two_from_gram(operators, Y @ Y.T, pairs, centred=True).mean()
    (null,) = algebra.two_vs_two_null_from_gram(operators, Y @ Y.T, pairs, np.arange(9)[None], centred=True)
    assert null == pytest.approx(observed)


def test_neither_the_order_of_pairs_nor_the_batch_of_draws_matters(monkeypatch):
    X, Y = _data(n=7)
    operators, pairs = _operators(X)
    orders = np.array([RNG(k).permutation(7) for k in range(7)])
    null = algebra.two_vs_two_null_from_gram(operators, Y @ Y.T, pairs, orders, centred=True)
    monkeypatch.setattr(algebra, "DRAWS_AT_ONCE", 3)
    mixed = RNG(0).permutation(len(pairs))
    again = algebra.two_vs_two_null_from_gram(operators[mixed], Y @ Y.T, pairs[mixed], orders, centred=True)
    np.testing.assert_allclose(again, null, atol=1e-15)


def test_the_null_lies_around_one_half():
    X, Y = _data(n=12, p=3, v=60)
    operators, pairs = _operators(X)
    orders = np.array([RNG(k).permutation(12) for k in range(200)])
    null = algebra.two_vs_two_null_from_gram(operators, Y @ Y.T, pairs, orders, centred=True)
    assert abs(null.mean() - 0.5) < 0.04


def test_a_missing_pair_is_said_before_anything_is_drawn():
    X, Y = _data()
    operators, pairs = _operators(X)
    with pytest.raises(ValueError, match="got 35 pairs, 35 of them different; expected each of the 36 pairs"):
        algebra.two_vs_two_null_from_gram(operators[1:], Y @ Y.T, pairs[1:], np.arange(9)[None], centred=True)
