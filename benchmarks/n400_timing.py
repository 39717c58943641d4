"""How effects of simulated participants depend on what lies between prime and target: lags, and the asynchrony.

    python benchmarks/n400_timing.py [--participants N] [--lexicons N] [--lags N …] [--blanks N …] [--cache FOLDER]

Networks are those of ``neuroling run laszlo_armstrong2014``. Each row is an effect of a mixed model over items,
participants and lexicons, as a share of the mean amplitude, beside what participants recognise without the alpha
function. ``results/n400_lags.csv`` has repetition by the number of strings in between, with the alpha function, without
it, and with clocks that run until the envelope has recovered; ``results/n400_soa.csv`` has repetition and priming by
the blank between prime and target. Rows are appended as they come; what has a row is passed over.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
import torch

from neuroling.n400 import (
    PHENOMENA,
    Alpha,
    Hypothesis,
    Network,
    effect_table,
    first_window,
    repetition,
    semantic_activation,
    simulate,
    train_networks,
)
from neuroling.n400.effects import FIRST, amplitude_table, estimate
from neuroling.n400.experiments import Timing

DYNAMICS = {
    "alpha model": Alpha(7.5),
    "alpha model, clocks run until recovery": Alpha(7.5, reset="recovered"),
    "ERP model": None,
}
BY_BLANK = ("immediate repetition", "immediate repetition, words", "semantic priming", "associative priming")
RESULTS = Path(__file__).parent / "results"


def repetition_at_lag(networks: list[Network], alpha: Alpha | None, lag: int) -> dict[str, float]:
    """Estimate the repetition effect with so many strings in between; the window is that of immediate repetition."""
    tables = []
    for number, network in enumerate(networks):
        window = first_window(simulate(network, repetition(network.lexicon, rng=0), alpha=alpha))
        recording = simulate(network, repetition(network.lexicon, rng=0, lag=lag), alpha=alpha, allow_unlearned=True)
        table = amplitude_table(recording, network.lexicon, window)
        labels = {name: f"{number}/" + table[name] for name in ("participant", "item")}
        tables.append(table.assign(lexicon=str(number), **labels))
    joined = pd.concat(tables, ignore_index=True)
    effect = estimate(joined, FIRST(joined), within_items=True)
    return {**vars(effect), "recognised": float(joined["recognised"].min()), "lowest": float(joined["lowest"].min())}


def append(path: Path, rows: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(path, mode="a", header=not path.exists(), index=False)


def has_row(path: Path, **values: object) -> bool:
    if not path.exists():
        return False
    rows = pd.read_csv(path)
    return bool((rows[list(values)] == pd.Series(values)).all(axis=1).any())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--participants", type=int, default=24)
    parser.add_argument("--lexicons", type=int, default=3)
    parser.add_argument("--lags", nargs="+", type=int, default=list(range(11)))
    parser.add_argument("--blanks", nargs="+", type=int, default=[2, 3, 4, 5, 6, 8, 10, 14])
    parser.add_argument("--cache", type=Path, help="folder of trained networks")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    size = {"participants": options.participants, "lexicons": options.lexicons}
    networks = train_networks(**size, rng=0, cache=options.cache, device="cpu")
    path = options.out / "n400_soa.csv"
    asked = [Hypothesis(name, DYNAMICS[name], semantic_activation) for name in ("alpha model", "ERP model")]
    for blank in options.blanks:
        if not has_row(path, blank=blank, **size):
            rows = [one for one in PHENOMENA if one.name in BY_BLANK]
            timing = Timing(blank=blank)
            effects = effect_table(networks, asked, rng=0, phenomena=rows, timing=timing, allow_unlearned=True)
            effects = effects.dropna(subset="estimate").drop(columns=["larger", "people", "source"])
            append(path, effects.rename(columns={"participants": "share"}).assign(blank=blank, soa=timing.soa, **size))
            print(effects[["hypothesis", "phenomenon", "relative", "recognised"]].round(3).to_string(index=False))
    path = options.out / "n400_lags.csv"
    for lag in options.lags:
        for name, alpha in DYNAMICS.items():
            if not has_row(path, model=name, lag=lag, **size):
                found = repetition_at_lag(networks, alpha, lag)
                row = {"model": name, "lag": lag, **found, "share": found["participants"], **size}
                append(path, pd.DataFrame([row]))
                print(name, lag, round(found["relative"], 4), flush=True)


if __name__ == "__main__":
    main()
