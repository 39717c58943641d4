"""The page of a study from its results alone: answer first, then figures, controls, ceiling, methods, references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from neuroling.core.files import write_whole
from neuroling.core.result import Result, significance
from neuroling.report.comparison import (
    COLUMNS,
    Comparison,
    compare_with_controls,
    locations,
    model_names,
    model_table,
    null_of_mean,
)
from neuroling.report.figures import axes_to_png, plot_distribution, plot_points
from neuroling.report.html import Block, Callout, Figure, Section, Table, Text, write_page
from neuroling.report.methods_text import NO_CEILING, methods_text
from neuroling.report.references import Reference, bibtex_of, references_of
from neuroling.report.results import plot_result

LOCATIONS = ("voxel", "vertex")

FEW_LOCATIONS = 30
"""Locations up to which each has a point of its own; more are drawn as a distribution."""


# More than eight parameters: a page has so many parts that only the researcher knows, all but two of them optional.
def write_report(
    result: Result | Mapping[str, Result],
    folder: str | Path,
    *,
    title: str,
    question: str = "",
    model: str | None = None,
    controls: Sequence[str] = (),
    notes: Sequence[str] = (),
    figures: Sequence[Figure] = (),
    cite: Sequence[Reference] = (),
) -> Path:
    """Write the page of a study: question, answer, figures, controls, ceiling, methods text, references.

    Parameters
    ----------
    result : Result or mapping of str to Result
        One result, or several with a heading each; the first answers the question.
    folder : str or Path
        Gets ``report.html`` and ``references.bib``; for voxels on a grid also NIfTI maps. Made if it is not there.
    title : str
        Heading of the page.
    question : str
        What the study asks, in a sentence.
    model : str, optional
        Name of the model that the study asks about, on the axis ``model``; needed where there are controls. A result
        that has no axis ``model``, such as estimates of effects, stands on the page as it is.
    controls : sequence of str
        Names on the axis ``model`` that are controls; names that a result does not have are passed over.
    notes : sequence of str
        Exclusions and anything else that a reader has to know.
    figures : sequence of Figure
        Further figures, after those of the results.
    cite : sequence of Reference
        Publications of the data and whatever the record does not name.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ValueError
        If the model is not one of the result's.

    Examples
    --------
    >>> import tempfile
    >>> values, dims = [[[0.2, 0.3, 0.25], [0.1, 0.2, 0.1]]], ("split", "model", "subject")
    >>> scores = xr.DataArray(values, dims=dims, coords={"model": ["BERT", "rate"]})
    >>> with tempfile.TemporaryDirectory() as out:
    ...     page = write_report(
    ...         Result.of(scores, metric="pearson"), out, title="A study", model="BERT", controls=["rate"]
    ...     ).read_text("utf-8")
    >>> "BERT minus rate, its strongest control: +0.117" in page
    True
    """
    results = {"": result} if isinstance(result, Result) else dict(result)
    if not results:
        raise ValueError("result: got none; expected a Result, or a mapping of headings to results.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    synthetic = any(model_result.provenance.synthetic for model_result in results.values())
    studies = {heading: _Study.of(model_result, model, controls) for heading, model_result in results.items()}
    sections = [section for heading, study in studies.items() for section in study.sections(heading, folder)]
    if figures:
        sections.append(Section("Further figures", list(figures)))
    first = next(iter(results.values()))
    references = references_of([model_result.provenance for model_result in results.values()], cite)
    write_whole(folder / "references.bib", bibtex_of(references).encode())
    listed = "\n\n".join(model_result.text for model_result in references)
    sections += [
        Section("Checks and exclusions", _checks(results, notes)),
        Section("Methods, as they could stand in a paper", [Text(methods_text(first))]),
        Section("References", [Text(f"{listed}\n\nBibTeX of all of them: references.bib, beside this page.")]),
    ]
    record = {heading or "result": _record(model_result) for heading, model_result in results.items()}
    return write_page(
        folder / "report.html",
        title=title,
        subtitle=question,
        sections=sections,
        provenance=record,
        synthetic=synthetic,
    )


@dataclass(frozen=True)
class _Study:
    """A result, the model that it is about, and its controls."""

    result: Result
    model: str | None
    controls: tuple[str, ...]

    @classmethod
    def of(cls, result: Result, model: str | None, controls: Sequence[str]) -> _Study:
        names = model_names(result)
        if model is not None and names and model not in names:
            raise ValueError(f"model: got {model!r}; the result has the models {names}.")
        ours = tuple(name for name in controls if name in names and name != model)
        return cls(result, model if names else None, ours)

    @property
    def comparison(self) -> Comparison | None:
        if self.model is None or not self.controls:
            return None
        return compare_with_controls(self.result, self.model, self.controls)

    def sections(self, heading: str, folder: Path) -> list[Section]:
        if self.result.is_estimate:
            return _effects(self.result, heading)
        comparison = self.comparison
        mark = f"{heading}: " if heading else ""
        answer: list[Block] = [Callout("result", answer_of(self.result, self.model, comparison)), self._overview()]
        if comparison is not None:
            answer.append(_difference_figure(comparison, synthetic=self.result.provenance.synthetic))
        answer += _maps(self, comparison, folder, heading)
        table = model_table(self.result, self.controls)
        meanings = " ".join(f"{name}: {COLUMNS[name]}" for name in table.columns if name in COLUMNS)
        return [
            Section(f"{mark}What came out", answer),
            Section(
                f"{mark}Models and controls",
                [*_missing_controls(self), Table(table, f"{self.result.metric}. {meanings}")],
            ),
            Section(f"{mark}Noise ceiling", _ceiling(self.result)),
        ]

    def _overview(self) -> Figure:
        reduced, over = _drawable(self.result)
        axes = plot_result(reduced)
        where = locations(self.result.score) or "one score"
        n_splits = self.result.data.sizes["split"]
        caption = f"{self.result.metric.capitalize()} on held-out samples of {n_splits} splits, {where}."
        caption += f" Averaged over {over}." if over else ""
        has_band = {"time", *LOCATIONS} & set(map(str, reduced.score.dims)) and "null_draws" in reduced.data
        caption += " Gray: null distribution." if has_band else ""
        table = model_table(self.result)
        alt = "; ".join(f"{row.model} {row.score:.3f}" for row in table.itertuples())
        return Figure(axes_to_png(axes, synthetic=self.result.provenance.synthetic), caption, f"Mean scores: {alt}.")


def _effects(result: Result, heading: str) -> list[Section]:
    """Show estimates of effects: each in words, as a figure, and as a table with intervals and tests."""
    mark = f"{heading}: " if heading else ""
    lines = [line.strip() for line in result.summary().split("\n") if not line.startswith("  note:")]
    axes = plot_result(result)
    caption = f"{result.data.attrs.get('estimated', result.metric)}. Bars: 95 % intervals; zero: no effect."
    figure = Figure(axes_to_png(axes, synthetic=result.provenance.synthetic), caption, lines[0])
    frame = result.to_dataframe()
    meaning = "low and high: ends of the 95 % interval; df: degrees of freedom; p: two-sided, of each effect by itself."
    return [
        Section(f"{mark}What came out", [Callout("result", "; ".join(lines)), figure]),
        Section(f"{mark}Effects", [Table(frame, f"Estimates, one row per effect. {meaning}")]),
    ]


def answer_of(result: Result, model: str | None, comparison: Comparison | None) -> str:
    """Answer the study's question in a sentence: number, interval or null, strongest control, ceiling.

    Parameters
    ----------
    result : Result
        Scores.
    model : str or None
        The model that the study asks about.
    comparison : Comparison or None
        It beside its strongest control.

    Returns
    -------
    str
    """
    score = result.score.sel(model=model) if model is not None else result.score
    where = locations(score)
    over = f", mean of {where}" if where else ""
    name = model or "The model"
    text = f"{name}: {result.metric} {float(score.mean()):.3f} on held-out samples{over}."
    if model is not None and comparison is None:
        text += " No control was run, so this number alone does not say that meaning is what predicts."
    if comparison is not None:
        control = result.score.sel(model=comparison.control)
        text += (
            f" {comparison.model} minus {comparison.control}, its strongest control: {comparison.mean:+.3f}"
            f"{_uncertainty(comparison)} ({comparison.control} alone: {float(control.mean()):.3f})."
        )
    elif model is None and "null_observed" in result.data:
        text += f" Null: {significance(result.null)}."
    if "ceiling" in result.data:
        bound = next(
            bound
            for bound in ("ceiling", "lower", *map(str, result.ceiling.bound.values))
            if bound in result.ceiling.bound
        )
        text += f" Ceiling ({bound}): {float(result.ceiling.sel(bound=bound).mean()):.3f}."
    return text


def _uncertainty(comparison: Comparison) -> str:
    sentences = []
    if comparison.interval is not None:
        low, high = comparison.interval
        sentences.append(f"95 % interval over {comparison.n_participants} participants {low:+.3f} to {high:+.3f}")
    if comparison.p is not None:
        sentences.append(
            f"two-sided p = {comparison.p:.2g} under the null in which neither is related to the recording"
        )
    return f" ({'; '.join(sentences)})" if sentences else " (no interval: no participants, no null)"


def _drawable(result: Result) -> tuple[Result, str]:
    """Average over the axes that no figure has room for, and say which."""
    dims = [str(dim) for dim in result.score.dims]
    if "time" in dims:
        surplus = [dim for dim in dims if dim not in ("time", "model", "subject")]
    elif any(dim in dims for dim in LOCATIONS):
        surplus = []
    else:
        surplus = [dim for dim in dims if dim not in ("model", "subject")] if "model" in dims and len(dims) > 2 else []
    if not surplus:
        return result, ""
    kept = {name: result.data[name].mean(surplus) for name in ("score", "ceiling") if name in result.data}
    return Result(xr.Dataset(kept, attrs=_without_null(result)), result.provenance), " and ".join(surplus)


def _without_null(result: Result) -> dict[str, object]:
    return {str(key): value for key, value in result.data.attrs.items() if not str(key).startswith("null_")}


def _difference_figure(comparison: Comparison, *, synthetic: bool) -> Figure:
    score = comparison.difference.score
    label = f"{comparison.model} minus {comparison.control}"
    null = null_of_mean(comparison.difference)
    if "subject" in score.dims:
        each = score.mean([dim for dim in score.dims if dim != "subject"])
        axes = plot_points(each.expand_dims(model=[label]), along="model", chance=0.0, label="difference in score")
        what = f"One point a participant ({comparison.n_participants}), averaged over locations; zero: no difference."
    elif "time" in score.dims:
        reduced, _ = _drawable(comparison.difference)
        axes, what = plot_result(reduced), "Difference over time; zero: no difference."
    elif len(score.dims) == 1 and score.size <= FEW_LOCATIONS:
        axes = plot_points(score, chance=0.0, label="difference in score")
        what = f"One point for each of {locations(score)}; zero: no difference."
    elif score.dims:
        axes = plot_distribution(score.to_numpy().ravel(), chance=0.0, label="difference in score")
        what = f"Distribution over {locations(score)}; zero: no difference."
    else:
        axes = plot_points(score.expand_dims(model=[label]), chance=0.0, label="difference in score")
        what = "Zero: no difference."
    if null is not None and null.draws is not None:
        low, high = np.quantile(null.draws.to_numpy(), (0.025, 0.975))
        what += f" Under the null, 95 % of mean differences lie between {low:+.3f} and {high:+.3f}."
    caption = f"{label}, on the same splits and the same null samples. {what}"
    return Figure(axes_to_png(axes, synthetic=synthetic), caption, f"Mean difference {comparison.mean:+.3f}.")


def _maps(study: _Study, comparison: Comparison | None, folder: Path, heading: str) -> list[Block]:
    """Write a NIfTI map of the model and of its difference, and draw them where they lie in MNI space."""
    from neuroling.data.fmri import to_image
    from neuroling.report.brain import glass_brain

    score = study.result.score
    if "voxel" not in score.dims or "affine" not in score.coords["voxel"].attrs:
        return []
    model_scores = score.sel(model=study.model, drop=True) if study.model is not None else score
    if "model" in model_scores.dims:
        return []
    stem = f"{heading}_".replace(" ", "_") if heading else ""
    images = {study.model or study.result.metric: to_image(model_scores)}
    changes = {} if comparison is None else {f"minus {comparison.control}": to_image(comparison.difference.score)}
    for name, image in {**images, **changes}.items():
        safe = "".join(letter if letter.isalnum() else "_" for letter in name)
        image.to_filename(folder / f"{stem}{safe}.nii.gz")
    space = str(score.coords["voxel"].attrs.get("space", "unknown"))
    if not space.lower().startswith("mni"):
        return [Text(f"Maps were written as NIfTI files beside this page, in the space {space!r} of the recording.")]
    synthetic = study.result.provenance.synthetic
    drawn: list[Block] = []
    for kind, shown in (("score", images), ("difference", changes)):
        if shown and any(np.abs(image.get_fdata()).max() > 0 for image in shown.values()):
            png = glass_brain(shown, unit=study.result.metric, threshold=0.0, kind=kind, synthetic=synthetic)  # type: ignore[arg-type]
            caption = f"Maximum along each line of sight, {kind}; not thresholded. Files: NIfTI maps beside this page."
            drawn.append(Figure(png, caption, f"Glass brain of the {kind} in {score.sizes['voxel']} voxels."))
    return drawn


def _missing_controls(study: _Study) -> list[Block]:
    if study.model is not None and not study.controls:
        text = "No control was run. What a language model scores here may be what word rate, length or frequency would."
        return [Callout("warning", text)]
    return []


def _ceiling(result: Result) -> list[Block]:
    if "ceiling" not in result.data:
        return [Callout("note", NO_CEILING)]
    rows = [
        {"bound": str(bound), "mean": float(result.ceiling.sel(bound=bound).mean())}
        for bound in result.ceiling.bound.to_numpy()
    ]
    caption = "Mean over locations and participants. A model is compared with the bound called ceiling or lower."
    return [Table(rows, caption)]


def _checks(results: Mapping[str, Result], notes: Sequence[str]) -> list[Block]:
    blocks: list[Block] = [Text(note) for note in notes]
    for heading, result in results.items():
        mark = f"{heading}: " if heading else ""
        blocks += [Callout("warning", f"{mark}possible leak: {leak}") for leak in result.leaks]
        if result.leakage_allowed is not None:
            blocks.append(Text(f"{mark}similar training and test samples were allowed: {result.leakage_allowed}"))
        blocks += [Text(f"{mark}{note}") for note in result.provenance.notes]
        censored = result.provenance.data.get("recording.n_censored", "0")
        if censored != "0":
            blocks.append(Text(f"{mark}{censored} volumes were censored."))
        if "null_observed" in result.data:
            sides = {"greater": "one-sided (larger than the null)", "less": "one-sided (smaller than the null)"}
            said = sides.get(result.null.alternative, "two-sided")
            blocks.append(
                Text(f"{mark}p values of scores are {said}; {result.null.method}, {result.null.n_draws} draws.")
            )
    looked = "The data were looked through for test samples that training may have seen; none were found."
    return blocks if any(result.leaks for result in results.values()) else [*blocks, Text(looked)]


def _record(result: Result) -> dict[str, object]:
    record = result.provenance
    return {
        "options": record.options,
        "data": record.data,
        "seed": record.seed,
        "device": record.device,
        "created": record.created,
        "versions": record.versions,
    }
