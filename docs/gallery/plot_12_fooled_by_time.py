"""
How people fool themselves: exchanging volumes
==============================================

Permuting single volumes destroys the autocorrelation that real data have, so that the null is too narrow. Here are 60
studies in which there is nothing to find.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from scipy.signal import lfilter

from neuroling import CircularShift, ContiguousFolds, Permutation, Ridge, align, evaluate, pearson

N_STUDIES, N_VOLUMES = 60, 200


def study(seed: int, is_labelled: bool):
    """A feature and a voxel that have nothing in common but that both are slow (autocorrelation 0.8)."""
    slow = lfilter([1.0], [1.0, -0.8], np.random.default_rng(seed).standard_normal((N_VOLUMES, 2)), axis=0)
    labels = {"sample": np.arange(N_VOLUMES)} | (
        {"time_index": ("sample", np.arange(N_VOLUMES))} if is_labelled else {}
    )
    features, recording = (
        xr.DataArray(slow[:, [column]], dims=("sample", name), coords=labels)
        for column, name in enumerate(("feature", "voxel"))
    )
    return align(features, recording)


def share_significant(inference, is_labelled: bool) -> tuple[float, set[str]]:
    """Share of studies with p < 0.05, and what the package warned of."""
    found, codes = [], set()
    for seed in range(N_STUDIES):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = evaluate(
                Ridge(1.0),
                study(seed, is_labelled),
                splits=ContiguousFolds(5, gap=5) if is_labelled else ContiguousFolds(5),
                metric=pearson,
                inference=inference,
                rng=seed,
            )
        found.append(bool((result.p_values() < 0.05).all()))
        codes |= {getattr(warning.message, "code", "") for warning in caught}
    return float(np.mean(found)), codes


# %%
wrong, said = share_significant(Permutation(99), is_labelled=False)
right, _ = share_significant(CircularShift(99), is_labelled=True)
print(f"volumes exchanged: {wrong:.0%} of studies find something; rotated: {right:.0%}")
print(said)
figure, axes = plt.subplots(figsize=(5, 2))
axes.barh(["volumes exchanged", "recording rotated"], [100 * wrong, 100 * right])
axes.axvline(5, color="0.5", linestyle=":")
axes.set(xlabel="studies that find something where there is nothing (%)")
assert wrong > 0.12
assert right < 0.12
assert "exchanged-in-time" in said

# %%
# **So:** use a null that keeps the autocorrelation. With the coordinate ``time_index`` the package refuses the wrong
# one; without it, it looks at the data and warns.
