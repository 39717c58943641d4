"""The encoder-decoder Transformer of Vaswani et al. (2017), small enough to be read in one go."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from neuroling.lm.seq2seq import Decoded, Encoded, check_symbols
from neuroling.lm.vocabulary import PAD


@dataclass(frozen=True)
class Shape:
    """Sizes of a small encoder-decoder; the defaults are those of the lecture on the Hundred Poets.

    Attributes
    ----------
    n_symbols : int
        Symbols, the special ones included.
    width : int
        Units of an embedding and of every layer; a multiple of ``heads`` and even.
    heads, layers : int
        Attention heads of a layer, and layers of either side.
    hidden : int
        Units between the two halves of a feed-forward layer.
    dropout : float
        Share of units silenced in training.
    max_length : int
        Longest source or target, in symbols.
    """

    n_symbols: int
    width: int = 32
    heads: int = 4
    layers: int = 1
    hidden: int = 128
    dropout: float = 0.0
    max_length: int = 22

    def __post_init__(self) -> None:
        if self.width % 2 or self.width % self.heads:
            raise ValueError(f"width: got {self.width}; expected an even multiple of the {self.heads} heads.")
        if min(self.n_symbols - 3, self.width, self.heads, self.layers, self.hidden, self.max_length) < 1:
            raise ValueError(f"shape: got {self}; expected sizes of at least 1 and more than 3 symbols.")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: got {self.dropout}; expected 0 up to, but not including, 1.")


def sinusoids(length: int, width: int) -> Float[Tensor, "length width"]:
    """Draw the positions of Vaswani et al. (2017), section 3.5.

    ``p[t, 2i] = sin(t / 10000^(2i / width))`` and ``p[t, 2i + 1] = cos(t / 10000^(2i / width))``.

    Parameters
    ----------
    length, width : int
        Places, and units of an embedding.

    Returns
    -------
    torch.Tensor, (place, unit)
    """
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))  # (unit / 2,)
    angles = torch.arange(length)[:, None] * rates  # (place, unit / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=2).reshape(length, width)


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward layer, each with its residual and norm behind it."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(shape.width, shape.heads, dropout=shape.dropout, batch_first=True)
        self.think = _feed_forward(shape)
        self.norms = nn.ModuleList(nn.LayerNorm(shape.width) for _ in range(2))
        self.drop = nn.Dropout(shape.dropout)

    def forward(self, x: Float[Tensor, "n s w"], padding: Bool[Tensor, "n s"]) -> Float[Tensor, "n s w"]:
        """Pass one layer.

        Parameters
        ----------
        x : torch.Tensor, (text, place, unit)
            States.
        padding : torch.Tensor, (text, place)
            True where nothing stands.
        """
        heard, _ = self.attend(x, x, x, key_padding_mask=padding, need_weights=False)
        x = self.norms[0](x + self.drop(heard))
        return self.norms[1](x + self.drop(self.think(x)))  # type: ignore[no-any-return]  # modules are untyped


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the source, and a feed-forward layer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(shape.width, shape.heads, dropout=shape.dropout, batch_first=True)
        self.look = nn.MultiheadAttention(shape.width, shape.heads, dropout=shape.dropout, batch_first=True)
        self.think = _feed_forward(shape)
        self.norms = nn.ModuleList(nn.LayerNorm(shape.width) for _ in range(3))
        self.drop = nn.Dropout(shape.dropout)

    def forward(
        self, x: Float[Tensor, "n t w"], encoded: Encoded, *, attention: bool
    ) -> tuple[Float[Tensor, "n t w"], Float[Tensor, "n h t s"] | None]:
        """Pass one layer; give the attention to the source too if it is asked for.

        Parameters
        ----------
        x : torch.Tensor, (text, target, unit)
            States.
        encoded : Encoded
            The source.
        attention : bool
            Whether to give the weights of attention to the source, (text, head, target, source).
        """
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)  # (target, target)
        heard, _ = self.attend(x, x, x, attn_mask=later, need_weights=False)
        x = self.norms[0](x + self.drop(heard))
        seen, weights = self.look(
            x,
            encoded.states,
            encoded.states,
            key_padding_mask=encoded.padding,
            need_weights=attention,
            average_attn_weights=False,
        )
        x = self.norms[1](x + self.drop(seen))
        return self.norms[2](x + self.drop(self.think(x))), weights


class Transformer(nn.Module):
    """Encoder and decoder over one table of embeddings.

    Parameters
    ----------
    shape : Shape
        Sizes.

    Examples
    --------
    >>> model = Transformer(Shape(n_symbols=10))
    >>> source, prefix = torch.tensor([[4, 5, 6]]), torch.tensor([[1, 7]])
    >>> model.decode(model.encode(source), prefix).logits.shape
    torch.Size([1, 2, 10])
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(shape.n_symbols, shape.width, padding_idx=PAD)
        nn.init.normal_(self.embed.weight, std=shape.width**-0.5)
        self.register_buffer("positions", sinusoids(shape.max_length, shape.width), persistent=False)
        self.drop = nn.Dropout(shape.dropout)
        self.encoder = nn.ModuleList(EncoderLayer(shape) for _ in range(shape.layers))
        self.decoder = nn.ModuleList(DecoderLayer(shape) for _ in range(shape.layers))
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
        padding = source == PAD
        x = self._embedded(source)  # (text, source, unit)
        for layer in self.encoder:
            x = layer(x, padding)
        return Encoded(x, padding)

    def decode(self, encoded: Encoded, prefix: Int[Tensor, "n t"], *, attention: bool = False) -> Decoded:
        """Predict the symbol behind every place of the prefix.

        Parameters
        ----------
        encoded : Encoded
            The source.
        prefix : torch.Tensor, (text, target)
            Symbols so far.
        attention : bool
            Give the attention to the source too.

        Returns
        -------
        Decoded
        """
        x = self._embedded(prefix)  # (text, target, unit)
        maps = []
        for layer in self.decoder:
            x, weights = layer(x, encoded, attention=attention)
            maps.append(weights)
        return Decoded(self.out(x), torch.stack(maps) if attention else None)

    def _embedded(self, symbols: Int[Tensor, "n t"]) -> Float[Tensor, "n t w"]:
        check_symbols(symbols, self.shape.max_length, self.shape.n_symbols)
        positions = self.get_buffer("positions")[: symbols.shape[1]]  # (place, unit)
        embedded: Tensor = self.drop(self.embed(symbols) * math.sqrt(self.shape.width) + positions)
        return embedded  # (text, place, unit)


def _feed_forward(shape: Shape) -> nn.Module:
    return nn.Sequential(
        nn.Linear(shape.width, shape.hidden), nn.ReLU(), nn.Dropout(shape.dropout), nn.Linear(shape.hidden, shape.width)
    )
