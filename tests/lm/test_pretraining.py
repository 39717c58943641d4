from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from neuroling.lm.checkpoints import CheckpointError, checkpoints
from neuroling.lm.corpora import Corpus, find_overlap, parse_corpus, refuse_overlap
from neuroling.lm.masking import NOT_ASKED, Masking, mask_tokens
from neuroling.lm.pretraining import (
    Pretraining,
    PretrainingLoss,
    Size,
    assess,
    bert_config,
    draw_batch,
    last_model,
    pretrain,
    tokenize,
    unigram_loss,
)
from neuroling.lm.training import Recipe, seeded
from neuroling.lm.wordpiece import SPECIAL, train_wordpiece

MASK, N = 4, 100
IDS = np.random.default_rng(0).integers(5, N, (400, 50))
WORDS = np.repeat(np.arange(25)[None], 400, 0).repeat(2, axis=1)  # two pieces a word
WORDS[:, [0, -1]] = -1


def hidden(masking, seed=0):
    rng = np.random.default_rng(seed)
    return mask_tokens(IDS, WORDS, masking, mask_id=MASK, ordinary=np.arange(5, N), rng=rng)


@pytest.mark.parametrize("whole_words", [False, True], ids=["pieces", "words"])
@pytest.mark.parametrize("ratio", [0.05, 0.15, 0.5])
def test_the_share_of_hidden_tokens_is_the_ratio(ratio, whole_words):
    _, labels = hidden(Masking(ratio, whole_words=whole_words))
    n = (WORDS >= 0).sum()
    error = np.sqrt(ratio * (1 - ratio) / n) * (np.sqrt(2) if whole_words else 1)
    assert (labels != NOT_ASKED).sum() / n == pytest.approx(ratio, abs=4 * error)


def test_of_the_hidden_tokens_80_are_masked_10_swapped_and_10_left():
    read, labels = hidden(Masking(0.5))
    chosen = labels != NOT_ASKED
    n = chosen.sum()
    masked = (read == MASK)[chosen].mean()
    kept = (read == IDS)[chosen].mean()
    assert masked == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / n))
    assert kept == pytest.approx(0.1 + 0.1 / 95, abs=4 * np.sqrt(0.09 / n))  # a swap may draw the same token
    assert np.array_equal(labels[chosen], IDS[chosen])
    assert np.array_equal(read[~chosen], IDS[~chosen])


def test_special_tokens_are_never_hidden():
    _, labels = hidden(Masking(1.0))
    assert ((labels != NOT_ASKED) == (WORDS >= 0)).all()


def test_whole_words_are_hidden_whole():
    _, labels = hidden(Masking(0.3, whole_words=True))
    chosen = labels != NOT_ASKED
    assert (chosen[:, 2:-2:2] == chosen[:, 3:-2:2]).all()


def test_masks_repeat_with_the_seed_only():
    assert np.array_equal(hidden(Masking(), 1)[0], hidden(Masking(), 1)[0])
    assert not np.array_equal(hidden(Masking(), 1)[0], hidden(Masking(), 2)[0])


def test_a_throw_that_chooses_nothing_still_asks_for_one():
    rng = np.random.default_rng(0)
    _, labels = mask_tokens(IDS[:1, :4], WORDS[:1, :4], Masking(1e-9), mask_id=MASK, ordinary=np.arange(5, N), rng=rng)
    assert (labels != NOT_ASKED).sum() == 1


@pytest.mark.parametrize(
    ("options", "message"), [({"ratio": 0.0}, "ratio: got 0"), ({"hidden": 0.9, "swapped": 0.2}, "shares of 0 or more")]
)
def test_impossible_shares_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Masking(**options)


def test_guessing_by_frequency_costs_the_entropy_of_the_text(tokenizer):
    corpus = Corpus.of([["the cat sees the dog ."] * 400])
    tokens = tokenize(corpus, tokenizer, max_length=32)
    counts = np.array([2, 1, 1, 1, 1])  # the, cat, sees, dog and the point
    entropy = -(counts / 6 * np.log(counts / 6)).sum()
    plan = Pretraining(Masking(1.0), next_sentence=False)
    found = unigram_loss(tokens, tokens, plan)
    assert found == pytest.approx(entropy, abs=len(tokenizer) / 2400)  # one added to every count
    assert found == unigram_loss(tokens, tokens, plan, rng=1)  # all are asked for, whatever is drawn
    some = Pretraining(Masking(0.1), next_sentence=False)
    assert unigram_loss(tokens, tokens, some) == unigram_loss(tokens, tokens, some)
    assert unigram_loss(tokens, tokens, some) != unigram_loss(tokens, tokens, some, rng=1)


def test_counts_of_another_vocabulary_are_refused(corpus, tokenizer):
    other = tokenize(corpus, train_wordpiece(corpus.sentences, size=40), max_length=32)
    with pytest.raises(ValueError, match="expected one tokenizer"):
        unigram_loss(other, tokenize(corpus, tokenizer, max_length=32), Pretraining())


# --- text ---------------------------------------------------------------------------------------------------------


def test_empty_sentences_and_texts_are_refused():
    with pytest.raises(ValueError, match=r"document 1 has 1 empty of 2 sentences, first at \[1\]"):
        Corpus.of([["a"], ["b", "  "]])
    with pytest.raises(ValueError, match="there are none"):
        parse_corpus("\n \n")


def test_a_model_that_has_seen_its_test_is_caught():
    assert find_overlap(["The cat sat.", "Ｄogs"], ["a dog", "the  CAT sat.", "dogs"]) == [1, 2]
    with pytest.raises(ValueError, match="1 of 2 texts were trained on"):
        refuse_overlap(["seen"], ["seen", "unseen"])
    refuse_overlap(["seen"], ["seen", "unseen"], allowed=1)


def test_a_vocabulary_too_small_for_its_special_tokens_is_refused():
    with pytest.raises(ValueError, match="size: got 6; the 5 special tokens and the characters of the text alone need"):
        train_wordpiece(["a cat sat on a mat"], size=6)


VOCABULARY = """
import hashlib, json
from neuroling.lm.wordpiece import SPECIAL, train_wordpiece
words = [f"{a}{b}{c}n{d}" for a in "abk" for b in "eiou" for c in "lmrst" for d in "xyz"]
vocabulary = train_wordpiece([" ".join(words), " ".join(words)], size=90).get_vocab()
print(hashlib.sha256(json.dumps(sorted(vocabulary.items())).encode()).hexdigest())
"""


@pytest.mark.slow  # a process of its own each: 3 s
def test_pieces_and_their_numbers_are_the_same_in_every_process():
    found = {
        subprocess.run([sys.executable, "-c", VOCABULARY], check=True, capture_output=True, text=True).stdout
        for _ in range(3)
    }
    assert len(found) == 1


def test_pieces_are_numbered_by_what_they_are_before_how_often(tokenizer):
    vocabulary = tokenizer.get_vocab()
    letters = sorted((piece for piece in vocabulary if piece.startswith("##") and len(piece) == 3), key=vocabulary.get)
    assert letters == sorted(letters)
    assert [vocabulary[piece] for piece in SPECIAL] == list(range(5))


def test_a_run_is_not_gone_on_with_under_other_numbers(corpus, tokenizer, tmp_path):
    other = train_wordpiece(corpus.sentences[:20], size=200, max_length=32)
    assert other.get_vocab() != tokenizer.get_vocab()
    options = {"size": Size(1, 16, 2), "max_length": 32, "folder": tmp_path, "device": "cpu"}
    pretrain(corpus, tokenizer, Pretraining(), Recipe(1, 2), **options)
    with pytest.raises(CheckpointError, match="another configuration: vocabulary"):
        pretrain(corpus, other, Pretraining(), Recipe(1, 2), **options)


def test_the_tokenizer_marks_both_halves_of_a_pair(tokenizer):
    read = tokenizer("the cat", "the dog")
    assert read["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1]
    assert tokenizer.convert_ids_to_tokens(read["input_ids"])[0] == "[CLS]"


# --- batches ------------------------------------------------------------------------------------------------------


def test_half_of_the_second_sentences_follow_and_the_rest_come_from_elsewhere(corpus, tokenizer):
    tokens = tokenize(corpus, tokenizer, max_length=32)
    rows = np.tile(np.arange(len(tokens)), 25)
    follows = draw_batch(tokens, Pretraining(), rows, np.random.default_rng(0))["follows"].numpy()
    asked = follows != NOT_ASKED
    last = np.append(tokens.document[1:] != tokens.document[:-1], True)[rows]
    assert (asked == ~last).all()
    assert follows[asked].mean() == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / asked.sum()))


def test_without_the_second_task_the_next_sentence_always_follows(corpus, tokenizer):
    tokens = tokenize(corpus, tokenizer, max_length=32)
    plan = Pretraining(Masking(1e-9), next_sentence=False)
    batch = draw_batch(tokens, plan, np.array([0, 1]), np.random.default_rng(0))
    separator = tokens.special[2]
    expected = [tokens.special[1], *tokens.ids[0], separator, *tokens.ids[1], separator]
    read = torch.where(batch["labels"] == NOT_ASKED, batch["input_ids"], batch["labels"])
    assert read[0][batch["attention_mask"][0] == 1].tolist() == expected
    assert (batch["follows"] == NOT_ASKED).all()


def test_from_left_to_right_every_next_token_is_asked_and_none_hidden(corpus, tokenizer):
    tokens = tokenize(corpus, tokenizer, max_length=32)
    plan = Pretraining(left_to_right=True, next_sentence=False)
    batch = draw_batch(tokens, plan, np.array([0]), np.random.default_rng(0))
    ids, labels = batch["input_ids"][0], batch["labels"][0]
    assert tokens.special[3] not in ids
    assert (labels[:-1][labels[:-1] != NOT_ASKED] == ids[1:][labels[:-1] != NOT_ASKED]).all()


def test_a_left_to_right_model_does_not_see_what_comes(tokenizer):
    from transformers import BertForPreTraining

    config = bert_config(Size(1, 16, 2), vocabulary=len(tokenizer), left_to_right=True)
    model = seeded(0, lambda: BertForPreTraining(config)).eval()
    one, other = torch.tensor([[2, 7, 8, 9]]), torch.tensor([[2, 7, 8, 11]])
    first, second = (model.bert(ids).last_hidden_state[0, :3].detach() for ids in (one, other))
    torch.testing.assert_close(first, second)


def test_sentences_longer_than_the_positions_are_refused_or_cut_when_asked(corpus, tokenizer):
    with pytest.raises(ValueError, match="40 sentences have more than 3 tokens"):
        tokenize(corpus, tokenizer, max_length=6)
    assert max(map(len, tokenize(corpus, tokenizer, max_length=6, long="truncate").ids)) == 3


def test_long_sentences_are_parted_between_words_and_nothing_is_lost(tokenizer):
    corpus = Corpus.of([["the cat sees the dog .", "the bird ."], ["catdog dogcat birdcat ."]])
    whole = tokenize(corpus, tokenizer, max_length=32)
    parted = tokenize(corpus, tokenizer, max_length=7, long="split")
    assert max(map(len, parted.ids)) <= 4
    assert np.concatenate(parted.ids).tolist() == np.concatenate(whole.ids).tolist()
    starts = [row[0] for row in parted.words]
    assert starts == [0] * len(parted)  # words of every part are counted from 0
    torn = [tokenizer.convert_ids_to_tokens(int(row[0])).startswith("##") for row in parted.ids]
    assert not any(torn)
    assert parted.document.tolist() == sorted(parted.document.tolist())
    assert int((parted.document == 0).sum()) == 3


def test_a_word_longer_than_a_sequence_is_parted_itself(tokenizer):
    corpus = Corpus.of([["dogdogdog the cat"]])
    whole = tokenize(corpus, tokenizer, max_length=32)
    parted = tokenize(corpus, tokenizer, max_length=5, long="split")
    assert max(map(len, parted.ids)) <= 2
    assert np.concatenate(parted.ids).tolist() == whole.ids[0].tolist()


def test_the_loss_is_that_of_transformers_own(corpus, tokenizer):
    from transformers import BertForPreTraining

    tokens = tokenize(corpus, tokenizer, max_length=32)
    batch = draw_batch(tokens, Pretraining(Masking(0.4)), np.arange(8), np.random.default_rng(0))
    model = seeded(0, lambda: BertForPreTraining(bert_config(Size(1, 16, 2), vocabulary=len(tokenizer)))).eval()
    loss = PretrainingLoss()
    counts, sums = loss.counts(batch), loss.sums(model, batch)
    inputs = {name: batch[name] for name in ("input_ids", "token_type_ids", "attention_mask")}
    theirs = model(**inputs, labels=batch["labels"], next_sentence_label=batch["follows"]).loss
    ours = sum(float(total.detach()) / counts[name] for name, total in sums.items())
    assert ours == pytest.approx(float(theirs.detach()), abs=1e-5)


# --- runs ---------------------------------------------------------------------------------------------------------

TINY = {"size": Size(1, 16, 2), "max_length": 32, "device": "cpu"}


def test_checkpoints_are_folders_that_transformers_reads(corpus, tokenizer, tmp_path):
    from transformers import AutoModel, AutoTokenizer

    model, curves = pretrain(corpus, tokenizer, Pretraining(), Recipe(4, 4, save_every=2), folder=tmp_path, **TINY)
    assert list(checkpoints(tmp_path)) == [2, 4]
    assert len(curves["tokens"]) == 4
    read = AutoModel.from_pretrained(last_model(tmp_path), local_files_only=True)
    ours, theirs = model.bert.embeddings.word_embeddings.weight, read.embeddings.word_embeddings.weight
    assert torch.equal(ours, theirs)
    assert AutoTokenizer.from_pretrained(last_model(tmp_path)).tokenize("The cat") == ["the", "cat"]


def test_load_encoder_reads_a_checkpoint(base):
    from neuroling import load_encoder

    assert load_encoder(base, device="cpu").n_layers == 1


def test_a_run_over_other_text_does_not_go_on(corpus, tokenizer, tmp_path):
    pretrain(corpus, tokenizer, Pretraining(), Recipe(1, 4), folder=tmp_path, **TINY)
    other = Corpus.of([["the cat sees the dog .", "the dog sees the cat ."]] * 20)
    with pytest.raises(ValueError, match="another configuration"):
        pretrain(other, tokenizer, Pretraining(), Recipe(1, 4), folder=tmp_path, **TINY)


@pytest.mark.slow
def test_a_small_model_learns_a_small_language(corpus, tokenizer):
    tokens = tokenize(corpus, tokenizer, max_length=32)
    plan = Pretraining(next_sentence=False)
    recipe = Recipe(steps=300, batch_size=16, learning_rate=3e-3)
    model, _ = pretrain(corpus, tokenizer, plan, recipe, size=Size(2, 32, 2), max_length=32, dropout=0.0, device="cpu")
    untrained, _ = pretrain(corpus, tokenizer, plan, Recipe(1, 1, 1e-9), **TINY)
    assert assess(model, tokens, plan).loss < 0.6 * assess(untrained, tokens, plan).loss


@pytest.mark.parametrize(
    ("name", "millions"), [("base", 110.1), ("large", 336.2), ("tiny", 4.4)], ids=["base", "large", "tiny"]
)
def test_sizes_by_name_have_the_published_numbers_of_parameters(name, millions):
    from transformers import BertForPreTraining

    with torch.device("meta"):
        model = BertForPreTraining(bert_config(name, vocabulary=30522))
    assert sum(one.numel() for one in model.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


def test_an_unknown_size_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="tiny, mini"):
        bert_config("huge", vocabulary=10)
