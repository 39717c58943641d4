from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from neuroling.lm import scores
from neuroling.lm.finetuning import Finetuned, Windows, answer, encode_task, finetune, score
from neuroling.lm.masking import NOT_ASKED
from neuroling.lm.tasks import (
    GLUE,
    Sentences,
    Spans,
    Tagged,
    parse_glue,
    parse_jsts,
    parse_squad,
    refuse_one_class,
)
from neuroling.lm.training import Recipe

SST = "sentence\tlabel\nthe cat sees\t1\nthe dog hears\t0\n"


# --- layouts ------------------------------------------------------------------------------------------------------


def test_cola_has_no_header():
    task = parse_glue("gj04\t1\t\tThe cat sees.\ngj04\t0\t*\tSees cat the.\n", GLUE["cola"])
    assert task.first == ("The cat sees.", "Sees cat the.")
    assert task.labels.tolist() == [1, 0]


def test_quotes_in_glue_are_letters():
    assert parse_glue('sentence\tlabel\n"so it is\t1\n', GLUE["sst-2"]).first == ('"so it is',)


@pytest.mark.parametrize(
    ("name", "header", "cells", "label"),
    [
        ("mrpc", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String", "1\t7\t8\ta b\tc d", 1),
        ("sts-b", "index\tgenre\tsentence1\tsentence2\tscore", "0\tx\ta b\tc d\t3.8", 3.8),
        ("qqp", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate", "0\t1\t2\ta b\tc d\t0", 0),
        ("mnli", "index\tsentence1\tsentence2\tgold_label", "0\ta b\tc d\tneutral", 1),
        ("qnli", "index\tquestion\tsentence\tlabel", "0\ta b\tc d\tnot_entailment", 1),
        ("rte", "index\tsentence1\tsentence2\tlabel", "0\ta b\tc d\tentailment", 0),
        ("wnli", "index\tsentence1\tsentence2\tlabel", "0\ta b\tc d\t1", 1),
    ],
)
def test_every_pair_task_of_glue_is_read(name, header, cells, label):
    task = parse_glue(f"{header}\n{cells}\n", GLUE[name])
    assert (task.first, task.second, task.labels.tolist()) == (("a b",), ("c d",), [label])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("sst-2", "sentence\tlabel\nx\t2\n", "line 2 has the label '2'"),
        ("sst-2", "text\tlabel\nx\t1\n", r"\['sentence'\] are missing"),
        ("sst-2", "sentence\tlabel\n", "has no rows"),
        ("sst-2", "", "is empty"),
        ("rte", "index\tsentence1\tsentence2\tlabel\n0\ta\t\tentailment\n", "line 2 has an empty text.*half of a pair"),
        ("rte", "index\tsentence1\tsentence2\tlabel\n0\ta\n", "line 2 has 2 cells"),
        ("sts-b", "sentence1\tsentence2\tscore\na\tb\thigh\n", "line 2 has the rating 'high'"),
    ],
    ids=["label", "column", "no rows", "empty", "half", "cells", "rating"],
)
def test_what_is_wrong_with_a_table_is_named(name, text, message):
    with pytest.raises(ValueError, match=message):
        parse_glue(text, GLUE[name])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1 is no rated pair"),
        ('{"sentence1": "a", "sentence2": " ", "label": 1}', "half of the pair is missing"),
        ('{"sentence1": "a", "sentence2": "b", "label": 9}', "9.0 is outside 0 to 5"),
    ],
    ids=["broken", "half", "outside"],
)
def test_a_broken_pair_of_jsts_is_named(line, message):
    with pytest.raises(ValueError, match=message):
        parse_jsts(line)


PASSAGE = "the cat sees the dog . the bird follows the child ."


START = PASSAGE.index("follows")


def squad(start=START):
    answer = {"text": "follows", "answer_start": start}
    return json.dumps(
        {"data": [{"paragraphs": [{"context": PASSAGE, "qas": [{"question": "the bird ?", "answers": [answer]}]}]}]}
    )


def test_an_answer_is_found_where_it_stands():
    assert parse_squad(squad()).answers == (("follows",),)


def test_an_answer_that_stands_elsewhere_is_refused():
    with pytest.raises(ValueError, match="does not stand at character 30"):
        parse_squad(squad(30))


# --- labels -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (lambda: Sentences(("a", "b"), None, np.array([0, 2]), ("no", "yes")), r"\[2\] are outside 0 to 1"),
        (lambda: Sentences(("a", "b"), None, np.array([0, 0]), ("no",)), "one class cannot be told"),
        (lambda: Sentences(("a", "b"), ("c",), np.array([0, 1]), ("no", "yes")), "got 2 for 2 and 1 texts"),
        (lambda: Sentences(("a", " "), None, np.array([0, 1]), ("no", "yes")), r"1 of 2 texts are empty, at \[1\]"),
        (lambda: Tagged.of([["a"]], [["X"]], ["N", "V"]), r"\['X'\] are not among the 2 classes"),
        (lambda: Tagged((("a", "b"),), ((0,),), ("N", "V")), r"sentences \[0\] have more words than tags"),
        (lambda: Spans(("a",), ("b",), (("c",),), (0,)), "does not stand"),
    ],
    ids=["outside", "one name", "missing half", "empty", "unknown tag", "uneven", "answer"],
)
def test_labels_that_cannot_be_are_refused(task, message):
    with pytest.raises(ValueError, match=message):
        task()


def test_a_training_set_of_one_class_is_refused(base):
    task = Sentences(("a", "b"), None, np.array([1, 1]), ("no", "yes"))
    with pytest.raises(ValueError, match="all 2 are 'yes'"):
        refuse_one_class(task)
    with pytest.raises(ValueError, match="all 2 are 'yes'"):
        finetune(base, task, Recipe(1, 2), device="cpu")


# --- encoding -----------------------------------------------------------------------------------------------------


def test_a_tag_stands_at_the_first_piece_of_its_word(tokenizer):
    task = Tagged((("the", "catdog", "sees"),), ((0, 1, 2),), ("D", "N", "V"))
    rows = encode_task(task, tokenizer, max_length=32)
    labels = rows.columns["labels"][0]
    pieces = tokenizer.convert_ids_to_tokens(rows.columns["input_ids"][0])
    assert labels[labels != NOT_ASKED].tolist() == [0, 1, 2]
    assert labels[[0, -1]].tolist() == [NOT_ASKED, NOT_ASKED]
    assert all(not piece.startswith("##") for piece, label in zip(pieces, labels, strict=True) if label != NOT_ASKED)


def test_the_tokens_of_an_answer_are_those_of_its_letters(tokenizer):
    task = parse_squad(squad())
    rows = encode_task(task, tokenizer, max_length=32)
    first, last = rows.columns["span"][0]
    a, b = rows.offsets[0][first][0], rows.offsets[0][last][1]
    assert PASSAGE[a:b] == "follows"


def test_texts_longer_than_the_positions_are_refused(tokenizer):
    task = parse_glue(SST, GLUE["sst-2"])
    with pytest.raises(
        ValueError, match=r"2 of 2 texts have more than 4 tokens \(first at \[0, 1\], the longest has 5"
    ):
        encode_task(task, tokenizer, max_length=4)


FILLER = "the dog likes the child . "
LONG_PASSAGE = FILLER * 3 + "the bird follows the cat . " + FILLER * 2
LONG = Spans(("the bird ?",), (LONG_PASSAGE,), (("follows",),), (LONG_PASSAGE.index("follows"),))


@pytest.mark.parametrize("shared", [0, 1, 5])
def test_windows_cover_every_token_of_a_passage_and_share_what_was_asked_for(tokenizer, shared):
    whole = encode_task(LONG, tokenizer, max_length=100).offsets[0]
    passage = [span for span in whole if span != (-1, -1)]
    rows = encode_task(LONG, tokenizer, max_length=16, long=Windows(shared))
    windows = [[span for span in one if span != (-1, -1)] for one in rows.offsets]
    assert rows.texts == [0] * len(windows)
    assert max(len(ids) for ids in rows.columns["input_ids"]) == 16
    joined = windows[0] + [span for one in windows[1:] for span in one[shared:]]
    assert joined == passage


def test_only_windows_that_hold_the_whole_answer_point_at_it(tokenizer):
    rows = encode_task(LONG, tokenizer, max_length=16, long=Windows(4))
    start, end = LONG.starts[0], LONG.starts[0] + len("follows")
    for offsets, (first, last) in zip(rows.offsets, rows.columns["span"], strict=True):
        covered = any(a <= start < b for a, b in offsets) and any(a < end <= b for a, b in offsets)
        assert bool(first) == covered
        if covered:
            assert (offsets[first][0], offsets[last][1]) == (start, end)
    assert any(first for first, _ in rows.columns["span"])


def test_passages_that_fit_are_read_at_once(tokenizer):
    task = parse_squad(squad())
    plain, windows = (encode_task(task, tokenizer, max_length=32, long=long) for long in ("error", Windows(2)))
    assert windows.texts == [0]
    assert np.array_equal(plain.columns["input_ids"][0], windows.columns["input_ids"][0])


def test_blanks_around_an_answer_do_not_hide_it(tokenizer):
    task = Spans(("the bird ?",), (PASSAGE,), ((" follows ",),), (START - 1,))
    rows = encode_task(task, tokenizer, max_length=32)
    assert (
        rows.columns["span"][0].tolist()
        == encode_task(parse_squad(squad()), tokenizer, max_length=32).columns["span"][0].tolist()
    )


def test_windows_that_share_more_than_there_is_room_for_are_refused(tokenizer):
    with pytest.raises(ValueError, match="windows share 12 tokens, and beside the longest question"):
        encode_task(LONG, tokenizer, max_length=16, long=Windows(12))
    with pytest.raises(ValueError, match="only passages are read in windows"):
        encode_task(parse_glue(SST, GLUE["sst-2"]), tokenizer, max_length=4, long=Windows(1))


class Pointing(torch.nn.Module):
    """Likes one token, the more the nearer it stands to the middle of what is read."""

    device = torch.device("cpu")

    def __init__(self, liked):
        super().__init__()
        self.liked = liked

    def forward(self, input_ids, **_):
        from types import SimpleNamespace

        near = -(torch.arange(input_ids.shape[1]) - 8.0).abs()
        logits = torch.where(input_ids == self.liked, 20 + near, torch.tensor(-5.0))
        return SimpleNamespace(start_logits=logits, end_logits=logits)


def test_the_best_of_all_windows_is_the_answer(tokenizer):
    model = Pointing(tokenizer.convert_tokens_to_ids("follows"))
    tuned = Finetuned(model, tokenizer, 16, {})
    assert answer(tuned, LONG, long=Windows(4)) == ["follows"]
    assert answer(tuned, LONG, long="truncate") != ["follows"]  # it stands behind the cut
    assert score(tuned, LONG, long=Windows(4)) == {"exact": 1.0, "f1": 1.0}


# --- runs: what was planted is learnt -----------------------------------------------------------------------------

LEARNING = Recipe(steps=40, batch_size=8, learning_rate=1e-2)


def test_words_cut_off_count_as_wrong(base):
    words = ("the", "cat", "sees") * 4
    task = Tagged((words,) * 8, ((0, 1, 2) * 4,) * 8, ("D", "N", "V"))
    tuned = finetune(base, task, LEARNING, max_length=8, long="truncate", device="cpu")
    assert score(tuned, task, long="truncate")["accuracy"] == pytest.approx(0.5, abs=0.01)  # six of twelve are read


def test_tags_of_words_are_learnt(base):
    task = Tagged((("the", "cat", "sees"), ("the", "dog", "hears")) * 4, ((0, 1, 2),) * 8, ("D", "N", "V"))
    assert score(finetune(base, task, LEARNING, device="cpu"), task)["accuracy"] == 1.0


def test_classes_of_sentences_are_learnt(base):
    task = Sentences(("the cat sees", "the dog hears") * 4, None, np.array([0, 1] * 4), ("no", "yes"))
    found = score(finetune(base, task, LEARNING, device="cpu"), task)
    assert found == {"accuracy": 1.0, "f1": 1.0, "matthews": 1.0}


def test_ratings_of_pairs_are_learnt(base):
    pairs = [("the cat", "the cat", 5.0), ("the cat", "the child meets", 0.0)] * 4
    task = Sentences(*(tuple(p[i] for p in pairs) for i in (0, 1)), np.array([p[2] for p in pairs]), None)
    found = score(finetune(base, task, LEARNING, device="cpu"), task)
    assert found["pearson"] > 0.9


def test_a_frozen_model_keeps_its_weights_and_its_head_learns(base):
    task = Tagged((("the", "cat", "sees"), ("the", "dog", "hears")) * 4, ((0, 1, 2),) * 8, ("D", "N", "V"))
    recipe = Recipe(steps=40, batch_size=8, learning_rate=1e-1)
    tuned = finetune(base, task, recipe, frozen=True, device="cpu")
    whole = finetune(base, task, Recipe(steps=1, batch_size=8, learning_rate=1e-30), device="cpu")
    before, after = (dict(one.model.base_model.named_parameters()) for one in (whole, tuned))
    assert all(torch.equal(before[name], after[name]) for name in after)
    assert score(tuned, task)["accuracy"] == 1.0


def test_answers_in_a_passage_are_learnt(base):
    task = parse_squad(squad())
    task = Spans(task.questions * 4, task.passages * 4, task.answers * 4, task.starts * 4)
    assert score(finetune(base, task, LEARNING, device="cpu"), task) == {"exact": 1.0, "f1": 1.0}


def test_answers_in_long_passages_are_learnt_in_windows(base):
    task = Spans(*(part * 4 for part in (LONG.questions, LONG.passages, LONG.answers, LONG.starts)))
    tuned = finetune(base, task, LEARNING, max_length=16, long=Windows(4), device="cpu")
    assert score(tuned, task, long=Windows(4)) == {"exact": 1.0, "f1": 1.0}


def test_a_seed_gives_the_same_curve_and_an_untrained_model_another(base):
    task = parse_glue(SST, GLUE["sst-2"])
    curves = [
        finetune(base, task, Recipe(3, 2, seed=seed), untrained=untrained, device="cpu").curves["loss"]
        for seed, untrained in ((0, False), (0, False), (1, False), (0, True))
    ]
    assert np.array_equal(curves[0], curves[1])
    assert not np.array_equal(curves[0], curves[2])
    assert not np.array_equal(curves[0], curves[3])


# --- scores -------------------------------------------------------------------------------------------------------


def test_scores_of_two_classes_are_those_of_the_textbook():
    truth, said = np.array([1, 1, 1, 0, 0]), np.array([1, 1, 0, 0, 1])
    found = scores.score_classes(truth, said, 2)
    assert found["f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert found["matthews"] == pytest.approx((2 * 1 - 1 * 1) / np.sqrt(3 * 3 * 2 * 2))


def test_an_answer_that_was_not_given_is_wrong():
    assert scores.score_classes(np.array([0, 1]), np.array([0, -1]), 2)["accuracy"] == 0.5


def test_ratings_that_are_all_alike_have_no_correlation():
    with pytest.raises(ValueError, match="said: all 3 ratings are alike"):
        scores.score_ratings(np.array([1.0, 2.0, 3.0]), np.ones(3))


def test_articles_case_and_points_do_not_count_in_answers():
    assert scores.score_answers([["The Dog."], ["a cat"]], ["dog", "a red cat"]) == {
        "exact": 0.5,
        "f1": pytest.approx((1 + 2 / 3) / 2),
    }
