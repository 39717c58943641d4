"""
Does the N400 between nouns follow meaning?
===========================================

People read pairs of 14 nouns; the N400 to each pair says how far apart the two are for the brain (van Vliet et al.
2018). RSA compares that matrix with models of the same pairs: MiniLM's distances, categories, and the length of the
words as a control.
"""

import warnings

import numpy as np
import pandas as pd

from neuroling import (
    LeaveOneOutCeiling,
    SignFlip,
    Stimuli,
    confound_rdms,
    embed_sentences,
    evaluate,
    model_rdms,
    pairwise,
    spearman,
)
from neuroling.data import vanvliet2018
from neuroling.report import plot_points
from neuroling.rsa import FixedRDM, label_pairs, stack_models

_, recording = vanvliet2018.load(ordered=False)
n400, names = label_pairs(recording), list(vanvliet2018.NOUNS)

# %%
# Three models of the 91 pairs.
table = pd.DataFrame({"category": list(vanvliet2018.NOUNS.values()), "length": [float(len(n)) for n in names]}, names)
controls = confound_rdms(table, ["category", "length"]).assign_coords(model=["category", "word length"])
minilm = model_rdms(embed_sentences(Stimuli.from_texts(names))).assign_coords(model=["MiniLM"])
pairs = pairwise(stack_models(minilm, controls), n400)

# %%
# Spearman's correlation within each participant; a test over participants that allows for the three models. It warns
# that these are tests about people and not about other nouns.
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    result = evaluate(
        FixedRDM(),
        pairs,
        metric=spearman,
        ceiling=LeaveOneOutCeiling("subject"),
        inference=SignFlip(n_draws=1999),
        rng=0,
    )
print(result)
print([warning.message.code for warning in caught])
assert "items-fixed" in [warning.message.code for warning in caught]

# %%
axes = plot_points(result.score, along="model", label="Spearman correlation")
low, high = (float(bound) for bound in result.ceiling.mean("subject"))
axes.axhspan(low, high, color="0.85", zorder=0, label="noise ceiling")
axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1))
p = result.p_values("max").to_series()
print(p.round(4))
assert p["MiniLM"] < 0.05
assert p["category"] < 0.05
assert p["word length"] > 0.05
assert np.isclose(low, 0.14, atol=0.05)

# %%
# **So:** categories and MiniLM agree with the brain nearly as well as one person agrees with all others, and word
# length does not.
