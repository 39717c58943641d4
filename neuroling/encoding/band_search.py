"""Ways to search for the weights of feature spaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from neuroling.numerics.banded import Bands, dirichlet_weightings, search_weightings
from neuroling.numerics.memory import Targets
from neuroling.numerics.ridge import Folds


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
    """

    weights: NDArray[np.float64]
    alphas: NDArray[np.float64]
    scores: NDArray[np.float64]


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
        weightings = self.weightings(len(bands.parts))
        scores, weighting, penalty = search_weightings(bands, targets, folds, alphas, weightings)
        return Found(weightings[weighting].T, alphas[penalty], scores)
