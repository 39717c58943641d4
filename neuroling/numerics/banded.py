r"""Banded ridge: one penalty per feature space (band) and target.

With weights :math:`\gamma_b \ge 0` of the bands the Gram matrix is :math:`K_\gamma = \sum_b \gamma_b K_b`, and ridge
with penalty :math:`\alpha` on it is ridge on the features with penalty :math:`\alpha / \gamma_b` on band *b*. The
search goes over weightings and penalties; nothing is fitted while it runs, and one fit per weighting in use follows.

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

from neuroling.numerics.band_gradient import fit_apart
from neuroling.numerics.designs import Design, Fold, to_folds
from neuroling.numerics.device import to_tensor
from neuroling.numerics.forms import FoldOperators, HeldOutErrors, held_out_errors
from neuroling.numerics.memory import Targets
from neuroling.numerics.penalties import add_up, cv_scores, plan_passes, r_squared
from neuroling.numerics.refit import fit_dual, fit_linear
from neuroling.numerics.ridge import Folds, centre


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

    @property
    def wide(self) -> bool:
        """Whether features outnumber samples, so that Gram matrices of samples are the smaller ones."""
        return sum(part.shape[1] for part in self.parts) >= len(self.parts[0])

    def grams(self) -> torch.Tensor:
        """Give the Gram matrix of every band: (band, sample, sample)."""
        return torch.stack([part @ part.T for part in self.parts])

    def scaled(self, weights: Float[NDArray[np.floating], " band"]) -> torch.Tensor:
        """Give all features, each band times the root of its weight: (sample, feature).

        Parameters
        ----------
        weights : ndarray, shape (band,)
        """
        roots = np.sqrt(np.asarray(weights, np.float64)).tolist()
        return torch.cat([root * part for root, part in zip(roots, self.parts, strict=True)], 1)


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

    Operators of as many weightings as memory holds are made first; then the targets pass them once.

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
    n_targets, rows = targets.values.shape[1], to_folds(folds, targets.device)
    grams = bands.grams() if bands.wide else None
    scores, top = np.empty((len(weightings), n_targets)), np.empty((len(weightings), n_targets), np.int32)
    plan = plan_passes(_design(bands, grams, weightings[0]), targets, rows, len(alphas))
    at_once = max(1, min(plan.operators_at_once, plan.fresh_operators) // (len(rows) * len(alphas)))
    for start in range(0, len(weightings), at_once):
        some = slice(start, start + at_once)
        if plan.operators_at_once < len(rows) * len(alphas):  # not even one weighting fits: penalties in parts
            curves = cv_scores(_design(bands, grams, weightings[start]), targets, folds, alphas)
            scores[start], top[start] = curves.max(0), curves.argmax(0)
            continue
        parts = _prepare(bands, grams, weightings[some], rows, alphas, targets)
        for tile, y in targets.tiles(plan.tile):
            error, baseline = (found.cpu().numpy() for found in _add_up(parts, centre(y)[0], len(alphas)))
            curves = r_squared(error, baseline, targets.values[:, tile])  # (weighting and alpha, target)
            curves = curves.reshape(-1, len(alphas), curves.shape[1])
            scores[some, tile], top[some, tile] = curves.max(1), curves.argmax(1)
        del parts  # before the next are made
    return scores, *_best(scores, top, int(np.argmax(alphas)))


def _best(
    scores: NDArray[np.float64], top: NDArray[np.int32], largest: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Best weighting and its penalty, of the first of equals; (0, ``largest``) without a score."""
    scored = ~np.isnan(scores).any(0)
    weighting, penalty = np.zeros(scores.shape[1], np.intp), np.full(scores.shape[1], largest)
    weighting[scored] = scores[:, scored].argmax(0)
    penalty[scored] = top[weighting[scored], np.flatnonzero(scored)]
    return weighting, penalty


def _design(bands: Bands, grams: torch.Tensor | None, weights: NDArray[np.floating]) -> Design:
    """Design of one weighting, by the smaller Gram matrix."""
    if grams is None:
        return Design(None, bands.scaled(weights))
    return Design(torch.einsum("b,bst->st", to_tensor(np.asarray(weights, np.float64), grams.device), grams), None)


def _prepare(
    bands: Bands,
    grams: torch.Tensor | None,
    weightings: NDArray[np.floating],
    rows: Sequence[Fold],
    alphas: NDArray[np.floating],
    targets: Targets,
) -> list[list[HeldOutErrors]]:
    """Held-out errors of every weighting; those of all weightings as one where they share the training targets."""
    n_targets = targets.values.shape[1]
    each = [
        list(held_out_errors(_design(bands, grams, weights), rows, alphas, n_targets=n_targets, dtype=targets.dtype))
        for weights in weightings
    ]
    return [merged] if (merged := merge_weightings(each)) else each


def merge_weightings(each: Sequence[Sequence[HeldOutErrors]]) -> list[HeldOutErrors]:
    """Join the operators of several weightings fold by fold, so that training targets are gathered once for all.

    Parameters
    ----------
    each : sequence of sequence of HeldOutErrors
        The folds of every weighting.

    Returns
    -------
    list of HeldOutErrors
        The operators of a fold weighting after weighting; empty where some project the targets.
    """
    joined: list[HeldOutErrors] = []
    for same_fold in zip(*each, strict=False):
        parts = [part for part in same_fold if isinstance(part, FoldOperators) and part.project is None]
        if len(parts) < len(each):
            return []
        stacks = tuple(stack for part in parts for stack in part.stacks)
        joined.append(FoldOperators(parts[0].fold, None, None, stacks))
    return joined


def _add_up(
    parts: Sequence[Sequence[HeldOutErrors]], y: torch.Tensor, n_alphas: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared errors (weighting and alpha, target) and those of the training means (target,)."""
    if len(parts) == 1:
        first = parts[0][0]
        n_operators = first.n_operators if isinstance(first, FoldOperators) else n_alphas
        return add_up(parts[0], y, n_operators)
    errors, baselines = zip(*(add_up(part, y, n_alphas) for part in parts), strict=True)
    return torch.cat(errors), baselines[0]


def fit_bands(
    bands: Bands,
    targets: Targets,
    weights: Float[NDArray[np.floating], "band target"],
    alphas: Float[NDArray[np.floating], " target"],
    near: Float[NDArray[np.float64], "band target"],
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
    near : ndarray, shape (band, target)
        Weights near which those of the targets are, shared by many targets.

    Returns
    -------
    coef : list of ndarray, each of shape (feature of the band, target)
        In the dtype of the targets.
    mean : ndarray, shape (target,)
        Means of the targets: predictions at the mean features.
    """
    values = targets.values
    mean = values.mean(0, dtype=np.float64)
    different, member = np.unique(weights, axis=1, return_inverse=True)
    if different.shape[1] > np.unique(near, axis=1).shape[1]:  # most have weights of their own
        with np.errstate(divide="ignore"):
            return fit_apart(bands.parts, targets, alphas / np.asarray(weights, np.float64), near), mean
    grams = bands.grams() if bands.wide else None
    coef = [np.empty((part.shape[1], values.shape[1]), values.dtype) for part in bands.parts]
    for number, shared in enumerate(different.T):
        chosen = np.flatnonzero(member.reshape(-1) == number)
        few = Targets(values[:, chosen], targets.device, targets.limits)
        for found, part in zip(coef, _fit_alike(bands, grams, few, shared, alphas[chosen]), strict=True):
            found[:, chosen] = part
    return coef, mean


def _fit_alike(
    bands: Bands,
    grams: torch.Tensor | None,
    targets: Targets,
    weights: NDArray[np.floating],
    alphas: NDArray[np.floating],
) -> list[NDArray[np.floating]]:
    """Weights of features of targets that share the weights of the bands: one (feature, target) a band."""
    if grams is None:
        coef, _ = fit_linear(bands.scaled(weights).cpu().numpy(), targets, alphas)
        cuts = np.cumsum([part.shape[1] for part in bands.parts])[:-1]
        roots = np.sqrt(weights).astype(coef.dtype)
        return [root * part for root, part in zip(roots, np.split(coef, cuts), strict=True)]
    dual, _ = fit_dual(_design(bands, grams, weights), targets, alphas)
    solution = to_tensor(dual, targets.device)
    return [
        ((weight * part.T).to(solution.dtype) @ solution).cpu().numpy()
        for weight, part in zip(weights.tolist(), bands.parts, strict=True)
    ]


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
