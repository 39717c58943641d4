"""Linear mixed models as estimators: participants and items as crossed random effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from neuroling.core.align import Aligned
from neuroling.core.estimates import Estimates
from neuroling.evaluation.mixed import Effect, MixedResult, mixed_model

Array = NDArray[np.float64]

OUTCOME = "__outcome__"
"""Column that holds the outcome while a table is fitted."""

STACKED = ("repeat", "subject")
"""Axes of a recording that may be a grouping: their entries become rows."""


class MixedModel(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    r"""Linear mixed model with crossed random effects, fitted by restricted or full maximum likelihood.

    For :func:`~neuroling.evaluation.estimation.estimate.estimate`, which gives estimates, intervals, Satterthwaite's
    degrees of freedom, p values, log-likelihood, AIC and BIC; and for ``evaluate``, which predicts held-out trials,
    with ``metric=log_likelihood`` their densities. The optimum is that of lme4, boundaries included.

    Parameters
    ----------
    fixed : sequence of str or tuple of str
        Features with fixed effects; a tuple is an interaction. An intercept is added.
    random : mapping of str to sequence of str or tuple of str
        Grouping -> effects that vary by it, such as ``{"participant": ["1", "surprisal"], "item": ["1"]}``; ``"1"`` is
        the intercept. A grouping is a coordinate of the samples, an axis ``repeat`` or ``subject`` of the recording, or
        a crossing of coordinates, ``"participant:item"``.
    correlated : bool
        Whether the random effects of one level may correlate.
    restricted : bool
        Restricted likelihood (REML), which estimates variances without bias; False for maximum likelihood (ML), which
        comparisons of models with different fixed effects need.

    Attributes
    ----------
    fits_ : list of MixedResult
        One for each target.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> reader, item = np.divmod(np.arange(200), 20)
    >>> table = pd.DataFrame({"x": rng.standard_normal(200), "reader": reader, "item": item})
    >>> y = 2 * table["x"] + rng.standard_normal(10)[reader] + rng.standard_normal(20)[item] + rng.standard_normal(200)
    >>> model = MixedModel(["x"], {"reader": ["1"], "item": ["1"]}).fit(table, y)
    >>> bool(abs(model.fits_[0].fit.coefficients[1] - 2) < 0.3), model.random_effects("item").shape
    (True, (20, 1))
    """

    def __init__(
        self,
        fixed: Sequence[Effect],
        random: Mapping[str, Sequence[Effect]],
        *,
        correlated: bool = False,
        restricted: bool = True,
    ) -> None:
        self.fixed = fixed
        self.random = random
        self.correlated = correlated
        self.restricted = restricted

    def fit(self, X: pd.DataFrame, y: ArrayLike) -> Self:
        """Fit to a table.

        Parameters
        ----------
        X : pandas.DataFrame
            One row per observation: features and groupings.
        y : array-like, shape (row,) or (row, target)
            Outcome; every target is fitted by itself.

        Returns
        -------
        MixedModel
            Itself.

        Raises
        ------
        TypeError, ValueError
            If a column is missing, not numeric or has gaps, or the model cannot be told from the data; the message says
            why.
        """
        table = self._with_crossings(X)
        values = np.asarray(y, dtype=np.float64)
        if values.ndim not in (1, 2) or len(values) != len(table):
            raise ValueError(f"y: got shape {values.shape}; expected ({len(table)},) or ({len(table)}, target).")
        self.fits_ = [
            mixed_model(
                table.assign(**{OUTCOME: column}),
                OUTCOME,
                self.fixed,
                self.random,
                correlated=self.correlated,
                restricted=self.restricted,
            )
            for column in values.reshape(len(values), -1).T
        ]
        self._is_flat = values.ndim == 1
        return self

    def fit_to(self, data: Aligned) -> Self:
        """Fit to aligned data, for what belongs to groupings: random effects and their standard deviations.

        Parameters
        ----------
        data : Aligned
            As for ``estimate``.

        Returns
        -------
        MixedModel
            Itself.
        """
        table, outcome = self._rows(data)
        return self.fit(table, outcome)

    def predict(self, X: pd.DataFrame) -> Array:
        """Predict rows: fixed effects, and the random effects of the levels that the model has seen.

        Parameters
        ----------
        X : pandas.DataFrame
            Columns as for ``fit``; a level that the model has not seen adds nothing.

        Returns
        -------
        ndarray, shape (row,) or (row, target)
        """
        check_is_fitted(self)
        table = self._with_crossings(X)
        predicted = np.column_stack([fit.predict(table) for fit in self.fits_])
        return predicted[:, 0] if self._is_flat else predicted

    def log_density(self, X: pd.DataFrame, y: ArrayLike) -> Array:
        r"""Give the logarithm of the density of every observation under the fitted model.

        The density is normal, with the mean of :meth:`predict` and the variance of the residual plus that of the random
        effects whose level the model has not seen.

        Parameters
        ----------
        X : pandas.DataFrame
            Columns as for ``fit``.
        y : array-like, shape (row,) or (row, target)
            Outcome.

        Returns
        -------
        ndarray, shape as ``y``
            Natural logarithm, per unit of the outcome.
        """
        check_is_fitted(self)
        table, outcome = self._with_crossings(X), np.asarray(y, dtype=np.float64)
        spread = np.sqrt(np.column_stack([fit.predictive_variance(table) for fit in self.fits_]))  # (row, target)
        mean = np.column_stack([fit.predict(table) for fit in self.fits_])
        density = stats.norm.logpdf(outcome.reshape(len(table), -1), mean, spread)
        return np.asarray(density.reshape(outcome.shape))

    def random_effects(self, group: str, target: int = 0) -> pd.DataFrame:
        """Give the predictions of the random effects of one grouping (BLUPs), one level per row.

        Parameters
        ----------
        group : str
            The grouping.
        target : int
            Index of the target.

        Returns
        -------
        pandas.DataFrame
            One column per effect, in units of the outcome.
        """
        check_is_fitted(self)
        return self.fits_[target].random_effects(group)

    def standard_deviations(self, target: int = 0) -> pd.Series:
        """Give the standard deviations of the random effects and of the residual, in units of the outcome.

        Parameters
        ----------
        target : int
            Index of the target.

        Returns
        -------
        pandas.Series
        """
        check_is_fitted(self)
        return self.fits_[target].standard_deviations()

    def estimate(self, data: Aligned) -> Estimates:
        r"""Fit to aligned data and lay out the fixed effects; what ``estimate(model, data)`` asks for.

        Parameters
        ----------
        data : Aligned
            Features of every sample; the recording's target axes are kept, every target is fitted by itself.

        Returns
        -------
        Estimates
            Dims (feature, \*targets).
        """
        fits = type(self)(**self.get_params(deep=False)).fit_to(data).fits_
        dims = tuple(dim for dim in data.targets if dim not in self.random)
        shape = tuple(data.y.sizes[dim] for dim in dims)
        coords = {name: coord for name, coord in data.y.coords.items() if coord.dims and set(coord.dims) <= set(dims)}

        def over_targets(values: Sequence[float]) -> xr.DataArray:
            return xr.DataArray(np.reshape(np.asarray(values, dtype=np.float64), shape), dims=dims, coords=coords)

        def by_feature(rows: Sequence[Array]) -> xr.DataArray:
            values = np.reshape(np.transpose(rows), (len(fits[0].effects), *shape))
            return xr.DataArray(values, dims=("feature", *dims), coords={**coords, "feature": list(fits[0].effects)})

        diagnostics = {
            "log_likelihood": over_targets([fit.fit.log_likelihood for fit in fits]),
            "aic": over_targets([fit.fit.aic for fit in fits]),
            "bic": over_targets([fit.fit.bic for fit in fits]),
            "n_parameters": xr.DataArray(fits[0].fit.n_parameters),
            "n_observations": xr.DataArray(fits[0].n_rows),
            "is_restricted": xr.DataArray(int(self.restricted)),
            "is_singular": over_targets([fit.fit.is_singular for fit in fits]),
            "has_converged": over_targets([fit.fit.converged for fit in fits]),
        }
        deviations = [fit.standard_deviations() for fit in fits]
        diagnostics |= {
            f"sd of {name}": over_targets([deviation[name] for deviation in deviations]) for name in deviations[0].index
        }
        return Estimates(
            estimate=by_feature([fit.fit.coefficients for fit in fits]),
            standard_error=by_feature([fit.fit.standard_errors for fit in fits]),
            df=by_feature([fit.fit.degrees_of_freedom for fit in fits]),
            method=self._described(fits[0]),
            diagnostics=diagnostics,
            notes=_notes(fits),
        )

    def on_rows(self, data: Aligned) -> MixedModelOnRows:
        """Give a predictor whose features are the numbers of rows of the data, which ``evaluate`` can split.

        Parameters
        ----------
        data : Aligned
            Features and labels of all samples.
        """
        if "repeat" in data.y.dims:
            raise ValueError(
                "data: the recording has an axis 'repeat', over which evaluate averages; give MixedModel single "
                "trials, one per sample, as align_table lays them out."
            )
        table = self._with_crossings(_labels_and_features(data))
        stacked = [name for name in self.random if name in data.y.dims and name not in table]
        if stacked:
            raise ValueError(
                f"random: {stacked} are axes of the recording, whose entries evaluate predicts by themselves; lay the "
                "trials out with one per sample, as align_table does."
            )
        absent = [name for name in self._columns() if name not in table]
        if absent:
            raise ValueError(
                f"model: {absent} are neither features nor labels of the samples, which are {list(table)}."
            )
        return MixedModelOnRows(self, table, data)

    def _columns(self) -> list[str]:
        """Names of the columns that the model reads."""
        effects = [*self.fixed, *(effect for varying in self.random.values() for effect in varying)]
        parts = [part for effect in effects for part in ((effect,) if isinstance(effect, str) else effect)]
        return [name for name in dict.fromkeys([*self.random, *parts]) if name != "1"]

    def _with_crossings(self, X: pd.DataFrame) -> pd.DataFrame:
        """Add a column for every crossing, such as "participant:item"."""
        if not isinstance(X, pd.DataFrame):
            raise TypeError(
                f"X: got {type(X).__name__}; expected a pandas.DataFrame with the features and groupings, or "
                "estimate(model, data) with aligned data."
            )
        added = {}
        for name in self.random:
            parts = name.split(":")
            if name not in X and len(parts) > 1 and all(part in X for part in parts):
                added[name] = X[parts].astype(str).agg(":".join, axis=1)
        return X.assign(**added) if added else X

    def _rows(self, data: Aligned) -> tuple[pd.DataFrame, Array]:
        r"""Lay aligned data out, one observation per row: a table, and the outcome (row, \*targets) or (row,)."""
        axes = [axis for axis in STACKED if axis in data.y.dims and axis in self.random]
        if "repeat" in data.y.dims and "repeat" not in axes:
            raise ValueError(
                "data: the recording has an axis 'repeat', which is in no random effect; name it in random, such as "
                "random={'repeat': ['1'], …}, or average it first with .mean('repeat')."
            )
        y = data.y.transpose("sample", *axes, ...)
        table = _labels_and_features(data)
        n_entries = int(np.prod([y.sizes[axis] for axis in axes], dtype=np.intp))
        flat = y.to_numpy().reshape(len(table) * n_entries, -1)  # (row, target)
        if axes:
            entries = pd.MultiIndex.from_product([_axis_labels(y, axis) for axis in axes], names=axes).to_frame()
            table = table.loc[np.repeat(table.index, n_entries)].reset_index(drop=True)
            table = table.assign(**{axis: np.tile(entries[axis].to_numpy(), len(data.x)) for axis in axes})
        is_there = np.isfinite(flat).all(axis=1)  # a repeat that a sample lacks is NaN
        return table[is_there].reset_index(drop=True), flat[is_there]

    def _described(self, fit: MixedResult) -> str:
        kind = "REML" if self.restricted else "maximum likelihood"
        random = ", ".join(
            f"{', '.join(effects)} by {group} ({fit.n_levels[group]})" for group, effects in fit.random.items()
        )
        correlated = ", correlated" if self.correlated else ""
        return f"linear mixed model ({kind}), {fit.n_rows} observations; random effects{correlated}: {random}"


class MixedModelOnRows(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A mixed model whose features are row numbers of one table, so that groupings travel through splits.

    Parameters
    ----------
    model : MixedModel
        The model.
    table : pandas.DataFrame
        Features and groupings of all rows.
    source : Aligned, optional
        What the table was made from.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"x": rng.standard_normal(40), "reader": np.repeat(range(8), 5)})
    >>> rows = MixedModelOnRows(MixedModel(["x"], {"reader": ["1"]}), table)
    >>> X, y = np.arange(40.0)[:, None], 3 * table["x"].to_numpy() + rng.standard_normal(40)
    >>> rows.fit(X[:32], y[:32]).predict(X[32:]).shape
    (8,)
    """

    def __init__(self, model: MixedModel, table: pd.DataFrame, source: Aligned | None = None) -> None:
        self.model = model
        self.table = table
        self.source = source

    def __repr__(self) -> str:
        return repr(self.model)

    def __sklearn_clone__(self) -> MixedModelOnRows:
        return MixedModelOnRows(self.model, self.table, self.source)

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to some rows.

        Parameters
        ----------
        X : array-like, shape (row, 1)
            Row numbers.
        y : array-like, shape (row,) or (row, target)
            Outcome.
        """
        self.fitted_ = type(self.model)(**self.model.get_params(deep=False)).fit(self._at(X), y)
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predict rows; see :meth:`MixedModel.predict`.

        Parameters
        ----------
        X : array-like, shape (row, 1)
            Row numbers.
        """
        return self.fitted_.predict(self._at(X))

    def log_density(self, X: ArrayLike, y: ArrayLike) -> Array:
        """Give log densities of rows; see :meth:`MixedModel.log_density`.

        Parameters
        ----------
        X : array-like, shape (row, 1)
            Row numbers.
        y : array-like, shape (row,) or (row, target)
            Outcome.
        """
        return self.fitted_.log_density(self._at(X), y)

    def _at(self, X: ArrayLike) -> pd.DataFrame:
        return self.table.iloc[np.asarray(X)[:, 0].astype(np.intp)]


def _labels_and_features(data: Aligned) -> pd.DataFrame:
    """Give a table with the features and labels of all samples."""
    features = {str(name): data.x.sel(feature=name).to_numpy() for name in data.x["feature"].to_numpy()}
    labels = {
        str(name): coord.to_numpy()
        for name, coord in data.y.coords.items()
        if coord.dims == ("sample",) and str(name) not in features
    }
    return pd.DataFrame(labels | features)


def _axis_labels(y: xr.DataArray, axis: str) -> list[object]:
    return list(y[axis].to_numpy()) if axis in y.coords else list(range(y.sizes[axis]))


def _notes(fits: Sequence[MixedResult]) -> tuple[str, ...]:
    """Say which random effects vanished or are singular, and how often where there are many targets."""
    counted: dict[str, int] = {}
    for fit in fits:
        lines = [f"the variance of {name} was estimated as zero" for name in fit.vanished]
        groups = [name for name in fit.singular if not any(gone.startswith(f"{name}: ") for gone in fit.vanished)]
        lines += [f"the random effects of {name} are multiples of one another (singular)" for name in groups]
        lines += [] if fit.fit.converged else ["the search for the variances has not converged"]
        for line in lines:
            counted[line] = counted.get(line, 0) + 1
    of = "" if len(fits) == 1 else " at {count} of " + f"{len(fits)} targets"
    return tuple(line + of.format(count=count) for line, count in counted.items())
