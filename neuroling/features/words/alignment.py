"""From running text to word pieces and back: which pieces of which tokens belong to which word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.features.transformer.encoder import Encoder
from neuroling.features.words.text_checks import tidy, tidy_gaps

Missing = Literal["error", "nan"]
Shared = Literal["error", "both", "first"]


@dataclass(frozen=True)
class RunningText:
    """The text of one group, with its words as stretches of characters.

    Attributes
    ----------
    text : str
        All of it.
    starts, stops : ndarray of int, shape (word,)
        Characters of each word; the same for words of a fused token.
    rows : ndarray of int, shape (word,)
        Which rows of the stimuli the words are.
    labels : pandas.Index, length word
        Sample labels of the words.
    """

    text: str
    starts: NDArray[np.intp]
    stops: NDArray[np.intp]
    rows: NDArray[np.intp]
    labels: pd.Index


@dataclass(frozen=True)
class Passage:
    """A running text as word pieces, without special tokens.

    Attributes
    ----------
    text : RunningText
        What was tokenised.
    ids : ndarray of int, shape (token,)
        Token ids.
    rows : ndarray of int, shape (word,)
        Which rows of the stimuli the words are.
    word, piece : ndarray of int, shape (pair,)
        Which word owns which token, ordered by word, then by token.
    first, stop : ndarray of int, shape (word,)
        First token of each word, and the one behind its last; both -1 for a word without any.
    """

    text: RunningText
    ids: NDArray[np.int64]
    rows: NDArray[np.intp]
    word: NDArray[np.intp]
    piece: NDArray[np.intp]
    first: NDArray[np.intp]
    stop: NDArray[np.intp]

    def pieces_of(self, begin: int, end: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Give words and tokens of the words ``begin`` to before ``end``.

        Parameters
        ----------
        begin, end : int
            Words of the passage.

        Returns
        -------
        tuple of ndarray of int, shape (pair,)
        """
        a, b = np.searchsorted(self.word, [begin, end])
        return self.word[a:b], self.piece[a:b]


def running_texts(words: Stimuli, *, stacklevel: int = 3) -> list[RunningText]:
    """Put the words of each group together as running text.

    Parameters
    ----------
    words : Stimuli
        One row a word, in order; perhaps with a ``group``. The columns ``before`` and ``after`` say what stands around
        the words; without them it is a single blank between two words. A column ``surface`` says what is written in
        place of each word, where that differs; a word for which it is empty shares the place of the one before it, as
        the words of a fused token do.
    stacklevel : int
        How many calls up a warning belongs to.

    Returns
    -------
    list of RunningText
        One a group, in order.

    Examples
    --------
    >>> [text.text for text in running_texts(Stimuli.from_texts(["a", "b", "c"], group=[1, 1, 2]))]
    ['a b', 'c']
    """
    texts = tidy(words, words=True, stacklevel=stacklevel + 1)
    surface = _column(words, "surface", stacklevel + 1)
    texts = texts if surface is None else surface
    before = _column(words, "before", stacklevel + 1)
    after = _column(words, "after", stacklevel + 1)
    texts_of_groups = []
    for begin, end in stretches(words):
        gaps = [" " if row > begin and texts[row] else "" for row in range(begin, end)]
        gaps = gaps if before is None else before[begin:end]
        pieces = [piece for row, gap in zip(range(begin, end), gaps, strict=True) for piece in (gap, texts[row])]
        ends = np.cumsum([len(piece) for piece in pieces], dtype=np.intp)
        starts, stops = ends[::2], ends[1::2]
        if surface is not None:
            starts, stops = _shared_places(words.table.iloc[begin:end], texts[begin:end], starts, stops)
        text = "".join(pieces) + ("" if after is None else after[end - 1])
        texts_of_groups.append(RunningText(text, starts, stops, np.arange(begin, end), words.labels[begin:end]))
    return texts_of_groups


def _shared_places(
    words: pd.DataFrame, written: Sequence[str], starts: NDArray[np.intp], stops: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give words of one group for which nothing is written the place of the last word for which something is."""
    has_text = np.array([bool(text) for text in written])
    alone = ~has_text & (np.arange(len(has_text)) == 0)
    if "position" in words:  # a word that was left out may be the one that is written
        alone |= ~has_text & (np.diff(words["position"].to_numpy(dtype=float), prepend=np.nan) != 1)
    if alone.any():
        raise ValueError(
            f"surface: nothing is written for {words.index[alone].tolist()[:5]}, and the words before them, whose "
            "place they share, are missing. Keep the words of a fused token together."
        )
    place = np.maximum.accumulate(np.where(has_text, np.arange(len(has_text)), 0))
    return starts[place], stops[place]


def _column(words: Stimuli, name: str, stacklevel: int) -> list[str] | None:
    if name not in words.table:
        return None
    column, labels = words.table[name].tolist(), words.labels.tolist()
    wrong = [row for row, value in enumerate(column) if not isinstance(value, str)]
    if wrong:
        first = [(labels[row], type(column[row]).__name__) for row in wrong[:5]]
        raise TypeError(f"{name}: {len(wrong)} entries are not str, first {first} (label, type).")
    return tidy_gaps(column, labels, stacklevel=stacklevel + 1)


def stretches(words: Stimuli) -> list[tuple[int, int]]:
    """Give the stretches of rows of one group; a group that comes back later is an error.

    Parameters
    ----------
    words : Stimuli
        One row a word.

    Returns
    -------
    list of (start, stop)
    """
    if "group" not in words.table:
        return [(0, len(words))]
    group = words.table["group"].to_numpy()
    starts = [0, *(int(i) + 1 for i in np.flatnonzero(group[1:] != group[:-1]))]
    names = [group[start] for start in starts]
    if len(set(names)) != len(names):
        again = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"group: {again!r} stands in several places; sort the words by group and time.")
    return list(zip(starts, [*starts[1:], len(words)], strict=True))


def tokenise(
    encoder: Encoder, words: Stimuli, *, missing: Missing = "error", shared: Shared = "error", stacklevel: int = 3
) -> list[Passage]:
    """Tokenise the running text of every group once, and find each word's pieces by its characters.

    Parameters
    ----------
    encoder : Encoder
        Its tokenizer is used.
    words : Stimuli
        As for :func:`running_texts`.
    missing : {"error", "nan"}
        What becomes of a word without any piece.
    shared : {"error", "both", "first"}
        What becomes of a piece that covers characters of several words: refused, given to all, or to the first.
    stacklevel : int
        How many calls up a warning belongs to.

    Returns
    -------
    list of Passage
        One a group.
    """
    if missing not in ("error", "nan"):
        raise ValueError(f"missing: got {missing!r}; expected 'error' or 'nan'.")
    if shared not in ("error", "both", "first"):
        raise ValueError(f"shared: got {shared!r}; expected 'error', 'both' or 'first'.")
    texts = running_texts(words, stacklevel=stacklevel + 1)
    passages = [_passage(encoder, text, ids, offsets, shared) for text, ids, offsets in _offsets(encoder, texts)]
    labels = words.labels.tolist()
    silent = [labels[row] for p in passages for row in p.rows[p.first < 0]]
    if silent and missing == "error":
        raise ValueError(
            f"words: {len(silent)} get no piece from {encoder.name} (first labels {silent[:5]}); leave them out, or "
            "say missing='nan'."
        )
    return passages


def _offsets(encoder: Encoder, texts: list[RunningText]) -> Iterator[tuple[RunningText, list[int], NDArray[np.intp]]]:
    """Give token ids and their characters, shape (token, 2), of each text."""
    if not encoder.tokenizer.is_fast:
        for text in texts:
            yield text, *_word_by_word(encoder, text)
        return
    encoding = encoder.tokenizer(
        [text.text for text in texts],
        add_special_tokens=False,
        return_offsets_mapping=True,
        split_special_tokens=True,  # what a person wrote is text, even "[MASK]"
        verbose=False,
    )
    for text, ids, pairs in zip(texts, encoding["input_ids"], encoding["offset_mapping"], strict=True):
        offsets = np.asarray(pairs, dtype=np.intp).reshape(-1, 2)
        if len(ids) > 1 and ((offsets[:, 1] <= offsets[:, 0]).all() or (np.diff(offsets[:, 0]) < 0).any()):
            raise ValueError(
                f"words: the tokenizer of {encoder.name} gives character offsets that are empty or out of order."
            )
        yield text, ids, offsets


def _word_by_word(encoder: Encoder, text: RunningText) -> tuple[list[int], NDArray[np.intp]]:
    """Tokenise words by themselves, where that gives the pieces of the whole text."""
    labels = text.labels.tolist()
    places = zip(text.starts.tolist(), text.stops.tolist(), labels, strict=True)
    spans = {(a, b): label for a, b, label in places}  # words of a fused token share one
    ids_of_words = [_plain_ids(encoder, text.text[a:b], label) for (a, b), label in spans.items()]
    ids = [token for word_ids in ids_of_words for token in word_ids]
    if ids != _plain_ids(encoder, text.text, labels[0]):
        raise ValueError(
            f"words: the tokenizer of {encoder.name} has no character offsets, and gives other pieces for the words of "
            f"{text.text[:40]!r} … than for the whole; use words that it keeps apart, or a fast tokenizer."
        )
    owned = [span for span, word_ids in zip(spans, ids_of_words, strict=True) for _ in word_ids]
    return ids, np.asarray(owned, dtype=np.intp).reshape(-1, 2)


def _plain_ids(encoder: Encoder, text: str, label: object) -> list[int]:
    """Tokenise all of a text as text, or refuse it."""
    tokenizer = encoder.tokenizer
    ids: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    for token in tokenizer.all_special_tokens:
        # some tokenizers hand their own list of tokens on to whatever divides words; an unknown word looks the same
        if token in text and token != tokenizer.unk_token and tokenizer.convert_tokens_to_ids(token) in ids:
            raise ValueError(
                f"words: the tokenizer of {encoder.name} reads {token!r} as a special token, though told to take it as "
                f"text (label {label!r}); write it otherwise, or use a fast tokenizer."
            )
    return ids


def _passage(encoder: Encoder, text: RunningText, ids: list[int], offsets: NDArray[np.intp], shared: Shared) -> Passage:
    piece, word = owners(text.starts, text.stops, offsets)
    twice = np.flatnonzero(piece[1:] == piece[:-1]) + 1
    if len(twice) and shared == "error":
        first, second = (text.text[text.starts[w] : text.stops[w]] for w in word[twice[0] - 1 : twice[0] + 1])
        raise ValueError(
            f"words: one piece of {encoder.name} covers {[first, second]}, as do {len(twice) - 1} others; its "
            "tokenizer does not keep these words apart. Say shared='both' or 'first', or join the words."
        )
    if shared == "first":
        piece, word = np.delete(piece, twice), np.delete(word, twice)
    order = np.lexsort((piece, word))
    piece, word = piece[order], word[order]
    n_words = len(text.starts)
    begins, stop = np.full(n_words, -1, dtype=np.intp), np.full(n_words, -1, dtype=np.intp)
    begins[word[::-1]] = piece[::-1]
    stop[word] = piece + 1
    return Passage(text, np.asarray(ids, dtype=np.int64), text.rows, word, piece, begins, stop)


def owners(
    starts: NDArray[np.intp], stops: NDArray[np.intp], offsets: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pair tokens with the words that they share a character with.

    Parameters
    ----------
    starts, stops : ndarray of int, shape (word,)
        Characters of the words, in order; the same, or not overlapping.
    offsets : ndarray of int, shape (token, 2)
        Characters of the tokens; an empty stretch belongs to nobody.

    Returns
    -------
    piece, word : ndarray of int, shape (pair,)
        Ordered by piece, then by word.

    Examples
    --------
    >>> piece, word = owners(np.array([0, 4]), np.array([3, 7]), np.array([[0, 2], [2, 3], [3, 3], [3, 7]]))
    >>> piece.tolist(), word.tolist()
    ([0, 1, 3], [0, 0, 1])
    """
    begin = np.searchsorted(stops, offsets[:, 0], side="right")
    end = np.searchsorted(starts, offsets[:, 1], side="left")
    count = np.where(offsets[:, 1] > offsets[:, 0], np.maximum(end - begin, 0), 0)
    piece = np.repeat(np.arange(len(offsets)), count)
    word = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(begin, count)
    return piece, word.astype(np.intp)
