"""Multivariate noise normalisation, estimated from repeats."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.arrays import real_numbers
from neuroling.core.repeats import lacking_repeats
from neuroling.numerics.rdm import noise_normalisation as whitening
from neuroling.rsa.checks import check_numbers, refuse_extreme_units

Array = NDArray[np.floating[Any]]


def noise_covariance(recording: xr.DataArray) -> xr.DataArray:
    """Estimate the noise of a single repeat, pooled over items and times, shrunk after Ledoit and Wolf.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, repeat, channel, time, [subject])
        At least two repeats.

    Returns
    -------
    xarray.DataArray, dims ([subject,] channel, feature)
        Both axes run over the channels; squared units of the recording.
    """
    check_numbers(recording)
    if "repeat" not in recording.dims:
        raise ValueError(
            f"recording: axes {recording.dims} have no 'repeat'; noise is what differs between repeats of an item."
        )
    required_axes = ("repeat", "sample", "channel", "time")
    absent = [axis for axis in required_axes if axis not in recording.dims]
    if absent:
        raise ValueError(
            f"recording: axes {recording.dims} lack {absent}; expected {required_axes}, and perhaps 'subject'."
        )
    if recording.sizes["repeat"] < 2:
        raise ValueError("recording: it has one repeat; noise is what differs between at least two repeats of an item.")
    recording = recording.copy(data=real_numbers("recording", recording.values))
    refuse_extreme_units(recording.values)
    broken = int(np.isnan(recording.where(~lacking_repeats(recording), 0)).sum())
    if broken:
        raise ValueError(
            f"recording: {broken} of {recording.size} values are NaN beside others that are not; leave out the trials "
            "or channels that hold them. A repeat that an item lacks is NaN throughout."
        )
    channels = _channel_labels(recording)
    coords = {"channel": channels, "feature": channels}
    if "subject" not in recording.dims:
        covariance = whitening.noise_covariance(recording.transpose(*required_axes).values)
        return xr.DataArray(covariance, dims=("channel", "feature"), coords=coords)
    each = recording.transpose("subject", *required_axes)
    covariances = np.stack([whitening.noise_covariance(values) for values in each.values])
    if "subject" in recording.coords:
        coords["subject"] = recording.coords["subject"].values
    return xr.DataArray(covariances, dims=("subject", "channel", "feature"), coords=coords)


def whiten(recording: xr.DataArray, covariance: xr.DataArray) -> xr.DataArray:
    r"""Multiply channels with :math:`\Sigma^{-1/2}`, once.

    Parameters
    ----------
    recording : xarray.DataArray
        With an axis ``channel``; not whitened before.
    covariance : xarray.DataArray, dims ([subject,] channel, feature)
        From :func:`noise_covariance` of *other* data than are tested, such as a baseline or training folds.

    Returns
    -------
    xarray.DataArray
        Same axes; ``attrs["whitened"]`` is 1.

    Raises
    ------
    ValueError
        If the recording was whitened before, or the channels differ.
    """
    check_numbers(recording)
    refuse_second_whitening(recording)
    if "channel" not in recording.dims:
        raise ValueError(f"recording: axes {recording.dims} have no 'channel' to whiten over.")
    covariance_channels = covariance.coords["channel"].values.tolist()
    if _channel_labels(recording) != covariance_channels:
        raise ValueError(
            f"covariance: its channels {covariance_channels[:5]}… are not those of the recording "
            f"{_channel_labels(recording)[:5]}… in that order; select the same channels on both sides by label."
        )
    roots = xr.apply_ufunc(
        whitening.inverse_root,
        covariance,
        input_core_dims=[["channel", "feature"]],
        output_core_dims=[["channel", "feature"]],
        vectorize=True,
    )
    white = xr.dot(recording, roots, dim="channel").rename(feature="channel")
    white = white.transpose(*recording.dims).assign_coords(channel=_channel_labels(recording))
    labelled: xr.DataArray = white.assign_attrs(recording.attrs | {"whitened": 1})
    return labelled


def refuse_second_whitening(recording: xr.DataArray) -> None:
    """Refuse a recording that has been whitened.

    Parameters
    ----------
    recording : xarray.DataArray
        What somebody is about to whiten.
    """
    if recording.attrs.get("whitened"):
        raise ValueError(
            "recording: it has been whitened already, and doing so twice changes every distance; leave noise=None, or "
            "start from the recording as it was."
        )


def _channel_labels(recording: xr.DataArray) -> list[Any]:
    if "channel" in recording.coords:
        return list(recording.coords["channel"].values.tolist())
    return list(range(recording.sizes["channel"]))
