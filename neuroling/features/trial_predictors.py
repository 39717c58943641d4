"""Predictors of single trials and reading times, one row per observation: surprisal and its controls in one call."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from neuroling.core.stimuli import Stimuli
from neuroling.features.baselines import Frequency
from neuroling.features.lexical.controls import zipf_frequency
from neuroling.features.sentence import embed_sentences
from neuroling.features.story import log_frequency, word_length, word_position
from neuroling.features.surprisal import surprisal
from neuroling.features.transformer.encoder import Encoder
from neuroling.features.transformer.language_models import ScoresWords


def predictors_in_context(
    trials: pd.DataFrame,
    language_model: ScoresWords,
    *,
    text_column: str,
    context_column: str,
    encoder: Encoder | None = None,
    frequency: Frequency | None = None,
) -> pd.DataFrame:
    """Describe the word of each trial in the words before it.

    Parameters
    ----------
    trials : pandas.DataFrame
        One row per trial.
    language_model : CausalModel, MaskedModel or NGram
        Gives surprisal; see :func:`~neuroling.features.surprisal.surprisal`.
    text_column, context_column : str
        Columns with the word, and with the words before it (blanks between words).
    encoder : Encoder, optional
        Adds ``"distance"``, one minus the cosine of the vectors of word and context.
    frequency : str or mapping, optional
        Adds ``"frequency"``, as in :func:`~neuroling.features.baselines.word_controls`.

    Returns
    -------
    pandas.DataFrame
        One row per trial, same index: ``"length"`` (letters), ``"position"`` (words before it), perhaps
        ``"frequency"``, then ``"surprisal"`` (bits) and perhaps ``"distance"``.

    Raises
    ------
    ValueError
        If a column is missing or a word or context is empty.

    Examples
    --------
    >>> from neuroling.features.lexical.ngram import fit_ngram
    >>> model = fit_ngram(Stimuli.from_texts(["the cat saw the dog", "the dog saw the cat"]), order=2)
    >>> trials = pd.DataFrame({"context": ["the cat saw the", "the dog saw the"], "word": ["cat", "dog"]})
    >>> table = predictors_in_context(trials, model, text_column="word", context_column="context")
    >>> list(table), table["position"].tolist()
    (['length', 'position', 'surprisal'], [4.0, 4.0])
    """
    _check_columns(trials, [text_column, context_column])
    unique = trials[[context_column, text_column]].drop_duplicates().reset_index(drop=True)
    rows: list[tuple[str, str]] = []
    for number, (context, word) in enumerate(unique.itertuples(index=False, name=None)):
        words = [*str(context).split(), str(word).strip()]
        if len(words) < 2 or not words[-1] or " " in words[-1]:
            raise ValueError(
                f"trials: context {context!r} and word {word!r}; expected one word, and at least one word before it."
            )
        rows += [(f"trial {number}", text) for text in words]
    listed = pd.DataFrame(rows, columns=["group", "text"])
    described = _described(listed, language_model, frequency).assign(group=listed["group"])
    last = described.groupby("group", sort=False).tail(1).drop(columns="group").reset_index(drop=True)
    if encoder is not None:
        texts = list(dict.fromkeys([*unique[text_column], *unique[context_column]]))
        vectors = embed_sentences(Stimuli.from_texts(texts), encoder)
        word, context = (vectors.sel(sample=unique[name].tolist()).to_numpy() for name in (text_column, context_column))
        cosine = (word * context).sum(1) / (np.linalg.norm(word, axis=1) * np.linalg.norm(context, axis=1))
        last = last.assign(distance=1 - cosine)
    return _for_rows(last, unique, trials, [context_column, text_column])


def predictors_in_reading(
    observations: pd.DataFrame,
    language_model: ScoresWords,
    *,
    text_column: str,
    item_column: str,
    position_column: str,
    frequency: Frequency | None = None,
    spillover: int = 1,
) -> pd.DataFrame:
    """Describe each word of texts that were read, and the words before it, whose processing spills over.

    Parameters
    ----------
    observations : pandas.DataFrame
        One row per reader and word.
    language_model : CausalModel, MaskedModel or NGram
        Gives surprisal.
    text_column, item_column, position_column : str
        Columns with the word, with its text or sentence, and with its place in it (numbers that grow by one).
    frequency : str or mapping, optional
        As in :func:`predictors_in_context`.
    spillover : int
        Words before each word whose predictors stand beside its own.

    Returns
    -------
    pandas.DataFrame
        One row per observation, same index: ``"length"``, ``"position"``, perhaps ``"frequency"``, ``"surprisal"``, and
        for each word before it ``"surprisal-1"`` and the like. NaN where there is no such word, or none predicts it.

    Raises
    ------
    ValueError
        If a column is missing, places have gaps, or readers saw different words at one place.

    Examples
    --------
    >>> from neuroling.features.lexical.ngram import fit_ngram
    >>> model = fit_ngram(Stimuli.from_texts(["the cat saw the dog", "the dog saw the cat"]), order=2)
    >>> words = pd.DataFrame({"item": 1, "position": [1, 2, 3], "word": ["the", "cat", "saw"], "rt": [300.0, 310, 290]})
    >>> columns = {"text_column": "word", "item_column": "item", "position_column": "position"}
    >>> table = predictors_in_reading(words, model, **columns)
    >>> list(table), table["length-1"].tolist()
    (['length', 'position', 'surprisal', 'length-1', 'surprisal-1'], [nan, 3.0, 3.0])
    """
    _check_columns(observations, [text_column, item_column, position_column])
    if spillover < 0:
        raise ValueError(f"spillover: got {spillover}; expected 0 or more words.")
    keys = [item_column, position_column]
    place = pd.to_numeric(observations[position_column], errors="coerce")
    if place.isna().any():
        raise ValueError(f"observations: {int(place.isna().sum())} cells of {position_column!r} are no numbers.")
    ours = observations.assign(**{position_column: place})[[*keys, text_column]]
    unique = ours.drop_duplicates().sort_values(keys, kind="stable").reset_index(drop=True)
    twice = unique.duplicated(keys)
    if twice.any():
        row = unique[twice].iloc[0]
        raise ValueError(
            f"observations: {int(twice.sum())} places hold different words for different readers, first item "
            f"{row[item_column]!r}, place {row[position_column]:g} ({row[text_column]!r} and another)."
        )
    steps = unique.groupby(item_column, sort=False)[position_column].diff().dropna()
    if (steps != 1).any():
        row = unique.loc[steps.index[(steps != 1).to_numpy()][0]]
        raise ValueError(
            f"observations: item {row[item_column]!r} lacks the word before place {row[position_column]:g}; expected "
            "every word of a text, so that each can be predicted from those before it."
        )
    listed = unique.rename(columns={text_column: "text"}).assign(group=unique[item_column].astype(str))
    described = _described(listed[["group", "text"]], language_model, frequency)
    before = described.drop(columns="position")
    shifted = [
        before.groupby(listed["group"], sort=False).shift(lag).add_suffix(f"-{lag}") for lag in range(1, spillover + 1)
    ]
    table = pd.concat([described, *shifted], axis=1)
    return _for_rows(table, unique, ours, keys)


def standardized(predictors: pd.DataFrame) -> pd.DataFrame:
    """Bring predictors to mean 0 and standard deviation 1 over rows, and drop none.

    Parameters
    ----------
    predictors : pandas.DataFrame
        One row per observation.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    ValueError
        If a predictor is the same in all rows.

    Examples
    --------
    >>> standardized(pd.DataFrame({"length": [1.0, 3.0]}))["length"].round(3).tolist()
    [-0.707, 0.707]
    """
    still = [str(name) for name in predictors if predictors[name].nunique() < 2]
    if still:
        raise ValueError(f"predictors: {still} are the same in all rows; leave them out.")
    return (predictors - predictors.mean()) / predictors.std()


def _described(words: pd.DataFrame, language_model: ScoresWords, frequency: Frequency | None) -> pd.DataFrame:
    stimuli = Stimuli(words.set_axis(pd.RangeIndex(len(words), name="sample")))
    columns = {"length": word_length(stimuli), "position": word_position(stimuli)}
    if isinstance(frequency, str):
        columns["frequency"] = zipf_frequency(stimuli, frequency)
    elif isinstance(frequency, Mapping):
        columns["frequency"] = log_frequency(stimuli, frequency)
    columns["surprisal"] = surprisal(stimuli, language_model)
    return pd.DataFrame({name: column.to_numpy()[:, 0] for name, column in columns.items()})


def _for_rows(table: pd.DataFrame, unique: pd.DataFrame, rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Give the row of the table that belongs to each row with the same keys."""
    which = pd.MultiIndex.from_frame(unique[keys]).get_indexer(pd.MultiIndex.from_frame(rows[keys]))
    return table.iloc[which].set_axis(rows.index)


def _check_columns(table: pd.DataFrame, columns: list[str]) -> None:
    absent = [name for name in columns if name not in table]
    if absent:
        raise ValueError(f"table: it has no columns {absent}, only {list(table.columns)[:12]}.")
