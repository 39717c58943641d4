"""Distances between strings, many pairs at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray


def edit_distances(first: Sequence[str], second: Sequence[str]) -> Float[NDArray[np.float64], " pair"]:
    """Count the letters to insert, delete or replace between the two words of each pair (Levenshtein 1966).

    One table of the classical recursion is filled for all pairs together; words are padded, and each distance is read
    off at the end of its own words.

    Parameters
    ----------
    first, second : sequence of str
        As many words on either side.

    Returns
    -------
    ndarray, shape (pair,)

    Examples
    --------
    >>> edit_distances(["kitten", "", "abc"], ["sitting", "ab", "abc"]).tolist()
    [3.0, 2.0, 0.0]
    """
    if len(first) != len(second):
        raise ValueError(f"words: got {len(first)} on one side and {len(second)} on the other; expected pairs.")
    a, length_a = _codes(first)
    b, length_b = _codes(second)
    n_pairs = len(first)
    row = np.broadcast_to(np.arange(b.shape[1] + 1, dtype=np.float64), (n_pairs, b.shape[1] + 1)).copy()
    everyone = np.arange(n_pairs)
    out = row[everyone, length_b].copy()  # where the first word is empty
    for i in range(1, a.shape[1] + 1):
        new = np.empty_like(row)
        new[:, 0] = i
        replaced = row[:, :-1] + (a[:, i - 1, None] != b)
        deleted = row[:, 1:] + 1
        best = np.minimum(replaced, deleted)
        for j in range(1, b.shape[1] + 1):
            new[:, j] = np.minimum(best[:, j - 1], new[:, j - 1] + 1)
        row = new
        here = length_a == i
        out[here] = row[here, length_b[here]]
    return out


def _codes(words: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    lengths = np.array([len(word) for word in words], dtype=np.intp)
    codes = np.zeros((len(words), int(lengths.max(initial=0))), dtype=np.int64)
    for place, word in enumerate(words):
        codes[place, : len(word)] = [ord(letter) for letter in word]
    return codes, lengths
