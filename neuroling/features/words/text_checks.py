"""What may stand in a text, and what is put right with a warning."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Sequence

from neuroling.core.stimuli import Stimuli

INVISIBLE = dict.fromkeys(map(ord, "\u200b\u2060\ufeff\u00ad"), None)
"""Zero-width space, word joiner, byte order mark, soft hyphen: seen by a tokenizer and by nobody else. Joiners of
emoji and of scripts (U+200C, U+200D) are kept."""

NO_BREAK = {0x00A0: " ", 0x202F: " ", 0x2007: " "}
"""Blanks that do not break lines become ordinary ones."""

LONGEST_WORD = 1000
"""Characters of a word above which something other than a word was given."""


def trimmed(text: str) -> str:
    """Give a word in composed form, without invisible characters and the punctuation around it.

    Parameters
    ----------
    text : str
        A word.

    Returns
    -------
    str
        From its first letter or digit to its last, with the accents and vowel signs that stand on that one; the word as
        it is if it has neither.

    Examples
    --------
    >>> trimmed("“Oh!”"), trimmed("की,"), trimmed("—")
    ('Oh', 'की', '—')
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text.translate(INVISIBLE))
    inside: list[int] = []
    for place, character in enumerate(text):
        if character.isalnum() or (inside and inside[-1] == place - 1 and is_mark(character)):
            inside.append(place)
    return text[inside[0] : inside[-1] + 1] if inside else text


def is_mark(character: str) -> bool:
    """Say whether a character stands on the one before it, as accents and vowel signs do.

    Parameters
    ----------
    character : str
        One character, or none.

    Returns
    -------
    bool

    Examples
    --------
    >>> [is_mark(character) for character in "की"]
    [False, True]
    """
    return bool(character) and unicodedata.category(character).startswith("M")


def tidy(stimuli: Stimuli, *, words: bool = False, stacklevel: int = 3) -> list[str]:
    """Check texts, and give them in composed form (NFC) without invisible characters.

    Parameters
    ----------
    stimuli : Stimuli
        Texts about to be read.
    words : bool
        Whether each text is a single word.
    stacklevel : int
        How many calls up a warning belongs to.

    Returns
    -------
    list of str
        In the order of the stimuli.

    Raises
    ------
    ValueError
        For lone surrogates, control characters, marks that turn the direction of writing round, texts that hold
        nothing visible, and words of more than 1,000 characters.

    Warns
    -----
    UserWarning
        If a text was changed.

    Examples
    --------
    >>> tidy(Stimuli.from_texts(["café", "naïve"]))
    ['café', 'naïve']
    """
    labels = stimuli.labels.tolist()
    composed, visible = _tidied(stimuli.texts, labels)
    empty = [label for label, text in zip(labels, visible, strict=True) if not text.strip()]
    if empty:
        raise ValueError(
            f"stimuli: {len(empty)} texts have nothing visible in them (first labels {empty[:5]}); leave them out."
        )
    if words:
        _refuse_long(visible, labels)
    _warn_of_changes(stimuli.texts, composed, visible, labels, stacklevel)
    return visible


def tidy_gaps(texts: Sequence[str], labels: Sequence[object], *, stacklevel: int = 3) -> list[str]:
    """Do the same with texts that may be blank or empty, such as what stands between words.

    Parameters
    ----------
    texts : sequence of str
        Texts about to be read.
    labels : sequence
        One a text, for messages.
    stacklevel : int
        How many calls up a warning belongs to.

    Returns
    -------
    list of str

    Examples
    --------
    >>> tidy_gaps(["", " – "], ["s1/1", "s1/2"])
    ['', ' – ']
    """
    composed, visible = _tidied(texts, labels)
    _warn_of_changes(texts, composed, visible, labels, stacklevel)
    return visible


def _tidied(texts: Sequence[str], labels: Sequence[object]) -> tuple[list[str], list[str]]:
    """Give texts in composed form, and these without invisible characters."""
    if all(text.isascii() and text.isprintable() for text in set(texts)):  # as most are: nothing to put right
        return list(texts), list(texts)
    _refuse(texts, labels)
    composed = [text if text.isascii() else unicodedata.normalize("NFC", text) for text in texts]
    return composed, [text if text.isascii() else text.translate(INVISIBLE).translate(NO_BREAK) for text in composed]


def _warn_of_changes(
    texts: Sequence[str], composed: Sequence[str], visible: Sequence[str], labels: Sequence[object], stacklevel: int
) -> None:
    _warn("were put into composed form (NFC)", texts, composed, labels, stacklevel + 1)
    _warn("held invisible characters or no-break spaces, which were removed", composed, visible, labels, stacklevel + 1)


def warn_of_repeats(stimuli: Stimuli, *, stacklevel: int = 2) -> None:
    """Warn if a text stands in several rows that no ``group`` keeps together in splits.

    Parameters
    ----------
    stimuli : Stimuli
        One row a text.
    stacklevel : int
        How many calls up the warning belongs to.

    Warns
    -----
    UserWarning
        Features of equal texts are equal, so that a model which has seen one of them has seen the other.
    """
    again = stimuli.table["text"].duplicated(keep=False)
    if again.any() and "group" not in stimuli.table:
        labels = stimuli.labels[again.to_numpy()].tolist()
        warnings.warn(
            f"stimuli: {len(labels)} rows share their text with another (first labels {labels[:5]}). Give them a "
            "column 'group', such as the text itself, or a split may test what it has trained on.",
            stacklevel=stacklevel + 1,
        )


def _refuse(texts: Sequence[str], labels: Sequence[object]) -> None:
    if all(text.isprintable() for text in texts):  # printable text has none of these, and most text is printable
        return
    broken = [label for label, text in zip(labels, texts, strict=True) if any("\ud800" <= c <= "\udfff" for c in text)]
    if broken:
        raise ValueError(
            f"text: {len(broken)} texts hold lone surrogates, which are no characters (first labels {broken[:5]}); "
            "they come from reading a file in the wrong encoding."
        )
    odd = [(label, found) for label, text in zip(labels, texts, strict=True) if (found := _unwanted(text))]
    if odd:
        raise ValueError(
            f"text: {len(odd)} texts hold control characters or marks that turn the direction of writing round (first, "
            f"with label: {odd[:5]}); remove them."
        )


def _unwanted(text: str) -> str:
    """Name the first control or direction character of a text, if there is one."""
    for character in text:
        kind = unicodedata.category(character)
        turning = unicodedata.bidirectional(character) in (
            "RLO",
            "LRO",
            "RLE",
            "LRE",
            "PDF",
            "RLI",
            "LRI",
            "FSI",
            "PDI",
        )
        if turning or (kind == "Cc" and character not in "\t\n\r"):
            return f"U+{ord(character):04X}"
    return ""


def _refuse_long(texts: Sequence[str], labels: Sequence[object]) -> None:
    long = [(label, len(text)) for label, text in zip(labels, texts, strict=True) if len(text) > LONGEST_WORD]
    if long:
        raise ValueError(
            f"stimuli: {len(long)} words have more than {LONGEST_WORD} characters (first labels and lengths "
            f"{long[:5]}); is this running text? Split it with split_words."
        )


def _warn(what: str, before: Sequence[str], after: Sequence[str], labels: Sequence[object], stacklevel: int) -> None:
    if list(before) == list(after):
        return
    changed = [label for label, old, new in zip(labels, before, after, strict=True) if old != new]
    if changed:
        warnings.warn(f"stimuli: {len(changed)} texts {what} (first labels {changed[:5]}).", stacklevel=stacklevel + 1)
