"""Reordered recordings predicted with the penalties that were chosen for the recording as it is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np

from neuroling.core.protocols import Array, LinearGivenChoices, Orders, Predictor, Split
from neuroling.evaluation.heldout import fit_split, held_out
from neuroling.evaluation.metrics import PearsonScore
from neuroling.evaluation.strategies.stacked_targets import STACKED_VALUES
from neuroling.evaluation.strategies.strategy import Strategy
from neuroling.numerics.permutation.linear_models import LinearSplit, linear_draws


class FittedOperators(Strategy):
    """Correlate predictions that are operators times the recording, fitted once; draws keep all choices of the fit.

    It applies where choices are to be kept, and refuses what it cannot keep them for: any metric but a Pearson
    correlation over samples, and models that do not say how they are linear.
    """

    @property
    def scores_recording(self) -> bool:
        """Whether choices are to be kept, so that the fits are needed again for every draw."""
        return self.task.keep_choices

    def scores_reordered(self, orders: Orders, fixed: Array | None) -> bool:  # noqa: ARG002
        """Whether choices are to be kept."""
        return self.task.keep_choices

    def scores(self) -> Array:
        r"""Score every split, shape (split, \*kept)."""
        return self._fits.scores

    def reordered(self, orders: Orders, fixed: Array | None = None) -> Iterator[Array]:
        """Correlate without fitting."""
        y, shape = self.task.flat_recording, self.task.kept_shape
        in_place = None if fixed is None else fixed.reshape(y.shape)
        moving = y if in_place is None else y - in_place
        draws = linear_draws(self._fits.linear, self.task.data.x.values, moving, len(orders), in_place)
        batch = max(1, STACKED_VALUES // y.shape[1])
        for start in range(0, len(orders), batch):
            for values in draws(orders[start : start + batch]):
                yield values.reshape(shape)

    @cached_property
    def _fits(self) -> _Fits:
        """Scores and operators of every split, from one fit each."""
        task, linear = self.task, list[LinearSplit]()
        self._check_metric()
        pairs = held_out(
            task.model,
            task.data,
            task.splits,
            on_fit=lambda split, fitted: linear.append(self._operators(split, fitted)),
        )
        scores = task.score_pairs(pairs, task.recording)
        for split in task.splits[len(linear) :]:  # a model with held-out predictions in closed form fitted nothing
            fitted = fit_split(task.model, task.data.x.values, task.flat_recording, split, task.data.groups())
            linear.append(self._operators(split, fitted))
        return _Fits(scores, linear)

    def _check_metric(self) -> None:
        task = self.task
        correlates = isinstance(task.metric.score, PearsonScore) and task.metric.over == ("sample",)
        if not correlates or not task.is_plain or task.select is not None:
            raise ValueError(
                f"keep_choices: it needs the metric pearson over 'sample', split by split, got {task.metric.name}; "
                "leave it out, and everything is fitted anew for each draw."
            )

    def _operators(self, split: Split, fitted: Predictor) -> LinearSplit:
        """Take the operators of a fitted model, or say why there are none."""
        if not isinstance(fitted, LinearGivenChoices):
            raise ValueError(  # noqa: TRY004 - the model is a model, but not one of these
                f"keep_choices: {type(fitted).__name__} does not say how it is linear given its penalties (no method "
                "linear_parts); leave keep_choices out, and it is fitted anew for each draw."
            )
        x = self.task.data.x.values
        parts = fitted.linear_parts(x[split.train], x[split.test])
        which = np.empty(sum(len(part.targets) for part in parts), np.intp)
        for number, part in enumerate(parts):
            which[part.targets] = number
        return LinearSplit(*split, [part.operator for part in parts], which)


class _Fits(NamedTuple):
    """What is known once every split has been fitted."""

    scores: Array
    linear: list[LinearSplit]
