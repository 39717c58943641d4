"""Leave-two-out matching from inner products over targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from neuroling.core.protocols import Array, LinearHoldsOut, Orders, Rows
from neuroling.evaluation.metrics import PairMatchingScore
from neuroling.evaluation.strategies.strategy import Strategy
from neuroling.numerics.ridge import leave_two_out as pair_algebra


class GramMatrices(Strategy):
    """Match two held-out patterns through inner products over targets alone, for linear models in closed form.

    It applies where two samples are held out at a time, all others train, and every split is scored by matching its two
    patterns. Reordering the recording reorders the inner products, provided that every pair is held out once.
    """

    @property
    def scores_recording(self) -> bool:
        """Whether two of all samples are held out and matched, and predictions are operators times the recording."""
        task = self.task
        return (
            isinstance(task.metric.score, PairMatchingScore)
            and task.is_plain
            and task.consumes_all
            and task.is_complementary
            and all(len(split.test) == 2 for split in task.splits)
            and isinstance(task.model, LinearHoldsOut)
        )

    def scores_reordered(self, orders: Orders, fixed: Array | None) -> bool:  # noqa: ARG002
        """Whether in addition every pair of samples is held out once, so that reordering permutes the splits."""
        n = self.task.data.n_samples
        return (
            fixed is None
            and self.scores_recording
            and len(set(map(tuple, np.sort(self._pairs, axis=1)))) == n * (n - 1) // 2
        )

    def scores(self) -> Array:
        """Match of every split, shape (split,)."""
        return np.asarray(
            pair_algebra.two_vs_two_from_gram(self._operators, self._grams, self._pairs, centred=self._is_centred)
        )

    def reordered(self, orders: Orders, fixed: Array | None = None) -> Iterator[Array]:  # noqa: ARG002
        """Mean match under each order, shape ()."""
        yield from map(
            np.asarray,
            pair_algebra.two_vs_two_null_from_gram(
                self._operators, self._grams, self._pairs, np.asarray(orders[:]), centred=self._is_centred
            ),
        )

    @cached_property
    def _pairs(self) -> Rows:
        """Held-out samples, shape (split, 2)."""
        return np.stack([split.test for split in self.task.splits])

    @property
    def _is_centred(self) -> bool:
        return self.task.metric.baseline == "training mean"

    @cached_property
    def _operators(self) -> NDArray[np.float64]:
        """Weights with which recorded samples add up to the two predictions, shape (split, 2, sample)."""
        task = self.task
        assert isinstance(task.model, LinearHoldsOut)  # noqa: S101 - asked in scores_recording
        return np.stack(list(task.model.held_out_operators(task.data.x.values, task.splits))).astype(float)

    @cached_property
    def _grams(self) -> NDArray[np.float64]:
        """Inner products over all targets (sample, sample), or over those chosen in each split (split, …)."""
        y, selected = self.task.flat_recording, self.task.selected
        if self._is_centred:
            y = y - y.mean(axis=0)  # shifts cancel in the scores, and small numbers lose no digits
        return _gram(y) if selected is None else _fold_grams(y, selected)


def _gram(y: Array) -> NDArray[np.float64]:
    wide = y.astype(np.float64)
    return np.asarray(wide @ wide.T)


def _fold_grams(y: Array, selected: Sequence[Rows]) -> NDArray[np.float64]:
    if len({len(rows) for rows in selected}) == 1:
        return np.asarray(pair_algebra.fold_grams(y, np.stack(selected)))
    return np.stack([_gram(y[:, rows]) for rows in selected])
