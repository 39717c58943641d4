"""Kernels of a temporal response function: over lags, and over the head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from neuroling.core.align import Aligned, AlignedSpaces
from neuroling.encoding.trf import TRF
from neuroling.report.figures import axes_to_png, figure_to_png, plot_curve
from neuroling.report.html import Figure
from neuroling.report.rsa import plot_topographies

MOST_FEATURES = 6
"""Kernels that one figure can show apart."""


def kernels_of(model: TRF, data: Aligned, *, rate_hz: float) -> xr.DataArray:
    """Fit a temporal response function to all samples, and give its weights with their labels.

    Parameters
    ----------
    model : TRF
        Left as it is.
    data : Aligned
        Features and a continuous recording.
    rate_hz : float
        Samples a second.

    Returns
    -------
    xarray.DataArray, dims (feature, channel, time)
        ``time`` is the lag in seconds; positive lags come after the feature. Weights are those of all samples, not of a
        held-out prediction.

    Examples
    --------
    >>> from neuroling import align
    >>> rng = np.random.default_rng(0)
    >>> times = {"sample": range(300), "time_index": ("sample", np.arange(300))}
    >>> x = xr.DataArray(rng.standard_normal((300, 1)), dims=("sample", "feature"), coords=times)
    >>> y = xr.DataArray(np.roll(x, 2, axis=0), dims=("sample", "channel"), coords={**times, "channel": ["Cz"]})
    >>> kernels = kernels_of(TRF((0, 4), alphas=(0.1, 1.0), device="cpu"), align(x, y), rate_hz=100.0)
    >>> float(kernels.isel(feature=0, channel=0).idxmax("time"))
    0.02
    """
    from sklearn.base import clone

    groups = data.groups()
    runs = np.zeros(data.n_samples, dtype=int) if groups is None else groups
    fitted = clone(model).fit(data.x.to_numpy(), data.y_mean.to_numpy(), runs)
    names = data.x.coords["feature"].to_numpy() if "feature" in data.x.coords else np.arange(data.x.sizes["feature"])
    coords = {
        "channel": data.y.coords["channel"].to_numpy(),
        "feature": [str(name) for name in names],
        "time": np.asarray(fitted.lags_) / rate_hz,
    }
    weights = xr.DataArray(fitted.coef_, dims=("channel", "feature", "time"), coords=coords, name="TRF weight")
    marked = {"synthetic": 1} if data.y.attrs.get("synthetic") else {}
    return weights.transpose("feature", "channel", "time").assign_attrs(marked)


def plot_kernels(
    model: TRF,
    data: Aligned | AlignedSpaces,
    space: str = "",
    *,
    rate_hz: float,
    montage: str | xr.DataArray | None = None,
    times: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5),
) -> list[Figure]:
    """Draw kernels over lags, as root mean square over channels, and the first kernel over the head.

    Parameters
    ----------
    model : TRF
        Fitted here to all samples; left as it is.
    data : Aligned or AlignedSpaces
        Features and a continuous recording.
    space : str
        Which of several feature spaces.
    rate_hz : float
        Samples a second.
    montage : str or xarray.DataArray, optional
        Where channels are, as in :func:`~neuroling.report.rsa.plot_topographies`; without it no head is drawn.
    times : sequence of float
        Lags of the heads, in seconds; those outside the kernel are passed over.

    Returns
    -------
    list of Figure
        For :func:`~neuroling.report.study.write_report`.

    Examples
    --------
    >>> from neuroling import align
    >>> rng = np.random.default_rng(0)
    >>> times = {"sample": range(200), "time_index": ("sample", np.arange(200))}
    >>> x = xr.DataArray(rng.standard_normal((200, 1)), dims=("sample", "feature"), coords=times)
    >>> y = xr.DataArray(np.roll(x, 2, axis=0), dims=("sample", "channel"), coords={**times, "channel": ["Cz"]})
    >>> len(plot_kernels(TRF((0, 4), alphas=(0.1, 1.0), device="cpu"), align(x, y), rate_hz=100.0))
    1
    """
    one = data[space] if isinstance(data, AlignedSpaces) else data
    kernels = kernels_of(model, one, rate_hz=rate_hz)
    synthetic = bool(kernels.attrs.get("synthetic"))
    shown = kernels.isel(feature=slice(0, MOST_FEATURES))
    power = (shown**2).mean("channel").rename(feature="model")
    strength = power.copy(data=np.sqrt(power.to_numpy()))  # drawn as one curve per feature
    axes = plot_curve(strength, label="TRF weight, root mean square over channels")
    axes.set_xlabel("lag after word onset (s)")
    left_out = kernels.sizes["feature"] - shown.sizes["feature"]
    caption = (
        f"Temporal response functions of {space or 'the model'}, fitted to all samples: one curve per feature"
        f"{f' (the first {MOST_FEATURES}; {left_out} more are not drawn)' if left_out else ''}."
    )
    figures = [Figure(axes_to_png(axes, synthetic=synthetic), caption, "Kernels over lags.")]
    lags = kernels.time.to_numpy()
    heads = [time for time in times if lags[0] <= time <= lags[-1]]
    if montage is not None and heads:
        first = shown.isel(feature=0, drop=True)
        figure = plot_topographies(first, heads, montage=montage, label="TRF weight", synthetic=synthetic)
        said = f"The kernel of {str(shown.feature.to_numpy()[0])!r} over the head, at the positions of the recording."
        figures.append(Figure(figure_to_png(figure), said, "Heads at several lags."))
    return figures
