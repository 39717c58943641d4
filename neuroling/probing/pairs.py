"""Words and pairs of words of one sentence as samples, and scores that are taken sentence by sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from neuroling.core.align import Aligned, align, near_hint
from neuroling.core.pair_names import name_pairs
from neuroling.probing.trees import spanning_tree, tree_depths, tree_distances

Floats = NDArray[np.floating[Any]]
Statistic = Callable[[Floats, Floats], tuple[float, float]]
"""Turns truth and prediction of one sentence into a value and its weight."""

NOT_WORDS = ("PUNCT", "SYM")
"""Universal parts of speech that are left out where trees are compared, as Hewitt and Manning (2019) do."""

LENGTHS = (5, 50)
"""Shortest and longest sentence of averages by length, in words (Hewitt and Manning 2019)."""


def word_pairs(vectors: xr.DataArray, heads: xr.DataArray) -> Aligned:
    """Turn words into pairs of words of the same sentence: differences of vectors beside distances in the tree.

    Parameters
    ----------
    vectors : xarray.DataArray, dims (sample, feature)
        One row a word.
    heads : xarray.DataArray of int, dims (sample,)
        Position of the word that each depends on, 0 for the root; coordinates ``group`` (the sentence) and
        ``position`` (from 1). Words of a sentence stand together, in order.

    Returns
    -------
    Aligned
        ``unit="item"``: a sample is a pair, labelled ``"a | b"``, with coordinates ``first``, ``second``, ``group``,
        ``n_words`` (of the sentence) and ``apart`` (in words); with ``upos`` among the heads' coordinates also
        ``punctuation``, whether one of the two is no word. Words of different sentences are never paired, and a
        sentence of one word has no pair.

    Raises
    ------
    ValueError
        If labels differ, a sentence is torn or out of order, or heads are no tree; the sentence is named.

    Examples
    --------
    >>> coords = {"group": ("sample", ["s"] * 3), "position": ("sample", [1, 2, 3]), "sample": list("abc")}
    >>> heads = xr.DataArray([2, 0, 2], dims="sample", coords=coords)
    >>> vectors = xr.DataArray(np.eye(3), dims=("sample", "feature"), coords={"sample": list("abc")})
    >>> pairs = word_pairs(vectors, heads)
    >>> pairs.y.sample.values.tolist(), pairs.y.values.tolist(), pairs.unit
    (['a | b', 'a | c', 'b | c'], [1.0, 2.0, 1.0], 'item')
    """
    ordered = _in_order_of(vectors, heads)
    spans = sentence_spans(heads)
    upper = [np.triu_indices(stop - start, 1) for start, stop in spans]
    first = np.concatenate([start + rows for (start, _), (rows, _) in zip(spans, upper, strict=True)])
    second = np.concatenate([start + rows for (start, _), (_, rows) in zip(spans, upper, strict=True)])
    if not len(first):
        raise ValueError("heads: every sentence has one word, so there are no pairs.")
    trees = [_in_sentence(tree_distances, heads, span) for span in spans]
    distance = np.concatenate([tree[rows] for tree, rows in zip(trees, upper, strict=True)])
    length = np.concatenate([np.full(len(r), stop - start) for (start, stop), (r, _) in zip(spans, upper, strict=True)])
    coords = _pair_coords(heads, first, second, length)
    names = {name: coord for name, coord in vectors.coords.items() if coord.dims == ("feature",)}
    x = xr.DataArray(
        ordered[first] - ordered[second], dims=("sample", "feature"), coords={**coords, **names}, attrs=vectors.attrs
    )
    return align(x, xr.DataArray(distance.astype(np.float32), dims="sample", coords=coords, attrs=heads.attrs))


def word_depths(vectors: xr.DataArray, heads: xr.DataArray) -> Aligned:
    """Set vectors of words beside their depths in the tree.

    Parameters
    ----------
    vectors, heads : xarray.DataArray
        As for :func:`word_pairs`.

    Returns
    -------
    Aligned
        A sample is a word, with the coordinates of ``heads``, ``n_words``, and ``punctuation`` where ``upos`` is known.
    """
    _in_order_of(vectors, heads)
    spans = sentence_spans(heads)
    depth = np.concatenate([_in_sentence(tree_depths, heads, span) for span in spans])
    length = np.concatenate([np.full(stop - start, stop - start) for start, stop in spans])
    extra = {"n_words": ("sample", length)}
    if "upos" in heads.coords:
        extra["punctuation"] = ("sample", np.isin(heads.coords["upos"].values, NOT_WORDS))
    return align(vectors, heads.copy(data=depth.astype(np.float32)).assign_coords(extra))


def sentence_spans(heads: xr.DataArray) -> list[tuple[int, int]]:
    """Find the rows of each sentence, and refuse one that is torn or out of order.

    Parameters
    ----------
    heads : xarray.DataArray, dims (sample,)
        With coordinates ``group`` and ``position``.

    Returns
    -------
    list of (start, stop)
    """
    absent = [name for name in ("group", "position") if name not in heads.coords]
    if absent:
        raise ValueError(f"heads: no coordinates {absent}; expected the sentence of each word and its place in it.")
    group, position = np.asarray(heads.coords["group"]), np.asarray(heads.coords["position"])
    edges = [0, *(np.flatnonzero(group[1:] != group[:-1]) + 1).tolist(), len(group)]
    spans = list(pairwise(edges))
    names = [group[start] for start, _ in spans]
    if len(set(names)) != len(names):
        raise ValueError("heads: words of a sentence do not stand together; sort them by group and position.")
    for (start, stop), name in zip(spans, names, strict=True):
        if not np.array_equal(position[start:stop], np.arange(1, stop - start + 1)):
            raise ValueError(
                f"heads: positions in sentence {str(name)!r} are {position[start:stop][:8].tolist()} …; expected 1 to "
                f"{stop - start} in order. No word of a sentence may be left out before its tree is read."
            )
    return spans


def _in_order_of(vectors: xr.DataArray, heads: xr.DataArray) -> Floats:
    vector_labels, head_labels = vectors.indexes["sample"], heads.indexes["sample"]
    if set(vector_labels) != set(head_labels) or len(vector_labels) != len(head_labels):
        in_vectors_alone = sorted(set(vector_labels) - set(head_labels))
        in_heads_alone = sorted(set(head_labels) - set(vector_labels))
        raise ValueError(
            f"sample labels differ: {len(in_vectors_alone)} stand in the vectors alone, {len(in_heads_alone)} in the "
            f"heads alone. {near_hint(in_vectors_alone, in_heads_alone)}Select whole sentences on both sides."
        )
    return np.asarray(vectors.transpose("sample", "feature").sel(sample=head_labels).values)


def _in_sentence(
    read: Callable[[ArrayLike], NDArray[np.intp]], heads: xr.DataArray, span: tuple[int, int]
) -> NDArray[np.intp]:
    try:
        return read(heads.values[slice(*span)])
    except ValueError as error:
        raise ValueError(f"sentence {str(heads.coords['group'].values[span[0]])!r}: {error}") from error


def _pair_coords(
    heads: xr.DataArray, first: NDArray[np.intp], second: NDArray[np.intp], length: NDArray[np.intp]
) -> dict[str, tuple[str, NDArray[Any]]]:
    label = np.asarray(heads.sample).astype(str)
    a, b = label[first], label[second]
    coords: dict[str, tuple[str, NDArray[Any]]] = {
        "sample": ("sample", name_pairs(a, b)),
        "first": ("sample", a),
        "second": ("sample", b),
        "group": ("sample", np.asarray(heads.coords["group"])[first]),
        "n_words": ("sample", length),
        "apart": ("sample", second - first),
    }
    if "upos" in heads.coords:
        no_word = np.isin(heads.coords["upos"].values, NOT_WORDS)
        coords["punctuation"] = ("sample", no_word[first] | no_word[second])
    return coords


# --- scores, sentence by sentence -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class WithinSentences:
    """A statistic of each sentence, averaged: the function of a metric over pairs or words of whole sentences.

    Attributes
    ----------
    statistic : callable
        Turns truth and prediction of one sentence into a value and its weight.
    sentence : ndarray, shape (value,)
        Sentence of each value that will be handed over; a sentence's values stand together.
    counts : ndarray of bool, shape (value,)
        Values that are looked at; the others (pairs with punctuation) are passed over.
    lengths : ndarray of int, shape (value,), optional
        Words of each value's sentence. With it, the mean is taken over sentences of each length from 5 to 50, and then
        over lengths; without it, over all sentences by their weights.
    """

    statistic: Statistic
    sentence: NDArray[np.generic]
    counts: NDArray[np.bool_]
    lengths: NDArray[np.integer[Any]] | None = None

    @classmethod
    def of(
        cls,
        data: Aligned,
        rows: NDArray[np.intp],
        statistic: Statistic,
        *,
        punctuation: bool = True,
        by_length: bool = False,
    ) -> WithinSentences:
        """Lay out the test rows of a split.

        Parameters
        ----------
        data : Aligned
            From :func:`word_pairs` or :func:`word_depths`.
        rows : ndarray of int, shape (value,)
            Rows that will be scored, in order.
        statistic : callable
            Such as :func:`uuas`.
        punctuation : bool
            Whether punctuation counts.
        by_length : bool
            Whether to average within lengths first.

        Returns
        -------
        WithinSentences
        """
        counts = np.ones(len(rows), bool) if punctuation else ~data.coordinate("punctuation")[rows].astype(bool)
        lengths = data.coordinate("n_words")[rows].astype(np.intp) if by_length else None
        return cls(statistic, data.coordinate("group")[rows], counts, lengths)

    def __call__(self, truth: Floats, prediction: Floats) -> Floats:
        r"""Average the statistic.

        Parameters
        ----------
        truth, prediction : ndarray, shape (\*kept, value)
            In the order of :attr:`sentence`.

        Returns
        -------
        ndarray, shape (\*kept,)
        """
        if truth.shape[-1] != len(self.sentence):
            raise ValueError(
                f"metric: it was laid out for {len(self.sentence)} values of whole sentences and got "
                f"{truth.shape[-1]}; make it for the test rows of this split, with WithinSentences.of(data, rows, …)."
            )
        flat = [side.reshape(-1, truth.shape[-1]) for side in np.broadcast_arrays(truth, prediction)]
        means = [self._mean(*both) for both in zip(*flat, strict=True)]
        return np.asarray(means, dtype=np.float64).reshape(truth.shape[:-1])

    def each(self, truth: Floats, prediction: Floats) -> xr.DataArray:
        """Give the statistic of every sentence that has one.

        Parameters
        ----------
        truth, prediction : ndarray, shape (value,)
            In the order of :attr:`sentence`.

        Returns
        -------
        xarray.DataArray, dims (sample,)
            Labelled by sentence, with coordinates ``weight`` and, if known, ``n_words``.
        """
        names, values, weights, lengths = [], [], [], []
        for start, stop in self._spans():
            rows = start + np.flatnonzero(self.counts[start:stop])
            value, weight = self.statistic(truth[rows], prediction[rows]) if len(rows) else (np.nan, 0.0)
            if weight > 0:
                names.append(str(self.sentence[start]))
                values.append(value)
                weights.append(weight)
                lengths.append(-1 if self.lengths is None else int(self.lengths[start]))
        coords = {"sample": names, "weight": ("sample", weights), "n_words": ("sample", np.asarray(lengths, np.intp))}
        return xr.DataArray(np.asarray(values, dtype=np.float64), dims="sample", coords=coords)

    def _mean(self, truth: Floats, prediction: Floats) -> float:
        values = self.each(truth, prediction)
        if self.lengths is None:
            weight = np.asarray(values.coords["weight"])
            return float((values.values * weight).sum() / weight.sum()) if len(weight) else np.nan
        length = np.asarray(values.coords["n_words"])
        inside = [values.values[length == n].mean() for n in range(LENGTHS[0], LENGTHS[1] + 1) if (length == n).any()]
        return float(np.mean(inside)) if inside else np.nan

    def _spans(self) -> Iterator[tuple[int, int]]:
        edges = np.flatnonzero(self.sentence[1:] != self.sentence[:-1]) + 1
        return pairwise([0, *edges.tolist(), len(self.sentence)])


def uuas(truth: Floats, prediction: Floats) -> tuple[float, float]:
    """Give the share of a tree's edges that the spanning tree of predicted distances has too.

    Parameters
    ----------
    truth, prediction : ndarray, shape (pair,)
        Distances of one sentence, condensed; edges are where the truth is 1. Words may have been left out.

    Returns
    -------
    tuple of float
        The share (undirected unlabelled attachment score), and the number of edges.

    Examples
    --------
    >>> uuas(np.array([1.0, 2.0, 1.0]), np.array([0.3, 0.2, 0.9]))
    (0.5, 2.0)
    """
    edges = squareform(truth) == 1
    n_edges = float(np.count_nonzero(edges) / 2)
    if not n_edges:
        return np.nan, 0.0
    found = spanning_tree(prediction)
    return float(edges[found[:, 0], found[:, 1]].sum() / n_edges), n_edges


def distance_spearman(truth: Floats, prediction: Floats) -> tuple[float, float]:
    """Correlate, word by word, true with predicted distances to all words of the sentence, and average.

    Parameters
    ----------
    truth, prediction : ndarray, shape (pair,)
        Distances of one sentence, condensed. As published, the distance of a word to itself, 0, counts on both sides.

    Returns
    -------
    tuple of float
        Mean Spearman correlation over words for which it is defined, and 1; weight 0 where it is for none.
    """
    ranks = [rankdata(squareform(side), axis=1) for side in (truth, prediction)]
    a, b = (rank - rank.mean(1, keepdims=True) for rank in ranks)
    spread = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    defined = spread > 0
    if not defined.any():
        return np.nan, 0.0
    return float(((a * b).sum(1)[defined] / spread[defined]).mean()), 1.0


def depth_spearman(truth: Floats, prediction: Floats) -> tuple[float, float]:
    """Correlate true with predicted depths of a sentence's words.

    Parameters
    ----------
    truth, prediction : ndarray, shape (word,)
        Depths.

    Returns
    -------
    tuple of float
        Spearman correlation, and 1; weight 0 where one side is constant.
    """
    a, b = (rankdata(side) - (len(side) + 1) / 2 for side in (truth, prediction))
    spread = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return (float((a * b).sum() / spread), 1.0) if spread > 0 else (np.nan, 0.0)


def root_found(truth: Floats, prediction: Floats) -> tuple[float, float]:
    """Say whether the word that is predicted highest is the root.

    Parameters
    ----------
    truth, prediction : ndarray, shape (word,)
        Depths; words may have been left out.

    Returns
    -------
    tuple of float
        1 or 0, and 1; weight 0 where the root itself was left out.
    """
    if not (truth == 0).any():
        return np.nan, 0.0
    return float(truth[np.argmin(prediction)] == 0), 1.0
