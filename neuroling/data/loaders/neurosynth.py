"""Neurosynth, version 7: titles of 14,371 imaging articles and the activation peaks that they report.

Meta-analytic, not evoked by the titles: a map is where an article reports activity, smoothed, not a measurement.
"""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.data.errors import CorruptData
from neuroling.data.fetch import locate
from neuroling.data.fmri import MNI, BrainGrid, mni_grid, mni_to_tal, smoothed_peaks, tal_to_mni
from neuroling.data.synthetic import is_synthetic, mark_synthetic, truth_of
from neuroling.data.tables import read_table

NAME = "neurosynth_v7"
COORDINATES = "data-neurosynth_version-7_coordinates.tsv.gz"
METADATA = "data-neurosynth_version-7_metadata.tsv.gz"
SPACES = ("MNI", "TAL", "UNKNOWN")
"""What the column ``space`` may say; UNKNOWN peaks are taken as MNI."""

Conversion = Callable[[ArrayLike], NDArray[np.float64]]


def load(
    folder: Path | str | None = None,
    *,
    spacing_mm: float = 8.0,
    sigma_voxels: float = 1.0,
    talairach: Conversion | None = tal_to_mni,
    max_articles: int | None = None,
) -> tuple[Stimuli, xr.DataArray]:
    """Load titles and smoothed activation maps.

    Every reported peak counts one in the voxel that it lies in; the counts are smoothed with a Gaussian.

    Parameters
    ----------
    folder : path, optional
        Folder with the two files; by default found by :func:`neuroling.data.fetch.locate`.
    spacing_mm : float
        Edge of a voxel in mm (8 mm: 4,509 voxels).
    sigma_voxels : float
        Standard deviation of the Gaussian in voxels.
    talairach : callable, optional
        Turns Talairach peaks, shape (peak, 3) in mm, into MNI ones; None keeps them as they are.
    max_articles : int, optional
        At most so many articles, evenly spread over the table, which runs from 1997 to 2018.

    Returns
    -------
    stimuli : Stimuli
        One article a row: its title, ``year``, ``journal`` and ``space``, labelled by its PubMed id.
    recording : xarray.DataArray, dims (sample, voxel), float32
        Smoothed peak counts; coordinates ``year``, ``space``, and ``x``, ``y``, ``z`` in mm. Its attributes hold the
        grid, the counts of peaks by space, of those outside the brain, and ``excluded``: every article that was left
        out, with the reason.

    Raises
    ------
    DataNotFound, CorruptData
        If a file is absent or not what it should be; the message names it.
    """
    folder = locate(NAME) if folder is None else Path(folder)
    grid = mni_grid(spacing_mm)
    articles = _thinned(_read_articles(folder / METADATA), max_articles)
    peaks = _read_peaks(folder / COORDINATES, folder / METADATA, articles, complete=max_articles is None)
    where = grid.locate(_in_mni(peaks, talairach))
    reasons = _reasons_to_exclude(articles, set(peaks["id"][where >= 0]))
    kept = articles[~articles["id"].isin(reasons)].reset_index(drop=True)
    maps = _maps(grid, kept, peaks, where, sigma_voxels)
    table = kept.set_index("id").rename(columns={"title": "text"})
    stimuli = Stimuli(table)
    recording = grid.recording(maps, dict(stimuli.coords("year", "space")))
    recording.attrs |= _notes(peaks, where, reasons, talairach, sigma_voxels) | {"synthetic": int(is_synthetic(folder))}
    recording.name = "activation"
    return stimuli, recording


def _read_articles(path: Path) -> pd.DataFrame:
    columns = ["id", "title", "year", "journal", "space"]
    articles = read_table(path, columns, numbers=["year"])[columns]
    if not articles["id"].is_unique:
        twice = articles["id"][articles["id"].duplicated()]
        raise CorruptData(path, f"the id {twice.iloc[0]!r} stands in {len(twice) + 1} rows", "one row an article")
    unknown = sorted(set(articles["space"]) - set(SPACES))
    if unknown:
        raise CorruptData(path, f"spaces {unknown[:5]}", f"one of {SPACES}")
    return articles.assign(year=articles["year"].astype(int), title=articles["title"].str.strip())


def _thinned(articles: pd.DataFrame, most: int | None) -> pd.DataFrame:
    if most is None or most >= len(articles):
        return articles
    if most < 2:
        raise ValueError(f"max_articles: got {most}; expected at least 2, or None for all.")
    return articles.iloc[np.linspace(0, len(articles) - 1, most).astype(int)].reset_index(drop=True)


def _read_peaks(path: Path, metadata: Path, articles: pd.DataFrame, *, complete: bool) -> pd.DataFrame:
    """Read the peaks of these articles, columns id, x, y, z (mm) and space."""
    peaks = read_table(path, ["id", "x", "y", "z"], numbers=["x", "y", "z"])[["id", "x", "y", "z"]]
    is_in_articles = peaks["id"].isin(articles["id"])
    if complete and not is_in_articles.all():
        strangers = peaks["id"][~is_in_articles].unique()
        raise CorruptData(
            path, f"{len(strangers)} articles, first {strangers[0]!r}, not in {metadata.name}", "both alike"
        )
    return peaks[is_in_articles].merge(articles[["id", "space"]], on="id", validate="many_to_one")


def _in_mni(peaks: pd.DataFrame, talairach: Conversion | None) -> NDArray[np.float64]:
    points = peaks[["x", "y", "z"]].to_numpy(copy=True)
    converted = (peaks["space"] == "TAL").to_numpy()
    if talairach is not None and converted.any():
        points[converted] = talairach(points[converted])
    return points


def _reasons_to_exclude(articles: pd.DataFrame, in_brain: set[str]) -> dict[str, str]:
    """Give the articles that cannot be used, each with the reason, in the order of the table."""
    reasons: dict[str, str] = {}
    first: dict[str, str] = {}
    for article, title in zip(articles["id"], articles["title"], strict=True):
        if not title:
            reasons[article] = "no title"
        elif article not in in_brain:
            reasons[article] = "no peak inside the brain mask"
        elif title in first:
            reasons[article] = f"title already used by article {first[title]}"
        else:
            first[title] = article
    return reasons


def _maps(
    grid: BrainGrid, articles: pd.DataFrame, peaks: pd.DataFrame, where: NDArray[np.intp], sigma_voxels: float
) -> NDArray[np.float32]:
    rows = pd.Index(articles["id"]).get_indexer(peaks["id"])
    usable = (rows >= 0) & (where >= 0)
    return smoothed_peaks(grid, rows[usable], where[usable], len(articles), sigma_voxels)


def _notes(
    peaks: pd.DataFrame,
    where: NDArray[np.intp],
    reasons: dict[str, str],
    talairach: Conversion | None,
    sigma_voxels: float,
) -> dict[str, object]:
    return {
        "dataset": NAME,
        "units": "reported peaks per voxel, smoothed",
        "sigma_voxels": float(sigma_voxels),
        "n_peaks": len(peaks),
        "n_peaks_outside": int((where < 0).sum()),
        "n_peaks_talairach": int((peaks["space"] == "TAL").sum()),
        "n_peaks_unknown_space": int((peaks["space"] == "UNKNOWN").sum()),
        "talairach": "kept as they are" if talairach is None else getattr(talairach, "__name__", str(talairach)),
        "excluded": [f"{article}: {reason}" for article, reason in reasons.items()],
    }


# --- the synthetic twin ----------------------------------------------------------------------------------------------

TOPICS: dict[str, tuple[tuple[float, float, float], str]] = {
    "language": ((-52, 20, 12), "sentence syntax grammar verb noun phrase reading lexical semantic naming"),
    "hearing": ((-60, -20, 4), "speech auditory sound tone music pitch noise listening voice melody"),
    "faces": ((44, -52, -20), "face identity gaze portrait expression familiar fusiform eyes stranger likeness"),
    "movement": ((-36, -20, 60), "motor finger hand grasp tapping movement reach grip gesture walking"),
    "fear": ((24, -4, -20), "fear threat anxiety conditioning amygdala shock extinction phobia danger alarm"),
    "reward": ((12, 12, -4), "reward money gambling striatum gain loss incentive dopamine risk choice"),
    "memory": (
        (-28, -20, -12),
        "memory encoding recall hippocampus recognition episode retrieval familiarity novelty cue",
    ),
    "space": ((28, -60, 52), "attention spatial saccade visual search location target rotation map cueing"),
}
"""Topics of the twin: where each activates (mm, MNI, after the sanity figures of the real data), and its words."""

FRAMES = (
    "Neural correlates of {} and {} in {}.",
    "How {} shapes {}: an imaging study of {}.",
    "The role of {} in {} during {}.",
    "Effects of {} on {} and {}.",
)
SPREAD_MM = 9.0
"""Standard deviation of a topic's peaks around its centre, in mm."""

STRAY = 0.25
"""Share of peaks that lie anywhere in the brain, whatever the topic."""


def write_twin(folder: Path | str, rng: int | np.random.Generator = 0, *, n_articles: int = 400) -> None:
    """Write synthetic articles and peaks in the layout of the real files.

    Each title is made of words of one topic, and three quarters of the article's peaks lie around the place of that
    topic. The quirks of the real table are there too: Talairach and unknown spaces, one title used twice, one article
    without a peak in the brain.

    Parameters
    ----------
    folder : path
        Made if absent; marked as synthetic by a file that names each article's topic.
    rng : int or numpy.random.Generator
        Source of all randomness.
    n_articles : int
        Number of rows, 10 to 10,000; two of them are unusable by design.
    """
    if not 10 <= n_articles <= 10_000:  # beyond that the topics run out of titles
        raise ValueError(f"n_articles: got {n_articles}; expected 10 to 10,000.")
    generator = np.random.default_rng(rng)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    topics = generator.choice(list(TOPICS), n_articles)
    titles = _titles(topics[:-1], generator)
    ids = [str(90_000_001 + row) for row in range(n_articles)]
    articles = pd.DataFrame(
        {
            "id": ids,
            "doi": "",
            "space": generator.choice(SPACES, n_articles, p=(0.7, 0.2, 0.1)),
            "title": [*titles, titles[0]],
            "authors": "Nobody A, Noone B",
            "year": np.linspace(1997, 2018, n_articles).astype(int),
            "journal": "Journal of Synthetic Results",
        }
    )
    peaks = pd.concat([_peaks(*row, generator) for row in zip(ids, topics, articles["space"], strict=True)])
    peaks.loc[peaks["id"] == ids[1], ["x", "y", "z"]] = 99.0
    _write(folder / METADATA, articles)
    peaks = peaks.assign(table_id=1, table_num="1.", peak_id=range(len(peaks)))
    _write(folder / COORDINATES, peaks[["id", "table_id", "table_num", "peak_id", "x", "y", "z"]])
    mark_synthetic(folder, {"topic": dict(zip(ids, topics.tolist(), strict=True)), "space": MNI})


def twin(
    n_articles: int = 400, rng: int | np.random.Generator = 0, *, spacing_mm: float = 8.0, sigma_voxels: float = 1.0
) -> tuple[Stimuli, xr.DataArray]:
    """Make synthetic articles and maps, through files and the loader of the real ones.

    Parameters
    ----------
    n_articles : int
        Number of articles written; two of them are unusable by design.
    rng : int or numpy.random.Generator
        Source of all randomness.
    spacing_mm, sigma_voxels : float
        As in :func:`load`.

    Returns
    -------
    stimuli : Stimuli
        With the column ``topic``, the truth.
    recording : xarray.DataArray, dims (sample, voxel), float32
        ``attrs["synthetic"]`` is 1 (netCDF knows no booleans); the coordinate ``topic`` is the truth.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_twin(folder, rng, n_articles=n_articles)
        stimuli, recording = load(folder, spacing_mm=spacing_mm, sigma_voxels=sigma_voxels)
        topics = truth_of(Path(folder))["topic"]
    stimuli = Stimuli(stimuli.table.assign(topic=[topics[label] for label in stimuli.labels]))
    return stimuli, recording.assign_coords(dict(stimuli.coords("topic")))


def _titles(topics: NDArray[np.str_], rng: np.random.Generator) -> list[str]:
    """Compose titles, one a topic, no two alike."""
    titles: dict[str, None] = {}
    for topic in topics:
        before = len(titles)
        while len(titles) == before:
            words = rng.choice(TOPICS[str(topic)][1].split(), 3, replace=False)
            titles[str(rng.choice(FRAMES)).format(*words)] = None
    return list(titles)


def _peaks(article: str, topic: str, space: str, rng: np.random.Generator) -> pd.DataFrame:
    n_peaks = int(rng.integers(8, 40))
    points = np.array(TOPICS[topic][0]) + rng.normal(scale=SPREAD_MM, size=(n_peaks, 3))
    stray = rng.random(n_peaks) < STRAY
    points[stray] = rng.choice(mni_grid(8.0).centres, int(stray.sum()))
    points = mni_to_tal(points) if space == "TAL" else points
    return pd.DataFrame(points.round(), columns=["x", "y", "z"]).assign(id=article)


def _write(path: Path, table: pd.DataFrame) -> None:
    path.write_bytes(gzip.compress(table.to_csv(sep="\t", index=False).encode(), mtime=0))
