"""What may stand in a text, and what is put right with a warning."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Sequence

from neuroling.core.characters import INVISIBLE, composed_texts, refuse_long_words
from neuroling.core.stimuli import Stimuli, require_stimuli


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


def tidy(
    stimuli: Stimuli, *, name: str = "stimuli", words: bool = False, clean: bool | None = None, stacklevel: int = 3
) -> list[str]:
    """Check texts, and give them in composed form (NFC) without invisible characters.

    Parameters
    ----------
    stimuli : Stimuli
        Texts about to be read.
    name : str
        What the argument is called, for messages.
    words : bool
        Whether each text is a single word.
    clean : bool, optional
        Take control characters and direction marks out, with a warning; None where that is not offered.
    stacklevel : int
        How many calls up a warning belongs to.

    Returns
    -------
    list of str
        In the order of the stimuli.

    Raises
    ------
    TypeError
        If these are no Stimuli.
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
    labels = require_stimuli(name, stimuli).labels.tolist()
    hint = "remove them" if clean is None else "remove them, or say clean=True"
    visible = composed_texts(
        stimuli.texts, labels, name=name, clean=bool(clean), empty=False, hint=hint, stacklevel=stacklevel + 1
    )
    refuse_long_words(name, visible, labels, words=words)
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
    return composed_texts(texts, labels, name="stimuli", stacklevel=stacklevel + 1)


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
