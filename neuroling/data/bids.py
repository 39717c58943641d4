"""BIDS derivatives in and out: preprocessed runs found by their entities, maps written with their record."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroling.core.axes import volume_labels
from neuroling.core.files import write_whole
from neuroling.core.provenance import Provenance
from neuroling.data.errors import CorruptData

ORDER = (
    *("sub", "tpl", "ses", "sample", "task", "tracksys", "acq", "nuc", "voi", "ce", "trc", "stain", "rec", "dir"),
    *("run", "mod", "echo", "flip", "inv", "mt", "part", "proc", "hemi", "space", "cohort", "split", "recording"),
    *("chunk", "atlas", "seg", "scale", "res", "den", "label"),
    *("from", "to", "mode", "contrast", "model", "stat", "desc"),
)
"""Order of entities in a file name: that of the BIDS schema (rules/entities.yaml, BIDS 1.11). ``cohort`` follows the
template that it belongs to: after ``space``, where fMRIPrep puts it, and after ``tpl`` and ``ses`` where there is no
space. Entities of the derivatives of fMRIPrep and statistical models stand before ``desc``, the last one."""

INDICES = frozenset({"run", "echo", "flip", "inv", "split", "chunk"})
"""Entities whose labels are numbers, perhaps with zeros before them: run-1 and run-01 are the same run."""

RUN_ENTITIES = ("ses", "task", "acq", "ce", "rec", "dir", "run")
"""Entities that tell the runs of a participant apart, and so name them."""

NATIVE_SPACES = frozenset({"t1w", "t2w", "orig", "func", "native", "bold", "individual", "scanner"})
"""Labels of ``space`` that stand for a participant's own, in lower case."""

BIDS_VERSION = "1.9.0"

LABEL = re.compile(r"[0-9A-Za-z+]+")
"""What a label may consist of, from the BIDS schema (objects/formats.yaml)."""

KEY = re.compile(r"[0-9A-Za-z]+")
"""What a key or a suffix may consist of."""

LONGEST_TR_S = 30.0
"""Repetition time in seconds above which it is taken to be in milliseconds; real ones lie between 0.3 and 15."""

SHORTEST_TR_S = 0.02
"""Repetition time in seconds below which it is taken to have been divided by 1000 once too often; the fastest images
of a whole slice take about 0.05."""

NESTED = frozenset({"derivatives", "sourcedata"})
"""Folders of a data set that hold other data sets."""


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
    def parse(cls, path: Path | str) -> BidsFile:
        """Read a name.

        Parameters
        ----------
        path : path
            A file whose name follows BIDS.

        Raises
        ------
        ValueError
            If it does not.
        """
        path = Path(path)
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

        Returns
        -------
        pathlib.Path
            The file in the same folder with these entities, in whatever order its name has them; where there is none,
            the name in the order of BIDS.
        """
        suffix, extension = changes.pop("suffix", None) or self.suffix, changes.pop("extension", None) or self.extension
        entities = {key: label for key, label in {**self.entities, **changes}.items() if label is not None}
        named = self.path.with_name(file_name(entities, suffix, extension))
        if not named.exists() and named.parent.is_dir():
            for path in sorted(named.parent.glob(f"*_{escape(suffix + extension)}")):
                other = _parsed(path)
                if other and (other.entities, other.suffix, other.extension) == (entities, suffix, extension):
                    return path
        return named

    def metadata(self) -> dict[str, Any]:
        """Collect what the JSON files that apply to this file say, by the inheritance principle of BIDS.

        A JSON file applies if it lies in the folder of the file or above it in the data set, has the same suffix, and
        no entity that the file does not have. Nearer ones override those above.

        Returns
        -------
        dict
            Empty where no JSON file applies.

        Raises
        ------
        CorruptData
            If one of them is no JSON object.
        ValueError
            If two in one folder apply and disagree: BIDS allows one per folder.
        """
        collected: dict[str, Any] = {}
        for folder in self._levels():
            sources: dict[str, Path] = {}
            level: dict[str, Any] = {}
            for path in self._sidecars(folder):
                for key, value in _read_object(path).items():
                    if key in level and level[key] != value:
                        raise ValueError(
                            f"{path}: gives {key} = {value!r} for {self.path.name}, and {sources[key].name} in the "
                            f"same folder gives {level[key]!r}. BIDS allows one JSON file per folder that applies to "
                            "a file; move the general one to the folder above."
                        )
                    level[key], sources[key] = value, path
            collected |= level
        return collected

    def sidecars(self) -> list[Path]:
        """List the JSON files that apply to this file, from the top of the data set downwards."""
        return [path for folder in self._levels() for path in self._sidecars(folder)]

    def _levels(self) -> list[Path]:
        """Folders from the root of the data set to that of the file."""
        folder = Path(os.path.abspath(self.path)).parent  # noqa: PTH100 - links stay as they are: annexed files are links
        levels = [folder]
        for parent in folder.parents:
            if (levels[-1] / "dataset_description.json").is_file():
                break
            levels.append(parent)
            if levels[-2].name == f"sub-{self.entities.get('sub')}":
                break
        else:
            return [folder]  # nothing says where the data set begins
        return levels[::-1]

    def _sidecars(self, folder: Path) -> Iterator[Path]:
        for path in sorted(folder.glob(f"*{escape(self.suffix)}.json")):
            *pairs, suffix = path.name.removesuffix(".json").split("_")
            theirs = dict(pair.split("-", 1) for pair in pairs if "-" in pair)
            if suffix == self.suffix and len(theirs) == len(pairs) and self._has(theirs):
                yield path

    def _has(self, entities: Mapping[str, str | None]) -> bool:
        """Say whether the name has these entities with these labels; None asks for their absence."""
        return all(_same_label(key, self.entities.get(key), label) for key, label in entities.items())

    @property
    def repetition_time_s(self) -> float:
        """Time from one volume to the next in seconds, from the JSON files that apply."""
        return self._repetition_time(self.metadata().get("RepetitionTime"))

    def _repetition_time(self, stated: object, *, by_hand: bool = False) -> float:
        complaint = "repetition_time_s: got" if by_hand else f"{self.path.name}: RepetitionTime is"
        where = "" if by_hand else " in the JSON file"
        is_number = isinstance(stated, int | float) and not isinstance(stated, bool)
        if is_number and LONGEST_TR_S < stated < np.inf:  # type: ignore[operator]  # a number, as has been seen
            raise ValueError(
                f"{complaint} {stated!r}; expected seconds, at most {LONGEST_TR_S:g}. It looks like milliseconds: "
                f"divide by 1000{where}."
            )
        if is_number and 0 < stated < SHORTEST_TR_S:  # type: ignore[operator]
            raise ValueError(
                f"{complaint} {stated!r}; expected seconds, at least {SHORTEST_TR_S:g}. It looks as if seconds had "
                f"been divided by 1000: correct it{where}."
            )
        if not is_number or not 0 < stated < np.inf:  # type: ignore[operator]
            looked = ", ".join(str(path) for path in self.sidecars()) or "no JSON file applies to it"
            raise ValueError(
                f"{complaint} {stated!r}; expected seconds above 0{'' if by_hand else f' (looked in: {looked})'}."
            )
        return float(stated)  # type: ignore[arg-type]

    def onsets_s(self, n_volumes: int) -> NDArray[np.float64]:
        """Say when each volume was taken.

        Parameters
        ----------
        n_volumes : int
            Number of volumes.

        Returns
        -------
        numpy.ndarray, shape (volume,)
            Seconds from the start of the run: multiples of ``RepetitionTime``, or ``VolumeTiming`` where the JSON
            files give that instead, as BIDS has it for sparse acquisition.

        Raises
        ------
        ValueError
            If they give neither, or times that cannot be.
        """
        stated = self.metadata()
        timing = stated.get("VolumeTiming")
        if timing is None or "RepetitionTime" in stated:
            return np.arange(n_volumes, dtype=np.float64) * self._repetition_time(stated.get("RepetitionTime"))
        times = np.array(timing if isinstance(timing, list) else [np.nan], dtype=object)
        numbers = [value for value in times if isinstance(value, int | float) and not isinstance(value, bool)]
        onsets = np.array(numbers, dtype=np.float64)
        if len(onsets) != n_volumes or len(times) != n_volumes:
            raise ValueError(
                f"{self.path.name}: VolumeTiming has {len(times)} entries, {len(numbers)} of them numbers, for "
                f"{n_volumes} volumes; expected increasing seconds, one for each."
            )
        steps = np.diff(onsets, prepend=-np.inf if onsets[0] >= 0 else np.nan)
        wrong = np.flatnonzero(~(np.isfinite(onsets) & (steps > 0)))
        if len(wrong):
            raise ValueError(
                f"{self.path.name}: VolumeTiming gives {onsets[wrong[0]]:g} for volume {wrong[0]} (from 0); expected "
                "increasing seconds from 0 on, as BIDS has it. Correct it in the JSON file."
            )
        if n_volumes > 1 and steps[1:].min() > LONGEST_TR_S:
            raise ValueError(
                f"{self.path.name}: VolumeTiming has at least {steps[1:].min():g} between volumes; expected seconds. "
                "It looks like milliseconds: divide by 1000 in the JSON file."
            )
        return onsets


def find_files(
    root: Path | str, *, suffix: str, extension: str | tuple[str, ...] = (".nii.gz", ".nii"), **entities: str | None
) -> list[BidsFile]:
    """Find files of a participant by what their names say, run after run.

    Parameters
    ----------
    root : path
        Folder of a BIDS data set or derivative; those nested in its ``derivatives`` and ``sourcedata`` are not entered.
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

    Examples
    --------
    >>> import tempfile
    >>> from neuroling.data.study_samples.fmri import write_story
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_story(Path(folder), n_runs=2, n_volumes=20)
    ...     runs = find_files(f"{folder}/derivatives/fmriprep", suffix="bold", sub="01", desc="preproc")
    >>> [run.entities["run"] for run in runs]
    ['1', '2']
    """
    root = Path(root)
    if not root.is_dir():
        raise NotADirectoryError(f"root: {root} is not a folder; expected a BIDS data set or derivative.")
    endings = (extension,) if isinstance(extension, str) else extension
    below = root / f"sub-{entities['sub']}" if entities.get("sub") else root
    paths = [path for path in sorted(below.rglob(f"*_{suffix}.*")) if not NESTED & set(path.relative_to(root).parts)]
    all_files = [_parsed(path) for path in paths]
    matching_files = [
        file for file in all_files if file is not None and file.suffix == suffix and file.extension in endings
    ]
    fitting = [file for file in matching_files if file._has(entities)]
    entity_text = ", ".join(f"{key}-{label}" for key, label in entities.items())
    if not fitting:
        seen = {key: sorted({file.entities.get(key, "(none)") for file in matching_files}) for key in entities}
        found = (
            "; ".join(f"{key}: {', '.join(labels[:6])}" for key, labels in seen.items())
            if matching_files
            else "none at all"
        )
        raise ValueError(f"root: {root} has no {suffix} file with {entity_text}; those that are there have {found}.")
    _check_one_a_run(fitting, entity_text)
    return sorted(fitting, key=lambda file: (file.entities.get("ses", ""), _number(file.entities.get("run", "0"))))


def volume_table(
    files: Sequence[BidsFile], lengths: Sequence[int], *, repetition_time_s: float | None = None
) -> pd.DataFrame:
    """Label the volumes of runs, for :func:`neuroling.data.sources.open_nifti` and its like.

    Features are labelled alike by :func:`neuroling.run_by_run`, whose frame times per run are the onsets by group.

    Parameters
    ----------
    files : sequence of BidsFile
        Runs in order.
    lengths : sequence of int
        Volumes of each.
    repetition_time_s : float, optional
        Seconds from one volume to the next, for data sets whose JSON files do not say. Where they do, it has to agree.

    Returns
    -------
    pandas.DataFrame
        ``sample`` (``task-story_run-1:17``), ``group`` (``task-story_run-1``: the entities ses, task, acq, ce, rec, dir
        and run), ``time_index`` and ``onset`` (seconds from the start of the run).

    Raises
    ------
    ValueError
        If the number of runs differs, two runs have the same name, or the time between volumes is not known.

    Examples
    --------
    >>> runs = [BidsFile.parse(Path("sub-01_task-story_run-1_bold.nii.gz"))]
    >>> volume_table(runs, [2], repetition_time_s=1.5).to_dict("list")["onset"]
    [0.0, 1.5]
    """
    _check_runs(files, lengths)
    tables = []
    for file, n_volumes in zip(files, lengths, strict=True):
        name = run_name(file)
        run_table = pd.DataFrame({"sample": volume_labels(name, n_volumes), "group": name})
        run_table["time_index"] = range(n_volumes)
        run_table["onset"] = _onsets(file, n_volumes, repetition_time_s)
        tables.append(run_table)
    return pd.concat(tables, ignore_index=True)


def _check_runs(files: Sequence[BidsFile], lengths: Sequence[int]) -> None:
    if len(files) != len(lengths) or not files:
        raise ValueError(
            f"lengths: got {len(lengths)} for {len(files)} files ({', '.join(file.path.name for file in files[:4])}); "
            "expected the number of volumes of each, at least one."
        )
    wrong = [n for n in lengths if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1]
    if wrong:
        raise ValueError(f"lengths: got {wrong[:4]}; expected whole numbers of volumes above 0.")
    names: dict[str, BidsFile] = {}
    for file in files:
        other = names.setdefault(run_name(file), file)
        if other is not file:
            raise ValueError(
                f"files: {other.path.name} and {file.path.name} are both run {run_name(file)!r}, and their volumes "
                "could not be distinguished; expected the runs of one participant, each once."
            )


def run_name(file: BidsFile, *, unnamed: str | None = None) -> str:
    """Name the run that a file belongs to, by the entities that tell runs apart.

    Parameters
    ----------
    file : BidsFile
        An image, events or confounds: what belongs to one run has one name.
    unnamed : str, optional
        What a file without any of these entities is called; the stem of its name by default.

    Returns
    -------
    str

    Examples
    --------
    >>> run_name(BidsFile.parse(Path("sub-01_task-story_run-1_space-T1w_desc-preproc_bold.nii.gz")))
    'task-story_run-1'
    """
    found = "_".join(f"{key}-{file.entities[key]}" for key in RUN_ENTITIES if key in file.entities)
    return found or (file.path.name.partition(".")[0] if unnamed is None else unnamed)


def _onsets(file: BidsFile, n_volumes: int, repetition_time_s: float | None) -> NDArray[np.float64]:
    if repetition_time_s is None:
        try:
            return file.onsets_s(n_volumes)
        except ValueError as error:
            raise ValueError(f"{error} Pass repetition_time_s= if you know it.") from error
    by_hand = file._repetition_time(repetition_time_s, by_hand=True)
    stated = file.metadata().get("RepetitionTime")
    if stated is not None and not np.isclose(file._repetition_time(stated), by_hand, rtol=1e-6):
        raise ValueError(
            f"repetition_time_s: got {repetition_time_s:g}, and the JSON files of {file.path.name} say {stated:g}; "
            "correct one of them."
        )
    return np.arange(n_volumes, dtype=np.float64) * by_hand


def write_derivative(
    image: Any, root: Path | str, *, entities: Mapping[str, str], provenance: Provenance, suffix: str = "statmap"
) -> Path:
    """Write a map into a derivative: the image, its record beside it, and the description of the data set.

    Parameters
    ----------
    image : nibabel image
        A volume, a GIFTI hemisphere or a CIFTI file.
    root : path
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
    root = Path(root)
    _check_space(image, entities.get("space", ""))
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
    other = [f"{key}={label!r}" for key, label in entities.items() if not isinstance(label, str)]
    if other:
        raise TypeError(f"entities: {other} are no str; expected labels as they are to be read, such as run='01'.")
    wrong = [f"{key}-{label}" for key, label in entities.items() if not LABEL.fullmatch(label)]
    if wrong:
        raise ValueError(
            f"entities: {wrong} have labels that are not letters and digits alone (or +), which BIDS asks for."
        )
    odd = [part for part in (*entities, suffix) if not KEY.fullmatch(part)]
    if odd or not re.fullmatch(r"(\.[0-9A-Za-z]+)+", extension):
        raise ValueError(
            f"entities, suffix, extension: got {odd or [extension]}; expected keys and a suffix of letters and digits "
            "alone, and an extension such as '.nii.gz'."
        )
    return "_".join([*(f"{key}-{entities[key]}" for key in _in_order(entities)), suffix]) + extension


def _in_order(entities: Mapping[str, str]) -> list[str]:
    """Sort the keys of a name; unknown ones stand before the description, by alphabet."""
    order = list(ORDER)
    if "space" not in entities:
        order.remove("cohort")
        order.insert(order.index("ses") + 1, "cohort")
    return sorted(entities, key=lambda key: (order.index(key) if key in order else len(order) - 1.5, key))


def _same_label(key: str, first: str | None, other: str | None) -> bool:
    if key in INDICES and first and other and first.isdecimal() and other.isdecimal():
        return int(first) == int(other)
    return first == other


def _read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; infinity and NaN are kept, for whoever uses them to refuse."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise CorruptData(path, f"no JSON ({error})", "a JSON object in UTF-8") from error
    if not isinstance(content, dict):
        raise CorruptData(path, f"holds a JSON {type(content).__name__}", 'an object: {"KEY": VALUE, …}')
    return content


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"{sorted({key for key in keys if keys.count(key) > 1})} stand in it twice")
    return content


def _check_space(image: Any, space: str) -> None:
    """Refuse a map whose header contradicts the space that its name is to claim."""
    codes = {4: "MNI", 3: "Talairach", 1: "scanner"}
    header = getattr(image, "header", None)
    if header is None or not hasattr(header, "get_sform"):
        return
    code = int(header.get_sform(coded=True)[1]) or int(header.get_qform(coded=True)[1])
    standard = space.lower().startswith(("mni", "tal"))
    if (standard and code == 1) or (code in (3, 4) and space.lower() in NATIVE_SPACES):
        raise ValueError(
            f"entities: space-{space} for an image whose header says that it is in {codes[code]} space (code {code}); "
            "expected the space that the recording is in. Correct the entity, or set the code of the image."
        )


def _parsed(path: Path) -> BidsFile | None:
    try:
        return BidsFile.parse(path)
    except ValueError:
        return None


def _check_one_a_run(files: list[BidsFile], entity_text: str) -> None:
    seen: dict[tuple[str, str], BidsFile] = {}
    for file in files:
        run = (file.entities.get("ses", ""), file.entities.get("run", ""))
        other = seen.setdefault(run, file)
        if other is not file:
            keys = sorted({*file.entities, *other.entities})
            differing = [key for key in keys if file.entities.get(key) != other.entities.get(key)]
            by = "; ".join(f"{key}: {other.entities.get(key)} or {file.entities.get(key)}" for key in differing)
            raise ValueError(
                f"entities: {entity_text} fit {other.path.name} and {file.path.name}; say which by {by or 'extension'}."
            )


def _number(run: str) -> tuple[int, str]:
    return (int(run), run) if run.isdecimal() else (0, run)


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
