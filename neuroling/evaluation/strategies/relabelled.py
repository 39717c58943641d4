"""Held-out truths exchanged, predictions kept: scores of every draw from what is computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from neuroling.core.protocols import Array, Rows
from neuroling.evaluation.heldout import held_out
from neuroling.evaluation.metrics import PairMatchingScore, PearsonScore, lay_out, similarity
from neuroling.evaluation.strategies.strategy import Strategy
from neuroling.evaluation.strategies.task import ScoringTask
from neuroling.numerics.permutation.scores import pearson_of_relabelings, two_vs_two_of_relabelings


class MatchedPatterns(Strategy):
    """Match every draw from similarities of patterns: samples that change places take theirs along."""

    @property
    def scores_relabelled(self) -> bool:
        """Whether every split is scored by matching patterns over all targets."""
        return isinstance(self.task.metric.score, PairMatchingScore) and self.task.is_plain and self.task.consumes_all

    def relabelled(self, orders: Iterable[Sequence[Rows]]) -> Iterator[Array]:
        """Match without computing a similarity again."""
        task = self.task
        centred = task.centred(held_out(task.model, task.data, task.splits), task.recording)
        similarities = []
        for number, pair in enumerate(centred):
            truth, prediction = (lay_out(task.metric, s, task.dims) for s in task.at_selected(number, *pair))
            similarities.append((similarity(truth, prediction).astype(task.recording.dtype),))
        yield from _means_over_splits(task, two_vs_two_of_relabelings, similarities, orders)


class CorrelatedColumns(Strategy):
    """Correlate every draw from columns that are centred and scaled once; a baseline makes no difference to them."""

    @property
    def scores_relabelled(self) -> bool:
        """Whether every split is scored by a Pearson correlation over samples."""
        metric = self.task.metric
        return isinstance(metric.score, PearsonScore) and self.task.is_plain and metric.over == ("sample",)

    def relabelled(self, orders: Iterable[Sequence[Rows]]) -> Iterator[Array]:
        """Correlate without standardising again."""
        task = self.task
        columns = [
            [side.reshape(len(side), -1) for side in (pair.truth, pair.prediction)]
            for pair in held_out(task.model, task.data, task.splits)
        ]
        yield from _means_over_splits(task, pearson_of_relabelings, columns, orders)


def _means_over_splits(
    task: ScoringTask,
    draws: Callable[..., Iterator[Array | float]],
    sides: Sequence[Sequence[Array]],
    orders: Iterable[Sequence[Rows]],
) -> Iterator[Array]:
    """Average the draws of every split; ``sides`` is what each split hands to ``draws`` beside its orders."""
    by_split = [np.stack(rows) for rows in zip(*orders, strict=True)]  # (draw, test) each
    per_split = (draws(*both, rows) for both, rows in zip(sides, by_split, strict=True))
    for scores in zip(*per_split, strict=True):
        yield np.mean(scores, axis=0).reshape(task.kept_shape)
