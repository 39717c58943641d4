r"""Agreement of dissimilarities with models of them: many rows against many models at once.

Every function takes ``rdms (row, pair)`` and ``models (model, pair)`` and gives float64 ``(row, model)``: agreement,
never a p value, because pairs that share an item are not independent. Undefined agreement, such as that with a constant
row, is NaN. Values have to be finite; :func:`with_gaps` wraps a function for rows with missing pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from neuroling.numerics.deferred import deferred
from neuroling.numerics.rdm.distances import n_items_of, pairs_of
from neuroling.numerics.rdm.ranks import centred_ranks, rank_products

if TYPE_CHECKING:
    import torch
else:
    torch = deferred("torch")

Rdms = Float[NDArray[np.floating], "row pair"]
Models = Float[NDArray[np.floating], "model pair"]
Scores = Float[NDArray[np.float64], "row model"]
Compare = Callable[[Rdms, Models], Scores]
OfPresent = Callable[[NDArray[np.bool_]], Compare]

ROUNDING = 8
"""Spread of a row, in units of the last digit of its first value, up to which it is constant but for rounding."""

LEAST_PAIRS = 6
"""Fewest pairs that are compared: those of four items. Agreement over fewer says nothing."""

SAME = 1e-10
"""Share of variance left after controls below which a partial correlation is undefined: rounding, in float64."""


def pearson(rdms: Rdms, models: Models) -> Scores:
    """Correlate dissimilarities.

    Parameters
    ----------
    rdms : ndarray, shape (row, pair)
        Dissimilarities.
    models : ndarray, shape (model, pair)
        Models of them.

    Returns
    -------
    ndarray, shape (row, model)
    """
    return _unit(_centred(rdms), rdms) @ _unit(_centred(models), models).T


def pearson_products(rdms: Rdms, columns: Float[NDArray[np.floating], "pair model"]) -> Scores:
    """Correlate dissimilarities with models that are centred and of length one already.

    Parameters
    ----------
    rdms : ndarray, shape (row, pair)
        Dissimilarities.
    columns : ndarray, shape (pair, model)
        In the dtype of the dissimilarities.

    Returns
    -------
    ndarray, shape (row, model)
    """
    rows = torch.from_numpy(rdms)
    centred = rows - rows.mean(1, keepdim=True)  # columns are centred exactly, so rounding here does not matter
    products = (centred @ torch.from_numpy(columns)).numpy()
    return np.asarray(products / lengths(centred.numpy(), rdms), dtype=np.float64)


def spearman(rdms: Rdms, models: Models) -> Scores:
    """Correlate ranks, ties at their mean rank.

    Parameters
    ----------
    rdms : ndarray, shape (row, pair)
        Dissimilarities; float32 is ranked several times faster than float64.
    models : ndarray, shape (model, pair)
        Models of them.

    Returns
    -------
    ndarray, shape (row, model)
    """
    return rank_products(rdms, unit_ranks(models).T.astype(rdms.dtype))


def rho_a(rdms: Rdms, models: Models) -> Scores:
    r"""Correlate ranks as if ties were broken at random, on average over all ways to break them.

    .. math:: \rho_a = \frac{12}{p^3 - p} \sum_k (r_k - \bar r)(s_k - \bar s)

    with mid-ranks. Unlike Spearman's correlation it gives no advantage to a model that predicts ties (Schütt et al.
    2023, eLife 12, e82566).

    Parameters
    ----------
    rdms, models : ndarray, shapes (row, pair) and (model, pair)
        Dissimilarities and models of them.

    Returns
    -------
    ndarray, shape (row, model)
    """
    ranks = centred_ranks(rdms, "untied")[0]
    model_ranks = centred_ranks(models.astype(np.float64), "untied")[0].astype(rdms.dtype)
    return (ranks @ model_ranks.T).astype(np.float64)


def tau_a(rdms: Rdms, models: Models) -> Scores:
    r"""Give Kendall's tau-a: concordant less discordant pairs of values, over all pairs of values.

    Parameters
    ----------
    rdms : ndarray, shape (row, pair)
        Dissimilarities.
    models : ndarray, shape (model, pair)
        Models of them; a model with two values takes a short cut through ranks.

    Returns
    -------
    ndarray, shape (row, model)
        Nili et al. (2014), PLoS Comput Biol 10, e1003553.
    """
    two_valued = np.array([len(np.unique(model)) == 2 for model in models], dtype=bool)
    scores = np.empty((len(rdms), len(models)))
    if two_valued.any():
        scores[:, two_valued] = _tau_a_of_two_levels(rdms, models[two_valued])
    for place in np.flatnonzero(~two_valued):
        scores[:, place] = [_tau_a(row, models[place]) for row in rdms]
    return scores


def cosine(rdms: Rdms, models: Models) -> Scores:
    """Give the cosine of the angle between dissimilarities, for distances whose zero means something.

    Parameters
    ----------
    rdms : ndarray, shape (row, pair)
        Dissimilarities, such as crossnobis.
    models : ndarray, shape (model, pair)
        Models of them.

    Returns
    -------
    ndarray, shape (row, model)
    """
    return _unit(rdms) @ _unit(models).T


def whitened_cosine(rdms: Rdms, models: Models) -> Scores:
    r"""Give the cosine after the covariance of dissimilarities that share an item is divided out.

    .. math:: \frac{a^\top V^{-1} b}{\sqrt{a^\top V^{-1} a \; b^\top V^{-1} b}}, \qquad V = (D D^\top) \circ (D D^\top)

    with :math:`D` (pair, item) the contrasts of the pairs: what :math:`V` is for crossnobis distances of items without
    signal. It equals the cosine of the doubly centred matrices :math:`-\tfrac12 H D^2 H` (Diedrichsen et al. 2021,
    arXiv:2007.02789), which is how it is computed.

    Parameters
    ----------
    rdms, models : ndarray, shapes (row, pair) and (model, pair)
        Squared distances and models of them.

    Returns
    -------
    ndarray, shape (row, model)
    """
    return _unit(doubly_centred(rdms)) @ _unit(doubly_centred(models)).T


def whitened_correlation(rdms: Rdms, models: Models) -> Scores:
    """Give :func:`whitened_cosine` of dissimilarities counted from their mean.

    Parameters
    ----------
    rdms, models : ndarray, shapes (row, pair) and (model, pair)
        Squared distances and models of them.

    Returns
    -------
    ndarray, shape (row, model)
        NaN where a row is constant.
    """
    return whitened_cosine(varied(rdms), varied(models))


def whitened_cosine_of(present: Bool[NDArray[np.bool_], " pair"]) -> Compare:
    r"""Give :func:`whitened_cosine` for pairs some of which are missing, with the covariance of those that are there.

    With :math:`M` (pair, item) saying which items a pair is of, :math:`V = 2 I + M M^\top`; for the pairs that are
    there it is inverted by way of a matrix of items,
    :math:`V^{-1} = \tfrac12 (I - M (2 I + M^\top M)^{-1} M^\top)`.

    Parameters
    ----------
    present : ndarray of bool, shape (pair,)
        Which of all pairs of the items, in condensed order, are there.

    Returns
    -------
    callable
        Turns rows and models of these pairs alone, (row, pair) and (model, pair), into scores (row, model).
    """
    members = np.zeros((len(present), n_items_of(len(present))))
    for places in pairs_of(members.shape[1]):
        members[np.arange(len(present)), places] = 1
    members = members[present]
    factor = np.linalg.cholesky(2 * np.eye(members.shape[1]) + members.T @ members)

    def compare(rdms: Rdms, models: Models) -> Scores:
        rows, columns = (side.astype(np.float64, copy=False) for side in (rdms, models))
        shared = [np.linalg.solve(factor, members.T @ side.T) for side in (rows, columns)]  # (item, row) each
        squared_lengths = [
            (side**2).sum(axis=1) - (part**2).sum(axis=0) for side, part in zip((rows, columns), shared, strict=True)
        ]
        least = [SAME * (side**2).sum(axis=1) for side in (rows, columns)]
        lengths = [np.sqrt(np.where(o > at, o, np.nan)) for o, at in zip(squared_lengths, least, strict=True)]
        return np.asarray((rows @ columns.T - shared[0].T @ shared[1]) / np.outer(*lengths))

    return compare


def whitened_correlation_of(present: Bool[NDArray[np.bool_], " pair"]) -> Compare:
    """Give :func:`whitened_correlation` for pairs some of which are missing; see :func:`whitened_cosine_of`.

    Parameters
    ----------
    present : ndarray of bool, shape (pair,)
        Which of all pairs of the items, in condensed order, are there.

    Returns
    -------
    callable
        Turns rows and models of these pairs alone into scores (row, model).
    """
    compare = whitened_cosine_of(present)

    def centred(rdms: Rdms, models: Models) -> Scores:
        return compare(varied(rdms), varied(models))

    return centred


def partial_pearson(rdms: Rdms, models: Models, controls: Models) -> Scores:
    r"""Correlate what linear combinations of the controls leave of dissimilarities and of models.

    .. math:: \frac{r_{dm} - r_{dz} R_{zz}^{-1} r_{zm}}
       {\sqrt{(1 - r_{dz} R_{zz}^{-1} r_{zd}) (1 - r_{mz} R_{zz}^{-1} r_{zm})}}

    Parameters
    ----------
    rdms, models : ndarray, shapes (row, pair) and (model, pair)
        Dissimilarities and models of them.
    controls : ndarray, shape (control, pair)
        Other models, held constant; any number.

    Returns
    -------
    ndarray, shape (row, model)
        NaN where the controls explain a model altogether.
    """
    return _partial(*(_unit(_centred(values), values) for values in (rdms, models, controls)))


def partial_spearman(rdms: Rdms, models: Models, controls: Models) -> Scores:
    """Give :func:`partial_pearson` of ranks: ranked first, then what controls explain is taken out.

    Parameters
    ----------
    rdms, models : ndarray, shapes (row, pair) and (model, pair)
        Dissimilarities and models of them.
    controls : ndarray, shape (control, pair)
        Other models, held constant.

    Returns
    -------
    ndarray, shape (row, model)
    """
    joint = np.concatenate([models, controls])
    products = spearman(rdms, joint)  # (row, model + control)
    ranks = unit_ranks(joint)
    return partial_of_products(products, ranks @ ranks.T, len(models))


def unit_ranks(values: Rdms) -> Rdms:
    """Rank rows, centre the ranks and bring them to length one, in float64.

    Parameters
    ----------
    values : ndarray, shape (row, pair)
        Finite.

    Returns
    -------
    ndarray, shape (row, pair)
        NaN where a row is constant.
    """
    return centred_ranks(values.astype(np.float64), "own")[0]


def lengths(centred: Rdms, rdms: Rdms | None = None) -> Float[NDArray[np.floating], "row 1"]:
    """Give the lengths of rows, NaN for a row of zeros, or one that rounding alone keeps from being so.

    Parameters
    ----------
    centred : ndarray, shape (row, pair)
        Rows.
    rdms : ndarray, optional, shape (row, pair)
        The rows before their mean was subtracted, which sets the size of rounding.

    Returns
    -------
    ndarray, shape (row, 1)
    """
    found = np.sqrt(np.array([row @ row for row in centred]))  # row by row, in BLAS: no square of everything is held
    least = 0.0 if rdms is None else np.abs(rdms[:, 0]) * ROUNDING * np.finfo(rdms.dtype).eps * np.sqrt(rdms.shape[1])
    return np.where(found > least, found, np.nan)[:, None].astype(centred.dtype)


def with_gaps(compare: Compare, of_present: OfPresent | None = None) -> Compare:
    """Let a comparison exclude, in each row, the pairs that are missing there, and nowhere else.

    Parameters
    ----------
    compare : callable
        A function of this module.
    of_present : callable, optional
        Gives the comparison for given pairs, where it depends on which pairs these are.

    Returns
    -------
    callable
        The same for rows with NaN: rows with the same missing pairs are compared together, on the pairs they have;
        NaN where fewer than :data:`LEAST_PAIRS` are left.
    """

    def compared(rdms: Rdms, models: Models) -> Scores:
        missing = np.isnan(rdms)
        gaps = missing.any(axis=1)
        if not gaps.any():
            return compare(rdms, models)
        scores = np.full((len(rdms), len(models)), np.nan)
        if not gaps.all():
            scores[~gaps] = compare(rdms[~gaps], models)
        patterns, which = np.unique(missing[gaps], axis=0, return_inverse=True)
        for place, pattern in enumerate(patterns):
            rows = np.flatnonzero(gaps)[which == place]
            if (~pattern).sum() >= LEAST_PAIRS:
                chosen = compare if of_present is None else of_present(~pattern)
                scores[rows] = chosen(rdms[rows][:, ~pattern], models[:, ~pattern])
        return scores

    return compared


def _centred(values: Rdms) -> Rdms:
    return np.asarray(values - values.mean(axis=1, keepdims=True, dtype=np.float64).astype(values.dtype))


def varied(values: Rdms) -> Rdms:
    """Count rows from their mean; NaN for a row that is constant but for rounding.

    Parameters
    ----------
    values : ndarray, shape (row, pair)

    Returns
    -------
    ndarray, shape (row, pair)
    """
    centred = _centred(values)
    return np.asarray(np.where(np.isnan(lengths(centred, values)), np.nan, centred))


def _unit(values: Rdms, before: Rdms | None = None) -> NDArray[np.float64]:
    """Bring rows to length one; NaN for a row of zeros (or one that rounding alone keeps from being so)."""
    return values.astype(np.float64, copy=False) / lengths(values, before)


def doubly_centred(values: Rdms) -> NDArray[np.float64]:
    """Turn condensed squared distances into inner products about the mean item.

    Parameters
    ----------
    values : ndarray, shape (row, pair)
        Squared distances.

    Returns
    -------
    ndarray, shape (row, pair + item)
        Off-diagonal entries, which stand for two and are multiplied with the root of two, then the diagonal.
    """
    n_items = n_items_of(values.shape[1])
    first, second = pairs_of(n_items)
    values = values.astype(np.float64, copy=False)
    members = np.zeros((values.shape[1], n_items))
    members[np.arange(len(first)), first] = members[np.arange(len(first)), second] = 1
    means = values @ members / n_items  # (row, item), of each line of the matrix, its zero included
    grand = means.mean(axis=1, keepdims=True)
    off = -0.5 * (values - means[:, first] - means[:, second] + grand)
    own = means - 0.5 * grand
    return np.concatenate([np.sqrt(2) * off, own], axis=1)


def _tau_a_of_two_levels(rdms: Rdms, models: Models) -> Scores:
    """Count from rank sums: concordant less discordant pairs are twice Mann and Whitney's U less all of them."""
    n_pairs = rdms.shape[1]
    ranks, lengths = centred_ranks(rdms)
    high = (models > models.min(axis=1, keepdims=True)).astype(np.float64)  # (model, pair)
    # with centred mid-ranks, U - n1 n0 / 2 is their sum over the upper level
    scores = 2 * (ranks.astype(np.float64) @ high.T) / (n_pairs * (n_pairs - 1) / 2)
    return np.where((lengths == 0)[:, None], np.nan, scores)


def _tau_a(row: Float[NDArray[np.floating], " pair"], model: Float[NDArray[np.floating], " pair"]) -> float:
    """Undo the allowance for ties in tau-b."""
    from scipy.stats import kendalltau

    total = len(row) * (len(row) - 1) / 2
    untied = [total - _n_ties(values) for values in (row, model)]
    if min(untied) == 0:
        return float("nan")
    return float(kendalltau(row, model).statistic * np.sqrt(untied[0]) * np.sqrt(untied[1]) / total)


def _n_ties(values: NDArray[np.floating]) -> float:
    _, counts = np.unique(values, return_counts=True)
    counts = counts.astype(np.float64)
    return float((counts * (counts - 1) / 2).sum())


def _partial(rdms: Rdms, models: Models, controls: Models) -> Scores:
    joint = np.concatenate([models, controls])
    return partial_of_products(rdms @ joint.T, joint @ joint.T, len(models))


def partial_of_products(
    products: Float[NDArray[np.floating], "row joint"], among: Float[NDArray[np.floating], "joint joint"], n_models: int
) -> Scores:
    """Give partial correlations from correlations of rows with models and controls, and among these.

    Parameters
    ----------
    products : ndarray, shape (row, model + control)
        Correlations of rows with the models, then with the controls.
    among : ndarray, shape (model + control, model + control)
        Correlations among models and controls.
    n_models : int
        How many of them are models.

    Returns
    -------
    ndarray, shape (row, model)
        NaN where the controls explain a row or a model altogether.
    """
    if len(among) == n_models:
        return np.asarray(products, dtype=np.float64)
    inverse = np.linalg.pinv(among[n_models:, n_models:], rcond=SAME, hermitian=True)
    weights = inverse @ among[n_models:, :n_models]  # (control, model)
    model_products, controls = products[:, :n_models], products[:, n_models:]
    left_of_models = 1 - (among[n_models:, :n_models] * weights).sum(axis=0)
    left_of_rows = 1 - ((controls @ inverse) * controls).sum(axis=1)
    left = np.outer(
        np.where(left_of_rows > SAME, left_of_rows, np.nan), np.where(left_of_models > SAME, left_of_models, np.nan)
    )
    return np.asarray((model_products - controls @ weights) / np.sqrt(left))
