"""One HTML page on which attention can be looked into head by head: its own script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroling.core.files import write_whole

LARGEST = 5_000_000
"""Shares that one page holds at most, some 20 MB; a browser grows slow beyond."""


@dataclass(frozen=True)
class AttentionText:
    """Attention within one text.

    Attributes
    ----------
    label : str
        Stands in the list of texts.
    names : sequence of str
        Tokens or words.
    maps : ndarray, shape (layer, head, query, key)
        Shares from 0 to 1.
    layers : sequence of int
        Names of the layers.
    """

    label: str
    names: Sequence[str]
    maps: NDArray[np.floating[Any]]
    layers: Sequence[int]

    def __post_init__(self) -> None:
        n = len(self.names)
        if self.maps.ndim != 4 or self.maps.shape[2:] != (n, n) or len(self.layers) != len(self.maps):
            raise ValueError(
                f"maps: got shape {self.maps.shape} for {len(self.layers)} layers and {n} names of {self.label!r}; "
                f"expected ({len(self.layers)}, head, {n}, {n})."
            )
        if not np.isfinite(self.maps).all() or self.maps.min() < 0 or self.maps.max() > 1 + 1e-4:
            raise ValueError(f"maps: shares of {self.label!r} are not all between 0 and 1.")


def write_attention_page(
    path: str | Path, texts: Sequence[AttentionText], *, title: str, subtitle: str = "", synthetic: bool
) -> Path:
    """Write a page on which texts, layers and heads can be chosen.

    Tokens stand in two columns with lines between them, as in bertviz; below, every head of every layer is a small
    picture. The page loads nothing, and its content security policy forbids everything but its own style and script.
    Tokens and labels are escaped, and enter the page as text, never as markup.

    Parameters
    ----------
    path : str or Path
        File to be written, ``.html``, in one step.
    texts : sequence of AttentionText
        Texts with equally many layers and heads.
    title, subtitle : str
        Heading, and a sentence below it.
    synthetic : bool
        Whether the texts are made up by a synthetic twin; then the page says so.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If there is no text, texts differ in layers or heads, or the page would be too large.

    Examples
    --------
    >>> import tempfile
    >>> text = AttentionText("<b>", ["a", "</script>"], np.full((1, 2, 2, 2), 0.5), [1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_attention_page(Path(folder) / "heads.html", [text], title="Heads", synthetic=False).read_text()
    >>> "<b>" in page, page.count("</script>")
    (False, 2)
    """
    if not texts:
        raise ValueError("texts: there is none; expected at least one.")
    kinds = {(tuple(text.layers), text.maps.shape[1]) for text in texts}
    if len(kinds) > 1:
        raise ValueError(f"texts: they differ in layers and number of heads: {sorted(kinds)}; expected the same.")
    size = sum(text.maps.size for text in texts)
    if size > LARGEST:
        raise ValueError(
            f"texts: {size} shares of attention; expected at most {LARGEST}. Choose fewer texts or layers."
        )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, _rendered(texts, title, subtitle, synthetic).encode("utf-8", "backslashreplace"))
    return path


def _rendered(texts: Sequence[AttentionText], title: str, subtitle: str, synthetic: bool) -> str:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    folder = files("neuroling.report")
    style, script, page = (
        folder.joinpath(f"attention.{kind}").read_text(encoding="utf-8") for kind in ("css", "js", "html")
    )
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(page).render(
        title=title,
        subtitle=subtitle,
        synthetic=synthetic,
        style=Markup(style),  # noqa: S704 - the package's own file
        style_hash=_hash(style),
        script=Markup(script),  # noqa: S704 - the package's own file
        script_hash=_hash(script),
        data=Markup(_json(texts)),  # noqa: S704 - without any character that could end it
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _json(texts: Sequence[AttentionText]) -> str:
    """Write the data so that no markup can be read out of them; shares in thousandths."""
    data = [
        {
            "label": text.label,
            "names": list(text.names),
            "layers": [int(layer) for layer in text.layers],
            "heads": int(text.maps.shape[1]),
            "maps": np.rint(text.maps * 1000).astype(int).ravel().tolist(),
        }
        for text in texts
    ]
    plain = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
