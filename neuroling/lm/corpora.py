"""Text to be learnt from: documents of sentences, and whether a test has been seen before."""

from __future__ import annotations

import hashlib
import unicodedata
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from neuroling.core.characters import composed_texts, refuse_controls, refuse_long_words, refuse_other_types
from neuroling.core.lines import split_lines

CLEAN = "remove them, or say clean=True"


@dataclass(frozen=True)
class Corpus:
    """Documents, each a row of sentences that follow each other.

    Attributes
    ----------
    documents : tuple of tuple of str
        No document and no sentence is empty. Control characters and marks that turn the direction of writing round
        are refused, but for white space: of any kind, it may stand between words.

    Examples
    --------
    >>> corpus = Corpus.of([["One sentence.", "And another."], ["Alone."]])
    >>> len(corpus.documents), len(corpus.sentences)
    (2, 3)
    """

    documents: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if not self.documents:
            raise ValueError("documents: there are none; expected at least one sentence.")
        for number, document in enumerate(self.documents):
            refuse_other_types(f"documents[{number}]", document)
            empty = [place for place, sentence in enumerate(document) if not sentence.strip()]
            if empty or not document:
                raise ValueError(
                    f"documents: document {number} has {len(empty)} empty of {len(document)} sentences, first at "
                    f"{empty[:5]}; expected text in every one. Remove them, or split documents there."
                )
        refuse_controls("documents", self.sentences, hint=CLEAN)
        refuse_long_words("documents", self.sentences, range(len(self.sentences)))

    @classmethod
    def of(cls, documents: Iterable[Iterable[str]], *, clean: bool = False) -> Corpus:
        """Make a corpus from nested lists, in composed form (NFC) and without invisible characters.

        Parameters
        ----------
        documents : iterable of iterable of str
            Sentences by document.
        clean : bool
            Take control characters and direction marks out instead of refusing them, with a warning. Vertical tabs and
            form feeds become blanks, and sentences of which nothing is left are dropped, which the warning counts.

        Returns
        -------
        Corpus

        Raises
        ------
        TypeError
            If a document is a single ``str``, or a sentence is no ``str``.
        ValueError
            For empty documents or sentences, lone surrogates, words of more than 1,000 characters and, without
            ``clean``, control characters.

        Warns
        -----
        UserWarning
            If sentences were changed or dropped.

        Examples
        --------
        >>> Corpus.of([["One.", "Two."], ["Three."]]).sentences
        ['One.', 'Two.', 'Three.']
        """
        return cls(_tidied(documents, clean=clean, stacklevel=3))

    @property
    def sentences(self) -> list[str]:
        """All sentences, in order."""
        return [sentence for document in self.documents for sentence in document]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all documents."""
        text = "\f".join("\n".join(document) for document in self.documents)
        if text.count("\f") + text.count("\n") != len(self.sentences) - 1:  # some stand within sentences
            text = repr(self.documents)
        return hashlib.sha256(text.encode()).hexdigest()


def _tidied(documents: Iterable[Iterable[str]], *, clean: bool, stacklevel: int) -> tuple[tuple[str, ...], ...]:
    """Check sentences, and give them in composed form without invisible characters."""
    nested = [document if isinstance(document, str | bytes) else list(document) for document in documents]
    for number, document in enumerate(nested):
        refuse_other_types(f"documents[{number}]", document)
    sentences = [sentence for document in nested for sentence in document]
    tidied = composed_texts(
        sentences,
        range(len(sentences)),
        name="documents",
        clean=clean,
        blank_controls=True,
        hint=CLEAN,
        stacklevel=stacklevel + 1,
    )
    lost = [clean and bool(old.strip()) and not new.strip() for old, new in zip(sentences, tidied, strict=True)]
    if any(lost):
        warnings.warn(
            f"documents: nothing was left of {sum(lost)} sentences (first {np.flatnonzero(lost)[:5].tolist()}), which "
            "were dropped.",
            stacklevel=stacklevel,
        )
    rest = iter(zip(tidied, lost, strict=True))
    again = [tuple(text for text, gone in islice(rest, len(document)) if not gone) for document in nested]
    return tuple(document for document in again if document or not clean)


def parse_corpus(text: str, *, clean: bool = False) -> Corpus:
    r"""Read a text with one sentence a line and blank lines between documents, as BERT's own data were.

    Parameters
    ----------
    text : str
        The text. Lines end at line feeds and carriage returns, and nowhere else.
    clean : bool
        As for :meth:`Corpus.of`.

    Returns
    -------
    Corpus

    Raises
    ------
    ValueError
        If every line is empty, and as for :meth:`Corpus.of`.

    Examples
    --------
    >>> parse_corpus("One.\nTwo.\n\n\nThree.\n").documents
    (('One.', 'Two.'), ('Three.',))
    """
    if not isinstance(text, str):
        raise TypeError(f"text: got {type(text).__name__}; expected str. Decode the file first, as UTF-8.")
    documents: list[list[str]] = [[]]
    for line in split_lines(text):
        if line.strip():
            documents[-1].append(line.strip())
        elif documents[-1]:
            documents.append([])
    return Corpus(_tidied((document for document in documents if document), clean=clean, stacklevel=3))


def find_overlap(trained: Iterable[str], tested: Sequence[str]) -> list[int]:
    """Find test texts that were also trained on, alike but for case, blanks and width of characters.

    Parameters
    ----------
    trained : iterable of str
        Texts that a model has seen.
    tested : sequence of str
        Texts that it is tested on.

    Returns
    -------
    list of int
        Places in ``tested``.

    Examples
    --------
    >>> find_overlap(["A cat sat.", "Dogs bark."], ["dogs  BARK.", "Cats purr."])
    [0]
    """
    seen = {_folded(text) for text in trained}
    return [place for place, text in enumerate(tested) if _folded(text) in seen]


def refuse_overlap(trained: Iterable[str], tested: Sequence[str], *, allowed: int = 0) -> None:
    """Raise if a model has seen what it is tested on.

    Parameters
    ----------
    trained, tested : iterable and sequence of str
        As for :func:`find_overlap`.
    allowed : int
        So many may be the same; short sentences such as "Thanks." repeat in any collection.

    Raises
    ------
    ValueError
        With number, places and the first of them.
    """
    overlap = find_overlap(trained, tested)
    if len(overlap) > allowed:
        raise ValueError(
            f"test: {len(overlap)} of {len(tested)} texts were trained on as well (places {overlap[:5]}, the first is "
            f"{tested[overlap[0]][:60]!r}), {allowed} allowed; take them out of one of the two, or "
            f"say allowed={len(overlap)}."
        )


def _folded(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.replace("i\u0307", "i").replace("ı", "i").split())  # the letters i of Turkish are one here
