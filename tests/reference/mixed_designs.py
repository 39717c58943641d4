"""Three hundred simulated experiments, from uniform numbers and rounded, so that R and the tests read the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

N_DESIGNS = 300

KINDS = (
    "intercepts",
    "slopes of participants",
    "slopes of both",
    "correlated slopes of participants",
    "correlated slopes of both",
    "one grouping",
    "predictor of items",
    "slopes far larger than the residual",
    "intercepts of participants in items",
    "nouns in items",
)

SDS = (0.0, 0.05, 0.3, 1.0, 1.0, 4.0, 20.0)
"""Of random effects, in residual standard deviations: zero as often as any other."""

CORRELATIONS = (0.0, 0.5, -0.9, 1.0, -1.0)
KEPT = (1.0, 1.0, 0.8, 0.6)


@dataclass(frozen=True)
class Design:
    """One experiment and the model of it; every term has one grouping column."""

    table: pd.DataFrame  # participant, item, noun, cell, x, y
    random: dict[str, list[str]]
    correlated: bool


def design(number: int) -> Design:
    """Simulate one experiment, of the kind ``KINDS[number % 10]``."""
    rng = np.random.Generator(np.random.PCG64([18, number]))

    def normal(*shape: int) -> np.ndarray:
        return norm.ppf(rng.random(shape))

    def one_of(values: tuple[float, ...]) -> float:
        return values[int(rng.random() * len(values))]

    kind = KINDS[number % len(KINDS)]
    n_people, n_items = 5 + int(rng.random() * 16), 5 + int(rng.random() * 16)
    repeats = {"intercepts of participants in items": 3, "nouns in items": 2}.get(kind, 1 + int(rng.random() * 2))
    person, item, noun = (
        a.ravel() for a in np.meshgrid(range(n_people), range(n_items), range(repeats), indexing="ij")
    )
    kept = rng.random(len(person)) < one_of(KEPT)
    person, item, noun = person[kept], item[kept], noun[kept]
    n = len(person)
    of_rows, of_items, condition = normal(n), normal(n_items)[item], np.where(rng.random(n) < 0.5, -0.5, 0.5)
    x = (of_rows, condition, np.exp(1.5 * of_rows), of_rows + 3)[int(rng.random() * 4)]
    if kind == "predictor of items":
        x = of_items
    if kind == "slopes far larger than the residual":
        x = 50 + of_rows
    correlation = one_of(CORRELATIONS)
    y = 2 + 0.5 * x + normal(n) * (0.1 if kind == "slopes far larger than the residual" else 1.0)
    for group, levels in ((person, n_people), (item, n_items)):
        first, second = normal(levels), normal(levels)
        second = correlation * first + np.sqrt(1 - correlation**2) * second
        y = y + one_of(SDS) * first[group] + one_of(SDS) * second[group] * (x - x.mean())
    if kind == "slopes far larger than the residual":
        y = y + normal(n_people)[person] * (1 + x)
    cell = person * n_items + item
    y = y + one_of(SDS) * normal(n_people * n_items)[cell] * (kind == "intercepts of participants in items")
    table = pd.DataFrame({"participant": person, "item": item, "noun": 3 * item + noun, "cell": cell, "x": x, "y": y})
    return Design(table.round(6).reset_index(drop=True), *_model(kind, one_grouping_correlates=number % 20 == 5))


def _model(kind: str, *, one_grouping_correlates: bool) -> tuple[dict[str, list[str]], bool]:
    both, one = ["1", "x"], ["1"]
    models = {
        "intercepts": ({"participant": one, "item": one}, False),
        "slopes of participants": ({"participant": both, "item": one}, False),
        "slopes of both": ({"participant": both, "item": both}, False),
        "correlated slopes of participants": ({"participant": both, "item": one}, True),
        "correlated slopes of both": ({"participant": both, "item": both}, True),
        "one grouping": ({"participant": both}, one_grouping_correlates),
        "predictor of items": ({"participant": both, "item": one}, False),
        "slopes far larger than the residual": ({"participant": both, "item": one}, False),
        "intercepts of participants in items": ({"participant": both, "item": one, "cell": one}, False),
        "nouns in items": ({"participant": both, "item": one, "noun": one}, True),
    }
    return models[kind]
