"""The loader of van Vliet et al. 2018 on its twin, on damaged files and on the real table."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from neuroling.core.align import align
from neuroling.data.errors import CorruptData, DataNotFound
from neuroling.data.loaders.vanvliet2018 import EFFECT_Z, TRIALS, load, twin, write_twin


@pytest.fixture
def folder(tmp_path):
    write_twin(tmp_path, 0, n_participants=3)
    return tmp_path


def difference(recording):
    """Between minus within categories, one a participant."""
    condition = np.asarray(recording["condition"])
    return recording[condition == "between"].mean("sample") - recording[condition == "within"].mean("sample")


def test_twin_has_the_form_of_the_real_recording(folder):
    stimuli, recording = load(folder)
    assert recording.dims == ("sample", "subject")
    assert recording.shape == (182, 3)
    assert list(recording.sample.values) == list(stimuli.labels)
    assert recording.attrs["synthetic"] == 1
    assert set(recording["language"].values) == {"NL", "FR"}


def test_unordered_pairs_average_both_orders(folder):
    _, ordered = load(folder)
    _, unordered = load(folder, ordered=False)
    assert len(unordered) == 91
    both = ordered.sel(sample=["lion → tiger", "tiger → lion"]).mean("sample")
    np.testing.assert_allclose(unordered.sel(sample="lion ~ tiger"), both)


def test_unordered_pairs_align_as_pairs_of_items(folder):
    stimuli, recording = load(folder, ordered=False)
    features = stimuli.features(np.random.default_rng(0).standard_normal((91, 2)))
    assert align(features, recording).unit == "item"


def test_planted_difference_of_categories_is_there():
    assert float(difference(twin(0, n_participants=60)[1]).mean()) == pytest.approx(EFFECT_Z, abs=0.05)


def test_equal_seeds_agree_and_different_ones_do_not():
    one, same, other = (twin(seed, n_participants=2)[1].to_numpy() for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lion,tiger,", "lion,leopard,", "leopard"),
        ("lion,tiger,subject01", "lion,zebra,subject01", "twice"),
        ("N400", "P600", "missing"),
    ],
)
def test_damage_is_named(folder, old, new, message):
    path = folder / TRIALS
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(CorruptData, match=message):
        load(folder)


def test_missing_pair_is_counted(folder):
    path = folder / TRIALS
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "bed,desk,subject01" not in line))
    with pytest.raises(CorruptData, match="1 for some"):
        load(folder)


def test_absent_file_is_named(tmp_path):
    with pytest.raises(DataNotFound, match=TRIALS):
        load(tmp_path)


def test_twin_of_one_participant_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 2"):
        write_twin(tmp_path, n_participants=1)


@pytest.mark.real_data
def test_real_table_has_the_published_difference(real):
    _, recording = load(real("vanvliet2018_n400_distances"))
    assert recording.shape == (182, 16)
    found = stats.ttest_1samp(np.asarray(difference(recording)), 0)
    assert found.statistic == pytest.approx(3.25, abs=0.05)
