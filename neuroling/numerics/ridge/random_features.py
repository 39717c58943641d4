r"""Random features: maps whose inner products are a kernel's on average; ridge on them is kernel ridge at scale.

Gaussian kernel: cosines and sines of random frequencies (Rahimi & Recht 2007, Random features for large-scale kernel
machines), drawn orthogonal within blocks, which lowers the error (Yu et al. 2016, Orthogonal random features).
Polynomial kernel: the Fourier product of random count sketches (Pham & Pagh 2013, Fast and scalable polynomial kernels
via explicit feature maps).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from neuroling.numerics.device import to_tensor
from neuroling.numerics.products import multiply


@dataclass(frozen=True)
class FourierFeatures:
    r"""Random features of the Gaussian kernel :math:`\exp(-\gamma \lVert x - z \rVert^2)`.

    Attributes
    ----------
    frequencies : ndarray, shape (feature, frequency)
        Gaussian in length and direction, orthogonal within blocks.

    Examples
    --------
    >>> features = FourierFeatures.draw(3, 400, gamma=0.5, rng=np.random.default_rng(0))
    >>> x = features(torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64))
    >>> bool(abs(float(x[0] @ x[1]) - np.exp(-0.5)) < 0.05)
    True
    """

    frequencies: NDArray[np.float64]

    @classmethod
    def draw(cls, n_inputs: int, n_features: int, *, gamma: float, rng: np.random.Generator) -> FourierFeatures:
        """Draw frequencies.

        Parameters
        ----------
        n_inputs : int
            Columns of the features to be mapped.
        n_features : int
            Columns of the map, rounded up to an even number.
        gamma : float
            Inverse of twice the squared width, above 0.
        rng : Generator
        """
        n_frequencies = -(-n_features // 2)
        blocks = [_orthogonal(n_inputs, rng) for _ in range(-(-n_frequencies // n_inputs))]
        return cls(np.sqrt(2 * gamma) * np.hstack(blocks)[:, :n_frequencies])

    def __call__(self, X: torch.Tensor) -> torch.Tensor:
        """Map features (sample, feature) to random features (sample, random feature), float64."""
        phases = multiply(X, to_tensor(self.frequencies, X.device))
        waves = torch.cat([phases.cos(), phases.sin()], 1)
        return waves / float(np.sqrt(self.frequencies.shape[1]))


def _orthogonal(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Columns that are orthogonal, each by itself a standard Gaussian vector: (size, size)."""
    directions, triangle = np.linalg.qr(rng.standard_normal((size, size)))
    directions = directions * np.sign(np.diag(triangle))  # evenly over all rotations
    lengths: NDArray[np.float64] = np.linalg.norm(rng.standard_normal((size, size)), axis=0)
    return directions * lengths


@dataclass(frozen=True)
class SketchFeatures:
    r"""Random features of the polynomial kernel :math:`(\gamma x^\top z + c)^d`.

    Attributes
    ----------
    places : ndarray of int, shape (degree, feature + 1)
        Where each input is added, a sketch for every factor of the power.
    signs : ndarray, shape (degree, feature + 1)
        With which sign.
    n_features : int
        Columns of the map.
    gamma, constant : float
        Of the kernel.

    Examples
    --------
    >>> features = SketchFeatures.draw(2, 500, gamma=1.0, degree=2, constant=1.0, rng=np.random.default_rng(0))
    >>> x = features(torch.tensor([[1.0, 0.5]], dtype=torch.float64))
    >>> bool(abs(float(x[0] @ x[0]) - 2.25**2) < 1.0)
    True
    """

    places: NDArray[np.int64]
    signs: NDArray[np.float64]
    n_features: int
    gamma: float
    constant: float

    @classmethod
    def draw(
        cls, n_inputs: int, n_features: int, *, gamma: float, degree: int, constant: float, rng: np.random.Generator
    ) -> SketchFeatures:
        """Draw sketches.

        Parameters
        ----------
        n_inputs : int
            Columns of the features to be mapped.
        n_features : int
            Columns of the map.
        gamma, degree, constant
            Of the kernel.
        rng : Generator
        """
        places = rng.integers(n_features, size=(degree, n_inputs + 1))
        return cls(places, rng.choice([-1.0, 1.0], size=places.shape), n_features, gamma, constant)

    def __call__(self, X: torch.Tensor) -> torch.Tensor:
        """Map features (sample, feature) to random features (sample, random feature), float64."""
        inputs = torch.cat([self.gamma**0.5 * X, X.new_full((len(X), 1), self.constant**0.5)], 1)
        product = torch.ones((), dtype=torch.complex128, device=X.device)
        for places, signs in zip(self.places, self.signs, strict=True):
            sketch = X.new_zeros(len(X), self.n_features)
            sketch.index_add_(1, to_tensor(places, X.device), inputs * to_tensor(signs, X.device))
            product = product * torch.fft.rfft(sketch, dim=1)
        found: torch.Tensor = torch.fft.irfft(product, n=self.n_features, dim=1)
        return found
