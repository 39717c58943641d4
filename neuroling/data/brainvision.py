"""Writing BrainVision files, for synthetic data in the layout of recordings that come in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_brainvision(
    stem: str, values: NDArray[np.float64], names: Sequence[str], *, unit: str, rate_hz: float
) -> None:
    """Write a continuous recording as header, markers and values: single precision, samples one after another.

    Parameters
    ----------
    stem : str
        Path of the files up to ``_eeg``.
    values : ndarray, shape (time, channel)
        In the unit.
    names : sequence of str
        Names of the channels.
    unit : str
        ``"V"`` or ``"µV"``.
    rate_hz : float
        Samples per second.
    """
    values.astype("<f4").tofile(f"{stem}_eeg.eeg")
    base = Path(stem).name
    header = [
        "Brain Vision Data Exchange Header File Version 1.0\n\n[Common Infos]\nCodepage=UTF-8",
        f"DataFile={base}_eeg.eeg\nMarkerFile={base}_eeg.vmrk\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED",
        f"NumberOfChannels={len(names)}\nSamplingInterval={1e6 / rate_hz:.10g}\n",
        "[Binary Infos]\nBinaryFormat=IEEE_FLOAT_32\n\n[Channel Infos]",
        *(f"Ch{number}={name},,1,{unit}" for number, name in enumerate(names, start=1)),
    ]
    Path(f"{stem}_eeg.vhdr").write_text("\n".join(header) + "\n", encoding="utf-8")
    marker = "Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
    marker += f"DataFile={base}_eeg.eeg\n\n[Marker Infos]\nMk1=New Segment,,1,1,0,0\n"
    Path(f"{stem}_eeg.vmrk").write_text(marker, encoding="utf-8")
