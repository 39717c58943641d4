"""Binary files of word2vec: a header, then each word, a blank, and its numbers in float32."""

from __future__ import annotations

import gzip
import mmap
import re
import struct
import warnings
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

LARGEST_UNPACKED = 32 * 10**9
"""Bytes of a gzip file once unpacked: eight times the largest word2vec file in use, so no gzip bomb."""

BYTES_AT_ONCE = 2**24

LONGEST_NAME = 4096
"""Bytes within which the blank behind a word of a binary file is looked for."""

PLAUSIBLE = (1e-15, 1e10)
"""Sizes of numbers in vectors. A vector that is read from the wrong byte has others in it: letters are numbers of about
1e-19 or 1e25 in float32, and its own bytes make numbers of any size."""

FEW = 100
"""Words below which the sizes of their numbers may not be usual ones."""

USUAL = (1e-6, 1e4)
"""Sizes of numbers relative to the median of a file's; vectors with others are looked at again, and kept if no other
reading is likelier."""

SEEN = 16
"""Numbers of a vector that are looked at: one in seven wrong ones has a usual size by chance, 16 of them never."""

UNREADABLE_SHARE = 0.01
"""Share of names that are no UTF-8 above which a file is in another encoding. The program word2vec cuts long words
within characters, so that a few stand in many files."""

CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
"""Bytes that stand in no text."""


class Header(NamedTuple):
    """What the first line of a file promises, and the bytes that it takes."""

    n_words: int
    width: int
    n_bytes: int


View = mmap.mmap | bytes
"""A file, or what was unpacked from it."""


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
    view : mmap.mmap or bytes
        The file, or what was unpacked from it.
    """

    source: str
    rows: dict[str, int]
    width: int
    view: View

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
        offset = self.rows.get(word)
        if offset is None:
            return None
        return np.frombuffer(self.view, dtype="<f4", count=self.width, offset=offset).astype(np.float32)


def read_word2vec(path: Path, stream: BinaryIO, header: Header, requested: Container[str] | None) -> MappedVectors:
    """Find the words of a binary file, and check that what stands behind them can be their vectors.

    Names may hold blanks: where the bytes behind a blank are no vector, or what follows them no name, the next blank is
    tried.

    Parameters
    ----------
    path : pathlib.Path
        For messages.
    stream : binary file
        Mapped; unpacked into memory where it is a gzip file.
    header : Header
        What the first line promises.
    requested : container of str, optional
        Words to be kept.

    Returns
    -------
    MappedVectors

    Raises
    ------
    ValueError
        If the file is cut short or longer than promised, more than 1 % of the names are no UTF-8, or most vectors hold
        numbers that no vectors hold.
    """
    view = _view(path, stream)
    n_words, width, _ = header
    starts, blanks = _places(view, header)
    if not len(starts):
        raise ValueError(f"path: {path} ends within word 1 of {n_words}; download it again.")
    numbers = _first_numbers(view, blanks, width)
    usual = _usual_sizes(numbers)
    names = _between(view, starts, blanks)
    for bounds in (usual, PLAUSIBLE) if n_words < FEW else (usual,):  # a few words may not show what is usual
        if len(names) == n_words and _within(numbers, bounds).all() and _are_names(names):
            break
        starts, blanks = _careful_places(view, header, bounds)
        names = _between(view, starts, blanks)
        numbers = _first_numbers(view, blanks, width)
    if len(names) < n_words:
        raise ValueError(f"path: {path} ends within word {len(names) + 1} of {n_words}; download it again.")
    _check_binary(path, view, int(blanks[-1]) + 1 + 4 * width, names, numbers)
    offset_of_word: dict[str, int] = {}
    n_again = 0
    for name, blank in zip(names, blanks.tolist(), strict=True):
        word = name.decode("utf-8", "replace")
        if requested is None or word in requested:
            n_again += word in offset_of_word
            offset_of_word.setdefault(word, blank + 1)
    warn_of_doubles(path, n_again)
    return MappedVectors(path.name, offset_of_word, width, view)


def _between(view: View, starts: NDArray[np.intp], blanks: NDArray[np.intp]) -> list[bytes]:
    return [view[start:blank] for start, blank in zip(starts.tolist(), blanks.tolist(), strict=True)]


def _usual_sizes(numbers: NDArray[np.float32]) -> tuple[float, float]:
    """Give the sizes between which numbers are as in other vectors."""
    sizes = np.abs(numbers[np.isfinite(numbers) & (numbers != 0)])
    middle = float(np.median(sizes)) if len(sizes) else 1.0
    return max(PLAUSIBLE[0], middle * USUAL[0]), min(PLAUSIBLE[1], middle * USUAL[1])


def _within(numbers: NDArray[np.float32], bounds: tuple[float, float]) -> NDArray[np.bool_]:
    """Whether the numbers of each vector are of a usual size, or zero, shape (word,)."""
    sizes = np.abs(numbers)
    return np.asarray(((sizes == 0) | ((sizes >= bounds[0]) & (sizes <= bounds[1]))).all(1))


def _view(path: Path, stream: BinaryIO) -> View:
    if not isinstance(stream, gzip.GzipFile):
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    content = bytearray()
    while chunk := stream.read(BYTES_AT_ONCE):
        content += chunk
        if len(content) > LARGEST_UNPACKED:
            raise ValueError(f"path: {path} has more than {LARGEST_UNPACKED} bytes once unpacked; are these vectors?")
    return bytes(content)


def _places(view: View, header: Header) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find names and the blanks behind them, as if no name held a blank; as many words as the file has."""
    n_words, width, offset = header
    starts: list[int] = []
    blanks: list[int] = []
    size = 1 + 4 * width
    while len(starts) < n_words:
        if view[offset : offset + 1] == b"\n":
            offset += 1
            continue
        blank = view.find(b" ", offset, offset + LONGEST_NAME)
        if blank < 0 or blank + size > len(view):
            break
        starts.append(offset)
        blanks.append(blank)
        offset = blank + size
    return np.array(starts, dtype=np.intp), np.array(blanks, dtype=np.intp)


def _first_numbers(view: View, blanks: NDArray[np.intp], width: int) -> NDArray[np.float32]:
    """Gather the first numbers of all vectors, shape (word, number)."""
    content = np.frombuffer(view, dtype=np.uint8)
    reach = 1 + np.arange(4 * min(width, SEEN))
    parts = [content[blanks[row : row + 65536, None] + reach] for row in range(0, len(blanks), 65536)]
    return np.concatenate(parts).view("<f4")


def _are_names(names: Sequence[bytes]) -> bool:
    """Whether all of some bytes can be words."""
    joined = b"\t".join(names)
    return b"" not in names and _is_name(joined) and joined.count(b"\t") == len(names) - 1


def _careful_places(
    view: View, header: Header, bounds: tuple[float, float]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find names and the blanks behind them, where names may hold blanks."""
    n_words, width, offset = header
    starts: list[int] = []
    blanks: list[int] = []
    for row in range(n_words):
        name, blank = _name_at(view, offset)
        if blank < 0 or blank + 1 + 4 * width > len(view):
            break
        start, n_left = blank - len(name), n_words - row - 1
        if not (_is_name(name) and all(_seen_behind(view, blank, width, n_left, bounds))):
            blank = _likeliest_blank(view, start, width, n_left, bounds)
        starts.append(start)
        blanks.append(blank)
        offset = blank + 1 + 4 * width
    return np.array(starts, dtype=np.intp), np.array(blanks, dtype=np.intp)


def _name_at(view: View, offset: int) -> tuple[bytes, int]:
    """Give what stands before the next blank, and where that blank is, or -1."""
    while view[offset : offset + 1] == b"\n":
        offset += 1
    blank = view.find(b" ", offset, offset + LONGEST_NAME)
    return view[offset:blank] if blank >= 0 else b"", blank


def _is_name(name: bytes) -> bool:
    """Whether bytes can be a word: UTF-8 without control characters."""
    if not name or CONTROL.search(name):
        return False
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_vector(view: View, offset: int, width: int, bounds: tuple[float, float]) -> bool:
    """Whether the first numbers from a byte on are of the size of those in other vectors."""
    smallest, largest = bounds
    numbers = struct.unpack_from(f"<{min(width, SEEN)}f", view, offset)
    return all(size == 0 or smallest <= size <= largest for size in map(abs, numbers))


def _seen_behind(
    view: View, blank: int, width: int, n_left: int, bounds: tuple[float, float]
) -> tuple[bool, bool, bool]:
    """Whether a vector stands behind a blank, another name behind that, and its vector."""
    behind = blank + 1 + 4 * width
    if not _is_vector(view, blank + 1, width, bounds):
        return False, False, False
    if not n_left:
        return True, True, not view[behind : behind + LONGEST_NAME].strip(b"\r\n")
    name, following = _name_at(view, behind)
    whole = 0 <= following <= len(view) - 1 - 4 * width
    return True, _is_name(name), whole and _is_vector(view, following + 1, width, bounds)


def _likeliest_blank(view: View, start: int, width: int, n_left: int, bounds: tuple[float, float]) -> int:
    """Find the blank that ends a name that may hold blanks: the one with the most of a vector and a word behind it."""
    first = blank = view.find(b" ", start)
    best, likeliest = (False, False, False), first
    while 0 <= blank < start + LONGEST_NAME and blank + 1 + 4 * width <= len(view):
        name = view[start:blank]
        if CONTROL.search(name):
            break
        if _is_name(name) and (seen := _seen_behind(view, blank, width, n_left, bounds)) > best:
            best, likeliest = seen, blank
        blank = view.find(b" ", blank + 1, start + LONGEST_NAME)
    return likeliest


def _check_binary(path: Path, view: View, end: int, names: Sequence[bytes], numbers: NDArray[np.float32]) -> None:
    """Refuse a file that is not what its header says, as seen from what was found in it."""
    unreadable = [] if _are_names(names) else [name for name in names if not _is_name(name)]
    examples = ", ".join(repr(name[:20].decode("utf-8", "replace")) for name in unreadable[:3])
    if len(unreadable) > UNREADABLE_SHARE * len(names):
        raise ValueError(
            f"path: the names of {len(unreadable)} of {len(names)} words in {path} are no UTF-8 (first {examples}); "
            "its header may be wrong, or it is in another encoding, such as Latin-1. Convert it to UTF-8."
        )
    n_odd = int((~_within(np.where(np.isfinite(numbers), numbers, 0), PLAUSIBLE)).sum())
    if 2 * n_odd > len(names):
        raise ValueError(
            f"path: {n_odd} of {len(names)} vectors in {path} hold numbers below {PLAUSIBLE[0]:g} or above "
            f"{PLAUSIBLE[1]:g}; expected float32, the lowest byte first. Download or convert it again."
        )
    if view[end : end + LONGEST_NAME].strip(b"\r\n"):
        raise ValueError(
            f"path: {path} holds {len(view) - end} bytes behind the {len(names)} words that its header promises; "
            "download it again."
        )
    if unreadable:
        warnings.warn(
            f"path: the names of {len(unreadable)} of {len(names)} words in {path} are no UTF-8 and will not be found "
            f"(first {examples}).",
            stacklevel=4,
        )


def warn_of_doubles(path: Path, n_again: int) -> None:
    """Warn of words that stand in a file more than once.

    Parameters
    ----------
    path : pathlib.Path
        For the message.
    n_again : int
        How many lines are of words that stood there before.
    """
    if n_again:
        warnings.warn(
            f"path: {n_again} lines of {path} are of words that stand there before; their first vectors are taken.",
            stacklevel=5,
        )
