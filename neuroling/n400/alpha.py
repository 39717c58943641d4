r"""The alpha function: a unit that has become active rises, peaks and fades, whatever still drives it.

Equation 1 of Laszlo and Armstrong (2014), with the sign that makes it rise and fall (the lecture's copy lost it):

.. math:: V(t) = \alpha \, t \, e^{-t/T}

with :math:`t` the ticks since the unit crossed its threshold and :math:`T` the tick of the peak. The caption of their
figure 1 says that :math:`V` approaches the threshold, not zero. How the envelope limits an activation and what restarts
the clock are not published; the readings here are inferred.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import e
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import lambertw

from neuroling.n400.validation import check_number

Mode = Literal["scale", "clip"]
Reset = Literal["inactive", "recovered", "never"]
LAYERS = ("orthography", "hidden", "semantics")
"""Layers whose units can have an envelope, from the bottom up."""


class Envelopes(Protocol):
    """What :func:`limit` asks for: the parameters of one envelope, or tensors of many that fit the units' shape."""

    @property
    def time_constant(self) -> float | torch.Tensor:
        """Ticks to the peak."""
        ...

    @property
    def threshold(self) -> float | torch.Tensor:
        """Activation above which the clock runs."""
        ...

    @property
    def peak(self) -> float | torch.Tensor:
        """Height of the peak."""
        ...

    @property
    def recovery(self) -> float | torch.Tensor:
        """Ticks after which a clock is cleared."""
        ...

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers whose units have an envelope."""
        ...

    @property
    def mode(self) -> Mode:
        """How the envelope limits an activation."""
        ...

    @property
    def reset(self) -> Reset:
        """What clears a clock."""
        ...


@dataclass(frozen=True)
class Alpha:
    """What the alpha function does to a network; it is the only difference from the ERP model.

    Parameters
    ----------
    time_constant : float
        T, ticks from crossing the threshold to the peak of the envelope. Not published in ticks and not chosen here:
        whether repetition makes the N400 smaller or larger hangs on it (see ``sensitivity``).
    threshold : float
        Activation above which the clock runs, and to which the envelope decays; figure 1 draws it at 0.1.
    scale : float, optional
        α, per tick. The default, e/T, brings the peak to 1, so that a unit at the peak is not limited.
    layers : tuple of str
        Layers whose excitatory units have an envelope, among :data:`LAYERS`; all of them by default, as published.
    mode : {"scale", "clip"}
        ``"scale"``: threshold + (activation - threshold) × envelope. ``"clip"``: the smaller of activation and
        envelope, the latter never below the threshold. Inferred both; with ``"clip"`` three layers after one another
        delay the response less.
    reset : {"inactive", "recovered", "never"}
        What clears a clock. ``"inactive"``: the drive has fallen to the threshold, so that the clock counts the ticks
        "since the unit became active", as published. ``"recovered"``: the envelope has decayed to the threshold,
        whatever the drive does. ``"never"``: a unit fires once.

    Examples
    --------
    >>> Alpha(time_constant=8).envelope([0, 8, 16]).round(3).tolist()
    [0.0, 1.0, 0.736]
    """

    time_constant: float
    threshold: float = 0.1
    scale: float | None = None
    layers: tuple[str, ...] = LAYERS
    mode: Mode = "clip"
    reset: Reset = "inactive"

    def __post_init__(self) -> None:
        if not check_number("time_constant", self.time_constant, "a positive number of ticks") > 0:
            raise ValueError(f"time_constant: got {self.time_constant}; expected a positive number of ticks.")
        if not 0 < check_number("threshold", self.threshold, "a number between 0 and 1") < 1:
            raise ValueError(
                f"threshold: got {self.threshold}; activations lie between 0 and 1, so expected a number in between."
            )
        if self.scale is not None and not check_number("scale", self.scale, "a positive number per tick, or None") > 0:
            raise ValueError(f"scale: got {self.scale}; expected a positive number per tick, or None for e / T.")
        if not isinstance(self.layers, tuple):
            raise TypeError(
                f"layers: got {self.layers!r}; expected a tuple of some of {LAYERS}, such as {LAYERS[-1:]}."
            )
        unknown = [layer for layer in self.layers if layer not in LAYERS]
        if unknown or not self.layers or len(set(self.layers)) < len(self.layers):
            raise ValueError(
                f"layers: got {self.layers}; expected some of {LAYERS}, each once. Pass alpha=None for none at all."
            )
        if self.mode not in ("scale", "clip"):
            raise ValueError(f"mode: got {self.mode!r}; expected 'scale' or 'clip'.")
        if self.reset not in ("inactive", "recovered", "never"):
            raise ValueError(f"reset: got {self.reset!r}; expected 'inactive', 'recovered' or 'never'.")
        if self.peak <= self.threshold:
            raise ValueError(
                f"scale: the envelope peaks at α T / e = {self.peak:.3g}, not above the threshold {self.threshold}; "
                "no unit could rise."
            )

    @property
    def peak(self) -> float:
        """Height of the envelope at its peak, α T / e."""
        return 1.0 if self.scale is None else self.scale * self.time_constant / e

    @property
    def recovery(self) -> int:
        """First whole tick past the peak at which the envelope is below the threshold; 4.9 T for a threshold of 0.1."""
        falls = -lambertw(-self.threshold / (self.peak * e), -1).real  # in units of T
        return int(falls * self.time_constant) + 1

    def envelope(self, ticks: ArrayLike) -> NDArray[np.float64]:
        """Evaluate the alpha function.

        Parameters
        ----------
        ticks : array-like
            Ticks since the unit crossed its threshold, any shape.

        Returns
        -------
        ndarray, same shape
            V(t), 0 before and at the crossing.
        """
        ratio = np.maximum(np.asarray(ticks, dtype=np.float64), 0) / self.time_constant
        return np.asarray(self.peak * ratio * np.exp(1 - ratio))


def limit(drive: torch.Tensor, clock: torch.Tensor, alpha: Envelopes) -> tuple[torch.Tensor, torch.Tensor]:
    """Advance the clocks of a layer by one tick and limit its activation to the envelopes.

    Parameters
    ----------
    drive : Tensor, any shape
        Activation that the unit would have without the alpha function.
    clock : Tensor, same shape
        Ticks since the threshold was crossed; -1 where the clock does not run.
    alpha : Envelopes
        Parameters.

    Returns
    -------
    tuple of Tensor, same shape
        Limited activation, clocks after this tick.
    """
    running = drive > alpha.threshold
    if alpha.reset == "inactive":
        clock = (clock + 1).masked_fill_(~running, -1.0)  # crossing starts a clock of -1 at 0
    else:
        clock = clock + running.logical_or_(clock >= 0)
    ratio = clock / alpha.time_constant
    envelope = (1 - ratio).exp_().mul_(ratio).mul_(alpha.peak)
    excess = (drive - alpha.threshold).clamp_(min=0)  # nothing below threshold is limited
    if alpha.mode == "scale":
        activation = torch.addcmul(drive, excess, envelope.sub_(1))
    else:
        above = envelope.sub_(alpha.threshold).clamp_(min=0)
        activation = drive - excess + torch.minimum(excess, above)
    if alpha.reset == "recovered":
        clock.masked_fill_(clock >= alpha.recovery, -1.0)
    return activation, clock
