"""
Which penalty, and one for all or one for each?
===============================================

Ridge regression needs a penalty (alpha). The best one depends on how noisy a location is, so each gets its own,
chosen inside the training set; the test set never sees the choice.
"""

import matplotlib.pyplot as plt
import numpy as np

from neuroling import ContiguousFolds, Ridge, RidgeCV, align, convolve, evaluate, pearson
from neuroling.data import alice2016
from neuroling.encoding import remove_drift
from neuroling.evaluation import join_spaces
from neuroling.features import word_length, word_rate

story = alice2016.load()
recording = remove_drift(story.recording, story.recording.attrs["tr_s"]).mean("subject", keep_attrs=True)
words = join_spaces({"rate": word_rate(story.words), "length": word_length(story.words)})
volumes = convolve(words, recording.onset, labels=recording.sample.to_numpy())
data = align(volumes, recording)

# %%
# Held-out scores along the grid, and what a choice inside the training sets gives.
alphas = np.logspace(-6, 4, 21)
splits = ContiguousFolds(5, gap=10)
curve = np.array([evaluate(Ridge(alpha), data, splits=splits, metric=pearson).score.to_numpy() for alpha in alphas])
chosen = evaluate(RidgeCV(alphas, folds=ContiguousFolds(4, gap=10)), data, splits=splits, metric=pearson).score

figure, axes = plt.subplots()
for number, region in enumerate(recording.region.to_numpy()):
    (line,) = axes.semilogx(alphas, curve[:, number], label=str(region))
    axes.plot([alphas[0] / 4], [float(chosen[number])], "<", color=line.get_color(), clip_on=False)
axes.set(xlabel="alpha", ylabel="held-out r")
axes.legend(
    ncols=6, loc="lower center", bbox_to_anchor=(0.5, 1), title="lines: fixed alpha; triangles: chosen in training"
)
loss = curve.max(axis=0) - chosen.to_numpy()
print(f"chosen inside the training sets: at most {loss.max():.3f} below the best fixed alpha")
assert loss.max() < 0.05

# %%
# **So:** the choice costs next to nothing here. Picking the best point of the curves above would be choosing on the
# test set.
