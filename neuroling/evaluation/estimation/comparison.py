"""What follows from estimates: comparisons of nested models, and tests that an effect is negligible."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr
from scipy import stats

from neuroling.core.result import Result

SLACK = 1e-6
"""Twice a log-likelihood by which a larger model may fit worse from rounding, relative to its size."""


def likelihood_ratio_test(smaller: Result, larger: Result) -> Result:
    r"""Test whether a model fits better than one that is nested in it.

    Parameters
    ----------
    smaller, larger : Result
        From ``estimate`` on the same data: ``MixedModel`` by maximum likelihood (``restricted=False``), or by REML
        where the fixed effects are the same; or ``Regression``.

    Returns
    -------
    Result
        ``score`` is twice the difference of the log-likelihoods, dims (\*targets,); ``diagnostics`` holds ``df``, the
        parameters that the larger has more, and ``p``, the upper tail of the chi-squared distribution. Where the
        smaller model sets variances to zero, p is too large (Stram and Lee 1994, Biometrics 50:1171).

    Raises
    ------
    ValueError
        If a result has no log-likelihood, the two are of other data, one is by REML and the other not, fixed effects
        differ under REML, or the models are not nested.

    Examples
    --------
    >>> import pandas as pd
    >>> from neuroling import MixedModel, align_table, estimate
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"x": rng.standard_normal(200), "reader": np.repeat(range(10), 20)})
    >>> data = align_table(table.assign(rt=table["x"] + rng.standard_normal(200)), "rt", ["x"])
    >>> small, large = (
    ...     estimate(MixedModel(fixed, {"reader": ["1"]}, restricted=False), data) for fixed in ([], ["x"])
    ... )
    >>> test = likelihood_ratio_test(small, large)
    >>> int(test.diagnostics.df), bool(test.diagnostics.p < 0.001)
    (1, True)
    """
    for name, result in (("smaller", smaller), ("larger", larger)):
        if not isinstance(result, Result) or "log_likelihood" not in result.data:
            raise ValueError(
                f"{name}: it has no log-likelihood; expected a result of estimate with MixedModel or Regression."
            )
    if smaller.provenance.data.get("recording") != larger.provenance.data.get("recording"):
        raise ValueError("smaller, larger: they were fitted to other recordings; expected the same data.")
    for key, what in (("n_observations", "numbers of observations"), ("is_restricted", "likelihoods (REML and ML)")):
        values = [np.unique(result.data[key].to_numpy()).tolist() for result in (smaller, larger)]
        if values[0] != values[1] or len(values[0]) > 1:
            raise ValueError(f"smaller, larger: their {what} differ, {values[0]} and {values[1]}; expected the same.")
    effects = [set(result.data["feature"].to_numpy().tolist()) for result in (smaller, larger)]
    if bool(smaller.data["is_restricted"].any()) and effects[0] != effects[1]:
        raise ValueError(
            f"smaller, larger: fixed effects {sorted(effects[0])} and {sorted(effects[1])}, fitted by REML, whose "
            "likelihoods are of different data then; fit both with restricted=False."
        )
    if not effects[0] <= effects[1]:
        raise ValueError(
            f"smaller: its effects {sorted(effects[0] - effects[1])} are not in the larger; expected nested models."
        )
    df = larger.data["n_parameters"] - smaller.data["n_parameters"]
    if bool((df < 1).any()):
        raise ValueError("larger: it has no more parameters than the smaller; expected more.")
    statistic = 2 * (larger.data["log_likelihood"] - smaller.data["log_likelihood"])
    if bool((statistic < -SLACK * np.abs(smaller.data["log_likelihood"]).clip(min=1)).any()):
        raise ValueError(
            "larger: it fits worse than the smaller; expected models of which the smaller is a special case of the "
            "larger, both by the same likelihood."
        )
    statistic = statistic.clip(min=0)
    p = xr.apply_ufunc(stats.chi2.sf, statistic, df)
    options = {**smaller.provenance.options, "larger.model": larger.provenance.options.get("model", "")}
    result = Result.of(
        statistic.expand_dims("split"),
        metric="likelihood ratio, chi-squared",
        provenance=replace(larger.provenance, options=options),
    )
    return replace(result, data=result.data.assign(df=df, p=p.rename("p")))


def equivalence_test(result: Result, low: float, high: float) -> xr.DataArray:
    r"""Test whether effects are negligible: two one-sided tests (TOST; Schuirmann 1987).

    Parameters
    ----------
    result : Result
        From ``estimate``.
    low, high : float
        Bounds within which an effect counts as absent, in the unit of the estimate.

    Returns
    -------
    xarray.DataArray, dims ([model,] [feature,] \*targets)
        The larger of the two p values: below 0.05 the effect lies within the bounds.

    Raises
    ------
    ValueError
        If the result holds no estimates, or the bounds enclose nothing.

    Examples
    --------
    >>> from neuroling import GroupMean, estimate
    >>> values = xr.DataArray(np.random.default_rng(0).normal(0, 0.1, 40), dims="subject")
    >>> bool(equivalence_test(estimate(GroupMean(), values), -0.1, 0.1) < 0.05)
    True
    """
    if not low < high:
        raise ValueError(f"low, high: got {low} and {high}; expected bounds of which the first is the lower.")
    table = result.estimates
    above = xr.apply_ufunc(stats.t.sf, (table.estimate - low) / table.standard_error, table.df)
    below = xr.apply_ufunc(stats.t.cdf, (table.estimate - high) / table.standard_error, table.df)
    p: xr.DataArray = above.where(above > below, below).rename("p")
    return p
