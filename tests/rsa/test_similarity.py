"""Agreement with models: many models, time, ceilings, gaps; equal to the one evaluation and to slow references."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from agreement import agreement
from scipy.stats import rankdata, spearmanr

from neuroling import LeaveOneOutCeiling, NoSplit, Permutation, evaluate, spearman
from neuroling.numerics.rdm.ceilings import bounds_from_products
from neuroling.numerics.rdm.comparators import ALL
from neuroling.rsa.dissimilarity import rdms
from neuroling.rsa.models import model_rdms, stack_models
from neuroling.rsa.pairs import FixedRDM, paired, pairwise

ONE = np.float64


@pytest.fixture
def models(features):
    rng = np.random.default_rng(5)
    noisy = features + 0.5 * rng.standard_normal(features.shape)
    classes = xr.DataArray(
        (np.arange(12) % 2)[:, None] * 1.0, dims=("sample", "feature"), coords={"sample": features.sample}
    )
    named = [("true", features), ("noisy", noisy), ("class", classes)]
    return stack_models(*(model_rdms(x, "euclidean").assign_coords(model=[name]) for name, x in named))


def test_the_stream_equals_the_one_evaluation(features, recording):
    pairs = pairwise(features, recording, model_distance="euclidean", dtype=ONE)
    slow = evaluate(FixedRDM(), pairs, splits=NoSplit(), metric=spearman).score
    fast = agreement(recording, model_rdms(features, "euclidean"), metric="spearman", dtype=ONE).score
    np.testing.assert_allclose(fast.isel(model=0).transpose(*slow.dims).values, slow.values, atol=1e-12)


def test_single_precision_is_off_by_less_than_a_millionth(recording, models):
    fast, exact = (agreement(recording, models, metric="pearson", dtype=d).score for d in (np.float32, ONE))
    np.testing.assert_allclose(fast.values, exact.values, atol=1e-6)


@pytest.mark.parametrize("comparator", [c.name for c in ALL])
def test_every_comparator_gives_the_same_streamed_or_held(recording, models, comparator):
    part = recording.isel(time=slice(5, 8))
    streamed = agreement(part, models, metric=comparator, dtype=ONE)
    held = agreement(rdms(part), models, metric=comparator)
    np.testing.assert_allclose(streamed.score.values, held.score.values, atol=1e-12)
    np.testing.assert_allclose(streamed.ceiling.values, held.ceiling.values, atol=1e-12)


@pytest.mark.parametrize("comparator", [c for c in ALL if c.embed is not None], ids=lambda c: c.name)
def test_inner_products_of_embeddings_are_the_scores(comparator):
    rng = np.random.default_rng(6)
    rows, models = rng.standard_normal((4, 66)), np.round(rng.standard_normal((3, 66)))
    np.testing.assert_allclose(comparator.embed(rows) @ comparator.embed(models).T, comparator.compare(rows, models))


def test_ties_choose_rho_a_and_the_result_says_so(recording, models):
    assert agreement(recording, models).metric == "rho-a"
    assert agreement(recording, models.sel(model=["true"])).metric == "spearman"


def test_the_true_model_wins_and_reaches_the_ceiling(recording, models):
    result = agreement(recording, models, metric="spearman")
    peak = result.score.sel(time=0.2).mean("subject")
    assert peak.idxmax("model") == "true"
    bounds = result.ceiling.sel(time=0.2).mean("subject")
    assert bounds.sel(bound="lower") - 0.05 < peak.max() < bounds.sel(bound="upper") + 0.05


def test_a_model_of_ties_does_not_beat_the_true_one():
    """With tau-b or Spearman a two-level copy of the true model may win; with rho-a it does not."""
    rng = np.random.default_rng(7)
    wins = {"spearman": 0, "rho-a": 0}
    for _ in range(30):
        latent = xr.DataArray(rng.standard_normal((20, 2)), dims=("sample", "feature"), coords={"sample": range(20)})
        true = model_rdms(latent, "euclidean")
        coarse = true.copy(data=(true > true.median()) * 1.0).assign_coords(model=["coarse"])
        noisy = true.isel(model=0, drop=True) + 3 * true.std().item() * rng.standard_normal(190)
        both = stack_models(true, coarse)
        for name in wins:
            score = agreement(noisy, both, metric=name).score
            wins[name] += float(score.sel(model="coarse")) > float(score.sel(model="features"))
    assert wins["rho-a"] <= wins["spearman"]
    assert wins["rho-a"] <= 3


def test_ceilings_equal_direct_averaging(recording):
    pairs = rdms(recording).sel(time=0.2)
    ranked = rankdata(pairs.transpose("subject", "sample").values, axis=1)
    unit = ranked - ranked.mean(axis=1, keepdims=True)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    expected_upper = [np.corrcoef(row, unit.mean(axis=0))[0, 1] for row in unit]
    expected_lower = [np.corrcoef(unit[s], np.delete(unit, s, 0).mean(axis=0))[0, 1] for s in range(len(unit))]
    lower, upper = bounds_from_products((unit @ unit.T)[None])[:, :, 0]
    np.testing.assert_allclose(upper, expected_upper)
    np.testing.assert_allclose(lower, expected_lower)


def test_ceilings_are_close_to_those_of_leave_one_out(features, recording):
    fast = agreement(recording, model_rdms(features, "euclidean"), metric="pearson", dtype=ONE).ceiling
    pairs = paired(model_rdms(features, "euclidean"), rdms(recording))
    from neuroling import pearson

    slow = evaluate(FixedRDM(), pairs, splits=NoSplit(), metric=pearson, ceiling=LeaveOneOutCeiling()).ceiling
    assert float(abs(fast - slow).mean()) < 0.03  # the one weighs participants alike, the other by their spread


@pytest.mark.parametrize("n_studies", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_ceilings_bracket_the_true_model(n_studies):
    rng = np.random.default_rng(8)
    inside = 0
    for _ in range(n_studies):
        truth = rng.gamma(2, 1, 190)
        rows = truth + rng.normal(0, 1.5, (12, 190))
        model = truth - truth.mean()
        score = np.mean([np.corrcoef(row, model)[0, 1] for row in rows])
        unit = rows - rows.mean(axis=1, keepdims=True)
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        lower, upper = bounds_from_products((unit @ unit.T)[None]).mean(axis=(1, 2))
        inside += lower <= score <= upper
    assert inside >= 0.975 * n_studies


@pytest.mark.parametrize("comparator", [c.name for c in ALL if "cosine" not in c.name and "whitened" not in c.name])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dissimilarities_that_are_all_equal_agree_with_nothing_and_this_is_said(models, comparator, dtype):
    rows = xr.DataArray(
        np.full((66, 2), 0.1), dims=("sample", "subject"), coords={"sample": models.sample, "subject": [0, 1]}
    )
    with pytest.warns(UserWarning, match="are all equal or missing"):
        score = agreement(rows, models, metric=comparator, ceiling=False, dtype=dtype).score
    assert score.isnull().all()


def test_a_gap_at_one_time_leaves_all_other_scores_alone(recording, models):
    """Defect 3: a NaN in one dissimilarity masked that pair at every later time."""
    broken = recording.copy()
    broken.loc[{"subject": "s1", "sample": "word 03", "time": 0.1}] = np.nan
    whole = agreement(recording, models, metric="spearman", dtype=ONE).score
    with pytest.warns(UserWarning, match=r"11 of 4290 dissimilarities.*1 samples, first \['word 03'\].*missing-pairs"):
        got = agreement(broken, models, metric="spearman", dtype=ONE).score
    untouched = xr.ones_like(whole, dtype=bool)
    untouched.loc[{"subject": "s1", "time": 0.1}] = False
    np.testing.assert_allclose(got.where(untouched), whole.where(untouched))
    kept = rdms(broken).sel(subject="s1", time=0.1).dropna("sample")
    expected = spearmanr(kept, models.sel(model="true", sample=kept.sample))[0]
    assert got.sel(subject="s1", time=0.1, model="true").item() == pytest.approx(expected)


def test_many_models_give_what_single_calls_give(recording, models):
    together = agreement(recording, models, metric="spearman", dtype=ONE).score
    for name in models.model.values:
        alone = agreement(recording, models.sel(model=[name]), metric="spearman", dtype=ONE).score
        np.testing.assert_allclose(together.sel(model=[name]).values, alone.values, atol=1e-12)


def test_models_are_matched_by_label(recording, models):
    order = np.random.default_rng(9).permutation(models.sizes["sample"])
    turned = agreement(recording, models.isel(sample=order), metric="spearman").score
    xr.testing.assert_allclose(turned, agreement(recording, models, metric="spearman").score)


def test_controls_take_out_what_they_explain(recording, models):
    def score(name, controls=None):
        held = None if controls is None else models.sel(model=[controls])
        result = agreement(recording, models.sel(model=[name]), metric="spearman", controls=held)
        return result, float(result.score.sel(time=0.2).mean())

    assert score("noisy")[1] > 0.5
    result, left = score("noisy", controls="true")
    assert result.metric == "partial spearman given true"
    assert left < 0.1
    assert score("true", controls="noisy")[1] > 0.7


def test_signed_scores_are_centred_on_zero_under_the_null():
    """Defect 5: squared scores, tested against zero, are significant for participants with no effect."""
    rng = np.random.default_rng(10)
    rows = xr.DataArray(rng.standard_normal((66, 400)), dims=("sample", "subject"), coords={"sample": _labels()})
    model = xr.DataArray(
        rng.standard_normal((66, 1)), dims=("sample", "model"), coords={"sample": _labels(), "model": ["m"]}
    )
    score = agreement(rows, model, ceiling=False).score
    assert abs(float(score.mean())) < 3 * float(score.std()) / 20
    assert 0.4 < float((score < 0).mean()) < 0.6


def test_windows_over_the_onset_are_noted(recording, models):
    notes = agreement(recording, models, window=3).provenance.notes
    assert any("samples of both sides" in note for note in notes)


def test_a_biased_distance_is_noted(recording, models):
    assert any("biased" in note for note in agreement(recording, models, distance="correlation").provenance.notes)


def test_synthetic_data_stay_labelled(recording, models):
    assert agreement(recording.assign_attrs(synthetic=1), models).provenance.synthetic


def test_a_flat_place_is_undefined_with_a_warning(recording, models):
    flat = recording.mean("repeat").copy()
    flat.loc[{"time": 0.1}] = 1.0
    with pytest.warns(UserWarning, match="undefined"):
        result = agreement(flat, models, distance="euclidean", metric="spearman", ceiling=False)
    assert result.score.sel(time=0.1).isnull().all()
    assert result.score.drop_sel(time=0.1).notnull().all()


def test_permuting_items_breaks_the_agreement(features, recording):
    pairs = pairwise(features, recording.sel(subject=["s0"]), model_distance="euclidean")
    result = evaluate(FixedRDM(), pairs, splits=NoSplit(), metric=spearman, inference=Permutation(99))
    assert result.p_values().sel(subject="s0", time=0.2) == 0.01
    assert abs(result.null.draws.sel(subject="s0", time=0.2).mean()) < 0.1


def _labels():
    from neuroling.rsa.dissimilarity import PairLabels

    return PairLabels.of(np.array([f"i{place:02d}" for place in range(12)])).sample
