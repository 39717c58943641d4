"""Whether a file in a cache can have been written by anybody but this user."""

from __future__ import annotations

import os
import stat
from pathlib import Path

SHARED = "NEUROLING_SHARED_CACHE"
"""Environment variable that names a cache which others may write to, and which is trusted nevertheless."""


def distrust(path: Path) -> str:
    """Say why an entry may have been planted by another user.

    Checksum and key say that an entry is whole, not who wrote it: anybody can compute them. So it is used only where
    nobody but this user and the administrator can have written it: file and folder belong to one of them, and neither
    may be written by others. A cache that a group shares on purpose is declared by the environment variable
    ``NEUROLING_SHARED_CACHE`` set to its path.

    Parameters
    ----------
    path : pathlib.Path
        An entry, or where it would stand.

    Returns
    -------
    str
        Empty where it can be trusted, and where the system has no such owners (Windows).
    """
    if not hasattr(os, "getuid") or is_shared_cache(path.parent):
        return ""
    for path_to_check, description in ((path.parent, f"the folder {path.parent}"), (path, "it")):
        if not path_to_check.exists():
            continue
        state = path_to_check.stat()
        if state.st_uid not in (os.getuid(), 0):
            return f"{description} belongs to another user (set {SHARED} to the folder's path if you trust it)"
        if state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return f"{description} may be written by others (run chmod go-w, or set {SHARED} to the folder's path)"
    return ""


def is_shared_cache(folder: Path) -> bool:
    """Say whether the environment declares a folder as a cache that several people write to.

    Parameters
    ----------
    folder : pathlib.Path
        The cache.

    Returns
    -------
    bool
    """
    declared = os.environ.get(SHARED)
    return bool(declared) and Path(str(declared)).expanduser().resolve() == folder.resolve()
