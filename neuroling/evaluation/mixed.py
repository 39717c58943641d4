"""Mixed models on tables: participants and items as crossed random effects, columns by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroling.core.arrays import check_table
from neuroling.numerics.statistics.mixed_fit import MixedFit
from neuroling.numerics.statistics.mixed_model import fit_ml, fit_reml
from neuroling.numerics.statistics.random_terms import RandomTerm

Effect = str | tuple[str, ...]
"""A column, or the columns whose product is an interaction; ``"1"`` is the intercept."""


@dataclass(frozen=True)
class MixedResult:
    """A fitted mixed model with the names of its effects.

    Attributes
    ----------
    fit : MixedFit
        The numbers.
    effects : tuple of str
        Names of the fixed effects; an interaction is written ``a:b``.
    random : Mapping of tuple of str
        Names of the random effects of each grouping column.
    levels : Mapping of pandas.Index
        Levels of each grouping column, in the order of the fit's random effects.
    n_rows : int
        Number of rows.
    fixed : tuple
        Columns of the fixed effects, ``"1"`` first.
    varying : Mapping of tuple
        Columns of the random effects of each grouping column.
    """

    fit: MixedFit
    effects: tuple[str, ...]
    random: Mapping[str, tuple[str, ...]]
    levels: Mapping[str, pd.Index]
    n_rows: int
    fixed: tuple[Effect, ...] = ()
    varying: Mapping[str, tuple[Effect, ...]] = field(default_factory=dict)

    def to_dataframe(self, level: float = 0.95) -> pd.DataFrame:
        """Lay out the fixed effects, one a row.

        Parameters
        ----------
        level : float
            Coverage of the intervals.

        Returns
        -------
        pandas.DataFrame
            Columns estimate, standard_error, df (Satterthwaite), t, p, low, high; the index names the effects.
            ``attrs["vanished"]`` lists :attr:`vanished`, ``attrs["singular"]`` :attr:`singular`.
        """
        low, high = self.fit.interval(level)
        columns = {
            "estimate": self.fit.coefficients,
            "standard_error": self.fit.standard_errors,
            "df": self.fit.degrees_of_freedom,
            "t": self.fit.t,
            "p": self.fit.p,
            "low": low,
            "high": high,
        }
        table = pd.DataFrame(columns, index=pd.Index(self.effects, name="effect"))
        table.attrs["vanished"] = list(self.vanished)
        table.attrs["singular"] = list(self.singular)
        return table

    @property
    def vanished(self) -> tuple[str, ...]:
        """Random effects whose variance was estimated as zero, so that the fit is that of a model without them."""
        names = [_random_names(group, effects) for group, effects in self.random.items()]
        return tuple(names[term][effect] for term, effect in self.fit.vanished)

    @property
    def singular(self) -> tuple[str, ...]:
        """Grouping columns whose random effects have a singular covariance.

        One of them vanished, or some are multiples of others: at a correlation of 1 or -1, intercept and slope of a
        level are one random effect, and a model without the correlation or without the slope fits about as well.
        """
        groups = list(self.random)
        return tuple(groups[term] for term in self.fit.singular)

    @property
    def n_levels(self) -> dict[str, int]:
        """Number of levels of each grouping column."""
        return {group: len(levels) for group, levels in self.levels.items()}

    def random_effects(self, group: str) -> pd.DataFrame:
        """Lay out the predictions of the random effects of one grouping column (BLUPs), one level a row.

        Parameters
        ----------
        group : str
            The column.

        Returns
        -------
        pandas.DataFrame
            A column an effect, in units of the outcome; the index holds the levels.
        """
        if group not in self.random:
            raise ValueError(f"group: got {group!r}; expected one of {list(self.random)}.")
        values = self.fit.random_effects[list(self.random).index(group)]
        return pd.DataFrame(values, index=self.levels[group], columns=pd.Index(self.random[group]))

    def predict(self, table: pd.DataFrame) -> NDArray[np.float64]:
        """Predict rows of a table: fixed effects, and random effects of the levels that the model has seen.

        Parameters
        ----------
        table : pandas.DataFrame
            Columns as in the fit; a level that the model has not seen adds nothing.

        Returns
        -------
        ndarray, shape (row,)
        """
        return self.fit.predict(_columns(table, self.fixed), self._terms(table))

    def predictive_variance(self, table: pd.DataFrame) -> NDArray[np.float64]:
        """Give the variance of rows around their prediction: the residual's, and that of levels never seen.

        Parameters
        ----------
        table : pandas.DataFrame
            Columns as in the fit.

        Returns
        -------
        ndarray, shape (row,)
            In squared units of the outcome.
        """
        variance = np.full(len(table), self.fit.residual_sd**2)
        for term, covariance in zip(self._terms(table), self.fit.random_covariances, strict=True):
            unseen = term.columns[term.group < 0]  # (row, effect)
            variance[term.group < 0] += ((unseen @ covariance) * unseen).sum(axis=1)
        return variance

    def _terms(self, table: pd.DataFrame) -> list[RandomTerm]:
        return [_term(table, group, varying, False, self.levels[group]) for group, varying in self.varying.items()]

    def standard_deviations(self) -> pd.Series:
        """Give the standard deviations of the random effects and of the residual, in units of the outcome."""
        named = {
            name: float(np.sqrt(covariance[place, place]))
            for (group, effects), covariance in zip(self.random.items(), self.fit.random_covariances, strict=True)
            for place, name in enumerate(_random_names(group, effects))
        }
        return pd.Series({**named, "residual": self.fit.residual_sd}, name="standard deviation")


def mixed_model(
    table: pd.DataFrame,
    outcome: str,
    fixed: Sequence[Effect],
    random: Mapping[str, Sequence[Effect]],
    *,
    correlated: bool = False,
    restricted: bool = True,
) -> MixedResult:
    """Fit a linear mixed model with crossed random effects.

    Parameters
    ----------
    table : pandas.DataFrame
        One row an observation.
    outcome : str
        Numeric column to be explained.
    fixed : sequence of str or tuple of str
        Numeric columns, or tuples of them for interactions; an intercept is added. Code conditions with
        :func:`contrast`.
    random : mapping
        Grouping column -> effects that vary by it, such as ``{"participant": ["1", "repetition"], "item": ["1"]}``.
    correlated : bool
        Whether the random effects of one level may correlate.
    restricted : bool
        Whether to maximise the restricted likelihood (REML); False for ML, as comparing models of different fixed
        effects needs.

    Returns
    -------
    MixedResult

    Raises
    ------
    TypeError, ValueError
        If a column is missing, not numeric or has gaps, if a grouping column has one level, if effects are linearly
        dependent, if variances cannot be told apart, or if the model leaves no residual.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> person, item = np.divmod(np.arange(200), 20)
    >>> x = rng.standard_normal(200)
    >>> y = 2 * x + rng.standard_normal(10)[person] + rng.standard_normal(20)[item] + rng.standard_normal(200)
    >>> table = pd.DataFrame({"person": person, "item": item, "x": x, "y": y})
    >>> fitted = mixed_model(table, "y", ["x"], {"person": ["1"], "item": ["1"]})
    >>> list(fitted.to_dataframe().index)
    ['1', 'x']
    """
    check_table("table", table)
    if isinstance(fixed, str):
        raise TypeError(f"fixed: got the str {fixed!r}; expected a list of columns such as [{fixed!r}].")
    if not random:
        raise ValueError("random: empty; expected at least one grouping column, such as {'participant': ['1']}.")
    effects: list[Effect] = ["1", *(effect for effect in fixed if effect != "1")]
    levels = {group: _levels(table, group) for group in random}
    terms = [_term(table, group, varying, correlated, levels[group]) for group, varying in random.items()]
    fit = (fit_reml if restricted else fit_ml)(_number(table, outcome), _columns(table, effects), terms)
    return MixedResult(
        fit=fit,
        effects=tuple(map(_name, effects)),
        random={group: tuple(map(_name, varying)) for group, varying in random.items()},
        levels=levels,
        n_rows=len(table),
        fixed=tuple(effects),
        varying={group: tuple(columns) for group, columns in random.items()},
    )


def contrast(column: pd.Series, plus: object, minus: object) -> pd.Series:
    """Code two conditions as +0.5 and -0.5, so that the coefficient is their difference.

    Parameters
    ----------
    column : pandas.Series, shape (row,)
        Conditions; other values than the two become 0.
    plus, minus : object
        The two values.

    Returns
    -------
    pandas.Series, shape (row,), float64

    Raises
    ------
    ValueError
        If one of the values does not occur.
    """
    for value in (plus, minus):
        if not (column == value).any():
            raise ValueError(f"{column.name}: no row is {value!r}; it has {sorted(map(str, column.unique()))[:8]}.")
    return 0.5 * (column == plus).astype(float) - 0.5 * (column == minus).astype(float)


def _levels(table: pd.DataFrame, group: str) -> pd.Index:
    column = _column(table, group)
    if column.isna().any():
        raise ValueError(f"{group}: {int(column.isna().sum())} rows have no level; leave them out.")
    levels: pd.Index = pd.Index(column.unique(), name=group)
    if len(levels) < 2:
        raise ValueError(
            f"{group}: all {len(table)} rows belong to {levels.tolist()}; a random effect needs several levels. Leave "
            f"{group!r} out of random."
        )
    return levels


def _term(table: pd.DataFrame, group: str, varying: Sequence[Effect], correlated: bool, levels: pd.Index) -> RandomTerm:
    if isinstance(varying, str):
        raise TypeError(f"random: {group!r} has the str {varying!r}; expected a list such as ['1'].")
    if len(varying) == 0:
        raise ValueError(f"random: nothing varies by {group!r}; expected a list such as ['1'].")
    codes = np.asarray(levels.get_indexer(pd.Index(table[group])), dtype=np.intp)
    return RandomTerm(codes, _columns(table, varying), correlated, _random_names(group, map(_name, varying)))


def _columns(table: pd.DataFrame, effects: Sequence[Effect]) -> NDArray[np.float64]:
    return np.column_stack([_values(table, effect) for effect in effects])


def _values(table: pd.DataFrame, effect: Effect) -> NDArray[np.float64]:
    if effect == "1":
        return np.ones(len(table))
    names = (effect,) if isinstance(effect, str) else effect
    return np.asarray(np.prod([_number(table, name) for name in names], axis=0))


def _number(table: pd.DataFrame, name: str) -> NDArray[np.float64]:
    column = _column(table, name)
    if not pd.api.types.is_numeric_dtype(column):
        raise TypeError(
            f"{name}: a column of {column.dtype}; expected numbers. Code a condition with contrast(table[{name!r}], "
            "plus, minus)."
        )
    return column.to_numpy(dtype=np.float64)


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    if name not in table:
        raise ValueError(f"{name}: no such column; the table has {list(table.columns)}.")
    return table[name]


def _name(effect: Effect) -> str:
    return effect if isinstance(effect, str) else ":".join(effect)


def _random_names(group: str, effects: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{group}: {effect}" for effect in effects)
