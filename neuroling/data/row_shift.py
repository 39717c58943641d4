"""Whether reading times stand one row away from their words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class RowShift:
    """Correlations of the times in a table with the lengths of words around them.

    Attributes
    ----------
    with_previous, with_own, with_next : float
        Correlation of the time in a row with the length of the word in the row before, in the same row, and in the row
        after it.

    Examples
    --------
    >>> shift = RowShift(with_previous=0.14, with_own=0.29, with_next=0.24)
    >>> shift.is_early
    True
    """

    with_previous: float
    with_own: float
    with_next: float

    @property
    def is_early(self) -> bool:
        """Whether times stand one row before their words.

        A reader who sees one word at a time cannot know the next one, and the processing of a word spills over to the
        words after it. If times rise more with the length of the next word than with that of the word before, they
        belong to the next word. A heuristic: lengths of neighbouring words must be weakly correlated, as in prose.
        """
        return self.with_next > self.with_previous

    def __str__(self) -> str:
        found = "one row before their words" if self.is_early else "in the rows of their words"
        return (
            f"times stand {found}: correlation with the length of the word in the row before {self.with_previous:.4f}, "
            f"in the same row {self.with_own:.4f}, in the row after {self.with_next:.4f}"
        )


def find_row_shift(words: pd.Series, times: pd.Series, texts: pd.Series) -> RowShift:
    """Correlate times with the lengths of the words around them, within texts.

    Parameters
    ----------
    words : pandas.Series of str
        Words in the order of reading, punctuation included; it does not count as length.
    times : pandas.Series of float
        Reading times in the same rows.
    texts : pandas.Series
        Text of each row; no neighbour is taken from another text.

    Returns
    -------
    RowShift
    """
    length = words.str.replace(r"^\W+|\W+$", "", regex=True).str.len()
    correlations = []
    for step in (1, 0, -1):  # rows that the lengths are moved down
        moved = length.groupby(texts.to_numpy()).shift(step)
        is_present = (moved.notna() & times.notna()).to_numpy()
        correlations.append(float(np.corrcoef(moved[is_present], times[is_present])[0, 1]))
    return RowShift(*correlations)
