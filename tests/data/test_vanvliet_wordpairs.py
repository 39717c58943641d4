"""Word pairs: the real file against its published figures, and the twin."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr, ttest_ind

from neuroling.data.errors import CorruptData, DataNotFound
from neuroling.data.fetch import locate
from neuroling.data.loaders import vanvliet_wordpairs

CENTRO_PARIETAL = ["Cz", "CP1", "CP2", "Pz", "P3", "P4", "C3", "C4"]


@pytest.fixture
def real():
    try:
        return vanvliet_wordpairs.load(locate(vanvliet_wordpairs.NAME))
    except DataNotFound as error:
        pytest.skip(str(error))


@pytest.mark.real_data
def test_the_published_effect_is_there(real):
    stimuli, recording = real
    amplitude = recording.sel(channel=CENTRO_PARIETAL, time=slice(0.3, 0.5)).mean(["channel", "time"])
    related = (recording.condition == "related").values
    assert len(stimuli) == 200
    assert ttest_ind(amplitude.values[related], amplitude.values[~related]).statistic == pytest.approx(3.45, abs=0.01)
    assert pearsonr(amplitude.values, recording.association_strength.values)[0] == pytest.approx(0.24, abs=0.005)


def test_the_twin_goes_through_the_file_and_is_labelled():
    stimuli, recording = vanvliet_wordpairs.twin(40)
    assert recording.attrs["synthetic"] == 1
    at_peak = recording.sel(channel="Pz", time=slice(0.3, 0.5)).mean("time")
    effect = at_peak[recording.condition == "unrelated"].mean() - at_peak[recording.condition == "related"].mean()
    assert float(effect) < 0.5 * recording.attrs["truth_effect_microvolt"] < 0
    assert stimuli.table["condition"].tolist() == recording.condition.values.tolist()


def test_equal_seeds_agree_and_others_do_not():
    one, same, other = (vanvliet_wordpairs.twin(8, rng=seed)[1].values for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_damaged_file_is_named(tmp_path):
    vanvliet_wordpairs.write_twin(tmp_path, n_pairs=8)
    path = tmp_path / vanvliet_wordpairs.FILE
    path.write_bytes(b"not a fif file at all")
    with pytest.raises(CorruptData, match="MNE cannot read it"):
        vanvliet_wordpairs.load(tmp_path)


def test_too_few_pairs_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 4"):
        vanvliet_wordpairs.write_twin(tmp_path, n_pairs=2)
