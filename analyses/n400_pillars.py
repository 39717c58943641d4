"""Simulated N400s, surprisal and embeddings predict the same single-trial N400s of people, in one evaluation.

Data: Nieuwland et al. (2018), 25,978 trials with text of 334 people, 160 nouns in 80 items, MIT licence; a trained
network that comes with the package. It has no sentences, so one prime stands for a context: of the two nouns of an
item, the one with the higher cloze is simulated as a word after a related prime, the other after an unrelated one.

Samples are nouns, repeats are their trials, and whole items are held out. Controls: length, MiniLM with random weights,
cloze, and the bare order of cloze that the simulation was given. Expected: the simulation predicts at r = 0.50, which
is what the bare order does and as much as cloze; MiniLM at 0.23; surprisal (trigrams of the other items) not at all.
So these trials cannot tell the simulation from the order that went into it, which only the control shows.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
import xarray as xr
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold

import neuroling as nl
from neuroling.data import nieuwland2018, real_or_twin
from neuroling.features import fit_ngram, predictors_in_context, standardized
from neuroling.n400 import Alpha, SimulatedERP, semantic_priming, simulate, simulated_features, trained_network
from neuroling.report import Exhibit, plot_models, write_analysis

EXPECTED = Path(__file__).parent / "expected" / "n400_pillars.json"
CONSTANTS = (6.0, 7.5, 10.0)  # T of the alpha function in ticks, one of which is chosen in the training set
MEASURED = 0.4  # s; the centre of the window of people's amplitudes
AFTER = 0.2  # s; before, no prime has an effect on the target
WORDS = {"text_column": "noun", "context_column": "context"}
SIMULATED, TITLE = "simulated N400", "Simulated N400s, surprisal and embeddings beside people's N400"


def main(
    out: Annotated[Path, typer.Option(help="Folder for the page, table and result.")] = Path("results/n400_pillars"),
    n_draws: Annotated[int, typer.Option(help="Permutations of items.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the twin, untrained weights and permutations.")] = 0,
) -> nl.Result:
    """Score every predictor on the same trials, and take differences from the simulation."""
    stimuli, trials = real_or_twin("nieuwland2018_n400", nieuwland2018.load, lambda: nieuwland2018.twin(rng=seed))
    nouns, recording = by_noun(stimuli, trials)
    simulation, ticks = simulated(nouns, seed)
    spaces = {SIMULATED: simulation, **described(nouns, seed)}
    models = {name: SimulatedERP(ticks, [MEASURED]) if name == SIMULATED else LinearRegression() for name in spaces}
    result = nl.evaluate(
        models,
        nl.align(spaces, recording),
        splits=GroupKFold(10),
        metric=nl.pearson.pooled(),
        ceiling=nl.SplitHalfCeiling("repeat", n_halvings=20),
        inference=nl.Permutation(n_draws, groups="whole"),
        rng=seed,
    )
    table, ceiling = compared(result), float(result.ceiling.sel(bound="ceiling").mean())
    caption = "Held-out r over 160 nouns; less: of the simulation minus this predictor; p by exchange of items."
    picture = plot_models(dict(table["r"]), label="held-out r over nouns")
    note = f"A perfect model would reach r = {ceiling:.2f} (reliability of the mean over trials)."
    shown = [note, Exhibit("scores", table.reset_index(), caption), Exhibit("models", picture, "Held-out r.")]
    compare = {"numbers": {**table["r"].to_dict(), "ceiling": ceiling}, "expected": EXPECTED}
    sections, options = {"Predictors of the N400": shown}, {"n_draws": n_draws, "seed": seed}
    write_analysis(out, sections, {"result": result}, title=TITLE, options=options, **compare)
    print(table.round(3).to_string(), note, sep="\n")
    return result


def by_noun(stimuli: nl.Stimuli, trials: xr.DataArray) -> tuple[nl.Stimuli, xr.DataArray]:
    """Lay trials out as repeats of their noun; nouns of an item stay together in splits."""
    nouns, _ = nieuwland2018.by_sentence(stimuli, trials)
    label = stimuli.table["group"] + ": " + stimuli.table["noun"]
    table = pd.DataFrame({"label": label, "repeat": label.groupby(label).cumcount(), "n400": trials.to_numpy()[:, 0]})
    wide = table.pivot_table(index="label", columns="repeat", values="n400")
    values = wide.loc[nouns.labels].to_numpy()[:, :, None]
    coords = {**nouns.coords("group"), "channel": ["N400"]}
    return nouns, xr.DataArray(values, dims=("sample", "repeat", "channel"), coords=coords, attrs=trials.attrs)


def is_likelier(nouns: nl.Stimuli) -> pd.Series:
    """Say which noun of each item more people expected."""
    return nouns.table["cloze"] > nouns.table.groupby("item")["cloze"].transform("mean")


def simulated(nouns: nl.Stimuli, seed: int) -> tuple[xr.DataArray, np.ndarray]:
    """Simulate the more expected noun of each item after a related prime and the other after an unrelated one."""
    conditions = np.where(is_likelier(nouns), "related", "unrelated")
    blocks, network = {}, trained_network()
    trials = semantic_priming(network.lexicon, rng=seed)
    for constant in CONSTANTS:
        waves = simulate(network, trials, alpha=Alpha(constant), device="cpu").groupby("condition").mean()
        waves = nl.evaluation.in_window(waves, (AFTER, float(waves.time[-1])))
        of_nouns = waves.sel(condition=conditions).drop_vars("condition").rename(condition="sample")
        blocks[constant] = of_nouns.assign_coords(sample=nouns.labels)
    features = simulated_features(blocks).assign_attrs(synthetic=0)  # a model of people's recordings, no twin of them
    return features, waves.time.to_numpy()


def described(nouns: nl.Stimuli, seed: int) -> dict[str, xr.DataArray]:
    """Describe nouns in their contexts; trigrams never see the sentences of the item."""
    table, by_item = nouns.table, []
    for _, own in table.groupby("item", sort=False):
        others = table.drop(own.index)["text"].tolist()
        counted = fit_ngram(nl.Stimuli.from_texts(others, labels=range(len(others))))
        by_item.append(predictors_in_context(own, counted, **WORDS)[["length", "surprisal"]])
    found = pd.concat(by_item).loc[table.index].assign(cloze=table["cloze"])
    found["order of cloze"] = is_likelier(nouns).astype(float)
    for name, encoder in {"MiniLM": nl.load_encoder(), "MiniLM, untrained": nl.load_encoder(untrained=seed)}.items():
        found[f"{name} distance"] = predictors_in_context(table, counted, **WORDS, encoder=encoder)["distance"]
    return {name: nouns.features(standardized(found[[name]]), [name]) for name in found if np.ptp(found[name]) > 0}


def compared(result: nl.Result) -> pd.DataFrame:
    """Set scores beside differences of the simulation from every other predictor."""
    p = result.p_values("max").squeeze().to_series()
    table = pd.DataFrame({"r": result.score.squeeze().to_series(), "p, of all models": p})
    for name in table.index.drop(SIMULATED):
        less = result.difference(SIMULATED, name)
        table.loc[name, ["less", "p, less"]] = less.score.item(), less.p_values().item()
    return table
