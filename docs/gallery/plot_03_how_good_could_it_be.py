"""
How good could any model be?
============================

A noise ceiling says what a perfect model would score. With one presentation each, it comes from other people: the
mean of all others predicts each participant, scored as a model is. People who share little with others have low
ceilings.
"""

import numpy as np

from neuroling import ContiguousFolds, LeaveOneOutCeiling, RidgeCV, align, convolve, evaluate, pearson
from neuroling.data import alice2016
from neuroling.encoding import remove_drift
from neuroling.features import word_rate
from neuroling.report import plot_points

story = alice2016.load()
recording = remove_drift(story.recording, story.recording.attrs["tr_s"])
rate = convolve(word_rate(story.words), recording.onset, labels=recording.sample.to_numpy())
result = evaluate(
    RidgeCV(np.logspace(-6, 4, 11), folds=ContiguousFolds(4, gap=10)),
    align(rate, recording),
    splits=ContiguousFolds(5, gap=10),
    metric=pearson,
    ceiling=LeaveOneOutCeiling("subject"),
)
lower = result.ceiling.sel(bound="lower", drop=True)
axes = plot_points(lower, along="region", label="noise ceiling (r with the mean of others)")

# %%
# Scores and ceilings, mean of people:
table = result.score.mean("subject").to_series().to_frame("word rate").assign(ceiling=lower.mean("subject").to_series())
print(table.round(3))
share = float(result.score.mean() / lower.mean())
print(f"word rate reaches {share:.0%} of the mean ceiling")
assert 0.3 < share < 1.0

# %%
# A score above the ceiling is possible, and not an error: the ceiling is itself a prediction from few people. The
# package never clips either. ``result.normalized()`` divides the mean score by the mean ceiling, not location by
# location, where small ceilings would make large ratios.
