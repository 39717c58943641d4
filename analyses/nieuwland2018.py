"""What predicts the N400 at a noun: cloze, frequency, length, distance to its context, surprisal.

Data: Nieuwland et al. (2018), 26,176 trials of 334 people in nine laboratories, 160 nouns in 80 items, MIT licence.
Claim: nouns that people expect evoke a smaller (less negative) N400. Expected: cloze alone correlates with amplitudes
at r = 0.50 over nouns and 0.084 over trials (0.086 over the 25,978 with text), positive in all nine laboratories.

Correlations are slopes of standardised variables. Mixed models, fitted by REML, have random intercepts of participants,
items and nouns, and random slopes of participants. Every predictor is one number a noun, so it is the intercept of
nouns that it has to stand against. Predictors are standardised: an estimate is in microvolts per standard deviation.
Surprisal comes from a causal model given by folder, else from trigrams trained on the sentences of the other items.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from neuroling import MixedModel, Result, Stimuli, align_table, combine, estimate, load_encoder, load_language_model
from neuroling.data import nieuwland2018, real_or_twin
from neuroling.evaluation import Regression
from neuroling.features import fit_ngram, predictors_in_context, standardized
from neuroling.report import Exhibit, write_analysis

EXPECTED = Path(__file__).parent / "expected" / "nieuwland2018.json"
TRIGRAMS = "trigrams, modified Kneser-Ney, trained on the sentences of the other items alone (far too little text)"
WORDS = {"text_column": "noun", "context_column": "context"}  # a context ends with the article
PREDICTORS = ("cloze", "length", "frequency", "distance", "surprisal")
FREQUENCY = "en" if find_spec("wordfreq") else None


def main(
    out: Annotated[Path, typer.Option(help="Folder for results and tables.")] = Path("results/nieuwland2018"),
    language_model: Annotated[Path | None, typer.Option(help="Folder of a causal model, for surprisal.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the twin.")] = 0,
) -> Result:
    """Correlate, fit the mixed models, print and save both."""
    stimuli, recording = real_or_twin("nieuwland2018_n400", nieuwland2018.load, lambda: nieuwland2018.twin(rng=seed))
    trials = stimuli.table.assign(n400=recording.to_numpy()[:, 0])
    trials.attrs["synthetic"] = recording.attrs["synthetic"]
    trials, names = described(trials, language_model)
    correlations, fits = correlate(trials, names), mixed_models(trials, names)
    source = TRIGRAMS if language_model is None else str(language_model)
    estimates = fits.to_dataframe().dropna().query("feature != '1'").sort_values("model", kind="stable")
    r = correlations.score.to_dataframe("r").reset_index()
    print(f"surprisal: {source}", r.to_string(index=False), estimates.round(4).to_string(index=False), sep="\n")
    effects = Exhibit("mixed_models", estimates, "Microvolts per standard deviation of a predictor (REML).")
    random = f"Surprisal: {source}. Random effects: {random_effects(['each predictor'])}."
    r_table = Exhibit("correlations", r, "Pearson r with amplitudes.")
    sections = {"Correlations": [r_table], "Mixed models": [random, effects]}
    write_analysis(
        *(out, sections, {"result": fits, "correlations": correlations}),
        title="Predictors of the N400 at nouns, single trials of nine laboratories",
        options={"surprisal": source, "seed": seed, "excluded": recording.attrs["excluded"]},
        **({"numbers": numbers(correlations, fits), "expected": EXPECTED} if language_model is None else {}),
    )
    return fits


def described(trials: pd.DataFrame, language_model: Path | None) -> tuple[pd.DataFrame, list[str]]:
    """Describe the noun of each trial in its sentence; trigrams never see the sentences of its item."""
    nouns = trials.groupby(["item", "noun"], sort=False).first().reset_index()
    options = {**WORDS, "encoder": load_encoder(), "frequency": FREQUENCY}
    if language_model is not None:
        found = predictors_in_context(nouns, load_language_model(language_model), **options)
    else:
        items = nouns.groupby("item", sort=False)
        found = pd.concat([predictors_in_context(own, trigrams(nouns.drop(own.index)), **options) for _, own in items])
    found = found.assign(cloze=nouns["cloze"])[[name for name in PREDICTORS if name == "cloze" or name in found]]
    names = [name for name in found if found[name].std() > 0]  # a twin's words have one frequency
    table = trials.drop(columns="cloze").merge(nouns[["item", "noun"]].join(found[names]), on=["item", "noun"])
    table.attrs.update(trials.attrs)
    return table, names


def trigrams(nouns: pd.DataFrame) -> object:
    """Count trigrams in some sentences."""
    sentences = (nouns["context"] + " " + nouns["noun"]).tolist()
    return fit_ngram(Stimuli.from_texts(sentences, labels=range(len(sentences))))


def correlate(trials: pd.DataFrame, names: list[str]) -> Result:
    """Correlate every predictor with amplitudes: over nouns, over all trials, and in every laboratory."""
    means = trials.groupby(["item", "noun"], as_index=False)[["n400", *names]].mean()
    slopes = {}
    for label, rows in {"over nouns": means, "over trials": trials, **dict(list(trials.groupby("lab")))}.items():
        z = standardized(rows[["n400", *names]])
        z.attrs["synthetic"] = trials.attrs["synthetic"]
        for name in names:
            slope = estimate(Regression(), align_table(z, "n400", [name]))
            slopes[f"{name}, {label}"] = slope.select(feature=name)
    return combine(slopes, dim="model")


def random_effects(names: list[str]) -> dict[str, list[str]]:
    """Let people differ in level and in every effect, items and nouns in level."""
    return {"participant": ["1", *names], "item": ["1"], "item:noun": ["1"]}


def mixed_models(trials: pd.DataFrame, names: list[str]) -> Result:
    """Fit each predictor alone, then all together."""
    scaled = trials.assign(**standardized(trials[names]))
    scaled.attrs.update(trials.attrs)
    chosen = {**{f"{name} alone": [name] for name in names}, "all together": names}
    models = {label: MixedModel(some, random_effects(some)) for label, some in chosen.items()}
    return estimate(models, align_table(scaled, "n400", names, labels=["participant", "item", "noun"]))


def numbers(correlations: Result, fits: Result) -> dict[str, float]:
    """Name what is held against the expected numbers."""
    r, t = correlations.score.to_series().filter(like="cloze, "), fits.estimates.t
    over = r.filter(like=" over ")
    found = {name.replace(",", ", r"): value for name, value in over.items()}
    found["cloze, lowest lab"] = r.drop(over.index).min()
    for name in fits.score.feature.to_numpy()[1:]:
        found[f"{name} alone, t"] = t.sel(model=f"{name} alone", feature=name)
        found[f"{name} beside the others, t"] = t.sel(model="all together", feature=name)
    return {name: float(value) for name, value in found.items()}
