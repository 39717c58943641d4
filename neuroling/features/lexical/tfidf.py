"""Words counted rather than read by a network, and several feature spaces side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from neuroling.core.align import near_pairs
from neuroling.core.stimuli import Stimuli
from neuroling.features.words.letter_case import lowercase
from neuroling.features.words.text_checks import tidy

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfVectorizer

OVERSAMPLES = 20
"""Extra random directions of the truncated SVD; Halko, Martinsson and Tropp (2011) advise 5 to 10, more is safer."""

POWER_ITERATIONS = 4
"""Passes that sharpen the random directions; with 4 the leading subspace of word counts is stable to about 1e-3."""


# More than eight parameters: options of two steps, tf-idf and singular value decomposition, that fit on the same texts.
def tfidf_svd(
    stimuli: Stimuli,
    *,
    train: ArrayLike,
    n_components: int = 300,
    min_documents: int = 2,
    n_words: Literal[1, 2] = 1,
    stop_words: Literal["english"] | None = "english",
    sublinear: bool = True,
    language: str | None = None,
    rng: int | np.random.Generator = 0,
) -> xr.DataArray:
    r"""Describe texts by the words they hold: tf-idf weights, reduced by a truncated singular value decomposition.

    Vocabulary, inverse document frequencies and singular vectors are learned on the ``train`` texts alone and applied
    to all. A text's weights are :math:`(1 + \ln tf)(1 + \ln\frac{1+n}{1+df})`, at unit length, and its features their
    projection onto the leading right singular vectors (latent semantic analysis, Deerwester et al. 1990).

    Parameters
    ----------
    stimuli : Stimuli
        The texts, of training and test samples alike.
    train : array-like of labels
        Sample labels that may be learned from.
    n_components : int
        Number of features.
    min_documents : int
        Training texts a word must occur in. The default 2 drops what occurs in one text only, of which nothing can be
        learned for another.
    n_words : {1, 2}
        Single words, or also pairs of neighbouring words.
    stop_words : {"english"} or None
        Leave out English function words (scikit-learn's list), or none.
    sublinear : bool
        Use :math:`1 + \ln tf` rather than the plain count :math:`tf`.
    language : str, optional
        Code of the language whose small letters are used, such as ``"tr"``; see
        :func:`~neuroling.features.words.letter_case.lowercase`.
    rng : int or numpy.random.Generator
        Seed of the randomised decomposition.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        float32, rows in the order of the stimuli, features ordered by singular value. A text without any known word
        has zeros; ``attrs["n_without_words"]`` counts them.

    Raises
    ------
    ValueError
        If ``train`` is not a set of the stimuli's labels, or there are fewer words or texts than components.

    References
    ----------
    Deerwester, S. et al. (1990). Indexing by latent semantic analysis. J. Am. Soc. Inf. Sci. 41, 391-407.

    Examples
    --------
    >>> stimuli = Stimuli.from_texts(["pain and touch", "touch and pain", "word reading", "reading word aloud", "pain"])
    >>> features = tfidf_svd(stimuli, train=stimuli.labels[:4], n_components=2)
    >>> features.shape, bool(abs(features[4] @ features[0]) > abs(features[4] @ features[2]))
    ((5, 2), True)
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = dict(zip(stimuli.labels.tolist(), tidy(stimuli), strict=True))
    train_texts = [texts[label] for label in _train_labels(train, stimuli.labels.tolist())]
    counter = TfidfVectorizer(
        min_df=min_documents,
        stop_words=stop_words,
        sublinear_tf=sublinear,
        ngram_range=(1, n_words),
        dtype=np.float64,
        preprocessor=partial(lowercase, language=language),
    )
    weights = _fit_vocabulary(counter, train_texts)  # (train, word)
    if not 1 <= n_components < min(weights.shape):
        raise ValueError(
            f"n_components: got {n_components} with {weights.shape[0]} training texts and {weights.shape[1]} words in "
            f"at least {min_documents} of them; expected 1 to {min(weights.shape) - 1}."
        )
    seed = int(np.random.default_rng(rng).integers(2**31))
    reduction = TruncatedSVD(n_components, n_iter=POWER_ITERATIONS, n_oversamples=OVERSAMPLES, random_state=seed)
    reduction.fit(weights)
    everything = counter.transform(list(texts.values()))  # (sample, word)
    features = stimuli.features(reduction.transform(everything).astype(np.float32))
    return features.assign_attrs(
        step="tfidf_svd",
        n_components=n_components,
        min_documents=min_documents,
        n_words=n_words,
        stop_words=str(stop_words),
        sublinear=int(sublinear),
        seed=seed,
        n_train=len(train_texts),
        vocabulary=weights.shape[1],
        n_without_words=int((everything.getnnz(axis=1) == 0).sum()),
        stimuli=stimuli.fingerprint,
    )


def concatenate(spaces: Mapping[str, xr.DataArray], *, train: ArrayLike) -> xr.DataArray:
    """Join several feature spaces by label, each with the same total variance over the training samples.

    Without the scaling, a ridge penalty would fall on whichever space happens to be written in the smaller numbers.

    Parameters
    ----------
    spaces : mapping of str to xarray.DataArray, dims (sample, feature)
        Feature spaces of the same samples, in any order of rows.
    train : array-like of labels
        Sample labels that the variances are taken from.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        Rows in the order of the first space; feature names ``"space/feature"``, and the name of its space beside each,
        as the coordinate ``space``. The variance of each space, summed over
        its features, is 1 over the training samples. ``attrs`` of each space travel as ``"space.name"``.

    Raises
    ------
    ValueError
        If the spaces have different samples, or one of them is constant over the training samples.

    Examples
    --------
    >>> stimuli = Stimuli.from_texts(["celery", "airplane", "hammer"])
    >>> counts, lengths = stimuli.features([[0.0], [1], [2]]), stimuli.features([[60.0], [80], [60]])
    >>> both = concatenate({"count": counts, "length": lengths}, train=stimuli.labels)
    >>> both.feature.values.tolist(), both.var("sample").values.round(6).tolist()
    (['count/0', 'length/0'], [1.0, 1.0])
    """
    if not spaces:
        raise ValueError("spaces: got none; expected at least one feature space.")
    labels = _common_labels(spaces)
    rows = _train_labels(train, labels)
    scaled = [_unit_variance(name, space.sel(sample=labels), rows) for name, space in spaces.items()]
    joined = xr.concat(scaled, dim="feature", coords="minimal", compat="equals", join="exact", combine_attrs="drop")
    attrs = {f"{name}.{key}": value for name, space in spaces.items() for key, value in space.attrs.items()}
    longest = max(int(space.attrs.get("longest_delay", 0)) for space in spaces.values())
    reach = {"longest_delay": longest} if longest else {}  # what evaluate holds gaps against
    return joined.assign_attrs({"step": "concatenate", "spaces": ", ".join(spaces), **reach, **attrs})


def _train_labels(train: ArrayLike, labels: Sequence[object]) -> list[object]:
    """Give the training labels as a list, after checking that they are distinct labels of the samples."""
    train_labels = np.asarray(train).tolist()
    if not isinstance(train_labels, list) or len(train_labels) < 2:
        raise ValueError(f"train: got {np.size(train_labels)} labels; expected at least two sample labels.")
    known = set(labels)
    absent = [label for label in train_labels if label not in known]
    if absent:
        raise ValueError(
            f"train: {len(absent)} of {len(train_labels)} are no sample labels, first {absent[:5]}; expected labels "
            f"such as {list(labels[:3])}, not row numbers."
        )
    if len(set(train_labels)) != len(train_labels):
        raise ValueError(f"train: {len(train_labels) - len(set(train_labels))} labels are given more than once.")
    return train_labels


def _fit_vocabulary(counter: TfidfVectorizer, texts: list[str]) -> csr_matrix:
    try:
        return counter.fit_transform(texts)
    except ValueError as error:
        raise ValueError(
            f"stimuli: no word occurs in at least {counter.min_df} of the {len(texts)} training texts ({error}). Lower "
            "min_documents, or set stop_words=None."
        ) from error


def _common_labels(spaces: Mapping[str, xr.DataArray]) -> list[object]:
    first_name, first = next(iter(spaces.items()))
    for name, space in spaces.items():
        if set(space.dims) != {"sample", "feature"}:
            raise ValueError(f"spaces[{name!r}]: got axes {space.dims}; expected ('sample', 'feature').")
        labels = space.indexes["sample"]
        if not labels.is_unique:
            raise ValueError(f"spaces[{name!r}]: {int(labels.duplicated().sum())} sample labels occur more than once.")
        apart = labels.symmetric_difference(first.indexes["sample"])
        if len(apart):
            near = near_pairs(first.indexes["sample"].difference(labels), labels.difference(first.indexes["sample"]))
            alike = f" Only case or blanks tell apart {near[:5]}." if near else ""
            raise ValueError(
                f"spaces: {name!r} and {first_name!r} differ in {len(apart)} sample labels, first "
                f"{apart[:5].tolist()}; select the common ones with .sel(sample=…).{alike}"
            )
    return list(first.indexes["sample"].tolist())


def _unit_variance(name: str, space: xr.DataArray, train: Sequence[object]) -> xr.DataArray:
    space = space.transpose("sample", "feature")
    total = float(space.sel(sample=list(train)).astype(np.float64).var("sample").sum())
    if not np.isfinite(total) or total <= 0:
        raise ValueError(
            f"spaces[{name!r}]: the variance over the {len(train)} training samples is {total}; expected a finite "
            "number above zero."
        )
    names = [f"{name}/{feature}" for feature in space.feature.values]
    precision = space.dtype if space.dtype.kind == "f" else np.float64
    scaled = (space.values / np.sqrt(total)).astype(precision)
    return space.copy(data=scaled).assign_coords(feature=names, space=("feature", [name] * len(names)))
