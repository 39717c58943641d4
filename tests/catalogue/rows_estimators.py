"""Rows 26 to 60 at every estimator: arrays of features and targets, fitted, predicted, scored and held out."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from frame import Arguments, Case, Due, Entry, Gives, Refused, Row, Warned, cross
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold

from neuroling.encoding import (
    BandedRidgeCV,
    DirichletSearch,
    GradientSearch,
    KernelRidgeCV,
    LeaveOneOutRidgeCV,
    RandomFeatureRidgeCV,
    Ridge,
    RidgeCV,
)
from neuroling.encoding.standardize import Standardized
from neuroling.encoding.trf import TRF

N, P, Q = 18, 4, 2
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, P))
Y = X @ RNG.standard_normal((P, Q)) + RNG.standard_normal((N, Q))
RUNS = np.repeat(["a", "b", "c"], 6)
ALPHAS = (0.1, 10.0, 1000.0)
BANDS = {"words": slice(0, 2), "sound": slice(2, 4)}
ROWS = [f"word {number}" for number in range(N)]
NAMES = [f"f{number}" for number in range(P)]

MODELS = {
    "Ridge": Ridge(10.0, device="cpu"),
    "RidgeCV": RidgeCV(ALPHAS, device="cpu"),
    "RidgeCV, shared alpha": RidgeCV(ALPHAS, alpha_per_target=False, device="cpu"),
    "KernelRidgeCV": KernelRidgeCV(ALPHAS, device="cpu"),
    "KernelRidgeCV, rbf": KernelRidgeCV(ALPHAS, kernel="rbf", device="cpu"),
    "LeaveOneOutRidgeCV": LeaveOneOutRidgeCV(ALPHAS, device="cpu"),
    "BandedRidgeCV": BandedRidgeCV(BANDS, ALPHAS, search=DirichletSearch(3), device="cpu"),
    "BandedRidgeCV, descent": BandedRidgeCV(BANDS, ALPHAS, search=GradientSearch(1, DirichletSearch(2)), device="cpu"),
    "RandomFeatureRidgeCV": RandomFeatureRidgeCV(ALPHAS, n_random=10, device="cpu"),
    "TRF": TRF((0, 1), alphas=ALPHAS, folds=GroupKFold(2), device="cpu"),
    "Standardized": Standardized(Ridge(10.0, device="cpu")),
}
WITH_RUNS = ("TRF",)
WITH_FOLDS = ("RidgeCV", "RidgeCV, shared alpha", "KernelRidgeCV", "BandedRidgeCV", "RandomFeatureRidgeCV")


FINE = X.copy()

# --- entry points -----------------------------------------------------------------------------------------------------


def fit(name: str, X, y, groups=None):
    """Fit, and predict rows that are fine."""
    model = clone(MODELS[name]).fit(X, y, **({} if groups is None else {"groups": groups}))
    fine = frame(FINE, names=list(X.columns)) if hasattr(X, "columns") else FINE
    model.shown_ = model.predict(fine, **({} if name not in WITH_RUNS else {"groups": RUNS}))
    return model


FITTED = {name: fit(name, X, Y, RUNS if name in WITH_RUNS else None) for name in MODELS}


def predict(name: str, X):
    n_rows = len(X) if isinstance(X, np.ndarray) else N
    return FITTED[name].predict(X, **({"groups": RUNS[:n_rows]} if name in WITH_RUNS else {}))


def bands_of_target(X):
    """Contributions of both bands (sample, band) to the first target."""
    return FITTED["BandedRidgeCV"].predict_bands(X)[:, :, 0].T


def score(name: str, X, y):
    return FITTED[name].score(X, y, **({"groups": RUNS} if name in WITH_RUNS else {}))


def fit_and_score(name: str, X, y, groups=None):
    runs = {} if groups is None else {"groups": groups}
    return np.asarray(clone(MODELS[name]).fit(X, y, **runs).score(X, y, **runs))


def held_out(name: str, X, y):
    splits = [(np.flatnonzero(run != RUNS), np.flatnonzero(run == RUNS)) for run in "abc"]
    return np.concatenate(list(MODELS[name].held_out(X, y, splits, **({"groups": RUNS} if name in WITH_RUNS else {}))))


def data(name: str) -> Arguments:
    return {"X": X.copy(), "y": Y.copy()} | ({"groups": RUNS.copy()} if name in WITH_RUNS else {})


VARIANTS = ("RidgeCV, shared alpha", "BandedRidgeCV, descent", "KernelRidgeCV, rbf")
"""Other searches of the same classes: for rows about units alone."""
CLASSES = [name for name in MODELS if name not in VARIANTS]

FIT_ANY = [Entry(f"{name}.fit", partial(data, name), partial(fit, name), "fit") for name in MODELS]
FIT = [entry for entry in FIT_ANY if not entry.name.startswith(VARIANTS)]
PREDICT = [
    Entry(f"{name}.predict", lambda: {"X": X.copy()}, partial(predict, name), "predict")
    for name in ("RidgeCV", "KernelRidgeCV", "BandedRidgeCV", "RandomFeatureRidgeCV", "TRF", "Standardized")
] + [Entry("BandedRidgeCV.predict_bands", lambda: {"X": X.copy()}, lambda X: bands_of_target(X), "predict")]
SCORE = [
    Entry(f"{name}.score", lambda: {"X": X.copy(), "y": Y.copy()}, partial(score, name), "score")
    for name in ("BandedRidgeCV", "TRF")
]
FIT_AND_SCORE = [
    Entry(f"{name}.fit and score", partial(data, name), partial(fit_and_score, name), "fit and score")
    for name in MODELS
]
HELD_OUT = [
    Entry(f"{name}.held_out", lambda: {"X": X.copy(), "y": Y.copy()}, partial(held_out, name), "held_out")
    for name in ("Ridge", "LeaveOneOutRidgeCV", "TRF")
]
ALL = [*FIT, *PREDICT, *SCORE, *HELD_OUT]


# --- what is due ------------------------------------------------------------------------------------------------------


def shown(result):
    return result.shown_ if hasattr(result, "shown_") else np.asarray(result)


def same(result, clean, rtol=1e-6) -> bool:
    return np.allclose(shown(result), shown(clean), rtol=rtol, atol=rtol * np.abs(shown(clean)).max())


nearly = partial(same, rtol=2e-2)


def finite(result, clean) -> bool:
    return bool(np.isfinite(shown(result)).all())


def scaled(unit: float, rtol: float = 1e-5):
    """Predictions in the unit of the targets, scores in none; and the same alphas."""

    def check(result, clean) -> bool:
        found, expected = shown(result).astype(np.float64), shown(clean).astype(np.float64)
        if hasattr(result, "alpha_"):
            near = 2e-2 if isinstance(getattr(result, "search", None), GradientSearch) else 0
            assert np.allclose(result.alpha_, clean.alpha_, rtol=near, atol=0)
        scale = 1.0 if found.shape != (N, Q) else unit
        return np.allclose(found / scale, expected, rtol=rtol, atol=rtol)

    return check


def refused(*parts: str):
    return lambda entry, argument: Refused(argument, *parts)


def of_both(*parts: str) -> Refused:
    return Refused("X, y", *parts)


def changed(values, at, new):
    values = np.array(values)
    values[at] = new
    return values


def frame(values, rows=ROWS, names=None):
    values = np.asarray(values)
    return pd.DataFrame(values, index=rows, columns=names or [f"c{number}" for number in range(values.shape[1])])


def memory_map(values):
    path = Path(tempfile.mkdtemp()) / "values.npy"
    np.save(path, values)
    return np.load(path, mmap_mode="r")


def strided(values):
    wide = np.zeros((2 * len(values), 2 * values.shape[1]))
    wide[::2, ::2] = values
    return wide[::2, ::2]


def read_only(values):
    values.setflags(write=False)
    return values


def records(values):
    return np.array([tuple(row) for row in values], dtype=[(f"c{k}", "f8") for k in range(values.shape[1])])


BOTH = ["X", "y"]


def as_it_was(entry: Entry, argument: str) -> Due:
    """The same result; where columns get names that they had not at fit, with a warning."""
    return Gives(same)


def named_now(entry: Entry, argument: str) -> Due:
    if argument == "X" and entry.kind in ("predict", "score"):
        return Warned("unnamed-features", check=same)
    return Gives(same)


NAMED = ("a data frame", "nullable numbers")


def of_targets(due: Due):
    """Due where the entry point reads targets: not at ``predict``."""
    return lambda entry, argument: None if entry.kind == "predict" else due


def constant_target(entry: Entry, argument: str) -> Due:
    if entry.name.startswith("TRF"):
        return Refused("y", "1 channels are constant (indices 1)")
    return Warned("constant-targets", check=finite)


def all_constant(entry: Entry, argument: str) -> Due:
    return Refused("y", "2 channels are constant" if entry.name.startswith("TRF") else "all 2 targets are constant")


def constant_feature(entry: Entry, argument: str) -> Due:
    if entry.kind in ("predict", "score"):  # rows that are predicted need not vary
        return Gives(finite)
    return Warned("constant-features", check=names_the_constant)


def names_the_constant(result, clean) -> bool:
    if hasattr(result, "constant_features_"):
        assert result.constant_features_.tolist() == [2]
    return finite(result, clean)


def no_variation(*parts: str):
    def due(entry: Entry, argument: str) -> Due:
        if entry.name == "TRF.score":
            return Warned("undefined-scores", check=lambda result, clean: np.isnan(result).all())
        return Gives(finite) if entry.kind in ("predict", "score") else Refused("X", *parts)

    return due


def turned(entry: Entry, argument: str) -> Due:
    if entry.kind == "predict":
        return Refused("X", "X.T would fit") if not entry.name.startswith("nothing") else None
    return of_both(f"{argument}.T would fit")


def too_few(n: int):
    def due(entry: Entry, argument: str) -> Due | None:
        if entry.kind == "predict":
            return Refused("X", "n_samples=0") if n == 0 else None
        if entry.kind == "score" and n == 2:
            return None
        return Refused("X", f"n_samples={n}")

    return due


def first(n: int):
    return lambda arguments: {name: value[:n] for name, value in arguments.items()}


def with_units(entry: Entry, unit: float, rtol: float = 1e-5) -> Due | None:
    return None if entry.kind == "predict" else Gives(scaled(unit, rtol))


SPARSE = {
    "csr_matrix": sparse.csr_matrix,
    "csc_array": sparse.csc_array,
    "coo_array": sparse.coo_array,
    "dok_matrix": sparse.dok_matrix,
    "sparse tensor": lambda values: torch.tensor(values).to_sparse(),
    "sparse columns": lambda values: pd.DataFrame(values).astype(pd.SparseDtype("float64", 0.0)),
}
NO_ARRAY = {
    "generator": lambda values: (row for row in values),
    "iterator": lambda values: iter(values.tolist()),
    "map": lambda values: map(list, values),
    "zip": lambda values: zip(*values.T, strict=True),
    "dict": lambda values: {"values": values},
    "set": lambda values: {1.0, 2.0},
    "str": lambda values: "values",
    "an object": lambda values: object(),
    "a data set": lambda values: xr.Dataset({"values": (("sample", "feature"), values)}),
}
TEXT = {
    "numbers in text": lambda values: values.astype(str),
    "bytes": lambda values: values.astype("S8"),
    "dates": lambda values: values.astype("datetime64[D]"),
    "durations": lambda values: values.astype("timedelta64[s]"),
    "records": records,
    "a column of text": lambda values: frame(values).assign(c1=[f"w{k}" for k in range(len(values))]),
    "a category": lambda values: frame(values).assign(c1=pd.Categorical(["a", "b"] * (len(values) // 2))),
    "dates in a column": lambda values: frame(values).assign(c1=pd.date_range("2020", periods=len(values))),
}
OBJECTS = {
    "a word": changed,
    "None": lambda values, at, new: changed(values.astype(object), at, None),
    "NA": lambda values, at, new: changed(values.astype(object), at, pd.NA),
    "a list": lambda values, at, new: _object_with(values, [1.0]),
    "a dict": lambda values, at, new: _object_with(values, {"a": 1}),
}


def _object_with(values, what):
    values = values.astype(object)
    values[1, 0] = what
    return values


def nullable(values, missing: bool):
    table = frame(values).astype("Float64")
    if missing:
        table.iloc[2, 0] = pd.NA
    return table


VIEWS = {
    "read-only": read_only,
    "every second": strided,
    "Fortran order": np.asfortranarray,
    "big endian": lambda values: values.astype(">f8"),
    "reversed view": lambda values: values[::-1][::-1],
    "memory map": memory_map,
    "nested lists": lambda values: values.tolist(),
    "tuples": lambda values: tuple(map(tuple, values)),
    "a list of arrays": list,
    "a data frame": frame,
    "nullable numbers": lambda values: nullable(values, missing=False),
    "a labelled array": lambda values: xr.DataArray(values, dims=("sample", "feature"), coords={"sample": ROWS}),
    "objects that are numbers": lambda values: values.astype(object),
    "a tensor": torch.tensor,
    "a tensor with gradient": lambda values: torch.tensor(values, requires_grad=True),
    "a list of tensors with gradient": lambda values: list(torch.tensor(values, requires_grad=True)),
    "an unmasked masked array": lambda values: np.ma.masked_array(values, mask=np.zeros(values.shape, bool)),
    "a masked array without a mask": np.ma.masked_array,
    "long doubles": lambda values: values.astype(np.longdouble),
}
SHUFFLED = np.random.default_rng(1).permutation(N)


def row_of_view(name: str) -> int:
    if name == "memory map":
        return 58
    return 57 if "tensor" in name else 56


ROWS_OF_ARRAYS = [
    Row(26, "NaN", ["X"], lambda v: changed(v, (3, 1), np.nan), refused("1 of 72 values are NaN", "rows (first [3])")),
    Row(26, "a row of NaN", ["X"], lambda v: changed(v, 3, np.nan), refused("4 of 72", "columns (first [0, 1, 2, 3])")),
    Row(27, "infinity", ["X"], lambda v: changed(v, (3, 1), np.inf), refused("NaN or infinite")),
    Row(27, "minus infinity", ["X"], lambda v: changed(v, (3, 1), -np.inf), refused("NaN or infinite")),
    Row(28, "NaN in one target", ["y"], lambda v: changed(v, (3, 1), np.nan), refused("NaN")),
    Row(29, "a target of NaN", ["y"], lambda v: changed(v, (slice(None), 1), np.nan), refused("NaN")),
    Row(29, "all targets of NaN", ["y"], lambda v: v * np.nan, refused("NaN")),
    Row(30, "infinity", ["y"], lambda v: changed(v, (3, 1), np.inf), refused("infinit")),
    Row(31, "a constant target", ["y"], lambda v: changed(v, (slice(None), 1), 0.1), constant_target),
    Row(31, "a target of zeros", ["y"], lambda v: changed(v, (slice(None), 1), 0.0), constant_target),
    Row(
        31,
        "a constant target in float32",
        ["y"],
        lambda v: changed(v, (slice(None), 1), 0.1).astype("f4"),
        constant_target,
    ),
    Row(32, "all targets constant", ["y"], lambda v: np.ones_like(v), all_constant),
    Row(33, "a feature without variance", ["X"], lambda v: changed(v, (slice(None), 2), 7.0), constant_feature),
    Row(34, "all zero", ["X"], np.zeros_like, no_variation("every value is zero")),
    Row(
        34,
        "all features constant",
        ["X"],
        lambda v: np.ones_like(v) * [1, 2, 3, 4],
        no_variation("the same value in all"),
    ),
    Row(35, "a feature twice", ["X"], lambda v: changed(v, (slice(None), 1), v[:, 0]), Gives(finite)),
    Row(
        36,
        "fewer rows",
        ["X"],
        lambda v: v[:-1],
        lambda e, a: of_both("(17, 4)", "17 and 18") if e.kind != "predict" else None,
    ),
    Row(36, "more rows", ["y"], lambda v: np.vstack([v, v[:1]]), of_both("(19, 2)", "18 and 19")),
    Row(
        37,
        "on its side",
        ["X"],
        np.transpose,
        lambda e, a: of_both("X.T would fit") if e.kind != "predict" else Refused("X", "features, but"),
    ),
    Row(37, "on its side", ["y"], np.transpose, of_both("y.T would fit")),
    Row(38, "no samples", ["*"], first(0), lambda e, a: Refused("X", "n_samples=0")),
    Row(39, "one sample", ["*"], first(1), too_few(1)),
    Row(40, "two samples", ["*"], first(2), too_few(2)),
    Row(42, "no features", ["X"], lambda v: v[:, :0], refused("0 feature(s)")),
    Row(43, "no targets", ["y"], lambda v: v[:, :0], refused("0 target(s)")),
    Row(44, "one axis", ["X"], lambda v: v[:, 0], refused("(18,)", "X.reshape(-1, 1)")),
    Row(45, "three axes", ["X"], lambda v: v[..., None], refused("(18, 4, 1)", "expected two axes")),
    Row(45, "three axes", ["y"], lambda v: v[..., None], refused("(18, 2, 1)")),
    Row(45, "no axis", ["y"], lambda v: 3.0, refused("()")),
    Row(46, "complex", BOTH, lambda v: v + 0j, refused("complex")),
    Row(46, "a complex tensor", BOTH, lambda v: torch.tensor(v + 1j), refused("complex")),
    Row(46, "complex numbers as objects", BOTH, lambda v: (v + 1j).astype(object), refused("complex")),
    *(Row(47, name, BOTH, spoil, refused()) for name, spoil in TEXT.items()),
    Row(
        48,
        "a word among objects",
        BOTH,
        lambda v: changed(v.astype(object), (1, 0), "two"),
        refused("str at row 1, column 0"),
    ),
    Row(48, "None among objects", BOTH, lambda v: changed(v.astype(object), (1, 0), None), refused("missing")),
    Row(48, "NA among objects", BOTH, lambda v: changed(v.astype(object), (1, 0), pd.NA), refused("missing")),
    Row(48, "a list among objects", BOTH, lambda v: _object_with(v, [1.0]), refused("list at row 1")),
    Row(
        48,
        "missing nullable numbers",
        BOTH,
        lambda v: nullable(v, missing=True),
        refused("missing (NA)", "rows (first [2])"),
    ),
    Row(49, "labels beyond 2^53", BOTH, lambda v: np.full(v.shape, 2**60), refused("beyond ±2^53")),
    Row(51, "1e300", ["X"], lambda v: v * 1e300, refused("overflow", "larger unit")),
    Row(52, "1e-300", ["X"], lambda v: v * 1e-300, refused("vanish", "smaller unit")),
    Row(
        53,
        "masked values",
        BOTH,
        lambda v: np.ma.masked_array(changed(v, (2, 1), 9999.0), mask=changed(np.zeros(v.shape, bool), (2, 1), True)),
        refused("masked", "rows (first [2])"),
    ),
    Row(53, "all masked", BOTH, lambda v: np.ma.masked_array(v, mask=True), refused("masked")),
    Row(
        53,
        "masked rows in a list",
        BOTH,
        lambda v: [np.ma.masked_array(row, mask=[True, *[False] * (len(row) - 1)]) for row in v],
        refused("row 0", "masked"),
    ),
    *(Row(55, name, BOTH, spoil, refused("sparse")) for name, spoil in SPARSE.items()),
    *(
        Row(
            {"memory map": 58}.get(name, 57 if "tensor" in name else 56),
            name,
            BOTH,
            spoil,
            named_now if name in NAMED else as_it_was,
        )
        for name, spoil in VIEWS.items()
    ),
    Row(50, "bfloat16", BOTH, lambda v: torch.tensor(v).bfloat16(), Warned("half-precision", check=nearly)),
    *(Row(59, name, BOTH, spoil, refused()) for name, spoil in NO_ARRAY.items()),
    Row(59, "None", ["X"], lambda v: None, refused("None")),
    Row(59, "None", ["y"], lambda v: None, refused("None")),
    Row(
        60,
        "ragged",
        BOTH,
        lambda v: [list(row) for row in v[:-1]] + [[1.0, 2.0, 3.0, 4.0, 5.0]],
        refused("different lengths"),
    ),
    Row(60, "ragged arrays", BOTH, lambda v: [*v[:-1], v[-1][:1]], refused("different lengths")),
]

WHOLE = np.round(30 * Y)
UNITS = [
    *(
        Row(
            52 if unit < 1 else 51,
            f"targets in float64 x {unit:g}",
            ["y"],
            lambda v, unit=unit: v * unit,
            lambda e, a, unit=unit: with_units(e, unit),
        )
        for unit in (1e-300, 1e-160, 1e-30, 1e30, 1e160, 1e300)
    ),
    *(
        Row(
            52 if unit < 1 else 51,
            f"targets in float32 x {unit:g}",
            ["y"],
            lambda v, unit=unit: (v * unit).astype(np.float32),
            lambda e, a, unit=unit: with_units(e, unit, 2e-4),
        )
        for unit in (1e-30, 1e-12, 1e12, 1e30)
    ),
    Row(
        52,
        "targets that float32 holds with few digits",
        ["y"],
        lambda v: (v * 1e-42).astype(np.float32),
        lambda e, a: None if e.name.startswith("TRF") else refused("fewer digits")(e, a),
    ),
]

NARROW = {
    "int8": np.int8,
    "int16": np.int16,
    "uint8": np.uint8,
    "int32": np.int32,
    "int64": np.int64,
    "uint64": np.uint64,
}


def whole(kind, values):
    """Numbers near the ends of int8, where sums and squares of the narrow type overflow."""
    return np.round(values * 40).clip(0 if np.dtype(kind).kind == "u" else -128, 127)


INTEGERS = [
    Case(
        49,
        name,
        f"{model}.fit",
        partial(
            lambda model, kind: fit(
                model, whole(kind, X).astype(kind), whole(kind, Y).astype(kind), RUNS if model in WITH_RUNS else None
            ),
            model,
            kind,
        ),
        Gives(same),
        "X and y",
        partial(
            lambda model, kind: fit(model, whole(kind, X), whole(kind, Y), RUNS if model in WITH_RUNS else None),
            model,
            kind,
        ),
    )
    for name, kind in NARROW.items()
    for model in CLASSES
]
TRUTH = [
    Case(
        49,
        "booleans",
        f"{model}.fit",
        partial(lambda model: fit(model, X > 0, Y > 0, RUNS if model in WITH_RUNS else None), model),
        Gives(same),
        "X and y",
        partial(lambda model: fit(model, 1.0 * (X > 0), 1.0 * (Y > 0), RUNS if model in WITH_RUNS else None), model),
    )
    for model in CLASSES
]


def half(entry: Entry, argument: str) -> Due:
    return Warned("half-precision", check=partial(same, rtol=2e-3 if "Kernel" not in entry.name else 5e-3))


HALF = [Row(50, "float16", BOTH, lambda v: v.astype(np.float16), half)]


# --- labels -----------------------------------------------------------------------------------------------------------


def labelled(change_y):
    def spoil(arguments: Arguments) -> Arguments:
        if "y" not in arguments:
            return arguments
        return arguments | {"X": frame(arguments["X"]), "y": change_y(frame(arguments["y"]))}

    return spoil


def other_order(entry: Entry, argument: str) -> Due | None:
    return None if entry.kind in ("predict", "score") else of_both("in another order", ".loc[")


def other_labels(entry: Entry, argument: str) -> Due | None:
    return None if entry.kind in ("predict", "score") else of_both("row labels differ", "to_numpy()")


def in_order(entry: Entry, argument: str) -> Due | None:
    return None if entry.kind == "predict" else named_now(entry, "X")


def arrays_with_labels(arguments: Arguments) -> Arguments:
    sides = {k: xr.DataArray(arguments[k], dims=("sample", "c"), coords={"sample": ROWS}) for k in BOTH}
    return arguments | sides | {"y": sides["y"].isel(sample=SHUFFLED)}


def groups_in_another_order(arguments: Arguments) -> Arguments:
    runs = pd.Series(RUNS, index=ROWS).iloc[SHUFFLED]
    return arguments | {"X": frame(arguments["X"]), "groups": runs}


LABELS = [
    Row(54, "frames in one order", ["*"], labelled(lambda y: y), in_order),
    Row(54, "frames in another order", ["*"], labelled(lambda y: y.iloc[SHUFFLED]), other_order),
    Row(54, "frames of other labels", ["*"], labelled(lambda y: y.set_axis([f"x{k}" for k in range(N)])), other_labels),
    Row(54, "a frame beside the default index", ["*"], labelled(lambda y: y.reset_index(drop=True)), other_labels),
    Row(54, "labelled arrays in another order", ["*"], arrays_with_labels, other_order),
    Row(
        54,
        "samples along the second axis",
        BOTH,
        lambda v: xr.DataArray(v.T, dims=("c", "sample")),
        refused("transpose"),
    ),
]
LABELS_AT_SCORE = [
    Case(
        54,
        "frames in another order",
        f"{name}.score",
        partial(lambda name: score_frames(name), name),
        of_both("in another order"),
        "X and y",
    )
    for name in MODELS
]


def score_frames(name: str):
    runs = {"groups": RUNS} if name in WITH_RUNS else {}
    return clone(MODELS[name]).fit(frame(X), frame(Y), **runs).score(frame(X), frame(Y).iloc[SHUFFLED], **runs)


FEATURE_ORDER = (
    [
        Case(
            54,
            "columns in another order",
            f"{name}.predict",
            partial(lambda name: predict_frames(name, NAMES[::-1]), name),
            Refused("X", "feature names"),
            "X",
        )
        for name in MODELS
    ]
    + [
        Case(
            54,
            "columns of other names",
            f"{name}.predict",
            partial(lambda name: predict_frames(name, list("wxyz")), name),
            Refused("X", "feature names"),
            "X",
        )
        for name in MODELS
    ]
    + [
        Case(
            37,
            "as many rows as features",
            f"{name}.predict",
            partial(lambda name: predict(name, X[:P, : P - 1]), name),
            Refused("X", "X.T would fit"),
            "X",
        )
        for name in MODELS
        if name != "TRF"
    ]
)


def predict_frames(name: str, names: list[str]):
    runs = {"groups": RUNS} if name in WITH_RUNS else {}
    model = clone(MODELS[name]).fit(frame(X, names=NAMES), Y, **runs)
    return model.predict(frame(X, names=NAMES)[names] if set(names) == set(NAMES) else frame(X, names=names), **runs)


GROUPS = (
    [
        Case(
            54,
            "runs in another order",
            f"{name}.fit",
            partial(lambda name: fit(name, frame(X), Y, pd.Series(RUNS, index=ROWS).iloc[SHUFFLED]), name),
            Refused("X, groups", "in another order"),
            "groups",
        )
        for name in (*WITH_FOLDS, "TRF")
    ]
    + [
        Case(
            36,
            "too few runs",
            f"{name}.fit",
            partial(lambda name: fit(name, X, Y, RUNS[:-1]), name),
            Refused("groups", "(17,)"),
            "groups",
        )
        for name in (*WITH_FOLDS, "TRF")
    ]
    + [
        Case(
            28,
            "a missing run",
            f"{name}.fit",
            partial(lambda name: fit(name, X, Y, [*RUNS[:-1], None]), name),
            Refused("groups", "missing"),
            "groups",
        )
        for name in (*WITH_FOLDS, "TRF")
    ]
)


WEIGHTS = [
    Case(
        row,
        f"sample weights {what}",
        "Ridge.score",
        partial(lambda weights: FITTED["Ridge"].score(X, Y, sample_weight=weights), weights),
        Refused("sample_weight"),
        "sample_weight",
    )
    for row, what, weights in (
        (36, "too few", np.ones(N - 1)),
        (26, "NaN", np.full(N, np.nan)),
        (51, "below zero", -np.ones(N)),
        (34, "all zero", np.zeros(N)),
        (44, "of two axes", np.ones((N, 1))),
        (47, "in text", ["1"] * N),
    )
] + [
    Case(
        54,
        "runs in another order",
        "TRF.predict",
        lambda: FITTED_TO_FRAMES.predict(frame(X), pd.Series(RUNS, index=ROWS).iloc[SHUFFLED]),
        Refused("X, groups", "in another order"),
        "groups",
    )
]
FITTED_TO_FRAMES = clone(MODELS["TRF"]).fit(frame(X), Y, RUNS)


# --- options ----------------------------------------------------------------------------------------------------------


def with_options(name: str, X=X, y=Y, **options):
    return fit_model(clone(MODELS[name]).set_params(**options), name, X, y)


def fit_model(model, name, X, y):
    return model.fit(X, y, **({"groups": RUNS[: len(X)]} if name in WITH_RUNS else {}))


class Folds:
    """A splitter that yields what it is told to."""

    def __init__(self, *folds):
        self.folds = folds

    def split(self, X, y=None, groups=None):
        return iter(self.folds)


def options_of(names, row, what, due, **options):
    return [
        Case(row, what, f"{name}.fit", partial(with_options, name, **options), due, next(iter(options)))
        for name in names
    ]


SEARCHED = [*WITH_FOLDS, "LeaveOneOutRidgeCV", "TRF"]
OPTIONS = [
    *(
        Case(
            41,
            "fewer samples than folds",
            f"{name}.fit",
            partial(with_options, name, X[:4], Y[:4], folds=KFold(5)),
            Refused("folds", "cannot split 4"),
            "folds",
        )
        for name in WITH_FOLDS
    ),
    *options_of(
        WITH_FOLDS,
        41,
        "folds that train on one sample",
        Refused("folds", "trains on one sample"),
        folds=Folds((np.arange(1), np.arange(1, N))),
    ),
    *options_of(
        WITH_FOLDS,
        41,
        "folds of rows that are not there",
        Refused("folds", "row numbers from 0 to 17"),
        folds=Folds((np.arange(9), np.arange(9, N + 1))),
    ),
    *options_of(
        WITH_FOLDS, 41, "folds of masks", Refused("folds", "bool"), folds=Folds((np.ones(N, bool), np.ones(N, bool)))
    ),
    *options_of(SEARCHED, 117, "a zero among alphas", Refused("alphas", "above 0"), alphas=(0.0, 1.0)),
    *options_of(SEARCHED, 117, "a negative alpha", Refused("alphas", "above 0"), alphas=(-1.0, 1.0)),
    *options_of(SEARCHED, 117, "NaN among alphas", Refused("alphas", "above 0"), alphas=(np.nan, 1.0)),
    *options_of(SEARCHED, 117, "infinity among alphas", Refused("alphas", "above 0"), alphas=(1.0, np.inf)),
    *options_of(SEARCHED, 117, "no alphas", Refused("alphas", "above 0"), alphas=()),
    *options_of(SEARCHED, 117, "alphas in words", Refused("alphas", "above 0"), alphas=("small", "large")),
    *options_of(SEARCHED, 117, "one alpha that is no list", Refused("alphas", "above 0"), alphas=1.0),
    *options_of(["Ridge"], 117, "a negative alpha", Refused("alpha", "at least 0"), alpha=-1.0),
    *options_of(["Ridge"], 117, "alpha NaN", Refused("alpha", "at least 0"), alpha=np.nan),
    *options_of(["Ridge"], 117, "an alpha for each target", Refused("alpha", "at least 0"), alpha=[1.0, 2.0]),
]
BANDED = ["BandedRidgeCV", "TRF"]
OUT_OF_RANGE = [
    *options_of(
        BANDED, 60, "a column beyond the last", Refused("bands", "[4]", "0 to 3"), bands={"a": [0, 1], "b": [2, 3, 4]}
    ),
    *options_of(
        BANDED, 60, "a column before the first", Refused("bands", "[-5]"), bands={"a": [0, 1, -5], "b": [2, 3]}
    ),
    *options_of(
        BANDED,
        60,
        "a slice beyond the last",
        Refused("bands", "slice(2, 9, None)"),
        bands={"a": slice(0, 2), "b": slice(2, 9)},
    ),
    *options_of(BANDED, 60, "columns with a fraction", Refused("bands", "float64"), bands={"a": [0.5], "b": [1, 2, 3]}),
    *options_of(BANDED, 60, "columns by name", Refused("bands", "'a' has"), bands={"a": ["x"], "b": [1, 2, 3]}),
    *options_of(
        BANDED, 60, "a mask of another length", Refused("bands", "bool"), bands={"a": np.ones(3, bool), "b": [3]}
    ),
    *options_of(BANDED, 60, "a number", Refused("bands", "expected a mapping"), bands=3),
    *options_of(BANDED, 60, "a word", Refused("bands", "expected a mapping"), bands="abcd"),
    *options_of(
        BANDED, 60, "columns in two bands", Refused("bands", "more than one space"), bands={"a": [0, 1], "b": [1, 2, 3]}
    ),
    *options_of(BANDED, 60, "columns in none", Refused("bands", "in no space"), bands={"a": [0, 1]}),
]


# --- policies ---------------------------------------------------------------------------------------------------------


def left_out(name: str, y):
    return with_options(name, X, y, unusable_targets="leave_out")


def nan_there(result, clean) -> bool:
    predicted = result.predict(X)
    return (
        bool(np.isnan(predicted[:, 1]).all())
        and result.unusable_targets_.tolist() == [1]
        and same(predicted[:, 0], clean.predict(X)[:, 0])
    )


def policy(row: int, what: str, y) -> list[Case]:
    due = Warned("unusable-targets", check=nan_there)
    names = (*WITH_FOLDS, "LeaveOneOutRidgeCV")
    names = [name for name in names if "shared" not in name]
    return [Case(row, what, f"{n}.fit", partial(left_out, n, y), due, "y", partial(with_options, n)) for n in names]


POLICIES = [
    *policy(28, "NaN left out", changed(Y, (3, 1), np.nan)),
    *policy(29, "a target of NaN left out", changed(Y, (slice(None), 1), np.nan)),
    *policy(30, "infinity left out", changed(Y, (3, 1), np.inf)),
]
SHRUNK = [
    Case(
        52,
        "features far below the smallest alpha",
        f"{name}.fit",
        partial(with_options, name, X * 1e-6),
        Warned("features-shrunk", check=lambda result, clean: np.ptp(result.predict(X * 1e-6, **runs_of(result))) < 4),
        "X",
    )
    for name in SEARCHED
    if name != "RandomFeatureRidgeCV"  # its features have a scale of their own
]


MANY = np.random.default_rng(3).standard_normal((N, 2 * N))


def fit_many(name: str, X):
    """Fit more features than samples."""
    bands = {"bands": {"words": slice(0, N), "sound": slice(N, 2 * N)}} if name.startswith("Banded") else {}
    model = clone(MODELS[name]).set_params(**bands)
    return model.fit(X, Y, **({"groups": RUNS} if name in WITH_RUNS else {}))


UNSHRUNK = [
    Case(
        51,
        "more features than samples, far above the largest alpha",
        f"{name}.fit",
        partial(fit_many, name, MANY * 1e6),
        Warned("features-unshrunk", check=lambda result, clean: np.allclose(memory_of(result), Y, atol=0.2)),
        "X",
        partial(fit_many, name, MANY),
    )
    for name in SEARCHED
    if not name.startswith(("RandomFeature", "KernelRidgeCV, rbf"))  # have a scale of their own
]


def memory_of(model):
    return model.predict(MANY * 1e6, **runs_of(model))


def runs_of(model):
    return {"groups": RUNS} if isinstance(model, TRF) else {}


EDGE = [
    Case(
        117,
        "the best alpha at the edge",
        f"{name}.fit",
        partial(with_options, name, X, X[:, :2] + 0.1 * Y, alphas=(1e2, 1e3)),
        Warned("alpha-at-edge", check=lambda result, clean: result.share_at_edge_ == 1),
        "alphas",
    )
    for name in SEARCHED
    if name != "RidgeCV, shared alpha"
]

CASES = [
    *cross(ROWS_OF_ARRAYS, ALL),
    *cross(UNITS, [*FIT_ANY, *HELD_OUT, *FIT_AND_SCORE]),
    *cross(HALF, [*FIT, *PREDICT]),
    *cross(LABELS, ALL),
    *LABELS_AT_SCORE,
    *INTEGERS,
    *TRUTH,
    *FEATURE_ORDER,
    *GROUPS,
    *WEIGHTS,
    *OPTIONS,
    *OUT_OF_RANGE,
    *POLICIES,
    *EDGE,
    *SHRUNK,
    *UNSHRUNK,
]
