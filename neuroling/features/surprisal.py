"""How unexpected words are, how open the choice was, and what was expected instead."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.core.stimuli import Stimuli, require_stimuli
from neuroling.features.transformer.language_models import ScoresWords


def surprisal(
    words: Stimuli, model: ScoresWords, *, unit: Literal["bits", "nats"] = "bits", entropy: bool = False
) -> xr.DataArray:
    r"""Give the surprisal of every word, :math:`-\log p(w)`, summed over its pieces.

    Parameters
    ----------
    words : Stimuli
        One row a word, in order, with the label of its sentence or story as ``group``; see
        :func:`~neuroling.features.words.words.split_words`.
    model : CausalModel, MaskedModel or NGram
        From :func:`~neuroling.features.transformer.language_models.load_language_model` or
        :func:`~neuroling.features.lexical.ngram.fit_ngram`;
        anything else with their methods will do. For a masked model the values are pseudo-log-likelihoods.
    unit : {"bits", "nats"}
        Base of the logarithm: 2, or e.
    entropy : bool
        Give a second feature: the entropy of what was predicted at the word's first piece.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        Features ``"surprisal"`` and perhaps ``"entropy"``. ``attrs["source"]`` names the model; NaN stands where
        nothing predicts a word, and ``attrs["n_unpredicted"]`` counts these.

    Examples
    --------
    >>> from neuroling.features.lexical.ngram import fit_ngram
    >>> from neuroling.features.words.words import split_words
    >>> model = fit_ngram(Stimuli.from_texts(["the cat saw the dog", "the dog saw the cat"]), order=2)
    >>> values = surprisal(split_words(Stimuli.from_texts(["the cat ran"], labels=["s"])), model)
    >>> bool(values[2, 0] > values[1, 0]), values.attrs["source"]
    (True, '2-gram model, modified Kneser-Ney, trained on 10 words')
    """
    if unit not in ("bits", "nats"):
        raise ValueError(f"unit: got {unit!r}; expected 'bits' or 'nats'.")
    _check(words, model)
    scores = model.score(words)
    scale = 1.0 if unit == "nats" else 1.0 / np.log(2.0)
    columns = {"surprisal": scores.nats * scale} | ({"entropy": scores.entropy * scale} if entropy else {})
    features = words.features(np.column_stack(list(columns.values())), list(columns))
    notes = {"step": "surprisal", "units": unit, "stimuli": words.fingerprint}
    return features.assign_attrs({**notes, **scores.notes, **model.provenance()})


def next_words(words: Stimuli, model: ScoresWords, *, n: int = 10) -> pd.DataFrame:
    """List what was likeliest at the beginning of every word.

    Parameters
    ----------
    words : Stimuli
        One row a word.
    model : CausalModel, MaskedModel or NGram
        As for :func:`surprisal`. Models with word pieces list pieces.
    n : int
        How many.

    Returns
    -------
    pandas.DataFrame
        Columns ``sample``, ``rank`` (from 1), ``predicted`` and ``probability``.
    """
    if n < 1:
        raise ValueError(f"n: got {n}; expected at least 1.")
    _check(words, model)
    rows = [
        (label, rank, token, share)
        for label, top in zip(words.labels, model.score(words, top=n).top, strict=True)
        for rank, (token, share) in enumerate(top, start=1)
    ]
    return pd.DataFrame(rows, columns=["sample", "rank", "predicted", "probability"])


def _check(words: object, model: object) -> None:
    require_stimuli("words", words)
    if not hasattr(model, "score"):
        raise TypeError(
            f"model: got {type(model).__name__}; expected a model that scores words, from load_language_model or "
            "fit_ngram."
        )
