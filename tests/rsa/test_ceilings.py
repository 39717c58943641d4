"""Ceilings of comparators: means of ranks ranked again, missing pairs, and any unit of the recording."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from agreement import agreement
from scipy.stats import rankdata, spearmanr

from neuroling.core.notices import CodedWarning
from neuroling.numerics.rdm.comparators import ALL, rho_a, spearman, tau_a
from neuroling.numerics.rdm.distances import pairs_of
from neuroling.rsa.dissimilarity import PairLabels, rdms
from neuroling.rsa.models import model_rdms

N_ITEMS, N_PEOPLE = 9, 6


def measured(seed=0, *, ties=False):
    """Give dissimilarities (pair, subject) that share a geometry, and a model of them."""
    rng = np.random.default_rng(seed)
    labels = PairLabels.of(np.array([f"word {number}" for number in range(N_ITEMS)]))
    truth = rng.gamma(2, 1, len(labels.sample))
    values = truth[:, None] + rng.normal(0, 1.5, (len(truth), N_PEOPLE))
    values = np.round(values) if ties else values
    people = xr.DataArray(values, dims=("sample", "subject"), coords={**labels.coords(), "subject": range(N_PEOPLE)})
    model = xr.DataArray(truth[:, None], dims=("sample", "model"), coords={**labels.coords(), "model": ["truth"]})
    return people, model


@pytest.mark.parametrize("ties", [False, True], ids=["no ties", "ties"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mean_ranks_are_ranked_again_as_in_the_literature(ties, dtype):
    people, model = measured(ties=ties)
    ceiling = agreement(people, model, metric="spearman", dtype=dtype).ceiling
    ranks = rankdata(people.values, axis=0)
    for person in range(N_PEOPLE):
        upper = spearmanr(people.values[:, person], ranks.mean(axis=1))[0]
        lower = spearmanr(people.values[:, person], np.delete(ranks, person, axis=1).mean(axis=1))[0]
        assert ceiling.sel(bound="upper", subject=person).item() == pytest.approx(upper, abs=1e-6)
        assert ceiling.sel(bound="lower", subject=person).item() == pytest.approx(lower, abs=1e-6)


@pytest.mark.parametrize("comparator", [spearman, rho_a, tau_a], ids=lambda comparator: comparator.name)
@pytest.mark.parametrize("seed", range(4))
def test_the_upper_bound_is_the_score_of_the_mean_of_ranks(comparator, seed):
    people, model = measured(seed, ties=seed % 2 == 1)
    mean_rank = rankdata(people.values, axis=0).mean(axis=1, keepdims=True)
    group = model.copy(data=mean_rank).assign_coords(model=["mean of all"])
    result = agreement(people, group, metric=comparator)
    np.testing.assert_allclose(
        result.ceiling.sel(bound="upper").values, result.score.sel(model="mean of all").values, atol=1e-12
    )


def test_a_participant_whose_dissimilarities_are_all_equal_spoils_no_ceiling_but_their_own():
    people, model = measured()
    flat = people.copy()
    flat.loc[{"subject": 2}] = 0.3
    with pytest.warns(CodedWarning) as warned:
        ceiling = agreement(flat, model, metric="spearman").ceiling
    assert {warning.message.code for warning in warned} == {"undefined-scores", "ceiling-undefined"}
    assert np.isnan(ceiling.sel(subject=2)).all()
    others = agreement(people.drop_sel(subject=2), model, metric="spearman").ceiling
    np.testing.assert_allclose(ceiling.drop_sel(subject=2).sel(bound="lower"), others.sel(bound="lower"), atol=1e-12)


@pytest.mark.parametrize("comparator", ALL, ids=lambda comparator: comparator.name)
def test_a_missing_pair_leaves_scores_of_the_pairs_that_are_there(comparator):
    people, model = measured()
    broken = people.copy()
    broken[[3, 20], 1] = np.nan
    with pytest.warns(CodedWarning, match=r"2 of 216 dissimilarities are missing.*in 1 of 6 rows") as warned:
        result = agreement(broken, model, metric=comparator)
    assert [warning.message.code for warning in warned] == ["missing-pairs"]
    assert "2 of 216 dissimilarities are missing" in str(result)
    whole = agreement(people, model, metric=comparator)
    kept = result.score.drop_sel(subject=1)
    np.testing.assert_allclose(kept, whole.score.drop_sel(subject=1), atol=1e-12)
    score = result.score.sel(subject=1).item()
    assert abs(score - whole.score.sel(subject=1).item()) < 0.2
    assert np.isfinite(result.ceiling).all()


@pytest.mark.parametrize("name", ["whitened cosine", "whitened correlation"])
def test_whitened_comparators_divide_out_the_covariance_of_the_pairs_that_are_there(name):
    people, model = measured()
    first, second = pairs_of(N_ITEMS)
    contrasts = np.zeros((len(first), N_ITEMS))
    contrasts[np.arange(len(first)), first], contrasts[np.arange(len(first)), second] = 1, -1
    present = np.ones(len(first), bool)
    present[[3, 20]] = False
    inverse = np.linalg.inv(((contrasts @ contrasts.T) ** 2)[np.ix_(present, present)])
    a, b = (np.asarray(side)[present] for side in (people.values[:, 1], model.values[:, 0]))
    if "correlation" in name:
        a, b = a - a.mean(), b - b.mean()
    expected = a @ inverse @ b / np.sqrt((a @ inverse @ a) * (b @ inverse @ b))
    broken = people.where(xr.DataArray(present, dims="sample"))
    with pytest.warns(CodedWarning, match="missing-pairs"):
        score = agreement(broken, model, metric=name, ceiling=False).score
    assert score.sel(subject=1).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ["whitened cosine", "whitened correlation"])
def test_whitened_comparators_take_pairs_by_their_labels(name):
    people, model = measured()
    order = np.random.default_rng(1).permutation(people.sizes["sample"])
    turned = agreement(people.isel(sample=order), model, metric=name)
    xr.testing.assert_allclose(turned.score, agreement(people, model, metric=name).score)
    with pytest.raises(ValueError, match=r"metric: whitened .* takes all pairs of some items"):
        agreement(people.isel(sample=slice(1, None)), model.isel(sample=slice(1, None)), metric=name)


@pytest.mark.parametrize("comparator", ["spearman", "pearson", "cosine", "whitened cosine"])
@pytest.mark.parametrize("distance", ["squared euclidean", "crossnobis", "correlation"])
@pytest.mark.parametrize("unit", [1e-30, 1e-13, 1e30, 1e120])
def test_agreement_takes_no_unit(comparator, distance, unit):
    rng = np.random.default_rng(0)
    items = [f"word {number}" for number in range(N_ITEMS)]
    recording = xr.DataArray(
        rng.standard_normal((N_ITEMS, 4, 6, 3)),
        dims=("sample", "repeat", "channel", "subject"),
        coords={"sample": items, "subject": range(3)},
    )
    features = xr.DataArray(rng.standard_normal((N_ITEMS, 4)), dims=("sample", "feature"), coords={"sample": items})
    options = {"distance": distance, "metric": comparator, "allow_bias": True}
    models = model_rdms(features, "squared euclidean")
    plain, scaled = (agreement(data, models, **options) for data in (recording, recording * unit))
    np.testing.assert_allclose(scaled.score, plain.score, atol=2e-6)
    np.testing.assert_allclose(scaled.ceiling, plain.ceiling, atol=2e-6)
    np.testing.assert_allclose(agreement(recording, models * 1e-200, **options).score, plain.score, atol=2e-6)


def test_dissimilarities_in_a_unit_that_their_type_does_not_hold_are_refused():
    patterns = xr.DataArray(np.eye(5, dtype=np.float32), dims=("sample", "channel"), coords={"sample": list("abcde")})
    with pytest.raises(ValueError, match=r"recording: values reach 1.0e-20, whose squares float32 does not hold"):
        rdms(patterns * np.float32(1e-20), "euclidean")


@pytest.mark.parametrize("n_items", [2, 3])
def test_agreement_of_too_few_items_is_refused(n_items):
    people, model = measured()
    few = people.sel(sample=[label for label in people.sample.values if max(int(label[-1]), int(label[5])) < n_items])
    with pytest.raises(ValueError, match=rf"data: {n_items} items have \d pairs, over which agreement|are equal"):
        agreement(few, model.sel(sample=few.sample))


def test_few_items_are_warned_of():
    people, model = measured()
    few = people.sel(sample=[label for label in people.sample.values if max(int(label[-1]), int(label[5])) < 5])
    with pytest.warns(CodedWarning, match="5 items have 10 pairs and few orders.*few-items"):
        agreement(few, model.sel(sample=few.sample))
