"""Nine people who listened to up to 84 stories in the scanner (LeBel et al. 2023, OpenNeuro ds003020)."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.axes import volume_labels
from neuroling.data.cards import card
from neuroling.data.errors import CorruptData, DataNotFound, reading, require_file
from neuroling.data.selection import names_of
from neuroling.data.sources import ArraySource, RunsSource
from neuroling.data.stories import (
    Hdf5Matrix,
    RepeatsSource,
    StoryRecording,
    check_name,
    find_folder,
    label_words,
    open_hdf5,
    paths_of,
    subjects_of,
)
from neuroling.data.synthetic import ar1_noise, double_gamma, is_synthetic, mark_synthetic, zscored
from neuroling.data.textgrid import read_intervals, write_tiers

NAME = "lebel2023"
TR_S = 2.0
"""Seconds from one volume to the next, as the authors' pipeline passes them; the default in their class is 2.0045."""

SOUND_AT_S = 10.0
"""When the sound begins, in seconds after the first volume."""

N_TRIMMED = (10, 10)
"""Volumes of the scan that the files lack at the beginning and at the end."""

TEST_STORY = "wheretheressmoke"
TRAINING_ROWS = {
    "adollshouse": 261,
    "adventuresinsayingyes": 411,
    "alternateithicatom": 363,
    "avatar": 387,
    "buck": 352,
    "exorcism": 487,
    "eyespy": 399,
    "fromboyhoodtofatherhood": 368,
    "hangtime": 344,
    "haveyoumethimyet": 516,
    "howtodraw": 374,
    "inamoment": 225,
    "itsabox": 375,
    "legacy": 420,
    "life": 450,
    "myfirstdaywiththeyankees": 378,
    "naked": 442,
    "odetostepfather": 424,
    "sloth": 457,
    "souls": 375,
    "stagefright": 313,
    "swimmingwithastronauts": 405,
    "thatthingonmyarm": 454,
    "theclosetthatateeverything": 334,
    "tildeath": 343,
    "undertheinfluence": 324,
}
"""The 26 training stories of sessions 1 to 5, and the volumes scanned of each; the files hold 20 fewer."""

TEST_VOLUMES = 311
NOT_WORDS = ("sentence_start", "sentence_end", "br", "lg", "ls", "ns", "sp")
"""Labels of the aligner that are no words, after braces are taken off; as in the authors' code."""

WORD_TIER = 1
"""Number of the tier of words, from 0; it is chosen by number, since its name is not documented."""

SHORTEST_COVER = 0.5
"""Share of a scan that its transcript must cover at least: a heuristic against the transcript of another story."""

WordTime = Literal["middle", "onset"]


def load(
    folder: Path | str | None = None,
    *,
    subject: str,
    stories: Sequence[str] | None = None,
    word_time: WordTime = "middle",
) -> StoryRecording:
    """Open the preprocessed recording of one participant, and read the words of the stories.

    Parameters
    ----------
    folder : path, optional
        Folder laid out as the snapshot 3.1.0 of ds003020; by default found by :func:`neuroling.data.locate`.
    subject : str
        ``"UTS01"`` to ``"UTS09"``.
    stories : sequence of str, optional
        Which ones, in this order. By default the 26 training stories of sessions 1 to 5 and ``wheretheressmoke``, but
        those that were not recorded from the participant (``life`` from UTS04, ``fromboyhoodtofatherhood`` from UTS09),
        which are named in ``excluded``.
    word_time : {"middle", "onset"}
        Which moment of a word is its ``onset``: the middle of its interval, as in the authors' code, or its beginning.

    Returns
    -------
    StoryRecording
        ``recording`` is a source of volumes, one group per story, labelled ``"STORY:10"``, … by their number in the
        scan; ``onset`` is the middle of the volume in seconds after the sound began. ``wheretheressmoke`` is the mean
        of its presentations, see :func:`load_repeats`. Values are passed on as they are stored.

    Raises
    ------
    ValueError
        If there is no such participant or story.
    DataNotFound, CorruptData
        If a file is absent, truncated, of another size than ``respdict.json`` says, or a transcript does not cover its
        run.
    """
    if word_time not in ("middle", "onset"):
        raise ValueError(f"word_time: got {word_time!r}; expected 'middle' or 'onset'.")
    stories, excluded = _select_stories(subject, stories)
    folder = find_folder(NAME, folder, subject, stories)
    scanned = _read_lengths(folder, stories)
    recorded = folder / "derivative" / "preprocessed_data" / subject
    if not recorded.is_dir():
        raise DataNotFound(
            f"{recorded}: no such folder; expected one per participant, as in snapshot 3.1.0 of ds003020 (older "
            "snapshots lack UTS04, UTS09 and sessions of others)."
        )
    options = {
        "snapshot": "3.1.0",
        "volumes": "without the first 10 and the last 10 of each scan, as stored",
        "values": "as stored, which the authors treat as z-scored per story",
        "word time": word_time,
    }
    attrs = {"dataset": NAME, "subject": subject, "tr_s": TR_S, "synthetic": int(is_synthetic(folder)), **options}
    runs = [_open_run(recorded / f"{story}.hf5", story, n, attrs) for story, n in scanned.items()]
    words = pd.concat([_read_words(folder, story, n, word_time) for story, n in scanned.items()], ignore_index=True)
    return StoryRecording(label_words(words), RunsSource(runs), _volumes(scanned), options, excluded)


def needed_files(subject: str) -> list[str]:
    """List the files that :func:`load` reads by default.

    Parameters
    ----------
    subject : str
        ``"UTS01"`` to ``"UTS09"``.

    Returns
    -------
    list of str
        Paths below the folder of the data set.
    """
    return paths_of(NAME, subject, _select_stories(subject, None)[0])


def load_repeats(folder: Path | str | None = None, *, subject: str) -> RepeatsSource:
    """Open the single presentations of ``wheretheressmoke`` (10 of UTS01 to UTS03, 5 of the others).

    Parameters
    ----------
    folder, subject
        As for :func:`load`.

    Returns
    -------
    RepeatsSource
        Its values are (sample, repeat, voxel), labelled as the recording of :func:`load`; all of UTS03 are 2.2 GB.
    """
    check_name("subject", subject, subjects_of(NAME), NAME)
    folder = find_folder(NAME, folder, subject, [TEST_STORY])
    (n_scanned,) = _read_lengths(folder, [TEST_STORY]).values()
    path = folder / "derivative" / "preprocessed_data" / subject / f"{TEST_STORY}.hf5"
    matrix = open_hdf5(path, "individual_repeats", "preprocessed volumes of a story")
    n_rows = n_scanned - sum(N_TRIMMED)
    if len(matrix.shape) != 3 or matrix.shape[1] != n_rows:
        raise CorruptData(path, f"individual_repeats of shape {matrix.shape}", f"(repeat, {n_rows}, voxel)")
    attrs = {"dataset": NAME, "subject": subject, "synthetic": int(is_synthetic(folder)), "source": str(path)}
    return RepeatsSource(matrix, _sample_coords(TEST_STORY, n_scanned), "voxel", attrs)


def _select_stories(subject: str, stories: Sequence[str] | None) -> tuple[list[str], tuple[str, ...]]:
    """Give the stories to read, and a sentence for each of the default ones that the participant lacks."""
    check_name("subject", subject, subjects_of(NAME), NAME)
    recorded_stories = names_of(card(NAME), "story", subject=subject)
    if stories is None:
        missing = [story for story in TRAINING_ROWS if story not in recorded_stories]
        excluded = tuple(f"{story}: not recorded from {subject}" for story in missing)
        return [story for story in (*TRAINING_ROWS, TEST_STORY) if story not in missing], excluded
    if isinstance(stories, str) or not stories:
        raise ValueError(f"stories: got {stories!r}; expected a list of at least one name.")
    for story in stories:
        check_name("stories", story, names_of(card(NAME), "story"), NAME)
        if story not in recorded_stories:
            raise ValueError(
                f"stories: {subject} has no recording of {story!r}, others have; there are {len(recorded_stories)}: "
                f"{', '.join(recorded_stories)}."
            )
    return list(stories), ()


def _read_lengths(folder: Path, stories: Sequence[str]) -> dict[str, int]:
    """Read how many volumes were scanned of each story."""
    path = require_file(folder / "derivative" / "respdict.json", "volumes scanned of every story")
    with reading(path, "a JSON object of numbers of volumes"):
        lengths = {str(story): int(n) for story, n in json.loads(path.read_text(encoding="utf-8")).items()}
    missing = [story for story in stories if story not in lengths]
    if missing:
        raise CorruptData(path, f"{len(lengths)} stories without {', '.join(missing)}", "that of snapshot 3.1.0")
    return {story: lengths[story] for story in stories}


def _open_run(path: Path, story: str, n_scanned: int, attrs: Mapping[str, object]) -> ArraySource:
    matrix: Hdf5Matrix = open_hdf5(path, "data", "preprocessed volumes of a story")
    n_rows = n_scanned - sum(N_TRIMMED)
    if len(matrix.shape) != 2 or matrix.shape[0] != n_rows or matrix.dtype != np.float64:
        raise CorruptData(
            path,
            f"{matrix.dtype} of shape {matrix.shape}",
            f"float64 of shape ({n_rows}, voxel), for respdict.json says {n_scanned} volumes and {sum(N_TRIMMED)} of "
            "them are cut off; are both of one snapshot?",
        )
    return ArraySource(matrix, _sample_coords(story, n_scanned), attrs={**attrs, "source": str(path)})


def _sample_coords(story: str, n_scanned: int, *, trimmed: bool = True) -> dict[str, NDArray[np.generic]]:
    """Label volumes by their number in the scan; their time is that of their middle, since the sound began."""
    volume = np.arange(n_scanned)
    volumes_in_file = volume[N_TRIMMED[0] : n_scanned - N_TRIMMED[1]] if trimmed else volume
    return {
        "sample": np.array(volume_labels(story, n_scanned))[volumes_in_file],
        "group": np.full(len(volumes_in_file), story),
        "time_index": volumes_in_file,
        "onset": TR_S * volumes_in_file - SOUND_AT_S + TR_S / 2,
    }


def _volumes(scanned: Mapping[str, int]) -> xr.DataArray:
    """Give the times of all volumes, those too that the files lack."""
    runs = [_sample_coords(story, n, trimmed=False) for story, n in scanned.items()]
    coords = {name: ("sample", np.concatenate([run[name] for run in runs])) for name in runs[0]}
    return xr.DataArray(np.zeros(sum(scanned.values())), dims=("sample",), coords=coords)


def _read_words(folder: Path, story: str, n_scanned: int, word_time: WordTime) -> pd.DataFrame:
    path = folder / "derivative" / "TextGrids" / f"{story}.TextGrid"
    intervals = read_intervals(path, WORD_TIER)
    texts = intervals["text"].str.strip("{} ").str.lower()
    words = intervals[~texts.isin([*NOT_WORDS, ""])].assign(text=texts, group=story).reset_index(drop=True)
    if words.empty:
        raise CorruptData(path, f"{len(intervals)} intervals without a word", "a transcript")
    last, end = float(words["offset"].iloc[-1]), TR_S * n_scanned - SOUND_AT_S
    if not SHORTEST_COVER * end <= last <= end:
        raise CorruptData(
            path,
            f"its last word ends at {last:.1f} s",
            f"one within the scan, which ends {end:.0f} s after the sound began, and after half of it",
        )
    if word_time == "middle":
        middle = (words["onset"] + words["offset"]) / 2
        return words.rename(columns={"onset": "interval_onset"}).assign(onset=middle)
    return words


# --- the synthetic twin ----------------------------------------------------------------------------------------------

ANIMALS = ("horse", "mouse", "sheep", "tiger", "eagle", "snake")
THINGS = ("table", "stone", "paper", "chair", "glass", "bread")
"""As long as the animals, so that length does not give the planted response away."""

FUNCTION_WORDS = ("the", "a", "and", "of", "to", "it", "was", "she", "in", "that")
SECONDS_PER_WORD = 1.0
N_REPEATS = {"UTS01": 10, "UTS02": 10, "UTS03": 10}
"""Presentations of the test story; 5 of every participant who is not named."""

NOISE_AR = 0.4
TWIN_STORIES = ("alternateithicatom", "avatar", "howtodraw", "souls")


def write_twin(
    folder: Path | str,
    rng: int | np.random.Generator = 0,
    *,
    subjects: Sequence[str] = ("UTS03",),
    stories: Sequence[str] = TWIN_STORIES,
    n_voxels: int = 12,
    effect: float = 1.0,
) -> None:
    """Write synthetic volumes and transcripts in the layout of the real files, with as many rows per story.

    The first half of the voxels answers to names of animals through a double-gamma response; the other half is noise.

    Parameters
    ----------
    folder : path
        Made if absent; marked as synthetic by a file that holds what was planted.
    rng : int or numpy.random.Generator
        Source of all randomness.
    subjects : sequence of str
        Participants.
    stories : sequence of str
        Training stories, among the 26; the test story is always written.
    n_voxels : int
        Voxels, at least 2.
    effect : float
        Standard deviation of the planted response in units of that of the noise; 0 for none.
    """
    if n_voxels < 2 or effect < 0:
        raise ValueError(f"n_voxels, effect: got {n_voxels}, {effect}; expected at least 2, and none below zero.")
    generator = np.random.default_rng(rng)
    derivative = Path(folder) / "derivative"
    (derivative / "TextGrids").mkdir(parents=True, exist_ok=True)
    lengths = {**TRAINING_ROWS, TEST_STORY: TEST_VOLUMES}
    (derivative / "respdict.json").write_text(json.dumps(lengths), encoding="utf-8")
    signals = {}
    for number, story in enumerate((*stories, TEST_STORY)):
        words = _draw_words(TR_S * lengths[story] - 19, generator)
        _write_transcript(derivative / "TextGrids" / f"{story}.TextGrid", words, number)
        signals[story] = _response(words, lengths[story])
    for subject in subjects:
        (derivative / "preprocessed_data" / subject).mkdir(parents=True, exist_ok=True)
        for story, signal in signals.items():
            n_repeats = N_REPEATS.get(subject, 5) if story == TEST_STORY else 1
            planted = effect * np.outer(signal, np.arange(n_voxels) < n_voxels // 2)
            runs = [zscored(planted + ar1_noise(planted.shape, NOISE_AR, generator)) for _ in range(n_repeats)]
            _write_volumes(derivative / "preprocessed_data" / subject / f"{story}.hf5", np.stack(runs), story)
    truth = {"animals": ANIMALS, "responding_voxels": n_voxels // 2, "effect": effect}
    mark_synthetic(Path(folder), truth)


def twin(
    subject: str = "UTS03", rng: int | np.random.Generator = 0, *, n_voxels: int = 12, effect: float = 1.0
) -> StoryRecording:
    """Make a synthetic recording of four training stories and the test story, through files and the loader.

    Parameters
    ----------
    subject : str
        Participant.
    rng : int or numpy.random.Generator
        Source of all randomness.
    n_voxels : int
        Voxels.
    effect : float
        As for :func:`write_twin`.

    Returns
    -------
    StoryRecording
        Its recording is in memory.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_twin(folder, rng, subjects=[subject], n_voxels=n_voxels, effect=effect)
        story = load(folder, subject=subject, stories=[*TWIN_STORIES, TEST_STORY])
        assert not isinstance(story.recording, xr.DataArray)  # noqa: S101 - for the type checker
        volumes = story.recording.read(slice(0, n_voxels))
    return StoryRecording(story.words, volumes, story.scanned, story.options, story.excluded)


def _draw_words(end_s: float, rng: np.random.Generator) -> pd.DataFrame:
    """Draw words up to an end, in seconds; animals and things come in stretches of twelve."""
    n_words = int(end_s / SECONDS_PER_WORD)
    share = np.repeat(rng.uniform(0.0, 1.0, n_words // 12 + 1), 12)[:n_words]  # of animals among the nouns
    nouns = np.where(rng.random(n_words) < share, rng.choice(ANIMALS, n_words), rng.choice(THINGS, n_words))
    texts = np.where(rng.random(n_words) < 0.6, nouns, rng.choice(FUNCTION_WORDS, n_words))
    edges = np.linspace(0.5, end_s, n_words + 1).round(4)
    table = pd.DataFrame({"onset": edges[:-1], "offset": edges[1:], "text": texts})
    table["text"] = table["text"].str.upper()
    for row, label in ((0, "{sp}"), (n_words // 2, "ls"), (n_words // 3, "br"), (n_words - 1, "sp")):
        table.loc[row, "text"] = label
    return table


def _write_transcript(path: Path, words: pd.DataFrame, number: int) -> None:
    """Write phones and words; every second file chronological, and the test story with phones that overlap."""
    phones = words.assign(text="AH0")
    if path.stem == TEST_STORY:
        phones = phones.assign(offset=phones["offset"] + 0.05)
    write_tiers(path, {"phone": phones, "word": words}, chronological=number % 2 == 1)


def _response(words: pd.DataFrame, n_scanned: int) -> NDArray[np.float64]:
    """Convolve the names of animals, shape (row of the file,)."""
    animals = words.loc[words["text"].str.lower().isin(ANIMALS), ["onset", "offset"]].mean(axis=1).to_numpy()
    times = _sample_coords(TEST_STORY, n_scanned)["onset"].astype(np.float64)
    return zscored(double_gamma(times[:, np.newaxis] - animals).sum(axis=1))


def _write_volumes(path: Path, presentations: NDArray[np.float64], story: str) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file["data"] = presentations.mean(axis=0)
        if story == TEST_STORY:
            file["individual_repeats"] = presentations
