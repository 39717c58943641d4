"""Pairwise decoding accuracies as dissimilarities, from pseudo-trials."""

from __future__ import annotations

import warnings
from itertools import combinations
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.arrays import near_one, real_numbers
from neuroling.numerics.rdm import decoding
from neuroling.numerics.rdm.noise_normalisation import absent_repeats
from neuroling.rsa.dissimilarity import PairLabels, check_patterns

Array = NDArray[np.floating[Any]]
SATURATED = 0.95
"""Mean accuracy above which differences between pairs are lost: at 0.99 accuracies agree with the truth at 0.55 where
crossnobis does at 0.95."""


class Classifier(Protocol):
    """Scikit-learn's classifiers."""

    def fit(self, X: Array, y: Any) -> Any:
        """Learn classes from patterns."""
        ...

    def predict(self, X: Array) -> Any:
        """Give the class of each pattern."""
        ...


def decoding_rdms(
    recording: xr.DataArray,
    *,
    n_pseudo: int = 6,
    n_draws: int = 20,
    whiten: bool = True,
    classifier: Classifier | None = None,
    rng: int | np.random.Generator = 0,
) -> xr.DataArray:
    r"""Decode every pair of items at every time, leaving out one pseudo-trial of each at a time.

    Without a classifier this is linear discriminant analysis with one noise covariance for all classes, learned on the
    training pseudo-trials: all pairs at once in a few products. With one, every pair, time and split is fitted by
    itself, thousands of times slower: for comparison.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, repeat, channel, time, [subject])
        Single trials; NaN throughout where an item lacks one. Every draw takes as many trials of each item as the item
        with the fewest has, since those with more would be told apart for having less noise.
    n_pseudo : int
        Pseudo-trials per item; each averages ``trials // n_pseudo`` of those drawn.
    n_draws : int
        How often trials are assigned anew.
    whiten : bool
        Divide by the noise covariance of the training pseudo-trials (not for a classifier).
    classifier : scikit-learn classifier, optional
        Used as it is, for each pair.
    rng : int or numpy.random.Generator
        Seed of the assignment.

    Returns
    -------
    xarray.DataArray, dims (sample, [subject,] time)
        Accuracies, 0.5 where two items cannot be told apart; unbiased in that sense, and bounded by 1.

    Warns
    -----
    UserWarning
        If the mean accuracy somewhere is above :data:`SATURATED`.
    """
    check_patterns(recording, "channel")
    laid = _laid_out(near_one(recording.copy(data=real_numbers("recording", recording.values))))
    n_trials = _check(laid, n_pseudo, n_draws, whiten and classifier is None)
    generator = np.random.default_rng(rng)
    each: list[Array] = []
    accuracies: Array
    for trials in laid.values:
        if classifier is None:
            accuracies = decoding.pairwise_decoding(
                trials, n_pseudo=n_pseudo, n_draws=n_draws, rng=generator, whiten=whiten
            )
        else:
            accuracies = _one_by_one(trials, classifier, n_pseudo, n_draws, generator)
        each.append(accuracies)
    values = np.stack(each)  # (subject, time, pair)
    _warn_if_saturated(values, np.asarray(laid.time))
    labels = PairLabels.of(np.asarray(recording.coords["sample"]))
    coords: dict[str, Any] = {**labels.coords(), "time": np.asarray(laid.time)}
    attrs = dict(recording.attrs) | {
        "distance": "pairwise decoding accuracy",
        "biased": 0,
        "n_trials_min": int(n_trials.min()),
        "n_trials_max": int(n_trials.max()),
    }
    labelled = xr.DataArray(values, dims=("subject", "time", "sample"), coords=coords, attrs=attrs, name="accuracy")
    if "subject" not in recording.dims:
        return labelled.isel(subject=0, drop=True).transpose("sample", "time")
    return labelled.assign_coords(subject=recording.coords["subject"]).transpose("sample", "subject", "time")


def _laid_out(recording: xr.DataArray) -> xr.DataArray:
    """Bring axes into order, with one participant where there is no such axis."""
    wanted = {"sample", "repeat", "channel", "time"}
    if not wanted <= set(recording.dims) <= wanted | {"subject"}:
        raise ValueError(f"recording: got axes {recording.dims}; expected {sorted(wanted)}, and perhaps 'subject'.")
    laid = recording if "subject" in recording.dims else recording.expand_dims("subject")
    return laid.transpose("subject", "sample", "repeat", "channel", "time")


def _check(laid: xr.DataArray, n_pseudo: int, n_draws: int, whiten: bool) -> NDArray[np.intp]:
    """Give the trials of each item (subject, sample), and refuse too few or broken ones."""
    if n_draws < 1:
        raise ValueError(f"n_draws: got {n_draws}; expected at least one.")
    is_absent = np.stack([absent_repeats(trials) for trials in laid.values])  # (subject, sample, repeat)
    n_trials = (~is_absent).sum(axis=2)
    if not np.isfinite(laid.values[~is_absent]).all() or not n_trials.all():
        raise ValueError(
            "recording: some values are NaN, or an item has no trial; decoding takes good trials of each item. A trial "
            "that an item lacks is NaN in all channels and times."
        )
    least, fewest = 3 if whiten else 2, int(n_trials.min())
    if not least <= n_pseudo <= fewest:
        raise ValueError(
            f"n_pseudo: got {n_pseudo} with {fewest} trials an item, where they are fewest; expected {least} "
            "(whitening learns from at least two) to as many as there are trials."
        )
    return np.asarray(n_trials)


def _one_by_one(trials: Array, classifier: Classifier, n_pseudo: int, n_draws: int, rng: np.random.Generator) -> Array:
    """Fit the classifier for every pair, time and split; (time, pair)."""
    from sklearn.base import clone

    n_items, _, _, n_times = trials.shape
    pairs = list(combinations(range(n_items), 2))
    right = np.zeros((n_times, len(pairs)))
    for _ in range(n_draws):
        order = decoding.drawn_trials(trials, rng)
        pseudo = decoding.pseudo_trials(trials, order, n_pseudo).numpy()  # (time, pseudo, item, channel)
        for left_out in range(n_pseudo):
            train = np.delete(pseudo, left_out, axis=1)
            classes = np.repeat([0, 1], n_pseudo - 1)
            for time in range(n_times):
                for place, (a, b) in enumerate(pairs):
                    fitted = clone(classifier).fit(np.concatenate([train[time, :, a], train[time, :, b]]), classes)
                    right[time, place] += (fitted.predict(pseudo[time, left_out, [a, b]]) == [0, 1]).mean()
    return right / (n_draws * n_pseudo)


def _warn_if_saturated(values: Array, times: NDArray[np.generic]) -> None:
    mean = values.mean(axis=(0, 2))
    if mean.max() > SATURATED:
        warnings.warn(
            f"decoding: mean accuracy {mean.max():.3f} at {times[mean.argmax()]}; above {SATURATED} most pairs are "
            "at the ceiling of 1 and their order is lost. Crossnobis has no such bound.",
            stacklevel=3,
        )
