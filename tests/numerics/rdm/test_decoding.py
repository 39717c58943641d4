"""Pairwise decoding against scikit-learn's classifiers, on noise, and on data that can be told apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestCentroid

from neuroling.numerics.rdm import decoding


def test_nearest_mean_equals_scikit_learn():
    rng = np.random.default_rng(0)
    trials = rng.standard_normal((5, 6, 4))  # (item, trial, channel)
    train, test = trials[:, :5], trials[:, 5]
    expected = [
        (
            NearestCentroid()
            .fit(np.concatenate([train[i], train[j]]), [0] * 5 + [1] * 5)
            .predict(np.stack([test[i], test[j]]))
            == [0, 1]
        ).mean()
        for i in range(5)
        for j in range(i + 1, 5)
    ]
    got = decoding.nearest_mean_accuracy(torch.from_numpy(train.mean(1)), torch.from_numpy(test))
    np.testing.assert_array_equal(got.numpy(), expected)


def test_pseudo_trials_are_means_of_disjoint_trials():
    trials = np.random.default_rng(1).standard_normal((3, 6, 2, 4))
    order = np.stack([np.random.default_rng(i).permutation(6) for i in range(3)])
    got = decoding.pseudo_trials(trials, order, 3).numpy()
    np.testing.assert_allclose(got[:, 1, 2], trials[2, order[2, 2:4]].mean(0).T)


@pytest.mark.parametrize("whiten", [True, False])
def test_noise_is_decoded_at_chance(whiten):
    rng = np.random.default_rng(2)
    accuracy = decoding.pairwise_decoding(
        rng.standard_normal((20, 12, 6, 4)), n_pseudo=4, n_draws=2, rng=rng, whiten=whiten
    )
    assert abs(accuracy.mean() - 0.5) < 0.03


def test_noise_normalisation_finds_what_correlated_noise_hides():
    rng = np.random.default_rng(3)
    mix = np.linalg.cholesky(0.99 * np.ones((6, 6)) + 0.01 * np.eye(6))
    signal = 0.1 * rng.standard_normal((10, 1, 6, 1))
    trials = signal + np.einsum("cd,itdk->itck", mix, rng.standard_normal((10, 12, 6, 3)))
    plain, whitened = (
        decoding.pairwise_decoding(trials, n_pseudo=4, n_draws=3, rng=np.random.default_rng(0), whiten=w).mean()
        for w in (False, True)
    )
    assert plain < 0.65 < 0.8 < whitened


def test_equal_seeds_agree_and_others_do_not():
    trials = np.random.default_rng(4).standard_normal((6, 8, 3, 2))
    one, same, other = (
        decoding.pairwise_decoding(trials, n_pseudo=4, n_draws=1, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_the_noise_of_the_others_is_that_about_their_own_means():
    rng = np.random.default_rng(5)
    pseudo = torch.from_numpy(rng.standard_normal((3, 5, 20, 4)))  # (time, pseudo, item, channel)
    noise = pseudo - pseudo.mean(1, keepdim=True)
    roots = decoding._roots_of_precision(noise, 0.1)
    kept = pseudo[:, [0, 1, 3, 4]]
    residuals = (kept - kept.mean(1, keepdim=True)).reshape(-1, 4)
    covariance = residuals.T @ residuals / (3 * 20 * 3)
    shrunk = 0.9 * covariance + 0.1 * torch.trace(covariance) / 4 * torch.eye(4)
    np.testing.assert_allclose(torch.linalg.inv(roots[2] @ roots[2]).numpy(), shrunk.numpy(), atol=1e-10)
