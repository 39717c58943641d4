r"""Quadratic forms of a recording in all its rotations, by Fourier transforms.

Let :math:`y_b(i) = y(i - b)` be a recording of :math:`n` samples, rotated by :math:`b` (indices modulo :math:`n`). A
form of it is a sum over lags of correlations of a diagonal of the form with a product of the recording with itself,

.. math:: y_b^\top A\, y_b = \sum_k \sum_i A(i, i + k)\; y(i - b)\, y(i + k - b)
          = \sum_k \bigl(a_k \star g_k\bigr)(b), \qquad g_k(j) = y(j)\, y(j + k),

so that the transform of the values over all :math:`n` rotations is :math:`\sum_k \hat a_k \overline{\hat g_k}`: for
every frequency a product of (form, lag) and (lag, target). Rotation by rotation a form takes :math:`n^2`
multiplications per target; this takes about :math:`n`, averaged over all rotations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float
from numpy.typing import NDArray

TILE_VALUES = 2**21
"""Complex values of the products of a tile of targets with themselves, 32 MiB; a heuristic."""

HELD_VALUES = 2**24
"""Complex values up to which the products of all targets are held, 256 MiB, and not made again for other forms."""


@dataclass(frozen=True)
class RotatedRecording:
    """A recording whose part is rotated, ready for many forms.

    Attributes
    ----------
    moving : ndarray, shape (sample, target)
        What is rotated, float64.
    fixed : ndarray or None, shape (sample, target)
        What stays in place and is added to it.
    held : tuple of ndarray
        Transforms of the products of each tile, as :meth:`products` gives them; empty where they are too many.
    """

    moving: Float[NDArray[np.float64], "sample target"]
    fixed: Float[NDArray[np.float64], "sample target"] | None
    held: tuple[Complex[NDArray[np.complex128], "frequency lag tile"], ...] = ()

    @classmethod
    def of(
        cls,
        moving: Float[NDArray[np.float64], "sample target"],
        fixed: Float[NDArray[np.float64], "sample target"] | None = None,
    ) -> RotatedRecording:
        """Transform products of the recording with itself, where there is room for those of all targets.

        Parameters
        ----------
        moving, fixed : ndarray, shape (sample, target)
            As the attributes.
        """
        plain = cls(moving, fixed)
        if (len(moving) // 2 + 1) ** 2 * moving.shape[1] > HELD_VALUES:
            return plain
        return cls(moving, fixed, tuple(plain.products(number) for number in range(len(plain.tiles))))

    @property
    def tiles(self) -> list[slice]:
        """Targets that are taken together."""
        n, n_targets = self.moving.shape
        size = max(1, TILE_VALUES // (n // 2 + 1) ** 2)
        return [slice(start, min(start + size, n_targets)) for start in range(0, n_targets, size)]

    def products(self, number: int) -> Complex[NDArray[np.complex128], "frequency lag tile"]:
        """Give the conjugate transforms of the products of the targets of a tile with themselves, lag by lag.

        Parameters
        ----------
        number : int
            Number of the tile.
        """
        if self.held:
            return self.held[number]
        y = self.moving[:, self.tiles[number]]
        n = len(y)
        later = (np.arange(n) + np.arange(n // 2 + 1)[:, None]) % n  # (lag, sample)
        return np.ascontiguousarray(np.fft.rfft(y[later] * y, axis=1).conj().transpose(1, 0, 2))


@dataclass(frozen=True)
class RotatedForms:
    """Symmetric forms whose values are wanted at all rotations of recordings.

    Attributes
    ----------
    forms : ndarray, shape (form, sample, sample)
        The forms, float64.
    spectra : ndarray, shape (frequency, form, lag)
        Transforms of their diagonals; those of lags that stand for two are doubled.
    """

    forms: Float[NDArray[np.float64], "form sample sample"]
    spectra: Complex[NDArray[np.complex128], "frequency form lag"]

    @classmethod
    def of(cls, forms: Float[NDArray[np.float64], "form sample sample"]) -> RotatedForms:
        """Transform the diagonals of some forms.

        Parameters
        ----------
        forms : ndarray, shape (form, sample, sample)
            Symmetric.

        Examples
        --------
        >>> forms = RotatedForms.of(np.diag([1.0, 0.0, 0.0])[None])  # the square of the first sample
        >>> ((_, values),) = forms.values(RotatedRecording.of(np.array([[1.0], [2.0], [3.0]])))
        >>> values[0, :, 0].round(9).tolist()
        [1.0, 9.0, 4.0]
        """
        n = forms.shape[1]
        rows, lags = np.arange(n), np.arange(n // 2 + 1)
        diagonals = forms[:, rows, (rows + lags[:, None]) % n]  # (form, lag, sample)
        diagonals *= np.where((lags == 0) | (2 * lags == n), 1.0, 2.0)[:, None]  # the others stand for n - lag too
        return cls(forms, np.ascontiguousarray(np.fft.rfft(diagonals).transpose(2, 0, 1)))

    def values(
        self, recording: RotatedRecording
    ) -> Iterator[tuple[slice, Float[NDArray[np.float64], "form rotation target"]]]:
        """Give the values of all forms at all rotations, some targets at a time.

        Parameters
        ----------
        recording : RotatedRecording
            What is rotated.

        Yields
        ------
        targets : slice
            Which targets.
        values : ndarray, shape (form, rotation, target)
            The first of all rotations is by 0.
        """
        for number, tile in enumerate(recording.tiles):
            moving = recording.moving[:, tile]
            transformed = self.spectra @ recording.products(number)  # (frequency, form, target)
            if recording.fixed is None:
                yield tile, np.fft.irfft(transformed, n=len(moving), axis=0).transpose(1, 0, 2)
                continue
            fixed = recording.fixed[:, tile]
            seen = self.forms @ fixed  # (form, sample, target)
            transformed += self._cross(seen, moving)
            found = np.fft.irfft(transformed, n=len(moving), axis=0).transpose(1, 0, 2)  # (form, rotation, target)
            found += (seen * fixed).sum(axis=1)[:, None]
            yield tile, found

    def _cross(
        self, seen: NDArray[np.float64], moving: NDArray[np.float64]
    ) -> Complex[NDArray[np.complex128], "frequency form target"]:
        """Transform twice the inner products of the fixed part, as the forms see it, with the rotated one."""
        spectra = np.fft.rfft(2 * seen, axis=1)  # (form, frequency, target)
        spectra *= np.fft.rfft(moving, axis=0).conj()
        return spectra.transpose(1, 0, 2)


def rotation_of(order: NDArray[np.integer]) -> int | None:
    """Say by how many samples an order rotates a recording, None if it is no rotation.

    Parameters
    ----------
    order : ndarray of int, shape (sample,)
        Row of the recording that each sample gets.

    Examples
    --------
    >>> rotation_of(np.array([2, 0, 1])), rotation_of(np.array([2, 1, 0]))
    (1, None)
    """
    n = len(order)
    by = -int(order[0]) % n
    return by if np.array_equal(order, (np.arange(n) - by) % n) else None
