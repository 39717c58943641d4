"""Quadratic forms of held-out errors: those of the operators, for any folds, without loss of digits."""

import numpy as np
import pytest
import torch
from sklearn.model_selection import KFold, RepeatedKFold, ShuffleSplit

from neuroling.numerics.memory import Limits, Targets
from neuroling.numerics.ridge import alpha_search as penalties
from neuroling.numerics.ridge import quadratic_forms as quadratic
from neuroling.numerics.ridge.decomposition import centre
from neuroling.numerics.ridge.gram import Design, to_folds
from neuroling.numerics.ridge.held_out_errors import by_deletion, by_operators
from neuroling.numerics.ridge.quadratic_forms import QuadraticErrors, as_quadratic, quadratic_pays

pytestmark = pytest.mark.usefixtures("product_library")

RNG = np.random.default_rng
CPU = torch.device("cpu")
ALPHAS = np.array([1.0, 30.0, 1000.0])
FOLDS = {
    "stretches": KFold(5),
    "scattered": KFold(7, shuffle=True, random_state=0),
    "repeated": RepeatedKFold(n_splits=4, n_repeats=3, random_state=0),
    "some rows only": ShuffleSplit(2, test_size=0.2, random_state=0),
}


def _data(n=300, p=330, q=50, noise=1.0, dtype=np.float64):
    rng = RNG(0)
    X = rng.standard_normal((n, p)) * np.arange(1, p + 1) ** -0.5
    Y = X @ rng.standard_normal((p, q)) + noise * rng.standard_normal((n, q)) + 5
    return X, Y.astype(dtype)


def _parts(X, folds, form=by_deletion, dtype=torch.float64):
    return list(form(Design.linear(torch.from_numpy(X)), to_folds(folds, CPU), torch.from_numpy(ALPHAS), dtype))


def _summed(parts, Y):
    found = penalties.add_up(parts, centre(torch.from_numpy(Y))[0], len(ALPHAS))
    return [values.numpy() for values in found]


@pytest.fixture
def no_guard(monkeypatch):
    """Forms for all targets, however well they are predicted."""
    monkeypatch.setattr(quadratic, "ERROR_LEFT", 0.0)


@pytest.mark.parametrize("form", [by_deletion, by_operators], ids=lambda form: form.__name__)
@pytest.mark.parametrize("splits", FOLDS.values(), ids=FOLDS)
@pytest.mark.usefixtures("no_guard")
def test_forms_give_the_errors_of_the_operators(splits, form):
    X, Y = _data()
    parts = _parts(X, list(splits.split(X)), form)
    found = _summed([QuadraticErrors.of(parts, len(X))], Y)
    for fast, slow in zip(found, _summed(parts, Y), strict=True):
        np.testing.assert_allclose(fast, slow, rtol=1e-12)


@pytest.mark.usefixtures("no_guard")
def test_forms_of_several_weightings_follow_each_other():
    X, Y = _data()
    one, two = _parts(X, list(KFold(3).split(X))), _parts(X**2, list(KFold(3).split(X)))
    joined = [type(a)(a.fold, None, None, a.stacks + b.stacks) for a, b in zip(one, two, strict=True)]
    form = QuadraticErrors.of(joined, len(X))
    assert form.n_operators == 2 * len(ALPHAS)
    error, _ = penalties.add_up([form], centre(torch.from_numpy(Y))[0], form.n_operators)
    np.testing.assert_allclose(error[: len(ALPHAS)], _summed(one, Y)[0], rtol=1e-12)
    np.testing.assert_allclose(error[len(ALPHAS) :], _summed(two, Y)[0], rtol=1e-12)


def test_targets_predicted_almost_wholly_are_summed_over_operators():
    X, Y = _data(noise=1e-3, p=20, dtype=np.float32)
    noisy = _data(noise=20.0, p=20, dtype=np.float32)[1]
    parts = _parts(X, list(KFold(5).split(X)), dtype=torch.float32)
    both = np.hstack([Y, noisy])
    (fast, baseline), (slow, _) = _summed([QuadraticErrors.of(parts, len(X))], both), _summed(parts, both)
    wholly = slow.min(0) < 0.1 * baseline
    assert wholly[: Y.shape[1]].all()
    assert not wholly[Y.shape[1] :].any()
    np.testing.assert_allclose(fast[:, wholly], slow[:, wholly], rtol=1e-6)
    np.testing.assert_allclose(fast[:, ~wholly], slow[:, ~wholly], rtol=1e-5)


def test_without_the_guard_float32_would_lose_the_digits_of_small_errors(no_guard):
    X, Y = _data(noise=1e-3, p=20, dtype=np.float32)
    parts = _parts(X, list(KFold(5).split(X)), dtype=torch.float32)
    (fast, _), (slow, _) = _summed([QuadraticErrors.of(parts, len(X))], Y), _summed(parts, Y)
    assert np.abs(fast[0] / slow[0] - 1).max() > 1e-5


def test_a_constant_target_has_no_error():
    X, Y = _data()
    Y[:, 0] = 3.0
    error, baseline = _summed([QuadraticErrors.of(_parts(X, list(KFold(5).split(X))), len(X))], Y)
    assert error[:, 0].max() < 1e-20
    assert baseline[0] < 1e-20


def test_parts_that_project_targets_stay_as_they_are():
    from neuroling.numerics.ridge.held_out_errors import by_spectrum

    X, _ = _data(p=20)
    parts = _parts(X, list(KFold(5).split(X)), by_spectrum)
    assert as_quadratic(parts, len(X), 10**6) == parts


def test_repeated_folds_pay_sooner():
    once, thrice = [(60, 240)] * 5, [(60, 240)] * 15
    assert not quadratic_pays(once, 300, 500)
    assert quadratic_pays(thrice, 300, 1000)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_search_by_forms_chooses_as_one_by_operators(dtype, monkeypatch):
    X, Y = _data(q=8000, noise=3.0, dtype=dtype)
    folds, made = list(KFold(5).split(X)), []
    monkeypatch.setattr("neuroling.numerics.ridge.algorithm_choice.choose_form", lambda *_, **__: by_deletion)
    plain = QuadraticErrors.of
    monkeypatch.setattr(QuadraticErrors, "of", lambda *given: made.append(given) or plain(*given))
    search = lambda: penalties.cv_fit(Design.linear(torch.from_numpy(X)), Targets(Y, CPU, Limits()), folds, ALPHAS)  # noqa: E731
    fast, kept = search()
    assert len(made) == 1
    monkeypatch.setattr(penalties, "quadratic_pays", lambda *_: False)
    slow, expected = search()
    assert len(made) == 1
    np.testing.assert_allclose(fast, slow, atol={np.float32: 2e-6, np.float64: 1e-13}[dtype])
    np.testing.assert_array_equal(fast.argmax(0), slow.argmax(0))
    np.testing.assert_array_equal(kept.dual, expected.dual)


def test_where_memory_is_short_there_are_no_forms():
    X, Y = _data(q=8000)
    design, folds = Design.linear(torch.from_numpy(X)), to_folds(list(KFold(5).split(X)), CPU)
    plans = {
        allowed: penalties.plan_passes(design, Targets(Y, CPU, Limits(memory=allowed)), folds, 10)
        for allowed in (30_000_000, 16_000_000, 60_000_000)
    }
    assert [plan.quadratic for plan in plans.values()] == [True, False, True]
