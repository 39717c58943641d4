"""``neuroling n400``: train simulated participants and measure one effect, one unit of a sweep a call."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuroling.cli.command import say

if TYPE_CHECKING:
    import xarray as xr

    from neuroling.core.result import Result
    from neuroling.n400.alpha import Alpha

METRIC = "smaller on repetition"
"""New less repeated, over new, in the window of the response to new strings."""


def n400(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option("--out", "-o", help="Result file to write.")],
    participants: Annotated[int, typer.Option(min=1, help="Number of simulated participants.")] = 24,
    time_constant: Annotated[
        float, typer.Option(help="Time constant of the alpha function in ticks; inf switches it off.")
    ] = 7.5,
    threshold: Annotated[float, typer.Option(help="Activation above which the alpha function starts.")] = 0.1,
    layers: Annotated[
        list[str] | None, typer.Option(help="Layer that the alpha function acts on; repeat for several. Default: all.")
    ] = None,
    lag: Annotated[int, typer.Option(min=0, help="Number of strings between first and second presentation.")] = 0,
    letters: Annotated[str, typer.Option(help="Letter code: two-of-five or one-hot.")] = "two-of-five",
    epochs: Annotated[int | None, typer.Option(min=1, help="Training epochs, passes over the lexicon.")] = None,
    allow_unlearned: Annotated[
        bool, typer.Option("--allow-unlearned", help="Continue although participants have not learned their lexicon.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of lexicon, weights and order.")] = 0,
    device: Annotated[str, typer.Option(help="Device to compute on: auto, cpu, cuda, cuda:1 …")] = "auto",
    unit: Annotated[
        list[str] | None,
        typer.Option("--unit", help="Label of the unit in its sweep, as NAME=LABEL; repeat for several."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Measure small parts, and print the time and memory needed.")
    ] = False,
) -> None:
    """Train networks, simulate word repetition, and save each participant's N400 repetition effect.

    Parameters
    ----------
    ctx : typer.Context
        The call itself, which ``--dry-run`` makes again.
    out : pathlib.Path
        Result file: score (split, repeat), a participant each.
    participants, time_constant, threshold, layers, lag, letters, epochs, allow_unlearned, seed, device
        The simulation.
    unit : list of str, optional
        Labels of the unit, such as ``model=T8``.
    dry_run : bool
        Print memory in MiB and seconds as JSON instead.
    """
    from neuroling.cli.unit_options import begin, finish

    if dry_run:
        _say_needs(ctx, participants)
        return
    from neuroling.n400.alpha import LAYERS, Alpha

    acting = tuple(layers or LAYERS)
    model = Alpha(7.5 if time_constant == inf else time_constant, threshold=threshold, layers=acting)  # checks them
    alpha = None if time_constant == inf else model
    shared = {"participants": participants, "lag": lag, "letters": letters, "epochs": epochs, "metric": METRIC}
    shared |= {"threshold": threshold, "layers": ", ".join(acting)}
    record = begin(out, unit, shared)
    result = _simulated(participants, alpha, lag, letters, epochs, allow_unlearned, seed, device)
    finish(result, out, record)


def _simulated(
    participants: int,
    alpha: Alpha | None,
    lag: int,
    letters: str,
    epochs: int | None,
    allow_unlearned: bool,
    seed: int,
    device: str,
) -> Result:
    from neuroling.core.provenance import Provenance, current_versions, now
    from neuroling.core.result import Result
    from neuroling.n400.experiments import repetition
    from neuroling.n400.participants import train_networks
    from neuroling.n400.simulate import simulate

    options = {"participants": participants, "alpha": alpha, "lag": lag, "letters": letters}
    [network] = train_networks(
        lexicons=1,
        participants=participants,
        rng=seed,
        letters=letters,  # type: ignore[arg-type]  # checked there
        epochs=epochs,
        device=device,
    )
    recording = simulate(
        network,
        repetition(network.lexicon, rng=seed, lag=lag),
        alpha=alpha,
        allow_unlearned=allow_unlearned,
        device=device,
    )
    reading = f"known targets recognised without alpha: {recording.attrs['reading']}"
    provenance = Provenance(
        options={name: str(value) for name, value in options.items()},
        seed=str(seed),
        device=device,
        versions=current_versions(),
        created=now(),
        notes=("simulated, not people's", reading if recording.attrs["reads"] else f"THEY DO NOT READ; {reading}"),
    )
    return Result.of(smaller_on_repetition(recording), metric=METRIC, provenance=provenance)


def smaller_on_repetition(recording: xr.DataArray) -> xr.DataArray:
    """Give by what share each participant's response to repeated strings is smaller.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, repeat, time)
        With the conditions ``new`` and ``repeated``.

    Returns
    -------
    xarray.DataArray, dims (split, repeat)
        One split: nothing is fitted. Participants are labelled from 1.
    """
    from neuroling.n400.effects import first_window
    from neuroling.n400.measures import mean_amplitude

    amplitude = mean_amplitude(recording, first_window(recording)).groupby("condition").mean("sample")
    new, repeated = (amplitude.sel(condition=name, drop=True) for name in ("new", "repeated"))
    share = ((new - repeated) / new).astype(float).expand_dims("split")
    return share.assign_coords(repeat=[f"participant {n + 1}" for n in range(share.sizes["repeat"])])


def _say_needs(ctx: typer.Context, participants: int) -> None:
    from tempfile import TemporaryDirectory

    from neuroling.cli.resource_estimate import extrapolate
    from neuroling.cli.unit_options import arguments_again

    with TemporaryDirectory() as folder:

        def part(n: int) -> list[str]:
            return arguments_again(ctx, participants=n, out=Path(folder) / f"{n}.nc", dry_run=False)

        needs = extrapolate(part, participants)
    say(needs.to_json())
