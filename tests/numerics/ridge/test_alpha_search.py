"""Choice of penalties: four forms of one held-out error, each equal to explicit refits, in both dtypes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.overrides import TorchFunctionMode

from neuroling.numerics.memory import Limits, Targets
from neuroling.numerics.ridge import alpha_search as penalties
from neuroling.numerics.ridge.algorithm_choice import choose_form
from neuroling.numerics.ridge.decomposition import centre
from neuroling.numerics.ridge.gram import Design, factor_dtype, to_folds
from neuroling.numerics.ridge.held_out_errors import by_deletion, by_operators, by_residuals, by_spectrum

pytestmark = pytest.mark.usefixtures("product_library")

RNG = np.random.default_rng
CPU = torch.device("cpu")
FORMS = [by_spectrum, by_operators, by_deletion, by_residuals]
TOLERANCE = {np.float32: 3e-5, np.float64: 1e-10}


def _data(n, p, q=4, seed=0, dtype=np.float64):
    rng = RNG(seed)
    X = rng.standard_normal((n, p))
    Y = X @ rng.standard_normal((p, q)) / np.sqrt(p) + rng.standard_normal((n, q)) + 5
    return X, Y.astype(dtype)


def _partition(n, k, seed=None):
    rows = np.arange(n) if seed is None else RNG(seed).permutation(n)
    return [(np.setdiff1d(rows, test), test) for test in np.array_split(rows, k)]


def _by_hand(X, Y, folds, alphas):
    """Held-out squared errors (alpha, target) and those of the training means, refitting everything in float64."""
    Y = Y.astype(np.float64)
    error, baseline = np.zeros((len(alphas), Y.shape[1])), np.zeros(Y.shape[1])
    for train, test in folds:
        seen, left = X[train] - X[train].mean(0), Y[test] - Y[train].mean(0)
        baseline += (left**2).sum(0)
        for row, alpha in enumerate(alphas):
            coef = np.linalg.solve(seen.T @ seen + alpha * np.eye(X.shape[1]), seen.T @ (Y[train] - Y[train].mean(0)))
            error[row] += ((left - (X[test] - X[train].mean(0)) @ coef) ** 2).sum(0)
    return error, baseline


def _scores(X, Y, folds, alphas, **limits):
    return penalties.ridge_cv_scores(X, Targets(Y, CPU, Limits(**limits)), folds, alphas)


def _errors(form, design, folds, alphas, Y):
    y = torch.from_numpy(Y)
    prepared = list(form(design, to_folds(folds, CPU), torch.from_numpy(alphas), y.dtype))
    return [found.numpy() for found in penalties.add_up(prepared, centre(y)[0], len(alphas))]


# --- every form equals refitting --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [5, 70])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_every_form_gives_the_errors_of_refits(form, p, dtype):
    X, Y = _data(40, p, dtype=dtype)
    folds, alphas = _partition(40, 4), np.array([0.3, 10.0, 1e3])
    expected = _by_hand(X, Y, folds, alphas)
    for found, truth in zip(_errors(form, Design.linear(torch.from_numpy(X)), folds, alphas, Y), expected, strict=True):
        np.testing.assert_allclose(found, truth, rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_every_form_takes_a_gram_matrix_of_any_origin(form):
    X, Y = _data(30, 50)
    folds, alphas = _partition(30, 3, seed=1), np.array([1.0, 30.0])
    gram = torch.from_numpy((X + 3) @ (X + 3).T)
    error, _ = _errors(form, Design(gram, None), folds, alphas, Y)
    np.testing.assert_allclose(error, _by_hand(X, Y, folds, alphas)[0], rtol=1e-9)


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(8, 30),
    p=st.integers(1, 40),
    k=st.integers(2, 8),
    seed=st.integers(0, 99),
    form=st.sampled_from(FORMS),
)
def test_forms_agree_with_refits_at_any_shape(n, p, k, seed, form):
    X, Y = _data(n, p, seed=seed)
    folds, alphas = _partition(n, k, seed=seed), np.array([0.5, 50.0])
    error, baseline = _errors(form, Design.linear(torch.from_numpy(X)), folds, alphas, Y)
    expected = _by_hand(X, Y, folds, alphas)
    np.testing.assert_allclose(error, expected[0], rtol=1e-8)
    np.testing.assert_allclose(baseline, expected[1], rtol=1e-10)


def test_leave_one_out_is_had_from_one_decomposition():
    X, Y = _data(20, 3)
    folds, alphas = _partition(20, 20), np.array([0.1, 10.0])
    error, _ = _errors(by_residuals, Design.linear(torch.from_numpy(X)), folds, alphas, Y)
    np.testing.assert_allclose(error, _by_hand(X, Y, folds, alphas)[0], rtol=1e-10)


def test_folds_of_several_sizes_are_divided_by_their_own_blocks():
    X, Y = _data(11, 3)
    folds, alphas = _partition(11, 4), np.array([0.1, 10.0])
    error, _ = _errors(by_residuals, Design.linear(torch.from_numpy(X)), folds, alphas, Y)
    np.testing.assert_allclose(error, _by_hand(X, Y, folds, alphas)[0], rtol=1e-10)


def test_residuals_that_are_almost_nothing_are_not_divided():
    X, _ = _data(12, 40, dtype=np.float32)
    prepared = list(
        by_residuals(
            Design.linear(torch.from_numpy(X)),
            to_folds(_partition(12, 12), CPU),
            torch.tensor([1e-4], dtype=torch.float64),
            torch.float32,
        )
    )
    assert len(prepared) == 12


def test_a_small_penalty_is_factored_in_float64():
    assert factor_dtype(1e6, 1.0, torch.float32) == torch.float64
    assert factor_dtype(1e3, 1.0, torch.float32) == torch.float32


@pytest.mark.parametrize("form", [by_operators, by_deletion], ids=lambda form: form.__name__)
def test_float32_keeps_its_digits_where_the_penalty_is_a_millionth(form):
    X, Y = _data(60, 90, dtype=np.float32)
    X *= np.logspace(0, -3, 90)
    folds, alphas = _partition(60, 3), np.array([1e-4, 1e-2])
    error, _ = _errors(form, Design.linear(torch.from_numpy(X)), folds, alphas, Y)
    np.testing.assert_allclose(error, _by_hand(X, Y, folds, alphas)[0], rtol=1e-3)


# --- the choice of the form -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "rank", "k", "n_targets", "expected"),
    [
        (3000, 3000, 5, 20_000, by_deletion),
        (1000, 50, 5, 20_000, by_spectrum),
        (1000, 50, 1000, 20_000, by_residuals),
    ],
)
def test_the_shape_decides_the_form(n, rank, k, n_targets, expected):
    folds = to_folds(_partition(n, k)[: k if k < 100 else 100], CPU)
    assert choose_form(folds, n, rank, n_alphas=20, n_targets=n_targets) is expected


def test_folds_with_a_gap_are_not_deleted_from_the_full_fit():
    rows = np.arange(300)
    folds = to_folds([(rows[120:], rows[:100]), (rows[:180], rows[200:])], CPU)
    assert choose_form(folds, 300, 300, n_alphas=20, n_targets=100_000) is by_operators


def test_a_tiny_penalty_is_decomposed_by_singular_values():
    X, Y = _data(20, 40, q=3)
    folds = _partition(20, 4)
    seen = _scores(X, Y, folds, np.array([1e-12]))
    exact = []
    for train, test in folds:
        mean = X[train].mean(0)
        coef = np.linalg.pinv(X[train] - mean) @ (Y[train] - Y[train].mean(0))
        exact.append(((Y[test] - Y[train].mean(0) - (X[test] - mean) @ coef) ** 2).sum(0))
    baseline = _by_hand(X, Y, folds, [1.0])[1]
    np.testing.assert_allclose(seen[0], 1 - np.sum(exact, 0) / baseline, rtol=1e-6)


# --- scores -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [4, 20])
@pytest.mark.parametrize("batch", [None, 2])
def test_scores_equal_a_loop_of_fits_with_a_gap_too(p, batch):
    X, Y = _data(15, p, q=5)
    rows = np.arange(15)
    folds, alphas = [*_partition(15, 4), (rows[:6], rows[9:])], np.array([0.1, 1.0, 100.0])
    error, baseline = _by_hand(X, Y, folds, alphas)
    np.testing.assert_allclose(_scores(X, Y, folds, alphas, batch=batch), 1 - error / baseline, rtol=1e-9)


def test_planted_signal_scores_near_one_and_a_constant_target_has_no_score():
    X, _ = _data(40, 3)
    Y = np.column_stack([X.sum(1), np.full(40, 0.1), RNG(3).standard_normal(40)])
    (scores,) = _scores(X, Y, _partition(40, 5), np.array([1e-3]))
    assert scores[0] > 0.999
    assert np.isnan(scores[1])
    assert scores[2] < 0.3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "p"), [(80, 120), (120, 12)])
def test_voxels_choose_the_penalty_that_explicit_refits_choose(n, p, dtype):
    """At least 99.9 % of 3,000 voxels; the others are ties within the rounding of the dtype."""
    X, Y = _data(n, p, q=3000, dtype=dtype)
    folds, alphas = _partition(n, 5), np.logspace(-1, 4, 12)
    error, baseline = _by_hand(X, Y, folds, alphas)
    chosen, expected = _scores(X, Y, folds, alphas).argmax(0), error.argmin(0)
    assert (chosen == expected).mean() >= 0.999
    other = np.flatnonzero(chosen != expected)
    gap = (error[chosen[other], other] - error[expected[other], other]) / baseline[other]
    assert (gap < TOLERANCE[dtype]).all()


class _Products(TorchFunctionMode):
    """Remembers the dtypes of all products with as many columns as there are targets."""

    def __init__(self, n_targets):
        super().__init__()
        self.n_targets, self.seen = n_targets, []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        if "mm" in func.__name__ and found.shape[-1] == self.n_targets:
            self.seen.append(found.dtype)
        return found


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_float32_targets_are_never_promoted(form, torch_multiplies):
    X, Y = _data(40, 60, q=7, dtype=np.float32)
    with _Products(7) as products:
        _errors(form, Design.linear(torch.from_numpy(X).double()), _partition(40, 4), np.array([1.0, 2.0]), Y)
    assert set(products.seen) == {torch.float32}


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("p", "memory"), [(10, 26_000), (10, 30_000), (60, 280_000)])
def test_scores_do_not_depend_on_the_memory(p, memory):
    """Down to a few operators and one target at a time."""
    X, Y = _data(60, p, q=50)
    folds, alphas = _partition(60, 5), np.logspace(-1, 3, 7)
    np.testing.assert_allclose(_scores(X, Y, folds, alphas, memory=memory), _scores(X, Y, folds, alphas), rtol=1e-9)


def test_short_memory_is_said_once_and_makes_smaller_tiles(caplog):
    X, Y = _data(60, 10, q=4000)
    _scores(X, Y, _partition(60, 5), np.logspace(-1, 3, 7), memory=2_000_000)
    assert [record.getMessage()[:16] for record in caplog.records] == ["memory is short "]


def test_too_little_memory_is_a_sentence_not_a_crash():
    X, Y = _data(60, 10)
    with pytest.raises(MemoryError, match=r"max_memory: 1,000 bytes are allowed, but .* are needed"):
        _scores(X, Y, _partition(60, 5), np.array([1.0]), memory=1000)


@pytest.mark.gpu
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_a_gpu_gives_the_errors_of_the_cpu(form):
    X, Y = _data(100, 200)
    folds, alphas = _partition(100, 5), np.array([1.0, 100.0])
    cuda = torch.device("cuda")
    design = Design.linear(torch.from_numpy(X).to(cuda))
    y = torch.from_numpy(Y).to(cuda)
    prepared = list(form(design, to_folds(folds, cuda), torch.from_numpy(alphas).to(cuda), y.dtype))
    error, _ = penalties.add_up(prepared, y, 2)
    np.testing.assert_allclose(error.cpu().numpy(), _by_hand(X, Y, folds, alphas)[0], rtol=1e-8)


@pytest.mark.gpu
def test_nothing_is_decomposed_by_svd_on_a_gpu(monkeypatch):
    seen = []
    decompose = torch.linalg.svd
    monkeypatch.setattr(torch.linalg, "svd", lambda a, **k: seen.append(a.device.type) or decompose(a, **k))
    X, Y = _data(100, 20)
    targets = Targets(Y, torch.device("cuda"), Limits())
    penalties.ridge_cv_scores(X, targets, _partition(100, 5), np.array([1e-12, 1.0]))
    assert set(seen) <= {"cpu"}


def test_operators_of_features_are_not_counted_as_quadratic_forms():
    folds = to_folds(_partition(400, 10), CPU)
    assert choose_form(folds, 400, 300, n_alphas=10, n_targets=5000) is by_residuals
