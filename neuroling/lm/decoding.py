"""Free-running generation: the model hears nothing but itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Int
from torch import Tensor

from neuroling.lm.seq2seq import Encoded, Seq2Seq
from neuroling.lm.vocabulary import END, PAD, START


@torch.no_grad()
def greedy(model: Seq2Seq, source: Int[Tensor, "n s"], *, longest: int = 22) -> Int[Tensor, "n t"]:
    """Say the likeliest symbol, again and again, until the end.

    Parameters
    ----------
    model : Seq2Seq
        Taught with shifted input.
    source : torch.Tensor, (text, place)
        Sources.
    longest : int
        Stop after so many symbols.

    Returns
    -------
    torch.Tensor, (text, place)
        With :data:`END` where the model ended, :data:`PAD` behind it.
    """
    with _listening(model):
        encoded = model.encode(source)
        symbols = torch.full((len(source), 1), START, device=source.device)  # (text, 1)
        ended = torch.zeros(len(source), dtype=torch.bool, device=source.device)
        while symbols.shape[1] <= longest and not ended.all():
            best = _next_log_probabilities(model, encoded, symbols).argmax(1)  # (text,)
            symbols = torch.cat([symbols, best.masked_fill(ended, PAD)[:, None]], dim=1)
            ended |= best == END
    return symbols[:, 1:]


@torch.no_grad()
def beam(
    model: Seq2Seq, source: Int[Tensor, "n s"], *, width: int = 4, longest: int = 22, length_penalty: float = 0.0
) -> Int[Tensor, "n t"]:
    """Keep the best beginnings, and say the best whole sequence.

    A sequence of ``L`` symbols is worth ``log p / ((5 + L) / 6) ** length_penalty`` (Wu et al. 2016).

    Parameters
    ----------
    model : Seq2Seq
        Taught with shifted input.
    source : torch.Tensor, (text, place)
        Sources.
    width : int
        Beginnings that are kept; 1 is :func:`greedy`.
    longest : int
        Stop after so many symbols.
    length_penalty : float
        0 prefers short sequences, 1 about divides by the length.

    Returns
    -------
    torch.Tensor, (text, place)
    """
    if width < 1:
        raise ValueError(f"width: got {width}; expected at least 1.")
    with _listening(model):
        encoded = model.encode(source)
        rows = [
            _best(model, encoded.rows(torch.tensor([row], device=source.device)), width, longest, length_penalty)
            for row in range(len(source))
        ]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)  # (text, place)


def _best(model: Seq2Seq, encoded: Encoded, width: int, longest: int, penalty: float) -> Int[Tensor, " t"]:
    """Search for one source; ended sequences stay on the beam and compete."""
    device = encoded.states.device
    beginnings = torch.full((1, 1), START, device=device)  # (beginning, place)
    score = torch.zeros(1, device=device)  # log p of every beginning
    ended = torch.zeros(1, dtype=torch.bool, device=device)
    for _ in range(longest):
        if ended.all():
            break
        steps = _next_log_probabilities(model, encoded.rows(torch.zeros(len(beginnings), dtype=torch.long)), beginnings)
        steps[ended] = -torch.inf  # an ended beginning goes on in one way, at no cost
        steps[ended, PAD] = 0.0
        total = score[:, None] + steps  # (beginning, symbol)
        lengths = ((beginnings[:, 1:] != PAD).sum(1) + (~ended).long()).float()  # symbols after this step
        worth = total / ((5 + lengths[:, None]) / 6) ** penalty
        best = worth.flatten().topk(min(width, int(torch.isfinite(worth).sum()))).indices
        origin, symbol = best // steps.shape[1], best % steps.shape[1]
        beginnings = torch.cat([beginnings[origin], symbol[:, None]], dim=1)
        score, ended = total.flatten()[best], ended[origin] | (symbol == END)
    first = beginnings[0, 1:]  # the beam is in order of worth
    return first[first != PAD]


def _next_log_probabilities(model: Seq2Seq, encoded: Encoded, said: Int[Tensor, "n t"]) -> Float[Tensor, "n v"]:
    """Log probabilities of the next symbol; filler and start cannot be said."""
    logits = model.decode(encoded, said).logits[:, -1].float()  # (text, symbol)
    logits[:, [PAD, START]] = -torch.inf
    return logits.log_softmax(1)


@contextmanager
def _listening(model: Seq2Seq) -> Iterator[None]:
    """Switch dropout off for a while."""
    was = bool(getattr(model, "training", False))
    if isinstance(model, torch.nn.Module):
        model.eval()
    try:
        yield
    finally:
        if isinstance(model, torch.nn.Module):
            model.train(was)
