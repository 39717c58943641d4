"""Row 20 at models that are trained here: symbols and vocabularies that do not fit the weights."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from frame import Case, Gives, Refused
from safetensors.torch import save_model

from neuroling.lm.checkpoints import WEIGHTS, load_weights
from neuroling.lm.decoding import beam, greedy
from neuroling.lm.recurrent import Recurrent
from neuroling.lm.transformer import Shape, Transformer
from neuroling.lm.vocabulary import Characters

CHARACTERS = Characters.of(["abc"])
SMALL = Shape(n_symbols=len(CHARACTERS), width=8, heads=2, layers=1, hidden=8, max_length=6)
MODELS = {"Transformer": Transformer(SMALL).eval(), "Recurrent": Recurrent(SMALL, attention=True).eval()}
CALLS = {
    "forward": lambda model, symbols: model(symbols, symbols),
    "encode": lambda model, symbols: model.encode(symbols).states,
    "greedy": lambda model, symbols: greedy(model, symbols, longest=3),
    "beam": lambda model, symbols: beam(model, symbols, width=2, longest=3),
}
SYMBOLS = CHARACTERS.numbers(["abc", "ca"])
WRONG = {
    "a symbol beyond the weights": (SYMBOLS + 1, "the vocabulary does not fit its weights"),
    "a negative symbol": (SYMBOLS - 4, "the vocabulary does not fit its weights"),
    "symbols with a fraction": (SYMBOLS.float(), "whole numbers"),
    "symbols with gradient": (SYMBOLS.float().requires_grad_(), "whole numbers"),
    "one axis": (SYMBOLS[0], "(text, place)"),
}


def stored(n_symbols: int) -> Path:
    folder = Path(tempfile.mkdtemp())
    save_model(Transformer(Shape(n_symbols, width=8, heads=2, layers=1, hidden=8, max_length=6)), str(folder / WEIGHTS))
    return folder


def torn() -> Path:
    folder = stored(6)
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:200])
    return folder


CASES = [
    *(
        Case(20, what, f"{name}, {call}", partial(run, model, symbols), Refused("symbols", part), "symbols")
        for what, (symbols, part) in WRONG.items()
        for name, model in MODELS.items()
        for call, run in CALLS.items()
    ),
    *(
        Case(20, "symbols that fit", f"{name}, {call}", partial(run, model, SYMBOLS), Gives(lambda r, c: len(r) == 2))
        for name, model in MODELS.items()
        for call, run in CALLS.items()
    ),
    Case(
        20,
        "weights of another vocabulary",
        "load_weights",
        lambda: load_weights(stored(9), Transformer(SMALL)),
        Refused("checkpoint", "embed.weight (9, 8) there, (6, 8) here", "vocabulary"),
    ),
    Case(
        20,
        "weights of another model",
        "load_weights",
        lambda: load_weights(stored(6), Recurrent(SMALL, attention=True)),
        Refused("checkpoint"),
    ),
    Case(
        20,
        "no weights",
        "load_weights",
        lambda: load_weights(Path("nowhere"), Transformer(SMALL)),
        Refused("checkpoint"),
    ),
    Case(20, "torn weights", "load_weights", lambda: load_weights(torn(), Transformer(SMALL)), Refused("checkpoint")),
    Case(
        20,
        "weights that fit",
        "load_weights",
        lambda: load_weights(stored(6), Transformer(SMALL)),
        Gives(lambda result, clean: result is None),
    ),
]
