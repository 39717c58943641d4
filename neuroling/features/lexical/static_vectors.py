"""One vector a word, whatever its context, looked up in files of word2vec, GloVe and fastText."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.features.lexical.vector_files import load_vectors
from neuroling.features.words.letter_case import CaseLookup
from neuroling.features.words.text_checks import tidy, trimmed, warn_of_repeats

__all__ = ["LooksUp", "load_vectors", "static_vectors"]

OutOfVocabulary = Literal["error", "nan", "zero", "mean"]


class LooksUp(Protocol):
    """Anything that has vectors of words."""

    @property
    def source(self) -> str:
        """Name of the file."""
        ...

    @property
    def width(self) -> int:
        """Number of features."""
        ...

    def vector(self, word: str) -> NDArray[np.float32] | None:
        """Give the vector of a word, or None if there is none.

        Parameters
        ----------
        word : str
            As it stands in the file.

        Returns
        -------
        ndarray of float32, shape (feature,), or None
        """
        ...


def static_vectors(
    stimuli: Stimuli,
    vectors: LooksUp,
    *,
    missing: OutOfVocabulary = "error",
    normalise: bool = False,
    language: str | None = None,
) -> xr.DataArray:
    """Look up a vector for each text: that of a word, or the mean over the words of a longer one.

    A word is looked up as it stands, then without the punctuation around it, then in small letters, and last among the
    words of the file that differ from it in case or in the form of their accents alone; of several, the first is taken,
    which in these files is the most frequent.

    Parameters
    ----------
    stimuli : Stimuli
        Words or texts.
    vectors : WordVectors or FastText
        From :func:`load_vectors`.
    missing : {"error", "nan", "zero", "mean"}
        What becomes of a text none of whose words is known: refused, NaN, zeros, or the mean of the texts that are.
    normalise : bool
        Scale every vector to unit length.
    language : str, optional
        Code of the language whose small letters are used, such as ``"tr"``; see
        :func:`~neuroling.features.words.letter_case.lowercase`.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        float32. ``attrs["coverage"]`` is the share of words that were found, ``attrs["n_missing"]`` the number of texts
        without any.

    Raises
    ------
    ValueError
        If a text has no known word and ``missing`` is ``"error"``, or a vector that is found is not finite.
    """
    if missing not in ("error", "nan", "zero", "mean"):
        raise ValueError(f"missing: got {missing!r}; expected 'error', 'nan', 'zero' or 'mean'.")
    texts = tidy(stimuli)
    if not {"onset", "position"} & set(stimuli.table):  # the words of a story come again, as they do in any text
        warn_of_repeats(stimuli, stacklevel=2)
    lookup = CaseLookup(getattr(vectors, "rows", ()), language)
    values = np.full((len(stimuli), vectors.width), np.nan, dtype=np.float32)
    n_words = n_found = 0
    for row, text in enumerate(texts):
        found = [_look_up(vectors, lookup, word) for word in text.split()]
        available = [vector for vector in found if vector is not None]
        n_words, n_found = n_words + len(found), n_found + len(available)
        if available:
            values[row] = np.mean(available, axis=0)
    absent = np.isnan(values).all(1)
    if absent.any() and missing == "error":
        labels = stimuli.labels[np.flatnonzero(absent)].tolist()
        raise ValueError(
            f"stimuli: {int(absent.sum())} of {len(stimuli)} have no vector in {vectors.source} (first {labels[:5]}); "
            "leave them out, or say missing='nan', 'zero' or 'mean'."
        )
    if normalise:
        lengths = np.linalg.norm(values, axis=1, keepdims=True)
        values /= np.where(lengths > 0, lengths, 1)
    if missing == "zero":
        values[absent] = 0
    if missing == "mean" and not absent.all():
        values[absent] = values[~absent].mean(0)
    notes = {"coverage": n_found / max(1, n_words), "n_missing": int(absent.sum()), "missing": missing}
    return stimuli.features(values).assign_attrs(
        step="static_vectors", source=vectors.source, **notes, normalise=int(normalise), stimuli=stimuli.fingerprint
    )


def _look_up(vectors: LooksUp, lookup: CaseLookup, word: str) -> NDArray[np.float32] | None:
    listed = getattr(vectors, "rows", None) is not None
    forms = [lookup.find(word) or trimmed(word)] if listed else lookup.forms(word)
    for form in forms:
        vector = vectors.vector(form)
        if vector is not None:
            if not np.isfinite(vector).all():
                raise ValueError(
                    f"vectors: that of {form!r} in {vectors.source} is not finite; download the file again, or leave "
                    "the word out."
                )
            return vector
    return None
