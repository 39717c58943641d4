"""The alpha function and simulated N400s fitted to people: waveforms of word pairs, and all pairs of 14 nouns.

Waveforms: one person, 100 related and 100 unrelated pairs (van Vliet and Salmelin 2020); the mean of all trials is
taken off, so that what is fitted is the difference. Matrices: 16 people, all pairs of seven animals and seven
furnishings (van Vliet et al. 2018); the network learns the nouns, with meanings from categories or from MiniLM
embeddings, and reads them in the same pairs. Categories alone correlate with people at 0.48, MiniLM at 0.37 (Spearman).
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
import xarray as xr
from sklearn.model_selection import KFold

from neuroling import (
    NoSplit,
    Permutation,
    Result,
    Stimuli,
    align,
    combine,
    embed_sentences,
    evaluate,
    pearson,
    spearman,
)
from neuroling.data import real_or_twin, vanvliet2018, vanvliet_wordpairs
from neuroling.evaluation import in_window
from neuroling.n400 import (
    LAYERS,
    Alpha,
    AlphaResponse,
    Network,
    SimulatedERP,
    as_text,
    cue_target_matrices,
    diagnose,
    semantic_priming,
    simulate,
    simulated_features,
    teach_spellings,
    train_networks,
    tree_features,
)
from neuroling.report import Exhibit, axes_to_png, compare_with_expected, plot_fit, write_exhibits
from neuroling.rsa import FixedRDM

EXPECTED = Path(__file__).parent / "expected" / "n400_people.json"
CHANNELS = ["Cz", "CP1", "CP2", "Pz", "P3", "P4", "C3", "C4"]  # centro-parietal, as in wordpairs_eeg
EPOCH = (0.0, 0.72)  # s
CONSTANTS = (6.0, 8.0, 10.0, 14.0, np.inf)  # T in ticks; the last one is the ERP model


def main(
    out: Annotated[Path, typer.Option(help="Folder for tables and figures.")] = Path("results/n400_people"),
    participants: Annotated[int, typer.Option(help="Simulated participants.")] = 24,
    lexicons: Annotated[int, typer.Option(help="Spellings of the nouns, four participants each.")] = 24,
    time_constant: Annotated[float, typer.Option(help="T of the alpha function in ticks, for the nouns.")] = 7.5,
    layers: Annotated[list[str], typer.Option(help="Layer on which alpha acts; repeat. Default: all.")] = list(LAYERS),  # noqa: B006 - typer's
    epochs: Annotated[int | None, typer.Option(help="Epochs of training of the word pairs.")] = None,
    n_draws: Annotated[int, typer.Option(help="Draws of nulls and bootstraps.")] = 200,
    sensitivity: Annotated[bool, typer.Option(help="Sweep the parameters, and print the map.")] = False,
    cache: Annotated[Path | None, typer.Option(help="Folder of trained networks. Default: OUT/networks.")] = None,
    allow_unlearned: Annotated[bool, typer.Option(help="Continue although participants do not read.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of everything.")] = 0,
) -> pd.DataFrame:
    """Fit waveforms, compare matrices, print both."""
    out.mkdir(parents=True, exist_ok=True)
    (network,) = train_networks(
        lexicons=1, participants=participants, rng=seed, epochs=epochs, cache=cache or out / "networks"
    )
    alpha = Alpha(time_constant, layers=tuple(layers))
    scores, parameters, pictures = waveforms(network, alpha, n_draws, seed, allow_unlearned)
    matrices = nouns(alpha, lexicons, n_draws, seed, allow_unlearned)
    scores.save(out / "waveforms.nc")
    matrices.save(out / "nouns.nc")
    synthetic = scores.provenance.synthetic or matrices.provenance.synthetic
    options = {"participants": participants, "lexicons": lexicons, "time_constant": time_constant, "seed": seed}
    write_page(out, scores, parameters, matrices, pictures, options, synthetic)
    print(parameters.round(3).to_string(), scores, matrices, sep="\n")
    print(beside_p(matrices, "rho").round(3).to_string(index=False))
    if sensitivity:
        print(as_text(diagnose([network], alpha=alpha, rng=seed)))
    if (participants, lexicons, alpha, epochs, synthetic) == (24, 24, Alpha(7.5), None, False):
        compare_with_expected(numbers(scores, parameters, matrices), EXPECTED)
    return parameters


def write_page(
    out: Path,
    scores: Result,
    parameters: pd.DataFrame,
    matrices: Result,
    pictures: Mapping[str, bytes],
    options: Mapping[str, object],
    synthetic: bool,
) -> None:
    """Write tables, figures, and the page that shows them."""
    fits = parameters.rename_axis(["model", "parameter"]).reset_index()
    held_out = beside_p(scores, "r")
    nouns = beside_p(matrices, "rho")
    caption = "Unrelated less related targets: recorded with a 95 % band, and fitted by the {}."
    sections: dict[str, list[Exhibit | str]] = {
        "Waveforms": [
            *(Exhibit(name.replace(" ", "_"), one, caption.format(name)) for name, one in pictures.items()),
            Exhibit("parameters", fits, "Estimates, with 95 % intervals from resampled trials."),
            Exhibit("held_out", held_out, "Held-out r over trials and time, ten folds; trials exchanged for p."),
        ],
        "Nouns": [
            Exhibit("nouns", nouns, "Spearman correlation with people's matrix of pairs; items exchanged for p.")
        ],
    }
    title = "Alpha functions and simulated N400s beside people"
    write_exhibits(out, sections, title=title, provenance=options, synthetic=synthetic)


def beside_p(result: Result, name: str) -> pd.DataFrame:
    """Set scores beside their p values."""
    return pd.DataFrame({name: result.score.to_series(), "p": result.p_values().to_series()}).reset_index()


def numbers(scores: Result, parameters: pd.DataFrame, matrices: Result) -> dict[str, float]:
    """Name what is held against the expected numbers."""
    found = {f"{name}, held-out r": value for name, value in scores.score.to_series().items()}
    found |= {", ".join(name): value for name, value in parameters["estimate"].items()}
    found |= {f"nouns, {name}": value for name, value in matrices.score.squeeze().to_series().items()}
    return {str(name): float(value) for name, value in found.items()}


def waveforms(
    network: Network, alpha: Alpha, n_draws: int, seed: int, allow_unlearned: bool
) -> tuple[Result, pd.DataFrame, dict[str, bytes]]:
    """Fit both predictors to the difference between unrelated and related pairs: scores, intervals, figures."""
    stimuli, recording = real_or_twin(
        vanvliet_wordpairs.NAME, vanvliet_wordpairs.load, lambda: vanvliet_wordpairs.twin(rng=seed)
    )
    where = [name for name in CHANNELS if name in recording["channel"]]
    erps = (
        in_window(recording.sel(channel=where), EPOCH)
        .mean("channel", keep_attrs=True)
        .drop_vars("association_strength")
    )
    erps = (erps - erps.mean("sample")).assign_attrs(erps.attrs)
    times, unrelated = erps["time"].to_numpy(), (erps["condition"] == "unrelated").to_numpy()
    dynamics = {
        constant: replace(alpha, time_constant=constant) if np.isfinite(constant) else None for constant in CONSTANTS
    }
    simulated = {one: primed(network, model, unrelated, seed, allow_unlearned) for one, model in dynamics.items()}
    features = simulated_features(simulated).assign_coords(sample=erps["sample"].to_numpy())
    features = features.assign_attrs(synthetic=0)  # a model of people's recordings is no twin of them
    coded = stimuli.features(np.where(unrelated, 0.5, -0.5)[:, None], ["unrelated"])
    ticks = next(iter(simulated.values()))["time"].to_numpy()
    asked = {"alpha function": (AlphaResponse(times), coded), "simulated N400": (SimulatedERP(ticks, times), features)}
    found, rows, pictures = {}, {}, {}
    for name, (model, x) in asked.items():
        found[name] = evaluate(
            model,
            align(x, erps),
            splits=KFold(10, shuffle=True, random_state=seed),
            metric=pearson.along("sample", "time"),
            inference=Permutation(n_draws),
            rng=seed,
        )
        intervals = model.intervals(x.to_numpy(), erps.to_numpy(), rng=seed, n_draws=n_draws)
        rows |= {(name, parameter): value._asdict() for parameter, value in intervals.items()}
        fitted = erps.copy(data=model.fit(x.to_numpy(), erps.to_numpy()).predict(x.to_numpy()))
        picture = plot_fit(erps, fitted, plus="unrelated", minus="related")
        pictures[name] = axes_to_png(picture, synthetic=bool(recording.attrs["synthetic"]))
    return combine(found, dim="model"), pd.DataFrame(rows).T, pictures


def primed(
    network: Network, alpha: Alpha | None, unrelated: np.ndarray, seed: int, allow_unlearned: bool
) -> xr.DataArray:
    """Simulate primed words; every trial of people gets the mean of its condition, all trials' mean taken off."""
    trials = semantic_priming(network.lexicon, rng=seed)
    recording = simulate(network, trials, alpha=alpha, allow_unlearned=allow_unlearned).mean("repeat")
    means = recording.groupby("condition").mean()
    chosen = means.sel(condition=np.where(unrelated, "unrelated", "related")).drop_vars("condition")
    trials_wise = chosen.rename(condition="sample").assign_coords(sample=np.arange(len(unrelated)))
    return (trials_wise - trials_wise.mean("sample")).expand_dims("repeat", axis=1)


def nouns(alpha: Alpha, lexicons: int, n_draws: int, seed: int, allow_unlearned: bool) -> Result:
    """Correlate matrices of people with categories, embeddings, and the network under every link."""
    _, recording = real_or_twin(
        vanvliet2018.NAME,
        lambda folder: vanvliet2018.load(folder, ordered=False),
        lambda: vanvliet2018.twin(seed, ordered=False),
    )
    names, categories = list(vanvliet2018.NOUNS), list(vanvliet2018.NOUNS.values())
    vectors = embed_sentences(Stimuli.from_texts(names)).to_numpy()
    kinds = pd.get_dummies(pd.Series(categories), dtype=float).to_numpy()
    shared = {"category": np.hstack([np.repeat(kinds, 3, axis=1), np.repeat(np.eye(len(names)), 3, axis=1)])}
    shared["MiniLM"] = tree_features(vectors)
    between = 1 - kinds @ kinds.T
    models = {"category": square(between, names), "MiniLM": square(1 - vectors @ vectors.T, names)}
    for meaning, semantics in shared.items():
        networks = teach_spellings(semantics, rng=seed, lexicons=lexicons)
        for dynamics, chosen in (("alpha model", alpha), ("ERP model", None)):
            matrices = cue_target_matrices(networks, names, alpha=chosen, rng=seed, allow_unlearned=allow_unlearned)
            for link in matrices["model"].to_numpy():
                values = matrices.sel(model=link).to_series()
                cells = zip(matrices["cue"].to_numpy(), matrices["target"].to_numpy(), strict=True)
                models[f"{dynamics}: {link}, meanings from {meaning}"] = dict(zip(cells, values, strict=True))
    return compared(models, recording, n_draws, seed)


def square(matrix: np.ndarray, names: list[str]) -> dict[tuple[str, str], float]:
    """Name the cells of a matrix."""
    return {(a, b): float(matrix[i, j]) for i, a in enumerate(names) for j, b in enumerate(names)}


def compared(
    models: Mapping[str, Mapping[tuple[str, str], float]], recording: xr.DataArray, n_draws: int, seed: int
) -> Result:
    """Compare matrices, both orders of a pair averaged, with the mean of all people; items are exchanged."""
    first, second = recording["first"].to_numpy(), recording["second"].to_numpy()
    coords = {"sample": recording["sample"].to_numpy(), "first": ("sample", first), "second": ("sample", second)}
    group = recording.mean("subject", keep_attrs=True).expand_dims(subject=["mean of all"])
    group = group.transpose("sample", "subject")
    results = {}
    for name, cells in models.items():
        values = [[(cells[a, b] + cells[b, a]) / 2] for a, b in zip(first, second, strict=True)]
        x = xr.DataArray(np.array(values), dims=("sample", "feature"), coords={**coords, "feature": [name]})
        options = {"splits": NoSplit(), "metric": spearman, "inference": Permutation(n_draws), "rng": seed}
        results[name] = evaluate(FixedRDM(), replace(align(x, group), unit="item"), **options)
    return combine(results, dim="model")
