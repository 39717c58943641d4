"""What any feature of meaning has to beat: length, frequency, neighbours, place."""

from __future__ import annotations

import math
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.features.story import log_frequency, word_length, word_position
from neuroling.features.words.letter_case import CaseLookup, bare
from neuroling.features.words.text_checks import trimmed

NEAREST = 20
"""Words whose mean distance is OLD20 (Yarkoni, Balota and Yap 2008)."""

DIVIDED = ("ja", "ko", "zh")
"""Languages whose words wordfreq itself would divide again, by MeCab or jieba."""


def control_table(
    words: Stimuli,
    *,
    frequency: Mapping[str, float] | str | None = None,
    missing: float | None = None,
    lexicon: Sequence[str] | None = None,
    language: str | None = None,
) -> xr.DataArray:
    """Put control variables of words side by side.

    Parameters
    ----------
    words : Stimuli
        One row a word, in order; perhaps with a ``group``.
    frequency : mapping or str, optional
        Frequency by word in lower case, in any unit, taken as a logarithm to base 10; or a language code such as
        ``"en"`` or ``"ja"`` for the Zipf scale of the package wordfreq (log10 per thousand million words); see
        :func:`zipf_frequency` for Japanese, Korean and Chinese.
    missing : float, optional
        With a mapping: frequency of words that are not in it. Without it they are an error.
    lexicon : sequence of str, optional
        Words of the language, for orthographic neighbours: at least 20 besides the word that is described.
    language : str, optional
        Code of the language whose small letters are used; that of ``frequency`` where it is one.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        ``"word_length"`` (letters), ``"word_position"`` (from 0, in its group), and where asked for
        ``"log_frequency"``, ``"neighbours"`` (words of the same length that differ in one letter; Coltheart's N) and
        ``"old20"`` (mean edit distance to the 20 nearest words).

    References
    ----------
    Coltheart, M. et al. (1977). Access to the internal lexicon. Attention and Performance VI.
    Yarkoni, T., Balota, D. and Yap, M. (2008). Moving beyond Coltheart's N. Psychon. Bull. Rev. 15, 971-979.

    Examples
    --------
    >>> lexicon = "a and as at but by cap car cat for from he his in it of on or she table the to".split()
    >>> table = control_table(Stimuli.from_texts(["cat", "table"]), lexicon=lexicon)
    >>> table.sel(feature="neighbours").values.tolist()
    [2.0, 0.0]
    """
    columns = [word_length(words), word_position(words)]
    attrs: dict[str, str | int] = {"step": "control_table", "stimuli": words.fingerprint}
    if isinstance(frequency, str):
        columns.append(zipf_frequency(words, frequency))
        language = language or frequency
        attrs["frequency"] = columns[-1].attrs["source"]
        attrs["n_without_frequency"] = columns[-1].attrs["n_missing"]
    elif frequency is not None:
        columns.append(log_frequency(words, frequency, missing=missing, language=language))
        attrs["n_without_frequency"] = columns[-1].attrs["n_missing"]
    if lexicon is not None:
        columns.append(neighbours(words, lexicon, language=language))
    values = np.hstack([column.values for column in columns])
    names = [name for column in columns for name in column.feature.values.tolist()]
    return words.features(values, names).assign_attrs(attrs)


def zipf_frequency(words: Stimuli, language: str) -> xr.DataArray:
    """Look up the frequency of words in the package wordfreq.

    Case is folded by wordfreq as the language does it, and punctuation around words is ignored. A word that is not in
    the lists is looked up again with straight apostrophes and without ligatures (qu’il, ĳs). Japanese, Korean and
    Chinese words are looked up as they are given, since wordfreq would divide them again with
    MeCab or jieba, and guess from the parts. Its lists hold morphemes as MeCab's dictionaries ipadic (``"ja"``) and
    mecab-ko-dic (``"ko"``) divide text, and words in simplified characters as jieba does (``"zh"``): a compound or a
    Korean word with its particle is not in them.

    Parameters
    ----------
    words : Stimuli
        One row a word; of Japanese, for instance, from ``split_words(…, segmenter=japanese_segmenter())``.
    language : str
        Code such as ``"en"`` or ``"ja"``.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        ``"log_frequency"`` on the Zipf scale; 0 for words that are not in the lists;
        ``attrs["n_missing"]`` counts them.
    """
    try:
        import wordfreq
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "zipf_frequency needs the package wordfreq: pip install neuroling[frequency]. A mapping from words to "
            "frequencies works in its place.",
            name="wordfreq",
        ) from error
    from importlib.metadata import version

    known = wordfreq.available_languages("best")
    if language not in known:
        raise ValueError(f"language: got {language!r}; wordfreq has {', '.join(sorted(known))}.")
    if language in DIVIDED:
        listed = wordfreq.get_frequency_dict(language)
        values = np.array([_listed_zipf(trimmed(text), listed) for text in words.texts])
    else:
        values = np.array(
            [
                next((zipf for form in _spellings(text) if (zipf := wordfreq.zipf_frequency(form, language))), 0.0)
                for text in words.texts
            ]
        )
    return words.features(values[:, None], ["log_frequency"]).assign_attrs(
        source=f"wordfreq {version('wordfreq')}, {language}", n_missing=int((values == 0).sum())
    )


def _spellings(text: str) -> list[str]:
    """Give a word as it stands, and with straight apostrophes and without ligatures: wordfreq's lists have these."""
    plain = trimmed(text)
    return list(dict.fromkeys([plain, unicodedata.normalize("NFKC", plain).replace("\u2019", "'")]))


def _listed_zipf(word: str, listed: Mapping[str, float]) -> float:
    """Look a word up as wordfreq does when it has divided a text."""
    from wordfreq.numbers import digit_freq, smash_numbers

    plain = unicodedata.normalize("NFKC", word).casefold()
    entry = smash_numbers(plain)  # numbers of one length share an entry, divided by how common each is
    share = listed.get(entry, 0.0) * (1.0 if entry == plain else digit_freq(plain))
    return max(0.0, round(math.log10(share) + 9, 2)) if share > 0 else 0.0


def neighbours(words: Stimuli, lexicon: Sequence[str], *, language: str | None = None) -> xr.DataArray:
    """Count orthographic neighbours, and measure how far the nearest words are.

    Parameters
    ----------
    words : Stimuli
        One row a word; case and punctuation around it are ignored.
    lexicon : sequence of str
        Words of the language; a word is not its own neighbour. Entries without letters or digits do not count.
    language : str, optional
        Code of the language whose small letters are used; see
        :func:`~neuroling.features.words.letter_case.lowercase`.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        ``"neighbours"`` and ``"old20"``.

    Raises
    ------
    ValueError
        If there are fewer than 20 words in the lexicon besides one of the words.
    TypeError
        If the lexicon is a single str.
    """
    from neuroling.numerics.strings import edit_distances

    if isinstance(lexicon, str):
        raise TypeError(f"lexicon: got the str {lexicon[:40]!r}; expected a sequence of words.")
    entries = sorted({bare(word, language) for word in lexicon if any(map(str.isalnum, word))})
    lookup = CaseLookup(entries, language)
    keys = [lookup.find(text, small_first=True) or bare(text, language) for text in words.texts]
    own_key = min(set(keys) & set(entries), default=None)
    needed = NEAREST + (own_key is not None)
    if len(entries) < needed:
        listed = "" if own_key is None else f", and {own_key!r} is one of them"
        raise ValueError(
            f"lexicon: got {len(entries)} words{listed}; OLD20 averages the distances to the {NEAREST} nearest other "
            f"words: expected at least {needed}."
        )
    patterns: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        for index in range(len(entry)):
            patterns[f"{entry[:index]}\0{entry[index + 1 :]}"].add(entry)
    neighbours_of_key: dict[str, tuple[float, float]] = {}
    for key in dict.fromkeys(keys):
        near = {other for index in range(len(key)) for other in patterns.get(f"{key[:index]}\0{key[index + 1 :]}", ())}
        others = [entry for entry in entries if entry != key]
        distances = np.sort(edit_distances([key] * len(others), others))[:NEAREST]
        neighbours_of_key[key] = (float(len(near - {key})), float(distances.mean()))
    values: NDArray[np.float64] = np.array([neighbours_of_key[key] for key in keys])
    return words.features(values, ["neighbours", "old20"])
