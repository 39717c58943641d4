"""Traps of encoding models, on data with no effect or a known one: how large each is, and that it is shut."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.model_selection import KFold, LeaveOneGroupOut

from neuroling import ContiguousFolds, Ridge, RidgeCV, align, convolve, delay, evaluate, pearson
from neuroling.encoding.controls import smoothed_identity, volume_controls, volume_position
from neuroling.encoding.drift import remove_drift
from neuroling.evaluation import ShufflesTime

ALPHAS = np.logspace(-1, 4, 6)


def recording_of(values, **coords):
    given = {name: ("sample", np.asarray(value)) for name, value in coords.items()}
    labels = {"sample": np.arange(len(values)), "voxel": np.arange(values.shape[1])}
    return xr.DataArray(values, dims=("sample", "voxel"), coords={**labels, **given})


def score_of(features, recording, splits, metric=pearson, model=None):
    model = model or RidgeCV(ALPHAS, folds=ContiguousFolds(3, gap=10), device="cpu")
    return float(evaluate(model, align(features, recording), splits=splits, metric=metric).score.mean())


def test_features_without_content_score_only_where_neighbours_are_told_apart(make_ar):
    """Noise with an autocorrelation of 0.8: shuffled folds reward knowing which volumes are close together."""
    y = recording_of(make_ar(240, 80, 0.8, np.random.default_rng(0)), time_index=np.arange(240))
    identity = smoothed_identity(y)
    shuffled = ShufflesTime(KFold(4, shuffle=True, random_state=0), because="to measure the leak")
    scores = [score_of(identity, y, splits) for splits in (shuffled, ContiguousFolds(4), ContiguousFolds(4, gap=10))]
    assert scores[0] > 0.6
    assert 0.03 < scores[1] < scores[0]
    assert abs(scores[2]) < 0.03


def test_correlations_pooled_over_folds_fall_below_zero_on_nothing(make_ar):
    """The mean of a test fold lies opposite to that of its training rows; counted from the training mean it is gone."""
    rng = np.random.default_rng(0)
    y = recording_of(make_ar(200, 200, 0.8, rng), time_index=np.arange(200))
    x = recording_of(make_ar(200, 5, 0.8, rng)).rename(voxel="feature")
    folds, model = ContiguousFolds(5, gap=10), Ridge(1e3, device="cpu")
    raw, centred, by_fold = (
        score_of(x, y, folds, metric, model) for metric in (pearson.pooled().uncentred(), pearson.pooled(), pearson)
    )
    assert raw < -0.08
    assert abs(centred) < 0.04
    assert abs(by_fold) < 0.04


def test_delays_across_stories_predict_words_that_nobody_heard():
    """Stories of 14 volumes end in words whose response is not in the next one, and stacked delays put it there."""
    rng = np.random.default_rng(0)
    stories = np.repeat(np.arange(8), 14)
    x = recording_of(rng.standard_normal((112, 1)), group=stories, time_index=np.tile(np.arange(14), 8))
    x = x.rename(voxel="feature")
    apart = delay(x, range(4), runs="group")
    stacked = delay(x.drop_vars("time_index"), range(4), runs=np.zeros(112))
    truth = apart.to_numpy() @ np.array([0.2, 1.0, 0.8, 0.4])[:, None]
    y = recording_of(truth + 0.1 * rng.standard_normal((112, 20)), group=stories, time_index=x.time_index.values)
    scores = [score_of(d, y, LeaveOneGroupOut(), model=Ridge(0.1, device="cpu")) for d in (apart, stacked)]
    assert scores[0] > 0.99
    assert scores[1] < scores[0] - 0.03


def test_volumes_that_count_from_zero_again_cannot_be_stacked():
    x = recording_of(np.zeros((6, 1)), time_index=[0, 1, 2, 0, 1, 2]).rename(voxel="feature")
    with pytest.raises(ValueError, match=r"time_index: not counting up by one within run 0\.0"):
        delay(x, [1], runs=np.zeros(6))


def test_the_smear_is_that_of_a_gaussian_within_runs():
    y = recording_of(np.zeros((6, 1)), group=[0, 0, 0, 1, 1, 1])
    found = smoothed_identity(y, width=1.5).to_numpy()
    assert found[2, 1] == pytest.approx(np.exp(-1 / 4.5))
    assert found[2, 3] == 0.0


def test_positions_run_from_minus_one_to_one_in_every_run():
    found = volume_position(recording_of(np.zeros((6, 1)), group=[0, 0, 0, 1, 1, 1]), order=2).to_numpy()
    np.testing.assert_array_equal(found[:3], [[-1, 1], [0, 0], [1, 1]])
    np.testing.assert_array_equal(found[3:], found[:3])


def test_controls_of_words_are_spread_like_features_and_do_not_hold_their_rate():
    rng = np.random.default_rng(4)
    y = recording_of(np.zeros((100, 1)), onset=2.0 * np.arange(100), group=np.zeros(100)).assign_attrs(tr_s=2.0)
    coords = {"onset": ("sample", np.sort(rng.uniform(0, 190, 400)))}
    rate, length = (xr.DataArray(x, dims=("sample", "feature"), coords=coords)
                    for x in (np.ones((400, 1)), rng.integers(1, 9, (400, 1)).astype(float)))  # fmt: skip
    beside = recording_of(rng.standard_normal((100, 1))).rename(voxel="feature")
    found = volume_controls(y, {"word rate": rate, "length": length}, {"frequency": beside})
    plain = {"word rate": rate, "length": length - length.mean("sample")}
    for name, each in plain.items():
        expected = remove_drift(convolve(each, y.onset), 2.0)
        np.testing.assert_allclose(found[name], expected, atol=1e-12)
    np.testing.assert_array_equal(found["frequency"], remove_drift(beside, 2.0))
    np.testing.assert_array_equal(found["position"], volume_position(y, order=1))
    np.testing.assert_array_equal(found["smoothed identity"], smoothed_identity(y))
    moved = volume_controls(y, {"length": length + 5.0}, {})["length"]
    np.testing.assert_allclose(moved, found["length"], atol=1e-9)


def timed(y, group):
    return y.assign_coords(onset=("sample", 2.0 * np.arange(4)), group=("sample", group)).assign_attrs(tr_s=2.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda y: smoothed_identity(y, width=0.0), "width: got 0.0"),
        (lambda y: volume_position(y, order=0), "order: got 0"),
        (lambda y: volume_controls(y, {}, {}), "expected the coordinate 'onset' and the attribute 'tr_s'"),
        (lambda y: volume_controls(timed(y, [0, 0, 1, 1]), {}, {}), "recording: 2 runs; expected one"),
        (
            lambda y: volume_controls(timed(y, [0, 0, 0, 0]), {"position": y}, {}),
            r"\['position'\] would be there twice",
        ),
    ],
    ids=["no width", "no order", "no times", "two runs", "a name twice"],
)
def test_controls_without_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make(recording_of(np.zeros((4, 1))))
