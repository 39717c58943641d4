"""Own mixed model against statsmodels, which is right away from boundaries, and slow where effects cross."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from neuroling.evaluation.mixed import mixed_model


def trials(seed):
    rng = np.random.default_rng(seed)
    person, item = np.divmod(np.arange(8 * 14), 14)
    x = rng.standard_normal(len(person))
    y = 0.4 * x + rng.normal(0, 0.6, 8)[person] + rng.normal(0, 0.7, 14)[item] + rng.normal(0, 0.5, len(x))
    keep = rng.random(len(x)) < 0.9  # some cells missing
    return pd.DataFrame({"person": person, "item": item, "x": x, "y": y})[keep]


def slopes(seed):
    rng = np.random.default_rng(seed)
    person, x = np.repeat(np.arange(25), 12), rng.standard_normal(300)
    effects = rng.multivariate_normal([0, 0], [[1, 0.4], [0.4, 0.6]], 25)
    y = 1 + 0.4 * x + effects[person, 0] + effects[person, 1] * x + rng.standard_normal(300)
    return pd.DataFrame({"person": person, "x": x, "y": y})


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_crossed_intercepts_agree_with_statsmodels(seed):
    table = trials(seed)
    ours = mixed_model(table, "y", ["x"], {"person": ["1"], "item": ["1"]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # statsmodels warns of its own gradients
        model = smf.mixedlm(
            "y ~ x",
            table.assign(one=1),
            groups="one",
            re_formula="0",
            vc_formula={"person": "0 + C(person)", "item": "0 + C(item)"},
        )
        theirs = model.fit(reml=True)
    np.testing.assert_allclose(ours.fit.coefficients, theirs.fe_params, rtol=1e-3)
    np.testing.assert_allclose(ours.fit.standard_errors, theirs.bse_fe, rtol=3e-3)
    assert -ours.fit.criterion / 2 == pytest.approx(theirs.llf, abs=1e-3)
    assert -ours.fit.criterion / 2 > theirs.llf - 1e-6  # never the worse optimum


@pytest.mark.parametrize("restricted", [True, False])
def test_correlated_slopes_agree_with_statsmodels(restricted):
    table = slopes(0)
    ours = mixed_model(table, "y", ["x"], {"person": ["1", "x"]}, correlated=True, restricted=restricted)
    theirs = smf.mixedlm("y ~ x", table, groups="person", re_formula="~x").fit(reml=restricted, gtol=1e-9)
    assert ours.fit.log_likelihood == pytest.approx(theirs.llf, abs=1e-7)
    np.testing.assert_allclose(ours.fit.coefficients, theirs.fe_params, rtol=1e-5)
    np.testing.assert_allclose(ours.fit.random_covariances[0], theirs.cov_re, rtol=1e-3)
    effects = pd.DataFrame(theirs.random_effects).T
    np.testing.assert_allclose(ours.random_effects("person"), effects, atol=1e-4)
