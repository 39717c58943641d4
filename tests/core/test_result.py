"""Results and null distributions: what they say of numbers that are known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control
from sklearn.model_selection import KFold

from neuroling import Permutation, Result, Ridge, align, evaluate, pearson
from neuroling.core.provenance import content_hash, describe_seed
from neuroling.evaluation import NullDistribution, Provenance


def null_of(observed, draws, **options):
    observed = xr.DataArray(np.asarray(observed, dtype=float), dims="voxel")
    return NullDistribution.collect(
        observed,
        (xr.DataArray(np.asarray(draw, dtype=float), dims="voxel") for draw in draws),
        method="test",
        **options,
    )


def result_of(score, ceiling=None, **options):
    """A result of one split over voxels."""
    ceiling = None if ceiling is None else xr.Dataset(ceiling).to_dataarray("bound")
    return Result.of(xr.DataArray(np.asarray(score)[None], dims=("split", "voxel")), ceiling=ceiling, **options)


# --- p values ---------------------------------------------------------------------------------------------------------


def test_p_counts_draws_at_least_as_good_and_the_observed_one():
    null = null_of([0.5], [[0.1], [0.5], [0.9], [0.2]])
    assert null.p_values().item() == (1 + 2) / (1 + 4)


def test_p_is_never_zero():
    assert null_of([9.0], [[0.0]] * 19).p_values().item() == 1 / 20


def test_smaller_is_better_turns_the_tail():
    null = null_of([0.1], [[0.2], [0.3], [0.05]], alternative="less")
    assert null.p_values().item() == (1 + 1) / (1 + 3)
    assert null.best.values.tolist() == [0.2, 0.3, 0.05]


def test_a_draw_that_ties_up_to_rounding_counts():
    assert null_of([0.1 + 0.2], [[0.3], [0.0], [0.0]]).p_values().item() == (1 + 1) / (1 + 3)


def test_an_undefined_draw_never_helps():
    null = null_of([0.5, 0.5], [[np.nan, 0.1], [0.0, 0.1], [0.0, 0.1]])
    assert null.p_values().values.tolist() == [2 / 4, 1 / 4]
    assert null.p_values("max").values.tolist() == [2 / 4, 2 / 4]


def test_an_undefined_observation_has_no_p_and_does_not_count():
    null = null_of([np.nan, 0.5], [[9.0, 0.1], [9.0, 0.2], [np.nan, 0.6]])
    for correction in ("none", "fdr", "max"):
        assert np.isnan(null.p_values(correction).values[0])
    assert null.p_values("max").values[1] == 2 / 4


def test_max_compares_with_the_best_place_of_every_draw():
    null = null_of([0.5, 0.3], [[0.1, 0.4], [0.6, 0.0], [0.2, 0.2]])
    assert null.p_values("max").values.tolist() == [2 / 4, 3 / 4]


@given(st.lists(st.integers(0, 99), min_size=2, max_size=12))
def test_fdr_is_benjamini_and_hochberg(exceedances):
    observed = xr.DataArray(np.zeros(len(exceedances)), dims="voxel")
    null = NullDistribution(observed, observed.copy(data=exceedances), xr.DataArray(np.zeros(99), dims="draw"), "test")
    expected = false_discovery_control((1 + np.array(exceedances)) / 100)
    np.testing.assert_allclose(null.p_values("fdr").values, expected)


@given(st.integers(0, 2**32 - 1))
def test_corrected_p_is_never_smaller_than_uncorrected(seed):
    rng = np.random.default_rng(seed)
    null = null_of(rng.standard_normal(6), rng.standard_normal((30, 6)))
    for correction in ("fdr", "max"):
        assert (null.p_values(correction) >= null.p_values() - 1e-15).all()


def test_counts_without_draws_give_the_same_p_values():
    rng = np.random.default_rng(0)
    observed, draws = rng.standard_normal(5), rng.standard_normal((40, 5))
    one, other = null_of(observed, draws), null_of(observed, draws, keep_draws=False)
    assert other.draws is None
    for correction in ("none", "fdr", "max"):
        xr.testing.assert_identical(one.p_values(correction), other.p_values(correction))


def test_quantile_of_the_draws():
    assert null_of([0.0], [[value] for value in range(11)]).quantile(0.5).item() == 5


# --- results ----------------------------------------------------------------------------------------------------------


def test_score_is_the_mean_over_splits():
    score = xr.DataArray([[0.1, 0.3], [0.3, 0.5]], dims=("split", "voxel"))
    np.testing.assert_allclose(Result.of(score, metric="m").score.values, [0.2, 0.4])


def test_normalized_counts_from_chance():
    result = result_of([0.7], {"lower": ("voxel", [0.9])}, metric="m", chance=0.5)
    np.testing.assert_allclose(result.normalized().values, [0.5])


def test_normalized_is_never_clipped():
    result = result_of([0.9, -0.2], {"ceiling": ("voxel", [0.6, 0.4])}, metric="m")
    np.testing.assert_allclose(result.normalized().values, [1.5, -0.5])


def test_normalized_is_undefined_where_the_ceiling_is_no_better_than_chance():
    result = result_of([0.3, 0.3], {"ceiling": ("voxel", [0.6, -0.1])}, metric="m")
    with pytest.warns(UserWarning, match="1 of 2 locations.*not better than chance"):
        np.testing.assert_allclose(result.normalized().values, [0.5, np.nan])


def test_normalized_error_counts_downwards():
    result = result_of([0.6], {"lower": ("voxel", [0.2])}, metric="error", chance=1.0, larger_is_better=False)
    np.testing.assert_allclose(result.normalized().values, [0.5])


def test_a_half_cannot_be_divided_by_unless_named():
    result = result_of([0.3], {"half": ("voxel", [0.6])}, metric="r2")
    with pytest.raises(ValueError, match=r"bounds are \['half'\].*LeaveOneOutCeiling"):
        result.normalized()
    assert result.normalized("half").item() == 0.5


def test_table_has_a_row_a_position():
    null = null_of([0.1, 0.9], [[0.5, 0.5]] * 19)
    result = result_of([0.1, 0.9], {"ceiling": ("voxel", [0.8, 0.8])}, null=null, metric="m")
    table = result.to_dataframe()
    assert list(table.columns) == ["voxel", "score", "ceiling_ceiling", "p"]
    assert table["p"].tolist() == [1.0, 0.05]


def test_table_of_a_single_score_has_one_row():
    result = Result.of(xr.DataArray([0.25, 0.75], dims="split"), metric="m")
    assert result.to_dataframe()["score"].tolist() == [0.5]


def test_group_level_p_stands_on_no_single_subjects_row():
    null = null_of([2.0, 3.0], [[0.0, 0.0]] * 19, statistic="t over subject")
    score = xr.DataArray(np.ones((1, 3, 2)), dims=("split", "subject", "voxel"))
    assert "p" not in Result.of(score, metric="m", null=null).to_dataframe()


def test_summary_says_what_was_measured():
    null = null_of([0.1, 0.9], [[0.5, 0.5]] * 39)
    provenance = Provenance(synthetic=True, notes=("time axis shuffled on request: a control",))
    result = result_of(
        [0.1, 0.9], {"ceiling": ("voxel", [0.8, 0.8])}, null=null, metric="pearson", provenance=provenance
    )
    for words in (
        "pearson: mean 0.500",
        "ceiling, ceiling: mean 0.800",
        "1 of 2 at p < 0.05",
        "SYNTHETIC",
        "a control",
    ):
        assert words in str(result)


# --- provenance -------------------------------------------------------------------------------------------------------


def test_provenance_survives_json():
    provenance = Provenance(options={"model": "Ridge(α=1)"}, notes=("a", "b"), seed="3", synthetic=True)
    assert Provenance.from_json(provenance.to_json()) == provenance


def test_seed_of_a_generator_says_what_its_children_depend_on():
    rng = np.random.default_rng(7)
    before = describe_seed(rng)
    rng.spawn(1)
    assert before == "PCG64(entropy=7, spawn_key=(), n_children_spawned=0)"
    assert describe_seed(rng) != before
    assert describe_seed(7) == "7"


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a + np.array([[0.0, 0.0], [0.0, 1e-12]]),
        lambda a: a.astype("f4"),
        lambda a: a.isel(voxel=[1, 0]),
        lambda a: a.assign_coords(voxel=["a", "c"]),
        lambda a: a.assign_coords(group=("sample", [1, 2])),
        lambda a: a.rename(voxel="time"),
        lambda a: a.T,
    ],
)
def test_any_change_gives_another_content_hash(change):
    array = xr.DataArray(np.eye(2), dims=("sample", "voxel"), coords={"voxel": ["a", "b"]})
    assert content_hash(change(array)) != content_hash(array)


@pytest.mark.parametrize(
    "change", [lambda a: a.copy(), lambda a: a.copy(data=np.asfortranarray(a.values)), lambda a: a.astype(">f8")]
)
def test_memory_layout_does_not_change_the_content_hash(change):
    array = xr.DataArray(np.arange(6.0).reshape(2, 3), dims=("sample", "voxel"))
    assert content_hash(change(array)) == content_hash(array)


def test_a_summary_says_of_every_model_what_it_scored():
    """It gave one mean over the model and its control, and one count of significant locations in both."""
    rng = np.random.default_rng(0)
    labels = {"sample": np.arange(40)}
    features = {
        name: xr.DataArray(rng.standard_normal((40, 3)), dims=("sample", "feature"), coords=labels)
        for name in ("meaning", "rate")
    }
    values = features["meaning"].to_numpy() @ rng.standard_normal((3, 6)) + 0.5 * rng.standard_normal((40, 6))
    recording = xr.DataArray(values, dims=("sample", "voxel"), coords=labels)
    result = evaluate(
        Ridge(1.0), align(features, recording), splits=KFold(4), metric=pearson, inference=Permutation(99)
    )
    first, of_meaning, of_rate, null = result.summary().splitlines()
    assert first == "pearson (chance 0; 4 splits)"
    significant = (result.p_values("max") < 0.05).sum("voxel")
    for line, name in ((of_meaning, "meaning"), (of_rate, "rate")):
        mean = float(result.score.sel(model=name).mean())
        assert line.startswith(f"  {name}: mean {mean:.3f}, from ")
        n_significant = int(significant.sel(model=name))
        assert line.endswith(
            f"over voxel; {n_significant} of 6 at p < 0.05, corrected over all locations by the maximum"
        )
    assert null == "  null: permutation of samples, 99 draws"
