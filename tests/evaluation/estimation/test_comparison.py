"""Likelihood-ratio tests and tests of equivalence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from statsmodels.stats.weightstats import DescrStatsW

from neuroling import GroupMean, MixedModel, align_table, estimate
from neuroling.evaluation import equivalence_test, likelihood_ratio_test
from neuroling.evaluation.mixed import mixed_model
from neuroling.numerics.statistics.mixed_fit import likelihood_ratio

READERS = {"reader": ["1"]}


def table():
    rng = np.random.default_rng(0)
    reader = np.repeat(range(10), 12)
    x, z = rng.standard_normal((2, 120))
    rt = 0.3 * x + rng.standard_normal(10)[reader] + rng.standard_normal(120)
    return pd.DataFrame({"rt": rt, "x": x, "z": z, "reader": reader})


def fitted(fixed, random=READERS, *, restricted=False):
    data = align_table(table(), "rt", ["x", "z"])
    return estimate(MixedModel(fixed, random, restricted=restricted), data)


def test_ratio_is_that_of_the_fits():
    result = likelihood_ratio_test(fitted([]), fitted(["x", "z"]))
    fits = [mixed_model(table(), "rt", fixed, READERS, restricted=False).fit for fixed in ([], ["x", "z"])]
    expected = likelihood_ratio(*fits)
    assert float(result.score) == pytest.approx(expected.statistic)
    assert int(result.diagnostics.df) == expected.df
    assert float(result.diagnostics.p) == pytest.approx(expected.p)


def test_random_effects_are_compared_by_reml():
    result = likelihood_ratio_test(
        fitted(["x"], restricted=True), fitted(["x"], {"reader": ["1", "x"]}, restricted=True)
    )
    assert int(result.diagnostics.df) == 1


@pytest.mark.parametrize(
    ("smaller", "larger", "message"),
    [
        (lambda: fitted([], restricted=True), lambda: fitted(["x"], restricted=True), "restricted=False"),
        (lambda: fitted([]), lambda: fitted(["x"], restricted=True), "likelihoods"),
        (lambda: fitted(["x"]), lambda: fitted(["z"], {"reader": ["1", "z"]}), "not in the larger"),
        (lambda: fitted(["x"]), lambda: fitted(["x"]), "no more parameters"),
        (lambda: "no result", lambda: fitted(["x"]), "no log-likelihood"),
    ],
)
def test_models_that_are_not_nested_are_refused(smaller, larger, message):
    with pytest.raises(ValueError, match=message):
        likelihood_ratio_test(smaller(), larger())


@pytest.mark.parametrize("shift", [0.0, 0.08, 0.3])
def test_equivalence_is_that_of_statsmodels(shift):
    values = shift + 0.1 * np.random.default_rng(0).standard_normal(20)
    p = equivalence_test(estimate(GroupMean(), xr.DataArray(values, dims="subject")), -0.1, 0.1)
    assert float(p) == pytest.approx(DescrStatsW(values).ttost_mean(-0.1, 0.1)[0])


def test_bounds_that_enclose_nothing_are_refused():
    result = estimate(GroupMean(), xr.DataArray(np.arange(5.0), dims="subject"))
    with pytest.raises(ValueError, match="expected bounds"):
        equivalence_test(result, 0.1, -0.1)
