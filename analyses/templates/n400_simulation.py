"""NAME: whether a network with N400-like dynamics shows an effect that participants show."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
import xarray as xr

import neuroling as nl
from neuroling.data import read_table
from neuroling.evaluation import save_unit, stamp
from neuroling.n400 import Alpha, first_window, mean_amplitude, repetition, simulate, train_networks, trained_network
from neuroling.report import write_report

HERE = Path(__file__).parent
PEOPLE = HERE / "sample/people.csv"  # one row per participant and condition: mean amplitudes; or None
PARTICIPANT, CONDITION, AMPLITUDE = "participant", "condition", "n400"  # its columns; amplitudes in µV
EXPERIMENT = repetition  # or semantic_priming, associative_priming: what is shown, from neuroling.n400
PLUS, MINUS = "new", "repeated"  # conditions of the difference, by their names in experiment and table
TRAIN = False  # train networks anew, which takes minutes, or take those that come with the package
N_LEXICONS = 3  # lexicons of four simulated participants each; at most 3 come with the package
ALPHA = Alpha(7.5)  # alpha function on all layers; None: the control without it
KIND = "word"  # kind of string that is analysed


def main(
    out: Annotated[Path, typer.Option(help="Folder for results and report.html.")] = HERE / "results",
    n_permutations: Annotated[int, typer.Option(help="Sign flips over participants.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> None:
    """Show words to simulated participants, test the difference, set people's beside it, and write the report."""
    networks = train_networks(lexicons=N_LEXICONS, rng=seed) if TRAIN else map(trained_network, range(N_LEXICONS))
    results, differences = {}, []
    for network in networks:
        recording = simulate(network, EXPERIMENT(network.lexicon, rng=seed), alpha=ALPHA)
        shown = recording.sel(sample=recording.kind == KIND)
        amplitude = mean_amplitude(shown, first_window(recording))
        plus, minus = (amplitude.sel(sample=shown.condition == name).mean("sample") for name in (PLUS, MINUS))
        differences.append((plus - minus).to_numpy())
    flips = nl.SignFlip("subject", n_permutations, two_sided=True)
    simulated = xr.DataArray(np.concatenate(differences), dims="subject", name="mean semantic activation")
    results["Simulated participants"] = nl.estimate(nl.GroupMean(), simulated, inference=flips, rng=seed)
    if PEOPLE is not None:
        table = read_table(PEOPLE, [PARTICIPANT, CONDITION], numbers=[AMPLITUDE])
        means = table.pivot_table(AMPLITUDE, PARTICIPANT, CONDITION)
        people = xr.DataArray(means[PLUS] - means[MINUS], dims="subject", name="amplitude (µV)", attrs=table.attrs)
        results["People"] = nl.estimate(nl.GroupMean(), people, inference=flips, rng=seed)
    difference = f"Differences are {PLUS} minus {MINUS}, strings of the kind {KIND!r}; the alpha function: {ALPHA}."
    page = write_report(results, out, title="NAME", question=__doc__, notes=[difference])
    save_unit(stamp(results["Simulated participants"], {}, {}), out / "result.nc")
    print(*(result.summary() for result in results.values()), page, sep="\n")
