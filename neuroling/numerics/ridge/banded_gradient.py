r"""Banded ridge by gradient: descend the held-out error in the logarithms of the penalties, every target by itself.

With :math:`\delta_b = 1 / \lambda_b` the prediction of a fold is :math:`\hat Y = X_S D X_T^\top A`, where
:math:`(X_T D X_T^\top + I) A = Y_T` and :math:`D` holds :math:`\delta_b` for the features of band *b*. With the error
:math:`E = \hat Y - Y_S` and the adjoint :math:`(X_T D X_T^\top + I) \Lambda = X_T D X_S^\top E`,

.. math:: \frac{\partial \lVert E \rVert^2}{\partial \log \delta_b} =
          2 \delta_b \left\langle X_{Sb}^\top E - X_{Tb}^\top \Lambda,\; X_{Tb}^\top A \right\rangle .

Both systems are solved for all targets at once by conjugate gradients, preconditioned by the eigenvectors of the
weighting that the targets of a family start from: there the preconditioner is the inverse itself, and nearby a few
steps do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray

from neuroling.numerics.device import to_tensor
from neuroling.numerics.memory import Targets
from neuroling.numerics.products import eigh, multiply
from neuroling.numerics.ridge.decomposition import Folds
from neuroling.numerics.ridge.gram import Fold, take, to_folds

FASTER, SLOWER = 1.2, 0.5
FIRST_STEP, LONGEST_STEP = 0.3, 2.0
"""Steps of resilient propagation, in units of log penalty (Riedmiller & Braun 1993, A direct adaptive method for faster
backpropagation learning: the RPROP algorithm)."""

SEARCH_TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-8}
FIT_TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}
"""Relative residuals at which linear systems count as solved, while searching and for the fit that follows."""

MOST_STEPS = 200
"""Conjugate-gradient steps after which a system is taken as it is; preconditioned, some ten do."""


@dataclass(frozen=True)
class System:
    """Training rows of one fold, ready for many right-hand sides.

    Attributes
    ----------
    seen : Tensor, shape (train, feature)
        Training features less their mean, in the dtype of the targets.
    vectors : Tensor, shape (train, train)
        Eigenvectors of the Gram matrix under the family's weights.
    spectrum : Tensor, shape (train,)
        Its eigenvalues.
    """

    seen: torch.Tensor
    vectors: torch.Tensor
    spectrum: torch.Tensor

    @classmethod
    def of(cls, features: torch.Tensor, weights: torch.Tensor, dtype: torch.dtype) -> System:
        """Prepare centred training features.

        Parameters
        ----------
        features : Tensor, shape (train, feature)
            float64, less their mean.
        weights : Tensor, shape (feature,)
            The family's weight of every feature.
        dtype : torch.dtype
            Of the targets.
        """
        spectrum, vectors = eigh(multiply(features * weights, features.T))
        return cls(features.to(dtype), vectors.to(dtype), spectrum.clamp(min=0).to(dtype))

    def solve(self, right: torch.Tensor, spread: torch.Tensor, scale: torch.Tensor, tolerance: float) -> torch.Tensor:
        r"""Solve :math:`(X D X^\top + I) A = B` by preconditioned conjugate gradients, each target with its own D.

        Parameters
        ----------
        right : Tensor, shape (train, target)
        spread : Tensor, shape (feature, target)
            The diagonal of D.
        scale : Tensor, shape (target,)
            About how many times the family's weights D is.
        tolerance : float
            Residual at which to stop, relative to the right-hand side.

        Returns
        -------
        Tensor, shape (train, target)
        """
        gain = 1 / (self.spectrum[:, None] * scale + 1)  # (train, target)
        solved = self._turn(right, gain)
        residual = right - self._apply(solved, spread)
        goal = tolerance**2 * right.square().sum(0)
        turned = self._turn(residual, gain)
        direction, slope = turned, (residual * turned).sum(0)
        for _ in range(MOST_STEPS):
            if bool((residual.square().sum(0) <= goal).all()):
                break
            moved = self._apply(direction, spread)
            length = slope / (direction * moved).sum(0).clamp(min=torch.finfo(right.dtype).tiny)
            solved = solved + length * direction
            residual = residual - length * moved
            turned = self._turn(residual, gain)
            before, slope = slope, (residual * turned).sum(0)
            direction = turned + slope / before.clamp(min=torch.finfo(right.dtype).tiny) * direction
        return solved

    def _apply(self, values: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        return multiply(self.seen, multiply(self.seen.T, values).mul_(spread)).add_(values)

    def _turn(self, values: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
        """Multiply by the preconditioner, (train, target)."""
        return multiply(self.vectors, multiply(self.vectors.T, values).mul_(gain))


@dataclass(frozen=True)
class GradientFold:
    """One fold: the system of its training rows, and its test features.

    Attributes
    ----------
    fold : Fold
        Rows.
    system : System
        Training rows.
    new : Tensor, shape (test, feature)
        Test features less the training mean.
    """

    fold: Fold
    system: System
    new: torch.Tensor

    @classmethod
    def of(cls, features: torch.Tensor, weights: torch.Tensor, fold: Fold, dtype: torch.dtype) -> GradientFold:
        """Cut a fold from the features.

        Parameters
        ----------
        features : Tensor, shape (sample, feature)
            float64.
        weights : Tensor, shape (feature,)
            The family's weight of every feature.
        fold : Fold
            Rows.
        dtype : torch.dtype
            Of the targets.
        """
        seen = take(features, fold.train, 0)
        mean = seen.mean(0)
        return cls(fold, System.of(seen - mean, weights, dtype), (take(features, fold.test, 0) - mean).to(dtype))


def error_and_gradient(
    folds: Sequence[GradientFold],
    sizes: Sequence[int],
    y: torch.Tensor,
    theta: Float[torch.Tensor, "band target"],
    scale: torch.Tensor,
    tolerance: float,
) -> tuple[Float[torch.Tensor, " target"], Float[torch.Tensor, "band target"]]:
    r"""Give the held-out squared error and its gradient in :math:`\theta_b = \log \delta_b`.

    Parameters
    ----------
    folds : sequence of GradientFold
        All folds.
    sizes : sequence of int
        Number of features of every band.
    y : Tensor, shape (sample, target)
        Targets.
    theta : Tensor, shape (band, target)
        Logarithms of the inverse penalties.
    scale : Tensor, shape (target,)
        As in :meth:`System.solve`.
    tolerance : float
        Of the linear systems.

    Returns
    -------
    error : Tensor, shape (target,)
    gradient : Tensor, shape (band, target)
    """
    repeats = torch.tensor(list(sizes), device=y.device)
    spread = theta.exp().repeat_interleave(repeats, dim=0)  # (feature, target)
    error, gradient = torch.zeros_like(theta[0]), torch.zeros_like(theta)
    for part in folds:
        seen, new, system = take(y, part.fold.train, 0), take(y, part.fold.test, 0), part.system
        mean = seen.mean(0)
        inner = multiply(system.seen.T, system.solve(seen - mean, spread, scale, tolerance))  # (feature, target)
        left = multiply(part.new, spread * inner) - (new - mean)  # (test, target)
        error += left.square().sum(0)
        back = multiply(part.new.T, left)  # (feature, target)
        adjoint = system.solve(multiply(system.seen, spread * back), spread, scale, tolerance)
        cells = spread * inner * (back - multiply(system.seen.T, adjoint))
        gradient += 2 * torch.stack([block.sum(0) for block in torch.split_with_sizes(cells, list(sizes))])
    return error, gradient


def descend(
    folds: Sequence[GradientFold],
    sizes: Sequence[int],
    y: torch.Tensor,
    start: Float[torch.Tensor, "band target"],
    bounds: tuple[float, float],
    *,
    scale: torch.Tensor,
    n_steps: int,
    tolerance: float,
) -> tuple[Float[torch.Tensor, "band target"], Float[NDArray[np.float64], "step target"]]:
    """Descend from a start by resilient propagation, and keep the best point met.

    Parameters
    ----------
    folds, sizes, y, scale, tolerance
        As in :func:`error_and_gradient`.
    start : Tensor, shape (band, target)
        Logarithms of the inverse penalties to start from.
    bounds : tuple of float
        Between which they stay.
    n_steps : int
        How many steps.

    Returns
    -------
    best : Tensor, shape (band, target)
        Where the error was least; the start where no step was better.
    errors : ndarray, shape (step + 1, target)
        Error at the start and after every step.
    """
    start = start.clamp(*bounds)
    theta, best = start, start
    least = torch.full_like(start[0], torch.inf)
    step, before = torch.full_like(start, FIRST_STEP), torch.zeros_like(start)
    errors = np.empty((n_steps + 1, start.shape[1]))
    for number in range(n_steps + 1):
        now = scale * (theta - start).exp().mean(0)
        error, gradient = error_and_gradient(folds, sizes, y, theta, now, tolerance)
        errors[number] = error.cpu().numpy()
        better = error < least
        best, least = torch.where(better, theta, best), torch.where(better, error, least)
        turn = torch.sign(gradient * before)
        step = torch.where(turn > 0, step * FASTER, torch.where(turn < 0, step * SLOWER, step)).clamp(max=LONGEST_STEP)
        gradient = torch.where(turn < 0, 0.0, gradient)
        theta, before = (theta - torch.sign(gradient) * step).clamp(*bounds), gradient
    return best, errors


def search_by_gradient(
    parts: Sequence[torch.Tensor],
    targets: Targets,
    folds: Folds,
    start: tuple[Float[NDArray[np.float64], "band target"], Float[NDArray[np.float64], " target"]],
    *,
    bounds: tuple[float, float],
    n_steps: int,
) -> tuple[Float[NDArray[np.float64], "band target"], Float[NDArray[np.float64], "step target"]]:
    """Refine weights of bands and penalties, every target by itself.

    Parameters
    ----------
    parts : sequence of Tensor, each of shape (sample, feature of the band)
        Features less their means, float64.
    targets : Targets
        Targets.
    folds : sequence of (train, test)
        Row indices.
    start : pair of ndarray, shapes (band, target) and (target,)
        Weights of the bands and penalties to start from; targets that share their weights are a family.
    bounds : tuple of float
        Smallest and largest penalty of a band.
    n_steps : int
        How many steps.

    Returns
    -------
    penalties : ndarray, shape (band, target)
        Penalty of every band.
    scores : ndarray, shape (step + 1, target)
        Held-out R² at the start and after every step; NaN for a target that is constant.
    """
    weights, alphas = start
    features, sizes = torch.cat(list(parts), 1), [part.shape[1] for part in parts]
    rows, values, dtype = to_folds(folds, targets.device), targets.values, targets.dtype
    penalties, scores = np.empty(weights.shape), np.empty((n_steps + 1, values.shape[1]))
    for shared, members in families(weights, _tile(features, targets, len(rows))):
        family = [GradientFold.of(features, _of_features(shared, sizes, targets.device), fold, dtype) for fold in rows]
        for chosen in members:
            y = to_tensor(np.ascontiguousarray(values[:, chosen]), targets.device)
            y = y - y.mean(0)
            scale = to_tensor(1 / alphas[chosen], targets.device, dtype)
            with np.errstate(divide="ignore"):
                begin = to_tensor(np.log(weights[:, chosen] / alphas[chosen]), targets.device, dtype)
            limits = (-float(np.log(bounds[1])), -float(np.log(bounds[0])))
            theta, errors = descend(
                family, sizes, y, begin, limits, scale=scale, n_steps=n_steps, tolerance=SEARCH_TOLERANCE[dtype]
            )
            penalties[:, chosen] = np.exp(-theta.double().cpu().numpy())
            scores[:, chosen] = _r_squared(errors, y, rows, values[:, chosen])
    return penalties, scores


def fit_apart(
    parts: Sequence[torch.Tensor],
    targets: Targets,
    penalties: Float[NDArray[np.float64], "band target"],
    weights: Float[NDArray[np.float64], "band target"],
    order: Int[NDArray[np.integer], " feature"],
) -> Float[NDArray[np.floating], "feature target"]:
    """Fit targets each of which has penalties of its own.

    Parameters
    ----------
    parts : sequence of Tensor, each of shape (sample, feature of the band)
        Features less their means, float64.
    targets : Targets
        Targets.
    penalties : ndarray, shape (band, target)
        Penalty of every band.
    weights : ndarray, shape (band, target)
        Weights of the bands near which they are; targets that share them are a family and share a preconditioner.
    order : ndarray of int, shape (feature,)
        Rows of the result to which the features go, those of the first band first.

    Returns
    -------
    ndarray, shape (feature, target)
        Weights of features in the dtype of the targets.
    """
    features, sizes = torch.cat(list(parts), 1), [part.shape[1] for part in parts]
    values, dtype = targets.values, targets.dtype
    coef = np.empty((features.shape[1], values.shape[1]), values.dtype)
    for shared, members in families(weights, _tile(features, targets, 1)):
        system = System.of(features, _of_features(shared, sizes, targets.device), dtype)
        for chosen in members:
            y = to_tensor(np.ascontiguousarray(values[:, chosen]), targets.device)
            delta = to_tensor(1 / penalties[:, chosen], targets.device, dtype)
            spread = delta.repeat_interleave(torch.tensor(sizes, device=delta.device), dim=0)
            solved = system.solve(y - y.mean(0), spread, delta.sum(0), FIT_TOLERANCE[dtype])
            coef[np.ix_(order, chosen)] = (spread * multiply(system.seen.T, solved)).cpu().numpy()
    return coef


def families(
    weights: Float[NDArray[np.float64], "band target"], size: int
) -> Iterator[tuple[NDArray[np.float64], list[NDArray[np.intp]]]]:
    """Gather targets that share the weights of the bands.

    Parameters
    ----------
    weights : ndarray, shape (band, target)
        Weights of the bands.
    size : int
        Largest number of targets at a time.

    Yields
    ------
    shared : ndarray, shape (band,)
        Their weights.
    members : list of ndarray of int
        The targets, cut into pieces.

    Examples
    --------
    >>> [(w.tolist(), [m.tolist() for m in pieces]) for w, pieces in families(np.array([[1.0, 0.0, 1.0]]), 5)]
    [([0.0], [[1]]), ([1.0], [[0, 2]])]
    """
    different, member = np.unique(weights, axis=1, return_inverse=True)
    for number, shared in enumerate(different.T):
        chosen = np.flatnonzero(member.reshape(-1) == number)
        yield shared, np.array_split(chosen, -(-len(chosen) // size))


def _of_features(weights: NDArray[np.float64], sizes: Sequence[int], device: torch.device) -> torch.Tensor:
    """Weight of every feature from those of the bands: (band,) -> (feature,)."""
    return to_tensor(np.repeat(weights, list(sizes)), device, torch.float64)


def _tile(features: torch.Tensor, targets: Targets, n_systems: int) -> int:
    """Targets at a time: some vectors of features and of samples each, beside the systems of all folds."""
    (n_samples, n_features), size = features.shape, targets.values.itemsize
    system = size * (n_samples * n_features + n_samples**2)
    passing = 8 * (2 * n_samples * n_features + 4 * n_samples**2)  # while one is made, in float64
    per_target = (10 * n_samples + 5 * n_features) * size
    return targets.tile_size(fixed=features.nbytes + n_systems * system + passing, per_target=per_target)


def _r_squared(
    errors: NDArray[np.float64], y: torch.Tensor, folds: Sequence[Fold], values: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Turn squared errors (step, target) into held-out R squared."""
    baseline = torch.zeros(y.shape[1], dtype=torch.float64, device=y.device)
    for fold in folds:
        baseline += (take(y, fold.test, 0) - take(y, fold.train, 0).mean(0)).square().sum(0)
    varies = values.min(0) < values.max(0)
    scores: NDArray[np.float64] = 1 - errors / np.where(varies, baseline.cpu().numpy(), np.nan)
    return scores
