from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.feature_extraction.text import TfidfVectorizer

from neuroling.core.stimuli import Stimuli
from neuroling.features.lexical.tfidf import concatenate, tfidf_svd

TOPICS = {"pain": "pain touch heat skin", "word": "word letter reading speech", "face": "face eyes identity gaze"}


def titles(n: int = 60, seed: int = 0) -> Stimuli:
    rng = np.random.default_rng(seed)
    texts, topics = [], []
    for i in range(n):
        topic = list(TOPICS)[i % 3]
        words = rng.choice(TOPICS[topic].split(), 3).tolist() + rng.choice(["cortex", "brain", "study"], 2).tolist()
        texts.append(" ".join(words))
        topics.append(topic)
    return Stimuli.from_texts(texts, labels=[f"t{i}" for i in range(n)], condition=topics)


def space(values: np.ndarray, labels: list[str]) -> xr.DataArray:
    return xr.DataArray(
        values, dims=("sample", "feature"), coords={"sample": labels, "feature": range(values.shape[1])}
    )


def test_texts_of_one_topic_lie_together() -> None:
    stimuli = titles()
    x = tfidf_svd(stimuli, train=stimuli.labels[:45], n_components=5)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    same = np.equal.outer(x.condition.values, x.condition.values)
    similarity = (x.values @ x.values.T)[45:]
    assert similarity[same[45:]].mean() > similarity[~same[45:]].mean() + 0.3


def test_the_projection_keeps_inner_products_when_nothing_is_dropped() -> None:
    stimuli = titles()
    full = TfidfVectorizer(min_df=1, sublinear_tf=True).fit_transform(stimuli.texts).toarray()
    x = tfidf_svd(stimuli, train=stimuli.labels, n_components=14, min_documents=1, stop_words=None).values
    np.testing.assert_allclose(x @ x.T, full @ full.T, atol=0.02)


def test_test_texts_teach_nothing() -> None:
    stimuli, train = titles(), [f"t{i}" for i in range(40)]
    changed = stimuli.table.copy()
    changed.loc[changed.index[40:], "text"] = "zebra zebra quagga quagga"
    one = tfidf_svd(stimuli, train=train, n_components=4).sel(sample=train)
    other = tfidf_svd(Stimuli(changed), train=train, n_components=4).sel(sample=train)
    np.testing.assert_array_equal(one.values, other.values)


def test_texts_without_a_known_word_are_counted() -> None:
    stimuli = Stimuli.from_texts([*titles().texts, "zebra quagga"], labels=range(61))
    x = tfidf_svd(stimuli, train=range(60), n_components=3)
    assert (x.attrs["n_without_words"], float(np.abs(x[60]).sum())) == (1, 0.0)


def test_equal_seeds_agree_and_different_ones_do_not() -> None:
    words = np.random.default_rng(0).integers(300, size=(400, 8))
    stimuli = Stimuli.from_texts([" ".join(f"word{i}" for i in row) for row in words], labels=range(400))
    runs = [tfidf_svd(stimuli, train=stimuli.labels, n_components=20, rng=seed).values for seed in (1, 1, 2)]
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_pairs_of_words_are_counted_when_asked() -> None:
    stimuli = titles()
    single, double = (tfidf_svd(stimuli, train=stimuli.labels, n_components=3, n_words=n) for n in (1, 2))
    assert double.attrs["vocabulary"] > single.attrs["vocabulary"]


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ([0, 1, 2], "no sample labels, first .*not row numbers"),
        (["t0", "t0", "t1"], "given more than once"),
        (["t0"], "at least two"),
        ([], "at least two"),
    ],
)
def test_training_labels_are_checked(train: list[object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tfidf_svd(titles(), train=train, n_components=2)


@pytest.mark.parametrize("n_components", [0, 15, 1000])
def test_the_number_of_components_is_checked(n_components: int) -> None:
    with pytest.raises(ValueError, match="n_components: got"):
        tfidf_svd(titles(), train=titles().labels, n_components=n_components)


def test_an_empty_vocabulary_is_a_sentence() -> None:
    stimuli = Stimuli.from_texts(["one cat", "two dogs", "three ships"])
    with pytest.raises(ValueError, match="no word occurs in at least 2 of the 3 training texts"):
        tfidf_svd(stimuli, train=stimuli.labels, n_components=1)


def test_spaces_are_joined_by_label_and_not_by_position() -> None:
    labels = ["a", "b", "c"]
    first = space(np.array([[1.0], [2], [4]]), labels)
    second = space(np.array([[10.0], [20], [40]]), labels).isel(sample=[2, 0, 1])
    both = concatenate({"first": first, "second": second}, train=labels)
    np.testing.assert_allclose(both.sel(feature="first/0"), both.sel(feature="second/0"))


def test_spaces_get_equal_total_variance_over_the_training_samples() -> None:
    rng = np.random.default_rng(0)
    labels = [f"s{i}" for i in range(30)]
    wide, narrow = space(100 * rng.normal(size=(30, 8)), labels), space(rng.normal(size=(30, 2)), labels)
    both = concatenate({"wide": wide, "narrow": narrow}, train=labels[:20])
    variance = both.sel(sample=labels[:20]).var("sample").values
    np.testing.assert_allclose([variance[:8].sum(), variance[8:].sum()], 1.0)


def test_test_samples_do_not_change_the_scale() -> None:
    labels = ["a", "b", "c"]
    calm, wild = (space(np.array([[1.0], [2], [last]]), labels) for last in (3, 300))
    kept = [concatenate({"x": x}, train=labels[:2]).sel(sample=labels[:2]).values for x in (calm, wild)]
    np.testing.assert_array_equal(*kept)


def test_whole_numbers_become_fractions() -> None:
    counts = space(np.array([[1], [2], [4]]), ["a", "b", "c"])
    assert concatenate({"x": counts}, train=["a", "b", "c"]).dtype == np.float64


def test_attributes_of_each_space_travel_along() -> None:
    x = space(np.eye(3), ["a", "b", "c"]).assign_attrs(encoder="minilm")
    assert concatenate({"text": x}, train=["a", "b"]).attrs["text.encoder"] == "minilm"


def test_different_samples_are_refused() -> None:
    one, other = space(np.eye(3), ["a", "b", "c"]), space(np.eye(3), ["a", "b", "d"])
    with pytest.raises(ValueError, match="differ in 2 sample labels"):
        concatenate({"one": one, "other": other}, train=["a", "b"])


def test_a_space_without_variance_is_refused() -> None:
    flat = space(np.array([[1.0], [1], [2]]), ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"spaces\['flat'\]: the variance"):
        concatenate({"flat": flat}, train=["a", "b"])


def test_no_space_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="spaces: got none"):
        concatenate({}, train=["a", "b"])


def test_repeated_labels_in_a_space_are_refused() -> None:
    with pytest.raises(ValueError, match="occur more than once"):
        concatenate({"x": space(np.eye(3), ["a", "a", "b"])}, train=["a", "b"])


def test_a_leftover_axis_is_refused() -> None:
    x = space(np.eye(3), ["a", "b", "c"]).expand_dims("layer")
    with pytest.raises(ValueError, match="got axes"):
        concatenate({"x": x}, train=["a", "b"])
