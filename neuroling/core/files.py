"""Files that are whole under their name, or not there."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_whole(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write a file under another name, flush it to the disk, and only then give it its own name.

    A writer that is killed leaves ``.NAME.XXXXXXXX.partial`` behind and whatever stood under the name untouched. Of two
    writers at once, one wins with all of its bytes.

    Parameters
    ----------
    path : pathlib.Path
        Where the file shall stand; its folder exists.
    content : bytes
        All of it.
    private : bool
        Whether nobody else may read or write it (mode 0600), whatever the umask.

    Raises
    ------
    OSError
        If the folder is missing, read-only or full; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        mode = 0o600 if private else 0o666  # less what the umask takes
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """Bring the new name itself to the disk, where the system can (POSIX)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
