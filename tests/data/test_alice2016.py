from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import detrend

from neuroling.core.align import align
from neuroling.data.errors import CorruptData, DataNotFound
from neuroling.data.loaders import alice2016
from neuroling.data.loaders.alice2016 import PREDICTORS, REGIONS, TEXTGRID, load, twin, write_twin
from neuroling.data.synthetic import convolved

SHARED = "alice_data_shared"


def test_the_twin_has_the_form_of_the_real_recording(alice_folder: Path) -> None:
    story = load(alice_folder)
    assert story.recording.dims == ("subject", "sample", "region")
    assert story.recording.shape == (3, 40, 6)
    assert story.controls.dims == ("sample", "feature")
    assert story.recording.attrs["synthetic"] == story.controls.attrs["synthetic"] == 1
    assert {"onset", "offset", "position", "group"} <= set(story.words.table)


def test_volumes_are_labelled_by_their_number_in_the_scan(alice_folder: Path) -> None:
    recording = load(alice_folder).recording
    assert recording.sample.values[0] == 10
    assert recording.onset.values[:2].tolist() == [20.0, 22.0]


def test_the_first_rows_of_the_predictors_are_dropped(alice_folder: Path) -> None:
    rate = np.loadtxt(alice_folder / SHARED / PREDICTORS)[:, 0]
    assert load(alice_folder).controls.sel(feature="rate").values == pytest.approx(rate[10:])


def test_the_participant_of_zeros_is_left_out_by_name(alice_folder: Path) -> None:
    recording = load(alice_folder).recording
    assert "s33" not in recording.subject.values
    assert recording.attrs["excluded"] == [f"s33: no variation in {', '.join(REGIONS)}"]


def test_controls_and_recording_align_as_a_time_series(alice_folder: Path) -> None:
    story = load(alice_folder)
    assert align(story.controls, story.recording).unit == "time"


def test_words_bear_their_number_so_that_labels_are_unique(alice_folder: Path) -> None:
    labels = list(load(alice_folder).words.labels)
    assert labels[0].startswith("0001 ")
    assert len(set(labels)) == len(labels)


def test_the_larger_spheres_are_other_numbers(alice_folder: Path) -> None:
    assert not np.array_equal(load(alice_folder, radius_mm=10).recording, load(alice_folder).recording)


def test_the_planted_weights_are_found_again() -> None:
    story = twin(20, 400, 0)
    controls = story.controls.sel(feature=["rate", "frq"]).values  # the twin writes its content drive as frq
    design = np.column_stack([np.ones(400), (controls - controls.mean(0)) / controls.std(0)])
    course = story.recording.mean("subject").values / 0.6
    weights = np.linalg.lstsq(design, course, rcond=None)[0][1:]
    truth = np.array([alice2016.RATE_WEIGHTS, alice2016.CONTENT_WEIGHTS])
    assert weights == pytest.approx(truth, abs=0.12)


def test_the_words_of_the_twin_carry_its_drives() -> None:
    story = twin(2, 100, 0)
    offsets = story.words.table["offset"].to_numpy()
    rate = convolved(offsets, story.recording.onset.values)
    assert np.corrcoef(rate, story.controls.sel(feature="rate"))[0, 1] > 0.9999


def test_equal_seeds_make_equal_stories_and_different_ones_do_not() -> None:
    one, same, other = (twin(2, 30, seed) for seed in (1, 1, 2))
    assert one.words.fingerprint == same.words.fingerprint != other.words.fingerprint
    assert one.recording.identical(same.recording)
    assert not np.array_equal(one.recording, other.recording)


@pytest.mark.parametrize(("n_subjects", "n_volumes"), [(0, 100), (67, 100), (3, 5)])
def test_a_twin_of_impossible_size_is_refused(tmp_path: Path, n_subjects: int, n_volumes: int) -> None:
    with pytest.raises(ValueError, match="n_subjects, n_volumes: got"):
        write_twin(tmp_path, 0, n_subjects=n_subjects, n_volumes=n_volumes)


def test_an_unknown_radius_is_refused(alice_folder: Path) -> None:
    with pytest.raises(ValueError, match="radius_mm: got 8; expected 6 or 10"):
        load(alice_folder, radius_mm=8)  # type: ignore[arg-type]


def test_a_short_time_course_is_refused(alice_folder: Path) -> None:
    path = alice_folder / SHARED / "6mm" / "s19-timecourses.txt"
    path.write_text("\n".join(path.read_text().splitlines()[:30]))
    with pytest.raises(CorruptData, match=r"s19-timecourses.txt: 30 volumes; expected 40, as for s18"):
        load(alice_folder)


def test_a_missing_region_is_refused(alice_folder: Path) -> None:
    path = alice_folder / SHARED / "6mm" / "s19-timecourses.txt"
    np.savetxt(path, np.loadtxt(path)[:, :5])
    with pytest.raises(CorruptData, match=r"40 × 5 numbers; expected any number × 6"):
        load(alice_folder)


def test_a_time_course_with_a_hole_is_refused(alice_folder: Path) -> None:
    path = alice_folder / SHARED / "6mm" / "s19-timecourses.txt"
    course = np.loadtxt(path)
    course[3, 1] = np.nan
    np.savetxt(path, course)
    with pytest.raises(CorruptData, match="nan in row 4, column 2"):
        load(alice_folder)


def test_predictors_of_another_length_are_refused(alice_folder: Path) -> None:
    path = alice_folder / SHARED / PREDICTORS
    np.savetxt(path, np.loadtxt(path)[10:])
    with pytest.raises(CorruptData, match=r"40 × 12 numbers; expected 50 × 12"):
        load(alice_folder)


def test_a_story_without_usable_people_is_refused(alice_folder: Path) -> None:
    for path in (alice_folder / SHARED / "6mm").glob("*.txt"):
        np.savetxt(path, np.zeros((40, 6)))
    with pytest.raises(CorruptData, match="no usable participant"):
        load(alice_folder)


def test_a_story_without_words_is_refused(alice_folder: Path) -> None:
    path = alice_folder / TEXTGRID
    lines = ['            text = "sp"' if "text =" in line else line for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines))
    with pytest.raises(CorruptData, match="all silent; expected words"):
        load(alice_folder)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataNotFound, match=r"no time courses; expected files named sNN-timecourses\.txt"):
        load(tmp_path)


def test_a_missing_predictor_file_is_named(alice_folder: Path) -> None:
    (alice_folder / SHARED / "s18-sndpwr.txt").unlink()
    with pytest.raises(DataNotFound, match=r"s18-sndpwr.txt: no such file"):
        load(alice_folder)


@pytest.mark.real_data
def test_the_real_words_are_those_of_the_derived_table(real: Callable[[str], Path]) -> None:
    folder = real("alice2016_fmri")
    words = load(folder).words.table
    assert len(words) == 2_127
    if not (folder / "words.tsv").is_file():
        pytest.skip(f"{folder / 'words.tsv'} is not there; the words of the TextGrid cannot be compared with it")
    rows = [line.split("\t") for line in (folder / "words.tsv").read_text().splitlines()[1:]]
    assert [row[2].strip() for row in rows] == words["text"].tolist()
    assert np.array_equal([[float(row[0]), float(row[1])] for row in rows], words[["onset", "offset"]])


@pytest.mark.real_data
def test_real_word_rate_convolved_is_the_authors_predictor(real: Callable[[str], Path]) -> None:
    from nilearn.glm.first_level import compute_regressor

    folder = real("alice2016_fmri")
    offsets = load(folder).words.table["offset"].to_numpy()
    events = np.stack([offsets, np.zeros_like(offsets), np.ones_like(offsets)])
    regressor, _ = compute_regressor(events, "spm", np.arange(372) * 2.0, oversampling=50)
    shipped = np.loadtxt(folder / SHARED / PREDICTORS)[:, 0]
    assert np.corrcoef(regressor[:, 0], shipped)[0, 1] == pytest.approx(0.989, abs=0.002)


@pytest.mark.real_data
def test_real_regions_follow_the_word_rate_and_each_other(real: Callable[[str], Path]) -> None:
    story = load(real("alice2016_fmri"))
    assert story.recording.shape == (27, 362, 6)
    course = detrend(story.recording.values, axis=1)
    course /= course.std(axis=1, keepdims=True)
    rate = convolved(story.words.table["offset"].to_numpy(), story.recording.onset.values)
    with_rate = [np.corrcoef(rate, course.mean(0)[:, region])[0, 1] for region in range(6)]
    assert min(with_rate) == pytest.approx(0.35, abs=0.01)
    assert max(with_rate) == pytest.approx(0.43, abs=0.01)
    others = (course.sum(0) - course) / 26
    between = (course * (others / others.std(axis=1, keepdims=True))).mean(axis=(0, 1))
    assert between.min() == pytest.approx(0.17, abs=0.01)
    assert between.max() == pytest.approx(0.40, abs=0.01)
