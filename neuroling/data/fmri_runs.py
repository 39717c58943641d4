"""Preprocessed runs of a participant: one recording with its confounds, censored volumes marked, labels by run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from neuroling.data.bids import BidsFile, volume_table
from neuroling.data.errors import require_file
from neuroling.data.images import spatial_image, volumes_of
from neuroling.data.sources import open_nifti
from neuroling.data.synthetic import lies_in_synthetic

STRATEGIES = ("simple", "scrubbing", "compcor", "ica_aroma")
"""Named strategies of nilearn's ``load_confounds_strategy``."""

Confounds = str | Mapping[str, Any]


class FmriRuns(NamedTuple):
    """A recording and what is to be regressed out of it.

    Attributes
    ----------
    recording : xarray.DataArray, dims (sample, voxel)
        All runs, one after the other, as they stand in the images. Coordinates along ``sample``: ``group`` (the run),
        ``time_index`` (volume in the run), ``onset`` (seconds from the start of the run) and ``censored``;
        ``attrs["tr_s"]`` is the repetition time.
    confounds : xarray.DataArray, dims (sample, feature), or None
        One row a volume; a regressor that a run does not have is zero there.
    """

    recording: xr.DataArray
    confounds: xr.DataArray | None


def read_runs(
    files: Sequence[BidsFile | Path | str],
    *,
    mask: Path | str | None = None,
    confounds: Confounds | None = None,
    repetition_time_s: float | None = None,
) -> FmriRuns:
    """Read the preprocessed runs of one participant, with confounds by a named strategy.

    Nothing is regressed out here: :func:`neuroling.encoding.nuisance.remove_nuisance` does that stretch by stretch, so
    that nothing passes from test volumes to training volumes. Volumes that the strategy censors (motion, non-steady
    state) stay in place and are marked, because a time axis has no holes.

    Parameters
    ----------
    files : sequence of BidsFile or path
        Images of the runs, in order, with BIDS names as fMRIPrep gives them (``…_desc-preproc_bold.nii.gz``), from
        :func:`neuroling.data.bids.find_files`.
    mask : path, optional
        Image of the voxels to take; by default those in the ``desc-brain_mask`` of every run.
    confounds : str or mapping, optional
        Name of a strategy of nilearn's ``load_confounds_strategy`` (``"simple"``, ``"scrubbing"``, ``"compcor"``,
        ``"ica_aroma"``), or arguments of its ``load_confounds``, such as
        ``{"strategy": ("motion", "wm_csf"), "motion": "basic"}``. The ``desc-confounds_timeseries`` of each run have to
        lie beside its image. None by default.
    repetition_time_s : float, optional
        Where no JSON file gives it.

    Returns
    -------
    FmriRuns

    Raises
    ------
    DataNotFound, CorruptData
        If a file is absent or damaged.
    ValueError
        If the runs are of several participants, have different repetition times, or confounds are not there.

    References
    ----------
    Wang, H.-T. et al. (2024). Continuous evaluation of denoising strategies in resting-state fMRI connectivity using
    fMRIPrep and Nilearn. PLOS Computational Biology 20, e1011942.

    Examples
    --------
    >>> import tempfile
    >>> from neuroling.data.bids import find_files
    >>> from neuroling.data.study_samples.fmri import write_story
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_story(Path(folder), n_runs=2, n_volumes=20)
    ...     files = find_files(f"{folder}/derivatives/fmriprep", suffix="bold", sub="01", desc="preproc")
    ...     recording, confounds = read_runs(files, confounds={"strategy": ("motion",), "motion": "basic"})
    >>> recording.sizes["sample"], recording.attrs["tr_s"], confounds.sizes["feature"]
    (40, 2.0, 6)
    """
    runs = [file if isinstance(file, BidsFile) else BidsFile.parse(Path(file)) for file in files]
    if not runs:
        raise ValueError("files: got none; expected an image per run.")
    people = list(dict.fromkeys(run.entities.get("sub", "") for run in runs))
    if len(people) > 1:
        raise ValueError(
            f"files: runs of the participants {people[:4]}; expected one. Read each participant by itself."
        )
    lengths = [volumes_of(spatial_image(run.path, "files"), str(run.path)).shape[3] for run in runs]
    table = volume_table(runs, lengths, repetition_time_s=repetition_time_s)
    steps = table.groupby("group", sort=False)["onset"].diff().dropna().to_numpy()
    tr_s = float(np.median(steps))
    if np.abs(steps - tr_s).max() > 1e-6:
        raise ValueError(
            f"files: volumes are {steps.min():g} to {steps.max():g} s apart; expected one repetition time in all runs."
        )
    nuisances, censored = _confounds(runs, lengths, confounds)
    source = open_nifti([run.path for run in runs], table, mask=_brain_mask(runs) if mask is None else mask)
    recording = source.read(slice(0, source.n_targets)).assign_coords(censored=("sample", censored))
    attrs = {**recording.attrs, "tr_s": tr_s, "participant": people[0], "confounds": _named(confounds)}
    attrs |= {"n_censored": int(censored.sum())} | ({"synthetic": 1} if lies_in_synthetic(runs[0].path) else {})
    recording = recording.assign_attrs(attrs)
    if nuisances is None:
        return FmriRuns(recording, None)
    coords = {name: ("sample", recording.coords[name].to_numpy()) for name in ("sample", "group", "time_index")}
    values = nuisances.to_numpy(dtype=np.float64)
    names = [str(name) for name in nuisances.columns]
    return FmriRuns(recording, xr.DataArray(values, dims=("sample", "feature"), coords={**coords, "feature": names}))


def _named(confounds: Confounds | None) -> str:
    if confounds is None:
        return "none"
    if isinstance(confounds, str):
        return f"nilearn's strategy {confounds!r}"
    return "nilearn's load_confounds, " + ", ".join(f"{name}={value!r}" for name, value in confounds.items())


def _brain_mask(runs: Sequence[BidsFile]) -> Any:
    """Join the brain masks of the runs: voxels that lie in the brain in each of them."""
    from nilearn.masking import intersect_masks

    masks = [require_file(run.beside(desc="brain", suffix="mask"), "the brain mask of a run") for run in runs]
    return str(masks[0]) if len(masks) == 1 else intersect_masks([str(mask) for mask in masks], threshold=1)


def _confounds(
    runs: Sequence[BidsFile], lengths: Sequence[int], confounds: Confounds | None
) -> tuple[pd.DataFrame | None, NDArray[np.bool_]]:
    """Load the confounds of all runs, and say which volumes are censored."""
    if confounds is None:
        return None, np.zeros(sum(lengths), dtype=bool)
    frames, marks = [], []
    for run, n_volumes in zip(runs, lengths, strict=True):
        frame, retained_volumes = _of_run(run, confounds)
        if frame is None or len(frame) != n_volumes:
            raise ValueError(
                f"confounds: {run.path.name} has {n_volumes} volumes, its confounds "
                f"{0 if frame is None else len(frame)} rows; expected one a volume."
            )
        mark = np.ones(n_volumes, dtype=bool)
        mark[np.arange(n_volumes) if retained_volumes is None else np.asarray(retained_volumes, dtype=np.intp)] = False
        frames.append(frame)
        marks.append(mark)
    joined = pd.concat(frames, ignore_index=True).fillna(0.0)
    return joined, np.concatenate(marks)


def _of_run(run: BidsFile, confounds: Confounds) -> tuple[pd.DataFrame | None, NDArray[np.intp] | None]:
    from nilearn.interfaces.fmriprep import load_confounds, load_confounds_strategy

    if isinstance(confounds, str) and confounds not in STRATEGIES:
        raise ValueError(
            f"confounds: got {confounds!r}; expected one of {', '.join(STRATEGIES)}, or arguments of nilearn's "
            "load_confounds, such as {'strategy': ('motion', 'wm_csf')}."
        )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            if isinstance(confounds, str):
                frame, retained_volumes = load_confounds_strategy(str(run.path), denoise_strategy=confounds)
            else:
                frame, retained_volumes = load_confounds(str(run.path), **confounds)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(f"confounds: {run.path.name}: {' '.join(str(error).split())}") from error
    if frame is not None and not np.isfinite(frame.to_numpy()).all():
        bad = [str(name) for name in frame.columns[~np.isfinite(frame.to_numpy()).all(axis=0)]]
        raise ValueError(f"confounds: {run.path.name}: {bad[:4]} have cells that are not finite; choose others.")
    return frame, retained_volumes
