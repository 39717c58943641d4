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

from neuroling import (
    ByItem,
    LeaveOneOutCeiling,
    Permutation,
    Result,
    SignFlip,
    Stimuli,
    confound_rdms,
    embed_sentences,
    evaluate,
    model_rdms,
    pairwise,
    partition_variance,
    report,
    spearman,
)
from neuroling.data import locate, read_table, real_or_twin, vanvliet2018
from neuroling.encoding import OtherParticipants
from neuroling.evaluation import DualBootstrap
from neuroling.report import Exhibit, axes_to_png, compare_with_expected, plot_points, write_exhibits
from neuroling.rsa import FixedRDM, collinearity, in_order_of, label_pairs, ranked_pairs, stack_models

EXPECTED = Path(__file__).parent / "expected" / "vanvliet2018.json"
SCORES = "Spearman correlations: group mean (items exchanged), mean of people (signs flipped), 95 % dual bootstrap."
WORDS = "psycho_linguistic_variables.csv"


def main(
    out: Annotated[Path, typer.Option(help="Folder for figures, tables and result.")] = Path("results/vanvliet2018"),
    n_draws: Annotated[int, typer.Option(help="Draws of every null and bootstrap.")] = 5000,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> Result:
    """Compare the N400 between nouns with five models of it."""
    out.mkdir(parents=True, exist_ok=True)
    _, recording = real_or_twin(
        vanvliet2018.NAME,
        lambda folder: vanvliet2018.load(folder, ordered=False),
        lambda: vanvliet2018.twin(seed, n_participants=12, ordered=False),
    )
    n400 = label_pairs(recording)
    synthetic = bool(recording.attrs["synthetic"])
    models = in_order_of(noun_models(synthetic, seed), n400, "models")
    group = group_scores(n400, models, n_draws, seed)
    people = {"ceiling": LeaveOneOutCeiling("subject"), "inference": SignFlip("subject", n_draws=n_draws)}
    result = evaluate(FixedRDM(), pairwise(models, n400), metric=spearman, rng=seed, **people)
    controlled = spearman.partial(models.sel(model=["length", "log frequency"]))
    given = evaluate(FixedRDM(), pairwise(models.sel(model=["MiniLM"]), n400), metric=controlled)
    boot = result.test(DualBootstrap("subject", n_draws=n_draws), seed)
    low, high = (boot.intervals.interval().sel(bound=bound).to_numpy() for bound in ("lower", "upper"))
    table = group.assign(
        people=result.score.mean("subject").values, p_people=result.p_values("max").values, low=low, high=high
    )
    parts = shared_variance(n400, models.sel(model=["category", "MiniLM"]), seed)
    bounds = result.ceiling.mean("subject")
    lines = [
        table.round(4).to_string(),
        f"ceiling: {float(bounds[0]):.3f} to {float(bounds[1]):.3f} (mean over people)",
        f"MiniLM given length and frequency: {float(given.score.mean()):.3f} (mean over people)",
        f"held-out R2: {dict(zip(parts.model.to_numpy().tolist(), parts.to_numpy().round(3).tolist(), strict=True))}",
        collinearity(models).round(3).to_string(),
        str(result),
    ]
    print("\n".join(lines))
    (out / "summary.txt").write_text("\n".join(lines), encoding="utf-8")
    mean = n400.mean("subject", keep_attrs=True)
    picture = report.plot_mds(mean - float(mean.min()), vanvliet2018.NOUNS)
    points = plot_points(result.score, along="model", label="Spearman, each person")
    shares = parts.to_dataframe("held-out R2").reset_index()[["model", "held-out R2"]]
    sections: dict[str, list[Exhibit | str]] = {
        "Models": [
            Exhibit("scores", table.rename_axis("model").reset_index(), SCORES, digits=4),
            Exhibit("models", axes_to_png(points), "Spearman correlation of every person with every model."),
            *lines[1:3],
        ],
        "What models share": [
            Exhibit("partition", shares, "Held-out variance of the N400 by category, MiniLM, and both."),
            Exhibit("collinearity", axes_to_png(report.plot_collinearity(models)), "Correlations between models."),
        ],
        "Map": [Exhibit("mds", axes_to_png(picture, synthetic=synthetic), "Nouns, as far apart as the mean N400.")],
    }
    title = "The N400 between nouns, and models of it"
    write_exhibits(out, sections, title=title, provenance={"n_draws": n_draws, "seed": seed}, synthetic=synthetic)
    result.save(out / "result.nc")
    if not synthetic:
        found = {"lower ceiling": float(bounds[0]), "MiniLM given length and frequency": float(given.score.mean())}
        compare_with_expected({**group["group"].to_dict(), **found}, EXPECTED)
    return result


def noun_models(synthetic: bool, seed: int) -> xr.DataArray:
    """Describe the pairs of nouns by category, length and frequency (both languages' mean), gloss and MiniLM."""
    nouns = list(vanvliet2018.NOUNS)
    table = pd.DataFrame({"category": list(vanvliet2018.NOUNS.values())}, index=nouns)
    if synthetic:
        rng = np.random.default_rng(seed)
        table = table.assign(length=[float(len(noun)) for noun in nouns], frequency=rng.standard_normal(len(nouns)))
    else:
        words = read_table(
            locate(vanvliet2018.NAME) / WORDS,
            ["english", "language", "length", "log_freq"],
            numbers=["length", "log_freq"],
        )
        each = words.groupby("english")[["length", "log_freq"]].mean().loc[nouns]
        table = table.assign(length=each["length"], frequency=each["log_freq"])
    table = table.rename(columns={"frequency": "log frequency"}).assign(glosses=[float(len(noun)) for noun in nouns])
    confounds = confound_rdms(table, ["category", "length", "log frequency", "glosses"])
    confounds = confounds.assign_coords(model=["category", "length", "log frequency", "English length"])
    minilm = model_rdms(embed_sentences(Stimuli.from_texts(nouns))).assign_coords(model=["MiniLM"])
    return stack_models(confounds, minilm)


def shared_variance(n400: xr.DataArray, models: xr.DataArray, seed: int) -> xr.DataArray:
    """Divide the variance of ranks that models explain in other people and other nouns, mean over people."""
    spaces = {
        str(name): ranked_pairs(models.sel(model=[name])).rename(model="feature") for name in models.model.to_numpy()
    }
    partition = partition_variance(
        spaces,
        ranked_pairs(n400),
        make_model=lambda _: OtherParticipants(LinearRegression(), n400.sizes["subject"]),
        splits=ByItem(KFold(4, shuffle=True, random_state=seed), n400["first"].to_numpy(), n400["second"].to_numpy()),
        overlaps=True,
    )
    whole = partition.full.expand_dims(model=["all models"])
    return xr.concat([partition.overlaps(), whole], "model").mean("subject")


def group_scores(n400: xr.DataArray, models: xr.DataArray, n_draws: int, seed: int) -> pd.DataFrame:
    """Compare the mean of all people with each model, item labels exchanged for the null."""
    pairs = pairwise(models, n400.mean("subject"))
    result = evaluate(FixedRDM(), pairs, metric=spearman, inference=Permutation(n_draws), rng=seed)
    columns = {"group": result.score.to_numpy(), "p_items": result.p_values().to_numpy()}
    return pd.DataFrame(columns, index=[str(name) for name in result.score.model.to_numpy()])
