from __future__ import annotations

from dataclasses import replace
from itertools import product

import joblib
import numpy as np
import pytest
import xarray as xr
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from neuroling import Permutation, Result, Stimuli, align, evaluate, pearson
from neuroling.core.units import stamp
from neuroling.evaluation.parallel import evaluate_each
from neuroling.evaluation.study_files import gather


def unit(value: float, configuration: dict[str, str] | None = None, **labels: str) -> Result:
    result = Result.of(xr.DataArray([value], dims="split"), metric="pearson")
    return stamp(result, labels, {"seed": "0"} if configuration is None else configuration)


def study() -> dict[str, Result]:
    places = product(("s2", "s10"), ("0", "12", "4"))
    return {f"{s}-{layer}.nc": unit(int(s[1:]) + int(layer) / 100, subject=s, layer=layer) for s, layer in places}


def test_units_stand_where_their_labels_say():
    score = gather(study()).score
    assert score.sel(subject="s10", layer="4").item() == pytest.approx(10.04)


def test_the_order_of_the_files_does_not_matter():
    forth = study()
    back = dict(reversed(forth.items()))
    assert gather(back).data.identical(gather(forth).data)


def test_numbers_in_labels_count_as_numbers():
    result = gather(study())
    assert (result.score.subject.values.tolist(), result.score.layer.values.tolist()) == (
        ["s2", "s10"],
        ["0", "4", "12"],
    )


def test_a_missing_unit_is_named():
    units = study()
    del units["s10-4.nc"]
    with pytest.raises(ValueError, match=r"1 of 6 units are missing \(first subject s10, layer 4\)"):
        gather(units)


def test_a_unit_that_stands_twice_is_named():
    with pytest.raises(ValueError, match=r"s2-0\.nc and copy\.nc are the same unit"):
        gather({**study(), "copy.nc": unit(1.0, subject="s2", layer="0")})


def test_another_configuration_is_not_mixed_in():
    with pytest.raises(ValueError, match="different configurations: seed is '0' in one and '1' in the other"):
        gather({"a": unit(1.0, subject="s1"), "b": unit(1.0, {"seed": "1"}, subject="s2")})


def test_another_version_is_not_mixed_in():
    new, old = unit(1.0, subject="s1"), unit(1.0, subject="s2")
    old = Result(old.data, replace(old.provenance, versions={"torch": "2.0"}))
    with pytest.raises(ValueError, match=r"different versions: torch is None in one and '2\.0'"):
        gather({"a": new, "b": old})


def test_another_node_of_the_cluster_is_no_other_version():
    here, there = (unit(1.0, subject=name) for name in ("s1", "s2"))
    there = Result(there.data, replace(there.provenance, versions={"platform": "another"}))
    assert gather({"a": here, "b": there}).score.sizes["subject"] == 2


def test_results_that_are_no_units_are_refused():
    with pytest.raises(ValueError, match="1 of 2 say not which unit they are"):
        gather({"a": unit(1.0, subject="s1"), "b": unit(1.0)})


def test_units_of_different_kinds_are_refused():
    with pytest.raises(ValueError, match=r"unit of \['subject'\] and b of \['layer'\]"):
        gather({"a": unit(1.0, subject="s1"), "b": unit(1.0, layer="1")})


def test_nothing_is_refused():
    with pytest.raises(ValueError, match="none given"):
        gather({})


@pytest.fixture
def people() -> dict[str, object]:
    stimuli = Stimuli.from_texts([f"word {i}" for i in range(24)])
    rng = np.random.default_rng(0)
    features = stimuli.features(rng.standard_normal((24, 3)))
    signal = features.values @ np.ones((3, 2))
    return {
        name: align(
            features, stimuli.features(signal + rng.standard_normal((24, 2)), names=["a", "b"]).rename(feature="voxel")
        )
        for name in ("P1", "P2", "P3")
    }


OPTIONS = {"splits": KFold(4), "metric": pearson, "inference": Permutation(20)}


def test_each_is_what_evaluate_gives_one_by_one(people):
    every = evaluate_each(LinearRegression(), people, dim="subject", seed=5, **OPTIONS)
    one = evaluate(LinearRegression(), people["P2"], rng=5, **OPTIONS)
    assert every.null.draws.sel(subject="P2", drop=True).identical(one.null.draws)


def test_a_unit_alone_draws_what_it_draws_among_others(people):
    every = evaluate_each(LinearRegression(), people, dim="subject", **OPTIONS)
    alone = evaluate_each(LinearRegression(), {"P3": people["P3"]}, dim="subject", **OPTIONS)
    assert every.null.draws.sel(subject=["P3"]).identical(alone.null.draws)


def test_workers_of_the_user_give_the_same_numbers(people):
    one = evaluate_each(LinearRegression(), people, dim="subject", **OPTIONS)
    with joblib.parallel_config("threading", n_jobs=2):
        two = evaluate_each(LinearRegression(), people, dim="subject", **OPTIONS)
    assert one.data.identical(two.data)


def test_another_seed_gives_another_null(people):
    one, two = (evaluate_each(LinearRegression(), people, dim="subject", seed=s, **OPTIONS) for s in (0, 1))
    assert not one.null.draws.equals(two.null.draws)


def test_a_generator_for_all_is_refused(people):
    with pytest.raises(ValueError, match="seed"):
        evaluate_each(LinearRegression(), people, dim="subject", rng=0, **OPTIONS)
