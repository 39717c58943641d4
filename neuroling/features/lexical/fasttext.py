"""Models of fastText (format version 12): words and the rows of their n-grams of letters, mapped from disk."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

FASTTEXT_MAGIC = 793712314
"""First four bytes of a fastText model, as a little-endian integer."""


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


def read_fasttext(path: Path, stream: BinaryIO) -> FastText:
    """Read the header and the vocabulary of a model, and map the matrix behind them.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    stream : binary file
        The same, open.

    Returns
    -------
    FastText

    Raises
    ------
    ValueError
        If the model is of another version, quantised, or cut short.
    """
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
    characters = bytearray()
    while (byte := _take(path, stream, 1)) != b"\x00":
        characters += byte
    return bytes(characters)


def _take(path: Path, stream: BinaryIO, n_bytes: int) -> bytes:
    content = stream.read(n_bytes)
    if len(content) < n_bytes:
        _refuse_if_cut(path, stream.tell() - len(content) + n_bytes)
    return content


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
