from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, trainers
from transformers import BertJapaneseTokenizer, PreTrainedTokenizerFast

from neuroling.core.stimuli import Stimuli
from neuroling.features.transformer.encoder import Encoder
from neuroling.features.words.alignment import owners, running_texts, tokenise
from neuroling.features.words.words import japanese_segmenter, locate_words, split_words, words_at, words_from_lists

from ..conftest import TOKENIZERS

HARD = [
    "Don't 18th U.S.-based cafe\u0301 ﬁne Ｆｕｌｌ 👩‍👩‍👧 🇯🇵",
    "in the inn  the\tthe innkeeper’s “inn”, said…",
    "straße İstanbul ǅ e\u0301\u0323 n\u0303",
    "猫が魚を 見た。 中文 句子",
]

letters = st.characters(
    blacklist_categories=("Cs", "Cc"), blacklist_characters="\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
texts = st.text(letters, min_size=1, max_size=40)


@pytest.fixture(scope="module")
def encoders(request: pytest.FixtureRequest) -> dict[str, Encoder]:
    tiny = request.getfixturevalue("tiny")
    return {name: replace(tiny, tokenizer=make()) for name, make in TOKENIZERS.items()}


def quietly(encoder: Encoder, words: Stimuli, **options: object) -> list:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tokenise(encoder, words, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(text=texts)
def test_pooled_pieces_cover_exactly_the_characters_of_the_word(
    encoders: dict[str, Encoder], kind: str, text: str
) -> None:
    """Every piece that shares a character with a word is taken for it, and no other; no character is lost."""
    encoder = encoders[kind]
    try:
        words = split_words(Stimuli.from_texts([text], labels=["s"]))
    except ValueError:
        return  # blank
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            (running,) = running_texts(words)
        except ValueError:
            return  # nothing visible
    passage = quietly(encoder, words, missing="nan", shared="both")[0]
    found = encoder.tokenizer(
        running.text, add_special_tokens=False, return_offsets_mapping=True, split_special_tokens=True
    )
    assert passage.ids.tolist() == found["input_ids"]
    for word, (start, stop) in enumerate(zip(running.starts, running.stops, strict=True)):
        own = [i for i, (a, b) in enumerate(found["offset_mapping"]) if a < b and a < stop and b > start]
        assert passage.piece[passage.word == word].tolist() == own
        covered = {c for i in own for c in range(*found["offset_mapping"][i])}
        everything = {c for a, b in found["offset_mapping"] for c in range(a, b)}
        assert set(range(start, stop)) & everything <= covered


@given(text=texts)
def test_splitting_keeps_texts_to_the_letter(text: str) -> None:
    try:
        table = split_words(Stimuli.from_texts([text], labels=["s"])).table
    except ValueError:
        assert not text.split()
        return
    assert "".join(table["before"] + table["text"]) + table["after"].iloc[-1] == text
    assert table["text"].tolist() == re.findall(r"\S+", text)


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("text", HARD)
def test_hard_texts_keep_their_words_apart(encoders: dict[str, Encoder], kind: str, text: str) -> None:
    words = split_words(Stimuli.from_texts([text], labels=["s"]))
    (passage,) = quietly(encoders[kind], words)
    assert (passage.first >= 0).all()
    assert (np.diff(passage.word) >= 0).all()
    assert len(set(passage.piece)) == len(passage.piece)


def test_words_of_lists_without_blanks_share_no_piece_or_are_refused(encoders: dict[str, Encoder]) -> None:
    words = words_from_lists([["猫", "が", "魚", "を", "見", "た"]], separator="")
    passage = quietly(encoders["byte-level"], words, shared="both")[0]
    assert (passage.first >= 0).all()
    greedy = Tokenizer(models.BPE(unk_token=None))
    greedy.train_from_iterator(["猫が"] * 50, trainers.BpeTrainer(vocab_size=14, show_progress=False))
    encoder = replace(encoders["byte-level"], tokenizer=PreTrainedTokenizerFast(tokenizer_object=greedy))
    pair = words_from_lists([["猫", "が"]], separator="")
    with pytest.raises(ValueError, match=r"one piece of tiny-bert covers \['猫', 'が'\]"):
        tokenise(encoder, pair)
    assert tokenise(encoder, pair, shared="both")[0].word.tolist() == [0, 1]
    assert tokenise(encoder, pair, shared="first", missing="nan")[0].word.tolist() == [0]


def test_a_segmenter_is_any_function(encoders: dict[str, Encoder]) -> None:
    found = split_words(
        Stimuli.from_texts(["猫が魚を見た。"], labels=["s"]), segmenter=lambda text: re.findall(r"\w", text)
    )
    assert (found.texts, found.table["after"].iloc[-1]) == (list("猫が魚を見た"), "。")


def test_a_segmenter_that_invents_words_is_refused() -> None:
    with pytest.raises(ValueError, match="gave 'dog', which is not in the rest of the text 's'"):
        split_words(Stimuli.from_texts(["a cat"], labels=["s"]), segmenter=lambda _: ["cat", "dog"])


def test_columns_of_the_texts_travel_along() -> None:
    stimuli = Stimuli.from_texts(["a b", "c"], labels=["s", "t"], condition=["x", "y"], onset=[0.0, 3.0])
    table = split_words(stimuli).table
    assert table["condition"].tolist() == ["x", "x", "y"]
    assert "onset" not in table


def test_marks_of_special_tokens_in_a_text_are_text(minilm: Encoder) -> None:
    words = split_words(Stimuli.from_texts(["the [MASK] cat [SEP]"], labels=["s"]))
    (passage,) = tokenise(minilm, words)
    assert not set(passage.ids.tolist()) & set(minilm.tokenizer.all_special_ids)


SLOW_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"猫が魚を見た[]", "MASK"]


def slow_japanese(tiny: Encoder, folder: Path, kind: str) -> Encoder:
    """Give an encoder the tokenizer of Japanese BERT models, which is written in Python."""
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(SLOW_WORDS), encoding="utf-8")
    tokenizer = BertJapaneseTokenizer(
        str(vocabulary), word_tokenizer_type=kind, mecab_kwargs={"mecab_dic": "unidic_lite"}
    )
    assert not tokenizer.is_fast
    return replace(tiny, tokenizer=tokenizer)


def test_marks_of_special_tokens_are_text_to_a_slow_tokenizer(tiny: Encoder, tmp_path: Path) -> None:
    pytest.importorskip("fugashi", reason="fugashi is not installed")
    encoder = slow_japanese(tiny, tmp_path, "mecab")
    (passage,) = tokenise(encoder, split_words(Stimuli.from_texts(["猫が [MASK] を見た"], labels=["s"])))
    assert [SLOW_WORDS[number] for number in passage.ids] == ["猫", "が", "[", "MASK", "]", "を", "見", "た"]
    assert passage.word.tolist() == [0, 0, 1, 1, 1, 2, 2, 2]


def test_a_slow_tokenizer_that_reads_marks_all_the_same_is_refused(tiny: Encoder, tmp_path: Path) -> None:
    encoder = slow_japanese(tiny, tmp_path, "basic")
    with pytest.raises(ValueError, match=r"reads '\[MASK\]' as a special token, .* \(label 's/2'\)"):
        tokenise(encoder, split_words(Stimuli.from_texts(["猫 [MASK] 魚"], labels=["s"])))
    (passage,) = tokenise(encoder, split_words(Stimuli.from_texts(["猫 [UNK] 魚"], labels=["s"])))
    assert [SLOW_WORDS[number] for number in passage.ids] == ["猫", "[UNK]", "魚"]


@pytest.mark.parametrize(
    ("text", "target", "before"),
    [
        ("猫が魚を見た", "魚", "猫が"),
        ("猫が魚を見た", "猫", ""),
        ("猫が魚を見た", "見た", "猫が魚を"),
        ("新しいPC室", "PC", "新しい"),
        ("３匹の猫", "匹", "３"),
        ("ラーメンを食べる", "ラーメン", ""),
        ("แมวเห็นปลา", "เห็น", "แมว"),
    ],
)
def test_a_word_is_found_in_writing_without_blanks(text: str, target: str, before: str) -> None:
    found = locate_words(Stimuli.from_texts([text], labels=["s"]), [target])
    assert (found.texts, found.table["before"].tolist()) == ([target], [before])


@pytest.mark.parametrize(("text", "target"), [("日本で本を読む", "本"), ("あああ", "ああ")])
def test_writing_without_blanks_says_how_to_tell_matches_apart(text: str, target: str) -> None:
    with pytest.raises(ValueError, match=r"stands 2 times .* occurrence=, or give a segmenter="):
        locate_words(Stimuli.from_texts([text], labels=["s"]), [target])


def test_a_segmenter_says_what_is_a_word() -> None:
    lists = {"日本で本を読む": ["日本", "で", "本", "を", "読む"], "金魚を見る": ["金魚", "を", "見る"]}
    divide = lists.__getitem__
    found = locate_words(Stimuli.from_texts(["日本で本を読む"], labels=["s"]), ["本"], segmenter=divide)
    assert found.table["before"].tolist() == ["日本で"]
    joined = locate_words(Stimuli.from_texts(["日本で本を読む"], labels=["s"]), ["本を"], segmenter=divide)
    assert joined.texts == ["本を"]
    with pytest.raises(ValueError, match=r"'魚' is not a word of '金魚を見る' \(label 's'\) .* segmenter"):
        locate_words(Stimuli.from_texts(["金魚を見る"], labels=["s"]), ["魚"], segmenter=divide)


@pytest.mark.parametrize(
    ("targets", "occurrence", "message"),
    [
        (["dog"], None, "'dog' is not a word of 'in the inn in'"),
        (["nn"], None, "'nn' is not a word of .* words_at"),
        (["in"], None, "'in' stands 2 times"),
        (["in"], 3, "got 3 for 'in', which stands 2 times"),
        (["in"], 0, "got 0"),
        ([""], None, "is empty"),
        (["in", "inn"], None, "got 2 words for 1 texts"),
    ],
)
def test_a_word_that_cannot_be_found_is_named(targets: list[str], occurrence: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        locate_words(Stimuli.from_texts(["in the inn in"], labels=["s"]), targets, occurrence=occurrence)


@pytest.mark.parametrize(("occurrence", "before"), [(1, ""), (2, "in the inn "), (-1, "in the inn ")])
def test_repeated_words_are_told_apart(occurrence: int, before: str) -> None:
    found = locate_words(Stimuli.from_texts(["in the inn in"], labels=["s"]), ["in"], occurrence=occurrence)
    assert (found.labels.tolist(), found.table["before"].tolist()) == (["s"], [before])


@pytest.mark.parametrize("spans", [[(0, 0)], [(2, 1)], [(0, 2), (1, 3)], [(0, 9)], [(-1, 2)], [(3, 4), (0, 1)]])
def test_spans_that_make_no_sense_are_refused(spans: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="overlap, are empty, or lie outside"):
        words_at(Stimuli.from_texts(["abcd"]), [spans])


def test_lists_are_lists() -> None:
    with pytest.raises(TypeError, match="got a str"):
        words_from_lists(["a cat"])
    with pytest.raises(ValueError, match="1 lists without words"):
        words_from_lists([["a"], []])


@given(
    words=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=8),
    tokens=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), max_size=12),
)
def test_owners_equal_a_double_loop(words: list[tuple[int, int]], tokens: list[tuple[int, int]]) -> None:
    edges = np.cumsum(np.array(words).ravel())
    starts, stops = edges[::2], edges[1::2]
    offsets = np.array([(a, a + n) for a, n in tokens], dtype=np.intp).reshape(-1, 2)
    expected = [
        (i, w)
        for i, (a, b) in enumerate(offsets)
        for w, (start, stop) in enumerate(zip(starts, stops, strict=True))
        if a < b and a < stop and b > start
    ]
    piece, word = owners(starts, stops, offsets)
    assert list(zip(piece.tolist(), word.tolist(), strict=True)) == expected


def test_a_tokenizer_without_offsets_goes_word_by_word(tiny: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        is_fast = False
        all_special_tokens = ()

        def __call__(self, text: str, **_: object) -> dict[str, list[int]]:
            return {"input_ids": [ord(letter) for letter in text if letter != " "]}

    encoder = replace(tiny, tokenizer=Slow())  # type: ignore[arg-type]
    (passage,) = tokenise(encoder, split_words(Stimuli.from_texts(["ab c"], labels=["s"])))
    assert (passage.word.tolist(), passage.ids.tolist()) == ([0, 0, 1], [97, 98, 99])
    monkeypatch.setattr(Slow, "__call__", lambda self, text, **_: {"input_ids": [len(text)]})
    with pytest.raises(ValueError, match="has no character offsets, and gives other pieces"):
        tokenise(encoder, split_words(Stimuli.from_texts(["ab c"], labels=["s"])))


def test_offsets_that_collapse_are_refused(tiny: Encoder, family: Callable[[str], Encoder]) -> None:
    class Collapsed:
        is_fast = True

        def __call__(self, texts: list[str], **_: object) -> dict[str, list[object]]:
            return {"input_ids": [[1, 2]] * len(texts), "offset_mapping": [[(0, 0), (0, 0)]] * len(texts)}

    with pytest.raises(ValueError, match="empty or out of order"):
        tokenise(replace(tiny, tokenizer=Collapsed()), split_words(Stimuli.from_texts(["ab c"])))  # type: ignore[arg-type]


def test_japanese_is_segmented_and_aligned(encoders: dict[str, Encoder]) -> None:
    pytest.importorskip("fugashi", reason="fugashi is not installed")
    text = "レンガの建物の前を、女性が歩いています。猫が　魚を見た。"
    words = split_words(Stimuli.from_texts([text], labels=["s"]), segmenter=japanese_segmenter())
    assert "".join(words.table["before"] + words.table["text"]) + words.table["after"].iloc[-1] == text
    assert {"女性", "歩い", "猫", "魚"} <= set(words.texts)
    passage = quietly(encoders["byte-level"], words, shared="both")[0]
    assert (passage.first >= 0).all()


@pytest.mark.parametrize("emoji", ["👩\u200d👩\u200d👧", "🇯🇵", "👍🏽", "❤\ufe0f", "1\ufe0f\u20e3", "か\u3099"])
def test_what_is_seen_as_one_character_stays_in_one_word(emoji: str) -> None:
    pytest.importorskip("fugashi", reason="fugashi is not installed")
    words = split_words(Stimuli.from_texts([f"{emoji}が、猫{emoji}、"], labels=["s"]), segmenter=japanese_segmenter())
    assert words.texts == [emoji, "が", "、", "猫", emoji, "、"]


def test_a_missing_segmenter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fugashi", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install neuroling\[japanese\]"):
        japanese_segmenter()


@pytest.mark.parametrize(
    ("text", "target"),
    [("हमें बताओ", "हम"), ("वह की", "क"), ("வந்தான்", "வந்த"), ("a cafe\u0301 here", "cafe"), ("か\u3099く", "か")],
)
@pytest.mark.filterwarnings("ignore:stimuli. .* composed form")
def test_a_word_without_its_vowel_sign_is_another_word(text: str, target: str) -> None:
    with pytest.raises(ValueError, match="is not a word of"):
        locate_words(Stimuli.from_texts([text]), [target])


def test_whole_words_with_vowel_signs_and_symbols_are_located() -> None:
    for text, target in [("हमें बताओ", "हमें"), ("वह की।", "की"), ("I \u2764\ufe0f you", "\u2764")]:
        assert locate_words(Stimuli.from_texts([text]), [target]).texts == [target]
