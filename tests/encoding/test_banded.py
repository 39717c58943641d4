"""Banded ridge: the space that carries the signal gets the weight, parts add up, and wrong spaces are named."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.model_selection import KFold

from neuroling.core.bands import band_columns
from neuroling.core.notices import CodedWarning
from neuroling.encoding import BandedRidgeCV, DirichletSearch, GradientSearch, RidgeCV

pytestmark = pytest.mark.usefixtures("product_library")

RNG = np.random.default_rng
ALPHAS = (0.1, 1.0, 10.0, 100.0, 1000.0)
SPACES = {"signal": slice(0, 5), "noise": slice(5, 45)}
SEARCHES = [DirichletSearch(8), GradientSearch(6, DirichletSearch(4))]


def _data(n=60, q=8, dtype=np.float64):
    rng = RNG(0)
    X = rng.standard_normal((n, 45))
    return X, (X[:, :5] @ rng.standard_normal((5, q)) + rng.standard_normal((n, q)) + 3).astype(dtype)


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: type(search).__name__)
def test_the_space_that_carries_the_signal_is_penalised_less(search):
    X, Y = _data()
    model = BandedRidgeCV(SPACES, ALPHAS, search=search).fit(X, Y)
    assert model.band_names_ == ["signal", "noise"]
    assert (model.penalties_[0] < model.penalties_[1]).all()


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: type(search).__name__)
def test_several_penalties_predict_held_out_rows_better_than_one(search):
    X, Y = _data(160)
    banded = BandedRidgeCV(SPACES, ALPHAS, search=search).fit(X[:60], Y[:60])
    plain = RidgeCV(ALPHAS).fit(X[:60], Y[:60])
    errors = [((model.predict(X[60:]) - Y[60:]) ** 2).mean() for model in (banded, plain)]
    assert errors[0] < 0.9 * errors[1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_contributions_of_the_spaces_and_the_mean_add_up_to_the_prediction(dtype):
    X, Y = _data(dtype=dtype)
    model = BandedRidgeCV(SPACES, ALPHAS, search=SEARCHES[0]).fit(X, Y)
    parts = model.predict_bands(X[:7])
    assert (parts.shape, parts.dtype) == ((2, 7, 8), dtype)
    np.testing.assert_allclose(parts.sum(0) + Y.mean(0), model.predict(X[:7]), atol=1e-4)


def test_contributions_to_one_target_have_no_target_axis():
    X, Y = _data()
    assert BandedRidgeCV(SPACES, ALPHAS, search=SEARCHES[0]).fit(X, Y[:, 0]).predict_bands(X).shape == (2, 60)


def test_one_space_is_plain_ridge():
    X, Y = _data()
    banded, plain = BandedRidgeCV(None, ALPHAS).fit(X, Y), RidgeCV(ALPHAS).fit(X, Y)
    np.testing.assert_array_equal(banded.alpha_, plain.alpha_)
    np.testing.assert_allclose(banded.coef_, plain.coef_, atol=1e-10)


def rescored(model, X, Y):
    """Held-out R² of the penalties that were chosen, by refits of scikit-learn, one target after another."""
    scores = np.empty(Y.shape[1])
    for target in range(Y.shape[1]):
        scaled = X.copy()
        for name, penalty in zip(model.band_names_, model.penalties_[:, target], strict=True):
            scaled[:, SPACES[name]] /= np.sqrt(penalty)
        y, error, baseline = Y[:, target], 0.0, 0.0
        for train, test in KFold(5).split(X):
            fitted = SklearnRidge(alpha=1.0).fit(scaled[train], y[train])
            error += ((y[test] - fitted.predict(scaled[test])) ** 2).sum()
            baseline += ((y[test] - y[train].mean()) ** 2).sum()
        scores[target] = 1 - error / baseline
    return scores


def test_descent_never_ends_below_the_random_search_it_starts_from():
    X, Y = _data()
    start = DirichletSearch(4)
    random = BandedRidgeCV(SPACES, ALPHAS, search=start).fit(X, Y)
    descended = BandedRidgeCV(SPACES, ALPHAS, search=GradientSearch(6, start)).fit(X, Y)
    gain = rescored(descended, X, Y) - rescored(random, X, Y)
    assert gain.min() >= -1e-9
    assert gain.max() > 1e-3


def test_the_scores_of_a_descent_are_those_of_its_penalties():
    X, Y = _data()
    model = BandedRidgeCV(SPACES, ALPHAS, search=GradientSearch(6, DirichletSearch(4))).fit(X, Y)
    np.testing.assert_allclose(model.cv_scores_.max(0), rescored(model, X, Y), rtol=1e-6)


def test_a_constant_target_is_its_constant_after_descent():
    X, Y = _data()
    Y[:, 2] = 7.0
    with pytest.warns(CodedWarning, match="constant-targets"):
        model = BandedRidgeCV(SPACES, ALPHAS, search=SEARCHES[1]).fit(X, Y)
    np.testing.assert_allclose(model.predict(X)[:, 2], 7.0)
    assert np.isnan(model.cv_scores_[:, 2]).all()


def test_the_order_of_the_spaces_follows_the_mapping_not_the_columns():
    X, Y = _data()
    turned = BandedRidgeCV(dict(reversed(SPACES.items())), ALPHAS, search=SEARCHES[1]).fit(X, Y)
    assert turned.band_names_ == ["noise", "signal"]
    assert (turned.penalties_[1] < turned.penalties_[0]).all()


def test_equal_seeds_find_the_same_and_others_do_not():
    X, Y = _data()
    found = [BandedRidgeCV(SPACES, ALPHAS, search=DirichletSearch(5, seed=seed)).fit(X, Y) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(found[0].band_weights_, found[1].band_weights_)
    assert not np.allclose(found[0].band_weights_, found[2].band_weights_)


@pytest.mark.parametrize(
    "bands",
    [
        {"a": [0, 2], "b": slice(1, 2)},
        [("a", np.array([0, 2])), ("b", [1])],
        ["a", "b", "a"],
        np.array(["a", "b", "a"]),
    ],
    ids=["mapping", "pairs", "labels", "array of labels"],
)
def test_spaces_are_named_in_several_ways(bands):
    assert {name: columns.tolist() for name, columns in band_columns(bands, 3).items()} == {"a": [0, 2], "b": [1]}


@pytest.mark.parametrize(
    ("bands", "sentence"),
    [
        ([("a", [0]), ("a", [1, 2])], "'a' named more than once"),
        ({"a": slice(0, 3), "b": []}, "'b' has no columns of the 3 in X"),
        ({"a": slice(0, 3), "b": slice(7, 9)}, r"'b' has slice\(7, 9, None\), but X has 3 columns"),
        ({}, "no space has no columns"),
        ({"a": [0, 1], "b": [1, 2]}, r"1 columns are in more than one space \(columns 1\)"),
        ({"a": [0]}, r"2 of 3 columns of X are in no space \(columns 1, 2\)"),
        (["a", "b"], "got 2 labels for 3 columns of X"),
    ],
    ids=["twice", "empty", "beyond", "none", "shared", "left over", "too few labels"],
)
def test_what_is_no_set_of_spaces_is_named(bands, sentence):
    with pytest.raises(ValueError, match=sentence):
        BandedRidgeCV(bands, ALPHAS).fit(RNG(0).standard_normal((10, 3)), RNG(1).standard_normal(10))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: DirichletSearch(0), "n_weightings: got 0"),
        (lambda: DirichletSearch(3, concentrations=()), "concentrations: got"),
        (lambda: DirichletSearch(3, concentrations=(0.0,)), "concentrations: got .*; expected numbers above 0"),
        (lambda: GradientSearch(0), "n_steps: got 0"),
        (lambda: GradientSearch(3, reach=0.5), "reach: got 0.5"),
    ],
    ids=["no weightings", "no concentrations", "a concentration of zero", "no steps", "a reach below one"],
)
def test_what_is_no_search_is_named(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
