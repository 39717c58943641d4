"""Noise covariance against scikit-learn, and whitening that makes noise white."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from neuroling.numerics.rdm import noise_normalisation as whitening


@pytest.mark.parametrize("n_samples", [5, 30, 500])
def test_shrinkage_equals_scikit_learn(n_samples):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((n_samples, 8)) @ rng.standard_normal((8, 8))
    np.testing.assert_allclose(whitening.shrunk_covariance(noise), ledoit_wolf(noise, assume_centered=True)[0])


def test_noise_covariance_is_that_of_a_single_repeat():
    rng = np.random.default_rng(1)
    mix = rng.standard_normal((4, 4))
    noise = np.einsum("cd,ridt->rict", mix, rng.standard_normal((5, 20, 4, 50)))
    signal = 3 * rng.standard_normal((1, 20, 4, 50))
    np.testing.assert_allclose(
        whitening.noise_covariance(noise + signal), mix @ mix.T, atol=0.15 * np.trace(mix @ mix.T) / 4
    )


def test_whitened_noise_is_white():
    rng = np.random.default_rng(2)
    covariance = np.cov(rng.standard_normal((5, 100)))
    root = whitening.inverse_root(covariance)
    np.testing.assert_allclose(root @ covariance @ root, np.eye(5), atol=1e-10)


def test_the_precision_of_a_fold_has_not_seen_the_fold():
    rng = np.random.default_rng(3)
    repeats = rng.standard_normal((4, 10, 3, 6))
    changed = repeats.copy()
    changed[2] *= 100
    before, after = whitening.training_precisions(repeats), whitening.training_precisions(changed)
    np.testing.assert_array_equal(before[2], after[2])
    assert not np.allclose(before[0], after[0])


def test_a_singular_covariance_is_refused():
    with pytest.raises(ValueError, match="smallest eigenvalue"):
        whitening.inverse_root(np.ones((3, 3)))


def test_two_folds_leave_no_noise_to_train_on():
    with pytest.raises(ValueError, match="at least three folds"):
        whitening.training_precisions(np.ones((2, 3, 2, 2)))


def test_one_repeat_has_no_residuals():
    with pytest.raises(ValueError, match="at least two repeats"):
        whitening.residuals(np.ones((1, 3)))
