"""How fast this machine multiplies matrices, with the kernels it picks and with those it could pick.

``python -m neuroling.cli.matrix_products`` measures NumPy in a process of its own: OpenBLAS chooses its kernels when it
is loaded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

SIZE = 1024
"""Rows and columns of the matrices: 8 MB in float64, larger than the caches close to a core."""

SECONDS = 0.05
"""How long each rate is measured for; the best single product counts."""

CHILD_SECONDS = 30.0
"""After so long a child is given up."""

VARIABLE = "OPENBLAS_CORETYPE"
"""Environment variable that tells OpenBLAS which kernels to take."""

CORE_TYPES = {
    "SkylakeX": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
    "Haswell": {"avx2", "fma"},
    "Zen": {"avx2", "fma"},
}
"""Kernel sets of OpenBLAS, with the CPU flags without which they would crash."""

WORTH_IT = 1.2
"""How many times faster another kernel set must be to be recommended; repeated runs differ by up to a tenth."""


def rate(multiply: Callable[[], object], seconds: float = SECONDS) -> float:
    """Measure a product of two square matrices of :data:`SIZE` rows.

    Parameters
    ----------
    multiply : callable
        Does one product.
    seconds : float
        How long to go on.

    Returns
    -------
    float
        GFLOP/s of the fastest product.
    """
    multiply()  # the first one pays for threads and buffers
    best, deadline = float("inf"), time.perf_counter() + seconds
    while True:
        before = time.perf_counter()
        multiply()
        after = time.perf_counter()
        best = min(best, after - before)
        if after >= deadline:
            return 2 * SIZE**3 / best / 1e9


def numpy_rates(seconds: float = SECONDS) -> dict[str, float]:
    """Measure NumPy in this process.

    Parameters
    ----------
    seconds : float
        How long to measure each type.

    Returns
    -------
    dict of float
        GFLOP/s by type.
    """
    import numpy as np

    rates = {}
    for name in ("float32", "float64"):
        a = np.random.default_rng(0).standard_normal((SIZE, SIZE)).astype(name)
        rates[name] = rate(lambda a=a: a @ a, seconds)  # type: ignore[misc]  # a default argument binds the loop's array
    return rates


def torch_rates(device: str = "cpu", seconds: float = SECONDS) -> dict[str, float]:
    """Measure PyTorch on one device.

    Parameters
    ----------
    device : str
        Such as ``"cpu"`` or ``"cuda:0"``.
    seconds : float
        How long to measure each type.

    Returns
    -------
    dict of float
        GFLOP/s by type.
    """
    import torch

    generator = torch.Generator(device).manual_seed(0)
    is_cuda = device.startswith("cuda")

    def rate_of(dtype: torch.dtype) -> float:
        a = torch.randn(SIZE, SIZE, dtype=dtype, device=device, generator=generator)

        def multiply() -> None:
            a @ a
            if is_cuda:
                torch.cuda.synchronize(device)

        return rate(multiply, seconds)

    return {"float32": rate_of(torch.float32), "float64": rate_of(torch.float64)}


def cpu_flags(path: Path = Path("/proc/cpuinfo")) -> set[str]:
    """Read what the CPU can do.

    Parameters
    ----------
    path : pathlib.Path
        Where Linux says it.

    Returns
    -------
    set of str
        Empty where the system does not tell.
    """
    if not path.is_file():
        return set()
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set())


def core_types(flags: Iterable[str]) -> list[str]:
    """Name the kernel sets that this CPU can run.

    Parameters
    ----------
    flags : iterable of str
        From :func:`cpu_flags`.

    Returns
    -------
    list of str

    Examples
    --------
    >>> core_types(["avx2", "fma"])
    ['Haswell', 'Zen']
    """
    present = set(flags)
    return [name for name, needed in CORE_TYPES.items() if needed <= present]


def rates_in_child(core_type: str | None) -> dict[str, float] | None:
    """Measure NumPy in a new process, with one kernel set or with the one it picks itself.

    Parameters
    ----------
    core_type : str or None
        Name of a kernel set; None leaves the environment as it is.

    Returns
    -------
    dict of float or None
        GFLOP/s by type; None if the process failed.
    """
    environment = {} if core_type is None else {VARIABLE: core_type}
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-m", "neuroling.cli.matrix_products"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=CHILD_SECONDS,
            check=True,
        )
    except (subprocess.SubprocessError, OSError):
        return None
    rates: dict[str, float] = json.loads(child.stdout)
    return rates


def best_kernels(
    types: Iterable[str], measure: Callable[[str | None], dict[str, float] | None] = rates_in_child
) -> tuple[dict[str, dict[str, float]], str | None]:
    """Compare kernel sets, and name one that is worth choosing by hand.

    Parameters
    ----------
    types : iterable of str
        Kernel sets that the CPU can run.
    measure : callable
        Gives the rates of one of them, and those of the default for None.

    Returns
    -------
    rates : dict
        GFLOP/s by kernel set (``"default"`` among them) and type.
    advice : str or None
        A kernel set at least :data:`WORTH_IT` times as fast as the default in two measurements out of two.
    """
    default = measure(None)
    if default is None:
        return {}, None
    measured = {name: found for name in types if (found := measure(name)) is not None}
    rates: dict[str, dict[str, float]] = {"default": default, **measured}
    if not measured:
        return rates, None
    best = max(measured, key=lambda name: gain(measured[name], default))
    if gain(measured[best], default) < WORTH_IT:
        return rates, None
    again, default_again = measure(best), measure(None)  # a busy machine can fool one measurement
    confirmed = again and default_again and gain(again, default_again) >= WORTH_IT
    return rates, best if confirmed else None


def gain(rates: dict[str, float], default: dict[str, float]) -> float:
    """Say how many times faster one kernel set is than another, at the type where it gains most.

    Parameters
    ----------
    rates, default : dict of float
        GFLOP/s by type.

    Returns
    -------
    float
    """
    return max(rates[name] / default[name] for name in default)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(numpy_rates()))
