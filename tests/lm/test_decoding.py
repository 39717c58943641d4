from __future__ import annotations

from itertools import product

import pytest
import torch

from neuroling.lm.decoding import beam, greedy
from neuroling.lm.seq2seq import Decoded, Encoded, decoder_input, encode_pairs, recall, teacher_forced
from neuroling.lm.transformer import Shape, Transformer
from neuroling.lm.vocabulary import END, PAD, START, Characters


class Told(torch.nn.Module):
    """Gives probabilities from a table by what was said last."""

    def __init__(self, table):
        super().__init__()
        self.table = torch.tensor(table).log()

    def encode(self, source):
        return Encoded(torch.zeros(len(source), 1, 1), torch.zeros(len(source), 1, dtype=torch.bool))

    def decode(self, encoded, prefix, *, attention=False):
        return Decoded(self.table[prefix])


# symbols: filler, start, end, a, b. Greedy begins with a (0.6), though b then ends surely and is worth more.
GARDEN_PATH = [
    [0.2] * 5,
    [1e-9, 1e-9, 1e-9, 0.6, 0.4],
    [0.2] * 5,
    [1e-9, 1e-9, 0.34, 0.33, 0.33],
    [1e-9, 1e-9, 0.98, 0.01, 0.01],
]
ONE = torch.tensor([[3]])


def test_greedy_takes_the_likeliest_symbol_each_time():
    assert greedy(Told(GARDEN_PATH), ONE).tolist() == [[3, END]]


def test_a_beam_finds_what_greedy_misses():
    assert beam(Told(GARDEN_PATH), ONE, width=2).tolist() == [[4, END]]


@pytest.fixture
def model():
    torch.manual_seed(3)
    return Transformer(Shape(n_symbols=7, width=8, heads=2, max_length=8)).eval()


def test_a_beam_of_one_is_greedy(model):
    source = torch.tensor([[3, 4, 5], [6, 3, 0], [5, 5, 5]])
    narrow, plain = beam(model, source, width=1, longest=6), greedy(model, source, longest=6)
    assert narrow.tolist() == plain.tolist()


def test_a_beam_as_wide_as_the_tree_finds_the_best_of_all_sequences(model):
    source = torch.tensor([[3, 4, 5]])
    encoded = model.encode(source)
    best, worth = None, -torch.inf
    for said in product([END, 3, 4, 5, 6], repeat=3):
        if END in said[:-1]:
            said = said[: said.index(END) + 1]
        prefix = torch.tensor([[START, *said[:-1]]])
        logits = model.decode(encoded, prefix).logits[0].detach().clone()
        logits[:, [PAD, START]] = -torch.inf
        total = float(logits.log_softmax(1)[torch.arange(len(said)), list(said)].sum())
        if total > worth:
            best, worth = said, total
    found = beam(model, source, width=125, longest=3)[0]
    assert tuple(found[found != PAD].tolist()) == best


def test_a_length_penalty_prefers_longer_sequences():
    table = [[0.2] * 5, [1e-9, 1e-9, 0.5, 0.5, 1e-9], [0.2] * 5, [1e-9, 1e-9, 0.9, 0.1, 1e-9], [0.2] * 5]
    assert beam(Told(table), ONE, width=3).tolist() == [[END]]
    assert beam(Told(table), ONE, width=3, length_penalty=3.0).tolist() == [[3, END]]


def test_generation_stops_at_the_longest_and_leaves_training_mode_alone():
    endless = [[0.2] * 5, [1e-9, 1e-9, 1e-9, 1.0, 1e-9], [0.2] * 5, [1e-9, 1e-9, 1e-9, 1.0, 1e-9], [0.2] * 5]
    model = Told(endless).train()
    assert greedy(model, ONE, longest=5).tolist() == [[3] * 5]
    assert model.training


def test_a_beam_without_width_is_refused(model):
    with pytest.raises(ValueError, match="width: got 0"):
        beam(model, ONE, width=0)


def test_the_shift_moves_the_target_behind_the_start():
    target = torch.tensor([[5, 6, END], [4, END, PAD]])
    assert decoder_input(target).tolist() == [[START, 5, 6], [START, 4, PAD]]
    assert decoder_input(target, shifted=False) is target


def test_recall_counts_characters_and_whole_texts_and_refuses_what_follows_the_end():
    target = torch.tensor([[5, 6, END], [4, END, PAD]])
    assert recall(target, target)[:2] == (1.0, 1.0)
    found = recall(torch.tensor([[5, 5, END], [4, END, 3]]), target)
    assert found.per_character == pytest.approx(4 / 5)
    assert found.per_text == 0.0


def test_teacher_forcing_says_nothing_behind_the_end(model):
    batch = {"source": torch.tensor([[3, 4]]), "target": torch.tensor([[5, END, PAD]])}
    assert teacher_forced(model, batch)[0, 2] == PAD


@pytest.mark.parametrize(
    ("upper", "lower", "message"),
    [(["a", "b"], ["a"], "2 sources and 1 targets"), (["a", ""], ["a", "b"], r"missing half, first at \[1\]")],
    ids=["too few", "empty"],
)
def test_a_pair_with_a_missing_half_is_refused(upper, lower, message):
    with pytest.raises(ValueError, match=message):
        encode_pairs(Characters.of(["ab"]), upper, lower)
