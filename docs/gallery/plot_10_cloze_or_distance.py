"""
What predicts the single-trial N400?
====================================

26,176 single trials of 334 people who read nouns that were more or less expected (Nieuwland et al. 2018). A mixed
model asks how many microvolts a standard deviation of each predictor is worth, with participants and items as random
effects.
"""

import matplotlib.pyplot as plt

from neuroling import MixedModel, Stimuli, align_table, embed_sentences, estimate
from neuroling.data import nieuwland2018

stimuli, recording = nieuwland2018.load()
table = stimuli.table.assign(n400=recording.to_numpy()[:, 0])

# %%
# MiniLM's distance between the noun and its sentence, for the 160 pairs of sentence and noun.
pairs = table.groupby(["item", "noun"], sort=False).first().reset_index()
both = list(dict.fromkeys([*pairs["noun"], *pairs["context"]]))
vectors = embed_sentences(Stimuli.from_texts(both))
noun, context = (vectors.sel(sample=pairs[name].tolist()).to_numpy() for name in ("noun", "context"))
pairs = pairs.assign(distance=1 - (noun * context).sum(1))
scaled = {name: (pairs[name] - pairs[name].mean()) / pairs[name].std() for name in ("cloze", "distance")}
rows = table.drop(columns="cloze").merge(pairs[["item", "noun"]].assign(**scaled), on=["item", "noun"])

# %%
data = align_table(rows, "n400", ["cloze", "distance"], labels=["participant", "item"])
result = estimate(MixedModel(["cloze", "distance"], {"participant": ["1"], "item": ["1"]}), data)
print(result)

# %%
effects = result.estimates.sel(feature=["cloze", "distance"]).to_dataframe()
figure, axes = plt.subplots(figsize=(6, 2))
axes.errorbar(
    effects["estimate"],
    effects.index,
    xerr=[effects["estimate"] - effects["low"], effects["high"] - effects["estimate"]],
    fmt="o",
)
axes.axvline(0, color="0.5")
axes.set(xlabel="µV per standard deviation (95 % interval)")
assert effects.loc["cloze", "low"] > 0.5
assert effects.loc["distance", "low"] < 0 < effects.loc["distance", "high"]

# %%
# **So:** expected nouns have smaller (more positive) N400s, nearly a microvolt per standard deviation of cloze.
# Beside cloze, the distance of embeddings that saw the whole sentence at once adds nothing that could be told from
# zero.
