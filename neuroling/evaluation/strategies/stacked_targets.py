"""Reordered recordings side by side, as further targets of one fit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from neuroling.core.protocols import Array, Orders
from neuroling.evaluation.heldout import HeldOut, predict_splits
from neuroling.evaluation.strategies.strategy import Strategy

STACKED_VALUES = 2**22
"""Values of a batch of stacked draws, 16 MiB in float32: enough for full speed, and copies on the way stay small."""


class StackedTargets(Strategy):
    """Fit many draws in one call, for a model that fits every target by itself and without a selection of targets."""

    def scores_reordered(self, orders: Orders, fixed: Array | None) -> bool:  # noqa: ARG002
        """Whether targets do not touch one another."""
        return self.task.select is None and bool(getattr(self.task.model, "independent_targets", False))

    def reordered(self, orders: Orders, fixed: Array | None = None) -> Iterator[Array]:
        """Fit as many orders at once as memory allows."""
        task, y = self.task, self.task.recording
        moving = y if fixed is None else y - fixed
        batch = max(1, STACKED_VALUES // y.size)
        dims = ("sample", "draw", *task.data.targets)
        for start in range(0, len(orders), batch):
            some = orders[start : start + batch]
            stack = np.stack([moving[order] for order in some], axis=1)  # (sample, draw, *targets)
            if fixed is not None:
                stack += fixed[:, None]
            flat = stack.reshape(len(stack), -1)
            predictions = predict_splits(task.model, task.data.x.values, flat, task.splits, task.data.groups())
            pairs = (
                HeldOut(split, stack[split.test], prediction.reshape(len(split.test), *stack.shape[1:]))
                for split, prediction in zip(task.splits, predictions, strict=True)
            )
            yield from task.score_pairs(pairs, stack, dims=dims).mean(axis=0)  # (split, draw, *kept) -> (draw, *kept)
