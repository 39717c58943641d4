"""
How people fool themselves: p values over pairs
===============================================

20 items make 190 pairs, but not 190 observations: pairs share items. The p value that ``spearmanr`` prints for two
dissimilarity matrices takes them for independent. Here are 200 studies without anything to find.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from neuroling import Permutation, Stimuli, evaluate, model_rdms, pairwise, spearman
from neuroling.rsa import FixedRDM

N_STUDIES, N_ITEMS = 200, 20
labels = [f"item {number}" for number in range(N_ITEMS)]

# %%
# Two sets of patterns with nothing in common; a few dimensions are shared by all items, as in real patterns.
over_pairs, over_items = [], []
for seed in range(N_STUDIES):
    rng = np.random.default_rng(seed)
    model, brain = (rng.standard_normal((N_ITEMS, 3)) for _ in range(2))
    over_pairs.append(spearmanr(pdist(model), pdist(brain)).pvalue < 0.05)
    if seed < 60:
        stimuli = Stimuli.from_texts(labels)
        pairs = pairwise(
            model_rdms(stimuli.features(model), distance="euclidean"),
            stimuli.features(brain).rename(feature="channel"),
            distance="euclidean",
        )
        result = evaluate(FixedRDM(), pairs, metric=spearman, inference=Permutation(199), rng=seed)
        over_items.append(bool((result.p_values() < 0.05).all()))
wrong, right = np.mean(over_pairs), np.mean(over_items)
print(f"p over pairs: {wrong:.0%} of studies find something; items exchanged: {right:.0%}")
figure, axes = plt.subplots(figsize=(5, 2))
axes.barh(["p over pairs", "items exchanged"], [100 * wrong, 100 * right])
axes.axvline(5, color="0.5", linestyle=":")
axes.set(xlabel="studies that find something where there is nothing (%)")
assert wrong > 0.15
assert right < 0.12

# %%
# **So:** exchange items, taking all their pairs along. A metric of this package never gives a p value by itself.
