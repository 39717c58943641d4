"""A podcast, heard by nine people with electrodes on the brain (Zada et al. 2025, OpenNeuro ds005574)."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.data.cards import card
from neuroling.data.eeg import open_raw, write_unplaced_raw
from neuroling.data.errors import CorruptData, reading, require_file
from neuroling.data.selection import select_files
from neuroling.data.stories import StoryRecording, check_name, find_folder, open_hdf5, subjects_of
from neuroling.data.synthetic import ar1_noise, is_synthetic, mark_synthetic
from neuroling.data.word_locked import WordLockedSource

NAME = "podcast_ecog"
RATE_HZ = 512
DURATION_S = 1800
N_WORDS = 5136
N_TOKENS = 5491
"""Tokens of GPT-2 XL that the words consist of."""

N_LAYERS = 49
GROUP = "podcast"
TOKEN_COLUMNS = ("word_idx", "word", "start", "end", "hftoken", "token_id", "rank", "true_prob", "top_pred", "entropy")
BIN_SAMPLES = 16
"""Samples per bin of time: 32 bins per second, as the tutorials resample to 32 Hz."""

FEATURES = ("gpt2-xl", "en_core_web_lg", "phonetic", "spectral", "syntactic", "whisper-medium")


def load(
    folder: Path | str | None = None,
    *,
    subject: str,
    window_s: tuple[float, float] = (-2.0, 2.0),
    electrodes: str | None = None,
) -> StoryRecording:
    """Open the high-gamma power of one participant around each word, and read the words.

    Parameters
    ----------
    folder : path, optional
        Folder laid out as ds005574, version 1.0.2; by default found by :func:`neuroling.data.locate`.
    subject : str
        ``"sub-01"`` to ``"sub-09"``.
    window_s : tuple of float
        First and last second of a word's epoch; the tutorials take -2 to 2.
    electrodes : str, optional
        Regular expression that names of electrodes begin with, such as ``"LG[AB]"``; all good ones by default.

    Returns
    -------
    StoryRecording
        ``recording`` is a source of channels, (sample, channel, time): the mean of the power in 32 bins per second, as
        stored, at the MNI positions ``x``, ``y``, ``z`` (mm) of each electrode. A sample is a word, labelled as in
        :func:`read_words` and in the order of time. Words whose epoch leaves the recording, or that fall on the sample
        of an earlier word, are excluded and counted.

    Raises
    ------
    ValueError
        If there is no such participant, electrode or window.
    DataNotFound, CorruptData
        If a file is absent, damaged, or not of 512 Hz, or an electrode has no position.
    """
    check_name("subject", subject, subjects_of(NAME), NAME)
    folder = find_folder(NAME, folder, subject, [])
    path = folder / f"derivatives/ecogprep/{subject}/ieeg/{subject}_task-podcast_desc-highgamma_ieeg.fif"
    raw = open_raw(path)
    if raw.info["sfreq"] != RATE_HZ:
        raise CorruptData(path, f"{raw.info['sfreq']:g} samples per second", f"{RATE_HZ}")
    words = read_words(folder)
    end_s = float(words.table["offset"].max())
    if end_s > raw.n_times / RATE_HZ:
        raise CorruptData(
            path, f"{raw.n_times / RATE_HZ:.1f} s", f"a complete recording; the last word ends at {end_s:.1f} s"
        )
    n_bins = round((window_s[1] - window_s[0]) * RATE_HZ / BIN_SAMPLES)
    if n_bins < 1:
        raise ValueError(f"window_s: got {window_s}; expected a first and a last second, at least {1 / 32} s apart.")
    within, first_sample, excluded = _epochs(words, raw.n_times, round(window_s[0] * RATE_HZ), n_bins * BIN_SAMPLES)
    columns = within.table
    samples = {
        "sample": np.asarray(within.labels, dtype=str),
        "group": np.full(len(within), GROUP),
        "time_index": np.arange(len(within)),
        "onset": columns["onset"].to_numpy(),
    }
    options = {
        "signal": "high gamma, 70 to 200 Hz, as prepared by the authors",
        "bins": f"means of {BIN_SAMPLES} samples of 512 per second",
        "window": f"{window_s[0]:g} to {window_s[1]:g} s",
        "order": "by onset; the transcript has words that start before the one before them",
    }
    attrs = {
        "dataset": NAME,
        "subject": subject,
        "synthetic": int(is_synthetic(folder)),
        "source": str(path),
        **options,
    }
    times = window_s[0] + (np.arange(n_bins) + 0.5) * BIN_SAMPLES / RATE_HZ
    places = _positions(folder, subject, raw.ch_names, electrodes)
    source = WordLockedSource(raw, str(path), places, samples, first_sample, BIN_SAMPLES, times, attrs)
    return StoryRecording(within, source, None, options, excluded)


def needed_files(subject: str, *, features: str | None = None) -> list[str]:
    """List the files that :func:`load` reads, and those of features.

    Parameters
    ----------
    subject : str
        ``"sub-01"`` to ``"sub-09"``.
    features : str, optional
        Name of the features, as for :func:`load_features`.

    Returns
    -------
    list of str
        Paths below the folder of the data set.
    """
    return [
        file.path
        for file in select_files(card(NAME), subjects=[subject], optional_parts=[features] if features else [])
    ]


def read_tokens(folder: Path | str) -> pd.DataFrame:
    """Read the tokens of GPT-2 XL, with the rank and probability that it gave to each.

    Parameters
    ----------
    folder : path
        Folder of the data set.

    Returns
    -------
    pandas.DataFrame
        One row per token: ``word_idx``, ``word``, ``start``, ``end`` (s), ``hftoken``, ``token_id``, ``rank`` (0 for
        the most probable), ``true_prob``, ``top_pred``, ``entropy``.
    """
    path = require_file(Path(folder) / "stimuli" / "gpt2-xl" / "transcript.tsv", "tokens of GPT-2 XL")
    with reading(path, "a table of tokens separated by tabs"):
        tokens = pd.read_csv(path, sep="\t", index_col=0, keep_default_na=False, encoding="utf-8-sig")
    if tuple(tokens.columns) != TOKEN_COLUMNS:
        raise CorruptData(path, f"columns {list(tokens.columns)}", f"{list(TOKEN_COLUMNS)}")
    if not tokens["word_idx"].is_monotonic_increasing or not tokens["true_prob"].between(0, 1).all():
        raise CorruptData(path, "word_idx that goes back, or probabilities outside 0 and 1", "tokens in order")
    return tokens


def read_words(folder: Path | str) -> Stimuli:
    """Read the words with their times, and what GPT-2 XL made of them.

    Parameters
    ----------
    folder : path
        Folder of the data set.

    Returns
    -------
    Stimuli
        In the order of time, labelled ``"0115 Oh"`` by ``word_idx`` and word: ``onset``, ``offset`` (s), ``word_idx``,
        ``group``, ``position``, ``n_tokens``, ``surprisal`` (nats, summed over the tokens of a word), and ``rank`` and
        ``entropy`` (nats) of the first token.
    """
    tokens = read_tokens(folder)
    surprisal = -np.log(tokens["true_prob"].clip(lower=np.finfo(np.float64).tiny))
    by_word = tokens.assign(surprisal=surprisal).groupby("word_idx", sort=True)
    table = by_word.agg(
        text=("word", "first"),
        onset=("start", "first"),
        offset=("end", "last"),
        n_tokens=("word", "size"),
        surprisal=("surprisal", "sum"),
        rank=("rank", "first"),
        entropy=("entropy", "first"),
    )
    table = table.reset_index().sort_values("onset", kind="stable")
    labels = [f"{number:04d} {word}" for number, word in zip(table["word_idx"], table["text"], strict=True)]
    table = table.assign(group=GROUP, position=np.arange(1, len(table) + 1))
    return Stimuli(table.set_index(pd.Index(labels, name="sample")))


def load_features(
    folder: Path | str, words: Stimuli, name: str = "gpt2-xl", *, layer: int | None = None
) -> xr.DataArray:
    """Read published features of the words; those of several tokens of a word are averaged, as in the tutorials.

    Parameters
    ----------
    folder : path
        Folder of the data set.
    words : Stimuli
        From :func:`read_words` or :func:`load`; only these are read.
    name : str
        ``"gpt2-xl"``, ``"en_core_web_lg"``, ``"phonetic"``, ``"spectral"``, ``"syntactic"`` or ``"whisper-medium"``.
    layer : int, optional
        Layer of GPT-2 XL, 0 to 48; 24, as in the tutorials, by default. Other features have none.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        Joined to the words by ``word_idx``. Words that have none of these features (108 have no phonetic ones) are
        missing; ``attrs["n_words_without"]`` counts them.

    Raises
    ------
    DataNotFound, CorruptData
        If a file is absent, or features and transcript have unequal numbers of rows.
    """
    check_name("name", name, FEATURES, NAME)
    if layer is not None and name != "gpt2-xl":
        raise ValueError(f"layer: got {layer} for {name!r}; only gpt2-xl has layers.")
    hdf5_path = Path(folder) / "stimuli" / name / "features.hdf5"
    key = f"layer-{24 if layer is None else layer}" if name == "gpt2-xl" else _only_key(hdf5_path)
    matrix = open_hdf5(hdf5_path, key, "features of the words")
    path = require_file(hdf5_path.with_name("transcript.tsv"), "words of the features")
    rows = pd.read_csv(path, sep="\t", index_col=0, keep_default_na=False, encoding="utf-8-sig")
    if len(matrix.shape) != 2 or matrix.shape[0] != len(rows):
        raise CorruptData(hdf5_path, f"{key} of shape {matrix.shape}", f"{len(rows)} rows, as {path.name}")
    by_word = pd.DataFrame(matrix[:, :], index=pd.Index(rows["word_idx"])).groupby(level=0).mean()
    has_features = words.table["word_idx"].isin(by_word.index)
    present = Stimuli(words.table[has_features])
    values = by_word.loc[present.table["word_idx"]].to_numpy()
    attrs = {"features": name, "key": key, "n_words_without": int((~has_features).sum())}
    return present.features(values).assign_attrs(attrs, synthetic=int(is_synthetic(Path(folder))))


def _only_key(path: Path) -> str:
    import h5py

    path = require_file(path, "features of the words")
    with reading(path, "an HDF5 file"), h5py.File(path, "r") as file:
        keys = [str(key) for key in sorted(file)]
    if len(keys) != 1:
        raise CorruptData(path, f"data sets {keys}", "one; which of them is meant is not documented")
    return keys[0]


def _epochs(words: Stimuli, n_times: int, first: int, length: int) -> tuple[Stimuli, NDArray[np.intp], tuple[str, ...]]:
    """Say where the epoch of each word begins; exclude epochs that leave the recording, and words of one sample."""
    onset = (words.table["onset"] * RATE_HZ).to_numpy().astype(np.intp)
    inside = (onset + first >= 0) & (onset + first + length <= n_times)
    is_repeated = pd.Series(onset).duplicated().to_numpy()
    keep = inside & ~is_repeated
    if not keep.any():
        raise ValueError(f"window_s: none of {len(words)} words has an epoch inside {n_times / RATE_HZ:.0f} s.")
    reasons = {"their epoch leaves the recording": ~inside, "they start on the sample of an earlier word": is_repeated}
    excluded = tuple(f"{int(rows.sum())} words: {reason}" for reason, rows in reasons.items() if rows.any())
    return Stimuli(words.table[keep]), onset[keep] + first, excluded


def _positions(folder: Path, subject: str, names: list[str], pattern: str | None) -> dict[str, NDArray[np.generic]]:
    """Join electrodes to channels by name, since the tables have unequal rows."""
    path = folder / subject / "ieeg" / f"{subject}_space-MNI152NLin2009aSym_electrodes.tsv"
    table = pd.read_csv(require_file(path, "positions of electrodes"), sep="\t", encoding="utf-8-sig")
    table = table.set_index("name")[["x", "y", "z"]].astype(np.float64)
    lacking = [name for name in names if name not in table.index]
    if lacking:
        raise CorruptData(path, f"no rows for {', '.join(lacking[:5])}", f"the {len(names)} channels of the recording")
    channels = np.array(names)
    if pattern is not None:
        channels = channels[pd.Series(channels).str.match(pattern).to_numpy()]
        if not len(channels):
            raise ValueError(f"electrodes: got {pattern!r}; no channel begins so: {', '.join(names[:8])}, …")
    return {"channel": channels, **{axis: table.loc[channels, axis].to_numpy() for axis in "xyz"}}


# --- the synthetic twin ----------------------------------------------------------------------------------------------

N_FEATURES = 6
LAG_S = (0.1, 0.3)
"""When after a word the planted response is."""

NOISE_AR = 0.9


def write_twin(
    folder: Path | str,
    rng: int | np.random.Generator = 0,
    *,
    subjects: tuple[str, ...] = ("sub-02",),
    n_channels: int = 3,
    duration_s: int = 240,
    effect: float = 1.5,
) -> None:
    """Write synthetic power, words, tokens and features of GPT-2 XL in the layout of the real files.

    The first channel rises 100 to 300 ms after a word in proportion to the first feature of layer 24. With a duration
    of 1,800 s there are as many samples, words and tokens as in the real files; shorter twins have their share.

    Parameters
    ----------
    folder : path
        Made if absent; marked as synthetic by a file that holds what was planted.
    rng : int or numpy.random.Generator
        Source of all randomness.
    subjects : tuple of str
        Participants.
    n_channels : int
        Good channels of each; a table of channels has a bad and an auxiliary one besides.
    duration_s : int
        Length of the podcast in seconds, at least 60.
    effect : float
        Size of the planted response in standard deviations of the noise; 0 for none.
    """
    if duration_s < 60 or n_channels < 1 or effect < 0:
        raise ValueError(
            f"duration_s, n_channels, effect: got {duration_s}, {n_channels}, {effect}; expected 60, 1, 0 or more."
        )
    generator = np.random.default_rng(rng)
    folder = Path(folder)
    n_words = N_WORDS * duration_s // DURATION_S
    n_tokens = N_TOKENS * duration_s // DURATION_S
    tokens = _draw_tokens(n_words, n_tokens, duration_s, generator)
    features = generator.standard_normal((n_tokens, N_FEATURES)).astype(np.float32)
    _write_stimuli(folder / "stimuli", tokens, features, generator)
    by_word = pd.DataFrame(features).groupby(tokens["word_idx"].to_numpy()).mean()[0].to_numpy()
    onset = (tokens.groupby("word_idx")["start"].first().to_numpy() * RATE_HZ).astype(int)
    course = np.zeros(duration_s * RATE_HZ)
    for start, value in zip(onset, by_word, strict=True):
        course[start + int(LAG_S[0] * RATE_HZ) : start + int(LAG_S[1] * RATE_HZ)] += value
    for subject in subjects:
        noise = ar1_noise((duration_s * RATE_HZ // 8, n_channels), NOISE_AR, generator).repeat(8, axis=0).T
        noise[0] += effect * course
        _write_recording(folder, subject, 10.0 + noise)
    mark_synthetic(folder, {"channel": "LGA1", "feature": 0, "layer": 24, "lag_s": LAG_S, "effect": effect})


def twin(
    subject: str = "sub-02", rng: int | np.random.Generator = 0, *, duration_s: int = 240, effect: float = 1.5
) -> tuple[StoryRecording, xr.DataArray]:
    """Make a synthetic recording and features of layer 24, through files and the loader.

    Parameters
    ----------
    subject : str
        Participant.
    rng : int or numpy.random.Generator
        Source of all randomness.
    duration_s, effect
        As for :func:`write_twin`.

    Returns
    -------
    story : StoryRecording
        Its recording is in memory.
    features : xarray.DataArray, dims (sample, feature)
        Of the same words.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_twin(folder, rng, subjects=(subject,), duration_s=duration_s, effect=effect)
        story = load(folder, subject=subject)
        features = load_features(folder, story.words)
        assert isinstance(story.recording, WordLockedSource)  # noqa: S101 - for the type checker
        recording = story.recording.read(slice(0, story.recording.n_targets))
    return StoryRecording(story.words, recording, None, story.options, story.excluded), features


def _draw_tokens(n_words: int, n_tokens: int, duration_s: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw words, one or two tokens each, in time; here and there one starts before its predecessor."""
    vocabulary = np.array(["monkey", "middle.", "So", "the", "a", "one,", "story", "Oh", "in", "and", "forest", "null"])
    has_two = np.zeros(n_words, dtype=bool)
    has_two[rng.choice(n_words, n_tokens - n_words, replace=False)] = True
    start = np.sort(rng.uniform(3.7, duration_s - 0.7, n_words)).round(3)
    start = np.maximum.accumulate(start + np.arange(n_words) * 2e-6)
    for row in range(115, n_words - 1, 270):  # as in the real transcript
        start[row] = start[row - 1] - 0.05
    words = pd.DataFrame({"word_idx": np.arange(n_words), "word": rng.choice(vocabulary, n_words), "start": start})
    words["end"] = words["start"] + 0.2
    tokens = words.loc[np.repeat(np.arange(n_words), 1 + has_two)].reset_index(drop=True)
    is_first = ~tokens["word_idx"].duplicated()
    probability = rng.uniform(1e-4, 1.0, n_tokens)
    return tokens.assign(
        hftoken=np.where(is_first, "Ġ" + tokens["word"].str[:-1], tokens["word"].str[-1]),
        token_id=rng.integers(0, 50257, n_tokens),
        rank=np.where(probability > 0.69, 0, rng.integers(1, 2000, n_tokens)),
        true_prob=probability,
        top_pred=rng.integers(0, 50257, n_tokens),
        entropy=rng.uniform(0, 8, n_tokens),
    )


def _write_stimuli(folder: Path, tokens: pd.DataFrame, features: NDArray[np.float32], rng: np.random.Generator) -> None:
    import h5py

    for name in ("gpt2-xl", "phonetic"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    tokens.to_csv(folder / "gpt2-xl" / "transcript.tsv", sep="\t")
    with h5py.File(folder / "gpt2-xl" / "features.hdf5", "w") as file:
        for layer in range(N_LAYERS):
            noise = rng.standard_normal(features.shape).astype(np.float32)
            file[f"layer-{layer}"] = features if layer == 24 else noise
    words = tokens.drop_duplicates("word_idx")[["word_idx", "word", "start", "end"]]
    words = words[words["word_idx"] % 40 != 7].reset_index(drop=True).assign(token=lambda table: table["word"])
    words.to_csv(folder / "phonetic" / "transcript.tsv", sep="\t")  # some words have no phonetic features
    with h5py.File(folder / "phonetic" / "features.hdf5", "w") as file:
        file["vectors"] = rng.standard_normal((len(words), 3))


def _write_recording(folder: Path, subject: str, power: NDArray[np.float64]) -> None:
    """Write the power, and tables of channels and electrodes that have rows of their own besides."""
    derived, source = folder / "derivatives/ecogprep" / subject / "ieeg", folder / subject / "ieeg"
    derived.mkdir(parents=True, exist_ok=True)
    source.mkdir(parents=True, exist_ok=True)
    names = [f"LGA{number}" for number in range(1, len(power) + 1)]
    path = derived / f"{subject}_task-podcast_desc-highgamma_ieeg.fif"
    write_unplaced_raw(path, power, channels=names, kind="ecog", rate_hz=RATE_HZ)
    rows = [f"{name}\tECOG\tuV\tn/a\tn/a\t512.0\tgood\tn/a" for name in names]
    rows += ["LGB1\tECOG\tuV\tn/a\tn/a\t512.0\tbad\tno localization", "DC1\tMISC\tn/a\tn/a\tn/a\t1728.0\tgood\tn/a"]
    header = "name\ttype\tunits\tlow_cutoff\thigh_cutoff\tsampling_frequency\tstatus\tstatus_description"
    (source / f"{subject}_task-podcast_channels.tsv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    positions = [f"{name}\t{-50.0 - number}\t{10.0 + number}\t30.0\t4.15\tG" for number, name in enumerate(names)]
    positions = ["LGC9\t-40.0\t0.0\t0.0\t4.15\tS", *positions[::-1]]
    table = "\n".join(["name\tx\ty\tz\tsize\tgroup", *positions]) + "\n"
    path = source / f"{subject}_space-MNI152NLin2009aSym_electrodes.tsv"
    path.write_text(table, encoding="utf-8-sig")
