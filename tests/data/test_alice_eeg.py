from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroling import TRF, CircularShift, ContiguousFolds, align, evaluate, pearson
from neuroling.data.cards import card
from neuroling.data.errors import CorruptData, DataNotFound
from neuroling.data.loaders import alice_eeg
from neuroling.data.loaders.alice_eeg import load, read_word_table, write_twin
from neuroling.data.matfile import read_mat
from neuroling.data.selection import names_of
from neuroling.encoding import in_samples, lags_between

EVENTS = "sub-001/eeg/sub-001_task-alicelistening_events.tsv"
CHANNELS = "sub-001/eeg/sub-001_task-alicelistening_channels.tsv"
VALUES = "sub-001/eeg/sub-001_task-alicelistening_eeg.eeg"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("alice")
    write_twin(path, 0, n_segments=1, n_channels=2)
    return path


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_the_card_is_the_published_listing(tree: Callable[[str], dict]) -> None:
    listing = tree("alice_eeg")
    assert all(listing[file.path] == (file.bytes, file.checksum[1]) for file in card("alice_eeg").files)


def test_every_published_recording_has_62_channels_in_single_precision() -> None:
    files = [file for file in card("alice_eeg").files if file.path.endswith("eeg.eeg")]
    assert len(files) == 45
    assert all(file.bytes % (4 * 62) == 0 for file in files)
    sizes = {file.subject: file.bytes for file in files}
    assert sizes["sub-001"] == 4 * 62 * 366_525  # 733.05 s at 500 Hz, as its sidecar says


def test_the_real_table_has_the_published_words(layout: Callable[[str], Path]) -> None:
    words = read_word_table(layout("alice_eeg")).table
    assert (len(words), words["sentence"].nunique(), words["order"].max()) == (2129, 84, 2150)
    assert words.groupby("group", sort=False).size().tolist() == list(alice_eeg.SEGMENT_WORDS)


def test_real_onsets_are_those_of_the_authors_trials(layout: Callable[[str], Path]) -> None:
    words = alice_eeg._read_words(layout("alice_eeg") / EVENTS, "sub-001").table
    trials = read_mat(layout("alice_eeg") / "sourcedata/proc/S01.mat", ["proc"])["proc.trl"]
    np.testing.assert_allclose(words["onset"], (trials[:, 0] - trials[:, 2]) / 500, atol=0.003)
    assert (words["order"] == trials[:, 5]).all()


def test_real_channels_are_60_without_the_reference(layout: Callable[[str], Path]) -> None:
    names = alice_eeg._scalp_channels(layout("alice_eeg") / CHANNELS)
    assert len(names) == 60
    assert "29" not in names
    assert not {"VEOG", "AUD", "Aux5"} & set(names)


def test_the_authors_lists_are_those_of_the_data_set(layout: Callable[[str], Path]) -> None:
    people = pd.read_csv(layout("alice_eeg") / "participants.tsv", sep="\t")
    marked = {int(name[4:]) for name in people.loc[people["analyzed"] == "yes", "participant_id"]}
    assert set(alice_eeg.ANALYSED) - marked == {4, 16}
    assert len(alice_eeg.ANALYSED) == 33
    assert sorted((*alice_eeg.ANALYSED, *alice_eeg.HIGH_NOISE, *alice_eeg.LOW_PERFORMANCE)) == list(range(1, 50))


def test_columns_and_types_of_the_twin_are_those_of_the_real_events(
    folder: Path, layout: Callable[[str], Path]
) -> None:
    options = {"sep": "\t", "keep_default_na": False}
    of_twin, of_people = (pd.read_csv(place / EVENTS, **options) for place in (folder, layout("alice_eeg")))
    assert list(of_twin) == list(of_people)
    strings = [name for name in of_people if of_people[name].dtype.kind not in "if"]
    assert [name for name in of_twin if of_twin[name].dtype.kind not in "if"] == strings
    real = pd.read_csv(layout("alice_eeg") / alice_eeg.WORD_TABLE, nrows=3)
    assert list(pd.read_csv(folder / alice_eeg.WORD_TABLE)) == list(real)


def test_a_full_twin_has_the_published_words(tmp_path: Path) -> None:
    events = alice_eeg._draw_events(12, np.random.default_rng(0))
    assert (len(events), events["sentence_id"].nunique(), events["word_index"].max()) == (2129, 84, 2150)
    assert 650 < events["onset"].iloc[-1] < 800


def test_the_values_of_the_twin_follow_the_formula(folder: Path) -> None:
    words = load(folder, subject="sub-001").words.table
    n_times = int((words["onset"].iloc[-1] + 5) * 500)
    assert (folder / VALUES).stat().st_size == 4 * 4 * n_times


def test_eye_and_sound_are_no_scalp_channels(folder: Path) -> None:
    assert load(folder, subject="sub-001").recording.channel.to_numpy().tolist() == ["1", "2"]


@pytest.mark.parametrize("name", ["AUD", "Aux5"])
def test_the_channel_of_the_sound_is_known_by_its_type(copied: Path, name: str) -> None:
    for path in (copied / CHANNELS, (copied / VALUES).with_suffix(".vhdr")):
        path.write_text(path.read_text(encoding="utf-8").replace("Aux5", name), encoding="utf-8")
    assert load(copied, subject="sub-001").recording.channel.to_numpy().tolist() == ["1", "2"]


def test_surprisals_are_called_those_of_parts_of_speech(folder: Path) -> None:
    columns = load(folder, subject="sub-001").words.table.columns
    assert {"pos_surprisal_ngram", "pos_surprisal_rnn", "pos_surprisal_cfg"} <= set(columns)


def test_six_real_words_are_of_no_known_class(layout: Callable[[str], Path], folder: Path) -> None:
    words = alice_eeg._read_words(layout("alice_eeg") / EVENTS, "sub-001").table
    assert words["is_lexical"].value_counts().to_dict() == {0: 1211, 1: 912}
    assert words["is_lexical"].isna().sum() == 6
    assert load(folder, subject="sub-001").words.table["is_lexical"].isna().sum() == 1


def test_a_missing_first_trigger_is_named(copied: Path) -> None:
    (copied / "SYNTHETIC.json").unlink()  # a twin may be shorter than the story
    with pytest.raises(ValueError, match=r"times of 174 of 2129 words\. The first trigger of eight people is missing"):
        load(copied, subject="sub-001")


def test_people_without_times_of_words_are_named(copied: Path) -> None:
    (copied / EVENTS).unlink()
    with pytest.raises(DataNotFound, match="six of the 45 people"):
        load(copied, subject="sub-001")


def test_a_truncated_recording_is_refused(copied: Path) -> None:
    (copied / VALUES).write_bytes((copied / VALUES).read_bytes()[: 16 * 500 * 20])
    with pytest.raises(CorruptData, match=r"20.0 s; expected a complete recording; the last word ends at"):
        load(copied, subject="sub-001")


def test_words_that_go_back_in_time_are_refused(copied: Path) -> None:
    events = pd.read_csv(copied / EVENTS, sep="\t")
    events.loc[5, "onset"] = 1.0
    events.to_csv(copied / EVENTS, sep="\t", index=False)
    with pytest.raises(CorruptData, match="onsets that go back"):
        load(copied, subject="sub-001")


@pytest.mark.parametrize("subject", ["sub-004", "sub-016", "sub-049"])
def test_people_who_are_not_in_the_copy_are_refused(folder: Path, subject: str) -> None:
    with pytest.raises(ValueError, match=f"alice_eeg has no '{subject}'"):
        load(folder, subject=subject)


def test_the_card_has_times_of_words_for_39_people() -> None:
    with_words = {file.subject for file in card("alice_eeg").files if file.path.endswith("events.tsv")}
    assert len(with_words) == 39
    assert len(names_of(card("alice_eeg"), "subject")) == 45


def test_an_average_reference_has_mean_zero(folder: Path) -> None:
    recording = load(folder, subject="sub-001", reference="average").recording
    assert np.abs(recording.mean("channel")).max() < 1e-9
    with pytest.raises(ValueError, match="reference: got 'mastoids'"):
        load(folder, subject="sub-001", reference="mastoids")  # type: ignore[arg-type]


def result_of(effect: float):
    story = alice_eeg.twin(rng=0, n_segments=2, effect=effect)
    surprisal = story.words.features(story.words.table[["pos_surprisal_cfg"]].to_numpy(), ["surprisal"])
    features = in_samples({"surprisal": surprisal}, story.recording)["surprisal"]
    splits, model = ContiguousFolds(3, gap=60), TRF(lags_between(0.0, 0.8, 50.0))
    data = align(features, story.recording)
    return evaluate(model, data, splits=splits, metric=pearson, inference=CircularShift(60), rng=0)


def test_the_planted_response_to_surprisal_is_found() -> None:
    result = result_of(1.5)
    score = result.score.mean("split") if "split" in result.score.dims else result.score
    assert score.sel(channel="1") > 0.15
    assert (np.abs(score.sel(channel=["2", "3"])) < 0.1).all()
    assert result.p_values("max").sel(channel="1") < 0.03


def test_nothing_is_found_where_nothing_was_planted() -> None:
    assert (result_of(0.0).p_values("max") > 0.05).all()


def test_equal_seeds_make_equal_recordings_and_different_ones_do_not() -> None:
    one, same, other = (alice_eeg.twin(rng=seed, n_segments=1).recording for seed in (1, 1, 2))
    assert one.equals(same)
    assert not np.array_equal(one.to_numpy()[:50], other.to_numpy()[:50])
