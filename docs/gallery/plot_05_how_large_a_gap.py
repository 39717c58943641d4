"""
How large a gap between training and test?
==========================================

Contiguous folds still touch at their ends. A model that only remembers its neighbours lives on those; a gap starves
it. The gap has to be as long as recording and features resemble themselves, and ``ContiguousFolds.of`` measures that.
"""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from neuroling import ContiguousFolds, Ridge, align, evaluate, pearson

rng = np.random.default_rng(1)
n_volumes, n_voxels = 240, 200
noise = lfilter([1.0], [1.0, -0.8], rng.standard_normal((n_volumes, n_voxels)), axis=0)
moments = gaussian_filter1d(np.eye(n_volumes), 3, axis=0)  # "it is now about volume t": features of nothing but time
labels = {"sample": np.arange(n_volumes), "time_index": ("sample", np.arange(n_volumes))}
data = align(
    xr.DataArray(moments, dims=("sample", "feature"), coords=labels),
    xr.DataArray(noise, dims=("sample", "voxel"), coords=labels),
)
gaps = [0, 1, 2, 4, 8, 16]
score = [
    float(evaluate(Ridge(0.01), data, splits=ContiguousFolds(30, gap=gap), metric=pearson).score.mean()) for gap in gaps
]
measured = ContiguousFolds.of(data, 30)
print(measured)

figure, axes = plt.subplots()
axes.plot(gaps, score, "o-")
axes.axhline(0, color="0.5")
axes.axvline(measured.gap, color="0.5", linestyle=":", label=f"measured: {measured.gap} volumes")
axes.set(xlabel="gap between training and test (volumes)", ylabel="held-out r of noise from time")
axes.legend()
assert score[0] > 0.05
assert abs(score[-1]) < 0.05

# %%
# **So:** without a gap a feature that knows nothing but the time predicts noise. With the measured gap it does not.
