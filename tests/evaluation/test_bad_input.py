"""What bad input gets from evaluate and its parts: an exact type, and a sentence with what was seen and expected."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit, StratifiedKFold
from sklearn.model_selection import LeaveOneOut as LeaveOneSampleOut

from neuroling import (
    BlockPermutation,
    ByItem,
    CircularShift,
    ContiguousFolds,
    LeaveOneOutCeiling,
    LeavePOut,
    Metric,
    NoSplit,
    Permutation,
    Result,
    Ridge,
    SignFlip,
    SplitHalfCeiling,
    combine,
    cosine,
    evaluate,
    pearson,
    two_vs_two,
)
from neuroling.core.finished_scores import FinishedScores
from neuroling.evaluation import HeldOutPermutation, ShufflesTime
from neuroling.evaluation.metrics import apply

MODEL = Ridge(device="cpu")


class Predicts:
    """A model that answers what it is told to."""

    def __init__(self, answer):
        self.answer = answer

    def fit(self, X, y):
        return self

    def predict(self, X):
        return self.answer(X)


class Splits:
    """A splitter that yields what it is told to."""

    def __init__(self, *splits):
        self.splits = splits

    def split(self, X, y=None, groups=None):
        return iter(self.splits)

    def __str__(self):
        return "Splits"


ROWS = np.arange(24)
MASK = ROWS < 12
RUNS = {"group": np.repeat(["a", "b"], 12), "time_index": np.tile(np.arange(12), 2)}
HALF = {"condition": ["new"] * 12 + ["old"] * 12}
OWN = {"condition": ROWS}
WAVES = pearson.along("time").between("condition", "new", "old")

# what is wrong, how the data differ, what evaluate gets, type, pattern
EVALUATE = [
    (
        "data that were not aligned",
        None,
        {"data": np.eye(3)},
        TypeError,
        r"data: got ndarray; expected align\(features, recording\)",
    ),
    ("a metric by name", {}, {"metric": "pearson"}, TypeError, r"metric: got str; expected a Metric such as pearson"),
    (
        "a class for a model",
        {},
        {"model": LinearRegression},
        TypeError,
        r"model: got LinearRegression itself; expected an instance",
    ),
    ("no model", {}, {"model": "ridge"}, TypeError, r"model: str has no fit and no predict; expected a regressor"),
    (
        "a prediction of another shape",
        {},
        {"model": Predicts(lambda X: np.zeros((len(X), 2)))},
        ValueError,
        r"model: Predicts\.predict gave shape \(6, 2\); expected \(6, 5\) or \(6,\)",
    ),
    (
        "a prediction turned",
        {},
        {"model": Predicts(lambda X: np.zeros((5, len(X))))},
        ValueError,
        r"model: Predicts\.predict gave shape \(5, 6\); expected \(6, 5\)",
    ),
    (
        "a prediction of NaN",
        {},
        {"model": Predicts(lambda X: X[:, 0] * np.nan)},
        ValueError,
        r"model: Predicts\.predict gave 6 of 6 values that are NaN or infinite in split 0; expected finite",
    ),
    (
        "a model that must learn without training",
        {},
        {"splits": NoSplit(), "model": LinearRegression()},
        ValueError,
        r"splits: NoSplit leaves no training samples, and LinearRegression has something to fit.*KFold",
    ),
    (
        "our ridge without training",
        {},
        {"splits": NoSplit()},
        ValueError,
        r"splits: NoSplit leaves no training samples, and Ridge has something to fit",
    ),
    (
        "a seed that is none",
        {},
        {"rng": None},
        TypeError,
        r"rng: got None; expected a whole number of at least 0 or a numpy",
    ),
    ("a negative seed", {}, {"rng": -1}, TypeError, r"rng: got -1; expected a whole number of at least 0"),
    ("a seed with a fraction", {}, {"rng": 0.5}, TypeError, r"rng: got 0\.5; expected a whole number"),
    # metrics
    (
        "a metric of other axes",
        {},
        {"metric": pearson.along("time")},
        ValueError,
        r"metric: pearson.* consumes \('time',\), but the recording has \('sample', 'voxel'\): \['time'\] is missing",
    ),
    (
        "pairs in a time course",
        {"time": 4},
        {"metric": two_vs_two},
        ValueError,
        r"metric: two_vs_two.*but the recording has \('sample', 'time'\): \['voxel'\] is missing",
    ),
    (
        "a metric that keeps samples",
        {},
        {"metric": pearson.along("voxel")},
        ValueError,
        r"metric: .*would keep 'sample'.*Add 'sample' to \.along",
    ),
    (
        "a test set of one for a correlation",
        {},
        {"splits": LeaveOneSampleOut()},
        ValueError,
        r"metric: pearson would rest on 1 held-out value; expected at least 3.*\.pooled\(\)",
    ),
    (
        "a test set of one for pairs",
        {},
        {"splits": LeavePOut(1), "metric": two_vs_two},
        ValueError,
        r"metric: two_vs_two needs two held-out samples to discriminate, got 1; use LeavePOut\(2\)",
    ),
    (
        "a training mean without training",
        {},
        {"splits": NoSplit(), "metric": cosine, "model": Predicts(lambda X: X[:, 0])},
        ValueError,
        r"metric: cosine.*training mean, but a split has no training samples; use \.uncentred",
    ),
    (
        "pairs pooled over folds that overlap",
        {},
        {"splits": LeavePOut(2, 20), "metric": two_vs_two.pooled()},
        ValueError,
        r"metric: two_vs_two, pooled.*hold out \d+ samples 40 times; expected each once",
    ),
    (
        "a metric of another shape",
        {},
        {"metric": Metric("mine", lambda t, p: t)},
        ValueError,
        r"metric: mine gave scores of shape \(5, 6\); expected \(5,\)",
    ),
    (
        "a contrast of a coordinate that is not there",
        {"time": 6},
        {"metric": WAVES},
        ValueError,
        r"coordinate 'condition': the samples carry \['sample'\]; attach it with",
    ),
    (
        "a split lacking a condition",
        {"time": 6, "coords": HALF},
        {"metric": WAVES},
        ValueError,
        r"splits: a test set of 6 samples has none with condition = 'old' \(it has \['new'\]\); use",
    ),
    # selection
    (
        "a selector of another shape",
        {},
        {"select": lambda t: np.ones(3, bool), "metric": two_vs_two},
        ValueError,
        r"select: .* gave bool of shape \(3,\); expected a boolean mask of \(5,\)",
    ),
    (
        "a selector of numbers",
        {},
        {"select": lambda t: np.arange(2), "metric": two_vs_two},
        ValueError,
        r"select: .* gave int64 of shape \(2,\); expected a boolean mask",
    ),
    (
        "a selector that chooses nothing",
        {},
        {"select": lambda t: np.zeros(5, bool), "metric": two_vs_two},
        ValueError,
        r"select: .* chose no target in a training set of 18 samples",
    ),
    (
        "a selector by class",
        {},
        {"select": dict, "metric": two_vs_two},
        TypeError,
        r"select: got dict itself; expected an instance",
    ),
    # splits
    ("no splitter", {}, {"splits": 5}, TypeError, r"splits: got int; expected a splitter with \.split, such as KFold"),
    ("a list of splits", {}, {"splits": [(ROWS[:3], ROWS[3:])]}, TypeError, r"splits: got list; expected a splitter"),
    ("a class for a splitter", {}, {"splits": KFold}, TypeError, r"splits: got KFold itself; expected a splitter"),
    (
        "more folds than samples",
        {},
        {"splits": KFold(50)},
        ValueError,
        r"splits: KFold\(n_splits=50.*cannot split 24 samples.*greater than the number of samples",
    ),
    (
        "group folds without groups",
        {},
        {"splits": GroupKFold(2)},
        ValueError,
        r"splits: GroupKFold.* cannot split 24 samples with no coordinate 'group': The 'groups' parameter",
    ),
    (
        "folds by a class that there is not",
        {},
        {"splits": StratifiedKFold(2)},
        ValueError,
        r"splits: StratifiedKFold.* cannot split 24 samples",
    ),
    (
        "no folds",
        {},
        {"splits": Splits()},
        ValueError,
        r"splits: Splits yields none for 24 samples; expected at least one",
    ),
    (
        "masks for rows",
        {},
        {"splits": Splits((MASK, ~MASK))},
        TypeError,
        r"splits: Splits yields values of type bool; expected row numbers \(integers\)",
    ),
    (
        "rows beyond the end",
        {},
        {"splits": Splits((ROWS, ROWS + 24))},
        ValueError,
        r"splits: the test set of split 0 repeats a row or goes beyond rows 0 to 23",
    ),
    (
        "a row twice",
        {},
        {"splits": Splits((np.r_[0, 0, 1], ROWS[2:]))},
        ValueError,
        r"splits: the training set of split 0 repeats a row",
    ),
    (
        "an empty test set",
        {},
        {"splits": Splits((ROWS, ROWS[:0]))},
        ValueError,
        r"splits: the test set of split 0 is empty; use fewer or larger folds",
    ),
    (
        "an empty training set",
        {},
        {"splits": Splits((ROWS[:0], ROWS))},
        ValueError,
        r"splits: the training set of split 0 is empty",
    ),
    (
        "rows on both sides",
        {},
        {"splits": Splits((ROWS, ROWS[:2]))},
        ValueError,
        r"splits: split 0 has 2 rows on both sides, first \[0, 1\]",
    ),
    (
        "a shuffle without a seed",
        {},
        {"splits": KFold(3, shuffle=True)},
        ValueError,
        r"splits: KFold.* shuffles without a seed.*random_state=0",
    ),
    (
        "a draw without a seed",
        {},
        {"splits": ShuffleSplit(2)},
        ValueError,
        r"splits: ShuffleSplit.* shuffles without a seed",
    ),
    (
        "a shuffle without a seed inside",
        {"phi": 0.5},
        {"splits": ShufflesTime(KFold(3, shuffle=True), because="?")},
        ValueError,
        r"splits: KFold.* shuffles without a seed",
    ),
    (
        "fewer than two folds",
        {},
        {"splits": ContiguousFolds(1)},
        ValueError,
        r"n_splits: got 1; expected at least two folds",
    ),
    (
        "a gap that leaves nothing",
        {"phi": 0.5},
        {"splits": ContiguousFolds(2, gap=30)},
        ValueError,
        r"gap: 30 volumes on either side leave 0 training rows of 24; expected at least two",
    ),
    (
        "a negative gap",
        {},
        {"splits": ContiguousFolds(2, gap=-1)},
        ValueError,
        r"gap: got -1; expected 0 or more volumes",
    ),
    (
        "more folds than volumes",
        {"coords": RUNS},
        {"splits": ContiguousFolds(13)},
        ValueError,
        r"n_splits: got 13; expected at most 12, the length of the shortest run",
    ),
    (
        "leaving all out",
        {},
        {"splits": LeavePOut(24)},
        ValueError,
        r"p: got 24 with 24 samples; expected between 1 and 23",
    ),
    (
        "more subsets than there are",
        {},
        {"splits": LeavePOut(2, 999)},
        ValueError,
        r"n_subsets: got 999; there are 276 subsets of 2 out of 24",
    ),
    (
        "items of other pairs",
        {},
        {"splits": ByItem(KFold(2), np.arange(3), np.arange(3))},
        ValueError,
        r"X: got 24 pairs; the splitter was made for 3",
    ),
    # ceilings
    (
        "halves of what has no repeats",
        {},
        {"ceiling": SplitHalfCeiling()},
        ValueError,
        r"ceiling: SplitHalfCeiling\('repeat'\) needs that axis; the recording has \('sample', 'voxel'\)",
    ),
    (
        "halves of one repeat",
        {"repeats": 1},
        {"ceiling": SplitHalfCeiling()},
        ValueError,
        r"ceiling: the axis 'repeat' has 1 entry; a split-half needs at least two",
    ),
    (
        "no halvings",
        {"repeats": 2},
        {"ceiling": SplitHalfCeiling(n_halvings=0)},
        ValueError,
        r"n_halvings: got 0; expected at least one",
    ),
    (
        "participants that are not there",
        {},
        {"ceiling": LeaveOneOutCeiling()},
        ValueError,
        r"ceiling: LeaveOneOutCeiling\('subject'\) needs that axis among the targets",
    ),
    (
        "one participant",
        {"subject": 1},
        {"ceiling": LeaveOneOutCeiling()},
        ValueError,
        r"ceiling: the axis 'subject' has 1 entry; leaving one out needs at least two",
    ),
    # inference: units that do not fit, too few draws
    (
        "too few draws",
        {},
        {"inference": Permutation(10)},
        ValueError,
        r"n_draws: got 10; at least 20 are needed for p = 0\.05",
    ),
    (
        "too few draws of held-out samples",
        {},
        {"inference": HeldOutPermutation(5)},
        ValueError,
        r"n_draws: got 5; at least 20",
    ),
    (
        "samples exchanged in time",
        {"phi": 0.5},
        {"inference": Permutation(20), "splits": ContiguousFolds(2)},
        ValueError,
        r"inference: Permutation exchanges single samples, but the samples are consecutive in time",
    ),
    (
        "held-out samples exchanged in time",
        {"phi": 0.5},
        {"inference": HeldOutPermutation(20), "splits": ContiguousFolds(2)},
        ValueError,
        r"inference: HeldOutPermutation exchanges single samples, but here the unit is 'time'",
    ),
    (
        "test sets too small to exchange",
        {},
        {"inference": HeldOutPermutation(20)},
        ValueError,
        r"inference: the smallest test set has 6 samples; HeldOutPermutation needs at least 10",
    ),
    (
        "folds whose held-out samples train",
        {},
        {"inference": HeldOutPermutation(20), "splits": KFold(2)},
        ValueError,
        r"inference: of 24 held-out samples 24 also train another split",
    ),
    (
        "shifts of what is not time",
        {},
        {"inference": CircularShift()},
        ValueError,
        r"inference: CircularShift moves stretches of time.*no coordinate 'time_index'",
    ),
    (
        "blocks of what is not time",
        {},
        {"inference": BlockPermutation()},
        ValueError,
        r"inference: BlockPermutation moves stretches of time",
    ),
    (
        "shifts that leave too little",
        {"phi": 0.5},
        {"inference": CircularShift(minimum=10), "splits": ContiguousFolds(2)},
        ValueError,
        r"minimum: got 10; rotations of at least so many volumes leave 5 different ones in a run of 24",
    ),
    (
        "a shift of nothing",
        {"phi": 0.5},
        {"inference": CircularShift(minimum=0), "splits": ContiguousFolds(2)},
        ValueError,
        r"minimum: got 0; .*expected a minimum of at least 1",
    ),
    (
        "more rotations than there are",
        {"phi": 0.5},
        {"inference": CircularShift(100), "splits": ContiguousFolds(2)},
        ValueError,
        r"n_draws: got 100; one run of 24 volumes has 23 rotations",
    ),
    (
        "blocks as long as the run",
        {"phi": 0.0},
        {"inference": BlockPermutation(12), "splits": ContiguousFolds(2)},
        ValueError,
        r"block: got 12 volumes, which make 2 blocks of a run of 24; expected at least 5",
    ),
    (
        "blocks of one",
        {"phi": 0.0},
        {"inference": BlockPermutation(1), "splits": ContiguousFolds(2)},
        ValueError,
        r"block: got 1; expected at least two volumes",
    ),
    (
        "nothing to exchange within",
        {"coords": OWN},
        {"inference": Permutation(20, groups="within", group_by="condition")},
        ValueError,
        r"inference: samples within condition have fewer than 20 orders, too few for p = 0\.05",
    ),
    (
        "within a coordinate that is not there",
        {},
        {"inference": Permutation(20, groups="within", group_by="list")},
        ValueError,
        r"coordinate 'list': the samples carry \['sample'\]",
    ),
    (
        "flips of what has no participants",
        {},
        {"inference": SignFlip()},
        ValueError,
        r"inference: SignFlip\('subject'\) needs that axis in the scores, which have \('voxel',\)",
    ),
    (
        "flips of three participants",
        {"subject": 3},
        {"inference": SignFlip()},
        ValueError,
        r"inference: 3 along 'subject' have 8 sign flips, too few for p = 0\.05; expected at least 5",
    ),
    (
        "clusters of voxels in a list",
        {"subject": 6, "voxel": 4},
        {"inference": SignFlip(clusters="mass")},
        ValueError,
        r"clusters: the scores have \('voxel',\), and none of these has neighbours.*neighbours_in_volume",
    ),
    (
        "two-sided flips of five participants",
        {"subject": 5},
        {"inference": SignFlip(two_sided=True)},
        ValueError,
        r"inference: 5 along 'subject' have 32 sign flips, too few for p = 0\.05, two-sided or resampled; "
        "expected at least 6",
    ),
]


@pytest.mark.parametrize(
    ("data", "options", "kind", "pattern"), [c[1:] for c in EVALUATE], ids=[c[0] for c in EVALUATE]
)
def test_evaluate_says_what_is_wrong(make_data, data, options, kind, pattern):
    given = {"model": MODEL, "splits": KFold(4), "metric": pearson, **options}
    if data is not None:
        given["data"] = make_data(24, **data)
    model, aligned = given.pop("model"), given.pop("data")
    with pytest.raises(kind, match=pattern) as caught:
        evaluate(model, aligned, **given)
    assert type(caught.value) is kind


def test_items_say_what_cannot_be_done_with_them(make_pairs, make_data, nothing_to_fit):
    pairs = make_pairs(6, 2)
    options = {"splits": NoSplit(), "metric": pearson}
    with pytest.raises(
        ValueError, match=r"groups: got 'within' by 'first', but the samples are pairs of items.*expected the default"
    ):
        evaluate(nothing_to_fit, pairs, inference=Permutation(20, groups="within", group_by="first"), **options)
    with pytest.raises(
        ValueError, match=r"inference: HeldOutPermutation exchanges single samples, but here the unit is 'item'"
    ):
        evaluate(nothing_to_fit, pairs, inference=HeldOutPermutation(20), **options)
    with pytest.raises(ValueError, match=r"data: 3 items have 3 pairs, over which agreement says nothing"):
        evaluate(nothing_to_fit, make_pairs(3, 2), inference=Permutation(20), **options)
    with pytest.raises(
        ValueError, match=r"data: samples are exchanged by 'sample', not pairs of items; ByItem needs pairs"
    ):
        ByItem.of(KFold(2), make_data(6))


SCORES = xr.DataArray(np.random.default_rng(0).standard_normal((6, 3)), dims=("subject", "time"))
ONE = Result.of(xr.DataArray([0.5], dims="split"), metric="m")

# what is wrong, the call, type, pattern
PARTS = [
    (
        "an axis that is none",
        lambda: pearson.along("tiem"),
        ValueError,
        r"pearson\.along: unknown axis 'tiem'; expected names among",
    ),
    ("no axis", lambda: pearson.along(), ValueError, r"pearson\.along: no axis given; expected at least one"),
    (
        "patterns without samples",
        lambda: two_vs_two.along("voxel", "time"),
        ValueError,
        r"two_vs_two.*\.along: got \('voxel', 'time'\).*expected 'sample' and at least one more",
    ),
    (
        "a condition against itself",
        lambda: pearson.along("time").between("condition", "a", "a"),
        ValueError,
        r"plus, minus: both are 'a'; expected two different values of 'condition'",
    ),
    (
        "a difference with nothing to score over",
        lambda: pearson.between("condition", "a", "b"),
        ValueError,
        r"pearson: nothing is left to score over.*pearson\.along\(\"time\"\)\.between",
    ),
    (
        "a difference of patterns",
        lambda: two_vs_two.between("condition", "a", "b"),
        ValueError,
        r"two_vs_two.*tells samples apart, and a difference wave has none left",
    ),
    (
        "scores that are undefined",
        lambda: SignFlip()(FinishedScores(SCORES.where(SCORES > -1)), np.random.default_rng(0)),
        ValueError,
        r"inference: \d+ of 18 scores are NaN or infinite; leave those locations out first",
    ),
    (
        "scores that are all alike",
        lambda: SignFlip()(
            FinishedScores(SCORES.copy(data=np.c_[np.ones(6), SCORES[:, 1:]])), np.random.default_rng(0)
        ),
        ValueError,
        r"inference: all 6 along 'subject' have the same score at 1 of 3 locations; t is undefined there",
    ),
    (
        "too few flips",
        lambda: SignFlip(n_draws=3)(FinishedScores(SCORES), np.random.default_rng(0)),
        ValueError,
        r"n_draws: got 3; at least 20",
    ),
    ("nothing to combine", lambda: combine({}, dim="subject"), ValueError, r"results: none given; expected a mapping"),
    (
        "a list to combine",
        lambda: combine([ONE], dim="subject"),
        TypeError,
        r"results: got list; expected a mapping such as",
    ),
    (
        "something else to combine",
        lambda: combine({"a": ONE, "b": 0.5}, dim="subject"),
        TypeError,
        r"results: got \{'b': 'float'\}; expected a Result",
    ),
    (
        "an axis that is none to combine along",
        lambda: combine({"a": ONE}, dim="person"),
        ValueError,
        r"dim: unknown axis 'person'; expected names among",
    ),
]


@pytest.mark.parametrize(("call", "kind", "pattern"), [case[1:] for case in PARTS], ids=[case[0] for case in PARTS])
def test_the_parts_say_what_is_wrong(call, kind, pattern):
    with pytest.raises(kind, match=pattern) as caught:
        call()
    assert type(caught.value) is kind


def test_an_undefined_score_is_never_silent():
    truth = np.c_[np.ones(6), np.arange(6.0)]
    with pytest.warns(
        UserWarning, match=r"pearson: 1 of 2 scores are undefined \(NaN\), because truth or prediction is constant"
    ):
        scores = apply(pearson, truth, truth, ("sample", "voxel"), None)
    assert np.isnan(scores).tolist() == [True, False]


def test_an_interrupted_evaluation_changes_nothing(make_data):
    data = make_data(24)
    before = data.x.copy(deep=True), data.y.copy(deep=True)

    def interrupt(X):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(Predicts(interrupt), data, splits=KFold(4), metric=pearson, inference=Permutation(20))
    xr.testing.assert_identical(data.x, before[0])
    xr.testing.assert_identical(data.y, before[1])
