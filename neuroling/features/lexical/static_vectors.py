"""One vector a word, whatever its context: word2vec, GloVe and fastText files, read where they lie."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.features.lexical.ngram import bare
from neuroling.features.words.text_checks import tidy, trimmed

FASTTEXT_MAGIC = 793712314
"""First four bytes of a fastText model, as a little-endian integer."""

OutOfVocabulary = Literal["error", "nan", "zero", "mean"]


class LooksUp(Protocol):
    """Anything that has vectors of words."""

    @property
    def source(self) -> str:
        """Name of the file."""
        ...

    @property
    def width(self) -> int:
        """Number of features."""
        ...

    def vector(self, word: str) -> NDArray[np.float32] | None:
        """Give the vector of a word, or None if there is none.

        Parameters
        ----------
        word : str
            As it stands in the file.

        Returns
        -------
        ndarray of float32, shape (feature,), or None
        """
        ...


@dataclass(frozen=True)
class WordVectors:
    """Vectors of a vocabulary.

    Attributes
    ----------
    source : str
        Name of the file.
    rows : dict of int
        Row of each word.
    vectors : ndarray of float32, shape (word, feature)
        Perhaps mapped from disk.
    """

    source: str
    rows: dict[str, int]
    vectors: NDArray[np.float32]

    @property
    def width(self) -> int:
        """Number of features."""
        return int(self.vectors.shape[1])

    def vector(self, word: str) -> NDArray[np.float32] | None:
        """Give the vector of a word, or None if there is none.

        Parameters
        ----------
        word : str
            As it stands in the file.

        Returns
        -------
        ndarray of float32, shape (feature,), or None
        """
        row = self.rows.get(word)
        return None if row is None else np.asarray(self.vectors[row], dtype=np.float32)


@dataclass(frozen=True)
class MappedVectors:
    """Vectors that stay on disk until they are asked for.

    Attributes
    ----------
    source : str
        Name of the file.
    rows : dict of int
        Byte at which the vector of each word begins.
    width : int
        Number of features.
    view : mmap.mmap
        The file.
    """

    source: str
    rows: dict[str, int]
    width: int
    view: mmap.mmap

    def vector(self, word: str) -> NDArray[np.float32] | None:
        """Give the vector of a word, or None if there is none.

        Parameters
        ----------
        word : str
            As it stands in the file.

        Returns
        -------
        ndarray of float32, shape (feature,), or None
        """
        place = self.rows.get(word)
        if place is None:
            return None
        return np.frombuffer(self.view, dtype="<f4", count=self.width, offset=place).astype(np.float32)


@dataclass(frozen=True)
class FastText:
    r"""A fastText model with subwords: a word without a row of its own is the mean of its n-grams of letters.

    The n-grams of ``<word>`` with ``shortest`` to ``longest`` letters are hashed (FNV-1a) into ``n_buckets`` rows
    behind those of the words.

    Attributes
    ----------
    source : str
        Name of the file.
    rows : dict of int
        Row of each word.
    matrix : ndarray of float32, shape (word + bucket, feature)
        Mapped from disk.
    shortest, longest : int
        Letters of an n-gram.
    n_buckets : int
        Rows of n-grams.

    References
    ----------
    Bojanowski, P. et al. (2017). Enriching word vectors with subword information. TACL 5, 135-146.
    """

    source: str
    rows: dict[str, int]
    matrix: NDArray[np.float32]
    shortest: int
    longest: int
    n_buckets: int

    @property
    def width(self) -> int:
        """Number of features."""
        return int(self.matrix.shape[1])

    def vector(self, word: str) -> NDArray[np.float32] | None:
        """Give the vector of any word; None only for one without any n-gram.

        Parameters
        ----------
        word : str
            Known or not.

        Returns
        -------
        ndarray of float32, shape (feature,), or None
        """
        own = [self.rows[word]] if word in self.rows else []
        rows = own + [len(self.rows) + _fnv(gram) % self.n_buckets for gram in self._grams(word)]
        return np.asarray(self.matrix[rows].mean(0), dtype=np.float32) if rows else None

    def _grams(self, word: str) -> Iterator[bytes]:
        if self.n_buckets == 0:
            return
        marked = f"<{word}>"
        for start in range(len(marked)):
            for length in range(self.shortest, self.longest + 1):
                alone = length == 1 and (start == 0 or start == len(marked) - 1)
                if start + length <= len(marked) and not alone:
                    yield marked[start : start + length].encode()


def load_vectors(path: Path | str, *, words: Collection[str] | None = None) -> WordVectors | MappedVectors | FastText:
    """Open a file of word vectors: word2vec (binary or text), GloVe (text) or fastText (``.vec`` or ``.bin``).

    Binary files are mapped, not read. Text has to be read; with ``words`` only theirs are kept, which is much faster.
    In text, single blanks stand between a word and its numbers.

    Parameters
    ----------
    path : path
        The file; its format is found out from its beginning.
    words : collection of str, optional
        Words that will be asked for, as they stand in the file.

    Returns
    -------
    WordVectors, MappedVectors or FastText

    Raises
    ------
    ValueError
        If the file is none of these, is cut short, has lines of different lengths, or numbers that are not finite; the
        message says where. Lines of words that are not asked for are only checked for their length.
    """
    path = Path(path)
    with path.open("rb") as stream:
        beginning = stream.read(4096)
        if len(beginning) >= 4 and struct.unpack("<i", beginning[:4])[0] == FASTTEXT_MAGIC:
            return _fasttext(path, stream)
    header = beginning.split(b"\n", 1)[0].split()
    counted = len(header) == 2 and all(part.isdigit() for part in header)
    if counted and _is_binary(beginning):
        return _word2vec_binary(path, int(header[0]), int(header[1]), words)
    return _text(path, (int(header[0]), int(header[1])) if counted else None, words)


def static_vectors(
    stimuli: Stimuli, vectors: LooksUp, *, missing: OutOfVocabulary = "error", normalise: bool = False
) -> xr.DataArray:
    """Look up a vector for each text: that of a word, or the mean over the words of a longer one.

    A word is looked up as it stands, then without the punctuation around it, then in lower case.

    Parameters
    ----------
    stimuli : Stimuli
        Words or texts.
    vectors : WordVectors or FastText
        From :func:`load_vectors`.
    missing : {"error", "nan", "zero", "mean"}
        What becomes of a text none of whose words is known: refused, NaN, zeros, or the mean of the texts that are.
    normalise : bool
        Scale every vector to unit length.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        float32. ``attrs["coverage"]`` is the share of words that were found, ``attrs["n_missing"]`` the number of texts
        without any.

    Raises
    ------
    ValueError
        If a text has no known word and ``missing`` is ``"error"``, or a vector that is found is not finite.
    """
    if missing not in ("error", "nan", "zero", "mean"):
        raise ValueError(f"missing: got {missing!r}; expected 'error', 'nan', 'zero' or 'mean'.")
    values = np.full((len(stimuli), vectors.width), np.nan, dtype=np.float32)
    n_words = n_found = 0
    for row, text in enumerate(tidy(stimuli)):
        found = [_look_up(vectors, word) for word in text.split()]
        known = [vector for vector in found if vector is not None]
        n_words, n_found = n_words + len(found), n_found + len(known)
        if known:
            values[row] = np.mean(known, axis=0)
    absent = np.isnan(values).all(1)
    if absent.any() and missing == "error":
        labels = stimuli.labels[np.flatnonzero(absent)].tolist()
        raise ValueError(
            f"stimuli: {int(absent.sum())} of {len(stimuli)} have no vector in {vectors.source} (first {labels[:5]}); "
            "leave them out, or say missing='nan', 'zero' or 'mean'."
        )
    if normalise:
        lengths = np.linalg.norm(values, axis=1, keepdims=True)
        values /= np.where(lengths > 0, lengths, 1)
    if missing == "zero":
        values[absent] = 0
    if missing == "mean" and not absent.all():
        values[absent] = values[~absent].mean(0)
    notes = {"coverage": n_found / max(1, n_words), "n_missing": int(absent.sum()), "missing": missing}
    return stimuli.features(values).assign_attrs(
        step="static_vectors", source=vectors.source, **notes, normalise=int(normalise), stimuli=stimuli.fingerprint
    )


def _look_up(vectors: LooksUp, word: str) -> NDArray[np.float32] | None:
    inside = trimmed(word)
    known = getattr(vectors, "rows", None)
    forms = list(dict.fromkeys([word, inside, bare(word)]))
    if known is not None:
        forms = [form for form in forms if form in known] or [inside]
    for form in forms:
        vector = vectors.vector(form)
        if vector is not None:
            if not np.isfinite(vector).all():
                raise ValueError(
                    f"vectors: that of {form!r} in {vectors.source} is not finite; download the file again, or leave "
                    "the word out."
                )
            return vector
    return None


def _is_binary(beginning: bytes) -> bool:
    rest = beginning.split(b"\n", 1)[-1]
    try:
        line = rest.split(b"\n", 1)[0].decode("utf-8")
    except UnicodeDecodeError:
        return True
    return "\x00" in line or not any(_is_row(line, separator) for separator in " \t,")


def _is_row(line: str, separator: str) -> bool:
    """Whether a line is a word and numbers; its beginning will do."""
    return len(line.split(separator)) >= 3 and all(map(_is_number, line.rstrip().split(separator)[1:-1]))


def _is_number(part: str) -> bool:
    try:
        float(part)
    except ValueError:
        return False
    return True


def _word2vec_binary(path: Path, n_words: int, width: int, words: Collection[str] | None) -> MappedVectors:
    places: dict[str, int] = {}
    wanted = None if words is None else set(words)
    with path.open("rb") as stream:
        view = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    place = view.find(b"\n") + 1
    for row in range(n_words):
        blank = view.find(b" ", place, place + 4096)
        if blank < 0 or blank + 1 + 4 * width > len(view):
            raise ValueError(f"path: {path} ends within word {row + 1} of {n_words}; download it again.")
        word = view[place:blank].lstrip(b"\n").decode("utf-8", "replace")
        if wanted is None or word in wanted:
            places.setdefault(word, blank + 1)
        place = blank + 1 + 4 * width
    return MappedVectors(path.name, places, width, view)


def _text(path: Path, header: tuple[int, int] | None, words: Collection[str] | None) -> WordVectors:
    wanted = None if words is None else set(words)
    promised, width = header or (0, None)
    rows: dict[str, int] = {}
    found: list[NDArray[np.float32]] = []
    n_lines = 0
    with path.open("rb") as stream:
        if header:
            stream.readline()
        for number, raw in enumerate(stream, start=2 if header else 1):
            if raw.isspace():  # such as a last line
                continue
            word, numbers = _divide(path, number, raw, width)
            width = len(numbers)
            n_lines += 1
            asked = (wanted is None or word in wanted) and word not in rows
            if asked or n_lines == 1:  # the first line is read for its form, whoever wants it
                vector = _numbers(path, number, word, numbers)
            if asked:
                rows[word] = len(found)
                found.append(vector)
    if width is None:
        raise ValueError(f"path: {path} is empty.")
    if n_lines < promised:
        raise ValueError(f"path: {path} promises {promised} words and holds {n_lines}; download it again.")
    return WordVectors(path.name, rows, np.stack(found) if found else np.empty((0, width), dtype=np.float32))


def _divide(path: Path, number: int, raw: bytes, width: int | None) -> tuple[str, list[str]]:
    """Divide a line into its word and its numbers, which are not yet read."""
    try:
        line = raw.decode("utf-8").rstrip("\r\n ")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"path: {path} line {number} is no UTF-8 (byte {error.start} of the line); save it as UTF-8."
        ) from error
    parts = line.split(" ")
    foreign = "tabs" if "\t" in line else "commas" if len(parts) == 1 and "," in line else None
    if foreign:
        raise ValueError(
            f"path: {path} line {number} is separated by {foreign}; expected a word and its numbers with single blanks "
            "between them. Put blanks in their place."
        )
    if len(parts) - 1 < (width or 1):
        raise ValueError(
            f"path: {path} line {number} has {len(parts) - 1} numbers; expected {width or 'at least one'}. Download it "
            "again."
        )
    begin = 1 if width is None else len(parts) - width  # GloVe has a few words with blanks
    if any(map(_is_number, parts[1:begin])):
        raise ValueError(f"path: {path} line {number} has more than a word and {width} numbers; download it again.")
    if not any(parts[:begin]):
        raise ValueError(f"path: {path} line {number} has no word before its {width} numbers; take the line out.")
    return " ".join(parts[:begin]), parts[begin:]


def _numbers(path: Path, number: int, word: str, numbers: list[str]) -> NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused below
            vector = np.array(numbers, dtype=np.float32)
    except ValueError as error:
        raise ValueError(f"path: {path} line {number}: {error}; expected a word and {len(numbers)} numbers.") from error
    if not np.isfinite(vector).all():
        raise ValueError(
            f"path: {path} line {number}: the vector of {word!r} is not finite; download the file again, or take the "
            "line out."
        )
    return vector


def _fasttext(path: Path, stream: BinaryIO) -> FastText:
    """Read the header and the vocabulary, and map the matrix behind them (format version 12)."""
    stream.seek(0)
    _, version = struct.unpack("<2i", _take(path, stream, 8))
    if version != 12:
        raise ValueError(f"path: {path} is a fastText model of version {version}; expected 12.")
    options = struct.unpack("<12i", _take(path, stream, 48))
    _take(path, stream, 8)  # sampling threshold
    width, n_buckets, shortest, longest = options[0], options[8], options[9], options[10]
    size, n_words, _ = struct.unpack("<3i", _take(path, stream, 12))
    _, n_pruned = struct.unpack("<2q", _take(path, stream, 16))
    rows = {}
    for row in range(size):
        word = _until_zero(path, stream)
        _take(path, stream, 9)  # count and kind
        if row < n_words:
            rows[word.decode("utf-8", "replace")] = row
    _take(path, stream, 8 * max(0, n_pruned))
    if _take(path, stream, 1) != b"\x00" or n_pruned > 0:
        raise ValueError(f"path: {path} is a quantised fastText model; use the full one.")
    height, found_width = struct.unpack("<2q", _take(path, stream, 16))
    if found_width != width or height != n_words + n_buckets:
        raise ValueError(f"path: {path} holds {height} × {found_width}; expected {n_words + n_buckets} × {width}.")
    _refuse_if_cut(path, stream.tell() + 4 * height * width)
    matrix = np.memmap(path, dtype="<f4", mode="r", offset=stream.tell(), shape=(height, width))
    return FastText(path.name, rows, matrix, shortest, longest, n_buckets if longest > 0 else 0)


def _until_zero(path: Path, stream: BinaryIO) -> bytes:
    found = bytearray()
    while (byte := _take(path, stream, 1)) != b"\x00":
        found += byte
    return bytes(found)


def _take(path: Path, stream: BinaryIO, n_bytes: int) -> bytes:
    found = stream.read(n_bytes)
    if len(found) < n_bytes:
        _refuse_if_cut(path, stream.tell() - len(found) + n_bytes)
    return found


def _refuse_if_cut(path: Path, expected: int) -> None:
    size = path.stat().st_size
    if size < expected:
        raise ValueError(
            f"path: {path} is cut short: expected at least {expected} bytes, got {size}; download it again."
        )


def _fnv(gram: bytes) -> int:
    """Hash as fastText does: FNV-1a with 32 bits, bytes taken as signed."""
    value = 2166136261
    for byte in gram:
        value = ((value ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * 16777619) & 0xFFFFFFFF
    return value
