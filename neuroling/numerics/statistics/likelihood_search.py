r"""Search for the variance parameters at which the likelihood of a mixed model is largest.

The criterion is an even function of the columns of each factor, so that a variance of zero is a stationary point
wherever the optimum is: descent that starts near zero, or passes by, stays there although a larger variance fits
better. Newton's method within a trust region leaves such a saddle, since it sees its negative curvature. It runs in
:math:`\varphi = \sinh^{-1}(\theta / s)`, in which relative standard deviations of 0.01 and of 1,000 are both a few
units from zero, and passes through zero: the sign of a column is arbitrary.

Nothing here depends on units if the columns of the model have none: a step, a start or a tolerance is relative to the
residual's standard deviation, or an amount of the criterion, twice a log-likelihood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from neuroling.numerics.statistics.profiled_likelihood import ProfiledLikelihood
from neuroling.numerics.statistics.random_terms import RandomTerm

Array = NDArray[np.float64]

SCALE = 0.05
"""Relative standard deviation around which the scale of the search changes from linear to logarithmic."""

LARGEST = 1e4
"""No random standard deviation is sought beyond so many residual ones, of a column of root mean square 1: the search
goes there in data with hardly any residual, where the equations lose their digits."""

SINGULAR = 1e-4
"""Relative standard deviation, of a column of root mean square 1, below which a random effect counts as absent (the
limit that lme4 uses)."""

ALIKE = (30.0, 1.0, 0.3, 0.05)
"""Relative standard deviations, all alike, at which the criterion is looked at first."""

LARGE = (30.0, 300.0, 3000.0)
"""Relative standard deviations of some terms' components, where those of the others are moderate: a model may explain
next to nothing by small ones of all, and nearly everything by large ones of some, with a ridge in between."""

MODERATE = 0.5
"""Relative standard deviation of the components of the other terms."""

ALONE = (((30.0, 0.5), (300.0, 5.0)), ((0.02, 3.0), (0.2, 30.0)))
"""Relative standard deviations of one component and of all others: one large beside small ones, or small beside large
ones."""

RUNS = 3
"""So many starts are followed down, of different families and those of the lowest criterion: where valleys differ, the
start in the deepest was seen to be far below all others."""

LADDER = (0.0, 0.03, 0.3, 3.0, 30.0, 300.0)
"""Values that each component is set to at the end, to look whether the criterion is lower there."""

ROUNDS = 4
"""So often at most the search goes on from a lower place that the looks at the end have found."""

SAME = 1e-2
"""Two runs that come so close to one another, in units of the search, are one."""

ENOUGH = 1e-9
"""Decrease of the criterion that is not worth a step of the trust region."""

DISTINCT = 1e-7
"""Decrease of the criterion that makes one place better than another; rounding moves it by some 1e-9."""

NEAR = 1e-5
"""Predicted decrease of the criterion from which on steps are judged by the gradient: it has more digits than a
difference of two values."""

STEPS = 100
"""So many steps at most; seen were 60."""

WIDEST = 4.0
"""No step is longer, in units of the search: one of 4 changes a standard deviation by a factor of 50."""

SHORTEST = 1e-9
"""Radius at which the trust region has no digits left."""

BOUND = float(np.arcsinh(LARGEST / SCALE))
"""The largest relative standard deviation, in units of the search."""

DIFFERENCE = 1e-4
"""Step of the differences of gradients that give second derivatives, in units of the search."""


@dataclass(frozen=True)
class Optimum:
    """Where the search has ended.

    Attributes
    ----------
    theta : ndarray, shape (parameter,)
        Entries of the factors; on the diagonal not negative.
    criterion : float
        Minus twice the log-likelihood.
    left : float
        Decrease of the criterion that Newton's method predicts for one step more.
    """

    theta: Array
    criterion: float
    left: float


def search(criterion: ProfiledLikelihood) -> Optimum:
    """Minimise the criterion over theta.

    Parameters
    ----------
    criterion : ProfiledLikelihood
        Of columns of root mean square 1.

    Returns
    -------
    Optimum
    """
    diagonal = np.concatenate([term.on_diagonal() for term in criterion.terms])
    lowest = [min(family, key=lambda theta: _value(criterion, theta)) for family in _families(criterion.terms)]
    first, *others = sorted(lowest, key=lambda theta: _value(criterion, theta))[:RUNS]
    best = descend(criterion, first)
    for start in others:
        best = _better(best, descend(criterion, start, [best]))
    for _ in range(ROUNDS):
        optimum = best
        for start in _second_starts(criterion, best, diagonal):
            optimum = _better(optimum, descend(criterion, start, [best, optimum]))
        if optimum is best:
            break
        best = optimum
    return _without_traces(criterion, best)


def polish(criterion: ProfiledLikelihood, start: Array) -> Optimum:
    """Find the optimum next to a start, as after a change of coordinates.

    Parameters
    ----------
    criterion : ProfiledLikelihood
        Of columns of root mean square 1.
    start : ndarray, shape (parameter,)
        A place beside the optimum.

    Returns
    -------
    Optimum
    """
    return _without_traces(criterion, descend(criterion, start))


def _families(terms: Sequence[RandomTerm]) -> list[list[Array]]:
    """Give starts, of each family of which the lowest is followed down."""
    diagonals = [term.on_diagonal() for term in terms]
    owner = np.repeat(np.arange(len(terms)), [len(diagonal) for diagonal in diagonals])
    diagonal = np.concatenate(diagonals)
    families = [[np.where(diagonal, size, 0.0) for size in ALIKE]]
    for some in _subsets(len(terms)):
        is_large = np.isin(owner, some)
        families.append([np.where(diagonal, np.where(is_large, size, MODERATE), 0.0) for size in LARGE])
    if diagonal.sum() > 1:
        for pairs in ALONE:
            families.append(
                [
                    _with(np.where(diagonal, others, 0.0), int(component), alone)
                    for component in np.flatnonzero(diagonal)
                    for alone, others in pairs
                ]
            )
    return families


def _subsets(n_terms: int) -> Iterator[tuple[int, ...]]:
    """Give sets of terms: all there are, or of more than three terms each alone, all but each, and all."""
    for size in range(1, n_terms + 1):
        if n_terms <= 3 or size in (1, n_terms - 1, n_terms):
            yield from combinations(range(n_terms), size)


def _second_starts(criterion: ProfiledLikelihood, best: Optimum, diagonal: NDArray[np.bool_]) -> Iterator[Array]:
    """Look along each component for a lower criterion, and search anew where one is near zero beside large ones."""
    largest = np.abs(best.theta).max()
    for component in range(len(diagonal)):
        tried = [_with(best.theta, component, value) for value in LADDER]
        lowest = min(tried, key=lambda theta: _value(criterion, theta))
        if _value(criterion, lowest) < best.criterion - DISTINCT:
            yield lowest
        if diagonal[component] and abs(best.theta[component]) < SCALE and largest > 1:
            yield _with(best.theta, component, max(1.0, largest / 30))


def _with(theta: Array, component: int, value: float) -> Array:
    changed = theta.copy()
    changed[component] = value
    return changed


def _value(criterion: ProfiledLikelihood, theta: Array) -> float:
    try:
        return criterion(theta)
    except np.linalg.LinAlgError:
        return np.inf


def _better(one: Optimum, other: Optimum) -> Optimum:
    return other if other.criterion < one.criterion - DISTINCT else one


def descend(criterion: ProfiledLikelihood, start: Array, known: Sequence[Optimum] = ()) -> Optimum:
    """Follow the criterion down from one start by Newton's method within a trust region.

    Parameters
    ----------
    criterion : ProfiledLikelihood
        What is minimised.
    start : ndarray, shape (parameter,)
        Where to start.
    known : sequence of Optimum
        Optima that are known; a run that comes close to one ends there.

    Returns
    -------
    Optimum
    """
    ends = [np.arcsinh(np.abs(optimum.theta) / SCALE) for optimum in known]
    at = np.clip(np.arcsinh(start / SCALE), -BOUND, BOUND)
    value, gradient = _evaluate(criterion, at)
    if not np.isfinite(value):
        return Optimum(start, np.inf, np.inf)
    radius = 1.0
    for _ in range(STEPS):
        for end, optimum in zip(ends, known, strict=True):
            if np.abs(np.abs(at) - end).max() < SAME:
                return optimum
        model = _Model(at, gradient, _hessian(lambda point: _evaluate(criterion, point)[1], at, gradient))
        while True:
            step, is_newton = model.step(radius)
            predicted = model.decrease(step)
            if radius < SHORTEST or (predicted < ENOUGH and not is_newton):
                return _optimum(at, value, model)
            moved = at + step
            moved_value, moved_gradient = _evaluate(criterion, moved)
            if is_newton and predicted < NEAR and moved_value < value + NEAR:
                left = model.left(moved_gradient)
                if left < predicted / 4:
                    at, value, gradient = moved, moved_value, moved_gradient
                    if left < ENOUGH**2:
                        return Optimum(SCALE * np.sinh(at), value, left)
                    break
            if predicted < ENOUGH:
                return _optimum(at, value, model)
            gained = (value - moved_value) / predicted
            if gained > 0.75 and np.linalg.norm(step) > 0.9 * radius:
                radius = min(2 * radius, WIDEST)
            elif gained < 0.25:
                radius = min(radius, float(np.linalg.norm(step))) / 4
            if gained > 1e-3:
                at, value, gradient = moved, moved_value, moved_gradient
                break
    return _optimum(at, value, model)


def _optimum(at: Array, value: float, model: _Model) -> Optimum:
    """End here; what is left is what a step of length 1 promises, down a saddle too."""
    return Optimum(SCALE * np.sinh(at), value, model.decrease(model.step(1.0)[0]))


def _evaluate(criterion: ProfiledLikelihood, at: Array) -> tuple[float, Array]:
    try:
        value, gradient = criterion.value_and_gradient(SCALE * np.sinh(at))
    except np.linalg.LinAlgError:
        return np.inf, np.full(len(at), np.nan)
    return value, gradient * SCALE * np.cosh(at)


def _hessian(function: Callable[[Array], Array], at: Array, gradient: Array) -> Array:
    """Differentiate a gradient by forward differences, shape (parameter, parameter)."""
    hessian = np.array([(function(at + shift) - gradient) / DIFFERENCE for shift in DIFFERENCE * np.eye(len(at))])
    return np.asarray((hessian + hessian.T) / 2)


class _Model:
    """The criterion around a place, to second order, in the coordinates that are not held at their bound."""

    def __init__(self, at: Array, gradient: Array, hessian: Array, free: NDArray[np.bool_] | None = None) -> None:
        self.at = at
        self.free = (np.abs(at) < BOUND) | (at * gradient > 0) if free is None else free
        self.gradient = np.where(self.free, gradient, 0.0)
        self.hessian = np.where(np.outer(self.free, self.free), hessian, np.diag(np.ones(len(at))))
        self.values, self.vectors = linalg.eigh(self.hessian)

    def decrease(self, step: Array) -> float:
        """Predict by how much a step lowers the criterion."""
        return -float(self.gradient @ step + step @ self.hessian @ step / 2)

    def left(self, gradient: Array) -> float:
        """Predict what one more step of Newton's method would bring where the gradient is another."""
        along = self.vectors.T @ np.where(self.free, gradient, 0.0)
        return float((along**2 / self.values).sum()) / 2

    def step(self, radius: float) -> tuple[Array, bool]:
        """Minimise within a radius and the bounds; say whether the step is Newton's."""
        step, is_newton = self._unbounded(radius)
        outward = self.free & (np.abs(self.at) >= BOUND) & (self.at * step > 0)
        if outward.any():
            return _Model(self.at, self.gradient, self.hessian, self.free & ~outward).step(radius)
        with np.errstate(divide="ignore", invalid="ignore"):
            distance_to_bound = np.where(step == 0, np.inf, (BOUND - np.sign(step) * self.at) / np.abs(step))
        shortest = float(distance_to_bound.min())  # in steps, to the first bound
        if shortest >= 1:
            return step, is_newton
        moved = self.at + shortest * step
        return np.where(distance_to_bound == shortest, np.copysign(BOUND, step), moved) - self.at, False

    def _unbounded(self, radius: float) -> tuple[Array, bool]:
        values, along = self.values, self.vectors.T @ self.gradient
        tiny = 1e-12 * max(float(np.abs(values).max()), 1e-12)
        if values[0] > tiny and np.linalg.norm(along / values) <= radius:
            return -self.vectors @ (along / values), True
        low = max(0.0, -float(values[0])) + tiny
        step = -along / (values + low)
        if np.linalg.norm(step) < radius:  # the gradient hardly points along the lowest curvature
            if values[0] < 0:
                step[0] += np.copysign(np.sqrt(radius**2 - step @ step), step[0])
            return self.vectors @ step, False
        high = low + float(np.linalg.norm(along)) / radius
        for _ in range(60):
            middle = (low + high) / 2 if high < 4 * low else np.sqrt(low * high)
            low, high = (middle, high) if np.linalg.norm(along / (values + middle)) > radius else (low, middle)
        return -self.vectors @ (along / (values + high)), False


def _without_traces(criterion: ProfiledLikelihood, optimum: Optimum) -> Optimum:
    """Set to zero what is zero but for the last steps of the search, and make the diagonals positive."""
    factors = criterion.factors(optimum.theta)
    theta = np.concatenate([_cleaned(term, factor) for term, factor in zip(criterion.terms, factors, strict=True)])
    value = _value(criterion, theta)
    if value > optimum.criterion + DISTINCT:
        return optimum
    return Optimum(theta, value, optimum.left)


def _cleaned(term: RandomTerm, factor: Array) -> Array:
    if not term.correlated:
        sds = np.abs(np.diag(factor))
        return np.where(sds < SINGULAR, 0.0, sds)
    left, sizes, _ = linalg.svd(factor)
    sizes = np.where(sizes < SINGULAR, 0.0, sizes)
    lower = linalg.qr((left * sizes).T, mode="r")[0].T
    signs = np.where(np.diag(lower) < 0, -1.0, 1.0)
    return term.parameters(lower * signs)
