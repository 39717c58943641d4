"""Pictures of reading and of the frontier: what is drawn is what was given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroling.n400.published import curves
from neuroling.report.figures import figure_to_png
from neuroling.report.n400_reading import plot_against_published, plot_frontier, plot_reading


def test_overlay_draws_four_curves_a_type_and_says_who_reads():
    model = curves().expand_dims(repeat=2).transpose("sample", "repeat", "time")
    model = model.assign_attrs(reading="new 97% (lowest 91%)", reads=0)
    figure = plot_against_published(model)
    assert [len(ax.lines) for ax in figure.axes] == [4] * 8
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), curves().sel(sample="word, new"))
    assert "THEY DO NOT READ" in figure._suptitle.get_text()
    assert figure_to_png(figure).startswith(b"\x89PNG")


def test_reading_is_drawn_in_per_cent_of_the_mean_participant():
    table = pd.DataFrame(
        {"participant": [0, 1], "trial": "new", "tick": 0, "recognised": [0.5, 1.0], "model": "control"}
    )
    ax = plot_reading(table)
    assert ax.lines[0].get_ydata().tolist() == [75.0]
    assert ax.lines[0].get_label() == "new, control"


def test_frontier_has_a_point_a_network_and_the_published_one():
    table = pd.DataFrame(
        {
            "variant": ["a", "a", "b"],
            "peak": [0.1, 0.2, 0.3],
            "repetition": [0.05, 0.1, 0.15],
            "recognised": 0.9,
            "recognised_alpha": 0.5,
        }
    )
    left = plot_frontier(table).axes[0]
    points = np.vstack([part.get_offsets() for part in left.collections])
    np.testing.assert_allclose(points[:3], [[0.1, 5], [0.2, 10], [0.3, 15]])
    np.testing.assert_allclose(points[3], [0.196, 21.3], atol=0.1)


def test_frontier_without_its_columns_is_refused():
    with pytest.raises(ValueError, match=r"no columns \['peak', 'recognised'"):
        plot_frontier(pd.DataFrame({"variant": ["a"], "repetition": [0.1]}))
