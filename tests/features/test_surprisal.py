from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from string import punctuation

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    BertGenerationConfig,
    MobileBertConfig,
    MobileBertForMaskedLM,
    PreTrainedTokenizerFast,
)

from neuroling.core.stimuli import Stimuli
from neuroling.features.lexical.ngram import fit_ngram
from neuroling.features.surprisal import next_words, surprisal
from neuroling.features.transformer.encoder import Encoder, load_encoder
from neuroling.features.transformer.language_models import CausalModel, MaskedModel, _marks, load_language_model
from neuroling.features.transformer.prepacked_weights import ONEDNN, Prepacked
from neuroling.features.words.alignment import running_texts
from neuroling.features.words.context import Overlapping
from neuroling.features.words.words import locate_words, split_words, words_at

from .conftest import BYTE_ROLES, FAMILIES, SIZE, TOKENIZERS

TEXTS = ["The cat saw the dogs.", "Don't the dogs see ships today?", "ships"]
WORDS = split_words(Stimuli.from_texts(TEXTS, labels=list("abc")))


@pytest.fixture(scope="session")
def language(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], CausalModel | MaskedModel]:
    """Make, save and load a tiny random language model of a family, once a session."""
    made: dict[str, CausalModel | MaskedModel] = {}

    def make(name: str) -> CausalModel | MaskedModel:
        if name not in made:
            causal = name in ("gpt2", "llama", "opt", "bloom")
            folder = tmp_path_factory.mktemp("language") / name
            torch.manual_seed(0)
            auto = AutoModelForCausalLM if causal else AutoModelForMaskedLM
            model = auto.from_config(FAMILIES[name]())
            for parameter in model.parameters():
                parameter.data *= 3  # random models are too sure that all words are alike
            model.save_pretrained(folder)
            TOKENIZERS["wordpiece" if name == "bert" else "byte-level"]().save_pretrained(folder)
            made[name] = load_language_model(folder, "causal" if causal else "masked", device="cpu")
        return made[name]

    return make


def pieces_by_word(encoder: Encoder, text: str) -> tuple[list[int], list[list[int]]]:
    tokens = encoder.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    own, start = [], 0
    for word in text.split():
        start = text.index(word, start)
        end = start + len(word)
        own.append([i for i, (a, b) in enumerate(tokens["offset_mapping"]) if a < end and b > start])
        start = end
    return tokens["input_ids"], own


def log_shares(model: CausalModel | MaskedModel, ids: list[int]) -> np.ndarray:
    with torch.inference_mode():
        return own_model(model)(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1).numpy()


def own_model(model: CausalModel | MaskedModel) -> torch.nn.Module:
    """Load a model as transformers does, with its head."""
    auto = AutoModelForCausalLM if isinstance(model, CausalModel) else AutoModelForMaskedLM
    own: torch.nn.Module = auto.from_pretrained(model.encoder.folder)
    return own.eval()


@pytest.mark.parametrize("name", ["gpt2", "llama", "opt", "bloom"])
def test_causal_surprisal_equals_a_plain_loop(language: Callable[[str], CausalModel], name: str) -> None:
    model = language(name)
    found = surprisal(WORDS, model, unit="nats", entropy=True)
    expected, entropies = [], []
    for text in TEXTS:
        ids, own = pieces_by_word(model.encoder, text)
        logs = log_shares(model, [1, *ids])  # token 1 begins a text
        expected += [-sum(logs[i, ids[i]] for i in pieces) for pieces in own]
        entropies += [-(np.exp(logs[pieces[0]]) * logs[pieces[0]]).sum() for pieces in own]
    np.testing.assert_allclose(found.sel(feature="surprisal"), expected, atol=1e-4)
    np.testing.assert_allclose(found.sel(feature="entropy"), entropies, atol=1e-4)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN here")
@pytest.mark.parametrize("name", ["gpt2", "llama", "opt", "bert"])
def test_weights_laid_out_give_the_same_surprisal(language: Callable[[str], CausalModel], name: str) -> None:
    model, calls = language(name), []

    def multiply(*given: object) -> torch.Tensor:
        calls.append(given)
        return ONEDNN.multiply(*given)  # type: ignore[arg-type]

    words = split_words(Stimuli.from_texts(20 * TEXTS, labels=range(60)))
    expected, found = (
        surprisal(words, replace(model, encoder=replace(model.encoder, prepacked=Prepacked(library))), entropy=True)
        for library in (None, replace(ONEDNN, multiply=multiply, least_tokens=1))
    )
    assert calls
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["gpt2", "bert"])
def test_a_full_device_is_met_by_smaller_packs(
    language: Callable[[str], CausalModel], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = language(name)
    expected = surprisal(WORDS, model, entropy=True)
    forward = model.model.forward

    def cramped(*args: object, **kwargs: torch.Tensor) -> object:
        if kwargs["input_ids"].numel() > 20:
            raise torch.OutOfMemoryError("the device is full")
        return forward(*args, **kwargs)

    monkeypatch.setattr(model.model, "forward", cramped)
    np.testing.assert_allclose(surprisal(WORDS, model, entropy=True), expected, atol=1e-4)


def test_vowel_signs_and_accents_do_not_end_a_word(language: Callable[[str], CausalModel]) -> None:
    model = language("gpt2")
    core = Tokenizer.from_str(model.encoder.tokenizer.backend_tokenizer.to_str())
    core.add_tokens(["\u0940", "\u0301", ";"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, **BYTE_ROLES)
    encoder = replace(model.encoder, tokenizer=tokenizer)
    texts = running_texts(locate_words(Stimuli.from_texts(["cat; dog"]), ["cat"]))
    ends = set(_marks(encoder, texts)[1].tolist())
    sign, accent, mark = (tokenizer.convert_tokens_to_ids(token) for token in ("\u0940", "\u0301", ";"))
    assert mark in ends
    assert not {sign, accent} & ends


def test_words_sum_to_the_log_probability_of_the_sentence(language: Callable[[str], CausalModel]) -> None:
    model = language("gpt2")
    ids, _ = pieces_by_word(model.encoder, TEXTS[0])
    whole = torch.tensor([[1, *ids]])
    with torch.inference_mode():
        loss = own_model(model)(input_ids=whole, labels=whole).loss
    found = surprisal(WORDS, model, unit="nats").values[:5].sum()
    assert abs(found - float(loss) * len(ids)) < 1e-3


def test_bits_are_nats_over_ln_2(language: Callable[[str], CausalModel]) -> None:
    nats, bits = (surprisal(WORDS, language("gpt2"), unit=unit).values for unit in ("nats", "bits"))
    np.testing.assert_allclose(nats / np.log(2), bits)


def test_without_a_start_token_the_first_word_is_not_predicted(language: Callable[[str], CausalModel]) -> None:
    found = surprisal(WORDS, replace(language("gpt2"), start=False))
    assert np.isnan(found.values[:, 0]).tolist() == [True, *[False] * 4, True, *[False] * 5, True]
    assert found.attrs["n_unpredicted"] == 3


WIDE = ("ãĢĤ", "âĢĿ")
"""The bytes of a Japanese full stop and of a closing quotation mark, as the tokenizer writes them."""


def marks(model: CausalModel) -> tuple[list[int], list[int]]:
    """Tokens that begin a word or end a text, and those that end a word without a blank."""
    tokenizer = model.encoder.tokenizer
    tokens = dict(enumerate(tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))))
    begins = [i for i, one in tokens.items() if one.startswith("Ġ") or i in tokenizer.all_special_ids]
    control = {chr(256 + byte) for byte in range(34)}  # as bytes that cannot be printed are written: 0 to 32, and 127
    ends = [i for i, one in tokens.items() if one[0] in control or one[0] in punctuation or one in WIDE]
    return begins, sorted({*begins, *ends})


def test_the_boundary_correction_moves_the_blank_to_the_word_before_it(
    language: Callable[[str], CausalModel],
) -> None:
    """The last word of a text has an end as well: that of the text, or a blank before more of it."""
    model = language("gpt2")
    corrected = surprisal(WORDS, replace(model, boundary=True), unit="nats").values[:5, 0]
    plain = surprisal(WORDS, model, unit="nats").values[:5, 0]
    ids, own = pieces_by_word(model.encoder, TEXTS[0])
    shares = np.exp(log_shares(model, [1, *ids]))
    begins, _ = marks(model)
    mass = [np.log(shares[place, begins].sum()) for place in (*(pieces[0] for pieces in own), len(ids))]
    expected = plain + np.array([0, *mass[1:5]]) - mass[1:]
    np.testing.assert_allclose(corrected, expected, atol=1e-4)


@pytest.mark.parametrize("spans", [[(8, 11)], [(4, 7), (16, 21)], [(0, 3), (4, 7), (16, 21)]])
def test_words_taken_from_a_text_are_corrected_as_among_all(
    language: Callable[[str], CausalModel], spans: list[tuple[int, int]]
) -> None:
    model = replace(language("gpt2"), boundary=True)
    sentence = Stimuli.from_texts(TEXTS[:1], labels=["a"])
    among = surprisal(split_words(sentence), model)
    rows = [TEXTS[0][:start].count(" ") for start, _ in spans]
    np.testing.assert_allclose(surprisal(words_at(sentence, [spans]), model), among[rows], atol=1e-5)


def test_a_word_ends_before_a_full_stop_too(language: Callable[[str], CausalModel]) -> None:
    model = language("gpt2")
    sentence = locate_words(Stimuli.from_texts(TEXTS[:1], labels=["a"]), ["dogs"])
    ids, own = pieces_by_word(model.encoder, TEXTS[0][:-1])
    shares = np.exp(log_shares(model, [1, *ids]))
    begins, ends = marks(model)
    found = surprisal(sentence, replace(model, boundary=True), unit="nats").item()
    plain = surprisal(sentence, model, unit="nats").item()
    expected = plain + np.log(shares[own[-1][0], begins].sum()) - np.log(shares[len(ids), ends].sum())
    assert abs(found - expected) < 1e-4


@pytest.mark.filterwarnings("ignore:stimuli. .* unknown")
@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "esm"])
@pytest.mark.parametrize("within_word", [True, False])
def test_pseudo_likelihood_equals_a_plain_loop(
    language: Callable[[str], MaskedModel], name: str, within_word: bool
) -> None:
    model = replace(language(name), within_word=within_word)
    found = surprisal(WORDS, model, unit="nats").values[:, 0]
    before, behind = model.encoder.affixes
    mask = model.encoder.tokenizer.mask_token_id
    expected = []
    for text in TEXTS:
        ids, own = pieces_by_word(model.encoder, text)
        for pieces in own:
            total = 0.0
            for place, piece in enumerate(pieces):
                hidden = list(ids)
                for other in pieces[place:] if within_word else [piece]:
                    hidden[other] = mask
                total -= log_shares(model, [*before, *hidden, *behind])[len(before) + piece, ids[piece]]
            expected.append(total)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_long_stories_are_scored_in_chunks(language: Callable[[str], CausalModel]) -> None:
    story = Stimuli.from_texts(("the cat saw a dog and " * 30).split(), labels=range(180))
    model = replace(language("gpt2"), context=Overlapping(left=40))
    found = surprisal(story, model)
    assert np.isfinite(found.values).all()
    first = surprisal(Stimuli(story.table.iloc[:20]), language("gpt2"))
    np.testing.assert_allclose(found.values[:20], first.values, atol=1e-4)


@pytest.mark.parametrize("name", ["gpt2", "bert"])
@pytest.mark.filterwarnings("ignore:stimuli. .* unknown")
def test_the_likeliest_words_are_listed_in_order(
    language: Callable[[str], CausalModel | MaskedModel], name: str
) -> None:
    table = next_words(WORDS, language(name), n=3)
    assert len(table) == 3 * len(WORDS)
    shares = table["probability"].to_numpy().reshape(-1, 3)
    assert (np.diff(shares, axis=1) <= 0).all()
    assert table["rank"].tolist()[:4] == [1, 2, 3, 1]


def test_the_source_is_named(language: Callable[[str], CausalModel]) -> None:
    attrs = surprisal(WORDS, language("gpt2")).attrs
    assert attrs["source"].startswith("causal model gpt2 (start token True")
    assert len(attrs["weights_sha256"]) == 64


def test_minilm_predicts_no_words() -> None:
    with pytest.raises(ValueError, match=r"'minilm' has no language head.*fit_ngram"):
        load_language_model("minilm", "masked")


def test_a_body_without_a_head_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"lack .* of the model's weights"):
        load_language_model(tiny_folder, "masked", device="cpu")


def test_kinds_are_checked(language: Callable[[str], CausalModel | MaskedModel]) -> None:
    folder = language("bert").encoder.folder
    with pytest.raises(ValueError, match="kind: got 'both'"):
        load_language_model("x", "both")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="reads in both directions"):
        load_language_model(folder, "causal", device="cpu")
    with pytest.raises(ValueError, match="unit: got 'bans'"):
        surprisal(WORDS, language("gpt2"), unit="bans")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="n: got 0"):
        next_words(WORDS, language("gpt2"), n=0)


@pytest.mark.filterwarnings("ignore:stimuli. .* unknown")
@pytest.mark.parametrize("texts", [["The cat saw the dog"], ["The cat", "the dog"], ["cat", "The cat saw"]])
def test_a_head_that_uses_the_weights_of_its_last_layer_alone(tmp_path: Path, texts: list[str]) -> None:
    """MobileBERT never calls that layer, so that all places come out; as many texts as tokens would hide it."""
    torch.manual_seed(0)
    widths = {"embedding_size": 16, "true_hidden_size": 16, "intra_bottleneck_size": 16}
    model = MobileBertForMaskedLM(MobileBertConfig(**SIZE, **widths)).eval()
    for parameter in model.parameters():
        parameter.data += torch.randn(parameter.shape) / 5
    model.save_pretrained(tmp_path)
    TOKENIZERS["wordpiece"]().save_pretrained(tmp_path)
    language = load_language_model(tmp_path, "masked", device="cpu")
    words = split_words(Stimuli.from_texts(texts, labels=list("abc")[: len(texts)]))
    tokenizer, expected = language.encoder.tokenizer, []
    for text in texts:
        ids, own = pieces_by_word(language.encoder, text)
        for pieces in own:
            expected.append(0.0)
            for place, piece in enumerate(pieces):
                hidden = [tokenizer.mask_token_id if i in pieces[place:] else token for i, token in enumerate(ids)]
                whole = torch.tensor([[tokenizer.cls_token_id, *hidden, tokenizer.sep_token_id]])
                with torch.inference_mode():
                    logs = model(whole).logits[0, piece + 1].log_softmax(-1)
                expected[-1] -= float(logs[ids[piece]])
    np.testing.assert_allclose(surprisal(words, language, unit="nats").values[:, 0], expected, atol=1e-4)


@pytest.mark.parametrize("name", ["xlnet", "bert-generation"])
def test_a_causal_head_on_a_body_that_reads_ahead_is_refused(tmp_path: Path, name: str) -> None:
    """transformers has heads for the next token on both, which would see it."""
    config = FAMILIES["xlnet"]() if name == "xlnet" else BertGenerationConfig(**SIZE, bos_token_id=1, eos_token_id=2)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    TOKENIZERS["byte-level"]().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="reads in both directions, so that a word would be predicted from itself"):
        load_language_model(tmp_path, "causal", device="cpu")


@pytest.mark.filterwarnings("ignore:stimuli. .* unknown")
def test_pieces_without_marks_of_blanks_cannot_be_corrected(language: Callable[[str], CausalModel]) -> None:
    model = replace(language("gpt2"), boundary=True)
    other = replace(model.encoder, tokenizer=TOKENIZERS["wordpiece"]())
    with pytest.raises(ValueError, match="do not mark the blank"):
        surprisal(WORDS, replace(model, encoder=other, start=False))


def test_a_body_of_a_language_model_is_an_encoder(language: Callable[[str], CausalModel]) -> None:
    model = language("gpt2")
    assert load_encoder(model.encoder.folder, device="cpu").weights_sha256 == model.encoder.weights_sha256


# --- n-grams ----------------------------------------------------------------------------------------------------------

CORPUS = ["the cat saw the dog", "the dog saw the cat", "a cat saw a ship", "the ship sank", "a dog ran", "the cat ran"]


def corpus(texts: list[str] = CORPUS) -> Stimuli:
    return Stimuli.from_texts(texts, labels=range(len(texts)))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_shares_sum_to_one_after_every_context(order: int) -> None:
    model = fit_ngram(corpus(), order=order)
    n_words = len(model.words)
    for context in [
        (),
        (1,),
        (1, 1, 1),
        (3,),
        (0, 0),
        (n_words - 1, 3),
        *((a, b) for a in range(1, 6) for b in range(3, 7)),
    ]:
        shares = model.distribution(context)
        assert abs(shares.sum() - 1) < 1e-12
        assert shares[1] == 0
        assert (np.delete(shares, 1) > 0).all()


def test_a_bigram_model_equals_the_formula() -> None:
    """Interpolated Kneser-Ney by hand, from pairs alone."""
    model = fit_ngram(corpus(), order=2)
    pairs = Counter(
        pair for text in CORPUS for words in [["<begin>", *text.split(), "<end>"]] for pair in pairwise(words)
    )
    vocabulary = [word for word in model.words if word != "<begin>"]
    before = Counter(b for _, b in pairs)
    one, two = (level.discount for level in model.levels)
    left = sum(map(one, before.values())) / len(pairs)
    lower = {word: left / len(vocabulary) for word in vocabulary}
    lower |= {word: lower[word] + (count - one(count)) / len(pairs) for word, count in before.items()}
    for context in ("the", "cat", "<begin>"):
        total = sum(count for (a, _), count in pairs.items() if a == context)
        freed = sum(two(count) for (a, _), count in pairs.items() if a == context) / total
        found = model.distribution((model.words.index(context),))
        for word in vocabulary:
            count = pairs[context, word]
            expected = (count - two(count) if count else 0) / total + freed * lower[word]
            assert abs(found[model.words.index(word)] - expected) < 1e-12


def test_discounts_are_estimated_where_counts_allow() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{i}" for i in rng.zipf(1.5, 12) if i < 400) or "w1" for _ in range(300)]
    for level in fit_ngram(corpus(texts), order=2).levels[1:]:
        assert all(0 < discount < k for k, discount in enumerate(level.discounts, start=1))
        assert len(set(level.discounts)) == 3


@pytest.mark.filterwarnings("ignore:words. .* unknown to")
def test_more_training_lowers_surprisal_of_what_was_trained() -> None:
    words = split_words(corpus(CORPUS[:3]))
    trained, other = fit_ngram(corpus(), order=3), fit_ngram(corpus(["one two three four"]), order=3)
    assert surprisal(words, trained).values.mean() < surprisal(words, other).values.mean()
    assert surprisal(words, other).attrs["n_unknown"] == len(words)


def test_ngram_surprisal_is_minus_the_log_of_the_distribution() -> None:
    model = fit_ngram(corpus(), order=2)
    words = split_words(Stimuli.from_texts(["The cat, sank!"], labels=["s"]))
    found = surprisal(words, model, entropy=True)
    number = model.words.index
    expected = [
        -np.log2(model.distribution((1,))[number("the")]),
        -np.log2(model.distribution((number("the"),))[number("cat")]),
        -np.log2(model.distribution((number("cat"),))[number("sank")]),
    ]
    np.testing.assert_allclose(found.sel(feature="surprisal"), expected)
    table = next_words(words, model, n=2)
    assert table["predicted"].tolist()[0] == "the"


def test_rare_words_may_count_as_unknown() -> None:
    model = fit_ngram(corpus(), min_count=2)
    assert "sank" not in model.words
    shares = model.distribution((model.words.index("ship"),))
    assert shares[0] > shares[3]


@given(texts=st.lists(st.text("ab ", min_size=1, max_size=12), min_size=1, max_size=5), order=st.integers(1, 3))
def test_any_corpus_gives_shares(texts: list[str], order: int) -> None:
    if not any(text.strip() for text in texts):
        return
    model = fit_ngram(corpus([text if text.strip() else "a" for text in texts]), order=order)
    assert abs(model.distribution((3,)).sum() - 1) < 1e-12


@pytest.mark.parametrize(
    ("options", "message"), [({"order": 0}, "order, min_count"), ({"min_count": 99}, "no word occurs 99 times")]
)
def test_a_model_that_cannot_be_trained_is_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_ngram(corpus(), **options)
