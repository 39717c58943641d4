"""Features that hold nothing scored r = 0.45 to 0.96 without a word; each is now warned of by its code."""

import numpy as np
import pytest
import xarray as xr
from scipy.signal import lfilter
from sklearn.model_selection import KFold

from neuroling import Ridge, align, evaluate, pearson
from neuroling.evaluation.leaks import LeakageWarning

SHUFFLED = KFold(5, shuffle=True, random_state=0)


def score(x, y, splits):
    labels = {"sample": np.arange(len(x))}
    features = xr.DataArray(x, dims=("sample", "feature"), coords=labels)
    recording = xr.DataArray(y, dims=("sample", "voxel"), coords=labels)
    return evaluate(Ridge(1.0), align(features, recording), splits=splits, metric=pearson)


def test_silent_leaks_are_warned_of():
    rng = np.random.default_rng(0)

    def smooth(n, k):
        return lfilter([1.0], [1.0, -0.95], rng.standard_normal((n, k)), axis=0)

    place = np.exp(-0.5 * ((np.arange(300)[:, None] - np.arange(300)[None]) / 2.0) ** 2)
    with pytest.warns(LeakageWarning, match="autocorrelation"):
        result = score(place, smooth(300, 30), SHUFFLED)
    assert float(result.score.mean()) > 0.5

    words, responses = rng.standard_normal((30, 20)), rng.standard_normal((30, 30))
    again = np.tile(np.arange(30), 4)
    noisy = responses[again] + rng.standard_normal((120, 30))
    with pytest.warns(LeakageWarning, match="repeated-features"):
        score(words[again], noisy, SHUFFLED)

    twice = np.concatenate([smooth(100, 30)] * 2)
    with pytest.warns(LeakageWarning) as caught:
        score(np.tile(rng.standard_normal((100, 20)), (2, 1)), twice, KFold(2))
    assert {warning.message.code for warning in caught} >= {"repeated-features", "repeated-recording"}
