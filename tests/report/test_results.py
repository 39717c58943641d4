from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroling.core.provenance import Provenance
from neuroling.core.result import NullDistribution, Result

RNG = np.random.default_rng(0)


def result(dims: tuple[str, ...], *, null: bool = False, synthetic: bool = False) -> Result:
    sizes = {"split": 2, "time": 12, "voxel": 30, "region": 4, "subject": 5, "model": 3}
    shape = [sizes[dim] for dim in dims]
    score = xr.DataArray(RNG.normal(0.6, 0.1, shape), dims=dims)
    mean = score.mean("split")
    draws = [mean * 0 + RNG.normal(0.5, 0.1, mean.shape) for _ in range(40)]
    distribution = NullDistribution.collect(mean, draws, method="made up") if null else None
    return Result.of(score, metric="r", null=distribution, provenance=Provenance(synthetic=synthetic))


@pytest.mark.parametrize(
    ("dims", "seen"),
    [
        (("split", "time"), "time (ms)"),
        (("split", "subject", "time"), "time (ms)"),
        (("split", "voxel"), "r"),
        (("split",), "r"),
    ],
)
@pytest.mark.parametrize("null", [True, False])
def test_the_axes_left_choose_the_picture(dims: tuple[str, ...], seen: str, null: bool) -> None:
    ax = result(dims, null=null).plot()
    assert seen in (ax.get_xlabel(), ax.get_ylabel())


def test_regions_are_points_with_their_names() -> None:
    ax = result(("split", "subject", "region")).plot()
    assert len(ax.get_xticklabels()) == 4


def test_a_synthetic_result_says_so_on_its_axes() -> None:
    texts = [text.get_text() for text in result(("split", "time"), synthetic=True).plot().texts]
    assert texts == ["SYNTHETIC DATA"]


def test_a_null_is_drawn_with_its_p_value() -> None:
    labels = result(("split",), null=True).plot().get_legend_handles_labels()[1]
    assert any("p = " in label for label in labels)


def test_a_ceiling_is_drawn_behind_a_curve() -> None:
    plain = result(("split", "time"))
    bounds = xr.concat([plain.data.score, plain.data.score + 0.1], dim="bound")
    with_ceiling = Result.of(plain.data.score, metric="r", ceiling=bounds)
    assert "ceiling" in with_ceiling.plot().get_legend_handles_labels()[1]


@pytest.mark.parametrize("dims", [("model", "time"), ("model", "subject", "time"), ("model", "voxel")])
def test_every_model_has_a_line_in_the_legend(dims: tuple[str, ...]) -> None:
    shown = result(("split", *dims))
    named = Result(shown.data.assign_coords(model=["MiniLM", "word rate", "untrained"]), shown.provenance)
    labels = named.plot().get_legend_handles_labels()[1]
    assert [name for name in ("MiniLM", "word rate", "untrained") if not any(name in label for label in labels)] == []


def test_models_by_region_are_series() -> None:
    shown = result(("split", "model", "region"))
    named = Result(shown.data.assign_coords(model=["a", "b", "c"]), shown.provenance)
    assert {"a", "b", "c"} <= set(named.plot().get_legend_handles_labels()[1])


def test_models_by_participant_and_region_are_means_over_participants() -> None:
    shown = result(("split", "model", "subject", "region"))
    assert "mean over participants" in shown.plot().get_ylabel()


def test_the_null_of_locations_is_drawn() -> None:
    labels = result(("split", "voxel"), null=True).plot().get_legend_handles_labels()[1]
    assert any("null" in label for label in labels)


def test_other_targets_are_not_averaged_over_in_silence() -> None:
    with pytest.raises(ValueError, match="region"):
        result(("split", "region", "time")).plot()
