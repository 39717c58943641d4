"""Pictures of reading and of the frontier: what is drawn is what was given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroling.n400.published import curves
from neuroling.report.figures import figure_to_png
from neuroling.report.n400_reading import plot_against_published, plot_frontier, plot_reading, plot_settings


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


def frontier_rows():
    return pd.DataFrame(
        {
            "variant": ["a", "a", "b"],
            "peak": [0.1, 0.2, 0.3],
            "repetition": [0.05, 0.1, 0.4],
            "recognised": [0.95, 0.95, 0.3],
            "lowest": 0.9,
            "recognised_alpha": 0.5,
            "repetition without alpha": [0.0, 0.01, 0.02],
        }
    )


def points(ax):
    return np.vstack([collection.get_offsets() for collection in ax.collections if len(collection.get_offsets())])


def test_frontier_has_a_point_a_network_and_the_published_one():
    figure = plot_frontier(frontier_rows().iloc[:2])
    np.testing.assert_allclose(points(figure.axes[0]), [[0.1, 5], [0.2, 10], [0.196, 21.3]], atol=0.05)
    np.testing.assert_allclose(points(figure.axes[3]), [[0, 5], [1, 10]])


def test_network_that_does_not_read_is_hollow_on_the_frontier():
    left = plot_frontier(frontier_rows()).axes[0]
    faces = {
        tuple(part.get_offsets()[0]): len(part.get_facecolor())
        for part in left.collections[:6]
        if len(part.get_offsets())
    }
    assert faces == {(0.1, 5.0): 1, (0.3, 25.0): 0}


def test_effect_beyond_the_edge_of_the_frontier_is_written_out():
    left = plot_frontier(frontier_rows()).axes[0]
    assert [text.get_text() for text in left.texts] == ["40 %"]


def test_participant_below_the_bar_makes_a_network_hollow():
    left = plot_frontier(frontier_rows().iloc[:1].assign(lowest=0.84)).axes[0]
    assert len(left.collections[1].get_offsets()) == 1
    assert len(left.collections[1].get_facecolor()) == 0


def test_frontier_without_its_columns_is_refused():
    with pytest.raises(ValueError, match=r"no columns \['lowest', 'peak', 'recognised'"):
        plot_frontier(pd.DataFrame({"variant": ["a"], "repetition": [0.1]}))


def test_settings_are_drawn_as_means_over_lexicons_and_their_smallest_neighbourhood_effect():
    table = pd.DataFrame(
        {
            "lexicon": [0, 1],
            "time_constant": 7.5,
            "threshold": 0.1,
            "blank": 4,
            "repetition": [0.1, 0.2],
            "repetition without alpha": [0.01, 0.03],
            "final": [0.2, 0.4],
            "neighbourhood": [0.05, -0.01],
        }
    )
    drawn = [points(ax)[0] for ax in plot_settings(table).axes]
    np.testing.assert_allclose(drawn, [[2, 15], [30, 15], [-1, 15]])


def test_settings_without_their_columns_are_refused():
    with pytest.raises(ValueError, match="no columns"):
        plot_settings(pd.DataFrame({"blank": [4]}))
