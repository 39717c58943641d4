"""What the code of docs/own-study.md finds in its reader's session: one session, and files in exact layout."""

from __future__ import annotations

from pathlib import Path

from neuroling.data.study_samples.fmri import write_story

SESSION: dict[str, object] = {}


def block_1(folder: Path) -> dict[str, object]:
    """A participant who hears a story, in three short runs."""
    write_story(folder, n_runs=3, n_volumes=60)
    SESSION.update(folder=folder)
    return SESSION


def block_2(folder: Path) -> dict[str, object]:
    return SESSION


def block_3(folder: Path) -> dict[str, object]:
    return SESSION


def block_4(folder: Path) -> dict[str, object]:
    return SESSION
