"""Temporal response functions: time-resolved encoding of EEG, MEG or spikes from lagged features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.model_selection import GroupKFold
from sklearn.utils.validation import check_is_fitted

from neuroling.core.arrays import refuse_not_finite, row_labels
from neuroling.core.bands import band_columns
from neuroling.core.feature_bands import check_bands
from neuroling.core.gate import (
    Purpose,
    Units,
    features_and_targets,
    features_to_predict,
    in_own_units,
    name_some,
    read_groups,
)
from neuroling.core.notices import warn
from neuroling.encoding.event_timing import rows_of_runs
from neuroling.encoding.validation import checked_alphas, one_step_in, warn_at_edge, warn_if_shrunk
from neuroling.numerics.device import resolve_device, to_tensor
from neuroling.numerics.products import multiply
from neuroling.numerics.ridge.lagged import (
    Centred,
    Lagged,
    Moments,
    centred,
    held_out_correlation,
    lay_out,
    moments,
    penalised_weights,
)

Array = NDArray[np.floating[Any]]
Rows = NDArray[np.intp]
Splits = Sequence[tuple[Rows, Rows]]

ALPHAS: tuple[float, ...] = tuple(np.logspace(-2, 6, 17).tolist())
"""Penalties tried by default, two a decade."""

ROUNDING = 1e-13
"""Range of predictions near 1 that is rounding."""

N_FOLDS = 5
"""Inner folds by default, where there are as many runs."""


class _Design(NamedTuple):
    """Features and recording on the device, and which rows belong together."""

    lagged: Lagged
    Y: torch.Tensor
    groups: NDArray[np.generic]
    total: Moments
    x_offset: Array
    """Taken off the features before anything else, so that sums lose no digits; any vector gives the same model."""
    y_offset: Array
    units: Units
    """What brings weights back from the units in which the recording was computed with."""
    n_axes: int


def lags_between(start_s: float, stop_s: float, rate_hz: float) -> tuple[int, int]:
    """Turn lags in seconds into samples.

    Parameters
    ----------
    start_s, stop_s : float
        First and last lag, in seconds; positive ones look back, so that a response comes after what it answers.
    rate_hz : float
        Samples a second.

    Returns
    -------
    tuple of int
        First and last lag in samples, both included, rounded as MNE rounds them.

    Examples
    --------
    >>> lags_between(-0.1, 0.5, 128)
    (-13, 64)
    """
    if not 0 < rate_hz < np.inf:
        raise ValueError(f"rate_hz: got {rate_hz}; expected samples a second.")
    if not start_s <= stop_s:
        raise ValueError(f"start_s, stop_s: got {start_s} and {stop_s}; expected the first lag before the last.")
    if max(abs(start_s), abs(stop_s)) > 60:
        raise ValueError(f"start_s, stop_s: got {start_s} and {stop_s}; expected seconds. Divide milliseconds by 1000.")
    return round(start_s * rate_hz), round(stop_s * rate_hz)


class TRF(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    r"""Predict every channel from the features at a row of lags, with a penalty a channel chosen by held-out r.

    :math:`\hat y_{tc} = b_c + \sum_{l, f} w_{clf} x_{t - l, f}`. The penalty is what is added to the second moments of
    the lagged, centred features; the intercept is not penalised. Outside a run a feature counts as its training mean.
    That is the model of ``mne.decoding.ReceptiveField`` with a number as its estimator, and gives its weights and
    scores, but the whole search over folds and penalties rests on sums that are taken once
    (:mod:`neuroling.numerics.ridge.lagged`).

    Runs have to be given, as ``groups``: no lag reaches from one into another. Epochs are runs too.

    Parameters
    ----------
    lags : tuple of int
        First and last lag in samples, both included; see :func:`lags_between`.
    alphas : sequence of float
        Penalties to try, each above 0.
    folds : splitter, optional
        Anything with scikit-learn's ``split(X, y, groups)``; by default whole runs in turn (five folds of them at
        most), and with one run five stretches with a gap of the longest lag between training and test rows.
    bands : mapping of str to slice or columns, or as in :class:`neuroling.BandedRidgeCV`, optional
        Feature spaces: each channel then also gets the mixture of spaces that predicts best. A space with the share
        :math:`\delta` is penalised by :math:`\alpha / \delta`.
    n_mixtures : int
        With bands: mixtures tried, the even one first, the others drawn from Dirichlet distributions.
    rng : int
        Seed of the mixtures.
    device : str
        Where to compute, resolved at ``fit``: ``"auto"``, ``"cpu"``, ``"cuda"``.

    Attributes
    ----------
    coef_ : ndarray, shape (channel, feature, lag)
        Weights; lags ascending, as in ``mne.decoding.ReceptiveField.coef_``.
    intercept_ : ndarray, shape (channel,)
        Prediction at zero features.
    lags_ : ndarray of int, shape (lag,)
        Lags in samples.
    alpha_ : ndarray, shape (channel,)
        The penalty of each channel.
    shares_ : ndarray, shape (channel, band)
        With bands: the share of each space.
    mixtures_ : ndarray, shape (mixture, band)
        Mixtures tried.
    fold_r_ : ndarray, shape (mixture, fold, alpha, channel)
        Held-out Pearson r. Rows whose lags reach outside their run are not scored, as in MNE.
    cv_r_ : ndarray, shape (channel,)
        Mean over folds of the choice made for each channel; the choice has seen it, so it is too high by a little.
    share_at_edge_ : float
        Share of channels whose penalty is the smallest or largest tried: if it is not small, widen ``alphas``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((400, 1))
    >>> y = np.roll(x, 3, axis=0) + 0.1 * rng.standard_normal((400, 1))
    >>> model = TRF((0, 5), alphas=(0.1, 10.0), device="cpu").fit(x, y, groups=np.repeat([0, 1], 200))
    >>> int(model.lags_[model.coef_[0, 0].argmax()]), bool(model.cv_r_ > 0.9)
    (3, True)
    """

    independent_targets = True
    """Whether the prediction of a target is the same whatever other targets are fitted beside it."""

    def __init__(
        self,
        lags: tuple[int, int] = (0, 10),
        *,
        alphas: Sequence[float] = ALPHAS,
        folds: Any = None,
        bands: Any = None,
        n_mixtures: int = 20,
        rng: int = 0,
        device: str = "auto",
    ) -> None:
        self.lags = lags
        self.alphas = alphas
        self.folds = folds
        self.bands = bands
        self.n_mixtures = n_mixtures
        self.rng = rng
        self.device = device

    def check_features(self, features: xr.DataArray) -> None:
        """Refuse features whose labels do not agree with the bands; ``evaluate`` asks before it fits.

        Parameters
        ----------
        features : xarray.DataArray, dims (sample, feature)
            What the model is to be fitted to.
        """
        check_bands(self.bands, features)

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Choose penalties (and mixtures) by held-out r, then fit all rows.

        Parameters
        ----------
        X : array-like, shape (sample, feature)
            Features, rows consecutive in time within each run.
        y : array-like, shape (sample, channel) or (sample,)
            Recording.
        groups : array-like, shape (sample,)
            Run, story or epoch of every row; ``np.zeros(n)`` where all is one.

        Returns
        -------
        TRF
            Itself.
        """
        design = self._design(X, y, groups, "fit")
        self.n_axes_ = design.n_axes
        return self._fit_rows(design, np.arange(len(design.groups)))

    def predict(self, X: ArrayLike, groups: ArrayLike | None = None) -> Array:
        """Predict every channel at every row.

        Parameters
        ----------
        X : array-like, shape (sample, feature)
            Features, rows consecutive in time within each run.
        groups : array-like, shape (sample,)
            Run of every row.

        Returns
        -------
        ndarray, shape (sample, channel) or (sample,)
        """
        check_is_fitted(self)
        features = features_to_predict(self, X).astype(np.float64)
        runs = _runs(groups, len(features), X)
        lagged = lay_out(features - self.x_mean_, runs, self._checked_lags(), resolve_device(self.device))
        return self._predicted(lagged, np.arange(len(features)))

    def held_out(self, X: ArrayLike, y: ArrayLike, splits: Splits, groups: ArrayLike | None = None) -> Iterator[Array]:
        """Predict the test rows of every split, penalties chosen anew inside each training set.

        Lags of rows beside a cut reach into the features on the other side of it, which is what was heard; the
        recording there is not used. So a training set may have holes.

        Parameters
        ----------
        X : array-like, shape (sample, feature)
            Features of all rows.
        y : array-like, shape (sample, channel)
            Recording of all rows.
        splits : sequence of (train, test)
            Row indices.
        groups : array-like, shape (sample,)
            Run of every row.

        Yields
        ------
        ndarray, shape (test, channel)
        """
        design = self._design(X, y, groups, "held_out")
        for number, (train, test) in enumerate(splits):
            _check_gap(np.asarray(train), np.asarray(test), design.groups, self._reach(), f"splits: split {number}")
            fitted = TRF(**self.get_params(deep=False))._fit_rows(design, np.sort(np.asarray(train)))
            fitted.n_axes_ = 2
            yield fitted._predicted(design.lagged.recentred(fitted.x_mean_ - design.x_offset), np.asarray(test))

    def score(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Array:
        """Correlate prediction and recording, channel by channel, at rows whose lags lie inside their run.

        Parameters
        ----------
        X, y, groups
            As for :meth:`fit`.

        Returns
        -------
        ndarray, shape (channel,)
            Pearson's r.
        """
        check_is_fitted(self)
        checked = features_and_targets(self, X, y, purpose="score")
        recorded, _ = _recording(checked.targets)
        predicted = np.asarray(self.predict(X, groups)).reshape(len(recorded), -1)
        runs = _runs(groups, len(recorded), X)
        rows = lay_out(checked.features.astype(np.float64), runs, self._checked_lags(), torch.device("cpu")).complete
        scale = np.maximum(np.abs(predicted).max(axis=0), np.finfo(np.float64).tiny)
        sides = [side[rows] - side[rows].mean(axis=0) for side in (predicted / scale, recorded)]
        norms = np.sqrt((sides[0] ** 2).sum(axis=0)) * np.sqrt((sides[1] ** 2).sum(axis=0))
        undefined = (np.ptp(sides[0], axis=0) <= ROUNDING) | (np.ptp(sides[1], axis=0) == 0)
        if undefined.any():
            warn(
                "undefined-scores",
                "X",
                f"{int(undefined.sum())} of {len(norms)} channels have no r (NaN), because prediction or recording is "
                f"constant over the rows that are scored ({name_some(np.flatnonzero(undefined))}).",
            )
        return np.asarray((sides[0] * sides[1]).sum(axis=0) / np.where(undefined, np.nan, norms))

    # --- fitting ----------------------------------------------------------------------------------------------------

    def _design(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None, purpose: Purpose) -> _Design:
        checked = features_and_targets(self, X, y, groups, purpose=purpose)
        features = checked.features.astype(np.float64)
        targets, units = _recording(checked.targets)
        self._checked_alphas()
        self._band_of_columns(features.shape[1])
        runs = _runs(groups, len(features), X)
        first, last = self._checked_lags()
        longest = max(abs(first), abs(last))
        shortest = min(runs, key=len)
        if longest >= len(shortest):
            raise ValueError(
                f"lags: {longest} samples are not shorter than the shortest run, which has {len(shortest)}; "
                "use shorter lags or longer epochs."
            )
        device = resolve_device(self.device)
        lagged = lay_out(features - features.mean(axis=0), runs, (first, last), device)
        Y = to_tensor(targets - targets.mean(axis=0), device, torch.float64)
        lagged_shape = (len(features), lagged.n_lags * features.shape[1])
        trace = float(lagged.n_lags * len(features) * features.var(axis=0).sum())
        warn_if_shrunk(self._checked_alphas(), trace, lagged_shape)
        total = moments(lagged, Y, np.arange(len(features)))
        labels, means = np.asarray(groups), (features.mean(axis=0), targets.mean(axis=0))
        return _Design(lagged, Y, labels, total, *means, units, checked.n_axes)

    def _fit_rows(self, design: _Design, rows: Rows) -> Self:
        all_moments = _sums(design, rows)
        folds = [
            self._fold(design, all_moments, rows, fold=fold, number=number)
            for number, fold in enumerate(self._inner_folds(rows, design.groups[rows]))
        ]
        alphas, columns = self._checked_alphas(), self._band_of_columns(design.total.x_sum.shape[0])
        self.mixtures_ = self._mixtures(int(columns.max()) + 1)
        scales = [np.sqrt(np.tile(mixture[columns], design.lagged.n_lags)) for mixture in self.mixtures_]
        self.fold_r_ = np.stack([[_fold_scores(fold, scale, alphas) for fold in folds] for scale in scales])
        mean = np.where(np.isnan(self.fold_r_).any(axis=1), -np.inf, self.fold_r_.mean(axis=1))
        flat = mean.reshape(-1, mean.shape[-1])  # (mixture × alpha, channel)
        mixture, alpha = np.unravel_index(flat.argmax(axis=0), mean.shape[:2])
        channel = np.arange(flat.shape[1])
        undefined = np.isinf(flat).all(axis=0)
        if undefined.any():
            alpha = np.where(undefined, alphas.argmax(), alpha)
            warn(
                "undefined-scores",
                "y",
                f"{int(undefined.sum())} of {len(channel)} channels are constant over the rows of some inner fold "
                f"({name_some(np.flatnonzero(undefined))}), so no held-out r chooses among alphas; they get the "
                "largest.",
            )
        self.cv_r_ = self.fold_r_[mixture, :, alpha, channel].mean(axis=1)
        self.alpha_, self.shares_ = alphas[alpha], self.mixtures_[mixture]
        self.share_at_edge_ = float(np.isin(self.alpha_, [alphas.min(), alphas.max()]).mean())
        warn_at_edge(alphas, self.alpha_, self.cv_r_, one_step_in(alphas, self.alpha_, mean[mixture, :, channel].T))
        self._store(design, all_moments, _refit(all_moments, scales, alphas, mixture, alpha))
        return self

    def _fold(
        self, design: _Design, all_moments: Moments, rows: Rows, *, fold: tuple[Rows, Rows], number: int
    ) -> tuple[Centred, Centred]:
        """Moments of the training and test rows of one inner fold, counted from its training means."""
        train, test = fold
        _check_gap(train, test, design.groups, self._reach(), f"folds: fold {number}")
        outside = np.setdiff1d(rows, train)
        training = all_moments.without(_sums(design, outside)) if len(outside) < len(train) else _sums(design, train)
        scored = test[design.lagged.complete[test]]
        if len(scored) < 3:
            raise ValueError(
                f"folds: fold {number} has {len(scored)} rows whose lags all lie inside their run; expected at least 3."
            )
        x_mean, y_mean = training.x_sum / training.n, training.y_sum / training.n
        return centred(training, x_mean, y_mean), centred(_sums(design, scored), x_mean, y_mean)

    def _store(self, design: _Design, all_moments: Moments, weights: torch.Tensor) -> None:
        first, last = self._checked_lags()
        n_features = len(design.x_offset)
        blocks = weights.cpu().numpy().reshape(last - first + 1, n_features, -1)[::-1]  # (lag, feature, channel)
        blocks = design.units.back(blocks)
        self.coef_ = np.ascontiguousarray(blocks.transpose(2, 1, 0))
        self.x_mean_ = design.x_offset + (all_moments.x_sum / all_moments.n).cpu().numpy()
        self.y_mean_ = design.units.back(design.y_offset + (all_moments.y_sum / all_moments.n).cpu().numpy())
        self.intercept_ = self.y_mean_ - self.coef_.sum(axis=2) @ self.x_mean_
        self.lags_ = np.arange(first, last + 1)
        self.n_features_in_ = n_features

    def _predicted(self, lagged: Lagged, rows: Rows) -> Array:
        """Predict rows from features counted from the training mean."""
        marks = np.zeros((len(self.coef_), 1, len(self.lags_)))  # being inside the run has no weight
        blocks = np.concatenate([self.coef_, marks], axis=1)  # (channel, feature + 1, lag)
        weights = blocks.transpose(2, 1, 0)[::-1].reshape(lagged.width, -1)
        operator = to_tensor(np.ascontiguousarray(weights), lagged.padded.device)
        predictions = np.empty((len(rows), len(self.coef_)))
        size = max(1, 2**22 // lagged.width)
        for place in range(0, len(rows), size):
            chunk = lagged.rows(lagged.starts[rows[place : place + size]])
            predictions[place : place + size] = multiply(chunk, operator).cpu().numpy()
        predicted = predictions + self.y_mean_
        return np.asarray(predicted if self.n_axes_ == 2 else predicted[:, 0])

    # --- what was asked for -----------------------------------------------------------------------------------------

    def _reach(self) -> int:
        return max(map(abs, self._checked_lags()))

    def _inner_folds(self, rows: Rows, groups: NDArray[np.generic]) -> list[tuple[Rows, Rows]]:
        """Training and test rows of the inner folds, among ``rows``, ascending."""
        splitter = self.folds
        if splitter is None:
            n_runs = len(set(groups.tolist()))
            if n_runs < 2:
                return _stretches(rows, self._reach())
            splitter = GroupKFold(min(N_FOLDS, n_runs))
        if not hasattr(splitter, "split"):
            raise TypeError(
                f"folds: got {splitter!r}; expected a splitter with .split, such as GroupKFold(5), or None."
            )
        try:
            split = [
                (np.asarray(train), np.asarray(test)) for train, test in splitter.split(rows[:, None], None, groups)
            ]
        except (ValueError, TypeError) as error:
            raise ValueError(f"folds: {splitter!r} cannot split {len(rows)} rows of these runs: {error}") from error
        folds = [(np.sort(rows[train]), np.sort(rows[test])) for train, test in split]
        if not folds or any(len(train) == 0 or len(test) == 0 for train, test in folds):
            raise ValueError(f"folds: {splitter!r} gave no folds, or an empty one, for {len(rows)} rows.")
        return folds

    def _mixtures(self, n_bands: int) -> Array:
        """Shares of the spaces that are tried, (mixture, band), each row summing to one; alone where there is one."""
        if n_bands == 1:
            return np.ones((1, 1))
        if not isinstance(self.n_mixtures, int) or self.n_mixtures < 1:
            raise ValueError(f"n_mixtures: got {self.n_mixtures!r}; expected a whole number of at least 1.")
        rng = np.random.default_rng(self.rng)
        concentrations = np.resize([1.0, 0.1], self.n_mixtures - 1)  # even and lopsided mixtures in turn
        drawn = [rng.dirichlet(np.full(n_bands, c)) for c in concentrations]
        return np.vstack([np.full(n_bands, 1 / n_bands), *drawn])

    def _band_of_columns(self, n_features: int) -> NDArray[np.intp]:
        """Say which band each column belongs to, (feature,)."""
        band = np.empty(n_features, np.intp)
        for number, columns in enumerate(band_columns(self.bands, n_features).values()):
            band[columns] = number
        return band

    def _checked_lags(self) -> tuple[int, int]:
        lags = self.lags
        whole = isinstance(lags, tuple | list) and len(lags) == 2 and all(isinstance(v, int | np.integer) for v in lags)
        if not whole or lags[0] > lags[1]:
            raise ValueError(
                f"lags: got {lags!r}; expected the first and the last lag in samples, such as (0, 40); lags_between "
                "makes them from seconds."
            )
        return int(lags[0]), int(lags[1])

    def _checked_alphas(self) -> NDArray[np.float64]:
        return checked_alphas(self.alphas)


def _sums(design: _Design, rows: Rows) -> Moments:
    """Sum over rows; what is left out is taken off the whole where that is less work."""
    n = len(design.groups)
    if len(rows) == n:
        return design.total
    if len(rows) <= n // 2:
        return moments(design.lagged, design.Y, rows)
    return design.total.without(moments(design.lagged, design.Y, np.setdiff1d(np.arange(n), rows)))


def _fold_scores(fold: tuple[Centred, Centred], scale: Array, alphas: Array) -> Array:
    """Held-out r of every penalty and channel, (alpha, channel)."""
    train, test = (side.scaled(to_tensor(scale, side.gram.device, torch.float64)) for side in fold)
    scores = [held_out_correlation(_solved(train, alpha), test) for alpha in alphas.tolist()]
    return np.asarray(torch.stack(scores).cpu().numpy())


def _solved(train: Centred, alpha: float) -> torch.Tensor:
    weights = penalised_weights(train, alpha)
    if weights is None:
        raise ValueError(
            f"alphas: {alpha:g} is too small for lagged features that are so alike (their second moments are singular "
            "to machine precision); start the penalties higher."
        )
    return weights


def _refit(
    all_moments: Moments, scales: list[Array], alphas: Array, mixture: NDArray[np.intp], alpha: NDArray[np.intp]
) -> torch.Tensor:
    """Fit all training rows with what was chosen for each channel: (lag × feature, channel)."""
    centre = centred(all_moments, all_moments.x_sum / all_moments.n, all_moments.y_sum / all_moments.n)
    weights = torch.zeros_like(centre.cross)
    for number, row in sorted(set(zip(mixture.tolist(), alpha.tolist(), strict=True))):
        targets = torch.from_numpy(np.flatnonzero((mixture == number) & (alpha == row))).to(weights.device)
        scale = to_tensor(scales[number], weights.device, torch.float64)
        part = centre.scaled(scale)
        weights[:, targets] = scale[:, None] * _solved(part._replace(cross=part.cross[:, targets]), float(alphas[row]))
    return weights


def _stretches(rows: Rows, gap: int) -> list[tuple[Rows, Rows]]:
    """Cut one run into stretches; leave a gap around the one that is held out."""
    folds = [(rows[(rows < test[0] - gap) | (rows > test[-1] + gap)], test) for test in np.array_split(rows, N_FOLDS)]
    if any(len(train) < 2 for train, _ in folds):
        raise ValueError(
            f"folds: {len(rows)} rows of one run leave no training rows beside a stretch and a gap of {gap}; give "
            "folds, shorter lags, or more data."
        )
    return folds


def _check_gap(train: Rows, test: Rows, groups: NDArray[np.generic], gap: int, name: str) -> None:
    """Refuse training rows within the longest lag of test rows of the same run."""
    tested = np.sort(test)
    place = np.searchsorted(tested, train)
    for neighbour in (tested[np.maximum(place - 1, 0)], tested[np.minimum(place, len(tested) - 1)]):
        near = (np.abs(train - neighbour) <= gap) & (groups[train] == groups[neighbour])
        if near.any():
            row = train[near][0]
            raise ValueError(
                f"{name} cuts run {groups[row].item()!r} and trains on {int(near.sum())} rows within the longest "
                f"lag of {gap} samples of a test row; hold out whole runs, or leave a gap: ContiguousFolds(gap=…)."
            )


def _runs(groups: ArrayLike | None, n: int, X: ArrayLike) -> list[Rows]:
    """Rows of every run, each one stretch."""
    if groups is None:
        raise ValueError(
            "groups: none given, and without the runs a lag would reach from one into the next; pass the run, story or "
            f"epoch of every row, or np.zeros({n}) if all is one."
        )
    return [rows for _, rows in rows_of_runs("groups", read_groups(groups, n, row_labels(X)))]


def _recording(targets: Array) -> tuple[Array, Units]:
    """Bring a recording (sample, channel), finite and nowhere constant, into units of its own."""
    refuse_not_finite("y", targets)
    low, high = targets.min(0), targets.max(0)
    constant = np.flatnonzero(low == high)
    if constant.size:
        raise ValueError(f"y: {constant.size} channels are constant ({name_some(constant)}); leave them out.")
    largest = np.maximum(np.abs(low), np.abs(high)).astype(np.float64)
    return in_own_units(targets.astype(np.float64), largest)
