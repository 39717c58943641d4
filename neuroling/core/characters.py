"""Which characters may stand in a text, which are put right with a warning, and which are refused."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Sequence
from functools import cache

INVISIBLE = dict.fromkeys(map(ord, "\u200b\u2060\ufeff\u00ad"), None)
"""Zero-width space, word joiner, byte order mark, soft hyphen: seen by a tokenizer and by nobody else. Joiners of
emoji and of scripts (U+200C, U+200D) are kept."""

NO_BREAK = {0x00A0: " ", 0x202F: " ", 0x2007: " "}
"""Blanks that do not break lines become ordinary ones."""

BLANK_CONTROLS = {0x0B: " ", 0x0C: " ", 0x85: " "}
"""Vertical tab, form feed and next line: control characters that are white space to Unicode."""

DIRECTIONS = ("RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI")
"""Bidirectional classes of the marks that turn the direction of writing round."""

TURKIC = ("tr", "az", "crh", "gag", "kk", "tt")
"""Languages whose Latin letters have an i with a dot and one without: Turkish, Azeri, Crimean Tatar, Gagauz, Kazakh and
Tatar."""

LONGEST_WORD = 1000
"""Characters of a word above which something other than a word was given."""


def composed_texts(
    texts: Sequence[str],
    labels: Sequence[object],
    *,
    name: str = "text",
    clean: bool = False,
    blank_controls: bool = False,
    empty: bool = True,
    hint: str = "remove them",
    stacklevel: int = 2,
) -> list[str]:
    """Check texts, and give them in composed form (NFC) without invisible characters.

    Parameters
    ----------
    texts : sequence of str
        Texts about to be read.
    labels : sequence
        One per text, for messages.
    name : str
        What the argument is called; opens messages.
    clean : bool
        Take control characters and direction marks out instead of refusing them. Those that are white space become
        blanks.
    blank_controls : bool
        Allow vertical tabs, form feeds and next-line characters, and leave them as they are.
    empty : bool
        Whether a text may be empty once invisible characters are taken out.
    hint : str
        What is advised where control characters are refused.
    stacklevel : int
        How many calls up a warning belongs to.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        For lone surrogates, control characters (other than tabs and line ends), marks that turn the direction of
        writing round and, on request, texts with nothing visible in them.

    Warns
    -----
    UserWarning
        If a text was changed.

    Examples
    --------
    >>> composed_texts(["café", "naïve"], [1, 2])
    ['café', 'naïve']
    """
    if all(text.isascii() and text.isprintable() for text in set(texts)):  # as most are: nothing to put right
        return list(texts)
    _refuse_surrogates(name, texts, labels)
    if not clean:
        _refuse_controls(name, texts, labels, blank_controls, hint)
    allowed = [cleaned(text) for text in texts] if clean else list(texts)
    composed = [text if text.isascii() else unicodedata.normalize("NFC", text) for text in allowed]
    visible = [text if text.isascii() else text.translate(INVISIBLE).translate(NO_BREAK) for text in composed]
    unseen = [label for label, text in zip(labels, visible, strict=True) if not text.strip()]
    if unseen and not empty:
        raise ValueError(
            f"{name}: {len(unseen)} texts have nothing visible in them (first labels {unseen[:5]}); leave them out."
        )
    removed = "held control characters or direction marks, which were removed"
    _warn(name, removed, texts, allowed, labels, stacklevel)
    _warn(name, "were put into composed form (NFC)", allowed, composed, labels, stacklevel)
    removed = "held invisible characters or no-break spaces, which were removed"
    _warn(name, removed, composed, visible, labels, stacklevel)
    return visible


def readable_texts(name: str, texts: Sequence[str], *, stacklevel: int = 2) -> list[str]:
    """Check texts that a model is to be trained on, and give them in composed form without invisible characters.

    Parameters
    ----------
    name : str
        What the argument is called; opens messages, in which rows are counted from 0.
    texts : sequence of str
        White space of any kind may stand in them.
    stacklevel : int
        How many calls up a warning belongs to.

    Returns
    -------
    list of str

    Raises
    ------
    TypeError, ValueError
        As for :func:`refuse_unreadable`.

    Warns
    -----
    UserWarning
        If a text was changed.
    """
    refuse_unreadable(name, texts)
    return composed_texts(texts, range(len(texts)), name=name, blank_controls=True, stacklevel=stacklevel + 1)


def refuse_unreadable(name: str, texts: Sequence[str]) -> None:
    """Refuse entries that are no ``str``, characters that do not belong in text, and words of more than 1,000 letters.

    Parameters
    ----------
    name : str
        What the argument is called; opens messages, in which rows are counted from 0.
    texts : sequence of str
        Texts about to be read.

    Raises
    ------
    TypeError
        If an entry is no ``str``.
    ValueError
        For lone surrogates, control characters, direction marks, and words of more than 1,000 characters.
    """
    refuse_other_types(name, texts)
    refuse_controls(name, texts)
    refuse_long_words(name, texts, range(len(texts)))


def cleaned(text: str) -> str:
    r"""Take control characters and marks that turn the direction of writing round out of a text.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        Tabs and line ends stay; vertical tabs, form feeds and next-line characters become blanks.

    Examples
    --------
    >>> cleaned("one\x0ctwo\x07 \u202ethree")
    'one two three'
    """
    if text.isprintable():
        return text
    return "".join(character for character in text.translate(BLANK_CONTROLS) if not _is_unwanted(character))


def refuse_controls(name: str, texts: Sequence[str], *, hint: str = "remove them") -> None:
    """Refuse texts with lone surrogates, control characters or direction marks; white space of any kind may stand.

    Parameters
    ----------
    name : str
        What the argument is called; opens the message.
    texts : sequence of str
        Texts about to be read; rows are counted from 0 in the message.
    hint : str
        What is advised.

    Raises
    ------
    ValueError
        With the number of texts, the first of them and their characters.
    """
    if all(text.isprintable() for text in texts):
        return
    _refuse_surrogates(name, texts, range(len(texts)))
    _refuse_controls(name, texts, range(len(texts)), True, hint)


def with_blanks(text: str) -> str:
    r"""Put a blank in place of each control character that is white space; the length stays.

    Tokenizers of BERT's kind would take these characters out and join the words around them.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str

    Examples
    --------
    >>> with_blanks("one\x0ctwo")
    'one two'
    """
    return text if text.isprintable() else text.translate(BLANK_CONTROLS)


def refuse_other_types(name: str, texts: Sequence[object]) -> None:
    """Refuse texts that are no ``str``.

    Parameters
    ----------
    name : str
        What the argument is called; opens the message.
    texts : sequence
        Texts; rows are counted from 0 in the message. A single ``str`` is refused too.

    Raises
    ------
    TypeError
        With the number of entries, and row and type of the first five.
    """
    if isinstance(texts, str | bytes):
        raise TypeError(f"{name}: got a single {type(texts).__name__}; expected a sequence of texts. Put it in a list.")
    wrong = [(row, type(text).__name__) for row, text in enumerate(texts) if not isinstance(text, str)]
    if wrong:
        raise TypeError(f"{name}: {len(wrong)} entries are not str, first {wrong[:5]} (row from 0, type).")


def refuse_long_words(name: str, texts: Sequence[str], labels: Sequence[object], *, words: bool = False) -> None:
    """Refuse texts with a word of more than 1,000 characters.

    Parameters
    ----------
    name : str
        What the argument is called; opens the message.
    texts : sequence of str
        Texts about to be read.
    labels : sequence
        One per text, for messages.
    words : bool
        Whether each text is a word. In running text, writing without blanks between words (Japanese, Chinese, Thai)
        is not counted as one word.

    Raises
    ------
    ValueError
        With the number of texts, and labels and lengths of the first five.
    """
    suspects = [(label, text) for label, text in zip(labels, texts, strict=True) if len(text) > LONGEST_WORD]
    lengths = [(label, len(text) if words else _longest_word(text)) for label, text in suspects]
    long = [(label, length) for label, length in lengths if length > LONGEST_WORD]
    if long:
        what = "words have" if words else "texts hold a word of"
        raise ValueError(
            f"{name}: {len(long)} {what} more than {LONGEST_WORD} characters (first labels and lengths {long[:5]}); "
            "is this running text without blanks? Split it with split_words, or take it out."
        )


def _longest_word(text: str) -> int:
    """Give the length of the longest word between blanks, unless its script puts no blanks between words."""
    longest = max(text.split(), key=len, default="")
    return 0 if any(map(needs_no_blank, longest)) else len(longest)


WITHOUT_BLANKS = (
    "CJK ",
    "IDEOGRAPHIC ",
    "HIRAGANA ",
    "KATAKANA",
    "HALFWIDTH KATAKANA",
    "THAI ",
    "LAO ",
    "KHMER ",
    "MYANMAR ",
)
"""How Unicode's names of letters begin in writing that puts no blanks between words."""


@cache
def primary_language(language: str | None) -> str:
    """Give the language of a code without script and region.

    Parameters
    ----------
    language : str or None
        Such as ``"de-CH"``.

    Returns
    -------
    str
        Empty where no language is named.

    Raises
    ------
    ValueError
        If it does not begin with two or three letters.

    Examples
    --------
    >>> primary_language("az_Latn_AZ")
    'az'
    """
    if language is None:
        return ""
    match = re.match("([a-z]{2,3})([-_]|$)", language.lower())
    if match is None:
        raise ValueError(f"language: got {language!r}; expected a code such as 'tr', 'de' or 'de-CH'.")
    return match[1]


def needs_no_blank(character: str) -> bool:
    """Say whether a character belongs to writing that puts no blanks between words.

    Parameters
    ----------
    character : str
        One character, or none.

    Returns
    -------
    bool

    Examples
    --------
    >>> needs_no_blank("猫"), needs_no_blank("c")
    (True, False)
    """
    return bool(character) and unicodedata.name(character, "").startswith(WITHOUT_BLANKS)


def _refuse_surrogates(name: str, texts: Sequence[str], labels: Sequence[object]) -> None:
    if all(text.isprintable() for text in texts):  # printable text has none, and most text is printable
        return
    broken = [label for label, text in zip(labels, texts, strict=True) if any("\ud800" <= c <= "\udfff" for c in text)]
    if broken:
        raise ValueError(
            f"{name}: {len(broken)} texts hold lone surrogates, which are no characters (first labels {broken[:5]}); "
            "they come from reading a file in the wrong encoding. Read the file anew, as what it is."
        )


def _refuse_controls(
    name: str, texts: Sequence[str], labels: Sequence[object], blank_controls: bool, hint: str
) -> None:
    odd = [
        (label, found)
        for label, text in zip(labels, texts, strict=True)
        if not text.isprintable() and (found := _first_unwanted(with_blanks(text) if blank_controls else text))
    ]
    if odd:
        raise ValueError(
            f"{name}: {len(odd)} texts hold control characters or marks that turn the direction of writing round "
            f"(first, with label: {odd[:5]}); {hint}."
        )


def _first_unwanted(text: str) -> str:
    """Name the first control or direction character of a text, if there is one."""
    return next((f"U+{ord(character):04X}" for character in text if _is_unwanted(character)), "")


def _is_unwanted(character: str) -> bool:
    if character.isprintable() or character in "\t\n\r":
        return False
    return unicodedata.category(character) == "Cc" or unicodedata.bidirectional(character) in DIRECTIONS


def _warn(
    name: str, complaint: str, before: Sequence[str], after: Sequence[str], labels: Sequence[object], stacklevel: int
) -> None:
    if list(before) == list(after):
        return
    changed = [label for label, old, new in zip(labels, before, after, strict=True) if old != new]
    warnings.warn(f"{name}: {len(changed)} texts {complaint} (first labels {changed[:5]}).", stacklevel=stacklevel + 1)
