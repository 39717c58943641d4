"""One map per trial from runs in which words are shown one by one: single-trial betas of a general linear model."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.data.bids import BidsFile, run_name
from neuroling.data.fmri import XFORM_CODES
from neuroling.data.fmri_runs import FmriRuns, read_runs
from neuroling.data.sources import grid_of_mask
from neuroling.data.trials import item_labels

Method = Literal["lss", "lsa"]
NoiseModel = Literal["ols", "ar1"]

OTHERS = "others"
"""Condition of all trials but the one whose response is estimated."""


def single_trial_betas(
    files: Sequence[BidsFile | Path | str],
    words: Stimuli,
    *,
    method: Method = "lss",
    mask: Path | str | None = None,
    confounds: str | Mapping[str, Any] | None = None,
    hrf: str = "spm",
    high_pass_s: float | None = 128.0,
    noise: NoiseModel = "ols",
) -> xr.DataArray:
    """Estimate the response to every trial with nilearn's ``FirstLevelModel``, and lay trials out by word.

    ``"lsa"`` (least squares, all) gives every trial a regressor in one design. ``"lss"`` (least squares, separate) fits
    one design per trial, with all other trials in one regressor, which keeps estimates apart where trials follow one
    another quickly (Mumford et al. 2012). Every run is fitted by itself.

    Parameters
    ----------
    files : sequence of BidsFile or path
        Images of the runs, as for :func:`neuroling.data.fmri_runs.read_runs`.
    words : Stimuli
        One row a trial, from :func:`neuroling.data.word_files.read_words`: ``onset``, ``offset`` where trials last, and
        ``group`` where there are several runs.
    method : {"lss", "lsa"}
        How single trials are told from one another.
    mask, confounds
        As for :func:`neuroling.data.fmri_runs.read_runs`; censored volumes get a regressor each.
    hrf : str
        Haemodynamic response, as nilearn names it.
    high_pass_s : float, optional
        Longest period kept, in seconds; None where the confounds hold cosines.
    noise : {"ols", "ar1"}
        Noise model of nilearn; ``"ar1"`` takes several times as long.

    Returns
    -------
    xarray.DataArray, dims (sample, repeat, voxel)
        A sample is a word, labelled by its text, a repeat one of its trials, in the order in which they were shown;
        words shown once have no axis ``repeat``. Where words were shown a different number of times, repeats that lack
        are NaN. ``attrs`` say how it was made.

    Raises
    ------
    ValueError
        If runs of images and words differ, a trial lies outside its run, or the design cannot tell trials apart.

    References
    ----------
    Mumford, J. A. et al. (2012). Deconvolving BOLD activation in event-related designs for multivoxel pattern
    classification analyses. NeuroImage 59, 2636-2643.

    Examples
    --------
    >>> import tempfile
    >>> from neuroling.data.study_samples.fmri import write_word_list
    >>> from neuroling.data.bids import find_files
    >>> from neuroling.data.word_files import read_words
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_word_list(Path(folder), n_words=4)
    ...     files = find_files(f"{folder}/derivatives/fmriprep", suffix="bold", sub="01", desc="preproc")
    ...     words = read_words(sorted(Path(folder, "words").iterdir()))
    ...     betas = single_trial_betas(files, words, method="lsa")
    >>> betas.dims, betas.sizes["sample"], betas.sizes["repeat"]
    (('sample', 'repeat', 'voxel'), 4, 2)
    """
    if method not in ("lss", "lsa"):
        raise ValueError(f"method: got {method!r}; expected 'lss' or 'lsa'.")
    if "onset" not in words.table:
        raise ValueError("words: they have no onsets; read them with read_words.")
    runs = [file if isinstance(file, BidsFile) else BidsFile.parse(Path(file)) for file in files]
    read = read_runs(runs, mask=mask, confounds=confounds)
    trials = _trials_of_runs(words, [run_name(run) for run in runs])
    maps = [
        _betas_of_run(read, name, table, method=method, hrf=hrf, high_pass_s=high_pass_s, noise=noise)
        for name, table in trials.items()
    ]
    rows = pd.concat(trials.values())
    laid_out = _by_word(np.concatenate(maps), item_labels(rows["text"], "words"))
    description = f"{method.upper()} by nilearn's FirstLevelModel, response {hrf}, noise {noise}, " + (
        "no high-pass filter" if high_pass_s is None else f"high-pass filter at {high_pass_s:g} s"
    )
    kept = ("affine", "grid_shape", "space", XFORM_CODES, "tr_s", "participant", "confounds", "n_censored", "synthetic")
    attrs = {name: read.recording.attrs[name] for name in kept if name in read.recording.attrs}
    voxels = {name: coord for name, coord in read.recording.coords.items() if coord.dims == ("voxel",)}
    betas = laid_out.assign_coords(voxels).assign_attrs(
        attrs | {"single_trials": description, "single_trial_method": method}
    )
    return betas.isel(repeat=0, drop=True) if betas.sizes["repeat"] == 1 else betas


def _trials_of_runs(words: Stimuli, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Give the trials of each run, in the order of the images."""
    table = words.table
    if "group" not in table:
        if len(names) > 1:
            raise ValueError(f"words: they do not name their run, and there are {len(names)} runs {list(names)[:4]}.")
        return {names[0]: table}
    table_runs = dict.fromkeys(table["group"].astype(str))
    apart = sorted(set(table_runs) ^ set(names))
    if apart:
        raise ValueError(
            f"words: runs {apart[:4]} have images or words but not both; the words name {list(table_runs)[:4]}, the "
            f"images {list(names)[:4]}."
        )
    return {name: table[table["group"].astype(str) == name] for name in names}


def _betas_of_run(
    read: FmriRuns,
    name: str,
    trials: pd.DataFrame,
    *,
    method: Method,
    hrf: str,
    high_pass_s: float | None,
    noise: NoiseModel,
) -> NDArray[np.float64]:
    """Estimate all trials of one run, shape (trial, voxel)."""
    recording = read.recording
    rows = np.flatnonzero(recording.coords["group"].to_numpy() == name)
    frames = recording.coords["onset"].to_numpy()[rows]
    late = trials["onset"] >= frames[-1]
    if late.any() or (trials["onset"] < 0).any():
        raise ValueError(
            f"words: {int(late.sum() + (trials['onset'] < 0).sum())} trials of run {name!r} begin before its first or "
            f"after its last volume (at {frames[-1]:g} s); expected onsets in seconds from the first volume."
        )
    onset = trials["onset"].to_numpy(dtype=float)
    duration = trials["offset"].to_numpy(dtype=float) - onset if "offset" in trials else np.zeros(len(onset))
    nuisance = _nuisance(read, rows)
    values = recording.to_numpy()[rows]
    fits = [list(range(len(onset)))] if method == "lsa" else [[trial] for trial in range(len(onset))]
    betas = np.empty((len(onset), values.shape[1]))
    for alone in fits:
        condition = np.full(len(onset), OTHERS, dtype=object)
        condition[alone] = [f"trial{trial}" for trial in alone]
        events = pd.DataFrame({"onset": onset, "duration": duration, "trial_type": condition})
        estimates = _fit(values, events, nuisance, frames, recording, hrf, high_pass_s, noise)
        for trial in alone:
            betas[trial] = estimates[f"trial{trial}"]
    return betas


def _nuisance(read: FmriRuns, rows: NDArray[np.intp]) -> pd.DataFrame | None:
    """Give the confounds of one run, and a column for each censored volume."""
    columns: dict[str, NDArray[np.float64]] = {}
    if read.confounds is not None:
        ours = read.confounds.to_numpy()[rows]
        columns |= {
            str(n): ours[:, i] for i, n in enumerate(read.confounds.feature.to_numpy()) if np.ptp(ours[:, i]) > 0
        }
    censored = read.recording.coords["censored"].to_numpy()[rows]
    columns |= {f"censored{row}": np.eye(len(rows))[row] for row in np.flatnonzero(censored)}
    return pd.DataFrame(columns) if columns else None


def _fit(
    values: NDArray[Any],
    events: pd.DataFrame,
    nuisance: pd.DataFrame | None,
    frames: NDArray[np.float64],
    recording: xr.DataArray,
    hrf: str,
    high_pass_s: float | None,
    noise: NoiseModel,
) -> dict[str, NDArray[np.float64]]:
    """Fit one design to one run; gives the effect of each single trial."""
    from nilearn.glm.first_level import FirstLevelModel

    image, mask = _images(values, recording)
    model = FirstLevelModel(
        t_r=float(recording.attrs["tr_s"]),
        slice_time_ref=0.0,
        hrf_model=hrf,
        drift_model=None if high_pass_s is None else "cosine",
        high_pass=0.01 if high_pass_s is None else 1 / high_pass_s,
        mask_img=mask,
        noise_model=noise,
        signal_scaling=False,
        minimize_memory=True,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Given mask will be used.*")  # as it should
        warnings.filterwarnings("ignore", message=".*Matrix is singular.*")  # the rank is looked at below
        model.fit(image, events=events, confounds=nuisance)
    (design,) = model.design_matrices_
    single = [name for name in events["trial_type"].unique() if name != OTHERS]
    if np.linalg.matrix_rank(design.to_numpy()) < design.shape[1]:
        raise ValueError(
            f"words: the design of {design.shape[1]} regressors for {len(frames)} volumes cannot tell them apart; use "
            "fewer confounds, longer runs, or method='lss'."
        )
    inside = np.asarray(mask.dataobj).astype(bool)
    return {
        str(name): np.asarray(model.compute_contrast(name, output_type="effect_size").get_fdata()[inside])
        for name in single
    }


def _images(values: NDArray[Any], recording: xr.DataArray) -> tuple[Any, Any]:
    """Put the volumes of one run back onto their grid; nilearn takes nothing else."""
    import nibabel

    from neuroling.data.fmri import mask_image

    mask = mask_image(recording)
    grid = grid_of_mask(mask)
    volumes = np.zeros((*grid.shape, len(values)), dtype=np.float64)
    volumes.reshape(-1, len(values))[grid.voxels] = values.T
    image: Any = nibabel.Nifti1Image(volumes, grid.affine)  # type: ignore[no-untyped-call]  # nibabel states no types
    return image, mask


def _by_word(betas: NDArray[np.float64], words: NDArray[np.str_]) -> xr.DataArray:
    """Lay trials out by word: (word, repeat, voxel), NaN where a word was shown less often than others."""
    trials = {word: np.flatnonzero(words == word) for word in dict.fromkeys(words.tolist())}
    n_repeats = max(map(len, trials.values()))
    values = np.full((len(trials), n_repeats, betas.shape[1]), np.nan)
    for row, which in enumerate(trials.values()):
        values[row, : len(which)] = betas[which]
    counts = np.array([len(which) for which in trials.values()])
    return xr.DataArray(
        values, dims=("sample", "repeat", "voxel"), coords={"sample": list(trials), "n_trials": ("sample", counts)}
    )
