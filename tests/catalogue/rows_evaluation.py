"""Rows 26 to 60 at the gate of labels, rows 111 to 119 at scores, nulls, ceilings and fits of waves."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import torch
import xarray as xr
from frame import Arguments, Case, Due, Entry, Gives, Refused, Row, Warned, cross
from sklearn.model_selection import KFold

from neuroling import (
    BlockPermutation,
    CircularShift,
    LeaveOneOutCeiling,
    LeavePOut,
    Permutation,
    Result,
    Ridge,
    SignFlip,
    SplitHalfCeiling,
    Stimuli,
    align,
    cosine,
    evaluate,
    partition_variance,
    pearson,
    r2,
    spearman,
    two_vs_two,
)
from neuroling.encoding import StableVoxels
from neuroling.encoding.count_maps import EqualMass
from neuroling.encoding.delays import delay
from neuroling.encoding.drift import remove_drift
from neuroling.encoding.hrf import convolve
from neuroling.encoding.standardize import remove_trend
from neuroling.evaluation import ExplainableVarianceCeiling, HeldOutPermutation, product_measure
from neuroling.evaluation.mixed import mixed_model
from neuroling.n400.fit import AlphaResponse, SimulatedERP, alpha_wave
from neuroling.rsa.pairs import FixedRDM

RNG = np.random.default_rng(0)
N, P, Q = 18, 3, 2
WORDS = [f"word {number}" for number in range(N)]
X = RNG.standard_normal((N, P))
FEATURES = xr.DataArray(X, dims=("sample", "feature"), coords={"sample": WORDS})
RECORDING = xr.DataArray(
    X @ RNG.standard_normal((P, Q)) + RNG.standard_normal((N, Q)), dims=("sample", "voxel"), coords={"sample": WORDS}
)
REPEATED = (RECORDING.expand_dims(repeat=4, axis=1) + RNG.standard_normal((N, 4, Q))).transpose(
    "sample", "repeat", "voxel"
)
PEOPLE = (RECORDING.expand_dims(subject=4) + RNG.standard_normal((4, N, Q))).transpose("sample", "voxel", "subject")
MODEL = Ridge(1.0, device="cpu")
GROUPED = RECORDING.assign_coords(group=("sample", np.repeat(["a", "b", "c"], 6)))


def sides() -> Arguments:
    return {"features": FEATURES.copy(deep=True), "recording": RECORDING.copy(deep=True)}


def scored(features, recording, **options):
    options = {"splits": KFold(3), "metric": pearson} | options
    return evaluate(MODEL, align(features, recording), **options).score


GATE = [
    Entry("align", sides, lambda features, recording: align(features, recording).y, "align"),
    Entry("evaluate", sides, scored, "evaluate"),
    Entry(
        "evaluate, permutation",
        sides,
        lambda features, recording: scored(features, recording, inference=Permutation(20)),
        "evaluate",
    ),
    Entry(
        "evaluate, leave-two-out",
        sides,
        lambda features, recording: scored(features, recording, splits=LeavePOut(2, 8), metric=two_vs_two),
        "evaluate",
    ),
    Entry(
        "partition_variance",
        lambda: {"features": FEATURES.copy(deep=True), "recording": RECORDING.copy(deep=True)},
        lambda features, recording: (
            partition_variance(
                {"features": features, "sound": FEATURES + 0.5 * FEATURES.roll(sample=1)},
                recording,
                make_model=lambda bands: Ridge(1.0, device="cpu"),
                splits=KFold(3),
            ).full
        ),
        "partition",
    ),
]


def values(result):
    return np.asarray(result)


def same(result, clean, rtol=1e-6) -> bool:
    return np.allclose(values(result), values(clean), rtol=rtol, atol=rtol, equal_nan=True)


def finite(result, clean=None) -> bool:
    return bool(np.isfinite(values(result)).all())


def refused(*parts: str):
    return lambda entry, argument: Refused(argument, *parts)


def at_gate(*parts: str):
    """What the gate refuses; spaces that are joined before it are refused under their own name."""

    def due(entry: Entry, argument: str) -> Due:
        return Refused("spaces") if (entry.kind, argument) == ("partition", "features") else Refused(argument, *parts)

    return due


def spoiled(array, at, new):
    array = array.copy(deep=True)
    array[at] = new
    return array


def one_constant(entry: Entry, argument: str) -> Due:
    codes = {"constant-features"}
    if entry.kind == "partition":
        return Warned(*codes, check=finite)
    return Warned(*codes, check=finite if entry.kind != "align" else same)


def by_label(entry: Entry, argument: str) -> Due:
    if argument == "features":
        return Gives(same)
    return Gives(finite)  # another order is another set of folds


def unit(scale: float):
    def due(entry: Entry, argument: str) -> Due:
        if entry.kind == "align":
            return Gives(lambda result, clean: same(result / scale, clean))
        return Gives(partial(same, rtol=1e-5))

    return due


def unit32(scale: float):
    def due(entry: Entry, argument: str) -> Due | None:
        if entry.kind == "align":
            return Gives(lambda result, clean: np.allclose(result / np.float32(scale), clean, rtol=1e-5))
        return Gives(partial(same, rtol=1e-3))

    return due


def name_of(entry: Entry, argument: str) -> str:
    return "spaces" if entry.kind == "partition" and argument == "features" else argument


def zero(entry: Entry, argument: str) -> Due | None:
    """Beside a space that varies, a space of zeros is named, and refused where it would stand alone."""
    return None if entry.kind == "partition" else Refused("features", "every sample has the same values")


ARRAYS = ["features", "recording"]
LABELLED = [
    Row(
        26,
        "NaN",
        ["features"],
        lambda a: spoiled(a, (2, 1), np.nan),
        lambda e, a: Refused("features", "values are NaN"),
    ),
    Row(27, "infinity", ["features"], lambda a: spoiled(a, (2, 1), -np.inf), refused("NaN or infinite")),
    Row(
        28, "NaN in one target", ["recording"], lambda a: spoiled(a, (2, 1), np.nan), refused("1 of 36 values are NaN")
    ),
    Row(
        29, "a target of NaN", ["recording"], lambda a: spoiled(a, (slice(None), 1), np.nan), refused("NaN or infinite")
    ),
    Row(30, "infinity", ["recording"], lambda a: spoiled(a, (2, 1), np.inf), refused("NaN or infinite")),
    Row(
        31,
        "a constant target",
        ["recording"],
        lambda a: spoiled(a, (slice(None), 1), 0.1),
        refused("1 of 2 targets are constant"),
    ),
    Row(32, "all targets constant", ["recording"], lambda a: a * 0 + 1, refused("2 of 2 targets are constant")),
    Row(33, "a feature without variance", ["features"], lambda a: spoiled(a, (slice(None), 1), 7.0), one_constant),
    Row(
        34,
        "all zero",
        ["features"],
        lambda a: a * 0,
        zero,
    ),
    Row(
        36,
        "a sample too few",
        ["features"],
        lambda a: a.isel(sample=slice(1, None)),
        lambda e, a: (
            Refused("sample labels", "1 of 18 in the recording alone")
            if e.kind != "partition"
            else Refused("spaces", "other sample labels")
        ),
    ),
    Row(
        36,
        "a sample too many",
        ["recording"],
        lambda a: a.isel(sample=slice(1, None)),
        lambda e, a: Refused("sample labels", "stand in the features alone"),
    ),
    Row(
        38,
        "no samples",
        ["features"],
        lambda a: a.isel(sample=[]),
        lambda e, a: at_gate("empty")(e, a),
    ),
    Row(
        42,
        "no features",
        ["features"],
        lambda a: a.isel(feature=[]),
        at_gate("the axis 'feature' is empty"),
    ),
    Row(43, "no voxels", ["recording"], lambda a: a.isel(voxel=[]), refused("the axis 'voxel' is empty")),
    Row(
        44,
        "one axis",
        ["features"],
        lambda a: a.isel(feature=0, drop=True),
        lambda e, a: (
            refused("expected ('sample', 'feature')")(e, a)
            if e.kind != "partition"
            else Refused("spaces", "expected ('sample', 'feature')")
        ),
    ),
    Row(
        45,
        "three axes",
        ["features"],
        lambda a: a.expand_dims(time=2),
        lambda e, a: (
            refused("expected ('sample', 'feature')")(e, a)
            if e.kind != "partition"
            else Refused("spaces", "expected ('sample', 'feature')")
        ),
    ),
    Row(46, "complex", ARRAYS, lambda a: a + 0j, at_gate("complex128")),
    Row(47, "text", ARRAYS, lambda a: a.astype(str), at_gate("expected real numbers")),
    Row(47, "dates", ARRAYS, lambda a: a.astype("datetime64[ns]"), at_gate("expected real numbers")),
    Row(48, "objects", ARRAYS, lambda a: a.astype(object), at_gate("expected real numbers")),
    Row(49, "int8", ["recording"], lambda a: np.round(a * 20).astype(np.int8), Gives(finite)),
    Row(49, "int16", ["recording"], lambda a: np.round(a * 9000).astype(np.int16), Gives(finite)),
    Row(49, "labels beyond 2^53", ["recording"], lambda a: (a * 2**58).astype(np.int64), refused("beyond ±2^53")),
    Row(
        50,
        "float16",
        ["recording"],
        lambda a: a.astype(np.float16),
        lambda e, a: Warned("half-precision", check=finite),
    ),
    *(
        Row(51 if s > 1 else 52, f"in units of {s:g}", ["recording"], lambda a, s=s: a * s, unit(s))
        for s in (1e-100, 1e-30, 1e30, 1e100)
    ),
    *(
        Row(
            51 if s > 1 else 52,
            f"float32 in units of {s:g}",
            ["recording"],
            lambda a, s=s: (a * s).astype(np.float32),
            unit32(s),
        )
        for s in (1e-30, 1e-13, 1e13)
    ),
    Row(51, "in units of 1e300", ["recording"], lambda a: a * 1e300, refused("overflow", "larger unit")),
    Row(52, "in units of 1e-300", ["recording"], lambda a: a * 1e-300, refused("does not hold", "smaller unit")),
    Row(51, "in units of 1e300", ["features"], lambda a: a * 1e300, refused("overflow", "larger unit")),
    Row(52, "in units of 1e-300", ["features"], lambda a: a * 1e-300, refused("does not hold", "smaller unit")),
    Row(54, "samples in another order", ARRAYS, lambda a: a.isel(sample=slice(None, None, -1)), by_label),
    Row(
        54,
        "samples of other labels",
        ARRAYS,
        lambda a: a.assign_coords(sample=[f"x{k}" for k in range(N)]),
        lambda e, a: (
            Refused("sample labels", "18 of 18")
            if (e.kind, a) != ("partition", "features")
            else Refused("spaces", "other sample labels")
        ),
    ),
    Row(
        54,
        "a label twice",
        ARRAYS,
        lambda a: a.assign_coords(sample=[WORDS[0], *WORDS[:-1]]),
        lambda e, a: (
            Refused(a, "more than once")
            if (e.kind, a) != ("partition", "features")
            else Refused("spaces", "occur twice")
        ),
    ),
    Row(54, "no labels", ["recording"], lambda a: a.drop_vars("sample"), refused("has no labels")),
    Row(56, "another order of axes", ARRAYS, lambda a: a.T, Gives(same)),
    Row(56, "big endian", ARRAYS, lambda a: a.astype(">f8"), Gives(same)),
    Row(56, "float32", ["recording"], lambda a: a.astype(np.float32), lambda e, a: Gives(partial(same, rtol=1e-3))),
    Row(59, "a bare array", ["recording"], lambda a: a.to_numpy(), refused("got ndarray")),
    Row(59, "a data frame", ["recording"], lambda a: a.to_pandas(), refused("got DataFrame")),
    Row(59, "a data set", ["recording"], lambda a: a.to_dataset(name="y"), refused("got Dataset")),
    Row(59, "None", ["recording"], lambda a: None, refused("got NoneType")),
    Row(59, "a list", ["recording"], lambda a: a.to_numpy().tolist(), refused("got list")),
]


# --- scores -----------------------------------------------------------------------------------------------------------

TRUTH = RNG.standard_normal((Q, 7))
METRICS = [
    Entry(metric.name, lambda: {"truth": TRUTH.copy(), "prediction": (TRUTH + 1).copy()}, metric.score)
    for metric in (pearson, spearman, r2, cosine)
]


def undefined(entry: Entry, argument: str) -> Due | None:
    if entry.name.startswith("cosine") or (entry.name == "r2" and argument == "prediction"):
        return None
    return Warned("undefined-scores", check=lambda result, clean: np.isnan(result).tolist() == [True, False])


def of_scores(scale: float):
    def due(entry: Entry, argument: str) -> Due | None:
        if entry.name == "r2":  # both sides have to be in one unit
            return None
        return Gives(partial(same, rtol=1e-9))

    return due


def both_scaled(scale: float):
    return lambda arguments: {name: value * scale for name, value in arguments.items()}


SCORES = [
    Row(
        31,
        "one side constant",
        ["truth", "prediction"],
        lambda v: np.concatenate([np.full_like(v[:1], 0.1), v[1:]]),
        undefined,
    ),
    Row(
        39,
        "one value",
        ["*"],
        lambda a: {k: v[:, :1] for k, v in a.items()},
        lambda e, a: Refused("metric", "1 held-out value;"),
    ),
    *(
        Row(51 if s > 1 else 52, f"one side in units of {s:g}", ["truth"], lambda v, s=s: v * s, of_scores(s))
        for s in (1e-300, 1e-160, 1e160, 1e300)
    ),
    *(
        Row(
            51 if s > 1 else 52, f"both sides in units of {s:g}", ["*"], both_scaled(s), Gives(partial(same, rtol=1e-9))
        )
        for s in (1e-300, 1e-160, 1e160)
    ),
    Row(49, "int8", ["truth"], lambda v: np.round(v * 40).astype(np.int8), Gives(finite)),
    Row(56, "float32", ["truth"], lambda v: v.astype(np.float32), Gives(partial(same, rtol=1e-5))),
    Row(56, "read-only", ["truth", "prediction"], lambda v: np.broadcast_to(v, v.shape), Gives(same)),
]
TOO_FEW = (
    [
        Case(
            40,
            "two samples",
            f"evaluate, {metric.name}",
            partial(lambda m: scored(FEATURES, RECORDING, splits=LeavePOut(2, 9), metric=m), metric),
            Refused("metric", "2 held-out values"),
            "splits",
        )
        for metric in (pearson, spearman)
    ]
    + [
        Case(
            39,
            "one sample",
            f"evaluate, {metric.name}",
            partial(lambda m: scored(FEATURES, RECORDING, splits=LeavePOut(1), metric=m), metric),
            Refused("metric"),
            "splits",
        )
        for metric in (pearson, spearman, r2, cosine, two_vs_two)
    ]
    + [
        Case(
            40,
            "three samples",
            f"evaluate, {metric.name}",
            partial(lambda m: scored(FEATURES, RECORDING, splits=KFold(6), metric=m), metric),
            Warned("few-samples", check=finite),
            "splits",
        )
        for metric in (pearson, spearman, r2, cosine)
    ]
    + [
        Case(
            41,
            "more folds than samples",
            "evaluate",
            partial(scored, FEATURES, RECORDING, splits=KFold(19)),
            Refused("splits", "cannot split 18"),
            "splits",
        ),
        Case(
            40,
            "training sets of two",
            "evaluate",
            partial(scored, FEATURES.isel(sample=slice(8)), RECORDING.isel(sample=slice(8)), splits=LeavePOut(6, 4)),
            Refused("splits", "trains on 2 samples"),
            "splits",
        ),
        Case(
            43,
            "patterns of one voxel",
            "evaluate, two_vs_two",
            partial(scored, FEATURES, RECORDING.isel(voxel=[0]), splits=LeavePOut(2, 4), metric=two_vs_two),
            Refused("metric", "1 held-out value"),
            "recording",
        ),
        Case(
            54,
            "a metric of pairs without pairs",
            "evaluate, whitened cosine",
            lambda: scored(FEATURES, RECORDING, metric=whitened()),
            Refused("metric", "no pairs"),
            "metric",
        ),
    ]
)


def whitened():
    from neuroling.evaluation.rdm_metrics import whitened_cosine

    return whitened_cosine


# --- nulls and ceilings -----------------------------------------------------------------------------------------------

TIMED = RECORDING.assign_coords(time_index=("sample", np.arange(N)))
LONG = xr.DataArray(
    RNG.standard_normal((60, Q)),
    dims=("sample", "voxel"),
    coords={"sample": range(60), "time_index": ("sample", np.arange(60))},
)
LONG_FEATURES = xr.DataArray(RNG.standard_normal((60, P)), dims=("sample", "feature"), coords={"sample": range(60)})
NULLS = {
    "Permutation": (Permutation, RECORDING),
    "HeldOutPermutation": (HeldOutPermutation, RECORDING),
    "CircularShift": (CircularShift, LONG),
    "BlockPermutation": (partial(BlockPermutation, block=3), TIMED),
    "SignFlip": (SignFlip, PEOPLE),
}


def drawn(make, y, n_draws):
    return scored(LONG_FEATURES if y is LONG else FEATURES, y, inference=make(n_draws=n_draws))


DRAWS = [
    Case(
        116,
        f"{n} draws",
        name,
        partial(
            lambda make, y, n: scored(LONG_FEATURES if y is LONG else FEATURES, y, inference=make(n_draws=n)),
            make,
            y,
            n,
        ),
        Refused("n_draws", str(n)),
        "n_draws",
    )
    for name, (make, y) in NULLS.items()
    for n in (0, 5)
]
CEILINGS = [
    Case(
        119,
        "a ceiling no better than chance",
        "Result.normalized",
        lambda: normalized([0.6, -0.1]),
        Warned("ceiling-undefined", check=lambda r, c: np.isnan(r).tolist() == [False, True]),
    ),
    Case(
        119,
        "a ceiling that is undefined",
        "Result.normalized",
        lambda: normalized([0.6, np.nan]),
        Warned("ceiling-undefined", check=lambda r, c: np.isnan(r).tolist() == [False, True]),
    ),
    Case(
        119,
        "a ceiling that is undefined",
        "Result.mean_ceiling",
        lambda: with_ceiling([0.6, np.nan]).mean_ceiling("ceiling"),
        Warned("ceiling-undefined", check=lambda r, c: float(r) == 0.6),
    ),
    Case(
        119,
        "a ceiling that is undefined",
        "Result.summary",
        lambda: with_ceiling([0.6, np.nan]).summary(),
        Gives(lambda r, c: "undefined at 1 of 2" in r),
    ),
    Case(
        119,
        "a ceiling of noise",
        "SplitHalfCeiling",
        lambda: ceiling(noisy(REPEATED), SplitHalfCeiling()),
        Warned("ceiling-undefined", check=lambda r, c: np.isnan(r.sel(bound="ceiling")).any()),
    ),
    Case(
        119,
        "a ceiling of noise",
        "ExplainableVarianceCeiling",
        lambda: ceiling(noisy(REPEATED), ExplainableVarianceCeiling()),
        Warned("ceiling-undefined", check=lambda r, c: np.isnan(r.sel(bound="ceiling")).any()),
    ),
    Case(
        40,
        "one repeat",
        "SplitHalfCeiling",
        lambda: ceiling(REPEATED.isel(repeat=[0]), SplitHalfCeiling()),
        Refused("ceiling", "at least two"),
    ),
    Case(
        40,
        "one repeat",
        "ExplainableVarianceCeiling",
        lambda: ceiling(REPEATED.isel(repeat=[0]), ExplainableVarianceCeiling()),
        Refused("ceiling", "at least two"),
    ),
    Case(
        40,
        "one participant",
        "LeaveOneOutCeiling",
        lambda: ceiling(PEOPLE.isel(subject=[0]), LeaveOneOutCeiling()),
        Refused("ceiling", "at least two"),
    ),
    Case(
        54,
        "no axis to halve",
        "SplitHalfCeiling",
        lambda: ceiling(RECORDING, SplitHalfCeiling()),
        Refused("ceiling", "needs that axis"),
    ),
]


def with_ceiling(bound):
    score = xr.DataArray([[0.3, 0.3]], dims=("split", "voxel"))
    return Result.of(
        score, metric="m", ceiling=xr.DataArray([bound], dims=("bound", "voxel"), coords={"bound": ["ceiling"]})
    )


def normalized(bound):
    return with_ceiling(bound).normalized().to_numpy()


def noisy(recording):
    return recording.copy(data=np.random.default_rng(3).standard_normal(recording.shape))


def ceiling(recording, kind):
    return evaluate(MODEL, align(FEATURES, recording), splits=KFold(3), metric=pearson, ceiling=kind).ceiling


# --- before the fit ---------------------------------------------------------------------------------------------------

VOLUMES = xr.DataArray(
    RNG.standard_normal((N, P)), dims=("sample", "feature"), coords={"group": ("sample", np.repeat(["a", "b"], 9))}
)
SERIES = xr.DataArray(RNG.standard_normal((40, Q)), dims=("sample", "voxel"))
ONSETS = FEATURES.assign_coords(onset=("sample", np.arange(N) * 0.5))
PRESENTED = RNG.standard_normal((3, N, 5))
STIMULI = Stimuli.from_texts(WORDS)
BEFORE = [
    Entry(
        "delay", lambda: {"features": VOLUMES.copy(deep=True)}, lambda features: delay(features, [0, 1], runs="group")
    ),
    Entry(
        "convolve",
        lambda: {"features": ONSETS.copy(deep=True)},
        lambda features: convolve(features, np.arange(20) * 2.0),
    ),
    Entry("remove_trend", lambda: {"array": SERIES.copy(deep=True)}, lambda array: remove_trend(array, np.zeros(40))),
    Entry(
        "remove_drift",
        lambda: {"array": SERIES.copy(deep=True)},
        lambda array: remove_drift(array, tr_s=2.0, cutoff_s=60.0),
    ),
    Entry("StableVoxels", lambda: {"train": PRESENTED.copy()}, lambda train: StableVoxels(2)(train), "bare"),
    Entry("Stimuli.features", lambda: {"values": X.copy()}, STIMULI.features, "bare"),
    Entry(
        "FixedRDM.fit",
        lambda: {"X": X[:, :1].copy()},
        lambda X: FixedRDM().fit(X, None).predict(X),
        "bare",
    ),
    Entry(
        "EqualMass.fit",
        lambda: {"X": X.copy(), "y": np.abs(X) + 1},
        lambda X, y: EqualMass(MODEL).fit(X, y).predict(FINE),
        "bare",
    ),
    Entry(
        "AlphaResponse.fit",
        lambda: {"X": X.copy(), "y": WAVES.copy()},
        lambda X, y: AlphaResponse(TICKS).fit(X, y).predict(FINE),
        "bare",
    ),
    Entry(
        "SimulatedERP.fit",
        lambda: {"X": BLOCKS.copy(), "y": WAVES.copy()},
        lambda X, y: SimulatedERP(TICKS).fit(X, y).predict(BLOCKS),
        "bare",
    ),
]
FINE = X.copy()
TICKS = np.arange(6) * 0.1
WAVES = (2 - X[:, :1]) * alpha_wave(TICKS, 0.1, 0.15) + 0.1 * RNG.standard_normal((N, 6))
BLOCKS = np.concatenate([WAVES, 2 * WAVES[:, ::-1]], axis=1)
FIRST = ["features", "array", "train", "values", "X", "y"]


def changed(values, new, at=(1, 1)):
    values = values.copy(deep=True) if isinstance(values, xr.DataArray) else np.array(values)
    values[tuple(min(place, size - 1) for place, size in zip(at, values.shape, strict=False))] = new
    return values


def of_bare(*parts: str):
    """Due at entry points that take bare arrays."""
    return lambda entry, argument: Refused(argument, *parts) if entry.kind == "bare" else None


def of_all(*parts: str):
    return lambda entry, argument: Refused(argument, *parts)


def of_numbers(*parts: str):
    """Due where values are computed with; labelling a matrix hands them on to the gate of labels."""
    labelled = Gives(lambda result, clean: not np.isfinite(result).all())
    return lambda entry, argument: labelled if entry.name == "Stimuli.features" else Refused(argument, *parts)


def of_samples(entry: Entry, argument: str) -> Due | None:
    return None if entry.name == "FixedRDM.fit" else Refused(argument)  # a fixed model needs no training set


def like(rtol=1e-6):
    return lambda entry, argument: Gives(partial(same, rtol=rtol)) if entry.kind == "bare" else None


def masked(values):
    mask = np.zeros(np.shape(values), bool)
    mask[0, 0] = True
    return np.ma.masked_array(values, mask=mask)


PREPARED = [
    Row(26, "NaN", FIRST, lambda v: changed(v, np.nan), of_numbers("NaN")),
    Row(27, "infinity", FIRST, lambda v: changed(v, np.inf), of_numbers("infinit")),
    Row(46, "complex", FIRST, lambda v: v + 0j, of_all("complex")),
    Row(47, "text", FIRST, lambda v: v.astype(str), of_all("real")),
    Row(48, "a word among objects", FIRST, lambda v: changed(v.astype(object), "two"), of_bare("str")),
    Row(53, "masked values", FIRST, masked, of_bare("masked")),
    Row(
        55, "sparse", ["values", "X", "y"], lambda v: __import__("scipy.sparse").sparse.csr_array(v), of_bare("sparse")
    ),
    Row(
        57,
        "a tensor with gradient",
        ["train", "values", "X", "y"],
        lambda v: torch.tensor(v, requires_grad=True),
        like(),
    ),
    Row(56, "nested lists", ["train", "values", "X", "y"], lambda v: v.tolist(), like()),
    Row(59, "a generator", ["train", "values", "X", "y"], lambda v: (row for row in v), of_bare("generator")),
    Row(59, "None", FIRST, lambda v: None, of_all("None")),
    Row(
        60,
        "ragged",
        ["train", "values", "X", "y"],
        lambda v: [*v.tolist()[:-1], v.tolist()[-1][:-1] or [1.0, 2.0]],
        of_bare("lengths"),
    ),
    Row(38, "no samples", ["features", "array", "values", "X"], lambda v: v[:0], of_samples),
]
NO_WORDS = [
    Case(
        38,
        "no words",
        "convolve",
        lambda: convolve(ONSETS.isel(sample=[]), np.arange(20) * 2.0),
        Refused("features", "at least one word"),
        "features",
    ),
    Case(
        42,
        "no features",
        "convolve",
        lambda: convolve(ONSETS.isel(feature=[]), np.arange(20) * 2.0),
        Refused("features", "one feature"),
        "features",
    ),
]


# --- waves, and people and items --------------------------------------------------------------------------------------


def wave(**options):
    return AlphaResponse(**({"times": TICKS} | options)).fit(X, WAVES)


CONSTANTS = (
    [
        Case(
            115,
            f"a time constant of {value!r}",
            "AlphaResponse.fit",
            partial(lambda value: wave(time_constant=value), value),
            Refused("time_constant"),
            "time_constant",
        )
        for value in (0.0, -0.1, np.nan, np.inf, "slow")
    ]
    + [
        Case(
            115,
            f"an onset of {value!r}",
            "AlphaResponse.fit",
            partial(lambda value: wave(onset=value), value),
            Refused("onset"),
            "onset",
        )
        for value in (0.5, 9.0, np.nan, "early")
    ]
    + [
        Case(
            115,
            f"a time constant of {value!r}",
            "alpha_wave",
            partial(lambda value: alpha_wave(TICKS, 0.1, value), value),
            Refused("time_constant"),
            "time_constant",
        )
        for value in (0.0, -0.1, np.nan)
    ]
    + [
        Case(
            115,
            "times that do not grow",
            "AlphaResponse.fit",
            lambda: wave(times=TICKS[::-1]),
            Refused("times", "growing"),
            "times",
        ),
        Case(
            115,
            "times with NaN",
            "AlphaResponse.fit",
            lambda: wave(times=[np.nan, *TICKS[1:]]),
            Refused("times"),
            "times",
        ),
        Case(
            115,
            "times in text",
            "AlphaResponse.fit",
            lambda: wave(times=[str(t) for t in TICKS]),
            Refused("times"),
            "times",
        ),
    ]
)
TRIALS = pd.DataFrame(
    {
        "y": RNG.standard_normal(24),
        "x": np.tile([0.0, 1.0], 12),
        "person": np.repeat(list("abcd"), 6),
        "item": np.tile(list("uvwxyz"), 4),
    }
)


def mixed(table, **random):
    return mixed_model(table, "y", ["x"], random or {"person": ["1"], "item": ["1"]})


RANDOM = [
    Case(
        118,
        "one participant",
        "mixed_model",
        lambda: mixed(TRIALS.assign(person="a")),
        Refused("person", "several levels"),
    ),
    Case(118, "one item", "mixed_model", lambda: mixed(TRIALS.assign(item="u")), Refused("item", "several levels")),
    Case(
        26,
        "NaN in the outcome",
        "mixed_model",
        lambda: mixed(TRIALS.assign(y=[np.nan, *TRIALS.y[1:]])),
        Refused("y"),
    ),
    Case(47, "an outcome of text", "mixed_model", lambda: mixed(TRIALS.assign(y="slow")), Refused("y")),
    Case(
        35,
        "a column name twice",
        "mixed_model",
        lambda: mixed(pd.concat([TRIALS, TRIALS[["x"]]], axis=1)),
        Refused("table", "more than once"),
    ),
    Case(59, "a dict for a table", "mixed_model", lambda: mixed({"y": [1.0]}), Refused("table", "got dict")),
]

# --- shares of variance -----------------------------------------------------------------------------------------------


def shares(**options):
    given = {"model": MODEL, "data": align(FEATURES, RECORDING), "bands": {"a": [0], "b": [1, 2]}, "splits": KFold(3)}
    return product_measure(**(given | options))


SHARES = [
    Case(
        60,
        "a column beyond the last",
        "product_measure",
        lambda: shares(bands={"a": [0], "b": [1, 2, 3]}),
        Refused("bands", "[3]"),
        "bands",
    ),
    Case(
        60,
        "a slice beyond the last",
        "product_measure",
        lambda: shares(bands={"a": [0], "b": slice(1, 9)}),
        Refused("bands", "slice(1, 9"),
        "bands",
    ),
    Case(
        60,
        "columns in none",
        "product_measure",
        lambda: shares(bands={"a": [0]}),
        Refused("bands", "in no space"),
        "bands",
    ),
]

CASES = [
    *cross(LABELLED, GATE),
    *cross(SCORES, METRICS),
    *TOO_FEW,
    *DRAWS,
    *CEILINGS,
    *cross(PREPARED, BEFORE),
    *NO_WORDS,
    *CONSTANTS,
    *RANDOM,
    *SHARES,
]
