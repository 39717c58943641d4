"""Whole studies: where the Snakemake workflows stand, and the tables that they read."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from neuroling.core.cells import rows_of_cells

WORKFLOWS = ("alice2016", "encoding", "extract", "lebel2023", "n400", "rsa")
"""Workflows that come with the package, each a folder with a Snakefile."""

PROFILES = ("local", "slurm-cpu", "slurm-gpu")
"""Profiles that come with the package: how and where jobs run."""

SNAKEMAKE_MB = 200
"""Memory that the Snakemake inside a Slurm job needs beside the unit (measured: 155 MB)."""

LABEL = re.compile(r"[\w][\w.-]*")
"""What a label may be, since it becomes a part of file names: letters, digits, '-', '_' and '.'."""

CONTROL = re.compile(r"[\x00-\x1f\x7f{}]")
"""What no value of a configuration may hold: control characters, and braces, which Snakemake would fill in."""

MARGIN = 1.3
"""By how much a request exceeds an estimate, which is off by a quarter at most."""


class Study(list[dict[str, str]]):
    """Rows of a study table, each a unit, by column name.

    Parameters
    ----------
    rows : sequence of dict of str
        Column names and cells.
    labels : sequence of str
        Columns that together name a unit.
    """

    def __init__(self, rows: Sequence[dict[str, str]], labels: Sequence[str]) -> None:
        super().__init__(rows)
        self.labels = tuple(labels)
        self._by_label = {tuple(row[name] for name in self.labels): row for row in self}

    def files(self, pattern: str) -> list[str]:
        """Name the file of every unit.

        Parameters
        ----------
        pattern : str
            With columns in braces, such as ``"results/{subject}/{layer}.nc"``.

        Returns
        -------
        list of str

        Examples
        --------
        >>> Study([{"subject": "s1", "layer": "4"}], ["subject", "layer"]).files("results/{subject}/{layer}.nc")
        ['results/s1/4.nc']
        """
        return [pattern.format_map(row) for row in self]

    def row(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Find the unit with these labels.

        Parameters
        ----------
        labels : mapping of str to str
            Values of the label columns, such as the wildcards of a rule; anything else in it is not looked at.

        Returns
        -------
        dict of str

        Raises
        ------
        ValueError
            If there is no such unit.
        """
        unit = tuple(str(labels[name]) for name in self.labels)
        if unit not in self._by_label:
            raise ValueError(f"study: there is no unit {', '.join(unit)}; expected a row of the table.")
        return self._by_label[unit]


def path(name: str | None = None) -> Path:
    """Find a workflow, or the folder of them all.

    Parameters
    ----------
    name : str, optional
        One of :data:`WORKFLOWS`.

    Returns
    -------
    pathlib.Path
        Its Snakefile; without a name the folder.

    Raises
    ------
    ValueError
        If there is none of that name.
    FileNotFoundError
        If the package was installed without its analyses.

    Examples
    --------
    >>> path("encoding").name
    'Snakefile'
    """
    package = Path(__file__).resolve().parent
    folders = (package / "_analyses" / "workflows", package.parent / "analyses" / "workflows")
    folder = next((place for place in folders if place.is_dir()), None)
    if folder is None:
        raise FileNotFoundError(f"no workflows at {folders[0]} or {folders[1]}; install the package again.")
    if name is None:
        return folder
    if name not in WORKFLOWS:
        raise ValueError(f"name: got {name!r}; expected one of {', '.join(WORKFLOWS)}.")
    return folder / name / "Snakefile"


def profile(name: str) -> Path:
    """Find a profile, the folder that ``snakemake --profile`` takes.

    Parameters
    ----------
    name : str
        One of :data:`PROFILES`.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> profile("slurm-cpu").name
    'slurm-cpu'
    """
    if name not in PROFILES:
        raise ValueError(f"name: got {name!r}; expected one of {', '.join(PROFILES)}.")
    return path() / "profiles" / name


def read_study(
    table: str | Path, *, labels: Sequence[str], files: Sequence[str] = (), values: Sequence[str] = ()
) -> Study:
    """Read the table of a study: one row per unit.

    Parameters
    ----------
    table : str or pathlib.Path
        CSV, or TSV by its name, in UTF-8.
    labels : sequence of str
        Columns that together name a unit, such as subject, model and layer.
    files : sequence of str
        Columns that name files, which must be there.
    values : sequence of str
        Columns, where the table has them, whose cells become arguments of a command: none may begin with ``-``.

    Returns
    -------
    Study
        In the order of the table.

    Raises
    ------
    ValueError
        If a column is missing, a cell of it is empty, a label would not do as part of a file name, or two rows are the
        same unit.
    FileNotFoundError
        If the table or a file that it names is not there.
    """
    table_path = Path(table)
    if not table_path.is_file():
        given = f"{table_path} is not there" if str(table) else "table: the configuration names none"
        raise FileNotFoundError(f"{given}; expected the table of a study, one row per unit.")
    columns, rows = _read_rows(table_path, "\t" if table_path.suffix.lower() in (".tsv", ".txt") else ",")
    absent = [name for name in (*labels, *files) if name not in columns]
    if absent:
        raise ValueError(f"{table_path}: has no column {', '.join(absent)} but {', '.join(columns) or 'none'}.")
    if not rows:
        raise ValueError(f"{table_path}: has no rows; expected one a unit.")
    _check_cells(table_path, rows, labels, files)
    _check_arguments(table_path, rows, [*files, *(name for name in values if name in columns)])
    return Study(rows, labels)


def _read_rows(table_path: Path, separator: str) -> tuple[list[str], list[dict[str, str]]]:
    """Give columns and rows of a table; blank lines count for nothing."""
    try:
        text = table_path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{table_path}: byte {error.start} is no UTF-8 ({error.reason}); save the file as UTF-8."
        ) from error
    try:
        lines = [(line, cells) for line, cells in rows_of_cells(text, separator) if cells]
    except ValueError as error:
        raise ValueError(f"{table_path}: {error}") from error
    columns = lines.pop(0)[1] if lines else []
    for line, cells in lines:
        if len(cells) != len(columns):
            raise ValueError(f"{table_path}: line {line} has {len(cells)} cells where the header has {len(columns)}.")
    return columns, [dict(zip(columns, cells, strict=True)) for _, cells in lines]


def _check_cells(
    table_path: Path, rows: Sequence[Mapping[str, str]], labels: Sequence[str], files: Sequence[str]
) -> None:
    first_at: dict[tuple[str, ...], int] = {}
    for number, row in enumerate(rows, start=2):
        empty = [name for name in (*labels, *files) if not row[name]]
        if empty:
            raise ValueError(f"{table_path}: row {number} has nothing under {', '.join(empty)}.")
        unit = tuple(row[name] for name in labels)
        odd = [label for label in unit if not LABEL.fullmatch(label) or ".." in label]
        if odd:
            raise ValueError(
                f"{table_path}: row {number} has the label {odd[0]!r}; labels become names of files: expected letters, "
                "digits, '-', '_' and '.', a letter or digit first."
            )
        if unit in first_at:
            raise ValueError(f"{table_path}: rows {first_at[unit]} and {number} are the same unit, {', '.join(unit)}.")
        first_at[unit] = number
        missing = [row[name] for name in files if not Path(row[name]).exists()]
        if missing:
            raise FileNotFoundError(f"{table_path}: row {number} names {missing[0]}, which is not there.")


def _check_arguments(table_path: Path, rows: Sequence[Mapping[str, str]], names: Sequence[str]) -> None:
    """Refuse cells that a command would take for an option, or Snakemake for a wildcard."""
    for number, row in enumerate(rows, start=2):
        for name in names:
            if row[name].startswith("-") or CONTROL.search(row[name]):
                raise ValueError(
                    f"{table_path}: row {number} has {row[name]!r} under {name}; expected a value that does not "
                    "begin with '-' and holds no control characters or braces."
                )


def read_out(config: Mapping[str, object], default: str) -> str:
    """Read the folder of the results from the configuration of a workflow.

    Parameters
    ----------
    config : mapping
        As Snakemake gives it.
    default : str
        What counts where the key ``out`` is absent.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If it is no name of a folder, begins with ``-``, or holds control characters or braces.

    Examples
    --------
    >>> read_out({}, "results")
    'results'
    """
    folder = config.get("out", default)
    if not isinstance(folder, str) or not folder.strip() or folder.startswith("-") or CONTROL.search(folder):
        raise ValueError(
            f"out: the configuration has {folder!r}; expected the name of a folder that does not begin with '-' and "
            "holds no control characters or braces."
        )
    return folder


def split_options(name: str, options: object) -> list[str]:
    """Split options that were given as one text, as a shell would, without running any of it.

    Parameters
    ----------
    name : str
        Key of the configuration, for the message.
    options : object
        The text; empty for none.

    Returns
    -------
    list of str

    Raises
    ------
    TypeError, ValueError
        If it is no text, or a quotation mark is not closed.

    Examples
    --------
    >>> split_options("options", "--layer 6; rm x")
    ['--layer', '6;', 'rm', 'x']
    """
    if not isinstance(options, str):
        raise TypeError(f"{name}: the configuration has {options!r}; expected options as one text.")
    try:
        return shlex.split(options)
    except ValueError as error:
        raise ValueError(f"{name}: the configuration has {options!r} ({error}); close the quotation mark.") from error


def shell_options(config: Mapping[str, object], *more: str) -> str:
    """Read the key ``options`` of a configuration, and quote every word of it for a shell.

    Parameters
    ----------
    config : mapping
        As Snakemake gives it.
    more : str
        Further arguments, which are quoted too.

    Returns
    -------
    str
        What may stand in a command as it is: arguments alone, nothing that a shell would run.

    Examples
    --------
    >>> shell_options({"options": "--alphas 1,10; rm x"})
    "--alphas '1,10;' rm x"
    """
    words = [*split_options("options", config.get("options", "")), *map(str, more)]
    return " ".join(map(shlex.quote, words))


def read_list(config: Mapping[str, object], name: str, default: Sequence[object] = ()) -> list[str]:
    """Read a list of labels, such as participants, from the configuration of a workflow.

    Parameters
    ----------
    config : mapping
        As Snakemake gives it.
    name : str
        Its key.
    default : sequence
        What counts where the key is absent.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If it is absent without a default, no list, empty, or names one twice.

    Examples
    --------
    >>> read_list({"layers": [0, 6]}, "layers")
    ['0', '6']
    """
    entry = config.get(name, default)
    labels = [str(label) for label in entry] if isinstance(entry, list | tuple) else []
    if not labels or len(set(labels)) < len(labels):
        given = "nothing" if name not in config else repr(entry)
        raise ValueError(f"{name}: the configuration has {given}; expected a list of at least one, each once.")
    odd = [label for label in labels if not LABEL.fullmatch(label.removeprefix("-")) or ".." in label]
    if odd:
        raise ValueError(
            f"{name}: the configuration has {odd[0]!r}; entries become names of files: expected letters, digits, '-', "
            "'_' and '.'."
        )
    return labels


def read_file(config: Mapping[str, object], name: str) -> str:
    """Read the name of a file that is there from the configuration of a workflow.

    Parameters
    ----------
    config : mapping
        As Snakemake gives it.
    name : str
        Its key.

    Returns
    -------
    str

    Raises
    ------
    FileNotFoundError
        If the key is absent, or no file has that name.

    Examples
    --------
    >>> read_file({"stimuli": __file__}, "stimuli") == __file__
    True
    """
    entry = config.get(name)
    if not isinstance(entry, str) or not Path(entry).is_file():
        given = "nothing" if entry is None else repr(entry)
        raise FileNotFoundError(f"{name}: the configuration has {given}; expected the name of a file that is there.")
    return entry


def requests(estimate: str | Path, attempt: int = 1) -> dict[str, int]:
    """Turn the estimate of a unit, as ``--dry-run`` writes it, into what to ask of the cluster.

    Parameters
    ----------
    estimate : str or pathlib.Path
        JSON file with ``memory_mb`` and ``seconds``.
    attempt : int
        1 at first; a job that was killed for memory or time asks for as many times more.

    Returns
    -------
    dict
        ``mem_mb``, with a margin and room for Snakemake, and ``runtime`` in whole minutes.

    Raises
    ------
    ValueError
        If the file is no estimate.
    """
    try:
        found = json.loads(Path(estimate).read_text(encoding="utf-8"))
        memory_mb, seconds = float(found["memory_mb"]), float(found["seconds"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{estimate}: no estimate of a unit ({error}); make it again with --dry-run.") from error
    minutes = -(-seconds * MARGIN * attempt // 60)
    return {"mem_mb": int(memory_mb * MARGIN * attempt) + SNAKEMAKE_MB, "runtime": max(2, int(minutes))}


def status_command() -> str:
    """Choose how Snakemake asks Slurm about its jobs: ``sacct``, or ``squeue`` where there is no accounting.

    Without accounting ``sacct`` is there and answers that it is disabled, and a run that relies on it waits for ever.

    Returns
    -------
    str

    Raises
    ------
    RuntimeError
        If Slurm's commands are not there at all.
    """
    if shutil.which("squeue") is None:
        raise RuntimeError("squeue: not found; this machine cannot submit jobs to Slurm. Use the profile 'local'.")
    if shutil.which("sacct") is None:
        return "squeue"
    asked = subprocess.run(("sacct", "-n", "-X", "-S", "now"), capture_output=True, text=True, check=False)  # noqa: S607 - Slurm's own
    return "squeue" if asked.returncode or "disabled" in asked.stderr else "sacct"
