"""BIDS derivatives in and out: preprocessed runs found by their entities, maps written with their record."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from neuroling.core.files import write_whole
from neuroling.core.provenance import Provenance

ORDER = ("sub", "ses", "task", "acq", "run", "hemi", "space", "res", "den", "contrast", "model", "stat", "desc")
"""Order of entities in a file name, as far as it matters here; after BIDS 1.9 and derivatives of statistical models."""

BIDS_VERSION = "1.9.0"

NAME = re.compile(r"^[A-Za-z0-9]+$")
"""What a label may consist of."""


@dataclass(frozen=True)
class BidsFile:
    """A file and what its name says.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    entities : dict of str
        Such as ``{"sub": "01", "task": "story", "run": "2"}``.
    suffix : str
        Such as ``"bold"``.
    extension : str
        Such as ``".nii.gz"``.

    Examples
    --------
    >>> BidsFile.parse(Path("sub-01_task-story_run-2_desc-preproc_bold.nii.gz")).entities["run"]
    '2'
    """

    path: Path
    entities: dict[str, str] = field(default_factory=dict)
    suffix: str = ""
    extension: str = ""

    @classmethod
    def parse(cls, path: Path) -> BidsFile:
        """Read a name.

        Parameters
        ----------
        path : pathlib.Path
            A file whose name follows BIDS.

        Raises
        ------
        ValueError
            If it does not.
        """
        stem, dot, rest = path.name.partition(".")
        *pairs, suffix = stem.split("_")
        entities = dict(pair.split("-", 1) for pair in pairs if "-" in pair)
        if not dot or len(entities) != len(pairs) or "-" in suffix or not entities:
            raise ValueError(f"{path.name}: no BIDS name; expected KEY-LABEL_…_SUFFIX.EXTENSION, each key once.")
        return cls(path, entities, suffix, f".{rest}")

    def beside(self, **changes: str | None) -> Path:
        """Name a neighbour of the file.

        Parameters
        ----------
        **changes : str or None
            ``suffix``, ``extension`` and entities; None leaves an entity out.
        """
        suffix, extension = changes.pop("suffix", None) or self.suffix, changes.pop("extension", None) or self.extension
        entities = {key: label for key, label in {**self.entities, **changes}.items() if label is not None}
        return self.path.with_name(file_name(entities, suffix, extension))

    def metadata(self) -> dict[str, Any]:
        """Read the JSON file beside it; empty where there is none."""
        sidecar = self.beside(extension=".json")
        if not sidecar.is_file():
            return {}
        try:
            found: dict[str, Any] = json.loads(sidecar.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{sidecar}: no JSON ({error}).") from error
        return found

    @property
    def repetition_time_s(self) -> float:
        """Time from one volume to the next in seconds, from the JSON file beside it."""
        found = self.metadata().get("RepetitionTime")
        if not isinstance(found, int | float) or isinstance(found, bool) or not found > 0:
            raise ValueError(
                f"{self.beside(extension='.json')}: RepetitionTime is {found!r}; expected seconds above 0."
            )
        return float(found)


def find_files(
    root: Path, *, suffix: str, extension: str | tuple[str, ...] = (".nii.gz", ".nii"), **entities: str | None
) -> list[BidsFile]:
    """Find files of a participant by what their names say, run after run.

    Parameters
    ----------
    root : pathlib.Path
        Folder of a BIDS data set or derivative.
    suffix : str
        Such as ``"bold"``.
    extension : str or tuple of str
        Endings that count.
    **entities : str or None
        ``sub="01", task="story", desc="preproc"``; None asks for files without that entity.

    Returns
    -------
    list of BidsFile
        Ordered by session, then by run as a number; no two with the same session and run.

    Raises
    ------
    ValueError
        If nothing fits, or several files fit one run; the message says by which entities they differ.
    """
    if not root.is_dir():
        raise NotADirectoryError(f"root: {root} is not a folder; expected a BIDS data set or derivative.")
    endings = (extension,) if isinstance(extension, str) else extension
    below = root / f"sub-{entities['sub']}" if entities.get("sub") else root
    all_files = [_parsed(path) for path in sorted(below.rglob(f"*_{suffix}.*"))]
    known = [file for file in all_files if file is not None and file.suffix == suffix and file.extension in endings]
    fitting = [file for file in known if all(file.entities.get(key) == label for key, label in entities.items())]
    asked = ", ".join(f"{key}-{label}" for key, label in entities.items())
    if not fitting:
        seen = {key: sorted({file.entities.get(key, "(none)") for file in known}) for key in entities}
        found = "; ".join(f"{key}: {', '.join(labels[:6])}" for key, labels in seen.items()) if known else "none at all"
        raise ValueError(f"root: {root} has no {suffix} file with {asked}; those that are there have {found}.")
    _check_one_a_run(fitting, asked)
    return sorted(fitting, key=lambda file: (file.entities.get("ses", ""), _number(file.entities.get("run", "0"))))


def volume_table(files: list[BidsFile], lengths: list[int]) -> pd.DataFrame:
    """Label the volumes of runs, for :func:`neuroling.data.sources.open_nifti` and its like.

    Parameters
    ----------
    files : list of BidsFile
        Runs in order.
    lengths : list of int
        Volumes of each.

    Returns
    -------
    pandas.DataFrame
        ``sample`` (``task-story_run-1:17``), ``group`` (``task-story_run-1``), ``time_index`` and ``onset`` (seconds
        from the start of the run, where the repetition time is known).
    """
    parts = []
    for file, n_volumes in zip(files, lengths, strict=True):
        name = "_".join(f"{key}-{file.entities[key]}" for key in ("ses", "task", "run") if key in file.entities)
        part = pd.DataFrame({"sample": [f"{name}:{number}" for number in range(n_volumes)], "group": name})
        part["time_index"] = range(n_volumes)
        if "RepetitionTime" in file.metadata():
            part["onset"] = part["time_index"] * file.repetition_time_s
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def write_derivative(
    image: Any, root: Path, *, entities: Mapping[str, str], provenance: Provenance, suffix: str = "statmap"
) -> Path:
    """Write a map into a derivative: the image, its record beside it, and the description of the data set.

    Parameters
    ----------
    image : nibabel image
        A volume, a GIFTI hemisphere or a CIFTI file.
    root : pathlib.Path
        Folder of the derivative; made where it is not there.
    entities : mapping of str to str
        ``{"sub": "01", "task": "story", "space": "…", "model": "minilm", "stat": "pearson"}``; ``sub`` is required.
    provenance : Provenance
        Of the result that the map shows; goes into the JSON file.
    suffix : str
        End of the name.

    Returns
    -------
    pathlib.Path
        The image. Files appear whole or not at all, the image last.
    """
    if "sub" not in entities:
        raise ValueError(f"entities: got {sorted(entities)}; expected 'sub' among them.")
    folder = root / f"sub-{entities['sub']}"
    folder = (folder / f"ses-{entities['ses']}" if "ses" in entities else folder) / "func"
    extension = _extension(image)
    path = folder / file_name(dict(entities), suffix, extension)
    folder.mkdir(parents=True, exist_ok=True)
    _describe(root, provenance)
    record = {"Provenance": json.loads(provenance.to_json()), "Synthetic": provenance.synthetic}
    write_whole(path.with_name(file_name(dict(entities), suffix, ".json")), _json(record))
    write_whole(path, _content(image, extension))
    return path


def file_name(entities: Mapping[str, str], suffix: str, extension: str) -> str:
    """Build a name in the order that BIDS asks for.

    Parameters
    ----------
    entities : mapping of str to str
        Keys and labels.
    suffix, extension : str
        Such as ``"bold"`` and ``".nii.gz"``.

    Returns
    -------
    str

    Examples
    --------
    >>> file_name({"stat": "pearson", "sub": "01", "task": "story"}, "statmap", ".nii.gz")
    'sub-01_task-story_stat-pearson_statmap.nii.gz'
    """
    wrong = [f"{key}-{label}" for key, label in entities.items() if not NAME.match(label)]
    if wrong:
        raise ValueError(f"entities: {wrong} have labels that are not letters and digits alone, which BIDS asks for.")
    keys = sorted(entities, key=lambda key: (ORDER.index(key) if key in ORDER else len(ORDER) - 1.5, key))
    return "_".join([*(f"{key}-{entities[key]}" for key in keys), suffix]) + extension


def _parsed(path: Path) -> BidsFile | None:
    try:
        return BidsFile.parse(path)
    except ValueError:
        return None


def _check_one_a_run(files: list[BidsFile], asked: str) -> None:
    seen: dict[tuple[str, str], BidsFile] = {}
    for file in files:
        run = (file.entities.get("ses", ""), file.entities.get("run", ""))
        other = seen.setdefault(run, file)
        if other is not file:
            keys = sorted({*file.entities, *other.entities})
            differing = [key for key in keys if file.entities.get(key) != other.entities.get(key)]
            by = "; ".join(f"{key}: {other.entities.get(key)} or {file.entities.get(key)}" for key in differing)
            raise ValueError(
                f"entities: {asked} fit {other.path.name} and {file.path.name}; say which by {by or 'extension'}."
            )


def _number(run: str) -> tuple[int, str]:
    return (int(run), run) if run.isdigit() else (0, run)


def _extension(image: Any) -> str:
    kinds = {
        "Nifti1Image": ".nii.gz",
        "Nifti2Image": ".nii.gz",
        "GiftiImage": ".func.gii",
        "Cifti2Image": ".dscalar.nii",
    }
    kind = type(image).__name__
    if kind not in kinds:
        raise TypeError(f"image: got {kind}; expected a NIfTI, GIFTI or CIFTI image.")
    return kinds[kind]


def _content(image: Any, extension: str) -> bytes:
    import gzip

    content = bytes(image.to_bytes())
    return gzip.compress(content, mtime=0) if extension.endswith(".gz") else content  # no date: equal maps, equal bytes


def _describe(root: Path, provenance: Provenance) -> None:
    path = root / "dataset_description.json"
    if path.exists():
        return
    generator = {"Name": "neuroling", "Version": provenance.versions.get("neuroling", "")}
    write_whole(
        path,
        _json(
            {
                "Name": "neuroling encoding models",
                "BIDSVersion": BIDS_VERSION,
                "DatasetType": "derivative",
                "GeneratedBy": [generator],
            }
        ),
    )


def _json(content: Mapping[str, object]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
