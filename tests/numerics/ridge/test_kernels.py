"""Kernels equal scikit-learn's, and centring is what an intercept amounts to."""

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import linear_kernel, polynomial_kernel, rbf_kernel

from neuroling.numerics.ridge.kernels import Linear, Polynomial, RadialBasis, centre_gram, fold_grams

RNG = np.random.default_rng
KERNELS = {
    "linear": (Linear(), linear_kernel),
    "rbf": (RadialBasis(0.3), lambda a, b: rbf_kernel(a, b, gamma=0.3)),
    "polynomial": (Polynomial(0.5, 3, 2.0), lambda a, b: polynomial_kernel(a, b, degree=3, gamma=0.5, coef0=2.0)),
}


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_a_kernel_is_that_of_scikit_learn(name):
    ours, theirs = KERNELS[name]
    first, second = RNG(0).standard_normal((7, 4)), RNG(1).standard_normal((5, 4))
    found = ours(torch.from_numpy(first), torch.from_numpy(second)).numpy()
    np.testing.assert_allclose(found, theirs(first, second), rtol=1e-12)


def test_distances_far_from_the_origin_keep_their_digits():
    rows = torch.from_numpy(RNG(0).standard_normal((6, 3)))
    kernel = RadialBasis(1.0)
    np.testing.assert_allclose(kernel(rows + 1e6, rows + 1e6), kernel(rows, rows), atol=1e-9)


def test_centring_a_gram_matrix_centres_the_features():
    X = RNG(0).standard_normal((8, 3)) + 4
    centred = X - X.mean(0)
    np.testing.assert_allclose(centre_gram(torch.from_numpy(X @ X.T)), centred @ centred.T, atol=1e-12)


def test_a_fold_is_centred_by_its_training_samples():
    X = RNG(0).standard_normal((8, 3)) + 4
    train, test = np.array([0, 2, 3, 7]), np.array([1, 5])
    seen, new = X[train] - X[train].mean(0), X[test] - X[train].mean(0)
    gram, across = fold_grams(torch.from_numpy(X @ X.T), torch.from_numpy(train), torch.from_numpy(test))
    np.testing.assert_allclose(gram, seen @ seen.T, atol=1e-12)
    np.testing.assert_allclose(across, new @ seen.T, atol=1e-12)
