"""Words that a simulated reader knows, strings that it does not, and what each is made of.

The published item types are those of Laszlo and Plaut (2012) and Laszlo and Armstrong (2014): 62 words and 15 acronyms
that are learned, pseudowords and illegal strings that are not. The papers' items and codes were not at hand; how the
strings and meanings here are made is inferred, and every number is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

KINDS = ("word", "acronym", "pseudoword", "illegal")
"""Item types; the first two are known to a trained network."""

KNOWN = ("word", "acronym")
"""Item types that have a meaning."""

VOWELS, CONSONANTS = "aeiou", "bdgkt"
COLUMNS = ("kind", "frequency", "category", "associate")
"""Columns of a table of items; the index holds the strings."""


def two_of_five(letters: str = VOWELS + CONSONANTS) -> dict[str, Array]:
    """Code ten letters by two of five units each, so that a slot has five units as published.

    Which letter has which pair is inferred: pairs are dealt out in alphabetical order.

    Parameters
    ----------
    letters : str
        At most ten different letters.

    Returns
    -------
    dict of ndarray, shape (5,)
        Code of each letter.

    Examples
    --------
    >>> two_of_five()["a"].tolist()
    [1.0, 1.0, 0.0, 0.0, 0.0]
    """
    pairs = list(combinations(range(5), 2))
    if len(letters) > len(pairs):
        raise ValueError(f"letters: got {len(letters)}; five units code {len(pairs)} by pairs. Use one_hot for more.")
    return {letter: np.isin(range(5), pair).astype(np.float64) for letter, pair in zip(letters, pairs, strict=False)}


def one_hot(letters: str = VOWELS + CONSONANTS) -> dict[str, Array]:
    """Code every letter by a unit of its own.

    Parameters
    ----------
    letters : str
        Different letters.

    Returns
    -------
    dict of ndarray, shape (letter,)
        Code of each letter.
    """
    return dict(zip(letters, np.eye(len(letters)), strict=True))


@dataclass(frozen=True)
class Lexicon:
    """Strings with their types, frequencies and meanings.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a string, which is the index. Columns: ``kind`` (one of :data:`KINDS`), ``frequency`` (positive; how
        often a known string is met, relative to the others), ``category`` and ``associate`` (another string), both
        empty where there is none. Any other column travels along.
    semantics : ndarray, shape (known item, unit)
        Meaning of every word and acronym, in the order of the table: 1 for a feature that it has, else 0.
    codes : mapping of ndarray, shape (unit,)
        Code of every letter; all slots use the same.

    Raises
    ------
    ValueError
        For an empty table, repeated strings, strings of different length, letters without a code, unknown types,
        frequencies that are not positive, associates that do not occur, or meanings that do not fit.

    Examples
    --------
    >>> lexicon = make_lexicon(rng=0)
    >>> lexicon.table["kind"].value_counts().to_dict()
    {'pseudoword': 63, 'illegal': 63, 'word': 62, 'acronym': 15}
    """

    table: pd.DataFrame
    semantics: Array
    codes: Mapping[str, Array]

    def __post_init__(self) -> None:
        table = self.table.copy()
        table.index.name = "item"
        semantics = np.asarray(self.semantics, dtype=np.float64)
        _check_table(table, self.codes)
        _check_semantics(table, semantics)
        neighbours = count_neighbours(table.index, table.index[table["kind"].isin(KNOWN)])
        known = table["kind"].isin(KNOWN).to_numpy()
        richness = np.full(len(table), np.nan)
        richness[known] = semantics.sum(axis=1)
        object.__setattr__(self, "table", table.assign(neighbours=neighbours, richness=richness))
        object.__setattr__(self, "semantics", semantics)

    @property
    def items(self) -> pd.Index:
        """All strings, in order."""
        return self.table.index

    @cached_property
    def known(self) -> pd.Index:
        """Strings that have a meaning, in the order of ``semantics``."""
        return self.items[self.table["kind"].isin(KNOWN)]

    @property
    def n_units(self) -> int:
        """Number of input units: slots times units of a letter."""
        return int(len(self.items[0]) * len(next(iter(self.codes.values()))))

    def of_kind(self, kind: str) -> pd.Index:
        """Give the strings of one type, in order.

        Parameters
        ----------
        kind : str
            One of :data:`KINDS`.
        """
        if kind not in KINDS:
            raise ValueError(f"kind: got {kind!r}; expected one of {KINDS}.")
        return self.items[self.table["kind"] == kind]

    def spell(self, strings: Sequence[str]) -> Array:
        """Turn strings into input patterns.

        Parameters
        ----------
        strings : sequence of str
            Of as many letters as there are slots; they need not be in the lexicon.

        Returns
        -------
        ndarray, shape (string, slot × unit)
        """
        for string in strings:
            _check_letters(string, len(self.items[0]), self.codes)
        return np.array([np.concatenate([self.codes[letter] for letter in string]) for string in strings])

    def meaning(self, strings: Sequence[str]) -> Array:
        """Give the meanings of strings, shape (string, unit); NaN for those that have none.

        Parameters
        ----------
        strings : sequence of str
            Strings of the lexicon or others.
        """
        rows = self.known.get_indexer(pd.Index(list(strings)))
        return np.where(rows[:, None] >= 0, self.semantics[rows], np.nan)


def count_neighbours(strings: Sequence[str] | pd.Index, known: Sequence[str] | pd.Index) -> NDArray[np.intp]:
    """Count Coltheart's N: known strings that differ in exactly one letter.

    Parameters
    ----------
    strings : sequence of str
        Whose neighbours are counted.
    known : sequence of str
        Who may be a neighbour; of the same length.

    Returns
    -------
    ndarray of int, shape (string,)

    Examples
    --------
    >>> count_neighbours(["cat", "xyz"], ["cat", "cab", "bat", "bag"]).tolist()
    [2, 0]
    """
    one, other = (np.array([list(string) for string in group]) for group in (strings, known))
    return np.asarray(((one[:, None] != other).sum(axis=2) == 1).sum(axis=1))  # (string, known, slot) -> (string,)


# More than eight parameters: each is one property of the published lexicon.
def make_lexicon(
    *,
    rng: int | np.random.Generator,
    n_words: int = 62,
    n_acronyms: int = 15,
    n_pseudowords: int = 63,
    n_illegal: int = 63,
    codes: Mapping[str, Array] | None = None,
    n_semantic_units: int = 50,
    n_categories: int = 8,
    richness: tuple[int, int] = (3, 8),
    frequency: tuple[float, float] = (0.3, 2.0),
) -> Lexicon:
    """Draw a lexicon.

    Words and pseudowords are consonant–vowel–consonant strings. Acronyms and illegal strings are three consonants or
    three vowels, those with the fewest neighbours among the words first, since the published item types differ in
    that. Every word has two features of its category, shares one or two with its associate, and has others of its own;
    acronyms have features of their own only. Only the numbers of words and acronyms and the sizes are published; the
    rest is inferred.

    Parameters
    ----------
    rng : int or numpy.random.Generator
        Source of all randomness.
    n_words, n_acronyms, n_pseudowords, n_illegal : int
        Numbers of strings; the ten letters allow 125 consonant–vowel–consonant strings and 250 others.
    codes : mapping, optional
        Code of each letter, by default :func:`two_of_five`.
    n_semantic_units : int
        Units of a meaning.
    n_categories : int
        Categories of words.
    richness : tuple of int
        Fewest and most features of a meaning.
    frequency : tuple of float
        Lowest and highest frequency; logarithms are drawn uniformly and the mean is brought to 1.

    Returns
    -------
    Lexicon
    """
    generator = np.random.default_rng(rng)
    _check_sizes(n_words, n_acronyms, n_pseudowords, n_illegal, n_categories, richness, n_semantic_units, frequency)
    legal = _shuffled(product(CONSONANTS, VOWELS, CONSONANTS), generator)
    words, pseudowords = legal[:n_words], legal[n_words : n_words + n_pseudowords]
    odd = _shuffled([*product(CONSONANTS, repeat=3), *product(VOWELS, repeat=3)], generator)
    lonely = [odd[place] for place in np.argsort(count_neighbours(odd, words), kind="stable")]
    pool = _shuffled(lonely[: n_acronyms + n_illegal], generator)
    strings = [*words, *pool[:n_acronyms], *pseudowords, *pool[n_acronyms:]]
    counts = (n_words, n_acronyms, n_pseudowords, n_illegal)
    category = np.arange(n_words) % n_categories
    associate = _associates(words)
    semantics = _meanings(category, associate, n_acronyms, n_semantic_units, n_categories, richness, generator)
    drawn = np.exp(generator.uniform(np.log(frequency[0]), np.log(frequency[1]), n_words + n_acronyms))
    unknown = n_pseudowords + n_illegal
    table = pd.DataFrame(
        {
            "kind": np.repeat(KINDS, counts),
            "frequency": np.append(drawn / drawn.mean(), np.ones(unknown)),
            "category": [*(f"category {number}" for number in category), *[""] * (n_acronyms + unknown)],
            "associate": [*(words[other] if other >= 0 else "" for other in associate), *[""] * (n_acronyms + unknown)],
        },
        index=pd.Index(strings, name="item"),
    )
    return Lexicon(table, semantics, two_of_five() if codes is None else codes)


def _shuffled(letters: Iterable[Sequence[str]], rng: np.random.Generator) -> list[str]:
    strings = np.array(["".join(string) for string in letters])
    return [str(string) for string in rng.permutation(strings)]


def _associates(words: Sequence[str]) -> NDArray[np.intp]:
    """Pair words 0 and 1, 2 and 3, …; their categories differ because categories go round. The odd one has none."""
    partner = np.arange(len(words)) ^ 1
    return np.where(partner < len(words), partner, -1)


def _meanings(
    category: NDArray[np.intp],
    associate: NDArray[np.intp],
    n_acronyms: int,
    n_units: int,
    n_categories: int,
    richness: tuple[int, int],
    rng: np.random.Generator,
) -> Array:
    """Draw features, shape (known item, unit)."""
    core = rng.permutation(n_units)[: 2 * n_categories].reshape(n_categories, 2)
    free = np.setdiff1d(np.arange(n_units), core)
    n_features = rng.integers(richness[0], richness[1] + 1, len(category) + n_acronyms)
    meanings = np.zeros((len(n_features), n_units))
    for word, other in enumerate(associate):
        meanings[word, core[category[word]]] = 1
        if 0 <= other < word:
            theirs = np.flatnonzero(meanings[other, free])
            n_shared = min(2, n_features[word] - 2, len(theirs))
            meanings[word, free[rng.choice(theirs, n_shared, replace=False)]] = 1
        _fill(meanings[word], free, n_features[word], rng)
    for acronym in range(len(category), len(meanings)):
        _fill(meanings[acronym], free, n_features[acronym], rng)
    return meanings


def _fill(meaning: Array, free: NDArray[np.intp], n_features: int, rng: np.random.Generator) -> None:
    """Add features of its own to a meaning that is being made."""
    empty = free[meaning[free] == 0]
    meaning[rng.choice(empty, n_features - int(meaning.sum()), replace=False)] = 1


def _check_sizes(
    n_words: int,
    n_acronyms: int,
    n_pseudowords: int,
    n_illegal: int,
    n_categories: int,
    richness: tuple[int, int],
    n_units: int,
    frequency: tuple[float, float],
) -> None:
    if n_words < 2 or min(n_acronyms, n_pseudowords, n_illegal) < 0:
        raise ValueError(f"n_words: got {n_words}; expected at least 2 words, and no negative number of other strings.")
    if n_words + n_pseudowords > 125 or n_acronyms + n_illegal > 250:
        raise ValueError(
            f"n_words + n_pseudowords: got {n_words + n_pseudowords} (at most 125 strings are legal); n_acronyms + "
            f"n_illegal: got {n_acronyms + n_illegal} (at most 250). Build a larger Lexicon from a table of your own."
        )
    if not 3 <= richness[0] <= richness[1] <= n_units - 2 * n_categories:
        raise ValueError(
            f"richness: got {richness} with {n_categories} categories and {n_units} units; expected 3 features or "
            f"more, at most {n_units - 2 * n_categories}."
        )
    if not 2 <= n_categories <= n_words:
        raise ValueError(f"n_categories: got {n_categories}; expected 2 to {n_words}.")
    if not 0 < frequency[0] <= frequency[1]:
        raise ValueError(f"frequency: got {frequency}; expected a positive range, lowest first.")


def _check_table(table: pd.DataFrame, codes: Mapping[str, Array]) -> None:
    if len(table) == 0:
        raise ValueError("table: an empty lexicon; expected at least two strings.")
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise ValueError(f"table: no columns {missing}; expected {COLUMNS}, strings as the index.")
    if not table.index.is_unique:
        twice = table.index[table.index.duplicated()].unique()
        raise ValueError(f"table: {len(twice)} strings occur more than once, first {list(twice[:5])}.")
    if not codes or len({np.shape(code) for code in codes.values()}) > 1:
        raise ValueError("codes: expected a code for every letter, all with the same number of units.")
    for string in table.index:
        _check_letters(string, len(table.index[0]), codes)
    for name in ("kind", "category", "associate"):
        gaps = [item for item, value in table[name].items() if not isinstance(value, str)]
        if gaps:
            raise ValueError(f"{name}: no text for {gaps[:5]}; expected a string, '' where there is none.")
    unknown = sorted(set(table["kind"]) - set(KINDS))
    if unknown:
        raise ValueError(f"kind: unknown {unknown}; expected {KINDS}.")
    frequency = np.asarray(table["frequency"], dtype=np.float64)
    bad = np.flatnonzero(~(np.isfinite(frequency) & (frequency > 0)))
    if len(bad):
        raise ValueError(f"frequency: not a positive number for {list(table.index[bad[:5]])}.")
    strangers = sorted(set(table["associate"]) - {""} - set(table.index))
    if strangers:
        raise ValueError(f"associate: {strangers[:5]} are not in the lexicon.")


def _check_letters(string: object, length: int, codes: Mapping[str, ArrayLike]) -> None:
    if not isinstance(string, str) or string == "":
        raise ValueError(f"item: got {string!r}; expected a string of {length} letters.")
    if len(string) != length:
        raise ValueError(f"item: {string!r} has {len(string)} letters; this lexicon has {length} slots.")
    unknown = [letter for letter in string if letter not in codes]
    if unknown:
        raise ValueError(f"item: {string!r} has the letters {unknown} without a code; expected among {''.join(codes)}.")


def _check_semantics(table: pd.DataFrame, semantics: Array) -> None:
    n_known = int(table["kind"].isin(KNOWN).sum())
    if semantics.ndim != 2 or len(semantics) != n_known:
        raise ValueError(
            f"semantics: got shape {semantics.shape}; expected ({n_known}, units), a row for each word and acronym."
        )
    if n_known == 0:
        raise ValueError("table: neither words nor acronyms, so there is nothing to learn.")
    if not np.isin(semantics, (0, 1)).all():
        raise ValueError("semantics: values other than 0 and 1; a feature is there or not.")
    if not semantics.any(axis=1).all():
        empty = np.flatnonzero(~semantics.any(axis=1))[:5]
        raise ValueError(f"semantics: no feature at all for {list(table.index[table['kind'].isin(KNOWN)][empty])}.")
