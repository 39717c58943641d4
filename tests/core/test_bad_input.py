"""What bad input gets at the gate and in the nouns: an exact type, and a sentence with what was seen and expected."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroling import Result, Stimuli, align
from neuroling.core.align import Aligned
from neuroling.core.result import _seal
from neuroling.evaluation import NullDistribution, ResultFileError

WORDS = [f"w{i}" for i in range(6)]
RNG = np.random.default_rng(0)
X = xr.DataArray(RNG.standard_normal((6, 2)), dims=("sample", "feature"), coords={"sample": WORDS})
Y = xr.DataArray(RNG.standard_normal((6, 3)), dims=("sample", "voxel"), coords={"sample": WORDS, "voxel": list("abc")})


def changed(array: xr.DataArray, at: tuple[int, ...], value: float) -> xr.DataArray:
    values = array.to_numpy().copy()
    values[at] = value
    return array.copy(data=values)


def with_coords(array: xr.DataArray, **coords: object) -> xr.DataArray:
    return array.assign_coords({name: ("sample", np.asarray(v)) for name, v in coords.items()})


# what is wrong, features, recording, type, pattern
AT_THE_GATE = [
    (
        "a bare array",
        X.to_numpy(),
        Y,
        TypeError,
        r"features: got ndarray; expected an xarray\.DataArray.*Stimuli\.features",
    ),
    ("a data frame", X, Y.to_pandas(), TypeError, r"recording: got DataFrame; expected an xarray\.DataArray"),
    ("a dataset", X, Y.to_dataset(name="y"), TypeError, r"recording: got Dataset; expected"),
    ("nothing", None, Y, TypeError, r"features: got NoneType; expected"),
    ("text values", X.astype(str), Y, TypeError, r"features: got values of type <U\d+; expected real numbers"),
    ("complex values", X, Y.astype(complex), TypeError, r"recording: got values of type complex128; expected real"),
    ("objects", X.astype(object), Y, TypeError, r"features: got values of type object; expected real numbers"),
    ("dates", X, Y.astype("datetime64[ns]"), TypeError, r"recording: got values of type datetime64.*expected real"),
    (
        "a typo in an axis",
        X,
        Y.rename(voxel="voxels"),
        ValueError,
        r"recording: unknown axis 'voxels'; expected names among.*rename",
    ),
    (
        "no samples axis",
        X.rename(sample="voxel"),
        Y,
        ValueError,
        r"features: axes \('voxel', 'feature'\) have no 'sample'",
    ),
    ("no labels", X.drop_vars("sample"), Y, ValueError, r"features: the axis 'sample' has no labels; attach them with"),
    ("labels without an index", X, Y.drop_indexes("sample"), ValueError, r"recording: the axis 'sample' has no labels"),
    (
        "an empty axis",
        X.isel(feature=[]),
        Y,
        ValueError,
        r"features: the axis 'feature' is empty; expected at least one",
    ),
    ("no voxels", X, Y.isel(voxel=[]), ValueError, r"recording: the axis 'voxel' is empty"),
    ("no samples", X.isel(sample=[]), Y.isel(sample=[]), ValueError, r"features: the axis 'sample' is empty"),
    ("one sample", X.isel(sample=[0]), Y.isel(sample=[0]), ValueError, r"features: one sample; expected at least two"),
    (
        "a layer left over",
        X.expand_dims(layer=[3, 7]),
        Y,
        ValueError,
        r"features: the axis 'layer' is left over.*\.sel\(layer=…\) among \[3, 7\]",
    ),
    (
        "features on a target axis",
        X.rename(feature="voxel"),
        Y,
        ValueError,
        r"features: got axes \('sample', 'voxel'\); expected \('sample', 'feature'\)",
    ),
    (
        "features turned",
        X.isel(feature=0),
        Y,
        ValueError,
        r"features: got axes \('sample',\); expected \('sample', 'feature'\)",
    ),
    (
        "a recording of features",
        X,
        Y.rename(voxel="feature"),
        ValueError,
        r"recording: got axes .*; expected 'sample'.*\['feature'\] cannot be a target",
    ),
    (
        "a recording of draws",
        X,
        Y.expand_dims(draw=2),
        ValueError,
        r"recording: got axes .*\['draw'\] cannot be a target",
    ),
    (
        "duplicated labels",
        X,
        Y.assign_coords(sample=["w0", "w0", *WORDS[2:]]),
        ValueError,
        r"recording: 1 sample labels occur more than once, first \['w0'\]; expected unique.*repeat",
    ),
    (
        "labels on one side only",
        X,
        Y.isel(sample=slice(4)),
        ValueError,
        r"sample labels differ: 2 of 6 stand in the features alone \(first \['w4', 'w5'\]\), 0 of 4",
    ),
    (
        "other labels",
        X,
        Y.assign_coords(sample=list("uvwxyz")),
        ValueError,
        r"sample labels differ: 6 of 6 .* 6 of 6 in the recording alone.*\.sel\(sample=…\)",
    ),
    ("labels of another type", X.assign_coords(sample=range(6)), Y, ValueError, r"sample labels differ: 6 of 6"),
    (
        "numbers as text",
        X.assign_coords(sample=range(6)),
        Y.assign_coords(sample=[str(row) for row in range(6)]),
        ValueError,
        r"6 differ only in case, blanks, accents' form or type, first \[\(0, '0'\)",
    ),
    (
        "labels in another case",
        X.assign_coords(sample=[word.upper() + " " for word in WORDS]),
        Y,
        ValueError,
        r"6 differ only in case, .* first \[\('W0 ', 'w0'\)",
    ),
    (
        "missing labels",
        X,
        Y.assign_coords(sample=[0, 1, 2, 3, 4, np.nan]),
        ValueError,
        r"recording: 1 labels of 'sample' are missing \(NaN\)",
    ),
    (
        "labels of many types",
        X,
        Y.assign_coords(sample=np.array([1, "b", None, 4, 5, 6], dtype=object)),
        TypeError,
        r"recording: the labels of 'sample' are a mixture of NoneType, int, str; expected text or numbers",
    ),
    (
        "labels of many levels",
        X,
        Y.assign_coords(one=("voxel", [0, 0, 1]), two=("voxel", [0, 1, 0]))
        .drop_vars("voxel")
        .set_index(voxel=["one", "two"]),
        ValueError,
        r"recording: the labels of 'voxel' are a MultiIndex; expected plain labels.*reset_index",
    ),
    (
        "an attribute no file can hold",
        X,
        Y.assign_coords(voxel=("voxel", list("abc"), {"made_by": {"a": 1}})),
        TypeError,
        r"recording: attributes \['made_by'\] of the coordinate 'voxel' are neither text.*remove or convert",
    ),
    (
        "NaN features",
        changed(X, (2, 1), np.nan),
        Y,
        ValueError,
        r"features: 1 of 12 values are NaN or infinite, in 1 samples \(first \['w2'\]\) and 1 features\. Remove",
    ),
    (
        "infinite voxels",
        X,
        changed(changed(Y, (1, 0), np.inf), (4, 0), -np.inf),
        ValueError,
        r"recording: 2 of 18 values are NaN or infinite, in 2 samples \(first \['w1', 'w4'\]\) and 1 voxels",
    ),
    (
        "masked values",
        X,
        Y.copy(data=np.ma.masked_less(Y, 0).filled(np.nan)),
        ValueError,
        r"recording: \d+ of 18 values are NaN",
    ),
    (
        "values whose squares overflow",
        X,
        changed(Y, (0, 0), 1e200),
        ValueError,
        r"recording: values reach 1\.0e\+200.*would overflow float64; expected at most 1e\+151",
    ),
    (
        "single precision that overflows",
        changed(X, (0, 0), 1e30).astype("f4"),
        Y,
        ValueError,
        r"features: values reach 1\.0e\+30.*overflow float32",
    ),
    (
        "a constant voxel",
        X,
        Y.where(Y.voxel != "b", 1.0),
        ValueError,
        r"recording: 1 of 3 targets are constant over samples \(first at \[\[1\]\] along \('voxel',\)\).*\.sel or a",
    ),
    ("all voxels constant", X, xr.zeros_like(Y), ValueError, r"recording: 3 of 3 targets are constant"),
    (
        "features that say nothing",
        xr.ones_like(X),
        Y,
        ValueError,
        r"features: every sample has the same values, so nothing can be predicted",
    ),
    (
        "coordinates that disagree",
        with_coords(X, condition=list("aabbab")),
        with_coords(Y, condition=list("aabbaa")),
        ValueError,
        r"coordinate 'condition': features and recording disagree.*\[\('w5', 'b', 'a'\)\]",
    ),
    (
        "a missing group",
        X,
        with_coords(Y, group=[1.0, 1, 2, 2, 3, np.nan]),
        ValueError,
        r"recording: 1 labels of 'group' are missing",
    ),
    (
        "a volume left out",
        X,
        with_coords(Y, time_index=[0, 1, 2, 4, 5, 6]),
        ValueError,
        r"time_index: not counting up by one within group None; sort the recording.*leave no volume out",
    ),
    (
        "time in seconds",
        X,
        with_coords(Y, time_index=np.arange(6) * 2.0),
        TypeError,
        r"time_index: got values of type float64; expected integers",
    ),
    (
        "runs that interleave",
        X,
        with_coords(Y, time_index=[0, 0, 1, 1, 2, 2], group=list("ababab")),
        ValueError,
        r"time_index: not counting up by one within group 'a'",
    ),
]


@pytest.mark.parametrize(
    ("x", "y", "kind", "pattern"), [case[1:] for case in AT_THE_GATE], ids=[case[0] for case in AT_THE_GATE]
)
def test_the_gate_says_what_is_wrong(x, y, kind, pattern):
    with pytest.raises(kind, match=pattern) as caught:
        align(x, y)
    assert type(caught.value) is kind


def pairs_without_one():
    first, second = np.triu_indices(4, 1)
    labels = [f"{a}{b}" for a, b in zip(first, second, strict=True)]
    coords = {"sample": labels, "first": ("sample", first), "second": ("sample", second)}
    x = xr.DataArray(np.arange(6.0)[:, None], dims=("sample", "feature"), coords=coords).isel(sample=slice(5))
    return align(x, x.rename(feature="time"))


TABLE = pd.DataFrame({"text": ["a", "b"]}, index=["x", "y"])
NULL = NullDistribution.collect(xr.DataArray(0.5), [xr.DataArray(0.1)] * 20, method="flips", keep_draws=False)
PLAIN = Result.of(xr.DataArray([0.5], dims="split"), metric="m", null=NULL)

# what is wrong, the call, type, pattern
NOUNS = [
    ("no stimuli", lambda: Stimuli.from_texts([]), ValueError, r"table: no stimuli; expected at least one row"),
    ("one text", lambda: Stimuli.from_texts("celery"), TypeError, r"texts: got a single str; expected a list"),
    ("not a table", lambda: Stimuli(["a"]), TypeError, r"table: got list; expected a pandas\.DataFrame"),
    (
        "no text",
        lambda: Stimuli(pd.DataFrame({"word": ["a"]})),
        ValueError,
        r"table: no column 'text' among \['word'\]",
    ),
    (
        "number as text",
        lambda: Stimuli.from_texts(["a", 3], labels=[0, 1]),
        TypeError,
        r"text: 1 entries are not str, first \[\(1, 'int'\)\]",
    ),
    (
        "missing text",
        lambda: Stimuli.from_texts(["a", None], labels=[0, 1]),
        TypeError,
        r"text: 1 entries are not str, first \[\(1, '(NoneType|float)'\)\]",
    ),
    (
        "missing text without labels",
        lambda: Stimuli.from_texts(["a", None]),
        TypeError,
        r"texts: 1 entries are not str, first \[\(1, 'NoneType'\)\] \(place from 0, type\)",
    ),
    (
        "blank text",
        lambda: Stimuli.from_texts(["a", "  "]),
        ValueError,
        r"text: 1 entries are empty or blank, first labels \['  '\]",
    ),
    (
        "repeated text",
        lambda: Stimuli.from_texts(["a", "a"]),
        ValueError,
        r"table: 1 sample labels occur more than once, first \['a'\]; expected unique",
    ),
    (
        "missing label",
        lambda: Stimuli.from_texts(["a", "b"], labels=["x", None]),
        ValueError,
        r"table: 1 sample labels are missing",
    ),
    (
        "labels of many levels",
        lambda: Stimuli(TABLE.set_index("text", append=True)),
        ValueError,
        r"table: its index has 2 levels; expected one label",
    ),
    (
        "too few labels",
        lambda: Stimuli.from_texts(["a", "b"], labels=["x"]),
        ValueError,
        r"labels: got shape \(1,\); expected one entry for each of 2 texts",
    ),
    (
        "a scalar column",
        lambda: Stimuli.from_texts(["a"], group="list 1"),
        ValueError,
        r"group: got shape \(\); expected one entry",
    ),
    (
        "onset that is no number",
        lambda: Stimuli.from_texts(["a", "b"], onset=[0.0, np.nan]),
        ValueError,
        r"onset: 1 entries are not finite numbers, first labels \['b'\]",
    ),
    (
        "missing condition",
        lambda: Stimuli.from_texts(["a", "b"], condition=["new", None]),
        ValueError,
        r"condition: 1 entries are missing",
    ),
    (
        "unknown column",
        lambda: Stimuli(TABLE).coords("lemma"),
        ValueError,
        r"columns: \['lemma'\] not in the table, which has \['text'\]",
    ),
    (
        "unknown label",
        lambda: Stimuli(TABLE).subset(["z"]),
        ValueError,
        r"labels: 1 not among the stimuli, first \['z'\]",
    ),
    (
        "features turned",
        lambda: Stimuli(TABLE).features(np.eye(3)),
        ValueError,
        r"values: got shape \(3, 3\); expected \(2, n_features\)",
    ),
    (
        "unknown coordinate",
        lambda: align(X, Y).coordinate("condition"),
        ValueError,
        r"coordinate 'condition': the samples carry \['sample'\]; attach it",
    ),
    (
        "a pair left out",
        lambda: pairs_without_one().shuffled(np.random.default_rng(0)),
        ValueError,
        r"data: 5 pairs of 4 items.*each of the 6 pairs occurs once",
    ),
    ("no ceiling", lambda: PLAIN.ceiling, ValueError, r"ceiling: this result has none; pass ceiling=…"),
    (
        "no null",
        lambda: Result.of(xr.DataArray([0.5], dims="split"), metric="m").p_values(),
        ValueError,
        r"null: this result has none; pass inference=…",
    ),
    (
        "no such correction",
        lambda: PLAIN.p_values("bonferroni"),
        ValueError,
        r"correct: got 'bonferroni'; expected 'none', 'fdr', 'max' or 'cluster'",
    ),
    (
        "no clusters",
        lambda: PLAIN.p_values("cluster"),
        ValueError,
        r"correct: 'cluster' was asked for, but flips made no clusters",
    ),
    (
        "draws not kept",
        lambda: PLAIN.null.quantile(0.5),
        ValueError,
        r"draws: they were not kept; run the inference with keep_draws=True",
    ),
    (
        "no such bound",
        lambda: Result.of(
            xr.DataArray([0.5], dims="split"),
            metric="m",
            ceiling=xr.DataArray([1.0], dims="bound", coords={"bound": ["lower"]}),
        ).normalized("upper"),
        ValueError,
        r"bound: got 'upper'; this ceiling has \['lower'\]",
    ),
]


@pytest.mark.parametrize(("call", "kind", "pattern"), [case[1:] for case in NOUNS], ids=[case[0] for case in NOUNS])
def test_the_nouns_say_what_is_wrong(call, kind, pattern):
    with pytest.raises(kind, match=pattern) as caught:
        call()
    assert type(caught.value) is kind


def netcdf(**attrs):
    return bytes(xr.Dataset(attrs=attrs).to_netcdf(engine="h5netcdf"))


def archive():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as content:
        content.writestr("score.npy", b"")
    return file.getvalue()


# what is wrong, content, pattern
FILES = [
    ("empty", b"", r"\(0 bytes\) does not end as a result does; expected a file written by Result\.save"),
    ("text", b"subject\tscore\n1\t0.5\n", r"does not end as a result does"),
    ("an archive", archive(), r"does not end as a result does"),
    ("another netCDF", netcdf(format="neuroling-result-1"), r"truncated, damaged or of another kind; make it again"),
    (
        "of a later version",
        netcdf() + b"\nneuroling-result-2 sha256 " + b"0" * 64 + b"\n",
        r"has the format 'neuroling-result-2'; this version reads 'neuroling-result-1'",
    ),
    (
        "of another content",
        netcdf() + b"\nneuroling-result-1 sha256 " + b"0" * 64 + b"\n",
        r"does not match its own checksum",
    ),
    (
        "sealed without a format",
        netcdf() + _seal(netcdf()),
        r"is sealed as a result but does not read as one \(KeyError",
    ),
    ("sealed rubbish", b"rubbish" + _seal(b"rubbish"), r"is sealed as a result but does not read as one"),
    (
        "sealed provenance of other fields",
        netcdf(format="neuroling-result-1", provenance='{"who": 1}')
        + _seal(netcdf(format="neuroling-result-1", provenance='{"who": 1}')),
        r"does not read as one \(TypeError",
    ),
]


@pytest.mark.parametrize(("content", "pattern"), [case[1:] for case in FILES], ids=[case[0] for case in FILES])
def test_a_file_that_is_no_result_is_named(tmp_path, content, pattern):
    (tmp_path / "result.nc").write_bytes(content)
    with pytest.raises(ResultFileError, match=rf"path: .*result\.nc.*{pattern}"):
        Result.load(tmp_path / "result.nc")


@pytest.mark.parametrize("name", ["nowhere.nc", "."])
def test_a_path_that_is_no_file_is_named(tmp_path, name):
    with pytest.raises(ResultFileError, match=r"path: .* is not a file; expected a result written by Result\.save"):
        Result.load(tmp_path / name)


def test_aligned_is_frozen():
    with pytest.raises(AttributeError):
        align(X, Y).x = Y
    assert isinstance(align(X, Y), Aligned)
