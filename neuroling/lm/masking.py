"""Which tokens a masked language model has to guess (Devlin et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

NOT_ASKED = -100
"""Label of a token that is not to be predicted; torch's own number for it."""


@dataclass(frozen=True)
class Masking:
    """Shares of tokens.

    Attributes
    ----------
    ratio : float
        Of all ordinary tokens, those that are to be guessed.
    hidden, swapped : float
        Of those, the share replaced by the mask and the share replaced by a random token; the rest stay as they are.
    whole_words : bool
        Choose words, and ask for all pieces of a chosen word.
    """

    ratio: float = 0.15
    hidden: float = 0.8
    swapped: float = 0.1
    whole_words: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.ratio <= 1:
            raise ValueError(f"ratio: got {self.ratio}; expected more than 0 and at most 1.")
        if min(self.hidden, self.swapped) < 0 or self.hidden + self.swapped > 1 + 1e-9:
            raise ValueError(
                f"hidden, swapped: got {self.hidden} and {self.swapped}; expected shares of 0 or more, 1 at most "
                "together."
            )


def mask_tokens(
    ids: Int[ndarray, "n t"],
    words: Int[ndarray, "n t"],
    masking: Masking,
    *,
    mask_id: int,
    ordinary: Int[ndarray, " k"],
    rng: np.random.Generator,
) -> tuple[Int[ndarray, "n t"], Int[ndarray, "n t"]]:
    """Hide tokens and say what they were.

    Every token (or word) is chosen by a throw of its own, so the expected share is the ratio exactly, in words of any
    length. If the throws choose nothing at all, one ordinary token is taken.

    Parameters
    ----------
    ids : numpy.ndarray, (text, place)
        Tokens.
    words : numpy.ndarray, (text, place)
        Number of the word that a token belongs to, ascending; -1 for special tokens and fillers, which are never
        chosen.
    masking : Masking
        Shares.
    mask_id : int
        The mask.
    ordinary : numpy.ndarray, (token,)
        What may stand in for a swapped token.
    rng : numpy.random.Generator
        Throws.

    Returns
    -------
    tuple of numpy.ndarray, (text, place)
        Tokens as the model reads them, and labels: the token that was there, or :data:`NOT_ASKED`.

    Raises
    ------
    ValueError
        If there is no ordinary token.
    """
    askable = words >= 0  # (text, place)
    if not askable.any():
        raise ValueError("ids: hold special tokens only, so nothing can be hidden; expected words.")
    masked = askable & (_throws(words, masking.whole_words, rng) < masking.ratio)
    if not masked.any():
        text, place = np.argwhere(askable)[rng.integers(askable.sum())]
        masked[text, place] = True
    fate = rng.random(ids.shape)  # (text, place)
    swapped = masked & (fate >= masking.hidden) & (fate < masking.hidden + masking.swapped)
    read = np.where(masked & (fate < masking.hidden), mask_id, ids)
    read = np.where(swapped, rng.choice(ordinary, ids.shape), read)
    return read, np.where(masked, ids, NOT_ASKED)


def _throws(words: Int[ndarray, "n t"], whole_words: bool, rng: np.random.Generator) -> ndarray:
    """Give one number from 0 to 1 a token, the same for all pieces of a word if words are whole."""
    throws = rng.random(words.shape)
    if not whole_words:
        return throws
    return np.take_along_axis(throws, np.maximum(words, 0), axis=1)  # (text, place): the throw of the word's number


def next_tokens(ids: Int[ndarray, "n t"], words: Int[ndarray, "n t"]) -> Int[ndarray, "n t"]:
    """Label every place with the token behind it, for a model that reads from left to right.

    Parameters
    ----------
    ids, words : numpy.ndarray, (text, place)
        As for :func:`mask_tokens`.

    Returns
    -------
    numpy.ndarray, (text, place)
        The next token where it is an ordinary one, else :data:`NOT_ASKED`.

    Examples
    --------
    >>> next_tokens(np.array([[2, 7, 8, 3]]), np.array([[-1, 0, 1, -1]])).tolist()
    [[7, 8, -100, -100]]
    """
    labels = np.full_like(ids, NOT_ASKED)
    labels[:, :-1] = np.where(words[:, 1:] >= 0, ids[:, 1:], NOT_ASKED)
    return labels


def asked(labels: Int[ndarray, "n t"]) -> Bool[ndarray, "n t"]:
    """Say where a prediction is asked for.

    Parameters
    ----------
    labels : numpy.ndarray, (text, place)
        Labels.

    Returns
    -------
    numpy.ndarray of bool, (text, place)
    """
    return np.asarray(labels != NOT_ASKED)
