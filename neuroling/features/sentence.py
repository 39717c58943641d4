"""One vector a text: sentences, titles and single words through a pretrained encoder."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.features.cache import remember
from neuroling.features.encoder import Encoder, load_encoder
from neuroling.features.states import (
    StateBatch,
    check_encodable,
    hidden_states,
    masked_mean,
    warn_of_unknown,
)

Pool = Literal["mean", "cls"]


def embed_sentences(
    stimuli: Stimuli,
    encoder: Encoder | str = "minilm",
    *,
    pool: Pool = "mean",
    layer: int = -1,
    normalise: bool = True,
    long: Literal["error", "truncate"] = "error",
    batch_tokens: int = 4096,
    device: str = "auto",
    progress: bool = False,
    cache: Path | None = None,
) -> xr.DataArray:
    r"""Embed each text as one vector.

    With the defaults this is the recipe of Sentence-BERT (Reimers and Gurevych 2019): the last layer's states averaged
    over all tokens of a text, the special ones included, at unit length. Texts are sorted by length and padded to the
    longest of their batch; pads never count, so that a vector depends on its own text alone (to about 1e-6 in float32).

    Parameters
    ----------
    stimuli : Stimuli
        One vector is made of each of its texts.
    encoder : Encoder or str
        A loaded encoder, or what :func:`~neuroling.features.encoder.load_encoder` takes without a revision.
    pool : {"mean", "cls"}
        Average over tokens, or the state of the first special token.
    layer : int
        0 (embeddings) to ``encoder.n_layers``, or counted from the end.
    normalise : bool
        Scale every vector to unit length.
    long : {"error", "truncate"}
        What to do with texts of more than ``encoder.max_tokens`` tokens (512 for MiniLM): refuse, or read their
        beginning and warn.
    batch_tokens : int
        Tokens in a batch, pads included; changes speed and memory, not numbers.
    device : str
        Where to run, if the encoder is given by name.
    progress : bool
        Show a progress bar.
    cache : Path, optional
        Folder of earlier embeddings, found by weights, tokenizer, texts, options and library versions.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        float32, rows in the order of the stimuli; ``attrs`` say how it was made.

    Raises
    ------
    ValueError
        For texts too long, without a single token, or no valid Unicode; for a layer or a pooling that does not exist.

    Warns
    -----
    UserWarning
        If texts were cut, or more than 5 % of the tokens are unknown to the encoder (another language, usually).

    References
    ----------
    Reimers, N. and Gurevych, I. (2019). Sentence-BERT: Sentence embeddings using Siamese BERT-networks. EMNLP.

    Examples
    --------
    >>> captions = Stimuli.from_texts(["a ship in the harbour", "boats at a pier", "a chef slices tomatoes"])
    >>> vectors = embed_sentences(captions, "minilm", device="cpu")
    >>> similarity = vectors.values @ vectors.values.T
    >>> vectors.shape, bool(similarity[0, 1] > similarity[0, 2])
    ((3, 384), True)
    """
    encoder = load_encoder(encoder, device=device) if isinstance(encoder, str) else encoder
    layer = encoder.resolve_layer(layer)
    _check_options(encoder, pool, long)
    check_encodable(stimuli.texts, stimuli.labels.tolist())
    sequences, n_cut = _tokenise(encoder, stimuli, long)
    options = {"pool": pool, "layer": layer, "normalise": int(normalise), "long": long}
    texts, place = np.unique(np.asarray(stimuli.texts, dtype=object), return_inverse=True)
    first = np.zeros(len(texts), dtype=np.intp)
    first[place[::-1]] = np.arange(len(place))[::-1]  # first row of each distinct text
    distinct = [sequences[row] for row in first]
    values = remember(
        cache,
        {"step": "embed_sentences", "texts": list(texts), **options, **encoder.provenance()},
        lambda: _embed(encoder, distinct, pool, layer, normalise, batch_tokens, progress),
    )
    features = stimuli.features(values[place])  # (sample, feature)
    step = {"step": "embed_sentences", "n_truncated": n_cut, "stimuli": stimuli.fingerprint}
    return features.assign_attrs({**step, **options, **encoder.provenance()})


def _check_options(encoder: Encoder, pool: str, long: str) -> None:
    if pool not in ("mean", "cls"):
        raise ValueError(f"pool: got {pool!r}; expected 'mean' or 'cls'.")
    if pool == "cls" and encoder.tokenizer.cls_token_id is None:
        raise ValueError(f"pool: {encoder.name} puts no special token in front of a text; use pool='mean'.")
    if long not in ("error", "truncate"):
        raise ValueError(f"long: got {long!r}; expected 'error' or 'truncate'.")


def _tokenise(encoder: Encoder, stimuli: Stimuli, long: str) -> tuple[list[list[int]], int]:
    """Give token ids of every text, and how many texts were cut."""
    sequences: list[list[int]] = encoder.tokenizer(stimuli.texts, verbose=False)["input_ids"]
    _check_tokens(encoder, stimuli, sequences)
    over = [row for row, sequence in enumerate(sequences) if len(sequence) > encoder.max_tokens]
    if not over:
        return sequences, 0
    labels = stimuli.labels[over].tolist()
    found = (
        f"{len(over)} of {len(sequences)} texts are longer than the {encoder.max_tokens} tokens {encoder.name} reads"
    )
    longest = max(len(sequences[row]) for row in over)
    if long == "error":
        raise ValueError(
            f"stimuli: {found} (first labels {labels[:5]}, longest {longest} tokens). Split them, or say "
            "long='truncate' to use their beginnings."
        )
    warnings.warn(f"stimuli: {found} and were cut (first labels {labels[:5]}, longest {longest} tokens).", stacklevel=3)
    cut = encoder.tokenizer(
        [stimuli.texts[row] for row in over], truncation=True, max_length=encoder.max_tokens, verbose=False
    )["input_ids"]
    for row, sequence in zip(over, cut, strict=True):
        sequences[row] = sequence
    return sequences, len(over)


def _check_tokens(encoder: Encoder, stimuli: Stimuli, sequences: list[list[int]]) -> None:
    special = encoder.tokenizer.num_special_tokens_to_add()
    empty = [row for row, sequence in enumerate(sequences) if len(sequence) <= special]
    if empty:
        labels = stimuli.labels[empty].tolist()
        raise ValueError(
            f"stimuli: {len(empty)} texts have no token at all for {encoder.name} (first labels {labels[:5]}); they "
            "hold invisible characters only."
        )
    warn_of_unknown(encoder, sequences, stacklevel=4)


def _embed(
    encoder: Encoder,
    sequences: list[list[int]],
    pool: Pool,
    layer: int,
    normalise: bool,
    batch_tokens: int,
    progress: bool,
) -> NDArray[np.float32]:
    """Give the vectors of token sequences, shape (sequence, unit)."""
    values = np.empty((len(sequences), int(encoder.model.config.hidden_size)), dtype=np.float32)
    for batch in hidden_states(encoder, sequences, layer=layer, batch_tokens=batch_tokens, progress=progress):
        values[batch.rows] = _pooled(batch, pool, normalise).cpu().numpy()
    return values


def _pooled(batch: StateBatch, pool: Pool, normalise: bool) -> torch.Tensor:
    vectors = masked_mean(batch.states, batch.mask) if pool == "mean" else batch.states[:, 0]  # (row, unit)
    return torch.nn.functional.normalize(vectors, dim=-1) if normalise else vectors
