"""Skewed scores of participants: said at call time, and tested by resampled deviations."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr
from scipy import ndimage
from sklearn.model_selection import KFold

from neuroling import Ridge, SignFlip, evaluate, pearson
from neuroling.core.finished_scores import FinishedScores
from neuroling.core.notices import CodedWarning
from neuroling.evaluation import BootstrapT
from neuroling.numerics.statistics.sign_flips import flipped_t, mean_skewness, resampled_counts, resampled_t


def scores(seed, n=10, n_times=20, power=0.0):
    """Smooth scores of mean zero, exponentiated where a power is given."""
    noise = ndimage.gaussian_filter1d(np.random.default_rng(seed).standard_normal((n, n_times + 20)), 2, axis=1)
    noise = noise[:, 10:-10] / 0.376
    values = noise if power == 0 else np.sign(power) * (np.exp(abs(power) * noise) - np.exp(power**2 / 2))
    return FinishedScores(xr.DataArray(values, dims=("subject", "time")))


def codes(inference, scoring):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        inference(scoring, np.random.default_rng(0))
    return [warning.message.code for warning in caught if isinstance(warning.message, CodedWarning)]


def test_skewness_to_the_side_on_which_flips_err_is_said():
    """A long tail below makes t too large, one above too small; two-sided both count."""
    test = SignFlip(n_draws=20)
    assert codes(test, scores(0, 12, power=-1.0)) == ["skewed-scores"]
    assert codes(test, scores(0, 12, power=1.0)) == ["skewed-scores"]  # there they miss effects
    both = SignFlip(n_draws=20, two_sided=True)
    assert codes(both, scores(0, 12, power=-1.0)) == codes(both, scores(0, 12, power=1.0)) == ["skewed-scores"]


def test_symmetric_scores_are_seldom_called_skewed():
    said = [bool(codes(SignFlip(n_draws=20, two_sided=True), scores(seed))) for seed in range(100)]
    assert np.mean(said) <= 0.1


def test_skewed_scores_of_many_people_are_mostly_called_so():
    said = [bool(codes(SignFlip(n_draws=20), scores(seed, 12, power=-0.7))) for seed in range(40)]
    assert np.mean(said) >= 0.8


@pytest.mark.parametrize("power", [0.0, -1.0])
def test_resampled_deviations_do_not_err_where_scores_are_skewed(power):
    """In 150 data sets; flips err in half of those that are skewed."""
    test = BootstrapT(n_draws=99)
    hits = [
        float(test(scores(seed, 12, power=power), np.random.default_rng(seed)).p_values("max").min()) <= 0.05
        for seed in range(150)
    ]
    assert np.mean(hits) <= 0.09


@pytest.mark.parametrize("clusters", [None, "mass", "tfce"])
def test_resampled_deviations_find_an_effect(clusters):
    data = scores(1, 16)
    data.score[:, 5:12] += 1.5
    null = BootstrapT(n_draws=199, clusters=clusters)(data, np.random.default_rng(0))
    p = null.p_values(null.family_wise)
    assert float(p[6:11].max()) < 0.05
    assert "resampled deviations of subjects" in null.method


def test_p_of_resampled_deviations_has_no_unit():
    data = scores(2)
    for scale in (1e-15, 1e15):
        scaled = FinishedScores(data.score * scale)
        one, other = (BootstrapT(n_draws=99)(s, np.random.default_rng(0)).p_values("max") for s in (data, scaled))
        xr.testing.assert_equal(one, other)


def test_equal_seeds_agree_and_others_do_not():
    one, same, other = (BootstrapT(n_draws=50)(scores(3), np.random.default_rng(seed)) for seed in (1, 1, 2))
    xr.testing.assert_equal(one.best, same.best)
    assert not one.best.equals(other.best)


def test_t_of_resampled_deviations_is_t_of_the_participants_drawn():
    rng = np.random.default_rng(0)
    deviations = rng.standard_normal((8, 5))
    deviations -= deviations.mean(axis=0)
    counts = resampled_counts(8, 20, rng)
    for found, count in zip(resampled_t(deviations, counts), counts, strict=True):
        drawn = np.repeat(deviations, count.astype(int), axis=0)
        np.testing.assert_allclose(found, flipped_t(drawn, np.ones((1, 8)))[0], rtol=1e-10)


def test_skewness_is_that_of_scipy():
    from scipy.stats import skew

    values = np.random.default_rng(0).standard_exponential((9, 4))
    found, _ = mean_skewness(values, np.ones((1, 9)), 0)
    np.testing.assert_allclose(found, skew(values, axis=0).mean())


def test_participants_who_share_few_items_are_told_so(make_data):
    data = make_data(16, subject=7)
    result = evaluate(Ridge(device="cpu"), data, splits=KFold(2), metric=pearson)
    with pytest.warns(CodedWarning, match=r"share 16 items.*DualBootstrap.*\[items-fixed\]"):
        result.test(SignFlip(n_draws=20))
    many = evaluate(Ridge(device="cpu"), make_data(24, subject=7), splits=KFold(2), metric=pearson)
    assert many.test(SignFlip(n_draws=20)).null.n_draws == 20
    in_time = evaluate(Ridge(device="cpu"), make_data(18, phi=0.3, subject=7), splits=KFold(2), metric=pearson)
    assert in_time.test(SignFlip(n_draws=20)).null.n_draws == 20


@pytest.mark.parametrize(
    ("change", "message"),
    [({"n_draws": 5}, "at least 20"), ({"axis": "voxel"}, r"BootstrapT\('voxel'\) needs that axis")],
)
def test_bad_options_get_a_sentence(change, message):
    with pytest.raises(ValueError, match=message):
        BootstrapT(**change)(scores(0), np.random.default_rng(0))


def test_five_are_too_few_to_resample():
    with pytest.raises(ValueError, match=r"5 along 'subject' have 32 sign flips.*expected at least 6"):
        BootstrapT()(scores(0, 5), np.random.default_rng(0))
