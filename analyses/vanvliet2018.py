"""van Vliet et al. (2018): the N400 between 14 nouns, against categories, word length and MiniLM embeddings.

Paper: J Cogn Neurosci 30(3), 381-392; 16 people, all 91 pairs of 7 animals and 7 furnishings. Claim: the N400 orders
nouns by meaning. Expected: mean of all people against category, Spearman 0.48, and against word length -0.04 (n.s.),
which is the length of the English glosses: the Dutch and French words that people read give -0.21 (mean of both).
Ours adds a language model, controls held constant, ceilings, a test over people, and one over items, which are few.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
import xarray as xr
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

import neuroling as nl
from neuroling import evaluate, pairwise, report, rsa, spearman
from neuroling.data import locate, read_table, real_or_twin, vanvliet2018
from neuroling.report import Exhibit
from neuroling.rsa import FixedRDM, ranked_pairs

EXPECTED = Path(__file__).parent / "expected" / "vanvliet2018.json"
SCORES = "Spearman correlations: group mean (items exchanged), mean of people (signs flipped), 95 % dual bootstrap."
TITLE = "The N400 between nouns, and models of it"
CONTROLS = ["length", "log frequency"]
WORDS = "psycho_linguistic_variables.csv"


def main(
    out: Annotated[Path, typer.Option(help="Folder for figures, tables and result.")] = Path("results/vanvliet2018"),
    n_draws: Annotated[int, typer.Option(help="Draws of every null and bootstrap.")] = 5000,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> nl.Result:
    """Compare the N400 between nouns with five models of it."""
    _, recording = real_or_twin(
        vanvliet2018.NAME,
        lambda folder: vanvliet2018.load(folder, ordered=False),
        lambda: vanvliet2018.twin(seed, n_participants=12, ordered=False),
    )
    n400, synthetic = rsa.label_pairs(recording), bool(recording.attrs["synthetic"])
    models = rsa.in_order_of(noun_models(synthetic, seed), n400, "models")
    people = {"ceiling": nl.LeaveOneOutCeiling("subject"), "inference": nl.SignFlip("subject", n_draws=n_draws)}
    result = evaluate(FixedRDM(), pairwise(models, n400), metric=spearman, rng=seed, **people)
    mean, exchange = n400.mean("subject"), nl.Permutation(n_draws)
    group = evaluate(FixedRDM(), pairwise(models, mean), metric=spearman, inference=exchange, rng=seed)
    minilm, controlled = models.sel(model=["MiniLM"]), spearman.partial(models.sel(model=CONTROLS))
    given = evaluate(FixedRDM(), pairwise(minilm, n400), metric=controlled).score.mean()
    bootstrap = result.test(nl.evaluation.DualBootstrap("subject", n_draws=n_draws), seed)
    parts = shared_variance(n400, models.sel(model=["category", "MiniLM"]), seed)
    table, lines = summary(result, group, bootstrap, float(given))
    held = {"MiniLM given length and frequency": given, "lower ceiling": result.ceiling.sel(bound="lower").mean()}
    numbers = {**table["group"].to_dict(), **{name: float(value) for name, value in held.items()}}
    compared = {"options": {"n_draws": n_draws, "seed": seed}, "numbers": numbers, "expected": EXPECTED}
    sections = exhibits(table, lines, parts, models, result, n400)
    report.write_analysis(out, sections, {"result": result}, title=TITLE, **compared)
    print(table.round(4).to_string(), *lines, parts.round(3).to_series(), result, sep="\n")
    return result


def noun_models(synthetic: bool, seed: int) -> xr.DataArray:
    """Describe the pairs of nouns by category, length and frequency (both languages' mean), gloss and MiniLM."""
    nouns = list(vanvliet2018.NOUNS)
    table = pd.DataFrame({"category": list(vanvliet2018.NOUNS.values())}, index=nouns)
    table["English length"] = [float(len(noun)) for noun in nouns]
    if synthetic:
        table["length"] = table["English length"]
        table["log frequency"] = np.random.default_rng(seed).standard_normal(len(nouns))
    else:
        numbers = ["length", "log_freq"]
        words = read_table(locate(vanvliet2018.NAME) / WORDS, ["english", *numbers], numbers=numbers)
        table = table.join(words.groupby("english")[numbers].mean()).rename(columns={"log_freq": "log frequency"})
    minilm = nl.model_rdms(nl.embed_sentences(nl.Stimuli.from_texts(nouns))).assign_coords(model=["MiniLM"])
    return rsa.stack_models(nl.confound_rdms(table, ["category", *CONTROLS, "English length"]), minilm)


def shared_variance(n400: xr.DataArray, models: xr.DataArray, seed: int) -> xr.DataArray:
    """Divide the variance of ranks that models explain in other people and other nouns, mean over people."""
    partition = nl.partition_variance(
        {str(name): ranked_pairs(models.sel(model=[name])).rename(model="feature") for name in models.model.to_numpy()},
        ranked_pairs(n400),
        make_model=lambda _: nl.encoding.OtherParticipants(LinearRegression(), n400.sizes["subject"]),
        splits=nl.ByItem(
            KFold(4, shuffle=True, random_state=seed), n400["first"].to_numpy(), n400["second"].to_numpy()
        ),
        overlaps=True,
    )
    whole = partition.full.expand_dims(model=["all models"])
    return xr.concat([partition.overlaps(), whole], "model").mean("subject").rename("held-out R2")


def summary(result: nl.Result, group: nl.Result, bootstrap: nl.Result, given: float) -> tuple[pd.DataFrame, list[str]]:
    """Put scores and tests of every model into a table, and the rest into sentences."""
    low, high = (bootstrap.intervals.interval().sel(bound=bound).to_numpy() for bound in ("lower", "upper"))
    table = pd.DataFrame({"group": group.score.to_series(), "p_items": group.p_values().to_numpy()})
    people = {"people": result.score.mean("subject").to_numpy(), "p_people": result.p_values("max").to_numpy()}
    table = table.assign(**people, low=low, high=high)
    least, most = result.ceiling.mean("subject").to_numpy()
    ceiling = f"ceiling: {least:.3f} to {most:.3f} (mean over people)"
    return table, [ceiling, f"MiniLM given length and frequency: {given:.3f} (mean over people)"]


def exhibits(table, lines, parts, models, result, n400) -> dict[str, list[Exhibit | str]]:
    """Draw scores, what models share, and the nouns as far apart as their N400."""
    mean = n400.mean("subject", keep_attrs=True)  # below zero where noise is
    points = report.plot_points(result.score, along="model", label="Spearman, each person")
    nouns = report.plot_mds(mean - float(mean.min()), vanvliet2018.NOUNS)
    shares = Exhibit("partition", parts.to_series().reset_index(), "Held-out variance by category, MiniLM, and both.")
    return {
        "Models": [
            Exhibit("scores", table.reset_index(names="model"), SCORES, digits=4),
            Exhibit("models", points, "Spearman correlation of every person with every model."),
            *lines,
        ],
        "What models share": [shares, Exhibit("collinearity", report.plot_collinearity(models), "Correlations.")],
        "Map": [Exhibit("mds", nouns, "Nouns, as far apart as the mean N400.")],
    }
