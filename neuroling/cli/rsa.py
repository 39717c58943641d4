"""``neuroling rsa``: models against the dissimilarities of one recording, one unit of a study a call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuroling.cli.command import say

if TYPE_CHECKING:
    import xarray as xr

    from neuroling.core.result import Result
    from neuroling.evaluation.metrics import Metric


RECORDING = "a recording (sample, [repeat,] channel, [time, subject])"


def rsa(
    ctx: typer.Context,
    features: Annotated[
        Path, typer.Argument(metavar="FEATURES.nc", help="Features: NetCDF file written by `extract`.")
    ],
    recording: Annotated[
        Path,
        typer.Argument(metavar="RECORDING.nc", help="Recording: NetCDF file, (sample, [repeat,] channel, [time, …])."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Result file to write.")],
    layer: Annotated[str | None, typer.Option(help="Layer to use. Default: every layer, each as a model.")] = None,
    subject: Annotated[str | None, typer.Option(help="Participant to use. Default: all.")] = None,
    model_distance: Annotated[
        str, typer.Option(help="Distance between features: cosine, correlation, euclidean …")
    ] = "cosine",
    distance: Annotated[
        str | None, typer.Option(help="Distance between patterns. Default: crossnobis if there are repeats.")
    ] = None,
    comparator: Annotated[
        str | None, typer.Option(help="Comparison of RDMs. Default: spearman, or rho-a for models with ties.")
    ] = None,
    over: Annotated[str, typer.Option(help="Axis over which patterns extend.")] = "channel",
    window: Annotated[int, typer.Option(min=1, help="Window length of a pattern, in time points.")] = 1,
    unit: Annotated[
        list[str] | None,
        typer.Option("--unit", help="Label of the unit in its study, as NAME=LABEL; repeat for several."),
    ] = None,
    first_times: Annotated[int | None, typer.Option(hidden=True)] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Measure small parts, and print the time and memory needed.")
    ] = False,
) -> None:
    """Compare RDMs of features with RDMs of a recording at every time point, and save the result.

    Parameters
    ----------
    ctx : typer.Context
        The call itself, which ``--dry-run`` makes again.
    features : pathlib.Path
        NetCDF file with features (sample, [layer,] feature).
    recording : pathlib.Path
        NetCDF file with a recording (sample, [repeat,] channel, [time, subject]).
    out : pathlib.Path
        Result file.
    layer, subject : str, optional
        Labels of what to take.
    model_distance, distance, comparator, over, window
        As in ``neuroling.rsa``.
    unit : list of str, optional
        Labels of the unit, such as ``subject=s18``.
    first_times : int, optional
        Only so many times, for ``--dry-run``.
    dry_run : bool
        Print memory in MiB and seconds as JSON instead.
    """
    from neuroling.cli.option_names import renamed
    from neuroling.cli.unit_options import begin, finish, read_array, selected
    from neuroling.evaluation.ceilings import LeaveOneOutCeiling
    from neuroling.evaluation.evaluate import evaluate
    from neuroling.rsa.pairs import FixedRDM, pairwise

    if dry_run:
        _say_needs(ctx, recording)
        return
    shared = {"model_distance": model_distance, "distance": distance, "comparator": comparator, "over": over}
    record = begin(out, unit, {**shared, "window": window})

    def part(whole: xr.DataArray) -> xr.DataArray:
        chosen = whole if subject is None else selected(whole, "subject", subject, recording)
        return chosen if first_times is None else chosen.isel(time=slice(first_times))

    measured = read_array(recording, RECORDING, part)
    if over not in measured.dims:
        raise typer.BadParameter(
            f"got {over!r}; {recording} has the axes {', '.join(map(str, measured.dims))}.", param_hint="--over"
        )
    with renamed(distance="model_distance"):
        models = _models(
            read_array(features, "features, as `neuroling extract` writes them"), layer, model_distance, features
        )
    pairs = pairwise(models, measured, distance=distance, over=over, window=window)
    has_people = measured.sizes.get("subject", 1) > 1
    result = evaluate(
        FixedRDM(),
        pairs,
        metric=_metric(comparator, models),
        ceiling=LeaveOneOutCeiling("subject") if has_people else None,
    )
    finish(_one_model(result, unit), out, record)


def _metric(name: str | None, models: xr.DataArray) -> Metric:
    """Find a metric by its name; without one, by the ties of the models."""
    from neuroling.evaluation.rdm_metrics import RDM_METRICS, fair_to_ties

    metrics = {metric.name.removesuffix(", uncentred"): metric for metric in RDM_METRICS}
    if name is None:
        return fair_to_ties(models)
    if name not in metrics:
        raise ValueError(f"--comparator: got {name!r}; expected one of {', '.join(map(repr, metrics))}.")
    return metrics[name]


def _one_model(result: Result, unit: list[str] | None) -> Result:
    """Where the unit is a model of its study, its one model needs no axis."""
    from neuroling.cli.unit_options import labels_of
    from neuroling.core.result import Result

    if "model" not in labels_of(unit):
        return result
    n_models = result.score.sizes["model"]
    if n_models > 1:
        raise typer.BadParameter(f"model=… names one, but there are {n_models}; give --layer.", param_hint="--unit")
    return Result(result.data.isel(model=0, drop=True), result.provenance)


def _models(features: xr.DataArray, layer: str | None, distance: str, path: Path) -> xr.DataArray:
    from neuroling.cli.unit_options import selected
    from neuroling.rsa.models import model_rdms, stack_models

    if layer is not None:
        return model_rdms(selected(features, "layer", layer, path), distance)
    if "layer" not in features.dims:
        return model_rdms(features, distance)
    labels = [f"layer {label}" for label in features.layer.to_numpy()]
    each = (model_rdms(features.isel(layer=place, drop=True), distance) for place in range(len(labels)))
    return stack_models(*(rdm.assign_coords(model=[label]) for rdm, label in zip(each, labels, strict=True)))


def _say_needs(ctx: typer.Context, recording: Path) -> None:
    """Measure the unit on a quarter and a half of the times."""
    from tempfile import TemporaryDirectory

    from neuroling.cli.resource_estimate import extrapolate
    from neuroling.cli.unit_options import arguments_again, open_array

    with open_array(recording, RECORDING) as found:
        sizes = dict(found.sizes)
    if "time" not in sizes:
        raise ValueError("--dry-run: there is no axis 'time' of which a part could be measured; run it instead.")
    with TemporaryDirectory() as folder:

        def part(n: int) -> list[str]:
            return arguments_again(ctx, first_times=n, out=Path(folder) / f"{n}.nc", dry_run=False)

        needs = extrapolate(part, sizes["time"])
    say(needs.to_json())
