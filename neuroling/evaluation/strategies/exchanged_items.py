"""Labels of items exchanged for a fixed model of dissimilarities: thousands of draws as one product."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from neuroling.core.protocols import Array, Orders
from neuroling.evaluation.heldout import held_out
from neuroling.evaluation.inference.exchange import ItemOrders
from neuroling.evaluation.metrics import InnerProductScore
from neuroling.evaluation.strategies.strategy import Strategy

BATCH_PAIRS = 2**22
"""Permuted model values held at once (32 MiB of float64); a heuristic."""


class ExchangedItems(Strategy):
    """Move the ranks of a model among pairs of items instead of those of the recording.

    It applies where samples are pairs of items, items are exchanged, the model has nothing to fit, and the score is an
    inner product of vectors, such as ranks, that are made once: all draws and targets are then one matrix product.
    """

    def scores_reordered(self, orders: Orders, fixed: Array | None) -> bool:
        """Whether items are exchanged for a fixed model that is scored over all pairs at once."""
        task = self.task
        return (
            fixed is None
            and isinstance(orders, ItemOrders)
            and bool(getattr(task.model, "is_fixed", False))
            and len(task.splits) == 1
            and len(task.splits[0].test) == task.data.n_samples
            and isinstance(task.metric.score, InnerProductScore)
            and task.is_plain
            and task.metric.over == ("sample",)
            and task.metric.baseline == "none"
            and task.select is None
        )

    def reordered(self, orders: Orders, fixed: Array | None = None) -> Iterator[Array]:  # noqa: ARG002
        """Multiply moved model values with the recording."""
        assert isinstance(orders, ItemOrders)  # noqa: S101 - asked in scores_reordered
        model, targets = self._vectors
        n_items = orders.items.shape[1]
        square = np.zeros((n_items, n_items))
        square[orders.first, orders.second] = square[orders.second, orders.first] = model
        flat, cell = square.ravel(), np.empty(len(model), dtype=np.intp)
        batch = max(1, BATCH_PAIRS // len(model))
        for start in range(0, len(orders), batch):
            items = orders.items[start : start + batch]
            moved = np.empty((len(items), len(model)))
            for draw, permutation in enumerate(items):
                # a pair takes the values of the pair of permuted items: the model moves the other way
                order = np.argsort(permutation)
                (order * n_items).take(orders.first, out=cell)
                np.add(cell, order.take(orders.second), out=cell)
                flat.take(cell, out=moved[draw], mode="clip")  # (draw, pair)
            for scores in moved @ targets:
                yield scores.reshape(self.task.kept_shape)

    @cached_property
    def _vectors(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Vectors of the model (pair,) and of the targets (pair, target), in the order of the samples."""
        task = self.task
        assert isinstance(task.metric.score, InnerProductScore)  # noqa: S101 - asked in scores_reordered
        (pair,) = held_out(task.model, task.data, task.splits)
        back = np.argsort(task.splits[0].test)
        prediction = pair.prediction.reshape(task.data.n_samples, -1)[back, :1].T.astype(np.float64)
        model = task.metric.score.unit_vectors(prediction)[0]
        return model, task.metric.score.unit_vectors(task.flat_recording.T).T
