r"""Ridge with a penalty chosen inside every leave-two-out fold, in closed form on triples.

Let :math:`R_\alpha = M_\alpha Y` be the residuals of the fit to all rows, :math:`M_\alpha = I - H_\alpha`. Without a
pair :math:`S = \{i, j\}` *and* an inner sample *t*, the error at *t* is the entry of :math:`M_{TT}^{-1} R_T`,
:math:`T = S \cup \{t\}`:

.. math:: e_t = a_t R_t + b_t R_i + c_t R_j

with three coefficients per pair and inner sample that no target enters. The inner leave-one-out error of a penalty is
the sum over *t* of squares of that, which is linear in :math:`R_t^2`, :math:`R_i R_t` and :math:`R_j R_t`: three
products with targets per pair and penalty serve all its inner folds, for every target. Nothing is refitted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray

from neuroling.numerics.device import to_tensor
from neuroling.numerics.memory import tile_size
from neuroling.numerics.products import add_product, eigh, multiply
from neuroling.numerics.ridge.decomposition import GRAM_LIMIT, centre
from neuroling.numerics.ridge.kernels import centre_gram, from_contrasts, to_contrasts

PAIRS_AT_ONCE = 128
"""Consecutive pairs of which those with one first sample are taken together; a heuristic."""

TILE = 1024
"""Targets at a time, so that the errors of 59 pairs stay in a second-level cache; a heuristic."""


class PenaltyTooSmallError(ValueError):
    """A penalty is so small beside the features that the closed form would lose digits."""


class Triples(NamedTuple):
    """Coefficients of the pairs that share their first sample.

    Attributes
    ----------
    square : Tensor, shape (alpha, pair, sample)
        Of squared residuals.
    first, second : Tensor, shape (alpha, pair, sample)
        Of residuals times that of the first, and of the second, sample of the pair.
    block : Tensor, shape (alpha, pair, 3)
        Entries (0, 0), (0, 1) and (1, 1) of the inverse of the pair's block.
    """

    square: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    block: torch.Tensor


def residual_makers(
    gram: torch.Tensor, alphas: Float[NDArray[np.floating], " alpha"]
) -> Float[torch.Tensor, "alpha sample sample"]:
    r"""Give the matrices that take targets to residuals, each scaled to a mean diagonal of one.

    Parameters
    ----------
    gram : Tensor, shape (sample, sample)
        Inner products of samples, float64, of any origin.
    alphas : ndarray, shape (alpha,)
        Penalties.

    Returns
    -------
    Tensor, shape (alpha, sample, sample)
        :math:`I - H_\alpha` up to a factor, which cancels in the triples' quotients. It is summed from
        :math:`\alpha / (w + \alpha)` over contrasts, so that it keeps its digits where the fit nearly interpolates: its
        entries are then as small as :math:`\alpha / w`, and what :math:`I - H_\alpha` or a constant direction that
        cancels would leave of rounding is not.

    Raises
    ------
    PenaltyTooSmallError
        If a penalty is below 1.5e-8 of the largest eigenvalue.
    """
    spectrum, vectors = eigh(to_contrasts(to_contrasts(centre_gram(gram)).T))
    vectors = from_contrasts(vectors)  # (sample, sample - 1)
    spectrum = spectrum.clamp(min=0)
    if float(np.min(alphas)) <= GRAM_LIMIT * float(spectrum[-1]):
        raise PenaltyTooSmallError(
            f"alphas: {float(np.min(alphas)):.1e} is below {GRAM_LIMIT:.1e} of the largest eigenvalue "
            f"{float(spectrum[-1]):.1e}; the closed form would lose digits."
        )
    shares = [alpha / (spectrum + alpha) for alpha in np.asarray(alphas, np.float64).tolist()]
    makers = torch.stack([multiply(vectors * share, vectors.T) for share in shares])
    return makers / makers.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]


def triples(makers: torch.Tensor, first: int, seconds: torch.Tensor) -> Triples:
    """Give the coefficients of pairs that share their first sample.

    Parameters
    ----------
    makers : Tensor, shape (alpha, sample, sample)
        From :func:`residual_makers`.
    first : int
        The sample that all pairs hold out.
    seconds : Tensor of int, shape (pair,)
        The other samples.

    Returns
    -------
    Triples
        float64.
    """
    a, b, c = makers[:, first, first, None], makers[:, first, seconds], makers[:, seconds, seconds]  # (alpha, pair)
    determinant = a * c - b * b
    p, q, r = c / determinant, -b / determinant, a / determinant
    to_first, to_second = makers[:, first, None], makers[:, seconds]  # (alpha, 1 or pair, sample)
    by_first = p[..., None] * to_first + q[..., None] * to_second
    by_second = q[..., None] * to_first + r[..., None] * to_second
    own = makers.diagonal(dim1=1, dim2=2)[:, None] - (to_first * by_first + to_second * by_second)
    rows = torch.arange(len(seconds), device=seconds.device)
    inverse = 1 / own
    inverse[:, :, first] = 0.0
    inverse[:, rows, seconds] = 0.0
    by_first, by_second = -inverse * by_first, -inverse * by_second  # zero at the pair, as inverse is
    square, cross_first, cross_second = inverse**2, 2 * inverse * by_first, 2 * inverse * by_second
    square[:, :, first] = by_first.square().sum(2)
    square[:, rows, seconds] = by_second.square().sum(2)
    cross_first[:, rows, seconds] = 2 * (by_first * by_second).sum(2)
    return Triples(square, cross_first, cross_second, torch.stack([p, q, r], dim=2))


def nested_pairs(
    gram: torch.Tensor,
    Y: Float[NDArray[np.floating], "sample target"],
    pairs: Int[NDArray[np.integer], "pair 2"],
    alphas: Float[NDArray[np.floating], " alpha"],
    *,
    allowed: int | None = None,
) -> Iterator[tuple[Float[NDArray[np.floating], "2 target"], Int[NDArray[np.integer], " target"]]]:
    """Predict both samples of every pair, with the penalty of every target chosen by leave-one-out among the others.

    Parameters
    ----------
    gram : Tensor, shape (sample, sample)
        Inner products of samples, float64, on the device where to compute.
    Y : ndarray, shape (sample, target)
        Targets; products keep their dtype.
    pairs : ndarray of int, shape (pair, 2)
        Held-out samples of every fold; fast where consecutive pairs share their first sample.
    alphas : ndarray, shape (alpha,)
        Penalties.
    allowed : int, optional
        Bytes that may be used beside targets and what is yielded; no bound by default. With too few for the residuals
        of all targets those are made anew for every some pairs, a stretch of targets at a time.

    Yields
    ------
    prediction : ndarray, shape (2, target)
        In the dtype of the targets.
    chosen : ndarray of int, shape (target,)
        Number of the penalty; the first of equals.

    Raises
    ------
    PenaltyTooSmallError
        As :func:`residual_makers`.
    MemoryError
        If not even one target fits.
    """
    makers = residual_makers(gram, alphas)
    pairs_at_once, size = _plan(Y, len(alphas), len(pairs), allowed)
    stretches = [slice(start, start + size) for start in range(0, Y.shape[1], size)]
    kept = _residuals(makers, Y) if len(stretches) == 1 else None
    for start in range(0, len(pairs), pairs_at_once):
        some = pairs[start : start + pairs_at_once]
        predicted = np.empty((len(some), 2, Y.shape[1]), Y.dtype)
        chosen = np.empty((len(some), Y.shape[1]), np.int16)
        for stretch in stretches:
            residuals, y, mean = kept or _residuals(makers, Y[:, stretch])
            for first in np.unique(some[:, 0]).tolist():
                members = np.flatnonzero(some[:, 0] == first)
                seconds = torch.from_numpy(some[members, 1]).to(gram.device)
                found, best = _predict_group(triples(makers, first, seconds), residuals, y, first, seconds)
                predicted[members, :, stretch] = (found + mean).transpose(0, 1).cpu().numpy()
                chosen[members, stretch] = best
            del residuals, y
        yield from zip(predicted, chosen, strict=True)


def _residuals(makers: torch.Tensor, Y: NDArray[np.floating]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Residuals (alpha, sample, target) of the fits to all rows, centred targets (sample, target), and means."""
    y, mean = centre(to_tensor(np.ascontiguousarray(Y), makers.device))
    residuals = y.new_empty(len(makers), *y.shape)
    for maker, found in zip(makers, residuals, strict=True):
        multiply(maker.to(y.dtype), y, found)
    return residuals, y, mean.to(y.dtype)


def _plan(Y: NDArray[np.floating], n_alphas: int, n_pairs: int, allowed: int | None) -> tuple[int, int]:
    """How many pairs are predicted at a time, for how many targets."""
    n_samples, n_targets = Y.shape
    pairs_at_once = min(PAIRS_AT_ONCE, max(n_pairs, 1))
    if allowed is None:
        return pairs_at_once, max(n_targets, 1)
    pairs_at_once = max(1, min(pairs_at_once, allowed // 4 // (n_targets * (2 * Y.itemsize + 2))))
    pair_bytes = pairs_at_once * n_targets * (2 * Y.itemsize + 2)
    coefficients = 16 * 8 * n_alphas * min(n_samples, pairs_at_once) * n_samples
    tile = (n_alphas * n_samples + 12 * pairs_at_once) * TILE * Y.itemsize
    fixed = pair_bytes + coefficients + min(tile, allowed // 4)
    per_target = (n_alphas + 3) * n_samples * Y.itemsize + 4 * pairs_at_once * Y.itemsize
    return pairs_at_once, tile_size(max(n_targets, 1), fixed=fixed, per_target=per_target, allowed=allowed)


def _predict_group(
    coefficients: Triples, residuals: torch.Tensor, y: torch.Tensor, first: int, seconds: torch.Tensor
) -> tuple[torch.Tensor, NDArray[np.integer]]:
    """Predictions (2, pair, target) and penalties (pair, target) of pairs that share their first sample."""
    coefficients = Triples(*(part.to(y.dtype) for part in coefficients))
    predicted = y.new_empty(2, len(seconds), y.shape[1])
    chosen = torch.empty(len(seconds), y.shape[1], dtype=torch.int16, device=y.device)
    for start in range(0, y.shape[1], TILE):
        tile = slice(start, start + TILE)
        errors = residuals[:, :, tile].contiguous()  # (alpha, sample, target)
        best = _best_penalty(coefficients, errors, first, seconds)  # (pair, target)
        chosen[:, tile] = best
        index = best.long()
        here = errors[:, first].gather(0, index)  # (pair, target)
        there = errors[:, seconds].gather(0, index[None])[0]
        p, q, r = (coefficients.block[:, :, entry].T.gather(1, index) for entry in range(3))
        predicted[0, :, tile] = y[first, tile] - (p * here).addcmul_(q, there)
        predicted[1, :, tile] = y[seconds, tile] - q.mul_(here).addcmul_(r, there)
    return predicted, chosen.cpu().numpy()


def _best_penalty(
    coefficients: Triples, errors: torch.Tensor, first: int, seconds: torch.Tensor
) -> Int[torch.Tensor, "pair target"]:
    """Find the penalty of least inner error, from residuals (alpha, sample, target)."""
    best = torch.full((len(seconds), errors.shape[2]), torch.inf, dtype=errors.dtype, device=errors.device)
    chosen = torch.zeros_like(best, dtype=torch.int16)
    inner, cross = torch.empty_like(best), torch.empty_like(best)
    for number, left in enumerate(errors):
        multiply(coefficients.square[number], left.square(), inner)
        add_product(inner, coefficients.first[number], left * left[first])
        multiply(coefficients.second[number], left, cross)
        inner.addcmul_(cross, left[seconds])
        chosen.masked_fill_(inner < best, number)
        torch.minimum(best, inner, out=best)
    return chosen
