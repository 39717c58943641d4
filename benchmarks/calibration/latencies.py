"""How often intervals of onset latencies cover the truth, and how far estimates are off, at low and high signal.

Run with ``python benchmarks/calibration/latencies.py``; 1,000 data sets per cell take about four minutes on one core
for each shape. A wave is a Gaussian whose height is ``snr`` standard deviations of the noise of one participant at
any time; noise is white noise at 200 Hz, smoothed with a Gaussian of ``smooth`` samples of 5 ms. Intervals are made at
0.95, onsets at half of the peak, in a window from 0 to 0.6 s.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import ndimage

from neuroling.evaluation import onset_interval, onset_times

TIMES = np.arange(-0.2, 0.8, 0.005)
INSIDE = (TIMES > -1e-9) & (TIMES < 0.6 + 1e-9)
SHAPES = ((6, 0.18, 0.04), (6, 0.35, 0.1), (12, 0.35, 0.1), (2, 0.35, 0.1))
"""Smoothness of the noise (samples), time of the peak and width of the wave (s)."""


def simulate(rng: np.random.Generator, snr: float, n: int, smooth: int, peak: float, width: float) -> np.ndarray:
    """Draw time courses of participants, shape (participant, time)."""
    noise = ndimage.gaussian_filter1d(rng.standard_normal((n, len(TIMES) + 80)), smooth, axis=1)[:, 40:-40]
    wave = snr * np.exp(-0.5 * ((TIMES - peak) / width) ** 2)
    return (wave + noise * np.sqrt(2 * np.sqrt(np.pi) * smooth))[:, INSIDE]


def main() -> None:
    """Print a table: one row per shape, signal and number of participants."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=1000, help="data sets per cell")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    times = TIMES[INSIDE]
    print("smooth  peak  width  snr   n   mean ms  median ms  too late  too early  covered  bounded")
    for cell, (smooth, peak, width) in enumerate(SHAPES):
        truth = peak - width * np.sqrt(2 * np.log(2))
        for snr in (0.6, 1.0, 2.0):
            for n in (6, 12, 24):
                rng = np.random.default_rng([options.seed, cell, round(10 * snr), n])
                errors, intervals = [], []
                for _ in range(options.sets):
                    curves = simulate(rng, snr, n, smooth, peak, width)
                    errors.append(1000 * (onset_times(np.ones((1, n)), curves, times, 0.5)[0] - truth))
                    intervals.append(onset_interval(curves, times, 0.5, 0.95))
                late = np.mean([interval.lower > truth for interval in intervals])
                early = np.mean([interval.upper < truth for interval in intervals])
                bounded = np.mean([interval.is_bounded_below and interval.is_bounded_above for interval in intervals])
                print(
                    f"{smooth:6d} {peak:5.2f} {width:6.2f} {snr:4.1f} {n:3d} {np.mean(errors):9.1f} "
                    f"{np.median(errors):10.1f} {late:9.1%} {early:10.1%} {1 - late - early:8.1%} {bounded:8.1%}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
