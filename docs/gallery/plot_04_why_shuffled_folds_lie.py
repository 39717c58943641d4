"""
Why did shuffled folds lie?
===========================

Features that say nothing, a recording that says nothing, both slow. Shuffled folds put each test volume between its
own neighbours, which are nearly the same volume: the model remembers rather than predicts.
"""

import warnings

import numpy as np
import xarray as xr
from scipy.signal import lfilter
from sklearn.model_selection import KFold

from neuroling import ContiguousFolds, KernelRidgeCV, align, evaluate, pearson
from neuroling.report import plot_points

rng = np.random.default_rng(0)
n_volumes = 400
slow = lfilter([1.0], [1.0, -0.95], rng.standard_normal((n_volumes, 130)), axis=0)  # autocorrelation 0.95
labels = {"sample": np.arange(n_volumes)}
features = xr.DataArray(slow[:, :100], dims=("sample", "feature"), coords=labels)
recording = xr.DataArray(slow[:, 100:], dims=("sample", "voxel"), coords=labels)
data = align(features, recording)

# %%
# The same data, two ways of holding out.
scores, said = {}, {}
for name, folds in {
    "shuffled": KFold(5, shuffle=True, random_state=0),
    "contiguous, gap 40": ContiguousFolds(5, gap=40),
}.items():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = evaluate(KernelRidgeCV(np.logspace(-2, 6, 9)), data, splits=folds, metric=pearson)
    scores[name], said[name] = result.score, [str(warning.message)[:80] for warning in caught]
both = xr.concat(list(scores.values()), dim=xr.DataArray(list(scores), dims="model", name="model"))
axes = plot_points(both.transpose("voxel", "model"), along="model", label="held-out r with noise")
print({name: round(float(score.mean()), 2) for name, score in scores.items()})
assert float(scores["shuffled"].mean()) > 0.5
assert abs(float(scores["contiguous, gap 40"].mean())) < 0.1

# %%
# ``evaluate`` looks at the data and says so, although nothing was labelled as time:
print(said["shuffled"])
assert any("resemble" in text or "neighbour" in text or "autocorrel" in text for text in said["shuffled"])

# %%
# **So:** r of 0.5 and more on nothing. Hold out contiguous stretches, whole runs, or whole stories.
