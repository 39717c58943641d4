"""A probe that is given vectors with a tree in them finds the tree, and nothing where there is none."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr
from sklearn.base import clone
from sklearn.model_selection import PredefinedSplit

from neuroling import evaluate
from neuroling.evaluation.metrics import Metric
from neuroling.probing.pairs import (
    WithinSentences,
    depth_spearman,
    distance_spearman,
    root_found,
    uuas,
    word_depths,
    word_pairs,
)
from neuroling.probing.structural import StructuralProbe
from neuroling.probing.trees import random_heads


def planted(n_sentences: int = 40, signal: float = 1.0, seed: int = 0) -> tuple[xr.DataArray, xr.DataArray]:
    """Give vectors in which every edge is a step along an axis of its own, hidden by a rotation and by noise."""
    rng = np.random.default_rng(seed)
    width, inner = 24, 8
    mixing = np.linalg.qr(rng.standard_normal((width, width)))[0][:inner]
    vectors, heads, group, position = [], [], [], []
    for sentence in range(n_sentences):
        n = int(rng.integers(4, inner + 1))
        tree = random_heads(n, rng)
        steps = np.zeros((n, inner))
        for word in range(n):
            place = word + 1
            while place:
                steps[word, place - 1] += 1  # one axis a word: squared distances are path lengths
                place = int(tree[place - 1])
        vectors.append(signal * steps @ mixing + 0.05 * rng.standard_normal((n, width)))
        heads += tree.tolist()
        group += [f"s{sentence:03d}"] * n
        position += range(1, n + 1)
    labels = [f"{g}/{p}" for g, p in zip(group, position, strict=True)]
    coords = {"sample": labels, "group": ("sample", group), "position": ("sample", position)}
    x = xr.DataArray(np.concatenate(vectors), dims=("sample", "feature"), coords={"sample": labels})
    return x, xr.DataArray(np.asarray(heads), dims="sample", coords=coords)


def halves(data):
    test = data.coordinate("group") >= "s020"
    return PredefinedSplit(np.where(test, 0, -1)), np.flatnonzero(test)


PROBE = StructuralProbe(8, n_epochs=40, learning_rate=0.02)


def test_the_distance_probe_recovers_planted_trees():
    data = word_pairs(*planted())
    splits, rows = halves(data)
    metric = Metric("UUAS", WithinSentences.of(data, rows, uuas))
    assert float(evaluate(PROBE, data, splits=splits, metric=metric).score) > 0.97


def test_the_distance_probe_finds_no_more_than_chance_in_noise():
    data = word_pairs(*planted(signal=0.0))
    splits, rows = halves(data)
    metric = Metric("UUAS", WithinSentences.of(data, rows, uuas))
    assert float(evaluate(PROBE, data, splits=splits, metric=metric).score) < 0.45  # random edges: 2 / n, about 0.34


def test_the_depth_probe_recovers_planted_depths():
    x, heads = planted()
    data = word_depths(x, heads)
    splits, rows = halves(data)
    metric = Metric("NSpr", WithinSentences.of(data, rows, depth_spearman, by_length=True))
    assert float(evaluate(PROBE, data, splits=splits, metric=metric).score) > 0.95


def test_scaling_the_vectors_changes_no_prediction():
    x, heads = planted(10)
    one, two = (word_pairs(factor * x, heads) for factor in (1.0, 128.0))
    predicted = [clone(PROBE).fit(d.x.values, d.y.values, d.groups()).predict(d.x.values) for d in (one, two)]
    np.testing.assert_allclose(*predicted, rtol=1e-3, atol=1e-3)


def test_the_direction_of_a_pair_does_not_matter():
    x, heads = planted(10)
    data = word_pairs(x, heads)
    probe = clone(PROBE).fit(data.x.values, data.y.values, data.groups())
    np.testing.assert_allclose(probe.predict(data.x.values), probe.predict(-data.x.values))


def test_equal_seeds_agree_and_others_do_not():
    data = word_pairs(*planted(6))
    maps = [
        StructuralProbe(4, n_epochs=2, seed=seed).fit(data.x.values, data.y.values, data.groups()).projection_
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(maps[0], maps[1])
    assert not np.allclose(maps[0], maps[2])


def test_the_loss_is_that_of_a_plain_reference():
    """One full batch: the mean absolute error in each sentence, averaged over sentences."""
    data = word_pairs(*planted(5))
    probe = StructuralProbe(3, n_epochs=1, batch_groups=5, learning_rate=1e-30)
    probe.fit(data.x.values, data.y.values, data.groups())
    error = np.abs(probe.predict(data.x.values) - data.y.values)
    means = [error[data.groups() == name].mean() for name in np.unique(data.groups())]
    assert probe.losses_[0] == pytest.approx(np.mean(means), rel=1e-5)


def test_words_of_different_sentences_are_never_paired():
    data = word_pairs(*planted(5))
    sentence = [np.char.partition(data.coordinate(side).astype(str), "/")[:, 0] for side in ("first", "second")]
    np.testing.assert_array_equal(sentence[0], sentence[1])
    np.testing.assert_array_equal(sentence[0], data.coordinate("group"))


def test_splits_that_cut_a_sentence_are_refused():
    data = word_pairs(*planted(5))
    cut = PredefinedSplit(np.where(np.arange(data.n_samples) % 2, 0, -1))
    with pytest.raises(ValueError, match="on both sides"):
        evaluate(PROBE, data, splits=cut, metric=Metric("any", lambda a, b: (a - b).mean(-1)))


def test_pairs_follow_labels_and_not_the_order_of_rows():
    x, heads = planted(4)
    shuffled = x.isel(sample=np.random.default_rng(0).permutation(x.sizes["sample"]))
    np.testing.assert_array_equal(word_pairs(x, heads).x.values, word_pairs(shuffled, heads).x.values)


def test_a_sentence_of_one_word_has_no_pair_and_one_depth():
    coords = {"sample": list("abc"), "group": ("sample", ["s", "t", "t"]), "position": ("sample", [1, 1, 2])}
    heads = xr.DataArray([0, 2, 0], dims="sample", coords=coords)
    x = xr.DataArray(np.eye(3), dims=("sample", "feature"), coords={"sample": list("abc")})
    with pytest.raises(ValueError, match="one sample"):
        word_pairs(x, heads)  # a single pair is too few to learn from
    assert word_depths(x, heads).y.values.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h.isel(sample=slice(1, None)), "labels differ"),
        (lambda h: h.drop_vars("group"), "no coordinates"),
        (lambda h: h.assign_coords(position=("sample", h.position.values[::-1])), "in order"),
        (lambda h: h.copy(data=np.where(h.position == 1, 1, h.values)), "sentence 's000'"),
        (lambda h: h.assign_coords(group=("sample", np.where(h.position == 2, "other", h.group))), "stand together"),
    ],
    ids=["labels", "no sentence", "out of order", "cycle", "torn"],
)
def test_words_that_are_no_sentences_are_refused(change, message):
    x, heads = planted(3)
    heads = heads.copy(data=np.where(heads.position == 1, 0, heads.position - 1))  # chains
    with pytest.raises(ValueError, match=message):
        word_pairs(x, change(heads))


@pytest.mark.parametrize(
    ("options", "y", "message"),
    [
        ({"rank": 0}, [1.0, 2.0], "rank 0"),
        ({}, [1.0], "shapes"),
        ({}, [1.0, np.nan], "NaN"),
        ({}, [1.0, -1.0], "at least 0"),
    ],
    ids=["rank", "length", "nan", "negative"],
)
def test_bad_input_to_the_probe_is_named(options, y, message):
    with pytest.raises(ValueError, match=message):
        StructuralProbe(**options).fit(np.eye(2), np.asarray(y))


def test_a_probe_that_diverges_says_so():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="diverged"):
            StructuralProbe(2, n_epochs=9, learning_rate=1e25).fit(np.eye(8), np.arange(8.0))


def test_predicting_before_fitting_and_with_other_features_is_refused():
    with pytest.raises(ValueError, match="not been fitted"):
        StructuralProbe().predict(np.eye(2))
    with pytest.raises(ValueError, match="expected 2 features"):
        StructuralProbe(1, n_epochs=1).fit(np.eye(2), np.ones(2)).predict(np.eye(3))


# --- scores ----------------------------------------------------------------------------------------------------------

CHAIN = np.array([1.0, 2.0, 3.0, 1.0, 2.0, 1.0])  # four words in a row


def test_the_truth_scores_one_and_half_the_edges_half():
    assert uuas(CHAIN, CHAIN**2) == (1.0, 3.0)
    star = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])  # all hang on the first word: one edge in common
    assert uuas(CHAIN, star) == (pytest.approx(1 / 3), 3.0)


def test_distance_spearman_is_scipys_over_rows():
    from scipy.spatial.distance import squareform
    from scipy.stats import spearmanr

    guess = np.random.default_rng(0).random(6)
    rows = zip(squareform(CHAIN), squareform(guess), strict=True)
    assert distance_spearman(CHAIN, guess)[0] == pytest.approx(np.mean([spearmanr(a, b).statistic for a, b in rows]))


def test_depths_in_order_score_one_and_a_constant_has_no_score():
    assert depth_spearman(np.array([0.0, 1, 2]), np.array([0.1, 0.2, 0.9])) == (pytest.approx(1.0), 1.0)
    assert depth_spearman(np.array([0.0, 1, 2]), np.ones(3))[1] == 0


def test_the_root_is_found_or_not_and_may_be_left_out():
    assert root_found(np.array([1.0, 0, 1]), np.array([3.0, 1, 2])) == (1.0, 1.0)
    assert root_found(np.array([1.0, 0, 1]), np.array([0.0, 1, 2])) == (0.0, 1.0)
    assert root_found(np.array([1.0, 1]), np.array([0.0, 1]))[1] == 0


def test_means_by_length_weigh_every_length_the_same():
    def first_value(_, prediction):
        return float(prediction[0]), 1.0

    sentence = np.repeat(["a", "b", "c", "d"], 2)
    lengths = np.repeat([5, 5, 9, 4], 2)  # d is too short to count
    layout = WithinSentences(first_value, sentence, np.ones(8, bool), lengths)
    values = np.repeat([0.0, 1.0, 0.1, 9.0], 2)
    assert float(layout(values, values)) == pytest.approx((0.5 + 0.1) / 2)


def test_pairs_with_punctuation_are_passed_over():
    layout = WithinSentences(uuas, np.array(["s"] * 6), np.array([1, 1, 0, 1, 0, 0], bool))
    assert layout.each(CHAIN, CHAIN).coords["weight"].values.tolist() == [2.0]


def test_a_layout_for_other_rows_is_refused():
    with pytest.raises(ValueError, match="laid out for 3 values"):
        WithinSentences(uuas, np.array(["s"] * 3), np.ones(3, bool))(CHAIN, CHAIN)
