"""Small letters by language, and words found in a list whatever their case.

``str.lower`` follows no language. In Turkish and its relatives the small letter of I is ı and that of İ is i;
Lithuanian may keep the dot of an i under accents; a German word in capitals has SS where small letters may have ß; and
Greek writes σ as ς at the end of a word. The rules are those of Unicode's SpecialCasing and CaseFolding.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cached_property

from neuroling.core.characters import TURKIC, primary_language
from neuroling.features.words.text_checks import trimmed

SHARP_S = ("de", "gsw", "nds")
"""Languages in which ß and ss may be two spellings of one word: German, Swiss German and Low German."""

DOTTED = re.compile("([ij]\u0328?)\u0307")
"""A combining dot on i, j or į, decomposed: Lithuanian keeps it under accents, and ``str.lower`` leaves it behind İ."""


def lowercase(text: str, language: str | None = None) -> str:
    """Make letters small as a language does.

    Parameters
    ----------
    text : str
        Any text.
    language : str, optional
        Code such as ``"tr"`` or ``"de-CH"``. Without it, words that have İ or ı, which only Turkic orthographies
        write, are taken as Turkic, and all others as Unicode has them.

    Returns
    -------
    str
        In composed form (NFC). İ becomes i, without the combining dot that ``str.lower`` leaves behind it; a Greek
        sigma at the end of a word becomes ς; a combining dot on i, j and į, which Lithuanian keeps under accents, is
        dropped, so that both spellings are one.

    Examples
    --------
    >>> lowercase("ISPARTA", "tr"), lowercase("İstanbul"), lowercase("DİYARBAKIR"), lowercase("IT")
    ('ısparta', 'istanbul', 'diyarbakır', 'it')
    >>> lowercase("ΛΟΓΟΣ"), lowercase("STRAẞE")
    ('λογος', 'straße')
    """
    if text.isascii() and not _is_turkic(language):
        return text.lower()
    text = unicodedata.normalize("NFC", text)
    if _is_turkic(language):
        text = text.replace("I", "ı")
    elif language is None and ("İ" in text or "ı" in text):
        text = re.sub(r"\S+", lambda word: _turkic_if_marked(word[0]), text)
    text = text.replace("İ", "i").lower()
    if "\u0307" in text:
        text = DOTTED.sub(r"\1", unicodedata.normalize("NFD", text))
    return unicodedata.normalize("NFC", text)


def casefold(text: str, language: str | None = None, *, sharp_s: bool = True) -> str:
    """Give the form in which texts are equal that differ in case alone.

    Parameters
    ----------
    text : str
        Any text.
    language : str, optional
        As for :func:`lowercase`.
    sharp_s : bool
        Whether ß counts as ss. In normal spelling they are different (Maße, Masse); in capitals they are not.

    Returns
    -------
    str
        Not for reading: σ stands for ς too, and letters for their ligatures.

    Examples
    --------
    >>> casefold("STRASSE") == casefold("Straße"), casefold("Maße", sharp_s=False) == casefold("Masse", sharp_s=False)
    (True, False)
    """
    small = lowercase(text, language)
    if small.isascii():
        return small
    folded = small.casefold() if sharp_s else "ß".join(part.casefold() for part in small.split("ß"))
    return unicodedata.normalize("NFC", folded)


def bare(text: str, language: str | None = None) -> str:
    """Give a word in small letters and composed form (NFC) without the punctuation around it.

    Parameters
    ----------
    text : str
        A word.
    language : str, optional
        As for :func:`lowercase`.

    Returns
    -------
    str
        The word as it is, in small letters, if it has neither letters nor digits.

    Examples
    --------
    >>> bare("“Oh!”"), bare("don't"), bare("—"), bare("(Irak)", "tr")
    ('oh', "don't", '—', 'ırak')
    """
    return lowercase(trimmed(text), language)


def bare_words(texts: Sequence[Sequence[str]], language: str | None = None) -> list[list[str]]:
    """Give the words of texts as :func:`bare` does, German ones in capitals with the ß that small letters have.

    Parameters
    ----------
    texts : sequence of sequence of str
        Words of each text.
    language : str, optional
        As for :func:`lowercase`. In German, a word in capitals with SS is taken as the one with ß if that stands
        somewhere in small letters and the one with ss does not.

    Returns
    -------
    list of list of str

    Examples
    --------
    >>> bare_words([["Die", "Straße"], ["STRASSE"]], "de")
    [['die', 'straße'], ['straße']]
    """
    small = [[bare(word, language) for word in words] for words in texts]
    if primary_language(language) not in SHARP_S:
        return small
    pairs = [
        pair for words, small_words in zip(texts, small, strict=True) for pair in zip(words, small_words, strict=True)
    ]
    in_small_letters = {small_words for word, small_words in pairs if not word.isupper()}
    sharp = CaseLookup((word for word in in_small_letters if "ß" in word), language)
    spelled = {
        small_words: _sharp_spelling(small_words, in_small_letters, sharp)
        for word, small_words in pairs
        if word.isupper()
    }
    return [
        [spelled[small_words] if word.isupper() else small_words for word, small_words in zip(words, owns, strict=True)]
        for words, owns in zip(texts, small, strict=True)
    ]


def _sharp_spelling(word: str, in_small_letters: set[str], sharp: CaseLookup) -> str:
    found = sharp.alike(word.upper()) if "ss" in word and word not in in_small_letters else []
    return found[0] if len(found) == 1 else word


class CaseLookup:
    """Find words in a list, whatever their case, accents' form, or the punctuation around them.

    Parameters
    ----------
    entries : iterable of str
        Words of the list, as they stand there.
    language : str, optional
        As for :func:`lowercase`.

    Attributes
    ----------
    language : str or None
        The same.

    Examples
    --------
    >>> lookup = CaseLookup(["straße", "Haus", "ısparta"])
    >>> [lookup.find(word) for word in ("STRASSE", "haus,", "ISPARTA", "Boot")]
    ['straße', 'Haus', 'ısparta', None]
    """

    def __init__(self, entries: Iterable[str], language: str | None = None) -> None:
        self._entries = entries if isinstance(entries, dict | set | frozenset) else dict.fromkeys(entries)
        self.language = language

    def forms(self, word: str) -> list[str]:
        """List the spellings under which a word is looked up, before case is folded.

        Parameters
        ----------
        word : str
            As it stands in a text.

        Returns
        -------
        list of str
            As it stands, without punctuation around it, and in small letters; composed, then decomposed.
        """
        inside = trimmed(word)
        spelled = dict.fromkeys([word, inside, lowercase(inside, self.language)])
        decomposed = [unicodedata.normalize("NFD", form) for form in spelled if not form.isascii()]
        return list(dict.fromkeys([*spelled, *decomposed]))

    def find(self, word: str, *, small_first: bool = False) -> str | None:
        """Find a word.

        Parameters
        ----------
        word : str
            As it stands in a text.
        small_first : bool
            Look for the word in small letters before it is looked for as it stands, for lists that have it so.

        Returns
        -------
        str or None
            The entry; of several that differ in case alone and none of which is a form of the word, the first.
        """
        forms = self.forms(word)
        if small_first:
            own = bare(word, self.language)
            forms = [own, unicodedata.normalize("NFD", own), *forms]
        return next((form for form in forms if form in self._entries), next(iter(self.alike(word)), None))

    def alike(self, word: str) -> list[str]:
        """List the entries that differ from a word in case alone.

        Capitals may stand for more than one small letter: SS for ß in a word that is in capitals (or in German), and
        I for ı where no language was named. These are tried last.

        Parameters
        ----------
        word : str
            As it stands in a text.

        Returns
        -------
        list of str
            In the order of the list.
        """
        inside = trimmed(word)
        plain_forms = self._plain.get(casefold(inside, self.language, sharp_s=False))
        if plain_forms is None and (inside.isupper() or primary_language(self.language) in SHARP_S):
            plain_forms = self._sharp.get(casefold(inside, self.language))
        if plain_forms is None and self.language is None and "I" in inside:
            plain_forms = self._plain.get(casefold(inside, "tr", sharp_s=False))
        return plain_forms or []

    @cached_property
    def _plain(self) -> dict[str, list[str]]:
        return self._folded(sharp_s=False)

    @cached_property
    def _sharp(self) -> dict[str, list[str]]:
        return self._folded(sharp_s=True)

    def _folded(self, *, sharp_s: bool) -> dict[str, list[str]]:
        folded: dict[str, list[str]] = {}
        for entry in self._entries:
            folded.setdefault(casefold(entry, self.language, sharp_s=sharp_s), []).append(entry)
        return folded


def _is_turkic(language: str | None) -> bool:
    return primary_language(language) in TURKIC


def _turkic_if_marked(word: str) -> str:
    return word.replace("I", "ı") if "İ" in word or "ı" in word else word
