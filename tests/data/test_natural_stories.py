from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold

from neuroling import align, evaluate
from neuroling.data.cards import card
from neuroling.data.errors import CorruptData, DataNotFound
from neuroling.data.loaders import natural_stories
from neuroling.data.loaders.natural_stories import GPT3, MEANS, WORDS, load, write_twin
from neuroling.evaluation import ItemSignFlip, Regression, log_likelihood


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_twin(tmp_path, 0, n_stories=2)
    return tmp_path


def test_the_checksums_of_the_card_are_those_of_the_files(layout: Callable[[str], Path]) -> None:
    for file in card("natural_stories").files:
        content = (layout("natural_stories") / file.path).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.sha256)


def test_real_means_stand_one_row_before_their_words(layout: Callable[[str], Path]) -> None:
    story = load(layout("natural_stories"))
    assert story.options["row shift"] == (
        "times stand one row before their words: correlation with the length of the word in the row before 0.1385, in "
        "the same row 0.2914, in the row after 0.2387"
    )
    assert story.recording.sizes == {"sample": 10_246}
    assert story.excluded == ("10 words: they have no time after the shift by one row",)


def test_a_real_mean_belongs_to_the_word_of_the_next_row(layout: Callable[[str], Path]) -> None:
    moved, stored = (load(layout("natural_stories"), alignment=name) for name in ("next row", "as stored"))
    assert len(moved.words) == len(stored.words) == 10_256
    assert moved.recording.sel(sample="1.2 you").item() == stored.recording.sel(sample="1.1 If").item()
    assert "1.1 If" not in moved.recording.sample
    assert "3.1040" in str(stored.recording.sample.to_numpy().tolist())


def test_real_stories_have_the_published_words(layout: Callable[[str], Path]) -> None:
    words = load(layout("natural_stories")).words.table
    assert words.groupby("group", sort=False).size().tolist() == list(natural_stories.STORY_LENGTHS)
    assert words["surprisal_gpt3"].isna().sum() == 10  # the first token of a story has no probability
    assert words["surprisal_gpt3"].mean() > 2


def test_columns_and_order_are_those_of_the_real_files(folder: Path, layout: Callable[[str], Path]) -> None:
    for name in (MEANS, WORDS, GPT3):
        options = {"sep": ","} if name == GPT3 else {"sep": "\t", "quoting": 3}
        paths = (folder / name, layout("natural_stories") / name)
        of_twin, of_people = (pd.read_csv(path, keep_default_na=False, **options) for path in paths)
        assert list(of_twin) == list(of_people)
        assert [kind.kind for kind in of_twin.dtypes] == [kind.kind for kind in of_people.dtypes]
    is_sorted = pd.read_csv(folder / MEANS, sep="\t", quoting=3)["word"].is_monotonic_increasing
    assert is_sorted  # by word, not by place: a trap


@pytest.mark.parametrize("is_early", [True, False])
def test_a_row_shift_is_detected_only_where_there_is_one(tmp_path: Path, is_early: bool) -> None:
    write_twin(tmp_path, 0, n_stories=2, is_early=is_early)
    story = load(tmp_path)
    assert ("next row" in story.options["alignment"]) == is_early
    assert len(story.excluded) == is_early


def test_words_are_in_the_order_of_reading(folder: Path) -> None:
    words = load(folder).words.table
    assert words.groupby("group")["position"].apply(lambda column: (column.diff().dropna() == 1).all()).all()


def test_tokens_are_summed_over_their_word_and_first_words_have_none(folder: Path) -> None:
    tokens = pd.read_csv(folder / GPT3)
    first = tokens["story"].diff() != 0
    second_of_first = first.shift(fill_value=False) & ~tokens["token"].str.startswith(" ")
    expected = -tokens["logprob"][~first & ~second_of_first].sum()
    words = load(folder).words.table
    assert words["surprisal_gpt3"].sum() == pytest.approx(expected)
    assert words["surprisal_gpt3"].isna().sum() == 2


def test_abbreviations_do_not_end_a_sentence(tmp_path: Path) -> None:
    write_twin(tmp_path, 0, n_stories=1)
    before = load(tmp_path).words.table["sentence"].nunique()
    for name in (WORDS, MEANS):
        text = (tmp_path / name).read_text()
        (tmp_path / name).write_text(text.replace("town\t", "Mr.\t"))
    tokens = (tmp_path / GPT3).read_text()
    (tmp_path / GPT3).write_text(tokens.replace(" town,", " Mr.,"))
    words = load(tmp_path).words.table
    assert "Mr." in set(words["text"])
    assert words["sentence"].nunique() == before


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        (MEANS, lambda text: text.replace("meanItemRT", "RT"), "processed_wordinfo.tsv: columns"),
        (MEANS, lambda text: "\n".join(text.splitlines()[:-5]) + "\n", "differ from all_stories.tok"),
        (MEANS, lambda text: text + text.splitlines()[-1] + "\n", "occur twice"),
        (WORDS, lambda text: text.replace("\t7\t1\n", "\t9\t1\n"), "zones that do not count up by one"),
        (GPT3, lambda text: "\n".join(text.splitlines()[:-9]) + "\n", "words, 1 of them spelled otherwise"),
    ],
)
def test_damaged_files_are_refused(folder: Path, name: str, change: Callable[[str], str], sentence: str) -> None:
    (folder / name).write_text(change((folder / name).read_text()))
    with pytest.raises(CorruptData, match=sentence):
        load(folder)


def test_absent_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataNotFound, match=r"all_stories\.tok"):
        load(tmp_path)


def test_an_unknown_alignment_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="alignment: got 'previous row'"):
        load(folder, alignment="previous row")  # type: ignore[arg-type]


def gain(effect_ms: float):
    """Gain in held-out log-likelihood of surprisal, with two words of spill-over, beyond length."""
    story = natural_stories.twin(rng=2, n_stories=2, effect_ms=effect_ms)
    table = story.words.table
    length = table["text"].str.len()
    columns = {
        f"{name}-{lag}": values.groupby(table["group"]).shift(lag)
        for name, values in {"length": length, "surprisal": table["surprisal_gpt3"]}.items()
        for lag in range(3)
    }
    complete = pd.DataFrame(columns).dropna()
    complete = complete[complete.index.isin(story.recording.sample.to_numpy())]
    features = story.words.subset(complete.index).features(complete.to_numpy(), list(complete))
    spaces = {"both": features, "length": features.sel(feature=[f"length-{lag}" for lag in range(3)])}
    recording = story.recording.sel(sample=features.sample)
    models = dict.fromkeys(spaces, Regression())
    result = evaluate(models, align(spaces, recording), splits=GroupKFold(2), metric=log_likelihood)
    return result.difference("both", "length").test(ItemSignFlip("sentence", n_draws=500), 0)


def test_the_planted_effect_of_surprisal_is_found() -> None:
    difference = gain(4.0)
    assert float(difference.score.mean()) > 0.05
    assert float(difference.p_values()) < 0.01


def test_no_effect_is_found_where_none_was_planted() -> None:
    assert float(gain(0.0).p_values()) > 0.05


def test_equal_seeds_make_equal_times_and_different_ones_do_not() -> None:
    one, same, other = (natural_stories.twin(rng=seed, n_stories=1).recording for seed in (1, 1, 2))
    assert one.equals(same)
    assert not np.array_equal(one.to_numpy(), other.to_numpy())
