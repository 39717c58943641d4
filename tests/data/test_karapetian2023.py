"""The twin of Karapetian et al.: labelled, seeded, and with the truth in it."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from scipy.io import savemat

from neuroling.data.errors import CorruptData, DataNotFound
from neuroling.data.loaders import karapetian2023


def test_the_twin_says_what_it_is():
    stimuli, recording, features = karapetian2023.twin(2, 6, 3, n_channels=8)
    assert recording.attrs["synthetic"] == 1
    assert recording.dims == ("subject", "sample", "repeat", "channel", "time")
    assert set(features) == {"feed-forward", "recurrent"}
    assert stimuli.labels.tolist() == recording.sample.values.tolist()


def test_equal_seeds_agree_and_others_do_not():
    one, same, other = (karapetian2023.twin(2, 4, 2, n_channels=4, rng=seed)[1].values for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("karapetian2023")
    karapetian2023.write_twin(made)
    return made


def test_files_in_the_authors_layout_are_read(folder):
    stimuli, recording = karapetian2023.load(folder, n_folds=3)
    assert recording.sizes == {"subject": 2, "sample": 60, "repeat": 3, "channel": 8, "time": 51}
    assert recording.subject.to_numpy().tolist() == ["05", "06"]
    assert stimuli.table["condition"].tolist() == ["man-made"] * 30 + ["natural"] * 30
    assert recording.attrs["synthetic"] == 1


def test_wrong_answers_are_left_out_and_folds_hold_each_right_one_once(folder):
    _, recording = karapetian2023.load(folder, n_folds=3)
    assert (recording.n_trials == 3).all()
    _, written, _ = karapetian2023.twin(2, 60, 4, n_channels=8)
    expected = written.values[:, :, :3].mean(axis=2)
    np.testing.assert_allclose(recording.mean("repeat").values, expected, atol=1e-5)


def with_points(folder, target, points):
    """Copy one person's files, other answers given, and another's as they are."""
    for person in ("05", "06"):
        shutil.copytree(folder / person, target / person)
    codes = np.repeat(np.arange(1, 61), 4)[:, None]
    answers = {"triggers": codes, "RT": np.full((240, 1), 0.5), "points": points[:, None]}
    savemat(target / "05" / "preprocessed_behavioural_data_categorization.mat", {"behav": answers})


def test_a_scene_with_too_few_trials_is_nan_for_that_person_and_said(folder, tmp_path, caplog):
    with_points(folder, tmp_path, np.concatenate([np.zeros(4), np.ones(236)]))
    with caplog.at_level("WARNING"):
        _, recording = karapetian2023.load(tmp_path, n_folds=3)
    first = recording.sel(sample="man-made scene 00")
    assert first.sel(subject="05").isnull().all()
    assert first.sel(subject="06").notnull().all()
    assert recording.isel(sample=slice(1, None)).notnull().all()
    assert "1 scenes with fewer than 3 correct trials are NaN: ['man-made scene 00']" in caplog.text


def test_more_folds_than_trials_are_refused(folder):
    with pytest.raises(CorruptData, match="no scene has 5 correct trials"):
        karapetian2023.load(folder, n_folds=5)


def test_dealing_follows_the_seed(folder):
    one, same, other = (karapetian2023.load(folder, n_folds=2, rng=seed)[1].values for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_answers_of_other_trials_are_refused(folder, tmp_path):
    person = tmp_path / "05"
    person.mkdir()
    for name in ("timelock", "preprocessed_behavioural_data"):
        (person / f"{name}_categorization.mat").write_bytes((folder / "05" / f"{name}_categorization.mat").read_bytes())
    wrong = {"triggers": np.ones((240, 1)), "RT": np.ones((240, 1)), "points": np.ones((240, 1))}
    savemat(person / "preprocessed_behavioural_data_categorization.mat", {"behav": wrong})
    with pytest.raises(CorruptData, match="not those of the answers"):
        karapetian2023.load(tmp_path)


def test_a_folder_without_files_is_named(tmp_path):
    with pytest.raises(DataNotFound, match=r"no files \*/timelock_fixation.mat"):
        karapetian2023.load(tmp_path, task="fixation")
    with pytest.raises(ValueError, match="task: got 'rest'"):
        karapetian2023.load(tmp_path, task="rest")


def test_a_twin_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least 4"):
        karapetian2023.twin(2, 2, 3)
