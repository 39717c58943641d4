from __future__ import annotations

import pytest

from neuroling.data.errors import CorruptData, DataNotFound
from neuroling.data.fetch import locate
from neuroling.data.loaders.hyakunin_isshu import FILE, load, twin, write_twin


def test_the_twin_is_marked_and_both_verses_have_the_labels_of_their_poems():
    poems = twin(20)
    assert poems.synthetic
    assert poems.upper.labels.tolist() == poems.lower.labels.tolist() == [str(n) for n in range(1, 21)]


def test_verses_of_the_twin_are_as_long_as_real_ones():
    poems = twin(100)
    assert {len(text) for text in poems.upper.texts} == {17, 18, 19}
    assert {len(text) for text in poems.lower.texts} == {14, 15, 16}


def test_equal_seeds_agree_and_others_do_not():
    assert twin(5, 3).lower.texts == twin(5, 3).lower.texts != twin(5, 4).lower.texts


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("2\tp\tu\tl\tあい\t", "lower_kana of poem 2"),
        ("2\tp\tu\tl\t秋の\tあい", "upper_kana of poem 2"),
        ("1\tp\tu\tl\tあい\tうえ", "1 numbers twice"),
    ],
    ids=["half missing", "not kana", "twice"],
)
def test_a_damaged_poem_is_named(tmp_path, cells, message):
    write_twin(tmp_path, n_poems=1)
    with (tmp_path / FILE).open("a", encoding="utf-8") as file:
        file.write(cells + "\n")
    with pytest.raises(CorruptData, match=message):
        load(tmp_path)


@pytest.mark.real_data
def test_the_real_poems_are_a_hundred_and_each_verse_is_unique():
    try:
        locate("hyakunin_isshu", [FILE])
    except DataNotFound as error:
        pytest.skip(str(error))
    poems = load()
    assert not poems.synthetic
    assert len(set(poems.upper.texts)) == len(set(poems.lower.texts)) == 100
