"""Which words stand near which: counts from any text, weighted, and the verbs of Mitchell et al. (2008)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.features.words.letter_case import CaseLookup, bare, bare_words
from neuroling.features.words.text_checks import tidy

VERB_FORMS: Mapping[str, tuple[str, ...]] = {
    "see": ("see", "sees", "saw", "seen", "seeing"),
    "hear": ("hear", "hears", "heard", "hearing"),
    "listen": ("listen", "listens", "listened", "listening"),
    "taste": ("taste", "tastes", "tasted", "tasting"),
    "smell": ("smell", "smells", "smelled", "smelt", "smelling"),
    "eat": ("eat", "eats", "ate", "eaten", "eating"),
    "touch": ("touch", "touches", "touched", "touching"),
    "rub": ("rub", "rubs", "rubbed", "rubbing"),
    "lift": ("lift", "lifts", "lifted", "lifting"),
    "manipulate": ("manipulate", "manipulates", "manipulated", "manipulating"),
    "run": ("run", "runs", "ran", "running"),
    "push": ("push", "pushes", "pushed", "pushing"),
    "fill": ("fill", "fills", "filled", "filling"),
    "move": ("move", "moves", "moved", "moving"),
    "ride": ("ride", "rides", "rode", "ridden", "riding"),
    "say": ("say", "says", "said", "saying"),
    "fear": ("fear", "fears", "feared", "fearing"),
    "open": ("open", "opens", "opened", "opening"),
    "approach": ("approach", "approaches", "approached", "approaching"),
    "near": ("near", "nears", "neared", "nearing"),
    "enter": ("enter", "enters", "entered", "entering"),
    "drive": ("drive", "drives", "drove", "driven", "driving"),
    "wear": ("wear", "wears", "wore", "worn", "wearing"),
    "break": ("break", "breaks", "broke", "broken", "breaking"),
    "clean": ("clean", "cleans", "cleaned", "cleaning"),
}
"""The 25 verbs of Mitchell et al. (2008) with their inflected forms; the forms are recalled, not known."""


def cooccurrence(
    stimuli: Stimuli,
    corpus: Stimuli,
    *,
    contexts: Mapping[str, Sequence[str]] | Sequence[str] | int = 1000,
    window: int = 5,
    language: str | None = None,
    clean: bool = False,
) -> xr.DataArray:
    """Count how often words stand near each stimulus in a corpus.

    Parameters
    ----------
    stimuli : Stimuli
        Single words; case and punctuation around them are ignored.
    corpus : Stimuli
        Texts, one a row; no count crosses from one to the next.
    contexts : mapping, sequence of str, or int
        Names and the forms counted under them; words; or how many of the corpus's most frequent words.
    window : int
        Words on either side that count as near.
    language : str, optional
        Code of the language whose small letters are used, such as ``"tr"``; see
        :func:`~neuroling.features.words.letter_case.lowercase`.
    clean : bool
        Take control characters and direction marks out of the corpus, with a warning, instead of refusing it.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        Counts, float64. ``attrs`` hold the numbers of words of the corpus, and of stimuli not in it.

    Examples
    --------
    >>> corpus = Stimuli.from_texts(["I eat celery", "you eat the celery and drive the car"])
    >>> counts = cooccurrence(Stimuli.from_texts(["celery", "car"]), corpus, contexts=["eat", "drive"], window=3)
    >>> counts.values.tolist()
    [[2.0, 1.0], [0.0, 1.0]]
    """
    if window < 1:
        raise ValueError(f"window: got {window}; expected at least 1 word.")
    texts = bare_words([text.split() for text in tidy(corpus, name="corpus", clean=clean)], language)
    lookup = CaseLookup((word for text in texts for word in text), language)
    forms = _forms(contexts, texts, lookup)
    column = {form: place for place, own in enumerate(forms.values()) for form in own}
    targets = [lookup.find(text, small_first=True) or bare(text, language) for text in tidy(stimuli)]
    several = [text for text in targets if " " in text]
    if several:
        raise ValueError(f"stimuli: {len(several)} are not single words, first {several[:3]}.")
    counts, seen = _count(texts, set(targets), column, len(forms), window)
    values = np.stack([counts.get(target, np.zeros(len(forms))) for target in targets])
    return stimuli.features(values, list(forms)).assign_attrs(
        step="cooccurrence",
        window=window,
        corpus=corpus.fingerprint,
        n_corpus_words=sum(map(len, texts)),
        n_unseen=sum(seen[target] == 0 for target in targets),
        stimuli=stimuli.fingerprint,
    )


def verb_features(stimuli: Stimuli, corpus: Stimuli, *, window: int = 5, clean: bool = False) -> xr.DataArray:
    """Describe nouns by the verbs they occur with, as Mitchell et al. (2008) did.

    Counts within the window of each of 25 verbs, all its forms together, scaled to unit length for each noun.

    Parameters
    ----------
    stimuli : Stimuli
        Nouns.
    corpus : Stimuli
        Texts.
    window : int
        Words on either side.
    clean : bool
        As for :func:`cooccurrence`.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        25 features.

    Raises
    ------
    ValueError
        If a noun occurs with none of the verbs.

    References
    ----------
    Mitchell, T. M. et al. (2008). Predicting human brain activity associated with the meanings of nouns. Science 320.
    """
    counts = cooccurrence(stimuli, corpus, contexts=VERB_FORMS, window=window, clean=clean)
    lengths = np.linalg.norm(counts.values, axis=1)
    if (lengths == 0).any():
        alone = stimuli.labels[lengths == 0].tolist()
        raise ValueError(
            f"stimuli: {len(alone)} occur with none of the 25 verbs (first {alone[:5]}); use a larger corpus or leave "
            "them out."
        )
    return counts.copy(data=counts.values / lengths[:, None]).assign_attrs(step="verb_features")


def ppmi(counts: xr.DataArray, *, smoothing: float = 0.75) -> xr.DataArray:
    r"""Weight counts by positive pointwise mutual information.

    :math:`\max(0, \log_2 \frac{p(w, c)}{p(w)\,p_\alpha(c)})` with :math:`p_\alpha(c) \propto n(c)^\alpha`, which keeps
    rare contexts from dominating (Levy, Goldberg and Dagan 2015).

    Parameters
    ----------
    counts : xarray.DataArray, dims (sample, feature)
        From :func:`cooccurrence`.
    smoothing : float
        :math:`\alpha`, above 0 and up to 1.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        Bits; zero where nothing was counted.

    Examples
    --------
    >>> counts = Stimuli.from_texts(["celery", "car"]).features([[4.0, 0.0], [0.0, 4.0]], ["eat", "drive"])
    >>> ppmi(counts, smoothing=1.0).values.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if not 0 < smoothing <= 1:
        raise ValueError(f"smoothing: got {smoothing}; expected above 0 and up to 1.")
    values = np.asarray(counts.transpose("sample", "feature").values, dtype=np.float64)
    if not np.isfinite(values).all() or (values < 0).any() or values.sum() == 0:
        raise ValueError("counts: expected finite counts, none below zero and not all of them zero.")
    context = values.sum(0) ** smoothing
    expected = values.sum(1, keepdims=True) * (context / context.sum())
    ratio = np.divide(values, expected, out=np.ones_like(values), where=values > 0)
    weighted = np.maximum(0.0, np.log2(ratio))
    return counts.transpose("sample", "feature").copy(data=weighted).assign_attrs(step="ppmi", smoothing=smoothing)


def svd(features: xr.DataArray, n_components: int) -> xr.DataArray:
    """Reduce features to their leading singular directions.

    Parameters
    ----------
    features : xarray.DataArray, dims (sample, feature)
        Such as :func:`ppmi`. All samples are used: for features of test samples learned elsewhere, see
        :func:`~neuroling.features.lexical.tfidf.tfidf_svd`.
    n_components : int
        How many.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        Left singular vectors times singular values; the largest weight of each direction is positive.
    """
    table = features.transpose("sample", "feature")
    if not 1 <= n_components <= min(table.shape):
        raise ValueError(f"n_components: got {n_components} of shape {table.shape}; expected 1 to {min(table.shape)}.")
    left, sizes, right = np.linalg.svd(np.asarray(table.values, dtype=np.float64), full_matrices=False)
    sign = np.sign(right[np.arange(len(right)), np.abs(right).argmax(1)])
    reduced = (left * (sizes * sign))[:, :n_components]
    labels = {name: coord for name, coord in table.coords.items() if coord.dims == ("sample",)}
    return xr.DataArray(
        reduced,
        dims=("sample", "feature"),
        coords={**labels, "feature": np.arange(n_components)},
        attrs={**features.attrs, "step": "svd", "n_components": n_components},
    )


def _forms(
    contexts: Mapping[str, Sequence[str]] | Sequence[str] | int, texts: list[list[str]], lookup: CaseLookup
) -> dict[str, list[str]]:
    if isinstance(contexts, str):
        raise TypeError(f"contexts: got the str {contexts!r}; expected words, a mapping, or a number.")
    if isinstance(contexts, int):
        counts = Counter(word for text in texts for word in text)
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return {word: [word] for word in ranked[:contexts]}
    forms_of_context = contexts if isinstance(contexts, Mapping) else {word: [word] for word in contexts}
    forms = {
        str(name): [lookup.find(form, small_first=True) or bare(form, lookup.language) for form in forms_of_one]
        for name, forms_of_one in forms_of_context.items()
    }
    every = [form for forms_of_one in forms.values() for form in forms_of_one]
    if not every or len(set(every)) != len(every):
        raise ValueError("contexts: got no word, or one word under two names.")
    return forms


def _count(
    texts: list[list[str]], targets: set[str], column: dict[str, int], n_columns: int, window: int
) -> tuple[dict[str, NDArray[np.float64]], Counter[str]]:
    counts: dict[str, NDArray[np.float64]] = {}
    seen: Counter[str] = Counter()
    for text in texts:
        for index, word in enumerate(text):
            if word not in targets:
                continue
            seen[word] += 1
            row = counts.setdefault(word, np.zeros(n_columns))
            near = text[max(0, index - window) : index] + text[index + 1 : index + 1 + window]
            for other in near:
                if other in column:
                    row[column[other]] += 1
    return counts, seen
