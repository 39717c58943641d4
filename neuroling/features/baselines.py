"""What a language model has to beat, in one call: rate, length, frequency, position, and its untrained twin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import xarray as xr

from neuroling.core.stimuli import Stimuli, require_stimuli
from neuroling.features.lexical.controls import zipf_frequency
from neuroling.features.sentence import embed_sentences
from neuroling.features.story import embed_words_in_context, log_frequency, word_length, word_position, word_rate
from neuroling.features.transformer.encoder import load_encoder

Frequency = str | Mapping[str, float]

UNTRAINED = "untrained network"
"""Name of the control that has the model's architecture and random weights."""


def word_controls(
    words: Stimuli,
    model: str | Path | None = None,
    *,
    frequency: Frequency | None = None,
    missing_frequency: float | None = None,
    layer: int = -1,
    window: int = 40,
    stride: int = 1,
    seed: int = 0,
) -> dict[str, xr.DataArray]:
    """Make the controls of words in running text or speech.

    Parameters
    ----------
    words : Stimuli
        One row a word, in order of time; perhaps with ``group`` (run).
    model : str or Path, optional
        The language model, as :func:`neuroling.load_encoder` takes it: adds its untrained twin, read in the same way.
    frequency : str or mapping, optional
        Code of a language for wordfreq's list, such as ``"en"``, or frequencies by word: adds ``"frequency"``.
    missing_frequency : float, optional
        With a mapping, the frequency of words that are not in it.
    layer, window, stride
        How the model is read; see :func:`neuroling.features.story.embed_words_in_context`.
    seed : int
        Seed of the twin's random weights.

    Returns
    -------
    dict of str to xarray.DataArray, dims (sample, feature)
        ``"word rate"``, ``"length"``, ``"position"``, and where asked for ``"frequency"`` and ``"untrained network"``:
        the names by which reports know them. A control that is the same for all words, such as the length of words of
        one length, is there and says so when it is spread over time.

    Examples
    --------
    >>> words = Stimuli.from_texts(["once", "upon", "a", "time"], labels=range(4))
    >>> list(word_controls(words, frequency={"once": 5, "upon": 3, "a": 900, "time": 40}))
    ['word rate', 'length', 'position', 'frequency']
    """
    require_stimuli("words", words)
    controls = {"word rate": word_rate(words), "length": word_length(words), "position": word_position(words)}
    controls |= _frequency(words, frequency, missing_frequency)
    if model is not None:
        twin = load_encoder(model, untrained=seed)
        controls[UNTRAINED] = embed_words_in_context(words, twin, layer=layer, window=window, stride=stride)
    return controls


def item_controls(
    items: Stimuli,
    model: str | Path | None = None,
    *,
    frequency: Frequency | None = None,
    missing_frequency: float | None = None,
    seed: int = 0,
) -> dict[str, xr.DataArray]:
    """Make the controls of words or sentences that are shown one by one.

    Parameters
    ----------
    items : Stimuli
        One row an item. Position is a control where the table has a numeric column ``position``, the place at which
        each item was shown; items in random order have none.
    model, frequency, missing_frequency, seed
        As in :func:`word_controls`; frequency is for single words.

    Returns
    -------
    dict of str to xarray.DataArray, dims (sample, feature)
        ``"length"`` (letters), and where they can be had ``"position"``, ``"frequency"``, ``"untrained network"``.

    Examples
    --------
    >>> list(item_controls(Stimuli.from_texts(["celery", "airplane"])))
    ['length']
    """
    require_stimuli("items", items)
    controls = {"length": word_length(items)}
    if "position" in items.table:
        controls["position"] = items.features(items.table["position"].to_numpy(float)[:, None], ["position"])
    controls |= _frequency(items, frequency, missing_frequency)
    if model is not None:
        controls[UNTRAINED] = embed_sentences(items, load_encoder(model, untrained=seed))
    return controls


def _frequency(words: Stimuli, frequency: Frequency | None, missing: float | None) -> dict[str, xr.DataArray]:
    if frequency is None:
        return {}
    if isinstance(frequency, str):
        return {"frequency": zipf_frequency(words, frequency)}
    return {"frequency": log_frequency(words, frequency, missing=missing)}
