from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neuroling import TRF, CircularShift, ContiguousFolds, align, evaluate, pearson
from neuroling.data.cards import card
from neuroling.data.errors import CorruptData
from neuroling.data.loaders import broderick2018
from neuroling.data.loaders.broderick2018 import load, write_twin
from neuroling.encoding import in_samples, lags_between

VALUES = "sub-001/eeg/sub-001_task-listening_run-02_eeg.eeg"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_twin(tmp_path, 0, runs=(1, 2), sound_s=20.0, n_channels=3)
    return tmp_path


def test_the_card_is_the_published_listing(tree: Callable[[str], dict]) -> None:
    listing = tree("broderick2018")
    assert all(listing[file.path] == (file.bytes, file.checksum[1]) for file in card("broderick2018").files)


def test_every_published_recording_has_128_channels_in_single_precision_and_outlasts_its_sound() -> None:
    files = card("broderick2018").files
    recordings = [file for file in files if file.path.endswith(".eeg")]
    assert Counter(file.subject for file in recordings) == {f"sub-{n:03d}": 20 for n in range(1, 20)}
    assert all(file.bytes % 512 == 0 for file in recordings)
    assert next(file.bytes for file in recordings if file.path.endswith("sub-001_task-listening_run-01_eeg.eeg")) == (
        512 * 100_352
    )


def test_the_values_of_the_twin_follow_the_formula(folder: Path) -> None:
    size = (folder / VALUES).stat().st_size
    assert size % (4 * 3) == 0
    assert 21 * 512 < size / 12 < 27 * 512


def test_a_recording_ends_with_its_sound_and_runs_follow_one_another(folder: Path) -> None:
    story = load(folder, subject="sub-001", runs=(1, 2))
    assert story.recording.sizes["sample"] == 2 * 20 * 64
    assert np.allclose(np.diff(story.recording.onset), 1 / 64)
    assert story.recording.time_index.to_numpy()[[0, 1280]].tolist() == [0, 0]
    assert np.unique(story.recording.group).tolist() == ["run-01", "run-02"]


def test_words_are_on_the_clock_of_the_recording(folder: Path) -> None:
    both, second = load(folder, subject="sub-001", runs=(1, 2)), load(folder, subject="sub-001", runs=(2,))
    of_second = both.words.table[both.words.table["group"] == "run-02"]
    np.testing.assert_allclose(of_second["onset"] - 20.0, second.words.table["onset"])
    assert "sp" not in set(both.words.table["text"])
    assert both.words.table["text"].str.islower().all()


def test_unreferenced_channels_are_referred_to_their_mean(folder: Path) -> None:
    story = load(folder, subject="sub-001", runs=(1,))
    assert np.abs(story.recording.mean("channel")).max() < 1e-9
    stored = load(folder, subject="sub-001", runs=(1,), reference="as stored").recording
    assert np.abs(stored.mean("channel")).max() > 0.1


def test_the_doubtful_run_is_named(tmp_path: Path) -> None:
    write_twin(tmp_path, 0, runs=(15,), sound_s=20.0, n_channels=2)
    assert "off from about 170 s" in load(tmp_path, subject="sub-001", runs=(15,)).options["run 15"]


def test_a_recording_shorter_than_its_sound_is_refused(folder: Path) -> None:
    (folder / VALUES).write_bytes((folder / VALUES).read_bytes()[: 12 * 512 * 10])
    with pytest.raises(CorruptData, match=r"10.0 s; expected at least the 20.0 s of the sound"):
        load(folder, subject="sub-001", runs=(2,))


def test_a_transcript_of_a_longer_sound_is_refused(folder: Path, tmp_path: Path) -> None:
    write_twin(tmp_path / "longer", 0, runs=(2,), sound_s=30.0, n_channels=2)
    name = "stimuli/audio02.TextGrid"
    (folder / name).write_bytes((tmp_path / "longer" / name).read_bytes())
    with pytest.raises(CorruptData, match=r"words within the 20.0 s of the sound"):
        load(folder, subject="sub-001", runs=(2,))


def test_the_tier_of_words_is_found_by_the_beginning_of_its_name(folder: Path) -> None:
    path = folder / "stimuli/audio01.TextGrid"
    path.write_text(path.read_text().replace('"words"', '"word"'))
    assert len(load(folder, subject="sub-001", runs=(1,)).words) > 20
    path.write_text(path.read_text().replace('"word"', '"tokens"'))
    with pytest.raises(CorruptData, match="no tier whose name begins with 'word'"):
        load(folder, subject="sub-001", runs=(1,))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"subject": "sub-020"}, "broderick2018 has no 'sub-020'"),
        ({"subject": "sub-001", "runs": (0, 1)}, "runs: got"),
        ({"subject": "sub-001", "runs": (1,), "reference": "29"}, "reference: got '29'"),
    ],
)
def test_what_does_not_exist_is_refused(folder: Path, options: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        load(folder, **options)


def result_of(effect_uv: float):
    story = broderick2018.twin(rng=0, effect_uv=effect_uv)
    length = story.words.table["text"].str.len().to_numpy(float)[:, None]
    features = in_samples({"length": story.words.features(length, ["length"])}, story.recording)["length"]
    splits, model = ContiguousFolds(3, gap=64), TRF(lags_between(0.0, 0.5, 64.0))
    data = align(features, story.recording)
    return evaluate(model, data, splits=splits, metric=pearson, inference=CircularShift(60), rng=0)


def test_the_planted_response_to_long_words_is_found() -> None:
    result = result_of(6.0)
    score = result.score.mean("split") if "split" in result.score.dims else result.score
    assert score.sel(channel="A1") > 0.2
    assert result.p_values("max").sel(channel="A1") < 0.03


def test_nothing_is_found_where_nothing_was_planted() -> None:
    assert (result_of(0.0).p_values("max") > 0.05).all()


def test_equal_seeds_make_equal_recordings_and_different_ones_do_not() -> None:
    one, same, other = (broderick2018.twin(rng=seed).recording for seed in (1, 1, 2))
    assert one.equals(same)
    assert not np.array_equal(one.to_numpy()[:50], other.to_numpy()[:50])
