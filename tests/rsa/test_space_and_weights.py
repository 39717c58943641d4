"""Searchlights, time by time, decoding, weights and partitions on data whose answer is known."""

from __future__ import annotations

import mne
import numpy as np
import pytest
import xarray as xr
from agreement import agreement
from scipy import sparse
from scipy.stats import rankdata, spearmanr
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold
from sklearn.neighbors import NearestCentroid

from neuroling import ByItem, SignFlip, combine, estimate, evaluate, pairwise, pearson, spearman
from neuroling.data.eeg import from_source_estimates, source_positions, vertex_labels
from neuroling.encoding.other_participants import OtherParticipants
from neuroling.evaluation.estimation.regression import Regression
from neuroling.evaluation.variance import partition_variance
from neuroling.report.rsa import to_source_estimate
from neuroling.rsa.decode import decoding_rdms
from neuroling.rsa.dissimilarity import rdms
from neuroling.rsa.models import model_rdms, stack_models
from neuroling.rsa.pairs import FixedRDM, paired
from neuroling.rsa.presets import GUGGENMOS_2018, KARAPETIAN_2023, NILI_2014
from neuroling.rsa.scaling import ranked_pairs, rdms_of_others
from neuroling.rsa.searchlight import neighbours_from, neighbours_within


def line(n):
    names = [f"E{place}" for place in range(n)]
    xyz = np.column_stack([np.arange(n), np.zeros(n), np.zeros(n)])
    return xr.DataArray(xyz, dims=("channel", "feature"), coords={"channel": names})


def test_neighbours_lie_within_the_radius_or_next_to_each_other():
    near = neighbours_within(line(4), 1.0)
    assert near == {"E0": ["E0", "E1"], "E1": ["E0", "E1", "E2"], "E2": ["E1", "E2", "E3"], "E3": ["E2", "E3"]}
    chain = sparse.diags_array([np.ones(3), np.ones(3)], offsets=[1, -1])
    assert neighbours_from(chain, list(near)) == near


def test_neighbours_are_those_of_all_distances():
    rng = np.random.default_rng(6)
    names = [f"E{place}" for place in range(60)]
    places = xr.DataArray(rng.random((60, 3)), dims=("channel", "feature"), coords={"channel": names})
    apart = np.linalg.norm(places.values[:, None] - places.values[None], axis=-1)
    expected = {name: [names[k] for k in np.flatnonzero(row <= 0.4)] for name, row in zip(names, apart, strict=True)}
    assert neighbours_within(places, 0.4) == expected


def test_a_radius_without_neighbours_is_refused_with_one_that_has():
    with pytest.raises(ValueError, match=r"leaves 4 of 4 without a neighbour.*1 away"):
        neighbours_within(line(4), 0.5)
    with pytest.raises(ValueError, match="'E3' has no neighbour"):
        neighbours_from(sparse.csr_array(np.eye(4)[[1, 0, 3, 3]]), ["E0", "E1", "E2", "E3"])
    with pytest.raises(ValueError, match="shape \\(4, 4\\) for 2 names"):
        neighbours_from(sparse.eye_array(4), ["E0", "E1"])


def test_each_patch_gives_what_it_gives_alone(features, recording):
    models = model_rdms(features, "euclidean")
    patches = neighbours_within(line(8), 1.0)
    result = agreement(recording, models, patches=patches, metric="spearman", window=2)
    assert result.score.dims == ("model", "subject", "channel", "time")
    alone = agreement(recording.sel(channel=patches["E3"]), models, metric="spearman", window=2).score
    np.testing.assert_allclose(result.score.sel(channel="E3").values, alone.values, atol=1e-6)
    np.testing.assert_allclose(result.score.time.values, alone.time.values)


def test_information_is_found_where_it_was_put(features, recording):
    hidden = recording.copy()
    hidden.loc[{"channel": ["E0", "E1", "E2", "E3"]}] = np.random.default_rng(0).standard_normal(
        hidden.sel(channel=["E0", "E1", "E2", "E3"]).shape
    )
    result = agreement(
        hidden, model_rdms(features, "euclidean"), patches=neighbours_within(line(8), 1.0), metric="spearman"
    )
    peak = result.score.sel(time=0.2).mean(["subject", "model"])
    assert float(peak.sel(channel=["E0", "E1", "E2"]).max()) < float(peak.sel(channel=["E5", "E6", "E7"]).min())


def test_regions_are_patches_with_names(features, recording):
    regions = {"front": ["E0", "E1", "E2"], "back": ["E5", "E6", "E7"]}
    got = agreement(recording, model_rdms(features, "euclidean"), patches=regions, metric="spearman")
    assert got.score.region.values.tolist() == ["front", "back"]


def volume(spacing_mm=50.0):
    """Give a real source space of MNE: a grid inside a sphere."""
    with mne.use_log_level("error"):
        return mne.setup_volume_source_space(pos=spacing_mm, sphere=(0.0, 0.0, 0.0, 0.09))


def estimates(features, vertices, kind):
    """Give a source estimate for each item, whose first three sources carry the features."""
    rng = np.random.default_rng(3)
    made = {}
    for item, values in zip(features.sample.to_numpy(), features.to_numpy(), strict=True):
        data = 0.3 * rng.standard_normal((sum(map(len, vertices)), 4))
        data[:3] += values[:, None]
        made[str(item)] = kind(data, vertices, 0.0, 0.01)
    return made


def test_a_volume_of_mne_is_searched_and_given_back(features):
    source = volume()
    vertices = [source[0]["vertno"]]
    recording = from_source_estimates(estimates(features, vertices, mne.VolSourceEstimate))
    patches = neighbours_within(source_positions(source), 0.051)
    result = agreement(
        recording,
        model_rdms(features, "euclidean"),
        patches=patches,
        over="voxel",
        distance="euclidean",
        metric="spearman",
    )
    stc = to_source_estimate(result.score.isel(model=0), vertices)
    assert isinstance(stc, mne.VolSourceEstimate)
    informed = [name for name, members in patches.items() if set(vertex_labels(vertices)[:3]) <= set(members)]
    assert result.score.mean("time").isel(model=0).idxmax("voxel").item() in informed
    np.testing.assert_allclose(stc.data, result.score.isel(model=0).transpose("voxel", "time"))


def test_two_hemispheres_of_mne_are_searched_and_given_back(features):
    vertices = [np.array([0, 3, 9]), np.array([1, 2])]
    recording = from_source_estimates(estimates(features, vertices, mne.SourceEstimate))
    patches = {"lh-0": ["lh-0", "lh-3", "lh-9"], **{f"rh-{v}": ["rh-1", "rh-2"] for v in (1, 2)}}
    patches |= {name: ["lh-0", name] for name in ("lh-3", "lh-9")}
    result = agreement(
        recording,
        model_rdms(features, "euclidean"),
        patches=patches,
        over="voxel",
        distance="euclidean",
        metric="spearman",
    )
    stc = to_source_estimate(result.score.isel(model=0), vertices)
    assert isinstance(stc, mne.SourceEstimate)
    assert stc.lh_data[0].min() > 0.7 > stc.rh_data.max()


def test_sources_are_searched_along_voxels(features, recording):
    sources = recording.rename(channel="voxel")
    patches = neighbours_within(line(8).rename(channel="voxel"), 1.0)
    got = agreement(sources, model_rdms(features, "euclidean"), patches=patches, over="voxel", metric="spearman")
    assert got.score.dims == ("model", "subject", "voxel", "time")


def test_an_axis_that_the_recording_lacks_is_refused(features, recording):
    with pytest.raises(ValueError, match=r"recording: axes .* have no 'voxel'"):
        agreement(recording, model_rdms(features, "euclidean"), patches={"E0": ["E0", "E1"]}, over="voxel")
    with pytest.raises(ValueError, match="patches: none given"):
        agreement(recording, model_rdms(features, "euclidean"), patches={})


def test_controls_are_named_as_everywhere(features, recording):
    models = model_rdms(features, "euclidean")
    other = (models**2 + np.random.default_rng(0).random(models.shape)).assign_coords(model=["other"])
    part = recording.isel(subject=[0], time=[6])
    patch = {"E0": ["E0", "E1"]}
    light = agreement(part, models, patches=patch, metric="spearman", controls=other)
    assert light.metric == agreement(part, models, metric="spearman", controls=other).metric


@pytest.mark.parametrize("members", [["E0", "nowhere"], ["E0", "E0"]])
def test_a_patch_of_unknown_or_repeated_channels_is_refused(features, recording, members):
    with pytest.raises(ValueError, match="patches: 'E0' holds"):
        agreement(recording, model_rdms(features, "euclidean"), patches={"E0": members})


def generalization(distances):
    """Compare each participant at each time with the others at every time."""
    others = rdms_of_others(distances)
    return combine(
        {
            str(name): evaluate(
                FixedRDM(), pairwise(others.sel(subject=name), distances.sel(subject=name)), metric=spearman
            )
            for name in others.subject.to_numpy()
        },
        dim="subject",
    )


def test_a_stable_geometry_generalises_and_noise_does_not(recording):
    score = generalization(rdms(recording)).score.mean("subject")
    assert float(score.sel(time=0.2, model="0.2")) > 0.6
    assert float(score.sel(time=0.15, model="0.25")) > 0.5
    assert abs(float(score.sel(time=-0.1, model="0.2"))) < 0.25


def test_geometry_over_time_is_rank_correlated_with_the_mean_of_the_others_ranks(recording):
    distances = rdms(recording).transpose("subject", "time", "sample")
    ranks = rankdata(distances.to_numpy(), axis=-1)
    others = ranks[1:, 3].mean(axis=0)
    expected = spearmanr(distances.to_numpy()[0, 5], others).statistic
    score = generalization(distances).score.transpose("subject", "time", "model")
    np.testing.assert_allclose(float(score[0, 5, 3]), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.isel(time=0), "expected \\(sample, subject, time\\)"),
        (lambda r: r.isel(subject=[0]), "at least two"),
        (lambda r: r.where(r > 0), "are NaN"),
    ],
)
def test_others_that_cannot_be_averaged_get_a_sentence(recording, change, message):
    with pytest.raises(ValueError, match=message):
        rdms_of_others(change(rdms(recording)))


def test_decoding_agrees_with_scikit_learn(recording):
    part = recording.isel(subject=slice(2), sample=slice(5), time=slice(0, 3))
    fast, slow = (
        decoding_rdms(part, n_pseudo=4, n_draws=1, whiten=False, classifier=one, rng=3)
        for one in (None, NearestCentroid())
    )
    xr.testing.assert_allclose(fast, slow)


def test_decoding_follows_the_signal(recording):
    accuracy = decoding_rdms(recording, n_pseudo=4, n_draws=2)
    assert accuracy.attrs["distance"] == "pairwise decoding accuracy"
    assert abs(float(accuracy.sel(time=-0.1).mean()) - 0.5) < 0.05
    assert float(accuracy.sel(time=0.2).mean()) > 0.75


def test_saturated_accuracies_are_warned_of(recording):
    with pytest.warns(UserWarning, match="their order is lost"):
        decoding_rdms(recording * (1 + 20 * (recording.time == 0.2)) + 50 * _offsets(recording), n_pseudo=4, n_draws=1)


def _offsets(recording):
    shape = (recording.sizes["sample"], recording.sizes["channel"])
    patterns = np.random.default_rng(0).standard_normal(shape)
    return xr.DataArray(
        patterns, dims=("sample", "channel"), coords={"sample": recording.sample, "channel": recording.channel}
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_pseudo": 2}, "expected 3"),
        ({"n_pseudo": 9}, "with 4 trials"),
        ({"n_pseudo": 4, "n_draws": 0}, "at least one"),
    ],
)
def test_bad_decoding_options_get_a_sentence(recording, options, message):
    with pytest.raises(ValueError, match=message):
        decoding_rdms(recording, **options)


def test_decoding_needs_single_trials(recording):
    with pytest.raises(ValueError, match="expected \\['channel'"):
        decoding_rdms(recording.mean("repeat"))
    with pytest.raises(ValueError, match="NaN"):
        decoding_rdms(recording.where(recording < 2), n_pseudo=4)


@pytest.fixture
def mixture():
    """Dissimilarities made of two models, the first three times the second, and a third that has no part in them."""
    rng = np.random.default_rng(1)
    items = [f"i{place:02d}" for place in range(24)]
    spaces = [
        xr.DataArray(rng.standard_normal((24, 3)), dims=("sample", "feature"), coords={"sample": items})
        for _ in range(3)
    ]
    models = stack_models(
        *(model_rdms(x, "euclidean").assign_coords(model=[n]) for n, x in zip("abc", spaces, strict=True))
    )
    truth = 3 * models.sel(model="a", drop=True) + models.sel(model="b", drop=True)
    noise = xr.DataArray(rng.standard_normal((276, 6)), dims=("sample", "subject"), coords={"sample": models.sample})
    return models, (truth + noise).assign_coords(subject=range(6))


def weighted(y, models, model=None, ranked=False):
    """Predict participants and items from weights learned on all others."""
    data = paired(ranked_pairs(models), ranked_pairs(y)) if ranked else paired(models, y)
    people = OtherParticipants(model or LinearRegression(positive=True), y.sizes["subject"])
    return evaluate(people, data, splits=ByItem.of(KFold(4, shuffle=True, random_state=0), data), metric=pearson)


@pytest.mark.parametrize("positive", [True, False])
def test_weighted_models_predict_new_people_and_items(mixture, positive):
    models, y = mixture
    both = weighted(y, models, LinearRegression(positive=positive)).score.mean()
    one = weighted(y, models.sel(model=["b"]), LinearRegression(positive=positive)).score.mean()
    assert float(both) > 0.85
    assert float(one) < 0.6


def test_weights_of_other_people_and_items_equal_a_loop_over_both(mixture):
    """Against non-negative least squares written out (Lawson and Hanson)."""
    from scipy.optimize import nnls

    models, y = mixture
    first, second = (models[side].to_numpy() for side in ("first", "second"))
    items, expected = np.unique([first, second]), []
    x = models.to_numpy()
    for train, test in KFold(4, shuffle=True, random_state=0).split(items):
        learned, asked = (np.isin(first, items[side]) & np.isin(second, items[side]) for side in (train, test))
        for person in range(6):
            others = y.to_numpy()[:, np.arange(6) != person].mean(axis=1)[learned]
            centred = x[learned] - x[learned].mean(axis=0)
            weights = nnls(centred, others - others.mean())[0]
            expected.append(np.corrcoef(x[asked] @ weights, y.to_numpy()[asked, person])[0, 1])
    score = weighted(y, models).data["score"].transpose("split", "subject").to_numpy()
    np.testing.assert_allclose(score.ravel(), expected, rtol=1e-9)


def betas_of(models, y):
    with pytest.warns(UserWarning, match="pairs-share-items"):
        return estimate(Regression(), paired(ranked_pairs(models), ranked_pairs(y)))


def test_standardised_betas_are_those_of_the_regression_of_ranks(mixture):
    models, y = mixture
    x = rankdata(models.to_numpy(), axis=0)
    row = rankdata(y.sel(subject=3).to_numpy())
    x, row = ((values - values.mean(axis=0)) / values.std(axis=0) for values in (x, row))
    expected = np.linalg.lstsq(x, row, rcond=None)[0]
    result = betas_of(models, y)
    np.testing.assert_allclose(result.score.sel(subject=3, feature=["a", "b", "c"]).to_numpy(), expected)
    assert result.score.mean("subject").idxmax("feature") == "a"


def test_betas_of_one_model_are_its_correlation(mixture):
    models, y = mixture
    beta = betas_of(models.sel(model=["b"]), y).score.sel(feature="b")
    score = agreement(y, models.sel(model=["b"]), metric="spearman").score.isel(model=0)
    np.testing.assert_allclose(beta.to_numpy(), score.to_numpy())


def test_betas_are_tested_over_participants_on_both_sides(mixture):
    models, y = mixture
    negative = stack_models(models.sel(model=["b"]), -models.sel(model=["a"]).assign_coords(model=["minus a"]))
    p_values = betas_of(negative, y).test(SignFlip()).p_values()
    assert float(p_values.sel(feature="minus a")) == 2 / 2**6  # the smallest of six participants, two-sided


def test_betas_of_models_that_are_nearly_alike_are_warned_of(mixture):
    models, y = mixture
    nearly = models.sel(model=["a"]).assign_coords(model=["nearly a"])
    nearly = nearly + 1e-3 * models.sel(model=["b"]).to_numpy()
    with pytest.warns(UserWarning, match="nearly a and a|a and nearly a.*correlate at"):
        betas_of(stack_models(models.sel(model=["a"]), nearly), y)


def partition(y, models, **options):
    """Divide variance in other people and other items."""
    spaces = {str(n): models.sel(model=[n]).rename(model="feature") for n in models.model.values}
    return partition_variance(
        spaces,
        y,
        make_model=lambda _: OtherParticipants(LinearRegression(), y.sizes["subject"]),
        splits=ByItem(KFold(4, shuffle=True, random_state=0), y["first"].to_numpy(), y["second"].to_numpy()),
        overlaps=True,
        **options,
    )


def test_parts_of_variance_add_up_and_find_their_model(mixture):
    models, y = mixture
    parts = partition(y, models.sel(model=["a", "b"]))
    score = parts.overlaps().mean("subject")
    assert score.model.values.tolist() == ["a", "b", "a & b"]
    np.testing.assert_allclose(score.sum("model"), parts.full.mean("subject"))
    assert 0.7 < score.sel(model="a") < 1
    assert 0.03 < score.sel(model="b") < 0.2


def test_three_models_have_seven_parts_of_ranks(mixture):
    models, y = mixture
    parts = partition(ranked_pairs(y), ranked_pairs(models))
    score = parts.overlaps().mean("subject")
    assert score.sizes["model"] == 7
    np.testing.assert_allclose(score.sum("model"), parts.full.mean("subject"))
    assert abs(float(score.sel(model="c"))) < 0.02


def test_unrelated_models_explain_nothing_of_held_out_data(mixture):
    models, y = mixture
    noise = y * 0 + np.random.default_rng(3).standard_normal(y.shape)
    assert float(partition(ranked_pairs(noise), ranked_pairs(models)).full.mean()) < 0.01


def test_ranked_pairs_correlate_as_spearman_says(mixture):
    models, y = mixture
    ranks, model = ranked_pairs(y.sel(subject=0)), ranked_pairs(models.sel(model="a"))
    expected = spearmanr(y.sel(subject=0).to_numpy().ravel(), models.sel(model="a").to_numpy()).statistic
    np.testing.assert_allclose((ranks.to_numpy().ravel() * model.to_numpy()).sum(), expected)


@pytest.mark.parametrize("preset", [KARAPETIAN_2023, GUGGENMOS_2018, NILI_2014], ids=lambda preset: preset.name)
def test_presets_run_and_list_their_departures(features, recording, preset):
    part = recording.isel(subject=slice(3), time=slice(5, 8))
    result = agreement(part, model_rdms(features, "euclidean"), metric=preset.metric, **preset.pairs)
    assert np.isfinite(result.score).all()
    assert len(preset.departures) >= 3
    assert preset.citation in str(preset)
