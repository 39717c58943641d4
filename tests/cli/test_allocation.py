from __future__ import annotations

import os

import pytest

from neuroling.cli.allocation import SPINS, THREADS, WAITING, keep_to_allocation, threads_of


@pytest.fixture(autouse=True)
def outside_a_job(monkeypatch):
    for name in WAITING:
        monkeypatch.setenv(name, "")  # so that what is set meanwhile is taken back
        monkeypatch.delenv(name)
    for name in (*THREADS, "SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", "PBS_NCPUS", "NSLOTS", "LSB_DJOB_NUMPROC"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", ["SLURM_CPUS_PER_TASK", "PBS_NCPUS", "NSLOTS", "LSB_DJOB_NUMPROC"])
def test_every_queueing_system_is_heard(name):
    assert threads_of({name: "3"}) == 3


def test_cpus_of_the_task_come_before_those_of_the_node():
    assert threads_of({"SLURM_CPUS_ON_NODE": "64", "SLURM_CPUS_PER_TASK": "4"}) == 4


@pytest.mark.parametrize("said", ["", "two", "0", "2(x3)"])
def test_what_is_no_number_of_threads_is_passed_over(said):
    assert threads_of({"NSLOTS": said}) is None


def test_libraries_are_told(monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "5")
    keep_to_allocation()
    assert {os.environ[name] for name in THREADS} == {"5"}


def test_what_the_user_said_stays(monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "5")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    keep_to_allocation()
    assert os.environ["OMP_NUM_THREADS"] == "2"


def test_outside_a_job_threads_are_left_alone_but_wait_briefly():
    keep_to_allocation()
    assert not any(name in os.environ for name in THREADS)
    assert os.environ["GOMP_SPINCOUNT"] == SPINS


@pytest.mark.parametrize("name", WAITING)
def test_how_threads_wait_is_the_users_to_say(monkeypatch, name):
    monkeypatch.setenv(name, "active")
    keep_to_allocation()
    assert {each: os.environ[each] for each in WAITING if each in os.environ} == {name: "active"}


def test_in_a_job_threads_wait_as_openmp_has_it(monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "5")
    keep_to_allocation()
    assert not any(name in os.environ for name in WAITING)
