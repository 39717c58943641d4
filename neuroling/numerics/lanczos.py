"""Lanczos interpolation: values at uneven times, low-passed and read at even ones."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.sparse import csr_array


def lanczos_weights(
    onsets: Float[NDArray[np.float64], " word"],
    frames: Float[NDArray[np.float64], " volume"],
    *,
    lobes: int = 3,
    cutoff_hz: float | None = None,
) -> csr_array:
    r"""Give the matrix that takes values at uneven times to a regular grid.

    With :math:`u = f\,(t - o)` for a volume at :math:`t`, a value at :math:`o` and the cutoff :math:`f` (twice the
    highest frequency kept), the weight is :math:`\mathrm{sinc}(u)\,\mathrm{sinc}(u / a)` where :math:`|u| < a`, the
    number of lobes, and zero outside. Weights are not normalised: many words in a volume add up.

    Parameters
    ----------
    onsets : ndarray, shape (word,)
        Seconds, ascending.
    frames : ndarray, shape (volume,)
        Seconds, evenly spaced.
    lobes : int
        Zero crossings of the kernel on either side; 3 is customary.
    cutoff_hz : float, optional
        :math:`f` in Hz; by default one over the spacing of the frames, so that frequencies above the Nyquist frequency
        of the grid are taken out.

    Returns
    -------
    scipy.sparse.csr_array, shape (volume, word)

    References
    ----------
    Duchon, C. E. (1979). Lanczos filtering in one and two dimensions. J. Appl. Meteorol. 18, 1016-1022.

    Examples
    --------
    >>> lanczos_weights(np.array([2.0]), np.arange(4.0)).toarray().round(3).max(axis=1).tolist() == [0, 0, 1, 0]
    True
    """
    if lobes < 1:
        raise ValueError(f"lobes: got {lobes}; expected at least 1.")
    if cutoff_hz is not None and not 0 < cutoff_hz < np.inf:
        raise ValueError(f"cutoff_hz: got {cutoff_hz}; expected a positive frequency in Hz.")
    rate = 1.0 / float(np.median(np.diff(frames))) if cutoff_hz is None else cutoff_hz
    reach = lobes / rate  # seconds
    first = np.searchsorted(onsets, frames - reach, side="left")
    last = np.searchsorted(onsets, frames + reach, side="right")
    count = last - first  # words that reach each volume
    volume = np.repeat(np.arange(len(frames)), count)
    word = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    u = rate * (frames[volume] - onsets[word])
    value = np.where(np.abs(u) < lobes, np.sinc(u) * np.sinc(u / lobes), 0.0)
    return csr_array((value, (volume, word)), shape=(len(frames), len(onsets)))
