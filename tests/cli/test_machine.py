from __future__ import annotations

import os

import pytest

from neuroling.cli import machine
from neuroling.cli import matrix_products as gemm

DEFAULT = {"float32": 100.0, "float64": 50.0}
FASTER = {"float32": 195.0, "float64": 90.0}


def test_a_container_with_a_quota_of_two_cores_has_two(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    (tmp_path / "cpu.max").write_text("200000 100000\n", encoding="ascii")
    assert machine.usable_cores(tmp_path) == 2


def test_without_a_quota_the_scheduler_decides(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    (tmp_path / "cpu.max").write_text("max 100000\n", encoding="ascii")
    assert machine.usable_cores(tmp_path) == 3


def test_a_quota_below_one_core_is_one_core(tmp_path):
    (tmp_path / "cpu.max").write_text("50000 100000\n", encoding="ascii")
    assert machine.usable_cores(tmp_path) == 1


def test_memory_of_a_container_is_its_limit(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 1000000 kB\nMemFree: 1 kB\nMemAvailable: 800000 kB\n", encoding="ascii")
    (tmp_path / "memory.max").write_text("512000000\n", encoding="ascii")
    (tmp_path / "memory.current").write_text("12000000\n", encoding="ascii")
    assert machine.memory_bytes(meminfo, tmp_path) == {"total": 512_000_000, "free": 500_000_000}


def test_memory_of_a_bare_machine_is_what_the_kernel_says(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 1000 kB\nMemAvailable: 800 kB\n", encoding="ascii")
    assert machine.memory_bytes(meminfo, tmp_path) == {"total": 1_024_000, "free": 819_200}


def test_memory_is_unknown_where_the_system_does_not_tell(tmp_path):
    assert machine.memory_bytes(tmp_path / "none", tmp_path) == {"total": None, "free": None}


def test_room_is_known_for_a_folder_that_does_not_exist_yet(tmp_path):
    assert machine.disk_bytes(tmp_path / "a" / "b")["free"] > 0


@pytest.mark.parametrize(("blas", "torch", "cores"), [(1, 8, 8), (8, 1, 8), (2, 2, 4)])
def test_threads_that_fit_raise_no_storm(blas, torch, cores):
    assert machine.thread_storm(blas, torch, cores) is None


def test_more_threads_than_cores_are_a_storm_with_a_remedy():
    warning = machine.thread_storm(8, 8, 8)
    assert warning is not None
    assert "OMP_NUM_THREADS=1" in warning


def test_flags_are_read_from_the_first_core(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("processor : 0\nflags : fpu avx2 fma\nprocessor : 1\nflags : none\n", encoding="ascii")
    assert gemm.cpu_flags(path) == {"fpu", "avx2", "fma"}


def test_a_system_without_flags_has_no_kernel_sets(tmp_path):
    assert gemm.core_types(gemm.cpu_flags(tmp_path / "none")) == []


def test_kernels_for_instructions_that_the_cpu_lacks_are_never_tried():
    assert gemm.core_types({"avx2", "fma", "avx512f"}) == ["Haswell", "Zen"]


def test_faster_kernels_are_named():
    rates = {None: DEFAULT, "SkylakeX": FASTER, "Haswell": DEFAULT}
    found, advice = gemm.best_kernels(["SkylakeX", "Haswell"], rates.get)
    assert advice == "SkylakeX"
    assert found == {"default": DEFAULT, "SkylakeX": FASTER, "Haswell": DEFAULT}


def test_a_small_gain_is_not_worth_a_variable():
    rates = {None: DEFAULT, "SkylakeX": {"float32": 110.0, "float64": 55.0}}
    assert gemm.best_kernels(["SkylakeX"], rates.get)[1] is None


def test_a_gain_that_does_not_come_back_is_a_busy_machine():
    answers = iter([DEFAULT, FASTER, FASTER, FASTER])  # default, candidate, candidate again, default again
    assert gemm.best_kernels(["SkylakeX"], lambda name: next(answers))[1] is None


def test_a_child_that_fails_leaves_no_rates():
    assert gemm.best_kernels(["SkylakeX"], lambda name: None) == ({}, None)


def test_a_candidate_that_fails_is_left_out():
    assert gemm.best_kernels(["SkylakeX"], {None: DEFAULT}.get) == ({"default": DEFAULT}, None)


def test_the_rate_of_a_product_is_positive():
    assert all(rate > 0 for rate in gemm.numpy_rates(seconds=0.0).values())


def test_torch_is_measured_in_both_types():
    assert set(gemm.torch_rates(seconds=0.0)) == {"float32", "float64"}
