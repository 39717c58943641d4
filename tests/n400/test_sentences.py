"""Probes for links that give one value a word, and the effects that planted values amount to."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroling.n400.effects import NOT_CARRIED, PHENOMENA
from neuroling.n400.sentences import SENTENCE_PHENOMENA, over_items, sentence_effects, sentence_probes, word_probes

WORDS = {"lion": "animal", "tiger": "animal", "bed": "thing", "desk": "thing"}


def nouns(n_items=12, seed=0):
    cloze = np.random.default_rng(seed).uniform(0.3, 0.9, n_items)
    return pd.DataFrame(
        {
            "item": np.repeat(np.arange(n_items), 2),
            "context": np.repeat([f"one two three four item{item} a" for item in range(n_items)], 2),
            "noun": [f"{kind}{item}" for item in range(n_items) for kind in ("likely", "odd")],
            "cloze": np.column_stack([cloze, np.full(n_items, 0.02)]).ravel(),
        }
    )


@pytest.fixture
def probes():
    return sentence_probes(nouns(), rng=0).table


def effect_of(table, values, name):
    rows = sentence_effects(table, {"link": values}).set_index("phenomenon")
    return rows.loc[name]


def test_each_item_has_every_condition(probes):
    assert probes[probes["condition"] != "position"].groupby("condition")["item"].nunique().eq(12).all()


def test_other_columns_are_left_behind():
    table = nouns().assign(text="a sentence of its own", position=3.0)
    assert sentence_probes(table, rng=0).table["text"].tolist()[:2] == ["likely0", "odd0"]


def test_expected_ending_is_the_one_of_the_highest_cloze(probes):
    assert probes[probes["condition"] == "expected"]["text"].str.startswith("likely").all()


def test_words_out_of_place_come_from_other_items(probes):
    rows = probes[probes["condition"] == "incongruous"]
    assert sorted(rows["text"]) == sorted(f"likely{item}" for item in range(12))
    assert all(text != f"likely{item}" for text, item in zip(rows["text"], rows["item"], strict=True))


def test_exchanged_contexts_have_the_same_words_and_the_same_last_one(probes):
    own = probes[probes["condition"] == "expected"].set_index("item")["context"]
    for item, context in probes[probes["condition"] == "exchanged"].set_index("item")["context"].items():
        assert context != own[item]
        assert sorted(context.split()) == sorted(own[item].split())
        assert context.split()[-1] == own[item].split()[-1]


def test_positions_are_prefixes_of_the_context(probes):
    rows = probes[(probes["condition"] == "position") & (probes["item"] == 3)]
    assert (rows["context"] + " " + rows["text"]).tolist()[-1] == "one two three four item3 a"
    assert rows["earliness"].tolist() == [-2, -3, -4, -5, -6]


def test_every_word_follows_itself_its_like_and_others():
    table = word_probes(WORDS).table
    assert table["condition"].value_counts().to_dict() == {"unrelated": 8, "repeated": 4, "related": 4}


def test_planted_difference_is_found_as_people_show_it(probes):
    values = np.where(probes["condition"] == "unexpected", 5.0, 3.0) + 0.1 * np.random.default_rng(0).random(
        len(probes)
    )
    found = effect_of(probes, values, "lexical probability (cloze)")
    assert found["low"] < 2 < found["high"]
    assert found["verdict"] == "as people"
    assert np.isnan(found["participants"])


def test_planted_slope_is_found_per_standard_deviation(probes):
    noise = np.random.default_rng(0).normal(0, 0.01, len(probes))
    found = effect_of(probes, 4 + 0.5 * probes["constraint"].to_numpy() + noise, "constraint, unexpected endings")
    assert found["estimate"] == pytest.approx(0.5, abs=0.02)
    assert found["verdict"] == "not as people"


def test_values_that_fall_along_the_sentence_are_larger_for_early_words(probes):
    values = 10 + probes["earliness"].to_numpy() + np.random.default_rng(0).normal(0, 0.1, len(probes))
    assert effect_of(probes, values, "position in the sentence")["estimate"] == pytest.approx(1, abs=0.05)


def test_link_that_ignores_the_context_knows_no_priming():
    table = word_probes(WORDS).table
    values = table["text"].str.len().to_numpy(dtype=float)
    assert effect_of(table, values, "semantic priming")["verdict"] == "absent"


def test_there_is_a_row_for_every_phenomenon_of_the_table(probes):
    rows = sentence_effects(probes, {"link": np.ones(len(probes))})
    wanted = {one.name for one in PHENOMENA} | set(NOT_CARRIED) | {one.name for one in SENTENCE_PHENOMENA}
    assert set(rows["phenomenon"]) == wanted
    assert not rows["phenomenon"].duplicated().any()


def test_missing_values_leave_their_rows_out(probes):
    values = np.where(probes["condition"] == "position", np.nan, 1.0)
    assert "not carried" in effect_of(probes, values, "position in the sentence")["verdict"]


def test_interval_over_items_is_that_of_a_t_test():
    from scipy import stats

    differences = np.random.default_rng(0).normal(0.3, 1, 20)
    theirs = stats.ttest_1samp(differences, 0)
    found = over_items(differences, 1.0)
    assert (found.t, found.p) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval()))


def test_equal_seeds_agree_and_different_ones_do_not():
    one, same, other = (sentence_probes(nouns(), rng=seed).fingerprint for seed in (0, 0, 1))
    assert one == same != other


BAD = {
    "a missing column": (lambda: sentence_probes(nouns().drop(columns="cloze"), rng=0), "no columns"),
    "a single ending": (lambda: sentence_probes(nouns().iloc[1:], rng=0), "each with two or more"),
    "two items": (lambda: sentence_probes(nouns(2), rng=0), "3 items or more"),
    "a short context": (lambda: sentence_probes(nouns().assign(context="so what"), rng=0), "fewer than 3 words"),
    "one category": (lambda: word_probes({"lion": "animal", "tiger": "animal"}), "two or more"),
    "values of other probes": (lambda: sentence_effects(word_probes(WORDS).table, {"x": np.ones(3)}), "16 probes"),
    "one item": (lambda: over_items(np.ones(1), 1.0), "two or more"),
}


@pytest.mark.parametrize("case", BAD, ids=lambda name: name.replace(" ", "_"))
def test_bad_input_is_answered_by_a_sentence(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()


def test_values_that_are_all_zero_have_no_effect_and_are_absent():
    found = over_items(np.zeros(4), 0.0)
    assert (found.t, found.relative) == (0.0, 0.0)
    assert found.verdict("larger") == "absent"
