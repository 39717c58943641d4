"""Dissimilarities of a recording: labels, folds, windows, noise, bias, and what stays where it is."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import pdist

from neuroling.numerics.rdm import distances as kernels
from neuroling.numerics.rdm import noise_normalisation as whitening
from neuroling.rsa import noise
from neuroling.rsa.dissimilarity import PairLabels, rdms


def test_crossnobis_is_the_default_where_repeats_exist(recording):
    got = rdms(recording)
    assert (got.attrs["distance"], got.attrs["biased"], got.attrs["n_trials_min"]) == ("crossnobis", 0, 4)
    assert got.dims == ("sample", "subject", "time")


def test_correlation_is_the_default_without_repeats_and_says_that_it_is_biased(recording):
    got = rdms(recording.mean("repeat"))
    assert (got.attrs["distance"], got.attrs["biased"]) == ("correlation", 1)


def test_values_are_those_of_the_kernel_at_each_place(recording):
    got = rdms(recording).sel(subject="s2", time=0.2)
    folds = recording.sel(subject="s2", time=0.2).transpose("repeat", "sample", "channel").values
    np.testing.assert_allclose(got.values, kernels.crossnobis(folds))


def test_repeats_are_averaged_for_plain_distances(recording):
    got = rdms(recording, "euclidean").sel(subject="s1", time=0.2)
    mean = recording.sel(subject="s1", time=0.2).mean("repeat")
    np.testing.assert_allclose(got.values, pdist(mean.values))


def test_order_of_axes_does_not_matter(recording):
    shuffled = recording.transpose("time", "channel", "repeat", "subject", "sample")
    xr.testing.assert_allclose(rdms(shuffled).transpose(*rdms(recording).dims), rdms(recording))


def test_order_of_items_does_not_matter_once_pairs_are_matched_by_label(recording):
    order = np.random.default_rng(1).permutation(recording.sizes["sample"])
    turned = rdms(recording.isel(sample=order))
    xr.testing.assert_allclose(turned.sel(sample=rdms(recording).sample), rdms(recording))


@pytest.mark.parametrize("distance", ["correlation", "euclidean", "crossnobis"])
def test_windows_are_samples_side_by_side(recording, distance):
    got = rdms(recording, distance, window=3)
    assert got.sizes["time"] == recording.sizes["time"] - 2
    np.testing.assert_allclose(got.time.values, recording.time.values[1:-1])
    part = recording.sel(subject="s0").isel(time=slice(4, 7)).stack(feature=("channel", "time"))
    one = rdms(part.drop_vars(["feature", "channel", "time"]), distance, over="feature")
    np.testing.assert_allclose(got.sel(subject="s0").isel(time=4).values, one.values, atol=1e-10)


def test_blocks_do_not_change_values(recording, monkeypatch):
    whole = rdms(recording)
    monkeypatch.setattr("neuroling.rsa.dissimilarity.BLOCK_BYTES", 1)
    xr.testing.assert_allclose(rdms(recording), whole)


def test_whitening_in_training_folds_equals_the_formula(recording):
    got = rdms(recording, noise="training folds").sel(subject="s3", time=0.2)
    repeats = recording.sel(subject="s3").transpose("repeat", "sample", "channel", "time").values
    precisions = whitening.training_precisions(repeats)
    expected = kernels.crossnobis(repeats[..., list(recording.time.values).index(0.2)], precisions)
    np.testing.assert_allclose(got.values, expected)


def test_test_data_do_not_enter_their_own_whitening(recording):
    """Whatever fold is looked at, its precision is that of the other folds."""
    repeats = recording.sel(subject="s0").transpose("repeat", "sample", "channel", "time").values
    for fold in range(4):
        others = np.delete(repeats, fold, axis=0)
        np.testing.assert_allclose(
            np.linalg.inv(whitening.training_precisions(repeats)[fold]), whitening.noise_covariance(others), atol=1e-8
        )


def test_noise_is_divided_by_once(recording):
    """Defect 2: Epochs that were multiplied with the whitener twice."""
    covariance = noise.noise_covariance(recording)
    inside = rdms(recording, "euclidean", noise=covariance)
    outside = rdms(noise.whiten(recording, covariance), "euclidean")
    np.testing.assert_allclose(inside.values, outside.transpose(*inside.dims).values)
    root = whitening.inverse_root(covariance.sel(subject="s0").values)
    by_hand = recording.sel(subject="s0", time=0.2).mean("repeat").values @ root
    np.testing.assert_allclose(inside.sel(subject="s0", time=0.2).values, pdist(by_hand))


def test_a_second_whitening_is_refused(recording):
    covariance = noise.noise_covariance(recording)
    white = noise.whiten(recording, covariance)
    for again in (lambda: noise.whiten(white, covariance), lambda: rdms(white, noise="training folds")):
        with pytest.raises(ValueError, match="whitened already"):
            again()


def test_a_missing_condition_in_one_subject_stays_there(recording):
    broken = recording.copy()
    broken.loc[{"subject": "s1", "sample": "word 03"}] = np.nan
    got, whole = rdms(broken), rdms(recording)
    touched = (got["first"] == "word 03") | (got["second"] == "word 03")
    assert got.sel(subject="s1").isel(sample=touched.values).isnull().all()
    np.testing.assert_allclose(
        got.sel(subject="s1").isel(sample=~touched.values), whole.sel(subject="s1").isel(sample=~touched.values)
    )
    np.testing.assert_allclose(got.drop_sel(subject="s1").values, whole.drop_sel(subject="s1").values)


def test_unequal_counts_are_allowed_by_name_or_without_bias(recording):
    counted = recording.assign_coords(n_trials=("sample", np.arange(20, 32)))
    assert rdms(counted).attrs["n_trials_max"] == 31
    assert rdms(counted, "correlation", allow_bias=True).attrs["biased"] == 1


def test_counts_that_differ_only_between_people_bias_nothing(recording):
    counts = np.repeat(np.arange(20, 25), 12).reshape(5, 12)
    counted = recording.assign_coords(n_trials=(("subject", "sample"), counts))
    assert rdms(counted, "correlation").attrs["n_trials_max"] == 24
    counts[3, 0] += 1
    with pytest.raises(ValueError, match="rest on 20 to 24 trials"):
        rdms(counted.assign_coords(n_trials=(("subject", "sample"), counts)), "correlation")


def test_crossnobis_is_unbiased_and_euclid_is_not():
    """Defect 1: a training mean that held the test fold made 'cross-validated' distances as large as plain ones."""
    rng = np.random.default_rng(2)
    noise_only = rng.standard_normal((200, 3, 10, 16))  # (draw, fold, item, channel): no item differs
    means = kernels.crossnobis(noise_only).mean(axis=-1)
    assert abs(means.mean()) < 2 * means.std(ddof=1) / np.sqrt(len(means))
    assert kernels.squared_euclidean(noise_only.mean(axis=1)).mean() / 16 > 0.6


def test_crossnobis_estimates_the_true_distance():
    rng = np.random.default_rng(3)
    truth = rng.standard_normal((10, 16))
    draws = kernels.crossnobis(truth + rng.standard_normal((400, 4, 10, 16)))
    error = draws.mean(axis=0) - pdist(truth, "sqeuclidean") / 16
    z = error / (draws.std(axis=0, ddof=1) / np.sqrt(len(draws)))
    assert abs(z.mean()) < 0.5
    assert 0.7 < z.std() < 1.4


def test_whitened_crossnobis_is_unbiased_on_correlated_noise():
    rng = np.random.default_rng(4)
    mix = rng.standard_normal((6, 6))
    means = []
    for _ in range(60):
        repeats = np.einsum("cd,ridt->rict", mix, rng.standard_normal((4, 8, 6, 5)))
        folds = np.moveaxis(repeats, -1, 0)
        means.append(kernels.crossnobis(folds, whitening.training_precisions(repeats)).mean())
    assert abs(np.mean(means)) < 2 * np.std(means, ddof=1) / np.sqrt(len(means))


def test_several_subjects_give_what_single_calls_give(recording):
    """Defect 4: a list of data sets dropped its folds."""
    together = rdms(recording)
    for subject in recording.subject.values:
        np.testing.assert_allclose(together.sel(subject=subject).values, rdms(recording.sel(subject=subject)).values)


def test_pair_labels_do_not_depend_on_the_order_of_items():
    one, other = PairLabels.of(np.array(["b", "a", "c"])), PairLabels.of(np.array(["c", "b", "a"]))
    assert set(one.sample) == set(other.sample) == {"a | b", "a | c", "b | c"}
