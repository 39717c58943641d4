"""How many threads a job was given, and how they wait: settled before any library starts its own."""

from __future__ import annotations

import os
from collections.abc import Mapping

ALLOCATED = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", "PBS_NCPUS", "NSLOTS", "LSB_DJOB_NUMPROC")
"""Where Slurm, PBS, Grid Engine and LSF say it; the first that is set counts."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What the libraries read when they are loaded."""

WAITING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
"""What GNU's OpenMP, which torch and scikit-learn bring, reads about threads that wait for others."""

SPINS = "3000"
"""How often such a thread looks again before it sleeps; by itself OpenMP takes 300,000, a core's time for nothing while
others want it. Measured on two cores: two analyses of small fits side by side took 38 seconds instead of more than 150,
one alone 20 instead of 19 to 20."""


def threads_of(environment: Mapping[str, str]) -> int | None:
    """Give the number of threads that a job may use, or None outside a job.

    Parameters
    ----------
    environment : mapping of str to str
        Environment variables.

    Returns
    -------
    int or None

    Examples
    --------
    >>> threads_of({"SLURM_CPUS_PER_TASK": "4"})
    4
    """
    said = next((environment[name] for name in ALLOCATED if environment.get(name)), "")
    return int(said) if said.isdecimal() and int(said) > 0 else None


def keep_to_allocation() -> None:
    """Let libraries that are loaded from now on use as many threads as the job was given; what is set already stays.

    Outside a job the cores may be shared, and threads that wait give theirs away soon.
    """
    threads = threads_of(os.environ)
    if threads is None:
        if not any(name in os.environ for name in WAITING):
            os.environ[WAITING[0]] = SPINS
        return
    for name in THREADS:
        os.environ.setdefault(name, str(threads))
