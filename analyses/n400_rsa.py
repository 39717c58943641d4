"""Simulated N400s stand beside people's in RSA: all pairs of 14 nouns, with the embeddings and categories they rest on.

Data: van Vliet et al. (2018), 16 people, all 91 pairs of seven animals and seven furnishings; amplitudes of the N400
as dissimilarities. Networks learn the nouns with meanings from categories or from MiniLM, in several random spellings,
and read every noun after every other one; the simulated N400 at the target is a model of dissimilarities.

Models share one evaluation: Spearman correlation of each person with each model, the ceiling, sign flips over people
that allow for all models, the same with word length held constant, and differences. Expected: what networks simulate
follows people about as closely as the meanings that they were taught (mean 0.14; category 0.16, MiniLM 0.13).
"""

from itertools import combinations
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
import xarray as xr

import neuroling as nl
from neuroling.data import real_or_twin, vanvliet2018
from neuroling.n400 import Alpha, cue_target_matrices, semantic_activation, teach_spellings, tree_features
from neuroling.report import Exhibit, plot_points, write_analysis
from neuroling.rsa import FixedRDM, PairLabels, in_order_of, label_pairs, stack_models

EXPECTED = Path(__file__).parent / "expected" / "n400_rsa.json"
NOUNS = list(vanvliet2018.NOUNS)
SCORES = "Mean Spearman correlation over people; p by sign flips."
TITLE = "Simulated N400s and people's, in all pairs of 14 nouns"
DEFAULTS = {"lexicons": 2, "seed": 0}


def main(
    out: Annotated[Path, typer.Option(help="Folder for the page, table and result.")] = Path("results/n400_rsa"),
    lexicons: Annotated[int, typer.Option(help="Spellings of the nouns, four participants each.")] = 2,
    n_draws: Annotated[int, typer.Option(help="Sign flips of participants.")] = 5000,
    allow_unlearned: Annotated[bool, typer.Option(help="Continue although participants do not read.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of spellings, weights, orders and sign flips.")] = 0,
) -> nl.Result:
    """Compare simulated matrices, and what networks were taught, with the N400 of each person."""
    _, recording = real_or_twin(
        vanvliet2018.NAME,
        lambda folder: vanvliet2018.load(folder, ordered=False),
        lambda: vanvliet2018.twin(seed, n_participants=12, ordered=False),
    )
    n400 = label_pairs(recording)
    models = in_order_of(stack_models(noun_models(), simulations(lexicons, seed, allow_unlearned)), n400, "models")
    people = {"ceiling": nl.LeaveOneOutCeiling("subject"), "inference": nl.SignFlip("subject", n_draws=n_draws)}
    pairs = nl.pairwise(models.drop_sel(model="length"), n400)
    result = nl.evaluate(FixedRDM(), pairs, metric=nl.spearman, rng=seed, **people)
    given_length = nl.evaluate(FixedRDM(), pairs, metric=nl.spearman.partial(models.sel(model=["length"])))
    table = compared(result, given_length, n_draws, seed)
    low, high = result.ceiling.mean("subject").to_numpy()
    note = f"Noise ceiling {low:.3f} to {high:.3f}; 14 nouns are few, and nothing is said of other nouns."
    points = plot_points(result.score, along="model", label="Spearman")
    options, numbers = {"lexicons": lexicons, "seed": seed}, {**table["people"].to_dict(), "lower ceiling": float(low)}
    compare = {"numbers": numbers, "expected": EXPECTED} if options == DEFAULTS else {}
    shown = [note, Exhibit("scores", table.reset_index(), SCORES), Exhibit("people", points, "Every person and model.")]
    write_analysis(out, {"Models of the N400": shown}, {"result": result}, title=TITLE, options=options, **compare)
    print(table.round(3).to_string(), note, sep="\n")
    return result


def noun_models() -> xr.DataArray:
    """Describe pairs of nouns by category, by the length of the words, and by MiniLM."""
    table = pd.DataFrame({"category": list(vanvliet2018.NOUNS.values()), "length": [float(len(n)) for n in NOUNS]})
    minilm = nl.model_rdms(nl.embed_sentences(nl.Stimuli.from_texts(NOUNS))).assign_coords(model=["MiniLM"])
    return stack_models(nl.confound_rdms(table.set_index(pd.Index(NOUNS)), ["category", "length"]), minilm)


def simulations(lexicons: int, seed: int, allow_unlearned: bool) -> xr.DataArray:
    """Simulate every noun after every other one, with meanings from categories and from MiniLM; orders averaged."""
    kinds = pd.get_dummies(pd.Series(list(vanvliet2018.NOUNS.values())), dtype=float).to_numpy()
    meanings = {"category": np.hstack([np.repeat(kinds, 3, axis=1), np.repeat(np.eye(len(NOUNS)), 3, axis=1)])}
    meanings["MiniLM"] = tree_features(nl.embed_sentences(nl.Stimuli.from_texts(NOUNS)).to_numpy())
    models = []
    options = {"rng": seed, "links": [semantic_activation], "allow_unlearned": allow_unlearned}
    for name, semantics in meanings.items():
        networks = teach_spellings(semantics, rng=seed, lexicons=lexicons, device="cpu")
        matrices = cue_target_matrices(networks, NOUNS, alpha=Alpha(7.5), device="cpu", **options)
        orders: dict[frozenset[str], list[float]] = {frozenset(pair): [] for pair in combinations(NOUNS, 2)}
        for cue, target, value in zip(matrices.cue.values, matrices.target.values, matrices[0].values, strict=True):
            orders[frozenset((str(cue), str(target)))].append(float(value))
        values = np.array([[np.mean(both)] for both in orders.values()])
        labels = PairLabels.of(np.array(NOUNS)).coords()
        coords = {**labels, "model": [f"simulated, meanings from {name}"]}
        models.append(xr.DataArray(values, dims=("sample", "model"), coords=coords))
    return stack_models(*models)


def compared(result: nl.Result, given_length: nl.Result, n_draws: int, seed: int) -> pd.DataFrame:
    """Set scores beside those with length held constant, and simulations beside what networks were taught."""
    p_values = result.p_values("max").to_numpy()
    table = pd.DataFrame({"people": result.score.mean("subject").to_series()}).assign(p=p_values)
    table["given length"] = given_length.score.mean("subject").to_numpy()
    for name in ("category", "MiniLM"):
        simulated = f"simulated, meanings from {name}"
        less = result.difference(simulated, name).test(nl.SignFlip("subject", n_draws=n_draws), seed)
        table.loc[simulated, "less meanings"] = float(less.score.mean())
        table.loc[simulated, "p, less meanings"] = float(less.p_values())
    return table
