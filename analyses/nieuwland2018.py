"""What predicts the N400 at a noun: cloze, frequency, length, distance to its context, surprisal.

Data: Nieuwland et al. (2018), 26,176 trials of 334 people in nine laboratories, 160 nouns, MIT licence.
Claim: nouns that people expect evoke a smaller (less negative) N400. Expected: cloze alone correlates with amplitudes
at r = 0.50 over nouns and 0.084 over trials (0.086 over the 25,978 with text), positive in all nine laboratories.
Mixed models have crossed random intercepts of participants and items, fitted by REML.

Predictors are standardised, so that an estimate is in microvolts per standard deviation. Surprisal comes from a causal
model given by folder, else from trigrams trained on the sentences of the other items, and the source is named.
Frequency comes from wordfreq where it is installed, else it is left out.
"""

import logging
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from neuroling import Stimuli, load_encoder
from neuroling.data.at_hand import real_or_twin
from neuroling.data.loaders import nieuwland2018
from neuroling.evaluation.mixed import mixed_model
from neuroling.features.controls import zipf_frequency
from neuroling.features.extract import extract
from neuroling.features.language import load_language_model
from neuroling.features.ngram import fit_ngram
from neuroling.features.surprisal import surprisal
from neuroling.features.words import words_at

logger = logging.getLogger(__name__)


def main(
    out: Annotated[Path, typer.Option(help="Folder for the tables.")] = Path("results/nieuwland2018"),
    language_model: Annotated[Path | None, typer.Option(help="Folder of a causal model, for surprisal.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the twin.")] = 0,
) -> pd.DataFrame:
    """Correlate, fit the mixed models, and print both."""
    out.mkdir(parents=True, exist_ok=True)
    stimuli, recording = real_or_twin("nieuwland2018_n400", nieuwland2018.load, lambda: nieuwland2018.twin(rng=seed))
    trials = stimuli.table.assign(n400=recording.to_numpy()[:, 0])
    nouns = trials.groupby(["item", "noun"], sort=False).first().reset_index()
    found, source = predictors(nouns, language_model)
    if recording.attrs["synthetic"]:
        print("SYNTHETIC twin: no numbers of people")
    print(f"surprisal: {source}")
    table = trials.drop(columns=["cloze"]).merge(found, on=["item", "noun"], validate="many_to_one")
    correlations = correlate(table, list(found.columns.drop(["item", "noun"])))
    print(correlations.round(3).to_string(index=False))
    fits = mixed_models(table, list(found.columns.drop(["item", "noun"])))
    print(fits.round(4).to_string(index=False))
    correlations.to_csv(out / "correlations.csv", index=False)
    fits.to_csv(out / "mixed_models.csv", index=False)
    return fits


def predictors(nouns: pd.DataFrame, language_model: Path | None) -> tuple[pd.DataFrame, str]:
    """Describe each noun in its sentence."""
    texts = [
        f"{context} {article} {noun}" for context, article, noun in nouns[["context", "article", "noun"]].to_numpy()
    ]
    sentences = Stimuli.from_texts(texts, labels=range(len(texts)))
    targets = words_at(
        sentences, [[(len(text) - len(noun), len(text))] for text, noun in zip(texts, nouns["noun"], strict=True)]
    )
    found = {"cloze": nouns["cloze"].to_numpy(), "length": nouns["noun"].str.len().to_numpy(dtype=float)}
    try:
        found["frequency"] = zipf_frequency(targets, "en").to_numpy()[:, 0]
    except ModuleNotFoundError as error:
        logger.warning("Frequency is left out: %s", error)
    found["distance"] = distance(nouns)
    if language_model is None:
        values = [leave_item_out(nouns, row) for row in range(len(nouns))]
        found["surprisal"] = np.array(values)
        source = (
            "trigrams, modified Kneser-Ney, trained on the sentences of the other items alone (far too little text)"
        )
    else:
        given = surprisal(targets, load_language_model(language_model))
        found["surprisal"], source = given.to_numpy()[:, 0], given.attrs["source"]
    return pd.DataFrame({"item": nouns["item"], "noun": nouns["noun"], **found}), source


def distance(nouns: pd.DataFrame) -> np.ndarray:
    """One minus the cosine of the embeddings of noun and context (MiniLM)."""
    encoder = load_encoder()
    sides = {name: Stimuli.from_texts(nouns[name].tolist(), labels=range(len(nouns))) for name in ("noun", "context")}
    noun, context = (extract(side, encoder, pool="model", layers=-1).to_numpy()[:, 0] for side in sides.values())
    return np.asarray(1 - (noun * context).sum(1))


def leave_item_out(nouns: pd.DataFrame, row: int) -> float:
    """Surprisal (bits) of a noun from trigrams that have never seen its item."""
    others = nouns[nouns["item"] != nouns["item"].iloc[row]]
    model = fit_ngram(
        Stimuli.from_texts(
            (others["context"] + " " + others["article"] + " " + others["noun"]).tolist(), labels=range(len(others))
        )
    )
    here = nouns.iloc[row]
    words = f"{here['context']} {here['article']} {here['noun']}".split()
    return float(surprisal(Stimuli.from_texts(words, labels=range(len(words))), model).to_numpy()[-1, 0])


def correlate(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Correlate every predictor with amplitudes: over nouns, over trials, and in every laboratory."""
    means = table.groupby(["item", "noun"])[["n400", *names]].mean()
    labs = {name: table.groupby("lab")[["n400", name]].apply(lambda part: part.corr().iloc[0, 1]) for name in names}
    return pd.DataFrame(
        [
            {
                "predictor": name,
                "r over nouns": means["n400"].corr(means[name]),
                "r over trials": table["n400"].corr(table[name]),
                "labs above zero": f"{int((labs[name] > 0).sum())} of {len(labs[name])}",
                "lowest lab": labs[name].min(),
                "highest lab": labs[name].max(),
            }
            for name in names
        ]
    )


def mixed_models(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Fit each predictor alone, then all together, with crossed intercepts of participants and items."""
    scaled = table.assign(**{name: (table[name] - table[name].mean()) / table[name].std() for name in names})
    random = {"participant": ["1"], "item": ["1"]}
    parts = []
    for label, chosen in {**{f"{name} alone": [name] for name in names}, "all together": names}.items():
        fit = mixed_model(scaled, "n400", chosen, random)
        parts.append(fit.to_dataframe().drop(index="1").reset_index().assign(model=label))
    return pd.concat(parts, ignore_index=True)[
        ["model", "effect", "estimate", "standard_error", "df", "t", "p", "low", "high"]
    ]
