"""Which library multiplies, factors and decomposes matrices on this machine: measured once, then remembered.

How fast a library is depends on who made the processor. MKL, which torch's wheels use on x86, is tuned for Intel's; on
an AMD EPYC others are faster by 5 to 20 % at products, and up to twice as fast at small Cholesky factors. The first
operation of a process therefore looks for a file with what was measured on this machine; if there is none it measures,
for about half a second (:func:`neuroling.numerics.products.measure`), and writes one.

A choice holds for one processor, number of threads and set of versions. It is made once, so that a job that is resumed
gives the same bits: of several processes that measure at once, the first to write is believed by all. Where nothing can
be written, nothing is measured, and torch does everything.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import math
import os
import secrets
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

logger = logging.getLogger(__name__)

VARIABLE = "NEUROLING_PRODUCTS"
"""Environment variable that names one library for everything that it can do; ``measured``, the default, chooses."""

DEFAULT = "torch"
LIBRARIES = (DEFAULT, "onednn", "numpy", "scipy")
"""torch with the library it was built with (MKL on x86), oneDNN inside torch, numpy's BLAS, scipy's BLAS and LAPACK."""

SIZES = ("small", "medium", "large")

FASTER = 1.05
"""How many times as fast as torch another library must be: the rounding of a few percent would else decide."""


FORGETFUL = "the fastest library cannot be remembered (%s), so that torch multiplies matrices"


class Task(NamedTuple):
    """A kind of operation: ``multiply``, ``cholesky``, ``solve``, ``inverse`` or ``eigh``; its dtype; its size."""

    operation: str
    dtype: str
    size: str


Choice = Mapping[Task, str]
"""The library of every task; torch for those that are not there."""

Measurement = Mapping[Task, Mapping[str, float]]
"""Seconds of every library that can do a task."""


class Setup(NamedTuple):
    """What a choice depends on beside versions.

    Attributes
    ----------
    processor : str
        Its name and instruction set.
    threads : int
        Threads that torch uses.
    versions : dict of str
        Of the libraries, and the environment variables that change their kernels.
    """

    processor: str
    threads: int
    versions: Mapping[str, str]


def named_library(value: str) -> str | None:
    """Read the name of a library from :data:`VARIABLE`, None for ``measured``.

    Parameters
    ----------
    value : str
        Its value; empty counts as ``measured``.

    Raises
    ------
    ValueError
        If there is no such library.

    Examples
    --------
    >>> named_library("numpy"), named_library("measured")
    ('numpy', None)
    """
    if value in ("", "measured"):
        return None
    if value not in LIBRARIES:
        raise ValueError(
            f"{VARIABLE}: got {value!r}; expected 'measured' (the fastest library of each operation) or one for all: "
            f"{', '.join(LIBRARIES)}."
        )
    return value


def fastest(measured: Measurement) -> dict[Task, str]:
    """Choose the fastest library of every task, or torch unless another is clearly faster.

    Parameters
    ----------
    measured : mapping of Task to mapping of str to float
        Seconds by library.

    Examples
    --------
    >>> task = Task("multiply", "float32", "large")
    >>> fastest({task: {"torch": 1.0, "numpy": 0.97}})[task], fastest({task: {"torch": 1.0, "numpy": 0.8}})[task]
    ('torch', 'numpy')
    """
    fastest_of_task = {}
    for task, seconds in measured.items():
        best = min(seconds, key=lambda library: seconds[library])
        fastest_of_task[task] = best if seconds[best] * FASTER <= seconds.get(DEFAULT, math.inf) else DEFAULT
    return fastest_of_task


def as_text(choice: Choice) -> str:
    """Write a choice in one line, for a record of versions.

    Parameters
    ----------
    choice : mapping of Task to str

    Examples
    --------
    >>> as_text({Task("eigh", "float64", size): "scipy" if size == "large" else "torch" for size in SIZES})
    'eigh float64 torch, torch, scipy'
    """
    by_kind: dict[tuple[str, str], list[str]] = {}
    for task in sorted(choice, key=lambda task: (task.operation, task.dtype, SIZES.index(task.size))):
        by_kind.setdefault((task.operation, task.dtype), []).append(choice[task])
    lines = [
        f"{' '.join(kind)} {', '.join(dict.fromkeys(n) if len(set(n)) == 1 else n)}" for kind, n in by_kind.items()
    ]
    return "; ".join(lines)


# --- what is remembered -----------------------------------------------------------------------------------------------


class Memory(NamedTuple):
    """A file that remembers the choice of one setup.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    setup : Setup
        For which it holds.
    """

    path: Path
    setup: Setup

    @classmethod
    def of(cls, setup: Setup) -> Memory | None:
        """Give the memory of a setup, None where its folder cannot be written to by this user alone.

        Parameters
        ----------
        setup : Setup
        """
        folder = _own_folder()
        digest = hashlib.sha256(_as_json(setup).encode()).hexdigest()[:16]
        return None if folder is None else cls(folder / f"{digest}.json", setup)

    def read(self) -> Measurement | None:
        """Read what was measured; None if nothing was, or the file is damaged."""
        try:
            record = json.loads(self.path.read_text(encoding="utf-8"))
            if record["setup"] != json.loads(_as_json(self.setup)):
                return None
            return {
                Task(*key.split()): {name: float(seconds[name]) for name in seconds if name in LIBRARIES}
                for key, seconds in record["seconds"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def write(self, measured: Measurement) -> Measurement:
        """Remember what was measured, unless another process was first; give what is remembered.

        Parameters
        ----------
        measured : mapping of Task to mapping of str to float
        """
        seconds = {" ".join(task): dict(by_library) for task, by_library in measured.items()}
        text = json.dumps({"setup": json.loads(_as_json(self.setup)), "seconds": seconds}, indent=1)
        partial = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}.partial")
        try:
            with os.fdopen(
                os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
            ) as file:
                file.write(text)
            try:
                os.link(partial, self.path)  # fails if there is one: the first is believed
            except FileExistsError:
                if self.read() is None:  # damaged
                    partial.replace(self.path)
            except OSError:  # a file system without links
                partial.replace(self.path)
        except OSError as problem:
            logger.info(FORGETFUL, problem)
            return {}
        finally:
            partial.unlink(missing_ok=True)
        return self.read() or {}


def _as_json(setup: Setup) -> str:
    return json.dumps(setup._asdict() | {"versions": dict(setup.versions)}, sort_keys=True)


def _own_folder() -> Path | None:
    """Give the folder of remembered choices; None unless this user, and nobody else, can write to it."""
    try:
        folder = _user_cache() / "neuroling" / "products"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except (OSError, RuntimeError):  # read-only, or no home at all
        return None
    if hasattr(os, "geteuid"):
        alone = status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if not alone:
            return None
    return folder if os.access(folder, os.W_OK) else None


def _user_cache() -> Path:
    """Give the folder for caches of this user, as the system has it."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return named if named.is_absolute() else Path.home() / ".cache"


# --- the choice of this process ---------------------------------------------------------------------------------------


def remembered_or_measured(setup: Setup, measure: Callable[[], Measurement]) -> Measurement:
    """Give what was measured for a setup, now or earlier; nothing where it could not be remembered.

    Parameters
    ----------
    setup : Setup
        For which it holds.
    measure : callable
        Measures all libraries.
    """
    memory = Memory.of(setup)
    if memory is None:
        logger.info(
            "the choice of libraries cannot be remembered (no cache folder of this user), torch does everything"
        )
        return {}
    return memory.read() or memory.write(measure())


@functools.cache
def asked() -> str:
    """Read :data:`VARIABLE`, once a process."""
    return os.environ.get(VARIABLE, "")


@functools.cache
def measured_here(threads: int) -> Measurement:
    """Give what was measured on this machine, once a process.

    Parameters
    ----------
    threads : int
        Threads that torch uses.
    """
    from neuroling.numerics import products  # late: it loads torch

    return remembered_or_measured(products.setup(threads), lambda: products.measure(threads))


@functools.cache
def choice_of(value: str, threads: int) -> Choice:
    """Give the choice that holds in this process.

    Parameters
    ----------
    value : str
        Of :data:`VARIABLE`.
    threads : int
        Threads that torch uses.
    """
    from neuroling.numerics import products  # late: it loads torch

    library = named_library(value)
    if library is None:
        return fastest(measured_here(threads))
    return {task: library for task in products.TASKS if library in products.can_do(task)}


def in_use() -> str:
    """Say which libraries this process has chosen, in one line; empty as long as it has chosen none."""
    if choice_of.cache_info().currsize == 0:
        return ""
    import torch

    return as_text(choice_of(asked(), torch.get_num_threads()))
