from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroling.data.errors import CorruptData, DataNotFound
from neuroling.data.fetch import locate
from neuroling.data.loaders.jsts_ja import FILES, load, twin, write_twin


def test_the_twin_is_marked_and_has_pairs() -> None:
    pairs = twin(20, 0)
    assert pairs.similarity.attrs["synthetic"] == 1
    assert pairs.first.labels.tolist() == pairs.second.labels.tolist() == pairs.similarity.sample.values.tolist()
    assert 0 <= float(pairs.similarity.min()) < float(pairs.similarity.max()) <= 5


def test_ratings_of_the_twin_follow_what_is_shared() -> None:
    pairs = twin(200, 1)
    shared = [
        len(set(a) & set(b)) / len(set(a) | set(b)) for a, b in zip(pairs.first.texts, pairs.second.texts, strict=True)
    ]
    assert np.corrcoef(shared, pairs.similarity)[0, 1] > 0.8


def test_equal_seeds_agree_and_others_do_not() -> None:
    assert twin(10, 3).first.texts == twin(10, 3).first.texts != twin(10, 4).first.texts


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("not json", "line 2"),
        ('{"sentence1": "a"}', "line 2"),
        ('{"sentence_pair_id": "1", "sentence1": "a", "sentence2": "b", "label": 7}', "rating 7"),
        ('{"sentence_pair_id": "1", "sentence1": " ", "sentence2": "b", "label": 1}', "line 2"),
        ('{"sentence_pair_id": "0", "sentence1": "a", "sentence2": "b", "label": 1}', "more than once"),
    ],
)
def test_damaged_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    write_twin(tmp_path, n_pairs=2)
    path = tmp_path / FILES["valid"]
    path.write_text(path.read_text(encoding="utf-8").splitlines()[0] + "\n" + line + "\n", encoding="utf-8")
    with pytest.raises(CorruptData, match=message):
        load(tmp_path)


def test_a_split_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="split: got 'test'"):
        load(tmp_path, "test")  # type: ignore[arg-type]
    with pytest.raises(DataNotFound):
        load(tmp_path)


@pytest.mark.real_data
@pytest.mark.parametrize(("split", "n_pairs"), [("valid", 1457), ("train", 12451)])
def test_the_real_files_have_the_published_size(split: str, n_pairs: int) -> None:
    try:
        locate("jsts_ja")
    except DataNotFound as error:
        pytest.skip(str(error))
    pairs = load(split=split)  # type: ignore[arg-type]
    assert len(pairs.similarity) == n_pairs
    assert pairs.similarity.attrs["synthetic"] == 0
