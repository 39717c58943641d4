"""Which choices of the training the headline needs: one row a trained network, over variants, lexicons and seeds.

    python benchmarks/n400_sweep.py [--variants NAME …] [--lexicons N …] [--seeds N …] [--participants N]
        [--out FILE] [--cache FOLDER] [--settings]
    python benchmarks/n400_sweep.py --draw docs/images
    python benchmarks/n400_sweep.py --summary

Every network is trained, asked whether it reads, and measured in the repetition experiment with and without the alpha
function (T = 7.5, all layers). Lexicons are those of ``train_networks(rng=0)``; a seed is one of initial weights and of
the stream, so that every seed learns the same lexicons. Rows are appended to a CSV file as they come, and networks that
have a row are passed over, so that a sweep can be stopped and taken up again. ``results/n400_sweep.csv`` holds what has
been run. With ``--settings``, networks of the reference are measured at other time constants, thresholds and blanks
instead, which changes the experiment and not the training; eight participants each, ``results/n400_settings.csv``.
``--draw`` runs nothing and draws both files, as ``n400_frontier.png`` and ``n400_settings.png``; ``--summary`` prints
means and intervals over the networks of the reference, which are seeds × lexicons of the same number of participants.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import stats

from neuroling.n400 import (
    ISOLATED,
    STAGES,
    Alpha,
    Architecture,
    Network,
    Timing,
    Training,
    alone,
    best_tick,
    first_window,
    last_tick,
    mean_amplitude,
    reading_summary,
    rebound,
    repetition,
    simulate,
    train_networks,
)
from neuroling.report import figure_to_png, plot_frontier, plot_settings

ALPHA = Alpha(7.5)
OUT = Path(__file__).parent / "results" / "n400_sweep.csv"
OUT_SETTINGS = OUT.with_name("n400_settings.csv")
MEASURED = 8
"""Participants of each network that are measured at every setting."""
TIME_CONSTANTS, THRESHOLDS, BLANKS = (6.5, 7.0, 7.5, 8.0), (0.07, 0.085, 0.1), (3, 4, 5, 6)
Setting = dict[str, object]


def training(**changes: object) -> Setting:
    return {"training": replace(Training(), **changes)}  # type: ignore[arg-type]  # checked by itself


def stages(**changes: object) -> Setting:
    """Change all stages."""
    return training(stages=tuple(replace(stage, **changes) for stage in STAGES))  # type: ignore[arg-type]  # likewise


def last_stage(**changes: object) -> Setting:
    return training(stages=(*STAGES[:2], replace(STAGES[2], **changes)))  # type: ignore[arg-type]  # likewise


def rates(**changes: object) -> Setting:
    return {"architecture": Architecture(**changes)}  # type: ignore[arg-type]  # likewise


VARIANTS: dict[str, Callable[[], Setting]] = {
    "reference": dict,
    "first stage": lambda: training(stages=STAGES[:1]),
    "two stages": lambda: training(stages=STAGES[:2]),
    "misses × 2 in the last stage": lambda: last_stage(misses=12.0),
    "no early misses": lambda: stages(misses=0.0),
    "no cost of activity": lambda: stages(activity_cost=0.0),
    "no cost of semantic rest": lambda: stages(semantic_rest_cost=0.0),
    "no repetition in the stream": lambda: training(repeated=0.0),
    "frequency exponent 1": lambda: training(frequency_exponent=1.0),
    "richness 3 to 8": lambda: {"richness": (3, 8)},
    "semantic rate 0.15": lambda: rates(rates=(0.6, 0.6, 0.15)),
    "all rates 0.3": lambda: rates(rates=(0.3, 0.3, 0.3)),
    "slow inhibition 0.1": lambda: rates(slow_rate=0.1),
    "alpha in a fifth of training": lambda: training(alpha=ALPHA, alpha_share=0.2),
    "isolated (earlier regime)": lambda: {
        "training": ISOLATED,
        "architecture": Architecture(rates=(0.3, 0.3, 0.3), fast_rate=0.3),
        "richness": (3, 8),
    },
}


def measured(network: Network, alpha_model: Alpha = ALPHA, timing: Timing | None = None) -> dict[str, float]:
    """Measure reading, shape and effects of one network; effects are shares of the mean first amplitude."""
    trials = repetition(network.lexicon, rng=0)
    plain = pd.concat([last_tick(network.accuracy(one, timing=timing)) for one in (alone(network.lexicon), trials)])
    best = reading_summary(best_tick(network.accuracy(trials, alpha=alpha_model, timing=timing))).set_index("trial")[
        "recognised"
    ]
    row = {
        "recognised": float(reading_summary(plain)["recognised"].min()),
        "lowest": float(plain["recognised"].min()),
        "recognised_alpha": float(best["new"]),
        "repeated_alpha": float(best["repeated"]),
    }
    for name, alpha in (("", alpha_model), (" without alpha", None)):
        recording = simulate(network, trials, alpha=alpha, timing=timing, allow_unlearned=True)
        amplitude = mean_amplitude(recording, first_window(recording)).mean("repeat")
        new, kind = (amplitude["condition"] == "new").to_numpy(), amplitude["kind"].to_numpy()
        first = {one: float(amplitude[new & (kind == one)].mean()) for one in np.unique(kind)}
        second = {one: float(amplitude[~new & (kind == one)].mean()) for one in np.unique(kind)}
        mean = float(amplitude[new].mean())
        high, low = first["word"] + first["pseudoword"], first["acronym"] + first["illegal"]
        row[f"repetition{name}"] = 1 - second["word"] / first["word"]
        row[f"repetition, all types{name}"] = 1 - float(amplitude[~new].mean()) / mean
        row[f"neighbourhood{name}"] = (high - low) / 2 / mean
        row[f"lexicality{name}"] = (first["word"] - first["pseudoword"]) / mean
        after = recording.isel(sample=np.flatnonzero(recording["condition"] == "new")).mean("sample")
        after = after.isel(time=np.flatnonzero(after["time"].to_numpy() > -1e-9))
        curve = after.mean("repeat").to_numpy()
        row |= {f"peak{name}": float(curve.max()), f"final{name}": float(curve[-1] / curve.max())}
        row[f"rebound{name}"] = float(rebound(after).mean())
    return row


Keys = dict[str, str | float]
Work = Callable[[], Mapping[str, float]]


def sweep_settings(cache: Path | None, lexicons: list[int], participants: int) -> Iterator[tuple[Keys, Work]]:
    """Give the settings of alpha function and trial, each with what measures it."""
    networks = train_networks(numbers=lexicons, participants=participants, rng=0, cache=cache, device="cpu")
    for lexicon, network in zip(lexicons, networks, strict=True):
        some = network.participants(slice(0, MEASURED))
        for constant, threshold, blank in product(TIME_CONSTANTS, THRESHOLDS, BLANKS):
            keys: Keys = {"lexicon": lexicon, "participants": some.n_participants, "time_constant": constant}
            keys |= {"threshold": threshold, "blank": blank}
            alpha, timing = Alpha(constant, threshold=threshold), Timing(blank=blank)
            yield keys, partial(measured, some, alpha, timing)


def sweep_training(
    cache: Path | None, variants: list[str], lexicons: list[int], seeds: list[int], participants: int
) -> Iterator[tuple[Keys, Work]]:
    """Give the networks to be trained, each with what trains and measures it."""
    for variant, lexicon, seed in product(variants, lexicons, seeds):
        keys: Keys = {"variant": variant, "lexicon": lexicon, "seed": seed, "participants": participants}

        def make(variant: str = variant, lexicon: int = lexicon, seed: int = seed) -> Mapping[str, float]:
            (network,) = train_networks(
                numbers=[lexicon],
                participants=participants,
                rng=0,
                training_seed=seed,
                cache=cache,
                device="cpu",
                **VARIANTS[variant](),  # type: ignore[arg-type]  # settings of train_networks
            )
            return measured(network)

        yield keys, make


SUMMARISED = (
    "recognised",
    "lowest",
    "recognised_alpha",
    "repeated_alpha",
    "peak",
    "final",
    "repetition",
    "repetition, all types",
    "repetition without alpha",
    "repetition, all types without alpha",
    "neighbourhood",
    "lexicality",
)


def summary(rows: pd.DataFrame, participants: int) -> pd.DataFrame:
    """Give the mean over networks of the reference, its 95 % interval (t, networks as draws), the least and the most.

    Each network counts once, by the mean of its participants, so that the interval holds the spread of seeds, lexicons
    and participants together. Networks of one lexicon are taken for independent; with few lexicons, the interval is too
    narrow for other lexicons.
    """
    chosen = rows[(rows["variant"] == "reference") & (rows["participants"] == participants)]
    if len(chosen) < 2:
        raise ValueError(f"--summary: {len(chosen)} networks of {participants} participants; expected 2 or more.")
    values = chosen[list(SUMMARISED)]
    half = stats.t.ppf(0.975, len(chosen) - 1) * values.std(ddof=1) / np.sqrt(len(chosen))
    table = pd.DataFrame({"mean": values.mean(), "low": values.mean() - half, "high": values.mean() + half})
    return table.assign(least=values.min(), most=values.max(), networks=len(chosen))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--lexicons", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--participants", type=int, default=4)
    parser.add_argument("--settings", action="store_true", help="other settings of alpha function and trial instead")
    parser.add_argument("--draw", type=Path, help="folder for figures of the kept results; nothing is run")
    parser.add_argument(
        "--summary", action="store_true", help="mean and interval over seeds × lexicons of the kept rows"
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--cache", type=Path, help="folder of trained networks")
    options = parser.parse_args()
    if options.draw is not None:
        for name, plot, path in (("frontier", plot_frontier, OUT), ("settings", plot_settings, OUT_SETTINGS)):
            (options.draw / f"n400_{name}.png").write_bytes(figure_to_png(plot(pd.read_csv(path))))
        return
    if options.summary:
        print(summary(pd.read_csv(options.out or OUT), options.participants).round(4).to_string())
        return
    torch.set_num_threads(1)
    out = options.out or (OUT_SETTINGS if options.settings else OUT)
    who = (options.lexicons, options.participants)
    works = (
        sweep_settings(options.cache, *who)
        if options.settings
        else sweep_training(options.cache, options.variants, options.lexicons, options.seeds, options.participants)
    )
    done: list[list[object]] | None = None
    for keys, make in works:
        if done is None:
            done = pd.read_csv(out)[list(keys)].to_numpy().tolist() if out.exists() else []
        if list(keys.values()) in done:
            continue
        start = time.process_time()
        row = {**keys, **make()}
        row["CPU seconds"] = round(time.process_time() - start, 1)
        out.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame([row]).to_csv(out, mode="a", header=not out.exists(), index=False)
        print({name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()}, flush=True)


if __name__ == "__main__":
    main()
