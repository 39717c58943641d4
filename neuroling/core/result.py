"""The one answer type: scores with their labels, ceiling, null and provenance, in one file."""

from __future__ import annotations

import errno
import hashlib
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.core.estimates import COLUMNS, INTERCEPT, LEVEL
from neuroling.core.files import write_whole
from neuroling.core.finished_scores import FinishedScores, HasModels, ModelDifference
from neuroling.core.intervals import Intervals
from neuroling.core.notices import warn
from neuroling.core.null_distribution import Alternative, Correction, NullDistribution, adjust_p_values
from neuroling.core.provenance import Provenance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from neuroling.core.protocols import Inference, Scoring

FORMAT = "neuroling-result-1"
"""Name of the file layout, stored in every file."""

DIFFERENCE = "difference of models"
"""Option in the record of a result whose scores are differences of two models."""

SEAL = re.compile(rb"\nneuroling-result-(\d+) sha256 ([0-9a-f]{64})\n\Z")
"""Last line of a result file. HDF5 readers ignore what follows their data, so the file stays plain netCDF."""


class ResultFileError(ValueError):
    """A result file that is missing, truncated, damaged, or not a result at all."""


@dataclass(frozen=True)
class Result:
    r"""Scores of one evaluation (or of several, combined), with all that belongs to them.

    Attributes
    ----------
    data : xarray.Dataset
        ``score`` (split, \*kept); perhaps ``ceiling`` (bound, \*kept) and the null's variables.
    provenance : Provenance
        Versions, options, data hashes, seed, device.
    scoring : Scoring or None
        The evaluation itself, while it is in memory, so that :meth:`test` can score it again. It holds the features and
        the recording; results that were loaded, combined or changed have none.

    Examples
    --------
    >>> score = xr.DataArray([[0.1, 0.3], [0.3, 0.5]], dims=("split", "voxel"), coords={"voxel": ["a", "b"]})
    >>> Result.of(score, metric="pearson").score.to_numpy().round(1).tolist()
    [0.2, 0.4]
    """

    data: xr.Dataset
    provenance: Provenance
    scoring: Scoring | None = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        score: xr.DataArray,
        *,
        metric: str,
        chance: float = 0.0,
        larger_is_better: bool = True,
        ceiling: xr.DataArray | None = None,
        null: NullDistribution | Intervals | None = None,
        provenance: Provenance | None = None,
        leaks: tuple[str, ...] = (),
        leakage_allowed: str | None = None,
        scoring: Scoring | None = None,
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
        null : NullDistribution or Intervals, optional
            Draws of the null, or intervals of mean scores.
        provenance : Provenance, optional
            Where the numbers came from.
        leaks : tuple of str
            What the data showed of test samples that training may have seen, each as ``"code: message"``.
        leakage_allowed : str, optional
            Why that was allowed.
        scoring : Scoring, optional
            The evaluation, for tests that score it again.

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
            attrs |= _null_attributes(null)
        if leaks:
            attrs["leaks"] = list(leaks)
        if leakage_allowed is not None:
            attrs["leakage_allowed"] = leakage_allowed
        result = cls(xr.Dataset(variables, attrs=attrs), provenance or Provenance())
        if scoring is not None:
            object.__setattr__(result, "scoring", scoring)  # no field of the constructor: a changed copy has none
        return result

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
    def larger_is_better(self) -> bool:
        """Direction of the metric."""
        return bool(self.data.attrs["larger_is_better"])

    @property
    def is_difference(self) -> bool:
        """Whether scores are differences of two models, so that both directions count."""
        return DIFFERENCE in self.provenance.options

    @property
    def is_estimate(self) -> bool:
        """Whether the scores are estimates of effects, from ``estimate``, with intervals and tests of their own."""
        return set(COLUMNS) <= {str(name) for name in self.data.data_vars}

    @property
    def estimates(self) -> xr.Dataset:
        r"""Estimate, standard_error, df, t, two-sided p, low and high (95 % interval), dims ([feature,] \*targets)."""
        if not self.is_estimate:
            raise ValueError("result: these are scores of predictions, not estimates of effects; see result.score.")
        return self.data[list(COLUMNS)].assign(estimate=self.score)[["estimate", *COLUMNS]]

    @property
    def diagnostics(self) -> xr.Dataset:
        """What belongs to the whole fit of an estimate, such as log_likelihood, aic and n_observations."""
        own = {"score", "ceiling", *(COLUMNS if self.is_estimate else ())}
        names = [name for name in self.data.data_vars if name not in own and not str(name).startswith(OF_INFERENCE)]
        return self.data[names]

    @property
    def ceiling(self) -> xr.DataArray:
        r"""Bounds of the ceiling, dims (bound, \*kept)."""
        if "ceiling" not in self.data:
            raise ValueError("ceiling: this result has none; pass ceiling=… to evaluate.")
        return self.data["ceiling"]

    @property
    def intervals(self) -> Intervals:
        """Mean scores with their uncertainty, from an inference such as ``DualBootstrap``."""
        if "interval_mean" not in self.data:
            raise ValueError("intervals: this result has none; pass inference=DualBootstrap(…) to evaluate.")
        parts = (self.data[f"interval_{name}"] for name in ("mean", "standard_error", "df"))
        mean, error, df = (part.rename(None) for part in parts)
        return Intervals(mean, error, df, str(self.data.attrs["interval_method"]), self.chance)

    @property
    def null(self) -> NullDistribution:
        """The null distribution of the score."""
        if "interval_mean" in self.data and "null_observed" not in self.data:
            raise ValueError("null: this result has intervals and no null distribution; see result.intervals.")
        if "null_observed" not in self.data:
            raise ValueError("null: this result has none; pass inference=… to evaluate.")
        attrs = self.data.attrs
        one_sided = "greater" if self.larger_is_better else "less"
        return NullDistribution(
            observed=self.data["null_observed"],
            exceedances=self.data["null_exceedances"],
            best=self.data["null_best"],
            method=str(attrs["null_method"]),
            draws=self.data.get("null_draws"),
            cluster=self.data.get("null_cluster"),
            alternative=cast(Alternative, str(attrs.get("null_alternative", one_sided))),
            centre=float(attrs.get("null_centre", 0.0)),
            resolution=self.data.get("null_resolution"),
            relabelings=str(attrs.get("null_relabelings", "")),
            statistic=str(attrs.get("null_statistic", "score")),
        )

    def p_values(self, correct: Correction = "none") -> xr.DataArray:
        """Give p values: of the null, see :meth:`NullDistribution.p_values`, or of estimates without one.

        Parameters
        ----------
        correct : {"none", "fdr", "max", "cluster"}
            How to allow for many locations. Estimates without a null have p values of their own, uncorrected or by
            ``"fdr"``, over all effects and locations but the intercept's, which are a family of their own.
        """
        if "interval_mean" in self.data:
            return self.intervals.p_values(correct)
        if not self.is_estimate or "null_observed" in self.data:
            return self.null.p_values(correct)
        p = self.data["p"]
        if correct == "none":
            return p
        if correct == "fdr":
            return _adjusted(p)
        raise ValueError(
            f"correct: got {correct!r}; expected 'none' or 'fdr', since these p values come from no null distribution. "
            "Where participants' values were given, pass inference=SignFlip(…) to estimate."
        )

    def test(self, inference: Inference, rng: int | np.random.Generator = 0) -> Result:
        """Test the scores of this result; what ``evaluate(…, inference=inference, rng=rng)`` gives, afterwards.

        Parameters
        ----------
        inference : Inference
            Over participants, on any result that has them; over samples, time or items, on a result of ``evaluate``
            that has not been saved, combined or changed since, because they score the data again.
        rng : int or numpy.random.Generator
            Seed of the draws.

        Returns
        -------
        Result
            With this null in place of any other.

        Raises
        ------
        ValueError
            If the inference needs the data and this result has scores only.

        Examples
        --------
        >>> from neuroling.evaluation.inference.participants import SignFlip
        >>> scores = xr.DataArray(np.linspace(0.1, 0.5, 8)[None], dims=("split", "subject"))
        >>> float(Result.of(scores, metric="pearson").test(SignFlip()).p_values())
        0.00390625
        """
        scoring = self.scoring or FinishedScores(
            self.score, self.chance, self.larger_is_better, two_sided=self.is_difference or self.is_estimate
        )
        null = inference(scoring, np.random.default_rng(rng).spawn(2)[1])
        seed = str(rng) if isinstance(rng, int | np.integer) else type(rng).__name__
        options = {**self.provenance.options, "inference": " ".join(repr(inference).split()), "inference seed": seed}
        kept = {name: values for name, values in self.data.data_vars.items() if not str(name).startswith(OF_INFERENCE)}
        attrs = {key: value for key, value in self.data.attrs.items() if not str(key).startswith(OF_INFERENCE)}
        data = xr.Dataset(kept | _null_variables(null), attrs=attrs | _null_attributes(null))
        return Result(data, replace(self.provenance, options=options)).scored_by(self.scoring)

    def select(self, **labels: str) -> Result:
        """Give the scores at one label of an axis, such as ``model="word rate"``, with their ceiling and null.

        Parameters
        ----------
        **labels : str
            Axis and label; the axis is gone in the result.

        Returns
        -------
        Result
            Its family is what is left: the best of a draw is taken again, for which the draws have to be at hand.

        Raises
        ------
        KeyError
            If there is no such label.
        ValueError
            If the result has a null whose draws were not kept.

        Examples
        --------
        >>> scores = xr.DataArray([[0.5, 0.2]], dims=("split", "model"), coords={"model": ["a", "b"]})
        >>> float(Result.of(scores, metric="pearson").select(model="b").score)
        0.2
        """
        score = self.data["score"].sel(labels, drop=True)
        ceiling = self.data.get("ceiling")
        own = {} if ceiling is None else {axis: label for axis, label in labels.items() if axis in ceiling.dims}
        return Result.of(
            score,
            metric=self.metric,
            chance=self.chance,
            larger_is_better=self.larger_is_better,
            ceiling=None if ceiling is None else ceiling.sel(own, drop=True),
            null=self._inferred_at(**labels),
            provenance=replace(self.provenance, options={**self.provenance.options, "selected": str(labels)}),
            leaks=self.leaks,
            leakage_allowed=self.leakage_allowed,
        )

    def _inferred_at(self, **labels: str) -> NullDistribution | Intervals | None:
        if "interval_mean" in self.data:
            return self.intervals.select(**labels)
        return self.null.select(**labels) if "null_observed" in self.data else None

    def difference(self, model: str, other: str) -> Result:
        r"""Subtract the score of one model from that of another, sign kept, on the same splits and relabelings.

        Parameters
        ----------
        model, other : str
            Which to subtract from which, along the axis ``model``.

        Returns
        -------
        Result
            Scores of which zero means that the two predict equally well, without a ceiling. Where the null holds draws
            of the scores, those of the difference are their differences, relabeling by relabeling, two-sided: what the
            difference would be if neither model said anything. :meth:`test` takes any other inference, such as
            ``SignFlip("subject")`` for other participants.

        Raises
        ------
        ValueError
            If there is no axis ``model``, a name is not on it, or both are the same.

        Examples
        --------
        >>> scores = xr.DataArray([[0.5, 0.2]], dims=("split", "model"), coords={"model": ["a", "b"]})
        >>> round(float(Result.of(scores, metric="pearson").difference("a", "b").score), 3)
        0.3
        """
        score = self.data["score"]
        if "model" not in score.dims:
            raise ValueError(
                f"result: its scores have {score.dims}, no 'model' to take a difference of. Align several feature "
                "spaces at once, or combine results along 'model'."
            )
        names = [str(name) for name in score.model.to_numpy()]
        for name in (model, other):
            if name not in names:
                raise ValueError(f"model: got {name!r}; the result has {names}.")
        if model == other:
            raise ValueError(f"model: {model!r} less itself is nothing; name two models.")
        change = f"{model} less {other}"
        result = Result.of(
            score.sel(model=model, drop=True) - score.sel(model=other, drop=True),
            metric=f"{self.metric}, {change}",
            larger_is_better=self.larger_is_better,
            null=self._null_of_difference(model, other),
            provenance=replace(self.provenance, options={**self.provenance.options, DIFFERENCE: change}),
            leaks=self.leaks,
            leakage_allowed=self.leakage_allowed,
        )
        both = self.scoring.only(model, other) if isinstance(self.scoring, HasModels) else None
        return result.scored_by(None if both is None else ModelDifference(both, model, other))

    def _null_of_difference(self, model: str, other: str) -> NullDistribution | None:
        if "null_draws" not in self.data or self.null.statistic != "score" or not self.null.relabelings:
            return None
        null = self.null
        assert null.draws is not None  # noqa: S101 - looked for above
        observed, draws = (
            values.sel(model=model, drop=True) - values.sel(model=other, drop=True)
            for values in (null.observed, null.draws)
        )
        return NullDistribution.collect(
            observed,
            draws,
            method=f"{null.method}, difference of models where neither is related to the recording",
            alternative="two-sided",
            relabelings=null.relabelings,
        )

    def scored_by(self, scoring: Scoring | None) -> Result:
        """Attach the evaluation that gave the scores, for :meth:`test`.

        Parameters
        ----------
        scoring : Scoring or None
            The evaluation.
        """
        object.__setattr__(self, "scoring", scoring)
        return self

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
                    "the data and cannot be stepped up. Use LeaveOneOutCeiling, or name the bound yourself."
                )
            bound = fit[0]
        if bound not in bounds:
            raise ValueError(f"bound: got {bound!r}; this ceiling has {bounds}.")
        span = ceiling.sel(bound=bound, drop=True) - self.chance
        if not self.larger_is_better:
            span = -span
        useless = int((~(span > 0)).sum())
        if useless:
            warn(
                "ceiling-undefined",
                "ceiling",
                f"at {useless} of {span.size} locations the bound {bound!r} is not better than chance; the normalized "
                "score is NaN there.",
            )
        sign = 1.0 if self.larger_is_better else -1.0
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
        selected = ceiling if bound is None else ceiling.sel(bound=bound, drop=True)
        dims = [dim for dim in selected.dims if dim != "bound"] if over is None else list(over)
        undefined = int(np.isnan(selected.to_numpy()).sum())
        if undefined:
            warn(
                "ceiling-undefined",
                "ceiling",
                f"{undefined} of {selected.size} values are undefined (NaN); means over {' × '.join(map(str, dims))} "
                "are of the others.",
            )
        defined = selected.copy(data=np.isfinite(selected.to_numpy()))
        counted = defined.sum(dims)
        mean: xr.DataArray = selected.where(defined, 0).sum(dims) / counted.where(counted > 0)
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
        if self.is_estimate:
            columns = {str(name): values for name, values in self.estimates.data_vars.items()}
        elif "null_observed" in self.data and self.null.statistic == "score":
            columns |= {"p": self.null.p_values()}
        if not self.score.dims:
            return pd.DataFrame({name: [float(value)] for name, value in columns.items()})
        flat = xr.Dataset({name: value.reset_coords(drop=True) for name, value in columns.items()})
        return flat.to_dataframe().reset_index()

    def summary(self) -> str:
        """Say in a few lines what was measured and what came out."""
        if self.is_estimate:
            return "\n".join([*self._estimates_in_words(), *self._remarks()])
        score = self.score
        chance = "no chance level" if np.isnan(self.chance) else f"chance {self.chance:g}"
        splits = f"({chance}; {self.data.sizes['split']} splits)"
        by_model = "model" in score.dims and 1 < score.sizes["model"] <= MOST_EFFECTS
        if by_model:  # a mean over models would be nobody's score
            lines = [f"{self.metric} {splits}", *self._models_in_words()]
        else:
            lines = [f"{self.metric}: {_range_of(score)} {splits}"]
        if "ceiling" in self.data:
            ceiling = self.ceiling
            lines += [f"  ceiling, {b}: {_range_of(ceiling.sel(bound=b))}" for b in ceiling.bound.to_numpy()]
        if "null_observed" in self.data:
            said = by_model and "model" in self.null.observed.dims  # of every model
            found = "" if said else f"; {significance(self.null)}"
            lines.append(f"  null: {self.null.method}, {self.null.n_draws} draws{found}")
        if "interval_mean" in self.data:
            lines.append(f"  {self.intervals.method}: {_significance_of_intervals(self.intervals)}")
        return "\n".join([*lines, *self._remarks()])

    def _models_in_words(self) -> list[str]:
        """Say of every model what it scored, and where it is significant if the null is one of the score."""
        has_p = "null_observed" in self.data and "model" in self.data["null_observed"].dims
        null = self.null if has_p else None
        p = None if null is None else null.p_values(null.family_wise)
        lines = []
        for name in self.score["model"].to_numpy():
            line = f"  {name}: {_range_of(self.score.sel(model=name))}"
            if p is not None and null is not None:
                of_model = p.sel(model=name)
                line += f"; {_significant(of_model, null.family_wise)}"
            lines.append(line)
        return lines

    def _estimates_in_words(self) -> list[str]:
        """Say what was estimated: every effect in a line where they are few, else how many are significant."""
        lines = [str(self.data.attrs.get("estimated", self.metric))]
        labels = sorted((str(dim) for dim in self.score.dims), key=lambda dim: dim == "feature")  # feature last
        table = self.estimates.reset_coords(drop=True)
        frame = table.to_dataframe(dim_order=labels).reset_index() if labels else self.to_dataframe()
        frame = frame.dropna(subset="estimate")
        if set(labels) <= {"model", "feature", "subject", "region"} and len(frame) <= MOST_EFFECTS:
            for _, row in frame.iterrows():
                name = " ".join(str(row[label]) for label in labels) or "mean"
                df = "" if np.isinf(row["df"]) else f"({row['df']:.4g})"
                lines.append(
                    f"  {name}: {row['estimate']:.4g}, {100 * LEVEL:g} % interval {row['low']:.4g} to "
                    f"{row['high']:.4g}; t{df} = {row['t']:.2f}, p = {row['p']:.3g}"
                )
        else:
            p = self.p_values("fdr") if "null_observed" not in self.data else None
            for effect in self.data["feature"].to_numpy() if "feature" in labels else [None]:
                one = self.score if effect is None else self.score.sel(feature=effect)
                line = f"  {effect or 'estimate'}: {_range_of(one)}"
                if p is not None:
                    of_effect = p if effect is None else p.sel(feature=effect)
                    line += f"; {int((of_effect < 0.05).sum())} of {of_effect.size} at p < 0.05, {CORRECTIONS['fdr']}"
                lines.append(line)
        if "null_observed" in self.data:
            lines.append(f"  null: {self.null.method}, {self.null.n_draws} draws; {significance(self.null)}")
        singles = [(str(name), values) for name, values in self.diagnostics.data_vars.items() if not values.dims]
        told = [f"{name} {float(value):.6g}" for name, value in singles if not name.startswith(("is_", "has_", "n_"))]
        return lines + ([f"  {', '.join(told)}"] if told else [])

    def _remarks(self) -> list[str]:
        """Say whether data are synthetic, what may have leaked, and what else has to be known."""
        lines = []
        if self.provenance.synthetic:
            lines.append("  SYNTHETIC data: a twin with known truth, not people's recordings")
        lines += [f"  LEAK? {leak}" for leak in self.leaks]
        if self.leakage_allowed is not None:
            lines.append(f"  leakage allowed: {self.leakage_allowed}")
        lines += [f"  note: {note}" for note in self.provenance.notes]
        return lines

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
            stored_format = data.attrs.pop("format")
            provenance = Provenance.from_json(data.attrs.pop("provenance"))
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise ResultFileError(
                f"path: {path} is sealed as a result but does not read as one ({type(error).__name__}: {error})."
            ) from error
        if stored_format != FORMAT:
            raise ResultFileError(f"path: {path} has the format {stored_format!r}; this version reads {FORMAT!r}.")
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


OF_INFERENCE = ("null_", "interval_")
"""What the names of variables and attributes begin with that an inference has made."""

MOST_EFFECTS = 20
"""Estimates that a summary lists one by one."""

CORRECTIONS = {
    "none": "uncorrected",
    "fdr": "false discovery rate over all locations",
    "max": "corrected over all locations by the maximum",
    "cluster": "corrected over all locations by clusters",
}
"""What p values are corrected by, in words."""


def significance(null: NullDistribution, correct: Correction | None = None) -> str:
    """Say at how many locations p is below 0.05, and by which correction.

    Parameters
    ----------
    null : NullDistribution
        With p values.
    correct : {"none", "fdr", "max", "cluster"}, optional
        The family-wise correction that the draws give unless named; where there is one location, none is needed.

    Returns
    -------
    str
    """
    if not null.observed.dims:
        return f"p = {float(null.p_values()):.4g}"
    correct = null.family_wise if correct is None else correct
    return _significant(null.p_values(correct), correct)


def _significant(p: xr.DataArray, correct: Correction) -> str:
    if not p.dims:
        return f"p = {float(p):.4g}, {CORRECTIONS[correct]}"
    return f"{int((p < 0.05).sum())} of {p.size} at p < 0.05, {CORRECTIONS[correct]}"


def _significance_of_intervals(intervals: Intervals) -> str:
    if not intervals.mean.dims:
        low, high = (float(bound) for bound in intervals.interval())
        return f"mean {float(intervals.mean):.3f}, 95 % interval {low:.3f} to {high:.3f}"
    p = intervals.p_values("fdr")
    return f"{int((p < 0.05).sum())} of {p.size} at p < 0.05, {CORRECTIONS['fdr']}"


def _adjusted(p: xr.DataArray) -> xr.DataArray:
    """Control the false discovery rate over all effects, and over all intercepts, where there are some."""
    if "feature" not in p.dims:
        return p.copy(data=adjust_p_values(p.to_numpy()))
    p = p.transpose("feature", ...)
    adjusted, is_intercept = p.copy(deep=True), p["feature"].to_numpy() == INTERCEPT
    for rows in (is_intercept, ~is_intercept):
        adjusted.to_numpy()[rows] = adjust_p_values(p.to_numpy()[rows])
    return adjusted


def _null_attributes(null: NullDistribution | Intervals) -> dict[str, object]:
    if isinstance(null, Intervals):
        return {"interval_method": null.method}
    return {
        "null_method": null.method,
        "null_alternative": null.alternative,
        "null_centre": float(null.centre),
        "null_relabelings": null.relabelings,
        "null_statistic": null.statistic,
    }


def _null_variables(null: NullDistribution | Intervals) -> dict[str, xr.DataArray]:
    if isinstance(null, Intervals):
        statistics = {"mean": null.mean, "standard_error": null.standard_error, "df": null.df}
        return {f"interval_{name}": values.rename(f"interval_{name}") for name, values in statistics.items()}
    variables = {
        "observed": null.observed,
        "exceedances": null.exceedances,
        "best": null.best,
        "draws": null.draws,
        "cluster": null.cluster,
        "resolution": null.resolution,
    }
    return {f"null_{name}": part.rename(f"null_{name}") for name, part in variables.items() if part is not None}


def _range_of(values: xr.DataArray) -> str:
    if not values.dims:
        return f"{float(values):.3f}"
    flat = values.to_numpy()[np.isfinite(values.to_numpy())]
    if len(flat) == 0:
        return f"undefined at all {values.size} positions"
    without = f", undefined at {values.size - len(flat)} of {values.size}" if len(flat) < values.size else ""
    over = " × ".join(map(str, values.dims))
    return f"mean {flat.mean():.3f}, from {flat.min():.3f} to {flat.max():.3f} over {over}{without}"
