from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroling.core.stimuli import Stimuli
from neuroling.features.lexical.controls import control_table, neighbours, zipf_frequency
from neuroling.features.lexical.cooccurrence import VERB_FORMS, cooccurrence, ppmi, svd, verb_features

LEXICON = ["xxxxxxxx" + a + b for a in "ijkmp" for b in "qsvwy"]
"""25 words without a letter of any other that is used here."""


def texts(*lines: str) -> Stimuli:
    return Stimuli.from_texts(list(lines), labels=range(len(lines)))


@given(
    words=st.lists(st.sampled_from("abcde"), min_size=1, max_size=14),
    window=st.integers(1, 6),
)
def test_counts_equal_a_double_loop(words: list[str], window: int) -> None:
    found = cooccurrence(texts("a", "c"), texts(" ".join(words)), contexts=["b", "c"], window=window).values
    expected = [
        [
            sum(
                words[i] == target and words[j] == context
                for i in range(len(words))
                for j in range(len(words))
                if 0 < abs(i - j) <= window
            )
            for context in "bc"
        ]
        for target in "ac"
    ]
    assert found.tolist() == expected


def test_no_count_crosses_from_one_text_to_the_next() -> None:
    assert cooccurrence(texts("a"), texts("a", "b"), contexts=["b"]).values.item() == 0


def test_the_most_frequent_words_serve_as_contexts() -> None:
    found = cooccurrence(texts("cat"), texts("the cat saw the dog", "the end"), contexts=2)
    assert found.feature.values.tolist() == ["the", "cat"]


def test_all_forms_of_a_verb_count_for_it() -> None:
    corpus = texts("she ate celery", "he eats the celery", "celery was eaten; he drove a car")
    found = verb_features(Stimuli.from_texts(["celery", "car"]), corpus)
    assert found.sizes["feature"] == len(VERB_FORMS) == 25
    np.testing.assert_allclose(np.linalg.norm(found.values, axis=1), 1)
    assert found.sel(sample="celery", feature="eat") > found.sel(sample="car", feature="eat")


def test_a_noun_without_verbs_is_named() -> None:
    with pytest.raises(ValueError, match=r"1 occur with none of the 25 verbs \(first \['igloo'\]\)"):
        verb_features(Stimuli.from_texts(["celery", "igloo"]), texts("eat celery"))


def test_ppmi_equals_its_formula() -> None:
    n = np.array([[3.0, 1, 0], [1, 5, 2]])
    found = ppmi(texts("a", "b").features(n), smoothing=0.75).values
    context = n.sum(0) ** 0.75 / (n.sum(0) ** 0.75).sum()
    with np.errstate(divide="ignore"):
        expected = np.maximum(0, np.log2(n / n.sum() / (n.sum(1, keepdims=True) / n.sum() * context)))
    np.testing.assert_allclose(found, expected)


def test_singular_directions_keep_distances() -> None:
    table = texts(*"abcdef").features(np.random.default_rng(0).standard_normal((6, 4)))
    whole = svd(table, 4)
    np.testing.assert_allclose(whole.values @ whole.values.T, table.values @ table.values.T, atol=1e-10)
    np.testing.assert_allclose(svd(table, 2).values, whole.values[:, :2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cooccurrence(texts("a"), texts("a"), window=0), "window: got 0"),
        (lambda: cooccurrence(texts("a b"), texts("a")), "1 are not single words"),
        (lambda: cooccurrence(texts("a"), texts("a"), contexts={"x": ["b"], "y": ["b"]}), "one word under two names"),
        (lambda: ppmi(texts("a").features([[0.0]])), "not all of them zero"),
        (lambda: ppmi(texts("a").features([[1.0]]), smoothing=0), "smoothing: got 0"),
        (lambda: svd(texts("a").features([[1.0]]), 2), "n_components: got 2"),
        (lambda: neighbours(texts("a"), ["a"]), "lexicon: got 1 words, and 'a' is one"),
        (lambda: neighbours(texts("cat"), LEXICON[:19]), "lexicon: got 19 words; OLD20 .* expected at least 20"),
        (lambda: neighbours(texts("dog", "cat"), ["Cat!", *LEXICON[:19]]), "got 20 words, and 'cat' is one .* 21"),
    ],
)
def test_what_makes_no_sense_is_refused(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]


def test_contexts_are_no_single_str() -> None:
    with pytest.raises(TypeError, match="got the str 'eat'"):
        cooccurrence(texts("a"), texts("a"), contexts="eat")


# --- controls ---------------------------------------------------------------------------------------------------------


def test_neighbours_differ_in_one_letter() -> None:
    lexicon = ["cat", "cot", "cut", "car", "coat", "table", *LEXICON]
    found = neighbours(Stimuli.from_texts(["cat", "Cot,", "table"]), lexicon)
    assert found.sel(feature="neighbours").values.tolist() == [3, 2, 0]
    np.testing.assert_allclose(found.sel(feature="old20").values[0], np.mean([1, 1, 1, 1, 4, *[10] * 15]))


def test_what_has_no_letters_is_no_neighbour() -> None:
    words = Stimuli.from_texts(["a"])
    np.testing.assert_array_equal(neighbours(words, [*LEXICON, "—", "!", "..."]), neighbours(words, LEXICON))
    with pytest.raises(TypeError, match="lexicon: got the str 'abc'; expected a sequence of words"):
        neighbours(words, "abc")


def test_accents_apart_from_their_letters_count_with_them() -> None:
    lexicon = ["cafe", "caf\u00e9", "caft", *LEXICON]
    composed, apart = (neighbours(Stimuli.from_texts([word]), lexicon) for word in ("caf\u00e9", "cafe\u0301"))
    np.testing.assert_array_equal(composed, apart)
    np.testing.assert_array_equal(composed, neighbours(Stimuli.from_texts(["caf\u00e9"]), ["cafe\u0301", *lexicon]))


def test_old20_needs_twenty_words_beside_the_one_that_is_described() -> None:
    assert neighbours(texts("zebra"), LEXICON[:20]).sel(feature="old20").item() == 10


def test_controls_stand_side_by_side() -> None:
    words = Stimuli.from_texts(["the", "cat", "ran"], labels=range(3), group=[1, 1, 2])
    table = control_table(words, frequency={"the": 100.0, "cat": 10.0}, missing=1.0, lexicon=LEXICON)
    assert table.feature.values.tolist() == ["word_length", "word_position", "log_frequency", "neighbours", "old20"]
    assert table.sel(feature="log_frequency").values.tolist() == [2, 1, 0]
    assert table.attrs["n_without_frequency"] == 1


def test_frequencies_of_the_library_are_zipf() -> None:
    pytest.importorskip("wordfreq", reason="wordfreq is not installed")
    found = zipf_frequency(Stimuli.from_texts(["the", "rabbit", "xqzzt"]), "en")
    assert found.values[0, 0] > 7 > found.values[1, 0] > 3
    assert (found.values[2, 0], found.attrs["n_missing"]) == (0, 1)
    with pytest.raises(ValueError, match="language: got 'xx'"):
        zipf_frequency(Stimuli.from_texts(["the"]), "xx")


JAPANESE = {"猫": 5.05, "歩い": 4.7, "た": 7.41, "コンピューター": 4.08, "2020": 4.46}
"""Zipf frequencies of wordfreq 3.1.1 with its own segmentation (mecab-python3 1.0.12, ipadic 1.0.0)."""


def test_japanese_is_looked_up_without_another_segmentation() -> None:
    pytest.importorskip("wordfreq", reason="wordfreq is not installed")
    found = control_table(Stimuli.from_texts([*JAPANESE, "猫が見た"]), frequency="ja").sel(feature="log_frequency")
    assert found.values.tolist() == [*JAPANESE.values(), 0]
    assert found.attrs["n_without_frequency"] == 1


@pytest.mark.parametrize(
    ("language", "word", "same"),
    [
        ("ja", "ｺﾝﾋﾟｭｰﾀｰ", "コンピューター"),
        ("ja", "「猫」", "猫"),
        ("ja", "ＰＣ", "pc"),
        ("ko", "\u1112\u1161\u11ab", "한"),
    ],
)
def test_widths_and_compositions_do_not_matter(language: str, word: str, same: str) -> None:
    pytest.importorskip("wordfreq", reason="wordfreq is not installed")
    found = zipf_frequency(Stimuli.from_texts([word, same]), language).values[:, 0]
    assert found[0] == found[1] > 3


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "wordfreq", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install neuroling\[frequency\]"):
        control_table(Stimuli.from_texts(["the"]), frequency="en")
