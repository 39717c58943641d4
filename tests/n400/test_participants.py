"""Teaching several lexicons: reproducible, independent of how many, and labelled by their letters."""

from __future__ import annotations

import numpy as np
import pytest

from neuroling.n400.participants import train_networks


def test_a_lexicon_does_not_depend_on_how_many_there_are():
    (alone,) = train_networks(lexicons=1, participants=1, rng=0, epochs=2, device="cpu")
    together = train_networks(lexicons=2, participants=1, rng=0, epochs=2, device="cpu")
    assert list(alone.lexicon.items) == list(together[0].lexicon.items)
    assert list(alone.lexicon.items) != list(together[1].lexicon.items)
    np.testing.assert_array_equal(alone.weights["hidden.forward"], together[0].weights["hidden.forward"])


def test_letters_decide_the_input_units():
    (published,) = train_networks(lexicons=1, participants=1, rng=0, epochs=1, device="cpu")
    (one_hot,) = train_networks(lexicons=1, participants=1, rng=0, epochs=1, letters="one-hot", device="cpu")
    assert (published.lexicon.n_units, one_hot.lexicon.n_units) == (15, 30)


def test_equal_seeds_agree_and_different_ones_do_not():
    one, same, other = (
        train_networks(lexicons=1, participants=1, rng=seed, epochs=1, device="cpu")[0] for seed in (1, 1, 2)
    )
    assert list(one.lexicon.items) == list(same.lexicon.items)
    assert list(one.lexicon.items) != list(other.lexicon.items)


def test_seeds_of_training_teach_the_same_lexicon_to_others():
    options = {"lexicons": 1, "participants": 1, "rng": 0, "epochs": 1, "device": "cpu"}
    usual, same, one, again, other = (train_networks(**options, training_seed=seed)[0] for seed in (None, 0, 1, 1, 2))
    assert list(one.lexicon.items) == list(other.lexicon.items) == list(usual.lexicon.items)
    np.testing.assert_array_equal(usual.weights["hidden.forward"], same.weights["hidden.forward"])
    np.testing.assert_array_equal(one.weights["hidden.forward"], again.weights["hidden.forward"])
    assert len({network.weights["hidden.forward"].tobytes() for network in (usual, one, other)}) == 3


@pytest.mark.parametrize(
    ("options", "message"), [({"lexicons": 0}, "lexicons"), ({"letters": "braille"}, "two-of-five")]
)
def test_bad_cohort_is_answered_by_a_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        train_networks(**{"lexicons": 1, "participants": 1, "rng": 0, "epochs": 1, "device": "cpu", **options})
