"""What the commands that do one unit of work share: reading, selecting, stamping, calling themselves again."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from neuroling.cli.command import say

if TYPE_CHECKING:
    import xarray as xr

    from neuroling.core.provenance import Provenance
    from neuroling.core.result import Result


def open_array(path: Path, what: str) -> xr.DataArray:
    """Open a NetCDF file with one labelled array, whose values are not read before they are needed.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    what : str
        What it should hold, for the message.

    Returns
    -------
    xarray.DataArray
        To be closed.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ValueError
        If it is no NetCDF file with one array.
    """
    from neuroling.features.storage.seal import open_sealed

    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; expected {what}.")
    try:
        return open_sealed(path)
    except ValueError as error:
        raise ValueError(f"{path}: does not read as one labelled array ({error}); expected {what}.") from error


def read_array(path: Path, what: str, part: Callable[[xr.DataArray], xr.DataArray] | None = None) -> xr.DataArray:
    """Read one labelled array from a NetCDF file, or a part of it.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    what : str
        What it should hold, for the message.
    part : callable, optional
        Takes what is wanted of the array, so that nothing else is read.

    Returns
    -------
    xarray.DataArray

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ValueError
        If it is no NetCDF file with one array, or damaged.
    """
    with open_array(path, what) as found:
        wanted = found if part is None else part(found)
        try:
            return wanted.load()
        except OSError as error:
            raise ValueError(f"{path}: its values cannot be read ({error}); expected {what}.") from error


def selected(array: xr.DataArray, axis: str, label: str, path: Path) -> xr.DataArray:
    """Take one entry of an axis by its label, whatever the type of the labels.

    Parameters
    ----------
    array : xarray.DataArray
        With the axis.
    axis, label : str
        Which entry.
    path : pathlib.Path
        Where the array came from, for the message.

    Returns
    -------
    xarray.DataArray
        Without the axis.

    Raises
    ------
    ValueError
        If there is no such axis or label.
    """
    if axis not in array.dims:
        raise ValueError(f"--{axis}: got {label!r}, but {path} has no axis {axis!r}.")
    labels = [str(found) for found in array[axis].to_numpy()]
    if label not in labels:
        few = ", ".join(labels[:10]) + (" …" if len(labels) > 10 else "")
        raise ValueError(f"--{axis}: got {label!r}; {path} has {few}.")
    return array.isel({axis: labels.index(label)}, drop=True)


def labels_of(unit: Sequence[str] | None) -> dict[str, str]:
    """Read the labels of a unit from ``NAME=LABEL``.

    Parameters
    ----------
    unit : sequence of str or None
        As given on the command line.

    Returns
    -------
    dict of str
    """
    labels: dict[str, str] = {}
    for text in unit or ():
        name, sign, label = text.partition("=")
        if not (name and sign and label):
            raise typer.BadParameter(f"got {text!r}; expected NAME=LABEL, such as subject=s18.", param_hint="--unit")
        if name in labels:
            raise typer.BadParameter(f"{name!r} is given twice.", param_hint="--unit")
        labels[name] = label
    return labels


def check_place(folder: Path) -> None:
    """Refuse a folder that cannot be written to before any work is done; whether it is full nobody knows before.

    Parameters
    ----------
    folder : pathlib.Path
        Where output will stand; what is missing of it will be made, if that is possible.

    Raises
    ------
    OSError
        If the folder, or the one in which it would be made, cannot be written to or is none.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"{there} is a file; choose a folder for the output.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f"{there} cannot be written to; choose another place for the output.")


def begin(out: Path, unit: Sequence[str] | None, configuration: Mapping[str, object]) -> Provenance:
    """Say which unit is about to be done, and refuse a place that would not take its result before any work is done.

    Parameters
    ----------
    out : pathlib.Path
        File to be written.
    unit : sequence of str or None
        Its labels, as given on the command line.
    configuration : mapping
        Options that all units of the study share; those that are None are left out.

    Returns
    -------
    Provenance
        With the unit and its configuration, for :func:`finish`.

    Raises
    ------
    OSError
        If the folder is missing or cannot be written to.
    ValueError
        If another unit, configuration or version made what stands there, or it is no result.
    """
    from neuroling.core.provenance import Provenance
    from neuroling.core.units import refuse_another

    shared = {name: str(value) for name, value in configuration.items() if value is not None}
    record = Provenance(unit=labels_of(unit), configuration=shared)
    if not out.parent.is_dir():
        raise FileNotFoundError(f"{out.parent} is not there; make the folder, or choose another place for the output.")
    check_place(out.parent)
    refuse_another(out, record)
    return record


def finish(result: Result, out: Path, record: Provenance) -> None:
    """Stamp a result, save it and say what came out.

    Parameters
    ----------
    result : Result
        Outcome of the unit.
    out : pathlib.Path
        File to be written.
    record : Provenance
        What :func:`begin` gave.
    """
    from neuroling.core.units import save_unit, stamp

    save_unit(stamp(result, record.unit, record.configuration), out)
    say(f"{out}\n{result.summary()}")


def arguments_again(ctx: typer.Context, **changes: object) -> list[str]:
    """Write down the call that is being made, with some options changed.

    Parameters
    ----------
    ctx : typer.Context
        The call.
    **changes : object
        New values by name of the parameter; None leaves the option out.

    Returns
    -------
    list of str
        What follows ``neuroling``.
    """
    words = [str(ctx.info_name)]
    positional: list[str] = []
    for parameter in ctx.command.params:
        name = str(parameter.name)
        value = changes.get(name, ctx.params.get(name))
        if value is None or value is False or value == [] or name == "help":
            continue
        values = [str(entry) for entry in value] if isinstance(value, list | tuple) else [str(value)]
        if parameter.param_type_name == "argument":
            positional += values
        elif value is True:
            words.append(parameter.opts[0])
        else:
            words += [word for entry in values for word in (parameter.opts[0], entry)]
    return [*words, "--", *positional]
