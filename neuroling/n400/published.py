"""Published numbers that simulations are set against, each with where it was read.

The curves are those of the alpha model in figure 2 of Laszlo and Armstrong (2014), read off the vector graphics
(accuracy about 0.003). A target comes on at tick 20; ticks run to 38.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from neuroling.core.times import Window, since
from neuroling.n400.measures import mean_amplitude, rebound, spectrum

ONSET_TICK = 20
WINDOW_TICKS = (26, 31)
"""Ticks of the box that the published figure draws; the authors' full width at half maximum."""

PEOPLE = pd.DataFrame(
    {
        "first": [2.53, 5.19, 2.60, 4.90],
        "second": [4.94, 6.76, 4.93, 5.84],
        "repetition": [2.41, 1.58, 2.32, 0.95],
    },
    index=pd.Index(["word", "acronym", "pseudoword", "illegal"], name="kind"),
)
"""Mean of people's ERPs in µV, 250–450 ms, middle parietal electrode; a smaller value is a larger N400."""

DC_POWER = pd.DataFrame(
    {"first": [27.6, 23.0, 31.1, 24.6], "second": [32.0, 28.3, 34.3, 27.6]},
    index=PEOPLE.index,
)
"""Relative power of the published simulated ERPs at 0 Hz; a whole spectrum adds up to about 50.3. Over which ticks it
was taken is not known: 19 ticks from the onset of the target do not give it."""

_CURVES = {
    ("word", "new"): "88 46 24 14 13 56 132 169 187 196 186 163 129 97 74 60 55 57 62",
    ("word", "repeated"): "88 46 24 14 15 68 149 165 158 146 118 77 45 27 22 29 45 56 53",
    ("acronym", "new"): "71 38 22 14 16 62 147 197 234 248 235 213 172 126 92 69 56 53 57",
    ("acronym", "repeated"): "71 38 22 14 18 83 176 199 206 187 153 108 66 40 27 26 39 57 62",
    ("pseudoword", "new"): "78 43 25 16 16 54 117 148 156 166 159 138 108 81 64 56 55 60 64",
    ("pseudoword", "repeated"): "78 43 25 16 19 65 135 148 141 128 102 67 41 28 26 34 47 55 51",
    ("illegal", "new"): "106 57 31 19 16 65 161 213 227 225 207 173 129 94 71 59 57 62 67",
    ("illegal", "repeated"): "106 57 31 19 17 78 183 210 202 183 148 100 59 36 26 30 45 62 65",
}
"""Mean semantic activation in thousandths, ticks 20 to 38."""


def curves(tick: float = 0.042) -> xr.DataArray:
    """Give the published simulated ERPs.

    Parameters
    ----------
    tick : float
        Seconds of a tick.

    Returns
    -------
    xarray.DataArray, dims (sample, time)
        Mean semantic activation of four item types, first (``new``) and second (``repeated``) presentation; time in
        seconds from the onset of the target.

    Examples
    --------
    >>> float(curves().max())
    0.248
    """
    values = np.array([[int(cell) for cell in row.split()] for row in _CURVES.values()]) / 1000  # (sample, time)
    kinds, conditions = zip(*_CURVES, strict=True)
    coords = {
        "sample": [f"{kind}, {condition}" for kind, condition in _CURVES],
        "kind": ("sample", list(kinds)),
        "condition": ("sample", list(conditions)),
        "time": np.arange(values.shape[1]) * tick,
    }
    attrs = {"simulated": 1, "source": "Laszlo and Armstrong (2014), figure 2, digitised", "units": "activation"}
    return xr.DataArray(values, dims=("sample", "time"), coords=coords, attrs=attrs, name="published alpha model")


def repetition_ratios() -> pd.Series:
    """Give second over first presentation of the published alpha model in its window, by item type.

    Examples
    --------
    >>> repetition_ratios().round(2).to_dict()
    {'word': 0.79, 'acronym': 0.81, 'pseudoword': 0.82, 'illegal': 0.85}
    """
    first, last = (tick - ONSET_TICK for tick in WINDOW_TICKS)
    means = curves().isel(time=slice(first, last + 1)).mean("time")
    table = means.to_series().to_numpy().reshape(-1, 2)  # (kind, presentation)
    return pd.Series(table[:, 1] / table[:, 0], index=PEOPLE.index, name="second / first")


def against_published(recording: xr.DataArray, window: Window) -> pd.DataFrame:
    """Set a simulation of immediate repetition beside the published simulation and people, by item type.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, repeat, time)
        Conditions ``new`` and ``repeated``, all four types, ticks as in :func:`curves`.
    window : tuple of float
        Seconds, for the simulation; the published one keeps its own.

    Returns
    -------
    pandas.DataFrame
        By type: first and second amplitude and their ratio; the published ratio; people's first presentation and
        repetition effect (microvolts); how much later the published peak comes (ticks), and, once the published curves
        are moved by that much, correlations over ticks with the simulated ones, both presentations and their
        difference; how far responses rise again after their peak (``rebound``), first and second presentation, over as
        many ticks past the peak as the published curves last; share of power at 0 Hz gained from first to second
        presentation, simulated and published.
    """
    published_curves = curves()
    rows = {}
    for kind in PEOPLE.index:
        simulated_curves = {name: _mean_curve(recording, kind, name) for name in ("new", "repeated")}
        other = {
            name: published_curves.sel(sample=f"{kind}, {name}").drop_vars("sample") for name in ("new", "repeated")
        }
        first, second = (float(mean_amplitude(simulated_curves[name], window)) for name in ("new", "repeated"))
        later = int(np.argmax(other["new"].to_numpy())) - int(np.argmax(simulated_curves["new"].to_numpy()))
        rows[kind] = {
            "first": first,
            "second": second,
            "ratio": second / first,
            "published ratio": float(repetition_ratios()[kind]),
            "people, first (µV)": PEOPLE.loc[kind, "first"],
            "people, repetition (µV)": PEOPLE.loc[kind, "repetition"],
            "published later (ticks)": later,
            "r, first": _correlation(simulated_curves["new"], other["new"], later),
            "r, second": _correlation(simulated_curves["repeated"], other["repeated"], later),
            "r, difference": _correlation(
                simulated_curves["new"] - simulated_curves["repeated"], other["new"] - other["repeated"], later
            ),
            **_rebounds(simulated_curves, other),
            "0 Hz gained": _dc_share(simulated_curves["repeated"]) - _dc_share(simulated_curves["new"]),
            "published 0 Hz gained": float(DC_POWER.loc[kind, "second"] - DC_POWER.loc[kind, "first"]) / 50.3,
        }
    return pd.DataFrame(rows).T.rename_axis("kind")


def published_pair(recording: xr.DataArray, kind: str, condition: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Give a simulated mean curve and the published one, both from the onset of the target on and by tick.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, repeat, time)
        Immediate repetition.
    kind, condition : str
        Item type, and ``new`` or ``repeated``.

    Returns
    -------
    tuple of xarray.DataArray, dims (time,)
    """
    ours = _mean_curve(recording, kind, condition)
    tick = float(ours["time"][1] - ours["time"][0])
    return ours, curves(tick).sel(sample=f"{kind}, {condition}").drop_vars("sample")


def fit_to_published(recording: xr.DataArray) -> pd.DataFrame:
    r"""Say how well a simulation fits the digitised curves, in time and in frequency.

    All published curves are moved by the same number of whole ticks, at most four: where the onset of a target lies in
    ticks of activation is not published. Nothing else is fitted, neither a scale nor a baseline.

    .. math:: R^2 = 1 - \sum_t (x_t - y_t)^2 / \sum_t (y_t - \bar y)^2

    with :math:`y` published. It is negative where the mean of the published curve would fit better.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, repeat, time)
        Immediate repetition with the alpha function, all four types, conditions ``new`` and ``repeated``.

    Returns
    -------
    pandas.DataFrame
        One row a type, condition and domain (``time``; ``frequency``: shares of power of the same ticks): ``R2``,
        ``r`` and ``rmse``; ``later``, how many ticks earlier the published curves are put, chosen for the least squared
        error of all eight.

    Examples
    --------
    >>> model = curves().expand_dims(repeat=2).transpose("sample", "repeat", "time")
    >>> fit_to_published(model)["R2"].min().round(6).item()
    1.0
    """
    pairs = {
        (str(kind), condition): published_pair(recording, str(kind), condition)
        for kind in PEOPLE.index
        for condition in ("new", "repeated")
    }

    def error(later: int) -> float:
        both = [_overlap(simulated, published, later) for simulated, published in pairs.values()]
        return float(np.mean([((one - other) ** 2).mean() for one, other in both]))

    later = min(range(-4, 5), key=lambda ticks: (error(ticks), abs(ticks)))
    rows = []
    for (kind, condition), (simulated, published) in pairs.items():
        moved = _overlap(simulated, published, later)
        times = simulated["time"].to_numpy()[: len(moved[0])]
        labelled = [xr.DataArray(values, dims="time", coords={"time": times}) for values in moved]
        powers = [spectrum(curve, relative=True).to_numpy() for curve in labelled]
        for domain, (x, y) in (("time", moved), ("frequency", powers)):
            rows.append({"kind": kind, "condition": condition, "domain": domain, **_goodness(x, y), "later": later})
    return pd.DataFrame(rows)


def _overlap(ours: xr.DataArray, theirs: xr.DataArray, later: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ticks that both have once the published curve is put so many ticks earlier."""
    one, two = ours.to_numpy()[max(-later, 0) :], theirs.to_numpy()[max(later, 0) :]
    n = min(len(one), len(two))  # the published curves end after 19 ticks
    return np.asarray(one[:n], dtype=np.float64), np.asarray(two[:n], dtype=np.float64)


def _goodness(x: NDArray[np.float64], y: NDArray[np.float64]) -> dict[str, float]:
    squares = float(((x - y) ** 2).sum())
    return {
        "R2": 1 - squares / float(((y - y.mean()) ** 2).sum()),
        "r": float(np.corrcoef(x, y)[0, 1]),
        "rmse": float(np.sqrt(squares / len(y))),
    }


def item_orders(table: pd.DataFrame) -> pd.DataFrame:
    """Set the order of the four item types beside the published model's and people's, from the largest down.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`against_published`.

    Returns
    -------
    pandas.DataFrame
        One row a measure: N400 of first presentations, size of the repetition effect, and 0 Hz power gained on
        repetition. Orders of the simulation, the published model and people as text (people's relative power was not
        digitised), and Kendall's tau of the simulation with both; NaN where there is nothing to compare with.

    Examples
    --------
    >>> model = curves().expand_dims(repeat=2).transpose("sample", "repeat", "time")
    >>> item_orders(against_published(model, (0.252, 0.462)))["with the published model"].tolist()[:2]
    [1.0, 1.0]
    """
    first, last = (tick - ONSET_TICK for tick in WINDOW_TICKS)
    means = curves().isel(time=slice(first, last + 1)).mean("time").to_numpy().reshape(-1, 2)  # (kind, presentation)
    published = pd.DataFrame(means, index=PEOPLE.index, columns=["first", "second"])
    power = DC_POWER["second"] - DC_POWER["first"]
    sides = {
        "N400, first presentations": (table["first"], published["first"], -PEOPLE["first"]),
        "repetition effect": (
            table["first"] - table["second"],
            published["first"] - published["second"],
            PEOPLE["repetition"],
        ),
        "0 Hz power gained": (table["0 Hz gained"], power, None),
    }
    return pd.DataFrame({name: _compared(*values) for name, values in sides.items()}).T.rename_axis("measure")


def _compared(simulated: pd.Series, published: pd.Series, people: pd.Series | None) -> dict[str, object]:
    return {
        "simulated": _order(simulated),
        "published model": _order(published),
        "people": "not digitised" if people is None else _order(people),
        "with the published model": _tau(simulated, published),
        "with people": float("nan") if people is None else _tau(simulated, people),
    }


def _tau(one: pd.Series, other: pd.Series) -> float:
    return float(stats.kendalltau(one[PEOPLE.index].astype(float), other[PEOPLE.index]).statistic)


def _order(values: pd.Series) -> str:
    return " > ".join(values.astype(float).sort_values(ascending=False).index)


def _mean_curve(recording: xr.DataArray, kind: str, condition: str) -> xr.DataArray:
    is_condition = (np.asarray(recording["kind"]) == kind) & (np.asarray(recording["condition"]) == condition)
    if not is_condition.any():
        raise ValueError(f"recording: no sample of the type {kind!r} in the condition {condition!r}.")
    mean = recording.isel(sample=np.flatnonzero(is_condition)).mean(["sample", "repeat"])
    return since(mean)  # from the onset of the target


def _rebounds(
    simulated_curves: Mapping[str, xr.DataArray], published_curves: Mapping[str, xr.DataArray]
) -> dict[str, float]:
    """Rebounds of both presentations, ours over no more ticks past the peak than the published curves have."""
    rebounds: dict[str, float] = {}
    for label, name in (("first", "new"), ("second", "repeated")):
        left = published_curves[name].sizes["time"] - int(np.argmax(_risen(published_curves[name]).to_numpy()))
        curve = simulated_curves[name].isel(time=slice(0, int(np.argmax(simulated_curves[name].to_numpy())) + left))
        rebounds |= {f"rebound, {label}": float(rebound(curve))}
        rebounds |= {f"published rebound, {label}": float(rebound(_risen(published_curves[name])))}
    return rebounds


def _risen(curve: xr.DataArray) -> xr.DataArray:
    """Leave out what is still left of the prime, up to the lowest tick of the first six."""
    return curve.isel(time=slice(int(np.argmin(curve.to_numpy()[:6])), None))


def _correlation(ours: xr.DataArray, other: xr.DataArray, later: int) -> float:
    """Pearson correlation over the ticks that both have once the other is moved earlier by so many ticks."""
    return float(np.corrcoef(*_overlap(ours, other, later))[0, 1])


def _dc_share(curve: xr.DataArray) -> float:
    return float(spectrum(curve, relative=True).isel(frequency=0))
