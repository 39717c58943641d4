"""A whole study on a real Slurm, with everything that goes wrong on one; minutes, so part of the slow suite.

The study is the one about Alice on its synthetic twin. One unit fails once, one is killed with SIGKILL, one is put back
into the queue by a job that is more important. The numbers must be those of a run without a cluster, to the last byte.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cluster import Cluster, missing, running, wait_until

from neuroling import workflow

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SUBJECTS, LAYERS = ("s18", "s19", "s20"), ("0", "6")
CONFIG = """\
subjects: [{subjects}]
layers: [{layers}]
options: --twin --n-shifts 20
threads: 1
of_subject: {{{own}}}
"""

# Stands in front of the real command: notes who starts, fails once where it is told to, and takes its time, so that
# there is something to kill.
WRAPPER = """\
#!/bin/sh
case "$*" in
*--dry-run*) ;;
*--subject*)
    echo "$$ ${{SLURM_JOB_ID:-none}} ${{SLURM_RESTART_COUNT:-0}} $*" >> {log}
    case "$*" in *"--subject s18 --layer 0"*)
        if [ ! -e {once} ]; then touch {once}; echo "fails at the first try" >&2; exit 1; fi ;;
    esac
    sleep {pause} ;;
esac
exec {python} -m neuroling.cli "$@"
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    # munge asks for a folder that everybody may enter, which tmp_path is not
    with TemporaryDirectory(prefix="slurm-") as folder, running(Path(folder)) as found:
        yield found


class Study:
    """A folder with a study, and the ways to run it."""

    def __init__(self, folder: Path, snakemake: str, pause_s: float) -> None:
        self.folder, self.snakemake = folder, snakemake
        (folder / "bin").mkdir()
        wrapper = folder / "bin" / "neuroling"
        text = WRAPPER.format(log=self.log, once=folder / "once", pause=pause_s, python=sys.executable)
        wrapper.write_text(text)
        wrapper.chmod(0o755)
        self.configure()

    @property
    def log(self) -> Path:
        return self.folder / "starts.log"

    def configure(self, own: str = "") -> None:
        text = CONFIG.format(subjects=", ".join(SUBJECTS), layers=", ".join(LAYERS), own=own)
        (self.folder / "config.yaml").write_text(text)

    def starts(self) -> list[list[str]]:
        return [line.split() for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def command(self, *options: str, profile: str) -> list[str]:
        return [
            self.snakemake,
            *("--snakefile", str(workflow.path("alice2016")), "--directory", str(self.folder)),
            *("--configfile", str(self.folder / "config.yaml"), "--profile", str(workflow.profile(profile)), *options),
        ]

    def environment(self, base: dict[str, str]) -> dict[str, str]:
        path = f"{self.folder / 'bin'}:{Path(self.snakemake).parent}:{base['PATH']}"
        return {**base, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def locally(self) -> None:
        command = self.command("--cores", "1", profile="local")
        subprocess.run(command, env=self.environment(dict(os.environ)), check=True, capture_output=True, timeout=600)

    def on(self, cluster: Cluster, *options: str) -> subprocess.Popen[str]:
        slurm = ("--jobs", "6", "--latency-wait", "10", "--default-resources", "slurm_partition=low", *options)
        with (self.folder / "run.log").open("a") as out:
            return subprocess.Popen(
                self.command(*slurm, profile="slurm-cpu"),
                env=self.environment(cluster.environment),
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def finished(self, head: subprocess.Popen[str], seconds: float = 900.0) -> str:
        try:
            status = head.wait(seconds)
        except subprocess.TimeoutExpired:
            head.send_signal(signal.SIGINT)
            raise
        said = (self.folder / "run.log").read_text()
        assert status == 0, said[-4000:]
        return said


def test_a_study_survives_what_happens_on_a_cluster(tmp_path, cluster, snakemake):
    alone = Study(_made(tmp_path / "alone"), snakemake, pause_s=0.0)
    alone.locally()
    study = Study(_made(tmp_path / "study"), snakemake, pause_s=6.0)
    head = study.on(cluster)

    killed = _a_running_unit(study)
    os.kill(int(killed[0]), signal.SIGKILL)
    time.sleep(2.0)
    preempted = _a_running_unit(study, but_not=killed)
    node = cluster.run("squeue", "-h", "-j", preempted[1], "-o", "%N").strip()
    cluster.run("sbatch", "-Q", "-p", "high", "-w", node, "--exclusive", "-o", "/dev/null", "--wrap", "sleep 5")
    study.finished(head)

    starts = study.starts()
    table = (study.folder / "results" / "table.csv").read_bytes()
    assert table == (alone.folder / "results" / "table.csv").read_bytes()
    assert len(starts) >= len(SUBJECTS) * len(LAYERS) + 3, starts
    assert any(count != "0" for _, _, count, *_ in starts) or len({job for _, job, *_ in starts}) > len(starts) - 3

    said = study.finished(study.on(cluster))
    assert "Nothing to be done" in said
    assert study.starts() == starts

    study.configure(own="s19: --gap 12")
    study.finished(study.on(cluster))
    again = study.starts()[len(starts) :]
    assert sorted(_unit(start) for start in again) == [("s19", layer) for layer in LAYERS]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _unit(start: list[str]) -> tuple[str, str]:
    return start[start.index("--subject") + 1], start[start.index("--layer") + 1]


def _a_running_unit(study: Study, but_not: list[str] | None = None) -> list[str]:
    """Wait for a unit that is at work, and not one that is about to fail by itself."""
    found: list[list[str]] = []

    def at_work() -> bool:
        found[:] = [
            start
            for start in study.starts()
            if _unit(start) != ("s18", "0")
            and (but_not is None or _unit(start) != _unit(but_not))
            and Path(f"/proc/{start[0]}").exists()
        ]
        return bool(found)

    wait_until(at_work, 240.0, "a unit to be at work", lambda: (study.folder / "run.log").read_text()[-3000:])
    return found[-1]


TWO_A_JOB = ("--groups", "unit=g", "--group-components", "g=2")


def test_a_study_goes_on_after_its_head_was_killed(tmp_path, cluster, snakemake):
    study = Study(_made(tmp_path / "study"), snakemake, pause_s=6.0)
    head = study.on(cluster, *TWO_A_JOB)
    _a_running_unit(study)
    head.kill()
    head.wait()
    said = (study.folder / "run.log").read_text()
    run_id = re.search(r"SLURM run ID: (\S+)", said)
    assert run_id is not None, said[-2000:]
    cluster.run("scancel", "--name", run_id[1])
    wait_until(lambda: cluster.jobs() == [], 60.0, "jobs to be gone", cluster.logs)
    subprocess.run(
        study.command("--unlock", profile="local"), env=study.environment(dict(os.environ)), check=True, timeout=120
    )
    before = len(study.starts())
    study.finished(study.on(cluster, *TWO_A_JOB))
    again = [_unit(start) for start in study.starts()[before:]]
    assert len(set(again)) >= len(again) - 2, again  # the one that fails once takes its neighbour in the job with it
    assert (study.folder / "results" / "table.csv").exists()
