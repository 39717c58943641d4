"""How much of a text is read with each word: all of it, a rolling window, or overlapping chunks in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from neuroling.features.words.alignment import Passage


@dataclass(frozen=True)
class Stretch:
    """A stretch of a passage that is read at once.

    Attributes
    ----------
    start, stop : int
        Tokens that are read.
    first, behind : int
        Words taken from this reading, ``first`` to before ``behind``.
    """

    start: int
    stop: int
    first: int
    behind: int


@dataclass(frozen=True)
class Whole:
    """Read each group at once: sentences, or stories that the encoder can hold. What is longer is an error.

    Examples
    --------
    >>> Whole()
    Whole()
    """

    def plan(self, passage: Passage, room: int) -> Iterator[Stretch]:
        """Plan the readings of a passage.

        Parameters
        ----------
        passage : Passage
            What is to be read.
        room : int
            Tokens that the encoder reads at once, special tokens not counted.

        Yields
        ------
        Stretch
        """
        if len(passage.ids) > room:
            raise ValueError(
                f"context: a text of {len(passage.rows)} words is {len(passage.ids)} tokens, and the encoder reads "
                f"{room} besides its special tokens; use context=Overlapping(left=…) or Rolling(words=…)."
            )
        yield Stretch(0, len(passage.ids), 0, len(passage.rows))


@dataclass(frozen=True)
class Rolling:
    """Read each word as the last of a window, so that an encoder of both directions never reads ahead.

    Attributes
    ----------
    words : int
        Words before each word that are read at least, where there are so many.
    stride : int
        Words taken from one reading. With 1 every word is the last that is read; with more, the cost falls as
        ``1 / stride``, and a word is read with up to ``stride - 1`` words after it.

    Examples
    --------
    >>> Rolling(words=20)
    Rolling(words=20, stride=1)
    """

    words: int = 40
    stride: int = 1

    def __post_init__(self) -> None:
        if self.words < 0 or self.stride < 1:
            raise ValueError(
                f"window, stride: got {self.words} and {self.stride}; expected at least 0 and at least 1 words."
            )

    def plan(self, passage: Passage, room: int) -> Iterator[Stretch]:
        """Plan the readings of a passage.

        Parameters
        ----------
        passage : Passage
            What is to be read.
        room : int
            Tokens that the encoder reads at once, special tokens not counted.

        Yields
        ------
        Stretch
        """
        spoken = np.flatnonzero(passage.first >= 0)  # words that have tokens
        for begin in range(0, len(spoken), self.stride):
            taken = spoken[begin : begin + self.stride]
            start = int(passage.first[spoken[max(0, begin - self.words)]])
            stop = int(passage.stop[taken].max())
            if stop - start > room:
                last = passage.text.labels.tolist()[taken[-1]]
                raise ValueError(
                    f"window: the {len(taken) + min(begin, self.words)} words up to {last!r} are "
                    f"{stop - start} tokens, and the encoder reads {room} besides its special tokens; choose fewer "
                    "words of context or a smaller stride."
                )
            yield Stretch(start, stop, int(taken[0]), int(taken[-1]) + 1)


@dataclass(frozen=True)
class Overlapping:
    """Read overlapping chunks, each word taken from one where enough stands before it.

    For a causal model every word has the state that it would have if the text up to it were read anew, with a left
    context of at least ``left`` tokens, at the price of about two passes over the text instead of one pass a word.

    Attributes
    ----------
    left, right : int
        Tokens before and behind each word that are read at least, where there are so many.
    tokens : int or None
        Length of a chunk, special tokens not counted; by default twice ``left`` plus ``right``, or what the encoder
        reads if that is less.

    Examples
    --------
    >>> Overlapping(left=128)
    Overlapping(left=128, right=0, tokens=None)
    """

    left: int = 256
    right: int = 0
    tokens: int | None = None

    def __post_init__(self) -> None:
        if min(self.left, self.right) < 0 or (self.tokens is not None and self.tokens <= self.left + self.right):
            raise ValueError(
                f"left, right, tokens: got {self.left}, {self.right} and {self.tokens}; expected no negative numbers, "
                "and more tokens than left and right together."
            )

    def plan(self, passage: Passage, room: int) -> Iterator[Stretch]:
        """Plan the readings of a passage.

        Parameters
        ----------
        passage : Passage
            What is to be read.
        room : int
            Tokens that the encoder reads at once, special tokens not counted.

        Yields
        ------
        Stretch
        """
        size = min(room, max(2 * self.left, 16) + 2 * self.right) if self.tokens is None else self.tokens
        if size > room or size <= self.left + self.right:
            raise ValueError(
                f"left, right, tokens: chunks of {max(size, self.left + self.right + 1)} tokens are needed, and the "
                f"encoder reads {room} besides its special tokens; choose less context."
            )
        n_tokens = len(passage.ids)
        spoken = np.flatnonzero(passage.first >= 0)
        stops = np.maximum.accumulate(passage.stop[spoken])
        begin = 0
        while begin < len(spoken):
            start = max(0, int(passage.first[spoken[begin]]) - self.left)
            stop = min(n_tokens, start + size)
            limit = stop if stop == n_tokens else stop - self.right
            end = int(np.searchsorted(stops, limit, side="right"))
            if end <= begin:
                word = passage.text.labels.tolist()[spoken[begin]]
                raise ValueError(
                    f"left, right, tokens: the word {word!r} and its context do not fit "
                    f"into {size} tokens; choose less context or longer chunks."
                )
            yield Stretch(start, stop, int(spoken[begin]), int(spoken[end - 1]) + 1)
            begin = end


Context = Whole | Rolling | Overlapping
