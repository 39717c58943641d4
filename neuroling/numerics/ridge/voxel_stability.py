r"""Targets that answer alike to the same samples, presentation after presentation, in every training set at once.

The stability of a target is the mean, over pairs of presentations, of the correlation of its profile over samples. Per
fold it needs sums over the training samples only. Those are sums over all samples less the held-out terms. With
:math:`z_a` the profile in presentation *a*, centred and of unit length,

.. math:: \sum_{a<b} r_{ab} = \tfrac12 \Bigl(\Bigl\lVert \sum_a z_a \Bigr\rVert^2 - R\Bigr),

for *R* presentations, so that one quadratic form replaces a loop over pairs of presentations.

Source: the selection of Mitchell et al. (2008), Science 320, 1191-1195, as described with its public replications.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from neuroling.numerics.deferred import deferred
from neuroling.numerics.device import to_tensor

if TYPE_CHECKING:
    import torch
else:
    torch = deferred("torch")

HELD_OUT_AT_ONCE, TARGETS_AT_ONCE = 128, 512
"""Held-out samples (over folds) and targets of one tile: a few arrays of 6 x 64 x 512 values for pairs, so that
they stay in the processor's cache. Heuristics."""

RISKY = 0.05
"""Targets that may lose all but this share of their variance with a test set are summed in float64."""

UNDEFINED = 64 * np.finfo(np.float64).eps
"""A training variance below this share of the whole is rounding: the target is constant in training."""


def stability(recording: Float[NDArray[np.floating], "repeat sample target"]) -> Float[NDArray[np.float64], " target"]:
    """Correlate each target's profile over samples between presentations, and average over pairs of them.

    Parameters
    ----------
    recording : ndarray, shape (repeat, sample, target)
        At least two presentations and, for a correlation to mean anything, three samples.

    Returns
    -------
    ndarray, shape (target,)
        Mean correlation, between -1 and 1; ``-inf`` where it is undefined, that is where a target is constant over
        samples in some presentation, so that such a target is always the last to be chosen.
    """
    n_repeats = len(recording)
    constant = (recording == recording[:, :1]).all(1).any(0)  # (target,)
    profiles = recording - recording.mean(1, keepdims=True, dtype=np.float64)  # (repeat, sample, target), float64
    length = np.sqrt((profiles * profiles).sum(1, keepdims=True))
    profiles /= np.where(constant | (length == 0), 1.0, length)
    pairs = [(profiles[a] * profiles[b]).sum(0) for a in range(n_repeats) for b in range(a)]  # each (target,)
    return np.where(constant, -np.inf, np.mean(pairs, axis=0))


def stable_targets(
    recording: Float[NDArray[np.floating], "repeat sample target"],
    tests: Sequence[NDArray[np.integer]] | Int[NDArray[np.integer], "fold test"],
    n_keep: int,
    *,
    device: torch.device | None = None,
) -> Int[NDArray[np.int64], "fold keep"]:
    """Choose the most stable targets of every fold from its training samples.

    Equal to ranking :func:`stability` of ``recording[:, train]`` fold by fold, up to rounding in the recording's dtype
    (float32: about 1e-6 of a correlation). Memory is that of one copy of the recording and of a block of folds.

    Parameters
    ----------
    recording : ndarray, shape (repeat, sample, target)
        Presentations of the same samples.
    tests : sequence of int arrays, or ndarray of shape (fold, test)
        Held-out samples of every fold; all others train.
    n_keep : int
        Targets to keep per fold.
    device : torch.device, optional
        Where to compute; the CPU by default.

    Returns
    -------
    ndarray of int, shape (fold, n_keep)
        Indices of the chosen targets, ascending.

    Raises
    ------
    ValueError
        If a fold has fewer than ``n_keep`` targets that vary over its training samples in every presentation.
    """
    device = device or torch.device("cpu")
    values, gram = _sums(recording, device)
    risky = np.flatnonzero(_least_share(values, gram, max(len(test) for test in tests)) < RISKY)
    exact = _sums(recording[:, :, risky].astype(np.float64), device)
    stable = np.empty((len(tests), n_keep), np.int64)
    for block, held_out in _blocks(tests):
        scores = _scores(values, gram, held_out, may_vanish=False)  # (fold, target)
        if len(risky):
            scores = scores.astype(np.float64)
            scores[:, risky] = _scores(*exact, held_out, may_vanish=True)
        stable[block] = _largest(scores, n_keep, block.start)
    return stable


def _sums(recording: NDArray[np.floating], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Profiles centred over all samples (repeat, sample, target) and their inner products (repeat, repeat, target)."""
    values = to_tensor(recording, device)
    constant = (values == values[:, :1]).all(1, keepdim=True)
    mean = values.mean(1, keepdim=True, dtype=torch.float64)
    values = (values - mean.to(values.dtype)).masked_fill(constant, 0)  # a correlation does not see the shift
    gram = torch.stack([(profile * values).sum(1) for profile in values])
    return values, gram


def _least_share(values: torch.Tensor, gram: torch.Tensor, n_test: int) -> NDArray[np.floating]:
    """Lower bound of the share of its variance that a target keeps in any training set: (target,)."""
    n_samples = values.shape[1]
    lost = torch.topk(values.square(), n_test, dim=1).values.sum(1) * (1 + n_test / (n_samples - n_test))
    whole = torch.diagonal(gram).T  # (repeat, target)
    share: NDArray[np.floating] = torch.where(whole > 0, 1 - lost / whole, 0).amin(0).cpu().numpy()
    return share


def _blocks(
    tests: Sequence[NDArray[np.integer]] | NDArray[np.integer],
) -> Iterator[tuple[slice, NDArray[np.integer]]]:
    """Cut the folds into runs of equally large test sets: slices of folds and arrays (fold, test)."""
    start = 0
    for size, run in groupby(tests, key=len):
        sets = np.stack(list(run))
        for block in np.split(
            sets, range(max(1, HELD_OUT_AT_ONCE // size), len(sets), max(1, HELD_OUT_AT_ONCE // size))
        ):
            yield slice(start, start + len(block)), block
            start += len(block)


def _largest(scores: NDArray[np.floating], n_keep: int, first_fold: int) -> NDArray[np.int64]:
    """Ascending indices of the largest scores: (fold, target) -> (fold, n_keep)."""
    largest = np.argpartition(scores, -n_keep, axis=1)[:, -n_keep:]
    undefined = np.isneginf(np.take_along_axis(scores, largest, axis=1)).any(1)  # (fold,)
    if undefined.any():
        fold = int(undefined.argmax())
        raise ValueError(
            f"recording: in fold {first_fold + fold} only {int(np.isfinite(scores[fold]).sum())} of {scores.shape[1]} "
            f"targets vary over the training samples in every presentation; expected at least {n_keep}."
        )
    return np.sort(largest, axis=1)


def _scores(
    values: torch.Tensor, gram: torch.Tensor, tests: NDArray[np.integer], *, may_vanish: bool
) -> NDArray[np.floating]:
    """Stability in the folds ``tests`` (fold, test), scaled and shifted by constants: (fold, target)."""
    held_out = torch.from_numpy(np.ascontiguousarray(tests)).to(values.device)
    tiles = [slice(start, start + TARGETS_AT_ONCE) for start in range(0, values.shape[2], TARGETS_AT_ONCE)]
    scores = [_squared_length(values[:, :, tile], gram[:, :, tile], held_out, may_vanish=may_vanish) for tile in tiles]
    empty = values.new_empty((len(tests), 0))
    result: NDArray[np.floating] = torch.cat([empty, *scores], dim=1).cpu().numpy()
    return result


def _squared_length(values: torch.Tensor, gram: torch.Tensor, tests: torch.Tensor, *, may_vanish: bool) -> torch.Tensor:
    """Squared length of the sum over presentations of unit profiles, held-out samples left out.

    Parameters
    ----------
    values : Tensor, shape (repeat, sample, target)
        Profiles, centred over all samples.
    gram : Tensor, shape (repeat, repeat, target)
        Their inner products over all samples.
    tests : Tensor of int, shape (fold, test)
        Samples to leave out.
    may_vanish : bool
        Whether a profile may be constant over the training samples and has to be looked at for it.

    Returns
    -------
    Tensor, shape (fold, target)
        ``-inf`` where a profile is constant over the training samples.
    """
    n_train = values.shape[1] - tests.shape[1]
    removed = [values.index_select(1, column) for column in tests.T]  # each (repeat, fold, target)
    all_rows = torch.diagonal(gram).T[:, None]  # (repeat, 1, target)
    total = removed[0].clone()
    variance = torch.addcmul(all_rows, removed[0], removed[0], value=-1)  # (repeat, fold, target)
    for sample in removed[1:]:
        total += sample
        variance.addcmul_(sample, sample, value=-1)
    variance.addcmul_(total, total, value=-1 / n_train)
    undefined = (variance <= UNDEFINED * all_rows).any(0) if may_vanish else None  # (fold, target)
    gain = variance.rsqrt_()
    squared = _quadratic_form(gain, gram)
    shift = torch.zeros_like(squared)
    for sample in removed:
        projection = _dot(gain, sample)
        shift += projection
        squared.addcmul_(projection, projection, value=-1)
    squared.addcmul_(shift, shift, value=-1 / n_train)
    return squared if undefined is None else squared.masked_fill_(undefined, -torch.inf)


def _quadratic_form(gain: torch.Tensor, gram: torch.Tensor) -> torch.Tensor:
    """Sum over presentations a, b of gain[a] gram[a, b] gain[b]: (fold, target)."""
    squared = torch.zeros_like(gain[0])
    for a in range(len(gain)):
        row = gram[a, a] * gain[a]
        for b in range(a):
            row.addcmul_(gain[b], 2 * gram[a, b])
        squared.addcmul_(row, gain[a])
    return squared


def _dot(gain: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
    """Sum over presentations of gain times value: (fold, target)."""
    product = gain[0] * sample[0]
    for weight, value in zip(gain[1:], sample[1:], strict=True):
        product.addcmul_(weight, value)
    return product


def fold_grams(
    Y: Float[NDArray[np.floating], "sample target"], kept: Int[NDArray[np.integer], "fold keep"]
) -> Float[NDArray[np.float64], "fold sample sample"]:
    """Give the inner products between samples over the targets that each fold keeps.

    Parameters
    ----------
    Y : ndarray, shape (sample, target)
        Recording. A constant added to a target changes nothing in centred scores: take the mean over samples off
        first, if there is a large offset and scores are to be centred.
    kept : ndarray of int, shape (fold, keep)
        Targets of every fold, as from :func:`stable_targets`.

    Returns
    -------
    ndarray, shape (fold, sample, sample)
        float64, summed in float64.
    """
    by_target = np.ascontiguousarray(Y.T)  # (target, sample)
    grams = np.empty((len(kept), len(Y), len(Y)))
    for fold, targets in enumerate(kept):
        images = by_target[targets].astype(np.float64)  # (keep, sample)
        grams[fold] = images.T @ images
    return grams
