"""Every word after every other one: simulated matrices of the N400 to set beside people's.

The words are a user's own, with meanings made from vectors such as embeddings. Their real spelling is not represented.
Since neighbours in spelling respond alike, matrices are averaged over lexicons that spell the same meanings at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.cluster.hierarchy import linkage

from neuroling.n400.alpha import Alpha
from neuroling.n400.effects import first_window
from neuroling.n400.experiments import experiment, repetition
from neuroling.n400.lexicon import CONSONANTS, VOWELS, Lexicon, two_of_five
from neuroling.n400.linking_hypotheses import LINKS, Link
from neuroling.n400.measures import mean_amplitude
from neuroling.n400.network import Network
from neuroling.n400.regime import Training
from neuroling.n400.simulate import simulate, simulate_links
from neuroling.n400.training import train

Array = NDArray[np.float64]


def tree_features(vectors: ArrayLike, *, n_features: int = 8) -> Array:
    """Turn vectors into sparse binary features: what two words share is how late they part in a tree of all words.

    Words are joined by average linkage of cosine distances. A branch of the tree becomes as many features as its length
    says, and a word has those of all branches between the root and itself, ``n_features`` in all.

    Parameters
    ----------
    vectors : array-like, shape (word, dimension)
        Embeddings, or any description of the words; at least two words, no two alike.
    n_features : int
        Features of a word; more tell finer differences.

    Returns
    -------
    ndarray, shape (word, unit)
        Zeros and ones; the number of units follows from the tree.

    Examples
    --------
    >>> features = tree_features([[1, 0.1], [1, 0.2], [0, 1]], n_features=4)
    >>> (features @ features.T).tolist()
    [[4.0, 4.0, 0.0], [4.0, 4.0, 0.0], [0.0, 0.0, 4.0]]
    """
    X = np.asarray(vectors, dtype=np.float64)
    if X.ndim != 2 or len(X) < 2 or not np.isfinite(X).all() or not X.any(axis=1).all():
        raise ValueError(f"vectors: got shape {X.shape}; expected (word, dimension), two words or more, none all zero.")
    if n_features < 1:
        raise ValueError(f"n_features: got {n_features}; expected 1 or more.")
    joins = linkage(X, "average", metric="cosine")
    if joins[-1, 2] < 1e-12:
        raise ValueError("vectors: all words point the same way, so nothing tells them apart.")
    level = np.concatenate([np.zeros(len(X)), np.round(n_features * joins[:, 2] / joins[-1, 2])]).astype(int)
    members = list(np.eye(len(X)))
    columns: list[Array] = []
    for number, (first, other, _, _) in enumerate(joins):
        for branch in (int(first), int(other)):
            columns += [members[branch]] * (level[len(X) + number] - level[branch])
        members.append(members[int(first)] + members[int(other)])
    return np.array(columns).T


def spelled(semantics: ArrayLike, *, rng: int | np.random.Generator) -> Lexicon:
    """Give words with these meanings consonant-vowel-consonant strings at random.

    Parameters
    ----------
    semantics : array-like, shape (word, unit)
        Zeros and ones; at most 125 words.
    rng : int or numpy.random.Generator
        Source of the strings.

    Returns
    -------
    Lexicon
        Words in the order of ``semantics``, all of the same frequency.
    """
    meanings = np.asarray(semantics, dtype=np.float64)
    strings = [a + b + c for a in CONSONANTS for b in VOWELS for c in CONSONANTS]
    if meanings.ndim != 2 or not 2 <= len(meanings) <= len(strings):
        raise ValueError(f"semantics: got shape {meanings.shape}; expected (word, unit), 2 to {len(strings)} words.")
    chosen = np.random.default_rng(rng).permutation(strings)[: len(meanings)].tolist()
    table = pd.DataFrame({"kind": "word", "frequency": 1.0, "category": "", "associate": ""}, index=chosen)
    return Lexicon(table, meanings, two_of_five())


def teach_spellings(
    semantics: ArrayLike,
    *,
    rng: int | np.random.Generator,
    lexicons: int = 24,
    participants: int = 4,
    training: Training | None = None,
    device: str = "auto",
) -> list[Network]:
    """Teach the same meanings in several random spellings, each to participants of its own.

    Parameters
    ----------
    semantics : array-like, shape (word, unit)
        Meanings, such as :func:`tree_features`.
    rng : int or numpy.random.Generator
        Source of spellings and weights.
    lexicons, participants : int
        Spellings of the words, and simulated participants for each.
    training : Training, optional
        600 epochs by default, enough for a few words.
    device : str
        Where to compute.

    Returns
    -------
    list of Network
    """
    if lexicons < 1:
        raise ValueError(f"lexicons: got {lexicons}; expected 1 or more.")
    networks = []
    for generator in np.random.default_rng(rng).spawn(lexicons):
        of_strings, of_weights = generator.spawn(2)
        lexicon = spelled(semantics, rng=of_strings)
        usual = training or Training().with_epochs(600)
        networks.append(train(lexicon, participants=participants, rng=of_weights, training=usual, device=device))
    return networks


def cue_target_matrices(
    networks: Sequence[Network],
    names: Sequence[str],
    *,
    alpha: Alpha | None,
    rng: int | np.random.Generator,
    links: Sequence[Link] = LINKS,
    allow_unlearned: bool = False,
    device: str = "auto",
) -> xr.DataArray:
    """Simulate every word after every other one.

    Parameters
    ----------
    networks : sequence of Network
        From :func:`teach_spellings`; the same serve for both dynamics.
    names : sequence of str
        What the words are.
    alpha : Alpha or None
        Alpha model or ERP model.
    rng : int or numpy.random.Generator
        Source of the order of the words.
    links : sequence of Link
        Linking hypotheses.
    allow_unlearned, device
        As in ``simulate``.

    Returns
    -------
    xarray.DataArray, dims (model, sample)
        Mean amplitude at half maximum of first presentations, for each link (``model``) and ordered pair (``cue`` and
        ``target`` are sample coordinates; labels as in ``a → b``), means over participants and lexicons. The mean of
        every target and of every cue is taken off in each lexicon: strings differ whatever goes before them.
    """
    if len(networks) == 0:
        raise ValueError("networks: empty; expected at least one, from teach_spellings.")
    counts = {len(network.lexicon.items) for network in networks}
    if counts != {len(names)} or len(set(names)) != len(names):
        raise ValueError(
            f"names: got {len(names)}, {len(set(names))} of them different, for lexicons of {sorted(counts)} words; "
            "expected one each."
        )
    total = np.zeros((len(links), len(names), len(names)))
    options: dict[str, object] = {"alpha": alpha, "allow_unlearned": allow_unlearned, "device": device}
    for network, generator in zip(networks, np.random.default_rng(rng).spawn(len(networks)), strict=True):
        total += _one_lexicon(network, links, generator, options)
    pairs = list(permutations(range(len(names)), 2))
    cue, target = ([names[place] for place in side] for side in zip(*pairs, strict=True))
    values = np.array([[matrix[pair] for pair in pairs] for matrix in total / len(networks)])
    return xr.DataArray(
        values,
        dims=("model", "sample"),
        coords={
            "model": [link.name for link in links],
            "sample": [f"{one} → {other}" for one, other in zip(cue, target, strict=True)],
            "cue": ("sample", cue),
            "target": ("sample", target),
        },
        attrs={
            "simulated": 1,
            "synthetic": 1,
            "alpha": str(alpha),
            "lexicons": len(networks),
            "participants": networks[0].n_participants,
        },
        name="simulated N400",
    )


def _one_lexicon(
    network: Network, links: Sequence[Link], rng: np.random.Generator, options: dict[str, object]
) -> Array:
    """Centred matrices of one lexicon, (link, cue, target); nothing on the diagonal."""
    lexicon, words = network.lexicon, list(network.lexicon.items)
    window = first_window(simulate(network, repetition(lexicon, rng=rng), **options))  # type: ignore[arg-type]  # its own
    pairs = list(permutations(range(len(words)), 2))
    trials = experiment(lexicon, [(words[target], words[cue], "pair") for cue, target in pairs], name="pairs")
    simulated = simulate_links(network, trials, links, **options)  # type: ignore[arg-type]  # likewise
    matrices = np.full((len(links), len(words), len(words)), np.nan)
    for number, link in enumerate(links):
        amplitude = mean_amplitude(simulated[link.name], window).mean("repeat").to_numpy()
        for pair, value in zip(pairs, amplitude, strict=True):
            matrices[number][pair] = value
    matrices -= np.nanmean(matrices, axis=1, keepdims=True)  # targets
    return np.asarray(matrices - np.nanmean(matrices, axis=2, keepdims=True))  # cues
