"""
Does a feature predict this brain at all?
=========================================

27 people listened to the first chapter of *Alice in Wonderland* in the scanner (Brennan et al. 2016). Six of their
language regions come with the package. We ask for the simplest feature first: how many words there were. A model that
cannot beat it has nothing to say about meaning.
"""

import numpy as np

from neuroling import CircularShift, ContiguousFolds, RidgeCV, align, convolve, evaluate, pearson
from neuroling.data import alice2016
from neuroling.encoding import remove_drift
from neuroling.features import word_rate
from neuroling.report import plot_points

story = alice2016.load()
recording = remove_drift(story.recording, story.recording.attrs["tr_s"])  # slow scanner drifts out, run by run

# %%
# Words are impulses; the haemodynamic response spreads them over the volumes. ``align`` matches both by label.
rate = convolve(word_rate(story.words), recording.onset, labels=recording.sample.to_numpy())
data = align(rate, recording)

# %%
# A time axis is held out in contiguous stretches with a gap, since neighbouring volumes resemble each other. The null
# rotates the recording against the features, so that it keeps the autocorrelation of both.
result = evaluate(
    RidgeCV(np.logspace(-6, 4, 11), folds=ContiguousFolds(4, gap=10)),
    data,
    splits=ContiguousFolds(5, gap=10),
    metric=pearson,
    inference=CircularShift(199),
    rng=0,
)
print(result)

# %%
# Every participant in every region, and the mean of people. p values allow for all 162 locations.
axes = plot_points(result.score, along="region", label="held-out r")
by_region = result.score.mean("subject").to_series().round(3)
print(by_region)
assert by_region.min() > 0.1
assert (result.p_values("max") < 0.05).any()

# %%
# **So:** the rate of words alone predicts every region. Whatever a language model predicts has to be counted beside
# that.
