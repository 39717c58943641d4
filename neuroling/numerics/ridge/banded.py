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
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray

from neuroling.numerics.device import to_tensor
from neuroling.numerics.memory import Targets
from neuroling.numerics.products import multiply
from neuroling.numerics.ridge.algorithm_choice import held_out_errors
from neuroling.numerics.ridge.alpha_search import add_up, cv_scores, plan_passes, r_squared
from neuroling.numerics.ridge.banded_gradient import fit_apart
from neuroling.numerics.ridge.decomposition import GRAM_LIMIT, Folds, centre
from neuroling.numerics.ridge.dual_weights import Kept, best_rows
from neuroling.numerics.ridge.gram import Design, Fold, to_folds
from neuroling.numerics.ridge.held_out_errors import FoldOperators, HeldOutErrors
from neuroling.numerics.ridge.kernels import centre_gram
from neuroling.numerics.ridge.quadratic_forms import QuadraticErrors, as_quadratic
from neuroling.numerics.ridge.refit import Solver, by_penalty, decomposed_solver, refit_size, shifted_solver


@dataclass(frozen=True)
class Bands:
    """Features cut into bands, less their means, on the device, in float64.

    Attributes
    ----------
    parts : tuple of Tensor, each of shape (sample, feature of the band)
    columns : tuple of int arrays
        Which features the columns of every part are.
    """

    parts: tuple[torch.Tensor, ...]
    columns: tuple[NDArray[np.integer], ...]

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
        return cls(tuple(part - part.mean(0) for part in parts), tuple(columns))

    @property
    def n_bytes(self) -> int:
        """Bytes held, with those of the Gram matrices of the bands where they serve."""
        held = sum(part.nbytes for part in self.parts)
        return held + self.wide * 8 * len(self.parts) * len(self.parts[0]) ** 2

    @property
    def fit_bytes(self) -> int:
        """Bytes that copies of the features take while targets are fitted."""
        return 3 * sum(part.nbytes for part in self.parts)

    @property
    def wide(self) -> bool:
        """Whether features outnumber samples, so that Gram matrices of samples are the smaller ones."""
        return sum(part.shape[1] for part in self.parts) >= len(self.parts[0])

    def grams(self) -> torch.Tensor:
        """Give the Gram matrix of every band: (band, sample, sample)."""
        return torch.stack([multiply(part, part.T) for part in self.parts])

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
    kept: Kept | None = None,
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
    kept : Kept, optional
        Gets the weights of samples of the targets whose best weighting and penalty the search can fit at once; its
        options count the penalties of the first weighting, then those of the second, and so on.

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
    beside = bands.n_bytes + bands.fit_bytes + (0 if kept is None else kept.dual.nbytes)
    one = _design(bands, grams, weightings[0])
    n_options = len(weightings) * len(alphas)
    keep = {"keep_blocks": kept is not None}
    plan = plan_passes(one, targets, rows, n_options, together=len(alphas), beside=beside, **keep)
    at_once = max(1, min(plan.operators_at_once, plan.fresh_operators) // (len(rows) * len(alphas)))
    for start in range(0, len(weightings), at_once):
        some = slice(start, start + at_once)
        if plan.operators_at_once < len(rows) * len(alphas):  # not even one weighting fits: penalties in parts
            curves = cv_scores(_design(bands, grams, weightings[start]), targets, folds, alphas)
            scores[start], top[start] = curves.max(0), curves.argmax(0)
            continue
        parts = _prepare(bands, grams, weightings[some], rows, alphas, targets, **keep)
        summed = [as_quadratic(each, *targets.values.shape) for each in parts] if plan.quadratic else parts
        for tile, y in targets.tiles(plan.tile):
            centred, _ = centre(y)
            error, baseline = (found.cpu().numpy() for found in _add_up(summed, centred, len(alphas)))
            options = r_squared(error, baseline, targets.values[:, tile])  # (weighting and alpha, target)
            curves = options.reshape(-1, len(alphas), options.shape[1])
            scores[some, tile], top[some, tile] = curves.max(1), curves.argmax(1)
            if kept is not None:
                flat = [part for each in parts for part in each]
                kept.improve(flat, centred, tile, options, first=start * len(alphas), without=int(np.argmax(alphas)))
        del parts, summed  # before the next are made
    return scores, *_best(scores, top, int(np.argmax(alphas)))


def _best(
    scores: NDArray[np.float64], top: NDArray[np.int32], largest: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Best weighting and its penalty, of the first of equals; (0, ``largest``) without a score."""
    weighting = best_rows(scores, without=0)
    penalty = np.where(np.isnan(scores.max(0)), largest, top[weighting, np.arange(scores.shape[1])])
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
    *,
    keep_blocks: bool,
) -> list[list[HeldOutErrors]]:
    """Held-out errors of every weighting; those of all weightings as one where they share the training targets."""
    prepare = partial(held_out_errors, n_targets=targets.values.shape[1], dtype=targets.dtype, keep_blocks=keep_blocks)
    each = [list(prepare(_design(bands, grams, weights), rows, alphas)) for weights in weightings]
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
        blocks = tuple(block for part in parts for block in part.blocks or (None,) * part.n_operators)
        joined.append(FoldOperators(parts[0].fold, None, None, stacks, blocks))
    return joined


def _add_up(
    parts: Sequence[Sequence[HeldOutErrors]], y: torch.Tensor, n_alphas: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared errors (weighting and alpha, target) and those of the training means (target,)."""
    if len(parts) == 1:
        first = parts[0][0]
        n_operators = first.n_operators if isinstance(first, FoldOperators | QuadraticErrors) else n_alphas
        return add_up(parts[0], y, n_operators)
    errors, baselines = zip(*(add_up(part, y, n_alphas) for part in parts), strict=True)
    return torch.cat(errors), baselines[0]


def fit_bands(
    bands: Bands,
    targets: Targets,
    weights: Float[NDArray[np.floating], "band target"],
    alphas: Float[NDArray[np.floating], " target"],
    near: Float[NDArray[np.float64], "band target"],
    kept: Kept | None = None,
) -> tuple[Float[NDArray[np.floating], "feature target"], Float[NDArray[np.float64], " target"]]:
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
    kept : Kept, optional
        Weights of samples that the search left; an option of -1 says that there are none.

    Returns
    -------
    coef : ndarray, shape (feature, target)
        In the dtype of the targets.
    mean : ndarray, shape (target,)
        Means of the targets: predictions at the mean features.
    """
    values = targets.values
    mean = values.mean(0, dtype=np.float64)
    if np.unique(weights, axis=1).shape[1] > np.unique(near, axis=1).shape[1]:  # most have weights of their own
        with np.errstate(divide="ignore"):
            penalties = alphas / np.asarray(weights, np.float64)
        return fit_apart(bands.parts, targets, penalties, near, np.concatenate(bands.columns)), mean
    coef = np.empty((sum(map(len, bands.columns)), values.shape[1]), values.dtype)
    if kept is not None:
        _write_kept(bands, targets, weights, kept, coef)
    left = np.arange(values.shape[1]) if kept is None else np.flatnonzero(kept.option < 0)
    _fit_alike(bands, targets, weights, alphas, left, coef)
    return coef, mean


def _write_kept(
    bands: Bands, targets: Targets, weights: NDArray[np.floating], kept: Kept, coef: NDArray[np.floating]
) -> None:
    r"""Write weights of features, :math:`\gamma_b X_b^\top W`, from weights of samples."""
    across = [part.T.to(targets.dtype) for part in bands.parts]
    n_samples, widest = len(bands.parts[0]), max(map(len, across))
    size = refit_size(targets, fixed=bands.n_bytes + kept.dual.nbytes, per_target=2 * n_samples + 2 * widest)
    for start in range(0, coef.shape[1], size):
        tile = slice(start, start + size)
        dual = to_tensor(np.ascontiguousarray(kept.dual[:, tile]), targets.device)
        for part, columns, gain in zip(across, bands.columns, weights, strict=True):
            gains = to_tensor(np.ascontiguousarray(gain[tile]), targets.device, targets.dtype)
            coef[columns, tile] = multiply(part, dual).mul_(gains).cpu().numpy()


def _fit_alike(
    bands: Bands,
    targets: Targets,
    weights: NDArray[np.floating],
    alphas: NDArray[np.floating],
    left: NDArray[np.intp],
    coef: NDArray[np.floating],
) -> None:
    """Write weights of features of some targets, those that share the weights of the bands together."""
    if len(left) == 0:
        return
    order, n_samples = np.concatenate(bands.columns), len(bands.parts[0])
    rank = min(n_samples, len(order))
    fixed = bands.n_bytes + bands.fit_bytes + 8 * 6 * rank**2
    size = refit_size(targets, fixed=fixed, per_target=4 * n_samples + 8 * rank + 3 * len(order))
    joined = torch.cat(bands.parts, 1)
    gram = bands.grams() if bands.wide else multiply(joined.T, joined)
    different, member = np.unique(weights[:, left], axis=1, return_inverse=True)
    for number, shared in enumerate(different.T):
        chosen = left[member.reshape(-1) == number]
        solve = _solver(bands, gram, shared, alphas[chosen], targets.dtype)
        for some in by_penalty(alphas[chosen], size):
            columns = chosen[some]
            y, _ = centre(to_tensor(targets.values[:, columns], targets.device))
            coef[np.ix_(order, columns)] = solve(y, alphas[columns]).cpu().numpy()


def _solver(
    bands: Bands, gram: torch.Tensor, weights: NDArray[np.floating], alphas: NDArray[np.floating], dtype: torch.dtype
) -> Solver:
    """From centred targets (sample, target) to weights of features (feature, target), for one weighting."""
    features = bands.scaled(weights)  # (sample, feature)
    widths = torch.tensor([part.shape[1] for part in bands.parts], device=features.device)
    full = to_tensor(np.sqrt(np.asarray(weights, np.float64)), features.device).repeat_interleave(widths)[:, None]
    across, roots = features.T.to(dtype), full.to(dtype)  # (feature, sample) and (feature, 1)
    if alphas.min() <= GRAM_LIMIT * float(torch.linalg.vector_norm(features)) ** 2:
        solve = decomposed_solver(features, float(alphas.min()), dtype)
        return lambda y, some: roots * solve(y, some)
    if bands.wide:
        solve = shifted_solver(centre_gram(_design(bands, gram, weights).full_gram()), alphas, dtype)
        return lambda y, some: roots * multiply(across, solve(y, some))
    solve = shifted_solver(full * gram * full.T, alphas, dtype)
    return lambda y, some: roots * solve(multiply(across, y), some)


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
