"""``--dry-run``: what a unit of work will need, measured on two smaller ones of its kind."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

SHARES = (4, 2)
"""The smaller units are a quarter and a half of the whole: smaller ones tell too little about what grows."""

COPIES = 3
"""How often values stand in memory that are read and not only passed through: as read, aligned, and in a new type."""

RSS_PER_MB = 2**20 if sys.platform == "darwin" else 2**10
"""The system counts the largest resident memory in bytes on macOS and in KiB elsewhere."""

WATCH = """\
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
if status:
    os._exit(1)
print(usage.ru_maxrss, usage.ru_utime + usage.ru_stime)
"""
"""What a small process of its own does. A process starts with the largest memory of the one that started it on its
account (Linux), so that a big parent would be measured instead of a smaller child."""


@dataclass(frozen=True)
class Needs:
    """What a unit of work needs of a machine.

    Attributes
    ----------
    memory_mb : float
        Largest resident memory in MiB.
    seconds : float
        Time from start to end, loading included, with the threads that it was given and whoever else was at work.
    cpu_seconds : float
        Time that its threads were at work, together; others on the machine hardly change it.
    """

    memory_mb: float
    seconds: float
    cpu_seconds: float

    def to_json(self) -> str:
        """Write them as one line of JSON, rounded to what can be known."""
        return json.dumps({name: round(value, 1) for name, value in asdict(self).items()})


def measure(arguments: Sequence[str]) -> Needs:
    """Run ``neuroling`` in a process of its own and measure it.

    Parameters
    ----------
    arguments : sequence of str
        What follows ``neuroling``.

    Returns
    -------
    Needs

    Raises
    ------
    ValueError
        If the run fails; with its last line.
    """
    before = time.perf_counter()
    command = [sys.executable, "-P", "-m", "neuroling.cli", "--quiet", *arguments]
    done = subprocess.run(  # noqa: S603 - our own command with our own arguments
        [sys.executable, "-I", "-S", "-c", WATCH, *command],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    seconds = time.perf_counter() - before
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"It said nothing and ended with {done.returncode}."]
        raise ValueError(f"--dry-run: what was to be measured failed. {lines[-1]}")
    largest, cpu_seconds = done.stdout.split()
    return Needs(float(largest) / RSS_PER_MB, seconds, float(cpu_seconds))


def extrapolate(arguments_of: Callable[[int], Sequence[str]], whole: int, *, bytes_each: float | None = None) -> Needs:
    """Measure two smaller units, and draw the line through them out to the whole.

    What does not grow (loading, a decomposition of the features) is in both, so it is counted once. Buffers fill up and
    then grow no more; where the size of the data is known, only the data are taken to need more memory than the half.

    Parameters
    ----------
    arguments_of : callable
        Turns a number of targets, times or participants into the arguments of ``neuroling``.
    whole : int
        Their number in the unit.
    bytes_each : float, optional
        Bytes that one of them takes on disk; without it memory is drawn out like time.

    Returns
    -------
    Needs

    Raises
    ------
    ValueError
        If the unit is too small to be divided: run it instead.
    """
    small, large = (-(-whole // share) for share in SHARES)
    if small == large:
        raise ValueError(f"--dry-run: a unit of {whole} is too small to measure parts of it; run it instead.")
    at_small, at_large = measure(arguments_of(small)), measure(arguments_of(large))
    further = (whole - large) / (large - small)
    if bytes_each is None:
        more_mb = max(0.0, at_large.memory_mb - at_small.memory_mb) * further
    else:
        more_mb = COPIES * bytes_each * (whole - large) / 2**20
    return Needs(
        max(at_small.memory_mb, at_large.memory_mb) + more_mb,
        at_large.seconds + max(0.0, at_large.seconds - at_small.seconds) * further,
        at_large.cpu_seconds + max(0.0, at_large.cpu_seconds - at_small.cpu_seconds) * further,
    )
