"""The dual bootstrap: variances that add up, intervals that cover, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from neuroling.evaluation.bootstrap import dual_bootstrap
from neuroling.rsa.dissimilarity import PairLabels


def study(rng, n_items=16, n_subjects=8, noise=1.0, n_times=None):
    labels = PairLabels.of(np.array([f"i{place:02d}" for place in range(n_items)])).coords()
    base = pdist(rng.standard_normal((n_items, 4)))
    shape = (len(base), n_subjects) if n_times is None else (len(base), n_subjects, n_times)
    rows = base.reshape(-1, *[1] * (len(shape) - 1)) + noise * rng.standard_normal(shape)
    models = np.column_stack([base + 0.5 * rng.standard_normal(len(base)) for _ in range(2)])
    y = xr.DataArray(rows, dims=("sample", "subject", "time")[: rows.ndim], coords=labels)
    return y, xr.DataArray(models, dims=("sample", "model"), coords={**labels, "model": ["a", "b"]})


@pytest.mark.parametrize("measure", ["spearman", "pearson"])
def test_precision_of_the_arithmetic_does_not_matter(measure):
    y, models = study(np.random.default_rng(0))
    single, double = (
        dual_bootstrap(y, models, measure=measure, n_draws=100, dtype=d) for d in (np.float32, np.float64)
    )
    np.testing.assert_allclose(single.both.values, double.both.values, atol=1e-5)


def test_times_give_what_single_calls_give():
    y, models = study(np.random.default_rng(1), n_times=3)
    together = dual_bootstrap(y, models, n_draws=100, dtype=np.float64)
    alone = dual_bootstrap(y.isel(time=1), models, n_draws=100, dtype=np.float64)
    np.testing.assert_allclose(together.both.isel(time=1).values, alone.both.values)
    np.testing.assert_allclose(together.interval().isel(time=1).values, alone.interval().values)


def test_the_variance_is_at_least_that_of_new_participants():
    y, models = study(np.random.default_rng(2))
    boot = dual_bootstrap(y, models, n_draws=400)
    assert (boot.variance() >= boot.participants.var("draw", ddof=1) - 1e-12).all()
    assert (boot.freedom() >= 7 - 1e-9).all()


def test_leaving_an_item_out_is_what_it_says():
    y, models = study(np.random.default_rng(9))
    boot = dual_bootstrap(y, models, n_draws=100, dtype=np.float64)
    kept = ((y["first"] != "i03") & (y["second"] != "i03")).to_numpy()
    expected = [[spearmanr(row, model)[0] for model in models.values[kept].T] for row in y.values[kept].T]
    np.testing.assert_allclose(boot.left_out.values[3], expected)


def test_a_difference_keeps_its_sign_and_its_draws():
    y, models = study(np.random.default_rng(3))
    boot = dual_bootstrap(y, models, n_draws=100)
    forth, back = boot.difference("a", "b"), boot.difference("b", "a")
    np.testing.assert_allclose(forth.interval().values, -back.interval().values[::-1])
    assert float(forth.observed) == pytest.approx(float(boot.observed[0] - boot.observed[1]))


def test_equal_seeds_agree_and_others_do_not():
    y, models = study(np.random.default_rng(4))
    one, same, other = (dual_bootstrap(y, models, n_draws=100, rng=seed).both for seed in (1, 1, 2))
    xr.testing.assert_equal(one, same)
    assert not one.equals(other)


def test_p_values_follow_the_interval():
    y, models = study(np.random.default_rng(5))
    boot = dual_bootstrap(y, models, n_draws=200)
    excludes_zero = boot.interval(0.95).sel(bound="lower") > 0
    assert ((boot.p_values() < 0.05) == excludes_zero).all()


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
    boots = [dual_bootstrap(*unrelated(rng, kind, 24, 8), measure="pearson", n_draws=100, rng=rng) for _ in range(50)]
    truth = np.var([float(boot.observed[0]) for boot in boots], ddof=1)
    assert 0.6 < np.mean([float(boot.variance()[0]) for boot in boots]) / truth < 2.0


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["pearson", "spearman"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_model_without_relation_is_significant_at_the_nominal_rate(kind, measure):
    """New participants and new items in every simulation; the model is unrelated to what they share."""
    rng = np.random.default_rng(77)
    found = [dual_bootstrap(*unrelated(rng, kind, 24, 12), measure=measure, n_draws=200, rng=rng) for _ in range(2000)]
    assert 0.03 <= np.mean([float(boot.p_values()[0]) < 0.05 for boot in found]) <= 0.07


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y, m: (y.isel(subject=0), m, {}), "expected \\(sample, subject"),
        (lambda y, m: (y.isel(subject=slice(2)), m, {}), "at least 3"),
        (lambda y, m: (y.where(y < 3), m, {}), "NaN or infinite"),
        (lambda y, m: (y, m.isel(sample=slice(None, None, -1)), {}), "labels of pairs differ"),
        (lambda y, m: (y, m, {"measure": "tau"}), "expected one of"),
        (lambda y, m: (y, m, {"n_draws": 10}), "at least 100"),
    ],
)
def test_bad_input_gets_a_sentence(change, message):
    y, models, options = change(*study(np.random.default_rng(7)))
    with pytest.raises(ValueError, match=message):
        dual_bootstrap(y, models, **options)


def test_few_items_are_warned_of():
    with pytest.warns(UserWarning, match="13 items; with fewer than 14"):
        dual_bootstrap(*study(np.random.default_rng(11), n_items=13), n_draws=100)


def test_a_level_that_is_none_is_refused():
    boot = dual_bootstrap(*study(np.random.default_rng(8)), n_draws=100)
    with pytest.raises(ValueError, match="level"):
        boot.interval(95)
    with pytest.raises(ValueError, match="model: got 'z'"):
        boot.difference("a", "z")
