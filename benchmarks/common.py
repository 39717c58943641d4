"""What every benchmark shares: one thread, CPU time, interleaved medians, machine facts.

The clock counts CPU time of this process, so that other work on the same machine stretches the wall clock but hardly a
figure; ratios between cases of one process say more than seconds do.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PACKAGES = ("numpy", "scipy", "torch", "scikit-learn", "himalaya")


@dataclass(frozen=True)
class Case:
    """One thing to be timed.

    ``share`` is the part of the whole that one run does, such as 30 folds of 1,770; ``times`` is how often it runs in
    one turn, for cases of a few milliseconds.
    """

    run: Callable[[], object]
    share: float = 1.0
    times: int = 1


@dataclass(frozen=True)
class Bar:
    """A figure and the limit it must keep."""

    claim: str
    measured: float
    limit: float
    at_most: bool

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        return self.measured <= self.limit if self.at_most else self.measured >= self.limit

    def __str__(self) -> str:
        sign = "<=" if self.at_most else ">="
        return f"{'kept  ' if self.kept else 'MISSED'}  {self.claim}: {self.measured:,.4g} (bar {sign} {self.limit:,g})"


def interleaved(cases: Mapping[str, Case], rounds: int) -> dict[str, float]:
    """Let the cases take turns; give the median CPU seconds each would take for the whole. The first round warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, case in cases.items():
            start = time.process_time()
            for _ in range(case.times):
                case.run()
            spent = time.process_time() - start
            if number:
                seconds[name].append(spent / case.share / case.times)
    return {name: statistics.median(values) for name, values in seconds.items()}


def pin_to_one_thread() -> None:
    """Start this program again with one thread for BLAS and OpenMP, which read the setting as they load."""
    if any(os.environ.get(name) != "1" for name in THREADS):
        os.environ.update(dict.fromkeys(THREADS, "1"))
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 - the same program, the same arguments


def machine() -> dict[str, str]:
    """Processor and versions, nothing that names the machine."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    processor = models[0] if models else platform.processor()
    return {
        "processor": processor,
        "threads": "1",
        "clock": "CPU time",
        "python": platform.python_version(),
        **versions,
    }


def table(seconds: Mapping[str, float]) -> str:
    """Render names and seconds as text."""
    width = max(map(len, seconds))
    return "\n".join(f"{name:<{width}}  {value:>12.4f} s" for name, value in seconds.items())


def as_json(bars: list[Bar]) -> list[dict[str, object]]:
    return [{**asdict(bar), "kept": bar.kept} for bar in bars]
