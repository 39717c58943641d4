"""Ceilings: how well a recording predicts itself. Never clipped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
import xarray as xr

from neuroling.core.notices import warn
from neuroling.core.protocols import Ceiling, Rows, Scoring
from neuroling.core.repeats import lacking_repeats


@dataclass(frozen=True)
class SplitHalfCeiling:
    r"""Predict the mean of one half of the presentations from the mean of the other.

    Bounds, for halves of :math:`h` out of :math:`n` repeats, :math:`k = n / h`, and mean score :math:`r` over halves
    and splits:

    - ``half``: :math:`r` itself, which rests on half of the data;
    - ``reliability``: of the mean over all repeats, :math:`R = k r / (1 + (k - 1) r)` (Spearman 1910, Brown 1910);
    - ``ceiling``: :math:`\sqrt R`, the correlation that a perfect model would reach with the mean over all repeats.

    The last two exist for correlations only. Where samples have unequal numbers :math:`n_i` of repeats, each sample's
    own are halved (two at least), and :math:`k` is the mean of :math:`1 / \lfloor n_i / 2 \rfloor` over that of
    :math:`1 / n_i`, the noise of halves over that of means.

    Parameters
    ----------
    axis : str
        Axis to halve.
    n_halvings : int
        At most so many different halvings; all of them where there are no more.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import KFold
    >>> from neuroling import Ridge, Stimuli, align, evaluate, pearson
    >>> rng = np.random.default_rng(0)
    >>> texts = Stimuli.from_texts([f"text {number}" for number in range(40)])
    >>> features = texts.features(rng.standard_normal((40, 3)))
    >>> recording = texts.features(features.values[:, :2] + rng.standard_normal((40, 2))).rename(feature="voxel")
    >>> import xarray as xr
    >>> repeats = xr.concat([recording + rng.standard_normal((40, 2)) for _ in range(4)], "repeat")
    >>> data = align(features, repeats)
    >>> result = evaluate(Ridge(), data, splits=KFold(5), metric=pearson, ceiling=SplitHalfCeiling())
    >>> result.ceiling.bound.values.tolist()
    ['half', 'reliability', 'ceiling']
    """

    axis: str = "repeat"
    n_halvings: int = 20

    def __call__(self, scoring: Scoring, rng: np.random.Generator) -> xr.DataArray:
        r"""Score one half against the other.

        Parameters
        ----------
        scoring : Scoring
            The evaluation.
        rng : numpy.random.Generator
            Chooses halvings where there are more than asked for.

        Returns
        -------
        xarray.DataArray, dims (bound, \*kept)
        """
        y = scoring.data.y
        if self.axis not in y.dims:
            raise ValueError(f"ceiling: SplitHalfCeiling({self.axis!r}) needs that axis; the recording has {y.dims}.")
        n = y.sizes[self.axis]
        if n < 2:
            raise ValueError(f"ceiling: the axis {self.axis!r} has {n} entry; a split-half needs at least two.")
        if self.n_halvings < 1:
            raise ValueError(f"n_halvings: got {self.n_halvings}; expected at least one.")
        lacking = lacking_repeats(y) if self.axis == "repeat" else xr.DataArray(False)
        if bool(lacking.any()):
            halves, lengthening = _halves_of_each(y, lacking, self.n_halvings, rng)
        else:
            halves = (
                (y.isel({self.axis: one}).mean(self.axis), y.isel({self.axis: other}).mean(self.axis))
                for one, other in _halvings(n, self.n_halvings, rng)
            )
            lengthening = n / (n // 2)
        scores = [scoring.score_pair(*sides).mean("split", skipna=False) for sides in halves]
        half = xr.concat(scores, "halving").mean("halving", skipna=False)
        if not scoring.is_correlation:
            return _bounds({"half": half})
        reliability = spearman_brown(half, lengthening)
        return _bounds({"half": half, "reliability": reliability, "ceiling": _root(reliability)})


@dataclass(frozen=True)
class LeaveOneOutCeiling:
    """Predict each participant from the others.

    Bounds: ``lower``, from the mean of all the others; ``upper``, from the mean of all, the participant included, which
    no model can be expected to pass (Nili et al. 2014). For fixed models of dissimilarities participants weigh alike:
    what is averaged is what the metric compares, such as ranks, which are ranked again, or values of length one; with
    controls, agreement with the mean is partial as well.

    Parameters
    ----------
    axis : str
        Target axis along which participants lie.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import KFold
    >>> from neuroling import Ridge, Stimuli, align, evaluate, pearson
    >>> rng = np.random.default_rng(0)
    >>> texts = Stimuli.from_texts([f"text {number}" for number in range(40)])
    >>> features = texts.features(rng.standard_normal((40, 3)))
    >>> recording = texts.features(features.values[:, :2] + rng.standard_normal((40, 2))).rename(feature="voxel")
    >>> people = [recording + rng.standard_normal((40, 2)) for _ in range(3)]
    >>> import xarray as xr
    >>> group = xr.concat(people, xr.IndexVariable("subject", ["s1", "s2", "s3"]))
    >>> result = evaluate(
    ...     Ridge(), align(features, group), splits=KFold(5), metric=pearson, ceiling=LeaveOneOutCeiling("subject")
    ... )
    >>> result.ceiling.bound.values.tolist()
    ['lower', 'upper']
    """

    axis: str = "subject"

    def __call__(self, scoring: Scoring, rng: np.random.Generator) -> xr.DataArray:  # noqa: ARG002
        r"""Score each participant against the mean of the others, and of all.

        Parameters
        ----------
        scoring : Scoring
            The evaluation.
        rng : numpy.random.Generator
            Not used: nothing is random here.

        Returns
        -------
        xarray.DataArray, dims (bound, \*kept)
        """
        y = scoring.data.y_mean
        if self.axis not in scoring.data.targets:
            raise ValueError(
                f"ceiling: LeaveOneOutCeiling({self.axis!r}) needs that axis among the targets; the recording has "
                f"{y.dims}."
            )
        n = y.sizes[self.axis]
        if n < 2:
            raise ValueError(f"ceiling: the axis {self.axis!r} has {n} entry; leaving one out needs at least two.")
        bounds = scoring.agreement_bounds(self.axis)
        if bounds is not None:
            return bounds
        everyone = y.mean(self.axis)
        others = (n * everyone - y) / (n - 1)
        predictions = {"lower": others, "upper": everyone.broadcast_like(y)}
        return _bounds({name: scoring.score_pair(y, p).mean("split", skipna=False) for name, p in predictions.items()})


@dataclass(frozen=True)
class ExplainableVarianceCeiling:
    r"""Divide the variance over samples into what is repeated with every presentation and noise.

    With :math:`n` repeats, the variance over held-out samples of their mean, :math:`V_m`, and the mean variance of
    single repeats, :math:`V_1`, the signal has the variance :math:`S = (n V_m - V_1) / (n - 1)` (signal power; Sahani
    and Linden 2003), averaged over splits before anything is divided. Bounds:

    - ``explainable variance``: of a single repeat, :math:`S / V_1`; for repeats of equal variance the variance
      explained by their mean, :math:`EV`, less its bias :math:`(1 - EV) / (n - 1)`;
    - ``reliability``: of the mean over repeats, :math:`S / V_m`, the :math:`R^2` that a perfect model reaches;
    - ``ceiling``: :math:`\sqrt{S / V_m}`, the correlation that it reaches (:math:`CC_{max}`; Schoppe et al. 2016), for
      correlations only.

    None is clipped: without any signal, :math:`S` is negative half of the time.

    Where samples have unequal numbers :math:`n_i` of repeats, the variance of the noise :math:`N` is that of repeats
    about the mean of their sample, and :math:`S = V_m - N \, \overline{1 / n_i}`, :math:`V_1 = S + N` (one-way analysis
    of variance).

    Parameters
    ----------
    axis : str
        Axis of the presentations.

    References
    ----------
    Sahani, M. and Linden, J. F. (2003). How linear are auditory cortical responses? NeurIPS 15, 125-132.
    Schoppe, O. et al. (2016). Measuring the performance of neural models. Front. Comput. Neurosci. 10, 10.
    """

    axis: str = "repeat"

    def __call__(self, scoring: Scoring, rng: np.random.Generator) -> xr.DataArray:  # noqa: ARG002
        r"""Give the bounds of every target.

        Parameters
        ----------
        scoring : Scoring
            The evaluation, with a metric that consumes samples and keeps all targets.
        rng : numpy.random.Generator
            Not used: nothing is random here.

        Returns
        -------
        xarray.DataArray, dims (bound, \*targets)
        """
        y = scoring.data.y
        if self.axis not in y.dims:
            raise ValueError(
                f"ceiling: ExplainableVarianceCeiling({self.axis!r}) needs that axis; the recording has {y.dims}."
            )
        n = y.sizes[self.axis]
        if n < 2:
            raise ValueError(f"ceiling: the axis {self.axis!r} has {n} entry; variance is parted over at least two.")
        kept = [str(dim) for dim in scoring.scores.dims if dim not in ("split", "model")]
        if set(kept) != set(scoring.data.targets) - {self.axis}:
            raise ValueError(
                f"ceiling: ExplainableVarianceCeiling divides the variance of each target over samples, but the metric "
                f"keeps {kept} of {scoring.data.targets}; use SplitHalfCeiling or LeaveOneOutCeiling, which are scored "
                "like a model."
            )
        tests = [y.isel(sample=split.test) for split in scoring.splits]
        if min(test.sizes["sample"] for test in tests) < 3:
            raise ValueError(
                "ceiling: ExplainableVarianceCeiling takes a variance over held-out samples; expected at least three "
                "per split."
            )
        if self.axis == "repeat" and bool(lacking_repeats(y).any()):
            of_mean, noise, share = (_mean(list(parts)) for parts in zip(*map(_noise_of_unequal, tests), strict=True))
            signal = of_mean - noise * share
            of_single = signal + noise
        else:
            of_mean = _mean([test.mean(self.axis).var("sample", ddof=1) for test in tests])
            of_single = _mean([test.var("sample", ddof=1).mean(self.axis) for test in tests])
            signal = (n * of_mean - of_single) / (n - 1)
        reliability = signal / of_mean.where(of_mean > 0)
        bounds = {"explainable variance": signal / of_single.where(of_single > 0), "reliability": reliability}
        if scoring.is_correlation:
            bounds["ceiling"] = _root(bounds["reliability"])
        return _bounds(bounds)


def _mean(parts: list[xr.DataArray]) -> xr.DataArray:
    return xr.concat(parts, "part").mean("part")


def spearman_brown(r: xr.DataArray, k: float) -> xr.DataArray:
    r"""Predict the reliability of :math:`k` times as much data: :math:`k r / (1 + (k - 1) r)`.

    Parameters
    ----------
    r : xarray.DataArray
        Correlation of two halves.
    k : float
        How many times as much data.

    Returns
    -------
    xarray.DataArray
        NaN where :math:`r \le -1 / (k - 1)`, for which no data could have such halves.
    """
    part = 1 + (k - 1) * r
    return k * r / np.where(part > 0, part, np.nan)


def _root(reliability: xr.DataArray) -> xr.DataArray:
    negative = int((~(reliability >= 0)).sum())
    if negative:
        warn(
            "ceiling-undefined",
            "ceiling",
            f"at {negative} of {reliability.size} locations the reliability is negative or undefined, so there is no "
            "ceiling (NaN); the bounds 'half' and 'reliability' show it. Means of the ceiling exclude these locations.",
        )
    return reliability.where(reliability >= 0) ** 0.5


def _halvings(n: int, at_most: int, rng: np.random.Generator) -> Iterator[tuple[Rows, Rows]]:
    """Give different ways of choosing two halves of equal size; with odd ``n`` one entry sits out."""
    half = n // 2
    everything = set(range(n))
    if n % 2 == 0 and comb(n, half) // 2 <= at_most:
        for one in combinations(range(1, n), half - 1):
            first = {0, *one}
            yield np.array(sorted(first)), np.array(sorted(everything - first))
        return
    for _ in range(at_most):
        order = rng.permutation(n)
        yield np.sort(order[:half]), np.sort(order[half : 2 * half])


def _halves_of_each(
    y: xr.DataArray, lacking: xr.DataArray, n_halvings: int, rng: np.random.Generator
) -> tuple[Iterator[tuple[xr.DataArray, xr.DataArray]], float]:
    """Give means over random halves of the repeats that each sample has, and how much less noise all of them have."""
    present = ~lacking
    n_repeats = present.sum("repeat")
    if int(n_repeats.min()) < 2:
        rows = (n_repeats < 2).any([dim for dim in n_repeats.dims if dim != "sample"]).values
        raise ValueError(
            f"ceiling: {int(rows.sum())} samples have one repeat, first {y.sample.values[rows][:5].tolist()}; halves "
            "need two of each. Exclude these samples, or use LeaveOneOutCeiling over participants."
        )
    sizes = n_repeats // 2
    lengthening = float((1 / sizes).mean() / (1 / n_repeats).mean())

    def halves() -> Iterator[tuple[xr.DataArray, xr.DataArray]]:
        axis = present.dims.index("repeat")
        for _ in range(n_halvings):
            keys = rng.random(present.shape) + ~present.values  # lacking ones last
            rank = present.copy(data=keys.argsort(axis=axis).argsort(axis=axis))
            sides = (rank < sizes, (rank >= sizes) & (rank < 2 * sizes))
            one, other = (y.where(side).mean("repeat", skipna=True).transpose(*_without(y, "repeat")) for side in sides)
            yield one, other

    return halves(), lengthening


def _noise_of_unequal(test: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Give the variance of means over samples, that of repeats about their mean, and the share of it in the means."""
    present = ~lacking_repeats(test)
    n_repeats = present.sum("repeat")
    mean = test.mean("repeat", skipna=True)
    n_free = (n_repeats - 1).sum("sample")
    if int(n_free.min()) < 1:
        raise ValueError("ceiling: no held-out sample has two repeats, so that nothing tells noise from signal.")
    noise = ((test - mean) ** 2).sum(["repeat", "sample"], skipna=True) / n_free
    return mean.var("sample", ddof=1), noise, (1 / n_repeats).mean("sample")


def _without(array: xr.DataArray, axis: str) -> list[str]:
    return [str(dim) for dim in array.dims if dim != axis]


def _bounds(bounds: dict[str, xr.DataArray]) -> xr.DataArray:
    return xr.concat(list(bounds.values()), "bound").assign_coords(bound=list(bounds))


def choose_ceiling(recording: xr.DataArray) -> Ceiling | None:
    r"""Choose the ceiling that a recording has: from its repeats, else from its other participants, else none.

    One participant who met every stimulus once has no ceiling: nothing tells what comes back from what does not.
    Reliability over neighbouring voxels or the best of several models are no stand-ins for it. Report scores as they
    are, beside the strongest control, and say that there is no ceiling; or have a part of the stimuli repeated.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, [repeat,] \*targets)
        As it will be aligned.

    Returns
    -------
    ExplainableVarianceCeiling, LeaveOneOutCeiling or None
        For two or more entries of ``repeat``, else of ``subject``.

    Examples
    --------
    >>> import numpy as np
    >>> choose_ceiling(xr.DataArray(np.zeros((4, 2, 3)), dims=("sample", "subject", "voxel")))
    LeaveOneOutCeiling(axis='subject')
    >>> choose_ceiling(xr.DataArray(np.zeros((4, 3)), dims=("sample", "voxel"))) is None
    True
    """
    if recording.sizes.get("repeat", 0) > 1:
        return ExplainableVarianceCeiling()
    return LeaveOneOutCeiling("subject") if recording.sizes.get("subject", 0) > 1 else None
