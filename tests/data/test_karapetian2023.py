"""The twin of Karapetian et al.: labelled, seeded, and with the truth in it."""

from __future__ import annotations

import numpy as np
import pytest

from neuroling.data.errors import DataNotFound
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


def test_the_real_files_are_not_guessed_at():
    with pytest.raises(DataNotFound, match="downloaded by hand"):
        karapetian2023.load()


def test_a_twin_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least 4"):
        karapetian2023.twin(2, 2, 3)
