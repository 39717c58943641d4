r"""Banded ridge: one penalty per feature space (band) and target.

With weights :math:`\gamma_b \ge 0` of the bands the Gram matrix is :math:`K_\gamma = \sum_b \gamma_b K_b`, and ridge
with penalty :math:`\alpha` on it is ridge on the features with penalty :math:`\alpha / \gamma_b` on band *b*. The search
goes over weightings and penalties; nothing is fitted while it runs, and one fit per weighting in use follows.

Sources: Nunez-Elizalde, Huth and Gallant (2019), Voxelwise encoding models with non-spherical multivariate normal
priors, NeuroImage 197; Dupré la Tour, Eickenberg, Nunez-Elizalde and Gallant (2022), Feature-space selection with
banded ridge regression, NeuroImage 264 (random search over a Dirichlet distribution, hyper-gradient).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray

from neuroling.numerics.device import to_tensor
from neuroling.numerics.memory import Targets
from neuroling.numerics.penalties import Design, cv_scores
from neuroling.numerics.refit import fit_dual
from neuroling.numerics.ridge import Folds


@dataclass(frozen=True)
class Bands:
    """Features cut into bands, less their means, on the device, in float64.

    Attributes
    ----------
    parts : tuple of Tensor, each of shape (sample, feature of the band)
    """

    parts: tuple[torch.Tensor, ...]

    @classmethod
    def of(
        cls,
        X: Float[NDArray[np.floating], "sample feature"],
        columns: Sequence[NDArray[np.integer]],
        device: torch.device,
    ) -> Bands:
        """Cut features into bands.

        Parameters
        ----------
        X : ndarray, shape (sample, feature)
            Features.
        columns : sequence of int arrays
            Columns of every band.
        device : torch.device
        """
        parts = [to_tensor(np.ascontiguousarray(X[:, chosen]), device, torch.float64) for chosen in columns]
        return cls(tuple(part - part.mean(0) for part in parts))

    def grams(self) -> torch.Tensor:
        """Give the Gram matrix of every band: (band, sample, sample)."""
        return torch.stack([part @ part.T for part in self.parts])


def search_weightings(
    bands: Bands,
    targets: Targets,
    folds: Folds,
    alphas: Float[NDArray[np.floating], " alpha"],
    weightings: Float[NDArray[np.floating], "weighting band"],
) -> tuple[
    Float[NDArray[np.float64], "weighting target"], Int[NDArray[np.intp], " target"], Int[NDArray[np.intp], " target"]
]:
    """Score every weighting with its best penalty, per target.

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
    weightings : ndarray, shape (weighting, band)
        Weights of the bands, at least 0.

    Returns
    -------
    scores : ndarray, shape (weighting, target)
        Held-out R² of the best penalty; NaN for a target that is constant.
    weighting, penalty : ndarray of int, shape (target,)
        The best of each; the largest penalty of the first weighting where there is no score.
    """
    grams = bands.grams()
    n_targets = targets.values.shape[1]
    scores, best = np.empty((len(weightings), n_targets)), np.full(n_targets, -np.inf)
    weighting, penalty = np.zeros(n_targets, np.intp), np.full(n_targets, int(np.argmax(alphas)))
    for number, weights in enumerate(weightings):
        design = Design(torch.einsum("b,bst->st", to_tensor(weights, grams.device), grams), None)
        curve = cv_scores(design, targets, folds, alphas)  # (alpha, target)
        scores[number] = curve.max(0)
        better = scores[number] > best
        best[better], weighting[better], penalty[better] = scores[number, better], number, curve.argmax(0)[better]
    return scores, weighting, penalty


def fit_bands(
    bands: Bands,
    targets: Targets,
    weights: Float[NDArray[np.floating], "band target"],
    alphas: Float[NDArray[np.floating], " target"],
) -> tuple[list[Float[NDArray[np.floating], "feature target"]], Float[NDArray[np.float64], " target"]]:
    """Fit every target with its weights of the bands and its penalty.

    Parameters
    ----------
    bands : Bands
        Features.
    targets : Targets
        Targets.
    weights : ndarray, shape (band, target)
        Weights of the bands; targets that share them are fitted together.
    alphas : ndarray, shape (target,)
        Penalty beside those weights.

    Returns
    -------
    coef : list of ndarray, each of shape (feature of the band, target)
        In the dtype of the targets.
    mean : ndarray, shape (target,)
        Means of the targets: predictions at the mean features.
    """
    grams, values = bands.grams(), targets.values
    coef = [np.empty((part.shape[1], values.shape[1]), values.dtype) for part in bands.parts]
    mean = np.empty(values.shape[1])
    different, member = np.unique(weights, axis=1, return_inverse=True)
    for number, shared in enumerate(different.T):
        chosen = np.flatnonzero(member.reshape(-1) == number)
        gram = torch.einsum("b,bst->st", to_tensor(shared, grams.device), grams)
        few = Targets(values[:, chosen], targets.device, targets.limits)
        dual, mean[chosen] = fit_dual(gram, few, alphas[chosen])
        solution = to_tensor(dual, targets.device)
        for weight, part, found in zip(shared.tolist(), bands.parts, coef, strict=True):
            found[:, chosen] = ((weight * part.T).to(solution.dtype) @ solution).cpu().numpy()
    return coef, mean


def dirichlet_weightings(
    n_weightings: int, n_bands: int, concentrations: Sequence[float], rng: np.random.Generator
) -> Float[NDArray[np.float64], "weighting band"]:
    """Draw weights of bands that sum to one; the first weighting is the equal one.

    Parameters
    ----------
    n_weightings : int
        How many.
    n_bands : int
        Bands.
    concentrations : sequence of float
        Concentrations of Dirichlet distributions to draw from in turn: small ones favour few bands.
    rng : Generator

    Returns
    -------
    ndarray, shape (weighting, band)

    Examples
    --------
    >>> dirichlet_weightings(3, 2, [1.0], np.random.default_rng(0)).sum(1).round(12).tolist()
    [1.0, 1.0, 1.0]
    """
    drawn = [
        rng.dirichlet(np.full(n_bands, concentrations[turn % len(concentrations)])) for turn in range(n_weightings - 1)
    ]
    return np.array([np.full(n_bands, 1 / n_bands), *drawn])
