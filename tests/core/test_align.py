"""The one gate: rows are matched by label, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from neuroling import Stimuli, align, evaluate, pearson
from neuroling.core.align import pair_order

WORDS = [f"word {i}" for i in range(12)]


def features(n_features=3):
    return Stimuli.from_texts(WORDS).features(np.random.default_rng(0).standard_normal((12, n_features)))


def recording(**coords):
    values = np.random.default_rng(1).standard_normal((12, 4))
    return xr.DataArray(values, dims=("sample", "voxel"), coords={"sample": WORDS, "voxel": list("abcd"), **coords})


@given(st.permutations(range(12)))
def test_any_order_of_feature_rows_aligns_alike(order):
    one, other = align(features(), recording()), align(features().isel(sample=list(order)), recording())
    xr.testing.assert_identical(one.x, other.x)
    xr.testing.assert_identical(one.y, other.y)


@given(st.permutations(range(12)))
def test_rows_stay_with_their_labels_in_any_order_of_the_recording(order):
    data = align(features(), recording().isel(sample=list(order)))
    xr.testing.assert_equal(data.x.sortby("sample"), features().sortby("sample"))
    xr.testing.assert_equal(data.y.sortby("sample"), recording().sortby("sample"))
    assert data.x["sample"].equals(data.y["sample"])


@given(st.permutations(range(12)))
def test_scores_do_not_depend_on_the_order_of_feature_rows(order):
    scores = [
        evaluate(LinearRegression(), align(x, recording()), splits=KFold(2), metric=pearson).score
        for x in (features(), features().isel(sample=list(order)))
    ]
    xr.testing.assert_identical(*scores)


def test_axes_come_in_one_order_whatever_order_they_had():
    tall = recording().expand_dims(repeat=2).transpose("voxel", "repeat", "sample")
    data = align(features().T, tall)
    assert data.x.dims == ("sample", "feature")
    assert data.y.dims == ("sample", "repeat", "voxel")
    assert data.targets == ("voxel",)


def test_repeats_are_averaged_for_models():
    values = np.stack([recording().values, recording().values + 2], axis=1)
    data = align(features(), xr.DataArray(values, dims=("sample", "repeat", "voxel"), coords={"sample": WORDS}))
    np.testing.assert_allclose(data.y_mean.values, recording().values + 1)


@pytest.mark.filterwarnings("ignore:.*half-precision")
@pytest.mark.parametrize(
    ("given_type", "kept"), [("f4", "f4"), ("f8", "f8"), ("f2", "f8"), ("i2", "f8"), (">f8", "f8")]
)
def test_single_and_double_precision_stay_and_all_else_becomes_double(given_type, kept):
    values = (np.arange(48).reshape(12, 4) % 7).astype(given_type)
    data = align(features(), recording().copy(data=values))
    assert data.y.dtype == np.dtype(kept)


def test_arguments_are_not_changed():
    x, y = features(), recording()
    before = x.copy(deep=True), y.copy(deep=True)
    align(x, y).reordered(np.arange(12)[::-1])
    xr.testing.assert_identical(x, before[0])
    xr.testing.assert_identical(y, before[1])


def test_memory_layout_does_not_matter():
    y = recording()
    frozen = np.asfortranarray(y.values)
    frozen.flags.writeable = False
    xr.testing.assert_identical(align(features(), y.copy(data=frozen)).y, align(features(), y).y)


def test_coordinates_of_the_features_travel_along():
    x = features().assign_coords(condition=("sample", ["new", "old"] * 6))
    assert align(x, recording()).coordinate("condition")[:2].tolist() == ["new", "old"]


def test_missing_values_in_an_extra_coordinate_agree_with_themselves():
    onset = ("sample", np.r_[np.nan, np.arange(11.0)])
    data = align(features().assign_coords(onset=onset), recording(onset=onset))
    assert np.isnan(data.coordinate("onset")[0])


def test_consecutive_samples_are_recognised_by_their_time_index():
    assert align(features(), recording()).unit == "sample"
    assert align(features(), recording(time_index=("sample", np.arange(12)))).unit == "time"


def test_time_may_start_anew_in_every_group():
    y = recording(time_index=("sample", [*range(6), *range(10, 16)]), group=("sample", ["a"] * 6 + ["b"] * 6))
    assert align(features(), y).unit == "time"


def test_pairs_are_recognised_by_their_items(make_pairs):
    data = make_pairs(5, 2)
    assert data.unit == "item"
    assert data.items.tolist() == [0, 1, 2, 3, 4]


def test_reordering_moves_values_and_leaves_labels(make_data):
    data = make_data(6)
    moved = data.reordered(np.array([5, 0, 1, 2, 3, 4]))
    assert moved.y["sample"].equals(data.y["sample"])
    np.testing.assert_array_equal(moved.y.values[0], data.y.values[5])
    assert moved.x is data.x


@given(st.permutations(range(6)))
def test_exchanging_items_moves_every_pair_with_its_items(items):
    first, second = np.triu_indices(6, 1)
    labels = [f"{a}-{b}" for a, b in zip(first, second, strict=True)]
    coords = {"sample": labels, "first": ("sample", first), "second": ("sample", second)}
    x = xr.DataArray(np.arange(15.0)[:, None], dims=("sample", "feature"), coords=coords)
    data = align(x, x.rename(feature="time"))
    order = pair_order(data, np.array(items))
    for row, source in enumerate(order):
        assert {items[first[row]], items[second[row]]} == {first[source], second[source]}


@pytest.mark.parametrize("kind", ["sample", "item"])
def test_shuffling_follows_its_seed(make_data, make_pairs, kind):
    data = make_data(12) if kind == "sample" else make_pairs(6, 2)
    one, again, other = (data.shuffled(np.random.default_rng(seed)).y.values for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_time_is_not_shuffled(make_data):
    with pytest.raises(ValueError, match=r"consecutive in time.*CircularShift"):
        make_data(12, phi=0.5).shuffled(np.random.default_rng(0))
