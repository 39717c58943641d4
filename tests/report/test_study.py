from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from neuroling import CircularShift, ContiguousFolds, Result, Ridge, align, evaluate, pearson
from neuroling.core.provenance import Provenance
from neuroling.report.comparison import compare_with_controls, model_table, strongest_control
from neuroling.report.study import write_report

rng = np.random.default_rng(0)


def family(shape=(2, 3, 9), dims=("split", "model", "subject"), **attrs) -> Result:
    score = xr.DataArray(
        np.random.default_rng(1).normal(0.2, 0.1, shape), dims=dims, coords={"model": ["BERT", "rate", "length"]}
    )
    return Result.of(score, metric="pearson", **attrs)


def with_null() -> Result:
    n = 120
    draw = np.random.default_rng(3)
    coords = {"sample": np.arange(n), "time_index": ("sample", np.arange(n))}
    x = {name: xr.DataArray(draw.standard_normal((n, 2)), dims=("sample", "feature"), coords=coords) for name in "ab"}
    y = xr.DataArray(x["a"].values + draw.standard_normal((n, 2)), dims=("sample", "voxel"), coords=coords)
    y = y.assign_coords(voxel=[0, 1])
    return evaluate(
        Ridge(1.0), align(x, y), splits=ContiguousFolds(3), metric=pearson, inference=CircularShift(99), rng=0
    )


def test_the_difference_is_paired_per_participant_with_a_t_interval():
    result = family()
    comparison = compare_with_controls(result, "BERT", ["rate", "length"])
    control = strongest_control(result, ["rate", "length"])
    each = (result.score.sel(model="BERT") - result.score.sel(model=control)).values
    expected = stats.ttest_1samp(each, 0).confidence_interval(0.95)
    assert comparison.control == control
    assert comparison.mean == pytest.approx(each.mean())
    assert comparison.interval == pytest.approx(tuple(expected))
    assert comparison.n_participants == 9


def test_one_participant_has_no_interval_but_the_p_value_of_the_paired_null():
    result = with_null()
    comparison = compare_with_controls(result, "a", ["b"])
    assert comparison.interval is None
    draws = result.null.draws.sel(model="a") - result.null.draws.sel(model="b")
    observed = (result.score.sel(model="a") - result.score.sel(model="b")).mean()
    extreme = (abs(draws.mean("voxel")) >= abs(observed) - 1e-12).sum()
    assert comparison.p == pytest.approx((1 + int(extreme)) / 100)


def test_where_smaller_is_better_the_strongest_control_has_the_smallest_score():
    result = family(larger_is_better=False)
    means = {name: float(result.score.sel(model=name).mean()) for name in ("rate", "length")}
    assert strongest_control(result, ["rate", "length"]) == min(means, key=means.get)


def test_controls_that_are_not_there_are_named():
    with pytest.raises(ValueError, match=r"frequency.*BERT"):
        strongest_control(family(), ["frequency"])


def test_the_page_answers_with_the_difference_and_says_what_is_missing(tmp_path):
    page = write_report(
        family(),
        tmp_path,
        title="T",
        question="Does it?",
        model="BERT",
        controls=["rate", "length"],
        notes=["Two left out."],
    ).read_text("utf-8")
    comparison = compare_with_controls(family(), "BERT", ["rate", "length"])
    assert f"BERT minus {comparison.control}, its strongest control: {comparison.mean:+.3f}" in page
    assert "95 % interval over 9 participants" in page
    assert "No noise ceiling can be estimated" in page
    assert "Two left out." in page
    assert "synthetic" not in page.lower()


def test_a_model_without_controls_is_warned_of(tmp_path):
    page = write_report(family(), tmp_path, title="T", model="BERT").read_text("utf-8")
    assert "No control was run" in page


def test_a_model_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="GPT"):
        write_report(family(), tmp_path, title="T", model="GPT")


def test_leaks_ceiling_and_null_are_on_the_page(tmp_path):
    score = xr.DataArray([[0.2, 0.3]], dims=("split", "voxel"))
    ceiling = xr.DataArray([[0.5, 0.6]], dims=("bound", "voxel"), coords={"bound": ["ceiling"]})
    result = Result.of(score, metric="pearson", ceiling=ceiling, leaks=("copies: the same text twice",))
    page = write_report({"Voxels": result, "Nulls": with_null()}, tmp_path, title="T").read_text("utf-8")
    assert "possible leak: copies: the same text twice" in page
    assert "Ceiling (ceiling): 0.550" in page
    assert "p values of scores are one-sided (larger than the null)" in page
    assert "circular shifts of the recording within runs" not in page.split("Methods")[0]


def test_synthetic_data_are_marked(tmp_path):
    result = family(provenance=Provenance(synthetic=True))
    assert "synthetic data" in write_report(result, tmp_path, title="T", model="BERT").read_text("utf-8").lower()


@pytest.mark.parametrize(
    ("shape", "dims"),
    [
        ((1, 3), ("split", "model")),
        ((1, 3, 4), ("split", "model", "region")),
        ((1, 3, 4, 5), ("split", "model", "subject", "region")),
        ((1, 3, 6), ("split", "model", "time")),
        ((1, 3, 5, 6), ("split", "model", "subject", "time")),
        ((1, 3, 5, 4, 6), ("split", "model", "subject", "channel", "time")),
        ((1, 3, 50), ("split", "model", "voxel")),
        ((1, 3, 5, 50), ("split", "model", "subject", "voxel")),
        ((1, 3, 5, 4), ("split", "model", "layer", "channel")),
    ],
)
def test_a_page_is_made_of_every_shape(tmp_path, shape, dims):
    result = family(shape, dims)
    if "time" in dims:
        result = Result(result.data.assign_coords(time=np.arange(6) / 10), result.provenance)
    page = write_report(result, tmp_path, title="T", model="BERT", controls=["rate"]).read_text("utf-8")
    assert "BERT minus rate" in page


def test_the_table_counts_significant_locations_by_model():
    table = model_table(with_null(), ["b"]).set_index("model")
    assert table["significant"].tolist() == [2, 0]
    assert table["of"].tolist() == [2, 2]
    assert table.loc["a", "p"] == pytest.approx(0.01)


def test_heads_are_drawn_at_the_positions_of_the_recording():
    from neuroling.report.rsa import to_evoked

    positions = xr.DataArray(
        [[0.0, 0.08, 0.04], [0.0, 0.0, 0.1], [0.0, -0.08, 0.04]],
        dims=("channel", "feature"),
        coords={"channel": ["A", "B", "C"], "feature": list("xyz")},
    )
    score = xr.DataArray(
        np.ones((2, 3)), dims=("channel", "time"), coords={"channel": ["C", "A"], "time": [0.0, 0.1, 0.2]}
    )
    info = to_evoked(score, montage=positions).info
    assert info["chs"][0]["loc"][:3] == pytest.approx([0.0, -0.08, 0.04])
    with pytest.raises(ValueError, match="these positions does not know"):
        to_evoked(score.assign_coords(channel=["C", "D"]), montage=positions)
