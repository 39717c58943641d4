"""Choice of a ridge penalty per target by held-out error, within a bound on memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from neuroling.numerics.device import to_tensor
from neuroling.numerics.memory import Targets
from neuroling.numerics.ridge.algorithm_choice import held_out_errors
from neuroling.numerics.ridge.decomposition import Folds, centre
from neuroling.numerics.ridge.dual_weights import Kept
from neuroling.numerics.ridge.gram import Design, Fold, to_folds
from neuroling.numerics.ridge.held_out_errors import HeldOutErrors
from neuroling.numerics.ridge.quadratic_forms import as_quadratic, quadratic_pays, quadratic_values

FRESH_BYTES = 2**28
"""Bytes of operators that are held at a time where there is a choice: memory that was never touched costs a second in
700 MB, memory that is used again nothing. A heuristic."""

OPERATOR_SHARE = 0.6
"""Share of the memory that operators may fill; the rest is for the targets that pass them."""


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
    return cv_scores(Design.linear(to_tensor(X, targets.device)), targets, folds, alphas)


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
    return cv_fit(design, targets, folds, alphas, fit=False)[0]


def cv_fit(
    design: Design,
    targets: Targets,
    folds: Folds,
    alphas: Float[NDArray[np.floating], " alpha"],
    *,
    fit: bool = True,
) -> tuple[Float[NDArray[np.float64], "alpha target"], Kept | None]:
    """Score penalties, and fit targets with their best while what that takes is at hand.

    Parameters
    ----------
    design, targets, folds, alphas
        As in :func:`cv_scores`.
    fit : bool
        Whether to fit at all.

    Returns
    -------
    scores : ndarray, shape (alpha, target)
        As :func:`cv_scores`.
    kept : Kept or None
        Weights of samples of those targets that got them; :func:`neuroling.numerics.ridge.refit.fit_dual` fits the
        others.
    """
    kept = Kept.none_for(targets.values) if fit else None
    return _search(design, targets, to_folds(folds, design.device), alphas, kept), kept


def _search(
    design: Design, targets: Targets, rows: Sequence[Fold], alphas: NDArray[np.floating], kept: Kept | None
) -> NDArray[np.float64]:
    """Scores (alpha, target); weights of samples go to ``kept`` where all operators are held at once."""
    Y, n_alphas = targets.values, len(alphas)
    plan = plan_passes(design, targets, rows, n_alphas, keep_blocks=kept is not None)
    all_fit = plan.operators_at_once >= len(rows) * n_alphas
    error, baseline = np.zeros((n_alphas, Y.shape[1])), np.zeros(Y.shape[1])
    for fold_slice, alpha_slice in _chunks(len(rows), n_alphas, plan.operators_at_once):
        options = {"n_targets": Y.shape[1], "dtype": targets.dtype, "keep_blocks": all_fit and kept is not None}
        prepared = list(held_out_errors(design, rows[fold_slice], alphas[alpha_slice], **options))
        summed = as_quadratic(prepared, len(Y), Y.shape[1]) if plan.quadratic and all_fit else prepared
        for tile, y in targets.tiles(plan.tile):
            centred, mean = centre(y)
            added = add_up(summed, centred, len(alphas[alpha_slice]))
            found_error, found_baseline = (found.cpu().numpy() for found in added)
            error[alpha_slice, tile] += found_error
            if alpha_slice.start == 0:
                baseline[tile] += found_baseline
            if kept is not None and all_fit:
                scores = r_squared(found_error, found_baseline, Y[:, tile])
                kept.improve(prepared, centred, tile, scores, first=0, without=int(np.argmax(alphas)))
                kept.mean[tile] = mean.cpu().numpy()
        del prepared, summed  # before the next are made
    return r_squared(error, baseline, Y)


class Plan(NamedTuple):
    """How much is held at a time.

    Attributes
    ----------
    operators_at_once : int
        Pairs of a fold and a penalty whose operators are held together.
    tile : int
        Targets that pass them at a time.
    fresh_operators : int
        How many fill :data:`FRESH_BYTES`.
    quadratic : bool
        Whether there is memory for quadratic forms beside the operators of all folds, and they pay.
    """

    operators_at_once: int
    tile: int
    fresh_operators: int
    quadratic: bool


def plan_passes(
    design: Design,
    targets: Targets,
    folds: Sequence[Fold],
    n_alphas: int,
    *,
    together: int | None = None,
    keep_blocks: bool = False,
    beside: int = 0,
) -> Plan:
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
    together : int, optional
        Penalties whose operators are to be held at once if they can; all by default.
    keep_blocks : bool
        Whether a block (test, test) is held with every operator.
    beside : int
        Bytes that the caller holds.

    Returns
    -------
    Plan

    Raises
    ------
    MemoryError
        If not even one operator and one target fit.
    """
    itemsize, sizes = targets.values.itemsize, [(len(fold.test), len(fold.train)) for fold in folds]
    n_samples, n_targets = targets.values.shape
    wide = design.rank >= max(train for _, train in sizes)  # or operators are of features, and there are no forms
    widths = [min(train, design.rank) + keep_blocks * test for test, train in sizes]
    operator = max(test * width for (test, _), width in zip(sizes, widths, strict=True)) * itemsize
    form = quadratic_values(n_samples) * itemsize // len(folds)  # of a penalty, a share for each of its operators
    for quadratic in (True, False) if wide and quadratic_pays(sizes, n_samples, n_targets) else (False,):
        fixed = design.n_bytes + build_bytes(design) + beside
        per_operator = operator
        if quadratic:
            fixed += sum(test for test, _ in sizes) * n_samples * itemsize
            per_operator += form
        at_once = max(1, int(OPERATOR_SHARE * (targets.allowed - fixed)) // per_operator)
        if at_once >= len(folds) * (together or n_alphas):
            break
    held = min(at_once, len(folds) * n_alphas) * per_operator
    tile = targets.tile_size(fixed=fixed + held, per_target=_tile_bytes(folds, n_alphas, targets.values))
    return Plan(at_once, tile, FRESH_BYTES // per_operator, quadratic)


def add_up(
    prepared: Sequence[HeldOutErrors], centred: torch.Tensor, n_alphas: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Add up the squared errors of some targets over folds.

    Parameters
    ----------
    prepared : sequence of HeldOutErrors
        From :func:`held_out_errors`.
    centred : Tensor, shape (sample, target)
        Targets less their mean, on the device.
    n_alphas : int
        Number of penalties.

    Returns
    -------
    error : Tensor, shape (alpha, target)
        float64.
    baseline : Tensor, shape (target,)
        float64; squared errors of the training means.
    """
    n_targets, device = centred.shape[1], centred.device
    error = torch.zeros((n_alphas, n_targets), dtype=torch.float64, device=device)
    baseline = torch.zeros(n_targets, dtype=torch.float64, device=device)
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
    """Bytes that one target needs: itself, centred, chosen, its training and test rows, errors."""
    return 6 * len(Y) * Y.itemsize + 3 * max(len(fold.test) for fold in folds) * Y.itemsize + 32 * (n_alphas + 1)


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
    varies = (Y.min(0) < Y.max(0)) & (baseline > 0)
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
