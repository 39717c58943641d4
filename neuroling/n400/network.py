"""The ERP model: a reading network with separate excitation and inhibition, for many participants at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import TYPE_CHECKING, overload

import numpy as np
import torch
from numpy.typing import NDArray

from neuroling.n400.alpha import LAYERS, Alpha
from neuroling.n400.dynamics import Layer, arrange
from neuroling.n400.lexicon import Lexicon
from neuroling.n400.regime import Training
from neuroling.n400.validation import check_number, check_whole
from neuroling.numerics.device import resolve_device, to_tensor

if TYPE_CHECKING:
    import pandas as pd

    from neuroling.core.stimuli import Stimuli
    from neuroling.n400.experiments import Timing

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Architecture:
    """Sizes and rates of a network.

    The sizes of the layers are published (figure 1 of Laszlo and Armstrong 2014), and so is that inhibition has fast
    and slow units and fewer than excitation. The sizes of the banks, all rates and all ranges of initial weights are
    inferred: with them the response rises and falls, and words are learned.

    Parameters
    ----------
    orthography, hidden : int
        Excitatory units; semantics has as many as the lexicon's meanings.
    fast, slow : tuple of int
        Fast and slow inhibitory units of orthography, hidden layer and semantics.
    rates : tuple of float
        Share of the way to its target that an excitatory unit goes in a tick, one number per layer. Letters and hidden
        units are quick and meanings slow: what is seen has changed before the meaning of the last string has faded.
    fast_rate, slow_rate : float
        The same for fast and slow inhibitory units.
    forward_range, to_bank_range, from_bank_range : float
        Upper ends of the uniform initial weights, divided by the square root of the number of sources, by that number,
        and by the size of the bank.
    bias : float
        Initial bias of all units.
    """

    orthography: int = 20
    hidden: int = 50
    fast: tuple[int, int, int] = (4, 10, 10)
    slow: tuple[int, int, int] = (4, 10, 10)
    rates: tuple[float, float, float] = (0.6, 0.6, 0.2)
    fast_rate: float = 0.5
    slow_rate: float = 0.2
    forward_range: float = 1.0
    to_bank_range: float = 3.0
    from_bank_range: float = 2.0
    bias: float = -2.0

    def __post_init__(self) -> None:
        for name in ("orthography", "hidden"):
            check_whole(name, getattr(self, name), 1, "units")
        for name in ("fast", "slow", "rates"):
            values = getattr(self, name)
            if not isinstance(values, tuple) or len(values) != len(LAYERS):
                raise ValueError(f"{name}: got {values!r}; expected a tuple of one number for each of {LAYERS}.")
        for name in ("fast", "slow"):
            for index, size in enumerate(getattr(self, name)):
                check_whole(f"{name}[{index}]", size, 0, "units")
        for name in ("forward_range", "to_bank_range", "from_bank_range", "bias"):
            expected = "a finite number" if name == "bias" else "a finite number of 0 or more"
            if check_number(name, getattr(self, name), expected) < 0 and name != "bias":
                raise ValueError(f"{name}: got {getattr(self, name)}; expected {expected}.")
        named = {f"rates[{index}]": value for index, value in enumerate(self.rates)}
        expected = (
            "a number more than 0 and at most 1, the share of the way gone in a tick (the time constant is one over "
            "it, in ticks)"
        )
        for name, value in {**named, "fast_rate": self.fast_rate, "slow_rate": self.slow_rate}.items():
            if not 0 < check_number(name, value, expected) <= 1:
                raise ValueError(f"{name}: got {value}; expected {expected}.")

    @property
    def banks(self) -> tuple[int, ...]:
        """Inhibitory units of each layer."""
        return tuple(fast + slow for fast, slow in zip(self.fast, self.slow, strict=True))

    def bank_rates(self) -> list[NDArray[np.float64]]:
        """Give the rates of the inhibitory units of each layer, fast ones first."""
        pairs = zip(self.fast, self.slow, strict=True)
        return [np.repeat([self.fast_rate, self.slow_rate], pair) for pair in pairs]


@dataclass(frozen=True)
class Network:
    """Simulated participants who have learned one lexicon.

    Attributes
    ----------
    lexicon : Lexicon
        What they were taught.
    architecture : Architecture
        Sizes and rates.
    weights : mapping of ndarray, shape (participant, …)
        Named ``LAYER.forward`` and so on; see :mod:`neuroling.n400.dynamics`.
    training : Training
        How they learned.
    loss : ndarray, shape (epoch, participant)
        Error while learning.
    """

    lexicon: Lexicon
    architecture: Architecture
    weights: Mapping[str, Array]
    training: Training = field(default_factory=Training)
    loss: Array = field(default_factory=lambda: np.empty((0, 0)))

    def __post_init__(self) -> None:
        self._check_shapes()
        for name, values in self.weights.items():
            bad = int((~np.isfinite(values)).sum())
            if bad:
                raise ValueError(f"weights: {bad} of {values.size} values of {name!r} are NaN or infinite.")

    def _check_shapes(self) -> None:
        expected = {
            name: values.shape for name, values in initial_weights(self.lexicon, self.architecture, None).items()
        }
        if set(self.weights) != set(expected):
            missing, odd = sorted(set(expected) - set(self.weights)), sorted(set(self.weights) - set(expected))
            raise ValueError(f"weights: {missing} are missing and {odd} unknown; expected {sorted(expected)}.")
        counts = {values.shape[0] for values in self.weights.values()}
        wrong = [name for name, values in self.weights.items() if values.shape[1:] != expected[name]]
        if wrong or len(counts) > 1 or 0 in counts:
            name = wrong[0] if wrong else "semantics.bias"
            raise ValueError(
                f"weights: {name!r} has shape {self.weights[name].shape}, and there are weights of {sorted(counts)} "
                f"participants; expected (participant, {', '.join(map(str, expected[name]))}), one participant or more."
            )

    @property
    def n_participants(self) -> int:
        """Number of simulated participants."""
        return len(self.weights["semantics.bias"])

    def participants(self, rows: slice | NDArray[np.intp]) -> Network:
        """Pick participants.

        Parameters
        ----------
        rows : slice or ndarray of int
            Which.
        """
        return Network(
            self.lexicon,
            self.architecture,
            {name: values[rows] for name, values in self.weights.items()},
            self.training,
            self.loss[:, rows] if self.loss.size else self.loss,
        )

    @overload
    def accuracy(
        self, experiment: None = None, *, alpha: Alpha | None = None, timing: Timing | None = None, device: str = "auto"
    ) -> NDArray[np.float64]: ...

    @overload
    def accuracy(
        self, experiment: Stimuli, *, alpha: Alpha | None = None, timing: Timing | None = None, device: str = "auto"
    ) -> pd.DataFrame: ...

    def accuracy(
        self,
        experiment: Stimuli | None = None,
        *,
        alpha: Alpha | None = None,
        timing: Timing | None = None,
        device: str = "auto",
    ) -> NDArray[np.float64] | pd.DataFrame:
        """Say how many known targets are recognised: every semantic unit on its own side of 0.5.

        Parameters
        ----------
        experiment : Stimuli, optional
            Trials, as in :func:`~neuroling.n400.simulate.simulate`. Without it, every known string is shown alone.
        alpha : Alpha, optional
            Parameters of the alpha model; without it, the ERP model reads.
        timing : Timing, optional
            Ticks, by default those of ``simulate``.
        device : str
            Where to compute.

        Returns
        -------
        pandas.DataFrame or ndarray, shape (participant,)
            With an experiment, :func:`neuroling.n400.reading.reading_table`: one row a participant, kind of trial
            and tick. Without one, the share of the known strings recognised at the last tick.

        Examples
        --------
        >>> from neuroling.n400.experiments import repetition
        >>> from neuroling.n400.networks import trained_network
        >>> network = trained_network(0)
        >>> table = network.accuracy(repetition(network.lexicon, rng=0))
        >>> last = table[table["tick"] == table["tick"].max()]
        >>> bool((last.groupby("trial")["recognised"].mean() > 0.9).all())
        True
        """
        from neuroling.n400.reading import alone, last_tick, reading_table  # it simulates, and so needs this module

        if experiment is not None:
            return reading_table(self, experiment, alpha=alpha, timing=timing, device=device)
        table = reading_table(self, alone(self.lexicon), alpha=alpha, timing=timing, device=device)
        return last_tick(table)["recognised"].to_numpy()


def on_device(
    weights: Mapping[str, Array], architecture: Architecture, device: str
) -> tuple[dict[str, torch.Tensor], list[Layer]]:
    """Bring the weights of a network to a device.

    Parameters
    ----------
    weights : mapping of ndarray
        Of a network.
    architecture : Architecture
        Its rates.
    device : str
        Where to.

    Returns
    -------
    tuple of (dict of Tensor, list of Layer)
    """
    where = resolve_device(device)
    tensors = {name: to_tensor(values, where) for name, values in weights.items()}
    return tensors, arrange(tensors, architecture.rates, bank_rates(architecture, tensors["semantics.bias"]))


def bank_rates(architecture: Architecture, like: torch.Tensor) -> list[torch.Tensor]:
    """Give the rates of the inhibitory units of each layer as tensors.

    Parameters
    ----------
    architecture : Architecture
        Whose.
    like : Tensor
        Of the type and on the device that they should have.

    Returns
    -------
    list of Tensor, shape (bank,)
    """
    return [torch.as_tensor(rate, dtype=like.dtype, device=like.device) for rate in architecture.bank_rates()]


def initial_weights(lexicon: Lexicon, architecture: Architecture, rng: np.random.Generator | None) -> dict[str, Array]:
    """Draw the weights of one participant; without a generator all zeros, for their shapes.

    Parameters
    ----------
    lexicon : Lexicon
        Gives the numbers of input and semantic units.
    architecture : Architecture
        Gives the other sizes, and the ranges.
    rng : numpy.random.Generator or None
        Source of the weights.

    Returns
    -------
    dict of ndarray
        By name, ``LAYER.PART``.
    """

    def uniform(low: float, high: float, shape: tuple[int, int]) -> Array:
        return np.zeros(shape) if rng is None else rng.uniform(low, high, shape)

    sizes = (lexicon.n_units, architecture.orthography, architecture.hidden, lexicon.semantics.shape[1])
    weights: dict[str, Array] = {}
    for name, below, size, bank in zip(LAYERS, sizes, sizes[1:], architecture.banks, strict=False):
        weights[f"{name}.forward"] = uniform(0, architecture.forward_range / sqrt(below), (below, size))
        weights[f"{name}.bias"] = np.full((1, size), architecture.bias)
        weights[f"{name}.to_bank"] = uniform(0, architecture.to_bank_range / size, (size, bank))
        weights[f"{name}.from_bank"] = uniform(0, architecture.from_bank_range / max(bank, 1), (bank, size))
        weights[f"{name}.bank_bias"] = np.full((1, bank), architecture.bias)
    weights["letters.forward"] = uniform(-0.5, 0.5, (architecture.orthography, lexicon.n_units))
    weights["letters.bias"] = np.zeros((1, lexicon.n_units))
    return weights
