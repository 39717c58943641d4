"""A tour on real data, offline, in two minutes: encoding, RSA, single trials and a simulated N400.

All data come with the package: 27 participants listening to Alice in Wonderland (Brennan et al. 2016), the N400 between
14 nouns (van Vliet et al. 2018), 26,176 single-trial N400s (Nieuwland et al. 2018), and trained networks of simulated
participants. No causal language model can come with the package, so surprisal is that of trigrams, and says so.
"""

import logging
import time
import warnings
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
import xarray as xr

from neuroling import (
    CircularShift,
    ContiguousFolds,
    GroupMean,
    LeaveOneOutCeiling,
    MixedModel,
    RidgeCV,
    SignFlip,
    Stimuli,
    align,
    align_table,
    confound_rdms,
    convolve,
    embed_sentences,
    estimate,
    evaluate,
    load_encoder,
    model_rdms,
    pairwise,
    pearson,
    spearman,
    surprisal,
)
from neuroling.data import alice2016, nieuwland2018, real_or_twin, vanvliet2018
from neuroling.encoding import remove_drift
from neuroling.evaluation import join_spaces
from neuroling.features import concatenate, embed_words_in_context, fit_ngram, word_length, word_rate
from neuroling.n400 import Alpha, first_window, mean_amplitude, repetition, simulate, trained_network
from neuroling.report import SERIES, Exhibit, axes_to_png, new_axes, plot_points, write_exhibits
from neuroling.rsa import FixedRDM, label_pairs, stack_models

GAP = 10  # volumes of 2 s between training and test
STRIDE = 20  # words taken from one reading, so that each story is read in seconds
NEXT = ("neuroling run", "neuroling run neurosynth", "neuroling datasets list")

logger = logging.getLogger(__name__)


def main(
    out: Annotated[Path, typer.Option(help="Folder for the page, tables and results.")] = Path("results/tour"),
    n_permutations: Annotated[int, typer.Option(help="Permutations (rotations, sign flips) of each null.")] = 199,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> pd.DataFrame:
    """Run the four parts, print a table of twelve lines, and write one page."""
    out.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, str, str]] = []
    sections: dict[str, list[Exhibit | str]] = {}
    for number, (heading, part) in enumerate(PARTS.items(), start=1):
        started = time.perf_counter()
        logger.info("%d of %d: %s …", number, len(PARTS), heading)
        lines, sections[heading] = part(out, n_permutations, seed)
        rows += [(heading, *line) for line in lines]
        logger.info("%d of %d: done in %.0f s", number, len(PARTS), time.perf_counter() - started)
    table = pd.DataFrame(rows, columns=["part", "quantity", "value"])
    sections = {"Results in twelve lines": [Exhibit("results", table, "Every number of this page.")], **sections}
    options = {"permutations": n_permutations, "seed": seed}
    page = write_exhibits(out, sections, title="A tour of neuroling", provenance=options, synthetic=False)
    print(table[["quantity", "value"]].to_string(index=False, header=False))
    print(f"\nPage: {page}\nNext: {' · '.join(NEXT)}")
    return table


def listening(out: Path, n_permutations: int, seed: int) -> tuple[list[tuple[str, str]], list[Exhibit | str]]:
    """Predict six language regions of people who listen, from MiniLM and from its controls."""
    story = real_or_twin(alice2016.NAME, alice2016.load, lambda: alice2016.twin(8, 160, rng=seed))
    recording = remove_drift(story.recording, story.recording.attrs["tr_s"])
    embedded = embed_words_in_context(story.words, stride=STRIDE)
    untrained = embed_words_in_context(story.words, load_encoder(untrained=seed), stride=STRIDE)
    by_word = {
        "word rate": word_rate(story.words),
        "word length": word_length(story.words),
        "MiniLM, untrained": untrained - untrained.mean("sample"),
        "MiniLM": embedded - embedded.mean("sample"),
    }
    samples, tr_s = recording.sample.to_numpy(), recording.attrs["tr_s"]
    spaces = {
        name: _scaled(remove_drift(convolve(words, recording.onset, labels=samples), tr_s))
        for name, words in by_word.items()
    }
    spaces["word rate + MiniLM"] = join_spaces({name: spaces[name] for name in ("word rate", "MiniLM")})
    spaces["word rate + untrained"] = join_spaces({name: spaces[name] for name in ("word rate", "MiniLM, untrained")})
    result = evaluate(
        RidgeCV(np.logspace(-2, 6, 9), folds=ContiguousFolds(4, gap=GAP)),
        align(spaces, recording),
        splits=ContiguousFolds(5, gap=GAP),
        metric=pearson,
        ceiling=LeaveOneOutCeiling("subject"),
        inference=CircularShift(n_permutations),
        rng=seed,
    )
    result.save(out / "listening.nc")
    people = result.score.mean("region")  # (model, subject)
    shown = ("word rate", "MiniLM", "word rate + MiniLM", "word rate + untrained")
    lines = [(f"{name}: held-out r, mean of people and regions", f"{_at(people, name):.3f}") for name in shown]
    gain = people.sel(model="word rate + MiniLM", drop=True) - people.sel(model="word rate + untrained", drop=True)
    flips = SignFlip("subject", two_sided=False)
    test = estimate(GroupMean(), gain, inference=flips, rng=seed)
    low, high = np.percentile(np.random.default_rng(seed).choice(gain, (5000, len(gain))).mean(axis=1), (2.5, 97.5))
    ceiling = float(result.ceiling.sel(bound="lower").mean())
    lines.append(
        ("trained less untrained, beside word rate", f"{float(gain.mean()):+.3f}, p = {float(test.p_values()):.2g}")
    )
    axes = plot_points(people.transpose("subject", "model"), along="model", label="held-out r, mean over regions")
    caption = (
        "Held-out correlation of every participant, mean over six regions; large points are means over participants."
    )
    return lines, [
        f"Beside word rate, MiniLM predicts r = {float(gain.mean()):+.3f} more than the same network with random "
        f"weights (95 % bootstrap interval over participants {low:.3f} to {high:.3f}; sign flips, one-sided p = "
        f"{float(test.p_values()):.2g}). Each participant predicted by the mean of the others: r = {ceiling:.3f}.",
        Exhibit("listening", axes_to_png(axes), caption),
    ]


def nouns(out: Path, n_permutations: int, seed: int) -> tuple[list[tuple[str, str]], list[Exhibit | str]]:
    """Compare the N400 between 14 nouns with categories, MiniLM and word length."""
    _, recording = real_or_twin(
        vanvliet2018.NAME,
        lambda folder: vanvliet2018.load(folder, ordered=False),
        lambda: vanvliet2018.twin(seed, n_participants=12, ordered=False),
    )
    n400, names = label_pairs(recording), list(vanvliet2018.NOUNS)
    described = pd.DataFrame(
        {"category": list(vanvliet2018.NOUNS.values()), "length": [float(len(n)) for n in names]}, names
    )
    controls = confound_rdms(described, ["category", "length"]).assign_coords(model=["category", "word length"])
    minilm = model_rdms(embed_sentences(Stimuli.from_texts(names))).assign_coords(model=["MiniLM"])
    models = stack_models(minilm, controls)
    people = {"ceiling": LeaveOneOutCeiling("subject"), "inference": SignFlip(n_draws=max(n_permutations, 999))}
    result = evaluate(FixedRDM(), pairwise(models, n400), metric=spearman, rng=seed, **people)
    result.save(out / "nouns.nc")
    mean, p = result.score.mean("subject"), result.p_values("max")
    lines = [
        (f"N400 between nouns and {name}: Spearman", f"{_at(mean, name):.3f}, p = {float(p.sel(model=name)):.2g}")
        for name in ("MiniLM", "category", "word length")
    ]
    low, high = (float(bound) for bound in result.ceiling.mean("subject"))
    axes = plot_points(result.score, along="model", label="Spearman correlation")
    return lines, [
        f"Means of {recording.sizes['subject']} participants; noise ceiling {low:.2f} to {high:.2f}. p values allow "
        "for the three models (sign flips of participants); 14 nouns are few, and nothing is said of other nouns.",
        Exhibit("nouns", axes_to_png(axes), "Agreement of every participant's N400 dissimilarities with each model."),
    ]


def trials(out: Path, n_permutations: int, seed: int) -> tuple[list[tuple[str, str]], list[Exhibit | str]]:  # noqa: ARG001
    """Ask what predicts single-trial N400s, with participants and items as random effects."""
    stimuli, recording = real_or_twin(nieuwland2018.NAME, nieuwland2018.load, lambda: nieuwland2018.twin(rng=seed))
    table = stimuli.table.assign(n400=recording.to_numpy()[:, 0])
    pairs = table.groupby(["item", "noun"], sort=False).first().reset_index()
    both = list(dict.fromkeys([*pairs["noun"], *pairs["context"]]))
    vectors = embed_sentences(Stimuli.from_texts(both))
    noun, context = (vectors.sel(sample=pairs[name].tolist()).to_numpy() for name in ("noun", "context"))
    pairs = pairs.assign(distance=1 - (noun * context).sum(1), surprisal=_trigrams(pairs))
    scaled = {
        name: (pairs[name] - pairs[name].mean()) / pairs[name].std() for name in ("cloze", "distance", "surprisal")
    }
    described = pairs[["item", "noun"]].assign(**scaled)
    rows = table.drop(columns="cloze").merge(described, on=["item", "noun"])
    data = align_table(rows, "n400", list(scaled), labels=["participant", "item"])
    effects = estimate(MixedModel(list(scaled), {"participant": ["1"], "item": ["1"]}), data).estimates
    fit = effects.sel(feature=list(scaled)).to_dataframe().rename_axis("effect")
    fit.to_csv(out / "trials.csv")
    lines = [
        (f"{name}: µV per standard deviation, 95 % interval", f"{row.estimate:+.2f} [{row.low:.2f}, {row.high:.2f}]")
        for name, row in fit.iterrows()
    ]
    return lines, [
        "Three predictors of the noun at once, on the single trials of 334 participants; random intercepts of "
        "participants and items. Surprisal is that of trigrams trained on the sentences of the other half of the "
        "items: far too little text, and no stand-in for a causal language model.",
        Exhibit("predictors", fit.reset_index(), "Linear mixed model, fitted by REML."),
    ]


def _trigrams(pairs: pd.DataFrame) -> np.ndarray:
    """Surprisal (bits) of each noun from trigrams that have seen the other half of the items."""
    half = pairs["item"].astype("category").cat.codes.to_numpy() % 2
    bits = np.empty(len(pairs))
    for side in (0, 1):
        seen = pairs[half != side]
        model = fit_ngram(Stimuli.from_texts((seen["context"] + " " + seen["noun"]).tolist(), labels=range(len(seen))))
        for row in np.flatnonzero(half == side):
            words = f"{pairs['context'].iloc[row]} {pairs['noun'].iloc[row]}".split()
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*unknown to the 3-gram model")  # said on the page
                bits[row] = float(
                    surprisal(Stimuli.from_texts(words, labels=range(len(words))), model).to_numpy()[-1, 0]
                )
    return bits


def simulator(out: Path, n_permutations: int, seed: int) -> tuple[list[tuple[str, str]], list[Exhibit | str]]:  # noqa: ARG001
    """Show words twice to trained networks that read, with and without the alpha function."""
    network = trained_network()
    experiment = repetition(network.lexicon, rng=seed)
    axes = new_axes()
    effects = {}
    for color, (name, alpha) in zip(SERIES, {"with alpha": Alpha(7.5), "without": None}.items(), strict=False):
        recording = simulate(network, experiment, alpha=alpha, device="cpu")
        words = recording.sel(sample=recording.kind == "word")
        window = first_window(recording)
        amplitude = mean_amplitude(words, window)
        new, again = (amplitude.sel(sample=words.condition == which).mean("sample") for which in ("new", "repeated"))
        effects[name] = float(((new - again) / new).mean())
        for which, dashes in (("new", "-"), ("repeated", "--")):
            curve = words.sel(sample=words.condition == which).mean(("sample", "repeat"))
            axes.plot(1000 * curve.time, curve, dashes, color=color, label=f"{name}, {which}")
    axes.set_xlabel("time from target onset (ms)")
    axes.set_ylabel("mean semantic activation")
    axes.legend(frameon=False)
    lines = [
        ("simulated repetition effect of words", ", ".join(f"{100 * e:+.1f} % {name}" for name, e in effects.items()))
    ]
    caption = (
        f"Mean semantic activation of {recording.sizes['repeat']} simulated participants, words shown once and twice."
    )
    return lines, [
        "The networks were trained beforehand and come with the package; without the alpha function they recognise "
        "what they are shown in every kind of trial.",
        Exhibit("simulator", axes_to_png(axes), caption),
    ]


def _scaled(space: xr.DataArray) -> xr.DataArray:
    """Bring a space to a total variance of one."""
    return concatenate({"space": space}, train=space.sample.to_numpy())


def _at(values: xr.DataArray, model: str) -> float:
    return float(values.sel(model=model).mean())


PARTS = {
    "Listening: fMRI encoding": listening,
    "Nouns: RSA of the N400": nouns,
    "Single trials: what predicts the N400": trials,
    "Simulated N400": simulator,
}
