"""One HTML file a report: no scripts, nothing from elsewhere, every string escaped, synthetic data marked as such."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from neuroling import __version__
from neuroling.core.files import write_whole

STAMP = "synthetic data, not people's"
"""What every section, table and figure says where the recording is a synthetic twin."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

MISSING = "–"
"""What a cell without a value shows."""


@dataclass(frozen=True)
class Text:
    """Running text.

    Attributes
    ----------
    text : str
        Plain text; a blank line starts a new paragraph.
    """

    text: str


@dataclass(frozen=True)
class Callout:
    """A few sentences set apart.

    Attributes
    ----------
    kind : {"note", "result", "warning"}
        What is said: something to know, what was found, or what to be careful about.
    text : str
        Plain text.
    """

    kind: Literal["note", "result", "warning"]
    text: str

    def __post_init__(self) -> None:
        if self.kind not in ("note", "result", "warning"):
            raise ValueError(f"kind: got {self.kind!r}; expected 'note', 'result' or 'warning'.")


@dataclass(frozen=True)
class Table:
    """A table; the first column heads the rows.

    Attributes
    ----------
    rows : pandas.DataFrame or sequence of mappings
        Cells by column name. Numbers are set flush right; what is missing shows as a dash.
    caption : str
        What the table shows, with units.
    digits : int
        Decimals of numbers that are not whole.
    """

    rows: pd.DataFrame | Sequence[Mapping[str, object]]
    caption: str
    digits: int = 3

    @property
    def frame(self) -> pd.DataFrame:
        """Cells as a data frame of objects."""
        if isinstance(self.rows, pd.DataFrame):
            return self.rows.astype(object)
        return pd.DataFrame(list(self.rows), dtype=object)


@dataclass(frozen=True)
class Figure:
    """A picture with its caption, and with words for those who cannot see it.

    Attributes
    ----------
    png : bytes
        A PNG file, as from :func:`~neuroling.report.figures.figure_to_png`.
    caption : str
        What the picture shows: quantities, units, what the marks mean.
    alt : str
        What can be seen in it, in a sentence.
    """

    png: bytes
    caption: str
    alt: str

    def __post_init__(self) -> None:
        if not self.png.startswith(PNG_SIGNATURE) or len(self.png) < 24:
            raise ValueError(f"png: {len(self.png)} bytes that are no PNG file (they start with {self.png[:8]!r}).")
        for name in ("caption", "alt"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name}: it is empty; say what the figure shows.")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        width, height = struct.unpack(">II", self.png[16:24])
        return width, height


Block = Text | Callout | Table | Figure


@dataclass(frozen=True)
class Section:
    """A titled part of a report.

    Attributes
    ----------
    title : str
        Heading.
    blocks : sequence of Text, Callout, Table or Figure
        Content, in order.
    """

    title: str
    blocks: Sequence[Block]


def write_page(
    path: str | Path,
    *,
    title: str,
    sections: Sequence[Section],
    subtitle: str = "",
    provenance: Mapping[str, object] | None = None,
    synthetic: bool,
) -> Path:
    """Write a report as one self-contained HTML file.

    The file holds no script, loads nothing, and its content security policy forbids both. Every string is escaped. It
    reads well from 400 pixels of width upwards, in light and dark, on paper, and through a screen reader.

    Parameters
    ----------
    path : str or Path
        File to be written, ``.html``; it is replaced in one step, so that a reader never meets half a report.
    title : str
        Heading.
    sections : sequence of Section
        Content. Tables and figures are numbered through.
    subtitle : str
        A sentence below the heading.
    provenance : mapping, optional
        Names to values (nested mappings are flattened with dots), shown folded at the end.
    synthetic : bool
        Whether the recording is a synthetic twin. Then a banner stands on top, and a stamp in every section heading and
        in every caption of a table or figure. There is no default: nobody may forget it.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OSError
        If the file cannot be written; what stood there before is left as it was.

    Examples
    --------
    >>> import tempfile
    >>> table = Table([{"model": "MiniLM", "accuracy": 0.798}], caption="Held-out 2-versus-2 accuracy.")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_page(
    ...         Path(folder) / "report.html", title="A result", sections=[Section("Scores", [table])], synthetic=True
    ...     ).read_text(encoding="utf-8")
    >>> "0.798" in page, "synthetic data" in page, "<script" in page
    (True, True, False)
    """
    page = render_report(
        title=title, sections=sections, subtitle=subtitle, provenance=provenance or {}, synthetic=synthetic
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, page.encode("utf-8", "backslashreplace"))
    return path


def render_report(
    *, title: str, sections: Sequence[Section], subtitle: str, provenance: Mapping[str, object], synthetic: bool
) -> str:
    """Render a report to HTML; see :func:`write_page` for the parameters.

    Parameters
    ----------
    title, subtitle : str
        Heading, and a sentence below it.
    sections : sequence of Section
        Content.
    provenance : mapping
        Names to values.
    synthetic : bool
        Whether to mark everything as synthetic.

    Returns
    -------
    str
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    if not title.strip():
        raise ValueError("title: it is empty.")
    folder = files("neuroling.report")
    style = folder.joinpath("page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    template = environment.from_string(folder.joinpath("page.html").read_text(encoding="utf-8"))
    return template.render(
        title=title,
        subtitle=subtitle,
        sections=_numbered(sections),
        provenance=list(_flat(provenance)),
        synthetic=synthetic,
        stamp=STAMP,
        style=Markup(style),  # noqa: S704  # the package's own file, and the only thing not escaped
        style_hash=f"sha256-{digest}",
        version=__version__,
    )


def _numbered(sections: Sequence[Section]) -> list[dict[str, object]]:
    """Turn sections into what the template reads, with tables and figures numbered through."""
    counts = {"table": 0, "figure": 0}
    rendered: list[dict[str, object]] = []
    for section in sections:
        blocks = []
        for block in section.blocks:
            fields = _fields(block)
            tag = str(fields["tag"])
            if tag in counts:
                counts[tag] += 1
                fields["number"] = counts[tag]
            blocks.append(fields)
        rendered.append({"title": section.title, "blocks": blocks})
    return rendered


def _fields(block: Block) -> dict[str, object]:
    match block:
        case Text():
            paragraphs = [part.strip() for part in re.split(r"\n\s*\n", block.text) if part.strip()]
            return {"tag": "text", "paragraphs": paragraphs}
        case Callout():
            return {"tag": "callout", "kind": block.kind, "heading": block.kind.capitalize(), "text": block.text}
        case Figure():
            encoded = base64.b64encode(block.png).decode()
            return {
                "tag": "figure",
                "base64": encoded,
                "size": block.size,
                "caption": block.caption,
                "alt": block.alt,
            }
        case Table():
            return {"tag": "table", "caption": block.caption, **_cells(block)}
    raise TypeError(f"blocks: got {type(block).__name__}; expected Text, Callout, Table or Figure.")


def _cells(table: Table) -> dict[str, object]:
    frame = table.frame
    if not len(frame.columns):
        raise ValueError(f"rows: the table {table.caption!r} has no columns.")
    numeric = [_is_numeric(frame[column]) for column in frame.columns]
    digits = [0 if _is_whole(frame[column]) else table.digits for column in frame.columns]
    heads = [{"text": str(name), "number": right} for name, right in zip(frame.columns, numeric, strict=True)]
    rows = [
        [
            {"text": _cell(value, places), "number": right}
            for value, places, right in zip(row, digits, numeric, strict=True)
        ]
        for row in frame.itertuples(index=False, name=None)
    ]
    return {"heads": heads, "rows": rows}


def _is_numeric(column: pd.Series) -> bool:
    values = [value for value in column if not _is_missing(value)]
    return bool(values) and all(isinstance(v, int | float | np.number) and not isinstance(v, bool) for v in values)


def _is_whole(column: pd.Series) -> bool:
    """Say whether every number of a column is whole, as penalties and counts are."""
    return all(not isinstance(v, float | np.floating) or _is_missing(v) or float(v).is_integer() for v in column)


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float | np.floating) and bool(np.isnan(value)))


def _cell(value: object, digits: int) -> str:
    if _is_missing(value):
        return MISSING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float | np.floating):
        return _number(float(value), digits)
    return str(value)


def _number(value: float, digits: int) -> str:
    """Write a number with so many decimals, or with an exponent where these would hide it."""
    if value != 0 and not 10.0**-digits / 2 <= abs(value) < 1e7:
        return f"{value:.2g}".replace("-", "−")
    return f"{value:,.{digits}f}".replace("-", "−")


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{name}", "\n".join(map(str, value)) or MISSING
        else:
            yield f"{prefix}{name}", str(value)
