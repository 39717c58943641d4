r"""How well items are told apart from single patterns: pairwise accuracies as dissimilarities.

With one noise covariance for all classes, linear discriminant analysis assigns a whitened pattern to the nearer class
mean. All pairs of classes at once are then one matrix of inner products of test patterns with class means.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray

from neuroling.numerics.distance import pairs_of

Trials = Float[NDArray[np.floating], "item trial channel time"]


def nearest_mean_accuracy(
    train: Float[torch.Tensor, "*lead item channel"], test: Float[torch.Tensor, "*lead item channel"]
) -> Float[torch.Tensor, "*lead pair"]:
    """Say for every pair of classes how many of its two test patterns lie nearer to their own class mean.

    Parameters
    ----------
    train : Tensor, shape (…, item, channel)
        Whitened class means.
    test : Tensor, shape (…, item, channel)
        One whitened pattern of each class, not in its mean.

    Returns
    -------
    Tensor, shape (…, pair)
        0, 0.5 or 1; a tie counts half.
    """
    score = test @ train.transpose(-1, -2) - 0.5 * (train * train).sum(-1)[..., None, :]  # (…, tested, class)
    own = torch.diagonal(score, dim1=-2, dim2=-1)
    right = (own[..., :, None] > score).to(score.dtype) + 0.5 * (own[..., :, None] == score).to(score.dtype)
    both = 0.5 * (right + right.transpose(-1, -2))
    first, second = pairs_of(score.shape[-1])
    return both.flatten(-2)[..., torch.as_tensor(first * score.shape[-1] + second)]


def pseudo_trials(
    trials: Trials, order: Int[NDArray[np.intp], "item trial"], n_pseudo: int
) -> Float[torch.Tensor, "time pseudo item channel"]:
    """Average disjoint groups of trials.

    Parameters
    ----------
    trials : ndarray, shape (item, trial, channel, time)
        Single trials.
    order : ndarray of int, shape (item, trial)
        For each item, its trials in random order; neighbours are averaged.
    n_pseudo : int
        Number of groups; trials left over are not used in this draw.

    Returns
    -------
    Tensor, shape (time, pseudo, item, channel)
    """
    n_items, n_trials, n_channels, n_times = trials.shape
    size = n_trials // n_pseudo
    weights = np.zeros((n_items, n_pseudo, n_trials), dtype=trials.dtype)
    used = order[:, : size * n_pseudo].reshape(n_items, n_pseudo, size)
    np.put_along_axis(weights, used.reshape(n_items, n_pseudo, size), 1 / size, axis=2)
    flat = torch.from_numpy(np.ascontiguousarray(trials)).reshape(n_items, n_trials, -1)
    means = torch.from_numpy(weights) @ flat  # (item, pseudo, channel · time)
    return means.reshape(n_items, n_pseudo, n_channels, n_times).permute(3, 1, 0, 2).contiguous()


def pairwise_decoding(
    trials: Trials,
    *,
    n_pseudo: int,
    n_draws: int,
    rng: np.random.Generator,
    whiten: bool = True,
    shrinkage: float = 0.1,
) -> Float[NDArray[np.float64], "time pair"]:
    r"""Decode every pair of items at every time, averaged over ways to make pseudo-trials and to leave one out.

    The noise covariance is that of the training pseudo-trials around their class means, pooled over classes and times,
    made anew for each draw and split, and shrunk: :math:`(1 - s) \Sigma + s \bar\sigma^2 I`.

    Parameters
    ----------
    trials : ndarray, shape (item, trial, channel, time)
        As many trials for each item.
    n_pseudo : int
        Pseudo-trials an item, at least two (three with ``whiten``); each is left out once.
    n_draws : int
        How often trials are assigned to pseudo-trials anew.
    rng : numpy.random.Generator
        Source of the assignment.
    whiten : bool
        Divide by the noise covariance.
    shrinkage : float
        Between 0 and 1.

    Returns
    -------
    ndarray, shape (time, pair)
        Mean accuracy, 0.5 where items cannot be told apart.
    """
    n_items, n_trials = trials.shape[:2]
    accuracy: torch.Tensor | None = None
    for _ in range(n_draws):
        order = np.argsort(rng.random((n_items, n_trials)), axis=1)
        pseudo = pseudo_trials(trials, order, n_pseudo)  # (time, pseudo, item, channel)
        total = pseudo.sum(1)
        for left_out in range(n_pseudo):
            test = pseudo[:, left_out]
            train = (total - test) / (n_pseudo - 1)
            if whiten:
                root = _root_of_precision(pseudo, train, left_out, shrinkage)
                train, test = train @ root, test @ root
            found = nearest_mean_accuracy(train, test)
            accuracy = found if accuracy is None else accuracy.add_(found)
    if accuracy is None:
        raise ValueError(f"n_draws: got {n_draws}; expected at least one.")
    return np.asarray(accuracy.numpy(), dtype=np.float64) / (n_draws * n_pseudo)


def _root_of_precision(pseudo: torch.Tensor, train: torch.Tensor, left_out: int, shrinkage: float) -> torch.Tensor:
    """Factor the inverse covariance of the training pseudo-trials about their class means, pooled over times."""
    kept = [place for place in range(pseudo.shape[1]) if place != left_out]
    noise = (pseudo[:, kept] - train[:, None]).flatten(0, 2)  # (time · pseudo · item, channel)
    n_free = len(noise) * (len(kept) - 1) / len(kept)
    covariance = noise.T @ noise / n_free
    mean = torch.trace(covariance) / len(covariance)
    shrunk = (1 - shrinkage) * covariance + shrinkage * mean * torch.eye(len(covariance), dtype=covariance.dtype)
    values, vectors = torch.linalg.eigh(shrunk)
    root: torch.Tensor = (vectors / values.sqrt()) @ vectors.T
    return root
