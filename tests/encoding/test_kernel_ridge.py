"""Kernel ridge: equal to scikit-learn's on centred kernels, to ridge with the linear one, and blind to the rest."""

import numpy as np
import pytest
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge as SklearnKernelRidge
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import KernelCenterer

from neuroling.encoding import KernelRidgeCV, RidgeCV

pytestmark = pytest.mark.usefixtures("product_library")

RNG = np.random.default_rng
ALPHAS = (0.01, 1.0, 100.0)
TOLERANCE = {np.float32: 1e-4, np.float64: 1e-9}


def _data(n=40, p=5, q=4, dtype=np.float64):
    rng = RNG(0)
    X = rng.standard_normal((n, p))
    return X, (np.sin(X @ rng.standard_normal((p, q))) + 0.3 * rng.standard_normal((n, q)) + 2).astype(dtype)


def test_a_wave_is_learned_by_the_gaussian_kernel_and_not_by_the_linear_one():
    X = RNG(0).uniform(-2, 2, (120, 1))
    y = np.sin(3 * X[:, 0])
    new = np.linspace(-1.8, 1.8, 50)[:, None]
    bent = KernelRidgeCV((1e-3, 1.0), kernel="rbf", gamma=2.0).fit(X, y).predict(new)
    straight = KernelRidgeCV((1e-3, 1.0)).fit(X, y).predict(new)
    truth = np.sin(3 * new[:, 0])
    assert np.abs(bent - truth).max() < 0.02 < 0.5 < np.abs(straight - truth).max()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_linear_kernel_is_ridge(dtype):
    X, Y = _data(dtype=dtype)
    kernel, plain = KernelRidgeCV(ALPHAS).fit(X, Y), RidgeCV(ALPHAS).fit(X, Y)
    np.testing.assert_array_equal(kernel.alpha_, plain.alpha_)
    np.testing.assert_allclose(kernel.cv_scores_, plain.cv_scores_, atol=TOLERANCE[dtype])
    np.testing.assert_allclose(kernel.predict(X), plain.predict(X), atol=10 * TOLERANCE[dtype])


@pytest.mark.parametrize(
    "options",
    [{"kernel": "rbf", "gamma": 0.2}, {"kernel": "polynomial", "gamma": 0.3, "degree": 2, "constant": 1.5}],
    ids=["rbf", "polynomial"],
)
def test_predictions_are_those_of_scikit_learn_on_the_centred_kernel(options):
    X, Y = _data()
    model = KernelRidgeCV(ALPHAS, **options).fit(X[:30], Y[:30])
    theirs = {"kernel": "poly" if options["kernel"] == "polynomial" else "rbf", "gamma": options["gamma"]}
    theirs |= {"degree": options.get("degree", 3), "coef0": options.get("constant", 1.0)}
    plain = SklearnKernelRidge(**theirs)
    seen, new = (plain._get_kernel(rows, X[:30]) for rows in (X[:30], X[30:]))
    centre = KernelCenterer().fit(seen)
    for target, alpha in enumerate(model.alpha_):
        peer = SklearnKernelRidge(alpha, kernel="precomputed")
        peer.fit(centre.transform(seen), Y[:30, target] - Y[:30, target].mean())
        expected = peer.predict(centre.transform(new)) + Y[:30, target].mean()
        np.testing.assert_allclose(model.predict(X[30:])[:, target], expected, atol=1e-9)


def test_the_default_width_is_one_over_the_number_of_features():
    X, Y = _data()
    default = KernelRidgeCV(ALPHAS, kernel="rbf").fit(X, Y).predict(X)
    np.testing.assert_array_equal(default, KernelRidgeCV(ALPHAS, kernel="rbf", gamma=1 / 5).fit(X, Y).predict(X))
    assert RBF(np.sqrt(5 / 2))(X[:1], X[1:2])[0, 0] == pytest.approx(np.exp(-((X[0] - X[1]) ** 2).sum() / 5))


def test_groups_reach_the_folds():
    X, Y = _data()
    groups = RNG(0).permutation(np.repeat(np.arange(4), 10))

    class Given:
        def split(self, X, y, groups):
            return GroupKFold(4).split(X, y, by_hand)

    by_hand = groups
    scores = KernelRidgeCV(ALPHAS, folds=GroupKFold(4)).fit(X, Y, groups=groups).cv_scores_
    np.testing.assert_array_equal(scores, KernelRidgeCV(ALPHAS, folds=Given()).fit(X, Y).cv_scores_)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kernel": "cubic"}, "kernel: got 'cubic'; expected one of linear, rbf, polynomial"),
        ({"kernel": "rbf", "gamma": 0.0}, "gamma: got 0.0; expected a finite number above 0"),
        ({"kernel": "rbf", "gamma": "scale"}, "gamma: got 'scale'"),
        ({"kernel": "polynomial", "degree": 0}, "degree: got 0; expected a whole number of at least 1"),
        ({"kernel": "polynomial", "degree": 1.5}, "degree: got 1.5"),
        ({"kernel": "polynomial", "constant": -1.0}, "constant: got -1.0; expected a finite number of at least 0"),
        ({"alphas": (0.0,)}, "alphas: got .0.0. among 1; expected finite numbers above 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-",
)
def test_what_makes_no_kernel_is_named(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        KernelRidgeCV(**options).fit(*_data())
