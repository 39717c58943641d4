from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.linear_model import LogisticRegression, Ridge

from neuroling.probing.mixing import (
    LayerMixProbe,
    centre_of_gravity,
    control_labels,
    expected_layer,
    stack_layers,
    with_heads,
)


def layers(n=600, n_layers=4, width=6, seed=0):
    return np.random.default_rng(seed).standard_normal((n, n_layers, width))


def planted(layer, **options):
    x = layers()
    classes = (x[:, layer, 0] > 0).astype(int) + 2 * (x[:, layer, 1] > 0)
    return LayerMixProbe(4, n_classes=4, **options).fit(x.reshape(600, -1), classes), x, classes


@pytest.mark.parametrize("layer", [0, 2, 3])
def test_the_mixture_finds_the_layer_that_knows(layer):
    probe, x, classes = planted(layer, n_epochs=80, learning_rate=0.03)
    assert probe.weights_.argmax() == layer
    assert (probe.predict(x.reshape(600, -1)) == classes).mean() > 0.9
    assert probe.weights_.sum() == pytest.approx(1, abs=1e-6)


def test_a_larger_layer_is_not_preferred_for_its_size():
    x = layers()
    classes = (x[:, 1, 0] > 0).astype(int)
    weights = [
        LayerMixProbe(4, n_classes=2).fit((x * size).reshape(600, -1), classes).weights_
        for size in (np.ones((4, 1)), np.array([[100.0], [1.0], [1.0], [1.0]]))
    ]
    np.testing.assert_allclose(*weights, atol=1e-3)


def test_one_layer_and_classes_agree_with_logistic_regression():
    x = layers(n_layers=1)[:, 0]
    classes = np.digitize(x[:, 0] + 0.3 * layers(seed=1)[:, 0, 0], [-0.5, 0.5])
    ours = LayerMixProbe(1, n_classes=3, n_epochs=60).fit(x, classes).predict(x)
    theirs = LogisticRegression(C=1e6).fit(x, classes).predict(x)
    assert (ours == theirs).mean() > 0.96


def test_one_layer_and_numbers_agree_with_ridge():
    x = layers(n_layers=1)[:, 0]
    y = 3 + 20 * x[:, 0] + layers(seed=1)[:, 0, 0]
    ours = LayerMixProbe(1, n_epochs=60).fit(x, y).predict(x)
    np.testing.assert_allclose(ours, Ridge(1e-6).fit(x, y).predict(x), atol=0.3)


def test_hidden_units_learn_what_no_linear_probe_can():
    x = layers(n_layers=1)[:, 0]
    exclusive = ((x[:, 0] > 0) ^ (x[:, 1] > 0)).astype(int)
    scores = [
        (LayerMixProbe(1, n_classes=2, hidden=hidden, n_epochs=40).fit(x, exclusive).predict(x) == exclusive).mean()
        for hidden in (None, 32)
    ]
    assert scores[0] < 0.65
    assert scores[1] > 0.9


def test_equal_seeds_agree_and_others_do_not():
    maps = [planted(1, n_epochs=1, seed=seed)[0].state_["last"].numpy() for seed in (0, 0, 1)]
    np.testing.assert_array_equal(maps[0], maps[1])
    assert not np.allclose(maps[0], maps[2])


def test_expected_layers_of_scores_written_by_hand():
    expected, gains = expected_layer([0.4, 0.4, 0.8, 0.8])
    assert expected == 2
    np.testing.assert_allclose(gains, [0, 0.4, 0])


def test_adding_to_all_scores_moves_no_expected_layer():
    scores = np.sort(np.random.default_rng(0).random(7))
    assert expected_layer(scores)[0] == pytest.approx(expected_layer(scores * 0.5 + 0.2)[0])


@pytest.mark.parametrize("scores", [[0.5], [0.5, 0.4], [0.5, np.nan]], ids=["one", "falling", "nan"])
def test_scores_without_a_gain_have_no_expected_layer(scores):
    with pytest.raises(ValueError, match="scores"):
        expected_layer(scores)


def test_the_centre_of_gravity_is_the_mean_layer():
    assert centre_of_gravity([0.5, 0, 0.5]) == 1
    with pytest.raises(ValueError, match="sum to 2"):
        centre_of_gravity([1, 1])


def test_control_labels_depend_on_the_word_alone():
    words = np.array(["a", "b", "a", "c"] * 50)
    drawn = control_labels(words, np.arange(200), np.random.default_rng(0))
    assert [len(set(drawn[words == word])) for word in "abc"] == [1, 1, 1]


def test_control_labels_are_as_frequent_as_the_real_ones():
    rng = np.random.default_rng(0)
    drawn = control_labels(np.arange(20_000), rng.choice(3, p=[0.6, 0.3, 0.1], size=20_000), rng)
    np.testing.assert_allclose(np.bincount(drawn) / 20_000, [0.6, 0.3, 0.1], atol=0.015)


def test_control_labels_of_equal_seeds_agree_and_others_do_not():
    words, labels = np.arange(50), np.arange(50)
    a, b, c = (control_labels(words, labels, np.random.default_rng(seed)).tolist() for seed in (0, 0, 1))
    assert a == b != c


def sentence_states():
    coords = {"sample": ["s/1", "s/2", "t/1", "t/2", "t/3"], "layer": [0, 1], "feature": [0, 1, 2]}
    states = xr.DataArray(np.arange(30.0).reshape(5, 2, 3), dims=("sample", "layer", "feature"), coords=coords)
    place = {"group": ("sample", list("ssttt")), "position": ("sample", [1, 2, 1, 2, 3]), "sample": coords["sample"]}
    return states, xr.DataArray([2, 0, 0, 1, 2], dims="sample", coords=place)


def test_layers_lie_end_to_end():
    stacked = stack_layers(sentence_states()[0])
    assert stacked.feature.values.tolist() == ["0/0", "0/1", "0/2", "1/0", "1/1", "1/2"]
    assert stacked.values[0].tolist() == [0, 1, 2, 3, 4, 5]


def test_words_stand_beside_their_heads_and_roots_are_left_out():
    both = with_heads(*sentence_states())
    assert both.sample.values.tolist() == ["s/1", "t/2", "t/3"]
    assert both.values[:, [0, 6]].tolist() == [[0, 6], [18, 12], [24, 18]]


@pytest.mark.parametrize(
    ("options", "shape", "y", "message"),
    [
        ({"n_layers": 2}, (3, 3), [0, 1, 0], "multiple of 2"),
        ({"n_classes": 2}, (3, 2), [1, 1, 1], "1 classes"),
        ({"n_classes": 2}, (3, 2), [0, 1, 2], "from 0 to 2"),
        ({"n_classes": 2}, (3, 2), [0, 0.5, 1], "whole numbers"),
        ({}, (3, 2), [0, 1], "shapes"),
        ({}, (3, 2), [0, np.inf, 1], "NaN or infinite"),
    ],
    ids=["layers", "one class", "label outside", "half a label", "lengths", "infinite"],
)
def test_bad_input_is_named(options, shape, y, message):
    with pytest.raises(ValueError, match=message):
        LayerMixProbe(**options).fit(np.ones(shape), np.asarray(y))


def test_predicting_before_fitting_and_with_other_features_is_refused():
    with pytest.raises(ValueError, match="not been fitted"):
        LayerMixProbe().predict(np.eye(2))
    with pytest.raises(ValueError, match="expected 2 features"):
        LayerMixProbe(1, n_epochs=1).fit(np.eye(2), np.arange(2.0)).predict(np.eye(3))
