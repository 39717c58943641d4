"""Means over participants: group statistics of waves, maps and scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from neuroling.core.axes import check_axes
from neuroling.core.estimates import Estimates
from neuroling.core.finished_scores import FinishedScores


@dataclass(frozen=True)
class GroupMean:
    r"""Mean over participants against a value, by a t test at every location.

    With ``inference=SignFlip("subject", clusters=…)`` all locations are tested together, the usual group statistic of
    event-related potentials: pass difference waves (subject, time[, channel]).

    Parameters
    ----------
    axis : str
        Axis along which participants lie.
    against : float
        Value that means no effect, in the unit of the data.

    Examples
    --------
    >>> from neuroling import SignFlip, estimate
    >>> time = np.arange(-0.1, 0.6, 0.02)
    >>> effect = -3 * np.exp(-(((time - 0.4) / 0.08) ** 2))  # µV
    >>> noise = np.random.default_rng(0).standard_normal((16, len(time)))
    >>> waves = xr.DataArray(effect + noise, dims=("subject", "time"), coords={"time": time})
    >>> result = estimate(GroupMean(), waves, inference=SignFlip("subject", clusters="mass"))
    >>> significant = result.p_values("cluster") < 0.05
    >>> bool(significant.sel(time=0.4, method="nearest")), bool(significant.sel(time=0.0, method="nearest"))
    (True, False)
    """

    axis: str = "subject"
    against: float = 0.0

    def estimate(self, data: xr.DataArray) -> Estimates:
        r"""Average over participants.

        Parameters
        ----------
        data : xarray.DataArray, dims (subject, \*targets)
            One value per participant and location, finite.

        Returns
        -------
        Estimates
            Dims (\*targets,).
        """
        values = self._checked(data)
        n = values.sizes[self.axis]
        error = values.std(self.axis, ddof=1) / np.sqrt(n)
        if bool((error == 0).any()):
            raise ValueError(
                f"data: all {n} participants have the same value at {int((error == 0).sum())} of {error.size} "
                "locations, so that t is undefined there; leave those locations out."
            )
        mean = values.mean(self.axis)
        spread = values.std(self.axis, ddof=1)
        return Estimates(
            estimate=mean - self.against,
            standard_error=error,
            df=mean.copy(data=np.full(mean.shape, float(n - 1))),
            method=f"mean over {n} participants" + (f" less {self.against:g}" if self.against else ""),
            diagnostics={"n_observations": xr.DataArray(n), "cohens_d": (mean - self.against) / spread},
        )

    def scoring(self, data: xr.DataArray) -> FinishedScores:
        r"""Give the participants' values for an inference over them, two-sided unless it says otherwise.

        Parameters
        ----------
        data : xarray.DataArray, dims (subject, \*targets)
            As for :meth:`estimate`.
        """
        return FinishedScores(self._checked(data), self.against, two_sided=True)

    def _checked(self, data: xr.DataArray) -> xr.DataArray:
        if not isinstance(data, xr.DataArray):
            raise TypeError(
                f"data: got {type(data).__name__}; expected a DataArray with the axis {self.axis!r}, such as "
                "participants' difference waves."
            )
        check_axes("data", data.dims)
        if self.axis not in data.dims:
            raise ValueError(f"data: axes {data.dims} have no {self.axis!r}, over which GroupMean averages.")
        if data.dtype.kind not in "fiu":
            raise TypeError(f"data: got values of type {data.dtype}; expected real numbers.")
        if data.sizes[self.axis] < 2:
            raise ValueError(f"data: one entry along {self.axis!r}; expected at least two participants.")
        bad = int((~np.isfinite(data)).sum())
        if bad:
            raise ValueError(
                f"data: {bad} of {data.size} values are NaN or infinite; leave those participants or locations out."
            )
        return data.astype(np.float64)
