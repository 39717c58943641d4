"""Pictures of the simulator: what is drawn is what was given, and unsuited tables are refused."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.colors import to_rgb
from PIL import Image

from neuroling.n400.effects import Effect
from neuroling.report.figures import figure_to_png
from neuroling.report.n400 import (
    EXPLAINED,
    KINDS,
    NOT_ASKED,
    VERDICTS,
    film_of_units,
    plot_effect_table,
    plot_fit,
    plot_four_panels,
    plot_sensitivity,
    plot_sweep,
    plot_units,
)

TIMES = np.arange(-2, 8) * 0.042


def repetition(n_participants=2):
    pairs = [(kind, condition) for kind in KINDS for condition in ("new", "repeated")]
    rng = np.random.default_rng(0)
    return xr.DataArray(
        rng.random((len(pairs), n_participants, len(TIMES))),
        dims=("sample", "repeat", "time"),
        coords={
            "sample": [f"{kind} {condition}" for kind, condition in pairs],
            "kind": ("sample", [kind for kind, _ in pairs]),
            "condition": ("sample", [condition for _, condition in pairs]),
            "time": TIMES,
        },
    )


def units():
    values = np.random.default_rng(0).random((1, 2, 12, len(TIMES)))
    coords = {"sample": ["bad after bad"], "channel": [f"unit {i}" for i in range(12)], "time": TIMES}
    return xr.DataArray(values, dims=("sample", "repeat", "channel", "time"), coords=coords, attrs={"model": "alpha"})


def effects():
    return pd.DataFrame(
        {
            "hypothesis": ["alpha model: activation", "ERP model: activation"] * 2,
            "phenomenon": ["repetition", "repetition", "cloze", "cloze"],
            "people": "larger",
            "relative": [0.07, 0.001, np.nan, np.nan],
            "verdict": ["as people", "absent", "not carried: no expectation", "not carried: no expectation"],
        }
    )


def sweep():
    rows = [(t, soa, 0.1 * (soa / t - 2.5)) for t in (4.0, 8.0, np.inf) for soa in (16, 28)]
    return pd.DataFrame(rows, columns=["time_constant", "soa", "repetition"]).assign(neighbourhood=0.02)


def test_four_panels_have_a_line_for_each_type_and_presentation():
    figure = plot_four_panels(repetition(), repetition(), window=(0.1, 0.2))
    panels = figure.axes
    assert len(panels) == 4
    assert all(len(ax.get_lines()) >= 8 for ax in panels)


def test_four_panels_say_that_they_are_simulated():
    assert "Simulated" in plot_four_panels(repetition(), repetition()).get_suptitle()


def test_effect_table_writes_per_cent_and_marks_what_is_not_carried():
    texts = [text.get_text() for text in plot_effect_table(effects()).texts]
    assert texts == ["Y +7.0", "0 +0.1", "–", "–"]


def test_no_two_verdicts_look_alike():
    looks = list(VERDICTS.values())
    assert len({look.mark for look in looks}) == len(looks)
    assert len({(look.fill, look.hatch) for look in looks}) == len(looks)


@pytest.mark.parametrize("verdict", sorted(VERDICTS), ids=lambda name: name.replace(" ", "_"))
def test_text_can_be_read_on_its_fill(verdict):
    """Contrast of at least 4.5 to 1, as the web's accessibility guidelines ask."""
    look = VERDICTS[verdict]
    light, dark = sorted((luminance(look.fill), luminance(look.ink)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def luminance(colour):
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_every_verdict_of_the_model_has_a_look():
    made = [measured(p, size).verdict(people) for p in (0.01, 0.5) for size in (1, -1) for people in ("larger", "none")]
    assert set(made) <= set(VERDICTS) == set(EXPLAINED)


def measured(p, size):
    return Effect.measured(estimate=size, low=size - 1, high=size + 1, t=2.0, df=9, p=p)


def test_pair_without_a_row_is_drawn_as_not_asked():
    ax = plot_effect_table(effects().iloc[:3])
    assert ax.texts[3].get_text() == VERDICTS[NOT_ASKED].mark
    assert any("not asked" in text.get_text() for text in ax.figure.legends[0].get_texts())


def test_legend_explains_every_verdict_in_the_table_and_no_other():
    labels = [text.get_text() for text in plot_effect_table(effects()).figure.legends[0].get_texts()]
    assert [label[0] for label in labels] == ["Y", "0", "–"]


def test_units_are_drawn_with_their_mean():
    ax = plot_units(units(), n_units=3)
    np.testing.assert_allclose(ax.get_lines()[3].get_ydata(), units()[0, 0].mean("channel"))


def test_sensitivity_map_has_a_cell_for_every_combination():
    ax = plot_sensitivity(sweep())
    assert len(ax.texts) == 6
    assert [label.get_text() for label in ax.get_yticklabels()] == ["4", "8", "none"]


def full_sweep():
    parts = [
        sweep().assign(
            threshold=threshold, inhibition=factor, lexicon=lexicon, repetition=0.1 - 0.2 * lexicon * (factor > 1)
        )
        for threshold in (0.1, 0.2)
        for factor in (1.0, 1.25)
        for lexicon in (0, 1)
    ]
    return pd.concat(parts, ignore_index=True)


def test_sweep_has_a_panel_for_each_threshold_and_inhibition_and_a_bar():
    figure = plot_sweep(full_sweep())
    assert len(figure.axes) == 2 * 2 + 1
    assert "threshold 0.1, inhibition × 1.25" in [ax.get_title(loc="left") for ax in figure.axes]


def test_dots_stand_where_all_lexicons_agree():
    panels = plot_sweep(full_sweep()).axes[:4]
    assert [len(ax.collections[0].get_offsets()) for ax in panels] == [6, 6, 0, 0]


def trials(effect):
    wave = np.exp(-0.5 * ((TIMES - 0.168) / 0.05) ** 2)
    sides = np.array(["related", "unrelated"] * 5)
    values = effect * (sides == "unrelated")[:, None] * wave
    coords = {"sample": range(10), "condition": ("sample", sides), "time": TIMES}
    return xr.DataArray(values, dims=("sample", "time"), coords=coords)


def test_fit_is_drawn_as_the_difference_of_conditions():
    ax = plot_fit(trials(-4.0), trials(-3.0), plus="unrelated", minus="related")
    recorded, fitted = (line.get_ydata() for line in ax.get_lines()[:2])
    assert recorded.min() == pytest.approx(-4, abs=0.1)
    np.testing.assert_allclose(np.asarray(fitted), 0.75 * recorded)


def test_cell_of_people_without_an_amplitude_shows_its_t():
    table = effects().assign(t=[3.2, 1.0, 4.5, np.nan], relative=[0.07, 0.001, np.nan, np.nan])
    assert [text.get_text() for text in plot_effect_table(table).texts][2:] == ["– t 4.5", "–"]


def test_film_has_a_frame_for_every_tick():
    film = Image.open(io.BytesIO(film_of_units({"first": units()[0, 0], "second": units()[0, 1]})))
    assert film.n_frames == len(TIMES)


def test_figures_become_png():
    assert figure_to_png(plot_effect_table(effects()).figure).startswith(b"\x89PNG")


BAD = {
    "a missing type": (lambda: plot_four_panels(repetition()[:2], repetition()), "'acronym'"),
    "an unknown effect": (lambda: plot_sensitivity(sweep(), "priming"), "'repetition' or 'neighbourhood'"),
    "a sweep of an unknown effect": (lambda: plot_sweep(full_sweep(), "priming"), "'repetition' or 'neighbourhood'"),
    "two thresholds": (lambda: plot_sensitivity(pd.concat([sweep(), sweep()])), "several rows"),
    "no unit to film": (lambda: film_of_units({}), "at least one trial"),
}


@pytest.mark.parametrize("case", BAD, ids=lambda name: name.replace(" ", "_"))
def test_unsuited_input_is_answered_by_a_sentence(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
