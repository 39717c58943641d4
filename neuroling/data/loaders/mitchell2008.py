"""Mitchell et al. 2008: nine people, sixty line drawings with their names, six presentations each.

The files are the authors' own (``data-science-P1.mat`` to ``P9.mat``), in the layout of the documentation beside them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.data.errors import CorruptData
from neuroling.data.fetch import locate
from neuroling.data.matfile import PROBLEM, read_mat
from neuroling.data.synthetic import is_synthetic, mark_synthetic, truth_of
from neuroling.data.tables import read_table

NAME = "mitchell2008"
PARTICIPANTS = ("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9")
N_WORDS = 60
N_REPEATS = 6

NOUNS = {
    "animal": ("bear", "cat", "cow", "dog", "horse"),
    "bodypart": ("arm", "eye", "foot", "hand", "leg"),
    "building": ("apartment", "barn", "church", "house", "igloo"),
    "buildpart": ("arch", "chimney", "closet", "door", "window"),
    "clothing": ("coat", "dress", "pants", "shirt", "skirt"),
    "furniture": ("bed", "chair", "desk", "dresser", "table"),
    "insect": ("ant", "bee", "beetle", "butterfly", "fly"),
    "kitchen": ("bottle", "cup", "glass", "knife", "spoon"),
    "manmade": ("bell", "key", "refrigerator", "telephone", "watch"),
    "tool": ("chisel", "hammer", "pliers", "saw", "screwdriver"),
    "vegetable": ("carrot", "celery", "corn", "lettuce", "tomato"),
    "vehicle": ("airplane", "bicycle", "car", "train", "truck"),
}
"""The sixty nouns in their twelve categories, recalled; the twin is made of them, a real file speaks for itself."""

VERBS = (
    *("see", "hear", "listen", "taste", "smell", "eat", "touch", "rub", "lift", "manipulate", "run", "push", "fill"),
    *("move", "ride", "say", "fear", "open"),  # the eighteen up to here stand in public text
    *("approach", "near", "enter", "drive", "wear", "break", "clean"),  # these seven are recalled
)
"""The twenty-five verbs whose co-occurrence with a noun are its features."""

FEATURES = "verb-features.tsv"
"""Table of noun features that the twin writes, in the format that :func:`verb_features` reads."""

VOXEL_MM = (3.125, 3.125, 6.0)
"""Edges of a voxel in mm (recalled from the paper: 5 mm slices with a gap of 1 mm)."""

ORIGIN_MM = (-78.0, -112.0, -50.0)
"""Centre of the first voxel in mm: the corner of SPM2's default bounding box, which a 51 × 61 × 23 grid of such voxels
fills. A heuristic for drawing; the files do not say it, nor which side is left."""

FIELDS = (
    *("info.cond", "info.word", "info.epoch", "data", "meta.nvoxels", "meta.ntrials", "meta.subject"),
    *("meta.dimx", "meta.dimy", "meta.dimz", "meta.colToCoord", "meta.coordToCol"),
)


def load(participant: str, folder: Path | str | None = None) -> tuple[Stimuli, xr.DataArray]:
    """Load one participant.

    Parameters
    ----------
    participant : str
        ``"P1"`` to ``"P9"``.
    folder : path, optional
        Folder with the authors' ``.mat`` files; by default found by :func:`neuroling.data.fetch.locate`.

    Returns
    -------
    stimuli : Stimuli
        The 60 nouns in alphabetical order, ``condition`` their category; the same for every participant.
    recording : xarray.DataArray, dims (sample, repeat, voxel), float64
        Images as the authors give them (percent signal change). Repeats are in the order of ``info.epoch``. Voxel
        coordinates ``x``, ``y``, ``z`` are the authors' grid indices, which begin at 1; the label of a voxel is its
        flat index in the grid. ``attrs["excluded"]`` says which voxels were left out because they never vary.

    Raises
    ------
    DataNotFound, CorruptData
        If the file is absent or not laid out as documented; the message names file and field.
    """
    if participant not in PARTICIPANTS:
        raise ValueError(f"participant: got {participant!r}; expected one of {', '.join(PARTICIPANTS)}.")
    file = file_name(participant)
    folder = locate(NAME, [file]) if folder is None else Path(folder)
    path = folder / file
    contents = read_mat(path, ["info", "data", "meta"])
    _check_fields(path, contents)
    images = _images(path, contents)  # (trial, voxel)
    voxels = _voxels(path, contents, images.shape[1])
    trials = _trials(path, contents, len(images))
    _check_subject(path, contents, participant)
    stimuli = _stimuli(path, trials)
    values = images[trials.index.to_numpy()].reshape(N_WORDS, N_REPEATS, -1)  # (word, repeat, voxel)
    varies = np.ptp(images, axis=0) > 0
    recording = _recording(values[:, :, varies], stimuli, {name: axis[varies] for name, axis in voxels.items()})
    recording.attrs |= _grid(contents) | {
        "dataset": NAME,
        "participant": participant,
        "units": "percent signal change",
        "excluded": [f"voxel {label}: the same value in every image" for label in voxels["voxel"][~varies]],
        "synthetic": int(is_synthetic(folder)),
    }
    return stimuli, recording


def file_name(participant: str) -> str:
    """Name the file of a participant, as on the authors' page."""
    return f"data-science-{participant}.mat"


def verb_features(path: Path | str, stimuli: Stimuli | None = None) -> xr.DataArray:
    """Read noun features from a table, each noun's row scaled to unit length.

    The published co-occurrences are not shipped with this package: bring the authors' 60 × 25 table, or one of your
    own, as a ``.tsv`` or ``.csv`` with a column ``word`` and one column a verb (:data:`VERBS`).

    Parameters
    ----------
    path : path
        The table.
    stimuli : Stimuli, optional
        Nouns to be picked, in their order; by default all of the table.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        Rows of unit Euclidean length, as in the paper.

    Raises
    ------
    DataNotFound, CorruptData
        If the file is absent or no such table, a noun stands there twice, or all its features are zero.
    ValueError
        If one of the ``stimuli`` is not in the table.
    """
    path = Path(path)
    table = read_table(path, ["word"])
    verbs = [str(name) for name in table if name != "word"]
    if len(verbs) != len(VERBS):
        raise CorruptData(path, f"{len(verbs)} feature columns", f"{len(VERBS)}, one a verb")
    table = read_table(path, ["word", *verbs], numbers=verbs)
    nouns = Stimuli.from_texts(table["word"].tolist())
    if stimuli is not None:
        nouns, table = stimuli, _picked(path, table, stimuli)
    values = table[verbs].to_numpy(dtype=np.float64)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    if (length == 0).any():
        raise CorruptData(path, f"all features of {table['word'].iloc[int(np.argmin(length))]!r} are 0", "some above 0")
    features = nouns.features(values / length, verbs)
    features.attrs["synthetic"] = int(is_synthetic(path.parent))
    return features


def _picked(path: Path, table: pd.DataFrame, stimuli: Stimuli) -> pd.DataFrame:
    absent = [text for text in stimuli.texts if text not in set(table["word"])]
    if absent:
        raise ValueError(f"stimuli: {len(absent)} nouns are not in {path}, first {absent[:5]}.")
    return table.set_index("word", drop=False).loc[stimuli.texts]


# --- checks of the layout --------------------------------------------------------------------------------------------


def _check_fields(path: Path, contents: dict[str, NDArray[Any]]) -> None:
    for field in FIELDS:
        if PROBLEM + field in contents:
            raise CorruptData(path, f"{field} has {contents[PROBLEM + field]}", "cells of one shape and type")
        if field not in contents:
            raise CorruptData(path, f"no field {field}", f"the documented fields {', '.join(FIELDS)}")


def _images(path: Path, contents: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    n_trials, n_voxels = _whole(path, contents, "meta.ntrials"), _whole(path, contents, "meta.nvoxels")
    data = contents["data"]
    if data.dtype.kind not in "fiu" or data.shape != (n_trials, 1, n_voxels):
        raise CorruptData(path, f"data of shape {data.shape}, type {data.dtype}", f"{n_trials} cells of 1 × {n_voxels}")
    bad = ~np.isfinite(data)
    if bad.any():
        trial, _, voxel = np.argwhere(bad)[0]
        raise CorruptData(
            path,
            f"{int(bad.sum())} values of data are NaN or infinite, first trial {trial + 1} voxel {voxel + 1}",
            "none",
        )
    return np.asarray(data[:, 0], dtype=np.float64)


def _voxels(path: Path, contents: dict[str, NDArray[Any]], n_voxels: int) -> dict[str, NDArray[np.intp]]:
    """Read where each column lies: its label (flat index) and its grid indices x, y, z from 1."""
    shape = _shape(path, contents)
    coords = contents["meta.colToCoord"]
    if coords.shape != (n_voxels, 3):
        raise CorruptData(path, f"meta.colToCoord of shape {coords.shape}", f"({n_voxels}, 3)")
    if (coords != np.floor(coords)).any() or (coords < 1).any() or (coords > shape).any():
        raise CorruptData(
            path, f"meta.colToCoord from {coords.min(0)} to {coords.max(0)}", f"whole numbers in 1 to {shape}"
        )
    index = coords.astype(np.intp)
    flat = np.ravel_multi_index(tuple(index.T - 1), shape)
    if len(np.unique(flat)) != n_voxels:
        raise CorruptData(path, f"meta.colToCoord names {len(np.unique(flat))} places", f"{n_voxels} different ones")
    columns = contents["meta.coordToCol"]
    if columns.shape != shape or not np.array_equal(columns.ravel()[flat], np.arange(1, n_voxels + 1)):
        raise CorruptData(
            path, "meta.coordToCol is not the inverse of meta.colToCoord", f"column numbers on a {shape} grid"
        )
    x, y, z = index.T
    return {"voxel": flat, "x": x, "y": y, "z": z}


def _trials(path: Path, contents: dict[str, NDArray[Any]], n_trials: int) -> pd.DataFrame:
    """Sort the trials by word, then by epoch; the index says where each stands in the file."""
    columns = {name: np.ravel(contents[f"info.{name}"]) for name in ("word", "cond", "epoch")}
    for name, column in columns.items():
        if len(column) != n_trials:
            raise CorruptData(path, f"info.{name} has {len(column)} entries", f"{n_trials}, one a trial")
    trials = pd.DataFrame(columns)
    counts = trials["word"].value_counts()
    odd = counts[counts != N_REPEATS]
    if len(odd):
        raise CorruptData(
            path, f"{odd.index[0]!r} is presented {odd.iloc[0]} times", f"{N_REPEATS} times, as every word"
        )
    if len(counts) != N_WORDS:
        raise CorruptData(path, f"{len(counts)} words", f"{N_WORDS}")
    return trials.sort_values(["word", "epoch"], kind="stable")


def _stimuli(path: Path, trials: pd.DataFrame) -> Stimuli:
    conditions = trials.groupby("word")["cond"].agg(["first", "nunique"])
    mixed = conditions.index[conditions["nunique"] > 1]
    if len(mixed):
        raise CorruptData(path, f"{mixed[0]!r} has several values of info.cond", "one category a word")
    return Stimuli.from_texts(conditions.index.tolist(), condition=conditions["first"])


def _check_subject(path: Path, contents: dict[str, NDArray[Any]], participant: str) -> None:
    seen = str(np.ravel(contents["meta.subject"])[0])
    if seen != participant:
        raise CorruptData(path, f"meta.subject is {seen!r}", f"{participant!r}, as the name of the file says")


def _whole(path: Path, contents: dict[str, NDArray[Any]], field: str) -> int:
    value = contents[field]
    if value.size != 1 or value.dtype.kind not in "fiu" or value.ravel()[0] < 1:
        raise CorruptData(path, f"{field} is {value.ravel()[:3]}", "one positive whole number")
    return int(value.ravel()[0])


def _shape(path: Path, contents: dict[str, NDArray[Any]]) -> tuple[int, int, int]:
    x, y, z = (_whole(path, contents, f"meta.dim{axis}") for axis in "xyz")
    return x, y, z


def _grid(contents: dict[str, NDArray[Any]]) -> dict[str, Any]:
    affine = np.diag([*VOXEL_MM, 1.0])
    affine[:3, 3] = ORIGIN_MM
    shape = [int(contents[f"meta.dim{axis}"].ravel()[0]) for axis in "xyz"]
    return {"affine": affine.ravel().tolist(), "grid_shape": shape, "space": "SPM2 bounding box, assumed"}


def _recording(values: NDArray[np.float64], stimuli: Stimuli, voxels: dict[str, NDArray[np.intp]]) -> xr.DataArray:
    coords = {name: ("voxel", axis) for name, axis in voxels.items()}
    return xr.DataArray(
        values,
        dims=("sample", "repeat", "voxel"),
        coords={**stimuli.coords(), "repeat": np.arange(1, N_REPEATS + 1), **coords},
        name="image",
    )


# --- the synthetic twin ----------------------------------------------------------------------------------------------

N_CLUSTERS = 4
"""Contiguous clusters of voxels that the twin's features drive."""

SHARE_DRIVEN = 0.2
"""Share of the voxels that lie in them."""

SIGNAL = 0.15
"""Standard deviation over nouns of a driven voxel's response, where the noise of one presentation has 1; chosen so that
leave-two-out accuracy at 1,000 voxels comes near the published mean of 0.77 (0.77 to 0.82 over four seeds)."""


def write_twin(
    folder: Path | str,
    rng: int | np.random.Generator = 0,
    *,
    participants: Sequence[str] = PARTICIPANTS,
    n_voxels: int = 1_000,
    grid_shape: tuple[int, int, int] = (51, 61, 23),
    signal: float = SIGNAL,
) -> None:
    """Write synthetic participants in the layout of the authors' files.

    The nouns' features are drawn (similar within a category, non-negative, mostly small, as co-occurrences are) and
    written as :data:`FEATURES`. Voxels fill the middle of the grid; four contiguous clusters of them respond linearly
    to the features, each cluster with weights of its own; every presentation adds white noise.

    Parameters
    ----------
    folder : path
        Made if absent; marked as synthetic by a file that names the driven voxels.
    rng : int or numpy.random.Generator
        Source of all randomness.
    participants : sequence of str
        Which ones to write.
    n_voxels : int
        Voxels of each, at least 50.
    grid_shape : tuple of int
        Grid along x, y and z; must have room for the voxels.
    signal : float
        Standard deviation over nouns of a driven voxel's response, relative to the noise of one presentation; 0 gives
        pure noise.
    """
    unknown = [name for name in participants if name not in PARTICIPANTS]
    if unknown:
        raise ValueError(f"participants: got {unknown}; expected names among {', '.join(PARTICIPANTS)}.")
    if not 50 <= n_voxels <= np.prod(grid_shape):
        raise ValueError(f"n_voxels: got {n_voxels}; expected 50 to {np.prod(grid_shape)}, the size of the grid.")
    generator = np.random.default_rng(rng)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    features = _draw_features(generator)
    _write_features(folder / FEATURES, features)
    coords = _middle_of(grid_shape, n_voxels)
    driven = {}
    for participant, stream in zip(participants, generator.spawn(len(participants)), strict=True):
        weights = _draw_weights(coords, stream)  # (feature, voxel)
        response = features @ weights
        spread = response.std(axis=0)
        response *= np.divide(signal, spread, out=np.zeros_like(spread), where=spread > 0)
        _write_participant(folder / file_name(participant), participant, response, coords, grid_shape, stream)
        driven[participant] = np.flatnonzero(spread > 0).tolist()
    mark_synthetic(folder, {"driven_columns": driven, "signal": signal})


def twin(
    participant: str = "P1", rng: int | np.random.Generator = 0, *, n_voxels: int = 1_000, signal: float = SIGNAL
) -> tuple[Stimuli, xr.DataArray, xr.DataArray]:
    """Make one synthetic participant, through files and the loader of the real ones.

    Parameters
    ----------
    participant : str
        ``"P1"`` to ``"P9"``.
    rng : int or numpy.random.Generator
        Source of all randomness.
    n_voxels, signal
        As in :func:`write_twin`.

    Returns
    -------
    stimuli : Stimuli
    recording : xarray.DataArray, dims (sample, repeat, voxel)
        The voxel coordinate ``driven`` is the truth; ``attrs["synthetic"]`` is 1.
    features : xarray.DataArray, dims (sample, feature)
        The features that drive them, rows of unit length.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_twin(folder, rng, participants=[participant], n_voxels=n_voxels, signal=signal)
        stimuli, recording = load(participant, folder)
        features = verb_features(Path(folder) / FEATURES, stimuli)
        driven = truth_of(Path(folder))["driven_columns"][participant]
    flags = np.isin(np.arange(recording.sizes["voxel"]), driven)
    return stimuli, recording.assign_coords(driven=("voxel", flags)), features


def _draw_features(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw co-occurrences, rows of unit length in the order of :data:`NOUNS`, shape (noun, verb)."""
    prototypes = rng.gamma(0.4, size=(len(NOUNS), len(VERBS)))
    values = np.repeat(prototypes, 5, axis=0) + 0.7 * rng.gamma(0.4, size=(N_WORDS, len(VERBS)))
    scaled: NDArray[np.float64] = values / np.linalg.norm(values, axis=1, keepdims=True)
    return scaled


def _nouns() -> list[str]:
    return [noun for nouns in NOUNS.values() for noun in nouns]


def _write_features(path: Path, features: NDArray[np.float64]) -> None:
    table = pd.DataFrame(features, columns=list(VERBS))
    table.insert(0, "word", _nouns())
    table.to_csv(path, sep="\t", index=False)


def _middle_of(shape: tuple[int, int, int], n_voxels: int) -> NDArray[np.intp]:
    """Pick the voxels nearest to the middle of a grid, indices from 1, shape (voxel, 3)."""
    indices = np.indices(shape).reshape(3, -1).T
    distance = np.linalg.norm((indices - (np.array(shape) - 1) / 2) * VOXEL_MM, axis=1)
    nearest: NDArray[np.intp] = np.sort(np.argsort(distance, kind="stable")[:n_voxels])
    return indices[nearest] + 1


def _draw_weights(coords: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw weights, zero outside of a few balls of voxels, shape (verb, voxel)."""
    weights = np.zeros((len(VERBS), len(coords)))
    size = max(int(SHARE_DRIVEN * len(coords) / N_CLUSTERS), 1)
    for seed in rng.choice(len(coords), N_CLUSTERS, replace=False):
        ball = np.argsort(np.linalg.norm((coords - coords[seed]) * VOXEL_MM, axis=1), kind="stable")[:size]
        own = rng.standard_normal((len(VERBS), 1))
        weights[:, ball] = own + 0.5 * rng.standard_normal((len(VERBS), size))
    return weights


def _write_participant(
    path: Path,
    participant: str,
    response: NDArray[np.float64],
    coords: NDArray[np.intp],
    shape: tuple[int, int, int],
    rng: np.random.Generator,
) -> None:
    """Write one file; ``response`` has shape (noun, voxel), every presentation adds noise of unit variance."""
    from scipy.io import savemat

    order = np.concatenate([rng.permutation(N_WORDS) for _ in range(N_REPEATS)])
    images = response[order] + rng.standard_normal((len(order), response.shape[1]))
    data = np.empty((len(order), 1), dtype=object)
    data[:, 0] = list(images[:, np.newaxis])  # cells of 1 × voxel
    columns = np.zeros(shape)
    columns[tuple(coords.T - 1)] = np.arange(1, len(coords) + 1)
    meta: dict[str, Any] = {"study": "science", "subject": participant, "ntrials": float(len(order))}
    meta |= {f"dim{axis}": float(size) for axis, size in zip("xyz", shape, strict=True)}
    meta |= {"nvoxels": float(len(coords)), "colToCoord": coords.astype(float), "coordToCol": columns}
    savemat(path, {"info": _info(order), "data": data, "meta": meta}, do_compression=True, oned_as="row")


def _info(order: NDArray[np.intp]) -> NDArray[Any]:
    """Describe the trials as a 1 × trial struct array, ``order`` being the noun of each."""
    fields = ("cond", "cond_number", "word", "word_number", "epoch")
    info = np.zeros((1, len(order)), dtype=[(field, object) for field in fields])
    nouns, categories = _nouns(), list(NOUNS)
    for trial, noun in enumerate(order):
        category, within = divmod(int(noun), 5)
        epoch = trial // N_WORDS + 1
        info[0, trial] = (categories[category], category + 1.0, nouns[noun], within + 1.0, float(epoch))
    return info
