"""Features of the words of a story: how often, how long, how frequent, where, and what they mean in context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.features.extract import extract_word_features
from neuroling.features.transformer.devices import resolve_encoder
from neuroling.features.transformer.encoder import Encoder
from neuroling.features.words.alignment import stretches
from neuroling.features.words.context import Rolling
from neuroling.features.words.letter_case import CaseLookup, bare

WordPool = Literal["mean", "last"]


def word_rate(words: Stimuli) -> xr.DataArray:
    """Give every word a one: convolved, this is how many words are being heard.

    Parameters
    ----------
    words : Stimuli
        One row a word.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        One feature, ``"word_rate"``.

    Examples
    --------
    >>> word_rate(Stimuli.from_texts(["once", "upon"])).values.ravel().tolist()
    [1.0, 1.0]
    """
    return _column(words, "word_rate", np.ones(len(words)))


def word_length(words: Stimuli) -> xr.DataArray:
    """Count the letters and digits of every word.

    Parameters
    ----------
    words : Stimuli
        One row a word.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        One feature, ``"word_length"``, in letters; punctuation does not count.

    Examples
    --------
    >>> word_length(Stimuli.from_texts(["don't", "rabbit,"])).values.ravel().tolist()
    [4.0, 6.0]
    """
    return _column(words, "word_length", np.array([sum(map(str.isalnum, text)) for text in words.texts], dtype=float))


def word_position(words: Stimuli) -> xr.DataArray:
    """Count words from the start of their group, or of the story where there are no groups.

    Parameters
    ----------
    words : Stimuli
        One row a word, in order of time; perhaps with a ``group``.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        One feature, ``"word_position"``, from 0.

    Examples
    --------
    >>> word_position(Stimuli.from_texts(["a", "b", "c"], group=[1, 1, 2])).values.ravel().tolist()
    [0.0, 1.0, 0.0]
    """
    position = np.concatenate([np.arange(stop - start) for start, stop in stretches(words)])
    return _column(words, "word_position", position.astype(float))


def log_frequency(
    words: Stimuli, table: Mapping[str, float], *, missing: float | None = None, language: str | None = None
) -> xr.DataArray:
    """Look up how frequent every word is, as a logarithm to base 10.

    Parameters
    ----------
    words : Stimuli
        One row a word. Surrounding punctuation is ignored in looking up. A word is looked up in small letters, then as
        it stands, and last among the entries that differ from it in case alone.
    table : mapping of str to float
        Frequency by word in lower case, in whatever unit (per million words, or counts); above zero.
    missing : float, optional
        Frequency of words that are not in the table, in the same unit. Without it they are an error.
    language : str, optional
        Code of the language whose small letters are used, such as ``"tr"``; see
        :func:`~neuroling.features.words.letter_case.lowercase`.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        One feature, ``"log_frequency"``.

    Raises
    ------
    ValueError
        If a word is missing, several entries differ from it in case alone and none is the word itself, or a frequency
        is not above zero.

    Examples
    --------
    >>> log_frequency(Stimuli.from_texts(["The", "rabbit"]), {"the": 10000, "rabbit": 10}).values.ravel().tolist()
    [4.0, 1.0]
    """
    keys = words.texts
    listed = _entries(keys, table, language)
    absent = {key for key, entry in listed.items() if entry is None}
    names = sorted({bare(key, language) for key in absent})
    if absent and missing is None:
        raise ValueError(
            f"table: {len(names)} words have no frequency, first {names[:5]}; add them, or set missing= to the "
            "frequency that they shall have."
        )
    values = np.array([missing if (entry := listed[key]) is None else table[entry] for key in keys], dtype=float)
    bad = [key for key, value in zip(keys, values, strict=True) if not (np.isfinite(value) and value > 0)]
    if bad:
        raise ValueError(f"table: {len(bad)} frequencies are not finite numbers above zero, first of {bad[:5]}.")
    return _column(words, "log_frequency", np.log10(values)).assign_attrs(n_missing=sum(key in absent for key in keys))


def _entries(keys: Sequence[str], table: Mapping[str, float], language: str | None) -> dict[str, str | None]:
    """Find the entry of each word; of entries that differ in case alone, refuse to choose."""
    lookup = CaseLookup(table, language)
    listed = {key: lookup.find(key, small_first=True) for key in dict.fromkeys(keys)}
    unclear = {
        key: lookup.alike(key)
        for key, entry in listed.items()
        if entry is not None and entry not in lookup.forms(key) and len(lookup.alike(key)) > 1
    }
    if unclear:
        raise ValueError(
            f"table: {len(unclear)} words have several entries that differ in case alone, first "
            f"{list(unclear.items())[:3]}; put them together under the word in small letters."
        )
    return listed


# More than eight parameters: those of words, of the encoder, and of where the result is kept.
def embed_words_in_context(
    words: Stimuli,
    encoder: Encoder | str | Path = "minilm",
    *,
    window: int = 40,
    stride: int = 1,
    layer: int = -1,
    pool: WordPool = "mean",
    batch_tokens: int | None = None,
    device: str = "auto",
    progress: bool = False,
    cache: Path | None = None,
) -> xr.DataArray:
    """Embed each word of a story as it is understood from the words before it.

    Words are joined into running text, which is tokenised once, and the pieces ending with a word are read by the
    encoder: those of so many words before it, its own, and nothing after it, even where the encoder reads in both
    directions. Text does not run across groups, so that no word of one run is read into another. It is one layer of
    what :func:`~neuroling.extract_word_features` gives with ``context=Rolling(window, stride)``; for causal models
    ``Overlapping`` gives the same kind of features in two passes over the text.

    Parameters
    ----------
    words : Stimuli
        One row a word, in order of time; perhaps with a ``group`` (run or story).
    encoder : Encoder, str or Path
        A loaded encoder, or what :func:`~neuroling.features.transformer.encoder.load_encoder` takes without a revision.
    window : int
        Words before each word that are read at least, where the group has them.
    stride : int
        Words taken from one reading. With 1 every word is the last that is read. With more, the cost falls as
        ``1 / stride``, and a word is read with up to ``stride - 1`` words *after* it, which an encoder of both
        directions makes use of.
    layer : int
        0 (embeddings) to ``encoder.n_layers``, or counted from the end.
    pool : {"mean", "last"}
        Average over the pieces of a word, or its last piece.
    batch_tokens : int, optional
        Tokens in a pack; changes speed and memory, not numbers.
    device : str
        Where to run, if the encoder is given by name.
    progress : bool
        Show a progress bar.
    cache : Path, optional
        Folder of earlier embeddings.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        float32, one row a word.

    Raises
    ------
    ValueError
        If a word gets no piece, a piece covers two words, or a window is longer than ``encoder.max_tokens``.

    Examples
    --------
    >>> story = Stimuli.from_texts("he sat by the river on the bank".split(), labels=range(8))
    >>> embed_words_in_context(story, "minilm", device="cpu").shape
    (8, 384)
    """
    if pool not in ("mean", "last"):
        raise ValueError(f"pool: got {pool!r}; expected 'mean' or 'last'.")
    encoder = resolve_encoder(encoder, device)
    layer = encoder.resolve_layer(layer)
    states = extract_word_features(
        words,
        encoder,
        layers=layer,
        pool=pool,
        context=Rolling(window, stride),
        batch_tokens=batch_tokens,
        progress=progress,
        cache=cache,
    )
    vectors = states.isel(layer=0, drop=True).drop_vars(["layer_name", "left_tokens"], errors="ignore")
    return vectors.assign_attrs(step="embed_words_in_context", layer=layer, window=window, stride=stride)


def _column(words: Stimuli, name: str, values: NDArray[np.float64]) -> xr.DataArray:
    return words.features(values[:, None], [name]).assign_attrs(step=name, stimuli=words.fingerprint)
