"""What, besides the versions of libraries, the last bits of a sum of products depend on."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from neuroling.numerics.deferred import deferred

if TYPE_CHECKING:
    import torch
else:
    torch = deferred("torch")


def rounding_conditions() -> dict[str, str]:
    """Name the processor, its instruction set and the number of threads of this process.

    Returns
    -------
    dict of str

    Examples
    --------
    >>> sorted(rounding_conditions())
    ['processor', 'threads']
    """
    try:
        name = str(torch.cpu.get_capabilities()["cpu_name"])
    except (AttributeError, KeyError, RuntimeError):
        name = platform.processor() or platform.machine()
    return {
        "processor": f"{name} {torch.backends.cpu.get_cpu_capability()}",
        "threads": str(torch.get_num_threads()),
    }
