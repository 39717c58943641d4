"""The recurrent encoder-decoder (Sutskever et al. 2014), with or without attention (Luong et al. 2015)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from neuroling.lm.seq2seq import Decoded, Encoded, check_symbols
from neuroling.lm.transformer import Shape
from neuroling.lm.vocabulary import PAD


class Recurrent(nn.Module):
    """Gated recurrent units (GRU) on either side; the last state of the source is the first one of the target.

    Without attention all that the decoder knows of the source is that one state. With attention it compares its own
    state with all states of the source at every step: ``softmax(q·k / sqrt(width))`` (``heads`` and ``hidden`` of the
    shape are not used).

    Parameters
    ----------
    shape : Shape
        Sizes.
    attention : bool
        Whether the decoder looks back at the source.

    Examples
    --------
    >>> model = Recurrent(Shape(n_symbols=10), attention=False)
    >>> model(torch.tensor([[4, 5, 6]]), torch.tensor([[1, 7]])).shape
    torch.Size([1, 2, 10])
    """

    def __init__(self, shape: Shape, *, attention: bool) -> None:
        super().__init__()
        self.shape, self.attention = shape, attention
        between = shape.dropout if shape.layers > 1 else 0.0
        self.embed = nn.Embedding(shape.n_symbols, shape.width, padding_idx=PAD)
        self.drop = nn.Dropout(shape.dropout)
        self.encoder = nn.GRU(shape.width, shape.width, shape.layers, batch_first=True, dropout=between)
        self.decoder = nn.GRU(shape.width, shape.width, shape.layers, batch_first=True, dropout=between)
        self.query = nn.Linear(shape.width, shape.width, bias=False) if attention else None
        self.mix = nn.Linear(2 * shape.width, shape.width) if attention else None
        self.out = nn.Linear(shape.width, shape.n_symbols)

    def forward(self, source: Int[Tensor, "n s"], prefix: Int[Tensor, "n t"]) -> Float[Tensor, "n t v"]:
        """Give the logits of every next symbol.

        Parameters
        ----------
        source, prefix : torch.Tensor, (text, place)
            Numbers of symbols.

        Returns
        -------
        torch.Tensor, (text, target, symbol)
        """
        return self.decode(self.encode(source), prefix).logits

    def encode(self, source: Int[Tensor, "n s"]) -> Encoded:
        """Read the source.

        Parameters
        ----------
        source : torch.Tensor, (text, place)
            Numbers of symbols.

        Returns
        -------
        Encoded
        """
        check_symbols(source, self.shape.max_length, self.shape.n_symbols)
        padding = source == PAD
        packed = pack_padded_sequence(
            self.drop(self.embed(source)), (~padding).sum(1).cpu(), batch_first=True, enforce_sorted=False
        )
        states, last = self.encoder(packed)
        states, _ = pad_packed_sequence(states, batch_first=True, total_length=source.shape[1])
        return Encoded(states, padding, last.transpose(0, 1))  # last: (text, layer, unit)

    def decode(self, encoded: Encoded, prefix: Int[Tensor, "n t"], *, attention: bool = False) -> Decoded:
        """Predict the symbol behind every place of the prefix.

        Parameters
        ----------
        encoded : Encoded
            The source.
        prefix : torch.Tensor, (text, target)
            Symbols so far.
        attention : bool
            Give the attention to the source too: one layer, one head.

        Returns
        -------
        Decoded
        """
        check_symbols(prefix, self.shape.max_length, self.shape.n_symbols)
        if encoded.last is None:
            raise ValueError("encoded: has no last state; expected what this model's own encode gives.")
        if attention and self.query is None:
            raise ValueError("attention: this model has none; make it with attention=True.")
        first = encoded.last.transpose(0, 1).contiguous()  # (layer, text, unit)
        states, _ = self.decoder(self.drop(self.embed(prefix)), first)  # (text, target, unit)
        weights = None
        if self.query is not None and self.mix is not None:
            match = self.query(states) @ encoded.states.transpose(1, 2) / math.sqrt(self.shape.width)
            weights = match.masked_fill(encoded.padding[:, None], -torch.inf).softmax(2)  # (text, target, source)
            states = torch.tanh(self.mix(torch.cat([states, weights @ encoded.states], dim=2)))
        shown = weights[None, :, None] if attention and weights is not None else None
        return Decoded(self.out(self.drop(states)), shown)
