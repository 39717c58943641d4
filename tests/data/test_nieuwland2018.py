"""The loader of Nieuwland et al. 2018 on its twin, on damaged files and on the real table."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from neuroling.data.errors import CorruptData, DataNotFound
from neuroling.data.loaders.nieuwland2018 import EFFECT_UV, TRIALS, by_sentence, load, twin, write_twin


def change(folder, old, new):
    path = folder / TRIALS
    text = gzip.decompress(path.read_bytes()).decode()
    assert old in text
    path.write_bytes(gzip.compress(text.replace(old, new, 1).encode()))


@pytest.fixture
def folder(tmp_path):
    write_twin(tmp_path, 0, n_participants=4, n_items=6)
    return tmp_path


def test_twin_has_the_form_of_the_real_recording(folder):
    stimuli, recording = load(folder)
    assert recording.dims == ("sample", "channel")
    assert list(recording.sample.values) == list(stimuli.labels)
    assert {"group", "participant", "item", "cloze", "lab"} <= set(recording.coords)
    assert recording.attrs["synthetic"] == 1


def test_trials_without_text_are_counted(folder):
    stimuli, recording = load(folder)
    assert len(stimuli) == 4 * 6 - 1
    assert recording.attrs["excluded"] == "1 trials without text"


def test_text_ends_with_the_noun(folder):
    table = load(folder)[0].table
    assert all(text.endswith(f" {noun}") for text, noun in zip(table["text"], table["noun"], strict=True))


def test_planted_effect_of_cloze_is_there():
    _, recording = twin(1, n_participants=200, n_items=30)
    slope = np.polyfit(recording["cloze"], recording[:, 0], 1)[0]
    assert slope == pytest.approx(EFFECT_UV, abs=0.8)


def test_sentences_are_means_over_people(folder):
    stimuli, recording = load(folder)
    averaged, means = by_sentence(stimuli, recording)
    assert len(averaged) == 12
    noun = averaged.table["noun"].iloc[0]
    rows = (stimuli.table["noun"] == noun).to_numpy()
    assert float(means[0, 0]) == pytest.approx(float(recording[rows].mean()))


def test_equal_seeds_agree_and_different_ones_do_not():
    one, same, other = (twin(seed, n_participants=3, n_items=4)[1].to_numpy() for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [("\t0.02\t", "\t1.02\t", "cloze from"), ("\tn400\t", "\tP600\t", "missing"), ("\t1.0\t", "\tone\t", "not finite")],
)
def test_damage_is_named(folder, old, new, message):
    change(folder, old, new)
    with pytest.raises(CorruptData, match=message):
        load(folder)


def test_trial_that_stands_twice_is_named(folder):
    path = folder / TRIALS
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    path.write_bytes(gzip.compress("\n".join([*lines, lines[1]]).encode()))
    with pytest.raises(CorruptData, match="twice"):
        load(folder)


def test_absent_file_is_named(tmp_path):
    with pytest.raises(DataNotFound, match=TRIALS):
        load(tmp_path)


def test_too_small_a_twin_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 2 and 3"):
        write_twin(tmp_path, n_items=2)


@pytest.mark.real_data
def test_real_table_has_the_published_size_and_correlation(real):
    stimuli, recording = load(real("nieuwland2018_n400"))
    assert len(stimuli) == 26_176 - 198
    assert stimuli.table["participant"].nunique() == 334
    _, means = by_sentence(stimuli, recording)
    assert np.corrcoef(recording["cloze"], recording[:, 0])[0, 1] == pytest.approx(0.084, abs=0.003)
    assert np.corrcoef(means["cloze"], means[:, 0])[0, 1] == pytest.approx(0.50, abs=0.02)
