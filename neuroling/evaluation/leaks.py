"""Leakage detection: test samples that a model may already have seen in training.

Labels can say that samples belong together (``group``, ``time_index``), and :mod:`neuroling.evaluation.splits` refuses
splits that tear them apart. Where nobody has written such labels, the same leaks show in the values: the same features
on both sides of a split, the same recording on both sides, or rows that resemble their neighbours where neighbours
stand on different sides. Every check here is a heuristic. It looks at no more than a few hundred test samples and
sixteen random projections, so that it costs milliseconds.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import LeaveOneOut

from neuroling.core.align import Aligned
from neuroling.core.protocols import Predictor, Split
from neuroling.evaluation.splits import NoSplit, ShufflesTime

N_PROJECTIONS = 16
"""Random directions onto which wide rows are projected; distances between rows survive within a few percent."""

MOST_COLUMNS = 1024
"""Columns that are looked at, evenly spaced, where there are more."""

MOST_TEST_ROWS = 256
"""Test samples of a split that are looked at, evenly spaced."""

MOST_SPLITS = 5
"""Splits that are looked at, evenly spaced."""

IDENTICAL = 1e-5
"""Distance over the typical distance between rows below which two rows count as the same: rounding in float32."""

NEARLY_IDENTICAL = 0.02
"""The same for recordings, which may have been rounded or filtered again, and for features that stand alone."""

EMPTY_AROUND = 5
"""Multiple of that distance within which nearly identical features have no other row: copies stand apart from what is
merely close, such as neighbours on a curve."""

MOST_COPIES = 0.03
"""Share of training rows that may be nearly identical to one; more are a background, such as silence."""

SHARE_OF_TEST_ROWS = 0.1
"""Share of test rows with a double in training from which on that is reported."""

FEWEST_DOUBLES = 3
"""Doubles in a split below which nothing is reported: chance meetings of short rows."""

WINDOW = 8
"""Consecutive rows that are compared as one where a recording has few targets, since single values repeat by chance."""

LEAST_GROWTH = 1.12
"""Growth of the median squared distance from lag 1 to lag 2 that counts as smooth: 1 within blocks, 1.3 for AR(0.3)."""

GROWTH_OVER_NOISE = 2.5
"""Standard deviations of the same growth in shuffled rows that it has to exceed, in features and in recording."""

SUSPICIOUS = 1.5
"""The same where single rows are exchanged, which errs from an autocorrelation of 0.3 on: of 200 such rows 90 % are
found, of rows without it less than 1 %."""

LEAST_CLOSENESS = 0.9
"""Median squared distance at lag 1 over that between rows far apart, below which neighbours count as alike."""

SHARE_OF_TORN_NEIGHBOURS = 0.3
"""Share of test rows next to a training row from which on a split counts as not contiguous."""

FEWEST_ROWS = 24
"""Rows below which autocorrelation cannot be told from chance."""


class LeakageWarning(UserWarning):
    """Warns that test samples may already have been seen in training.

    Parameters
    ----------
    leak : Leak
        What was seen.
    """

    def __init__(self, leak: Leak) -> None:
        super().__init__(f"{leak.message} [{leak.code}]")
        self.code = leak.code


@dataclass(frozen=True)
class Leak:
    """One way in which test samples may have been seen in training.

    Attributes
    ----------
    code : str
        ``"repeated-features"``, ``"repeated-recording"``, ``"autocorrelation"``, ``"leave-one-out-in-time"`` or
        ``"features-fitted-on-test"``.
    message : str
        What was seen, what it does to the scores, and what to do.
    """

    code: str
    message: str


def find_leaks(data: Aligned, splits: Sequence[Split], model: Predictor, splitter: object = None) -> list[Leak]:
    r"""Look for test samples that training may already have seen.

    Parameters
    ----------
    data : Aligned
        Features (sample, feature) and recording (sample, [repeat,] \*targets).
    splits : sequence of Split
        Row numbers of training and test samples.
    model : Predictor
        The model, asked how it chooses its regularization strength.
    splitter : splitter, optional
        Where the splits come from.

    Returns
    -------
    list of Leak
        One of each code at most; empty if nothing was seen.

    Examples
    --------
    >>> import xarray as xr
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn.model_selection import KFold
    >>> from neuroling import align
    >>> rng = np.random.default_rng(0)
    >>> words = np.tile(rng.standard_normal((10, 6)), (4, 1))  # ten words, read four times each
    >>> features = xr.DataArray(words, dims=("sample", "feature"), coords={"sample": np.arange(40)})
    >>> recording = features.rename(feature="voxel") + rng.standard_normal((40, 6))
    >>> splits = [Split(train, test) for train, test in KFold(4).split(words)]
    >>> [leak.code for leak in find_leaks(align(features, recording), splits, LinearRegression())]
    ['repeated-features']
    """
    if isinstance(splitter, NoSplit) or any(len(split.train) == 0 for split in splits):
        return []
    x = _projected(data.x.values)
    y = _projected(data.y_mean.values.reshape(data.n_samples, -1))
    some = [splits[number] for number in _evenly_spaced(len(splits), MOST_SPLITS).tolist()]
    found = [
        _repeated_features(data, x, some),
        _repeated_recording(data, y, some),
        _autocorrelation(data, x, y, some),
        _leave_one_out_in_time(data, model),
        _features_fitted_on_test(data, splits),
    ]
    known = {"autocorrelation"} if isinstance(splitter, ShufflesTime) else set()  # asked for by name, and noted
    return [leak for leak in found if leak is not None and leak.code not in known]


def rows_resemble_neighbours(data: Aligned) -> bool:
    r"""Say whether rows resemble the rows before them, in features and in recording, as consecutive volumes do.

    Parameters
    ----------
    data : Aligned
        Features (sample, feature) and recording (sample, [repeat,] \*targets).

    Returns
    -------
    bool
        False as well where there are too few rows to tell.

    Examples
    --------
    >>> import xarray as xr
    >>> from neuroling import align
    >>> rng = np.random.default_rng(0)
    >>> walks = rng.standard_normal((200, 6)).cumsum(axis=0)
    >>> features = xr.DataArray(walks[:, :3], dims=("sample", "feature"), coords={"sample": np.arange(200)})
    >>> recording = xr.DataArray(walks[:, 3:], dims=("sample", "voxel"), coords={"sample": np.arange(200)})
    >>> rows_resemble_neighbours(align(features, recording))
    True
    >>> shuffled = rng.permutation(200)
    >>> rows_resemble_neighbours(align(features[shuffled], recording[shuffled]))
    False
    """
    if data.n_samples < FEWEST_ROWS:
        return False
    sides = (data.x.values, data.y_mean.values.reshape(data.n_samples, -1))
    return all(_is_smooth(_projected(side), over_noise=SUSPICIOUS) for side in sides)


def warn_of(leaks: Sequence[Leak], allow_leakage: str | None) -> None:
    """Warn of every leak, unless leakage is allowed with a reason.

    Parameters
    ----------
    leaks : sequence of Leak
        From :func:`find_leaks`.
    allow_leakage : str or None
        The reason; it stands in the result.
    """
    if allow_leakage is not None:
        return
    for leak in leaks:
        warnings.warn(LeakageWarning(leak), stacklevel=3)


def _repeated_features(data: Aligned, x: NDArray[np.float64], splits: Sequence[Split]) -> Leak | None:
    """Report test samples whose features occur in training, where there are enough features to tell samples apart."""
    if data.unit == "item":
        return None
    labels, counts = _distinct_rows(x)
    background = counts[labels] > max(0.3 * len(x), 2)  # silence, blanks: rows that most others equal too
    if not _can_memorize(data.x.values, len(counts)):
        return None
    worst, rows = _share_of_doubles(x, splits, IDENTICAL, ~background, near_copies=True)
    if worst < SHARE_OF_TEST_ROWS:
        return None
    return Leak(
        "repeated-features",
        f"splits: {worst:.0%} of the test samples of a split (first {_some_labels(data, rows)}) have the same features "
        "as a training sample, or nearly so, such as a word or story that occurs twice. A model can score by "
        "recognising them. Give what belongs together one value of the coordinate 'group' and use GroupKFold, or pass "
        "allow_leakage='reason' to evaluate.",
    )


def _can_memorize(values: NDArray[np.generic], n_distinct: int) -> bool:
    """Say whether features are rich enough to recognise single samples: more than codes of conditions or one number."""
    columns = np.asarray(values[:, _evenly_spaced(values.shape[1], MOST_COLUMNS)], dtype=np.float64)
    levels = [len(np.unique(columns[: 4 * MOST_TEST_ROWS, c])) for c in range(min(columns.shape[1], 32))]
    if max(levels) <= 4 or n_distinct < 5:  # dummies and contrasts
        return False
    is_counted = bool(
        np.equal(columns, np.round(columns)).all()
    )  # few counts, such as words per volume, meet by chance
    return bool(values.shape[1] >= max(3, (0.25 if is_counted else 0.02) * n_distinct))


def _repeated_recording(data: Aligned, y: NDArray[np.float64], splits: Sequence[Split]) -> Leak | None:
    """Report test samples whose recording occurs in training: a run stored twice, a participant entered twice."""
    if data.unit == "item":
        return None
    n_targets = int(np.prod([data.y.sizes[dim] for dim in data.targets]))
    if n_targets >= N_PROJECTIONS:
        worst, rows = _share_of_doubles(y, splits, NEARLY_IDENTICAL, np.ones(len(y), bool))
    elif len(y) >= 4 * WINDOW:
        windows = np.stack([np.roll(y, -step, axis=0) for step in range(WINDOW)], axis=1)
        varied = windows.std(axis=1).min(axis=-1) > 1e-6
        windows = windows.reshape(len(y), -1)
        contiguous = [Split(split.train, split.test) for split in splits if _torn_neighbours(split, len(y)) < 0.9]
        if not contiguous:
            return None
        worst, rows = _share_of_doubles(windows, contiguous, NEARLY_IDENTICAL, varied)
    else:
        return None
    if worst < SHARE_OF_TEST_ROWS:
        return None
    return Leak(
        "repeated-recording",
        f"splits: the recording of {worst:.0%} of the test samples of a split (first {_some_labels(data, rows)}) "
        "occurs in training as well, nearly to the last digit, such as a run or participant stored twice. Scores would "
        "rise on noise. Remove the copies, or pass allow_leakage='reason' to evaluate.",
    )


def _autocorrelation(
    data: Aligned, x: NDArray[np.float64], y: NDArray[np.float64], splits: Sequence[Split]
) -> Leak | None:
    """Report rows that resemble their neighbours, in features and recording, where splits tear neighbours apart."""
    if data.unit == "item" or data.n_samples < FEWEST_ROWS:
        return None
    torn = max(_torn_neighbours(split, data.n_samples) for split in splits)
    if torn < SHARE_OF_TORN_NEIGHBOURS:
        return None
    if not (_is_smooth(x) and _is_smooth(y)):
        return None
    return Leak(
        "autocorrelation",
        f"splits: rows resemble their neighbours, in features and in recording, and up to {torn:.0%} of the test "
        "samples of a split stand next to a training sample. If rows are consecutive in time, scores would rise on "
        "noise: add the coordinate 'time_index' (and 'group' for runs) and use ContiguousFolds.of(data). If they are "
        "not, shuffle the order of rows or pass allow_leakage='reason' to evaluate.",
    )


def _leave_one_out_in_time(data: Aligned, model: Predictor) -> Leak | None:
    """Report a regularization strength chosen by leaving out single samples of a time axis."""
    final = model
    while hasattr(final, "steps"):
        final = final.steps[-1][1]
    is_sklearn = type(final).__module__.startswith("sklearn.linear_model") and type(final).__name__ == "RidgeCV"
    by_leave_one_out = isinstance(getattr(final, "folds", None), LeaveOneOut) or (
        is_sklearn and getattr(final, "cv", 0) is None
    )
    if data.unit != "time" or not by_leave_one_out:
        return None
    return Leak(
        "leave-one-out-in-time",
        f"model: {type(final).__name__} chooses alpha by leaving out single samples, and these are consecutive in "
        "time, so that their neighbours give them away and alpha comes out too small. Use RidgeCV with contiguous or "
        "grouped folds, or pass allow_leakage='reason' to evaluate.",
    )


def _features_fitted_on_test(data: Aligned, splits: Sequence[Split]) -> Leak | None:
    """Report features that were fitted (scaled, reduced, trained) on samples that are tested."""
    fitted_on = data.x.attrs.get("fitted_on")
    if fitted_on is None:
        return None
    seen = {str(label) for label in np.atleast_1d(np.asarray(fitted_on))}
    labels = data.x["sample"].values
    tested = np.unique(np.concatenate([split.test for split in splits]))
    both = [label for label in labels[tested].tolist() if str(label) in seen]
    if not both:
        return None
    return Leak(
        "features-fitted-on-test",
        f"features: their attribute 'fitted_on' names {len(both)} samples that are tested (first {both[:3]}), so they "
        "were fitted on test samples. Fit them inside the folds, in a Pipeline, or pass allow_leakage='reason'.",
    )


def _projected(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Standardize columns and project them, shape (sample, at most 16); constant columns count as zero."""
    columns = np.asarray(values[:, _evenly_spaced(values.shape[1], MOST_COLUMNS)], dtype=np.float64)
    centred = columns - columns.mean(axis=0)
    scale = centred.std(axis=0)
    centred /= np.where(scale > 0, scale, 1.0)
    if centred.shape[1] <= N_PROJECTIONS:
        return np.asarray(centred)
    directions = np.random.default_rng(0).standard_normal((centred.shape[1], N_PROJECTIONS))
    return np.asarray(centred @ directions / np.sqrt(centred.shape[1]))


def _distinct_rows(rows: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give every row the number of its value, up to rounding, and how often each number occurs."""
    rounded = np.round(rows / (IDENTICAL * 10)).astype(np.int64)
    _, labels, counts = np.unique(rounded, axis=0, return_inverse=True, return_counts=True)
    return labels.ravel(), counts


def _share_of_doubles(
    rows: NDArray[np.float64],
    splits: Sequence[Split],
    tolerance: float,
    counted: NDArray[np.bool_],
    *,
    near_copies: bool = False,
) -> tuple[float, NDArray[np.intp]]:
    """Give the largest share of a split's test rows that have a double in training, and those rows.

    With ``near_copies``, rows count too that are nearly identical to a few training rows and far from all others.
    """
    typical = float(np.sqrt(2 * (rows - rows.mean(axis=0)).var(axis=0).sum()))
    squares = (rows**2).sum(axis=1)
    worst, doubles = 0.0, np.arange(0)
    for split in splits:
        test = split.test[counted[split.test]]
        test, train = test[_evenly_spaced(len(test), MOST_TEST_ROWS)], split.train
        if len(test) == 0 or typical == 0:
            continue
        nearest = np.full(len(test), np.inf)
        n_near, n_around = np.zeros(len(test)), np.zeros(len(test))
        for start in range(0, len(train), 4096):
            block = train[start : start + 4096]
            squared = squares[test][:, None] + squares[block][None] - 2 * rows[test] @ rows[block].T
            closest = block[squared.argmin(axis=1)]
            exact = np.sqrt(((rows[test] - rows[closest]) ** 2).sum(axis=1))
            nearest = np.minimum(nearest, exact)
            if near_copies:
                n_near += (squared < (NEARLY_IDENTICAL * typical) ** 2).sum(axis=1)
                n_around += (squared < (EMPTY_AROUND * NEARLY_IDENTICAL * typical) ** 2).sum(axis=1)
        is_near_copy = (n_near > 0) & (n_near == n_around) & (n_near <= max(MOST_COPIES * len(split.train), 4))
        has_double = (nearest < tolerance * typical) | is_near_copy
        share = float(has_double.mean())
        if has_double.sum() >= min(FEWEST_DOUBLES, len(split.test)) and share > worst:
            worst, doubles = share, test[has_double]
    return worst, doubles


def _torn_neighbours(split: Split, n_samples: int) -> float:
    """Give the share of test rows that stand next to a training row."""
    in_training = np.zeros(n_samples + 2, dtype=bool)
    in_training[split.train + 1] = True
    return float((in_training[split.test] | in_training[split.test + 2]).mean())


def _is_smooth(rows: NDArray[np.float64], over_noise: float | None = None) -> bool:
    """Say whether rows drift: neighbours are closer than rows two apart, and those closer than rows far apart.

    With ``over_noise``, the standard deviations that a weak drift has to exceed, rows three apart need not be farther
    away still.

    Medians over rows make this blind to blocks: within a block of one category, rows one and two apart are equally far
    from each other, and the few steps between blocks do not move a median. A sorting column moves it as little.
    """
    n = len(rows)
    lags = [_median_squared_distance(rows, lag) for lag in (1, 2, 3)]
    order = np.random.default_rng(0).permutation(n)
    far = _median_squared_distance(rows[order], 1)
    rng = np.random.default_rng(1)
    mixed = [rows[rng.permutation(n)] for _ in range(12)]
    shuffled = np.array([[_median_squared_distance(one, lag) for lag in (1, 2)] for one in mixed])
    if min(*lags, far, shuffled.min()) <= 0:  # most rows are the same, and drift nowhere
        return False
    noise = float(np.std(np.log(shuffled[:, 1] / shuffled[:, 0])))
    growth = float(np.log(lags[1] / lags[0]))
    return (
        growth > max(float(np.log(LEAST_GROWTH)), (over_noise or GROWTH_OVER_NOISE) * noise)
        and (lags[2] > lags[1] or over_noise is not None)
        and lags[0] < LEAST_CLOSENESS * far
    )


def _median_squared_distance(rows: NDArray[np.float64], lag: int) -> float:
    return float(np.median(((rows[lag:] - rows[:-lag]) ** 2).sum(axis=1)))


def _evenly_spaced(size: int, most: int) -> NDArray[np.intp]:
    """Give the numbers of at most ``most`` of ``size`` items, evenly spaced, the first and the last among them."""
    return np.arange(size) if size <= most else np.linspace(0, size - 1, most).astype(np.intp)


def _some_labels(data: Aligned, rows: NDArray[np.intp]) -> list[object]:
    return list(data.y["sample"].values[rows[:3]].tolist())
