"""Alice in Wonderland, chapter 1: EEG of people who listened to twelve minutes of it (Brennan and Hale 2019)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.data.brainvision import write_brainvision
from neuroling.data.cards import card
from neuroling.data.eeg import from_raw, read_raw
from neuroling.data.errors import CorruptData, DataNotFound, reading, require_file
from neuroling.data.selection import select_files
from neuroling.data.stories import StoryRecording, check_name, find_folder, subjects_of
from neuroling.data.synthetic import ar1_noise, is_synthetic, mark_synthetic

NAME = "alice_eeg"
RATE_HZ = 500
N_WORDS = 2129
N_SENTENCES = 84
SEGMENT_WORDS = (174, 177, 184, 214, 193, 197, 178, 175, 156, 187, 157, 137)
"""Words of the twelve segments of the sound."""

LAST_ORDER = 2150
"""Number of the last word; 21 numbers are not used."""

ANALYSED = (1, 3, 4, 5, 6, 8, *range(10, 23), 25, 26, *range(34, 43), 44, 45, 48)
HIGH_NOISE = (2, 28, 29, 31, 33, 46, 47, 49)
LOW_PERFORMANCE = (7, 9, 23, 24, 27, 30, 32, 43)
"""The authors' lists (datasets.mat); S04 and S16 of the 33 analysed are not in the BIDS copy."""

WORD_TABLE = "sourcedata/AliceChapterOne-EEG.csv"
WORD_COLUMNS = {
    "word": "text",
    "word_index": "order",
    "sentence_id": "sentence",
    "position_in_sentence": "position_in_sentence",
    "segment": "segment",
    "is_lexical": "is_lexical",
    "log_freq": "log_frequency",
    "sound_power": "sound_power",
    "ngram_surprisal": "pos_surprisal_ngram",
    "rnn_surprisal": "pos_surprisal_rnn",
    "cfg_surprisal": "pos_surprisal_cfg",
}
"""Columns of events.tsv, and what they are called here: the surprisals are those of parts of speech, not of words."""

Reference = Literal["as stored", "average"]


def load(
    folder: Path | str | None = None,
    *,
    subject: str,
    band_hz: tuple[float, float] = (0.5, 15.0),
    rate_hz: float = 50.0,
    reference: Reference = "as stored",
) -> StoryRecording:
    """Read the continuous EEG of one participant, and the words with their times in it.

    Parameters
    ----------
    folder : path, optional
        Folder laid out as nm000180 of NEMAR; by default found by :func:`neuroling.data.locate`.
    subject : str
        ``"sub-001"`` and so on, the numbers of the paper.
    band_hz : tuple of float
        Edges of the band-pass filter, before the rate is lowered.
    rate_hz : float
        Samples per second of the recording that is returned.
    reference : {"as stored", "average"}
        Whether to refer each sample to the mean of the channels.

    Returns
    -------
    StoryRecording
        ``words``: ``onset`` and ``offset`` (s of the recording), ``group`` (``"segment 1"``), ``sentence``, ``order``
        (1 to 2,150 with 21 gaps), ``is_lexical`` (NaN for six words), ``log_frequency``,
        ``sound_power``, and the surprisal of parts of speech from an
        n-gram, a recurrent and a context-free model. ``recording``: (sample, channel) in µV, the channels that
        ``channels.tsv`` calls EEG and good.

    Raises
    ------
    ValueError
        If there is no such participant, or the participant's first trigger is missing, so that labels of words may be
        shifted.
    DataNotFound, CorruptData
        If a file is absent or damaged, or words lie outside the recording.
    """
    check_name("subject", subject, subjects_of(NAME), NAME)
    if reference not in ("as stored", "average"):
        raise ValueError(f"reference: got {reference!r}; expected 'as stored' or 'average'.")
    folder = find_folder(NAME, folder, subject, [])
    stem = str(folder / subject / "eeg" / f"{subject}_task-alicelistening")
    words = _read_words(Path(f"{stem}_events.tsv"), subject)
    names = _scalp_channels(Path(f"{stem}_channels.tsv"))
    require_file(f"{stem}_eeg.eeg", "the values of a BrainVision recording")
    raw = read_raw(f"{stem}_eeg.vhdr")
    _check_recording(Path(f"{stem}_eeg.eeg"), raw.n_times, len(raw.ch_names), raw.info["sfreq"], words)
    missing = [name for name in names if name not in raw.ch_names]
    if missing:
        raise CorruptData(f"{stem}_eeg.vhdr", f"no channels {missing[:5]}", f"the {len(names)} of channels.tsv")
    picked = raw.pick(names).filter(*band_hz, verbose="error").resample(rate_hz, verbose="error")
    recording = from_raw(picked, picks=names, run=subject)
    if reference == "average":
        recording = recording - recording.mean("channel")
    options = {
        "band": f"{band_hz[0]:g} to {band_hz[1]:g} Hz",
        "rate": f"{rate_hz:g} samples per second",
        "reference": reference,
        "authors' list": _list_of(int(subject.removeprefix("sub-"))),
    }
    attrs = {"dataset": NAME, "subject": subject, "rate_hz": rate_hz, "units": "µV", **options}
    recording = recording.assign_attrs(attrs, synthetic=int(is_synthetic(folder)))
    return StoryRecording(words, recording, None, options)


def needed_files(subject: str) -> list[str]:
    """List the files that :func:`load` reads.

    Parameters
    ----------
    subject : str
        ``"sub-001"`` and so on.

    Returns
    -------
    list of str
        Paths below the folder of the data set.
    """
    return [file.path for file in select_files(card(NAME), subjects=[subject])]


def read_word_table(folder: Path | str) -> Stimuli:
    """Read the authors' table of words, with times in the sound of each segment.

    Parameters
    ----------
    folder : path
        Folder of the data set.

    Returns
    -------
    Stimuli
        One row per word: ``onset`` and ``offset`` (s of the segment's sound), ``group``, ``sentence``, ``order``.
    """
    path = require_file(Path(folder) / WORD_TABLE, "the authors' table of words")
    with reading(path, "a table separated by commas"):
        table = pd.read_csv(path, keep_default_na=False)
    lacking = [name for name in ("Word", "Segment", "onset", "offset", "Order", "Sentence") if name not in table]
    if lacking or len(table) != N_WORDS:
        raise CorruptData(path, f"{len(table)} words, lacking {lacking}", f"{N_WORDS} words with their columns")
    names = {"Word": "text", "Order": "order", "Sentence": "sentence"}
    columns = table.rename(columns=names)[["text", "onset", "offset", "order", "sentence"]]
    return _label(columns.assign(group=[f"segment {number}" for number in table["Segment"]]))


def _read_words(path: Path, subject: str) -> Stimuli:
    if not path.is_file() and path.parent.is_dir():
        raise DataNotFound(f"{path}: no such file; six of the 45 people, {subject} among them, have no times of words.")
    with reading(require_file(path, "words with their times"), "a table separated by tabs"):
        events = pd.read_csv(path, sep="\t", keep_default_na=False, encoding="utf-8-sig")
    lacking = [name for name in ("onset", "duration", *WORD_COLUMNS) if name not in events]
    if lacking:
        raise CorruptData(path, f"no columns {lacking}", "those of nm000180")
    if len(events) != N_WORDS and not is_synthetic(path.parents[2]):
        raise ValueError(
            f"subject: {subject} has times of {len(events)} of {N_WORDS} words. The first trigger of eight people is "
            "missing, which may shift the labels of all words by one segment; expected one of the 31 others."
        )
    if not events["onset"].is_monotonic_increasing or (events["duration"] <= 0).any():
        raise CorruptData(path, "onsets that go back, or durations of zero", "words in the order of time")
    table = events[[*WORD_COLUMNS]].rename(columns=WORD_COLUMNS)
    table["is_lexical"] = pd.to_numeric(table["is_lexical"].replace("n/a", np.nan))  # unknown for six words
    group = [f"segment {number}" for number in table.pop("segment")]
    return _label(table.assign(onset=events["onset"], offset=events["onset"] + events["duration"], group=group))


def _label(table: pd.DataFrame) -> Stimuli:
    labels = [f"{order:04d} {word}" for order, word in zip(table["order"], table["text"], strict=True)]
    position = np.arange(1, len(table) + 1)
    return Stimuli(table.assign(position=position).set_index(pd.Index(labels, name="sample")))


def _scalp_channels(path: Path) -> list[str]:
    """Choose channels by their type, for the channel of the sound is called AUD in some files and Aux5 in others."""
    table = pd.read_csv(require_file(path, "channels"), sep="\t", encoding="utf-8-sig", dtype=str)
    return table.loc[(table["type"] == "EEG") & (table["status"] == "good"), "name"].tolist()


def _check_recording(path: Path, n_times: int, n_channels: int, rate_hz: float, words: Stimuli) -> None:
    n_bytes, expected = path.stat().st_size, 4 * n_channels * n_times
    if n_bytes != expected or rate_hz != RATE_HZ:
        raise CorruptData(
            path, f"{n_bytes} bytes at {rate_hz:g} Hz", f"{expected} ({n_channels} channels in float32) at {RATE_HZ} Hz"
        )
    end_s = float(words.table["offset"].max())
    if end_s > n_times / RATE_HZ:
        raise CorruptData(
            path, f"{n_times / RATE_HZ:.1f} s", f"a complete recording; the last word ends at {end_s:.1f} s"
        )


def _list_of(number: int) -> str:
    lists = {"analysed": ANALYSED, "excluded: noise": HIGH_NOISE, "excluded: comprehension": LOW_PERFORMANCE}
    return next(name for name, numbers in lists.items() if number in numbers)


# --- the synthetic twin ----------------------------------------------------------------------------------------------

LATENCY_S, WIDTH_S = 0.4, 0.06
"""Peak and width of the planted response to surprisal."""

START_S = 3.0


def write_twin(
    folder: Path | str,
    rng: int | np.random.Generator = 0,
    *,
    subjects: tuple[str, ...] = ("sub-001",),
    n_segments: int = 3,
    n_channels: int = 3,
    effect: float = 1.0,
) -> None:
    """Write synthetic EEG and words in the layout of the real files.

    The first channel answers to the ``cfg_surprisal`` of each word with a negative wave around 400 ms. With twelve
    segments there are as many words, sentences and gaps in their numbers as in the real table.

    Parameters
    ----------
    folder : path
        Made if absent; marked as synthetic by a file that holds what was planted.
    rng : int or numpy.random.Generator
        Source of all randomness.
    subjects : tuple of str
        Participants.
    n_segments : int
        1 to 12.
    n_channels : int
        Scalp channels; an eye channel and one of the sound are written besides.
    effect : float
        µV per standard deviation of surprisal at the peak; 0 for none.
    """
    if not 1 <= n_segments <= len(SEGMENT_WORDS) or n_channels < 1:
        raise ValueError(f"n_segments, n_channels: got {n_segments}, {n_channels}; expected 1 to 12, and at least 1.")
    generator = np.random.default_rng(rng)
    folder = Path(folder)
    events = _draw_events(n_segments, generator)
    n_times = int((events["onset"].iloc[-1] + 5) * RATE_HZ)
    course = np.zeros(n_times)
    shape = -np.exp(-0.5 * ((np.arange(0, 0.8, 1 / RATE_HZ) - LATENCY_S) / WIDTH_S) ** 2)
    surprisal = events["cfg_surprisal"].to_numpy()
    impulses = (surprisal - surprisal.mean()) / surprisal.std()
    for onset, height in zip((events["onset"] * RATE_HZ).round().astype(int), impulses, strict=True):
        course[onset : onset + len(shape)] += height * shape
    for subject in subjects:
        values = 2.0 * ar1_noise((n_times, n_channels + 2), 0.95, generator)
        values[:, 0] += effect * course
        (folder / subject / "eeg").mkdir(parents=True, exist_ok=True)
        stem = folder / subject / "eeg" / f"{subject}_task-alicelistening"
        events.to_csv(f"{stem}_events.tsv", sep="\t", index=False)
        _write_recording(str(stem), values, [*map(str, range(1, n_channels + 1)), "VEOG", "Aux5"])
    _write_word_table(folder / WORD_TABLE, events)
    truth = {"channel": "1", "column": "pos_surprisal_cfg", "latency_s": LATENCY_S, "effect": effect}
    mark_synthetic(folder, truth)


def twin(
    subject: str = "sub-001", rng: int | np.random.Generator = 0, *, n_segments: int = 3, effect: float = 1.0
) -> StoryRecording:
    """Make synthetic EEG and words, through files and the loader.

    Parameters
    ----------
    subject : str
        Participant.
    rng : int or numpy.random.Generator
        Source of all randomness.
    n_segments, effect
        As for :func:`write_twin`.

    Returns
    -------
    StoryRecording
    """
    with tempfile.TemporaryDirectory() as folder:
        write_twin(folder, rng, subjects=(subject,), n_segments=n_segments, effect=effect)
        return load(folder, subject=subject)


def _draw_events(n_segments: int, rng: np.random.Generator) -> pd.DataFrame:
    vocabulary = np.array(["Alice", "was", "beginning", "to", "get", "rabbit", "very", "of", "her", "sister", "book"])
    counts = SEGMENT_WORDS[:n_segments]
    segment = np.repeat(np.arange(1, n_segments + 1), counts)
    n_words = len(segment)
    n_sentences = max(1, round(N_SENTENCES * n_words / N_WORDS))
    sentence = (
        np.sort(np.concatenate([np.arange(n_sentences), rng.integers(0, n_sentences, n_words - n_sentences)])) + 1
    )
    n_gaps = (LAST_ORDER - N_WORDS) * n_words // N_WORDS
    order = np.setdiff1d(np.arange(1, n_words + n_gaps + 1), rng.choice(np.arange(2, n_words), n_gaps, replace=False))
    frequency = rng.normal(11, 3, n_words).clip(0).round(2)
    onset = START_S + np.cumsum(rng.uniform(0.2, 0.48, n_words)) + segment
    return pd.DataFrame(
        {
            "onset": onset.round(3),
            "duration": rng.uniform(0.1, 0.19, n_words).round(6),
            "trial_type": "word",
            "word": rng.choice(vocabulary, n_words),
            "stim_file": [f"DownTheRabbitHoleFinal_SoundFile{number}.wav" for number in segment],
            "word_index": order,
            "sentence_id": sentence,
            "position_in_sentence": pd.Series(sentence).groupby(sentence).cumcount() + 1,
            "segment": segment,
            "is_lexical": np.where(np.arange(n_words) % 350 == 66, "n/a", rng.integers(0, 2, n_words).astype(str)),
            "log_freq": frequency,
            "log_freq_prev": np.append(0.0, frequency[:-1]),
            "log_freq_next": np.append(frequency[1:], 0.0),
            "sound_power": rng.exponential(1e-6, n_words),
            **{f"{name}_surprisal": rng.gamma(2.0, 1.2, n_words) for name in ("ngram", "rnn", "cfg")},
        }
    )


def _write_word_table(path: Path, events: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    begin = events.groupby("segment")["onset"].transform("first") - 0.046
    columns = {
        "Word": events["word"],
        "Trigger": 1,
        "Segment": events["segment"],
        "onset": events["onset"] - begin,
        "offset": events["onset"] - begin + events["duration"],
        "Order": events["word_index"],
        "LogFreq": events["log_freq"],
        "LogFreq_Prev": events["log_freq_prev"],
        "LogFreq_Next": events["log_freq_next"],
        "SndPower": events["sound_power"],
        "Length": events["duration"],
        "Position": events["position_in_sentence"],
        "Sentence": events["sentence_id"],
        "IsLexical": events["is_lexical"],
        "NGRAM": events["ngram_surprisal"],
        "RNN": events["rnn_surprisal"],
        "CFG": events["cfg_surprisal"],
    }
    pd.DataFrame(columns).to_csv(path, index=False)


def _write_recording(stem: str, values: NDArray[np.float64], names: list[str]) -> None:
    """Write the files of BrainVision, without triggers of segments, and the table of channels."""
    write_brainvision(stem, values, names, unit="µV", rate_hz=RATE_HZ)
    scalp = "EEG\tµV\t0.0\t250.0\tElectroEncephaloGram"
    kinds = {"VEOG": "EOG\tµV\t0.0\t250.0\tElectroOculoGram", "Aux5": "MISC\tn/a\t0.0\t250.0\tMiscellaneous"}
    rows = [f"{name}\t{kinds.get(name, scalp)}\t500.0\tgood\tn/a" for name in names]
    columns = "name\ttype\tunits\tlow_cutoff\thigh_cutoff\tdescription\tsampling_frequency\tstatus\tstatus_description"
    Path(f"{stem}_channels.tsv").write_text("\n".join([columns, *rows]) + "\n", encoding="utf-8-sig")
