"""Fitting ERPs: planted parameters come back, intervals cover them, and the predictors go through evaluate."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.model_selection import KFold

from neuroling import Stimuli, align, evaluate, pearson
from neuroling.n400.fit import AlphaResponse, SimulatedERP, alpha_wave, simulated_features

TIMES = np.arange(-0.1, 0.9, 0.02)
TRUTH = {"onset": 0.22, "time_constant": 0.17, "intercept": -3.0, "coef 0": 1.5}


def people(n=80, noise=1.0, autocorrelation=0.9, seed=0):
    """ERPs of a known alpha function in noise that is alike at neighbouring times."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 1))
    wave = alpha_wave(TIMES, TRUTH["onset"], TRUTH["time_constant"])
    e = rng.standard_normal((n, len(TIMES)))
    for tick in range(1, len(TIMES)):
        e[:, tick] = autocorrelation * e[:, tick - 1] + np.sqrt(1 - autocorrelation**2) * e[:, tick]
    return x, (TRUTH["intercept"] + TRUTH["coef 0"] * x) * wave + noise * e


def test_wave_peaks_at_one_a_time_constant_after_its_onset():
    wave = alpha_wave(TIMES, 0.1, 0.2)
    assert wave.max() == pytest.approx(1)
    assert TIMES[wave.argmax()] == pytest.approx(0.3)


def test_parameters_of_clean_data_come_back_exactly():
    model = AlphaResponse(TIMES).fit(*people(noise=0))
    assert model.onset_ == pytest.approx(TRUTH["onset"], abs=1e-4)
    assert model.time_constant_ == pytest.approx(TRUTH["time_constant"], abs=1e-4)
    assert model.intercept_ == pytest.approx(TRUTH["intercept"], abs=1e-3)
    assert model.coef_[0] == pytest.approx(TRUTH["coef 0"], abs=1e-3)


def test_given_parameters_are_kept():
    model = AlphaResponse(TIMES, onset=0.2, time_constant=0.1).fit(*people())
    assert (model.onset_, model.time_constant_) == (0.2, 0.1)


def test_scaling_the_erps_scales_the_heights_alone():
    x, y = people()
    one, two = AlphaResponse(TIMES).fit(x, y), AlphaResponse(TIMES).fit(x, 2 * y)
    assert two.onset_ == pytest.approx(one.onset_, abs=1e-3)
    assert two.coef_[0] == pytest.approx(2 * one.coef_[0], rel=1e-2)


@pytest.mark.slow
def test_intervals_cover_the_truth_as_often_as_they_say():
    inside = dict.fromkeys(TRUTH, 0)
    n = 40
    for seed in range(n):
        found = AlphaResponse(TIMES).intervals(*people(60, seed=seed), rng=seed, n_draws=50, level=0.9)
        for name, truth in TRUTH.items():
            inside[name] += found[name].low <= truth <= found[name].high
    for name, count in inside.items():
        assert 0.75 <= count / n <= 0.99, name  # 0.90 give or take three standard errors of 40 data sets


def test_interval_holds_its_estimate_and_equal_seeds_agree():
    x, y = people()
    one, same, other = (AlphaResponse(TIMES).intervals(x, y, rng=seed, n_draws=20) for seed in (0, 0, 1))
    assert one == same
    assert one != other
    assert one["onset"].low <= one["onset"].estimate <= one["onset"].high


def recording_of(x, y, times):
    stimuli = Stimuli.from_texts([f"word {row}" for row in range(len(x))])
    recording = xr.DataArray(y, dims=("sample", "time"), coords={"sample": list(stimuli.labels), "time": times})
    return align(stimuli.features(x), recording)


def test_alpha_response_goes_through_evaluate():
    x, y = people(60, noise=0.5)
    result = evaluate(
        AlphaResponse(TIMES), recording_of(x, y, TIMES), splits=KFold(4), metric=pearson.along("sample", "time")
    )
    assert float(result.score) > 0.8


def test_simulated_erp_recovers_block_delay_gain_and_shift():
    rng = np.random.default_rng(0)
    ticks = np.arange(0, 0.8, 0.04)
    blocks = np.stack([np.outer(1 + rng.random(30), alpha_wave(ticks, 0.1, t)) for t in (0.1, 0.2, 0.3)], axis=1)
    X = blocks.reshape(30, -1)
    times = np.arange(0, 0.7, 0.01)
    y = 0.5 - 4 * np.array([np.interp(times - 0.05, ticks, wave) for wave in blocks[:, 1]])
    model = SimulatedERP(ticks, times).fit(X, y + 0.01 * rng.standard_normal(y.shape))
    assert model.block_ == 1
    assert model.delay_ == pytest.approx(0.05)
    assert model.gain_ == pytest.approx(-4, abs=0.05)
    assert model.shift_ == pytest.approx(0.5, abs=0.05)
    np.testing.assert_allclose(model.predict(X), y, atol=0.05)


TICKS = np.arange(-0.08, 0.84, 0.04)
PLANTED = {"block": 1.0, "delay": 0.05, "gain": -4.0, "shift": 0.5}


def people_of_a_simulation(n=60, noise=1.0, seed=0):
    """Three simulations that differ in T, and people who do as the second one, later, in noise that lasts."""
    rng = np.random.default_rng(seed)
    heights = 1 + 0.5 * rng.standard_normal(n)
    blocks = np.stack([np.outer(heights, alpha_wave(TICKS, 0.0, t)) for t in (0.1, 0.2, 0.3)], axis=1)
    moved = np.array([np.interp(TICKS - PLANTED["delay"], TICKS, wave) for wave in blocks[:, 1]])
    e = rng.standard_normal(moved.shape)
    for tick in range(1, len(TICKS)):
        e[:, tick] = 0.8 * e[:, tick - 1] + 0.6 * e[:, tick]
    return blocks.reshape(n, -1), PLANTED["shift"] + PLANTED["gain"] * moved + noise * e


def test_simulated_erp_chooses_the_line_that_least_squares_does():
    x, y = people_of_a_simulation()
    model = SimulatedERP(TICKS).fit(x, y)
    moved = (model.predict(x) - model.shift_) / model.gain_
    slope, level = np.polyfit(moved.ravel(), y.ravel(), 1)
    assert (model.gain_, model.shift_) == pytest.approx((slope, level))


@pytest.mark.slow
def test_intervals_of_a_simulation_cover_the_truth_as_often_as_they_say():
    inside, n = dict.fromkeys(PLANTED, 0), 40
    for seed in range(n):
        found = SimulatedERP(TICKS).intervals(*people_of_a_simulation(seed=seed), rng=seed, n_draws=60, level=0.9)
        for name, truth in PLANTED.items():
            inside[name] += found[name].low - 1e-9 <= truth <= found[name].high + 1e-9
    assert inside["block"] == n  # whole numbers, well told apart
    for name in ("delay", "gain", "shift"):
        assert inside[name] / n >= 0.75, name  # 0.90 less three standard errors of 40 data sets


def test_intervals_of_a_simulation_follow_their_seed():
    x, y = people_of_a_simulation()
    one, same, other = (SimulatedERP(TICKS).intervals(x, y, rng=seed, n_draws=20) for seed in (0, 0, 1))
    assert one == same != other
    assert one["gain"].low < one["gain"].estimate < one["gain"].high < 0


def test_simulated_features_stand_side_by_side():
    coords = {"sample": ["a", "b"], "time": [0.0, 0.1, 0.2]}
    one = xr.DataArray(np.ones((2, 4, 3)), dims=("sample", "repeat", "time"), coords=coords)
    features = simulated_features({"T=6": one, "T=8": 2 * one})
    assert features.shape == (2, 6)
    assert features.sel(feature="T=8, 1").values.tolist() == [2, 2]


X, Y = np.ones((4, 6)), np.arange(12.0).reshape(4, 3)
BAD = {
    "times of another length": (lambda: AlphaResponse(TIMES).fit(X, Y), "one a target"),
    "times that shrink": (lambda: AlphaResponse([0.2, 0.1, 0.0]).fit(X, Y), "growing"),
    "a time constant of zero": (lambda: AlphaResponse([0, 1, 2], time_constant=0).fit(X, Y), "positive"),
    "an onset after the end": (lambda: AlphaResponse([0, 1, 2], onset=5).fit(X, Y), "before the end"),
    "too few draws": (lambda: AlphaResponse([0, 1, 2]).intervals(X, Y, rng=0, n_draws=3), "20 or more"),
    "too few draws of a simulation": (lambda: SimulatedERP([0, 1, 2]).intervals(X, Y, rng=0, n_draws=3), "20 or more"),
    "features that are no blocks": (lambda: SimulatedERP([0, 1, 2, 3]).fit(X, Y), "whole number of blocks"),
    "no delay": (lambda: SimulatedERP([0, 1, 2], delays=[]).fit(X, Y), "delays: empty"),
    "targets of another length": (lambda: SimulatedERP([0, 1, 2], [0, 1]).fit(X, Y), "one a target"),
    "no simulation": (lambda: simulated_features({}), "at least one simulation"),
}


@pytest.mark.parametrize("case", BAD, ids=lambda name: name.replace(" ", "_"))
def test_bad_input_is_answered_by_a_sentence(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()


def test_simulations_of_other_trials_are_refused():
    one = xr.DataArray(np.ones((2, 1, 2)), dims=("sample", "repeat", "time"), coords={"sample": ["a", "b"]})
    with pytest.raises(ValueError, match="other trials"):
        simulated_features({1: one, 2: one.assign_coords(sample=["a", "c"])})


@pytest.mark.slow
def test_alpha_response_keeps_the_contract_of_scikit_learn():
    from sklearn.utils.estimator_checks import check_estimator

    check_estimator(AlphaResponse(), on_skip=None)
