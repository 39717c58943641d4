"""Ridge on random features: near kernel ridge, nearer with more features, the same for the same seed."""

import numpy as np
import pytest

from neuroling.encoding import KernelRidgeCV, RandomFeatureRidgeCV

RNG = np.random.default_rng
ALPHAS = (0.1, 1.0, 10.0)
KERNELS = {
    "rbf": {"kernel": "rbf", "gamma": 0.2},
    "polynomial": {"kernel": "polynomial", "gamma": 0.3, "degree": 2, "constant": 1.0},
}


def _data(n=80, p=4, q=5):
    rng = RNG(0)
    X = rng.standard_normal((n, p))
    return X, np.sin(X @ rng.standard_normal((p, q))) + 0.3 * rng.standard_normal((n, q))


def _distance(n_random, options, X, Y):
    exact = KernelRidgeCV((1.0,), **options).fit(X, Y).predict(X)
    return np.abs(RandomFeatureRidgeCV((1.0,), n_random=n_random, **options).fit(X, Y).predict(X) - exact).mean()


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_more_random_features_come_nearer_to_the_kernel(name):
    few, many = (_distance(number, KERNELS[name], *_data()) for number in (30, 20_000))
    assert many < min(0.03, few / 5)


def test_equal_seeds_predict_the_same_and_others_do_not():
    X, Y = _data()
    one, same, other = (RandomFeatureRidgeCV(ALPHAS, n_random=50, seed=seed).fit(X, Y).predict(X) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kernel": "linear"}, "kernel: got 'linear', which needs no random features; use RidgeCV"),
        ({"n_random": 1}, "n_random: got 1; expected a whole number of at least 2"),
        ({"gamma": -1.0}, "gamma: got -1.0"),
        ({"alphas": (-1.0,)}, "alphas: got"),
    ],
    ids=["linear", "too few", "gamma", "alphas"],
)
def test_what_makes_no_random_features_is_named(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        RandomFeatureRidgeCV(**options).fit(*_data())
