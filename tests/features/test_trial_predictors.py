from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroling import Stimuli, surprisal
from neuroling.features.lexical.ngram import fit_ngram
from neuroling.features.trial_predictors import predictors_in_context, predictors_in_reading, standardized

MODEL = fit_ngram(Stimuli.from_texts(["the cat saw the dog", "the dog saw the cat", "a cat ran"]), order=2)
COLUMNS = {"text_column": "word", "item_column": "item", "position_column": "position"}


def reading(*rows):
    return pd.DataFrame(rows, columns=["reader", "item", "position", "word"])


SENTENCE = [("a", 1, place, word) for place, word in enumerate(("the", "cat", "saw"), start=1)]


def test_surprisal_of_a_word_is_that_in_its_own_sentence():
    table = predictors_in_reading(reading(*SENTENCE), MODEL, **COLUMNS, spillover=1)
    words = Stimuli.from_texts(["the", "cat", "saw"], labels=range(3), group=["s"] * 3)
    np.testing.assert_allclose(table["surprisal"], surprisal(words, MODEL).to_numpy()[:, 0])
    np.testing.assert_allclose(table["surprisal-1"][1:], table["surprisal"][:-1])
    assert table["length-1"].isna().tolist() == [True, False, False]


def test_rows_in_any_order_get_the_predictors_of_their_word():
    ordered = reading(*SENTENCE, *[("b", *row[1:]) for row in SENTENCE])
    shuffled = ordered.sample(frac=1, random_state=0)
    one, other = (predictors_in_reading(rows, MODEL, **COLUMNS) for rows in (ordered, shuffled))
    pd.testing.assert_frame_equal(one, other.loc[one.index])


def test_nothing_spills_over_from_another_sentence():
    rows = reading(*SENTENCE, ("a", 2, 1, "a"), ("a", 2, 2, "cat"))
    table = predictors_in_reading(rows, MODEL, **COLUMNS)
    assert np.isnan(table["surprisal-1"][3])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*SENTENCE, ("b", 1, 2, "dog")], "different words for different readers"),
        ([SENTENCE[0], SENTENCE[2]], "lacks the word before place 3"),
        ([("a", 1, "first", "the")], "are no numbers"),
    ],
)
def test_texts_that_are_not_whole_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        predictors_in_reading(reading(*rows), MODEL, **COLUMNS)


def test_a_word_in_context_is_the_last_one():
    trials = pd.DataFrame({"context": ["the", "the cat saw the"], "word": ["cat", "dog"]}, index=[7, 9])
    table = predictors_in_context(trials, MODEL, text_column="word", context_column="context")
    words = Stimuli.from_texts(["the", "cat", "saw", "the", "dog"], labels=range(5), group=["s"] * 5)
    assert table.loc[9, "surprisal"] == pytest.approx(float(surprisal(words, MODEL)[-1, 0]))
    assert table["position"].tolist() == [1.0, 4.0]


def test_a_word_without_context_and_two_words_are_refused():
    for context, word in (("", "cat"), ("the", "cat dog"), ("the", " ")):
        trials = pd.DataFrame({"context": [context], "word": [word]})
        with pytest.raises(ValueError, match="expected one word, and at least one word before it"):
            predictors_in_context(trials, MODEL, text_column="word", context_column="context")


def test_constant_predictors_and_absent_columns_are_named():
    with pytest.raises(ValueError, match="position"):
        standardized(pd.DataFrame({"position": [1.0, 1.0], "length": [1.0, 2.0]}))
    with pytest.raises(ValueError, match="token"):
        predictors_in_context(pd.DataFrame({"word": []}), MODEL, text_column="token", context_column="word")
