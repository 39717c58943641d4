"""What an evaluation of several feature spaces costs beside as many evaluations of one.

python benchmarks/evaluate_families.py

Scores, nulls and ceilings of both are first held equal. Exits with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from common import Bar, Case, as_json, interleaved, machine, pin_to_one_thread, table

pin_to_one_thread()

import numpy as np  # noqa: E402

from neuroling import (  # noqa: E402
    BlockPermutation,
    ContiguousFolds,
    LeaveOneOutCeiling,
    LeavePOut,
    Permutation,
    Ridge,
    RidgeCV,
    Stimuli,
    align,
    evaluate,
    pearson,
    two_vs_two,
)
from neuroling.evaluation import AlignedSpaces  # noqa: E402

MOST = 1.1
"""Times the separate calls that one call may cost."""

N_SPACES = 5


def study(n: int, p: int, *, in_time: bool = False, **targets: int) -> AlignedSpaces:
    """Several feature spaces, and a recording of noise."""
    rng = np.random.default_rng(0)
    stimuli = Stimuli.from_texts([f"sample {i}" for i in range(n)])
    noise = rng.standard_normal((n, int(np.prod(list(targets.values()))))).astype(np.float32)
    recording = stimuli.features(noise).rename(feature="voxel")
    if len(targets) > 1:
        shape = (n, *targets.values())
        recording = recording.copy(data=noise).drop_vars("voxel", errors="ignore")
        values = noise.reshape(shape)
        recording = type(recording)(values, dims=("sample", *targets), coords={"sample": recording["sample"]})
    if in_time:
        recording = recording.assign_coords(time_index=("sample", np.arange(n)))
    spaces = {f"space {k}": stimuli.features(rng.standard_normal((n, p)).astype(np.float32)) for k in range(N_SPACES)}
    return align(spaces, recording)


def cases() -> dict[str, tuple[AlignedSpaces, dict[str, Any]]]:
    """Make the studies, and say how each is evaluated."""
    folds = ContiguousFolds(5, gap=5)
    return {
        "pairs of words, permutations": (
            study(40, 25, voxel=500),
            {"model": Ridge(1.0), "splits": LeavePOut(2), "metric": two_vs_two, "inference": Permutation(200)},
        ),
        "story, penalties searched, kept in blocks": (
            study(400, 60, in_time=True, voxel=1000),
            {
                "model": RidgeCV(np.logspace(0, 4, 10).tolist(), folds=folds),
                "splits": folds,
                "metric": pearson,
                "inference": BlockPermutation(20, 200, keep_choices=True, keep_draws=False),
            },
        ),
        "participants over time, ceiling": (
            study(120, 20, subject=12, time=60),
            {"model": Ridge(1.0), "splits": folds, "metric": pearson, "ceiling": LeaveOneOutCeiling()},
        ),
    }


def together(data: AlignedSpaces, options: dict[str, Any]) -> Any:
    return evaluate(data=data, **options)


def apart(data: AlignedSpaces, options: dict[str, Any]) -> dict[str, Any]:
    return {name: evaluate(data=data[name], **options) for name in data}


def check(data: AlignedSpaces, options: dict[str, Any]) -> float:
    """Give the largest difference of scores and p values between one call and several."""
    family, members = together(data, options), apart(data, options)
    worst = 0.0
    for name, member in members.items():
        worst = max(worst, float(abs(family.score.sel(model=name, drop=True) - member.score).max()))
        if "inference" in options:
            p = family.p_values().sel(model=name, drop=True)
            worst = max(worst, float(abs(p - member.p_values()).max()))
    return worst


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    parser.add_argument("--rounds", type=int, default=5, help="Rounds in which the cases take turns.")
    arguments = parser.parse_args()
    bars, seconds = [], {}
    for name, (data, options) in cases().items():
        difference = check(data, options)
        assert difference < 1e-6, (name, difference)
        timed = interleaved(
            {
                "one call": Case(lambda data=data, options=options: together(data, options)),
                "separate calls": Case(lambda data=data, options=options: apart(data, options)),
            },
            arguments.rounds,
        )
        seconds |= {f"{name}: {how}": value for how, value in timed.items()}
        bars.append(Bar(f"{name}, of separate calls", timed["one call"] / timed["separate calls"], MOST, at_most=True))
    if arguments.json:
        print(json.dumps({"machine": machine(), "seconds": seconds, "bars": as_json(bars)}, indent=2))
    else:
        print(table(seconds), *bars, sep="\n")
    return 0 if all(bar.kept for bar in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
