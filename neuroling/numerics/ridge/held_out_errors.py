r"""Held-out errors of ridge, in four forms of which the shape picks one: operators first, targets last.

For one fold and one penalty the held-out prediction is an operator on the training targets,

.. math:: \hat Y_S = P_\alpha Y_T, \qquad P_\alpha = K_{ST} (K_{TT} + \alpha I)^{-1},

with :math:`K` the Gram matrix of the features less their training mean. No target enters it, so all operators of a fold
are built first and the targets are streamed past them once. There are four ways to the same errors, and
:func:`neuroling.numerics.ridge.algorithm_choice.choose_form` takes the one with the fewest operations for the shape at
hand:

spectrum
    One eigendecomposition per fold, of the smaller Gram matrix; targets are projected once per fold.
operators
    One Cholesky factor per fold and penalty; no projection. For many targets and few folds.
deletion
    One Cholesky inverse per penalty for *all* folds, each fold's operator by deletion (see
    :mod:`neuroling.numerics.ridge.leave_two_out`). Where every training set is all that its test set is not.
residuals
    One eigendecomposition for all folds and penalties; the residuals of the full fit are divided by the folds' blocks.
    For many folds of few samples, down to leave-one-out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from neuroling.numerics.device import room
from neuroling.numerics.products import add_product, cholesky_solve, eigh, invert, multiply
from neuroling.numerics.ridge.decomposition import GRAM_LIMIT, decompose
from neuroling.numerics.ridge.gram import SLABS, Design, Fold, ShiftedGram, slabs, take
from neuroling.numerics.ridge.kernels import centre_gram, fold_grams

PRODUCT_ROWS = 1024
PRODUCT_VALUES = 2**20
"""Rows of stacked operators in one product, and values that it gives on a CPU: high products are faster by some
percent, and what they give is squared and added up while it is in the cache. Measured on one core, heuristics."""

DELETED_ROWS = 128
"""Rows of an operator that are made at a time where they cannot be made in place, so that copies are small."""

LEAST_SLACK = 1e-3
"""Smallest leverage left to a test set for which float32 residuals may be divided by it without losing digits."""


class HeldOutErrors(Protocol):
    """Something that knows the held-out errors of targets for every penalty, in some folds."""

    def add_errors(self, y: torch.Tensor, error: torch.Tensor, baseline: torch.Tensor) -> None:
        """Add squared errors of targets (sample, target) to ``error`` (alpha, target) and ``baseline`` (target,)."""
        ...

    @property
    def n_bytes(self) -> int:
        """Bytes held."""
        ...


@dataclass(frozen=True)
class FoldOperators:
    """One fold's held-out predictions as operators; rows are orthogonal to constants.

    Attributes
    ----------
    fold : Fold
        Training and test rows.
    project : Tensor or None, shape (rank, train)
        Projects training targets; None leaves them as they are.
    basis : Tensor or None, shape (test, row)
        Orthonormal, spans all predictions of the test rows; None: the test rows themselves.
    stacks : tuple of Tensor, each of shape (penalty, row, rank) or (penalty, row, train)
        From projected training targets to predictions, penalties after penalties.
    blocks : tuple of (Tensor or None), each of shape (test, test)
        For every penalty the block of the fold in the residual maker of the full fit, over the penalty, where the form
        has it in the precision of the targets; see :mod:`neuroling.numerics.ridge.dual_weights`. Empty if not asked
        for.
    """

    fold: Fold
    project: torch.Tensor | None
    basis: torch.Tensor | None
    stacks: tuple[torch.Tensor, ...]
    blocks: tuple[torch.Tensor | None, ...] = ()

    def add_errors(self, y: torch.Tensor, error: torch.Tensor, baseline: torch.Tensor) -> None:
        """Add this fold's squared errors.

        With many test rows and few features no penalty reaches beyond the span of the test features: what the truth has
        outside is an error that all share, and penalties are compared inside, on fewer rows.

        Parameters
        ----------
        y : Tensor, shape (sample, target)
            Targets, about centred.
        error : Tensor, shape (alpha, target)
            float64, added to.
        baseline : Tensor, shape (target,)
            float64, added to: squared errors of the training mean.
        """
        seen = take(y, self.fold.train, 0)  # (train, target)
        truth = take(y, self.fold.test, 0) - seen.mean(0)  # (test, target)
        whole = _sum_of_squares(truth)
        baseline += whole
        if self.basis is not None:
            truth = multiply(self.basis.T, truth)  # (row, target)
            error += whole - _sum_of_squares(truth)
        projected = seen if self.project is None else multiply(self.project, seen)
        at_once, wide = self._product_shape(*truth.shape, cached=truth.device.type == "cpu")
        left = room(at_once * len(truth) * wide, dtype=truth.dtype, device=truth.device)
        for first in range(0, truth.shape[1], wide):
            some = slice(first, first + wide)
            self._add_products(projected[:, some], truth[:, some], error[:, some], left, at_once)

    def add_baseline(self, y: torch.Tensor, baseline: torch.Tensor) -> None:
        """Add the squared errors of the training mean alone.

        Parameters
        ----------
        y : Tensor, shape (sample, target)
            Targets, about centred.
        baseline : Tensor, shape (target,)
            float64, added to.
        """
        cut = slabs(self.fold.train)
        parts = [y[slab] for slab in cut] if len(cut) <= SLABS else [take(y, self.fold.train, 0)]
        mean = torch.stack([part.sum(0) for part in parts]).sum(0) / len(self.fold.train)
        baseline += _sum_of_squares(take(y, self.fold.test, 0) - mean)

    def _product_shape(self, n_rows: int, n_targets: int, *, cached: bool) -> tuple[int, int]:
        """How many penalties one product takes, and how many targets where its result should stay in a cache."""
        at_once = min(max(1, PRODUCT_ROWS // n_rows), max(map(len, self.stacks)))
        n_products = -(-n_targets * at_once * n_rows // PRODUCT_VALUES) if cached else 1
        return at_once, max(1, -(-n_targets // n_products))  # as wide as each other

    def _add_products(
        self, projected: torch.Tensor, truth: torch.Tensor, error: torch.Tensor, memory: torch.Tensor, at_once: int
    ) -> None:
        """Add the squared errors of a few targets; predictions go into the same memory, some penalties at a time."""
        done = 0
        for stack in self.stacks:
            for operators in torch.split(stack, at_once):
                left = memory[: len(operators) * truth.numel()].view(-1, truth.shape[1])
                left = multiply(operators.flatten(0, 1), projected, scratch=left)
                left = left.view(-1, *truth.shape)  # (penalty, row, target)
                error[done : done + len(operators)] += left.sub_(truth).square_().sum(1)
                done += len(operators)

    def weigh(self, y: torch.Tensor, number: int, weights: torch.Tensor) -> bool:
        """Write the weights of the test rows for one penalty, as :mod:`neuroling.numerics.ridge.dual_weights` says.

        Parameters
        ----------
        y : Tensor, shape (sample, target)
            Targets, about centred.
        number : int
            Which of the penalties.
        weights : Tensor, shape (sample, target)
            Written to, in the test rows.

        Returns
        -------
        bool
            Whether there is a block for that penalty.
        """
        block = self.blocks[number]
        if block is None:
            return False
        seen = take(y, self.fold.train, 0)  # (train, target)
        gap = take(y, self.fold.test, 0) - seen.mean(0)  # (test, target)
        add_product(gap, self.operator(number), seen, alpha=-1)
        weights[self.fold.test] = multiply(block, gap)
        return True

    def operator(self, number: int) -> torch.Tensor:
        """Give the operator of one penalty.

        Parameters
        ----------
        number : int
            Which of the penalties.

        Returns
        -------
        Tensor, shape (row, rank) or (row, train)
        """
        for stack in self.stacks:
            if number < len(stack):
                return stack[number]
            number -= len(stack)
        raise IndexError(number)

    @property
    def n_operators(self) -> int:
        """Number of penalties, those of all weightings."""
        return sum(map(len, self.stacks))

    @property
    def n_bytes(self) -> int:
        """Bytes held."""
        return sum(part.nbytes for part in (*self.stacks, *self.blocks, self.project, self.basis) if part is not None)


@dataclass(frozen=True)
class BlockResiduals:
    """All folds at once: residuals of the full fit, divided by the blocks of the folds.

    Attributes
    ----------
    tests : tuple of Tensor, each of shape (fold, test)
        Test rows, folds of one size together.
    project : Tensor, shape (rank, sample)
        Projects targets.
    designs : Tensor, shape (alpha, sample, rank)
        From projected targets to fitted values, less the mean.
    inverses : tuple of Tensor, each of shape (alpha, fold, test, test)
        Inverse of the block of ``I - H`` of every fold.
    """

    tests: tuple[torch.Tensor, ...]
    project: torch.Tensor
    designs: torch.Tensor
    inverses: tuple[torch.Tensor, ...]

    def add_errors(self, y: torch.Tensor, error: torch.Tensor, baseline: torch.Tensor) -> None:
        """Add the squared errors of all folds.

        Parameters
        ----------
        y : Tensor, shape (sample, target)
            Targets.
        error : Tensor, shape (alpha, target)
            float64, added to.
        baseline : Tensor, shape (target,)
            float64, added to.
        """
        centred = y - y.mean(0)
        projected = multiply(self.project, centred)
        total = len(y)
        for rows in self.tests:
            kept = total - rows.shape[1]
            gap = centred[rows]  # (fold, test, target)
            gap = gap + gap.sum(1, keepdim=True) / kept  # less the mean of the other samples
            baseline += gap.square_().sum((0, 1))
        left = torch.empty_like(centred)
        for row, design in enumerate(self.designs):
            torch.sub(centred, multiply(design, projected, scratch=left), out=left)  # residuals of the full fit
            for rows, inverses in zip(self.tests, self.inverses, strict=True):
                if rows.shape[1] == 1:
                    held_out = left[rows[:, 0]].mul_(inverses[row, :, :, 0])
                else:
                    held_out = torch.bmm(inverses[row], left[rows]).flatten(0, 1)
                error[row] += held_out.square_().sum(0)

    @property
    def n_bytes(self) -> int:
        """Bytes held."""
        return sum(part.nbytes for part in (self.project, self.designs, *self.inverses))


def _sum_of_squares(values: torch.Tensor) -> torch.Tensor:
    """Sum over rows: (row, target) -> (target,)."""
    return values.square().sum(0)


def by_spectrum(
    design: Design, folds: Sequence[Fold], alphas: torch.Tensor, dtype: torch.dtype
) -> Iterator[HeldOutErrors]:
    """Decompose every fold's smaller Gram matrix.

    Parameters
    ----------
    design : Design
    folds : sequence of Fold
    alphas : Tensor, shape (alpha,)
    dtype : torch.dtype

    Yields
    ------
    FoldOperators
        One a fold.
    """
    for fold in folds:
        spectrum, project, test_design = _spectral_fold(design, fold, float(alphas.min()))
        basis = None
        if test_design.shape[0] > test_design.shape[1]:
            basis, test_design = torch.linalg.qr(test_design)
            basis = basis.to(dtype)
        operators = room(len(alphas), *test_design.shape, dtype=dtype, device=test_design.device)
        for row, alpha in enumerate(alphas):
            operators[row] = test_design / (spectrum + alpha)
        yield FoldOperators(fold, project.to(dtype), basis, (operators,))


def _spectral_fold(design: Design, fold: Fold, least_alpha: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Spectrum (rank,), projection (rank, train) and test design (test, rank) of a fold."""
    if design.features is not None:
        train = design.features[fold.train]
        mean = train.mean(0)
        if train.shape[1] < train.shape[0] or design.gram is None:
            parts = decompose(train - mean, least_alpha)
            return parts.spectrum, parts.project, multiply(design.features[fold.test] - mean, parts.lift)
    gram, across = fold_grams(design.full_gram(), fold.train, fold.test)
    spectrum, vectors = eigh(gram)
    if design.features is not None and least_alpha <= GRAM_LIMIT * float(spectrum[-1]):
        parts = decompose(train - mean, least_alpha)
        return parts.spectrum, parts.project, multiply(design.features[fold.test] - mean, parts.lift)
    return spectrum.clamp(min=0), vectors.T, multiply(across, vectors)


def by_operators(
    design: Design, folds: Sequence[Fold], alphas: torch.Tensor, dtype: torch.dtype
) -> Iterator[HeldOutErrors]:
    """Factor every fold's Gram matrix anew for every penalty.

    Parameters
    ----------
    design : Design
    folds : sequence of Fold
    alphas : Tensor, shape (alpha,)
    dtype : torch.dtype

    Yields
    ------
    FoldOperators
        One a fold.
    """
    whole = design.full_gram()
    for fold in folds:
        gram, across = fold_grams(whole, fold.train, fold.test)
        shifted = ShiftedGram(gram, dtype)
        operators = room(len(alphas), *across.shape, dtype=dtype, device=across.device)
        for row, alpha in enumerate(alphas.tolist()):
            factor = shifted.factor(alpha)
            operators[row] = cholesky_solve(across.T.to(factor.dtype), factor).T
        yield FoldOperators(fold, None, None, (operators,))


def by_deletion(
    design: Design, folds: Sequence[Fold], alphas: torch.Tensor, dtype: torch.dtype, *, keep_blocks: bool = False
) -> Iterator[HeldOutErrors]:
    r"""Invert the full Gram matrix once per penalty and delete each fold from it.

    With :math:`G = (K + \tau 1 1^\top / n + \alpha I)^{-1}` for a centred :math:`K`, the residual maker of the full fit
    is :math:`\alpha (G - 1 1^\top / (n (\tau + \alpha)))`; :math:`\tau` of the size of an eigenvalue keeps digits.

    Parameters
    ----------
    design : Design
    folds : sequence of Fold
    alphas : Tensor, shape (alpha,)
    dtype : torch.dtype
    keep_blocks : bool
        Whether to keep the blocks of :class:`FoldOperators`, for penalties whose inverse has the targets' precision.

    Yields
    ------
    FoldOperators
        One a fold.
    """
    gram = centre_gram(design.full_gram())
    n_samples = len(gram)
    level = float(gram.diagonal().mean())
    gram += level / n_samples
    shifted = ShiftedGram(gram, dtype)
    operators = [_training_means(len(alphas), fold, dtype) for fold in folds]
    blocks: list[list[torch.Tensor | None]] = [[] for _ in folds]
    memory: dict[torch.dtype, torch.Tensor] = {}  # of inverses, for all folds and penalties
    cuts = [slabs(fold.train) for fold in folds]
    for row, alpha in enumerate(alphas.tolist()):
        maker = shifted.inverse(alpha)
        maker -= 1 / (n_samples * (level + alpha))
        if maker.dtype not in memory:
            memory[maker.dtype] = maker.new_empty(max(len(fold.test) for fold in folds) ** 2)
        for fold, found, cut, kept in zip(folds, operators, cuts, blocks, strict=True):
            rows = take(maker, fold.test, 0)  # (test, sample)
            block = take(rows, fold.test, 1)
            inverse = invert(memory[maker.dtype][: block.numel()].view(block.shape).copy_(block))
            _delete(rows, inverse, fold, cut, found[row])
            if keep_blocks:
                kept.append(block.clone() if maker.dtype == dtype else None)
    for fold, found, kept in zip(folds, operators, blocks, strict=True):
        yield FoldOperators(fold, None, None, (found,), tuple(kept))


def _delete(rows: torch.Tensor, inverse: torch.Tensor, fold: Fold, cut: list[slice], found: torch.Tensor) -> None:
    """Take a fold's operator (test, train), less what is there, from its rows (test, sample) and inverse block."""
    if rows.dtype != found.dtype or len(cut) > SLABS:
        for first in range(0, len(rows), DELETED_ROWS):
            some = slice(first, first + DELETED_ROWS)
            found[some] -= take(multiply(inverse[some], rows), fold.train, 1)
        return
    done = 0
    for slab in cut:  # without a copy
        width = slab.stop - slab.start
        add_product(found[:, done : done + width], inverse, rows[:, slab], alpha=-1)
        done += width


def _training_means(n_alphas: int, fold: Fold, dtype: torch.dtype) -> torch.Tensor:
    """Operators (alpha, test, train) that take away the mean of the training targets."""
    n_test, n_train = len(fold.test), len(fold.train)
    return room(n_alphas, n_test, n_train, dtype=dtype, device=fold.train.device).fill_(-1 / n_train)


def by_residuals(
    design: Design, folds: Sequence[Fold], alphas: torch.Tensor, dtype: torch.dtype
) -> Iterator[HeldOutErrors]:
    """Decompose once, and divide residuals of the full fit by the folds' blocks.

    Parameters
    ----------
    design : Design
    folds : sequence of Fold
    alphas : Tensor, shape (alpha,)
    dtype : torch.dtype

    Yields
    ------
    BlockResiduals or FoldOperators
        One for all folds; or one a fold, where a block leaves too little residual to divide by.
    """
    everything = torch.arange(design.n_samples, device=alphas.device)
    spectrum, project, fitted = _spectral_fold(design, Fold(everything, everything), float(alphas.min()))
    sizes = sorted({len(fold.test) for fold in folds})
    tests = tuple(torch.stack([fold.test for fold in folds if len(fold.test) == size]) for size in sizes)
    designs = torch.empty(len(alphas), *fitted.shape, dtype=dtype, device=fitted.device)
    inverses = [
        torch.empty(len(alphas), *rows.shape, rows.shape[1], dtype=dtype, device=alphas.device) for rows in tests
    ]
    for row, alpha in enumerate(alphas.tolist()):
        shrunken = fitted / (spectrum + alpha)
        designs[row] = shrunken
        for rows, found in zip(tests, inverses, strict=True):
            block = -torch.einsum("ktr,rks->kts", shrunken[rows], project[:, rows]) - 1 / design.n_samples
            block.diagonal(dim1=1, dim2=2).add_(1)
            if float(torch.linalg.eigvalsh(block)[:, 0].min()) < LEAST_SLACK:
                yield from by_spectrum(design, folds, alphas, dtype)
                return
            found[row] = torch.linalg.inv(block)
    yield BlockResiduals(tests, project.to(dtype), designs, tuple(inverses))
