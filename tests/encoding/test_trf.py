"""Temporal response functions: planted ones come back, and bad input gets a sentence."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.model_selection import LeaveOneGroupOut

from neuroling import ContiguousFolds, RidgeCV, align, evaluate, pearson
from neuroling.encoding.delays import delay
from neuroling.encoding.trf import TRF, lags_between

ALPHAS = (0.1, 10.0, 1e3)


def heard(seed=0, runs=4, length=150, channels=3, noise=1.0, shape=(0.0, 1.0, 0.5, -0.5)):
    """Two features, a recording that answers to the first with a known shape, and the runs."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((runs, length, 2)) + 2
    y = noise * rng.standard_normal((runs, length, channels)) + 5
    for lag, weight in enumerate(shape):
        y[:, lag:] += weight * x[:, : length - lag, :1]
    groups = np.repeat(np.arange(runs), length)
    return x.reshape(-1, 2), y.reshape(-1, channels), groups


def test_a_planted_response_is_recovered():
    x, y, groups = heard(runs=6, length=400, noise=0.3)
    model = TRF((-1, 5), alphas=ALPHAS, device="cpu").fit(x, y, groups)
    expected = np.zeros((2, 7))
    expected[0, 1:5] = [0.0, 1.0, 0.5, -0.5]
    np.testing.assert_allclose(model.coef_.mean(axis=0), expected, atol=0.02)
    np.testing.assert_allclose(model.intercept_, 5.0, atol=0.2)


def test_the_estimate_of_held_out_r_is_that_of_the_planted_signal():
    x, y, groups = heard(runs=8, length=400)
    signal = 1.5 / (1.5 + 1.0)  # sum of squared weights over noise of variance one
    found = TRF((0, 4), alphas=ALPHAS, device="cpu").fit(x, y, groups).cv_r_
    np.testing.assert_allclose(found, np.sqrt(signal), atol=0.03)


def test_noise_scores_nothing():
    x, _, groups = heard(runs=8, length=300)
    y = np.random.default_rng(1).standard_normal((len(x), 20))
    assert abs(TRF((0, 4), alphas=(1e3,), device="cpu").fit(x, y, groups).cv_r_.mean()) < 0.02


def test_equals_ridge_on_delayed_features_that_are_zero_outside_the_runs():
    """Silence at either end of the runs, so that both ways of filling agree."""
    x, y, groups = heard(runs=4, length=80)
    x = x - x.mean(axis=0)
    x.reshape(4, 80, 2)[:, 70:] = 0.0
    x -= x.mean(axis=0) * (x != 0)  # hardly moves the mean
    lagged = delay(xr.DataArray(x, dims=("sample", "feature")), range(5), runs=groups).to_numpy()
    ridge = RidgeCV((10.0,), folds=LeaveOneGroupOut(), device="cpu").fit(lagged, y, groups=groups)
    trf = TRF((0, 4), alphas=(10.0,), folds=LeaveOneGroupOut(), device="cpu").fit(x, y, groups)
    np.testing.assert_allclose(trf.predict(x, groups), ridge.predict(lagged), atol=0.05)


def test_every_channel_gets_the_penalty_with_its_best_held_out_r():
    x, y, groups = heard(noise=3.0, channels=6)
    model = TRF((0, 4), alphas=np.logspace(-2, 6, 9), device="cpu").fit(x, y, groups)
    mean = model.fold_r_[0].mean(axis=0)
    np.testing.assert_array_equal(model.alpha_, np.logspace(-2, 6, 9)[mean.argmax(axis=0)])
    np.testing.assert_allclose(model.cv_r_, mean.max(axis=0))


def test_held_out_predictions_are_those_of_refitting():
    x, y, groups = heard()
    splits = list(LeaveOneGroupOut().split(x, None, groups))
    model = TRF((-2, 4), alphas=ALPHAS, device="cpu")
    for (train, test), found in zip(splits, model.held_out(x, y, splits, groups), strict=True):
        refitted = TRF((-2, 4), alphas=ALPHAS, device="cpu").fit(x[train], y[train], groups[train])
        np.testing.assert_allclose(found, refitted.predict(x[test], groups[test]), atol=1e-10)


def test_no_lag_reaches_into_another_run():
    x, y, groups = heard(runs=3)
    before = TRF((0, 4), alphas=(1.0,), device="cpu").fit(x, y, groups)
    told = before.predict(x, groups)
    x[groups == 0] += 1000
    np.testing.assert_allclose(before.predict(x, groups)[groups == 1], told[groups == 1])


def test_units_of_features_and_recording_are_without_effect():
    x, y, groups = heard(noise=0.5)
    one = TRF((0, 4), alphas=(1.0,), device="cpu").fit(x, y, groups)
    two = TRF((0, 4), alphas=(1e-6,), device="cpu").fit(1e-3 * x, 1e6 * y + 3, groups)
    np.testing.assert_allclose(two.cv_r_, one.cv_r_)


def test_bands_find_the_space_that_matters():
    x, y, groups = heard(runs=6, length=100, noise=1.5)
    wide = np.hstack([x, np.random.default_rng(2).standard_normal((len(x), 20))])
    alphas = np.logspace(-1, 4, 6)
    banded = TRF((0, 4), alphas=alphas, bands={"heard": slice(2), "noise": slice(2, None)}, device="cpu").fit(
        wide, y, groups
    )
    plain = TRF((0, 4), alphas=alphas, device="cpu").fit(wide, y, groups)
    assert (banded.shares_[:, 0] > 0.5).all()
    assert banded.cv_r_.mean() > plain.cv_r_.mean() + 0.02


def test_mixtures_follow_their_seed():
    x, y, groups = heard()
    one, same, other = (
        TRF((0, 2), alphas=ALPHAS, bands={"a": [0], "b": [1]}, rng=seed, device="cpu").fit(x, y, groups).mixtures_
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_bands_of_even_shares_are_the_plain_model():
    x, y, groups = heard()
    banded = TRF((0, 4), alphas=(1.0,), bands={"a": [0], "b": [1]}, n_mixtures=1, device="cpu").fit(x, y, groups)
    plain = TRF((0, 4), alphas=(2.0,), device="cpu").fit(x, y, groups)
    np.testing.assert_allclose(banded.coef_, plain.coef_, atol=1e-12)


def data(runs, length=150):
    x, y, groups = heard(runs=runs, length=length)
    coords = {
        "sample": np.arange(len(x)),
        "group": ("sample", groups),
        "time_index": ("sample", np.tile(np.arange(length), runs)),
    }
    features = xr.DataArray(x, dims=("sample", "feature"), coords=coords)
    return align(features, xr.DataArray(y, dims=("sample", "channel"), coords={**coords, "channel": list("abc")}))


@pytest.mark.parametrize("splits", [LeaveOneGroupOut(), ContiguousFolds(3, gap=4)], ids=["runs", "stretches"])
def test_evaluates_like_any_model(splits):
    result = evaluate(TRF((0, 4), alphas=ALPHAS, device="cpu"), data(6), splits=splits, metric=pearson)
    np.testing.assert_allclose(result.score, np.sqrt(0.6), atol=0.06)


def test_the_model_handed_in_stays_unfitted():
    model = TRF((0, 4), alphas=ALPHAS, device="cpu")
    before = dict(vars(model))
    evaluate(model, data(3), splits=LeaveOneGroupOut(), metric=pearson)
    assert vars(model) == before


def test_stretches_without_a_gap_are_refused():
    with pytest.raises(ValueError, match=r"split 0 cuts run 0 and trains on 4 rows within the longest lag of 4"):
        evaluate(TRF((0, 4), alphas=ALPHAS, device="cpu"), data(1), splits=ContiguousFolds(3), metric=pearson)


def test_one_run_is_cut_with_a_gap():
    x, y, _ = heard(runs=1, length=400)
    found = TRF((0, 4), alphas=ALPHAS, device="cpu").fit(x, y, np.zeros(400))
    assert found.fold_r_.shape == (1, 5, 3, 3)


def test_score_is_the_correlation_where_lags_are_complete():
    x, y, groups = heard(runs=2)
    model = TRF((0, 4), alphas=(1.0,), device="cpu").fit(x, y, groups)
    rows = np.r_[4:150, 154:300]
    expected = [np.corrcoef(model.predict(x, groups)[rows, c], y[rows, c])[0, 1] for c in range(3)]
    np.testing.assert_allclose(model.score(x, y, groups), expected)


def test_a_single_channel_stays_single():
    x, y, groups = heard()
    assert TRF((0, 2), alphas=ALPHAS, device="cpu").fit(x, y[:, 0], groups).predict(x, groups).shape == (600,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lags": (3, 1)}, "lags: got"),
        ({"lags": (0.0, 0.5)}, r"lags: got .*lags_between"),
        ({"lags": (0, 150)}, "not shorter than the shortest run, which has 150"),
        ({"alphas": (0.0, 1.0)}, "alphas: got .*above 0"),
        ({"alphas": ()}, "alphas: got"),
        ({"bands": {"a": [0], "b": [0, 1]}}, "columns are in more than one space"),
        ({"bands": {"a": slice(2), "b": []}}, "'b' has no columns"),
        ({"bands": ["a", "b"], "n_mixtures": 0}, "n_mixtures: got 0"),
        ({"folds": ContiguousFolds(3)}, "folds: fold 0 cuts run"),
        ({"folds": 5}, "folds: got 5"),
    ],
    ids=["backwards", "seconds", "too long", "no penalty", "none", "columns", "empty", "mixtures", "cut", "number"],
)
def test_bad_options_get_a_sentence(options, message):
    x, y, groups = heard(runs=4)
    options = {"lags": (0, 4), "alphas": ALPHAS, **options}
    with pytest.raises((ValueError, TypeError), match=message):
        TRF(**options, device="cpu").fit(x, y, groups)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x, y, g: (x, y, None), "groups: none given, and without the runs a lag would reach"),
        (lambda x, y, g: (x, y, g[:-1]), "groups: got shape"),
        (lambda x, y, g: (x, y, np.roll(g, 7)), "is interrupted by another"),
        (lambda x, y, g: (x[:-1], y, g), r"X, y: got shapes \(599, 2\) and \(600, 3\)"),
        (lambda x, y, g: (np.where(np.arange(600)[:, None] == 3, np.nan, x), y, g), "X: 2 of 1200 values are NaN"),
        (lambda x, y, g: (x, np.where([0, 1, 0], 7.0, y), g), r"y: 1 channels are constant \(indices 1\)"),
        (lambda x, y, g: (x.astype(str), y, g), "X: got text"),
    ],
    ids=["no runs", "runs too short", "interrupted", "rows", "nan", "constant", "text"],
)
def test_bad_data_get_a_sentence(spoil, message):
    with pytest.raises((ValueError, TypeError), match=message):
        TRF((0, 4), alphas=ALPHAS, device="cpu").fit(*spoil(*heard()))


def test_other_features_at_prediction_are_refused():
    x, y, groups = heard()
    model = TRF((0, 4), alphas=ALPHAS, device="cpu").fit(x, y, groups)
    with pytest.raises(ValueError, match="X has 1 features, but TRF is expecting 2"):
        model.predict(x[:, :1], groups)


def test_features_that_are_the_same_need_a_penalty():
    x, y, groups = heard()
    with pytest.raises(ValueError, match="alphas: 1e-30 is too small"):
        TRF((0, 4), alphas=(1e-30,), device="cpu").fit(np.hstack([1e6 * x, 1e6 * x]), y, groups)


@pytest.mark.parametrize(
    "seconds", [(-100, 500, 128), (0.5, 0.1, 128), (0, 0.5, 0)], ids=["milliseconds", "backwards", "no rate"]
)
def test_lags_in_other_units_are_refused(seconds):
    with pytest.raises(ValueError, match=r"start_s|rate_hz"):
        lags_between(*seconds)


@pytest.mark.gpu
def test_the_gpu_says_the_same():
    x, y, groups = heard()
    cpu, gpu = (TRF((0, 4), alphas=ALPHAS, device=device).fit(x, y, groups) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(gpu.fold_r_, cpu.fold_r_, atol=1e-9)
    np.testing.assert_allclose(gpu.coef_, cpu.coef_, atol=1e-9)
