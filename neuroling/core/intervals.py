"""How uncertain mean scores are: standard errors with degrees of freedom, hence intervals and p values by t."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from neuroling.core.null_distribution import Correction, adjust_p_values


@dataclass(frozen=True)
class Intervals:
    r"""Mean scores with their uncertainty.

    Attributes
    ----------
    mean : xarray.DataArray, dims (\*kept,)
        Mean score over what is resampled, such as participants.
    standard_error : xarray.DataArray, dims (\*kept,)
        Of the mean, for what the inference generalises to.
    df : xarray.DataArray, dims (\*kept,)
        Degrees of freedom of the standard error.
    method : str
        How they were found, in words.
    chance : float
        Mean that means nothing, which p values are of.
    """

    mean: xr.DataArray
    standard_error: xr.DataArray
    df: xr.DataArray
    method: str
    chance: float = 0.0

    def select(self, **labels: str) -> Intervals | None:
        """Give the intervals at one label of an axis; None where means are over that axis.

        Parameters
        ----------
        **labels : str
            Axis and label.
        """
        if not set(labels) <= set(self.mean.dims):
            return None
        mean, error, df = (part.sel(labels, drop=True) for part in (self.mean, self.standard_error, self.df))
        return Intervals(mean, error, df, self.method, self.chance)

    def interval(self, level: float = 0.95) -> xr.DataArray:
        r"""Give confidence intervals, from t.

        Parameters
        ----------
        level : float
            Share of such intervals that cover the truth.

        Returns
        -------
        xarray.DataArray, dims (bound, \*kept)
            Bounds ``lower`` and ``upper``.

        Raises
        ------
        ValueError
            If the level is no share above one half.
        """
        from scipy.stats import t

        if not 0.5 < level < 1:
            raise ValueError(f"level: got {level}; expected between 0.5 and 1, such as 0.95.")
        reach = t.ppf((1 + level) / 2, self.df.to_numpy()) * self.standard_error.to_numpy()
        joined: xr.DataArray = xr.concat([self.mean - reach, self.mean + reach], "bound")
        return joined.assign_coords(bound=["lower", "upper"]).rename("interval")

    def p_values(self, correct: Correction = "none") -> xr.DataArray:
        r"""Give two-sided p values of a mean at chance.

        Parameters
        ----------
        correct : {"none", "fdr"}
            How to allow for many locations.

        Returns
        -------
        xarray.DataArray, dims (\*kept,)

        Raises
        ------
        ValueError
            For corrections that need draws of a null.
        """
        from scipy.stats import t

        if correct not in ("none", "fdr"):
            raise ValueError(
                f"correct: got {correct!r}; expected 'none' or 'fdr', since these p values come from no null "
                "distribution. SignFlip over participants has one."
            )
        ratio = np.abs(self.mean.to_numpy() - self.chance) / self.standard_error.to_numpy()
        p = 2 * t.sf(ratio, self.df.to_numpy())
        return self.mean.copy(data=p if correct == "none" else adjust_p_values(np.asarray(p))).rename("p")
