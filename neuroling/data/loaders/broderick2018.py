"""An hour of The Old Man and the Sea, heard with EEG (Di Liberto et al. 2015, Broderick et al. 2018; ds004408)."""

from __future__ import annotations

import tempfile
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.data.brainvision import write_brainvision
from neuroling.data.cards import card
from neuroling.data.eeg import from_raw, read_raw
from neuroling.data.errors import CorruptData, reading, require_file
from neuroling.data.selection import select_files
from neuroling.data.stories import StoryRecording, check_name, find_folder, label_words, subjects_of
from neuroling.data.synthetic import ar1_noise, is_synthetic, mark_synthetic
from neuroling.data.textgrid import read_intervals, write_tiers

NAME = "broderick2018"
RATE_HZ = 512
N_RUNS = 20
SILENCE = ("", "sp", "sil")
DOUBTFUL_RUN = 15
"""In one published alignment the words of this run are off from about 170 s on."""

Reference = Literal["average", "as stored"]


def load(
    folder: Path | str | None = None,
    *,
    subject: str,
    runs: Sequence[int] = tuple(range(1, N_RUNS + 1)),
    band_hz: tuple[float, float] = (0.5, 15.0),
    rate_hz: float = 64.0,
    reference: Reference = "average",
) -> StoryRecording:
    """Read the EEG of one participant, cut at the end of the sound, and the words.

    Parameters
    ----------
    folder : path, optional
        Folder laid out as ds004408, version 1.0.8; by default found by :func:`neuroling.data.locate`.
    subject : str
        ``"sub-001"`` to ``"sub-019"``.
    runs : sequence of int
        Which of the 20 runs, in this order.
    band_hz : tuple of float
        Edges of the band-pass filter, before the rate is lowered.
    rate_hz : float
        Samples per second of the recording that is returned.
    reference : {"average", "as stored"}
        BioSemi records without a reference; by default each sample is referred to the mean of the channels.

    Returns
    -------
    StoryRecording
        ``words``: ``onset`` and ``offset`` (s since the beginning of the first run, runs end to end), ``group``
        (``"run-01"``). ``recording``: (sample, channel) in µV, on the same clock, a group per run.

    Raises
    ------
    ValueError
        If there is no such participant or run.
    DataNotFound, CorruptData
        If a file is absent or damaged, the EEG is shorter than the sound, or words go beyond it.
    """
    check_name("subject", subject, subjects_of(NAME), NAME)
    wrong = [run for run in runs if run not in range(1, N_RUNS + 1)]
    if wrong or not len(runs):
        raise ValueError(f"runs: got {list(runs)}; expected numbers from 1 to {N_RUNS}.")
    if reference not in ("average", "as stored"):
        raise ValueError(f"reference: got {reference!r}; expected 'average' or 'as stored'.")
    folder = find_folder(NAME, folder, subject, [f"{run:02d}" for run in runs])
    recordings, words, begin_s = [], [], 0.0
    for run in runs:
        sound_s = _sound_length(folder / "stimuli" / f"audio{run:02d}.wav")
        eeg = _read_run(folder, subject, run, sound_s, band_hz, rate_hz)
        labels = [f"run-{run:02d}:{number}" for number in range(eeg.sizes["sample"])]
        group = np.full(len(labels), f"run-{run:02d}")
        onset = eeg.onset.to_numpy() + begin_s
        recordings.append(eeg.assign_coords(sample=labels, onset=("sample", onset), group=("sample", group)))
        words.append(_read_words(folder / "stimuli" / f"audio{run:02d}.TextGrid", run, sound_s, begin_s))
        begin_s += eeg.sizes["sample"] / rate_hz
    recording = xr.concat(recordings, "sample", join="exact", combine_attrs="override")
    if reference == "average":
        recording = recording - recording.mean("channel")
    options = {
        "band": f"{band_hz[0]:g} to {band_hz[1]:g} Hz",
        "rate": f"{rate_hz:g} samples per second",
        "reference": reference,
        "cut": "each run at the end of its sound",
    }
    if DOUBTFUL_RUN in runs:
        options["run 15"] = "words as stored; in one published alignment they are off from about 170 s on"
    attrs = {"dataset": NAME, "subject": subject, "rate_hz": rate_hz, "units": "µV", **options}
    recording = recording.assign_attrs(attrs, synthetic=int(is_synthetic(folder)))
    return StoryRecording(label_words(pd.concat(words, ignore_index=True)), recording, None, options)


def needed_files(subject: str, runs: Sequence[int] = tuple(range(1, N_RUNS + 1))) -> list[str]:
    """List the files that :func:`load` reads.

    Parameters
    ----------
    subject : str
        ``"sub-001"`` to ``"sub-019"``.
    runs : sequence of int
        Which runs.

    Returns
    -------
    list of str
        Paths below the folder of the data set.
    """
    stories = [f"{run:02d}" for run in runs]
    return [file.path for file in select_files(card(NAME), subjects=[subject], stories=stories)]


def _sound_length(path: Path) -> float:
    with reading(require_file(path, "the sound of a run"), "a WAV file"), wave.open(str(path), "rb") as sound:
        return sound.getnframes() / sound.getframerate()


def _read_run(
    folder: Path, subject: str, run: int, sound_s: float, band_hz: tuple[float, float], rate_hz: float
) -> xr.DataArray:
    stem = folder / subject / "eeg" / f"{subject}_task-listening_run-{run:02d}_eeg"
    values = require_file(f"{stem}.eeg", "the values of a BrainVision recording")
    raw = read_raw(f"{stem}.vhdr")
    n_bytes, expected = values.stat().st_size, 4 * len(raw.ch_names) * raw.n_times
    if n_bytes != expected or raw.info["sfreq"] != RATE_HZ:
        seen = f"{n_bytes} bytes at {raw.info['sfreq']:g} Hz"
        raise CorruptData(values, seen, f"{expected} bytes ({len(raw.ch_names)} channels in float32) at {RATE_HZ} Hz")
    if raw.n_times / RATE_HZ < sound_s:
        raise CorruptData(values, f"{raw.n_times / RATE_HZ:.1f} s", f"at least the {sound_s:.1f} s of the sound")
    cut = raw.crop(tmax=sound_s, include_tmax=False).filter(*band_hz, verbose="error")
    return from_raw(cut.resample(rate_hz, verbose="error"), run=f"run-{run:02d}")


def _read_words(path: Path, run: int, sound_s: float, begin_s: float) -> pd.DataFrame:
    intervals = read_intervals(path, _word_tier(path))
    words = intervals[~intervals["text"].str.lower().isin(SILENCE)].reset_index(drop=True)
    if words.empty or float(words["offset"].iloc[-1]) > sound_s + 1:
        raise CorruptData(path, f"{len(words)} words", f"words within the {sound_s:.1f} s of the sound")
    times = {name: words[name] + begin_s for name in ("onset", "offset")}
    return words.assign(**times, text=words["text"].str.lower(), group=f"run-{run:02d}")


def _word_tier(path: Path) -> str:
    """Find out what the tier of words is called, which is not documented: its name begins with "word"."""
    require_file(path, "words with their times")
    text = path.read_text(encoding="utf-8", errors="replace")
    names = [part for part in text.split('"')[1::2] if part.lower().startswith("word") and len(part) <= len("words")]
    if not names:
        raise CorruptData(path, "no tier whose name begins with 'word'", "tiers of phones and words")
    return names[0]


# --- the synthetic twin ----------------------------------------------------------------------------------------------

LATENCY_S, WIDTH_S = 0.2, 0.04
"""Peak and width of the planted response to every word."""


def write_twin(
    folder: Path | str,
    rng: int | np.random.Generator = 0,
    *,
    subjects: tuple[str, ...] = ("sub-001",),
    runs: tuple[int, ...] = (1, 2, 3),
    sound_s: float = 60.0,
    n_channels: int = 4,
    effect_uv: float = 4.0,
) -> None:
    """Write synthetic EEG, sounds and words in the layout of the real files.

    The first channel answers to words in proportion to their length; offsets of unreferenced channels are large.

    Parameters
    ----------
    folder : path
        Made if absent; marked as synthetic by a file that holds what was planted.
    rng : int or numpy.random.Generator
        Source of all randomness.
    subjects : tuple of str
        Participants.
    runs : tuple of int
        Which of the 20 runs.
    sound_s : float
        Length of each sound in seconds; the EEG runs on for a few more.
    n_channels : int
        Channels, at least 2.
    effect_uv : float
        µV per standard deviation of word length at the peak; 0 for none.
    """
    generator = np.random.default_rng(rng)
    folder = Path(folder)
    (folder / "stimuli").mkdir(parents=True, exist_ok=True)
    shape = np.exp(-0.5 * ((np.arange(0, 0.5, 1 / RATE_HZ) - LATENCY_S) / WIDTH_S) ** 2)
    for run in runs:
        words = _draw_words(sound_s, generator)
        stem = folder / "stimuli" / f"audio{run:02d}"
        write_tiers(stem.with_suffix(".TextGrid"), {"phones": words.assign(text="AH0"), "words": words})
        with wave.open(str(stem.with_suffix(".wav")), "wb") as sound:
            sound.setparams((1, 2, 800, 0, "NONE", ""))
            sound.writeframes(np.zeros(int(800 * sound_s), "<i2").tobytes())
        course = np.zeros(int((sound_s + generator.uniform(1.4, 6)) * RATE_HZ))
        heard = words[words["text"] != "sp"]
        length = heard["text"].str.len().to_numpy()
        impulses = (length - length.mean()) / length.std()
        for onset, height in zip((heard["onset"] * RATE_HZ).round().astype(int), impulses, strict=True):
            end = min(onset + len(shape), len(course))
            course[onset:end] += height * shape[: end - onset]
        for subject in subjects:
            noise = 4.0 * ar1_noise((len(course), n_channels), 0.95, generator)
            noise[:, 0] += effect_uv * course
            noise += generator.normal(0, 2000, n_channels)
            (folder / subject / "eeg").mkdir(parents=True, exist_ok=True)
            path = folder / subject / "eeg" / f"{subject}_task-listening_run-{run:02d}"
            names = [f"A{number}" for number in range(1, n_channels + 1)]
            write_brainvision(str(path), noise * 1e-6, names, unit="V", rate_hz=RATE_HZ)
    mark_synthetic(folder, {"channel": "A1", "latency_s": LATENCY_S, "effect_uv": effect_uv})


def twin(subject: str = "sub-001", rng: int | np.random.Generator = 0, *, effect_uv: float = 4.0) -> StoryRecording:
    """Make synthetic EEG of three runs, through files and the loader.

    Parameters
    ----------
    subject : str
        Participant.
    rng : int or numpy.random.Generator
        Source of all randomness.
    effect_uv : float
        As for :func:`write_twin`.

    Returns
    -------
    StoryRecording
    """
    with tempfile.TemporaryDirectory() as folder:
        write_twin(folder, rng, subjects=(subject,), effect_uv=effect_uv)
        return load(folder, subject=subject, runs=(1, 2, 3))


def _draw_words(sound_s: float, rng: np.random.Generator) -> pd.DataFrame:
    vocabulary = np.array(["HE", "WAS", "AN", "OLD", "MAN", "WHO", "FISHED", "ALONE", "SKIFF", "STREAM", "sp"])
    n_words = int(sound_s * 2.5)
    edges = np.linspace(0.2, sound_s - 0.2, n_words + 1) + np.append(rng.uniform(-0.05, 0.05, n_words), 0.0)
    table = pd.DataFrame({"onset": edges[:-1].round(4), "offset": edges[1:].round(4)})
    return table.assign(text=rng.choice(vocabulary, n_words))
