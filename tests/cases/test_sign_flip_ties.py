"""Ties of flips were lost to rounding, and equal scores killed the enhancement or let it run for ever."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroling import SignFlip
from neuroling.core.finished_scores import FinishedScores
from neuroling.evaluation.latency import peak_p_value


@pytest.mark.parametrize("clusters", ["mass", "size", "tfce"])
def test_no_p_of_five_people_is_below_the_smallest_possible(clusters):
    """RSA-like scores, t of about 9 at the peak: p was 0.0005 where 0.029 is the floor."""
    P, n = 50, 5
    bump = np.exp(-0.5 * ((np.arange(P) - 25) / 8) ** 2)
    for seed in range(40):
        r = np.random.default_rng(seed)
        a = (4 * bump + r.standard_normal((n, P))) * 0.02
        s = xr.DataArray(a, dims=("subject", "time"))
        null = SignFlip(n_draws=1999, clusters=clusters)(FinishedScores(s), np.random.default_rng(0))
        signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(1999, n))
        least = (1 + (signs == 1).all(1).sum()) / 2000
        for correct in ("none", "max", "cluster"):
            assert null.p_values(correct).values.min() >= least - 1e-9


@pytest.mark.parametrize("clusters", [None, "mass", "tfce"])
def test_people_who_score_all_the_same_are_refused(clusters):
    a = np.column_stack([np.linspace(0.4, 0.7, 8), np.ones(8), np.linspace(0.7, 0.4, 8)]) - 0.5
    s = xr.DataArray(a, dims=("subject", "time"))
    with pytest.raises(ValueError, match="all 8 along 'subject' have the same score at 1 of 3 locations"):
        SignFlip(n_draws=255, clusters=clusters)(FinishedScores(s), np.random.default_rng(0))


def test_people_who_score_nearly_alike_are_enhanced_in_a_moment():
    a = 0.5 + 1e-5 * np.random.default_rng(0).standard_normal((12, 10))
    s = xr.DataArray(a, dims=("subject", "time"))
    p = SignFlip(n_draws=100, clusters="tfce")(FinishedScores(s), np.random.default_rng(0)).p_values("cluster")
    np.testing.assert_allclose(p, 1 / 101)


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e-12, 1e-13, 1e-15, 1e15])
def test_p_of_a_peak_has_no_unit(scale):
    """It was 0.001 in tesla and 1.0 in units of 1e-13."""
    a = np.random.default_rng(0).standard_normal((12, 30)) + 1.5
    s = xr.DataArray(a * scale, dims=("subject", "time"), coords={"time": np.arange(30.0)})
    plain = xr.DataArray(a, dims=("subject", "time"), coords={"time": np.arange(30.0)})
    assert peak_p_value(s, window=(5, 25)) == peak_p_value(plain, window=(5, 25)) < 0.01
