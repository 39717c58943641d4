r"""Ridge with a penalty chosen inside every leave-two-out fold, in closed form on triples.

Let :math:`R_\alpha = M_\alpha Y` be the residuals of the fit to all rows, :math:`M_\alpha = I - H_\alpha`. Without a
pair :math:`S = \{i, j\}` *and* an inner sample *t*, the error at *t* is the entry of :math:`M_{TT}^{-1} R_T`,
:math:`T = S \cup \{t\}`:

.. math:: e_t = a_t R_t + b_t R_i + c_t R_j

with three coefficients per pair and inner sample that no target enters. The inner leave-one-out error of a penalty is
the sum over *t* of squares of that,

.. math:: \sum_t a_t^2 R_t^2 + 2 R_i \sum_t a_t b_t R_t + 2 R_j \sum_t a_t c_t R_t
          + R_i^2 \sum_t b_t^2 + 2 R_i R_j \sum_t b_t c_t + R_j^2 \sum_t c_t^2 ,

whose sums are products of coefficients with residuals and their squares: three per penalty serve all inner folds of
many pairs, for every target. Nothing is refitted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray

from neuroling.numerics.device import to_tensor
from neuroling.numerics.memory import tile_size
from neuroling.numerics.products import eigh, multiply
from neuroling.numerics.ridge.decomposition import GRAM_LIMIT, centre
from neuroling.numerics.ridge.kernels import centre_gram, from_contrasts, to_contrasts

PAIRS_AT_ONCE = 256
TILE = 512
"""Pairs and targets at a time, so that their errors stay in a second-level cache. Measured on one core, heuristics."""


class PenaltyTooSmallError(ValueError):
    """A penalty is so small beside the features that the closed form would lose digits."""


class Triples(NamedTuple):
    """Coefficients of some pairs.

    Attributes
    ----------
    square : Tensor, shape (alpha, pair, sample)
        Of squared residuals.
    cross : Tensor, shape (alpha, 2, pair, sample)
        Of residuals, to be multiplied by that of the first, and of the second, sample of the pair.
    block : Tensor, shape (alpha, pair, 3)
        Entries (0, 0), (0, 1) and (1, 1) of the inverse of the pair's block.
    """

    square: torch.Tensor
    cross: torch.Tensor
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


def triples(makers: torch.Tensor, firsts: torch.Tensor, seconds: torch.Tensor) -> Triples:
    """Give the coefficients of pairs.

    Parameters
    ----------
    makers : Tensor, shape (alpha, sample, sample)
        From :func:`residual_makers`.
    firsts, seconds : Tensor of int, shape (pair,)
        Both samples of every pair.

    Returns
    -------
    Triples
        float64.
    """
    a, b, c = makers[:, firsts, firsts], makers[:, firsts, seconds], makers[:, seconds, seconds]  # (alpha, pair)
    determinant = a * c - b * b
    p, q, r = c / determinant, -b / determinant, a / determinant
    to_first, to_second = makers[:, firsts], makers[:, seconds]  # (alpha, pair, sample)
    by_first = p[..., None] * to_first + q[..., None] * to_second
    by_second = q[..., None] * to_first + r[..., None] * to_second
    own = makers.diagonal(dim1=1, dim2=2)[:, None] - (to_first * by_first + to_second * by_second)
    rows = torch.arange(len(seconds), device=seconds.device)
    inverse = 1 / own
    inverse[:, rows, firsts] = 0.0
    inverse[:, rows, seconds] = 0.0
    by_first, by_second = -inverse * by_first, -inverse * by_second  # zero at the pair, as inverse is
    square = inverse**2
    cross = torch.stack([2 * inverse * by_first, 2 * inverse * by_second], 1)
    square[:, rows, firsts] = by_first.square().sum(2)
    square[:, rows, seconds] = by_second.square().sum(2)
    cross[:, 0, rows, seconds] = 2 * (by_first * by_second).sum(2)
    return Triples(square, cross, torch.stack([p, q, r], dim=2))


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
        Held-out samples of every fold.
    alphas : ndarray, shape (alpha,)
        Penalties.
    allowed : int, optional
        Bytes that may be used beside targets and what is yielded; no bound by default. With too few for the residuals
        of all targets those are made anew for every some pairs, a stretch of targets at a time.

    Yields
    ------
    prediction : ndarray, shape (2, target)
        In the dtype of the targets.
    best_alpha : ndarray of int, shape (target,)
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
        batch = torch.from_numpy(np.ascontiguousarray(pairs[start : start + pairs_at_once], np.int64)).to(gram.device)
        coefficients = Triples(*(part.to(DTYPES[Y.dtype.name]) for part in triples(makers, *batch.T)))
        predicted = np.empty((len(batch), 2, Y.shape[1]), Y.dtype)
        best_alpha = np.empty((len(batch), Y.shape[1]), np.int16)
        for stretch in stretches:
            residuals, y, mean = kept or _residuals(makers, Y[:, stretch])
            found, best = _predict(coefficients, residuals, y, batch)
            predicted[:, :, stretch] = (found + mean).transpose(0, 1).cpu().numpy()
            best_alpha[:, stretch] = best
            del residuals, y
        yield from zip(predicted, best_alpha, strict=True)


DTYPES = {"float32": torch.float32, "float64": torch.float64}


def _residuals(makers: torch.Tensor, Y: NDArray[np.floating]) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
    """Residuals (alpha, sample, target) by tile, of the fits to all rows; centred targets (sample, target); means."""
    y, mean = centre(to_tensor(np.ascontiguousarray(Y), makers.device))
    stacked = makers.to(y.dtype).flatten(0, 1)  # (alpha and sample, sample)
    tiles = [
        multiply(stacked, part.contiguous()).view(len(makers), *part.shape) for part in torch.split(y, TILE, dim=1)
    ]
    return tiles, y, mean.to(y.dtype)


def _plan(Y: NDArray[np.floating], n_alphas: int, n_pairs: int, allowed: int | None) -> tuple[int, int]:
    """How many pairs are predicted at a time, for how many targets."""
    n_samples, n_targets = Y.shape
    pairs_at_once = min(PAIRS_AT_ONCE, max(n_pairs, 1))
    if allowed is None:
        return pairs_at_once, max(n_targets, 1)
    pair, coefficient = n_targets * (2 * Y.itemsize + 2), 16 * 8 * n_alphas * n_samples  # bytes of one pair
    pairs_at_once = max(1, min(pairs_at_once, allowed // 4 // max(pair, coefficient, 1)))
    pair_bytes, coefficients = pairs_at_once * pair, pairs_at_once * coefficient
    tile = (n_alphas * n_samples + 12 * pairs_at_once) * TILE * Y.itemsize
    fixed = pair_bytes + coefficients + min(tile, allowed // 4)
    per_target = (n_alphas + 3) * n_samples * Y.itemsize + 4 * pairs_at_once * Y.itemsize
    return pairs_at_once, tile_size(max(n_targets, 1), fixed=fixed, per_target=per_target, allowed=allowed)


def _predict(
    coefficients: Triples, residuals: Sequence[torch.Tensor], y: torch.Tensor, pairs: torch.Tensor
) -> tuple[torch.Tensor, NDArray[np.integer]]:
    """Predictions (2, pair, target) and penalties (pair, target) of some pairs."""
    (firsts, seconds), stretches = pairs.T.contiguous(), _stretches(pairs)
    predicted = y.new_empty(2, len(pairs), y.shape[1])
    best_alpha = np.empty((len(pairs), y.shape[1]), np.int16)
    for number, (errors, left, right) in enumerate(
        zip(residuals, torch.split(y, TILE, dim=1), torch.split(predicted, TILE, dim=2), strict=True)
    ):
        best = _best_penalty(coefficients, errors, stretches)  # (pair, target)
        best_alpha[:, number * TILE : (number + 1) * TILE] = best.cpu().numpy()
        index = best.long()
        first_residual, second_residual = (
            errors.flatten(0, 1).gather(0, index * errors.shape[1] + rows[:, None]) for rows in (firsts, seconds)
        )  # (pair, target)
        p, q, r = (coefficients.block[:, :, entry].T.gather(1, index) for entry in range(3))
        right[0] = left[firsts] - (p * first_residual).addcmul_(q, second_residual)
        right[1] = left[seconds] - q.mul_(first_residual).addcmul_(r, second_residual)
    return predicted, best_alpha


class Stretch(NamedTuple):
    """Consecutive pairs, and the rows of targets that are their first and second samples (one row may serve all)."""

    pairs: slice
    firsts: slice | torch.Tensor
    seconds: slice | torch.Tensor


def _stretches(pairs: torch.Tensor) -> list[Stretch]:
    """Cut pairs where the first sample changes or the second jumps; into one stretch where that is often."""
    steps = pairs.diff(dim=0)
    breaks = torch.nonzero((steps[:, 0] != 0) | (steps[:, 1] != 1)).flatten() + 1
    if len(breaks) >= MOST_STRETCHES:
        return [Stretch(slice(None), *pairs.T.contiguous())]
    pieces = []
    for start, stop in pairwise([0, *breaks.tolist(), len(pairs)]):
        first, second = pairs[start].tolist()
        pieces.append(Stretch(slice(start, stop), slice(first, first + 1), slice(second, second + stop - start)))
    return pieces


MOST_STRETCHES = 16
"""Stretches that are taken one after the other, without copies of rows; a heuristic."""


def _best_penalty(
    coefficients: Triples, errors: torch.Tensor, stretches: Sequence[Stretch]
) -> Int[torch.Tensor, "pair target"]:
    """Find the penalty of least inner error, from residuals (alpha, sample, target)."""
    shape, kind = (coefficients.square.shape[1], errors.shape[2]), errors.new_empty
    best = torch.full(shape, torch.inf, dtype=errors.dtype, device=errors.device)
    best_number = torch.zeros(shape, dtype=torch.uint8 if len(errors) <= 256 else torch.int16, device=errors.device)
    inner, cross = kind(shape), kind(2 * shape[0], shape[1])
    for number, left in enumerate(errors):
        inner = multiply(coefficients.square[number], left.square(), scratch=inner)
        to_first, to_second = multiply(coefficients.cross[number].flatten(0, 1), left, scratch=cross).view(2, *shape)
        for stretch in stretches:
            inner[stretch.pairs].addcmul_(to_first[stretch.pairs], left[stretch.firsts])
            inner[stretch.pairs].addcmul_(to_second[stretch.pairs], left[stretch.seconds])
        better = (
            (inner < best).to(best_number.dtype).mul_(number)
        )  # numbers ascend: the last that was better is the largest
        torch.maximum(best_number, better, out=best_number)
        torch.minimum(best, inner, out=best)
    return best_number
