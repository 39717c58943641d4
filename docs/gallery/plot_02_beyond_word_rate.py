"""
Does a language model predict more than word rate?
==================================================

Embeddings of words change with every word, so that they carry the rate of words with them. Three comparisons keep us
from taking that for meaning: beside the rate, beside the same network with random weights, and paired over
participants.
"""

import numpy as np

from neuroling import ContiguousFolds, RidgeCV, SignFlip, align, convolve, evaluate, load_encoder, pearson
from neuroling.data import alice2016
from neuroling.encoding import remove_drift
from neuroling.evaluation import join_spaces
from neuroling.features import concatenate, embed_words_in_context, word_rate
from neuroling.report import plot_points

story = alice2016.load()
tr_s = story.recording.attrs["tr_s"]
recording = remove_drift(story.recording, tr_s)

# %%
# Each word is read in its context by MiniLM, and by MiniLM before training.
trained = embed_words_in_context(story.words, stride=20)
untrained = embed_words_in_context(story.words, load_encoder(untrained=0), stride=20)
by_word = {
    "word rate": word_rate(story.words),
    "untrained": untrained - untrained.mean("sample"),
    "MiniLM": trained - trained.mean("sample"),
}


def in_volumes(words):
    """Spread words over volumes, take out drifts, and bring the space to a variance of one."""
    volumes = convolve(words, recording.onset, labels=recording.sample.to_numpy())
    return concatenate({"space": remove_drift(volumes, tr_s)}, train=recording.sample.to_numpy())


spaces = {name: in_volumes(words) for name, words in by_word.items()}
models = {
    "word rate": spaces["word rate"],
    "word rate + untrained": join_spaces({name: spaces[name] for name in ("word rate", "untrained")}),
    "word rate + MiniLM": join_spaces({name: spaces[name] for name in ("word rate", "MiniLM")}),
}
result = evaluate(
    RidgeCV(np.logspace(-2, 6, 9), folds=ContiguousFolds(4, gap=10)),
    align(models, recording),
    splits=ContiguousFolds(5, gap=10),
    metric=pearson,
)
axes = plot_points(result.score.mean("region").transpose("subject", "model"), along="model", label="held-out r")

# %%
# The difference is paired: each participant is their own comparison.
gain = result.difference("word rate + MiniLM", "word rate + untrained").test(SignFlip("subject", two_sided=True))
print(gain)
mean = float(gain.score.mean())
smallest = float(gain.p_values("max").min())
print(f"mean difference {mean:+.4f}, smallest corrected p {smallest:.2f}")
assert abs(mean) < 0.02
assert smallest > 0.05

# %%
# **So:** with six regions, 12 minutes and this small model there is no evidence that training makes a difference
# beside the rate of words. That is a finding about this amount of data as much as about the model; an analysis that
# had compared MiniLM with nothing would have reported r = 0.08 as "the brain's language model".
