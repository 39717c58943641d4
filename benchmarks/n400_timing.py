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
from typing import Any

import pandas as pd
import torch

from neuroling.n400 import (
    PHENOMENA,
    Alpha,
    Hypothesis,
    Timing,
    effect_table,
    semantic_activation,
    train_networks,
)

DYNAMICS = {
    "alpha model": Alpha(7.5),
    "alpha model, clocks run until recovery": Alpha(7.5, reset="recovered"),
    "ERP model": None,
}
BY_BLANK = ("immediate repetition", "immediate repetition, words", "semantic priming", "associative priming")
RESULTS = Path(__file__).parent / "results"


def append(path: Path, effects: pd.DataFrame, **setting: float) -> None:
    """Append the effects of one setting to a table."""
    rows = effects.dropna(subset="estimate").drop(columns=["larger", "people", "source"])
    rows = rows.rename(columns={"participants": "share"}).assign(**setting)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(path, mode="a", header=not path.exists(), index=False)
    print(
        rows[["hypothesis", "phenomenon", *setting, "relative", "recognised"]].round(4).to_string(index=False),
        flush=True,
    )


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
    named = {one.name: one for one in PHENOMENA}
    asked = {name: Hypothesis(name, alpha, semantic_activation) for name, alpha in DYNAMICS.items()}
    settings: dict[str, Any] = {"rng": 0, "allow_unlearned": True}
    path = options.out / "n400_soa.csv"
    for blank in options.blanks:
        if not has_row(path, blank=blank, **size):
            timing, rows = Timing(blank=blank), [named[name] for name in BY_BLANK]
            models = [asked["alpha model"], asked["ERP model"]]
            effects = effect_table(networks, models, phenomena=rows, timing=timing, **settings)
            append(path, effects, blank=blank, soa=timing.soa, **size)
    path = options.out / "n400_lags.csv"
    for lag in options.lags:
        if not has_row(path, lag=lag, **size):
            rows = [named["lagged repetition" if lag else "immediate repetition"]]
            append(
                path, effect_table(networks, list(asked.values()), phenomena=rows, lag=lag, **settings), lag=lag, **size
            )


if __name__ == "__main__":
    main()
