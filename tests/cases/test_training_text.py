"""Training on text: which sentences follow, which positives are negatives, and what people write as ``[MASK]``."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroling.lm import sentence_vectors
from neuroling.lm.corpora import Corpus
from neuroling.lm.finetuning import encode_task
from neuroling.lm.masking import NOT_ASKED
from neuroling.lm.pretraining import Pretraining, Size, Tokens, _seconds, draw_batch, pretrain, tokenize
from neuroling.lm.tasks import Sentences, Spans, Tagged
from neuroling.lm.training import Recipe
from neuroling.lm.wordpiece import train_wordpiece

SENTENCES = [
    f"the {a} {b} {c}"
    for a in ("old", "small", "green")
    for b in ("cat", "dog", "ship")
    for c in ("sat", "ran")
]  # fmt: skip


RECIPE = Recipe(steps=7, batch_size=2)


@pytest.fixture(scope="module")
def tokenizer():
    return train_wordpiece(SENTENCES, size=120, min_count=1)


def labelled_pairs(tokens: Tokens, n_draws: int) -> list[tuple[int, int, int]]:
    """Draw pairs, and list first and second sentence with the label of each pair that is asked about."""
    rng = np.random.default_rng(0)
    rows = np.arange(len(tokens))
    drawn = [_seconds(tokens, Pretraining(), rows, rng) for _ in range(n_draws)]
    return [
        (first, second, int(label))
        for seconds, labels in drawn
        for first, second, label in zip(rows.tolist(), seconds, labels, strict=True)
        if label != NOT_ASKED
    ]


@pytest.mark.parametrize("n_sentences", [3, 6, 18])
def test_in_a_single_document_no_next_sentence_is_labelled_as_another(tokenizer, n_sentences: int) -> None:
    tokens = tokenize(Corpus.of([SENTENCES[:n_sentences]]), tokenizer, max_length=32)
    pairs = labelled_pairs(tokens, 400)
    others = [(first, second) for first, second, label in pairs if label == 1]
    assert sum(second == first + 1 for first, second in others) == 0
    assert sum(second == first for first, second in others) == 0
    assert all(second == first + 1 for first, second, label in pairs if label == 0)
    assert abs(len(others) / len(pairs) - 0.5) < 0.05


def test_two_sentences_alone_are_not_asked_about(tokenizer) -> None:
    tokens = tokenize(Corpus.of([SENTENCES[:2]]), tokenizer, max_length=32)
    assert labelled_pairs(tokens, 50) == []
    batch = draw_batch(tokens, Pretraining(), np.arange(2), np.random.default_rng(0))
    assert batch["follows"].tolist() == [NOT_ASKED, NOT_ASKED]


@pytest.mark.parametrize("documents", [[["the cat sat"] * 5], [["the old dog ran", "the cat sat"], ["the cat sat"]]])
def test_a_sentence_that_reads_as_the_next_one_is_no_other(tokenizer, documents: list[list[str]]) -> None:
    tokens = tokenize(Corpus.of(documents), tokenizer, max_length=32)
    assert labelled_pairs(tokens, 50) == []


def test_a_first_sentence_that_leaves_no_token_for_a_second_is_not_asked_about(tokenizer) -> None:
    tokens = tokenize(Corpus.of([SENTENCES[:6], SENTENCES[6:]]), tokenizer, max_length=16)
    longest = max(map(len, tokens.ids))
    full = tokenize(Corpus.of([SENTENCES[:6], SENTENCES[6:]]), tokenizer, max_length=longest + 3)
    batch = draw_batch(full, Pretraining(), np.arange(len(full)), np.random.default_rng(0))
    alone = np.array([len(ids) == longest for ids in full.ids])
    assert alone.any()
    assert (batch["follows"].numpy()[alone] == NOT_ASKED).all()
    assert (batch["token_type_ids"].numpy()[alone] == 0).all()


def test_sentences_that_read_alike_once_cut_are_not_told_apart(tokenizer) -> None:
    documents = [["the old cat sat", "the small dog ran"], ["the green ship sat"]]
    length = len(tokenizer("the old cat sat", add_special_tokens=False)["input_ids"])
    tokens = tokenize(Corpus.of(documents), tokenizer, max_length=length + 4)  # one token of a second sentence: the
    assert labelled_pairs(tokens, 50) == []


@pytest.mark.parametrize("documents", [[[one] for one in SENTENCES], [["the cat sat"] * 4], [SENTENCES[:2]]])
def test_next_sentences_that_cannot_be_asked_for_are_refused(tokenizer, documents: list[list[str]]) -> None:
    """The curve said 0 nats at every step, as of a model that is always right."""
    with pytest.raises(ValueError, match=r"plan: asks for next sentences, but none of .* next_sentence=False"):
        pretrain(Corpus.of(documents), tokenizer, Pretraining(), RECIPE, size=Size(1, 8, 1), max_length=32)


def test_a_step_that_asks_nothing_has_no_loss(tokenizer) -> None:
    corpus = Corpus.of([["the cat sat"], ["the old dog ran", "a ship sat"], *([one] for one in SENTENCES[:11])])
    plans = (Pretraining(next_sentence=False), Pretraining())
    alone, both = (
        pretrain(corpus, tokenizer, plan, RECIPE, size=Size(1, 8, 1), max_length=32, device="cpu")[1]["follows"]
        for plan in plans
    )
    assert np.isnan(alone).all()
    assert np.isnan(both).sum() == 6  # one of the 14 sentences is asked about, in batches of two
    assert (both[~np.isnan(both)] > 0.1).all()


def test_in_a_dominant_document_others_still_come_from_elsewhere(tokenizer) -> None:
    tokens = tokenize(Corpus.of([SENTENCES * 20, ["a green ship sat", "a small dog ran"]]), tokenizer, max_length=32)
    first = np.zeros(40, dtype=np.int64)
    seconds, labels = _seconds(tokens, Pretraining(), first, np.random.default_rng(1))
    others = [second for second, label in zip(seconds, labels, strict=True) if label == 1]
    assert others
    assert all(tokens.document[second] == 1 for second in others)


@pytest.fixture(scope="module")
def with_brackets():
    return train_wordpiece([*SENTENCES, "[ ] sep mask cls pad unk"], size=200, min_count=1)


@pytest.mark.parametrize("written", ["[SEP]", "[MASK]", "[CLS]", "[PAD]", "[UNK]"])
def test_what_people_write_is_text_and_no_special_token(with_brackets, written: str) -> None:
    ids = tokenize(Corpus.of([[f"the {written} sat"]]), with_brackets, max_length=32).ids[0]
    assert with_brackets.convert_tokens_to_ids(written) not in ids.tolist()
    assert with_brackets.decode(ids).replace(" ", "") == f"the{written.lower()}sat"


def test_what_people_write_is_text_in_every_task(with_brackets) -> None:
    tokenizer = with_brackets
    separator, mask = tokenizer.sep_token_id, tokenizer.mask_token_id
    single = Sentences(("the [SEP] sat", "a [MASK] ran"), None, np.array([0, 1]), ("no", "yes"))
    tagged = Tagged((("the", "[MASK]", "ran"),), ((0, 1, 0),), ("x", "y"))
    spans = Spans(("who [SEP] ran",), ("the [MASK] ran",), (("ran",),), (11,))
    for task, n_separators in ((single, 1), (tagged, 1), (spans, 2)):
        for ids in encode_task(task, tokenizer, max_length=64).columns["input_ids"]:
            assert np.count_nonzero(ids == separator) == n_separators
            assert mask not in ids
    vectors = sentence_vectors._tokens("first", ["the [SEP] [MASK] sat"], tokenizer, 32)[0]
    assert (np.count_nonzero(vectors == separator), mask in vectors) == (1, False)


def test_two_positives_of_one_anchor_are_no_negatives_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    normalize = torch.nn.functional.normalize
    first, second = (
        normalize(torch.randn(4, 6, generator=torch.Generator().manual_seed(seed)), dim=1) for seed in (0, 1)
    )
    first[1] = first[0]
    monkeypatch.setattr(
        sentence_vectors, "encode_batch", lambda model, batch, side: first if side == "first" else second
    )
    batch = {
        "similarity": torch.ones(4),
        "first_ids": torch.tensor([[5, 6], [5, 6], [7, 8], [9, 1]]),
        "second_ids": torch.tensor([[1, 2], [3, 4], [5, 7], [8, 8]]),
    }
    scores = 20 * first @ second.T
    scores[0, 1] = scores[1, 0] = -torch.inf
    expected = float(torch.nn.functional.cross_entropy(scores, torch.arange(4), reduction="sum"))
    found = float(sentence_vectors.Contrastive().sums(None, batch)["pairs"])
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("first", "second", "positives"),
    [
        ([[1], [1], [2]], [[3], [4], [3]], [[1, 1, 1], [1, 1, 1], [1, 0, 1]]),  # 3 is paired with 1 and with 2
        ([[1], [2], [9]], [[2], [1], [8]], [[1, 1, 0], [1, 1, 0], [0, 0, 1]]),  # the sentence itself, on the other side
        ([[1, 2], [1, 0]], [[5, 6, 7], [1, 2, 0]], [[1, 1], [0, 1]]),  # sides padded to different lengths
    ],
)
def test_all_that_the_batch_says_to_be_alike_is_no_negative(first: list, second: list, positives: list) -> None:
    batch = {}
    for side, rows in (("first", first), ("second", second)):
        batch[f"{side}_ids"] = torch.tensor(rows)
        batch[f"{side}_mask"] = (torch.tensor(rows) != 0).long()
    assert sentence_vectors._positives(batch).int().tolist() == positives
