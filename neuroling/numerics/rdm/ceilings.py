"""How well participants' dissimilarities agree with the mean of the others, and of all: bounds of any model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroling.numerics.rdm.comparators import Comparator
from neuroling.numerics.rdm.comparison import LEAST_PAIRS, partial_of_products
from neuroling.numerics.rdm.ranks import centred_ranks

Array = NDArray[np.floating[Any]]

EXACT_FLOAT32 = 2**23
"""Participants times pairs up to which float32 holds sums of their ranks exactly."""


def participant_bounds(
    comparator: Comparator,
    rows: Sequence[Array],
    vectors: Sequence[Array | None],
    ranks: Sequence[Array | None],
    controls: Array | None = None,
) -> Array:
    """Compare each participant with the mean of the others, and of all, at every time.

    Parameters
    ----------
    comparator : Comparator
        The measure.
    rows : sequence of ndarray, shape (time, pair)
        Dissimilarities of each participant; NaN where a pair is missing.
    vectors : sequence of (ndarray, shape (time, value), or None)
        What the comparator embeds each participant's rows in, where it was computed.
    ranks : sequence of (ndarray, shape (time, pair), or None)
        Centred mid-ranks of each participant's rows, where they were computed.
    controls : ndarray, optional, shape (control, pair)
        What is held constant: agreement with the mean is then partial as well.

    Returns
    -------
    ndarray, shape (2, participant, time)
        Lower bounds, from the mean of the others, and upper ones, from the mean of all (Nili et al. 2014, PLoS Comput
        Biol 10, e1003553). NaN where fewer than :data:`LEAST_PAIRS` pairs are there for everybody.
    """
    if controls is not None:
        return np.stack([_partial_bounds(comparator, at_time, controls) for at_time in _by_time(rows)], axis=-1)
    if comparator.is_ranked:
        known = [participant_ranks for participant_ranks in ranks if participant_ranks is not None]
        of_all = _by_time(known) if len(known) == len(rows) else repeat(None)
        pairs = zip(_by_time(rows), of_all, strict=False)
        return np.stack(
            [_ranked_bounds(comparator, at_time, participant_ranks) for at_time, participant_ranks in pairs], axis=-1
        )
    embedded = [vector for vector in vectors if vector is not None]
    if len(embedded) == len(rows):
        stacked = np.stack(embedded, axis=1)  # (time, participant, value)
        return bounds_from_products(np.matmul(stacked, stacked.swapaxes(1, 2), dtype=np.float64))
    bounds = np.full((2, len(rows), len(rows[0])), np.nan)
    for time, at_time in enumerate(_by_time(rows)):
        present = np.asarray(np.isfinite(at_time).all(axis=0))
        if present.sum() >= LEAST_PAIRS:
            products = comparator.between(at_time[:, present], present)
            bounds[:, :, time] = bounds_from_products(products[None])[:, :, 0]
    return bounds


def bounds_from_products(products: Array) -> Array:
    r"""Give how well each participant agrees with the mean of the others, and of all.

    .. math:: u_s = \frac{\sum_t c_{st}}{\sqrt{c_{ss} \sum_{tu} c_{tu}}}, \qquad
       l_s = \frac{\sum_{t \ne s} c_{st}}{\sqrt{c_{ss} \sum_{t, u \ne s} c_{tu}}}

    Parameters
    ----------
    products : ndarray, shape (time, participant, participant)
        Inner products of participants' dissimilarities, brought to length one, so that all weigh the same.

    Returns
    -------
    ndarray, shape (2, participant, time)
        Lower, then upper bounds, for measures that are inner products of the values themselves.
    """
    own_products = np.diagonal(products, axis1=1, axis2=2)  # (time, participant)
    row, total = products.sum(axis=2), products.sum(axis=(1, 2))[:, None]
    sums_of_others = total - 2 * row + own_products
    with np.errstate(invalid="ignore", divide="ignore"):
        upper = row / np.sqrt(own_products * total)
        lower = (row - own_products) / np.sqrt(own_products * sums_of_others)
    return np.stack([lower.T, upper.T])


def _by_time(rows: Sequence[Array]) -> Iterator[Array]:
    """Give the rows of all participants at one time after the other, (participant, pair) each."""
    yield from (np.stack([of_one[time] for of_one in rows]) for time in range(len(rows[0])))


def _ranked_bounds(comparator: Comparator, rows: Array, ranks: Array | None) -> Array:
    """Compare the ranks of each participant with mean ranks of the others and of all, ranked again: (2, participant).

    As Nili et al. (2014) have it: each participant is ranked, ranks are averaged, and the measure ranks the mean. So
    the upper bound is the score of the mean as a model; for tau-a it is approximate, for no mean maximises it exactly.
    """
    present = rows[:, np.isfinite(rows).all(axis=0)]
    if present.shape[1] < LEAST_PAIRS:
        return np.full((2, len(rows)), np.nan)
    ranks = centred_ranks(present)[0] if ranks is None else ranks
    means = _mean_ranks(ranks)
    if comparator.from_ranks is None or comparator.embed is None:
        lower = [comparator.compare(present[s : s + 1], means[s : s + 1])[0, 0] for s in range(len(present))]
        return np.stack([np.array(lower), comparator.compare(present, means[-1:])[:, 0]])
    own, again = comparator.from_ranks(ranks), comparator.embed(means)
    lower = np.einsum("sp,sp->s", own, again[:-1], dtype=np.float64)
    return np.stack([lower, (own @ again[-1]).astype(np.float64)])


def _mean_ranks(ranks: Array) -> Array:
    """Sum ranks over the others of each participant, and over all: (participant + 1, pair).

    Ranks are halves of whole numbers, so that sums of them tie where they should, as long as they are exact.
    """
    exact = len(ranks) * ranks.shape[1] < EXACT_FLOAT32
    total = ranks.sum(axis=0, dtype=np.float64)
    return np.concatenate([total - ranks, total[None]]).astype(ranks.dtype if exact else np.float64)


def _partial_bounds(comparator: Comparator, rows: Array, controls: Array) -> Array:
    """Correlate each participant with the mean of the others and of all, controls held constant: (2, participant)."""
    assert comparator.embed is not None  # noqa: S101 - whatever has a partial form is an inner product
    is_present = np.isfinite(rows).all(axis=0)
    present = rows[:, is_present].astype(np.float64)
    if present.shape[1] < LEAST_PAIRS:
        return np.full((2, len(rows)), np.nan)
    embedded = comparator.embed(present)
    if comparator.is_ranked:
        means = _mean_ranks(centred_ranks(present)[0])
    else:
        means = np.concatenate([embedded.sum(axis=0) - embedded, embedded.sum(axis=0)[None]])
    joint = np.concatenate([comparator.embed(means), comparator.embed(controls[:, is_present])])
    products, among, n = embedded @ joint.T, joint @ joint.T, len(means)
    partial = partial_of_products(products, among, n)  # (participant, mean)
    return np.stack([np.diagonal(partial[:, :-1]), partial[:, -1]])
