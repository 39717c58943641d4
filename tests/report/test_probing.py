from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroling.report.attention_page import AttentionText, write_attention_page
from neuroling.report.figures import axes_to_png, figure_to_png
from neuroling.report.probing import (
    draw_heads,
    draw_training,
    plot_attention,
    plot_by_layer,
    plot_by_step,
    plot_head_table,
    plot_mixture,
    plot_parse,
)

NASTY = [
    "</script><script>alert(1)</script>",
    '"quotes" & $money$',
    "<img src=x onerror=alert(1)>",
    "猫 \u2028 \\u003c",
]


def maps_of(n=4, layers=2, heads=3):
    return np.random.default_rng(0).dirichlet(np.ones(n), (layers, heads, n))


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL).group(1))


def page(tmp_path, **options):
    texts = options.pop("texts", [AttentionText(NASTY[0], NASTY, maps_of(), [1, 2])])
    given = {"title": NASTY[2], "subtitle": NASTY[0], "synthetic": False, **options}
    return write_attention_page(tmp_path / "page.html", texts, **given).read_text(encoding="utf-8")


def test_no_token_or_title_becomes_markup(tmp_path):
    found = page(tmp_path)
    assert "<img" not in found
    assert found.count("<script") == found.count("</script>") == 2


def test_tokens_and_shares_arrive_as_they_were(tmp_path):
    (one,) = data_of(page(tmp_path))
    assert one["names"] == NASTY
    np.testing.assert_allclose(np.reshape(one["maps"], (2, 3, 4, 4)) / 1000, maps_of(), atol=6e-4)


def test_the_page_loads_nothing(tmp_path):
    found = page(tmp_path)
    outside = re.sub(r'"http://www\.w3\.org/[\w/]+"', "", found)  # names of kinds of elements, not addresses
    assert re.findall(r"https?://|src=\"|@import|url\(|fetch\(|XMLHttp", outside) == []
    assert "default-src 'none'" in found


def test_the_policy_lets_exactly_the_pages_own_script_run(tmp_path):
    import base64
    import hashlib

    found = page(tmp_path)
    script = re.findall(r"<script>(.*?)</script>", found, re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in found


def test_a_synthetic_page_says_so(tmp_path):
    assert "Synthetic text" in page(tmp_path, synthetic=True)
    assert "Synthetic text" not in page(tmp_path)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (list, "there is none"),
        (lambda: [AttentionText("a", ["x"], np.ones((1, 1, 1, 1)), [1]),
                  AttentionText("b", ["x"], np.ones((1, 2, 1, 1)), [1])], "they differ"),
        (lambda: [AttentionText("a", ["x", "y"], np.ones((1, 1, 1, 1)), [1])], "got shape"),
        (lambda: [AttentionText("a", ["x"], np.full((1, 1, 1, 1), np.nan), [1])], "between 0 and 1"),
        (lambda: [AttentionText("a", ["x"] * 200, np.zeros((12, 12, 200, 200)), list(range(12)))], "at most"),
    ],
    ids=["none", "heads", "names", "nan", "too large"],
)  # fmt: skip
def test_texts_that_do_not_fit_are_refused(tmp_path, texts, message):
    with pytest.raises(ValueError, match=message):
        page(tmp_path, texts=texts())


def test_layers_are_drawn_in_order_with_their_baselines():
    score = xr.DataArray(
        [[0.2, 0.5, 0.4], [0.3, 0.3, 0.3]], dims=("model", "layer"), coords={"model": ["m", "u"], "layer": [0, 1, 2]}
    )
    axes = plot_by_layer(score, baselines={"linear order": 0.1})
    assert axes.lines[0].get_ydata().tolist() == [0.2, 0.5, 0.4]
    assert [text.get_text() for text in axes.texts] == ["linear order"]
    with pytest.raises(ValueError, match="got axes"):
        plot_by_layer(score.isel(model=0))


def test_edges_that_are_not_in_the_tree_are_dashed():
    axes = plot_parse(["a", "$b$", "c"], np.array([[0, 1], [1, 2]]), np.array([[0, 1], [0, 2]]))
    assert [line.get_linestyle() for line in axes.lines] == ["-", "-", "-", "--"]
    assert axes_to_png(axes).startswith(b"\x89PNG")


def test_every_head_has_its_number_and_its_picture():
    values = np.random.default_rng(0).standard_normal((2, 3))
    assert len(plot_head_table(values, "loss", best="zero").texts) == 6
    assert len(draw_heads(NASTY[:3], maps_of(3)).axes) == 6
    with pytest.raises(ValueError, match="got shape"):
        plot_head_table(values[0], "loss")


def test_maps_and_mixtures_can_be_drawn():
    assert figure_to_png(plot_attention(NASTY[:3], maps_of(3)[0, 0]).figure).startswith(b"\x89PNG")
    axes = plot_mixture({"a": np.array([0.2, 0.8]), "b": np.array([0.5, 0.5])}, {"a": 0.9})
    assert [text.get_text() for text in axes.texts] == ["expected layer 0.90"]
    with pytest.raises(ValueError, match="for 2 names"):
        plot_attention(["a", "b"], np.ones((3, 3)))


RUNS = pd.DataFrame({"step": [0, 400, 0, 400], "perplexity": [900.0, 90.0, 1100.0, 110.0], "r": [0.1, 0.2, 0.2, 0.4]})


def test_checkpoints_are_named_by_step_and_perplexity_falls_to_the_right():
    axes = plot_by_step(RUNS, "r", against="perplexity", controls={"length": 0.15})
    assert [text.get_text() for text in axes.texts] == ["0", "400"]
    assert axes.xaxis_inverted()
    with pytest.raises(ValueError, match="no columns"):
        plot_by_step(RUNS, "other")
    with pytest.raises(ValueError, match="got 'time'"):
        plot_by_step(RUNS, "r", against="time")


def test_runs_are_points_and_bars_are_their_standard_deviation():
    axes = plot_by_step(RUNS, "r")
    bars = axes.collections[0].get_segments()
    assert bars[0][:, 1].tolist() == pytest.approx([0.15 - 0.05 * 2**0.5, 0.15 + 0.05 * 2**0.5])
    assert axes.lines[0].get_ydata().tolist() == RUNS["r"].tolist()
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "400"]


def test_one_run_has_no_bars():
    assert not plot_by_step(RUNS.iloc[:2], "r").collections


def test_training_is_drawn_against_steps_and_perplexity():
    figure = draw_training(RUNS, "r", controls={"length": 0.15}, frequent=300.0)
    assert [axes.get_xlabel()[:10] for axes in figure.axes] == ["steps of p", "perplexity"]
    assert figure.axes[1].texts[-1].get_text() == "by frequency"
    assert figure_to_png(figure).startswith(b"\x89PNG")
