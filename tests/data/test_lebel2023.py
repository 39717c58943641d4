from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from sklearn.model_selection import PredefinedSplit

from neuroling import CircularShift, Ridge, align, evaluate, pearson
from neuroling.data.cards import card
from neuroling.data.errors import CorruptData, DataNotFound
from neuroling.data.loaders import lebel2023
from neuroling.data.loaders.lebel2023 import ANIMALS, TEST_STORY, TRAINING_ROWS, load, load_repeats, write_twin
from neuroling.data.selection import names_of
from neuroling.encoding import in_volumes

STORIES = ["avatar", "howtodraw", TEST_STORY]
N_VOXELS = {"UTS01": 81126, "UTS02": 94251, "UTS03": 95556, "UTS04": 109469, "UTS05": 99322, "UTS06": 92198}
N_VOXELS |= {"UTS07": 94395, "UTS08": 97023, "UTS09": 98336}
VOLUMES = "derivative/preprocessed_data/UTS03"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_twin(tmp_path, 0, stories=["avatar", "howtodraw"], n_voxels=4)
    return tmp_path


def size_of(n_rows: int, n_voxels: int, n_presentations: int = 1) -> int:
    """Bytes of a file, by the documented formula; the test story holds the mean and the presentations."""
    return 2048 + 8 * n_rows * n_voxels * (1 if n_presentations == 1 else 1 + n_presentations)


def test_every_published_size_follows_the_formula(layout: Callable[[str], Path]) -> None:
    lengths = json.loads((layout("lebel2023") / "derivative/respdict.json").read_text())
    files = [file for file in card("lebel2023").files if file.path.endswith(".hf5") and file.part is None]
    assert len(files) == 440
    for file in files:
        n_repeats = lebel2023.N_REPEATS.get(str(file.subject), 5) if file.story == TEST_STORY else 1
        size = size_of(lengths[file.story] - 20, N_VOXELS[str(file.subject)], n_repeats)
        assert file.bytes in (size, size + 120 if n_repeats > 1 else size), file.path


def test_the_files_of_the_twin_follow_the_formula_too(folder: Path) -> None:
    assert (folder / VOLUMES / "avatar.hf5").stat().st_size == size_of(367, 4)
    assert (folder / VOLUMES / f"{TEST_STORY}.hf5").stat().st_size == size_of(291, 4, 10)


def test_keys_and_types_are_those_of_the_layout(folder: Path) -> None:
    with h5py.File(folder / VOLUMES / f"{TEST_STORY}.hf5") as file:
        assert sorted(file) == ["data", "individual_repeats"]
        assert (file["data"].dtype, file["data"].shape) == (np.float64, (291, 4))
        assert file["individual_repeats"].shape == (10, 291, 4)
        np.testing.assert_allclose(file["data"][:], file["individual_repeats"][:].mean(axis=0))


def test_the_card_is_the_published_listing(layout: Callable[[str], Path], tree: Callable[[str], dict]) -> None:
    listing = tree("lebel2023")
    assert all(listing[file.path] == (file.bytes, file.checksum[1]) for file in card("lebel2023").files)


def test_the_training_stories_and_their_rows_are_the_published_ones(layout: Callable[[str], Path]) -> None:
    lengths = json.loads((layout("lebel2023") / "derivative/respdict.json").read_text())
    assert {story: lengths[story] for story in TRAINING_ROWS} == TRAINING_ROWS
    assert set(names_of(card("lebel2023"), "story", subject="UTS05")) == {*TRAINING_ROWS, TEST_STORY}
    assert sum(n - 20 for n in TRAINING_ROWS.values()) == 9461


def test_a_row_is_a_volume_of_the_scan_at_its_middle(folder: Path) -> None:
    run = load(folder, subject="UTS03", stories=["avatar"]).recording.read(slice(0, 1))
    assert run.sample.values[[0, -1]].tolist() == ["avatar:10", "avatar:376"]
    assert run.onset.values[:2].tolist() == [11.0, 13.0]
    assert run.attrs["synthetic"] == 1


def test_words_are_lower_case_without_labels_of_the_aligner(folder: Path) -> None:
    words = load(folder, subject="UTS03", stories=STORIES).words.table
    assert set(words["text"]) <= {*ANIMALS, *lebel2023.THINGS, *lebel2023.FUNCTION_WORDS}
    assert words["group"].unique().tolist() == STORIES


def test_a_word_counts_at_the_middle_of_its_interval_or_at_its_beginning(folder: Path) -> None:
    middle = load(folder, subject="UTS03", stories=["avatar"])
    begin = load(folder, subject="UTS03", stories=["avatar"], word_time="onset")
    beginning = begin.words.table["onset"].to_numpy()
    np.testing.assert_allclose(middle.words.table["onset"], (beginning + begin.words.table["offset"].to_numpy()) / 2)
    assert middle.options["word time"] == "middle"


@pytest.mark.parametrize(("subject", "lacking"), [("UTS04", "life"), ("UTS09", "fromboyhoodtofatherhood")])
def test_the_default_stories_leave_out_by_name_what_was_not_recorded(subject: str, lacking: str) -> None:
    stories, excluded = lebel2023._select_stories(subject, None)
    assert len(stories) == 26
    assert excluded == (f"{lacking}: not recorded from {subject}",)


def test_the_default_stories_are_read_where_all_are_there() -> None:
    assert lebel2023._select_stories("UTS03", None) == ([*TRAINING_ROWS, TEST_STORY], ())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"subject": "UTS10"}, "subject: lebel2023 has no 'UTS10'; it has UTS01"),
        ({"subject": "UTS04", "stories": ["life"]}, "UTS04 has no recording of 'life', others have"),
        ({"subject": "UTS03", "stories": ["nostory"]}, "stories: lebel2023 has no 'nostory'"),
        ({"subject": "UTS03", "stories": "avatar"}, "expected a list"),
        ({"subject": "UTS03", "word_time": "end"}, "word_time: got 'end'"),
    ],
)
def test_what_does_not_exist_is_refused(folder: Path, options: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        load(folder, **options)


def test_a_truncated_file_is_refused(folder: Path) -> None:
    path = folder / VOLUMES / "avatar.hf5"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CorruptData, match=r"avatar.hf5"):
        load(folder, subject="UTS03", stories=["avatar"])


def test_a_web_page_in_place_of_volumes_is_refused(folder: Path) -> None:
    (folder / VOLUMES / "avatar.hf5").write_text("<html>log in</html>")
    with pytest.raises(CorruptData, match="cannot be read"):
        load(folder, subject="UTS03", stories=["avatar"])


def test_rows_that_differ_from_respdict_are_refused(folder: Path) -> None:
    path = folder / "derivative/respdict.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "avatar": 388}))
    with pytest.raises(CorruptData, match=r"shape \(367, 4\); expected float64 of shape \(368, voxel\).*one snapshot"):
        load(folder, subject="UTS03", stories=["avatar"])


def test_the_transcript_of_another_story_is_refused(folder: Path) -> None:
    grids = folder / "derivative/TextGrids"
    (grids / f"{TEST_STORY}.TextGrid").write_bytes((grids / "avatar.TextGrid").read_bytes())
    with pytest.raises(CorruptData, match=r"its last word ends at .* expected one within the scan"):
        load(folder, subject="UTS03", stories=[TEST_STORY])


def test_an_older_snapshot_without_a_participant_is_named(folder: Path) -> None:
    with pytest.raises(DataNotFound, match="older snapshots lack UTS04"):
        load(folder, subject="UTS04", stories=["avatar"])


def test_voxels_that_are_not_numbers_are_refused_where_they_are_read(folder: Path) -> None:
    with h5py.File(folder / VOLUMES / "avatar.hf5", "r+") as file:
        file["data"][3, 1] = np.nan
    story = load(folder, subject="UTS03", stories=["avatar"])
    with pytest.raises(ValueError, match="NaN"):
        align(volume_features(story)["animals"], story.recording.read(slice(0, 4)))


def test_stories_with_other_voxels_are_refused(folder: Path, tmp_path: Path) -> None:
    write_twin(tmp_path / "other", 0, stories=["avatar"], n_voxels=6)
    (folder / VOLUMES / "avatar.hf5").write_bytes((tmp_path / "other" / VOLUMES / "avatar.hf5").read_bytes())
    with pytest.raises(ValueError, match=r"runs: they have \[6, 4\] targets"):
        load(folder, subject="UTS03", stories=["avatar", "howtodraw"])


def test_repeats_are_labelled_as_the_recording(folder: Path) -> None:
    repeats = load_repeats(folder, subject="UTS03").read(slice(1, 3))
    assert dict(repeats.sizes) == {"sample": 291, "repeat": 10, "voxel": 2}
    recording = load(folder, subject="UTS03", stories=[TEST_STORY]).recording.read(slice(1, 3))
    assert recording.sample.equals(repeats.mean("repeat").sample)
    np.testing.assert_allclose(repeats.mean("repeat").values, recording.values)


def volume_features(story) -> dict:
    """Names of animals in the volumes of the recording, delayed by one to four volumes."""
    animals = story.words.features(story.words.table["text"].isin(ANIMALS).to_numpy(float)[:, None], ["animals"])
    spread = in_volumes({"animals": animals}, story.scanned, response=range(1, 5))
    recording = story.recording if hasattr(story.recording, "dims") else story.recording.read(slice(0, 1))
    return {name: volumes.sel(sample=recording.sample.values) for name, volumes in spread.items()}


def scores(effect: float):
    story = lebel2023.twin(rng=1, n_voxels=6, effect=effect)
    data = align(volume_features(story), story.recording)
    split = PredefinedSplit(np.where(story.recording.group == TEST_STORY, 0, -1))
    return evaluate(Ridge(10.0), data, splits=split, metric=pearson, inference=CircularShift(100), rng=0)


def test_the_planted_response_is_found_in_the_voxels_that_have_it() -> None:
    result = scores(1.0)
    score = result.score.squeeze().values
    assert (score[:3] > 0.7).all()
    assert (np.abs(score[3:]) < 0.25).all()
    assert (result.p_values().squeeze().values[:3] < 0.02).all()


def test_nothing_is_found_where_nothing_was_planted() -> None:
    assert (scores(0.0).p_values("max") > 0.05).all()


def test_equal_seeds_make_equal_recordings_and_different_ones_do_not() -> None:
    one, same, other = (lebel2023.twin(rng=seed, n_voxels=2) for seed in (1, 1, 2))
    assert one.recording.equals(same.recording)
    assert not np.array_equal(one.recording, other.recording)
