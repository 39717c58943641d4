"""A recording rotated in time: choices of all rotations at once, from inner errors as quadratic forms."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from neuroling.core.protocols import Array, ChoosesByForms, HoldsOut, Orders, Rows, Split
from neuroling.evaluation.heldout import HeldOut
from neuroling.evaluation.strategies.stacked_targets import STACKED_VALUES, StackedTargets
from neuroling.numerics.permutation.rotations import RotatedForms, RotatedRecording, rotation_of

FEWEST = 20
"""Rotations from which transforms for all of them pay; a heuristic."""

MOST_BYTES = 2**30
"""Bytes of forms, their transforms and operators up to which they are made; a heuristic."""

ERROR_LEFT = 1e-6
"""Share of a target's squares that its best choice must leave over: a form loses the digits below."""


class RotatedRecordings(StackedTargets):
    """Choose for all rotations of a recording by quadratic forms, and predict each by the operator of its choice.

    It applies to one run that is rotated as a whole, and to models whose inner errors are quadratic in each target,
    such as ridge with one alpha per target: nothing is fitted. Draws in which a target is predicted almost without
    error, for which forms have too few digits, are left to :class:`StackedTargets`.
    """

    def scores_reordered(self, orders: Orders, fixed: Array | None) -> bool:
        """Whether orders are rotations of one run, enough of them, and the model chooses by quadratic forms."""
        model = self.task.model
        return (
            len(orders) >= FEWEST
            and isinstance(model, ChoosesByForms)
            and not isinstance(model, HoldsOut)
            and super().scores_reordered(orders, fixed)
            and all(rotation_of(order) is not None for order in orders[: len(orders)])
        )

    def reordered(self, orders: Orders, fixed: Array | None = None) -> Iterator[Array]:
        """Predict without fitting."""
        task, y = self.task, self.task.recording
        still = np.zeros_like(y) if fixed is None else fixed
        chosen = self._choices(y - still, None if fixed is None else still)
        if chosen is None:
            yield from super().reordered(orders, fixed)
            return
        operators = [self._operators(split) for split in task.splits]
        batch = max(1, STACKED_VALUES // y.size)
        dims = ("sample", "draw", *task.data.targets)
        for start in range(0, len(orders), batch):
            some = orders[start : start + batch]
            shifts = [int(rotation_of(order) or 0) for order in some]  # they are rotations, asked in scores_reordered
            if any((options[shifts] < 0).any() for options in chosen):
                yield from super().reordered(some, fixed)
                continue
            stack = np.stack([(y - still)[order] for order in some], axis=1)  # (sample, draw, *targets)
            if fixed is not None:
                stack += fixed[:, None]
            pairs = (
                HeldOut(split, stack[split.test], _predict(operator, stack[split.train], options[shifts]))
                for split, operator, options in zip(task.splits, operators, chosen, strict=True)
            )
            yield from task.score_pairs(pairs, stack, dims=dims).mean(axis=0)  # (split, draw, *kept) -> (draw, *kept)

    def _choices(self, moving: Array, fixed: Array | None) -> list[NDArray[np.int32]] | None:
        """Give each split's option of every rotation and target, -1 where forms cannot tell; None if too large."""
        task = self.task
        assert isinstance(task.model, ChoosesByForms)  # noqa: S101 - asked in scores_reordered
        n, (n_options, at_once) = task.data.n_samples, task.model.count_options()
        n_cells = sum(len(split.train) * len(split.test) for split in task.splits)
        if n_options == 0 or 8 * (4 * at_once * n**2 + n_options * n_cells) > MOST_BYTES:
            return None
        recording = RotatedRecording.of(*_in_own_units(task.flat_recording, moving, fixed))
        groups, found = task.data.groups(), []
        constant = (task.flat_recording == task.flat_recording[:1]).all(axis=0)
        for split in task.splits:
            within = None if groups is None else groups[split.train]
            pieces = task.model.choice_forms(task.data.x.values[split.train], within)
            if pieces is None:
                return None
            options = _best_options(pieces, split, recording)
            options[:, constant] = 0  # predicted by their constant, whatever is chosen
            found.append(options)
        return found

    def _operators(self, split: Split) -> Array:
        """Give the operators (option, test, train) of a split."""
        task = self.task
        assert isinstance(task.model, ChoosesByForms)  # noqa: S101 - asked in scores_reordered
        x = task.data.x.values
        return np.concatenate(list(task.model.option_operators(x[split.train], x[split.test])))


def _in_own_units(
    recording: Array, moving: Array, fixed: Array | None
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Scale targets (sample, target) to about one, exactly, and take off the mean: constants have no error."""
    largest = np.abs(recording).max(axis=0).astype(np.float64)
    scale = np.ldexp(1.0, np.frexp(np.where(largest > 0, largest, 1.0))[1])
    moved = moving.reshape(len(moving), -1) / scale
    if fixed is None:
        return moved - moved.mean(axis=0), None
    still = fixed.reshape(len(fixed), -1) / scale
    return moved, still - (moved + still).mean(axis=0)


def _best_options(pieces: Iterator[Array], split: Split, recording: RotatedRecording) -> NDArray[np.int32]:
    """Give the number of the option of least error for every rotation and target, the first of equals."""
    shape, n_train = recording.moving.shape, len(split.train)  # as many rotations as samples
    total, least, best = np.empty(shape), np.full(shape, np.inf), np.full(shape, -1, np.int32)  # (rotation, target)
    spread = _among_all(np.eye(n_train)[None] - 1 / n_train, split.train, shape[0])
    for tile, values in RotatedForms.of(spread).values(recording):
        total[:, tile] = values[0]
    first = 0
    for piece in pieces:
        for tile, values in RotatedForms.of(_among_all(piece, split.train, shape[0])).values(recording):
            option = values.argmin(axis=0)  # of (option, rotation, target)
            error = np.take_along_axis(values, option[None], axis=0)[0]
            better = error < least[:, tile]
            best[:, tile] = np.where(better, first + option, best[:, tile])
            least[:, tile] = np.where(better, error, least[:, tile])
        first += len(piece)
    best[~(least > ERROR_LEFT * total)] = -1
    return best


def _among_all(forms: Array, rows: Rows, n_samples: int) -> NDArray[np.float64]:
    """Put forms of some samples (form, row, row) among all, which count nothing (form, sample, sample)."""
    whole = np.zeros((len(forms), n_samples, n_samples))
    whole[:, rows[:, None], rows] = forms
    return whole


def _predict(operators: Array, trained: Array, options: NDArray[np.int32]) -> Array:
    r"""Predict (test, draw, \*targets) from (train, draw, \*targets), each by the operator of its option."""
    flat, chosen = trained.reshape(len(trained), -1), options.reshape(-1)
    predicted = np.empty((operators.shape[1], flat.shape[1]), flat.dtype)
    order = np.argsort(chosen, kind="stable")
    numbers, starts = np.unique(chosen[order], return_index=True)
    for number, columns in zip(numbers.tolist(), np.split(order, starts[1:]), strict=True):
        predicted[:, columns] = operators[number].astype(flat.dtype) @ flat[:, columns]
    return predicted.reshape(-1, *trained.shape[1:])
