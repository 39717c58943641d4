"""Samples of EEG in MNE's files: a story that is heard, and words that are shown one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from neuroling.data.eeg import montage_channels, write_epochs, write_raw
from neuroling.data.study_samples.texts import meanings, story
from neuroling.data.synthetic import ar1_noise, mark_synthetic

N_MEANINGS = 3


def write_story(
    folder: Path, *, n_subjects: int = 1, minutes: float = 2.0, rate_hz: float = 50.0, seed: int = 0
) -> None:
    """Write participants who hear a story: continuous EEG as ``-raw.fif``, words with onsets.

    Every word evokes a wave at 0.1 s in all channels, and one at 0.4 s that follows its meaning in some.

    Parameters
    ----------
    folder : pathlib.Path
        Gets ``eeg/sub-01_task-story_raw.fif`` and the like, and ``words.csv``.
    n_subjects : int
        Participants.
    minutes : float
        Length of the story.
    rate_hz : float
        Samples a second.
    seed : int
        Seed of everything.
    """
    rng = np.random.default_rng(seed)
    channels = montage_channels(8)
    n = int(minutes * 60 * rate_hz)
    onsets = np.cumsum(rng.uniform(0.3, 0.7, int(minutes * 60 / 0.5)))
    onsets = onsets[onsets < minutes * 60 - 2].round(3)
    texts, vectors = story(len(onsets), rng), meanings(N_MEANINGS, rng)
    (folder / "eeg").mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame({"onset": onsets, "offset": (onsets + 0.25).round(3), "word": texts})
    table.to_csv(folder / "words.csv", index=False)
    meaning = np.stack([vectors.get(word, np.zeros(N_MEANINGS)) for word in texts])
    impulses = np.zeros((n, 1 + N_MEANINGS))
    impulses[np.round(onsets * rate_hz).astype(int)] = np.column_stack([np.ones(len(texts)), meaning])
    lags = np.arange(int(0.8 * rate_hz)) / rate_hz
    early, late = (np.exp(-0.5 * ((lags - at) / 0.05) ** 2) for at in (0.1, 0.4))
    waves = np.column_stack(
        [np.convolve(impulses[:, k], early if k == 0 else late)[:n] for k in range(impulses.shape[1])]
    )
    weights = np.vstack([2 * np.ones(len(channels)), rng.standard_normal((N_MEANINGS, len(channels)))])
    for subject in range(1, n_subjects + 1):
        noise = 3 * ar1_noise((n, len(channels)), 0.8, rng)
        path = folder / "eeg" / f"sub-{subject:02d}_task-story_raw.fif"
        write_raw(path, waves @ weights + noise, channels=channels, rate_hz=rate_hz)
    mark_synthetic(folder, {"kind": "eeg-trf", "wave_s": 0.1, "meaning_s": 0.4, "seed": seed})


def write_words(
    folder: Path, *, n_subjects: int = 6, n_words: int = 16, n_trials: int = 4, rate_hz: float = 50.0, seed: int = 0
) -> None:
    """Write participants who read single words: epochs as ``-epo.fif`` with the word of each trial as metadata.

    Between 0.3 and 0.5 s patterns over channels follow the meaning of words.

    Parameters
    ----------
    folder : pathlib.Path
        Gets ``epochs/sub-01-epo.fif`` and the like.
    n_subjects, n_words, n_trials : int
        Participants, words (at most 26), and trials of each word.
    rate_hz : float
        Samples a second.
    seed : int
        Seed of everything.
    """
    rng = np.random.default_rng(seed)
    channels = montage_channels(12)
    vectors = meanings(N_MEANINGS, rng)
    words = list(vectors)[:n_words]
    times = np.arange(-0.2, 0.8, 1 / rate_hz).round(6)
    gain = np.exp(-0.5 * ((times - 0.4) / 0.07) ** 2)
    weights = rng.standard_normal((N_MEANINGS, len(channels)))
    (folder / "epochs").mkdir(parents=True, exist_ok=True)
    for subject in range(1, n_subjects + 1):
        shown = [words[place] for _ in range(n_trials) for place in rng.permutation(n_words)]
        own = weights + 0.5 * rng.standard_normal(weights.shape)
        pattern = np.stack([vectors[word] for word in shown]) @ own  # (trial, channel)
        values = 1.5 * pattern[:, :, None] * gain + 4 * rng.standard_normal((len(shown), len(channels), len(times)))
        table = pd.DataFrame({"word": shown, "position": np.arange(len(shown))})
        path = folder / "epochs" / f"sub-{subject:02d}-epo.fif"
        codes = np.ones(len(shown), dtype=int)
        write_epochs(path, values, channels=channels, times=times, metadata=table, codes=codes)
    mark_synthetic(folder, {"kind": "eeg-rsa", "meaning_s": 0.4, "seed": seed})
