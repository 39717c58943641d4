"""Ways to search for the weights of feature spaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from neuroling.numerics.memory import Targets
from neuroling.numerics.ridge.banded import Bands, dirichlet_weightings, search_weightings
from neuroling.numerics.ridge.banded_gradient import search_by_gradient
from neuroling.numerics.ridge.decomposition import Folds
from neuroling.numerics.ridge.dual_weights import Kept

KEPT_SHARE = 0.3
"""Share of the memory up to which weights of samples are kept beside a search; a heuristic."""


class Found(NamedTuple):
    """What a search has found.

    Attributes
    ----------
    weights : ndarray, shape (band, target)
        Weights of the bands.
    alphas : ndarray, shape (target,)
        Penalty beside them.
    scores : ndarray, shape (step, target)
        Held-out R² of every step of the search; the best is the one taken.
    near : ndarray, shape (band, target)
        Weights near which they are, shared by many targets, so that these can be fitted together.
    kept : Kept or None
        Weights of samples that the search had at hand, for those weights and penalties; an option of -1 says none.
    """

    weights: NDArray[np.float64]
    alphas: NDArray[np.float64]
    scores: NDArray[np.float64]
    near: NDArray[np.float64]
    kept: Kept | None = None


class BandSearch(Protocol):
    """A search for the weights of feature spaces, per target."""

    def __call__(self, bands: Bands, targets: Targets, folds: Folds, alphas: NDArray[np.float64]) -> Found:
        """Find weights and penalties by held-out score."""
        ...


@dataclass(frozen=True)
class DirichletSearch:
    """Random search: draw weightings from Dirichlet distributions, try every penalty with each.

    Parameters
    ----------
    n_weightings : int
        How many weightings, the equal one included; each costs one pass of all targets through folds and penalties.
    concentrations : sequence of float
        Concentrations to draw from in turn: below 1 few bands dominate, at 1 all mixtures are as likely.
    seed : int
        Seed of the draws.

    Examples
    --------
    >>> DirichletSearch(n_weightings=20)
    DirichletSearch(n_weightings=20, concentrations=(0.1, 1.0), seed=0)
    """

    n_weightings: int = 50
    concentrations: Sequence[float] = (0.1, 1.0)
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.n_weightings, (int, np.integer)) or self.n_weightings < 1:
            raise ValueError(f"n_weightings: got {self.n_weightings!r}; expected a whole number of at least 1.")
        if len(self.concentrations) == 0 or not all(0 < number < np.inf for number in self.concentrations):
            raise ValueError(f"concentrations: got {self.concentrations!r}; expected numbers above 0.")

    def weightings(self, n_bands: int) -> NDArray[np.float64]:
        """Draw the weightings (weighting, band).

        Parameters
        ----------
        n_bands : int
            Number of bands; a single one has one weighting.
        """
        n_weightings = self.n_weightings if n_bands > 1 else 1
        return dirichlet_weightings(n_weightings, n_bands, self.concentrations, np.random.default_rng(self.seed))

    def __call__(self, bands: Bands, targets: Targets, folds: Folds, alphas: NDArray[np.float64]) -> Found:
        """Find weights and penalties by held-out score.

        Parameters
        ----------
        bands : Bands
            Features.
        targets : Targets
            Targets.
        folds : sequence of (train, test)
            Row indices.
        alphas : ndarray, shape (alpha,)
            Penalties.

        Returns
        -------
        Found
            ``scores`` has a row for every weighting.
        """
        values = targets.values
        keep = bands.wide and values.nbytes <= KEPT_SHARE * targets.allowed
        return self.find(bands, targets, folds, alphas, Kept.none_for(values) if keep else None)

    def find(
        self, bands: Bands, targets: Targets, folds: Folds, alphas: NDArray[np.float64], kept_errors: Kept | None = None
    ) -> Found:
        """Find weights and penalties, and keep the weights of samples that come with them if there is room.

        Parameters
        ----------
        bands, targets, folds, alphas
            As when called.
        kept_errors : Kept, optional
            Room for the weights of samples.

        Returns
        -------
        Found
        """
        weightings = self.weightings(len(bands.parts))
        scores, weighting, penalty = search_weightings(bands, targets, folds, alphas, weightings, kept_errors)
        weights = weightings[weighting].T
        if kept_errors is not None:
            kept_errors.option[kept_errors.option != weighting * len(alphas) + penalty] = -1
        return Found(weights, alphas[penalty], scores, weights, kept_errors)


@dataclass(frozen=True)
class GradientSearch:
    """Random search, then descent of the held-out error in the logarithms of all penalties, every target by itself.

    Dearer than random search by far, and finer: penalties are no longer tied to a grid or to few weightings. A target
    keeps the point of its random search where no step was better.

    Parameters
    ----------
    n_steps : int
        Steps of the descent; each takes two linear systems per fold.
    start : DirichletSearch
        The random search that gives starting points.
    reach : float
        How far beyond the smallest and largest of ``alphas`` the penalty of a feature space may go, as a factor.

    Examples
    --------
    >>> GradientSearch(n_steps=10).start.n_weightings
    10
    """

    n_steps: int = 20
    start: DirichletSearch = DirichletSearch(n_weightings=10)
    reach: float = 10.0

    def __post_init__(self) -> None:
        if not isinstance(self.n_steps, (int, np.integer)) or self.n_steps < 1:
            raise ValueError(f"n_steps: got {self.n_steps!r}; expected a whole number of at least 1.")
        if not 1 <= self.reach < np.inf:
            raise ValueError(f"reach: got {self.reach!r}; expected a finite factor of at least 1.")

    def __call__(self, bands: Bands, targets: Targets, folds: Folds, alphas: NDArray[np.float64]) -> Found:
        """Find weights and penalties by held-out score.

        Parameters
        ----------
        bands : Bands
            Features.
        targets : Targets
            Targets.
        folds : sequence of (train, test)
            Row indices.
        alphas : ndarray, shape (alpha,)
            Penalties of the random search.

        Returns
        -------
        Found
            ``scores`` has a row for the best of the random search, one for where the descent starts, which is that
            point brought within the bounds, and one for every step.
        """
        begun = self.start.find(bands, targets, folds, alphas)
        bounds = (float(alphas.min()) / self.reach, float(alphas.max()) * self.reach)
        penalties, scores = search_by_gradient(
            bands.parts, targets, folds, (begun.weights, begun.alphas), bounds=bounds, n_steps=self.n_steps
        )
        kept = ~(np.nanmax(scores, 0, initial=-np.inf) > begun.scores.max(0))  # no step was better; or no score
        delta = np.where(kept, begun.weights / begun.alphas, 1 / penalties)  # (band, target)
        met = np.vstack([begun.scores.max(0), scores])  # the start of a descent may lie below the search's best
        return Found(delta / delta.sum(0), 1 / delta.sum(0), met, begun.weights)
