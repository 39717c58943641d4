"""The one answer type: scores with their labels, ceiling, null and provenance, in one file."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.core.provenance import Provenance, content_hash

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Correction = Literal["none", "fdr", "max", "cluster"]

FORMAT = "neuroling-result-1"
"""Name of the file layout, stored in every file."""


class ResultFileError(ValueError):
    """A result file that is missing, truncated, damaged, or not a result at all."""


@dataclass(frozen=True)
class NullDistribution:
    """Draws of a statistic where nothing is to be found, beside the statistic that they are draws of.

    Attributes
    ----------
    observed : xarray.DataArray, dims (\\*kept,)
        The statistic on the data as they are.
    exceedances : xarray.DataArray, dims (\\*kept,)
        How many draws were at least as good as observed.
    best : xarray.DataArray, dims (draw,)
        The best statistic of each draw over all kept positions.
    method : str
        How the draws were made, in words.
    draws : xarray.DataArray or None, dims (draw, \\*kept)
        The draws, where they were kept.
    cluster : xarray.DataArray or None, dims (\\*kept,)
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
        """Count draws against the observed statistic, one at a time.

        Parameters
        ----------
        observed : xarray.DataArray, dims (\\*kept,)
            The statistic on the data as they are.
        draws : iterable of xarray.DataArray, dims (\\*kept,)
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
        """
        sign = 1.0 if larger_is_better else -1.0
        count = np.zeros(observed.shape, dtype=np.int64)
        best: list[float] = []
        kept: list[np.ndarray] = []
        for draw in draws:
            values = draw.transpose(*observed.dims).values
            count += _at_least(sign * values, sign * observed.values)
            best.append(sign * float(np.nanmax(sign * values)))
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
        defined = self.observed.notnull()
        if correct == "cluster":
            if self.cluster is None:
                raise ValueError(
                    f"correct: 'cluster' was asked for, but {self.method} made no clusters; name the axis with "
                    "cluster=… in the inference."
                )
            return self.cluster.rename("p")
        if correct == "max":
            sign = 1.0 if self.larger_is_better else -1.0
            best = np.sort(sign * self.best.values)
            above = len(best) - np.searchsorted(best, sign * self.observed.values - _slack(self.observed.values))
            return ((1 + self.observed.copy(data=above)) / (1 + self.n_draws)).where(defined).rename("p")
        p = ((1 + self.exceedances) / (1 + self.n_draws)).where(defined).rename("p")
        if correct == "none":
            return p
        if correct == "fdr":
            return p.copy(data=_benjamini_hochberg(p.values))
        raise ValueError(f"correct: got {correct!r}; expected 'none', 'fdr', 'max' or 'cluster'.")

    def quantile(self, q: float) -> xr.DataArray:
        """Give a quantile of the draws at each position, which needs the draws.

        Parameters
        ----------
        q : float
            Between 0 and 1.

        Returns
        -------
        xarray.DataArray, dims (\\*kept,)
        """
        if self.draws is None:
            raise ValueError("draws: they were not kept; run the inference with keep_draws=True for quantiles.")
        return self.draws.quantile(q, "draw").drop_vars("quantile")


@dataclass(frozen=True)
class Result:
    """Scores of one evaluation (or of several, combined), with all that belongs to them.

    Attributes
    ----------
    data : xarray.Dataset
        ``score`` (split, \\*kept); perhaps ``ceiling`` (bound, \\*kept) and the null's variables.
    provenance : Provenance
        Versions, options, data hashes, seed, device.

    Examples
    --------
    >>> score = xr.DataArray([[0.1, 0.3], [0.3, 0.5]], dims=("split", "voxel"), coords={"voxel": ["a", "b"]})
    >>> Result.of(score, metric="pearson").score.values.round(1).tolist()
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
    ) -> Result:
        """Put the parts of an evaluation together.

        Parameters
        ----------
        score : xarray.DataArray, dims (split, \\*kept)
            Score of every split.
        metric : str
            Name of the metric.
        chance : float
            Value of the metric that means no relation.
        larger_is_better : bool
            Direction of the metric.
        ceiling : xarray.DataArray, optional, dims (bound, \\*kept)
            Mean scores over splits of the recording's predictions of itself.
        null : NullDistribution, optional
            Draws of the null.
        provenance : Provenance, optional
            Where the numbers came from.

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
        data = xr.Dataset(variables, attrs=attrs)
        return cls(data, provenance or Provenance())

    @property
    def score(self) -> xr.DataArray:
        """Mean score over splits, dims (\\*kept,); NaN where any split's score is."""
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
    def ceiling(self) -> xr.DataArray:
        """Bounds of the ceiling, dims (bound, \\*kept)."""
        if "ceiling" not in self.data:
            raise ValueError("ceiling: this result has none; pass ceiling=… to evaluate.")
        return self.data["ceiling"]

    @property
    def null(self) -> NullDistribution:
        """The null distribution of the score."""
        if "null_observed" not in self.data:
            raise ValueError("null: this result has none; pass inference=… to evaluate.")
        get = {name: self.data.get(f"null_{name}") for name in ("observed", "exceedances", "best", "draws", "cluster")}
        direction = bool(self.data.attrs["larger_is_better"])
        return NullDistribution(**get, method=self.data.attrs["null_method"], larger_is_better=direction)

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
        bounds = [str(b) for b in ceiling.bound.values]
        if bound is None:
            fit = [b for b in ("ceiling", "lower") if b in bounds]
            if not fit:
                raise ValueError(
                    f"ceiling: its bounds are {bounds}; a split-half of the metric {self.metric!r} rests on half of the "
                    "data and cannot be stepped up. Use LeaveOneOut, or name the bound yourself."
                )
            bound = fit[0]
        if bound not in bounds:
            raise ValueError(f"bound: got {bound!r}; this ceiling has {bounds}.")
        span = ceiling.sel(bound=bound, drop=True) - self.chance
        if not self.data.attrs["larger_is_better"]:
            span = -span
        useless = int((~(span > 0)).sum())
        if useless:
            warnings.warn(
                f"ceiling: at {useless} of {span.size} positions the bound {bound!r} is not better than chance; the "
                "normalized score is NaN there.",
                stacklevel=2,
            )
        sign = 1.0 if self.data.attrs["larger_is_better"] else -1.0
        return (sign * (self.score - self.chance) / span.where(span > 0)).rename("normalized")

    def to_dataframe(self) -> pd.DataFrame:
        """Lay out one row a position: its labels, score, bounds of the ceiling, p value.

        Returns
        -------
        pandas.DataFrame
        """
        columns = {"score": self.score}
        if "ceiling" in self.data:
            columns |= {f"ceiling_{b}": self.ceiling.sel(bound=b, drop=True) for b in self.ceiling.bound.values}
        if "null_observed" in self.data:
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
            lines += [f"  ceiling, {b}: {_range_of(ceiling.sel(bound=b))}" for b in ceiling.bound.values]
        if "null_observed" in self.data:
            p = self.null.p_values()
            smallest = f"p = {float(p):.4g}" if not p.dims else f"{int((p < 0.05).sum())} of {p.size} at p < 0.05"
            lines.append(f"  null: {self.null.method}, {self.null.n_draws} draws; {smallest}")
        if self.provenance.synthetic:
            lines.append("  SYNTHETIC data: a twin with known truth, not people's recordings")
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
        data = data.assign_attrs(content=_digest(data))
        encoding = {
            name: {"fletcher32": True, "chunksizes": variable.shape}
            for name, variable in data.variables.items()
            if variable.ndim and variable.dtype.kind in "fiu"
        }
        try:
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
        except OSError as error:
            raise _write_error(path, error) from error
        os.close(handle)
        try:
            data.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)
            _flush(temporary)
            Path(temporary).replace(path)
        except OSError as error:
            raise _write_error(path, error) from error
        finally:
            Path(temporary).unlink(missing_ok=True)

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
        if not path.is_file():
            raise ResultFileError(f"path: {path} is not a file; expected a result written by Result.save.")
        try:
            data = xr.load_dataset(path, engine="h5netcdf")
        except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, EOFError) as error:
            raise ResultFileError(
                f"{path} cannot be read as a result ({type(error).__name__}: {error}); it is truncated, damaged or of "
                "another kind. Make it again."
            ) from error
        found = data.attrs.get("format")
        if found != FORMAT:
            raise ResultFileError(f"{path}: format {found!r}; this version reads {FORMAT!r}.")
        expected = data.attrs.pop("content", None)
        if expected != _digest(data):
            raise ResultFileError(f"{path}: its content does not match its own checksum; it is damaged. Make it again.")
        provenance = Provenance.from_json(data.attrs.pop("provenance"))
        data.attrs.pop("format")
        return cls(data, provenance)


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
    """Rounding allowance when a draw ties with the observed statistic: a few units in the last place."""
    return 1e-12 * np.maximum(1.0, np.abs(observed)) if observed.dtype == np.float64 else 1e-6 * np.abs(observed)


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
    flat = values.values[np.isfinite(values.values)]
    if len(flat) == 0:
        return f"undefined at all {values.size} positions"
    return f"mean {flat.mean():.3f}, from {flat.min():.3f} to {flat.max():.3f} over {' × '.join(map(str, values.dims))}"


def _digest(data: xr.Dataset) -> str:
    """Hash everything that a result file holds, its own digest excepted."""
    import hashlib

    digest = hashlib.sha256()
    for name in sorted(map(str, data.variables)):
        digest.update(f"{name}\x1f{content_hash(data[name].reset_coords(drop=True))}\x1e".encode())
    for name in sorted(map(str, data.attrs)):
        if name != "content":
            digest.update(f"{name}\x1f{data.attrs[name]}\x1e".encode())
    return digest.hexdigest()


def _flush(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_error(path: Path, error: OSError) -> OSError:
    reason = error.strerror or str(error)
    return OSError(
        error.errno or 5,
        f"cannot write the result ({reason}); what stood there is untouched. Choose another",
        str(path),
    )
