"""How often the leak detector sees planted leaks, and how often it warns of clean designs.

Run with ``python benchmarks/calibration/leaks.py [clean designs]``; the figures stand in docs/calibration.md.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import xarray as xr
from scipy.signal import lfilter
from sklearn.linear_model import RidgeCV as SklearnRidgeCV
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut, ShuffleSplit

from neuroling import Aligned, ByItem, ContiguousFolds, LeavePOut, Ridge, align
from neuroling.evaluation import Split, find_leaks

Design = tuple[Aligned, object, object]
SHUFFLED = KFold(5, shuffle=True, random_state=0)


def arrays(x: np.ndarray, y: np.ndarray, **coords: object) -> Aligned:
    """Align two arrays by row number."""
    labels = {"sample": np.arange(len(x)), **{key: ("sample", value) for key, value in coords.items()}}
    features = xr.DataArray(x, dims=("sample", "feature"), coords=labels)
    return align(features, xr.DataArray(y, dims=("sample", "voxel"), coords=labels))


def smooth(rng: np.random.Generator, n: int, k: int, ar: float = 0.95) -> np.ndarray:
    """Draw autoregressive series (n, k)."""
    return lfilter([1.0], [1.0, -ar], rng.standard_normal((n, k)), axis=0)


def place(n: int, width: float = 2.0) -> np.ndarray:
    """Smoothed identity: each row resembles its neighbours alone."""
    return np.exp(-0.5 * ((np.arange(n)[:, None] - np.arange(n)[None]) / width) ** 2)


PLANTED: dict[str, tuple[str, Callable[[np.random.Generator], Design]]] = {}


def planted(code: str) -> Callable[[Callable[[np.random.Generator], Design]], Callable[[np.random.Generator], Design]]:
    """List a design whose leak has to be seen under this code."""

    def add(make: Callable[[np.random.Generator], Design]) -> Callable[[np.random.Generator], Design]:
        PLANTED[make.__name__] = (code, make)
        return make

    return add


@planted("autocorrelation")
def smoothed_identity_shuffled(rng):
    return arrays(place(300), smooth(rng, 300, 30)), SHUFFLED, Ridge(1.0)


@planted("autocorrelation")
def slow_embeddings_shuffled(rng):
    return arrays(smooth(rng, 300, 50, 0.9), smooth(rng, 300, 40, 0.9)), SHUFFLED, Ridge(1.0)


@planted("autocorrelation")
def moderate_autocorrelation_shuffled(rng):
    return arrays(smooth(rng, 400, 50, 0.7), smooth(rng, 400, 40, 0.6)), SHUFFLED, Ridge(1.0)


@planted("autocorrelation")
def random_split_of_a_series(rng):
    return arrays(place(200), smooth(rng, 200, 10)), ShuffleSplit(3, random_state=0), Ridge(1.0)


@planted("autocorrelation")
def one_region(rng):
    return arrays(place(400), smooth(rng, 400, 1)), SHUFFLED, Ridge(1.0)


@planted("autocorrelation")
def windows_of_context(rng):
    words = rng.standard_normal((320, 64))
    windows = np.stack([words[k : k + 8].mean(axis=0) for k in range(300)])
    return arrays(windows, smooth(rng, 300, 30, 0.8)), SHUFFLED, Ridge(1.0)


@planted("repeated-features")
def words_repeated(rng):
    words, responses, again = rng.standard_normal((30, 20)), rng.standard_normal((30, 30)), np.tile(np.arange(30), 4)
    return arrays(words[again], responses[again] + rng.standard_normal((120, 30))), SHUFFLED, Ridge(1.0)


@planted("repeated-features")
def words_of_a_text_that_recur(rng):
    vectors = rng.standard_normal((200, 50))
    words = np.minimum(rng.zipf(1.4, 1500) - 1, 199)
    return arrays(vectors[words], rng.standard_normal((1500, 20))), KFold(5), Ridge(1.0)


@planted("repeated-features")
def stacked_participants(rng):
    story, common = smooth(rng, 100, 24), smooth(rng, 100, 20)
    y = np.concatenate([common + rng.standard_normal((100, 20)) for _ in range(5)])
    return arrays(np.tile(story, (5, 1)), y), KFold(5), Ridge(1.0)


@planted("repeated-features")
def duplicated_run(rng):
    y = np.tile(smooth(rng, 100, 30), (2, 1))
    return arrays(np.tile(rng.standard_normal((100, 20)), (2, 1)), y), KFold(2), Ridge(1.0)


@planted("repeated-recording")
def run_saved_twice_with_rounding(rng):
    y = smooth(rng, 120, 30)
    return arrays(rng.standard_normal((240, 20)), np.concatenate([y, y.round(2)])), KFold(2), Ridge(1.0)


@planted("repeated-recording")
def one_region_stored_twice(rng):
    y = smooth(rng, 120, 1)
    return arrays(rng.standard_normal((240, 20)), np.concatenate([y, y])), KFold(2), Ridge(1.0)


@planted("leave-one-out-in-time")
def alpha_by_leave_one_out(rng):
    data = arrays(smooth(rng, 200, 20), smooth(rng, 200, 5), time_index=np.arange(200))
    return data, ContiguousFolds(4, gap=10), SklearnRidgeCV()


@planted("features-fitted-on-test")
def components_of_all_samples(rng):
    data = arrays(rng.standard_normal((80, 10)), rng.standard_normal((80, 5)))
    data.x.attrs["fitted_on"] = list(range(80))
    return data, KFold(4), Ridge(1.0)


def clean_designs() -> list[Callable[[np.random.Generator], Design]]:
    """Give the designs in which nothing leaks."""

    def sorted_by_category(rng: np.random.Generator) -> Design:
        n, k = int(rng.integers(4, 12)), int(rng.integers(5, 20))
        label = np.repeat(np.arange(n), k)
        x = rng.standard_normal((n, 40))[label] + rng.uniform(0.5, 2) * rng.standard_normal((n * k, 40))
        y = rng.standard_normal((n, 30))[label] + rng.uniform(0.5, 2) * rng.standard_normal((n * k, 30))
        return arrays(x, y), SHUFFLED, Ridge(1.0)

    def sorted_by_a_number(rng: np.random.Generator) -> Design:
        n = int(rng.integers(60, 300))
        number = np.sort(rng.standard_normal(n))[:, None]
        x = number @ rng.standard_normal((1, 50)) * 0.5 + rng.standard_normal((n, 50))
        y = number @ rng.standard_normal((1, 20)) * 0.5 + rng.standard_normal((n, 20))
        return arrays(x, y), SHUFFLED, Ridge(1.0)

    def independent_items(rng: np.random.Generator) -> Design:
        n, p, v = int(rng.integers(20, 400)), int(rng.integers(1, 300)), int(rng.integers(1, 60))
        x = rng.standard_normal((n, p))
        return arrays(x, x @ rng.standard_normal((p, v)) + rng.standard_normal((n, v))), SHUFFLED, Ridge(1.0)

    def sixty_nouns(rng: np.random.Generator) -> Design:
        x = np.abs(rng.standard_normal((60, 25)))
        y = x @ rng.standard_normal((25, 200)) + 5 * rng.standard_normal((60, 200))
        return arrays(x, y), LeavePOut(2, n_subsets=100), Ridge(1.0)

    def sixty_nouns_in_categories(rng: np.random.Generator) -> Design:
        label = np.repeat(np.arange(12), 5)
        x = rng.standard_normal((12, 25))[label] + rng.standard_normal((60, 25))
        y = x @ rng.standard_normal((25, 200)) + 5 * rng.standard_normal((60, 200))
        return arrays(x, y), LeavePOut(2, n_subsets=100), Ridge(1.0)

    def topics_held_out(rng: np.random.Generator) -> Design:
        label = np.repeat(np.arange(10), 15)
        x = rng.standard_normal((10, 60))[label] + rng.standard_normal((150, 60))
        y = rng.standard_normal((10, 20))[label] + rng.standard_normal((150, 20))
        return arrays(x, y, group=label), GroupKFold(5), Ridge(1.0)

    def repeats_by_item(rng: np.random.Generator) -> Design:
        words, again = rng.standard_normal((40, 30)), np.tile(np.arange(40), 3)
        y = rng.standard_normal((40, 10))[again] + rng.standard_normal((120, 10))
        return arrays(words[again], y, group=again), GroupKFold(5), Ridge(1.0)

    def conditions(rng: np.random.Generator) -> Design:
        code = rng.integers(0, 2, (120, 3)).astype(float)
        return arrays(code, code @ rng.standard_normal((3, 20)) + rng.standard_normal((120, 20))), SHUFFLED, Ridge(1.0)

    def one_number(rng: np.random.Generator) -> Design:
        length = rng.integers(2, 12, (200, 1)).astype(float)
        return arrays(length, length + rng.standard_normal((200, 5))), SHUFFLED, Ridge(1.0)

    def story_in_folds(rng: np.random.Generator) -> Design:
        n = int(rng.integers(100, 500))
        data = arrays(smooth(rng, n, 30, 0.9), smooth(rng, n, 20, 0.9), time_index=np.arange(n))
        return data, ContiguousFolds(5, gap=10), Ridge(1.0)

    def story_rate_with_silence(rng: np.random.Generator) -> Design:
        rate = rng.poisson(0.6, (300, 4)).astype(float)
        return arrays(rate, smooth(rng, 300, 20), time_index=np.arange(300)), ContiguousFolds(5, gap=10), Ridge(1.0)

    def runs_held_out(rng: np.random.Generator) -> Design:
        run = np.repeat(np.arange(4), 80)
        data = arrays(smooth(rng, 320, 30), smooth(rng, 320, 8), group=run, time_index=np.tile(np.arange(80), 4))
        return data, LeaveOneGroupOut(), Ridge(1.0)

    def noise_series_shuffled(rng: np.random.Generator) -> Design:
        n = int(rng.integers(60, 400))
        return arrays(rng.standard_normal((n, 30)), smooth(rng, n, 20, 0.9)), SHUFFLED, Ridge(1.0)

    def ratings(rng: np.random.Generator) -> Design:
        x = rng.standard_normal((200, 50))
        return arrays(x, rng.integers(1, 8, (200, 1)).astype(float)), SHUFFLED, Ridge(1.0)

    def alphabet(rng: np.random.Generator) -> Design:
        first = np.sort(rng.integers(0, 26, 260))
        x = 0.4 * rng.standard_normal((26, 80))[first] + rng.standard_normal((260, 80))
        return arrays(x, x @ rng.standard_normal((80, 30)) + 9 * rng.standard_normal((260, 30))), SHUFFLED, Ridge(1.0)

    def pairs_by_item(rng: np.random.Generator) -> Design:
        n = 12
        first, second = np.triu_indices(n, 1)
        names = np.array([f"w{k:02d}" for k in range(n)])
        coords = {"first": names[first], "second": names[second]}
        same = (first // 4 == second // 4).astype(float)
        data = arrays(np.stack([same, rng.random(len(first))], 1), rng.random((len(first), 3)), **coords)
        return data, ByItem.of(KFold(3), data), Ridge(1.0)

    return [value for value in locals().values() if callable(value)]


def look(design: Design) -> tuple[set[str], float]:
    """Give the codes that the detector reports, and its seconds."""
    data, splitter, model = design
    splits = [Split(*rows) for rows in splitter.split(np.zeros((data.n_samples, 1)), None, data.groups())]
    start = time.perf_counter()
    codes = {leak.code for leak in find_leaks(data, splits, model, splitter)}
    return codes, time.perf_counter() - start


def main(n_clean: int = 500, seeds: int = 20) -> None:
    """Print detections of every planted leak over seeds, and false alarms over clean designs."""
    for name, (code, make) in PLANTED.items():
        seen = [code in look(make(np.random.default_rng(seed)))[0] for seed in range(seeds)]
        print(f"planted {name:36s} {code:24s} {sum(seen)} of {seeds}")
    designs = clean_designs()
    alarms: dict[str, list[set[str]]] = {make.__name__: [] for make in designs}
    seconds = []
    for number in range(n_clean):
        make = designs[number % len(designs)]
        codes, spent = look(make(np.random.default_rng(1000 + number)))
        alarms[make.__name__].append(codes)
        seconds.append(spent)
    for name, found in alarms.items():
        print(f"clean   {name:36s} {sum(map(bool, found))} of {len(found)} {set().union(*found) or ''}")
    total = sum(bool(codes) for found in alarms.values() for codes in found)
    print(f"false alarms {total} of {n_clean} ({total / n_clean:.1%}); median {np.median(seconds) * 1e3:.1f} ms")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
