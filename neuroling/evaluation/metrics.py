"""Metrics: a function of truth and prediction, and the axes that it consumes.

>>> from neuroling import cosine, pearson, r2, spearman, two_vs_two
>>> [metric.name for metric in (pearson, spearman, r2, cosine, two_vs_two)]
['pearson', 'spearman', 'r2', 'cosine, training-mean-centred', 'two_vs_two, training-mean-centred']
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.axes import check_axes
from neuroling.core.notices import warn
from neuroling.core.pair_models import check_models, model_names
from neuroling.core.provenance import content_hash
from neuroling.core.sample_sizes import FEW_VALUES, LEAST_VALUES, check_values
from neuroling.numerics.rdm import comparators
from neuroling.numerics.rdm.comparators import Comparator
from neuroling.numerics.rdm.comparison import unit_ranks
from neuroling.numerics.ridge.leave_two_out import TIE
from neuroling.numerics.statistics import correlation as correlate

Array = NDArray[np.floating[Any]]
Condition = NDArray[np.generic]
Baseline = Literal["none", "training mean"]


@dataclass(frozen=True)
class Contrast:
    """A difference wave: the mean of some samples minus the mean of others."""

    coord: str
    plus: str
    minus: str


@dataclass(frozen=True)
class Controls:
    """Variables that are held constant; two are equal if their values and labels are.

    Attributes
    ----------
    values : xarray.DataArray, dims (sample, model)
        Finite, labelled.
    digest : str
        Hash of them.
    """

    values: xr.DataArray = field(repr=False, compare=False)
    digest: str


@dataclass(frozen=True)
class Metric:
    r"""How a prediction is held against the truth.

    Attributes
    ----------
    name : str
        Name of the metric, as it stands in results.
    score : callable
        Turns truth and prediction, both (\*kept, value), into scores (\*kept,); the consumed axes lie end to end.
        Where ``is_pattern``, both are (\*kept, sample, value): a pattern for each sample.
    over : tuple of str
        Axes consumed. Every other axis survives with its labels.
    chance : float
        Value that means no relation.
    larger_is_better : bool
        Direction.
    correlation : bool
        Whether the score is a correlation, so that Spearman and Brown's formula applies to it.
    baseline : {"none", "training mean"}
        What is subtracted from truth and prediction before they are compared: nothing, or each target's mean over the
        training samples of the split.
    contrast : Contrast, optional
        Compare difference waves instead of samples.
    is_pooled : bool
        Score the held-out samples of all splits at once.
    is_pattern : bool
        Whether samples are told apart by their patterns, so that ``score`` needs to know which value is whose.
    least : int
        Fewest held-out values that a score may rest on; for patterns, fewest values of a pattern.
    few : int
        Held-out values below which a score is warned of.
    of_all_pairs : bool
        Whether samples have to be all pairs of some items, in condensed order.
    controls : Controls or None
        What is held constant, matched by the labels of the samples; from :meth:`partial`.
    of_densities : bool
        Whether what is scored is the log density of observations under a model that gives one, in place of predictions.

    Examples
    --------
    >>> bias = Metric("bias", lambda truth, prediction: (prediction - truth).mean(-1), larger_is_better=False)
    >>> bias.along("sample", "voxel").name
    'bias over sample × voxel'
    """

    name: str
    score: Callable[[Array, Array], Array] = field(repr=False)
    over: tuple[str, ...] = ("sample",)
    chance: float = 0.0
    larger_is_better: bool = True
    correlation: bool = False
    baseline: Baseline = "none"
    contrast: Contrast | None = None
    is_pooled: bool = False
    is_pattern: bool = False
    least: int = 1
    few: int = 0
    of_all_pairs: bool = False
    controls: Controls | None = None
    of_densities: bool = False

    def partial(self, controls: xr.DataArray) -> Metric:
        """Hold other variables constant: the partial correlation given all of them.

        Parameters
        ----------
        controls : xarray.DataArray, dims (sample, model)
            Such as models of dissimilarities from ``confound_rdms``; finite, none of them constant. They are matched
            with the data by the labels of their samples.

        Returns
        -------
        Metric
            Its name says what is held constant.

        Raises
        ------
        ValueError
            If the metric has no partial form: Spearman and Pearson over samples have.

        Examples
        --------
        >>> length = xr.DataArray(
        ...     [[1.0], [3.0], [2.0]],
        ...     dims=("sample", "model"),
        ...     coords={"sample": ["a | b", "a | c", "b | c"], "model": ["length"]},
        ... )
        >>> spearman.partial(length).name
        'partial spearman given length'
        """
        check_models(controls, "controls")
        comparator = comparator_of(self)
        if comparator is None or comparator.partial is None:
            raise ValueError(f"controls: {self.name} has no partial form; use spearman or pearson.")
        if self.over != ("sample",) or self.contrast is not None or self.is_pooled or self.controls is not None:
            raise ValueError(
                f"controls: they are held constant over samples, within every split; got {self.name} over {self.over}. "
                f"Take {comparator.name}.partial(controls), all controls in one array."
            )
        name = f"partial {self.name} given {', '.join(model_names(controls))}"
        return replace(self, name=name, controls=Controls(controls, content_hash(controls)))

    def along(self, *over: str) -> Metric:
        """Consume other axes; the name says which.

        Parameters
        ----------
        *over : str
            Axis names.

        Returns
        -------
        Metric

        Examples
        --------
        >>> pearson.along("time").name
        'pearson over time'
        """
        if not over:
            raise ValueError(f"{self.name}.along: no axis given; expected at least one, such as 'time'.")
        self._refuse_controls("along")
        check_axes(f"{self.name}.along", over)
        if self.is_pattern and ("sample" not in over or len(over) < 2):
            raise ValueError(
                f"{self.name}.along: got {over}; it tells samples apart by their patterns, so expected 'sample' and at "
                "least one more axis."
            )
        name = self.name if set(over) == set(self.over) else f"{self.name} over {' × '.join(over)}"
        return replace(self, name=name, over=over)

    def between(self, coord: str, plus: str, minus: str) -> Metric:
        """Score a difference wave: mean over samples of one condition minus mean over those of another.

        Parameters
        ----------
        coord : str
            Sample coordinate that names the condition.
        plus, minus : str
            Its two values.

        Returns
        -------
        Metric
            Consumes ``sample`` through the difference, then its own axes.
        """
        if plus == minus:
            raise ValueError(f"plus, minus: both are {plus!r}; expected two different values of {coord!r}.")
        self._refuse_controls("between")
        self._refuse_densities("between")
        over = tuple(axis for axis in self.over if axis != "sample")
        if self.is_pattern:
            raise ValueError(f"{self.name}: it tells samples apart, and a difference wave has none left; use cosine.")
        if not over:
            raise ValueError(
                f"{self.name}: nothing is left to score over once the difference has consumed 'sample'; name the axis "
                'first, as in pearson.along("time").between(…).'
            )
        name = f"{self.name} of {plus} - {minus}"
        return replace(self, name=name, over=over, contrast=Contrast(coord, plus, minus))

    def pooled(self) -> Metric:
        """Score all held-out samples at once instead of split by split.

        Truth and prediction are counted from the training mean of their split: raw pooled predictions are biased,
        because the mean of a test set lies opposite to the mean of its training set. A correlation that is pooled
        keeps a little of it, at most half a standard error, because predictions are longest where they happen to fit;
        a null that does everything again has it too.
        """
        self._refuse_controls("pooled")
        self._refuse_densities("pooled")
        base = self.name.replace(CENTRED, "")
        return replace(self, name=f"{base}, pooled{CENTRED}", is_pooled=True, baseline="training mean")

    def uncentred(self) -> Metric:
        """Compare truth and prediction as they are, nothing subtracted; the name says so."""
        return replace(self, name=f"{self.name.replace(CENTRED, '')}, uncentred", baseline="none")

    def _refuse_densities(self, method: str) -> None:
        if self.of_densities:
            raise ValueError(
                f"{self.name}.{method}: log densities are those of single observations, of which the mean is taken "
                "split by split; there is nothing to pool or subtract."
            )

    def _refuse_controls(self, method: str) -> None:
        if self.controls is not None:
            raise ValueError(f"{self.name}.{method}: controls are held constant over samples, within every split.")

    def consumes(self, axis: str) -> bool:
        """Say whether an axis is gone after scoring."""
        return axis in self.over or (axis == "sample" and self.contrast is not None)

    def kept(self, dims: tuple[str, ...]) -> tuple[str, ...]:
        """Name the axes that survive, and refuse axes that do not fit.

        Parameters
        ----------
        dims : tuple of str
            Axes of truth and prediction, ``("sample", *targets)``.

        Returns
        -------
        tuple of str
        """
        absent = [axis for axis in self.over if axis not in dims]
        if absent:
            raise ValueError(
                f"metric: {self.name} consumes {self.over}, but the recording has {dims}: {absent} is missing. "
                "Change the metric with .along(…)."
            )
        if not self.consumes("sample"):
            raise ValueError(
                f"metric: {self.name} consumes {self.over} and would keep 'sample' of {dims}, but every split has "
                "other samples. Add 'sample' to .along(…), or compare conditions with .between(…)."
            )
        return tuple(dim for dim in dims if not self.consumes(dim))


CENTRED = ", training-mean-centred"


def apply(
    metric: Metric,
    truth: Array,
    prediction: Array,
    dims: tuple[str, ...],
    condition: Condition | None,
    controls: Array | None = None,
) -> Array:
    r"""Score one set of held-out samples.

    Parameters
    ----------
    metric : Metric
        What to compute.
    truth, prediction : ndarray, shape (sample, \*targets)
        Held-out values, counted from the metric's baseline.
    dims : tuple of str
        ``("sample", *targets)``.
    condition : ndarray or None, shape (sample,)
        Values of the contrast's coordinate.
    controls : ndarray or None, shape (control, sample)
        What is held constant.

    Returns
    -------
    ndarray, shape (\*kept,)
    """
    if metric.contrast is not None:
        truth = difference(truth, condition, metric.contrast)  # (*targets)
        prediction = difference(prediction, condition, metric.contrast)
        dims = dims[1:]
    laid = [lay_out(metric, values, dims) for values in (truth, prediction)]
    scores = np.asarray(metric.score(*laid)) if controls is None else _partial(metric, laid[0], laid[1], controls)
    expected = tuple(size for size, dim in zip(truth.shape, dims, strict=True) if dim not in metric.over)
    if scores.shape != expected:
        raise ValueError(
            f"metric: {metric.name} gave scores of shape {scores.shape}; expected {expected}, one for each position "
            f"that is left once {metric.over} of {dims} are consumed."
        )
    return scores


def _partial(metric: Metric, truth: Array, prediction: Array, controls: Array) -> Array:
    """Correlate (…, value) with (…, value), each row with its own prediction, given controls (control, value)."""
    comparator = comparator_of(metric)
    assert comparator is not None  # noqa: S101 - asked in Metric.partial
    assert comparator.partial is not None  # noqa: S101 - asked in Metric.partial
    rows, models = (np.broadcast_to(s, truth.shape).reshape(-1, truth.shape[-1]) for s in (truth, prediction))
    scores = [
        comparator.partial(row[None].astype(np.float64), model[None].astype(np.float64), controls)[0, 0]
        for row, model in zip(rows, models, strict=True)
    ]
    return np.asarray(scores).reshape(truth.shape[:-1])


def lay_out(metric: Metric, values: Array, dims: tuple[str, ...]) -> Array:
    r"""Move the consumed axes last, end to end.

    Parameters
    ----------
    metric : Metric
        Names the axes.
    values : ndarray, shape ``dims``
        Truth or prediction.
    dims : tuple of str
        Axes of ``values``.

    Returns
    -------
    ndarray, shape (\*kept, value), or (\*kept, sample, value) for patterns
    """
    over = ("sample", *(axis for axis in metric.over if axis != "sample")) if metric.is_pattern else metric.over
    moved = np.moveaxis(values, [dims.index(axis) for axis in over], range(-len(over), 0))
    last = len(over) - metric.is_pattern
    return moved.reshape(*moved.shape[: moved.ndim - last], -1)


def difference(values: Array, condition: Condition | None, contrast: Contrast) -> Array:
    r"""Average samples by condition and subtract.

    Parameters
    ----------
    values : ndarray, shape (sample, \*targets)
        Held-out values.
    condition : ndarray, shape (sample,)
        Condition of each.
    contrast : Contrast
        Which to subtract from which.

    Returns
    -------
    ndarray, shape (\*targets,)

    Raises
    ------
    ValueError
        If one of the conditions is missing among the samples.
    """
    assert condition is not None  # noqa: S101 - evaluate looks the coordinate up before the first split
    means = []
    for value in (contrast.plus, contrast.minus):
        rows = condition == value
        if not rows.any():
            raise ValueError(
                f"splits: a test set of {len(condition)} samples has none with {contrast.coord} = {value!r} (it has "
                f"{sorted(map(str, set(condition.tolist())))}); use splits that keep both conditions, or .pooled()."
            )
        means.append(values[rows].mean(axis=0))
    return np.asarray(means[0] - means[1])


def _warn_undefined(name: str, scores: Array | np.float64) -> Array:
    scores = np.asarray(scores)
    undefined = int(np.isnan(scores).sum())
    if undefined:
        warn(
            "undefined-scores",
            "metric",
            f"{name}: {undefined} of {scores.size} scores are undefined (NaN), because truth or prediction is constant "
            "over the held-out values.",
        )
    return scores


def _at_least(name: str, truth: Array, least: int) -> None:
    check_values("metric", name, truth.shape[-1], least, 0)


@dataclass(frozen=True)
class PearsonScore:
    """Pearson correlation over the last axis: the inner product of centred vectors of length one."""

    comparator = comparators.pearson

    def __call__(self, truth: Array, prediction: Array) -> Array:
        """Correlate (…, value) with (…, value)."""
        _at_least("pearson", truth, LEAST_VALUES)
        return _warn_undefined("pearson", correlate.pearson(truth, prediction))

    def unit_vectors(self, rows: Array) -> Array:
        """Give the vectors (row, value) whose inner products are the correlations of rows (row, value)."""
        centred = rows - rows.mean(axis=1, keepdims=True)
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        return np.asarray(centred / np.where(length > 0, length, np.nan))


@dataclass(frozen=True)
class SpearmanScore:
    """Spearman rank correlation over the last axis: the inner product of centred ranks of length one."""

    comparator = comparators.spearman

    def __call__(self, truth: Array, prediction: Array) -> Array:
        """Correlate ranks of (…, value) with ranks of (…, value)."""
        _at_least("spearman", truth, LEAST_VALUES)
        return _warn_undefined("spearman", correlate.spearman(truth, prediction))

    def unit_vectors(self, rows: Array) -> Array:
        """Give the vectors (row, value) whose inner products are the rank correlations of rows (row, value)."""
        return np.asarray(unit_ranks(rows))


@dataclass(frozen=True)
class PairMatchingScore:
    """Share of pairs of samples whose right matching beats the wrong one, by the cosine of their patterns."""

    def __call__(self, truth: Array, prediction: Array) -> Array:
        """Match (…, sample, value) with (…, sample, value)."""
        n = truth.shape[-2]
        if n < 2:
            raise ValueError(
                f"metric: two_vs_two needs two held-out samples to discriminate, got {n}; use LeavePOut(2)."
            )
        return share_matched(similarity(truth, prediction))


@runtime_checkable
class InnerProductScore(Protocol):
    """A score that is the inner product of two vectors, one made from the truth and one from the prediction alone."""

    def unit_vectors(self, rows: Array) -> Array:
        """Turn rows (row, value) into vectors (row, value) of length one."""
        ...


@runtime_checkable
class ComparesRows(Protocol):
    """A score that compares many rows of samples with many models at once, as RSA over time needs it."""

    @property
    def comparator(self) -> Comparator:
        """The measure, with what makes it fast."""
        ...


def comparator_of(metric: Metric) -> Comparator | None:
    """Give what compares many rows with many models by a metric, or None where it scores otherwise.

    Parameters
    ----------
    metric : Metric
        Any metric.
    """
    return metric.score.comparator if isinstance(metric.score, ComparesRows) else None


def _r2(truth: Array, prediction: Array) -> Array:
    _at_least("r2", truth, 2)
    return _warn_undefined("r2", correlate.r2(truth, prediction))


@dataclass(frozen=True)
class CosineScore:
    """Cosine over the last axis."""

    comparator = comparators.cosine

    def __call__(self, truth: Array, prediction: Array) -> Array:
        """Compare (…, value) with (…, value)."""
        _at_least("cosine", truth, 2)
        return _warn_undefined("cosine", correlate.cosine(truth, prediction))


def similarity(truth: Array, prediction: Array) -> NDArray[np.float64]:
    """Give the cosine of every predicted pattern with every true one.

    Parameters
    ----------
    truth, prediction : ndarray, shape (…, sample, value)
        Patterns.

    Returns
    -------
    ndarray, shape (…, predicted sample, true sample)
        Zero for patterns of no length.
    """
    return np.asarray(_unit_length(prediction) @ np.swapaxes(_unit_length(truth), -1, -2))


def share_matched(similarity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the share of pairs of samples whose right matching is more alike than the wrong one; ties count half.

    Parameters
    ----------
    similarity : ndarray, shape (…, predicted sample, true sample)
        Cosines.

    Returns
    -------
    ndarray, shape (…,)
    """
    own = np.diagonal(similarity, axis1=-2, axis2=-1)  # (…, sample)
    gain = own[..., :, None] + own[..., None, :] - similarity - np.swapaxes(similarity, -1, -2)  # (…, sample, sample)
    n = own.shape[-1]
    won = (gain > TIE).sum(axis=(-2, -1)) - (gain < -TIE).sum(axis=(-2, -1))  # every pair twice, the diagonal never
    return np.asarray((1 + won / (n * (n - 1))) / 2)


def _unit_length(values: Array) -> Array:
    """Scale patterns to length one in float64; a pattern of no length stays as it is, alike to nothing."""
    norm = np.linalg.norm(values.astype(np.float64), axis=-1, keepdims=True)
    return np.asarray(values / np.where(norm > 0, norm, 1))


pearson = Metric("pearson", PearsonScore(), correlation=True, least=LEAST_VALUES, few=FEW_VALUES)
"""Pearson correlation over samples; over at least three values, with a warning below five."""

spearman = Metric("spearman", SpearmanScore(), correlation=True, least=LEAST_VALUES, few=FEW_VALUES)
"""Spearman rank correlation over samples; over at least three values, with a warning below five."""

r2 = Metric("r2", _r2, least=2, few=FEW_VALUES)
r"""Coefficient of determination :math:`1 - \sum (y - \hat y)^2 / \sum (y - \bar y)^2`, unbounded below.

Zero is what the mean of the test samples would score; a model of noise falls below it.
"""

cosine = Metric(f"cosine{CENTRED}", CosineScore(), baseline="training mean", least=2, few=FEW_VALUES - 1)
"""Cosine over samples, or over patterns with ``.along``, counted from the training mean; over at least two values, of
which one would be 1 or -1, with a warning below four."""


@dataclass(frozen=True)
class MeanLogDensity:
    """Mean log density over the last axis."""

    def __call__(self, truth: Array, prediction: Array) -> Array:  # noqa: ARG002 - both are the densities
        """Average (…, value)."""
        return np.asarray(truth.mean(axis=-1))


log_likelihood = Metric("log-likelihood", MeanLogDensity(), chance=float("nan"), of_densities=True)
"""Log-likelihood per held-out observation (natural logarithm), for models that give densities, such as `MixedModel`.

It depends on the unit of the recording, and no value of it means chance: what counts is the gain over a baseline, which
does not, from ``evaluate({"model": …, "baseline": …}, …).difference("model", "baseline")``.
"""

two_vs_two = Metric(
    f"two_vs_two{CENTRED}",
    PairMatchingScore(),
    over=("sample", "voxel"),
    chance=0.5,
    baseline="training mean",
    is_pattern=True,
    least=2,
)
"""Share of pairs of held-out samples told apart by the cosine of their patterns; ties count half.

Source: Mitchell et al. (2008), Science 320, 1191-1195.
"""
