r"""Ridge fitted to all rows, each target with the penalty that was chosen for it.

Targets are gathered by penalty. One Cholesky factor a penalty then solves for all its targets, which in all is one
product with the targets there and one back. Where targets have too many different penalties for that, or penalties are
too small, one decomposition serves all (:mod:`neuroling.numerics.ridge.decomposition`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from neuroling.numerics.device import to_tensor
from neuroling.numerics.memory import TILE_TARGETS, Targets
from neuroling.numerics.products import cholesky_solve, eigh, multiply
from neuroling.numerics.ridge.algorithm_choice import CALL_COST, CHOLESKY_COST, EIGEN_COST
from neuroling.numerics.ridge.decomposition import GRAM_LIMIT, centre, decompose, fit_ridge
from neuroling.numerics.ridge.dual_weights import Kept
from neuroling.numerics.ridge.gram import Design, ShiftedGram
from neuroling.numerics.ridge.kernels import centre_gram

Solver = Callable[[torch.Tensor, NDArray[np.floating]], torch.Tensor]
"""From right-hand sides (row, target) and a penalty per target to solutions (row, target)."""


def fit_dual(
    design: Design,
    targets: Targets,
    alphas: Float[NDArray[np.floating], " target"],
    found: tuple[NDArray[np.floating], Kept | None] | None = None,
) -> tuple[Float[NDArray[np.floating], "sample target"], Float[NDArray[np.float64], " target"]]:
    r"""Give the weights of samples, :math:`W = (K_c + \alpha I)^{-1} Y_c`.

    Parameters
    ----------
    design : Design
        Features or a Gram matrix.
    targets : Targets
        Targets.
    alphas : ndarray, shape (target,)
        Penalty of every target, above 0.
    found : (ndarray of shape (alpha,), Kept or None), optional
        The penalties searched, and the weights that the search left, if any: taken where their penalty is that of the
        target, and completed in place.

    Returns
    -------
    dual : ndarray, shape (sample, target)
        In the dtype of the targets; columns sum to zero.
    mean : ndarray, shape (target,)
        Means of the targets.
    """
    searched, kept = found or (None, None)
    kept = kept or Kept.none_for(targets.values)
    done = np.zeros(len(alphas), bool) if searched is None else (kept.option >= 0) & (searched[kept.option] == alphas)
    left = np.flatnonzero(~done)
    if len(left) == 0:
        return kept.dual, kept.mean
    n_samples = design.n_samples
    size = refit_size(targets, fixed=design.n_bytes + 8 * 6 * n_samples**2, per_target=12 * n_samples)
    solve = shifted_solver(centre_gram(design.full_gram()), alphas[left], targets.dtype)
    for some in by_penalty(alphas[left], size):
        columns = left[some]
        y, means = centre(to_tensor(targets.values[:, columns], targets.device))
        weights = solve(y, alphas[columns])
        kept.dual[:, columns] = (weights - weights.mean(0)).cpu().numpy()
        kept.mean[columns] = means.cpu().numpy()
    return kept.dual, kept.mean


@dataclass(frozen=True)
class SampleWeights:
    """A linear fit by its weights of samples, from which weights of features follow when they are asked for.

    Attributes
    ----------
    seen : ndarray, shape (sample, feature)
        Training features less their mean, in the dtype of the targets.
    centre : ndarray, shape (feature,)
        That mean.
    dual : ndarray, shape (sample, target)
        Weights of the samples; columns sum to zero.
    mean : ndarray, shape (target,)
        Means of the targets: predictions at the mean features.
    """

    seen: NDArray[np.floating]
    centre: NDArray[np.float64]
    dual: NDArray[np.floating]
    mean: NDArray[np.floating]

    def coef(self, device: torch.device) -> NDArray[np.floating]:
        r"""Give the weights of features, :math:`X_c^\top W`: (feature, target).

        Parameters
        ----------
        device : torch.device
            Where to compute.
        """
        coef = np.empty((self.seen.shape[1], self.dual.shape[1]), self.dual.dtype)
        across = to_tensor(self.seen, device).T
        for tile in _tiles(self.dual):
            coef[:, tile] = multiply(across, to_tensor(self.dual[:, tile], device)).cpu().numpy()
        return coef

    def intercept(self) -> NDArray[np.floating]:
        """Give predictions at zero features: (target,)."""
        along = self.seen @ self.centre  # (sample,)
        along = (along - along.mean()).astype(self.dual.dtype)
        offset: NDArray[np.floating] = (self.mean - along @ self.dual).astype(self.dual.dtype)
        return offset

    def predict(self, X: NDArray[np.floating], device: torch.device) -> NDArray[np.floating]:
        """Predict by the cheaper way: inner products with the training features, or weights of features made for once.

        Parameters
        ----------
        X : ndarray, shape (sample, feature)
            Features.
        device : torch.device
            Where to compute.

        Returns
        -------
        ndarray, shape (sample, target)
        """
        (n_seen, n_features), n_targets, n_new = self.seen.shape, self.dual.shape[1], len(X)
        new = to_tensor(X, device, torch.float64) - to_tensor(self.centre, device)
        seen, dual = to_tensor(self.seen, device), to_tensor(self.dual, device)
        mean = to_tensor(self.mean, device, dual.dtype)
        if n_new * n_seen * (n_features + n_targets) <= (n_seen + n_new) * n_features * n_targets:
            across = multiply(new, seen.T.double()).to(dual.dtype)  # (new sample, sample)
            return multiply(across, dual).add_(mean).cpu().numpy()
        return multiply(new.to(dual.dtype), multiply(seen.T, dual)).add_(mean).cpu().numpy()


def _tiles(values: NDArray[np.floating]) -> list[slice]:
    return [slice(start, start + TILE_TARGETS) for start in range(0, values.shape[1], TILE_TARGETS)]


def fit_linear(
    X: Float[NDArray[np.floating], "sample feature"],
    targets: Targets,
    alphas: Float[NDArray[np.floating], " target"],
) -> tuple[Float[NDArray[np.floating], "feature target"], Float[NDArray[np.floating], " target"]]:
    r"""Give the weights of features, by the smaller of the two Gram matrices.

    Parameters
    ----------
    X : ndarray, shape (sample, feature)
        Features.
    targets : Targets
        Targets.
    alphas : ndarray, shape (target,)
        Penalty of every target, above 0.

    Returns
    -------
    coef : ndarray, shape (feature, target)
        In the dtype of the targets.
    intercept : ndarray, shape (target,)
    """
    features = to_tensor(X, targets.device, torch.float64)
    x_mean = features.mean(0)
    features = features - x_mean
    dual = features.shape[1] >= features.shape[0]
    rank, fixed = min(features.shape), 8 * (3 * features.numel() + 6 * min(features.shape) ** 2)
    size = refit_size(targets, fixed=fixed, per_target=4 * len(X) + 8 * rank + 4 * X.shape[1])
    if not _factors_pay(alphas, min(features.shape)) or alphas.min() <= GRAM_LIMIT * float(features.square().sum()):
        return fit_ridge(X, targets.values, alphas, device=targets.device, batch=size)
    solve = shifted_solver(
        multiply(features, features.T) if dual else multiply(features.T, features), alphas, targets.dtype
    )
    across = features.T.to(targets.dtype)  # (feature, sample)
    coef = np.empty((X.shape[1], targets.values.shape[1]), targets.values.dtype)
    intercept = np.empty(targets.values.shape[1], targets.values.dtype)
    for columns in by_penalty(alphas, size):
        y, y_mean = centre(to_tensor(targets.values[:, columns], targets.device))
        solved = solve(y if dual else multiply(across, y), alphas[columns])
        weights = multiply(across, solved) if dual else solved
        coef[:, columns] = weights.cpu().numpy()
        intercept[columns] = (y_mean - x_mean @ weights.double()).cpu().numpy()
    return coef, intercept


def refit_size(targets: Targets, *, fixed: int, per_target: int) -> int:
    """Choose how many targets are fitted at a time, within the memory that the search before has found enough.

    Parameters
    ----------
    targets : Targets
        Targets and limits.
    fixed : int
        Bytes that are needed whatever the number of targets.
    per_target : int
        Values, of the targets' dtype, that one target needs.

    Returns
    -------
    int
        At least 1.
    """
    wanted = targets.limits.batch or TILE_TARGETS
    return max(1, min(wanted, (targets.allowed - fixed) // (per_target * targets.values.itemsize)))


def by_penalty(alphas: Float[NDArray[np.floating], " target"], size: int) -> Iterator[NDArray[np.intp]]:
    """Gather targets that share a penalty, a limited number at a time.

    Parameters
    ----------
    alphas : ndarray, shape (target,)
        Penalty of every target.
    size : int
        Largest number of targets at a time.

    Yields
    ------
    ndarray of int
        Which targets, those of the smallest penalty first, each piece of one penalty; in their own order where all go
        at a time, or fewer than :data:`MANY` share a penalty on average.

    Examples
    --------
    >>> [rows.tolist() for rows in by_penalty(np.array([1.0, 2.0, 1.0, 1.0] * 2), size=5)]
    [[0, 2, 3], [4, 6, 7], [1, 5]]
    """
    if len(alphas) <= size or len(np.unique(alphas)) > len(alphas) / MANY:
        yield from np.array_split(np.arange(len(alphas)), -(-len(alphas) // size))
        return
    order = np.argsort(alphas, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(alphas[order])) + 1):
        yield from np.array_split(group, -(-len(group) // size))


MANY = 4
"""With fewer targets to a penalty than this they are not gathered by penalty."""


def shifted_solver(gram: torch.Tensor, alphas: Float[NDArray[np.floating], " target"], dtype: torch.dtype) -> Solver:
    r"""Prepare :math:`(K + \alpha I)^{-1}` for many right-hand sides.

    Parameters
    ----------
    gram : Tensor, shape (row, row)
        Symmetric, positive semi-definite, float64.
    alphas : ndarray, shape (target,)
        All penalties that will be asked for.
    dtype : torch.dtype
        Of right-hand sides and solutions.

    Returns
    -------
    callable
        From right-hand sides (row, target) and their penalties (target,) to solutions.
    """
    if not _factors_pay(alphas, len(gram)) or alphas.min() <= GRAM_LIMIT * float(gram.diagonal().sum()):
        return _by_spectrum(gram, dtype)
    return _by_factors(gram, dtype)


def _factors_pay(alphas: NDArray[np.floating], size: int) -> bool:
    """Whether a Cholesky factor a penalty takes less than one eigendecomposition."""
    different = len(np.unique(alphas))
    saved = 2 * len(alphas) / size  # one product of two is saved; in units of the cubed size
    factor = CHOLESKY_COST + 3 * CALL_COST / size**3
    return different <= len(alphas) / MANY + 1 and different * factor <= EIGEN_COST + saved


def _by_spectrum(gram: torch.Tensor, dtype: torch.dtype) -> Solver:
    spectrum, vectors = eigh(gram)
    spectrum, turned = spectrum.clamp(min=0), vectors.to(dtype)

    def solve(right: torch.Tensor, alphas: NDArray[np.floating]) -> torch.Tensor:
        gain = 1 / (spectrum[:, None] + to_tensor(np.asarray(alphas, np.float64), gram.device))  # (rank, target)
        solved: torch.Tensor = multiply(turned, multiply(turned.T, right) * gain.to(dtype))
        return solved

    return solve


def decomposed_solver(features: torch.Tensor, least_alpha: float, dtype: torch.dtype) -> Solver:
    """Prepare the weights of features for many targets and penalties as small as one likes.

    Parameters
    ----------
    features : Tensor, shape (sample, feature)
        Less their mean, float64.
    least_alpha : float
        The smallest penalty.
    dtype : torch.dtype
        Of the targets.

    Returns
    -------
    callable
        From targets less their mean (sample, target) and their penalties (target,) to weights (feature, target).
    """
    decomposition = decompose(features, least_alpha)
    lift, project = decomposition.lift.to(dtype), decomposition.project.to(dtype)

    def solve(right: torch.Tensor, alphas: NDArray[np.floating]) -> torch.Tensor:
        gain = 1 / (decomposition.spectrum[:, None] + to_tensor(np.asarray(alphas, np.float64), features.device))
        solved: torch.Tensor = multiply(lift, multiply(project, right) * gain.to(dtype))
        return solved

    return solve


def _by_factors(gram: torch.Tensor, dtype: torch.dtype) -> Solver:
    shifted = ShiftedGram(gram, dtype)
    kept: dict[float, torch.Tensor] = {}  # the factor in use; targets come gathered by penalty

    def factor_of(alpha: float) -> torch.Tensor:
        if alpha not in kept:
            kept.clear()
            kept[alpha] = shifted.factor(alpha)
        return kept[alpha]

    def solve(right: torch.Tensor, alphas: NDArray[np.floating]) -> torch.Tensor:
        solved = torch.empty_like(right)
        for alpha in np.unique(alphas).tolist():
            factor, columns = factor_of(alpha), torch.from_numpy(np.flatnonzero(alphas == alpha)).to(right.device)
            part = right if len(columns) == right.shape[1] else right[:, columns]
            solution = cholesky_solve(part.to(factor.dtype), factor).to(dtype)
            if len(columns) == right.shape[1]:
                return solution
            solved[:, columns] = solution
        return solved

    return solve
