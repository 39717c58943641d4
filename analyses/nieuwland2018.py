"""What predicts the N400 at a noun: cloze, frequency, length, distance to its context, surprisal.

Data: Nieuwland et al. (2018), 26,176 trials of 334 people in nine laboratories, 160 nouns in 80 items, MIT licence.
Claim: nouns that people expect evoke a smaller (less negative) N400. Expected: cloze alone correlates with amplitudes
at r = 0.50 over nouns and 0.084 over trials (0.086 over the 25,978 with text), positive in all nine laboratories.

Mixed models, fitted by REML, have random intercepts of participants, items and nouns, and random slopes of
participants. Every predictor is one number a noun, so it is the intercept of nouns that it has to stand against.
Predictors are standardised: an estimate is in microvolts per standard deviation. Surprisal comes from a causal model
given by folder, else from trigrams trained on the sentences of the other items, and the source is named.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
import xarray as xr

from neuroling import (
    MixedModel,
    Result,
    Stimuli,
    align_table,
    estimate,
    extract_text_features,
    load_encoder,
    load_language_model,
    surprisal,
)
from neuroling.data import nieuwland2018, real_or_twin
from neuroling.evaluation import Provenance, content_hash, current_versions, now
from neuroling.features import fit_ngram, words_at, zipf_frequency
from neuroling.report import Exhibit, compare_with_expected, write_exhibits

EXPECTED = Path(__file__).parent / "expected" / "nieuwland2018.json"

logger = logging.getLogger(__name__)


def main(
    out: Annotated[Path, typer.Option(help="Folder for results and tables.")] = Path("results/nieuwland2018"),
    language_model: Annotated[Path | None, typer.Option(help="Folder of a causal model, for surprisal.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the twin.")] = 0,
) -> Result:
    """Correlate, fit the mixed models, print and save both."""
    out.mkdir(parents=True, exist_ok=True)
    stimuli, recording = real_or_twin("nieuwland2018_n400", nieuwland2018.load, lambda: nieuwland2018.twin(rng=seed))
    trials = stimuli.table.assign(n400=recording.to_numpy()[:, 0])
    nouns = trials.groupby(["item", "noun"], sort=False).first().reset_index()
    found, source = predictors(nouns, language_model)
    names = found.columns.drop(["item", "noun"]).tolist()
    table = trials.drop(columns=["cloze"]).merge(found, on=["item", "noun"], validate="many_to_one")
    provenance = Provenance(
        options={"surprisal": source, "random": str(random_effects(["predictor"]))},
        data={"recording": content_hash(recording), "stimuli": stimuli.fingerprint},
        seed=str(seed),
        synthetic=bool(recording.attrs["synthetic"]),
        versions=current_versions(),
        created=now(),
        notes=(recording.attrs["excluded"],),
    )
    correlations, fits = correlate(table, names, provenance), mixed_models(table, names, provenance)
    correlations.save(out / "correlations.nc")
    fits.save(out / "result.nc")
    if provenance.synthetic:
        print("SYNTHETIC twin: no numbers of people")
    print(f"surprisal: {source}")
    print(correlations.data.mean("split").to_dataframe().round(3).to_string())
    estimates = fits.to_dataframe().dropna().query("feature != '1'").sort_values("model", kind="stable")
    print(estimates.round(4).to_string(index=False))
    over = correlations.data.mean("split").to_dataframe().reset_index()
    labs = correlations.score.to_dataframe("r").reset_index().rename(columns={"split": "lab"})
    sections: dict[str, list[Exhibit | str]] = {
        "Correlations": [
            Exhibit(
                "correlations", over, "Pearson r with amplitudes: mean over laboratories, over trials, over nouns."
            ),
            Exhibit("laboratories", labs, "Pearson r over the trials of each laboratory."),
        ],
        "Mixed models": [
            f"Surprisal: {source}. Random effects: {random_effects(['each predictor'])}.",
            Exhibit("mixed_models", estimates, "Microvolts per standard deviation of a predictor (REML)."),
        ],
    }
    options = {"surprisal": source, "seed": seed, "excluded": recording.attrs["excluded"]}
    title = "Predictors of the N400 at nouns, single trials of nine laboratories"
    write_exhibits(out, sections, title=title, provenance=options, synthetic=provenance.synthetic)
    if not provenance.synthetic and language_model is None:
        compare_with_expected(numbers(correlations, fits), EXPECTED)
    return fits


def numbers(correlations: Result, fits: Result) -> dict[str, float]:
    """Name what is held against the expected numbers."""
    over = correlations.data.sel(feature="cloze")
    r = {
        "cloze, r over nouns": over.over_nouns,
        "cloze, r over trials": over.over_trials,
        "cloze, lowest lab": over.score.min(),
    }
    t, names = fits.estimates.t, correlations.data.feature.to_numpy()
    alone = {f"{name} alone, t": t.sel(model=f"{name} alone", feature=name) for name in names}
    together = {f"{name} beside the others, t": t.sel(model="all together", feature=name) for name in names}
    return {name: float(value) for name, value in (r | alone | together).items()}


def predictors(nouns: pd.DataFrame, language_model: Path | None) -> tuple[pd.DataFrame, str]:
    """Describe each noun in its sentence."""
    texts = (nouns["context"] + " " + nouns["noun"]).tolist()  # a context ends with the article
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
    constant = [name for name, values in found.items() if np.ptp(values) == 0]
    if constant:
        logger.warning("%s left out: the same for every noun", ", ".join(constant))
    varying = {name: values for name, values in found.items() if name not in constant}
    return pd.DataFrame({"item": nouns["item"], "noun": nouns["noun"], **varying}), source


def distance(nouns: pd.DataFrame) -> np.ndarray:
    """One minus the cosine of the embeddings of noun and context (MiniLM)."""
    texts = list(dict.fromkeys([*nouns["noun"], *nouns["context"]]))  # each once
    vectors = extract_text_features(Stimuli.from_texts(texts), load_encoder(), pool="model", layers=-1).isel(layer=0)
    noun, context = (vectors.sel(sample=nouns[name].tolist()).to_numpy() for name in ("noun", "context"))
    return np.asarray(1 - (noun * context).sum(1))


def leave_item_out(nouns: pd.DataFrame, row: int) -> float:
    """Surprisal (bits) of a noun from trigrams that have never seen its item."""
    others = nouns[nouns["item"] != nouns["item"].iloc[row]]
    model = fit_ngram(
        Stimuli.from_texts((others["context"] + " " + others["noun"]).tolist(), labels=range(len(others)))
    )
    here = nouns.iloc[row]
    words = f"{here['context']} {here['noun']}".split()
    return float(surprisal(Stimuli.from_texts(words, labels=range(len(words))), model).to_numpy()[-1, 0])


def correlate(table: pd.DataFrame, names: list[str], provenance: Provenance) -> Result:
    """Correlate every predictor with amplitudes: in every laboratory, over all trials, and over nouns."""
    means = table.groupby(["item", "noun"])[["n400", *names]].mean()
    labs = {lab: part[names].corrwith(part["n400"]) for lab, part in table.groupby("lab")}
    score = xr.DataArray(list(labs.values()), dims=("split", "feature"), coords={"split": list(labs), "feature": names})
    result = Result.of(score, metric="pearson", provenance=provenance)
    over = {"over_trials": table, "over_nouns": means}
    more = {key: ("feature", [rows["n400"].corr(rows[name]) for name in names]) for key, rows in over.items()}
    return replace(result, data=result.data.assign(more))


def random_effects(names: list[str]) -> dict[str, list[str]]:
    """Let people differ in level and in every effect, items and nouns in level."""
    return {"participant": ["1", *names], "item": ["1"], "item:noun": ["1"]}


def mixed_models(table: pd.DataFrame, names: list[str], provenance: Provenance) -> Result:
    """Fit each predictor alone, then all together."""
    scaled = table.assign(**{name: (table[name] - table[name].mean()) / table[name].std() for name in names})
    chosen = {**{f"{name} alone": [name] for name in names}, "all together": names}
    models = {label: MixedModel(some, random_effects(some)) for label, some in chosen.items()}
    result = estimate(models, align_table(scaled, "n400", names, labels=["participant", "item", "noun"]))
    options = result.provenance.options | provenance.options
    notes = (*provenance.notes, *result.provenance.notes)
    return replace(result, provenance=replace(provenance, options=options, notes=notes))
