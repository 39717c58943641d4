"""From one sequence to another: what a model must offer, how it is taught, how it is scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroling.lm.vocabulary import END, PAD, START, Characters


class Encoded(NamedTuple):
    """A source that has been read: ``states`` (text, source, unit), ``padding`` (text, source), ``last`` state."""

    states: Float[Tensor, "n s w"]
    padding: Bool[Tensor, "n s"]
    last: Float[Tensor, "n layer w"] | None = None

    def rows(self, which: Int[Tensor, " m"]) -> Encoded:
        """Take some of the texts.

        Parameters
        ----------
        which : torch.Tensor, (m,)
            Their places; a place may come twice.

        Returns
        -------
        Encoded
        """
        last = None if self.last is None else self.last[which]
        return Encoded(self.states[which], self.padding[which], last)


class Decoded(NamedTuple):
    """Predictions ``logits`` (text, target, symbol) and ``attention`` (layer, text, head, target, source)."""

    logits: Float[Tensor, "n t v"]
    attention: Float[Tensor, "layer n head t s"] | None = None


class Seq2Seq(Protocol):
    """What decoding and scoring ask of a model; ``Transformer`` and ``Recurrent`` both offer it."""

    def encode(self, source: Tensor) -> Encoded:
        """Read the source, (text, place)."""

    def decode(self, encoded: Encoded, prefix: Tensor, *, attention: bool = False) -> Decoded:
        """Predict the symbol behind every place of the prefix, (text, place)."""


def check_symbols(symbols: Int[Tensor, "n t"], longest: int, n_symbols: int) -> None:
    """Refuse sequences that are longer than the positions of a model, or hold symbols that it has no row for.

    Parameters
    ----------
    symbols : torch.Tensor, (text, place)
        Sequences.
    longest : int
        Positions.
    n_symbols : int
        Symbols that the model was built for.

    Raises
    ------
    TypeError
        If they are no whole numbers.
    ValueError
        If they are too long, or a symbol is beyond the model's last one.
    """
    if symbols.ndim != 2 or symbols.is_floating_point() or symbols.is_complex():
        raise TypeError(
            f"symbols: got {symbols.dtype} of shape {tuple(symbols.shape)}; expected whole numbers (text, place), from "
            "Characters.numbers."
        )
    if symbols.shape[1] > longest:
        raise ValueError(
            f"symbols: got sequences of {symbols.shape[1]} symbols and the model has {longest} positions; shorten them "
            "or build the model with a larger max_length."
        )
    if symbols.numel() and not 0 <= int(symbols.min()) <= int(symbols.max()) < n_symbols:
        raise ValueError(
            f"symbols: got numbers from {int(symbols.min())} to {int(symbols.max())} and the model has {n_symbols} "
            "symbols; the vocabulary does not fit its weights. Take the characters that it was trained with."
        )


def encode_pairs(characters: Characters, upper: list[str], lower: list[str]) -> dict[str, Tensor]:
    """Turn pairs of texts into the columns of a training set.

    Parameters
    ----------
    characters : Characters
        The symbols.
    upper, lower : list of str
        Source and target of every pair.

    Returns
    -------
    dict of torch.Tensor
        ``source`` (pair, place) and ``target`` (pair, place), the target ended by :data:`END`.

    Raises
    ------
    ValueError
        If half of a pair is missing.
    """
    if len(upper) != len(lower):
        raise ValueError(f"pairs: got {len(upper)} sources and {len(lower)} targets; expected one target a source.")
    halves = [place for place, (a, b) in enumerate(zip(upper, lower, strict=True)) if not (a and b)]
    if halves:
        raise ValueError(f"pairs: {len(halves)} have a missing half, first at {halves[:5]}; expected both texts.")
    return {"source": characters.numbers(upper), "target": characters.numbers(lower, ended=True)}


def decoder_input(target: Int[Tensor, "n t"], *, shifted: bool = True) -> Int[Tensor, "n t"]:
    """Give what the decoder reads while it is taught.

    Parameters
    ----------
    target : torch.Tensor, (text, place)
        What it shall say.
    shifted : bool
        True: the target moved one place to the right behind :data:`START`, as in Vaswani et al. (2017). False: the
        target itself, which the decoder then only has to copy. That is a mistake, kept to show what it does.

    Returns
    -------
    torch.Tensor, (text, place)

    Examples
    --------
    >>> decoder_input(torch.tensor([[7, 8, 2]])).tolist()
    [[1, 7, 8]]
    """
    if not shifted:
        return target
    moved = torch.cat([torch.full_like(target[:, :1], START), target[:, :-1]], dim=1)
    return moved.masked_fill(moved == END, PAD)  # nothing is read behind the end


@dataclass(frozen=True)
class NextSymbol:
    """Cross-entropy of the next symbol, with label smoothing (Szegedy et al. 2016).

    Attributes
    ----------
    smoothing : float
        Share of the target's probability that is spread evenly over all symbols.
    shifted : bool
        As for :func:`decoder_input`.
    """

    smoothing: float = 0.0
    shifted: bool = True

    def counts(self, batch: Mapping[str, Tensor]) -> dict[str, int]:
        """Count the symbols to be predicted.

        Parameters
        ----------
        batch : mapping of torch.Tensor
            With ``target``.
        """
        return {"loss": int((batch["target"] != PAD).sum())}

    def sums(self, model: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Add up the loss over symbols.

        Parameters
        ----------
        model : torch.nn.Module
            Takes source and prefix.
        batch : mapping of torch.Tensor
            With ``source`` and ``target``.
        """
        logits = model(batch["source"], decoder_input(batch["target"], shifted=self.shifted))
        loss = nn.functional.cross_entropy(
            logits.flatten(0, 1).float(),
            batch["target"].flatten(),
            ignore_index=PAD,
            label_smoothing=self.smoothing,
            reduction="sum",
        )
        return {"loss": loss}


class Recall(NamedTuple):
    """Share of right symbols and of wholly right texts, and which symbols were right (text, place), NaN at fillers."""

    per_character: float
    per_text: float
    right: NDArray[np.float64]


def recall(said: Int[Tensor, "n t"], target: Int[Tensor, "n u"]) -> Recall:
    """Compare what was said with the target, symbol by symbol, the end included.

    Parameters
    ----------
    said : torch.Tensor, (text, place)
        As generated; filled up with :data:`PAD`.
    target : torch.Tensor, (text, place)
        As it should be.

    Returns
    -------
    Recall
        A text is right if every symbol is and nothing follows its end.
    """
    width = max(said.shape[1], target.shape[1])
    both = torch.stack([nn.functional.pad(one, (0, width - one.shape[1]), value=PAD) for one in (said, target)])
    said, target = both.cpu()  # one copy, wherever the model stands
    counted = target != PAD  # (text, place)
    right = said == target
    return Recall(
        float(right[counted].double().mean()),
        float(right.all(1).double().mean()),
        torch.where(counted, right.double(), torch.nan).numpy(),
    )


@torch.no_grad()
def teacher_forced(model: nn.Module, batch: Mapping[str, Tensor], *, shifted: bool = True) -> Int[Tensor, "n t"]:
    """Say the likeliest symbol at every place while the right ones before it are given.

    Parameters
    ----------
    model : torch.nn.Module
        Takes source and prefix.
    batch : mapping of torch.Tensor
        With ``source`` and ``target``.
    shifted : bool
        As for :func:`decoder_input`.

    Returns
    -------
    torch.Tensor, (text, place)
        :data:`PAD` behind the end of the target.
    """
    was, _ = model.training, model.eval()
    said = model(batch["source"], decoder_input(batch["target"], shifted=shifted)).argmax(2)
    model.train(was)
    filled: Tensor = said.masked_fill(batch["target"] == PAD, PAD)
    return filled
