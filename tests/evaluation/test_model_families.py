"""Several feature spaces in one evaluation: what separate evaluations give, with draws that are paired."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, ShuffleSplit

from neuroling import (
    BlockPermutation,
    CircularShift,
    Clusters,
    ContiguousFolds,
    LeaveOneOutCeiling,
    LeavePOut,
    Permutation,
    Result,
    Ridge,
    RidgeCV,
    SignFlip,
    SplitHalfCeiling,
    align,
    evaluate,
    pearson,
    two_vs_two,
)
from neuroling.encoding import StableVoxels
from neuroling.evaluation import AlignedSpaces, HeldOutPermutation, evaluate_each

RIDGE = Ridge(1.0, device="cpu")


def spaces_of(data, names=("all", "one", "noise")):
    rng = np.random.default_rng(7)
    features = {
        "all": data.x,
        "one": data.x[:, :1],
        "noise": data.x.copy(data=rng.standard_normal(data.x.shape)),
    }
    return align({name: features[name] for name in names}, data.y)


CASES = {
    "pairs": ({"n": 9, "repeats": 3, "voxel": 14}, LeavePOut(2), two_vs_two, Permutation(30), SplitHalfCeiling(), None),
    "pairs, stable voxels": (
        {"n": 9, "repeats": 3, "voxel": 14},
        LeavePOut(2, 20),
        two_vs_two,
        Permutation(30),
        None,
        StableVoxels(5),
    ),
    "folds": ({"n": 30, "subject": 6, "time": 3}, KFold(3), pearson, Permutation(30), LeaveOneOutCeiling(), None),
    "held out": (
        {"n": 40, "voxel": 5},
        ShuffleSplit(1, test_size=0.5, random_state=0),
        pearson,
        HeldOutPermutation(30),
        None,
        None,
    ),
    "rotations": ({"n": 60, "phi": 0.4, "voxel": 4}, ContiguousFolds(3), pearson, CircularShift(30), None, None),
    "blocks, choices kept": (
        {"n": 60, "phi": 0.4, "voxel": 4},
        ContiguousFolds(3),
        pearson,
        BlockPermutation(8, 30, keep_choices=True),
        None,
        None,
    ),
    "participants": (
        {"n": 30, "subject": 6, "time": 3},
        KFold(3),
        pearson,
        SignFlip(n_draws=40, keep_draws=True),
        None,
        None,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_family_scores_as_its_members_do(make_data, case):
    kind, splits, metric, inference, ceiling, select = CASES[case]
    data = spaces_of(make_data(signal=0.5, **kind))
    options = {
        "splits": splits,
        "metric": metric,
        "ceiling": ceiling,
        "inference": inference,
        "select": select,
        "rng": 4,
    }
    together = evaluate(RIDGE, data, **options)
    assert together.score.dims[0] == "model"
    assert together.score.model.values.tolist() == ["all", "one", "noise"]
    for name in data:
        alone = evaluate(RIDGE, data[name], **options)
        for what in ("score", "null_observed", "null_draws", "null_exceedances", "null_resolution"):
            ours = together.data[what].sel(model=name, drop=True)
            xr.testing.assert_allclose(ours.drop_attrs(), alone.data[what].drop_attrs(), atol=1e-12)
        if ceiling is not None:
            xr.testing.assert_allclose(together.ceiling, alone.ceiling)
            assert "model" not in together.ceiling.dims


def test_the_best_of_a_draw_is_the_best_of_all_models(make_data):
    data = spaces_of(make_data(30, voxel=4))
    null = evaluate(RIDGE, data, splits=KFold(3), metric=pearson, inference=Permutation(50)).null
    np.testing.assert_array_equal(null.best, null.draws.max(["model", "voxel"]))
    assert (null.p_values("max") >= null.p_values("none")).all()


def test_members_may_have_models_of_their_own(make_data):
    data = make_data(30, voxel=3, signal=1.0)
    models = {"ridge": RIDGE, "least squares": LinearRegression()}
    together = evaluate(models, data, splits=KFold(3), metric=pearson)
    for name, model in models.items():
        alone = evaluate(model, data, splits=KFold(3), metric=pearson)
        xr.testing.assert_allclose(together.score.sel(model=name, drop=True), alone.score)
        assert together.provenance.options[f"{name}.model"] == repr(model)
    spaces = spaces_of(data, ("one", "all"))
    mixed = evaluate({"all": RIDGE, "one": LinearRegression()}, spaces, splits=KFold(3), metric=pearson)
    assert mixed.score.model.values.tolist() == ["one", "all"]
    alone = evaluate(RIDGE, data, splits=KFold(3), metric=pearson)
    xr.testing.assert_allclose(mixed.score.sel(model="all", drop=True), alone.score)


def test_the_record_names_the_features_of_every_space(make_data):
    data = spaces_of(make_data(30))
    record = evaluate(RIDGE, data, splits=KFold(3), metric=pearson).provenance
    alone = evaluate(RIDGE, data["one"], splits=KFold(3), metric=pearson).provenance
    assert record.data["one.features"] == alone.data["features"]
    assert record.data["recording"] == alone.data["recording"]
    assert record.options["model"] == repr(RIDGE)


def test_participants_with_several_spaces_each_are_joined(make_data):
    people = {f"P{i}": spaces_of(make_data(30, seed=i)) for i in range(3)}
    result = evaluate_each(RIDGE, people, dim="subject", splits=KFold(3), metric=pearson, inference=Permutation(25))
    assert result.null.draws.sizes == {"subject": 3, "draw": 25, "model": 3, "voxel": 5}
    mean = result.null.mean("subject")
    np.testing.assert_allclose(mean.draws.values, result.null.draws.mean("subject").values)


def test_a_family_is_saved_and_loaded(make_data, tmp_path):
    result = evaluate(
        RIDGE, spaces_of(make_data(30)), splits=KFold(3), metric=pearson, inference=Permutation(25), ceiling=None
    )
    result.save(tmp_path / "family.nc")
    again = Result.load(tmp_path / "family.nc")
    xr.testing.assert_identical(again.p_values("max"), result.p_values("max"))
    xr.testing.assert_identical(again.difference("all", "one").p_values(), result.difference("all", "one").p_values())


# --- differences ------------------------------------------------------------------------------------------------------


def test_a_difference_pairs_the_draws(make_data):
    data = spaces_of(make_data(40, voxel=4))
    result = evaluate(RIDGE, data, splits=KFold(4), metric=pearson, inference=Permutation(99))
    difference = result.difference("all", "noise")
    expected = result.null.draws.sel(model="all", drop=True) - result.null.draws.sel(model="noise", drop=True)
    np.testing.assert_allclose(difference.null.draws, expected)
    assert difference.null.alternative == "two-sided"
    extreme = (abs(expected) >= abs(difference.score)).sum("draw")
    np.testing.assert_array_equal(difference.null.exceedances, extreme)


DIFFERENCE_TESTS = {
    "samples": ({"n": 30}, KFold(3), Permutation(30)),
    "held out": ({"n": 40}, ShuffleSplit(1, test_size=0.5, random_state=0), HeldOutPermutation(30)),
    "rotations": ({"n": 60, "phi": 0.4}, ContiguousFolds(3), CircularShift(30)),
    "blocks": ({"n": 60, "phi": 0.4}, ContiguousFolds(3), BlockPermutation(8, 30, keep_choices=True)),
    "participants": ({"n": 30, "subject": 7}, KFold(3), SignFlip(n_draws=60, clusters=None)),
    "participants, clusters": ({"n": 30, "subject": 7, "time": 4}, KFold(3), SignFlip(n_draws=60, clusters="tfce")),
    "samples, clusters": ({"n": 30, "time": 4}, KFold(3), Permutation(30, clusters=Clusters("mass", threshold=0.1))),
}


@pytest.mark.parametrize("case", DIFFERENCE_TESTS)
def test_a_difference_is_tested_by_any_inference(make_data, case):
    kind, splits, inference = DIFFERENCE_TESTS[case]
    result = evaluate(RIDGE, spaces_of(make_data(signal=0.5, **kind)), splits=splits, metric=pearson)
    tested = result.difference("all", "noise").test(inference, rng=2)
    assert tested.null.alternative == "two-sided"
    assert float(tested.p_values("none").max()) <= 1
    forth, back = (result.difference(*names).test(inference, rng=2) for names in (("all", "noise"), ("noise", "all")))
    np.testing.assert_allclose(forth.null.observed, -back.null.observed)
    xr.testing.assert_equal(forth.p_values("none"), back.p_values("none"))


def test_a_test_afterwards_is_the_test_of_evaluate(make_data):
    data, inference = spaces_of(make_data(30)), Permutation(30)
    options = {"splits": KFold(3), "metric": pearson}
    at_once = evaluate(RIDGE, data, inference=inference, rng=5, **options)
    afterwards = evaluate(RIDGE, data, rng=5, **options).test(inference, rng=5)
    xr.testing.assert_identical(at_once.data, afterwards.data)
    difference = evaluate(RIDGE, data, **options).difference("all", "one").test(inference, rng=5)
    np.testing.assert_allclose(difference.null.draws, at_once.difference("all", "one").null.draws, atol=1e-12)


def test_what_was_saved_or_changed_has_scores_only(make_data, tmp_path):
    result = evaluate(RIDGE, spaces_of(make_data(30)), splits=KFold(3), metric=pearson)
    result.save(tmp_path / "result.nc")
    loaded = Result.load(tmp_path / "result.nc")
    for finished in (loaded, replace(result, provenance=result.provenance), loaded.difference("all", "one")):
        with pytest.raises(ValueError, match="this result holds scores only"):
            finished.test(Permutation(30))


# --- what is refused --------------------------------------------------------------------------------------------------

BAD = {
    "no space": (lambda d: align({}, d.y), "features: got no feature space"),
    "a name that is none": (lambda d: align({" ": d.x}, d.y), "expected text that names each feature space"),
    "labels of one space": (
        lambda d: align({"a": d.x, "b": d.x[2:]}, d.y),
        "sample labels differ: .* 2 of 30 in the recording alone",
    ),
    "values of one space": (lambda d: align({"a": d.x, "b": d.x * np.nan}, d.y), r"features\['b'\]: 90 of 90"),
    "axes of one space": (lambda d: align({"a": d.x, "b": d.x[:, 0]}, d.y), r"features\['b'\]: got axes \('sample',\)"),
    "a space that says nothing": (
        lambda d: align({"a": d.x, "b": d.x * 0}, d.y),
        r"features\['b'\]: every sample has the same values",
    ),
    "models for other spaces": (
        lambda d: evaluate({"x": RIDGE}, align({"a": d.x}, d.y), splits=KFold(3), metric=pearson),
        r"model: got models for \['x'\], but the feature spaces are \['a'\]",
    ),
    "no model": (lambda d: evaluate({}, d, splits=KFold(3), metric=pearson), "model: got an empty mapping"),
    "spaces of two recordings": (
        lambda d: AlignedSpaces({"a": d, "b": replace(d, y=d.y + 1)}),
        "spaces: they come with different recordings",
    ),
    "no spaces at all": (lambda d: AlignedSpaces({}), "spaces: none given"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_a_sentence(make_data, case):
    call, message = BAD[case]
    with pytest.raises((ValueError, TypeError), match=message):
        call(make_data(30))


def test_sample_coordinates_of_all_spaces_reach_the_recording(make_data):
    data = make_data(30)
    condition = data.x.assign_coords(condition=("sample", np.repeat(["a", "b"], 15)))
    spaces = align({"plain": data.x, "named": condition}, data.y)
    assert spaces.coordinate("condition").tolist() == ["a"] * 15 + ["b"] * 15
    assert spaces["plain"].y is spaces["named"].y
    other = condition.assign_coords(condition=("sample", np.repeat(["b", "a"], 15)))
    with pytest.raises(ValueError, match="coordinate 'condition': features and recording disagree"):
        align({"named": condition, "other": other}, data.y)


def test_the_gap_is_that_of_the_longest_delay(make_data):
    data = make_data(80, phi=0.3)
    spaces = align(
        {"short": data.x.assign_attrs(longest_delay=1), "long": data.x.assign_attrs(longest_delay=4)}, data.y
    )
    assert ContiguousFolds.of(spaces, 3, beyond=0).gap == 4
    with pytest.raises(ValueError, match="the features reach over 4 volumes"):
        evaluate(RIDGE, spaces, splits=ContiguousFolds(3, gap=2), metric=pearson)


def test_targets_are_chosen_once_for_all_spaces(make_data):
    calls = []

    def select(train):
        calls.append(1)
        return train.mean(axis=0).std(axis=0) >= np.median(train.mean(axis=0).std(axis=0))

    data = spaces_of(make_data(10, repeats=2, voxel=8))
    evaluate(RIDGE, data, splits=KFold(5), metric=two_vs_two, select=select)
    evaluate_calls = len(calls)
    evaluate(RIDGE, data["all"], splits=KFold(5), metric=two_vs_two, select=select)
    assert len(calls) == 2 * evaluate_calls


def test_kept_choices_of_every_space_are_its_own(make_data):
    data = spaces_of(make_data(80, 5, phi=0.3, signal=0.5, voxel=6))
    model = RidgeCV((0.1, 10.0, 1000.0), folds=ContiguousFolds(3, gap=2), device="cpu")
    inference = CircularShift(25, keep_choices=True)
    options = {"splits": ContiguousFolds(4, gap=2), "metric": pearson, "inference": inference}
    together = evaluate(model, data, **options).null.draws
    for name in data:
        np.testing.assert_allclose(together.sel(model=name), evaluate(model, data[name], **options).null.draws)
