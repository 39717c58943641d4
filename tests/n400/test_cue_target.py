"""Words after words: features that keep distances, spellings, and matrices without row or column means."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import pdist, squareform

from neuroling.n400.alpha import Alpha
from neuroling.n400.cue_target import cue_target_matrices, spelled, teach_spellings, tree_features
from neuroling.n400.linking_hypotheses import semantic_activation, semantic_update
from neuroling.n400.regime import Training

VECTORS = np.random.default_rng(0).standard_normal((9, 6)) + np.repeat(np.eye(3), 3, axis=0) @ np.full((3, 6), 1.0)


def test_overlap_is_one_minus_the_cophenetic_distance_but_for_rounding():
    features = tree_features(VECTORS, n_features=200)
    distance = squareform(cophenet(linkage(VECTORS, "average", metric="cosine"), pdist(VECTORS))[1])
    overlap = features @ features.T / 200
    np.testing.assert_allclose(overlap, 1 - distance / distance.max(), atol=0.01)


def test_every_word_has_as_many_features_as_asked_for():
    assert (tree_features(VECTORS, n_features=7).sum(axis=1) == 7).all()


def test_scaling_the_vectors_changes_no_feature():
    np.testing.assert_array_equal(tree_features(VECTORS), tree_features(3 * VECTORS))


def test_spelling_keeps_the_order_of_the_meanings():
    features = tree_features(VECTORS)
    lexicon = spelled(features, rng=0)
    np.testing.assert_array_equal(lexicon.meaning(list(lexicon.items)), features)


def test_equal_seeds_spell_alike_and_different_ones_do_not():
    one, same, other = (list(spelled(np.eye(5), rng=seed).items) for seed in (0, 0, 1))
    assert one == same != other


def taught(seed=0, lexicons=2):
    features = tree_features(VECTORS[:4])
    options = {"lexicons": lexicons, "participants": 2, "training": Training().with_epochs(3), "device": "cpu"}
    return teach_spellings(features, rng=seed, **options)


def matrices(seed=0, **options):
    links = (semantic_activation, semantic_update)
    networks = taught(seed, **options)
    return cue_target_matrices(
        networks, list("abcd"), alpha=Alpha(8), rng=seed, links=links, allow_unlearned=True, device="cpu"
    )


def test_there_is_a_value_for_every_ordered_pair_and_link():
    found = matrices()
    assert found.sizes == {"model": 2, "sample": 12}
    assert found["sample"].values[0] == "a → b"
    assert (found["cue"].values[0], found["target"].values[0]) == ("a", "b")


def test_no_cue_and_target_stands_out_on_average():
    found = matrices(lexicons=1)
    assert abs(found.groupby("cue").mean()).max() < 1e-7


def test_equal_seeds_give_equal_matrices_and_different_ones_do_not():
    one, same, other = (matrices(seed).to_numpy() for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)


BAD = {
    "one word": (lambda: tree_features([[1.0, 2.0]]), "two words or more"),
    "a word of zeros": (lambda: tree_features([[1.0, 2.0], [0.0, 0.0]]), "none all zero"),
    "words that are alike": (lambda: tree_features(np.ones((3, 2))), "nothing tells them apart"),
    "no feature": (lambda: tree_features(VECTORS, n_features=0), "1 or more"),
    "too many words": (lambda: spelled(np.eye(126), rng=0), "2 to 125 words"),
    "a name too few": (lambda: cue_target_matrices(taught(), list("abc"), alpha=None, rng=0), "one each"),
    "a name twice": (lambda: cue_target_matrices(taught(), list("abca"), alpha=None, rng=0), "one each"),
    "no lexicon": (lambda: teach_spellings(np.eye(2), rng=0, lexicons=0), "lexicons"),
    "no network": (lambda: cue_target_matrices([], ["a", "b"], alpha=None, rng=0), "at least one"),
}


@pytest.mark.parametrize("case", BAD, ids=lambda name: name.replace(" ", "_"))
def test_bad_input_is_answered_by_a_sentence(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
