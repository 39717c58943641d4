"""Items with unequal numbers of repeats: distances equal a plain loop and rsatoolbox, and stay unbiased."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from neuroling import align, evaluate, pairwise, pearson
from neuroling.data.eeg import from_arrays, join_subjects
from neuroling.evaluation.splits import NoSplit
from neuroling.numerics.rdm import distances as kernels
from neuroling.numerics.rdm import noise_normalisation as whitening
from neuroling.rsa import noise
from neuroling.rsa.decode import decoding_rdms
from neuroling.rsa.dissimilarity import rdms
from neuroling.rsa.pairs import FixedRDM

COUNTS = np.array([5, 3, 4, 2, 5, 3])
N_CHANNELS, N_TIMES = 7, 4


def unequal(counts=COUNTS, seed=0, effect=1.0, dtype=np.float64, mean=0.0):
    """Trials of items with a pattern of their own, as from_arrays lays them out."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([f"word {item}" for item in range(len(counts))], counts)
    patterns = np.repeat(effect * rng.standard_normal((len(counts), N_CHANNELS, N_TIMES)), counts, axis=0)
    trials = (patterns + mean + 3 * rng.standard_normal(patterns.shape)).astype(dtype)
    times = np.arange(N_TIMES) / 100
    return from_arrays(trials, labels, times, [f"c{n}" for n in range(N_CHANNELS)], unit="a.u.")


def with_covariance(seed=5):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((N_CHANNELS, N_CHANNELS))
    return root @ root.T + 3 * np.eye(N_CHANNELS)


def loop(folds, weights, precision=None):
    """The definition, pair by pair and fold by fold; folds (fold, item, channel), weights (fold, item)."""
    n_folds, n_items, n_channels = folds.shape
    precision = np.eye(n_channels) if precision is None else precision
    similar = np.full((n_items, n_items), np.nan)
    for i in range(n_items):
        for j in range(n_items):
            total = weight = 0.0
            for f in range(n_folds):
                for g in range(n_folds):
                    if f != g and weights[f, i] > 0 and weights[g, j] > 0:
                        matrix = precision if precision.ndim == 2 else (precision[f] + precision[g]) / 2
                        total += weights[f, i] * weights[g, j] * (folds[f, i] @ matrix @ folds[g, j])
                        weight += weights[f, i] * weights[g, j]
            similar[i, j] = total / (weight * n_channels)
    own = np.diag(similar)
    first, second = np.triu_indices(n_items, 1)
    return (own[:, None] + own - 2 * similar)[first, second]


def folds_of(recording):
    return recording.transpose("repeat", "sample", "channel", "time").to_numpy()


def weights_of(recording):
    return recording.n_averaged.transpose("repeat", "sample").to_numpy().astype(float)


def test_crossnobis_equals_the_definition():
    recording = unequal()
    got = rdms(recording)
    assert (got.attrs["n_trials_min"], got.attrs["n_trials_max"], got.attrs["biased"]) == (2, 5, 0)
    for time in range(N_TIMES):
        expected = loop(folds_of(recording)[..., time], weights_of(recording))
        np.testing.assert_allclose(got.isel(time=time), expected, rtol=1e-10)


def test_crossnobis_with_a_precision_equals_the_definition():
    recording = unequal()
    covariance = with_covariance()
    labels = recording.channel.to_numpy()
    given = xr.DataArray(covariance, dims=("channel", "feature"), coords={"channel": labels, "feature": labels})
    got = rdms(recording, noise=given)
    expected = loop(folds_of(recording)[..., 1], weights_of(recording), np.linalg.inv(covariance))
    np.testing.assert_allclose(got.isel(time=1), expected, rtol=1e-9)


def test_crossnobis_with_the_noise_of_training_folds_equals_the_definition():
    recording = unequal(np.array([5, 4, 4, 3, 5, 3]))
    folds = folds_of(recording)
    precisions = whitening.training_precisions(folds)
    for fold in range(5):  # the noise of the other folds alone
        others = np.delete(folds, fold, axis=0)
        residuals = others - np.nanmean(others, axis=0)
        shows = np.isfinite(others[..., 0, 0]).sum(axis=0) > 1
        rows = np.moveaxis(residuals, 2, -1)[np.isfinite(others[..., 0, 0]) & shows].reshape(-1, N_CHANNELS)
        covariance = whitening.shrunk_covariance(rows, degrees_lost=int(shows.sum()) * N_TIMES)
        np.testing.assert_allclose(np.linalg.inv(precisions[fold]), covariance, rtol=1e-8)
    got = rdms(recording, noise="training folds")
    n_items = folds.shape[1]
    similar = np.zeros((n_items, n_items))
    weights = weights_of(recording)
    for i in range(n_items):
        for j in range(n_items):
            pairs = [(f, g) for f in range(5) for g in range(5) if f != g and weights[f, i] and weights[g, j]]
            values = [folds[f, i, :, 2] @ (precisions[f] + precisions[g]) @ folds[g, j, :, 2] / 2 for f, g in pairs]
            similar[i, j] = np.mean(values) / N_CHANNELS
    own, upper = np.diag(similar), np.triu_indices(n_items, 1)
    np.testing.assert_allclose(got.isel(time=2), (own[:, None] + own - 2 * similar)[upper], rtol=1e-9)


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")  # rsatoolbox, where it labels its answer
def test_crossnobis_equals_rsatoolbox_trial_by_trial():
    rsatoolbox = pytest.importorskip("rsatoolbox")
    recording = unequal(mean=2.0)
    got = rdms(recording)
    covariance = with_covariance()
    stacked = recording.stack(trial=("sample", "repeat")).dropna("trial").isel(time=3).transpose("trial", "channel")
    data = rsatoolbox.data.Dataset(
        np.ascontiguousarray(stacked.values),
        obs_descriptors={"item": stacked["sample"].to_numpy().tolist(), "fold": stacked["repeat"].to_numpy().tolist()},
    )
    for precision in (None, np.linalg.inv(covariance)):
        theirs = rsatoolbox.rdm.calc_rdm_unbalanced(
            data, method="crossnobis", descriptor="item", cv_descriptor="fold", noise=precision
        ).dissimilarities[0]
        ours = kernels.crossnobis(folds_of(recording)[..., 3], precision, weights_of(recording))
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    np.testing.assert_allclose(
        got.isel(time=3),
        rsatoolbox.rdm.calc_rdm_unbalanced(
            data, method="crossnobis", descriptor="item", cv_descriptor="fold"
        ).dissimilarities[0],
        rtol=1e-9,
    )


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_folds_of_unequal_numbers_of_trials_equal_rsatoolbox_on_the_trials():
    rsatoolbox = pytest.importorskip("rsatoolbox")
    rng = np.random.default_rng(3)
    labels = np.repeat(list("abcd"), [7, 5, 9, 6])
    trials = rng.standard_normal((27, N_CHANNELS))
    folds = from_arrays(trials, labels, None, range(N_CHANNELS), unit="a.u.", folds=3, rng=1)
    assert np.unique(folds.n_averaged).tolist() == [1, 2, 3]
    generator = np.random.default_rng(1)  # the same dealing
    fold_of_trial = np.empty(27, dtype=int)
    for item in "abcd":
        for fold, rows in enumerate(np.array_split(generator.permutation(np.flatnonzero(labels == item)), 3)):
            fold_of_trial[rows] = fold
    data = rsatoolbox.data.Dataset(trials, obs_descriptors={"item": labels.tolist(), "fold": fold_of_trial.tolist()})
    theirs = rsatoolbox.rdm.calc_rdm_unbalanced(data, method="crossnobis", descriptor="item", cv_descriptor="fold")
    np.testing.assert_allclose(rdms(folds), theirs.dissimilarities[0], rtol=1e-9)


def test_equal_numbers_of_repeats_give_the_balanced_distance():
    recording = unequal(np.full(6, 4))
    folds = folds_of(recording)[..., 0]
    balanced = kernels.crossnobis(folds)
    np.testing.assert_allclose(kernels.crossnobis(folds, None, np.full((4, 6), 2.0)), balanced, rtol=1e-9)
    np.testing.assert_allclose(rdms(recording).isel(time=0), balanced, rtol=1e-12)
    angle = kernels.crossvalidated_correlation
    np.testing.assert_allclose(angle(folds, np.ones((4, 6))), angle(folds), rtol=1e-9)


def test_an_item_more_or_less_changes_no_other_pair():
    recording = unequal()
    xr.testing.assert_allclose(
        rdms(recording.isel(sample=[0, 2, 4])),
        rdms(recording).sel(sample=rdms(recording.isel(sample=[0, 2, 4])).sample),
    )


def test_the_order_of_repeats_of_all_items_does_not_matter():
    recording = unequal()
    xr.testing.assert_allclose(rdms(recording.isel(repeat=[3, 1, 4, 0, 2])), rdms(recording))


def test_crossnobis_of_unequal_repeats_is_unbiased():
    rng = np.random.default_rng(4)
    weights = np.array([[1.0, 1, 1, 2], [1, 1, 3, 1], [1, 0, 1, 0], [0, 0, 2, 0]])
    folds = rng.standard_normal((4000, 4, 4, 5)) / np.sqrt(np.maximum(weights, 1))[..., None]
    folds[:, weights == 0] = np.nan
    for kernel, null in ((kernels.crossnobis, 0.0), (kernels.crossvalidated_correlation, None)):
        found = kernel(folds, weights=weights)
        assert np.isfinite(found).all()
        if null is not None:
            spread = found.std(axis=0, ddof=1) / np.sqrt(len(found))
            assert (np.abs(found.mean(axis=0)) < 4 * spread).all()
    truth = rng.standard_normal((4, 5))
    expected = kernels.squared_euclidean(truth) / 5
    found = kernels.crossnobis(folds + truth, weights=weights)
    assert (np.abs(found.mean(axis=0) - expected) < 4 * found.std(axis=0, ddof=1) / np.sqrt(len(found))).all()


def test_crossvalidated_correlation_equals_the_definition():
    recording = unequal()
    folds, weights = folds_of(recording)[..., 0], weights_of(recording)
    centred = folds - folds.mean(axis=-1, keepdims=True)
    n_items = len(COUNTS)
    similar = np.array(
        [
            [
                np.mean(
                    [
                        centred[f, i] @ centred[g, j]
                        for f in range(5)
                        for g in range(5)
                        if f != g and weights[f, i] and weights[g, j]
                    ]
                )
                for j in range(n_items)
            ]
            for i in range(n_items)
        ]
    )
    mean = np.nanmean(np.where(weights[..., None] > 0, centred, np.nan), axis=0)
    variance = np.maximum(np.diag(similar), kernels.VARIANCE_FLOOR * (mean**2).sum(axis=-1))
    expected = (1 - similar / np.sqrt(np.outer(variance, variance)))[np.triu_indices(n_items, 1)]
    np.testing.assert_allclose(rdms(recording, "crossvalidated correlation").isel(time=0), expected, rtol=1e-9)


@pytest.mark.parametrize("distance", ["correlation", "euclidean"])
def test_biased_distances_average_what_is_there_and_have_to_be_asked_for(distance):
    recording = unequal()
    with pytest.raises(ValueError, match="rest on 2 to 5 trials"):
        rdms(recording, distance)
    got = rdms(recording, distance, allow_bias=True)
    means = xr.DataArray(
        np.nanmean(folds_of(recording), axis=0),
        dims=("sample", "channel", "time"),
        coords={name: recording[name] for name in ("sample", "channel", "time")},
    )
    np.testing.assert_allclose(got, rdms(means, distance), rtol=1e-9)


def test_counts_follow_from_the_repeats_where_nothing_counts_them():
    recording = unequal().drop_vars(["n_trials", "n_averaged", "n_rejected"])
    assert rdms(recording).attrs["n_trials_min"] == 2
    np.testing.assert_allclose(rdms(recording), rdms(unequal()))
    with pytest.raises(ValueError, match="rest on 2 to 5 trials"):
        rdms(recording, "correlation")


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_windows_and_types(window, dtype):
    recording = unequal(dtype=dtype)
    got = rdms(recording, window=window)
    assert got.dtype == dtype
    rows = (
        recording.isel(time=slice(0, window))
        .stack(feature=("channel", "time"))
        .drop_vars(["feature", "channel", "time"])
    )
    folds = rows.transpose("repeat", "sample", "feature").to_numpy().astype(float)
    np.testing.assert_allclose(
        got.isel(time=0), loop(folds, weights_of(recording)), rtol=1e-4 if dtype == np.float32 else 1e-9
    )


def test_participants_may_have_other_numbers_of_repeats():
    people = {
        "s1": unequal(),
        "s2": unequal(np.array([3, 3, 2, 4, 2, 3]), seed=1),
        "s3": unequal(np.full(6, 4), seed=2),
    }
    joined = join_subjects(people)
    got = rdms(joined)
    for name, recording in people.items():
        np.testing.assert_allclose(got.sel(subject=name), rdms(recording), rtol=1e-9)
    covariance = noise.noise_covariance(joined)
    np.testing.assert_allclose(covariance.sel(subject="s2"), noise.noise_covariance(people["s2"]))


def test_a_missing_item_of_a_participant_stays_there():
    people = {"s1": unequal(), "s2": unequal(seed=1).isel(sample=[0, 1, 2, 4, 5])}
    joined = join_subjects(people, missing="nan")
    got = rdms(joined)
    touched = (got["first"] == "word 3") | (got["second"] == "word 3")
    assert got.sel(subject="s2").isel(sample=touched.to_numpy()).isnull().all()
    rest = got.sel(subject="s2").isel(sample=~touched.to_numpy())
    np.testing.assert_allclose(rest, rdms(people["s2"]).sel(sample=rest.sample), rtol=1e-9)


def test_an_item_with_one_repeat_is_named():
    recording = unequal(np.array([3, 1, 2, 4]))
    with pytest.raises(ValueError, match=r"1 items have one repeat only, first \['word 1'\], and a crossnobis"):
        rdms(recording)


def test_counts_that_contradict_the_values_are_refused():
    recording = unequal(np.full(4, 3))
    recording["n_averaged"][1, 2] = 0
    with pytest.raises(ValueError, match="says that 1 repeats of items have no trials"):
        rdms(recording)


def test_a_single_nan_still_makes_its_own_pairs_nan_and_no_others():
    recording = unequal()
    broken = recording.copy()
    broken[0, 1, 2, 3] = np.nan
    got, whole = rdms(broken), rdms(recording)
    touched = ((got["first"] == "word 0") | (got["second"] == "word 0")).to_numpy()
    assert got.isel(time=3).isel(sample=touched).isnull().all()
    np.testing.assert_allclose(got.isel(time=3, sample=~touched), whole.isel(time=3, sample=~touched), rtol=1e-9)
    np.testing.assert_allclose(got.isel(time=slice(3)), whole.isel(time=slice(3)), rtol=1e-9)


# --- decoding ---------------------------------------------------------------------------------------------------------


def test_decoding_takes_as_many_trials_of_every_item():
    recording = unequal(np.array([9, 6, 12]), effect=2.0)
    got = decoding_rdms(recording, n_pseudo=3, n_draws=30)
    assert (got.attrs["n_trials_min"], got.attrs["n_trials_max"]) == (6, 12)
    assert float(got.mean()) > 0.7
    with pytest.raises(ValueError, match="got 7 with 6 trials an item"):
        decoding_rdms(recording, n_pseudo=7)


def test_decoding_of_equal_trials_is_what_it_was():
    recording = unequal(np.full(4, 6))
    padded = recording.pad(repeat=(0, 2)).drop_vars(["n_averaged", "n_trials"])
    one, other = (decoding_rdms(each, n_pseudo=3, n_draws=150) for each in (recording, padded))
    np.testing.assert_allclose(one, other, atol=0.08)  # other draws of the same trials


def test_items_with_more_trials_are_not_told_apart_for_that():
    """Without an effect, accuracies of items with 4 and 40 trials are those of chance."""
    found = [
        decoding_rdms(unequal(np.array([4, 40, 4, 40]), seed=seed, effect=0.0), n_pseudo=4, n_draws=5)
        for seed in range(60)
    ]
    mean = xr.concat(found, "draw").mean(["draw", "time"])
    assert float(abs(mean - 0.5).max()) < 0.03


def test_decoding_with_a_classifier_takes_unequal_trials_too():
    recording = unequal(np.array([4, 6, 5]), effect=2.0).isel(time=[0])
    got = decoding_rdms(
        recording, n_pseudo=4, n_draws=3, classifier=LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)
    )
    assert float(got.mean()) > 0.6


# --- the one evaluate -------------------------------------------------------------------------------------------------


def test_means_over_repeats_are_those_of_the_trials():
    recording = unequal()
    rng = np.random.default_rng(0)
    features = xr.DataArray(
        rng.standard_normal((6, 3)), dims=("sample", "feature"), coords={"sample": recording.sample.to_numpy()}
    )
    data = align(features, recording)
    np.testing.assert_allclose(data.y_mean, np.nanmean(folds_of(recording), axis=0))
    order = np.array([3, 0, 5, 1, 2, 4])
    np.testing.assert_allclose(data.reordered(order).y_mean, data.y_mean.to_numpy()[order])
    pairs = pairwise(features, recording, dtype=np.float64)
    np.testing.assert_allclose(pairs.y, rdms(recording))
    assert evaluate(FixedRDM(), pairs, splits=NoSplit(), metric=pearson).score.sizes == {"time": N_TIMES}


def test_means_over_folds_are_weighted_by_their_trials():
    trials = np.random.default_rng(0).standard_normal((9, 2, 3))
    labels = list("aaaaabbbb")
    folds = from_arrays(trials, labels, [0.0, 0.01, 0.02], ["x", "y"], unit="a.u.", folds=2)
    features = xr.DataArray([[1.0], [2.0]], dims=("sample", "feature"), coords={"sample": ["a", "b"]})
    data = align(features, folds)
    expected = [trials[:5].mean(axis=0), trials[5:].mean(axis=0)]
    np.testing.assert_allclose(data.y_mean, expected)
    turned = data.reordered(np.array([1, 0]))
    np.testing.assert_allclose(turned.y_mean, expected[::-1])


def test_a_sample_without_any_repeat_is_refused_and_so_is_a_nan_in_one():
    recording = unequal()
    features = xr.DataArray(np.eye(6), dims=("sample", "feature"), coords={"sample": recording.sample.to_numpy()})
    gone = recording.copy()
    gone[2] = np.nan
    with pytest.raises(ValueError, match=r"1 samples have no repeat that is not NaN, first \['word 2'\]"):
        align(features, gone)
    broken = recording.copy()
    broken[0, 1, 2, 3] = np.nan
    with pytest.raises(ValueError, match=r"1 of 840 values are NaN or infinite, in 1 samples \(first \['word 0'\]"):
        align(features, broken)


def test_patterns_over_sensors_in_other_units_are_refused_unless_divided_by_their_noise():
    recording = unequal()
    mixed = recording.assign_coords(unit=("channel", ["µV"] * 6 + ["T"]))
    with pytest.raises(ValueError, match="hold values in T and µV"):
        rdms(mixed)
    np.testing.assert_allclose(
        rdms(mixed, noise=noise.noise_covariance(mixed)), rdms(recording, noise=noise.noise_covariance(recording))
    )
