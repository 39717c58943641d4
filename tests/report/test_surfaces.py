"""Pictures of surfaces: drawn offline, the same scale in every panel, nothing shown below the threshold."""

from __future__ import annotations

import io
import socket

import matplotlib.image
import numpy as np
import pytest

from neuroling.report.surfaces import surface_map

N = 10242


def parts(value=0.3):
    """One value all over the left side: the first vertices of a mesh lie scattered and would colour hardly a face."""
    return {"left": np.full(N, value), "right": np.full(N, np.nan)}


def pixels(png):
    return matplotlib.image.imread(io.BytesIO(png))[..., :3]


def coloured(png):
    """Share of pixels of the brains that are no grey."""
    picture = pixels(png)[:-150]
    return float((picture.max(axis=2) - picture.min(axis=2) > 0.2).mean())


def draw(maps=None, **options):
    return surface_map({"MiniLM": parts()} if maps is None else maps, **{"unit": "r", "threshold": 0.1, **options})


@pytest.mark.slow
def test_a_map_is_drawn_without_the_network(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was touched"))
    assert coloured(draw()) > 0.1


@pytest.mark.slow
def test_values_up_to_the_threshold_show_the_cortex():
    assert coloured(draw(limit=0.5, threshold=0.4)) == 0.0


@pytest.mark.slow
def test_negative_scores_are_left_blank_and_negative_differences_are_not():
    negative = {"m": parts(-0.3)}
    assert coloured(draw(negative, limit=0.4)) == 0.0 < coloured(draw(negative, kind="difference"))


BAD = {
    "none": ({}, {}, "expected at least one map"),
    "other mesh": ({"m": {"left": np.zeros(5)}}, {}, "'left' has shape .5,.; expected 'left' and 'right' of 10242"),
    "other side": ({"m": {"both": np.zeros(N)}}, {}, "'both' has shape"),
    "all NaN": ({"m": {"left": np.full(N, np.nan)}}, {}, "no vertex holds a finite number"),
    "threshold above": (None, {"threshold": 3.0}, "otherwise nothing is drawn"),
    "kind": (None, {"kind": "t"}, "expected 'score' or 'difference'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_a_sentence(case):
    maps, options, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        draw(maps, **options)
