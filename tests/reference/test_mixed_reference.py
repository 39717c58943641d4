"""Own mixed model against statsmodels, which is right where no variance is at its boundary, and slow."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from neuroling.evaluation.mixed import mixed_model

smf = pytest.importorskip("statsmodels.formula.api")


def trials(seed):
    rng = np.random.default_rng(seed)
    person, item = np.divmod(np.arange(8 * 14), 14)
    x = rng.standard_normal(len(person))
    y = 0.4 * x + rng.normal(0, 0.6, 8)[person] + rng.normal(0, 0.7, 14)[item] + rng.normal(0, 0.5, len(x))
    keep = rng.random(len(x)) < 0.9  # some cells missing
    return pd.DataFrame({"person": person, "item": item, "x": x, "y": y})[keep]


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
