"""The section on controls: all six stand in it, run or not, and partitions are drawn as they are."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from neuroling.evaluation.variance import partition_variance
from neuroling.report.controls import (
    CONTROLS,
    ControlSet,
    control_table,
    controls_of_layers,
    controls_section,
    partition_blocks,
    plotted_parts,
)
from neuroling.report.html import Callout, Figure, Table

SCORES = {"word rate": 0.17, "MiniLM": 0.07}


@pytest.fixture
def partition():
    rng = np.random.default_rng(0)
    labels = {"sample": np.arange(60)}
    a, b = (xr.DataArray(rng.standard_normal((60, 2)), dims=("sample", "feature"), coords=labels) for _ in "ab")
    y = xr.DataArray(
        a.to_numpy()[:, :1, None] + rng.standard_normal((60, 3, 2)),
        dims=("sample", "subject", "region"),
        coords={**labels, "subject": ["s1", "s2", "s3"], "region": ["L", "R"]},
    )
    spaces = {"controls": a, "MiniLM": b}
    return partition_variance(spaces, y, make_model=lambda bands: LinearRegression(), splits=KFold(3))


def test_every_control_is_listed_whether_run_or_not():
    table = control_table(ControlSet({"word rate": "word rate"}, {"position": "Titles have none."}), SCORES)
    assert table["control"].tolist() == list(CONTROLS)
    assert table["note"].tolist() == ["", "Titles have none.", *["NOT RUN"] * 4]


def test_a_report_says_which_controls_are_missing():
    section = controls_section(ControlSet({"word rate": "word rate"}), SCORES, score="r", synthetic=False)
    warning = section.blocks[0]
    assert isinstance(warning, Callout)
    assert "Not run: position, length, frequency, smoothed identity, untrained network." in warning.text


def test_a_full_set_gives_no_warning():
    models = dict.fromkeys(CONTROLS, "word rate")
    section = controls_section(ControlSet(models), SCORES, score="r", synthetic=False)
    assert not any(isinstance(block, Callout) for block in section.blocks)


def test_the_language_model_stands_beside_them():
    section = controls_section(ControlSet({"word rate": "word rate"}), SCORES, score="Held-out r", synthetic=False)
    (table,) = (block for block in section.blocks if isinstance(block, Table))
    assert "MiniLM 0.070" in table.caption


def test_partitions_become_a_table_and_a_picture(partition):
    table, figure = partition_blocks("MiniLM beside controls", partition, synthetic=True)
    assert isinstance(table, Table)
    assert isinstance(figure, Figure)
    assert table.frame["space"].tolist() == ["controls", "MiniLM", "shared", "all together"]


def test_what_is_drawn_adds_up_for_every_participant(partition):
    parts = plotted_parts(partition)
    assert parts.dims == ("subject", "model")
    np.testing.assert_allclose(parts[:, :-1].sum("model"), parts.sel(model="all together"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ControlSet({"word count": "a"}), r"\['word count'\] are not known; expected names among word rate"),
        (lambda: ControlSet({"length": "a"}, {"length": "none"}), r"\['length'\] were run and are excused"),
        (lambda: control_table(ControlSet({"length": "letters"}), SCORES), r"the study has no models \['letters'\]"),
    ],
    ids=["unknown", "both", "absent"],
)
def test_control_sets_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_of_untrained_layers_the_best_is_the_control():
    section = controls_of_layers(
        {**{name: 0.1 for name in CONTROLS if name != "untrained network"}, "all four": 0.2},
        {"layer 1": 0.3, "layer 2": 0.25},
        {"layer 1": 0.05, "layer 2": 0.15},
        score="Held-out r",
        synthetic=False,
    )
    (table,) = section.blocks
    rows = table.frame.set_index("control")
    assert rows.loc["untrained network", ["model", "score"]].tolist() == ["untrained, layer 2", 0.15]
    assert (rows["note"] == "").all()
    assert "all four 0.200; layer 1 0.300; layer 2 0.250" in table.caption
