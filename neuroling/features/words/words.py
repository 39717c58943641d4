"""Words as stretches of running text: made from sentences, lists or spans, never tokenised by themselves."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np
import pandas as pd

from neuroling.core.characters import needs_no_blank, refuse_other_types
from neuroling.core.stimuli import Stimuli, require_stimuli
from neuroling.features.words.text_checks import is_mark

Span = tuple[int, int]
Segmenter = Callable[[str], Sequence[str]]

JOINER = "\u200d"
"""Zero-width joiner, which makes one picture of several."""


class _Morpheme(Protocol):
    """What is used of fugashi's nodes."""

    @property
    def surface(self) -> str: ...

    @property
    def white_space(self) -> str: ...


def split_words(stimuli: Stimuli, *, segmenter: Segmenter | None = None) -> Stimuli:
    r"""Split texts into words, at blanks or by a segmenter.

    Parameters
    ----------
    stimuli : Stimuli
        One row a text.
    segmenter : callable, optional
        Takes a text and gives its words in order, each as it stands in the text; for Japanese or Chinese, and for
        tokenisers of other tools. What it leaves out stands between words. Blanks by default.

    Returns
    -------
    Stimuli
        One row a word: ``group`` is the label of its text, ``position`` counts from 1 within it, ``before`` holds the
        characters between it and the word before, and ``after`` those behind the last word. Texts are thereby kept to
        the letter. Columns of the texts travel along, but for times.

    Raises
    ------
    ValueError
        If a segmenter gives words that are not in the text, or none.

    Examples
    --------
    >>> words = split_words(Stimuli.from_texts(["The cat  sat."], labels=["s1"]))
    >>> words.texts, words.labels.tolist(), words.table["before"].tolist()
    (['The', 'cat', 'sat.'], ['s1/1', 's1/2', 's1/3'], ['', ' ', '  '])
    """
    require_stimuli("stimuli", stimuli)
    if segmenter is None:
        return words_at(stimuli, [[match.span() for match in re.finditer(r"\S+", text)] for text in stimuli.texts])
    found = zip(stimuli.labels, stimuli.texts, strict=True)
    return words_at(stimuli, [_locate_all(label, text, segmenter(text)) for label, text in found])


def japanese_segmenter() -> Segmenter:
    """Give MeCab's segmentation of Japanese, through the package fugashi with the dictionary unidic-lite.

    Returns
    -------
    callable
        For :func:`split_words`. Any other segmenter (SudachiPy, jieba, spaCy) is passed in the same way. What is seen
        as one character (an emoji made of several, a letter and its marks) stays in one word.

    Raises
    ------
    ModuleNotFoundError
        If fugashi is not installed.
    """
    try:
        from fugashi import Tagger
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "japanese_segmenter needs the package fugashi: pip install neuroling[japanese]. Lists of words from any "
            "other tool work in its place: words_from_lists(lists, separator='').",
            name="fugashi",
        ) from error
    tagger = Tagger()
    return lambda text: _whole_characters(tagger(text))


def words_from_lists(
    lists: Sequence[Sequence[str]], *, separator: str = " ", labels: Sequence[object] | None = None
) -> Stimuli:
    """Join lists of words into running texts, keeping the words.

    Parameters
    ----------
    lists : sequence of sequence of str
        One list a text.
    separator : str
        What stands between words: a blank, or ``""`` for Japanese and Chinese.
    labels : sequence, optional
        Labels of the texts; 0, 1, … by default.

    Returns
    -------
    Stimuli
        As :func:`split_words` gives.

    Examples
    --------
    >>> words_from_lists([["猫", "が", "見た"]], separator="").table["before"].tolist()
    ['', '', '']
    """
    if isinstance(lists, str) or any(isinstance(words, str) for words in lists):
        raise TypeError("lists: got a str where a list of words is expected; split_words takes running text.")
    for number, words in enumerate(lists):
        refuse_other_types(f"lists[{number}]", words)
    empty = [number for number, words in enumerate(lists) if len(words) == 0]
    if empty or len(lists) == 0:
        raise ValueError(f"lists: {len(empty) or 'no'} lists without words, first {empty[:5]}; expected one word each.")
    texts = [separator.join(words) for words in lists]
    spans = []
    for words in lists:
        stops = np.cumsum([len(word) + len(separator) for word in words]) - len(separator)
        spans.append([(int(stop) - len(word), int(stop)) for word, stop in zip(words, stops, strict=True)])
    return words_at(Stimuli.from_texts(texts, labels=range(len(texts)) if labels is None else labels), spans)


def locate_words(
    stimuli: Stimuli,
    targets: Sequence[str],
    *,
    occurrence: Sequence[int] | int | None = None,
    segmenter: Segmenter | None = None,
) -> Stimuli:
    """Find one word in each text, such as the last word of a sentence or the critical noun.

    A word ends where no letter or digit follows. Writing without blanks (Japanese, Chinese, Thai) does not show where:
    there a target is found wherever it stands, also within a longer word, unless a segmenter says what the words are.

    Parameters
    ----------
    stimuli : Stimuli
        One row a text.
    targets : sequence of str
        The word to find in each, as it stands there.
    occurrence : int or sequence of int, optional
        Which one, where a text has the word more than once: 1 for the first, -1 for the last. Without it that is an
        error.
    segmenter : callable, optional
        As for :func:`split_words`. A target is then one of its words, or several in a row.

    Returns
    -------
    Stimuli
        One row a text, with the labels of the texts; ``before`` and ``after`` hold the rest of it.

    Raises
    ------
    ValueError
        If a word is not in its text, or there several times.

    Examples
    --------
    >>> sentence = Stimuli.from_texts(["the inn in the in-crowd"], labels=["s1"])
    >>> locate_words(sentence, ["inn"]).table[["before", "text", "after"]].values.tolist()
    [['the ', 'inn', ' in the in-crowd']]
    >>> locate_words(Stimuli.from_texts(["猫が魚を見た"]), ["魚"]).table[["before", "text", "after"]].values.tolist()
    [['猫が', '魚', 'を見た']]
    """
    require_stimuli("stimuli", stimuli)
    refuse_other_types("targets", targets)
    if len(targets) != len(stimuli):
        raise ValueError(f"targets: got {len(targets)} words for {len(stimuli)} texts.")
    chosen = [occurrence] * len(targets) if occurrence is None or isinstance(occurrence, int) else list(occurrence)
    rows = zip(stimuli.labels, stimuli.texts, targets, chosen, strict=True)
    words = words_at(stimuli, [[_locate_one(*row, segmenter)] for row in rows])
    return Stimuli(words.table.set_index(pd.Index(stimuli.labels, name="sample")))


def words_at(stimuli: Stimuli, spans: Sequence[Sequence[Span]]) -> Stimuli:
    """Take words at given characters of each text.

    Parameters
    ----------
    stimuli : Stimuli
        One row a text.
    spans : sequence of sequence of (start, stop)
        For each text, its words in order, as characters from 0.

    Returns
    -------
    Stimuli
        As :func:`split_words` gives.

    Raises
    ------
    ValueError
        If spans overlap, are empty, out of order or outside the text.

    Examples
    --------
    >>> words_at(Stimuli.from_texts(["“Oh!” she said"]), [[(1, 3), (6, 9)]]).texts
    ['Oh', 'she']
    """
    require_stimuli("stimuli", stimuli)
    if len(spans) != len(stimuli):
        raise ValueError(f"spans: got {len(spans)} lists for {len(stimuli)} texts.")
    carried = stimuli.table.drop(columns=["text", "group", "position", "onset", "offset"], errors="ignore")
    rows, parents = [], []
    for parent, (label, text, own_spans) in enumerate(zip(stimuli.labels, stimuli.texts, spans, strict=True)):
        _check_spans(label, text, own_spans)
        stops = [0, *(stop for _, stop in own_spans)]
        for position, (start, stop) in enumerate(own_spans, start=1):
            after = text[stop:] if position == len(own_spans) else ""
            rows.append(
                (f"{label}/{position}", text[start:stop], label, position, text[stops[position - 1] : start], after)
            )
            parents.append(parent)
    names = ["sample", "text", "group", "position", "before", "after"]
    table = pd.DataFrame(rows, columns=names).set_index("sample")
    inherited = carried.iloc[parents].set_axis(table.index)
    return Stimuli(pd.concat([table, inherited[[name for name in inherited if name not in names]]], axis=1))


def _check_spans(label: object, text: str, spans: Sequence[Span]) -> None:
    if not spans:
        raise ValueError(f"spans: the text {label!r} has no word.")
    edges = [edge for span in spans for edge in span]
    if edges[0] < 0 or edges[-1] > len(text) or sorted(edges) != edges or any(start >= stop for start, stop in spans):
        raise ValueError(
            f"spans: those of the text {label!r} ({len(text)} characters) overlap, are empty, or lie outside it or out "
            f"of order: {list(spans[:5])} …"
        )


def _locate_all(label: object, text: str, words: Sequence[str]) -> list[Span]:
    spans: list[Span] = []
    behind = 0
    for word in words:
        if not word.strip():
            continue
        start = text.find(word, behind)
        if start < 0:
            raise ValueError(f"segmenter: gave {word!r}, which is not in the rest of the text {label!r}.")
        behind = start + len(word)
        spans.append((start, behind))
    return spans


def _locate_one(label: object, text: str, target: str, occurrence: int | None, segmenter: Segmenter | None) -> Span:
    if not target:
        raise ValueError(f"targets: the one of the text {label!r} is empty.")
    divided = None if segmenter is None else _locate_all(label, text, segmenter(text))
    starts = [match.start() for match in re.finditer(f"(?={re.escape(target)})", text)]
    spans = [(start, start + len(target)) for start in starts]
    matching_spans = [
        span for span in spans if (_stands_alone(text, span) if divided is None else _is_made_of(divided, span))
    ]
    if not matching_spans:
        by = "" if divided is None else f" as the segmenter divides it: {[text[a:b] for a, b in divided]}"
        raise ValueError(
            f"targets: {target!r} is not a word of {text!r} (label {label!r}){by}; words_at takes any characters."
        )
    if occurrence is None and len(matching_spans) > 1:
        or_else = ", or give a segmenter=" if divided is None and any(map(needs_no_blank, target)) else ""
        raise ValueError(
            f"targets: {target!r} stands {len(matching_spans)} times in {text!r} (label {label!r}); say which with "
            f"occurrence={or_else}."
        )
    number = 0 if occurrence is None else occurrence - 1 if occurrence > 0 else occurrence
    if occurrence == 0 or not -len(matching_spans) <= number < len(matching_spans):
        raise ValueError(
            f"occurrence: got {occurrence} for {target!r}, which stands {len(matching_spans)} times in {text!r}."
        )
    return matching_spans[number]


def _stands_alone(text: str, span: Span) -> bool:
    """Whether no letter or digit beside a stretch could belong to its word."""
    start, stop = span
    beside = [(text[start - 1 : start], text[start]), (text[stop : stop + 1], text[stop - 1])]
    return not any(
        re.match(r"\w", outside) and not needs_no_blank(outside) and not needs_no_blank(inside)
        for outside, inside in beside
    ) and not any(is_mark(outside) and (is_mark(inside) or inside.isalnum()) for outside, inside in beside)


def _is_made_of(words: Sequence[Span], span: Span) -> bool:
    return span[0] in {start for start, _ in words} and span[1] in {stop for _, stop in words}


def _whole_characters(morphemes: Iterable[_Morpheme]) -> list[str]:
    """Give surfaces with no border within what is seen as one character (a grapheme cluster of Unicode)."""
    words: list[str] = []
    for morpheme in morphemes:
        rest = morpheme.surface
        while rest and words and not morpheme.white_space and _continues(words[-1], rest[0]):
            words[-1] += rest[0]
            rest = rest[1:]
        if rest:
            words.append(rest)
    return words


def _continues(before: str, character: str) -> bool:
    kind = unicodedata.category(character)
    tone = "\U0001f3fb" <= character <= "\U0001f3ff"  # of skin
    return kind.startswith("M") or character == JOINER or tone or (before.endswith(JOINER) and kind.startswith("S"))
