"""Pictures of the gallery: every figure that a block has made or drawn on, by pyplot or by the package."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst


def pictures(_block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save the figures that names of the page stand for, each once and after the block that made it."""
    names = block_vars["example_globals"]
    drawn = names.setdefault("_drawn", set())
    paths = []
    for value in list(names.values()):
        figure = value.get_figure() if isinstance(value, Axes) else value
        if isinstance(figure, Figure) and id(figure) not in drawn:
            drawn.add(id(figure))
            path = next(block_vars["image_path_iterator"])
            figure.savefig(path, dpi=120, bbox_inches="tight")
            paths.append(path)
    return figure_rst(paths, gallery_conf["src_dir"])
