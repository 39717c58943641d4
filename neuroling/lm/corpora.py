"""Text to be learnt from: documents of sentences, and whether a test has been seen before."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Corpus:
    """Documents, each a row of sentences that follow each other.

    Attributes
    ----------
    documents : tuple of tuple of str
        No document and no sentence is empty.

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
            empty = [place for place, sentence in enumerate(document) if not sentence.strip()]
            if empty or not document:
                raise ValueError(
                    f"documents: document {number} has {len(empty)} empty of {len(document)} sentences, first at "
                    f"{empty[:5]}; expected text in every one. Remove them, or split documents there."
                )

    @classmethod
    def of(cls, documents: Iterable[Iterable[str]]) -> Corpus:
        """Make a corpus from nested lists.

        Parameters
        ----------
        documents : iterable of iterable of str
            Sentences by document.

        Returns
        -------
        Corpus
        """
        return cls(tuple(tuple(document) for document in documents))

    @property
    def sentences(self) -> list[str]:
        """All sentences, in order."""
        return [sentence for document in self.documents for sentence in document]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all documents."""
        text = "\f".join("\n".join(document) for document in self.documents)
        return hashlib.sha256(text.encode()).hexdigest()


def parse_corpus(text: str) -> Corpus:
    r"""Read a text with one sentence a line and blank lines between documents, as BERT's own data were.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    Corpus

    Raises
    ------
    ValueError
        If every line is empty.

    Examples
    --------
    >>> parse_corpus("One.\nTwo.\n\n\nThree.\n").documents
    (('One.', 'Two.'), ('Three.',))
    """
    documents: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip():
            documents[-1].append(line.strip())
        elif documents[-1]:
            documents.append([])
    return Corpus.of(document for document in documents if document)


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
    found = find_overlap(trained, tested)
    if len(found) > allowed:
        raise ValueError(
            f"test: {len(found)} of {len(tested)} texts were trained on as well (places {found[:5]}, the first is "
            f"{tested[found[0]][:60]!r}), {allowed} allowed; take them out of one of the two."
        )


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
