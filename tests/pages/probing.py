"""What the code of docs/probing.md finds in its reader's session, block by block."""

from __future__ import annotations

from pathlib import Path

NEEDS_MINILM = True


def block_1(folder: Path) -> dict[str, object]:
    """Nothing but the package."""
    return {}
