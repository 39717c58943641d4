"""Scores from how probable held-out observations are, for models that give densities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import cast

import numpy as np

from neuroling.core.protocols import Array, GivesDensities, Orders, Rows
from neuroling.evaluation.heldout import HeldOut, fit_split
from neuroling.evaluation.strategies.strategy import Strategy


class PredictiveDensities(Strategy):
    """Fit every split, and take the log density of its held-out observations under the fitted model."""

    @property
    def scores_recording(self) -> bool:
        """Whether the metric is one of densities."""
        return self.task.metric.of_densities

    def scores_reordered(self, orders: Orders, fixed: Array | None) -> bool:  # noqa: ARG002
        """Whether the metric is one of densities, which no other strategy scores."""
        return self.task.metric.of_densities

    @property
    def scores_relabelled(self) -> bool:
        """Whether the metric is one of densities."""
        return self.task.metric.of_densities

    @cached_property
    def fitted(self) -> list[GivesDensities]:
        """The model fitted to the training samples of every split."""
        task = self.task
        X, Y, groups = task.data.x.to_numpy(), task.flat_recording, task.data.groups()
        return [cast(GivesDensities, fit_split(task.model, X, Y, split, groups)) for split in task.splits]

    @cached_property
    def densities(self) -> list[Array]:
        r"""Log densities of the held-out observations of every split, shape (test, \*targets) each."""
        return [self._densities(number, split.test) for number, split in enumerate(self.task.splits)]

    def scores(self) -> Array:
        r"""Score every split, shape (split, \*kept)."""
        return self._score(self.densities)

    def reordered(self, orders: Orders, fixed: Array | None = None) -> Iterator[Array]:
        """Fit again for every order."""
        for draw in range(len(orders)):
            (order,) = orders[draw : draw + 1]
            yield np.asarray(PredictiveDensities(self.task.reordered(order, fixed)).scores().mean(axis=0))

    def relabelled(self, orders: Iterable[Sequence[Rows]]) -> Iterator[Array]:
        """Take the densities of held-out observations that have changed places within their split."""
        for order in orders:
            moved = [
                self._densities(number, split.test[rows])
                for number, (split, rows) in enumerate(zip(self.task.splits, order, strict=True))
            ]
            yield np.asarray(self._score(moved).mean(axis=0))

    def _densities(self, number: int, observed: Rows) -> Array:
        """Give densities of the outcomes of some rows, at the features of the split's test rows."""
        task, split = self.task, self.task.splits[number]
        X = task.data.x.to_numpy()[split.test]
        densities = np.asarray(self.fitted[number].log_density(X, task.flat_recording[observed]))
        if not np.isfinite(densities).all():
            n_lacking = int((~np.isfinite(densities)).sum())
            raise ValueError(
                f"model: {task.model!r} gives {n_lacking} of {densities.size} held-out observations of split {number} "
                "no finite log density; look for outliers, or express the outcome in another unit."
            )
        return densities.reshape(len(split.test), *task.recording.shape[1:])

    def _score(self, densities: Sequence[Array]) -> Array:
        pairs = (HeldOut(split, each, each) for split, each in zip(self.task.splits, densities, strict=True))
        return self.task.score_pairs(pairs, self.task.recording)
