"""Sentences of few words, so that a sample has a story to hear and words that come back."""

from __future__ import annotations

import numpy as np

NOUNS = ("rabbit", "queen", "garden", "kettle", "river", "sister", "ladder", "window", "apple", "soldier")
VERBS = ("watches", "paints", "follows", "forgets", "carries", "mends", "finds", "washes")
ADJECTIVES = ("small", "golden", "noisy", "patient", "broken", "late", "gentle", "curious")


def sentence(rng: np.random.Generator) -> list[str]:
    """Make one sentence.

    Parameters
    ----------
    rng : numpy.random.Generator
        Chooses the words.

    Returns
    -------
    list of str

    Examples
    --------
    >>> len(sentence(np.random.default_rng(0)))
    7
    """
    first, second = rng.choice(NOUNS, 2, replace=False)
    one, other = rng.choice(ADJECTIVES, 2, replace=False)
    return ["the", str(one), str(first), str(rng.choice(VERBS)), "the", str(other), str(second)]


def story(n_words: int, rng: np.random.Generator) -> list[str]:
    """Make a story of so many words.

    Parameters
    ----------
    n_words : int
        Number of words; the last sentence may break off.
    rng : numpy.random.Generator
        Chooses them.

    Returns
    -------
    list of str
    """
    words: list[str] = []
    while len(words) < n_words:
        words += sentence(rng)
    return words[:n_words]


def meanings(n_dimensions: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Give every content word a vector: that of its word class and its own; recordings of a sample respond to it.

    Parameters
    ----------
    n_dimensions : int
        Length of a vector.
    rng : numpy.random.Generator
        Draws them, standard normal.

    Returns
    -------
    dict of ndarray, shape (dimension,)
        Nouns, adjectives and verbs in turn. Other words have none.
    """
    classes = {words: 2 * rng.standard_normal(n_dimensions) for words in (NOUNS, ADJECTIVES, VERBS)}
    in_turn = [(words[i], center) for i in range(len(NOUNS)) for words, center in classes.items() if i < len(words)]
    return {word: center + rng.standard_normal(n_dimensions) for word, center in in_turn}
