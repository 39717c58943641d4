"""Models from features, layers and tables; collinearity; edit distances."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from agreement import agreement
from scipy.spatial.distance import pdist

from neuroling.numerics.strings import edit_distances
from neuroling.rsa import models as room

TABLE = pd.DataFrame(
    {
        "length": [3, 5, 4, 3],
        "log_freq": [2.5, 1.0, 0.5, 2.0],
        "class": ["animal", "animal", "tool", "tool"],
        "phonemes": ["kæt", "hɔːs", "sɔː", "hæmə"],
    },
    index=["cat", "horse", "saw", "ham"],
)


def slow_edit_distance(a, b):
    if not a or not b:
        return len(a) + len(b)
    return min(
        slow_edit_distance(a[1:], b) + 1,
        slow_edit_distance(a, b[1:]) + 1,
        slow_edit_distance(a[1:], b[1:]) + (a[0] != b[0]),
    )


def test_edit_distances_equal_the_recursion():
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abc"), rng.integers(0, 6))) for _ in range(60)]
    first, second = words[:30], words[30:]
    assert edit_distances(first, second).tolist() == [
        slow_edit_distance(a, b) for a, b in zip(first, second, strict=True)
    ]


def test_columns_become_models_by_what_they_are():
    got = room.confound_rdms(TABLE, {"length": "number", "class": "class", "phonemes": "spelling"})
    assert got.sel(sample="cat | horse").to_numpy().tolist() == [2, 0, 4]
    assert got.sel(sample="cat | saw").to_numpy().tolist() == [1, 1, 3]


def test_numbers_and_classes_are_told_apart_unasked():
    got = room.confound_rdms(TABLE, ["log_freq", "class"])
    np.testing.assert_allclose(got.sel(model="log_freq").values, pdist(TABLE[["log_freq"]]))
    assert set(got.sel(model="class").to_numpy().tolist()) == {0, 1}


def test_old20_by_hand():
    assert room.old20(["cat"], ["cat", "car", "cab", "dogs"], n_nearest=3).tolist() == [2.0]


def test_layers_become_models_each_as_it_is_alone():
    rng = np.random.default_rng(1)
    values = rng.standard_normal((6, 3, 9))
    features = xr.DataArray(
        values, dims=("sample", "layer", "feature"), coords={"sample": list("abcdef"), "layer": [0, 4, 8]}
    )
    got = room.model_rdms(features)
    assert got.model.to_numpy().tolist() == ["layer 0", "layer 4", "layer 8"]
    np.testing.assert_allclose(got.sel(model="layer 4").values, pdist(values[:, 1], "cosine"))


def test_stacking_matches_pairs_by_label():
    one = room.confound_rdms(TABLE, ["length"])
    other = room.confound_rdms(TABLE.iloc[::-1], ["log_freq"])
    both = room.stack_models(one, other)
    np.testing.assert_allclose(
        both.sel(model="log_freq").values, room.confound_rdms(TABLE, ["log_freq"]).to_numpy()[:, 0]
    )


def test_collinear_models_are_named():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((66, 3))
    x[:, 2] = x[:, 0] + 0.001 * x[:, 2]
    models = xr.DataArray(x, dims=("sample", "model"), coords={"model": ["a", "b", "c"]})
    table = room.collinearity(models)
    assert table.loc["a", "strongest"] == "c"
    assert table.loc["b", "variance_inflation"] < 1.2 < 1e4 < table.loc["a", "variance_inflation"]


def test_models_that_are_the_same_have_no_condition_number():
    x = np.random.default_rng(3).standard_normal((66, 1))
    models = xr.DataArray(np.hstack([x, x]), dims=("sample", "model"), coords={"model": ["a", "b"]})
    assert room.condition_number(models) == float("inf")
    assert np.isinf(room.collinearity(models)["variance_inflation"]).all()


def test_unrelated_models_have_a_condition_number_near_one():
    x = np.random.default_rng(4).standard_normal((5000, 4))
    assert room.condition_number(xr.DataArray(x, dims=("sample", "model"), coords={"model": list("abcd")})) < 1.1


def test_one_model_has_no_collinearity():
    with pytest.raises(ValueError, match="between at least two"):
        room.collinearity(room.confound_rdms(TABLE, ["length"]))


def test_the_confounds_of_reading_come_from_a_table_by_their_names():
    words = ["cat", "horse", "saw", "ham"]
    rng = np.random.default_rng(5)
    table = TABLE.assign(
        spelling=words,
        old20=room.old20(words, [*words, "cap", "car", "hat", "house"], n_nearest=3),
        concreteness=[4.9, 4.8, 4.7, 4.6],
        position=[2, 5, 3, 9],
        surprisal=rng.gamma(2, 3, 4),
    )
    kinds = {
        "length": "number",
        "log_freq": "number",
        "spelling": "spelling",
        "old20": "number",
        "phonemes": "spelling",
        "concreteness": "number",
        "class": "class",
        "position": "number",
        "surprisal": "number",
    }
    got = room.confound_rdms(table, kinds)
    assert got.model.to_numpy().tolist() == list(kinds)
    assert got.sel(sample="cat | saw", model="position") == 1
    np.testing.assert_allclose(got.sel(model="concreteness"), pdist(table[["concreteness"]]))
    np.testing.assert_allclose(got.sel(model="surprisal"), pdist(table[["surprisal"]]))
    assert got.sel(sample="cat | ham", model="phonemes") == 3


def test_layers_of_a_network_are_compared_over_time(features, recording):
    layers = xr.concat([features, features**2, features + 1], pd.Index(["0", "4", "8"], name="layer"))
    result = agreement(recording, room.model_rdms(layers, "euclidean"), metric="spearman")
    assert result.score.model.to_numpy().tolist() == ["layer 0", "layer 4", "layer 8"]
    np.testing.assert_allclose(result.score.sel(model="layer 0"), result.score.sel(model="layer 8"), atol=1e-6)


def test_labels_of_a_table_are_labels_like_any(features, recording):
    named = pd.Index(recording.sample.to_numpy(), name="sample", dtype="str")
    told = recording.assign_coords(sample=named)
    models = room.model_rdms(features.assign_coords(sample=named), "euclidean")
    expected = agreement(recording, room.model_rdms(features, "euclidean")).score
    np.testing.assert_array_equal(agreement(told, models).score, expected)
