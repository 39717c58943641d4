"""
Other people, or other items?
=============================

A test over participants says that other people would show the effect *for these items*. With 14 nouns, others could
show another picture. The dual bootstrap resamples people and items together, and its intervals are for both.
"""

import warnings

import matplotlib.pyplot as plt
import pandas as pd

from neuroling import Stimuli, confound_rdms, embed_sentences, evaluate, model_rdms, pairwise, spearman
from neuroling.data import vanvliet2018
from neuroling.evaluation import DualBootstrap
from neuroling.rsa import FixedRDM, label_pairs, stack_models

warnings.simplefilter("ignore")  # both tests say what they do not hold for; that is this page's subject
_, recording = vanvliet2018.load(ordered=False)
names = list(vanvliet2018.NOUNS)
category = confound_rdms(pd.DataFrame({"category": list(vanvliet2018.NOUNS.values())}, names), ["category"])
minilm = model_rdms(embed_sentences(Stimuli.from_texts(names))).assign_coords(model=["MiniLM"])
pairs = pairwise(stack_models(minilm, category.assign_coords(model=["category"])), label_pairs(recording))

# %%
# The standard error of each mean correlation, over participants alone and over participants and nouns.
over_both = evaluate(FixedRDM(), pairs, metric=spearman, inference=DualBootstrap(n_draws=1000), rng=0)
score = over_both.score
table = pd.DataFrame(
    {
        "correlation": score.mean("subject").to_series(),
        "error, other people": (score.std("subject", ddof=1) / score.sizes["subject"] ** 0.5).to_series(),
        "error, other people and nouns": over_both.intervals.standard_error.to_series(),
    }
)
print(table.round(3))
low, high = over_both.intervals.interval().transpose("bound", "model").to_numpy()

# %%
figure, axes = plt.subplots(figsize=(6, 2))
mean = table["correlation"].to_numpy()
axes.errorbar(mean, table.index, xerr=[mean - low, high - mean], fmt="o", label="other people and nouns")
reach = 2.13 * table["error, other people"].to_numpy()  # t of 15 degrees of freedom
axes.errorbar(mean, table.index, xerr=reach, fmt="none", elinewidth=4, alpha=0.5, label="other people")
axes.axvline(0, color="0.5")
axes.set(xlabel="Spearman correlation, 95 % interval", ylim=(-0.5, 1.5))
axes.legend(fontsize="small", ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))

# %%
# Which model is better? The difference is small beside what other people and nouns could change:
difference = over_both.difference("category", "MiniLM").test(DualBootstrap(n_draws=1000))
print(difference.intervals.interval().to_series().round(3))
low, high = difference.intervals.interval().to_numpy()
assert low < 0 < high
errors = table["error, other people and nouns"] / table["error, other people"]
assert errors["category"] > 1.1
assert errors["MiniLM"] < 1.1

# %%
# **So:** for MiniLM, whose distances are graded, other nouns add next to nothing to the uncertainty; for two
# categories of seven nouns each they add a fifth. Which of the two models is better cannot be told from 14 nouns.
