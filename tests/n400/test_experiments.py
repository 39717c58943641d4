"""Experiments: counterbalanced contexts, conditions as defined, bad input."""

from __future__ import annotations

import pytest

from neuroling.n400.experiments import (
    Timing,
    associative_priming,
    experiment,
    repetition,
    semantic_priming,
    sentence_like,
)
from neuroling.n400.lexicon import make_lexicon

DESIGNS = {
    "repetition": repetition,
    "lagged repetition": lambda lexicon, rng: repetition(lexicon, rng=rng, lag=2),
    "semantic priming": semantic_priming,
    "associative priming": associative_priming,
    "sentence-like": lambda lexicon, rng: sentence_like(lexicon, rng=rng, length=2),
}


@pytest.fixture(scope="module")
def full():
    return make_lexicon(rng=0)


@pytest.mark.parametrize("design", DESIGNS)
def test_the_same_contexts_serve_in_both_conditions(full, design):
    table = DESIGNS[design](full, rng=0).table
    one, other = (group["context"].sort_values().tolist() for _, group in table.groupby("condition"))
    assert one == other


@pytest.mark.parametrize("design", DESIGNS)
def test_every_target_occurs_once_in_each_condition(full, design):
    table = DESIGNS[design](full, rng=0).table
    assert (table.groupby(["item", "condition"]).size() == 1).all()
    assert (table.groupby("item")["condition"].nunique() == 2).all()


@pytest.mark.parametrize("design", DESIGNS)
def test_equal_seeds_agree_and_different_ones_do_not(full, design):
    one, same, other = (DESIGNS[design](full, rng=seed).fingerprint for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_repeated_targets_follow_themselves_and_new_ones_another_of_their_type(full):
    table = repetition(full, rng=0).table
    first = table["context"].str.split().str[0]
    assert ((first == table["text"]) == (table["condition"] == "repeated")).all()
    assert (full.table["kind"].loc[first].to_numpy() == table["kind"]).all()


def test_lag_puts_other_strings_in_between(full):
    table = repetition(full, rng=0, lag=3).table
    assert (table["context"].str.split().str.len() == 4).all()


def test_related_primes_share_the_category_and_unrelated_ones_do_not(full):
    table, category = semantic_priming(full, rng=0).table, full.table["category"]
    same = category.loc[table["context"]].to_numpy() == category.loc[table["text"]].to_numpy()
    assert (same == (table["condition"] == "related")).all()


def test_congruent_contexts_hold_words_of_the_targets_category_but_not_the_target(full):
    table = sentence_like(full, rng=0).table.query("condition == 'congruent'")
    for target, context in zip(table["text"], table["context"], strict=True):
        categories = set(full.table.loc[context.split(), "category"])
        assert categories == {full.table.loc[target, "category"]}
        assert target not in context.split()


def test_times_start_before_the_target_and_count_in_seconds():
    times = Timing(before=2, target=4, tick=0.05).times()
    assert times.tolist() == pytest.approx([-0.1, -0.05, 0, 0.05, 0.1, 0.15])


def test_repeated_trials_get_numbered_labels(full):
    word = full.known[0]
    assert experiment(full, [(word, "", "a"), (word, "", "b")], name="x").labels[1].endswith("(2)")


BAD = {
    "an unknown target": (lambda full: experiment(full, [("zzz", "", "new")], name="x"), "not in the lexicon"),
    "an unknown context": (lambda f: experiment(f, [(f.known[0], "zzz", "new")], name="x"), "not in the lexicon"),
    "no trial": (lambda full: experiment(full, [], name="x"), "at least one"),
    "a negative lag": (lambda full: repetition(full, rng=0, lag=-1), "lag"),
    "a context of no words": (lambda full: sentence_like(full, rng=0, length=0), "1 word or more"),
    "a context longer than a category": (lambda full: sentence_like(full, rng=0, length=20), "shorter context"),
    "no time to be seen": (lambda full: Timing(shown=0), "shown, blank, target"),
    "a negative blank": (lambda full: Timing(blank=-1), "shown, blank, target"),
    "more before than there is": (lambda full: Timing(before=40), "what a context lasts"),
    "a tick of no length": (lambda full: Timing(tick=0), "positive number of seconds"),
}


@pytest.mark.parametrize("case", BAD, ids=lambda name: name.replace(" ", "_"))
def test_bad_design_is_answered_by_a_sentence(full, case):
    build, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        build(full)


def test_half_a_tick_is_refused():
    with pytest.raises(TypeError, match="whole numbers of ticks"):
        Timing(shown=3.5)


def test_lexicon_without_associates_has_no_associative_priming():
    lexicon = make_lexicon(rng=0, n_words=2, n_acronyms=0, n_pseudowords=0, n_illegal=0, n_categories=2)
    with pytest.raises(ValueError, match="three words with an associate"):
        associative_priming(lexicon, rng=0)


def test_categories_of_one_word_have_no_semantic_priming():
    lexicon = make_lexicon(rng=0, n_words=3, n_acronyms=0, n_pseudowords=0, n_illegal=0, n_categories=3)
    with pytest.raises(ValueError, match="two categories"):
        semantic_priming(lexicon, rng=0)
