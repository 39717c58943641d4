from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AlbertConfig, AlbertModel, BertConfig, BertModel, GPT2Config, GPT2Model

from neuroling.probing.ablation import without_heads
from neuroling.probing.attention import attention_rollout, dependency_accuracy, summarise_heads

NAMES = ["[CLS]", "a", "cat", "saw", "[SEP]"]


def maps_of(seed=0, n=5, layers=2, heads=3):
    return np.random.default_rng(seed).dirichlet(np.ones(n), (layers, heads, n))


def steps(offset, n=5):
    """A head that looks one step aside, and at itself where there is no such token."""
    square = np.eye(n, k=offset)
    square[square.sum(1) == 0, np.flatnonzero(square.sum(1) == 0)] = 1
    return square


def planted():
    first, separator = np.zeros((5, 5)), np.zeros((5, 5))
    first[:, 0] = separator[:, 4] = 1
    kinds = [steps(-1), np.eye(5), steps(1), first, separator, np.full((5, 5), 0.2)]
    return np.stack(kinds)[None]


def test_planted_patterns_are_named():
    table = summarise_heads([(NAMES, planted())])
    assert table["pattern"].tolist() == ["previous", "itself", "next", "first", "separator", "broad"]


def test_entropy_and_distance_of_maps_written_by_hand():
    table = summarise_heads([(NAMES, planted())])
    assert table["entropy"].to_numpy() == pytest.approx([0, 0, 0, 0, 0, np.log2(5)])
    assert table["distance"].to_numpy() == pytest.approx([0.8, 0, 0.8, 2, 2, 1.6])


def test_summaries_are_means_over_texts():
    one, two = (summarise_heads([(NAMES, maps_of(seed))]) for seed in (0, 1))
    both = summarise_heads((NAMES, maps_of(seed)) for seed in (0, 1))
    columns = ["entropy", "distance", "first"]
    np.testing.assert_allclose(both[columns], (one[columns] + two[columns]) / 2)


def test_reversing_heads_reverses_the_rows():
    maps = maps_of()
    one, other = (summarise_heads([(NAMES, m)])["entropy"].to_numpy() for m in (maps, maps[:, ::-1]))
    np.testing.assert_allclose(one.reshape(2, 3), other.reshape(2, 3)[:, ::-1])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.integers(1, 8), st.integers(1, 5))
def test_rollout_keeps_shares(seed, n, layers):
    rolled = attention_rollout(maps_of(seed, n, layers))
    assert rolled.shape == (layers, n, n)
    np.testing.assert_allclose(rolled.sum(-1), 1)


def test_rollout_equals_a_loop_written_out():
    maps = maps_of(3, 4, 3, 2)
    rolled = np.eye(4)
    for layer in maps:
        mixed = 0.5 * (layer[0] + layer[1]) / 2 + 0.5 * np.eye(4)
        rolled = np.array([[sum(mixed[i, k] * rolled[k, j] for k in range(4)) for j in range(4)] for i in range(4)])
    np.testing.assert_allclose(attention_rollout(maps)[-1], rolled)


def test_without_attention_everything_stays_where_it_is():
    np.testing.assert_array_equal(attention_rollout(maps_of(), residual=1.0)[-1], np.eye(5))


def test_heads_that_look_at_the_parent_or_the_child_are_found():
    heads = [2, 0, 4, 2]
    parent, child = np.full((4, 4), 0.1), np.full((4, 4), 0.1)
    for word, head in enumerate(heads):
        if head:
            parent[word, head - 1] = child[head - 1, word] = 0.6
    table = dependency_accuracy([(heads, np.stack([parent, child])[None])] * 3)
    assert table.loc[(1, 0), "to_head"] == table.loc[(1, 1), "to_dependant"] == 1
    assert table.loc[(1, 1), "to_head"] < 1
    assert table.attrs["offset_to_head"] == pytest.approx(2 / 3)  # 1 -> 2 and 3 -> 4 are one step; 4 -> 2 is two
    assert table.attrs["n_words"] == 9


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "there is none"),
        ([(NAMES[:4], maps_of())], "4 names and maps of 5"),
        ([(NAMES, maps_of() * 0.9)], "sum to one"),
        ([(NAMES, maps_of()), (NAMES, maps_of(heads=2))], "text 1 has maps of"),
        ([(NAMES, maps_of()[0])], "shape"),
    ],
    ids=["none", "names", "rows", "heads", "axes"],
)
def test_maps_that_are_none_are_refused(texts, message):
    with pytest.raises(ValueError, match=message):
        summarise_heads(texts)


def test_a_cycle_among_the_heads_is_refused():
    with pytest.raises(ValueError, match="cycle"):
        dependency_accuracy([([2, 1, 0], np.ones((1, 1, 3, 3)))])


# --- ablation --------------------------------------------------------------------------------------------------------

SIZE = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 16, "vocab_size": 20}
TEXT = torch.arange(6)[None]


def bert(seed=0):
    torch.manual_seed(seed)
    return BertModel(BertConfig(**SIZE)).eval()


def states(model):
    with torch.inference_mode():
        return model(TEXT).last_hidden_state


def test_a_silenced_head_is_one_whose_output_is_zero():
    """Reference: a hook that sets what the head hands on to zero on its way."""
    model = bert()

    def silence(_, inputs):
        kept = inputs[0].clone()
        kept[..., 4:8] = 0
        return (kept,)

    hooked = copy.deepcopy(model)
    hooked.encoder.layer[1].attention.output.dense.register_forward_pre_hook(silence)
    torch.testing.assert_close(states(without_heads(model, {2: [1]})), states(hooked))


def test_gpt2_stores_its_maps_the_other_way_round():
    torch.manual_seed(0)
    model = GPT2Model(GPT2Config(n_embd=12, n_layer=2, n_head=3, vocab_size=20, n_positions=8)).eval()
    silent = without_heads(model, {1: [0, 1, 2], 2: [0, 1, 2]})
    alone = [silent(TEXT[:, : n + 1]).last_hidden_state[0, -1] for n in (3, 3)]
    other = silent(torch.tensor([[9, 9, 9, 3]])).last_hidden_state[0, -1]
    torch.testing.assert_close(alone[0], other)  # without attention, no token knows of another


def test_silencing_no_head_changes_nothing_and_the_model_stays_as_it_was():
    model = bert()
    before = states(model)
    torch.testing.assert_close(states(without_heads(model, {})), before, rtol=0, atol=0)
    assert not torch.allclose(states(without_heads(model, {1: [0]})), before)
    torch.testing.assert_close(states(model), before, rtol=0, atol=0)


def test_heads_that_do_not_exist_and_shared_layers_are_refused():
    for wrong in ({0: [0]}, {3: [0]}, {1: [3]}):
        with pytest.raises(ValueError, match="layers 1 to 2 and heads 0 to 2"):
            without_heads(bert(), wrong)
    shared = AlbertModel(AlbertConfig(**SIZE, embedding_size=8))
    with pytest.raises(ValueError, match="cannot be distinguished"):
        without_heads(shared, {1: [0]})
