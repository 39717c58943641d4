r"""Choice of a ridge penalty per target by held-out error: operators first, targets last.

For one fold and one penalty the held-out prediction is an operator on the training targets,

.. math:: \hat Y_S = P_\alpha Y_T, \qquad P_\alpha = K_{ST} (K_{TT} + \alpha I)^{-1},

with :math:`K` the Gram matrix of the features less their training mean. No target enters it, so all operators of a fold
are built first and the targets are streamed past them once. There are four ways to the same errors, and
:func:`choose_form` takes the one with the fewest operations for the shape at hand:

spectrum
    One eigendecomposition per fold, of the smaller Gram matrix; targets are projected once per fold.
operators
    One Cholesky factor per fold and penalty; no projection. For many targets and few folds.
deletion
    One Cholesky inverse per penalty for *all* folds, each fold's operator by deletion (see
    :mod:`neuroling.numerics.pairs`). Where every training set is all that its test set is not.
residuals
    One eigendecomposition for all folds and penalties; the residuals of the full fit are divided by the folds' blocks.
    For many folds of few samples, down to leave-one-out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from neuroling.numerics.device import to_tensor
from neuroling.numerics.kernels import Kernel, Linear, centre_gram, fold_grams
from neuroling.numerics.memory import Targets
from neuroling.numerics.ridge import GRAM_LIMIT, Folds, decompose

FLOAT32_CONDITION = 3e4
"""Largest ratio of the first eigenvalue to the penalty for which a float32 Cholesky factor is good enough.

The relative error of a score is about 5e-5 at a ratio of 1.5e5 and 1e-5 at 1e4, where an eigendecomposition in float32
would lose two digits more (measured on 2,400 training samples of 3,072 features). Beyond it, float64 is used."""

EIGEN_COST = 20.0
CHOLESKY_COST = 0.6
"""Cost of decompositions in operations of a float32 product, per cubed size; measured on one core, heuristics."""

LEAST_SLACK = 1e-3
"""Smallest leverage left to a test set for which float32 residuals may be divided by it without losing digits."""

POWER_STEPS = 12

SLABS = 8
"""Largest number of runs of rows that are copied one after the other; a heuristic."""

OPERATOR_SHARE = 0.6
"""Share of the memory that operators may fill; the rest is for the targets that pass them."""


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
class Design:
    """Features or a Gram matrix, on the device, in float64.

    Attributes
    ----------
    gram : Tensor or None, shape (sample, sample)
        Inner products of samples, any origin; None if only features are needed.
    features : Tensor or None, shape (sample, feature)
        Features less their mean; None for a kernel that is not linear.
    """

    gram: torch.Tensor | None
    features: torch.Tensor | None

    @classmethod
    def linear(cls, features: torch.Tensor) -> Design:
        """Take features; their Gram matrix is made only where they outnumber samples.

        Parameters
        ----------
        features : Tensor, shape (sample, feature)
        """
        centred = features - features.mean(0)
        wide = centred.shape[1] >= centred.shape[0]
        return cls(centred @ centred.T if wide else None, centred)

    @classmethod
    def of_kernel(cls, kernel: Kernel, features: torch.Tensor) -> Design:
        """Take features as a kernel sees them; a linear one keeps the features, less their mean.

        Parameters
        ----------
        kernel : Kernel
            Gives inner products.
        features : Tensor, shape (sample, feature)
        """
        return cls.linear(features) if isinstance(kernel, Linear) else cls(kernel(features, features), None)

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        some = self.gram if self.gram is not None else self.features
        return 0 if some is None else len(some)

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return (self.gram if self.features is None else self.features).device  # type: ignore[union-attr]  # one is there

    @property
    def n_bytes(self) -> int:
        """Bytes held."""
        return sum(part.nbytes for part in (self.gram, self.features) if part is not None)

    @property
    def rank(self) -> int:
        """Largest possible rank of the centred Gram matrix."""
        n_features = self.n_samples if self.features is None else self.features.shape[1]
        return min(self.n_samples, n_features)

    def full_gram(self) -> torch.Tensor:
        """Give the Gram matrix."""
        if self.gram is not None:
            return self.gram
        assert self.features is not None  # noqa: S101 - one of the two is there
        return self.features @ self.features.T


class Fold(NamedTuple):
    """Row numbers of a fold, on the device."""

    train: torch.Tensor
    test: torch.Tensor


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
    operators : tuple of Tensor, each of shape (row, rank) or (row, train)
        From projected training targets to predictions, one a penalty.
    """

    fold: Fold
    project: torch.Tensor | None
    basis: torch.Tensor | None
    operators: tuple[torch.Tensor, ...]

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
            truth = self.basis.T @ truth  # (row, target)
            error += whole - _sum_of_squares(truth)
        projected = seen if self.project is None else self.project @ seen
        left = torch.empty_like(truth)
        for row, operator in enumerate(self.operators):
            torch.addmm(truth, operator, projected, alpha=-1, out=left)
            error[row] += left.square_().sum(0)

    @property
    def n_bytes(self) -> int:
        """Bytes held."""
        return sum(part.nbytes for part in (*self.operators, self.project, self.basis) if part is not None)


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
        projected = self.project @ centred
        total = len(y)
        for rows in self.tests:
            kept = total - rows.shape[1]
            gap = centred[rows]  # (fold, test, target)
            gap = gap + gap.sum(1, keepdim=True) / kept  # less the mean of the other samples
            baseline += gap.square_().sum((0, 1))
        left = torch.empty_like(centred)
        for row, design in enumerate(self.designs):
            torch.addmm(centred, design, projected, alpha=-1, out=left)  # residuals of the full fit
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


Form = Callable[[Design, Sequence[Fold], torch.Tensor, torch.dtype], Iterator[HeldOutErrors]]


def choose_form(
    folds: Sequence[Fold], n_samples: int, rank: int, *, n_alphas: int, n_targets: int, shifted: bool = True
) -> Form:
    """Choose the way to held-out errors that takes the fewest operations.

    Parameters
    ----------
    folds : sequence of Fold
        Rows of every fold.
    n_samples, rank : int
        Samples, and the largest possible rank of the design.
    n_alphas, n_targets : int
        How many penalties and targets.
    shifted : bool
        Whether penalties are large enough for a Cholesky factor of the shifted Gram matrix.

    Returns
    -------
    callable
        :func:`by_spectrum`, :func:`by_operators`, :func:`by_deletion` or :func:`by_residuals`.

    Examples
    --------
    >>> rows = torch.arange(100)
    >>> two = [Fold(rows[50:], rows[:50]), Fold(rows[:50], rows[50:])]
    >>> choose_form(two, 100, 100, n_alphas=10, n_targets=10_000).__name__
    'by_operators'
    >>> choose_form(two, 100, 5, n_alphas=10, n_targets=10_000).__name__
    'by_spectrum'
    """
    tests = np.array([len(fold.test) for fold in folds], float)
    trains = np.array([len(fold.train) for fold in folds], float)
    ranks = np.minimum(trains, rank)
    rows = np.minimum(tests, ranks)
    through = n_alphas * 2 * n_targets  # products with targets, per cell of an operator
    cost: dict[Form, float] = {
        by_spectrum: (
            EIGEN_COST * ranks**3 + 2 * ranks * trains * n_targets + through * rows * ranks + 2 * trains * ranks**2
        ).sum()
    }
    if shifted:
        factor = n_alphas * (CHOLESKY_COST * trains**3 + 2 * tests * trains**2)
        cost[by_operators] = (factor + through * tests * trains).sum()
    if _is_partition(folds, n_samples):
        small = min(n_samples, rank)
        cost[by_residuals] = (
            EIGEN_COST * small**3 + (1 + n_alphas) * 2 * n_samples * small * n_targets + through * (tests**2).sum()
        ) + n_alphas * ((2 * tests**2 * small).sum() + (tests**3).sum())
        if shifted:
            factor = n_alphas * (2 * n_samples**3 + (2 * tests**2 * trains).sum())
            cost[by_deletion] = factor + through * (tests * trains).sum()
    return min(cost, key=lambda form: cost[form])


def _is_partition(folds: Sequence[Fold], n_samples: int) -> bool:
    """Whether every training set is all that its test set is not (rows are unique within each)."""
    for fold in folds:
        if len(fold.train) + len(fold.test) != n_samples:
            return False
        seen = torch.zeros(n_samples, dtype=torch.bool, device=fold.train.device)
        seen[fold.train] = True
        seen[fold.test] = True
        if not bool(seen.all()):
            return False
    return True


def to_folds(folds: Folds, device: torch.device) -> list[Fold]:
    """Bring row numbers to the device.

    Parameters
    ----------
    folds : sequence of (train, test)
        Row numbers.
    device : torch.device

    Returns
    -------
    list of Fold
    """
    return [
        Fold(*(torch.from_numpy(np.ascontiguousarray(rows, dtype=np.int64)).to(device) for rows in fold))
        for fold in folds
    ]


def held_out_errors(
    design: Design,
    folds: Sequence[Fold],
    alphas: Float[NDArray[np.floating], " alpha"],
    *,
    n_targets: int,
    dtype: torch.dtype,
) -> Iterator[HeldOutErrors]:
    """Prepare the held-out errors of all folds for any targets, by the form that suits the shape.

    Parameters
    ----------
    design : Design
        Features or Gram matrix.
    folds : sequence of Fold
        From :func:`to_folds`.
    alphas : ndarray, shape (alpha,)
        Penalties.
    n_targets : int
        How many targets will be streamed, in all.
    dtype : torch.dtype
        Of the targets, and of every product with them.

    Yields
    ------
    HeldOutErrors
        One per fold, or one for all.
    """
    shifted = float(np.min(alphas)) > GRAM_LIMIT * _trace(design)
    form = choose_form(folds, design.n_samples, design.rank, n_alphas=len(alphas), n_targets=n_targets, shifted=shifted)
    penalties = torch.as_tensor(np.asarray(alphas, np.float64), device=folds[0].train.device)
    yield from form(design, folds, penalties, dtype)


def _trace(design: Design) -> float:
    if design.features is not None:
        return float(design.features.square().sum())
    gram = design.full_gram()
    return float(gram.diagonal().sum() - gram.mean() * len(gram))


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
        operators = torch.empty(len(alphas), *test_design.shape, dtype=dtype, device=test_design.device)
        for row, alpha in enumerate(alphas):
            operators[row] = test_design / (spectrum + alpha)
        yield FoldOperators(fold, project.to(dtype), basis, operators.unbind())


def _spectral_fold(design: Design, fold: Fold, least_alpha: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Spectrum (rank,), projection (rank, train) and test design (test, rank) of a fold."""
    if design.features is not None:
        train = design.features[fold.train]
        mean = train.mean(0)
        if train.shape[1] < train.shape[0] or design.gram is None:
            parts = decompose(train - mean, least_alpha)
            return parts.spectrum, parts.project, (design.features[fold.test] - mean) @ parts.lift
    gram, across = fold_grams(design.full_gram(), fold.train, fold.test)
    spectrum, vectors = torch.linalg.eigh(gram)
    if design.features is not None and least_alpha <= GRAM_LIMIT * float(spectrum[-1]):
        parts = decompose(train - mean, least_alpha)
        return parts.spectrum, parts.project, (design.features[fold.test] - mean) @ parts.lift
    return spectrum.clamp(min=0), vectors.T, across @ vectors


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
        largest = largest_eigenvalue(gram)
        by_dtype = {kind: (gram.to(kind), across.to(kind)) for kind in {torch.float64, dtype}}
        operators = torch.empty(len(alphas), *across.shape, dtype=dtype, device=across.device)
        for row, alpha in enumerate(alphas):
            train_gram, test_gram = by_dtype[factor_dtype(largest, float(alpha), dtype)]
            factor = shifted_cholesky(train_gram, float(alpha))
            operators[row] = torch.cholesky_solve(test_gram.T, factor).T
        yield FoldOperators(fold, None, None, operators.unbind())


def by_deletion(
    design: Design, folds: Sequence[Fold], alphas: torch.Tensor, dtype: torch.dtype
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

    Yields
    ------
    FoldOperators
        One a fold.
    """
    gram = centre_gram(design.full_gram())
    n_samples = len(gram)
    level = float(gram.diagonal().mean())
    gram += level / n_samples
    largest = largest_eigenvalue(gram)
    by_dtype = {kind: gram.to(kind) for kind in {torch.float64, dtype}}
    operators = [
        torch.empty(len(alphas), len(fold.test), len(fold.train), dtype=dtype, device=gram.device) for fold in folds
    ]
    for row, alpha in enumerate(alphas.tolist()):
        kind = factor_dtype(largest, alpha, dtype)
        maker = torch.cholesky_inverse(shifted_cholesky(by_dtype[kind], alpha))
        maker -= 1 / (n_samples * (level + alpha))
        for fold, found in zip(folds, operators, strict=True):
            rows = take(maker, fold.test, 0)  # (test, sample)
            inverse = torch.cholesky_inverse(torch.linalg.cholesky(take(rows, fold.test, 1)))
            found[row] = (inverse @ take(rows, fold.train, 1)).add_(1 / len(fold.train)).neg_()
    yield from (FoldOperators(fold, None, None, found.unbind()) for fold, found in zip(folds, operators, strict=True))


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


def take(matrix: torch.Tensor, rows: torch.Tensor, axis: int) -> torch.Tensor:
    """Take rows or columns, as slabs where they run on: much faster than one by one.

    Parameters
    ----------
    matrix : Tensor, shape (row, column)
    rows : Tensor of int, shape (chosen,)
        Which.
    axis : int
        0 for rows, 1 for columns.

    Returns
    -------
    Tensor
        A view where the chosen ones are one slab.

    Examples
    --------
    >>> take(torch.arange(6).reshape(2, 3), torch.tensor([0, 2]), axis=1).tolist()
    [[0, 2], [3, 5]]
    """
    breaks = (torch.nonzero(rows[1:] != rows[:-1] + 1).flatten() + 1).tolist()
    if len(breaks) > SLABS:
        return matrix.index_select(axis, rows)
    starts = [0, *breaks, len(rows)]
    slabs = [matrix.narrow(axis, int(rows[start]), stop - start) for start, stop in pairwise(starts)]
    return slabs[0] if len(slabs) == 1 else torch.cat(slabs, axis)


def largest_eigenvalue(gram: torch.Tensor) -> float:
    """Estimate the largest eigenvalue of a positive semi-definite matrix by power iteration, from below.

    Parameters
    ----------
    gram : Tensor, shape (sample, sample)

    Returns
    -------
    float
    """
    vector = gram[gram.diagonal().argmax()].clone()  # a column is seldom orthogonal to the first eigenvector
    length = torch.linalg.vector_norm(vector)
    for _ in range(POWER_STEPS):
        if not float(length) > 0:
            return 0.0
        vector = gram @ (vector / length)
        length = torch.linalg.vector_norm(vector)
    return float(length)


def factor_dtype(largest: float, alpha: float, dtype: torch.dtype) -> torch.dtype:
    """Choose the precision of a Cholesky factor.

    Parameters
    ----------
    largest : float
        Largest eigenvalue.
    alpha : float
        Penalty.
    dtype : torch.dtype
        Of the targets.

    Returns
    -------
    torch.dtype
    """
    return dtype if largest <= FLOAT32_CONDITION * alpha else torch.float64


def shifted_cholesky(gram: torch.Tensor, alpha: float) -> torch.Tensor:
    """Factor a Gram matrix with the penalty on its diagonal.

    Parameters
    ----------
    gram : Tensor, shape (sample, sample)
    alpha : float

    Returns
    -------
    Tensor, shape (sample, sample)
        Lower triangular.
    """
    shifted = gram.clone()
    shifted.diagonal().add_(alpha)
    factor: torch.Tensor = torch.linalg.cholesky(shifted)
    return factor


def ridge_cv_scores(
    X: Float[NDArray[np.floating], "sample feature"],
    targets: Targets,
    folds: Folds,
    alphas: Float[NDArray[np.floating], " alpha"],
) -> Float[NDArray[np.float64], "alpha target"]:
    r"""Score penalties of ridge by held-out :math:`R^2`, per target.

    .. math:: R^2 = 1 - \frac{\sum_f \lVert Y_f - \hat Y_f \rVert^2}{\sum_f \lVert Y_f - \bar Y_{-f} \rVert^2}

    summed over the folds *f*, with the mean of the training rows as the baseline.

    Parameters
    ----------
    X : ndarray, shape (sample, feature)
        Features.
    targets : Targets
        Targets (sample, target), their device and limits; products with them keep their dtype.
    folds : sequence of (train, test)
        Row indices.
    alphas : ndarray, shape (alpha,)
        Penalties, at least 0.

    Returns
    -------
    ndarray, shape (alpha, target)
        float64; NaN for a target that is constant over samples.
    """
    return cv_scores(Design.linear(to_tensor(X, targets.device, torch.float64)), targets, folds, alphas)


def cv_scores(
    design: Design, targets: Targets, folds: Folds, alphas: Float[NDArray[np.floating], " alpha"]
) -> Float[NDArray[np.float64], "alpha target"]:
    """Score penalties by held-out R², per target, for any kernel.

    Parameters
    ----------
    design : Design
        Features or Gram matrix, on the device where to compute.
    targets : Targets
        Targets (sample, target) and limits, for the same device.
    folds : sequence of (train, test)
        Row indices.
    alphas : ndarray, shape (alpha,)
        Penalties.

    Returns
    -------
    ndarray, shape (alpha, target)
        As :func:`ridge_cv_scores`.
    """
    Y, rows = targets.values, to_folds(folds, design.device)
    plan = plan_passes(design, targets, rows, len(alphas))
    error, baseline = np.zeros((len(alphas), Y.shape[1])), np.zeros(Y.shape[1])
    for some, chosen in _chunks(len(rows), len(alphas), plan.operators_at_once):
        prepared = list(held_out_errors(design, rows[some], alphas[chosen], n_targets=Y.shape[1], dtype=targets.dtype))
        for tile, y in targets.tiles(plan.tile):
            found_error, found_baseline = add_up(prepared, y, len(alphas[chosen]))
            error[chosen, tile] += found_error.cpu().numpy()
            if chosen.start == 0:
                baseline[tile] += found_baseline.cpu().numpy()
    return r_squared(error, baseline, Y)


class Plan(NamedTuple):
    """How much is held at a time.

    Attributes
    ----------
    operators_at_once : int
        Pairs of a fold and a penalty whose operators are held together.
    tile : int
        Targets that pass them at a time.
    """

    operators_at_once: int
    tile: int


def plan_passes(design: Design, targets: Targets, folds: Sequence[Fold], n_alphas: int) -> Plan:
    """Divide the memory between operators and targets.

    Parameters
    ----------
    design : Design
        Features or Gram matrix.
    targets : Targets
        Targets and limits.
    folds : sequence of Fold
        Rows of every fold.
    n_alphas : int
        Number of penalties.

    Returns
    -------
    Plan

    Raises
    ------
    MemoryError
        If not even one operator and one target fit.
    """
    fixed = design.n_bytes + build_bytes(design)
    itemsize = targets.values.itemsize
    per_operator = max(len(fold.test) * min(len(fold.train), design.rank) for fold in folds) * itemsize
    at_once = max(1, int(OPERATOR_SHARE * (targets.allowed - fixed)) // per_operator)
    held = min(at_once, len(folds) * n_alphas) * per_operator
    tile = targets.tile_size(fixed=fixed + held, per_target=_tile_bytes(folds, n_alphas, targets.values))
    return Plan(at_once, tile)


def add_up(prepared: Sequence[HeldOutErrors], y: torch.Tensor, n_alphas: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Add up the squared errors of some targets over folds.

    Parameters
    ----------
    prepared : sequence of HeldOutErrors
        From :func:`held_out_errors`.
    y : Tensor, shape (sample, target)
        Targets, on the device.
    n_alphas : int
        Number of penalties.

    Returns
    -------
    error : Tensor, shape (alpha, target)
        float64.
    baseline : Tensor, shape (target,)
        float64; squared errors of the training means.
    """
    centred = y - y.mean(0, dtype=torch.float64).to(y.dtype)
    error = torch.zeros((n_alphas, y.shape[1]), dtype=torch.float64, device=y.device)
    baseline = torch.zeros(y.shape[1], dtype=torch.float64, device=y.device)
    for part in prepared:
        part.add_errors(centred, error, baseline)
    return error, baseline


def _chunks(n_folds: int, n_alphas: int, at_once: int) -> Iterator[tuple[slice, slice]]:
    """Cut folds, and penalties where one fold is too much, so that the operators of a chunk fit into memory."""
    folds_at_once = max(1, at_once // n_alphas)
    alphas_at_once = min(n_alphas, at_once)
    for first in range(0, n_folds, folds_at_once):
        for start in range(0, n_alphas, alphas_at_once):
            yield slice(first, first + folds_at_once), slice(start, start + alphas_at_once)


def _tile_bytes(folds: Sequence[Fold], n_alphas: int, Y: NDArray[np.floating]) -> int:
    """Bytes that one target needs: itself, centred, its training and test rows, errors."""
    return 5 * len(Y) * Y.itemsize + 3 * max(len(fold.test) for fold in folds) * Y.itemsize + 32 * (n_alphas + 1)


def r_squared(
    error: NDArray[np.float64], baseline: NDArray[np.float64], Y: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Turn squared errors into R squared, in place.

    Parameters
    ----------
    error : ndarray, shape (alpha, target)
        Squared errors over all folds.
    baseline : ndarray, shape (target,)
        Those of the training means.
    Y : ndarray, shape (sample, target)
        Targets.

    Returns
    -------
    ndarray, shape (alpha, target)
        NaN where a target is constant.
    """
    varies = ~(Y[:1] == Y).all(0) & (baseline > 0)
    error /= np.where(varies, baseline, np.nan)
    return np.subtract(1.0, error, out=error)


def build_bytes(design: Design) -> int:
    """Estimate what building the operators of a fold takes beside the operators: copies and LAPACK's work space.

    Parameters
    ----------
    design : Design
        Features or Gram matrix.
    """
    n_samples, rank = design.n_samples, design.rank
    wide = n_samples if design.features is None or rank == n_samples else rank
    return 8 * (2 * n_samples * wide + 5 * rank**2)
