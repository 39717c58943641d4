"""A one-pixel picture, and a matplotlib that starts no window."""

from __future__ import annotations

import pytest

from neuroling.report.figures import figure_to_png, new_axes


@pytest.fixture(scope="session")
def png() -> bytes:
    return figure_to_png(new_axes(1, 1).figure)  # type: ignore[arg-type]
