"""``neuroling new``: a study of one's own that runs at once on a sample, to be changed step by step."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from neuroling.cli import analyses
from neuroling.cli.command import say

if TYPE_CHECKING:
    Writer = Callable[[Path], None]

STUDY_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
"""What a study may be called: its name becomes that of a folder, a script and a module."""


class Kind(NamedTuple):
    """A kind of study.

    Attributes
    ----------
    template : str
        Name of its script below ``analyses/templates``, without the ending.
    what : str
        What it is, in a line.
    sample : callable
        Writes the sample into a folder.
    """

    template: str
    what: str
    sample: Writer


def kinds() -> dict[str, Kind]:
    """Give the kinds of study by name.

    Returns
    -------
    dict of Kind
    """
    from neuroling.data.study_samples import eeg, fmri, tables

    return {
        "eeg-rsa": Kind("eeg_rsa", "EEG of single words: RSA over time, tested over participants", eeg.write_words),
        "single-trial-erp": Kind(
            "single_trial_erp",
            "amplitudes, one row per trial: mixed models",
            tables.write_trials,
        ),
        "reading-times": Kind(
            "reading_times",
            "reading times, one row per reader and word: mixed models",
            tables.write_reading,
        ),
        "layers": Kind("layers", "fMRI of a story: all layers of several models", fmri.write_story),
        "n400-simulation": Kind("n400_simulation", "an N400 effect of networks beside people's", tables.write_people),
        "eeg-trf": Kind("eeg_trf", "continuous EEG of a story: temporal response functions", eeg.write_story),
        "word-list-fmri": Kind(
            "word_list_fmri", "fMRI of words shown one by one: single-trial betas, leave-two-out", fmri.write_word_list
        ),
        "story-fmri": Kind(
            "story_fmri", "fMRI of a story: derivatives of fMRIPrep, words with onsets", fmri.write_story
        ),
    }


def new(
    kind: Annotated[str | None, typer.Argument(metavar="KIND", help="Kind of study. Default: list the kinds.")] = None,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Name of the study and of its new folder.")] = None,
) -> None:
    """Start a new study: write a script, a Snakefile and sample data in the layout of your files.

    The script runs at once (`neuroling run NAME/NAME.py`), on the sample. Point its constants at your own files, one
    after the other. README.md in the folder shows every table that the script reads.

    Parameters
    ----------
    kind : str, optional
        One of :func:`kinds`.
    name : str, optional
        Letters, digits, ``_`` and ``-``, a letter first.
    """
    kinds_by_name = kinds()
    if kind is None:
        say(_listing(kinds_by_name), err=True)
        raise typer.Exit(2)
    if kind not in kinds_by_name:
        close = difflib.get_close_matches(kind, kinds_by_name, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise typer.BadParameter(
            f"no kind of study is called {kind!r}.{hint}\n\n{_listing(kinds_by_name)}", param_hint="KIND"
        )
    if name is None or not STUDY_NAME.fullmatch(name):
        raise typer.BadParameter(
            f"got {name!r}; expected letters, digits, '_' and '-', a letter first, such as my_study.", param_hint="NAME"
        )
    folder = Path(name)
    write_study(kinds_by_name[kind], folder)
    script = folder / f"{name}.py"
    say(
        f"{script}: the study; its constants name files, model and columns\n"
        f"{folder / 'README.md'}: the tables that it reads\n"
        f"{folder / 'Snakefile'}: all participants, here or on Slurm\n"
        f"{folder / 'sample'}: synthetic files in the layout of yours\n\n"
        f"Next: neuroling run {script}"
    )


def write_study(kind: Kind, folder: Path) -> None:
    """Write the files of a new study.

    Parameters
    ----------
    kind : Kind
        What sort of study.
    folder : pathlib.Path
        Made here; its name is that of the study.

    Raises
    ------
    FileExistsError
        If the folder is there and not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is there and not empty; choose another name, so that nothing is overwritten.")
    templates = analyses.folder() / "templates"
    folder.mkdir(parents=True, exist_ok=True)
    files = {f"{folder.name}.py": f"{kind.template}.py", "README.md": f"{kind.template}.md"}
    own = templates / f"{kind.template}.smk"
    files["Snakefile"] = own.name if own.is_file() else "Snakefile"
    for target, template in files.items():
        text = (templates / template).read_text(encoding="utf-8").replace("NAME", folder.name)
        (folder / target).write_text(text, encoding="utf-8")
    kind.sample(folder / "sample")


def _listing(known: dict[str, Kind]) -> str:
    width = max(map(len, known))
    lines = [f"  {name:<{width}}  {kind.what}" for name, kind in known.items()]
    return "\n".join(["Usage: neuroling new KIND NAME", "", "Kinds:", *lines])
