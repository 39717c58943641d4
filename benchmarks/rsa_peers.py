"""RSA against mne-rsa and rsatoolbox: equality first, then CPU seconds, one thread, tools in turn in one process.

Run ``python benchmarks/rsa_peers.py [CASE …]`` in an environment that has the peers; a case whose peer is absent is
skipped, and says so. Peers are timed on a slice of what they would take minutes for, and scaled up.
"""

import gc
import os
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import xarray as xr
from common import pin_to_one_thread
from scipy.spatial.distance import pdist, squareform

from neuroling import LeaveOneOutCeiling, NoSplit, Permutation, evaluate, pairwise, pearson, spearman
from neuroling.evaluation import DualBootstrap
from neuroling.numerics.rdm.distances import crossnobis, times_first
from neuroling.rsa import FixedRDM, PairLabels, decoding_rdms, paired, rdms

METRICS = {"spearman": spearman, "pearson": pearson}
Timed = tuple[float, Any]


def cpu(call: Callable[[], Any]) -> Timed:
    """Give CPU seconds of this process, and the value."""
    gc.collect()
    start = time.process_time()
    value = call()
    return time.process_time() - start, value


def in_turn(calls: dict[str, Callable[[], Any]], repeats: int = 3) -> tuple[dict[str, float], dict[str, Any]]:
    """Run all calls in turn, several times; medians of CPU seconds, and the last values."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    values: dict[str, Any] = {}
    for _ in range(repeats):
        for name, call in calls.items():
            taken, values[name] = cpu(call)
            seconds[name].append(taken)
    return {name: statistics.median(taken) for name, taken in seconds.items()}, values


def say(case: str, seconds: dict[str, float], ours: str, difference: dict[str, float], target: float | None) -> None:
    """Print one case."""
    print(f"== {case}")
    for name, taken in seconds.items():
        ratio = "" if name == ours else f"   ours is {taken / seconds[ours]:.1f} times as fast"
        print(f"   {name:44s} {taken:11.3f} CPU s{ratio}")
    for name, value in difference.items():
        print(f"   largest difference, {name}: {value:.1e}")
    best = min((taken for name, taken in seconds.items() if name != ours), default=None)
    if target is not None and best is not None:
        print(f"   target {target:g}: {'met' if best / seconds[ours] >= target else 'MISSED'} against the faster peer")
    print(
        f"   peak memory of this process so far: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB",
        flush=True,
    )


def absent(*peers: str) -> bool:
    """Say which peers are not installed."""
    missing = [peer for peer in peers if find_spec(peer) is None]
    if missing:
        print(f"   skipped: {', '.join(missing)} not installed")
    return bool(missing)


def words(n_items: int, n_channels: int, n_times: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Smooth noise with a semantic part in mid-epoch, float32, and the features behind that part."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n_items, 384))
    latent = features @ rng.standard_normal((384, 8)) / np.sqrt(384)
    gain = np.exp(-0.5 * ((np.linspace(-0.2, 0.8, n_times) - 0.4) / 0.08) ** 2)
    noise = rng.standard_normal((n_items, n_channels, n_times + 8))
    smooth = sum(noise[..., k : k + n_times] for k in range(9)) / 3
    return (0.3 * (latent @ rng.standard_normal((8, n_channels)))[..., None] * gain + smooth).astype(
        np.float32
    ), features


def labelled(x: np.ndarray, dims: tuple[str, ...]) -> xr.DataArray:
    return xr.DataArray(x, dims=dims, coords={"sample": items(x.shape[dims.index("sample")])})


def items(n: int) -> list[str]:
    return [f"i{place:04d}" for place in range(n)]


def models_of(values: list[np.ndarray], n_items: int) -> xr.DataArray:
    labels = PairLabels.of(np.array(items(n_items))).coords()
    names = [f"m{place}" for place in range(len(values))]
    return xr.DataArray(np.stack(values, 1), dims=("sample", "model"), coords={**labels, "model": names})


def windows() -> None:
    """960 words x 29 channels, 390 windows of 11 samples."""
    if absent("mne_rsa"):
        return
    import mne_rsa

    n_slice = 8
    x, features = words(960, 29, 400)
    model = pdist(features, "cosine")
    part = np.ascontiguousarray(x[..., 150 : 150 + n_slice + 10])
    models = models_of([model], 960)
    for how in ("spearman", "pearson"):

        def peer(how: str = how) -> Any:
            patches = mne_rsa.searchlight(part.shape, temporal_radius=5)
            return mne_rsa.rsa_array(part.astype(np.float64), model, patches, rsa_metric=how)

        def ours(data: np.ndarray, how: str = how) -> Any:
            recording = labelled(data, ("sample", "channel", "time"))
            pairs = pairwise(models, recording, distance="correlation", window=11)
            return evaluate(FixedRDM(), pairs, metric=METRICS[how]).score.values[0]

        slow, values = in_turn({"mne-rsa": peer, "slice": lambda: ours(part)})
        fast, _ = cpu(lambda: ours(x))
        difference = {how: float(np.abs(np.ravel(values["mne-rsa"]) - values["slice"]).max())}
        seconds = {"mne-rsa, scaled from 8 windows": slow["mne-rsa"] * 390 / n_slice, "neuroling, all 390": fast}
        say(f"windows, {how}", seconds, "neuroling, all 390", difference, 10 if how == "spearman" else None)


def many_models() -> None:
    """20 people x 500 times x 200 conditions x 64 channels, 12 models."""
    if absent("mne_rsa", "rsatoolbox"):
        return
    import mne_rsa
    from rsatoolbox.data import TemporalDataset
    from rsatoolbox.rdm import RDMs, calc_rdm_movie, compare

    x, features = words(200, 64, 500)
    rng = np.random.default_rng(1)
    values = [pdist(features + 0.3 * k * rng.standard_normal(features.shape), "cosine") for k in range(12)]
    models, n_slice = models_of(values, 200), 50
    part = np.ascontiguousarray(x[..., 200 : 200 + n_slice])
    study = labelled(np.broadcast_to(x, (20, *x.shape)), ("subject", "sample", "channel", "time"))

    def toolbox(how: str) -> Any:
        data = TemporalDataset(
            part.astype(np.float64),
            obs_descriptors={"c": np.arange(200)},
            time_descriptors={"time": np.arange(n_slice)},
        )
        movie = calc_rdm_movie(data, method="correlation", descriptor="c")
        return compare(movie, RDMs(np.stack(values)), method={"spearman": "spearman", "pearson": "corr"}[how])

    for how, target in (("spearman", 5), ("pearson", 15)):

        def peer(how: str = how) -> Any:
            patches = mne_rsa.searchlight(part.shape, temporal_radius=0)
            return mne_rsa.rsa_array(part.astype(np.float64), values, patches, rsa_metric=how).T

        def ours(data: xr.DataArray, how: str = how, ceiling: bool = False) -> Any:
            pairs, bounds = pairwise(models, data, distance="correlation"), LeaveOneOutCeiling() if ceiling else None
            return evaluate(FixedRDM(), pairs, metric=METRICS[how], ceiling=bounds).score.values.swapaxes(0, -1)

        slow, found = in_turn(
            {
                "mne-rsa": peer,
                "rsatoolbox": lambda how=how: toolbox(how),
                "slice": lambda: ours(labelled(part, ("sample", "channel", "time"))),
            },
            repeats=2,
        )
        fast, _ = cpu(lambda: ours(study))
        with_ceiling, _ = cpu(lambda: ours(study, ceiling=True))
        scale = 20 * 500 / n_slice
        theirs = np.asarray(found["mne-rsa"])
        theirs = theirs if theirs.shape == found["slice"].shape else theirs.T
        difference = {how: float(np.abs(theirs - found["slice"]).max())}
        say(
            f"many models, {how} (with ceilings of every person and time: {with_ceiling:.2f} CPU s)",
            {
                "mne-rsa, scaled from 50 times": slow["mne-rsa"] * scale,
                "rsatoolbox, scaled from 50 times": slow["rsatoolbox"] * scale,
                "neuroling, all": fast,
            },
            "neuroling, all",
            difference,
            target,
        )


def memory() -> None:
    """Hold such a study in memory, each person's own data, with ceilings: first, before any peer is loaded."""
    study = np.empty((20, 200, 64, 500), np.float32)
    np.random.default_rng(0).standard_normal(dtype=np.float32, out=study)  # in place: making it must not be the peak
    recording = labelled(study, ("subject", "sample", "channel", "time"))
    models = models_of([pdist(words(200, 1, 1, place)[1], "cosine") for place in range(12)], 200)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for how in ("spearman", "pearson"):
        pairs = pairwise(models, recording, distance="correlation")
        evaluate(FixedRDM(), pairs, metric=METRICS[how], ceiling=LeaveOneOutCeiling())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"== memory, {how}: peak {peak:.0f} MB, {before:.0f} before the call")
        print(f"   target 1,000 MB: {'met' if peak < 1000 else 'MISSED'}, with the recording's {study.nbytes >> 20}")


def unbiased() -> None:
    """Crossnobis of 60 and 200 conditions x 64 channels x 200 times x 6 folds."""
    if absent("rsatoolbox"):
        return
    from rsatoolbox.data import TemporalDataset
    from rsatoolbox.rdm import calc_rdm_movie

    for n in (60, 200):
        rng = np.random.default_rng(0)
        x = 0.3 * rng.standard_normal((1, n, 64, 1)) + rng.standard_normal((6, n, 64, 200))
        precision = np.linalg.inv(np.cov(rng.standard_normal((64, 500))) + 0.1 * np.eye(64))
        part = x[..., :20]

        def peer(part: np.ndarray = part, precision: np.ndarray = precision, n: int = n) -> Any:
            data = TemporalDataset(
                part.reshape(6 * n, 64, 20),
                obs_descriptors={"c": np.tile(np.arange(n), 6), "f": np.repeat(np.arange(6), n)},
                time_descriptors={"time": np.arange(20)},
            )
            movie = calc_rdm_movie(data, method="crossnobis", descriptor="c", cv_descriptor="f", noise=precision)
            return movie.dissimilarities

        def ours(dtype: Any, data: np.ndarray, precision: np.ndarray = precision) -> Any:
            blocks = np.split(data.astype(dtype, copy=False), range(8, data.shape[-1], 8), axis=-1)
            return np.concatenate([crossnobis(times_first(block), precision) for block in blocks])

        calls = {
            "rsatoolbox": peer,
            "float64": partial(ours, np.float64, part),
            "float32": partial(ours, np.float32, part),
        }
        slow, found = in_turn(calls)
        fast, _ = in_turn({"float64": partial(ours, np.float64, x), "float32": partial(ours, np.float32, x)})
        spread = found["rsatoolbox"].std()
        difference = {k: float(np.abs(found[k] - found["rsatoolbox"]).max() / spread) for k in fast}
        seconds = {"rsatoolbox, scaled from 20 times": slow["rsatoolbox"] * 10, "neuroling, float64": fast["float64"]}
        name = f"crossnobis, {n} conditions (differences in units of the spread; float32 takes {fast['float32']:.3f} s)"
        say(name, seconds, "neuroling, float64", difference, 15)


def bootstrap() -> None:
    """Dual bootstrap of 12 models, 20 people, 200 conditions."""
    if absent("rsatoolbox"):
        return
    from rsatoolbox.inference import eval_dual_bootstrap
    from rsatoolbox.model import ModelFixed
    from rsatoolbox.rdm import RDMs

    rng = np.random.default_rng(0)
    base = pdist(rng.standard_normal((200, 384)), "cosine")
    rows = np.stack([base + 0.5 * base.std() * rng.standard_normal(len(base)) for _ in range(20)])
    values = [base + (0.2 + 0.2 * k) * base.std() * rng.standard_normal(len(base)) for k in range(12)]
    models = models_of(values, 200)
    y = xr.DataArray(rows.T, dims=("sample", "subject"), coords={"sample": models.sample})
    fixed = [ModelFixed(f"m{k}", RDMs(value[None])) for k, value in enumerate(values)]
    for how, name in (("spearman", "spearman"), ("pearson", "corr")):
        slow, _ = cpu(lambda name=name: eval_dual_bootstrap(fixed, RDMs(rows), method=name, N=4))
        test = {"metric": METRICS[how], "inference": DualBootstrap(n_draws=1000)}
        fast, _ = in_turn({"ours": lambda test=test: evaluate(FixedRDM(), pairwise(models, y), **test)}, repeats=1)
        seconds = {"rsatoolbox, scaled from 4 draws": slow * 250, "neuroling": fast["ours"]}
        say(f"dual bootstrap, {how}, 1,000 draws, one time", seconds, "neuroling", {}, 150)


def permutation() -> None:
    """1,000 label permutations, 200 conditions x 100 times."""
    if absent("mne_rsa"):
        return
    import mne_rsa

    x, features = words(200, 64, 100)
    model = pdist(features, "cosine")
    y = rdms(labelled(x, ("sample", "channel", "time")), "correlation")
    data = paired(models_of([model], 200), y)
    rows = list(y.values.T.astype(np.float64))
    square = squareform(model)
    rng = np.random.default_rng(0)

    def peer() -> Any:
        order = rng.permutation(200)
        return mne_rsa.rsa(rows, square[order][:, order])

    slow, _ = in_turn({"mne-rsa": peer}, repeats=3)
    inference = Permutation(1000, keep_draws=False)
    fast, _ = in_turn(
        {"ours": lambda: evaluate(FixedRDM(), data, splits=NoSplit(), metric=spearman, inference=inference)}, repeats=2
    )
    plain, _ = in_turn({"ours": lambda: evaluate(FixedRDM(), data, splits=NoSplit(), metric=spearman)}, repeats=2)
    observed = float(
        np.abs(
            evaluate(FixedRDM(), data, splits=NoSplit(), metric=spearman).score.values - mne_rsa.rsa(rows, model)
        ).max()
    )
    seconds = {
        "mne-rsa loop, scaled from one": slow["mne-rsa"] * 1000,
        "neuroling, null alone": fast["ours"] - plain["ours"],
    }
    say("label permutations", seconds, "neuroling, null alone", {"observed": observed}, 500)
    print(f"   the whole evaluate call, observed scores and provenance included: {fast['ours']:.2f} CPU s")


def decoding() -> None:
    """60 conditions x 30 trials x 64 channels x 200 times, 100 draws x 6 pseudo-trials."""
    from sklearn.svm import SVC

    rng = np.random.default_rng(0)
    trials = rng.standard_normal((60, 30, 64, 200), dtype=np.float32)
    train, classes = trials[:2, :5, :, 0].reshape(10, 64), np.repeat([0, 1], 5)
    test = trials[:2, 5, :, 0]

    def svm() -> None:
        for _ in range(100):
            SVC(kernel="linear", C=1).fit(train, classes).predict(test)

    recording = labelled(trials, ("sample", "repeat", "channel", "time"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        slow, _ = in_turn({"svm": svm})
        fast, _ = cpu(lambda: decoding_rdms(recording, n_pseudo=6, n_draws=2, whiten=False))
        white, _ = cpu(lambda: decoding_rdms(recording, n_pseudo=6, n_draws=2))
    loop = {"loop of SVMs, scaled from 100 fits": slow["svm"] / 100 * 1770 * 200 * 600}
    for name, taken in (("plain", fast), ("noise learned anew in every draw and split", white)):
        ours = "neuroling, scaled from 2 draws"
        say(
            f"pairwise decoding, {name} (another classifier: no equality)", {**loop, ours: taken * 50}, ours, {}, 10_000
        )


CASES = {
    "memory": memory,
    "windows": windows,
    "many_models": many_models,
    "unbiased": unbiased,
    "bootstrap": bootstrap,
    "permutation": permutation,
    "decoding": decoding,
}

if __name__ == "__main__":
    pin_to_one_thread()
    warnings.filterwarnings("ignore")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for chosen in sys.argv[1:] or CASES:
        CASES[chosen]()
