"""What this machine has to offer: processors, memory, disk, threads, devices."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")


def usable_cores(cgroup: Path = CGROUP) -> int:
    """Count the cores that this process may use.

    Parameters
    ----------
    cgroup : pathlib.Path
        Where Linux keeps the limits of a container or a job.

    Returns
    -------
    int
        At least 1: what the scheduler allows, and no more than the quota of the container.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # absent on macOS and Windows
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    limit = _first_words(cgroup / "cpu.max")  # "200000 100000" (µs of CPU a period of µs), or "max 100000"
    if len(limit) == 2 and limit[0] != "max":
        cores = min(cores, max(1, int(limit[0]) // int(limit[1])))
    return cores


def memory_bytes(meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> dict[str, int | None]:
    """Say how much memory there is and how much of it is free.

    Parameters
    ----------
    meminfo : pathlib.Path
        Where Linux says it.
    cgroup : pathlib.Path
        Where Linux keeps the limits of a container or a job.

    Returns
    -------
    dict
        ``total`` and ``free`` in bytes, None where the system does not tell.
    """
    if not meminfo.is_file():
        return {"total": None, "free": None}
    lines = (line.split() for line in meminfo.read_text(encoding="utf-8").splitlines())
    kib = {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) >= 2}
    total, free = kib["MemTotal"] * 1024, kib["MemAvailable"] * 1024
    limit, used = _first_words(cgroup / "memory.max"), _first_words(cgroup / "memory.current")
    if limit and used and limit[0] != "max":
        total = min(total, int(limit[0]))
        free = min(free, max(0, total - int(used[0])))
    return {"total": total, "free": free}


def disk_bytes(folder: Path) -> dict[str, int]:
    """Say how much room there is on the disk of a folder, which need not exist yet.

    Parameters
    ----------
    folder : pathlib.Path
        Where something is to be written.

    Returns
    -------
    dict
        ``total`` and ``free`` in bytes.
    """
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.is_dir())
    usage = shutil.disk_usage(there)
    return {"total": usage.total, "free": usage.free}


def _first_words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError:
        return []


def threads() -> dict[str, object]:
    """Say how many threads NumPy's BLAS and PyTorch would use, and what was asked for.

    Returns
    -------
    dict
        ``blas`` and ``torch`` counts, ``kernels`` as OpenBLAS names its own (None for another BLAS), and the
        environment variables that are set.
    """
    import numpy as np  # noqa: F401 - loads its BLAS, which threadpoolctl then sees
    import torch
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    openblas = [pool for pool in pools if pool["internal_api"] == "openblas"]
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_CORETYPE")
    return {
        "blas": max((pool["num_threads"] for pool in pools), default=1),
        "torch": torch.get_num_threads(),
        "kernels": openblas[0]["architecture"] if openblas else None,
        "environment": {name: os.environ[name] for name in names if name in os.environ},
    }


def thread_storm(blas: int, torch: int, cores: int) -> str | None:
    """Warn of more threads than cores where NumPy and PyTorch take turns.

    Parameters
    ----------
    blas, torch : int
        Threads that each would use.
    cores : int
        Cores that this process may use.

    Returns
    -------
    str or None
        Advice, None if all is well.
    """
    if min(blas, torch) == 1 or blas * torch <= cores:
        return None
    return (
        f"threads: {blas} of BLAS × {torch} of torch on {cores} cores get in each other's way (small fits can take 50 "
        "times as long); set OMP_NUM_THREADS=1 where many small models are fitted or several jobs share the machine"
    )


def devices() -> list[dict[str, object]]:
    """Describe the devices that PyTorch can compute on.

    Returns
    -------
    list of dict
        Name, what it is, and its memory in bytes where it has its own.
    """
    import torch

    from neuroling.numerics.device import available_devices

    descriptions: list[dict[str, object]] = []
    for name in available_devices():
        if name == "cpu":
            descriptions.append({"name": name, "is": _cpu_name(), "memory": None})
        else:
            properties = torch.cuda.get_device_properties(name)
            descriptions.append({"name": name, "is": properties.name, "memory": properties.total_memory})
    return descriptions


def _cpu_name(path: Path = Path("/proc/cpuinfo")) -> str:
    import platform

    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
