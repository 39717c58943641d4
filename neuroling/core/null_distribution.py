"""A statistic beside what it would be where nothing is to be found: draws, counts, p values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

Correction = Literal["none", "fdr", "max", "cluster"]
"""How p values allow for many locations."""

Alternative = Literal["greater", "less", "two-sided"]
"""Direction in which a statistic is extreme, in the words of scipy.stats."""

ROUNDING = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-5}
"""Differences from the observed statistic, relative to its size and that of the draws, which are rounding errors.

Draws and the observed statistic may come from different products. Errors of 1e-13 (float64) and 1e-6 (float32) are
common; what is missed costs p values that are too small, and what is taken for a tie by mistake makes them larger by
about as much as this number.
"""

BATCH_VALUES = 2**20
"""Statistics of a batch of draws (8 MiB of float64); a heuristic."""

SIZE_FROM = 20
"""Draws from which the size of a statistic is taken."""

Support = Callable[[Array], Array]
r"""Turns statistics (draw, \*kept) into what neighbours add to each location, 0 where nothing."""


@dataclass(frozen=True)
class NullDistribution:
    r"""Draws of a statistic where nothing is to be found, beside the statistic that they are draws of.

    Attributes
    ----------
    observed : xarray.DataArray, dims (\*kept,)
        The statistic on the data as they are, with its sign.
    exceedances : xarray.DataArray, dims (\*kept,)
        How many draws were at least as extreme as observed.
    best : xarray.DataArray, dims (draw,)
        The most extreme statistic of each draw over all kept locations; distance from ``centre`` where two-sided.
    method : str
        How the draws were made, in words.
    draws : xarray.DataArray or None, dims (draw, \*kept)
        The draws, where they were kept.
    cluster : xarray.DataArray or None, dims (\*kept,)
        p value of what neighbours add at each location (its cluster, or its threshold-free enhancement), family-wise.
    alternative : {"greater", "less", "two-sided"}
        Direction in which a statistic is extreme.
    centre : float
        Value of the statistic that means nothing, from which two-sided distances are counted.
    resolution : xarray.DataArray or None, dims (\*kept,)
        Differences up to this are rounding errors, and draws within it tie with the observed statistic.
    relabelings : str
        Digest of what was exchanged in each draw; equal where draws of several participants, layers or models are those
        of the same relabelings and may be averaged draw by draw. Empty where there is no such thing.
    statistic : str
        What is drawn: ``"score"`` of the evaluation itself, or a statistic of it such as ``"t over subject"``.
    """

    observed: xr.DataArray
    exceedances: xr.DataArray
    best: xr.DataArray
    method: str
    draws: xr.DataArray | None = None
    cluster: xr.DataArray | None = None
    alternative: Alternative = "greater"
    centre: float = 0.0
    resolution: xr.DataArray | None = None
    relabelings: str = ""
    statistic: str = "score"

    @classmethod
    def collect(
        cls, observed: xr.DataArray, draws: Iterable[xr.DataArray], *, method: str, **options: Any
    ) -> NullDistribution:
        r"""Count draws against the observed statistic.

        Parameters
        ----------
        observed : xarray.DataArray, dims (\*kept,)
            The statistic on the data as they are.
        draws : iterable of xarray.DataArray, dims (\*kept,)
            The statistic on data whose pairing has been broken, in any order of axes.
        method : str
            How the draws were made.
        **options
            As in :meth:`collect_batches`.

        Returns
        -------
        NullDistribution
        """
        values = (draw.transpose(*observed.dims).to_numpy() for draw in draws)
        batches = _batched(values, max(SIZE_FROM, BATCH_VALUES // max(1, observed.size)))
        return cls.collect_batches(observed, batches, method=method, **options)

    @classmethod
    def collect_batches(
        cls,
        observed: xr.DataArray,
        batches: Iterable[Array],
        *,
        method: str,
        alternative: Alternative = "greater",
        centre: float = 0.0,
        keep_draws: bool = True,
        support: Support | None = None,
        rounding: float | None = None,
        resolution: xr.DataArray | None = None,
        relabelings: str = "",
        statistic: str = "score",
    ) -> NullDistribution:
        r"""Count draws against the observed statistic, some at a time.

        Parameters
        ----------
        observed : xarray.DataArray, dims (\*kept,)
            The statistic on the data as they are.
        batches : iterable of ndarray, shape (draw, \*kept)
            The statistic on data whose pairing has been broken. A draw that changes nothing has to be ``observed`` to
            the last bit, so that it ties.
        method : str
            How the draws were made.
        alternative : {"greater", "less", "two-sided"}
            Direction in which a statistic is extreme.
        centre : float
            Value of the statistic that means nothing.
        keep_draws : bool
            Keep every draw; otherwise only the counts and the best of each draw, which is what fits in memory for
            many draws of many locations.
        support : callable, optional
            What neighbours add to each location, for p values of clusters.
        rounding : float, optional
            Differences, relative to the size of the statistic, that are rounding errors; by the dtype of ``observed``
            (:data:`ROUNDING`) unless given.
        resolution : xarray.DataArray, optional, dims (\*kept,)
            The same in units of the statistic, where it is known.
        relabelings : str
            Digest of what was exchanged.
        statistic : str
            What is drawn.

        Returns
        -------
        NullDistribution
            A draw that is NaN (undefined) counts as at least as extreme as observed, so that it never helps.
        """
        rounding = ROUNDING.get(observed.dtype, ROUNDING[np.dtype(np.float64)]) if rounding is None else rounding
        values = np.asarray(observed.to_numpy(), dtype=np.float64)
        defined, extreme = np.isfinite(values), _extremeness(values, alternative, centre)
        first, all_batches = _peek(iter(batches), values.shape)
        if resolution is None:
            sizes = np.abs(np.concatenate([values[None], first[:SIZE_FROM]]))
            resolution = observed.copy(data=rounding * np.where(np.isfinite(sizes), sizes, 0.0).max(axis=0))
        least = extreme - resolution.to_numpy()
        own_support = None if support is None else support(values[None])[0]
        count, best = np.zeros(values.shape, dtype=np.int64), list[Array]()
        largest_support, kept_draws = list[Array](), list[Array]()
        for batch in all_batches:
            goodness = _extremeness(batch, alternative, centre)
            goodness = np.where(np.isnan(goodness), np.inf, goodness)
            count += (goodness >= least).sum(axis=0)
            best.append(goodness[:, defined].max(axis=1, initial=-np.inf))
            if support is not None:
                largest_support.append(support(batch).reshape(len(batch), -1).max(axis=1, initial=0.0))
            if keep_draws:
                kept_draws.append(batch)
        signed_best = np.concatenate(best) * (-1.0 if alternative == "less" else 1.0)
        return cls(
            observed=observed,
            exceedances=observed.copy(data=count),
            best=xr.DataArray(signed_best, dims="draw"),
            method=method,
            draws=_labelled(kept_draws, observed) if keep_draws else None,
            cluster=None
            if own_support is None
            else observed.copy(data=_support_p(own_support, np.concatenate(largest_support), rounding)),
            alternative=alternative,
            centre=centre,
            resolution=resolution,
            relabelings=relabelings,
            statistic=statistic,
        )

    @property
    def n_draws(self) -> int:
        """Number of draws."""
        return int(self.best.sizes["draw"])

    @property
    def n_locations(self) -> int:
        """Number of locations over which family-wise p values are taken."""
        return int(self.observed.size)

    def p_values(self, correct: Correction = "none") -> xr.DataArray:
        r"""Give p values, never zero.

        Parameters
        ----------
        correct : {"none", "fdr", "max", "cluster"}
            ``"none"``: each location by itself, ``(1 + exceedances) / (1 + draws)``. ``"fdr"``: those, adjusted after
            Benjamini and Hochberg (1995) over all locations. ``"max"``: each location against the most extreme location
            of every draw, which controls the family-wise error (Nichols and Holmes 2002). ``"cluster"``: family-wise p
            value of the cluster, or of the threshold-free enhancement, where the inference has ``clusters``.

        Returns
        -------
        xarray.DataArray, dims (\*kept,)
            NaN where the observed statistic is NaN.
        """
        defined = np.isfinite(self.observed)
        if correct == "cluster":
            if self.cluster is None:
                raise ValueError(
                    f"correct: 'cluster' was asked for, but {self.method} made no clusters; give the inference "
                    "clusters=…, such as clusters='mass'."
                )
            return self.cluster.rename("p")
        if correct == "max":
            sign = -1.0 if self.alternative == "less" else 1.0
            best = np.sort(sign * self.best.to_numpy())
            extreme = _extremeness(np.asarray(self.observed.to_numpy(), np.float64), self.alternative, self.centre)
            above = len(best) - np.searchsorted(best, extreme - self._resolution())
            return ((1 + self.observed.copy(data=above)) / (1 + self.n_draws)).where(defined).rename("p")
        p = ((1 + self.exceedances) / (1 + self.n_draws)).where(defined).rename("p")
        if correct == "none":
            return p
        if correct == "fdr":
            return p.copy(data=adjust_p_values(p.to_numpy()))
        raise ValueError(f"correct: got {correct!r}; expected 'none', 'fdr', 'max' or 'cluster'.")

    @property
    def family_wise(self) -> Correction:
        """The correction for many locations that the draws give: clusters where there are any, else the maximum."""
        return "max" if self.cluster is None else "cluster"

    def quantile(self, q: float) -> xr.DataArray:
        r"""Give a quantile of the draws at each location, which needs the draws.

        Parameters
        ----------
        q : float
            Between 0 and 1.

        Returns
        -------
        xarray.DataArray, dims (\*kept,)
        """
        return self._kept_draws("quantiles").quantile(q, "draw").drop_vars("quantile")

    def select(self, **labels: str) -> NullDistribution:
        """Give the null at one label of an axis, such as ``model="word rate"``; its family is what is left.

        Parameters
        ----------
        **labels : str
            Axis and label.

        Returns
        -------
        NullDistribution
        """
        return NullDistribution.collect(
            self.observed.sel(labels, drop=True),
            self._kept_draws("a selection").sel(labels, drop=True),
            method=self.method,
            alternative=self.alternative,
            centre=self.centre,
            resolution=None if self.resolution is None else self.resolution.sel(labels, drop=True),
            relabelings=self.relabelings,
            statistic=self.statistic,
        )

    def mean(self, *dims: str) -> NullDistribution:
        """Average the statistic and its draws, draw by draw, over axes such as ``"subject"``.

        Parameters
        ----------
        *dims : str
            Axes of the statistic.

        Returns
        -------
        NullDistribution
            Of the mean: the null of a group, where participants share their relabelings.

        Raises
        ------
        ValueError
            If the draws were not kept, or are those of different relabelings. Participants who share stimuli share
            part of their noise, and a mean of draws that do not share relabelings would be too narrow for them.
        """
        draws = self._kept_draws("a mean")
        if not self.relabelings:
            raise ValueError(
                f"null: its draws ({self.method}) are not known to be the same permutations along {', '.join(dims)}, "
                "so their mean, draw by draw, is not a draw of the mean. Evaluate all with the same seed and the same "
                "samples, as evaluate_each does."
            )
        return NullDistribution.collect(
            self.observed.mean(dims),
            draws.mean(dims),
            method=f"{self.method}, mean over {' × '.join(dims)}",
            alternative=self.alternative,
            centre=self.centre,
            relabelings=self.relabelings,
            statistic=self.statistic,
        )

    def _kept_draws(self, what: str) -> xr.DataArray:
        if self.draws is None:
            raise ValueError(f"draws: they were not kept; run the inference with keep_draws=True for {what}.")
        return self.draws

    def _resolution(self) -> Array:
        if self.resolution is not None:
            return np.asarray(self.resolution.to_numpy())
        unit = ROUNDING.get(self.observed.dtype, ROUNDING[np.dtype(np.float64)])
        return np.asarray(unit * np.abs(self.observed.to_numpy()))


def _extremeness(values: Array, alternative: Alternative, centre: float) -> Array:
    """Turn a statistic round so that larger is more extreme."""
    if alternative == "two-sided":
        return np.asarray(np.abs(values - centre))
    return np.asarray(values if alternative == "greater" else -values)


def _batched(draws: Iterator[Array], size: int) -> Iterator[Array]:
    while batch := list(islice(draws, size)):
        yield np.stack(batch)


def _peek(batches: Iterator[Array], shape: tuple[int, ...]) -> tuple[Array, Iterator[Array]]:
    """Give the first batch, and all of them."""
    first = next(batches, np.empty((0, *shape)))

    def everything() -> Iterator[Array]:
        yield first
        yield from batches

    return first, everything()


def _support_p(observed: Array, largest: Array, rounding: float) -> Array:
    """Hold the support of each location against the largest support of every draw."""
    ranked = np.sort(largest)
    above = len(ranked) - np.searchsorted(ranked, observed * (1 - rounding))
    return np.where(observed > 0, (1 + above) / (1 + len(ranked)), 1.0)


def _labelled(batches: list[Array], observed: xr.DataArray) -> xr.DataArray | None:
    values = np.concatenate(batches)
    return xr.DataArray(values, dims=("draw", *observed.dims), coords=observed.coords) if len(values) else None


def adjust_p_values(p: Array) -> Array:
    """Adjust p values for the false discovery rate (Benjamini and Hochberg 1995).

    Parameters
    ----------
    p : ndarray
        P values of all locations; NaN stays NaN and does not count.

    Returns
    -------
    ndarray, shape as ``p``

    Examples
    --------
    >>> adjust_p_values(np.array([0.01, 0.04, np.nan])).tolist()
    [0.02, 0.04, nan]
    """
    from scipy.stats import false_discovery_control

    adjusted = np.full(p.shape, np.nan)
    defined = np.isfinite(p)
    if defined.any():
        adjusted[defined] = false_discovery_control(p[defined])
    return adjusted
