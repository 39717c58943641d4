"""The encoder-decoders against a plain reference in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroling.lm.recurrent import Recurrent
from neuroling.lm.transformer import Shape, Transformer, sinusoids
from neuroling.lm.vocabulary import Characters

SOURCE = torch.tensor([[4, 5, 6, 7], [8, 9, 0, 0]])
PREFIX = torch.tensor([[1, 5, 4], [1, 3, 3]])


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def plain_attention(module, queries, keys, masked):
    """Multi-head attention of one text, loop by loop: queries (t, w), keys (s, w), masked (t, s)."""
    w_in, b_in, w_out, b_out = (
        p.detach().double().numpy()
        for p in (module.in_proj_weight, module.in_proj_bias, module.out_proj.weight, module.out_proj.bias)
    )
    width, heads = queries.shape[1], module.num_heads
    q, k, v = (
        x @ w_in[i * width : (i + 1) * width].T + b_in[i * width : (i + 1) * width]
        for i, x in enumerate((queries, keys, keys))
    )
    size, mixed, maps = width // heads, [], []
    for head in range(heads):
        own = slice(head * size, (head + 1) * size)
        scores = np.where(masked, -np.inf, q[:, own] @ k[:, own].T / np.sqrt(size))
        maps.append(softmax(scores))
        mixed.append(maps[-1] @ v[:, own])
    return np.concatenate(mixed, 1) @ w_out.T + b_out, np.array(maps)


def norm(layer, x):
    centred = x - x.mean(1, keepdims=True)
    scaled = centred / np.sqrt(x.var(1, keepdims=True) + layer.eps)
    return scaled * layer.weight.detach().double().numpy() + layer.bias.detach().double().numpy()


def linear(layer, x):
    return x @ layer.weight.detach().double().numpy().T + layer.bias.detach().double().numpy()


def plain_transformer(model, source, prefix):
    """One text through one layer of either side, in float64."""

    def embedded(symbols):
        table = model.embed.weight.detach().double().numpy()
        return table[symbols] * np.sqrt(model.shape.width) + sinusoids(len(symbols), model.shape.width).double().numpy()

    def think(layer, x):
        return linear(layer.think[3], np.maximum(linear(layer.think[0], x), 0))

    real = source != 0
    x, layer = embedded(source), model.encoder[0]
    heard, _ = plain_attention(layer.attend, x, x, np.broadcast_to(~real, (len(x), len(x))))
    x = norm(layer.norms[0], x + heard)
    states = norm(layer.norms[1], x + think(layer, x))
    y, layer = embedded(prefix), model.decoder[0]
    heard, _ = plain_attention(layer.attend, y, y, np.triu(np.ones((len(y), len(y)), bool), 1))
    y = norm(layer.norms[0], y + heard)
    seen, maps = plain_attention(layer.look, y, states, np.broadcast_to(~real, (len(y), len(states))))
    y = norm(layer.norms[1], y + seen)
    return linear(model.out, norm(layer.norms[2], y + think(layer, y))), maps


@pytest.fixture
def transformer():
    torch.manual_seed(0)
    return Transformer(Shape(n_symbols=10, width=8, heads=2, hidden=12, max_length=6)).eval()


@pytest.mark.parametrize("row", [0, 1], ids=["full", "filled up"])
def test_logits_equal_a_plain_reference(transformer, row):
    logits = transformer(SOURCE, PREFIX)[row].detach().numpy()
    expected, _ = plain_transformer(transformer, SOURCE[row].numpy(), PREFIX[row].numpy())
    np.testing.assert_allclose(logits, expected, atol=1e-6)


@pytest.mark.parametrize("row", [0, 1], ids=["full", "filled up"])
def test_attention_equals_a_plain_reference(transformer, row):
    maps = transformer.decode(transformer.encode(SOURCE), PREFIX, attention=True).attention[0, row].detach().numpy()
    _, expected = plain_transformer(transformer, SOURCE[row].numpy(), PREFIX[row].numpy())
    np.testing.assert_allclose(maps, expected, atol=1e-6)


def test_positions_follow_the_formula_of_the_paper():
    place, unit = 7, 6
    found = sinusoids(10, 16)[place]
    assert found[unit] == pytest.approx(np.sin(place / 10_000 ** (unit / 16)), abs=1e-6)
    assert found[unit + 1] == pytest.approx(np.cos(place / 10_000 ** (unit / 16)), abs=1e-6)


MODELS = {
    "transformer": Transformer,
    "recurrent": lambda shape: Recurrent(shape, attention=False),
    "attentive": lambda shape: Recurrent(shape, attention=True),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_later_symbol_changes_no_earlier_prediction(name):
    model = MODELS[name](Shape(n_symbols=10, width=8, heads=2)).eval()
    other = PREFIX.clone()
    other[:, 2] = 7
    before, after = model(SOURCE, PREFIX), model(SOURCE, other)
    torch.testing.assert_close(before[:, :2], after[:, :2])
    assert not torch.allclose(before[:, 2], after[:, 2])


@pytest.mark.parametrize("name", MODELS)
def test_fillers_change_nothing(name):
    model = MODELS[name](Shape(n_symbols=10, width=8, heads=2)).eval()
    torch.testing.assert_close(model(SOURCE[1:], PREFIX[1:]), model(SOURCE[1:, :2], PREFIX[1:]))


@pytest.mark.parametrize("name", MODELS)
def test_sequences_longer_than_the_positions_are_refused(name):
    model = MODELS[name](Shape(n_symbols=10, width=8, heads=2, max_length=3))
    with pytest.raises(ValueError, match="4 symbols and the model has 3 positions"):
        model(SOURCE, PREFIX)


@pytest.mark.parametrize("name", ["transformer", "attentive"])
def test_attention_to_the_source_sums_to_one_and_skips_fillers(name):
    model = MODELS[name](Shape(n_symbols=10, width=8, heads=2)).eval()
    maps = model.decode(model.encode(SOURCE), PREFIX, attention=True).attention
    torch.testing.assert_close(maps.sum(-1), torch.ones_like(maps[..., 0]))
    assert not maps[:, 1, :, :, 2:].any()


def test_a_network_without_attention_says_so_when_asked_for_maps():
    model = MODELS["recurrent"](Shape(n_symbols=10, width=8))
    with pytest.raises(ValueError, match="has none"):
        model.decode(model.encode(SOURCE), PREFIX, attention=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"width": 10}, "multiple of the 4 heads"), ({"dropout": 1.0}, "dropout: got 1.0"), ({"layers": 0}, "at least 1")],
    ids=["width", "dropout", "layers"],
)
def test_impossible_shapes_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Shape(n_symbols=10, **changes)


def test_unknown_characters_and_empty_texts_are_named():
    characters = Characters.of(["abc"])
    with pytest.raises(ValueError, match=r"\['x'\]"):
        characters.numbers(["ax"])
    with pytest.raises(ValueError, match="1 are empty"):
        characters.numbers(["a", ""])
    with pytest.raises(ValueError, match="needs 4 places"):
        characters.numbers(["abc"], ended=True, width=3)
