"""Variance partitioning: how much of a held-out score each feature space accounts for. Never clipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.core.align import Aligned, align
from neuroling.core.arrays import check_labelled
from neuroling.core.bands import Bands, band_columns
from neuroling.core.feature_bands import check_bands
from neuroling.core.notices import warn
from neuroling.core.protocols import Array, Inference, Predictor, Rows, Splitter
from neuroling.core.result import Result
from neuroling.evaluation.evaluate import evaluate
from neuroling.evaluation.heldout import fit_split
from neuroling.evaluation.metrics import Metric
from neuroling.evaluation.splits import checked_splits

Names = tuple[str, ...]
MakeModel = Callable[[Mapping[str, slice]], Predictor]

Of = Literal["explained", "r2", "r"]

ADDITIVE = 1e-3
"""Largest departure of the sum of parts from the prediction, relative to its spread, that counts as rounding."""


def _explained(truth: Array, prediction: Array) -> Array:
    """Share of the squares of the truth that is gone with the prediction, over the last axis."""
    total = np.asarray((truth**2).sum(-1))
    undefined = int((total == 0).sum())
    if undefined:
        warn(
            "undefined-scores",
            "metric",
            f"explained variance: {undefined} of {total.size} scores are undefined (NaN), because the truth is the "
            "training mean at every held-out value.",
        )
    return np.asarray(1 - ((truth - prediction) ** 2).sum(-1) / np.where(total > 0, total, np.nan))


explained = Metric("explained variance, training-mean-centred", _explained, baseline="training mean")
r"""Held-out :math:`1 - \sum (y - \hat y)^2 / \sum (y - \bar y_{\text{train}})^2`, unbounded below.

Zero is what the mean of the training samples scores, so that a space that says nothing has no part. Against the mean of
the test samples, as in ``r2``, that same prediction scores below zero on a time series, whose stretches differ in their
means.
"""


JOIN = " + "
"""What stands between the names of spaces that are fitted together."""

MOST_OVERLAPS = 8
"""Spaces whose overlaps can be asked for: 255 sets are fitted."""


@dataclass(frozen=True)
class Partition:
    r"""Held-out scores with all spaces, without each of them, and with each alone.

    With the score :math:`R` of a set of spaces, the *unique* part of a space is
    :math:`U_s = R(\text{all}) - R(\text{all but } s)`, and what no space has for itself is *shared*,
    :math:`R(\text{all}) - \sum_s U_s`. With two spaces that is the whole of a commonality analysis. Both may be
    negative: a space can harm, and two can be worth more together than apart.

    Attributes
    ----------
    names : tuple of str
        The spaces.
    result : Result
        The evaluation of each set of spaces, along the axis ``model``; sets are named ``"a + b"``.
    """

    names: Names
    result: Result

    def score(self, *names: str) -> xr.DataArray:
        r"""Give the score of a set of spaces, dims (\*kept,).

        Parameters
        ----------
        *names : str
            Spaces that are fitted together.
        """
        return self.result.score.sel(model=set_name(names), drop=True)

    @property
    def full(self) -> xr.DataArray:
        r"""Score with all spaces, dims (\*kept,)."""
        return self.score(*self.names)

    @property
    def without(self) -> xr.DataArray:
        r"""Score with all but one space, dims (model, \*kept); the model is the space left out."""
        return self._by_space(lambda name: self.others(name))

    @property
    def alone(self) -> xr.DataArray:
        r"""Score of each space by itself, dims (model, \*kept)."""
        return self._by_space(lambda name: (name,))

    @property
    def unique(self) -> xr.DataArray:
        r"""What each space adds to all others, dims (model, \*kept)."""
        return self.full - self.without

    @property
    def shared(self) -> xr.DataArray:
        r"""What the spaces have in common, by any two of them or more, dims (\*kept,)."""
        return self.full - self.unique.sum("model", skipna=False)

    def others(self, name: str) -> Names:
        """Name all spaces but one.

        Parameters
        ----------
        name : str
            The one.
        """
        return tuple(other for other in self.names if other != name)

    def unique_of(self, name: str) -> Result:
        """Give the unique part of a space as a result, for a test: the score of all spaces less that of all others.

        Parameters
        ----------
        name : str
            The space.
        """
        return self.result.difference(set_name(self.names), set_name(self.others(name)))

    def overlaps(self) -> xr.DataArray:
        r"""Divide the score into parts of each space and of each set of spaces alone; they add up to the whole.

        What the spaces of a set :math:`S` share and no other of all :math:`N` has is

        .. math:: C(S) = \sum_{T \subseteq S} (-1)^{|T| + 1} R(T \cup (N \setminus S))

        with :math:`R(\emptyset) = 0`. A part may be negative by noise or by suppression.

        Returns
        -------
        xarray.DataArray, dims (model, \*kept)
            ``model`` runs over ``"a"``, ``"b"``, ``"a & b"``, …

        Raises
        ------
        ValueError
            If not all sets were fitted; ask :func:`partition_variance` for ``overlaps=True``.
        """
        sets = subsets(self.names)
        absent = [set_name(some) for some in sets if set_name(some) not in self.result.score.model.to_numpy().tolist()]
        if absent:
            raise ValueError(
                f"partition: {len(absent)} of {len(sets)} sets of spaces were not fitted, first {absent[0]!r}; pass "
                "overlaps=True to partition_variance."
            )
        parts = [self._overlap(some) for some in sets]
        return xr.concat(parts, "model", join="exact").assign_coords(model=[" & ".join(some) for some in sets])

    def _overlap(self, some: Names) -> xr.DataArray:
        rest = [name for name in self.names if name not in some]
        total = xr.zeros_like(self.full)
        for inside in ((), *subsets(some)):
            together = tuple(name for name in self.names if name in inside or name in rest)
            if together:
                total = total + (-1.0) ** (len(inside) + 1) * self.score(*together)
        return total

    def table(self) -> pd.DataFrame:
        """Tabulate means over all locations: one row per space, then shared and full.

        Returns
        -------
        pandas.DataFrame
            Columns ``space``, ``alone``, ``unique``, ``share of full``; the last is missing where the whole is not
            above zero, of which nothing can be a share.
        """
        full = float(self.full.mean())
        rows = [
            {
                "space": name,
                "alone": float(self.alone.sel(model=name).mean()),
                "unique": float(self.unique.sel(model=name).mean()),
            }
            for name in self.names
        ]
        rows.append({"space": "shared", "alone": np.nan, "unique": float(self.shared.mean())})
        rows.append({"space": "all together", "alone": full, "unique": np.nan})
        return pd.DataFrame(rows).assign(
            **{"share of full": lambda table: table["unique"] / (full if full > 0 else np.nan)}
        )

    def _by_space(self, which: Callable[[str], Names]) -> xr.DataArray:
        scores = [self.score(*which(name)) for name in self.names]
        return xr.concat(scores, "model", join="exact").assign_coords(model=list(self.names))


def set_name(names: Sequence[str]) -> str:
    """Name a set of spaces.

    Parameters
    ----------
    names : sequence of str
        The spaces, in order.

    Examples
    --------
    >>> set_name(["words", "MiniLM"])
    'words + MiniLM'
    """
    return JOIN.join(names)


def subsets(names: Names) -> list[Names]:
    """List all sets of names but the empty one, small ones first.

    Parameters
    ----------
    names : tuple of str
        In order.

    Examples
    --------
    >>> subsets(("a", "b"))
    [('a',), ('b',), ('a', 'b')]
    """
    return [some for size in range(1, len(names) + 1) for some in combinations(names, size)]


def partition_variance(
    spaces: Mapping[str, xr.DataArray],
    recording: xr.DataArray,
    *,
    make_model: MakeModel,
    splits: Splitter,
    metric: Metric = explained,
    overlaps: bool = False,
    inference: Inference | None = None,
    rng: int | np.random.Generator = 0,
) -> Partition:
    r"""Leave each feature space out in turn, fit again, and say what is lost.

    Every set of spaces is fitted from scratch with its penalties chosen anew inside the training set, and scored on the
    same held-out samples: one evaluation of a family of models, so that draws of a null are shared.

    Parameters
    ----------
    spaces : mapping of str to xarray.DataArray, dims (sample, feature)
        Two or more feature spaces of the same samples.
    recording : xarray.DataArray, dims (sample, [repeat,] \*targets)
        What is predicted.
    make_model : callable
        Makes a model from the spaces at hand: it gets their names and columns, as ``{"words": slice(0, 3), …}``, the
        form that ``BandedRidgeCV`` takes.
    splits : splitter
        Which samples are held out.
    metric : Metric
        What is divided; by default the variance explained, counted from the training mean (:data:`explained`).
        Differences of correlations are not shares of anything.
    overlaps : bool
        Fit every set of spaces, for :meth:`Partition.overlaps`.
    inference : Inference, optional
        How to draw the null of all scores; ``partition.unique_of(name).p_values()`` is then that of a unique part.
    rng : int or numpy.random.Generator
        Seed, handed to ``evaluate``.

    Returns
    -------
    Partition

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn.model_selection import KFold
    >>> rng = np.random.default_rng(0)
    >>> names = {"sample": range(5000)}
    >>> a, b = (xr.DataArray(rng.standard_normal((5000, 1)), dims=("sample", "feature"), coords=names) for _ in "ab")
    >>> recording = (2 * a + b).rename(feature="voxel")
    >>> make = lambda bands: LinearRegression()
    >>> parts = partition_variance({"a": a, "b": b}, recording, make_model=make, splits=KFold(4))
    >>> parts.unique.mean("voxel").round(1).values.tolist()
    [0.8, 0.2]
    """
    names = _checked_names(spaces)
    if overlaps and len(names) > MOST_OVERLAPS:
        raise ValueError(f"spaces: got {len(names)}; overlaps can be had of 2 to {MOST_OVERLAPS}.")
    sets = [names, *(tuple(o for o in names if o != name) for name in names), *((n,) for n in names)]
    sets = list(dict.fromkeys([*sets, *(subsets(names) if overlaps else [])]))
    chosen = {set_name(some): {name: spaces[name] for name in some} for some in sets}
    align(join_spaces(spaces), recording)  # an error then names no set of spaces, which the caller has not made
    data = align({name: join_spaces(some) for name, some in chosen.items()}, recording)
    result = evaluate(
        {name: make_model(columns_of(some)) for name, some in chosen.items()},
        data,
        splits=splits,
        metric=metric,
        inference=inference,
        rng=rng,
    )
    return Partition(names, result)


def join_spaces(spaces: Mapping[str, xr.DataArray]) -> xr.DataArray:
    """Set feature spaces side by side as they are, each with its name before its features.

    The feature coordinate ``space`` names the space of each column, for :func:`neuroling.bands_of`.

    Parameters
    ----------
    spaces : mapping of str to xarray.DataArray, dims (sample, feature)
        With the same sample labels.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)

    Examples
    --------
    >>> one = xr.DataArray(np.ones((2, 1)), dims=("sample", "feature"), coords={"sample": [0, 1], "feature": ["x"]})
    >>> join_spaces({"a": one, "b": one}).feature.values.tolist()
    ['a/x', 'b/x']
    """
    for name, space in spaces.items():
        check_labelled(f"spaces[{name!r}]", space, finite=False)
        if "sample" not in space.indexes or not space.indexes["sample"].is_unique:
            raise ValueError(
                f"spaces[{name!r}]: the labels of 'sample' are missing or occur twice; expected unique ones."
            )
    first = next(iter(spaces.values()))
    parts = []
    for name, space in spaces.items():
        if set(space.dims) != {"sample", "feature"}:
            raise ValueError(f"spaces[{name!r}]: got axes {space.dims}; expected ('sample', 'feature').")
        if set(space.indexes["sample"]) != set(first.indexes["sample"]):
            raise ValueError(
                f"spaces: {name!r} and {next(iter(spaces))!r} have other sample labels; select the common ones with "
                ".sel(sample=…)."
            )
        labels = space.coords["feature"].to_numpy() if "feature" in space.coords else range(space.sizes["feature"])
        own = space.transpose("sample", "feature").sel(sample=first.indexes["sample"])
        named = {"feature": [f"{name}/{label}" for label in labels], "space": ("feature", [name] * len(labels))}
        parts.append(own.assign_coords(named))
    joined = xr.concat(parts, "feature", join="exact", coords="minimal", compat="override", combine_attrs="drop")
    longest = max(int(space.attrs.get("longest_delay", 0)) for space in spaces.values())
    synthetic = any(bool(space.attrs.get("synthetic", False)) for space in spaces.values())
    return joined.assign_attrs(
        {"spaces": list(spaces)}
        | ({"longest_delay": longest} if longest else {})
        | ({"synthetic": 1} if synthetic else {})
    )


def columns_of(spaces: Mapping[str, xr.DataArray]) -> dict[str, slice]:
    """Say which columns each space has once they are joined.

    Parameters
    ----------
    spaces : mapping of str to xarray.DataArray
        As for :func:`join_spaces`.

    Returns
    -------
    dict of str to slice
    """
    edges = np.cumsum([0, *(space.sizes["feature"] for space in spaces.values())]).tolist()
    return {name: slice(edges[i], edges[i + 1]) for i, name in enumerate(spaces)}


def product_measure(
    model: Predictor,
    data: Aligned,
    bands: Bands,
    *,
    splits: Splitter,
    of: Of = "explained",
) -> xr.DataArray:
    r"""Divide the held-out score of one fitted model among its feature spaces; the shares add up to it.

    The prediction is a sum, :math:`\hat y = m + \sum_s \hat y_s`, of the training mean and what each space contributes.
    With :math:`z = y - m` and :math:`p = \hat y - m`, the variance explained (:data:`explained`) and the correlation
    are

    .. math:: \sum_s \frac{\sum_t \hat y_s (2 z - p)}{\sum_t z^2} \quad \text{and} \quad
        \sum_s \frac{\operatorname{cov}(\hat y_s, y)}{\sigma_{\hat y} \sigma_y} .

    For ``"r2"`` the mean of the test samples stands in for :math:`m`, and the last row, the baseline, is what the
    distance of the two means costs. One fit a split for all spaces; unlike
    :func:`partition_variance`, spaces that say the same share the credit as the penalty shares out the weights.

    Parameters
    ----------
    model : Predictor
        A linear model, such as ``BandedRidgeCV``.
    data : Aligned
        Features of all spaces side by side, and the recording.
    bands : mapping of str to slice or columns
        The columns of each space; :func:`neuroling.bands_of` reads them off the labels of the features.
    splits : splitter
        Which samples are held out.
    of : {"explained", "r2", "r"}
        What is parted.

    Returns
    -------
    xarray.DataArray, dims (split, model, \*targets)
        The spaces, and with ``"r2"`` last the ``"baseline"``. Their sum over ``model`` is the score.

    References
    ----------
    Pratt, J. W. (1987). Dividing the indivisible: using simple symmetry to partition variance explained. Proc. 2nd Int.
    Conf. Statistics, Tampere. Dupré la Tour, T. et al. (2022). Feature-space selection with banded ridge regression.
    NeuroImage 264, 119728.
    """
    if of not in ("explained", "r2", "r"):
        raise ValueError(f"of: got {of!r}; expected 'explained', 'r2' or 'r'.")
    check_bands(bands, data.x)
    columns = band_columns(bands, data.x.sizes["feature"])
    shape = data.y_mean.shape[1:]
    rows = [
        _parts(truth, prediction, pieces, of).reshape(-1, *shape)
        for truth, prediction, pieces in _pieces(model, data, columns, splits)
    ]
    labels = [*columns, *(["baseline"] if of == "r2" else [])]
    coords = {name: c for name, c in data.y_mean.coords.items() if c.dims and set(c.dims) <= set(data.targets)}
    dims = ("split", "model", *data.targets)
    return xr.DataArray(np.stack(rows), dims=dims, coords={**coords, "model": labels}, name=f"product measure of {of}")


def _pieces(
    model: Predictor, data: Aligned, columns: Mapping[str, Rows], splits: Splitter
) -> Iterator[tuple[Array, Array, Array]]:
    """Truth and prediction (test, target) and the spaces' contributions (space, test, target) of every split."""
    x, y = data.x.to_numpy(), data.y_mean.to_numpy().reshape(data.n_samples, -1)
    for number, split in enumerate(checked_splits(splits, data)):
        fitted = fit_split(model, x, y, split, data.groups())
        middle = x[split.train].mean(axis=0)
        level = _predicted(fitted, middle[None], y.shape[1])  # (1, target)
        prediction = _predicted(fitted, x[split.test], y.shape[1])
        pieces = np.stack(
            [_predicted(fitted, _only(x[split.test], middle, own), y.shape[1]) - level for own in columns.values()]
        )
        rest = np.abs(level + pieces.sum(axis=0) - prediction).max()
        if rest > ADDITIVE * max(float(np.ptp(prediction)), 1e-9 * float(np.abs(prediction).max())):
            raise ValueError(
                f"model: {type(model).__name__} is not a sum over spaces (in split {number} the parts miss the "
                f"prediction by up to {rest:.3g}); the product measure needs a linear model. Use partition_variance."
            )
        yield y[split.test], prediction, pieces


def _predicted(fitted: Predictor, X: Array, n_targets: int) -> Array:
    return np.asarray(fitted.predict(X), dtype=np.float64).reshape(len(X), n_targets)


def _only(x: Array, middle: Array, own: Rows) -> Array:
    """Features of one space, all others at their training mean."""
    alone = np.broadcast_to(middle, x.shape).astype(x.dtype)
    alone[:, own] = x[:, own]
    return alone


def _parts(truth: Array, prediction: Array, pieces: Array, of: str) -> Array:
    """Shares of the score, (space [+ 1], target)."""
    level = prediction - pieces.sum(axis=0)  # the training mean, in every row
    from_mean = level if of == "explained" else truth.mean(axis=0)
    z, p = truth - from_mean, prediction - from_mean
    if of == "r":
        centred = pieces - pieces.mean(axis=1, keepdims=True)
        norm = np.sqrt(((p - p.mean(axis=0)) ** 2).sum(axis=0) * (z**2).sum(axis=0))
        return np.asarray((centred * z).sum(axis=1) / norm)
    rows = (*pieces, level - from_mean) if of == "r2" else pieces
    return np.asarray([(row * (2 * z - p)).sum(axis=0) / (z**2).sum(axis=0) for row in rows])


def _checked_names(spaces: Mapping[str, xr.DataArray]) -> Names:
    if len(spaces) < 2:
        raise ValueError(f"spaces: got {list(spaces)}; expected at least two feature spaces to part the variance over.")
    wrong = [name for name in spaces if name in ("shared", "all together", "baseline") or JOIN in name or " & " in name]
    if wrong:
        raise ValueError(f"spaces: {wrong} cannot be names of spaces; they stand for sums and rests in the results.")
    return tuple(spaces)
