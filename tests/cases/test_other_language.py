"""An English encoder read German without a word."""

from __future__ import annotations

import warnings

import pytest

from neuroling.core.stimuli import Stimuli
from neuroling.features.extract import extract_text_features, extract_word_features
from neuroling.features.sentence import embed_sentences
from neuroling.features.story import embed_words_in_context
from neuroling.features.transformer.encoder import Encoder, load_encoder
from neuroling.features.words.words import split_words

FOREIGN = {
    "German": "Am Abend saßen wir auf der Terrasse und tranken kühlen Wein. Er hat seinen Schlüssel verloren.",
    "French": "Le soir, nous étions assis sur la terrasse et buvions du vin. Il avait perdu sa clé dans la prairie.",
    "Spanish": "Por la noche nos sentamos en la terraza y bebimos vino frío. Había perdido la llave.",
    "Dutch": "'s Avonds zaten we op het terras en dronken koele wijn. Hij had zijn sleutel verloren.",
    "Finnish": "Koehenkilöt lukivat lauseet sana kerrallaan. Koira juoksi niityn yli ja haukkui äänekkäästi.",
    "Turkish": "Katılımcılar cümleleri kelime kelime okudular. Köpek çayırda koşuyor ve yüksek sesle havlıyordu.",
    "Russian": "Собака бежала по лугу и громко лаяла. Вечером мы сидели на террасе и пили холодное вино.",
}

ENGLISH = {
    "story": "Alice was beginning to get very tired of sitting by her sister on the bank, and of having nothing to do.",
    "science": "Hemodynamic responses were deconvolved voxelwise using finite impulse response regressors.",
    "nouns": "celery airplane hammer refrigerator screwdriver tomato barn igloo chisel tweezers pliers dresser",
    "verse": "Shall I compare thee to a summer's day? Thou art more lovely and more temperate.",
    "few words": "Schlüssel Terrasse Abend",
}


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    return load_encoder("minilm", device="cpu")


@pytest.mark.parametrize("language", FOREIGN)
def test_one_warning_gives_the_share_of_words_that_are_over_split(minilm: Encoder, language: str) -> None:
    text = Stimuli.from_texts([FOREIGN[language]], labels=["s"])
    pattern = r"stimuli: (\d+)% of the words of 4 letters and more are split by minilm .*; is it made for this language"
    for read in (
        lambda: extract_text_features(text, minilm, layers=0),
        lambda: embed_sentences(text, minilm, layer=0),
        lambda: extract_word_features(split_words(text), minilm, layers=0),
        lambda: embed_words_in_context(split_words(text), minilm, layer=0),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            read()
        assert len(caught) == 1
        with pytest.warns(UserWarning, match=pattern):
            warnings.warn(caught[0].message, stacklevel=1)


@pytest.mark.parametrize("kind", ENGLISH)
def test_english_of_any_kind_is_read_without_a_warning(minilm: Encoder, kind: str) -> None:
    extract_text_features(Stimuli.from_texts([ENGLISH[kind]], labels=["s"]), minilm, layers=0)


def test_unknown_tokens_and_split_words_are_one_warning(minilm: Encoder) -> None:
    text = Stimuli.from_texts([FOREIGN["German"] + " 🦄 🦩 🦥 🦦 🦨 🧋 🧌 🫠"], labels=["s"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        extract_text_features(text, minilm, layers=0)
    (message,) = (str(one.message) for one in caught)
    assert "of the tokens are unknown to minilm and " in message
    assert "split by minilm" in message
