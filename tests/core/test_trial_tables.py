"""Tables of trials as aligned data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroling import align_table

TABLE = pd.DataFrame({"rt": [310.0, 350, 330, 390], "x": [3, 5, 4, 7], "reader": list("aabb"), "n": [1, 2, 1, 2]})


def test_rows_stay_in_order_with_their_labels():
    data = align_table(TABLE, "rt", ["x"])
    assert data.y.to_numpy().tolist() == [310, 350, 330, 390]
    assert data.x.to_numpy()[:, 0].tolist() == [3, 5, 4, 7]
    assert data.y.reader.to_numpy().tolist() == ["a", "a", "b", "b"]
    assert data.y.n.to_numpy().tolist() == [1, 2, 1, 2]


def test_a_group_is_what_splits_keep_together():
    assert align_table(TABLE, "rt", ["x"], group="n").groups().tolist() == [1, 2, 1, 2]


def test_synthetic_tables_stay_synthetic():
    table = TABLE.copy()
    table.attrs["synthetic"] = True
    assert align_table(table, "rt", ["x"]).y.attrs["synthetic"] == 1


def test_columns_that_are_not_named_may_have_gaps():
    table = TABLE.assign(remark=[np.nan, "late", np.nan, np.nan])
    assert "remark" not in align_table(table, "rt", ["x"], labels=["reader"]).y.coords
    with pytest.raises(ValueError, match="remark: 3 of 4 rows have no label"):
        align_table(table, "rt", ["x"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outcome": "RT"}, "RT: no such column"),
        ({"features": ["reader"]}, "reader: a column of"),
        ({"features": "x"}, r"got the str 'x'; expected a list"),
        ({"features": []}, "none named"),
        ({"features": ["x", "x"]}, "named twice"),
        ({"features": ["rt"]}, "named twice"),
        ({"group": "school"}, "group: got 'school'"),
        ({"labels": ["school"]}, "labels: no columns"),
        ({"labels": "reader"}, r"got the str 'reader'"),
        ({"table": TABLE.assign(x=[1, np.nan, 2, 3])}, "x: 1 of 4 rows are missing"),
        ({"table": TABLE.assign(rt=1.0)}, "constant over samples"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    arguments = {"table": TABLE, "outcome": "rt", "features": ["x"], **changes}
    with pytest.raises((TypeError, ValueError), match=message):
        align_table(arguments.pop("table"), arguments.pop("outcome"), arguments.pop("features"), **arguments)
