"""Which N400 phenomena follow from which hypothesis: a reading network under six links, and people's own N400s.

After Laszlo and Plaut (2012), Laszlo and Armstrong (2014), Rabovsky and McRae (2014) and Brouwer et al. (2017).
People: Nieuwland et al. (2018), 25,978 single trials (measured: one standard deviation of cloze makes the N400 0.90 µV
smaller, t = 9.0, of the cosine of context and noun 0.91 µV, t = 5.2; held-out r over 160 nouns 0.48 and 0.23), and van
Vliet et al. (2018), all pairs of 14 nouns (categories alone: 0.48). Rows that a reading network cannot carry say so;
sentence-level links are asked of people.
"""

from itertools import permutations
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
import xarray as xr
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold

from neuroling import NoSplit, Permutation, Result, Stimuli, align, combine, evaluate, pearson, spearman
from neuroling.data.at_hand import real_or_twin
from neuroling.data.loaders import nieuwland2018, vanvliet2018
from neuroling.evaluation.mixed import mixed_model
from neuroling.features.sentence import embed_sentences
from neuroling.n400.alpha import Alpha
from neuroling.n400.cohort import Letters, teach
from neuroling.n400.effects import effect_table, first_window, hypotheses
from neuroling.n400.experiments import experiment, repetition
from neuroling.n400.lexicon import CONSONANTS, VOWELS, Lexicon, two_of_five
from neuroling.n400.measures import mean_amplitude
from neuroling.n400.network import Training, train
from neuroling.n400.simulate import simulate
from neuroling.report.figures import axes_to_png
from neuroling.report.n400 import plot_effect_table
from neuroling.rsa.pairs import FixedRDM


def main(
    out: Annotated[Path, typer.Option(help="Folder for tables and figures.")] = Path("results/n400_effects"),
    participants: Annotated[int, typer.Option(help="Simulated participants of each lexicon.")] = 24,
    lexicons: Annotated[int, typer.Option(help="Lexicons.")] = 3,
    time_constant: Annotated[float, typer.Option(help="T of the alpha function in ticks.")] = 8.0,
    letters: Annotated[Letters, typer.Option(help="15 or 30 input units.")] = "two-of-five",
    epochs: Annotated[int | None, typer.Option(help="Passes over the lexicon.")] = None,
    n_draws: Annotated[int, typer.Option(help="Draws of the nulls.")] = 1000,
    allow_unlearned: Annotated[bool, typer.Option(help="Go on with networks that cannot read.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of everything.")] = 0,
) -> pd.DataFrame:
    """Fill the effect table, then ask people about sentences and pairs of nouns."""
    out.mkdir(parents=True, exist_ok=True)
    alpha = Alpha(time_constant)
    networks = teach(lexicons=lexicons, participants=participants, rng=seed, letters=letters, epochs=epochs)
    table = effect_table(networks, hypotheses(alpha), rng=seed, allow_unlearned=allow_unlearned)
    table.to_csv(out / "effects.csv", index=False)
    (out / "effects.png").write_bytes(axes_to_png(plot_effect_table(table)))
    effects, scores = sentences(out, n_draws, seed)
    effects.to_csv(out / "sentences_trials.csv")
    scores.save(out / "sentences.nc")
    pairs = nouns(alpha, participants, epochs, n_draws, seed, allow_unlearned)
    pairs.save(out / "nouns.nc")
    return table


def sentences(out: Path, n_draws: int, seed: int) -> tuple[pd.DataFrame, Result]:
    """Ask single trials and sentence means of people about cloze and about embedding distance."""
    trials = real_or_twin(nieuwland2018.NAME, nieuwland2018.load, lambda: nieuwland2018.twin(seed))
    stimuli, recording = nieuwland2018.by_sentence(*trials)
    embedded = embed_sentences(Stimuli(stimuli.table.assign(text=stimuli.table["context"])), cache=out / "cache")
    nouns_alone = embed_sentences(Stimuli(stimuli.table.assign(text=stimuli.table["noun"])), cache=out / "cache")
    near = (embedded.to_numpy() * nouns_alone.to_numpy()).sum(axis=1)  # cosine of context and noun
    links = {"cloze": stimuli.table["cloze"].to_numpy(), "embedding similarity": near}
    results, rows = {}, {}
    by_noun = {label: place for place, label in enumerate(stimuli.table["group"] + stimuli.table["noun"])}
    table = trials[0].table.assign(n400=trials[1].to_numpy()[:, 0])
    place = (table["group"] + table["noun"]).map(by_noun).to_numpy()
    for name, values in links.items():
        data = align(stimuli.features(values[:, None], [name]), recording)
        results[name] = evaluate(
            LinearRegression(),
            data,
            splits=GroupKFold(10),
            metric=pearson.pooled(),
            inference=Permutation(n_draws),
            rng=seed,
        )
        table["x"] = ((values - values.mean()) / values.std())[place]
        random = {"participant": ["1", "x"], "item": ["1", "x"]}
        rows[f"{name} (µV per sd)"] = mixed_model(table, "n400", ["x"], random).to_dataframe().loc["x"]
    return pd.DataFrame(rows).T, combine(results, dim="model")


def nouns(
    alpha: Alpha, participants: int, epochs: int | None, n_draws: int, seed: int, allow_unlearned: bool
) -> Result:
    """Simulate the pairs that people saw, and correlate simulated with recorded matrices."""
    _, recording = real_or_twin(
        vanvliet2018.NAME,
        lambda folder: vanvliet2018.load(folder, ordered=False),
        lambda: vanvliet2018.twin(seed, ordered=False),
    )
    lexicon, spelling = animals_and_furniture(seed)
    network = train(lexicon, participants=participants, rng=seed, training=Training(epochs=epochs or 900))
    options = {"alpha": alpha, "allow_unlearned": allow_unlearned}
    window = first_window(simulate(network, repetition(lexicon, rng=seed), **options))
    ordered = [(spelling[b], spelling[a], "within") for a, b in permutations(spelling, 2)]
    recorded = simulate(network, experiment(lexicon, ordered, name="pairs"), **options)
    amplitude = mean_amplitude(recorded, window).mean("repeat").to_numpy()
    of_pair = centred(dict(zip(permutations(spelling, 2), amplitude, strict=True)))
    first, second = recording["first"].to_numpy(), recording["second"].to_numpy()
    simulated = [(of_pair[a, b] + of_pair[b, a]) / 2 for a, b in zip(first, second, strict=True)]
    category = (recording["condition"].to_numpy() == "between").astype(float)
    coords = {name: ("sample", values) for name, values in (("first", first), ("second", second))}
    results = {}
    for name, values in {"alpha model": np.array(simulated), "category": category}.items():
        features = xr.DataArray(
            values[:, None],
            dims=("sample", "feature"),
            coords={"sample": recording["sample"].to_numpy(), "feature": [name], **coords},
        )
        group = recording.mean("subject").expand_dims(subject=["mean of all"]).transpose("sample", "subject")
        results[name] = evaluate(
            FixedRDM(),
            align(features, group),
            splits=NoSplit(),
            metric=spearman,
            inference=Permutation(n_draws),
            rng=seed,
        )
    return combine(results, dim="model")


def centred(of_pair: dict[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    """Take each target's and each cue's own mean off: strings differ in amplitude whatever goes before them."""
    for side in (1, 0):  # targets, then cues
        own = {noun: np.mean([value for pair, value in of_pair.items() if pair[side] == noun]) for noun, _ in of_pair}
        of_pair = {pair: float(value - own[pair[side]]) for pair, value in of_pair.items()}
    return of_pair


def animals_and_furniture(seed: int) -> tuple[Lexicon, dict[str, str]]:
    """Spell the 14 nouns as strings of three letters; a category shares three features, each noun has three more."""
    rng = np.random.default_rng(seed)
    strings = rng.permutation([a + b + c for a in CONSONANTS for b in VOWELS for c in CONSONANTS])[:14].tolist()
    spelling = dict(zip(vanvliet2018.NOUNS, strings, strict=True))
    categories = list(vanvliet2018.NOUNS.values())
    semantics = np.zeros((14, 50))
    for place, category in enumerate(categories):
        semantics[place, :3] = category == "animal"
        semantics[place, 3:6] = category == "furniture"
        semantics[place, 6 + 3 * place : 9 + 3 * place] = 1
    table = pd.DataFrame({"kind": "word", "frequency": 1.0, "category": categories, "associate": ""}, index=strings)
    return Lexicon(table, semantics, two_of_five()), spelling
