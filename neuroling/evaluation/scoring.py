"""Scores of a model on splits, and the same under a null: one meaning, the fastest strategy that applies."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import xarray as xr

from neuroling.core.align import Aligned
from neuroling.core.protocols import Array, Orders, ParticipantRows, Predictor, Rows, Split, TargetSelector
from neuroling.evaluation.heldout import HeldOut
from neuroling.evaluation.metrics import Metric
from neuroling.evaluation.strategies.direct import DirectScoring
from neuroling.evaluation.strategies.exchanged_items import ExchangedItems
from neuroling.evaluation.strategies.gram import GramMatrices
from neuroling.evaluation.strategies.operators import FittedOperators
from neuroling.evaluation.strategies.participant_rows import participants_of
from neuroling.evaluation.strategies.predictive_densities import PredictiveDensities
from neuroling.evaluation.strategies.relabelled import CorrelatedColumns, MatchedPatterns
from neuroling.evaluation.strategies.rotated import RotatedRecordings
from neuroling.evaluation.strategies.stacked_targets import StackedTargets
from neuroling.evaluation.strategies.strategy import Strategy
from neuroling.evaluation.strategies.streamed_rows import StreamedRows
from neuroling.evaluation.strategies.task import ScoringTask

STRATEGIES: tuple[type[Strategy], ...] = (
    PredictiveDensities,
    StreamedRows,
    FittedOperators,
    GramMatrices,
    ExchangedItems,
    MatchedPatterns,
    CorrelatedColumns,
    RotatedRecordings,
    StackedTargets,
    DirectScoring,
)
"""In the order in which they are asked: fastest first, and last the one that can answer everything."""


@dataclass(frozen=True)
class Scorer:
    """What :func:`evaluate` scores and an inference scores again: answers of strategies, with labels.

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
    keep_choices : bool
        Whether draws of a null will keep the penalties of the first fit: it is then remembered.
    """

    model: Predictor
    data: Aligned
    splits: Sequence[Split]
    metric: Metric
    select: TargetSelector | None = None
    keep_choices: bool = False

    def __post_init__(self) -> None:
        _ = self.task  # refuses what does not fit together

    @property
    def spaces(self) -> tuple[Aligned, ...]:
        """The one feature space."""
        return (self.data,)

    @cached_property
    def task(self) -> ScoringTask:
        """What is scored, without labels."""
        return ScoringTask(self.model, self.data, self.splits, self.metric, self.select, self.keep_choices)

    def for_model(self, model: Predictor, data: Aligned) -> Scorer:
        """Give the scorer of another model or feature space of the same recording, on the same splits.

        Parameters
        ----------
        model : Predictor
            The model.
        data : Aligned
            Its features, beside the same recording.
        """
        if model is self.model and data is self.data:
            return self
        other = replace(self, model=model, data=data)
        other.__dict__["task"] = self.task.for_model(model, data)
        return other

    def forgetful(self) -> Scorer:
        """Give a copy that holds the data and the scores, and nothing else that has been computed."""
        other = self.without_fits()
        other.__dict__["scores"] = self.scores
        return other

    def without_fits(self) -> Scorer:
        """Give a copy that holds the data, and scores of single samples where they were made."""
        other = replace(self, keep_choices=False)
        if self.metric.of_densities:
            other.__dict__["_sample_scores"] = self._sample_scores
        return other

    @cached_property
    def strategies(self) -> tuple[Strategy, ...]:
        """One of each kind for this task; those that cannot answer a question say so."""
        return tuple(strategy(self.task) for strategy in STRATEGIES)

    @property
    def larger_is_better(self) -> bool:
        """Direction of the metric."""
        return self.metric.larger_is_better

    @property
    def chance(self) -> float:
        """Value of the metric that means no relation."""
        return self.metric.chance

    @property
    def two_sided(self) -> bool:
        """Whether both directions count: not for scores of a model."""
        return False

    @property
    def is_correlation(self) -> bool:
        """Whether Spearman and Brown's formula applies to the metric."""
        return self.metric.correlation

    @cached_property
    def scores(self) -> xr.DataArray:
        r"""Score of every split, dims (split, \*kept)."""
        strategy = next(strategy for strategy in self.strategies if strategy.scores_recording)
        return self._label(strategy.scores(), "split")

    def observed(self) -> xr.DataArray:
        r"""Mean score over splits, dims (\*kept,)."""
        return self.scores.mean("split", skipna=False)

    def sample_scores(self) -> xr.DataArray:
        r"""Give the held-out score of every sample, dims (sample, \*kept), with the labels of the samples.

        Returns
        -------
        xarray.DataArray
            The mean where a sample is held out more than once; NaN where it never is.

        Raises
        ------
        ValueError
            If the metric is not a mean over samples, as log-likelihood is.
        """
        if not self.metric.of_densities:
            raise ValueError(
                f"metric: {self.metric.name} scores samples together, so that single ones have no score; use "
                "log_likelihood."
            )
        return self._sample_scores

    @cached_property
    def _sample_scores(self) -> xr.DataArray:
        (strategy,) = (each for each in self.strategies if isinstance(each, PredictiveDensities))
        total, count = np.zeros_like(self.task.recording, dtype=np.float64), np.zeros(self.data.n_samples)
        for split, densities in zip(self.splits, strategy.densities, strict=True):
            np.add.at(total, split.test, densities)
            np.add.at(count, split.test, 1)
        means = self.data.y_mean.copy(data=total).transpose(*self.task.dims)
        held_out = xr.DataArray(count, dims="sample")
        averaged = [axis for axis in self.metric.over if axis != "sample"]
        return (means / held_out.where(held_out > 0)).mean(averaged).rename("score")

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
        if self.metric.of_densities:
            raise ValueError(
                f"ceiling: one recording gives another no density, so {self.metric.name} has no ceiling; leave it out."
            )
        a, b = (side.transpose(*self.task.dims).values for side in (truth, prediction))
        pairs = (HeldOut(split, a[split.test], b[split.test]) for split in self.splits)
        return self._label(self.task.score_pairs(pairs, a, b), "split")

    def agreement_bounds(self, axis: str) -> xr.DataArray | None:
        r"""Compare participants with the mean of the others, and of all, as the metric compares models with them.

        Parameters
        ----------
        axis : str
            Target axis along which participants lie.

        Returns
        -------
        xarray.DataArray, dims (bound, \*kept), or None
            Where samples are pairs of items and the model is fixed; elsewhere the mean itself is scored like a model.
        """
        found = (strategy.agreement_bounds(axis) for strategy in self.strategies)
        bounds = next((each for each in found if each is not None), None)
        return None if bounds is None else self._label(bounds, "bound").assign_coords(bound=["lower", "upper"])

    def participant_rows(self, axis: str) -> ParticipantRows | None:
        """Give the rows of participants and the model that they are compared with; None where the model is fitted.

        Parameters
        ----------
        axis : str
            Target axis along which participants lie.
        """
        return participants_of(StreamedRows(self.task), axis, None)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the scores has to know of them, once they have been made."""
        return tuple(note for strategy in self.strategies for note in strategy.notes)

    def reordered(
        self, orders: Orders, *, keep_choices: bool = False, fixed: Array | None = None
    ) -> Iterator[xr.DataArray]:
        r"""Score the whole procedure with the recording's rows taken in other orders.

        Features, labels and splits stay; everything that touches the recording (fit, selection, baseline) is done
        anew.

        Parameters
        ----------
        orders : Orders, (draw, sample)
            A permutation of the samples each.
        keep_choices : bool
            Keep the penalties that were chosen for the recording as it is; weights are still fitted anew. A draw then
            costs one product with the operators of the model, which are made once.
        fixed : ndarray, optional, shape (sample, \*targets)
            Part of the recording that stays in place; the rest is reordered.

        Yields
        ------
        xarray.DataArray, dims (\*kept,)
            Mean score over splits of each draw.

        Raises
        ------
        ValueError
            If choices are to be kept and the model or the metric does not allow it.
        """
        if keep_choices != self.keep_choices:
            other = replace(self, keep_choices=keep_choices)
            yield from other.reordered(orders, keep_choices=keep_choices, fixed=fixed)
            return
        strategy = next(strategy for strategy in self.strategies if strategy.scores_reordered(orders, fixed))
        for scores in strategy.reordered(orders, fixed):
            yield self._label(scores)

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
        strategy = next(strategy for strategy in self.strategies if strategy.scores_relabelled)
        for scores in strategy.relabelled(orders):
            yield self._label(scores)

    def _label(self, values: Array, *leading: str) -> xr.DataArray:
        kept, coords = self.labels
        return xr.DataArray(values, dims=(*leading, *kept), coords=coords, name="score")

    @cached_property
    def labels(self) -> tuple[tuple[str, ...], dict[Hashable, xr.DataArray]]:
        """Axes that the metric keeps, and their coordinates."""
        kept = self.metric.kept(self.task.dims)
        return kept, {name: c for name, c in self.data.y.coords.items() if c.dims and set(c.dims) <= set(kept)}
