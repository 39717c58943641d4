"""Trees over the words of a sentence: distances, depths, edges, and the trees that distances stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import squareform

Floats = NDArray[np.floating[Any]]
Whole = NDArray[np.intp]


def check_heads(heads: ArrayLike) -> Whole:
    """Refuse what is no tree.

    Parameters
    ----------
    heads : array-like of int, shape (word,)
        Position (from 1) of the word that each word depends on, 0 for the root.

    Returns
    -------
    ndarray of int, shape (word,)

    Raises
    ------
    TypeError
        If the heads are not whole numbers.
    ValueError
        If there is no word, a head lies outside the sentence, there is not one root, or words depend on one another
        in a cycle.
    """
    head_numbers = np.asarray(heads)
    if head_numbers.ndim != 1 or len(head_numbers) == 0:
        raise ValueError(f"heads: got shape {head_numbers.shape}; expected one head for each of at least one word.")
    if head_numbers.dtype.kind not in "iu":
        raise TypeError(f"heads: got values of type {head_numbers.dtype}; expected whole numbers, positions of words.")
    if head_numbers.min() < 0 or head_numbers.max() > len(head_numbers):
        raise ValueError(
            f"heads: values from {head_numbers.min()} to {head_numbers.max()}; expected 0 to {len(head_numbers)}."
        )
    roots = int((head_numbers == 0).sum())
    if roots != 1:
        raise ValueError(f"heads: {roots} words have head 0; expected one root.")
    reach = head_numbers.astype(np.intp)
    for _ in range(len(head_numbers)):  # after so many steps up, every word has come to the root
        reach = np.where(reach > 0, head_numbers[reach - 1], 0)
    if reach.any():
        words = (np.flatnonzero(reach) + 1)[:5].tolist()
        raise ValueError(f"heads: words depend on one another in a cycle (it is reached from words {words}).")
    return head_numbers.astype(np.intp)


def tree_depths(heads: ArrayLike) -> Whole:
    """Count the edges from each word up to the root.

    Parameters
    ----------
    heads : array-like of int, shape (word,)
        As for :func:`check_heads`.

    Returns
    -------
    ndarray of int, shape (word,)
        0 for the root.

    Examples
    --------
    >>> tree_depths([2, 0, 4, 2]).tolist()  # the cat's old toys: the <- cat -> toys -> old
    [1, 0, 2, 1]
    """
    checked_heads = check_heads(heads)
    depths = np.zeros(len(checked_heads), dtype=np.intp)
    ancestors = checked_heads.copy()
    while ancestors.any():
        depths += ancestors > 0
        ancestors = np.where(ancestors > 0, checked_heads[ancestors - 1], 0)
    return depths


def tree_distances(heads: ArrayLike) -> Whole:
    """Count the edges on the path between each two words.

    Parameters
    ----------
    heads : array-like of int, shape (word,)
        As for :func:`check_heads`.

    Returns
    -------
    ndarray of int, shape (word, word)
        Depth of both, minus twice the depth of the lowest word above both.

    Examples
    --------
    >>> tree_distances([2, 0, 4, 2])[0].tolist()
    [0, 1, 3, 2]
    """
    checked_heads = check_heads(heads)
    depths = tree_depths(checked_heads)
    n = len(checked_heads)
    above = np.zeros((n, n), dtype=bool)  # (word, its ancestor or itself)
    for word in range(n):
        position = word + 1
        while position:
            above[word, position - 1] = True
            position = int(checked_heads[position - 1])
    shared = (above[:, None] & above[None]) * depths  # (word, word, ancestor of both)
    return np.asarray(depths[:, None] + depths[None] - 2 * shared.max(-1))


def edges_of(heads: ArrayLike) -> NDArray[np.intp]:
    """List the edges of a tree, each once.

    Parameters
    ----------
    heads : array-like of int, shape (word,)
        As for :func:`check_heads`.

    Returns
    -------
    ndarray of int, shape (word - 1, 2)
        Words counted from 0, the smaller first, in order.

    Examples
    --------
    >>> edges_of([2, 0, 4, 2]).tolist()
    [[0, 1], [1, 3], [2, 3]]
    """
    known = check_heads(heads)
    word = np.flatnonzero(known)
    return _ordered(np.stack([word, known[word] - 1], axis=1))


def spanning_tree(distances: ArrayLike) -> NDArray[np.intp]:
    """Find the tree over all words whose edges are shortest in sum.

    Parameters
    ----------
    distances : array-like, shape (word, word) or (pair,)
        Square and symmetric, or condensed as scipy's ``pdist`` gives them. Zero is a distance like any other.

    Returns
    -------
    ndarray of int, shape (word - 1, 2)
        Words counted from 0, the smaller first, in order.

    Raises
    ------
    ValueError
        If distances are not finite, or not symmetric.

    Examples
    --------
    >>> spanning_tree([1.0, 4.0, 2.0, 5.0, 1.0, 3.0]).tolist()
    [[0, 1], [1, 3], [2, 3]]
    """
    given = np.asarray(distances, dtype=np.float64)
    square = squareform(given) if given.ndim == 1 else given
    if not np.isfinite(square).all() or not np.allclose(square, square.T):
        raise ValueError("distances: expected finite numbers, the same in both directions.")
    if len(square) < 2:
        return np.empty((0, 2), dtype=np.intp)
    lifted = square - square[~np.eye(len(square), dtype=bool)].min() + 1.0  # to scipy, zero means that no edge is there
    np.fill_diagonal(lifted, 0.0)
    found = minimum_spanning_tree(lifted).tocoo()
    return _ordered(np.stack([found.row, found.col], axis=1).astype(np.intp))


def random_heads(n_words: int, rng: np.random.Generator) -> Whole:
    """Draw a tree, every labelled tree with every root equally likely.

    Parameters
    ----------
    n_words : int
        At least one.
    rng : numpy.random.Generator
        Source of the draw.

    Returns
    -------
    ndarray of int, shape (word,)
        From a Prüfer sequence drawn at random.
    """
    if n_words < 1:
        raise ValueError(f"n_words: got {n_words}; expected at least 1.")
    neighbours: list[list[int]] = [[] for _ in range(n_words)]
    for a, b in _from_pruefer(rng.integers(n_words, size=max(0, n_words - 2)), n_words):
        neighbours[a].append(b)
        neighbours[b].append(a)
    heads = np.zeros(n_words, dtype=np.intp)
    front = [int(rng.integers(n_words))]
    seen = set(front)
    while front:
        position = front.pop()
        for other in neighbours[position]:
            if other not in seen:
                heads[other] = position + 1
                seen.add(other)
                front.append(other)
    return heads


def _from_pruefer(sequence: NDArray[np.integer[Any]], n: int) -> list[tuple[int, int]]:
    if n == 1:
        return []
    degree = np.bincount(sequence, minlength=n) + 1
    edges = []
    for node in sequence.tolist():
        leaf = int(np.flatnonzero(degree == 1)[0])
        edges.append((leaf, node))
        degree[leaf] -= 1
        degree[node] -= 1
    a, b = np.flatnonzero(degree == 1).tolist()
    return [*edges, (a, b)]


def _ordered(edges: NDArray[np.intp]) -> NDArray[np.intp]:
    edges = np.sort(edges, axis=1)
    return np.asarray(edges[np.lexsort((edges[:, 1], edges[:, 0]))])
