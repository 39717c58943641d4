"""What an analysis leaves behind: named tables and pictures, each a file of its own, and one page that shows all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from neuroling.core.files import write_whole
from neuroling.core.provenance import current_versions, now
from neuroling.report.html import Block, Figure, Section, Table, Text, write_page


@dataclass(frozen=True)
class Exhibit:
    """A table or a picture with the name of its file.

    Attributes
    ----------
    name : str
        Name of the file, without its ending.
    content : pandas.DataFrame or bytes
        A table, written as CSV with every column and digit; or a PNG file.
    caption : str
        What it shows: quantities, units, what marks mean.
    shown : sequence of str
        Columns that the page shows; all by default.
    digits : int
        Decimals on the page.
    """

    name: str
    content: pd.DataFrame | bytes
    caption: str
    shown: Sequence[str] = field(default=())
    digits: int = 3

    def write(self, folder: Path | str) -> Path:
        """Write the file, in one step."""
        folder = Path(folder)
        if isinstance(self.content, bytes):
            path, content = folder / f"{self.name}.png", self.content
        else:
            path, content = folder / f"{self.name}.csv", self.content.to_csv(index=False).encode()
        write_whole(path, content)
        return path

    def block(self) -> Block:
        """Show it on a page."""
        if isinstance(self.content, bytes):
            return Figure(self.content, self.caption, self.name.replace("_", " "))
        rows = self.content[list(self.shown)] if self.shown else self.content
        return Table(rows, f"{self.caption} File: {self.name}.csv.", self.digits)


def write_exhibits(
    out: str | Path,
    sections: Mapping[str, Sequence[Exhibit | Block | str]],
    *,
    title: str,
    subtitle: str = "",
    provenance: Mapping[str, object] | None = None,
    synthetic: bool,
) -> Path:
    """Write every table and picture as a file, and ``report.html`` with all of them.

    Parameters
    ----------
    out : str or Path
        Folder; it is made if it is not there.
    sections : mapping of str to sequence of Exhibit, Block or str
        Headings, and what stands below them in order; a string is a paragraph, a block is on the page alone.
    title, subtitle : str
        Heading of the page, and a sentence below it.
    provenance : mapping, optional
        Options of the analysis; versions and the time are added.
    synthetic : bool
        Whether the data are a synthetic twin, which every part of the page then says.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ValueError
        If two exhibits have one name.

    Examples
    --------
    >>> import tempfile
    >>> scores = Exhibit("scores", pd.DataFrame({"model": ["MiniLM"], "r": [0.25]}), "Held-out correlations.")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_exhibits(folder, {"Scores": ["One model.", scores]}, title="A result", synthetic=False)
    ...     sorted(path.name for path in page.parent.iterdir())
    ['report.html', 'scores.csv']
    """
    out = Path(out)
    exhibits = [exhibit for blocks in sections.values() for exhibit in blocks if isinstance(exhibit, Exhibit)]
    names = pd.Series([exhibit.name for exhibit in exhibits], dtype=object)
    if names.duplicated().any():
        raise ValueError(
            f"sections: {names[names.duplicated()].iloc[0]!r} names two exhibits; their files would clash."
        )
    out.mkdir(parents=True, exist_ok=True)
    for exhibit in exhibits:
        exhibit.write(out)
    return write_page(
        out / "report.html",
        title=title,
        subtitle=subtitle,
        sections=[Section(heading, [on_page(exhibit) for exhibit in blocks]) for heading, blocks in sections.items()],
        provenance={**(provenance or {}), "created": now(), **current_versions()},
        synthetic=synthetic,
    )


def on_page(entry: Exhibit | Block | str) -> Block:
    """Turn what an analysis gives into what a page is made of."""
    if isinstance(entry, str):
        return Text(entry)
    return entry.block() if isinstance(entry, Exhibit) else entry
