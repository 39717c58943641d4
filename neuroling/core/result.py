"""The one answer type: scores with their labels, ceiling, null and provenance, in one file."""

from __future__ import annotations

import errno
import hashlib
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.core.files import write_whole
from neuroling.core.notices import warn
from neuroling.core.provenance import Provenance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Correction = Literal["none", "fdr", "max", "cluster"]

FORMAT = "neuroling-result-1"
"""Name of the file layout, stored in every file."""

SEAL = re.compile(rb"\nneuroling-result-(\d+) sha256 ([0-9a-f]{64})\n\Z")
"""Last line of a result file. HDF5 readers ignore what follows their data, so the file stays plain netCDF."""


class ResultFileError(ValueError):
    """A result file that is missing, truncated, damaged, or not a result at all."""


@dataclass(frozen=True)
class NullDistribution:
    r"""Draws of a statistic where nothing is to be found, beside the statistic that they are draws of.

    Attributes
    ----------
    observed : xarray.DataArray, dims (\*kept,)
        The statistic on the data as they are.
    exceedances : xarray.DataArray, dims (\*kept,)
        How many draws were at least as good as observed.
    best : xarray.DataArray, dims (draw,)
        The best statistic of each draw over all kept positions.
    method : str
        How the draws were made, in words.
    draws : xarray.DataArray or None, dims (draw, \*kept)
        The draws, where they were kept.
    cluster : xarray.DataArray or None, dims (\*kept,)
        p value of the cluster that each position belongs to, 1 outside all clusters.
    larger_is_better : bool
        Direction in which a statistic is extreme.
    """

    observed: xr.DataArray
    exceedances: xr.DataArray
    best: xr.DataArray
    method: str
    draws: xr.DataArray | None = None
    cluster: xr.DataArray | None = None
    larger_is_better: bool = True

    @classmethod
    def collect(
        cls,
        observed: xr.DataArray,
        draws: Iterable[xr.DataArray],
        *,
        method: str,
        larger_is_better: bool = True,
        keep_draws: bool = True,
    ) -> NullDistribution:
        r"""Count draws against the observed statistic, one at a time.

        Parameters
        ----------
        observed : xarray.DataArray, dims (\*kept,)
            The statistic on the data as they are.
        draws : iterable of xarray.DataArray, dims (\*kept,)
            The statistic on data whose pairing has been broken.
        method : str
            How the draws were made.
        larger_is_better : bool
            Direction in which a statistic is extreme.
        keep_draws : bool
            Keep every draw; otherwise only the counts and the best of each draw, which is what fits in memory for
            many draws of many voxels.

        Returns
        -------
        NullDistribution
            A draw that is NaN (undefined) counts as at least as good as observed, so that it never helps.
        """
        sign = 1.0 if larger_is_better else -1.0
        defined = np.isfinite(observed.to_numpy())
        count = np.zeros(observed.shape, dtype=np.int64)
        best: list[float] = []
        kept: list[np.ndarray] = []
        for draw in draws:
            values = draw.transpose(*observed.dims).to_numpy()
            goodness = np.where(np.isnan(values), np.inf, sign * values)
            count += _at_least(goodness, sign * observed.to_numpy())
            best.append(sign * float(goodness[defined].max(initial=-np.inf)))
            if keep_draws:
                kept.append(values)
        stacked = np.stack(kept) if kept else None  # (draw, *kept)
        return cls(
            observed=observed,
            exceedances=observed.copy(data=count),
            best=xr.DataArray(np.asarray(best), dims="draw"),
            method=method,
            draws=None
            if stacked is None
            else xr.DataArray(stacked, dims=("draw", *observed.dims), coords=observed.coords),
            larger_is_better=larger_is_better,
        )

    @property
    def n_draws(self) -> int:
        """Number of draws."""
        return int(self.best.sizes["draw"])

    def p_values(self, correct: Correction = "none") -> xr.DataArray:
        r"""Give one-sided p values, never zero.

        Parameters
        ----------
        correct : {"none", "fdr", "max", "cluster"}
            ``"none"``: each position by itself, ``(1 + exceedances) / (1 + draws)``. ``"fdr"``: those, adjusted after
            Benjamini and Hochberg (1995) over all positions. ``"max"``: each position against the best position of
            every draw, which controls the family-wise error (Nichols and Holmes 2002). ``"cluster"``: p value of the
            cluster, where the inference made clusters.

        Returns
        -------
        xarray.DataArray, dims (\*kept,)
            NaN where the observed statistic is NaN.
        """
        defined = np.isfinite(self.observed)
        if correct == "cluster":
            if self.cluster is None:
                raise ValueError(
                    f"correct: 'cluster' was asked for, but {self.method} made no clusters; name the axis with "
                    "cluster=… in the inference."
                )
            return self.cluster.rename("p")
        if correct == "max":
            sign = 1.0 if self.larger_is_better else -1.0
            best = np.sort(sign * self.best.to_numpy())
            above = len(best) - np.searchsorted(
                best, sign * self.observed.to_numpy() - _slack(self.observed.to_numpy())
            )
            return ((1 + self.observed.copy(data=above)) / (1 + self.n_draws)).where(defined).rename("p")
        p = ((1 + self.exceedances) / (1 + self.n_draws)).where(defined).rename("p")
        if correct == "none":
            return p
        if correct == "fdr":
            return p.copy(data=_benjamini_hochberg(p.to_numpy()))
        raise ValueError(f"correct: got {correct!r}; expected 'none', 'fdr', 'max' or 'cluster'.")

    def quantile(self, q: float) -> xr.DataArray:
        r"""Give a quantile of the draws at each position, which needs the draws.

        Parameters
        ----------
        q : float
            Between 0 and 1.

        Returns
        -------
        xarray.DataArray, dims (\*kept,)
        """
        if self.draws is None:
            raise ValueError("draws: they were not kept; run the inference with keep_draws=True for quantiles.")
        return self.draws.quantile(q, "draw").drop_vars("quantile")


@dataclass(frozen=True)
class Result:
    r"""Scores of one evaluation (or of several, combined), with all that belongs to them.

    Attributes
    ----------
    data : xarray.Dataset
        ``score`` (split, \*kept); perhaps ``ceiling`` (bound, \*kept) and the null's variables.
    provenance : Provenance
        Versions, options, data hashes, seed, device.

    Examples
    --------
    >>> score = xr.DataArray([[0.1, 0.3], [0.3, 0.5]], dims=("split", "voxel"), coords={"voxel": ["a", "b"]})
    >>> Result.of(score, metric="pearson").score.to_numpy().round(1).tolist()
    [0.2, 0.4]
    """

    data: xr.Dataset
    provenance: Provenance

    @classmethod
    def of(
        cls,
        score: xr.DataArray,
        *,
        metric: str,
        chance: float = 0.0,
        larger_is_better: bool = True,
        ceiling: xr.DataArray | None = None,
        null: NullDistribution | None = None,
        provenance: Provenance | None = None,
        leaks: tuple[str, ...] = (),
        leakage_allowed: str | None = None,
    ) -> Result:
        r"""Put the parts of an evaluation together.

        Parameters
        ----------
        score : xarray.DataArray, dims (split, \*kept)
            Score of every split.
        metric : str
            Name of the metric.
        chance : float
            Value of the metric that means no relation.
        larger_is_better : bool
            Direction of the metric.
        ceiling : xarray.DataArray, optional, dims (bound, \*kept)
            Mean scores over splits of the recording's predictions of itself.
        null : NullDistribution, optional
            Draws of the null.
        provenance : Provenance, optional
            Where the numbers came from.
        leaks : tuple of str
            What the data showed of test samples that training may have seen, each as ``"code: message"``.
        leakage_allowed : str, optional
            Why that was allowed.

        Returns
        -------
        Result
        """
        variables = {"score": score.rename("score")}
        if ceiling is not None:
            variables["ceiling"] = ceiling.rename("ceiling")
        if null is not None:
            variables |= _null_variables(null)
        attrs: dict[str, object] = {
            "metric": metric,
            "chance": float(chance),
            "larger_is_better": int(larger_is_better),
        }
        if null is not None:
            attrs["null_method"] = null.method
        if leaks:
            attrs["leaks"] = list(leaks)
        if leakage_allowed is not None:
            attrs["leakage_allowed"] = leakage_allowed
        data = xr.Dataset(variables, attrs=attrs)
        return cls(data, provenance or Provenance())

    @property
    def score(self) -> xr.DataArray:
        r"""Mean score over splits, dims (\*kept,); NaN where any split's score is."""
        return self.data["score"].mean("split", skipna=False)

    @property
    def metric(self) -> str:
        """Name of the metric."""
        return str(self.data.attrs["metric"])

    @property
    def chance(self) -> float:
        """Value of the metric that means no relation."""
        return float(self.data.attrs["chance"])

    @property
    def leaks(self) -> tuple[str, ...]:
        """What the data showed of test samples that training may have seen, each as ``"code: message"``."""
        listed = self.data.attrs.get("leaks", ())
        return (listed,) if isinstance(listed, str) else tuple(str(leak) for leak in listed)

    @property
    def leakage_allowed(self) -> str | None:
        """Why leakage was allowed; None where it was not."""
        return self.data.attrs.get("leakage_allowed")

    @property
    def ceiling(self) -> xr.DataArray:
        r"""Bounds of the ceiling, dims (bound, \*kept)."""
        if "ceiling" not in self.data:
            raise ValueError("ceiling: this result has none; pass ceiling=… to evaluate.")
        return self.data["ceiling"]

    @property
    def null(self) -> NullDistribution:
        """The null distribution of the score."""
        if "null_observed" not in self.data:
            raise ValueError("null: this result has none; pass inference=… to evaluate.")
        return NullDistribution(
            observed=self.data["null_observed"],
            exceedances=self.data["null_exceedances"],
            best=self.data["null_best"],
            method=str(self.data.attrs["null_method"]),
            draws=self.data.get("null_draws"),
            cluster=self.data.get("null_cluster"),
            larger_is_better=bool(self.data.attrs["larger_is_better"]),
        )

    def p_values(self, correct: Correction = "none") -> xr.DataArray:
        """Give one-sided p values; see :meth:`NullDistribution.p_values`.

        Parameters
        ----------
        correct : {"none", "fdr", "max", "cluster"}
            How to allow for many positions.
        """
        return self.null.p_values(correct)

    def normalized(self, bound: str | None = None) -> xr.DataArray:
        r"""Express the score as a fraction of its ceiling, both counted from chance; never clipped.

        Parameters
        ----------
        bound : str, optional
            Bound of the ceiling to divide by. The default is the bound that is meant for it: ``"ceiling"`` of a
            split-half, ``"lower"`` of leave-one-subject-out.

        Returns
        -------
        xarray.DataArray, dims (\*kept,)
            :math:`(s - c) / (b - c)` with score :math:`s`, bound :math:`b` and chance :math:`c`; NaN, with a warning,
            where the bound is not better than chance.

        Raises
        ------
        ValueError
            If there is no ceiling, or none of its bounds can be divided by.
        """
        ceiling = self.ceiling
        bounds = [str(b) for b in ceiling.bound.to_numpy()]
        if bound is None:
            fit = [b for b in ("ceiling", "lower") if b in bounds]
            if not fit:
                raise ValueError(
                    f"ceiling: its bounds are {bounds}; a split-half of the metric {self.metric!r} rests on half of "
                    "the data and cannot be stepped up. Use LeaveOneOut, or name the bound yourself."
                )
            bound = fit[0]
        if bound not in bounds:
            raise ValueError(f"bound: got {bound!r}; this ceiling has {bounds}.")
        span = ceiling.sel(bound=bound, drop=True) - self.chance
        if not self.data.attrs["larger_is_better"]:
            span = -span
        useless = int((~(span > 0)).sum())
        if useless:
            warn(
                "ceiling-undefined",
                "ceiling",
                f"at {useless} of {span.size} locations the bound {bound!r} is not better than chance; the normalized "
                "score is NaN there.",
            )
        sign = 1.0 if self.data.attrs["larger_is_better"] else -1.0
        return (sign * (self.score - self.chance) / span.where(span > 0)).rename("normalized")

    def mean_ceiling(self, bound: str | None = None, over: Iterable[str] | None = None) -> xr.DataArray:
        r"""Average the ceiling over locations, and say at how many it is undefined and excluded from the mean.

        Parameters
        ----------
        bound : str, optional
            One bound; all by default.
        over : iterable of str, optional
            Axes to average over; all but ``bound`` by default.

        Returns
        -------
        xarray.DataArray
            NaN where there is no ceiling at any location.

        Warns
        -----
        CodedWarning
            ``ceiling-undefined``, if some locations have no ceiling.
        """
        ceiling = self.ceiling
        bounds = [str(name) for name in ceiling.bound.to_numpy()]
        if bound is not None and bound not in bounds:
            raise ValueError(f"bound: got {bound!r}; this ceiling has {bounds}.")
        chosen = ceiling if bound is None else ceiling.sel(bound=bound, drop=True)
        dims = [dim for dim in chosen.dims if dim != "bound"] if over is None else list(over)
        undefined = int(np.isnan(chosen.to_numpy()).sum())
        if undefined:
            warn(
                "ceiling-undefined",
                "ceiling",
                f"{undefined} of {chosen.size} values are undefined (NaN); means over {' × '.join(map(str, dims))} are "
                "of the others.",
            )
        defined = chosen.copy(data=np.isfinite(chosen.to_numpy()))
        counted = defined.sum(dims)
        mean: xr.DataArray = chosen.where(defined, 0).sum(dims) / counted.where(counted > 0)
        return mean

    def to_dataframe(self) -> pd.DataFrame:
        """Lay out one row a position: its labels, score, bounds of the ceiling, p value.

        There is a p value where the null is one of the score itself; that of a statistic over participants belongs to
        no single row, and :meth:`p_values` gives it.

        Returns
        -------
        pandas.DataFrame
        """
        columns = {"score": self.score}
        if "ceiling" in self.data:
            columns |= {f"ceiling_{b}": self.ceiling.sel(bound=b, drop=True) for b in self.ceiling.bound.to_numpy()}
        if "null_observed" in self.data and set(self.null.observed.dims) == set(self.score.dims):
            columns |= {"p": self.null.p_values()}
        if not self.score.dims:
            return pd.DataFrame({name: [float(value)] for name, value in columns.items()})
        flat = xr.Dataset({name: value.reset_coords(drop=True) for name, value in columns.items()})
        return flat.to_dataframe().reset_index()

    def summary(self) -> str:
        """Say in a few lines what was measured and what came out."""
        score = self.score
        lines = [f"{self.metric}: {_range_of(score)} (chance {self.chance:g}; {self.data.sizes['split']} splits)"]
        if "ceiling" in self.data:
            ceiling = self.ceiling
            lines += [f"  ceiling, {b}: {_range_of(ceiling.sel(bound=b))}" for b in ceiling.bound.to_numpy()]
        if "null_observed" in self.data:
            p = self.null.p_values()
            smallest = f"p = {float(p):.4g}" if not p.dims else f"{int((p < 0.05).sum())} of {p.size} at p < 0.05"
            lines.append(f"  null: {self.null.method}, {self.null.n_draws} draws; {smallest}")
        if self.provenance.synthetic:
            lines.append("  SYNTHETIC data: a twin with known truth, not people's recordings")
        lines += [f"  LEAK? {leak}" for leak in self.leaks]
        if self.leakage_allowed is not None:
            lines.append(f"  leakage allowed: {self.leakage_allowed}")
        lines += [f"  note: {note}" for note in self.provenance.notes]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.summary()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the score in the way that its axes ask for.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from neuroling.report.results import plot_result

        return plot_result(self, ax)

    def save(self, path: str | Path) -> None:
        """Write one file: complete under its name, or not at all.

        Parameters
        ----------
        path : str or Path
            Where to write; netCDF (HDF5), conventionally ending in ``.nc``. An existing file is replaced.

        Raises
        ------
        OSError
            If the folder is missing, read-only or full; what stood there before is untouched.
        """
        path = Path(path)
        data = self.data.assign_attrs(provenance=self.provenance.to_json(), format=FORMAT)
        body = bytes(data.to_netcdf(engine="h5netcdf"))
        try:
            write_whole(path, body + _seal(body))
        except OSError as error:
            raise OSError(
                error.errno or errno.EIO,
                f"cannot write the result ({error.strerror or error}); nothing that stood there was touched. Choose "
                "another place",
                str(path),
            ) from error

    @classmethod
    def load(cls, path: str | Path) -> Result:
        """Read a file written by :meth:`save`, and check that it holds what was written.

        Parameters
        ----------
        path : str or Path
            A result file.

        Returns
        -------
        Result

        Raises
        ------
        ResultFileError
            If the file is missing, truncated, damaged, or not a result.
        """
        path = Path(path)
        body = _sealed_body(path)
        try:
            data = xr.load_dataset(io.BytesIO(body), engine="h5netcdf")
            found = data.attrs.pop("format")
            provenance = Provenance.from_json(data.attrs.pop("provenance"))
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise ResultFileError(
                f"path: {path} is sealed as a result but does not read as one ({type(error).__name__}: {error})."
            ) from error
        if found != FORMAT:
            raise ResultFileError(f"path: {path} has the format {found!r}; this version reads {FORMAT!r}.")
        return cls(data, provenance)


def _seal(body: bytes) -> bytes:
    return f"\n{FORMAT} sha256 {hashlib.sha256(body).hexdigest()}\n".encode()


def _sealed_body(path: Path) -> bytes:
    """Read a file whole and check its seal, so that no damaged byte ever reaches the HDF5 library."""
    if not path.is_file():
        raise ResultFileError(f"path: {path} is not a file; expected a result written by Result.save.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ResultFileError(f"path: {path} cannot be read ({error.strerror or error}).") from error
    seal = SEAL.search(content, max(0, len(content) - 128))
    if seal is None:
        raise ResultFileError(
            f"path: {path} ({len(content)} bytes) does not end as a result does; expected a file written by "
            "Result.save. It is truncated, damaged or of another kind; make it again."
        )
    version = f"neuroling-result-{seal[1].decode()}"
    if version != FORMAT:
        raise ResultFileError(f"path: {path} has the format {version!r}; this version reads {FORMAT!r}.")
    body = content[: seal.start()]
    if hashlib.sha256(body).hexdigest() != seal[2].decode():
        raise ResultFileError(
            f"path: the content of {path} does not match its own checksum; it is damaged. Make it again."
        )
    return body


def _null_variables(null: NullDistribution) -> dict[str, xr.DataArray]:
    parts = {
        "observed": null.observed,
        "exceedances": null.exceedances,
        "best": null.best,
        "draws": null.draws,
        "cluster": null.cluster,
    }
    return {f"null_{name}": part.rename(f"null_{name}") for name, part in parts.items() if part is not None}


def _slack(observed: np.ndarray) -> np.ndarray:
    """Allow for rounding where a draw ties with the observed statistic: a few units in the last place."""
    units, least = (1e-12, 1.0) if observed.dtype == np.float64 else (1e-6, 0.0)
    return np.asarray(units * np.maximum(least, np.abs(observed)))


def _at_least(values: np.ndarray, observed: np.ndarray) -> np.ndarray:
    return np.asarray(values >= observed - _slack(observed), dtype=np.int64)


def _benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Adjust p values for the false discovery rate; NaN stays NaN and does not count."""
    from scipy.stats import false_discovery_control

    adjusted = np.full(p.shape, np.nan)
    defined = np.isfinite(p)
    if defined.any():
        adjusted[defined] = false_discovery_control(p[defined])
    return adjusted


def _range_of(values: xr.DataArray) -> str:
    if not values.dims:
        return f"{float(values):.3f}"
    flat = values.to_numpy()[np.isfinite(values.to_numpy())]
    if len(flat) == 0:
        return f"undefined at all {values.size} positions"
    without = f", undefined at {values.size - len(flat)} of {values.size}" if len(flat) < values.size else ""
    over = " × ".join(map(str, values.dims))
    return f"mean {flat.mean():.3f}, from {flat.min():.3f} to {flat.max():.3f} over {over}{without}"
