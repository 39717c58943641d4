"""Labelled text: sentences and pairs, tagged words, answers in a passage; and the layouts that they come in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroling.core.characters import readable_texts, refuse_unreadable
from neuroling.core.lines import split_lines


@dataclass(frozen=True)
class Sentences:
    """Sentences, or pairs of them, with a class or a number each.

    Attributes
    ----------
    first : tuple of str
        Texts.
    second : tuple of str, optional
        Second halves of pairs.
    labels : numpy.ndarray, (text,)
        Numbers of classes, or ratings.
    names : tuple of str, optional
        Of the classes; None for ratings.

    Examples
    --------
    >>> Sentences(("good", "bad"), None, np.array([1, 0]), ("no", "yes")).n_outputs
    2
    """

    first: tuple[str, ...]
    second: tuple[str, ...] | None
    labels: NDArray[np.float64] | NDArray[np.int64]
    names: tuple[str, ...] | None

    def __post_init__(self) -> None:
        sides = [self.first] if self.second is None else [self.first, self.second]
        if not self.first or any(len(side) != len(self.labels) for side in sides):
            raise ValueError(
                f"labels: got {len(self.labels)} for {' and '.join(str(len(side)) for side in sides)} texts; expected "
                "one per text, and at least one."
            )
        for name, side in zip(("first", "second"), sides, strict=False):
            object.__setattr__(self, name, tuple(readable_texts(name, side, stacklevel=4)))
            empty = [place for place, text in enumerate(side) if not text.strip()]
            if empty:
                raise ValueError(
                    f"{name}: {len(empty)} of {len(side)} texts are empty, at {empty[:5]}; expected words."
                )
        if self.names is not None:
            _check_classes(np.asarray(self.labels), self.names)
        elif not np.isfinite(self.labels).all():
            raise ValueError(f"labels: ratings at {np.flatnonzero(~np.isfinite(self.labels))[:5]} are no numbers.")

    def head(self, n: int) -> Sentences:
        """Take the first ``n`` texts."""
        second = None if self.second is None else self.second[:n]
        return Sentences(self.first[:n], second, self.labels[:n], self.names)

    @property
    def texts(self) -> list[str]:
        """What an overlap is looked for in: the text, or both halves together."""
        return (
            list(self.first)
            if self.second is None
            else [" ¦ ".join(pair) for pair in zip(self.first, self.second, strict=True)]
        )

    @property
    def n_outputs(self) -> int:
        """Numbers that a model gives for a text."""
        return 1 if self.names is None else len(self.names)

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True)
class Tagged:
    """Sentences whose words have a class each.

    Attributes
    ----------
    words : tuple of tuple of str
        Words of every sentence.
    tags : tuple of tuple of int
        Number of the class of every word.
    names : tuple of str
        Of the classes.
    """

    words: tuple[tuple[str, ...], ...]
    tags: tuple[tuple[int, ...], ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.words) != len(self.tags) or not self.words:
            raise ValueError(
                f"tags: got {len(self.tags)} rows for {len(self.words)} sentences; expected one each, and at least one."
            )
        uneven = [number for number, (a, b) in enumerate(zip(self.words, self.tags, strict=True)) if len(a) != len(b)]
        empty = [number for number, row in enumerate(self.words) if not row]
        if uneven or empty:
            raise ValueError(
                f"tags: sentences {uneven[:5]} have more words than tags or fewer, {empty[:5]} have no words; expected "
                "one tag a word."
            )
        blank = [
            number for number, row in enumerate(self.words) if any(isinstance(w, str) and not w.strip() for w in row)
        ]
        if blank:
            raise ValueError(
                f"words: those of {len(blank)} sentences are empty, first in row {blank[0]}; expected text."
            )
        words = iter(readable_texts("words", [word for row in self.words for word in row], stacklevel=4))
        object.__setattr__(self, "words", tuple(tuple(islice(words, len(row))) for row in self.words))
        _check_classes(np.concatenate([np.asarray(row) for row in self.tags]), self.names)

    @classmethod
    def of(cls, words: Sequence[Sequence[str]], tags: Sequence[Sequence[str]], names: Sequence[str]) -> Tagged:
        """Give tags their numbers.

        Parameters
        ----------
        words, tags : sequence of sequence of str
            By sentence.
        names : sequence of str
            All tags that there may be, in order.

        Returns
        -------
        Tagged

        Raises
        ------
        ValueError
            For an unknown tag.
        """
        number_of_tag = {name: number for number, name in enumerate(names)}
        unknown = sorted({tag for row in tags for tag in row} - set(number_of_tag))
        if unknown:
            raise ValueError(f"tags: {unknown[:5]} are not among the {len(names)} classes {list(names)[:20]}.")
        numbered = tuple(tuple(number_of_tag[tag] for tag in row) for row in tags)
        return cls(tuple(tuple(row) for row in words), numbered, tuple(names))

    def head(self, n: int) -> Tagged:
        """Take the first ``n`` sentences."""
        return Tagged(self.words[:n], self.tags[:n], self.names)

    @property
    def texts(self) -> list[str]:
        """What an overlap is looked for in."""
        return [" ".join(row) for row in self.words]

    @property
    def n_outputs(self) -> int:
        """Classes."""
        return len(self.names)

    def __len__(self) -> int:
        return len(self.words)


@dataclass(frozen=True)
class Spans:
    """Questions whose answer stands in a passage.

    Attributes
    ----------
    questions, passages : tuple of str
        Texts.
    answers : tuple of tuple of str
        Answers that count as right; the first one is learnt.
    starts : tuple of int
        Where the first answer begins in its passage, in characters.
    """

    questions: tuple[str, ...]
    passages: tuple[str, ...]
    answers: tuple[tuple[str, ...], ...]
    starts: tuple[int, ...]

    def __post_init__(self) -> None:
        sizes = {len(self.questions), len(self.passages), len(self.answers), len(self.starts)}
        if len(sizes) != 1 or not self.questions:
            raise ValueError(
                f"spans: got parts of {sorted(sizes)} entries; expected as many of each, and at least one."
            )
        for name, texts in (("questions", self.questions), ("passages", self.passages)):
            refuse_unreadable(name, texts)  # places of answers are counted in them as they are
        for number, (passage, answers, start) in enumerate(zip(self.passages, self.answers, self.starts, strict=True)):
            if not answers or not answers[0] or passage[start : start + len(answers[0])] != answers[0]:
                raise ValueError(
                    f"answers: that of question {number}, {answers[:1]}, does not stand at character {start} of its "
                    f"passage, where {passage[start : start + 20]!r} stands."
                )

    def head(self, n: int) -> Spans:
        """Take the first ``n`` questions."""
        return Spans(self.questions[:n], self.passages[:n], self.answers[:n], self.starts[:n])

    @property
    def texts(self) -> list[str]:
        """What an overlap is looked for in: question and passage."""
        return [" ¦ ".join(pair) for pair in zip(self.questions, self.passages, strict=True)]

    @property
    def n_outputs(self) -> int:
        """Scores a token: begins, ends."""
        return 2

    def __len__(self) -> int:
        return len(self.questions)


Task = Sentences | Tagged | Spans


def _check_classes(labels: NDArray[Any], names: tuple[str, ...]) -> None:
    if len(names) < 2:
        raise ValueError(f"names: got {list(names)}; one class cannot be told from another, expected two or more.")
    outside = np.unique(labels[(labels < 0) | (labels >= len(names))])
    if len(outside):
        raise ValueError(
            f"labels: {outside[:5].tolist()} are outside 0 to {len(names) - 1}; there are {len(names)} classes."
        )


def refuse_one_class(task: Task) -> None:
    """Raise if a training set holds a single class, from which nothing can be learnt.

    Parameters
    ----------
    task : Sentences, Tagged or Spans
        Training set.

    Raises
    ------
    ValueError
        With the class.
    """
    if isinstance(task, Spans):
        return
    labels = np.concatenate([np.asarray(row) for row in task.tags]) if isinstance(task, Tagged) else task.labels
    if len(np.unique(labels)) < 2:
        name = task.names[int(labels[0])] if task.names else labels[0]
        raise ValueError(f"labels: all {len(labels)} are {name!r}; expected at least two different ones to learn from.")


class Layout(NamedTuple):
    """Columns of a task of GLUE: names (or places without a header) of texts and label; ``names`` None for ratings."""

    first: str | int
    second: str | int | None
    label: str | int
    names: tuple[str, ...] | None


TWO = ("0", "1")
GLUE = {
    "cola": Layout(3, None, 1, TWO),
    "sst-2": Layout("sentence", None, "label", TWO),
    "mrpc": Layout("#1 String", "#2 String", "Quality", TWO),
    "sts-b": Layout("sentence1", "sentence2", "score", None),
    "qqp": Layout("question1", "question2", "is_duplicate", TWO),
    "mnli": Layout("sentence1", "sentence2", "gold_label", ("contradiction", "neutral", "entailment")),
    "qnli": Layout("question", "sentence", "label", ("entailment", "not_entailment")),
    "rte": Layout("sentence1", "sentence2", "label", ("entailment", "not_entailment")),
    "wnli": Layout("sentence1", "sentence2", "label", TWO),
}
"""Layouts of the nine tasks of GLUE (Wang et al. 2019), as its tab-separated files have them."""


def parse_glue(text: str, layout: Layout, *, what: str = "table") -> Sentences:
    r"""Read a task in the layout of GLUE: tabs between cells, no quoting.

    Parameters
    ----------
    text : str
        The file.
    layout : Layout
        One of :data:`GLUE`.
    what : str
        Named in messages.

    Returns
    -------
    Sentences

    Raises
    ------
    ValueError
        If a column is missing, a line has other cells, half of a pair is missing, or a label is unknown; the line is
        named.

    Examples
    --------
    >>> parse_glue("sentence\tlabel\nso good\t1\nso bad\t0\n", GLUE["sst-2"]).labels.tolist()
    [1, 0]
    """
    lines = [(number, line.split("\t")) for number, line in enumerate(split_lines(text), start=1) if line.strip()]
    columns = [layout.first, *([] if layout.second is None else [layout.second]), layout.label]
    if isinstance(layout.first, str):
        if not lines:
            raise ValueError(f"{what}: is empty; expected a header with {columns}.")
        header = [cell.strip() for cell in lines.pop(0)[1]]
        missing = [name for name in columns if name not in header]
        if missing:
            raise ValueError(f"{what}: has columns {header}, so {missing} are missing.")
        columns = [header.index(str(name)) for name in columns]
    if not lines:
        raise ValueError(f"{what}: has no rows.")
    places = [int(place) for place in columns]
    rows = [_cells(what, number, cells, places) for number, cells in lines]
    labels = [_label(what, number, row[-1], layout.names) for (number, _), row in zip(lines, rows, strict=True)]
    second = None if layout.second is None else tuple(row[1] for row in rows)
    return Sentences(tuple(row[0] for row in rows), second, np.array(labels), layout.names)


def _cells(what: str, number: int, cells: list[str], columns: list[int]) -> list[str]:
    if max(columns) >= len(cells):
        raise ValueError(f"{what}: line {number} has {len(cells)} cells; expected at least {max(columns) + 1}.")
    values = [cells[place].strip() for place in columns]
    if not all(values):
        raise ValueError(f"{what}: line {number} has an empty text or label (half of a pair is missing?): {values}.")
    return values


def _label(what: str, number: int, cell: str, names: tuple[str, ...] | None) -> float | int:
    if names is not None:
        if cell not in names:
            raise ValueError(f"{what}: line {number} has the label {cell!r}; expected one of {list(names)}.")
        return names.index(cell)
    try:
        return float(cell)
    except ValueError as error:
        raise ValueError(f"{what}: line {number} has the rating {cell!r}; expected a number.") from error


def parse_jsts(text: str, *, what: str = "pairs") -> Sentences:
    """Read rated pairs in the layout of JSTS (Kurihara et al. 2022): a JSON object a line.

    Parameters
    ----------
    text : str
        The file.
    what : str
        Named in messages.

    Returns
    -------
    Sentences
        Ratings as they stand there, 0 to 5.

    Raises
    ------
    ValueError
        For a line that is no such object; it is named.

    Examples
    --------
    >>> parse_jsts('{"sentence1": "a", "sentence2": "b", "label": 2.5}').labels.tolist()
    [2.5]
    """
    rows = []
    for number, line in enumerate(split_lines(text), start=1):
        try:
            entry = json.loads(line)
            row = str(entry["sentence1"]), str(entry["sentence2"]), float(entry["label"])
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{what}: line {number} is no rated pair ({type(error).__name__}: {error}).") from error
        if not (row[0].strip() and row[1].strip() and 0 <= row[2] <= 5):
            raise ValueError(f"{what}: line {number}: half of the pair is missing, or {row[2]} is outside 0 to 5.")
        rows.append(row)
    return Sentences(
        tuple(row[0] for row in rows), tuple(row[1] for row in rows), np.array([row[2] for row in rows]), None
    )


def parse_squad(text: str, *, what: str = "passages") -> Spans:
    """Read questions in the layout of SQuAD 1.1 (Rajpurkar et al. 2016).

    Parameters
    ----------
    text : str
        JSON.
    what : str
        Named in messages.

    Returns
    -------
    Spans

    Raises
    ------
    ValueError
        If it is no JSON of that layout, or an answer does not stand where it should.
    """
    try:
        spans = [
            (entry["question"], paragraph["context"], entry["answers"])
            for article in json.loads(text)["data"]
            for paragraph in article["paragraphs"]
            for entry in paragraph["qas"]
        ]
        answers = tuple(tuple(answer["text"] for answer in given) for _, _, given in spans)
        starts = tuple(int(given[0]["answer_start"]) for _, _, given in spans)
    except (json.JSONDecodeError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{what}: not in the layout of SQuAD 1.1 ({type(error).__name__}: {error}).") from error
    return Spans(tuple(row[0] for row in spans), tuple(row[1] for row in spans), answers, starts)
