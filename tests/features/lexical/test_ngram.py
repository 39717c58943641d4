from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from neuroling.core.stimuli import Stimuli
from neuroling.features.lexical.ngram import BEGIN, UNKNOWN, fit_ngram
from neuroling.features.surprisal import surprisal
from neuroling.features.words.words import locate_words, split_words, words_at

CORPUS = ["the cat saw the dog", "the dog saw the cat", "a cat saw a ship", "the ship sank", "a dog ran", "the cat ran"]


def texts(written: list[str]) -> Stimuli:
    return Stimuli.from_texts(written, labels=range(len(written)))


SENTENCES = ["Well — the dog saw, then the cat.", "a ship sank"]
"""A dash by itself is a word of the model, as in a corpus; a comma behind a word is not."""


@pytest.mark.parametrize("segmenter", [None, str.split])
def test_words_alone_have_the_ngram_surprisal_that_they_have_in_their_text(
    segmenter: Callable[[str], list[str]] | None,
) -> None:
    model = fit_ngram(texts([*CORPUS, "well — the dog saw then the cat"]), segmenter=segmenter)
    every = surprisal(split_words(texts(SENTENCES)), model, entropy=True).values
    last = surprisal(locate_words(texts(SENTENCES), ["cat", "sank"]), model, entropy=True).values
    np.testing.assert_array_equal(last, every[[7, 10]])
    some = surprisal(words_at(texts(SENTENCES), [[(11, 14), (15, 18), (29, 32)], [(2, 6)]]), model, entropy=True)
    np.testing.assert_array_equal(some.values, every[[3, 4, 7, 9]])
    assert surprisal(locate_words(texts(["zebra the cat"]), ["cat"]), model).attrs["n_unknown"] == 0


def test_the_rest_of_a_word_that_is_listed_in_part_is_read() -> None:
    model = fit_ngram(texts(["in crowd ran", "in ran", "crowd in"]), order=3)
    part = surprisal(words_at(texts(["in-crowd ran"]), [[(0, 2), (9, 12)]]), model).values
    np.testing.assert_array_equal(part, surprisal(split_words(texts(["in crowd ran"])), model).values[[0, 2]])


def by_two(text: str) -> list[str]:
    """Divide a text without blanks, two letters a word."""
    return [text[place : place + 2] for place in range(0, len(text), 2)]


def test_a_corpus_without_blanks_is_divided_by_a_segmenter() -> None:
    apart = fit_ngram(texts(["ねこ いぬ みた", "いぬ みた", "ねこ みた 。"]))
    joined = fit_ngram(texts(["ねこいぬみた", "いぬみた", "ねこみた。"]), segmenter=by_two)
    assert (joined.words, joined.n_trained, joined.corpus_sha256) == (apart.words, apart.n_trained, apart.corpus_sha256)
    text = texts(["ねこいぬみた"])
    words = split_words(text, segmenter=by_two)
    expected = surprisal(split_words(texts(["ねこ いぬ みた"])), apart).values
    np.testing.assert_array_equal(surprisal(words, joined).values, expected)
    np.testing.assert_array_equal(surprisal(locate_words(text, ["みた"]), joined).values, expected[[2]])


def test_a_segmenter_may_give_blanks() -> None:
    model = fit_ngram(texts(["a b", "b a"]), segmenter=list)
    assert model.words[3:] == ("a", "b")


def test_words_that_the_ngram_model_does_not_know_are_warned_of() -> None:
    model = fit_ngram(texts(["ねこいぬみた", "いぬみた"]))
    words = split_words(texts(["ねこいぬみた"]), segmenter=by_two)
    with pytest.warns(UserWarning, match=r"words: 3 of 3 are unknown to the 3-gram model.*segmenter=") as caught:
        surprisal(words, model)
    assert caught[0].filename == __file__
    half = Stimuli.from_texts(["いぬみた", "zebra"])
    assert surprisal(half, model).attrs["n_unknown"] == 1


def random_corpus(seed: int, n_texts: int = 40) -> Stimuli:
    """Draw texts from a vocabulary of 60 words, frequent ones much more often."""
    rng = np.random.default_rng(seed)
    drawn = [np.minimum(rng.zipf(1.3, rng.integers(1, 15)), 60) for _ in range(n_texts)]
    return texts([" ".join(f"w{number}" for number in one) for one in drawn])


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("min_count", [1, 2])
def test_single_words_have_the_probability_that_the_whole_distribution_gives_them(order: int, min_count: int) -> None:
    model = fit_ngram(random_corpus(order), order=order, min_count=min_count)
    contexts = [(), (BEGIN,) * (order - 1), (UNKNOWN,) * order]
    rng = np.random.default_rng(0)
    contexts += [tuple(rng.integers(len(model.words), size=size).tolist()) for size in range(1, order + 2)]
    contexts += [context for level in model.levels for context in list(level.following)[:20]]
    for context in contexts:
        whole = model.distribution(context)
        assert [model.probability(word, context) for word in range(len(model.words))] == whole.tolist()
        positive = whole[whole > 0]
        np.testing.assert_allclose(model.entropy(context), -(positive * np.log(positive)).sum(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("order", [1, 3])
def test_scores_are_those_of_the_slow_path(order: int) -> None:
    model = fit_ngram(random_corpus(7), order=order)
    words = split_words(random_corpus(8, n_texts=20))
    found = model.score(words, top=2)
    number = {word: place for place, word in enumerate(model.words)}
    row = 0
    for text in random_corpus(8, n_texts=20).texts:
        history = [BEGIN] * (order - 1)
        for word in text.split():
            shares = model.distribution(tuple(history[len(history) - (order - 1) :]))
            history.append(number.get(word, UNKNOWN))
            assert found.nats[row] == -np.log(shares[history[-1]])
            positive = shares[shares > 0]
            assert found.entropy[row] == pytest.approx(-(positive * np.log(positive)).sum(), rel=1e-12)
            assert found.top[row][0] == (model.words[int(shares.argmax())], shares.max())
            row += 1
