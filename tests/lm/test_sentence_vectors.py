"""Sentence vectors on a tiny BERT: losses equal plain references, training moves cosines, bad pairs are named."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from neuroling import Stimuli, load_encoder
from neuroling.features.extract import extract_text_features
from neuroling.lm.checkpoints import latest_checkpoint
from neuroling.lm.sentence_vectors import (
    Contrastive,
    RatedPairs,
    Siamese,
    cosines_of_pairs,
    encode_batch,
    train_sentence_vectors,
)
from neuroling.lm.training import Recipe

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "cat", "dog", "ship", "boat", "red", "old", "."]
NOUNS, KINDS = ["cat", "dog", "ship", "boat"], ["red", "old"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    core = Tokenizer(models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token=WORDS[1]))
    core.normalizer, core.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    roles = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=12, **roles).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(WORDS), max_position_embeddings=12, **sizes)).save_pretrained(folder)
    return folder


def pairs():
    """Sentences about animals are alike, and so are those about ships; colours do not matter."""
    rng = np.random.default_rng(0)
    first, second = ([f"{rng.choice(KINDS)} {noun}" for noun in rng.choice(NOUNS, 64)] for _ in range(2))
    animal = [[text.split()[1] in ("cat", "dog") for text in side] for side in (first, second)]
    return RatedPairs(first, second, (np.array(animal[0]) == animal[1]).astype(float))


def cosines(model, base):
    encoder = load_encoder(base, device="cpu")
    encoder.model.load_state_dict(model.state_dict())
    vectors = extract_text_features(
        Stimuli.from_texts(["red cat", "old dog", "red ship"]), encoder, layers=-1, normalise=True
    )
    return (vectors.values[:, 0] @ vectors.values[:, 0].T)[0, 1:]


class Fixed(torch.nn.Module):
    """States that are the rows of a table."""

    def __init__(self, width=5):
        super().__init__()
        self.table = torch.nn.Embedding(20, width)

    def forward(self, input_ids, attention_mask):
        from types import SimpleNamespace

        return SimpleNamespace(last_hidden_state=self.table(input_ids))


def batch():
    ids = torch.tensor([[1, 2, 0], [3, 4, 5], [6, 0, 0]]), torch.tensor([[7, 8], [9, 0], [7, 8]])
    return {
        "first_ids": ids[0], "second_ids": ids[1], "first_mask": (ids[0] > 0).long(),
        "second_mask": (ids[1] > 0).long(), "similarity": torch.tensor([1.0, 0.2, 0.5]),
    }  # fmt: skip


def test_vectors_are_means_over_tokens_without_pads():
    torch.manual_seed(0)
    model, rows = Fixed(), batch()
    expected = [model.table.weight[ids].mean(0) for ids in ([1, 2], [3, 4, 5], [6])]
    torch.testing.assert_close(encode_batch(model, rows, "first"), torch.stack(expected))


def test_the_siamese_loss_is_the_squared_error_of_the_cosine():
    torch.manual_seed(0)
    model, rows = Fixed(), batch()
    a, b = (encode_batch(model, rows, side).detach().numpy() for side in ("first", "second"))
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    expected = ((cosine - np.array([1.0, 0.2, 0.5])) ** 2).sum()
    assert float(Siamese().sums(model, rows)["pairs"].detach()) == pytest.approx(expected, rel=1e-5)


def test_the_contrastive_loss_is_a_cross_entropy_without_doubles():
    torch.manual_seed(0)
    model, rows = Fixed(), batch()
    a, b = (encode_batch(model, rows, side).detach().numpy() for side in ("first", "second"))
    a, b = a / np.linalg.norm(a, axis=1, keepdims=True), b / np.linalg.norm(b, axis=1, keepdims=True)
    scores = np.exp(20 * a @ b.T)
    scores[0, 2] = scores[2, 0] = 0  # the same sentence twice
    expected = -np.log(np.diag(scores) / scores.sum(1)).sum()
    assert float(Contrastive().sums(model, rows)["pairs"].detach()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("objective", [Siamese(), Contrastive()], ids=["siamese", "contrastive"])
def test_training_brings_sentences_that_are_alike_together(base, objective):
    given = pairs()
    if isinstance(objective, Contrastive):
        rows = np.flatnonzero(given.similarity)
        given = RatedPairs([given.first[r] for r in rows], [given.second[r] for r in rows], given.similarity[rows])
    model, curves = train_sentence_vectors(base, given, objective, Recipe(40, 16, 3e-3), device="cpu")
    alike, apart = cosines(model, base)
    assert alike > apart + 0.3
    assert curves["pairs"][-5:].mean() < curves["pairs"][:5].mean()


def test_a_checkpoint_pools_as_sentence_transformers_would(base, tmp_path):
    model, _ = train_sentence_vectors(base, pairs(), Siamese(), Recipe(2, 8), folder=tmp_path, device="cpu")
    encoder = load_encoder(latest_checkpoint(tmp_path), device="cpu")
    texts = Stimuli.from_texts(["red cat", "old ship"])
    pooled, mean = (extract_text_features(texts, encoder, layers=-1, pool=pool).values for pool in ("model", "mean"))
    np.testing.assert_allclose(pooled, mean / np.linalg.norm(mean, axis=-1, keepdims=True), rtol=1e-5)
    assert not model.training


def test_equal_seeds_give_equal_curves_and_others_do_not(base):
    curves = [
        train_sentence_vectors(base, pairs(), Siamese(), Recipe(3, 8, seed=seed), device="cpu")[1]["pairs"].tolist()
        for seed in (0, 0, 1)
    ]
    assert curves[0] == curves[1] != curves[2]


@pytest.mark.parametrize(
    ("first", "second", "similarity", "message"),
    [
        (["cat"], ["cat", "dog"], [1.0], "1 first sentences, 2 second"),
        ([], [], [], "at least one"),
        (["cat", " "], ["cat", "dog"], [1.0, 0.5], "first: half of 1 pairs is missing, first in row 1"),
        (["cat"], [None], [1.0], "second: half"),
        (["cat"], ["dog"], [5.0], "from 5 to 5"),
        (["cat"], ["dog"], [np.nan], "from 0 to 1"),
    ],
    ids=["number", "none", "blank", "no text", "rating", "nan"],
)
def test_pairs_that_are_none_are_refused(first, second, similarity, message):
    with pytest.raises(ValueError, match=message):
        RatedPairs(first, second, similarity)


@pytest.mark.parametrize(
    ("given", "objective", "recipe", "message"),
    [
        (RatedPairs(["cat"] * 4, ["dog"] * 4, [0.5] * 4), Siamese(), Recipe(1, 2), "all 4 ratings are 0.5"),
        (pairs(), Contrastive(), Recipe(1, 1), "compares all pairs"),
        (pairs(), Contrastive(), Recipe(1, 8, accumulate=2), "in 2 parts"),
        (RatedPairs(["cat " * 20, "dog"], ["cat", "dog"], [1, 0]), Siamese(), Recipe(1, 2), "longer than 12 tokens"),
    ],
    ids=["all alike", "one pair", "parts", "too long"],
)
def test_what_cannot_be_learnt_from_is_named(base, given, objective, recipe, message):
    with pytest.raises(ValueError, match=message):
        train_sentence_vectors(base, given, objective, recipe, device="cpu")


def test_cosines_of_pairs_are_those_of_their_vectors(base):
    given = pairs()
    found = cosines_of_pairs(base, given.first, given.second, batch_size=7, device="cpu")
    texts = sorted({*given.first, *given.second})
    vectors = extract_text_features(
        Stimuli.from_texts(texts), load_encoder(base, device="cpu"), layers=-1, normalise=True
    )
    by_text = dict(zip(texts, vectors.values[:, 0], strict=True))
    expected = [by_text[a] @ by_text[b] for a, b in zip(given.first, given.second, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_pairs_too_long_to_be_rated_are_named(base):
    with pytest.raises(ValueError, match="first: 1 sentences are longer than 12 tokens, first in row 1"):
        cosines_of_pairs(base, ["cat", "cat " * 20], ["dog", "dog"], device="cpu")
