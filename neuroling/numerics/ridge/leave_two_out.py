r"""All leave-out folds from one fit, and 2-versus-2 accuracy without the targets.

Let :math:`M` be the matrix that gives the residuals of a linear fit with a fixed quadratic penalty and an unpenalised
intercept. The residual of a set :math:`S` under the fit **without** those rows is :math:`M_{SS}^{-1} M_{S\cdot} Y`, so
the held-out prediction is an operator on the recording,

.. math:: \hat Y_S = W_S Y, \qquad W_S = E_S - M_{SS}^{-1} M_{S\cdot},

with :math:`E_S` the rows of the identity. Columns of :math:`W_S` at :math:`S` are zero, its rows sum to one, and no
target entered. The cosine match of two held-out images needs only inner products over targets; those are bilinear in
the Gram matrix :math:`G = Y Y^\top`. With the mean image of the training rows removed, :math:`Y - 1 c^\top Y` with
:math:`c = 1/(n-2)` off the pair, :math:`W_S` becomes :math:`W_S - 1 c^\top`, because its rows sum to one.

Source of the score: Mitchell et al. (2008), Predicting human brain activity associated with the meanings of nouns,
Science 320, 1191-1195.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from neuroling.numerics.ridge.voxel_stability import fold_grams, stability, stable_targets

__all__ = [
    "LeverageError",
    "all_pairs",
    "fold_grams",
    "held_out_operators",
    "pair_operators",
    "stability",
    "stable_targets",
    "two_vs_two_from_gram",
    "two_vs_two_null_from_gram",
]

LEAST_SLACK = 1e-7
"""Smallest eigenvalue of :math:`M_{SS}` that is accepted, as a share of the mean of the diagonal of :math:`M`: below it
the identity would lose seven digits or more. The scale of :math:`M` itself cancels."""

TIE = 1e-11
"""Two sums of cosines that differ by less than this are a tie; rounding leaves about 1e-13."""

NOTHING = 1e-13
"""A prediction whose weights are this close to those of the training mean, in length, is that mean; a tie."""

FOLDS_AT_ONCE = 256
DRAWS_AT_ONCE = 512
"""Folds and draws per batch, so that a batch stays in the processor's cache; heuristics."""


class LeverageError(ValueError):
    """A fold cannot be had from the full fit, because that fit follows the held-out samples (almost) exactly."""


def all_pairs(n: int) -> Int[NDArray[np.int64], "pair 2"]:
    """List all pairs of ``n`` samples.

    Parameters
    ----------
    n : int
        Number of samples, at least 2.

    Returns
    -------
    ndarray of int, shape (n (n - 1) / 2, 2)
        First index smaller than the second, in lexicographic order.

    Examples
    --------
    >>> all_pairs(3).tolist()
    [[0, 1], [0, 2], [1, 2]]
    """
    return np.stack(np.triu_indices(n, k=1), axis=1).astype(np.int64)


def held_out_operators(
    maker: Float[NDArray[np.float64], "sample sample"], tests: Sequence[NDArray[np.integer]]
) -> Iterator[NDArray[np.float64]]:
    """Give, for every test set, the matrix that predicts it from all other rows of a recording.

    Parameters
    ----------
    maker : ndarray, shape (sample, sample)
        Of the fit to all rows, see :func:`neuroling.numerics.ridge.decomposition.residual_maker`.
    tests : sequence of int arrays
        Rows of every test set, without repetition; the training set is all the others.

    Yields
    ------
    ndarray, shape (test, sample)
        Exactly zero in the columns of the test set; rows sum to one.

    Raises
    ------
    LeverageError
        If the full fit follows a test set so closely that nothing can be said of the fit without it.
    """
    scaled = _to_scale(maker)
    sizes = np.array([len(test) for test in tests])
    start = 0
    while start < len(tests):
        stop = min(start + FOLDS_AT_ONCE, len(tests))
        other = np.flatnonzero(sizes[start:stop] != sizes[start])
        stop = start + int(other[0]) if len(other) else stop
        yield from _operators(scaled, np.stack(list(tests[start:stop])))
        start = stop


def pair_operators(
    maker: Float[NDArray[np.float64], "sample sample"], pairs: Int[NDArray[np.integer], "pair 2"]
) -> Float[NDArray[np.float64], "pair 2 sample"]:
    """Give the held-out operators of many pairs at once.

    Parameters
    ----------
    maker : ndarray, shape (sample, sample)
        Of the fit to all rows, see :func:`neuroling.numerics.ridge.decomposition.residual_maker`.
    pairs : ndarray of int, shape (pair, 2)
        The two rows held out in each fold.

    Returns
    -------
    ndarray, shape (pair, 2, sample)
        Row ``[k, 0]`` predicts ``pairs[k, 0]`` and ``[k, 1]`` predicts ``pairs[k, 1]``; zero at both.

    Raises
    ------
    LeverageError
        If the full fit follows a pair so closely that nothing can be said of the fit without it.
    """
    return _operators(_to_scale(maker), pairs)


def _to_scale(maker: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring the mean of the diagonal to one, unless the fit leaves nothing at all."""
    level = float(maker.diagonal().mean()) if len(maker) else 0.0
    return maker / level if level > 0 else maker


def _operators(maker: NDArray[np.float64], tests: NDArray[np.integer]) -> NDArray[np.float64]:
    """Operators of folds of one size: tests (fold, test) -> (fold, test, sample)."""
    blocks = maker[tests[:, :, None], tests[:, None, :]]  # (fold, test, test)
    slack = np.linalg.eigvalsh(blocks)[:, 0] if tests.shape[1] != 2 else _least_eigenvalue_of_2x2(blocks)
    if slack.size and slack.min() < LEAST_SLACK:
        fold = int(slack.argmin())
        raise LeverageError(
            f"tests: the fit to all samples leaves no residual at samples {tests[fold, :5].tolist()} (smallest "
            f"eigenvalue of the residual maker there {slack[fold]:.1e} of its scale, expected at least "
            f"{LEAST_SLACK:.0e}), so the fit without them does not follow from it. Raise alpha, or refit this fold."
        )
    inverses = _inverse_of_2x2(blocks) if tests.shape[1] == 2 else np.linalg.inv(blocks)
    operators: NDArray[np.float64] = -(inverses @ maker[tests])  # (fold, test, sample)
    operators[np.arange(len(tests))[:, None, None], np.arange(tests.shape[1])[:, None], tests[:, None, :]] = 0.0
    return operators


def _least_eigenvalue_of_2x2(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smaller eigenvalue of symmetric blocks (fold, 2, 2) -> (fold,)."""
    a, b, c = blocks[:, 0, 0], blocks[:, 0, 1], blocks[:, 1, 1]
    least: NDArray[np.float64] = (a + c) / 2 - np.hypot((a - c) / 2, b)
    return least


def _inverse_of_2x2(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of symmetric blocks (fold, 2, 2) by the formula; LAPACK's calls cost more than the arithmetic."""
    a, b, c = blocks[:, 0, 0], blocks[:, 0, 1], blocks[:, 1, 1]
    adjugate = np.stack([c, -b, -b, a], axis=1).reshape(-1, 2, 2)
    inverse: NDArray[np.float64] = adjugate / (a * c - b * b)[:, None, None]
    return inverse


def two_vs_two_from_gram(
    operators: Float[NDArray[np.float64], "pair 2 sample"],
    gram: Float[NDArray[np.floating], "*fold sample sample"],
    pairs: Int[NDArray[np.integer], "pair 2"],
    *,
    centred: bool,
) -> Float[NDArray[np.float64], " pair"]:
    r"""Score whether two held-out images are told apart, from inner products over targets.

    A pair is right when :math:`\cos(\hat y_i, y_i) + \cos(\hat y_j, y_j)` exceeds
    :math:`\cos(\hat y_i, y_j) + \cos(\hat y_j, y_i)`. A cosine with an image of no length counts as zero.

    Parameters
    ----------
    operators : ndarray, shape (pair, 2, sample)
        From :func:`pair_operators`.
    gram : ndarray, shape (sample, sample) or (pair, sample, sample)
        :math:`Y Y^\top` over all targets, or over the targets that each fold keeps.
    pairs : ndarray of int, shape (pair, 2)
        The rows held out in each fold.
    centred : bool
        Whether the mean image of the fold's training rows is taken from truth and prediction.

    Returns
    -------
    ndarray, shape (pair,)
        1 for a match, 0 for a miss, 0.5 for a tie.
    """
    settled, weights = _settled(gram, centred=centred), _weights(operators, pairs, centred=centred)
    flat = weights if settled.ndim == 3 else weights.reshape(-1, weights.shape[2])  # one product if there is one gram
    products = (flat @ settled).reshape(weights.shape)  # (pair, 2, sample)
    lengths = np.sqrt(np.maximum(np.einsum("kas,kas->ka", products, weights), 0.0))  # (pair, 2)
    truths = _truth_weights(weights.shape[2], centred=centred)
    inner = np.take_along_axis(products, pairs[:, None], 2) @ truths  # (pair, prediction, truth)
    images = _image_lengths(settled, pairs, truths)  # (pair, 2)
    return _verdict(_safe_ratio(inner, lengths[:, :, None] * images[:, None]))


def _weights(operators: NDArray[np.float64], pairs: NDArray[np.integer], *, centred: bool) -> NDArray[np.float64]:
    """Weights on the recording that give both predictions, less the training mean if centred: (pair, 2, sample)."""
    if not centred:
        return operators
    n_pairs, _, n_samples = operators.shape
    weights: NDArray[np.float64] = operators - 1 / (n_samples - 2)
    weights[np.arange(n_pairs)[:, None, None], np.arange(2)[:, None], pairs[:, None]] = 0.0
    weights[np.einsum("kas,kas->ka", weights, weights) <= NOTHING**2] = 0.0
    return weights


def _truth_weights(n_samples: int, *, centred: bool) -> NDArray[np.float64]:
    """Weights on the two held-out rows that give the two truths, less the training mean if centred: (row, truth).

    A Gram matrix without the mean over samples sees no constant added to weights, so that taking :math:`1/(n-2)` off
    every other row is adding it to the two held out.
    """
    return np.eye(2) + (1 / (n_samples - 2) if centred else 0.0)


def _image_lengths(
    gram: NDArray[np.float64], pairs: NDArray[np.integer], truths: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Lengths of both truths: (pair, 2)."""
    grams = np.broadcast_to(gram, (len(pairs), *gram.shape[-2:]))
    blocks = grams[np.arange(len(pairs))[:, None, None], pairs[:, :, None], pairs[:, None, :]]  # (pair, 2, 2)
    squared = ((blocks @ truths) * truths).sum(1)  # (pair, truth)
    lengths: NDArray[np.float64] = np.sqrt(np.maximum(squared, 0.0))
    return lengths


def _settled(gram: NDArray[np.floating], *, centred: bool) -> NDArray[np.float64]:
    """Gram matrix in float64, without the mean over samples if rows of weights sum to zero and never see it."""
    settled = np.asarray(gram, np.float64)
    if centred:
        settled = settled - settled.mean(-1, keepdims=True)
        settled = settled - settled.mean(-2, keepdims=True)
    return settled


def _safe_ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _verdict(cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn cosines (..., prediction, truth) into 1 for a match, 0 for a miss and, within rounding, 0.5 for a tie."""
    margin = cosines[..., 0, 0] + cosines[..., 1, 1] - cosines[..., 0, 1] - cosines[..., 1, 0]
    verdict: NDArray[np.float64] = (1 + np.sign(np.where(np.abs(margin) <= TIE, 0.0, margin))) / 2
    return verdict


def two_vs_two_null_from_gram(
    operators: Float[NDArray[np.float64], "pair 2 sample"],
    gram: Float[NDArray[np.floating], "*fold sample sample"],
    pairs: Int[NDArray[np.integer], "pair 2"],
    orders: Int[NDArray[np.integer], "draw sample"],
    *,
    centred: bool,
) -> Float[NDArray[np.float64], " draw"]:
    """Give the 2-versus-2 accuracy over all pairs when the recording's rows are taken in other orders.

    Draw *d* scores ``Y[orders[d]]`` under the same features and folds, as if every fold were fitted anew. The fold that
    holds out feature rows *(i, j)* then meets the recorded rows ``orders[d, [i, j]]`` and, where folds keep targets of
    their own, the targets that belong to that recorded pair: they were chosen from the recording alone, which the
    features' order does not touch. Everything is float64, so a draw equals the slow way to the last decision.

    Parameters
    ----------
    operators : ndarray, shape (pair, 2, sample)
        From :func:`pair_operators`, in the order of ``pairs``.
    gram : ndarray, shape (sample, sample) or (pair, sample, sample)
        Inner products over targets, of the recording in its own order; the fold's own per recorded pair.
    pairs : ndarray of int, shape (pair, 2)
        Every pair of samples, once, in any order.
    orders : ndarray of int, shape (draw, sample)
        One permutation of the rows per draw.
    centred : bool
        As in :func:`two_vs_two_from_gram`.

    Returns
    -------
    ndarray, shape (draw,)
        Mean match over pairs.

    Raises
    ------
    ValueError
        If a pair is missing or occurs twice.
    """
    _check_all_pairs(pairs, operators.shape[2])
    table = _by_ordered_pair(_weights(operators, pairs, centred=centred), pairs)  # (sample, sample, sample)
    truths = _truth_weights(operators.shape[2], centred=centred)
    settled = _settled(gram, centred=centred)
    images = _image_lengths(settled, pairs, truths)  # (pair, 2)
    accuracy = np.empty(len(orders))
    for start in range(0, len(orders), DRAWS_AT_ONCE):
        places = np.argsort(orders[start : start + DRAWS_AT_ONCE], axis=1)  # (draw, recorded row): its feature row
        total = np.zeros(len(places))
        for fold, pair in enumerate(pairs):
            fold_gram = settled if settled.ndim == 2 else settled[fold]
            total += _match_of_draws(table, places, fold_gram, pair, truths, images[fold])
        accuracy[start : start + DRAWS_AT_ONCE] = total / len(pairs)
    return accuracy


def _check_all_pairs(pairs: NDArray[np.integer], n_samples: int) -> None:
    seen = {tuple(sorted(pair)) for pair in pairs.tolist()}
    expected = n_samples * (n_samples - 1) // 2
    if len(pairs) != expected or len(seen) != expected:
        raise ValueError(
            f"pairs: got {len(pairs)} pairs, {len(seen)} of them different; expected each of the {expected} pairs of "
            f"{n_samples} samples once, because a reordered recording meets all of them."
        )


def _by_ordered_pair(predictions: NDArray[np.float64], pairs: NDArray[np.integer]) -> NDArray[np.float64]:
    """Table of the weights that predict i when i and j are held out: [i, j] -> (sample,)."""
    n_samples = predictions.shape[2]
    table = np.zeros((n_samples, n_samples, n_samples))
    first, second = pairs.T
    table[first, second] = predictions[:, 0]
    table[second, first] = predictions[:, 1]
    return table


def _match_of_draws(
    table: NDArray[np.float64],
    places: NDArray[np.integer],
    gram: NDArray[np.float64],
    pair: NDArray[np.integer],
    truths: NDArray[np.float64],
    images: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Match of one recorded pair in every draw: (draw,)."""
    n_samples = len(gram)
    here, there = places[:, pair].T  # feature rows that meet the recorded pair, per draw
    starts = np.stack([here * n_samples + there, there * n_samples + here]) * n_samples  # (2, draw)
    weights = table.reshape(-1)[starts[..., None] + places]  # (2, draw, sample), columns are recorded rows
    products = weights @ gram  # (2, draw, sample)
    lengths = np.sqrt(np.maximum(np.einsum("pds,pds->pd", products, weights), 0.0))
    cosines = _safe_ratio(products[..., pair] @ truths, lengths[..., None] * images)  # (prediction, draw, truth)
    return _verdict(cosines.transpose(1, 0, 2))
