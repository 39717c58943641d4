from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from neuroling.core.stimuli import Stimuli
from neuroling.features.lexical.static_vectors import load_vectors, static_vectors

WORDS = {"cat": [1.0, 2.0, 3.0], "dog": [4.0, 5.0, 6.5], "Japan": [0.5, -1.0, 1e-3], "naïve": [7, 8, 9]}


def text_file(path: Path, header: bool) -> Path:
    lines = [f"{word} {' '.join(map(str, vector))}" for word, vector in WORDS.items()]
    path.write_text("\n".join([*([f"{len(WORDS)} 3"] if header else []), *lines]) + "\n", encoding="utf-8")
    return path


def binary_file(path: Path, newline: bytes = b"") -> Path:
    rows = [f"{word} ".encode() + struct.pack("<3f", *vector) + newline for word, vector in WORDS.items()]
    path.write_bytes(f"{len(WORDS)} 3\n".encode() + b"".join(rows))
    return path


def fasttext_file(path: Path, n_buckets: int = 50, **options: int) -> Path:
    """Write a fastText model by its format: options, vocabulary, matrix."""
    given = {"version": 12, "quantised": 0, "minn": 2, "maxn": 3, **options}
    head = struct.pack("<2i", 793712314, given["version"])
    head += struct.pack("<12i", 3, 5, 5, 1, 5, 1, 1, 2, n_buckets, given["minn"], given["maxn"], 100)
    head += struct.pack("<d", 1e-4)
    head += struct.pack("<3i", len(WORDS), len(WORDS), 0) + struct.pack("<2q", 100, -1)
    head += b"".join(word.encode() + b"\0" + struct.pack("<qb", 7, 0) for word in WORDS)
    matrix = np.random.default_rng(0).standard_normal((len(WORDS) + n_buckets, 3)).astype("<f4")
    head += bytes([given["quantised"]]) + struct.pack("<2q", *matrix.shape)
    path.write_bytes(head + matrix.tobytes())
    return path


@pytest.fixture(params=["glove", "word2vec text", "word2vec binary", "word2vec binary with newlines"])
def vectors_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    kind = request.param
    if "binary" in kind:
        return binary_file(tmp_path / "v.bin", b"\n" if "newlines" in kind else b"")
    return text_file(tmp_path / "v.txt", header="text" in kind)


def test_every_format_gives_the_numbers_in_the_file(vectors_file: Path) -> None:
    vectors = load_vectors(vectors_file)
    for word, expected in WORDS.items():
        np.testing.assert_allclose(vectors.vector(word), expected, rtol=1e-6)
    assert (vectors.width, vectors.vector("bird")) == (3, None)


def test_words_that_are_not_wanted_are_left_out(vectors_file: Path) -> None:
    vectors = load_vectors(vectors_file, words=["dog", "bird"])
    assert list(vectors.rows) == ["dog"]
    np.testing.assert_allclose(vectors.vector("dog"), WORDS["dog"])


def test_looking_up_tries_case_and_punctuation_last(tmp_path: Path) -> None:
    vectors = load_vectors(text_file(tmp_path / "v.txt", True))
    found = static_vectors(Stimuli.from_texts(["“Cat,”", "Japan", "the dog"]), vectors)
    np.testing.assert_allclose(found.values, [WORDS["cat"], WORDS["Japan"], WORDS["dog"]], rtol=1e-6)
    assert (found.attrs["coverage"], found.attrs["n_missing"]) == (3 / 4, 0)


def test_unknown_words_follow_the_policy_that_was_named(tmp_path: Path) -> None:
    vectors = load_vectors(text_file(tmp_path / "v.txt", True))
    stimuli = Stimuli.from_texts(["cat", "gryphon", "dog"])
    with pytest.raises(ValueError, match=r"1 of 3 have no vector in v\.txt \(first \['gryphon'\]\)"):
        static_vectors(stimuli, vectors)
    assert np.isnan(static_vectors(stimuli, vectors, missing="nan").values[1]).all()
    assert (static_vectors(stimuli, vectors, missing="zero").values[1] == 0).all()
    np.testing.assert_allclose(static_vectors(stimuli, vectors, missing="mean").values[1], [2.5, 3.5, 4.75])
    assert static_vectors(stimuli, vectors, missing="zero").attrs["n_missing"] == 1
    with pytest.raises(ValueError, match="missing: got 'skip'"):
        static_vectors(stimuli, vectors, missing="skip")  # type: ignore[arg-type]


def test_vectors_may_have_unit_length(tmp_path: Path) -> None:
    found = static_vectors(
        Stimuli.from_texts(["cat"]), load_vectors(text_file(tmp_path / "v.txt", True)), normalise=True
    )
    np.testing.assert_allclose(np.linalg.norm(found.values), 1, rtol=1e-6)


def test_fasttext_averages_words_and_their_subwords(tmp_path: Path) -> None:
    vectors = load_vectors(fasttext_file(tmp_path / "model.bin"))
    matrix = vectors.matrix  # type: ignore[union-attr]

    def fnv(gram: str) -> int:
        value = 2166136261
        for byte in gram.encode():
            value = ((value ^ (byte - 256 if byte > 127 else byte)) * 16777619) % 2**32
        return value

    for word in ("cat", "naïve", "unseen"):
        marked = f"<{word}>"
        grams = [marked[i : i + n] for i in range(len(marked)) for n in (2, 3) if i + n <= len(marked)]
        rows = [list(WORDS).index(word)] if word in WORDS else []
        rows += [4 + fnv(gram) % 50 for gram in grams]
        np.testing.assert_allclose(vectors.vector(word), matrix[rows].mean(0), rtol=1e-5)


def test_fasttext_equals_its_own_library(tmp_path: Path) -> None:
    library = pytest.importorskip("fasttext", reason="the fastText library is not installed")
    (tmp_path / "corpus.txt").write_text("the cat saw the dog and a naïve 猫 ran\n" * 30, encoding="utf-8")
    model = library.train_unsupervised(str(tmp_path / "corpus.txt"), dim=8, minCount=1, bucket=200, epoch=1, thread=1)
    model.save_model(str(tmp_path / "model.bin"))
    ours = load_vectors(tmp_path / "model.bin")
    for word in ("cat", "naïve", "猫", "unseen", "a"):
        np.testing.assert_allclose(ours.vector(word), model.get_word_vector(word), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"version": 11}, "version 11"), ({"quantised": 1}, "quantised"), ({"n_buckets": 50}, "holds")],
)
def test_fasttext_models_that_cannot_be_read_say_why(tmp_path: Path, options: dict[str, int], message: str) -> None:
    path = fasttext_file(tmp_path / "model.bin", **options)
    if message == "holds":
        raw = path.read_bytes()
        path.write_bytes(raw[: 8 + 8 * 4] + struct.pack("<i", 7) + raw[8 + 9 * 4 :])  # another number of buckets
    with pytest.raises(ValueError, match=message):
        load_vectors(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cat 1 2 3\ndog 1 2\n", r"line 2.*expected a word and 3 numbers|line 2"),
        (b"cat 1 2 3\ndog 1 x 3\n", "line 2"),
        (b"cat 1 2 3\n\xe9t\xe9 1 2 3\n", "line 2 is no UTF-8"),
        (b"", "is empty"),
        (b"cat 1 2 3\ndog 1 nan 3\n", r"line 2: the vector of 'dog' is not finite"),
        (b"cat 1 2 3\ndog 1 -inf 3\n", r"line 2: the vector of 'dog' is not finite"),
        (b"cat 1 2 3\ndog 1 1e39 3\n", r"line 2: the vector of 'dog' is not finite"),
        (b"cat 1 2\ndog 4 5 6\n", r"line 2 has more than a word and 2 numbers"),
        (b"cat 1 2 3\n 4 5 6\n", r"line 2 has no word"),
        (b"cat\t1\t2\t3\n", r"line 1 is separated by tabs; expected .* single blanks"),
        (b"cat\t1 2 3\n", r"line 1 is separated by tabs"),
        (b"cat,1,2,3\n", r"line 1 is separated by commas"),
        (b"cat, 1, 2, 3\n", r"line 1: .*expected a word and 3 numbers"),
        (b"2 3\ncat\t1\t2\t3\ndog\t4\t5\t6\n", r"line 2 is separated by tabs"),
        (b"2 3\ncat,1,2,3\ndog,4,5,6\n", r"line 2 is separated by commas"),
        (b"cat\n", r"line 1 has 0 numbers; expected at least one"),
        (b"5 3\ncat 1 2 3\ndog 4 5 6\n", r"promises 5 words and holds 2; download it again"),
    ],
)
def test_text_that_is_damaged_names_the_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "v.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_vectors(tmp_path / "v.txt")


@pytest.mark.parametrize("words", [None, ["cat"], ["bird"]])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cat 1 2 3\ndog 1 2\n", "line 2 has 2 numbers; expected 3"),
        (b"2 3\ncat 1 2 3\ndog\n", "line 3 has 0 numbers; expected 3"),
        (b"3 3\ncat 1 2 3\ndog 4 5 6\n", "promises 3 words and holds 2"),
        (b"cat 1 2\ndog 4 5 6\n", "line 2 has more than"),
        (b"cat, 1, 2, 3\n", "line 1"),
    ],
)
def test_damage_is_found_whichever_words_are_wanted(
    tmp_path: Path, content: bytes, message: str, words: list[str] | None
) -> None:
    (tmp_path / "v.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_vectors(tmp_path / "v.txt", words=words)


def test_words_with_blanks_and_blank_lines_are_no_damage(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_bytes(b"cat 1 2 3\n. . . 4 5 6\nat name@domain.com 7 8 9\n10,000 1 1 1 \n\n")
    vectors = load_vectors(tmp_path / "v.txt")
    assert list(vectors.rows) == ["cat", ". . .", "at name@domain.com", "10,000"]


@pytest.mark.parametrize("kind", ["word2vec", "fastText"])
def test_a_vector_that_is_not_finite_is_named_when_it_is_looked_up(tmp_path: Path, kind: str) -> None:
    path = binary_file(tmp_path / "v.bin") if kind == "word2vec" else fasttext_file(tmp_path / "v.bin", n_buckets=0)
    raw = path.read_bytes()
    place = raw.index(b"dog ") + 4 if kind == "word2vec" else len(raw) - 4 * 3 * 3
    path.write_bytes(raw[: place + 4] + struct.pack("<f", np.nan) + raw[place + 8 :])
    vectors = load_vectors(path)
    assert static_vectors(Stimuli.from_texts(["cat"]), vectors).attrs["n_missing"] == 0
    with pytest.raises(ValueError, match=r"vectors: that of 'dog' in v\.bin is not finite"):
        static_vectors(Stimuli.from_texts(["the dog"]), vectors, missing="zero")


@pytest.mark.parametrize("share", [0.01, 0.1, 0.2, 0.3, 0.4, 0.99])
def test_a_fasttext_model_that_was_cut_says_what_is_missing(tmp_path: Path, share: float) -> None:
    path = fasttext_file(tmp_path / "model.bin")
    raw = path.read_bytes()
    path.write_bytes(raw[: int(share * len(raw))])
    expected = (
        rf"model\.bin is cut short: expected at least (\d+) bytes, got {int(share * len(raw))}; download it again"
    )
    with pytest.raises(ValueError, match=expected) as caught:
        load_vectors(path)
    assert share < 0.4 or str(len(raw)) in str(caught.value)


def test_a_binary_file_that_was_cut_names_the_word(tmp_path: Path) -> None:
    path = binary_file(tmp_path / "v.bin")
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match="ends within word 4 of 4"):
        load_vectors(path)
