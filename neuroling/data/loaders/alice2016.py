"""Alice in Wonderland, chapter 1: twelve minutes of a story, heard in the scanner (Brennan et al. 2016)."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.data.cards import card
from neuroling.data.errors import CorruptData, DataNotFound
from neuroling.data.fetch import locate
from neuroling.data.synthetic import ar1_noise, convolved, is_synthetic, mark_synthetic, zscored
from neuroling.data.tables import read_numbers
from neuroling.data.textgrid import read_intervals, write_intervals

NAME = "alice2016_fmri"
TR_S = 2.0
"""Seconds from one volume to the next."""

N_DISCARDED = 10
"""Volumes dropped from the start of every recording; the shipped predictors still have them."""

REGIONS = ("LATL", "RATL", "LPTL", "LIPL", "LPreM", "LIFG")
CONTROLS = (
    *("rate", "frq", "break", "tdp", "tdx", "bup", "bux"),
    *("cfgsurp", "bigramlex", "trigramlex", "bigrampos", "trigrampos"),
)
"""Columns of the authors' predictors, after their README."""

PREDICTORS = "sept18-generic-predictors-under-hrf-with-logfrqhal.txt"
TEXTGRID = "alice_stim_shared/DownTheRabbitHoleFinal_exp120_pad_1.TextGrid"
SILENCE = ("", "sp")
"""What the aligner writes between words."""

GROUP = "chapter1"


@dataclass(frozen=True)
class AliceStory:
    """What people heard, what was recorded, and the predictors that came with it.

    Attributes
    ----------
    words : Stimuli
        One row a word, labelled ``"0001 Alice"``: ``onset`` and ``offset`` (s of the audio file), ``position``,
        ``group``.
    recording : xarray.DataArray, dims (subject, sample, region)
        Scanner units, not comparable between participants. Samples are volumes, labelled by their number in the scan
        (the first ten were dropped); coordinates ``onset`` (s of the audio file), ``time_index`` and ``group``.
    controls : xarray.DataArray, dims (sample, feature)
        The authors' predictors, already convolved with a haemodynamic response, and the power of the sound.
    """

    words: Stimuli
    recording: xr.DataArray
    controls: xr.DataArray


def load(folder: Path | str | None = None, *, radius_mm: Literal[6, 10] = 6) -> AliceStory:
    """Load words, regional time courses and the authors' predictors.

    Parameters
    ----------
    folder : path, optional
        Folder laid out as the card says; by default found by :func:`neuroling.data.fetch.locate`.
    radius_mm : {6, 10}
        Radius of the spheres that the regions are, in mm.

    Returns
    -------
    AliceStory
        ``recording.attrs["excluded"]`` names participants left out, with the reason (here s33, all zeros).

    Raises
    ------
    DataNotFound, CorruptData
        If a file is absent or not what it should be; the message names it.
    """
    if radius_mm not in (6, 10):
        raise ValueError(f"radius_mm: got {radius_mm!r}; expected 6 or 10.")
    folder = locate(NAME, _needed(radius_mm)) if folder is None else Path(folder)
    courses, excluded = _read_courses(folder / "alice_data_shared" / f"{radius_mm}mm")
    n_volumes = next(iter(courses.values())).shape[0]
    samples = _sample_coords(n_volumes)
    notes = {"dataset": NAME, "synthetic": int(is_synthetic(folder)), "tr_s": TR_S}
    recording = xr.DataArray(
        np.stack(list(courses.values())),  # (subject, volume, region)
        dims=("subject", "sample", "region"),
        coords={"subject": list(courses), **samples, "region": list(REGIONS)},
        attrs={**notes, "units": "scanner units", "radius_mm": radius_mm, "excluded": excluded},
        name="bold",
    )
    controls = _read_controls(folder / "alice_data_shared", list(courses), n_volumes)
    return AliceStory(
        _read_words(folder / TEXTGRID),
        recording,
        xr.DataArray(
            controls,
            dims=("sample", "feature"),
            coords={**samples, "feature": [*CONTROLS, "sound_power"]},
            attrs={**notes, "units": "arbitrary, convolved with a haemodynamic response"},
            name="controls",
        ),
    )


def _needed(radius_mm: int) -> list[str]:
    other = "10mm" if radius_mm == 6 else "6mm"
    return [file.path for file in card(NAME).files if f"/{other}/" not in file.path]


def _sample_coords(n_volumes: int) -> dict[str, object]:
    volume = np.arange(N_DISCARDED, N_DISCARDED + n_volumes)
    return {
        "sample": ("sample", volume),
        "time_index": ("sample", volume),
        "onset": ("sample", volume * TR_S, {"units": "s"}),
        "group": ("sample", np.full(n_volumes, GROUP)),
    }


def _read_courses(folder: Path) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    """Read the time courses (volume, region) of every participant, and say who is left out and why."""
    paths = sorted(path for path in folder.glob("s*-timecourses.txt") if re.match(r"s\d\d-", path.name))
    if not paths:
        raise DataNotFound(f"{folder}: no time courses; expected files named sNN-timecourses.txt.")
    courses: dict[str, NDArray[np.float64]] = {}
    excluded = []
    for path in paths:
        subject = path.name[:3]
        course = read_numbers(path, (None, len(REGIONS)))
        first = next(iter(courses.values()), course)
        if len(course) != len(first):
            raise CorruptData(path, f"{len(course)} volumes", f"{len(first)}, as for {next(iter(courses))}")
        dead = [region for region, spread in zip(REGIONS, np.ptp(course, axis=0), strict=True) if spread == 0]
        if dead:
            excluded.append(f"{subject}: no variation in {', '.join(dead)}")
        else:
            courses[subject] = course
    if not courses:
        raise CorruptData(folder, f"no usable participant ({'; '.join(excluded)})", "time courses that vary")
    return courses, excluded


def _read_controls(folder: Path, subjects: list[str], n_volumes: int) -> NDArray[np.float64]:
    """Read the predictors (volume, control), the power of the sound last.

    Its files, one a participant, hold the same numbers up to rounding; their mean is taken.
    """
    generic = read_numbers(folder / PREDICTORS, (N_DISCARDED + n_volumes, len(CONTROLS)))
    power = [read_numbers(folder / f"{subject}-sndpwr.txt", (n_volumes, 1)) for subject in subjects]
    return np.hstack([generic[N_DISCARDED:], np.mean(power, axis=0)])


def _read_words(path: Path) -> Stimuli:
    intervals = read_intervals(path, "word")
    words = intervals[~intervals["text"].isin(SILENCE)].reset_index(drop=True)
    if words.empty:
        raise CorruptData(path, f"{len(intervals)} intervals, all silent", "words")
    return Stimuli.from_texts(
        words["text"].tolist(),
        labels=[f"{number:04d} {word}" for number, word in enumerate(words["text"], start=1)],
        onset=words["onset"],
        offset=words["offset"],
        position=np.arange(1, len(words) + 1),
        group=np.full(len(words), GROUP),
    )


# --- the synthetic twin ----------------------------------------------------------------------------------------------

CONTENT_WORDS = (
    "rabbit",
    "watch",
    "garden",
    "bottle",
    "key",
    "cake",
    "tears",
    "mouse",
    "table",
    "door",
    "cat",
    "queen",
)
FUNCTION_WORDS = ("the", "a", "and", "of", "to", "it", "was", "she", "in", "that", "but", "so")
PADDING_S = 20.0
"""Silence before the story, in seconds, as in the real audio file."""

RATE_WEIGHTS = (0.5, 0.4, 0.6, 0.3, 0.4, 0.5)
CONTENT_WEIGHTS = (0.6, 0.5, 0.6, 0.4, 0.2, 0.5)
"""Planted weights per region on the standardised convolved word rate and content, in units of the noise."""

NOISE_AR = 0.5
"""Correlation of the twin's noise from one volume to the next."""


def write_twin(
    folder: Path | str, rng: int | np.random.Generator = 0, *, n_subjects: int = 6, n_volumes: int = 120
) -> None:
    """Write a synthetic story, its words and people's regional time courses in the layout of the real files.

    Every region answers to how many words are heard and to how many of them are content words, both convolved with a
    double-gamma response; AR(1) noise is added. One more participant, s33, is all zeros, as in the real data.

    Parameters
    ----------
    folder : path
        Made if absent; marked as synthetic by a file that holds the planted weights.
    rng : int or numpy.random.Generator
        Source of all randomness.
    n_subjects : int
        Usable participants, 1 to 66.
    n_volumes : int
        Volumes of each, at least 20.
    """
    if not 1 <= n_subjects <= 66 or n_volumes < 20:
        raise ValueError(f"n_subjects, n_volumes: got {n_subjects}, {n_volumes}; expected 1 to 66 and at least 20.")
    generator = np.random.default_rng(rng)
    shared = Path(folder) / "alice_data_shared"
    (Path(folder) / TEXTGRID).parent.mkdir(parents=True, exist_ok=True)
    words = _draw_words((N_DISCARDED + n_volumes) * TR_S, generator)
    write_intervals(Path(folder) / TEXTGRID, "word", words)
    rate, content = _drives(words, N_DISCARDED + n_volumes)
    for name, weight in (("6mm", 1.0), ("10mm", 0.8)):
        (shared / name).mkdir(parents=True, exist_ok=True)
        _write_courses(shared / name, weight * _signal(rate, content)[N_DISCARDED:], n_subjects, generator)
    others = generator.standard_normal((len(rate), len(CONTROLS) - 2))
    _write_numbers(shared / PREDICTORS, np.column_stack([rate, content, others]))
    for subject in (*_subjects(n_subjects), "s33"):
        _write_numbers(shared / f"{subject}-sndpwr.txt", rate[N_DISCARDED:, np.newaxis] + 0.1)
    weights = {"rate": RATE_WEIGHTS, "content": CONTENT_WEIGHTS}
    mark_synthetic(Path(folder), {"weights": weights, "content_words": CONTENT_WORDS, "noise_ar": NOISE_AR})


def twin(n_subjects: int = 6, n_volumes: int = 120, rng: int | np.random.Generator = 0) -> AliceStory:
    """Make a synthetic story, through files and the loader of the real one.

    Parameters
    ----------
    n_subjects : int
        Usable participants.
    n_volumes : int
        Volumes of each.
    rng : int or numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    AliceStory
        ``recording.attrs["synthetic"]`` is 1; the column ``content`` of the words says which ones drive the response.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_twin(folder, rng, n_subjects=n_subjects, n_volumes=n_volumes)
        story = load(folder)
    table = story.words.table
    words = Stimuli(table.assign(content=table["text"].isin(CONTENT_WORDS).astype(int)))
    return AliceStory(words, story.recording, story.controls)


def _subjects(n_subjects: int) -> list[str]:
    return [f"s{number}" for number in range(18, 18 + n_subjects + 1) if number != 33][:n_subjects]


def _draw_words(end_s: float, rng: np.random.Generator) -> pd.DataFrame:
    """Draw words and pauses that fill the story up to its end, in seconds."""
    n_words = int((end_s - PADDING_S) / 0.25)
    share = np.repeat(rng.uniform(0.1, 0.7, n_words // 10 + 1), 10)[:n_words]  # content comes in stretches
    content = rng.random(n_words) < share
    texts = np.where(content, rng.choice(CONTENT_WORDS, n_words), rng.choice(FUNCTION_WORDS, n_words))
    texts[rng.random(n_words) < 0.12] = "sp"
    durations = rng.gamma(4.0, 0.085, n_words) + 0.02 + (texts == "sp") * rng.exponential(0.6, n_words)
    offsets = PADDING_S + np.cumsum(durations)
    onsets = np.append(PADDING_S, offsets[:-1])
    kept = offsets < end_s
    silence = pd.DataFrame({"onset": [0.0], "offset": [PADDING_S], "text": ["sp"]})
    story = pd.DataFrame({"onset": onsets[kept], "offset": offsets[kept], "text": texts[kept]})
    return pd.concat([silence, story], ignore_index=True)


def _drives(words: pd.DataFrame, n_volumes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Convolve word rate and content, each of shape (volume,), the discarded volumes included."""
    heard = words[~words["text"].isin(SILENCE)]
    content = heard[heard["text"].isin(CONTENT_WORDS)]
    times = np.arange(n_volumes, dtype=np.float64) * TR_S
    return convolved(heard["offset"], times), convolved(content["offset"], times)


def _signal(rate: NDArray[np.float64], content: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add up the planted responses, shape (volume, region)."""
    return np.outer(zscored(rate), RATE_WEIGHTS) + np.outer(zscored(content), CONTENT_WEIGHTS)


def _write_courses(folder: Path, signal: NDArray[np.float64], n_subjects: int, rng: np.random.Generator) -> None:
    for subject in _subjects(n_subjects):
        baseline = rng.uniform(80, 250, len(REGIONS))
        course = baseline + 0.6 * (signal + ar1_noise(signal.shape, NOISE_AR, rng))  # about 0.5 % of the baseline
        _write_numbers(folder / f"{subject}-timecourses.txt", course)
    _write_numbers(folder / "s33-timecourses.txt", np.zeros_like(signal))


def _write_numbers(path: Path, numbers: NDArray[np.float64]) -> None:
    np.savetxt(path, numbers, fmt="%.7e")
