"""The dual bootstrap: variances that add up, intervals that cover, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from neuroling import ByItem, Result, SignFlip, evaluate, pairwise, pearson, spearman
from neuroling.evaluation import DualBootstrap, rho_a
from neuroling.evaluation.inference.participants_and_items import item_draws, resampled
from neuroling.rsa import FixedRDM, PairLabels, rdms


def study(rng, n_items=16, n_subjects=8, noise=1.0, n_times=None):
    labels = PairLabels.of(np.array([f"i{place:02d}" for place in range(n_items)])).coords()
    base = pdist(rng.standard_normal((n_items, 4)))
    shape = (len(base), n_subjects) if n_times is None else (len(base), n_subjects, n_times)
    rows = base.reshape(-1, *[1] * (len(shape) - 1)) + noise * rng.standard_normal(shape)
    models = np.column_stack([base + 0.5 * rng.standard_normal(len(base)) for _ in range(2)])
    y = xr.DataArray(rows, dims=("sample", "subject", "time")[: rows.ndim], coords=labels)
    return y, xr.DataArray(models, dims=("sample", "model"), coords={**labels, "model": ["a", "b"]})


def bootstrapped(y, models, *, metric=spearman, n_draws=100, rng=0):
    return evaluate(FixedRDM(), pairwise(models, y), metric=metric, inference=DualBootstrap(n_draws=n_draws), rng=rng)


def drawn(y, models, measure="spearman", n_draws=100, dtype=np.float64):
    """Give the resamplings behind a test, times last."""
    rng = np.random.default_rng(0)
    present = y if "time" in y.dims else y.expand_dims("time")
    rows, n_items = present.transpose("subject", "time", "sample").to_numpy(), 16
    items, people = item_draws(rng, n_draws, n_items), rng.integers(0, len(rows), (n_draws, len(rows)))
    return resampled(rows, models.to_numpy().T.copy(), items, people, measure, dtype)


@pytest.mark.parametrize("measure", ["spearman", "pearson"])
def test_precision_of_the_arithmetic_does_not_matter(measure):
    y, models = study(np.random.default_rng(0))
    single, double = (drawn(y, models, measure, dtype=dtype) for dtype in (np.float32, np.float64))
    np.testing.assert_allclose(single.both, double.both, atol=1e-5)


def test_times_give_what_single_calls_give():
    y, models = study(np.random.default_rng(1), n_times=3)
    together, alone = bootstrapped(y, models), bootstrapped(y.isel(time=1), models)
    assert together.intervals.mean.dims == ("model", "time")
    np.testing.assert_allclose(
        together.intervals.interval().isel(time=1).values, alone.intervals.interval().values, atol=1e-6
    )


def test_the_mean_is_that_of_the_scores():
    y, models = study(np.random.default_rng(1), n_times=3)
    result = bootstrapped(y, models)
    np.testing.assert_allclose(result.intervals.mean, result.score.mean("subject"), atol=1e-12)


def test_times_in_blocks_give_what_all_at_once_give(monkeypatch):
    y, models = study(np.random.default_rng(1), n_times=5)
    whole = bootstrapped(y, models).intervals
    monkeypatch.setattr("neuroling.evaluation.inference.participants_and_items.BLOCK_BYTES", 40_000)
    pieces = bootstrapped(y, models).intervals
    for part in ("mean", "standard_error", "df"):
        np.testing.assert_allclose(getattr(pieces, part).values, getattr(whole, part).values, rtol=1e-5)


def test_every_place_of_a_recording_has_intervals_of_its_own():
    y, models = study(np.random.default_rng(1), n_times=6)
    both = xr.DataArray(
        y.to_numpy().reshape(*y.shape[:2], 2, 3),
        dims=("sample", "subject", "region", "time"),
        coords={**{name: y[name] for name in ("sample", "first", "second")}, "region": ["left", "right"]},
    )
    found = bootstrapped(both, models).intervals
    assert found.mean.dims == ("model", "region", "time")
    expected = bootstrapped(y, models).intervals.standard_error.to_numpy().reshape(2, 2, 3)
    np.testing.assert_allclose(found.standard_error.to_numpy(), expected, rtol=1e-5)


def test_patterns_that_are_compared_on_demand_give_what_their_dissimilarities_give():
    rng = np.random.default_rng(2)
    recording = xr.DataArray(
        rng.standard_normal((16, 5, 6, 3)),
        dims=("sample", "subject", "channel", "time"),
        coords={"sample": [f"i{place:02d}" for place in range(16)]},
    )
    _, models = study(rng)
    inference = DualBootstrap(n_draws=100)
    lazy = evaluate(FixedRDM(), pairwise(models, recording, dtype=np.float64), metric=spearman, inference=inference)
    held = evaluate(FixedRDM(), pairwise(models, rdms(recording)), metric=spearman, inference=inference)
    np.testing.assert_allclose(lazy.intervals.standard_error.values, held.intervals.standard_error.values, rtol=1e-4)


def test_the_variance_is_at_least_that_of_new_participants():
    boot = drawn(*study(np.random.default_rng(2)), n_draws=400)
    assert (boot.variance() >= boot.participants.var(axis=0, ddof=1) - 1e-12).all()
    assert (boot.freedom() >= 7 - 1e-9).all()


def test_leaving_an_item_out_is_what_it_says():
    y, models = study(np.random.default_rng(9))
    boot = drawn(y, models)
    kept = ((y["first"] != "i03") & (y["second"] != "i03")).to_numpy()
    expected = [[spearmanr(row, model)[0] for model in models.values[kept].T] for row in y.values[kept].T]
    np.testing.assert_allclose(boot.left_out[3, :, 0], expected)


def test_a_difference_keeps_its_sign_and_its_draws():
    y, models = study(np.random.default_rng(3))
    result, inference = bootstrapped(y, models), DualBootstrap(n_draws=100)
    forth, back = (result.difference(*pair).test(inference).intervals for pair in (("a", "b"), ("b", "a")))
    np.testing.assert_allclose(forth.interval().values, -back.interval().values[::-1])
    assert float(forth.mean) == pytest.approx(float(result.intervals.mean[0] - result.intervals.mean[1]))


def test_equal_seeds_agree_and_others_do_not():
    y, models = study(np.random.default_rng(4))
    first, same, other = (bootstrapped(y, models, rng=seed).intervals.standard_error for seed in (1, 1, 2))
    xr.testing.assert_equal(first, same)
    assert not first.equals(other)


def test_p_values_follow_the_interval():
    result = bootstrapped(*study(np.random.default_rng(5)), n_draws=200)
    excludes_zero = result.intervals.interval(0.95).sel(bound="lower") > 0
    assert ((result.p_values() < 0.05) == excludes_zero).all()
    assert (result.p_values("fdr") >= result.p_values()).all()
    with pytest.raises(ValueError, match="expected 'none' or 'fdr'"):
        result.p_values("max")


def test_intervals_are_saved_selected_and_replaced(tmp_path):
    result = bootstrapped(*study(np.random.default_rng(5)))
    result.save(tmp_path / "result.nc")
    loaded = Result.load(tmp_path / "result.nc")
    xr.testing.assert_equal(loaded.intervals.interval(), result.intervals.interval())
    assert "dual bootstrap of 8 participants and 16 items, 100 draws" in str(loaded)
    one = result.select(model="a")
    assert float(one.intervals.mean) == float(result.intervals.mean[0])
    with pytest.warns(UserWarning, match="items-fixed"):
        again = result.test(SignFlip("subject", n_draws=40))
    assert "interval_mean" not in again.data
    with pytest.raises(ValueError, match=r"no null distribution; see result\.intervals"):
        _ = result.null
    with pytest.raises(ValueError, match="resampling items needs the recording"):
        loaded.test(DualBootstrap())


KINDS = {"noise": (0, 0, 1), "shared": (1, 0, 1), "own": (0, 1, 1), "mixed": (1, 1, 1), "clear": (2, 0, 0.5)} | {
    "faint": (0.2, 0, 1),
    "faint beside own": (0.3, 1, 0.5),
}
"""Weights of a geometry that all people share, of one of each person's own, and of noise in single pairs."""


def unrelated(rng, kind, n_items, n_people):
    """Give a study of new items and new people, and a model that has nothing to do with either."""
    labels = PairLabels.of(np.array([f"i{place:02d}" for place in range(n_items)])).coords()

    def geometry():
        found = pdist(rng.standard_normal((n_items, 4)))
        return (found - found.mean()) / found.std()

    shared, own, noise = KINDS[kind]
    rows = np.stack([own * geometry() + noise * rng.standard_normal(len(labels["sample"][1])) for _ in range(n_people)])
    y = xr.DataArray((rows + shared * geometry()).T, dims=("sample", "subject"), coords=labels)
    return y, xr.DataArray(geometry()[:, None], dims=("sample", "model"), coords={**labels, "model": ["m"]})


@pytest.mark.parametrize("kind", ["noise", "shared"])
def test_the_variance_is_that_of_new_people_and_new_items(kind):
    rng = np.random.default_rng(10)
    boots = [bootstrapped(*unrelated(rng, kind, 24, 8), metric=pearson, rng=rng).intervals for _ in range(40)]
    truth = np.var([float(boot.mean[0]) for boot in boots], ddof=1)
    assert 0.6 < np.mean([float(boot.standard_error[0]) ** 2 for boot in boots]) / truth < 2.0


@pytest.mark.slow
@pytest.mark.parametrize("metric", [pearson, spearman], ids=["pearson", "spearman"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_model_without_relation_is_significant_at_the_nominal_rate(kind, metric):
    """New participants and new items in every simulation; the model is unrelated to what they share."""
    rng = np.random.default_rng(77)
    found = [bootstrapped(*unrelated(rng, kind, 24, 12), metric=metric, n_draws=200, rng=rng) for _ in range(2000)]
    assert 0.03 <= np.mean([float(result.p_values()[0]) < 0.05 for result in found]) <= 0.07


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y, m: (y.isel(subject=0), m, {}), "participants along 'subject'"),
        (lambda y, m: (y.isel(subject=slice(2)), m, {}), "at least 3"),
        (lambda y, m: (y.isel(sample=slice(1, None)), m.isel(sample=slice(1, None)), {}), "takes all pairs"),
        (lambda y, m: (y, m, {"metric": rho_a}), "takes spearman or pearson"),
        (lambda y, m: (y, m.isel(model=[0]), {"metric": spearman.partial(m.isel(model=[1]))}), "takes spearman or"),
        (lambda y, m: (y, m, {"n_draws": 10}), "at least 100"),
    ],
)
def test_bad_input_gets_a_sentence(change, message):
    y, models, options = change(*study(np.random.default_rng(7)))
    with pytest.raises(ValueError, match=message):
        bootstrapped(y, models, **options)


@pytest.mark.filterwarnings("ignore:.*missing-pairs")
def test_missing_pairs_are_refused():
    y, models = study(np.random.default_rng(7))
    with pytest.raises(ValueError, match=r"inference: \d+ dissimilarities are NaN"):
        bootstrapped(y.where(y < 3), models)


def test_models_with_something_to_fit_are_refused():
    y, models = study(np.random.default_rng(7))
    pairs = pairwise(models, y)
    with pytest.raises(ValueError, match="resamples items of fixed models"):
        evaluate(
            LinearRegression(), pairs, splits=ByItem.of(KFold(2), pairs), metric=spearman, inference=DualBootstrap()
        )


def test_few_items_are_warned_of():
    with pytest.warns(UserWarning, match="13 items; with fewer than 14"):
        bootstrapped(*study(np.random.default_rng(11), n_items=13))


def test_a_level_that_is_none_is_refused():
    result = bootstrapped(*study(np.random.default_rng(8)))
    with pytest.raises(ValueError, match="level"):
        result.intervals.interval(95)
    with pytest.raises(ValueError, match="model: got 'z'"):
        result.difference("a", "z")


def of_categories(sides):
    """Model of categories: 0 within one, 1 between two."""
    sides = np.asarray(sides)
    return (sides[:, None] != sides)[np.triu_indices(len(sides), 1)].astype(float)


def test_draws_in_which_a_model_is_constant_are_made_again():
    """14 items of two categories: one draw in some thousands is of one category alone, and made every variance NaN."""
    model = of_categories([0] * 7 + [1] * 7)
    draws = item_draws(np.random.default_rng(0), 40_000, 14, model[None])
    assert min(len(np.unique(draw // 7)) for draw in draws) == 2
    alone = item_draws(np.random.default_rng(0), 40_000, 14)
    assert min(len(np.unique(draw // 7)) for draw in alone) == 1


def test_a_model_that_one_item_makes_is_refused():
    y, models = study(np.random.default_rng(7))
    odd = models.isel(model=[0]).copy(data=of_categories([1] + [0] * 15)[:, None])
    with pytest.raises(ValueError, match="constant without one item"):
        bootstrapped(y, odd)
