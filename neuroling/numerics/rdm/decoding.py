r"""How well items are told apart from single patterns: pairwise accuracies as dissimilarities.

With one noise covariance for all classes, linear discriminant analysis assigns a whitened pattern to the nearer class
mean. All pairs of classes at once are then one matrix of inner products of test patterns with class means.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray

from neuroling.numerics.rdm.distances import pairs_of, times_first
from neuroling.numerics.rdm.noise_normalisation import absent_repeats

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
    return _accuracy(_signs(train, test), 1)


def _signs(train: torch.Tensor, test: torch.Tensor) -> torch.Tensor:
    """Say with 1 or -1 whether a class's own mean is nearer than another's, with 0 for a tie; (…, tested, other)."""
    score = test @ train.transpose(-1, -2)
    score -= 0.5 * (train * train).sum(-1)[..., None, :]
    own = torch.diagonal(score, dim1=-2, dim2=-1)[..., None].clone()
    return torch.sub(own, score, out=score).sign_()


def _accuracy(signs: torch.Tensor, n_tests: int) -> torch.Tensor:
    first, second = pairs_of(signs.shape[-1])
    both = (signs + signs.transpose(-1, -2)).flatten(-2)[..., torch.as_tensor(first * signs.shape[-1] + second)]
    accuracy: torch.Tensor = 0.5 + both / (4 * n_tests)
    return accuracy


def pseudo_trials(
    trials: Trials, order: Int[NDArray[np.intp], "item trial"], n_pseudo: int
) -> Float[torch.Tensor, "time pseudo item channel"]:
    """Average disjoint groups of trials.

    Parameters
    ----------
    trials : ndarray, shape (item, trial, channel, time)
        Single trials; NaN throughout where an item lacks one.
    order : ndarray of int, shape (item, drawn)
        For each item, as many of its trials, in random order; neighbours are averaged.
    n_pseudo : int
        Number of groups; trials left over are not used in this draw.

    Returns
    -------
    Tensor, shape (time, pseudo, item, channel)
    """
    n_items, n_trials, n_channels, n_times = trials.shape
    size = order.shape[1] // n_pseudo
    weights = np.zeros((n_items, n_pseudo, n_trials), dtype=trials.dtype)
    used = order[:, : size * n_pseudo].reshape(n_items, n_pseudo, size)
    np.put_along_axis(weights, used.reshape(n_items, n_pseudo, size), 1 / size, axis=2)
    is_absent = absent_repeats(trials)
    present = np.where(is_absent[..., None, None], 0, trials) if is_absent.any() else trials
    flat = torch.from_numpy(np.ascontiguousarray(present)).reshape(n_items, n_trials, -1)
    means = torch.from_numpy(weights) @ flat  # (item, pseudo, channel · time)
    laid = torch.from_numpy(times_first(means.reshape(n_items, n_pseudo, n_channels, n_times).numpy()))
    return laid.transpose(1, 2)


def drawn_trials(trials: Trials, rng: np.random.Generator) -> Int[NDArray[np.intp], "item drawn"]:
    """Draw as many trials of each item as the item with the fewest has, in random order.

    Items with more trials would otherwise have pseudo-trials with less noise, and be told apart for that.

    Parameters
    ----------
    trials : ndarray, shape (item, trial, channel, time)
        NaN throughout where an item lacks a trial.
    rng : numpy.random.Generator
        Source of the order.

    Returns
    -------
    ndarray of int, shape (item, drawn)
    """
    is_absent = absent_repeats(trials)
    fewest = int((~is_absent).sum(axis=1).min())
    return np.argsort(rng.random(is_absent.shape) + is_absent, axis=1)[:, :fewest]  # absent ones last


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
        NaN throughout where an item lacks a trial; as many of each item are used in a draw.
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
    if n_draws < 1:
        raise ValueError(f"n_draws: got {n_draws}; expected at least one.")
    signs = torch.zeros((), dtype=torch.from_numpy(trials[:0]).dtype)
    for _ in range(n_draws):
        pseudo = pseudo_trials(trials, drawn_trials(trials, rng), n_pseudo)  # (time, pseudo, item, channel)
        total = pseudo.sum(1)
        roots = _roots_of_precision(pseudo - total[:, None] / n_pseudo, shrinkage) if whiten else None
        for left_out in range(n_pseudo):
            test = pseudo[:, left_out]
            train = (total - test) / (n_pseudo - 1)
            if roots is not None:
                train, test = train @ roots[left_out], test @ roots[left_out]
            signs = signs + _signs(train, test)
    return np.asarray(_accuracy(signs, n_draws * n_pseudo).numpy(), dtype=np.float64)


def _roots_of_precision(noise: torch.Tensor, shrinkage: float) -> list[torch.Tensor]:
    r"""Factor for each pseudo-trial the inverse covariance of all others about *their* class means, pooled over times.

    With :math:`y_p` counted from the mean over all :math:`P`, the mean of the others is :math:`-y_t / (P - 1)`, so that
    their scatter is :math:`\sum_p y_p^\top y_p - \tfrac{P}{P - 1} y_t^\top y_t`: one product a pseudo-trial.
    """
    n_times, n_pseudo, n_items, n_channels = noise.shape
    scatter = [each.T @ each for each in noise.transpose(0, 1).flatten(1, 2)]
    total = torch.stack(scatter).sum(0)
    n_free = n_times * n_items * (n_pseudo - 2)
    roots = []
    for own in scatter:
        covariance = (total - own * (n_pseudo / (n_pseudo - 1))) / n_free
        level = torch.trace(covariance) / n_channels
        shrunk = (1 - shrinkage) * covariance + shrinkage * level * torch.eye(n_channels, dtype=noise.dtype)
        values, vectors = torch.linalg.eigh(shrunk)
        roots.append((vectors / values.sqrt()) @ vectors.T)
    return roots
