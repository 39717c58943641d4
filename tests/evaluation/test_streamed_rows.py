"""Dissimilarities that are made while they are compared: the same numbers as fitting and scoring one by one."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from neuroling import (
    ByItem,
    LeaveOneOutCeiling,
    NoSplit,
    Permutation,
    SignFlip,
    confound_rdms,
    evaluate,
    model_rdms,
    pairwise,
    pearson,
    spearman,
)
from neuroling.core.protocols import Split
from neuroling.evaluation.inference.exchange import ItemOrders
from neuroling.evaluation.rdm_metrics import RDM_METRICS, rho_a
from neuroling.evaluation.strategies.direct import DirectScoring
from neuroling.evaluation.strategies.streamed_rows import StreamedRows
from neuroling.evaluation.strategies.task import ScoringTask
from neuroling.numerics.rdm.comparison import partial_spearman
from neuroling.rsa import FixedRDM, decoding_rdms, rdms, stack_models

N_ITEMS, N_PEOPLE = 8, 6
ITEMS = [f"word {number}" for number in range(N_ITEMS)]
WHOLE = np.float64
NAMED = pytest.mark.parametrize("metric", RDM_METRICS, ids=lambda metric: metric.name)


@pytest.fixture(scope="module")
def features():
    values = np.random.default_rng(1).standard_normal((N_ITEMS, 3))
    return xr.DataArray(values, dims=("sample", "feature"), coords={"sample": ITEMS})


@pytest.fixture(scope="module")
def recording(features):
    rng = np.random.default_rng(2)
    signal = features.to_numpy() @ rng.standard_normal((3, 5))
    values = signal[:, None, None, :, None] + rng.standard_normal((N_ITEMS, N_PEOPLE, 3, 5, 4))
    return xr.DataArray(
        values,
        dims=("sample", "subject", "repeat", "channel", "time"),
        coords={
            "sample": ITEMS,
            "subject": [f"s{number}" for number in range(N_PEOPLE)],
            "channel": list("ABCDE"),
            "time": [0.0, 0.1, 0.2, 0.3],
        },
    )


@pytest.fixture(scope="module")
def models(features):
    other = features.copy(data=np.round(np.random.default_rng(3).standard_normal(features.shape)))
    named = {"true": features, "coarse": other}
    return stack_models(*(model_rdms(x, "euclidean").assign_coords(model=[name]) for name, x in named.items()))


@pytest.fixture(scope="module")
def control():
    import pandas as pd

    lengths = np.random.default_rng(4).integers(2, 9, N_ITEMS)
    return confound_rdms(pd.DataFrame({"length": lengths}, index=ITEMS), ["length"])


def task_of(data, metric, model="true"):
    whole = np.arange(data.n_samples)
    return ScoringTask(FixedRDM(), data[model], [Split(whole[:0], whole)], metric)


@NAMED
def test_scores_are_those_of_one_model_after_the_other(models, recording, metric):
    pairs = pairwise(models, recording, dtype=WHOLE)
    scores = StreamedRows(task_of(pairs, metric), task_of(pairs, metric, "coarse")).family_scores()[0]
    for number, model in enumerate(pairs):
        direct = DirectScoring(task_of(pairs.loaded(), metric, model)).scores()[0]
        np.testing.assert_allclose(scores[number], direct, atol=1e-12)


@pytest.mark.parametrize("metric", [spearman, pearson], ids=lambda metric: metric.name)
def test_partial_scores_are_those_of_one_model_after_the_other(models, recording, control, metric):
    pairs = pairwise(models, recording, dtype=WHOLE)
    streamed = StreamedRows(task_of(pairs, metric.partial(control))).scores()
    direct = DirectScoring(task_of(pairs.loaded(), metric.partial(control))).scores()
    np.testing.assert_allclose(streamed, direct, atol=1e-12)
    assert np.abs(streamed - StreamedRows(task_of(pairs, metric)).scores()).max() > 0.01


@NAMED
def test_items_are_exchanged_as_in_a_recording_that_is_reordered(models, recording, metric):
    pairs = pairwise(models, recording.isel(subject=slice(2), time=slice(2)), dtype=WHOLE)
    orders = ItemOrders(pairs.first, np.stack([np.random.default_rng(k).permutation(N_ITEMS) for k in range(3)]))
    streamed = list(StreamedRows(task_of(pairs, metric), task_of(pairs, metric, "coarse")).family_reordered(orders))
    for number, model in enumerate(pairs):
        direct = list(DirectScoring(task_of(pairs.loaded(), metric, model)).reordered(orders))
        np.testing.assert_allclose([draw[number] for draw in streamed], direct, atol=1e-12)


@pytest.mark.parametrize("metric", [spearman, pearson], ids=lambda metric: metric.name)
def test_controls_move_with_the_models_where_items_are_exchanged(models, recording, control, metric):
    pairs = pairwise(models, recording.isel(subject=slice(2), time=slice(2)), dtype=WHOLE)
    orders = ItemOrders(pairs.first, np.stack([np.random.default_rng(k).permutation(N_ITEMS) for k in range(3)]))
    streamed = list(StreamedRows(task_of(pairs, metric.partial(control))).reordered(orders))
    direct = list(DirectScoring(task_of(pairs.loaded(), metric.partial(control))).reordered(orders))
    np.testing.assert_allclose(streamed, direct, atol=1e-12)


def test_draws_are_the_same_in_however_many_passes(models, recording, monkeypatch):
    options = {"metric": spearman, "inference": Permutation(30), "rng": 3}
    whole = evaluate(FixedRDM(), pairwise(models, recording), **options)
    monkeypatch.setattr("neuroling.evaluation.strategies.streamed_rows.DRAW_BYTES", 5000)
    pieces = evaluate(FixedRDM(), pairwise(models, recording), **options)
    np.testing.assert_allclose(pieces.null.draws.values, whole.null.draws.values, atol=1e-12)
    assert pieces.null.relabelings == whole.null.relabelings


def test_a_null_of_items_is_that_of_dissimilarities_in_memory(models, recording):
    options = {"metric": spearman, "inference": Permutation(30), "rng": 3}
    lazy = evaluate(FixedRDM(), pairwise(models, recording, dtype=WHOLE), **options)
    held = evaluate(FixedRDM(), pairwise(models, recording, dtype=WHOLE).loaded(), **options)
    np.testing.assert_allclose(lazy.null.draws.values, held.null.draws.values, atol=1e-12)
    np.testing.assert_array_equal(lazy.p_values("max").values, held.p_values("max").values)


def test_partial_bounds_are_partial_correlations_with_mean_ranks(models, recording, control):
    pairs = pairwise(models, recording, dtype=WHOLE)
    ceiling = evaluate(FixedRDM(), pairs, metric=spearman.partial(control), ceiling=LeaveOneOutCeiling()).ceiling
    from scipy.stats import rankdata

    rows = rdms(recording).sel(time=0.2).transpose("subject", "sample").to_numpy()
    ranks, held = rankdata(rows, axis=1), control.transpose("model", "sample").to_numpy()
    for person in range(N_PEOPLE):
        own, others = rows[person : person + 1], np.delete(ranks, person, axis=0).mean(axis=0, keepdims=True)
        at_person = ceiling.isel(subject=person).sel(time=0.2)
        lower = partial_spearman(own, others, held).item()
        upper = partial_spearman(own, ranks.mean(axis=0, keepdims=True), held).item()
        assert at_person.sel(bound="lower").item() == pytest.approx(lower, abs=1e-10)
        assert at_person.sel(bound="upper").item() == pytest.approx(upper, abs=1e-10)


def test_ceilings_of_patches_are_those_of_each_patch(models, recording):
    patches = {"front": ["A", "B", "C"], "back": ["C", "D", "E"]}
    options = {"metric": spearman, "ceiling": LeaveOneOutCeiling()}
    light = evaluate(FixedRDM(), pairwise(models, recording, patches=patches), **options)
    assert light.ceiling.dims == ("bound", "subject", "region", "time")
    alone = evaluate(FixedRDM(), pairwise(models, recording.sel(channel=patches["back"])), **options)
    np.testing.assert_array_equal(light.ceiling.sel(region="back").values, alone.ceiling.values)
    np.testing.assert_array_equal(light.score.sel(region="back").values, alone.score.values)


def test_values_are_those_of_rdms_wherever_they_are_read(models, recording):
    pairs = pairwise(models, recording, dtype=WHOLE)
    expected = rdms(recording)
    xr.testing.assert_allclose(pairs.y, expected.transpose(*pairs.y.dims))
    part = {"subject": 2, "time": slice(1, 3), "sample": [4, 0]}
    np.testing.assert_allclose(pairs.y.isel(part).values, expected.transpose(*pairs.y.dims).isel(part).values)
    light = pairwise(models, recording, patches={"front": ["A", "B"], "back": ["D", "E"]}, dtype=WHOLE).y
    back = rdms(recording.sel(channel=["D", "E"])).transpose("sample", "subject", "time")
    np.testing.assert_allclose(light.sel(region="back").values, back.values)
    np.testing.assert_allclose(light.isel(region=[1], time=2)[:, :, 0].values, back.isel(time=2).values)


@pytest.mark.filterwarnings("ignore:.*few-items")
def test_weights_are_learned_from_dissimilarities_that_are_made_on_demand(models, recording):
    spaces = pairwise({"both": models}, recording, dtype=WHOLE)
    splits = ByItem.of(KFold(2), spaces)
    result = evaluate(LinearRegression(), spaces, splits=splits, metric=pearson)
    held = evaluate(LinearRegression(), spaces.loaded(), splits=splits, metric=pearson)
    np.testing.assert_array_equal(result.score.values, held.score.values)
    assert result.score.sizes == {"model": 1, "subject": N_PEOPLE, "time": 4}


def test_models_without_something_to_fit_need_no_splits(models, recording):
    pairs = pairwise(models, recording)
    without = evaluate(FixedRDM(), pairs, metric=spearman).score
    xr.testing.assert_identical(without, evaluate(FixedRDM(), pairs, splits=NoSplit(), metric=spearman).score)


@pytest.mark.filterwarnings("ignore:.*items-fixed")
def test_dissimilarities_pass_by_once_for_scores_ceiling_and_participants(models, recording, monkeypatch):
    from neuroling.rsa.dissimilarity import PatternPairs

    passed, stream = [], PatternPairs.stream
    monkeypatch.setattr(
        PatternPairs, "stream", lambda self, place, block: passed.append(place) or stream(self, place, block)
    )
    people = SignFlip("subject", n_draws=40)
    result = evaluate(
        FixedRDM(), pairwise(models, recording), metric=rho_a, ceiling=LeaveOneOutCeiling(), inference=people
    )
    assert passed == list(range(N_PEOPLE))
    result.difference("true", "coarse").test(SignFlip("subject", n_draws=80))
    assert passed == list(range(N_PEOPLE))


def test_a_missing_pair_keeps_items_from_being_exchanged(models, recording):
    broken = rdms(recording).copy()
    broken[2, 0] = np.nan
    with (
        pytest.warns(UserWarning, match="missing-pairs"),
        pytest.raises(ValueError, match=r"4 dissimilarities .* are missing"),
    ):
        evaluate(FixedRDM(), pairwise(models, broken), metric=spearman, inference=Permutation(30))


def test_a_control_that_is_the_model_is_refused(models, recording):
    twice = models.sel(model=["true"]).assign_coords(model=["twice"]) * 2
    with pytest.raises(ValueError, match=r"controls: .* explains the model 'true' altogether"):
        evaluate(FixedRDM(), pairwise(models, recording), metric=spearman.partial(twice))


@pytest.mark.parametrize(
    ("controlled", "message"),
    [
        (lambda metric, c: metric.along("time").partial(c), "held constant over samples"),
        (lambda metric, c: metric.partial(c).along("time"), "within every split"),
        (lambda metric, c: metric.partial(c).partial(c), "all controls in one array"),
        (lambda metric, c: rho_a.partial(c), "rho-a has no partial form"),
        (lambda metric, c: metric.partial(c.rename(model="feature")), "expected a DataArray"),
    ],
)
def test_controls_that_cannot_be_held_constant_are_refused(control, controlled, message):
    with pytest.raises((ValueError, TypeError), match=message):
        controlled(spearman, control)


def test_controls_are_matched_by_label(models, recording, control):
    pairs = pairwise(models, recording)
    turned = control.isel(sample=slice(None, None, -1))
    expected = evaluate(FixedRDM(), pairs, metric=spearman.partial(control)).score
    xr.testing.assert_identical(evaluate(FixedRDM(), pairs, metric=spearman.partial(turned)).score, expected)
    with pytest.raises(ValueError, match="controls: labels of pairs differ: 1 of 28"):
        evaluate(FixedRDM(), pairs, metric=spearman.partial(control.isel(sample=slice(1, None))))


def test_controls_are_told_apart_by_their_values(models, recording, control):
    other = control + 1
    assert spearman.partial(control) == spearman.partial(control.copy())
    assert spearman.partial(control) != spearman.partial(other)
    pairs = pairwise(models, recording)
    records = [evaluate(FixedRDM(), pairs, metric=spearman.partial(c)).provenance.data for c in (control, other)]
    assert records[0]["controls"] != records[1]["controls"]


def test_items_that_are_pairs_themselves_are_items(models, recording):
    """Epochs of word pairs have columns of their own that may be called first and second."""
    cued = recording.assign_coords(first=("sample", list("abcdefgh")), second=("sample", list("ijklmnop")))
    xr.testing.assert_equal(
        evaluate(FixedRDM(), pairwise(models, cued), metric=spearman).score,
        evaluate(FixedRDM(), pairwise(models, recording), metric=spearman).score,
    )
    by_channel = xr.concat([rdms(recording)] * 2, "channel").assign_coords(channel=["A", "B"])
    assert pairwise(models, by_channel).y.sizes["channel"] == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 3}, "window: the recording holds dissimilarities"),
        ({"noise": "training folds"}, "noise: the recording holds dissimilarities"),
        ({"patches": {"front": ["A"]}}, "patches: the recording holds dissimilarities"),
    ],
)
def test_options_of_patterns_are_refused_for_dissimilarities(models, recording, options, message):
    with pytest.raises(ValueError, match=message):
        pairwise(models, rdms(recording), **options)


def test_patches_along_an_axis_that_is_there_are_refused(models, recording):
    with pytest.raises(ValueError, match="patches: they would lie along 'region'"):
        pairwise(models, recording.rename(subject="region"), patches={"front": ["A", "B"]})


def test_decoding_accuracies_are_dissimilarities_like_any(models, recording):
    accuracies = decoding_rdms(recording, n_pseudo=3, n_draws=1)
    result = evaluate(FixedRDM(), pairwise(models, accuracies), metric=spearman, ceiling=LeaveOneOutCeiling())
    assert result.score.sizes == {"model": 2, "subject": N_PEOPLE, "time": 4}
    expected = spearmanr(accuracies.isel(subject=1, time=2), models.sel(model="true"))[0]
    assert float(result.score.sel(model="true").isel(subject=1, time=2)) == pytest.approx(expected)
