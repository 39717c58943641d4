r"""Squared held-out errors of all folds as one quadratic form a penalty.

Every held-out error is linear in the targets. With :math:`R_f` the matrix that takes a target to its errors in the test
rows of fold *f*, the sum of squares over all folds is

.. math:: \sum_f \lVert R_f y \rVert^2 = y^\top A_\alpha y, \qquad A_\alpha = \sum_f R_f^\top R_f,

and as :math:`A_\alpha` is symmetric, blocks on and above its diagonal say all of it: :math:`n^2 / 2` multiplications a
target, where the operators of five folds take :math:`\tfrac45 n^2`, and those of repeated folds that times the
repetitions. No target enters the forms, so that making them costs little where targets are many.

A sum of squares keeps its digits where errors are small, a quadratic form loses them against the target itself; targets
that are predicted almost wholly (:data:`ERROR_LEFT`) are therefore summed over the operators.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch

from neuroling.numerics.device import room
from neuroling.numerics.products import multiply
from neuroling.numerics.ridge.gram import SLABS, slabs
from neuroling.numerics.ridge.held_out_errors import PRODUCT_ROWS, PRODUCT_VALUES, FoldOperators, HeldOutErrors

ERROR_LEFT = 0.25
"""Share of a target's squares that its best penalty must leave over, so that a form loses few digits against a sum of
squares. Measured at 3,000 samples in float32: both 3e-7 from float64 where half is left, 4e-6 against 2e-7 where a
twentieth is."""

BLOCK_ROWS = 128
MOST_BLOCKS = 10
"""Rows of a block, at least, and blocks of a form: many small blocks save more of what lies under the diagonal, few
large ones multiply faster. Measured on one core, heuristics."""

BUILD_COST = 1.5
"""Cost of an operation that builds a form, in operations of the products with targets; a heuristic."""


@dataclass(frozen=True)
class QuadraticErrors:
    """Some folds at once.

    Attributes
    ----------
    folds : tuple of FoldOperators
        The operators that the forms were made of.
    rows : tuple of Tensor, each of shape (penalty, block, sample from the block on)
        The forms of all penalties, block of rows by block of rows, from the diagonal on; what lies beyond the block
        itself counts twice.
    """

    folds: tuple[FoldOperators, ...]
    rows: tuple[torch.Tensor, ...]

    @classmethod
    def of(cls, folds: Sequence[FoldOperators], n_samples: int) -> QuadraticErrors:
        """Make the forms of all penalties.

        Parameters
        ----------
        folds : sequence of FoldOperators
            Of the same penalties; without projection or basis.
        n_samples : int
            Samples of the targets.

        Examples
        --------
        >>> from neuroling.numerics.ridge.gram import Fold
        >>> fold = Fold(torch.tensor([0, 1]), torch.tensor([2]))
        >>> mean_only = FoldOperators(fold, None, None, (torch.zeros(1, 1, 2),))
        >>> QuadraticErrors.of([mean_only], 3).rows[0][0].tolist()  # (y2 - (y0 + y1) / 2) ** 2
        [[0.25, 0.25, -0.5], [0.25, 0.25, -0.5], [-0.5, -0.5, 1.0]]
        """
        new = partial(room, dtype=folds[0].stacks[0].dtype, device=folds[0].stacks[0].device)
        bounds, n_penalties = _bounds(n_samples), folds[0].n_operators
        rows = tuple(new(n_penalties, block.stop - block.start, n_samples - block.start) for block in bounds)
        errors = new(sum(len(fold_operators.fold.test) for fold_operators in folds), n_samples).zero_()
        first = 0
        for fold_operators in folds:
            last = first + len(fold_operators.fold.test)
            errors[torch.arange(first, last, device=errors.device), fold_operators.fold.test] = -1
            first = last
        cuts = [slabs(fold_operators.fold.train) for fold_operators in folds]
        for number in range(n_penalties):
            _write_errors(folds, cuts, number, errors)
            for block, found in zip(bounds, rows, strict=True):
                _write_block(errors, block, found[number])
        return cls(tuple(folds), rows)

    def add_errors(self, y: torch.Tensor, error: torch.Tensor, baseline: torch.Tensor) -> None:
        """Add the squared errors of all folds.

        Parameters
        ----------
        y : Tensor, shape (sample, target)
            Targets, about centred.
        error : Tensor, shape (penalty, target)
            float64, added to.
        baseline : Tensor, shape (target,)
            float64, added to: squared errors of the training means.
        """
        total, block_errors = torch.zeros_like(baseline), torch.zeros_like(error)
        for part in self.folds:
            part.add_baseline(y, total)
        n_products = -(-y.shape[1] * PRODUCT_ROWS // PRODUCT_VALUES) if y.device.type == "cpu" else 1
        wide = max(1, -(-y.shape[1] // n_products))  # as wide as each other
        memory = room(max(PRODUCT_ROWS, *(rows.shape[1] for rows in self.rows)) * wide, dtype=y.dtype, device=y.device)
        for start in range(0, y.shape[1], wide):
            some = slice(start, start + wide)
            self._add_products(y[:, some], block_errors[:, some], memory)
        exact = torch.nonzero(block_errors.amin(0) < ERROR_LEFT * total).flatten()
        if len(exact):
            block_errors[:, exact] = _sum_over(self.folds, y.index_select(1, exact), len(block_errors))
        error += block_errors
        baseline += total

    def _add_products(self, y: torch.Tensor, error: torch.Tensor, memory: torch.Tensor) -> None:
        """Add the values of the forms at a few targets; products go into the same memory, some penalties at a time."""
        for rows in self.rows:
            height, width = rows.shape[1:]
            beyond = y[len(y) - width :]  # (sample from the block on, target)
            at_once = max(1, PRODUCT_ROWS // height)
            for first in range(0, len(rows), at_once):
                forms = rows[first : first + at_once]
                product = memory[: len(forms) * height * y.shape[1]].view(-1, y.shape[1])
                product = multiply(forms.flatten(0, 1), beyond, scratch=product)
                product = product.view(-1, height, y.shape[1])  # (penalty, block, target)
                error[first : first + at_once] += product.mul_(beyond[:height]).sum(1)

    @property
    def n_operators(self) -> int:
        """Number of penalties, those of all weightings."""
        return len(self.rows[0])

    @property
    def n_bytes(self) -> int:
        """Bytes held."""
        return sum(part.n_bytes for part in self.folds) + sum(rows.nbytes for rows in self.rows)


def as_quadratic(parts: Sequence[HeldOutErrors], n_samples: int, n_targets: int) -> list[HeldOutErrors]:
    """Join the folds into quadratic forms where these take fewer operations.

    Parameters
    ----------
    parts : sequence of HeldOutErrors
        All folds that are to be added up.
    n_samples, n_targets : int
        Samples, and how many targets will be streamed.

    Returns
    -------
    list of HeldOutErrors
        One :class:`QuadraticErrors`, or the parts as they are.
    """
    folds = [
        fold_operators
        for fold_operators in parts
        if isinstance(fold_operators, FoldOperators) and fold_operators.project is None
    ]
    if not folds or len(folds) < len(parts):
        return list(parts)
    sizes = [(len(fold_operators.fold.test), len(fold_operators.fold.train)) for fold_operators in folds]
    return [QuadraticErrors.of(folds, n_samples)] if quadratic_pays(sizes, n_samples, n_targets) else list(parts)


def passing_operations(sizes: Sequence[tuple[float, float]], n_samples: int, n_targets: int) -> float:
    """Count the multiplications that take targets past one penalty, by forms or by operators: the fewer.

    Parameters
    ----------
    sizes : sequence of (number, number)
        Test and training rows of every fold.
    n_samples, n_targets : int
        Samples, and how many targets will be streamed.

    Returns
    -------
    float
        With those that build the form.
    """
    form, total = quadratic_values(n_samples), sum(test for test, _ in sizes)
    by_operators = n_targets * sum(test * train for test, train in sizes)
    return min(by_operators, n_targets * form + BUILD_COST * form * total)


def quadratic_pays(sizes: Sequence[tuple[int, int]], n_samples: int, n_targets: int) -> bool:
    """Tell whether quadratic forms take fewer operations than the operators that they are made of.

    Parameters
    ----------
    sizes : sequence of (int, int)
        Test and training rows of every fold.
    n_samples, n_targets : int
        Samples, and how many targets will be streamed.

    Examples
    --------
    >>> [quadratic_pays([(600, 2400)] * 5, 3000, n_targets) for n_targets in (2000, 20_000)]
    [False, True]
    >>> quadratic_pays([(1500, 1500)] * 2, 3000, 20_000)  # half of all pairs of samples, as above a diagonal
    False
    """
    by_operators = n_targets * sum(test * train for test, train in sizes)
    return passing_operations(sizes, n_samples, n_targets) < by_operators


def quadratic_values(n_samples: int) -> int:
    """Count the values of a form that are held, those of the blocks on and above its diagonal.

    Parameters
    ----------
    n_samples : int

    Examples
    --------
    >>> quadratic_values(100), quadratic_values(256)
    (10000, 49152)
    """
    return sum((block.stop - block.start) * (n_samples - block.start) for block in _bounds(n_samples))


def _bounds(n_samples: int) -> list[slice]:
    """Cut rows into blocks of about the same size."""
    n_blocks = min(MOST_BLOCKS, max(1, n_samples // BLOCK_ROWS))
    edges = [round(n_samples * number / n_blocks) for number in range(n_blocks + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def _write_errors(
    folds: Sequence[FoldOperators], cuts: Sequence[list[slice]], number: int, errors: torch.Tensor
) -> None:
    """Write what takes a target to its held-out errors at one penalty: (test rows of all folds, sample)."""
    first = 0
    for fold_operators, cut in zip(folds, cuts, strict=True):
        operator, rows = fold_operators.operator(number), errors[first : first + len(fold_operators.fold.test)]
        share = 1 / len(fold_operators.fold.train)  # of a training row in the mean, which operators leave out
        if len(cut) > SLABS:
            rows.index_copy_(1, fold_operators.fold.train, operator + share)
        else:
            done = 0
            for slab in cut:
                width = slab.stop - slab.start
                torch.add(operator[:, done : done + width], share, out=rows[:, slab])
                done += width
        first += len(rows)


def _write_block(errors: torch.Tensor, block: slice, block_errors: torch.Tensor) -> None:
    """Write rows of the form, from the diagonal on; off the diagonal block twice."""
    multiply(errors[:, block].T, errors[:, block.start :], block_errors)
    block_errors[:, len(block_errors) :] *= 2


def _sum_over(folds: Sequence[FoldOperators], y: torch.Tensor, n_penalties: int) -> torch.Tensor:
    """Squared errors (penalty, target) by the operators of the folds."""
    error = torch.zeros((n_penalties, y.shape[1]), dtype=torch.float64, device=y.device)
    for part in folds:
        part.add_errors(y, error, torch.zeros_like(error[0]))
    return error
