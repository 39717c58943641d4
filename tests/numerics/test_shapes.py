"""The shapes that signatures in numerics declare are those of the arrays, checked by beartype."""

import inspect

import numpy as np
import pytest
from beartype import beartype
from jaxtyping import TypeCheckError, jaxtyped

from neuroling.numerics.ridge import decomposition as ridge
from neuroling.numerics.ridge import leave_two_out as pairs
from neuroling.numerics.ridge import voxel_stability as stability
from neuroling.numerics.statistics import correlation as correlate

X, Y = np.random.default_rng(0).standard_normal((8, 3)), np.random.default_rng(1).standard_normal((8, 5))
MAKER = ridge.residual_maker(X, 1.0)
PAIRS = pairs.all_pairs(8)
OPERATORS = pairs.pair_operators(MAKER, PAIRS)
RECORDING = np.random.default_rng(2).standard_normal((3, 8, 5))
FOLD = (np.arange(4), np.arange(4, 8))
ORDERS = np.array([np.arange(8)[::-1]])

CALLS = {
    "residual_maker": lambda f: f(X, 1.0),
    "prediction_operator": lambda f: f(X, 1.0, *FOLD),
    "prediction_operators": lambda f: f(X[:4], X[4:], np.ones(2)),
    "fit_ridge": lambda f: f(X, Y, np.ones(5)),
    "predict_ridge": lambda f: f(X, np.ones((3, 5)), np.ones(5)),
    "apply_operators": lambda f: list(f(list(OPERATORS), Y)),
    "all_pairs": lambda f: f(4),
    "held_out_operators": lambda f: list(f(MAKER, list(PAIRS))),
    "pair_operators": lambda f: f(MAKER, PAIRS),
    "two_vs_two_from_gram": lambda f: f(OPERATORS, Y @ Y.T, PAIRS, centred=True),
    "two_vs_two_null_from_gram": lambda f: f(OPERATORS, Y @ Y.T, PAIRS, ORDERS, centred=True),
    "stability": lambda f: f(RECORDING),
    "stable_targets": lambda f: f(RECORDING, PAIRS, 2),
    "fold_grams": lambda f: f(Y, PAIRS[:3]),
    "pearson": lambda f: f(Y, Y[0]),
    "cosine": lambda f: f(Y, Y[0]),
    "r2": lambda f: f(Y, Y[0]),
    "ranks": lambda f: f(Y),
    "spearman": lambda f: f(Y, Y),
    "pearson_of_orders": lambda f: f(Y[:, 0], Y, ORDERS),
}
MODULES = (ridge, pairs, stability, correlate)


def _checked(name):
    (function,) = {getattr(module, name) for module in MODULES if hasattr(module, name)}
    return jaxtyped(typechecker=beartype)(function)


@pytest.mark.parametrize("name", CALLS)
def test_declared_shapes_hold(name):
    CALLS[name](_checked(name))


@pytest.mark.parametrize(
    "call",
    [
        lambda: _checked("residual_maker")(X[0], 1.0),
        lambda: _checked("fit_ridge")(X, Y[:-1], 1.0),
        lambda: _checked("fit_ridge")(X, Y, np.ones(4)),
        lambda: _checked("pair_operators")(MAKER, PAIRS.astype(float)),
        lambda: _checked("stability")(RECORDING[0]),
    ],
)
def test_a_wrong_shape_is_seen(call):
    with pytest.raises(TypeCheckError):
        call()


def test_every_public_function_has_its_shapes_checked():
    public = {
        name
        for module in MODULES
        for name, member in inspect.getmembers(module, inspect.isfunction)
        if not name.startswith("_")
        and member.__module__ == module.__name__
        and "Tensor" not in str(member.__annotations__)
    }
    assert public - {"batches"} == set(CALLS)
