"""Estimates with their uncertainty, and how they become a result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr
from scipy import stats

LEVEL = 0.95
"""Coverage of the intervals of every estimate."""

INTERCEPT = "1"
"""Name of the intercept among the effects."""

COLUMNS = ("standard_error", "df", "t", "p", "low", "high")
"""What a result holds beside each estimate."""


@dataclass(frozen=True)
class Estimates:
    r"""Estimates of one model, with what is needed to test them.

    Attributes
    ----------
    estimate, standard_error, df : xarray.DataArray, dims ([feature,] \*targets)
        Estimates, their standard errors, and the degrees of freedom of their t; infinite where they are normal.
    method : str
        What was estimated and how, in words.
    diagnostics : mapping of str to xarray.DataArray or float
        What is known of the whole fit: ``log_likelihood``, ``aic``, ``n_observations``, …; over the targets alone.
    notes : tuple of str
        What a reader has to know, such as a random effect whose variance is zero.
    """

    estimate: xr.DataArray
    standard_error: xr.DataArray
    df: xr.DataArray
    method: str
    diagnostics: Mapping[str, xr.DataArray | float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def variables(self) -> dict[str, xr.DataArray]:
        r"""Give what a result holds beside the estimate: intervals, tests, diagnostics.

        Returns
        -------
        dict of str to xarray.DataArray
            :data:`COLUMNS`, dims ([feature,] \*targets); p is two-sided and the interval covers :data:`LEVEL`.

        Examples
        --------
        >>> numbers = [xr.DataArray([value], dims="feature") for value in (2.0, 1.0, np.inf)]
        >>> found = Estimates(*numbers, method="mean").variables()
        >>> round(float(found["p"][0]), 4), round(float(found["low"][0]), 2)
        (0.0455, 0.04)
        """
        t = self.estimate / self.standard_error
        freedom = self.df.to_numpy()
        half = stats.t.ppf((1 + LEVEL) / 2, freedom) * self.standard_error
        columns = {
            "standard_error": self.standard_error,
            "df": self.df,
            "t": t,
            "p": t.copy(data=2 * stats.t.sf(np.abs(t.to_numpy()), freedom)),
            "low": self.estimate - half,
            "high": self.estimate + half,
        }
        of_fit = {name: xr.DataArray(value) for name, value in self.diagnostics.items()}
        return {name: array.rename(name) for name, array in (columns | of_fit).items()}
