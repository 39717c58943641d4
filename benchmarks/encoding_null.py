"""What a null of 1,000 relabelings costs, in whole evaluations: penalties kept, operators made once.

python benchmarks/encoding_null.py [--large]

One evaluation is five outer folds, and in each the search of 20 penalties over five inner folds with a penalty a voxel.
Two draws of the null are first checked against ridge refitted at the same penalties. The cost of 1,000 draws is what
some draws cost more than half as many do, so that what happens once is counted once. Exits with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable

from common import Bar, as_json, machine, pin_to_one_thread

pin_to_one_thread()

import numpy as np  # noqa: E402

from neuroling import (  # noqa: E402
    Aligned,
    BlockPermutation,
    CircularShift,
    ContiguousFolds,
    Ridge,
    RidgeCV,
    Stimuli,
    align,
    evaluate,
    pearson,
)
from neuroling.evaluation import FitOnce  # noqa: E402

FOLDS = ContiguousFolds(5)
MODEL = RidgeCV(np.logspace(0, 5, 20).tolist(), folds=FOLDS, device="cpu")
DRAWS = 1000
MOST = 15.0
"""Evaluations that 1,000 relabelings may cost."""

SHAPES = {
    "story-like, small": (600, 614, 4000, 80),
    "many samples": (1200, 300, 2000, 400),
    "few features": (400, 40, 4000, 398),
}
LARGE = {"story-like, half": (1500, 1536, 4000, 40)}
"""Samples, features, voxels, and draws that are measured."""


def story(n: int, p: int, v: int) -> Aligned:
    """Features and a recording that are alike to themselves from row to row; some voxels have signal."""
    rng = np.random.default_rng(0)
    x, noise = (rng.standard_normal((n, columns)).astype(np.float32) for columns in (p, v))
    x[1:] += 0.3 * x[:-1]
    noise[1:] += 0.3 * noise[:-1]
    signal = x @ (rng.standard_normal((p, v)) / np.sqrt(p)).astype(np.float32) * np.linspace(0, 1, v, dtype=np.float32)
    stimuli = Stimuli.from_texts([f"volume {i}" for i in range(n)])
    recording = stimuli.features(noise + signal).rename(feature="voxel")
    return align(stimuli.features(x), recording.assign_coords(time_index=("sample", np.arange(n))))


def cpu(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def check(data: Aligned) -> float:
    """Largest difference between kept draws and ridge refitted with each voxel's penalty, on a few voxels.

    A draw reorders what is left beside the run's trend, which stays in place.
    """
    few = Aligned(data.x, data.y.isel(voxel=slice(None, None, data.y.sizes["voxel"] // 6)), data.unit)
    null = BlockPermutation(20, 20, keep_choices=True)
    draws = evaluate(MODEL, few, splits=FOLDS, metric=pearson, inference=null).null.draws
    remembered, spy = FitOnce(MODEL), Orders(null)
    evaluate(remembered, few, splits=FOLDS, metric=pearson)
    evaluate(Ridge(1.0, device="cpu"), few, splits=FOLDS, metric=pearson, inference=spy)
    x, y = few.x.values, few.y.values
    scans = np.linspace(-1, 1, len(y))
    trends = np.stack([np.polyval(np.polyfit(scans, column, null.trend), scans) for column in y.T], axis=1)
    expected = np.zeros((2, y.shape[1]))
    for fitted, (train, test) in zip(remembered.fitted, FOLDS.split(x), strict=True):
        for voxel, alpha in enumerate(fitted.alpha_):
            for draw, order in enumerate(spy.orders[:2]):
                moved = trends[:, voxel] + (y - trends)[order, voxel]
                predicted = Ridge(alpha, device="cpu").fit(x[train], moved[train]).predict(x[test])
                expected[draw, voxel] += np.corrcoef(predicted, moved[test])[0, 1] / 5
    return float(np.abs(draws.values[:2] - expected).max())


class Orders:
    """An inference that remembers the orders that another one draws."""

    def __init__(self, null: BlockPermutation) -> None:
        self.null = null
        self.orders = np.empty(0)

    def __call__(self, scoring, rng):  # noqa: D102 - as any inference
        spy = self

        class Spy:
            def __getattr__(self, name):
                return getattr(scoring, name)

            def reordered(self, orders, **options):
                spy.orders = orders
                return scoring.reordered(orders, **options)

        return self.null(Spy(), rng)


def measure(data: Aligned, n_draws: int) -> dict[str, float]:
    def run(inference: object) -> float:
        return cpu(lambda: evaluate(MODEL, data, splits=FOLDS, metric=pearson, inference=inference))

    run(None)
    once = min(run(None) for _ in range(3))
    fit = min(cpu(lambda: MODEL.fit(data.x.values, data.y.values)) for _ in range(2))
    found = {"evaluation_s": once, "fit_s": fit}
    nulls = {
        "blocks": lambda n: BlockPermutation(20, n, keep_draws=False, keep_choices=True),
        "rotations": lambda n: CircularShift(n, keep_draws=False, keep_choices=True),
    }
    for name, null in nulls.items():
        few, many = (min(run(null(n)) for _ in range(2)) - once for n in (n_draws // 2, n_draws))
        a_draw = (many - few) / (n_draws - n_draws // 2)
        found[f"{name}_of_1000_in_evaluations"] = (many + (DRAWS - n_draws) * a_draw) / once
        found[f"{name}_ms_a_draw"] = 1e3 * a_draw
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="Half the size of a story, minutes.")
    shapes = LARGE if parser.parse_args().large else SHAPES
    report: dict[str, object] = {"machine": machine()}
    bars = []
    for name, (n, p, v, draws) in shapes.items():
        data = story(n, p, v)
        difference = check(data)
        found = measure(data, draws)
        report[name] = {"samples": n, "features": p, "voxels": v, "difference_from_refits": difference, **found}
        bars.append(Bar(f"{name}: draws against refits", difference, 1e-5, at_most=True))
        for null in ("blocks", "rotations"):
            claim = f"{name} ({n} × {p} × {v}): 1,000 {null}, in evaluations"
            bars.append(Bar(claim, found[f"{null}_of_1000_in_evaluations"], MOST, at_most=True))
        print(*bars[-3:], sep="\n", flush=True)
    print(json.dumps({**report, "bars": as_json(bars)}, indent=1))
    return 0 if all(bar.kept for bar in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
