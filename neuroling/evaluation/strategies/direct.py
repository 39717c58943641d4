"""One fit after another: applies to any model, metric and split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from neuroling.core.protocols import Array, Orders, Rows
from neuroling.evaluation.heldout import held_out
from neuroling.evaluation.strategies.strategy import Strategy


class DirectScoring(Strategy):
    """Fit, predict and score, split by split and order by order; what all other strategies must equal."""

    scores_recording = True
    scores_relabelled = True

    def scores_reordered(self, orders: Orders, fixed: Array | None) -> bool:  # noqa: ARG002
        """Say yes to any orders."""
        return True

    def scores(self) -> Array:
        r"""Score every split, shape (split, \*kept)."""
        task = self.task
        return task.score_pairs(held_out(task.model, task.data, task.splits), task.recording)

    def reordered(self, orders: Orders, fixed: Array | None = None) -> Iterator[Array]:
        """Fit again for every order."""
        for draw in range(len(orders)):
            (order,) = orders[draw : draw + 1]
            yield _mean_over_splits(DirectScoring(self.task.reordered(order, fixed)).scores())

    def relabelled(self, orders: Iterable[Sequence[Rows]]) -> Iterator[Array]:
        """Score again for every draw."""
        task = self.task
        pairs = list(held_out(task.model, task.data, task.splits))
        for order in orders:
            moved = (replace(pair, truth=pair.truth[rows]) for pair, rows in zip(pairs, order, strict=True))
            yield _mean_over_splits(task.score_pairs(moved, task.recording))


def _mean_over_splits(scores: Array) -> Array:
    return np.asarray(scores.mean(axis=0))
