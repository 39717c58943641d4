"""A small language model trained on any text: n-grams, smoothed after Kneser and Ney."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.features.transformer.language_models import Scores
from neuroling.features.words.alignment import RunningText, running_texts, stretches
from neuroling.features.words.letter_case import CaseLookup, bare_words
from neuroling.features.words.letter_case import bare as bare  # where it stood before
from neuroling.features.words.text_checks import tidy
from neuroling.features.words.words import Segmenter, split_words

UNKNOWN, BEGIN, END = 0, 1, 2
"""Numbers of the unknown word, of the beginning of a text and of its end."""

FALLBACK_DISCOUNT = 0.75
"""Discount where a corpus is too small to estimate it; the value customary for absolute discounting."""

UNKNOWN_SHARE = 0.5
"""Share of unknown words above which a model is probably of another language, or divides words in another way; a rule
of thumb. Models of 25,000 to 190,000 words do not know 11 to 15 % of a story and 37 % of the nouns of an experiment."""

Gram = tuple[int, ...]
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True)
class _Level:
    """Counts of one order: what follows each context, how much is discounted, and what that leaves to lower orders."""

    following: dict[Gram, dict[int, int]]
    discounts: tuple[float, float, float]
    totals: dict[Gram, int]
    backoff: dict[Gram, float]

    def discount(self, count: int) -> float:
        return self.discounts[min(count, 3) - 1]

    def discounted(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Take the discount off counts; zero stays zero."""
        return np.asarray(counts - np.array([0.0, *self.discounts])[np.minimum(counts, 3)])


@dataclass(frozen=True)
class NGram:
    r"""Interpolated n-grams with modified Kneser-Ney smoothing.

    :math:`p(w|h) = \frac{c(hw) - D_{c(hw)}}{c(h)} + \gamma(h)\, p(w|h')`, where :math:`h'` is the context without its
    first word, lower orders count the different words *before* a gram instead of its occurrences, and the lowest is
    interpolated with equal shares for all words, the unknown one among them.

    Made by :func:`fit_ngram`.

    Attributes
    ----------
    order : int
        Words of a gram.
    words : tuple of str
        The vocabulary: unknown, beginning, end, then words.
    levels : tuple of _Level
        Counts, the lowest order first.
    n_trained : int
        Words of the corpus.
    corpus_sha256 : str
        Hash of the corpus.
    segmenter : callable, optional
        What divides texts into words; blanks by default.
    language : str, optional
        Code of the language whose small letters are used.

    References
    ----------
    Chen, S. F. and Goodman, J. (1998). An empirical study of smoothing techniques for language modeling. Harvard
    TR-10-98.
    """

    order: int
    words: tuple[str, ...]
    levels: tuple[_Level, ...]
    n_trained: int
    corpus_sha256: str
    segmenter: Segmenter | None = None
    language: str | None = None

    def distribution(self, context: Gram) -> NDArray[np.float64]:
        """Give the probability of every word of the vocabulary after a context.

        Parameters
        ----------
        context : tuple of int
            Numbers of the words before; the last ``order - 1`` count.

        Returns
        -------
        ndarray of float, shape (vocabulary,)
            Sums to one. The beginning of a text is never predicted.

        Notes
        -----
        This spells the formula out for the whole vocabulary. :meth:`probability` and :meth:`entropy` give single words
        and the entropy without it, thousands of times faster.
        """
        shares = np.full(len(self.words), 1.0 / (len(self.words) - 1))
        shares[BEGIN] = 0.0
        for level, recent in self._orders(context):
            shares = self._interpolated(level, recent, shares)
        return shares

    def _orders(self, context: Gram) -> Iterator[tuple[_Level, Gram]]:
        """Give each order with its part of a context, the lowest first."""
        longest = min(len(context), self.order - 1)
        for length in range(longest + 1):
            yield self.levels[length], context[len(context) - length :]

    @staticmethod
    def _interpolated(level: _Level, context: Gram, lower: NDArray[np.float64]) -> NDArray[np.float64]:
        following = level.following.get(context)
        if not following:
            return lower
        total = level.totals[context]
        shares = lower * level.backoff[context]
        for word, count in following.items():
            shares[word] += (count - level.discount(count)) / total
        return shares

    def probability(self, word: int, context: Gram) -> float:
        """Give the probability of one word after a context.

        Parameters
        ----------
        word : int
            Its number in the vocabulary.
        context : tuple of int
            As for :meth:`distribution`, whose number this is, to the bit.

        Returns
        -------
        float
        """
        if not 0 <= word < len(self.words):
            raise ValueError(f"word: got {word}; expected a number from 0 to {len(self.words) - 1}, as in words.")
        share = 0.0 if word == BEGIN else 1.0 / (len(self.words) - 1)
        for level, recent in self._orders(context):
            following = level.following.get(recent)
            if following:
                share *= level.backoff[recent]
                count = following.get(word)
                if count:
                    share += (count - level.discount(count)) / level.totals[recent]
        return share

    def entropy(self, context: Gram) -> float:
        r"""Give the entropy of what is predicted after a context, in nats.

        Of :math:`p = \gamma q + r`, where :math:`r` is zero but for the words :math:`F` that followed the context,
        :math:`\sum p \ln p = \sum_F p \ln p + \gamma \ln\gamma\,(1 - \sum_F q)
        + \gamma (\sum q \ln q - \sum_F q \ln q)`: nothing but :math:`F` and the sum of the lower order is needed.

        Parameters
        ----------
        context : tuple of int
            As for :meth:`distribution`.

        Returns
        -------
        float
            As from the whole distribution, but for rounding.
        """
        return -self._sum_of_plogp(context[max(0, len(context) - self.order + 1) :])

    @cached_property
    def _sums(self) -> dict[Gram, float]:
        """Sums of p ln p after contexts that were asked about before."""
        return {}

    def _sum_of_plogp(self, context: Gram) -> float:
        if context in self._sums:
            return self._sums[context]
        unigrams, total = self._unigrams
        if context:
            total = self._sum_of_plogp(context[1:])
            level = self.levels[len(context)]
            following = level.following.get(context)
            if following:
                words = np.fromiter(following, dtype=np.intp, count=len(following))
                counts = np.fromiter(following.values(), dtype=np.int64, count=len(following))
                backoff = level.backoff[context]
                lower = self._lower_shares(unigrams[words], words.tolist(), context[1:])
                shares = lower * backoff + level.discounted(counts) / level.totals[context]
                rest = backoff * math.log(backoff) * (1.0 - lower.sum()) + backoff * (total - _plogp(lower))
                total = float(_plogp(shares) + rest)
        self._sums[context] = total
        return total

    def _lower_shares(self, unigrams: NDArray[np.float64], words: list[int], context: Gram) -> NDArray[np.float64]:
        """Give the probabilities of some words after a context, from those after none."""
        shares = unigrams
        for length, (level, recent) in enumerate(self._orders(context)):
            following = level.following.get(recent)
            if length and following:
                counts = np.array([following.get(word, 0) for word in words], dtype=np.int64)
                shares = shares * level.backoff[recent] + level.discounted(counts) / level.totals[recent]
        return shares

    @cached_property
    def _unigrams(self) -> tuple[NDArray[np.float64], float]:
        """Probabilities without a context, and the sum of p ln p over them."""
        shares = self.distribution(())
        return shares, float(_plogp(shares[shares > 0]))

    @cached_property
    def _vocabulary(self) -> CaseLookup:
        return CaseLookup(self._numbers, self.language)

    def _number(self, word: str) -> int:
        """Give the number of a word as it stands in a text, that of the unknown word if it is in no case an entry."""
        found = self._vocabulary.find(word, small_first=True)
        return UNKNOWN if found is None else self._numbers[found]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    def score(self, words: Stimuli, *, top: int = 0) -> Scores:
        """Score words in the running text of their groups.

        Parameters
        ----------
        words : Stimuli
            One row a word, which counts as one word of the model. Case and punctuation around it are ignored. What
            stands ``before`` it in the text is read too, divided as the corpus was.
        top : int
            How many predicted words to list for each.

        Returns
        -------
        Scores

        Warns
        -----
        UserWarning
            If more than half of the words are unknown.
        """
        texts = running_texts(words, stacklevel=4)
        _refuse_shared_places(texts)
        skipped = [
            gap for text, spans in zip(texts, self._divided(texts), strict=True) for gap in _skipped(text, spans)
        ]
        number = _Memo(self._number)
        ids = [
            number[text.text[start:stop]]
            for text in texts
            for start, stop in zip(text.starts.tolist(), text.stops.tolist(), strict=True)
        ]
        nats, entropy = np.empty(len(ids)), np.empty(len(ids))
        tops: list[list[tuple[str, float]]] = [[] for _ in ids]
        for begin, end in stretches(words):
            history = [BEGIN] * (self.order - 1)
            for row in range(begin, end):
                history += [number[word] for word in skipped[row]]
                context = tuple(history[len(history) - (self.order - 1) :])
                nats[row] = self.probability(ids[row], context)
                entropy[row] = -self._sum_of_plogp(context)
                if top:
                    shares = self.distribution(context)
                    best = np.argsort(-shares, kind="stable")[:top]
                    tops[row] = [(self.words[place], float(shares[place])) for place in best]
                history.append(ids[row])
        nats = -np.log(nats)
        self._warn_of_unknown(ids.count(UNKNOWN), len(ids), stacklevel=4)
        return Scores(nats, entropy, tops, {"n_unknown": ids.count(UNKNOWN), "n_unpredicted": 0})

    def _divided(self, texts: list[RunningText]) -> list[list[tuple[int, int]]]:
        """Give the characters of the words of each text, as the model divides it."""
        running = Stimuli.from_texts([text.text for text in texts], labels=range(len(texts)))
        words = split_words(running, segmenter=self.segmenter)
        lengths = np.array([words.table["before"].str.len(), words.table["text"].str.len()]).T  # (word, 2)
        edges = [np.cumsum(lengths[begin:end]).tolist() for begin, end in stretches(words)]
        return [list(zip(own[::2], own[1::2], strict=True)) for own in edges]

    def _warn_of_unknown(self, n_unknown: int, n_words: int, *, stacklevel: int) -> None:
        if n_unknown > UNKNOWN_SHARE * n_words:
            warnings.warn(
                f"words: {n_unknown} of {n_words} are unknown to the {self.order}-gram model, so that their values say "
                "little; is it trained on this language, and on text divided into words in the same way (segmenter=)?",
                stacklevel=stacklevel,
            )

    def provenance(self) -> dict[str, str]:
        """Say what the model is.

        Returns
        -------
        dict of str
        """
        name = f"{self.order}-gram model, modified Kneser-Ney, trained on {self.n_trained} words"
        return {"source": name, "corpus_sha256": self.corpus_sha256, "vocabulary": str(len(self.words))}


def _plogp(shares: NDArray[np.float64]) -> np.float64:
    return np.float64((shares * np.log(shares)).sum())


class _Memo(dict[Key, Value]):
    """Values of a function, each computed once."""

    def __init__(self, function: Callable[[Key], Value]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, key: Key) -> Value:
        self[key] = value = self._function(key)
        return value


def fit_ngram(
    corpus: Stimuli,
    *,
    order: int = 3,
    min_count: int = 1,
    segmenter: Segmenter | None = None,
    language: str | None = None,
    clean: bool = False,
) -> NGram:
    """Train an n-gram model on texts.

    Parameters
    ----------
    corpus : Stimuli
        One row a text, such as a sentence; words are in lower case, without punctuation around them.
    order : int
        Words of a gram.
    min_count : int
        Words that occur less often count as the unknown word.
    segmenter : callable, optional
        As for :func:`~neuroling.features.words.words.split_words`: takes a text and gives its words in order, for
        Japanese or Chinese. The model divides what stands between scored words by it too. Blanks by default.
    language : str, optional
        Code of the language whose small letters are used, such as ``"tr"``; see
        :func:`~neuroling.features.words.letter_case.lowercase`.
    clean : bool
        Take control characters and direction marks out of the corpus, with a warning, instead of refusing it.

    Returns
    -------
    NGram

    Examples
    --------
    >>> model = fit_ngram(Stimuli.from_texts(["the cat saw the dog", "a dog saw the cat", "the dog ran"]), order=2)
    >>> shares = model.distribution((model.words.index("the"),))
    >>> round(float(shares.sum()), 6), model.words[int(shares.argmax())]
    (1.0, 'dog')
    """
    if order < 1 or min_count < 1:
        raise ValueError(f"order, min_count: got {order} and {min_count}; expected at least 1 each.")
    divide = str.split if segmenter is None else segmenter
    written = [[word for word in divide(text) if word.strip()] for text in tidy(corpus, name="corpus", clean=clean)]
    texts = bare_words(written, language)
    counts = Counter(word for text in texts for word in text)
    vocabulary_words = sorted(word for word, count in counts.items() if count >= min_count)
    if not vocabulary_words:
        raise ValueError(f"corpus: no word occurs {min_count} times in {len(texts)} texts.")
    words = ("<unknown>", "<begin>", "<end>", *vocabulary_words)
    number = {word: place for place, word in enumerate(words)}
    sequences = [[number.get(word, UNKNOWN) for word in text] for text in texts]
    grams = _raw_counts(sequences, order)
    levels = [_level(grams)]
    for length in range(order - 1, 0, -1):
        grams = _continuation_counts(grams, sequences, length)
        levels.append(_level(grams))
    digest = hashlib.sha256("\n".join(" ".join(text) for text in texts).encode()).hexdigest()
    return NGram(order, words, tuple(reversed(levels)), sum(counts.values()), digest, segmenter, language)


def _refuse_shared_places(texts: list[RunningText]) -> None:
    shared = [
        label for text in texts for label in text.labels[np.flatnonzero(text.starts[1:] < text.stops[:-1]) + 1].tolist()
    ]
    if shared:
        raise ValueError(
            f"words: {len(shared)} share their place in the text with the word before (first labels {shared[:5]}), as "
            "the words of a fused token do, and have no surprisal of their own. Score the words of "
            "split_words(sentences) instead."
        )


def _skipped(text: RunningText, spans: list[tuple[int, int]]) -> list[list[str]]:
    """Give the words between each listed word and the one before it.

    Of a word that a listed one is a part of, the rest counts if it has letters or digits: a comma behind a listed word
    would be no word in training.
    """
    begins, ends = np.array(spans).T
    skipped = []
    for behind, start in zip([0, *text.stops[:-1].tolist()], text.starts.tolist(), strict=True):
        between = spans[np.searchsorted(ends, behind, side="right") : np.searchsorted(begins, start)]
        rests = [((behind <= a and b <= start), text.text[max(a, behind) : min(b, start)]) for a, b in between]
        skipped.append([rest for whole, rest in rests if whole or any(map(str.isalnum, rest))])
    return skipped


def _grams(sequence: list[int], order: int) -> Iterator[Gram]:
    padded = [BEGIN] * (order - 1) + sequence + [END]
    for place in range(order - 1, len(padded)):
        yield tuple(padded[place - order + 1 : place + 1])


def _raw_counts(sequences: list[list[int]], order: int) -> Counter[Gram]:
    return Counter(gram for sequence in sequences for gram in _grams(sequence, order))


def _continuation_counts(longer: Counter[Gram], sequences: list[list[int]], length: int) -> Counter[Gram]:
    """Count in how many ways each gram is preceded; one that begins a text keeps its count."""
    counts: Counter[Gram] = Counter()
    for gram in longer:
        counts[gram[1:]] += 1
    if length > 1:
        raw = _raw_counts(sequences, length)
        counts.update({gram: raw[gram] - counts[gram] for gram in raw if gram[0] == BEGIN})
    return counts


def _level(grams: Counter[Gram]) -> _Level:
    following: dict[Gram, dict[int, int]] = defaultdict(dict)
    for gram, count in grams.items():
        following[gram[:-1]][gram[-1]] = count
    discounts = _discounts(grams)
    totals = {context: sum(counts.values()) for context, counts in following.items()}
    removed = {c: sum(discounts[min(n, 3) - 1] for n in counts.values()) for c, counts in following.items()}
    backoff = {context: removed[context] / total for context, total in totals.items()}
    return _Level(dict(following), discounts, totals, backoff)


def _discounts(grams: Counter[Gram]) -> tuple[float, float, float]:
    n1, n2, n3, n4 = (sum(1 for count in grams.values() if count == k) for k in (1, 2, 3, 4))
    if min(n1, n2, n3, n4) == 0:
        return FALLBACK_DISCOUNT, FALLBACK_DISCOUNT, FALLBACK_DISCOUNT
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    return found if min(found) > 0 else (FALLBACK_DISCOUNT, FALLBACK_DISCOUNT, FALLBACK_DISCOUNT)
