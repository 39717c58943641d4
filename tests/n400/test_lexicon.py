"""Lexicons: what is drawn is what was asked for, and bad tables are refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroling.n400.lexicon import KINDS, Lexicon, count_neighbours, make_lexicon, one_hot, two_of_five


def own_table(**columns):
    table = pd.DataFrame(
        {"kind": ["word", "word", "pseudoword"], "frequency": 1.0, "category": "", "associate": ""},
        index=["bad", "bag", "tog"],
    )
    return table.assign(**columns)


def test_neighbours_are_counted_by_hand():
    assert count_neighbours(["bad", "tog", "aei"], ["bad", "bag", "tag", "bid"]).tolist() == [2, 1, 0]


def test_published_sizes_are_the_default():
    lexicon = make_lexicon(rng=0)
    assert lexicon.table["kind"].value_counts()[list(KINDS)].tolist() == [62, 15, 63, 63]
    assert lexicon.n_units == 15
    assert lexicon.semantics.shape == (77, 50)


def test_letters_have_five_units_of_which_two_are_on():
    codes = np.array(list(two_of_five().values()))
    assert codes.shape == (10, 5)
    assert (codes.sum(axis=1) == 2).all()
    assert len(np.unique(codes, axis=0)) == 10


def test_words_have_more_neighbours_than_acronyms_and_illegal_strings():
    means = make_lexicon(rng=3).table.groupby("kind")["neighbours"].mean()
    assert means[["word", "pseudoword"]].min() > 2 * means[["acronym", "illegal"]].max()


def test_richness_is_the_number_of_features_and_within_bounds():
    lexicon = make_lexicon(rng=0, richness=(4, 6))
    richness = lexicon.table.loc[lexicon.known, "richness"]
    np.testing.assert_array_equal(richness, lexicon.semantics.sum(axis=1))
    assert richness.between(4, 6).all()


def test_words_of_a_category_share_its_core():
    lexicon = make_lexicon(rng=0)
    words = lexicon.table.query("kind == 'word'")
    for _, group in words.groupby("category"):
        assert lexicon.meaning(group.index).all(axis=0).sum() >= 2


def test_associates_come_from_other_categories_and_share_features():
    lexicon = make_lexicon(rng=0)
    words = lexicon.table.query("associate != ''")
    for word, other in words["associate"].items():
        assert words.loc[word, "category"] != words.loc[other, "category"]
        assert (lexicon.meaning([word]) * lexicon.meaning([other])).sum() >= 1


def test_frequency_has_mean_one_over_known_items():
    lexicon = make_lexicon(rng=0)
    assert lexicon.table.loc[lexicon.known, "frequency"].mean() == pytest.approx(1)


def test_equal_seeds_agree_and_different_ones_do_not():
    one, same, other = (make_lexicon(rng=seed) for seed in (5, 5, 6))
    pd.testing.assert_frame_equal(one.table, same.table)
    np.testing.assert_array_equal(one.semantics, same.semantics)
    assert list(one.items) != list(other.items)


def test_spelling_puts_the_letters_side_by_side():
    lexicon = make_lexicon(rng=0, codes=one_hot())
    pattern = lexicon.spell(["bad"]).reshape(3, 10)
    assert pattern.argmax(axis=1).tolist() == ["aeioubdgkt".index(letter) for letter in "bad"]


def test_meaning_of_a_pseudoword_is_undefined():
    lexicon = make_lexicon(rng=0)
    assert np.isnan(lexicon.meaning(lexicon.of_kind("pseudoword")[:1])).all()


def test_own_table_keeps_its_columns():
    lexicon = Lexicon(own_table(concreteness=[1, 2, 3]), np.eye(2), two_of_five())
    assert lexicon.table["concreteness"].tolist() == [1, 2, 3]
    assert lexicon.table["neighbours"].tolist() == [1, 1, 0]


def test_pseudowords_may_be_as_many_as_there_are():
    assert len(make_lexicon(rng=0, n_words=62, n_pseudowords=63, n_illegal=0, n_acronyms=0).items) == 125


BAD_TABLES = {
    "a gap in the associates": (own_table(associate=["", float("nan"), ""]), np.eye(2), "no text for"),
    "an empty table": (own_table().iloc[:0], np.empty((0, 2)), "empty lexicon"),
    "a missing column": (own_table().drop(columns="kind"), np.eye(2), "no columns"),
    "a repeated string": (own_table().set_axis(["bad", "bad", "tog"]), np.eye(2), "more than once"),
    "an unknown letter": (own_table().set_axis(["bad", "baz", "tog"]), np.eye(2), "without a code"),
    "strings of two lengths": (own_table().set_axis(["bad", "ba", "tog"]), np.eye(2), "has 2 letters"),
    "a blank string": (own_table().set_axis(["bad", "", "tog"]), np.eye(2), "expected a string"),
    "a number for a string": (own_table().set_axis(["bad", 3, "tog"]), np.eye(2), "expected a string"),
    "an unknown type": (own_table(kind="nonword"), np.empty((0, 2)), "unknown .'nonword'."),
    "no known item": (own_table(kind="illegal"), np.empty((0, 2)), "nothing to learn"),
    "a frequency of zero": (own_table(frequency=[1, 0, 1]), np.eye(2), "not a positive number"),
    "a NaN frequency": (own_table(frequency=[1, np.nan, 1]), np.eye(2), "not a positive number"),
    "an associate from nowhere": (own_table(associate=["gut", "", ""]), np.eye(2), "not in the lexicon"),
    "too few meanings": (own_table(), np.eye(1), "a row for each word"),
    "graded features": (own_table(), np.full((2, 3), 0.5), "other than 0 and 1"),
    "a meaning without features": (own_table(), np.array([[1, 0], [0, 0]]), "no feature at all"),
}


@pytest.mark.parametrize("case", BAD_TABLES, ids=lambda name: name.replace(" ", "_"))
def test_bad_table_is_answered_by_a_sentence(case):
    table, semantics, message = BAD_TABLES[case]
    with pytest.raises(ValueError, match=message):
        Lexicon(table, semantics, two_of_five())


BAD_SIZES = {
    "one word": ({"n_words": 1}, "at least 2 words"),
    "too many legal strings": ({"n_words": 100, "n_pseudowords": 26}, "at most 125"),
    "more features than units": ({"richness": (3, 60)}, "at most 34"),
    "features the wrong way round": ({"richness": (6, 4)}, "richness"),
    "one category": ({"n_categories": 1}, "n_categories"),
    "a negative frequency": ({"frequency": (-1, 2)}, "positive range"),
}


@pytest.mark.parametrize("case", BAD_SIZES, ids=lambda name: name.replace(" ", "_"))
def test_bad_size_is_answered_by_a_sentence(case):
    sizes, message = BAD_SIZES[case]
    with pytest.raises(ValueError, match=message):
        make_lexicon(rng=0, **sizes)


def test_codes_of_different_size_are_refused():
    with pytest.raises(ValueError, match="same number of units"):
        Lexicon(own_table(), np.eye(2), {**two_of_five(), "x": np.ones(3)})


def test_eleven_letters_need_another_code():
    with pytest.raises(ValueError, match="Use one_hot"):
        two_of_five("abcdefghijk")


def test_unknown_kind_is_refused(lexicon):
    with pytest.raises(ValueError, match="expected one of"):
        lexicon.of_kind("nonword")
