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
from neuroling.numerics.products import eigh, multiply
from neuroling.numerics.ridge.kernels import from_contrasts, to_contrasts

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
    gram = multiply(centred.T, centred) if primal else multiply(centred, centred.T)
    spectrum, vectors = eigh(gram)
    if least_alpha <= GRAM_LIMIT * float(spectrum[-1]):
        return _decompose_by_svd(centred)
    spectrum = spectrum.clamp(min=0)
    if primal:
        design = multiply(centred, vectors)  # (sample, rank)
        return Decomposition(vectors, spectrum, design.T, design)
    return Decomposition(multiply(centred.T, vectors), spectrum, vectors.T, vectors * spectrum)


def _decompose_by_svd(centred: torch.Tensor) -> Decomposition:
    """Decompose without forming a Gram matrix; directions below rounding error are left out.

    On the CPU whatever the device: SVD is slow and, in float32, unsound on GPUs.
    """
    left, singular, right = (part.to(centred.device) for part in torch.linalg.svd(centred.cpu(), full_matrices=False))
    rank = int((singular > _cutoff(centred, singular)).sum())
    design = left[:, :rank] * singular[:rank]  # (sample, rank)
    return Decomposition(right[:rank].T, singular[:rank] ** 2, design.T, design)


def _cutoff(matrix: torch.Tensor, singular: torch.Tensor) -> torch.Tensor:
    """Give the singular value below which all is rounding error."""
    return max(matrix.shape) * torch.finfo(matrix.dtype).eps * singular[:1].sum()


def residual_maker(
    X: Float[NDArray[np.floating], "sample feature"], alpha: float
) -> Float[NDArray[np.float64], "sample sample"]:
    r"""Give the matrix that takes recorded values to the residuals of the fit, intercept included.

    .. math:: M = I - \tfrac{1}{n} 1 1^\top - X_c (X_c^\top X_c + \alpha I)^{-1} X_c^\top

    Where features span all contrasts between samples, the fit may follow the recording closely, and every entry be far
    smaller than one. The matrix is then not subtracted but summed, from :math:`\alpha / (w + \alpha)` over eigenvectors
    that are contrasts, so that its entries keep their digits however small they are.

    Parameters
    ----------
    X : ndarray, shape (sample, feature)
        Features.
    alpha : float
        Penalty as added to :math:`X_c^\top X_c`, at least 0. With 0 it is least squares of minimum norm (by
        pseudo-inverse), which interpolates where features span all contrasts: nothing is left, exactly.

    Returns
    -------
    ndarray, shape (sample, sample)
        Symmetric float64; every row sums to zero, because the intercept is not penalised.

    Examples
    --------
    >>> residual_maker(np.array([[-1.0], [0.0], [1.0]]), alpha=0.0).round(3)
    array([[ 0.167, -0.333,  0.167],
           [-0.333,  0.667, -0.333],
           [ 0.167, -0.333,  0.167]])
    """
    features = to_tensor(X, torch.device("cpu"), torch.float64)
    centred = features - features.mean(0)
    if X.shape[1] >= len(X) - 1 > 0:
        spectrum, vectors = _spectrum_of_contrasts(to_contrasts(centred), alpha)
        vectors = from_contrasts(vectors)  # (sample, sample - 1)
        share = torch.where(spectrum > 0, alpha / (spectrum + alpha), 1.0)
        return multiply(vectors * share, vectors.T).numpy()
    _, spectrum, project, design = decompose(centred, alpha)
    fitted = multiply(design / (spectrum + alpha), project)  # (sample, sample)
    maker: NDArray[np.float64] = (torch.eye(len(X), dtype=torch.float64) - 1 / len(X) - (fitted + fitted.T) / 2).numpy()
    return maker


def _spectrum_of_contrasts(coordinates: torch.Tensor, least_alpha: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Give all eigenvalues and eigenvectors of the Gram matrix of (contrast, feature); zero below rounding error."""
    spectrum, vectors = eigh(multiply(coordinates, coordinates.T))
    if least_alpha > GRAM_LIMIT * float(spectrum[-1]):
        return spectrum.clamp(min=0), vectors
    left, singular, _ = torch.linalg.svd(coordinates, full_matrices=False)
    return torch.where(singular > _cutoff(coordinates, singular), singular**2, 0.0), left


def prediction_operator(
    X: Float[NDArray[np.floating], "sample feature"],
    alpha: float,
    train: Int[NDArray[np.integer], " train"],
    test: Int[NDArray[np.integer], " test"],
) -> Float[NDArray[np.float64], "test sample"]:
    """Give the matrix that takes a recording to the prediction of some rows from others, by fitting once.

    The plain way, for any training and test rows; :func:`neuroling.numerics.ridge.leave_two_out.held_out_operators`
    gives the same for all folds at once where every training set is all that its test set is not.

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
    weights = multiply(multiply(features[test] - mean, lift) / (spectrum + alpha), project)  # (test, train)
    weights = weights - weights.mean(1, keepdim=True) + 1 / len(train)
    operator = np.zeros((len(test), len(X)))
    operator[:, train] = weights.numpy()
    return operator


def prediction_operators(
    X_train: Float[NDArray[np.floating], "train feature"],
    X_test: Float[NDArray[np.floating], "test feature"],
    alphas: Float[NDArray[np.floating], " alpha"],
) -> Float[NDArray[np.float64], "alpha test train"]:
    """Give the matrices that take training rows of a recording to its test rows, one a penalty.

    Parameters
    ----------
    X_train, X_test : ndarray, shapes (train, feature) and (test, feature)
        Features.
    alphas : ndarray, shape (alpha,)
        Penalties, at least 0.

    Returns
    -------
    ndarray, shape (alpha, test, train)
        From one decomposition; rows sum to one.
    """
    features = to_tensor(X_train, torch.device("cpu"), torch.float64)
    mean = features.mean(0)
    lift, spectrum, project, _ = decompose(features - mean, float(np.min(alphas)))
    design = multiply(to_tensor(X_test, torch.device("cpu"), torch.float64) - mean, lift)  # (test, rank)
    operators = np.empty((len(alphas), len(X_test), len(X_train)))
    for operator, alpha in zip(operators, np.asarray(alphas, np.float64).tolist(), strict=True):
        weights = multiply(design / (spectrum + alpha), project)  # (test, train)
        operator[:] = (weights - weights.mean(1, keepdim=True) + 1 / len(X_train)).numpy()
    return operators


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
        shrunken = multiply(parts.project.to(y.dtype), y) * gain.to(y.dtype)  # (rank, target)
        weights = multiply(parts.lift.to(y.dtype), shrunken)  # (feature, target)
        coef[:, tile] = weights.cpu().numpy()
        intercept[tile] = (y_mean - x_mean @ weights.double()).cpu().numpy()
    return coef, intercept


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
    return multiply(features, weights).add_(to_tensor(intercept, device)).cpu().numpy()


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
        As from :func:`neuroling.numerics.ridge.leave_two_out.held_out_operators`.
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
    predicted = multiply(stacked, y).add_(mean.to(y.dtype)).cpu().numpy()  # (rows of all operators, target)
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
