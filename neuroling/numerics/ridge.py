r"""Ridge regression with an unpenalised intercept, from one decomposition per training set.

With :math:`X_c` the features less their training mean, ridge is
:math:`B = (X_c^\top X_c + \alpha I)^{-1} X_c^\top Y`. Every function here writes it as

.. math:: B = L \operatorname{diag}\!\left(\frac{1}{w + \alpha}\right) P\, Y

with factors :math:`L, w, P` that hold for every penalty :math:`\alpha` and every target. They are computed in float64
because they are small; the products with targets, which are large, keep the targets' dtype. Torch refuses a matrix
product of two dtypes, so a stray float64 factor is an error and not a silent halving of the speed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray

from neuroling.numerics.device import to_tensor

Folds = Sequence[tuple[NDArray[np.integer], NDArray[np.integer]]]
"""Training and test rows of every fold."""

GRAM_LIMIT = math.sqrt(np.finfo(np.float64).eps)
"""Smallest penalty, relative to the largest eigenvalue of the Gram matrix, for which that matrix is decomposed.

A Gram matrix carries its eigenvalues to an absolute error of about eps times the largest. Smaller penalties would drown
in it; for them the features themselves are decomposed (SVD), which costs a few times more and loses nothing."""

BATCH_ELEMENTS = 2**23
"""Largest number of values of one batch of targets, 64 MB in float64; a heuristic."""


class Decomposition(NamedTuple):
    """Factors of ridge that are the same for every penalty and target.

    Attributes
    ----------
    lift : Tensor, shape (feature, rank)
        Takes shrunken projections to weights.
    spectrum : Tensor, shape (rank,)
        Squared singular values of the centred features, never negative.
    project : Tensor, shape (rank, sample)
        Projects targets.
    design : Tensor, shape (sample, rank)
        Centred features times ``lift``.
    """

    lift: torch.Tensor
    spectrum: torch.Tensor
    project: torch.Tensor
    design: torch.Tensor


def decompose(centred: torch.Tensor, least_alpha: float) -> Decomposition:
    """Decompose centred features by their smaller Gram matrix, or by SVD where the penalty is too small for that.

    Parameters
    ----------
    centred : Tensor, shape (sample, feature)
        Features less their mean, float64.
    least_alpha : float
        The smallest penalty that will be asked for; 0 means least squares by pseudo-inverse.

    Returns
    -------
    Decomposition
    """
    n_samples, n_features = centred.shape
    primal = n_features < n_samples
    gram = centred.T @ centred if primal else centred @ centred.T
    spectrum, vectors = torch.linalg.eigh(gram)
    if least_alpha <= GRAM_LIMIT * float(spectrum[-1]):
        return _decompose_by_svd(centred)
    spectrum = spectrum.clamp(min=0)
    if primal:
        design = centred @ vectors  # (sample, rank)
        return Decomposition(vectors, spectrum, design.T, design)
    return Decomposition(centred.T @ vectors, spectrum, vectors.T, vectors * spectrum)


def _decompose_by_svd(centred: torch.Tensor) -> Decomposition:
    """Decompose without forming a Gram matrix; directions below rounding error are left out."""
    left, singular, right = torch.linalg.svd(centred, full_matrices=False)
    cutoff = max(centred.shape) * torch.finfo(centred.dtype).eps * singular[:1].sum()
    rank = int((singular > cutoff).sum())
    design = left[:, :rank] * singular[:rank]  # (sample, rank)
    return Decomposition(right[:rank].T, singular[:rank] ** 2, design.T, design)


def hat_matrix(
    X: Float[NDArray[np.floating], "sample feature"], alpha: float
) -> Float[NDArray[np.float64], "sample sample"]:
    r"""Give the matrix that takes recorded values to fitted values, intercept included.

    .. math:: H = \tfrac{1}{n} 1 1^\top + X_c (X_c^\top X_c + \alpha I)^{-1} X_c^\top

    Parameters
    ----------
    X : ndarray, shape (sample, feature)
        Features.
    alpha : float
        Penalty as added to :math:`X_c^\top X_c`, at least 0. With 0 it is least squares of minimum norm (by
        pseudo-inverse), which interpolates where features outnumber samples.

    Returns
    -------
    ndarray, shape (sample, sample)
        Symmetric float64; every row sums to one, because the intercept is not penalised.

    Examples
    --------
    >>> hat_matrix(np.array([[-1.0], [0.0], [1.0]]), alpha=0.0).round(3)
    array([[ 0.833,  0.333, -0.167],
           [ 0.333,  0.333,  0.333],
           [-0.167,  0.333,  0.833]])
    """
    features = to_tensor(X, torch.device("cpu"), torch.float64)
    _, spectrum, project, design = decompose(features - features.mean(0), alpha)
    fitted = (design / (spectrum + alpha)) @ project  # (sample, sample)
    return ((fitted + fitted.T) / 2 + 1 / len(X)).numpy()


def prediction_operator(
    X: Float[NDArray[np.floating], "sample feature"],
    alpha: float,
    train: Int[NDArray[np.integer], " train"],
    test: Int[NDArray[np.integer], " test"],
) -> Float[NDArray[np.float64], "test sample"]:
    """Give the matrix that takes a recording to the prediction of some rows from others, by fitting once.

    The plain way, for any training and test rows; :func:`neuroling.numerics.pairs.held_out_operators` gives the same
    for all folds at once where every training set is all that its test set is not.

    Parameters
    ----------
    X : ndarray, shape (sample, feature)
        Features of all rows.
    alpha : float
        Penalty, at least 0.
    train, test : ndarray of int, shapes (train,) and (test,)
        Rows to fit, without repetition, and rows to predict.

    Returns
    -------
    ndarray, shape (test, sample)
        Columns outside ``train`` are zero; rows sum to one.
    """
    features = to_tensor(X, torch.device("cpu"), torch.float64)
    mean = features[train].mean(0)
    lift, spectrum, project, _ = decompose(features[train] - mean, alpha)
    weights = (((features[test] - mean) @ lift) / (spectrum + alpha)) @ project  # (test, train)
    weights = weights - weights.mean(1, keepdim=True) + 1 / len(train)
    operator = np.zeros((len(test), len(X)))
    operator[:, train] = weights.numpy()
    return operator


def fit_ridge(
    X: Float[NDArray[np.floating], "sample feature"],
    Y: Float[NDArray[np.floating], "sample target"],
    alpha: float | Float[NDArray[np.floating], " target"],
    *,
    device: torch.device | None = None,
    batch: int | None = None,
) -> tuple[Float[NDArray[np.floating], "feature target"], Float[NDArray[np.floating], " target"]]:
    r"""Fit ridge with one penalty, or one per target, from one decomposition.

    Parameters
    ----------
    X : ndarray, shape (sample, feature)
        Features.
    Y : ndarray, shape (sample, target)
        Targets; their dtype is the dtype of the result and of every product with them.
    alpha : float or ndarray of shape (target,)
        Penalty as added to :math:`X_c^\top X_c`, at least 0; with 0 the least squares of minimum norm.
    device : torch.device, optional
        Where to compute; the CPU by default.
    batch : int, optional
        Targets per batch; as many as fit in :data:`BATCH_ELEMENTS` by default.

    Returns
    -------
    coef : ndarray, shape (feature, target)
    intercept : ndarray, shape (target,)
    """
    device = device or torch.device("cpu")
    features = to_tensor(X, device, torch.float64)
    x_mean = features.mean(0)
    parts = decompose(features - x_mean, float(np.min(alpha)))
    alphas = np.broadcast_to(np.asarray(alpha, np.float64), Y.shape[1:])
    coef = np.empty((X.shape[1], Y.shape[1]), Y.dtype)
    intercept = np.empty(Y.shape[1], Y.dtype)
    for tile in batches(Y.shape[1], batch, len(Y)):
        y, y_mean = centre(to_tensor(Y[:, tile], device))
        gain = 1 / (parts.spectrum[:, None] + to_tensor(alphas[tile], device))  # (rank, target)
        shrunken = (parts.project.to(y.dtype) @ y) * gain.to(y.dtype)  # (rank, target)
        weights = parts.lift.to(y.dtype) @ shrunken  # (feature, target)
        coef[:, tile] = weights.cpu().numpy()
        intercept[tile] = (y_mean - x_mean @ weights.double()).cpu().numpy()
    return coef, intercept


def ridge_cv_scores(
    X: Float[NDArray[np.floating], "sample feature"],
    Y: Float[NDArray[np.floating], "sample target"],
    folds: Folds,
    alphas: Float[NDArray[np.floating], " alpha"],
    *,
    device: torch.device | None = None,
    batch: int | None = None,
) -> Float[NDArray[np.float64], "alpha target"]:
    r"""Score penalties by held-out :math:`R^2`, per target.

    .. math:: R^2 = 1 - \frac{\sum_f \lVert Y_f - \hat Y_f \rVert^2}{\sum_f \lVert Y_f - \bar Y_{-f} \rVert^2}

    summed over the folds *f*, with the mean of the training rows as the baseline. All folds are decomposed first; then
    the targets are streamed once, batch by batch, through all folds and penalties.

    Parameters
    ----------
    X : ndarray, shape (sample, feature)
        Features.
    Y : ndarray, shape (sample, target)
        Targets; products with them keep their dtype.
    folds : sequence of (train, test)
        Row indices.
    alphas : ndarray, shape (alpha,)
        Penalties, at least 0.
    device : torch.device, optional
        Where to compute; the CPU by default.
    batch : int, optional
        Targets per batch.

    Returns
    -------
    ndarray, shape (alpha, target)
        float64; NaN for a target that is constant over samples.
    """
    device = device or torch.device("cpu")
    features = to_tensor(X, device, torch.float64)
    least = float(np.min(alphas))
    prepared = [_prepare_fold(features, train, test, least) for train, test in folds]
    scores = np.empty((len(alphas), Y.shape[1]))
    for tile in batches(Y.shape[1], batch, len(Y)):
        targets = to_tensor(np.ascontiguousarray(Y[:, tile]), device)  # (sample, target)
        error = torch.zeros((len(alphas), targets.shape[1]), dtype=torch.float64, device=device)
        baseline = torch.zeros(targets.shape[1], dtype=torch.float64, device=device)
        for (train, test), fold in zip(folds, prepared, strict=True):
            _add_fold_errors(fold, targets[train], targets[test], alphas, error, baseline)
        varies = (targets != targets[0]).any(0) & (baseline > 0)
        ratio = torch.where(varies, error / baseline, torch.nan)
        scores[:, tile] = (1 - ratio).cpu().numpy()
    return scores


class _Fold(NamedTuple):
    spectrum: torch.Tensor  # (rank,)
    project: torch.Tensor  # (rank, train)
    basis: torch.Tensor | None  # (test, row): orthonormal, spans all predictions of the test rows; None: all rows do
    design: torch.Tensor  # (row, rank): predictions on that basis


def _prepare_fold(
    features: torch.Tensor, train: NDArray[np.integer], test: NDArray[np.integer], least_alpha: float
) -> _Fold:
    mean = features[train].mean(0)
    parts = decompose(features[train] - mean, least_alpha)
    design = (features[test] - mean) @ parts.lift  # (test, rank)
    if design.shape[0] <= design.shape[1]:
        return _Fold(parts.spectrum, parts.project, None, design)
    return _Fold(parts.spectrum, parts.project, *torch.linalg.qr(design))


def _add_fold_errors(
    fold: _Fold,
    y_train: torch.Tensor,
    y_test: torch.Tensor,
    alphas: NDArray[np.floating],
    error: torch.Tensor,
    baseline: torch.Tensor,
) -> None:
    """Add the squared errors of one fold to ``error`` (alpha, target) and ``baseline`` (target,).

    With many test rows and few features no penalty reaches beyond the span of the test features: what the truth has
    outside is an error that all share, and penalties are compared inside, on ``rank`` rows instead of all.
    """
    y, mean = centre(y_train)
    truth = y_test - mean.to(y.dtype)  # (test, target)
    whole = _sum_of_squares(truth)
    baseline += whole
    if fold.basis is not None:
        truth = fold.basis.T.to(y.dtype) @ truth  # (row, target)
        error += whole - _sum_of_squares(truth)
    projected = fold.project.to(y.dtype) @ y  # (rank, target)
    for row, alpha in enumerate(alphas.tolist()):
        operator = (fold.design / (fold.spectrum + alpha)).to(y.dtype)  # (row, rank)
        error[row] += _sum_of_squares(torch.addmm(truth, operator, projected, alpha=-1))


def _sum_of_squares(values: torch.Tensor) -> torch.Tensor:
    """Sum over rows in float64: (row, target) -> (target,)."""
    return values.square().sum(0, dtype=torch.float64)


def predict_ridge(
    X: Float[NDArray[np.floating], "sample feature"],
    coef: Float[NDArray[np.floating], "feature target"],
    intercept: Float[NDArray[np.floating], " target"],
    *,
    device: torch.device | None = None,
) -> Float[NDArray[np.floating], "sample target"]:
    """Predict with fitted weights, in their dtype.

    Parameters
    ----------
    X : ndarray, shape (sample, feature)
        Features.
    coef : ndarray, shape (feature, target)
        Weights.
    intercept : ndarray, shape (target,)
        Values at zero features.
    device : torch.device, optional
        Where to compute; the CPU by default.

    Returns
    -------
    ndarray, shape (sample, target)
    """
    device = device or torch.device("cpu")
    weights = to_tensor(coef, device)
    features = to_tensor(X, device, weights.dtype)
    return torch.addmm(to_tensor(intercept, device), features, weights).cpu().numpy()


def apply_operators(
    operators: Iterable[NDArray[np.float64]],
    Y: Float[NDArray[np.floating], "sample target"],
    *,
    device: torch.device | None = None,
) -> Iterator[NDArray[np.floating]]:
    """Predict with operators whose rows sum to one, many small ones in one product.

    Parameters
    ----------
    operators : iterable of ndarray, each of shape (test, sample)
        As from :func:`neuroling.numerics.pairs.held_out_operators`.
    Y : ndarray, shape (sample, target)
        Recording; the products keep its dtype. Its mean is taken off before and added after, so that a large offset
        costs no digits.
    device : torch.device, optional
        Where to compute; the CPU by default.

    Yields
    ------
    ndarray, shape (test, target)
        One prediction per operator, in their order.
    """
    y, mean = centre(to_tensor(Y, device or torch.device("cpu")))
    waiting: list[NDArray[np.float64]] = []
    for operator in operators:
        waiting.append(operator)
        if sum(map(len, waiting)) * Y.shape[1] >= BATCH_ELEMENTS:
            yield from _apply(waiting, y, mean)
            waiting = []
    if waiting:
        yield from _apply(waiting, y, mean)


def _apply(operators: list[NDArray[np.float64]], y: torch.Tensor, mean: torch.Tensor) -> list[NDArray[np.floating]]:
    stacked = to_tensor(np.concatenate(operators), y.device, y.dtype)  # (rows of all operators, sample)
    predicted = torch.addmm(mean.to(y.dtype), stacked, y).cpu().numpy()  # (rows of all operators, target)
    return np.split(predicted, np.cumsum([len(operator) for operator in operators])[:-1])


def centre(targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Subtract the mean over rows, taken in float64, and give both.

    Parameters
    ----------
    targets : Tensor, shape (sample, target)

    Returns
    -------
    centred : Tensor, shape (sample, target), dtype of ``targets``
    mean : Tensor, shape (target,), float64
    """
    mean = targets.mean(0, dtype=torch.float64)
    return targets - mean.to(targets.dtype), mean


def batches(n_targets: int, batch: int | None, n_samples: int) -> list[slice]:
    """Cut targets into consecutive batches.

    Parameters
    ----------
    n_targets : int
        How many targets there are.
    batch : int or None
        Targets per batch; None takes as many as fit in :data:`BATCH_ELEMENTS`.
    n_samples : int
        Rows of each target.

    Returns
    -------
    list of slice
    """
    size = batch or max(1, BATCH_ELEMENTS // n_samples)
    return [slice(start, min(start + size, n_targets)) for start in range(0, n_targets, size)]
