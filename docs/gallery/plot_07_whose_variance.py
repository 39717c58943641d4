"""
Whose variance is it?
=====================

Two features that go together, such as the rate and the length of words, predict the same volumes. What each adds to
the other (its unique part) and what both can claim (the shared part) add up to what they predict together.
"""

import numpy as np

from neuroling import ContiguousFolds, RidgeCV, convolve
from neuroling.data import alice2016
from neuroling.encoding import remove_drift
from neuroling.evaluation import partition_variance
from neuroling.features import word_length, word_rate
from neuroling.report import plot_points

story = alice2016.load()
recording = remove_drift(story.recording, story.recording.attrs["tr_s"])
spaces = {
    name: convolve(words, recording.onset, labels=recording.sample.to_numpy())
    for name, words in {"rate": word_rate(story.words), "length": word_length(story.words)}.items()
}
partition = partition_variance(
    spaces,
    recording,
    make_model=lambda _: RidgeCV(np.logspace(-6, 4, 11), folds=ContiguousFolds(4, gap=10)),
    splits=ContiguousFolds(5, gap=10),
    overlaps=True,
)

# %%
# Parts in per cent of the variance that the mean of the training volumes leaves, mean over people and regions. They
# can be negative: a feature that says nothing new still costs something to fit. Nothing is clipped at zero.
parts = 100 * partition.overlaps()
axes = plot_points(parts.mean("region").transpose("subject", "model"), along="model", label="held-out variance (%)")
mean = parts.mean(["subject", "region"]).to_series()
print(mean.round(2))

# %%
# The parts add up to what both predict together:
together = 100 * partition.full.mean()
print(f"together {float(together):.2f} %")
assert abs(mean.sum() - float(together)) < 1e-6
assert mean["rate & length"] > 5 * abs(mean["rate"])

# %%
# **So:** nearly all that the two predict is shared: how many words there are, and how many letters, is the same thing
# to these regions. A model that is compared with neither can claim it all.
