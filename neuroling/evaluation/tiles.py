"""Evaluate a recording tile by tile: targets that do not fit in memory, jobs of an array, runs that were killed."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr

from neuroling.core.align import AlignedSource
from neuroling.core.axes import targets_of
from neuroling.core.protocols import Predictor
from neuroling.core.provenance import Provenance, content_hash
from neuroling.core.result import Result, ResultFileError
from neuroling.core.units import check_same_unit, stamp
from neuroling.evaluation.joining import best_along
from neuroling.evaluation.study_files import check_one_study

logger = logging.getLogger(__name__)

Unusable = Literal["refuse", "score as NaN"]

TILE = "tile"
"""Label of a tile among those of its unit of work."""

PRODUCTS = "matrix products"
"""Key of the libraries of matrix products among the versions of a provenance."""

COPIES = 8
"""How often the values of a tile stand in memory while it is evaluated; a heuristic that a slow test holds."""


@dataclass(frozen=True)
class Tile:
    """One of N consecutive stretches of the targets.

    Attributes
    ----------
    number : int
        From 1 to ``of``.
    of : int
        How many there are.

    Examples
    --------
    >>> Tile.parse("3/40").targets(1000)
    slice(50, 75, None)
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise ValueError(f"tile: got {self.number}/{self.of}; expected a number from 1 to how many there are.")

    @classmethod
    def parse(cls, text: str) -> Tile:
        """Read ``"3/40"``.

        Parameters
        ----------
        text : str
            Number from 1, and how many there are.
        """
        number, slash, of = text.partition("/")
        if not (slash and number.isdecimal() and of.isdecimal()):
            raise ValueError(f"tile: got {text!r}; expected NUMBER/HOW MANY, such as 3/40.")
        return cls(int(number), int(of))

    @classmethod
    def all(cls, of: int) -> list[Tile]:
        """List all tiles.

        Parameters
        ----------
        of : int
            How many there are.
        """
        if of < 1:
            raise ValueError(f"tiles: got {of}; expected at least one.")
        return [cls(number, of) for number in range(1, of + 1)]

    def targets(self, n_targets: int) -> slice:
        """Say which targets it holds; sizes of tiles differ by one at most.

        Parameters
        ----------
        n_targets : int
            How many targets there are.
        """
        if self.of > n_targets:
            raise ValueError(f"tile: got {self}; expected at most {n_targets} tiles, the number of targets.")
        return slice((self.number - 1) * n_targets // self.of, self.number * n_targets // self.of)

    @property
    def file_name(self) -> str:
        """Name of its file."""
        return f"tile-{self.number:0{len(str(self.of))}d}-of-{self.of}.nc"

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


@dataclass(frozen=True)
class Tiles:
    r"""How ``evaluate`` divides a recording on disk along its targets, and where it saves finished tiles.

    Every tile is an evaluation of its own with the same seed, so that the draws of a null relabel all tiles alike, and
    a tile has the same scores to the last bit whether or not others were evaluated before it. With a folder, each tile
    becomes one file, which appears whole or not at all. A file that is there already is used if it was made from the
    same features, the same values of the recording, the same options and versions; a damaged file is made again; any
    other is refused.

    Parameters
    ----------
    of : int
        Number of tiles; their sizes differ by one target at most.
    only : int, optional
        The one tile to evaluate, from 1, such as in a job of an array. The result holds its targets alone;
        :func:`join_tiles` joins those of all jobs. Default: all tiles, joined.
    folder : pathlib.Path, optional
        Folder for the files of finished tiles; made where it is not there. Default: nothing is saved.
    labels : mapping of str to str
        What tells the recording from others of its study, such as ``{"subject": "s18", "layer": "4"}``.
    unusable : {"refuse", "score as NaN"}
        What becomes of targets that are constant or not finite.
    memory_bytes : float, optional
        Evaluate a tile in smaller stretches where its values would need more. Beside it stand the tile itself and, for
        a null that fits every draw anew, up to about 200 MB of draws side by side.

    Examples
    --------
    >>> from neuroling import ContiguousFolds, Ridge, Stimuli, align, evaluate, pearson
    >>> from neuroling.data import ArraySource
    >>> rng, volumes = np.random.default_rng(0), Stimuli.from_texts([f"volume {i}" for i in range(40)])
    >>> features = volumes.features(rng.standard_normal((40, 3)))
    >>> source = ArraySource(rng.standard_normal((40, 10)), {"sample": volumes.labels, "time_index": np.arange(40)})
    >>> options = {"splits": ContiguousFolds(4, gap=2), "metric": pearson}
    >>> result = evaluate(Ridge(1.0, device="cpu"), align(features, source), tiles=Tiles(3), **options)
    >>> result.score.sizes["voxel"]
    10
    """

    of: int = 1
    only: int | None = None
    folder: Path | str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    unusable: Unusable = "refuse"
    memory_bytes: float | None = None

    def __post_init__(self) -> None:
        if self.unusable not in get_args(Unusable):
            raise ValueError(f"unusable: got {self.unusable!r}; expected one of {get_args(Unusable)}.")
        _ = self.wanted

    @property
    def wanted(self) -> list[Tile]:
        """The tiles to evaluate."""
        return Tile.all(self.of) if self.only is None else [Tile(self.only, self.of)]

    @property
    def divide(self) -> bool:
        """Whether targets are evaluated apart from one another."""
        return self.of > 1 or self.memory_bytes is not None


def evaluate_tiles(
    evaluate: Callable[..., Result],
    model: Predictor | Mapping[str, Predictor],
    data: AlignedSource,
    tiles: Tiles,
    rng: int | np.random.Generator,
    options: Mapping[str, Any],
) -> Result:
    """Evaluate a recording tile by tile; what ``evaluate`` does with a recording on disk.

    Parameters
    ----------
    evaluate : callable
        Evaluates what is in memory.
    model : Predictor or mapping of str to Predictor
        As in :func:`~neuroling.evaluation.evaluate.evaluate`.
    data : AlignedSource
        Features and the recording.
    tiles : Tiles
        How the recording is divided.
    rng : int
        Seed of every tile.
    options : mapping
        Other arguments of ``evaluate``: ``splits``, ``metric``, ``select``, ``ceiling``, ``inference``.

    Returns
    -------
    Result
        Of all tiles that were asked for.

    Raises
    ------
    ValueError
        If a file is there that another configuration or version made, the metric consumes the targets, or targets are
        unusable and that is to be refused.
    """
    if isinstance(rng, bool) or not isinstance(rng, int | np.integer):
        raise TypeError(f"rng: got {type(rng).__name__}; tiles need the same draws, so expected a whole number.")
    if tiles.divide:
        _check_options(options)
    folder = None if tiles.folder is None else Path(tiles.folder)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    configuration = _configuration(model, int(rng), tiles.unusable, options)
    hashes = {**_feature_hashes(data.features), "targets of all tiles": str(data.source.n_targets)}
    results: dict[str, Result] = {}
    told = False
    for tile in tiles.wanted:
        recording = data.source.read(tile.targets(data.source.n_targets))
        tile_labels, shared = {**tiles.labels, TILE: str(tile.number)}, {**configuration, "tiles": str(tile.of)}
        hashes_of_tile = {**hashes, "recording of the tile": content_hash(recording)}
        expected = replace(Provenance(), unit=tile_labels, configuration=shared, data=hashes_of_tile)
        path = None if folder is None else folder / tile.file_name
        earlier = None if path is None else _earlier(path, expected)
        if earlier is not None:
            logger.info("Tile %s is there already: %s", tile, path)
            results[tile.file_name] = earlier
            continue
        n_stretches = len(_stretches(*_size(recording), tiles.memory_bytes))
        if n_stretches > 1 and not told:
            logger.info("Memory: every tile is evaluated in about %d stretches.", n_stretches)
            told = True
        result = _evaluated(partial(evaluate, model, rng=int(rng), **options), data, recording, tiles)
        record = replace(result.provenance, data={**result.provenance.data, **hashes_of_tile})
        result = stamp(Result(result.data, record), tile_labels, shared)
        results[tile.file_name] = result
        if path is not None:
            result.save(path)
            logger.info("Tile %s is done: %s", tile, path)
    return next(iter(results.values())) if tiles.only is not None else join_tiles(results)


def _feature_hashes(features: xr.DataArray | Mapping[str, xr.DataArray]) -> dict[str, str]:
    if not isinstance(features, Mapping):
        return {"features of all tiles": content_hash(features)}
    return {f"{name}.features of all tiles": content_hash(space) for name, space in features.items()}


def join_tiles(results: Mapping[str, Result]) -> Result:
    """Join the tiles of a recording along its targets.

    Parameters
    ----------
    results : mapping of str to Result
        Name of each (such as its file), and the tile; in any order.

    Returns
    -------
    Result
        As if all targets had been evaluated at once: the best of a draw is the best over all tiles.

    Raises
    ------
    ValueError
        If a tile is missing or stands twice, or tiles come from different configurations or versions; the message names
        the files.
    """
    if not results:
        raise ValueError("results: none given; expected the tiles of a recording.")
    bare = [name for name, result in results.items() if TILE not in result.provenance.unit]
    if bare:
        raise ValueError(f"results: {bare[0]} is no tile of a recording; expected files of evaluate(…, tiles=…).")
    check_one_study(results, _of_all)
    _warn_of_products(results)
    ordered = sorted(results, key=lambda name: int(results[name].provenance.unit[TILE]))
    numbers = [int(results[name].provenance.unit[TILE]) for name in ordered]
    of = int(results[ordered[0]].provenance.configuration["tiles"])
    missing = sorted(set(range(1, of + 1)) - set(numbers))
    if missing:
        raise ValueError(
            f"results: {len(missing)} of {of} tiles are missing, first {missing[:5]}; finish them, with --tile "
            f"{missing[0]}/{of} for the first."
        )
    if len(numbers) > of:
        twice = next(name for name, (a, b) in zip(ordered[1:], pairwise(numbers), strict=True) if a == b)
        raise ValueError(f"results: {twice} is a tile that stands twice.")
    return _joined([results[name] for name in ordered])


def _warn_of_products(results: Mapping[str, Result]) -> None:
    products = {result.provenance.versions.get(PRODUCTS, "") for result in results.values()} - {""}
    if len(products) > 1:
        warnings.warn(
            f"tiles: those from {next(iter(results))} on were made with different libraries of matrix products "
            f"({' | '.join(sorted(products))}), so that scores may differ from those of an uninterrupted run in "
            "their last bits. Set NEUROLING_PRODUCTS to one library, remove the tiles and make them again where that "
            "matters.",
            UserWarning,
            stacklevel=3,
        )


def _check_options(options: Mapping[str, Any]) -> None:
    metric = options.get("metric")
    consumed = [axis for axis in getattr(metric, "over", ()) if axis in targets_of([axis])]
    if consumed or options.get("select") is not None:
        what = (
            f"{metric.name} consumes {consumed}"
            if consumed and metric is not None
            else "select chooses among all targets"
        )
        raise ValueError(f"metric: {what}, so tiles cannot be scored by themselves; expected a score for every target.")
    if getattr(options.get("inference"), "clusters", None) is not None:
        raise ValueError(
            "inference: clusters reach across tiles. Keep the draws (keep_draws=True), join the tiles, and take "
            "clusters of the whole with neuroling.evaluation.inference.clusters.with_clusters."
        )


def _configuration(
    model: Predictor | Mapping[str, Predictor], seed: int, unusable: str, options: Mapping[str, Any]
) -> dict[str, str]:
    parts = {"model": model, "seed": seed, "unusable": unusable, **options}
    return {name: described(part) for name, part in parts.items() if part is not None}


def described(value: object) -> str:
    """Describe an option so that equal ones give equal text in every process, and arrays count by content.

    Parameters
    ----------
    value : object
        Model, splitter, metric, number …

    Returns
    -------
    str

    Examples
    --------
    >>> from sklearn.model_selection import KFold
    >>> described(KFold(4)), described((1, 2.5))
    ('KFold(n_splits=4, random_state=None, shuffle=False)', '(1, 2.5)')
    """
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(f"{value.dtype.str}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
        return f"array{value.shape} {digest.hexdigest()[:16]}"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(described, value))})"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {described(part)}' for key, part in value.items())}}}"
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return f"{value.__module__}.{value.__qualname__}"
    if value is None or isinstance(value, str | bool | int | float | np.generic):
        return repr(value)
    return f"{type(value).__name__}({', '.join(f'{key}={described(part)}' for key, part in _parts(value))})"


def _parts(value: object) -> list[tuple[str, object]]:
    if hasattr(value, "get_params"):
        return sorted(value.get_params(deep=False).items())
    if is_dataclass(value):
        return [(each.name, getattr(value, each.name)) for each in fields(value) if each.compare]
    return sorted((key, part) for key, part in vars(value).items() if not key.startswith("_"))


def _earlier(path: Path, expected: Provenance) -> Result | None:
    """Give a tile whose file can be used as it is; ValueError if it belongs to something else."""
    if not path.exists():
        return None
    try:
        found = Result.load(path)
    except ResultFileError as error:
        logger.warning("Making a tile again: %s", error)
        return None
    check_same_unit(path, expected, found.provenance)
    return found


def _of_all(result: Result) -> dict[str, str]:
    """Give what every tile of a recording says of the whole."""
    about = {key: value for key, value in result.provenance.data.items() if key.endswith("of all tiles")}
    return about | {key: value for key, value in result.provenance.unit.items() if key != TILE}


def _evaluated(evaluate: Callable[..., Result], data: AlignedSource, recording: xr.DataArray, tiles: Tiles) -> Result:
    """Evaluate a tile, in stretches that memory allows, with NaN at unusable targets."""
    axis = str(recording.dims[1])
    usable = usable_targets(recording)
    if tiles.unusable == "refuse" and not usable.all():
        bad = recording[axis].values[~usable]
        raise ValueError(
            f"recording: {len(bad)} of {len(usable)} targets are constant or not finite, first {axis} "
            f"{', '.join(map(str, bad[:5].tolist()))}; exclude them, or set unusable='score as NaN' for the tiles."
        )
    if not usable.any():
        raise ValueError(
            f"recording: all {len(usable)} targets from {recording[axis].values[0]} to {recording[axis].values[-1]} "
            "are constant or not finite; leave them out of the mask."
        )
    good = recording if usable.all() else recording.isel({axis: np.flatnonzero(usable)})
    stretches = _stretches(*_size(good), tiles.memory_bytes)
    results = [evaluate(data.beside(good.isel({axis: stretch}))) for stretch in stretches]
    result = results[0] if len(results) == 1 else _joined(results)
    if usable.all():
        return result
    bad = recording[axis].values[~usable]
    note = (
        f"{len(bad)} of {len(usable)} targets are constant or not finite and scored as NaN, first "
        f"{axis} {', '.join(map(str, bad[:5].tolist()))}"
    )
    logger.warning("%s", note)
    return _spread(result, recording.coords, axis, note)


def usable_targets(recording: xr.DataArray) -> np.ndarray:
    """Say which targets are finite and not constant.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, target axis)
        The recording.

    Returns
    -------
    ndarray of bool, shape (target,)
    """
    values = recording.values
    return np.asarray(np.isfinite(values).all(axis=0) & (values != values[:1]).any(axis=0))


def _size(recording: xr.DataArray) -> tuple[int, int]:
    """Give the number of targets, and the bytes that each of them takes."""
    return recording.shape[1], recording.shape[0] * recording.dtype.itemsize


def _stretches(n_targets: int, bytes_a_target: int, memory_bytes: float | None) -> list[slice]:
    if memory_bytes is None:
        return [slice(0, n_targets)]
    most = int(memory_bytes // (COPIES * bytes_a_target))
    if most < 1:
        raise ValueError(
            f"memory: {memory_bytes / 2**20:.3g} MiB do not hold one target of {bytes_a_target} bytes, {COPIES} times; "
            f"expected at least {COPIES * bytes_a_target / 2**20:.3g} MiB."
        )
    n_parts = -(-n_targets // most)
    cuts = np.linspace(0, n_targets, n_parts + 1).astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise(cuts)]


def _joined(results: Sequence[Result]) -> Result:
    first = results[0]
    if len(results) == 1:
        return Result(first.data, _joined_record(results))
    (axis,) = targets_of(first.score.dims)
    parts = [result.data.drop_vars("null_best", errors="ignore") for result in results]
    data = xr.concat(
        parts, axis, data_vars="minimal", coords="minimal", compat="override", join="exact", combine_attrs="override"
    )
    labels = data.indexes.get(axis)
    if labels is not None and not labels.is_unique:
        again = labels[labels.duplicated()].unique()
        raise ValueError(f"results: {len(again)} labels of {axis!r} stand in two tiles, first {again[:3].tolist()}.")
    if "null_best" in first.data:
        best = xr.concat([result.data["null_best"] for result in results], "tile")
        data["null_best"] = best_along(best, "tile", first.null.alternative)
    return Result(data, _joined_record(results))


def _joined_record(results: Sequence[Result]) -> Provenance:
    """Join what was recorded: hashes of the recording become one hash of them all."""
    first = results[0].provenance
    differing = [key for key in first.data if any(r.provenance.data.get(key) != first.data[key] for r in results)]
    data = dict(first.data)
    for key in differing:
        text = "\n".join(result.provenance.data.get(key, "") for result in results)
        data[key] = hashlib.sha256(text.encode()).hexdigest()
    notes = tuple(dict.fromkeys(note for result in results for note in result.provenance.notes))
    labels = {key: value for key, value in first.unit.items() if key != TILE}
    return replace(first, data=data, notes=notes, unit=labels, created=max(r.provenance.created for r in results))


def _spread(result: Result, coords: Any, axis: str, note: str) -> Result:
    """Put scores back among all targets of the tile, NaN at those that have none."""
    n_draws = result.data.sizes.get("draw", 0)
    data = result.data.reindex({axis: coords[axis].values})
    along = {name: coord for name, coord in coords.items() if coord.dims == (axis,)}
    data = data.assign_coords(along)
    if "null_exceedances" in data:
        data["null_exceedances"] = data["null_exceedances"].fillna(n_draws).astype(np.int64)
    if "null_resolution" in data:
        data["null_resolution"] = data["null_resolution"].fillna(0.0)
    if "null_cluster" in data:
        data["null_cluster"] = data["null_cluster"].fillna(1.0)
    return Result(data, replace(result.provenance, notes=(*result.provenance.notes, note)))
