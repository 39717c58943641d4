r"""Fit the alpha function, and simulated ERPs, to people's ERPs: predictors like any other.

:class:`AlphaResponse` says that every trial's ERP is one alpha function, common in onset and time constant, whose
height is linear in the features:

.. math:: y_s(t) = (b_0 + x_s b) \, k(t), \quad k(t) = \frac{t - t_0}{T} e^{1 - (t - t_0)/T} \text{ for } t > t_0

:class:`SimulatedERP` says that it is the simulation of that trial, delayed, scaled and shifted.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy import optimize
from scipy.stats import norm, t
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from neuroling.core.arrays import read_numbers, refuse_not_finite
from neuroling.core.gate import features_and_targets, features_to_predict
from neuroling.core.times import same_times

Array = NDArray[np.float64]

N_GRID = 24
"""Onsets and time constants tried each before the best is refined."""


DELAYS = tuple(hundredth / 100 for hundredth in range(-10, 21))
"""Seconds tried as the delay of a simulation, -0.1 to 0.2."""


class Interval(NamedTuple):
    """An estimate and its bounds."""

    estimate: float
    low: float
    high: float


class AlphaResponse(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """Predict ERPs as an alpha function whose height depends on features.

    Parameters
    ----------
    times : array-like, optional, shape (time,)
        Seconds of the targets, growing; 0, 1, 2 … by default.
    onset : float, optional
        Seconds at which the response starts; fitted by default.
    time_constant : float, optional
        T, seconds from onset to peak; fitted by default.

    Attributes
    ----------
    onset_, time_constant_ : float
        As given or fitted.
    coef_ : ndarray, shape (feature,)
        Change of the peak for one unit of each feature.
    intercept_ : float
        Peak where all features are 0.

    Examples
    --------
    >>> times = np.arange(0, 1, 0.02)
    >>> x = np.random.default_rng(0).standard_normal((30, 1))
    >>> y = (2 - x) * alpha_wave(times, 0.2, 0.15)
    >>> model = AlphaResponse(times).fit(x, y)
    >>> [round(float(value), 2) for value in (model.onset_, model.time_constant_, model.intercept_, model.coef_[0])]
    [0.2, 0.15, 2.0, -1.0]
    """

    def __init__(
        self, times: ArrayLike | None = None, *, onset: float | None = None, time_constant: float | None = None
    ) -> None:
        self.times = times
        self.onset = onset
        self.time_constant = time_constant

    def fit(self, X: ArrayLike, y: ArrayLike) -> AlphaResponse:
        """Fit onset, time constant and heights by least squares.

        The heights have a closed form given the other two, which are searched on a grid and then refined.

        Parameters
        ----------
        X : array-like, shape (sample, feature)
            Features.
        y : array-like, shape (sample, time)
            ERPs, counted from their baseline.
        """
        features, erps, self._is_flat = _validated(self, X, y)
        times = self._checked_times(erps.shape[1])
        design = np.column_stack([np.ones(len(features)), features])
        basis = np.linalg.qr(design)[0]
        self.onset_, self.time_constant_ = self._search(times, basis.T @ erps)
        wave = alpha_wave(times, self.onset_, self.time_constant_)
        heights = np.linalg.lstsq(design, erps @ wave / (wave @ wave), rcond=None)[0]
        self.intercept_, self.coef_ = float(heights[0]), heights[1:]
        self.n_targets_ = erps.shape[1]
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predict ERPs.

        Parameters
        ----------
        X : array-like, shape (sample, feature)
            Features.

        Returns
        -------
        ndarray, shape (sample, time)
        """
        check_is_fitted(self)
        features: Array = features_to_predict(self, X).astype(np.float64)
        wave = alpha_wave(self._checked_times(self.n_targets_), self.onset_, self.time_constant_)
        predicted = (self.intercept_ + features @ self.coef_)[:, None] * wave
        return np.asarray(predicted[:, 0] if self._is_flat else predicted)

    def intervals(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        rng: int | np.random.Generator,
        level: float = 0.95,
        n_draws: int = 200,
    ) -> dict[str, Interval]:
        """Give bootstrap intervals of all parameters, resampling whole trials.

        Noise is alike at neighbouring times, so that errors from single time points would be far too small (they cover
        the truth 35 % of the time instead of 95 %); whole trials carry their noise along.

        Parameters
        ----------
        X : array-like, shape (sample, feature)
            Features.
        y : array-like, shape (sample, time)
            ERPs.
        rng : int or numpy.random.Generator
            Source of the resampling.
        level : float
            Coverage.
        n_draws : int
            Resamples.

        Returns
        -------
        dict of Interval
            ``onset``, ``time_constant``, ``intercept`` and ``coef 0`` …
        """
        return _bootstrapped(self._parameters, X, y, rng, level, n_draws, heights=np.shape(X)[-1] + 1)

    def _parameters(self, X: Array, y: Array) -> dict[str, float]:
        model = AlphaResponse(self.times, onset=self.onset, time_constant=self.time_constant).fit(X, y)
        gains = {f"coef {place}": float(gain) for place, gain in enumerate(model.coef_)}
        return {
            "onset": float(model.onset_),
            "time_constant": float(model.time_constant_),
            "intercept": model.intercept_,
            **gains,
        }

    def _checked_times(self, n_times: int) -> Array:
        for name in ("time_constant", "onset"):
            given = getattr(self, name)
            if given is not None and not (isinstance(given, Real) and np.isfinite(float(given))):
                raise ValueError(f"{name}: got {given!r}; expected a finite number of seconds, or None.")
        if self.time_constant is not None and not self.time_constant > 0:
            raise ValueError(f"time_constant: got {self.time_constant}; expected a positive number of seconds.")
        if self.times is None:
            return np.arange(float(n_times))
        times = read_numbers("times", self.times).values.astype(np.float64)
        if times.shape != (n_times,) or not (np.diff(times) > 0).all():
            raise ValueError(f"times: got shape {times.shape}; expected {n_times} growing seconds, one a target.")
        if self.onset is not None and self.onset >= times[-1]:
            raise ValueError(f"onset: {self.onset} s is not before the end of the epoch, {times[-1]} s.")
        return times

    def _search(self, times: Array, projected: Array) -> tuple[float, float]:
        """Find the onset and time constant whose wave explains most of the projected ERPs (fixed, time)."""
        span = max(float(times[-1] - times[0]), 1.0 if len(times) < 2 else 0.0)
        step = span / max(len(times) - 1, 1)

        onsets = np.array([self.onset]) if self.onset is not None else np.linspace(times[0] - step, times[-1], N_GRID)
        constants = np.geomspace(step / 2, 2 * span, N_GRID) if self.time_constant is None else [self.time_constant]
        grid = np.stack(np.meshgrid(onsets, constants, indexing="ij"), axis=-1).reshape(-1, 2)
        best = grid[_explained(projected, times, grid).argmax()]
        if self.onset is not None and self.time_constant is not None:
            return float(best[0]), float(best[1])

        def loss(point: Array) -> float:
            onset = best[0] if self.onset is not None else point[0]
            constant = best[1] if self.time_constant is not None else np.exp(point[1])
            return -float(_explained(projected, times, np.array([[onset, constant]]))[0])

        start = np.array([best[0], np.log(best[1])])
        simplex = start + np.array([[0, 0], [step / 2, 0], [0, 0.1]])
        options = {"initial_simplex": simplex, "xatol": 1e-6, "fatol": 1e-12}
        optimum = optimize.minimize(loss, start, method="Nelder-Mead", options=options).x
        return (
            float(best[0] if self.onset is not None else optimum[0]),
            float(best[1] if self.time_constant is not None else np.exp(optimum[1])),
        )


class SimulatedERP(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    r"""Predict ERPs as the simulation of each trial, delayed, scaled and shifted.

    The features are simulated responses, from :func:`simulated_features`: one block of ticks for each time constant of
    the alpha function that was simulated. The block, the delay, the gain and the shift are fitted:
    :math:`y_s(t) = a + g \, v_s(t - d)` with the simulation :math:`v` interpolated linearly between ticks.

    Parameters
    ----------
    ticks : array-like, shape (tick,)
        Seconds of the simulated ticks.
    times : array-like, optional, shape (time,)
        Seconds of the targets; those of the ticks by default.
    delays : array-like, optional
        Seconds tried as the delay.

    Attributes
    ----------
    block_ : int
        Which simulation fits best.
    delay_, gain_, shift_ : float
        Delay in seconds, gain in units of the targets per activation, shift in units of the targets.
    """

    def __init__(
        self,
        ticks: ArrayLike,
        times: ArrayLike | None = None,
        *,
        delays: ArrayLike = DELAYS,
    ) -> None:
        self.ticks = ticks
        self.times = times
        self.delays = delays

    def fit(self, X: ArrayLike, y: ArrayLike) -> SimulatedERP:
        """Choose block and delay and fit gain and shift by least squares.

        Parameters
        ----------
        X : array-like, shape (sample, block × tick)
            Simulated responses.
        y : array-like, shape (sample, time)
            ERPs.
        """
        features, erps, self._is_flat = _validated(self, X, y)
        delays = np.asarray(self.delays, dtype=np.float64)
        if len(delays) == 0:
            raise ValueError("delays: empty; expected at least one number of seconds.")
        blocks, times = self._blocks(features), self._times(erps.shape[1])
        tried = [
            (*line, block, float(delay))
            for delay in delays
            for block, line in enumerate(_lines(blocks @ self._mover(times, float(delay)), erps))
        ]
        _, self.gain_, self.shift_, self.block_, self.delay_ = min(tried, key=lambda candidate: candidate[0])
        self.n_targets_ = erps.shape[1]
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predict ERPs, shape (sample, time).

        Parameters
        ----------
        X : array-like, shape (sample, block × tick)
            Simulated responses.
        """
        check_is_fitted(self)
        features: Array = features_to_predict(self, X).astype(np.float64)
        moved = self._blocks(features)[:, self.block_] @ self._mover(self._times(self.n_targets_), self.delay_)
        predicted = self.shift_ + self.gain_ * moved
        return np.asarray(predicted[:, 0] if self._is_flat else predicted)

    def intervals(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        rng: int | np.random.Generator,
        level: float = 0.95,
        n_draws: int = 200,
    ) -> dict[str, Interval]:
        """Give bootstrap intervals of block, delay, gain and shift, resampling whole trials.

        Parameters
        ----------
        X : array-like, shape (sample, block × tick)
            Simulated responses.
        y : array-like, shape (sample, time)
            ERPs.
        rng : int or numpy.random.Generator
            Source of the resampling.
        level : float
            Coverage.
        n_draws : int
            Resamples.

        Returns
        -------
        dict of Interval
            ``block`` (its number, so order the blocks by what was varied), ``delay``, ``gain`` and ``shift``.
        """
        return _bootstrapped(self._parameters, X, y, rng, level, n_draws, heights=2)

    def _parameters(self, X: Array, y: Array) -> dict[str, float]:
        model = SimulatedERP(self.ticks, self.times, delays=self.delays).fit(X, y)
        return {
            "block": float(model.block_),
            "delay": float(model.delay_),
            "gain": float(model.gain_),
            "shift": float(model.shift_),
        }

    def _blocks(self, X: Array) -> Array:
        n_ticks = len(np.asarray(self.ticks))
        if X.shape[1] % n_ticks:
            raise ValueError(f"X: {X.shape[1]} features are not a whole number of blocks of {n_ticks} ticks.")
        return X.reshape(len(X), -1, n_ticks)  # (sample, block, tick)

    def _times(self, n_times: int) -> Array:
        times = np.asarray(self.ticks if self.times is None else self.times, dtype=np.float64)
        if times.shape != (n_times,):
            raise ValueError(f"times: got shape {times.shape}; expected {n_times} seconds, one a target.")
        return times

    def _mover(self, times: Array, delay: float) -> Array:
        """Interpolate linearly between ticks as a matrix, shape (tick, time)."""
        ticks = np.asarray(self.ticks, dtype=np.float64)
        return np.array([np.interp(times - delay, ticks, impulse) for impulse in np.eye(len(ticks))])


def alpha_wave(times: ArrayLike, onset: float | Array, time_constant: float | Array) -> Array:
    """Evaluate an alpha function whose peak is 1.

    Parameters
    ----------
    times : array-like
        Seconds.
    onset, time_constant : float or ndarray
        Seconds; the peak comes ``time_constant`` after the onset. Arrays are broadcast against ``times``.

    Returns
    -------
    ndarray, same shape
    """
    if not (np.asarray(time_constant) > 0).all():
        raise ValueError(f"time_constant: got {time_constant!r}; expected seconds above 0.")
    ratio = np.maximum((np.asarray(times, dtype=np.float64) - onset) / time_constant, 0)
    return np.asarray(ratio * np.exp(1 - ratio))


def simulated_features(recordings: dict[Any, xr.DataArray]) -> xr.DataArray:
    """Lay simulations of the same trials side by side as features for :class:`SimulatedERP`.

    Parameters
    ----------
    recordings : dict of xarray.DataArray, dims (sample, repeat, time)
        Simulations by what was varied, such as the time constant of the alpha function.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        Means over participants; features are named ``KEY, TICK``.
    """
    if not recordings:
        raise ValueError("recordings: empty; expected at least one simulation.")
    means = {key: recording.mean("repeat") for key, recording in recordings.items()}
    first = next(iter(means.values()))
    for key, mean in means.items():
        if not mean["sample"].equals(first["sample"]) or not same_times(mean["time"], first["time"]):
            raise ValueError(f"recordings: {key!r} has other trials or times than the first one.")
    values = np.concatenate([np.asarray(mean.transpose("sample", "time")) for mean in means.values()], axis=1)
    names = [f"{key}, {tick}" for key in means for tick in range(first.sizes["time"])]
    coords = {"sample": np.asarray(first["sample"]), "feature": names}
    return xr.DataArray(values, dims=("sample", "feature"), coords=coords, attrs={"simulated": 1, "synthetic": 1})


def _validated(estimator: BaseEstimator, X: ArrayLike, y: ArrayLike) -> tuple[Array, Array, bool]:
    """Give features (sample, feature), ERPs (sample, time), and whether the latter came as a flat (sample,)."""
    checked = features_and_targets(estimator, X, y, varied=False)
    refuse_not_finite("y", checked.targets)
    return checked.features.astype(np.float64), checked.targets.astype(np.float64), checked.n_axes == 1


def _explained(projected: Array, times: Array, grid: Array) -> Array:
    """Sum of squares that waves with these onsets and time constants explain, shape (candidate,)."""
    waves = alpha_wave(times[None, :], grid[:, :1], grid[:, 1:])  # (candidate, time)
    power = (waves**2).sum(axis=1)
    explained = ((waves @ projected.T) ** 2).sum(axis=1)
    return np.asarray(np.divide(explained, power, out=np.zeros_like(power), where=power > 1e-12))


def _lines(x: Array, y: Array) -> list[tuple[float, float, float]]:
    """Fit y = shift + gain x over all entries for each block of x (sample, block, time).

    Gives the residual sum of squares, gain and shift of each.
    """
    dx, dy = x - x.mean(axis=(0, 2), keepdims=True), y - y.mean()
    power = np.einsum("sbt,sbt->b", dx, dx)
    gain = np.divide(np.einsum("sbt,st->b", dx, dy), power, out=np.zeros_like(power), where=power > 0)
    residual = float((dy**2).sum()) - gain**2 * power
    shift = y.mean() - gain * x.mean(axis=(0, 2))
    return [(float(left), float(slope), float(level)) for left, slope, level in zip(residual, gain, shift, strict=True)]


def _bootstrapped(
    parameters: Callable[[Array, Array], dict[str, float]],
    X: ArrayLike,
    y: ArrayLike,
    rng: int | np.random.Generator,
    level: float,
    n_draws: int,
    heights: int,
) -> dict[str, Interval]:
    """Fit to resampled trials and give quantiles of each parameter.

    Resampled trials vary less than trials, by the heights that were fitted to them, and with few of them quantiles of a
    normal distribution lie too far in: the quantiles are those of t (Hesterberg 2015, American Statistician 69, 371).
    """
    if not 0 < level < 1 or n_draws < 20:
        raise ValueError(f"level, n_draws: got {level} and {n_draws}; expected between 0 and 1, and 20 or more.")
    features, erps = (read_numbers(name, side).values.astype(np.float64) for name, side in (("X", X), ("y", y)))
    generator = np.random.default_rng(rng)
    df = len(features) - heights
    if df < 2:
        raise ValueError(
            f"X: got {len(features)} trials for {heights} heights; expected at least {heights + 2} trials."
        )
    estimate = parameters(features, erps)
    draws = []
    for _ in range(n_draws):
        rows = generator.integers(len(features), size=len(features))
        draws.append(list(parameters(features[rows], erps[rows]).values()))
    tail = float(norm.cdf(t.ppf((1 - level) / 2, df) * (len(features) / df) ** 0.5))
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return {
        name: Interval(value, float(low[place]), float(high[place]))
        for place, (name, value) in enumerate(estimate.items())
    }
