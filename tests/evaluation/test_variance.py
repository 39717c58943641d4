"""Whose variance: known shares come back, parts add up, and what is negative stays so."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from neuroling import Permutation, Ridge, align, evaluate, pearson, r2
from neuroling.evaluation.variance import columns_of, explained, join_spaces, partition_variance, product_measure


def study(n=600, voxels=30, weights=(1.0, 0.5, 0.0), common=0.0, noise=1.0, seed=0):
    """Spaces a, b, c of two features each, which share a part, and a recording with known weights on them."""
    rng = np.random.default_rng(seed)
    labels = {"sample": np.arange(n)}
    core = rng.standard_normal((n, 2))
    own = [np.sqrt(1 - common) * rng.standard_normal((n, 2)) + np.sqrt(common) * core for _ in weights]
    spaces = {
        name: xr.DataArray(x, dims=("sample", "feature"), coords=labels) for name, x in zip("abc", own, strict=False)
    }
    y = sum(w * x @ (np.ones((2, voxels)) / np.sqrt(2)) for w, x in zip(weights, own, strict=True))
    y = y + noise * rng.standard_normal((n, voxels))
    return spaces, xr.DataArray(y, dims=("sample", "voxel"), coords={**labels, "voxel": np.arange(voxels)})


def least_squares(bands):
    return LinearRegression()


def test_unique_parts_of_independent_spaces_are_their_squared_weights():
    spaces, recording = study(n=3000)
    parts = partition_variance(spaces, recording, make_model=least_squares, splits=KFold(4))
    expected = np.array([1.0, 0.25, 0.0]) / 2.25
    np.testing.assert_allclose(parts.unique.mean("voxel"), expected, atol=0.01)
    np.testing.assert_allclose(parts.shared.mean(), 0.0, atol=0.01)


def test_what_two_spaces_share_is_found():
    """With weights of one on two spaces whose features correlate at c, 1 - c² of each is its own."""
    spaces, recording = study(n=3000, weights=(1.0, 1.0), common=0.6)
    parts = partition_variance(spaces, recording, make_model=least_squares, splits=KFold(4))
    total = 2 + 2 * 0.6 + 1
    np.testing.assert_allclose(parts.unique.mean("voxel"), (1 - 0.6**2) / total, atol=0.02)
    np.testing.assert_allclose(parts.shared.mean(), 1 - 1 / total - 2 * (1 - 0.6**2) / total, atol=0.03)


def test_a_space_of_noise_keeps_its_negative_part():
    spaces, recording = study(n=60, weights=(1.0, 0.0), noise=2.0)
    rng = np.random.default_rng(1)
    wide = xr.DataArray(rng.standard_normal((60, 30)), dims=("sample", "feature"), coords={"sample": np.arange(60)})
    parts = partition_variance({**spaces, "b": wide}, recording, make_model=least_squares, splits=KFold(4))
    assert float(parts.unique.sel(model="b").mean()) < -0.5


def test_parts_add_up_and_two_spaces_are_fitted_three_times():
    spaces, recording = study(n=80, weights=(1.0, 1.0))
    parts = partition_variance(spaces, recording, make_model=least_squares, splits=KFold(4))
    assert parts.result.score.model.values.tolist() == ["a + b", "b", "a"]
    np.testing.assert_allclose(parts.unique.sum("model") + parts.shared, parts.full)
    np.testing.assert_allclose(parts.without.sel(model="a"), parts.alone.sel(model="b"))


def test_the_training_mean_explains_nothing_however_far_the_test_mean_is():
    class Mean:
        def fit(self, X, y):
            self.mean = y.mean(axis=0)
            return self

        def predict(self, X):
            return np.tile(self.mean, (len(X), 1))

    spaces, recording = study(n=60)
    shifted = recording + 5 * np.repeat([[0.0], [1.0], [2.0]], 20, axis=0)
    scores = [
        evaluate(Mean(), align(spaces["a"], shifted), splits=KFold(3), metric=metric).score.max()
        for metric in (explained, r2)
    ]
    assert abs(float(scores[0])) < 1e-12
    assert float(scores[1]) < -5


def test_no_share_is_given_of_a_whole_below_zero():
    spaces, recording = study(n=30, weights=(0.0, 0.0))
    table = partition_variance(spaces, recording, make_model=least_squares, splits=KFold(3)).table()
    assert table["share of full"].isna().all()


def test_the_model_is_told_where_the_spaces_are():
    spaces, recording = study(n=60)
    told = []

    def make(bands):
        told.append(dict(bands))
        return Ridge(1.0, device="cpu")

    partition_variance(spaces, recording, make_model=make, splits=KFold(3))
    assert told[0] == {"a": slice(0, 2), "b": slice(2, 4), "c": slice(4, 6)}
    assert {"a": slice(0, 2), "c": slice(2, 4)} in told


def test_the_table_ends_with_what_is_shared_and_the_whole():
    spaces, recording = study(n=60)
    table = partition_variance(spaces, recording, make_model=least_squares, splits=KFold(3)).table()
    assert table["space"].tolist() == ["a", "b", "c", "shared", "all together"]
    assert table["share of full"].sum() == pytest.approx(1.0)


def test_all_evaluations_can_be_saved_as_one():
    spaces, recording = study(n=60)
    found = partition_variance(spaces, recording, make_model=least_squares, splits=KFold(3)).result
    assert "a + b + c" in found.score.model.values.tolist()


def test_overlaps_add_up_and_find_what_two_spaces_share():
    spaces, recording = study(n=3000, weights=(1.0, 1.0), common=0.6)
    parts = partition_variance(spaces, recording, make_model=least_squares, splits=KFold(4), overlaps=True)
    overlaps = parts.overlaps()
    assert overlaps.model.values.tolist() == ["a", "b", "a & b"]
    np.testing.assert_allclose(overlaps.sum("model"), parts.full)
    np.testing.assert_allclose(overlaps.sel(model="a"), parts.unique.sel(model="a"))
    np.testing.assert_allclose(overlaps.sel(model="a & b"), parts.shared)


def test_three_spaces_have_seven_parts_that_add_up():
    spaces, recording = study(n=300, weights=(1.0, 1.0, 0.5), common=0.3)
    parts = partition_variance(spaces, recording, make_model=least_squares, splits=KFold(3), overlaps=True)
    overlaps = parts.overlaps()
    assert overlaps.model.values.tolist() == ["a", "b", "c", "a & b", "a & c", "b & c", "a & b & c"]
    np.testing.assert_allclose(overlaps.sum("model"), parts.full)
    for name in "abc":
        np.testing.assert_allclose(overlaps.sel(model=name), parts.unique.sel(model=name))
        alone = [label for label in overlaps.model.values.tolist() if name in label.split(" & ")]
        np.testing.assert_allclose(overlaps.sel(model=alone).sum("model"), parts.alone.sel(model=name))


def test_overlaps_that_were_not_fitted_are_refused():
    spaces, recording = study(n=60)
    four = {**spaces, "d": spaces["a"] + spaces["b"].values}
    with pytest.raises(ValueError, match=r"6 of 15 sets of spaces were not fitted, first 'a \+ b'; .*overlaps=True"):
        partition_variance(four, recording, make_model=least_squares, splits=KFold(3)).overlaps()


def test_a_unique_part_is_tested_on_the_same_draws():
    spaces, recording = study(n=60, weights=(1.5, 0.0))
    parts = partition_variance(spaces, recording, make_model=least_squares, splits=KFold(3), inference=Permutation(39))
    unique = parts.unique_of("a")
    np.testing.assert_allclose(unique.score, parts.unique.sel(model="a"))
    assert float(unique.p_values().max()) <= 0.05 < float(parts.unique_of("b").p_values().median())
    np.testing.assert_allclose(unique.test(Permutation(39)).null.draws, unique.null.draws, atol=1e-12)


# --- product measure --------------------------------------------------------------------------------------------------


def joined(**options):
    spaces, recording = study(**options)
    return align(join_spaces(spaces), recording), columns_of(spaces)


@pytest.mark.parametrize(
    ("of", "metric"), [("explained", explained), ("r2", r2), ("r", pearson)], ids=["explained", "r2", "r"]
)
def test_parts_of_the_product_measure_add_up_to_the_score(of, metric):
    data, bands = joined(n=90, common=0.5)
    parts = product_measure(Ridge(5.0, device="cpu"), data, bands, splits=KFold(3), of=of)
    whole = evaluate(Ridge(5.0, device="cpu"), data, splits=KFold(3), metric=metric)
    np.testing.assert_allclose(parts.sum("model").mean("split"), whole.score, atol=1e-10)


def test_the_product_measure_of_independent_spaces_is_their_squared_weights():
    data, bands = joined(n=3000)
    parts = product_measure(LinearRegression(), data, bands, splits=KFold(4)).mean(["split", "voxel"])
    np.testing.assert_allclose(parts, np.array([1.0, 0.25, 0.0]) / 2.25, atol=0.01)


def test_a_harmful_space_is_negative_in_the_product_measure():
    data, bands = joined(n=40, weights=(1.0, 0.0), noise=3.0)
    parts = product_measure(LinearRegression(), data, bands, splits=KFold(4)).mean(["split", "voxel"])
    assert float(parts.sel(model="b")) < 0


def test_labels_of_targets_survive():
    data, bands = joined(n=60)
    parts = product_measure(LinearRegression(), data, bands, splits=KFold(3), of="r2")
    assert parts.dims == ("split", "model", "voxel")
    assert parts.model.values.tolist() == ["a", "b", "c", "baseline"]


def test_a_model_that_is_no_sum_is_refused():
    data, bands = joined(n=60)
    with pytest.raises(ValueError, match="KernelRidge is not a sum over spaces"):
        product_measure(KernelRidge(kernel="rbf"), data, bands, splits=KFold(3))


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bands", "message"),
    [
        ({"a": slice(0, 2), "b": slice(2, 4)}, "2 of 6 columns of X are in no space"),
        ({"a": slice(0, 4), "b": slice(2, 6)}, "2 columns are in more than one space"),
        ({"a": slice(0, 6), "b": []}, "'b' has no columns of the 6 in X"),
    ],
    ids=["left over", "twice", "empty"],
)
def test_bands_that_do_not_cover_the_columns_are_refused(bands, message):
    data, _ = joined(n=60)
    with pytest.raises(ValueError, match=message):
        product_measure(LinearRegression(), data, bands, splits=KFold(3))


def test_one_space_cannot_be_parted():
    spaces, recording = study(n=60)
    with pytest.raises(ValueError, match=r"spaces: got \['a'\]; expected at least two"):
        partition_variance({"a": spaces["a"]}, recording, make_model=least_squares, splits=KFold(3))


def test_a_space_may_not_take_the_name_of_the_rest():
    spaces, recording = study(n=60)
    with pytest.raises(ValueError, match=r"\['shared'\] cannot be names"):
        partition_variance(
            {"a": spaces["a"], "shared": spaces["b"]}, recording, make_model=least_squares, splits=KFold(3)
        )


def test_spaces_of_other_samples_are_refused():
    spaces, _ = study(n=60)
    with pytest.raises(ValueError, match="'b' and 'a' have other sample labels"):
        join_spaces({"a": spaces["a"], "b": spaces["b"].isel(sample=slice(30))})


def test_the_longest_delay_survives_joining():
    spaces, _ = study(n=60)
    late = spaces["b"].assign_attrs(longest_delay=4)
    assert join_spaces({"a": spaces["a"], "b": late}).attrs["longest_delay"] == 4
