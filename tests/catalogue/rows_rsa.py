"""Rows 26 to 60 and 111 to 114 at RSA: recordings, dissimilarities, models of them, and tables of items."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import xarray as xr
from frame import Due, Entry, Gives, Refused, Row, Warned, cross

from neuroling import LeaveOneOutCeiling, evaluate, spearman
from neuroling.evaluation.rdm_metrics import RDM_METRICS, whitened_cosine
from neuroling.rsa.decode import decoding_rdms
from neuroling.rsa.dissimilarity import rdms
from neuroling.rsa.models import confound_rdms, model_rdms
from neuroling.rsa.noise import noise_covariance
from neuroling.rsa.pairs import FixedRDM, pairwise
from neuroling.rsa.scaling import rdms_of_others

RNG = np.random.default_rng(0)
N, REPEATS, CHANNELS, TIMES, PEOPLE = 8, 3, 4, 2, 3
ITEMS = [f"word {number}" for number in range(N)]
RECORDING = xr.DataArray(
    RNG.standard_normal((N, REPEATS, CHANNELS, TIMES, PEOPLE)),
    dims=("sample", "repeat", "channel", "time", "subject"),
    coords={
        "sample": ITEMS,
        "channel": [f"E{number}" for number in range(CHANNELS)],
        "time": [0.1, 0.2],
        "subject": [f"s{number}" for number in range(PEOPLE)],
    },
)
FEATURES = xr.DataArray(RNG.standard_normal((N, 5)), dims=("sample", "feature"), coords={"sample": ITEMS})
MODELS = model_rdms(FEATURES, "euclidean").assign_coords(model=["words"])
RDMS = rdms(RECORDING, "crossnobis")
TABLE = pd.DataFrame({"length": [3, 5, 4, 6, 7, 2, 8, 9], "kind": list("aabbabab")}, index=ITEMS)


def agreement(recording, models, metric=spearman, ceiling=LeaveOneOutCeiling(), **options):  # noqa: B008 - frozen
    return evaluate(FixedRDM(), pairwise(models, recording, **options), metric=metric, ceiling=ceiling).score


def generalization(dissimilarities):
    """Compare each participant at each time with the others at every time."""
    others = rdms_of_others(dissimilarities)
    people = [str(name) for name in others.subject.to_numpy()]
    each = [agreement(dissimilarities.sel(subject=name), others.sel(subject=name), ceiling=None) for name in people]
    return xr.concat(each, "subject")


# --- entry points -----------------------------------------------------------------------------------------------------

WITH_RECORDING = [
    Entry("rdms", lambda: {"recording": RECORDING.copy(deep=True)}, partial(rdms, distance="crossnobis")),
    Entry("rdms, euclidean", lambda: {"recording": RECORDING.copy(deep=True)}, partial(rdms, distance="euclidean")),
    Entry(
        "evaluate, pairwise",
        lambda: {"recording": RECORDING.copy(deep=True), "models": MODELS.copy(deep=True)},
        lambda recording, models: agreement(recording, models, distance="crossnobis"),
    ),
    Entry(
        "evaluate, pairwise, whitened",
        lambda: {"recording": RECORDING.copy(deep=True), "models": MODELS.copy(deep=True)},
        lambda recording, models: agreement(recording, models, whitened_cosine, distance="crossnobis"),
    ),
    Entry(
        "evaluate, patches",
        lambda: {"recording": RECORDING.copy(deep=True), "models": MODELS.copy(deep=True)},
        lambda recording, models: agreement(
            recording, models, ceiling=None, patches={"front": ["E0", "E1"]}, distance="crossnobis"
        ),
    ),
]
NOISE = [
    Entry("noise_covariance", lambda: {"recording": RECORDING.copy(deep=True)}, noise_covariance),
    Entry(
        "decoding_rdms", lambda: {"recording": RECORDING.copy(deep=True)}, partial(decoding_rdms, n_pseudo=3, n_draws=1)
    ),
]
WITH_RDMS = [
    Entry(
        f"evaluate, pairs, {metric.name}",
        lambda: {"dissimilarities": RDMS.copy(deep=True), "models": MODELS.copy(deep=True)},
        partial(
            lambda dissimilarities, models, by: agreement(dissimilarities, models, by),
            by=metric,
        ),
    )
    for metric in RDM_METRICS
]
ALONE = [
    Entry(
        "evaluate, rdms of others",
        lambda: {"dissimilarities": RDMS.copy(deep=True)},
        generalization,
    )
]
OF_FEATURES = [
    Entry("model_rdms", lambda: {"features": FEATURES.copy(deep=True)}, model_rdms),
    Entry(
        "model_rdms, euclidean",
        lambda: {"features": FEATURES.copy(deep=True)},
        partial(model_rdms, distance="euclidean"),
    ),
]
OF_TABLES = [
    Entry(
        "confound_rdms",
        lambda: {"table": TABLE.copy(), "columns": ["length", "kind"]},
        lambda table, columns: confound_rdms(table, columns),
    )
]


# --- what is due ------------------------------------------------------------------------------------------------------


def values(result):
    return np.asarray(result)


def same(result, clean, rtol=1e-5) -> bool:
    return np.allclose(values(result), values(clean), rtol=rtol, atol=rtol, equal_nan=True)


def same_by_label(result, clean) -> bool:
    """The same numbers for the same pairs, whatever order they stand in."""
    if "sample" in result.dims:
        result = result.sel(sample=clean.sample)
    return same(result.transpose(*clean.dims), clean, 1e-5)


def refused(*parts: str):
    """Refused by name; dissimilarities that are there already are the recording of pairwise."""
    return lambda entry, argument: Refused(
        "recording" if argument == "dissimilarities" and entry in WITH_RDMS else argument, *parts
    )


def spoiled(values, at, new):
    values = values.copy(deep=True)
    values[at] = new
    return values


def turned(array):
    return array.isel(sample=slice(None, None, -1))


def retyped(kind):
    def spoil(array):
        whole = np.round(array * 20) if np.dtype(kind).kind in "iu" else array
        return whole.astype(kind)

    return spoil


def gap(entry: Entry, argument: str) -> Due:
    """NaN takes the pairs of its item away; where nothing is compared they are NaN themselves."""
    if entry.name.startswith("rdms"):
        return Gives(lambda result, clean: int(np.isnan(result).sum()) == N - 1)
    codes = {"missing-pairs"}
    return Warned(*codes, check=lambda result, clean: np.isfinite(result).all())


def all_missing(entry: Entry, argument: str) -> Due:
    return Refused("recording", "every value is NaN")


def of_unit(unit: float):
    def due(entry: Entry, argument: str) -> Due:
        if not entry.name.startswith("rdms"):
            return Gives(partial(same, rtol=1e-5))
        power = 2 if entry.name == "rdms" else 1
        return Gives(lambda result, clean: same(result / unit**power, clean, 1e-9))

    return due


def extreme(entry: Entry, argument: str) -> Due:
    if entry.name.startswith("rdms"):
        return Refused("recording", "whose squares float64 does not hold")
    return Gives(partial(same, rtol=1e-5))


def flat(entry: Entry, argument: str) -> Due:
    """Patterns that are all alike: distances of zero, and no agreement."""
    if entry.name.startswith("rdms"):
        return Gives(lambda result, clean: (values(result) == 0).all())
    codes = ["undefined-scores"] + ([] if entry.name == "evaluate, patches" else ["ceiling-undefined"])
    return Warned(*codes, check=lambda result, clean: np.isnan(result).all())


def wrong_number(n: int):
    def due(entry: Entry, argument: str) -> Due:
        if entry.name.startswith("rdms"):
            return Gives(lambda result, clean: result.sizes["sample"] == n * (n - 1) // 2)
        return Refused("data", f"{n} items have {n * (n - 1) // 2} pairs")

    return due


def few_items(entry: Entry, argument: str) -> Due:
    if entry.name.startswith("rdms"):
        return Gives(lambda result, clean: result.sizes["sample"] == 10)
    return Warned("few-items", check=lambda result, clean: np.isfinite(result).all())


def first(n: int):
    def spoil(arguments):
        items = set(ITEMS[:n])
        return {
            name: value.isel(
                sample=[
                    a in items and b in items
                    for a, b in zip(value["first"].values, value["second"].values, strict=True)
                ]
            )
            if "first" in value.coords
            else value.isel(sample=slice(n))
            for name, value in arguments.items()
        }

    return spoil


UNITS = (1e-30, 1e-13, 1e13, 1e30)
RECORDINGS = [
    Row(26, "NaN at one time", ["recording"], lambda a: spoiled(a, (2, slice(None), 1, 0, 0), np.nan), gap),
    Row(26, "all NaN", ["recording"], lambda a: a * np.nan, all_missing),
    Row(
        27,
        "infinity",
        ["recording"],
        lambda a: spoiled(a, (2, 0, 1, 0, 0), np.inf),
        refused("1 of 576 values are infinite"),
    ),
    Row(27, "minus infinity", ["recording"], lambda a: spoiled(a, (2, 0, 1, 0, 0), -np.inf), refused("infinite")),
    Row(32, "all patterns alike", ["recording"], lambda a: a * 0 + 1, flat),
    Row(38, "no items", ["recording"], lambda a: a.isel(sample=[]), refused("empty")),
    Row(39, "one item", ["recording"], lambda a: a.isel(sample=[0]), Refused("items", "got 1")),
    Row(
        42,
        "no channels",
        ["recording"],
        lambda a: a.isel(channel=[]),
        lambda e, a: refused("empty")(e, a) if e.name != "evaluate, patches" else Refused("recording", "empty"),
    ),
    Row(43, "no times", ["recording"], lambda a: a.isel(time=[]), refused("empty")),
    Row(43, "nobody", ["recording"], lambda a: a.isel(subject=[]), refused("empty")),
    Row(46, "complex", ["recording"], lambda a: a + 0j, refused("complex")),
    Row(47, "text", ["recording"], lambda a: a.astype(str), refused("expected real numbers")),
    Row(48, "objects", ["recording"], lambda a: a.astype(object), refused("expected real numbers")),
    Row(49, "int8", ["recording"], retyped(np.int8), lambda e, a: Gives(lambda r, c: np.isfinite(r).all())),
    Row(49, "int16", ["recording"], retyped(np.int16), lambda e, a: Gives(lambda r, c: np.isfinite(r).all())),
    *(Row(51 if u > 1 else 52, f"in units of {u:g}", ["recording"], lambda a, u=u: a * u, of_unit(u)) for u in UNITS),
    Row(51, "in units of 1e200", ["recording"], lambda a: a * 1e200, extreme),
    Row(52, "in units of 1e-200", ["recording"], lambda a: a * 1e-200, extreme),
    Row(56, "float32", ["recording"], lambda a: a.astype(np.float32), Gives(partial(same, rtol=1e-3))),
    Row(
        56,
        "another order of axes",
        ["recording"],
        lambda a: a.transpose("time", "subject", "channel", "sample", "repeat"),
        Gives(same),
    ),
    Row(56, "big endian", ["recording"], lambda a: a.astype(">f8"), Gives(same)),
    Row(59, "a bare array", ["recording"], lambda a: a.to_numpy(), lambda e, a: Refused("recording", "got ndarray")),
    Row(59, "None", ["recording"], lambda a: None, lambda e, a: Refused("recording", "got NoneType")),
    Row(54, "no labels", ["recording"], lambda a: a.drop_vars("sample"), refused("no labels")),
    Row(
        54,
        "an item twice",
        ["recording"],
        lambda a: a.assign_coords(sample=[ITEMS[0], *ITEMS[:-1]]),
        Refused("items", "occur more than once"),
    ),
    Row(
        54,
        "an unknown axis",
        ["recording"],
        lambda a: a.rename(channel="sensor"),
        lambda e, a: (
            refused("unknown axis 'sensor'")(e, a)
            if e.name != "evaluate, patches"
            else Refused("recording", "unknown axis")
        ),
    ),
    Row(113, "three items", ["*"], first(3), wrong_number(3)),
    Row(113, "five items", ["*"], first(5), few_items),
    Row(114, "items in another order", ["recording"], turned, Gives(same_by_label)),
]
OF_MODELS = [
    Row(114, "pairs in another order", ["models"], turned, Gives(same)),
    Row(
        114,
        "pairs of other items",
        ["models"],
        lambda m: m.assign_coords(sample=[f"x{k}" for k in range(m.sizes["sample"])]),
        refused("labels of pairs differ"),
    ),
    Row(
        114,
        "a pair too few",
        ["models"],
        lambda m: m.isel(sample=slice(1, None)),
        refused("1 of 28 pairs of the data are missing"),
    ),
    Row(54, "no labels", ["models"], lambda m: m.drop_vars("sample"), refused("no labels of pairs")),
    Row(111, "all pairs equal", ["models"], lambda m: m * 0 + 0.3, refused("all pairs of 'words' are equal")),
    Row(26, "NaN", ["models"], lambda m: spoiled(m, (2, 0), np.nan), refused("NaN or infinite")),
    Row(27, "infinity", ["models"], lambda m: spoiled(m, (2, 0), np.inf), refused("NaN or infinite")),
    Row(46, "complex", ["models"], lambda m: m + 0j, refused("complex")),
    Row(47, "text", ["models"], lambda m: m.astype(str), refused("real numbers")),
    Row(48, "objects", ["models"], lambda m: m.astype(object), refused("real numbers")),
    Row(51, "in units of 1e200", ["models"], lambda m: m * 1e200, Gives(partial(same, rtol=1e-5))),
    Row(52, "in units of 1e-200", ["models"], lambda m: m * 1e-200, Gives(partial(same, rtol=1e-5))),
    Row(59, "a bare array", ["models"], lambda m: m.to_numpy(), refused("got ndarray")),
    Row(59, "None", ["models"], lambda m: None, refused("got NoneType")),
    Row(54, "no name", ["models"], lambda m: m.drop_vars("model"), refused("unique name")),
    Row(38, "no models", ["models"], lambda m: m.isel(model=[]), refused("none given")),
]


def missing(entry: Entry, argument: str) -> Due:
    if entry in ALONE:
        return Refused("dissimilarities", "NaN")
    return Warned("missing-pairs", check=lambda result, clean: np.isfinite(result).all())


def equal(entry: Entry, argument: str) -> Due:
    name = entry.name.removeprefix("evaluate, pairs, ")
    if "cosine" in name:
        return Gives(lambda result, clean: np.isfinite(result).all())
    if entry in ALONE:
        return Refused("models", "all pairs of '0.1' are equal")
    return Warned("undefined-scores", "ceiling-undefined", check=lambda result, clean: np.isnan(result).all())


def by_label(entry: Entry, argument: str) -> Due:
    return Gives(same)


def one_missing(entry: Entry, argument: str) -> Due | None:
    return Refused("models", "1 are of other items") if "models" in entry.roles else None


def three(entry: Entry, argument: str) -> Due:
    return Refused("data" if entry in WITH_RDMS else "dissimilarities", "3 items have 3 pairs")


def fewer_digits(entry: Entry, argument: str) -> Due:
    return Gives(partial(same, rtol=2e-3))


DISSIMILARITIES = [
    Row(26, "a missing pair", ["dissimilarities"], lambda d: spoiled(d, (2, 0, 0), np.nan), missing),
    Row(
        27,
        "infinity",
        ["dissimilarities"],
        lambda d: spoiled(d, (2, 0, 0), np.inf),
        refused("1 of 168 values are infinite"),
    ),
    Row(46, "complex", ["dissimilarities"], lambda d: d + 0j, refused("complex")),
    Row(47, "text", ["dissimilarities"], lambda d: d.astype(str), refused("real numbers")),
    Row(48, "objects", ["dissimilarities"], lambda d: d.astype(object), refused("real numbers")),
    Row(51, "in units of 1e100", ["dissimilarities"], lambda d: d * 1e100, Gives(partial(same, rtol=1e-5))),
    Row(52, "in units of 1e-100", ["dissimilarities"], lambda d: d * 1e-100, Gives(partial(same, rtol=1e-5))),
    Row(56, "float32", ["dissimilarities"], lambda d: d.astype(np.float32), fewer_digits),
    Row(59, "a bare array", ["dissimilarities"], lambda d: d.to_numpy(), refused("got ndarray")),
    Row(59, "None", ["dissimilarities"], lambda d: None, refused("got NoneType")),
    Row(54, "no labels", ["dissimilarities"], lambda d: d.drop_vars("sample"), refused("labelled pairs")),
    Row(111, "all equal", ["dissimilarities"], lambda d: d * 0 + 0.3, equal),
    Row(
        112,
        "a pair twice",
        ["dissimilarities"],
        lambda d: d.isel(sample=[0, *range(27)]),
        refused("occur more than once"),
    ),
    Row(
        112,
        "an item with itself",
        ["dissimilarities"],
        lambda d: d.assign_coords(second=("sample", [*d["first"].to_numpy()[:1], *d["second"].to_numpy()[1:]])),
        refused("of an item with itself"),
    ),
    Row(113, "three items", ["*"], first(3), three),
    Row(114, "pairs in another order", ["dissimilarities"], turned, by_label),
    Row(114, "a pair too few", ["dissimilarities"], lambda d: d.isel(sample=slice(1, None)), one_missing),
]


def zero_features(entry: Entry, argument: str) -> Due:
    """No angle; distances of zero, which nothing can be compared with (``all pairs of … are equal``)."""
    if "euclidean" in entry.name:
        return Gives(lambda result, clean: (values(result) == 0).all())
    return Refused("features", "28 of 28 pairs have no cosine distance")


OF_ARRAYS = [
    Row(26, "NaN", ["features"], lambda a: spoiled(a, (2, 1), np.nan), refused("NaN")),
    Row(27, "infinity", ["features"], lambda a: spoiled(a, (2, 1), np.inf), refused("infinite")),
    Row(34, "all zero", ["features"], lambda a: a * 0, zero_features),
    Row(38, "no items", ["features"], lambda a: a.isel(sample=[]), refused("empty")),
    Row(42, "no features", ["features"], lambda a: a.isel(feature=[]), refused("empty")),
    Row(46, "complex", ["features"], lambda a: a + 0j, refused("complex")),
    Row(47, "text", ["features"], lambda a: a.astype(str), refused("real numbers")),
    Row(48, "objects", ["features"], lambda a: a.astype(object), refused("real numbers")),
    Row(49, "int8", ["features"], lambda a: np.round(a * 20).astype(np.int8), Gives(lambda r, c: np.isfinite(r).all())),
    Row(
        50,
        "float16",
        ["features"],
        lambda a: a.astype(np.float16),
        Warned("half-precision", check=partial(same, rtol=1e-2)),
    ),
    Row(54, "no labels", ["features"], lambda a: a.drop_vars("sample"), refused("no labels")),
    Row(
        54,
        "an item twice",
        ["features"],
        lambda a: a.assign_coords(sample=[ITEMS[0], *ITEMS[:-1]]),
        Refused("items", "more than once"),
    ),
    Row(59, "a bare array", ["features"], lambda a: a.to_numpy(), refused("got ndarray")),
    Row(59, "None", ["features"], lambda a: None, refused("got NoneType")),
]
TABLES = [
    Row(35, "a column name twice", ["table"], lambda t: pd.concat([t, t], axis=1), refused("occur more than once")),
    Row(35, "a column asked for twice", ["columns"], lambda c: ["length", "length"], refused("named more than once")),
    Row(
        26,
        "a missing number",
        ["table"],
        lambda t: t.assign(length=[np.nan, *range(7)]),
        Refused("columns", "'length' is missing"),
    ),
    Row(
        27,
        "an infinite number",
        ["table"],
        lambda t: t.assign(length=[np.inf, *range(7)]),
        Refused("columns", "infinite"),
    ),
    Row(
        48,
        "a missing class",
        ["table"],
        lambda t: t.assign(kind=[None, *"abababa"]),
        Refused("columns", "'kind' is missing"),
    ),
    Row(
        33,
        "a column without variance",
        ["table"],
        lambda t: t.assign(length=3),
        Refused("columns", "all pairs differ by 0"),
    ),
    Row(46, "complex", ["table"], lambda t: t.assign(length=np.arange(8) + 1j), Refused("columns", "complex")),
    Row(38, "no items", ["table"], lambda t: t.iloc[:0], refused("0 rows")),
    Row(39, "one item", ["table"], lambda t: t.iloc[:1], refused("1 row")),
    Row(
        54,
        "an item twice",
        ["table"],
        lambda t: t.set_axis([ITEMS[0], *ITEMS[:-1]]),
        Refused("items", "more than once"),
    ),
    Row(54, "a column that is not there", ["columns"], lambda c: ["weight"], refused("'weight' is not in the table")),
    Row(59, "a word for columns", ["columns"], lambda c: "length", refused("expected a list")),
    Row(59, "a dict for a table", ["table"], dict, refused("got dict")),
    Row(59, "None for a table", ["table"], lambda t: None, refused("got NoneType")),
    Row(38, "no columns", ["columns"], lambda c: [], refused("none given")),
]
NOISE_ROWS = [
    Row(26, "NaN", ["recording"], lambda a: spoiled(a, (2, 0, 1, 0, 0), np.nan), refused("NaN")),
    Row(27, "infinity", ["recording"], lambda a: spoiled(a, (2, 0, 1, 0, 0), np.inf), refused("inf")),
    Row(
        40,
        "one repeat",
        ["recording"],
        lambda a: a.isel(repeat=[0]),
        lambda e, a: Refused("n_pseudo" if e.name == "decoding_rdms" else "recording"),
    ),
    Row(42, "no channels", ["recording"], lambda a: a.isel(channel=[]), refused("empty")),
    Row(46, "complex", ["recording"], lambda a: a + 0j, refused("real")),
    Row(47, "text", ["recording"], lambda a: a.astype(str), refused("real")),
    Row(59, "a bare array", ["recording"], lambda a: a.to_numpy(), refused("got ndarray")),
    Row(59, "None", ["recording"], lambda a: None, refused("got NoneType")),
    Row(
        49, "int8", ["recording"], lambda a: np.round(a * 20).astype(np.int8), Gives(lambda r, c: np.isfinite(r).all())
    ),
]

CASES = [
    *cross(RECORDINGS, WITH_RECORDING),
    *cross(OF_MODELS, [*WITH_RECORDING, *WITH_RDMS]),
    *cross(DISSIMILARITIES, [*WITH_RDMS, *ALONE]),
    *cross(OF_ARRAYS, OF_FEATURES),
    *cross(TABLES, OF_TABLES),
    *cross(NOISE_ROWS, NOISE),
]
