"""Which way to the held-out errors takes the fewest operations at a shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from neuroling.numerics.ridge.decomposition import GRAM_LIMIT
from neuroling.numerics.ridge.gram import Design, Fold
from neuroling.numerics.ridge.held_out_errors import HeldOutErrors, by_deletion, by_operators, by_residuals, by_spectrum
from neuroling.numerics.ridge.quadratic_forms import passing_operations

EIGEN_COST = 20.0

CHOLESKY_COST = 0.6
"""Cost of decompositions in operations of a float32 product, per cubed size; measured on one core, heuristics."""

CALL_COST = 1e7
"""What the calls around one small factor cost, in operations of a float32 product: about 0.1 ms; a heuristic."""

LIKELY_SLACK = 1e-2
FEW_FOLDS = 10
"""Mean leverage left at which residuals of the full fit can likely be divided by it, and folds that are decomposed one
by one at little loss, so that this is not tried in vain. Heuristics."""

Form = Callable[[Design, Sequence[Fold], torch.Tensor, torch.dtype], Iterator[HeldOutErrors]]


def choose_form(
    folds: Sequence[Fold],
    n_samples: int,
    rank: int,
    *,
    n_alphas: int,
    n_targets: int,
    shifted: bool = True,
    slack: float = 1.0,
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
    slack : float
        Guess of what the fit with the least penalty leaves over of a sample. Where it is too little to divide by, and
        folds are few, residuals are not tried.

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
    passed = float((tests * trains).sum()) * n_targets  # multiplications of operators and targets
    if rank >= trains.max():  # or there are no quadratic forms
        sizes = [(len(fold.test), len(fold.train)) for fold in folds]
        passed = passing_operations(sizes, n_samples, n_targets)
    past = n_alphas * 2 * passed
    each = len(folds) * n_alphas
    cost: dict[Form, float] = {
        by_spectrum: CALL_COST * (5 * len(folds) + 0.2 * each)
        + (
            EIGEN_COST * ranks**3 + 2 * ranks * trains * n_targets + through * rows * ranks + 2 * trains * ranks**2
        ).sum()
    }
    if shifted:
        factor = n_alphas * (CHOLESKY_COST * trains**3 + 2 * tests * trains**2)
        cost[by_operators] = CALL_COST * each + factor.sum() + past
    if _are_complements(folds, n_samples):
        small = min(n_samples, rank)
        if slack >= LIKELY_SLACK or len(folds) > FEW_FOLDS:
            cost[by_residuals] = (
                CALL_COST * (5 + 3 * n_alphas)
                + EIGEN_COST * small**3
                + (1 + n_alphas) * 2 * n_samples * small * n_targets
                + through * (tests**2).sum()
                + n_alphas * (4 * tests**2 * small + 12 * tests**3).sum()  # blocks and their inverses, in float64
            )
        if shifted:
            factor = n_alphas * (2 * n_samples**3 + (2 * tests**2 * trains).sum())
            cost[by_deletion] = CALL_COST * (n_alphas + each) + factor + past
    return min(cost, key=lambda form: cost[form])


def _are_complements(folds: Sequence[Fold], n_samples: int) -> bool:
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


def held_out_errors(
    design: Design,
    folds: Sequence[Fold],
    alphas: Float[NDArray[np.floating], " alpha"],
    *,
    n_targets: int,
    dtype: torch.dtype,
    keep_blocks: bool = False,
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
    keep_blocks : bool
        Whether to keep what gives the weights of samples too, where the form has it.

    Yields
    ------
    HeldOutErrors
        One per fold, or one for all.
    """
    least, level = float(np.min(alphas)), design.trace() / design.n_samples
    form = choose_form(
        folds,
        design.n_samples,
        design.rank,
        n_alphas=len(alphas),
        n_targets=n_targets,
        shifted=least > GRAM_LIMIT * level * design.n_samples,
        slack=least / (level + least) if design.rank == design.n_samples else 1.0,
    )
    penalties = torch.as_tensor(np.asarray(alphas, np.float64), device=folds[0].train.device)
    if form is by_deletion:
        yield from by_deletion(design, folds, penalties, dtype, keep_blocks=keep_blocks)
    else:
        yield from form(design, folds, penalties, dtype)
