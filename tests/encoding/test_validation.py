"""Targets that cannot be fitted, narrow numbers and short memory: named by count and index, under a named policy."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import KFold

from neuroling.core.notices import CodedWarning
from neuroling.encoding import BandedRidgeCV, DirichletSearch, GradientSearch, KernelRidgeCV, RidgeCV

RNG = np.random.default_rng
ALPHAS = (0.1, 10.0, 1000.0)
MODELS = {
    "RidgeCV": RidgeCV(ALPHAS),
    "KernelRidgeCV": KernelRidgeCV(ALPHAS),
    "BandedRidgeCV": BandedRidgeCV({"a": slice(0, 2), "b": slice(2, 4)}, ALPHAS, search=DirichletSearch(3)),
}
PEAK, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@pytest.fixture(params=sorted(MODELS))
def model(request):
    return clone(MODELS[request.param])


def _data(n=30, q=20):
    rng = RNG(0)
    X = rng.standard_normal((n, 4))
    return X, X @ rng.standard_normal((4, q)) + rng.standard_normal((n, q))


@pytest.mark.parametrize(("value", "kind"), [(np.nan, "NaN"), (np.inf, "infinity")], ids=["NaN", "infinity"])
def test_targets_that_are_no_numbers_are_counted_and_named(model, value, kind):
    X, Y = _data()
    Y[3, [4, 11]] = value
    with pytest.raises(ValueError, match=rf"y contains {kind} in 2 of 20 targets \(indices 4, 11\)"):
        model.fit(X, Y)


def test_targets_left_out_change_nothing_for_the_others(model):
    X, Y = _data()
    broken = Y.copy()
    broken[3, [4, 11]] = np.nan
    with pytest.warns(CodedWarning, match=r"2 of 20 targets hold NaN or infinity \(indices 4, 11\).*unusable-targets"):
        fitted = model.set_params(unusable_targets="leave_out").fit(X, broken)
    whole, kept = clone(model).fit(X, Y), np.delete(np.arange(20), [4, 11])
    np.testing.assert_allclose(fitted.predict(X)[:, kept], whole.predict(X)[:, kept], atol=1e-10)
    assert np.isnan(fitted.predict(X)[:, [4, 11]]).all()
    assert np.isnan(fitted.alpha_[[4, 11]]).all()
    assert fitted.unusable_targets_.tolist() == [4, 11]


def test_constant_targets_are_counted_named_and_predicted_by_their_constant(model):
    X, Y = _data()
    Y[:, [2, 5, 7]] = 3.0
    with pytest.warns(CodedWarning, match=r"3 of 20 targets are constant over samples \(indices 2, 5, 7\)"):
        fitted = model.fit(X, Y)
    np.testing.assert_allclose(fitted.predict(X)[:, [2, 5, 7]], 3.0, atol=1e-9)
    assert fitted.constant_targets_.tolist() == [2, 5, 7]


def test_if_no_target_can_be_used_that_is_an_error(model):
    X, Y = _data()
    with pytest.raises(ValueError, match="NaN in 20 of 20 targets"):
        model.set_params(unusable_targets="leave_out").fit(X, np.full_like(Y, np.nan))


def test_an_unknown_policy_is_named(model):
    with pytest.raises(ValueError, match="unusable_targets: got 'zero'; expected one of refuse, leave_out"):
        model.set_params(unusable_targets="zero").fit(*_data())


@pytest.mark.parametrize("name", ["batch_targets", "max_memory"])
@pytest.mark.parametrize("value", [0, -5, 2.5, "many"])
def test_limits_that_are_none_are_named(model, name, value):
    with pytest.raises(ValueError, match=f"{name}: got .*; expected a whole number of at least 1, or None"):
        model.set_params(**{name: value}).fit(*_data())


def test_float16_is_widened_to_float32_and_loses_nothing(model):
    X, Y = (array.astype(np.float16) for array in _data())
    wide = clone(model).fit(X.astype(np.float32), Y.astype(np.float32))
    with pytest.warns(CodedWarning, match="half-precision"):
        predicted = clone(model).fit(X, Y).predict(X)
    assert predicted.dtype == np.float32
    np.testing.assert_array_equal(predicted, wide.predict(X.astype(np.float32)))


def test_batches_and_memory_change_nothing(model):
    X, Y = _data(q=300)
    whole = clone(model).fit(X, Y).predict(X)
    for option in ({"batch_targets": 7}, {"max_memory": 200_000}, {"targets_on_device": True}):
        np.testing.assert_allclose(clone(model).set_params(**option).fit(X, Y).predict(X), whole, atol=1e-10)


def test_short_memory_is_said_and_too_little_is_a_sentence(model, caplog):
    X, Y = _data(q=3000)
    clone(model).set_params(max_memory=200_000).fit(X, Y)
    assert caplog.text.count("memory is short (200,000 bytes allowed)") == 1
    with pytest.raises(MemoryError, match="max_memory: 2,000 bytes are allowed, but"):
        model.set_params(max_memory=2000).fit(X, Y)


GRID = np.logspace(0, 4, 10)
BANDED = BandedRidgeCV(alphas=GRID, search=DirichletSearch(5), device="cpu")
DESCENT = clone(BANDED).set_params(search=GradientSearch(1, DirichletSearch(2)))
MANY, FEW = 20_000, 4_000
BOUNDED = {
    "ridge, few features": (RidgeCV(GRID, device="cpu"), 60, MANY),
    "ridge, many features": (RidgeCV(GRID, device="cpu"), 500, MANY),
    "kernel": (KernelRidgeCV(GRID, device="cpu"), 500, MANY),
    "one band": (BANDED, 500, MANY),
    "bands of few features": (clone(BANDED).set_params(bands=["a", "b"] * 30), 60, MANY),
    "bands of many features": (clone(BANDED).set_params(bands=["a", "b"] * 250), 500, MANY),
    "descent, few features": (clone(DESCENT).set_params(bands=["a", "b"] * 30), 60, FEW),
    "descent, many features": (clone(DESCENT).set_params(bands=["a", "b"] * 250), 500, FEW),
    "descent, ten folds": (clone(DESCENT).set_params(bands=["a", "b"] * 450, folds=KFold(10)), 900, FEW // 2),
}


@pytest.mark.skipif(not RESET.exists(), reason="the peak of memory can be reset on Linux only")
@pytest.mark.parametrize(("model", "n_features", "n_targets"), BOUNDED.values(), ids=BOUNDED)
def test_the_bound_on_memory_is_kept(model, n_features, n_targets):
    """Peak of the process while it fits, less what it had and what it returns."""
    rng = RNG(0)
    X, Y = rng.standard_normal((400, n_features)), rng.standard_normal((400, n_targets)).astype(np.float32)
    model = clone(model).set_params(max_memory=48_000_000)
    clone(model).set_params(max_memory=None).fit(X, Y[:, :10])  # what is loaded on first use is not counted
    before = _memory("VmRSS")
    RESET.write_text("5")
    fitted = model.fit(X, Y)
    peak = _memory("VmHWM") - before
    parts = [fitted, *(value for name, value in vars(fitted).items() if name == "_samples")]
    arrays = [array for part in parts for array in vars(part).values() if isinstance(array, np.ndarray)]
    results = sum(array.nbytes for array in arrays) + fitted.cv_scores_.nbytes
    assert peak - results < 48_000_000


def _memory(field):
    (line,) = (line for line in PEAK.read_text().splitlines() if line.startswith(field))
    return 1024 * int(line.split()[1])
