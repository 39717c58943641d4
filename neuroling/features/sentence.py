"""One vector a text: sentences, titles and single words through a pretrained encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import xarray as xr

from neuroling.core.stimuli import Stimuli
from neuroling.features.extract import extract_text_features
from neuroling.features.transformer.devices import resolve_encoder
from neuroling.features.transformer.encoder import Encoder

Pool = Literal["mean", "cls"]


# More than eight parameters: those of the encoder, of pooling, and of where the result is kept.
def embed_sentences(
    stimuli: Stimuli,
    encoder: Encoder | str | Path = "minilm",
    *,
    pool: Pool = "mean",
    layer: int = -1,
    normalise: bool = True,
    long: Literal["error", "truncate"] = "error",
    batch_tokens: int | None = None,
    device: str = "auto",
    progress: bool = False,
    cache: Path | None = None,
) -> xr.DataArray:
    r"""Embed each text as one vector.

    With the defaults this is the recipe of Sentence-BERT (Reimers and Gurevych 2019): the last layer's states averaged
    over all tokens of a text, the special ones included, at unit length. It is one layer of what
    :func:`~neuroling.extract_text_features` gives; a vector depends on its own text alone.

    Parameters
    ----------
    stimuli : Stimuli
        One vector is made of each of its texts.
    encoder : Encoder, str or Path
        A loaded encoder, or what :func:`~neuroling.features.transformer.encoder.load_encoder` takes without a revision.
    pool : {"mean", "cls"}
        Average over tokens, or the state of the first special token.
    layer : int
        0 (embeddings) to ``encoder.n_layers``, or counted from the end.
    normalise : bool
        Scale every vector to unit length.
    long : {"error", "truncate"}
        What to do with texts of more than ``encoder.max_tokens`` tokens (512 for MiniLM): refuse, or read their
        beginning and warn.
    batch_tokens : int, optional
        Tokens in a pack; changes speed and memory, not numbers.
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
        If texts were cut, more than 5 % of the tokens are unknown to the encoder, or more than 60 % of the longer words
        fall into pieces of three letters or fewer (another language, usually).

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
    if pool not in ("mean", "cls"):
        raise ValueError(f"pool: got {pool!r}; expected 'mean' or 'cls'.")
    encoder = resolve_encoder(encoder, device)
    layer = encoder.resolve_layer(layer)
    states = extract_text_features(
        stimuli,
        encoder,
        layers=layer,
        pool=pool,
        long=long,
        normalise=normalise,
        batch_tokens=batch_tokens,
        progress=progress,
        cache=cache,
    )
    vectors = states.isel(layer=0, drop=True).drop_vars("layer_name", errors="ignore")  # (sample, feature)
    return vectors.assign_attrs(step="embed_sentences", pool=pool, layer=layer)


def sentence_similarity(
    first: Stimuli, second: Stimuli, encoder: Encoder | str | Path = "minilm", *, cache: Path | None = None
) -> xr.DataArray:
    """Compare the two texts of each pair by the cosine of their vectors.

    Parameters
    ----------
    first, second : Stimuli
        The two sides of the pairs, with the same labels.
    encoder : Encoder, str or Path
        As for :func:`embed_sentences`.
    cache : Path, optional
        Folder of earlier embeddings.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        One feature, ``"cosine"``; samples are those of ``first``.

    Raises
    ------
    ValueError
        If the two sides have other labels.

    Examples
    --------
    >>> first = Stimuli.from_texts(["a ship in the harbour", "a chef slices tomatoes"], labels=["a", "b"])
    >>> second = Stimuli.from_texts(["boats at a pier", "boats at a pier"], labels=["a", "b"])
    >>> close, far = sentence_similarity(first, second).values[:, 0]
    >>> bool(close > far)
    True
    """
    if list(first.labels) != list(second.labels):
        raise ValueError(
            f"second: its {len(second)} labels are not those of first ({len(first)}), in the same order; expected the "
            "two sides of the same pairs."
        )
    texts = list(dict.fromkeys([*first.texts, *second.texts]))  # each once
    vectors = embed_sentences(Stimuli.from_texts(texts), encoder, cache=cache)
    one, other = (vectors.sel(sample=list(side.texts)).to_numpy() for side in (first, second))
    return first.features((one * other).sum(axis=1, keepdims=True), ["cosine"])
