"""Features of the words of a story: how often, how long, how frequent, where, and what they mean in context."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.features.cache import remember
from neuroling.features.encoder import Encoder, load_encoder
from neuroling.features.states import check_encodable, hidden_states, warn_of_unknown

WordPool = Literal["mean", "last"]
Span = tuple[int, int]


def word_rate(words: Stimuli) -> xr.DataArray:
    """Give every word a one: convolved, this is how many words are being heard.

    Parameters
    ----------
    words : Stimuli
        One row a word.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        One feature, ``"word_rate"``.

    Examples
    --------
    >>> word_rate(Stimuli.from_texts(["once", "upon"])).values.ravel().tolist()
    [1.0, 1.0]
    """
    return _column(words, "word_rate", np.ones(len(words)))


def word_length(words: Stimuli) -> xr.DataArray:
    """Count the letters and digits of every word.

    Parameters
    ----------
    words : Stimuli
        One row a word.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        One feature, ``"word_length"``, in letters; punctuation does not count.

    Examples
    --------
    >>> word_length(Stimuli.from_texts(["don't", "rabbit,"])).values.ravel().tolist()
    [4.0, 6.0]
    """
    return _column(words, "word_length", np.array([sum(map(str.isalnum, text)) for text in words.texts], dtype=float))


def word_position(words: Stimuli) -> xr.DataArray:
    """Count words from the start of their group, or of the story where there are no groups.

    Parameters
    ----------
    words : Stimuli
        One row a word, in order of time; perhaps with a ``group``.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        One feature, ``"word_position"``, from 0.

    Examples
    --------
    >>> word_position(Stimuli.from_texts(["a", "b", "c"], group=[1, 1, 2])).values.ravel().tolist()
    [0.0, 1.0, 0.0]
    """
    position = np.concatenate([np.arange(stop - start) for start, stop in _stretches(words)])
    return _column(words, "word_position", position.astype(float))


def log_frequency(words: Stimuli, table: Mapping[str, float], *, missing: float | None = None) -> xr.DataArray:
    """Look up how frequent every word is, as a logarithm to base 10.

    Parameters
    ----------
    words : Stimuli
        One row a word. Case and surrounding punctuation are ignored in looking up.
    table : mapping of str to float
        Frequency by word in lower case, in whatever unit (per million words, or counts); above zero.
    missing : float, optional
        Frequency of words that are not in the table, in the same unit. Without it they are an error.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        One feature, ``"log_frequency"``.

    Raises
    ------
    ValueError
        If a word is missing, or a frequency is not above zero.

    Examples
    --------
    >>> log_frequency(Stimuli.from_texts(["The", "rabbit"]), {"the": 10000, "rabbit": 10}).values.ravel().tolist()
    [4.0, 1.0]
    """
    keys = [_bare(text) for text in words.texts]
    absent = [key for key in dict.fromkeys(keys) if key not in table]
    if absent and missing is None:
        raise ValueError(
            f"table: {len(absent)} words have no frequency, first {absent[:5]}; add them, or set missing= to the "
            "frequency that they shall have."
        )
    values = np.array([table.get(key, missing) for key in keys], dtype=float)
    bad = [key for key, value in zip(keys, values, strict=True) if not (np.isfinite(value) and value > 0)]
    if bad:
        raise ValueError(f"table: {len(bad)} frequencies are not finite numbers above zero, first of {bad[:5]}.")
    return _column(words, "log_frequency", np.log10(values)).assign_attrs(n_missing=sum(key in absent for key in keys))


def embed_words_in_context(
    words: Stimuli,
    encoder: Encoder | str = "minilm",
    *,
    window: int = 40,
    stride: int = 1,
    layer: int = -1,
    pool: WordPool = "mean",
    batch_tokens: int = 4096,
    device: str = "auto",
    progress: bool = False,
    cache: Path | None = None,
) -> xr.DataArray:
    """Embed each word of a story as it is understood from the words before it.

    Words are joined by blanks into running text, and the text ending at a word is read by the encoder: so many words
    before it, the word itself, and nothing after it, even where the encoder reads in both directions. Word pieces find
    their word by character offsets in that text; words are never tokenised by themselves. Text does not run across
    groups, so that no word of one run is read into another.

    Parameters
    ----------
    words : Stimuli
        One row a word, in order of time; perhaps with a ``group`` (run or story).
    encoder : Encoder or str
        A loaded encoder, or what :func:`~neuroling.features.encoder.load_encoder` takes without a revision.
    window : int
        Words before each word that are read at least, where the group has them.
    stride : int
        Words taken from one reading. With 1 every word is the last that is read. With more, the cost falls as
        ``1 / stride``, and a word is read with up to ``stride - 1`` words *after* it, which an encoder of both
        directions makes use of.
    layer : int
        0 (embeddings) to ``encoder.n_layers``, or counted from the end.
    pool : {"mean", "last"}
        Average over the pieces of a word, or its last piece.
    batch_tokens : int
        Tokens in a batch, pads included; changes speed and memory, not numbers.
    device : str
        Where to run, if the encoder is given by name.
    progress : bool
        Show a progress bar.
    cache : Path, optional
        Folder of earlier embeddings.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        float32, one row a word.

    Raises
    ------
    ValueError
        If a word gets no piece, a piece covers two words, or a window is longer than ``encoder.max_tokens``.

    Examples
    --------
    >>> story = Stimuli.from_texts("he sat by the river on the bank".split(), labels=range(8))
    >>> embed_words_in_context(story, "minilm", device="cpu").shape
    (8, 384)
    """
    encoder = load_encoder(encoder, device=device) if isinstance(encoder, str) else encoder
    layer = encoder.resolve_layer(layer)
    _check_options(window, stride, pool)
    check_encodable(words.texts, words.labels.tolist())
    options = {"layer": layer, "pool": pool, "window": window, "stride": stride}
    readings = [_tokenise(encoder, words, window) for window in plan_windows(_stretches(words), window, stride)]
    warn_of_unknown(encoder, [reading.ids for reading in readings], stacklevel=3)
    values = remember(
        cache,
        {
            "step": "embed_words_in_context",
            "words": words.texts,
            "stretches": [list(stretch) for stretch in _stretches(words)],
            **options,
            **encoder.provenance(),
        },
        lambda: _embed(encoder, readings, len(words), layer, pool, batch_tokens, progress),
    )
    step = {"step": "embed_words_in_context", "stimuli": words.fingerprint}
    return words.features(values).assign_attrs({**step, **options, **encoder.provenance()})


@dataclass(frozen=True)
class Window:
    """A stretch of words that is read at once.

    Attributes
    ----------
    start, stop : int
        Words that are read, ``start`` to before ``stop``.
    first : int
        Words from here on are taken from this reading; those before it are context.
    """

    start: int
    first: int
    stop: int


@dataclass(frozen=True)
class _Reading:
    """A tokenised window: its token ids, and the pieces of every word that is taken from it."""

    ids: list[int]
    pieces: dict[int, list[int]]


def plan_windows(stretches: list[Span], window: int, stride: int) -> Iterator[Window]:
    """Cover words by overlapping windows, each word taken from one of them with enough words before it.

    Parameters
    ----------
    stretches : list of (start, stop)
        Stretches of words that no window may cross.
    window : int
        Words of context before the first word taken, where the stretch has them.
    stride : int
        Words taken from each window.

    Yields
    ------
    Window

    Examples
    --------
    >>> [(w.start, w.first, w.stop) for w in plan_windows([(0, 5)], window=2, stride=2)]
    [(0, 0, 2), (0, 2, 4), (2, 4, 5)]
    """
    for begin, end in stretches:
        for first in range(begin, end, stride):
            yield Window(max(begin, first - window), first, min(first + stride, end))


def _check_options(window: int, stride: int, pool: str) -> None:
    if window < 0 or stride < 1:
        raise ValueError(f"window, stride: got {window} and {stride}; expected at least 0 and at least 1 words.")
    if pool not in ("mean", "last"):
        raise ValueError(f"pool: got {pool!r}; expected 'mean' or 'last'.")


def _stretches(words: Stimuli) -> list[Span]:
    """Give the stretches of words of one group; a group that comes back later is an error."""
    if "group" not in words.table:
        return [(0, len(words))]
    group = words.table["group"].to_numpy()
    starts = [0, *(int(i) + 1 for i in np.flatnonzero(group[1:] != group[:-1]))]
    names = [group[start] for start in starts]
    if len(set(names)) != len(names):
        again = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"group: {again!r} stands in several places; sort the words by group and time.")
    return list(zip(starts, [*starts[1:], len(words)], strict=True))


def _tokenise(encoder: Encoder, words: Stimuli, window: Window) -> _Reading:
    texts = words.texts[window.start : window.stop]
    tokens = encoder.tokenizer(" ".join(texts), return_offsets_mapping=True, verbose=False)
    ids: list[int] = tokens["input_ids"]
    if len(ids) > encoder.max_tokens:
        raise ValueError(
            f"window: the {len(texts)} words up to {words.labels[window.stop - 1]!r} are {len(ids)} tokens, and "
            f"{encoder.name} reads {encoder.max_tokens}; choose fewer words of context or a smaller stride."
        )
    pieces: dict[int, list[int]] = {word: [] for word in range(window.first, window.stop)}
    for piece, owned in enumerate(_owners(texts, tokens["offset_mapping"])):
        if len(owned) > 1:
            both = [texts[i] for i in owned]
            raise ValueError(
                f"words: one piece of {encoder.name} covers {both}; its tokenizer does not keep words apart."
            )
        for place in owned:
            if place + window.start in pieces:
                pieces[place + window.start].append(piece)
    labels = words.labels.tolist()
    silent = [labels[word] for word, found in pieces.items() if not found]
    if silent:
        raise ValueError(
            f"words: {len(silent)} get no piece from {encoder.name} (first labels {silent[:5]}); they hold invisible "
            "characters only. Leave them out."
        )
    return _Reading(ids, pieces)


def _owners(texts: list[str], offsets: list[Span]) -> list[list[int]]:
    """Give, for each piece, the words it shares a character with; none for special tokens and bare blanks."""
    lengths = np.array([len(text) for text in texts])
    begins = np.concatenate([[0], np.cumsum(lengths + 1)[:-1]])  # words are joined by single blanks
    starts, stops = np.array(offsets).T
    first = np.searchsorted(begins + lengths, starts, side="right")
    behind = np.searchsorted(begins, stops, side="left")
    return [
        list(range(a, b)) if stop > start else []
        for a, b, start, stop in zip(first, behind, starts, stops, strict=True)
    ]


def _embed(
    encoder: Encoder,
    readings: list[_Reading],
    n_words: int,
    layer: int,
    pool: WordPool,
    batch_tokens: int,
    progress: bool,
) -> NDArray[np.float32]:
    """Give the vectors of all words, shape (word, unit)."""
    values = np.empty((n_words, int(encoder.model.config.hidden_size)), dtype=np.float32)
    sequences = [reading.ids for reading in readings]
    for batch in hidden_states(encoder, sequences, layer=layer, batch_tokens=batch_tokens, progress=progress):
        for place, row in enumerate(batch.rows):
            for word, pieces in readings[row].pieces.items():
                taken = batch.states[place, pieces if pool == "mean" else pieces[-1:]]  # (piece, unit)
                values[word] = taken.mean(0).cpu().numpy()
    return values


def _bare(text: str) -> str:
    """Give a word in lower case without the punctuation around it."""
    inside = [place for place, character in enumerate(text) if character.isalnum()]
    return text[inside[0] : inside[-1] + 1].lower() if inside else text.lower()


def _column(words: Stimuli, name: str, values: NDArray[np.float64]) -> xr.DataArray:
    return words.features(values[:, None], [name]).assign_attrs(step=name, stimuli=words.fingerprint)
