"""Scores of a model on splits, and the same under a null: one meaning, the cheapest route to it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.align import Aligned
from neuroling.core.protocols import (
    Array,
    LinearGivenChoices,
    LinearHoldsOut,
    Predictor,
    Rows,
    SelectsFolds,
    Split,
    TargetSelector,
)
from neuroling.evaluation.heldout import HeldOut, fit_split, held_out, predict_splits
from neuroling.evaluation.metrics import Metric, apply, lay_out, pearson, similarity, two_vs_two
from neuroling.numerics.permutation.linear_models import LinearSplit, linear_draws
from neuroling.numerics.permutation.scores import pearson_of_relabelings, two_vs_two_of_relabelings
from neuroling.numerics.ridge import leave_two_out as pair_algebra

STACKED_VALUES = 2**22
"""Values of a batch of stacked draws, 16 MiB in float32: enough for full speed, and copies on the way stay small."""


@dataclass(frozen=True)
class Scorer:
    """A model, data, splits and a metric: what :func:`evaluate` scores and an inference scores again.

    Attributes
    ----------
    model : Predictor
        The model.
    data : Aligned
        Features and recording.
    splits : sequence of Split
        Row numbers.
    metric : Metric
        The metric.
    select : TargetSelector, optional
        Chooses targets in every training set.
    keeps_choices : bool
        Whether draws of a null will keep the penalties of the first fit: it is then remembered.
    """

    model: Predictor
    data: Aligned
    splits: Sequence[Split]
    metric: Metric
    select: TargetSelector | None = None
    keeps_choices: bool = False

    def __post_init__(self) -> None:
        _check_model(self.model)
        self.metric.kept(self.dims)
        if self.select is not None:
            _check_selector(self.select, self.metric, self.data.targets)
        if self.metric.is_pooled and self.metric.is_pattern:
            _check_once(self.splits, self.metric)
        if self.metric.baseline == "training mean" and any(len(split.train) == 0 for split in self.splits):
            raise ValueError(
                f"metric: {self.metric.name} counts from the training mean, but a split has no training samples; "
                "use .uncentred()."
            )

    @property
    def dims(self) -> tuple[str, ...]:
        """Axes of truth and prediction."""
        return ("sample", *self.data.targets)

    @property
    def larger_is_better(self) -> bool:
        """Direction of the metric."""
        return self.metric.larger_is_better

    @property
    def chance(self) -> float:
        """Value of the metric that means no relation."""
        return self.metric.chance

    @property
    def is_correlation(self) -> bool:
        """Whether Spearman and Brown's formula applies to the metric."""
        return self.metric.correlation

    @cached_property
    def condition(self) -> NDArray[np.generic] | None:
        """Values of the contrast's coordinate, shape (sample,)."""
        return None if self.metric.contrast is None else self.data.coordinate(self.metric.contrast.coord)

    @cached_property
    def selected(self) -> list[Rows] | None:
        """Targets chosen in the training set of every split, or None where all are scored."""
        if self.select is None:
            return None
        y = self.data.y.values if "repeat" in self.data.y.dims else self.data.y.values[:, None]
        recording = np.moveaxis(y.reshape(*y.shape[:2], -1), 1, 0)  # (repeat, sample, target)
        if isinstance(self.select, SelectsFolds) and self._complementary:
            return list(self.select.select_folds(recording, [split.test for split in self.splits]))
        _check_looks(self.select, recording[:, self.splits[0].train])
        return [np.flatnonzero(_checked_mask(self.select, recording[:, split.train])) for split in self.splits]

    @cached_property
    def _complementary(self) -> bool:
        return all(len(s.train) + len(s.test) == self.data.n_samples for s in self.splits)

    # --- scores of the data as they are -------------------------------------------------------------------------

    @cached_property
    def scores(self) -> xr.DataArray:
        r"""Score of every split, dims (split, \*kept)."""
        gram = self._gram_route
        if gram is not None:
            return self._labelled(gram.scores())
        pairs = held_out(self.model, self.data, self.splits, self._remember if self.keeps_choices else None)
        return self._labelled(self._score_all(pairs, self.data.y_mean.values))

    def observed(self) -> xr.DataArray:
        r"""Mean score over splits, dims (\*kept,)."""
        return self.scores.mean("split", skipna=False)

    def score_pair(self, truth: xr.DataArray, prediction: xr.DataArray) -> xr.DataArray:
        r"""Score a recording against a prediction of it that was made elsewhere, on the same splits and targets.

        Parameters
        ----------
        truth, prediction : xarray.DataArray, dims (sample, \*targets)
            Such as two halves of the repeats.

        Returns
        -------
        xarray.DataArray, dims (split, \*kept)
        """
        a, b = (side.transpose(*self.dims).values for side in (truth, prediction))
        pairs = (HeldOut(split, a[split.test], b[split.test]) for split in self.splits)
        return self._labelled(self._score_all(pairs, a, b))

    # --- scores under a null ------------------------------------------------------------------------------------

    def reordered(self, orders: NDArray[np.intp], *, keep_choices: bool = False) -> Iterator[xr.DataArray]:
        r"""Score the whole procedure with the recording's rows taken in other orders.

        Features, labels and splits stay; everything that touches the recording (fit, selection, baseline) is done
        anew. Routes, fastest first, all equal: inner products over targets only; draws stacked as further targets;
        one refit a draw.

        Parameters
        ----------
        orders : ndarray of int, shape (draw, sample)
            A permutation of the samples each.
        keep_choices : bool
            Keep the penalties that were chosen for the recording as it is; weights are still fitted anew. A draw then
            costs one product with the operators of the model, which are made once.

        Yields
        ------
        xarray.DataArray, dims (\*kept,)
            Mean score over splits of each draw.

        Raises
        ------
        ValueError
            If choices are to be kept and the model or the metric does not allow it.
        """
        if keep_choices:
            yield from self._from_operators(orders)
            return
        gram = self._gram_route
        if gram is not None and gram.is_complete:
            for value in gram.null(orders):
                yield self._label(np.asarray(value))
        elif self.select is None and getattr(self.model, "independent_targets", False):
            yield from self._stacked(orders)
        else:
            for order in orders:
                yield replace(self, data=self.data.reordered(order)).observed()

    def relabelled(self, orders: Iterable[Sequence[Rows]]) -> Iterator[xr.DataArray]:
        r"""Score the same predictions against held-out truths that have changed places within their split.

        Parameters
        ----------
        orders : iterable of sequence of ndarray
            For every draw, one permutation of the test samples a split.

        Yields
        ------
        xarray.DataArray, dims (\*kept,)
            Mean score over splits of each draw.
        """
        pairs = list(held_out(self.model, self.data, self.splits))
        plain = not self.metric.is_pooled and self.metric.contrast is None
        if plain and self.metric.score is two_vs_two.score and set(self.dims) == set(self.metric.over):
            yield from self._rematched(pairs, orders)
        elif plain and self.metric.score is pearson.score and self.metric.over == ("sample",):
            yield from self._recorrelated(pairs, orders)
        else:
            for order in orders:
                moved = (replace(p, truth=p.truth[rows]) for p, rows in zip(pairs, order, strict=True))
                scores = self._score_all(moved, self.data.y_mean.values)
                yield self._labelled(scores).mean("split", skipna=False)

    def _rematched(self, pairs: Sequence[HeldOut], orders: Iterable[Sequence[Rows]]) -> Iterator[xr.DataArray]:
        """Match every draw from similarities that are computed once: samples that move take theirs along."""
        sides = [
            self._sides(number, *pair) for number, pair in enumerate(self._centred(pairs, self.data.y_mean.values))
        ]
        similar = [
            similarity(*(lay_out(self.metric, side, self.dims) for side in both)).astype(self.data.y.dtype)
            for both in sides
        ]
        yield from self._mean_over_splits(two_vs_two_of_relabelings, [(matrix,) for matrix in similar], orders)

    def _recorrelated(self, pairs: Sequence[HeldOut], orders: Iterable[Sequence[Rows]]) -> Iterator[xr.DataArray]:
        """Correlate every draw from columns that are centred and scaled once; a baseline makes no difference."""
        flat = [[side.reshape(len(side), -1) for side in (pair.truth, pair.prediction)] for pair in pairs]
        yield from self._mean_over_splits(pearson_of_relabelings, flat, orders)

    def _mean_over_splits(
        self,
        draws: Callable[..., Iterator[Array | float]],
        sides: Sequence[Sequence[Array]],
        orders: Iterable[Sequence[Rows]],
    ) -> Iterator[xr.DataArray]:
        by_split = [np.stack(rows) for rows in zip(*orders, strict=True)]  # (draw, test) each
        shape = [self.data.y.sizes[dim] for dim in self.metric.kept(self.dims)]
        per_split = (draws(*both, rows) for both, rows in zip(sides, by_split, strict=True))
        for scores in zip(*per_split, strict=True):
            yield self._label(np.mean(scores, axis=0).reshape(shape))

    def _from_operators(self, orders: NDArray[np.intp]) -> Iterator[xr.DataArray]:
        """Correlate predictions that are operators times reordered training rows."""
        y = self.data.y_mean.values.reshape(self.data.n_samples, -1)  # (sample, target)
        shape = [self.data.y.sizes[dim] for dim in self.metric.kept(self.dims)]
        for split in self.splits[len(self._linear) :]:
            self._remember(split, fit_split(self.model, self.data.x.values, y, split, self.data.groups()))
        draws = linear_draws(self._linear, self.data.x.values, y, len(orders))
        batch = max(1, STACKED_VALUES // y.shape[1])
        for start in range(0, len(orders), batch):
            for values in draws(orders[start : start + batch]):
                yield self._label(values.reshape(shape))

    @cached_property
    def _linear(self) -> list[LinearSplit]:
        """Which operator predicts which target, split by split; empty until models are fitted."""
        return []

    def _remember(self, split: Split, fitted: Predictor) -> None:
        """Take the operators of a fitted model, or say why there are none."""
        plain = not self.metric.is_pooled and self.metric.contrast is None and self.select is None
        if not plain or self.metric.score is not pearson.score or self.metric.over != ("sample",):
            raise ValueError(
                f"keep_choices: it needs the metric pearson over 'sample', split by split, got {self.metric.name}; "
                "leave it out, and everything is fitted anew for each draw."
            )
        if not isinstance(fitted, LinearGivenChoices):
            raise ValueError(  # noqa: TRY004 - the model is a model, but not one of these
                f"keep_choices: {type(fitted).__name__} does not say how it is linear given its penalties (no method "
                "linear_parts); leave keep_choices out, and it is fitted anew for each draw."
            )
        parts = fitted.linear_parts(self.data.x.values[split.train], self.data.x.values[split.test])
        which = np.empty(sum(len(part.targets) for part in parts), np.intp)
        for number, part in enumerate(parts):
            which[part.targets] = number
        self._linear.append(LinearSplit(*split, [part.operator for part in parts], which))

    def _stacked(self, orders: NDArray[np.intp]) -> Iterator[xr.DataArray]:
        y = self.data.y_mean.values
        batch = max(1, STACKED_VALUES // y.size)
        dims = ("sample", "draw", *self.data.targets)
        for start in range(0, len(orders), batch):
            stack = np.stack([y[order] for order in orders[start : start + batch]], axis=1)  # (sample, draw, *targets)
            flat = stack.reshape(len(stack), -1)
            predictions = predict_splits(self.model, self.data.x.values, flat, self.splits, self.data.groups())
            pairs = (
                HeldOut(split, stack[split.test], prediction.reshape(len(split.test), *stack.shape[1:]))
                for split, prediction in zip(self.splits, predictions, strict=True)
            )
            for value in self._score_all(pairs, stack, dims=dims).mean(axis=0):  # (split, draw, *kept) -> (draw, *kept)
                yield self._label(value)

    # --- arrays -------------------------------------------------------------------------------------------------

    def _score_all(
        self, pairs: Iterable[HeldOut], y: Array, y_predicted: Array | None = None, dims: tuple[str, ...] | None = None
    ) -> Array:
        """Score every split, or all at once: (split, *kept). ``y`` holds all samples, for the training means."""
        dims = self.dims if dims is None else dims
        centred = self._centred(pairs, y, y_predicted)
        if self.metric.is_pooled:
            rows = np.concatenate([split.test for split in self.splits])
            truth, prediction = (np.concatenate(side) for side in zip(*centred, strict=True))
            return apply(self.metric, truth, prediction, dims, self._conditions(rows))[None]
        return np.stack([self._score_split(number, *pair, dims) for number, pair in enumerate(centred)])

    def _score_split(self, number: int, truth: Array, prediction: Array, dims: tuple[str, ...]) -> Array:
        truth, prediction = self._sides(number, truth, prediction)
        return apply(self.metric, truth, prediction, dims, self._conditions(self.splits[number].test))

    def _sides(self, number: int, truth: Array, prediction: Array) -> tuple[Array, Array]:
        """Truth and prediction of a split, at the targets that it selects."""
        if self.selected is None:
            return truth, prediction
        return truth[..., self.selected[number]], prediction[..., self.selected[number]]

    def _centred(
        self, pairs: Iterable[HeldOut], y: Array, y_predicted: Array | None = None
    ) -> Iterator[tuple[Array, Array]]:
        """Count truth and prediction of every split from the metric's baseline."""
        if self.metric.baseline == "none":
            yield from ((pair.truth, pair.prediction) for pair in pairs)
            return
        means = training_means(y, self.splits)
        others = repeat(None) if y_predicted is None else training_means(y_predicted, self.splits)
        for pair, mean, other in zip(pairs, means, others, strict=False):
            yield pair.truth - mean, pair.prediction - (mean if other is None else other)

    def _conditions(self, rows: Rows) -> NDArray[np.generic] | None:
        return None if self.condition is None else self.condition[rows]

    # --- labels -------------------------------------------------------------------------------------------------

    def _labelled(self, scores: Array) -> xr.DataArray:
        return self._label(scores, "split")

    def _label(self, values: Array, *leading: str) -> xr.DataArray:
        kept, coords = self._labels
        return xr.DataArray(values, dims=(*leading, *kept), coords=coords, name="score")

    @cached_property
    def _labels(self) -> tuple[tuple[str, ...], dict[Hashable, xr.DataArray]]:
        """Axes that the metric keeps, and their coordinates."""
        kept = self.metric.kept(self.dims)
        return kept, {name: c for name, c in self.data.y.coords.items() if c.dims and set(c.dims) <= set(kept)}

    @cached_property
    def _gram_route(self) -> GramRoute | None:
        """Leave-two-out matching needs inner products over targets only: the closed form, where it applies."""
        applies = (
            self.metric.score is two_vs_two.score
            and not self.metric.is_pooled
            and set(self.dims) == set(self.metric.over)
            and self._complementary
            and all(len(split.test) == 2 for split in self.splits)
            and isinstance(self.model, LinearHoldsOut)
        )
        return GramRoute.of(self) if applies else None


@dataclass(frozen=True)
class GramRoute:
    """Two-versus-two scores of leave-two-out splits from inner products over targets.

    Attributes
    ----------
    operators : ndarray, shape (split, 2, sample)
        Weights with which recorded samples add up to the two held-out predictions.
    grams : ndarray, shape (sample, sample) or (split, sample, sample)
        Inner products over all targets, or over those chosen in each split.
    pairs : ndarray, shape (split, 2)
        Held-out samples.
    n_samples : int
        Number of samples.
    centred : bool
        Whether patterns are counted from the training mean.
    """

    operators: NDArray[np.float64]
    grams: NDArray[np.float64]
    pairs: Rows
    n_samples: int
    centred: bool

    @classmethod
    def of(cls, scorer: Scorer) -> GramRoute:
        """Reduce an evaluation to operators and inner products.

        Parameters
        ----------
        scorer : Scorer
            With leave-two-out splits and a linear model.
        """
        assert isinstance(scorer.model, LinearHoldsOut)  # noqa: S101 - the caller has looked
        centred = scorer.metric.baseline == "training mean"
        operators = np.stack(list(scorer.model.held_out_operators(scorer.data.x.values, scorer.splits))).astype(float)
        y = scorer.data.y_mean.values.reshape(scorer.data.n_samples, -1)  # (sample, target)
        if centred:
            y = y - y.mean(axis=0)  # shifts cancel below, and small numbers lose no digits
        grams = _gram(y) if scorer.selected is None else _fold_grams(y, scorer.selected)
        pairs = np.stack([split.test for split in scorer.splits])
        return cls(operators, grams, pairs, scorer.data.n_samples, centred)

    @property
    def is_complete(self) -> bool:
        """Whether every pair of samples is held out once, so that relabelling permutes the splits."""
        return len({tuple(sorted(pair)) for pair in self.pairs.tolist()}) == self.n_samples * (self.n_samples - 1) // 2

    def scores(self) -> Array:
        """Match of every split, shape (split,)."""
        matches = pair_algebra.two_vs_two_from_gram(self.operators, self.grams, self.pairs, centred=self.centred)
        return np.asarray(matches)

    def null(self, orders: NDArray[np.intp]) -> Array:
        """Mean match under each relabelling, shape (draw,)."""
        draws = pair_algebra.two_vs_two_null_from_gram(
            self.operators, self.grams, self.pairs, orders, centred=self.centred
        )
        return np.asarray(draws)


def training_means(y: Array, splits: Sequence[Split]) -> Iterator[NDArray[np.float64]]:
    r"""Average the training samples of every split.

    Parameters
    ----------
    y : ndarray, shape (sample, \*targets)
        All samples.
    splits : sequence of Split
        Row numbers. Where few samples are held out, the mean follows from the sum over all less those few.

    Yields
    ------
    ndarray, shape (\*targets,)
        float64.
    """
    total = y.sum(axis=0, dtype=np.float64)
    for train, test in splits:
        if len(train) + len(test) == len(y) and len(test) < len(train):
            yield np.asarray((total - y[test].sum(axis=0, dtype=np.float64)) / len(train))
        else:
            yield np.asarray(y[train].mean(axis=0, dtype=np.float64))


def _gram(y: Array) -> NDArray[np.float64]:
    wide = y.astype(np.float64)
    return np.asarray(wide @ wide.T)


def _fold_grams(y: Array, selected: Sequence[Rows]) -> NDArray[np.float64]:
    if len({len(rows) for rows in selected}) == 1:
        return np.asarray(pair_algebra.fold_grams(y, np.stack(selected)))
    return np.stack([_gram(y[:, rows]) for rows in selected])


def _check_model(model: Predictor) -> None:
    if isinstance(model, type):
        raise TypeError(f"model: got {model.__name__} itself; expected an instance, such as {model.__name__}().")
    missing = [name for name in ("fit", "predict") if not callable(getattr(model, name, None))]
    if missing:
        raise TypeError(f"model: {type(model).__name__} has no {' and no '.join(missing)}; expected a regressor.")


def _check_once(splits: Sequence[Split], metric: Metric) -> None:
    rows = np.concatenate([split.test for split in splits])
    if len(np.unique(rows)) < len(rows):
        raise ValueError(
            f"metric: {metric.name} compares all held-out samples with one another, but the splits hold out "
            f"{len(np.unique(rows))} samples {len(rows)} times; expected each once, as KFold does. Do not pool."
        )


def _check_selector(select: TargetSelector, metric: Metric, targets: tuple[str, ...]) -> None:
    if isinstance(select, type):
        raise TypeError(f"select: got {select.__name__} itself; expected an instance, such as {select.__name__}().")
    fitted = [name for name in getattr(select, "__dict__", {}) if name.endswith("_") and not name.startswith("_")]
    if not callable(select) or fitted:
        what = f" that is already fitted ({', '.join(fitted)})" if fitted else ""
        raise TypeError(
            f"select: got {type(select).__name__}{what}; expected a function of the training samples. A choice made "
            "beforehand has seen the test samples, and scores would rise on noise. Targets that are chosen without the "
            "recording, such as a region, are taken with .sel before align."
        )
    if len(targets) != 1 or not metric.consumes(targets[0]) or metric.is_pooled:
        raise ValueError(
            f"select: every split chooses its own among the targets {targets}, so the metric has to consume that one "
            f"axis split by split; {metric.name} consumes {metric.over}."
        )


def _check_looks(select: TargetSelector, train: Array) -> None:
    """Refuse a function that hands out a choice made beforehand: targets that trade places must take it along."""
    mask = _checked_mask(select, train)
    if not mask.all() and np.array_equal(mask, _checked_mask(select, np.roll(train, 1, axis=-1))):
        raise ValueError(
            f"select: {select!r} chose the same places when the targets had been moved by one, so it does not look at "
            "the training samples that it is given. A choice made beforehand has seen the test samples."
        )


def _checked_mask(select: TargetSelector, train: Array) -> NDArray[np.bool_]:
    mask = np.asarray(select(train))
    if mask.dtype != bool or mask.shape != train.shape[2:]:
        raise ValueError(
            f"select: {select!r} gave {mask.dtype} of shape {mask.shape}; expected a boolean mask of {train.shape[2:]}."
        )
    if not mask.any():
        raise ValueError(f"select: {select!r} chose no target in a training set of {train.shape[1]} samples.")
    return mask
