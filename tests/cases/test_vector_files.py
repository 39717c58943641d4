"""Files of word vectors: text taken for binary, names with blanks, byte order marks, other encodings."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from neuroling.core.stimuli import Stimuli
from neuroling.features.lexical.static_vectors import load_vectors, static_vectors

FILES = Path(__file__).parent / "files"


def binary(words: dict[str | bytes, list[float]], *, behind: bytes = b"", n_words: int | None = None) -> bytes:
    width = len(next(iter(words.values())))
    names = [(word if isinstance(word, bytes) else word.encode(), vector) for word, vector in words.items()]
    rows = [name + b" " + struct.pack(f"<{width}f", *vector) + behind for name, vector in names]
    return f"{len(words) if n_words is None else n_words} {width}\n".encode() + b"".join(rows)


def save(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_01_text_whose_first_word_has_a_blank_is_text() -> None:
    vectors = load_vectors(FILES / "01_word2vec_text_first_word_has_blank" / "v.vec")
    assert list(vectors.rows) == ["New York", "cat", "dog"]
    np.testing.assert_allclose(vectors.vector("New York"), [0.1, 0.2, 0.3, 0.4, 0.5], rtol=1e-6)
    np.testing.assert_allclose(vectors.vector("dog"), [2.1, 2.2, 2.3, 2.4, 2.5], rtol=1e-6)


def test_02_text_in_latin_1_is_refused_with_its_line() -> None:
    with pytest.raises(ValueError, match=r"line 2 is no UTF-8 \(byte 3 of the line is 0xe9\); save it as UTF-8"):
        load_vectors(FILES / "02_word2vec_text_latin1_first_word" / "v.vec")


def test_03_binary_words_with_blanks_keep_their_vectors() -> None:
    vectors = load_vectors(FILES / "03_word2vec_binary_word_with_blank" / "v.bin")
    assert list(vectors.rows) == ["hello", "New York", "cat", "dog"]
    norms = [np.linalg.norm(vectors.vector(word)) for word in vectors.rows]
    assert all(0.5 < norm < 5 for norm in norms), norms


def test_04_a_byte_order_mark_is_no_part_of_a_word() -> None:
    vectors = load_vectors(FILES / "04_glove_with_byte_order_mark" / "v.txt")
    assert list(vectors.rows) == ["the", "cat"]
    np.testing.assert_allclose(
        static_vectors(Stimuli.from_texts(["the"]), vectors).values, [[0.1, 0.2, 0.3]], rtol=1e-6
    )


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff2 3\nthe 0.1 0.2 0.3\ncat 1.1 1.2 1.3\n",
        "2 3\r\nthe 0.1 0.2 0.3\r\ncat 1.1 1.2 1.3\r\n",
        "2 3\rthe 0.1 0.2 0.3\rcat 1.1 1.2 1.3\r",
        "the 0.1 0.2 0.3 \ncat 1.1 1.2 1.3 \n\n",
    ],
)
def test_marks_and_line_ends_of_any_kind_are_no_part_of_words(tmp_path: Path, text: str) -> None:
    vectors = load_vectors(save(tmp_path / "v.vec", text))
    assert list(vectors.rows) == ["the", "cat"]
    np.testing.assert_allclose(vectors.vector("cat"), [1.1, 1.2, 1.3], rtol=1e-6)


@pytest.mark.parametrize(
    "word",
    [
        "New York",
        "10 000",
        ". . .",
        " ",
        "\u00a0",
        "\u3000",
        "\u2028",
        "\x85",
        "nan",
        "inf",
        "-",
        "1",
        "3.5",
        "a 5 b",
        "é è",
    ],
)
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("place", [0, 1])
def test_any_word_of_a_text_file_is_read(tmp_path: Path, word: str, header: bool, place: int) -> None:
    rows = ["cat 1.5 2.5 3.5", "dog 4.5 5.5 6.5", "cow 7.5 8.5 9.5"]
    rows.insert(place, f"{word} 0.1 -0.2 3e-1")
    text = "\n".join([*(["4 3"] if header else []), *rows]) + "\n"
    vectors = load_vectors(save(tmp_path / "v.vec", text))
    assert list(vectors.rows)[place] == word
    np.testing.assert_allclose(vectors.vector(word), [0.1, -0.2, 0.3], rtol=1e-6)
    np.testing.assert_allclose(vectors.vector("cow"), [7.5, 8.5, 9.5])


@pytest.mark.parametrize("word", ["Apollo 11", "Boeing 747 400", "Formula 1", "7 eleven 24"])
@pytest.mark.parametrize("header", ["3 3\n", ""])
def test_a_number_in_a_name_is_no_feature(tmp_path: Path, word: str, header: str) -> None:
    text = f"{header}cat 1.5 2.5 3.5\n{word} 0.1 -0.2 3e-1\ndog 4.5 5.5 6.5\n"
    vectors = load_vectors(save(tmp_path / "v.vec", text))
    assert list(vectors.rows) == ["cat", word, "dog"]
    np.testing.assert_allclose(vectors.vector(word), [0.1, -0.2, 0.3], rtol=1e-6)


@pytest.mark.parametrize("behind", [b"", b"\n"])
@pytest.mark.parametrize("width", [2, 5, 50])
@pytest.mark.parametrize(
    "word", ["New York", "New York City", "a b", "abc efg", "be or not to be", " ", "\u00a0", "猫 犬", "x"]
)
def test_any_word_of_a_binary_file_is_read(tmp_path: Path, word: str, width: int, behind: bytes) -> None:
    rng = np.random.default_rng(len(word) + width)
    words = {name: rng.standard_normal(width).tolist() for name in ["the", word, "cat", "dog"]}
    vectors = load_vectors(save(tmp_path / "v.bin", binary(words, behind=behind)))
    if word == " ":  # the blank behind an empty name and a name that is a blank are the same two bytes
        words[""] = words.pop(" ")
    for name, vector in words.items():
        if name:
            np.testing.assert_allclose(vectors.vector(name), vector, rtol=1e-6)


def test_packed_files_are_read_by_their_content(tmp_path: Path) -> None:
    words = {"the": [0.5, 1.5], "New York": [2.5, -3.5]}
    text = "2 2\n" + "".join(f"{word} {' '.join(map(str, vector))}\n" for word, vector in words.items())
    for name, content in {"text.gz": text.encode(), "binary.gz": binary(words), "no-ending": text.encode()}.items():  # type: ignore[arg-type]
        vectors = load_vectors(save(tmp_path / name, gzip.compress(content)))
        assert list(vectors.rows) == list(words)
        np.testing.assert_array_equal(vectors.vector("New York"), words["New York"])


@pytest.mark.parametrize("flip", [False, True])
def test_a_packed_file_that_is_damaged_is_refused(tmp_path: Path, flip: bool) -> None:
    packed = bytearray(gzip.compress(b"the 0.5 1.5\ncat 2.5 3.5\n" * 200))
    content = bytes(packed[: len(packed) // 2])
    if flip:
        packed[-6] ^= 1  # in the checksum
        content = bytes(packed)
    with pytest.raises(ValueError, match=r"does not unpack .*; download it again"):
        load_vectors(save(tmp_path / "v.gz", content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 more", "is a zip archive; unpack it first"),
        (b"BZh91AY&SY more", "packed with bzip2"),
        (b"\xfd7zXZ\x00 more", "packed with xz"),
        (b"\x80\x04\x95 more", "is a pickle, which may run any code"),
        (b"\x93NUMPY\x01\x00", "is an array of NumPy"),
        ("2 2\nthe 1 2\ncat 3 4\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        (b"2 3\nthe 1 2 3\ncat 1 2 3\ndog 1 2 3\n", "promises 2 words and holds 3"),
        (b"3 3\nthe 1 2 3\n", "promises 3 words and holds 1"),
        (b"the 1_0 2.5\ncat 1.5 2.5\n", "line 1: '1_0' is no number; expected a word and 2 numbers"),
        (b"<!DOCTYPE html>\n<html>\n", "Is it a file of word vectors, and whole"),
        (b"2 3\nthe 1 2 3\ncat 1 2 3 4.5\n", "line 3 has more than a word and 3 numbers"),
        (b"the 1.5 2 3\ncat 1 2.5 3 4\ndog 1 2 3.5\n", "line 2 has more than a word and 3 numbers"),
        (binary({"the": [1.0, 2.0], "cat": [3.0, 4.0]}, n_words=1), "holds 12 bytes behind the 1 words"),
        (binary({"the": [1.0, 2.0], "cat": [3.0, 4.0]}, n_words=3), "ends within word 3 of 3"),
        (binary({"caf\u00e9".encode("latin-1"): [1.0] * 9, "cat": [2.0] * 9}), "names of 1 of 2 words .* Latin-1"),
        (b"2 4\nthe " + struct.pack(">4f", 1, 2, 3, 5) + b"cat " + struct.pack(">4f", 3, 4, 5, 7), "lowest byte|UTF-8"),
        (b"2 4\nthe " + struct.pack("<4d", *[0.1] * 4) + b"cat " + struct.pack("<4d", *[0.7] * 4), "UTF-8|behind"),
    ],
)
def test_what_is_no_file_of_vectors_is_refused_with_a_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_vectors(save(tmp_path / "v.vec", content))


def test_a_file_that_is_not_there_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is not there; expected a file of word vectors"):
        load_vectors(tmp_path / "v.vec")


def test_a_folder_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=r"is a folder; expected a file of word vectors. Name the file in it"):
        load_vectors(tmp_path)


def test_words_that_stand_twice_are_warned_of(tmp_path: Path) -> None:
    path = save(tmp_path / "v.vec", "the 1.5 2\ncat 3 4\nthe 5 6\n")
    with pytest.warns(UserWarning, match=r"1 lines of .* stand there before; their first vectors are taken") as caught:
        vectors = load_vectors(path)
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(vectors.vector("the"), [1.5, 2])


def test_a_name_that_was_cut_within_a_character_is_warned_of(tmp_path: Path) -> None:
    words: dict[str | bytes, list[float]] = {f"word{number}": [0.5, number] for number in range(150)}
    words["caf\u00e9".encode()[:-1]] = [1.0, 2.0]
    with pytest.warns(UserWarning, match=r"names of 1 of 151 words .* are no UTF-8 and will not be found") as caught:
        vectors = load_vectors(save(tmp_path / "v.bin", binary(words)))
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(vectors.vector("word149"), [0.5, 149])


def test_words_that_are_wanted_are_kept_in_any_case(tmp_path: Path) -> None:
    text = "straße 1.5\nHaus 2.5\nboot 3.5\nısparta 4.5\ncafe\u0301 5.5\n"
    vectors = load_vectors(save(tmp_path / "v.vec", text), words=["STRASSE", "haus", "ISPARTA", "café"])
    assert list(vectors.rows) == ["straße", "Haus", "ısparta", "cafe\u0301"]
