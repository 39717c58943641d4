"""What attention heads look at: summaries of many maps, the heads that find dependencies, and rollout over layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroling.probing.trees import check_heads

Floats = NDArray[np.floating[Any]]
SPECIAL = ("[CLS]", "[SEP]", "<s>", "</s>")
"""Tokens that stand for no part of the text, in the families of BERT and RoBERTa."""

PATTERNS = ("previous", "itself", "next", "first", "separator")
STRONG = 0.4
"""Mean share of attention from which a head is named after a pattern; a rule of thumb."""

BROAD = 0.8
"""Share of the largest possible entropy from which a head is called broad; a rule of thumb."""

ROWS_TOLERANCE = 1e-3


def summarise_heads(texts: Iterable[tuple[Sequence[str], Floats]], *, special: Sequence[str] = SPECIAL) -> pd.DataFrame:
    r"""Say of every head how far, how widely and at what it looks, averaged over texts.

    Parameters
    ----------
    texts : iterable of (names, maps)
        Tokens of a text, and attention between them, shape (layer, head, query, key); rows sum to one.
    special : sequence of str
        Tokens that are separators; the first token of a text counts as first, not as separator.

    Returns
    -------
    pandas.DataFrame
        One row a head, indexed by ``layer`` (from 1) and ``head`` (from 0). ``entropy`` in bits, and
        ``relative_entropy`` as a share of the entropy of looking everywhere alike; ``distance`` in tokens; the mean
        share that goes to the ``previous`` token, to ``itself``, to the ``next``, to the ``first`` and to
        ``separator`` tokens; and a ``pattern``: the largest of these shares if it is at least 0.4, else ``"broad"``
        from a relative entropy of 0.8, else ``"mixed"``. A share over tokens that a text does not have (the token
        before the first) counts those that it has.

    Raises
    ------
    ValueError
        If there is no text, shapes do not fit, or rows do not sum to one; the text is named.

    Examples
    --------
    >>> ahead = np.eye(4, k=1)[None, None]
    >>> ahead[0, 0, 3, 3] = 1.0
    >>> summarise_heads([(["[CLS]", "a", "cat", "[SEP]"], ahead)])["pattern"].tolist()
    ['next']
    """
    summed: Floats | None = None
    count = 0
    for number, (names, maps) in enumerate(texts):
        summary = _summary(number, list(names), np.asarray(maps, dtype=np.float64), special)
        if summed is not None and summary.shape != summed.shape:
            raise ValueError(
                f"texts: text {number} has maps of {summary.shape[1:]} layers and heads, others {summed.shape[1:]}."
            )
        summed = summary if summed is None else summed + summary
        count += 1
    if summed is None:
        raise ValueError("texts: there is none; expected names and maps of at least one text.")
    mean = (summed / count).reshape(len(summed), -1)  # (measure, head of all layers)
    index = pd.MultiIndex.from_product([range(1, summed.shape[1] + 1), range(summed.shape[2])], names=["layer", "head"])
    table = pd.DataFrame(mean.T, index=index, columns=["entropy", "relative_entropy", "distance", *PATTERNS])
    strongest = table[list(PATTERNS)].max(axis=1)
    named = table[list(PATTERNS)].idxmax(axis=1)
    otherwise = np.where(table["relative_entropy"] >= BROAD, "broad", "mixed")
    table["pattern"] = np.where(strongest >= STRONG, named, otherwise)
    return table


def attention_rollout(maps: Floats, *, residual: float = 0.5) -> Floats:
    r"""Follow attention down through the layers, the residual connection included.

    With :math:`A_l` the mean over heads, :math:`\tilde A_l = (1 - r) A_l + r I`, and rollout
    :math:`R_l = \tilde A_l \tilde A_{l-1} \cdots \tilde A_1`: how much of each input token there is in each position
    after layer :math:`l`, if values were mixed and not changed.

    Parameters
    ----------
    maps : ndarray, shape (layer, head, query, key)
        All layers from the first; rows sum to one.
    residual : float
        Share of the residual connection, 0.5 as published.

    Returns
    -------
    ndarray, shape (layer, query, key)
        Rows sum to one.

    References
    ----------
    Abnar, S. and Zuidema, W. (2020). Quantifying attention flow in transformers. ACL.

    Examples
    --------
    >>> attention_rollout(np.full((2, 1, 2, 2), 0.5))[-1].tolist()
    [[0.625, 0.375], [0.375, 0.625]]
    """
    checked = _checked_maps("maps", np.asarray(maps, dtype=np.float64))
    if not 0 <= residual <= 1:
        raise ValueError(f"residual: got {residual}; expected a share from 0 to 1.")
    n = checked.shape[-1]
    mixed = (1 - residual) * checked.mean(axis=1) + residual * np.eye(n)  # (layer, query, key)
    rolled = [mixed[0]]
    for layer in mixed[1:]:
        rolled.append(layer @ rolled[-1])
    return np.stack(rolled)


def dependency_accuracy(sentences: Iterable[tuple[Sequence[int], Floats]]) -> pd.DataFrame:
    """Say how often the word that a head looks at most is the word's head in the tree, or one of its dependants.

    Parameters
    ----------
    sentences : iterable of (heads, maps)
        Position of the word that each word depends on, 0 for the root; and attention between the words, shape
        (layer, head, query, key). Attention of a word to itself is passed over.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``layer`` and ``head``: ``to_head``, over words that have a head, and ``to_dependant``, over words
        that have dependants. ``attrs`` hold the best that one fixed step to the left or right would score
        (``offset_to_head``, ``offset_to_dependant``), and ``n_words``.

    References
    ----------
    Clark, K. et al. (2019). What does BERT look at? BlackboxNLP.
    """
    right: Floats | None = None
    fixed = {offset: np.zeros(2) for offset in (-3, -2, -1, 1, 2, 3)}
    total = np.zeros(2)
    for heads, maps in sentences:
        parent = check_heads(np.asarray(heads))
        n = len(parent)
        if maps.ndim != 4 or maps.shape[2:] != (n, n):
            raise ValueError(f"sentences: maps of shape {maps.shape} for {n} words; expected (layer, head, {n}, {n}).")
        if n < 2:
            continue
        edge = np.zeros((n, n), dtype=bool)  # (word, its head)
        edge[np.flatnonzero(parent), parent[parent > 0] - 1] = True
        chosen = np.where(np.eye(n, dtype=bool), -np.inf, maps).argmax(-1)  # (layer, head, word)
        word = np.arange(n)
        hits = np.stack([edge[word, chosen].sum(-1), edge.T[word, chosen].sum(-1)]).astype(np.float64)
        right = hits if right is None else right + hits
        total += [edge.any(1).sum(), edge.any(0).sum()]
        for offset, sums in fixed.items():
            there = word[(word + offset >= 0) & (word + offset < n)]
            sums += [edge[there, there + offset].sum(), edge.T[there, there + offset].sum()]
    if right is None:
        raise ValueError("sentences: none has two words; expected at least one.")
    shares = (right.reshape(2, -1) / total[:, None]).T
    index = pd.MultiIndex.from_product([range(1, right.shape[1] + 1), range(right.shape[2])], names=["layer", "head"])
    table = pd.DataFrame(shares, index=index, columns=["to_head", "to_dependant"])
    best = np.max(list(fixed.values()), axis=0) / total
    table.attrs = {"offset_to_head": best[0], "offset_to_dependant": best[1], "n_words": int(total[0])}
    return table


def _summary(number: int, names: list[str], maps: Floats, special: Sequence[str]) -> Floats:
    """Measure one text, shape (measure, layer, head)."""
    checked = _checked_maps(f"texts: text {number}", maps)
    n = len(names)
    if checked.shape[-1] != n:
        raise ValueError(f"texts: text {number} has {n} names and maps of {checked.shape[-1]} tokens.")
    positions = np.arange(n)
    logs = np.log2(checked, out=np.zeros_like(checked), where=checked > 0)
    entropy = -(checked * logs).sum(-1).mean(-1)
    relative = entropy / np.log2(n) if n > 1 else np.zeros_like(entropy)
    distance = (checked * np.abs(positions[:, None] - positions)).sum(-1).mean(-1)
    separators = np.array([name in special for name in names])
    separators[0] = False
    before, self_, behind = (np.diagonal(checked, offset, -2, -1) for offset in (-1, 0, 1))
    shares = [part.mean(-1) if part.shape[-1] else np.zeros_like(entropy) for part in (before, self_, behind)]
    return np.stack(
        [entropy, relative, distance, *shares, checked[..., 0].mean(-1), checked[..., separators].sum(-1).mean(-1)]
    )


def _checked_maps(name: str, maps: Floats) -> Floats:
    if maps.ndim != 4 or maps.shape[2] != maps.shape[3] or 0 in maps.shape:
        raise ValueError(f"{name}: maps of shape {maps.shape}; expected (layer, head, query, key), square.")
    worst = float(np.abs(maps.sum(-1) - 1).max())
    if not worst <= ROWS_TOLERANCE or maps.min() < 0:
        raise ValueError(
            f"{name}: rows of attention differ from one by up to {worst:.3g}, smallest share {maps.min():.3g}; "
            "expected shares that sum to one. Maps between words leave out special tokens: divide each row by its sum."
        )
    return maps
