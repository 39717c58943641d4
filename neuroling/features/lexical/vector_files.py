"""Files of word vectors: word2vec, GloVe and fastText, told apart by what is in them and read where they lie."""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from neuroling.core.lines import read_lines
from neuroling.features.lexical.fasttext import FASTTEXT_MAGIC, FastText, read_fasttext
from neuroling.features.lexical.word2vec import CONTROL, Header, MappedVectors, read_word2vec, warn_of_doubles
from neuroling.features.words.letter_case import CaseLookup, casefold

BEGINNING = 65536
"""Bytes that a file is told by: the longest line of vectors with 3,000 numbers."""

FIRST_LINES = 100
"""Lines by which the number of features is found out where no header states it."""

OTHER_FORMATS = {
    rb"PK\x03\x04": "a zip archive; unpack it first",
    rb"BZh[1-9]1AY&SY": "packed with bzip2; unpack it first",
    rb"\xfd7zXZ\x00": "packed with xz; unpack it first",
    rb"\x80[\x02-\x05]": "a pickle, which may run any code and is never read; save it in the format of word2vec",
    rb"\x93NUMPY": "an array of NumPy without words; expected words with their vectors",
    rb"\x89HDF": "an HDF5 file; save it in the format of word2vec instead",
    rb"\xff\xfe|\xfe\xff": "UTF-16; save it as UTF-8",
}
"""Beginnings of files that are something else, as regular expressions."""

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


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


def load_vectors(path: Path | str, *, words: Collection[str] | None = None) -> WordVectors | MappedVectors | FastText:
    """Open a file of word vectors: word2vec (binary or text), GloVe (text) or fastText (``.vec`` or ``.bin``).

    What a file is, is found out from its content. Binary files are mapped, not read. Text has to be read; with
    ``words`` only theirs are kept, which needs less memory. In text, single blanks stand between a word and its
    numbers; words may hold blanks themselves.

    Parameters
    ----------
    path : path
        The file, perhaps packed with gzip; a packed binary file is unpacked into memory.
    words : collection of str, optional
        Words that will be asked for, in any case.

    Returns
    -------
    WordVectors, MappedVectors or FastText

    Raises
    ------
    ValueError
        If the file is none of these, is cut short, is no UTF-8, has lines of different lengths, or numbers that are not
        finite; the message says where. Lines of words that are not asked for are only checked for their length.

    Warns
    -----
    UserWarning
        If words stand more than once, of which the first vector is taken, or names of a binary file are no UTF-8.
    """
    path = Path(path)
    with _opened(path) as stream:
        beginning = stream.read(BEGINNING)
        for magic, what in OTHER_FORMATS.items():
            if re.match(magic, beginning):
                raise ValueError(f"path: {path} is {what}.")
        if len(beginning) >= 4 and struct.unpack("<i", beginning[:4])[0] == FASTTEXT_MAGIC:
            if isinstance(stream, gzip.GzipFile):
                raise ValueError(f"path: {path} is a packed fastText model, which cannot be mapped; unpack it first.")
            return read_fasttext(path, stream)
        header = _header(beginning)
        stream.seek(0)
        requested = None if words is None else _Wanted.of(words)
        if header is None or _is_text(beginning, header):
            return _text(path, stream, header, requested)
        return read_word2vec(path, stream, header, requested)


@dataclass(frozen=True)
class _Wanted:
    """Words that will be asked for: their spellings, and these with case folded."""

    forms: frozenset[str]
    folded: frozenset[str]

    @classmethod
    def of(cls, words: Collection[str]) -> _Wanted:
        forms = frozenset(form for word in words for form in CaseLookup(()).forms(word))
        return cls(forms, frozenset(casefold(form, language) for form in forms for language in (None, "tr")))

    def __contains__(self, word: object) -> bool:
        if not isinstance(word, str):
            return False
        return word in self.forms or casefold(word) in self.folded or casefold(word, "tr") in self.folded


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, unpacking it where it is packed with gzip, and say in a sentence what is wrong with that."""
    if path.is_dir():
        raise IsADirectoryError(f"path: {path} is a folder; expected a file of word vectors. Name the file in it.")
    if not path.is_file():
        raise FileNotFoundError(f"path: {path} is not there; expected a file of word vectors.")
    with path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        if not packed:
            yield plain
            return
        with gzip.GzipFile(fileobj=plain) as stream:
            try:
                yield stream  # type: ignore[misc]  # all that is used of a binary file
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise ValueError(f"path: {path} does not unpack ({error}); download it again.") from error


def _header(beginning: bytes) -> Header | None:
    """Read the first line of a word2vec file: how many words and how many features there are."""
    mark = len(BOM_UTF8) if beginning.startswith(BOM_UTF8) else 0
    end = re.search(rb"\r\n|\r|\n", beginning[mark:])
    if end is None:
        return None
    fields = beginning[mark : mark + end.start()].split()
    if len(fields) != 2 or not all(part.isdigit() for part in fields):
        return None
    return Header(int(fields[0]), int(fields[1]), mark + end.end())


def _is_text(beginning: bytes, header: Header) -> bool:
    """Whether text follows a header: a line that ends in numbers, or UTF-8 without control characters."""
    rest = beginning[header.n_bytes :]
    line = re.split(rb"[\r\n]", rest, maxsplit=1)[0]
    fields = re.split(rb"[ \t,;]+", line.strip())
    if len(rest) > len(line) or len(beginning) < BEGINNING:  # the line is whole
        numbers = fields[-min(header.width, max(len(fields) - 1, 1)) :]
        if len(fields) > 1 and all(_is_number(number.decode("ascii", "replace")) for number in numbers):
            return True
    try:
        rest.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(rest) - 3:  # else a character that was cut
            return False
    return not CONTROL.search(rest)


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return "_" not in field


# --- text -------------------------------------------------------------------------------------------------------------


def _text(path: Path, stream: BinaryIO, header: Header | None, wanted: _Wanted | None) -> WordVectors:
    try:
        return _text_lines(path, enumerate(read_lines(stream), start=1), header, wanted)
    except ValueError as error:
        if str(error).startswith("path: "):
            raise
        raise ValueError(f"path: {path}: {error}.") from error


def _text_lines(
    path: Path, lines: Iterable[tuple[int, bytes]], header: Header | None, requested: _Wanted | None
) -> WordVectors:
    rest = iter(lines)
    if header is not None:
        next(rest)
        width = header.width
    else:
        first = list(islice(rest, FIRST_LINES))
        if first and first[0][1].startswith(BOM_UTF8):
            first[0] = (1, first[0][1].removeprefix(BOM_UTF8))
        width = _width(path, [line for _, line in first if not line.isspace() and line])
        rest = chain(first, rest)
    rows: dict[str, int] = {}
    vectors: list[NDArray[np.float32]] = []
    n_lines = n_again = 0
    for number, raw in rest:
        if not raw or raw.isspace():  # such as a last line
            continue
        word, numbers = _divide(path, number, raw, width)
        n_lines += 1
        is_requested = requested is None or word in requested
        again = is_requested and word in rows
        n_again += again
        if (is_requested and not again) or n_lines == 1:  # the first line is read for its form, whoever wants it
            vector = _numbers(path, number, word, numbers)
        if is_requested and not again:
            rows[word] = len(vectors)
            vectors.append(vector)
    if n_lines == 0:
        raise ValueError(f"path: {path} is empty.")
    if header is not None and n_lines != header.n_words:
        raise ValueError(f"path: {path} promises {header.n_words} words and holds {n_lines}; download it again.")
    warn_of_doubles(path, n_again)
    return WordVectors(path.name, rows, np.stack(vectors) if vectors else np.empty((0, width), dtype=np.float32))


def _width(path: Path, lines: list[bytes]) -> int:
    """Find out how many features there are: so many numbers as most lines end in, with one word before them."""
    if not lines:
        raise ValueError(f"path: {path} is empty.")
    fields = [line.decode("utf-8", "replace").rstrip(" ").split(" ") for line in lines]
    ends = [_n_numbers(own) for own in fields]
    common, _ = Counter(ends).most_common(1)[0]  # the first of several that are as common
    plain = sum(len(own) == common + 1 for own in fields)
    return common if common and 2 * plain >= len(fields) else max(len(fields[0]) - 1, 1)


def _n_numbers(fields: list[str]) -> int:
    """Count the numbers at the end of a line, the first part not counted."""
    count = 0
    while count < len(fields) - 1 and _is_number(fields[-1 - count]):
        count += 1
    return count


def _divide(path: Path, number: int, raw: bytes, width: int) -> tuple[str, list[str]]:
    """Divide a line into its word and its numbers, which are not yet read."""
    try:
        line = raw.decode("utf-8").rstrip(" ")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"path: {path} line {number} is no UTF-8 (byte {error.start} of the line is {raw[error.start]:#04x}); save "
            "it as UTF-8."
        ) from error
    fields = line.split(" ")
    foreign = "tabs" if "\t" in line else "commas" if len(fields) == 1 and "," in line else None
    if foreign:
        raise ValueError(
            f"path: {path} line {number} is separated by {foreign}; expected a word and its numbers with single blanks "
            "between them. Put blanks in their place."
        )
    if len(fields) - 1 < width:
        wanted = "at least one" if width == 1 else width
        raise ValueError(
            f"path: {path} line {number} has {len(fields) - 1} numbers; expected {wanted}. Download it again."
        )
    begin = len(fields) - width  # words may hold blanks
    if _is_too_long(fields, begin):
        raise ValueError(f"path: {path} line {number} has more than a word and {width} numbers; download it again.")
    word = " ".join(fields[:begin])
    if not word:
        raise ValueError(f"path: {path} line {number} has no word before its {width} numbers; take the line out.")
    return word.strip(" ") or word, fields[begin:]


def _is_too_long(fields: list[str], begin: int) -> bool:
    """Whether a line is a word and too many numbers, and not a name that holds blanks and numbers (10 000, Apollo 11).

    A whole number behind a word is part of its name where the features of the line are written otherwise (0.1, 2e-3).
    """
    inside = fields[1:begin]
    if not inside or not all(map(NUMBER.fullmatch, inside)):
        return False
    named = fields[0].isdecimal() or not any(part.isdecimal() for part in fields[begin:])
    return not (named and all(part.isdecimal() for part in inside))


def _numbers(path: Path, number: int, word: str, numbers: list[str]) -> NDArray[np.float32]:
    try:
        if any("_" in text for text in numbers):  # NumPy reads 1_0 as ten
            raise ValueError(f"{next(text for text in numbers if '_' in text)!r} is no number")
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused below
            vector = np.array(numbers, dtype=np.float32)
    except ValueError as error:
        raise ValueError(
            f"path: {path} line {number}: {error}; expected a word and {len(numbers)} numbers with single "
            "blanks between them. Is it a file of word vectors, and whole? Download it again."
        ) from error
    if not np.isfinite(vector).all():
        raise ValueError(
            f"path: {path} line {number}: the vector of {word!r} is not finite; download the file again, or take the "
            "line out."
        )
    return vector
