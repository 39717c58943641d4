"""Whether an encoder's tokenizer was made for a text: how much of it is unknown, or falls into splinters."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from neuroling.core.characters import needs_no_blank
from neuroling.features.transformer.encoder import Encoder

UNKNOWN_SHARE = 0.05
"""Share of unknown tokens above which a text is probably not in the encoder's language; a rule of thumb."""

SPLIT_SHARE = 0.6
"""Share of over-split words above which it probably is not. MiniLM splits 66 % to 100 % of them so in samples of
ten other languages, 3 % in an English story, 26 % in scientific prose and 55 % in Chaucer's English. A rule of thumb:
two sentences of French had 40 %, a list of rare English nouns 80 %."""

LONG = 4
"""Letters of the words that are looked at; shorter ones are few pieces in any vocabulary."""

LETTERS_A_PIECE = 3
"""A word in several pieces that have no more letters on average counts as over-split."""

FEWEST, MOST = 5, 2000
"""Different words that are looked at: no share is given of fewer, and more would not change it."""

SMALLEST_VOCABULARY = 5000
"""Tokens below which a vocabulary holds letters, bytes or syllables and splits the words of any language."""

WORD = re.compile(r"[^\W\d_]+")
MARKS = "▁Ġ"
"""What stands for the blank in front of a word."""


def warn_of_other_language(
    encoder: Encoder,
    sequences: Sequence[Sequence[int] | NDArray[np.int64]],
    texts: Iterable[str],
    *,
    stacklevel: int,
) -> None:
    """Warn once if a text is probably not in an encoder's language.

    That is, if more than 5 % of the tokens are unknown, or more than 60 % of the words of four letters and more are
    split into pieces of three letters or fewer. The latter is looked at in writing that puts blanks between words, with
    vocabularies of 5,000 tokens or more, and where there are five different words.

    Parameters
    ----------
    encoder : Encoder
        Its tokenizer is used.
    sequences : sequence of sequence of int
        Token ids of the texts.
    texts : iterable of str
        The texts.
    stacklevel : int
        How many calls up the warning belongs to, as in :func:`warnings.warn`, counted from the caller.

    Warns
    -----
    UserWarning
        With the shares.
    """
    unknown, split = unknown_share(encoder, sequences), over_split_share(encoder, texts)
    complaints = []
    if unknown > UNKNOWN_SHARE:
        complaints.append(f"{unknown:.0%} of the tokens are unknown to {encoder.name}")
    if split > SPLIT_SHARE:
        pieces = f"pieces of {LETTERS_A_PIECE} letters or fewer"
        complaints.append(
            f"{split:.0%} of the words of {LONG} letters and more are split by {encoder.name} into {pieces}"
        )
    if complaints:
        warnings.warn(f"stimuli: {' and '.join(complaints)}; is it made for this language?", stacklevel=stacklevel + 1)


def unknown_share(encoder: Encoder, sequences: Sequence[Sequence[int] | NDArray[np.int64]]) -> float:
    """Give the share of tokens that are unknown to an encoder.

    Parameters
    ----------
    encoder : Encoder
        Its tokenizer says which id stands for an unknown token.
    sequences : sequence of sequence of int
        Token ids; other special tokens do not count.

    Returns
    -------
    float
        0 where there is no unknown token, or no token.
    """
    unknown = encoder.tokenizer.unk_token_id
    if unknown is None or not len(sequences):
        return 0.0
    special = np.array([token for token in encoder.tokenizer.all_special_ids if token != unknown], dtype=np.int64)
    tokens = np.concatenate([np.asarray(sequence, dtype=np.int64) for sequence in sequences])
    tokens = tokens[~np.isin(tokens, special)]
    return float((tokens == unknown).mean()) if len(tokens) else 0.0


def over_split_share(encoder: Encoder, texts: Iterable[str]) -> float:
    """Give the share of words that an encoder's tokenizer splits into pieces of three letters or fewer on average.

    Parameters
    ----------
    encoder : Encoder
        Its tokenizer is used.
    texts : iterable of str
        Words of four letters and more are looked at, each as often as it stands there.

    Returns
    -------
    float
        0 for fewer than five different words, writing without blanks, or vocabularies of less than 5,000 tokens.

    Examples
    --------
    >>> from neuroling.features.transformer.encoder import load_encoder
    >>> encoder = load_encoder("minilm", device="cpu")
    >>> over_split_share(encoder, ["The dog was running across the meadow, barking loudly at every butterfly."])
    0.0
    >>> over_split_share(encoder, ["Der Hund lief über die Wiese und bellte laut jeden Schmetterling an."]) > 0.6
    True
    """
    if len(encoder.tokenizer) < SMALLEST_VOCABULARY:
        return 0.0
    found = (word for text in texts for word in WORD.findall(text) if len(word) >= LONG)
    counts = Counter(word for word in found if not needs_no_blank(word[0]))
    words = list(islice(counts, MOST))
    if len(words) < FEWEST:
        return 0.0
    read = encoder.tokenizer([f" {word}" for word in words], add_special_tokens=False, verbose=False)["input_ids"]
    pieces = np.array([_n_pieces(encoder, ids) for ids in read])
    letters, weights = np.array([len(word) for word in words]), np.array([counts[word] for word in words])
    split = (pieces > 1) & (letters <= LETTERS_A_PIECE * pieces)
    return float(weights[split].sum() / weights.sum())


def _n_pieces(encoder: Encoder, ids: list[int]) -> int:
    """Count the tokens of a word, but for one that is the blank in front of it alone."""
    return sum(bool(str(token).strip(MARKS)) for token in encoder.tokenizer.convert_ids_to_tokens(ids))
