from __future__ import annotations

import json

import pytest

from neuroling.cli import doctor, selftest
from neuroling.cli import matrix_products as gemm

RATES = {"float32": 100.0, "float64": 50.0}


@pytest.fixture
def quick(monkeypatch):
    """A doctor who takes the speed of this machine on trust."""
    monkeypatch.setattr(gemm, "rates_in_child", lambda core_type: RATES)
    monkeypatch.setattr(gemm, "best_kernels", lambda types: ({"default": RATES}, None))
    monkeypatch.setattr(gemm, "torch_rates", lambda device: RATES)


def test_a_healthy_machine_passes(call, quick):
    answer = call("doctor")
    assert answer.exit_code == 0
    assert answer.stdout.count("passed: ") == 2


def test_every_section_is_there(call, quick):
    text = call("doctor").stdout
    assert all(f"{title}\n" in text for title in ("versions", "machine", "data", "self test", "advice"))


def test_the_encoder_that_is_looked_for_is_the_default_one():
    from neuroling.features.transformer.encoder import MINILM_DISTRIBUTION

    assert doctor.ENCODER == MINILM_DISTRIBUTION


def test_the_library_of_every_operation_is_named(call, quick):
    report = json.loads(call("doctor", "--json").stdout)["fastest libraries"]
    assert set(report["multiply, float32"]) == {"small", "medium", "large"}
    assert {entry["library"] for entry in report["inverse, float64"].values()} <= {"torch", "scipy"}


def test_the_libraries_read_in_a_line_with_what_they_gain():
    fastest = {"multiply, float32": {"small": {"library": "torch", "times torch": 1.0}}}
    fastest["multiply, float32"]["large"] = {"library": "onednn", "times torch": 1.234}
    assert doctor._libraries(fastest) == {"multiply, float32": "torch, onednn (1.23)"}
    assert "torch" in doctor._libraries({})["all"]


def test_json_is_one_object(call, quick):
    report = json.loads(call("doctor", "--json").stdout)
    assert {
        "versions",
        "machine",
        "devices",
        "threads",
        "GFLOP/s",
        "fastest libraries",
        "data",
        "encoder",
        "self test",
        "advice",
    } == set(report)


def test_a_failed_self_test_is_a_failure(call, quick, monkeypatch):
    monkeypatch.setattr(selftest, "self_test", lambda: [selftest.Check("planted signal is found", False, "p = 0.5")])
    answer = call("doctor")
    assert answer.exit_code == 1
    assert "FAILED: planted signal" in answer.stdout
    assert "cannot be trusted" in answer.stderr


def _report(**changes: object) -> dict[str, object]:
    return {
        "threads": {"blas": 1, "torch": 1},
        "GFLOP/s": {"numpy, default": RATES, "numpy, SkylakeX": {"float32": 195.0, "float64": 80.0}},
        "machine": {"cores": 8, "memory": {"free": 8e9}},
        "data": {"folder": "here", "disk": {"free": 1e12}, "sets": {"one": "here"}},
        **changes,
    }


def test_a_machine_without_trouble_gets_no_advice():
    assert doctor._advice(_report(), None) == []


def test_faster_kernels_are_advised_with_the_variable_to_set():
    (line,) = doctor._advice(_report(), "SkylakeX")
    assert "1.95 times as fast with OPENBLAS_CORETYPE=SkylakeX" in line


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"threads": {"blas": 8, "torch": 8}}, "threads: "),
        ({"machine": {"cores": 8, "memory": {"free": 1e9}}}, "memory: "),
        ({"data": {"folder": "here", "disk": {"free": 1e6}, "sets": {}}}, "disk: "),
        ({"data": {"folder": "here", "disk": {"free": 1e12}, "sets": {"one": "damaged"}}}, "data: one is damaged"),
    ],
)
def test_each_trouble_gets_its_advice(changes, word):
    (line,) = doctor._advice(_report(**changes), None)
    assert line.startswith(word)


def test_unknown_memory_is_no_trouble():
    assert doctor._advice(_report(machine={"cores": 8, "memory": {"free": None}}), None) == []


@pytest.mark.parametrize("seed", range(3))
def test_the_self_test_does_not_hang_on_its_seed(seed):
    assert all(check.passed for check in selftest.self_test(seed))
