"""Token ids in, hidden states out: batches of similar length, padding waste small, pads never seen."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from neuroling.features.encoder import Encoder

UNKNOWN_SHARE = 0.05
"""Share of unknown tokens above which a text is probably not in the encoder's language; a rule of thumb."""


@dataclass(frozen=True)
class StateBatch:
    """Hidden states of one batch.

    Attributes
    ----------
    rows : ndarray of int, shape (row,)
        Which of the sequences these are.
    states : torch.Tensor, shape (row, token, unit)
        Hidden states of the layer asked for, padded on the right.
    mask : torch.Tensor of bool, shape (row, token)
        False at pads.
    """

    rows: NDArray[np.intp]
    states: torch.Tensor
    mask: torch.Tensor


def plan_batches(lengths: Sequence[int], batch_tokens: int) -> list[NDArray[np.intp]]:
    """Group sequences of similar length, longest first, so that each batch holds at most so many tokens with its pads.

    Parameters
    ----------
    lengths : sequence of int
        Number of tokens of each sequence.
    batch_tokens : int
        Budget of a batch, in tokens, pads included. A sequence longer than the budget is a batch by itself.

    Returns
    -------
    list of ndarray of int
        Every sequence once.

    Examples
    --------
    >>> [batch.tolist() for batch in plan_batches([3, 9, 2, 3], batch_tokens=9)]
    [[1], [0, 3, 2]]
    """
    if batch_tokens < 1:
        raise ValueError(f"batch_tokens: got {batch_tokens}; expected a positive number of tokens.")
    order = np.argsort(-np.asarray(lengths, dtype=np.intp), kind="stable")
    batches, start = [], 0
    while start < len(order):
        size = max(1, batch_tokens // max(1, lengths[order[start]]))
        batches.append(order[start : start + size])
        start += size
    return batches


def hidden_states(
    encoder: Encoder, sequences: Sequence[Sequence[int]], *, layer: int, batch_tokens: int, progress: bool = False
) -> Iterator[StateBatch]:
    """Run sequences of token ids through an encoder.

    Parameters
    ----------
    encoder : Encoder
        From :func:`~neuroling.features.encoder.load_encoder`.
    sequences : sequence of sequence of int
        Token ids, special tokens included, none longer than ``encoder.max_tokens``.
    layer : int
        0 (embeddings) to ``encoder.n_layers``, or counted from the end.
    batch_tokens : int
        Tokens in a batch, pads included.
    progress : bool
        Show a progress bar.

    Yields
    ------
    StateBatch
        On the encoder's device, in an order of its own: ``rows`` says which sequences.
    """
    from tqdm.auto import tqdm

    layer = encoder.resolve_layer(layer)
    batches = plan_batches([len(sequence) for sequence in sequences], batch_tokens)
    for rows in tqdm(batches, desc=f"{encoder.name}, layer {layer}", unit="batch", disable=not progress):
        ids, mask = _padded([sequences[row] for row in rows], encoder)
        with torch.inference_mode():
            states = _layer_states(encoder, ids, mask, layer)  # (row, token, unit)
        yield StateBatch(rows, states, mask)


def _padded(sequences: list[Sequence[int]], encoder: Encoder) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad on the right, which leaves absolute positions and causal attention as they are without pads."""
    longest = max(len(sequence) for sequence in sequences)
    pad = encoder.tokenizer.pad_token_id or 0
    ids = torch.full((len(sequences), longest), pad, dtype=torch.long)  # (row, token)
    mask = torch.zeros_like(ids, dtype=torch.bool)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.as_tensor(sequence, dtype=torch.long)
        mask[row, : len(sequence)] = True
    return ids.to(encoder.device), mask.to(encoder.device)


def _layer_states(encoder: Encoder, ids: torch.Tensor, mask: torch.Tensor, layer: int) -> torch.Tensor:
    last = layer == encoder.n_layers
    output = encoder.model(input_ids=ids, attention_mask=mask.long(), output_hidden_states=not last)
    states: torch.Tensor = output.last_hidden_state if last else output.hidden_states[layer]
    return states


def masked_mean(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Average states over the tokens that a mask marks.

    Parameters
    ----------
    states : torch.Tensor, shape (row, token, unit)
        Hidden states.
    mask : torch.Tensor of bool, shape (row, token)
        At least one True in each row.

    Returns
    -------
    torch.Tensor, shape (row, unit)
    """
    weight = mask.to(states.dtype)[..., None]  # (row, token, 1)
    return (states * weight).sum(1) / weight.sum(1)


def check_encodable(texts: Sequence[str], labels: Sequence[object]) -> None:
    """Refuse texts that are no valid Unicode, such as halves of surrogate pairs.

    Parameters
    ----------
    texts : sequence of str
        Texts about to be tokenised.
    labels : sequence
        Their labels, for the message.
    """
    bad = [label for text, label in zip(texts, labels, strict=True) if any("\ud800" <= c <= "\udfff" for c in text)]
    if bad:
        raise ValueError(
            f"text: {len(bad)} texts hold lone surrogates, which are no characters (first labels {bad[:5]}); they come "
            "from reading a file in the wrong encoding."
        )


def warn_of_unknown(encoder: Encoder, sequences: Sequence[Sequence[int]], *, stacklevel: int) -> None:
    """Warn if more than 5 % of the tokens are unknown to an encoder, which usually means another language.

    Parameters
    ----------
    encoder : Encoder
        Its tokenizer says which id stands for an unknown token.
    sequences : sequence of sequence of int
        Token ids.
    stacklevel : int
        How many calls up the warning belongs to, as in :func:`warnings.warn`, counted from the caller.
    """
    unknown = encoder.tokenizer.unk_token_id
    special = set(encoder.tokenizer.all_special_ids) - {unknown}
    tokens = [token for sequence in sequences for token in sequence if token not in special]
    share = tokens.count(unknown) / max(1, len(tokens)) if unknown is not None else 0.0
    if share > UNKNOWN_SHARE:
        warnings.warn(
            f"stimuli: {share:.0%} of the tokens are unknown to {encoder.name}; is it made for this language?",
            stacklevel=stacklevel + 1,
        )
