"""What an analysis leaves behind: named tables and pictures, each a file of its own, and one page that shows all."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from neuroling.core.files import write_whole
from neuroling.core.provenance import current_versions, now
from neuroling.core.result import Result
from neuroling.report.expected import compare_with_expected
from neuroling.report.html import Block, Figure, Section, Table, Text, write_page

if TYPE_CHECKING:
    import matplotlib.figure
    from matplotlib.axes import Axes

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exhibit:
    """A table or a picture with the name of its file.

    Attributes
    ----------
    name : str
        Name of the file, without its ending.
    content : pandas.DataFrame, matplotlib Axes or Figure, or bytes
        A table, written as CSV with every column and digit; a picture, which is stamped where data are synthetic; or a
        PNG file.
    caption : str
        What it shows: quantities, units, what marks mean.
    shown : sequence of str
        Columns that the page shows; all by default.
    digits : int
        Decimals on the page.
    """

    name: str
    content: pd.DataFrame | Axes | matplotlib.figure.Figure | bytes
    caption: str
    shown: Sequence[str] = field(default=())
    digits: int = 3

    def finished(self, *, synthetic: bool) -> Exhibit:
        """Turn a picture into a PNG file; tables and files stay as they are.

        Parameters
        ----------
        synthetic : bool
            Write "SYNTHETIC DATA" across the picture.
        """
        if isinstance(self.content, pd.DataFrame | bytes):
            return self
        from neuroling.report.figures import figure_to_png

        figure = self.content.get_figure(root=True)
        if figure is None:
            raise ValueError(f"{self.name}: its axes have been removed from their figure.")
        return replace(self, content=figure_to_png(figure, synthetic=synthetic))

    def write(self, folder: Path | str) -> Path:
        """Write the file, in one step."""
        folder = Path(folder)
        if isinstance(self.content, pd.DataFrame):
            path, content = folder / f"{self.name}.csv", self.content.to_csv(index=False).encode()
        else:
            path, content = folder / f"{self.name}.png", self._png()
        write_whole(path, content)
        return path

    def block(self) -> Block:
        """Show it on a page."""
        if isinstance(self.content, pd.DataFrame):
            rows = self.content[list(self.shown)] if self.shown else self.content
            return Table(rows, f"{self.caption} File: {self.name}.csv.", self.digits)
        return Figure(self._png(), self.caption, self.name.replace("_", " "))

    def _png(self) -> bytes:
        if not isinstance(self.content, bytes):
            raise TypeError(f"{self.name}: a picture that is not a file yet; expected finished(synthetic=…) of it.")
        return self.content


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
    sections = {
        heading: [entry.finished(synthetic=synthetic) if isinstance(entry, Exhibit) else entry for entry in entries]
        for heading, entries in sections.items()
    }
    for exhibit in (entry for entries in sections.values() for entry in entries if isinstance(entry, Exhibit)):
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


def write_analysis(
    out: str | Path,
    sections: Mapping[str, Sequence[Exhibit | Block | str]],
    results: Mapping[str, Result],
    *,
    title: str,
    subtitle: str = "",
    options: Mapping[str, object] | None = None,
    numbers: Mapping[str, float] | None = None,
    expected: Path | None = None,
) -> Path:
    """Write what an analysis ends with: results, tables, pictures and a page; and check its numbers.

    Parameters
    ----------
    out : str or Path
        Folder; it is made if it is not there.
    sections : mapping of str to sequence of Exhibit, Block or str
        As for :func:`write_exhibits`. Pictures are stamped where any of the results is of synthetic data.
    results : mapping of str to Result
        Name of each file, without its ending.
    title, subtitle : str
        Heading of the page, and a sentence below it.
    options : mapping, optional
        Options of the analysis, for the end of the page.
    numbers : mapping of str to float, optional
        What is compared with ``expected``, unless data are synthetic.
    expected : Path, optional
        File of expected numbers; see :func:`~neuroling.report.expected.compare_with_expected`.

    Returns
    -------
    Path
        The page.

    Examples
    --------
    >>> import tempfile
    >>> import xarray as xr
    >>> result = Result.of(xr.DataArray([[0.5, 0.2]], dims=("split", "model")), metric="pearson")
    >>> table = pd.DataFrame({"model": ["MiniLM", "word rate"], "r": [0.5, 0.2]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sections = {"Scores": [Exhibit("scores", table, "Held-out correlations.")]}
    ...     page = write_analysis(folder, sections, {"result": result}, title="Two models")
    ...     sorted(path.name for path in page.parent.iterdir())
    ['report.html', 'result.nc', 'scores.csv']
    """
    out, synthetic = Path(out), any(result.provenance.synthetic for result in results.values())
    page = write_exhibits(out, sections, title=title, subtitle=subtitle, provenance=options, synthetic=synthetic)
    for name, result in results.items():
        result.save(out / f"{name}.nc")
    if expected is not None and numbers is not None and not synthetic:
        compare_with_expected(numbers, expected)
    logger.info("Page: %s", page)
    return page
