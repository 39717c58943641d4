"""Labels that hold " | " gave two pairs one name; labels in another form of accents gave no hint."""

from __future__ import annotations

import unicodedata
from itertools import combinations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from neuroling import align, evaluate, model_rdms, pairwise, spearman
from neuroling.core.pair_names import items_of_pairs, name_pairs
from neuroling.probing.pairs import word_pairs
from neuroling.rsa import FixedRDM, rdms
from neuroling.rsa.dissimilarity import label_pairs
from neuroling.rsa.models import stack_models
from neuroling.rsa.pairs import paired

COLLIDING = ["a", "b | c", "a | b", "c"]


def recording(items: list[str], seed: int = 0) -> xr.DataArray:
    values = np.random.default_rng(seed).standard_normal((len(items), 6))
    return xr.DataArray(values, dims=("sample", "channel"), coords={"sample": items})


def test_items_with_a_bar_in_their_name_are_compared() -> None:
    patterns = recording(COLLIDING)
    names = rdms(patterns, "euclidean").sample.values
    assert len(set(names)) == 6
    models = model_rdms(patterns.rename(channel="feature").isel(sample=[2, 0, 3, 1]), "euclidean")
    with pytest.warns(UserWarning, match="few-items"):
        score = evaluate(FixedRDM(), pairwise(models, patterns, distance="euclidean"), metric=spearman).score
    assert float(score.squeeze()) == pytest.approx(1)


def test_pairs_of_names_with_bars_are_matched_everywhere() -> None:
    patterns = recording(COLLIDING)
    measured = rdms(patterns, "euclidean")
    models = model_rdms(patterns.rename(channel="feature").isel(sample=[3, 1, 2, 0]), "euclidean")
    data = paired(models, measured)
    np.testing.assert_allclose(data.x.values[:, 0], data.y.values)
    relabelled = label_pairs(measured.drop_vars("sample"))
    assert relabelled.sample.values.tolist() == measured.sample.values.tolist()
    assert stack_models(models, models.assign_coords(model=["again"])).sizes == {"sample": 6, "model": 2}


def test_words_of_a_tree_may_hold_bars() -> None:
    heads = xr.DataArray(
        [2, 0, 2, 3],
        dims="sample",
        coords={"sample": COLLIDING, "group": ("sample", ["s"] * 4), "position": ("sample", [1, 2, 3, 4])},
    )
    vectors = xr.DataArray(np.eye(4), dims=("sample", "feature"), coords={"sample": COLLIDING})
    assert len(set(word_pairs(vectors, heads).y.sample.values)) == 6


ITEMS = st.text(alphabet="ab |\\", min_size=1, max_size=5)


@given(st.lists(ITEMS, min_size=2, max_size=6, unique=True))
def test_different_pairs_have_different_names(items: list[str]) -> None:
    pairs = list(combinations(items, 2))
    names = name_pairs([a for a, _ in pairs], [b for _, b in pairs])
    assert len(set(names)) == len(pairs)


@given(st.lists(st.text(alphabet="ab|\\", min_size=1, max_size=5), min_size=2, max_size=6, unique=True))
def test_items_are_read_from_the_names_of_their_pairs(items: list[str]) -> None:
    assert set(items_of_pairs(name_pairs(items[:-1], items[1:]))) == set(items)


def test_labels_that_need_nothing_keep_their_names() -> None:
    assert name_pairs(["cat"], ["dog"]).tolist() == ["cat | dog"]


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (lambda item: unicodedata.normalize("NFD", item), r"\('cafe\u0301', 'caf\u00e9'\)"),
        (str.upper, r"\('CAF\u00c9', 'caf\u00e9'\)"),
        (lambda item: item + " ", r"\('caf\u00e9 ', 'caf\u00e9'\)"),
    ],
)
def test_items_that_differ_in_spelling_alone_are_shown_in_pairs(change: object, shown: str) -> None:
    items = ["café", "élan", "zoo", "boat"]
    features = recording([change(item) for item in items]).rename(channel="feature")  # type: ignore[operator]
    models = model_rdms(features)
    pattern = rf"labels of pairs differ.* differ only in case, blanks, accents' form or type.*{shown}"
    with pytest.raises(ValueError, match=pattern):
        pairwise(models, recording(items))
    with pytest.raises(ValueError, match=pattern):
        paired(models, rdms(recording(items)))
    with pytest.raises(ValueError, match=pattern):
        stack_models(model_rdms(recording(items).rename(channel="feature")), models.assign_coords(model=["b"]))
    with pytest.raises(ValueError, match="differ only in case, blanks, accents' form or type"):
        align(features, recording(items))
