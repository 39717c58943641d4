"""Downloading files over https: several at a time, resumed where they were interrupted, checked when complete."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from neuroling.data.cards import CardFile
from neuroling.data.checksums import wrong_with
from neuroling.data.errors import CorruptData, DataNotFound

if TYPE_CHECKING:
    import requests

TIMEOUT_S = 10.0
"""Seconds without an answer after which a download is given up."""

ABANDONED_S = 60.0
"""Seconds after which a partial file that nobody writes to is taken over; a heuristic, six times the timeout."""

PARTIAL = ".part"
"""Ending of a file that is not complete."""


def download_all(
    files: Sequence[CardFile],
    folder: Path,
    *,
    advice: str,
    n_parallel: int,
    name: str,
    on_file: Callable[[CardFile], None],
) -> None:
    """Bring files into a folder, complete and checked; what is there already is not fetched again.

    Parameters
    ----------
    files : sequence of CardFile
        With their addresses.
    folder : pathlib.Path
        Where they are put, below their paths.
    advice : str
        What to do where the network does not answer; ends the message.
    n_parallel : int
        Downloads at a time.
    name : str
        Name of the data set; opens the message.
    on_file : callable
        Called with every file that is complete.

    Raises
    ------
    DataNotFound
        If a file cannot be reached. Files that were begun are resumed by the next call.
    CorruptData
        If what came is not what the card says.
    """

    def fetch_one(file: CardFile) -> None:
        _download(file, folder, name, advice)
        on_file(file)

    with ThreadPoolExecutor(n_parallel) as pool:
        try:
            list(pool.map(fetch_one, files))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _download(file: CardFile, folder: Path, name: str, advice: str) -> None:
    target = folder / file.path
    if not wrong_with(target, file, None):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}{PARTIAL}")
    resumed = _take_over(target, partial)
    try:
        _receive(file, partial, name, advice)
        if resumed and wrong_with(partial, file, None):  # the server cannot resume, or the beginning was another's
            partial.unlink()
            _receive(file, partial, name, advice)
        wrong = wrong_with(partial, file, None)
        if wrong:
            partial.unlink()
            raise CorruptData(target, f"{wrong}; it came from {file.url}", "the file that the card describes")
        partial.replace(target)
    finally:
        with suppress(FileNotFoundError):  # the next call goes on here
            partial.replace(target.with_name(target.name + PARTIAL))


def _take_over(target: Path, partial: Path) -> bool:
    """Give this process what another has left of a file; say whether there was anything."""
    for left in target.parent.glob(f"{target.name}*{PARTIAL}"):
        is_free = left.name == target.name + PARTIAL
        with suppress(FileNotFoundError):  # another process was faster
            if is_free or time.time() - left.stat().st_mtime > ABANDONED_S:
                left.replace(partial)
                return partial.stat().st_size > 0
    return False


def _receive(file: CardFile, partial: Path, name: str, advice: str) -> None:
    """Write what is still missing to the end of a partial file."""
    import pooch
    import requests

    size = partial.stat().st_size if partial.is_file() else 0
    if size and size == file.bytes:
        return
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={size}-"} if size else {})}
    try:
        with partial.open("ab") as stream:
            pooch.HTTPDownloader(timeout=TIMEOUT_S, headers=headers, chunk_size=2**20)(file.url, stream, None)
    except requests.exceptions.RequestException as error:
        address = urlsplit(str(file.url))
        raise DataNotFound(
            f"{name}: {Path(address.path).name} cannot be had from {address.netloc} ({_reason(error)}). {advice}"
        ) from error


def _reason(error: requests.exceptions.RequestException) -> str:
    status = getattr(error.response, "status_code", None)
    return type(error).__name__ if status is None else f"{type(error).__name__}, status {status}"
