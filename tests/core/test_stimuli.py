"""Stimuli: a table with unique labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroling import Stimuli


def test_texts_label_themselves():
    stimuli = Stimuli.from_texts(["celery", "airplane"])
    assert list(stimuli.labels) == ["celery", "airplane"]
    assert len(stimuli) == 2


def test_words_that_look_like_missing_values_are_words():
    assert Stimuli.from_texts(["NA", "null", "nan", "None"]).texts == ["NA", "null", "nan", "None"]


def test_known_columns_become_sample_coordinates():
    stimuli = Stimuli.from_texts(["a", "b"], labels=[1, 2], group=["x", "y"], onset=[0.0, 1.5], remark=["?", "!"])
    coords = stimuli.features(np.eye(2)).coords
    assert coords["group"].to_numpy().tolist() == ["x", "y"]
    assert coords["onset"].to_numpy().tolist() == [0.0, 1.5]
    assert "remark" not in coords


def test_subset_comes_in_the_order_asked_for():
    assert Stimuli.from_texts(["a", "b", "c"]).subset(["c", "a"]).texts == ["c", "a"]


def test_the_table_handed_in_is_not_changed():
    table = pd.DataFrame({"text": ["a"]}, index=["one"])
    Stimuli(table)
    assert table.index.name is None


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.assign(text=["cat", "cow"]),
        lambda t: t.rename(index={"x": "z"}),
        lambda t: t.assign(onset=[0.0, 1.25]),
        lambda t: t.assign(onset=[0, 1]),
        lambda t: t.rename(columns={"onset": "offset"}),
        lambda t: t.iloc[::-1],
    ],
)
def test_any_change_gives_another_fingerprint(change):
    table = pd.DataFrame({"text": ["cat", "dog"], "onset": [0.0, 1.0]}, index=["x", "y"])
    assert Stimuli(change(table)).fingerprint != Stimuli(table).fingerprint


def test_a_copy_has_the_same_fingerprint():
    table = pd.DataFrame({"text": ["cat", "dog"]}, index=["x", "y"])
    assert Stimuli(table.copy()).fingerprint == Stimuli(table).fingerprint
